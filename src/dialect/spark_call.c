/* spark_call.c - calls of functions: reading them, choosing a row of the table, filling its
 * template.
 *
 * The order in which a name is looked for: functions that are special (spark_special.c), rows of
 * the table (spark_functions.h), functions that the declaration or the program brings. Whatever
 * else DuckDB has under that name is not Spark's and is refused.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/text.h"
#include "dialect/spark_internal.h"
#include "functions/functions.h"

#define ROWS_MAX 32 /* of one function */

/* ---- lambdas ---- */

static bool is_lambda_at(const spark *s)
{
    uint32_t at = 1;
    if (spark_peek(s, 0)->kind == TOKEN_NAME || spark_peek(s, 0)->kind == TOKEN_QUOTED)
        return spark_is(s, 1, "->");
    if (!spark_is(s, 0, "("))
        return false;
    while (spark_peek(s, at)->kind == TOKEN_NAME || spark_peek(s, at)->kind == TOKEN_QUOTED) {
        if (spark_is(s, at + 1, ")"))
            return spark_is(s, at + 2, "->");
        if (!spark_is(s, at + 1, ","))
            return false;
        at += 2;
    }
    return false;
}

#define PARAMETERS_MAX 3

/* Which types the parameters have, and what stands for them; gives how many there are at most. */
static uint32_t lambda_parameters(spark *s, const spark_call *call, spark_column *parameters)
{
    const char *name = call->name;
    const spark_type *first = call->n > 0 ? call->arguments[0].type : spark_type_of(SPARK_OTHER);
    const spark_type *second = call->n > 1 ? call->arguments[1].type : spark_type_of(SPARK_OTHER);
    const bool is_fold = strcasecmp(name, "aggregate") == 0 || strcasecmp(name, "reduce") == 0;
    const spark_type *element = first->n > 0 ? first->fields[0].type : spark_type_of(SPARK_OTHER);
    parameters[0].type = element;
    if (first->kind == SPARK_MAP) {
        parameters[1].type = first->fields[1].type;
        return 2;
    }
    if (is_fold) {
        parameters[0].type = second;
        parameters[1].type = element;
        return call->n == 2 ? 2 : 1;
    }
    parameters[1].type = spark_type_of(SPARK_INT);
    if (strcasecmp(name, "array_sort") == 0)
        parameters[1].type = element;
    if (strcasecmp(name, "zip_with") == 0)
        parameters[1].type = second->n > 0 ? second->fields[0].type : spark_type_of(SPARK_OTHER);
    (void)s;
    return 2;
}

/* What DuckDB calls a parameter, and what stands for it in the body. */
static const char *lambda_sql(spark *s, const spark_call *call, spark_column *parameters,
                              uint32_t n)
{
    const spark_type *first = call->n > 0 ? call->arguments[0].type : spark_type_of(SPARK_OTHER);
    const char *head = "";
    const bool of_map = first->kind == SPARK_MAP;
    const bool of_zip = strcasecmp(call->name, "zip_with") == 0;
    const char *pair = spark_format(s, "__p%u", s->depth);
    for (uint32_t i = 0; i < n; i++) {
        const char *name = spark_format(s, "__%c%u_%s", 'a' + (int)i, s->depth, parameters[i].name);
        const char *quoted = spark_quoted(s, name);
        parameters[i].sql = quoted;
        if (of_map)
            parameters[i].sql =
                spark_format(s, "struct_extract(%s, '%s')", pair, i == 0 ? "key" : "value");
        else if (of_zip)
            parameters[i].sql = spark_format(s, "struct_extract(%s, %u)", pair, i + 1);
        else if (i == 1 && parameters[i].type->kind == SPARK_INT && n == 2 &&
                 (strcasecmp(call->name, "transform") == 0 ||
                  strcasecmp(call->name, "filter") == 0))
            parameters[i].sql = spark_format(s, "CAST(%s - 1 AS INTEGER)", quoted);
        head = spark_format(s, "%s%s%s", head, i == 0 ? "" : ", ", quoted);
    }
    return of_map || of_zip ? pair : head;
}

