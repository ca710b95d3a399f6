/* groups.c - the keys of an aggregated feature set, and when which of their rows is due; see
 * groups.h.
 *
 * A key remembers its events, in the order of time (windows/events.h), and `after`, the last end
 * whose row was output or could have been. From these two follows when its next row is DUE: the
 * earliest end after `after` of a window that holds an event. On a stream all keys stand in a heap
 * by that time, and groups_advance() makes due what has ended:
 *
 *     heap        (12:00, key 7) (12:00, key 3) (13:00, key 9) ...
 *     groups_take takes the first while it is not after the time: answers it, sets `after`, forgets
 *     the
 *                 events that no later window reaches, and puts the key back with its next due time
 *
 * An event that makes a row due earlier pushes a second entry; an entry whose time is not its key's
 * any more is thrown away when it comes up. So the cost of a row is one answer and the logarithm of
 * the number of keys, and a key that nothing happens to costs nothing.
 *
 * Cold keys leave memory where the state is saved. The store lists them by their due time, and
 * groups_take brings those whose time has come in pieces, whenever it has given the rows of all
 * that are in memory (state_part_bring).
 *
 * A key that holds no event and has nothing due is forgotten. Where the state is saved it first
 * waits, empty, until the next checkpoint: so that its saved bytes are deleted, too.
 *
 * CHANGES are the rows that events have changed (groups without windows, and `emit: change`):
 * collected by groups_add as (key, time), each once, and answered when they are taken.
 *
 * In a batch nothing is ever due; groups_finish goes through the keys in the order in which they
 * came. A drained stream does the same.
 */
#include "rolling/groups.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "keyed/cells.h"
#include "rolling/groups_internal.h"

#define ADDING "adding events to groups"
#define TAKING "computing groups"
#define SAVED_LINES 4u /* prefetched of a block that is soon to be saved */
#define ROWS_FIRST 64u
#define HEAP_SLACK 1024u
#define BRING_KEYS 4096u
#define BRING_LAST_KEYS 65536u /* at the end of all input */
#define REVISION_MAX 999999u
#define NOT_BEGUN INT64_MIN /* after_us of a key without a row yet */

/* ---- small things ---------------------------------------------------------------------------- */

static group_entry *group_at(const groups_state *state, uint32_t index)
{
    return keyed_at(&state->keys, index);
}

static bool is_over(const group_entry *entry)
{
    return entry->events.n == 0 && entry->due_us == INT64_MAX;
}

/* ---- as a part of the state ------------------------------------------------------------------ */

static int64_t next_due(const groups_state *state, const group_entry *entry);
static bool push_due(groups_state *state, uint32_t index);

void groups_release(void *self, void *released)
{
    groups_state *state = self;
    group_entry *entry = released;
    state->n_events -= entry->events.n;
    events_release(&state->walker, &entry->events);
    memory_give(&state->memory, entry->record,
                entry->record == NULL ? 0 : groups_record_bytes(state));
    entry->record = NULL;
}

static bool groups_is_empty(void *self, const void *entry)
{
    (void)self;
    return is_over(entry);
}

static bool groups_placed(void *self, uint32_t index)
{
    groups_state *state = self;
    group_entry *entry = group_at(state, index);
    entry->events.is_listed = false; /* known once it has been clean */
    entry->due_us = next_due(state, entry);
    if (entry->due_us == INT64_MAX && state->plan->is_rolling)
        groups_evict(state, entry); /* longer windows of then have looked at its events */
    /* Nobody waits for it any more: the next checkpoint deletes it. Or its first day may be
     * another one since it was listed. */
    if (is_over(entry) || (state->plan->is_grid && entry->facts.after_us == NOT_BEGUN))
        keyed_mark_dirty(&state->keys, index);
    return push_due(state, index);
}

/* One that is due, or has changed and not been answered. */
static bool groups_needs(void *self, uint32_t index)
{
    const groups_state *state = self;
    return state->finishing || state->changes_taken < state->n_changes ||
           group_at(state, index)->due_us <= state->time_us;
}

static bool groups_listed(void *self, uint32_t index, uint32_t i, int64_t *time)
{
    const group_entry *entry = group_at(self, index);
    if (i > 0 || entry->events.is_listed)
        return false;
    *time = next_due(self, entry);
    return *time != INT64_MAX;
}

/* The key is going to change. What is clean, and saved, the store lists under the time that is due
 * now. */
static void mark_changed(groups_state *state, uint32_t index)
{
    group_entry *entry = group_at(state, index);
    if (!entry->head.dirty)
        entry->events.is_listed = entry->head.saved;
    keyed_mark_dirty(&state->keys, index);
}

static void set_due(group_entry *entry, int64_t due_us)
{
    entry->events.is_listed &= due_us == entry->due_us;
    entry->due_us = due_us;
}

