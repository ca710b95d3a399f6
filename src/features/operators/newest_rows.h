/* newest_rows.h - which row of a key is its newest, where no window knows it: for plain feature sets.
 *
 * An online store keeps the row with the larger write timestamp. Windows give theirs with their rows; rows
 * without windows get it here. Of each key two numbers are kept: the event time of its newest row, and a
 * revision, which counts the rows of its newest second behind the first one:
 *
 *   event     newest   revision   write timestamp       online
 *   12:00:01      :01         0   12:00:01.000000       yes
 *   12:00:03      :03         0   12:00:03.000000       yes
 *   12:00:02      :03         0   (12:00:02.000000)     no: late
 *   12:00:03      :03         1   12:00:03.000001       yes: of equal times the later arrival
 *
 * The revision depends on the rows of that one second only, whatever came before and between them. So a replay,
 * and a batch over the same rows, give each row the timestamp it had, and all of them lose
 * against what came later. It ends at 999,999, where the next second begins.
 *
 * Order of calls: open; rank and the part's calls in any order; close. One thread at a time.
 */
#ifndef FRESHET_FEATURES_OPERATORS_NEWEST_ROWS_H
#define FRESHET_FEATURES_OPERATORS_NEWEST_ROWS_H

#include "base/batch.h"
#include "keyed/state_part.h"

#define NEWEST_KEY_BYTES_MAX 65536u /* of one key, encoded */
#define NEWEST_REVISION_MAX 999999u

typedef struct newest_rows newest_rows;

/* `output`: the feature set's columns, whose first n_keys are the keys, and the next one the timestamp. Rows before
 * first_us or after last_us are none to rank (INT64_MIN, INT64_MAX: all are). More than
 * `memory` bytes of keys are an error where nobody takes them away (the part's drop). */
freshet_code newest_rows_open(const schema *output, uint32_t n_keys, int64_t first_us,
                              int64_t last_us, size_t memory, newest_rows **out,
                              freshet_error *err);
/* NULL is fine. */
void newest_rows_close(newest_rows *newest);

/* Sets write_us and row_kinds of the rows, which come in their order of arrival. Rows that have write timestamps
 * but no kinds (groups of a batch) keep the timestamps. */
freshet_code newest_rows_rank(newest_rows *newest, batch *rows, freshet_error *err);

/* The keys as a part of the feature set's state: lives as long as `newest`. */
const state_part *newest_rows_part(newest_rows *newest);

#endif
