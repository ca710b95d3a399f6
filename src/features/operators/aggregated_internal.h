/* aggregated_internal.h - between aggregated.c and aggregated_plan.c. */
#ifndef FRESHET_FEATURES_OPERATORS_AGGREGATED_INTERNAL_H
#define FRESHET_FEATURES_OPERATORS_AGGREGATED_INTERNAL_H

#include "features/operators/aggregated.h"
#include "rolling/groups.h"

/* What is fixed at open. */
typedef struct aggregated_plan {
    groups_plan *groups;
    const uint32_t *columns; /* of the growing row, for each value column of the groups */
    uint32_t n_columns;
    schema output;
    const field *own; /* the aggregates' own types, as groups_outputs() */
    const char *shape;
} aggregated_plan;

freshet_code aggregated_plan_make(arena *arena, const declaration *declaration,
                                  const aggregated_source *source, problems *problems,
                                  aggregated_plan *out, freshet_error *err);

#endif
