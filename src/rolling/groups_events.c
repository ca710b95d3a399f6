/* groups_events.c - the events of one key: kept in the order of time, walked backwards from the end
 * of a window; see groups_internal.h.
 *
 * One walk answers all windows that end at the same time, since the shorter is the end of the longer:
 * what the frame holds when the walk has passed the beginning of a window is that window's answer. A block
 * that lies in the walk as a whole is taken by its partials, if the functions allow it; they are made when
 * they are first wanted, and again after the block has changed. Nothing is ever subtracted.
 *
 * With `distinct` the kept events of a shorter window are not always kept in the longer, so each window has a
 * walk of its own: over the list of the events that stay in it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "keyed/cells.h"
#include "rolling/groups_internal.h"

#define BLOCK_FIRST 4u
#define CELL_MAX 16u

/* ---- records --------------------------------------------------------------------------------- */

static bool is_valid(const unsigned char *record, uint32_t slot)
{
    return (record[RECORD_VALID + slot / 8] >> slot % 8 & 1) != 0;
}

static uint32_t record_pivot(const unsigned char *record)
{
    uint32_t pivot;
    memcpy(&pivot, record + RECORD_PIVOT, sizeof pivot);
    return pivot;
}

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

static uint32_t find_pivot(const groups_plan *plan, const column *columns, uint64_t row)
{
    const groups_pivot *pivot = &plan->declaration.pivot;
    if (pivot->column == WINDOWS_NONE)
        return 0;
    const column *column = &columns[pivot->column];
    if (!column_is_valid(column, row))
        return NO_PIVOT;
    for (uint32_t p = 0; p < pivot->n_values; p++)
        if (same_cell(column, row, pivot->values, p))
            return p;
    return NO_PIVOT;
}

static void set_cell(const groups_plan *plan, uint32_t index, const column *columns, uint64_t row,
                     unsigned char *record)
{
    const group_slot *slot = &plan->slots[index];
    const column *values = &columns[slot->values];
    bool there = column_is_valid(values, row);
    if (there && slot->filter != WINDOWS_NO_FILTER) {
        const column *filter = &columns[slot->filter];
        there = column_is_valid(filter, row) && ((const uint8_t *)filter->data)[row] != 0;
    }
    if (!there)
        return;
    record[RECORD_VALID + index / 8] |= (unsigned char)(1u << index % 8);
    memcpy(record + slot->offset, (const char *)values->data + row * slot->cell, slot->cell);
}

bool group_record_make(const groups_plan *plan, const column *columns, uint64_t row,
                       int64_t time_us, text_buffer *scratch, unsigned char *record)
{
    uint32_t pivot = find_pivot(plan, columns, row);
    memset(record, 0, plan->record_bytes);
    memcpy(record + RECORD_TIME, &time_us, sizeof time_us);
    memcpy(record + RECORD_PIVOT, &pivot, sizeof pivot);
    for (uint32_t i = 0; i < plan->n_slots; i++)
        set_cell(plan, i, columns, row, record);
    if (plan->subset_offset == 0)
        return true;
    text_reset(scratch);
    for (uint32_t i = 0; i < plan->declaration.n_distinct; i++)
        cells_put(scratch, &columns[plan->declaration.distinct[i]], row, true);
    if (scratch->failed)
        return false;
    cell_text subset = text_of(scratch->bytes, (uint32_t)scratch->length);
    memcpy(record + plan->subset_offset, &subset, sizeof subset);
    return true;
}

static bool keep_text(group_walker *walker, unsigned char *at)
{
    cell_text text;
    memcpy(&text, at, sizeof text);
    if (text.length <= TEXT_INLINE_MAX)
        return true;
    char *copy = memory_take(walker->memory, text.length);
    if (copy == NULL)
        return false;
    memcpy(copy, text.as.outside.pointer, text.length);
    text.as.outside.pointer = copy;
    memcpy(at, &text, sizeof text);
    return true;
}

static void give_text(group_walker *walker, const unsigned char *at)
{
    cell_text text;
    memcpy(&text, at, sizeof text);
    if (text.length > TEXT_INLINE_MAX)
        memory_give(walker->memory, text.as.outside.pointer, text.length);
}

