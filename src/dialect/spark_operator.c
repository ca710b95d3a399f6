/* spark_operator.c - arithmetic with Spark's types: whole numbers wrap, decimals have Spark's
 * precision, x / 0 is null, a text is a double, days and months are added to dates.
 *
 * DECIMALS. Sums, products and rests are DuckDB's own where no digit is lost. A quotient is one of
 * whole numbers, a function of ours, rounded half up to the scale that Spark gives it.
 */
#include <string.h>

#include "dialect/spark_internal.h"

static bool is_of(const spark_value *value, spark_kind kind)
{
    return value->type->kind == kind;
}

/* A literal that is not zero. */
static bool is_not_zero(const spark_value *value)
{
    if (value->token == NULL || value->token->kind == TOKEN_TEXT)
        return false;
    for (uint32_t i = 0; i < value->token->length; i++) {
        const char c = value->token->text[i];
        if (c == 'e' || c == 'E')
            return false;
        if (c >= '1' && c <= '9')
            return true;
    }
    return false;
}

static const char *divisor_of(spark *s, const spark_value *value)
{
    return is_not_zero(value) ? value->sql : spark_format(s, "nullif(%s, 0)", value->sql);
}

/* ---- decimals ---- */

/* A whole literal beside a decimal has as many digits as are written. */
static spark_value as_decimal(spark *s, spark_value value)
{
    const spark_type *type = spark_decimal_for(s->arena, value.type);
    const spark_token *token = value.token;
    if (token != NULL && token->kind == TOKEN_INTEGER && spark_is_whole(value.type)) {
        uint32_t zeros = 0;
        while (zeros + 1 < token->length && token->text[zeros] == '0')
            zeros++;
        type = spark_decimal(s->arena, (int)(token->length - zeros), 0);
    }
    return spark_cast(s, value, type);
}

static const char *unscaled(spark *s, const spark_value *value)
{
    const int scale = value->type->scale;
    if (scale == 0)
        return spark_format(s, "CAST(%s AS DECIMAL(38,0))", value->sql);
    return spark_format(s, "CAST(%s * CAST(1%0*d AS DECIMAL(%d,0)) AS DECIMAL(38,0))", value->sql,
                        scale, 0, scale + 1);
}

spark_value spark_decimal_quotient(spark *s, spark_value a, spark_value b, const spark_type *type)
{
    const int shift = type->scale + b.type->scale - a.type->scale;
    const char *quotient = spark_format(s, "spark_decimal_quotient(%s, %s, %d)", unscaled(s, &a),
                                        unscaled(s, &b), shift);
    if (type->scale == 0)
        return spark_made(s, a.at, type, "CAST(%s AS %s)", quotient,
                          spark_type_sql(s->arena, type));
    return spark_made(s, a.at, type, "CAST(%s * CAST(0.%0*d AS DECIMAL(%d,%d)) AS %s)", quotient,
                      type->scale, 1, type->scale + (type->scale < 38), type->scale,
                      spark_type_sql(s->arena, type));
}

/* The type of the result before it is cut. */
static const spark_type *decimal_result(spark *s, char operator, const spark_type * a,
                                        const spark_type *b)
{
    const int scale = a->scale > b->scale ? a->scale : b->scale;
    const int whole_a = a->precision - a->scale, whole_b = b->precision - b->scale;
    const int most = whole_a > whole_b ? whole_a : whole_b, least = whole_a + whole_b - most;
    int quotient = a->scale + b->precision + 1;
    switch (operator) {
    case '*':
        return spark_decimal_adjusted(s->arena, a->precision + b->precision + 1,
                                      a->scale + b->scale);
    case '/':
        quotient = quotient < 6 ? 6 : quotient;
        return spark_decimal_adjusted(s->arena, whole_a + b->scale + quotient, quotient);
    case '%': return spark_decimal_adjusted(s->arena, least + scale, scale);
    default: return spark_decimal_adjusted(s->arena, most + scale + 1, scale);
    }
}

static spark_value decimal_arithmetic(spark *s, char operator, spark_value a, spark_value b,
                                      uint32_t at)
{
    a = as_decimal(s, a);
    b = as_decimal(s, b);
    if (s->failed)
        return spark_nothing(s);
    const spark_type *type = decimal_result(s, operator, a.type, b.type);
    if (operator== '/')
        return spark_decimal_quotient(s, a, b, type);
    const char *divisor = operator== '%' ? divisor_of(s, &b) : b.sql;
    const int digits = a.type->precision + b.type->precision;
    if (operator!= '*' || digits<38)
        return spark_made(s, a.at, type, "CAST(%s %s%c %s AS %s)", a.sql,
                          spark_mark(s, at), operator, divisor, spark_type_sql(s->arena, type));
    /* What has more than 38 digits on the way is an error of its row, never another value. */
    return spark_made(s, a.at, type, "CAST(CAST(%s AS DECIMAL(38,%d)) %s* %s AS %s)", a.sql,
                      a.type->scale, spark_mark(s, at), b.sql, spark_type_sql(s->arena, type));
}

