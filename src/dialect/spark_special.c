/* spark_special.c - functions whose types, or number of arguments, no row of the table can say.
 *
 * One static table: name, least and most arguments, the function that makes the value.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "dialect/spark_internal.h"

typedef spark_value special_fn(spark *s, spark_call *call);

static const char *list_of(spark *s, const spark_call *call)
{
    const char *sql = "";
    for (uint32_t i = 0; i < call->n; i++)
        sql = spark_format(s, "%s%s%s", sql, i == 0 ? "" : ", ", call->arguments[i].sql);
    return sql;
}

/* ---- one of several values ---- */

static spark_value make_coalesce(spark *s, spark_call *call)
{
    const spark_type *type = spark_make_common(s, call->arguments, call->n, call->name);
    return type == NULL ? spark_nothing(s)
                        : spark_made(s, call->at, type, "coalesce(%s)", list_of(s, call));
}

static spark_value make_if(spark *s, spark_call *call)
{
    const spark_value condition = spark_boolean(s, call->arguments[0]);
    const spark_type *type = spark_make_common(s, call->arguments + 1, 2, call->name);
    return type == NULL ? spark_nothing(s)
                        : spark_made(s, call->at, type, "CASE WHEN %s THEN %s ELSE %s END",
                                     condition.sql, call->arguments[1].sql, call->arguments[2].sql);
}

static spark_value make_nvl2(spark *s, spark_call *call)
{
    const spark_type *type = spark_make_common(s, call->arguments + 1, 2, call->name);
    return type == NULL
               ? spark_nothing(s)
               : spark_made(s, call->at, type, "CASE WHEN %s IS NOT NULL THEN %s ELSE %s END",
                            call->arguments[0].sql, call->arguments[1].sql, call->arguments[2].sql);
}

static spark_value make_nullif(spark *s, spark_call *call)
{
    const spark_value a = call->arguments[0];
    const spark_value same = spark_compare(s, a, "=", call->arguments[1], call->at);
    return spark_made(s, call->at, a.type, "CASE WHEN %s THEN NULL ELSE %s END", same.sql, a.sql);
}

static spark_value make_greatest(spark *s, spark_call *call)
{
    bool texts = false, others = false;
    for (uint32_t i = 0; i < call->n; i++) {
        texts |= call->arguments[i].type->kind == SPARK_STRING;
        others |= call->arguments[i].type->kind != SPARK_STRING &&
                  call->arguments[i].type->kind != SPARK_NULL;
    }
    if (texts && others) {
        spark_refuse(s, call->at,
                     "%s() has texts and others, which Spark does not compare: cast "
                     "them",
                     call->name);
        return spark_nothing(s);
    }
    const spark_type *type = spark_make_common(s, call->arguments, call->n, call->name);
    return type == NULL ? spark_nothing(s)
                        : spark_made(s, call->at, type, "%s(%s)", call->name, list_of(s, call));
}

static spark_value make_concat(spark *s, spark_call *call)
{
    return spark_concat(s, call->arguments, call->n, call->at);
}

/* ---- arrays, maps, structs ---- */

static spark_value make_array(spark *s, spark_call *call)
{
    const spark_type *type = spark_make_common(s, call->arguments, call->n, call->name);
    if (type == NULL)
        return spark_nothing(s);
    const spark_type *array = spark_array(s->arena, type);
    return spark_made(s, call->at, array, "CAST([%s] AS %s)", list_of(s, call),
                      spark_type_sql(s->arena, array));
}

