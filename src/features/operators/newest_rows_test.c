/* newest_rows_test.c - write timestamps of plain rows: by hand, in other orders, through the
 * part. */
#include "features/operators/operators_testing.h"

#include <string.h>

#define SECOND INT64_C(1000000)
#define NEWEST_REVISION_MAX 999999

typedef struct ranked {
    arena *arena;
    field fields[2];
    schema schema;
    alone newest;
} ranked;

static void open_limited(ranked *ranked, int64_t first_us, int64_t last_us, size_t memory)
{
    ranked->arena = arena_open();
    ranked->fields[0] = (field){"id", type_simple(TYPE_BIGINT)};
    ranked->fields[1] = (field){"timestamp", type_simple(TYPE_TIMESTAMP)};
    ranked->schema = (schema){2, ranked->fields};
    ranked->newest = (alone){.plan = {.n_keys = 1, .output = ranked->schema},
                             .set = {.first_us = first_us, .last_us = last_us},
                             .memory = memory};
    alone_open(&ranked->newest, &newest_rows_operator);
}

static void open_ranked(ranked *ranked, int64_t first_us, int64_t last_us)
{
    open_limited(ranked, first_us, last_us, (size_t)1 << 30);
}

static void close_ranked(ranked *ranked)
{
    alone_close(&ranked->newest);
    arena_close(ranked->arena);
}

static freshet_code rank_rows_of(ranked *ranked, batch *rows, freshet_error *err)
{
    run run = {.out = *rows, .err = err};
    const freshet_code code = alone_run(&ranked->newest, &run);
    *rows = run.out;
    return code;
}

/* One row; its write timestamp, INT64_MIN where it is not the newest. */
static int64_t rank(ranked *ranked, int64_t key, int64_t event_us)
{
    batch rows;
    assert_int_equal(batch_init(&rows, ranked->arena, &ranked->schema, 1, NULL), FRESHET_OK);
    ((int64_t *)rows.columns[0].data)[0] = key;
    ((int64_t *)rows.columns[1].data)[0] = event_us;
    rows.n_rows = 1;
    assert_int_equal(rank_rows_of(ranked, &rows, NULL), FRESHET_OK);
    assert_int_equal(rows.row_kinds[0] & ROW_NEW, ROW_NEW);
    return (rows.row_kinds[0] & ROW_ONLINE) != 0 ? rows.write_us[0] : INT64_MIN;
}

static void the_newest_second_and_its_revision(void **state)
{
    (void)state;
    ranked ranked;
    open_ranked(&ranked, INT64_MIN, INT64_MAX);
    assert_int_equal(rank(&ranked, 1, 1 * SECOND + 5), 1 * SECOND);
    assert_int_equal(rank(&ranked, 1, 3 * SECOND), 3 * SECOND);
    assert_int_equal(rank(&ranked, 1, 2 * SECOND), INT64_MIN);      /* late */
    assert_int_equal(rank(&ranked, 1, 3 * SECOND), 3 * SECOND + 1); /* of equal times the later */
    assert_int_equal(rank(&ranked, 1, 3 * SECOND + 9), 3 * SECOND + 2);
    assert_int_equal(rank(&ranked, 1, 3 * SECOND + 8), INT64_MIN); /* older, in the same second */
    assert_int_equal(rank(&ranked, 1, 3 * SECOND + 10), 3 * SECOND + 4);
    assert_int_equal(rank(&ranked, 2, 1), 0); /* another key */
    assert_int_equal(rank(&ranked, 1, 4 * SECOND), 4 * SECOND);
    close_ranked(&ranked);
}

static void times_before_1970_and_at_the_ends(void **state)
{
    (void)state;
    ranked ranked;
    open_ranked(&ranked, INT64_MIN, INT64_MAX);
    assert_int_equal(rank(&ranked, 1, INT64_MIN + 1), INT64_MIN);
    assert_int_equal(rank(&ranked, 1, -1), -SECOND);
    assert_int_equal(rank(&ranked, 1, -SECOND), INT64_MIN);
    assert_int_equal(rank(&ranked, 1, -1), -SECOND + 2);
    assert_true(rank(&ranked, 1, INT64_MAX) > INT64_MAX - SECOND);
    close_ranked(&ranked);
}

