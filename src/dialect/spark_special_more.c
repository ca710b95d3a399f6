/* spark_special_more.c - the rest of what spark_special.c begins: casts with a mask, rounding of
 * decimals, decode with pairs, try_..., maps out of arrays.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dialect/spark_internal.h"

#define SPARK_PLACES_MAX 400 /* beyond them rounding changes nothing */

static const spark_type *of(spark_kind kind)
{
    return spark_type_of(kind);
}

static spark_value text_of_argument(spark *s, const spark_call *call, uint32_t i)
{
    return spark_cast(s, call->arguments[i], of(SPARK_STRING));
}

/* to_date(x), to_timestamp(x): a cast; with a mask, null where it does not match. */
static spark_value make_to_time(spark *s, spark_call *call)
{
    const spark_type *type =
        of(strcasecmp(call->name, "to_date") == 0 ? SPARK_DATE : SPARK_TIMESTAMP);
    const spark_type *from = call->arguments[0].type;
    if (call->n == 1 || spark_is_time(from)) {
        if (type->kind == SPARK_DATE && spark_is_number(from)) /* Spark gives null for each */
            return spark_made(s, call->at, type, "CAST(NULL AS DATE)");
        return spark_cast(s, call->arguments[0], type);
    }
    const spark_value text = text_of_argument(s, call, 0), mask = text_of_argument(s, call, 1);
    return spark_made(s, call->at, type, "CAST(spark_read_time(%s, %s) AS %s)", text.sql, mask.sql,
                      spark_type_sql(s->arena, type));
}

/* Of a decimal: as many digits as Spark's type of it has; others have rows. */
static spark_value make_round(spark *s, spark_call *call)
{
    const spark_value value = call->arguments[0];
    int places = 0;
    if (call->n == 2) {
        const spark_value *at = &call->arguments[1];
        if (at->token == NULL || !spark_is_whole(at->type)) {
            spark_refuse(s, at->at,
                         "%s() of a decimal takes its digits as a number that is written",
                         call->name);
            return spark_nothing(s);
        }
        const long written = strtol(at->token->text, NULL, 10);
        places = written > SPARK_PLACES_MAX ? SPARK_PLACES_MAX : (int)written;
        if (at->is_negative)
            places = -places;
    }
    const int scale = places < value.type->scale ? places : value.type->scale;
    const int whole = value.type->precision - value.type->scale + 1;
    const int digits = scale < 0 ? (whole > -scale + 1 ? whole : -scale + 1) : whole + scale;
    const spark_type *type =
        spark_decimal(s->arena, digits < 38 ? digits : 38, scale < 0 ? 0 : scale);
    return spark_made(s, call->at, type, "TRY_CAST(spark_round_decimal(%s, %d, %s) AS %s)",
                      value.sql, places, strcasecmp(call->name, "bround") == 0 ? "true" : "false",
                      spark_type_sql(s->arena, type));
}

/* decode(x, a, gives, b, gives ..., otherwise): nulls are equal. */
static spark_value make_decode(spark *s, spark_call *call)
{
    spark_value results[SPARK_ARGUMENTS_MAX];
    uint32_t n = 0;
    const char *sql = "CASE";
    for (uint32_t i = 2; i < call->n; i += 2)
        results[n++] = call->arguments[i];
    if (call->n % 2 == 0)
        results[n++] = call->arguments[call->n - 1];
    const spark_type *type = spark_make_common(s, results, n, "decode");
    for (uint32_t i = 1; type != NULL && i + 1 < call->n; i += 2) {
        spark_value pair[2] = {call->arguments[0], call->arguments[i]};
        if (spark_make_common(s, pair, 2, "decode") == NULL)
            return spark_nothing(s);
        sql = spark_format(s, "%s WHEN %s IS NOT DISTINCT FROM %s THEN %s", sql, pair[0].sql,
                           pair[1].sql, results[i / 2].sql);
    }
    if (type == NULL)
        return spark_nothing(s);
    return spark_made(s, call->at, type, "%s ELSE %s END", sql,
                      call->n % 2 == 0 ? results[n - 1].sql : "NULL");
}

/* try_divide and the like: null where the value does not fit. */
static spark_value make_try(spark *s, spark_call *call)
{
    const char *name = call->name + 4;
    const char operator= strcasecmp(name, "add") == 0 ? '+'
    : strcasecmp(name, "subtract") == 0               ? '-'
    : strcasecmp(name, "multiply") == 0               ? '*'
                                                      : '/';
    const spark_value a = call->arguments[0], b = call->arguments[1];
    if (operator== '/' || !spark_is_whole(a.type) || !spark_is_whole(b.type))
        return spark_arithmetic(s, operator, a, b, call->at);
    const spark_type *type = a.type->kind > b.type->kind ? a.type : b.type;
    const char *sql = spark_type_sql(s->arena, type);
    return spark_made(s, call->at, type, "TRY(CAST(%s AS %s) %c CAST(%s AS %s))", a.sql,
                      sql, operator, b.sql, sql);
}

static spark_value make_map_from_arrays(spark *s, spark_call *call)
{
    const spark_type *keys = call->arguments[0].type, *values = call->arguments[1].type;
    if (keys->kind != SPARK_ARRAY || values->kind != SPARK_ARRAY) {
        spark_refuse(s, call->at, "map_from_arrays() takes two arrays");
        return spark_nothing(s);
    }
    return spark_made(s, call->at,
                      spark_map(s->arena, keys->fields[0].type, values->fields[0].type),
                      "map(%s, %s)", call->arguments[0].sql, call->arguments[1].sql);
}

static const struct {
    const char *name;
    uint32_t least, most;
    spark_value (*make)(spark *s, spark_call *call);
    bool of_decimal; /* only where the first argument is one */
} specials[] = {
    {"to_date", 1, 2, make_to_time, false},
    {"to_timestamp", 1, 2, make_to_time, false},
    {"try_to_timestamp", 1, 2, make_to_time, false},
    {"round", 1, 2, make_round, true},
    {"bround", 1, 2, make_round, true},
    {"decode", 3, SPARK_ARGUMENTS_MAX, make_decode, false},
    {"try_add", 2, 2, make_try, false},
    {"try_subtract", 2, 2, make_try, false},
    {"try_multiply", 2, 2, make_try, false},
    {"try_divide", 2, 2, make_try, false},
    {"map_from_arrays", 2, 2, make_map_from_arrays, false},
};

bool spark_is_special_more(const char *name)
{
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        if (strcasecmp(specials[i].name, name) == 0)
            return true;
    return false;
}

bool spark_apply_special_more(spark *s, spark_call *call, spark_value *out)
{
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        if (strcasecmp(specials[i].name, call->name) != 0 || call->n < specials[i].least ||
            call->n > specials[i].most || call->over != NULL || call->filter != NULL ||
            call->is_distinct ||
            (specials[i].of_decimal && call->arguments[0].type->kind != SPARK_DECIMAL))
            continue;
        for (uint32_t k = 0; k < call->n; k++)
            if (call->arguments[k].type->kind == SPARK_OTHER) {
                *out = spark_nothing(s);
                return true;
            }
        *out = specials[i].make(s, call);
        return true;
    }
    return false;
}
