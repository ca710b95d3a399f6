/* events.c - see events.h, and keyed_state.c for the idea.
 *
 * BLOCKS. One allocation: a header, a word of validity for each slot, then one array for each slot
 * and one of seconds, the wide cells first. A block grows through BLOCK_CAPACITIES. Seconds are 32-bit
 * distances from a base that lies 2^31 below the first event, so that a block spans 68 years either
 * way; an event that does not fit opens another block, as a full block does.
 *
 * GROUPS keep their blocks' partials side by side, so that a walk over them reads memory in order.
 * A partial is computed when a walk first wants it, and forgotten when its block changes: the bit in
 * `fresh` says which. The newest block changes with every event, so it is always read event by event.
 *
 * A FULL BLOCK in the middle is cut in half (its later half becomes a block behind it); at the end of
 * the key an empty block is put behind it instead, so that in-order events fill blocks completely. A
 * full group likewise. So blocks are at least half full, except beside a full one.
 *
 * WALKS hold a place and go back from it, window by window: through the rest of the block in which the
 * shorter window began, over the MIDDLE, which is whole blocks and groups, and into the block in which
 * this window begins. A middle is collected apart, and then put in front of the rest in one merge. So
 * it can be remembered: as events come, the ends of a middle move by one block for about 64 events,
 * and until then a walk over a million events is a few runs and one merge for each window. A change
 * inside a middle, or one that moves the places of its ends, makes it invalid (forget_middles).
 */
#include "windows/events.h"

#include <assert.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define BASE_BELOW (INT64_C(1) << 31)
#define GROUPS_FIRST 4u

static const uint32_t block_capacities[] = {4, 8, 12, 16, 24, 32, 48, EVENT_BLOCK_MAX};

/* ---- memory -------------------------------------------------------------------------------- */

void *memory_take(windows_memory *memory, size_t size)
{
    if (memory->fail_after == 0)
        return NULL;
    if (memory->fail_after > 0)
        memory->fail_after--;
    void *at = malloc(size);
    if (at != NULL)
        memory->bytes += size;
    return at;
}

void memory_give(windows_memory *memory, const void *at, size_t size)
{
    if (at == NULL)
        return;
    assert(memory->bytes >= size);
    memory->bytes -= size;
    free((void *)at);
}

freshet_code walker_init(walker *walker, const windows_plan *plan, windows_memory *memory,
                         freshet_error *err)
{
    size_t header = sizeof(event_block) + plan->n_slots * sizeof(uint64_t);
    *walker = (struct walker){.plan = plan, .memory = memory};
    walker->header_bytes = (uint32_t)((header + 15) & ~(size_t)15);
    walker->frame = memory_take(memory, plan->frame_bytes + 16);
    walker->middle = memory_take(memory, plan->kept_bytes + 16);
    walker->scratch.arena = arena_open();
    if (walker->frame == NULL || walker->middle == NULL || walker->scratch.arena == NULL)
        return error_memory(err, "opening the windows");
    return FRESHET_OK;
}

void walker_release(walker *walker)
{
    if (walker->plan == NULL)
        return;
    memory_give(walker->memory, walker->frame, walker->plan->frame_bytes + 16);
    memory_give(walker->memory, walker->middle, walker->plan->kept_bytes + 16);
    arena_close(walker->scratch.arena);
    *walker = (struct walker){0};
}

/* ---- blocks -------------------------------------------------------------------------------- */

static size_t block_bytes(const walker *walker, uint32_t capacity)
{
    return walker->header_bytes + (size_t)capacity * walker->plan->event_bytes;
}

static unsigned char *cells_of(const walker *walker, event_block *block, const window_slot *slot)
{
    return (unsigned char *)block + walker->header_bytes + (size_t)block->capacity * slot->before;
}

static uint32_t *seconds_of(const walker *walker, event_block *block)
{
    return (uint32_t *)((unsigned char *)block + walker->header_bytes +
                        (size_t)block->capacity * walker->plan->seconds_before);
}

static int64_t second_at(const walker *walker, const event_block *block, uint32_t i)
{
    return block->base_s + block_seconds(walker, block)[i];
}

static event_block *block_open(walker *walker, uint32_t capacity, int64_t base_s)
{
    event_block *block = memory_take(walker->memory, block_bytes(walker, capacity));
    if (block == NULL)
        return NULL;
    *block = (event_block){.base_s = base_s, .capacity = capacity};
    memset(block->valid, 0, walker->plan->n_slots * sizeof *block->valid);
    return block;
}

static void text_release_cell(walker *walker, const cell_text *cell)
{
    if (cell->length > TEXT_INLINE_MAX)
        memory_give(walker->memory, cell->as.outside.pointer, cell->length);
}

/* The long texts of events [0, n). */
static void block_release_texts(walker *walker, event_block *block, uint32_t n)
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

static void block_free(walker *walker, event_block *block)
{
    memory_give(walker->memory, block, block_bytes(walker, block->capacity));
}

/* Copies events [from, from + n) of one block behind those of another, which has room and the same
 * base. The texts now belong to the copy. */
static void block_copy(const walker *walker, const event_block *from, uint32_t first, uint32_t n,
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
    memcpy(seconds_of(walker, into) + into->n, block_seconds(walker, from) + first,
           n * sizeof(uint32_t));
    into->n += n;
}

static event_block *block_grow(walker *walker, event_block *block)
{
    uint32_t i = 0;
    while (block_capacities[i] <= block->capacity)
        i++;
    event_block *larger = block_open(walker, block_capacities[i], block->base_s);
    if (larger == NULL)
        return NULL;
    block_copy(walker, block, 0, block->n, larger);
    block_free(walker, block);
    return larger;
}

