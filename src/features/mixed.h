/* mixed.h - a column of cells that lie in several columns: cell i is that of row rows[i] of
 * sources[from[i]].
 *
 * In slices, by tasks: mixed_open by the caller, mixed_fill for whole words of the bitmap, any
 * number of them at once. */
#ifndef FRESHET_FEATURES_MIXED_H
#define FRESHET_FEATURES_MIXED_H

#include "base/batch.h"

#define MIXED_WORD_ROWS 64u /* a slice begins with a multiple of so many */

typedef struct mixed {
    const column *const *sources; /* NULL: none of the cells is of it; all of one type */
    uint32_t n_sources;
    const uint8_t *from;
    const uint32_t *rows;
    uint32_t n;
} mixed;

/* Makes the column, with room for the cells. Arrays and structs, whose elements have no fixed
 * place, have them already. `type` is that of the sources. */
freshet_code mixed_open(const mixed *mixed, arena *arena, const type *type, column *into,
                        freshet_error *err);
/* Cells [first, end). */
void mixed_fill(const mixed *mixed, uint32_t first, uint32_t end, column *into);

#endif
