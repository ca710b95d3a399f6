/* DuckDB says the same of the functions that are taken for steady. */
#include "source/steady_functions.h"

#include "source/source_testing.h"

/* The rows point into what the statement has given, so it stays. */
static sql_statement *ask_steady(fixture *here, const char *sql, batch *rows)
{
    sql_statement *statement;
    must(sql_prepare(here->session, sql, &statement, NULL, &here->err), &here->err);
    must(sql_run(statement, here->arena, rows, &here->err), &here->err);
    return statement;
}

static bool is_listed(const batch *rows, const char *name)
{
    const cell_text *cells = rows->columns[0].data;
    for (uint32_t i = 0; i < rows->n_rows; i++)
        if (cells[i].length == strlen(name) &&
            memcmp(text_bytes(&cells[i]), name, cells[i].length) == 0)
            return true;
    return false;
}

static void test_duckdb_says_so(void **state)
{
    fixture here;
    batch known, others;
    (void)state;
    fixture_open_well(&here, "flights* airports",
                      "select flights.* from flights join airports on true");
    sql_statement *all =
        ask_steady(&here, "SELECT DISTINCT function_name FROM duckdb_functions()", &known);
    sql_statement *some =
        ask_steady(&here,
                   "SELECT DISTINCT function_name FROM duckdb_functions() WHERE "
                   "function_type NOT IN ('scalar', 'macro', 'table') OR stability <> 'CONSISTENT'",
                   &others);
    assert_true(is_listed(&others, "random") && is_listed(&others, "sum"));
    for (uint32_t i = 0; i < steady_functions_n; i++) {
        if (!is_listed(&known, steady_functions[i]) || is_listed(&others, steady_functions[i]))
            fail_msg("%s is not steady", steady_functions[i]);
        assert_true(steady_function(steady_functions[i]));
        assert_true(i == 0 || strcasecmp(steady_functions[i - 1], steady_functions[i]) < 0);
    }
    sql_statement_close(all);
    sql_statement_close(some);
    fixture_close(&here);
}

static void test_only(void **state)
{
    static const char upper[] = "{\"function_name\":\"upper\",\"is_operator\":false}";
    static const char both[] = "[{\"function_name\":\"Upper\"},{\"function_name\":\"random\"}]";
    static const char operators[] = "[{\"function_name\":\"+\"},{\"function_name\":\"!~~*\"}]";
    static const char within[] = "{\"value\":\"\\\"function_name\\\":\\\"sum\\\"\"}";
    (void)state;
    assert_true(steady_functions_only(upper));
    assert_false(steady_functions_only(both));
    assert_true(steady_functions_only(operators));
    assert_true(steady_functions_only(within));
    assert_false(steady_functions_only("{\"function_name\":\"a\\\"upper\"}"));
    assert_false(steady_functions_only("{\"function_name\":\"upper"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duckdb_says_so),
        cmocka_unit_test(test_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
