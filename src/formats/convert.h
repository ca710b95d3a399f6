/* convert.h - cells of one type as cells of another, where no digit is lost.
 *
 * What a file with types of its own (Parquet, a DuckDB table) has, as the column that the schema
 * wants. A value fits where the new cell says what the old one said:
 *
 *   integers, decimals   exact: 3.00 fits a bigint, 2.75 does not; 1.2345 no decimal(10,2)
 *   float, double        from integers and decimals, where the digits are the same ones read back;
 *                        a float from a double likewise (0.1 fits, 0.123456789 does not)
 *   string               any simple value as text; binary, where it is UTF-8
 *   from a string        what a field of CSV may be for that type (cell.h); binary: its bytes
 *   date, timestamp      a date is its midnight, a timestamp at midnight is a date
 *   boolean              from a boolean or the strings true and false, to these only
 *   array, struct        element by element, field by field by its name: null where there is none
 *
 * Everything else does not fit.
 */
#ifndef FRESHET_FORMATS_CONVERT_H
#define FRESHET_FORMATS_CONVERT_H

#include "formats/cell.h"

typedef struct conversion {
    arena *arena;      /* of the new cells; long texts stay where they are */
    bool null_instead; /* a value that does not fit is a null */
    /* after DOES_NOT_FIT: what did not fit, and as what it was wanted */
    const column *bad;
    uint64_t bad_row;
    const type *wanted;
} conversion;

/* Row `row` of `from` as row `at` of `into`, which has room for it: FITS, DOES_NOT_FIT or
 * NO_MEMORY. */
outcome convert_cell(conversion *it, const column *from, uint64_t row, column *into, uint64_t at);

#endif
