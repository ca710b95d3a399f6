/* spark_primary.c - what stands alone in an expression: literals, CASE, CAST, calls, columns,
 * brackets; and what follows it at once: [index], .field.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dialect/spark_internal.h"

/* ---- literals ---- */

static spark_value parse_text(spark *s)
{
    const spark_token *first = spark_peek(s, 0);
    spark_token *joined = arena_alloc(s->arena, sizeof *joined);
    if (joined == NULL) {
        spark_no_memory(s);
        return spark_nothing(s);
    }
    *joined = *first;
    s->at++;
    while (spark_peek(s, 0)->kind == TOKEN_TEXT) { /* texts that follow each other are one */
        const spark_token *next = spark_peek(s, 0);
        char *both = arena_alloc(s->arena, joined->length + (size_t)next->length + 1);
        if (both == NULL) {
            spark_no_memory(s);
            return spark_nothing(s);
        }
        memcpy(both, joined->text, joined->length);
        memcpy(both + joined->length, next->text, next->length + (size_t)1);
        joined->text = both;
        joined->length += next->length;
        s->at++;
    }
    spark_value value = spark_made(s, first->at, spark_type_of(SPARK_STRING), "%s",
                                   spark_literal(s, joined->text, joined->length));
    value.token = joined;
    return value;
}

static spark_value make_decimal(spark *s, const spark_token *token)
{
    uint32_t whole = 0, scale = 0, leading = 0;
    bool behind = false, any = false;
    for (uint32_t i = 0; i < token->length; i++) {
        if (token->text[i] == '.') {
            behind = true;
            continue;
        }
        any |= token->text[i] != '0';
        scale += behind;
        whole += !behind && any;
        leading += behind && !any;
    }
    (void)leading;
    const uint32_t precision = whole + scale == 0 ? 1 : whole + scale;
    if (precision > 38) {
        spark_refuse(s, token->at,
                     "a decimal has 38 digits at most: write it with an exponent, "
                     "as a double");
        return spark_nothing(s);
    }
    return spark_made(s, token->at, spark_decimal(s->arena, (int)precision, (int)scale),
                      "CAST('%.*s' AS DECIMAL(%u,%u))", (int)token->length, token->text, precision,
                      scale);
}

/* The negative one of least is not there as a literal without a sign: a whole number beyond int
 * is a bigint, as Spark has it. */
static spark_value parse_number(spark *s)
{
    const spark_token *token = spark_peek(s, 0);
    const int length = (int)token->length;
    spark_kind kind = SPARK_INT;
    spark_value value;
    s->at++;
    if (length > 100) {
        spark_refuse(s, token->at, "a number has 100 digits at most");
        return spark_nothing(s);
    }
    if (token->suffix == 'B' || (token->kind == TOKEN_DECIMAL && token->suffix == 0)) {
        value = token->kind == TOKEN_REAL ? spark_nothing(s) : make_decimal(s, token);
        if (token->kind == TOKEN_REAL)
            spark_refuse(s, token->at, "a decimal with an exponent: write its digits out");
    } else if (token->suffix == 'D' || token->suffix == 'F' || token->kind == TOKEN_REAL) {
        kind = token->suffix == 'F' ? SPARK_FLOAT : SPARK_DOUBLE;
        value = spark_made(s, token->at, spark_type_of(kind), "CAST('%.*s' AS %s)", length,
                           token->text, spark_type_sql(s->arena, spark_type_of(kind)));
    } else {
        char digits[104];
        memcpy(digits, token->text, (size_t)length);
        digits[length] = '\0';
        const char *first = digits + strspn(digits, "0");
        const size_t n = strlen(first);
        const bool fits_int = n < 10 || (n == 10 && strcmp(first, "2147483647") <= 0);
        const bool fits_bigint = n < 19 || (n == 19 && strcmp(first, "9223372036854775807") <= 0);
        kind = token->suffix == 'Y'                ? SPARK_TINYINT
               : token->suffix == 'S'              ? SPARK_SMALLINT
               : token->suffix == 'L' || !fits_int ? SPARK_BIGINT
                                                   : SPARK_INT;
        if (!fits_bigint && n <= 38 && token->suffix == 0)
            value = spark_made(s, token->at, spark_decimal(s->arena, (int)n, 0),
                               "CAST('%s' AS DECIMAL(%d,0))", first, (int)n);
        else if (!fits_bigint) {
            spark_refuse(s, token->at, "the number is too large");
            value = spark_nothing(s);
        } else if (kind == SPARK_INT)
            value =
                spark_made(s, token->at, spark_type_of(kind), "%s", *first == '\0' ? "0" : first);
        else
            value = spark_made(s, token->at, spark_type_of(kind), "CAST(%s AS %s)",
                               *first == '\0' ? "0" : first,
                               spark_type_sql(s->arena, spark_type_of(kind)));
    }
    value.token = token;
    return value;
}

