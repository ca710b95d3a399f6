/* cells.h - cells as bytes: the keys of the state's table, and what is carried and saved with a
 * key.
 *
 *   null            00
 *   fixed size      01, then the cell as it is in memory (little-endian)
 *   text, binary    01, u32 length, bytes
 *   array           01, u32 number of elements, then each element in this form
 *   struct          01, then each field in this form
 *
 * Equal values must be equal bytes where they are keys: then `canonical` gives every NaN one form,
 * and
 * -0.0 the form of 0.0.
 */
#ifndef FRESHET_KEYED_CELLS_H
#define FRESHET_KEYED_CELLS_H

#include "base/batch.h"
#include "base/text.h"

/* Appends the cell; a failure shows in into->failed. */
void cells_put(text_buffer *into, const column *column, uint64_t row, bool canonical);

/* Reads a cell from [*at, end) into a row that the column has room for, and moves *at. Texts are
 * copied into the arena. FRESHET_FAILED where the bytes are no such cell. */
freshet_code cells_get(arena *arena, const unsigned char **at, const unsigned char *end,
                       column *column, uint64_t row, freshet_error *err);

/* Reads a cell as cells_get does and appends `"name": value` in JSON. */
freshet_code cells_show(arena *arena, const char *name, const type *type, const unsigned char **at,
                        const unsigned char *end, text_buffer *into, freshet_error *err);

#endif
