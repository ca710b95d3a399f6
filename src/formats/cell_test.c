/* cell_test.c - columns that nobody asks for are null. */
#include "formats/cell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 300u

typedef struct rig {
    arena *arena;
    field whole;
    batch batch;
} rig;

/* One column: a struct of a number and of a struct of a text. */
static void set_up(rig *rig)
{
    rig->arena = arena_open();
    static field inner, parts[2]; /* types point to them */
    inner = (field){"text", type_simple(TYPE_STRING)};
    parts[0] = (field){"number", type_simple(TYPE_BIGINT)};
    parts[1] = (field){"inner", type_struct(rig->arena, &inner, 1)};
    rig->whole = (field){"whole", type_struct(rig->arena, parts, 2)};
    assert_int_equal(batch_init(&rig->batch, rig->arena, &(schema){1, &rig->whole}, ROWS, NULL),
                     FRESHET_OK);
}

static void assert_nulls(const column *column, uint64_t first, uint64_t n)
{
    for (uint64_t row = 0; row < ROWS; row++)
        assert_int_equal(column_is_valid(column, row), row < first || row >= first + n);
    for (uint32_t i = 0; column->type->kind == TYPE_STRUCT && i < column->type->n_fields; i++)
        assert_nulls(&column->children[i], first, n);
}

/* The parts too, whether the rows begin and end at a word of bits or within one. */
static void test_null_rows_of_a_struct(void **state)
{
    static const uint64_t borders[] = {0, 1, 63, 64, 65, 127, 128, 200, ROWS};
    const size_t n = sizeof borders / sizeof borders[0];
    (void)state;

    for (size_t i = 0; i < n; i++) {
        for (size_t j = i; j < n; j++) {
            rig rig;
            set_up(&rig);
            column *column = &rig.batch.columns[0];
            const uint64_t length = borders[j] - borders[i];
            assert_true(cell_set_nulls(rig.arena, column, borders[i], length));
            assert_nulls(column, borders[i], length);
            arena_close(rig.arena);
        }
    }
}

/* Cells of a null are zero, whatever stood there: columns that are not made zero first say so. */
static void test_null_rows_of_raw_columns_are_zero(void **state)
{
    static const bool which[] = {true};
    rig rig;
    batch raw;
    (void)state;

    set_up(&rig);
    assert_int_equal(batch_init_raw(&raw, rig.arena, &(schema){1, &rig.whole}, which, ROWS, NULL),
                     FRESHET_OK);
    column *part = &raw.columns[0].children[0];
    assert_true(raw.columns[0].is_raw && part->is_raw);
    memset(part->data, 0xAA, ROWS * type_cell_size(part->type));
    assert_true(cell_set_nulls(rig.arena, &raw.columns[0], 3, 70));
    for (size_t i = 0; i < ROWS * type_cell_size(part->type); i++) {
        const size_t row = i / type_cell_size(part->type);
        assert_int_equal(((const unsigned char *)part->data)[i], row < 3 || row >= 73 ? 0xAA : 0);
    }
    arena_close(rig.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null_rows_of_a_struct),
        cmocka_unit_test(test_null_rows_of_raw_columns_are_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