static spark_value make_map(spark *s, spark_call *call)
{
    spark_value keys[SPARK_ARGUMENTS_MAX], values[SPARK_ARGUMENTS_MAX];
    const char *of_keys = "", *of_values = "";
    uint32_t n = call->n / 2;
    if (call->n % 2 != 0) {
        spark_refuse(s, call->at, "map() takes keys and values in turn");
        return spark_nothing(s);
    }
    for (uint32_t i = 0; i < n; i++) {
        keys[i] = call->arguments[2 * i];
        values[i] = call->arguments[2 * i + 1];
    }
    const spark_type *key = spark_make_common(s, keys, n, "the keys of map");
    const spark_type *value = spark_make_common(s, values, n, "the values of map");
    if (key == NULL || value == NULL)
        return spark_nothing(s);
    for (uint32_t i = 0; i < n; i++) {
        of_keys = spark_format(s, "%s%s%s", of_keys, i == 0 ? "" : ", ", keys[i].sql);
        of_values = spark_format(s, "%s%s%s", of_values, i == 0 ? "" : ", ", values[i].sql);
    }
    return spark_made(s, call->at, spark_map(s->arena, key, value), "map([%s], [%s])", of_keys,
                      of_values);
}

static spark_value make_struct_of(spark *s, const spark_call *call, const char *const *names,
                                  const spark_value *values, uint32_t n)
{
    spark_field fields[SPARK_ARGUMENTS_MAX] = {{0}};
    const char *sql = "";
    for (uint32_t i = 0; i < n; i++) {
        fields[i] = (spark_field){names[i], values[i].type};
        sql = spark_format(s, "%s%s%s := %s", sql, i == 0 ? "" : ", ", spark_quoted(s, names[i]),
                           values[i].sql);
    }
    return spark_made(s, call->at, spark_struct(s->arena, fields, n), "struct_pack(%s)", sql);
}

static spark_value make_struct(spark *s, spark_call *call)
{
    const char *names[SPARK_ARGUMENTS_MAX] = {NULL};
    for (uint32_t i = 0; i < call->n; i++)
        names[i] = call->arguments[i].name != NULL ? call->arguments[i].name
                                                   : spark_format(s, "col%u", i + 1);
    return make_struct_of(s, call, names, call->arguments, call->n);
}

static spark_value make_named_struct(spark *s, spark_call *call)
{
    const char *names[SPARK_ARGUMENTS_MAX] = {NULL};
    spark_value values[SPARK_ARGUMENTS_MAX];
    if (call->n % 2 != 0) {
        spark_refuse(s, call->at, "named_struct() takes names and values in turn");
        return spark_nothing(s);
    }
    for (uint32_t i = 0; i < call->n; i += 2) {
        const spark_token *token = call->arguments[i].token;
        if (token == NULL || token->kind != TOKEN_TEXT) {
            spark_refuse(s, call->arguments[i].at, "the name of a field stands in quotes here");
            return spark_nothing(s);
        }
        names[i / 2] = token->text;
        values[i / 2] = call->arguments[i + 1];
    }
    return make_struct_of(s, call, names, values, call->n / 2);
}

/* What the entries are cannot be told from a map by the type of a column (spark_type_from). */
static spark_value make_map_entries(spark *s, spark_call *call)
{
    const spark_value map = spark_as_map(s, call->arguments[0]);
    if (s->failed || map.type->kind != SPARK_MAP) {
        spark_refuse(s, call->at, "map_entries() takes a map");
        return spark_nothing(s);
    }
    const spark_field fields[] = {{"key", map.type->fields[0].type},
                                  {"value", map.type->fields[1].type}};
    return spark_made(s, call->at, spark_array(s->arena, spark_struct(s->arena, fields, 2)),
                      "map_entries(%s)", map.sql);
}

static spark_value make_element_at(spark *s, spark_call *call)
{
    spark_value array = call->arguments[0], index = call->arguments[1];
    if (array.type->kind == SPARK_MAP)
        return spark_subscript(s, array, index, call->at);
    if (array.type->kind != SPARK_ARRAY || !spark_is_whole(index.type)) {
        spark_refuse(s, call->at,
                     "element_at() takes an array and a whole number, or a map and a "
                     "key");
        return spark_nothing(s);
    }
    return spark_made(s, call->at, array.type->fields[0].type, "list_extract(%s, %s)", array.sql,
                      index.sql);
}

