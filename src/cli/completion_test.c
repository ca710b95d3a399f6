/* Words on the shell's line: where they begin, what they may become, how that is shown. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/completion.h"

/* "<how many> <rest>|<first>,<second>..." of what is found. */
static const char *found(const completion *completion, const char *word)
{
    static char said[4096];
    text_buffer rest, list;
    text_init(&rest, 1024);
    text_init(&list, 1024);
    const uint32_t n = completion_find(completion, word, strlen(word), &rest, &list);
    int length = snprintf(said, sizeof said, "%u %s|", n, rest.bytes == NULL ? "" : rest.bytes);
    for (size_t at = 0; at < list.length; at += strlen(list.bytes + at) + 1)
        length += snprintf(said + length, sizeof said - (size_t)length, "%s%s", at == 0 ? "" : ",",
                           list.bytes + at);
    text_release(&rest);
    text_release(&list);
    return said;
}

static void test_find(void **state)
{
    (void)state;
    completion names;
    completion_init(&names);
    assert_string_equal(found(&names, ""), "0 |");
    completion_add_csv(&names,
                       "name\namount\namount__avg\namount__sum\n\"\"\"the key\"\"\"\nSpent\n"
                       "\xc3\xa4pfel\n\xc3\xa5ngstr\xc3\xb6m\n");
    assert_string_equal(found(&names, "am"), "3 ount|amount,amount__avg,amount__sum");
    assert_string_equal(found(&names, "amount"), "3 |amount,amount__avg,amount__sum");
    assert_string_equal(found(&names, "amount__"), "2 |amount__avg,amount__sum");
    assert_string_equal(found(&names, "AMOUNT__S"), "1 um|amount__sum");
    assert_string_equal(found(&names, "amount__sum"), "1 |amount__sum");
    assert_string_equal(found(&names, "sp"), "1 ent|Spent");
    assert_string_equal(found(&names, "\"the"), "1  key\"|\"the key\"");
    assert_string_equal(found(&names, "nothing"), "0 |");
    /* the two begin with the same byte, which is half of a letter */
    completion_release(&names);
    completion_init(&names);
    completion_add_csv(&names, "name\n\xc3\xa4pfel\n\xc3\xa5ngstr\xc3\xb6m\n");
    assert_string_equal(found(&names, ""), "2 |\xc3\xa4pfel,\xc3\xa5ngstr\xc3\xb6m");
    assert_true(completion_has(&names, "\xc3\xa4pfel"));
    assert_false(completion_has(&names, "pfel"));
    completion_release(&names);
}

static void test_limit(void **state)
{
    (void)state;
    completion names;
    completion_init(&names);
    static char name[1 << 20];
    memset(name, 'x', sizeof name);
    for (int i = 0; i < 8; i++)
        completion_add(&names, name, sizeof name);
    completion_add(&names, "more", 4);
    text_buffer rest, list;
    text_init(&rest, TEXT_LIMIT_DEFAULT);
    text_init(&list, TEXT_LIMIT_DEFAULT);
    assert_int_equal(completion_find(&names, "x", 1, &rest, &list), 3);
    text_release(&rest);
    text_release(&list);
    completion_release(&names);
}

static void test_word(void **state)
{
    (void)state;
    assert_int_equal(completion_word("select amo", 10), 7);
    assert_int_equal(completion_word("select amo", 8), 7);
    assert_int_equal(completion_word("select ", 7), 7);
    assert_int_equal(completion_word("", 0), 0);
    assert_int_equal(completion_word("t.amo", 5), 2);
    assert_int_equal(completion_word("sum(\"the", 8), 4);
    assert_int_equal(completion_word("\xc3\xa4p", 3), 0);
}

static void assert_shown(const char *names, size_t length, uint32_t width, const char *expected)
{
    text_buffer list, shown;
    text_init(&list, 1024);
    text_init(&shown, 1024);
    text_append(&list, names, length);
    completion_show(&list, width, 3, &shown);
    assert_string_equal(shown.bytes, expected);
    text_release(&list);
    text_release(&shown);
}

static void test_show(void **state)
{
    (void)state;
    static const char three[] = "amount\0amount__avg\0spent";
    assert_shown(three, sizeof three, 80, "amount       amount__avg  spent\n");
    assert_shown(three, sizeof three, 24, "amount       amount__avg\nspent\n");
    assert_shown(three, sizeof three, 5, "amount\namount__avg\nspent\n");
    static const char four[] = "a\0b\0c\0d";
    assert_shown(four, sizeof four, 3, "a\nb\n... 2 more; type more of the name\n");
}

int main(void)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_word),
        cmocka_unit_test(test_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
