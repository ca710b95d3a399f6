/* windowed_batch.h - the windows of a batch; for windowed.c.
 *
 * Rows are kept (features/batch_rows.h) with the slots that are needed from the windows on. When
 * all have come, windows are computed over all rows of a set of keys at once, by the crew
 * (windowed_all.h); the rest of the way goes in pieces of WINDOWED_PIECE_ROWS. */
#ifndef FRESHET_FEATURES_OPERATORS_WINDOWED_BATCH_H
#define FRESHET_FEATURES_OPERATORS_WINDOWED_BATCH_H

#include "features/operator.h"

typedef struct windowed_batch windowed_batch;

/* In the operator's arena. */
freshet_code windowed_batch_open(freshet_operator *self, const operator_options *options,
                                 windowed_batch **out, freshet_error *err);
/* NULL is fine. */
void windowed_batch_close(windowed_batch *windowed);

/* Keeps the rows of the run, and gives none. */
freshet_code windowed_batch_add(windowed_batch *windowed, run *run);

/* The next rows; FRESHET_END behind the last. */
freshet_code windowed_batch_next(windowed_batch *windowed, run *run);

#endif
