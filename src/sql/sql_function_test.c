/* Functions of ours in SQL: every type, nulls, long texts, errors of a row and of no row,
 * constants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sql/sql_testing.h"

static int calls, releases;

static void count_release(void *context)
{
    assert_string_equal(context, "context");
    releases++;
}

static char context[] = "context";

/* Gives its argument back. */
static freshet_code same(void *given, const batch *arguments, column *result, freshet_error *err)
{
    assert_ptr_equal(given, context);
    calls++;
    return column_append(arguments->arena, result, 0, &arguments->columns[0], NULL,
                         arguments->n_rows, err);
}

static freshet_code is_null(void *given, const batch *arguments, column *result, freshet_error *err)
{
    (void)given;
    (void)err;
    for (uint32_t i = 0; i < arguments->n_rows; i++)
        ((uint8_t *)result->data)[i] = !column_is_valid(&arguments->columns[0], i);
    return FRESHET_OK;
}

/* Fails for 13, as a row's fault, and for 14, as nobody's. */
static freshet_code unlucky(void *given, const batch *arguments, column *result, freshet_error *err)
{
    (void)given;
    for (uint32_t i = 0; i < arguments->n_rows; i++) {
        int64_t n = ((const int64_t *)arguments->columns[0].data)[i];
        if (n == 13 || n == 14)
            return error_set(err, FRESHET_FAILED, n == 13 ? FRESHET_SKIP_ROW : FRESHET_STOP, NULL,
                             "no luck with %d", (int)n);
        ((int64_t *)result->data)[i] = -n;
    }
    return FRESHET_OK;
}

static freshet_code no_thirteen(const char *const *constants, freshet_error *err)
{
    if (constants[1] != NULL && strcmp(constants[1], "thirteen") == 0)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "not thirteen");
    return FRESHET_OK;
}

static void add(bench *here, const sql_function *function)
{
    freshet_error err = {0};
    must(sql_function_add(here->session, function, &err), &err);
}

static void test_every_type(void **state)
{
    static const char *const types[][3] = {
        {"boolean", "v % 3 = 0", "BOOLEAN"},
        {"integer", "v", "INTEGER"},
        {"bigint", "v * 1000000000000", "BIGINT"},
        {"float", "v / 7", "FLOAT"},
        {"double", "v / 7", "DOUBLE"},
        {"decimal(4,2)", "v % 100 / 10", "DECIMAL(4,2)"},
        {"decimal(9,2)", "v / 10", "DECIMAL(9,2)"},
        {"decimal(18,2)", "v / 10", "DECIMAL(18,2)"},
        {"decimal(38,2)", "v / 10", "DECIMAL(38,2)"},
        {"string", "repeat('é', v % 40)", "VARCHAR"},
        {"binary", "repeat('x', v % 40)", "BLOB"},
        {"date", "DATE '2024-01-01' + CAST(v % 1000 AS INTEGER)", "DATE"},
        {"timestamp", "TIMESTAMP '2024-01-01' + to_seconds(v)", "TIMESTAMP"},
        {"array<string>", "list_transform(range(v % 5), lambda i: repeat('ab', i * v % 30))",
         "VARCHAR[]"},
        {"array<array<bigint>>", "[range(v % 3), NULL, range(v % 4)]", "BIGINT[][]"},
    };
    bench *here = *state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const char *name = arena_format(here->arena, "same_%zu", i);
        add(here, &(sql_function){.name = name,
                                  .returns = types[i][0],
                                  .arguments = {types[i][0]},
                                  .call = same,
                                  .context = context});
        const char *sql = arena_format(
            here->arena,
            "SELECT count(*) AS n FROM (SELECT CAST(CASE WHEN v %% 7 > 0 THEN %s END AS %s) AS a, "
            "%s(a) AS b FROM range(5000) r(v)) WHERE a IS NOT DISTINCT FROM b",
            types[i][1], types[i][2], name);
        const char *got = answer(here, sql);
        if (strcmp(got, "{\"n\":5000}\n") != 0)
            fail_msg("%s: %s", types[i][0], got);
    }
}