static void prefetch_group(void *self, const void *of)
{
    const group_entry *entry = of;
    (void)self;
    if (entry->events.root == NULL)
        return;
    memory_touch(entry->events.root);
    for (uint32_t line = 1; line < SAVED_LINES; line++)
        __builtin_prefetch((const char *)entry->events.root + line * KEYED_LINE);
}

static const state_part_ops part_ops = {.save = groups_save,
                                        .prefetch = prefetch_group,
                                        .restore = groups_restore,
                                        .inspect = groups_inspect,
                                        .is_empty = groups_is_empty,
                                        .placed = groups_placed,
                                        .is_needed = groups_needs,
                                        .listed = groups_listed,
                                        .lists_anew = groups_lists_anew,
                                        .know = groups_know,
                                        .fill_until = groups_fill_until,
                                        .fill_newest = groups_fill_newest,
                                        .fill_open = groups_fill_open,
                                        .fill = groups_fill,
                                        .filled = groups_filled};

const state_part *groups_part(const groups_state *state)
{
    return &state->part;
}

/* ---- opening and closing --------------------------------------------------------------------- */

freshet_code groups_open(const groups_plan *plan, const groups_options *options, groups_state **out,
                         freshet_error *err)
{
    groups_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return error_memory(err, "opening the groups");
    *state = (groups_state){.plan = &state->of_state,
                            .of_state = *plan,
                            .options = *options,
                            .memory = {.fail_after = -1},
                            .gone_us = FULL_ALWAYS,
                            .slid_us = -GROUPS_TIME_MAX,
                            .time_us = -GROUPS_TIME_MAX,
                            .taken_us = -GROUPS_TIME_MAX,
                            .brought_us = -GROUPS_TIME_MAX,
                            .oldest_us = INT64_MAX,
                            .newest_us = INT64_MIN};
    state->part = (state_part){.doing = "restoring groups",
                               .keys = STATE_ON_DEMAND,
                               .ops = &part_ops,
                               .table = &state->keys,
                               .fingerprint = plan->fingerprint,
                               .key_types = plan->declaration.keys,
                               .n_keys = plan->declaration.n_keys,
                               .key_bytes_max = GROUPS_KEY_BYTES_MAX};
    const keyed_options keys = {.memory = &state->memory,
                                .entry_bytes = sizeof(group_entry),
                                .release = groups_release,
                                .self = state};
    text_init(&state->chunk.bytes, GROUPS_SAVED_BYTES_MAX);
    text_init(&state->own.bytes, GROUPS_SAVED_BYTES_MAX);
    freshet_code code = walker_init(&state->walker, plan->events, &state->memory, err);
    if (code == FRESHET_OK) {
        state->cells =
            memory_take(&state->memory, (plan->events->n_slots + 1) * sizeof *state->cells);
        if (state->cells == NULL || !keyed_open(&state->keys, &keys))
            code = error_memory(err, "opening the groups");
    }
    if (code == FRESHET_OK)
        code = groups_open_layout(state, err);
    if (code == FRESHET_OK)
        *out = state;
    else
        groups_close(state);
    return code;
}

void groups_close(groups_state *state)
{
    if (state == NULL)
        return;
    keyed_close(&state->keys);
    memory *memory = &state->memory;
    due_heap_release(&state->heap, memory);
    memory_give(memory, state->changes, state->changes_capacity * sizeof *state->changes);
    memory_give(memory, state->cells, (state->plan->events->n_slots + 1) * sizeof *state->cells);
    walker_release(&state->walker);
    memory_give(memory, state->unknown, state->unknown == NULL ? 0 : groups_record_bytes(state));
    known_close(&state->known);
    text_release(&state->chunk.bytes);
    text_release(&state->own.bytes);
    assert(memory->bytes == 0);
    free(state);
}

void groups_set_options(groups_state *state, const groups_options *options)
{
    assert(keyed_count(&state->keys) == 0 && !state->finishing);
    state->options = *options;
}

/* ---- what is due ----------------------------------------------------------------------------- */

/* The earliest end after `after_us` of any window. */
int64_t groups_end_after(const groups_plan *plan, int64_t after_us)
{
    int64_t next = INT64_MAX;
    for (uint32_t w = 0; w < plan->n_windows; w++) {
        int64_t end = group_end_after(plan, &plan->windows[w], after_us);
        next = end < next ? end : next;
    }
    return next;
}

/* The earliest end after `after_us` of a window that holds an event. */
static int64_t next_held_end(const groups_state *state, const events *events, int64_t after_us)
{
    const groups_plan *plan = state->plan;
    int64_t next = INT64_MAX;
    for (uint32_t w = 0; w < plan->n_windows && events->n > 0; w++) {
        const group_window *window = &plan->windows[w];
        int64_t end = group_end_after(plan, window, after_us);
        if (end == INT64_MAX)
            continue;
        int64_t first = events_next(&state->walker, events, end - window->length_us);
        if (first == INT64_MAX)
            continue;
        if (first >= end)
            end = group_end_after(plan, window, first);
        next = end < next ? end : next;
    }
    return next;
}

