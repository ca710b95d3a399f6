/* pending.c - see pending.h.
 *
 * Entries lie in an array in the order of their coming; key_slots find them by their key. The
 * sorted order is an array of its own, so that one thread may sort and write while another one
 * still finds.
 */
#define _GNU_SOURCE /* qsort_r */
#include "state/pending.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "keyed/key_slots.h"

#define FIRST_ENTRIES 256u
#define HASH_SEED UINT64_C(1)
#define KEY_LENGTH_MAX ((1u << 30) - 1)

/* Keys of the same beginning: see below, order. */
typedef struct group {
    const char *key; /* of its first entry */
    size_t name_length;
    size_t common;
    uint32_t index; /* before the groups were sorted */
} group;

struct pending {
    arena *arena;    /* keys and values */
    memory memory;   /* of entries and slots */
    memory ordering; /* of groups and order: the thread that sorts takes it */
    rocks_entry *entries;
    uint32_t *sorted; /* their numbers */
    key_slots slots;
    group *groups;
    uint32_t n_groups;
    uint32_t n;
    uint32_t capacity;
    uint32_t sorted_capacity;
    uint32_t groups_capacity;
};

pending *pending_open(void)
{
    pending *pending = calloc(1, sizeof *pending);
    if (pending == NULL || (pending->arena = arena_open()) == NULL) {
        free(pending);
        return NULL;
    }
    pending->memory.fail_after = pending->ordering.fail_after = -1;
    return pending;
}

static void release(pending *pending)
{
    memory *memory = &pending->memory;
    memory_give(memory, pending->entries, pending->capacity * sizeof *pending->entries);
    memory_give(&pending->ordering, pending->sorted,
                pending->sorted_capacity * sizeof *pending->sorted);
    memory_give(&pending->ordering, pending->groups,
                pending->groups_capacity * sizeof *pending->groups);
    key_slots_release(&pending->slots, memory);
    pending->entries = NULL;
    pending->sorted = NULL;
    pending->groups = NULL;
    pending->n_groups = pending->capacity = pending->sorted_capacity = pending->groups_capacity = 0;
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
    key_slots_clear(&pending->slots);
}

uint32_t pending_count(const pending *pending)
{
    return pending->n;
}

size_t pending_bytes(const pending *pending)
{
    return arena_held(pending->arena) + pending->memory.bytes;
}

/* ---- the table ----------------------------------------------------------------------------- */

/* The index of the key's entry, KEY_NONE where there is none; *at: its slot. */
static uint32_t find_entry(const pending *pending, uint32_t tag, const void *key, size_t key_length,
                           uint64_t *at)
{
    uint32_t index;
    for (*at = tag; (index = key_slots_match(&pending->slots, tag, at)) != KEY_NONE; (*at)++) {
        const rocks_entry *entry = &pending->entries[index];
        if (entry->key_length == key_length && memcmp(entry->key, key, key_length) == 0)
            break;
    }
    return index;
}

static bool pending_make_room(pending *pending)
{
    memory *memory = &pending->memory;
    const uint64_t n = pending->n + UINT64_C(1);
    return n <= PENDING_ENTRIES_MAX &&
           memory_reserve(memory, &pending->entries, &pending->capacity, n,
                          sizeof *pending->entries) &&
           key_slots_reserve(&pending->slots, memory, n);
}

/* The entry of the key, made where there is none, with a copy of the key and room for a value right
 * behind it; NULL where memory is out. */
