/* tsan */
/* The SQL engine behind sql.h: sessions, statements, errors, limits. What batches and results look
 * like is in sql_roundtrip_test.c. */
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
#include "sql/sql_testing.h"

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
    const char *others[] = {"INSERT INTO t VALUES (1)",
                            "DELETE FROM t",
                            "DROP TABLE t",
                            "CREATE TABLE u (a INTEGER)",
                            "SET threads = 2",
                            "BEGIN",
                            "EXPLAIN SELECT 1",
                            "ATTACH ':memory:' AS m",
                            "UPDATE t SET a = 1",
                            "PRAGMA disable_optimizer",
                            "CALL enable_logging()",
                            "VACUUM",
                            "CHECKPOINT",
                            "USE main"};
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

/* ---- runs ---- */

/* Without disabled_optimizers=statistics_propagation DuckDB 1.5.6 answers 0, 0, 0 and 100: the plan
 * keeps what it knew of the empty table. */
static void test_statement_sees_a_changing_table(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    const char *counts[] = {"id > 50", "id > -5", "id IS NULL", "amount < 10"};
    const int64_t expected[] = {49, 100, 7, 17};
    sql_statement *statements[4];
    execute(here->session, "CREATE TABLE changing (id BIGINT, amount DOUBLE)");
    for (int i = 0; i < 4; i++) {
        const char *sql =
            arena_format(here->arena, "SELECT count(*) AS n FROM changing WHERE %s", counts[i]);
        must(sql_prepare(here->session, sql, &statements[i], NULL, &err), &err);
    }
    execute(here->session, "INSERT INTO changing SELECT i, i FROM range(100) r(i)");
    execute(here->session, "INSERT INTO changing SELECT NULL, 1 FROM range(7)");
    for (int i = 0; i < 4; i++) {
        batch out;
        must(sql_run(statements[i], here->arena, &out, &err), &err);
        assert_int_equal(((int64_t *)out.columns[0].data)[0], expected[i]);
        sql_statement_close(statements[i]);
    }
    execute(here->session, "DROP TABLE changing");
}

static void test_error_of_a_row(void **state)
{
    bench *here = *state;
    const char *bad[] = {"SELECT CAST(t AS INTEGER) FROM (VALUES ('1'), ('x')) v(t)",
                         "SELECT 9223372036854775807 + i FROM range(5000) r(i)",
                         "SELECT strptime(t, '%Y') FROM (VALUES ('1999'), ('x')) v(t)",
                         "SELECT error('on purpose') FROM range(2)",
                         "SELECT CAST(i AS TINYINT) FROM range(5000) r(i)"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        freshet_error err = {0};
        sql_statement *statement;
        batch out;
        must(sql_prepare(here->session, bad[i], &statement, NULL, &err), &err);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(sql_run(statement, here->arena, &out, &err), FRESHET_FAILED);
            if (err.then != FRESHET_SKIP_ROW)
                fail_msg("%s: %s", bad[i], err.text);
            assert_null(strchr(err.text, '{'));
        }
        sql_statement_close(statement);
    }
}

static void test_result_of_a_limit(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    sql_statement *statement;
    batch out;
    arena *large = arena_open();
    for (uint32_t past = 0; past < 2; past++) {
        const char *sql =
            arena_format(here->arena, "SELECT true FROM range(%u)", SQL_RUN_ROWS_MAX + past);
        must(sql_prepare(here->session, sql, &statement, NULL, &err), &err);
        freshet_code code = sql_run(statement, large, &out, &err);
        assert_int_equal(code, past ? FRESHET_LIMIT : FRESHET_OK);
        assert_int_equal(out.n_rows, SQL_RUN_ROWS_MAX);
        sql_statement_close(statement);
    }
    arena_close(large);
}

static void test_memory_limit(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    sql_engine *engine;
    sql_session *session;
    sql_statement *statement;
    batch out;
    const sql_options options = {.memory = 20 << 20};
    must(sql_open(&options, &engine, &err), &err);
    must(sql_session_open(engine, &session, &err), &err);
    must(sql_prepare(session, "SELECT i FROM range(20000000) r(i) ORDER BY hash(i) LIMIT 5000000",
                     &statement, NULL, &err),
         &err);
    assert_int_equal(sql_run(statement, here->arena, &out, &err), FRESHET_LIMIT);
    assert_non_null(strstr(err.text, "more memory"));
    sql_statement_close(statement);
    execute(session, "CREATE TABLE still_usable (a INTEGER)");
    sql_session_close(session);
    sql_close(engine);
}

