/* Each function gives what Spark 3.5 gives: tests/functions/spark.tsv has expressions of them and
 * Spark's values, cast to string, made by Spark itself. Reals may differ in their last digits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "functions/functions.h"
#include "sql/sql_testing.h"

#define LINES_MAX 4000

typedef struct table {
    char *text;
    char *expressions[LINES_MAX], *values[LINES_MAX];
    uint32_t n;
} table;

static const char *table_path(void)
{
    static char path[4096];
    const char *source = getenv("FRESHET_SOURCE");
    snprintf(path, sizeof path, "%s/tests/functions/spark.tsv", source == NULL ? "." : source);
    return path;
}

static void read_table(table *into)
{
    FILE *file = fopen(table_path(), "rb");
    if (file == NULL)
        fail_msg("there is no %s", table_path());
    into->text = calloc(1, 1 << 20);
    assert_non_null(into->text);
    assert_true(fread(into->text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    for (char *line = strtok(into->text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *tab = strchr(line, '\t');
        if (tab == NULL)
            continue;
        *tab = '\0';
        assert_true(into->n < LINES_MAX);
        into->expressions[into->n] = line;
        into->values[into->n++] = tab + 1;
    }
}

static bool is_same(const char *got, const char *wanted)
{
    char *got_end, *wanted_end;
    if (strcmp(got, wanted) == 0)
        return true;
    double a = strtod(got, &got_end), b = strtod(wanted, &wanted_end);
    double difference = a > b ? a - b : b - a, size = b < 0 ? -b : b;
    return *got != '\0' && *got_end == '\0' && *wanted_end == '\0' &&
           strpbrk(wanted, ".E") != NULL && difference <= 1e-12 * size;
}

/* The value, of a null NULL, tabs and ends of lines as \t and \n. */
static const char *value_of(bench *here, const char *expression)
{
    freshet_error err = {0};
    sql_statement *statement = NULL;
    batch rows;
    const char *sql =
        arena_format(here->arena,
                     "SELECT replace(replace(coalesce(CASE WHEN v = '' THEN '\"\"' ELSE v "
                     "END, 'NULL'), chr(9), '\\t'), chr(10), '\\n') "
                     "FROM (SELECT spark_text(%s) AS v)",
                     expression);
    if (sql_prepare(here->session, sql, &statement, NULL, &err) != FRESHET_OK ||
        sql_run(statement, here->arena, &rows, &err) != FRESHET_OK) {
        sql_statement_close(statement);
        return arena_format(here->arena, "ERROR %s", err.text);
    }
    const cell_text *cell = rows.columns[0].data;
    const char *value = arena_copy(here->arena, text_bytes(cell), cell->length);
    sql_statement_close(statement);
    return value;
}

static void test_each_value(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    table table = {.n = 0};
    uint32_t n_others = 0;
    must(functions_create(here->session, &err), &err);
    must(functions_create_spark(here->session, &err), &err);
    read_table(&table);
    for (uint32_t i = 0; i < table.n; i++) {
        const char *got = value_of(here, table.expressions[i]);
        if (!is_same(got, table.values[i])) {
            n_others++;
            printf("%s\tSpark: %s\tFreshet: %s\n", table.expressions[i], table.values[i], got);
        }
    }
    free(table.text);
    assert_int_equal(n_others, 0);
}

static void test_each_has_a_case(void **state)
{
    (void)state;
    table table = {.n = 0};
    read_table(&table);
    for (uint32_t i = 0; functions_spark_name(i) != NULL; i++) {
        char call[60];
        bool found = false;
        snprintf(call, sizeof call, "%s(", functions_spark_name(i));
        for (uint32_t k = 0; k < table.n && !found; k++)
            found = strstr(table.expressions[k], call) != NULL;
        if (!found)
            fail_msg("no case tries %s", functions_spark_name(i));
    }
    free(table.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_value, set_up, tear_down),
        cmocka_unit_test(test_each_has_a_case),
    };
    return cmocka_run_group_tests_name("functions/spark_rows", tests, NULL, NULL);
}
