/* serving_rows_test.c - the newest row of each key: beside a naive twin, through the state's part,
 * with readers beside the loop, at the limit of memory. */
/* tsan */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "base/random_testing.h"
#include "keyed/cells.h"
#include "serving/serving_rows.h"

#define KEYS 200
#define STEPS 400
#define STEP_ROWS 50u
#define MANY ((size_t)1 << 30)

typedef struct world {
    arena *arena, *step;
    field fields[4];
    schema schema;
    serving_rows *rows;
} world;

static void open_world(world *world, size_t memory, bool may_leave)
{
    world->arena = arena_open();
    world->step = arena_open();
    world->fields[0] = (field){"id", type_simple(TYPE_BIGINT)};
    world->fields[1] = (field){"timestamp", type_simple(TYPE_TIMESTAMP)};
    world->fields[2] = (field){"value", type_simple(TYPE_BIGINT)};
    world->fields[3] = (field){"text", type_simple(TYPE_STRING)};
    world->schema = (schema){4, world->fields};
    const serving_rows_options options = {&world->schema, 1, memory, may_leave};
    assert_int_equal(serving_rows_open(&options, world->arena, &world->rows, NULL), FRESHET_OK);
}

static void close_world(world *world)
{
    serving_rows_close(world->rows);
    arena_close(world->step);
    arena_close(world->arena);
}

/* The text tells the value, so that a row that is half another one is seen. */
static const char *text_for(arena *arena, int64_t value)
{
    return arena_format(arena, "%lld%.*s", (long long)value, (int)(value % 40),
                        "........................................");
}

static void begin(world *world, batch *rows, uint32_t n)
{
    arena_reset(world->step);
    *rows = (batch){.arena = world->step};
    assert_int_equal(batch_init(rows, world->step, &world->schema, n, NULL), FRESHET_OK);
    rows->write_us = arena_alloc(world->step, n * sizeof *rows->write_us);
}

static void add(world *world, batch *rows, int64_t key, int64_t time, int64_t value)
{
    const uint32_t i = rows->n_rows++;
    const char *text = text_for(world->step, value);
    ((int64_t *)rows->columns[0].data)[i] = key;
    ((int64_t *)rows->columns[1].data)[i] = time;
    ((int64_t *)rows->columns[2].data)[i] = value;
    ((cell_text *)rows->columns[3].data)[i] = text_of(text, (uint32_t)strlen(text));
    rows->write_us[i] = time;
}

static bool look(const world *world, serving_rows *rows, int64_t key, int64_t *time, int64_t *value)
{
    char bytes[9] = {1};
    arena *arena = arena_open();
    batch row = {.arena = arena};
    text_buffer cells;
    memcpy(bytes + 1, &key, sizeof key);
    text_init(&cells, TEXT_LIMIT_DEFAULT);
    const bool found = serving_rows_get(rows, bytes, sizeof bytes, &cells);
    if (found) {
        const unsigned char *at = (const unsigned char *)cells.bytes;
        assert_int_equal(batch_init(&row, arena, &world->schema, 1, NULL), FRESHET_OK);
        for (uint32_t i = 1; i < 4; i++)
            assert_int_equal(cells_get(arena, &at, at + 4096, &row.columns[i], 0, NULL),
                             FRESHET_OK);
        *time = ((int64_t *)row.columns[1].data)[0];
        *value = ((int64_t *)row.columns[2].data)[0];
        const cell_text *text = row.columns[3].data;
        const char *wanted = text_for(arena, *value);
        assert_int_equal(text->length, strlen(wanted));
        assert_memory_equal(text_bytes(text), wanted, text->length);
    }
    text_release(&cells);
    arena_close(arena);
    return found;
}

/* What the twin knows. */
typedef struct known {
    bool is_there;
    int64_t time, value;
} known;

