/* mixing.h - the past of a key, put before and among the events that a changed declaration left
 * incomplete: of windows (windows_fill.c) and of groups (rolling/groups_fill.c).
 *
 * THE PAST comes as a key of another state, which was made by the same declaration of the rows
 * before (pipeline/fill.h): its events have all that the plan looks at. The key's own events, and
 * its record (fullness.h), say what is missing:
 *
 *          whole ........ since of a slot ........ S, the latest of these
 *     own events   -    e  e  e   e     e   e      e  e   e    e
 *     the past     e  e e  e  e   e     e   e      e ...
 *     made         e  e e  e  e   e     e   e      e  e   e    e
 *                  the past's    own, with the     the key's own
 *                                past's values
 *
 * THE SEAM. From S on the key's own events have everything, and the past's are passed over. Before,
 * each second is decided by itself. An own event is the past's where all that is known of it is the
 * same; it then has the past's values. One of which there is none like it came after the change
 * (late): it stays, in its place. So it must have a value that only such can have, or lie within
 * the lateness, with no event of the past left over in its second; otherwise the past is not that
 * of this key, and nothing changes (FILL_OTHER). An event of the past that the key has not, in a
 * second of which it has all, was refused by the stream (late, say): it is no event. Where the key
 * has lost its events (before `whole`) they are the past's.
 *
 * A key of which nothing is there (is_bare) has in these seconds only events that came after the
 * change. They are behind the past's; but where the past goes beyond the change it has them, too:
 * all of them, up to its end, or none (find_joins).
 *
 * Filled twice is filled once: a key that lacks nothing is left as it is.
 */
#ifndef FRESHET_WINDOWS_MIXING_H
#define FRESHET_WINDOWS_MIXING_H

#include "keyed/state_part.h"
#include "windows/fullness.h"

#define MIXED_ANY_LATE INT64_MAX

/* Times are the events': seconds, or microseconds of groups. */
typedef struct mixed {
    const fullness *record; /* the key's */
    int64_t past_whole;     /* from then on the past has all of its own events */
    int64_t past_newest;    /* its newest of all keys */
    int64_t reaches;        /* a past that has no event as late ends too soon (FILL_SHORT) */
    int64_t lateness;       /* an event may have come so much later than its key's newest */
    bool joins;             /* out, of a bare key: its events are among the past's */
} mixed;

/* S. */
int64_t mixed_seam(const windows_plan *plan, const fullness *record);

/* The time of the last one; INT64_MIN: there is none. */
int64_t mixed_last(const walker *walker, const events *events);

/* *made: the key's events with its past, where *kind is FILL_DONE; else, and where it fails, none.
 */
freshet_code mix_events_of_key(mixed *of, walker *walker, const events *past, const events *own,
                               events *made, state_fill *kind, freshet_error *err);

#endif
