/* state_part_test.c - a part that counts, against a list, with a store beside it: saved, dropped,
 * loaded, restarted, while memory fails. */
#include "keyed/state_part.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"

#define KEYS 400u
#define STEPS 20000

typedef struct counter {
    keyed_entry head;
    uint32_t value;
    uint32_t *outside; /* the same value; NULL where it is 0 */
} counter;

/* The store has value 0 for what is not there. */
static uint32_t store[KEYS];
static uint32_t twins[KEYS];

static struct {
    memory counted;
    keyed_table table;
    state_part part;
    uint64_t sum; /* of all values in memory */
    uint32_t refused_index;
} it;

static uint64_t random_state;

static uint32_t below(uint32_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

/* ---- the part -------------------------------------------------------------------------------- */

static bool set_value(counter *counter, uint32_t value)
{
    if (value > 0 && counter->outside == NULL &&
        (counter->outside = memory_take(&it.counted, sizeof value)) == NULL)
        return false;
    if (counter->outside != NULL)
        *counter->outside = value;
    it.sum += value - (uint64_t)counter->value;
    counter->value = value;
    return true;
}

static void release_counter(void *self, void *entry)
{
    counter *counter = entry;
    assert_ptr_equal(self, &it);
    it.sum -= counter->value;
    memory_give(&it.counted, counter->outside, sizeof(uint32_t));
    counter->outside = NULL;
}

static freshet_code counter_save(void *self, const void *entry, text_buffer *into,
                                 freshet_error *err)
{
    (void)self, (void)err;
    text_append(into, (const char *)((const counter *)entry)->outside, sizeof(uint32_t));
    return FRESHET_OK;
}

static freshet_code counter_restore(void *self, const state_key *key, void *entry,
                                    const void *bytes, size_t length, freshet_error *err)
{
    uint32_t value;
    (void)self;
    assert_int_equal(key->index, KEY_NONE);
    if (length != sizeof value)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "damaged");
    memcpy(&value, bytes, sizeof value);
    return set_value(entry, value) ? FRESHET_OK : error_memory(err, "restoring");
}

static freshet_code counter_inspect(void *self, arena *arena, const void *bytes, size_t length,
                                    text_buffer *into, freshet_error *err)
{
    uint32_t value;
    (void)self, (void)arena, (void)length, (void)err;
    memcpy(&value, bytes, sizeof value);
    text_format(into, ", \"value\": %u", value);
    return FRESHET_OK;
}

static bool counter_is_empty(void *self, const void *entry)
{
    (void)self;
    return ((const counter *)entry)->value == 0;
}

static bool counter_placed(void *self, uint32_t index)
{
    (void)self;
    return index != it.refused_index;
}

static const state_part_ops ops = {.save = counter_save,
                                   .restore = counter_restore,
                                   .inspect = counter_inspect,
                                   .is_empty = counter_is_empty,
                                   .placed = counter_placed};

/* Keys are bigints, encoded as cells.h does. */
static const char *key_of(uint32_t number)
{
    static char bytes[9] = {1};
    const int64_t value = number;
    memcpy(bytes + 1, &value, sizeof value);
    return bytes;
}

static uint32_t number_of(const void *key)
{
    uint32_t number;
    memcpy(&number, (const char *)key + 1, sizeof number);
    return number;
}

static freshet_code load(void *context, const void *key, size_t key_length, text_buffer *into,
                         freshet_error *err)
{
    (void)err;
    assert_ptr_equal(context, store);
    assert_int_not_equal(it.part.keys, STATE_RESIDENT); /* all its keys are here */
    assert_int_equal(key_length, 9);
    const uint32_t value = store[number_of(key)];
    if (value == 0)
        return FRESHET_END;
    text_append(into, (const char *)&value, sizeof value);
    return FRESHET_OK;
}

static freshet_code load_many(void *context, const state_key *keys, uint32_t n,
                              state_loaded_fn *loaded, void *into, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    assert_ptr_equal(context, store);
    for (uint32_t i = n; code == FRESHET_OK && i-- > 0;) {
        const uint32_t value = store[number_of(keys[i].bytes)];
        if (value != 0)
            code = loaded(into, i, &value, sizeof value, err);
    }
    return code;
}

static freshet_code load_fails(void *context, const void *key, size_t key_length, text_buffer *into,
                               freshet_error *err)
{
    (void)context, (void)key, (void)key_length;
    text_append_c(into, "half");
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "the store is away");
}

static void open_part(state_keys keys, state_load_fn *from)
{
    static const char *const names[] = {"id"};
    static const type *types[1];
    types[0] = type_simple(TYPE_BIGINT);
    memset(&it, 0, sizeof it);
    it.counted.fail_after = -1;
    it.refused_index = KEY_NONE;
    const keyed_options options = {.memory = &it.counted,
                                   .entry_bytes = sizeof(counter),
                                   .release = release_counter,
                                   .self = &it};
    assert_true(keyed_open(&it.table, &options));
    it.part = (state_part){.doing = "counting",
                           .keys = keys,
                           .ops = &ops,
                           .table = &it.table,
                           .key_names = names,
                           .key_types = types,
                           .n_keys = 1,
                           .key_bytes_max = 9};
    state_part_set_load(&it.part, from, store);
    state_part_set_load_many(&it.part, load_many);
}

