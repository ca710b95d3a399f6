/* aggregated.h - aggregated feature sets (operator.h): the growing rows of a feature set go in,
 * rows of groups and rolling windows come out.
 *
 * What a group is, and when its row is output, is in rolling/groups.h. Here are the declaration's
 * words (types, the values of a pivot, what becomes of late rows) and the casts.
 *
 * THE TIME, up to which windows are closed, is that of the watermarks (watermark.h). A row of a
 * time that is closed is late though its own lane lets it pass: its lane was idle. With `late:
 * update` late rows go into the windows that are still open; without an open window such a row is
 * refused.
 *
 * CASTS. The type said for a function, or for its feature, is applied to the aggregate. What does
 * not cast, or does not fit the type, is null: there is no one row that could be a dead letter. A
 * warning says it once for each column.
 */
#ifndef FRESHET_FEATURES_OPERATORS_AGGREGATED_H
#define FRESHET_FEATURES_OPERATORS_AGGREGATED_H

#include "features/operator.h"
#include "rolling/groups.h"

/* That one run outputs; the next one goes on. Each may be of a key that comes from the state, and
 * keys leave memory between two runs. */
#define AGGREGATED_PIECE_ROWS (1u << 14)

/* What is fixed at open. */
typedef struct aggregated_plan {
    groups_plan *groups;
    const uint32_t *columns; /* slots, for each value column of the groups */
    uint32_t n_columns;
    schema
        output; /* keys, timestamp, then one column a pivot value, feature, function and window */
    const field *own;  /* the aggregates' own types, as groups_outputs() */
    const char *shape; /* what can never be another: the kind of groups, and their keys */
    const char *kept;  /* of their events, in words */
} aggregated_plan;

/* Mistakes are added to problems, and FRESHET_BAD_DECLARATION is returned. */
freshet_code aggregated_plan_make(arena *arena, const feature_set_block *block, const plan *set,
                                  problems *problems, aggregated_plan *out, freshet_error *err);

#endif