/* When the key's next row is to be output; without windows, when its oldest group is to be
 * forgotten. */
static int64_t next_due(const groups_state *state, const group_entry *entry)
{
    const groups_plan *plan = state->plan;
    int64_t after_us = entry->facts.after_us;
    if (!plan->is_rolling) {
        int64_t oldest = events_next(&state->walker, &entry->events, INT64_MIN);
        return oldest == INT64_MAX ? INT64_MAX : group_floor(oldest, SECOND_US) + SECOND_US;
    }
    if (plan->is_grid)
        return groups_end_after(
            plan, after_us == NOT_BEGUN ? group_floor(state->oldest_us, DAY_US) - 1 : after_us);
    return entry->facts.owes_nulls ? groups_end_after(plan, after_us)
                                   : next_held_end(state, &entry->events, after_us);
}

/* Without the entries of keys that have left, or whose time is another by now. */
static void clean_heap(groups_state *state)
{
    uint32_t cursor = 0, index;
    state->heap.n = 0;
    while ((index = keyed_next(&state->keys, &cursor)) != KEY_NONE) {
        const int64_t due_us = group_at(state, index)->due_us;
        if (due_us != INT64_MAX)
            due_heap_push(&state->heap, &state->memory, due_us, index); /* there is room */
    }
}

static bool push_due(groups_state *state, uint32_t index)
{
    const int64_t due_us = group_at(state, index)->due_us;
    if (state->heap.n > HEAP_SLACK + 2 * keyed_count(&state->keys))
        clean_heap(state);
    return !state->options.is_stream || due_us == INT64_MAX ||
           due_heap_push(&state->heap, &state->memory, due_us, index);
}

/* The first due row that has ended, without those that are none any more. */
static const due *first_due(groups_state *state)
{
    const due *first;
    while ((first = due_heap_first(&state->heap, state->time_us)) != NULL) {
        const group_entry *entry = group_at(state, (uint32_t)first->item);
        if (entry->head.used && entry->due_us == first->at)
            return first;
        due_heap_pop(&state->heap);
    }
    return NULL;
}

/* ---- adding ---------------------------------------------------------------------------------- */

bool groups_add_change(groups_state *state, uint32_t entry, int64_t at_us, bool existed)
{
    if (!memory_reserve(&state->memory, &state->changes, &state->changes_capacity,
                        state->n_changes + UINT64_C(1), sizeof *state->changes))
        return false;
    state->changes[state->n_changes] = (change){at_us, entry, state->n_changes, existed};
    state->n_changes++;
    return true;
}

/* Does a window with this end hold an event? */
bool groups_holds_event(const groups_state *state, const events *events, int64_t end_us)
{
    const groups_plan *plan = state->plan;
    for (uint32_t w = plan->n_windows; w-- > 0;)
        if (group_window_ends(plan, &plan->windows[w], end_us))
            return events_next(&state->walker, events, end_us - plan->windows[w].length_us) <
                   end_us;
    return false;
}

/* Do several windows of one length hold an event? */
static bool overlaps(const groups_plan *plan)
{
    return plan->is_rolling && groups_longest_us(plan) > plan->slide_us;
}

/* The last end that is reached. A grid has no further rows at its end. */
static int64_t reached_us(const groups_state *state)
{
    if (!overlaps(state->plan))
        return INT64_MAX;
    if (state->options.is_stream && !state->finishing)
        return state->time_us;
    const int64_t newest_us = state->newest_us > state->time_us ? state->newest_us : state->time_us;
    return state->plan->is_grid || newest_us == INT64_MIN
               ? INT64_MAX
               : groups_end_after(state->plan, newest_us);
}

/* Notes all rows that an event of this time is going to change. */
static bool note_windows(groups_state *state, uint32_t index, int64_t time_us)
{
    const groups_plan *plan = state->plan;
    group_entry *entry = group_at(state, index);
    int64_t after_us = entry->facts.after_us > time_us ? entry->facts.after_us : time_us;
    for (int64_t end = groups_end_after(plan, after_us); end != INT64_MAX;
         end = groups_end_after(plan, end)) {
        bool holds = false;
        for (uint32_t w = 0; w < plan->n_windows && !holds; w++)
            holds = group_window_ends(plan, &plan->windows[w], end) &&
                    end - plan->windows[w].length_us <= time_us;
        if (!holds && end - groups_longest_us(plan) > time_us)
            break;
        if (!holds)
            continue;
        if (!groups_add_change(state, index, end, groups_holds_event(state, &entry->events, end)))
            return false;
        if (end > entry->facts.newest_us && !overlaps(plan))
            entry->facts.newest_us = end;
    }
    return true;
}

