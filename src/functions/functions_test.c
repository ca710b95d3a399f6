/* Each function gives what Spark 3.5 gives; all of them are tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "functions/functions.h"
#include "functions/spark_macros.h"
#include "sql/sql_testing.h"

static const struct {
    const char *expression;
    const char *json;
} cases[] = {
    {"nvl(NULL, 2)", "2"},
    {"nvl(1, 2)", "1"},
    {"nvl2(1, 'a', 'b')", "\"a\""},
    {"nvl2(NULL, 'a', 'b')", "\"b\""},
    {"date_format(TIMESTAMP '2024-03-05 14:07:09.123456', 'yyyy-MM-dd HH:mm:ss')",
     "\"2024-03-05 14:07:09\""},
    {"date_format(TIMESTAMP '2024-03-05 14:07:09.123456', 'dd/MM/yy hh:mm a')",
     "\"05/03/24 02:07 PM\""},
    {"date_format(TIMESTAMP '2024-03-05 14:07:09.123456', 'ss.SSS SSSSSS')", "\"09.123 123456\""},
    {"date_format(DATE '2024-03-05', 'EEEE EEE MMMM MMM')", "\"Tuesday Tue March Mar\""},
    {"date_format(NULL::TIMESTAMP, 'yyyy')", "null"},
    {"date_format(NULL, 'yyyy')", "null"},
    {"date_format(TIMESTAMP '2024-01-31 10:20:30.5', NULL)", "null"},
    {"date_format('2024-01-31 10:20:30.5', 'd/M/yyyy h:mm')", "\"31/1/2024 10:20\""},
    {"date_format(to_timestamp(1706696430), 'yyyy-MM-dd''T''HH:mm:ssXXX')",
     "\"2024-01-31T10:20:30Z\""},
    {"string_agg(date_format(TIMESTAMP '2024-01-31 10:20:30', m), ' ' ORDER BY m) "
     "FROM (VALUES ('yyyy'), ('E'), (NULL), ('d/M/yyyy EEEE')) v(m)",
     "\"Wed 31/1/2024 Wednesday 2024\""},
    {"mask_write(TIMESTAMP '2024-01-31 10:20:30', 'Q')", "\"1\""},
    {"mask_read('31.1.2024', 'd.M.yyyy')", "\"2024-01-31T00:00:00.000000Z\""},
    {"h3_latlng_to_cell_string(-23.55419, -46.670723, 6)", "\"86a8100efffffff\""},
    {"h3_latlng_to_cell_string(0, 0, 15)", "\"8f754e64992d6d8\""},
    {"h3_latlng_to_cell_string(95.0, 200, 6)", "\"86005065fffffff\""},
    {"h3_latlng_to_cell_string(NULL, 10, 6)", "null"},
    {"h3_latlng_to_cell_string(10, 10, NULL)", "null"},
    {"from_unixtime(0)", "\"1970-01-01 00:00:00\""},
    {"from_unixtime(1709647629, 'yyyy-MM-dd')", "\"2024-03-05\""},
    {"unix_timestamp(TIMESTAMP '2024-03-05 14:07:09.9')", "1709647629"},
    {"unix_timestamp(TIMESTAMP '1969-12-31 23:59:58.5')", "-1"},
    {"unix_timestamp('05/03/2024', 'dd/MM/yyyy')", "1709596800"},
    {"unix_seconds(TIMESTAMP '1970-01-01 00:00:01.9')", "1"},
    {"unix_millis(TIMESTAMP '1970-01-01 00:00:01.2345')", "1234"},
    {"unix_micros(TIMESTAMP '1970-01-01 00:00:01')", "1000000"},
    {"timestamp_seconds(1.5)", "\"1970-01-01T00:00:01.500000Z\""},
    {"timestamp_millis(1500)", "\"1970-01-01T00:00:01.500000Z\""},
    {"timestamp_micros(1500)", "\"1970-01-01T00:00:00.001500Z\""},
    {"to_date('2024-03-05')", "\"2024-03-05\""},
    {"to_date('05.03.2024', 'dd.MM.yyyy')", "\"2024-03-05\""},
    {"to_date('5/1/2024','d/M/yyyy')", "\"2024-01-05\""},
    {"to_date('15Jan2024','ddMMMyyyy')", "\"2024-01-15\""},
    {"to_date(NULL,'ddMMMyyyy')", "null"},
    {"add_months(DATE '2024-01-31', 1)", "\"2024-02-29\""},
    {"get_json_object('{\"a\": {\"b\": 7}}', '$.a.b')", "\"7\""},
    {"rlike('abc', 'b.')", "true"},
    {"startswith('abc', 'ab')", "true"},
    {"endswith('abc', 'ab')", "false"},
    {"locate('b', 'abc')", "2"},
    {"initcap('new yORK city')", "\"New York City\""},
    {"substring_index('www.apache.org', '.', 2)", "\"www.apache\""},
    {"substring_index('www.apache.org', '.', -2)", "\"apache.org\""},
    {"substring_index('www.apache.org', '.', 0)", "\"\""},
    {"pmod(-7, 3)", "2"},
    {"pmod(7, -3)", "1"},
    {"pmod(-7, -3)", "-1"},
    {"pmod(7.5e0, 0)", "null"},
    {"add_months(DATE '2024-02-29', 1.9)", "\"2024-03-29\""},
    {"from_unixtime(1700000000.7)", "\"2023-11-14 22:13:20\""},
    {"get_json_object('{\"g\": 1e10}', '$.g')", "\"1.0E10\""},
    {"get_json_object('{\"a\": 1}', 'a')", "null"},
    {"get_json_object('no JSON', '$.a')", "null"},
    {"locate('l', 'hello', 4)", "4"},
    {"initcap('o neil a\tb')", "\"O Neil A\\tb\""},
    {"substring_index('abc', '', 1)", "\"\""},
    {"percentile_approx(x, 0.75) FROM (VALUES (10), (20), (30), (40)) v(x)", "30"},
    {"percentile_approx(x, 0.5, 100) FROM (VALUES (1.5), (2.5)) v(x)", "\"1.5\""},
    {"explode([5])", "5"},
    {"collect_list(x) FROM (VALUES (1), (NULL), (1)) v(x)", "[1,1]"},
    {"collect_list(x) FROM (VALUES (1)) v(x) WHERE false", "[]"},
    {"list_sort(collect_set(x)) FROM (VALUES (2), (NULL), (1), (2)) v(x)", "[1,2]"},
    {"percentile_approx(x, 0.5) FROM (VALUES (1), (2), (9)) v(x)", "2"},
};

#define N_CASES (sizeof cases / sizeof cases[0])

static void test_each_function(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    must(functions_create(here->session, &err), &err);
    for (size_t i = 0; i < N_CASES; i++) {
        const char *sql = arena_format(here->arena, "SELECT %s", cases[i].expression);
        const char *got = answer(here, arena_format(here->arena, "SELECT r FROM (%s) q(r)", sql));
        const char *json = arena_format(here->arena, "{\"r\":%s}\n", cases[i].json);
        if (strcmp(got, json) != 0)
            fail_msg("%s gives %s", sql, got);
    }
}

/* A mask that is none is found when the statement is prepared, a text that does not match as its
 * row's fault. */