/* ---- whole numbers ---- */

static spark_value whole_arithmetic(spark *s, char operator, spark_value a, spark_value b,
                                    uint32_t at)
{
    static const struct {
        char operator;
        const char *name;
    } names[] = {{'+', "add"}, {'-', "subtract"}, {'*', "multiply"}};
    const spark_type *type = spark_common(s->arena, a.type, b.type, false);
    a = spark_cast(s, a, type);
    b = spark_cast(s, b, type);
    if (operator== '%')
        return spark_made(s, a.at, type, "CAST(%s %s%% %s AS %s)", a.sql, spark_mark(s, at),
                          divisor_of(s, &b), spark_type_sql(s->arena, type));
    size_t i = 0;
    while (names[i].operator!= operator)
        i++;
    if (type->kind >= SPARK_INT)
        return spark_made(s, a.at, type, "%sspark_%s_%s(%s, %s)", spark_mark(s, at), names[i].name,
                          type->kind == SPARK_INT ? "int" : "bigint", a.sql, b.sql);
    spark_value wide = spark_made(s, a.at, spark_type_of(SPARK_INT),
                                  "(CAST(%s AS INTEGER) %s%c CAST(%s AS INTEGER))", a.sql,
                                  spark_mark(s, at), operator, b.sql);
    return spark_cast(s, wide, type);
}

/* ---- dates and times ---- */

/* A date and days; a date or time and an interval. *out is set where it is one. */
static bool time_arithmetic(spark *s, char operator, spark_value a, spark_value b, uint32_t at,
                            spark_value *out)
{
    if (operator== '+' &&(spark_is_interval(a.type) || spark_is_whole(a.type)) &&
        (spark_is_time(b.type) || (b.type->kind == SPARK_STRING && spark_is_interval(a.type)))) {
        const spark_value first = a;
        a = b;
        b = first;
    }
    const char *mark = spark_mark(s, at);
    const spark_type *type = a.type;
    if (is_of(&a, SPARK_DATE) && spark_is_whole(b.type) && b.type->kind != SPARK_BIGINT) {
        *out = spark_made(s, a.at, type, "(%s %s%c %s)", a.sql, mark, operator, b.sql);
    } else if (spark_is_interval(b.type) && (spark_is_time(type) || is_of(&a, SPARK_STRING))) {
        if (is_of(&a, SPARK_STRING))
            a = spark_cast(s, a, spark_type_of(SPARK_TIMESTAMP));
        if (is_of(&a, SPARK_DATE) && is_of(&b, SPARK_MICROS))
            type = spark_type_of(SPARK_TIMESTAMP);
        *out = spark_made(s, a.at, a.type, "CAST(%s %s%c %s AS %s)", a.sql, mark, operator, b.sql,
                          is_of(&a, SPARK_DATE) && type->kind == SPARK_DATE ? "DATE" : "TIMESTAMP");
        if (type->kind == SPARK_TIMESTAMP)
            out->type = type;
        if (type->kind == SPARK_STRING)
            *out = spark_cast(s, *out, type);
    } else if (operator== '-' && is_of(&a, SPARK_DATE) && is_of(&b, SPARK_DATE)) {
        *out = spark_made(s, a.at, spark_type_of(SPARK_DAYS), "to_days(CAST(%s %s- %s AS INTEGER))",
                          a.sql, mark, b.sql);
    } else if (operator== '-' &&(is_of(&a, SPARK_TIMESTAMP) || is_of(&b, SPARK_TIMESTAMP)) &&
               spark_casts_alone(a.type, spark_type_of(SPARK_TIMESTAMP)) &&
               spark_casts_alone(b.type, spark_type_of(SPARK_TIMESTAMP))) {
        a = spark_cast(s, a, spark_type_of(SPARK_TIMESTAMP));
        b = spark_cast(s, b, spark_type_of(SPARK_TIMESTAMP));
        *out = spark_made(s, a.at, spark_type_of(SPARK_MICROS), "(%s %s- %s)", a.sql, mark, b.sql);
    } else if (operator== '-' && is_of(&a, SPARK_DATE) && is_of(&b, SPARK_STRING)) {
        return time_arithmetic(s, operator, a, spark_cast(s, b, spark_type_of(SPARK_DATE)), at,
                               out);
    } else if (spark_is_interval(a.type) && spark_is_interval(b.type) &&
               (a.type->kind == SPARK_MONTHS) == (b.type->kind == SPARK_MONTHS)) {
        type = a.type->kind > b.type->kind ? a.type : b.type;
        *out = spark_made(s, a.at, type, "(%s %s%c %s)", a.sql, mark, operator, b.sql);
    } else {
        return false;
    }
    return true;
}

