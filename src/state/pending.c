/* pending.c - see pending.h.
 *
 * A run is an array of entries, whose keys and values lie in an arena of its own. Nothing but that
 * is done while a checkpoint is made. Sorting is for the thread that writes; slots to find entries
 * by their key are made when the first one is asked for, which is never where all keys are in
 * memory.
 */
#include "state/pending.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "keyed/key_slots.h"

#define HASH_SEED UINT64_C(1)
#define KEY_LENGTH_MAX ((1u << 30) - 1)
#define RADIX 256u

struct pending_run {
    arena *arena;  /* keys and values */
    memory memory; /* of the entries */
    rocks_entry *entries;
    uint32_t n, capacity;
    size_t written;       /* bytes of them, by pending_written */
    text_buffer building; /* the change that is being made */
    size_t key_length;
};

/* Keys of the same beginning: see below, order. */
typedef struct group {
    const char *key; /* of its first entry */
    size_t name_length;
    size_t common;
    uint32_t index; /* before the groups were sorted */
    uint32_t n;
    size_t begin; /* of its places */
} group;

struct pending {
    pending_run **runs;
    uint32_t n_runs; /* in use */
    uint32_t n_made; /* at least as many */
    memory memory;   /* of the slots */
    key_slots slots;
    pthread_mutex_t indexing; /* over slots, until there are all */
    atomic_bool is_indexed;
    memory ordering; /* of groups and order: the thread that sorts takes it */
    rocks_place *places;
    group *groups;
    uint64_t places_capacity; /* twice as many */
    uint32_t n_groups;
    uint32_t groups_capacity;
};

/* ---- runs ------------------------------------------------------------------------------------ */

static void run_close(pending_run *run)
{
    if (run == NULL)
        return;
    memory_give(&run->memory, run->entries, run->capacity * sizeof *run->entries);
    text_release(&run->building);
    arena_close(run->arena);
    free(run);
}

static pending_run *run_open(void)
{
    pending_run *run = calloc(1, sizeof *run);
    if (run == NULL || (run->arena = arena_open()) == NULL) {
        free(run);
        return NULL;
    }
    run->memory.fail_after = -1;
    text_init(&run->building, TEXT_LIMIT_DEFAULT);
    return run;
}

bool pending_runs(pending *pending, uint32_t n)
{
    if (n >= pending->n_made) {
        pending_run **runs = realloc(pending->runs, (n + (size_t)1) * sizeof(pending_run *));
        if (runs == NULL)
            return false;
        pending->runs = runs;
        for (; pending->n_made <= n; pending->n_made++)
            if ((runs[pending->n_made] = run_open()) == NULL)
                return false;
    }
    pending->n_runs = n + 1;
    return true;
}

pending_run *pending_run_at(pending *pending, uint32_t i)
{
    return pending->runs[i];
}

text_buffer *pending_run_key(pending_run *run)
{
    text_reset(&run->building);
    return &run->building;
}

text_buffer *pending_run_value(pending_run *run)
{
    static const char no_sum[PENDING_SUM_BYTES];
    run->key_length = run->building.length;
    text_put(&run->building, no_sum, sizeof no_sum);
    return &run->building;
}

/* What is being built, with its key, is an entry. */
static bool add_entry(pending_run *run, size_t key_length, rocks_change change)
{
    const text_buffer *built = &run->building;
    const size_t length = built->length - key_length;
    if (built->failed || key_length > KEY_LENGTH_MAX || length > UINT32_MAX ||
        run->n == PENDING_ENTRIES_MAX ||
        !memory_reserve(&run->memory, &run->entries, &run->capacity, run->n + UINT64_C(1),
                        sizeof *run->entries))
        return false;
    char *copy = arena_alloc(run->arena, built->length);
    if (copy == NULL)
        return false;
    memcpy(copy, built->bytes, built->length);
    run->written += built->length;
    run->entries[run->n++] = (rocks_entry){.key = copy,
                                           .key_length = (unsigned)key_length & KEY_LENGTH_MAX,
                                           .change = change,
                                           .value_length = (uint32_t)length};
    return true;
}