/* A stream given up, or failed, leaves no transaction behind that would take later work with it. */
static void test_nothing_is_left_behind(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    const field fields[] = {{"a", type_simple(TYPE_BIGINT)}};
    const schema columns = {1, fields};
    const char *abandoned[] = {"SELECT true FROM range(9000000)",
                               "SELECT CAST(i AS SMALLINT) FROM range(40000) r(i)"};
    for (size_t i = 0; i < 2; i++) {
        sql_statement *statement;
        sql_input *input;
        batch out;
        must(sql_prepare(here->session, abandoned[i], &statement, NULL, &err), &err);
        assert_int_not_equal(sql_run(statement, here->arena, &out, &err), FRESHET_OK);
        must(sql_input_add(here->session, "later", &columns, NULL, 0, &input, &err), &err);
        sql_statement_close(statement);
        assert_string_equal(answer(here, "SELECT count(*) AS n FROM later"), "{\"n\":0}\n");
        sql_input_close(input);
    }
}

/* ---- inputs ---- */

static schema three_bigints(bench *here)
{
    field *fields = arena_zero(here->arena, 3, sizeof *fields);
    const char *names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        fields[i] = (field){names[i], type_simple(TYPE_BIGINT)};
    return (schema){3, fields};
}

static batch numbers(bench *here, const schema *columns, uint32_t n)
{
    freshet_error err = {0};
    batch rows;
    must(batch_init(&rows, here->arena, columns, n, &err), &err);
    for (uint32_t c = 0; c < columns->n_fields; c++) {
        for (uint32_t i = 0; i < n; i++)
            ((int64_t *)rows.columns[c].data)[i] = (int64_t)i * (c + 1);
    }
    rows.n_rows = n;
    return rows;
}

static int64_t first_number(bench *here, sql_statement *statement)
{
    freshet_error err = {0};
    batch out;
    must(sql_run(statement, here->arena, &out, &err), &err);
    assert_int_equal(out.n_rows, 1);
    return ((int64_t *)out.columns[0].data)[0];
}

static void test_used_columns(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    schema columns = three_bigints(here);
    sql_input *input;
    sql_statement *statement;
    must(sql_input_add(here->session, "three", &columns, "row", 0, &input, &err), &err);
    const struct {
        const char *sql;
        bool used[3];
    } cases[] = {{"SELECT count(*) FROM three", {true, false, false}}, /* DuckDB asks for one */
                 {"SELECT max(row) FROM three", {false, false, false}},
                 {"SELECT count(b) FROM three", {false, true, false}},
                 {"SELECT max(c) FROM three WHERE b > 0", {false, true, true}},
                 {"SELECT count(*) FROM three WHERE a > 0", {true, false, false}}};
    batch rows = numbers(here, &columns, 3000);
    sql_input_set(input, &rows, 0, 3000);
    const int64_t expected[] = {3000, 2999, 3000, 8997, 2999};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool used[3] = {false, false, false};
        must(sql_prepare(here->session, cases[i].sql, &statement, NULL, &err), &err);
        assert_int_equal(first_number(here, statement), expected[i]);
        sql_input_used(input, used);
        assert_memory_equal(used, cases[i].used, sizeof used);
        sql_statement_close(statement);
    }
    sql_input_close(input);
}

static void test_self_join_scans_twice(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    schema columns = three_bigints(here);
    sql_input *input;
    sql_statement *statement;
    must(sql_input_add(here->session, "three", &columns, NULL, 0, &input, &err), &err);
    must(sql_prepare(here->session, "SELECT count(*) FROM three x JOIN three y ON x.a = y.b",
                     &statement, NULL, &err),
         &err);
    for (uint32_t n = 10; n < 6000; n += 2500) {
        batch rows = numbers(here, &columns, n);
        sql_input_set(input, &rows, 0, n);
        assert_int_equal(first_number(here, statement), (n + 1) / 2);
    }
    sql_statement_close(statement);
    sql_input_close(input);
}

/* A batch may be in the middle of being changed: only the session that runs it may read it. */
static void test_input_belongs_to_its_session(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    schema columns = three_bigints(here);
    sql_input *input;
    sql_session *other;
    sql_statement *statement = NULL;
    must(sql_session_open(here->engine, &other, &err), &err);
    must(sql_input_add(here->session, "three", &columns, NULL, 0, &input, &err), &err);
    assert_int_equal(sql_prepare(other, "SELECT * FROM three", &statement, NULL, &err),
                     FRESHET_USAGE);
    const char *functions = answer(
        here, "SELECT function_name AS n FROM duckdb_functions() WHERE function_type = 'table' "
              "AND function_name LIKE '\\_\\_freshet%' ESCAPE '\\'");
    for (const char *line = functions; *line != '\0'; line = strchr(line, '\n') + 1) {
        char sql[100];
        int length = (int)strcspn(line + 6, "\"");
        snprintf(sql, sizeof sql, "SELECT * FROM %.*s()", length, line + 6);
        assert_int_equal(sql_prepare(other, sql, &statement, NULL, &err), FRESHET_USAGE);
        assert_non_null(strstr(err.text, "its own session only"));
    }
    assert_true(functions[0] != '\0');
    sql_input_close(input);
    assert_int_equal(sql_prepare(here->session, "SELECT * FROM three", &statement, NULL, &err),
                     FRESHET_USAGE);
    must(sql_input_add(here->session, "three", &columns, NULL, 0, &input, &err), &err);
    sql_input_close(input);
    sql_session_close(other);
}

