/* steady_functions.h - functions of DuckDB that are known to be no aggregates, and to give the same
 * result for the same arguments.
 *
 * DuckDB can tell, too, but only by listing all of its functions, which takes longer than all else
 * that a start does. Most queries call some of these alone.
 */
#ifndef FRESHET_SOURCE_STEADY_FUNCTIONS_H
#define FRESHET_SOURCE_STEADY_FUNCTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define STEADY_NAME_MAX 40u

extern const char *const steady_functions[];
extern const uint32_t steady_functions_n;

bool steady_function(const char *name);

/* Whether a tree of DuckDB's, as JSON, calls no others. */
bool steady_functions_only(const char *json);

#endif
