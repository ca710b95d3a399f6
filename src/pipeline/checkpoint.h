/* checkpoint.h - what makes a stream survive: positions, state and files made durable together.
 *
 *   checkpoint_open.c  which folder; going on from what is in it
 *   checkpoint_fits.c  whether that fits the declaration
 *   checkpoint_meaning.c  whether what it is made of still means the same
 *   checkpoint_columns.c  plain and SQL features that came, went or changed
 *   checkpoint_plan.c  all of this, for people
 *   checkpoint.c       taking checkpoints while the stream runs
 *   checkpoint_keys.c  the keys that changed, as bytes
 *   checkpoint_inspect.c  what is kept of a key, for people
 *
 * A checkpoint is taken between two steps, when nothing waits for delivery. So all rows read have
 * gone through the feature set to the writers. In order:
 *
 *     1  writers flush; those whose files appear with the checkpoint say which (pending)
 *     2  the dead letters are durable, and their file's length noted
 *     3  one write batch is gathered: the positions that moved, the keys that changed, facts, the
 *        files to publish
 *     4  the store's thread writes it; meanwhile the loop goes on with rows of the next checkpoint
 *     5  it is durable: the files are published
 *     6  the next checkpoint no longer lists them
 *
 * Killed before 5's beginning, all that came since the checkpoint before is read and computed
 * again, and lands in the state as it did, since it begins from the state of then. Killed behind
 * it, the files are published at the next start. Only one checkpoint is on its way at a time; when
 * writing takes long, they come less often.
 *
 * Which folder: options.state; else the declaration's state.path; else `<pipeline>.state` beside
 * the declaration. The last two not for a debug run, whose rows do not go where the state says they
 * went; and the last not when no writer keeps its rows: the debug table begins empty each time, and
 * so does the reading. Batch runs keep no state.
 *
 * Without a state folder all functions here do nothing and say OK.
 */
#ifndef FRESHET_PIPELINE_CHECKPOINT_H
#define FRESHET_PIPELINE_CHECKPOINT_H

#include "keyed/evolution.h"
#include "readers/reader.h"
#include "state/store.h"

/* The next checkpoint waits until the loop's part of the last one is at most this share of the time
 * (1 in ...), and the store's thread's; but not longer than CHECKPOINT_STRETCH_MAX_US, or the
 * interval. */
#define CHECKPOINT_COLLECT_SHARE 20
#define CHECKPOINT_WRITE_SHARE 16
#define CHECKPOINT_STRETCH_MAX_US INT64_C(30000000)

/* So many rows make a checkpoint due before its time: what is read again after a crash stays
 * bounded. */
#define CHECKPOINT_ROWS_MAX INT64_C(8000000)

/* Where memory is short, keys must become durable to leave it: at most this often. */
#define CHECKPOINT_MEMORY_US INT64_C(200000)

/* WHO GETS WHAT OF state.memory. Keys have five eighths, counted as they are asked for: what malloc
 * adds, and the holes that keys leave which come and go, is up to a third of that. From this goes
 * what the process takes whatever is remembered, an eighth at most. A checkpoint
 * becomes due when the keys that changed since the last one hold an eighth; their copies are as
 * large. The store's cache, with indexes and filters, has a sixteenth, what it was given last half
 * as much. Nothing is smaller than the least that makes sense. */
static inline size_t checkpoint_share_keys(size_t memory)
{
    const size_t fixed = (size_t)32 << 20;
    return memory / 8 * 5 - (memory / 8 < fixed ? memory / 8 : fixed);
}

static inline size_t checkpoint_share_changes(size_t memory)
{
    const size_t least = (size_t)2 << 20;
    return memory / 8 < least ? least : memory / 8;
}

static inline size_t checkpoint_share_store(size_t memory)
{
    return memory / 16 < STORE_MEMORY_MIN ? STORE_MEMORY_MIN : memory / 16;
}

/* How soon the loop looks again while a checkpoint is being written. */
#define CHECKPOINT_LOOK_US INT64_C(5000)

/* Of the facts below and of what parts, readers and writers save: grows by one with each change.
 * checkpoint_fits.c reads older ones. 0: from before it was noted. */
#define CHECKPOINT_VERSION 1u

