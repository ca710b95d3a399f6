/* pivot.h - between the files of the step `pivot`: pivot.c has its options and SQL, pivot_groups.c
 * what it keeps on a stream. No other file includes it.
 *
 *   before   group columns, the number of the row's value among `values`, what is aggregated
 *   groups   group columns, a column v0, v1 ... for each value
 *   after    the same under their names, without the mock value
 *
 * `before` and `after` are SQL in batches and on streams; `groups` is SQL in a batch, and C on a
 * stream.
 */
#ifndef FRESHET_PREPROCESS_PIVOT_H
#define FRESHET_PREPROCESS_PIVOT_H

#include "aggregate/aggregate.h"
#include "preprocess/kept.h"
#include "preprocess/preprocess_step.h"

typedef struct pivot_aggregate {
    declared_text column;
    declared_text function;
} pivot_aggregate;

typedef struct pivot_options {
    declared_list group_by;
    declared_text column;
    declared_list values;
    pivot_aggregate aggregate;
    declared_text mock_value;
    declared_type mock_type;
    bool forward_fill;
    int64_t keep_groups;
} pivot_options;

/* How a cell of a group is kept: as a value, or as the partial of an aggregate function. */
typedef enum pivot_function {
    PIVOT_FIRST,
    PIVOT_LAST,
    PIVOT_MIN,
    PIVOT_MAX,
    PIVOT_PARTIAL /* count, sum, avg */
} pivot_function;

typedef struct pivot {
    preprocess_step step;
    int64_t *groups; /* columns before the step */
    int64_t column, aggregated;
    const type *input; /* of what is aggregated: the mock's type, or the column's */
    pivot_function function;
    aggregate aggregate; /* with its output type; of PIVOT_PARTIAL what computes it, too */
    schema in, out;      /* of `before` and of `groups` */
    uint32_t n_groups, n_values;
    uint32_t n_partition; /* of the group columns: those by which groups are kept together */
    bool has_order;       /* the last group column is their order */
    struct pivot_work *work;
    kept kept;
} pivot;

/* The C of a stream, as in preprocess_step_ops. */
freshet_code pivot_open(preprocess_step *step, freshet_error *err);
freshet_code pivot_run(preprocess_step *step, const step_run *run, freshet_error *err);
const state_part *pivot_part(preprocess_step *step);
void pivot_close(preprocess_step *step);

#endif
