/* widen_test.c - the type that holds what two files have. */
#include "formats/widen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef struct widen_case {
    const char *a, *b, *both;
} widen_case;

static const widen_case cases[] = {
    {"bigint", "bigint", "bigint"},
    {"integer", "bigint", "bigint"},
    {"integer", "float", "double"},
    {"bigint", "double", "double"},
    {"float", "double", "double"},
    {"decimal(10,2)", "decimal(12,4)", "decimal(12,4)"},
    {"decimal(10,2)", "decimal(6,4)", "decimal(12,4)"},
    {"decimal(38,2)", "decimal(38,10)", "decimal(38,10)"},
    {"integer", "decimal(6,2)", "decimal(12,2)"},
    {"bigint", "decimal(6,2)", "decimal(21,2)"},
    {"decimal(20,0)", "bigint", "decimal(20,0)"},
    {"decimal(10,2)", "double", "double"},
    {"date", "timestamp", "timestamp"},
    {"date", "bigint", "string"},
    {"boolean", "bigint", "string"},
    {"string", "double", "string"},
    {"binary", "string", "string"},
    {"array<integer>", "array<bigint>", "array<bigint>"},
    {"array<integer>", "bigint", "string"},
    {"struct<a: integer>", "struct<A: double, b: date>", "struct<a: double, b: date>"},
    {"array<struct<a: integer>>", "array<struct<b: date>>", "array<struct<a: integer, b: date>>"},
};

static void widens_to(arena *arena, const char *a, const char *b, const char *both)
{
    const type *made = type_widen(arena, type_parse(arena, a), type_parse(arena, b));
    const type *wanted = type_parse(arena, both);

    assert_non_null(made);
    if (!type_equal(made, wanted))
        fail_msg("%s and %s are %s, not %s", a, b, type_name(arena, made), both);
}

static void the_wider_type_holds_both(void **state)
{
    arena *arena = arena_open();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        widens_to(arena, cases[i].a, cases[i].b, cases[i].both);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (strncmp(cases[i].a, "struct", 6) != 0 && strncmp(cases[i].a, "array<s", 7) != 0)
            widens_to(arena, cases[i].b, cases[i].a, cases[i].both);
    arena_close(arena);
}

static void what_is_not_known_is_what_the_other_is(void **state)
{
    arena *arena = arena_open();
    const type *bigint = type_simple(TYPE_BIGINT);
    const type *none = type_array(arena, &type_unknown), *some = type_array(arena, bigint);

    (void)state;
    assert_ptr_equal(type_widen(arena, &type_unknown, bigint), bigint);
    assert_ptr_equal(type_widen(arena, bigint, &type_unknown), bigint);
    assert_true(type_is_unknown(type_widen(arena, &type_unknown, &type_unknown)));
    assert_true(type_equal(type_widen(arena, none, some), some));
    assert_true(type_equal(type_widen(arena, some, none), some));
    assert_true(type_is_unknown(none));
    assert_false(type_is_unknown(some));
    /* a string is a string, though it looks the same */
    assert_false(type_is_unknown(type_widen(arena, type_simple(TYPE_STRING), &type_unknown)));
    assert_false(type_is_unknown(type_widen(arena, &type_unknown, type_simple(TYPE_STRING))));
    arena_close(arena);
}

static void columns_say_who_decided(void **state)
{
    arena *arena = arena_open();
    const field first[] = {{"a", &type_unknown}, {"b", type_simple(TYPE_BIGINT)}};
    const field second[] = {{"B", type_simple(TYPE_BIGINT)}, {"A", type_simple(TYPE_DATE)}};
    const field third[] = {{"c", type_simple(TYPE_DATE)}, {"b", type_simple(TYPE_DOUBLE)}};
    const schema more[] = {{2, first}, {2, second}, {2, third}};
    const char *files[] = {"1", "2", "3"};
    const char **said_by = NULL;
    schema all = {0};

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(schema_widen(arena, &all, &said_by, &more[i], files[i], NULL), FRESHET_OK);
    assert_int_equal(all.n_fields, 3);
    assert_string_equal(all.fields[0].name, "a");
    assert_int_equal(all.fields[0].type->kind, TYPE_DATE);
    assert_string_equal(said_by[0], "2");
    assert_int_equal(all.fields[1].type->kind, TYPE_DOUBLE);
    assert_string_equal(said_by[1], "3");
    assert_string_equal(all.fields[2].name, "c");
    assert_string_equal(said_by[2], "3");
    arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wider_type_holds_both),
        cmocka_unit_test(what_is_not_known_is_what_the_other_is),
        cmocka_unit_test(columns_say_who_decided),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
