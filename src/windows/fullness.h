/* fullness.h - what is not known of a key's past, since the declaration changed: so that no
 * half-filled window passes for a whole one.
 *
 * A key that was saved for another plan (layouts.h) may lack two things: events that the windows of
 * then did not need any more, and of the events that are there values that were not kept. A record
 * at the key says so, in the time of its events:
 *
 *     whole      all its events from then on are there
 *     since      by slot, and by value of the pivot: all events from then on have it. What is later
 *                than the key's newest event at the change came after it; so that is the time, and
 *                no clock is asked
 *
 *          events        e  e     e   e | e    e   e        | the change
 *          whole            ^...................................
 *          since, of a slot that is new   ^.....................
 *          a window of it                      [ . . . . . ]    full: it begins behind both
 *          another                       [ . . . . . ]          not yet
 *
 * A window is FULL when all that it looks back on is known; one that is not is null, or holds what
 * is known where the feature says so (`until_full: partial`). A window of rows is full when as many
 * events are there, and the oldest of them has the value: events go from the front only.
 *
 * Keys that are new after the change, and those of which nothing is missing, have no record; nor
 * has one whose windows are all full, from then on. So a state whose declaration never changed has
 * none, and pays for it with the look at one bit a row.
 */
#ifndef FRESHET_WINDOWS_FULLNESS_H
#define FRESHET_WINDOWS_FULLNESS_H

#include "windows/events.h"
#include "windows/layouts.h"

#define FULL_ALWAYS INT64_MIN /* nothing is missing */

enum { BARE_BEGUN = 1, /* its windows began then */ BARE_DROPPED /* its events were of no use */ };

typedef struct fullness {
    int64_t whole;
    int64_t rows;    /* row windows of so many events lack none of theirs */
    int64_t is_bare; /* BARE_...: those before `whole` that are there came after the change */
    int64_t since[]; /* of the plan's slots, then of its pivot's values */
} fullness;

static inline uint32_t fullness_parts(const windows_plan *plan)
{
    return plan->pivot == NULL ? 0 : plan->pivot->n_values;
}

static inline size_t fullness_bytes(uint32_t n_slots, uint32_t n_parts)
{
    return sizeof(fullness) + ((size_t)n_slots + n_parts) * sizeof(int64_t);
}

/* A key as it was saved: its layout, its newest time, whether it has lost events, and its record of
 * then (NULL: it had none). */
typedef struct fullness_then {
    const kept_layout *layout;
    int64_t newest;
    bool has_lost;
    const fullness *record;
} fullness_then;

/* The record of a key that is read into the plan, whose reach is `now`. False where nothing is
 * missing: it needs none. */
bool fullness_of(const windows_plan *plan, const layout_reach *now, const fullness_then *then,
                 fullness *out);

/* The record of a key of which nothing before that time is known. */
void fullness_from(const windows_plan *plan, int64_t whole, fullness *out);

/* A row's windows: where they end, and whether the row is so late that they are to hold what is
 * there, whatever may be missing. */
typedef struct fullness_row {
    int64_t time;      /* they end at: seconds; microseconds of rolling windows */
    uint32_t n_before; /* events up to its own, in their order */
    bool is_any;       /* rows may be of any age (`late: update`): events may be missing behind */
    bool is_late;      /* this one is later than the lateness */
} fullness_row;

/* Sets those outputs of the row to null that are not full. False where memory is out. */
bool fullness_mask(const walker *walker, const events *events, const fullness *record,
                   const fullness_row *row, answer_row *into);

/* Are all windows full, of rows at the horizon and later? */
bool fullness_is_over(const walker *walker, const events *events, const fullness *record,
                      int64_t horizon);

/* Is all that the record lacks before that time? */
bool fullness_is_behind(const windows_plan *plan, const fullness *record, int64_t time);

/* Appends `, "known_from": {...}` in JSON: from which times on events, and values of them, were
 * kept. */
void fullness_show(const windows_plan *plan, const fullness *record, text_buffer *into);

/* May the record go then? Not as long as an event is there that lacks a value: a later declaration
 * may look further back. */
bool fullness_may_go(const walker *walker, const events *events, const fullness *record);

#endif
