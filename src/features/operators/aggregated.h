/* aggregated.h - aggregated feature sets: the growing rows of a feature set go in, rows of groups
 * and rolling windows come out.
 *
 * What a group is, and when its row is output, is in rolling/groups.h. Here are the declaration's words
 * (types, the values of a pivot, what becomes of late rows), the casts, and the time of a stream:
 *
 * LATE ROWS. On a stream each row is measured against the newest of its own lane (watermark.h). One that is
 * later than `lateness` allows goes where `late` says: to the dead letters, away, or (`update`) into the
 * windows that are still open; without an open window it is a dead letter.
 *
 * THE TIME, up to which windows are closed, is the lowest watermark of all lanes that have given rows. A
 * lane that gave none among the last AGGREGATED_IDLE_ROWS rows (times the number of lanes) holds nobody
 * back. This is counted in rows, not by a clock, so that a replay decides alike. When such a lane gives rows
 * again, those before the time are late.
 *
 * CASTS. The type said for a function, or for its feature, is applied to the aggregate. What does not cast,
 * or does not fit the type, is null: there is no one row that could be a dead letter. A warning says it once
 * for each column.
 *
 * Order of calls: aggregated_open, set_bounds; restoring (state part, facts); then for each micro-batch
 * aggregated_run, again with no rows while aggregated_owes; aggregated_finish until FRESHET_END;
 * aggregated_close.
 */
#ifndef FRESHET_FEATURES_OPERATORS_AGGREGATED_H
#define FRESHET_FEATURES_OPERATORS_AGGREGATED_H

#include "base/batch.h"
#include "declaration/declaration.h"
#include "keyed/state_part.h"

#define AGGREGATED_NONE UINT32_MAX
#define AGGREGATED_IDLE_ROWS 20000u
#define AGGREGATED_RUN_ROWS_MAX (1u << 18) /* that one run outputs: the next one goes on */
#define AGGREGATED_PIECE_ROWS (1u << 14)   /* of aggregated_finish */

/* A feature: which columns of the growing row it looks at. */
typedef struct aggregated_feature {
    const feature_block *block;
    uint32_t values;
    uint32_t filter; /* boolean; or AGGREGATED_NONE */
} aggregated_feature;

/* The growing row, and what of it is used. What it points to must live as long as the set. */
typedef struct aggregated_source {
    const field *columns;
    uint32_t n_columns;
    const uint32_t *keys; /* columns, of the names and types of the output */
    uint32_t n_keys;
    uint32_t timestamp;
    const aggregated_feature *features;
    uint32_t n_features;
    uint32_t pivot;           /* AGGREGATED_NONE: no pivot */
    const uint32_t *distinct; /* one for each of the declared subset */
} aggregated_source;

typedef struct aggregated aggregated;

/* Mistakes are added to problems; then *out is NULL and FRESHET_BAD_DECLARATION is returned. */
freshet_code aggregated_open(const declaration *declaration, const aggregated_source *source,
                             problems *problems, aggregated **out, freshet_error *err);
void aggregated_close(aggregated *set);

/* Keys, timestamp, then one column a pivot value, feature, function and window. */
const schema *aggregated_schema(const aggregated *set);

/* Rows with a timestamp before from_us or after until_us are not output; before the first run.
 * INT64_MIN, INT64_MAX: all are. */
void aggregated_set_bounds(aggregated *set, int64_t from_us, int64_t until_us);

typedef freshet_code aggregated_refuse_fn(void *context, uint32_t row, const char *reason,
                                          freshet_error *err);

typedef struct aggregated_rows {
    const column *columns; /* as aggregated_source.columns; those that are not used may be empty */
    uint32_t n_rows;
    const uint32_t *lanes; /* NULL: all rows are of one */
    const uint32_t *index; /* of each row in `lanes`; NULL: the same */
    aggregated_refuse_fn *refuse;
    void *context;
} aggregated_rows;

/* Takes the rows. On a stream `out` gets what is to be output now; in a batch it has no rows. */
freshet_code aggregated_run(aggregated *set, arena *arena, const aggregated_rows *rows, batch *out,
                            freshet_error *err);
/* A lane whose rows are there to be read: windows wait for it, until it is idle. */
freshet_code aggregated_expect(aggregated *set, uint32_t lane, freshet_error *err);

/* True when another run, of no rows, would output rows. */
bool aggregated_owes(aggregated *set);

/* The next piece of a batch's results, or of what a drained stream owes; FRESHET_END after the last. */
freshet_code aggregated_finish(aggregated *set, arena *arena, batch *out, freshet_error *err);

/* Rows left out so far because of `late: drop`. */
uint64_t aggregated_dropped(const aggregated *set);

/* The keyed state, and what is no key's. */
const state_part *aggregated_state(aggregated *set);
freshet_code aggregated_save_facts(const aggregated *set, text_buffer *into, freshet_error *err);
freshet_code aggregated_restore_facts(aggregated *set, const void *bytes, size_t length,
                                      freshet_error *err);

#endif