static spark_value parse_lambda(spark *s, const spark_call *call)
{
    const uint32_t at = spark_peek(s, 0)->at;
    spark_column parameters[PARAMETERS_MAX] = {{0}};
    uint32_t n = 0;
    const bool in_brackets = spark_take(s, "(");
    const uint32_t most = lambda_parameters(s, call, parameters);
    do {
        if (n == most) {
            spark_refuse(s, spark_peek(s, 0)->at, "the function here has %u %s at most", most,
                         most == 1 ? "parameter" : "parameters");
            return spark_nothing(s);
        }
        parameters[n++].name = spark_take_name(s, "a parameter");
    } while (in_brackets && spark_take(s, ","));
    if (in_brackets)
        spark_expect(s, ")");
    spark_expect(s, "->");
    const char *head = lambda_sql(s, call, parameters, n);
    spark_scope scope = {.columns = parameters, .n = n, .outer = s->scope};
    s->scope = &scope;
    spark_value body = spark_expression(s);
    s->scope = scope.outer;
    if (parameters[0].type != NULL && call->n >= 2 &&
        (strcasecmp(call->name, "aggregate") == 0 || strcasecmp(call->name, "reduce") == 0) &&
        call->n == 2)
        body = spark_cast(s, body, call->arguments[1].type);
    spark_value value = spark_made(s, at, body.type, "lambda %s: %s", head, body.sql);
    value.is_lambda = true;
    return value;
}

/* ---- reading a call ---- */

/* DAY in dateadd(DAY, n, t): a word of three arguments, and no column. */
static bool is_unit_at(const spark *s, const spark_call *call)
{
    static const char *const names[] = {"dateadd",   "date_add",     "datediff",
                                        "date_diff", "timestampadd", "timestampdiff"};
    static const char *const units[] = {"year",        "quarter",     "month",    "week",
                                        "day",         "hour",        "minute",   "second",
                                        "millisecond", "microsecond", "dayofyear"};
    bool is_one = false, is_unit = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        is_one |= strcasecmp(names[i], call->name) == 0;
    for (size_t i = 0; is_one && i < sizeof units / sizeof *units; i++)
        is_unit |= spark_is(s, 0, units[i]);
    return is_unit && spark_is(s, 1, ",");
}

static spark_value take_unit(spark *s)
{
    const spark_token *token = spark_peek(s, 0);
    s->at += 2;
    return spark_made(s, token->at, spark_type_of(SPARK_STRING), "%s",
                      spark_literal(s, token->text, token->length));
}

static void parse_arguments(spark *s, spark_call *call)
{
    call->is_distinct = spark_take(s, "distinct");
    if (!call->is_distinct && spark_is(s, 0, "all") && !spark_is(s, 1, ",") && !spark_is(s, 1, ")"))
        s->at++;
    if (spark_is(s, 0, "*") && spark_is(s, 1, ")")) {
        s->at++;
        call->is_star = true;
    }
    if (is_unit_at(s, call))
        call->arguments[call->n++] = take_unit(s);
    while (!s->failed && !spark_is(s, 0, ")")) {
        if (call->n == SPARK_ARGUMENTS_MAX) {
            spark_refuse(s, call->at, "%s() has more than %u arguments", call->name,
                         SPARK_ARGUMENTS_MAX);
            break;
        }
        spark_value value = is_lambda_at(s) ? parse_lambda(s, call) : spark_expression(s);
        if (strcasecmp(call->name, "struct") == 0 && spark_take(s, "as"))
            value.name = spark_take_name(s, "a field's name");
        call->arguments[call->n++] = value;
        if (spark_is(s, 0, "ignore") || spark_is(s, 0, "respect")) {
            call->skips_nulls = spark_is(s, 0, "ignore");
            s->at++;
            spark_expect(s, "nulls");
        }
        if (!spark_take(s, ","))
            break;
    }
    spark_expect(s, ")");
}

