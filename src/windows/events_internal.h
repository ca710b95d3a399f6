/* events_internal.h - between event_blocks.c, events.c and walks.c: blocks, and the insides of
 * groups. */
#ifndef FRESHET_WINDOWS_EVENTS_INTERNAL_H
#define FRESHET_WINDOWS_EVENTS_INTERNAL_H

#include "windows/events.h"

#define EVENT_BLOCK_FIRST 4u /* the capacity that a block begins with */

/* A block that an event of this time begins: its base lies 2^31 below. */
#define BLOCK_BASE(time) ((time) - (INT64_C(1) << 31))

event_block *block_open(walker *walker, uint32_t capacity, int64_t base);
void block_free(walker *walker, event_block *block);

/* Gives back the long texts of the first n events. */
void block_release_texts(walker *walker, event_block *block, uint32_t n);

/* Copies n events from `first` on behind those of `into`, which has room and the same base. The
 * texts belong to the copy then. */
void block_copy(const walker *walker, const event_block *from, uint32_t first, uint32_t n,
                event_block *into);

/* The block in a larger one; the old is freed. NULL where memory is out: nothing has happened. */
event_block *block_grow(walker *walker, event_block *block);

/* Forgets the first n events. */
void block_drop(walker *walker, event_block *block, uint32_t n);

/* True if the block can hold an event of that time. */
bool block_fits(const walker *walker, const event_block *block, int64_t time);

/* Of windows that end where they like the beginning is as likely at the front. */
static inline uint32_t block_lower_us(const walker *walker, const event_block *block, uint32_t end,
                                      int64_t time)
{
    const int64_t *times = block_times(walker, block);
    uint32_t begin = 0;
    while (begin < end) {
        uint32_t middle = (begin + end) / 2;
        if (times[middle] < time)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

/* How many of the first `end` events lie before `time`. Seconds are searched from the end, where
 * the answer mostly is. */
static inline uint32_t block_lower(const walker *walker, const event_block *block, uint32_t end,
                                   int64_t time)
{
    if (walker->plan->in_us)
        return block_lower_us(walker, block, end, time);
    const uint32_t *times = block_times(walker, block);
    if (time <= block->base)
        return 0;
    if ((uint64_t)time - (uint64_t)block->base > UINT32_MAX)
        return end;
    uint32_t offset = (uint32_t)(time - block->base);
    while (end >= 8 && times[end - 8] >= offset)
        end -= 8;
    while (end > 0 && times[end - 1] >= offset)
        end--;
    return end;
}

/* Puts an event at place p of a block that has room and fits. */
bool block_insert(walker *walker, event_block *block, uint32_t p, int64_t time,
                  const void *const *cells);

static inline uint64_t bits_below(uint32_t n)
{
    return n >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
}

/* The partial of block i, at [capacity] that of the group. */
static inline unsigned char *partial_at(const walker *walker, const event_group *group, uint32_t i)
{
    return group->partials + (size_t)i * walker->plan->kept_bytes;
}

static inline uint32_t n_middles(const walker *walker)
{
    const windows_plan *plan = walker->plan;
    return plan->walks[WINDOW_FIXED].n_stops + plan->walks[WINDOW_ROWS].n_stops;
}

/* Events between two cuts of a block, and cuts with events before and behind them. */
#define EVENT_CUT 8u
#define EVENT_CUTS (EVENT_BLOCK_MAX / EVENT_CUT - 1)

static inline size_t middles_bytes(const walker *walker)
{
    size_t n = n_middles(walker);
    return n * sizeof(event_middle) + n * (1 + EVENT_CUTS) * walker->plan->kept_bytes + 16;
}

/* walks.c: the partials of a block; the n partials merged in front of `partial`; the whole of a
 * middle; and where that of middle `index` is kept. */
void partial_of_block(walker *walker, const event_block *block, unsigned char *partial);
void merge_kept(const walker *walker, unsigned char *partial, const unsigned char *older,
                uint32_t n);
void collect_middle(walker *walker, const event_directory *directory, const event_middle *middle,
                    unsigned char *partial);
unsigned char *middle_partial(const walker *walker, const event_directory *directory,
                              uint32_t index);
/* The partial of the events behind cut i (1 to EVENT_CUTS) of a block that has some there; where
 * those of a middle are kept, and the block that they are of, NULL at the front. */
void collect_cut(walker *walker, const event_block *block, uint32_t i, unsigned char *partial);
unsigned char *cut_partial(const walker *walker, const event_directory *directory, uint32_t index,
                           uint32_t i);
const event_block *block_before(const event_directory *directory, event_place at);

/* The place behind all events before `time`; there are events. */
event_place events_find(const walker *walker, const events *events, int64_t time);
/* How many events stand behind a place. */
uint32_t events_behind(const events *events, event_place at);

/* picks.c. Puts a run of a block in front of a frame or a partial, each part's events in front of
 * its measures: of those that are kept beside blocks, and of the others. */
enum { PICK_KEPT = 1, PICK_HELD = 2 };
void take_parts(walker *walker, unsigned char *frame, unsigned which, const event_block *block,
                uint32_t from, uint32_t to);
/* The frame of those of the n events behind `begin` that `distinct` keeps. False where memory is
 * out. */
bool take_distinct(walker *walker, const events *events, event_place begin, uint32_t n);

/* A window that a walk has found: its ends, and their numbers. */
typedef struct event_window {
    event_place begin;
    event_place end;
    uint32_t n_begin;
    uint32_t n_end;
} event_window;

static inline size_t tallies_bytes(const walker *walker)
{
    return walker->plan->n_tallies * sizeof(event_tally);
}

/* slides.c. The value of a function over a window, from tally `index` of the plan. */
aggregate_outcome finish_window(walker *walker, event_directory *directory,
                                const aggregate *aggregate, uint32_t index,
                                const event_window *window, aggregate_value *value);
/* Brings a tally to a window. False where memory is out: it is empty then. */
bool slide_tally(walker *walker, const event_directory *directory, event_tally *tally,
                 const window_slot *slot, const event_window *window);
/* An event was inserted, `before` lie before it. */
void tallies_inserted(walker *walker, event_directory *directory, uint32_t before,
                      const void *const *cells);
/* The first n events of the first block are about to go. */
void tallies_evicted(walker *walker, event_directory *directory, const event_block *first,
                     uint32_t n);
void tallies_release(walker *walker, event_directory *directory);

static inline bool same_place(event_place a, event_place b)
{
    return a.group == b.group && a.block == b.block;
}

#endif
