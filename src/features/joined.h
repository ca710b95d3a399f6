/* joined.h - the rows of two streams that are to find each other, held by key.
 *
 * A pair is a row of each side whose keys are equal and whose times are near enough: the right one
 * at most `within` of the left side after the left one, and at most `within` of the right side
 * before it. Which rows are pairs depends on the rows alone, not on the order in which they come.
 *
 *   pairs            go out when the second of the two comes
 *   rows alone       of an outer join: when no partner can come any more
 *   as of            a left row waits until all right rows of its time are there, and then goes out
 *                    with the newest of them
 *   rows that wait   leave when no partner can come any more
 *
 * WATERMARKS. Each side has one: the lowest of its lanes, as watermark.h has them, less the
 * lateness. A row before its lane's or its side's is late, and is refused: only rows that were
 * taken are joined. A side that is silent as a whole for `idle` (by the clock) holds the other back
 * no more: it counts as if it were as far. A batch has no watermarks: all is there at its end.
 *
 * WHAT COMES BEHIND. Pairs go out out of the order of their times, by up to the bound and the
 * lateness. joined_watermark tells what the feature set behind may take for passed.
 *
 * A null in a key is no key: such a row has no partner.
 *
 * ORDER of what goes out: by the row that made it go, in the order in which rows were taken. Of one
 * row first those that wait in vain (by their time), then its pairs, by the partners' times, of
 * equal ones as they came. So it is the same whatever the sizes of micro-batches.
 *
 * ONE TAKE AT A TIME. What a take has made due is owed until joined_give has given all of it; until
 * then nothing is taken and no checkpoint made, for it is in no state.
 *
 * Order of calls: joined_open; joined_part, joined_restore and the part's own (state_part.h);
 * { joined_take or joined_finish, joined_give while joined_owes; joined_save }*; joined_close.
 */
#ifndef FRESHET_FEATURES_JOINED_H
#define FRESHET_FEATURES_JOINED_H

#include "features/event_time.h"
#include "features/feature_set.h"
#include "keyed/state_part.h"
#include "source/source.h"

typedef struct joined joined;

typedef struct joined_side {
    const char *id; /* the reader's */
    const schema *schema;
    const bool *used; /* columns that are kept */
    uint32_t time_column;
    const timestamp_block *timestamp; /* the reader's */
    int64_t within_us;
} joined_side;

/* What it is told of rows; `side` is 0 for the left one. */
typedef struct joined_host {
    /* The name to show for an origin's partition; NULL: none. */
    const char *(*label)(void *context, uint32_t side, const origin *origin);
    freshet_code (*refuse)(void *context, uint32_t side, uint32_t row, reason_code code,
                           const char *reason, freshet_error *err);
    /* Which of these pairs meet the further conditions (source_match_pairs). */
    freshet_code (*match)(void *context, const source_pairs *pairs, uint8_t *matches,
                          freshet_error *err);
    void *context;
} joined_host;

typedef struct joined_options {
    joined_side sides[2];
    const plan_join *join;
    const timestamp_block *timestamp; /* the feature set's: lateness, idle, late, max_future */
    bool is_stream;
    size_t memory; /* bytes that rows may take */
    joined_host host;
} joined_options;

/* FRESHET_USAGE where a side's time cannot be made of its column: *bad_side, and why in err. */
freshet_code joined_open(const joined_options *options, joined **out, uint32_t *bad_side,
                         freshet_error *err);
void joined_close(joined *joined);

const state_part *joined_part(const joined *joined);

/* Watermarks and the like, as bytes and back. */
freshet_code joined_save(const joined *joined, text_buffer *into, freshet_error *err);
freshet_code joined_restore(joined *joined, const void *bytes, size_t length, freshet_error *err);

/* A lane that has rows waiting, or will give some: the other side waits for it. */
freshet_code joined_expect(joined *joined, uint32_t side, uint32_t lane, freshet_error *err);

/* The times of a side's rows, in `arena`; INT64_MIN where there is none. */
freshet_code joined_times(const joined *joined, uint32_t side, arena *arena, const batch *rows,
                          int64_t **out, freshet_error *err);

/* Takes rows of both sides' batches (ROW_OF(side, row)) in this order; also none, for the clock.
 * The origins' raw bytes must live until all is given. */
freshet_code joined_take(joined *joined, arena *arena, const batch *const sides[2],
                         const uint64_t *rows, uint32_t n, freshet_error *err);

/* Nothing more will come: all that waits is due. */
freshet_code joined_finish(joined *joined, freshet_error *err);

/* Where a row that goes out comes from: the row that completed the pair, or that waited in vain. */
typedef struct joined_place {
    uint32_t side;
    const char *partition; /* NULL: origin.partition tells it */
    origin origin;
} joined_place;

/* Is there more to give? */
bool joined_owes(const joined *joined);
/* The next pairs, `most` at most, and the place of each, in `arena`. */
freshet_code joined_give(joined *joined, arena *arena, uint32_t most, source_pairs *pairs,
                         const joined_place **places, freshet_error *err);

/* The second before which no pair comes any more, by the times of its rows; INT64_MIN: unknown. */
int64_t joined_watermark(const joined *joined);

typedef struct joined_figures {
    uint64_t dropped; /* late rows that `late: drop` left out */
    uint64_t rows;    /* that are held */
    uint64_t bytes;
} joined_figures;
joined_figures joined_measure(const joined *joined);

/* Which side the other one waits for, where one does: its lane whose newest row is the oldest. */
bool joined_held_by(const joined *joined, uint32_t *side, feature_set_holder *out);

#endif
