/* pending.h - the changes of one checkpoint: copies of keys and values, found again by key.
 *
 * They lie in RUNS, in the order of their coming: the first one is of whoever makes the checkpoint;
 * of more, each may be filled by a thread of its own at the same time. A key that is put twice has
 * the last value: of one run the later one, of two that of the later run. A value is kept with its
 * checksum in front, as it goes to the disk. Memory: as much as keys and values, and some 20 bytes
 * an entry, 48 more while they are sorted, and 8 to 21 more where any is asked for; given back
 * after use where it was much.
 *
 * Order of calls: pending_open, then {pending_runs, keys put and removed, find and sorted, reset}*,
 * pending_close. For each change of a run: run_key, to which the key is appended; then run_remove,
 * or run_value, to which the value is appended, and run_put.
 */
#ifndef FRESHET_STATE_PENDING_H
#define FRESHET_STATE_PENDING_H

#include "base/text.h"
#include "state/rocks.h"

#define PENDING_SUM_BYTES 8u /* in front of each value */
#define PENDING_KEEP_BYTES ((size_t)8 << 20)
#define PENDING_ENTRIES_MAX (1u << 31)

typedef struct pending pending;
typedef struct pending_run pending_run;

pending *pending_open(void);
void pending_close(pending *pending);
void pending_reset(pending *pending);

/* From now on there are n runs behind the first one, empty until they are filled. False where
 * memory is out. */
bool pending_runs(pending *pending, uint32_t n);
pending_run *pending_run_at(pending *pending, uint32_t i); /* 0: the first one */

/* What failed for want of memory (or of more than PENDING_ENTRIES_MAX) shows at the end: put and
 * remove are false. */
text_buffer *pending_run_key(pending_run *run); /* empty, for the key */
text_buffer *pending_run_value(pending_run *run);
bool pending_run_put(pending_run *run);
bool pending_run_remove(pending_run *run, rocks_change change);
/* All keys from the one that was appended on, before `to`. */
bool pending_run_remove_range(pending_run *run, const void *to, size_t to_length);

/* The checksum of a value: of the key, too, so that a value in another's place is found. */
uint64_t pending_sum(const void *key, size_t key_length, const void *value, size_t length);

/* *out: the entry of the key, or NULL; removed prefixes and ranges are not looked at. False where
 * memory is out. Several threads may ask, once nothing is put any more: the first one makes the
 * slots to find keys by. */
bool pending_find(pending *pending, const void *key, size_t key_length, const rocks_entry **out);

/* Bytes of the keys and values that were put, and of the keys removed, since the reset. */
size_t pending_written(const pending *pending);

/* Bytes of memory held. */
size_t pending_bytes(const pending *pending);

/* The entries in the order in which to write them, each key once: prefixes and ranges to remove
 * first, then by key. They stay valid, and pending_find works, until reset. NULL where memory is
 * out. May be called by another thread than finds. */
const rocks_place *pending_sorted(pending *pending, size_t *n);

#endif