static rocks_entry *entry_of(pending *pending, const void *key, size_t key_length,
                             size_t value_length)
{
    const uint32_t tag = (uint32_t)hash_bytes(key, key_length, HASH_SEED);
    uint64_t at;
    if (!pending_make_room(pending))
        return NULL;
    const uint32_t index = find_entry(pending, tag, key, key_length, &at);
    char *copy =
        value_length > UINT32_MAX ? NULL : arena_alloc(pending->arena, key_length + value_length);
    if (copy == NULL)
        return NULL;
    memcpy(copy, key, key_length);
    rocks_entry *entry = &pending->entries[index == KEY_NONE ? pending->n : index];
    *entry = (rocks_entry){.key = copy,
                           .key_length = (unsigned)key_length & KEY_LENGTH_MAX,
                           .value_length = (uint32_t)value_length};
    if (index == KEY_NONE)
        key_slots_put(&pending->slots, at, tag, pending->n++);
    return entry;
}

bool pending_put(pending *pending, const void *key, size_t key_length, const void *value,
                 size_t length)
{
    rocks_entry *entry = entry_of(pending, key, key_length, PENDING_SUM_BYTES + length);
    if (entry == NULL)
        return false;
    char *copy = (char *)entry->key + key_length;
    uint64_t sum = pending_sum(key, key_length, value, length);
    memcpy(copy, &sum, PENDING_SUM_BYTES);
    if (length > 0)
        memcpy(copy + PENDING_SUM_BYTES, value, length);
    entry->change = ROCKS_PUT;
    return true;
}

bool pending_remove(pending *pending, const void *key, size_t key_length, bool prefix)
{
    rocks_entry *entry = entry_of(pending, key, key_length, 0);
    if (entry == NULL)
        return false;
    entry->change = prefix ? ROCKS_REMOVE_PREFIX : ROCKS_REMOVE;
    return true;
}

/* It has no slot: its key is the beginning of a range, and may be that of another entry, too. */
bool pending_remove_range(pending *pending, const void *from, size_t from_length, const void *to,
                          size_t to_length)
{
    char *copy = pending_make_room(pending) && to_length <= UINT32_MAX
                     ? arena_alloc(pending->arena, from_length + to_length)
                     : NULL;
    if (copy == NULL)
        return false;
    memcpy(copy, from, from_length);
    memcpy(copy + from_length, to, to_length);
    pending->entries[pending->n++] =
        (rocks_entry){.key = copy,
                      .key_length = (unsigned)from_length & KEY_LENGTH_MAX,
                      .change = ROCKS_REMOVE_RANGE,
                      .value_length = (uint32_t)to_length};
    return true;
}

const rocks_entry *pending_find(const pending *pending, const void *key, size_t key_length)
{
    if (pending->n == 0)
        return NULL;
    const uint32_t tag = (uint32_t)hash_bytes(key, key_length, HASH_SEED);
    uint64_t at;
    const uint32_t index = find_entry(pending, tag, key, key_length, &at);
    return index == KEY_NONE ? NULL : &pending->entries[index];
}

uint64_t pending_sum(const void *key, size_t key_length, const void *value, size_t length)
{
    return hash_bytes(value, length, hash_bytes(key, key_length, HASH_SEED));
}

/* ---- order ----------------------------------------------------------------------------------
 *
 * Keys come in groups of the same beginning, up to their first 0 byte (a space and a name). Within
 * a group they are compared by the eight bytes behind what all of them have in common, held beside
 * the index; only where these are alike by the keys themselves.
 */

typedef struct place {
    uint64_t head;
    uint32_t group; /* its rank; 0: prefixes and ranges to remove */
    uint32_t index;
} place;

static size_t name_length(const rocks_entry *entry)
{
    const char *end = memchr(entry->key, '\0', entry->key_length);
    return end == NULL ? entry->key_length : (size_t)(end - entry->key) + 1;
}

/* The group of the entry, or pending->n_groups. Mostly the one of the entry before. */
static uint32_t find_group(const pending *pending, const rocks_entry *entry, size_t length,
                           uint32_t last)
{
    for (uint32_t i = 0; i < pending->n_groups; i++) {
        uint32_t at = (last + i) % pending->n_groups;
        const group *group = &pending->groups[at];
        if (group->name_length == length && memcmp(group->key, entry->key, length) == 0)
            return at;
    }
    return pending->n_groups;
}

