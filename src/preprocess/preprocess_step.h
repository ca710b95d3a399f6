/* preprocess_step.h - the contract of a step of `preprocess`, and what steps share.
 *
 * A step is a file with its option table that ends with its preprocess_step_ops. TO ADD ONE: that
 * file, and its line in PREPROCESS_STEPS.
 *
 * THE ORDER OF CALLS: check once; where nothing was reported, write and use any number of times.
 *
 * A step gives, as SQL, the rows of the one before as its own. `from` in write() is a table (view,
 * input) with the columns `before` and the hidden column behind them; the SELECT gives the
 * columns `after` and the hidden column behind them: of each row the value of the row that it was
 * made from.
 */
#ifndef FRESHET_PREPROCESS_PREPROCESS_STEP_H
#define FRESHET_PREPROCESS_PREPROCESS_STEP_H

#include "base/text.h"
#include "dialect/dialect.h"
#include "preprocess/preprocess.h"

typedef struct preprocess_step preprocess_step;

typedef struct preprocess_step_ops {
    block_kind block;
    size_t size;      /* of the step's own struct, which begins with preprocess_step */
    bool needs_order; /* its rows depend on others: batches give it all rows at once */
    /* Looks at the options: mistakes by step_problem and its like. */
    freshet_code (*check)(preprocess_step *step, freshet_error *err);
    freshet_code (*write)(preprocess_step *step, const char *from, const char **sql,
                          freshet_error *err);
    /* Of these columns after it, which before it are needed; those that are set stay so. */
    void (*use)(const preprocess_step *step, const bool *after, bool *before);
} preprocess_step_ops;

struct preprocess_step {
    const preprocess_step_ops *ops;
    const void *options; /* the parsed block */
    const place *at;
    preprocess *chain;
    uint32_t number; /* from 1 */
    schema before, after;
};

/* Every step, in the order of the reference. */
#define PREPROCESS_STEPS(X) \
    X(filter)               \
    X(replace)              \
    X(explode_json_column)  \
    X(sql)

#define PREPROCESS_DECLARE(name) extern const preprocess_step_ops name##_step;
PREPROCESS_STEPS(PREPROCESS_DECLARE)

/* All of the steps of one reader. */
struct preprocess {
    preprocess_options options;
    const reader_block *block;
    arena *arena;   /* as long as it */
    arena *scratch; /* of runs that look for bad rows */
    const char *id; /* of the reader, as an SQL name */
    preprocess_step **steps;
    uint32_t n_steps;
    uint32_t n_early; /* steps before the first one that needs order */
    /* by rows: */
    sql_input *input;
    struct view_list *views;
    const char *followed;     /* the last view */
    sql_statement *followers; /* all that is in it; made when it is needed */
    /* loaded: */
    struct segment *early;
    sql_input *load_input;
    sql_statement *load;
    const char *table; /* while it is loaded */
};

#define PREPROCESSING "preparing the steps of a reader"

/* ---- for the steps --------------------------------------------------------------------------- */

/* A mistake at a place. */
void step_problem(const preprocess_step *step, const place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The column before the step that is named; -1, and a mistake with the nearest name, where there is
 * none. `what` names the option. */
int64_t step_column(const preprocess_step *step, const declared_text *name, const char *what);

/* Appends the columns before, each as an SQL name, with a comma behind each. */
void step_put_columns(const preprocess_step *step, text_buffer *into);

/* Hands over the text: a copy in the chain's arena. */
freshet_code step_sql(const preprocess_step *step, text_buffer *text, const char **sql,
                      freshet_error *err);

/* A user's SQL in the declaration's dialect, as it was found to be. */
typedef struct step_text {
    const declared_text *text;
    dialect_text in;  /* as DuckDB reads it */
    const type *type; /* of an expression */
    const bool *used; /* columns before the step that it reads */
} step_text;

/* A query over the reader's id, or an expression over its columns. What is wrong is reported at its
 * place. */
freshet_code step_check_query(preprocess_step *step, const declared_text *sql, step_text *out,
                              freshet_error *err);
freshet_code step_check_expression(preprocess_step *step, const declared_text *sql, step_text *out,
                                   freshet_error *err);
/* The query over the table `from`, with the hidden column. */
freshet_code step_plan_query(preprocess_step *step, const step_text *query, const char *from,
                             const char **out, freshet_error *err);

#endif
