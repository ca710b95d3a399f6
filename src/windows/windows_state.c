/* windows_state.c - the state of all keys, and the loop that applies events to it; see
 * windows_state.h.
 *
 * THE PROBLEM. Each event wants, at once, the aggregates of several windows that end at it. Windows
 * slide over events, so events leave them; events come late, so they also arrive in the middle; a
 * key has twenty live events or a million; there are a million keys. And the numbers must not
 * depend on any of this: a result is a function of the events in the window, and of nothing else.
 *
 * NOTHING IS EVER SUBTRACTED. The usual running total, to which an entering event is added and from
 * which a leaving one is taken away, cannot do minima, and with doubles it drifts: after 1e16 has
 * come and gone, the small values that were added to it are lost. So no running totals are kept.
 * The events are, in order, and each answer is computed from them.
 *
 * ONE WALK ANSWERS ALL WINDOWS. Windows that end at the same row are nested: the last hour is the
 * end of the last day. A walk from the newest event to the oldest passes the beginning of the
 * shortest window first; what has been collected there is its answer; the walk goes on to the next
 * window's beginning. Five windows cost as much as the longest alone.
 *
 *        oldest                                          newest
 *     ... e e e | e e e e e e e e | e e e e e | e e e | e e e
 *               ^ 7 days          ^ 1 day     ^ 6 h   ^ 1 h     <-- the walk
 *
 * A KEY WITH FEW EVENTS (64 or fewer) is one block of memory: a word of validity for each slot,
 * then an array of values for each slot, then the seconds. In order of (second, arrival): an event
 * goes behind all of its second, which mostly means at the end. A walk over it is a loop over
 * arrays, a family of aggregates at a time; at this size nothing beats it.
 *
 * A KEY WITH MORE is a directory of such blocks, and for each block it keeps a partial aggregate:
 * what the walk would have collected had it passed the block. Blocks stand in groups of up to 64,
 * and each group has a partial of all its blocks. A walk takes whole groups where the window covers
 * them, then whole blocks, and reads events one by one only in the blocks where a window begins and
 * in the newest one:
 *
 *     directory   [ group                  ] [ group                  ] [ group      ]
 *                   partial                    partial
 *     group       [ block, block, .. block ] [ block, block, .. block ] [ block, bl- ]
 *                   part.  part.    part.      part.  part.    part.      part.
 *                        ^ a window begins in the middle of this block
 *
 * So one answer over a million events merges some hundred partials; and fewer, where a key has many
 * events for its windows: what was collected between them, and of the blocks in which they begin,
 * is remembered from row to row (walks.c). An event at the end changes the newest block only, whose
 * partial nobody asks for. A late event changes one block; that block's partial and its group's are
 * marked stale, and are computed again from their events when a walk wants them (events.c).
 * Partials are thus always those of the events that are there.
 *
 * FUNCTIONS THAT WANT ALL VALUES (the median, the number of distinct ones) have no partial of a
 * fixed size. In a single block the walk holds the values. A directory keeps a tally for each
 * window of such functions, a tree of values with their counts, from which the events that leave
 * the window are removed one by one (slides.c). This is no exception to the first rule: counts are
 * whole numbers, and a value whose count is nothing is gone.
 *
 * EVICTION. An event may go when no row that may still come can see it: when its second is before
 * that of the key's newest event, less the lateness, less the longest fixed window; and when at
 * least the longest row window's number of events (less one) lie between it and that horizon.
 * Single blocks are cleaned when they are full, before they would grow; directories lose whole
 * blocks from the front when the newest block is full. Both only make room: what a walk sees is the
 * same before and after.
 *
 * WHAT A LATE EVENT CHANGES. A row's windows end at the row. An event of second s changes the rows
 * of second s (peers, for fixed windows) and later ones. Only the key's newest row is given again,
 * by a second walk from the end of its second. For row windows the walk begins at the newest row's
 * own place: events of the same second that arrived after it stand behind it, `newest_back` of
 * them.
 *
 * THE TABLE OF KEYS (keyed/keyed_table.h). Key columns are encoded to bytes. Entries are one cache
 * line each, and never move: up to 16 bytes of key, the newest row's time and revision, and the
 * root of the events.
 *
 * MEMORY IS SLOW. At a million keys each event meets three cache misses in a row: slot, entry,
 * block. A batch is therefore taken in pieces of KEYED_CHUNK_ROWS: the keys of all rows are hashed
 * and their slots prefetched; then all entries; then all blocks; then the rows are applied in their
 * order, and find what they need in the cache. This halves the cost of an event.
 */
#include "windows/windows_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "keyed/cells.h"
#include "windows/corrections.h"
#include "windows/key_order.h"
#include "windows/windows_internal.h"

#define BLOCK_LINES 6u /* prefetched of a block: twenty events of one double and a little more */
#define EXPIRY_SLACK 1024u
#define EXPIRY_LAST (INT64_MAX / 1000000) /* no timestamp has room for a later one */
#define BRING_KEYS 4096u
#define APPLYING "applying events to the windows"

