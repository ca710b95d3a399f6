/* filling.h - in words, what a changed declaration means for the windows of a feature set: which
 * are served at once, and which fill, from when on and until when (keyed/evolution.h). What comes
 * of a key is decided by windows/fullness.h, from its own events; the times here are the latest
 * that any key can have.
 */
#ifndef FRESHET_FEATURES_OPERATORS_FILLING_H
#define FRESHET_FEATURES_OPERATORS_FILLING_H

#include "features/operator.h"
#include "windows/layouts.h"

typedef struct filling {
    evolution *out;
    const char *part;
    arena *arena;
    const windows_plan *windows;
    const kept_layout *last; /* against the plan; NULL: nothing was kept */
    const layout_numbers *numbers;
    layout_reach reach;            /* of now; of rolling windows only numbers.whole counts */
    const many_feature *const *of; /* by output */
    const declared_list *over;     /* NULL: each feature has its own */
    int64_t per_second;            /* times are seconds (1) or microseconds */
    int64_t settled;               /* windows that are full by then are so for all rows to come */
} filling;

/* Where the keys of the set are declared. */
static inline const place *keys_at(const feature_set_block *block)
{
    return &((const key_block *)block->keys.items)->name.at;
}

/* The newest second that the state knows of; INT64_MIN: no row has come. */
#define FILLING_NO_ROW "no row has come yet, so none is missing"
int64_t filling_newest_s(const evolution *evolution);

/* "2026-11-30 10:00:00"; INT64_MAX: "nobody knows when" */
#define FILLING_TIME_MAX 40
const char *filling_time(int64_t second, char into[FILLING_TIME_MAX]);

/* A verdict for each feature whose windows are not all full. Returns how many. */
uint32_t filling_say_features(const filling *filling);

/* A verdict for each value that was kept and nobody looks at any more. */
uint32_t filling_say_gone(const filling *filling);

#endif