static void put_random(world *world, known *twin, uint64_t *state)
{
    batch rows;
    begin(world, &rows, STEP_ROWS);
    for (uint32_t i = 0; i < STEP_ROWS; i++) {
        const int64_t key = (int64_t)random_draw(state, KEYS);
        const int64_t time = (int64_t)random_draw(state, 1000),
                      value = (int64_t)random_draw(state, 1000000);
        add(world, &rows, key, time, value);
        if (!twin[key].is_there || time >= twin[key].time)
            twin[key] = (known){true, time, value};
    }
    assert_int_equal(serving_rows_put(world->rows, &rows, 1, NULL), FRESHET_OK);
}

static void compare(const world *world, serving_rows *rows, const known *twin)
{
    for (int64_t key = 0; key < KEYS; key++) {
        int64_t time = 0, value = 0;
        assert_int_equal(look(world, rows, key, &time, &value), twin[key].is_there);
        if (twin[key].is_there) {
            assert_int_equal(time, twin[key].time);
            assert_int_equal(value, twin[key].value);
        }
    }
}

static void as_a_naive_twin(void **state)
{
    (void)state;
    world world;
    known twin[KEYS] = {{0}};
    uint64_t random = 7;
    open_world(&world, MANY, false);
    compare(&world, world.rows, twin);
    for (int step = 0; step < STEPS; step++) {
        put_random(&world, twin, &random);
        if (step % 40 == 0)
            compare(&world, world.rows, twin);
    }
    compare(&world, world.rows, twin);
    assert_int_equal(serving_rows_count(world.rows), KEYS);
    close_world(&world);
}

/* What changed since the last checkpoint goes over to `into`, as by a restart. */
static void save_into(serving_rows *rows, serving_rows *into)
{
    const state_part *part = serving_rows_part(rows);
    state_key key;
    uint32_t cursor = 0;
    text_buffer bytes;
    text_init(&bytes, TEXT_LIMIT_DEFAULT);
    while (state_part_next_dirty(part, &cursor, &key)) {
        text_reset(&bytes);
        assert_int_equal(state_part_save(part, &key, &bytes, NULL), FRESHET_OK);
        assert_int_equal(state_part_restore(serving_rows_part(into), key.bytes, key.length,
                                            bytes.bytes, bytes.length, NULL),
                         FRESHET_OK);
    }
    state_part_clean(part);
    text_release(&bytes);
}

static freshet_code no_load(void *context, const void *key, size_t length, text_buffer *into,
                            freshet_error *err)
{
    (void)context, (void)key, (void)length, (void)into, (void)err;
    return FRESHET_END;
}

static void through_the_state(void **state)
{
    (void)state;
    world world;
    known twin[KEYS] = {{0}};
    serving_rows *again = NULL;
    uint64_t random = 11;
    open_world(&world, MANY, false);
    const serving_rows_options options = {&world.schema, 1, MANY, false};
    assert_int_equal(serving_rows_open(&options, world.arena, &again, NULL), FRESHET_OK);
    state_part_set_load(serving_rows_part(world.rows), no_load, NULL);
    state_part_set_load(serving_rows_part(again), no_load, NULL);
    for (int step = 0; step < 40; step++) {
        put_random(&world, twin, &random);
        if (step % 4 == 3)
            save_into(world.rows, again);
    }
    compare(&world, again, twin);
    /* a late row does not replace a restored one */
    batch rows;
    begin(&world, &rows, 1);
    add(&world, &rows, 3, twin[3].time - 1, 5);
    assert_int_equal(serving_rows_put(again, &rows, 1, NULL), FRESHET_OK);
    compare(&world, again, twin);
    state_key key;
    assert_false(state_part_next_cold(serving_rows_part(again), &key));
    serving_rows_close(again);
    close_world(&world);
}

static void damaged_bytes_are_refused(void **state)
{
    (void)state;
    world world;
    int64_t time, value;
    const unsigned char key[9] = {1, 5};
    open_world(&world, MANY, false);
    assert_int_equal(
        state_part_restore(serving_rows_part(world.rows), key, sizeof key, "12345678", 8, NULL),
        FRESHET_FAILED);
    assert_false(look(&world, world.rows, 5, &time, &value));
    close_world(&world);
}

typedef struct watching {
    world *world;
    atomic_bool *is_over;
    int64_t looks;
} watching;