/* Facts in the store. */
#define FACT_VERSION "version"       /* CHECKPOINT_VERSION, as text */
#define FACT_DECLARED "declared"     /* the declaration's number: u64; its text, as it is shown */
#define FACT_CHECKPOINT "checkpoint" /* number, wall time in us: two int64 */
#define FACT_PIPELINE "pipeline"     /* its name */
#define FACT_SINK "sink"             /* "debug" or "lasting" */
#define FACT_READER "reader" /* key: id of a driving one; its place in the list, blank, kind */
#define FACT_PART "part"     /* key: part's name; fingerprint, shape */
#define FACT_LISTED "listed" /* key: part's name; its keys are listed by time */
#define FACT_LAYOUT "layout" /* key: part's name, line's end, number; a layout it may have */
#define FACT_LAST_LAYOUT "last layout" /* key: part's name; the one that new keys have */
#define FACT_MEANING "meaning"         /* key: name; text (features/meaning.h) */
#define FACT_COLUMN "column"           /* key: `feature "x"`; what it is (meanings_columns) */
#define FACT_FEATURES "features"       /* feature_set_save_facts */
#define FACT_SAME "bootstrap rows"     /* key: reader, number; hashes (bootstrap_same.c) */
#define FACT_SEAM "bootstrap seam"     /* key: reader; how its past and what comes live meet */
#define FACT_JOIN "join"               /* joined_save */
#define FACT_SHOWN "shown"             /* key: writer's name; checkpoint, rows, newest file */
#define FACT_FILLED "filled"           /* key: part's name; a fill_mark (fill.h) */
#define FACT_LETTERS "letters"         /* dead_letters_mark */
#define FACT_REPLAYED "replayed" /* key: a dead letter that has gone through again (replay.h) */
#define FACT_REPLAYED_RUN "replayed run" /* key: a run; ranges of its letters: two int64 each */

typedef struct checkpoint checkpoint;

/* Does this run keep state? Known once the writers are open. */
bool checkpoint_is_wanted(const freshet_pipeline *pipeline);

/* The folder of a declaration where nothing else is said: for `freshet state`. In the arena. */
const char *checkpoint_folder(const declaration *declaration, arena *arena);

/* The facts of that name; none where this run keeps no state. */
typedef freshet_code checkpoint_fact_fn(void *context, const char *key, size_t key_length,
                                        const void *value, size_t length, freshet_error *err);
freshet_code checkpoint_visit_fact(const freshet_pipeline *pipeline, const char *name,
                                   checkpoint_fact_fn *fact, void *context, freshet_error *err);

/* The folder of this run; NULL: it keeps no state. */
const char *checkpoint_folder_in_use(const freshet_pipeline *pipeline);

/* After the writers and the dead letters are open, before the first step. FRESHET_BAD_DECLARATION
 * where what is kept cannot serve the declaration. */
freshet_code checkpoint_open(freshet_pipeline *pipeline, freshet_error *err);
void checkpoint_close(checkpoint *checkpoint);
/* The run is refused before its first step: a folder that it has made goes when it is closed. */
void checkpoint_disown(checkpoint *checkpoint);

/* Where the reader goes on; *out in the step's arena. n 0: at its beginning. */
freshet_code checkpoint_positions(freshet_pipeline *pipeline, uint32_t reader,
                                  reader_positions *out, freshet_error *err);

/* Between steps: what is due is begun, what has become durable is published. Never waits for the
 * disk; but a new checkpoint takes its time. Errors with FRESHET_RETRY leave everything as it
 * is. */
freshet_code checkpoint_turn(freshet_pipeline *pipeline, freshet_error *err);

/* The last one could not be finished, and none has been since. */
bool checkpoint_is_stuck(const freshet_pipeline *pipeline);

/* When the loop should call again, at the latest, if not at `deadline_us`. */
int64_t checkpoint_deadline(const freshet_pipeline *pipeline, int64_t deadline_us);

/* All that was taken is durable and published when this returns OK. */
freshet_code checkpoint_finish(freshet_pipeline *pipeline, freshet_error *err);

/* At the end of a batch that leaves one: where it is. */
void checkpoint_say_handed(const freshet_pipeline *pipeline);

/* Takes one now, whatever there is to take, and waits for it. */
freshet_code checkpoint_now(freshet_pipeline *pipeline, freshet_error *err);

/* For `freshet state inspect`: each key of each part whose key columns have these values, one line
 * of JSON. */
typedef struct checkpoint_key {
    const char *column;
    size_t column_length;
    const char *value; /* as text */
} checkpoint_key;

typedef struct checkpoint_search {
    const char *folder; /* of the store, for messages */
    const checkpoint_key *keys;
    uint32_t n_keys;
    uint32_t limit;
    freshet_write_fn *write;
    void *context;
    uint32_t found; /* out */
} checkpoint_search;

/* The pipeline was opened to check. FRESHET_USAGE for a column that no part has,
 * FRESHET_BAD_DECLARATION for state that was kept for another declaration. */
freshet_code checkpoint_inspect(freshet_pipeline *pipeline, state_store *store,
                                checkpoint_search *search, freshet_error *err);

/* For `freshet plan`: what the declaration means for the state that is there. */
typedef struct checkpoint_plan {
    const char *folder;
    uint64_t number; /* of its last checkpoint */
    int64_t at_us;
    evolution verdicts;
    const char *was; /* the declaration of then, as `freshet show` has it; NULL: not known */
    const char *is;
} checkpoint_plan;

/* The pipeline was opened to check; `state` NULL: its own folder. All in the pipeline's arena.
 * FRESHET_END: no state is there (out->folder says where), or it keeps none (NULL). Errors of the
 * comparing (another version's state) are as of a run. */
freshet_code checkpoint_plan_make(freshet_pipeline *pipeline, const char *state,
                                  checkpoint_plan *out, freshet_error *err);

/* After a step: keys that wait in the store leave memory where there are too many. */
void checkpoint_trim(freshet_pipeline *pipeline);

#endif
