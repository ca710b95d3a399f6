/* keyed_table_test.c - the table against a list: random keys come, change, get cold and go, while
 * memory fails. */
#include "keyed/keyed_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define STEPS 60000
#define KEYS 3000u

typedef struct counter {
    keyed_entry head;
    uint32_t key; /* which of `twins` */
    uint64_t value;
    void *outside; /* 24 bytes */
} counter;

/* What the list knows of a key. */
typedef struct twin {
    char bytes[64];
    uint32_t length;
    uint32_t index;
    bool there, dirty;
    uint64_t value;
} twin;

typedef struct world {
    memory counted;
    keyed_table table;
    twin twins[KEYS];
    uint32_t n; /* there */
    uint64_t random;
    bool borrows, is_tracked;
} world;

static uint32_t below(world *world, uint32_t n)
{
    world->random = world->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(world->random >> 33) % n;
}

static void release_counter(void *self, void *entry)
{
    memory_give(&((world *)self)->counted, ((counter *)entry)->outside, 24);
}

static uint32_t find(const world *world, const twin *twin)
{
    return keyed_find(&world->table, (uint32_t)keyed_hash(twin->bytes, twin->length), twin->bytes,
                      twin->length);
}

/* Keys of 0 to 60 bytes, from both sides of what an entry holds itself. */
static void make_twins(world *world)
{
    for (uint32_t i = 0; i < KEYS; i++) {
        twin *twin = &world->twins[i];
        const uint32_t padding = i % 3 == 0 ? 0 : below(world, 50);
        twin->length =
            i == 0 ? 0
                   : (uint32_t)snprintf(twin->bytes, sizeof twin->bytes, "%u%.*s", i, (int)padding,
                                        "........................................."
                                        "..................");
    }
}

static bool add(world *world, twin *twin)
{
    const uint32_t index = keyed_add(&world->table, (uint32_t)keyed_hash(twin->bytes, twin->length),
                                     twin->bytes, twin->length);
    if (index == KEY_NONE)
        return false;
    counter *entry = keyed_at(&world->table, index);
    assert_true(entry->value == 0 && entry->outside == NULL && entry->key == 0);
    entry->key = (uint32_t)(twin - world->twins);
    entry->outside = memory_take(&world->counted, 24);
    twin->index = index;
    twin->there = true;
    twin->value = 0;
    world->n++;
    return true;
}

static void drop(world *world, twin *twin)
{
    keyed_drop(&world->table, twin->index);
    twin->there = twin->dirty = false;
    world->n--;
}

static void change(world *world, twin *twin)
{
    counter *entry = keyed_at(&world->table, twin->index);
    keyed_mark_dirty(&world->table, twin->index);
    twin->value = ++entry->value;
    twin->dirty = world->is_tracked;
}

static void clean(world *world)
{
    uint32_t cursor = 0, index, n = 0, expected = 0;
    static bool met[KEYS];
    memset(met, 0, sizeof met);
    while ((index = keyed_next_dirty(&world->table, &cursor)) != KEY_NONE) {
        const counter *entry = keyed_at(&world->table, index);
        assert_true(world->twins[entry->key].dirty && !met[entry->key]);
        met[entry->key] = true;
        n++;
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        expected += world->twins[i].dirty;
        world->twins[i].dirty = false;
    }
    assert_int_equal(n, expected);
    keyed_clean(&world->table);
}

static void take_cold(world *world)
{
    const uint32_t index = keyed_next_cold(&world->table, NULL);
    bool any = false;
    for (uint32_t i = 0; i < KEYS; i++)
        any |= world->twins[i].there && !world->twins[i].dirty;
    assert_int_equal(index != KEY_NONE, any);
    if (index == KEY_NONE)
        return;
    twin *cold = &world->twins[((const counter *)keyed_at(&world->table, index))->key];
    assert_true(cold->there && !cold->dirty && cold->index == index);
    drop(world, cold);
}

static void check_all(world *world)
{
    uint32_t cursor = 0, n = 0;
    assert_null(keyed_check(&world->table));
    for (uint32_t index; (index = keyed_next(&world->table, &cursor)) != KEY_NONE; n++) {
        const counter *entry = keyed_at(&world->table, index);
        const twin *twin = &world->twins[entry->key];
        assert_true(twin->there && twin->index == index && twin->value == entry->value);
        assert_int_equal(entry->head.length, twin->length);
        assert_memory_equal(keyed_key(&entry->head), twin->bytes, twin->length);
    }
    assert_int_equal(n, world->n);
    assert_int_equal(keyed_count(&world->table), world->n);
    for (uint32_t i = 0; i < KEYS; i++)
        assert_int_equal(find(world, &world->twins[i]),
                         world->twins[i].there ? world->twins[i].index : KEY_NONE);
}

