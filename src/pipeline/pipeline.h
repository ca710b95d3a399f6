/* pipeline.h - the loop's own structures, shared by the files of this folder.
 *
 *   registry.c   which readers and writers there are; the public calls on declarations
 *   syntax.c     the grammar of the SQL in a declaration that has other mistakes
 *   checkpoint.c what survives: positions, state and files, made durable together (checkpoint.h)
 *   open.c       declaration -> readers, source, feature set, writers
 *   answering.c  who is answered meanwhile: `freshet query` and the like, HTTP
 *   workers.c    how many threads work in it
 *   times.c      a look at the first times: are they likely ones?
 *   serving.c    a feature set that is served (serving.h)
 *   bootstrap.c  a reader whose past lies elsewhere (bootstrap.h)
 *   handover.c   a batch that leaves a checkpoint for a stream (handover.h)
 *   dates.c      the days that a batch run is cut to
 *   load.c       static readers into tables, and again when their files change
 *   step.c       one micro-batch: poll, query, features, write
 *   merge.c      rows of several readers and partitions in the order of their times (merge.h),
 *                merge_hold.c what it holds back
 *   measure.c    what the loop measures of itself, for others to see (measure.h)
 *   holding.c    who holds windows back, and rows of most of which are late
 *   trouble.c    readers, writers and runs that cannot do what they should: said, and shown by
 *                freshet_ready()
 *   replay.c     dead letters that go through again (replay.h)
 *   fill.c       windows that are filled with the past (fill.h); fill_make.c makes it
 *   hooks.c      expectations of the rows that pass (hooks.h, hooks_internal.h)
 *   refusals.c   refused rows: dead letters, their counts, too many of them
 *   stop.c       a stop while the SQL engine works
 *   acks.c       writers whose rows are confirmed later: waiting with them, their rejects
 *   loop.c        steps until the end: waiting, retries, stop, counters, queries
 *
 * A step has two halves. The first takes rows from the readers and computes feature rows and
 * rejects; all that lives in the step's arena. The second delivers them: rows to each writer,
 * rejects to the dead letters. When delivery fails with FRESHET_RETRY, the step's results stay
 * where they are, with a note of who has them already (`delivery`), and the next step begins by
 * delivering them: nothing is lost, nothing goes out twice, and the readers rest meanwhile.
 *
 * Writers may hold rows until they are flushed. freshet_step() flushes each time, freshet_run()
 * when no input is waiting, or has been for FLUSH_US: a stream that is behind gets through faster,
 * and one that is not shows each micro-batch at once.
 *
 * Each writer gets the rows that it takes (writer.h), which are selected once for all that take the
 * same.
 *
 * A writer to a store elsewhere has its rows confirmed later (writer.h, progress). It is not
 * flushed but pushed on, wherever the loop waits or comes by, and the loop reads on meanwhile; only
 * a checkpoint, the end and freshet_step() wait for what is under way.
 */
#ifndef FRESHET_PIPELINE_PIPELINE_H
#define FRESHET_PIPELINE_PIPELINE_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/batch.h"
#include "declaration/declaration.h"
#include "features/feature_set.h"
#include "features/time_look.h"
#include "http/http_server.h"
#include "operate/dead_letters.h"
#include "operate/query_server.h"
#include "pipeline/checkpoint.h"
#include "pipeline/dates.h"
#include "pipeline/replay.h"

#include "pipeline/hooks.h"
#include "pipeline/joining.h"
#include "pipeline/measure.h"
#include "pipeline/merge.h"
#include "pipeline/serving.h"
#include "readers/reader.h"
#include "source/source.h"
#include "writers/writer.h"
#include "writers/writer_columns.h"

#define PIPELINE_READERS_MAX 256u
#define PIPELINE_WRITERS_MAX 16u

/* One micro-batch: at most so many rows and bytes of each driving reader. Larger ones leave the
 * processor's caches; a writer that likes them larger gathers several. */
#define STEP_ROWS_MAX 16384u
#define STEP_BYTES_MAX ((size_t)4 << 20)

#define FRESHET_COUNTERS (FRESHET_BATCH_LEFT + 1)

/* Lanes of the feature set are numbered by reader, then by the reader's own number. */
#define STEP_LANES_MAX (1u << 24) /* of one reader */

/* Writers are flushed when no input is waiting, and at least this often while some is. */
#define FLUSH_US INT64_C(250000)

/* Static readers are looked at for changes this often while streaming. */
#define STATIC_CHECK_US INT64_C(1000000)

/* How long the second half of a step may go on failing, and no row go out, before a run that has an
 * end gives up with FRESHET_TRY_AGAIN. A run without an end never does. */
#define RETRY_GIVE_UP_US INT64_C(10000000)
#define RETRY_PAUSE_FIRST_US INT64_C(100000)
#define RETRY_PAUSE_MAX_US INT64_C(30000000)

