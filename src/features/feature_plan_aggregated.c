/* feature_plan_aggregated.c - the columns that an aggregated feature set looks at beside its features: the
 * pivot's and those of `distinct`. */
#include "base/error.h"
#include "features/feature_plan_internal.h"

/* The slots of the pivot and of `distinct`, among the columns and keys of the growing row. */
freshet_code plan_aggregated(planner *planner)
{
    plan *plan = planner->plan;
    const aggregated_block *block = &planner->block->aggregated;
    freshet_code code = FRESHET_OK;
    plan->pivot = NO_SLOT;
    if (block->has_pivot)
        code = planner_resolve(planner, &block->pivot.column, "pivot", &plan->pivot);
    if (!block->has_distinct || code != FRESHET_OK)
        return code;
    uint32_t *distinct = arena_alloc(plan->arena, block->distinct.subset.n * sizeof *distinct);
    if (distinct == NULL)
        return error_memory(planner->err, PLANNING);
    for (uint32_t i = 0; code == FRESHET_OK && i < block->distinct.subset.n; i++)
        code = planner_resolve(planner, &block->distinct.subset.items[i], "distinct", &distinct[i]);
    plan->distinct = distinct;
    return code;
}
