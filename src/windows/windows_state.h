/* windows_state.h - windowed features over a stream of events: what is remembered of each key, and
 * the feature values of each row.
 *
 * THE LEGAL ORDER OF CALLS
 *
 *     windows_plan_make()                    (window.h)
 *     windows_open()
 *       windows_apply()                      again and again, a batch of rows in their order
 *       windows_reach()                      where keys expire
 *       windows_expire()                     as long as windows_expires()
 *       windows_part()                       what changed at a checkpoint, cold keys: state_part.h
 *     windows_close()
 *
 *     windows_apply_history()                a complete set of rows at once; needs no state
 *
 * STREAM. windows_apply takes the events one after another, as they arrive. Each row's outputs are
 * what its windows hold at that moment. An event that comes late, or in the second of the key's
 * newest row, changes rows that were output before: the key's newest row is then given again, as a
 * "refreshed" row behind the batch. So when all input is in, the last that was output for each
 * key's newest row equals what windows_apply_history gives for it.
 *
 * CORRECTIONS. With windows_declaration.corrects all rows that an event changes are given again in
 * this way, each with what its own row had (corrections.h); those that are not their key's newest
 * without WINDOWS_NEWEST, and with the write timestamp that they had. The last that was output for
 * each row then equals what windows_apply_history gives for it, as long as nothing is later than
 * the lateness.
 *
 * THE NEWEST ROW of a key is the one with the greatest event time; of equal times the later
 * arrival.
 *
 * WINDOWS OF A SET THAT HAD NONE inherit the newest row's time and revision of keys of which they
 * have nothing yet (windows_inherits, state_part.h). What such a row had is not known, so it is not
 * given again by late rows; the key's next newest row is as any other.
 *
 * LATENESS. A row whose second lies more than `lateness_s` before its key's newest is refused
 * (WINDOWS_LATE): the events that it would need may be gone. Where the rows of one key come from
 * several partitions, windows_hold() keeps events for the slowest of them.
 *
 * WRITE TIMESTAMPS. write_us = newest second * 1,000,000 + min(revision, 999,999), where revision
 * is the number of events applied to the key since its newest second last moved. It depends on the
 * key's events in their order only, so a replay gives it again; it grows with each output of the
 * newest row; and a store that keeps the greater timestamp ends up with the newest. A row that is
 * not its key's newest gets its own second * 1,000,000, which loses against the newest.
 *
 * EXPIRY. Where options.expires is set, keys are output, too, when events have left their windows
 * though no new one came: windows_expire(S), once no row before second S can come any more. For
 * each key that has lost events by S, and has no event as new, it gives what the windows that end
 * at that second T hold in which it last lost one; so it does not matter how S got there. Its write
 * timestamp is T * 1,000,000 - 1: newer than all rows before T, older than any of T, which may
 * still come. Where S gives a key, rows before S are late from then on. Keys that have left memory
 * are listed in the store under the second that is next for them, and brought when it comes
 * (state_part_bring); without a list no key that still has an event to lose is cold.
 *
 * FILLED KEYS. Where options.gives_again is set, the newest row of a key whose windows were filled
 * with its past (state_part_ops.fill) is given again by windows_give_again, with a revision more:
 * so it wins over the row that went out, and loses to later ones. A replay that fills the key at
 * another place among its events ends with the same revision.
 *
 * MEMORY. All belongs to the state; results live in the arena given. Failing allocations give
 * FRESHET_NO_MEMORY; the state may then hold a part of the batch, and is to be closed.
 *
 * One thread at a time. State that is read again after a crash must come from before the batch.
 */
#ifndef FRESHET_WINDOWS_WINDOWS_STATE_H
#define FRESHET_WINDOWS_WINDOWS_STATE_H

#include "keyed/state_part.h"
#include "windows/window.h"

#define WINDOWS_KEY_BYTES_MAX 16384u /* of one row's key columns, encoded */
#define WINDOWS_SAVED_BYTES_MAX ((size_t)1 << 30)

typedef struct windows_state windows_state;

typedef struct windows_options {
    int64_t lateness_s;
    /* Times are whole numbers of some order, not microseconds: each is a "second" by itself. For
     * row windows that are ordered by another column than the time; with windows_hold(INT64_MIN)
     * nothing is ever late. */
    bool plain_order;
    /* not with plain_order or take_late, which could give rows before those that went out */
    bool expires;
    bool take_late;   /* late rows are not refused; their windows hold what is still there */
    bool gives_again; /* keys that are filled with their past give their newest row again */
} windows_options;

typedef struct windows_input {
    uint32_t n_rows;
    const column *keys;    /* the plan's n_keys */
    const column *columns; /* the plan's value columns */
    const int64_t *event_us;
} windows_input;

enum {
    WINDOWS_NEWEST = 1,       /* the row is now its key's newest */
    WINDOWS_LATE = 2,         /* refused: older than the lateness allows; outputs are null */
    WINDOWS_KEY_TOO_LONG = 4, /* refused: more than WINDOWS_KEY_BYTES_MAX */
    WINDOWS_OVERFLOW = 8,     /* some output could not hold its value, and is null */
    WINDOWS_REFRESHED = 16    /* it changed rows of its key: see the refreshed rows */
};

typedef struct windows_refreshed {
    uint32_t row;  /* the row of the input that caused it; its key columns are the key's */
    uint8_t flags; /* WINDOWS_OVERFLOW; WINDOWS_NEWEST: it is its key's newest row */
    int64_t event_us;
    int64_t write_us;
} windows_refreshed;

