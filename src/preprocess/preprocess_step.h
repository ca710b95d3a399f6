/* preprocess_step.h - the contract of a step of `preprocess`, and what steps share.
 *
 * A step is a file with its option table that ends with its preprocess_step_ops. TO ADD ONE: that
 * file, and its line in PREPROCESS_STEPS.
 *
 * THE ORDER OF CALLS: check once; where nothing was reported, write and use any number of times.
 * A step that needs order (its rows depend on others) is C on a stream: open, run, part, close.
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

/* One run of a step that remembers. Rows that are refused lose their mark in `keep`. */
typedef struct step_run {
    const batch *in; /* rows in the order in which they count; in->rows is set */
    const batch *raw;
    rejects *rejects;
    arena *arena;
    bool is_trial; /* nothing of it is remembered */
    uint8_t *keep; /* per row of `in` */
    batch *out;    /* with `rows` */
} step_run;

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
    /* Those that need order, on a stream: open, {run, part}*, and close, which comes always. */
    /* write_before NULL: run gets and gives columns as they are before and after the step. Else
     * write_before is SQL of what it gets (the columns `in`), and write_after of what becomes of
     * what it gives (`out`); both with the hidden column, as in write. */
    freshet_code (*write_before)(preprocess_step *step, const char *from, const char **sql,
                                 freshet_error *err);
    freshet_code (*write_after)(preprocess_step *step, const char *from, const char **sql,
                                freshet_error *err);
    const schema *(*in)(const preprocess_step *step);
    const schema *(*out)(const preprocess_step *step);
    freshet_code (*open)(preprocess_step *step, freshet_error *err);
    freshet_code (*run)(preprocess_step *step, const step_run *run, freshet_error *err);
    const state_part *(*part)(preprocess_step *step);
    void (*close)(preprocess_step *step);
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
    X(forward_fill)         \
    X(pivot)                \
    X(sql)

#define PREPROCESS_DECLARE(name) extern const preprocess_step_ops name##_step;
PREPROCESS_STEPS(PREPROCESS_DECLARE)
/* `incremental` of a reader, which stands behind its steps. */
extern const preprocess_step_ops incremental_step;

/* On a stream: a step that needs order, and what is run before it. */
typedef struct stage {
    struct segment *before; /* NULL: nothing */
    preprocess_step *step;
} stage;

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
    const char
        *trial_name; /* a function of SQL: is it a trial? While views behind stages are made */
    bool *is_trial;  /* what it gives; the engine's */
    stage *stages;
    uint32_t n_stages;
    /* loaded: */
    struct segment *early;
    sql_input *load_input;
    sql_statement *load;
    const char *table;
    struct view_list *loaded_views; /* over the table; made when there is one */
};

/* The first n steps in words. */
const char *preprocess_text_until(arena *arena, const reader_block *block, uint32_t n);

#define PREPROCESSING "preparing the steps of a reader"

/* ---- for the steps --------------------------------------------------------------------------- */

/* A mistake at a place. */
void step_problem(const preprocess_step *step, const place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The column before the step that is named; -1, and a mistake with the nearest name, where there is
 * none. `what` names the option. */
int64_t step_column(const preprocess_step *step, const declared_text *name, const char *what);

/* The same, and a mistake where it is no single value (an array, a struct). */
int64_t step_simple_column(const preprocess_step *step, const declared_text *name,
                           const char *what);

/* Appends a name, quoted, between two texts. */
void step_put_name(text_buffer *into, arena *arena, const char *before, const char *name,
                   const char *behind);

/* -1, 0 or 1: two cells of the same simple type in the order of SQL: nulls first, NaN last. */
int step_compare(const column *a, uint64_t a_row, const column *b, uint64_t b_row);

/* Refuses a row of the run, with the place of the reader's row that it was made from. */
freshet_code step_refuse(const preprocess_step *step, const step_run *run, uint32_t row,
                         reason_code code, freshet_error *err, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/* Leaves the refused rows out of run->out, which has a row for each of run->in. */
freshet_code step_drop_refused(const step_run *run, freshet_error *err);

/* Bytes that its keys may take where nobody takes them away. */
size_t step_memory(const preprocess_step *step);
/* The name and the shape of its part of the state: what it keeps, by which keys, and of the rows of
 * which steps. */
freshet_code step_part_names(const preprocess_step *step, const char *what, const field *keys,
                             uint32_t n_keys, const char **name, const char **shape,
                             freshet_error *err);

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
