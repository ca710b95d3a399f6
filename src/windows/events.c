/* events.c - see events.h, and windows_state.c for the idea: inserting into, evicting from, and
 * finding places in the events of one key. Blocks are in event_blocks.c, walks in walks.c.
 *
 * GROUPS keep their blocks' partials side by side, so that a walk over them reads memory in order.
 * A partial is computed when a walk first wants it, and forgotten when its block changes: the bit
 * in `fresh` says which. The newest block changes with every event, so it is always read event by
 * event.
 *
 * A FULL BLOCK in the middle is cut in half (its later half becomes a block behind it); at the end
 * of the key an empty block is put behind it instead, so that in-order events fill blocks
 * completely. A full group likewise. So blocks are at least half full, except beside a full one.
 *
 * MIDDLES (walks.c) are made invalid here, by whatever changes a block inside one, or moves the
 * places of its ends (forget_middles).
 */
#include "windows/events.h"

#include <assert.h>
#include <string.h>

#include "windows/events_internal.h"

#define GROUPS_FIRST 4u

/* ---- groups -------------------------------------------------------------------------------- */

static size_t group_bytes(const walker *walker, uint32_t capacity)
{
    return (size_t)capacity * sizeof(event_block *) +
           (size_t)(capacity + 1) * walker->plan->kept_bytes;
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

/* Takes block i out of the group. */
static void group_remove(walker *walker, event_group *group, uint32_t i)
{
    const uint64_t below = bits_below(i);
    const size_t behind = --group->n_blocks - i;
    memmove(&group->blocks[i], &group->blocks[i + 1], behind * sizeof(event_block *));
    if (behind > 0)
        memmove(partial_at(walker, group, i), partial_at(walker, group, i + 1),
                behind * walker->plan->kept_bytes);
    group->fresh = (group->fresh & below) | (group->fresh >> 1 & ~below);
    group->whole = false;
}

/* ---- directories --------------------------------------------------------------------------- */

static size_t directory_bytes(uint32_t capacity)
{
    return sizeof(event_directory) + capacity * sizeof(event_group *);
}

/* Blocks have changed in group g from block b on: the one block only, or also the places behind
 * it. */
static void forget_middles(const walker *walker, const event_directory *directory, uint32_t g,
                           uint32_t b, bool moved)
{
    for (uint32_t i = 0; directory->middles != NULL && i < n_middles(walker); i++) {
        event_middle *middle = &directory->middles[i];
        bool newer = middle->from.group > g || (middle->from.group == g && middle->from.block > b);
        bool above = middle->to.group > g || (middle->to.group == g && middle->to.block > b);
        if (newer && (moved || !above))
            middle->valid = false;
        if (moved || above)
            middle->is_cut = false;
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
    tallies_release(walker, directory);
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
        larger->tallies = directory->tallies;
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

/* Takes group g out, which holds no block. */
static void directory_remove(walker *walker, event_directory *directory, uint32_t g)
{
    group_free(walker, directory->groups[g]);
    directory->n_groups--;
    memmove(&directory->groups[g], &directory->groups[g + 1],
            (directory->n_groups - g) * sizeof(event_group *));
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
        directory_remove(walker, events->root, g + 1);
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

/* Makes room for one more block in group `at->group`; the place of block index at->block may move
 * to the next group. Behind the last block of all, a new group is opened instead of cutting one. */
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

/* Puts an empty block at the place's block index. A group opened for it stays, empty, only if
 * memory ends: it is then closed again. */
static event_block *add_block(walker *walker, events *events, event_place *at, int64_t base)
{
    event_block *block = block_open(walker, EVENT_BLOCK_MAX, base);
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
    group_remove(walker, group, at.block);
    block_free(walker, block);
    if (group->n_blocks == 0)
        directory_remove(walker, directory, at.group);
    return false;
}

/* Cuts the full block at the place in half and leaves the place in the half it falls into. */
static bool split_block(walker *walker, events *events, event_place *at)
{
    event_place behind = {at->group, at->block + 1, 0};
    event_block *left = ((event_directory *)events->root)->groups[at->group]->blocks[at->block];
    event_block *right = add_block(walker, events, &behind, left->base);
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

/* The place behind all events of `time` and earlier, in the block that such an event joins. */
static event_place find_place(const walker *walker, const events *events, int64_t time)
{
    const event_directory *directory = events->root;
    assert(directory->n_groups > 0 && directory->groups[0]->n_blocks > 0);
    uint32_t low = 0, high = directory->n_groups - 1;
    const event_group *last = directory->groups[high];
    const event_block *newest = last->blocks[last->n_blocks - 1];
    if (event_time(walker, newest, newest->n - 1) <= time)
        return (event_place){high, last->n_blocks - 1, newest->n};
    while (low < high) { /* the last group that begins at or before the time */
        uint32_t middle = low + (high - low + 1) / 2;
        if (event_time(walker, directory->groups[middle]->blocks[0], 0) <= time)
            low = middle;
        else
            high = middle - 1;
    }
    const event_group *group = directory->groups[low];
    event_place at = {.group = low};
    low = 0, high = group->n_blocks - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (event_time(walker, group->blocks[middle], 0) <= time)
            low = middle;
        else
            high = middle - 1;
    }
    at.block = low;
    at.event = block_lower(walker, group->blocks[low], group->blocks[low]->n, time + 1);
    return at;
}

static bool insert_in_directory(walker *walker, events *events, int64_t time,
                                const void *const *cells, event_place *at)
{
    *at = find_place(walker, events, time);
    event_directory *directory = events->root;
    event_block *block = directory->groups[at->group]->blocks[at->block];
    bool opened = false;
    if (!block_fits(walker, block, time) ||
        (block->n == EVENT_BLOCK_MAX && at->event == block->n)) {
        at->block += at->event == 0 ? 0 : 1;
        at->event = 0;
        block = add_block(walker, events, at, BLOCK_BASE(time));
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
    if (!block_insert(walker, block, at->event, time, cells))
        return opened ? empty_block_gone(walker, events, *at) : false;
    directory = events->root;
    event_group *group = directory->groups[at->group];
    assert(at->block < group->n_blocks && group->n_blocks <= EVENT_GROUP_MAX);
    group->fresh &= ~(UINT64_C(1) << at->block);
    group->whole = false;
    group->n_events++;
    forget_middles(walker, directory, at->group, at->block, false);
    at->event++;
    return true;
}

uint32_t events_behind(const events *events, event_place at)
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

bool events_insert(walker *walker, events *events, int64_t time, const void *const *cells,
                   event_place *at, uint32_t *behind)
{
    if (events->root == NULL) {
        events->root = block_open(walker, EVENT_BLOCK_FIRST, BLOCK_BASE(time));
        if (events->root == NULL)
            return false;
    }
    event_block *block = events->root;
    if (events->n == 0)
        block->base = BLOCK_BASE(time);
    if (!events->is_directory && block->n == block->capacity && block->n < EVENT_BLOCK_MAX) {
        event_block *grown = block_grow(walker, block);
        if (grown == NULL)
            return false;
        events->root = block = grown;
    }
    if (!events->is_directory &&
        (block->n == EVENT_BLOCK_MAX || !block_fits(walker, block, time)) &&
        !become_directory(walker, events))
        return false;
    if (events->is_directory) {
        if (!insert_in_directory(walker, events, time, cells, at))
            return false;
        *behind = events_behind(events, *at);
        tallies_inserted(walker, events->root, events->n - *behind, cells);
        events->n++;
        return true;
    }
    uint32_t p = block->n;
    while (p > 0 && event_time(walker, block, p - 1) > time)
        p--;
    if (!block_insert(walker, block, p, time, cells))
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

event_place events_find(const walker *walker, const events *events, int64_t time)
{
    const event_block *block = events->root;
    if (time == INT64_MIN)
        return (event_place){0};
    if (!events->is_directory)
        return (event_place){0, 0, block_lower(walker, block, block->n, time)};
    return find_place(walker, events, time - 1);
}

int64_t events_next(const walker *walker, const events *events, int64_t time)
{
    if (events->n == 0)
        return INT64_MAX;
    event_place at = events_find(walker, events, time), cursor = at;
    const event_block *block = events_block(events, &cursor);
    if (at.event == block->n) {
        block = events_block(events, &cursor);
        at.event = 0;
    }
    return block == NULL ? INT64_MAX : event_time(walker, block, at.event);
}

/* How many events lie before the time. */
static uint32_t count_before(const walker *walker, const events *events, int64_t time)
{
    return events->n - events_behind(events, events_find(walker, events, time));
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

/* The second of event number n. */
static int64_t second_of_event(const walker *walker, const events *events, uint32_t n)
{
    const event_place at = events_end(events, events->n - n); /* before it, in its block */
    const event_block *block = events->root;
    if (events->is_directory)
        block = ((const event_directory *)events->root)->groups[at.group]->blocks[at.block];
    return event_time(walker, block, at.event);
}

int64_t events_next_loss(const walker *walker, const events *events, int64_t since_s)
{
    const window_walk *walk = &walker->plan->walks[WINDOW_FIXED];
    int64_t next_s = INT64_MAX;
    for (uint32_t i = 0; events->n > 0 && i < walk->n_stops; i++) {
        const int64_t length_s = walk->stops[i].length;
        int64_t begin_s, lost_s;
        if (__builtin_sub_overflow(since_s, length_s, &begin_s))
            begin_s = INT64_MIN;
        const uint32_t n = count_before(walker, events, begin_s);
        if (n == events->n)
            continue;
        if (!__builtin_add_overflow(second_of_event(walker, events, n), length_s + 1, &lost_s) &&
            lost_s < next_s)
            next_s = lost_s;
    }
    return next_s;
}

/* The first n events, of which some stay: whole blocks, and with `exactly` what is left of n in the
 * next. */
static void evict_blocks(walker *walker, events *events, uint32_t n, bool exactly)
{
    event_directory *directory = events->root;
    event_group *group = directory->groups[0];
    for (uint32_t i = 0; directory->middles != NULL && i < n_middles(walker); i++)
        directory->middles[i].valid = directory->middles[i].is_cut = false;
    while (group->blocks[0]->n <= n && events->n > group->blocks[0]->n) {
        event_block *block = group->blocks[0];
        tallies_evicted(walker, directory, block, block->n);
        n -= block->n;
        events->n -= block->n;
        group->n_events -= block->n;
        block_release_texts(walker, block, block->n);
        block_free(walker, block);
        group_remove(walker, group, 0);
        if (group->n_blocks > 0)
            continue;
        directory_remove(walker, directory, 0);
        assert(directory->n_groups > 0); /* events are left, so there is a block */
        group = directory->groups[0];
    }
    if (exactly && n > 0) {
        tallies_evicted(walker, directory, group->blocks[0], n);
        block_drop(walker, group->blocks[0], n);
        events->n -= n;
        group->n_events -= n;
        group->fresh &= ~UINT64_C(1);
        group->whole = false;
    }
    if (directory->n_groups == 1 && group->n_blocks == 1)
        become_block(walker, events);
}

void events_evict(walker *walker, events *events, int64_t horizon_s)
{
    if (events->n == 0)
        return;
    uint32_t n = count_unreachable(walker, events, horizon_s);
    const uint32_t before = events->n;
    if (n == 0)
        return;
    if (events->is_directory) {
        evict_blocks(walker, events, n, false);
        events->has_lost |= events->n < before;
        return;
    }
    block_drop(walker, events->root, n);
    events->n -= n;
    events->has_lost = true;
}

void events_forget(walker *walker, events *events, int64_t before)
{
    uint32_t n = events->n == 0 ? 0 : count_before(walker, events, before);
    if (n == events->n) {
        events_release(walker, events);
    } else if (events->is_directory && n > 0) {
        evict_blocks(walker, events, n, true);
    } else if (n > 0) {
        block_drop(walker, events->root, n);
        events->n -= n;
    }
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
