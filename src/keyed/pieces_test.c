/* pieces_test.c - a whole part beside parts of 1, 2, 5 and STATE_PIECES_MAX pieces: the same random
 * calls give the same keys, bytes and answers. Each key is a counter; the store is a list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "keyed/state_part.h"

#define KEYS 300u
#define STEPS 6000
#define WORLDS 5u
#define KEY_BYTES 9u
#define TIME_STEP 10 /* a key of value v is listed under v * TIME_STEP + its number */

typedef struct counter {
    keyed_entry head;
    uint32_t value;
} counter;

/* What a piece knows by itself. */
typedef struct piece {
    memory memory;
    keyed_table table;
    uint32_t known, filled, evolved, opened;
    int64_t over_before;
} piece;

typedef struct world {
    state_part part;
    state_part pieces[STATE_PIECES_MAX];
    piece own[STATE_PIECES_MAX];
    uint32_t n;                         /* pieces */
    uint32_t saved[KEYS], kept[KEYS];   /* 0: none; kept: the heritage's */
    uint32_t brought[STATE_PIECES_MAX]; /* keys before it are, in the order of their numbers */
} world;

static world worlds[WORLDS];
static uint64_t random_state;

static uint32_t below(uint32_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

/* ---- the part -------------------------------------------------------------------------------- */

static freshet_code counter_save(void *self, const void *entry, text_buffer *into,
                                 freshet_error *err)
{
    (void)self, (void)err;
    text_append(into, (const char *)&((const counter *)entry)->value, sizeof(uint32_t));
    return FRESHET_OK;
}

static freshet_code counter_restore(void *self, const state_key *key, void *entry,
                                    const void *bytes, size_t length, freshet_error *err)
{
    (void)self, (void)key, (void)err;
    assert_int_equal(length, sizeof(uint32_t));
    memcpy(&((counter *)entry)->value, bytes, length);
    return FRESHET_OK;
}

static bool counter_is_empty(void *self, const void *entry)
{
    (void)self;
    return ((const counter *)entry)->value == 0;
}

static uint32_t number_of(const void *key)
{
    uint32_t number;
    memcpy(&number, (const char *)key + 1, sizeof number);
    return number;
}

static bool counter_listed(void *self, uint32_t index, uint32_t i, int64_t *time)
{
    const counter *counter = keyed_at(&((piece *)self)->table, index);
    *time = (int64_t)counter->value * TIME_STEP + number_of(keyed_key(&counter->head));
    return i == 0;
}

static int64_t counter_over(void *self)
{
    return ((piece *)self)->over_before;
}

static int64_t counter_listed_saved(const void *bytes, size_t length)
{
    return ((const unsigned char *)bytes)[0] + (int64_t)length;
}

static bool counter_lists_anew(void *self)
{
    return ((piece *)self)->evolved > 0;
}

static freshet_code counter_know(void *self, const char *layout, freshet_error *err)
{
    ((piece *)self)->known += (uint32_t)strlen(layout);
    return layout[0] == '!' ? error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "of nobody")
                            : FRESHET_OK;
}

static freshet_code counter_fill_open(void *self, const char *layout, int64_t newest_us,
                                      freshet_error *err)
{
    (void)layout, (void)err;
    ((piece *)self)->opened += (uint32_t)newest_us;
    return FRESHET_OK;
}

/* Lacks its past below 3; more than 5 at once are none that it could be. */
static freshet_code counter_fill(void *self, uint32_t index, bool is_new, const void *bytes,
                                 size_t length, state_fill *out, freshet_error *err)
{
    counter *counter = keyed_at(&((piece *)self)->table, index);
    (void)length, (void)err;
    const uint32_t value = *(const unsigned char *)bytes;
    *out = is_new                ? FILL_UNKNOWN
           : counter->value >= 3 ? FILL_NOTHING
           : value > 5           ? FILL_OTHER
                                 : FILL_DONE;
    counter->value += *out == FILL_DONE ? value : 0;
    return FRESHET_OK;
}

static void counter_filled(void *self, uint64_t declared)
{
    ((piece *)self)->filled = (uint32_t)declared;
}

static freshet_code counter_inherit(void *self, void *entry, const void *bytes, size_t length,
                                    freshet_error *err)
{
    return counter_restore(self, NULL, entry, bytes, length, err);
}

