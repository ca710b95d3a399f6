/* cast.h - a column as another type.
 *
 * The rules are those of Spark's cast without ANSI mode, with one difference: where Spark wraps,
 * saturates or gives null, a cast here fails, and the caller decides what becomes of the row.
 * Blanks around text are skipped throughout; texts are described in cast_text.h.
 *
 *   to        from and how
 *   boolean   numbers: not zero; timestamp: not 1970-01-01 00:00:00; string: true, t, yes, y, 1 ...
 *   integer,  boolean 0 and 1; doubles and decimals cut off towards zero; timestamp whole seconds
 *   bigint    (floor); string
 *   float,    boolean, numbers, string; timestamp seconds with a fraction. A double too large for
 *   double    a float fails
 *   decimal   as double; rounded half up; a double is taken as its shortest text
 *   string    everything: 1.0E7, 2024-05-01 12:00:01.5, [3, 1, null], {v, 1}
 *   binary    string its bytes; integer and bigint as 4 and 8 bytes, most significant first
 *   date      timestamp (the day of it in UTC), string
 *   timestamp date (midnight UTC); numbers: seconds since 1970; boolean: 0 and 1 microsecond;
 *             string
 *   array     array, element by element
 *
 * All else never works; cast_possible says so before there are rows. A date from a number, a number
 * from a date, and the like are nulls in Spark.
 *
 * Any thread may call.
 */
#ifndef FRESHET_FEATURES_CAST_H
#define FRESHET_FEATURES_CAST_H

#include "base/batch.h"

#define CAST_SHOWN_MAX 120u /* bytes of a value in a message */

bool cast_possible(const type *from, const type *to);

/* Gives `n_rows` rows of `from` as type `to`, in `arena`. The same type gives the same column:
 * nothing is copied. A value that cannot be cast is null in `into`, and its row's bit is set in
 * *failed; *failed is NULL where all could. An array fails as a whole by the bit, but only the
 * element that could not be cast is null. The types must be cast_possible. */
freshet_code cast_column(arena *arena, const column *from, uint64_t n_rows, const type *to,
                         column *into, uint64_t **failed, freshet_error *err);

static inline bool cast_failed(const uint64_t *failed, uint64_t row)
{
    return failed != NULL && (failed[row >> 6] >> (row & 63) & 1) != 0;
}

/* Why a cell could not be cast: `cannot cast "abc" to bigint`; NULL where memory is out. */
const char *cast_reason(arena *arena, const column *from, uint64_t row, const type *to);

/* The cell as it is shown in messages: as JSON, cut after about CAST_SHOWN_MAX bytes. */
const char *cast_shown(arena *arena, const column *column, uint64_t row);

#endif
