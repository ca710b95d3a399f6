/* release only */
/* Running a prepared statement for ever takes no more memory. (Under AddressSanitizer freed memory
 * is held back on purpose, so this is for the release build.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "sql/sql.h"

#define RUNS 20000
#define GROWTH_MAX_KB 4096

static void must(freshet_code code, const freshet_error *err)
{
    if (code != FRESHET_OK)
        fail_msg("code %d: %s", code, err->text);
}

static long resident_kb(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long all = 0, resident = 0;
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &all, &resident), 2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void fill(batch *rows, arena *arena, const schema *columns, uint32_t n)
{
    freshet_error err = {0};
    must(batch_init(rows, arena, columns, n, &err), &err);
    for (uint32_t i = 0; i < n; i++) {
        ((int64_t *)rows->columns[0].data)[i] = i;
        ((cell_text *)rows->columns[1].data)[i] = text_of("some text of a row", 10 + i % 9);
    }
    rows->n_rows = n;
}

static void grows_not(const char *sql, uint32_t n, int warm)
{
    freshet_error err = {0};
    sql_engine *engine;
    sql_session *session;
    sql_input *input;
    sql_statement *statement;
    const field fields[] = {{"a", type_simple(TYPE_BIGINT)}, {"t", type_simple(TYPE_STRING)}};
    const schema columns = {2, fields};
    arena *keep = arena_open(), *step = arena_open();
    batch rows, out;
    long before = 0;
    fill(&rows, keep, &columns, n);
    must(sql_open(NULL, &engine, &err), &err);
    must(sql_session_open(engine, &session, &err), &err);
    must(sql_input_add(session, "src", &columns, "row", 0, &input, &err), &err);
    must(sql_prepare(session, sql, &statement, NULL, &err), &err);
    sql_input_set(input, &rows, 0, n);
    for (int i = 0; i < warm + RUNS; i++) {
        if (i == warm)
            before = resident_kb();
        arena_reset(step);
        must(sql_run(statement, step, &out, &err), &err);
        assert_int_equal(out.n_rows, n);
    }
    long after = resident_kb();
    if (after - before > GROWTH_MAX_KB)
        fail_msg("%ld kB before, %ld kB after", before, after);
    sql_statement_close(statement);
    sql_input_close(input);
    sql_session_close(session);
    sql_close(engine);
    arena_close(step);
    arena_close(keep);
}

static void test_projection(void **state)
{
    (void)state;
    grows_not("SELECT repeat(t, 3) AS t, [a, a + 1] AS l, {'x': t || '!'} AS s, row FROM src", 50,
              2000);
}

/* DuckDB's buffer pool grows by some 50 MB over the first 50,000 runs of a join, no further. */
static void test_join(void **state)
{
    (void)state;
    grows_not("SELECT x.t || i AS t, x.row FROM src x JOIN range(100) r(i) ON i = x.a", 20, 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_projection),
        cmocka_unit_test(test_join),
    };
    return cmocka_run_group_tests_name("sql/memory", tests, NULL, NULL);
}