static freshet_code counter_evolve(void *owner, const state_past *past, evolution *out,
                                   freshet_error *err)
{
    (void)past, (void)err;
    ((piece *)owner)->evolved++;
    evolution_say(out, "counters", VERDICT_SERVED, NULL, "", "number %d", (int)out->declared);
    return FRESHET_OK;
}

static const state_part_ops ops = {.save = counter_save,
                                   .restore = counter_restore,
                                   .is_empty = counter_is_empty,
                                   .listed = counter_listed,
                                   .lists_anew = counter_lists_anew,
                                   .over_before = counter_over,
                                   .listed_saved = counter_listed_saved,
                                   .know = counter_know,
                                   .fill_until = counter_over,
                                   .fill_newest = counter_over,
                                   .fill_open = counter_fill_open,
                                   .fill = counter_fill,
                                   .filled = counter_filled,
                                   .inherit = counter_inherit};

/* ---- the store ------------------------------------------------------------------------------- */

static const char *key_of(uint32_t number)
{
    static char bytes[KEY_BYTES] = {1};
    const int64_t value = number;
    memcpy(bytes + 1, &value, sizeof value);
    return bytes;
}

static freshet_code load_from(const uint32_t *list, const void *key, text_buffer *into)
{
    const uint32_t value = list[number_of(key)];
    if (value == 0)
        return FRESHET_END;
    text_append(into, (const char *)&value, sizeof value);
    return FRESHET_OK;
}

static freshet_code load(void *context, const void *key, size_t key_length, text_buffer *into,
                         freshet_error *err)
{
    (void)err, (void)key_length;
    return load_from(((world *)context)->saved, key, into);
}

static freshet_code load_kept(void *context, const void *key, size_t key_length, text_buffer *into,
                              freshet_error *err)
{
    (void)err, (void)key_length;
    return load_from(((world *)context)->kept, key, into);
}

static freshet_code bring(void *context, uint32_t at, int64_t until, uint32_t most, uint32_t *n,
                          freshet_error *err)
{
    world *world = context;
    *n = 0;
    for (uint32_t *i = &world->brought[at]; *i < KEYS && *i <= until && *n < most; ++*i) {
        const char *key = key_of(*i);
        if (keyed_owner(keyed_hash(key, KEY_BYTES), world->n) != at || world->saved[*i] == 0)
            continue;
        ++*n;
        if (!state_part_has(&world->part, key, KEY_BYTES))
            assert_int_equal(state_part_restore(&world->part, key, KEY_BYTES, &world->saved[*i],
                                                sizeof(uint32_t), err),
                             FRESHET_OK);
    }
    return FRESHET_OK;
}

/* n 0: a whole part. */
static void open_world(world *world, uint32_t n)
{
    memset(world, 0, sizeof *world);
    world->n = n == 0 ? 1 : n;
    for (uint32_t i = 0; i < world->n; i++) {
        piece *own = &world->own[i];
        own->memory.fail_after = -1;
        const keyed_options options = {
            .memory = &own->memory, .entry_bytes = sizeof(counter), .self = own};
        assert_true(keyed_open(&own->table, &options));
        world->pieces[i] = (state_part){.name = "counters",
                                        .doing = "counting",
                                        .ops = &ops,
                                        .table = &own->table,
                                        .evolve = counter_evolve,
                                        .owner = own,
                                        .key_bytes_max = KEY_BYTES};
    }
    world->part = world->pieces[0];
    if (n > 0) {
        world->part.table = NULL;
        world->part.pieces = world->pieces;
        world->part.n_pieces = n;
    }
    state_part_set_load(&world->part, load, world);
    state_part_set_heritage(&world->part, load_kept);
    state_part_set_bring(&world->part, bring);
    for (uint32_t i = 0; i < KEYS; i++)
        world->kept[i] = i % 7 == 0 ? i + 1 : 0;
}

static void close_world(world *world)
{
    for (uint32_t i = 0; i < world->n; i++) {
        keyed_close(&world->own[i].table);
        assert_int_equal(world->own[i].memory.bytes, 0);
    }
}

static piece *owner_of(world *world, const char *key)
{
    return &world->own[keyed_owner(keyed_hash(key, KEY_BYTES), world->n)];
}

static counter *counter_of(world *world, uint32_t number)
{
    const char *key = key_of(number);
    piece *own = owner_of(world, key);
    const uint32_t index =
        keyed_find(&own->table, (uint32_t)keyed_hash(key, KEY_BYTES), key, KEY_BYTES);
    return index == KEY_NONE ? NULL : keyed_at(&own->table, index);
}

