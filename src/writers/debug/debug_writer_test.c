/* debug_writer_test.c - rows are seen once written, and the newest is that of the greatest write
 * timestamp. */
#include "writers/debug/debug_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "writers/online_block.h"

typedef struct opened {
    arena *arena;
    declaration declaration;
    schema schema;
    field fields[3];
    writer_block block;
    freshet_writer *writer;
    freshet_error err;
} opened;

static void open_any(opened *opened)
{
    opened->arena = arena_open();
    opened->declaration.file = "demo.yaml";
    opened->declaration.feature_set.name.value = "demo";
    opened->fields[0] = (field){"id", type_simple(TYPE_BIGINT)};
    opened->fields[1] = (field){"timestamp", type_simple(TYPE_TIMESTAMP)};
    opened->fields[2] = (field){"x", type_simple(TYPE_BIGINT)};
    opened->schema.fields = opened->fields;
    opened->writer = arena_zero(opened->arena, 1, debug_writer_ops.size);
    *opened->writer = (freshet_writer){
        .ops = &debug_writer_ops,
        .declaration = &opened->declaration,
        .options = debug_writer_ops.debug_options(&opened->declaration, opened->arena),
        .arena = opened->arena};
    if (debug_writer_ops.open(opened->writer, &opened->schema, 1, &opened->err) != FRESHET_OK)
        fail_msg("%s", opened->err.text);
}

/* `declared`: the options of a writer of the declaration; NULL: there is none. */
static void open_online(opened *opened, void *declared)
{
    *opened = (struct opened){.schema.n_fields = 2};
    opened->block.kind = (declared_kind){.kind = &online_block, .options = declared};
    opened->declaration.sink.writers = (declared_blocks){&opened->block, NULL, declared != NULL};
    open_any(opened);
}

/* As a stream with windows. */
static void open_stream(opened *opened)
{
    static feature_block windowed = {.has_window = true};
    *opened = (struct opened){.schema.n_fields = 3, .declaration.is_stream = true};
    opened->declaration.feature_set.features = (declared_blocks){&windowed, NULL, 1};
    open_any(opened);
}

static void close_online(opened *opened)
{
    debug_writer_ops.close(opened->writer);
    arena_close(opened->arena);
}

static int64_t count_rows(freshet_writer *writer)
{
    freshet_result *result = NULL;
    assert_int_equal(debug_writer_ops.query(writer,
                                            "select count(*) from online_feature_store__demo", NULL,
                                            &result, NULL),
                     FRESHET_OK);
    assert_int_equal(freshet_result_next(result, NULL), FRESHET_OK);
    int64_t count = freshet_result_int64(result, 0);
    freshet_result_close(result);
    return count;
}

static void write_rows(opened *opened, uint32_t n)
{
    batch rows;
    assert_int_equal(batch_init(&rows, opened->arena, &opened->schema, n, NULL), FRESHET_OK);
    rows.n_rows = n;
    assert_int_equal(debug_writer_ops.write(opened->writer, &rows, NULL), FRESHET_OK);
}

static void rows_are_visible_once_written(void **state)
{
    (void)state;
    opened opened;
    open_online(&opened, NULL);
    for (int i = 1; i <= 2; i++) {
        write_rows(&opened, 3);
        write_rows(&opened, 0);
        write_rows(&opened, 4);
        assert_int_equal(count_rows(opened.writer), 7 * i);
        assert_int_equal(debug_writer_ops.figure(opened.writer, FRESHET_TABLE_ROWS), 7 * i);
        assert_int_equal(debug_writer_ops.flush(opened.writer, NULL), FRESHET_OK);
        assert_int_equal(count_rows(opened.writer), 7 * i);
    }
    close_online(&opened);
}

/* --debug keeps the limits that were declared: here one row. */
static void debug_options_keep_limits(void **state)
{
    (void)state;
    arena *arena = arena_open();
    char *declared = arena_zero(arena, 1, online_block.size);
    for (const option *option = online_block.options; option->name != NULL; option++) {
        int64_t value = strcmp(option->name, "rows") == 0 ? 1 : INT64_C(64) << 20;
        if (option->kind == OPTION_INTEGER || option->kind == OPTION_BYTES)
            memcpy(declared + option->offset, &value, sizeof value);
    }
    opened opened;
    open_online(&opened, declared);
    batch rows;
    assert_int_equal(batch_init(&rows, opened.arena, &opened.schema, 3, NULL), FRESHET_OK);
    rows.n_rows = 3;
    assert_int_equal(debug_writer_ops.write(opened.writer, &rows, NULL), FRESHET_OK);
    assert_int_equal(count_rows(opened.writer), 1);
    close_online(&opened);
    arena_close(arena);
}

/* ---- write timestamps ------------------------------------------------------------------------ */

