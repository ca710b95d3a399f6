/* Expressions of Java: what matches where, what is refused; and random ones beside a plain matcher
 * that goes back on failure, as Java's does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random_testing.h"
#include "functions/regex.h"

static const struct {
    const char *pattern, *text;
    int64_t spans[4]; /* of the whole and of group 1; -2: no match */
} cases[] = {
    {"b", "abc", {1, 2, -1, -1}},
    {"a|ab", "abc", {0, 1, -1, -1}},
    {"(a*?)b", "aab", {0, 3, 0, 2}},
    {"(a|ab)(c|bcd)", "abcd", {0, 4, 0, 1}},
    {"^b", "ab", {-2, -2, -2, -2}},
    {"(?m)^b", "a\nb", {2, 3, -1, -1}},
    {"b$", "ab\n", {1, 2, -1, -1}},
    {"b\\z", "ab\n", {-2, -2, -2, -2}},
    {"(?m)a$", "a\r\nb", {0, 1, -1, -1}},
    {"a.c", "a\nc", {-2, -2, -2, -2}},
    {"(?s)a.c", "a\nc", {0, 3, -1, -1}},
    {"\\bword\\b", "a word.", {2, 6, -1, -1}},
    {"\\bé", "aé é", {4, 6, -1, -1}},
    {"[a-c&&[^b]]+", "bacb", {1, 3, -1, -1}},
    {"[^\\d\\s]+", "12 ab", {3, 5, -1, -1}},
    {"[]a]", "]", {0, 1, -1, -1}},
    {"(?i)ÉA", "Éa", {0, 3, -1, -1}},
    {"\\x41\\u0042\\Q.*\\E", "AB.*", {0, 4, -1, -1}},
    {"(?x) a b # c", "ab", {0, 2, -1, -1}},
    {"(?<name>x)y", "xy", {0, 2, 0, 1}},
    {"a{2,3}", "aaaa", {0, 3, -1, -1}},
    {"(a*)*", "b", {0, 0, -1, -1}},
    {"[\\u00a0]", "à\xC2\xA0", {2, 4, -1, -1}},
    {"\\p{Lu}\\p{L}*", "xÀb", {1, 4, -1, -1}},
    {"(?i)[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[b]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "aB", {1, 2, -1, -1}},
    {"(?=a)", "a", {-3, 0, 0, 0}},
    {"(a)\\1", "aa", {-3, 0, 0, 0}},
    {"a++", "aa", {-3, 0, 0, 0}},
    {"(?>a)", "a", {-3, 0, 0, 0}},
    {"(", "", {-3, 0, 0, 0}},
    {")", "", {-3, 0, 0, 0}},
    {"*a", "", {-3, 0, 0, 0}},
    {"[z-a]", "", {-3, 0, 0, 0}},
    {"a{2,1}", "", {-3, 0, 0, 0}},
    {"{", "", {-3, 0, 0, 0}},
    {"\\", "", {-3, 0, 0, 0}},
    {"\\y", "", {-3, 0, 0, 0}},
    {"(((a{999}){999}){999})", "", {-3, 0, 0, 0}},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        arena *arena = arena_open();
        regex *regex;
        freshet_error err = {0};
        int64_t spans[REGEX_GROUPS_MAX * 2] = {-1, -1, -1, -1}, wanted = cases[i].spans[0];
        freshet_code code =
            regex_compile(arena, cases[i].pattern, strlen(cases[i].pattern), &regex, &err);
        if (wanted == -3) {
            if (code != FRESHET_USAGE || err.text[0] == '\0')
                fail_msg("%s is taken", cases[i].pattern);
        } else {
            if (code != FRESHET_OK)
                fail_msg("%s", err.text);
            bool found = regex_find(regex, cases[i].text, strlen(cases[i].text), 0, spans,
                                    regex_n_groups(regex) + 1);
            if (found != regex_find(regex, cases[i].text, strlen(cases[i].text), 0, NULL, 0))
                fail_msg("%s differs without spans", cases[i].pattern);
            if (!found)
                spans[0] = spans[1] = spans[2] = spans[3] = -2;
            if (memcmp(spans, cases[i].spans, sizeof cases[i].spans) != 0)
                fail_msg("%s in %s: %d to %d, group 1 %d to %d", cases[i].pattern, cases[i].text,
                         (int)spans[0], (int)spans[1], (int)spans[2], (int)spans[3]);
        }
        arena_close(arena);
    }
}