/* ---- numbers ---- */

static spark_value number_of(spark *s, spark_value value, uint32_t at, const char *name)
{
    if (value.type->kind == SPARK_STRING || value.type->kind == SPARK_NULL)
        return spark_cast(s, value, spark_type_of(SPARK_DOUBLE));
    if (!spark_is_number(value.type) && value.type->kind != SPARK_OTHER)
        spark_refuse(s, at, "%s() takes a number, and this is %s", name,
                     spark_type_name(s->arena, value.type));
    return value;
}

static spark_value make_abs(spark *s, spark_call *call)
{
    const spark_value value = number_of(s, call->arguments[0], call->at, "abs");
    if (!s->failed && spark_is_whole(value.type)) { /* the least one stays as it is */
        const spark_value negative = spark_negate(s, value, call->at);
        return spark_made(s, call->at, value.type, "CASE WHEN %s < 0 THEN %s ELSE %s END",
                          value.sql, negative.sql, value.sql);
    }
    return spark_made(s, call->at, value.type, "abs(%s)", value.sql);
}

static spark_value make_negative(spark *s, spark_call *call)
{
    return spark_negate(s, call->arguments[0], call->at);
}

static spark_value make_positive(spark *s, spark_call *call)
{
    return number_of(s, call->arguments[0], call->at, "positive");
}

static spark_value make_mod(spark *s, spark_call *call)
{
    return spark_arithmetic(s, '%', call->arguments[0], call->arguments[1], call->at);
}

static spark_value make_pmod(spark *s, spark_call *call)
{
    spark_value b = call->arguments[1];
    const spark_value rest = spark_arithmetic(s, '%', call->arguments[0], b, call->at);
    if (b.type->kind == SPARK_STRING)
        b = spark_cast(s, b, spark_type_of(SPARK_DOUBLE));
    spark_value sum = spark_arithmetic(s, '+', rest, b, call->at);
    sum = spark_arithmetic(s, '%', sum, b, call->at);
    if (s->failed)
        return spark_nothing(s);
    sum = spark_cast(s, sum, rest.type);
    return spark_made(s, call->at, rest.type, "CASE WHEN %s < 0 THEN %s ELSE %s END", rest.sql,
                      sum.sql, rest.sql);
}

/* ceil and floor of a decimal, of any scale that is written. */
static spark_value make_ceil(spark *s, spark_call *call)
{
    const spark_value value = number_of(s, call->arguments[0], call->at, call->name);
    const char *name = strcasecmp(call->name, "floor") == 0 ? "floor" : "ceil";
    if (s->failed)
        return spark_nothing(s);
    if (spark_is_whole(value.type))
        return spark_cast(s, value, spark_type_of(SPARK_BIGINT));
    if (value.type->kind != SPARK_DECIMAL)
        return spark_made(s, call->at, spark_type_of(SPARK_BIGINT),
                          "spark_real_to_bigint(%s(CAST(%s AS DOUBLE)))", name, value.sql);
    const int whole = value.type->precision - value.type->scale + 1;
    const spark_type *type = spark_decimal(s->arena, whole, 0);
    if (value.type->scale == 0)
        return spark_cast(s, value, type);
    return spark_made(s, call->at, type, "CAST(%s(%s) AS %s)", name, value.sql,
                      spark_type_sql(s->arena, type));
}

/* ---- times ---- */

/* Microseconds since the month began, and a day. */
static const char *time_in_month(spark *s, const char *time)
{
    return spark_format(s,
                        "(day(%s) * 86400000000 + epoch_us(%s) - epoch_us(date_trunc('day', %s)))",
                        time, time, time);
}

