/* sets.c - distinct values: counted, listed, summed, estimated; and the most frequent ones.
 *
 * A BAG is a hash table of the values of one walk: each distinct value once, with how often it was
 * met, and when last (the walk goes backwards, so the last meeting is the oldest event). Windows
 * that end at one row are nested, so one bag grows through all of them, and each window's answer is
 * what the bag holds when the walk passes the window's beginning. Values are brought to one form
 * first: one NaN, one zero, texts without rubbish behind their end.
 *
 * REGISTERS are HyperLogLog (Flajolet et al. 2007) with 2^9 registers of one byte, as Spark's
 * default relative error of 5 % gives, and Ertl's estimator ("New cardinality estimation algorithms
 * for HyperLogLog sketches", 2017, algorithm 6), which needs no tables of corrections and is nearly
 * exact for few values. Register r holds the greatest rank (leading zeros + 1) among the hashes
 * that begin with r; merging takes the greater register.
 */
#include "aggregate/families.h"
#include "aggregate/tally.h"
#include "base/hash.h"

#include <stdlib.h>

#define BAG_SLOTS_FIRST 16u

void *scratch_push(aggregate_scratch *scratch, void *items, uint64_t n, uint64_t *capacity,
                   size_t size)
{
    if (n < *capacity)
        return items;
    uint64_t larger = *capacity == 0 ? 16 : *capacity * 2;
    void *grown = arena_grow(scratch->arena, items, *capacity * size, larger * size);
    if (grown == NULL)
        scratch->failed = true;
    else
        *capacity = larger;
    return grown;
}

/* ---- bags ---------------------------------------------------------------------------------- */

typedef struct bag_entry {
    _Alignas(16) unsigned char cell[16];
    uint64_t hash;
    uint64_t count;
    uint64_t oldest; /* step of the walk at which it was met last: the greater, the older */
} bag_entry;

typedef struct bag {
    bag_entry *entries; /* in the order of their newest meeting, newest first */
    uint64_t n;
    uint64_t capacity;
    uint32_t *slots; /* index of an entry + 1 */
    uint64_t n_slots;
    uint64_t steps;
} bag;

static bool cells_equal(const type *type, const unsigned char *a, const unsigned char *b)
{
    if (type->kind != TYPE_STRING && type->kind != TYPE_BINARY)
        return memcmp(a, b, 16) == 0;
    cell_text x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x.length == y.length && compare_texts(&x, &y) == 0;
}

/* The cell in its one form, and its hash. */
static uint64_t canonical_cell(const type *type, const void *from, unsigned char *cell)
{
    memset(cell, 0, 16);
    if (type->kind == TYPE_STRING || type->kind == TYPE_BINARY) {
        memcpy(cell, from, sizeof(cell_text));
        cell_text text;
        memcpy(&text, from, sizeof text);
        return hash_bytes(text_bytes(&text), text.length, 1);
    }
    memcpy(cell, from, type_cell_size(type));
    cell_make_canonical(type, cell);
    return hash_bytes(cell, 16, 2);
}

static bool bag_rehash(bag *bag, aggregate_scratch *scratch)
{
    uint64_t n_slots = bag->n_slots == 0 ? BAG_SLOTS_FIRST : bag->n_slots * 2;
    uint32_t *slots = arena_zero(scratch->arena, n_slots, sizeof *slots);
    if (slots == NULL) {
        scratch->failed = true;
        return false;
    }
    for (uint64_t i = 0; i < bag->n; i++) {
        uint64_t at = bag->entries[i].hash & (n_slots - 1);
        while (slots[at] != 0)
            at = (at + 1) & (n_slots - 1);
        slots[at] = (uint32_t)(i + 1);
    }
    bag->slots = slots;
    bag->n_slots = n_slots;
    return true;
}

static void bag_add(bag *bag, const type *type, const void *cell, aggregate_scratch *scratch)
{
    unsigned char canonical[16];
    uint64_t hash = canonical_cell(type, cell, canonical);
    if (bag->n * 2 >= bag->n_slots && !bag_rehash(bag, scratch))
        return;
    bag->steps++;
    uint64_t at = hash & (bag->n_slots - 1);
    for (; bag->slots[at] != 0; at = (at + 1) & (bag->n_slots - 1)) {
        bag_entry *entry = &bag->entries[bag->slots[at] - 1];
        if (entry->hash == hash && cells_equal(type, entry->cell, canonical)) {
            entry->count++;
            entry->oldest = bag->steps;
            return;
        }
    }
    bag_entry *entries =
        scratch_push(scratch, bag->entries, bag->n, &bag->capacity, sizeof *entries);
    if (entries == NULL)
        return;
    bag->entries = entries;
    bag_entry *added = &entries[bag->n++];
    *added = (bag_entry){.hash = hash, .count = 1, .oldest = bag->steps};
    memcpy(added->cell, canonical, sizeof canonical);
    bag->slots[at] = (uint32_t)bag->n;
}

