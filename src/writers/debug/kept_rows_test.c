/* kept_rows_test.c - what is kept is the last rows of what was added: an array of all of them is
 * the twin, for every layout of cells, by the limit of rows and by that of memory. */
#include "writers/debug/kept_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory_testing.h"
#include "base/random_testing.h"
#include "base/text.h"

/* ---- rows of (n bigint, short string, long string, list array<string>, flag boolean) ------------
 */

static arena *types; /* of all tests */

static const schema *five_columns(void)
{
    static field fields[5];
    fields[0] = (field){"n", type_simple(TYPE_BIGINT)};
    fields[1] = (field){"short", type_simple(TYPE_STRING)};
    fields[2] = (field){"long", type_simple(TYPE_STRING)};
    if (fields[3].type == NULL)
        fields[3] = (field){"list", type_array(types, type_simple(TYPE_STRING))};
    fields[4] = (field){"flag", type_simple(TYPE_BOOLEAN)};
    static const schema schema = {5, fields};
    return &schema;
}

/* What row n is: whether a column of it is null, and which text it has. */
static bool is_null(int64_t n, uint32_t column)
{
    return column > 0 && (n * 7 + column) % 5 == 0;
}

static void text_of_row(int64_t n, uint32_t which, char into[80])
{
    snprintf(into, 80, which == 0 ? "%" PRId64 : "the longer text %" PRId64 " of %u", n % 1000000,
             which);
}

static void put_text(column *column, uint64_t at, int64_t n, uint32_t which)
{
    char text[80];
    text_of_row(n, which, text);
    const char *copy = arena_text(memory, text);
    ((cell_text *)column->data)[at] = text_of(copy, (uint32_t)strlen(copy));
}

static void put_row(batch *batch, uint32_t row, int64_t n)
{
    column *columns = batch->columns;
    ((int64_t *)columns[0].data)[row] = n;
    put_text(&columns[1], row, n, 0);
    put_text(&columns[2], row, n, 1);
    column *elements = &columns[3].children[0];
    const uint64_t first = columns[3].n_elements, length = (uint64_t)n % 4;
    assert_int_equal(column_reserve(memory, elements, first + length, NULL), FRESHET_OK);
    for (uint64_t i = 0; i < length; i++)
        put_text(elements, first + i, n, (uint32_t)i);
    ((cell_span *)columns[3].data)[row] = (cell_span){length == 0 ? 0 : first, length};
    columns[3].n_elements += length;
    ((uint8_t *)columns[4].data)[row] = n % 3 == 0;
    for (uint32_t i = 0; i < 5; i++)
        if (is_null(n, i))
            assert_true(column_set_null(memory, &columns[i], row));
}

static batch *rows_from(const schema *schema, int64_t first, uint32_t n)
{
    batch *batch = arena_zero(memory, 1, sizeof *batch);
    assert_int_equal(batch_init(batch, memory, schema, n, NULL), FRESHET_OK);
    for (uint32_t i = 0; i < n; i++)
        put_row(batch, i, first + i);
    batch->n_rows = n;
    return batch;
}

static void check_text(const column *column, uint64_t at, int64_t n, uint32_t which)
{
    char text[80];
    text_of_row(n, which, text);
    const cell_text *cell = (const cell_text *)column->data + at;
    assert_int_equal(cell->length, strlen(text));
    assert_memory_equal(text_bytes(cell), text, cell->length);
}

static void check_row(const batch *rows, uint32_t at, int64_t n)
{
    const column *columns = rows->columns;
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(column_is_valid(&columns[i], at), !is_null(n, i));
    assert_int_equal(((const int64_t *)columns[0].data)[at], n);
    if (!is_null(n, 1))
        check_text(&columns[1], at, n, 0);
    if (!is_null(n, 2))
        check_text(&columns[2], at, n, 1);
    const cell_span span = ((const cell_span *)columns[3].data)[at];
    assert_int_equal(span.length, is_null(n, 3) ? 0 : n % 4);
    for (uint64_t i = 0; i < span.length; i++)
        check_text(&columns[3].children[0], span.offset + i, n, (uint32_t)i);
    assert_int_equal(((const uint8_t *)columns[4].data)[at], !is_null(n, 4) && n % 3 == 0);
}

/* Exactly the rows `first` to end - 1, in order, with ascending numbers. */
static void check_kept(kept_rows *rows, int64_t first, int64_t end)
{
    int64_t n = first, number = -1;
    sql_piece piece;
    for (uint32_t i = 0; kept_rows_piece(rows, i, &piece); i++) {
        assert_true(piece.number > number || piece.n == 0);
        for (uint32_t at = 0; at < piece.n; at++)
            check_row(piece.rows, piece.first + at, n++);
        number = piece.number + piece.n - 1;
    }
    assert_int_equal(n, end);
    assert_int_equal(kept_rows_count(rows), end - first);
    assert_int_equal(kept_rows_trimmed(rows), first);
}

static kept_rows *rows_open(int64_t limit, int64_t mib)
{
    kept_rows *rows = NULL;
    assert_int_equal(kept_rows_open(five_columns(), limit, mib << 20, &rows, NULL), FRESHET_OK);
    return rows;
}