typedef struct windows_result {
    column *outputs;   /* the plan's outputs, one row for each of the input */
    uint8_t *flags;    /* of each row */
    int64_t *write_us; /* of each row */

    uint32_t n_refreshed;
    windows_refreshed *refreshed; /* in the order of their causes */
    column *refreshed_outputs;
    column *refreshed_carried; /* the plan's carried columns of these rows */
} windows_result;

freshet_code windows_open(const windows_plan *plan, const windows_options *options,
                          windows_state **out, freshet_error *err);
void windows_close(windows_state *state);

/* Applies the rows in order. FRESHET_OK also where single rows were refused. */
freshet_code windows_apply(windows_state *state, const windows_input *input, arena *arena,
                           windows_result *result, freshet_error *err);

/* No row before the second can come any more: looks whether the store lists keys that are to expire
 * then. After each batch, with options.expires. */
freshet_code windows_reach(windows_state *state, int64_t second, freshet_error *err);

/* Is any key due for windows_expire(second), or may the store have one? */
bool windows_expires(const windows_state *state, int64_t second);

/* What keys have lost. */
typedef struct windows_expired {
    uint32_t n;
    column *keys;
    column *carried; /* of the key's newest row */
    column *outputs;
    int64_t *event_us; /* the seconds T */
    int64_t *write_us;
    uint8_t *flags; /* WINDOWS_OVERFLOW */
} windows_expired;

/* At most `most` keys: to be called until windows_expires says that there are no more. Where there
 * are any, rows before the second are late from then on. */
freshet_code windows_expire(windows_state *state, int64_t second, uint32_t most, arena *arena,
                            windows_expired *out, freshet_error *err);

/* Newest rows of keys that were filled, `most` at most; as long as windows_owes_again. */
bool windows_owes_again(const windows_state *state);
freshet_code windows_give_again(windows_state *state, uint32_t most, arena *arena,
                                windows_expired *out, freshet_error *err);

/* The second of the last windows_expire that gave a key, INT64_MIN before; and a saved one, before
 * the keys are restored. */
int64_t windows_settled(const windows_state *state);
void windows_settle(windows_state *state, int64_t second);
/* When it was saved, not all keys of that second had been given yet. */
void windows_owe(windows_state *state, int64_t second);

/* All rows of a complete set, each with all its peers: what Butterfree's batch gives. Nothing is
 * late, nothing is refreshed; WINDOWS_NEWEST marks the newest row of each key. */
freshet_code windows_apply_history(const windows_plan *plan, const windows_input *input,
                                   arena *arena, windows_result *result, freshet_error *err);

/* Rows as old as this second may still come, whatever the lateness says: the lowest watermark of
 * all partitions. INT64_MAX (the default): no such promise. */
void windows_hold(windows_state *state, int64_t second);

/* ---- saving -------------------------------------------------------------------------------- */

/* The keys as a part of the state (format: windows_bytes.c), without name and shape, and without
 * names for its keys. Lives as long as the state. Its layout is what is kept of a key (layouts.h):
 * saved keys of others are restored, too, and what they lack is null until it is known
 * (fullness.h). */
const state_part *windows_part(const windows_state *state);

/* The state goes on from one of another declaration: `last` is the layout of then (NULL: there was
 * none), `declared` the number of the declaration now (keyed/evolution.h), `newest` the second of
 * the newest event of all keys, INT64_MAX where nobody knows, INT64_MIN where there was none. *out
 * is the layout against the plan, NULL where there was none. Before any layout is told and any key
 * is there; without it everything is of the declaration number 1. */
struct kept_layout; /* layouts.h */
freshet_code windows_evolve(windows_state *state, const char *last, uint64_t declared,
                            int64_t newest, const struct kept_layout **out, freshet_error *err);
/* What it made of them: for sentences. */
const struct layout_numbers *windows_numbers(const windows_state *state);

/* Of keys that are not saved nothing before this second is known, since the windows began then;
 * INT64_MIN (the default): such keys are new. Before the first row. */
void windows_begin(windows_state *state, int64_t second);
int64_t windows_begun(const windows_state *state);

/* How the newest row of a key is read from what another part has saved (state_part.heritage);
 * before the first key. */
typedef freshet_code windows_inherit_fn(const void *bytes, size_t length, int64_t *newest_us,
                                        uint32_t *revision, freshet_error *err);
void windows_inherits(windows_state *state, windows_inherit_fn *read);

/* And from what windows have saved, of whatever plan. */
freshet_code windows_newest_of(const void *bytes, size_t length, int64_t *newest_us,
                               uint32_t *revision, freshet_error *err);

/* ---- figures ------------------------------------------------------------------------------- */

typedef struct windows_figures {
    uint64_t keys;
    uint64_t events;
    uint64_t dirty_keys;
    uint64_t late_rows; /* refused since open */
    size_t bytes;       /* asked for from malloc, the table included */
    size_t table_bytes; /* of these: hash slots and keys' entries */
} windows_figures;

windows_figures windows_measure(const windows_state *state);

/* Checks the structure of all keys' events, and recomputes every partial that is kept:
 * FRESHET_FAILED with what is wrong. For `freshet state verify`, and for tests. */
freshet_code windows_check(windows_state *state, freshet_error *err);

#endif
