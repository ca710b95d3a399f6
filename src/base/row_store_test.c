/* row_store_test.c - rows kept beyond their batch: every type, any order, limits of a chunk. */
#include "base/row_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static const field fields[] = {
    {"n", NULL}, {"s", NULL}, {"list", NULL}, {"texts", NULL}, {"d", NULL}};
#define N_FIELDS 5u

typedef struct rig {
    arena *arena;
    arena *batches;
    field fields[N_FIELDS];
    schema schema;
    row_store *store;
} rig;

static void set_up(rig *rig)
{
    rig->arena = arena_open();
    rig->batches = arena_open();
    const type *types[] = {type_simple(TYPE_BIGINT), type_simple(TYPE_STRING),
                           type_array(rig->arena, type_simple(TYPE_DOUBLE)),
                           type_array(rig->arena, type_simple(TYPE_STRING)),
                           type_decimal(rig->arena, 30, 2)};
    for (uint32_t i = 0; i < N_FIELDS; i++)
        rig->fields[i] = (field){fields[i].name, types[i]};
    rig->schema = (schema){N_FIELDS, rig->fields};
    assert_int_equal(row_store_open(&rig->schema, &rig->store, NULL), FRESHET_OK);
}

static void tear_down(rig *rig)
{
    row_store_close(rig->store);
    arena_close(rig->batches);
    arena_close(rig->arena);
}

static cell_text text_number(arena *arena, uint64_t n)
{
    const char *text = arena_format(arena, n % 3 == 0 ? "%lu" : "a text that is no short one %lu",
                                    (unsigned long)n);
    return text_of(text, (uint32_t)strlen(text));
}

/* Elements of row n of an array column; every fifth of them is null. */
static void add_elements(arena *arena, column *column, uint32_t row, uint64_t n)
{
    uint64_t length = n % 4, first = column->n_elements;
    struct column *elements = &column->children[0];
    assert_int_equal(column_reserve(arena, elements, first + length, NULL), FRESHET_OK);
    for (uint64_t i = 0; i < length; i++) {
        if (elements->type->kind == TYPE_DOUBLE)
            ((double *)elements->data)[first + i] = (double)n + (double)i / 8;
        else
            ((cell_text *)elements->data)[first + i] = text_number(arena, n + i);
        if ((n + i) % 5 == 0)
            column_set_null(arena, elements, first + i);
    }
    ((cell_span *)column->data)[row] = (cell_span){first, length};
    column->n_elements += length;
}

/* Rows whose cells follow from their numbers, first to first + n - 1. */
static batch make_rows(rig *rig, uint64_t first, uint32_t n)
{
    batch rows;
    arena *arena = rig->batches;
    assert_int_equal(batch_init(&rows, arena, &rig->schema, n, NULL), FRESHET_OK);
    for (uint32_t row = 0; row < n; row++) {
        uint64_t number = first + row;
        ((int64_t *)rows.columns[0].data)[row] = (int64_t)number;
        ((cell_text *)rows.columns[1].data)[row] = text_number(arena, number);
        add_elements(arena, &rows.columns[2], row, number);
        add_elements(arena, &rows.columns[3], row, number);
        ((int128 *)rows.columns[4].data)[row] = (int128)number * 1000000007 * 1000000007;
        for (uint32_t i = 1; i < N_FIELDS; i++)
            if ((number + i) % 7 == 0)
                column_set_null(arena, &rows.columns[i], row);
    }
    rows.n_rows = n;
    return rows;
}

static void assert_row(rig *rig, const batch *rows, uint32_t row, uint64_t number)
{
    text_buffer got, expected;
    text_init(&got, TEXT_LIMIT_DEFAULT);
    text_init(&expected, TEXT_LIMIT_DEFAULT);
    batch made = make_rows(rig, number, 1);
    assert_int_equal(batch_row_to_json(rows, row, &got, NULL), FRESHET_OK);
    assert_int_equal(batch_row_to_json(&made, 0, &expected, NULL), FRESHET_OK);
    assert_string_equal(got.bytes, expected.bytes);
    text_release(&got);
    text_release(&expected);
}

/* Adds rows first..first + n - 1 in pieces, whose memory is gone afterwards. */
static void add_rows(rig *rig, uint64_t first, uint32_t n, uint32_t piece)
{
    for (uint32_t at = 0; at < n; at += piece) {
        uint32_t more = n - at < piece ? n - at : piece;
        batch rows = make_rows(rig, first + at, more);
        assert_int_equal(row_store_add(rig->store, &rows, NULL, more, NULL), FRESHET_OK);
        arena_reset(rig->batches);
    }
}

