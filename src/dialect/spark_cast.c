/* spark_cast.c - CAST as Spark does it with ANSI mode off: what does not fit wraps or is null.
 *
 * One function for each type that is cast to, which says for each type that is cast from what gives
 * Spark's value in DuckDB. Lists, maps and structs are cast by their parts. Functions named
 * spark_... are those of spark_calls.c.
 */
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "dialect/spark_internal.h"

#define MASK_32 "4294967295"
#define MASK_64 "18446744073709551615"

static spark_value refuse_cast(spark *s, const spark_value *value, const spark_type *to)
{
    spark_refuse(s, value->at, "Spark cannot cast a value of type %s to %s",
                 spark_type_name(s->arena, value->type), spark_type_name(s->arena, to));
    return spark_nothing(s);
}

static const char *as(spark *s, const char *sql, const spark_type *to)
{
    return spark_format(s, "CAST(%s AS %s)", sql, spark_type_sql(s->arena, to));
}

/* ---- to numbers ---- */

/* The low bits of a whole number, as one of `to`: 8 to 64 bits. */
static const char *wrap(spark *s, const char *sql, const spark_type *from, const spark_type *to)
{
    static const struct {
        const char *mask, *sign;
    } bits[] = {
        [SPARK_TINYINT] = {"255", "128"},
        [SPARK_SMALLINT] = {"65535", "32768"},
        [SPARK_INT] = {MASK_32, "2147483648"},
        [SPARK_BIGINT] = {MASK_64, "9223372036854775808"},
    };
    const char *wide =
        from->kind == SPARK_DECIMAL || to->kind == SPARK_BIGINT ? "HUGEINT" : "BIGINT";
    return spark_format(s, "CAST(xor(CAST(%s AS %s) & %s, %s) - %s AS %s)", sql, wide,
                        bits[to->kind].mask, bits[to->kind].sign, bits[to->kind].sign,
                        spark_type_sql(s->arena, to));
}

/* Whole seconds since 1970, rounded down. */
static const char *seconds_of(spark *s, const char *sql)
{
    return spark_format(s, "spark_floor_divide(epoch_us(%s), 1000000)", sql);
}

static const char *to_whole(spark *s, const spark_value *value, const spark_type *to)
{
    const char *sql = value->sql;
    const bool is_bigint = to->kind == SPARK_BIGINT;
    const char *wide;
    switch (value->type->kind) {
    case SPARK_BOOLEAN: return as(s, sql, to);
    case SPARK_TINYINT:
    case SPARK_SMALLINT:
    case SPARK_INT:
    case SPARK_BIGINT:
        return value->type->kind <= to->kind ? as(s, sql, to) : wrap(s, sql, value->type, to);
    case SPARK_FLOAT:
    case SPARK_DOUBLE:
        wide = spark_format(s, is_bigint ? "spark_real_to_bigint(%s)" : "spark_real_to_int(%s)",
                            as(s, sql, spark_type_of(SPARK_DOUBLE)));
        return is_bigint || to->kind == SPARK_INT ? wide
                                                  : wrap(s, wide, spark_type_of(SPARK_INT), to);
    case SPARK_DECIMAL:
        if (value->type->precision - value->type->scale <= 18)
            return value->type->precision - value->type->scale <= 9 || is_bigint
                       ? (to->kind < SPARK_INT ? wrap(s, spark_format(s, "trunc(%s)", sql),
                                                      spark_type_of(SPARK_BIGINT), to)
                                               : as(s, spark_format(s, "trunc(%s)", sql), to))
                       : wrap(s, spark_format(s, "trunc(%s)", sql), spark_type_of(SPARK_BIGINT),
                              to);
        return wrap(s, spark_format(s, "trunc(%s)", sql), value->type, to);
    case SPARK_STRING:
        if (is_bigint)
            return spark_format(s, "spark_text_to_bigint(%s)", sql);
        if (to->kind == SPARK_INT)
            return spark_format(s, "spark_text_to_int(%s)", sql);
        return spark_format(s, "TRY_CAST(spark_text_to_int(%s) AS %s)", sql,
                            spark_type_sql(s->arena, to));
    case SPARK_DATE:
        return as(s, spark_format(s, "CASE WHEN false THEN epoch_us(%s) END", sql), to);
    case SPARK_TIMESTAMP:
        return is_bigint ? seconds_of(s, sql)
                         : wrap(s, seconds_of(s, sql), spark_type_of(SPARK_BIGINT), to);
    default: return NULL;
    }
}

