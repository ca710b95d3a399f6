/* writer.h - the contract between the loop and a writer.
 *
 * A writer is one file with one struct of operations; adding one touches one line of
 * pipeline/registry.c. The loop allocates `size` bytes, zeroed, base struct first. All calls come
 * from the pipeline's thread except where said. The legal order: open, {write*, flush}*, close;
 * close comes exactly once, after failures too.
 */
#ifndef FRESHET_WRITERS_WRITER_H
#define FRESHET_WRITERS_WRITER_H

#include <freshet/freshet.h>

#include "base/batch.h"
#include "declaration/declaration.h"

typedef struct freshet_writer freshet_writer;

/* Files by their paths relative to the writer's folder. */
typedef struct writer_files {
    const char *const *paths;
    uint32_t n;
} writer_files;

typedef struct writer_ops {
    block_kind block;
    size_t size;

    /* Reports, before anything is opened, what a run with these options cannot do; `at` is the place
     * of the writer's block. NULL: nothing to say. Not called where --debug replaces the writers. */
    void (*check)(const void *options, const declaration *declaration, const place *at,
                  problems *problems);
    /* True if all rows that a stream's later events change are to be given again (ROW_CORRECTION), not only its
     * keys' newest; more is kept for them. NULL: no. */
    bool (*wants_corrections)(const void *options);
    /* `schema`: keys (n_keys first columns), timestamp, features. Lives as long as the writer. */
    freshet_code (*open)(freshet_writer *writer, const schema *schema, uint32_t n_keys,
                         freshet_error *err);
    /* Takes the rows of one micro-batch; they are gone after the call. May keep work in flight
     * until flush. All or nothing for the caller: an error with FRESHET_RETRY means that the same
     * batch may be given again. */
    freshet_code (*write)(freshet_writer *writer, const batch *rows, freshet_error *err);
    /* Everything written so far is durable (or visible, for the debug table) when this returns OK.
     * The loop calls it as soon as no input is waiting, and at least each FLUSH_US. */
    freshet_code (*flush)(freshet_writer *writer, freshet_error *err);
    void (*close)(freshet_writer *writer);

    /* Writers whose output appears with the checkpoint (files written aside, then renamed); all three
     * NULL where that is not so.
     * pending: after a flush, the files finished since the last publish, still aside, in `arena`.
     * publish: the checkpoint that lists `files` is durable: make them appear. May come again for the
     * same files after a crash; files that are there already are fine.
     * recover: before the first write. `committed` are the files that the last checkpoint lists: they
     * are published; every other file of ours that lies aside is removed. */
    freshet_code (*pending)(freshet_writer *writer, arena *arena, writer_files *out,
                            freshet_error *err);
    freshet_code (*publish)(freshet_writer *writer, const writer_files *files, freshet_error *err);
    freshet_code (*recover)(freshet_writer *writer, const writer_files *committed,
                            freshet_error *err);

    /* Writers whose rows are confirmed some time after write; all NULL where there is no such. They count where
     * `confirms_later` is set.
     * progress: takes confirmations, and sends what may be sent. Never blocks. The loop calls it instead of flush
     * when no input waits, and flush only where all must be durable.
     * wake_fd: readable when progress has something to take; -1: none.
     * wake_us: on the monotonic clock, when it has something to do all the same; INT64_MAX: never. */
    freshet_code (*progress)(freshet_writer *writer, freshet_error *err);
    int (*wake_fd)(const freshet_writer *writer);
    int64_t (*wake_us)(const freshet_writer *writer);
    /* What it waits for in vain, in one sentence without an end mark; NULL when all is well, which goes for a
     * writer without this, too. Lives until the next call of any kind. */
    const char *(*trouble)(freshet_writer *writer);

    /* Does a writer with these options need the write timestamps of plain rows (feature_set_options.ranks)? NULL: no. */
    bool (*wants_ranks)(const void *options);
} writer_ops;

/* For a row that its store refused for good: puts it, as JSON, to the dead letters. With
 * FRESHET_RETRY nothing is written yet, and the writer keeps the row. */
typedef freshet_code writer_refuse_fn(void *context, const char *raw, size_t raw_length,
                                      const char *reason, freshet_error *err);

struct freshet_writer {
    const writer_ops *ops;
    const declaration *declaration;
    const void *options;
    arena *arena;        /* the pipeline's lifetime */
    uint64_t checkpoint; /* the number of the checkpoint that the next rows belong to */
    bool is_batch;       /* the run has an end and keeps no state */
    bool confirms_later; /* set by open: progress, wake_fd and wake_us are to be called */
    uint64_t
        rows_done; /* such a writer counts here the rows it is rid of: a sign that the store works */
    /* What the loop does for the writer, in write, flush and progress. NULL in tests that need none. */
    writer_refuse_fn *refuse;
    bool (*is_stopping)(void *context); /* somebody wants the run to end: do not wait long */
    void *context;
    int stop_fd; /* readable from then on; -1: none */
};

#endif
