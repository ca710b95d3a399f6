/* text_test.c - buffers with a limit, JSON strings, dates and numbers as text, near words. */
#include "base/text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void the_limit_holds(void **state)
{
    (void)state;
    text_buffer text;
    text_init(&text, 10);
    assert_true(text_append(&text, "0123456789", 10));
    assert_false(text_append_char(&text, 'x'));
    assert_true(text.failed);
    assert_int_equal(text.length, 10);
    assert_false(text_append(&text, "", 0)); /* stays failed */
    text_reset(&text);
    assert_true(text_format(&text, "%s", "again"));
    assert_string_equal(text.bytes, "again");
    text_release(&text);
}

static void what_is_kept_outlives_the_buffer(void **state)
{
    (void)state;
    arena *arena = arena_open();
    text_buffer text;
    text_init(&text, 10);
    text_append_c(&text, "kept");
    const char *kept = text_keep(&text, arena);
    assert_null(text.bytes);
    assert_string_equal(kept, "kept");
    assert_string_equal(text_keep(&text, arena), "");
    text_append_c(&text, "eleven more");
    assert_null(text_keep(&text, arena));
    arena_close(arena);
}

static void json_strings(void **state)
{
    (void)state;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    const char bytes[] = "a\"\\\n\t\x01\xC3\xA9\xFF\xED\xA0\x80z";
    text_append_json(&text, bytes, sizeof bytes - 1);
    assert_string_equal(text.bytes,
                        "\"a\\\"\\\\\\n\\t\\u0001\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
                        "\xEF\xBF\xBDz\"");
    text_release(&text);
}

static void utf8(void **state)
{
    (void)state;
    assert_true(text_is_utf8("plain ascii text of some length", 31));
    assert_true(text_is_utf8("\xF0\x9F\x98\x80", 4));
    assert_false(text_is_utf8("\xF0\x9F\x98", 3));
    assert_int_equal(text_valid_length("ab\xC3\xA9\xC3 and so on", 15), 4);
    assert_false(text_is_utf8("\xC0\x80", 2));         /* overlong */
    assert_false(text_is_utf8("\xED\xA0\x80", 3));     /* surrogate */
    assert_false(text_is_utf8("\xF4\x90\x80\x80", 4)); /* past U+10FFFF */
    assert_true(text_is_utf8("", 0));
}

static void times_and_numbers(void **state)
{
    (void)state;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_timestamp(&text, 0);
    text_append_char(&text, ' ');
    text_append_timestamp(&text, -1);
    text_append_char(&text, ' ');
    text_append_date(&text, -719528);
    text_append_char(&text, ' ');
    text_append_date(&text, 2932897);
    assert_string_equal(text.bytes, "1970-01-01T00:00:00.000000Z 1969-12-31T23:59:59.999999Z "
                                    "0000-01-01 +10000-01-01");
    static const double values[] = {0.1, 1.0 / 3, 1e300, 5e-324, -0.0, 123456789.0, 1e15, 2.5};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        text_reset(&text);
        text_append_real(&text, values[i], false);
        double back = strtod(text.bytes, NULL);
        assert_memory_equal(&back, &values[i], sizeof back);
    }
    text_reset(&text);
    text_append_base64(&text, "\xFF\x00\x01\x02", 4);
    assert_string_equal(text.bytes, "/wABAg==");
    text_release(&text);
}

/* Beside %g with the fewest digits that read back, which is the same for all that are not
 * subnormal. */