static int64_t second_in(const windows_state *state, int64_t event_us)
{
    return state->options.plain_order ? event_us : second_of(event_us);
}

static key_entry *entry_at(const windows_state *state, uint32_t index)
{
    return keyed_at(&state->keys, index);
}

/* Has the key a newest row? */
static bool is_known(const key_entry *entry)
{
    return entry->events.n > 0 || entry->events.has_lost;
}

/* ---- as a part of the state ------------------------------------------------------------------ */

void windows_release(void *self, void *released)
{
    windows_state *state = self;
    key_entry *entry = released;
    state->n_events -= entry->events.n;
    memory_give(&state->memory, entry->piece, piece_bytes_of(state, entry));
    events_release(&state->walker, &entry->events);
}

/* Sets when the key loses its next event. Times of keys that have left memory stay in the heap
 * until there are too many. */
static bool set_expiry(windows_state *state, uint32_t index, int64_t second)
{
    expiry *expiry = &state->expiry;
    if (expiry->heap.n > EXPIRY_SLACK + 2 * keyed_count(&state->keys)) {
        uint32_t cursor = 0, each;
        expiry->heap.n = 0;
        while ((each = keyed_next(&state->keys, &cursor)) != KEY_NONE)
            if (!expiry_again(expiry, each))
                return false;
    }
    return expiry_set(expiry, index, second);
}

/* A key that comes from the store loses its next event when it does, and is listed then: the store
 * may list it under an earlier time, which counted no more once a newer event had come. */
bool windows_placed(void *self, uint32_t index)
{
    windows_state *state = self;
    const key_entry *entry = entry_at(state, index);
    if (!state->options.expires)
        return true;
    expiry_forget(&state->expiry, index);
    if (entry->events.n == 0)
        return true;
    const int64_t newest_s = second_in(state, entry->newest_us);
    const int64_t given_s = given_of(state, entry);
    int64_t next_s =
        events_next_loss(&state->walker, &entry->events, newest_s > given_s ? newest_s : given_s);
    if (next_s > EXPIRY_LAST)
        next_s = EXPIRY_NEVER;
    keyed_mark_dirty(&state->keys, index);
    return set_expiry(state, index, next_s);
}

/* One that is to expire now. Without a list all that lose events are. */
static bool windows_needs(void *self, uint32_t index)
{
    const windows_state *state = self;
    const int64_t second = expiry_of(&state->expiry, index);
    return state->keys.bring == NULL ? second != EXPIRY_NEVER : second <= state->wanted_s;
}

/* The time that counts, not the next loss: this moves with each event of a key that has many. */
static bool windows_listed(void *self, uint32_t index, uint32_t i, int64_t *time)
{
    if (i > 0)
        return false;
    *time = expiry_of(&((windows_state *)self)->expiry, index);
    return *time != EXPIRY_NEVER;
}

static bool windows_lists_anew(void *self)
{
    return ((windows_state *)self)->lists_anew;
}

static void prefetch_key(void *self, const void *of)
{
    const key_entry *entry = of;
    const char *block = entry->events.root;
    (void)self;
    if (block == NULL)
        return;
    memory_touch(block); /* prefetching alone is of no use where the page is not known */
    for (uint32_t line = 1; line < BLOCK_LINES; line++)
        __builtin_prefetch(block + line * KEYED_LINE);
    if (entry->piece != NULL)
        memory_touch(entry->piece);
}

static const state_part_ops part_ops = {.save = windows_save,
                                        .prefetch = prefetch_key,
                                        .restore = windows_restore,
                                        .inspect = windows_inspect,
                                        .know = windows_know,
                                        .fill_open = windows_fill_open,
                                        .fill = windows_fill,
                                        .filled = windows_filled,
                                        .inherit = windows_inherit};

/* Of windows whose keys expire. */
static const state_part_ops expiring_ops = {.save = windows_save,
                                            .prefetch = prefetch_key,
                                            .restore = windows_restore,
                                            .inspect = windows_inspect,
                                            .placed = windows_placed,
                                            .is_needed = windows_needs,
                                            .listed = windows_listed,
                                            .lists_anew = windows_lists_anew,
                                            .know = windows_know,
                                            .fill_open = windows_fill_open,
                                            .fill = windows_fill,
                                            .filled = windows_filled,
                                            .inherit = windows_inherit};

const state_part *windows_part(const windows_state *state)
{
    return &state->part;
}

/* ---- opening and closing ------------------------------------------------------------------- */

