/* cql_values_test.c - values as bytes that are known: by hand, and as the Python driver makes
 * them. */
#include "base/memory_testing.h"
#include "writers/cassandra/cql_values.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void column_of(column *into, const char *type_text)
{
    const type *type = type_parse(memory, type_text);
    assert_non_null(type);
    assert_int_equal(column_init(memory, into, type, 4, NULL), FRESHET_OK);
}

static void assert_bytes(const column *column, uint64_t row, const char *hex)
{
    text_buffer made;
    text_init(&made, 1 << 20);
    assert_true(cql_value_put(&made, column, row));
    assert_false(made.failed);
    char got[512] = "";
    for (size_t i = 0; i < made.length; i++)
        snprintf(got + 2 * i, sizeof got - 2 * i, "%02x", (unsigned char)made.bytes[i]);
    assert_string_equal(got, hex);
    text_release(&made);
}

/* Back from the bytes, and to them again, the value is the same. */
static void assert_returns(const column *from, uint64_t row)
{
    text_buffer first, second;
    cql_value value;
    column back;
    text_init(&first, 1 << 20);
    text_init(&second, 1 << 20);
    assert_true(cql_value_put(&first, from, row));
    const unsigned char *at = (const unsigned char *)first.bytes;
    assert_true(cql_value_next(&at, at + first.length, &value));
    assert_ptr_equal(at, (const unsigned char *)first.bytes + first.length);
    assert_int_equal(column_init(memory, &back, from->type, 1, NULL), FRESHET_OK);
    assert_int_equal(cql_value_get(memory, &value, &back, 0, NULL), FRESHET_OK);
    assert_true(cql_value_put(&second, &back, 0));
    assert_int_equal(first.length, second.length);
    assert_memory_equal(first.bytes, second.bytes, first.length);
    text_release(&first);
    text_release(&second);
}

static void assert_all(const column *column, uint64_t n, const char *const *hex)
{
    for (uint64_t i = 0; i < n; i++) {
        assert_bytes(column, i, hex[i]);
        assert_returns(column, i);
    }
}

static void numbers(void **state)
{
    (void)state;
    column made;
    column_of(&made, "boolean");
    memcpy(made.data, (uint8_t[]){0, 1}, 2);
    assert_all(&made, 2, (const char *[]){"0000000100", "0000000101"});
    column_of(&made, "integer");
    memcpy(made.data, (int32_t[]){0, -1, INT32_MIN, INT32_MAX}, 16);
    assert_all(&made, 4,
               (const char *[]){"0000000400000000", "00000004ffffffff", "0000000480000000",
                                "000000047fffffff"});
    column_of(&made, "bigint");
    memcpy(made.data, (int64_t[]){1, -2, INT64_MIN, INT64_MAX}, 32);
    assert_all(&made, 4,
               (const char *[]){"000000080000000000000001", "00000008fffffffffffffffe",
                                "000000088000000000000000", "000000087fffffffffffffff"});
}

static void floats(void **state)
{
    (void)state;
    column made;
    column_of(&made, "float");
    memcpy(made.data, (float[]){1.5f, -0.0f, INFINITY, FLT_TRUE_MIN}, 16);
    assert_all(&made, 4,
               (const char *[]){"000000043fc00000", "0000000480000000", "000000047f800000",
                                "0000000400000001"});
    column_of(&made, "double");
    memcpy(made.data, (double[]){-1.0, (double)NAN, DBL_MAX, 0.1}, 32);
    assert_all(&made, 4,
               (const char *[]){"00000008bff0000000000000", "000000087ff8000000000000",
                                "000000087fefffffffffffff", "000000083fb999999999999a"});
}

/* 0, 127, 128, -128, -129: where the number of bytes changes; and the widest there is. */
static void decimals(void **state)
{
    (void)state;
    column made;
    column_of(&made, "decimal(10,2)");
    memcpy(made.data, (int128[]){0, 127, 128, -128}, 4 * sizeof(int128));
    assert_all(&made, 4,
               (const char *[]){"000000050000000200", "00000005000000027f", "00000006000000020080",
                                "000000050000000280"});
    memcpy(made.data, (int128[]){-129, -1, 123456789, 256}, 4 * sizeof(int128));
    assert_all(&made, 4,
               (const char *[]){"0000000600000002ff7f", "0000000500000002ff",
                                "0000000800000002075bcd15", "00000006000000020100"});
    column_of(&made, "decimal(38,38)");
    int128 widest = 1;
    for (int i = 0; i < 38; i++)
        widest *= 10;
    memcpy(made.data, (int128[]){widest - 1, 1 - widest}, 2 * sizeof(int128));
    assert_all(&made, 2,
               (const char *[]){"00000014000000264b3b4ca85a86c47a098a223fffffffff",
                                "0000001400000026b4c4b357a5793b85f675ddc000000001"});
}

static void texts(void **state)
{
    (void)state;
    static const char twenty[] = "twenty bytes of text";
    column made;
    column_of(&made, "string");
    cell_text *cells = made.data;
    cells[0] = text_of("", 0);
    cells[1] = text_of("\xc3\xa9", 2);
    cells[2] = text_of(twenty, 20);
    assert_all(&made, 3,
               (const char *[]){"00000000", "00000002c3a9",
                                "000000147477656e7479206279746573206f662074657874"});
    column_of(&made, "binary");
    cells = made.data;
    cells[0] = text_of("", 0);
    cells[1] = text_of("\0\xff", 2);
    assert_all(&made, 2, (const char *[]){"00000000", "0000000200ff"});
}

