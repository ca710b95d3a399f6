/* handover.h - a batch that leaves a checkpoint, behind which the same declaration goes on as a
 * stream (docs/guide/backfill.md).
 *
 * Such a batch is run as its stream would run it, to the end of what is there: the rows that it
 * writes, and what it remembers, are those of the stream then, by being made in the same way. So a
 * batch that was killed goes on, too, from its last checkpoint. What it takes is no more than a
 * batch takes, for rows come in the order of their times in both.
 *
 * Which readers are its streams? Those that drive the batch (query_driver.c). To know them the
 * declaration is checked as a batch first.
 */
#ifndef FRESHET_PIPELINE_HANDOVER_H
#define FRESHET_PIPELINE_HANDOVER_H

#include <freshet/freshet.h>

#include "base/arena.h"

/* Checkpoints on the way are for a batch that is killed, and cost files: they come so many times
 * less often than a stream's, each half minute by the default. So do those of a bootstrap. */
#define HANDOVER_STRETCH 30

struct freshet_pipeline;

/* Is this run a batch that leaves a checkpoint? FRESHET_USAGE where it is asked for and cannot
 * be. */
freshet_code handover_is_wanted(const freshet_declaration *handle,
                                const freshet_run_options *options, bool *wanted,
                                freshet_error *err);

/* *out: the declaration as a stream, in the arena. FRESHET_BAD_DECLARATION where the batch runs as
 * a whole; problems are given as by freshet_pipeline_open. */
freshet_code handover_declaration(const freshet_declaration *handle,
                                  const freshet_run_options *options, arena *arena,
                                  freshet_problem_fn *problem, void *context,
                                  const freshet_declaration **out, freshet_error *err);

#endif
