/* A text is the same time everywhere: in casts, literals, comparisons, lists, structs, JSON, and as
 * `type: timestamp` and `type: date` read it. What is no time is an error of its row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sql/sql_testing.h"

static const struct {
    const char *expression, *json;
} cases[] = {
    {"'2024-01-15T10:00:00-03:00'::TIMESTAMP", "\"2024-01-15T13:00:00.000000Z\""},
    {"CAST('2024-01-15T10:00:00-03:00' AS TIMESTAMP)", "\"2024-01-15T13:00:00.000000Z\""},
    {"TRY_CAST('2024-01-15T10:00:00-03:00' AS TIMESTAMP)", "\"2024-01-15T13:00:00.000000Z\""},
    {"TIMESTAMP '2024-01-15T10:00:00-03:00'", "\"2024-01-15T13:00:00.000000Z\""},
    {"CAST('2024-01-15T10:00:00-03:00' AS TIMESTAMPTZ)::TIMESTAMP",
     "\"2024-01-15T13:00:00.000000Z\""},
    {"'2024-01-15T10:00:00.25+0530'::TIMESTAMP", "\"2024-01-15T04:30:00.250000Z\""},
    {"'2024-01-15 10:00:00 +05'::TIMESTAMP", "\"2024-01-15T05:00:00.000000Z\""},
    {"'2024-01-15 10:00:00 America/Sao_Paulo'::TIMESTAMP", "\"2024-01-15T13:00:00.000000Z\""},
    {"'2024-01-15 10:00:00Z'::TIMESTAMP", "\"2024-01-15T10:00:00.000000Z\""},
    {"'2024-01-15 10:00:00 UTC'::TIMESTAMP", "\"2024-01-15T10:00:00.000000Z\""},
    {"'2024-01-15 10:00:00.1234567'::TIMESTAMP", "\"2024-01-15T10:00:00.123456Z\""},
    {"'2024-01-15 10:00'::TIMESTAMP", "\"2024-01-15T10:00:00.000000Z\""},
    {"'2024-01-15'::TIMESTAMP", "\"2024-01-15T00:00:00.000000Z\""},
    {"'2024-01-15 24:00:00'::TIMESTAMP", "\"2024-01-16T00:00:00.000000Z\""},
    {"'2024-1-5 1:2:3'::TIMESTAMP", "\"2024-01-05T01:02:03.000000Z\""},
    {"'2024-1-5 1:2:3-03'::TIMESTAMP", "\"2024-01-05T04:02:03.000000Z\""},
    {"'2024/01/15'::TIMESTAMP", "\"2024-01-15T00:00:00.000000Z\""},
    {"'epoch'::TIMESTAMP", "\"1970-01-01T00:00:00.000000Z\""},
    {"('infinity'::TIMESTAMP)::VARCHAR", "\"infinity\""},
    {"('infinity'::TIMESTAMP_S)::VARCHAR", "\"infinity\""},
    {"('0044-03-15 (BC) 10:00:00'::TIMESTAMP)::VARCHAR", "\"0044-03-15 (BC) 10:00:00\""},
    {"NULL::VARCHAR::TIMESTAMP", "null"},
    {"TRY_CAST('yesterday' AS TIMESTAMP)", "null"},
    {"TRY_CAST('2024' AS TIMESTAMP)", "null"},
    {"['2024-01-15T10:00:00-03:00', NULL]::TIMESTAMP[]", "[\"2024-01-15T13:00:00.000000Z\",null]"},
    {"{'t': '2024-01-15T10:00:00-03:00'}::STRUCT(t TIMESTAMP)",
     "{\"t\":\"2024-01-15T13:00:00.000000Z\"}"},
    {"'{t: 2024-01-15T10:00:00-03:00}'::STRUCT(t TIMESTAMP)",
     "{\"t\":\"2024-01-15T13:00:00.000000Z\"}"},
    {"TIMESTAMP '2024-01-15 13:00:00' = '2024-01-15T10:00:00-03:00'", "true"},
    {"TIMESTAMP '2024-01-15 13:00:00' IN ('2024-01-15T10:00:00-03:00')", "true"},
    {"TIMESTAMP '2024-01-15 12:00:00' BETWEEN '2024-01-15T10:00:00-03:00' AND '2025-01-01'",
     "false"},
    {"hour('2024-01-15T10:00:00-03:00'::TIMESTAMP)", "13"},
    {"date_trunc('hour', '2024-01-15T10:20:00-03:00'::TIMESTAMP)",
     "\"2024-01-15T13:00:00.000000Z\""},
    {"(json '{\"t\":\"2024-01-15T10:00:00-03:00\"}'->>'t')::TIMESTAMP",
     "\"2024-01-15T13:00:00.000000Z\""},
    {"('2024-01-15 22:00:00.9'::TIMESTAMP_S)::TIMESTAMP", "\"2024-01-15T22:00:01.000000Z\""},
    {"('1969-12-31 23:59:58.9'::TIMESTAMP_S)::TIMESTAMP", "\"1969-12-31T23:59:59.000000Z\""},
    {"('1969-12-31 23:59:58.1239'::TIMESTAMP_MS)::TIMESTAMP", "\"1969-12-31T23:59:58.124000Z\""},
    {"('2024-01-15T10:00:00.5-03:00'::TIMESTAMP_MS)::TIMESTAMP", "\"2024-01-15T13:00:00.500000Z\""},
    {"('2024-01-15T10:00:00.5-03:00'::TIMESTAMP_NS)::TIMESTAMP", "\"2024-01-15T13:00:00.500000Z\""},
    {"'2024-01-15'::DATE", "\"2024-01-15\""},
    {"'2024-01-15T22:00:00-03:00'::DATE", "\"2024-01-15\""},
    {"'2024-01-15 22:00:00'::DATE", "\"2024-01-15\""},
    {"' 2024-01-15 '::DATE", "\"2024-01-15\""},
    {"'2024/1/5'::DATE", "\"2024-01-05\""},
    {"('0044-03-15 (BC)'::DATE)::VARCHAR", "\"0044-03-15 (BC)\""},
    {"('99999-01-01'::DATE)::VARCHAR", "\"99999-01-01\""},
    {"('-infinity'::DATE)::VARCHAR", "\"-infinity\""},
    {"'1970/1/1'::DATE", "\"1970-01-01\""},
    {"'1970/1/1 0:0:0'::TIMESTAMP", "\"1970-01-01T00:00:00.000000Z\""},
    {"'1969/12/31 21:00:00-03'::TIMESTAMP", "\"1970-01-01T00:00:00.000000Z\""},
    {"TRY_CAST('1970/1/1x' AS DATE)", "null"},
    {"TRY_CAST('1970/1/1x' AS TIMESTAMP)", "null"},
    {"TRY_CAST('' AS TIMESTAMP)", "null"},
    {"TRY_CAST('' AS DATE)", "null"},
    {"'epoch'::DATE", "\"1970-01-01\""},
    {"TRY_CAST('2024-01-15abc' AS DATE)", "null"},
    {"TRY_CAST('2024-01-15 05' AS DATE)", "null"},
    {"TRY_CAST('2024/1/5x' AS DATE)", "null"},
    {"TRY_CAST('2024-02-30' AS DATE)", "null"},
    {"[x::TIMESTAMP FOR x IN ['2024-01-15T10:00:00-03:00']]", "[\"2024-01-15T13:00:00.000000Z\"]"},
};

static void test_each(void **state)
{
    bench *here = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *sql = arena_format(here->arena, "SELECT %s AS r", cases[i].expression);
        const char *got = answer(here, sql);
        const char *json = arena_format(here->arena, "{\"r\":%s}\n", cases[i].json);
        if (strcmp(got, json) != 0)
            fail_msg("%s gives %s", sql, got);
        /* and over a column, which is not computed before the run */
        sql = arena_format(here->arena, "SELECT %s AS r FROM range(3000) t(i) WHERE i = 2999",
                           cases[i].expression);
        if (strcmp(answer(here, sql), json) != 0)
            fail_msg("%s gives other rows", sql);
    }
}

