/* joining.h - a join of two streams between the readers and the query (features/joined.h).
 *
 *     readers ──► merge, by the readers' times ──► rows held by key ──► pairs ──► query
 *
 * With such a join the merge runs no query: the times of rows are those that the readers declare.
 * Behind the query a row's number (batch.rows) is that of its pair.
 *
 * The end of input: a batch gives all that waits. A stream whose run keeps state leaves it for the
 * next run, but for `--once --drain`; without state there is no next one, and all goes out.
 *
 * Order of calls: joining_open, once the source is open; joining_turn in each step; joining_close.
 */
#ifndef FRESHET_PIPELINE_JOINING_H
#define FRESHET_PIPELINE_JOINING_H

#include "base/batch.h"
#include "features/joined.h"

struct freshet_pipeline;
struct problems;
typedef struct joining joining;

/* *out is NULL where the query joins no streams. */
freshet_code joining_open(struct freshet_pipeline *pipeline, struct problems *problems,
                          joining **out, freshet_error *err);
void joining_close(joining *joining);

joined *joining_rows(const joining *joining);

/* A lane of a reader that will give rows. */
freshet_code joining_expect(joining *joining, uint32_t reader, uint32_t lane, freshet_error *err);

/* The reader that the other's rows wait for; false: none. */
bool joining_held_by(const joining *joining, uint32_t *reader, feature_set_holder *out);

/* For the merge: all rows of the readers' batches, without columns, and their times. */
freshet_code joining_times(struct freshet_pipeline *pipeline, batch *const *batches, batch *out,
                           int64_t **times, freshet_error *err);

/* As merge_turn: the query's rows over the pairs that are due. */
freshet_code joining_turn(struct freshet_pipeline *pipeline, batch *rows, uint32_t *n, bool *ended,
                          freshet_error *err);

/* More is due than one step gives. */
bool joining_owes(const joining *joining);

/* Where the pair of that number comes from. */
void joining_locate(const struct freshet_pipeline *pipeline, uint64_t pair, reject *into);

#endif