static void reals_are_laid_out_as_by_printf(void **state)
{
    (void)state;
    text_buffer text;
    text_init(&text, 100);
    uint64_t seed = 1;
    for (int i = 0; i < 40000; i++) {
        const bool as_float = i % 2 == 1;
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
        const double power = pow(10, (double)(seed >> 59) - 12);
        double value = (double)(int64_t)(seed << 5) / (i % 3 == 0 ? 1e18 : 1e14) * power;
        value = i % 5 == 0 ? round(value * 100) / 100 : value;
        value = as_float ? (double)(float)value : value;
        const bool is_whole = value == floor(value);
        char expected[64];
        snprintf(expected, sizeof expected, "%.1f", value);
        const int most = as_float && !is_whole ? 9 : 17;
        for (int n = most == 9 ? 6 : 15; n <= most && (!is_whole || fabs(value) >= 1e15); n++) {
            snprintf(expected, sizeof expected, "%.*g", n, value);
            if (most == 9 ? (double)strtof(expected, NULL) == value
                          : strtod(expected, NULL) == value)
                break;
        }
        text_reset(&text);
        assert_true(text_append_real(&text, value, as_float));
        assert_string_equal(text.bytes, expected);
    }
    text_release(&text);
}

static void days_and_back(void **state)
{
    (void)state;
    for (int64_t day = -800000; day < 3000000; day += 97) {
        int64_t year;
        unsigned month, of_month;
        date_civil(day, &year, &month, &of_month);
        assert_int_equal(date_days(year, month, of_month), day);
    }
    assert_int_equal(date_days(2000, 2, 29), 11016);
}

static void near_words(void **state)
{
    (void)state;
    static const char *const words[] = {"readers", "query", "brokers"};
    assert_string_equal(text_nearest("reders", words, 3), "readers");
    assert_string_equal(text_nearest("qurey", words, 3), "query");
    assert_string_equal(text_nearest("QUERY", words, 3), "query");
    assert_null(text_nearest("zzz", words, 3));
}

static void errors_are_cut_at_characters(void **state)
{
    (void)state;
    freshet_error err = {0};
    char longer[2000];
    for (size_t i = 0; i + 2 < sizeof longer; i += 2)
        memcpy(longer + i, "\xC3\xA9", 2);
    longer[1998] = '\0';
    assert_int_equal(error_set(&err, FRESHET_FAILED, FRESHET_STOP, "x", "y%s", longer),
                     FRESHET_FAILED);
    assert_true(text_is_utf8(err.text, strlen(err.text)));
    assert_string_equal(err.text + strlen(err.text) - 3, "...");
    /* An argument may be the error's own text. */
    error_set(&err, FRESHET_FAILED, FRESHET_STOP, NULL, "first");
    error_set(&err, FRESHET_FAILED, FRESHET_STOP, err.at, "second after %s", err.text);
    assert_string_equal(err.text, "second after first");
    assert_int_equal(error_set(NULL, FRESHET_LIMIT, FRESHET_STOP, NULL, "x"), FRESHET_LIMIT);
}

static void base64_goes_and_comes_back(void **state)
{
    (void)state;
    const unsigned char bytes[] = {0xFF, 0, 1, 0x7F, 0x80, 'a', 0, 0xFE};
    for (size_t n = 0; n <= sizeof bytes; n++) {
        text_buffer text;
        text_init(&text, 100);
        assert_true(text_append_base64(&text, bytes, n) && text_append_c(&text, ""));
        size_t length = text.length;
        assert_true(text_from_base64(text.bytes, &length));
        assert_int_equal(length, n);
        assert_memory_equal(text.bytes, bytes, n);
        text_release(&text);
    }
    char cut[] = "/wABA", strange[] = "/wA*";
    size_t length = 5;
    assert_false(text_from_base64(cut, &length));
    length = 4;
    assert_false(text_from_base64(strange, &length));
    assert_int_equal(length, 2); /* up to there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_goes_and_comes_back),
        cmocka_unit_test(the_limit_holds),
        cmocka_unit_test(what_is_kept_outlives_the_buffer),
        cmocka_unit_test(json_strings),
        cmocka_unit_test(utf8),
        cmocka_unit_test(times_and_numbers),
        cmocka_unit_test(reals_are_laid_out_as_by_printf),
        cmocka_unit_test(days_and_back),
        cmocka_unit_test(near_words),
        cmocka_unit_test(errors_are_cut_at_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