static void parse_tail(spark *s, spark_call *call)
{
    if (spark_is(s, 0, "within") && spark_is(s, 1, "group")) {
        s->at += 2;
        spark_expect(s, "(");
        spark_expect(s, "order");
        spark_expect(s, "by");
        call->order = spark_order_list(s);
        spark_expect(s, ")");
    }
    if (spark_is(s, 0, "filter") && spark_is(s, 1, "(")) {
        s->at += 2;
        spark_expect(s, "where");
        call->filter = spark_boolean(s, spark_expression(s)).sql;
        spark_expect(s, ")");
    }
    if ((spark_is(s, 0, "ignore") || spark_is(s, 0, "respect")) && spark_is(s, 1, "nulls")) {
        call->skips_nulls = spark_is(s, 0, "ignore");
        s->at += 2;
    }
    if (spark_take(s, "over"))
        call->over = spark_window(s);
}

/* ---- rows of the table ---- */

/* Is a value of that type taken for the letter as it is? */
static bool is_already(char letter, const spark_type *type)
{
    switch (letter) {
    case 's': return type->kind == SPARK_STRING;
    case 'i': return spark_is_whole(type) && type->kind <= SPARK_INT;
    case 'b': return type->kind == SPARK_BIGINT;
    case 'd': return type->kind == SPARK_DOUBLE || type->kind == SPARK_FLOAT;
    case 'f': return type->kind == SPARK_FLOAT;
    case 'B': return type->kind == SPARK_BOOLEAN;
    case 'x': return type->kind == SPARK_BINARY;
    case 'D': return type->kind == SPARK_DATE;
    case 'T': return type->kind == SPARK_TIMESTAMP;
    case 'n': return spark_is_number(type);
    case 'm': return type->kind == SPARK_DECIMAL;
    case 'I': return spark_is_whole(type);
    case 'a': return type->kind == SPARK_ARRAY;
    case 'M': return type->kind == SPARK_MAP;
    case 'R': return type->kind == SPARK_STRUCT;
    case 't': return spark_is_interval(type);
    case 'z': return type->kind == SPARK_NULL;
    default: return true;
    }
}

/* The type that the letter casts to; NULL: none, the value stays. */
static const spark_type *type_for(char letter, const spark_type *type)
{
    switch (letter) {
    case 's':
    case 'S':
    case 'k': return spark_type_of(SPARK_STRING);
    case 'i': return spark_type_of(SPARK_INT);
    case 'b': return spark_type_of(SPARK_BIGINT);
    case 'd': return spark_type_of(SPARK_DOUBLE);
    case 'f': return type->kind == SPARK_FLOAT ? type : spark_type_of(SPARK_DOUBLE);
    case 'B': return spark_type_of(SPARK_BOOLEAN);
    case 'x': return spark_type_of(SPARK_BINARY);
    case 'D': return spark_type_of(SPARK_DATE);
    case 'T': return spark_type_of(SPARK_TIMESTAMP);
    case 'n': return spark_is_number(type) ? type : spark_type_of(SPARK_DOUBLE);
    default: return NULL;
    }
}

static bool is_taken(char letter, bool already, const spark_value *value)
{
    const spark_type *type = value->type;
    if (value->is_lambda != (letter == '^'))
        return false;
    if (type->kind == SPARK_OTHER)
        return true;
    if (letter == '^' || letter == '*' || letter == 'c')
        return true;
    if (already)
        return is_already(letter, type);
    if (letter == 'k')
        return value->token != NULL && value->token->kind == TOKEN_TEXT;
    const spark_type *to = type_for(letter, type);
    if (to != NULL)
        return spark_casts_alone(type, to);
    return type->kind == SPARK_NULL ? letter != 'm' && letter != 'z' : is_already(letter, type);
}

/* Steps to the next letter of a row's arguments; false at their end. */
static bool next_letter(const char **at, char *letter, bool *already, bool *is_optional)
{
    if (**at == '\0')
        return false;
    if (**at == '+') { /* one more of the letter before */
        *is_optional = true;
        return true;
    }
    *already = **at == '=';
    *at += *already;
    *letter = *(*at)++;
    if (**at == '?') {
        *is_optional = true;
        (*at)++;
    }
    return true;
}

