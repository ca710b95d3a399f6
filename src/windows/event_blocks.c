/* event_blocks.c - one block of events, and the memory of the state.
 *
 * A block is one allocation: a header, a word of validity for each slot, then one array for each
 * slot and one of times, the wide cells first. It grows through block_capacities. Seconds are
 * 32-bit distances from a base that lies 2^31 below the first event, so that a block spans 68 years
 * either way; an event that does not fit opens another block, as a full block does. Microseconds
 * have 64 bits.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "windows/events_internal.h"

static const uint32_t block_capacities[] = {EVENT_BLOCK_FIRST, 8, 12, 16, 24, 32, 48,
                                            EVENT_BLOCK_MAX};

/* ---- blocks -------------------------------------------------------------------------------- */

static size_t block_bytes(const walker *walker, uint32_t capacity)
{
    return walker->header_bytes + (size_t)capacity * walker->plan->event_bytes;
}

static unsigned char *cells_of(const walker *walker, event_block *block, const window_slot *slot)
{
    return (unsigned char *)block + walker->header_bytes + (size_t)block->capacity * slot->before;
}

static unsigned char *times_of(const walker *walker, event_block *block)
{
    return (unsigned char *)block + walker->header_bytes +
           (size_t)block->capacity * walker->plan->times_before;
}

event_block *block_open(walker *walker, uint32_t capacity, int64_t base)
{
    event_block *block = memory_take(walker->memory, block_bytes(walker, capacity));
    if (block == NULL)
        return NULL;
    *block = (event_block){.base = base, .capacity = capacity};
    memset(block->valid, 0, walker->plan->n_slots * sizeof *block->valid);
    return block;
}

static void text_release_cell(walker *walker, const cell_text *cell)
{
    if (cell->length > TEXT_INLINE_MAX)
        memory_give(walker->memory, cell->as.outside.pointer, cell->length);
}

/* The long texts of events [0, n). */
void block_release_texts(walker *walker, event_block *block, uint32_t n)
{
    const windows_plan *plan = walker->plan;
    for (uint32_t s = 0; plan->has_texts && s < plan->n_slots; s++) {
        if (!plan->slots[s].is_text)
            continue;
        const cell_text *cells = block_cells(walker, block, &plan->slots[s]);
        for (uint32_t i = 0; i < n; i++)
            if (block->valid[s] >> i & 1)
                text_release_cell(walker, &cells[i]);
    }
}

void block_free(walker *walker, event_block *block)
{
    memory_give(walker->memory, block, block_bytes(walker, block->capacity));
}

/* Copies events [from, from + n) of one block behind those of another, which has room and the same
 * base. The texts now belong to the copy. */
void block_copy(const walker *walker, const event_block *from, uint32_t first, uint32_t n,
                event_block *into)
{
    const windows_plan *plan = walker->plan;
    uint64_t mask = n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        const window_slot *slot = &plan->slots[s];
        into->valid[s] |= (from->valid[s] >> first & mask) << into->n;
        if (slot->cell > 0)
            memcpy(cells_of(walker, into, slot) + (size_t)into->n * slot->cell,
                   (const unsigned char *)block_cells(walker, from, slot) +
                       (size_t)first * slot->cell,
                   (size_t)n * slot->cell);
    }
    const size_t size = plan->time_bytes;
    memcpy(times_of(walker, into) + into->n * size,
           (const unsigned char *)block_times(walker, from) + first * size, n * size);
    into->n += n;
}

event_block *block_grow(walker *walker, event_block *block)
{
    uint32_t i = 0;
    while (block_capacities[i] <= block->capacity)
        i++;
    event_block *larger = block_open(walker, block_capacities[i], block->base);
    if (larger == NULL)
        return NULL;
    block_copy(walker, block, 0, block->n, larger);
    block_free(walker, block);
    return larger;
}

/* Forgets the first n events. */
void block_drop(walker *walker, event_block *block, uint32_t n)
{
    const windows_plan *plan = walker->plan;
    uint32_t left = block->n - n;
    block_release_texts(walker, block, n);
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        const window_slot *slot = &plan->slots[s];
        unsigned char *cells = cells_of(walker, block, slot);
        block->valid[s] = n == 64 ? 0 : block->valid[s] >> n;
        if (slot->cell > 0)
            memmove(cells, cells + (size_t)n * slot->cell, (size_t)left * slot->cell);
    }
    unsigned char *times = times_of(walker, block);
    memmove(times, times + (size_t)n * plan->time_bytes, (size_t)left * plan->time_bytes);
    block->n = left;
}