/* DATE '..', TIMESTAMP '..', X'..': Spark reads these when it parses. */
static spark_value parse_typed(spark *s)
{
    const spark_token *type = spark_peek(s, 0);
    s->at++;
    spark_value text = parse_text(s);
    if (spark_token_is(type, "date"))
        return spark_made(s, type->at, spark_type_of(SPARK_DATE), "CAST(%s AS DATE)", text.sql);
    if (spark_token_is(type, "x"))
        return spark_made(s, type->at, spark_type_of(SPARK_BINARY), "unhex(%s)", text.sql);
    return spark_made(s, type->at, spark_type_of(SPARK_TIMESTAMP), "spark_text_to_timestamp(%s)",
                      text.sql);
}

/* ---- intervals ---- */

static const struct {
    const char *name, *function;
    spark_kind kind;
} units[] = {
    {"year", "to_years", SPARK_MONTHS},
    {"month", "to_months", SPARK_MONTHS},
    {"week", "to_weeks", SPARK_DAYS},
    {"day", "to_days", SPARK_DAYS},
    {"hour", "to_hours", SPARK_MICROS},
    {"minute", "to_minutes", SPARK_MICROS},
    {"second", "to_seconds", SPARK_MICROS},
    {"millisecond", "to_milliseconds", SPARK_MICROS},
    {"microsecond", "to_microseconds", SPARK_MICROS},
};

#define N_UNITS (sizeof units / sizeof *units)

