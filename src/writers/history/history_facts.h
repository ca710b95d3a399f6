/* history_facts.h - what a file of the history says of itself, in its metadata.
 *
 *   freshet.feature_set   its name
 *   freshet.keys          the columns that are its keys, as a JSON array
 *   freshet.timestamp     the column that is its time
 *   freshet.corrected     only with `corrections: true`, on a stream: which rows are corrections of
 *                         rows that were written before, and by when they were known:
 *                         "first,n,time;first,n,time", rows counted from 0, the time in
 *                         microseconds since 1970; "-" where there are none
 *
 * A training set is made by them (training/training.h). A correction was known when the stream had
 * come so far: at the greatest time of all rows that were written before it. That is a time of the
 * events, no clock's, so that a stream which reads years at once says the same of them as one that
 * was there all the time.
 *
 * Order of calls: history_facts_open, {history_facts_note for rows that are gathered, in their
 * order, history_facts_of for each file of them, history_facts_clear when all are in files}*,
 * history_facts_close.
 */
#ifndef FRESHET_WRITERS_HISTORY_HISTORY_FACTS_H
#define FRESHET_WRITERS_HISTORY_HISTORY_FACTS_H

#include "base/batch.h"
#include "base/text.h"

#define HISTORY_FACT_SET "freshet.feature_set"
#define HISTORY_FACT_KEYS "freshet.keys"
#define HISTORY_FACT_TIME "freshet.timestamp"
#define HISTORY_FACT_CORRECTED "freshet.corrected"

typedef struct history_facts {
    const char *standing; /* of all files */
    bool has_corrections;
    int64_t newest_us; /* the greatest time so far; INT64_MIN: none */
    int64_t *known_us; /* of each gathered row; NOT_CORRECTED of one that is no correction */
    uint32_t n, capacity;
    text_buffer text;
} history_facts;

/* `arena` lives as long; keys are the first n_keys columns, then comes the timestamp. */
freshet_code history_facts_open(history_facts *facts, const char *feature_set, const schema *schema,
                                uint32_t n_keys, bool has_corrections, arena *arena,
                                freshet_error *err);
void history_facts_close(history_facts *facts);

/* The rows are gathered behind those before; all or none. `times_us` are theirs. */
freshet_code history_facts_note(history_facts *facts, const batch *rows, const int64_t *times_us,
                                freshet_error *err);

/* The facts of a file of n of the gathered rows, by their numbers, or from `first` on where these
 * are NULL: pairs for a struct of SQL, "'a': 'b', 'c': 'd'". Lives until the next call. n 0: of a
 * file whose rows are no corrections. */
freshet_code history_facts_of(history_facts *facts, const uint32_t *rows, uint32_t first,
                              uint32_t n, const char **out, freshet_error *err);

void history_facts_clear(history_facts *facts);

#endif