/* Of a reader, a writer or the run. */
typedef struct trouble {
    bool troubled;
    int64_t said_us;    /* last, in the log */
    char sentence[640]; /* with the name of whose it is */
} trouble;

typedef struct reader_state {
    freshet_reader *reader;
    batch *batch;           /* what it gave in this step, or NULL */
    uint32_t expected_rows; /* of the next micro-batch: so many were in the last one */
    bool opened;
    bool ended;
    bool more; /* it stopped at a limit: do not wait before the next poll */
    int64_t next_check_us;
    trouble trouble;
} reader_state;

/* Rows since the last look, to see when most are late. */
typedef struct lateness_watch {
    uint64_t rows, late;
    uint64_t dropped; /* of the feature set, so far */
    int64_t said_us;  /* 0: never */
    char where[300];  /* the last one that was refused */
} lateness_watch;

#define TAKES_MAX (ROW_NEW | ROW_ONLINE | ROW_CORRECTION)

typedef struct delivery {
    bool pending;
    batch rows;
    batch *own[PIPELINE_WRITERS_MAX]; /* rows of a writer with hooks of its own; or NULL */
    batch selected[TAKES_MAX + 1];    /* by what a writer takes; no columns: not selected yet */
    uint32_t writers_done;
    /* By the writers that are done and do not count themselves: all kinds of rows that any takes */
    unsigned taken;
    uint32_t n_taken; /* rows of these kinds */
} delivery;

/* A writer that the run is to have: those declared, or in debug mode the one that stands in for
 * all. */
typedef struct sink {
    const writer_ops *ops;
    const void *options;
    const place *at; /* of its block; NULL in debug mode */
    const declared_list *select;
    bool validate;
    const hooks_block *hooks; /* NULL: it has none */
    writer_columns columns;   /* known once the feature set is */
} sink;

/* Rows that were refused, and what of it was said. */
typedef struct refusals {
    atomic_llong counts[REASON_COUNT]; /* by reason */
    int64_t said[REASON_COUNT];        /* of them, in the log */
    int64_t said_us;                   /* when; 0: never */
    bool is_unsaid;
    char last[320];      /* the sentence of the last one */
    int64_t n_static;    /* those of readers that are looked up in */
    int64_t n_taken;     /* rows that the feature set took */
    int64_t n_delivered; /* rows that went to the writers */
    int64_t looked_read; /* rows read, and refused, when a stream was looked at last */
    int64_t looked_refused;
} refusals;

struct freshet_pipeline {
    const freshet_declaration *handle;
    const declaration *declaration;
    freshet_run_options options;
    arena *arena;      /* the pipeline's lifetime */
    arena *step_arena; /* the micro-batch's */
    struct crew *crew; /* who works beside the loop (base/crew.h); NULL: nobody */
    sql_engine *engine;
    sql_session *session;
    source *source;
    feature_set *features;
    reader_state readers[PIPELINE_READERS_MAX];
    uint32_t n_readers;
    struct bootstrap *bootstraps[PIPELINE_READERS_MAX]; /* of each reader; NULL: it has none */
    uint64_t n_left_out; /* rows that came live and were the past's */
    sink sinks[PIPELINE_WRITERS_MAX];
    uint32_t n_sinks;
    freshet_writer *writers[PIPELINE_WRITERS_MAX]; /* of each sink, once they are opened */
    uint32_t n_writers;
    struct serving *serving; /* NULL: it is not served */
    dead_letters *letters;
    query_server *server;
    struct measure *measure; /* NULL: nobody looks (measure.h) */
    http_server *http;       /* NULL: it answers nobody by HTTP */
    checkpoint *checkpoint;  /* NULL: this run keeps no state */
    struct fill *fill;       /* the past that windows are filled with (fill.h); NULL: none */
    replay *replay;          /* NULL: it reads its readers, as runs do */