freshet_code windows_open(const windows_plan *plan, const windows_options *options,
                          windows_state **out, freshet_error *err)
{
    windows_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return error_memory(err, "opening the windows");
    *state = (windows_state){
        .plan = plan,
        .options = *options,
        .hold_s = INT64_MAX,
        .settled_s = INT64_MIN,
        .wanted_s = INT64_MIN,
        .brought_s = INT64_MIN,
        .given_bytes = options->expires ? sizeof(int64_t) : 0,
        .begun = FULL_ALWAYS,
        .was_begun = FULL_ALWAYS,
        .memory = {.bytes = sizeof *state, .fail_after = -1},
        .part = {.doing = APPLYING,
                 .keys = STATE_ON_DEMAND,
                 .ops = options->expires ? &expiring_ops : &part_ops,
                 .table = &state->keys,
                 .key_types = plan->keys,
                 .n_keys = plan->n_keys,
                 .key_bytes_max = WINDOWS_KEY_BYTES_MAX},
    };
    state->expiry.memory = &state->memory;
    text_init(&state->chunk.bytes, WINDOWS_SAVED_BYTES_MAX);
    text_init(&state->carried, WINDOWS_SAVED_BYTES_MAX);
    const keyed_options keys = {.memory = &state->memory,
                                .entry_bytes = sizeof(key_entry),
                                .release = windows_release,
                                .self = state};
    freshet_code code = walker_init(&state->walker, plan, &state->memory, err);
    if (code == FRESHET_OK) {
        state->cells = memory_take(&state->memory, (plan->n_slots + 1) * sizeof *state->cells);
        if (state->cells == NULL || !keyed_open(&state->keys, &keys))
            code = error_memory(err, "opening the windows");
    }
    if (code == FRESHET_OK)
        code = windows_open_layout(state, err);
    if (code != FRESHET_OK) {
        windows_close(state);
        return code;
    }
    *out = state;
    return FRESHET_OK;
}

void windows_close(windows_state *state)
{
    if (state == NULL)
        return;
    keyed_close(&state->keys);
    memory_give(&state->memory, state->cells, (state->plan->n_slots + 1) * sizeof *state->cells);
    walker_release(&state->walker);
    expiry_release(&state->expiry);
    memory_give(&state->memory, state->again, state->again_capacity * sizeof *state->again);
    text_release(&state->chunk.bytes);
    text_release(&state->carried);
    known_close(&state->known);
    assert(state->memory.bytes == sizeof *state);
    free(state);
}

void windows_hold(windows_state *state, int64_t second)
{
    state->hold_s = second;
}

/* ---- shared with windows_history.c ----------------------------------------------------------- */

freshet_code make_columns(arena *arena, const schema *schema, uint64_t capacity, column **out,
                          freshet_error *err)
{
    column *columns = arena_zero(arena, schema->n_fields + 1, sizeof *columns);
    if (columns == NULL)
        return error_memory(err, "making the columns of windows");
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        const type *type = schema->fields[i].type;
        freshet_code code = column_init_raw(arena, &columns[i], type, capacity, err);
        if (code != FRESHET_OK)
            return code;
    }
    *out = columns;
    return FRESHET_OK;
}

freshet_code make_result(const windows_plan *plan, uint32_t n_rows, arena *arena,
                         windows_result *result, freshet_error *err)
{
    *result = (windows_result){
        .flags = arena_zero(arena, n_rows + (size_t)1, sizeof *result->flags),
        .write_us = arena_zero(arena, n_rows + (size_t)1, sizeof *result->write_us),
    };
    if (result->flags == NULL || result->write_us == NULL)
        return error_memory(err, APPLYING);
    return make_columns(arena, &plan->outputs, n_rows, &result->outputs, err);
}

freshet_code refuse_row(const windows_plan *plan, arena *arena, windows_result *result,
                        uint32_t row, uint32_t at, uint8_t why, freshet_error *err)
{
    result->flags[row] |= why;
    result->write_us[row] = INT64_MIN;
    for (uint32_t i = 0; i < plan->outputs.n_fields; i++)
        if (!column_set_null(arena, &result->outputs[i], at))
            return error_memory(err, APPLYING);
    return FRESHET_OK;
}

/* ---- one row ------------------------------------------------------------------------------- */

/* The batch under way. */
typedef struct application {
    windows_state *state;
    const windows_input *input;
    arena *arena;
    windows_result *result;
    uint32_t refreshed_capacity;
    uint32_t at; /* of the outputs, where those of the row go */
    schema carried;
} application;

static freshet_code apply_memory(freshet_error *err)
{
    return error_memory(err, APPLYING);
}

bool windows_take_piece(windows_state *state, key_entry *entry, bool fills, size_t carried_length)
{
    const size_t before = piece_bytes_of(state, entry);
    const size_t bytes = (fills ? state->record_bytes : 0) + carried_length + state->given_bytes;
    const int64_t given_s = given_of(state, entry);
    if (bytes > 0 && fills == entry->events.is_filling &&
        memory_refit(&state->memory, entry->piece, before, bytes)) {
        entry->carried_length = (uint32_t)carried_length;
        set_given(state, entry, given_s);
        return true;
    }
    unsigned char *piece = bytes == 0 ? NULL : memory_take(&state->memory, bytes);
    if (bytes > 0 && piece == NULL)
        return false;
    if (fills && entry->events.is_filling)
        memcpy(piece, entry->piece, state->record_bytes);
    memory_give(&state->memory, entry->piece, before);
    entry->piece = piece;
    entry->carried_length = (uint32_t)carried_length;
    entry->events.is_filling = fills;
    set_given(state, entry, given_s);
    return true;
}

