/* picks.c - events of rolling windows that do not stand side by side: those of one value of a
 * pivot, and those that `distinct` keeps; see window.h.
 *
 * PIVOT. An event has the number of its value in a slot of its own. A run of events is taken a
 * value at a time: the cells of those that have it are gathered, and given to the measures of its
 * part.
 *
 * DISTINCT. The kept events of a shorter window are not always kept in the longer, so each window
 * has a walk of its own: over the list of the events that stay in it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "keyed/cells.h"
#include "windows/events_internal.h"

#define CELL_MAX 16u

/* ---- the cells of an event ------------------------------------------------------------------- */

static bool same_cell(const column *a, uint64_t row, const column *b, uint64_t other)
{
    size_t size = type_cell_size(a->type);
    const char *x = (const char *)a->data + row * size, *y = (const char *)b->data + other * size;
    switch (a->type->kind) {
    case TYPE_STRING:
    case TYPE_BINARY: {
        const cell_text *s = (const void *)x, *t = (const void *)y;
        return s->length == t->length && memcmp(text_bytes(s), text_bytes(t), s->length) == 0;
    }
    case TYPE_FLOAT: return *(const float *)(const void *)x == *(const float *)(const void *)y;
    case TYPE_DOUBLE: return *(const double *)(const void *)x == *(const double *)(const void *)y;
    default: return memcmp(x, y, size) == 0;
    }
}

static const void *pivot_cell(const windows_pivot *pivot, const column *columns, uint64_t row,
                              int32_t *value)
{
    const column *column = &columns[pivot->column];
    for (uint32_t p = 0; column_is_valid(column, row) && p < pivot->n_values; p++)
        if (same_cell(column, row, pivot->values, p)) {
            *value = (int32_t)p;
            return value;
        }
    return NULL;
}

bool gather_picked(const windows_plan *plan, const column *columns, uint64_t row, picked_cells *own,
                   const void **cells)
{
    gather_cells(plan, columns, row, cells);
    if (plan->pivot_slot != WINDOWS_NONE)
        cells[plan->pivot_slot] = pivot_cell(plan->pivot, columns, row, &own->pivot);
    if (plan->subset_slot == WINDOWS_NONE)
        return true;
    text_reset(&own->bytes);
    for (uint32_t i = 0; i < plan->n_distinct; i++)
        cells_put(&own->bytes, &columns[plan->distinct[i]], row, true);
    own->subset = text_of(own->bytes.bytes, (uint32_t)own->bytes.length);
    cells[plan->subset_slot] = &own->subset;
    return !own->bytes.failed;
}

/* ---- runs ------------------------------------------------------------------------------------ */

typedef struct event_pick {
    const event_block *block; /* NULL: none */
    uint32_t i;
    uint64_t number; /* in the window */
} event_pick;

/* Which part the event belongs to; false: none. */
static bool part_of(const walker *walker, const event_pick *pick, uint32_t *part)
{
    const uint32_t slot = walker->plan->pivot_slot;
    *part = 0;
    if (slot == WINDOWS_NONE)
        return true;
    const int32_t *parts = block_cells(walker, pick->block, &walker->plan->slots[slot]);
    *part = (uint32_t)parts[pick->i];
    return (pick->block->valid[slot] >> pick->i & 1) != 0;
}

/* The cells of a slot side by side. */
static aggregate_run gather_run(walker *walker, uint32_t index, const event_pick *picks, uint32_t n,
                                unsigned char *cells)
{
    const window_slot *slot = &walker->plan->slots[index];
    aggregate_run run = {.values = slot->cell == 0 ? NULL : cells,
                         .to = n,
                         .type = slot->type,
                         .scratch = &walker->scratch};
    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *from = block_cells(walker, picks[i].block, slot);
        run.valid |= (picks[i].block->valid[index] >> picks[i].i & 1) << i;
        switch (slot->cell) {
        case 0: break;
        case 1: cells[i] = from[picks[i].i]; break;
        case 4: memcpy(cells + i * 4, from + picks[i].i * (size_t)4, 4); break;
        case 8: memcpy(cells + i * 8, from + picks[i].i * (size_t)8, 8); break;
        default: memcpy(cells + i * 16, from + picks[i].i * (size_t)16, 16);
        }
    }
    return run;
}

/* Events of one part. */
static void take_part(walker *walker, unsigned char *frame, unsigned which, uint32_t part,
                      const event_pick *picks, uint32_t n)
{
    const windows_plan *plan = walker->plan;
    const uint32_t n_measures = plan->n_measures / plan->n_parts;
    _Alignas(16) unsigned char cells[AGGREGATE_RUN_MAX * CELL_MAX];
    aggregate_run run = {0};
    uint32_t gathered = UINT32_MAX;
    for (uint32_t m = part * n_measures; m < (part + 1) * n_measures; m++) {
        const window_measure *measure = &plan->measures[m];
        if (!(which & (measure->kept ? PICK_KEPT : PICK_HELD)))
            continue;
        if (measure->slot != gathered)
            run = gather_run(walker, gathered = measure->slot, picks, n, cells);
        measure->family->update(frame + measure->offset, &run);
    }
}