/* Number i of the record's texts; 0 past the last. */
static uint32_t text_offset(const groups_plan *plan, const unsigned char *record, uint32_t i)
{
    if (i == 0)
        return plan->subset_offset;
    const group_slot *slot = &plan->slots[i - 1];
    return slot->is_text && is_valid(record, i - 1) ? slot->offset : 0;
}

static void release_texts(group_walker *walker, const unsigned char *record, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t offset = text_offset(walker->plan, record, i);
        if (offset != 0)
            give_text(walker, record + offset);
    }
}

/* The record's long texts become copies of their own. */
static bool events_keep_texts(group_walker *walker, unsigned char *record)
{
    for (uint32_t i = 0; i <= walker->plan->n_slots; i++) {
        uint32_t offset = text_offset(walker->plan, record, i);
        if (offset != 0 && !keep_text(walker, record + offset)) {
            release_texts(walker, record, i);
            return false;
        }
    }
    return true;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static size_t block_bytes(const groups_plan *plan, uint32_t capacity)
{
    return sizeof(group_block) + (size_t)capacity * plan->record_bytes;
}

static group_block *take_block(group_walker *walker, uint32_t capacity)
{
    group_block *block = memory_take(walker->memory, block_bytes(walker->plan, capacity));
    if (block != NULL)
        *block = (group_block){.capacity = capacity};
    return block;
}

static void give_block(group_walker *walker, group_block *block)
{
    memory_give(walker->memory, block->partials, walker->plan->frame_bytes);
    memory_give(walker->memory, block, block_bytes(walker->plan, block->capacity));
}

static bool grow_blocks(group_walker *walker, group_events *events)
{
    if (events->n_blocks < events->capacity)
        return true;
    uint32_t capacity = events->capacity == 0 ? 1 : events->capacity * 2;
    group_block **blocks = memory_take(walker->memory, capacity * sizeof(group_block *));
    if (blocks == NULL)
        return false;
    if (events->n_blocks > 0)
        memcpy(blocks, events->blocks, events->n_blocks * sizeof(group_block *));
    memory_give(walker->memory, events->blocks, events->capacity * sizeof(group_block *));
    events->blocks = blocks;
    events->capacity = capacity;
    return true;
}

/* Puts a block into the list; there is room. */
static void put_block(group_events *events, uint32_t at, group_block *block)
{
    memmove(events->blocks + at + 1, events->blocks + at,
            (events->n_blocks - at) * sizeof(group_block *));
    events->blocks[at] = block;
    events->n_blocks++;
}

/* The only block of a small key grows up to GROUP_BLOCK_MAX. */
static bool enlarge_block(group_walker *walker, group_block **block)
{
    uint32_t capacity = (*block)->capacity * 2;
    group_block *larger =
        take_block(walker, capacity > GROUP_BLOCK_MAX ? GROUP_BLOCK_MAX : capacity);
    if (larger == NULL)
        return false;
    memcpy(larger->records, (*block)->records, (size_t)(*block)->n * walker->plan->record_bytes);
    larger->n = (*block)->n;
    give_block(walker, *block);
    *block = larger;
    return true;
}

/* A full block: behind its end there is a new one; in its middle it is cut in two. `at` stays the place. */
static bool split_block(group_walker *walker, group_events *events, group_place *at)
{
    const groups_plan *plan = walker->plan;
    group_block *block = events->blocks[at->block];
    if (!grow_blocks(walker, events))
        return false;
    group_block *second = take_block(walker, GROUP_BLOCK_MAX);
    if (second == NULL)
        return false;
    put_block(events, at->block + 1, second);
    if (at->event == block->n && at->block + 2 == events->n_blocks) {
        *at = (group_place){at->block + 1, 0};
        return true;
    }
    uint32_t half = block->n / 2;
    second->n = block->n - half;
    memcpy(second->records, block_record(plan, block, half),
           (size_t)second->n * plan->record_bytes);
    block->n = half;
    block->fresh = false;
    if (at->event > half)
        *at = (group_place){at->block + 1, at->event - half};
    return true;
}

static bool events_make_room(group_walker *walker, group_events *events, group_place *at)
{
    if (events->n_blocks == 0) {
        if (!grow_blocks(walker, events))
            return false;
        group_block *block = take_block(walker, BLOCK_FIRST);
        if (block == NULL)
            return false;
        put_block(events, 0, block);
        return true;
    }
    group_block **block = &events->blocks[at->block];
    if ((*block)->n < (*block)->capacity)
        return true;
    if ((*block)->capacity < GROUP_BLOCK_MAX)
        return enlarge_block(walker, block);
    return split_block(walker, events, at);
}

/* ---- places ---------------------------------------------------------------------------------- */

static int64_t last_time(const groups_plan *plan, const group_block *block)
{
    assert(block->n > 0);
    return record_time(block_record(plan, block, block->n - 1));
}

group_place group_events_find(const groups_plan *plan, const group_events *events, int64_t time_us)
{
    uint32_t low = 0, high = events->n_blocks;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (last_time(plan, events->blocks[middle]) < time_us)
            low = middle + 1;
        else
            high = middle;
    }
    group_place place = {low, 0};
    if (low == events->n_blocks)
        return place;
    const group_block *block = events->blocks[low];
    uint32_t from = 0, to = block->n - 1;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (record_time(block_record(plan, block, middle)) < time_us)
            from = middle + 1;
        else
            to = middle;
    }
    place.event = from;
    return place;
}