bool pending_run_put(pending_run *run)
{
    if (run->building.failed)
        return false;
    char *sum_at = run->building.bytes + run->key_length, *value = sum_at + PENDING_SUM_BYTES;
    const uint64_t sum = pending_sum(run->building.bytes, run->key_length, value,
                                     run->building.length - run->key_length - PENDING_SUM_BYTES);
    memcpy(sum_at, &sum, PENDING_SUM_BYTES);
    return add_entry(run, run->key_length, ROCKS_PUT);
}

bool pending_run_remove(pending_run *run, rocks_change change)
{
    return add_entry(run, run->building.length, change);
}

bool pending_run_remove_range(pending_run *run, const void *to, size_t to_length)
{
    const size_t key_length = run->building.length;
    text_append(&run->building, to, to_length);
    return add_entry(run, key_length, ROCKS_REMOVE_RANGE);
}

uint64_t pending_sum(const void *key, size_t key_length, const void *value, size_t length)
{
    return hash_bytes(value, length, hash_bytes(key, key_length, HASH_SEED));
}

/* ---- open, reset ----------------------------------------------------------------------------- */

pending *pending_open(void)
{
    pending *pending = calloc(1, sizeof *pending);
    if (pending == NULL)
        return NULL;
    pthread_mutex_init(&pending->indexing, NULL);
    pending->memory.fail_after = pending->ordering.fail_after = -1;
    if (pending_runs(pending, 0))
        return pending;
    pending_close(pending);
    return NULL;
}

static void release_runs(pending *pending)
{
    for (uint32_t i = 0; i < pending->n_made; i++)
        run_close(pending->runs[i]);
    pending->n_made = 0;
}

static void release_order(pending *pending)
{
    memory_give(&pending->ordering, pending->places,
                pending->places_capacity * sizeof *pending->places);
    memory_give(&pending->ordering, pending->groups,
                pending->groups_capacity * sizeof *pending->groups);
    key_slots_release(&pending->slots, &pending->memory);
    pending->places = NULL;
    pending->groups = NULL;
    pending->places_capacity = 0;
    pending->n_groups = pending->groups_capacity = 0;
}

void pending_close(pending *pending)
{
    if (pending == NULL)
        return;
    release_order(pending);
    release_runs(pending);
    free(pending->runs);
    pthread_mutex_destroy(&pending->indexing);
    free(pending);
}

static size_t run_bytes(const pending_run *run)
{
    return arena_held(run->arena) + run->memory.bytes + run->building.capacity;
}

size_t pending_written(const pending *pending)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < pending->n_runs; i++)
        bytes += pending->runs[i]->written;
    return bytes;
}

size_t pending_bytes(const pending *pending)
{
    size_t bytes = pending->memory.bytes + pending->ordering.bytes;
    for (uint32_t i = 0; i < pending->n_made; i++)
        bytes += run_bytes(pending->runs[i]);
    return bytes;
}

/* The first run stays; of the others as many as are small. */
void pending_reset(pending *pending)
{
    if (pending_bytes(pending) > PENDING_KEEP_BYTES) {
        release_order(pending);
        for (uint32_t i = 1; i < pending->n_made; i++)
            run_close(pending->runs[i]);
        pending->n_made = 1;
        pending_run *first = pending->runs[0];
        if (run_bytes(first) > PENDING_KEEP_BYTES) {
            memory_give(&first->memory, first->entries, first->capacity * sizeof *first->entries);
            first->entries = NULL;
            first->capacity = 0;
            text_release(&first->building);
            text_init(&first->building, TEXT_LIMIT_DEFAULT);
        }
    } else {
        key_slots_clear(&pending->slots);
    }
    for (uint32_t i = 0; i < pending->n_made; i++) {
        arena_reset(pending->runs[i]->arena);
        pending->runs[i]->n = 0;
        pending->runs[i]->written = 0;
    }
    pending->n_runs = 1;
    atomic_store(&pending->is_indexed, false);
}