static void expect_answer(freshet_writer *writer, const char *sql, const char *csv)
{
    freshet_result *result = NULL;
    freshet_error err = {0};
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    if (debug_writer_ops.query(writer, sql, NULL, &result, &err) != FRESHET_OK)
        fail_msg("%s: %s", sql, err.text);
    while (freshet_result_next(result, NULL) == FRESHET_OK) {
        for (uint32_t i = 0; i < freshet_result_columns(result); i++)
            text_format(&text, "%s%s", i == 0 ? "" : ",", freshet_result_text(result, i));
        text_append_c(&text, "\n");
    }
    assert_string_equal(text.bytes == NULL ? "" : text.bytes, csv);
    text_release(&text);
    freshet_result_close(result);
}

typedef struct timed_row {
    int64_t id, time_us, x, write_us;
    uint8_t kind;
} timed_row;

static void write_timed(opened *opened, const timed_row *rows, uint32_t n)
{
    batch batch;
    assert_int_equal(batch_init(&batch, opened->arena, &opened->schema, n, NULL), FRESHET_OK);
    batch.n_rows = n;
    batch.write_us = arena_alloc(opened->arena, n * sizeof *batch.write_us);
    batch.row_kinds = arena_alloc(opened->arena, n);
    for (uint32_t i = 0; i < n; i++) {
        ((int64_t *)batch.columns[0].data)[i] = rows[i].id;
        ((int64_t *)batch.columns[1].data)[i] = rows[i].time_us;
        ((int64_t *)batch.columns[2].data)[i] = rows[i].x;
        batch.write_us[i] = rows[i].write_us;
        batch.row_kinds[i] = rows[i].kind;
    }
    assert_int_equal(debug_writer_ops.write(opened->writer, &batch, NULL), FRESHET_OK);
}

#define ALL "select id, x from online_feature_store__demo order by x"
#define LATEST \
    "select id, epoch_us(timestamp), x from online_feature_store__demo_latest order by id"

/* A row that is written late but is older loses; one that is not for serving is never the newest,
 * not even where it is the only one that is left. */
static void the_newest_is_that_of_the_greatest_write_timestamp(void **state)
{
    static const timed_row rows[] = {
        {1, 50, 1, 1000, ROW_NEW | ROW_ONLINE},
        {1, 50, 2, 1002, ROW_ONLINE | ROW_CORRECTION},
        {1, 50, 3, 1001, ROW_NEW | ROW_ONLINE},
        {1, 60, 4, 999, ROW_NEW},
        {2, 10, 5, -7, ROW_NEW | ROW_ONLINE},
        {2, 9, 6, -7, ROW_NEW | ROW_ONLINE},
        {3, 10, 7, 5, ROW_NEW},
    };
    opened opened;
    (void)state;
    open_stream(&opened);
    write_timed(&opened, rows, 4);
    write_timed(&opened, rows + 4, 3);
    assert_int_equal(debug_writer_ops.flush(opened.writer, NULL), FRESHET_OK);
    expect_answer(opened.writer, ALL, "1,1\n1,2\n1,3\n1,4\n2,5\n2,6\n3,7\n");
    expect_answer(opened.writer, LATEST, "1,50,2\n2,9,6\n");
    expect_answer(opened.writer, "select * from online_feature_store__demo where x = 7",
                  "3,1970-01-01T00:00:00.000010Z,7\n");
    close_online(&opened);
}

/* The same through many chunks. */
static void the_newest_of_many(void **state)
{
    enum { ROWS = 250000, KEYS = 5 };
    timed_row *rows = calloc(ROWS, sizeof *rows);
    int64_t newest[KEYS] = {0};
    opened opened;
    (void)state;
    assert_non_null(rows);
    open_stream(&opened);
    for (uint32_t i = 0; i < ROWS; i++) {
        const int64_t write_us = (int64_t)(i * UINT64_C(7919) % 1000003) * 10 + i % 10;
        rows[i] =
            (timed_row){i % KEYS, i, i, write_us, i % 3 == 0 ? ROW_NEW : ROW_NEW | ROW_ONLINE};
        if (i % 3 != 0 && write_us > rows[newest[i % KEYS]].write_us)
            newest[i % KEYS] = i;
        if (newest[i % KEYS] == 0 && i % 3 != 0)
            newest[i % KEYS] = i;
    }
    for (uint32_t first = 0; first < ROWS; first += 10000)
        write_timed(&opened, rows + first, 10000);
    assert_int_equal(debug_writer_ops.flush(opened.writer, NULL), FRESHET_OK);
    assert_int_equal(count_rows(opened.writer), ROWS);
    char expected[200];
    size_t length = 0;
    for (uint32_t key = 0; key < KEYS; key++)
        length += (size_t)snprintf(expected + length, sizeof expected - length, "%u,%lld,%lld\n",
                                   key, (long long)newest[key], (long long)newest[key]);
    expect_answer(opened.writer, LATEST, expected);
    close_online(&opened);
    free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_visible_once_written),
        cmocka_unit_test(debug_options_keep_limits),
        cmocka_unit_test(the_newest_is_that_of_the_greatest_write_timestamp),
        cmocka_unit_test(the_newest_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
