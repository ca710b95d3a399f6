/* source_internal.h - what source.c and source_pairs.c share. No other file includes it. */
#ifndef FRESHET_SOURCE_SOURCE_INTERNAL_H
#define FRESHET_SOURCE_SOURCE_INTERNAL_H

#include "dialect/dialect.h"
#include "preprocess/preprocess.h"
#include "source/query_plan.h"
#include "source/source.h"
typedef struct slot {
    freshet_reader *reader;
    sql_input *input; /* where it drives */
    sql_input *load_input;
    sql_statement *load; /* while loading */
    bool is_loading;
    preprocess *steps; /* NULL: the query sees the reader's own columns */
    bool *used;        /* of the reader's own columns, where there are steps */
} slot;

struct source {
    const freshet_declaration *handle;
    const declared_text *query;
    dialect_text text;  /* the query, as DuckDB reads it */
    problems *problems; /* while opening */
    uint32_t n_problems_before;
    arena *arena;
    arena *scratch; /* of the runs that look for bad rows */
    sql_session *session;
    sql_session *whole; /* of a query that runs as a whole: its rows are read while others run */
    slot *slots;
    uint32_t n_readers;
    plan_reader *plan_readers;
    plan plan;
    schema schema;
    sql_statement *statement;
    const struct plain_query *plain; /* what is run in the statement's place; NULL: nothing */
    sql_statement *match; /* of a join of streams; NULL: its keys are all that there is */
    sql_cursor *cursor;
    bool at_end;
    source_steps_fn *watch_steps; /* NULL: nobody looks */
    source_table_fn *watch_table;
    void *watch_context;
};

static inline bool source_has_problems(const source *source)
{
    return problems_count(source->problems) > source->n_problems_before;
}

/* A run that failed because of one of its rows. */
static inline bool source_fails_for_row(freshet_code code, const freshet_error *err)
{
    return code == FRESHET_FAILED && err->then == FRESHET_SKIP_ROW;
}

/* ---- source_plain.c ---- */

/* Sets source->plain, once the query's columns are known. */
void source_find_plain(source *source);

/* ---- source_watch.c ---- */

/* Lets what the steps of reader i give be looked at, where somebody does: *rows, which are made of
 * `raw` in that order, become those that are meant and left. */
freshet_code source_look(source *source, uint32_t i, const batch **rows, const batch *raw,
                         const source_order *order, rejects *rejects, arena *arena,
                         freshet_error *err);

/* ---- source_pairs.c ---- */

/* The column that a reader of a join says to have its times; -1: it says none. */
int64_t source_time_column(source *source, uint32_t i, const schema *columns);
/* What readers say for a join of streams must have one. */
void source_check_join(source *source);
freshet_code source_open_match(source *source, freshet_error *err);
/* Pairs [from, to) are what the next runs read. */
void source_set_pairs(const source *source, const source_pairs *pairs, uint64_t from, uint64_t to);

#endif