/* ---- finding --------------------------------------------------------------------------------- */

/* Entries are numbered through all runs. */
static rocks_entry *pending_entry_at(const pending *pending, uint32_t index)
{
    uint32_t i = 0;
    for (; index >= pending->runs[i]->n; i++)
        index -= pending->runs[i]->n;
    return &pending->runs[i]->entries[index];
}

/* The number of the key's entry; KEY_NONE, and the free slot. */
static uint32_t find_entry(const pending *pending, uint32_t tag, const void *key, size_t key_length,
                           uint64_t *at)
{
    uint32_t index;
    for (*at = tag; (index = key_slots_match(&pending->slots, tag, at)) != KEY_NONE; (*at)++) {
        const rocks_entry *entry = pending_entry_at(pending, index);
        if (entry->key_length == key_length && memcmp(entry->key, key, key_length) == 0)
            break;
    }
    return index;
}

static uint64_t count_entries(const pending *pending)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < pending->n_runs; i++)
        n += pending->runs[i]->n;
    return n;
}

/* The last entry of a key has its slot; the beginning of a range is no key. */
static bool make_slots(pending *pending)
{
    const uint64_t n = count_entries(pending);
    if (n >= KEY_NONE || !key_slots_reserve(&pending->slots, &pending->memory, n))
        return false;
    uint32_t index = 0;
    for (uint32_t i = 0; i < pending->n_runs; i++)
        for (uint32_t k = 0; k < pending->runs[i]->n; k++, index++) {
            const rocks_entry *entry = &pending->runs[i]->entries[k];
            if (entry->change >= ROCKS_REMOVE_PREFIX)
                continue;
            const uint32_t tag = (uint32_t)hash_bytes(entry->key, entry->key_length, HASH_SEED);
            uint64_t at;
            if (find_entry(pending, tag, entry->key, entry->key_length, &at) == KEY_NONE)
                key_slots_put(&pending->slots, at, tag, index);
            else
                key_slots_replace(&pending->slots, at, index);
        }
    return true;
}

static bool index_all(pending *pending)
{
    pthread_mutex_lock(&pending->indexing);
    const bool good = atomic_load(&pending->is_indexed) || make_slots(pending);
    if (good)
        atomic_store(&pending->is_indexed, true);
    else
        key_slots_clear(&pending->slots);
    pthread_mutex_unlock(&pending->indexing);
    return good;
}

bool pending_find(pending *pending, const void *key, size_t key_length, const rocks_entry **out)
{
    *out = NULL;
    if (count_entries(pending) == 0)
        return true;
    if (!atomic_load_explicit(&pending->is_indexed, memory_order_acquire) && !index_all(pending))
        return false;
    const uint32_t tag = (uint32_t)hash_bytes(key, key_length, HASH_SEED);
    uint64_t at;
    const uint32_t index = find_entry(pending, tag, key, key_length, &at);
    *out = index == KEY_NONE ? NULL : pending_entry_at(pending, index);
    return true;
}

/* ---- order ----------------------------------------------------------------------------------
 *
 * Keys come in groups of the same beginning, up to their first 0 byte (a space and a name). Within
 * a group they are sorted by the eight bytes behind what all of them have in common, held beside
 * the entry as their head: byte by byte, the last one first, each time in the order of before;
 * bytes in which all heads are alike are skipped. Only where heads are alike the keys themselves
 * are compared. Of entries with the same key the last one stays.
 */

static size_t name_length(const rocks_entry *entry)
{
    const char *end = memchr(entry->key, '\0', entry->key_length);
    return end == NULL ? entry->key_length : (size_t)(end - entry->key) + 1;
}