/* How many arguments come, and of which types, as one number. */
static freshet_code types_that_come(void *given, const batch *arguments, column *result,
                                    freshet_error *err)
{
    int64_t value = arguments->schema.n_fields;
    (void)given;
    (void)err;
    for (uint32_t i = 0; i < arguments->schema.n_fields; i++)
        value = value * 100 + arguments->schema.fields[i].type->kind * 2 +
                arguments->schema.fields[i].type->is_map;
    for (uint32_t i = 0; i < arguments->n_rows; i++)
        ((int64_t *)result->data)[i] = value;
    return FRESHET_OK;
}

static void test_any_types(void **state)
{
    bench *here = *state;
    add(here, &(sql_function){.name = "come",
                              .returns = "bigint",
                              .arguments = {"bigint", SQL_ANY},
                              .is_variadic = true,
                              .takes_nulls = true,
                              .call = types_that_come});
    const char *got = answer(
        here, "SELECT come(v) AS a, come(v, 'x', [v], MAP {'k': v}) AS b, come(v, NULL) AS c,"
              " come(v, v * 1.5) AS d FROM range(2) r(v) WHERE v > 0 OR come(v, v) > 0");
    char wanted[200];
    snprintf(
        wanted, sizeof wanted, "{\"a\":%d,\"b\":%d,\"c\":%d,\"d\":%d}\n", 100 + TYPE_BIGINT * 2,
        400000000 + TYPE_BIGINT * 2000000 + TYPE_STRING * 20000 + TYPE_ARRAY * 200 +
            TYPE_ARRAY * 2 + 1,
        20000 + TYPE_BIGINT * 200 + TYPE_INTEGER * 2, 20000 + TYPE_BIGINT * 200 + TYPE_DECIMAL * 2);
    if (strncmp(got, wanted, strlen(wanted)) != 0)
        fail_msg("%s instead of %s", got, wanted);
    freshet_error err = {0};
    sql_statement *statement = NULL;
    assert_int_equal(
        sql_prepare(here->session, "SELECT come(1, INTERVAL 1 DAY)", &statement, NULL, &err),
        FRESHET_USAGE);
    assert_non_null(strstr(err.text, "INTERVAL"));
}

static void test_nulls(void **state)
{
    bench *here = *state;
    add(here,
        &(sql_function){
            .name = "strict", .returns = "boolean", .arguments = {"bigint"}, .call = is_null});
    add(here, &(sql_function){.name = "open",
                              .returns = "boolean",
                              .arguments = {"bigint"},
                              .call = is_null,
                              .takes_nulls = true});
    assert_string_equal(answer(here, "SELECT strict(x) AS s, open(x) AS o FROM "
                                     "(VALUES (1), (NULL)) v(x)"),
                        "{\"s\":false,\"o\":false}\n{\"s\":null,\"o\":true}\n");
    assert_string_equal(answer(here, "SELECT strict(NULL) AS s, open(NULL) AS o"),
                        "{\"s\":null,\"o\":true}\n");
}

/* Twice its text, in memory that is gone after the call. */
static freshet_code twice(void *given, const batch *arguments, column *result, freshet_error *err)
{
    (void)given;
    (void)err;
    for (uint32_t i = 0; i < arguments->n_rows; i++) {
        const cell_text *text = (const cell_text *)arguments->columns[0].data + i;
        char *copy = arena_alloc(arguments->arena, 2 * (size_t)text->length + 1);
        assert_non_null(copy);
        memcpy(copy, text_bytes(text), text->length);
        memcpy(copy + text->length, text_bytes(text), text->length);
        ((cell_text *)result->data)[i] = text_of(copy, 2 * text->length);
    }
    return FRESHET_OK;
}

static void test_texts_outlive_the_call(void **state)
{
    bench *here = *state;
    add(here, &(sql_function){
                  .name = "twice", .returns = "string", .arguments = {"string"}, .call = twice});
    assert_string_equal(answer(here, "SELECT count(*) AS n FROM (SELECT repeat('ab', v % 30) AS a, "
                                     "twice(a) AS b FROM range(5000) r(v) ORDER BY v DESC) "
                                     "WHERE b = a || a"),
                        "{\"n\":5000}\n");
}