bool block_fits(const walker *walker, const event_block *block, int64_t time)
{
    return walker->plan->in_us ||
           (time >= block->base && (uint64_t)time - (uint64_t)block->base <= UINT32_MAX);
}

static bool block_write_cell(walker *walker, const window_slot *slot, unsigned char *into,
                             const void *cell)
{
    if (!slot->is_text) {
        switch (slot->cell) {
        case 0: break;
        case 1: memcpy(into, cell, 1); break;
        case 4: memcpy(into, cell, 4); break;
        case 8: memcpy(into, cell, 8); break;
        default: memcpy(into, cell, 16); break;
        }
        return true;
    }
    cell_text text;
    memcpy(&text, cell, sizeof text);
    if (text.length > TEXT_INLINE_MAX) {
        char *copy = memory_take(walker->memory, text.length);
        if (copy == NULL)
            return false;
        memcpy(copy, text.as.outside.pointer, text.length);
        text.as.outside.pointer = copy;
    }
    memcpy(into, &text, sizeof text);
    return true;
}

/* Opens a gap at place p of one slot's array. */
static void make_gap(event_block *block, uint32_t slot, unsigned char *cells, uint32_t cell,
                     uint32_t p)
{
    uint64_t below = (UINT64_C(1) << p) - 1;
    uint64_t valid = block->valid[slot];
    block->valid[slot] = (valid & below) | (valid & ~below) << 1;
    if (p < block->n && cell > 0)
        memmove(cells + (size_t)(p + 1) * cell, cells + (size_t)p * cell,
                (size_t)(block->n - p) * cell);
}

static void close_gap(event_block *block, uint32_t slot, unsigned char *cells, uint32_t cell,
                      uint32_t p)
{
    uint64_t below = (UINT64_C(1) << p) - 1;
    uint64_t valid = block->valid[slot];
    block->valid[slot] = (valid & below) | (valid >> 1 & ~below);
    memmove(cells + (size_t)p * cell, cells + (size_t)(p + 1) * cell,
            (size_t)(block->n - p) * cell);
}

/* Puts an event at place p of a block that has room and reaches the time. */
bool block_insert(walker *walker, event_block *block, uint32_t p, int64_t time,
                  const void *const *cells)
{
    const windows_plan *plan = walker->plan;
    assert(block->n < block->capacity && block_fits(walker, block, time));
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        const window_slot *slot = &plan->slots[s];
        unsigned char *array = cells_of(walker, block, slot);
        make_gap(block, s, array, slot->cell, p);
        unsigned char *into = array + (size_t)p * slot->cell;
        if (cells[s] == NULL) {
            memset(into, 0, slot->cell);
            continue;
        }
        if (!block_write_cell(walker, slot, into, cells[s])) {
            for (uint32_t i = 0; i <= s; i++) {
                const window_slot *undo = &plan->slots[i];
                array = cells_of(walker, block, undo);
                if (i < s && undo->is_text && cells[i] != NULL)
                    text_release_cell(walker, (cell_text *)(void *)array + p);
                close_gap(block, i, array, undo->cell, p);
            }
            return false;
        }
        block->valid[s] |= UINT64_C(1) << p;
    }
    const size_t size = plan->time_bytes;
    unsigned char *times = times_of(walker, block);
    if (p < block->n)
        memmove(times + (p + 1) * size, times + p * size, (block->n - p) * size);
    if (plan->in_us)
        ((int64_t *)(void *)times)[p] = time;
    else
        ((uint32_t *)(void *)times)[p] = (uint32_t)(time - block->base);
    block->n++;
    return true;
}

/* ---- the cells of a row -------------------------------------------------------------------- */

void gather_cells(const windows_plan *plan, const column *columns, uint64_t row, const void **cells)
{
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        const window_slot *slot = &plan->slots[s];
        if (slot->values == WINDOWS_NONE) {
            cells[s] = NULL;
            continue;
        }
        const column *values = &columns[slot->values];
        bool there = column_is_valid(values, row);
        if (there && slot->filter != WINDOWS_NO_FILTER) {
            const column *filter = &columns[slot->filter];
            there = column_is_valid(filter, row) && ((const uint8_t *)filter->data)[row] != 0;
        }
        cells[s] = there ? (const char *)values->data + row * slot->cell : NULL;
    }
}