static bool is_of_group(const group *group, const rocks_entry *entry)
{
    const size_t n = group->name_length; /* no key is empty */
    return entry->key_length >= n && memcmp(group->key, entry->key, n) == 0 &&
           (entry->key_length == n || group->key[n - 1] == '\0');
}

/* The group of the entry, or pending->n_groups. Mostly the one of the entry before. */
static uint32_t find_group(const pending *pending, const rocks_entry *entry, uint32_t last)
{
    for (uint32_t i = 0; i < pending->n_groups; i++) {
        const uint32_t at = (last + i) % pending->n_groups;
        if (is_of_group(&pending->groups[at], entry))
            return at;
    }
    return pending->n_groups;
}

static void shorten_common(group *group, const rocks_entry *entry)
{
    const size_t n = entry->key_length < group->common ? entry->key_length : group->common;
    if (n == group->common && memcmp(group->key, entry->key, n) == 0)
        return;
    size_t common = group->name_length;
    while (common < n && group->key[common] == entry->key[common])
        common++;
    group->common = common < n ? common : n;
}

/* Puts all entries into `places`, those to remove prefixes and ranges first; the head is the group
 * for now. How many these are, or UINT64_MAX where memory is out. */
static uint64_t make_groups(pending *pending, rocks_place *places)
{
    uint32_t last = 0;
    uint64_t n_first = 0, n = 0;
    pending->n_groups = 0;
    for (uint32_t i = 0; i < pending->n_runs; i++)
        for (uint32_t k = 0; k < pending->runs[i]->n; k++)
            if (pending->runs[i]->entries[k].change >= ROCKS_REMOVE_PREFIX)
                places[n_first++].entry = pending->runs[i]->entries[k];
    n = n_first;
    for (uint32_t i = 0; i < pending->n_runs; i++)
        for (uint32_t k = 0; k < pending->runs[i]->n; k++) {
            const rocks_entry *entry = &pending->runs[i]->entries[k];
            if (entry->change >= ROCKS_REMOVE_PREFIX)
                continue;
            last = find_group(pending, entry, last);
            if (last == pending->n_groups) {
                if (!memory_reserve(&pending->ordering, &pending->groups, &pending->groups_capacity,
                                    last + UINT64_C(1), sizeof *pending->groups))
                    return UINT64_MAX;
                pending->groups[pending->n_groups++] = (group){.key = entry->key,
                                                               .name_length = name_length(entry),
                                                               .common = entry->key_length,
                                                               .index = last};
            }
            shorten_common(&pending->groups[last], entry);
            pending->groups[last].n++;
            places[n++] = (rocks_place){last, *entry};
        }
    return n_first;
}

static int compare_bytes(const char *a, size_t a_length, const char *b, size_t b_length)
{
    const int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order != 0 ? order : a_length < b_length ? -1 : a_length > b_length;
}

static int compare_groups(const void *left, const void *right)
{
    const group *a = left;
    const group *b = right;
    return compare_bytes(a->key, a->name_length, b->key, b->name_length);
}

static int compare_keys(const rocks_place *a, const rocks_place *b)
{
    return compare_bytes(a->entry.key, a->entry.key_length, b->entry.key, b->entry.key_length);
}

/* The heads are numbers in the order of coming. */
static int pending_compare_places(const void *left, const void *right)
{
    const rocks_place *a = left;
    const rocks_place *b = right;
    const int order = compare_keys(a, b);
    return order != 0 ? order : a->head < b->head ? -1 : a->head > b->head;
}

/* The eight bytes from `at`, the first in front; 0 where there are none. */
static uint64_t head_of(const rocks_entry *entry, size_t at)
{
    uint64_t head = 0;
    if (at + sizeof head <= entry->key_length)
        memcpy(&head, entry->key + at, sizeof head);
    else if (at < entry->key_length)
        memcpy(&head, entry->key + at, entry->key_length - at);
    return __builtin_bswap64(head);
}

