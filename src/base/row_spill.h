/* row_spill.h - rows spread over parts, in a file as soon as they are many: those of a part come
 * back together, in the order in which they were added.
 *
 * For what must see all rows of some keys together, and cannot have all rows in memory: a batch's
 * windows, the comparison of its rows. Whoever adds says of each row which part it is of; all rows
 * of a key must be of one.
 *
 * The file has no name (it is there while it is open, so that nothing is left behind, however the
 * process ends), and is made when the first rows go to it.
 *
 * Order of calls: open, add..., then take or each of each part, as often as wanted until forget,
 * close. One thread at a time.
 */
#ifndef FRESHET_BASE_ROW_SPILL_H
#define FRESHET_BASE_ROW_SPILL_H

#include "base/crew.h"
#include "base/row_store.h"

#define ROW_SPILL_PARTS 256u

typedef struct row_spill row_spill;

/* The schema, the folder's name and the crew, which adds many rows together (NULL: the caller
 * alone), are referred to, and must outlive it. About `memory` bytes of rows wait for the file. */
freshet_code row_spill_open(const schema *schema, size_t memory, const char *folder, crew *crew,
                            row_spill **out, freshet_error *err);
/* NULL is fine. */
void row_spill_close(row_spill *spill);

/* Adds all rows of `from`, row i to part parts[i]. FRESHET_TRY_AGAIN where the disk is full; after
 * a failure it is only to be closed. */
freshet_code row_spill_add(row_spill *spill, const batch *from, const uint8_t *parts,
                           freshet_error *err);

/* How many rows there are in all, and of a part; how many bytes are in the file. */
uint64_t row_spill_rows(const row_spill *spill);
uint64_t row_spill_part_rows(const row_spill *spill, uint32_t part);
int64_t row_spill_bytes(const row_spill *spill);

/* About how much memory the rows of a part will take in a row_store. */
size_t row_spill_part_bytes(const row_spill *spill, uint32_t part);

/* Memory that waiting rows hold from the system. */
size_t row_spill_held(const row_spill *spill);

/* Calls `take` with the rows of a part, some at a time. They are gone after each call. */
typedef freshet_code row_spill_fn(void *context, const batch *rows, freshet_error *err);
freshet_code row_spill_each(row_spill *spill, uint32_t which, row_spill_fn *take, void *context,
                            freshet_error *err);

/* Gives back the memory of a part, whose rows are needed no more. */
void row_spill_forget(row_spill *spill, uint32_t which);

/* Puts the rows of a part behind those of the store, which is of the same schema. */
freshet_code row_spill_take(row_spill *spill, uint32_t which, row_store *into, freshet_error *err);

#endif