    hooks *hooks;     /* NULL: there are none */
    merge *merge;     /* NULL: the order of rows is all the same */
    joining *joining; /* NULL: the query joins no streams */
    const char **output_types;
    time_look look;  /* at the first times */
    dates dates;     /* those that a batch is cut to */
    bool hands_over; /* a batch that leaves a checkpoint: handle and declaration are its stream's */
    bool has_bootstraps;
    bool is_bootstrapped; /* they are sorted */
    bool is_sorted_anew;  /* and no checkpoint knows it */
    bool loaded;          /* the static readers are in their tables */
    bool looked;          /* the look at the first times is done */
    bool whole_done;      /* the one result of a query that runs as a whole has been read */
    delivery delivery;
    int64_t unflushed_since_us; /* when a writer got the first rows since the last flush; 0: none */
    int64_t n_unflushed;        /* rows that writers without a count of their own got since then */
    rejects rejects;            /* of this step */
    refusals refusals;
    trouble writer_trouble[PIPELINE_WRITERS_MAX];
    int wake_fd; /* an eventfd that freshet_stop writes to */
    atomic_bool stop;
    atomic_bool computing; /* rows are being taken and computed: what is there to lose is not */
    atomic_ullong beats;   /* grows while the loop comes by, or waits for what is not the process */
    atomic_bool has_turned;   /* a turn of the loop has gone well */
    atomic_bool resting;      /* between a failure and the next try */
    atomic_bool at_long_work; /* that takes as long as there is data */
    sql_watch watch;          /* of the loop's thread, while it computes */
    trouble run_trouble;
    pthread_mutex_t trouble_lock; /* around n_troubled and each trouble, which any thread may ask
                                     for; the loop alone changes them */
    uint32_t n_troubled;
    char held_by[400];    /* "": nobody holds windows back; under trouble_lock, too */
    int64_t held_look_us; /* when it was looked at last */
    lateness_watch lateness;
    atomic_llong counters[FRESHET_COUNTERS];
};

/* Adds to `problems` what is no SQL in a declaration that has other problems already. */
void syntax_check(const freshet_declaration *handle, const declaration *parsed, problems *problems);

/* Adds to `problems` what is wrong with the macros' names and SQL: then FRESHET_BAD_DECLARATION.
 * The engine has all its functions. */
freshet_code macro_check(const freshet_pipeline *pipeline, problems *problems, freshet_error *err);

/* Starts pipeline->crew, of as many workers as the run is to have; a look by `check` has none. */
freshet_code workers_open(freshet_pipeline *pipeline, freshet_error *err);

/* The engine's readers and writers, for the declaration and for opening. */
const registry *registry_of_engine(void);
const reader_ops *registry_reader(const block_kind *kind);
const writer_ops *registry_writer(const declared_kind *declared);
const writer_ops *registry_debug_writer(void);
void registry_describe_writers(struct text_buffer *into);

/* "stream", "batch", or what a batch is that hands over. */
static inline const char *pipeline_kind(const freshet_pipeline *pipeline)
{
    return pipeline->hands_over               ? "batch that leaves a checkpoint for its stream"
           : pipeline->declaration->is_stream ? "stream"
                                              : "batch";
}

/* The writer's kind, with its number where there are several of it. */
const char *pipeline_writer_name(const freshet_pipeline *pipeline, uint32_t writer);

/* The first writer whose rows can be asked for; NULL: there is none. */
freshet_writer *pipeline_queried(const freshet_pipeline *pipeline);

/* Starts the query socket and the HTTP server, where the run is to have them. */
freshet_code answering_open(freshet_pipeline *pipeline, freshet_error *err);
void answering_close(freshet_pipeline *pipeline);
/* What the declaration, or options.http before it, says of the HTTP server; paths are in the
 * pipeline's arena. */
freshet_code answering_http(const freshet_pipeline *pipeline, http_options *options,
                            freshet_error *err);

/* The loop is in the first half of a step, which may be given up at any moment: what it has begun
 * is nowhere yet. Any thread, and signal handlers. */
bool pipeline_is_computing(const freshet_pipeline *pipeline);

/* How the loop gets on, for a watchdog. It has hung where, for long, the beats are the same, it
 * rests not, and is at no work that takes as long as there is data (a batch, the tables of static
 * readers, sorting a past, the last checkpoint). Any thread. */
typedef struct pulse {
    uint64_t beats;
    bool has_turned; /* one turn has gone well: all readers are open */
    bool is_resting;
    bool is_at_long_work;
} pulse;
pulse pipeline_pulse(const freshet_pipeline *pipeline);
void pipeline_beat(freshet_pipeline *pipeline);

/* Sees to it that a run that is to stop does not wait for the SQL engine: a thread that stops what
 * the engine is at, STOP_GRACE_US after freshet_stop(). */
typedef struct stopper {
    freshet_pipeline *pipeline;
    pthread_t thread;
    int end_fd;
} stopper;
freshet_code stopper_start(freshet_pipeline *pipeline, stopper *stopper, freshet_error *err);
void stopper_end(stopper *stopper);

/* freshet_step() without the flush and the checkpoint behind it. */
freshet_code pipeline_step(freshet_pipeline *pipeline, int64_t deadline_us, freshet_error *err);

/* At most so many rows of a reader in one step. */
uint32_t pipeline_step_rows(const freshet_pipeline *pipeline);
/* Opens the reader, where it is not open, and gives it an empty batch for this step. */
freshet_code pipeline_begin_reader(freshet_pipeline *pipeline, reader_state *state,
                                   freshet_error *err);
