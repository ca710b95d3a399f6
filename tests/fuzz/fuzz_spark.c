/* fuzz_spark.c - any bytes as Spark's SQL, a query and an expression: words lie within the text, in
 * order, and what is refused has its place in it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "dialect/dialect.h"
#include "dialect/spark_tokens.h"

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_tokens(arena *arena, const char *text)
{
    spark_token *tokens;
    uint32_t n;
    sql_problem problem;
    freshet_error err;
    if (spark_tokens_read(arena, text, &tokens, &n, &problem, &err) != FRESHET_OK)
        return;
    check(n > 0 && tokens[n - 1].kind == TOKEN_END);
    for (uint32_t i = 0; i < n; i++) {
        check(tokens[i].at <= tokens[i].end && tokens[i].end <= strlen(text));
        check(i == 0 || tokens[i].at >= tokens[i - 1].end);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const declared[][2] = {
        {"a", "integer"}, {"s", "string"},        {"d", "decimal(10,2)"},
        {"f", "double"},  {"t", "timestamp"},     {"x", "date"},
        {"b", "boolean"}, {"n", "binary"},        {"l", "array<bigint>"},
        {"e", "float"},   {"w", "decimal(38,0)"}, {"r", "struct<p: string, q: array<double>>"}};
    enum { N_DECLARED = sizeof declared / sizeof *declared };
    field columns[N_DECLARED];
    sql_problem problem = {.position = -1};
    dialect_text out;
    freshet_error err;
    if (size > 4096 || !text_is_utf8((const char *)data, size))
        return 0;
    arena *arena = arena_open();
    char *text = arena_copy(arena, data, size);
    check_tokens(arena, text);
    for (int i = 0; i < N_DECLARED; i++) {
        columns[i] = (field){declared[i][0], type_parse(arena, declared[i][1])};
        check(columns[i].type != NULL);
    }
    const schema schema = {N_DECLARED, columns};
    for (int is_query = 0; is_query < 2; is_query++)
        if (dialect_syntax(DIALECT_SPARK, arena, text, is_query, &problem, &err) == FRESHET_USAGE)
            check(problem.position >= 0 && (size_t)problem.position <= strlen(text));
    const freshet_code code =
        dialect_expression(DIALECT_SPARK, NULL, arena, text, &schema, &out, &problem, &err);
    if (code == FRESHET_USAGE)
        check(problem.position >= 0 && (size_t)problem.position <= strlen(text));
    if (code == FRESHET_OK)
        for (int64_t at = 0; out.sql[at] != '\0'; at++)
            check((size_t)dialect_position(&out, at) <= strlen(text));
    arena_close(arena);
    return 0;
}
