/* spark_expression.c - expressions, by Spark's precedences:
 *
 *     OR   AND   NOT !   one of IS, IN, BETWEEN, LIKE, RLIKE   = == <=> <> < <= > >=
 *     |   ^   &   + - ||   * / % DIV   + - ~ before   what stands alone
 *
 * A level is a function that reads what binds closer on both sides.
 */
#include <string.h>

#include "dialect/spark_internal.h"

static spark_value parse_value(spark *s);

/* ---- what is true ---- */

spark_value spark_boolean(spark *s, spark_value value)
{
    const spark_kind kind = value.type->kind;
    if (kind == SPARK_BOOLEAN || kind == SPARK_OTHER)
        return value;
    if (kind == SPARK_NULL)
        return spark_cast(s, value, spark_type_of(SPARK_BOOLEAN));
    spark_refuse(s, value.at,
                 "Spark takes a boolean here, and this is %s: compare it with something, as in "
                 "... <> 0",
                 spark_type_name(s->arena, value.type));
    return spark_nothing(s);
}

const spark_type *spark_make_common(spark *s, spark_value *values, uint32_t n, const char *what)
{
    const spark_type *type = n == 0 ? spark_type_of(SPARK_NULL) : values[0].type;
    /* Texts first, as Spark does: a text and a number make a text only where no type of the others
     * does not. */
    for (uint32_t i = 1; i < n && !s->failed; i++) {
        const spark_type *next = values[i].type;
        const spark_type *common = type->kind == SPARK_OTHER || next->kind == SPARK_OTHER
                                       ? spark_type_of(SPARK_OTHER)
                                       : spark_common(s->arena, type, next, true);
        if (common == NULL) {
            spark_refuse(s, values[i].at, "%s: Spark finds no common type of %s and %s: cast one",
                         what, spark_type_name(s->arena, type), spark_type_name(s->arena, next));
            return NULL;
        }
        type = common;
    }
    if (type->kind == SPARK_MAP && type->is_entries)
        type = spark_map(s->arena, type->fields[0].type, type->fields[1].type);
    for (uint32_t i = 0; i < n && !s->failed; i++) {
        const char *name = values[i].name;
        values[i] = spark_cast(s, values[i], type);
        values[i].name = name;
    }
    return s->failed ? NULL : type;
}

/* ---- comparing ---- */

/* TRUE = 1: Spark takes the number for a boolean only so. */
static bool compare_boolean(spark *s, spark_value *a, const char *operator, spark_value * b)
{
    const bool of_a = a->type->kind == SPARK_BOOLEAN && spark_is_number(b->type);
    const bool of_b = b->type->kind == SPARK_BOOLEAN && spark_is_number(a->type);
    if ((!of_a && !of_b) || (strcmp(operator, "=") != 0 && strncmp(operator, "IS", 2) != 0 &&
                             strcmp(operator, "<>") != 0))
        return false;
    if (of_a)
        *a = spark_cast(s, *a, b->type);
    else
        *b = spark_cast(s, *b, a->type);
    return true;
}

spark_value spark_compare(spark *s, spark_value a, const char *operator, spark_value b, uint32_t at)
{
    const spark_type *boolean = spark_type_of(SPARK_BOOLEAN);
    if (s->failed)
        return spark_nothing(s);
    if (!compare_boolean(s, &a, operator, & b)) {
        const spark_type *type = a.type->kind == SPARK_OTHER || b.type->kind == SPARK_OTHER
                                     ? spark_type_of(SPARK_OTHER)
                                     : spark_compared(s->arena, a.type, b.type);
        if (type == NULL || type->kind == SPARK_MAP) {
            spark_refuse(s, at, "Spark does not compare %s with %s: cast one of them",
                         spark_type_name(s->arena, a.type), spark_type_name(s->arena, b.type));
            return spark_nothing(s);
        }
        a = spark_cast(s, a, type);
        b = spark_cast(s, b, type);
    }
    spark_value value =
        spark_made(s, a.at, boolean, "(%s %s%s %s)", a.sql, spark_mark(s, at), operator, b.sql);
    return value;
}

static const char *comparison_at(const spark *s)
{
    static const struct {
        const char *spark, *duckdb;
    } operators[] = {
        {"=", "="},   {"==", "="},  {"<=>", "IS NOT DISTINCT FROM"},
        {"<>", "<>"}, {"!=", "<>"}, {"<", "<"},
        {"<=", "<="}, {"!>", "<="}, {">", ">"},
        {">=", ">="}, {"!<", ">="},
    };
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (spark_is(s, 0, operators[i].spark))
            return operators[i].duckdb;
    return NULL;
}

