/* seen_events.h - `deduplicate: {on: [event_id], within: 1 hour}`: each event is taken once.
 *
 * An event is known by its values of some columns, its id. A row is a repetition if a row with the
 * same id was taken whose event time differs from its own by `within` at most. One in whose id a
 * null stands is never one: nothing is known of it. Texts, bytes and NaN are compared as values.
 *
 *   id a  12:00   taken
 *   id a  12:40   repeats          within 1 hour
 *   id a  13:30   taken            90 minutes after the one that was taken
 *
 * Ids are forgotten when no row can come any more that would repeat them: when the lowest watermark is past
 * their time by `within`. A batch forgets none. What the ids need is bounded by `memory`.
 *
 * Order of calls: open; the part's restore; then take, forget and the part's calls in any order;
 * close. One thread at a time.
 */
#ifndef FRESHET_FEATURES_OPERATORS_SEEN_EVENTS_H
#define FRESHET_FEATURES_OPERATORS_SEEN_EVENTS_H

#include <freshet/freshet.h>

#include "base/batch.h"
#include "keyed/state_part.h"

#define SEEN_ID_BYTES_MAX 65536u /* of one id, encoded */
#define SEEN_TIMES_MAX 1000u     /* different events of one id that are remembered */

typedef struct seen_events seen_events;

/* `columns`: the id's columns in batches of the schema `input`, n of them. */
freshet_code seen_events_open(const schema *input, const uint32_t *columns, uint32_t n,
                              int64_t within_us, size_t memory, seen_events **out,
                              freshet_error *err);
/* NULL is fine. */
void seen_events_close(seen_events *seen);

/* The next row, which happened at event_us: *is_new tells whether to take it. */
freshet_code seen_events_take(seen_events *seen, const batch *in, uint32_t row, int64_t event_us,
                              bool *is_new, freshet_error *err);

/* No row before that time comes any more. */
void seen_events_forget(seen_events *seen, int64_t before_us);

/* Rows that were not to be taken, so far. */
uint64_t seen_events_repeated(const seen_events *seen);

/* The ids as a part of the feature set's state: lives as long as `seen`. */
const state_part *seen_events_part(seen_events *seen);

#endif