static void revisions_end_before_the_next_second(void **state)
{
    (void)state;
    ranked ranked;
    open_ranked(&ranked, INT64_MIN, INT64_MAX);
    batch rows;
    const uint32_t n = 1000;
    int64_t last = -1;
    assert_int_equal(batch_init(&rows, ranked.arena, &ranked.schema, n, NULL), FRESHET_OK);
    rows.n_rows = n; /* all of key 0 and time 0 */
    for (int i = 0; i < 1001; i++) {
        batch copy = rows;
        assert_int_equal(rank_rows_of(&ranked, &copy, NULL), FRESHET_OK);
        assert_true(copy.write_us[0] >= last);
        last = copy.write_us[n - 1];
    }
    assert_int_equal(last, NEWEST_REVISION_MAX);
    close_ranked(&ranked);
}

/* The last timestamp of a key depends on its rows, not on what came between them. */
static void late_rows_change_nothing(void **state)
{
    (void)state;
    static const int64_t orders[][6] = {
        {5, 5, 5, 1, 2, 3},
        {1, 5, 2, 5, 3, 5},
        {3, 2, 1, 5, 5, 5},
    };
    for (size_t i = 0; i < 3; i++) {
        ranked ranked;
        int64_t last = 0;
        open_ranked(&ranked, INT64_MIN, INT64_MAX);
        for (size_t k = 0; k < 6; k++) {
            int64_t at = rank(&ranked, 1, orders[i][k] * SECOND);
            last = at == INT64_MIN ? last : at;
        }
        assert_int_equal(last, 5 * SECOND + 2);
        close_ranked(&ranked);
    }
}

static void rows_outside_of_the_dates_do_not_count(void **state)
{
    (void)state;
    ranked ranked;
    open_ranked(&ranked, 2 * SECOND, 4 * SECOND);
    assert_int_equal(rank(&ranked, 1, 9 * SECOND), INT64_MIN);
    assert_int_equal(rank(&ranked, 1, 3 * SECOND), 3 * SECOND);
    assert_int_equal(rank(&ranked, 1, 1 * SECOND), INT64_MIN);
    close_ranked(&ranked);
}

/* ---- the part -------------------------------------------------------------------------------- */

typedef struct saved {
    struct {
        char key[64], value[64];
        size_t key_length, length;
    } items[4096];
    uint32_t n, loads;
} saved;

static freshet_code load(void *context, const void *key, size_t key_length, text_buffer *into,
                         freshet_error *err)
{
    saved *saved = context;
    (void)err;
    saved->loads++;
    for (uint32_t i = saved->n; i-- > 0;)
        if (saved->items[i].key_length == key_length &&
            memcmp(saved->items[i].key, key, key_length) == 0) {
            text_append(into, saved->items[i].value, saved->items[i].length);
            return FRESHET_OK;
        }
    return FRESHET_END;
}

static uint32_t save_all(alone *newest, saved *saved)
{
    const state_part *part = alone_part(newest);
    uint32_t cursor = 0, n = 0;
    state_key key;
    text_buffer text;
    text_init(&text, 1024);
    while (state_part_next_dirty(part, &cursor, &key)) {
        text_reset(&text);
        assert_int_equal(state_part_save(part, &key, &text, NULL), FRESHET_OK);
        memcpy(saved->items[saved->n].key, key.bytes, key.length);
        memcpy(saved->items[saved->n].value, text.bytes, text.length);
        saved->items[saved->n].key_length = key.length;
        saved->items[saved->n++].length = text.length;
        n++;
    }
    state_part_clean(part);
    text_release(&text);
    return n;
}

