/* pending_test.c - changes in several runs, beside a plain list: the last one of each key, in the
 * order of the keys, found again; and what memory that fails leaves. */
#include "state/pending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHANGES 3000u
#define RUNS 5u
#define KEY_BYTES_MAX 40u

/* A change, in the order in which it counts: by run, then by its coming. */
typedef struct change {
    char key[KEY_BYTES_MAX];
    uint32_t key_length;
    uint32_t value; /* 0: removed */
} change;

static change *twins[RUNS];
static uint32_t n_twins[RUNS];
static uint64_t random_state;

static uint32_t below(uint32_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

static bool put(pending_run *run, const void *key, size_t length, const void *value, size_t n)
{
    text_append(pending_run_key(run), key, length);
    text_append(pending_run_value(run), value, n);
    return pending_run_put(run);
}

/* Names with and without an end, long alike beginnings, keys that are beginnings of others. */
static uint32_t make_key(char key[KEY_BYTES_MAX], uint32_t kind, uint32_t n_keys)
{
    static const char *const names[] = {"sa", "sab", "cx", "dwindows"};
    const uint32_t number = below(n_keys);
    if (below(50) == 0) { /* the name alone */
        key[0] = 'c';
        return 1;
    }
    const char *name = names[below(4)];
    uint32_t length = (uint32_t)strlen(name) + 1;
    memcpy(key, name, length);
    switch (kind) {
    case 0: /* as whole numbers are */
        memset(key + length, 0, 9);
        memcpy(key + length + 1, &number, sizeof number);
        return length + 9;
    case 1: /* texts of any length */
        for (uint32_t n = below(12); n > 0; n--)
            key[length++] = (char)below(3);
        return length;
    default: /* alike where their heads are */
        memset(key + length, 'x', 20);
        key[length + below(12)] = (char)('x' + below(2));
        memcpy(key + length + 12, &number, sizeof number);
        return length + 12 + below(2) * (uint32_t)sizeof number;
    }
}

static void fill_run(pending_run *run, uint32_t at, uint32_t n, uint32_t kind)
{
    twins[at] = calloc(n + (size_t)1, sizeof *twins[at]);
    n_twins[at] = n;
    for (uint32_t i = 0; i < n; i++) {
        change *twin = &twins[at][i];
        twin->key_length = make_key(twin->key, kind, n);
        twin->value = below(10) == 0 ? 0 : 1 + at * CHANGES + i;
        if (twin->value > 0) {
            assert_true(put(run, twin->key, twin->key_length, &twin->value, sizeof twin->value));
        } else {
            text_append(pending_run_key(run), twin->key, twin->key_length);
            assert_true(pending_run_remove(run, ROCKS_REMOVE));
        }
    }
}

/* The last change of the key. */
static const change *last_of(const char *key, uint32_t length)
{
    for (uint32_t r = RUNS; r-- > 0;)
        for (uint32_t i = n_twins[r]; i-- > 0;)
            if (twins[r][i].key_length == length && memcmp(twins[r][i].key, key, length) == 0)
                return &twins[r][i];
    return NULL;
}

static int compare_twins(const void *left, const void *right)
{
    const change *a = left;
    const change *b = right;
    const int order =
        memcmp(a->key, b->key, a->key_length < b->key_length ? a->key_length : b->key_length);
    return order != 0 ? order : (int)a->key_length - (int)b->key_length;
}

/* The keys as the list has them: in their order, each once. */
static uint32_t sort_twins(change *out)
{
    uint32_t n = 0, kept = 0;
    for (uint32_t r = 0; r < RUNS; r++)
        for (uint32_t i = 0; i < n_twins[r]; i++)
            out[n++] = twins[r][i];
    qsort(out, n, sizeof *out, compare_twins);
    for (uint32_t i = 0; i < n; i++)
        if (i == 0 || compare_twins(&out[i], &out[kept - 1]) != 0)
            out[kept++] = out[i];
    return kept;
}

static void compare_entry(const rocks_entry *entry, const change *twin)
{
    uint32_t value;
    assert_int_equal(entry->key_length, twin->key_length);
    assert_memory_equal(entry->key, twin->key, twin->key_length);
    assert_int_equal(entry->change, twin->value > 0 ? ROCKS_PUT : ROCKS_REMOVE);
    if (twin->value == 0)
        return;
    const uint64_t sum = pending_sum(twin->key, twin->key_length, &twin->value, sizeof twin->value);
    assert_int_equal(entry->value_length, PENDING_SUM_BYTES + sizeof value);
    assert_memory_equal(rocks_value(entry), &sum, sizeof sum);
    assert_memory_equal(rocks_value(entry) + PENDING_SUM_BYTES, &twin->value, sizeof value);
}

static void compare_all(pending *pending)
{
    static change wanted[RUNS * CHANGES + 1];
    const uint32_t n_wanted = sort_twins(wanted);
    const rocks_entry *found;
    size_t n;
    char key[KEY_BYTES_MAX];
    const rocks_place *places = pending_sorted(pending, &n);
    assert_non_null(places);
    assert_int_equal(n, n_wanted + 2);
    assert_int_equal(places[0].entry.change, ROCKS_REMOVE_PREFIX);
    assert_int_equal(places[1].entry.change, ROCKS_REMOVE_RANGE);
    assert_memory_equal(rocks_value(&places[1].entry), "sab", 4);
    for (uint32_t i = 0; i < n_wanted; i++) {
        const change *twin = last_of(wanted[i].key, wanted[i].key_length);
        compare_entry(&places[i + 2].entry, twin);
        assert_true(pending_find(pending, twin->key, twin->key_length, &found));
        assert_ptr_equal(found->key, places[i + 2].entry.key);
    }
    for (uint32_t i = 0; i < 100; i++) { /* of another kind: mostly not there */
        const uint32_t length = make_key(key, i % 3, 10);
        const change *twin = last_of(key, length);
        assert_true(pending_find(pending, key, length, &found));
        assert_int_equal(found == NULL, twin == NULL);
        if (twin != NULL && found != NULL)
            compare_entry(found, twin);
    }
}

static void runs_are_as_a_list(void **state)
{
    (void)state;
    pending *pending = pending_open();
    const rocks_entry *found;
    for (random_state = 1; random_state < 40; random_state++) {
        const uint32_t kind = below(3), most = below(4) == 0 ? CHANGES / 4 : 100;
        assert_true(pending_find(pending, "c", 1, &found));
        assert_null(found);
        pending_run *first = pending_run_at(pending, 0);
        fill_run(first, 0, below(most), kind);
        text_append(pending_run_key(first), "sa", 3);
        assert_true(pending_run_remove(first, ROCKS_REMOVE_PREFIX));
        const uint32_t n_runs = below(RUNS);
        assert_true(pending_runs(pending, n_runs));
        for (uint32_t i = 1; i < RUNS; i++)
            n_twins[i] = 0;
        for (uint32_t i = 1; i <= n_runs; i++)
            fill_run(pending_run_at(pending, i), i, below(most), kind);
        first = pending_run_at(pending, 0);
        text_append(pending_run_key(first), "sa", 3);
        assert_true(pending_run_remove_range(first, "sab", 4));
        compare_all(pending);
        compare_all(pending); /* written again */
        for (uint32_t i = 0; i <= n_runs; i++)
            free(twins[i]);
        pending_reset(pending);
    }
    pending_close(pending);
}

/* What was much is given back. */
static void much_is_given_back(void **state)
{
    static char value[1 << 16];
    (void)state;
    pending *pending = pending_open();
    const rocks_entry *found;
    size_t n;
    for (int times = 0; times < 2; times++) {
        assert_true(pending_runs(pending, 2));
        for (uint32_t i = 0; i < 600; i++)
            assert_true(put(pending_run_at(pending, i % 3), &i, sizeof i, value, sizeof value));
        assert_true(pending_bytes(pending) > 600 * sizeof value);
        assert_non_null(pending_sorted(pending, &n));
        assert_int_equal(n, 600);
        assert_true(pending_find(pending, &n, sizeof(uint32_t), &found));
        pending_reset(pending);
        assert_true(pending_bytes(pending) < 2 * PENDING_KEEP_BYTES + (16u << 20));
    }
    pending_close(pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_are_as_a_list),
        cmocka_unit_test(much_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
