/* seen_events_test.c - events taken once: against the definition, through saving and forgetting. */
#include "base/random_testing.h"
#include "features/operators/operators_testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SECOND_US INT64_C(1000000)
#define WITHIN_US (100 * SECOND_US)
#define MEMORY ((size_t)1 << 30)
#define SEEN_ID_BYTES_MAX 65536u
#define SEEN_TIMES_MAX 1000

static field fields[] = {{"n", NULL}, {"event_id", NULL}, {"part", NULL}};
static const schema input = {3, fields};
static declared_text id_columns[] = {{.value = "event_id"}, {.value = "part"}};
static arena *rows_arena;

static int set_up(void **state)
{
    (void)state;
    fields[0].type = type_simple(TYPE_BIGINT);
    fields[1].type = type_simple(TYPE_STRING);
    fields[2].type = type_simple(TYPE_DOUBLE);
    rows_arena = arena_open();
    return rows_arena == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    arena_close(rows_arena);
    return 0;
}

static void open_limited(alone *seen, uint32_t n_columns, size_t memory)
{
    *seen = (alone){.set = {.input = &input}, .memory = memory};
    seen->declaration.feature_set.deduplicate =
        (deduplicate_block){.on = {id_columns, n_columns}, .within_us = WITHIN_US};
    alone_open(seen, &seen_events_operator);
}

static freshet_code load_saved(void *context, const void *key, size_t length, text_buffer *into,
                               freshet_error *err);

static void open_seen(alone *seen)
{
    open_limited(seen, 2, MEMORY);
    state_part_set_load(alone_part(seen), load_saved, NULL);
}

/* A row; where `rows` is NULL none, but the time before which none comes any more. */
static freshet_code run_step(alone *seen, const batch *rows, int64_t event_us, int64_t lowest_s,
                             bool *is_new, freshet_error *err)
{
    uint8_t keep = 1;
    column column = {.type = type_simple(TYPE_TIMESTAMP), .data = &event_us};
    run run = {.in = rows,
               .columns = &column,
               .n_rows = rows == NULL ? 0 : 1,
               .keep = &keep,
               .lowest_s = lowest_s,
               .err = err};
    const freshet_code code = alone_run(seen, &run);
    *is_new = keep != 0;
    return code;
}

static freshet_code take_row(alone *seen, const batch *rows, int64_t event_us, bool *is_new,
                             freshet_error *err)
{
    return run_step(seen, rows, event_us, INT64_MIN, is_new, err);
}

static void forget(alone *seen, int64_t before_s)
{
    bool is_new;
    assert_int_equal(run_step(seen, NULL, 0, before_s, &is_new, NULL), FRESHET_OK);
}

static bool take(alone *seen, const char *id, double part, int64_t second)
{
    batch in;
    bool is_new = false;
    assert_int_equal(batch_init(&in, rows_arena, &input, 1, NULL), FRESHET_OK);
    if (id == NULL)
        column_set_null(rows_arena, &in.columns[1], 0);
    else
        ((cell_text *)in.columns[1].data)[0] = text_of(id, (uint32_t)strlen(id));
    ((double *)in.columns[2].data)[0] = part;
    in.n_rows = 1;
    assert_int_equal(take_row(seen, &in, second * SECOND_US, &is_new, NULL), FRESHET_OK);
    arena_reset(rows_arena);
    return is_new;
}

static void an_event_is_taken_once(void **state)
{
    (void)state;
    alone alone, *seen = &alone;
    open_seen(seen);
    assert_true(take(seen, "a", 1, 1000));
    assert_false(take(seen, "a", 1, 1000));
    assert_false(take(seen, "a", 1, 1100)); /* as far as it goes, both ways */
    assert_false(take(seen, "a", 1, 900));
    assert_true(take(seen, "a", 1, 1101));
    assert_true(take(seen, "a", 1, 899));
    assert_false(take(seen, "a", 1, 1000)); /* all three are known */
    assert_false(take(seen, "a", 1, 1201));
    assert_false(take(seen, "a", 1, 799));
    assert_true(take(seen, "a", 2, 1000)); /* the id is both columns */
    assert_true(take(seen, "an id that is longer than twelve bytes", 1, 1000));
    assert_false(take(seen, "an id that is longer than twelve bytes", 1, 1000));
    assert_true(take(seen, "n", (double)NAN, 0));
    assert_false(take(seen, "n", -(double)NAN, 0));
    assert_true(take(seen, "n", 0.0, 0));
    assert_false(take(seen, "n", -0.0, 0));
    assert_int_equal(seen->self->figures.repeated, 9);
    alone_close(seen);
}

