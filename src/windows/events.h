/* events.h - the live events of one key: kept in order, walked backwards, evicted from the front.
 *
 * windows_state.c tells the whole idea. Here is the structure of one key: a single block of up to
 * EVENT_BLOCK_MAX events, or a directory of groups of blocks:
 *
 *   events.root --> block                                      up to 64 events
 *   events.root --> directory --> groups --> blocks            more: 64 blocks a group
 *
 * Events stand in the order of (time, arrival): an insert goes behind all events of its time, so
 * that the arrival number is the place itself and takes no room. Times are whole seconds, of 32
 * bits in a block; or microseconds, of 64, where the plan says so (in_us).
 *
 * Order of calls: zero bytes are a key without events; events_insert, _evict, _answer in any order;
 * events_release. Functions return false where memory is out; the key is then as it was before,
 * except that an insert may have split a block.
 */
#ifndef FRESHET_WINDOWS_EVENTS_H
#define FRESHET_WINDOWS_EVENTS_H

#include "aggregate/tally.h"
#include "base/memory.h"
#include "base/text.h"
#include "windows/window.h"

struct kept_layout; /* layouts.h */

#define EVENT_BLOCK_MAX 64u /* the bits of a word: the nulls of a slot in a block are one word */
#define EVENT_GROUP_MAX 64u /* blocks in a group: which partials are fresh is one word */

typedef struct event_block {
    int64_t base; /* time i is base + times[i], in seconds; or times[i] alone, in microseconds */
    uint32_t n;
    uint32_t capacity; /* a multiple of 4, so that arrays of smaller cells stay aligned */
    uint64_t valid[];  /* one word a slot; behind them the arrays of cells and of times */
} event_block;

typedef struct event_group {
    uint32_t n_blocks;
    uint32_t capacity;
    uint32_t n_events;
    bool whole;     /* the group's own partial is fresh */
    uint64_t fresh; /* bit i: the partial of block i is fresh */
    event_block **blocks;
    unsigned char *partials; /* one a block, and at [capacity] that of the group */
} event_group;

/* Between two events: behind `event` events of block `block` of group `group`. */
typedef struct event_place {
    uint32_t group;
    uint32_t block;
    uint32_t event;
} event_place;

/* What a walk collected between the blocks in which two windows begin: whole blocks, from `to` up
 * to `from` (places between blocks). As long as these stay, the next walk takes it at once. Its
 * partial lies behind all middles, and behind these the cuts of the block before `to`. */
typedef struct event_middle {
    event_place from;
    event_place to;
    uint32_t n_events;
    bool valid;
    /* The cuts are those of the block before `to`, and this is the block, its first time, and where
     * the window began in it last. */
    bool is_cut;
    uint16_t begin;
    const event_block *block;
    int64_t first;
    int64_t oldest; /* the first time in the middle */
} event_middle;

/* The values of events [begin, end) of the key, by number from the front (slides.c). */
typedef struct event_tally {
    tally values;
    uint32_t begin;
    uint32_t end;
} event_tally;

typedef struct event_directory {
    event_middle *middles; /* one a stop of each walk, the fixed ones first; NULL: not yet needed */
    event_tally *tallies;  /* one a tally of the plan; NULL: not yet needed */
    uint32_t n_groups;
    uint32_t capacity;
    event_group *groups[];
} event_directory;

typedef struct events {
    void *root; /* NULL, a block or a directory */
    uint32_t n;
    bool is_directory;
    bool has_lost;   /* some were evicted */
    bool is_filling; /* the owner's: something of its past is not known (fullness.h) */
    /* The owner's: the newest row went out before there were windows, and nothing was carried. */
    bool lacks_newest : 1;
    bool is_listed : 1; /* the owner's: the store lists the key under its time already */
} events;

/* What a walk needs; one of a state, or of a thread. */
typedef struct walker {
    const windows_plan *plan;
    memory *memory;
    uint32_t header_bytes; /* of a block, before its arrays */
    unsigned char *frame;  /* the plan's frame_bytes */
    unsigned char *tail;   /* as many: the frame with the block in which a window begins */
    unsigned char *answer; /* one of the two: what the stop is answered from */
    unsigned char *middle; /* the plan's kept_bytes: a middle that is not remembered */
    unsigned char *cut;    /* as many: a cut that is not remembered */
    bool remember;         /* keep and use middles: for walks that end where the next will end */
    bool cuts;             /* this walk takes what begins in a block from its cuts */
    bool tallies;          /* this walk answers from the directory's tallies what they can answer */
    aggregate_scratch scratch;
} walker;

freshet_code walker_init(walker *walker, const windows_plan *plan, memory *memory,
                         freshet_error *err);
void walker_release(walker *walker);

/* The cells of a row as events_insert wants them, NULL for the slots of no column; `cells` has room
 * for the plan's slots. */
void gather_cells(const windows_plan *plan, const column *columns, uint64_t row,
                  const void **cells);

/* What gather_picked has beside the columns; valid until the next. */
typedef struct picked_cells {
    text_buffer bytes; /* text_init before use, text_release after it */
    cell_text subset;
    int32_t pivot;
} picked_cells;

