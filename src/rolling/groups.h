/* groups.h - aggregated feature sets: rows that are groups of events, not events.
 *
 * WHAT A GROUP IS
 *
 *   without windows   the events of a key that have the same timestamp, to the microsecond
 *   rolling windows   the events of a key in [end - W, end), for each end that is a multiple of the
 *                     slide (+ W modulo the slide, so that windows begin on multiples of it); the
 *                     row's timestamp is the end. Several windows that have the same end share a
 *                     row
 *
 *        slide 1 hour, window 3 hours
 *
 *        09:00     10:00     11:00     12:00     13:00
 *          |    e    |     e   |         |         |
 *          [ - - - - - - - - - - - - - - )                 row 12:00: 2 events
 *                    [ - - - - - - - - - - - - - - )       row 13:00: 1 event
 *
 *   grid              the slide "1 day", written so: each key has a row for each day, from the day
 *                     of the oldest event of all keys on, whether it has events or not. Other
 *                     slides ("24 hours", too) give rows only where a window holds events
 *
 * DISTINCT. Before a group is aggregated, of its events with equal values in a subset of columns
 * (null equals null) only the newest or the oldest is kept; of several at that time the first to
 * arrive.
 *
 * PIVOT. Each function is computed for each of some values of a column, from the events that have
 * it.
 *
 * NULLS. What holds no event at all (a window, a cell of the pivot) gives null for every function,
 * count too. Where there are events, functions are as aggregate.h says, on values that are null
 * where the feature's filter is not true. A result that is NaN is null, as in Butterfree.
 *
 * THE LEGAL ORDER OF CALLS
 *
 *     groups_plan_make(), groups_open()
 *       groups_add()                          rows of events, in their order, as often as wanted
 *       groups_advance()                      streams: no event before this time will be added
 *       groups_take()                         what is to be output now, until it gives no row
 *       groups_part()                         what changed at a checkpoint: state_part.h
 *     groups_finish()                         nothing is added any more; then
 *       groups_take()                         all that is still to be output, until it gives no row
 *     groups_close()
 *
 *     groups_restore_facts(), then state_part_restore of all saved keys, before the first
 *     groups_add
 *
 * BATCH. Everything is added, then groups_finish: each key's rows come together, the oldest first.
 *
 * STREAM. groups_take gives, after each groups_add and groups_advance:
 *   without windows   the groups that the events added have changed, once each
 *   emit close        the windows that have ended (end <= the time of groups_advance), in the order
 *                     of their ends
 *   emit change       the windows that are open and that the events added have changed, once each
 * Events are forgotten when no window that is still open can hold them, keys when they hold none
 * (but a grid keeps its keys). Without windows a group is forgotten when the time has passed its
 * second.
 *
 * REACHED. An event of now lies in windows of the future, too, where these are longer than the
 * slide: seven windows of seven days that end on the next seven days hold it. Who serves a key's
 * newest row wants none of these. So of such windows only those count as newest that are reached:
 * on a stream those that have ended; at the end of all input those up to the first end behind the
 * newest event of all keys. With emit change a window that was output before it was reached is
 * given again when it is.
 *
 * WRITE TIMESTAMPS. A rolling row has its end; with emit change, plus the number of events in it
 * (at most 999,999), which grows with each change. Without windows they are as in windows_state.h.
 *
 * One thread at a time. A failed groups_add may have taken a part of the rows: the state is then to
 * be closed.
 */
#ifndef FRESHET_ROLLING_GROUPS_H
#define FRESHET_ROLLING_GROUPS_H

#include "base/timestamp.h"
#include "keyed/state_part.h"
#include "windows/window.h"

#define GROUPS_WINDOWS_MAX 64u
#define GROUPS_PIVOT_MAX 1000u
#define GROUPS_KEY_BYTES_MAX 16384u /* of one row's key columns, encoded */
#define GROUPS_OVERLAP_MAX 1000000  /* windows that hold one event: sum of length / slide */
#define GROUPS_CHANGES_MAX 2000     /* the same where each change of them is output */
#define GROUPS_TIME_MAX TIMESTAMP_FAR_US
#define GROUPS_SAVED_BYTES_MAX ((size_t)1 << 30)

typedef struct groups_declaration {
    const type *const *keys; /* types of the key columns */
    uint32_t n_keys;
    const field *columns; /* the value columns; names are used in messages */
    uint32_t n_columns;
    const windows_feature *features; /* without mode and windows: these are the same for all */
    uint32_t n_features;
    const char *const *windows; /* their texts; n_windows 0: groups of key and time */
    uint32_t n_windows;
    const char *slide;
    bool emit_change;
    bool nulls_on_expiry; /* one more row, of nulls, when a key's last event has left all windows */
    windows_pivot pivot;  /* column WINDOWS_NONE: no pivot */
    const uint32_t *distinct; /* columns of the subset; n_distinct 0: every event counts */
    uint32_t n_distinct;
    bool keep_first;
} groups_declaration;

typedef struct groups_plan groups_plan;

/* Makes the plan in the arena; what the declaration refers to must live as long.
 * FRESHET_BAD_DECLARATION with a sentence where something does not fit. */
freshet_code groups_plan_make(arena *arena, const groups_declaration *declaration,
                              groups_plan **out, freshet_error *err);

/* One field a pivot value, feature, function and window, in this order: Butterfree's. The types are
 * the functions'. */
