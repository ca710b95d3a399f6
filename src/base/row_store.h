/* row_store.h - rows kept beyond their micro-batch, all of it copied: cells, long texts, arrays.
 *
 * For what must see many rows together: files of a partition, the deduplication of a batch. Rows
 * get the numbers 0, 1, 2 ... in the order in which they are added; row_store_take gives any of
 * them, in any order, as one batch.
 *
 * They lie in chunks of ROW_STORE_CHUNK rows, so that nothing is ever moved while the store
 * grows, and the place of a row follows from its number.
 *
 * Order of calls: open, {add..., at and take, clear} in any order, close. One thread at a time.
 */
#ifndef FRESHET_BASE_ROW_STORE_H
#define FRESHET_BASE_ROW_STORE_H

#include <freshet/freshet.h>

#include "base/batch.h"

#define ROW_STORE_CHUNK_BITS 14u
#define ROW_STORE_CHUNK (1u << ROW_STORE_CHUNK_BITS)
#define ROW_STORE_ROWS_MAX (UINT32_MAX - ROW_STORE_CHUNK)

typedef struct row_store row_store;

/* The schema is referred to, and must outlive the store. */
freshet_code row_store_open(const schema *schema, row_store **out, freshet_error *err);
/* About so many rows will come before each clear: room for them is made at once. */
void row_store_expect(row_store *store, uint32_t n_rows);
/* NULL is fine. */
void row_store_close(row_store *store);

/* Adds `n` rows of `from`: those whose numbers are in `rows`, or the first n where it is NULL. All
 * of them, or none where it fails. Their write_us and row_kinds are kept where the first rows added
 * to an empty store have them, their origins are not. FRESHET_LIMIT beyond ROW_STORE_ROWS_MAX. */
freshet_code row_store_add(row_store *store, const batch *from, const uint32_t *rows, uint32_t n,
                           freshet_error *err);

uint32_t row_store_rows(const row_store *store);

/* About how much memory the rows take. */
size_t row_store_bytes(const row_store *store);

/* Memory that is held from the system: what rows before have left, too. */
size_t row_store_held(const row_store *store);

/* The chunk that has row `row`, and its place in it. Valid until the next add or clear. */
const batch *row_store_at(const row_store *store, uint32_t row, uint32_t *index);

/* The rows with the `n` numbers in `rows`, in that order (NULL: rows `first` to first + n - 1).
 * Cells live in `arena`, long texts in the store: until clear or close. */
freshet_code row_store_take(const row_store *store, arena *arena, const uint32_t *rows,
                            uint32_t first, uint32_t n, batch *out, freshet_error *err);

/* Forgets all rows. */
void row_store_clear(row_store *store);

/* The same, and keeps their memory for as many again. */
void row_store_rewind(row_store *store);

#endif