/* Polls it into that batch; notes its end and its trouble. */
freshet_code pipeline_poll(freshet_pipeline *pipeline, reader_state *state, uint32_t max_rows,
                           size_t max_bytes, freshet_error *err);

/* A row of the source that is refused, with the place of what it was made of; `context` is the
 * pipeline. */
freshet_code pipeline_refuse_row(void *context, const feature_refusal *refused, freshet_error *err);

/* True when the next step need not wait: readers stopped at a limit, a whole result is not at its
 * end. */
bool pipeline_has_more(const freshet_pipeline *pipeline);

/* Writers whose rows are confirmed later go on, and their trouble is noted. */
freshet_code pipeline_progress(freshet_pipeline *pipeline, freshet_error *err);

/* Adds what such writers wait for: their descriptors at fds[n] (room for PIPELINE_WRITERS_MAX), the
 * new number of which is returned, and the time when they have to do something: *wake_us becomes
 * earlier. */
uint32_t pipeline_add_waits(const freshet_pipeline *pipeline, struct pollfd *fds, uint32_t n,
                            int64_t *wake_us);

/* A writer has trouble now, as it was last noted. */
bool pipeline_is_troubled(const freshet_pipeline *pipeline);

/* Gives a new writer what the loop does for it. */
void pipeline_serve_writer(freshet_pipeline *pipeline, freshet_writer *writer);

/* Makes the other writers show what they were given. */
freshet_code pipeline_show(freshet_pipeline *pipeline, freshet_error *err);

/* Makes all writers show what they were given, and waits for it. */
freshet_code pipeline_flush(freshet_pipeline *pipeline, freshet_error *err);

/* At the end of all input: flushes, publishes what the writers of a batch have made aside, takes
 * the last checkpoint of a stream. May be called again. */
freshet_code pipeline_finish(freshet_pipeline *pipeline, freshet_error *err);

/* After a poll: says when the reader's trouble begins, lasts and ends, and keeps it for
 * freshet_ready(). */
void trouble_note(freshet_pipeline *pipeline, reader_state *state);
/* The same of a writer, after its progress. */
void trouble_note_writer(freshet_pipeline *pipeline, uint32_t i);
/* The same of the run: after a turn that failed, or that went well (NULL). */
void trouble_note_run(freshet_pipeline *pipeline, const freshet_error *problem);

/* A warning where most of the first times are not likely ones: of `check`, among the problems; of a
 * run, from the rows of the source that it takes, in the log. */
freshet_code times_look_before(freshet_pipeline *pipeline, problems *problems, freshet_error *err);
freshet_code times_look_during(freshet_pipeline *pipeline, const batch *rows, bool at_end,
                               freshet_error *err);

/* Behind a step: keeps who holds windows back, for freshet_waits_for(). */
void holding_note(freshet_pipeline *pipeline);
/* A row was refused as late; so many rows went into the feature set. Warns where most are late. */
void lateness_note_row(freshet_pipeline *pipeline, const reject *late);
void lateness_note_step(freshet_pipeline *pipeline, uint32_t n_rows, bool at_end);

/* Loads every static reader (of a query that runs as a whole: every reader) into its table. */
freshet_code load_all(freshet_pipeline *pipeline, freshet_error *err);

/* Loads again the static readers whose files changed. What cannot be read now keeps its old
 * content, with a warning. */
freshet_code load_changed(freshet_pipeline *pipeline, freshet_error *err);

/* Writes rejects to the dead letters, counts them, and says so now and then; those of the step. */
freshet_code refusals_add(freshet_pipeline *pipeline, const rejects *rejects, freshet_error *err);
freshet_code pipeline_write_letters(freshet_pipeline *pipeline, freshet_error *err);
/* Says what is not said yet, where it is time. */
void refusals_say(freshet_pipeline *pipeline);

/* FRESHET_BAD_DATA where too many rows were refused: behind a step; at the end of all input, before
 * anything is published; where no row went to the writers; where none of them took one. */
freshet_code refusals_check(freshet_pipeline *pipeline, freshet_error *err);
freshet_code refusals_check_end(freshet_pipeline *pipeline, freshet_error *err);
freshet_code refusals_check_nothing(const freshet_pipeline *pipeline, freshet_error *err);
freshet_code refusals_check_written(const freshet_pipeline *pipeline, freshet_error *err);

/* What was read has more to give before anything is read, or kept: it is in no state. */
static inline bool pipeline_owes(const freshet_pipeline *pipeline)
{
    return feature_set_owes(pipeline->features) || joining_owes(pipeline->joining);
}

static inline void pipeline_count(freshet_pipeline *pipeline, freshet_count which, int64_t more)
{
    atomic_fetch_add_explicit(&pipeline->counters[which], more, memory_order_relaxed);
}

#endif
