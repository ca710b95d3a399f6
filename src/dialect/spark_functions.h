/* spark_functions.h - the functions of Spark's SQL: rows of one table, each a form of a function.
 *
 * A function that has no row is refused by check: what DuckDB has under the same name may be
 * another. Several rows may have one name; the first whose arguments fit is taken.
 *
 *     name        in small letters
 *     arguments   a letter an argument, in order; what Spark casts them to:
 *
 *                   s string   i int   b bigint   d double   B boolean   x binary
 *                   D date   T timestamp   n any number (a string is cast to double)
 *                   f float or double   m decimal   I int, smallint or tinyint
 *                   a array   M map   R struct   t interval
 *                   * anything   c the common type of all arguments that are c
 *                   ^ a lambda over the elements of argument 1
 *                   k a constant text, S anything that is written as text would be: as s
 *
 *                 `=` before a letter: only where the argument is of that type already (s: string,
 *                 i: int and smaller, m: decimal ...); `?` after it: it and those behind it may be
 *                 missing; `+` after the last: one or more of it.
 *     gives       the type: a name as in SQL ("int", "array<string>"), "1" that of argument 1, "2"
 *                 of argument 2, "1[]" an array of it, "1." its element, "c" the common type, or
 *                 "?": DuckDB is asked. The value is cast to it where DuckDB's is another.
 *     template    DuckDB's SQL: $1, $2 ... are the arguments, each within brackets, cast and
 *                 complete; $* all of them with commas between. Names in it are DuckDB's own, and
 *                 those of spark_calls.c. NULL: the function of that name, $* in brackets.
 *
 * AGGREGATES say so by `aggregate`. In their templates $w stands behind each aggregate of DuckDB,
 * and becomes its FILTER and OVER; $w(cond) is the same with one more condition; $d becomes
 * DISTINCT where the call has it. NULL: name($d$*)$w.
 *
 * An argument that the template has twice is computed once by DuckDB where it has no lambda, but
 * the text grows with each nesting: prefer a function in C to a template that has one thrice.
 */
#ifndef FRESHET_DIALECT_SPARK_FUNCTIONS_H
#define FRESHET_DIALECT_SPARK_FUNCTIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct spark_function {
    const char *name;
    const char *arguments;
    const char *gives;
    const char *template;
    bool is_aggregate;
} spark_function;

/* One table a subject, each closed by a row of NULL. */
extern const spark_function spark_functions_texts[];
extern const spark_function spark_functions_times[];
extern const spark_function spark_functions_numbers[];
extern const spark_function spark_functions_lists[];
extern const spark_function spark_functions_json[];
extern const spark_function spark_functions_aggregates[];

/* The i-th row of that name, in any case, over all tables; NULL behind the last. */
const spark_function *spark_function_find(const char *name, uint32_t i);

#endif
