/* expiry.h - when a key's next event leaves one of its windows: a heap of times, the earliest first.
 *
 * Each key has at most one time that counts, the earliest that was set. A time that was set before an earlier one stays
 * in the heap, and is passed over when its turn comes: so setting costs a comparison where nothing changes, which is
 * what nearly every event does.
 *
 * Order of calls: zero bytes are an empty heap; expiry_set, _take, _due in any order; expiry_release.
 */
#ifndef FRESHET_WINDOWS_EXPIRY_H
#define FRESHET_WINDOWS_EXPIRY_H

#include "windows/events.h"

#define EXPIRY_NEVER INT64_MAX

typedef struct expiry_time {
    int64_t second;
    uint32_t entry;
} expiry_time;

typedef struct expiry {
    windows_memory *memory;
    expiry_time *heap;
    uint32_t n;
    uint32_t capacity;
    int64_t *seconds; /* by entry: the time that counts */
    uint32_t n_seconds;
} expiry;

/* Sets an entry's time, unless it has an earlier one. False where memory is out. */
bool expiry_set(expiry *expiry, uint32_t entry, int64_t second);

/* EXPIRY_NEVER where the entry has none. */
int64_t expiry_of(const expiry *expiry, uint32_t entry);

/* Is there a time at or before the second? */
bool expiry_due(const expiry *expiry, int64_t second);

/* Takes the earliest time at or before the second, if there is one; its entry has none then. */
bool expiry_take(expiry *expiry, int64_t second, expiry_time *out);

void expiry_release(expiry *expiry);

#endif
