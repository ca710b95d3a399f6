/* key_hashes_test.c - the hash of a row's key is that of the bytes that a table of keys has, for
 * keys of numbers, which have a way of their own, as for all others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "features/key_hashes.h"
#include "keyed/cells.h"
#include "keyed/keyed_table.h"

#define ROWS 700u /* more than KEY_HASHES_MAX */

static column make_column(arena *arena, type_kind kind, bool with_nulls)
{
    column made;
    assert_int_equal(column_init(arena, &made, type_simple(kind), ROWS, NULL), FRESHET_OK);
    for (uint32_t i = 0; i < ROWS; i++)
        if (kind == TYPE_BIGINT)
            ((int64_t *)made.data)[i] = (int64_t)i * 7919 - 5000;
        else if (kind == TYPE_INTEGER)
            ((int32_t *)made.data)[i] = (int32_t)i * 31 - 77;
        else
            ((cell_text *)made.data)[i] =
                text_of(arena_format(arena, "%u a text that is long", i * 37), i % 16);
    for (uint32_t i = 3; with_nulls && i < ROWS; i += 11)
        assert_true(column_set_null(arena, &made, i));
    return made;
}

/* The naive way. */
static uint64_t hash_of(const key_columns *keys, uint32_t row)
{
    text_buffer key;
    text_init(&key, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < keys->n; i++)
        cells_put(&key, keys->columns[i], keys->rows == NULL ? row : keys->rows[row], true);
    const uint64_t hash = keyed_hash(key.bytes, key.length);
    text_release(&key);
    return hash;
}

static void assert_hashes(const key_columns *keys, uint32_t first, uint32_t end,
                          text_buffer *buffer)
{
    uint64_t hashes[KEY_HASHES_MAX];
    uint8_t owners[ROWS];
    memset(owners, 99, sizeof owners);
    const uint32_t n = end - first < KEY_HASHES_MAX ? end - first : KEY_HASHES_MAX;
    key_hashes(keys, first, n, buffer, hashes);
    key_owners(keys, first, end, 5, buffer, owners);
    assert_false(buffer->failed);
    for (uint32_t i = 0; i < n; i++)
        assert_true(hashes[i] == hash_of(keys, first + i));
    for (uint32_t row = 0; row < ROWS; row++)
        assert_int_equal(owners[row],
                         row < first || row >= end ? 99 : keyed_owner(hash_of(keys, row), 5));
}

static void hashes_are_those_of_a_tables_keys(void **state)
{
    (void)state;
    arena *arena = arena_open();
    text_buffer buffer;
    uint32_t rows[ROWS];
    text_init(&buffer, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < ROWS; i++)
        rows[i] = i * 13 % ROWS;
    const column columns[] = {
        make_column(arena, TYPE_BIGINT, false), make_column(arena, TYPE_INTEGER, false),
        make_column(arena, TYPE_BIGINT, true), make_column(arena, TYPE_STRING, true)};
    const column *all[] = {&columns[0], &columns[1], &columns[2], &columns[3]};
    for (uint32_t first = 0; first < 4; first++)
        for (uint32_t n = 1; first + n <= 4; n++)
            for (int by_rows = 0; by_rows < 2; by_rows++) {
                const key_columns keys = {all + first, n, by_rows ? rows : NULL};
                assert_hashes(&keys, 0, ROWS, &buffer);
                assert_hashes(&keys, 3, 4, &buffer);
                assert_hashes(&keys, 100, 100 + KEY_HASHES_MAX, &buffer);
            }
    text_release(&buffer);
    arena_close(arena);
}

/* A key that the buffer cannot take, though it can take those behind it. */
static void a_failure_stays(void **state)
{
    (void)state;
    arena *arena = arena_open();
    const column texts = make_column(arena, TYPE_STRING, false);
    const column *columns[] = {&texts};
    const key_columns keys = {columns, 1, NULL};
    uint64_t hashes[KEY_HASHES_MAX];
    uint8_t owners[ROWS];
    text_buffer buffer;
    text_init(&buffer, 12); /* of 7 letters */
    key_hashes(&keys, 16, 8, &buffer, hashes);
    assert_false(buffer.failed);
    key_hashes(&keys, 0, 1 + 15 + 8, &buffer, hashes);
    assert_true(buffer.failed);
    key_hashes(&keys, 16, 8, &buffer, hashes);
    assert_true(buffer.failed);
    key_owners(&keys, 16, 16 + 8, 5, &buffer, owners);
    assert_false(buffer.failed);
    key_owners(&keys, 0, ROWS - ROWS % 16 + 8, 5, &buffer, owners);
    assert_true(buffer.failed);
    text_release(&buffer);
    arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hashes_are_those_of_a_tables_keys),
                                       cmocka_unit_test(a_failure_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
