/* key_order_test.c - rows of one key stand near each other, and keep their order. */
#include "windows/key_order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/random_testing.h"

#define ROWS 4000u
#define KEYS 200u

static arena *rows_arena;

static int set_up(void **state)
{
    (void)state;
    rows_arena = arena_open();
    return rows_arena == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    arena_close(rows_arena);
    return 0;
}

static column new_column(const type *type)
{
    column column;
    assert_int_equal(column_init(rows_arena, &column, type, ROWS, NULL), FRESHET_OK);
    return column;
}

/* Each row once; rows of a key in their order. How often the key changes from row to row. */
static uint32_t check_order(const uint32_t *order, const uint32_t *key)
{
    static bool seen[ROWS];
    static uint32_t last[KEYS];
    uint32_t changes = 0;
    memset(seen, 0, sizeof seen);
    memset(last, 0, sizeof last);
    for (uint32_t i = 0; i < ROWS; i++) {
        const uint32_t row = order[i];
        assert_true(row < ROWS && !seen[row]);
        assert_true(row + 1 > last[key[row]]);
        seen[row] = true;
        last[key[row]] = row + 1;
        changes += i == 0 || key[row] != key[order[i - 1]];
    }
    return changes;
}

static void draw_keys(uint64_t seed, uint32_t *key)
{
    uint64_t random = seed;
    for (uint32_t row = 0; row < ROWS; row++)
        key[row] = (uint32_t)random_draw(&random, KEYS);
}

static void rows_of_a_number_stand_together(void **state)
{
    (void)state;
    static uint32_t key[ROWS];
    column numbers = new_column(type_simple(TYPE_BIGINT));
    const uint32_t *order;
    draw_keys(1, key);
    for (uint32_t row = 0; row < ROWS; row++)
        ((int64_t *)numbers.data)[row] = key[row];
    assert_int_equal(key_order_make(&numbers, 1, ROWS, rows_arena, &order, NULL), FRESHET_OK);
    assert_in_range(check_order(order, key), KEYS, 4 * KEYS);
}

/* What lies in a cell that is null is nobody's business: all nulls are one key. */
static void nulls_are_one_key(void **state)
{
    (void)state;
    static uint32_t key[ROWS];
    column numbers = new_column(type_simple(TYPE_INTEGER)),
           texts = new_column(type_simple(TYPE_STRING));
    const uint32_t *order;
    draw_keys(2, key);
    for (uint32_t row = 0; row < ROWS; row++) {
        const char *text = arena_format(rows_arena, "a key of many letters, %u", key[row]);
        ((int32_t *)numbers.data)[row] = (int32_t)row;
        assert_true(column_set_null(rows_arena, &numbers, row));
        ((int32_t *)numbers.data)[row] = (int32_t)row;
        ((cell_text *)texts.data)[row] = text_of(text, (uint32_t)strlen(text));
    }
    const column keys[] = {numbers, texts};
    assert_int_equal(key_order_make(keys, 2, ROWS, rows_arena, &order, NULL), FRESHET_OK);
    assert_in_range(check_order(order, key), KEYS, 4 * KEYS);
}

/* 0.0 and -0.0 are equal keys of other bytes. */
static void doubles_tell_no_keys(void **state)
{
    (void)state;
    column doubles = new_column(type_simple(TYPE_DOUBLE));
    const uint32_t *order;
    assert_int_equal(key_order_make(&doubles, 1, ROWS, rows_arena, &order, NULL), FRESHET_OK);
    assert_null(order);
}

/* Outputs stand in the order, and go back into that of the rows: but not what is in their lists. */
static void lists_go_back_and_stay_where_they_are(void **state)
{
    (void)state;
    uint32_t order[ROWS];
    field output = {.name = "list", .type = type_array(rows_arena, type_simple(TYPE_BIGINT))};
    windows_plan plan = {.outputs = {1, &output}};
    const schema nothing = {0, NULL};
    column list = new_column(output.type);
    windows_result result = {.outputs = &list};
    assert_int_equal(column_reserve(rows_arena, &list.children[0], ROWS, NULL), FRESHET_OK);
    const void *elements = list.children[0].data;
    list.n_elements = ROWS;
    for (uint32_t i = 0; i < ROWS; i++) {
        order[i] = ROWS - 1 - i;
        ((cell_span *)list.data)[i] = (cell_span){.offset = i, .length = 1};
        ((int64_t *)list.children[0].data)[i] = order[i];
    }
    assert_int_equal(key_order_undo(&plan, &nothing, order, ROWS, rows_arena, &result, NULL),
                     FRESHET_OK);
    assert_ptr_equal(list.children[0].data, elements);
    for (uint32_t row = 0; row < ROWS; row++) {
        const cell_span *span = (const cell_span *)list.data + row;
        assert_int_equal(span->length, 1);
        assert_int_equal(((const int64_t *)elements)[span->offset], row);
    }
}

static void it_serves_long_keys_that_come_again(void **state)
{
    (void)state;
    assert_true(key_order_serves(8192, 1000, 2000000));
    assert_false(key_order_serves(8192, 100000, 200000000)); /* hardly a key twice */
    assert_false(key_order_serves(8192, 1000, 20000));       /* little of each */
    assert_false(key_order_serves(8192, 1, 2000000));
    assert_false(key_order_serves(0, 0, 0));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(rows_of_a_number_stand_together),
        TEST(nulls_are_one_key),
        TEST(doubles_tell_no_keys),
        TEST(lists_go_back_and_stay_where_they_are),
        TEST(it_serves_long_keys_that_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
