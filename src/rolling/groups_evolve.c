/* groups_evolve.c - the facts of groups, and what another declaration makes of the state; see
 * groups.h.
 *
 * WHICH EVENTS ARE GONE follows from the time and the windows of then: those before all windows
 * that were still to end. With other windows that time is noted, for all keys, since one that is
 * not there may have been forgotten; windows that look back behind it are null. With another slide
 * rows that end up to the time of the change have been output, by the old one.
 *
 * KEYS IN THE STORE are listed by the times at which the windows of then end. Those of now may end
 * earlier: all keys are restored once, and listed anew.
 */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "rolling/groups_internal.h"

#define MAGIC "FGF2"

/* ---- layouts --------------------------------------------------------------------------------- */

size_t groups_record_bytes(const groups_state *state)
{
    const windows_plan *events = state->plan->events;
    return fullness_bytes(events->n_slots, fullness_parts(events));
}

freshet_code groups_open_layout(groups_state *state, freshet_error *err)
{
    const layout_reach reach = {.longest_s = 0}; /* the facts say it of all keys */
    freshet_code code = known_open(&state->known, state->plan->events, &reach, err);
    state->part.layout = state->known.text;
    return code;
}

freshet_code groups_know(void *self, const char *layout, freshet_error *err)
{
    groups_state *state = self;
    freshet_code code = known_tell(&state->known, layout, err);
    const windows_plan *was = state->plan->events, *is = state->known.plan;
    if (code != FRESHET_OK || was == is)
        return code;
    assert(keyed_count(&state->keys) == 0);
    const void **cells = memory_take(&state->memory, (is->n_slots + 1) * sizeof *cells);
    if (cells == NULL)
        return error_memory(err, "taking up the groups");
    memory_give(&state->memory, state->cells, (was->n_slots + 1) * sizeof *state->cells);
    memory_give(&state->memory, state->unknown,
                state->unknown == NULL ? 0 : groups_record_bytes(state));
    state->unknown = NULL;
    walker_release(&state->walker);
    state->cells = cells;
    state->of_state.events = (windows_plan *)is;
    return walker_init(&state->walker, is, &state->memory, err);
}

/* ---- facts ----------------------------------------------------------------------------------- */

group_shape groups_shape(const groups_plan *plan)
{
    group_shape shape = {.slide_us = plan->slide_us,
                         .is_grid = plan->is_grid,
                         .emit_change = plan->declaration.emit_change,
                         .n = plan->n_windows};
    for (uint32_t w = 0; w < plan->n_windows; w++)
        shape.lengths_us[w] = plan->windows[w].length_us;
    return shape;
}

void groups_save_facts(const groups_state *state, text_buffer *into)
{
    const int64_t times[] = {state->time_us, state->oldest_us, state->newest_us,
                             state->gone_us, state->slid_us,   state->taken_us};
    const group_shape shape = groups_shape(state->plan);
    text_append(into, MAGIC, strlen(MAGIC));
    text_append(into, (const char *)times, sizeof times);
    text_append(into, (const char *)&shape,
                offsetof(group_shape, lengths_us) + (size_t)shape.n * sizeof(int64_t));
}

static bool get_bytes(const unsigned char **at, const unsigned char *end, void *into, size_t n)
{
    if ((size_t)(end - *at) < n)
        return false;
    memcpy(into, *at, n);
    *at += n;
    return true;
}

freshet_code groups_restore_facts(groups_state *state, const unsigned char **at,
                                  const unsigned char *end, freshet_error *err)
{
    int64_t times[6];
    char magic[4];
    group_shape *then = &state->then;
    if (!get_bytes(at, end, magic, sizeof magic) || memcmp(magic, MAGIC, sizeof magic) != 0)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the groups were saved by an earlier version of Freshet, and this one "
                         "cannot read them: run that version");
    if (!get_bytes(at, end, times, sizeof times) ||
        !get_bytes(at, end, then, offsetof(group_shape, lengths_us)) || then->n < 1 ||
        then->n > GROUPS_WINDOWS_MAX || then->slide_us < 1 ||
        !get_bytes(at, end, then->lengths_us, (size_t)then->n * sizeof(int64_t)))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved facts of an aggregated feature set are damaged");
    state->time_us = times[0];
    state->oldest_us = times[1];
    state->newest_us = times[2];
    state->gone_us = times[3];
    state->slid_us = times[4];
    state->taken_us = times[5];
    return FRESHET_OK;
}

/* ---- what is not known ----------------------------------------------------------------------- */

/* Forgets the events that no window after `after_us` reaches. */
void groups_evict(groups_state *state, group_entry *entry)
{
    const groups_plan *plan = state->plan;
    int64_t before_us = INT64_MAX;
    if (plan->is_rolling)
        for (uint32_t w = 0; w < plan->n_windows; w++) {
            int64_t begin = group_end_after(plan, &plan->windows[w], entry->facts.after_us) -
                            plan->windows[w].length_us;
            before_us = begin < before_us ? begin : before_us;
        }
    else
        before_us = group_floor(state->time_us, SECOND_US);
    state->n_events -= entry->events.n;
    events_forget(&state->walker, &entry->events, before_us);
    state->n_events += entry->events.n;
    if (entry->record == NULL ||
        (state->gone_us != FULL_ALWAYS && group_is_filled(state, entry->record)) ||
        !fullness_is_behind(state->plan->events, entry->record, before_us))
        return;
    memory_give(&state->memory, entry->record, groups_record_bytes(state));
    entry->record = NULL;
}

