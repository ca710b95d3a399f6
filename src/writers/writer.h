/* writer.h - the contract between the loop and a writer.
 *
 * A writer is a struct of operations in a folder of its own; jsonl/jsonl.c is the one to copy, and
 * docs/internals/extending.md lists what else a new one touches. It says what it keeps (what
 * becomes of its rows when the process is killed) and what it takes: from that the loop, `freshet
 * check` and docs/guide/delivery.md know how to treat it; no one knows it by name.
 *
 * The loop allocates `size` bytes, zeroed, base struct first. All calls come from the pipeline's
 * thread except where said. The legal order: check, open, recover, {write*, flush, pending,
 * publish}*, close. check alone is what `freshet check` does: nothing is opened then. close comes
 * exactly once, also where open failed.
 *
 * WAITING. open, write, flush and publish may block, and the whole run waits for them; a write or
 * flush that waits for its store watches stop_fd or asks is_stopping, and gives up soon after. An
 * error with FRESHET_RETRY is one that time may heal: the loop pauses and tries again, as said at
 * each call. Any other error ends the run.
 */
#ifndef FRESHET_WRITERS_WRITER_H
#define FRESHET_WRITERS_WRITER_H

#include <freshet/freshet.h>

#include <stdatomic.h>

#include "base/batch.h"
#include "declaration/declaration.h"

struct text_buffer;
typedef struct freshet_writer freshet_writer;

/* What is left of a writer's rows after a crash and a restart. */
typedef enum writer_keeps {
    KEEPS_NOTHING,   /* they were in memory */
    KEEPS_NEWEST,    /* of each key the row of the greatest write timestamp: rows may come again */
    KEEPS_FILES,     /* each row once: files that appear with the checkpoint which lists them */
    KEEPS_ONCE,      /* each row once, as with files: what the checkpoint lists is then shown */
    KEEPS_ALL_AGAIN, /* all, but those since the last checkpoint may be there twice: it appends */
} writer_keeps;

/* What has become of a writer's rows in this run. Each row that it was given is counted once among
 * the first four, as soon as that is certain; the others count some of them again. */
typedef enum writer_count {
    WRITER_WRITTEN,  /* its store has them, its files show them */
    WRITER_REFUSED,  /* its store will never take them: they are dead letters */
    WRITER_EXPIRED,  /* they were past their time to live: not written */
    WRITER_REPLACED, /* a newer row of their key came while they waited: not written */
    /* Of those written: rows that had gone out before, and were changed since. Counted by the loop
     * when they are given, by writers that confirm later when they are confirmed. */
    WRITER_AGAIN,
    WRITER_RETRIED, /* a row each time that its writing failed and is tried again */
    WRITER_COUNTS
} writer_count;

/* Files by their paths relative to the writer's folder. */
typedef struct writer_files {
    const char *const *paths;
    uint32_t n;
    uint64_t n_rows; /* in them; said by pending */
    /* Of publish and recover, what the state knows to be shown with these files: */
    const char *newest;        /* the last file; NULL: none was ever */
    uint64_t shown_checkpoint; /* with which it was listed */
    uint64_t shown_rows;       /* of all files so far */
} writer_files;