static void shorten_common(group *group, const rocks_entry *entry)
{
    size_t n = entry->key_length < group->common ? entry->key_length : group->common;
    if (n == group->common && memcmp(group->key, entry->key, n) == 0)
        return;
    size_t common = group->name_length;
    while (common < n && group->key[common] == entry->key[common])
        common++;
    group->common = common < n ? common : n;
}

/* Which group each entry is of; false where memory is out. */
static bool make_groups(pending *pending, place *places)
{
    uint32_t last = 0;
    pending->n_groups = 0;
    for (uint32_t i = 0; i < pending->n; i++) {
        const rocks_entry *entry = &pending->entries[i];
        places[i] = (place){.index = i};
        if (entry->change >= ROCKS_REMOVE_PREFIX)
            continue;
        size_t length = name_length(entry);
        last = find_group(pending, entry, length, last);
        if (last == pending->n_groups) {
            if (!memory_reserve(&pending->ordering, &pending->groups, &pending->groups_capacity,
                                last + UINT64_C(1), sizeof *pending->groups))
                return false;
            pending->groups[pending->n_groups++] = (group){.key = entry->key,
                                                           .name_length = length,
                                                           .common = entry->key_length,
                                                           .index = last};
        }
        shorten_common(&pending->groups[last], entry);
        places[i].group = last + 1;
    }
    return true;
}

static int compare_bytes(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order != 0 ? order : a_length < b_length ? -1 : a_length > b_length;
}

static int compare_groups(const void *left, const void *right)
{
    const group *a = left;
    const group *b = right;
    return compare_bytes(a->key, a->name_length, b->key, b->name_length);
}

static int pending_compare_places(const void *left, const void *right, void *context)
{
    const place *a = left;
    const place *b = right;
    const rocks_entry *entries = context;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->head != b->head)
        return a->head < b->head ? -1 : 1;
    return compare_bytes(entries[a->index].key, entries[a->index].key_length, entries[b->index].key,
                         entries[b->index].key_length);
}

/* The eight bytes from `at`, the first in front; 0 where there are none. */
static uint64_t head_of(const rocks_entry *entry, size_t at)
{
    uint64_t head = 0;
    for (size_t i = 0; i < 8; i++)
        head = head << 8 | (at + i < entry->key_length ? (unsigned char)entry->key[at + i] : 0u);
    return head;
}

/* Groups in their order, and each entry's head. */
static bool rank_groups(pending *pending, place *places)
{
    uint32_t *ranks = calloc(pending->n_groups + (size_t)1, sizeof *ranks);
    if (ranks == NULL)
        return false;
    if (pending->n_groups > 0)
        qsort(pending->groups, pending->n_groups, sizeof *pending->groups, compare_groups);
    for (uint32_t i = 0; i < pending->n_groups; i++)
        ranks[pending->groups[i].index] = i + 1;
    for (uint32_t i = 0; i < pending->n; i++) {
        if (places[i].group == 0)
            continue;
        places[i].group = ranks[places[i].group - 1];
        places[i].head = head_of(&pending->entries[i], pending->groups[places[i].group - 1].common);
    }
    free(ranks);
    return true;
}

const rocks_entry *pending_entries(const pending *pending)
{
    return pending->entries;
}

const uint32_t *pending_sorted(pending *pending)
{
    place *places = malloc((pending->n + 1) * sizeof *places);
    bool good = places != NULL &&
                memory_reserve(&pending->ordering, &pending->sorted, &pending->sorted_capacity,
                               pending->n + UINT64_C(1), sizeof *pending->sorted) &&
                make_groups(pending, places) && rank_groups(pending, places);
    if (good)
        qsort_r(places, pending->n, sizeof *places, pending_compare_places, pending->entries);
    for (uint32_t i = 0; good && i < pending->n; i++)
        pending->sorted[i] = places[i].index;
    free(places);
    return good ? pending->sorted : NULL;
}