/* Milliseconds are cut off towards the past, so that a time never moves into the next second. */
static void times(void **state)
{
    (void)state;
    column made;
    column_of(&made, "date");
    memcpy(made.data, (int32_t[]){0, -1, 19844, INT32_MIN}, 16);
    assert_all(&made, 4,
               (const char *[]){"0000000480000000", "000000047fffffff", "0000000480004d84",
                                "0000000400000000"});
    column_of(&made, "timestamp");
    memcpy(made.data, (int64_t[]){0, 1999, -1, -1000}, 32);
    assert_all(&made, 4,
               (const char *[]){"000000080000000000000000", "000000080000000000000001",
                                "00000008ffffffffffffffff", "00000008ffffffffffffffff"});
}

static void arrays(void **state)
{
    (void)state;
    column made;
    column_of(&made, "array<bigint>");
    cell_span *spans = made.data;
    spans[0] = (cell_span){0, 0};
    spans[1] = (cell_span){0, 2};
    assert_int_equal(column_reserve(memory, &made.children[0], 4, NULL), FRESHET_OK);
    memcpy(made.children[0].data, (int64_t[]){7, -1}, 16);
    made.n_elements = 2;
    assert_all(&made, 2,
               (const char *[]){"0000000400000000", "0000001c00000002000000080000000000000007"
                                                    "00000008ffffffffffffffff"});
    column_of(&made, "array<string>");
    spans = made.data;
    spans[0] = (cell_span){0, 2};
    assert_int_equal(column_reserve(memory, &made.children[0], 4, NULL), FRESHET_OK);
    ((cell_text *)made.children[0].data)[0] = text_of("", 0);
    ((cell_text *)made.children[0].data)[1] = text_of("ab", 2);
    made.n_elements = 2;
    assert_all(&made, 1, (const char *[]){"0000000e0000000200000000000000026162"});
}

static void nulls(void **state)
{
    (void)state;
    column made;
    column_of(&made, "double");
    assert_true(column_set_null(memory, &made, 0));
    assert_all(&made, 1, (const char *[]){"ffffffff"});
    column_of(&made, "array<double>");
    assert_true(column_set_null(memory, &made, 0));
    assert_all(&made, 1, (const char *[]){"ffffffff"});
}

static void an_array_with_a_null_is_refused(void **state)
{
    (void)state;
    column made;
    text_buffer into;
    column_of(&made, "array<bigint>");
    ((cell_span *)made.data)[0] = (cell_span){0, 2};
    assert_int_equal(column_reserve(memory, &made.children[0], 4, NULL), FRESHET_OK);
    made.n_elements = 2;
    assert_true(column_set_null(memory, &made.children[0], 1));
    text_init(&into, 1 << 20);
    assert_false(cql_value_put(&into, &made, 0));
    text_release(&into);
}

/* A value of every length that is not its type's, and lists that say more than there is. */
static void damaged_values_are_told(void **state)
{
    (void)state;
    static const char *const types[] = {"boolean",       "integer",   "bigint",
                                        "float",         "double",    "date",
                                        "decimal(10,2)", "timestamp", "array<bigint>"};
    static const unsigned char junk[64] = {0xff, 0x7f, 0xff, 0xff, 0xff};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        column made;
        column_of(&made, types[i]);
        cql_value value = {.bytes = junk, .length = 3};
        freshet_error err;
        assert_int_equal(cql_value_get(memory, &value, &made, 0, &err), FRESHET_FAILED);
        assert_string_not_equal(err.text, "");
    }
    column list;
    column_of(&list, "array<bigint>");
    static const unsigned char long_list[] = {0, 0, 0, 2, 0, 0, 0, 8, 1, 2};
    cql_value value = {.bytes = long_list, .length = sizeof long_list};
    assert_int_equal(cql_value_get(memory, &value, &list, 0, NULL), FRESHET_FAILED);
    const unsigned char *at = long_list + 4;
    assert_false(cql_value_next(&at, long_list + sizeof long_list, &value));
}

static void decimals_of_another_scale(void **state)
{
    (void)state;
    column made;
    column_of(&made, "decimal(10,2)");
    static const unsigned char one_digit[] = {0, 0, 0, 1, 15}, three[] = {0, 0, 0, 3, 15};
    cql_value value = {.bytes = one_digit, .length = 5};
    assert_int_equal(cql_value_get(memory, &value, &made, 0, NULL), FRESHET_OK);
    assert_true(((int128 *)made.data)[0] == 150);
    value.bytes = three;
    assert_int_equal(cql_value_get(memory, &value, &made, 0, NULL), FRESHET_FAILED);
}

static void type_names(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"boolean", "boolean"},
        {"integer", "int"},
        {"bigint", "bigint"},
        {"float", "float"},
        {"double", "double"},
        {"decimal(12,3)", "decimal"},
        {"string", "text"},
        {"binary", "blob"},
        {"date", "date"},
        {"timestamp", "timestamp"},
        {"array<string>", "frozen<list<text>>"},
        {"array<array<integer>>", "frozen<list<frozen<list<int>>>>"},
        {"struct<a: bigint>", NULL},
        {"array<struct<a: bigint>>", NULL},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *name;
        assert_int_equal(cql_type_name(memory, type_parse(memory, names[i][0]), &name, NULL),
                         FRESHET_OK);
        if (names[i][1] == NULL)
            assert_null(name);
        else
            assert_string_equal(name, names[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(floats),
        cmocka_unit_test(decimals),
        cmocka_unit_test(texts),
        cmocka_unit_test(times),
        cmocka_unit_test(arrays),
        cmocka_unit_test(nulls),
        cmocka_unit_test(an_array_with_a_null_is_refused),
        cmocka_unit_test(damaged_values_are_told),
        cmocka_unit_test(decimals_of_another_scale),
        cmocka_unit_test(type_names),
    };
    return cmocka_run_group_tests(tests, open_memory, close_memory);
}
