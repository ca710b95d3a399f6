/* macros_test.c - macros take the place of their calls: the text that comes out, in both dialects,
 * and the place in the written text of each of its bytes. Mistakes and values: e2e/macros_test. */
#include "declaration/macros.h"

#include "declaration/declaration_testing.h"
#include "declaration/handle.h"
#include "dialect/dialect.h"

#define N_MACROS 5

/* Each line is a text with calls, and what comes of it. */
typedef struct expected {
    const char *written, *made;
} expected;

static declared_text declared(const char *text)
{
    return (declared_text){.value = text, .at = {.file = "d.yaml", .line = 1, .column = 1}};
}

/* A handle whose query is `sql` with these macros in place:
 *   half(p): p/2.0   minus(p, q): p-q   both(p, q): minus(p, half(q))   six(): 6   field(p): p.a */
static freshet_declaration *expand(int dialect, const char *sql, problems **problems)
{
    static declared_text pq[] = {{.value = "p"}, {.value = "q"}};
    static const char *const names[N_MACROS] = {"half", "minus", "both", "six", "field"};
    static const char *const texts[N_MACROS] = {"p/2.0", "p-q", "minus(p, half(q))", "6", "p.a"};
    static const uint32_t n_parameters[N_MACROS] = {1, 2, 2, 0, 1};
    freshet_declaration *handle = handle_open();
    macro_block *macros = arena_zero(handle->arena, N_MACROS, sizeof *macros);
    for (uint32_t i = 0; i < N_MACROS; i++)
        macros[i] = (macro_block){declared(names[i]), {pq, n_parameters[i]}, declared(texts[i])};
    handle->parsed.dialect = dialect;
    handle->parsed.macros = (declared_blocks){.items = macros, .n = N_MACROS};
    handle->parsed.source.query = declared(sql);
    *problems = problems_open(handle->arena);
    macros_expand(handle, *problems);
    return handle;
}

static const expected everywhere[] = {
    {"a + 1", "a + 1"},
    {"half(a)", "(a/2.0)"},
    {"half(a + 1)", "((a + 1)/2.0)"},
    {"HALF ( a )", "(a/2.0)"},
    {"x * six() + 1", "x * (6) + 1"},
    {"minus(a, b)", "(a-b)"},
    {"minus(q => a, p => b)", "(b-a)"},
    {"minus(a, q => b)", "(a-b)"},
    {"half(half(a))", "(((a/2.0))/2.0)"},
    {"both(a, b)", "((a-((b/2.0))))"},
    {"half(/* one */ a -- two\n)", "(a/2.0)"},
    {"half(f(1, [2, 3]))", "((f(1, [2, 3]))/2.0)"},
    {"field(t) + field(t.u)", "(t.a) + ((t.u).a)"},
    {"t.half(a), half, 'half(1)' /* half(2) */", "t.half(a), half, 'half(1)' /* half(2) */"},
    {"/* x */ six()", "(6)"}, /* what stands before its first word is not kept */
    /* An argument does not join the words beside it: neither a comment nor a longer number. */
    {"minus(a, -)\n + (1)", "(a- -)\n + (1)"},
    {"half(*)", "(* /2.0)"},
    {"minus(-, -b)", "(- -(-b))"},
};

static void assert_made(int dialect, const expected *one)
{
    problems *problems;
    freshet_declaration *handle = expand(dialect, one->written, &problems);
    assert_int_equal(problems_count(problems), 0);
    assert_string_equal(handle->parsed.source.query.value, one->made);
    freshet_declaration_close(handle);
}

static void test_calls_are_replaced(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof everywhere / sizeof *everywhere; i++) {
        assert_made(DIALECT_DUCKDB, &everywhere[i]);
        assert_made(DIALECT_SPARK, &everywhere[i]);
    }
}

static void test_quotes_are_those_of_the_dialect(void **state)
{
    (void)state;
    assert_made(DIALECT_DUCKDB,
                &(expected){"\"half\"(1), $$half(2)$$", "\"half\"(1), $$half(2)$$"});
    assert_made(DIALECT_SPARK, &(expected){"`half`(1), \"half(2)\"", "`half`(1), \"half(2)\""});
    assert_made(DIALECT_DUCKDB, &(expected){"half(p := a)", "(a/2.0)"});
}

/* The byte of `written` that stands where `made` has its n-th `byte`. */
static void assert_place(const char *written, char byte, uint32_t nth, size_t expected)
{
    problems *problems;
    freshet_declaration *handle = expand(DIALECT_DUCKDB, written, &problems);
    const char *made = handle->parsed.source.query.value, *at = made;
    while (*at != '\0' && (*at != byte || nth-- > 0))
        at++;
    size_t offset = (size_t)(at - made);
    assert_int_not_equal(*at, '\0');
    assert_string_equal(macros_written(&handle->parsed, made, &offset), written);
    assert_int_equal(offset, expected);
    freshet_declaration_close(handle);
}

static void test_places_are_those_of_the_written_text(void **state)
{
    (void)state;
    assert_place("x + half(y) * z", 'x', 0, 0);
    assert_place("x + half(y) * z", 'y', 0, 9);  /* an argument: its own */
    assert_place("x + half(y) * z", '/', 0, 4);  /* the macro's own words: the call */
    assert_place("x + half(y) * z", 'z', 0, 14); /* behind it */
    assert_place("minus(q => x, p => y)", 'y', 0, 19);
    assert_place("half(half(y + z))", 'z', 0, 14);
    assert_place("half(half(y + z))", '/', 0, 5); /* the inner one comes first */
    assert_place("half(half(y + z))", '/', 1, 0);
    assert_place("both(y, z)", '/', 0, 0); /* of a macro in a macro: the call that is written */
}

static void test_text_without_calls_is_as_it_was(void **state)
{
    (void)state;
    problems *problems;
    static const char written[] = " /* y */ a -- z";
    freshet_declaration *handle = expand(DIALECT_SPARK, written, &problems);
    size_t offset = 3;
    assert_ptr_equal(handle->parsed.source.query.value, written);
    assert_ptr_equal(macros_written(&handle->parsed, written, &offset), written);
    assert_int_equal(offset, 3);
    freshet_declaration_close(handle);
}

static void test_what_cannot_be_called_is_left(void **state)
{
    static const char *const wrong[] = {"half()",           "half(a, b)",       "minus(a)",
                                        "minus(r => 1, 2)", "minus(p => 1, 2)", "six(1)",
                                        "minus(a, p => b)", "half(minus(1))",   "half(, a)"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        problems *problems;
        freshet_declaration *handle = expand(DIALECT_DUCKDB, wrong[i], &problems);
        assert_int_equal(problems_count(problems), 1);
        assert_ptr_equal(handle->parsed.source.query.value, wrong[i]);
        freshet_declaration_close(handle);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_are_replaced),
        cmocka_unit_test(test_quotes_are_those_of_the_dialect),
        cmocka_unit_test(test_places_are_those_of_the_written_text),
        cmocka_unit_test(test_text_without_calls_is_as_it_was),
        cmocka_unit_test(test_what_cannot_be_called_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
