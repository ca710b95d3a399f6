/* state_plan.h - what a declaration means for the state that is there, as `freshet plan` prints it:
 * comments of CQL, so that the whole output can be run as CQL.
 */
#ifndef FRESHET_CLI_STATE_PLAN_H
#define FRESHET_CLI_STATE_PLAN_H

#include "cli/cli.h"
#include "pipeline/checkpoint.h"

/* Prints it. The pipeline was opened to check; `state` as in freshet_run_options. *n_changes grows
 * by the verdicts that are more than "served as it is". *is_refused: a run would be refused. */
freshet_code state_plan_print(freshet_pipeline *pipeline, const char *state, uint32_t *n_changes,
                              bool *is_refused, freshet_error *err);

/* The lines that two texts do not share, each behind `before` and "- " or "+ ". */
freshet_code state_plan_differ(const char *was, const char *is, const char *before,
                               text_buffer *out, freshet_error *err);

#endif