/* timestampadd(UNIT, n, t), and timestampdiff(UNIT, a, b): whole units, cut off. */
static spark_value make_unit(spark *s, spark_call *call)
{
    static const struct {
        const char *name, *add, *in_us;
        bool of_months;
        int months;
    } known[] = {{"microsecond", "to_microseconds", "1", false, 0},
                 {"millisecond", "to_milliseconds", "1000", false, 0},
                 {"second", "to_seconds", "1000000", false, 0},
                 {"minute", "to_minutes", "60000000", false, 0},
                 {"hour", "to_hours", "3600000000", false, 0},
                 {"day", "to_days", "86400000000", false, 0},
                 {"dayofyear", "to_days", "86400000000", false, 0},
                 {"week", "to_weeks", "604800000000", false, 0},
                 {"month", "to_months", NULL, true, 1},
                 {"quarter", "to_quarters", NULL, true, 3},
                 {"year", "to_years", NULL, true, 12}};
    const spark_token *unit = call->unit;
    const spark_type *timestamp = spark_type_of(SPARK_TIMESTAMP),
                     *bigint = spark_type_of(SPARK_BIGINT);
    for (size_t i = 0; unit != NULL && i < sizeof known / sizeof *known; i++) {
        if (!spark_token_is(unit, known[i].name))
            continue;
        if (strcmp(call->name, "timestampadd") == 0) {
            const spark_value n = spark_cast(s, call->arguments[0], spark_type_of(SPARK_INT));
            const spark_value time = spark_cast(s, call->arguments[1], timestamp);
            return spark_made(s, call->at, timestamp, "(%s + %s(%s))", time.sql, known[i].add,
                              n.sql);
        }
        const spark_value a = spark_cast(s, call->arguments[0], timestamp);
        const spark_value b = spark_cast(s, call->arguments[1], timestamp);
        if (known[i].of_months) {
            const char *months =
                spark_format(s, "((year(%s) - year(%s)) * 12 + month(%s) - month(%s))", b.sql,
                             a.sql, b.sql, a.sql);
            const char *rest_a = time_in_month(s, a.sql), *rest_b = time_in_month(s, b.sql);
            return spark_made(s, call->at, bigint,
                              "spark_whole_quotient(%s - CASE WHEN %s > 0 AND %s < %s THEN 1 WHEN "
                              "%s < 0 AND %s > %s THEN -1 ELSE 0 END, %d)",
                              months, months, rest_b, rest_a, months, rest_b, rest_a,
                              known[i].months);
        }
        return spark_made(s, call->at, bigint,
                          "spark_whole_quotient(epoch_us(%s) - epoch_us(%s), %s)", b.sql, a.sql,
                          known[i].in_us);
    }
    spark_refuse(s, call->at,
                 "the first argument is a unit: DAY, HOUR, MONTH and the like, "
                 "without quotes");
    return spark_nothing(s);
}

/* ---- casts by a name: int(x) ---- */

static spark_value make_cast(spark *s, spark_call *call)
{
    const spark_type *type = spark_type_named(call->name, (uint32_t)strlen(call->name));
    return spark_cast(s, call->arguments[0], type);
}

static spark_value make_typeof(spark *s, spark_call *call)
{
    const char *name = spark_type_name(s->arena, call->arguments[0].type);
    return spark_made(s, call->at, spark_type_of(SPARK_STRING), "%s",
                      spark_literal(s, name, (uint32_t)strlen(name)));
}

/* ---- parts of times ---- */

static const struct {
    const char *names[9], *function;
} parts[] = {
    {{"year", "y", "years", "yr", "yrs"}, "year"},
    {{"yearofweek"}, "__yearofweek"},
    {{"quarter", "qtr"}, "quarter"},
    {{"month", "mon", "mons", "months"}, "month"},
    {{"week", "w", "weeks"}, "weekofyear"},
    {{"day", "d", "days"}, "day"},
    {{"dayofweek", "dow"}, "dayofweek"},
    {{"dayofweek_iso", "dow_iso"}, "__isodow"},
    {{"doy"}, "dayofyear"},
    {{"hour", "h", "hours", "hr", "hrs"}, "hour"},
    {{"minute", "m", "min", "mins", "minutes"}, "minute"},
    {{"second", "s", "sec", "seconds", "secs"}, "__second"},
};