/* Time never goes back, and a row is whole. */
static void *watch(void *context)
{
    watching *it = context;
    int64_t last[KEYS] = {0};
    while (!atomic_load(it->is_over)) {
        const int64_t key = it->looks++ % KEYS;
        int64_t time = 0, value = 0;
        if (!look(it->world, it->world->rows, key, &time, &value))
            continue;
        assert_true(time >= last[key]);
        last[key] = time;
    }
    return NULL;
}

static void readers_beside_the_loop(void **state)
{
    (void)state;
    world world;
    atomic_bool is_over = false;
    pthread_t threads[2];
    watching watching[2];
    open_world(&world, MANY, false);
    state_part_set_load(serving_rows_part(world.rows), no_load, NULL);
    for (int i = 0; i < 2; i++) {
        watching[i] = (struct watching){&world, &is_over, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, watch, &watching[i]), 0);
    }
    for (int64_t step = 0; step < STEPS; step++) {
        batch rows;
        begin(&world, &rows, STEP_ROWS);
        for (uint32_t i = 0; i < STEP_ROWS; i++)
            add(&world, &rows, (step * 7 + i) % KEYS, step, step * 100 + i);
        assert_int_equal(serving_rows_put(world.rows, &rows, (uint64_t)step / 50, NULL),
                         FRESHET_OK);
        if (step % 50 == 49)
            state_part_clean(serving_rows_part(world.rows));
        serving_rows_bytes(world.rows);
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    close_world(&world);
}

static freshet_code put_one(world *world, int64_t key, uint64_t checkpoint, freshet_error *err)
{
    batch rows;
    begin(world, &rows, 1);
    add(world, &rows, key, 10, 39); /* a long text */
    return serving_rows_put(world->rows, &rows, checkpoint, err);
}

static void without_a_store_the_memory_is_a_limit(void **state)
{
    (void)state;
    world world;
    freshet_error err = {0};
    freshet_code code = FRESHET_OK;
    open_world(&world, 100000, false);
    int64_t key = 0;
    for (; key < 10000 && code == FRESHET_OK; key++)
        code = put_one(&world, key, 1, &err);
    assert_int_equal(code, FRESHET_LIMIT);
    assert_non_null(strstr(err.text, "serve.memory"));
    assert_in_range(key, 300, 3000);
    close_world(&world);
}

static void with_a_store_old_keys_leave(void **state)
{
    (void)state;
    world world;
    int64_t time, value;
    open_world(&world, 100000, true);
    assert_null(serving_rows_part(world.rows));
    for (int64_t key = 0; key < 5000; key++)
        assert_int_equal(put_one(&world, key, (uint64_t)key / 100, NULL), FRESHET_OK);
    assert_true(serving_rows_bytes(world.rows) <= 100000);
    assert_false(look(&world, world.rows, 0, &time, &value));
    assert_true(look(&world, world.rows, 4999, &time, &value));
    close_world(&world);
}

/* Of the checkpoint to come nothing leaves, until it is twice as much. */
static void what_no_checkpoint_has_stays(void **state)
{
    (void)state;
    world world;
    int64_t time, value;
    open_world(&world, 100000, true);
    int64_t key = 0;
    for (; serving_rows_bytes(world.rows) < 180000; key++)
        assert_int_equal(put_one(&world, key, 1, NULL), FRESHET_OK);
    for (int64_t k = 0; k < key; k++)
        assert_true(look(&world, world.rows, k, &time, &value));
    for (; key < 5000; key++)
        assert_int_equal(put_one(&world, key, 1, NULL), FRESHET_OK);
    assert_true(serving_rows_bytes(world.rows) < 201000);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_a_naive_twin),
        cmocka_unit_test(through_the_state),
        cmocka_unit_test(damaged_bytes_are_refused),
        cmocka_unit_test(readers_beside_the_loop),
        cmocka_unit_test(without_a_store_the_memory_is_a_limit),
        cmocka_unit_test(with_a_store_old_keys_leave),
        cmocka_unit_test(what_no_checkpoint_has_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
