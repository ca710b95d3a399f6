/* Rates, counts in words, the lines and the parts of the status line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/progress.h"

static void test_rate(void **state)
{
    (void)state;
    rate rate = {.n = 0};
    assert_true(rate_per_second(&rate) == 0.0);
    rate_add(&rate, 1000000, 0);
    assert_true(rate_per_second(&rate) == 0.0);
    rate_add(&rate, 1500000, 50);
    assert_true(rate_per_second(&rate) == 100.0);
    rate_add(&rate, 1500000, 50);
    /* a burst is forgotten after RATE_SAMPLES samples */
    for (uint32_t i = 0; i < RATE_SAMPLES; i++)
        rate_add(&rate, 2000000 + i * 1000000, 50);
    assert_true(rate_per_second(&rate) == 0.0);
    assert_int_equal(rate.n, RATE_SAMPLES);
}

static void assert_count(int64_t count, const char *expected)
{
    text_buffer text;
    text_init(&text, 64);
    text_append_count(&text, count);
    assert_string_equal(text.bytes, expected);
    text_release(&text);
}

static void assert_bytes(int64_t bytes, const char *expected)
{
    text_buffer text;
    text_init(&text, 64);
    text_append_bytes(&text, bytes);
    assert_string_equal(text.bytes, expected);
    text_release(&text);
}

static void test_counts(void **state)
{
    (void)state;
    assert_count(0, "0");
    assert_count(999, "999");
    assert_count(1000, "1,000");
    assert_count(27004, "27,004");
    assert_count(1234567, "1,234,567");
    assert_count(-123456, "-123,456");
    assert_count(INT64_MIN, "-9,223,372,036,854,775,808");
    assert_bytes(0, "0 B");
    assert_bytes(999, "999 B");
    assert_bytes(1000, "1.0 kB");
    assert_bytes(999949, "999.9 kB");
    assert_bytes(999950, "1.0 MB");
    assert_bytes(3100000, "3.1 MB");
    assert_bytes(INT64_MAX, "9.2 EB");
}

static void test_line(void **state)
{
    (void)state;
    counts counts = {.read = 27004,
                     .written = 27000,
                     .dead = 4,
                     .newest_event_us = 1357016400000000,
                     .lag_bytes = 0};
    text_buffer text;
    text_init(&text, 1024);
    progress_line(&counts, 81234.9, &text);
    assert_string_equal(text.bytes, "27,004 rows read, 81,234 rows/s, newest event "
                                    "2013-01-01 05:00:00, lag 0 B, 4 dead letters");
    text_reset(&text);
    counts = (struct counts){.read = 1, .dead = 1, .newest_event_us = INT64_MIN, .lag_bytes = -1};
    progress_line(&counts, 0.0, &text);
    assert_string_equal(text.bytes, "1 row read, 0 rows/s, 1 dead letter");
    text_reset(&text);
    counts.batch_rows = 20000;
    counts.batch_left = 5000;
    progress_line(&counts, 0.0, &text);
    assert_string_equal(text.bytes, "1 row read, 0 rows/s, computed 15,000 of 20,000 rows, "
                                    "1 dead letter");
    text_release(&text);
}

static void test_parts(void **state)
{
    (void)state;
    counts counts = {.read = 2000,
                     .newest_event_us = INT64_MIN,
                     .lag_bytes = 5,
                     .table_rows = 1000,
                     .table_trimmed = 1000};
    text_buffer text;
    text_init(&text, 1024);
    progress_parts(&counts, 1.0, &text);
    static const char expected[] = "2,000 rows\0"
                                   "1 rows/s\0"
                                   "lag 5 B\0"
                                   "0 dead letters\0"
                                   "table full at 1,000 rows";
    assert_int_equal(text.length, sizeof expected);
    assert_memory_equal(text.bytes, expected, sizeof expected);
    text_release(&text);
}

static void test_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(exit_code(FRESHET_OK), 0);
    assert_int_equal(exit_code(FRESHET_FAILED), 1);
    assert_int_equal(exit_code(FRESHET_USAGE), 2);
    assert_int_equal(exit_code(FRESHET_NO_MEMORY), 1);
    assert_int_equal(exit_code(FRESHET_LIMIT), 1);
    assert_int_equal(exit_code(FRESHET_END), 1);
    assert_int_equal(exit_code(FRESHET_TRY_AGAIN), 75);
    assert_int_equal(exit_code(FRESHET_BAD_DECLARATION), 78);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate),       cmocka_unit_test(test_counts),
        cmocka_unit_test(test_line),       cmocka_unit_test(test_parts),
        cmocka_unit_test(test_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