static void test_transaction_and_changed(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    int64_t changed = -1;
    execute(here->session, "CREATE TABLE t (a INTEGER)");
    execute(here->session, "BEGIN");
    must(sql_execute(here->session, "INSERT INTO t SELECT * FROM range(5)", &changed, &err), &err);
    assert_int_equal(changed, 5);
    execute(here->session, "ROLLBACK");
    assert_string_equal(answer(here, "SELECT count(*) AS n FROM t"), "{\"n\":0}\n");
    execute(here->session, "DROP TABLE t");
}

/* A replaced table under a prepared statement: the new rows, and an error where columns changed. */
static void test_replaced_table(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    sql_statement *statement;
    batch out;
    execute(here->session, "CREATE TABLE t AS SELECT 1::BIGINT AS a");
    must(sql_prepare(here->session, "SELECT * FROM t", &statement, NULL, &err), &err);
    assert_int_equal(first_number(here, statement), 1);
    execute(here->session, "CREATE TABLE t2 AS SELECT 2::BIGINT AS a; DROP TABLE t; "
                           "ALTER TABLE t2 RENAME TO t");
    assert_int_equal(first_number(here, statement), 2);
    execute(here->session, "DROP TABLE t; CREATE TABLE t AS SELECT 'x' AS a");
    assert_int_equal(sql_run(statement, here->arena, &out, &err), FRESHET_FAILED);
    sql_statement_close(statement);
    execute(here->session, "DROP TABLE t");
}

/* ---- trees ---- */

static void test_trees(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    const char *json, *sql;
    size_t length;
    sql_problem problem;
    must(sql_tree(here->session, here->arena, "select a, 'it''s' from t where b > 1", &json,
                  &length, &problem, &err),
         &err);
    assert_non_null(strstr(json, "\"table_name\":\"t\""));
    must(sql_from_tree(here->session, here->arena, json, length, &sql, &err), &err);
    assert_string_equal(sql, "SELECT a, 'it''s' FROM t WHERE (b > 1)");
    assert_int_equal(
        sql_tree(here->session, here->arena, "select 1 from from", &json, &length, &problem, &err),
        FRESHET_USAGE);
    assert_int_equal(problem.position, 14);
    assert_non_null(strstr(problem.text, "syntax error at or near \"from\""));
    assert_int_equal(
        sql_tree(here->session, here->arena, "drop table t", &json, &length, &problem, &err),
        FRESHET_USAGE);
    assert_non_null(strstr(problem.text, "SELECT"));
}

/* ---- the lock ---- */

static void test_locked(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    sql_engine *engine;
    sql_session *session, *later;
    sql_statement *statement = NULL;
    sql_input *input;
    const sql_options options = {.external_access = true};
    must(sql_open(&options, &engine, &err), &err);
    must(sql_session_open(engine, &session, &err), &err);
    must(sql_prepare(session, "SELECT * FROM read_text('CMakeLists.txt')", &statement, NULL, &err),
         &err);
    sql_statement_close(statement);
    must(sql_lock(engine, &err), &err);
    must(sql_lock(engine, &err), &err); /* again: nothing to do */
    must(sql_session_open(engine, &later, &err), &err);
    const char *no[] = {"SET threads = 4",
                        "SET enable_external_access = true",
                        "SET lock_configuration = false",
                        "SET memory_limit = '100GB'",
                        "COPY (SELECT 1) TO 'x.csv'",
                        "SELECT * FROM read_text('CMakeLists.txt')",
                        "FROM 'x.csv'",
                        "ATTACH 'x.db' AS x",
                        "INSTALL httpfs",
                        "LOAD httpfs",
                        "SET TimeZone = 'America/Sao_Paulo'"};
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        if (sql_execute(session, no[i], NULL, &err) == FRESHET_OK ||
            sql_execute(later, no[i], NULL, &err) == FRESHET_OK)
            fail_msg("possible: %s", no[i]);
    }
    /* Our own work goes on. */
    schema columns = three_bigints(here);
    must(sql_table_create(later, "t", &columns, &err), &err);
    must(sql_input_add(later, "more", &columns, NULL, 0, &input, &err), &err);
    execute(later, "INSERT INTO t SELECT * FROM more; DROP TABLE t");
    assert_int_equal(sql_prepare(later, "selec", &statement, NULL, &err), FRESHET_USAGE);
    assert_null(strstr(err.text, "LINE"));
    sql_input_close(input);
    sql_session_close(session);
    sql_session_close(later);
    sql_close(engine);
}

