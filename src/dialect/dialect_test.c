/* What the translation makes of Spark's SQL: places on the way back, what is seen where, what is
 * refused and where. Values are compared with Spark's own in tests/cases/spark_dialect_test.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "dialect/dialect.h"
#include "dialect/spark_tokens.h"
#include "functions/functions.h"
#include "sql/sql_testing.h"

static int set_up_spark(void **state)
{
    set_up(state);
    bench *here = *state;
    freshet_error err = {0};
    must(functions_create(here->session, &err), &err);
    must(dialect_create(DIALECT_SPARK, here->session, &err), &err);
    execute(here->session, "CREATE TABLE t (a INTEGER, s VARCHAR, l INTEGER[]); "
                           "INSERT INTO t VALUES (7, 'x', [3, 1])");
    return 0;
}

/* The translation of a query; fails the test where it is refused. */
static dialect_text translate(bench *here, const char *sql)
{
    dialect_text text;
    sql_problem problem;
    freshet_error err = {0};
    must(dialect_query(DIALECT_SPARK, here->session, here->arena, sql, &text, &problem, &err),
         &err);
    return text;
}

static void gives(bench *here, const char *sql, const char *json)
{
    assert_string_equal(answer(here, translate(here, sql).sql), json);
}

/* The query is refused at the first place of `at` in it, with `words` in the message. */
static void refuses(bench *here, const char *sql, const char *at, const char *words)
{
    dialect_text text;
    sql_problem problem;
    freshet_error err = {0};
    assert_int_equal(
        dialect_query(DIALECT_SPARK, here->session, here->arena, sql, &text, &problem, &err),
        FRESHET_USAGE);
    if (strstr(problem.text, words) == NULL)
        fail_msg("%s: %s", sql, problem.text);
    assert_int_equal(problem.position, strstr(sql, at) - sql);
}

static void the_other_dialect_costs_nothing(void **state)
{
    bench *here = *state;
    dialect_text text;
    sql_problem problem;
    const char *sql = "this is `no` SQL";
    assert_int_equal(
        dialect_query(DIALECT_DUCKDB, here->session, here->arena, sql, &text, &problem, NULL),
        FRESHET_OK);
    assert_ptr_equal(text.sql, sql);
    assert_int_equal(dialect_position(&text, 5), 5);
    assert_int_equal(dialect_position(&text, -1), -1);
}

static void places_are_of_the_users_text(void **state)
{
    bench *here = *state;
    const char *sql = "select a + 1 as b, /* c /* d */ */ s like 'x' as e from t where a = 7";
    const dialect_text text = translate(here, sql);
    assert_true(text.n_pieces > 5);
    for (uint32_t i = 0; i < text.n_pieces; i++) {
        assert_true(text.pieces[i].from < strlen(sql));
        assert_true(i == 0 || text.pieces[i].at > text.pieces[i - 1].at);
    }
    const char *like = strstr(text.sql, "LIKE");
    assert_non_null(like);
    assert_int_equal(dialect_position(&text, like - text.sql), strstr(sql, "like") - sql);
    const char *table = strstr(text.sql, "FROM \"t\"");
    assert_non_null(table);
    assert_int_equal(dialect_position(&text, table + 5 - text.sql), strstr(sql, "t where") - sql);
    assert_null(strchr(text.sql, '\xFF'));
}

static void clauses_see_what_they_see_in_spark(void **state)
{
    bench *here = *state;
    gives(here, "select a * 2 as b, b + 1 as c from t", "{\"b\":14,\"c\":15}\n");
    gives(here, "select upper(s) as s, count(*) as n from t group by 1 order by s",
          "{\"s\":\"X\",\"n\":1}\n");
    gives(here, "with q as (select a as end from t) select end + 1 as at from q order by at",
          "{\"at\":8}\n");
    gives(here, "select x from t lateral view explode(l) v as x order by x",
          "{\"x\":1}\n{\"x\":3}\n");
    gives(here, "select t.a from t where exists (select 1 from t as u where u.a = t.a)",
          "{\"a\":7}\n");
    gives(here, "select l[0] as f, transform(l, a -> a + 1) as g from t",
          "{\"f\":3,\"g\":[4,2]}\n");
    gives(here, "select * from t left join t as u on t.a = u.a and u.s = 'z' where u.s is null",
          "{\"a\":7,\"s\":\"x\",\"l\":[3,1],\"a\":null,\"s\":null,\"l\":null}\n");
}

