/* Casts: every pair of types with its ends, nulls, arrays, messages; random round trips; and Java's
 * layout of numbers against a naive twin. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cast_text.h"
#include "base/error.h"
#include "base/number.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "features/cast.h"

#define FAILS "fails"

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

static const type *parse(arena *arena, const char *name)
{
    const type *type = type_parse(arena, name);
    if (type == NULL)
        fail_msg("no type: %s", name);
    return type;
}

static int128 digits_of(const char *text)
{
    int128 value = 0;
    bool negative = *text == '-';
    for (text += negative; *text != '\0'; text++)
        if (*text != '.')
            value = value * 10 + (*text - '0');
    return negative ? -value : value;
}

/* Writes the cell that `text` describes; "null" is null. */
static void put(arena *arena, column *column, uint64_t row, const char *text)
{
    void *data = column->data;
    if (strcmp(text, "null") == 0) {
        assert_true(column_set_null(arena, column, row));
        return;
    }
    switch (column->type->kind) {
    case TYPE_BOOLEAN: ((uint8_t *)data)[row] = strcmp(text, "true") == 0; break;
    case TYPE_INTEGER: ((int32_t *)data)[row] = (int32_t)strtol(text, NULL, 10); break;
    case TYPE_BIGINT: ((int64_t *)data)[row] = strtoll(text, NULL, 10); break;
    case TYPE_FLOAT: ((float *)data)[row] = strtof(text, NULL); break;
    case TYPE_DOUBLE: ((double *)data)[row] = strtod(text, NULL); break;
    case TYPE_DECIMAL: ((int128 *)data)[row] = digits_of(text); break;
    case TYPE_STRING:
    case TYPE_BINARY: ((cell_text *)data)[row] = text_of(text, (uint32_t)strlen(text)); break;
    case TYPE_DATE: assert_true(date_parse(text, strlen(text), &((int32_t *)data)[row])); break;
    case TYPE_TIMESTAMP:
        if (text[0] == '#')
            ((int64_t *)data)[row] = strtoll(text + 1, NULL, 10);
        else
            assert_true(timestamp_parse(text, strlen(text), &((int64_t *)data)[row]));
        break;
    default: fail_msg("put: a nested type");
    }
}

static column column_of(arena *arena, const type *type, const char *const *texts, uint64_t n)
{
    freshet_error err = {0};
    column column;
    assert_int_equal(column_init(arena, &column, type, n, &err), FRESHET_OK);
    for (uint64_t i = 0; i < n; i++)
        put(arena, &column, i, texts[i]);
    return column;
}

static const char *json_of(arena *arena, const column *column, uint64_t row)
{
    freshet_error err = {0};
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    assert_int_equal(column_to_json(column, row, &text, &err), FRESHET_OK);
    const char *copy = arena_text(arena, text.bytes);
    text_release(&text);
    return copy;
}

typedef struct example {
    const char *from, *value, *to, *expected;
} example;

/* Each with a null on both sides: nulls stay, and do not fail. */
static void check(arena *arena, const example *example)
{
    freshet_error err = {0};
    const type *from = parse(arena, example->from), *to = parse(arena, example->to);
    const char *texts[] = {"null", example->value, "null"};
    column column = column_of(arena, from, texts, 3), into;
    uint64_t *failed;
    if (!cast_possible(from, to))
        fail_msg("%s to %s is not possible", example->from, example->to);
    assert_int_equal(cast_column(arena, &column, 3, to, &into, &failed, &err), FRESHET_OK);
    assert_false(column_is_valid(&into, 0) || column_is_valid(&into, 2));
    assert_false(cast_failed(failed, 0) || cast_failed(failed, 2));
    const char *got = cast_failed(failed, 1) ? FAILS : json_of(arena, &into, 1);
    if (strcmp(got, example->expected) != 0)
        fail_msg("%s %s to %s: %s, not %s", example->from, example->value, example->to, got,
                 example->expected);
    assert_int_equal(cast_failed(failed, 1), !column_is_valid(&into, 1));
    assert_true(type_equal(into.type, to));
}

static void check_all(void **state, const example *examples, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(*state, &examples[i]);
}

#define CHECK(examples) check_all(state, examples, sizeof(examples) / sizeof *(examples))