/* Keeps the carried columns of the row, which is the key's newest now. */
static bool keep_carried(windows_state *state, key_entry *entry, const column *columns,
                         uint32_t row)
{
    const windows_plan *plan = state->plan;
    if (plan->n_carried == 0)
        return true;
    text_buffer *buffer = &state->carried;
    text_reset(buffer);
    for (uint32_t i = 0; i < plan->n_carried; i++)
        cells_put(buffer, &columns[plan->carried[i]], row, false);
    if (buffer->failed)
        return false;
    if ((entry->piece == NULL || buffer->length != entry->carried_length) &&
        !windows_take_piece(state, entry, entry->events.is_filling, buffer->length))
        return false;
    memcpy(carried_of(state, entry), buffer->bytes, buffer->length);
    return true;
}

/* Rows of that second and later may still come to a key whose newest is of second `newest_s`. */
int64_t windows_horizon(const windows_state *state, int64_t newest_s)
{
    int64_t horizon;
    if (__builtin_sub_overflow(newest_s, state->options.lateness_s, &horizon))
        horizon = INT64_MIN;
    return horizon < state->hold_s ? horizon : state->hold_s;
}

/* True if an event of that second, with `behind` events behind it, lies in a window of the newest
 * row. */
static bool reaches_newest(const windows_state *state, const key_entry *entry, int64_t second,
                           uint32_t behind)
{
    const windows_plan *plan = state->plan;
    int64_t newest_s = second_in(state, entry->newest_us);
    if (entry->events.lacks_newest)
        return false;
    if (plan->longest_s >= 0 && second >= newest_s - plan->longest_s)
        return true;
    return behind >= entry->newest_back && behind - entry->newest_back < plan->longest_rows;
}

/* Answers the windows that end at that second; those that are not full yet are null. */
static bool answer(windows_state *state, const key_entry *entry, int64_t second, event_end fixed,
                   event_end rows, answer_row *into)
{
    if (!events_answer(&state->walker, &entry->events, second, fixed, rows, into))
        return false;
    if (!entry->events.is_filling || windows_is_filled(state, entry))
        return true;
    const bool is_any = state->options.take_late;
    const fullness_row row = {
        .time = second,
        .n_before = entry->events.n - rows.behind,
        .is_any = is_any,
        .is_late = is_any && second < windows_horizon(state, second_in(state, entry->newest_us))};
    return fullness_mask(&state->walker, &entry->events, fullness_at(entry), &row, into);
}

static freshet_code reserve_refreshed(application *application, freshet_error *err)
{
    windows_result *result = application->result;
    arena *arena = application->arena;
    uint32_t n = result->n_refreshed, capacity = application->refreshed_capacity;
    const windows_plan *plan = application->state->plan;
    if (n < capacity)
        return FRESHET_OK;
    uint32_t larger = capacity == 0 ? 64 : capacity * 2;
    freshet_code code = FRESHET_OK;
    if (capacity == 0)
        code = make_columns(arena, &plan->outputs, larger, &result->refreshed_outputs, err);
    if (capacity == 0 && code == FRESHET_OK)
        code = make_columns(arena, &application->carried, larger, &result->refreshed_carried, err);
    for (uint32_t i = 0; capacity > 0 && i < plan->outputs.n_fields && code == FRESHET_OK; i++)
        code = column_reserve(arena, &result->refreshed_outputs[i], larger, err);
    for (uint32_t i = 0; capacity > 0 && i < plan->n_carried && code == FRESHET_OK; i++)
        code = column_reserve(arena, &result->refreshed_carried[i], larger, err);
    if (code != FRESHET_OK)
        return code;
    windows_refreshed *grown =
        arena_grow(arena, result->refreshed, capacity * sizeof *grown, larger * sizeof *grown);
    if (grown == NULL)
        return apply_memory(err);
    result->refreshed = grown;
    application->refreshed_capacity = larger;
    return FRESHET_OK;
}

