/* durable_test.c - files of lines whose last line is half. */
#include "base/durable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct half {
    const char *before, *start, *after;
} half;

static void half_lines_go_or_are_ended(void **state)
{
    static const half halves[] = {
        {"", "{\"a\":", ""},
        {"{\"a\":1}\n", "{\"a\":", "{\"a\":1}\n"},
        {"{\"a\":1}\n{\"a\"", "{\"a\":", "{\"a\":1}\n"},
        {"{\"a\":1}\nothers", "{\"a\":", "{\"a\":1}\nothers\n"},
        {"one\ntw", "", "one\n"},
        {"tw", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        char path[] = "/tmp/durable_test_XXXXXX", found[64] = "";
        const int fd = mkstemp(path);
        const off_t size = (off_t)strlen(halves[i].before), now = (off_t)strlen(halves[i].after);
        assert_true(fd >= 0 && durable_write(fd, halves[i].before, (size_t)size));
        assert_int_equal(durable_mend(fd, size, halves[i].start), now);
        assert_int_equal(durable_read(fd, found, sizeof found - 1, 0), now);
        assert_string_equal(found, halves[i].after);
        close(fd);
        unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(half_lines_go_or_are_ended)};
    return cmocka_run_group_tests_name("base/durable", tests, NULL, NULL);
}
