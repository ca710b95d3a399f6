/* slices.h - the records of one poll decoded in slices, by the pipeline's crew (base/crew.h).
 *
 * A reader of records first finds what it is to decode: lines of a file, messages of a topic. That
 * is cheap, and is done one by one. Where they are many they are then cut into slices of records
 * that follow each other; each slice is decoded by a task of its own into a VIEW of the batch:
 *
 *     batch     | rows of before | slice 0        | slice 1        | slice 2   |
 *     view of slice 1             -> row 0 ...
 *
 * The columns of a view have their cells where those of the batch are, from the slice's first row
 * on, as if each of its records gave a row; but bits of validity of their own. Each task has an
 * arena of its own for texts that it makes, and decoders of its own. When all are done the rows are
 * closed up where records have given none, the bits are put together, and bad records are refused,
 * in the order of the records: nothing shows whether there were slices, and how many.
 *
 * What is not decoded in slices, but by the reader one by one, as ever: few records; columns of
 * arrays, whose elements have no fixed place; all, where the pipeline has one worker.
 *
 * LIFETIME. The arenas hold what the batch's cells point to, like the buffers with the records, and
 * as long: until slices_begin.
 *
 * Order of calls: slices_open, or NULL where there is one worker; per poll that gives up what was
 * given before, slices_begin; slices_follow, then slices_decode; slices_close. The pipeline's
 * thread calls.
 */
#ifndef FRESHET_READERS_SLICES_H
#define FRESHET_READERS_SLICES_H

#include "formats/format.h"
#include "readers/polling.h"

#define SLICES_RECORDS_LEAST 512u /* fewer are not cut */
#define SLICE_RECORDS_LEAST 256u
#define SLICES_A_WORKER 2u /* so that one who comes late leaves the others little to wait for */
#define SLICE_DECODERS_MAX 2u

struct crew;

typedef struct slices slices;

typedef struct slice_refusal {
    uint32_t record;
    reason_code code;
    const char *part, *reason;
} slice_refusal;

/* What a task decodes with. */
typedef struct slice {
    arena *arena;
    batch rows; /* the view; rows.n_rows are there */
    decoder *decoders[SLICE_DECODERS_MAX];
    void *own;         /* the reader's, made in `arena` by `begin` */
    uint32_t first, n; /* its records */
    slice_refusal *refusals;
    uint32_t n_refusals, refusals_capacity;
    freshet_code code; /* why it stopped before its end, at the record `stopped_at` */
    freshet_error problem;
    uint32_t stopped_at;
} slice;

/* How one record is decoded; `context` is the reader's. */
typedef struct slicing {
    void *context;
    /* Record `which` as row slice->rows.n_rows, and its origin; the caller counts. An error with
     * FRESHET_SKIP_ROW: it is bad, *refused and *part ("the key: ", in front of the reason) say
     * why. Called by tasks: it may write nothing but the slice. */
    freshet_code (*decode)(void *context, slice *slice, uint32_t which, reason_code *refused,
                           const char **part, freshet_error *err);
    /* Called before a slice's first record, by its task. NULL: nothing is to be done. */
    void (*begin)(void *context, slice *slice);
    /* By the caller of slices_decode, in the order of the records. */
    freshet_code (*refuse)(void *context, const slice_refusal *refusal);
} slicing;

/* *out is NULL where there is one worker. */
freshet_code slices_open(struct crew *crew, slices **out, freshet_error *err);
void slices_close(slices *slices); /* NULL is fine */

/* What was given before is no longer needed. */
void slices_begin(slices *slices); /* NULL is fine */

/* Are that many records to be cut? Then columns that are used have cells of a fixed place. */
bool slices_are_wanted(const slices *slices, const freshet_reader *reader, uint32_t n_records);

/* The slices' decoders of that number become like this one: of the same options and columns, with
 * the same header. */
freshet_code slices_follow(slices *slices, uint32_t number, const decoder *like,
                           freshet_error *err);

/* Decodes `n` records, each of which gives one row at most. An error that is no bad record ends it
 * as if it had been met one by one: what is before it is in the batch, and *n_done records were
 * taken. */
freshet_code slices_decode(slices *slices, polling *polling, const slicing *how, uint32_t n,
                           uint32_t *n_done, freshet_error *err);

#endif
