/* cassandra_pace_test.c - the window grows by what is confirmed, and is halved once for all rows
 * that were sent together. */
#include "writers/cassandra/cassandra_pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Rows know the epoch in which they were sent: what fails with those that have failed already says
 * nothing new. */
static void rows_sent_together_fail_once(void **state)
{
    pace pace;
    (void)state;
    pace_init(&pace, 1000, 1);
    assert_int_equal(pace.window, PACE_WINDOW_FIRST);
    const uint64_t first = pace.epoch;
    pace_failed(&pace, first, 100);
    const int64_t paused_until_us = pace.paused_until_us;
    for (int row = 1; row < 64; row++)
        pace_failed(&pace, first, 100 + row);
    assert_int_equal(pace.window, PACE_WINDOW_FIRST / 2);
    assert_int_equal(pace.failures, 1);
    assert_int_equal(pace.paused_until_us, paused_until_us);
    assert_int_not_equal(pace.epoch, first);
    const uint64_t second = pace.epoch; /* rows that were sent afterwards say more */
    pace_failed(&pace, second, 1000);
    pace_failed(&pace, second, 1000);
    pace_failed(&pace, first, 1000);
    assert_int_equal(pace.window, PACE_WINDOW_FIRST / 4);
    assert_int_equal(pace.failures, 2);
}

static void nothing_is_sent_until_the_pause_is_over(void **state)
{
    pace pace;
    (void)state;
    pace_init(&pace, 1000, 1);
    assert_int_equal(pace_room(&pace, 10, 0), PACE_WINDOW_FIRST - 10);
    pace_failed(&pace, pace.epoch, 0);
    assert_in_range(pace.paused_until_us, PACE_BACKOFF_FIRST_US / 2, PACE_BACKOFF_FIRST_US);
    assert_int_equal(pace_room(&pace, 0, pace.paused_until_us - 1), 0);
    assert_int_equal(pace_room(&pace, 0, pace.paused_until_us), PACE_WINDOW_FIRST / 2);
    pace_confirmed(&pace, 1, 10, 5); /* it is up again */
    assert_true(pace_room(&pace, 0, 5) > 0);
    assert_int_equal(pace.failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_sent_together_fail_once),
        cmocka_unit_test(nothing_is_sent_until_the_pause_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
