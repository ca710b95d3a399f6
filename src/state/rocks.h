/* rocks.h - RocksDB, with our settings and our errors; rocks.c alone includes rocksdb/c.h.
 *
 * Keys and values are bytes. What is written is there after a crash, all of it or nothing of it.
 * What is read has passed RocksDB's checksums. An error names the folder, and the damaged file
 * where RocksDB says which one it is.
 *
 * Order of calls: rocks_open, {get, scan, write}*, rocks_close. get and scan may be called while
 * another thread writes.
 */
#ifndef FRESHET_STATE_ROCKS_H
#define FRESHET_STATE_ROCKS_H

#include <freshet/freshet.h>

#include "base/text.h"

typedef struct rocks rocks;

typedef enum rocks_mode { ROCKS_MAKE, ROCKS_WRITE, ROCKS_READ } rocks_mode;

typedef enum rocks_change {
    ROCKS_PUT,
    ROCKS_REMOVE,
    ROCKS_REMOVE_PREFIX,
    ROCKS_REMOVE_RANGE /* from the key up to the value, which is another key and stays */
} rocks_change;

/* 16 bytes, since a checkpoint has millions of them. */
typedef struct rocks_entry {
    const char *key; /* the value lies right behind it */
    unsigned key_length : 30;
    unsigned change : 2; /* rocks_change */
    uint32_t value_length;
} rocks_entry;

static inline const char *rocks_value(const rocks_entry *entry)
{
    return entry->key + entry->key_length;
}

/* An entry at its place in an order; `head` is for whoever makes it. */
typedef struct rocks_place {
    uint64_t head;
    rocks_entry entry; /* itself: a look at another place for each would take longer than copying */
} rocks_place;

/* `folder` is RocksDB's own; `shown` is what messages call the state folder. ROCKS_MAKE makes the
 * database, the others want it to be there. ROCKS_READ sees what was there at open, and changes no
 * file; another process may be writing meanwhile. `memory`: of the cache of blocks, indexes and
 * filters, and half as much of what was written last. */
freshet_code rocks_open(const char *folder, const char *shown, rocks_mode mode, size_t memory,
                        rocks **out, freshet_error *err);
void rocks_close(rocks *rocks);

/* Appends the value, or FRESHET_END. */
freshet_code rocks_get(rocks *rocks, const void *key, size_t key_length, text_buffer *into,
                       freshet_error *err);

/* Several keys, in their order, ROCKS_MANY_MAX at most: each that is there is given to `found` by
 * its place; false of it ends that. */
#define ROCKS_MANY_MAX 256u
typedef bool rocks_found_fn(void *context, size_t i, const char *value, size_t length);
freshet_code rocks_get_many(rocks *rocks, const char *const *keys, const size_t *key_lengths,
                            size_t n, rocks_found_fn *found, void *context, freshet_error *err);

/* Every key that begins with the prefix, in order, from the first that is not before the prefix's
 * bytes up to from_length. The visitor's false ends it. */
typedef bool rocks_visit_fn(void *context, const char *key, size_t key_length, const char *value,
                            size_t length);
freshet_code rocks_scan(rocks *rocks, const void *prefix, size_t prefix_length, size_t from_length,
                        rocks_visit_fn *visit, void *context, freshet_error *err);

#define ROCKS_TABLE_ENTRIES 4096u /* so many are made a table at once */

/* All entries at their places, each key once and in the order of the keys but prefixes and
 * ranges first, synced to the disk: all or nothing. These remove what was there before.
 * FRESHET_RETRY where the disk is full or the like: then close and open again before
 * the next write. */
freshet_code rocks_write(rocks *rocks, const rocks_place *places, size_t n, freshet_error *err);

#endif