static spark_value part_of_interval(spark *s, const spark_value *value, const char *function,
                                    uint32_t at)
{
    static const struct {
        const char *function, *part;
    } known[] = {{"year", "year"},
                 {"month", "month"},
                 {"day", "day"},
                 {"hour", "hour"},
                 {"minute", "minute"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].function, function) == 0)
            return spark_made(s, at, spark_type_of(SPARK_INT),
                              "CAST(date_part('%s', %s) AS INTEGER)", known[i].part, value->sql);
    spark_refuse(s, at,
                 "this part of an interval cannot be had: take the seconds, "
                 "unix_timestamp(a) - unix_timestamp(b)");
    return spark_nothing(s);
}

static spark_value make_date_part(spark *s, spark_call *call)
{
    const spark_token *token = call->arguments[0].token;
    const spark_value value = call->arguments[1];
    if (token == NULL) {
        spark_refuse(s, call->at, "%s() takes its field as a text in quotes", call->name);
        return spark_nothing(s);
    }
    const char *function = NULL;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (size_t k = 0; k < 9 && parts[i].names[k] != NULL; k++)
            if (strlen(parts[i].names[k]) == token->length &&
                strncasecmp(parts[i].names[k], token->text, token->length) == 0)
                function = parts[i].function;
    if (function == NULL) {
        spark_refuse(s, call->at, "\"%.*s\" is no field of a time in Spark",
                     (int)(token->length < 40 ? token->length : 40), token->text);
        return spark_nothing(s);
    }
    if (spark_is_interval(value.type))
        return part_of_interval(s, &value, function, call->at);
    if (function[0] != '_')
        return spark_apply_named(s, function, &call->arguments[1], 1, call->at);
    const spark_value time = spark_cast(s, value, spark_type_of(SPARK_TIMESTAMP));
    if (strcmp(function, "__second") == 0)
        return spark_made(
            s, call->at, spark_decimal(s->arena, 8, 6),
            "CAST(CAST(date_part('microsecond', %s) AS DECIMAL(9,0)) * CAST(0.000001 AS "
            "DECIMAL(7,6)) AS DECIMAL(8,6))",
            time.sql);
    return spark_made(s, call->at, spark_type_of(SPARK_INT), "CAST(%s(%s) AS INTEGER)",
                      strcmp(function, "__isodow") == 0 ? "isodow" : "isoyear", time.sql);
}

/* ---- aggregates ---- */

static const char *tail_of(spark *s, const spark_call *call)
{
    const char *filter =
        call->filter == NULL ? "" : spark_format(s, " FILTER (WHERE %s)", call->filter);
    return call->over == NULL ? filter : spark_format(s, "%s OVER %s", filter, call->over);
}

static spark_value make_count(spark *s, spark_call *call)
{
    const char *tail = tail_of(s, call), *all = "";
    const spark_type *bigint = spark_type_of(SPARK_BIGINT);
    if (call->is_star)
        return spark_made(s, call->at, bigint, "count(*)%s", tail);
    if (call->n == 1)
        return spark_made(s, call->at, bigint, "count(%s%s)%s",
                          call->is_distinct ? "DISTINCT " : "", call->arguments[0].sql, tail);
    for (uint32_t i = 0; i < call->n; i++)
        all = spark_format(s, "%s%s%s IS NOT NULL", all, i == 0 ? "" : " AND ",
                           call->arguments[i].sql);
    return spark_made(s, call->at, bigint, "count(%sCASE WHEN %s THEN row(%s) END)%s",
                      call->is_distinct ? "DISTINCT " : "", all, list_of(s, call), tail);
}

/* Of decimals; other types have rows. */
static bool is_of_decimal(const spark_call *call)
{
    return call->n > 0 && call->arguments[0].type->kind == SPARK_DECIMAL;
}

