/* common_type_test.c - what Spark 3.5 gave for array(a, b), both ways round; and strings among
 * several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "features/common_type.h"

static const char *name_of(arena *arena, const type *type)
{
    return type == NULL ? "none" : type_name(arena, type);
}

static void test_two(void **state)
{
    static const struct {
        const char *a, *b, *common;
    } cases[] = {
        {"integer", "integer", "integer"},
        {"integer", "bigint", "bigint"},
        {"bigint", "float", "float"},
        {"integer", "double", "double"},
        {"float", "double", "double"},
        {"decimal(10,2)", "double", "double"},
        {"decimal(10,2)", "float", "double"},
        {"decimal(10,2)", "integer", "decimal(12,2)"},
        {"decimal(10,2)", "bigint", "decimal(22,2)"},
        {"decimal(10,2)", "decimal(12,8)", "decimal(16,8)"},
        {"decimal(38,0)", "decimal(38,38)", "decimal(38,38)"},
        {"date", "timestamp", "timestamp"},
        {"string", "bigint", "string"},
        {"string", "timestamp", "string"},
        {"string", "decimal(10,2)", "string"},
        {"string", "boolean", "none"},
        {"string", "binary", "none"},
        {"boolean", "integer", "none"},
        {"timestamp", "bigint", "none"},
        {"array<integer>", "array<bigint>", "array<bigint>"},
        {"array<integer>", "array<boolean>", "none"},
        {"array<integer>", "integer", "none"},
        {"struct<a: integer>", "struct<a: integer>", "struct<a: integer>"},
        {"struct<a: integer>", "struct<a: bigint>", "none"},
    };
    arena *arena = arena_open();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const type *a = type_parse(arena, cases[i].a), *b = type_parse(arena, cases[i].b);
        bool no_memory = false;
        assert_string_equal(name_of(arena, common_type(arena, a, b, &no_memory)), cases[i].common);
        assert_string_equal(name_of(arena, common_type(arena, b, a, &no_memory)), cases[i].common);
        assert_false(no_memory);
    }
    arena_close(arena);
}

static void test_strings_count_first(void **state)
{
    arena *arena = arena_open();
    bool no_memory = false;
    const type *types[] = {type_simple(TYPE_TIMESTAMP), type_simple(TYPE_INTEGER),
                           type_simple(TYPE_STRING)};
    (void)state;
    assert_null(common_type_of(arena, types, 2, &no_memory));
    assert_string_equal(name_of(arena, common_type_of(arena, types, 3, &no_memory)), "string");
    assert_string_equal(name_of(arena, common_type_of(arena, types, 1, &no_memory)), "timestamp");
    arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two),
        cmocka_unit_test(test_strings_count_first),
    };
    return cmocka_run_group_tests_name("features/common_type", tests, NULL, NULL);
}
