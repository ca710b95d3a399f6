/* cells_test.c - cells of all kinds give the bytes that cells.h draws, whatever room the buffer has
 * and up to its limit, and those give the cells again. */
#include "keyed/cells.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random_testing.h"

#define ROWS 300u

static const type_kind kinds[] = {TYPE_BOOLEAN, TYPE_INTEGER, TYPE_BIGINT,
                                  TYPE_FLOAT,   TYPE_DOUBLE,  TYPE_STRING,
                                  TYPE_BINARY,  TYPE_DATE,    TYPE_TIMESTAMP};

static char letters[100];

static void fill_cell(arena *arena, column *column, uint32_t row)
{
    const type_kind kind = column->type->kind;
    if (random_below(5) == 0) {
        assert_true(column_set_null(arena, column, row));
    } else if (kind == TYPE_STRING || kind == TYPE_BINARY) {
        ((cell_text *)column->data)[row] = text_of(letters + random_below(20), random_below(40));
    } else if (kind == TYPE_DOUBLE) {
        static const double odd[] = {-0.0, 0.0, 1.5, NAN, INFINITY};
        ((double *)column->data)[row] = odd[random_below(5)];
    } else if (kind == TYPE_FLOAT) {
        ((float *)column->data)[row] = random_below(2) == 0 ? -0.0f : 2.5f;
    } else {
        const size_t size = type_cell_size(column->type);
        for (size_t i = 0; i < size; i++)
            ((char *)column->data)[row * size + i] =
                (char)random_below(kind == TYPE_BOOLEAN ? 2 : 256);
    }
}

/* As cells.h has it, byte by byte; how many. */
static size_t draw_cell(const column *column, uint32_t row, bool canonical, char *into)
{
    const type_kind kind = column->type->kind;
    const size_t size = type_cell_size(column->type);
    into[0] = (char)column_is_valid(column, row);
    if (into[0] == 0)
        return 1;
    if (kind == TYPE_STRING || kind == TYPE_BINARY) {
        const cell_text *cell = (const cell_text *)column->data + row;
        memcpy(into + 1, &cell->length, 4);
        memcpy(into + 5, text_bytes(cell), cell->length);
        return 5 + cell->length;
    }
    memcpy(into + 1, (const char *)column->data + row * size, size);
    if (canonical)
        cell_make_canonical(column->type, into + 1);
    return 1 + size;
}

static void try_kind(type_kind kind, bool canonical, size_t limit)
{
    const type type = {.kind = kind};
    arena *arena = arena_open();
    column from, again;
    char drawn[64 * ROWS];
    size_t n = 0;
    text_buffer buffer;
    text_init(&buffer, limit);
    assert_int_equal(column_init(arena, &from, &type, ROWS, NULL), FRESHET_OK);
    assert_int_equal(column_init(arena, &again, &type, ROWS, NULL), FRESHET_OK);
    for (uint32_t row = 0; row < ROWS; row++) {
        fill_cell(arena, &from, row);
        const size_t size = draw_cell(&from, row, canonical, drawn + n);
        cells_put(&buffer, &from, row, canonical);
        n += buffer.failed ? 0 : size;
        assert_true(buffer.failed ? n + size > limit : n <= limit);
        if (buffer.failed)
            break;
        assert_int_equal(buffer.bytes[buffer.length], '\0');
    }
    if (!buffer.failed)
        assert_int_equal(buffer.length, n);
    assert_memory_equal(buffer.bytes, drawn, n);
    const unsigned char *at = (const unsigned char *)drawn, *end = at + n;
    for (uint32_t row = 0; at < end; row++) {
        char once[64], twice[64];
        assert_int_equal(cells_get(arena, &at, end, &again, row, NULL), FRESHET_OK);
        const size_t size = draw_cell(&from, row, canonical, once);
        assert_int_equal(draw_cell(&again, row, canonical, twice), size);
        assert_memory_equal(once, twice, size);
    }
    text_release(&buffer);
    arena_close(arena);
}

static void cells_are_the_bytes_that_are_drawn(void **state)
{
    (void)state;
    memset(letters, 'x', sizeof letters);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (uint32_t limit = 1; limit < 400; limit += 1 + random_below(9)) {
            try_kind(kinds[i], limit % 2 == 0, limit);
            if (limit % 8 == 0)
                try_kind(kinds[i], limit % 16 == 0, SIZE_MAX);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cells_are_the_bytes_that_are_drawn)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