static void bag_update(void *partial, const aggregate_run *older)
{
    size_t size = type_cell_size(older->type);
    const unsigned char *cells = older->values;
    for (uint32_t i = older->to; i > older->from && !older->scratch->failed; i--)
        if (older->valid >> (i - 1) & 1)
            bag_add(partial, older->type, cells + (i - 1) * size, older->scratch);
}

const aggregate_family family_bag = {"bag", sizeof(bag), true, bag_update, NULL};

aggregate_outcome finish_count_distinct(const void *partial, const aggregate *aggregate,
                                        aggregate_scratch *scratch, aggregate_value *out)
{
    (void)aggregate, (void)scratch;
    out->integer = (int64_t)((const bag *)partial)->n;
    return AGGREGATE_VALUE;
}

aggregate_outcome tallied_count_distinct(const tally *tally, const aggregate *aggregate,
                                         aggregate_value *out)
{
    (void)aggregate;
    out->integer = tally->n_distinct;
    return AGGREGATE_VALUE;
}

/* The cells of the entries that `order` lists (NULL: oldest last meeting first). */
static aggregate_outcome list_entries(const bag *bag, const bag_entry *const *order,
                                      const type *type, aggregate_scratch *scratch,
                                      aggregate_value *out)
{
    size_t size = type_cell_size(type);
    unsigned char *cells = arena_alloc(scratch->arena, bag->n * size);
    if (cells == NULL)
        return AGGREGATE_NO_MEMORY;
    for (uint64_t i = 0; i < bag->n; i++) {
        const bag_entry *entry = order == NULL ? &bag->entries[bag->n - 1 - i] : order[i];
        memcpy(cells + i * size, entry->cell, size);
    }
    out->list.cells = cells;
    out->list.n = bag->n;
    return AGGREGATE_VALUE;
}

aggregate_outcome finish_collect_set(const void *partial, const aggregate *aggregate,
                                     aggregate_scratch *scratch, aggregate_value *out)
{
    return list_entries(partial, NULL, aggregate->input, scratch, out);
}

int compare_values(const type *type, const aggregate_value *a, const aggregate_value *b)
{
    switch (type->kind) {
    case TYPE_STRING:
    case TYPE_BINARY: return compare_texts(&a->text, &b->text);
    case TYPE_DECIMAL: return (a->decimal > b->decimal) - (a->decimal < b->decimal);
    case TYPE_FLOAT:
    case TYPE_DOUBLE: {
        int64_t x = key_of_real(a->real), y = key_of_real(b->real);
        return (x > y) - (x < y);
    }
    default: return (a->integer > b->integer) - (a->integer < b->integer);
    }
}

aggregate_outcome finish_mode(const void *partial, const aggregate *aggregate,
                              aggregate_scratch *scratch, aggregate_value *out)
{
    (void)scratch;
    const bag *bag = partial;
    uint64_t most = 0;
    for (uint64_t i = 0; i < bag->n; i++) {
        const bag_entry *entry = &bag->entries[i];
        if (entry->count < most)
            continue;
        aggregate_value value;
        aggregate_load(aggregate->input, entry->cell, &value);
        if (entry->count > most || compare_values(aggregate->input, &value, out) < 0)
            *out = value;
        most = entry->count;
    }
    return bag->n == 0 ? AGGREGATE_NULL : AGGREGATE_VALUE;
}

aggregate_outcome tallied_mode(const tally *tally, const aggregate *aggregate, aggregate_value *out)
{
    if (tally->n == 0)
        return AGGREGATE_NULL;
    tally_mode(tally, aggregate->input, out);
    return AGGREGATE_VALUE;
}

/* Most frequent first, then by first appearance. */
static int compare_frequency(const void *a, const void *b)
{
    const bag_entry *x = *(const bag_entry *const *)a, *y = *(const bag_entry *const *)b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->oldest > y->oldest ? -1 : 1;
}