static bool row_fits(const spark_function *row, const spark_call *call)
{
    const char *at = row->arguments;
    char letter = 0;
    bool already = false, is_optional = false;
    uint32_t i = 0;
    for (; i < call->n; i++)
        if (!next_letter(&at, &letter, &already, &is_optional) ||
            !is_taken(letter, already, &call->arguments[i]))
            return false;
    return !next_letter(&at, &letter, &already, &is_optional) || is_optional;
}

/* The arguments as the row wants them; *common is the type of those that are c. */
static bool cast_arguments(spark *s, const spark_function *row, spark_call *call,
                           const spark_type **common)
{
    spark_value *together = arena_alloc(s->arena, (call->n + (size_t)1) * sizeof *together);
    uint32_t n = 0;
    if (together == NULL) {
        spark_no_memory(s);
        return false;
    }
    const char *at = row->arguments;
    char letter = 0;
    bool already = false, is_optional = false;
    for (uint32_t i = 0; i < call->n && next_letter(&at, &letter, &already, &is_optional); i++) {
        spark_value *value = &call->arguments[i];
        const spark_type *to = already || value->is_lambda ? NULL : type_for(letter, value->type);
        if (letter == 'c')
            together[n++] = *value;
        if (letter == 'M')
            *value = spark_as_map(s, *value);
        if (to != NULL) {
            const spark_token *token = value->token;
            const bool is_negative = value->is_negative;
            *value = spark_cast(s, *value, to);
            value->token = token;
            value->is_negative = is_negative;
        }
    }
    *common = n == 0 ? NULL : spark_make_common(s, together, n, row->name);
    n = 0;
    at = row->arguments;
    is_optional = false;
    for (uint32_t i = 0; i < call->n && next_letter(&at, &letter, &already, &is_optional); i++)
        if (letter == 'c')
            call->arguments[i] = together[n++];
    return !s->failed;
}

/* ---- templates ---- */

static void put_window(spark *s, text_buffer *into, const spark_call *call, const char *condition,
                       size_t length)
{
    if (call->filter != NULL || condition != NULL) {
        text_append_c(into, " FILTER (WHERE ");
        if (call->filter != NULL)
            text_append_c(into, call->filter);
        if (call->filter != NULL && condition != NULL)
            text_append_c(into, " AND ");
        if (condition != NULL)
            text_append(into, condition, length);
        text_append_char(into, ')');
    }
    if (call->over != NULL)
        text_format(into, " OVER %s", call->over);
    (void)s;
}

/* The length of what stands between the bracket at `from` and the one that closes it. */
static size_t bracket_length(const char *from)
{
    size_t n = 1;
    for (unsigned depth = 1; from[n] != '\0'; n++) {
        depth += from[n] == '(';
        depth -= from[n] == ')';
        if (depth == 0)
            return n - 1;
    }
    return n - 1;
}

static const char *fill_template(spark *s, const char *template, const spark_call *call,
                                 unsigned depth);

/* What a $ of the template stands for; gives where the template goes on. */
static const char *fill_one(spark *s, text_buffer *into, const char *at, const spark_call *call,
                            unsigned depth)
{
    if (*at >= '1' && *at <= '9') {
        const uint32_t i = (uint32_t)(*at - '1');
        if (i < call->n)
            text_append_c(into, call->arguments[i].sql);
        else
            text_append_c(into, "NULL");
        return at + 1;
    }
    if (*at == '*') {
        for (uint32_t i = 0; i < call->n; i++)
            text_format(into, "%s%s", i == 0 ? "" : ", ", call->arguments[i].sql);
        return at + 1;
    }
    if (*at == 'd') {
        text_append_c(into, call->is_distinct ? "DISTINCT " : "");
        return at + 1;
    }
    if (*at == 'w' && at[1] == '(') {
        const size_t length = bracket_length(at + 1);
        const char *condition = spark_format(s, "%.*s", (int)length, at + 2);
        condition = depth > 2 ? condition : fill_template(s, condition, call, depth + 1);
        put_window(s, into, call, condition, strlen(condition));
        return at + length + 3;
    }
    if (*at == 'w') {
        put_window(s, into, call, NULL, 0);
        return at + 1;
    }
    text_append_char(into, '$');
    return at;
}