static void without_an_id_nothing_repeats(void **state)
{
    (void)state;
    alone alone, *seen = &alone;
    open_seen(seen);
    for (int i = 0; i < 3; i++)
        assert_true(take(seen, NULL, 1, 1000));
    assert_int_equal(state_part_keys(alone_part(seen)), 0);
    alone_close(seen);
}

static void times_at_the_ends(void **state)
{
    (void)state;
    alone alone, *seen = &alone;
    open_seen(seen);
    batch in;
    bool is_new;
    assert_int_equal(batch_init(&in, rows_arena, &input, 1, NULL), FRESHET_OK);
    in.n_rows = 1;
    ((cell_text *)in.columns[1].data)[0] = text_of("a", 1);
    const int64_t times_us[] = {INT64_MAX, INT64_MIN, 0, INT64_MAX - 1, INT64_MIN + 1};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(take_row(seen, &in, times_us[i], &is_new, NULL), FRESHET_OK);
        assert_int_equal(is_new, i < 3);
    }
    forget(seen, INT64_MIN);
    assert_int_equal(state_part_keys(alone_part(seen)), 1);
    alone_close(seen);
}

static void ids_are_forgotten_when_no_row_can_repeat_them(void **state)
{
    (void)state;
    alone alone, *seen = &alone;
    open_seen(seen);
    const state_part *part = alone_part(seen);
    char id[32];
    for (int i = 0; i < 5000; i++) {
        snprintf(id, sizeof id, "event %d", i);
        assert_true(take(seen, id, 0, i));
    }
    assert_int_equal(state_part_keys(part), 5000);
    assert_true(take(seen, "event 10", 0, 3000)); /* lives on by its newer time */
    size_t bytes = state_part_bytes(part);
    forget(seen, 2000);
    /* what is older than 1900 s, but for less than one bucket, and but for number 10 */
    assert_in_range(state_part_keys(part), 3101, 3110);
    assert_true(state_part_bytes(part) < bytes * 2 / 3);
    assert_false(take(seen, "event 10", 0, 3050));
    assert_false(take(seen, "event 1900", 0, 2000));
    forget(seen, 4000);
    assert_in_range(state_part_keys(part), 1100, 1107);
    forget(seen, 1000000);
    assert_int_equal(state_part_keys(part), 0);
    assert_int_equal(state_part_bytes(part), 0);
    uint32_t cursor = 0;
    state_key key;
    assert_false(state_part_next_dirty(part, &cursor, &key)); /* none was ever saved */
    alone_close(seen);
}

/* ---- against the definition, with saving ----------------------------------------------------- */

#define EVENTS 3000u
#define STORE_MAX 4096u
#define LIST_MAX 8192u

typedef struct taken {
    uint32_t id;
    int64_t second;
} taken;

typedef struct saved {
    char key[64];
    size_t key_length;
    text_buffer value;
} saved;

static saved store[STORE_MAX];
static uint32_t n_saved;

/* What the store lists by time. */
typedef struct listed {
    char key[64];
    size_t key_length;
    int64_t time;
} listed;

static listed list[LIST_MAX];
static uint32_t n_listed;

static uint32_t find_saved(const void *key, size_t length)
{
    uint32_t i = 0;
    while (i < n_saved && (store[i].key_length != length || memcmp(store[i].key, key, length) != 0))
        i++;
    return i;
}

static void remove_saved(uint32_t i)
{
    text_release(&store[i].value);
    store[i] = store[--n_saved];
}

static freshet_code load_saved(void *context, const void *key, size_t length, text_buffer *into,
                               freshet_error *err)
{
    const uint32_t i = find_saved(key, length);
    (void)context, (void)err;
    if (i == n_saved)
        return FRESHET_END;
    text_append(into, store[i].value.bytes, store[i].value.length);
    return FRESHET_OK;
}

static void unlist(const void *key, size_t length, int64_t time)
{
    for (uint32_t i = 0; i < n_listed; i++)
        if (list[i].time == time && list[i].key_length == length &&
            memcmp(list[i].key, key, length) == 0)
            list[i--] = list[--n_listed];
}

