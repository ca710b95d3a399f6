/* Each macro gives what Spark 3.5 gives; all of them are tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"
#include "source/spark_macros.h"

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
    {"from_unixtime(0)", "\"1970-01-01 00:00:00\""},
    {"from_unixtime(1709647629, 'yyyy-MM-dd')", "\"2024-03-05\""},
    {"unix_timestamp(TIMESTAMP '2024-03-05 14:07:09.9')", "1709647629"},
    {"unix_timestamp(TIMESTAMP '1969-12-31 23:59:59.5')", "-1"},
    {"unix_timestamp('05/03/2024', 'dd/MM/yyyy')", "1709596800"},
    {"unix_seconds(TIMESTAMP '1970-01-01 00:00:01.9')", "1"},
    {"unix_millis(TIMESTAMP '1970-01-01 00:00:01.2345')", "1234"},
    {"unix_micros(TIMESTAMP '1970-01-01 00:00:01')", "1000000"},
    {"timestamp_seconds(1.5)", "\"1970-01-01T00:00:01.500000Z\""},
    {"timestamp_millis(1500)", "\"1970-01-01T00:00:01.500000Z\""},
    {"timestamp_micros(1500)", "\"1970-01-01T00:00:00.001500Z\""},
    {"to_date('2024-03-05')", "\"2024-03-05\""},
    {"to_date('05.03.2024', 'dd.MM.yyyy')", "\"2024-03-05\""},
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
    {"explode([5])", "5"},
    {"collect_list(x) FROM (VALUES (1), (NULL), (1)) v(x)", "[1,1]"},
    {"collect_list(x) FROM (VALUES (1)) v(x) WHERE false", "[]"},
    {"list_sort(collect_set(x)) FROM (VALUES (2), (NULL), (1), (2)) v(x)", "[1,2]"},
    {"percentile_approx(x, 0.5) FROM (VALUES (1), (2), (9)) v(x)", "2"},
};

#define N_CASES (sizeof cases / sizeof cases[0])

static void must(freshet_code code, const freshet_error *err, const char *what)
{
    if (code != FRESHET_OK)
        fail_msg("%s: code %d: %s", what, code, err->text);
}

static void test_each_macro(void **state)
{
    (void)state;
    freshet_error err = {0};
    sql_engine *engine;
    sql_session *session;
    arena *arena = arena_open();
    must(sql_open(NULL, &engine, &err), &err, "open");
    must(sql_session_open(engine, &session, &err), &err, "open");
    must(spark_macros_create(session, &err), &err, "create");
    must(spark_macros_create(session, &err), &err, "create again");
    for (size_t i = 0; i < N_CASES; i++) {
        sql_statement *statement;
        batch out;
        text_buffer text;
        text_init(&text, 1000);
        const char *sql = arena_format(arena, "SELECT %s", cases[i].expression);
        must(sql_prepare(session, sql, &statement, NULL, &err), &err, sql);
        must(sql_run(statement, arena, &out, &err), &err, sql);
        assert_int_equal(out.n_rows, 1);
        must(column_to_json(&out.columns[0], 0, &text, &err), &err, sql);
        if (strcmp(text.bytes, cases[i].json) != 0)
            fail_msg("%s gives %s", sql, text.bytes);
        text_release(&text);
        sql_statement_close(statement);
    }
    sql_session_close(session);
    sql_close(engine);
    arena_close(arena);
}

static void test_each_has_a_case(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < spark_macros_n; i++) {
        char call[40];
        bool found = false;
        snprintf(call, sizeof call, "%s(", spark_macros[i].name);
        for (size_t k = 0; k < N_CASES; k++)
            found |= strstr(cases[k].expression, call) != NULL;
        if (!found)
            fail_msg("no case tries %s", spark_macros[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_macro),
        cmocka_unit_test(test_each_has_a_case),
    };
    return cmocka_run_group_tests_name("source/spark_macros", tests, NULL, NULL);
}
