/* bootstrap.h - a reader that streams, whose past lies elsewhere: `bootstrap` in the declaration.
 *
 * The loop sees one reader. It has the columns, and the kind, of the one that is declared (LIVE);
 * but first it gives the rows of the past (DUMP), in the order of their times:
 *
 *   1  SORT   bootstrap_prepare, in the first step: the dump is read as a batch reads it, in
 *             whatever order, into Parquet files in the state folder, and these are sorted into one
 *             by the times that the query gives its rows. Records that cannot be read are dead
 *             letters then.
 *   2  PAST   the sorted file is the reader's partition 0. It goes through the pipeline as rows of
 *             the reader, merged with other readers by time
 *   3  LIVE   the live reader is opened, and its partitions are 1 and on
 *
 * WHAT IS KEPT. The position BOOTSTRAP_POSITION says how many rows of the sorted file have passed,
 * and how many it has; so a checkpoint knows the phase. Before there is one, the sort begins anew
 * after a crash (the letters of it are cut off, as all are behind a checkpoint); behind it, the
 * sorted file is there, durable. It is removed when a checkpoint has it at its end.
 *
 * THE SEAM. With `until`, a time, the dump gives what is before it, and the live reader what is
 * from it on. With `same`, rows of the live reader are compared with those of the dump, by hashes
 * of these columns (bootstrap_same.c); what is older than the oldest that is remembered is the
 * dump's. Both are looked at behind the query, which tells the time (bootstrap_tell_apart).
 *
 * The watermark. Files are one lane, and so are the dump and live files. Behind a dump a topic has
 * lanes of its own partitions, and the dump's is one more (BOOTSTRAP_LANE).
 *
 * Order of calls: bootstrap_make, as the reader is made; then it is a reader; bootstrap_prepare in
 * the first step, bootstrap_tell_apart in each. All by the pipeline's thread.
 */
#ifndef FRESHET_PIPELINE_BOOTSTRAP_H
#define FRESHET_PIPELINE_BOOTSTRAP_H

#include "pipeline/pipeline.h"

#define BOOTSTRAP_POSITION "bootstrap"
#define BOOTSTRAP_LETTERS "bootstrap " /* before the partition of a record of the dump */
#define BOOTSTRAP_LANE (STEP_LANES_MAX - 1)

/* What is kept with the position; in saved states: what is here stays as it is. */
typedef struct bootstrap_mark {
    uint32_t version; /* 1 */
    uint32_t unused;
    int64_t total;     /* rows of the sorted file */
    int64_t newest_us; /* of its rows; INT64_MIN: none has a time */
} bootstrap_mark;

/* The rows of the past that `same` remembers (bootstrap_same.c). */
typedef struct same_hash {
    uint64_t a, b;
} same_hash;

typedef struct same_entry {
    int64_t us;
    same_hash hash;
} same_entry;

typedef struct same_rows {
    same_entry *items; /* while the dump is read; those before `newest - within` leave */
    uint64_t n, capacity;
    uint64_t *slots; /* for looking up: a number of an item + 1, or 0 */
    uint64_t n_slots;
} same_rows;

typedef struct bootstrap {
    freshet_reader base;
    reader_ops ops;
    freshet_pipeline *pipeline;
    const bootstrap_block *block;
    freshet_reader *live;
    freshet_reader *dump;   /* as it is declared */
    freshet_reader *sorted; /* over the sorted file; NULL: not yet */
    reader_block dump_block, sorted_block;
    const char *dump_problem; /* why it cannot be read; NULL: it can */
    bool is_dump_described, is_dump_open, is_live_open, is_sorted_open;
    bool is_past;         /* else live */
    bool is_prepared;     /* the sorted file is there, or no more needed */
    bool is_past_at_end;  /* all its rows were given */
    bool is_removed;      /* the sorted file */
    bool *used;           /* with the columns of `same` */
    const uint32_t *same; /* their numbers */
    int64_t until_us;     /* INT64_MAX: none */
    bootstrap_mark mark;
    int64_t passed;          /* of its rows, at open */
    const char *sorted_mark; /* of its own reader's position, behind the mark */
    uint32_t sorted_mark_length;
    const char *folder;    /* of its files; NULL: not known yet */
    const char *path;      /* of the sorted file, without a link or a relative part */
    bool is_temporary;     /* the folder is, since no state is kept */
    reader_positions from; /* of the live reader, in the pipeline's arena, until it is opened */
    same_rows rows;
    bool is_same_kept; /* the state has them */
} bootstrap;

/* Puts itself in front of `live`, which is not described yet. */
freshet_code bootstrap_make(freshet_pipeline *pipeline, freshet_reader *live, freshet_reader **out,
                            freshet_error *err);

/* NULL where the reader has none. */
bootstrap *bootstrap_of(const freshet_pipeline *pipeline, uint32_t reader);

/* How its past and what comes live meet (`until`, `same`): what the one has left out and the other
 * takes, so another seam would lose rows or give them twice. False where memory is out. */
bool bootstrap_seam(const bootstrap *of, text_buffer *into);

/* What of a declaration with such readers cannot be, once the source and the set are open. */
void bootstrap_check(const freshet_pipeline *pipeline, problems *problems);

/* ", behind its past from a file (until 2024-05-01)", for people; nothing where it has none. */
void bootstrap_tell(const reader_block *block, text_buffer *into);

/* Sorts what is not sorted yet. */
freshet_code bootstrap_prepare(freshet_pipeline *pipeline, freshet_error *err);

/* Leaves those of the query's rows out that come live and are the past's. */
freshet_code bootstrap_tell_apart(freshet_pipeline *pipeline, batch *rows, freshet_error *err);

/* What `same` remembers and the state has not yet, for a checkpoint. */
typedef freshet_code bootstrap_put_fn(void *context, const char *key, const void *value,
                                      size_t length, freshet_error *err);
freshet_code bootstrap_put_same(const freshet_pipeline *pipeline, bootstrap_put_fn *put,
                                void *context, freshet_error *err);

/* Positions of a state that was kept with a `bootstrap`, for a reader without one (or not): refused
 * where rows of the past are still to come. */
freshet_code bootstrap_check_positions(const freshet_pipeline *pipeline, uint32_t reader,
                                       reader_positions *from, freshet_error *err);

/* ---- what the files of this share ---- */

#define BOOTSTRAPPING "reading a bootstrap"

/* The reader's positions, as the state has them: what of them is the past's. */
freshet_code bootstrap_take_positions(bootstrap *of, const reader_positions *from,
                                      freshet_error *err);

/* The sorted file goes, and what was made on the way to it. */
void bootstrap_remove(bootstrap *of);

/* ---- bootstrap_same.c ---- */

/* The hash of a row's columns. */
bool same_of(const bootstrap *of, const batch *rows, uint32_t row, text_buffer *scratch,
             same_hash *out);
/* While the dump is read; `newest_us` so far. False where memory is out. */
bool same_add(bootstrap *of, int64_t us, const same_hash *hash, int64_t newest_us);
/* What comes live and is older is the past's. INT64_MIN: nothing is. */
int64_t same_bound(const bootstrap *of);
/* No more come. */
void same_end(bootstrap *of);
/* Makes the table: of those that are there, or that the state has. */
freshet_code same_load(bootstrap *of, freshet_error *err);
bool same_has(const bootstrap *of, const same_hash *hash);
void same_release(same_rows *rows);

#endif
