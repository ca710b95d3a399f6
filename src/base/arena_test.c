/* arena_test.c - memory with a lifespan. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void allocations_are_aligned_and_apart(void **state)
{
    (void)state;
    arena *arena = arena_open();
    unsigned char *before = NULL;
    for (size_t size = 0; size < 5000; size += 37) {
        unsigned char *at = arena_alloc(arena, size);
        assert_non_null(at);
        assert_int_equal((uintptr_t)at % 16, 0);
        memset(at, (int)(size & 0xFF), size);
        if (before != NULL && size >= 74)
            assert_int_equal(before[0], (size - 37) & 0xFF);
        before = at;
    }
    arena_close(arena);
}

static void reset_keeps_the_largest_block(void **state)
{
    (void)state;
    arena *arena = arena_open();
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(arena, 10000));
    arena_reset(arena);
    size_t held = arena_held(arena);
    assert_true(held >= 10000);
    for (int round = 0; round < 50; round++) {
        assert_non_null(arena_alloc(arena, 10000));
        arena_reset(arena);
    }
    assert_int_equal(arena_held(arena), held);
    arena_close(arena);
    arena_close(NULL);
}

static void a_rewind_keeps_all_blocks(void **state)
{
    (void)state;
    arena *arena = arena_open();
    size_t held = 0;
    for (int round = 0; round < 5; round++) {
        for (size_t size = 1; size < (size_t)40 << 20; size *= 3)
            memset(arena_alloc(arena, size), round, size);
        memset(arena_alloc(arena_branch(arena, 1), 100000), round, 100000);
        assert_true(round == 0 || arena_held(arena) == held);
        held = arena_held(arena);
        arena_rewind(arena);
        assert_int_equal(arena_held(arena), held);
    }
    assert_non_null(arena_alloc(arena, 10));
    arena_rewind(arena);
    assert_non_null(arena_alloc(arena, (size_t)60 << 20)); /* none of them is so large */
    assert_true(arena_held(arena) > held);
    arena_rewind(arena);
    arena_reset(arena);
    assert_non_null(arena_alloc(arena, 10));
    arena_reset(arena);
    assert_true(arena_held(arena) < held);
    arena_close(arena);
}

static void grow_keeps_what_was_there(void **state)
{
    (void)state;
    arena *arena = arena_open();
    char *text = arena_grow(arena, NULL, 0, 4);
    memcpy(text, "abc", 4);
    char *same = arena_grow(arena, text, 4, 64); /* the last one: in place */
    assert_ptr_equal(same, text);
    assert_non_null(arena_alloc(arena, 1));
    char *moved = arena_grow(arena, same, 64, 1 << 20);
    assert_ptr_not_equal(moved, same);
    assert_string_equal(moved, "abc");
    arena_close(arena);
}

static void too_much_is_an_answer(void **state)
{
    (void)state;
    arena *arena = arena_open();
    assert_false(arena_failed(arena));
    assert_null(arena_alloc(arena, SIZE_MAX / 2));
    assert_true(arena_failed(arena));
    assert_null(arena_zero(arena, SIZE_MAX / 2, 4));
    assert_non_null(arena_alloc(arena, 10));
    arena_close(arena);
}

static void texts(void **state)
{
    (void)state;
    arena *arena = arena_open();
    assert_string_equal(arena_format(arena, "%d-%s", 7, "x"), "7-x");
    assert_string_equal(arena_copy(arena, "abcdef", 3), "abc");
    assert_null(arena_text(arena, NULL));
    arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(reset_keeps_the_largest_block),
        cmocka_unit_test(a_rewind_keeps_all_blocks),
        cmocka_unit_test(grow_keeps_what_was_there),
        cmocka_unit_test(too_much_is_an_answer),
        cmocka_unit_test(texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
