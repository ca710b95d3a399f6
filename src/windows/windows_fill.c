/* windows_fill.c - the past of a key, put into windows that a changed declaration left half empty.
 *
 * THE PAST comes as a key of another state, which was made by the same declaration of the rows
 * before (pipeline/fill.h): its events have all that the plan looks at. The key's own events, and
 * its record (fullness.h), say what is missing:
 *
 *          whole ........ since of a slot ........ S, the latest of these
 *     own events   -    e  e  e   e     e   e      e  e   e    e
 *     the past     e  e e  e  e   e     e   e      e ...
 *     made         e  e e  e  e   e     e   e      e  e   e    e
 *                  the past's    own, with the     the key's own
 *                                past's values
 *
 * THE SEAM. From S on the key's own events have everything, and the past's are passed over. Before,
 * each second is decided by itself. An own event is the past's where all that is known of it is the
 * same; it then has the past's values. One of which there is none like it came after the change
 * (late): it stays, in its place. So it must have a value that only such can have, or lie within
 * the lateness, with no event of the past left over in its second; otherwise the past is not that
 * of this key, and nothing changes (FILL_OTHER). An event of the past that the key has not, in a
 * second of which it has all, was refused by the stream (late, say): it is no event. Where the key
 * has lost its events (before `whole`) they are the past's.
 *
 * A key of which nothing is there (is_bare) has in these seconds only events that came after the
 * change. They are behind the past's; but where the past goes beyond the change it has them, too:
 * all of them, up to its end, or none (find_joins).
 *
 * Filled twice is filled once: a key that lacks nothing is left as it is.
 */
#include <string.h>

#include "base/error.h"
#include "windows/events_internal.h"
#include "windows/windows_internal.h"

#define FILLING "filling the windows of a key"

typedef struct event_cursor {
    const walker *walker;
    const events *events;
    event_place at;
    const event_block *block; /* NULL: at the end */
    uint32_t i;
} event_cursor;

/* One event, where it stands. */
typedef struct event_ref {
    const event_block *block;
    uint32_t i;
    bool is_used;
} event_ref;

typedef struct event_refs {
    event_ref *items;
    uint32_t n, capacity;
} event_refs;

typedef struct mixing {
    windows_state *state;
    arena *arena;
    const fullness *record;
    int64_t past_whole; /* from then on the past has all of its own events */
    int64_t seam;       /* S */
    bool joins;         /* own events may be the past's */
    events made;
    const void **cells;
    event_refs past, own;
    state_fill kind;
    freshet_error *err;
} mixing;

/* ---- events in their order ------------------------------------------------------------------- */

static void cursor_settle(event_cursor *cursor)
{
    while (cursor->block != NULL && cursor->i == cursor->block->n) {
        cursor->block = events_block(cursor->events, &cursor->at);
        cursor->i = 0;
    }
}

static event_cursor cursor_open(const walker *walker, const events *events)
{
    event_cursor cursor = {.walker = walker, .events = events};
    cursor.block = events->n == 0 ? NULL : events_block(events, &cursor.at);
    cursor_settle(&cursor);
    return cursor;
}

static int64_t cursor_time(const event_cursor *cursor)
{
    return cursor->block == NULL ? INT64_MAX : event_time(cursor->walker, cursor->block, cursor->i);
}

/* Moves behind the events of that time. */
static freshet_code cursor_take(event_cursor *cursor, int64_t time, arena *arena, event_refs *into,
                                freshet_error *err)
{
    into->n = 0;
    while (cursor->block != NULL && cursor_time(cursor) == time) {
        if (!arena_reserve(arena, &into->items, &into->capacity, into->n + UINT64_C(1),
                           sizeof *into->items))
            return error_memory(err, FILLING);
        into->items[into->n++] = (event_ref){cursor->block, cursor->i++, false};
        cursor_settle(cursor);
    }
    return FRESHET_OK;
}

static const void *cell_of_event(const walker *walker, const event_ref *event, uint32_t slot)
{
    const window_slot *of = &walker->plan->slots[slot];
    if (!(event->block->valid[slot] >> event->i & 1))
        return NULL;
    const unsigned char *cells = block_cells(walker, event->block, of);
    return cells + (size_t)event->i * of->cell;
}

/* ---- is it the same event? ------------------------------------------------------------------- */