/* From `from`, by groups in their order, to `to`, with each entry's head. */
static bool spread_groups(pending *pending, const rocks_place *from, size_t n, rocks_place *to)
{
    size_t begin = 0;
    uint32_t *ranks = calloc(pending->n_groups + (size_t)1, sizeof *ranks);
    if (ranks == NULL)
        return false;
    if (pending->n_groups > 0)
        qsort(pending->groups, pending->n_groups, sizeof *pending->groups, compare_groups);
    for (uint32_t i = 0; i < pending->n_groups; i++) {
        ranks[pending->groups[i].index] = i;
        pending->groups[i].begin = begin;
        begin += pending->groups[i].n;
        pending->groups[i].n = 0;
    }
    for (size_t i = 0; i < n; i++) {
        group *group = &pending->groups[ranks[from[i].head]];
        to[group->begin + group->n++] =
            (rocks_place){head_of(&from[i].entry, group->common), from[i].entry};
    }
    free(ranks);
    return true;
}

/* One pass by a byte of the heads. */
static void sort_byte(const rocks_place *from, size_t n, unsigned shift, rocks_place *to)
{
    size_t begins[RADIX] = {0};
    size_t begin = 0;
    for (size_t i = 0; i < n; i++)
        begins[from[i].head >> shift & (RADIX - 1)]++;
    for (unsigned i = 0; i < RADIX; i++) {
        const size_t count = begins[i];
        begins[i] = begin;
        begin += count;
    }
    for (size_t i = 0; i < n; i++)
        to[begins[from[i].head >> shift & (RADIX - 1)]++] = from[i];
}

/* By their heads; `other` has room for as many. */
static void sort_heads(rocks_place *places, size_t n, rocks_place *other)
{
    uint64_t differ = 0;
    rocks_place *from = places, *to = other;
    for (size_t i = 1; i < n; i++)
        differ |= places[i].head ^ places[0].head;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if ((differ >> shift & (RADIX - 1)) == 0)
            continue;
        sort_byte(from, n, shift, to);
        rocks_place *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != places)
        memcpy(places, from, n * sizeof *places);
}

/* Some whose heads are alike, by their keys, the last one of each: to `to`, which may be `places`
 * or before it. How many there are. */
static size_t sort_alike(rocks_place *places, size_t n, rocks_place *to)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        places[i].head = i;
    qsort(places, n, sizeof *places, pending_compare_places);
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || compare_keys(&places[i], &places[i + 1]) != 0)
            to[kept++] = places[i];
    return kept;
}

/* The same of all, sorted by their heads. */
static size_t settle(rocks_place *places, size_t n, rocks_place *to)
{
    size_t kept = 0;
    for (size_t i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && places[k].head == places[i].head;)
            k++;
        if (k == i + 1)
            to[kept++] = places[i];
        else
            kept += sort_alike(places + i, k - i, to + kept);
    }
    return kept;
}

const rocks_place *pending_sorted(pending *pending, size_t *n)
{
    const uint64_t n_all = count_entries(pending);
    if (pending->places_capacity < 2 * n_all + 2) {
        memory_give(&pending->ordering, pending->places,
                    pending->places_capacity * sizeof *pending->places);
        pending->places_capacity = 2 * n_all + 2;
        pending->places =
            memory_take(&pending->ordering, pending->places_capacity * sizeof *pending->places);
        if (pending->places == NULL) {
            pending->places_capacity = 0;
            return NULL;
        }
    }
    rocks_place *places = pending->places, *other = places + n_all + 1;
    const uint64_t n_first = make_groups(pending, other);
    if (n_first == UINT64_MAX ||
        !spread_groups(pending, other + n_first, n_all - n_first, places + n_first))
        return NULL;
    memcpy(places, other, n_first * sizeof *places);
    *n = n_first;
    for (uint32_t i = 0; i < pending->n_groups; i++) {
        const group *group = &pending->groups[i];
        rocks_place *of = places + n_first + group->begin;
        sort_heads(of, group->n, other);
        *n += settle(of, group->n, places + *n);
    }
    return places;
}
