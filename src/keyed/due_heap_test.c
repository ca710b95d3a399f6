/* due_heap_test.c - what is due, against a list that is searched. */
#include "base/random_testing.h"
#include "keyed/due_heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define STEPS 20000
#define LIST_MAX 400u

/* The place of the earliest of the list, of equal times that with the smallest item. */
static uint32_t earliest(const due *list, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (list[i].at < list[best].at ||
            (list[i].at == list[best].at && list[i].item < list[best].item))
            best = i;
    return best;
}

static void comes_as_from_a_list(void **state)
{
    (void)state;
    memory counted = {.fail_after = -1};
    due_heap heap = {0};
    due list[LIST_MAX];
    uint32_t n = 0;
    for (int step = 0; step < STEPS; step++) {
        const int64_t now = (int64_t)random_below(60) - 30;
        if (n < LIST_MAX && random_below(100) < (step / 2000 % 2 == 0 ? 60u : 40u)) {
            list[n] = (due){(int64_t)random_below(60) - 30, random_below(1000)};
            assert_true(due_heap_push(&heap, &counted, list[n].at, list[n].item));
            n++;
        } else if (n > 0) {
            const uint32_t first = earliest(list, n);
            const due *due = due_heap_first(&heap, now);
            assert_int_equal(due != NULL, list[first].at <= now);
            const struct due taken = due_heap_pop(&heap);
            assert_int_equal(taken.at, list[first].at);
            assert_int_equal(taken.item, list[first].item);
            list[first] = list[--n];
        }
        assert_int_equal(heap.n, n);
    }
    due_heap_release(&heap, &counted);
    assert_int_equal(counted.bytes, 0);
}

static void without_memory_it_stays_as_it_was(void **state)
{
    (void)state;
    memory counted = {.fail_after = -1};
    due_heap heap = {0};
    assert_null(due_heap_first(&heap, INT64_MAX));
    assert_true(due_heap_reserve(&heap, &counted, 100));
    counted.fail_after = 0;
    uint32_t n = 0;
    while (due_heap_push(&heap, &counted, -(int64_t)n, n))
        n++;
    assert_in_range(n, 100, 200); /* what was reserved was there */
    counted.fail_after = -1;
    for (uint32_t i = n; i-- > 0;)
        assert_int_equal(due_heap_pop(&heap).item, i);
    due_heap_release(&heap, &counted);
    assert_int_equal(counted.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_as_from_a_list),
        cmocka_unit_test(without_memory_it_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