static bool note_group(groups_state *state, uint32_t index, int64_t time_us)
{
    group_entry *entry = group_at(state, index);
    group_facts *facts = &entry->facts;
    bool newer = facts->newest_us == INT64_MIN ||
                 group_floor(time_us, SECOND_US) > group_floor(facts->newest_us, SECOND_US);
    facts->revision = newer ? 0 : facts->revision + (facts->revision < REVISION_MAX);
    if (time_us > facts->newest_us)
        facts->newest_us = time_us;
    return groups_add_change(state, index, time_us,
                             events_next(&state->walker, &entry->events, time_us) == time_us);
}

static bool note_changes(groups_state *state, uint32_t index, int64_t time_us)
{
    if (!state->options.is_stream)
        return true;
    if (!state->plan->is_rolling)
        return note_group(state, index, time_us);
    return !state->plan->declaration.emit_change || note_windows(state, index, time_us);
}

/* The earliest end after `after_us` of a window that holds an event of that time. */
static int64_t first_held_end(const groups_plan *plan, int64_t time_us, int64_t after_us)
{
    int64_t first = INT64_MAX;
    for (uint32_t w = 0; w < plan->n_windows; w++) {
        const group_window *window = &plan->windows[w];
        int64_t end = group_end_after(plan, window, time_us > after_us ? time_us : after_us);
        if (end < first && end - window->length_us <= time_us)
            first = end;
    }
    return first;
}

/* The event may make the key's next row due earlier. */
static bool note_due(groups_state *state, uint32_t index, int64_t time_us)
{
    const groups_plan *plan = state->plan;
    group_entry *entry = group_at(state, index);
    int64_t candidate = INT64_MAX;
    if (!state->options.is_stream)
        return true;
    if (!plan->is_rolling)
        candidate = group_floor(time_us, SECOND_US) + SECOND_US;
    else if (plan->is_grid)
        candidate = entry->due_us == INT64_MAX ? next_due(state, entry) : INT64_MAX;
    else if (time_us < entry->due_us)
        candidate = first_held_end(plan, time_us, entry->facts.after_us);
    if (candidate >= entry->due_us)
        return true;
    set_due(entry, candidate);
    return push_due(state, index);
}

/* The entry of the chunk's row number i, made where there is none. */
static freshet_code find_key(groups_state *state, uint32_t i, uint32_t *index, freshet_error *err)
{
    bool is_new;
    const freshet_code code =
        state_part_find_row(&state->part, &state->chunk, i, index, &is_new, err);
    if (code == FRESHET_OK && is_new) {
        group_entry *entry = group_at(state, *index);
        entry->facts.after_us = state->plan->is_grid ? NOT_BEGUN : state->time_us;
        entry->facts.newest_us = INT64_MIN;
        entry->due_us = INT64_MAX;
    }
    return code;
}

static bool add_event(groups_state *state, const groups_input *input, uint32_t index, uint32_t row)
{
    int64_t time_us = input->event_us[row];
    mark_changed(state, index);
    event_place at;
    uint32_t behind;
    if (!gather_picked(state->plan->events, input->columns, row, &state->own, state->cells) ||
        !note_changes(state, index, time_us) ||
        !events_insert(&state->walker, &group_at(state, index)->events, time_us, state->cells, &at,
                       &behind))
        return false;
    state->n_events++;
    state->oldest_us = time_us < state->oldest_us ? time_us : state->oldest_us;
    state->newest_us = time_us > state->newest_us ? time_us : state->newest_us;
    return note_due(state, index, time_us);
}

