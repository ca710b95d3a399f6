/* groups_fill.c - the past of a key, put into the events that a changed declaration left incomplete
 * (windows/mixing.h), for rows that are still to come.
 *
 * WHAT IS MISSING is what the key's record says, and, of all keys, the events before gone_us: so a
 * key that is not there may have a past, too. The past was read up to the time to which this state
 * had output its rows (groups_fill_until), so it has the events that later windows look at.
 *
 * FILLED TWICE. As long as gone_us counts for the other keys, a key that has been filled says so in
 * its record (GROUP_FILLED), and is passed over. When all keys have been, gone_us is taken back;
 * those whose past was another have it in their records from then on.
 *
 * ROWS that went out are not output again, and none of a time to which others have been. Where open
 * rows are output as they change (emit change, or groups without windows) they are given again at
 * once, with a write timestamp that is one more than it would have been: facts.revision.
 */
#include <string.h>

#include "base/error.h"
#include "rolling/groups_internal.h"
#include "windows/mixing.h"

#define FILLING "filling the groups of a key"

int64_t groups_fill_until(void *self)
{
    return ((const groups_state *)self)->taken_us;
}

int64_t groups_fill_newest(void *self)
{
    return ((const groups_state *)self)->newest_us;
}

/* From when on the past has all events. It ended at its newest event, or here. */
static int64_t past_whole(const groups_state *state)
{
    const int64_t time_us =
        state->past_newest < state->taken_us ? state->past_newest : state->taken_us;
    const group_shape shape = groups_shape(state->plan);
    return state->plan->is_rolling ? groups_kept_from(&shape, time_us)
                                   : group_floor(time_us, SECOND_US);
}

freshet_code groups_fill_open(void *self, const char *layout, int64_t newest_us, freshet_error *err)
{
    groups_state *state = self;
    kept_layout *read = NULL;
    bool has_all = false;
    int64_t wanted_us = state->gone_us == FULL_ALWAYS ? FULL_ALWAYS : state->gone_us - 1;
    wanted_us = wanted_us < state->newest_us ? wanted_us : state->newest_us;
    state->filling = NULL;
    if (newest_us < wanted_us)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the past ends before what was kept begins: make it again, of all rows "
                         "that the stream had read when its declaration changed");
    freshet_code code = layout_read(state->known.arena, layout, &read, err);
    if (code == FRESHET_OK)
        code = layout_match_past(state->known.arena, read, state->plan->events,
                                 &state->known.numbers, &has_all, err);
    if (code == FRESHET_OK && !has_all)
        code = error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the past lacks values that the windows look at");
    state->filling = code == FRESHET_OK ? read : NULL;
    state->past_newest = newest_us;
    return code;
}

/* ---- one key --------------------------------------------------------------------------------- */

/* What is not known of the key. */
static void take_lack(const groups_state *state, const group_entry *entry, fullness *record)
{
    if (entry->record == NULL)
        fullness_from(state->plan->events, FULL_ALWAYS, record);
    else
        memcpy(record, entry->record, groups_record_bytes(state));
    if (record->is_bare == GROUP_FILLED)
        record->is_bare = 0;
    if (state->gone_us > record->whole)
        record->whole = state->gone_us;
}

/* That becomes its record; NULL: it needs none. */
static freshet_code set_lack(groups_state *state, group_entry *entry, const fullness *record,
                             freshet_error *err)
{
    const size_t bytes = groups_record_bytes(state);
    if (record != NULL && entry->record == NULL &&
        (entry->record = memory_take(&state->memory, bytes)) == NULL)
        return error_memory(err, FILLING);
    if (record != NULL) {
        memcpy(entry->record, record, bytes);
        return FRESHET_OK;
    }
    memory_give(&state->memory, entry->record, entry->record == NULL ? 0 : bytes);
    entry->record = NULL;
    return FRESHET_OK;
}

/* The key's newest event at the change, which its past must have; FULL_ALWAYS: nobody knows. */
static int64_t newest_then(const windows_plan *plan, const fullness *record)
{
    int64_t since = FULL_ALWAYS;
    for (uint32_t i = 0; i < plan->n_slots + fullness_parts(plan); i++)
        since = record->since[i] > since ? record->since[i] : since;
    return record->is_bare || since == FULL_ALWAYS ? FULL_ALWAYS : since - 1;
}

/* The rows of the key that are open, and were output as they changed. `own`: its events before. */
static bool groups_give_again(groups_state *state, uint32_t index, const events *own)
{
    const groups_plan *plan = state->plan;
    group_entry *entry = keyed_at(&state->keys, index);
    const events *events = &entry->events;
    if (plan->is_rolling && !plan->declaration.emit_change)
        return true;
    entry->facts.revision++;
    if (!plan->is_rolling) {
        for (int64_t at =
                 events_next(&state->walker, events, group_floor(state->time_us, SECOND_US));
             at != INT64_MAX; at = events_next(&state->walker, events, at + 1))
            if (!groups_add_change(state, index, at, true))
                return false;
        return true;
    }
    for (int64_t end = groups_end_after(plan, entry->facts.after_us);
         end != INT64_MAX &&
         events_next(&state->walker, events, end - groups_longest_us(plan)) != INT64_MAX;
         end = groups_end_after(plan, end))
        if (groups_holds_event(state, events, end) &&
            !groups_add_change(state, index, end, groups_holds_event(state, own, end)))
            return false;
    return true;
}