static void run(uint64_t seed)
{
    static world world;
    world = (struct world){.random = seed,
                           .counted.fail_after = -1,
                           .is_tracked = seed % 2 == 0,
                           .borrows = seed % 3 == 0};
    const keyed_options options = {.memory = &world.counted,
                                   .entry_bytes = sizeof(counter),
                                   .borrows = world.borrows,
                                   .release = release_counter,
                                   .self = &world};
    make_twins(&world);
    assert_true(keyed_open(&world.table, &options));
    if (world.is_tracked)
        keyed_track(&world.table);
    for (uint32_t step = 0; step < STEPS; step++) {
        const uint32_t most = step < STEPS / 2 ? KEYS : KEYS / 4; /* many keys, then few */
        twin *twin = &world.twins[below(&world, most)];
        const uint32_t kind = below(&world, 1000);
        if (kind < 200 && !twin->there) {
            world.counted.fail_after = below(&world, 4) == 0 ? 0 : -1;
            const bool added = add(&world, twin);
            assert_int_equal(added, find(&world, twin) != KEY_NONE);
            assert_true(added || world.counted.fail_after == 0);
            world.counted.fail_after = -1;
        } else if (kind < 700 && twin->there) {
            change(&world, twin);
        } else if (kind < 850 && twin->there) {
            drop(&world, twin);
        } else if (kind < 990) {
            take_cold(&world);
        } else if (kind < 998) {
            clean(&world);
        } else {
            check_all(&world);
        }
    }
    check_all(&world);
    keyed_close(&world.table);
    assert_int_equal(world.counted.bytes, 0);
}

static void random_keys_against_a_list(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        run(seed);
}

/* ---- by hand --------------------------------------------------------------------------------- */

static void open_small(world *world, bool borrows)
{
    const keyed_options options = {
        .memory = &world->counted, .entry_bytes = sizeof(counter), .borrows = borrows};
    *world = (struct world){.counted.fail_after = -1};
    assert_true(keyed_open(&world->table, &options));
}

/* A touched key is passed over once, and a needed one always. */
static bool needs_first(void *self, uint32_t index)
{
    (void)self;
    return index == 0;
}

static void the_hand_takes_what_was_not_used(void **state)
{
    (void)state;
    static world world;
    open_small(&world, false);
    keyed_track(&world.table);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(keyed_add(&world.table, (uint32_t)keyed_hash(&i, 4), &i, 4), i);
        keyed_mark_dirty(&world.table, i);
    }
    assert_int_equal(keyed_next_cold(&world.table, NULL), KEY_NONE); /* all are dirty */
    keyed_clean(&world.table);
    ((keyed_entry *)keyed_at(&world.table, 1))->touched = 1;
    assert_int_equal(keyed_next_cold(&world.table, needs_first), 2);
    assert_int_equal(keyed_next_cold(&world.table, needs_first), 1);
    keyed_close(&world.table);
}

/* The number of a dirty key that goes is not used again before the list is done with. */
static void a_number_is_in_the_list_once(void **state)
{
    (void)state;
    static world world;
    open_small(&world, false);
    keyed_track(&world.table);
    const uint32_t tag = (uint32_t)keyed_hash("a", 1);
    assert_int_equal(keyed_add(&world.table, tag, "a", 1), 0);
    keyed_mark_dirty(&world.table, 0);
    keyed_drop(&world.table, 0);
    assert_int_equal(keyed_add(&world.table, tag, "a", 1), 1);
    keyed_mark_dirty(&world.table, 1);
    uint32_t cursor = 0;
    assert_int_equal(keyed_next_dirty(&world.table, &cursor), 1);
    assert_int_equal(keyed_next_dirty(&world.table, &cursor), KEY_NONE);
    keyed_clean(&world.table);
    assert_int_equal(keyed_add(&world.table, (uint32_t)keyed_hash("b", 1), "b", 1), 0);
    keyed_close(&world.table);
    assert_int_equal(world.counted.bytes, 0);
}