static int groups_compare_places(const void *a, const void *b)
{
    const change *x = a, *y = b;
    if (x->entry != y->entry)
        return x->entry < y->entry ? -1 : 1;
    if (x->at_us != y->at_us)
        return x->at_us < y->at_us ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

static int compare_numbers(const void *a, const void *b)
{
    const change *x = a, *y = b;
    return x->number < y->number ? -1 : 1;
}

/* Each row once, where it changed first. */
static void unite_changes(groups_state *state)
{
    change *changes = state->changes + state->changes_taken;
    uint32_t n = state->n_changes - state->changes_taken, kept = 0;
    if (n == 0)
        return;
    qsort(changes, n, sizeof *changes, groups_compare_places);
    for (uint32_t i = 0; i < n; i++)
        if (kept == 0 || changes[kept - 1].entry != changes[i].entry ||
            changes[kept - 1].at_us != changes[i].at_us)
            changes[kept++] = changes[i];
    qsort(changes, kept, sizeof *changes, compare_numbers);
    memmove(state->changes, changes, kept * sizeof *changes);
    for (uint32_t i = 0; i < kept; i++)
        state->changes[i].number = i;
    state->n_changes = kept;
    state->changes_taken = 0;
}

static freshet_code add_row(groups_state *state, const groups_input *input, uint32_t i,
                            uint32_t row, freshet_error *err)
{
    uint32_t index;
    const freshet_code code = find_key(state, i, &index, err);
    if (code != FRESHET_OK)
        return code;
    return add_event(state, input, index, row) ? FRESHET_OK : error_memory(err, ADDING);
}

/* Rows [from, from + n). */
static freshet_code add_chunk(groups_state *state, const groups_input *input, uint32_t from,
                              uint32_t n, uint8_t *too_long, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    if (!keyed_chunk_fill(&state->chunk, &state->keys, input->keys, state->plan->declaration.n_keys,
                          from, n, GROUPS_KEY_BYTES_MAX))
        return error_memory(err, ADDING);
    const void *entries[KEYED_CHUNK_ROWS];
    keyed_chunk_prefetch(&state->chunk, &state->keys, n, entries);
    code = state_part_fetch(&state->part, &state->chunk, n, entries, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
        const uint32_t row = from + i;
        const bool skip = input->skip != NULL && input->skip[row];
        too_long[row] = !skip && state->chunk.rows[i].length > GROUPS_KEY_BYTES_MAX;
        if (!skip && !too_long[row])
            code = add_row(state, input, i, row, err);
    }
    return code;
}

/* The oldest event of all keys, of before `was_us`, is of an earlier day than that: with it the
 * rows of a grid's keys begin that have had none yet. */
static bool begin_earlier(groups_state *state, int64_t was_us)
{
    uint32_t cursor = 0, index;
    if (!state->options.is_stream || !state->plan->is_grid || state->oldest_us == was_us ||
        (was_us != INT64_MAX &&
         group_floor(was_us, DAY_US) == group_floor(state->oldest_us, DAY_US)))
        return true;
    while ((index = keyed_next(&state->keys, &cursor)) != KEY_NONE) {
        group_entry *entry = group_at(state, index);
        if (entry->facts.after_us != NOT_BEGUN || next_due(state, entry) == entry->due_us)
            continue;
        mark_changed(state, index);
        set_due(entry, next_due(state, entry));
        if (!push_due(state, index))
            return false;
    }
    return true;
}

freshet_code groups_add(groups_state *state, const groups_input *input, uint8_t *too_long,
                        freshet_error *err)
{
    const int64_t was_us = state->oldest_us;
    assert(!state->finishing);
    for (uint32_t from = 0; from < input->n_rows; from += KEYED_CHUNK_ROWS) {
        const uint32_t rest = input->n_rows - from;
        const freshet_code code = add_chunk(
            state, input, from, rest < KEYED_CHUNK_ROWS ? rest : KEYED_CHUNK_ROWS, too_long, err);
        if (code != FRESHET_OK)
            return code;
    }
    unite_changes(state);
    return begin_earlier(state, was_us) ? FRESHET_OK : error_memory(err, ADDING);
}

bool groups_meet(groups_state *const *states, uint32_t n)
{
    int64_t oldest_us = INT64_MAX, newest_us = INT64_MIN, taken_us = INT64_MAX, gone_us = INT64_MIN;
    bool done = true;
    for (uint32_t i = 0; i < n; i++) {
        oldest_us = states[i]->oldest_us < oldest_us ? states[i]->oldest_us : oldest_us;
        newest_us = states[i]->newest_us > newest_us ? states[i]->newest_us : newest_us;
        gone_us = states[i]->gone_us > gone_us ? states[i]->gone_us : gone_us;
    }
    for (uint32_t i = 0; i < n; i++) {
        groups_state *state = states[i];
        const int64_t was_us = state->oldest_us;
        state->oldest_us = oldest_us;
        state->newest_us = newest_us;
        state->gone_us = gone_us;
        done = begin_earlier(state, was_us) && done;
        if (!state->finishing && !groups_owes(state))
            state->taken_us = state->time_us;
        taken_us = state->taken_us < taken_us ? state->taken_us : taken_us;
    }
    for (uint32_t i = 0; i < n; i++)
        states[i]->taken_us = taken_us;
    return done;
}

void groups_advance(groups_state *state, int64_t time_us)
{
    /* rows up to the time before have been taken: those to come look back on what is there */
    if (state->gone_us != FULL_ALWAYS && state->plan->is_rolling &&
        state->time_us - groups_longest_us(state->plan) > state->gone_us && !groups_owes(state))
        state->gone_us = FULL_ALWAYS;
    if (time_us > state->time_us)
        state->time_us = time_us;
}

int64_t groups_time(const groups_state *state)
{
    return state->time_us;
}

bool groups_is_closed(const groups_state *state, int64_t event_us)
{
    const groups_plan *plan = state->plan;
    if (!plan->is_rolling)
        return group_floor(event_us, SECOND_US) < group_floor(state->time_us, SECOND_US);
    int64_t after_us = state->time_us > event_us ? state->time_us : event_us;
    for (uint32_t w = 0; w < plan->n_windows; w++) {
        const group_window *window = &plan->windows[w];
        if (group_end_after(plan, window, after_us) - window->length_us <= event_us)
            return false;
    }
    return true;
}

freshet_code groups_finish(groups_state *state, freshet_error *err)
{
    if (state->finishing)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "the groups are finished already");
    state->finishing = true;
    return FRESHET_OK;
}