static size_t find_unit(const char *text, uint32_t length)
{
    char name[20];
    if (length >= sizeof name)
        return N_UNITS;
    for (uint32_t i = 0; i < length; i++)
        name[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
    name[length] = '\0';
    if (length > 1 && name[length - 1] == 's')
        name[length - 1] = '\0';
    size_t i = 0;
    while (i < N_UNITS && strcmp(units[i].name, name) != 0)
        i++;
    return i;
}

/* One part of an interval, added to those before. */
static void add_part(spark *s, spark_value *all, const char *amount, size_t unit, uint32_t at)
{
    const bool is_first = all->sql == NULL;
    if (!is_first && (all->type->kind == SPARK_MONTHS) != (units[unit].kind == SPARK_MONTHS)) {
        spark_refuse(s, at,
                     "an interval has years and months, or days and less, not both: add "
                     "one interval after the other");
        return;
    }
    const spark_type *type = spark_type_of(units[unit].kind);
    if (!is_first && all->type->kind > type->kind)
        type = all->type;
    const char *part = spark_format(s, "%s(%s)", units[unit].function, amount);
    *all = spark_made(s, all->at, type, "%s%s%s", is_first ? "" : all->sql, is_first ? "" : " + ",
                      part);
}

/* The text of INTERVAL '...': '1 month', '1 day 2 hours', with or without the word in front. */
static void read_parts(spark *s, spark_value *all, const char *text, uint32_t at)
{
    const char *c = text;
    while (!s->failed) {
        while (*c == ' ' || *c == '\t' || *c == '\n')
            c++;
        if (*c == '\0')
            return;
        const char *amount = c;
        c += *c == '-' || *c == '+';
        c += strspn(c, "0123456789.");
        const size_t n = (size_t)(c - amount);
        while (*c == ' ')
            c++;
        const char *name = c;
        while ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z'))
            c++;
        if (n == 8 && strncasecmp(amount, "interval", 8) == 0)
            continue;
        const size_t unit = find_unit(name, (uint32_t)(c - name));
        if (n == 0 || unit == N_UNITS) {
            spark_refuse(s, at, "\"%.60s\" is no interval: write it as in INTERVAL 1 DAY", text);
            return;
        }
        add_part(s, all, spark_format(s, "%.*s", (int)n, amount), unit, at);
    }
}

/* Behind INTERVAL: '1 month', '1' MONTH, 1 MONTH 2 YEARS, x DAYS. */
spark_value spark_interval(spark *s, uint32_t at)
{
    spark_value all = {.at = at};
    const spark_token *here = spark_peek(s, 0);
    if (here->kind == TOKEN_TEXT &&
        find_unit(spark_peek(s, 1)->text, spark_peek(s, 1)->length) == N_UNITS) {
        spark_value text = parse_text(s);
        const char *from = text.token == NULL ? "" : text.token->text;
        read_parts(s, &all, strncasecmp(from, "interval", 8) == 0 ? from + 8 : from, at);
    }
    while (!s->failed && all.sql == NULL) {
        do {
            const bool negative = spark_take(s, "-");
            spark_value amount = spark_primary(s);
            const spark_token *name = spark_peek(s, 0);
            const size_t unit = find_unit(name->text, name->length);
            if (unit == N_UNITS || name->kind != TOKEN_NAME) {
                spark_refuse(s, name->at,
                             "an interval's unit stands here: year, month, week, day, "
                             "hour, minute, second");
                return spark_nothing(s);
            }
            s->at++;
            if (spark_take(s, "to")) {
                spark_refuse(s, name->at,
                             "intervals of several fields: write each with its unit, "
                             "as in INTERVAL 1 DAY + INTERVAL 2 HOURS");
                return spark_nothing(s);
            }
            const bool is_text = amount.token != NULL && amount.token->kind == TOKEN_TEXT;
            const bool is_fine = units[unit].kind == SPARK_MICROS;
            if (is_text && strspn(amount.token->text, "+-0123456789.") != amount.token->length)
                spark_refuse(s, amount.at, "\"%.60s\" is no number of an interval",
                             amount.token->text);
            const char *number = is_text   ? spark_format(s, "(%s)", amount.token->text)
                                 : is_fine ? amount.sql
                                           : spark_cast(s, amount, spark_type_of(SPARK_INT)).sql;
            add_part(s, &all, spark_format(s, "%s%s", negative ? "-" : "", number), unit, at);
        } while (
            !s->failed &&
            (spark_peek(s, 0)->kind == TOKEN_INTEGER || spark_peek(s, 0)->kind == TOKEN_TEXT) &&
            find_unit(spark_peek(s, 1)->text, spark_peek(s, 1)->length) != N_UNITS);
    }
    if (s->failed || all.sql == NULL)
        return spark_nothing(s);
    return spark_made(s, at, all.type, "(%s)", all.sql);
}

/* ---- CASE, CAST ---- */

static spark_value parse_case(spark *s)
{
    const uint32_t at = spark_peek(s, 0)->at;
    spark_value results[SPARK_ARGUMENTS_MAX + 1];
    const char *conditions[SPARK_ARGUMENTS_MAX + 1];
    uint32_t n = 0;
    s->at++;
    const bool has_subject = !spark_is(s, 0, "when");
    spark_value subject = has_subject ? spark_expression(s) : spark_nothing(s);
    while (!s->failed && spark_take(s, "when")) {
        const uint32_t when = spark_peek(s, 0)->at;
        if (n == SPARK_ARGUMENTS_MAX) {
            spark_refuse(s, when, "CASE has more than %u branches: join with a table instead",
                         SPARK_ARGUMENTS_MAX);
            break;
        }
        spark_value condition = spark_expression(s);
        condition = has_subject ? spark_compare(s, subject, "=", condition, when)
                                : spark_boolean(s, condition);
        conditions[n] = condition.sql;
        spark_expect(s, "then");
        results[n++] = spark_expression(s);
    }
    if (n == 0)
        spark_expect(s, "when");
    const bool has_else = spark_take(s, "else");
    if (has_else)
        results[n] = spark_expression(s);
    spark_expect(s, "end");
    const spark_type *type = spark_make_common(s, results, n + has_else, "CASE");
    if (type == NULL)
        return spark_nothing(s);
    const char *sql = "CASE";
    for (uint32_t i = 0; i < n; i++)
        sql = spark_format(s, "%s WHEN %s THEN %s", sql, conditions[i], results[i].sql);
    if (has_else)
        sql = spark_format(s, "%s ELSE %s", sql, results[n].sql);
    return spark_made(s, at, type, "%s END", sql);
}

static spark_value parse_cast(spark *s)
{
    const uint32_t at = spark_peek(s, 0)->at;
    s->at += 2;
    spark_value value = spark_expression(s);
    spark_expect(s, "as");
    const spark_type *type = spark_parse_type(s);
    spark_expect(s, ")");
    const bool is_same = !s->failed && spark_type_equal(value.type, type);
    value = spark_cast(s, value, type);
    if (s->failed)
        return spark_nothing(s);
    return is_same ? spark_made(s, at, type, "%s", value.sql) : value;
}

/* ---- brackets ---- */

/* (query), (a, b), (a); x -> ... and (x, y) -> ... are read by those who know what x is. */
static spark_value parse_brackets(spark *s)
{
    const uint32_t at = spark_peek(s, 0)->at;
    s->at++;
    if (spark_at_query(s, 0)) {
        const spark_query query = spark_parse_query(s);
        spark_expect(s, ")");
        if (s->is_blind)
            return spark_nothing(s);
        if (!s->failed && query.n != 1)
            spark_refuse(s, at, "a query in the place of a value gives one column");
        return s->failed ? spark_nothing(s)
                         : spark_made(s, at, query.columns[0].type, "(%s)", query.sql);
    }
    spark_value values[SPARK_ARGUMENTS_MAX];
    uint32_t n = 0;
    do
        values[n++] = spark_expression(s);
    while (n < SPARK_ARGUMENTS_MAX && spark_take(s, ","));
    spark_expect(s, ")");
    if (s->failed)
        return spark_nothing(s);
    if (n > 1)
        return spark_apply_named(s, "struct", values, n, at);
    spark_value value = spark_made(s, at, values[0].type, "(%s)", values[0].sql);
    value.token = values[0].token;
    value.is_negative = values[0].is_negative;
    return value;
}

/* ---- all of them ---- */

static spark_value parse_exists(spark *s)
{
    const uint32_t at = spark_peek(s, 0)->at;
    s->at += 2;
    const spark_query query = spark_parse_query(s);
    spark_expect(s, ")");
    return spark_made(s, at, spark_type_of(SPARK_BOOLEAN), "EXISTS (%s)", query.sql);
}

static spark_value parse_constant(spark *s, const spark_token *here)
{
    s->at++;
    if (spark_token_is(here, "null"))
        return spark_made(s, here->at, spark_type_of(SPARK_NULL), "NULL");
    return spark_made(s, here->at, spark_type_of(SPARK_BOOLEAN),
                      spark_token_is(here, "true") ? "TRUE" : "FALSE");
}

static bool is_constant(const spark_token *here)
{
    return here->kind == TOKEN_NAME &&
           (spark_token_is(here, "null") || spark_token_is(here, "true") ||
            spark_token_is(here, "false"));
}

static spark_value parse_named(spark *s)
{
    const spark_token *here = spark_peek(s, 0), *next = spark_peek(s, 1);
    const bool is_call = spark_token_is(next, "(");
    if (spark_token_is(here, "case") && !is_call && next->kind != TOKEN_END &&
        !spark_token_is(next, ".") && !spark_token_is(next, ","))
        return parse_case(s);
    if (is_call && (spark_token_is(here, "cast") || spark_token_is(here, "try_cast")))
        return parse_cast(s);
    if (is_call && spark_token_is(here, "exists") && spark_at_query(s, 2))
        return parse_exists(s);
    if (next->kind == TOKEN_TEXT &&
        (spark_token_is(here, "date") || spark_token_is(here, "timestamp") ||
         spark_token_is(here, "timestamp_ltz") || spark_token_is(here, "x")))
        return parse_typed(s);
    if (spark_token_is(here, "interval") &&
        (next->kind == TOKEN_TEXT || next->kind == TOKEN_INTEGER || next->kind == TOKEN_DECIMAL ||
         next->kind == TOKEN_NAME || is_call || spark_token_is(next, "-"))) {
        if (!spark_token_is(next, "from") && !spark_token_is(next, "as") &&
            !spark_token_is(next, "is") && !spark_token_is(next, "and")) {
            s->at++;
            return spark_interval(s, here->at);
        }
    }
    if (is_constant(here) && !is_call)
        return parse_constant(s, here);
    return is_call ? spark_parse_call(s) : spark_column_path(s);
}

static spark_value parse_first(spark *s)
{
    const spark_token *here = spark_peek(s, 0);
    switch (here->kind) {
    case TOKEN_TEXT: return parse_text(s);
    case TOKEN_INTEGER:
    case TOKEN_DECIMAL:
    case TOKEN_REAL: return parse_number(s);
    case TOKEN_QUOTED: return spark_is(s, 1, "(") ? spark_parse_call(s) : spark_column_path(s);
    case TOKEN_NAME: return parse_named(s);
    case TOKEN_END:
        spark_refuse(s, here->at, "the text ends where Spark's SQL wants a value");
        return spark_nothing(s);
    default: break;
    }
    if (spark_is(s, 0, "("))
        return parse_brackets(s);
    spark_refuse(s, here->at, "Spark's SQL has a value here, and not \"%.*s\"", (int)here->length,
                 here->text);
    return spark_nothing(s);
}

spark_value spark_primary(spark *s)
{
    spark_value value = parse_first(s);
    while (!s->failed) {
        const uint32_t at = spark_peek(s, 0)->at;
        if (spark_take(s, "[")) {
            spark_value index = spark_expression(s);
            spark_expect(s, "]");
            value = spark_subscript(s, value, index, at);
        } else if (spark_is(s, 0, ".") && value.token == NULL) {
            s->at++;
            value = spark_field_of(s, value, spark_take_name(s, "the name of a field"), at);
        } else if (spark_is(s, 0, "::") || spark_is(s, 0, ":")) {
            spark_refuse(s, at,
                         "Spark 3.5 has no \"%s\" here: write CAST(... AS type), or "
                         "get_json_object(..., '$.name')",
                         spark_is(s, 0, "::") ? "::" : ":");
        } else {
            break;
        }
    }
    return s->failed ? spark_nothing(s) : value;
}