static void test_from_boolean(void **state)
{
    static const example examples[] = {
        {"boolean", "true", "boolean", "true"},
        {"boolean", "true", "integer", "1"},
        {"boolean", "false", "integer", "0"},
        {"boolean", "true", "bigint", "1"},
        {"boolean", "true", "float", "1.0"},
        {"boolean", "false", "double", "0.0"},
        {"boolean", "true", "decimal", "\"1\""},
        {"boolean", "true", "decimal(3,2)", "\"1.00\""},
        {"boolean", "true", "decimal(2,2)", FAILS},
        {"boolean", "false", "decimal(2,2)", "\"0.00\""},
        {"boolean", "true", "string", "\"true\""},
        {"boolean", "false", "string", "\"false\""},
        {"boolean", "true", "timestamp", "\"1970-01-01T00:00:00.000001Z\""},
    };
    CHECK(examples);
}

static void test_from_integer(void **state)
{
    static const example examples[] = {
        {"integer", "-7", "boolean", "true"},
        {"integer", "0", "boolean", "false"},
        {"integer", "-2147483648", "bigint", "-2147483648"},
        {"integer", "16777217", "float", "16777216.0"},
        {"integer", "2147483647", "double", "2147483647.0"},
        {"integer", "2147483647", "decimal(10,0)", "\"2147483647\""},
        {"integer", "2147483647", "decimal(9,0)", FAILS},
        {"integer", "12", "decimal(4,2)", "\"12.00\""},
        {"integer", "100", "decimal(4,2)", FAILS},
        {"integer", "-2147483648", "string", "\"-2147483648\""},
        {"integer", "66051", "binary", "\"AAECAw==\""},
        {"integer", "-1", "timestamp", "\"1969-12-31T23:59:59.000000Z\""},
        {"integer", "2147483647", "timestamp", "\"2038-01-19T03:14:07.000000Z\""},
    };
    CHECK(examples);
}

static void test_from_bigint(void **state)
{
    static const example examples[] = {
        {"bigint", "9223372036854775807", "boolean", "true"},
        {"bigint", "2147483647", "integer", "2147483647"},
        {"bigint", "2147483648", "integer", FAILS},
        {"bigint", "-2147483648", "integer", "-2147483648"},
        {"bigint", "-2147483649", "integer", FAILS},
        {"bigint", "16777217", "float", "16777216.0"},
        {"bigint", "9223372036854775807", "double", "9.223372036854776e+18"},
        {"bigint", "9223372036854775807", "decimal", FAILS},
        {"bigint", "-9223372036854775808", "decimal(19,0)", "\"-9223372036854775808\""},
        {"bigint", "9999999999", "decimal", "\"9999999999\""},
        {"bigint", "10000000000", "decimal", FAILS},
        {"bigint", "-9223372036854775808", "string", "\"-9223372036854775808\""},
        {"bigint", "72623859790382856", "binary", "\"AQIDBAUGBwg=\""},
        {"bigint", "1714564800123", "timestamp", "\"+56302-05-26T00:02:03.000000Z\""},
        {"bigint", "9223372036854", "timestamp", "\"+294247-01-10T04:00:54.000000Z\""},
        {"bigint", "9223372036855", "timestamp", FAILS},
        {"bigint", "-9223372036855", "timestamp", FAILS},
        {"bigint", "9223372036854775807", "timestamp", FAILS},
    };
    CHECK(examples);
}

static void test_from_double(void **state)
{
    static const example examples[] = {
        {"double", "nan", "boolean", "true"},
        {"double", "-0.0", "boolean", "false"},
        {"double", "-1.9", "integer", "-1"},
        {"double", "2147483647.5", "integer", "2147483647"},
        {"double", "2147483648", "integer", FAILS},
        {"double", "-2147483648.9", "integer", "-2147483648"},
        {"double", "-2147483649", "integer", FAILS},
        {"double", "nan", "integer", FAILS},
        {"double", "inf", "integer", FAILS},
        {"double", "1e19", "bigint", FAILS},
        {"double", "9223372036854775807", "bigint", FAILS},
        {"double", "9223372036854774784", "bigint", "9223372036854774784"},
        {"double", "-9223372036854775808", "bigint", "-9223372036854775808"},
        {"double", "-9223372036854777856", "bigint", FAILS},
        {"double", "nan", "bigint", FAILS},
        {"double", "0.1", "float", "0.1"},
        {"double", "3.4e39", "float", FAILS},
        {"double", "-inf", "float", "\"-Infinity\""},
        {"double", "nan", "float", "\"NaN\""},
        {"double", "1e-60", "float", "0.0"},
        {"double", "1.5", "decimal", "\"2\""},
        {"double", "2.5", "decimal", "\"3\""},
        {"double", "-0.5", "decimal", "\"-1\""},
        {"double", "0.285", "decimal(3,2)", "\"0.29\""},
        {"double", "1.005", "decimal(4,2)", "\"1.01\""},
        {"double", "9999999999.4", "decimal", "\"9999999999\""},
        {"double", "9999999999.5", "decimal", FAILS},
        {"double", "1e37", "decimal(38,0)", "\"10000000000000000000000000000000000000\""},
        {"double", "1e38", "decimal(38,0)", FAILS},
        {"double", "5e-324", "decimal(38,38)", "\"0.00000000000000000000000000000000000000\""},
        {"double", "nan", "decimal", FAILS},
        {"double", "inf", "decimal", FAILS},
        {"double", "-1.9", "timestamp", "\"1969-12-31T23:59:58.100000Z\""},
        {"double", "1714564800.1234567", "timestamp", "\"2024-05-01T12:00:00.123456Z\""},
        {"double", "1e-7", "timestamp", "\"1970-01-01T00:00:00.000000Z\""},
        {"double", "1e13", "timestamp", FAILS},
        {"double", "nan", "timestamp", FAILS},
    };
    CHECK(examples);
}