int64_t group_events_time(const groups_plan *plan, const group_events *events, int64_t time_us)
{
    group_place at = group_events_find(plan, events, time_us);
    return at.block == events->n_blocks
               ? INT64_MAX
               : record_time(block_record(plan, events->blocks[at.block], at.event));
}

static uint64_t count_between(const group_events *events, group_place from, group_place to)
{
    uint64_t n = 0;
    for (uint32_t b = from.block; b < to.block; b++)
        n += events->blocks[b]->n;
    return n + to.event - from.event;
}

uint64_t group_events_count(const groups_plan *plan, const group_events *events, int64_t from_us,
                            int64_t to_us)
{
    group_place from = group_events_find(plan, events, from_us);
    return count_between(events, from, group_events_find(plan, events, to_us));
}

/* ---- changing -------------------------------------------------------------------------------- */

/* Behind all events of that time: mostly at the end. */
static group_place place_behind(const groups_plan *plan, const group_events *events,
                                int64_t time_us)
{
    if (events->n_blocks == 0)
        return (group_place){0, 0};
    uint32_t last = events->n_blocks - 1;
    if (time_us >= last_time(plan, events->blocks[last]))
        return (group_place){last, events->blocks[last]->n};
    return group_events_find(plan, events, time_us + 1);
}

bool group_events_insert(group_walker *walker, group_events *events, const unsigned char *record)
{
    const groups_plan *plan = walker->plan;
    group_place at = place_behind(plan, events, record_time(record));
    if (!events_make_room(walker, events, &at))
        return false;
    group_block *block = events->blocks[at.block];
    unsigned char *place = block_record(plan, block, at.event);
    memmove(place + plan->record_bytes, place, (size_t)(block->n - at.event) * plan->record_bytes);
    memcpy(place, record, plan->record_bytes);
    if (!events_keep_texts(walker, place)) {
        memmove(place, place + plan->record_bytes,
                (size_t)(block->n - at.event) * plan->record_bytes);
        return false;
    }
    block->n++;
    block->fresh = false;
    events->n++;
    return true;
}

static void release_records(group_walker *walker, group_block *block, uint32_t n)
{
    const groups_plan *plan = walker->plan;
    for (uint32_t i = 0; i < n; i++)
        release_texts(walker, block_record(plan, block, i), plan->n_slots + 1);
}

void group_events_release(group_walker *walker, group_events *events)
{
    for (uint32_t b = 0; b < events->n_blocks; b++) {
        release_records(walker, events->blocks[b], events->blocks[b]->n);
        give_block(walker, events->blocks[b]);
    }
    memory_give(walker->memory, events->blocks, events->capacity * sizeof(group_block *));
    *events = (group_events){0};
}

