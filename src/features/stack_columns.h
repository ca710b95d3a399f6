/* stack_columns.h - which columns a `stack` takes: names, patterns, or regular expressions.
 *
 * A PATTERN has its text up to the first `*` for the name's beginning and what stands behind the
 * last one for its end; where they may overlap, they do: "id_a" takes every name that begins and
 * ends so, id_a first of all, as Butterfree does. `!` in front turns it about. Capital letters
 * count.
 */
#ifndef FRESHET_FEATURES_STACK_COLUMNS_H
#define FRESHET_FEATURES_STACK_COLUMNS_H

#include "sql/sql.h"

/* Is the name one that the pattern takes? */
bool stack_pattern_takes(const char *pattern, const char *name);

/* takes[i] of the n names becomes true where the regular expression matches from the name's
 * beginning on. FRESHET_USAGE where it is none, with why in `problem`. */
freshet_code stack_regex_takes(sql_session *session, arena *arena, const char *regex,
                               const char *const *names, uint32_t n, bool *takes,
                               sql_problem *problem, freshet_error *err);

#endif