static void test_double_to_string(void **state)
{
    static const example examples[] = {
        {"double", "1", "string", "\"1.0\""},
        {"double", "-0.0", "string", "\"-0.0\""},
        {"double", "1e19", "string", "\"1.0E19\""},
        {"double", "2147483648", "string", "\"2.147483648E9\""},
        {"double", "-2147483649.5", "string", "\"-2.1474836495E9\""},
        {"double", "3.4e39", "string", "\"3.4E39\""},
        {"double", "0.1", "string", "\"0.1\""},
        {"double", "1e-7", "string", "\"1.0E-7\""},
        {"double", "123456789.12345679", "string", "\"1.2345678912345679E8\""},
        {"double", "1e7", "string", "\"1.0E7\""},
        {"double", "9999999", "string", "\"9999999.0\""},
        {"double", "9999999.5", "string", "\"9999999.5\""},
        {"double", "12345678.9", "string", "\"1.23456789E7\""},
        {"double", "100", "string", "\"100.0\""},
        {"double", "0.001", "string", "\"0.001\""},
        {"double", "0.00099", "string", "\"9.9E-4\""},
        {"double", "5e-324", "string", "\"4.9E-324\""},
        {"double", "1.7976931348623157e308", "string", "\"1.7976931348623157E308\""},
        {"double", "nan", "string", "\"NaN\""},
        {"double", "-inf", "string", "\"-Infinity\""},
        {"float", "1.9", "string", "\"1.9\""},
        {"float", "1.23456789e8", "string", "\"1.2345679E8\""},
        {"float", "0.1", "string", "\"0.1\""},
        {"float", "1e10", "string", "\"1.0E10\""},
        {"float", "3.4028235e38", "string", "\"3.4028235E38\""},
    };
    CHECK(examples);
}

static void test_from_float(void **state)
{
    static const example examples[] = {
        {"float", "0.5", "boolean", "true"},
        {"float", "2147483648", "integer", FAILS},
        {"float", "2147483520", "integer", "2147483520"},
        {"float", "-1.9", "bigint", "-1"},
        {"float", "9.3e18", "bigint", FAILS},
        {"float", "1.9", "double", "1.899999976158142"},
        {"float", "1.5", "decimal(3,1)", "\"1.5\""},
        {"float", "nan", "decimal(3,1)", FAILS},
        {"float", "0.5", "timestamp", "\"1970-01-01T00:00:00.500000Z\""},
        {"float", "1e20", "timestamp", FAILS},
    };
    CHECK(examples);
}

