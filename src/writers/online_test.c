/* online_test.c - the writer `online`: the debug table, or a clear refusal. */
#include "writers/online.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "writers/gather.h"

typedef struct opened {
    arena *arena;
    declaration declaration;
    schema schema;
    field fields[2];
    freshet_writer *writer;
    freshet_code code;
    freshet_error err;
} opened;

static void open_online(opened *opened, const void *options)
{
    opened->arena = arena_open();
    opened->declaration = (declaration){.file = "demo.yaml"};
    opened->declaration.feature_set.name.value = "demo";
    opened->fields[0] = (field){"id", type_simple(TYPE_BIGINT)};
    opened->fields[1] = (field){"timestamp", type_simple(TYPE_TIMESTAMP)};
    opened->schema = (schema){2, opened->fields};
    opened->writer = arena_zero(opened->arena, 1, online_writer_ops.size);
    *opened->writer = (freshet_writer){
        .ops = &online_writer_ops,
        .declaration = &opened->declaration,
        .options = options == NULL ? online_debug_options(opened->arena, NULL) : options,
        .arena = opened->arena};
    opened->code = online_writer_ops.open(opened->writer, &opened->schema, 1, &opened->err);
}

static void close_online(opened *opened)
{
    online_writer_ops.close(opened->writer);
    arena_close(opened->arena);
}

static int64_t count_rows(freshet_writer *writer)
{
    freshet_result *result = NULL;
    assert_int_equal(debug_query(online_debug_table(writer),
                                 "select count(*) from online_feature_store__demo", NULL, &result,
                                 NULL),
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
    assert_int_equal(online_writer_ops.write(opened->writer, &rows, NULL), FRESHET_OK);
}

static void rows_are_visible_once_flushed(void **state)
{
    (void)state;
    opened opened;
    open_online(&opened, NULL);
    assert_int_equal(opened.code, FRESHET_OK);
    for (int i = 1; i <= 2; i++) {
        write_rows(&opened, 3);
        write_rows(&opened, 0);
        write_rows(&opened, 4);
        assert_int_equal(online_writer_ops.flush(opened.writer, NULL), FRESHET_OK);
        assert_int_equal(count_rows(opened.writer), 7 * i);
    }
    close_online(&opened);
}

static void not_more_is_held_than_one_piece(void **state)
{
    (void)state;
    opened opened;
    open_online(&opened, NULL);
    write_rows(&opened, GATHER_ROWS - 1);
    write_rows(&opened, 1);
    assert_int_equal(count_rows(opened.writer), 0);
    write_rows(&opened, 5);
    assert_int_equal(count_rows(opened.writer), GATHER_ROWS);
    assert_int_equal(online_writer_ops.flush(opened.writer, NULL), FRESHET_OK);
    assert_int_equal(count_rows(opened.writer), GATHER_ROWS + 5);
    close_online(&opened);
}

/* The options of a declaration are the zeroed struct of the block's size, filled in by its table. */
static void without_debug_it_is_refused(void **state)
{
    (void)state;
    arena *arena = arena_open();
    const void *declared = arena_zero(arena, 1, online_writer_ops.block.size);
    opened opened;
    open_online(&opened, declared);
    assert_int_equal(opened.code, FRESHET_BAD_DECLARATION);
    assert_string_equal(opened.err.at, "demo.yaml");
    assert_string_equal(opened.err.text,
                        "the Cassandra writer is not in this version; write `debug: true` under "
                        "`online`, or run with --debug");
    close_online(&opened);
    arena_close(arena);
}

/* --debug keeps the limits that were declared: here one row. */
static void debug_options_keep_limits(void **state)
{
    (void)state;
    arena *arena = arena_open();
    char *declared = arena_zero(arena, 1, online_writer_ops.block.size);
    for (const option *option = online_writer_ops.block.options; option->name != NULL; option++) {
        int64_t value = strcmp(option->name, "rows") == 0 ? 1 : INT64_C(64) << 20;
        if (option->kind == OPTION_INTEGER || option->kind == OPTION_BYTES)
            memcpy(declared + option->offset, &value, sizeof value);
    }
    opened opened;
    open_online(&opened, online_debug_options(arena, declared));
    assert_int_equal(opened.code, FRESHET_OK);
    batch rows;
    assert_int_equal(batch_init(&rows, opened.arena, &opened.schema, 3, NULL), FRESHET_OK);
    rows.n_rows = 3;
    assert_int_equal(online_writer_ops.write(opened.writer, &rows, NULL), FRESHET_OK);
    assert_int_equal(count_rows(opened.writer), 1);
    close_online(&opened);
    arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_visible_once_flushed),
        cmocka_unit_test(not_more_is_held_than_one_piece),
        cmocka_unit_test(without_debug_it_is_refused),
        cmocka_unit_test(debug_options_keep_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
