/* pending.c - see pending.h.
 *
 * Entries lie in an array in the order of their coming; a table of open addressing (indexes + 1, at most
 * half full) finds them by the hash of their key. The sorted order is an array of its own, so that
 * one thread may sort and write while another one still finds.
 */
#include "state/pending.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "windows/hash.h"

#define FIRST_ENTRIES 256u
#define HASH_SEED UINT64_C(1)

struct pending {
    arena *arena; /* keys and values */
    rocks_entry *entries;
    rocks_entry *sorted;
    uint64_t *hashes;
    uint32_t *slots;
    uint32_t n;
    uint32_t capacity;
    uint32_t n_slots;
};

pending *pending_open(void)
{
    pending *pending = calloc(1, sizeof *pending);
    if (pending == NULL || (pending->arena = arena_open()) == NULL) {
        free(pending);
        return NULL;
    }
    return pending;
}

static void release(pending *pending)
{
    free(pending->entries);
    free(pending->sorted);
    free(pending->hashes);
    free(pending->slots);
    pending->entries = pending->sorted = NULL;
    pending->hashes = NULL;
    pending->slots = NULL;
    pending->capacity = pending->n_slots = 0;
}

void pending_close(pending *pending)
{
    if (pending == NULL)
        return;
    release(pending);
    arena_close(pending->arena);
    free(pending);
}

void pending_reset(pending *pending)
{
    if (pending_bytes(pending) > PENDING_KEEP_BYTES) {
        arena *fresh = arena_open();
        if (fresh != NULL) {
            arena_close(pending->arena);
            pending->arena = fresh;
        }
        release(pending);
    }
    arena_reset(pending->arena);
    pending->n = 0;
    if (pending->n_slots > 0)
        memset(pending->slots, 0, pending->n_slots * sizeof *pending->slots);
}

uint32_t pending_count(const pending *pending)
{
    return pending->n;
}

size_t pending_bytes(const pending *pending)
{
    return arena_held(pending->arena) +
           pending->capacity * (2 * sizeof *pending->entries + sizeof *pending->hashes) +
           pending->n_slots * sizeof *pending->slots;
}

/* ---- the table ----------------------------------------------------------------------------- */

/* The slot of the key: that of its entry, or the empty one where it would be. */
static uint32_t slot_of(const pending *pending, uint64_t hash, const void *key, size_t key_length)
{
    uint32_t at = (uint32_t)hash & (pending->n_slots - 1);
    for (; pending->slots[at] != 0; at = (at + 1) & (pending->n_slots - 1)) {
        const rocks_entry *entry = &pending->entries[pending->slots[at] - 1];
        if (pending->hashes[pending->slots[at] - 1] == hash && entry->key_length == key_length &&
            memcmp(entry->key, key, key_length) == 0)
            break;
    }
    return at;
}

static bool grow_array(void *array, uint32_t n, size_t size)
{
    void *grown = realloc(*(void **)array, n * size);
    if (grown != NULL)
        *(void **)array = grown;
    return grown != NULL;
}

static bool make_room(pending *pending)
{
    if (pending->n < pending->capacity)
        return true;
    if (pending->capacity >= PENDING_ENTRIES_MAX / 2)
        return false;
    uint32_t capacity = pending->capacity == 0 ? FIRST_ENTRIES : pending->capacity * 2;
    uint32_t *slots = calloc((size_t)capacity * 2, sizeof *slots);
    if (slots == NULL || !grow_array(&pending->entries, capacity, sizeof *pending->entries) ||
        !grow_array(&pending->sorted, capacity, sizeof *pending->sorted) ||
        !grow_array(&pending->hashes, capacity, sizeof *pending->hashes)) {
        free(slots);
        return false;
    }
    free(pending->slots);
    pending->slots = slots;
    pending->capacity = capacity;
    pending->n_slots = capacity * 2;
    for (uint32_t i = 0; i < pending->n; i++) {
        const rocks_entry *entry = &pending->entries[i];
        slots[slot_of(pending, pending->hashes[i], entry->key, entry->key_length)] = i + 1;
    }
    return true;
}

/* The entry of the key, made where there is none; NULL where memory is out. */
static rocks_entry *entry_of(pending *pending, const void *key, size_t key_length)
{
    if (!make_room(pending))
        return NULL;
    uint64_t hash = hash_bytes(key, key_length, HASH_SEED);
    uint32_t slot = slot_of(pending, hash, key, key_length);
    if (pending->slots[slot] != 0)
        return &pending->entries[pending->slots[slot] - 1];
    char *copy = arena_copy(pending->arena, key, key_length);
    if (copy == NULL)
        return NULL;
    pending->hashes[pending->n] = hash;
    pending->entries[pending->n] = (rocks_entry){.key = copy, .key_length = key_length};
    pending->slots[slot] = pending->n + 1;
    return &pending->entries[pending->n++];
}

bool pending_put(pending *pending, const void *key, size_t key_length, const void *value,
                 size_t length)
{
    rocks_entry *entry = entry_of(pending, key, key_length);
    char *copy = arena_alloc(pending->arena, PENDING_SUM_BYTES + length);
    if (entry == NULL || copy == NULL)
        return false;
    uint64_t sum = pending_sum(key, key_length, value, length);
    memcpy(copy, &sum, PENDING_SUM_BYTES);
    if (length > 0)
        memcpy(copy + PENDING_SUM_BYTES, value, length);
    entry->change = ROCKS_PUT;
    entry->value = copy;
    entry->value_length = PENDING_SUM_BYTES + length;
    return true;
}

bool pending_remove(pending *pending, const void *key, size_t key_length, bool prefix)
{
    rocks_entry *entry = entry_of(pending, key, key_length);
    if (entry == NULL)
        return false;
    entry->change = prefix ? ROCKS_REMOVE_PREFIX : ROCKS_REMOVE;
    entry->value = NULL;
    entry->value_length = 0;
    return true;
}

const rocks_entry *pending_find(const pending *pending, const void *key, size_t key_length)
{
    if (pending->n == 0)
        return NULL;
    uint32_t slot = slot_of(pending, hash_bytes(key, key_length, HASH_SEED), key, key_length);
    return pending->slots[slot] == 0 ? NULL : &pending->entries[pending->slots[slot] - 1];
}

uint64_t pending_sum(const void *key, size_t key_length, const void *value, size_t length)
{
    return hash_bytes(value, length, hash_bytes(key, key_length, HASH_SEED));
}

/* ---- order --------------------------------------------------------------------------------- */

static int compare(const void *left, const void *right)
{
    const rocks_entry *a = left;
    const rocks_entry *b = right;
    bool a_prefix = a->change == ROCKS_REMOVE_PREFIX;
    bool b_prefix = b->change == ROCKS_REMOVE_PREFIX;
    if (a_prefix != b_prefix)
        return a_prefix ? -1 : 1;
    size_t common = a->key_length < b->key_length ? a->key_length : b->key_length;
    int order = memcmp(a->key, b->key, common);
    if (order != 0)
        return order;
    return a->key_length < b->key_length ? -1 : a->key_length > b->key_length;
}

const rocks_entry *pending_sorted(pending *pending)
{
    if (pending->n == 0)
        return NULL;
    memcpy(pending->sorted, pending->entries, pending->n * sizeof *pending->entries);
    qsort(pending->sorted, pending->n, sizeof *pending->sorted, compare);
    return pending->sorted;
}