static bool is_known_at(const mixing *it, uint32_t slot, int64_t time)
{
    const windows_plan *plan = it->state->plan;
    bool known = time >= it->record->since[slot];
    for (uint32_t p = 0; slot == plan->pivot_slot && p < fullness_parts(plan); p++)
        known = known && time >= it->record->since[plan->n_slots + p];
    return known;
}

static bool is_same_cell(const window_slot *slot, const void *a, const void *b)
{
    if (a == NULL || b == NULL || slot->cell == 0)
        return (a == NULL) == (b == NULL);
    if (!slot->is_text)
        return memcmp(a, b, slot->cell) == 0;
    const cell_text *x = a, *y = b;
    return x->length == y->length && memcmp(text_bytes(x), text_bytes(y), x->length) == 0;
}

/* In all that is known of the own one. */
static bool is_same_event(const mixing *it, const event_ref *past, const event_ref *own,
                          int64_t time)
{
    const walker *walker = &it->state->walker;
    const windows_plan *plan = walker->plan;
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        if (s == plan->row_slot)
            continue;
        const void *cell = cell_of_event(walker, own, s);
        /* what came later has the value, and then it must be the same */
        if ((cell != NULL || is_known_at(it, s, time)) &&
            !is_same_cell(&plan->slots[s], cell_of_event(walker, past, s), cell))
            return false;
    }
    return true;
}

/* Has it what only events after the change have? */
static bool is_surely_new(const mixing *it, const event_ref *own, int64_t time)
{
    const windows_plan *plan = it->state->plan;
    if (it->record->is_bare && time < it->record->whole)
        return true;
    for (uint32_t s = 0; s < plan->n_slots; s++)
        if (s != plan->row_slot && !is_known_at(it, s, time) &&
            cell_of_event(&it->state->walker, own, s) != NULL)
            return true;
    return false;
}

/* The first of the past's that is like it and is nobody's yet; NULL: none. *hint: where
 * to begin. */
static event_ref *find_past(mixing *it, const event_ref *own, int64_t time, uint32_t *hint)
{
    for (uint32_t k = 0; k < it->past.n; k++) {
        const uint32_t i = (*hint + k) % it->past.n;
        event_ref *past = &it->past.items[i];
        if (past->is_used || !is_same_event(it, past, own, time))
            continue;
        past->is_used = true;
        *hint = i + 1 == it->past.n ? 0 : i + 1;
        return past;
    }
    return NULL;
}

/* ---- making it ------------------------------------------------------------------------------- */

static freshet_code put_event(mixing *it, const event_ref *event, const event_ref *own,
                              int64_t time)
{
    walker *walker = &it->state->walker;
    const windows_plan *plan = walker->plan;
    event_place at;
    uint32_t behind;
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        it->cells[s] = cell_of_event(walker, event, s);
        if (it->cells[s] == NULL && s == plan->row_slot && own != NULL)
            it->cells[s] = cell_of_event(walker, own, s);
    }
    return events_insert(walker, &it->made, time, it->cells, &at, &behind)
               ? FRESHET_OK
               : error_memory(it->err, FILLING);
}

/* From which second on an own event may have come after the change that its values lack: behind
 * the lateness of then. */
static int64_t first_late(const mixing *it, int64_t time)
{
    const windows_plan *plan = it->state->plan;
    int64_t since = it->seam, first;
    for (uint32_t i = 0; i < plan->n_slots + fullness_parts(plan); i++)
        if (i != plan->row_slot && it->record->since[i] > time && it->record->since[i] < since)
            since = it->record->since[i];
    return it->state->options.take_late ||
                   __builtin_sub_overflow(since - 1, it->state->known.reach.lateness_s, &first)
               ? INT64_MIN
               : first;
}

/* A second of which the key has all events. Those of the past come first, then late ones: where all
 * of the past's are found, the others can be such. The second before the seam is that of the
 * newest event at the change, which the past must have. */
static freshet_code mix_values(mixing *it, int64_t time)
{
    freshet_code code = FRESHET_OK;
    uint32_t hint = 0, n_found = 0, n_unsure = 0;
    for (uint32_t i = 0; code == FRESHET_OK && i < it->own.n; i++) {
        const event_ref *own = &it->own.items[i], *past = find_past(it, own, time, &hint);
        n_found += past != NULL;
        n_unsure += past == NULL && !is_surely_new(it, own, time);
        code = put_event(it, past == NULL ? own : past, own, time);
    }
    if ((n_unsure > 0 && (n_found < it->past.n || time < first_late(it, time))) ||
        (time == it->seam - 1 && n_found == 0))
        it->kind = FILL_OTHER;
    return code;
}

