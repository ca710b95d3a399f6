/* evolution.c - see evolution.h. */
#include "keyed/evolution.h"

#include <stdarg.h>
#include <stdio.h>

#define SAID_MAX 900

const char *const verdict_words[VERDICT_KINDS] = {[VERDICT_SERVED] = "served as it is",
                                                  [VERDICT_NULL] =
                                                      "served, null until the key's next event",
                                                  [VERDICT_FROM_NOW] = "fills from now on",
                                                  [VERDICT_FILLED] = "filled with the past",
                                                  [VERDICT_REMOVED] = "removed",
                                                  [VERDICT_REFUSED] = "cannot be served"};

void evolution_say(evolution *evolution, const char *part, verdict_kind kind,
                   const struct place *at, const char *subject, const char *format, ...)
{
    char said[SAID_MAX];
    va_list values;
    va_start(values, format);
    vsnprintf(said, sizeof said, format, values);
    va_end(values);
    const verdict verdict = {.part = arena_text(evolution->arena, part),
                             .subject = arena_text(evolution->arena, subject),
                             .kind = kind,
                             .said = arena_text(evolution->arena, said),
                             .at = at};
    evolution->no_memory |=
        verdict.part == NULL || verdict.subject == NULL || verdict.said == NULL ||
        !arena_reserve(evolution->arena, &evolution->items, &evolution->capacity,
                       evolution->n + UINT64_C(1), sizeof *evolution->items);
    if (evolution->no_memory)
        return;
    evolution->items[evolution->n++] = verdict;
    evolution->counts[kind]++;
}

const verdict *evolution_first(const evolution *evolution, verdict_kind kind)
{
    for (uint32_t i = 0; i < evolution->n; i++)
        if (evolution->items[i].kind == kind)
            return &evolution->items[i];
    return NULL;
}