static void close_part(void)
{
    keyed_close(&it.table);
    assert_int_equal(it.counted.bytes, 0);
    assert_int_equal(it.sum, 0);
}

static freshet_code find(uint32_t number, uint32_t *index, bool *is_new, freshet_error *err)
{
    const char *key = key_of(number);
    return state_part_find(&it.part, (uint32_t)keyed_hash(key, 9), key, 9, index, is_new, err);
}

/* ---- against the list ------------------------------------------------------------------------ */

static void save_all(void)
{
    uint32_t cursor = 0;
    text_buffer bytes;
    text_init(&bytes, 64);
    for (state_key key; state_part_next_dirty(&it.part, &cursor, &key);) {
        uint32_t *saved = &store[number_of(key.bytes)];
        *saved = 0;
        if (state_part_is_empty(&it.part, &key))
            continue;
        text_reset(&bytes);
        assert_int_equal(state_part_save(&it.part, &key, &bytes, NULL), FRESHET_OK);
        memcpy(saved, bytes.bytes, sizeof *saved);
    }
    state_part_clean(&it.part);
    text_release(&bytes);
    assert_memory_equal(store, twins, sizeof store);
    uint64_t n = 0, sum = 0;
    for (uint32_t i = 0, index; (index = keyed_next(&it.table, &i)) != KEY_NONE; n++) {
        const counter *counter = keyed_at(&it.table, index);
        assert_int_equal(counter->value, twins[number_of(keyed_key(&counter->head))]);
        sum += counter->value;
    }
    assert_int_equal(n, state_part_keys(&it.part));
    assert_int_equal(sum, it.sum);
}

static void restart(state_keys keys)
{
    close_part();
    open_part(keys, load);
    for (uint32_t i = 0; keys != STATE_ON_DEMAND && i < KEYS; i++)
        if (store[i] > 0)
            assert_int_equal(state_part_restore(&it.part, key_of(i), 9, &store[i], 4, NULL),
                             FRESHET_OK);
}

static void count(uint32_t number)
{
    uint32_t index;
    bool is_new;
    freshet_error err;
    it.counted.fail_after = below(8) == 0 ? (int64_t)below(3) : -1;
    const uint64_t n = state_part_keys(&it.part);
    freshet_code code = find(number, &index, &is_new, &err);
    if (code == FRESHET_OK) {
        counter *counter = keyed_at(&it.table, index);
        assert_int_equal(counter->value, twins[number]);
        if (!set_value(counter, twins[number] + 1)) {
            if (is_new)
                keyed_drop(&it.table, index);
        } else {
            keyed_mark_dirty(&it.table, index);
            twins[number]++;
        }
    } else {
        assert_int_equal(code, FRESHET_NO_MEMORY);
        assert_int_equal(state_part_keys(&it.part), n);
    }
    it.counted.fail_after = -1;
}

/* Rows of keys that come from the store all at once, and then no more from there. */
static void count_chunk(void)
{
    static keyed_chunk chunk;
    const void *entries[KEYED_CHUNK_ROWS];
    const uint32_t n = 1 + below(KEYED_CHUNK_ROWS / 8);
    freshet_error err = {0};
    arena *arena = arena_open();
    column keys;
    assert_int_equal(column_init(arena, &keys, type_simple(TYPE_BIGINT), n, NULL), FRESHET_OK);
    for (uint32_t i = 0; i < n; i++)
        ((int64_t *)keys.data)[i] = below(KEYS);
    text_init(&chunk.bytes, TEXT_LIMIT_DEFAULT);
    assert_true(keyed_chunk_fill(&chunk, &it.table, &keys, 1, 0, n, 9));
    keyed_chunk_prefetch(&chunk, &it.table, n, entries);
    assert_int_equal(state_part_fetch(&it.part, &chunk, n, entries, &err), FRESHET_OK);
    it.table.load = load_fails;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t number = number_of(keyed_chunk_key(&chunk, i));
        uint32_t index;
        bool is_new;
        assert_int_equal(state_part_find_row(&it.part, &chunk, i, &index, &is_new, &err),
                         FRESHET_OK);
        counter *counter = keyed_at(&it.table, index);
        assert_int_equal(counter->value, twins[number]);
        assert_true(set_value(counter, ++twins[number]));
        keyed_mark_dirty(&it.table, index);
    }
    it.table.load = load;
    text_release(&chunk.bytes);
    arena_close(arena);
}

static void end(uint32_t number)
{
    const uint32_t index =
        keyed_find(&it.table, (uint32_t)keyed_hash(key_of(number), 9), key_of(number), 9);
    if (index == KEY_NONE)
        return;
    set_value(keyed_at(&it.table, index), 0);
    state_part_forget(&it.part, index);
    twins[number] = 0;
}

