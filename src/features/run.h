/* run.h - rows on their way through a plan: one column for each slot, filled from left to right.
 *
 * A row that is refused only loses its mark in `keep` at first; the columns go on with all rows.
 * Before a stage of SQL (which must not fail for rows that are out already), before windows and at
 * the end, the columns are brought down to the rows kept (run_compact), and `index` says which row
 * of the input each is.
 *
 * Order of calls: the operators' (operator.h). Those without a state are here: `columns`, which
 * begins the run, `before_windows` and `after_windows`, the plan's steps, of which the latter makes
 * the output.
 */
#ifndef FRESHET_FEATURES_RUN_H
#define FRESHET_FEATURES_RUN_H

#include "features/feature_plan.h"
#include "features/feature_set.h"

#define COMPUTING "computing features"

typedef struct run {
    plan *plan;
    arena *arena;
    const batch *in;
    column *columns; /* by slot */
    bool *filled;    /* by slot */
    uint32_t n_rows;
    uint32_t n_refused; /* of these rows */
    uint8_t *keep;
    uint32_t *index;   /* the input's row; NULL: the same */
    uint32_t *copies;  /* which of the rows that stacks made of it, from 1; NULL: none has yet */
    uint32_t n_copies; /* how many they made */
    int64_t *write_us; /* as in the output; both NULL before windows */
    uint8_t *row_kinds;
    int64_t hold_s;   /* rows of that second and later may come: before this run, */
    int64_t lowest_s; /* and after it */
    bool is_output;   /* the rows are in `out`, no more in columns */
    batch out;
    feature_refuse_fn *refuse;
    void *context;
    freshet_error *err;
} run;

/* Room for the columns of n rows, which are all kept. */
freshet_code run_open(run *run, uint32_t n_rows);

/* The lane of a row. */
static inline uint32_t run_lane(const run *run, uint32_t row)
{
    const uint32_t *lanes = run->in->lanes;
    return lanes == NULL ? 0 : lanes[run->index == NULL ? row : run->index[row]];
}

/* Refuses a row with what the arena has made of its reason (NULL where memory was out). */
freshet_code run_refuse(run *run, uint32_t row, reason_code code, const char *reason);
/* Leaves a row out without a word. */
void run_drop(run *run, uint32_t row);
/* Casts what was made for a slot to its declared type, into the slot; refuses the rows whose cast
 * fails, with this code, unless null does for them (never where it `must` be). `who` made it,
 * NULL: the feature of the slot's name. */
freshet_code run_cast(run *run, const char *who, const column *made, uint32_t slot, bool must,
                      reason_code refusal);
/* Brings columns and index down to the rows that are kept. */
freshet_code run_compact(run *run);
void run_fill(run *run, uint32_t slot, const column *column);
/* The columns of n slots. */
freshet_code run_take(run *run, const uint32_t *slots, uint32_t n, column **out);
/* run_stack.c: of each row one for each of a stack's columns. */
freshet_code run_stack(run *run, const stack_step *stack);
/* Rows that are null in a key are refused. `who`: the key. */
freshet_code run_refuse_nulls(run *run, const column *column, reason_code refusal,
                              const char *reason);
/* All rows are kept for later: the output is empty. */
freshet_code run_give_none(run *run);

#endif