/* ---- what is done to all --------------------------------------------------------------------- */

static void count_one(world *world, uint32_t number)
{
    const char *key = key_of(number);
    const uint64_t hash = keyed_hash(key, KEY_BYTES);
    piece *own = owner_of(world, key);
    uint32_t index;
    bool is_new;
    assert_int_equal(state_part_find(&world->pieces[own - world->own], (uint32_t)hash, key,
                                     KEY_BYTES, &index, &is_new, NULL),
                     FRESHET_OK);
    ((counter *)keyed_at(&own->table, index))->value++;
    keyed_mark_dirty(&own->table, index);
}

static void forget_one(world *world, uint32_t number)
{
    counter *counter = counter_of(world, number);
    if (counter == NULL)
        return;
    const char *key = key_of(number);
    piece *own = owner_of(world, key);
    counter->value = 0;
    state_part_forget(
        &world->pieces[own - world->own],
        keyed_find(&own->table, (uint32_t)keyed_hash(key, KEY_BYTES), key, KEY_BYTES));
}

static uint32_t save_all(world *world)
{
    uint32_t cursor = 0, n = 0;
    text_buffer bytes;
    int64_t time;
    text_init(&bytes, 64);
    for (state_key key; state_part_next_dirty(&world->part, &cursor, &key); n++) {
        const uint32_t number = number_of(key.bytes);
        const counter *counter = counter_of(world, number);
        assert_int_equal(state_part_is_saved(&world->part, &key), counter->head.saved);
        world->saved[number] = world->kept[number] = 0;
        if (state_part_is_empty(&world->part, &key))
            continue;
        text_reset(&bytes);
        assert_int_equal(state_part_save(&world->part, &key, &bytes, NULL), FRESHET_OK);
        memcpy(&world->saved[number], bytes.bytes, sizeof(uint32_t));
        assert_int_equal(world->saved[number], counter->value);
        assert_true(state_part_listed(&world->part, &key, 0, &time));
        assert_int_equal(time, (int64_t)counter->value * TIME_STEP + number);
        assert_false(state_part_listed(&world->part, &key, 1, &time));
    }
    text_release(&bytes);
    state_part_clean(&world->part);
    return n;
}

static uint32_t bring_all(world *world, int64_t until)
{
    uint32_t sum = 0, n;
    memset(world->brought, 0, sizeof world->brought);
    for (uint32_t i = 0; i < world->n; i++)
        do {
            assert_int_equal(state_part_bring(&world->pieces[i], until, 3, &n, NULL), FRESHET_OK);
            sum += n;
        } while (n > 0);
    return sum;
}

