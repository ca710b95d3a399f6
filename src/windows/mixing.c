/* mixing.c - see mixing.h. */
#include "windows/mixing.h"

#include <string.h>

#include "base/error.h"
#include "windows/events_internal.h"

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
    const mixed *of;
    walker *walker;
    arena *arena;
    int64_t seam; /* S */
    bool joins;   /* own events may be the past's */
    events *made;
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
    const windows_plan *plan = it->walker->plan;
    bool known = time >= it->of->record->since[slot];
    for (uint32_t p = 0; slot == plan->pivot_slot && p < fullness_parts(plan); p++)
        known = known && time >= it->of->record->since[plan->n_slots + p];
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
    const walker *walker = it->walker;
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
    const windows_plan *plan = it->walker->plan;
    if (it->of->record->is_bare && time < it->of->record->whole)
        return true;
    for (uint32_t s = 0; s < plan->n_slots; s++)
        if (s != plan->row_slot && !is_known_at(it, s, time) &&
            cell_of_event(it->walker, own, s) != NULL)
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
    walker *walker = it->walker;
    const windows_plan *plan = walker->plan;
    event_place at;
    uint32_t behind;
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        it->cells[s] = cell_of_event(walker, event, s);
        if (it->cells[s] == NULL && s == plan->row_slot && own != NULL)
            it->cells[s] = cell_of_event(walker, own, s);
    }
    return events_insert(walker, it->made, time, it->cells, &at, &behind)
               ? FRESHET_OK
               : error_memory(it->err, FILLING);
}

/* From which second on an own event may have come after the change that its values lack: behind
 * the lateness of then. */
static int64_t first_late(const mixing *it, int64_t time)
{
    const windows_plan *plan = it->walker->plan;
    int64_t since = it->seam, first;
    for (uint32_t i = 0; i < plan->n_slots + fullness_parts(plan); i++)
        if (i != plan->row_slot && it->of->record->since[i] > time &&
            it->of->record->since[i] < since)
            since = it->of->record->since[i];
    return it->of->lateness == MIXED_ANY_LATE ||
                   __builtin_sub_overflow(since - 1, it->of->lateness, &first)
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
    event_cursor from_past = cursor_open(it->walker, past);
    event_cursor from_own = cursor_open(it->walker, own);
    const int64_t newest = it->of->past_newest;
    uint32_t n = 0, n_joined = 0, hint = 0;
    freshet_code code = FRESHET_OK;
    for (;;) {
        const int64_t time = cursor_time(&from_own);
        if (time >= it->of->record->whole || time > newest || code != FRESHET_OK)
            break;
        while (code == FRESHET_OK && cursor_time(&from_past) < time)
            code = cursor_take(&from_past, cursor_time(&from_past), it->arena, &it->past, it->err);
        it->past.n = 0;
        if (code == FRESHET_OK && cursor_time(&from_past) == time)
            code = cursor_take(&from_past, time, it->arena, &it->past, it->err);
        if (code == FRESHET_OK)
            code = cursor_take(&from_own, time, it->arena, &it->own, it->err);
        n += time < it->of->past_whole ? 0 : it->own.n;
        hint = 0;
        for (uint32_t i = 0; time >= it->of->past_whole && code == FRESHET_OK && i < it->own.n; i++)
            n_joined += find_past(it, &it->own.items[i], time, &hint) != NULL;
    }
    it->joins = n > 0 && n_joined == n;
    if (n_joined > 0 && n_joined < n)
        it->kind = FILL_OTHER;
    return code;
}

static freshet_code mix_all(mixing *it, const events *past, const events *own)
{
    event_cursor from_past = cursor_open(it->walker, past);
    event_cursor from_own = cursor_open(it->walker, own);
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
        if (time < it->of->past_whole) /* of what the past has lost, too, nothing can be compared */
            it->own.n = 0;
        for (uint32_t i = 0; time >= it->seam && code == FRESHET_OK && i < it->own.n; i++)
            code = put_event(it, &it->own.items[i], NULL, time);
        if (code == FRESHET_OK && time < it->seam)
            code = time < it->of->record->whole || time < it->of->past_whole ? mix_events(it, time)
                                                                             : mix_values(it, time);
    }
    return code;
}

/* ---- the interface --------------------------------------------------------------------------- */

int64_t mixed_seam(const windows_plan *plan, const fullness *record)
{
    int64_t seam = record->whole;
    for (uint32_t i = 0; i < plan->n_slots + fullness_parts(plan); i++)
        if (i != plan->row_slot && record->since[i] > seam)
            seam = record->since[i];
    return seam;
}

int64_t mixed_last(const walker *walker, const events *events)
{
    if (events->n == 0)
        return INT64_MIN;
    const event_place at = events_end(events, 1); /* before it */
    const event_block *block = events->root;
    if (events->is_directory)
        block = ((const event_directory *)events->root)->groups[at.group]->blocks[at.block];
    return event_time(walker, block, at.event);
}

freshet_code mix_events_of_key(mixed *of, walker *walker, const events *past, const events *own,
                               events *made, state_fill *kind, freshet_error *err)
{
    mixing it = {.of = of,
                 .walker = walker,
                 .arena = arena_open(),
                 .seam = mixed_seam(walker->plan, of->record),
                 .joins = true,
                 .made = made,
                 .kind = FILL_DONE,
                 .err = err};
    freshet_code code = FRESHET_OK;
    *made = (events){0};
    if (it.arena == NULL)
        return error_memory(err, FILLING);
    it.cells = arena_zero(it.arena, walker->plan->n_slots + (size_t)1, sizeof *it.cells);
    if (it.cells == NULL)
        code = error_memory(err, FILLING);
    if (of->past_whole >= it.seam)
        it.kind = FILL_NOTHING; /* it has lost all that could be of use */
    else if (mixed_last(walker, past) < of->reaches)
        it.kind = FILL_SHORT;
    if (code == FRESHET_OK && it.kind == FILL_DONE && of->record->is_bare)
        code = find_joins(&it, past, own);
    if (code == FRESHET_OK && it.kind == FILL_DONE)
        code = mix_all(&it, past, own);
    if (code != FRESHET_OK || it.kind != FILL_DONE)
        events_release(walker, made);
    arena_close(it.arena);
    *kind = it.kind;
    of->joins = it.joins;
    return code;
}
