/* groups_internal.h - between groups_plan.c, groups_bytes.c and groups.c: the plan, and what is saved of a key
 * beside its events. The events themselves, and the walk over them, are windows/events.h's. */
#ifndef FRESHET_ROLLING_GROUPS_INTERNAL_H
#define FRESHET_ROLLING_GROUPS_INTERNAL_H

#include "rolling/groups.h"
#include "windows/events.h"

#define DAY_US INT64_C(86400000000)

typedef struct group_window {
    int64_t length_us;
    int64_t phase_us; /* ends are multiples of the slide plus this */
} group_window;

struct groups_plan {
    groups_declaration declaration;
    windows_plan *events;  /* what is kept of an event, and asked of a window */
    group_window *windows; /* one a stop of its walk, so the shortest first */
    uint32_t n_windows;
    bool is_rolling;
    bool is_grid;
    int64_t slide_us;
    uint64_t fingerprint;
};

/* The smallest end of that window after `after`; INT64_MAX where time ends. */
int64_t group_end_after(const groups_plan *plan, const group_window *window, int64_t after);
/* Does the window have this end? */
static inline bool group_window_ends(const groups_plan *plan, const group_window *window,
                                     int64_t end_us)
{
    return (end_us - window->phase_us) % plan->slide_us == 0;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

/* What is saved of a key beside its events. */
typedef struct group_facts {
    int64_t after_us;  /* the last end that was output, or could have been */
    int64_t newest_us; /* timestamp of the key's newest row */
    uint32_t revision;
    bool owes_nulls;
} group_facts;

void group_bytes_put(const groups_plan *plan, const walker *walker, const group_facts *facts,
                     const events *events, text_buffer *into);
/* Into events that are empty; on failure they stay so. */
freshet_code group_bytes_get(const groups_plan *plan, walker *walker, const void *bytes,
                             size_t length, group_facts *facts, events *events, freshet_error *err);
/* The same in JSON: members with a comma before each (state_part_ops). */
freshet_code group_bytes_show(const groups_plan *plan, walker *walker, const void *bytes,
                              size_t length, text_buffer *into, freshet_error *err);

#endif