/* Gives a row of the key again, because of row `row`. */
static freshet_code give_again(application *application, const key_entry *entry, const old_row *old,
                               uint32_t row, freshet_error *err)
{
    windows_state *state = application->state;
    windows_result *result = application->result;
    freshet_code code = reserve_refreshed(application, err);
    if (code != FRESHET_OK)
        return code;
    uint32_t n = result->n_refreshed;
    answer_row into = {application->arena, result->refreshed_outputs, n, false};
    event_end fixed = {events_end(&entry->events, old->peers_back), old->peers_back};
    event_end rows = {events_end(&entry->events, old->back), old->back};
    state->walker.remember = old->is_newest;
    if (!answer(state, entry, second_in(state, old->event_us), fixed, rows, &into))
        return apply_memory(err);
    const unsigned char *at = old->carried;
    for (uint32_t i = 0; i < state->plan->n_carried && code == FRESHET_OK; i++)
        code = cells_get(application->arena, &at, old->carried_end, &result->refreshed_carried[i],
                         n, err);
    if (code != FRESHET_OK)
        return code;
    result->refreshed[n] = (windows_refreshed){
        .row = row,
        .flags = (uint8_t)((into.overflow ? WINDOWS_OVERFLOW : 0) |
                           (old->is_newest ? WINDOWS_NEWEST : 0)),
        .event_us = old->event_us,
        .write_us =
            write_time(second_in(state, old->event_us), old->is_newest ? entry->revision : 0),
    };
    result->n_refreshed++;
    result->flags[row] |= WINDOWS_REFRESHED;
    return FRESHET_OK;
}

static freshet_code refresh(application *application, const key_entry *entry, uint32_t row,
                            freshet_error *err)
{
    const old_row newest = {.back = entry->newest_back,
                            .event_us = entry->newest_us,
                            .carried = carried_of(application->state, entry),
                            .carried_end =
                                carried_of(application->state, entry) + entry->carried_length,
                            .is_newest = true};
    return give_again(application, entry, &newest, row, err);
}

/* Gives those rows again that the event of row `row`, with `behind` events behind it, has changed;
 * but for the newest. */
static freshet_code correct(application *application, const key_entry *entry, uint32_t behind,
                            uint32_t row, freshet_error *err)
{
    windows_state *state = application->state;
    corrections corrections;
    old_row old;
    if (state->plan->row_slot == WINDOWS_NONE)
        return FRESHET_OK;
    corrections_begin(&corrections, &state->walker, &entry->events, behind);
    freshet_code code = FRESHET_OK;
    while (code == FRESHET_OK && corrections_next(&corrections, &old))
        if (old.back != entry->newest_back || entry->events.lacks_newest)
            code = give_again(application, entry, &old, row, err);
    return code;
}

/* An event of that second has been added: does the key lose one sooner than it was known? */
static bool note_loss(windows_state *state, const key_entry *entry, uint32_t index, int64_t second)
{
    const window_walk *walk = &state->plan->walks[WINDOW_FIXED];
    const int64_t newest_s = second_in(state, entry->newest_us);
    for (uint32_t i = 0; i < walk->n_stops; i++) { /* the shortest first */
        int64_t lost_s;
        if (__builtin_add_overflow(second, walk->stops[i].length + 1, &lost_s))
            break;
        if (lost_s > newest_s)
            return set_expiry(state, index, lost_s);
    }
    return true;
}

/* Where no window wants any, those behind the newest row go, too. */
static void evict_events(windows_state *state, key_entry *entry, int64_t horizon_s)
{
    state->n_events -= entry->events.n;
    events_evict(&state->walker, &entry->events, horizon_s);
    state->n_events += entry->events.n;
    if (entry->newest_back > entry->events.n)
        entry->newest_back = entry->events.n;
}

/* Puts the event into its key's events; true for `newest` when its row is now the key's newest. */
static freshet_code add_event(application *application, key_entry *entry, uint32_t row,
                              event_end *end, bool *newest, freshet_error *err)
{
    windows_state *state = application->state;
    int64_t event_us = application->input->event_us[row], second = second_in(state, event_us);
    const bool known = is_known(entry);
    int64_t newest_s = known ? second_in(state, entry->newest_us) : second;
    *newest = !known || event_us >= entry->newest_us;
    if (events_full(&entry->events))
        evict_events(state, entry, windows_horizon(state, second > newest_s ? second : newest_s));
    gather_cells(state->plan, application->input->columns, row, state->cells);
    cell_text kept;
    if (state->plan->row_slot != WINDOWS_NONE) {
        if (!corrections_keep(state->plan, application->input->columns, row, event_us,
                              &state->carried, &kept))
            return apply_memory(err);
        state->cells[state->plan->row_slot] = &kept;
    }
    if (!events_insert(&state->walker, &entry->events, second, state->cells, &end->at,
                       &end->behind))
        return apply_memory(err);
    state->n_events++;
    entry->revision =
        second > newest_s || !known ? 0 : entry->revision + (entry->revision < UINT32_MAX);
    if (!*newest) {
        entry->newest_back += second == newest_s;
        return FRESHET_OK;
    }
    entry->newest_us = event_us;
    entry->newest_back = 0;
    entry->events.lacks_newest = false;
    return keep_carried(state, entry, application->input->columns, row) ? FRESHET_OK
                                                                        : apply_memory(err);
}

/* The record goes when all windows of rows to come are full, and events that lack values are
 * gone. */