typedef struct writer_ops {
    const char *name;
    /* What declares it. Several writers may share a block; then `serves` says which options are its
     * own. NULL: all. */
    const block_kind *block;
    bool (*serves)(const void *options);
    size_t size;

    writer_keeps keeps;
    /* It counts its rows itself (writer_add), since a flush does not mean that they are written.
     * For the others the loop does: they are, when the flush behind them is OK. */
    bool counts_rows;
    /* Which rows are for it (ROW_... bits); write gets no others. `takes_with`: where the options
     * say so; NULL: they do not. A writer that takes corrections makes a stream keep more for them.
     * One that keeps the newest gets rows with write timestamps, plain rows too. */
    unsigned takes;
    unsigned (*takes_with)(const void *options);
    /* Its columns may be any, in any order (`select`); else keys and timestamp are the first. */
    bool any_columns;

    /* Of the one writer that stands in for all others in debug mode (`--debug`): its options there,
     * made from the declaration, in `arena`. NULL where memory is out. */
    const void *(*debug_options)(const declaration *declaration, arena *arena);

    /* Reports, before anything is opened, what a run with these options cannot do; `at` is the
     * place of the writer's block. NULL: nothing to say. Not called where --debug replaces the
     * writers. */
    void (*check)(const void *options, const declaration *declaration, const place *at,
                  problems *problems);
    /* `schema`: keys (n_keys first columns), timestamp, features. Lives as long as the writer. */
    freshet_code (*open)(freshet_writer *writer, const schema *schema, uint32_t n_keys,
                         freshet_error *err);
    /* Takes the rows of one micro-batch; they are gone after the call. May keep work in flight
     * until flush. All or nothing for the caller: an error with FRESHET_RETRY means that the same
     * batch may be given again. */
    freshet_code (*write)(freshet_writer *writer, const batch *rows, freshet_error *err);
    /* Everything written so far is durable (or visible, for the debug table) when this returns OK.
     * The loop calls it as soon as no input is waiting, and at least each FLUSH_US. After
     * FRESHET_RETRY the loop goes on with its next step, which may write more rows, and then
     * flushes all writers again, those that gave OK too. */
    freshet_code (*flush)(freshet_writer *writer, freshet_error *err);
    void (*close)(freshet_writer *writer);

    /* KEEPS_FILES (they are written aside, then renamed) and KEEPS_ONCE (what they hold is then
     * sent); all three NULL for the others.
     * pending: after a flush, the files finished since the last publish, still aside, in `arena`.
     * publish: the checkpoint that lists `files` is durable: make them appear. Comes again with the
     * same files after FRESHET_RETRY (rows may be written in between) and, as recover, after a
     * crash: files that are there already are fine. At the end of a batch pending comes again
     * before it.
     * recover: before the first write. `committed` are the files that the last checkpoint lists:
     * they are published; every other file of ours that lies aside is removed. */
    freshet_code (*pending)(freshet_writer *writer, arena *arena, writer_files *out,
                            freshet_error *err);
    freshet_code (*publish)(freshet_writer *writer, const writer_files *files, freshet_error *err);
    freshet_code (*recover)(freshet_writer *writer, const writer_files *committed,
                            freshet_error *err);

    /* At the end of a batch, behind publish: reads back how many rows there are of what this run
     * has written. `files`: what was published, of writers that have pending. NULL: it cannot. */
    freshet_code (*validate)(freshet_writer *writer, const writer_files *files, int64_t *there,
                             freshet_error *err);

    /* A stream with a new state begins, before the first write: what this writer has of a run
     * before would be there twice, of which it can only warn. NULL: it need not. */
    void (*begin_anew)(freshet_writer *writer);

    /* Writers whose rows are confirmed some time after write; the three are NULL for the others.
     * progress: takes confirmations, and sends what may be sent. Never blocks. The loop calls it
     * instead of flush when no input waits, and flush only where all must be durable.
     * wake_fd: readable when progress has something to take; -1: none.
     * wake_us: on the monotonic clock, when it has something to do all the same; INT64_MAX:
     * never. */
    freshet_code (*progress)(freshet_writer *writer, freshet_error *err);
    int (*wake_fd)(const freshet_writer *writer);
    int64_t (*wake_us)(const freshet_writer *writer);
    /* What it waits for in vain, in one sentence without an end mark; NULL when all is well, which
     * goes for a writer without this, too. Lives until the next call of any kind. */
    const char *(*trouble)(freshet_writer *writer);

    /* Writers whose rows can be asked for while they run; both NULL for the others. Any thread,
     * several at once, between open and close.
     * query: behind freshet_query().
     * figure: FRESHET_TABLE_ROWS or FRESHET_TABLE_TRIMMED. */
    freshet_code (*query)(freshet_writer *writer, const char *sql,
                          const freshet_query_options *options, freshet_result **out,
                          freshet_error *err);
    int64_t (*figure)(const freshet_writer *writer, freshet_count which);
} writer_ops;

/* What it was given is seen with the checkpoint, and not before. */
static inline bool writer_shows_later(const writer_ops *ops)
{
    return ops->keeps == KEEPS_FILES || ops->keeps == KEEPS_ONCE;
}

static inline unsigned writer_takes(const writer_ops *ops, const void *options)
{
    return ops->takes_with == NULL ? ops->takes : ops->takes_with(options);
}

/* The rows of `all` that are of these kinds; copies no cell where all are. In the batch's arena. */
freshet_code writer_select(const batch *all, unsigned takes, batch *out, freshet_error *err);

/* What a writer takes and keeps, in one line without its end: of a run of this declaration's
 * kind. */
void writer_describe(const writer_ops *ops, const void *options, bool is_stream,
                     struct text_buffer *into);

/* The same of all writers as a table in Markdown. */
void writers_describe(const writer_ops *const *writers, size_t n, struct text_buffer *into);

/* For a row that its store refused for good: puts it, as JSON, to the dead letters. With
 * FRESHET_RETRY nothing is written yet, and the writer keeps the row. */
typedef freshet_code writer_refuse_fn(void *context, const char *raw, size_t raw_length,
                                      reason_code code, const char *reason, freshet_error *err);

struct freshet_writer {
    const writer_ops *ops;
    const char *name;   /* its kind, and which one of that kind: "kafka 1"; NULL in tests */
    const place *at;    /* of its block; NULL: it has none */
    const char *folder; /* where the state may keep its files, known in recover; NULL: no state */
    const declaration *declaration;
    const void *options;
    arena *arena;        /* the pipeline's lifetime */
    uint64_t checkpoint; /* the number of the checkpoint that the next rows belong to */
    uint32_t n_workers;  /* threads that may work at a time, the pipeline's own included; 0: it */
    bool is_batch;       /* the run has an end and keeps no state */
    bool is_of_days;     /* such a run, with a start or an end date */
    bool validates;      /* validate will be called at its end */
    /* Written by the pipeline's thread, read by any. */
    atomic_llong counts[WRITER_COUNTS];
    int64_t n_unflushed; /* the loop's: rows that wait for a flush to count as written */
    /* What the loop does for the writer, in write, flush and progress. NULL in tests that need
     * none. */
    writer_refuse_fn *refuse;
    bool (*is_stopping)(void *context); /* somebody wants the run to end: do not wait long */
    void *context;
    int stop_fd; /* readable from then on; -1: none */
};

static inline void writer_add(freshet_writer *writer, writer_count which, int64_t n)
{
    if (n != 0)
        atomic_fetch_add_explicit(&writer->counts[which], n, memory_order_relaxed);
}

static inline int64_t writer_counted(const freshet_writer *writer, writer_count which)
{
    return atomic_load_explicit(&writer->counts[which], memory_order_relaxed);
}

/* Rows that the writer is rid of, by the store's doing: a sign that it works. */
static inline int64_t writer_done(const freshet_writer *writer)
{
    return writer_counted(writer, WRITER_WRITTEN) + writer_counted(writer, WRITER_REFUSED) +
           writer_counted(writer, WRITER_EXPIRED);
}

#endif
