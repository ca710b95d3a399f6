/* pending.h - the changes of one checkpoint: copies of keys and values, found again by key.
 *
 * A key that is put twice has the last value. A value is kept with its checksum in front, as it
 * goes to the disk. Memory: as much as keys and values, and some 50 bytes an entry, and 32 more
 * while they are sorted; given back after use where it was much.
 *
 * Order of calls: pending_open, then {put and remove, find and sorted, reset}*, pending_close.
 */
#ifndef FRESHET_STATE_PENDING_H
#define FRESHET_STATE_PENDING_H

#include "state/rocks.h"

#define PENDING_SUM_BYTES 8u /* in front of each value */
#define PENDING_KEEP_BYTES ((size_t)8 << 20)
#define PENDING_ENTRIES_MAX (1u << 31)

typedef struct pending pending;

pending *pending_open(void);
void pending_close(pending *pending);
void pending_reset(pending *pending);

/* False where memory is out (or there are PENDING_ENTRIES_MAX). */
bool pending_put(pending *pending, const void *key, size_t key_length, const void *value,
                 size_t length);
bool pending_remove(pending *pending, const void *key, size_t key_length, bool prefix);
/* All keys from `from` on, before `to`. */
bool pending_remove_range(pending *pending, const void *from, size_t from_length, const void *to,
                          size_t to_length);

/* The checksum of a value: of the key, too, so that a value in another's place is found. */
uint64_t pending_sum(const void *key, size_t key_length, const void *value, size_t length);

/* The entry of the key, or NULL. Removed prefixes and ranges are not looked at. */
const rocks_entry *pending_find(const pending *pending, const void *key, size_t key_length);

uint32_t pending_count(const pending *pending);
/* Bytes of memory held. */
size_t pending_bytes(const pending *pending);

/* All of them, in the order of their coming; valid until the next put. */
const rocks_entry *pending_entries(const pending *pending);

/* The numbers of the entries in the order in which to write them: prefixes and ranges to remove
 * first, then by key. They stay valid, and pending_find works, until reset. NULL where memory is
 * out. Fills an array of its own: may be called by another thread than finds. */
const uint32_t *pending_sorted(pending *pending);

#endif