/* The same with the slots of pivot and distinct. False where memory is out. */
bool gather_picked(const windows_plan *plan, const column *columns, uint64_t row, picked_cells *own,
                   const void **cells);

/* Adds an event. cells[i] is the cell of slot i, or NULL for null; texts are copied. `at` gets the
 * place behind it, `behind` how many events stand behind that. */
bool events_insert(walker *walker, events *events, int64_t second, const void *const *cells,
                   event_place *at, uint32_t *behind);

/* True when the newest block has no room: the moment to evict. */
bool events_full(const events *events);

/* Forgets events that no row of second `horizon_s` or later will see: of a single block all of
 * them, of a directory whole blocks. What a walk from such a row finds is the same before and
 * after. */
void events_evict(walker *walker, events *events, int64_t horizon_s);

/* Forgets all events before that time, and no others. */
void events_forget(walker *walker, events *events, int64_t before);

/* Where answers go: row `row` of the plan's output columns. */
typedef struct answer_row {
    arena *arena;
    column *columns;
    uint64_t row;
    bool overflow; /* set when an output could not hold its value: it is null then */
} answer_row;

/* Where a walk begins: a place, and how many events lie behind it. */
typedef struct event_end {
    event_place at;
    uint32_t behind;
} event_end;

/* Walks back from `fixed` (behind the last event of second `second`) for the fixed windows, and
 * from `rows` for the row windows, and writes all outputs. */
bool events_answer(walker *walker, const events *events, int64_t second, event_end fixed,
                   event_end rows, answer_row *into);

/* Answers the rolling windows that end at that time: bit i of `stops` says that those of stop i do;
 * the others are null.
 * *n: the events in the longest of those that do. */
bool events_answer_until(walker *walker, const events *events, int64_t end, uint64_t stops,
                         answer_row *into, uint32_t *n);

/* The time of the first event of that time or later, INT64_MAX where there is none. */
int64_t events_next(const walker *walker, const events *events, int64_t time);

/* The first second after `since_s` at which a fixed window that ends there has lost an event,
 * INT64_MAX where none will; there are no events after since_s. */
int64_t events_next_loss(const walker *walker, const events *events, int64_t since_s);

/* The place behind the last event but `back`; `back` at most events.n. */
event_place events_end(const events *events, uint32_t back);

/* Moves a place forward by n events, which must be there. */
event_place events_advance(const events *events, event_place at, uint32_t n);

/* Block number i from the front, NULL past the last; cells of a block, and the times. */
const event_block *events_block(const events *events, event_place *cursor);
static inline const void *block_cells(const walker *walker, const event_block *block,
                                      const window_slot *slot)
{
    return (const unsigned char *)block + walker->header_bytes +
           (size_t)block->capacity * slot->before;
}
static inline const void *block_times(const walker *walker, const event_block *block)
{
    return (const unsigned char *)block + walker->header_bytes +
           (size_t)block->capacity * walker->plan->times_before;
}
static inline int64_t event_time(const walker *walker, const event_block *block, uint32_t i)
{
    const void *times = block_times(walker, block);
    return walker->plan->in_us ? ((const int64_t *)times)[i]
                               : block->base + ((const uint32_t *)times)[i];
}

/* ---- as bytes (events_bytes.c) --------------------------------------------------------------
 *
 * What is saved of a key begins with a saved_head and the key's facts, of which two are its
 * events': how many, and the time of the first. Numbers are little-endian.
 */

/* Appends the events; returns the time of the first, 0 where there is none. A failure shows in
 * into->failed. */
int64_t events_put(const walker *walker, const events *events, text_buffer *into);

/* Inserts n saved events, of that layout (NULL: the plan's own), into a key that has none, and
 * moves *at behind their bytes; *last: the time of the newest. On failure there are none. */
freshet_code events_get(walker *walker, events *events, uint32_t n, int64_t first,
                        const struct kept_layout *layout, const unsigned char **at,
                        const unsigned char *end, int64_t *last, freshet_error *err);

/* Appends `, "events": [...]` in JSON: time and values of each. `since`: from which times on the
 * slots' values were kept, where not always (NULL): what was not is left out. */
freshet_code events_show(const walker *walker, const events *events, const int64_t *since,
                         text_buffer *into, freshet_error *err);

/* How each begins, without gaps: */
typedef struct __attribute__((packed)) saved_head {
    char magic[4]; /* the format and its version */
    uint64_t checksum;
    uint64_t fingerprint;
} saved_head;

/* Sets the checksum of what was saved from `begin` on; and refuses bytes that are damaged or
 * another plan's. */
void saved_seal(text_buffer *into, size_t begin);
freshet_code saved_check(const char *magic, uint64_t fingerprint, size_t head_bytes,
                         const unsigned char *bytes, size_t length, freshet_error *err);

/* What is wrong with the structure, in a few words; NULL where all is well. Recomputes what is
 * kept. */
const char *events_check(walker *walker, const events *events);

void events_release(walker *walker, events *events);

#endif