/* ---- a plain twin ---- */

/* A pattern over a, b and . as a string of postfix-free pieces: c, c*, c*?, c?, (x|y). */
static size_t plain_match(const char *p, const char *text);

static bool is_star(const char *p)
{
    return *p == '*' || *p == '?';
}

static bool fits(char p, char c)
{
    return c != '\0' && (p == '.' || p == c);
}

#define NOWHERE ((size_t)-1)

static size_t plain_choice(const char *p, const char *text)
{
    const char *bar = strchr(p, '|'), *end = strchr(p, ')');
    char pattern[200];
    snprintf(pattern, sizeof pattern, "%.*s%s", (int)(bar - p - 1), p + 1, end + 1);
    size_t n = plain_match(pattern, text);
    if (n != NOWHERE)
        return n;
    snprintf(pattern, sizeof pattern, "%.*s%s", (int)(end - bar - 1), bar + 1, end + 1);
    return plain_match(pattern, text);
}

/* How much of the text's beginning the first way takes; NOWHERE: none does. */
static size_t plain_match(const char *p, const char *text)
{
    if (*p == '\0')
        return 0;
    if (*p == '(')
        return plain_choice(p, text);
    if (!is_star(p + 1)) {
        size_t n = fits(*p, *text) ? plain_match(p + 1, text + 1) : NOWHERE;
        return n == NOWHERE ? n : n + 1;
    }
    bool lazy = p[2] == '?', once = p[1] == '?';
    const char *rest = p + 2 + lazy;
    for (int way = 0; way < 2; way++) {
        size_t n = NOWHERE;
        if ((way == 0) == lazy) {
            n = plain_match(rest, text);
        } else if (fits(*p, *text)) {
            n = plain_match(once ? rest : p, text + 1);
            n = n == NOWHERE ? n : n + 1;
        }
        if (n != NOWHERE)
            return n;
    }
    return NOWHERE;
}

static void make_pattern(char *into)
{
    static const char letters[] = "ab.";
    static const char *const tails[] = {"", "", "*", "*?", "?", "??"};
    size_t at = 0;
    for (uint32_t n = 1 + random_below(5); n > 0; n--) {
        if (random_below(5) == 0)
            at += (size_t)sprintf(into + at, "(%c%s|%c)", letters[random_below(3)],
                                  tails[random_below(6)], letters[random_below(3)]);
        else
            at += (size_t)sprintf(into + at, "%c%s", letters[random_below(3)],
                                  tails[random_below(6)]);
    }
}

static void test_beside_a_plain_one(void **state)
{
    (void)state;
    random_state = 7;
    for (int round = 0; round < 20000; round++) {
        char pattern[200] = "", text[12] = "";
        make_pattern(pattern);
        uint32_t length = random_below(10);
        for (uint32_t i = 0; i < length; i++)
            text[i] = random_below(2) == 0 ? 'a' : 'b';
        arena *arena = arena_open();
        regex *regex;
        int64_t spans[REGEX_GROUPS_MAX * 2];
        assert_int_equal(regex_compile(arena, pattern, strlen(pattern), &regex, NULL), FRESHET_OK);
        size_t begin = 0, n = NOWHERE;
        while (begin <= length && (n = plain_match(pattern, text + begin)) == NOWHERE)
            begin++;
        bool found = regex_find(regex, text, length, 0, spans, 1);
        if (found != (n != NOWHERE) ||
            (found && (spans[0] != (int64_t)begin || spans[1] != (int64_t)(begin + n))))
            fail_msg("%s in %s: %d to %d", pattern, text, (int)spans[0], (int)spans[1]);
        arena_close(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_beside_a_plain_one),
    };
    return cmocka_run_group_tests_name("functions/regex", tests, NULL, NULL);
}