/* Forgets the first n events. */
static void block_drop(walker *walker, event_block *block, uint32_t n)
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
    uint32_t *seconds = seconds_of(walker, block);
    memmove(seconds, seconds + n, left * sizeof *seconds);
    block->n = left;
}

static bool block_fits(const event_block *block, int64_t second)
{
    return second >= block->base_s && second - block->base_s <= UINT32_MAX;
}

/* How many of the first `end` events lie before `second`. Searched from the end, where the answer
 * mostly is. */
static uint32_t block_lower(const walker *walker, const event_block *block, uint32_t end,
                            int64_t second)
{
    const uint32_t *seconds = block_seconds(walker, block);
    if (second <= block->base_s)
        return 0;
    if (second - block->base_s > UINT32_MAX)
        return end;
    uint32_t offset = (uint32_t)(second - block->base_s);
    while (end > 0 && seconds[end - 1] >= offset)
        end--;
    return end;
}

static bool write_cell(walker *walker, const window_slot *slot, unsigned char *into,
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

/* Puts an event at place p of a block that has room and reaches the second. */
static bool block_insert(walker *walker, event_block *block, uint32_t p, int64_t second,
                         const void *const *cells)
{
    const windows_plan *plan = walker->plan;
    assert(block->n < block->capacity && block_fits(block, second));
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        const window_slot *slot = &plan->slots[s];
        unsigned char *array = cells_of(walker, block, slot);
        make_gap(block, s, array, slot->cell, p);
        unsigned char *into = array + (size_t)p * slot->cell;
        if (cells[s] == NULL) {
            memset(into, 0, slot->cell);
            continue;
        }
        if (!write_cell(walker, slot, into, cells[s])) {
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
    uint32_t *seconds = seconds_of(walker, block);
    if (p < block->n)
        memmove(seconds + p + 1, seconds + p, (block->n - p) * sizeof *seconds);
    seconds[p] = (uint32_t)(second - block->base_s);
    block->n++;
    return true;
}

/* ---- groups -------------------------------------------------------------------------------- */

static size_t group_bytes(const walker *walker, uint32_t capacity)
{
    return (size_t)capacity * sizeof(event_block *) +
           (size_t)(capacity + 1) * walker->plan->kept_bytes;
}

static unsigned char *partial_at(const walker *walker, const event_group *group, uint32_t i)
{
    return group->partials + (size_t)i * walker->plan->kept_bytes;
}

/* The partials first: they want the alignment. */
static bool group_reserve(walker *walker, event_group *group, uint32_t capacity)
{
    size_t kept = walker->plan->kept_bytes;
    unsigned char *bytes = memory_take(walker->memory, group_bytes(walker, capacity) + 16);
    if (bytes == NULL)
        return false;
    event_block **blocks = (event_block **)(void *)(bytes + (capacity + 1) * kept);
    if (group->n_blocks > 0) {
        memcpy(bytes, group->partials, group->n_blocks * kept);
        memcpy(blocks, group->blocks, group->n_blocks * sizeof(event_block *));
    }
    if (group->partials != NULL)
        memory_give(walker->memory, group->partials, group_bytes(walker, group->capacity) + 16);
    group->partials = bytes;
    group->blocks = blocks;
    group->capacity = capacity;
    group->whole = false;
    return true;
}

static event_group *group_open(walker *walker, uint32_t capacity)
{
    event_group *group = memory_take(walker->memory, sizeof *group);
    if (group == NULL)
        return NULL;
    *group = (event_group){0};
    if (!group_reserve(walker, group, capacity)) {
        memory_give(walker->memory, group, sizeof *group);
        return NULL;
    }
    return group;
}

static void group_free(walker *walker, event_group *group)
{
    memory_give(walker->memory, group->partials, group_bytes(walker, group->capacity) + 16);
    memory_give(walker->memory, group, sizeof *group);
}

static uint64_t bits_below(uint32_t n)
{
    return n >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
}

/* Puts a block at index i of a group that has room for it (or can grow). */
static bool group_insert(walker *walker, event_group *group, uint32_t i, event_block *block)
{
    if (group->n_blocks == group->capacity &&
        !group_reserve(walker, group,
                       group->capacity * 4 > EVENT_GROUP_MAX ? EVENT_GROUP_MAX
                                                             : group->capacity * 4))
        return false;
    size_t behind = group->n_blocks - i;
    memmove(&group->blocks[i + 1], &group->blocks[i], behind * sizeof(event_block *));
    if (behind > 0)
        memmove(partial_at(walker, group, i + 1), partial_at(walker, group, i),
                behind * walker->plan->kept_bytes);
    group->fresh = (group->fresh & bits_below(i)) | (group->fresh & ~bits_below(i)) << 1;
    group->blocks[i] = block;
    group->n_blocks++;
    group->whole = false;
    return true;
}

static void group_remove_first(walker *walker, event_group *group)
{
    group->n_blocks--;
    memmove(&group->blocks[0], &group->blocks[1], group->n_blocks * sizeof(event_block *));
    if (group->n_blocks > 0)
        memmove(partial_at(walker, group, 0), partial_at(walker, group, 1),
                (size_t)group->n_blocks * walker->plan->kept_bytes);
    group->fresh >>= 1;
    group->whole = false;
}

/* ---- directories --------------------------------------------------------------------------- */

static size_t directory_bytes(uint32_t capacity)
{
    return sizeof(event_directory) + capacity * sizeof(event_group *);
}

static size_t middles_bytes(const walker *walker)
{
    const windows_plan *plan = walker->plan;
    size_t n = plan->walks[WINDOW_FIXED].n_stops + plan->walks[WINDOW_ROWS].n_stops;
    return n * sizeof(event_middle) + n * plan->kept_bytes + 16;
}

static uint32_t n_middles(const walker *walker)
{
    const windows_plan *plan = walker->plan;
    return plan->walks[WINDOW_FIXED].n_stops + plan->walks[WINDOW_ROWS].n_stops;
}

/* Blocks have changed in group g from block b on: the one block only, or also the places behind it. */
static void forget_middles(const walker *walker, const event_directory *directory, uint32_t g,
                           uint32_t b, bool moved)
{
    for (uint32_t i = 0; directory->middles != NULL && i < n_middles(walker); i++) {
        event_middle *middle = &directory->middles[i];
        bool newer = middle->from.group > g || (middle->from.group == g && middle->from.block > b);
        bool above = middle->to.group > g || (middle->to.group == g && middle->to.block > b);
        if (newer && (moved || !above))
            middle->valid = false;
    }
}

static event_directory *directory_open(walker *walker, uint32_t capacity)
{
    event_directory *directory = memory_take(walker->memory, directory_bytes(capacity));
    if (directory != NULL)
        *directory = (event_directory){.capacity = capacity};
    return directory;
}

static void directory_free(walker *walker, event_directory *directory)
{
    memory_give(walker->memory, directory->middles, middles_bytes(walker));
    memory_give(walker->memory, directory, directory_bytes(directory->capacity));
}

/* Puts an empty group at index i of the key's directory. */
static event_group *directory_insert(walker *walker, events *events, uint32_t i)
{
    event_directory *directory = events->root;
    if (directory->n_groups == directory->capacity) {
        event_directory *larger = directory_open(walker, directory->capacity * 2);
        if (larger == NULL)
            return NULL;
        larger->n_groups = directory->n_groups;
        larger->middles = directory->middles;
        memcpy(larger->groups, directory->groups, directory->n_groups * sizeof(event_group *));
        memory_give(walker->memory, directory, directory_bytes(directory->capacity));
        events->root = directory = larger;
    }
    event_group *group = group_open(walker, GROUPS_FIRST);
    if (group == NULL)
        return NULL;
    memmove(&directory->groups[i + 1], &directory->groups[i],
            (directory->n_groups - i) * sizeof(event_group *));
    directory->groups[i] = group;
    directory->n_groups++;
    return group;
}

/* One block becomes a directory of one group of one block. */
static bool become_directory(walker *walker, events *events)
{
    event_directory *directory = directory_open(walker, GROUPS_FIRST);
    event_group *group = directory == NULL ? NULL : group_open(walker, GROUPS_FIRST);
    if (group == NULL) {
        if (directory != NULL)
            directory_free(walker, directory);
        return false;
    }
    event_block *block = events->root;
    group->blocks[0] = block;
    group->n_blocks = 1;
    group->n_events = block->n;
    directory->groups[0] = group;
    directory->n_groups = 1;
    events->root = directory;
    events->is_directory = true;
    return true;
}

static void become_block(walker *walker, events *events)
{
    event_directory *directory = events->root;
    event_group *group = directory->groups[0];
    events->root = group->blocks[0];
    events->is_directory = false;
    group_free(walker, group);
    directory_free(walker, directory);
}

/* Cuts a full group in half: the later half becomes the group behind it. */
static bool split_group(walker *walker, events *events, uint32_t g)
{
    event_group *right = directory_insert(walker, events, g + 1);
    if (right == NULL)
        return false;
    event_group *left = ((event_directory *)events->root)->groups[g];
    uint32_t cut = left->n_blocks / 2, moved = left->n_blocks - cut;
    forget_middles(walker, events->root, g, 0, true);
    if (right->capacity < moved && !group_reserve(walker, right, EVENT_GROUP_MAX)) {
        event_directory *directory = events->root;
        directory->n_groups--;
        memmove(&directory->groups[g + 1], &directory->groups[g + 2],
                (directory->n_groups - g - 1) * sizeof(event_group *));
        group_free(walker, right);
        return false;
    }
    memcpy(right->blocks, left->blocks + cut, moved * sizeof(event_block *));
    memcpy(right->partials, partial_at(walker, left, cut),
           (size_t)moved * walker->plan->kept_bytes);
    right->fresh = left->fresh >> cut;
    right->n_blocks = moved;
    for (uint32_t i = 0; i < moved; i++)
        right->n_events += right->blocks[i]->n;
    left->fresh &= bits_below(cut);
    left->n_blocks = cut;
    left->n_events -= right->n_events;
    left->whole = false;
    return true;
}

/* Makes room for one more block in group `at->group`; the place of block index at->block may move to
 * the next group. Behind the last block of all, a new group is opened instead of cutting one. */
static bool room_for_block(walker *walker, events *events, event_place *at)
{
    event_directory *directory = events->root;
    event_group *group = directory->groups[at->group];
    if (group->n_blocks < EVENT_GROUP_MAX)
        return true;
    if (at->group == directory->n_groups - 1 && at->block == group->n_blocks) {
        if (directory_insert(walker, events, at->group + 1) == NULL)
            return false;
        at->group++;
        at->block = 0;
        return true;
    }
    if (!split_group(walker, events, at->group))
        return false;
    uint32_t cut = ((event_directory *)events->root)->groups[at->group]->n_blocks;
    if (at->block > cut) {
        at->group++;
        at->block -= cut;
    }
    return true;
}

/* Puts an empty block at the place's block index. A group opened for it stays, empty, only if memory
 * ends: it is then closed again. */
static event_block *add_block(walker *walker, events *events, event_place *at, int64_t base_s)
{
    event_block *block = block_open(walker, EVENT_BLOCK_MAX, base_s);
    if (block == NULL)
        return NULL;
    if (!room_for_block(walker, events, at)) {
        block_free(walker, block);
        return NULL;
    }
    event_directory *directory = events->root;
    event_group *group = directory->groups[at->group];
    if (!group_insert(walker, group, at->block, block)) {
        block_free(walker, block);
        return NULL;
    }
    forget_middles(walker, directory, at->group, at->block, true);
    return block;
}

static bool empty_block_gone(walker *walker, events *events, event_place at)
{
    event_directory *directory = events->root;
    event_group *group = directory->groups[at.group];
    event_block *block = group->blocks[at.block];
    forget_middles(walker, directory, at.group, 0, true);
    size_t behind = group->n_blocks - at.block - 1;
    memmove(&group->blocks[at.block], &group->blocks[at.block + 1], behind * sizeof(event_block *));
    if (behind > 0)
        memmove(partial_at(walker, group, at.block), partial_at(walker, group, at.block + 1),
                behind * walker->plan->kept_bytes);
    uint64_t below = bits_below(at.block);
    group->fresh = (group->fresh & below) | (group->fresh >> 1 & ~below);
    group->n_blocks--;
    block_free(walker, block);
    if (group->n_blocks == 0) {
        directory->n_groups--;
        memmove(&directory->groups[at.group], &directory->groups[at.group + 1],
                (directory->n_groups - at.group) * sizeof(event_group *));
        group_free(walker, group);
    }
    return false;
}

/* Cuts the full block at the place in half and leaves the place in the half it falls into. */
static bool split_block(walker *walker, events *events, event_place *at)
{
    event_place behind = {at->group, at->block + 1, 0};
    event_block *left = ((event_directory *)events->root)->groups[at->group]->blocks[at->block];
    event_block *right = add_block(walker, events, &behind, left->base_s);
    if (right == NULL)
        return false;
    uint32_t cut = left->n / 2, moved = left->n - cut;
    block_copy(walker, left, cut, moved, right);
    left->n = cut;
    for (uint32_t s = 0; s < walker->plan->n_slots; s++)
        left->valid[s] &= bits_below(cut);
    /* The halves may now be in two groups: `left` is just before `right`. */
    event_directory *directory = events->root;
    event_place before = behind;
    if (before.block == 0) {
        before.group--;
        before.block = directory->groups[before.group]->n_blocks;
        directory->groups[before.group]->n_events -= moved;
        directory->groups[behind.group]->n_events += moved;
    }
    assert(before.block > 0);
    before.block--;
    directory->groups[before.group]->fresh &= ~(UINT64_C(1) << before.block);
    directory->groups[before.group]->whole = false;
    forget_middles(walker, directory, before.group, before.block, true);
    uint32_t p = at->event;
    *at = p > cut ? behind : before;
    at->event = p > cut ? p - cut : p;
    return true;
}

/* The place behind all events of `second` and earlier, in the block that such an event joins. */
static event_place find_place(const walker *walker, const events *events, int64_t second)
{
    const event_directory *directory = events->root;
    uint32_t low = 0, high = directory->n_groups - 1;
    const event_group *last = directory->groups[high];
    const event_block *newest = last->blocks[last->n_blocks - 1];
    if (second_at(walker, newest, newest->n - 1) <= second)
        return (event_place){high, last->n_blocks - 1, newest->n};
    while (low < high) { /* the last group that begins at or before the second */
        uint32_t middle = low + (high - low + 1) / 2;
        if (second_at(walker, directory->groups[middle]->blocks[0], 0) <= second)
            low = middle;
        else
            high = middle - 1;
    }
    const event_group *group = directory->groups[low];
    event_place at = {.group = low};
    low = 0, high = group->n_blocks - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (second_at(walker, group->blocks[middle], 0) <= second)
            low = middle;
        else
            high = middle - 1;
    }
    at.block = low;
    at.event = block_lower(walker, group->blocks[low], group->blocks[low]->n, second + 1);
    return at;
}

static bool insert_in_directory(walker *walker, events *events, int64_t second,
                                const void *const *cells, event_place *at)
{
    *at = find_place(walker, events, second);
    event_directory *directory = events->root;
    event_block *block = directory->groups[at->group]->blocks[at->block];
    bool opened = false;
    if (!block_fits(block, second) || (block->n == EVENT_BLOCK_MAX && at->event == block->n)) {
        at->block += at->event == 0 ? 0 : 1;
        at->event = 0;
        block = add_block(walker, events, at, second - BASE_BELOW);
        opened = true;
    } else if (block->n == EVENT_BLOCK_MAX) {
        block = split_block(walker, events, at)
                    ? ((event_directory *)events->root)->groups[at->group]->blocks[at->block]
                    : NULL;
    }
    if (block == NULL)
        return false;
    if (block->n == block->capacity) {
        event_block *grown = block_grow(walker, block);
        if (grown == NULL)
            return false;
        ((event_directory *)events->root)->groups[at->group]->blocks[at->block] = block = grown;
    }
    if (!block_insert(walker, block, at->event, second, cells))
        return opened ? empty_block_gone(walker, events, *at) : false;
    directory = events->root;
    event_group *group = directory->groups[at->group];
    group->fresh &= ~(UINT64_C(1) << at->block);
    group->whole = false;
    group->n_events++;
    forget_middles(walker, directory, at->group, at->block, false);
    at->event++;
    return true;
}

/* How many events stand behind a place. */
static uint32_t events_behind(const events *events, event_place at)
{
    if (!events->is_directory)
        return ((const event_block *)events->root)->n - at.event;
    const event_directory *directory = events->root;
    uint32_t n = 0;
    for (uint32_t g = directory->n_groups - 1; g > at.group; g--)
        n += directory->groups[g]->n_events;
    const event_group *group = directory->groups[at.group];
    for (uint32_t b = group->n_blocks - 1; b > at.block; b--)
        n += group->blocks[b]->n;
    return n + group->blocks[at.block]->n - at.event;
}

bool events_insert(walker *walker, events *events, int64_t second, const void *const *cells,
                   event_place *at, uint32_t *behind)
{
    if (events->root == NULL) {
        events->root = block_open(walker, block_capacities[0], second - BASE_BELOW);
        if (events->root == NULL)
            return false;
    }
    event_block *block = events->root;
    if (events->n == 0)
        block->base_s = second - BASE_BELOW;
    if (!events->is_directory && block->n == block->capacity && block->n < EVENT_BLOCK_MAX) {
        event_block *grown = block_grow(walker, block);
        if (grown == NULL)
            return false;
        events->root = block = grown;
    }
    if (!events->is_directory && (block->n == EVENT_BLOCK_MAX || !block_fits(block, second)) &&
        !become_directory(walker, events))
        return false;
    if (events->is_directory) {
        if (!insert_in_directory(walker, events, second, cells, at))
            return false;
        events->n++;
        *behind = events_behind(events, *at);
        return true;
    }
    uint32_t offset = (uint32_t)(second - block->base_s), p = block->n;
    const uint32_t *seconds = block_seconds(walker, block);
    while (p > 0 && seconds[p - 1] > offset)
        p--;
    if (!block_insert(walker, block, p, second, cells))
        return false;
    events->n++;
    *at = (event_place){0, 0, p + 1};
    *behind = block->n - p - 1;
    return true;
}

bool events_full(const events *events)
{
    if (events->n == 0)
        return false;
    const event_block *newest = events->root;
    if (events->is_directory) {
        const event_directory *directory = events->root;
        const event_group *last = directory->groups[directory->n_groups - 1];
        newest = last->blocks[last->n_blocks - 1];
    }
    return newest->n == newest->capacity;
}

/* ---- evicting ------------------------------------------------------------------------------ */

/* How many events lie before the second. */
static uint32_t count_before(const walker *walker, const events *events, int64_t second)
{
    if (!events->is_directory) {
        const event_block *block = events->root;
        return block_lower(walker, block, block->n, second);
    }
    if (second == INT64_MIN)
        return 0;
    event_place at = find_place(walker, events, second - 1);
    return events->n - events_behind(events, at);
}

/* How many of the oldest events no window of a row at the horizon or later reaches. */
static uint32_t count_unreachable(const walker *walker, const events *events, int64_t horizon_s)
{
    const windows_plan *plan = walker->plan;
    uint32_t n = events->n;
    int64_t reach_s;
    if (plan->longest_s >= 0) {
        if (__builtin_sub_overflow(horizon_s, plan->longest_s, &reach_s))
            return 0;
        n = count_before(walker, events, reach_s);
    }
    if (plan->longest_rows > 0 && n > 0) {
        int64_t before = count_before(walker, events, horizon_s);
        int64_t spare = before - (plan->longest_rows - 1);
        n = spare <= 0 ? 0 : spare < n ? (uint32_t)spare : n;
    }
    return n;
}

static void evict_blocks(walker *walker, events *events, uint32_t n)
{
    event_directory *directory = events->root;
    event_group *group = directory->groups[0];
    for (uint32_t i = 0; directory->middles != NULL && i < n_middles(walker); i++)
        directory->middles[i].valid = false;
    while (group->blocks[0]->n <= n && events->n > group->blocks[0]->n) {
        event_block *block = group->blocks[0];
        n -= block->n;
        events->n -= block->n;
        group->n_events -= block->n;
        block_release_texts(walker, block, block->n);
        block_free(walker, block);
        group_remove_first(walker, group);
        if (group->n_blocks > 0)
            continue;
        group_free(walker, group);
        directory->n_groups--;
        memmove(&directory->groups[0], &directory->groups[1],
                directory->n_groups * sizeof(event_group *));
        assert(directory->n_groups > 0); /* events are left, so there is a block */
        group = directory->groups[0];
    }
    if (directory->n_groups == 1 && group->n_blocks == 1)
        become_block(walker, events);
}

void events_evict(walker *walker, events *events, int64_t horizon_s)
{
    if (events->n == 0)
        return;
    uint32_t n = count_unreachable(walker, events, horizon_s);
    if (n == 0)
        return;
    if (events->is_directory) {
        evict_blocks(walker, events, n);
        return;
    }
    block_drop(walker, events->root, n);
    events->n -= n;
}

/* ---- answering ----------------------------------------------------------------------------- */

/* Puts a run of a block in front of the partials of the walk's measures that go on past stop `stop`. */
static void take_run(walker *walker, const window_walk *walk, window_mode mode, uint32_t stop,
                     const event_block *block, uint32_t from, uint32_t to)
{
    const windows_plan *plan = walker->plan;
    for (uint32_t i = 0; i < walk->n_measures; i++) {
        const window_measure *measure = &plan->measures[walk->measures[i]];
        if (measure->n_windows[mode] <= stop)
            continue;
        const window_slot *slot = &plan->slots[measure->slot];
        aggregate_run run = {block_cells(walker, block, slot), block->valid[measure->slot], from,
                             to};
        measure->family->update(walker->frame + measure->offset, &run, slot->type,
                                &walker->scratch);
    }
}

/* Makes the partials of blocks [from, to) fresh. */
static void refresh_blocks(walker *walker, event_group *group, uint32_t from, uint32_t to)
{
    const windows_plan *plan = walker->plan;
    uint64_t stale = ~group->fresh & bits_below(to) & ~bits_below(from);
    for (; stale != 0; stale &= stale - 1) {
        uint32_t b = (uint32_t)__builtin_ctzll(stale);
        const event_block *block = group->blocks[b];
        unsigned char *partial = partial_at(walker, group, b);
        memset(partial, 0, plan->kept_bytes);
        for (uint32_t i = 0; i < plan->n_measures; i++) {
            const window_measure *measure = &plan->measures[i];
            const window_slot *slot = &plan->slots[measure->slot];
            if (measure->family->merge == NULL)
                continue;
            aggregate_run run = {block_cells(walker, block, slot), block->valid[measure->slot], 0,
                                 block->n};
            measure->family->update(partial + measure->offset, &run, slot->type, &walker->scratch);
        }
        group->fresh |= UINT64_C(1) << b;
    }
}

/* Puts n partials in front of `partial`: all measures that are kept. */
static void merge_kept(const walker *walker, unsigned char *partial, const unsigned char *older,
                       uint32_t n)
{
    const windows_plan *plan = walker->plan;
    for (uint32_t i = 0; i < plan->n_measures; i++) {
        const window_measure *measure = &plan->measures[i];
        if (measure->family->merge != NULL)
            measure->family->merge(partial + measure->offset, older + measure->offset,
                                   plan->kept_bytes, n, plan->slots[measure->slot].type);
    }
}

/* Puts blocks [from, to) of a group in front of `partial`; the group's own partial serves for all. */
static void merge_blocks(walker *walker, event_group *group, uint32_t from, uint32_t to,
                         unsigned char *partial)
{
    if (from == to)
        return;
    refresh_blocks(walker, group, from, to);
    if (from > 0 || to < group->n_blocks || to == 1) {
        merge_kept(walker, partial, partial_at(walker, group, from), to - from);
        return;
    }
    unsigned char *whole = partial_at(walker, group, group->capacity);
    if (!group->whole) {
        memset(whole, 0, walker->plan->kept_bytes);
        merge_kept(walker, whole, partial_at(walker, group, 0), to);
        group->whole = true;
    }
    merge_kept(walker, partial, whole, 1);
}

/* The beginning of a window: a second, or how many rows are still to be taken. */
typedef struct window_begin {
    window_mode mode;
    int64_t second;
    int64_t rows;
} window_begin;

static bool covers(const walker *walker, const window_begin *begin, const event_block *first,
                   uint32_t n_events)
{
    return begin->mode == WINDOW_ROWS ? n_events <= begin->rows
                                      : second_at(walker, first, 0) >= begin->second;
}

static uint32_t begin_in_block(const walker *walker, const window_begin *begin,
                               const event_block *block, uint32_t end)
{
    if (begin->mode == WINDOW_ROWS)
        return begin->rows >= end ? 0 : end - (uint32_t)begin->rows;
    return block_lower(walker, block, end, begin->second);
}

/* The blocks behind `middle->from` that the window covers whole: sets `to` and `n_events`. */
static void find_middle(const walker *walker, const event_directory *directory,
                        const window_begin *begin, event_middle *middle)
{
    event_place to = middle->from;
    window_begin rest = *begin;
    for (;;) {
        const event_group *group = directory->groups[to.group];
        if (to.block == 0) {
            if (to.group == 0)
                break;
            group = directory->groups[--to.group];
            to.block = group->n_blocks;
        }
        if (to.block == group->n_blocks &&
            covers(walker, &rest, group->blocks[0], group->n_events)) {
            rest.rows -= group->n_events;
            to.block = 0;
            continue;
        }
        while (to.block > 0 &&
               covers(walker, &rest, group->blocks[to.block - 1], group->blocks[to.block - 1]->n))
            rest.rows -= group->blocks[--to.block]->n;
        if (to.block > 0)
            break;
    }
    middle->to = to;
    middle->n_events = (uint32_t)(begin->rows - rest.rows);
}

static bool same_place(event_place a, event_place b)
{
    return a.group == b.group && a.block == b.block;
}

/* The block before a place between blocks, or NULL at the front. */
static const event_block *block_before(const event_directory *directory, event_place at)
{
    if (at.block == 0 && at.group == 0)
        return NULL;
    if (at.block > 0)
        return directory->groups[at.group]->blocks[at.block - 1];
    const event_group *group = directory->groups[at.group - 1];
    return group->blocks[group->n_blocks - 1];
}

/* True if what is remembered is what find_middle would find. */
static bool still_fits(const walker *walker, const event_directory *directory,
                       const window_begin *begin, const event_middle *middle, event_place from)
{
    if (!middle->valid || !same_place(middle->from, from))
        return false;
    const event_block *before = block_before(directory, middle->to);
    window_begin rest = *begin;
    rest.rows -= middle->n_events;
    if (middle->n_events > 0) {
        event_place to = middle->to;
        if (to.block == directory->groups[to.group]->n_blocks)
            to = (event_place){to.group + 1, 0, 0};
        if (!covers(walker, begin, directory->groups[to.group]->blocks[to.block], middle->n_events))
            return false;
    }
    return before == NULL || !covers(walker, &rest, before, before->n);
}

/* Collects the middle's partials of all kept measures. */
static void collect_middle(walker *walker, const event_directory *directory,
                           const event_middle *middle, unsigned char *partial)
{
    memset(partial, 0, walker->plan->kept_bytes);
    for (uint32_t g = middle->from.group + 1; g-- > middle->to.group;) {
        event_group *group = directory->groups[g];
        uint32_t to = g == middle->from.group ? middle->from.block : group->n_blocks;
        merge_blocks(walker, group, g == middle->to.group ? middle->to.block : 0, to, partial);
    }
}

/* The middle as it is kept for stop `index` of all, or NULL. Made when a directory has two groups: below,
 * it would cost more than it spares. */
static event_middle *kept_middle(walker *walker, event_directory *directory, uint32_t index)
{
    if (!walker->remember || directory->n_groups < 2)
        return NULL;
    if (directory->middles == NULL) {
        directory->middles = memory_take(walker->memory, middles_bytes(walker));
        if (directory->middles == NULL)
            return NULL; /* it goes without */
        memset(directory->middles, 0, n_middles(walker) * sizeof *directory->middles);
    }
    return &directory->middles[index];
}

static unsigned char *middle_partial(const walker *walker, const event_directory *directory,
                                     uint32_t index)
{
    uintptr_t partials = (uintptr_t)(directory->middles + n_middles(walker));
    unsigned char *first =
        (unsigned char *)(directory->middles + n_middles(walker)) + (16 - partials % 16) % 16;
    return first + (size_t)index * walker->plan->kept_bytes;
}

/* Puts the events of a middle in front of the measures that hold values. */
static void hold_middle(walker *walker, const window_walk *walk, window_mode mode, uint32_t stop,
                        const event_directory *directory, const event_middle *middle)
{
    const windows_plan *plan = walker->plan;
    for (uint32_t i = 0; i < walk->n_measures; i++) {
        const window_measure *measure = &plan->measures[walk->measures[i]];
        const window_slot *slot = &plan->slots[measure->slot];
        if (measure->family->merge != NULL || measure->n_windows[mode] <= stop)
            continue;
        event_place at = middle->from;
        while (!same_place(at, middle->to)) {
            if (at.block == 0) {
                at.group--;
                at.block = directory->groups[at.group]->n_blocks;
                continue;
            }
            const event_block *block = directory->groups[at.group]->blocks[--at.block];
            aggregate_run run = {block_cells(walker, block, slot), block->valid[measure->slot], 0,
                                 block->n};
            measure->family->update(walker->frame + measure->offset, &run, slot->type,
                                    &walker->scratch);
        }
    }
}

/* Goes back over whole blocks, from a place between blocks. */
static void take_middle(walker *walker, const window_walk *walk, event_directory *directory,
                        uint32_t stop, window_begin *begin, event_place *at)
{
    const windows_plan *plan = walker->plan;
    window_mode mode = begin->mode;
    uint32_t index = stop + (mode == WINDOW_ROWS ? plan->walks[WINDOW_FIXED].n_stops : 0);
    event_middle *kept = kept_middle(walker, directory, index), found = {.from = *at};
    unsigned char *partial =
        kept != NULL ? middle_partial(walker, directory, index) : walker->middle;
    if (kept != NULL && still_fits(walker, directory, begin, kept, *at)) {
        found = *kept;
    } else {
        find_middle(walker, directory, begin, &found);
        if (plan->kept_bytes > 0 && found.n_events > 0)
            collect_middle(walker, directory, &found, partial);
        found.valid = true;
        if (kept != NULL)
            *kept = found;
    }
    *at = found.to;
    begin->rows -= found.n_events;
    if (found.n_events == 0)
        return;
    for (uint32_t i = 0; i < walk->n_measures; i++) {
        const window_measure *measure = &plan->measures[walk->measures[i]];
        if (measure->family->merge != NULL && measure->n_windows[mode] > stop)
            measure->family->merge(walker->frame + measure->offset, partial + measure->offset,
                                   plan->kept_bytes, 1, plan->slots[measure->slot].type);
    }
    if (plan->holds)
        hold_middle(walker, walk, mode, stop, directory, &found);
}

/* Goes back from a place to where the window begins. */
static void walk_back(walker *walker, const window_walk *walk, event_directory *directory,
                      uint32_t stop, window_begin *begin, event_place *at)
{
    for (int side = 0; side < 2; side++) { /* the newer end of the middle, and the older */
        if (at->event > 0) {
            const event_block *block = directory->groups[at->group]->blocks[at->block];
            uint32_t from = begin_in_block(walker, begin, block, at->event);
            if (from < at->event)
                take_run(walker, walk, begin->mode, stop, block, from, at->event);
            begin->rows -= at->event - from;
            at->event = from;
            if (from > 0 || side == 1)
                return;
        }
        if (side == 1)
            return;
        take_middle(walker, walk, directory, stop, begin, at);
        if (at->block == 0) {
            if (at->group == 0)
                return;
            at->group--;
            at->block = directory->groups[at->group]->n_blocks;
        }
        at->block--;
        at->event = directory->groups[at->group]->blocks[at->block]->n;
    }
}

/* No event lies between this stop and the one before: the value is the same. */
static bool copy_shorter(const window_answer *answer, answer_row *into)
{
    column *column = &into->columns[answer->output];
    const struct column *from = &into->columns[answer->shorter];
    size_t size = type_cell_size(column->type);
    if (!column_is_valid(from, into->row))
        return column_set_null(into->arena, column, into->row);
    if (size == sizeof(int64_t))
        ((int64_t *)column->data)[into->row] = ((const int64_t *)from->data)[into->row];
    else
        memcpy((char *)column->data + into->row * size, (const char *)from->data + into->row * size,
               size);
    return true;
}

static bool finish_stop(walker *walker, const window_stop *stop, bool moved, answer_row *into)
{
    for (uint32_t i = 0; i < stop->n_answers; i++) {
        const window_answer *answer = &stop->answers[i];
        column *column = &into->columns[answer->output];
        if (!moved && answer->shorter != WINDOWS_NONE) {
            if (!copy_shorter(answer, into))
                return false;
            continue;
        }
        aggregate_value value;
        aggregate_outcome outcome = answer->aggregate->finish(
            walker->frame + answer->offset, answer->aggregate, &walker->scratch, &value);
        bool done;
        if (outcome == AGGREGATE_VALUE && column->type->kind == TYPE_DOUBLE) {
            ((double *)column->data)[into->row] = value.real;
            continue;
        }
        if (outcome == AGGREGATE_VALUE) {
            done = aggregate_store(into->arena, column, into->row, &value);
        } else {
            done =
                outcome != AGGREGATE_NO_MEMORY && column_set_null(into->arena, column, into->row);
            into->overflow = into->overflow || outcome == AGGREGATE_OVERFLOW;
        }
        if (!done)
            return false;
    }
    return true;
}

static bool answer_walk(walker *walker, const events *events, window_mode mode, int64_t second,
                        event_place at, answer_row *into)
{
    const window_walk *walk = &walker->plan->walks[mode];
    if (walk->n_stops == 0)
        return true;
    memset(walker->frame, 0, walker->plan->frame_bytes);
    if (walker->plan->holds)
        arena_reset(walker->scratch.arena);
    int64_t taken = 0;
    for (uint32_t i = 0; i < walk->n_stops; i++) {
        const window_stop *stop = &walk->stops[i];
        window_begin begin = {.mode = mode, .rows = stop->length - taken};
        event_place before = at;
        if (__builtin_sub_overflow(second, stop->length, &begin.second))
            begin.second = INT64_MIN;
        if (events->is_directory) {
            walk_back(walker, walk, events->root, i, &begin, &at);
            taken = stop->length - begin.rows;
        } else {
            uint32_t from = begin_in_block(walker, &begin, events->root, at.event);
            if (from < at.event)
                take_run(walker, walk, mode, i, events->root, from, at.event);
            taken += at.event - from;
            at.event = from;
        }
        bool moved = !same_place(at, before) || at.event != before.event;
        if (walker->scratch.failed || !finish_stop(walker, stop, moved, into))
            return false;
    }
    return true;
}

bool events_answer(walker *walker, const events *events, int64_t second, event_place fixed_end,
                   event_place rows_end, answer_row *into)
{
    return answer_walk(walker, events, WINDOW_FIXED, second, fixed_end, into) &&
           answer_walk(walker, events, WINDOW_ROWS, second, rows_end, into);
}

/* ---- places -------------------------------------------------------------------------------- */

event_place events_end(const events *events, uint32_t back)
{
    assert(back <= events->n);
    if (!events->is_directory)
        return (event_place){0, 0, events->n - back};
    const event_directory *directory = events->root;
    event_place at = {directory->n_groups - 1, 0, 0};
    while (directory->groups[at.group]->n_events < back)
        back -= directory->groups[at.group--]->n_events;
    const event_group *group = directory->groups[at.group];
    at.block = group->n_blocks - 1;
    while (group->blocks[at.block]->n < back)
        back -= group->blocks[at.block--]->n;
    at.event = group->blocks[at.block]->n - back;
    return at;
}

event_place events_advance(const events *events, event_place at, uint32_t n)
{
    if (!events->is_directory)
        return (event_place){0, 0, at.event + n};
    const event_directory *directory = events->root;
    for (;;) {
        const event_group *group = directory->groups[at.group];
        uint32_t here = group->blocks[at.block]->n - at.event;
        if (n <= here)
            return (event_place){at.group, at.block, at.event + n};
        n -= here;
        at.event = 0;
        if (++at.block == group->n_blocks) {
            at.group++;
            at.block = 0;
        }
    }
}

const event_block *events_block(const events *events, event_place *cursor)
{
    if (!events->is_directory)
        return cursor->block++ == 0 ? events->root : NULL;
    const event_directory *directory = events->root;
    if (cursor->group == directory->n_groups)
        return NULL;
    const event_group *group = directory->groups[cursor->group];
    const event_block *block = group->blocks[cursor->block];
    if (++cursor->block == group->n_blocks) {
        cursor->group++;
        cursor->block = 0;
    }
    return block;
}

void events_release(walker *walker, events *events)
{
    if (events->root == NULL)
        return;
    if (!events->is_directory) {
        event_block *block = events->root;
        block_release_texts(walker, block, block->n);
        block_free(walker, block);
    } else {
        event_directory *directory = events->root;
        for (uint32_t g = 0; g < directory->n_groups; g++) {
            event_group *group = directory->groups[g];
            for (uint32_t b = 0; b < group->n_blocks; b++) {
                block_release_texts(walker, group->blocks[b], group->blocks[b]->n);
                block_free(walker, group->blocks[b]);
            }
            group_free(walker, group);
        }
        directory_free(walker, directory);
    }
    *events = (struct events){0};
}
