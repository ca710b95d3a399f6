/* plan.h - how a feature set is computed: worked out once at open, followed for each batch.
 *
 * Each column that exists on the way has a slot: the source's columns first, then the timestamp,
 * the keys, the features. A name may be given again (a feature named like a source column): the
 * newest slot of a name is the one that is seen from there on.
 *
 * Features are computed by steps. A `from` feature is a step of its own, a cast. SQL features share
 * a step, a stage, as long as none of them mentions a name that has been given since the stage
 * began; then the next stage begins. A stage is one statement over an sql_input of the columns that
 * its expressions mention:
 *
 *     SELECT (a + b) AS __freshet_0, (upper(s)) AS __freshet_1, __freshet_feature_row FROM ...
 *
 * The row number shows that the statement gave one row for each row, in order.
 */
#ifndef FRESHET_FEATURES_PLAN_H
#define FRESHET_FEATURES_PLAN_H

#include "declaration/declaration.h"
#include "features/event_time.h"
#include "features/expression.h"
#include "sql/sql.h"

#define NO_SLOT UINT32_MAX
#define PLAN_ROW_COLUMN "__freshet_feature_row"

/* A key, or a feature that is a column. */
typedef struct cast_step {
    const char *what; /* "key" or "feature", for messages */
    const char *name;
    const char *from_name;
    uint32_t from; /* slots */
    uint32_t to;
} cast_step;

/* A feature of a stage. */
typedef struct sql_feature {
    const feature_block *block;
    expression expression;
    uint32_t to;
    sql_statement *alone; /* the same for this feature only, prepared when a row fails */
} sql_feature;

typedef struct stage {
    sql_feature *features;
    uint32_t n_features;
    uint32_t begun_at; /* only slots below this one are seen by the stage */
    uint32_t *slots;   /* those that its features mention */
    uint32_t n_slots;
    schema seen; /* the same as the columns of the input */
    bool *used;  /* does the statement read it? */
    char input_name[32];
    sql_input *input;
    sql_statement *statement;
} stage;

typedef struct step {
    stage *stage; /* or NULL: */
    cast_step cast;
} step;

typedef struct plan {
    arena *arena;
    sql_session *session;
    field *slots;
    uint32_t n_slots, n_source;
    bool *needed; /* is the slot read by anything? */
    event_time event_time;
    const char *timestamp_name; /* of the column it is taken from */
    uint32_t timestamp_from, timestamp;
    cast_step *keys;
    uint32_t n_keys;
    step *steps;
    uint32_t n_steps;
    bool null_on_error;
    schema output;
    uint32_t *output_slots;
} plan;

/* Makes the plan; mistakes are added to problems, and then FRESHET_BAD_DECLARATION is returned.
 * plan_close in either case. `plan` is zeroed before. */
freshet_code plan_make(plan *plan, const freshet_declaration *handle, sql_session *session,
                       const schema *input, problems *problems, freshet_error *err);
void plan_close(plan *plan);

/* Prepares the statement of one feature of a stage alone. */
freshet_code plan_prepare_alone(plan *plan, const stage *stage, sql_feature *feature,
                                sql_problem *problem, freshet_error *err);

#endif