static bool note_filled(windows_state *state, key_entry *entry)
{
    const int64_t horizon = windows_horizon(state, second_in(state, entry->newest_us));
    if (!fullness_is_over(&state->walker, &entry->events, fullness_at(entry), horizon))
        return true;
    evict_events(state, entry, horizon);
    if (!fullness_may_go(&state->walker, &entry->events, fullness_at(entry)))
        return true;
    const size_t length = piece_bytes_of(state, entry) - state->record_bytes;
    unsigned char *carried = length == 0 ? NULL : memory_take(&state->memory, length);
    if (length > 0 && carried == NULL)
        return false;
    if (length > 0)
        memcpy(carried, carried_of(state, entry), length);
    memory_give(&state->memory, entry->piece, state->record_bytes + length);
    entry->piece = carried;
    entry->events.is_filling = false;
    return true;
}

static freshet_code apply_to_key(application *application, uint32_t index, uint32_t row,
                                 freshet_error *err)
{
    windows_state *state = application->state;
    windows_result *result = application->result;
    key_entry *entry = entry_at(state, index);
    int64_t second = second_in(state, application->input->event_us[row]);
    if (!state->options.take_late &&
        (second < state->settled_s ||
         (is_known(entry) &&
          second < windows_horizon(state, second_in(state, entry->newest_us))))) {
        state->late_rows++;
        return refuse_row(application->state->plan, application->arena, result, row,
                          application->at, WINDOWS_LATE, err);
    }
    event_end end = {{0}, 0};
    bool newest;
    freshet_code code = add_event(application, entry, row, &end, &newest, err);
    if (code != FRESHET_OK)
        return code;
    keyed_mark_dirty(&state->keys, index);
    if (state->options.expires && !note_loss(state, entry, index, second))
        return apply_memory(err);
    answer_row into = {application->arena, result->outputs, application->at, false};
    state->walker.remember = newest;
    if (!answer(state, entry, second, end, end, &into))
        return apply_memory(err);
    if (into.overflow)
        result->flags[row] |= WINDOWS_OVERFLOW;
    result->write_us[row] = write_time(second, newest ? entry->revision : 0);
    code = correct(application, entry, end.behind, row, err);
    if (newest)
        result->flags[row] |= WINDOWS_NEWEST;
    else if (code == FRESHET_OK && reaches_newest(state, entry, second, end.behind))
        code = refresh(application, entry, row, err);
    if (code == FRESHET_OK && entry->events.is_filling && !note_filled(state, entry))
        code = apply_memory(err);
    return code;
}

/* A key that may have had events before the windows began. */
static bool begin_filling(windows_state *state, key_entry *entry)
{
    if (!windows_take_piece(state, entry, true, 0))
        return false;
    fullness_from(state->plan, state->begun, fullness_at(entry));
    return true;
}

static freshet_code apply_row(application *application, uint32_t chunk_row, uint32_t row,
                              freshet_error *err)
{
    windows_state *state = application->state;
    const keyed_chunk *chunk = &state->chunk;
    uint32_t index;
    bool is_new;
    if (chunk->rows[chunk_row].length > WINDOWS_KEY_BYTES_MAX)
        return refuse_row(state->plan, application->arena, application->result, row,
                          application->at, WINDOWS_KEY_TOO_LONG, err);
    freshet_code code = state_part_find_row(&state->part, chunk, chunk_row, &index, &is_new, err);
    if (code == FRESHET_OK && is_new && state->options.expires)
        expiry_forget(&state->expiry, index);
    if (code == FRESHET_OK && is_new && state->begun != FULL_ALWAYS &&
        !begin_filling(state, entry_at(state, index)))
        code = apply_memory(err);
    return code == FRESHET_OK ? apply_to_key(application, index, row, err) : code;
}

/* ---- a batch ------------------------------------------------------------------------------- */

/* Asks for the entries of the chunk's rows, then for their blocks. */
static void prefetch_rows(const windows_state *state, uint32_t n, const void **entries)
{
    keyed_chunk_prefetch(&state->chunk, &state->keys, n, entries);
    for (uint32_t i = 0; i < n; i++)
        if (entries[i] != NULL)
            prefetch_key(NULL, entries[i]);
}

/* Rows `from` and the n - 1 behind it, of the batch or of `order`: the outputs get that order. */
static freshet_code apply_chunk(application *application, const uint32_t *order, uint32_t from,
                                uint32_t n, freshet_error *err)
{
    windows_state *state = application->state;
    const column *keys = application->input->keys;
    const uint32_t n_keys = state->plan->n_keys;
    const bool filled = order == NULL
                            ? keyed_chunk_fill(&state->chunk, &state->keys, keys, n_keys, from, n,
                                               WINDOWS_KEY_BYTES_MAX)
                            : keyed_chunk_fill_rows(&state->chunk, &state->keys, keys, n_keys,
                                                    order + from, n, WINDOWS_KEY_BYTES_MAX);
    if (!filled)
        return apply_memory(err);
    const void *entries[KEYED_CHUNK_ROWS];
    prefetch_rows(state, n, entries);
    freshet_code code = state_part_fetch(&state->part, &state->chunk, n, entries, err);
    for (uint32_t i = 0; i < n && code == FRESHET_OK; i++) {
        application->at = from + i;
        code = apply_row(application, i, order == NULL ? from + i : order[from + i], err);
    }
    return code;
}

