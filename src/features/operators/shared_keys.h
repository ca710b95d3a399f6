/* shared_keys.h - keys whose rows come from more than one partition of a reader.
 *
 * Rows of one partition come in their order; rows of one key that come from two do not, so what is "the row before"
 * is not certain then. This looks for such keys, says so once, and counts.
 *
 * A sample does, since who spreads a key over partitions mostly does so with all keys: of each micro-batch the
 * first SHARED_KEYS_ROWS rows, whose keys' hashes are remembered with their lane in a table of
 * SHARED_KEYS_SLOTS places, a new one in the place of the old. A slow stream is looked at whole.
 *
 * Order of calls: open, then for each batch begin, column for each key, look; close.
 */
#ifndef FRESHET_FEATURES_OPERATORS_SHARED_KEYS_H
#define FRESHET_FEATURES_OPERATORS_SHARED_KEYS_H

#include "base/batch.h"

#define SHARED_KEYS_ROWS 256u
#define SHARED_KEYS_SLOTS 65536u /* 8 bytes each; a power of two */

typedef struct shared_keys shared_keys;

/* NULL where memory is out. */
shared_keys *shared_keys_open(void);
void shared_keys_close(shared_keys *shared);

void shared_keys_begin(shared_keys *shared);
void shared_keys_column(shared_keys *shared, const column *key, uint32_t n_rows);
/* `keep`: rows with 0 are none. The reader of a lane is in its upper byte. */
void shared_keys_look(shared_keys *shared, const uint32_t *lanes, const uint8_t *keep,
                      uint32_t n_rows);

/* Rows so far whose key came from another partition before. NULL: 0. */
uint64_t shared_keys_count(const shared_keys *shared);

#endif
