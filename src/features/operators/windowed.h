/* windowed.h - the windows of a feature set at work, between the steps before and after them.
 *
 * STREAM. windowed_run fills the slots of the windows' outputs for the rows of a run, and puts behind
 * each, as a further row of the run, its key's newest row where it has changed that; write_us and
 * row_kinds are set. So what is output for a key comes in the order of its write timestamps. From here
 * on only the slots that are needed after windows are filled.
 *
 * EXPIRY. With `refresh: on_expiry` windowed_expect says up to which second no row will come any more;
 * as long as windowed_owes, windowed_go_on then gives the keys that have lost events by it as rows of a run that begins
 * behind the windows: for the online store, with the second of the loss as their timestamp.
 *
 * BATCH. windowed_gather keeps the rows of a run; the run has none then. windowed_finish gives them
 * in pieces, each a run that begins behind the windows.
 *
 * LATENESS. A row that its lane's watermark lets pass is late all the same where the windows do not
 * hold its events any more: rows of one key from several lanes, of which one was idle. Such rows get what
 * `late` says.
 *
 * Order of calls: open; windowed_run, _expect, _owes and _go_on, or windowed_gather and then windowed_finish until FRESHET_END;
 * windowed_close.
 */
#ifndef FRESHET_FEATURES_OPERATORS_WINDOWED_H
#define FRESHET_FEATURES_OPERATORS_WINDOWED_H

#include "features/run.h"
#include "features/watermark.h"
#include "keyed/state_part.h"

/* Rows of one piece of a batch's results. */
#define WINDOWED_PIECE_ROWS 16384u

typedef struct windowed windowed;

/* *out is NULL where the plan has no windows. */
freshet_code windowed_open(const plan *plan, const feature_set_block *block, bool is_stream,
                           windowed **out, freshet_error *err);
void windowed_close(windowed *windowed);

/* hold_s: rows of that second and later may still come. */
freshet_code windowed_run(windowed *windowed, run *run, int64_t hold_s);

void windowed_expect(windowed *windowed, int64_t lowest_s);
bool windowed_owes(const windowed *windowed);
freshet_code windowed_go_on(windowed *windowed, run *run);

freshet_code windowed_gather(windowed *windowed, run *run);
freshet_code windowed_finish(windowed *windowed, run *run);

/* The state of the keys; *n 0 in a batch. */
const state_part *windowed_parts(windowed *windowed, uint32_t *n);

/* Rows that were left out because of `late: drop`. */
uint64_t windowed_dropped(const windowed *windowed);

/* What the windows of now can read of a state that was kept for those of then: the longest windows. */
freshet_code windowed_save_facts(const windowed *windowed, text_buffer *into, freshet_error *err);
freshet_code windowed_restore_facts(windowed *windowed, const void *bytes, size_t length,
                                    freshet_error *err);

#endif
