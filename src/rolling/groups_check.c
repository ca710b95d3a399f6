/* groups_check.c - how much groups hold, and whether it is sound; see groups.h. */
#include "base/error.h"
#include "rolling/groups_internal.h"

groups_figures groups_measure(const groups_state *state)
{
    return (groups_figures){keyed_count(&state->keys), state->n_events, state->memory.bytes};
}

freshet_code groups_check(groups_state *state, freshet_error *err)
{
    uint64_t n_events = 0;
    const char *wrong = keyed_check(&state->keys);
    for (uint32_t cursor = 0, i;
         wrong == NULL && (i = keyed_next(&state->keys, &cursor)) != KEY_NONE;) {
        const group_entry *entry = keyed_at(&state->keys, i);
        wrong = events_check(&state->walker, &entry->events);
        n_events += entry->events.n;
    }
    if (wrong == NULL && n_events != state->n_events)
        wrong = "the number of events";
    return wrong == NULL ? FRESHET_OK
                         : error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                                     "the state of a key of groups is inconsistent: %s", wrong);
}