/* Columns of texts with nulls among them, over more than one of the engine's pieces. */
static void test_columns(void **state)
{
    bench *here = *state;
    execute(here->session,
            "CREATE TABLE t AS SELECT CASE WHEN i % 3 = 0 THEN NULL ELSE "
            "strftime(TIMESTAMP '2024-01-01' + INTERVAL (i) HOUR, '%Y-%m-%dT%H:%M:%S-03:00') END s,"
            "TIMESTAMP '2024-01-01 03:00:00' + INTERVAL (i) HOUR ts, i FROM range(5000) r(i)");
    assert_string_equal(answer(here, "SELECT count(*) AS n, count(s::TIMESTAMP) AS m, "
                                     "bool_and(s::TIMESTAMP = ts) AS same FROM t"),
                        "{\"n\":5000,\"m\":3333,\"same\":true}\n");
    assert_string_equal(answer(here, "SELECT count(*) AS n FROM t WHERE TRY_CAST(s || CASE WHEN i "
                                     "% 2 = 0 THEN 'x' ELSE '' END AS TIMESTAMP) IS NULL"),
                        "{\"n\":3333}\n");
}

static void test_refused(void **state)
{
    static const struct {
        const char *expression, *text;
    } refused[] = {
        {"s::TIMESTAMP", "the text \"2024-01-15abc\" is no time: expected is YYYY-MM-DD HH:MM"},
        {"s::DATE", "the text \"2024-01-15abc\" is no date: expected is YYYY-MM-DD"},
        {"(s || repeat('x', 100))::DATE", "is no date: expected"},
        {"left(s, 4)::TIMESTAMP", "the text \"2024\" is no time"},
    };
    bench *here = *state;
    freshet_error err = {0};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        sql_statement *statement = NULL;
        batch out;
        const char *sql =
            arena_format(here->arena, "SELECT %s AS r FROM (VALUES (NULL), ('2024-01-15abc')) v(s)",
                         refused[i].expression);
        must(sql_prepare(here->session, sql, &statement, NULL, &err), &err);
        assert_int_equal(sql_run(statement, here->arena, &out, &err), FRESHET_FAILED);
        assert_int_equal(err.then, FRESHET_SKIP_ROW);
        if (strstr(err.text, refused[i].text) == NULL)
            fail_msg("%s: %s", sql, err.text);
        sql_statement_close(statement);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_columns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("sql/sql_cast", tests, NULL, NULL);
}