/* ---- the operators ---- */

static spark_value refuse_types(spark *s, const char *operator, const spark_value * a,
                                const spark_value *b, uint32_t at)
{
    spark_refuse(s, at, "Spark has no %s between %s and %s that Freshet has, too", operator,
                 spark_type_name(s->arena, a->type), spark_type_name(s->arena, b->type));
    return spark_nothing(s);
}

spark_value spark_arithmetic(spark *s, char operator, spark_value a, spark_value b, uint32_t at)
{
    const char name[] = {operator, '\0' };
    spark_value out;
    if (s->failed)
        return spark_nothing(s);
    if (is_of(&a, SPARK_OTHER) || is_of(&b, SPARK_OTHER))
        return spark_made(s, a.at, spark_type_of(SPARK_OTHER), "(%s %s%c %s)", a.sql,
                          spark_mark(s, at), operator, b.sql);
    if ((operator== '+' || operator== '-') && time_arithmetic(s, operator, a, b, at, &out))
        return out;
    if (is_of(&a, SPARK_STRING))
        a = spark_cast(s, a, spark_type_of(SPARK_DOUBLE));
    if (is_of(&b, SPARK_STRING))
        b = spark_cast(s, b, spark_type_of(SPARK_DOUBLE));
    if (is_of(&a, SPARK_NULL))
        a = spark_cast(s, a, is_of(&b, SPARK_NULL) ? spark_type_of(SPARK_DOUBLE) : b.type);
    if (is_of(&b, SPARK_NULL))
        b = spark_cast(s, b, a.type);
    if (!spark_is_number(a.type) || !spark_is_number(b.type))
        return refuse_types(s, name, &a, &b, at);
    const spark_type *common = spark_common(s->arena, a.type, b.type, false);
    if (common->kind == SPARK_DECIMAL)
        return decimal_arithmetic(s, operator, a, b, at);
    if (operator== '/')
        common = spark_type_of(SPARK_DOUBLE);
    else if (spark_is_whole(common))
        return whole_arithmetic(s, operator, a, b, at);
    const spark_token *divisor = b.token;
    a = spark_cast(s, a, common);
    b = spark_cast(s, b, common);
    b.token = divisor;
    return spark_made(
        s, a.at, common, "(%s %s%c %s)", a.sql,
        spark_mark(s, at), operator, operator== '/' || operator== '%' ? divisor_of(s, &b) : b.sql);
}

/* A whole number with its sign, which may be the least one of its type. */
static spark_value negative_literal(spark *s, const spark_value *value, uint32_t at)
{
    const spark_token *token = value->token;
    const spark_type *type = value->type;
    const char *digits = spark_format(s, "%.*s", (int)token->length, token->text);
    digits += strspn(digits, "0");
    if (token->suffix == 0 && strcmp(digits, "2147483648") == 0)
        type = spark_type_of(SPARK_INT);
    if (token->suffix == 0 && strcmp(digits, "9223372036854775808") == 0)
        type = spark_type_of(SPARK_BIGINT);
    spark_value negative =
        spark_made(s, at, type, "CAST('-%s' AS %s)", *digits == '\0' ? "0" : digits,
                   spark_type_sql(s->arena, type));
    negative.token = token;
    negative.is_negative = true;
    return negative;
}

spark_value spark_negate(spark *s, spark_value value, uint32_t at)
{
    const spark_token *token = value.token;
    const bool is_literal = token != NULL && token->kind != TOKEN_TEXT && !value.is_negative;
    if (s->failed)
        return spark_nothing(s);
    if (is_of(&value, SPARK_STRING))
        value = spark_cast(s, value, spark_type_of(SPARK_DOUBLE));
    if (is_of(&value, SPARK_NULL))
        return spark_cast(s, value, spark_type_of(SPARK_DOUBLE));
    const spark_type *type = value.type;
    if (is_literal || type->kind == SPARK_DECIMAL || type->kind >= SPARK_FLOAT) {
        if (!spark_is_number(type) && !spark_is_interval(type) && type->kind != SPARK_OTHER) {
            spark_refuse(s, at, "- takes a number, and this is %s",
                         spark_type_name(s->arena, type));
            return spark_nothing(s);
        }
        if (is_literal && token->kind == TOKEN_INTEGER && type->kind != SPARK_DOUBLE &&
            type->kind != SPARK_FLOAT)
            return negative_literal(s, &value, at);
        spark_value negative = spark_made(s, at, type, "(-%s)", value.sql);
        negative.token = is_literal ? token : NULL;
        negative.is_negative = is_literal;
        return negative;
    }
    spark_value zero = {.sql = "0", .type = type, .at = at};
    if (spark_is_whole(type))
        return whole_arithmetic(
            s, '-',
            spark_made(s, at, type, "CAST(%s AS %s)", zero.sql, spark_type_sql(s->arena, type)),
            value, at);
    spark_refuse(s, at, "- takes a number, and this is %s", spark_type_name(s->arena, type));
    return spark_nothing(s);
}

