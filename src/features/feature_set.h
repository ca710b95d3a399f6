/* feature_set.h - rows of the source become feature rows: keys, timestamp, features, cast to their
 * types.
 *
 * Output columns: the keys, `timestamp`, the features in their order. Features are computed in
 * declaration order over one growing row: the source's columns, then `timestamp`, keys and each
 * feature as soon as it is computed, under its own name, so that a later feature sees an earlier
 * one (and one that has the name of a source column hides that from later ones). A feature is a
 * column (`from`), cast to its type by our own casts (cast.h), or an SQL expression, evaluated by
 * the SQL engine and then cast. Consecutive SQL features that do not need each other are evaluated
 * by one statement.
 *
 * A row is refused (rejects) when its key or timestamp is null or does not cast, when a feature
 * does not cast and on_cast_error is dead_letter, or when its SQL fails. It never stops the batch.
 */
#ifndef FRESHET_FEATURES_FEATURE_SET_H
#define FRESHET_FEATURES_FEATURE_SET_H

#include "declaration/declaration.h"
#include "features/event_time.h"
#include "features/meaning.h"
#include "keyed/state_part.h"
#include "sql/sql.h"

typedef struct feature_set feature_set;

/* What is known before the first row. All that it refers to outlives the set. */
typedef struct feature_set_options {
    const freshet_declaration *declaration;
    sql_session *session;
    const schema *input; /* the source's columns; copied */
    /* A stream outputs all rows that change again (ROW_CORRECTION), not only its keys' newest. */
    bool corrects;
    /* For a store that keeps the row of the larger write timestamp: write_us and row_kinds say of
     * plain rows, too, which is its key's newest (operators/newest_rows.c). */
    bool ranks;
    /* Rows with timestamps before and after these will be cut away (INT64_MIN, INT64_MAX: none):
     * rolling windows of days have rows to the last day. */
    int64_t first_us;
    int64_t last_us;
    struct crew *crew; /* for work in pieces (base/crew.h); NULL: there is one worker */
    /* Of tests: others in the place of all, one for one (operator.h). NULL: all. */
    const struct operator_ops *const *operators;
} feature_set_options;

/* Resolves names and types against the source's columns and prepares the expressions; mistakes
 * (unknown columns with "did you mean", bad SQL, types that cannot be cast) are added to problems
 * at their places; then *out is NULL and FRESHET_BAD_DECLARATION is returned. */
freshet_code feature_set_open(const feature_set_options *options, problems *problems,
                              feature_set **out, freshet_error *err);
void feature_set_close(feature_set *set);

/* Keys, timestamp, features: the first n_keys columns are keys, column n_keys is the timestamp. */
const schema *feature_set_schema(const feature_set *set);
uint32_t feature_set_n_keys(const feature_set *set);
/* Is the column made by windows, or of what they make? */
bool feature_set_is_windowed(const feature_set *set, uint32_t column);

/* How the timestamp is made, and of which column of the source. */
const event_time *feature_set_event_time(const feature_set *set, uint32_t *column);

/* ---- windows, aggregated sets, deduplication (docs/guide/windows.md) ----
 *
 * feature_set_run() of a set with state outputs, for each row taken, its feature row, and right
 * behind it its key's newest row where it has changed that (row_kinds, write_us: base/batch.h). In
 * a batch, sets with windows or groups take all rows and give none; feature_set_finish() then gives
 * the results in pieces, as Butterfree's batch has them.
 */

/* After facts were restored, between two runs of a stream: a lane that will give rows. What it may
 * need is kept until it does, or has been idle (watermark.h). is_waiting: its rows are there to be
 * read; windows of groups wait for such lanes only. */
freshet_code feature_set_expect(feature_set *set, uint32_t lane, bool is_waiting,
                                freshet_error *err);

/* Rows so far: */
typedef struct feature_set_figures {
    uint64_t dropped;  /* left out because of `late: drop` */
    uint64_t repeated; /* because of `deduplicate`, and at the end because of deduplicate_rows */
    uint64_t
        shared; /* of those looked at: their key came in another partition of the reader before */
    uint64_t gathered; /* rows of a batch that were kept until its end, */
    uint64_t given;    /* and those of them that have been computed since */
} feature_set_figures;

static inline void feature_set_figures_add(feature_set_figures *sum,
                                           const feature_set_figures *figures)
{
    sum->dropped += figures->dropped;
    sum->repeated += figures->repeated;
    sum->shared += figures->shared;
    sum->gathered += figures->gathered;
    sum->given += figures->given;
}

feature_set_figures feature_set_measure(const feature_set *set);

