/* merge.h - rows of several readers, files and partitions in the order of their events' times.
 *
 * Windows see rows as they come. A batch has them all, and sorts; a stream that catches up with
 * what is there has to take them in the right order. Each partition of a reader (a file, a
 * partition of a topic) is a LANE. The merge takes what all lanes together have next, by event
 * time; of equal times the reader that is declared first comes first, then the partition (files in
 * the order in which they are listed), then the row. A batch takes its rows by the same rule, so
 * that both have the same order within a second, too.
 *
 * WHAT IS CERTAIN. Lanes that are each sorted by time come out sorted, whatever the sizes of
 * micro-batches, however many files there are and in whatever order they were listed. Rows that
 * stand out of order within their lane stay behind the row that they stand behind.
 *
 * WHAT IS NOT. A lane has to be waited for only while it is known to have more: it has not come to
 * its end, nor to the end of its file. One that gives nothing for `idle` (a broker that is away)
 * holds nobody back any more; its rows come when they come. A file that was written to again later
 * is as late as it is. More than MERGE_LANES_MAX files of one reader whose times overlap are too
 * many to have open: those beyond are read when others have ended.
 *
 * ONCE CAUGHT UP no lane has more than what it gave, and every row passes at once: the merge costs
 * a row nothing but the sorting of its micro-batch.
 *
 * WHAT IS HELD BACK has not been read as far as the checkpoint knows: merge_place sets positions
 * back to the first row held of each lane. Held are at most as many rows as one poll of each open
 * lane gave.
 *
 * Order of calls: merge_open, then merge_turn in each step; merge_close. The pipeline's thread.
 */
#ifndef FRESHET_PIPELINE_MERGE_H
#define FRESHET_PIPELINE_MERGE_H

#include "base/batch.h"
#include "readers/reader.h"

#define MERGE_LANES_MAX READER_CHOICES_MAX /* open ones, of a reader whose lanes wait for that */

struct freshet_pipeline;
typedef struct merge merge;

/* Is there more than one lane, and are there windows that see their order? */
bool merge_is_needed(const struct freshet_pipeline *pipeline);

/* *out is NULL where the order of rows is all the same to the feature set. */
freshet_code merge_open(struct freshet_pipeline *pipeline, merge **out, freshet_error *err);
void merge_close(merge *merge);

/* Polls the driving readers and gives the query's rows that have their turn, in their order, as
 * source_run does; pipeline->readers[i].batch is what rows[] speaks of. *n: how many rows of
 * readers, and rejects, have passed. *ended: there will be no more. */
freshet_code merge_turn(struct freshet_pipeline *pipeline, batch *rows, uint32_t *n, bool *ended,
                        freshet_error *err);

/* The next turn will give rows without waiting for any. */
bool merge_has_more(const merge *merge);

/* The partition that has more, as far as is known, and gives nothing, so that rows of others are
 * held; READER_NONE: it is not known which there are. False: none does. */
bool merge_held_by(const merge *merge, uint32_t *reader, uint32_t *partition, int64_t *since_us);

/* Sets the positions that a reader has given back to what has passed. */
void merge_place(const merge *merge, uint32_t reader, reader_positions *positions);

#endif
