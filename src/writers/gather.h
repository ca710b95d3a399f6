/* gather.h - micro-batches put together into one larger batch, for writers that like them large.
 *
 * The rows are copied, long texts too, so the micro-batches may go. Columns of arrays and structs
 * are not for it, nor rows so wide that GATHER_ROWS of them would take more than
 * GATHER_BYTES_MAX: gather_suits() tells.
 *
 * Order of calls: open, {add, rows, clear} in any order, close.
 */
#ifndef FRESHET_WRITERS_GATHER_H
#define FRESHET_WRITERS_GATHER_H

#include <freshet/freshet.h>

#include "base/batch.h"

/* Enough to be appended to the debug table in one piece: DuckDB copies what is less than a group of
 * its rows twice, once into the transaction and once into the table, and moves what is more. */
#define GATHER_ROWS 122880u
#define GATHER_BYTES_MAX ((size_t)32 << 20)

typedef struct gather gather;

/* The schema is referred to, and must outlive it. */
bool gather_suits(const schema *schema);
freshet_code gather_open(const schema *schema, gather **out, freshet_error *err);
/* NULL is fine. */
void gather_close(gather *gather);

/* Adds the rows of `more` behind those that are there: all of them, or none where it fails. */
freshet_code gather_add(gather *gather, const batch *more, freshet_error *err);

/* What is there, valid until the next call of add or clear. */
const batch *gather_rows(const gather *gather);
/* True from GATHER_ROWS rows or GATHER_BYTES_MAX bytes of long texts on. */
bool gather_is_full(const gather *gather);
void gather_clear(gather *gather);

#endif
