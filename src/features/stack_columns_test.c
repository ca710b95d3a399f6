/* stack_columns_test.c - patterns against a naive twin of Butterfree's rule, regular expressions as
 * Python's re.match. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random_testing.h"
#include "features/stack_columns.h"
#include "sql/sql_testing.h"

static void test_patterns(void **state)
{
    static const struct {
        const char *pattern, *takes, *leaves;
    } cases[] = {
        {"id_a", "id_a", "id_b"},    {"id_a", "id_axid_a", "id_ax"}, {"id_*", "id_a", "xid_a"},
        {"*id_a", "xid_a", "id_ab"}, {"i*_b", "id_b", "id_a"},       {"!id_*", "name", "id_a"},
        {"aba*aba", "aba", "abab"},  {"*", "anything", NULL},        {"!*", NULL, "anything"},
        {"", "anything", NULL},      {"a*b*c", "a_c", "a_b"},        {"!", NULL, "anything"},
        {"ID_*", "ID_a", "id_a"},    {"!name", "id", "name"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].takes != NULL && !stack_pattern_takes(cases[i].pattern, cases[i].takes))
            fail_msg("\"%s\" does not take %s", cases[i].pattern, cases[i].takes);
        if (cases[i].leaves != NULL && stack_pattern_takes(cases[i].pattern, cases[i].leaves))
            fail_msg("\"%s\" takes %s", cases[i].pattern, cases[i].leaves);
    }
}

/* split("*"), startswith(first) and endswith(last). */
static bool twin(const char *pattern, const char *name)
{
    const bool negates = pattern[0] == '!';
    char text[16];
    snprintf(text, sizeof text, "%s", pattern + negates);
    char *first = text, *last = text;
    for (char *c = text; *c != '\0'; c++)
        if (*c == '*') {
            *c = '\0';
            last = c + 1;
        }
    bool starts = true, ends = strlen(name) >= strlen(last);
    for (size_t i = 0; first[i] != '\0'; i++)
        starts = starts && name[i] == first[i];
    for (size_t i = 0; ends && i < strlen(last); i++)
        ends = name[strlen(name) - 1 - i] == last[strlen(last) - 1 - i];
    return (starts && ends) != negates;
}

static void test_patterns_as_the_twin(void **state)
{
    (void)state;
    random_state = 7;
    for (unsigned i = 0; i < 100000; i++) {
        char pattern[8] = "", name[8] = "";
        for (unsigned k = 0, n = random_below(7); k < n; k++)
            pattern[k] = "ab*!"[random_below(4)];
        for (unsigned k = 0, n = random_below(6); k < n; k++)
            name[k] = "ab"[random_below(2)];
        if (stack_pattern_takes(pattern, name) != twin(pattern, name))
            fail_msg("\"%s\" and \"%s\"", pattern, name);
    }
}

static void test_regular_expressions(void **state)
{
    bench *here = *state;
    static const char *const names[] = {"id_a", "id_b", "id_c", "xid_a", "it's"};
    static const struct {
        const char *regex;
        bool takes[5];
    } cases[] = {
        {"^id_[ab]", {true, true}},
        {"id_", {true, true, true}},
        {"d_a", {false}},
        {"x|id_b", {false, true, false, true}},
        {"it'", {false, false, false, false, true}},
        {".*_a$", {true, false, false, true}},
    };
    freshet_error err = {0};
    sql_problem problem;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool takes[5] = {false};
        must(stack_regex_takes(here->session, here->arena, cases[i].regex, names, 5, takes,
                               &problem, &err),
             &err);
        assert_memory_equal(takes, cases[i].takes, sizeof takes);
    }
    bool takes[5] = {false};
    assert_int_equal(
        stack_regex_takes(here->session, here->arena, "id_[", names, 5, takes, &problem, &err),
        FRESHET_USAGE);
    assert_string_equal(problem.text, "missing ]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_patterns_as_the_twin),
        cmocka_unit_test_setup_teardown(test_regular_expressions, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("features/stack_columns", tests, NULL, NULL);
}