static void add(kept_rows *rows, int64_t first, uint32_t n, bool expected_short)
{
    bool is_short = true;
    freshet_error err = {0};
    if (kept_rows_add(rows, rows_from(five_columns(), first, n), &is_short, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    assert_int_equal(is_short, expected_short);
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void test_nothing(void **state)
{
    (void)state;
    kept_rows *rows = rows_open(10, 16);
    sql_piece piece;
    assert_false(kept_rows_piece(rows, 0, &piece));
    add(rows, 0, 0, false);
    check_kept(rows, 0, 0);
    kept_rows_close(rows);
    kept_rows_close(NULL);
}

static void test_limits_of_rows(void **state)
{
    static const int64_t limits[] = {1, 2, 10, 2047, 2048, 2049, 5000, 40000};
    (void)state;
    random_state = 20261130;
    for (size_t l = 0; l < sizeof limits / sizeof *limits; l++) {
        kept_rows *rows = rows_open(limits[l], 256);
        int64_t n = 0;
        for (int i = 0; i < 60; i++) {
            const uint32_t more = random_below(5) == 0 ? random_below(6000) : random_below(60);
            add(rows, n, more, false);
            n += more;
            if (i % 10 == 9 || n < 100)
                check_kept(rows, n > limits[l] ? n - limits[l] : 0, n);
        }
        for (int i = 0; i < 200; i++, n++)
            add(rows, n, 1, false);
        check_kept(rows, n > limits[l] ? n - limits[l] : 0, n);
        kept_rows_close(rows);
        arena_reset(memory);
    }
}

/* The oldest go before their time, and what is held stays below the limit. */
static void test_limit_of_memory(void **state)
{
    (void)state;
    kept_rows *rows = rows_open(1000000, 2);
    bool was_short = false;
    int64_t n = 0;
    for (int i = 0; i < 100; i++, n += 1000) {
        bool is_short = false;
        assert_int_equal(kept_rows_add(rows, rows_from(five_columns(), n, 1000), &is_short, NULL),
                         FRESHET_OK);
        assert_true(kept_rows_bytes(rows) <= INT64_C(2) << 20);
        assert_true(is_short || !was_short || kept_rows_trimmed(rows) > 0);
        was_short = was_short || is_short;
        arena_reset(memory);
    }
    assert_true(was_short);
    assert_true(kept_rows_count(rows) >= 2000);
    check_kept(rows, kept_rows_trimmed(rows), n);
    kept_rows_close(rows);
}

/* Rows that cannot all be there at once are refused as a whole, and nothing has changed. */
static void test_more_than_the_memory(void **state)
{
    (void)state;
    kept_rows *rows = rows_open(1000000, 2);
    bool is_short = true;
    freshet_error err = {0};
    add(rows, 0, 100, false);
    assert_int_equal(kept_rows_add(rows, rows_from(five_columns(), 100, 30000), &is_short, &err),
                     FRESHET_LIMIT);
    assert_int_equal(err.then, FRESHET_STOP);
    assert_non_null(strstr(err.text, "30000 rows that came together take "));
    assert_non_null(strstr(err.text, "the debug table may have 2 MiB: set `memory`"));
    assert_false(is_short);
    check_kept(rows, 0, 100);
    add(rows, 100, 50, false);
    check_kept(rows, 0, 150);
    kept_rows_close(rows);
    rows = rows_open(10, 2); /* what would go at once is not copied */
    add(rows, 0, 30000, false);
    check_kept(rows, 29990, 30000);
    kept_rows_close(rows);
}

/* Rows so wide that few of them fill a chunk: the limit of memory goes before the usual size. */
static void test_wide_rows(void **state)
{
    enum { WIDE = 3000 };
    (void)state;
    field *fields = arena_alloc(memory, WIDE * sizeof *fields);
    for (uint32_t i = 0; i < WIDE; i++)
        fields[i] = (field){arena_format(memory, "c%u", i), type_simple(TYPE_BIGINT)};
    const schema schema = {WIDE, fields};
    kept_rows *rows = NULL;
    bool is_short = false;
    assert_int_equal(kept_rows_open(&schema, 1000000, INT64_C(16) << 20, &rows, NULL), FRESHET_OK);
    batch *batch = arena_zero(memory, 1, sizeof *batch);
    assert_int_equal(batch_init(batch, memory, &schema, 100, NULL), FRESHET_OK);
    batch->n_rows = 100;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(kept_rows_add(rows, batch, &is_short, NULL), FRESHET_OK);
        assert_true(kept_rows_bytes(rows) <= INT64_C(16) << 20);
    }
    assert_true(is_short);
    assert_true(kept_rows_count(rows) >= 500);
    kept_rows_close(rows);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_memory, close_memory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing),         TEST(test_limits_of_rows),
        TEST(test_limit_of_memory), TEST(test_more_than_the_memory),
        TEST(test_wide_rows),
    };
    types = arena_open();
    const int failed = types == NULL ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
    arena_close(types);
    return failed;
}
