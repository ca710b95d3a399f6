/* feature_plan_internal.h - between feature_plan.c, feature_plan_made.c and feature_plan_windows.c:
 * the planner, while it makes a plan. */
#ifndef FRESHET_FEATURES_FEATURE_PLAN_INTERNAL_H
#define FRESHET_FEATURES_FEATURE_PLAN_INTERNAL_H

#include "features/feature_plan.h"

#define PLANNING "opening the feature set"

/* Takes who, and the column's name. */
#define WINDOW_OF_WINDOW                                                                         \
    "%s: column \"%s\" is made of a window, and what a window looks at cannot be: windows look " \
    "at what the row itself brings"

typedef struct planner {
    plan *plan;
    const freshet_declaration *handle;
    const feature_set_block *block;
    problems *problems;
    freshet_error *err;
    uint32_t *seen; /* the newest slot of each name, in the order in which the names came up */
    uint32_t n_seen;
    uint32_t *stage_of[PLAN_PHASES]; /* by slot: the newest stage that has it as input, from 1 */
    uint32_t n_stages;
    stage *open[PLAN_PHASES]; /* the stage that takes more features, or NULL */
    uint32_t n_outputs;       /* in plan->output_slots */
    uint32_t n_keys;          /* in plan->keys, so far */
    uint32_t n_types;         /* that statements of their own were asked for */
} planner;

/* The place of a name in planner.seen, or NO_SLOT. */
uint32_t planner_find(const planner *planner, const char *name);

/* A new slot, which is the one seen under its name from now on. `name` NULL: no name reaches it. */
uint32_t planner_add_slot(planner *planner, const char *name, const type *type);

/* Gives a slot that no name reached one that does. */
void planner_show_slot(planner *planner, uint32_t slot, const char *name);

/* `what "name"`; NULL where memory is out, which whoever is given it reports. */
const char *planner_who(planner *planner, const char *what, const char *name);

/* The slot of a column that is taken as it is; NO_SLOT after a reported problem. `who` is who
 * asks. */
freshet_code planner_resolve(planner *planner, const declared_text *from, const char *who,
                             uint32_t *slot);

/* Plans an expression for the slot `feature->to`; *phase tells when it is evaluated. Problems are
 * reported; a type that was to be found is then NULL still. */
freshet_code planner_add_sql(planner *planner, sql_feature *feature, plan_phase *phase);

/* The next step of a phase. */
step *planner_add_step(planner *planner, plan_phase phase);

/* A slot that is a column of the output; reports a name that the output has already. */
uint32_t planner_add_output(planner *planner, const feature_block *block, const char *name,
                            const type *type);

/* feature_plan_made.c: features and keys with `function`, `stack` or `h3`; keys with `sql`. */
typedef struct made {
    const char *what; /* "feature" */
    const declared_text *name, *from, *sql;
    const declared_type *type;
    const functions_block *function; /* NULL: not there, as the next ones */
    const stack_block *stack;
    const h3_block *h3;
    const feature_block *feature; /* NULL: a key */
} made;

freshet_code plan_made(planner *planner, const made *made);
/* How many slots they need at most, and how many keys there are. */
uint64_t plan_made_slots(const feature_set_block *block);
uint64_t plan_count_keys(const feature_set_block *block);

/* feature_plan_windows.c: a feature with `window` or `aggregate`, its filter and its outputs. */
freshet_code plan_many(planner *planner, const feature_block *block);
/* Where mistakes of functions over many rows go; windows and groups find the same ones. */
typedef struct problem_sink {
    arena *arena;
    problems *problems;
    freshet_error *err;
} problem_sink;

problem_sink planner_sink(const planner *planner);

/* A value of one type that another is declared for: reported where it cannot be cast. `what`: "x
 * gives" (NULL where memory was out). */
freshet_code plan_check_cast(const problem_sink *to, const char *what, const type *from,
                             const declared_type *declared);
/* Functions that do not take the column's type, each at its own place; *sound: there is none. */
freshet_code plan_check_functions(const problem_sink *to, const feature_block *block,
                                  const declared_blocks *functions, const type *values,
                                  bool *sound);
/* The type that is said last: the function's own, the feature's, the one beside the function. */
freshet_code plan_output_type(const problem_sink *to, const feature_block *block,
                              const function_block *function, const type *own, const type **out);
/* How many slots the features will need at most. */
uint64_t plan_many_slots(const feature_set_block *block);

/* What windows and groups need of a declaration: texts of functions and windows; NULL where memory
 * is out. */
/* Does a window of the feature that is not full give what is known (`until_full`)? */
bool plan_is_partial(const feature_set_block *set, const feature_block *feature);

const windows_function *plan_function_texts(arena *arena, const declared_blocks *functions);
const char *const *plan_window_texts(arena *arena, const declared_list *windows);

/* The slots that windows or groups look at, each once, and their columns. */
typedef struct seen_columns {
    uint32_t *slots;
    field *fields;
    const char **names; /* by slot: what saved state knows it by. A column of the query, beside a
                           feature of its name that is kept, too, is not known by that name */
    uint32_t n;
} seen_columns;

/* Room for all of a plan's; false where memory is out. */
bool seen_columns_open(seen_columns *seen, arena *arena, const plan *plan);
/* The number of a slot among them. `name`: what saved state knows it by; NULL: the slot's. */
uint32_t seen_columns_add(seen_columns *seen, const plan *plan, uint32_t slot, const char *name);

/* When all steps are prepared: what is carried, and the plans of the windows. */
freshet_code plan_views(planner *planner);

#endif
