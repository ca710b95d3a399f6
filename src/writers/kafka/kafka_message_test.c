/* kafka_message_test.c - rows as Spark's to_json writes them: tests/golden/json_writer has what it
 * gave for whole rows; here are the forms of numbers and times. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "writers/kafka/kafka_message.h"

static void check_real(double value, bool as_float, const char *expected)
{
    text_buffer text;
    text_init(&text, 1000);
    kafka_message_real(&text, value, as_float);
    assert_string_equal(text.bytes, expected);
    text_release(&text);
}

static void reals_are_those_of_java(void **state)
{
    static const struct {
        double value;
        const char *text;
    } doubles[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.5, "1.5"},
        {100, "100.0"},
        {-2.25, "-2.25"},
        {0.001, "0.001"},
        {0.0123, "0.0123"},
        {0.25, "0.25"},
        {9.99e-4, "9.99E-4"},
        {1e-4, "1.0E-4"},
        {9999999, "9999999.0"},
        {1e7, "1.0E7"},
        {12345678.5, "1.23456785E7"},
        {123456.789, "123456.789"},
        {1e20, "1.0E20"},
        {1.7976931348623157e308, "1.7976931348623157E308"},
        {1e-300, "1.0E-300"},
        {INFINITY, "Infinity"},
        {-INFINITY, "-Infinity"},
        {NAN, "NaN"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++)
        check_real(doubles[i].value, false, doubles[i].text);
    check_real((double)0.1f, true, "0.1");
    check_real((double)0.1f, false, "0.10000000149011612");
    check_real((double)1e10f, true, "1.0E10");
}

/* One row of a column that has one cell. */
static void check_cell(const type *type, const void *cell, size_t size, const char *json,
                       const char *plain)
{
    arena *arena = arena_open();
    const field field = {"x", type};
    const schema schema = {1, &field};
    batch rows;
    text_buffer text;
    text_init(&text, 1000);
    assert_int_equal(batch_init(&rows, arena, &schema, 1, NULL), FRESHET_OK);
    rows.n_rows = 1;
    memcpy(rows.columns[0].data, cell, size);
    kafka_message_value(&rows, 0, &text);
    assert_string_equal(text.bytes, json);
    text_reset(&text);
    kafka_message_text(&rows.columns[0], 0, &text);
    assert_string_equal(text.bytes, plain);
    assert_true(column_set_null(arena, &rows.columns[0], 0));
    text_reset(&text);
    kafka_message_value(&rows, 0, &text);
    assert_string_equal(text.bytes, "{}");
    text_release(&text);
    arena_close(arena);
}

static void cells_of_each_type(void **state)
{
    const int64_t before = -1, time_us = INT64_C(1714564800123999);
    const int32_t day = 19844, least = INT32_MIN;
    const int64_t smallest = INT64_MIN;
    const uint8_t yes = 1;
    const double nan = NAN;
    const cell_text text = text_of("a\"b", 3), bytes = text_of("\0\xff", 2);
    const int128 decimal = -1230;
    (void)state;
    check_cell(type_simple(TYPE_TIMESTAMP), &time_us, 8, "{\"x\":\"2024-05-01T12:00:00.123Z\"}",
               "2024-05-01T12:00:00.123Z");
    check_cell(type_simple(TYPE_TIMESTAMP), &before, 8, "{\"x\":\"1969-12-31T23:59:59.999Z\"}",
               "1969-12-31T23:59:59.999Z");
    check_cell(type_simple(TYPE_DATE), &day, 4, "{\"x\":\"2024-05-01\"}", "2024-05-01");
    check_cell(type_simple(TYPE_INTEGER), &least, 4, "{\"x\":-2147483648}", "-2147483648");
    check_cell(type_simple(TYPE_BIGINT), &smallest, 8, "{\"x\":-9223372036854775808}",
               "-9223372036854775808");
    check_cell(type_simple(TYPE_BOOLEAN), &yes, 1, "{\"x\":true}", "true");
    check_cell(type_simple(TYPE_DOUBLE), &nan, 8, "{\"x\":\"NaN\"}", "NaN");
    check_cell(type_simple(TYPE_STRING), &text, sizeof text, "{\"x\":\"a\\\"b\"}", "a\"b");
    check_cell(type_simple(TYPE_BINARY), &bytes, sizeof bytes, "{\"x\":\"AP8=\"}", "AP8=");
    const type money = {.kind = TYPE_DECIMAL, .width = 10, .scale = 2};
    check_cell(&money, &decimal, sizeof decimal, "{\"x\":-12.30}", "-12.30");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reals_are_those_of_java),
        cmocka_unit_test(cells_of_each_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
