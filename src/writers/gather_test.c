/* gather_test.c - gathered rows are the rows that were added, and live on without them. */
#include "writers/gather.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static const schema *schema_of(arena *arena, const char *fields)
{
    const type *row = type_parse(arena, fields);
    assert_non_null(row);
    schema *made = arena_zero(arena, 1, sizeof *made);
    *made = (schema){.n_fields = row->n_fields, .fields = row->fields};
    return made;
}

/* Row i of a batch: every third is null where `nulls` says so; every second text is long. */
static void fill(arena *arena, batch *into, const schema *schema, uint32_t n, bool nulls)
{
    assert_int_equal(batch_init(into, arena, schema, n, NULL), FRESHET_OK);
    for (uint32_t i = 0; i < n; i++) {
        int value = rand() % 1000;
        char *text = arena_format(arena, i % 2 == 0 ? "%d" : "%d in a text that is long", value);
        ((int64_t *)into->columns[0].data)[i] = value;
        ((cell_text *)into->columns[1].data)[i] = text_of(text, (uint32_t)strlen(text));
        ((uint8_t *)into->columns[2].data)[i] = value % 2 == 0;
        for (uint32_t c = 0; nulls && c < 3; c++)
            if ((i + c) % 3 == 0)
                assert_true(column_set_null(arena, &into->columns[c], i));
    }
    into->n_rows = n;
}

static void append_rows(const batch *rows, text_buffer *into)
{
    for (uint32_t i = 0; i < rows->n_rows; i++)
        assert_int_equal(batch_row_to_json(rows, i, into, NULL), FRESHET_OK);
}

static void rows_outlive_their_micro_batches(void **state)
{
    static const struct {
        uint32_t n;
        bool nulls;
    } parts[] = {{3, false}, {70, true}, {1, false}, {200, false}, {1, true}, {129, true}};
    arena *own = arena_open();
    const schema *schema = schema_of(own, "struct<n: bigint, text: string, even: boolean>");
    gather *gather = NULL;

    (void)state;
    srand(1);
    assert_true(gather_suits(schema));
    assert_int_equal(gather_open(schema, &gather, NULL), FRESHET_OK);
    for (unsigned first = 0; first < 3; first++) {
        text_buffer expected, found;
        text_init(&expected, TEXT_LIMIT_DEFAULT);
        text_init(&found, TEXT_LIMIT_DEFAULT);
        for (unsigned i = first; i < sizeof parts / sizeof *parts; i++) {
            arena *step = arena_open();
            batch rows;
            fill(step, &rows, schema, parts[i].n, parts[i].nulls);
            append_rows(&rows, &expected);
            assert_int_equal(gather_add(gather, &rows, NULL), FRESHET_OK);
            arena_close(step);
        }
        append_rows(gather_rows(gather), &found);
        assert_string_equal(found.bytes, expected.bytes);
        gather_clear(gather);
        assert_int_equal(gather_rows(gather)->n_rows, 0);
        text_release(&expected);
        text_release(&found);
    }
    gather_close(gather);
    gather_close(NULL);
    arena_close(own);
}

static void nested_and_wide_rows_do_not_suit(void **state)
{
    arena *own = arena_open();
    text_buffer text;

    (void)state;
    assert_false(gather_suits(schema_of(own, "struct<n: bigint, a: array<bigint>>")));
    assert_false(gather_suits(schema_of(own, "struct<s: struct<n: bigint>>")));
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, "struct<last: boolean");
    for (size_t i = 0; i < GATHER_BYTES_MAX / GATHER_ROWS / 8; i++)
        text_format(&text, ", c%zu: bigint", i);
    size_t length = text.length;
    text_append_c(&text, ">");
    assert_true(gather_suits(schema_of(own, text.bytes))); /* 273 bytes, the most */
    text.length = length;
    text_append_c(&text, ", more: boolean>");
    assert_false(gather_suits(schema_of(own, text.bytes)));
    text_release(&text);
    arena_close(own);
}

static void it_is_full_by_rows_or_by_texts(void **state)
{
    arena *own = arena_open();
    const schema *schema = schema_of(own, "struct<text: string>");
    gather *gather = NULL;
    batch rows;

    (void)state;
    assert_int_equal(gather_open(schema, &gather, NULL), FRESHET_OK);
    assert_int_equal(batch_init(&rows, own, schema, GATHER_ROWS, NULL), FRESHET_OK);
    rows.n_rows = GATHER_ROWS - 1;
    assert_int_equal(gather_add(gather, &rows, NULL), FRESHET_OK);
    assert_false(gather_is_full(gather));
    rows.n_rows = 1;
    assert_int_equal(gather_add(gather, &rows, NULL), FRESHET_OK);
    assert_true(gather_is_full(gather));
    gather_clear(gather);
    assert_false(gather_is_full(gather));

    char *bytes = arena_zero(own, GATHER_BYTES_MAX, 1);
    ((cell_text *)rows.columns[0].data)[0] = text_of(bytes, GATHER_BYTES_MAX - 13);
    assert_int_equal(gather_add(gather, &rows, NULL), FRESHET_OK);
    assert_false(gather_is_full(gather));
    ((cell_text *)rows.columns[0].data)[0] = text_of(bytes, 13);
    assert_int_equal(gather_add(gather, &rows, NULL), FRESHET_OK);
    assert_true(gather_is_full(gather));
    gather_close(gather);
    arena_close(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_outlive_their_micro_batches),
        cmocka_unit_test(nested_and_wide_rows_do_not_suit),
        cmocka_unit_test(it_is_full_by_rows_or_by_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