static const char *to_real(spark *s, const spark_value *value, const spark_type *to)
{
    switch (value->type->kind) {
    case SPARK_STRING:
        return spark_format(
            s, to->kind == SPARK_DOUBLE ? "spark_text_to_double(%s)" : "spark_text_to_float(%s)",
            value->sql);
    case SPARK_DATE:
        return as(s, spark_format(s, "CASE WHEN false THEN epoch_us(%s) END", value->sql), to);
    case SPARK_TIMESTAMP:
        return as(
            s,
            spark_format(s, "(CAST(epoch_us(%s) AS DOUBLE) / CAST(1000000 AS DOUBLE))", value->sql),
            to);
    case SPARK_DECIMAL:
        if (value->type->precision <= 15 && to->kind == SPARK_DOUBLE) /* then DuckDB's is exact */
            return as(s, value->sql, to);
        return spark_format(s,
                            to->kind == SPARK_DOUBLE ? "spark_text_to_double(CAST(%s AS VARCHAR))"
                                                     : "spark_text_to_float(CAST(%s AS VARCHAR))",
                            value->sql);
    default:
        if (value->type->kind == SPARK_BOOLEAN || spark_is_number(value->type))
            return as(s, value->sql, to);
        return NULL;
    }
}

static const char *to_decimal(spark *s, const spark_value *value, const spark_type *to)
{
    const spark_type *from = value->type;
    const char *type = spark_type_sql(s->arena, to);
    switch (from->kind) {
    case SPARK_BOOLEAN:
        return spark_format(s, "TRY_CAST(CAST(%s AS INTEGER) AS %s)", value->sql, type);
    case SPARK_TINYINT:
    case SPARK_SMALLINT:
    case SPARK_INT:
    case SPARK_BIGINT:
    case SPARK_DECIMAL:
        from = spark_decimal_for(s->arena, from);
        if (from->precision - from->scale <= to->precision - to->scale && from->scale <= to->scale)
            return as(s, value->sql, to);
        return spark_format(s, "TRY_CAST(%s AS %s)", value->sql, type);
    case SPARK_FLOAT:
        return spark_format(s, "TRY_CAST(spark_decimal_text(spark_float_text(%s)) AS %s)",
                            value->sql, type);
    case SPARK_DOUBLE:
        return spark_format(s, "TRY_CAST(spark_decimal_text(spark_double_text(%s)) AS %s)",
                            value->sql, type);
    case SPARK_STRING:
        return spark_format(s, "TRY_CAST(spark_decimal_text(%s) AS %s)", value->sql, type);
    case SPARK_DATE:
        return spark_format(s, "CAST(CASE WHEN %s IS NULL THEN NULL END AS %s)", value->sql, type);
    case SPARK_TIMESTAMP:
        return spark_format(
            s,
            "TRY_CAST(CAST(epoch_us(%s) AS DECIMAL(20,0)) * CAST(0.000001 AS DECIMAL(7,6)) AS %s)",
            value->sql, type);
    default: return NULL;
    }
}

/* ---- to other simple types ---- */

static const char *to_boolean(spark *s, const spark_value *value)
{
    const spark_type *from = value->type;
    if (from->kind == SPARK_STRING)
        return spark_format(s, "spark_text_to_boolean(%s)", value->sql);
    if (spark_is_number(from))
        return spark_format(s, "(%s <> 0)", value->sql);
    if (from->kind == SPARK_TIMESTAMP)
        return spark_format(s, "(epoch_us(%s) <> 0)", value->sql);
    if (from->kind == SPARK_DATE)
        return spark_format(s, "CAST(CASE WHEN %s IS NULL THEN NULL END AS BOOLEAN)", value->sql);
    return NULL;
}

static const char *to_date(spark *s, const spark_value *value)
{
    if (value->type->kind == SPARK_STRING)
        return spark_format(s, "spark_text_to_date(%s)", value->sql);
    return value->type->kind == SPARK_TIMESTAMP ? as(s, value->sql, spark_type_of(SPARK_DATE))
                                                : NULL;
}

