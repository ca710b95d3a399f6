/* checkpoint_internal.h - what checkpoint.c and checkpoint_open.c share. */
#ifndef FRESHET_PIPELINE_CHECKPOINT_INTERNAL_H
#define FRESHET_PIPELINE_CHECKPOINT_INTERNAL_H

#include "pipeline/checkpoint.h"
#include "pipeline/pipeline.h"

typedef enum checkpoint_phase {
    CHECKPOINT_NONE,      /* none is on its way */
    CHECKPOINT_WRITING,   /* the store's thread has it */
    CHECKPOINT_PUBLISHING /* it is durable */
} checkpoint_phase;

/* A part as it asks for its keys. */
typedef struct checkpoint_part {
    checkpoint *checkpoint;
    const state_part *part;
    atomic_llong store_reads; /* keys looked up in the store */
    bool in_store;            /* the store may hold keys that memory does not */
    /* Up to which listed key those that are over are gone; and will be, once the checkpoint that is
     * being gathered is handed over. */
    text_buffer swept, sweeping;
    /* What is listed before it may have been over before, and have been left: its key may have gone
     * and come again since. */
    int64_t left_before;
    int64_t leaving_before; /* the same, once it is handed over */
    /* For each piece of the part: up to which listed key it has had all of its own in memory. */
    text_buffer *brought;
    uint32_t n_brought;
    bool inherits;    /* the store has its heritage */
    bool succeeds;    /* the store has the part whose keys it is to take over */
    bool begins_anew; /* what the store has of it is to go with the first checkpoint */
} checkpoint_part;

/* The files that a writer has shown, up to a checkpoint. */
#define SHOWN_PATH_MAX 512
typedef struct shown_files {
    uint64_t checkpoint; /* 0: none */
    uint64_t rows;
    char newest[SHOWN_PATH_MAX];
} shown_files;

struct checkpoint {
    state_store *store;
    const char *folder;
    arena *arena;    /* of the checkpoint that is on its way */
    uint64_t number; /* of the last one that was handed over */
    checkpoint_phase phase;

    writer_files files[PIPELINE_WRITERS_MAX]; /* of the one on its way */
    shown_files shown[PIPELINE_WRITERS_MAX];  /* those of the durable ones */
    uint32_t published;                       /* writers that have published them */
    bool is_listed; /* the last durable checkpoint lists files, all published by now */
    reader_positions positions[PIPELINE_READERS_MAX]; /* put down in it, in the arena */
    bool kept_readers[PIPELINE_READERS_MAX];          /* all their positions are in the store */
    bool is_declared;                                 /* this run has put down its declaration */
    bool moved_lost; /* positions were asked for, and the checkpoint then failed */

    checkpoint_part *parts;
    uint32_t n_parts;
    uint64_t declared;     /* the number of this run's declaration: keyed/evolution.h */
    bool is_changed;       /* and the state has another one yet */
    size_t memory;         /* state.memory */
    bool is_stuck;         /* since a failure, none has become durable and published */
    bool wants_memory;     /* nothing in memory can be dropped, or too much has changed */
    int64_t memory_due_us; /* not before then is that a reason for another checkpoint */

    int64_t rows_at;  /* rows read when the last one was gathered */
    int64_t begun_us; /* monotonic: of the last one */
    int64_t handed_us;
    int64_t due_us;
    text_buffer text; /* scratch */
};

/* How each past that has begun meets what comes live; those that the state has not yet. */
freshet_code checkpoint_put_seams(freshet_pipeline *pipeline, freshet_error *err);

/* checkpoint_meaning.c. Puts down what the things mean, and the layouts of the parts; says what
 * means something else now; and tells the parts which layouts they may meet (the state of another
 * process, too). */
freshet_code checkpoint_put_meanings(freshet_pipeline *pipeline, freshet_error *err);
/* Texts in the place of those of before, as facts whose keys are their names. */
freshet_code checkpoint_put_texts(state_store *store, const char *fact,
                                  const struct meanings *texts, freshet_error *err);
freshet_code checkpoint_check_meanings(const freshet_pipeline *pipeline, evolution *out,
                                       freshet_error *err);
freshet_code checkpoint_know_layouts(state_store *store, const state_part *part,
                                     freshet_error *err);