void group_events_evict(group_walker *walker, group_events *events, int64_t before_us)
{
    const groups_plan *plan = walker->plan;
    group_place to = group_events_find(plan, events, before_us);
    if (to.block == events->n_blocks) {
        group_events_release(walker, events);
        return;
    }
    for (uint32_t b = 0; b < to.block; b++) {
        events->n -= events->blocks[b]->n;
        release_records(walker, events->blocks[b], events->blocks[b]->n);
        give_block(walker, events->blocks[b]);
    }
    events->n_blocks -= to.block;
    memmove(events->blocks, events->blocks + to.block, events->n_blocks * sizeof(group_block *));
    group_block *block = events->blocks[0];
    if (to.event == 0)
        return;
    release_records(walker, block, to.event);
    events->n -= to.event;
    block->n -= to.event;
    block->fresh = false;
    memmove(block->records, block_record(plan, block, to.event),
            (size_t)block->n * plan->record_bytes);
}

/* ---- walking --------------------------------------------------------------------------------- */

freshet_code group_walker_init(group_walker *walker, const groups_plan *plan,
                               windows_memory *memory, freshet_error *err)
{
    *walker = (group_walker){.plan = plan, .memory = memory};
    walker->scratch.arena = arena_open();
    walker->frame = memory_take(memory, plan->frame_bytes);
    walker->cells = memory_take(memory, (size_t)GROUP_BLOCK_MAX * CELL_MAX);
    return walker->scratch.arena == NULL || walker->frame == NULL || walker->cells == NULL
               ? error_memory(err, "opening the groups")
               : FRESHET_OK;
}

void group_walker_release(group_walker *walker)
{
    if (walker->plan == NULL)
        return;
    memory_give(walker->memory, walker->frame, walker->plan->frame_bytes);
    memory_give(walker->memory, walker->cells, (size_t)GROUP_BLOCK_MAX * CELL_MAX);
    arena_close(walker->scratch.arena);
    *walker = (group_walker){0};
}

static uint64_t *part_count(unsigned char *part)
{
    return (uint64_t *)(void *)part;
}

/* Puts a slot's values of these records in front of what its measures hold. */
static void add_slot(group_walker *walker, unsigned char *part, uint32_t index,
                     const unsigned char *const *records, uint32_t n)
{
    const groups_plan *plan = walker->plan;
    const group_slot *slot = &plan->slots[index];
    aggregate_run run = {.to = n, .values = slot->cell == 0 ? NULL : walker->cells};
    for (uint32_t i = 0; i < n; i++)
        run.valid |= (uint64_t)is_valid(records[i], index) << i;
    for (uint32_t i = 0; i < n && slot->cell > 0; i++)
        memcpy((char *)walker->cells + (size_t)i * slot->cell, records[i] + slot->offset,
               slot->cell);
    for (uint32_t m = slot->first_measure; m < slot->first_measure + slot->n_measures; m++) {
        const group_measure *measure = &plan->measures[m];
        measure->family->update(part + measure->offset, &run, slot->type, &walker->scratch);
    }
}

/* Records from the oldest to the newest, GROUP_BLOCK_MAX at most, all older than what the frame has seen. */
static void add_records(group_walker *walker, unsigned char *frame,
                        const unsigned char *const *records, uint32_t n)
{
    const groups_plan *plan = walker->plan;
    uint64_t left = n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
    while (left != 0) {
        const unsigned char *alike[GROUP_BLOCK_MAX];
        uint32_t pivot = record_pivot(records[__builtin_ctzll(left)]), n_alike = 0;
        for (uint64_t bits = left; bits != 0; bits &= bits - 1) {
            uint32_t i = (uint32_t)__builtin_ctzll(bits);
            if (record_pivot(records[i]) != pivot)
                continue;
            alike[n_alike++] = records[i];
            left &= ~(UINT64_C(1) << i);
        }
        if (pivot == NO_PIVOT)
            continue;
        unsigned char *part = frame + (size_t)pivot * plan->part_bytes;
        *part_count(part) += n_alike;
        for (uint32_t s = 0; s < plan->n_slots; s++)
            add_slot(walker, part, s, alike, n_alike);
    }
}

static void add_part_of_block(group_walker *walker, unsigned char *frame, const group_block *block,
                              uint32_t from, uint32_t to)
{
    const unsigned char *records[GROUP_BLOCK_MAX];
    for (uint32_t i = from; i < to; i++)
        records[i - from] = block_record(walker->plan, block, i);
    if (to > from)
        add_records(walker, frame, records, to - from);
}