static const char *to_timestamp(spark *s, const spark_value *value)
{
    const spark_type *from = value->type;
    switch (from->kind) {
    case SPARK_STRING: return spark_format(s, "spark_text_to_timestamp(%s)", value->sql);
    case SPARK_DATE: return as(s, value->sql, spark_type_of(SPARK_TIMESTAMP));
    case SPARK_BOOLEAN:
        return spark_format(s, "make_timestamp(CAST(CAST(%s AS INTEGER) AS BIGINT))", value->sql);
    case SPARK_TINYINT:
    case SPARK_SMALLINT:
    case SPARK_INT:
    case SPARK_BIGINT:
        return spark_format(s, "spark_seconds_to_timestamp(%s)",
                            as(s, value->sql, spark_type_of(SPARK_BIGINT)));
    case SPARK_FLOAT:
    case SPARK_DOUBLE:
        return spark_format(s, "spark_real_to_timestamp(%s)",
                            as(s, value->sql, spark_type_of(SPARK_DOUBLE)));
    case SPARK_DECIMAL:
        return spark_format(
            s, "make_timestamp(CAST(trunc(%s * 1000000) AS BIGINT))",
            as(s, value->sql, spark_decimal(s->arena, 31, from->scale > 12 ? 12 : from->scale)));
    default: return NULL;
    }
}

static const char *to_binary(spark *s, const spark_value *value)
{
    if (value->type->kind == SPARK_STRING)
        return spark_format(s, "encode(%s)", value->sql);
    return NULL; /* numbers as bytes: nobody's features */
}

/* ---- to texts ---- */

static const char *as_text(spark *s, const char *sql, const spark_type *from, unsigned depth);

/* '{a, b}', '[a, b]': a null within is 'null'. */
static const char *text_or_null(spark *s, const char *sql, const spark_type *from, unsigned depth)
{
    return spark_format(s, "coalesce(%s, 'null')", as_text(s, sql, from, depth));
}

static const char *text_of_struct(spark *s, const char *sql, const spark_type *from, unsigned depth)
{
    const char *parts = "";
    for (uint32_t i = 0; i < from->n; i++)
        parts = spark_format(
            s, "%s%s%s", parts, i == 0 ? "" : " || ', ' || ",
            text_or_null(s,
                         spark_format(s, "struct_extract(%s, %s)", sql,
                                      spark_literal(s, from->fields[i].name,
                                                    (uint32_t)strlen(from->fields[i].name))),
                         from->fields[i].type, depth + 1));
    return spark_format(s, "CASE WHEN %s IS NOT NULL THEN '{' || %s || '}' END", sql,
                        from->n == 0 ? "''" : parts);
}

static const char *as_text(spark *s, const char *sql, const spark_type *from, unsigned depth)
{
    const char *name = spark_format(s, "__e%u", depth);
    switch (from->kind) {
    case SPARK_STRING: return sql;
    case SPARK_NULL: return spark_format(s, "CAST(%s AS VARCHAR)", sql);
    case SPARK_FLOAT: return spark_format(s, "spark_float_text(%s)", sql);
    case SPARK_DOUBLE: return spark_format(s, "spark_double_text(%s)", sql);
    case SPARK_DATE: return spark_format(s, "spark_date_text(%s)", sql);
    case SPARK_TIMESTAMP: return spark_format(s, "spark_timestamp_text(%s)", sql);
    case SPARK_BINARY: return spark_format(s, "decode(%s)", sql);
    case SPARK_DECIMAL:
        return from->scale > 6 || from->scale == from->precision
                   ? spark_format(s, "spark_java_decimal(CAST(%s AS VARCHAR))", sql)
                   : spark_format(s, "CAST(%s AS VARCHAR)", sql);
    case SPARK_MONTHS:
    case SPARK_DAYS:
    case SPARK_MICROS: return NULL;
    case SPARK_ARRAY:
        return spark_format(
            s, "'[' || array_to_string(list_transform(%s, lambda %s: %s), ', ') || ']'", sql, name,
            text_or_null(s, name, from->fields[0].type, depth + 1));
    case SPARK_MAP:
        return spark_format(
            s,
            "'{' || array_to_string(list_transform(map_entries(%s), lambda %s: %s || ' -> ' || "
            "%s), "
            "', ') || '}'",
            sql, name,
            text_or_null(s, spark_format(s, "%s.key", name), from->fields[0].type, depth + 1),
            text_or_null(s, spark_format(s, "%s.value", name), from->fields[1].type, depth + 1));
    case SPARK_STRUCT: return text_of_struct(s, sql, from, depth);
    default: return spark_format(s, "CAST(%s AS VARCHAR)", sql);
    }
}