freshet_code windows_apply(windows_state *state, const windows_input *input, arena *arena,
                           windows_result *result, freshet_error *err)
{
    const windows_plan *plan = state->plan;
    const uint32_t n_rows = input->n_rows, *order = NULL;
    application application = {.state = state, .input = input, .arena = arena, .result = result};
    field *carried = arena_alloc(arena, (plan->n_carried + 1) * sizeof *carried);
    if (carried == NULL)
        return apply_memory(err);
    for (uint32_t i = 0; i < plan->n_carried; i++)
        carried[i] = plan->columns.fields[plan->carried[i]];
    application.carried = (schema){plan->n_carried, carried};
    freshet_code code = make_result(plan, n_rows, arena, result, err);
    if (code == FRESHET_OK && key_order_serves(n_rows, keyed_count(&state->keys), state->n_events))
        code = key_order_make(input->keys, plan->n_keys, n_rows, arena, &order, err);
    for (uint32_t from = 0; from < n_rows && code == FRESHET_OK; from += KEYED_CHUNK_ROWS) {
        const uint32_t rest = n_rows - from;
        code = apply_chunk(&application, order, from,
                           rest < KEYED_CHUNK_ROWS ? rest : KEYED_CHUNK_ROWS, err);
    }
    return code == FRESHET_OK && order != NULL
               ? key_order_undo(plan, &application.carried, order, n_rows, arena, result, err)
               : code;
}

/* ---- expiry -------------------------------------------------------------------------------- */

/* May the store list keys that are to expire and have not been brought? */
static bool wants_bring(const windows_state *state)
{
    return state->keys.bring != NULL && state->brought_s < state->wanted_s;
}

static freshet_code bring_some(windows_state *state, freshet_error *err)
{
    uint32_t n = 0;
    const freshet_code code = state_part_bring(&state->part, state->wanted_s, BRING_KEYS, &n, err);
    if (code == FRESHET_OK && n == 0)
        state->brought_s = state->wanted_s;
    return code;
}

freshet_code windows_reach(windows_state *state, int64_t second, freshet_error *err)
{
    if (second <= state->wanted_s)
        return FRESHET_OK;
    state->wanted_s = second;
    return wants_bring(state) && !expiry_due(&state->expiry, second) ? bring_some(state, err)
                                                                     : FRESHET_OK;
}

bool windows_expires(const windows_state *state, int64_t second)
{
    return expiry_due(&state->expiry, second) || wants_bring(state);
}

void windows_owe(windows_state *state, int64_t second)
{
    state->wanted_s = second;
}

int64_t windows_settled(const windows_state *state)
{
    return state->settled_s;
}

void windows_settle(windows_state *state, int64_t second)
{
    if (second > state->settled_s)
        state->settled_s = second;
}

freshet_code windows_put_key(windows_state *state, const key_entry *entry, int64_t second,
                             arena *arena, windows_expired *out, freshet_error *err)
{
    const windows_plan *plan = state->plan;
    const uint32_t row = out->n;
    answer_row into = {arena, out->outputs, row, false};
    state->walker.remember = false;
    const event_end fixed = {events_end(&entry->events, 0), 0};
    const event_end rows = {events_end(&entry->events, entry->newest_back), entry->newest_back};
    if (!answer(state, entry, second, fixed, rows, &into))
        return apply_memory(err);
    const unsigned char *at = keyed_key(&entry->head), *end = at + entry->head.length;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < plan->n_keys; i++)
        code = cells_get(arena, &at, end, &out->keys[i], row, err);
    at = carried_of(state, entry);
    end = at + entry->carried_length;
    for (uint32_t i = 0; code == FRESHET_OK && i < plan->n_carried; i++)
        code = cells_get(arena, &at, end, &out->carried[i], row, err);
    out->flags[row] = into.overflow ? WINDOWS_OVERFLOW : 0;
    out->event_us[row] = second * 1000000;
    out->write_us[row] = write_time(second, 0) - 1;
    out->n++;
    return code;
}

/* The key's time has come: goes to the last second, up to the one that is settled, in which it has
 * lost an event, and sets its next time. A key whose newest event has come since is only set
 * anew. */