/* One of which it has lost events. */
static freshet_code mix_events(mixing *it, int64_t time)
{
    freshet_code code = FRESHET_OK;
    uint32_t hint = 0;
    for (uint32_t i = 0; code == FRESHET_OK && i < it->past.n; i++)
        code = put_event(it, &it->past.items[i], NULL, time);
    for (uint32_t i = 0; code == FRESHET_OK && i < it->own.n; i++) {
        const event_ref *own = &it->own.items[i];
        if (it->joins && find_past(it, own, time, &hint) != NULL)
            continue;
        if (!is_surely_new(it, own, time)) {
            it->kind = FILL_OTHER;
            return FRESHET_OK;
        }
        code = put_event(it, own, NULL, time);
    }
    return code;
}

/* Of a key of which nothing is there: does the past have its own events, too, since it goes beyond
 * the change? All of them, or none: with some it is another's. */
static freshet_code find_joins(mixing *it, const events *past, const events *own)
{
    event_cursor from_past = cursor_open(&it->state->walker, past);
    event_cursor from_own = cursor_open(&it->state->walker, own);
    const int64_t newest = it->state->past_newest;
    uint32_t n = 0, n_joined = 0, hint = 0;
    freshet_code code = FRESHET_OK;
    for (;;) {
        const int64_t time = cursor_time(&from_own);
        if (time >= it->record->whole || time > newest || code != FRESHET_OK)
            break;
        while (code == FRESHET_OK && cursor_time(&from_past) < time)
            code = cursor_take(&from_past, cursor_time(&from_past), it->arena, &it->past, it->err);
        it->past.n = 0;
        if (code == FRESHET_OK && cursor_time(&from_past) == time)
            code = cursor_take(&from_past, time, it->arena, &it->past, it->err);
        if (code == FRESHET_OK)
            code = cursor_take(&from_own, time, it->arena, &it->own, it->err);
        n += time < it->past_whole ? 0 : it->own.n;
        hint = 0;
        for (uint32_t i = 0; time >= it->past_whole && code == FRESHET_OK && i < it->own.n; i++)
            n_joined += find_past(it, &it->own.items[i], time, &hint) != NULL;
    }
    it->joins = n > 0 && n_joined == n;
    if (n_joined > 0 && n_joined < n)
        it->kind = FILL_OTHER;
    return code;
}

static freshet_code mix_all(mixing *it, const events *past, const events *own)
{
    event_cursor from_past = cursor_open(&it->state->walker, past);
    event_cursor from_own = cursor_open(&it->state->walker, own);
    freshet_code code = FRESHET_OK;
    while (code == FRESHET_OK && it->kind == FILL_DONE) {
        int64_t time = cursor_time(&from_past);
        const bool is_seam = time >= it->seam;
        if (is_seam || cursor_time(&from_own) < time)
            time = cursor_time(&from_own);
        if (time == INT64_MAX)
            break;
        it->past.n = 0;
        if (!is_seam)
            code = cursor_take(&from_past, time, it->arena, &it->past, it->err);
        if (code == FRESHET_OK)
            code = cursor_take(&from_own, time, it->arena, &it->own, it->err);
        if (code != FRESHET_OK)
            break;
        if (time < it->past_whole) /* of what the past has lost, too, nothing can be compared */
            it->own.n = 0;
        for (uint32_t i = 0; time >= it->seam && code == FRESHET_OK && i < it->own.n; i++)
            code = put_event(it, &it->own.items[i], NULL, time);
        if (code == FRESHET_OK && time < it->seam)
            code = time < it->record->whole || time < it->past_whole ? mix_events(it, time)
                                                                     : mix_values(it, time);
    }
    return code;
}

/* ---- the key --------------------------------------------------------------------------------- */

static int64_t seam_of(const windows_plan *plan, const fullness *record)
{
    int64_t seam = record->whole;
    for (uint32_t i = 0; i < plan->n_slots + fullness_parts(plan); i++)
        if (i != plan->row_slot && record->since[i] > seam)
            seam = record->since[i];
    return seam;
}