static void test_from_decimal(void **state)
{
    static const example examples[] = {
        {"decimal(4,2)", "0.01", "boolean", "true"},
        {"decimal(4,2)", "-1.99", "integer", "-1"},
        {"decimal(12,2)", "2147483647.99", "integer", "2147483647"},
        {"decimal(12,2)", "2147483648.00", "integer", FAILS},
        {"decimal(38,0)", "9223372036854775807", "bigint", "9223372036854775807"},
        {"decimal(38,0)", "9223372036854775808", "bigint", FAILS},
        {"decimal(38,0)", "-9223372036854775808", "bigint", "-9223372036854775808"},
        {"decimal(38,0)", "-9223372036854775809", "bigint", FAILS},
        {"decimal(38,37)", "-9.9999999999999999999999999999999999999", "bigint", "-9"},
        {"decimal(4,2)", "1.90", "float", "1.9"},
        {"decimal(4,2)", "1.10", "double", "1.1"},
        {"decimal(38,10)", "1234567890123456789.0123456789", "double", "1.2345678901234568e+18"},
        {"decimal(4,2)", "1.25", "decimal(3,1)", "\"1.3\""},
        {"decimal(4,2)", "-1.25", "decimal(3,1)", "\"-1.3\""},
        {"decimal(4,2)", "1.24", "decimal(3,1)", "\"1.2\""},
        {"decimal(4,2)", "99.95", "decimal(3,1)", FAILS},
        {"decimal(4,2)", "99.94", "decimal(3,1)", "\"99.9\""},
        {"decimal(38,38)", "0.99999999999999999999999999999999999999", "decimal(1,0)", "\"1\""},
        {"decimal(38,0)", "1", "decimal(38,38)", FAILS},
        {"decimal(38,0)", "0", "decimal(38,38)", "\"0.00000000000000000000000000000000000000\""},
        {"decimal(4,2)", "1.20", "string", "\"1.20\""},
        {"decimal(10,8)", "0.00000001", "string", "\"0.00000001\""},
        {"decimal(20,7)", "1714564800.1234567", "timestamp", "\"2024-05-01T12:00:00.123456Z\""},
        {"decimal(4,2)", "-1.90", "timestamp", "\"1969-12-31T23:59:58.100000Z\""},
        {"decimal(38,0)", "9223372036855", "timestamp", FAILS},
        {"decimal(38,0)", "99999999999999999999999999999999999999", "timestamp", FAILS},
        {"decimal(38,35)", "1.99999999999999999999999999999999999", "timestamp",
         "\"1970-01-01T00:00:01.999999Z\""},
    };
    CHECK(examples);
}

static void test_from_string_to_whole(void **state)
{
    static const example examples[] = {
        {"string", "1", "integer", "1"},
        {"string", " 42 ", "integer", "42"},
        {"string", "\t7\n", "integer", "7"},
        {"string", "+5", "integer", "5"},
        {"string", "-0", "integer", "0"},
        {"string", "1.9", "integer", "1"},
        {"string", "-1.9", "integer", "-1"},
        {"string", ".5", "integer", "0"},
        {"string", "5.", "integer", "5"},
        {"string", ".", "integer", "0"},
        {"string", "-", "integer", FAILS},
        {"string", "", "integer", FAILS},
        {"string", " ", "integer", FAILS},
        {"string", "1e3", "integer", FAILS},
        {"string", "1.5x", "integer", FAILS},
        {"string", "1_000", "integer", FAILS},
        {"string", "1,5", "integer", FAILS},
        {"string", "0x10", "integer", FAILS},
        {"string", "1 2", "integer", FAILS},
        {"string", "NaN", "integer", FAILS},
        {"string", "2147483647.9", "integer", "2147483647"},
        {"string", "2147483648", "integer", FAILS},
        {"string", "-2147483648", "integer", "-2147483648"},
        {"string", "9223372036854775807", "bigint", "9223372036854775807"},
        {"string", "9223372036854775808", "bigint", FAILS},
        {"string", "-9223372036854775808", "bigint", "-9223372036854775808"},
        {"string", "-9223372036854775809", "bigint", FAILS},
        {"string", "00000000000000000000000000007", "bigint", "7"},
        {"string", "99999999999999999999999999999", "bigint", FAILS},
    };
    CHECK(examples);
}