static freshet_code expire_time(windows_state *state, const due *due, int64_t second, arena *arena,
                                windows_expired *out, freshet_error *err)
{
    key_entry *entry = entry_at(state, (uint32_t)due->item);
    if (!entry->head.used || entry->events.n == 0)
        return FRESHET_OK;
    const int64_t newest_s = second_in(state, entry->newest_us);
    int64_t last_s = newest_s >= due->at ? newest_s : due->at, next_s;
    while ((next_s = events_next_loss(&state->walker, &entry->events, last_s)) <= second)
        last_s = next_s;
    if (next_s > EXPIRY_LAST)
        next_s = EXPIRY_NEVER;
    keyed_mark_dirty(&state->keys, (uint32_t)due->item); /* it is listed under that then */
    if (!set_expiry(state, (uint32_t)due->item, next_s) ||
        (entry->piece == NULL && !windows_take_piece(state, entry, false, 0)))
        return apply_memory(err);
    if (last_s == newest_s)
        return FRESHET_OK;
    set_given(state, entry, last_s);
    if (entry->events.lacks_newest) /* what its row had is not known */
        return FRESHET_OK;
    windows_settle(state, second);
    return windows_put_key(state, entry, last_s, arena, out, err);
}

freshet_code windows_make_expired(const windows_plan *plan, uint32_t most, arena *arena,
                                  windows_expired *out, freshet_error *err)
{
    field *fields = arena_alloc(arena, (plan->n_carried + plan->n_keys + 1) * sizeof *fields);
    *out = (windows_expired){
        .event_us = arena_alloc(arena, (most + (size_t)1) * sizeof *out->event_us),
        .write_us = arena_alloc(arena, (most + (size_t)1) * sizeof *out->write_us),
        .flags = arena_alloc(arena, most + (size_t)1),
    };
    if (fields == NULL || out->event_us == NULL || out->write_us == NULL || out->flags == NULL)
        return apply_memory(err);
    for (uint32_t i = 0; i < plan->n_keys; i++)
        fields[i] = (field){"", plan->keys[i]};
    for (uint32_t i = 0; i < plan->n_carried; i++)
        fields[plan->n_keys + i] = plan->columns.fields[plan->carried[i]];
    const schema keys = {plan->n_keys, fields}, carried = {plan->n_carried, fields + plan->n_keys};
    freshet_code code = make_columns(arena, &keys, most, &out->keys, err);
    if (code == FRESHET_OK)
        code = make_columns(arena, &carried, most, &out->carried, err);
    if (code == FRESHET_OK)
        code = make_columns(arena, &plan->outputs, most, &out->outputs, err);
    return code;
}

freshet_code windows_expire(windows_state *state, int64_t second, uint32_t most, arena *arena,
                            windows_expired *out, freshet_error *err)
{
    freshet_code code = windows_make_expired(state->plan, most, arena, out, err);
    due due;
    if (second > state->wanted_s)
        state->wanted_s = second;
    while (code == FRESHET_OK && out->n < most) {
        if (expiry_take(&state->expiry, second, &due))
            code = expire_time(state, &due, second, arena, out, err);
        else if (wants_bring(state))
            code = bring_some(state, err);
        else
            break;
    }
    return code;
}

/* ---- newest rows of a part that was there before --------------------------------------------- */

void windows_inherits(windows_state *state, windows_inherit_fn *read)
{
    state->inherit = read;
}

freshet_code windows_inherit(void *self, void *inherited, const void *bytes, size_t length,
                             freshet_error *err)
{
    const windows_state *state = self;
    key_entry *entry = inherited;
    freshet_code code = state->inherit(bytes, length, &entry->newest_us, &entry->revision, err);
    entry->events.has_lost = true; /* that row's event, at least */
    entry->events.lacks_newest = true;
    return code;
}

/* ---- figures ------------------------------------------------------------------------------- */

void windows_begin(windows_state *state, int64_t second)
{
    state->begun = second;
}

int64_t windows_begun(const windows_state *state)
{
    return state->begun == FULL_ALWAYS ? state->was_begun : state->begun;
}

windows_figures windows_measure(const windows_state *state)
{
    return (windows_figures){
        .keys = keyed_count(&state->keys),
        .events = state->n_events,
        .dirty_keys = state->keys.n_dirty,
        .late_rows = state->late_rows,
        .bytes = state->memory.bytes + state->chunk.bytes.capacity + state->carried.capacity,
        .table_bytes = keyed_table_bytes(&state->keys) -
                       state->keys.dirty_capacity * sizeof *state->keys.dirty,
    };
}

freshet_code windows_check(windows_state *state, freshet_error *err)
{
    const char *wrong = keyed_check(&state->keys);
    uint64_t n_events = 0;
    for (uint32_t cursor = 0, index;
         wrong == NULL && (index = keyed_next(&state->keys, &cursor)) != KEY_NONE;) {
        const key_entry *entry = entry_at(state, index);
        wrong = events_check(&state->walker, &entry->events);
        if (wrong == NULL && entry->newest_back > entry->events.n)
            wrong = "the place of the newest row";
        n_events += entry->events.n;
    }
    if (wrong == NULL && n_events != state->n_events)
        wrong = "the count of events";
    return wrong == NULL ? FRESHET_OK
                         : error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                                     "the state of the windows is inconsistent: %s", wrong);
}
