/* The SQL engine behind sql.h: sessions, statements, errors, limits. What batches and results look
 * like is in roundtrip_test.c. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"
#include "sql/sql.h"

typedef struct bench {
    sql_engine *engine;
    sql_session *session;
    arena *arena;
} bench;

static int set_up(void **state)
{
    static bench here;
    freshet_error err = {0};
    assert_int_equal(sql_open(NULL, &here.engine, &err), FRESHET_OK);
    assert_int_equal(sql_session_open(here.engine, &here.session, &err), FRESHET_OK);
    here.arena = arena_open();
    assert_non_null(here.arena);
    *state = &here;
    return 0;
}

static int tear_down(void **state)
{
    bench *here = *state;
    sql_session_close(here->session);
    sql_close(here->engine);
    arena_close(here->arena);
    return 0;
}

static void must(freshet_code code, const freshet_error *err)
{
    if (code != FRESHET_OK)
        fail_msg("code %d: %s", code, err->text);
}

static void execute(sql_session *session, const char *sql)
{
    freshet_error err = {0};
    must(sql_execute(session, sql, NULL, &err), &err);
}

/* All rows of a query as JSON lines. */
static const char *answer(bench *here, const char *sql)
{
    freshet_error err = {0};
    sql_statement *statement = NULL;
    batch rows;
    must(sql_prepare(here->session, sql, &statement, NULL, &err), &err);
    must(sql_run(statement, here->arena, &rows, &err), &err);
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < rows.n_rows; i++) {
        must(batch_row_to_json(&rows, i, &text, &err), &err);
        text_append_char(&text, '\n');
    }
    const char *copy = arena_text(here->arena, text.bytes == NULL ? "" : text.bytes);
    text_release(&text);
    sql_statement_close(statement);
    return copy;
}

static void test_answers(void **state)
{
    bench *here = *state;
    assert_string_equal(answer(here, "SELECT 1 AS a, 'x' AS b"), "{\"a\":1,\"b\":\"x\"}\n");
    assert_string_equal(answer(here, "SELECT 1 AS a WHERE false"), "");
}

static void test_input(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    const field fields[] = {{"n", type_simple(TYPE_BIGINT)}, {"text", type_simple(TYPE_STRING)}};
    const schema columns = {2, fields};
    batch rows, out;
    must(batch_init(&rows, here->arena, &columns, 3, &err), &err);
    for (int64_t i = 0; i < 3; i++) {
        ((int64_t *)rows.columns[0].data)[i] = i;
        ((cell_text *)rows.columns[1].data)[i] =
            text_of("more than twelve bytes", 10 + (uint32_t)i * 6);
    }
    rows.n_rows = 3;
    sql_input *input;
    sql_statement *statement;
    must(sql_input_add(here->session, "in put", &columns, "row", 7, &input, &err), &err);
    must(sql_prepare(here->session, "SELECT text, n + 1 AS n, row FROM \"in put\"", &statement,
                     NULL, &err),
         &err);
    must(sql_run(statement, here->arena, &out, &err), &err);
    assert_int_equal(out.n_rows, 0);
    sql_input_set(input, &rows, 1, 2);
    must(sql_run(statement, here->arena, &out, &err), &err);
    assert_int_equal(out.n_rows, 2);
    cell_text *text = &((cell_text *)out.columns[0].data)[1];
    assert_int_equal(text->length, 22);
    assert_memory_equal(text_bytes(text), "more than twelve bytes", 22);
    assert_int_equal(((int64_t *)out.columns[1].data)[1], 3);
    assert_int_equal(((int64_t *)out.columns[2].data)[1], ROW_OF(7, 2));
    sql_statement_close(statement);
    sql_input_close(input);
}

/* ---- what is refused ---- */

static void refused(bench *here, const char *sql, int64_t position, const char *text)
{
    freshet_error err = {0};
    sql_problem problem = {.position = -2};
    sql_statement *statement = NULL;
    assert_int_equal(sql_prepare(here->session, sql, &statement, &problem, &err), FRESHET_USAGE);
    assert_null(statement);
    if (strstr(problem.text, text) == NULL)
        fail_msg("%s: %s", sql, problem.text);
    assert_string_equal(err.text, problem.text);
    assert_null(strstr(err.text, "LINE"));
    assert_null(strchr(err.text, '\n'));
    assert_int_equal(problem.position, position);
}

static void test_bad_sql_has_message_and_position(void **state)
{
    bench *here = *state;
    refused(here, "selec 1", 0, "syntax error at or near \"selec\"");
    refused(here, "select '\303\251', foo from range(3)", 13,
            "Referenced column \"foo\" not found");
    refused(here, "select range\n  , bar(2) from range(3)", 17, "bar");
    refused(here, "select * from nowhere", 14, "nowhere");
    refused(here, "", -1, "no SQL statement");
    refused(here, "-- nothing", -1, "no SQL statement");
}

static void test_only_one_select(void **state)
{
    bench *here = *state;
    execute(here->session, "CREATE TABLE t (a INTEGER)");
    const char *others[] = {
        "INSERT INTO t VALUES (1)",   "DELETE FROM t",          "DROP TABLE t",
        "CREATE TABLE u (a INTEGER)", "SET threads = 2",        "BEGIN",
        "EXPLAIN SELECT 1",           "ATTACH ':memory:' AS m", "UPDATE t SET a = 1"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        refused(here, others[i], -1, "only a SELECT is possible here");
    refused(here, "SELECT 1; SELECT 2", -1, "only one SQL statement");
    refused(here, "SELECT 1; DROP TABLE t", -1, "only one SQL statement");
    refused(here, "COPY t TO 'x.csv'", -1, "disabled by configuration");
    refused(here, "SELECT $1::INTEGER", -1, "parameters");
    refused(here, "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x", -1, "SELECT");
    assert_string_equal(answer(here, "SELECT count(*) AS n FROM t"), "{\"n\":0}\n");
    execute(here->session, "DROP TABLE t");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_bad_sql_has_message_and_position),
        cmocka_unit_test(test_only_one_select),
    };
    return cmocka_run_group_tests_name("sql/sql", tests, set_up, tear_down);
}
