/* query_plan.h - what the declaration's query is, and the query that is run instead of it.
 *
 * The syntax tree of the user's SELECT is looked through (query_plan.c says how): which readers it
 * names, what it must not do, and whether it can be run row by row. Out comes SQL in which each
 * reader is replaced by the table or input that stands for it and, where it runs by rows, each
 * SELECT over a driving reader has the hidden column SOURCE_ROW_COLUMN as its last.
 */
#ifndef FRESHET_SOURCE_QUERY_PLAN_H
#define FRESHET_SOURCE_QUERY_PLAN_H

#include "source/source.h"

/* Nesting of queries, joins and expressions that a plan goes into. DuckDB's own limit on
 * expressions is 1,000. */
#define PLAN_DEPTH_MAX 1000

typedef struct plan_reader {
    const char *id;
    bool is_stream;
    const schema *schema;
    bool is_joined;      /* it is to be joined with another that streams, ... */
    bool has_within;     /* ... within a bound, and ... */
    int64_t time_column; /* ... by this column of its schema (-1: none) ... */
    int time_unit;       /* ... in this unit (enum timestamp_unit) */
    const char *driving; /* what the query names instead where it drives ... */
    const char *table;   /* ... and where it does not */
} plan_reader;

/* What is wrong with the query: position is a byte offset in it, -1 where none is known. */
typedef void plan_report_fn(void *context, int64_t position, const char *text);

typedef struct plan {
    bool is_resolved; /* every table that the query names is there */
    bool by_rows;
    bool *drives;    /* per reader */
    bool *is_used;   /* per reader: the query names it */
    bool **columns;  /* per reader and column: it may use it */
    const char *sql; /* to be run */
    bool has_join;   /* it runs over the pairs of two driving readers */
    plan_join join;
    struct plain_query *plain; /* by rows, and it needs no engine (plain_query.h); or NULL */
    /* of a batch: the readers whose rows go through the query one by one, where no step before it
     * wants all at once; and where the query does, why, in one sentence */
    bool *would_drive;
    const char *whole_reason; /* NULL: it does not, or none is known */
    int64_t whole_at;         /* its place in the query; -1 */
} plan;

/* The grammar alone: whether `sql` is one SELECT. Returns and reports as plan_query. */
freshet_code plan_check_syntax(arena *arena, sql_session *session, const char *sql,
                               plan_report_fn *report, void *context, freshet_error *err);

/* Plans `sql`, which DuckDB's parser accepts or not; time_column: of its columns the one that has
 * the events' times, by which the driving readers of a batch are told (query_driver.c; NULL: none).
 * as_a_whole: not by rows, even where it could be. Each problem is given to `report`, and then
 * FRESHET_BAD_DECLARATION is returned. What goes wrong inside (memory, the engine) is in err. */
freshet_code plan_query(arena *arena, sql_session *session, const char *sql,
                        const plan_reader *readers, uint32_t n_readers, const char *time_column,
                        bool as_a_whole, plan_report_fn *report, void *context, plan *out,
                        freshet_error *err);

#endif
