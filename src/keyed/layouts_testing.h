/* layouts_testing.h - for tests whose state part is opened anew by other declarations: the layouts
 * that its saved keys may have, as a checkpoint keeps them. Include it after cmocka.h. */
#ifndef FRESHET_KEYED_LAYOUTS_TESTING_H
#define FRESHET_KEYED_LAYOUTS_TESTING_H

#include <string.h>

#include "keyed/state_part.h"

#define SEEN_LAYOUTS_MAX 16u

typedef struct seen_layouts {
    const char *texts[SEEN_LAYOUTS_MAX], *last; /* NULL: none was saved */
    uint32_t n;
} seen_layouts;

/* The part was saved. */
static inline void layouts_note(seen_layouts *seen, arena *arena, const state_part *part)
{
    uint32_t i = 0;
    seen->last = arena_text(arena, part->layout);
    while (i < seen->n && strcmp(seen->texts[i], seen->last) != 0)
        i++;
    assert_true(i < SEEN_LAYOUTS_MAX);
    seen->texts[i] = seen->last;
    seen->n = i == seen->n ? i + 1 : seen->n;
}

/* The part was opened. */
static inline void layouts_know(const seen_layouts *seen, const state_part *part, void *state)
{
    freshet_error err = {0};
    for (uint32_t i = 0; i < seen->n; i++)
        if (part->ops->know(state, seen->texts[i], &err) != FRESHET_OK)
            fail_msg("%s", err.text);
}

#endif