/* As the checkpoint does it; and then the id is listed under its newest time alone. */
static void list_one(const state_part *part, const state_key *key, int64_t newest_us)
{
    int64_t time;
    assert_true(part->ops->listed(part->table->options.self, key->index, 0, &time));
    assert_int_equal(time, newest_us);
    unlist(key->bytes, key->length, time);
    assert_true(n_listed < LIST_MAX);
    list[n_listed] = (listed){.key_length = key->length, .time = time};
    memcpy(list[n_listed++].key, key->bytes, key->length);
    for (uint32_t i = 1; part->ops->listed(part->table->options.self, key->index, i, &time); i++)
        unlist(key->bytes, key->length, time);
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_listed; i++)
        n += list[i].key_length == key->length && memcmp(list[i].key, key->bytes, key->length) == 0;
    assert_int_equal(n, 1);
}

static void save_one(const state_part *part, const state_key *key)
{
    uint32_t i = find_saved(key->bytes, key->length);
    if (state_part_is_empty(part, key)) {
        if (i < n_saved)
            remove_saved(i);
        return;
    }
    if (i == n_saved) {
        assert_true(n_saved < STORE_MAX && key->length <= sizeof store[i].key);
        memcpy(store[i].key, key->bytes, key->length);
        store[i].key_length = key->length;
        text_init(&store[i].value, 1 << 20);
        n_saved++;
    }
    text_reset(&store[i].value);
    assert_int_equal(state_part_save(part, key, &store[i].value, NULL), FRESHET_OK);
    list_one(part, key, part->ops->listed_saved(store[i].value.bytes, store[i].value.length));
}

/* What is listed under a time that is over is removed, unless it is in memory. */
static void sweep(const state_part *part)
{
    const int64_t before = part->ops->over_before(part->table->options.self);
    for (uint32_t i = 0; i < n_listed; i++) {
        if (list[i].time >= before)
            continue;
        const uint32_t at = find_saved(list[i].key, list[i].key_length);
        if (at < n_saved && !state_part_has(part, list[i].key, list[i].key_length))
            remove_saved(at);
        list[i--] = list[--n_listed];
    }
}

static void checkpoint(const state_part *part)
{
    state_key key;
    for (uint32_t cursor = 0; state_part_next_dirty(part, &cursor, &key);)
        save_one(part, &key);
    sweep(part);
    state_part_clean(part);
}

static void drop_cold(const state_part *part, uint32_t n)
{
    state_key key;
    while (n-- > 0 && state_part_next_cold(part, &key))
        state_part_drop(part, &key);
}

static void forget_saved(void)
{
    while (n_saved > 0)
        remove_saved(0);
    n_listed = 0;
}

static void restart(alone *seen)
{
    alone_close(seen);
    open_seen(seen);
    for (uint32_t i = 0; i < n_saved; i++)
        assert_int_equal(state_part_restore(alone_part(seen), store[i].key, store[i].key_length,
                                            store[i].value.bytes, store[i].value.length, NULL),
                         FRESHET_OK);
}

static void random_events_against_the_definition(void **state)
{
    (void)state;
    static taken all[EVENTS];
    for (uint32_t round = 0; round < 12; round++) {
        random_state = round;
        uint32_t n = 0, n_ids = 5 + random_below(400), late = random_below(300);
        int64_t newest = 0;
        alone alone, *seen = &alone;
        open_seen(seen);
        for (uint32_t i = 0; i < EVENTS; i++) {
            newest += random_below(3);
            int64_t second = newest - random_below(late + 1); /* the watermark is newest - late */
            uint32_t id = random_below(n_ids);
            char text[32];
            snprintf(text, sizeof text, id % 2 == 0 ? "%u" : "one of the long ids %u", id);
            bool expected = true;
            for (uint32_t t = 0; t < n && expected; t++)
                expected = all[t].id != id || llabs(all[t].second - second) > 100;
            assert_int_equal(take(seen, text, 0, second), expected);
            if (expected)
                all[n++] = (taken){id, second};
            if (random_below(50) == 0)
                forget(seen, (newest - late));
            if (random_below(100) == 0)
                checkpoint(alone_part(seen));
            if (random_below(30) == 0)
                drop_cold(alone_part(seen), random_below(n_ids));
            if (random_below(300) == 0) {
                checkpoint(alone_part(seen));
                restart(seen);
            }
        }
        forget(seen, (newest + 1000));
        checkpoint(alone_part(seen));
        assert_int_equal(n_saved, 0);
        assert_int_equal(state_part_keys(alone_part(seen)), 0);
        alone_close(seen);
    }
}