/* The lane that holds windows back: of those that are waited for, the one whose newest row is the
 * oldest, where others have newer ones. False: none does. */
typedef struct feature_set_holder {
    uint32_t lane;
    int64_t newest_s; /* INT64_MIN: it has given no row yet */
    int64_t seen_us;  /* when it gave its last one, by the monotonic clock */
} feature_set_holder;

/* The lanes that watermarks are made of, for those who look; NULL: there are none. */
const struct lanes *feature_set_lanes(const feature_set *set);

bool feature_set_held_by(const feature_set *set, feature_set_holder *out);

/* The parts of keyed state; *n 0 where there are none. Live as long as the set. */
const state_part *feature_set_state(feature_set *set, uint32_t *n);

/* What the things mean that the state is made of (meaning.h); none where nothing is kept. In the
 * arena. */
freshet_code feature_set_meanings(const feature_set *set, const declaration *declaration,
                                  const char *query, freshet_reader *const *readers,
                                  uint32_t n_readers, arena *arena, meanings *out,
                                  freshet_error *err);

/* The same of the output's columns that windows and groups do not make. *carries: rows of keys are
 * kept with such columns, and go out again. */
freshet_code feature_set_columns(const feature_set *set, const declaration *declaration,
                                 arena *arena, meanings *out, bool *carries, freshet_error *err);

/* Facts that are no key's: the watermark of each lane and the like, as bytes for the checkpoint,
 * and back: each operator's under its own name. What this set cannot go on with is
 * FRESHET_BAD_DECLARATION, with the reason. */
freshet_code feature_set_save_facts(const feature_set *set, text_buffer *into, freshet_error *err);
/* Where verdicts go while facts are restored (keyed/evolution.h): what they cannot go on with is
 * then a refusal among these, and no error. NULL: nowhere any more. */
void feature_set_collect(feature_set *set, evolution *verdicts);
/* Are they in this version's layout? To restore others fails. */
bool feature_set_knows_facts(const void *bytes, size_t length);
freshet_code feature_set_restore_facts(feature_set *set, const void *bytes, size_t length,
                                       freshet_error *err);

/* ---- running ---- */

/* How many rows stacks make of each row: 1 where there are none. */
uint32_t feature_set_copies(const feature_set *set);
/* Does any stack leave so many rows of one? A letter that was refused behind it can be replayed. */
bool feature_set_makes(const feature_set *set, uint32_t copies);

/* Does it matter in which order rows of different times come? */
bool feature_set_is_ordered(const feature_set *set);

/* The events' times of rows of the source, in `arena`; INT64_MIN where a row has none. */
freshet_code feature_set_times(const feature_set *set, arena *arena, const batch *in, int64_t **out,
                               freshet_error *err);

/* A row that is refused. */
typedef struct feature_refusal {
    const batch *in; /* the input, where it is known from which of its rows it is made */
    uint32_t row;
    row_copy stacked; /* of the rows that stacks have made of that: this one; copies 0: none has */
    reason_code code;
    const char *reason; /* one sentence, which names the column and the value */
} feature_refusal;

typedef freshet_code feature_refuse_fn(void *context, const feature_refusal *refused,
                                       freshet_error *err);

/* Computes `in` (a batch of the source's schema; in->rows may be NULL) into `out`, whose rows[] are
 * those of `in` without the refused ones, several for a row of which stacks have made several. Each
 * refused row is given to refuse() once, in no certain order. `out` lives in `arena`, shares
 * columns with `in`, and lives until the next feature_set_run: long texts that SQL has made are its
 * own. */
freshet_code feature_set_run(feature_set *set, arena *arena, const batch *in, batch *out,
                             feature_refuse_fn *refuse, void *context, freshet_error *err);

/* True when the last run could not output all that is due, or has made due what keys have lost
 * (`refresh: on_expiry`): feature_set_go_on gives the next rows. A refused row is given as by
 * feature_set_finish. */
bool feature_set_owes(const feature_set *set);
/* Whether all of it follows from the state. */
bool feature_set_keeps_owed(const feature_set *set);
freshet_code feature_set_go_on(feature_set *set, arena *arena, batch *out,
                               feature_refuse_fn *refuse, void *context, freshet_error *err);

/* The next piece of a batch's results, or of what a drained stream still owes (open windows are
 * closed); FRESHET_END after the last. Nothing more may be run after it. A refused row is given to
 * refuse() as a row of a batch that is not the source's: what is known of it by now, without
 * rows[]. */
freshet_code feature_set_finish(feature_set *set, arena *arena, batch *out,
                                feature_refuse_fn *refuse, void *context, freshet_error *err);

#endif
