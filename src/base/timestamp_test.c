/* timestamp_test.c - texts to times: Spark's forms, the ends of the calendar, zones against
 * libc. */
#include "base/timestamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/zone.h"

#define REFUSED INT64_MIN

static int64_t parse(const char *text)
{
    int64_t us = REFUSED;

    if (!timestamp_parse(text, strlen(text), &us))
        assert_int_equal(us, REFUSED);
    return us;
}

typedef struct example {
    const char *text;
    int64_t us;
} example;

#define MAY_1 1714521600000000 /* 2024-05-01 */
#define NOON (MAY_1 + 43200000000)

static void each_form_is_read(void **state)
{
    static const example examples[] = {
        {"2024-05-01T12:00:00.123", NOON + 123000},
        {"2024-05-01 12:00:00", NOON},
        {"2024-05-01T12:00:00Z", NOON},
        {"2024-05-01T12:00:00+03:00", NOON - 10800000000},
        {"2024-05-01T12:00:00.123456789Z", NOON + 123456},
        {"2024-05-01", MAY_1},
        {"2024-05", MAY_1},
        {"2024", 1704067200000000},
        {"2024-05-01 12:00", NOON},
        {"2024-05-01T12:00:00 America/Sao_Paulo", NOON + 10800000000},
        {"2024-05-01T12:00:00.5-0300", NOON + 10800500000},
        {" 2024-05-01\t", MAY_1},
        {"0001-01-01", -62135596800000000},
        {"2024-5-1 2:3:4", MAY_1 + 7384000000},
        {"2024-05-01T12:00:00.1 UTC", NOON + 100000},
        {"2024-05-01T12:00:00GMT+1", NOON - 3600000000},
        {"2024-05-01T12:00:00UTC-01:30", NOON + 5400000000},
        {"2024-05-01T12:00:00+3:00", NOON - 10800000000},
        {"2024-05-01T12:00:00+03:5", NOON - 11100000000},
        {"2024-05-01T12:00:00+3", NOON - 10800000000},
        {"2024-05-01T12:00:00-030030", NOON + 10830000000},
        {"2024-05-01T12:00:00+18:00", NOON - 64800000000},
        {"2024-05-01 12:00+01:00", NOON - 3600000000},
        {"1969-12-31T23:59:59.999999Z", -1},
        {"2024-02-29", 1709164800000000},
        {"2000-02-29", 951782400000000},
        {"-0001-01-01", -62198755200000000},
        {"+2024-05-01", MAY_1},
        {"002024-05-01", MAY_1},
        {"294247-01-10T04:00:54.775807Z", INT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
        if (parse(examples[i].text) != examples[i].us)
            print_error("%s: %lld\n", examples[i].text, (long long)parse(examples[i].text));
        assert_int_equal(parse(examples[i].text), examples[i].us);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const texts[] = {
        "2020-01-01 13:01:00+000",
        "1714564800",
        "",
        " ",
        "2024-13-01",
        "2024-05-01T25:00:00",
        "12:30",
        "T12:30",
        "2023-02-29",
        "1900-02-29",
        "2024-04-31",
        "2024-00-01",
        "2024-01-00",
        "2024-05-01T",
        "2024-05-01T12",
        "2024-05-01T12:60",
        "2024-05-01T12:00:60",
        "2024-05-01T12:00:00.",
        "2024-05-01X12:00:00",
        "2024-05-01T12:00:00 Mars/Base",
        "2024-05-01T12:00:00+18:01",
        "2024-05-01T12:00:00+1:60",
        "2024-05-01T12:00:00+",
        "2024-05-01T12:00:00+03:",
        "2024-05-01T12:00:00 ../UTC",
        "2024-05-01T12:00:00/etc/passwd",
        "2024-05-01T12:00:00America",
        "2024-05-01T12:00:00ZZ",
        "2024-05-01T12:00:000",
        "24-05-01",
        "2024-05-012",
        "2024/05/01",
        "1234567-01-01",
        "294247-01-10T04:00:54.775808Z",
        "-290308-12-21T19:59:05.224191Z",
        "2024-05-01Z",
        "2024-05Z",
        "null",
        "+",
        "2024-",
        "2024-05-01T12:0a:00",
        "2024-05-01T1a:00:00",
        "-2024-05-01T12:00:00 localtime",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (parse(texts[i]) != REFUSED)
            print_error("%s: %lld\n", texts[i], (long long)parse(texts[i]));
        assert_int_equal(parse(texts[i]), REFUSED);
    }
}

/* The usual form has a way of its own to the day: it finds that of a date, or none where it has
 * none. */
static void each_year_has_its_days(void **state)
{
    static const int months[] = {0, 1, 2, 3, 7, 12, 13}, days[] = {0, 1, 28, 29, 30, 31, 32};

    (void)state;
    for (int i = 0; i < 10000 * 7 * 7; i++) {
        char text[40];
        int32_t day = 0;
        const int n =
            snprintf(text, sizeof text, "%04d-%02d-%02d", i / 49, months[i / 7 % 7], days[i % 7]);
        const bool is_day = date_parse(text, (size_t)n, &day);
        snprintf(text + n, sizeof text - (size_t)n, "%s",
                 i % 2 == 0 ? "T00:00:01.5" : " 00:00:01.50");
        const int64_t us = parse(text);
        assert_true(us == (is_day ? day * INT64_C(86400000000) + 1500000 : REFUSED));
    }
}

static void a_date_ignores_time_and_zone_but_checks_them(void **state)
{
    int32_t days = -7;

    (void)state;
    assert_true(date_parse("2024-05-01", 10, &days));
    assert_int_equal(days, 19844);
    assert_true(date_parse(" 2024-05-01 23:00:00-03:00 ", 27, &days));
    assert_int_equal(days, 19844);
    assert_true(date_parse("1969-12-31", 10, &days));
    assert_int_equal(days, -1);
    assert_true(date_parse("2024-02-29", 10, &days));
    assert_int_equal(days, 19782);
    assert_true(date_parse("1970", 4, &days));
    assert_int_equal(days, 0);
    assert_false(date_parse("2024-05-01 lunch", 16, &days));
    assert_false(date_parse("2024-05-32", 10, &days));
    assert_false(date_parse("2024-5a-01", 10, &days));
    assert_false(date_parse("2023-02-29", 10, &days));
    assert_false(date_parse("20240501", 8, &days));
    assert_false(date_parse("2024-05-01T12:00:00 Mars/Base", 29, &days));
    assert_int_equal(days, 0);
}

/* The offset that libc has for a time of TZ, where that time is there once. */
static void zones_agree_with_libc(void **state)
{
    static const char *const names[] = {
        "America/New_York", "Europe/Berlin",     "Australia/Lord_Howe", "America/Sao_Paulo",
        "Asia/Kathmandu",   "Africa/Casablanca", "Asia/Gaza",           "America/Asuncion",
        "Pacific/Apia",     "Europe/Dublin"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        setenv("TZ", names[i], 1);
        tzset();
        for (int64_t utc_s = -2500000000; utc_s < 6000000000; utc_s += 1234567) {
            time_t t = (time_t)utc_s;
            struct tm local;
            int32_t offset_s = -1;
            int64_t local_s;

            localtime_r(&t, &local);
            local_s = utc_s + local.tm_gmtoff;
            assert_true(zone_offset(names[i], strlen(names[i]), local_s, &offset_s));
            if (offset_s != local.tm_gmtoff) { /* then this clock shows local_s twice */
                time_t other = (time_t)(local_s - offset_s);
                localtime_r(&other, &local);
                if (local.tm_gmtoff != offset_s)
                    print_error("%s at %lld\n", names[i], (long long)utc_s);
                assert_int_equal(local.tm_gmtoff, offset_s);
            }
        }
    }
    unsetenv("TZ");
    tzset();
}

static void clocks_set_forward_and_back(void **state)
{
    (void)state;
    /* 2024-03-10 02:30 is skipped in New York: taken with the offset before, -05:00 */
    assert_int_equal(parse("2024-03-10T02:30:00 America/New_York"), parse("2024-03-10T07:30:00Z"));
    assert_int_equal(parse("2024-03-10T03:00:00 America/New_York"), parse("2024-03-10T07:00:00Z"));
    /* 2024-11-03 01:30 is there twice: the earlier one, -04:00 */
    assert_int_equal(parse("2024-11-03T01:30:00 America/New_York"), parse("2024-11-03T05:30:00Z"));
    /* after the last transition of the file: by the rule */
    assert_int_equal(parse("2090-07-01T12:00:00 America/New_York"), parse("2090-07-01T16:00:00Z"));
    assert_int_equal(parse("2090-01-01T12:00:00 America/New_York"), parse("2090-01-01T17:00:00Z"));
    assert_int_equal(parse("2090-01-01T12:00:00 Australia/Sydney"), parse("2090-01-01T01:00:00Z"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_is_read),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(each_year_has_its_days),
        cmocka_unit_test(a_date_ignores_time_and_zone_but_checks_them),
        cmocka_unit_test(zones_agree_with_libc),
        cmocka_unit_test(clocks_set_forward_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