/* Windows that look back on what is not known are null. */
bool groups_null_unknown(groups_state *state, const group_entry *entry, int64_t end_us,
                         answer_row *into)
{
    const fullness_row row = {.time = end_us};
    const fullness *record = entry->record;
    if (group_is_filled(state, record))
        return true;
    if (state->gone_us != FULL_ALWAYS && state->unknown == NULL) {
        state->unknown = memory_take(&state->memory, groups_record_bytes(state));
        if (state->unknown == NULL)
            return false;
        fullness_from(state->plan->events, state->gone_us, state->unknown);
    }
    if (record != NULL && !fullness_mask(&state->walker, &entry->events, record, &row, into))
        return false;
    return state->gone_us == FULL_ALWAYS ||
           fullness_mask(&state->walker, &entry->events, state->unknown, &row, into);
}

/* ---- another declaration --------------------------------------------------------------------- */

int64_t groups_next_end(const groups_state *state)
{
    const groups_plan *plan = state->plan;
    int64_t next_us = INT64_MAX;
    for (uint32_t w = 0; w < plan->n_windows; w++) {
        const int64_t end_us = group_end_after(plan, &plan->windows[w], state->time_us);
        next_us = end_us < next_us ? end_us : next_us;
    }
    return next_us;
}

bool groups_slides_anew(const groups_state *state)
{
    return state->then.n > 0 && state->plan->is_rolling &&
           (state->then.slide_us != state->plan->slide_us ||
            (state->then.is_grid != 0) != state->plan->is_grid);
}

/* Are there windows that the state was not kept for? */
static bool has_others(const groups_plan *plan, const group_shape *then)
{
    for (uint32_t w = 0; w < plan->n_windows; w++) {
        bool found = false;
        for (int64_t i = 0; i < then->n; i++)
            found |= then->lengths_us[i] == plan->windows[w].length_us;
        if (!found)
            return true;
    }
    return false;
}

/* From when on the events are there that these windows still want at that time. */
int64_t groups_kept_from(const group_shape *shape, int64_t time_us)
{
    groups_plan plan = {.slide_us = shape->slide_us};
    int64_t from = INT64_MAX;
    for (int64_t i = 0; i < shape->n; i++) {
        const int64_t length_us = shape->lengths_us[i];
        const group_window window = {length_us, shape->is_grid ? 0 : length_us % shape->slide_us};
        const int64_t begin = group_end_after(&plan, &window, time_us) - length_us;
        from = begin < from ? begin : from;
    }
    return from;
}

/* May windows need events that those of then did not? */
static bool reaches_anew(const groups_state *state)
{
    return groups_slides_anew(state) ||
           (state->then.n > 0 && state->plan->is_rolling && has_others(state->plan, &state->then));
}

/* With fewer windows keys are due later than the store lists them. */
bool groups_lists_anew(void *self)
{
    const groups_state *state = self;
    return reaches_anew(state) || (state->then.n > 0 && state->plan->is_rolling &&
                                   state->then.n != state->plan->n_windows);
}

/* A run that was cut off while memory was short may have taken the rows of some keys only. */
static bool has_owed(const groups_state *state)
{
    return state->then.n > 0 && state->plan->is_rolling && state->taken_us < state->time_us;
}

static const char *refuse_groups(const groups_state *state)
{
    const group_shape *then = &state->then;
    if (state->plan->is_rolling && (then->emit_change != 0) != state->plan->declaration.emit_change)
        return "the state was kept for windows that are output at another moment (\"emit\"): which "
               "rows of the open windows went out is not known";
    if (state->plan->is_grid && then->is_grid == 0)
        return "with the slide \"1 day\" each key has a row for each day, and keys without events "
               "were forgotten: \"24 hours\" gives rows where a window holds events";
    return NULL;
}

freshet_code groups_evolve(groups_state *state, const char *last, uint64_t declared,
                           const kept_layout **out, const char **refused, freshet_error *err)
{
    const int64_t newest_us = state->newest_us == INT64_MIN ? state->time_us : state->newest_us;
    const bool slides = groups_slides_anew(state);
    *refused = state->then.n == 0 ? NULL : refuse_groups(state);
    if (reaches_anew(state)) {
        const int64_t from = groups_kept_from(&state->then, state->time_us);
        state->gone_us = from > state->gone_us ? from : state->gone_us;
    }
    if (slides)
        state->slid_us = state->time_us;
    freshet_code code = known_evolve(&state->known, last, declared, newest_us, out, err);
    if (code != FRESHET_OK)
        return code;
    const bool drops = *out != NULL && (*out)->drops;
    if (*refused == NULL && has_owed(state) && (drops || reaches_anew(state)))
        *refused = "rows of windows that have ended were still to go out when the run was cut off: "
                   "let it run once with the declaration of before, stop it, and change it then";
    if (drops && newest_us != INT64_MIN && newest_us >= state->gone_us)
        state->gone_us = newest_us + 1; /* of events before nobody knows which are alike */
    state->known.numbers.whole = state->gone_us;
    return FRESHET_OK;
}

const layout_numbers *groups_numbers(const groups_state *state)
{
    return &state->known.numbers;
}