/* checkpoint_columns.c: the same for plain and SQL features, whose changes are all served. */
freshet_code checkpoint_put_columns(freshet_pipeline *pipeline, freshet_error *err);
freshet_code checkpoint_compare_columns(const freshet_pipeline *pipeline, evolution *out,
                                        freshet_error *err);

/* All parts of the state: those of the feature set, then those of steps before the query. */
freshet_code checkpoint_list_parts(const freshet_pipeline *pipeline, arena *arena,
                                   const state_part ***out, uint32_t *n, freshet_error *err);

/* checkpoint_fits.c. What the declaration means for the state that is open; notes its number. Then:
 * refused, or said in the log. */
freshet_code checkpoint_compare(freshet_pipeline *pipeline, evolution *out, freshet_error *err);
freshet_code checkpoint_obey(const freshet_pipeline *pipeline, const evolution *evolution,
                             freshet_error *err);
/* FRESHET_BAD_DECLARATION for the state of a newer Freshet, or of one that is too old. */
/* A fact without a key; "" where the store has none. `doing`: for want of memory. */
freshet_code checkpoint_fact(state_store *store, const char *name, text_buffer *into,
                             const char *doing, freshet_error *err);

freshet_code checkpoint_check_version(state_store *store, const char *folder, const char *file,
                                      uint32_t *version, freshet_error *err);
/* Removes what was kept for parts that the declaration no longer has. */
freshet_code checkpoint_forget_parts(checkpoint *checkpoint, freshet_error *err);
/* The declaration as the state keeps it: `freshet show`. */
freshet_code checkpoint_declaration(const freshet_pipeline *pipeline, text_buffer *out,
                                    freshet_error *err);
/* A fact as text in the checkpoint's scratch; "" where there is none. */
freshet_code checkpoint_get_fact(checkpoint *checkpoint, const char *name, const char *key,
                                 freshet_error *err);

/* FRESHET_BAD_DECLARATION: why the state cannot serve the declaration, and the ways on. `at` may be
 * NULL. */
freshet_code checkpoint_refuse(const freshet_pipeline *pipeline, const place *at,
                               freshet_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A text, or `shown` bytes of it from where it differs from the other one. NULL where memory is
 * out. */
const char *checkpoint_clip(arena *arena, const char *text, const char *other, size_t shown);

/* The pipeline's checkpoint, with its folder (`state`, or NULL: the declaration's) and parts; no
 * store is open yet. */
freshet_code checkpoint_make(freshet_pipeline *pipeline, const char *state, freshet_error *err);

/* checkpoint_keys.c: puts down the keys of all parts that changed. */
freshet_code checkpoint_put_keys(freshet_pipeline *pipeline, freshet_error *err);

/* checkpoint_heirs.c: which parts go on from others, and what that means; is the part kept for one
 * of them? Then: keys are looked up in it; what it has of one that is put down for the first time
 * is removed; and all keys of one that is gone are taken over. */
freshet_code checkpoint_compare_heirs(checkpoint *checkpoint, evolution *out, freshet_error *err);
bool checkpoint_is_inherited(const checkpoint *checkpoint, const char *name, size_t length);
void checkpoint_open_heirs(const checkpoint *checkpoint);
freshet_code checkpoint_drop_heritage(const checkpoint_part *part, const state_key *key,
                                      store_run *run, freshet_error *err);
freshet_code checkpoint_succeed(const freshet_pipeline *pipeline, freshet_error *err);

/* checkpoint_listed.c: lists the key that is put down under its time; puts down that keys are gone
 * whose time is over; and lets the part know its keys, where the store was made before they were
 * listed. */
freshet_code checkpoint_list_key(const state_part *part, const state_key *key, store_run *run,
                                 freshet_error *err);
freshet_code checkpoint_sweep(checkpoint_part *part, bool owes, freshet_error *err);
freshet_code checkpoint_bring(void *context, uint32_t piece, int64_t until, uint32_t most,
                              uint32_t *n, freshet_error *err);

/* Gathers and hands over a checkpoint. */
freshet_code checkpoint_begin(freshet_pipeline *pipeline, freshet_error *err);

/* FACT_SINK of this run. */
const char *checkpoint_sink(const freshet_pipeline *pipeline);

#endif