static void test_from_string_to_real(void **state)
{
    static const example examples[] = {
        {"string", "1.5e-3", "double", "0.0015"},
        {"string", "1E3", "double", "1000.0"},
        {"string", "1e+3", "double", "1000.0"},
        {"string", " -.5 ", "double", "-0.5"},
        {"string", "5.", "double", "5.0"},
        {"string", "9223372036854775808", "double", "9.223372036854776e+18"},
        {"string", "0.1", "double", "0.1"},
        {"string", "123456789.12345679", "double", "123456789.12345679"},
        {"string", "1.7976931348623157e308", "double", "1.7976931348623157e+308"},
        {"string", "1e309", "double", FAILS},
        {"string", "1e-400", "double", "0.0"},
        {"string", "1e99999999999999999999", "double", FAILS},
        {"string", "0e99999999999999999999", "double", "0.0"},
        {"string", "NaN", "double", "\"NaN\""},
        {"string", "-inf", "double", "\"-Infinity\""},
        {"string", "+Infinity", "double", "\"Infinity\""},
        {"string", "Infinit", "double", FAILS},
        {"string", ".", "double", FAILS},
        {"string", "e5", "double", FAILS},
        {"string", "1e", "double", FAILS},
        {"string", "1e+", "double", FAILS},
        {"string", "1d", "double", FAILS},
        {"string", "0x1p3", "double", FAILS},
        {"string", "", "double", FAILS},
        {"string", "1.9", "float", "1.9"},
        {"string", "16777217", "float", "16777216.0"},
        {"string", "1.00000017881393432617187499", "float", "1.0000001"},
        {"string", "1.00000017881393432617187501", "float", "1.0000002"},
        {"string", "3.5e38", "float", FAILS},
        {"string", "inf", "float", "\"Infinity\""},
        {"string", "nope", "float", FAILS},
        {"string", "1.5", "decimal", "\"2\""},
        {"string", "-1.5", "decimal", "\"-2\""},
        {"string", "1.49999999999999999999999999999999999999999999", "decimal", "\"1\""},
        {"string", "1e3", "decimal", "\"1000\""},
        {"string", "123456e-5", "decimal(4,2)", "\"1.23\""},
        {"string", "123500e-5", "decimal(4,2)", "\"1.24\""},
        {"string", "0.004999", "decimal(4,2)", "\"0.00\""},
        {"string", "0.005", "decimal(4,2)", "\"0.01\""},
        {"string", "99.995", "decimal(4,2)", FAILS},
        {"string", "9223372036854775808", "decimal", FAILS},
        {"string", "99999999999999999999999999999999999999", "decimal(38,0)",
         "\"99999999999999999999999999999999999999\""},
        {"string", "100000000000000000000000000000000000000", "decimal(38,0)", FAILS},
        {"string", "999999999999999999999999999999999999999", "decimal(38,0)", FAILS},
        {"string", "1e-2000000000000", "decimal", "\"0\""},
        {"string", "1e2000000000000", "decimal", FAILS},
        {"string", "0e2000000000000", "decimal", "\"0\""},
        {"string", "NaN", "decimal", FAILS},
        {"string", "", "decimal", FAILS},
    };
    CHECK(examples);
}

static void test_from_string_to_others(void **state)
{
    static const example examples[] = {
        {"string", "t", "boolean", "true"},
        {"string", " TRUE ", "boolean", "true"},
        {"string", "Y", "boolean", "true"},
        {"string", "yes", "boolean", "true"},
        {"string", "1", "boolean", "true"},
        {"string", "f", "boolean", "false"},
        {"string", "false", "boolean", "false"},
        {"string", "N", "boolean", "false"},
        {"string", "no", "boolean", "false"},
        {"string", "0", "boolean", "false"},
        {"string", "on", "boolean", FAILS},
        {"string", "10", "boolean", FAILS},
        {"string", "", "boolean", FAILS},
        {"string", "abc", "string", "\"abc\""},
        {"string", "abc", "binary", "\"YWJj\""},
        {"string", "a text of more than twelve", "binary",
         "\"YSB0ZXh0IG9mIG1vcmUgdGhhbiB0d2VsdmU=\""},
        {"string", "2024-05-01", "date", "\"2024-05-01\""},
        {"string", "2024-05-01T12:00:00", "date", "\"2024-05-01\""},
        {"string", "2023-02-29", "date", FAILS},
        {"string", "2024-05-01 12:00:00+03:00", "timestamp", "\"2024-05-01T09:00:00.000000Z\""},
        {"string", "1714564800", "timestamp", FAILS},
        {"string", "", "timestamp", FAILS},
    };
    CHECK(examples);
}