static const char *sum_of(spark *s, const spark_call *call, const spark_type *type)
{
    return spark_format(s, "TRY_CAST(sum(%s%s)%s AS %s)", call->is_distinct ? "DISTINCT " : "",
                        call->arguments[0].sql, tail_of(s, call), spark_type_sql(s->arena, type));
}

static spark_value make_sum(spark *s, spark_call *call)
{
    const spark_type *from = call->arguments[0].type;
    const spark_type *type = spark_decimal(s->arena, from->precision + 10, from->scale);
    return spark_made(s, call->at, type, "%s", sum_of(s, call, type));
}

static spark_value make_avg(spark *s, spark_call *call)
{
    const spark_type *from = call->arguments[0].type;
    const spark_type *type = spark_decimal(s->arena, from->precision + 4, from->scale + 4);
    const spark_type *total = spark_decimal(s->arena, from->precision + 10, from->scale);
    spark_value sum = spark_made(s, call->at, total, "%s", sum_of(s, call, total));
    spark_value count = spark_cast(s, make_count(s, call), spark_decimal(s->arena, 20, 0));
    return spark_decimal_quotient(s, sum, count, type);
}

/* first, last and any_value, of rows that are not null where the call says so. */
static spark_value make_first(spark *s, spark_call *call)
{
    const spark_value value = call->arguments[0];
    const bool is_last = strncasecmp(call->name, "last", 4) == 0;
    bool skips = call->skips_nulls;
    if (call->n == 2 && strstr(call->arguments[1].sql, "TRUE") != NULL)
        skips = true;
    else if (call->n == 2 && strstr(call->arguments[1].sql, "FALSE") == NULL)
        spark_refuse(s, call->arguments[1].at, "%s() takes true or false here", call->name);
    if (call->over != NULL && call->filter != NULL)
        spark_refuse(s, call->at, "%s() with FILTER and OVER: put the condition into a CASE",
                     call->name);
    if (call->over != NULL)
        return spark_made(s, call->at, value.type, "%s(%s%s) OVER %s",
                          is_last ? "last_value" : "first_value", value.sql,
                          skips ? " IGNORE NULLS" : "", call->over);
    const char *filter = call->filter;
    if (skips)
        filter = filter == NULL ? spark_format(s, "%s IS NOT NULL", value.sql)
                                : spark_format(s, "%s AND %s IS NOT NULL", filter, value.sql);
    return spark_made(s, call->at, value.type, "%s(%s)%s%s%s", is_last ? "last" : "first",
                      value.sql, filter == NULL ? "" : " FILTER (WHERE ",
                      filter == NULL ? "" : filter, filter == NULL ? "" : ")");
}

static spark_value make_explode(spark *s, spark_call *call)
{
    const spark_value value = call->arguments[0];
    if (value.type->kind == SPARK_ARRAY)
        return spark_made(s, call->at, value.type->fields[0].type, "unnest(%s)", value.sql);
    spark_refuse(s, call->at,
                 "explode() of %s makes several columns: write LATERAL VIEW "
                 "explode(...) t AS key, value",
                 spark_type_name(s->arena, value.type));
    return spark_nothing(s);
}

/* ---- all of them ---- */

