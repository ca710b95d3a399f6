/* widen.h - the columns of several files as those of one table.
 *
 * Files of types of their own (Parquet) may differ: an older one lacks a column, one that pandas
 * wrote from nothing but nulls says no type, another has doubles where the first had integers. The
 * table has all columns, in the order in which they were met, each of the narrowest type that holds
 * what both files have:
 *
 *     integers, float and double, decimals, dates and timestamps    the wider one
 *     integers with decimals        a decimal
 *     numbers with float, double    double
 *     array<...>, struct<...>       of their elements, their fields
 *     anything else                 string
 *
 * Values that lose digits by it (9007199254740993 as a double) are found when they are read
 * (convert.h).
 */
#ifndef FRESHET_FORMATS_WIDEN_H
#define FRESHET_FORMATS_WIDEN_H

#include <freshet/freshet.h>

#include "base/type.h"

/* A type that is not known yet, since the file holds no value: any other one decides. It is a
 * string where none does. Known by its address. */
extern const type type_unknown;

/* Not known, or an array or struct with something that is not. */
bool type_is_unknown(const type *type);

/* The type that holds both; NULL where memory is out. */
const type *type_widen(arena *arena, const type *a, const type *b);

/* Adds the columns of another file to `all`, whose `said_by` (one a column) tells which file
 * decided its type, in the arena. */
freshet_code schema_widen(arena *arena, schema *all, const char ***said_by, const schema *more,
                          const char *file, freshet_error *err);

#endif