static void what_is_no_spark_is_refused_where_it_stands(void **state)
{
    bench *here = *state;
    refuses(here, "select b from t", "b from", "no column \"b\"");
    refuses(here, "select \n  now() from t", "now", "each time");
    refuses(here, "select foo(a) from t", "foo", "no function foo()");
    refuses(here, "select a from t where `a`", "`a`", "boolean");
    refuses(here, "select a from nowhere", "nowhere", "nowhere");
    refuses(here, "select 'a from t", "'a", "does not end");
    refuses(here, "select /* /* */ a from t", "/*", "does not end");
    refuses(here, "select a::int from t", "::", "CAST");
    refuses(here, "select a from t tablesample (1 percent)", "tablesample", "TABLESAMPLE");
    refuses(here, "select a from t sort by a", "sort", "ORDER BY");
    refuses(here, "select a from main.t", "main", "schema in front");
    refuses(here, "select a, from t", "from t", "");
    refuses(here, "select coalesce(l, 1) from t", "1)", "no common type");
    refuses(here, "select a from t union select a, s from t", "union", "columns");
    refuses(here, "select s like 'a\\\\b' from t", "'a", "escape");
    refuses(here, "select é from t", "é", "backticks");
    refuses(here, "select a from t limit 5 6", "6", "ends before");
    refuses(here, "select lag(a) from t", "lag", "needs a window");
    refuses(here, "select coalesce(a, x -> x) from t", "x -> x", "is a function");
    refuses(here, "select upper(x -> x) from t", "x -> x", "is a function");
    refuses(here, "select filter(l, a) from t", "filter", "other arguments");
}

/* Functions without a row of the table, too: one of the program cannot take their names. */
static void special_functions_are_known(void **state)
{
    (void)state;
    assert_true(dialect_has_function(DIALECT_SPARK, "coalesce"));
    assert_true(dialect_has_function(DIALECT_SPARK, "map_from_arrays"));
    assert_true(dialect_has_function(DIALECT_SPARK, "MAP_ENTRIES"));
    assert_false(dialect_has_function(DIALECT_SPARK, "map_from_nothing"));
}

/* Exactly, also of as many digits as a decimal can have; null where it has no room. */
static void decimals_are_rounded(void **state)
{
    bench *here = *state;
    gives(here,
          "select bround(1250BD, -2) as a, bround(1350BD, -2) as b, round(1250BD, -2) as c from t",
          "{\"a\":\"1200\",\"b\":\"1400\",\"c\":\"1300\"}\n");
    gives(here, "select bround(12345678901234567890123456789012345.25BD, 1) as a from t",
          "{\"a\":\"12345678901234567890123456789012345.2\"}\n");
    gives(here, "select round(99999999999999999999999999999999999999BD, -1) as a from t",
          "{\"a\":null}\n");
}

static void nesting_has_a_limit(void **state)
{
    bench *here = *state;
    char sql[4000] = "select ";
    memset(sql + strlen(sql), '(', 1500); /* behind it are zeros */
    sql[strlen(sql)] = '1';
    dialect_text text;
    sql_problem problem;
    assert_int_equal(
        dialect_query(DIALECT_SPARK, here->session, here->arena, sql, &text, &problem, NULL),
        FRESHET_USAGE);
    assert_non_null(strstr(problem.text, "nested too deeply"));
}