const schema *groups_outputs(const groups_plan *plan);
/* Which feature and which of its functions output i comes from. */
void groups_output_of(const groups_plan *plan, uint32_t output, uint32_t *feature,
                      uint32_t *function);
int64_t groups_longest_us(const groups_plan *plan);
/* Are the feature's values kept of each event? Else only whether there is one: counts want no
 * more. */
bool groups_keeps_values(const groups_plan *plan, uint32_t feature);

typedef struct groups_state groups_state;

typedef struct groups_options {
    bool is_stream;  /* changes and closed windows are output as they come */
    int64_t from_us; /* rows with an earlier timestamp are not output; INT64_MIN: all are */
    int64_t
        until_us; /* nor rows with a later one; also the last day of a grid; INT64_MAX: all are, and
                         a grid ends the day after the newest event */
    int64_t lateness_us; /* for groups_fill: events may come so much later than their key's newest;
                            INT64_MAX: as late as they like */
    int64_t max_days; /* where a key of a grid would get more rows at once, groups_take() fails with
                         FRESHET_BAD_DECLARATION; 0: any number */
} groups_options;

freshet_code groups_open(const groups_plan *plan, const groups_options *options, groups_state **out,
                         freshet_error *err);
void groups_close(groups_state *state);

/* The options for what is output; before the first groups_add. */
void groups_set_options(groups_state *state, const groups_options *options);

typedef struct groups_input {
    uint32_t n_rows;
    const column *keys;      /* the plan's n_keys */
    const column *columns;   /* the plan's value columns */
    const int64_t *event_us; /* within GROUPS_TIME_MAX on both sides of 1970, not at it */
    const uint8_t *skip;     /* rows to leave out; NULL: none */
} groups_input;

/* Adds the rows in order. too_long[i] is set for a row whose key is longer than
 * GROUPS_KEY_BYTES_MAX, which is left out; `too_long` has room for n_rows. */
freshet_code groups_add(groups_state *state, const groups_input *input, uint8_t *too_long,
                        freshet_error *err);

/* No event before this time is added from now on. A time before an earlier one changes nothing. */
void groups_advance(groups_state *state, int64_t time_us);
int64_t groups_time(const groups_state *state);
/* Of several states side by side, each with some of the keys: what is of all keys (the oldest and
 * the newest event, up to which time all rows were taken) becomes alike in all. Behind groups_add
 * and groups_advance of all of them, and again when rows were taken. False where memory is out. */
bool groups_meet(groups_state *const *states, uint32_t n);
/* True if an event of that time could not be output by any window that is still open. */
bool groups_is_closed(const groups_state *state, int64_t event_us);

freshet_code groups_finish(groups_state *state, freshet_error *err);

enum {
    GROUPS_FIRST = 1,  /* the row is output for the first time */
    GROUPS_NEWEST = 2, /* its timestamp is its key's newest so far, and reached */
    GROUPS_AGAIN = 4   /* it is as it was output before, and is only now reached */
};

typedef struct groups_rows {
    uint32_t n_rows;
    column *keys;
    int64_t *time_us;
    column *outputs; /* as groups_outputs() */
    int64_t *write_us;
    uint8_t *flags;
    bool overflow; /* some result its type cannot hold; it is null */
} groups_rows;

/* At most max_rows of what is to be output; n_rows 0 when there is nothing more. In `arena`. */
freshet_code groups_take(groups_state *state, arena *arena, uint32_t max_rows, groups_rows *out,
                         freshet_error *err);
/* True while groups_take() would give rows, before groups_finish(). */
bool groups_owes(groups_state *state);
/* True if these are windows that have ended, and no changes: they follow from what is saved. */
bool groups_keeps_owed(const groups_state *state);

/* ---- saving -------------------------------------------------------------------------------- */

/* The keys as a part of the state, without name, shape and names for its keys; lives as long as the
 * state. All saved keys are restored, after the facts, before the first groups_add. */
const state_part *groups_part(const groups_state *state);

/* What is no key's: the time, the oldest and the newest event, and which windows the state is kept
 * for. Facts of an earlier version are refused (FRESHET_BAD_DECLARATION). */
void groups_save_facts(const groups_state *state, text_buffer *into);
freshet_code groups_restore_facts(groups_state *state, const unsigned char **at,
                                  const unsigned char *end, freshet_error *err);

/* The state goes on from one of another declaration, whose facts were restored: `last` is the
 * part's layout of then, `declared` the number of the declaration now (keyed/evolution.h). *out is
 * that layout against the plan. Before any layout is told and any key is there. A sentence where it
 * cannot (*refused), else NULL. */
struct kept_layout; /* windows/layouts.h */
freshet_code groups_evolve(groups_state *state, const char *last, uint64_t declared,
                           const struct kept_layout **out, const char **refused,
                           freshet_error *err);
/* What it made of it, and what is looked at: for sentences. */
const struct layout_numbers *groups_numbers(const groups_state *state);
const windows_plan *groups_windows(const groups_plan *plan);
/* When the next rows are due, at the earliest. */
int64_t groups_next_end(const groups_state *state);
/* Are the rows at other times than those of then? */
bool groups_slides_anew(const groups_state *state);

/* ---- figures and tests ---------------------------------------------------------------------- */

typedef struct groups_figures {
    uint64_t keys;
    uint64_t events;
    size_t bytes;
} groups_figures;

groups_figures groups_measure(const groups_state *state);

/* For tests: whether all invariants of the keys' events hold; FRESHET_FAILED with what does not. */
freshet_code groups_check(groups_state *state, freshet_error *err);

#endif
