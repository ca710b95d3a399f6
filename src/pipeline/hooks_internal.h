/* hooks_internal.h - what the files of the hooks share.
 *
 *   hooks.c       which places there are; opening; rows pass
 *   hooks_read.c  an expectation: from the text of a declaration to a statement
 *   hooks_ask.c   asking hooks about rows, and what follows from the answers
 *   hooks_hold.c  a batch's rows held back until all hooks hold
 */
#ifndef FRESHET_PIPELINE_HOOKS_INTERNAL_H
#define FRESHET_PIPELINE_HOOKS_INTERNAL_H

#include "base/row_store.h"
#include "dialect/dialect.h"
#include "pipeline/hooks.h"
#include "pipeline/pipeline.h"

#define HOOKING "looking at hooks"
#define HOOK_SIDES_MAX 4u

typedef struct hook {
    const hook_block *block;
    const char *said; /* as messages call it, in quotes */
    dialect_text text;
    bool is_aggregate;
    /* Of an aggregate: the values that are compared, as texts, `, CAST((count(*)) AS VARCHAR)`; and
     * the condition of its first FILTER, or NULL. */
    const char *sides;
    const char *filter;
    /* Of rows: what is true of each; behind the origin of each where the place is a view. Of an
     * aggregate that is asked of each micro-batch: the answer, and the sides. */
    sql_statement *statement;
    int64_t said_us; /* a warning, last; 0: never */
    int64_t n_unsaid;
} hook;

typedef enum hook_where {
    HOOKS_READ,    /* rows as they are read */
    HOOKS_STEPPED, /* behind the steps of a reader: a view, or a table that is loaded */
    HOOKS_SOURCE,  /* the query's */
    HOOKS_MADE,    /* feature rows */
    HOOKS_WRITER   /* those of one writer */
} hook_where;

/* A place with hooks. */
typedef struct hook_point {
    hooks *hooks;
    hook_where where;
    uint32_t index;   /* of the reader or writer */
    const char *rows; /* `the rows of the reader "orders"` */
    const schema *columns;
    hook *items; /* those of rows first */
    uint32_t n;
    sql_input *input; /* over the batch's rows; NULL: a view or a table */
    const char *from; /* what statements read, as SQL */
    bool is_loaded;   /* the reader's rows go into a table: they are asked about at its end */
    bool is_whole;    /* aggregates are asked once, of all rows */
    /* The table of the columns that aggregates look at; NULL: there is none. */
    const char *whole;
    const char *gathered; /* the columns, as SQL */
    bool names_columns;   /* any at all */
    bool has_whole;       /* it was made */
    sql_statement *gather;
} hook_point;

struct hooks {
    freshet_pipeline *pipeline;
    struct problems *problems; /* while opening */
    arena *scratch;
    hook_point *points;
    uint32_t n, capacity;
    bool fails; /* any `on_violation: fail` */
    bool is_ended;
    row_store *held; /* NULL: nothing needs to be held back */
    bool gives;
    uint32_t n_given;
};

/* ---- hooks_read.c ---- */

/* Reads a hook of the point, whose input, view or table is there. Mistakes are reported. used[i]
 * grows by the columns that it names. */
freshet_code hook_read(hook_point *point, hook *hook, bool *used, freshet_error *err);
/* Prepares an aggregate over a table. */
freshet_code hook_prepare_over(const hook_point *point, const hook *hook, const char *from,
                               sql_statement **out, freshet_error *err);

/* ---- hooks_ask.c ---- */

/* A row of `rows` is refused. */
typedef freshet_code hook_refuse_fn(hook_point *point, const batch *rows, uint32_t row,
                                    const char *reason, freshet_error *err);

/* Asks the hooks of a point with an input about a batch's rows from `first` on; those that are
 * refused go out of it. refuse NULL: they only go out, and nothing else is asked. */
freshet_code hooks_ask(hook_point *point, batch *rows, uint32_t first, hook_refuse_fn *refuse,
                       freshet_error *err);
/* The same of a view, over an input that reads `rows`. */
freshet_code hooks_ask_view(hook_point *point, const source_steps *steps, freshet_error *err);
/* The same of a table of that name. */
freshet_code hooks_ask_table(hook_point *point, const char *table, freshet_error *err);

/* The table of what aggregates look at: is there and empty; has all rows, and is asked. */
freshet_code hooks_begin_whole(hook_point *point, freshet_error *err);
freshet_code hooks_ask_whole(hook_point *point, freshet_error *err);

#endif
