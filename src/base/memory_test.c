/* memory_test.c - counted memory, and arrays that grow: the same three ways. */
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"

static void what_is_taken_is_counted(void **state)
{
    (void)state;
    memory counted = {.fail_after = 1};
    void *a = memory_take(&counted, 100);
    assert_non_null(a);
    assert_null(memory_take(&counted, 50)); /* the second fails, and all behind it */
    assert_null(memory_take(&counted, 50));
    assert_int_equal(counted.bytes, 100);
    memory_give(&counted, NULL, 77);
    memory_give(&counted, a, 100);
    assert_int_equal(counted.bytes, 0);
}

/* Whether a block has room is the C library's affair; what is counted is not. */
static void a_block_gets_another_size(void **state)
{
    (void)state;
    memory counted = {.fail_after = -1};
    char *block = memory_take(&counted, 100);
    assert_non_null(block);
    assert_true(memory_refit(&counted, block, 100, 60));
    assert_int_equal(counted.bytes, 60);
    assert_true(memory_refit(&counted, block, 60, 100));
    assert_int_equal(counted.bytes, 100);
    assert_false(memory_refit(&counted, block, 100, 5000)); /* no room */
    assert_false(memory_refit(&counted, block, 100, 49));   /* far too much */
    assert_false(memory_refit(&counted, NULL, 0, 1));
    assert_int_equal(counted.bytes, 100);
    memory_give(&counted, block, 100);
    assert_int_equal(counted.bytes, 0);
}

typedef bool reserve(void *context, void *items, uint32_t *capacity, uint64_t n, size_t size);

static bool by_memory(void *context, void *items, uint32_t *capacity, uint64_t n, size_t size)
{
    return memory_reserve(context, items, capacity, n, size);
}

static bool by_malloc(void *context, void *items, uint32_t *capacity, uint64_t n, size_t size)
{
    (void)context;
    return array_reserve(items, capacity, n, size);
}

static bool by_arena(void *context, void *items, uint32_t *capacity, uint64_t n, size_t size)
{
    return arena_reserve(context, items, capacity, n, size);
}

/* Numbers one by one, then many at once: all stay, and there are few moves. */
static uint64_t *grow(reserve *reserve, void *context, uint32_t *capacity)
{
    uint64_t *items = NULL;
    uint32_t n_moves = 0;
    *capacity = 0;
    for (uint64_t i = 0; i < 3000; i++) {
        const uint32_t before = *capacity;
        assert_true(reserve(context, &items, capacity, i + 1, sizeof *items));
        n_moves += *capacity != before;
        items[i] = i;
    }
    assert_in_range(n_moves, 5, 9);
    assert_true(reserve(context, &items, capacity, 20000, sizeof *items));
    assert_in_range(*capacity, 20000, 39999);
    for (uint64_t i = 0; i < 3000; i++)
        assert_int_equal(items[i], i);
    return items;
}

static void arrays_grow(void **state)
{
    (void)state;
    memory counted = {.fail_after = -1};
    uint32_t capacity;
    uint64_t *items = grow(by_memory, &counted, &capacity);
    assert_int_equal(counted.bytes, capacity * sizeof *items);
    memory_give(&counted, items, capacity * sizeof *items);
    assert_int_equal(counted.bytes, 0);
    free(grow(by_malloc, NULL, &capacity));
    arena *arena = arena_open();
    grow(by_arena, arena, &capacity);
    arena_close(arena);
}

static void without_room_they_stay_as_they_were(void **state)
{
    (void)state;
    memory counted = {.fail_after = 1};
    uint64_t *items = NULL;
    uint32_t capacity = 0;
    assert_true(memory_reserve(&counted, &items, &capacity, 1, sizeof *items));
    const uint64_t *before = items;
    const uint32_t had = capacity;
    items[0] = 7;
    assert_false(memory_reserve(&counted, &items, &capacity, had + 1, sizeof *items));
    assert_false(array_reserve(&items, &capacity, UINT32_MAX + UINT64_C(1), 1));
    assert_ptr_equal(items, before);
    assert_int_equal(capacity, had);
    assert_int_equal(items[0], 7);
    memory_give(&counted, items, capacity * sizeof *items);
    arena *arena = arena_open();
    void *none = NULL;
    capacity = 0;
    assert_false(arena_reserve(arena, &none, &capacity, UINT32_MAX + UINT64_C(1), 1));
    assert_null(none);
    arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken_is_counted),
        cmocka_unit_test(a_block_gets_another_size),
        cmocka_unit_test(arrays_grow),
        cmocka_unit_test(without_room_they_stay_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