/* ---- arithmetic ---- */

static spark_value parse_unary(spark *s)
{
    const spark_token *here = spark_peek(s, 0);
    spark_value value;
    if (!spark_enter(s))
        return spark_nothing(s);
    if (spark_take(s, "-")) {
        value = spark_negate(s, parse_unary(s), here->at);
    } else if (spark_take(s, "+")) {
        value = parse_unary(s);
        if (value.type->kind == SPARK_STRING)
            value = spark_cast(s, value, spark_type_of(SPARK_DOUBLE));
    } else if (spark_take(s, "~")) {
        value = parse_unary(s);
        if (!spark_is_whole(value.type) && value.type->kind != SPARK_OTHER)
            spark_refuse(s, here->at, "~ takes a whole number in Spark, and this is %s",
                         spark_type_name(s->arena, value.type));
        value = spark_made(s, here->at, value.type, "(~%s)", value.sql);
    } else {
        value = spark_primary(s);
    }
    spark_leave(s);
    return value;
}

static spark_value parse_product(spark *s)
{
    spark_value value = parse_unary(s);
    while (!s->failed) {
        const uint32_t at = spark_peek(s, 0)->at;
        if (spark_take(s, "*"))
            value = spark_arithmetic(s, '*', value, parse_unary(s), at);
        else if (spark_take(s, "/"))
            value = spark_arithmetic(s, '/', value, parse_unary(s), at);
        else if (spark_take(s, "%"))
            value = spark_arithmetic(s, '%', value, parse_unary(s), at);
        else if (spark_take(s, "div"))
            value = spark_whole_division(s, value, parse_unary(s), at);
        else
            break;
    }
    return value;
}

static spark_value parse_sum(spark *s)
{
    spark_value value = parse_product(s);
    while (!s->failed) {
        const uint32_t at = spark_peek(s, 0)->at;
        if (spark_take(s, "+")) {
            value = spark_arithmetic(s, '+', value, parse_product(s), at);
        } else if (spark_take(s, "-")) {
            value = spark_arithmetic(s, '-', value, parse_product(s), at);
        } else if (spark_take(s, "||")) {
            spark_value both[2] = {value, parse_product(s)};
            value = spark_concat(s, both, 2, value.at);
        } else {
            break;
        }
    }
    return value;
}

/* & then ^ then |: the operator of DuckDB that each is. */
static spark_value parse_bits(spark *s, unsigned level)
{
    static const char *const operators[] = {"|", "^", "&"};
    if (level == sizeof operators / sizeof *operators)
        return parse_sum(s);
    spark_value value = parse_bits(s, level + 1);
    while (!s->failed && spark_is(s, 0, operators[level])) {
        const uint32_t at = spark_peek(s, 0)->at;
        s->at++;
        value = spark_bits(s, operators[level], value, parse_bits(s, level + 1), at);
    }
    return value;
}

static spark_value parse_value(spark *s)
{
    spark_value value = parse_bits(s, 0);
    const char *operator;
    while (!s->failed && (operator= comparison_at(s)) != NULL) {
        const uint32_t at = spark_peek(s, 0)->at;
        s->at++;
        value = spark_compare(s, value, operator, parse_bits(s, 0), at);
    }
    return value;
}

/* ---- one of IS, IN, BETWEEN, LIKE ---- */

static spark_value negate_if(spark *s, spark_value value, bool negated)
{
    return negated ? spark_made(s, value.at, value.type, "(NOT %s)", value.sql) : value;
}

static spark_value parse_is(spark *s, spark_value value, uint32_t at)
{
    const bool negated = spark_take(s, "not");
    const spark_type *boolean = spark_type_of(SPARK_BOOLEAN);
    const char *is = negated ? "IS NOT" : "IS";
    if (spark_take(s, "null"))
        return spark_made(s, value.at, boolean, "(%s %s NULL)", value.sql, is);
    if (spark_take(s, "distinct")) {
        spark_expect(s, "from");
        return spark_compare(s, value, negated ? "IS NOT DISTINCT FROM" : "IS DISTINCT FROM",
                             parse_value(s), at);
    }
    value = spark_boolean(s, value);
    if (spark_take(s, "true"))
        return spark_made(s, value.at, boolean, "(%s %s TRUE)", value.sql, is);
    if (spark_take(s, "false"))
        return spark_made(s, value.at, boolean, "(%s %s FALSE)", value.sql, is);
    spark_expect(s, "unknown");
    return spark_made(s, value.at, boolean, "(%s %s NULL)", value.sql, is);
}