static const char *fill_template(spark *s, const char *template, const spark_call *call,
                                 unsigned depth)
{
    text_buffer text;
    if (s->failed)
        return "";
    text_init(&text, SPARK_SQL_MAX);
    for (const char *at = template; *at != '\0';) {
        const size_t n = strcspn(at, "$");
        text_append(&text, at, n);
        at += n;
        if (*at == '$')
            at = fill_one(s, &text, at + 1, call, depth);
    }
    const char *copy =
        text.failed ? NULL : spark_format(s, "%s", text.bytes == NULL ? "" : text.bytes);
    if (text.failed)
        spark_refuse(s, call->at,
                     "the SQL grows too long for DuckDB: split it into several "
                     "features or queries");
    text_release(&text);
    return copy == NULL ? "" : copy;
}

/* The type of a template over nulls of the arguments' types, by DuckDB; literals stay. */
static const spark_type *asked_type(spark *s, const char *template, const spark_call *call)
{
    spark_call nulls = *call;
    sql_statement *statement = NULL;
    const spark_type *type = spark_type_of(SPARK_OTHER);
    nulls.filter = nulls.over = NULL;
    nulls.arguments = arena_alloc(s->arena, (call->n + (size_t)1) * sizeof *nulls.arguments);
    if (nulls.arguments == NULL) {
        spark_no_memory(s);
        return type;
    }
    for (uint32_t i = 0; i < call->n; i++) {
        nulls.arguments[i] = call->arguments[i];
        if (call->arguments[i].token == NULL && !call->arguments[i].is_lambda)
            nulls.arguments[i].sql = spark_format(
                s, "CAST(NULL AS %s)", spark_type_sql(s->arena, call->arguments[i].type));
    }
    const char *sql = spark_format(s, "SELECT %s", fill_template(s, template, &nulls, 0));
    dialect_text clean;
    sql_problem problem;
    freshet_error err;
    if (s->failed || s->session == NULL ||
        dialect_take_marks(s->arena, sql, &clean, &err) != FRESHET_OK)
        return type;
    if (sql_prepare(s->session, clean.sql, &statement, &problem, &err) == FRESHET_OK)
        type = spark_type_from(s->arena, sql_statement_schema(statement)->fields[0].type);
    else
        spark_refuse(s, call->at, "%s(): %.500s", call->name, problem.text);
    sql_statement_close(statement);
    return type;
}

/* A type of the table's column `gives`. */
static const spark_type *named_type(spark *s, const char *text)
{
    spark inner = *s;
    inner.text = text;
    inner.at = 0;
    if (spark_tokens_read(s->arena, text, &inner.tokens, &inner.n_tokens, s->problem, s->err) !=
        FRESHET_OK)
        return spark_type_of(SPARK_OTHER);
    return spark_parse_type(&inner);
}

static const spark_type *type_given(spark *s, const spark_function *row, const spark_call *call,
                                    const spark_type *common)
{
    const char *gives = row->gives;
    if (strcmp(gives, "c") == 0)
        return common == NULL ? spark_type_of(SPARK_NULL) : common;
    if (gives[0] < '1' || gives[0] > '9')
        return named_type(s, gives);
    const uint32_t i = (uint32_t)(gives[0] - '1');
    const spark_type *type = i < call->n ? call->arguments[i].type : spark_type_of(SPARK_OTHER);
    if (strcmp(gives + 1, "[]") == 0)
        return spark_array(s->arena, type);
    if (strcmp(gives + 1, ".") == 0)
        return type->n > 0 ? type->fields[0].type : spark_type_of(SPARK_NULL);
    return type;
}

