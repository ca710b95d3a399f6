/* newest_rows.h - what a plain set remembers of each key's newest row (newest_rows.c), for a set
 * that has got windows since, and knows newest rows by these: so that of what an online store has
 * nothing is overwritten by an older row.
 */
#ifndef FRESHET_FEATURES_OPERATORS_NEWEST_ROWS_H
#define FRESHET_FEATURES_OPERATORS_NEWEST_ROWS_H

#include "features/operator.h"

#define NEWEST_ROWS_PART "newest"
#define NEWEST_ROWS_SUCCEEDS "windows" /* the part of the windows that know newest rows */

/* Name, fingerprint and shape of the part, and its keys. */
freshet_code newest_rows_describe(state_part *part, const plan *plan, arena *arena,
                                  freshet_error *err);

/* What was saved of a key: the event time of its newest row, and its revision
 * (windows/windows_state.h). FRESHET_FAILED for damaged bytes. */
freshet_code newest_rows_read(const void *bytes, size_t length, int64_t *newest_us,
                              uint32_t *revision, freshet_error *err);

#endif
