/* Tests of debug.c when DuckDB compacts the segments, which it does by itself now and then at the end
 * of a transaction while others read: the rowids change. Here it is told to, through the table's own session,
 * which is why this test includes the file that it tests. */
#include "writers/debug.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BATCH 10000

static batch *make_batch(arena *memory, const schema *schema, int64_t first)
{
    batch *batch = arena_zero(memory, 1, sizeof *batch);
    assert_int_equal(batch_init(batch, memory, schema, BATCH, NULL), FRESHET_OK);
    batch->n_rows = BATCH;
    for (int64_t i = 0; i < BATCH; i++) {
        ((int64_t *)batch->columns[0].data)[i] = (first + i) % 10;
        ((int64_t *)batch->columns[1].data)[i] = 0;
        ((int64_t *)batch->columns[2].data)[i] = first + i;
    }
    return batch;
}

static void check(debug_table *table, const char *sql, int64_t expected)
{
    freshet_result *result = NULL;
    freshet_error err = {0};
    if (debug_query(table, sql, NULL, &result, &err) != FRESHET_OK ||
        freshet_result_next(result, &err) != FRESHET_OK)
        fail_msg("%s: %s", sql, err.text);
    assert_int_equal(freshet_result_int64(result, 0), expected);
    freshet_result_close(result);
}

/* All event times are equal, so the newest row is the last arrival: the order must outlive compaction. */
static void test_compaction(void **state)
{
    (void)state;
    enum { LIMIT = 300000, TOTAL = 900000 };
    arena *memory = arena_open();
    field fields[] = {{"key", type_simple(TYPE_BIGINT)},
                      {"timestamp", type_simple(TYPE_TIMESTAMP)},
                      {"n", type_simple(TYPE_BIGINT)}};
    schema three = {3, fields};
    debug_options options = {.rows = LIMIT, .memory = INT64_C(256) << 20};
    debug_table *table = NULL;
    freshet_error err = {0};
    assert_int_equal(debug_open("fs", &three, 1, &options, &table, &err), FRESHET_OK);
    int compactions = 0;
    for (int64_t end = BATCH; end <= TOTAL; end += BATCH) {
        if (debug_append(table, make_batch(memory, &three, end - BATCH), &err) != FRESHET_OK)
            fail_msg("%s", err.text);
        int64_t first = end > LIMIT ? end - LIMIT : 0;
        check(table, "select count(*) from online_feature_store__fs", end - first);
        check(table, "select min(n) from online_feature_store__fs", first);
        check(table, "select max(n) from online_feature_store__fs", end - 1);
        check(table, "select min(n) from online_feature_store__fs_latest", end - 10);
        compactions += sql_execute(table->session, "CHECKPOINT", NULL, &err) == FRESHET_OK;
    }
    assert_true(compactions > 10);
    debug_close(table);
    arena_close(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_compaction)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
