/* fill.h - windows that a changed declaration left half empty, filled with the past: `freshet state
 * fill`.
 *
 * MAKING (fill_make.c, fill_history.c) is the verb's, in a process of its own: the rows of the past
 * go through the declaration as those of a reader's `bootstrap` do (sorted by time, through
 * preprocess, query and feature set), with a state folder of its own beside that of the stream
 * (FOLDER.fill.made), and with no writer. What this state keeps of each key goes to one file,
 * FOLDER.fill, which is there as a whole or not at all.
 *
 * TAKING (fill.c) is the run's, the next one or the one that is there: the file is looked for at
 * the start, and each second. Some milliseconds of it are taken between two steps: each key is
 * looked up as by an event of it, and given its past (state_part_fill), and the next checkpoint
 * saves it. A key that lacks nothing is passed over; so after a crash the file is taken from its
 * beginning again, and nothing is filled twice. When a checkpoint is durable that has all of it,
 * and the mark, the file is removed. A run that has an end takes all of it before its first step.
 *
 * THE FILE is entries: fill_entry, key, value. In order: the declaration as it is shown; for each
 * part the newest time of its events, its layout, then its keys; how many entries there were.
 *
 * Order of calls, all by the pipeline's thread: fill_open once the state is; fill_turn between
 * steps; fill_put and fill_is_behind by the checkpoint.
 */
#ifndef FRESHET_PIPELINE_FILL_H
#define FRESHET_PIPELINE_FILL_H

#include "keyed/state_part.h"
#include "pipeline/pipeline.h"

#define FILL_ENDING ".fill"

/* What the state says of a part that was filled; what is here stays as it is. */
typedef struct fill_mark {
    uint64_t declared; /* the declaration's number: what came in up to it is full */
    int64_t at_us;
    uint64_t keys[FILL_KINDS]; /* by what became of them */
} fill_mark;

typedef enum fill_what {
    FILL_DECLARATION = 1, /* value: its text */
    FILL_NEWEST,          /* value: int64, microseconds */
    FILL_LAYOUT,          /* key: part's name */
    FILL_KEY,
    FILL_END /* value: uint64, entries before */
} fill_what;

#define FILL_MAGIC UINT32_C(0x314c4c46) /* "FLL1" */

typedef struct fill_entry {
    uint32_t magic;
    uint32_t what; /* fill_what */
    uint32_t key_length;
    uint32_t length;
    uint64_t sum; /* of key and value */
} fill_entry;

uint64_t fill_sum(const void *key, size_t key_length, const void *value, size_t length);

/* ---- the run's ---- */

freshet_code fill_open(freshet_pipeline *pipeline, freshet_error *err);
freshet_code fill_turn(freshet_pipeline *pipeline, freshet_error *err);
bool fill_is_under_way(const freshet_pipeline *pipeline);
/* Of a run that has an end: is a piece to be taken before more is read? */
bool fill_is_first(const freshet_pipeline *pipeline);
/* Is something filled that is in no checkpoint yet? */
bool fill_is_behind(const freshet_pipeline *pipeline);
freshet_code fill_put(freshet_pipeline *pipeline, freshet_error *err);
void fill_close(freshet_pipeline *pipeline);

/* At a start: tells the part what the state says of it, and people, where the declaration is still
 * that one. */
freshet_code fill_take_mark(checkpoint *checkpoint, const state_part *part, evolution *out,
                            freshet_error *err);

/* ---- the verb's ---- */

typedef struct fill_made {
    const char *folder; /* of the state */
    const char *path;   /* of the file; NULL: nothing is to be filled */
    const char *from;   /* what was read */
    const evolution *verdicts;
    const char *says; /* what will show of it */
    int64_t rows, refused;
    uint64_t keys;
    const char *letters; /* rows that were refused */
} fill_made;

/* `state`: NULL, the declaration's. `from`: NULL, the history of the declaration, or else its
 * bootstrap. All in the arena.
 * FRESHET_BAD_DECLARATION: what cannot be filled, and why. */
freshet_code fill_make(const freshet_declaration *handle, const char *state, const char *from,
                       freshet_problem_fn *problem, void *context, arena *arena, fill_made *out,
                       freshet_error *err);

/* The state of that folder is to go: what a killed verb has left goes before, FRESHET_TRY_AGAIN
 * where the verb is at work; and the file behind. */
freshet_code fill_remove_made(const char *folder, freshet_error *err);
freshet_code fill_remove_file(const char *folder, freshet_error *err);

#endif
