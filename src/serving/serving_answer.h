/* serving_answer.h - a request for feature vectors answered (serving_request.h), as Feast's servers
 * do it:
 *
 *   {"metadata": {"feature_names": ["customer", "amount"]},
 *    "results": [{"values": ["ana", "ben"], "statuses": ["PRESENT", "PRESENT"],
 *                 "event_timestamps": ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"]}, ...]}
 *
 * A result for each key of `entities`, in their order, then for each feature, in theirs. Values:
 * numbers as numbers (a float as the double that it is; NaN and infinities as texts), timestamps
 * and dates as seconds since 1970, decimals as texts, binary in base64, arrays as lists.
 *
 * Statuses are honest:
 *
 *   PRESENT          the value of the key's newest row; null where that row has a null
 *   NOT_FOUND        there is no row of this key: null, at 1970
 *   OUTSIDE_MAX_AGE  the newest row is older than max_age: null, at the row's time
 *
 * What is refused is {"detail": "a sentence"}, which Feast's client shows.
 *
 * One thread at a time.
 */
#ifndef FRESHET_SERVING_SERVING_ANSWER_H
#define FRESHET_SERVING_SERVING_ANSWER_H

#include "base/text.h"
#include "serving/serving_request.h"

/* Where a row is not in memory: reads rows of the keys from the store behind. */
typedef struct serving_asking {
    const serving_set *set;
    const column *keys;   /* of all rows */
    const uint32_t *rows; /* whose they are */
    uint32_t n_rows;
    const bool *wanted; /* per field of the schema; timestamp is among them */
    column *into;       /* per field, those that are wanted; has room for all rows */
    bool *found;        /* per row */
    arena *arena;
} serving_asking;

/* Appends the body to `into` and returns the status. `now_us` is of the wall clock. */
unsigned serving_answer(const serving_set *sets, uint32_t n_sets, const char *body, size_t length,
                        int64_t now_us, arena *arena, text_buffer *into);

/* {"detail": "..."} */
void serving_put_detail(text_buffer *into, const char *sentence);

/* The value as JSON, in Feast's form. */
void serving_put_value(text_buffer *into, const column *column, uint64_t row);

#endif