/* An operand of a column, whose type is not known yet, beside a literal of each type. */
static void operators_take_what_is_not_known(void **state)
{
    static const char *const operators[] = {"+", "-",  "*", "/",   "%",  "div", "&",   "|",
                                            "^", "||", "=", "<=>", "<>", "in",  "like"};
    static const char *const literals[] = {"1",         "2L",
                                           "2.",        "2.5BD",
                                           "1e3D",      "'x'",
                                           "null",      "true",
                                           "array(1)",  "date'2024-01-01'",
                                           "X'1F'",     "interval 1 day",
                                           "map(1, 2)", "b"};
    bench *here = *state;
    char text[128];
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        for (size_t k = 0; k < sizeof literals / sizeof *literals; k++)
            for (int swapped = 0; swapped < 2; swapped++) {
                const bool is_in = strcmp(operators[i], "in") == 0;
                const char *left = swapped ? literals[k] : "a",
                           *right = swapped ? "a" : literals[k];
                sql_problem problem = {.position = -1};
                freshet_error err = {0};
                snprintf(text, sizeof text, is_in ? "%s %s (%s)" : "%s %s %s", left, operators[i],
                         right);
                if (dialect_syntax(DIALECT_SPARK, here->arena, text, false, &problem, &err) !=
                    FRESHET_OK)
                    assert_in_range(problem.position, 0, strlen(text));
            }
}

static void syntax_is_told_without_columns(void **state)
{
    bench *here = *state;
    sql_problem problem;
    assert_int_equal(dialect_syntax(DIALECT_SPARK, here->arena,
                                    "select a.b, sum(c) from x join y using (k) group by 1", true,
                                    &problem, NULL),
                     FRESHET_OK);
    assert_int_equal(dialect_syntax(DIALECT_SPARK, here->arena, "case when a then b else c end + d",
                                    false, &problem, NULL),
                     FRESHET_OK);
    assert_int_equal(dialect_syntax(DIALECT_SPARK, here->arena, "a + ", false, &problem, NULL),
                     FRESHET_USAGE);
    assert_int_equal(problem.position, 4);
    assert_int_equal(dialect_syntax(DIALECT_SPARK, here->arena, "a as b", false, &problem, NULL),
                     FRESHET_USAGE);
}

static void texts_are_read_as_spark_reads_them(void **state)
{
    bench *here = *state;
    static const struct {
        const char *sql, *text;
    } texts[] = {
        {"'it\\'s'", "it's"},
        {"\"a 'b'\"", "a 'b'"},
        {"r'a\\n'", "a\\n"},
        {"'\\u0041\\101'", "AA"},
        {"'\\%\\_'", "\\%\\_"},
        {"'\\q'", "q"},
        {"'\\U0001F600'", "\xF0\x9F\x98\x80"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        spark_token *tokens;
        uint32_t n;
        sql_problem problem;
        assert_int_equal(spark_tokens_read(here->arena, texts[i].sql, &tokens, &n, &problem, NULL),
                         FRESHET_OK);
        assert_int_equal(n, 2);
        assert_int_equal(tokens[0].kind, TOKEN_TEXT);
        assert_string_equal(tokens[0].text, texts[i].text);
        assert_int_equal(tokens[0].end, strlen(texts[i].sql));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_other_dialect_costs_nothing),
        cmocka_unit_test(places_are_of_the_users_text),
        cmocka_unit_test(clauses_see_what_they_see_in_spark),
        cmocka_unit_test(what_is_no_spark_is_refused_where_it_stands),
        cmocka_unit_test(special_functions_are_known),
        cmocka_unit_test(decimals_are_rounded),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(operators_take_what_is_not_known),
        cmocka_unit_test(syntax_is_told_without_columns),
        cmocka_unit_test(texts_are_read_as_spark_reads_them),
    };
    return cmocka_run_group_tests(tests, set_up_spark, tear_down);
}