/* False where there are none: then the block is read event by event. */
static bool have_partials(group_walker *walker, group_block *block)
{
    if (block->fresh)
        return true;
    if (block->partials == NULL)
        block->partials = memory_take(walker->memory, walker->plan->frame_bytes);
    if (block->partials == NULL)
        return false;
    AGGREGATE_EMPTY(block->partials, walker->plan->frame_bytes);
    add_part_of_block(walker, block->partials, block, 0, block->n);
    block->fresh = true;
    return true;
}

static void merge_block(group_walker *walker, const group_block *block)
{
    const groups_plan *plan = walker->plan;
    for (uint32_t p = 0; p < plan->n_pivots; p++) {
        unsigned char *part = walker->frame + (size_t)p * plan->part_bytes;
        unsigned char *older = block->partials + (size_t)p * plan->part_bytes;
        if (*part_count(older) == 0)
            continue;
        *part_count(part) += *part_count(older);
        for (uint32_t m = 0; m < plan->n_measures; m++) {
            const group_measure *measure = &plan->measures[m];
            measure->family->merge(part + measure->offset, older + measure->offset,
                                   plan->part_bytes, 1, plan->slots[measure->slot].type);
        }
    }
}

/* Collects [from, *to), and leaves *to at `from`. */
static void walk_back(group_walker *walker, group_events *events, group_place from, group_place *to)
{
    while (to->block > from.block || to->event > from.event) {
        if (to->event == 0) {
            to->block--;
            to->event = events->blocks[to->block]->n;
        }
        group_block *block = events->blocks[to->block];
        uint32_t begin = to->block == from.block ? from.event : 0;
        bool whole = begin == 0 && to->event == block->n && block->n >= GROUP_BLOCK_MAX / 4;
        if (whole && walker->plan->merges && events->n_blocks > 1 && have_partials(walker, block))
            merge_block(walker, block);
        else
            add_part_of_block(walker, walker->frame, block, begin, to->event);
        to->event = begin;
    }
}

/* ---- distinct -------------------------------------------------------------------------------- */

static bool same_subset(const groups_plan *plan, const unsigned char *a, const unsigned char *b)
{
    cell_text x, y;
    memcpy(&x, a + plan->subset_offset, sizeof x);
    memcpy(&y, b + plan->subset_offset, sizeof y);
    return x.length == y.length && memcmp(text_bytes(&x), text_bytes(&y), x.length) == 0;
}

static uint64_t subset_hash(const groups_plan *plan, const unsigned char *record)
{
    cell_text text;
    memcpy(&text, record + plan->subset_offset, sizeof text);
    return hash_bytes(text_bytes(&text), text.length, 0);
}

/* `newer` comes later in the order of (time, arrival): does it take the place of `kept`? */
static bool replaces(const groups_plan *plan, const unsigned char *newer, const unsigned char *kept)
{
    return !plan->declaration.keep_first && record_time(newer) > record_time(kept);
}

typedef struct kept_place {
    const unsigned char *record;
    uint64_t number; /* of the event in the range */
} kept_place;