static void rows_outlive_their_batches(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {
        1, 63, ROW_STORE_CHUNK - 1, ROW_STORE_CHUNK, ROW_STORE_CHUNK + 1, 2 * ROW_STORE_CHUNK + 5};
    static const uint32_t pieces[] = {1000, 777, ROW_STORE_CHUNK, 5000, 40000, 9999};
    rig rig;
    set_up(&rig);
    for (uint32_t i = 0; i < 6; i++) {
        add_rows(&rig, i, sizes[i], pieces[i]);
        assert_int_equal(row_store_rows(rig.store), sizes[i]);
        assert_true(row_store_bytes(rig.store) >= sizes[i] * (8u + 16 + 16 + 16 + 16));
        batch out;
        assert_int_equal(row_store_take(rig.store, rig.arena, NULL, 0, sizes[i], &out, NULL),
                         FRESHET_OK);
        assert_int_equal(out.n_rows, sizes[i]);
        for (uint32_t row = 0; row < sizes[i]; row += 1 + sizes[i] / 500)
            assert_row(&rig, &out, row, i + row);
        assert_row(&rig, &out, sizes[i] - 1, i + sizes[i] - 1);
        uint32_t index;
        const batch *chunk = row_store_at(rig.store, sizes[i] - 1, &index);
        assert_row(&rig, chunk, index, i + sizes[i] - 1);
        row_store_clear(rig.store);
        assert_int_equal(row_store_rows(rig.store), 0);
        assert_int_equal(row_store_bytes(rig.store), 0);
    }
    tear_down(&rig);
}

static void any_rows_in_any_order(void **state)
{
    (void)state;
    rig rig;
    set_up(&rig);
    const uint32_t n = 2 * ROW_STORE_CHUNK + 100;
    add_rows(&rig, 0, n, 3000);
    uint32_t wanted[3000];
    for (uint32_t i = 0; i < 3000; i++)
        wanted[i] = i < 1500 ? (i * 7919) % n : n - 1 - (i - 1500); /* scattered, then backwards */
    batch out;
    assert_int_equal(row_store_take(rig.store, rig.arena, wanted, 0, 3000, &out, NULL), FRESHET_OK);
    for (uint32_t i = 0; i < 3000; i++)
        assert_row(&rig, &out, i, wanted[i]);
    assert_int_equal(row_store_take(rig.store, rig.arena, NULL, ROW_STORE_CHUNK - 3, 7, &out, NULL),
                     FRESHET_OK);
    for (uint32_t i = 0; i < 7; i++)
        assert_row(&rig, &out, i, ROW_STORE_CHUNK - 3 + i);
    tear_down(&rig);
}

static void chosen_rows_of_a_batch_with_their_kinds(void **state)
{
    (void)state;
    rig rig;
    set_up(&rig);
    batch rows = make_rows(&rig, 100, 10);
    int64_t write_us[10];
    uint8_t kinds[10];
    for (int i = 0; i < 10; i++) {
        write_us[i] = i * 11;
        kinds[i] = (uint8_t)(1 + i % 7);
    }
    rows.write_us = write_us;
    rows.row_kinds = kinds;
    const uint32_t chosen[] = {9, 2, 4};
    assert_int_equal(row_store_add(rig.store, &rows, chosen, 3, NULL), FRESHET_OK);
    rows.row_kinds = NULL;
    assert_int_equal(row_store_add(rig.store, &rows, chosen, 2, NULL), FRESHET_OK);
    const uint32_t order[] = {4, 0, 1};
    batch out;
    assert_int_equal(row_store_take(rig.store, rig.arena, order, 0, 3, &out, NULL), FRESHET_OK);
    assert_row(&rig, &out, 0, 102);
    assert_row(&rig, &out, 1, 109);
    assert_row(&rig, &out, 2, 102);
    assert_int_equal(out.write_us[0], 22);
    assert_int_equal(out.write_us[1], 99);
    assert_int_equal(out.row_kinds[0], ROW_NEW | ROW_ONLINE);
    assert_int_equal(out.row_kinds[1], 1 + 9 % 7);
    tear_down(&rig);
}

/* What a store has after a rewind, or with room for many at once, is what it has without. */
static void memory_that_is_used_again(void **state)
{
    (void)state;
    rig rig;
    set_up(&rig);
    row_store_expect(rig.store, 5000);
    for (uint32_t round = 0; round < 4; round++) {
        const uint32_t n = round == 2 ? 40000 : 7000 * round + 10;
        batch rows = make_rows(&rig, round * UINT64_C(100000), n);
        for (uint32_t i = 0; i < 2; i++)
            assert_int_equal(row_store_add(rig.store, &rows, NULL, n, NULL), FRESHET_OK);
        assert_int_equal(row_store_rows(rig.store), 2 * n);
        batch out;
        assert_int_equal(row_store_take(rig.store, rig.arena, NULL, 0, 2 * n, &out, NULL),
                         FRESHET_OK);
        for (uint32_t row = 0; row < 2 * n; row += 997)
            assert_row(&rig, &out, row, round * UINT64_C(100000) + row % n);
        row_store_rewind(rig.store);
        assert_int_equal(row_store_rows(rig.store), 0);
        assert_int_equal(row_store_bytes(rig.store), 0);
    }
    row_store_expect(rig.store, UINT32_MAX);
    batch rows = make_rows(&rig, 5, 1);
    assert_int_equal(row_store_add(rig.store, &rows, NULL, 1, NULL), FRESHET_OK);
    tear_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_outlive_their_batches),
        cmocka_unit_test(any_rows_in_any_order),
        cmocka_unit_test(memory_that_is_used_again),
        cmocka_unit_test(chosen_rows_of_a_batch_with_their_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
