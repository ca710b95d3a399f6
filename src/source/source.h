/* source.h - the readers' rows through the steps of their `preprocess` and the one SQL query.
 *
 * Two ways to run the query:
 *
 *   by rows    each row of the driving readers (those that stream; in a batch, those that the
 *              events' times come from, query_driver.c) gives its output rows by itself:
 *              projection, filter, joins with static readers, UNION ALL. The query runs on each
 *              micro-batch, and each output row knows the row it came from. A stream must be of
 *              this kind; a batch query of this kind runs in the same way, so that stream and batch
 *              give the same rows in the same order.
 *   as a whole batch only: anything else (aggregates, ORDER BY ...). All readers are loaded into
 *              tables, the query runs once; its rows have no single origin.
 *
 * query_plan.c decides from the query's syntax tree (json_serialize_sql) and, for the first way,
 * adds the hidden column `__freshet_row` to every SELECT over a driving reader.
 *
 * A row whose evaluation fails (a cast in the query) is found by running halves, and goes to the
 * rejects.
 */
#ifndef FRESHET_SOURCE_SOURCE_H
#define FRESHET_SOURCE_SOURCE_H

#include "keyed/state_part.h"
#include "readers/reader.h"
#include "sql/sql.h"

#define SOURCE_ROW_COLUMN "__freshet_row"

typedef struct source source;

#define PLAN_JOIN_KEYS_MAX 16u

/* The join of two driving readers (query_join.c). */
typedef struct plan_join {
    uint32_t readers[2]; /* left and right, as they are written */
    uint32_t n_keys;
    uint32_t keys[2][PLAN_JOIN_KEYS_MAX]; /* columns of each that must be equal */
    bool is_outer;                        /* rows of one side go out without partner, too: */
    uint32_t outer;                       /* of this one */
    bool is_asof;
    bool is_strict;    /* as of: the right row's time is before the left one's, not equal */
    const char *match; /* as a tree: which pairs meet the further conditions; NULL: all */
    size_t match_length;
    const char *match_sql;
} plan_join;

/* Plans and prepares the query over described readers (source->readers[i].schema is set).
 * Mistakes of the declaration (unknown table or column, bad SQL, a query that cannot run on a
 * stream, functions that read files, the network or the clock) are added to `problems` at their
 * places in the YAML file; then *out is NULL and FRESHET_BAD_DECLARATION is returned. `session`
 * belongs to the transforming engine. The source learns here which readers drive
 * (source_drives). */
freshet_code source_open(const freshet_declaration *declaration, sql_session *session,
                         freshet_reader *const *readers, uint32_t n_readers, problems *problems,
                         source **out, freshet_error *err);
void source_close(source *source);

/* The query's columns (without the hidden one); lives as long as the source. */
const schema *source_schema(const source *source);
/* The query in DuckDB's SQL, whatever dialect it is written in; lives as long as the source. */
const char *source_query(const source *source);

bool source_is_by_rows(const source *source);
/* Does this reader's batch go through the query row by row (true), or is it loaded as a table? */
bool source_drives(const source *source, uint32_t reader);
/* Of a batch: would its rows go through the query one by one on a stream? Steps before the query
 * that remember rows want all of them at once in a batch only. */
bool source_would_drive(const source *source, uint32_t reader);
/* Where none would: why the query runs as a whole, in one sentence (NULL: it is not known), and
 * where that stands. */
const char *source_whole_reason(const source *source, place *at);
/* Columns of that reader that the query uses, or the steps of its `preprocess` for it. */
const bool *source_used(const source *source, uint32_t reader);

/* Gives the table of a reader that does not drive new content. Call begin, any number of add, then
 * commit, which swaps the content in at once; or abort. The query sees the old content until then,
 * and is then prepared again (which makes the last source_run's texts invalid). As a whole: all
 * readers are loaded before the first source_next. Rows for which a step of the reader's
 * `preprocess` fails are added to rejects. */
freshet_code source_load_begin(source *source, uint32_t reader, freshet_error *err);
freshet_code source_load_add(source *source, uint32_t reader, const batch *rows, rejects *rejects,
                             freshet_error *err);
freshet_code source_load_commit(source *source, uint32_t reader, freshet_error *err);
void source_load_abort(source *source, uint32_t reader);