static spark_value apply_row(spark *s, const spark_function *row, spark_call *call)
{
    const spark_type *common = NULL;
    if (!cast_arguments(s, row, call, &common))
        return spark_nothing(s);
    if (call->skips_nulls)
        spark_refuse(s, call->at, "%s() with IGNORE NULLS: filter the rows first", call->name);
    if (call->is_distinct &&
        (!row->is_aggregate || (row->template != NULL && strstr(row->template, "$d") == NULL)))
        spark_refuse(s, call->at, "%s() has no DISTINCT here", call->name);
    const char *standard = spark_format(s, row->is_aggregate ? "%s($d$*)$w" : "%s($*)", row->name);
    const char *sql = fill_template(s, row->template == NULL ? standard : row->template, call, 0);
    if (s->failed)
        return spark_nothing(s);
    if (strcmp(row->gives, "?") == 0)
        return spark_made(s, call->at,
                          asked_type(s, row->template == NULL ? standard : row->template, call),
                          "(%s)", sql);
    const spark_type *type = type_given(s, row, call, common);
    if (type->kind == SPARK_OTHER || type->kind == SPARK_NULL)
        return spark_made(s, call->at, type, "(%s)", sql);
    if (type->kind == SPARK_MAP && type->is_entries)
        return spark_made(s, call->at, type, "(%s)", sql);
    return spark_made(s, call->at, type, "CAST(%s AS %s)", sql, spark_type_sql(s->arena, type));
}

/* ---- functions of the declaration and of the program ---- */

static bool is_ours(const char *name)
{
    const char *own;
    if (strncasecmp(name, "spark_", 6) == 0 || strncasecmp(name, "__freshet", 9) == 0)
        return true;
    for (uint32_t i = 0; (own = functions_name(i)) != NULL; i++)
        if (strcasecmp(own, name) == 0)
            return true;
    return functions_has_macro(name);
}

static bool is_brought(const spark *s, const char *name)
{
    return s->session != NULL && !is_ours(name) && sql_function_is_brought(s->session, name);
}

/* ---- the whole ---- */

static void refuse_call(spark *s, const spark_call *call)
{
    char types[200] = "";
    const char *why = spark_refusal_of(call->name);
    if (why != NULL) {
        spark_refuse(s, call->at, "%s(): %s", call->name, why);
        return;
    }
    if (spark_function_find(call->name, 0) == NULL) {
        spark_refuse(s, call->at,
                     "there is no function %s() in the dialect of Spark: say it with others, or "
                     "bring it as a function of your own",
                     call->name);
        return;
    }
    for (uint32_t i = 0; i < call->n; i++) {
        const size_t at = strlen(types);
        snprintf(types + at, sizeof types - at, "%s%s", i == 0 ? "" : ", ",
                 call->arguments[i].is_lambda ? "a function"
                                              : spark_type_name(s->arena, call->arguments[i].type));
    }
    spark_refuse(s, call->at,
                 "%s(%s): Spark's takes other arguments, or Freshet's has not this "
                 "form of it",
                 call->name, types);
}

/* A function x -> ... is no value: few take one. */
static bool takes_lambdas(const char *name)
{
    const spark_function *row;
    for (uint32_t i = 0; (row = spark_function_find(name, i)) != NULL; i++)
        if (strchr(row->arguments, '^') != NULL)
            return true;
    return false;
}

static void check_lambdas(spark *s, const spark_call *call)
{
    for (uint32_t i = 0; i < call->n; i++)
        if (call->arguments[i].is_lambda && !takes_lambdas(call->name))
            spark_refuse(s, call->arguments[i].at,
                         "%s() takes values, and this is a function: transform(), filter(), "
                         "aggregate() and the like take those",
                         call->name);
}

