/* fuzz_regex.c - bytes as an expression of Java, up to the first zero, and a text: what is taken
 * matches within the text, with spans and without alike, and comes to an end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "functions/regex.h"

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data, *zero = memchr(bytes, 0, size);
    int64_t spans[REGEX_GROUPS_MAX * 2];
    regex *regex;
    if (zero == NULL || size > 2048)
        return 0;
    const char *text = zero + 1;
    size_t length = size - (size_t)(text - bytes), from = 0;
    arena *arena = arena_open();
    if (regex_compile(arena, bytes, (size_t)(zero - bytes), &regex, NULL) == FRESHET_OK) {
        bool any = regex_find(regex, text, length, 0, NULL, 0), more = true;
        size_t n = 0;
        while (more && regex_find(regex, text, length, from, spans, regex_n_groups(regex) + 1)) {
            check(spans[0] >= (int64_t)from && spans[1] >= spans[0] && spans[1] <= (int64_t)length);
            check(n++ <= length);
            more = regex_next(text, length, spans, &from);
        }
        check(any == (n > 0));
    }
    arena_close(arena);
    return 0;
}