static spark_value in_query(spark *s, spark_value value, uint32_t at)
{
    spark_query query = spark_parse_query(s);
    spark_expect(s, ")");
    if (s->failed || s->is_blind)
        return spark_nothing(s);
    if (query.n != 1) {
        spark_refuse(s, at, "the query behind IN gives one column");
        return spark_nothing(s);
    }
    spark_value column = {.sql = "__in.__c", .type = query.columns[0].type, .at = at};
    const spark_type *type = spark_compared(s->arena, value.type, column.type);
    if (type == NULL) {
        spark_refuse(s, at, "Spark does not compare %s with %s: cast one of them",
                     spark_type_name(s->arena, value.type), spark_type_name(s->arena, column.type));
        return spark_nothing(s);
    }
    value = spark_cast(s, value, type);
    column = spark_cast(s, column, type);
    return spark_made(s, value.at, spark_type_of(SPARK_BOOLEAN),
                      "(%s %sIN (SELECT %s FROM (%s) AS __in(__c)))", value.sql, spark_mark(s, at),
                      column.sql, query.sql);
}

static spark_value parse_in(spark *s, spark_value value, uint32_t at)
{
    spark_value values[SPARK_ARGUMENTS_MAX + 1];
    uint32_t n = 1;
    spark_expect(s, "(");
    if (spark_at_query(s, 0))
        return in_query(s, value, at);
    values[0] = value;
    do {
        if (n > SPARK_ARGUMENTS_MAX) {
            spark_refuse(s, at, "IN has more than %u values: join with them instead",
                         SPARK_ARGUMENTS_MAX);
            break;
        }
        values[n++] = spark_expression(s);
    } while (spark_take(s, ","));
    spark_expect(s, ")");
    if (spark_make_common(s, values, n, "IN") == NULL)
        return spark_nothing(s);
    const char *list = "";
    for (uint32_t i = 1; i < n; i++)
        list = spark_format(s, "%s%s%s", list, i == 1 ? "" : ", ", values[i].sql);
    return spark_made(s, value.at, spark_type_of(SPARK_BOOLEAN), "(%s %sIN (%s))", values[0].sql,
                      spark_mark(s, at), list);
}

static spark_value parse_between(spark *s, spark_value value, uint32_t at)
{
    spark_value low = parse_value(s);
    spark_expect(s, "and");
    spark_value high = parse_value(s);
    low = spark_compare(s, value, ">=", low, at);
    high = spark_compare(s, value, "<=", high, at);
    return spark_made(s, value.at, spark_type_of(SPARK_BOOLEAN), "(%s AND %s)", low.sql, high.sql);
}

/* The escape of LIKE: a letter; and what no constant pattern may have. */
static char take_escape(spark *s)
{
    const spark_token *here = spark_peek(s, 1);
    if (!spark_is(s, 0, "escape"))
        return '\\';
    s->at++;
    if (here->kind != TOKEN_TEXT || here->length != 1 || (here->text[0] & 0x80) != 0)
        spark_refuse(s, here->at, "ESCAPE is followed by one letter in quotes");
    s->at++;
    return s->failed ? '\\' : here->text[0];
}

static void check_pattern(spark *s, const spark_value *pattern, char escape)
{
    const spark_token *token = pattern->token;
    if (token == NULL || token->kind != TOKEN_TEXT)
        return;
    for (uint32_t i = 0; i < token->length; i++) {
        if (token->text[i] != escape)
            continue;
        const char next = i + 1 < token->length ? token->text[i + 1] : '\0';
        if (next != '%' && next != '_' && next != escape)
            spark_refuse(s, pattern->at,
                         "in a pattern of LIKE the escape %c stands before %%, _ or itself alone",
                         escape);
        i++;
    }
}

