/* sql_words_test.c - SQL text as words, and in the one form in which texts are compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "sql/sql_words.h"

static void is_plain(const char *sql, const char *expected)
{
    arena *arena = arena_open();
    assert_string_equal(sql_plain(arena, sql), expected);
    arena_close(arena);
}

static void texts_that_mean_the_same(void **state)
{
    (void)state;
    is_plain("", "");
    is_plain(" -- nothing", "");
    is_plain("SELECT  A,b\nFROM t -- all\n WHERE x>=1", "select a, b from t where x >= 1");
    is_plain("a/* one /* two */ three */+b", "a + b");
    is_plain("a /* no end", "a");
    is_plain("Sum ( x )", "sum(x)");
    is_plain("t . \"At\"", "t.\"At\"");
    is_plain("x :: INT", "x::int");
    is_plain("a<-1", "a < - 1");
    is_plain("a ->> '$.B'", "a ->> '$.B'");
    is_plain("1.50e-3+.5", "1.50e-3 + .5");
    is_plain("[1,2][1]", "[1, 2] [1]");
}

static void quoted_texts_stay(void **state)
{
    (void)state;
    is_plain("'It''s  A -- b'", "'It''s  A -- b'");
    is_plain("e'\\'  --'  || 'X'", "e'\\'  --' || 'X'");
    is_plain("$$A  'b' -- $$ ||C", "$$A  'b' -- $$ || c");
    is_plain("$t$ $$ $t$", "$t$ $$ $t$");
    is_plain("$1 + \"A\"\"  b\"", "$1 + \"A\"\"  b\"");
    is_plain("'no end", "'no end");
}

static void words(void **state)
{
    (void)state;
    arena *arena = arena_open();
    uint32_t n;
    const sql_word *found = sql_words(arena, "f(a, (b)) \"Two \"\"words\"\"\" From", &n);
    static const uint32_t depths[] = {0, 0, 1, 1, 1, 2, 1, 0, 0, 0};
    assert_int_equal(n, 10);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(found[i].depth, depths[i]);
    assert_true(sql_word_is(&found[9], "from"));
    assert_true(sql_word_names(&found[8], "two \"WORDS\""));
    assert_false(sql_word_names(&found[8], "two \"word"));
    assert_false(sql_word_names(&found[8], "two \"words\" more"));
    assert_false(sql_word_is(&found[8], "two"));
    assert_string_equal(sql_word_name(arena, &found[8]), "Two \"words\"");
    assert_true(sql_word_names(&found[2], "A"));
    assert_false(sql_word_names(&found[1], "("));
    arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts_that_mean_the_same),
                                       cmocka_unit_test(quoted_texts_stay),
                                       cmocka_unit_test(words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
