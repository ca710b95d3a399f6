/* windowed_all.h - the windows of all rows of a batch, computed by the crew; for windowed.c.
 *
 * The rows are dealt out by their keys, and each task computes the windows of its own
 * (windows_apply_history). The results stay with the tasks: a piece of rows is put together when it
 * is asked for, in the order of the rows. With one worker there is one result, of the rows as they
 * are. */
#ifndef FRESHET_FEATURES_OPERATORS_WINDOWED_ALL_H
#define FRESHET_FEATURES_OPERATORS_WINDOWED_ALL_H

#include "base/crew.h"
#include "windows/windows_state.h"

/* Fewer rows are computed as they are. */
#define WINDOWED_ALL_ROWS_MIN 4096u

typedef struct windowed_all {
    const schema *outputs;
    windows_result *results; /* one a task */
    uint32_t n_results;
    uint8_t *owners;  /* by row: whose it is; NULL: there is one result, */
    uint32_t *places; /* and which row of that one's; NULL: the same one */
} windowed_all;

/* All of it lives in the arena, and in its branches. `input` lives as long. */
freshet_code windowed_all_compute(const windows_plan *plan, const windows_input *input, crew *crew,
                                  arena *arena, windowed_all *out, freshet_error *err);

/* Rows [first, first + n): the outputs, and what became of each (WINDOWS_...). In the arena. */
freshet_code windowed_all_take(const windowed_all *all, uint32_t first, uint32_t n, arena *arena,
                               column **outputs, uint8_t **flags, freshet_error *err);

#endif
