/* A cast is refused before a row comes where DuckDB does it for no row, and only there: all pairs
 * of its types are tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sql/sql_testing.h"

static const struct {
    const char *name, *value;
} types[] = {
    {"BOOLEAN", "true"},
    {"TINYINT", "1::TINYINT"},
    {"INTEGER", "1"},
    {"BIGINT", "1::BIGINT"},
    {"HUGEINT", "1::HUGEINT"},
    {"UBIGINT", "1::UBIGINT"},
    {"FLOAT", "1::FLOAT"},
    {"DOUBLE", "1e0"},
    {"DECIMAL(10,2)", "1.5::DECIMAL(10,2)"},
    {"VARCHAR", "'1'"},
    {"BLOB", "'\\x01'::BLOB"},
    {"DATE", "DATE '2024-01-01'"},
    {"TIME", "TIME '10:00:00'"},
    {"TIMESTAMP", "TIMESTAMP '2024-01-01'"},
    {"TIMESTAMP_S", "'2024-01-01'::TIMESTAMP_S"},
    {"TIMESTAMP_MS", "'2024-01-01'::TIMESTAMP_MS"},
    {"TIMESTAMP WITH TIME ZONE", "'2024-01-01'::TIMESTAMPTZ"},
    {"INTERVAL", "INTERVAL 1 DAY"},
    {"UUID", "'00000000-0000-0000-0000-000000000000'::UUID"},
    {"INTEGER[]", "[1]"},
    {"TIMESTAMP[]", "[TIMESTAMP '2024-01-01']"},
    {"STRUCT(a INTEGER)", "{'a': 1}"},
    {"MAP(VARCHAR, INTEGER)", "MAP {'a': 1}"},
};

#define N (sizeof types / sizeof *types)

static bool is_refused(bench *here, const char *sql, sql_problem *problem)
{
    freshet_error err = {0};
    freshet_code code = sql_check_casts(here->session, here->arena, sql, problem, &err);
    if (code != FRESHET_USAGE)
        must(code, &err);
    return code == FRESHET_USAGE;
}

/* Does DuckDB have no such cast? Told by what it says when it runs it. */
static bool fails_always(bench *here, const char *sql)
{
    freshet_error err = {0};
    sql_statement *statement = NULL;
    batch rows;
    if (sql_prepare(here->session, sql, &statement, NULL, &err) == FRESHET_OK)
        sql_run(statement, here->arena, &rows, &err);
    sql_statement_close(statement);
    return strstr(err.text, "Unimplemented type for cast") != NULL;
}

static void test_all_pairs(void **state)
{
    bench *here = *state;
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < N; j++) {
            sql_problem problem;
            const char *sql = arena_format(
                here->arena, "SELECT CAST(v AS %s)::VARCHAR FROM (SELECT %s v FROM range(2))",
                types[j].name, types[i].value);
            bool refused = is_refused(here, sql, &problem), fails = fails_always(here, sql);
            if (refused && !fails)
                fail_msg("%s is refused, and DuckDB does it: %s", sql, problem.text);
            if (fails && !refused)
                fail_msg("%s is taken, and fails for every row", sql);
        }
    }
}

static void test_places(void **state)
{
    static const struct {
        const char *sql, *at, *text;
    } refused[] = {
        {"SELECT x, ts::BIGINT FROM t", "::",
         "TIMESTAMP can never be cast to BIGINT, whatever row "
         "comes: for the seconds since 1970 write "
         "unix_seconds(...)"},
        {"SELECT x, TRY_CAST(x AS TIMESTAMP) FROM t", "TRY", "write timestamp_seconds(...)"},
        {"SELECT x FROM t WHERE CAST(x AS DATE) > d", "CAST", "DATE '1970-01-01' + ..."},
        {"SELECT (SELECT max(ts::DOUBLE) FROM t)", "::", "unix_seconds"},
        {"SELECT list_transform([ts], lambda e: e::INTEGER) FROM t", "::", "unix_seconds"},
        {"WITH c AS (SELECT d::INTEGER n FROM t) SELECT n FROM c", "::", "DATE can never be cast"},
        {"SELECT CAST(x AS TIMESTAMP), count(*) FROM t GROUP BY CAST(x AS TIMESTAMP)", NULL, "INT"},
        {"SELECT [x]::TIMESTAMP[] FROM t", "::", "INTEGER can never be cast to TIMESTAMP"},
        {"SELECT (j->'a')::TIMESTAMP FROM t", "::", "as in (j->>'t')::TIMESTAMP"},
        {"SELECT j::STRUCT(a TIMESTAMP) FROM t", "::", "loses its offset"},
        {"SELECT from_json(s, '{\"t\": \"TIMESTAMP\"}') FROM t", "from_json", "take it as VARCHAR"},
        {"SELECT json_transform(j, '[\"timestamp\"]') FROM t", "json_tr", "take it as VARCHAR"},
        {"SELECT (ts - ts)::BIGINT FROM t", "::", "epoch(...)"},
    };
    static const char *const good[] = {
        "SELECT x::BIGINT, ts::DATE, d::TIMESTAMP, s::TIMESTAMP, NULL::TIMESTAMP FROM t",
        "SELECT (j->>'a')::TIMESTAMP, (j->'a')::INTEGER, (j->'a')::TIMESTAMPTZ::VARCHAR FROM t",
        "SELECT ts + INTERVAL 1 DAY, 2.5e0::INTEGER, 'cast' FROM t",
        "SELECT x::VARCHAR, count(*) FROM t GROUP BY x::VARCHAR ORDER BY x::VARCHAR",
        "SELECT from_json(s, '{\"t\": \"VARCHAR\", \"z\": \"TIMESTAMPTZ\"}') FROM t",
        "SELECT [1, 2]::BIGINT[], {'a': 1}::STRUCT(a DOUBLE) FROM t",
    };
    bench *here = *state;
    execute(here->session, "CREATE TABLE t (x INTEGER, ts TIMESTAMP, d DATE, s VARCHAR, j JSON)");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        sql_problem problem = {.position = -1};
        if (!is_refused(here, refused[i].sql, &problem))
            fail_msg("%s is taken", refused[i].sql);
        if (strstr(problem.text, refused[i].text) == NULL)
            fail_msg("%s: %s", refused[i].sql, problem.text);
        if (refused[i].at != NULL &&
            problem.position != strstr(refused[i].sql, refused[i].at) - refused[i].sql)
            fail_msg("%s: at %d", refused[i].sql, (int)problem.position);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        sql_problem problem = {.position = -1};
        if (is_refused(here, good[i], &problem))
            fail_msg("%s: %s", good[i], problem.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_pairs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_places, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("sql/sql_check", tests, NULL, NULL);
}