static void test_errors(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    sql_statement *statement;
    batch rows;
    add(here,
        &(sql_function){
            .name = "unlucky", .returns = "bigint", .arguments = {"bigint"}, .call = unlucky});
    assert_string_equal(answer(here, "SELECT unlucky(12) AS n"), "{\"n\":-12}\n");
    for (int n = 13; n <= 14; n++) {
        const char *sql =
            arena_format(here->arena, "SELECT unlucky(v) FROM range(10, 20) r(v) WHERE v = %d", n);
        must(sql_prepare(here->session, sql, &statement, NULL, &err), &err);
        assert_int_equal(sql_run(statement, here->arena, &rows, &err), FRESHET_FAILED);
        assert_int_equal(err.then, n == 13 ? FRESHET_SKIP_ROW : FRESHET_STOP);
        assert_string_equal(err.text, n == 13 ? "no luck with 13" : "no luck with 14");
        sql_statement_close(statement);
    }
}

static void test_constants_are_checked(void **state)
{
    static const char *const fine[] = {"a, 'twelve'", "a, a", "a, NULL", "a, 'thir' || a"};
    static const char *const wrong[] = {"a, 'thirteen'", "a, 'thir' || 'teen'"};
    bench *here = *state;
    sql_statement *statement;
    add(here, &(sql_function){.name = "careful",
                              .returns = "string",
                              .arguments = {"string", "string"},
                              .call = same,
                              .check = no_thirteen,
                              .context = context});
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        answer(here,
               arena_format(here->arena, "SELECT careful(%s) FROM (VALUES ('b')) v(a)", fine[i]));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        freshet_error err = {0};
        const char *sql =
            arena_format(here->arena, "SELECT careful(%s) FROM (VALUES ('b')) v(a)", wrong[i]);
        assert_int_equal(sql_prepare(here->session, sql, &statement, NULL, &err), FRESHET_USAGE);
        assert_string_equal(err.text, "not thirteen");
    }
}

/* A function of constants is computed where a statement is planned (which it is once more before
 * the second run, to look at the plan), unless it is volatile; and its context is released with the
 * engine. */
static void test_volatile_and_release(void **state)
{
    bench *here = *state;
    sql_function function = {.name = "steady",
                             .returns = "bigint",
                             .arguments = {"bigint"},
                             .call = same,
                             .context = context,
                             .release = count_release};
    freshet_error err = {0};
    sql_statement *statement;
    batch rows;
    bool exists = true;
    must(sql_function_exists(here->session, "STEADY", &exists, &err), &err);
    assert_false(exists);
    add(here, &function);
    must(sql_function_exists(here->session, "STEADY", &exists, &err), &err);
    assert_true(exists);
    function.name = "unsteady";
    function.is_volatile = true;
    add(here, &function);
    for (int is_volatile = 0; is_volatile < 2; is_volatile++) {
        must(sql_prepare(here->session, is_volatile ? "SELECT unsteady(7)" : "SELECT steady(7)",
                         &statement, NULL, &err),
             &err);
        calls = 0;
        must(sql_run(statement, here->arena, &rows, &err), &err);
        assert_int_equal(calls, is_volatile ? 1 : 0);
        must(sql_run(statement, here->arena, &rows, &err), &err);
        calls = 0;
        must(sql_run(statement, here->arena, &rows, &err), &err);
        assert_int_equal(calls, is_volatile ? 1 : 0);
        sql_statement_close(statement);
    }
    releases = 0;
    sql_session_close(here->session);
    sql_close(here->engine);
    here->session = NULL;
    here->engine = NULL;
    assert_int_equal(releases, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_any_types, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nulls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_texts_outlive_the_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_constants_are_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_volatile_and_release, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("sql/sql_function", tests, NULL, NULL);
}
