/* merge_internal.h - what merge.c, merge_hold.c and merge_sort.c share. No other file includes
 * it. */
#ifndef FRESHET_PIPELINE_MERGE_INTERNAL_H
#define FRESHET_PIPELINE_MERGE_INTERNAL_H

#include "pipeline/pipeline.h"

#define MERGING "putting rows in order"

/* A place in the order of all rows. */
typedef struct mark {
    int64_t us;
    uint32_t reader;
    uint32_t rank;
} mark;

typedef struct lane {
    uint64_t waiting;    /* the last turn in which it had input waiting */
    uint64_t active;     /* the last turn in which it was listed */
    uint32_t rank;       /* of its reader's lanes, from 1; 0: not met yet */
    uint32_t allot;      /* rows that it is to have at hand */
    uint32_t n_fresh;    /* rows that this turn's poll gave */
    uint32_t n_rows;     /* in this turn */
    uint32_t n_held;     /* after it */
    int64_t held_offset; /* of the first one */
    int64_t reached_us;  /* the key of the last row that has passed */
    int64_t last_us;     /* of the last row of this turn */
    int64_t head_us;     /* of its first row, where has_head */
    int64_t silent_since_us;
    bool has_head;
    bool is_open;
} lane;

typedef struct merge_reader {
    const freshet_reader *reader;
    lane *lanes; /* by partition */
    uint32_t n, capacity;
    uint32_t n_met, n_open;
    arena *arenas[2]; /* which: of what is held */
    unsigned which;
    batch held;
    uint64_t taken;  /* the last turn in which what was held stands in its batch */
    reject *rejects; /* held */
    uint32_t n_rejects;
    uint64_t unsettled; /* the last turn in which its lanes were not known yet */
    int64_t unsettled_since_us;
    bool said_full;
} merge_reader;

typedef struct lane_of {
    uint32_t reader;
    uint32_t partition;
} lane_of;

struct merge {
    merge_reader *readers;
    uint32_t n_readers;
    uint64_t turn;
    int64_t idle_us;
    int64_t now_us;  /* of this turn */
    lane_of *active; /* in this turn: those with input waiting, and those with rows held */
    uint32_t n_active, active_capacity;
    uint32_t n_waiting;
    mark bound;
    bool has_bound;
    lane_of bounding; /* the lane that has set it */
    bool is_blocked;  /* nothing has passed */
    bool has_more;
};

static inline lane *merge_lane(const merge *merge, lane_of which)
{
    return &merge->readers[which.reader].lanes[which.partition];
}

/* The partition that a row is of. */
static inline uint32_t merge_partition(const merge_reader *of, const origin *origin)
{
    return of->reader->ops->waiting == NULL ? 0 : origin->partition;
}

static inline bool mark_is_before(const mark *a, const mark *b)
{
    if (a->us != b->us)
        return a->us < b->us;
    return a->reader != b->reader ? a->reader < b->reader : a->rank < b->rank;
}

/* What the turn before has held back, behind the rows that are in the batch. */
freshet_code merge_take_held(freshet_pipeline *pipeline, uint32_t reader, freshet_error *err);
/* The rejects that were held, behind those that there are. */
freshet_code merge_take_rejects(freshet_pipeline *pipeline, uint32_t reader, freshet_error *err);

/* Runs the rows that pass in their order (keys NULL: all, as they are), where steps remember rows;
 * what they refuse is added to the step's rejects. */
freshet_code merge_run_passing(freshet_pipeline *pipeline, batch *const *batches,
                               int64_t *const *keys, batch *rows, freshet_error *err);

/* Copies the rows with these numbers into the arena that is free. */
freshet_code merge_hold_rows(merge_reader *of, const batch *from, const uint32_t *rows, uint32_t n,
                             freshet_error *err);

/* Of the rejects those that stand behind what is held come later: records that could not be read
 * are held, too, and what the query refused it will refuse again. The first n_of_readers are of
 * readers. */
freshet_code merge_hold_rejects(freshet_pipeline *pipeline, uint32_t n_of_readers,
                                freshet_error *err);

/* Leaves those of the query's rows that pass, sorted. keys[reader][row] are those of the rows that
 * were read. */
freshet_code merge_sort_rows(freshet_pipeline *pipeline, int64_t *const *keys, batch *rows,
                             freshet_error *err);

#endif