static void a_restart_goes_on_where_it_was(void **state)
{
    (void)state;
    saved *kept = calloc(1, sizeof *kept);
    ranked ranked;
    open_ranked(&ranked, INT64_MIN, INT64_MAX);
    state_part_set_load(alone_part(&ranked.newest), load, kept);
    rank(&ranked, 1, 7 * SECOND);
    rank(&ranked, 1, 7 * SECOND);
    rank(&ranked, 2, 8 * SECOND);
    assert_int_equal(save_all(&ranked.newest, kept), 2);
    rank(&ranked, 1, 6 * SECOND); /* late: nothing has changed */
    assert_int_equal(save_all(&ranked.newest, kept), 0);
    close_ranked(&ranked);

    open_ranked(&ranked, INT64_MIN, INT64_MAX);
    state_part_set_load(alone_part(&ranked.newest), load, kept);
    assert_int_equal(rank(&ranked, 1, 6 * SECOND), INT64_MIN);
    assert_int_equal(rank(&ranked, 1, 7 * SECOND), 7 * SECOND + 2);
    assert_int_equal(rank(&ranked, 3, 7 * SECOND), 7 * SECOND);
    text_buffer json;
    text_init(&json, 4096);
    assert_int_equal(state_part_inspect(alone_part(&ranked.newest), kept->items[0].key,
                                        kept->items[0].key_length, kept->items[0].value,
                                        kept->items[0].length, &json, NULL),
                     FRESHET_OK);
    assert_string_equal(json.bytes, "{\"key\": {\"id\": 1}, \"newest\": "
                                    "\"1970-01-01T00:00:07.000000Z\", \"revision\": 1}");
    text_release(&json);
    close_ranked(&ranked);
    free(kept);
}

static void cold_keys_leave_and_come_back(void **state)
{
    (void)state;
    saved *kept = calloc(1, sizeof *kept);
    ranked ranked;
    state_key key;
    open_ranked(&ranked, INT64_MIN, INT64_MAX);
    const state_part *part = alone_part(&ranked.newest);
    state_part_set_load(part, load, kept);
    for (int64_t i = 0; i < 2000; i++)
        rank(&ranked, i, (i + 1) * SECOND);
    assert_false(state_part_next_cold(part, &key)); /* none is saved */
    assert_int_equal(save_all(&ranked.newest, kept), 2000);
    size_t before = state_part_bytes(part);
    uint32_t dropped = 0;
    for (; dropped < 1500; dropped++) {
        assert_true(state_part_next_cold(part, &key));
        state_part_drop(part, &key);
    }
    assert_int_equal(state_part_keys(part), 500);
    assert_true(state_part_bytes(part) < before / 3);
    for (int64_t i = 0; i < 2000; i++) {
        assert_int_equal(rank(&ranked, i, i * SECOND), INT64_MIN); /* late for each key */
        assert_int_equal(rank(&ranked, i, (i + 1) * SECOND), (i + 1) * SECOND + 1);
    }
    while (state_part_next_cold(part, &key))
        assert_true(false); /* all have changed */
    close_ranked(&ranked);
    free(kept);
}

static void too_many_keys_are_told(void **state)
{
    (void)state;
    ranked ranked;
    batch rows;
    freshet_error err;
    open_limited(&ranked, INT64_MIN, INT64_MAX, 1000);
    assert_int_equal(batch_init(&rows, ranked.arena, &ranked.schema, 100, NULL), FRESHET_OK);
    rows.n_rows = 100;
    for (int64_t i = 0; i < 100; i++)
        ((int64_t *)rows.columns[0].data)[i] = i;
    assert_int_equal(rank_rows_of(&ranked, &rows, &err), FRESHET_LIMIT);
    assert_non_null(strstr(err.text, "state.memory"));
    close_ranked(&ranked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_second_and_its_revision),
        cmocka_unit_test(times_before_1970_and_at_the_ends),
        cmocka_unit_test(revisions_end_before_the_next_second),
        cmocka_unit_test(late_rows_change_nothing),
        cmocka_unit_test(rows_outside_of_the_dates_do_not_count),
        cmocka_unit_test(a_restart_goes_on_where_it_was),
        cmocka_unit_test(cold_keys_leave_and_come_back),
        cmocka_unit_test(too_many_keys_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