static uint32_t do_one(world *world, uint32_t kind, uint32_t number)
{
    const char *key = key_of(number);
    const unsigned char value = (unsigned char)(number % 11);
    state_fill filled = FILL_NOTHING;
    state_key cold;
    switch (kind) {
    default: count_one(world, number); return 0;
    case 0: forget_one(world, number); return 0;
    case 1: return save_all(world);
    case 2: return state_part_drop_cold(&world->part, KEYS);
    case 3: state_part_touch(&world->part, key, KEY_BYTES); return 0;
    case 4: return bring_all(world, number);
    case 5:
        assert_int_equal(state_part_fill(&world->part, key, KEY_BYTES, &value, 1, &filled, NULL),
                         FRESHET_OK);
        return filled;
    case 6:
        if (world->saved[number] == 0)
            return 0;
        return (uint32_t)state_part_restore(&world->part, key, KEY_BYTES, &world->saved[number],
                                            sizeof(uint32_t), NULL);
    case 7:
        save_all(world);
        if (!state_part_next_cold(&world->part, &cold))
            return 0;
        assert_true(state_part_is_saved(&world->part, &cold));
        cold.length = number_of(cold.bytes);
        state_part_drop(&world->part, &cold);
        assert_null(counter_of(world, (uint32_t)cold.length));
        /* Which one it is differs: all go, so that the same ones are there. */
        return 1 + (state_part_drop_cold(&world->part, KEYS), 0);
    case 8:
        save_all(world);
        assert_true(state_part_drop_cold(&world->part, 5) <= 5);
        return (state_part_drop_cold(&world->part, KEYS), 0);
    }
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void compare(world *world, const struct world *whole)
{
    uint32_t cursor = 0, n_dirty = 0, n_whole = 0;
    state_key key;
    for (uint32_t i = 0; i < KEYS; i++) {
        const counter *here = counter_of(world, i);
        const counter *there = counter_of((struct world *)whole, i);
        assert_int_equal(here == NULL, there == NULL);
        assert_int_equal(state_part_has(&world->part, key_of(i), KEY_BYTES), here != NULL);
        if (here == NULL || there == NULL)
            continue;
        assert_int_equal(here->value, there->value);
        assert_int_equal(here->head.saved, there->head.saved);
        assert_int_equal(here->head.dirty, there->head.dirty);
    }
    while (state_part_next_dirty(&world->part, &cursor, &key)) {
        assert_true(counter_of(world, number_of(key.bytes))->head.dirty);
        n_dirty++;
    }
    cursor = 0;
    while (state_part_next_dirty(&whole->part, &cursor, &key))
        n_whole++;
    assert_int_equal(n_dirty, n_whole);
    assert_memory_equal(world->saved, whole->saved, sizeof whole->saved);
    assert_memory_equal(world->kept, whole->kept, sizeof whole->kept);
    assert_int_equal(state_part_keys(&world->part), state_part_keys(&whole->part));
    assert_int_equal(state_part_bytes(&world->part), state_part_bytes(&whole->part));
    assert_int_equal(state_part_bytes_changed(&world->part),
                     state_part_bytes_changed(&whole->part));
    for (uint32_t i = 0; i < world->n; i++)
        assert_null(keyed_check(&world->own[i].table));
}

static void pieces_are_as_the_whole(void **state)
{
    static const uint32_t pieces[WORLDS] = {0, 1, 2, 5, STATE_PIECES_MAX};
    (void)state;
    for (random_state = 1; random_state < 3; random_state++) {
        for (uint32_t w = 0; w < WORLDS; w++)
            open_world(&worlds[w], pieces[w]);
        for (int step = 0; step < STEPS; step++) {
            const uint32_t kind = below(100), number = below(KEYS);
            const uint32_t said = do_one(&worlds[0], kind, number);
            for (uint32_t w = 1; w < WORLDS; w++) {
                assert_int_equal(do_one(&worlds[w], kind, number), said);
                if (step % 16 == 0 || step == STEPS - 1)
                    compare(&worlds[w], &worlds[0]);
            }
        }
        for (uint32_t w = 0; w < WORLDS; w++)
            close_world(&worlds[w]);
    }
}

/* What is no key's goes to all of them. */
static void all_pieces_are_told(void **state)
{
    (void)state;
    world *world = &worlds[0];
    evolution out = {.arena = arena_open(), .declared = 7};
    freshet_error err = {0};
    open_world(world, 5);
    assert_false(state_part_lists_anew(&world->part));
    assert_int_equal(state_part_evolve(&world->part, NULL, &out, &err), FRESHET_OK);
    assert_int_equal(out.n, 1); /* said once */
    assert_int_equal(out.counts[VERDICT_SERVED], 1);
    assert_string_equal(out.items[0].said, "number 7");
    assert_true(state_part_lists_anew(&world->part));
    assert_int_equal(state_part_know(&world->part, "abc", &err), FRESHET_OK);
    assert_int_equal(state_part_know(&world->part, "!", &err), FRESHET_FAILED);
    assert_int_equal(state_part_fill_open(&world->part, "abc", 9, &err), FRESHET_OK);
    state_part_filled(&world->part, 8);
    for (uint32_t i = 0; i < world->n; i++) {
        assert_int_equal(world->own[i].evolved, 1);
        assert_int_equal(world->own[i].known, i == 0 ? 4 : 3);
        assert_int_equal(world->own[i].opened, 9);
        assert_int_equal(world->own[i].filled, 8);
        world->own[i].over_before = 100 + i * 3 % 5;
    }
    assert_int_equal(state_part_over_before(&world->part), 100);
    assert_int_equal(state_part_fill_until(&world->part), 100);
    assert_int_equal(state_part_fill_newest(&world->part, 1), 104);
    assert_int_equal(state_part_listed_saved(&world->part, "\3", 2), 5);
    assert_true(state_part_is_listed(&world->part) && state_part_is_swept(&world->part) &&
                state_part_is_fillable(&world->part) && state_part_has_layouts(&world->part));
    assert_false(state_part_begins_anew(&world->part));
    close_world(world);
    arena_close(out.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_as_the_whole),
        cmocka_unit_test(all_pieces_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
