/* merge_remember.c - rows that pass a turn of the merge, where steps before the query remember rows
 * (source_remembers); see merge.c.
 *
 * The turn has run the query as a trial, which gave the times. Now those of the readers' rows that
 * pass are run once more, in the order of these times, and only this is remembered.
 */
#include <stdlib.h>

#include "base/error.h"
#include "pipeline/merge_internal.h"

typedef struct passing_row {
    mark mark;
    uint32_t row;
} passing_row;

static int compare_passing(const void *a, const void *b)
{
    const passing_row *x = a, *y = b;
    if (mark_is_before(&x->mark, &y->mark))
        return -1;
    if (mark_is_before(&y->mark, &x->mark))
        return 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* The rows of a reader up to the bound, in their order. */
static freshet_code order_passing(const freshet_pipeline *pipeline, uint32_t reader,
                                  const int64_t *keys, source_order *out, freshet_error *err)
{
    const merge *merge = pipeline->merge;
    const merge_reader *of = &merge->readers[reader];
    const batch *read = pipeline->readers[reader].batch;
    arena *arena = pipeline->step_arena;
    passing_row *passing = arena_alloc(arena, (read->n_rows + (size_t)1) * sizeof *passing);
    uint32_t *rows = arena_alloc(arena, (read->n_rows + (size_t)1) * sizeof *rows);
    uint32_t n = 0;
    if (passing == NULL || rows == NULL)
        return error_memory(err, MERGING);
    for (uint32_t row = 0; row < read->n_rows; row++) {
        const mark here = {keys[row], reader,
                           of->lanes[merge_partition(of, &read->origins[row])].rank};
        if (!merge->has_bound || !mark_is_before(&merge->bound, &here))
            passing[n++] = (passing_row){here, row};
    }
    qsort(passing, n, sizeof *passing, compare_passing);
    for (uint32_t i = 0; i < n; i++)
        rows[i] = passing[i].row;
    *out = (source_order){rows, n};
    return FRESHET_OK;
}

freshet_code merge_run_passing(freshet_pipeline *pipeline, batch *const *batches,
                               int64_t *const *keys, batch *rows, freshet_error *err)
{
    source_order orders[PIPELINE_READERS_MAX] = {{NULL, 0}};
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; keys != NULL && code == FRESHET_OK && i < pipeline->n_readers; i++)
        if (batches[i] != NULL)
            code = order_passing(pipeline, i, keys[i], &orders[i], err);
    return code == FRESHET_OK
               ? source_run_in_order(pipeline->source, pipeline->step_arena, batches,
                                     keys == NULL ? NULL : orders, rows, &pipeline->rejects, err)
               : code;
}