/* ---- taking ---------------------------------------------------------------------------------- */

typedef struct taking {
    groups_state *state;
    arena *arena;
    groups_rows *out;
    uint32_t max_rows;
    uint32_t capacity;
    freshet_error *err;
} taking;

static freshet_code make_column(const taking *taking, column *into, const type *type)
{
    return column_init(taking->arena, into, type, taking->capacity, taking->err);
}

static freshet_code begin_rows(taking *taking)
{
    const groups_plan *plan = taking->state->plan;
    const uint32_t n_keys = plan->declaration.n_keys, n_outputs = plan->events->outputs.n_fields;
    groups_rows *out = taking->out;
    freshet_code code = FRESHET_OK;
    taking->capacity = taking->max_rows < ROWS_FIRST ? taking->max_rows : ROWS_FIRST;
    out->time_us = arena_alloc(taking->arena, taking->capacity * sizeof *out->time_us);
    out->write_us = arena_alloc(taking->arena, taking->capacity * sizeof *out->write_us);
    out->flags = arena_alloc(taking->arena, taking->capacity);
    out->keys = arena_zero(taking->arena, n_keys + (size_t)1, sizeof *out->keys);
    out->outputs = arena_zero(taking->arena, n_outputs + (size_t)1, sizeof *out->outputs);
    if (out->time_us == NULL || out->write_us == NULL || out->flags == NULL || out->keys == NULL ||
        out->outputs == NULL)
        return error_memory(taking->err, TAKING);
    for (uint32_t i = 0; i < n_keys && code == FRESHET_OK; i++)
        code = make_column(taking, &out->keys[i], plan->declaration.keys[i]);
    for (uint32_t i = 0; i < n_outputs && code == FRESHET_OK; i++)
        code = make_column(taking, &out->outputs[i], plan->events->outputs.fields[i].type);
    return code;
}

static freshet_code reserve_row(taking *taking)
{
    const groups_plan *plan = taking->state->plan;
    groups_rows *out = taking->out;
    uint32_t n = out->n_rows, larger = taking->capacity * 2;
    freshet_code code = FRESHET_OK;
    if (n < taking->capacity)
        return FRESHET_OK;
    out->time_us = arena_grow(taking->arena, out->time_us, n * sizeof *out->time_us,
                              larger * sizeof *out->time_us);
    out->write_us = arena_grow(taking->arena, out->write_us, n * sizeof *out->write_us,
                               larger * sizeof *out->write_us);
    out->flags = arena_grow(taking->arena, out->flags, n, larger);
    if (out->time_us == NULL || out->write_us == NULL || out->flags == NULL)
        return error_memory(taking->err, TAKING);
    for (uint32_t i = 0; i < plan->declaration.n_keys && code == FRESHET_OK; i++)
        code = column_reserve(taking->arena, &out->keys[i], larger, taking->err);
    for (uint32_t i = 0; i < plan->events->outputs.n_fields && code == FRESHET_OK; i++)
        code = column_reserve(taking->arena, &out->outputs[i], larger, taking->err);
    taking->capacity = larger;
    return code;
}

static freshet_code groups_put_key_cells(taking *taking, const group_entry *entry)
{
    const unsigned char *at = keyed_key(&entry->head), *end = at + entry->head.length;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; i < taking->state->plan->declaration.n_keys && code == FRESHET_OK; i++)
        code = cells_get(taking->arena, &at, end, &taking->out->keys[i], taking->out->n_rows,
                         taking->err);
    return code;
}

/* The write timestamp: see groups.h. A row that is not its key's newest loses against that. */
static int64_t write_time(const groups_state *state, const group_entry *entry, int64_t at_us,
                          uint64_t n_events)
{
    if (!state->plan->is_rolling) {
        int64_t second = group_floor(at_us, SECOND_US);
        return at_us == entry->facts.newest_us ? second + entry->facts.revision : second - 1;
    }
    if (!state->plan->declaration.emit_change)
        return at_us;
    n_events += entry->facts.revision;
    return at_us + (int64_t)(n_events < REVISION_MAX ? n_events : REVISION_MAX);
}

static bool groups_is_wanted(const groups_state *state, int64_t at_us)
{
    return at_us >= state->options.from_us && at_us <= state->options.until_us;
}

/* Answers the windows that end at that time (or the group of it) into row `row`. */
static bool answer_windows(taking *taking, const group_entry *entry, int64_t at_us, uint32_t row,
                           uint32_t *n)
{
    const groups_plan *plan = taking->state->plan;
    answer_row into = {taking->arena, taking->out->outputs, row, false};
    uint64_t ends = 0;
    for (uint32_t w = 0; w < plan->n_windows; w++)
        ends |= (uint64_t)group_window_ends(plan, &plan->windows[w], at_us) << w;
    const int64_t end_us = plan->is_rolling ? at_us : at_us + 1;
    bool done = events_answer_until(&taking->state->walker, &entry->events, end_us, ends, &into, n);
    if (done && (entry->record != NULL || taking->state->gone_us != FULL_ALWAYS))
        done = groups_null_unknown(taking->state, entry, end_us, &into);
    taking->out->overflow = taking->out->overflow || into.overflow;
    return done;
}

