/* rows.h - putting the rows of a batch into the order of the rows that they come from. */
#ifndef FRESHET_SOURCE_ROWS_H
#define FRESHET_SOURCE_ROWS_H

#include "base/batch.h"

/* Orders `rows` by rows[] (ascending, several rows of one value in the order they are in).
 * Values are ROW_OF(reader, row) with reader < n_readers and row < n_rows[reader]. Does nothing
 * where the order is right already; else columns and rows are replaced by ordered copies in the
 * batch's arena. */
freshet_code rows_order(batch *rows, const uint32_t *n_rows, uint32_t n_readers,
                        freshet_error *err);

#endif
