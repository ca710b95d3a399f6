/* hive_test.c - what the names of folders say. */
#include "formats/hive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "formats/widen.h"

/* All parts of the path, as "name=text" with a blank behind each. */
static const char *parts_of(arena *arena, const char *path)
{
    const char *end = path + hive_folders(path), *all = "";
    hive_part part;

    while (hive_next(&path, end, &part)) {
        size_t length;
        const char *text = hive_text(arena, &part, &length);
        assert_non_null(text);
        assert_int_equal(strlen(text), length);
        all = arena_format(arena, "%s%.*s=%s ", all, (int)part.name_length, part.name, text);
    }
    return all;
}

static void folders_name_columns(void **state)
{
    static const char *const cases[][2] = {
        {"in/day=2024-01-02/country=BR/part-0.json", "day=2024-01-02 country=BR "},
        {"/a=1/b/c=2/x", "a=1 c=2 "},
        {"a=1", ""},
        {"in/a=1.json", ""},
        {"in/=1/a=b=c/a?=1/b\n=2/==/x", ""},
        {"in/a=/x", "a= "},
        {"in/a=A%20B%2fx/b=50%/c=%4/d=%zz/e=%41/x", "a=A B/x b=50% c=%4 d=%zz e=A "},
        {"in/a%20b=1+2/x", "a%20b=1+2 "},
        {"", ""},
        {"//a=1//x", "a=1 "},
    };
    arena *arena = arena_open();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(parts_of(arena, cases[i][0]), cases[i][1]);
    assert_true(hive_has("in/Day=1/x", "day"));
    assert_false(hive_has("in/day=1/x", "da"));
    assert_false(hive_has("in/x/day=1", "day"));
    arena_close(arena);
}

static const char *type_of(arena *arena, const char *value)
{
    const hive_part part = {"a", 1, value, strlen(value)};
    const type *type = hive_type(arena, &part);

    assert_non_null(type);
    return type == &type_unknown ? "unknown" : type_name(arena, type);
}

static void values_look_like_types(void **state)
{
    static const char *const cases[][2] = {
        {"0", "bigint"},
        {"-20", "bigint"},
        {"%31", "bigint"},
        {"9223372036854775807", "bigint"},
        {"9223372036854775808", "string"},
        {"007", "string"},
        {"-0", "string"},
        {"-", "string"},
        {"+5", "string"},
        {"1.5", "string"},
        {"true", "string"},
        {"", "string"},
        {"20240102", "bigint"},
        {"2024-01-02", "date"},
        {"2024-02-30", "string"},
        {"2024-01-02 10%3A00%3A00", "string"},
        {"__HIVE_DEFAULT_PARTITION__", "unknown"},
        {"Null", "unknown"},
    };
    arena *arena = arena_open();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(type_of(arena, cases[i][0]), cases[i][1]);
    arena_close(arena);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_name_columns),
        cmocka_unit_test(values_look_like_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
