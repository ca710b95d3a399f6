/* key_hashes.h - whose key a row has: the hash of its key columns' cells as bytes (keyed/cells.h),
 * which are the key that a keyed_table has.
 *
 * By tasks: each with a buffer of its own, for rows of its own. */
#ifndef FRESHET_FEATURES_KEY_HASHES_H
#define FRESHET_FEATURES_KEY_HASHES_H

#include "base/batch.h"
#include "base/text.h"

#define KEY_HASHES_MAX 256u /* at once */

/* The columns by which a row's key is told: cells of rows[i], or of i where it is NULL. */
typedef struct key_columns {
    const column *const *columns; /* n of them */
    uint32_t n;
    const uint32_t *rows;
} key_columns;

/* Of rows [first, first + n), n up to KEY_HASHES_MAX. A failure shows in buffer->failed, and stays
 * there through further calls, until text_reset. */
void key_hashes(const key_columns *keys, uint32_t first, uint32_t n, text_buffer *buffer,
                uint64_t *hashes);

/* Which of n_owners has the key of each of the rows [first, end) (keyed_owner), into owners[first]
 * and those behind. A failure shows in buffer->failed, which is false before. */
void key_owners(const key_columns *keys, uint32_t first, uint32_t end, uint32_t n_owners,
                text_buffer *buffer, uint8_t *owners);

#endif
