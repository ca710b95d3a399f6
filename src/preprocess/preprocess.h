/* preprocess.h - a reader's `preprocess`: steps between what it reads and what the query sees.
 *
 *   reader ──► step 1 ──► step 2 ──► ... ──► query
 *
 * Each step is one SELECT over the rows of the one before (preprocess_step.h): SQL says what it
 * gives. Three ways follow from that, and all give the same rows:
 *
 *   by rows    steps that need one row only are views over the reader's input. The query is
 *              prepared over the last of them, so that they cost nothing by themselves.
 *   on a stream a step that remembers (`forward_fill`, `pivot`) cannot be SQL, which sees one
 *              micro-batch: it is C, with keyed state. The steps before it are a statement of their
 *              own, those behind the last such step are views again.
 *   loaded     rows of a reader that is looked up in, or of a batch whose steps need all rows, go
 *              into a table: what needs one row on the way into it, all else once it is whole.
 *
 * A row carries a hidden column of its origin through all of it (SOURCE_ROW_COLUMN), so that what
 * fails goes to the dead letters with its place, and rows stay in their order.
 *
 * Order of calls: preprocess_open, then those of one of the ways: preprocess_follow and
 * preprocess_run, or preprocess_load_begin, _load, _load_end, as often as there is something to
 * load; preprocess_close. The pipeline's thread.
 */
#ifndef FRESHET_PREPROCESS_PREPROCESS_H
#define FRESHET_PREPROCESS_PREPROCESS_H

#include "keyed/state_part.h"
#include "readers/reader.h"
#include "sql/sql.h"

/* The hidden column. */
#define PREPROCESS_ROW_COLUMN "__freshet_row"

typedef struct preprocess preprocess;

/* The kinds of steps, with a NULL behind them. */
#define PREPROCESS_KINDS_MAX 16u
void preprocess_kinds(const block_kind **into);

/* How a SELECT over one table is made to give the hidden column, as the query is (the source's
 * planner): `sql` reads the table `id` with these columns. Out come the SQL over the table `from`
 * instead, and which columns it reads. What is wrong is reported, and FRESHET_BAD_DECLARATION. */
typedef void preprocess_report_fn(void *context, int64_t position, const char *text);
typedef freshet_code preprocess_plan_fn(arena *arena, sql_session *session, const char *sql,
                                        const char *id, const schema *columns, const char *from,
                                        preprocess_report_fn *report, void *context,
                                        const char **out, const bool **used, freshet_error *err);

typedef struct preprocess_options {
    const freshet_declaration *handle;
    freshet_reader *reader; /* described */
    sql_session *session;
    preprocess_plan_fn *plan;
    problems *problems; /* gets the mistakes of the steps; FRESHET_BAD_DECLARATION is returned */
} preprocess_options;

/* *out NULL: the reader has no steps. */
freshet_code preprocess_open(const preprocess_options *options, preprocess **out,
                             freshet_error *err);
void preprocess_close(preprocess *preprocess);

/* The columns behind the last step. */
const schema *preprocess_schema(const preprocess *preprocess);
/* Has it a step that needs more than one row? */
bool preprocess_remembers(const preprocess *preprocess);
/* Which of the reader's columns are needed for these columns behind the last step. */
void preprocess_use(const preprocess *preprocess, const bool *after, bool *before);

/* The steps in words; two declarations with the same do the same. NULL where memory is out. */
const char *preprocess_text(arena *arena, const reader_block *block);

/* ---- by rows --------------------------------------------------------------------------------- */

/* What the query reads becomes the view `name`, over an input of the rows that preprocess_run
 * gives (of the reader's own where it has nothing to do). */
freshet_code preprocess_follow(preprocess *preprocess, const char *name, sql_input **out,
                               freshet_error *err);
/* Rows of the reader through the steps that need order, and those before them, into what the input
 * reads; of which each knows its row of `raw` by out->rows. `order`: the numbers of the rows of
 * `raw` that are meant, in the order in which they count; NULL: all of them, as they are.
 * is_trial: what is remembered stays as it is. Rows that fail are added to rejects. `out` lives in
 * `arena` and until the next run. Only where preprocess_runs says that there is something to run:
 * else the input reads the reader's own rows. */
bool preprocess_runs(const preprocess *preprocess);
freshet_code preprocess_run(preprocess *preprocess, const batch *raw, const uint32_t *order,
                            uint32_t n, bool is_trial, rejects *rejects, arena *arena, batch *out,
                            freshet_error *err);
/* The parts of the state, n of them; they live as long as it. */
const state_part *preprocess_part(const preprocess *preprocess, uint32_t i);
uint32_t preprocess_parts(const preprocess *preprocess);
/* The query has failed for what the input holds: do the steps fail? *reason then says why. */
bool preprocess_fails(preprocess *preprocess, freshet_error *reason);
/* Takes the view and the input away; no statement is over them any more. */
void preprocess_unfollow(preprocess *preprocess);

/* ---- loaded ---------------------------------------------------------------------------------- */

/* A table of that name begins, gets rows, and is whole. Rows that fail are added to rejects; what
 * is made of them lives in the batch's arena. */
freshet_code preprocess_load_begin(preprocess *preprocess, const char *table, freshet_error *err);
freshet_code preprocess_load(preprocess *preprocess, const batch *rows, rejects *rejects,
                             freshet_error *err);
freshet_code preprocess_load_end(preprocess *preprocess, freshet_error *err);
void preprocess_load_abort(preprocess *preprocess);

#endif
