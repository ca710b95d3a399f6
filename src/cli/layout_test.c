/* The live view's layout: cells and a size in, lines out. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cli/layout.h"

static const char *const names[] = {"origin", "carrier", "timestamp", "dep_delay"};
static const bool numeric[] = {false, false, false, true};
static const bool whole[] = {true, true, false, true};
static const char *const cells[] = {"EWR", "UA", "2013-01-01 05:00:00", "12.5",
                                    "JFK", "B6", "2013-01-01 04:59:00", NULL,
                                    "LGA", "DL", "2013-01-01 04:58:00", "-3.0"};

static view_frame example(uint32_t width, uint32_t height)
{
    return (view_frame){.title = "departures",
                        .table = {4, 3, names, cells, numeric, whole},
                        .parts = {"3 rows", "10 rows/s", "no dead letters"},
                        .n_parts = 3,
                        .width = width,
                        .height = height};
}

static void assert_frame(const view_frame *frame, const char *expected)
{
    text_buffer text;
    text_init(&text, 65536);
    text_append_c(&text, "");
    uint32_t n_lines = layout_frame(frame, &text);
    assert_string_equal(text.bytes == NULL ? "" : text.bytes, expected);
    uint32_t counted = 0;
    for (const char *c = text.bytes; c != NULL && *c != '\0'; c++)
        counted += *c == '\n';
    assert_int_equal(n_lines, counted);
    text_release(&text);
}

static void test_whole(void **state)
{
    (void)state;
    view_frame frame = example(80, 24);
    assert_frame(&frame, "departures\n"
                         "origin  carrier  timestamp            dep_delay\n"
                         "EWR     UA       2013-01-01 05:00:00       12.5\n"
                         "JFK     B6       2013-01-01 04:59:00          -\n"
                         "LGA     DL       2013-01-01 04:58:00       -3.0\n"
                         "3 rows \xc2\xb7 10 rows/s \xc2\xb7 no dead letters\n");
}

static void test_height(void **state)
{
    (void)state;
    view_frame frame = example(80, 4);
    assert_frame(&frame, "departures\n"
                         "origin  carrier  timestamp            dep_delay\n"
                         "EWR     UA       2013-01-01 05:00:00       12.5\n"
                         "3 rows \xc2\xb7 10 rows/s \xc2\xb7 no dead letters\n");
    frame = example(80, 3);
    assert_frame(&frame, "3 rows \xc2\xb7 10 rows/s \xc2\xb7 no dead letters\n");
    frame = example(80, 0);
    assert_frame(&frame, "");
    assert_int_equal(layout_rows(24), 21);
    assert_int_equal(layout_rows(2), 0);
}

static void test_width(void **state)
{
    (void)state;
    view_frame frame = example(42, 5);
    assert_frame(&frame, "departures\n"
                         "origin  carrier  timestamp       dep_delay\n"
                         "EWR     UA       2013-01-01 05\xe2\x80\xa6       12.5\n"
                         "JFK     B6       2013-01-01 04\xe2\x80\xa6          -\n"
                         "3 rows \xc2\xb7 10 rows/s \xc2\xb7 no dead letters\n");
}

static uint32_t widest_line(const char *text)
{
    uint32_t widest = 0;
    char line[1024];
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        memcpy(line, text, length);
        line[length] = '\0';
        uint32_t width = layout_width(line);
        widest = width > widest ? width : widest;
        text += length + 1;
    }
    return widest;
}

/* At every size: never wider, never higher than asked. */
static void test_every_size(void **state)
{
    (void)state;
    for (uint32_t width = 1; width < 60; width++) {
        for (uint32_t height = 1; height < 8; height++) {
            view_frame frame = example(width, height);
            text_buffer text;
            text_init(&text, 65536);
            assert_true(layout_frame(&frame, &text) <= height);
            assert_true(widest_line(text.bytes) <= width);
            text_release(&text);
        }
    }
}