static int events_compare_places(const void *a, const void *b)
{
    const kept_place *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* The events of [from, to) that stay, in order, in scratch memory. NULL where memory is out. */
static kept_place *find_kept(group_walker *walker, const group_events *events, group_place from,
                             group_place to, uint64_t *n_kept)
{
    const groups_plan *plan = walker->plan;
    uint64_t n = count_between(events, from, to), mask = 7, number = 0;
    while (mask < 2 * n)
        mask = mask * 2 + 1;
    kept_place *table = arena_zero(walker->scratch.arena, mask + 1, sizeof *table);
    if (table == NULL)
        return NULL;
    for (group_place at = from; number < n; number++, at.event++) {
        if (at.event == events->blocks[at.block]->n)
            at = (group_place){at.block + 1, 0};
        const unsigned char *record = block_record(plan, events->blocks[at.block], at.event);
        uint64_t place = subset_hash(plan, record) & mask;
        while (table[place].record != NULL && !same_subset(plan, table[place].record, record))
            place = (place + 1) & mask;
        if (table[place].record == NULL || replaces(plan, record, table[place].record))
            table[place] = (kept_place){record, number};
    }
    *n_kept = 0;
    for (uint64_t i = 0; i <= mask; i++)
        if (table[i].record != NULL)
            table[(*n_kept)++] = table[i];
    qsort(table, *n_kept, sizeof *table, events_compare_places);
    return table;
}

/* The frame of the distinct events of [from, to). */
static bool collect_distinct(group_walker *walker, const group_events *events, group_place from,
                             group_place to)
{
    uint64_t n = 0;
    AGGREGATE_EMPTY(walker->frame, walker->plan->frame_bytes);
    const kept_place *kept = find_kept(walker, events, from, to, &n);
    if (kept == NULL)
        return false;
    while (n > 0) {
        const unsigned char *records[GROUP_BLOCK_MAX];
        uint32_t some = n < GROUP_BLOCK_MAX ? (uint32_t)n : GROUP_BLOCK_MAX;
        for (uint32_t i = 0; i < some; i++)
            records[i] = kept[n - some + i].record;
        add_records(walker, walker->frame, records, some);
        n -= some;
    }
    return true;
}

/* ---- answers --------------------------------------------------------------------------------- */

static bool is_nan(const aggregate *aggregate, const aggregate_value *value)
{
    type_kind kind = aggregate->output->kind;
    return (kind == TYPE_FLOAT || kind == TYPE_DOUBLE) && value->real != value->real;
}

static bool finish_one(group_walker *walker, const group_answer *answer, const unsigned char *part,
                       arena *arena, column *output, uint64_t row)
{
    const aggregate *aggregate = answer->aggregate;
    aggregate_value value;
    aggregate_outcome outcome = AGGREGATE_NULL;
    if (part != NULL)
        outcome = aggregate->finish(part + walker->plan->measures[answer->measure].offset,
                                    aggregate, &walker->scratch, &value);
    if (outcome == AGGREGATE_NO_MEMORY)
        return false;
    if (outcome == AGGREGATE_VALUE && !is_nan(aggregate, &value))
        return aggregate_store(arena, output, row, &value);
    walker->n_overflows += outcome == AGGREGATE_OVERFLOW;
    return column_set_null(arena, output, row);
}

/* The outputs of one window, from the frame; all null where it is not one of this end. */
static bool finish_window(group_walker *walker, const group_window *window, bool ends, arena *arena,
                          column *outputs, uint64_t row)
{
    const groups_plan *plan = walker->plan;
    for (uint32_t p = 0; p < plan->n_pivots; p++) {
        unsigned char *part = walker->frame + (size_t)p * plan->part_bytes;
        const unsigned char *filled = ends && *part_count(part) > 0 ? part : NULL;
        for (uint32_t a = 0; a < plan->n_answers; a++) {
            uint32_t output = (p * plan->n_answers + a) * plan->n_windows + window->index;
            if (!finish_one(walker, &plan->answers[a], filled, arena, &outputs[output], row))
                return false;
        }
    }
    return true;
}

bool group_events_answer(group_walker *walker, group_events *events, int64_t end_us, arena *arena,
                         column *outputs, uint64_t row, uint64_t *n)
{
    const groups_plan *plan = walker->plan;
    int64_t to_us = plan->is_rolling ? end_us : end_us + 1;
    const group_place end = group_events_find(plan, events, to_us);
    group_place at = end;
    *n = 0;
    arena_reset(walker->scratch.arena);
    walker->scratch.failed = false;
    AGGREGATE_EMPTY(walker->frame, plan->frame_bytes);
    for (uint32_t w = 0; w < plan->n_windows; w++) {
        const group_window *window = &plan->windows[w];
        bool ends = !plan->is_rolling || group_window_ends(plan, window, end_us);
        if (ends) {
            group_place from = group_events_find(plan, events, to_us - window->length_us);
            *n = count_between(events, from, end);
            if (plan->subset_offset > 0 && !collect_distinct(walker, events, from, end))
                return false;
            if (plan->subset_offset == 0)
                walk_back(walker, events, from, &at);
        }
        if (walker->scratch.failed || !finish_window(walker, window, ends, arena, outputs, row))
            return false;
    }
    return true;
}
