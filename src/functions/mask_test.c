/* Masks: both ways of writing them, what matches and what does not, what is refused and why; and
 * random times written by strftime, read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"
#include "functions/mask.h"

#define NOT "does not match"

static int set_up(void **state)
{
    *state = arena_open();
    return *state == NULL;
}

static int tear_down(void **state)
{
    arena_close(*state);
    return 0;
}

static void check(arena *arena, const char *written, const char *text, const char *expected)
{
    freshet_error err = {0};
    mask *mask;
    if (mask_compile(arena, written, MASK_TIMESTAMP, &mask, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    text_buffer got;
    text_init(&got, TEXT_LIMIT_DEFAULT);
    int64_t time_us = 42;
    if (mask_read(mask, text, strlen(text), &time_us)) {
        text_append_timestamp(&got, time_us);
    } else {
        assert_int_equal(time_us, 42);
        text_append_c(&got, NOT);
    }
    if (strcmp(got.bytes, expected) != 0)
        fail_msg("mask %s, text %s: %s, not %s", written, text, got.bytes, expected);
    text_release(&got);
}

static void test_java(void **state)
{
    static const char *const examples[][3] = {
        {"yyyy-MM-dd HH:mm:ss", "2024-05-01 12:30:45", "2024-05-01T12:30:45.000000Z"},
        {"yyyy-MM-dd HH:mm:ss", "2024-05-01 12:30", NOT},
        {"yyyy-MM-dd HH:mm:ss", "2024-5-1 1:2:3", NOT},
        {"yyyy-MM-dd HH:mm:ss", "2024-05-01 12:30:45.678", NOT},
        {"yyyy-MM-dd HH:mm:ss", " 2024-05-01 12:30:45", NOT},
        {"yyyy-MM-dd HH:mm:ss", "2024-05-01 12:30:45 ", NOT},
        {"yyyy-MM-dd HH:mm:ss", "", NOT},
        {"yyyy-MM-dd HH:mm:ss", "2024-02-30 00:00:00", NOT},
        {"yyyy-MM-dd HH:mm:ss", "2024-05-01 24:00:00", NOT},
        {"yyyy-MM-dd HH:mm:ss", "2024-05-01 23:60:00", NOT},
        {"yyyy-MM-dd HH:mm:ss", "2024-05-01 23:00:60", NOT},
        {"dd/MM/yyyy", "31/12/2023", "2023-12-31T00:00:00.000000Z"},
        {"dd/MM/yyyy", "1/5/2024", NOT},
        {"dd/MM/yyyy", "32/01/2024", NOT},
        {"dd/MM/yyyy", "29/02/2023", NOT},
        {"dd/MM/yyyy", "29/02/2024", "2024-02-29T00:00:00.000000Z"},
        {"yyyy-M-d H:m:s", "2024-5-1 1:2:3", "2024-05-01T01:02:03.000000Z"},
        {"yyyy-M-d H:m:s", "2024-05-01 12:30:45", "2024-05-01T12:30:45.000000Z"},
        {"yyyy", "2024", "2024-01-01T00:00:00.000000Z"},
        {"yyyy", "12024", NOT},
        {"yyyy", "+12024", "+12024-01-01T00:00:00.000000Z"},
        {"yyyy", "+2024", NOT},
        {"yyyy", "-0044", "-0044-01-01T00:00:00.000000Z"},
        {"yyyy", "+290308", "+290308-01-01T00:00:00.000000Z"},
        {"yyyy", "+294248", NOT},
        {"yyyyMMdd", "20240501", "2024-05-01T00:00:00.000000Z"},
        {"yyyyMMddHHmmssSSS", "20240501123045678", "2024-05-01T12:30:45.678000Z"},
        {"yMMdd", "20240501", "2024-05-01T00:00:00.000000Z"},
        {"yy-MM-dd", "69-05-01", "2069-05-01T00:00:00.000000Z"},
        {"yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2024-05-01T12:30:45.678+03:00",
         "2024-05-01T09:30:45.678000Z"},
        {"yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2024-05-01t12:30:45.6Z", "2024-05-01T12:30:45.600000Z"},
        {"yyyy-MM-dd'T'HH:mm:ss.SSS", "2024-05-01T12:30:45.6789", NOT},
        {"yyyy-MM-dd'T'HH:mm:ss.SSS", "2024-05-01T12:30:45.", NOT},
        {"yyyy-MM-dd HH:mm:ss.SSSSSSSSS", "2024-05-01 12:30:45.123456789",
         "2024-05-01T12:30:45.123456Z"},
        {"yyyy-MM-dd HH:mm:ssX", "2024-05-01 12:30:45-0330", "2024-05-01T16:00:45.000000Z"},
        {"yyyy-MM-dd HH:mm:ssx", "2024-05-01 12:30:45Z", NOT},
        {"yyyy-MM-dd HH:mm:ssZ", "2024-05-01 12:30:45+1900", NOT},
        {"yyyy-MM-dd HH:mm:ss z", "2024-05-01 12:30:45 UTC", "2024-05-01T12:30:45.000000Z"},
        {"yyyy-MM-dd HH:mm:ss ZZZZ", "2024-05-01 12:30:45 GMT-02:00",
         "2024-05-01T14:30:45.000000Z"},
        {"dd MMM yyyy", "01 may 2024", "2024-05-01T00:00:00.000000Z"},
        {"dd MMM yyyy", "01 Mai 2024", NOT},
        {"d MMMM yyyy", "1 September 2024", "2024-09-01T00:00:00.000000Z"},
        {"EEE, d MMM yyyy", "Wed, 1 May 2024", "2024-05-01T00:00:00.000000Z"},
        {"EEE, d MMM yyyy", "Thu, 1 May 2024", NOT},
        {"yyyy-MM-dd h:mm a", "2024-05-01 12:05 AM", "2024-05-01T00:05:00.000000Z"},
        {"yyyy-MM-dd h:mm a", "2024-05-01 12:05 pm", "2024-05-01T12:05:00.000000Z"},
        {"yyyy-MM-dd h:mm a", "2024-05-01 13:05 pm", NOT},
        {"yyyy-MM-dd h:mm a", "2024-05-01 0:05 pm", NOT},
        {"yyyy-MM-dd K a", "2024-05-01 11 PM", "2024-05-01T23:00:00.000000Z"},
        {"yyyy-MM-dd kk", "2024-05-01 24", "2024-05-01T00:00:00.000000Z"},
        {"yyyy-DDD", "2024-366", "2024-12-31T00:00:00.000000Z"},
        {"yyyy-DDD", "2023-366", NOT},
        {"yyyy-D", "2023-1", "2023-01-01T00:00:00.000000Z"},
        {"'year' yyyy", "YEAR 2024", "2024-01-01T00:00:00.000000Z"},
        {"yyyy ''MM''", "2024 '05'", "2024-05-01T00:00:00.000000Z"},
        {"yyyy 'o''clock'", "2024 o'clock", "2024-01-01T00:00:00.000000Z"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        check(*state, examples[i][0], examples[i][1], examples[i][2]);
}

static void test_strptime(void **state)
{
    static const char *const examples[][3] = {
        {"%Y-%m-%d %H:%M:%S", "2024-05-01 12:30:45", "2024-05-01T12:30:45.000000Z"},
        {"%Y-%m-%d %H:%M:%S", "2024-5-1 1:2:3", "2024-05-01T01:02:03.000000Z"},
        {"%Y-%m-%d %H:%M:%S", "2024-05-01   12:30:45", "2024-05-01T12:30:45.000000Z"},
        {"%Y-%m-%d %H:%M:%S", "2024-05-0112:30:45", NOT},
        {"%Y-%m-%d %H:%M:%S", "2024-05-01 12:30:45.5", NOT},
        {"%Y-%m-%dT%H:%M:%S.%fZ", "2024-05-01T12:30:45.5Z", "2024-05-01T12:30:45.500000Z"},
        {"%Y-%m-%dT%H:%M:%S.%fZ", "2024-05-01T12:30:45.123456789Z", "2024-05-01T12:30:45.123456Z"},
        {"%Y%m%d%H%M%S", "20240501123045", "2024-05-01T12:30:45.000000Z"},
        {"%Y-%m-%d %H:%M:%S%z", "2024-05-01 12:30:45+0330", "2024-05-01T09:00:45.000000Z"},
        {"%Y-%m-%d %H:%M:%S%z", "2024-05-01 12:30:45-03", "2024-05-01T15:30:45.000000Z"},
        {"%Y-%m-%d %H:%M:%S%z", "2024-05-01 12:30:45+03:30:15", "2024-05-01T09:00:30.000000Z"},
        {"%Y-%m-%d %H:%M:%S%z", "2024-05-01 12:30:45+3", NOT},
        {"%Y-%m-%d %H:%M:%S%z", "2024-05-01 12:30:45", NOT},
        {"%Y-%m-%d %Z", "2024-05-01 gmt", "2024-05-01T00:00:00.000000Z"},
        {"%Y-%m-%d %Z", "2024-05-01 CET", NOT},
        {"%d/%b/%y", "01/May/68", "2068-05-01T00:00:00.000000Z"},
        {"%d/%b/%y", "01/May/69", "1969-05-01T00:00:00.000000Z"},
        {"%A %d %B %Y", "wednesday 1 MAY 2024", "2024-05-01T00:00:00.000000Z"},
        {"%a, %d %b %Y", "Tue, 01 May 2024", NOT},
        {"%I:%M %p %D", "01:30 PM 05/01/24", "2024-05-01T13:30:00.000000Z"},
        {"%F %T", "2024-05-01 12:30:45", "2024-05-01T12:30:45.000000Z"},
        {"%F %R", "2024-05-01 12:30", "2024-05-01T12:30:00.000000Z"},
        {"%Y %j", "2024 60", "2024-02-29T00:00:00.000000Z"},
        {"%-d.%-m.%Y", "1.5.2024", "2024-05-01T00:00:00.000000Z"},
        {"%Y%%", "2024%", "2024-01-01T00:00:00.000000Z"},
        {"%Y%%", "2024", NOT},
        {"%Y%n%m", "2024 \t 5", "2024-05-01T00:00:00.000000Z"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        check(*state, examples[i][0], examples[i][1], examples[i][2]);
}

static void test_refused(void **state)
{
    static const char *const examples[][2] = {
        {"YYYY-MM-DD", "has \"YYYY\", the year of weeks"},
        {"yyyy-MM-DD", "has \"DD\", the day of the year"},
        {"yyyy-MM-D", "the day of the year (D, %j) beside the month"},
        {"yyyy-ww", "has \"ww\", a part of weeks"},
        {"yyyy-MM-dd Q", "has \"Q\", which stands for nothing"},
        {"yyyy-MM-dd VV", "has \"VV\", a region"},
        {"yyy-MM", "has \"yyy\", a year is"},
        {"yyyy-MMMMM", "has \"MMMMM\", which is one or two letters"},
        {"yyyy-MM-dd[ HH]", "has \"[\", which is reserved"},
        {"yyyy-MM-dd 'T", "has a single quote that is not closed"},
        {"HH:mm:ss", "has no year"},
        {"", "has no year"},
        {"yyyy-MM-dd hh:mm", "without am or pm"},
        {"yyyy-MM-dd HH:mm a", "without an hour of half a day"},
        {"yyyy-MM-dd HH hh a", "gives the hour twice"},
        {"yyyy-MM-yyyy", "gives the year twice"},
        {"yyyy yy", "gives the year twice"},
        {"yyyy ss.SSSSSSSSSS", "at most nine letters"},
        {"%Y-%m-%q", "has \"%q\", which stands for nothing"},
        {"%Y-%m-%", "has \"%\", which stands for nothing"},
        {"%G-%m", "has \"%G\", the year of weeks"},
        {"%s", "has \"%s\", seconds since 1970"},
        {"%H:%M", "has no year"},
        {"%Y %I", "without am or pm"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        freshet_error err = {0};
        mask *mask;
        assert_int_equal(mask_compile(*state, examples[i][0], MASK_TIMESTAMP, &mask, &err),
                         FRESHET_USAGE);
        if (strstr(err.text, examples[i][1]) == NULL)
            fail_msg("%s: %s", examples[i][0], err.text);
    }
}

static void test_limits(void **state)
{
    freshet_error err = {0};
    mask *mask;
    char text[MASK_LENGTH_MAX + 2];
    memset(text, '-', sizeof text);
    memcpy(text, "yyyy", 4);
    text[MASK_PARTS_MAX + 3] = '\0';
    assert_int_equal(mask_compile(*state, text, MASK_TIMESTAMP, &mask, &err), FRESHET_OK);
    text[MASK_PARTS_MAX + 3] = '-';
    text[MASK_PARTS_MAX + 4] = '\0';
    assert_int_equal(mask_compile(*state, text, MASK_TIMESTAMP, &mask, &err), FRESHET_USAGE);
    memset(text, '\'', sizeof text);
    memcpy(text, "yyyy", 4);
    text[MASK_LENGTH_MAX] = '\0';
    assert_int_equal(mask_compile(*state, text, MASK_TIMESTAMP, &mask, &err), FRESHET_OK);
    memset(text, '\'', sizeof text);
    memcpy(text, "yyyy", 4);
    text[MASK_LENGTH_MAX + 1] = '\0';
    assert_int_equal(mask_compile(*state, text, MASK_TIMESTAMP, &mask, &err), FRESHET_USAGE);
}

/* What strftime writes is read back. */
static void test_against_strftime(void **state)
{
    static const char *const masks[] = {"%Y-%m-%d %H:%M:%S", "%Y%m%d%H%M%S",
                                        "%A, %d %B %Y %I:%M:%S %p", "%j/%Y %T %z",
                                        "%a %b %e %T %Y"};
    uint64_t seed = 7;
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        freshet_error err = {0};
        mask *mask;
        assert_int_equal(mask_compile(*state, masks[i], MASK_TIMESTAMP, &mask, &err), FRESHET_OK);
        for (int n = 0; n < 5000; n++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            time_t second =
                (time_t)(seed >> 16) % 253402300800 - 30000000000; /* years 1019 to 9048 */
            struct tm parts;
            char text[100];
            int64_t time_us;
            gmtime_r(&second, &parts);
            size_t length = strftime(text, sizeof text, masks[i], &parts);
            if (!mask_read(mask, text, length, &time_us))
                fail_msg("%s: %s", masks[i], text);
            assert_int_equal(time_us, (int64_t)second * 1000000);
            if (strchr(masks[i], 'e') == NULL) { /* a day with a blank before it */
                char written[MASK_WRITTEN_MAX + 1];
                assert_int_equal(mask_write(mask, time_us, written), length);
                assert_string_equal(written, text);
            }
        }
    }
}