/* Whether it says something of a row's place among others only. */
static bool needs_window(const char *name)
{
    static const char *const names[] = {"cume_dist", "dense_rank",   "lag",
                                        "lead",      "nth_value",    "ntile",
                                        "rank",      "percent_rank", "row_number"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

spark_value spark_apply(spark *s, spark_call *call)
{
    spark_value out;
    check_lambdas(s, call);
    if (!s->failed && call->over == NULL && needs_window(call->name))
        spark_refuse(s, call->at,
                     "%s() needs a window: write OVER (PARTITION BY ... ORDER BY ...) behind it",
                     call->name);
    if (s->failed)
        return spark_nothing(s);
    if (spark_apply_special(s, call, &out))
        return s->failed ? spark_nothing(s) : out;
    for (uint32_t i = 0; i < ROWS_MAX && !s->failed; i++) {
        const spark_function *row = spark_function_find(call->name, i);
        if (row == NULL)
            break;
        if (!row_fits(row, call) || call->is_star)
            continue;
        if (!row->is_aggregate && (call->over != NULL || call->filter != NULL)) {
            spark_refuse(s, call->at, "%s() is no aggregate: it has no OVER and no FILTER",
                         call->name);
            break;
        }
        return apply_row(s, row, call);
    }
    if (s->is_blind)
        return spark_nothing(s);
    if (!s->failed && spark_function_find(call->name, 0) == NULL && is_brought(s, call->name)) {
        const char *sql = fill_template(s, "$*", call, 0);
        const spark_type *type =
            asked_type(s, spark_format(s, "%s($*)", spark_quoted(s, call->name)), call);
        return spark_made(s, call->at, type, "%s(%s)", spark_quoted(s, call->name), sql);
    }
    refuse_call(s, call);
    return spark_nothing(s);
}

spark_value spark_apply_named(spark *s, const char *name, spark_value *arguments, uint32_t n,
                              uint32_t at)
{
    spark_call call = {.name = name, .at = at, .arguments = arguments, .n = n};
    return spark_apply(s, &call);
}

/* ---- calls with words in them ---- */

/* trim(BOTH 'x' FROM s), trim(LEADING FROM s) ... */
static bool parse_trim(spark *s, spark_call *call)
{
    static const struct {
        const char *word, *name;
    } sides[] = {{"both", "btrim"}, {"leading", "ltrim_of"}, {"trailing", "rtrim_of"}};
    for (size_t i = 0; i < 3; i++) {
        if (!spark_is(s, 0, sides[i].word) || spark_is(s, 1, ",") || spark_is(s, 1, ")"))
            continue;
        s->at++;
        call->name = sides[i].name;
        call->n = 0;
        spark_value chars = spark_nothing(s);
        const bool has_chars = !spark_is(s, 0, "from");
        if (has_chars)
            chars = spark_expression(s);
        spark_expect(s, "from");
        call->arguments[call->n++] = spark_expression(s);
        if (has_chars)
            call->arguments[call->n++] = chars;
        if (i > 0) {
            call->name = i == 1 ? "ltrim" : "rtrim";
            if (has_chars) { /* ltrim(chars, text) */
                const spark_value text = call->arguments[0];
                call->arguments[0] = call->arguments[1];
                call->arguments[1] = text;
            }
        }
        spark_expect(s, ")");
        return true;
    }
    return false;
}

/* Is the word there, outside of brackets, before the bracket that closes these? */
static uint32_t find_in_brackets(const spark *s, const char *word)
{
    uint32_t depth = 0;
    for (uint32_t at = 0;; at++) {
        const spark_token *token = spark_peek(s, at);
        if (token->kind == TOKEN_END || (depth == 0 && spark_token_is(token, ")")))
            return 0;
        depth += spark_token_is(token, "(");
        depth -= spark_token_is(token, ")");
        if (depth == 0 && at > 0 && spark_token_is(token, word))
            return at;
    }
}

/* A unit that stands as a word in the place of the first argument: dateadd(DAY, n, d). */
static bool parse_unit(spark *s, spark_call *call)
{
    static const struct {
        const char *name;
        bool differs;
    } functions[] = {{"dateadd", false}, {"date_add", false}, {"timestampadd", false},
                     {"datediff", true}, {"date_diff", true}, {"timestampdiff", true}};
    const spark_token *unit = spark_peek(s, 0);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcasecmp(functions[i].name, call->name) != 0 || unit->kind != TOKEN_NAME ||
            !spark_is(s, 1, ","))
            continue;
        const uint32_t before = s->at;
        s->at += 2;
        call->arguments[0] = spark_expression(s);
        if (s->failed || !spark_take(s, ",")) { /* two arguments: no unit */
            s->at = before;
            return false;
        }
        call->arguments[1] = spark_expression(s);
        spark_expect(s, ")");
        call->n = 2;
        call->unit = unit;
        call->name = functions[i].differs ? "timestampdiff" : "timestampadd";
        return true;
    }
    return false;
}