static void test_left_out(void **state)
{
    (void)state;
    view_frame frame = example(22, 4);
    frame.table.n_left_out = 10;
    frame.table.n_rows = 1;
    assert_frame(&frame, "departures  (+12 colu\xe2\x80\xa6\n"
                         "origin  carrier\n"
                         "EWR     UA\n"
                         "3 rows \xc2\xb7 10 rows/s\n");
    /* a name may be cut to LAYOUT_NAME_MIN, a text to LAYOUT_CELL_MIN, a number not at all */
    static const char *const wide_names[] = {"origin", "carrier", "timestamp",
                                             "dep_delay__avg_over_2_hours_fixed_windows"};
    frame = example(40, 4);
    frame.table.names = wide_names;
    frame.table.n_rows = 1;
    assert_frame(&frame, "departures\n"
                         "origin  carrier  timestamp  dep_d\xe2\x80\xa6"
                         "_hours\n"
                         "EWR     UA       2013-01-\xe2\x80\xa6          12.5\n"
                         "3 rows \xc2\xb7 10 rows/s \xc2\xb7 no dead letters\n");
    frame.width = 39;
    frame.table.n_left_out = 0;
    assert_frame(&frame, "departures  (+1 column)\n"
                         "origin  carrier  timestamp\n"
                         "EWR     UA       2013-01-01 05:00:00\n"
                         "3 rows \xc2\xb7 10 rows/s \xc2\xb7 no dead letters\n");
}

static void assert_fit(const char *text, uint32_t width, bool right, const char *expected)
{
    text_buffer got;
    text_init(&got, 256);
    text_append_c(&got, "");
    layout_fit(text, width, true, right, &got);
    assert_string_equal(got.bytes, expected);
    text_release(&got);
}

static void test_fit(void **state)
{
    (void)state;
    assert_fit("abc", 5, false, "abc  ");
    assert_fit("abc", 5, true, "  abc");
    assert_fit("abc", 3, true, "abc");
    assert_fit("abcd", 3, true, "ab\xe2\x80\xa6");
    assert_fit("a\x1b[31m", 8, false, "a\xef\xbf\xbd[31m  ");
    assert_fit("a\nb", 3, false,
               "a\xef\xbf\xbd"
               "b");
    assert_fit("\xff"
               "b",
               3, false,
               "\xef\xbf\xbd"
               "b ");
    /* two columns each; half of one does not fit */
    assert_fit("\xe6\x97\xa5\xe6\x9c\xac", 3, false, "\xe6\x97\xa5\xe2\x80\xa6");
    assert_fit("\xe6\x97\xa5\xe6\x9c\xac", 4, false, "\xe6\x97\xa5\xe6\x9c\xac");
    assert_fit("\xe6\x97\xa5\xe6\x9c\xac", 2, false, "\xe2\x80\xa6 ");
}

static void assert_name(const char *name, uint32_t width, const char *expected)
{
    text_buffer got;
    text_init(&got, 256);
    text_append_c(&got, "");
    layout_fit_name(name, width, true, true, &got);
    assert_string_equal(got.bytes, expected);
    assert_int_equal(layout_width(got.bytes), width);
    text_release(&got);
}

/* What tells windows apart stands at the end of their names. */
static void test_names(void **state)
{
    (void)state;
    const char *name = "amount__avg_over_7_days_fixed_windows";
    assert_name(name, 38, " amount__avg_over_7_days_fixed_windows");
    assert_name(name, 36, "            amount__avg_over_7_days\xe2\x80\xa6");
    assert_name(name, 24, "amount__avg_over_7_days\xe2\x80\xa6");
    assert_name(name, 17,
                "amount_\xe2\x80\xa6"
                "er_7_days");
    assert_name(name, 12,
                "amoun\xe2\x80\xa6"
                "7_days");
    assert_name(name, 2, "a\xe2\x80\xa6");
    assert_name(name, 1, "\xe2\x80\xa6");
    assert_name("number_of_passengers", 12,
                "numbe\xe2\x80\xa6"
                "engers");
    assert_name("_fixed_windows", 9,
                "_fix\xe2\x80\xa6"
                "dows");
    /* of characters of two columns no halves */
    assert_name("\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5\xe6\x9c\xac", 6,
                " \xe6\x97\xa5\xe2\x80\xa6\xe6\x9c\xac");
}

static void test_time(void **state)
{
    (void)state;
    char whole[] = "2013-01-01T05:00:00.000000Z";
    layout_shorten_time(whole);
    assert_string_equal(whole, "2013-01-01 05:00:00");
    char part[] = "2013-01-01T05:00:00.000001Z";
    layout_shorten_time(part);
    assert_string_equal(part, "2013-01-01T05:00:00.000001Z");
}

int main(void)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),    cmocka_unit_test(test_height),
        cmocka_unit_test(test_width),    cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_left_out), cmocka_unit_test(test_fit),
        cmocka_unit_test(test_names),    cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
