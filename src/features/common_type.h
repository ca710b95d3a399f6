/* common_type.h - the type that values of two types have in common, as Spark finds it for the
 * elements of an array (ANSI off):
 *
 *   boolean, binary   only with their own
 *   numbers           the wider of integer, bigint, float, double, in this order; with decimals a
 *                     decimal that holds both (an integer is decimal(10,0), a bigint
 *                     decimal(20,0)), but with float and double a double
 *   date, timestamp   timestamp
 *   string            string, with numbers and times
 *
 * For several types begin with the strings: date, bigint and string have string in common, date and
 * bigint have none.
 */
#ifndef FRESHET_FEATURES_COMMON_TYPE_H
#define FRESHET_FEATURES_COMMON_TYPE_H

#include "base/arena.h"
#include "base/type.h"

/* NULL where they have none, or (*no_memory set) memory is out. */
const type *common_type(arena *arena, const type *a, const type *b, bool *no_memory);

/* The same of n types, at least one. */
const type *common_type_of(arena *arena, const type *const *types, uint32_t n, bool *no_memory);

#endif
