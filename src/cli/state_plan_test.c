/* state_plan_test.c - the differences of two texts, against a plain search for the longest common
 * lines. */
#include "base/random_testing.h"
#include "cli/state_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LINES_MAX 9
#define TEXTS 3000

/* The twin: the most lines (of one letter each) that two texts share, in order. */
static unsigned common(const char *a, const char *b)
{
    if (*a == '\0' || *b == '\0')
        return 0;
    if (a[0] == b[0])
        return 1 + common(a + 2, b + 2);
    const unsigned without_a = common(a + 2, b), without_b = common(a, b + 2);
    return without_a > without_b ? without_a : without_b;
}

static void make_text(char *into)
{
    const unsigned n = random_below(LINES_MAX);
    for (unsigned i = 0; i < n; i++) {
        *into++ = (char)('a' + random_below(3));
        *into++ = '\n';
    }
    *into = '\0';
}

/* The lines of the differences with this sign, and whether they stand in `text` in order. */
static unsigned count(const char *out, char sign, const char *text)
{
    unsigned n = 0;
    for (const char *at = out; *at != '\0'; at = strchr(at, '\n') + 1) {
        assert_int_equal(strncmp(at, "-- ", 3), 0);
        if (at[3] != sign)
            continue;
        text = strchr(text, at[5]);
        assert_non_null(text);
        text++;
        n++;
    }
    return n;
}

static void as_the_twin_says(void **state)
{
    (void)state;
    char was[2 * LINES_MAX + 1], is[2 * LINES_MAX + 1];
    text_buffer out;
    text_init(&out, TEXT_LIMIT_DEFAULT);
    for (int i = 0; i < TEXTS; i++) {
        make_text(was);
        make_text(is);
        text_reset(&out);
        text_append_c(&out, "");
        assert_int_equal(state_plan_differ(was, is, "-- ", &out, NULL), FRESHET_OK);
        const unsigned shared = common(was, is);
        assert_int_equal(count(out.bytes, '-', was), strlen(was) / 2 - shared);
        assert_int_equal(count(out.bytes, '+', is), strlen(is) / 2 - shared);
    }
    text_release(&out);
}

/* Longer ones than are compared line by line: all that is between the ends counts as changed. */
static void very_long_ones(void **state)
{
    (void)state;
    text_buffer was, is, out;
    text_init(&was, TEXT_LIMIT_DEFAULT);
    text_init(&is, TEXT_LIMIT_DEFAULT);
    text_init(&out, TEXT_LIMIT_DEFAULT);
    for (int i = 0; i < 3000; i++) {
        text_format(&was, "%d\n", i);
        text_format(&is, i == 0 || i == 2999 ? "new %d\n" : "%d\n", i);
    }
    assert_int_equal(state_plan_differ(was.bytes, is.bytes, "", &out, NULL), FRESHET_OK);
    assert_int_equal(strncmp(out.bytes, "- 0\n- 1\n", 8), 0);
    assert_non_null(strstr(out.bytes, "- 2999\n+ new 0\n"));
    text_release(&was);
    text_release(&is);
    text_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_twin_says),
        cmocka_unit_test(very_long_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