static void test_from_times(void **state)
{
    static const example examples[] = {
        {"timestamp", "1970-01-01", "boolean", "false"},
        {"timestamp", "1969-12-31", "boolean", "true"},
        {"timestamp", "1969-12-31 23:59:59.5", "bigint", "-1"},
        {"timestamp", "2024-05-01 12:00:01.5", "bigint", "1714564801"},
        {"timestamp", "2038-01-19 03:14:07.9", "integer", "2147483647"},
        {"timestamp", "2038-01-19 03:14:08", "integer", FAILS},
        {"timestamp", "2024-05-01 12:00:01.5", "double", "1714564801.5"},
        {"timestamp", "1970-01-01 00:00:01.5", "float", "1.5"},
        {"timestamp", "2024-05-01 12:00:01.5", "decimal", "\"1714564802\""},
        {"timestamp", "2024-05-01 12:00:01.5", "decimal(16,6)", "\"1714564801.500000\""},
        {"timestamp", "2024-05-01 12:00:01.5", "decimal(4,0)", FAILS},
        {"timestamp", "2024-05-01 12:00:00", "string", "\"2024-05-01 12:00:00\""},
        {"timestamp", "2024-05-01 12:00:01.5", "string", "\"2024-05-01 12:00:01.5\""},
        {"timestamp", "2024-05-01 12:00:01.000001", "string", "\"2024-05-01 12:00:01.000001\""},
        {"timestamp", "+56302-05-26", "string", "\"+56302-05-26 00:00:00\""},
        {"timestamp", "-0001-01-01", "string", "\"-0001-01-01 00:00:00\""},
        {"timestamp", "#-9223372036854775808", "string", "\"-290308-12-21 19:59:05.224192\""},
        {"timestamp", "1969-12-31 23:59:59.5", "date", "\"1969-12-31\""},
        {"timestamp", "2024-05-01 23:59:59", "date", "\"2024-05-01\""},
        {"date", "2024-05-01", "timestamp", "\"2024-05-01T00:00:00.000000Z\""},
        {"date", "+294247-01-10", "timestamp", "\"+294247-01-10T00:00:00.000000Z\""},
        {"date", "+294247-01-11", "timestamp", FAILS},
        {"date", "-290308-12-21", "timestamp", FAILS},
        {"date", "2024-05-01", "string", "\"2024-05-01\""},
        {"date", "+12024-05-01", "string", "\"+12024-05-01\""},
        {"binary", "abc", "string", "\"abc\""},
        {"binary", "\xC3\xA9", "string", "\"\xC3\xA9\""},
        {"binary", "\xFF", "string", FAILS},
    };
    CHECK(examples);
}