static const struct {
    const char *name;
    uint32_t least, most;
    special_fn *make;
    bool of_decimal; /* only where the argument is one */
    bool is_aggregate;
} specials[] = {
    {"coalesce", 1, SPARK_ARGUMENTS_MAX, make_coalesce, false, false},
    {"ifnull", 2, 2, make_coalesce, false, false},
    {"nvl", 2, 2, make_coalesce, false, false},
    {"nvl2", 3, 3, make_nvl2, false, false},
    {"if", 3, 3, make_if, false, false},
    {"nullif", 2, 2, make_nullif, false, false},
    {"greatest", 2, SPARK_ARGUMENTS_MAX, make_greatest, false, false},
    {"least", 2, SPARK_ARGUMENTS_MAX, make_greatest, false, false},
    {"concat", 0, SPARK_ARGUMENTS_MAX, make_concat, false, false},
    {"array", 0, SPARK_ARGUMENTS_MAX, make_array, false, false},
    {"map", 0, SPARK_ARGUMENTS_MAX, make_map, false, false},
    {"struct", 1, SPARK_ARGUMENTS_MAX, make_struct, false, false},
    {"named_struct", 2, SPARK_ARGUMENTS_MAX, make_named_struct, false, false},
    {"map_entries", 1, 1, make_map_entries, false, false},
    {"element_at", 2, 2, make_element_at, false, false},
    {"abs", 1, 1, make_abs, false, false},
    {"negative", 1, 1, make_negative, false, false},
    {"positive", 1, 1, make_positive, false, false},
    {"mod", 2, 2, make_mod, false, false},
    {"pmod", 2, 2, make_pmod, false, false},
    {"ceil", 1, 1, make_ceil, false, false},
    {"ceiling", 1, 1, make_ceil, false, false},
    {"floor", 1, 1, make_ceil, false, false},
    {"timestampadd", 2, 2, make_unit, false, false},
    {"timestampdiff", 2, 2, make_unit, false, false},
    {"typeof", 1, 1, make_typeof, false, false},
    {"date_part", 2, 2, make_date_part, false, false},
    {"datepart", 2, 2, make_date_part, false, false},
    {"count", 0, SPARK_ARGUMENTS_MAX, make_count, false, true},
    {"sum", 1, 1, make_sum, true, true},
    {"avg", 1, 1, make_avg, true, true},
    {"mean", 1, 1, make_avg, true, true},
    {"first", 1, 2, make_first, false, true},
    {"first_value", 1, 2, make_first, false, true},
    {"last", 1, 2, make_first, false, true},
    {"last_value", 1, 2, make_first, false, true},
    {"any_value", 1, 2, make_first, false, true},
    {"explode", 1, 1, make_explode, false, false},
    {"boolean", 1, 1, make_cast, false, false},
    {"tinyint", 1, 1, make_cast, false, false},
    {"smallint", 1, 1, make_cast, false, false},
    {"int", 1, 1, make_cast, false, false},
    {"bigint", 1, 1, make_cast, false, false},
    {"float", 1, 1, make_cast, false, false},
    {"double", 1, 1, make_cast, false, false},
    {"decimal", 1, 1, make_cast, false, false},
    {"string", 1, 1, make_cast, false, false},
    {"binary", 1, 1, make_cast, false, false},
    {"date", 1, 1, make_cast, false, false},
    {"timestamp", 1, 1, make_cast, false, false},
};

bool spark_is_special(const char *name)
{
    size_t i = 0;
    while (i < sizeof specials / sizeof *specials && strcasecmp(specials[i].name, name) != 0)
        i++;
    return i < sizeof specials / sizeof *specials || spark_is_special_more(name);
}

bool spark_apply_special(spark *s, spark_call *call, spark_value *out)
{
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        if (strcasecmp(specials[i].name, call->name) != 0 ||
            (specials[i].of_decimal && !is_of_decimal(call)))
            continue;
        if (call->n < specials[i].least || call->n > specials[i].most ||
            (call->is_star && specials[i].make != make_count) ||
            (call->n == 0 && !call->is_star && specials[i].make == make_count)) {
            spark_refuse(s, call->at, "%s() does not take %u arguments in Spark", call->name,
                         call->n);
            return true;
        }
        if (!specials[i].is_aggregate &&
            (call->over != NULL || call->filter != NULL || call->is_distinct)) {
            spark_refuse(s, call->at, "%s() is no aggregate: it has no OVER, FILTER or DISTINCT",
                         call->name);
            return true;
        }
        for (uint32_t k = 0; k < call->n; k++)
            if (call->arguments[k].type->kind == SPARK_OTHER) {
                *out = spark_nothing(s);
                return true;
            }
        *out = specials[i].make(s, call);
        return true;
    }
    return spark_apply_special_more(s, call, out);
}