aggregate_outcome finish_most_frequent_set(const void *partial, const aggregate *aggregate,
                                           aggregate_scratch *scratch, aggregate_value *out)
{
    const bag *bag = partial;
    const bag_entry **order = arena_alloc(scratch->arena, bag->n * sizeof(bag_entry *));
    if (order == NULL)
        return AGGREGATE_NO_MEMORY;
    for (uint64_t i = 0; i < bag->n; i++)
        order[i] = &bag->entries[i];
    if (bag->n > 1)
        qsort(order, bag->n, sizeof(bag_entry *), compare_frequency);
    return list_entries(bag, order, aggregate->input, scratch, out);
}

/* Each distinct value becomes a run of one of the plain sums. */
aggregate_outcome finish_sum_distinct(const void *partial, const aggregate *aggregate,
                                      aggregate_scratch *scratch, aggregate_value *out)
{
    const bag *bag = partial;
    const type *type = aggregate->input;
    bool real = type->kind == TYPE_FLOAT || type->kind == TYPE_DOUBLE;
    const aggregate_family *family = real ? &family_sum_real : &family_sum_exact;
    _Alignas(16) unsigned char sum[64] = {0};
    for (uint64_t i = 0; i < bag->n; i++) {
        aggregate_run run = {bag->entries[i].cell, 1, 0, 1, type, scratch};
        family->update(sum, &run);
    }
    return (real ? finish_sum_real : finish_sum_exact)(sum, aggregate, scratch, out);
}

/* ---- HyperLogLog --------------------------------------------------------------------------- */

#define REGISTER_BITS 9u
#define REGISTERS (1u << REGISTER_BITS)
#define RANK_MAX (64u - REGISTER_BITS + 1u)

static void registers_update(void *partial, const aggregate_run *older)
{
    unsigned char *registers = partial;
    size_t size = type_cell_size(older->type);
    const unsigned char *cells = (const unsigned char *)older->values + older->from * size;
    for (uint64_t bits = run_bits(older); bits != 0; bits &= bits - 1) {
        unsigned char cell[16];
        uint64_t hash =
            canonical_cell(older->type, cells + (size_t)__builtin_ctzll(bits) * size, cell);
        uint64_t rest = hash << REGISTER_BITS | UINT64_C(1) << (REGISTER_BITS - 1);
        unsigned char rank = (unsigned char)(__builtin_clzll(rest) + 1);
        unsigned char *r = &registers[hash >> (64 - REGISTER_BITS)];
        *r = rank > *r ? rank : *r;
    }
}

static inline void registers_merge_one(void *partial, const void *older)
{
    unsigned char *into = partial;
    const unsigned char *from = older;
    for (uint32_t i = 0; i < REGISTERS; i++)
        into[i] = from[i] > into[i] ? from[i] : into[i];
}

MERGE_EACH(registers_merge, registers_merge_one)

const aggregate_family family_registers = {"registers", REGISTERS, true, registers_update,
                                           registers_merge};

/* Ertl's sigma and tau: what empty and full registers add to the harmonic sum. */
static double sigma(double x)
{
    double y = 1, sum = x, before;
    if (x == 1)
        return INFINITY;
    do {
        x *= x;
        before = sum;
        sum += x * y;
        y += y;
    } while (sum != before);
    return sum;
}

static double tau(double x)
{
    double y = 1, sum = 1 - x, before;
    if (x == 0 || x == 1)
        return 0;
    do {
        x = sqrt(x);
        before = sum;
        y /= 2;
        sum -= (1 - x) * (1 - x) * y;
    } while (sum != before);
    return sum / 3;
}

aggregate_outcome finish_approx_count_distinct(const void *partial, const aggregate *aggregate,
                                               aggregate_scratch *scratch, aggregate_value *out)
{
    (void)aggregate, (void)scratch;
    const unsigned char *registers = partial;
    uint32_t ranks[RANK_MAX + 1] = {0};
    for (uint32_t i = 0; i < REGISTERS; i++)
        ranks[registers[i]]++;
    double m = REGISTERS, sum = m * tau(1 - ranks[RANK_MAX] / m);
    for (uint32_t rank = RANK_MAX - 1; rank >= 1; rank--)
        sum = (sum + ranks[rank]) / 2;
    sum += m * sigma(ranks[0] / m);
    out->integer = (int64_t)llround(m * m / (2 * log(2)) / sum);
    return AGGREGATE_VALUE;
}
