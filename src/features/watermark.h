/* watermark.h - which rows of a stream come too late, and which too early.
 *
 * Rows come in lanes (partitions of a topic; the files of a reader are one lane). Each lane has a
 * watermark: the newest second of its rows so far, less the lateness. A row before its own lane's
 * watermark is late. Nothing else decides it: no clock, no other lane, no size of micro-batches;
 * so a replay of the lane decides alike. Seconds are floored, as windows have them.
 *
 * The lowest watermark of all lanes is how far back rows may still come. A lane that has given nothing for
 * WATERMARK_IDLE_US (of the clock) holds nobody back: its rows are then late when what they need is
 * gone. This is one rule for all that waits for lanes: events that are kept, windows that close, ids that are
 * forgotten.
 *
 * Order of calls: open, restore (once, or never), expect, then take, lowest and save in any order.
 */
#ifndef FRESHET_FEATURES_WATERMARK_H
#define FRESHET_FEATURES_WATERMARK_H

#include <freshet/freshet.h>

#include "base/text.h"
#include "features/operator.h"

#define WATERMARK_LANES_MAX 1000000u
#define WATERMARK_TIME_MAX \
    INT64_C(9000000000000000000) /* what is newer moves nothing: no clock is so wrong */
#define WATERMARK_SPAN_TEXT_MAX 64
#define WATERMARK_IDLE_US INT64_C(60000000)

typedef struct watermarks watermarks;

/* The declared lateness in whole seconds, rounded up. */
int64_t watermark_lateness_s(const feature_set_block *block);

/* What becomes of a late row, whoever finds it: it is dropped and counted, or refused. behind_s: how long behind the newest
 * row of its lane; no more than the lateness where what it needs is gone all the same. */
freshet_code watermark_refuse(freshet_operator *finder, run *run, uint32_t row, int64_t behind_s);

/* "3 hours 20 minutes": the two largest units. */
void watermark_span(int64_t seconds, char into[WATERMARK_SPAN_TEXT_MAX]);

/* NULL where memory is out. */
watermarks *watermarks_open(int64_t lateness_s);
void watermarks_close(watermarks *watermarks);

/* A lane that will give rows: until it does, or has been idle, it holds all others back. */
freshet_code watermarks_expect(watermarks *watermarks, uint32_t lane, int64_t now_us,
                               freshet_error *err);

/* The next row of a lane: *behind_s tells how many seconds it lies before its lane's newest row, 0 for a
 * new newest; it is late where that is more than the lateness. Late rows move nothing. */
freshet_code watermarks_take(watermarks *watermarks, uint32_t lane, int64_t event_us,
                             int64_t now_us, int64_t *behind_s, freshet_error *err);

/* The second from which on rows may still come; INT64_MIN before the first row. now_us: of the
 * monotonic clock, as for take. */
int64_t watermarks_lowest(const watermarks *watermarks, int64_t now_us);

freshet_code watermarks_save(const watermarks *watermarks, text_buffer *into, freshet_error *err);
/* In the place of what is there. FRESHET_FAILED for bytes that watermarks_save has not made. */
freshet_code watermarks_restore(watermarks *watermarks, const void *bytes, size_t length,
                                int64_t now_us, freshet_error *err);

#endif
