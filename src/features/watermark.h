/* watermark.h - which rows of a stream come too late, and which too early.
 *
 * Rows come in lanes (partitions of a topic; the files of a reader are one lane). Each lane has a
 * watermark: the newest second of its rows so far, less the lateness. A row before its own lane's
 * watermark is late. Nothing else decides it: no clock, no other lane, no size of micro-batches;
 * so a replay of the lane decides alike. Seconds are floored, as windows have them.
 *
 * The lowest watermark of all lanes is how far back rows may still come. A lane that has given
 * nothing for the declared `idle` (of the clock) holds nobody back: its rows are then late when
 * what they need is gone. This is one rule for all that waits for lanes: events that are kept,
 * windows that close, ids that are forgotten. lanes.h keeps the lanes.
 *
 * Behind a join of streams no row has a lane: the join tells the watermark (batch.h).
 */
#ifndef FRESHET_FEATURES_WATERMARK_H
#define FRESHET_FEATURES_WATERMARK_H

#include <freshet/freshet.h>

#include "base/text.h"
#include "features/operator.h"

#define WATERMARK_TIME_MAX \
    INT64_C(9000000000000000000) /* what is newer moves nothing: no clock is so wrong */
#define WATERMARK_SPAN_TEXT_MAX 64

/* The declared lateness in whole seconds, rounded up. */
int64_t watermark_lateness_s(const feature_set_block *block);

/* What becomes of a late row, whoever finds it: it is dropped and counted, or refused. behind_s:
 * how long behind the newest row of its lane; no more than the lateness where what it needs is gone
 * all the same. */
freshet_code watermark_refuse(freshet_operator *finder, run *run, uint32_t row, int64_t behind_s);

/* "3 hours 20 minutes": the two largest units. */
void watermark_span(int64_t seconds, char into[WATERMARK_SPAN_TEXT_MAX]);

#endif