#define US_2024 INT64_C(1706696430500000) /* 2024-01-31 10:20:30.5 */

/* What Spark 3.5.9 gives; strptime's masks are none of Spark's. */
static void test_writing(void **state)
{
    static const struct {
        const char *mask;
        int64_t time_us;
        const char *expected;
    } examples[] = {
        {"yyyyMM", US_2024, "202401"},
        {"yyyy-MM-dd HH:mm:ss.SSS", US_2024, "2024-01-31 10:20:30.500"},
        {"E EE EEE EEEE", US_2024, "Wed Wed Wed Wednesday"},
        {"H", US_2024, "10"},
        {"M L MM MMM MMMM", US_2024, "1 1 01 Jan January"},
        {"d/M/yyyy", US_2024, "31/1/2024"},
        {"D DD DDD", US_2024, "31 31 031"},
        {"F", US_2024, "3"},
        {"Q QQ QQQ QQQQ", US_2024, "1 01 Q1 1st quarter"},
        {"h:mm a", US_2024, "10:20 AM"},
        {"yyyy-MM-dd'T'HH:mm:ss", US_2024, "2024-01-31T10:20:30"},
        {"h 'o''clock'", US_2024, "10 o'clock"},
        {"S SS SSSSSS SSSSSSSSS", US_2024, "5 50 500000 500000000"},
        {"z zzzz Z ZZZZ ZZZZZ", US_2024, "UTC Coordinated Universal Time +0000 GMT Z"},
        {"X XXX x xx xxx O", US_2024, "Z Z +00 +0000 +00:00 GMT"},
        {"y yy yyyy", US_2024, "2024 24 2024"},
        {"k K", US_2024, "10 10"},
        {"HH kk hh KK a", INT64_C(1706659200000000), "00 24 12 00 AM"},
        {"HH kk hh KK a", INT64_C(1706702400000000), "12 12 12 00 PM"},
        {"yyyy-MM-dd HH:mm:ss.SSSSSS", -1, "1969-12-31 23:59:59.999999"},
        {"yyyy y", INT64_C(253402300800000000), "+10000 10000"},
        {"%Y-%m-%d %-d %f", US_2024, "2024-01-31 31 500000"},
        {"%Y  %-m", US_2024, "2024  1"},
        {"yyyy", INT64_MAX, "infinity"},
        {"yyyy", -INT64_MAX, "-infinity"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        freshet_error err = {0};
        mask *mask;
        char written[MASK_WRITTEN_MAX + 1];
        if (mask_compile(*state, examples[i].mask, MASK_WRITE, &mask, &err) != FRESHET_OK)
            fail_msg("%s", err.text);
        size_t length = mask_write(mask, examples[i].time_us, written);
        assert_int_equal(length, strlen(written));
        if (strcmp(written, examples[i].expected) != 0)
            fail_msg("mask %s gives %s", examples[i].mask, written);
    }
}

/* The longest text that a mask can give has room. */
static void test_longest_written(void **state)
{
    freshet_error err = {0};
    mask *mask;
    char text[MASK_LENGTH_MAX + 1], written[MASK_WRITTEN_MAX + 1];
    for (size_t i = 0; i < MASK_LENGTH_MAX; i++)
        text[i] = i % 5 == 4 ? '-' : 'z';
    text[MASK_LENGTH_MAX] = '\0';
    assert_int_equal(mask_compile(*state, text, MASK_WRITE, &mask, &err), FRESHET_OK);
    assert_int_equal(mask_write(mask, 0, written), MASK_LENGTH_MAX / 5 * 27);
}

/* Each use refuses what makes no sense for it. */
static void test_uses(void **state)
{
    static const struct {
        const char *mask;
        bool reads, writes;
    } examples[] = {
        {"HH:mm", true, true},  {"yyyy yyyy", false, true}, {"Q", false, true},
        {"F", false, true},     {"YYYY", false, false},     {"EEEEE", true, false},
        {"hh:mm", false, true}, {"ww", false, false},       {"QQQQQ", false, false},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        mask *mask;
        const char *text = examples[i].mask;
        assert_int_equal(mask_compile(*state, text, MASK_READ, &mask, NULL) == FRESHET_OK,
                         examples[i].reads);
        assert_int_equal(mask_compile(*state, text, MASK_WRITE, &mask, NULL) == FRESHET_OK,
                         examples[i].writes);
    }
    mask *mask;
    int64_t time_us;
    assert_int_equal(mask_compile(*state, "HH:mm", MASK_READ, &mask, NULL), FRESHET_OK);
    assert_true(mask_read(mask, "10:30", 5, &time_us));
    assert_int_equal(time_us, INT64_C(37800000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_java, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_strptime, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_writing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_longest_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_uses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_against_strftime, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("mask", tests, NULL, NULL);
}