/* ---- parts ---- */

/* From array to array, map to map, struct to struct, by their parts. */
static spark_value cast_parts(spark *s, spark_value value, const spark_type *to)
{
    const spark_type *from = value.type;
    const char *name = spark_format(s, "__c%u", s->depth);
    spark_value part = value;
    if (from->n != to->n || !spark_enter(s))
        return s->failed ? spark_nothing(s) : refuse_cast(s, &value, to);
    if (from->kind == SPARK_ARRAY) {
        part.sql = name;
        part.type = from->fields[0].type;
        part = spark_cast(s, part, to->fields[0].type);
        value = spark_made(s, value.at, to, "list_transform(%s, lambda %s: %s)", value.sql, name,
                           part.sql);
    } else {
        const char *parts = "";
        for (uint32_t i = 0; i < from->n; i++) {
            const char *field =
                from->kind == SPARK_MAP ? (i == 0 ? "key" : "value") : from->fields[i].name;
            const char *into = from->kind == SPARK_MAP ? field : to->fields[i].name;
            part.sql = spark_format(s, "struct_extract(%s, %s)",
                                    from->kind == SPARK_MAP ? name : value.sql,
                                    spark_literal(s, field, (uint32_t)strlen(field)));
            part.type = from->fields[i].type;
            parts =
                spark_format(s, "%s%s%s := %s", parts, i == 0 ? "" : ", ", spark_quoted(s, into),
                             spark_cast(s, part, to->fields[i].type).sql);
        }
        if (from->kind == SPARK_MAP)
            value = spark_made(
                s, value.at, to,
                "map_from_entries(list_transform(map_entries(%s), lambda %s: struct_pack(%s)))",
                value.sql, name, parts);
        else
            value = spark_made(s, value.at, to, "CASE WHEN %s IS NOT NULL THEN struct_pack(%s) END",
                               value.sql, parts);
    }
    spark_leave(s);
    return value;
}

/* ---- the whole ---- */

static const char *cast_simple(spark *s, const spark_value *value, const spark_type *to)
{
    switch (to->kind) {
    case SPARK_BOOLEAN: return to_boolean(s, value);
    case SPARK_TINYINT:
    case SPARK_SMALLINT:
    case SPARK_INT:
    case SPARK_BIGINT: return to_whole(s, value, to);
    case SPARK_FLOAT:
    case SPARK_DOUBLE: return to_real(s, value, to);
    case SPARK_DECIMAL: return to_decimal(s, value, to);
    case SPARK_STRING: return as_text(s, value->sql, value->type, 0);
    case SPARK_BINARY: return to_binary(s, value);
    case SPARK_DATE: return to_date(s, value);
    case SPARK_TIMESTAMP: return to_timestamp(s, value);
    case SPARK_MICROS: return value->type->kind == SPARK_DAYS ? value->sql : NULL;
    default: return NULL;
    }
}

/* 'epoch' is a time in a constant; 'now', 'today' and the like are the clock's, and refused. */
static bool is_word_of_time(spark *s, const spark_value *value)
{
    static const char *const words[] = {"epoch", "now", "today", "tomorrow", "yesterday"};
    const spark_token *token = value->token;
    if (token == NULL || token->kind != TOKEN_TEXT)
        return false;
    const char *text = token->text;
    size_t length = token->length;
    number_trim(&text, &length);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i]) != length || strncasecmp(words[i], text, length) != 0)
            continue;
        if (i > 0)
            spark_refuse(s, value->at, "'%s': %s", words[i], spark_refusal_of("current_timestamp"));
        return true;
    }
    return false;
}

