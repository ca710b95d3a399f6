/* batch_test.c - the cell of a text: each length, with no byte read beside the text. */
#include "base/batch.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The naive twin: byte by byte, and zeros behind a short text. */
static void assert_is_text(const cell_text *cell, const char *bytes, uint32_t length)
{
    unsigned char wanted[16] = {0}, found[16];
    memcpy(wanted, &length, sizeof length);
    if (length <= TEXT_INLINE_MAX)
        memcpy(wanted + 4, bytes, length);
    else {
        memcpy(wanted + 4, bytes, 4);
        memcpy(wanted + 8, (const void *)&bytes, sizeof bytes);
    }
    memcpy(found, cell, sizeof found);
    assert_memory_equal(found, wanted, sizeof wanted);
}

static void test_text_of_each_length(void **state)
{
    (void)state;
    for (uint32_t length = 0; length <= 40; length++) {
        char *bytes = malloc(length == 0 ? 1 : length); /* ASan tells of a byte behind it */
        assert_non_null(bytes);
        for (uint32_t i = 0; i < length; i++)
            bytes[i] = (char)(0xF1 + 29 * i + length);
        const cell_text cell = text_of(bytes, length);
        assert_is_text(&cell, bytes, length);
        assert_memory_equal(text_bytes(&cell), bytes, length);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text_of_each_length)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
