/* groups_internal.h - between groups_plan.c, groups_events.c, groups_bytes.c and groups.c: the plan,
 * and the events of a key.
 *
 * AN EVENT IS A RECORD of plan->record_bytes:
 *
 *     0   8   its time in microseconds
 *     8   4   which value of the pivot it has; NO_PIVOT: none of them
 *    12       one bit a slot, rounded up to bytes: the slot's value is not null
 *             [the subset of `distinct`, encoded by cells.h: a cell_text]
 *             the cell of each slot that keeps values, the largest first
 *
 * RECORDS OF A KEY stand in the order of (time, arrival), in blocks of up to GROUP_BLOCK_MAX. A block in
 * the middle of a walk may keep its partials: what a frame of it alone would be.
 *
 * A FRAME is what one walk collects: for each value of the pivot (one, without a pivot) the number of
 * events and the partials of all measures.
 */
#ifndef FRESHET_ROLLING_GROUPS_INTERNAL_H
#define FRESHET_ROLLING_GROUPS_INTERNAL_H

#include "rolling/groups.h"
#include "windows/events.h"

#define GROUP_BLOCK_MAX AGGREGATE_RUN_MAX
#define NO_PIVOT UINT32_MAX
#define DAY_US INT64_C(86400000000)

enum { RECORD_TIME = 0, RECORD_PIVOT = 8, RECORD_VALID = 12 };

typedef struct group_slot {
    uint32_t values;
    uint32_t filter;
    const type *type;
    uint32_t cell;   /* bytes kept of it; 0: only whether it is null */
    uint32_t offset; /* of the cell in a record */
    bool is_text;
    uint32_t first_measure; /* of its measures, which stand together */
    uint32_t n_measures;
} group_slot;

typedef struct group_measure {
    uint32_t slot;
    const aggregate_family *family;
    uint32_t offset; /* of its partial, in the part of a frame that is of one pivot value */
} group_measure;

typedef struct group_answer {
    const aggregate *aggregate;
    uint32_t measure;
    uint32_t feature;
    uint32_t function;
} group_answer;

typedef struct group_window {
    int64_t length_us;
    int64_t phase_us; /* ends are multiples of the slide plus this */
    uint32_t index;   /* in the declaration's order */
} group_window;

struct groups_plan {
    groups_declaration declaration;
    schema outputs;
    group_answer *answers; /* one a feature and function */
    uint32_t n_answers;
    group_slot *slots;
    uint32_t n_slots;
    group_measure *measures;
    uint32_t n_measures;
    group_window *windows; /* the shortest first; of n_windows 0 one of a microsecond */
    uint32_t n_windows;
    bool is_rolling;
    bool is_grid;
    int64_t slide_us;
    uint32_t subset_offset; /* in a record; 0: no distinct */
    uint32_t record_bytes;
    uint32_t n_pivots;   /* 1 without a pivot */
    uint32_t part_bytes; /* of a frame, a pivot value */
    size_t frame_bytes;
    bool merges; /* blocks may keep partials */
    uint64_t fingerprint;
};

/* The smallest end of that window after `after`; INT64_MAX where time ends. */
int64_t group_end_after(const groups_plan *plan, const group_window *window, int64_t after);
/* Does the window have this end? */
static inline bool group_window_ends(const groups_plan *plan, const group_window *window,
                                     int64_t end_us)
{
    return (end_us - window->phase_us) % plan->slide_us == 0;
}

/* ---- the events of a key -------------------------------------------------------------------- */

typedef struct group_block {
    uint32_t n;
    uint32_t capacity;
    unsigned char *partials; /* NULL: not asked for yet */
    bool fresh;
    _Alignas(8) unsigned char records[];
} group_block;

typedef struct group_events {
    group_block **blocks;
    uint32_t n_blocks;
    uint32_t capacity;
    uint64_t n;
} group_events;

typedef struct group_place {
    uint32_t block;
    uint32_t event;
} group_place;

typedef struct group_walker {
    const groups_plan *plan;
    windows_memory *memory;
    unsigned char *frame;
    void *cells; /* of a run: GROUP_BLOCK_MAX of 16 bytes */
    aggregate_scratch scratch;
    uint64_t n_overflows;
} group_walker;

freshet_code group_walker_init(group_walker *walker, const groups_plan *plan,
                               windows_memory *memory, freshet_error *err);
void group_walker_release(group_walker *walker);

static inline int64_t record_time(const unsigned char *record)
{
    int64_t time_us;
    memcpy(&time_us, record, sizeof time_us);
    return time_us;
}

static inline unsigned char *block_record(const groups_plan *plan, const group_block *block,
                                          uint32_t i)
{
    return (unsigned char *)block->records + (size_t)i * plan->record_bytes;
}

/* Makes a record of a row of columns. Long texts point into the columns and into `scratch` (the
 * subset's bytes). False where memory is out. */
bool group_record_make(const groups_plan *plan, const column *columns, uint64_t row,
                       int64_t time_us, text_buffer *scratch, unsigned char *record);

/* Adds a copy of the record behind all of its time. False where memory is out; then it is not there. */
bool group_events_insert(group_walker *walker, group_events *events, const unsigned char *record);

/* The place of the first event of that time or later. */
group_place group_events_find(const groups_plan *plan, const group_events *events, int64_t time_us);
/* The time of the first event of that time or later; INT64_MAX where there is none. */
int64_t group_events_time(const groups_plan *plan, const group_events *events, int64_t time_us);
/* How many events lie in [from, to). */
uint64_t group_events_count(const groups_plan *plan, const group_events *events, int64_t from_us,
                            int64_t to_us);

/* Forgets all events before that time. */
void group_events_evict(group_walker *walker, group_events *events, int64_t before_us);
void group_events_release(group_walker *walker, group_events *events);

/* Writes the outputs of the windows that end at end_us (or of the group of time end_us) into row `row`.
 * *n: events in the longest of these windows. False where memory is out. */
bool group_events_answer(group_walker *walker, group_events *events, int64_t end_us, arena *arena,
                         column *outputs, uint64_t row, uint64_t *n);

/* ---- bytes ---------------------------------------------------------------------------------- */

/* What is saved of a key beside its events. */
typedef struct group_facts {
    int64_t after_us;  /* the last end that was output, or could have been */
    int64_t newest_us; /* timestamp of the key's newest row */
    uint32_t revision;
    bool owes_nulls;
} group_facts;

void group_bytes_put(const groups_plan *plan, const group_facts *facts, const group_events *events,
                     text_buffer *into);
/* Into events that are empty; on failure they are released. */
freshet_code group_bytes_get(group_walker *walker, const void *bytes, size_t length,
                             group_facts *facts, group_events *events, freshet_error *err);
/* The same in JSON: members with a comma before each (state_part_ops). */
freshet_code group_bytes_show(group_walker *walker, const void *bytes, size_t length,
                              text_buffer *into, freshet_error *err);

#endif