/* extract(field FROM x): as date_part('field', x). */
static bool parse_extract(spark *s, spark_call *call)
{
    const spark_token *field = spark_peek(s, 0);
    if (strcasecmp(call->name, "extract") != 0)
        return false;
    s->at++;
    spark_expect(s, "from");
    call->name = "date_part";
    call->arguments[0] =
        (spark_value){.sql = "''", .type = spark_type_of(SPARK_STRING), .token = field};
    call->arguments[1] = spark_expression(s);
    call->n = 2;
    spark_expect(s, ")");
    return true;
}

/* substring(s FROM a FOR n), position(a IN s), overlay(s PLACING r FROM a FOR n): the words are
 * commas. Read again from the bracket where there are none. */
static bool parse_worded(spark *s, spark_call *call)
{
    static const struct {
        const char *function, *first;
    } forms[] = {
        {"substring", "from"}, {"substr", "from"}, {"position", "in"}, {"overlay", "placing"}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (strcasecmp(forms[i].function, call->name) != 0)
            continue;
        uint32_t depth = 0, at = 0;
        for (;; at++) { /* is the word there, in these brackets? */
            const spark_token *token = spark_peek(s, at);
            depth += spark_token_is(token, "(");
            if (token->kind == TOKEN_END || (depth == 0 && spark_token_is(token, ")")))
                return false;
            depth -= spark_token_is(token, ")");
            if (depth == 0 && at > 0 && spark_token_is(token, forms[i].first))
                break;
        }
        const uint32_t end = s->at + at;
        spark_token *word = &s->tokens[end];
        static const spark_token comma = {.kind = TOKEN_MARK, .text = ",", .length = 1};
        for (uint32_t k = end; k < s->n_tokens; k++) { /* its words become commas */
            spark_token *token = &s->tokens[k];
            depth += spark_token_is(token, "(");
            if (depth == 0 && spark_token_is(token, ")"))
                break;
            depth -= spark_token_is(token, ")");
            if (depth == 0 &&
                (token == word || spark_token_is(token, "from") || spark_token_is(token, "for"))) {
                token->kind = comma.kind;
                token->text = comma.text;
                token->length = comma.length;
            }
        }
        return false;
    }
    return false;
}

spark_value spark_parse_call(spark *s)
{
    const uint32_t at = spark_peek(s, 0)->at;
    spark_call call = {.at = at};
    if (!spark_enter(s))
        return spark_nothing(s);
    call.name = spark_take_name(s, "a function");
    call.arguments = arena_zero(s->arena, SPARK_ARGUMENTS_MAX + 1, sizeof *call.arguments);
    if (call.arguments == NULL) {
        spark_no_memory(s);
        spark_leave(s);
        return spark_nothing(s);
    }
    spark_expect(s, "(");
    const bool is_trim = strcasecmp(call.name, "trim") == 0;
    if (is_trim && find_in_brackets(s, "from") != 0 && !spark_is(s, 0, "both") &&
        !spark_is(s, 0, "leading") && !spark_is(s, 0, "trailing")) {
        call.arguments[1] = spark_expression(s);
        spark_expect(s, "from");
        call.arguments[0] = spark_expression(s);
        call.name = "btrim";
        call.n = 2;
        spark_expect(s, ")");
    } else if (!(is_trim && parse_trim(s, &call)) && !parse_extract(s, &call) &&
               !parse_unit(s, &call) && !parse_worded(s, &call)) {
        parse_arguments(s, &call);
    }
    parse_tail(s, &call);
    spark_value value = spark_apply(s, &call);
    spark_leave(s);
    return value;
}