/* One that is exactly `within` old is still known, in memory and out of it; one that is older goes.
 */
static void an_id_lives_exactly_as_long_as_it_can_be_repeated(void **state)
{
    (void)state;
    const int64_t bucket_us = WITHIN_US / 16; /* times are forgotten in pieces of it */
    const int64_t end_us = 160 * bucket_us;
    for (int is_cold = 0; is_cold < 2; is_cold++) {
        alone alone, *seen = &alone;
        batch in;
        bool is_new;
        open_seen(seen);
        const state_part *part = alone_part(seen);
        assert_int_equal(batch_init(&in, rows_arena, &input, 1, NULL), FRESHET_OK);
        in.n_rows = 1;
        for (int i = 0; i < 2; i++) {
            ((cell_text *)in.columns[1].data)[0] = text_of(i == 0 ? "gone" : "known", 4 + i);
            assert_int_equal(take_row(seen, &in, end_us - 1 + i, &is_new, NULL), FRESHET_OK);
            assert_true(is_new);
        }
        checkpoint(part);
        assert_int_equal(n_saved, 2);
        if (is_cold)
            drop_cold(part, 2);
        assert_int_equal(state_part_keys(part), is_cold ? 0 : 2);
        /* no row before end_us + WITHIN_US comes any more */
        forget(seen, (end_us + WITHIN_US) / SECOND_US);
        assert_int_equal(part->ops->over_before(part->table->options.self), end_us);
        checkpoint(part);
        assert_int_equal(n_saved, 1);
        assert_int_equal(take_row(seen, &in, end_us + WITHIN_US, &is_new, NULL), FRESHET_OK);
        assert_false(is_new);
        assert_int_equal(take_row(seen, &in, end_us + WITHIN_US + 1, &is_new, NULL), FRESHET_OK);
        assert_true(is_new);
        arena_reset(rows_arena);
        alone_close(seen);
        forget_saved();
    }
}

/* An id gets more new times than are remembered of it, and one that was over gets another one, all
 * between two checkpoints: each is listed under its newest alone, so old ones take nothing away. */
static void an_id_is_not_listed_under_a_time_that_left_it(void **state)
{
    (void)state;
    alone alone, *seen = &alone;
    open_seen(seen);
    const state_part *part = alone_part(seen);
    int64_t second = 1000;
    assert_true(take(seen, "a", 1, second));
    assert_true(take(seen, "b", 1, second));
    checkpoint(part);
    for (int64_t i = 0; i < SEEN_TIMES_MAX + 50; i++)
        assert_true(take(seen, "a", 1, second += 200));
    forget(seen, second);
    assert_true(take(seen, "b", 1, second));
    checkpoint(part);
    drop_cold(part, 2);
    forget(seen, second + 50);
    checkpoint(part);
    assert_int_equal(n_saved, 2);
    assert_int_equal(n_listed, 2);
    assert_false(take(seen, "a", 1, second + 60));
    assert_false(take(seen, "b", 1, second + 60));
    alone_close(seen);
    forget_saved();
}

static void an_id_shows_what_it_is(void **state)
{
    (void)state;
    alone alone, *seen = &alone;
    open_seen(seen);
    const state_part *part = alone_part(seen);
    state_key key;
    uint32_t cursor = 0;
    text_buffer value, shown;
    text_init(&value, 1 << 20);
    text_init(&shown, 1 << 20);
    take(seen, "a \"quoted\" id", 2.5, 0);
    take(seen, "a \"quoted\" id", 2.5, 1000);
    assert_true(state_part_next_dirty(part, &cursor, &key));
    assert_int_equal(state_part_save(part, &key, &value, NULL), FRESHET_OK);
    assert_int_equal(
        state_part_inspect(part, key.bytes, key.length, value.bytes, value.length, &shown, NULL),
        FRESHET_OK);
    assert_string_equal(
        shown.bytes, "{\"key\": {\"event_id\": \"a \\\"quoted\\\" id\", \"part\": 2.5}, \"taken\": "
                     "[\"1970-01-01T00:16:40.000000Z\", \"1970-01-01T00:00:00.000000Z\"]}");
    assert_string_equal(part->shape, "ids of events: event_id string, part double");
    assert_int_equal(state_part_inspect(part, "\1\xff", 2, value.bytes, value.length, &shown, NULL),
                     FRESHET_FAILED);
    text_release(&value);
    text_release(&shown);
    alone_close(seen);
}

