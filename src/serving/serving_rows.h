/* serving_rows.h - the newest row of each key in memory: the loop puts, any thread looks up.
 *
 * What it shows of a key is the row of the greatest write timestamp that it was given, which is
 * what an online store would have. A row is shown as a whole, as soon as serving_rows_put has
 * passed it.
 *
 * The keys lie in SERVING_PIECES tables with a lock each, which both sides hold for the copy of one
 * row: a look-up never waits for a micro-batch, and the loop never for a client.
 *
 * They are a part of the state (keyed/state_part.h), so that a stream that starts again shows what
 * it showed; with `may_leave` there is a store behind that has all of them, and they are not. Then
 * those that were written the longest ago, about, leave beyond `memory`: of checkpoints before,
 * whose rows the store has confirmed. (Where all are of one checkpoint they leave beyond twice as
 * much.) Without it what goes beyond is an error.
 *
 * Order of calls: open, {put, part...}*, close, from the loop's thread; get and the figures from
 * any, before close.
 */
#ifndef FRESHET_SERVING_SERVING_ROWS_H
#define FRESHET_SERVING_SERVING_ROWS_H

#include "base/batch.h"
#include "base/text.h"
#include "keyed/state_part.h"

#define SERVING_PIECES 16u
#define SERVING_PART "serving"
#define SERVING_KEY_BYTES_MAX 65536u

typedef struct serving_rows serving_rows;

typedef struct serving_rows_options {
    /* Keys, timestamp, features; outlives the rows. */
    const schema *schema;
    uint32_t n_keys;
    size_t memory;
    bool may_leave;
} serving_rows_options;

freshet_code serving_rows_open(const serving_rows_options *options, arena *arena,
                               serving_rows **out, freshet_error *err);
/* NULL is fine. */
void serving_rows_close(serving_rows *rows);

/* NULL with may_leave. */
const state_part *serving_rows_part(const serving_rows *rows);

/* Rows that are each key's newest at their moment, of that schema, with write timestamps (without:
 * the event time). `checkpoint`: the number of the one that will have them. FRESHET_LIMIT beyond
 * the memory: some of the rows are in it then, and the same may come again. */
freshet_code serving_rows_put(serving_rows *rows, const batch *batch, uint64_t checkpoint,
                              freshet_error *err);

/* Appends what is kept of the key (keyed/cells.h, canonical) behind its keys, timestamp first, as
 * cells; false where there is nothing, or into->failed. */
bool serving_rows_get(serving_rows *rows, const char *key, size_t length, text_buffer *into);

uint64_t serving_rows_count(serving_rows *rows);
size_t serving_rows_bytes(serving_rows *rows);

#endif