/* Outputs the row. */
static freshet_code put_row(taking *taking, uint32_t index, int64_t at_us, uint8_t flags)
{
    groups_state *state = taking->state;
    group_entry *entry = group_at(state, index);
    groups_rows *out = taking->out;
    freshet_code code = groups_is_wanted(state, at_us) ? reserve_row(taking) : FRESHET_OK;
    if (code != FRESHET_OK || !groups_is_wanted(state, at_us))
        return code;
    uint32_t row = out->n_rows;
    uint32_t n;
    if (!answer_windows(taking, entry, at_us, row, &n))
        return error_memory(taking->err, TAKING);
    out->time_us[row] = at_us;
    out->write_us[row] = write_time(state, entry, at_us, n);
    out->flags[row] = flags;
    code = groups_put_key_cells(taking, entry);
    if (code == FRESHET_OK)
        out->n_rows++;
    return code;
}

static freshet_code take_changes(taking *taking)
{
    groups_state *state = taking->state;
    freshet_code code = FRESHET_OK;
    while (state->changes_taken < state->n_changes && taking->out->n_rows < taking->max_rows &&
           code == FRESHET_OK) {
        const change *change = &state->changes[state->changes_taken++];
        const group_entry *entry = group_at(state, change->entry);
        uint8_t flags = change->existed ? 0 : GROUPS_FIRST;
        if (change->at_us == entry->facts.newest_us)
            flags |= GROUPS_NEWEST;
        code = put_row(taking, change->entry, change->at_us, flags);
    }
    return code;
}

/* Outputs the key's row of that end, unless it was output as it changed, and was reached then. */
static freshet_code close_window(taking *taking, uint32_t index, int64_t end_us)
{
    groups_state *state = taking->state;
    group_entry *entry = group_at(state, index);
    group_facts *facts = &entry->facts;
    const groups_declaration *declaration = &state->plan->declaration;
    bool holds = groups_holds_event(state, &entry->events, end_us);
    uint8_t flags = GROUPS_FIRST;
    if (end_us >= facts->newest_us && end_us <= reached_us(state)) {
        flags |= GROUPS_NEWEST;
        facts->newest_us = end_us;
    }
    bool was_output = holds && declaration->emit_change && state->options.is_stream;
    facts->after_us = end_us;
    facts->owes_nulls = holds && declaration->nulls_on_expiry;
    if (!was_output)
        return put_row(taking, index, end_us, flags);
    return overlaps(state->plan) && (flags & GROUPS_NEWEST) != 0
               ? put_row(taking, index, end_us, GROUPS_NEWEST | GROUPS_AGAIN)
               : FRESHET_OK;
}

/* Forgets what the key's later rows do not need, and says when the next one is due. */
static freshet_code end_row(taking *taking, uint32_t index)
{
    groups_state *state = taking->state;
    group_entry *entry = group_at(state, index);
    groups_evict(state, entry);
    mark_changed(state, index);
    set_due(entry, next_due(state, entry));
    if (!push_due(state, index))
        return error_memory(taking->err, TAKING);
    if (is_over(entry) && !state->keys.is_tracked)
        keyed_drop(&state->keys, index);
    return FRESHET_OK;
}

static freshet_code refuse_days(const taking *taking, int64_t n_days, int64_t last_us)
{
    text_buffer days;
    text_init(&days, TEXT_LIMIT_DEFAULT);
    text_append_c(&days, "from ");
    text_append_date(&days, (int32_t)(taking->state->oldest_us / DAY_US));
    text_append_c(&days, ", the day of the oldest row, to ");
    text_append_date(&days, (int32_t)(last_us / DAY_US));
    freshet_code code = error_set(
        taking->err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
        "each key would get a row for each of %lld days at once, %s; if a time among the rows is "
        "wrong (its `unit`, a null that became 0), leave that row out by the query; if all are "
        "right, say `max_days: %lld` under aggregated.windows",
        (long long)n_days, days.failed ? "" : days.bytes, (long long)n_days);
    text_release(&days);
    return code;
}

/* A grid's rows from `first_us` to `last_us`: not too many at once? */
static freshet_code check_days(const taking *taking, int64_t first_us, int64_t last_us)
{
    const groups_state *state = taking->state;
    const int64_t n_days = last_us / DAY_US - first_us / DAY_US + 1;
    if (!state->plan->is_grid || state->options.max_days == 0 || n_days <= state->options.max_days)
        return FRESHET_OK;
    return refuse_days(taking, n_days, last_us);
}