static void test_utc_whatever_the_machine_says(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    sql_session *session;
    must(sql_session_open(here->engine, &session, &err), &err);
    sql_session *own = here->session;
    here->session = session;
    assert_string_equal(answer(here, "SELECT current_setting('TimeZone') AS z"),
                        "{\"z\":\"UTC\"}\n");
    here->session = own;
    sql_session_close(session);
}

/* ---- threads ---- */

typedef struct watch {
    sql_session *session;
    _Atomic bool stop;
} watch;

static void *interrupt_until_stopped(void *context)
{
    watch *watch = context;
    while (!watch->stop) {
        usleep(20000);
        sql_interrupt(watch->session);
    }
    return NULL;
}

static void test_interrupt(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    sql_statement *statement;
    sql_cursor *cursor;
    batch out;
    pthread_t thread;
    watch watch = {.session = here->session};
    must(sql_prepare(here->session,
                     "SELECT count(*) FROM range(100000000000) a(i) WHERE hash(i) = 1", &statement,
                     NULL, &err),
         &err);
    assert_int_equal(pthread_create(&thread, NULL, interrupt_until_stopped, &watch), 0);
    assert_int_equal(sql_run(statement, here->arena, &out, &err), FRESHET_LIMIT);
    assert_non_null(strstr(err.text, "interrupted"));
    freshet_code code = sql_cursor_open(statement, &cursor, &err);
    if (code == FRESHET_OK) {
        code = sql_next(cursor, here->arena, &out, &err);
        sql_cursor_close(cursor);
    }
    assert_int_equal(code, FRESHET_LIMIT);
    watch.stop = true;
    pthread_join(thread, NULL);
    sql_statement_close(statement);
    assert_string_equal(answer(here, "SELECT 1 AS a"), "{\"a\":1}\n");
}

typedef struct worker {
    sql_engine *engine;
    int64_t sum;
    freshet_code code;
    freshet_error err;
} worker;

static void *read_while_written(void *context)
{
    worker *worker = context;
    sql_session *session = NULL;
    sql_statement *statement = NULL;
    arena *arena = arena_open();
    worker->code = sql_session_open(worker->engine, &session, &worker->err);
    if (worker->code == FRESHET_OK)
        worker->code = sql_prepare(session, "SELECT count(*) % 10 AS n FROM shared", &statement,
                                   NULL, &worker->err);
    for (int i = 0; i < 200 && worker->code == FRESHET_OK; i++) {
        batch out;
        arena_reset(arena);
        worker->code = sql_run(statement, arena, &out, &worker->err);
        if (worker->code == FRESHET_OK)
            worker->sum += ((int64_t *)out.columns[0].data)[0];
    }
    sql_statement_close(statement);
    sql_session_close(session);
    arena_close(arena);
    return NULL;
}

static void test_sessions_in_threads(void **state)
{
    bench *here = *state;
    worker workers[3] = {
        {.engine = here->engine}, {.engine = here->engine}, {.engine = here->engine}};
    pthread_t threads[3];
    execute(here->session, "CREATE TABLE shared (a BIGINT)");
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_while_written, &workers[i]), 0);
    for (int i = 0; i < 100; i++)
        execute(here->session, "INSERT INTO shared SELECT * FROM range(10)");
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        must(workers[i].code, &workers[i].err);
        assert_int_equal(workers[i].sum, 0);
    }
    execute(here->session, "DROP TABLE shared");
}

static void test_closing_nothing(void **state)
{
    (void)state;
    sql_statement_close(NULL);
    sql_cursor_close(NULL);
    sql_input_close(NULL);
    sql_session_close(NULL);
    sql_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_bad_sql_has_message_and_position),
        cmocka_unit_test(test_only_one_select),
        cmocka_unit_test(test_statement_sees_a_changing_table),
        cmocka_unit_test(test_error_of_a_row),
        cmocka_unit_test(test_result_of_a_limit),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_nothing_is_left_behind),
        cmocka_unit_test(test_used_columns),
        cmocka_unit_test(test_self_join_scans_twice),
        cmocka_unit_test(test_input_belongs_to_its_session),
        cmocka_unit_test(test_transaction_and_changed),
        cmocka_unit_test(test_replaced_table),
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_locked),
        cmocka_unit_test(test_utc_whatever_the_machine_says),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_sessions_in_threads),
        cmocka_unit_test(test_closing_nothing),
    };
    return cmocka_run_group_tests_name("sql/sql", tests, set_up, tear_down);
}
