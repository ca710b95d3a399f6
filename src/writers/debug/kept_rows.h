/* kept_rows.h - the rows of the debug table, newest last: added at one end, gone at the other.
 *
 * They lie in chunks of equal size in the layout of batches, from which queries read them in place
 * (debug.c). At most `rows` are kept, and of `memory` bytes no more than all of them take: the
 * oldest go first.
 *
 * Order of calls: open, {add, the rest}*, close. One thread at a time.
 */
#ifndef FRESHET_WRITERS_DEBUG_KEPT_ROWS_H
#define FRESHET_WRITERS_DEBUG_KEPT_ROWS_H

#include <freshet/freshet.h>

#include "base/batch.h"
#include "sql/sql.h"

typedef struct kept_rows kept_rows;

/* The schema is referred to, and must outlive the rows. */
freshet_code kept_rows_open(const schema *schema, int64_t rows, int64_t memory, kept_rows **out,
                            freshet_error *err);
/* NULL is fine. */
void kept_rows_close(kept_rows *rows);

/* Copies the rows of a batch behind those that are there; *short_of_memory: others had to go before
 * their time. All of them, or none where it fails: FRESHET_LIMIT where the batch alone takes more
 * than the memory. */
freshet_code kept_rows_add(kept_rows *rows, const batch *batch, bool *short_of_memory,
                           freshet_error *err);

int64_t kept_rows_count(const kept_rows *rows);
int64_t kept_rows_trimmed(const kept_rows *rows);
/* What they take. */
int64_t kept_rows_bytes(const kept_rows *rows);

/* The rows in pieces, for sql_rows_add: false behind the last. `context` is a kept_rows. */
bool kept_rows_piece(void *context, uint32_t which, sql_piece *out);

#endif