/* From when on all events of the past are there. */
static int64_t whole_of(const windows_state *state, const key_entry *past)
{
    int64_t whole;
    const int64_t newest =
        state->options.plain_order ? past->newest_us : second_of(past->newest_us);
    if (!past->events.has_lost)
        return FULL_ALWAYS;
    return __builtin_sub_overflow(newest, layout_span(&state->known.reach), &whole) ? FULL_ALWAYS
                                                                                    : whole;
}

static int64_t last_time(const walker *walker, const events *events)
{
    if (events->n == 0)
        return INT64_MIN;
    const event_place at = events_end(events, 1); /* before it */
    const event_block *block = events->root;
    if (events->is_directory)
        block = ((const event_directory *)events->root)->groups[at.group]->blocks[at.block];
    return event_time(walker, block, at.event);
}

/* A piece with that record (NULL: none) and those carried cells takes the place of the key's. */
static freshet_code set_piece(windows_state *state, key_entry *entry, const fullness *record,
                              const unsigned char *carried, size_t length, freshet_error *err)
{
    const size_t head = record == NULL ? 0 : state->record_bytes;
    const size_t bytes = head + length + state->given_bytes;
    const int64_t given_s = given_of(state, entry);
    unsigned char *piece = bytes == 0 ? NULL : memory_take(&state->memory, bytes);
    if (bytes > 0 && piece == NULL)
        return error_memory(err, FILLING);
    if (piece != NULL && head > 0)
        memcpy(piece, record, head);
    if (piece != NULL && length > 0)
        memcpy(piece + head, carried, length);
    memory_give(&state->memory, entry->piece, piece_bytes_of(state, entry));
    entry->piece = piece;
    entry->carried_length = (uint32_t)length;
    entry->events.is_filling = record != NULL;
    set_given(state, entry, given_s);
    return FRESHET_OK;
}

/* A newest row that went out before there were windows is one of the past: then it is known now,
 * with what it had. Its revision stays the greater one. */
static bool find_newest(const mixing *it, key_entry *entry, const key_entry *past)
{
    if (past->newest_us != entry->newest_us)
        return false;
    entry->newest_back = past->newest_back + (it->joins ? 0 : entry->newest_back);
    if (past->revision > entry->revision)
        entry->revision = past->revision;
    return true;
}

/* The newest row may be one of the past, where the key has none as new. */
static bool take_newest(const mixing *it, key_entry *entry, const key_entry *past, bool is_new)
{
    const int64_t own_s = second_of(entry->newest_us), past_s = second_of(past->newest_us);
    const uint32_t n_own = is_new ? 0 : entry->events.n;
    if (entry->events.lacks_newest && past->newest_us <= entry->newest_us)
        return find_newest(it, entry, past);
    if (!is_new && past->newest_us <= entry->newest_us)
        return false; /* the key's own stand behind the past's of their second */
    entry->newest_back = past->newest_back + (own_s == past_s ? n_own : 0);
    if (own_s != past_s || past->revision + n_own > entry->revision)
        entry->revision = past->revision + n_own;
    entry->newest_us = past->newest_us;
    return true;
}

static freshet_code put_made(mixing *it, key_entry *entry, const key_entry *past, bool is_new)
{
    windows_state *state = it->state;
    const int64_t whole = whole_of(state, past);
    fullness *record = arena_zero(it->arena, 1, state->record_bytes);
    if (record == NULL)
        return error_memory(it->err, FILLING);
    fullness_from(state->plan, whole, record);
    record->is_bare = 0;
    record->rows = state->known.reach.longest_rows;
    const bool of_past = it->record->is_bare != 0 && take_newest(it, entry, past, is_new);
    const int64_t newest_s = second_of(entry->newest_us);
    const bool is_over = whole == FULL_ALWAYS || fullness_is_over(&state->walker, &it->made, record,
                                                                  windows_horizon(state, newest_s));
    const key_entry *has_row = of_past ? past : entry;
    freshet_code code = set_piece(state, entry, is_over ? NULL : record, carried_of(state, has_row),
                                  has_row->carried_length, it->err);
    if (code != FRESHET_OK)
        return code;
    const bool is_filling = entry->events.is_filling;
    state->n_events += it->made.n;
    state->n_events -= entry->events.n;
    events_release(&state->walker, &entry->events);
    it->made.lacks_newest = entry->events.lacks_newest && !of_past;
    entry->events = it->made;
    entry->events.is_filling = is_filling;
    entry->events.has_lost = past->events.has_lost || entry->events.lacks_newest;
    it->made = (events){0};
    return FRESHET_OK;
}