/* By rows: batches[i] is driving reader i's batch (NULL or empty: none); gives the query's rows
 * with out->rows ascending by reader, then row, several output rows of one input row in the
 * query's order. Rows that fail are added to rejects with their reader's origin. `out` lives in
 * `arena`, as long as the batches and until the next source_run: its columns may be those of the
 * batches, and nobody writes into them. */
freshet_code source_run(source *source, arena *arena, batch *const *batches, batch *out,
                        rejects *rejects, freshet_error *err);

/* Is the query one that runs without the SQL engine (plain_query.h)? And for tests that compare: it
 * runs in the engine from now on. */
bool source_is_plain(const source *source);
void source_run_in_engine(source *source);

/* Does a driving reader have steps that remember rows (`forward_fill`, `pivot`)? Then each row must
 * be run once, and in its order; source_try is to see what would come out, and nothing of it is
 * remembered. Where there are none, it is the same as source_run. */
bool source_remembers(const source *source);
freshet_code source_try(source *source, arena *arena, batch *const *batches, batch *out,
                        rejects *rejects, freshet_error *err);
/* The rows of a batch that are meant, by their numbers, in the order in which they count. */
typedef struct source_order {
    const uint32_t *rows; /* NULL: all of them, as they are */
    uint32_t n;
} source_order;
/* source_run with an order for each reader; NULL: all rows as they are. */
freshet_code source_run_in_order(source *source, arena *arena, batch *const *batches,
                                 const source_order *orders, batch *out, rejects *rejects,
                                 freshet_error *err);

/* The parts of the state of these steps: part i, NULL behind the last one. */
const state_part *source_part(const source *source, uint32_t i);

/* ---- looking at what the steps of a reader's `preprocess` give ---- */

/* Before the query runs over it. `input` reads `rows` now, through the steps that need one row
 * only, as the view source_view: they may be looked at in pieces. */
typedef struct source_steps {
    uint32_t reader;
    const batch *rows;
    const batch *raw; /* as they were read */
    sql_input *input;
    uint8_t *is_out; /* of each row of `raw`, 0: what is made of it is left out where it is set */
    rejects *rejects;
    const source *source;
} source_steps;

typedef freshet_code source_steps_fn(void *context, const source_steps *steps, freshet_error *err);
/* Behind a load, before its rows are seen: they are in that table. */
typedef freshet_code source_table_fn(void *context, uint32_t reader, const char *table,
                                     freshet_error *err);
/* For readers with steps. Trials are not looked at. */
void source_watch(source *source, source_steps_fn *steps, source_table_fn *table, void *context);
/* Must each row be run once, since steps remember it or somebody looks at them? */
bool source_runs_once(const source *source);
/* The name of the view, or of the table of a reader that is loaded, which is empty at first. */
const char *source_view(const source *source, uint32_t reader);
/* NULL: the reader has no steps. */
const schema *source_stepped(const source *source, uint32_t reader);
/* Which of the reader's columns are needed for these behind its steps. */
void source_needs(const source *source, uint32_t reader, const bool *after, bool *before);
/* Over a row that fails: do the steps? */
bool source_steps_fail(const source_steps *steps);

/* ---- a join of two streams (query_join.c; features/joined.h finds the pairs) ---- */

/* NULL: the query has none. Lives as long as the source. */
const plan_join *source_join(const source *source);

/* Pairs of rows of the two readers: pair i is the row of each side whose rows[] is i, the outer
 * side's alone where the other has none. Both sides ascend by it. */
typedef struct source_pairs {
    uint32_t n;
    batch sides[2]; /* in the order of plan_join.readers */
    /* A pair that the query fails for. */
    freshet_code (*refuse)(void *context, uint32_t pair, const char *reason, freshet_error *err);
    void *context;
} source_pairs;

/* The query over pairs, in the place of source_run: out->rows are the pairs' numbers, ascending. */
freshet_code source_run_pairs(source *source, arena *arena, const source_pairs *pairs, batch *out,
                              freshet_error *err);

/* matches[i] (of pairs->n): the join's further conditions hold for pair i, or cannot be told. */
freshet_code source_match_pairs(source *source, const source_pairs *pairs, uint8_t *matches,
                                freshet_error *err);

/* As a whole: the next piece of the one result; FRESHET_END after the last. */
freshet_code source_next(source *source, arena *arena, batch *out, freshet_error *err);

#endif