static void test_impossible(void **state)
{
    static const char *const pairs[][2] = {
        {"date", "integer"},
        {"date", "boolean"},
        {"integer", "date"},
        {"double", "date"},
        {"array<integer>", "integer"},
        {"integer", "array<integer>"},
        {"string", "array<string>"},
        {"double", "binary"},
        {"binary", "integer"},
        {"boolean", "binary"},
        {"timestamp", "binary"},
        {"struct<a: integer>", "integer"},
        {"array<date>", "array<integer>"},
        {"array<array<integer>>", "array<integer>"},
        {"boolean", "date"},
        {"struct<a: integer>", "struct<b: integer>"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (cast_possible(parse(*state, pairs[i][0]), parse(*state, pairs[i][1])))
            fail_msg("%s to %s is possible", pairs[i][0], pairs[i][1]);
    assert_true(cast_possible(parse(*state, "array<array<integer>>"),
                              parse(*state, "array<array<string>>")));
}

static void test_same_type_is_not_copied(void **state)
{
    freshet_error err = {0};
    const char *texts[] = {"a text of more than twelve", "null"};
    column column = column_of(*state, type_simple(TYPE_STRING), texts, 2), into;
    uint64_t *failed;
    assert_int_equal(
        cast_column(*state, &column, 2, type_simple(TYPE_STRING), &into, &failed, &err),
        FRESHET_OK);
    assert_ptr_equal(into.data, column.data);
    assert_ptr_equal(into.valid, column.valid);
    assert_null(failed);
}

/* [["1", "x"], null, [], [null, "3"]] */
static column array_of_strings(arena *arena)
{
    freshet_error err = {0};
    static const char *const elements[] = {"1", "x", "null", "3"};
    const type *string = type_simple(TYPE_STRING);
    column column;
    assert_int_equal(column_init(arena, &column, type_array(arena, string), 4, &err), FRESHET_OK);
    column.children[0] = column_of(arena, string, elements, 4);
    column.n_elements = 4;
    const cell_span spans[] = {{0, 2}, {0, 0}, {2, 0}, {2, 2}};
    memcpy(column.data, spans, sizeof spans);
    assert_true(column_set_null(arena, &column, 1));
    return column;
}

static void test_arrays(void **state)
{
    freshet_error err = {0};
    column column = array_of_strings(*state), into;
    uint64_t *failed;
    assert_int_equal(
        cast_column(*state, &column, 4, parse(*state, "array<bigint>"), &into, &failed, &err),
        FRESHET_OK);
    assert_true(cast_failed(failed, 0));
    assert_string_equal(json_of(*state, &into, 0), "[1,null]");
    assert_string_equal(json_of(*state, &into, 1), "null");
    assert_string_equal(json_of(*state, &into, 2), "[]");
    assert_string_equal(json_of(*state, &into, 3), "[null,3]");
    assert_false(cast_failed(failed, 1) || cast_failed(failed, 2) || cast_failed(failed, 3));
    assert_string_equal(cast_reason(*state, &column, 0, parse(*state, "array<bigint>")),
                        "cannot cast [\"1\",\"x\"] to array<bigint>");
}

static void test_nested_to_string(void **state)
{
    freshet_error err = {0};
    column column = array_of_strings(*state), into;
    uint64_t *failed;
    const type *string = type_simple(TYPE_STRING);
    assert_int_equal(cast_column(*state, &column, 4, string, &into, &failed, &err), FRESHET_OK);
    assert_null(failed);
    assert_string_equal(json_of(*state, &into, 0), "\"[1, x]\"");
    assert_string_equal(json_of(*state, &into, 1), "null");
    assert_string_equal(json_of(*state, &into, 2), "\"[]\"");
    assert_string_equal(json_of(*state, &into, 3), "\"[null, 3]\"");

    struct column row;
    const char *names[] = {"v", "null"}, *numbers[] = {"1", "7"};
    assert_int_equal(
        column_init(*state, &row, parse(*state, "struct<k: string, n: integer>"), 2, &err),
        FRESHET_OK);
    row.children[0] = column_of(*state, string, names, 2);
    row.children[1] = column_of(*state, type_simple(TYPE_INTEGER), numbers, 2);
    assert_int_equal(cast_column(*state, &row, 2, string, &into, &failed, &err), FRESHET_OK);
    assert_string_equal(json_of(*state, &into, 0), "\"{v, 1}\"");
    assert_string_equal(json_of(*state, &into, 1), "\"{null, 7}\"");
}

static void test_no_rows(void **state)
{
    freshet_error err = {0};
    column column, into;
    uint64_t *failed;
    assert_int_equal(column_init(*state, &column, parse(*state, "array<string>"), 0, &err),
                     FRESHET_OK);
    assert_int_equal(
        cast_column(*state, &column, 0, parse(*state, "array<bigint>"), &into, &failed, &err),
        FRESHET_OK);
    assert_null(failed);
}

static void test_messages(void **state)
{
    char longer[200];
    memset(longer, 'x', sizeof longer - 1);
    memcpy(longer + CAST_SHOWN_MAX - 1, "\xC3\xA9", 2); /* the cut falls into a character */
    longer[sizeof longer - 1] = '\0';
    const char *texts[] = {"abc", "\"", longer};
    column column = column_of(*state, type_simple(TYPE_STRING), texts, 3);
    const type *bigint = type_simple(TYPE_BIGINT);
    assert_string_equal(cast_reason(*state, &column, 0, bigint), "cannot cast \"abc\" to bigint");
    assert_string_equal(cast_reason(*state, &column, 1, bigint), "cannot cast \"\\\"\" to bigint");
    const char *shown = cast_shown(*state, &column, 2);
    assert_int_equal(strlen(shown), CAST_SHOWN_MAX - 1 + 2 + 3);
    assert_true(text_is_utf8(shown, strlen(shown)));
    assert_string_equal(shown + strlen(shown) - 4, "\"...");
}

static uint64_t seed = 20240501;

static uint64_t chance(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* What was written is read back as the same. */
static void test_round_trips(void **state)
{
    (void)state;
    char text[CAST_TEXT_MAX];
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = chance() >> (chance() % 64);
        int64_t whole = (int64_t)(chance() & 1 ? bits : -bits), whole_back = 0;
        assert_true(number_integer(text, cast_write_bigint(text, whole), NUMBER_SPARK, INT64_MIN,
                                   INT64_MAX, &whole_back));
        assert_int_equal(whole, whole_back);

        double real, real_back;
        bits = chance();
        memcpy(&real, &bits, sizeof real);
        if (!isnan(real)) {
            assert_true(
                number_double(text, cast_write_double(text, real), NUMBER_SPARK, &real_back));
            assert_memory_equal(&real, &real_back, sizeof real);
        }
        float small, small_back;
        uint32_t half = (uint32_t)bits;
        memcpy(&small, &half, sizeof small);
        if (!isnan(small)) {
            assert_true(
                number_float(text, cast_write_float(text, small), NUMBER_SPARK, &small_back));
            assert_memory_equal(&small, &small_back, sizeof small);
        }
        unsigned scale = (unsigned)(chance() % 39);
        int128 decimal = (int128)(int64_t)chance() * (int64_t)(chance() >> 6), decimal_back;
        if (decimal < number_power_of_ten(38) && decimal > -number_power_of_ten(38)) {
            size_t length = number_write_decimal(text, decimal, scale);
            assert_true(number_decimal(text, length, NUMBER_SPARK, 38, scale, &decimal_back));
            assert_true(decimal == decimal_back);
        }
        int64_t time = (int64_t)chance() / 2, time_back;
        assert_true(timestamp_parse(text, cast_write_timestamp(text, time), &time_back));
        assert_int_equal(time, time_back);
    }
}

/* Short decimals are written without a detour by snprintf, with the digits that it would give. */
static void test_short_decimals(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        char short_text[64], text[CAST_TEXT_MAX + 1], layout[64];
        int decimals = (int)(chance() % 16);
        uint64_t digits = chance() % 1000000000000000 >> (chance() % 50);
        snprintf(short_text, sizeof short_text, "%" PRIu64 "e-%d", digits, decimals);
        double value = strtod(short_text, NULL);
        text[cast_write_double(text, value)] = '\0';
        assert_true(strtod(text, NULL) == value);
        if (value >= 1e-3 && value < 1e7 && value != floor(value)) {
            snprintf(layout, sizeof layout, "%.15g", value);
            assert_string_equal(text, layout);
        }
    }
}

/* The fast way to read doubles (one multiplication) gives what strtod gives. */
static void test_doubles_are_nearest(void **state)
{
    (void)state;
    for (int i = 0; i < 50000; i++) {
        char text[64];
        int length = snprintf(text, sizeof text, "%s%" PRIu64 ".%" PRIu64 "e%d",
                              chance() & 1 ? "-" : "", chance() >> (chance() % 64),
                              chance() >> (chance() % 64), (int)(chance() % 60) - 30);
        double real;
        float small;
        assert_true(number_double(text, (size_t)length, NUMBER_SPARK, &real));
        assert_true(real == strtod(text, NULL));
        float nearest = strtof(text, NULL);
        assert_int_equal(number_float(text, (size_t)length, NUMBER_SPARK, &small), !isinf(nearest));
        assert_true(isinf(nearest) || small == nearest);
    }
}

/* Decimals at another scale, against long division by hand on the digits. */
static void test_rescale_against_digits(void **state)
{
    (void)state;
    char text[CAST_TEXT_MAX];
    for (int i = 0; i < 50000; i++) {
        unsigned from = (unsigned)(chance() % 39), to = (unsigned)(chance() % 39);
        unsigned width = to + (unsigned)(chance() % (39 - to));
        if (width == 0)
            width = 1;
        int128 value = (int128)(int64_t)chance() * (int64_t)(chance() >> (chance() % 64));
        if (value >= number_power_of_ten(38) || value <= -number_power_of_ten(38))
            continue;
        int128 direct = 0, by_text = 0;
        bool fits = cast_rescale(value, from, width, to, &direct);
        size_t length = number_write_decimal(text, value, from);
        assert_int_equal(fits, number_decimal(text, length, NUMBER_SPARK, width, to, &by_text));
        assert_true(!fits || direct == by_text);
    }
}

/* Doubles and floats of decimals are the nearest ones. */
static void test_decimals_to_reals(void **state)
{
    (void)state;
    char text[CAST_TEXT_MAX + 1];
    for (int i = 0; i < 20000; i++) {
        unsigned scale = (unsigned)(chance() % 39);
        int128 value = (int128)(int64_t)chance() * (int64_t)(chance() >> (7 + chance() % 57));
        text[number_write_decimal(text, value, scale)] = '\0';
        assert_true(number_double_of_decimal(value, scale) == strtod(text, NULL));
        assert_true(number_float_of_decimal(value, scale) == strtof(text, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_from_boolean, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_from_integer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_from_bigint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_from_double, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_double_to_string, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_from_float, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_from_decimal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_from_string_to_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_from_string_to_real, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_from_string_to_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_from_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_impossible, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_same_type_is_not_copied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_arrays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nested_to_string, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_messages, set_up, tear_down),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_short_decimals),
        cmocka_unit_test(test_doubles_are_nearest),
        cmocka_unit_test(test_rescale_against_digits),
        cmocka_unit_test(test_decimals_to_reals),
    };
    return cmocka_run_group_tests_name("cast", tests, NULL, NULL);
}
