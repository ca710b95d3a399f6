/* Tests of what lies under the debug table: segments, their digests, and what happens when DuckDB
 * compacts a segment, which it does by itself now and then at the end of a transaction while others
 * read, and which changes rowids. Here it is told to, through the table's own session; hence this
 * test includes the file that it tests. */
#include "writers/debug/debug.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BATCH 10000

static field fields[3];

static const schema *three_columns(void)
{
    fields[0] = (field){"key", type_simple(TYPE_BIGINT)};
    fields[1] = (field){"timestamp", type_simple(TYPE_TIMESTAMP)};
    fields[2] = (field){"n", type_simple(TYPE_BIGINT)};
    static const schema schema = {3, fields};
    return &schema;
}

static debug_table *table_open(int64_t rows)
{
    debug_options options = {.rows = rows, .memory = INT64_C(256) << 20};
    debug_table *table = NULL;
    freshet_error err = {0};
    if (debug_open("fs", three_columns(), 1, &options, &table, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    return table;
}

/* Rows n = first ... of n_keys keys; where n_keys is 0, one key in 8,500 rows and then many. */
static void append_rows(debug_table *table, int64_t first, int64_t n_keys)
{
    arena *memory = arena_open();
    batch batch;
    assert_int_equal(batch_init(&batch, memory, three_columns(), BATCH, NULL), FRESHET_OK);
    batch.n_rows = BATCH;
    for (int64_t i = 0; i < BATCH; i++) {
        ((int64_t *)batch.columns[0].data)[i] = n_keys == 0 ? i / 8500 * i : (first + i) % n_keys;
        ((int64_t *)batch.columns[1].data)[i] = 0;
        ((int64_t *)batch.columns[2].data)[i] = first + i;
    }
    freshet_error err = {0};
    if (debug_append(table, &batch, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    arena_close(memory);
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

/* All event times are equal, so the newest row is the last arrival: the order must outlive
 * compaction. */
static void test_compaction(void **state)
{
    (void)state;
    enum { LIMIT = 300000, TOTAL = 900000 };
    debug_table *table = table_open(LIMIT);
    int compactions = 0;
    for (int64_t end = BATCH; end <= TOTAL; end += BATCH) {
        append_rows(table, end - BATCH, 10);
        int64_t first = end > LIMIT ? end - LIMIT : 0;
        check(table, "select count(*) from online_feature_store__fs", end - first);
        check(table, "select min(n) from online_feature_store__fs", first);
        check(table, "select max(n) from online_feature_store__fs", end - 1);
        check(table, "select min(n) from online_feature_store__fs_latest", end - 10);
        compactions += sql_execute(table->session, "CHECKPOINT", NULL, NULL) == FRESHET_OK;
    }
    assert_true(compactions > 10);
    debug_close(table);
}

/* Digests of all segments but the one being trimmed and the one being filled, where keys are few.
 */
static void check_digests(int64_t n_keys, bool expected)
{
    debug_table *table = table_open(95000);
    int64_t end = 0;
    for (; end < 240000; end += BATCH)
        append_rows(table, end, n_keys);
    uint32_t n = table->now.n;
    assert_true(n >= 10 && n <= SEGMENTS_MAX);
    assert_true(table->now.segments[0].trimmed > 0);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(table->now.segments[i].has_digest, expected && i > 0 && i < n - 1);
    check(table, "select max(n) from online_feature_store__fs_latest", end - 1);
    check(table,
          "select count(*) from (from online_feature_store__fs_latest l where n <> (select max(n) "
          "from online_feature_store__fs t where t.key = l.key))",
          0);
    check(table,
          "select count(distinct key) - (select count(*) from online_feature_store__fs_latest) "
          "from online_feature_store__fs",
          0);
    debug_close(table);
}

static void test_digests(void **state)
{
    (void)state;
    check_digests(1, true);
    check_digests(DIGEST_SAMPLE / DIGEST_SHARE, true);
    check_digests(DIGEST_SAMPLE / DIGEST_SHARE + 1, false);
    check_digests(1000000, false);
    check_digests(0, false);
}

/* A commit that changes a view checkpoints a large table, which then is compressed, unless told.
 * The engine's own measure is "15.2 MiB". */
static void test_the_table_is_not_compressed(void **state)
{
    (void)state;
    debug_table *table = table_open(1000);
    freshet_error err = {0};
    if (sql_execute(table->session,
                    "select case when current_setting('checkpoint_threshold') not like '%MiB' then "
                    "1 else error(current_setting('checkpoint_threshold')) end",
                    NULL, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    debug_close(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compaction),
        cmocka_unit_test(test_digests),
        cmocka_unit_test(test_the_table_is_not_compressed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