/* May the store hold keys that have become due since the last ones were brought? */
static bool wants_bring(const groups_state *state)
{
    if (state->keys.bring == NULL || state->time_us <= state->brought_us)
        return false;
    return state->plan->is_rolling
               ? groups_end_after(state->plan, state->brought_us) <= state->time_us
               : group_floor(state->time_us, SECOND_US) > group_floor(state->brought_us, SECOND_US);
}

/* The next due key; *first NULL where there is none, or some were only just brought. */
static freshet_code bring_due(taking *taking, const due **first, bool *more)
{
    groups_state *state = taking->state;
    uint32_t n = 0;
    freshet_code code = FRESHET_OK;
    *first = first_due(state);
    *more = *first != NULL || wants_bring(state);
    if (*first != NULL || !*more)
        return code;
    code = state_part_bring(&state->part, state->time_us, BRING_KEYS, &n, taking->err);
    if (code == FRESHET_OK && n == 0)
        state->brought_us = state->time_us;
    return code;
}

static freshet_code take_due(taking *taking)
{
    groups_state *state = taking->state;
    const due *first = NULL;
    bool more = true;
    freshet_code code = FRESHET_OK;
    while (code == FRESHET_OK && taking->out->n_rows < taking->max_rows) {
        code = bring_due(taking, &first, &more);
        if (code != FRESHET_OK || !more)
            break;
        if (first == NULL)
            continue;
        uint32_t index = (uint32_t)first->item;
        group_entry *entry = group_at(state, index);
        code = check_days(taking, entry->due_us, state->time_us);
        if (code != FRESHET_OK)
            break;
        due_heap_pop(&state->heap);
        if (state->plan->is_rolling)
            code = close_window(taking, index, next_due(state, entry));
        if (code == FRESHET_OK)
            code = end_row(taking, index);
    }
    return code;
}

/* The last end that groups_finish goes to. */
static int64_t last_end(const groups_state *state)
{
    if (!state->plan->is_grid || state->options.until_us != INT64_MAX)
        return state->options.until_us;
    return state->newest_us == INT64_MIN ? INT64_MIN
                                         : group_floor(state->newest_us, DAY_US) + DAY_US;
}

/* The next row of a key that groups_finish has to output; INT64_MAX: none. */
static int64_t next_finished(const groups_state *state, const group_entry *entry)
{
    if (state->plan->is_rolling)
        return next_due(state, entry);
    if (state->options.is_stream)
        return INT64_MAX; /* all were output as they changed */
    int64_t after_us = entry->facts.after_us;
    return events_next(&state->walker, &entry->events,
                       after_us == -GROUPS_TIME_MAX ? after_us : after_us + 1);
}

/* All keys that are in memory are through: the next ones from the store, which may have taken free
 * numbers. */
static freshet_code bring_last(taking *taking)
{
    groups_state *state = taking->state;
    uint32_t n = 0;
    if (state->finish_at < state->keys.n_entries)
        return FRESHET_OK;
    const freshet_code code =
        state_part_bring(&state->part, INT64_MAX, BRING_LAST_KEYS, &n, taking->err);
    if (n > 0)
        state->finish_at = 0;
    return code;
}

static freshet_code take_finished(taking *taking)
{
    groups_state *state = taking->state;
    freshet_code code = bring_last(taking);
    while (code == FRESHET_OK && taking->out->n_rows < taking->max_rows &&
           state->finish_at < state->keys.n_entries) {
        const group_entry *entry = group_at(state, state->finish_at);
        int64_t next = !entry->head.used ? INT64_MAX : next_finished(state, entry);
        if (next == INT64_MAX || next > last_end(state)) {
            state->finish_at++;
            code = bring_last(taking);
            continue;
        }
        code = check_days(taking, next, last_end(state));
        if (code == FRESHET_OK)
            code = close_window(taking, state->finish_at, next);
        if (code == FRESHET_OK && state->options.is_stream)
            code = end_row(taking, state->finish_at);
    }
    return code;
}

freshet_code groups_take(groups_state *state, arena *arena, uint32_t max_rows, groups_rows *out,
                         freshet_error *err)
{
    taking taking = {.state = state, .arena = arena, .out = out, .max_rows = max_rows, .err = err};
    assert(max_rows > 0);
    *out = (groups_rows){0};
    freshet_code code = begin_rows(&taking);
    if (code == FRESHET_OK)
        code = take_changes(&taking);
    if (code == FRESHET_OK && state->changes_taken == state->n_changes) {
        state->changes_taken = state->n_changes = 0;
        code = take_due(&taking);
    }
    if (code == FRESHET_OK && state->finishing)
        code = take_finished(&taking);
    else if (code == FRESHET_OK && !groups_owes(state))
        state->taken_us = state->time_us;
    return code;
}

bool groups_owes(groups_state *state)
{
    return !state->finishing && (state->changes_taken < state->n_changes ||
                                 first_due(state) != NULL || wants_bring(state));
}

bool groups_keeps_owed(const groups_state *state)
{
    return !state->finishing && state->changes_taken == state->n_changes;
}