static void what_is_reserved_cannot_fail(void **state)
{
    (void)state;
    static world world;
    static char keys[5000][20];
    open_small(&world, true);
    assert_true(keyed_reserve(&world.table, 5000));
    world.counted.fail_after = 0;
    for (uint32_t i = 0; i < 5000; i++) {
        snprintf(keys[i], sizeof keys[i], "a long key %8u", i);
        const uint32_t tag = (uint32_t)keyed_hash(keys[i], sizeof keys[i]);
        assert_int_not_equal(keyed_add(&world.table, tag, keys[i], sizeof keys[i]), KEY_NONE);
    }
    char moved[20];
    memcpy(moved, keys[7], sizeof moved);
    keyed_move_key(&world.table, 7, moved);
    memset(keys[7], 0, sizeof keys[7]);
    assert_int_equal(keyed_find(&world.table, (uint32_t)keyed_hash(moved, 20), moved, 20), 7);
    keyed_close(&world.table);
    assert_int_equal(world.counted.bytes, 0);
}

/* Bytes in use fall with the keys, though the table holds on to its pages. */
static void figures_follow_the_keys(void **state)
{
    (void)state;
    static world world;
    open_small(&world, false);
    assert_int_equal(keyed_bytes(&world.table), 0);
    char key[40] = {0};
    for (uint32_t i = 0; i < 4000; i++) {
        memcpy(key, &i, sizeof i);
        keyed_add(&world.table, (uint32_t)keyed_hash(key, sizeof key), key, sizeof key);
    }
    const size_t full = keyed_bytes(&world.table);
    assert_in_range(full, 4000 * (sizeof(counter) + 40 + 8), 4000 * (sizeof(counter) + 40 + 24));
    for (uint32_t i = 0; i < 3000; i++)
        keyed_drop(&world.table, i);
    assert_int_equal(keyed_bytes(&world.table), full / 4);
    keyed_close(&world.table);
}

/* Rows' keys by the chunk: found where they were added, too long ones left out. */
static void chunks_of_rows(void **state)
{
    (void)state;
    static world world;
    static keyed_chunk chunk;
    arena *arena = arena_open();
    column keys[2];
    open_small(&world, false);
    text_init(&chunk.bytes, TEXT_LIMIT_DEFAULT);
    column_init(arena, &keys[0], type_simple(TYPE_BIGINT), 600, NULL);
    column_init(arena, &keys[1], type_simple(TYPE_STRING), 600, NULL);
    static const char text[] = "one that is far too long to be a key of this table, which takes 40";
    for (uint32_t i = 0; i < 600; i++) {
        ((int64_t *)keys[0].data)[i] = i % 200;
        ((cell_text *)keys[1].data)[i] = text_of(text, i % 7 == 0 ? sizeof text - 1 : i % 200 % 9);
    }
    uint32_t n_found = 0, n_long = 0;
    for (uint32_t from = 0; from < 600; from += 200) {
        const void *entries[KEYED_CHUNK_ROWS];
        assert_true(keyed_chunk_fill(&chunk, &world.table, keys, 2, from, 200, 40));
        keyed_chunk_prefetch(&chunk, &world.table, 200, entries);
        for (uint32_t i = 0; i < 200; i++) {
            const char *key = keyed_chunk_key(&chunk, i);
            const uint32_t tag = chunk.rows[i].tag, length = chunk.rows[i].length;
            if (length > 40) {
                assert_int_equal((from + i) % 7, 0);
                n_long++;
                continue;
            }
            const uint32_t index = keyed_find(&world.table, tag, key, length);
            if (index == KEY_NONE)
                keyed_add(&world.table, tag, key, length);
            else
                assert_ptr_equal(entries[i], keyed_at(&world.table, index));
            n_found += index != KEY_NONE;
        }
    }
    assert_int_equal(n_long, 86);
    assert_int_equal(keyed_count(&world.table) + n_found + n_long, 600);
    assert_true(keyed_count(&world.table) <= 200);
    text_release(&chunk.bytes);
    keyed_close(&world.table);
    arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_keys_against_a_list),
        cmocka_unit_test(the_hand_takes_what_was_not_used),
        cmocka_unit_test(a_number_is_in_the_list_once),
        cmocka_unit_test(what_is_reserved_cannot_fail),
        cmocka_unit_test(figures_follow_the_keys),
        cmocka_unit_test(chunks_of_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
