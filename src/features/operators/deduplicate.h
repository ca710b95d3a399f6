/* deduplicate.h - `deduplicate_rows` of a batch: a row whose features are those of its key's row before
 * it, by timestamp, is left out.
 *
 *   key a  time 1  x 5
 *   key a  time 2  x 5     left out
 *   key a  time 3  x 7
 *   key a  time 4  x 5     stays: the row before it is another
 *
 * As in Butterfree, null is equal to null, NaN to NaN and -0.0 to 0.0; of rows of one key with the same time the
 * one that came first is before the other. All rows must be seen at once, so they are kept until the end;
 * those that stay come out in the order in which they came.
 *
 * Order of calls: open, add for each batch, next until FRESHET_END, close.
 */
#ifndef FRESHET_FEATURES_OPERATORS_DEDUPLICATE_H
#define FRESHET_FEATURES_OPERATORS_DEDUPLICATE_H

#include <freshet/freshet.h>

#include "base/batch.h"

#define DEDUPLICATE_PIECE_ROWS 16384u

typedef struct deduplicate deduplicate;

/* The first n_keys columns of the schema are keys, the next is the timestamp, none of them ever null; the
 * others are features. The schema must live as long. `memory`: bytes that the rows may take. */
freshet_code deduplicate_open(const schema *schema, uint32_t n_keys, size_t memory,
                              deduplicate **out, freshet_error *err);
/* NULL is fine. */
void deduplicate_close(deduplicate *deduplicate);

/* Takes copies of the rows. FRESHET_LIMIT where they need more memory than allowed. */
freshet_code deduplicate_add(deduplicate *deduplicate, const batch *rows, freshet_error *err);

/* The next rows that stay, at most DEDUPLICATE_PIECE_ROWS, in `arena`; long texts live until close. Nothing
 * can be added any more. */
freshet_code deduplicate_next(deduplicate *deduplicate, arena *arena, batch *out,
                              freshet_error *err);

/* How many rows were left out; 0 before the first next. */
uint64_t deduplicate_dropped(const deduplicate *deduplicate);

#endif