/* Its rows begin behind those that went out; is a row of nulls due, since the last one held events?
 */
static void settle_facts(groups_state *state, group_entry *entry, bool is_new)
{
    const groups_plan *plan = state->plan;
    group_facts *facts = &entry->facts;
    if (is_new) {
        *facts = (group_facts){.after_us = state->taken_us, .newest_us = INT64_MIN};
        entry->due_us = INT64_MAX;
    }
    if (!plan->is_rolling || plan->is_grid)
        return;
    const int64_t out_us =
        entry->due_us - 1 < state->taken_us ? entry->due_us - 1 : state->taken_us;
    facts->after_us = facts->after_us > out_us ? facts->after_us : out_us;
    int64_t last = INT64_MIN;
    for (uint32_t w = 0; w < plan->n_windows; w++) {
        const int64_t end_us = group_end_after(plan, &plan->windows[w], facts->after_us);
        if (end_us != INT64_MAX && end_us - plan->slide_us > last)
            last = end_us - plan->slide_us;
    }
    facts->owes_nulls |= plan->declaration.nulls_on_expiry && last != INT64_MIN &&
                         groups_holds_event(state, &entry->events, last);
}

static freshet_code put_made(groups_state *state, uint32_t index, events *made, fullness *record,
                             bool is_new, freshet_error *err)
{
    group_entry *entry = keyed_at(&state->keys, index);
    events own = entry->events;
    fullness_from(state->plan->events, FULL_ALWAYS, record);
    record->is_bare = GROUP_FILLED;
    record->rows = (int64_t)state->known.numbers.declared;
    freshet_code code = set_lack(state, entry, state->gone_us == FULL_ALWAYS ? NULL : record, err);
    if (code != FRESHET_OK)
        return code;
    state->n_events += made->n;
    state->n_events -= own.n;
    entry->events = *made;
    *made = (events){0};
    settle_facts(state, entry, is_new);
    if (state->plan->is_rolling)
        groups_evict(state, entry);
    if (!groups_give_again(state, index, &own))
        code = error_memory(err, FILLING);
    events_release(&state->walker, &own);
    return code;
}

static freshet_code mix_group(groups_state *state, uint32_t index, const group_entry *past,
                              bool is_new, state_fill *out, freshet_error *err)
{
    group_entry *entry = keyed_at(&state->keys, index);
    const size_t bytes = groups_record_bytes(state);
    fullness *record = memory_take(&state->memory, bytes);
    events made = {0};
    if (record == NULL)
        return error_memory(err, FILLING);
    take_lack(state, entry, record);
    mixed mixed = {.record = record,
                   .past_whole = past_whole(state),
                   .past_newest = state->past_newest,
                   .reaches = newest_then(state->plan->events, record),
                   .lateness = state->options.lateness_us};
    freshet_code code =
        mix_events_of_key(&mixed, &state->walker, &past->events, &entry->events, &made, out, err);
    if (code == FRESHET_OK && *out == FILL_DONE && is_new && made.n == 0)
        *out = FILL_NOTHING;
    if (code == FRESHET_OK && *out == FILL_DONE)
        code = put_made(state, index, &made, record, is_new, err);
    else if (code == FRESHET_OK && (*out == FILL_SHORT || *out == FILL_OTHER) && !is_new)
        code = set_lack(state, entry, record, err);
    events_release(&state->walker, &made);
    memory_give(&state->memory, record, bytes);
    return code;
}

freshet_code groups_fill(void *self, uint32_t index, bool is_new, const void *bytes, size_t length,
                         state_fill *out, freshet_error *err)
{
    groups_state *state = self;
    group_entry *entry = keyed_at(&state->keys, index), past = {.events = {0}};
    const groups_plan *plan = state->plan;
    *out = FILL_NOTHING;
    if (is_new && (state->gone_us == FULL_ALWAYS || !plan->is_rolling || plan->is_grid)) {
        *out = FILL_UNKNOWN;
        return FRESHET_OK;
    }
    if ((entry->record == NULL && state->gone_us == FULL_ALWAYS) ||
        group_is_filled(state, entry->record))
        return FRESHET_OK;
    known_lend(&state->known, state->filling);
    freshet_code code = groups_restore(state, NULL, &past, bytes, length, err);
    known_take_back(&state->known);
    if (code != FRESHET_OK)
        return code;
    code = mix_group(state, index, &past, is_new, out, err);
    groups_release(state, &past);
    return code;
}

void groups_filled(void *self, uint64_t declared)
{
    groups_state *state = self;
    state->known.filled = declared;
    if (state->known.numbers.declared == declared) /* not at a later start */
        state->gone_us = FULL_ALWAYS;
}
