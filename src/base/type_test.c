/* type_test.c - names of types, read and written. */
#include "base/type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void names_read_back(void **state)
{
    (void)state;
    static const struct {
        const char *text, *canonical;
    } cases[] = {
        {"boolean", "boolean"},
        {"INT", "integer"},
        {" long ", "bigint"},
        {"text", "string"},
        {"bytes", "binary"},
        {"decimal", "decimal"},
        {"decimal(10)", "decimal"},
        {"Decimal( 38 , 10 )", "decimal(38,10)"},
        {"array<bigint>", "array<bigint>"},
        {"array < array<decimal(4,2)> >", "array<array<decimal(4,2)>>"},
        {"struct<a: int, b: array<string>>", "struct<a: integer, b: array<string>>"},
    };
    arena *arena = arena_open();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const type *read = type_parse(arena, cases[i].text);
        assert_non_null(read);
        assert_string_equal(type_name(arena, read), cases[i].canonical);
        assert_true(type_equal(read, type_parse(arena, cases[i].canonical)));
        assert_true(type_equal(read, type_keep(arena, read)));
    }
    arena_close(arena);
}

static void what_is_no_type(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",         "strnig",        "array",           "array<>",      "array<int",
        "int x",    "decimal(0)",    "decimal(39)",     "decimal(4,5)", "decimal(4",
        "struct<>", "struct<a int>", "struct<a: int,>", "decimal(-1)",  "array<int>>",
    };
    arena *arena = arena_open();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_null(type_parse(arena, texts[i]));
    assert_string_equal(type_suggest("strnig"), "string");
    assert_string_equal(type_suggest("tiemstamp"), "timestamp");
    assert_null(type_suggest("qqqq"));
    arena_close(arena);
}

static void depth_has_a_limit(void **state)
{
    (void)state;
    arena *arena = arena_open();
    for (unsigned depth = TYPE_DEPTH_MAX; depth <= TYPE_DEPTH_MAX + 1; depth++) {
        char text[1024] = "";
        for (unsigned i = 0; i < depth; i++)
            strcat(text, "array<");
        strcat(text, "int");
        for (unsigned i = 0; i < depth; i++)
            strcat(text, ">");
        if (depth == TYPE_DEPTH_MAX)
            assert_non_null(type_parse(arena, text));
        else
            assert_null(type_parse(arena, text));
    }
    arena_close(arena);
}

static void schemas_find_without_case(void **state)
{
    (void)state;
    const field fields[] = {{"Id", type_simple(TYPE_BIGINT)}, {"name", type_simple(TYPE_STRING)}};
    const schema schema = {.n_fields = 2, .fields = fields};
    assert_int_equal(schema_find(&schema, "id"), 0);
    assert_int_equal(schema_find(&schema, "NAME"), 1);
    assert_int_equal(schema_find(&schema, "x"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_read_back),
        cmocka_unit_test(what_is_no_type),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(schemas_find_without_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