static spark_value like_one(spark *s, spark_value value, bool any_case, uint32_t at)
{
    const spark_type *text = spark_type_of(SPARK_STRING);
    spark_value pattern = parse_value(s);
    const char escape = take_escape(s);
    check_pattern(s, &pattern, escape);
    if (!s->failed && !spark_casts_alone(value.type, text) && value.type->kind != SPARK_OTHER)
        spark_refuse(s, value.at, "LIKE takes a text, and this is %s",
                     spark_type_name(s->arena, value.type));
    const bool plain = pattern.token != NULL && pattern.token->kind == TOKEN_TEXT &&
                       memchr(pattern.token->text, escape, pattern.token->length) == NULL;
    value = spark_cast(s, value, text);
    pattern = spark_cast(s, pattern, text);
    const char *like = any_case ? "ILIKE" : "LIKE";
    if (plain)
        return spark_made(s, value.at, spark_type_of(SPARK_BOOLEAN), "(%s %s%s %s)", value.sql,
                          spark_mark(s, at), like, pattern.sql);
    return spark_made(s, value.at, spark_type_of(SPARK_BOOLEAN), "(%s %s%s %s ESCAPE %s)",
                      value.sql, spark_mark(s, at), like, pattern.sql,
                      spark_literal(s, (const char[]){escape, '\0'}, 1));
}

static spark_value parse_like(spark *s, spark_value value, bool any_case, uint32_t at)
{
    const bool any = spark_is(s, 0, "any") || spark_is(s, 0, "some");
    if ((!any && !spark_is(s, 0, "all")) || !spark_is(s, 1, "("))
        return like_one(s, value, any_case, at);
    const char *list = "";
    s->at += 2;
    do {
        const char *one = like_one(s, value, any_case, at).sql;
        list = spark_format(s, "%s%s%s", list, list[0] == '\0' ? "" : any ? " OR " : " AND ", one);
    } while (spark_take(s, ","));
    spark_expect(s, ")");
    return spark_made(s, value.at, spark_type_of(SPARK_BOOLEAN), "(%s)", list);
}

static spark_value parse_predicate(spark *s)
{
    spark_value value = parse_value(s);
    const uint32_t at = spark_peek(s, 0)->at;
    if (s->failed)
        return value;
    if (spark_take(s, "is"))
        return parse_is(s, value, at);
    const bool negated = (spark_is(s, 0, "not") || spark_is(s, 0, "!")) && s->at++ < UINT32_MAX;
    if (spark_take(s, "between"))
        return negate_if(s, parse_between(s, value, at), negated);
    if (spark_take(s, "in"))
        return negate_if(s, parse_in(s, value, at), negated);
    if (spark_take(s, "like"))
        return negate_if(s, parse_like(s, value, false, at), negated);
    if (spark_take(s, "ilike"))
        return negate_if(s, parse_like(s, value, true, at), negated);
    if (spark_take(s, "rlike") || spark_take(s, "regexp")) {
        spark_value both[2] = {value, parse_value(s)};
        return negate_if(s, spark_apply_named(s, "rlike", both, 2, at), negated);
    }
    if (negated)
        spark_refuse(s, at, "NOT stands before BETWEEN, IN, LIKE or RLIKE here");
    return value;
}

/* ---- NOT, AND, OR ---- */

static spark_value parse_not(spark *s)
{
    const spark_token *here = spark_peek(s, 0);
    if (!spark_is(s, 0, "not") && !spark_is(s, 0, "!"))
        return parse_predicate(s);
    if (!spark_enter(s))
        return spark_nothing(s);
    s->at++;
    spark_value value = spark_boolean(s, parse_not(s));
    spark_leave(s);
    return spark_made(s, here->at, spark_type_of(SPARK_BOOLEAN), "(NOT %s)", value.sql);
}

static spark_value parse_and(spark *s)
{
    spark_value value = parse_not(s);
    while (!s->failed && spark_is(s, 0, "and")) {
        s->at++;
        value = spark_boolean(s, value);
        spark_value other = spark_boolean(s, parse_not(s));
        value = spark_made(s, value.at, spark_type_of(SPARK_BOOLEAN), "(%s AND %s)", value.sql,
                           other.sql);
    }
    return value;
}

spark_value spark_expression(spark *s)
{
    if (!spark_enter(s))
        return spark_nothing(s);
    spark_value value = parse_and(s);
    while (!s->failed && spark_is(s, 0, "or")) {
        s->at++;
        value = spark_boolean(s, value);
        spark_value other = spark_boolean(s, parse_and(s));
        value = spark_made(s, value.at, spark_type_of(SPARK_BOOLEAN), "(%s OR %s)", value.sql,
                           other.sql);
    }
    spark_leave(s);
    return s->failed ? spark_nothing(s) : value;
}