spark_value spark_whole_division(spark *s, spark_value a, spark_value b, uint32_t at)
{
    const spark_type *bigint = spark_type_of(SPARK_BIGINT);
    if (s->failed)
        return spark_nothing(s);
    if (is_of(&a, SPARK_STRING))
        a = spark_cast(s, a, bigint);
    if (is_of(&b, SPARK_STRING))
        b = spark_cast(s, b, bigint);
    const bool of_decimal = is_of(&a, SPARK_DECIMAL) || is_of(&b, SPARK_DECIMAL);
    const bool a_fits = spark_is_whole(a.type) || is_of(&a, SPARK_DECIMAL) || is_of(&a, SPARK_NULL);
    const bool b_fits = spark_is_whole(b.type) || is_of(&b, SPARK_DECIMAL) || is_of(&b, SPARK_NULL);
    if ((!a_fits || !b_fits) && !is_of(&a, SPARK_OTHER) && !is_of(&b, SPARK_OTHER))
        return refuse_types(s, "DIV", &a, &b, at);
    if (of_decimal && (is_of(&a, SPARK_OTHER) || is_of(&b, SPARK_OTHER))) {
        if (!s->is_blind)
            spark_refuse(s, at,
                         "DIV of a decimal takes a number of a type that Spark has on the "
                         "other side too: cast it");
        return spark_nothing(s);
    }
    if (!of_decimal)
        return spark_made(s, a.at, bigint, "spark_whole_quotient(%s, %s)",
                          spark_cast(s, a, bigint).sql, spark_cast(s, b, bigint).sql);
    const spark_type *type = spark_common(s->arena, a.type, b.type, false);
    a = spark_cast(s, a, type);
    b = spark_cast(s, b, type);
    return spark_made(s, a.at, bigint, "TRY_CAST(spark_decimal_whole(%s, %s) AS BIGINT)",
                      unscaled(s, &a), unscaled(s, &b));
}

spark_value spark_bits(spark *s, const char *operator, spark_value a, spark_value b, uint32_t at)
{
    if (s->failed)
        return spark_nothing(s);
    const bool known = !is_of(&a, SPARK_OTHER) && !is_of(&b, SPARK_OTHER);
    if (known && (!spark_is_whole(a.type) || !spark_is_whole(b.type)))
        return refuse_types(s, operator, & a, &b, at);
    const spark_type *type =
        known ? spark_common(s->arena, a.type, b.type, false) : spark_type_of(SPARK_OTHER);
    a = spark_cast(s, a, type);
    b = spark_cast(s, b, type);
    if (*operator== '^')
        return spark_made(s, a.at, type, "xor(%s, %s)", a.sql, b.sql);
    return spark_made(s, a.at, type, "(%s %s%s %s)", a.sql, spark_mark(s, at), operator, b.sql);
}

spark_value spark_concat(spark *s, spark_value *values, uint32_t n, uint32_t at)
{
    const spark_type *type = spark_type_of(SPARK_STRING);
    bool all_binary = n > 0, any_array = false;
    for (uint32_t i = 0; i < n; i++) {
        all_binary &= is_of(&values[i], SPARK_BINARY);
        any_array |= is_of(&values[i], SPARK_ARRAY);
    }
    if (any_array)
        type = spark_make_common(s, values, n, "concat");
    else if (all_binary)
        type = spark_type_of(SPARK_BINARY);
    if (s->failed || type == NULL)
        return spark_nothing(s);
    const char *sql = "";
    for (uint32_t i = 0; i < n; i++) {
        const spark_value value = spark_cast(s, values[i], type);
        sql = spark_format(s, "%s%s%s", sql, i == 0 ? "" : " || ", value.sql);
    }
    if (any_array) { /* DuckDB leaves out an array that is null */
        const char *nulls = "";
        for (uint32_t i = 0; i < n; i++)
            nulls =
                spark_format(s, "%s%s%s IS NOT NULL", nulls, i == 0 ? "" : " AND ", values[i].sql);
        return spark_made(s, at, type, "CASE WHEN %s THEN (%s) END", nulls, sql);
    }
    return n == 0 ? spark_made(s, at, type, "''") : spark_made(s, at, type, "(%s)", sql);
}
