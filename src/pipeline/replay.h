/* replay.h - dead letters that go through the pipeline again: `freshet replay`.
 *
 *     open      the letters of the file are looked through; the readers' operations are put aside,
 *               and each reader gives the records of its letters instead
 *     steps     as in any run: query, features, writers; what is refused again is a new letter, of
 *               the same place. Each checkpoint notes which letters have gone through
 *     finish    all is durable: the letters are taken out of the file
 *
 * ONCE. A letter is known by its run and number. Those that a checkpoint has noted are not replayed
 * again, whether the replay was killed, stopped or called twice, or the file was copied; their rows
 * and the note are one write (checkpoint.h). A replay holds the state's lock, so the stream must
 * have been stopped; its rows meet the state as rows that come late: `late` says what becomes of
 * them.
 *
 * WHICH. Letters of this pipeline's runs with state, whose record is whole, and whose reader is
 * followed. Not those of a batch, which is run again over its input; of a store that refused a row,
 * for the row is in the history; of records that were cut; of readers that are looked up in, which
 * are read anew by each run. They stay in the file, and are counted.
 */
#ifndef FRESHET_PIPELINE_REPLAY_H
#define FRESHET_PIPELINE_REPLAY_H

#include <freshet/freshet.h>

#include "base/batch.h"
#include "readers/reader.h"

#define REPLAY_BYTES_MAX ((size_t)4 << 30) /* of all letters, in memory */

typedef struct replay replay;

/* Behind the checkpoint's opening. */
freshet_code replay_open(freshet_pipeline *pipeline, const char *path, freshet_error *err);
void replay_close(replay *replay);

/* Of a record from which the query makes several rows, the one that the letter is about. */
freshet_code replay_choose(freshet_pipeline *pipeline, batch *rows, freshet_error *err);

/* For the checkpoint: gives each letter that went through since it was last handed over;
 * replay_noted: it is. `put` gets the letter's name. */
typedef freshet_code replay_note_fn(void *context, const char *name, size_t length,
                                    freshet_error *err);
freshet_code replay_notes(replay *replay, replay_note_fn *put, void *context, freshet_error *err);
void replay_noted(replay *replay);
/* Of each run, which of its letters are replayed: what stays of the notes. */
typedef freshet_code replay_run_fn(void *context, const char *run, const void *value, size_t length,
                                   freshet_error *err);
freshet_code replay_runs(const replay *replay, replay_run_fn *put, void *context,
                         freshet_error *err);
/* True once the letters are out of the file: the runs take the notes' place. */
bool replay_is_over(const replay *replay);

freshet_code replay_finish(freshet_pipeline *pipeline, freshet_error *err);

#endif