static void run(state_keys keys)
{
    memset(store, 0, sizeof store);
    memset(twins, 0, sizeof twins);
    open_part(keys, load);
    for (int step = 0; step < STEPS; step++) {
        const uint32_t kind = below(1000);
        state_key key;
        if (kind < 780)
            count(below(KEYS));
        else if (kind < 800 && keys == STATE_ON_DEMAND)
            count_chunk();
        else if (kind < 900)
            end(below(KEYS));
        else if (kind < 980 && state_part_next_cold(&it.part, &key))
            state_part_drop(&it.part, &key);
        else if (kind < 995)
            save_all();
        else if (kind < 998 && (save_all(), true))
            restart(keys);
    }
    save_all();
    close_part();
}

static void random_keys_against_a_list(void **state)
{
    (void)state;
    for (random_state = 1; random_state < 4; random_state++)
        run(STATE_ON_DEMAND);
    run(STATE_RESIDENT);
}

/* ---- by hand --------------------------------------------------------------------------------- */

static void what_is_refused_changes_nothing(void **state)
{
    (void)state;
    uint32_t index, value = 5;
    bool is_new;
    freshet_error err;
    open_part(STATE_ON_DEMAND, load_fails);
    assert_int_equal(state_part_restore(&it.part, key_of(1), 9, &value, 4, NULL), FRESHET_OK);
    assert_int_equal(state_part_restore(&it.part, key_of(1), 9, &value, 3, &err), FRESHET_FAILED);
    assert_int_equal(state_part_restore(&it.part, "0123456789", 10, &value, 4, &err),
                     FRESHET_FAILED);
    assert_string_equal(err.text, "a saved key has more than 9 bytes");
    assert_int_equal(it.sum, 5);
    value = 7; /* in the place of what was there */
    assert_int_equal(state_part_restore(&it.part, key_of(1), 9, &value, 4, NULL), FRESHET_OK);
    assert_int_equal(it.sum, 7);
    assert_int_equal(find(2, &index, &is_new, &err), FRESHET_FAILED);
    assert_string_equal(err.text, "the store is away");
    it.refused_index = 1;
    assert_int_equal(state_part_restore(&it.part, key_of(3), 9, &value, 4, &err),
                     FRESHET_NO_MEMORY);
    assert_int_equal(state_part_keys(&it.part), 1);
    close_part();
}

static void a_resident_key_is_never_cold(void **state)
{
    (void)state;
    const uint32_t value = 5;
    state_key key;
    for (state_keys keys = STATE_ON_DEMAND; keys <= STATE_RESIDENT; keys++) {
        open_part(keys, load);
        assert_int_equal(state_part_restore(&it.part, key_of(1), 9, &value, 4, NULL), FRESHET_OK);
        assert_int_equal(state_part_next_cold(&it.part, &key), keys != STATE_RESIDENT);
        close_part();
    }
}

static void an_ended_key_waits_only_where_it_is_saved(void **state)
{
    (void)state;
    uint32_t index, cursor = 0;
    bool is_new;
    state_key key;
    memset(store, 0, sizeof store);
    memset(twins, 0, sizeof twins);
    open_part(STATE_ON_DEMAND, load);
    count(1);
    end(1);
    assert_int_equal(state_part_keys(&it.part), 0);
    assert_false(state_part_next_dirty(&it.part, &cursor, &key));
    random_state = 2;
    while (twins[2] == 0)
        count(2);
    save_all();
    end(2);
    assert_int_equal(state_part_keys(&it.part), 1); /* not loaded again from the store */
    assert_int_equal(find(2, &index, &is_new, NULL), FRESHET_OK);
    assert_false(is_new);
    cursor = 0;
    assert_true(state_part_next_dirty(&it.part, &cursor, &key));
    assert_true(state_part_is_empty(&it.part, &key));
    save_all();
    assert_int_equal(state_part_keys(&it.part), 0);
    close_part();
}

static void a_key_is_shown(void **state)
{
    (void)state;
    const uint32_t value = 5;
    text_buffer shown;
    freshet_error err;
    text_init(&shown, 1000);
    open_part(STATE_ON_DEMAND, load);
    assert_int_equal(state_part_inspect(&it.part, key_of(17), 9, &value, 4, &shown, NULL),
                     FRESHET_OK);
    assert_string_equal(shown.bytes, "{\"key\": {\"id\": 17}, \"value\": 5}");
    assert_int_equal(state_part_inspect(&it.part, key_of(17), 8, &value, 4, &shown, &err),
                     FRESHET_FAILED);
    assert_int_equal(state_part_inspect(&it.part, "\0x", 2, &value, 4, &shown, &err),
                     FRESHET_FAILED);
    text_release(&shown);
    close_part();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_keys_against_a_list),
        cmocka_unit_test(what_is_refused_changes_nothing),
        cmocka_unit_test(a_resident_key_is_never_cold),
        cmocka_unit_test(an_ended_key_waits_only_where_it_is_saved),
        cmocka_unit_test(a_key_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