static void damaged_ids_are_refused(void **state)
{
    (void)state;
    alone alone, *seen = &alone;
    open_seen(seen);
    const state_part *part = alone_part(seen);
    const int64_t times_us[2] = {2, 1};
    freshet_error err;
    assert_int_equal(state_part_restore(part, "x", 1, times_us, 0, &err), FRESHET_FAILED);
    assert_int_equal(state_part_restore(part, "x", 1, times_us, 7, &err), FRESHET_FAILED);
    assert_int_equal(state_part_restore(part, "x", 0, times_us, 8, &err), FRESHET_FAILED);
    assert_int_equal(state_part_restore(part, "x", 1, times_us, 16, &err), FRESHET_OK);
    assert_int_equal(state_part_restore(part, "x", 1, times_us, 16, &err), FRESHET_FAILED);
    assert_non_null(strstr(err.text, "twice"));
    alone_close(seen);
}

static void limits_are_said(void **state)
{
    (void)state;
    alone alone, *seen = &alone;
    batch in;
    bool is_new;
    freshet_error err;
    freshet_code code = FRESHET_OK;
    open_limited(seen, 1, 1 << 20);
    assert_int_equal(batch_init(&in, rows_arena, &input, 1, NULL), FRESHET_OK);
    in.n_rows = 1;
    uint32_t n = 0;
    for (; code == FRESHET_OK && n < 100000; n++) {
        char text[32];
        snprintf(text, sizeof text, "%u", n);
        ((cell_text *)in.columns[1].data)[0] = text_of(text, (uint32_t)strlen(text));
        code = take_row(seen, &in, 0, &is_new, &err);
    }
    assert_int_equal(code, FRESHET_LIMIT);
    assert_in_range(n, 5000, 20000);
    assert_non_null(strstr(err.text, "need more than the 1 MiB of state.memory"));

    char *text = malloc(SEEN_ID_BYTES_MAX);
    memset(text, 'x', SEEN_ID_BYTES_MAX);
    ((cell_text *)in.columns[1].data)[0] = text_of(text, SEEN_ID_BYTES_MAX - 5 + 1);
    assert_int_equal(take_row(seen, &in, 0, &is_new, &err), FRESHET_LIMIT);
    assert_non_null(strstr(err.text, "more than 65536 bytes"));
    alone_close(seen);
    open_seen(seen);
    ((cell_text *)in.columns[1].data)[0] = text_of(text, SEEN_ID_BYTES_MAX - 5 - 9);
    assert_int_equal(take_row(seen, &in, 0, &is_new, &err), FRESHET_OK);
    alone_close(seen);
    free(text);
}

/* Many events of one id: the oldest are forgotten first. */
static void an_id_has_so_many_times_at_most(void **state)
{
    (void)state;
    alone alone, *seen = &alone;
    open_seen(seen);
    for (int64_t i = 0; i <= SEEN_TIMES_MAX; i++)
        assert_true(take(seen, "a", 1, i * 1000));
    assert_true(take(seen, "a", 1, 0));
    assert_false(take(seen, "a", 1, SEEN_TIMES_MAX * 1000));
    assert_false(take(seen, "a", 1, (int64_t)SEEN_TIMES_MAX / 2 * 1000));
    alone_close(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_taken_once),
        cmocka_unit_test(without_an_id_nothing_repeats),
        cmocka_unit_test(times_at_the_ends),
        cmocka_unit_test(ids_are_forgotten_when_no_row_can_repeat_them),
        cmocka_unit_test(random_events_against_the_definition),
        cmocka_unit_test(an_id_lives_exactly_as_long_as_it_can_be_repeated),
        cmocka_unit_test(an_id_is_not_listed_under_a_time_that_left_it),
        cmocka_unit_test(an_id_shows_what_it_is),
        cmocka_unit_test(damaged_ids_are_refused),
        cmocka_unit_test(limits_are_said),
        cmocka_unit_test(an_id_has_so_many_times_at_most),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
