/* cell.h - texts to values: what the JSON and CSV decoders have in common.
 *
 * Each function reads a whole text and is strict: false, with *out untouched, where it is no value
 * of that type or does not fit. Numbers are base/number.h's. Any thread may call.
 */
#ifndef FRESHET_FORMATS_CELL_H
#define FRESHET_FORMATS_CELL_H

#include "base/batch.h"

/* What becomes of a value that is to be a cell. The others are of JSON: fields that the schema has
 * not, or that are missing; and a number that is to be read anew, as text, as it will be in all
 * records from now on or in this one only. */
typedef enum outcome {
    FITS,
    DOES_NOT_FIT,
    NO_MEMORY,
    OTHER_FIELDS,
    NEEDS_EXACT,
    NEEDS_EXACT_ONCE
} outcome;

/* A text as the cell of a column of any simple type but string; binary from base64, into the
 * arena. */
outcome cell_parse(arena *arena, column *column, uint64_t row, const char *text, size_t length);

/* true or false, in any case. */
bool cell_boolean(const char *text, size_t length, uint8_t *out);

/* A double that is a whole number as an integer; from 2^53 on it may have lost digits, and is
 * none. */
bool cell_whole(double value, int64_t minimum, int64_t maximum, int64_t *out);

/* A number with a fraction or an exponent, as text, as an integer: where it is a whole one by all
 * of its digits, and below 2^53. */
bool cell_whole_text(const char *text, size_t length, int64_t minimum, int64_t maximum,
                     int64_t *out);

/* A double as a float; false where it is finite and too large. */
bool cell_float(double value, float *out);

#define CELL_SHOWN_MAX 60

/* How many bytes of a value's text a message shows: at most CELL_SHOWN_MAX, whole characters. */
int cell_shown(const char *text, size_t length);

static inline void cell_set_valid(column *column, uint64_t row)
{
    if (column->valid != NULL)
        column->valid[row >> 6] |= UINT64_C(1) << (row & 63);
}

/* A whole number as the cell of a column of integers, or of what is kept as one: dates,
 * timestamps. */
static inline void cell_put_whole(column *column, uint64_t row, int64_t value)
{
    if (column->type->kind == TYPE_INTEGER || column->type->kind == TYPE_DATE)
        ((int32_t *)column->data)[row] = (int32_t)value;
    else
        ((int64_t *)column->data)[row] = value;
}

/* A text, which outlives the cell where it is long. */
static inline void cell_put_text(column *column, uint64_t row, const char *bytes, size_t length)
{
    ((cell_text *)column->data)[row] = text_of(bytes, (uint32_t)length);
}

/* Marks rows [first, first + n) of the column null, whose cells have never been written; false
 * where memory is out. */
bool cell_set_nulls(arena *arena, column *column, uint64_t first, uint64_t n);

#endif