/* Up to AGGREGATE_RUN_MAX events from the oldest to the newest, all older than what the frame has
 * seen. */
static void take_picks(walker *walker, unsigned char *frame, unsigned which,
                       const event_pick *picks, uint32_t n)
{
    event_pick alike[AGGREGATE_RUN_MAX];
    for (uint64_t left = bits_below(n); left != 0;) {
        uint32_t part, other, n_alike = 0;
        if (!part_of(walker, &picks[__builtin_ctzll(left)], &part)) {
            left &= left - 1;
            continue;
        }
        for (uint64_t bits = left; bits != 0; bits &= bits - 1) {
            uint32_t i = (uint32_t)__builtin_ctzll(bits);
            if (!part_of(walker, &picks[i], &other) || other != part)
                continue;
            alike[n_alike++] = picks[i];
            left &= ~(UINT64_C(1) << i);
        }
        take_part(walker, frame, which, part, alike, n_alike);
    }
}

void take_parts(walker *walker, unsigned char *frame, unsigned which, const event_block *block,
                uint32_t from, uint32_t to)
{
    event_pick picks[AGGREGATE_RUN_MAX];
    for (uint32_t i = from; i < to; i++)
        picks[i - from] = (event_pick){block, i, 0};
    take_picks(walker, frame, which, picks, to - from);
}

/* ---- distinct -------------------------------------------------------------------------------- */

static const cell_text *subset_of(const walker *walker, const event_pick *pick)
{
    const windows_plan *plan = walker->plan;
    const cell_text *cells = block_cells(walker, pick->block, &plan->slots[plan->subset_slot]);
    return &cells[pick->i];
}

static bool same_subset(const walker *walker, const event_pick *a, const event_pick *b)
{
    const cell_text *x = subset_of(walker, a), *y = subset_of(walker, b);
    return x->length == y->length && memcmp(text_bytes(x), text_bytes(y), x->length) == 0;
}

/* `newer` comes later in the order of (time, arrival): does it take the place of `kept`? */
static bool replaces(const walker *walker, const event_pick *newer, const event_pick *kept)
{
    return !walker->plan->keep_first &&
           event_time(walker, newer->block, newer->i) > event_time(walker, kept->block, kept->i);
}

static int picks_compare(const void *a, const void *b)
{
    const event_pick *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* Those of the n events behind a place that stay, in order, in scratch memory. NULL where memory is
 * out. */
static event_pick *find_kept(walker *walker, const events *events, event_place at, uint32_t n,
                             uint32_t *n_kept)
{
    uint64_t mask = 7, number = 0;
    while (mask < (uint64_t)2 * n)
        mask = mask * 2 + 1;
    event_pick *table = arena_zero(walker->scratch.arena, mask + 1, sizeof *table);
    event_place cursor = at;
    uint32_t i = at.event;
    for (const event_block *block; table != NULL && number < n; i = 0) {
        block = events_block(events, &cursor);
        assert(block != NULL);
        for (; i < block->n && number < n; i++) {
            const event_pick pick = {block, i, number++};
            const cell_text *subset = subset_of(walker, &pick);
            uint64_t place = hash_bytes(text_bytes(subset), subset->length, 0) & mask;
            while (table[place].block != NULL && !same_subset(walker, &table[place], &pick))
                place = (place + 1) & mask;
            if (table[place].block == NULL || replaces(walker, &pick, &table[place]))
                table[place] = pick;
        }
    }
    *n_kept = 0;
    for (uint64_t place = 0; table != NULL && place <= mask; place++)
        if (table[place].block != NULL)
            table[(*n_kept)++] = table[place];
    if (table != NULL)
        qsort(table, *n_kept, sizeof *table, picks_compare);
    return table;
}

bool take_distinct(walker *walker, const events *events, event_place begin, uint32_t n)
{
    uint32_t left = 0;
    memset(walker->frame, 0, walker->plan->frame_bytes);
    const event_pick *kept = find_kept(walker, events, begin, n, &left);
    while (kept != NULL && left > 0) {
        uint32_t some = left < AGGREGATE_RUN_MAX ? left : AGGREGATE_RUN_MAX;
        left -= some;
        take_picks(walker, walker->frame, PICK_KEPT | PICK_HELD, kept + left, some);
    }
    return kept != NULL;
}