static void test_refused(void **state)
{
    static const struct {
        const char *expression, *text;
        bool when_run;
    } refused[] = {
        {"date_format(t, 'YYYY')", "the mask \"YYYY\" has \"YYYY\", the year of weeks", false},
        {"to_date(t || '', 'yyyy-ww')", "the mask \"yyyy-ww\" has \"ww\", a part of weeks", false},
        {"to_date('31/02/2024', 'dd/MM/yyyy')", "is no time of the mask \"dd/MM/yyyy\"", true},
        {"date_format(t, 'YY' || left(x, 1))", "the mask \"YYY\" has", true},
    };
    bench *here = *state;
    freshet_error err = {0};
    must(functions_create(here->session, &err), &err);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const char *sql = arena_format(
            here->arena, "SELECT %s FROM (VALUES (TIMESTAMP '2024-01-01', 'Yx')) v(t, x)",
            refused[i].expression);
        sql_statement *statement = NULL;
        batch out;
        freshet_code code = sql_prepare(here->session, sql, &statement, NULL, &err);
        if (refused[i].when_run) {
            must(code, &err);
            code = sql_run(statement, here->arena, &out, &err);
            assert_int_equal(err.then, FRESHET_SKIP_ROW);
        }
        assert_int_not_equal(code, FRESHET_OK);
        if (strstr(err.text, refused[i].text) == NULL)
            fail_msg("%s: %s", sql, err.text);
        sql_statement_close(statement);
    }
}

/* Macros cost nothing until a statement calls one; that of another session sees them, too, and
 * what is wrong all the same stays wrong. */
static void test_macros_are_made_when_needed(void **state)
{
    static const char *const of_macros =
        "SELECT count(*) FROM duckdb_functions() WHERE function_name IN ('nvl', 'rlike')";
    bench *here = *state;
    freshet_error err = {0};
    sql_session *other = NULL;
    sql_statement *statement = NULL;
    int64_t n = -1;
    must(functions_create(here->session, &err), &err);
    must(sql_number(here->session, "SELECT length(mask_write(TIMESTAMP '2024-01-01', 'yyyy'))", &n,
                    &err),
         &err);
    assert_int_equal(n, 4);
    must(sql_number(here->session, of_macros, &n, &err), &err);
    assert_int_equal(n, 0);
    must(sql_session_open(here->engine, &other, &err), &err);
    assert_int_equal(sql_prepare(here->session, "SELECT nvk(NULL, 7)", &statement, NULL, &err),
                     FRESHET_USAGE);
    assert_non_null(strstr(err.text, "nvk"));
    must(sql_number(here->session, "SELECT nvl(NULL, CAST(7 AS BIGINT))", &n, &err), &err);
    assert_int_equal(n, 7);
    must(sql_number(other, of_macros, &n, &err), &err);
    assert_int_equal(n, 2);
    sql_session_close(other);
    assert_true(functions_has_macro("NVL") && !functions_has_macro("nvk"));
}

static void assert_tried(const char *name)
{
    char call[40];
    bool found = false;
    snprintf(call, sizeof call, "%s(", name);
    for (size_t k = 0; k < N_CASES; k++)
        found |= strstr(cases[k].expression, call) != NULL;
    if (!found)
        fail_msg("no case tries %s", name);
}

static void test_each_has_a_case(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < spark_macros_n; i++)
        assert_tried(spark_macros[i].name);
    for (uint32_t i = 0; functions_name(i) != NULL; i++)
        assert_tried(functions_name(i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_function, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_macros_are_made_when_needed, set_up, tear_down),
        cmocka_unit_test(test_each_has_a_case),
    };
    return cmocka_run_group_tests_name("functions/functions", tests, NULL, NULL);
}
