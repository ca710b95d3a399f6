/* cell.h - texts to values: what the JSON and CSV decoders have in common.
 *
 * Each function reads a whole text and is strict: false, with *out untouched, where it is no value
 * of that type or does not fit. Numbers are base/number.h's. Any thread may call.
 */
#ifndef FRESHET_FORMATS_CELL_H
#define FRESHET_FORMATS_CELL_H

#include "base/batch.h"

/* A text as the cell of a column of any simple type but string and binary. */
bool cell_parse(column *column, uint64_t row, const char *text, size_t length);

/* true or false, in any case. */
bool cell_boolean(const char *text, size_t length, uint8_t *out);

/* Base64 (RFC 4648, section 4), with padding or without. `into` has room for length / 4 * 3 + 3
 * bytes. */
bool cell_base64(const char *text, size_t length, unsigned char *into, size_t *n);

/* A double that is a whole number within 2^53 as an integer. */
bool cell_whole(double value, int64_t minimum, int64_t maximum, int64_t *out);

/* A double as a float; false where it is finite and too large. */
bool cell_float(double value, float *out);

/* Copies cells [first, first + n) of `from` to rows [at, at + n) of `into`, a column of the same
 * type with room for them. Long texts and elements are copied, too, into the arena. False where
 * memory is out. */
bool cell_copy(arena *arena, column *into, uint64_t at, const column *from, uint64_t first,
               uint64_t n);

#define CELL_SHOWN_MAX 60

/* How many bytes of a value's text a message shows: at most CELL_SHOWN_MAX, whole characters. */
int cell_shown(const char *text, size_t length);

static inline void cell_set_valid(column *column, uint64_t row)
{
    if (column->valid != NULL)
        column->valid[row >> 6] |= UINT64_C(1) << (row & 63);
}

/* Marks rows [first, first + n) of the column null, whose cells have never been written; false
 * where memory is out. */
bool cell_set_nulls(arena *arena, column *column, uint64_t first, uint64_t n);

#endif