static freshet_code mix_key(windows_state *state, key_entry *entry, const key_entry *past,
                            bool is_new, state_fill *out, freshet_error *err)
{
    mixing it = {.state = state, .arena = arena_open(), .kind = FILL_DONE, .err = err};
    freshet_code code = FRESHET_OK;
    if (it.arena == NULL)
        return error_memory(err, FILLING);
    it.cells = arena_zero(it.arena, state->plan->n_slots + (size_t)1, sizeof *it.cells);
    fullness *record = arena_zero(it.arena, 1, state->record_bytes);
    if (it.cells == NULL || record == NULL) {
        arena_close(it.arena);
        return error_memory(err, FILLING);
    }
    if (is_new)
        fullness_from(state->plan, state->begun, record);
    else
        memcpy(record, fullness_at(entry), state->record_bytes);
    it.record = record;
    it.joins = true;
    it.seam = seam_of(state->plan, record);
    it.past_whole = whole_of(state, past);
    if (it.past_whole >= it.seam)
        it.kind = FILL_NOTHING; /* it has lost all that could be of use */
    else if (entry->events.lacks_newest && past->newest_us < entry->newest_us)
        it.kind = FILL_SHORT; /* it lacks the row that went out */
    else if (!record->is_bare && last_time(&state->walker, &past->events) < it.seam - 1)
        it.kind = FILL_SHORT;
    if (it.kind == FILL_DONE && record->is_bare)
        code = find_joins(&it, &past->events, &entry->events);
    if (code == FRESHET_OK && it.kind == FILL_DONE)
        code = mix_all(&it, &past->events, &entry->events);
    if (code == FRESHET_OK && it.kind == FILL_DONE)
        code = put_made(&it, entry, past, is_new);
    events_release(&state->walker, &it.made);
    arena_close(it.arena);
    *out = it.kind;
    return code;
}

/* ---- the interface --------------------------------------------------------------------------- */

freshet_code windows_fill_open(void *self, const char *layout, int64_t newest_us,
                               freshet_error *err)
{
    windows_state *state = self;
    kept_layout *read = NULL;
    bool has_all = false;
    if (state->options.plain_order)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "windows that are ordered by another column than the time cannot be "
                         "filled");
    freshet_code code = layout_read(state->known.arena, layout, &read, err);
    if (code == FRESHET_OK)
        code = layout_match_past(state->known.arena, read, state->plan, &state->known.numbers,
                                 &has_all, err);
    if (code == FRESHET_OK && !has_all)
        code = error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the past lacks values that the windows look at");
    state->filling = code == FRESHET_OK ? read : NULL;
    state->past_newest = second_of(newest_us);
    return code;
}

freshet_code windows_fill(void *self, void *filled, bool is_new, const void *bytes, size_t length,
                          state_fill *out, freshet_error *err)
{
    windows_state *state = self;
    key_entry *entry = filled, past = {0};
    *out = FILL_NOTHING;
    if (is_new && state->begun == FULL_ALWAYS) {
        *out = FILL_UNKNOWN;
        return FRESHET_OK;
    }
    if (!is_new && !entry->events.is_filling)
        return FRESHET_OK;
    kept_layout *others = state->known.others;
    state->filling->next = others;
    state->known.others = state->filling;
    freshet_code code = windows_restore(state, NULL, &past, bytes, length, err);
    state->known.others = others;
    if (code != FRESHET_OK)
        return code;
    code = mix_key(state, entry, &past, is_new, out, err);
    windows_release(state, &past);
    return code;
}

void windows_filled(void *self, uint64_t declared)
{
    windows_state *state = self;
    state->known.filled = declared;
    if (state->begun != FULL_ALWAYS)
        state->was_begun = state->begun;
    state->begun = FULL_ALWAYS;
}

bool windows_is_filled(const windows_state *state, const key_entry *entry)
{
    const fullness *record = fullness_at(entry);
    return state->was_begun != FULL_ALWAYS && record->is_bare == BARE_BEGUN &&
           record->whole == state->was_begun && seam_of(state->plan, record) == record->whole;
}