spark_value spark_cast(spark *s, spark_value value, const spark_type *to)
{
    const spark_type *from = value.type;
    if (s->failed)
        return spark_nothing(s);
    if (spark_type_equal(from, to) || from->kind == SPARK_OTHER || to->kind == SPARK_OTHER) {
        if (from->kind == SPARK_OTHER)
            value.type = to;
        return value;
    }
    if (from->kind == SPARK_NULL)
        return spark_made(s, value.at, to, "CAST(%s AS %s)", value.sql,
                          spark_type_sql(s->arena, to));
    if (spark_is_time(to) && is_word_of_time(s, &value))
        return s->failed ? spark_nothing(s)
                         : spark_made(s, value.at, to, "CAST('1970-01-01' AS %s)",
                                      spark_type_sql(s->arena, to));
    if (from->kind == SPARK_MAP && from->is_entries)
        value = spark_as_map(s, value);
    if (from->kind == to->kind && from->n > 0)
        return cast_parts(s, value, to);
    const char *sql = cast_simple(s, &value, to);
    if (s->failed)
        return spark_nothing(s);
    if (sql == NULL && (to->kind == SPARK_STRING || from->kind == SPARK_STRING) &&
        (spark_is_interval(from) || spark_is_interval(to))) {
        spark_refuse(s, value.at,
                     "an interval is no text here, nor a text an interval: write its "
                     "days as datediff(a, b), its seconds as unix_timestamp(a) - "
                     "unix_timestamp(b)");
        return spark_nothing(s);
    }
    return sql == NULL ? refuse_cast(s, &value, to) : spark_made(s, value.at, to, "%s", sql);
}

/* ---- types in the text ---- */

static const spark_type *parse_decimal(spark *s)
{
    int parts[2] = {10, 0};
    if (!spark_take(s, "("))
        return spark_decimal(s->arena, 10, 0);
    for (int i = 0; i < 2; i++) {
        const spark_token *here = spark_peek(s, 0);
        if (here->kind != TOKEN_INTEGER || here->length > 3) {
            spark_refuse(s, here->at, "a number of digits stands here: decimal(10,2)");
            return spark_type_of(SPARK_OTHER);
        }
        parts[i] = 0;
        for (uint32_t k = 0; k < here->length; k++)
            parts[i] = parts[i] * 10 + (here->text[k] - '0');
        s->at++;
        if (i == 0 && !spark_take(s, ","))
            break;
    }
    if (parts[0] < 1 || parts[0] > 38 || parts[1] > parts[0])
        spark_refuse(s, spark_peek(s, 0)->at,
                     "decimal(%d,%d): a decimal has 1 to 38 digits, and no more of them behind the "
                     "point",
                     parts[0], parts[1]);
    spark_expect(s, ")");
    return spark_decimal(s->arena, parts[0], parts[1]);
}

static const spark_type *parse_struct(spark *s)
{
    spark_field fields[SPARK_ARGUMENTS_MAX];
    uint32_t n = 0;
    while (!s->failed && !spark_is(s, 0, ">") && n < SPARK_ARGUMENTS_MAX) {
        fields[n].name = spark_take_name(s, "the name of a field");
        spark_take(s, ":");
        fields[n++].type = spark_parse_type(s);
        if (!spark_take(s, ","))
            break;
    }
    return spark_struct(s->arena, fields, n);
}

const spark_type *spark_parse_type(spark *s)
{
    const spark_token *here = spark_peek(s, 0);
    const spark_type *type = spark_type_of(SPARK_OTHER);
    if (!spark_enter(s))
        return type;
    s->at++;
    const bool is_of = spark_is(s, 0, "<");
    if (is_of && (spark_token_is(here, "array") || spark_token_is(here, "map") ||
                  spark_token_is(here, "struct"))) {
        s->at++;
        if (spark_token_is(here, "struct"))
            type = parse_struct(s);
        else
            type = spark_parse_type(s);
        if (spark_token_is(here, "map")) {
            spark_expect(s, ",");
            type = spark_map(s->arena, type, spark_parse_type(s));
        } else if (spark_token_is(here, "array")) {
            type = spark_array(s->arena, type);
        }
        spark_expect(s, ">");
    } else if (spark_token_is(here, "varchar") || spark_token_is(here, "char") ||
               spark_token_is(here, "character")) {
        spark_expect(s, "(");
        s->at++;
        spark_expect(s, ")");
        type = spark_type_of(SPARK_STRING);
    } else {
        const spark_type *named =
            here->kind == TOKEN_NAME ? spark_type_named(here->text, here->length) : NULL;
        if (named == NULL)
            spark_refuse(s, here->at, "\"%.*s\" is no type of Spark's SQL that Freshet has",
                         (int)(here->length < 60 ? here->length : 60), here->text);
        else
            type = named->kind == SPARK_DECIMAL ? parse_decimal(s) : named;
    }
    spark_leave(s);
    return type;
}
