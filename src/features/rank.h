/* rank.h - rows in the order of a column of theirs: windows that are ordered by another column than
 * the timestamp.
 *
 * Nulls come first, equal values have equal ranks; NaN is greater than all, and -0.0 is 0.0.
 */
#ifndef FRESHET_FEATURES_RANK_H
#define FRESHET_FEATURES_RANK_H

#include "base/batch.h"

/* For each row the number of smaller values, as a time of so many seconds. The column has single
 * values. */
freshet_code rank_rows(arena *arena, const column *column, uint32_t n_rows, const int64_t **out,
                       freshet_error *err);

/* The same for rows that come one after another: each value as a number in the order of the values.
 * False for types that numbers of 64 bits cannot stand for: texts, long decimals. */
bool rank_possible(const type *type);
freshet_code rank_values(arena *arena, const column *column, uint32_t n_rows, const int64_t **out,
                         freshet_error *err);

#endif
