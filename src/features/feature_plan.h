/* feature_plan.h - how a feature set is computed: worked out once at open, followed for each batch.
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
 *
 * WINDOWS (and groups) stand in the middle of the way. What does not need them comes before: the
 * rows' own columns, the columns that windows look at, and their filters, each of them a slot of
 * type boolean that no name reaches. Then come the windows' outputs, and then, in steps behind
 * them, the features that use these. What a window looks at can therefore not come from a window.
 *
 * STACKS make several rows of each. What does not need one comes before, so that its SQL is
 * evaluated once for a row; then the stacks with all that is made of them; then windows, which see
 * the rows that stacks have made. A stack that is declared below a feature with windows makes rows
 * behind them. So steps are of three phases, and a slot of the latest that it is made of.
 *
 * `function` and `h3` are SQL that is written here (feature_plan_made.c), and go the way of SQL.
 */
#ifndef FRESHET_FEATURES_FEATURE_PLAN_H
#define FRESHET_FEATURES_FEATURE_PLAN_H

#include "declaration/declaration.h"
#include "dialect/dialect.h"
#include "features/event_time.h"
#include "features/expression.h"
#include "sql/sql.h"
#include "windows/window.h"

#define NO_SLOT UINT32_MAX
#define PLAN_SLOTS_MAX 50000u
#define PLAN_ROW_COLUMN "__freshet_feature_row"

/* When a slot is made, and a step done. */
typedef enum plan_phase {
    PHASE_ROW,    /* of the row alone, once */
    PHASE_STACKS, /* stacks, and what is made of them */
    PHASE_WINDOWS /* windows, and what comes behind them */
} plan_phase;

#define PLAN_PHASES 3
#define PLAN_COPIES_MAX 1000u /* rows that the stacks may make of one */

/* A key, or a feature that is a column. */
typedef struct cast_step {
    const char *who; /* `key "x"`, for messages */
    uint32_t from;   /* slots; of a key NO_SLOT: a step makes it */
    uint32_t to;
} cast_step;

/* Of each row one for each of some columns. */
typedef struct stack_step {
    const char *who;
    const place *at;
    const uint32_t *from; /* slots, in the columns' order */
    uint32_t n;
    const type *common; /* of the columns */
    uint32_t to;
    bool is_key;
    uint32_t copies; /* of one row of the source, behind this step */
} stack_step;

/* An expression of a stage: a feature, or the filter of one. */
typedef struct sql_feature {
    const char *who; /* `feature "x"`, for messages */
    const declared_text *sql;
    declared_type type; /* value NULL: what the SQL gives, and set to that */
    bool is_filter;
    bool is_key;
    bool is_written;   /* by us: its places are all the beginning of `sql` */
    bool is_of_duckdb; /* whatever the declaration's dialect */
    dialect_text text; /* the SQL, as DuckDB reads it */
    expression expression;
    uint32_t to;
    sql_statement *alone; /* the same for this feature only, prepared when a row fails */
} sql_feature;

typedef struct stage {
    uint32_t number; /* from 1 */
    sql_feature *features;
    uint32_t n_features, features_capacity;
    uint32_t begun_at; /* only slots below this one are seen by the stage */
    uint32_t *slots;   /* those that its features mention */
    uint32_t n_slots, slots_capacity;
    schema seen; /* the same as the columns of the input */
    bool *used;  /* does the statement read it? */
    char input_name[32];
    sql_input *input;
    sql_statement *statement;
} stage;

typedef struct step {
    stage *stage;      /* or NULL: */
    stack_step *stack; /* or NULL: */
    cast_step cast;
} step;

typedef struct steps {
    step *items;
    uint32_t n;
} steps;

/* A feature with `window` or `aggregate`: what it looks at. */
typedef struct many_feature {
    const feature_block *block;
    uint32_t values; /* slots */
    uint32_t filter; /* or NO_SLOT */
    uint32_t first;  /* windows: the slots of its outputs, which follow each other */
    uint32_t n;
    uint32_t view;    /* windows: the one of plan.views that computes it */
    const field *own; /* windows: its outputs with the functions' own types */
} many_feature;

/* Windows over the same rows in the same order. */
typedef struct view {
    const uint32_t *keys; /* slots */
    uint32_t n_keys;
    uint32_t order;            /* slot, or NO_SLOT: the timestamp */
    const declared_text *said; /* `order_by`, where it is said */
    windows_plan *windows;
    const uint32_t *columns; /* slots of its value columns */
    uint32_t n_columns;
    const uint32_t *to;      /* slots of its outputs */
    const many_feature **of; /* the feature of each output */
} view;

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
    steps steps[PLAN_PHASES];
    uint8_t *phases;     /* by slot */
    stack_step **stacks; /* in the order of the way */
    uint32_t n_stacks;
    many_feature *many;
    uint32_t n_many;
    view *views; /* the first has the keys and the order of the timestamp */
    uint32_t n_views;
    const uint32_t
        *carried; /* slots of a row that windows and what is after them leave as they are */
    uint32_t n_carried;
    uint32_t pivot;           /* aggregated sets: a slot, or NO_SLOT */
    const uint32_t *distinct; /* slots, as declared */
    bool null_on_error;
    bool corrects; /* set before plan_make: rows that windows change later are output again */
    schema output; /* of aggregated sets: keys and timestamp only */
    uint32_t *output_slots;
    uint32_t n_output_slots; /* an aggregated set has other columns behind them */
} plan;

static inline bool plan_is_windowed(const plan *plan, uint32_t slot)
{
    return plan->phases[slot] == PHASE_WINDOWS;
}

/* How many rows the stacks make of one row of the source. */
static inline uint32_t plan_copies(const plan *plan)
{
    return plan->n_stacks == 0 ? 1 : plan->stacks[plan->n_stacks - 1]->copies;
}

/* Makes the plan; mistakes are added to problems, and then FRESHET_BAD_DECLARATION is returned.
 * plan_close in either case. `plan` is zeroed before. */
freshet_code plan_make(plan *plan, const freshet_declaration *handle, sql_session *session,
                       const schema *input, problems *problems, freshet_error *err);
void plan_close(plan *plan);

/* Prepares the statement of one feature of a stage alone. */
freshet_code plan_prepare_alone(plan *plan, const stage *stage, sql_feature *feature,
                                sql_problem *problem, freshet_error *err);

#endif
