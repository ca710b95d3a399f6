/* expiry.h - when a key's next event leaves one of its windows: a heap of times, the earliest
 * first.
 *
 * Each key has at most one time that counts, the earliest that was set. A time that was set before
 * an earlier one stays in the heap, and is passed over when its turn comes: so setting costs a
 * comparison where nothing changes, which is what nearly every event does.
 *
 * Order of calls: zero bytes are an empty heap; expiry_set, _take, _due and the others in any
 * order; expiry_release.
 */
#ifndef FRESHET_WINDOWS_EXPIRY_H
#define FRESHET_WINDOWS_EXPIRY_H

#include "keyed/due_heap.h"

#define EXPIRY_NEVER INT64_MAX

typedef struct expiry {
    memory *memory;
    due_heap heap;    /* of entries, by second */
    int64_t *seconds; /* by entry: the time that counts */
    uint32_t n_seconds;
} expiry;

/* Sets an entry's time, unless it has an earlier one. False where memory is out. */
bool expiry_set(expiry *expiry, uint32_t entry, int64_t second);

/* The entry is another key's from now on, and has no time. */
void expiry_forget(expiry *expiry, uint32_t entry);

/* Puts the entry's time, if it has one, into the heap, which its user has emptied (heap.n) to be
 * rid of times that count no more. */
bool expiry_again(expiry *expiry, uint32_t entry);

/* EXPIRY_NEVER where the entry has none. */
int64_t expiry_of(const expiry *expiry, uint32_t entry);

/* Is there a time at or before the second? */
bool expiry_due(const expiry *expiry, int64_t second);

/* Takes the earliest time at or before the second, if there is one; its entry has none then. */
bool expiry_take(expiry *expiry, int64_t second, due *out);

void expiry_release(expiry *expiry);

#endif
