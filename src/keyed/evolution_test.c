/* Verdicts: copied, counted, found by kind; out of memory is noted. */
#include "keyed/evolution.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void they_are_copied_and_counted(void **state)
{
    (void)state;
    evolution evolution = {.arena = arena_open()};
    char subject[] = "feature \"big\"";
    assert_null(evolution_first(&evolution, VERDICT_REFUSED));
    for (int i = 0; i < 100; i++)
        evolution_say(&evolution, "windows", i % 2 == 0 ? VERDICT_NULL : VERDICT_FROM_NOW, NULL,
                      subject, "is new, number %d", i);
    subject[0] = 'X';
    evolution_say(&evolution, "", VERDICT_REFUSED, NULL, "", "cannot be");
    assert_false(evolution.no_memory);
    assert_int_equal(evolution.n, 101);
    assert_int_equal(evolution.counts[VERDICT_NULL], 50);
    assert_int_equal(evolution.counts[VERDICT_FROM_NOW], 50);
    assert_string_equal(evolution.items[7].subject, "feature \"big\"");
    assert_string_equal(evolution.items[7].said, "is new, number 7");
    assert_ptr_equal(evolution_first(&evolution, VERDICT_FROM_NOW), &evolution.items[1]);
    assert_ptr_equal(evolution_first(&evolution, VERDICT_REFUSED), &evolution.items[100]);
    arena_close(evolution.arena);
}

/* A sentence longer than there is room for is cut, and nothing else. */
static void a_long_one_is_cut(void **state)
{
    (void)state;
    evolution evolution = {.arena = arena_open()};
    char longer[5000];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    evolution_say(&evolution, longer, VERDICT_SERVED, NULL, longer, "%s", longer);
    assert_int_equal(evolution.n, 1);
    assert_int_equal(strlen(evolution.items[0].subject), sizeof longer - 1);
    assert_in_range(strlen(evolution.items[0].said), 500, 2000);
    arena_close(evolution.arena);
}

static void each_kind_has_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < VERDICT_KINDS; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(verdict_words[i], verdict_words[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_copied_and_counted),
        cmocka_unit_test(a_long_one_is_cut),
        cmocka_unit_test(each_kind_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
