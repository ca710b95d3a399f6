/* joined_test.c - joins of two streams against a naive twin: random rows in random orders, cut into
 * micro-batches of random sizes, with restarts between them.
 *
 * The twin knows which rows are late by counting for itself, and then compares each row of one side
 * with each of the other. What goes out must be that, whatever the order of arrival; and its order
 * must be the same whatever the sizes of micro-batches and the restarts.
 */
#include "features/joined.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "features/joined_internal.h"

#define ROWS_MAX 400u
#define OUTPUTS_MAX 40000u
#define SECOND INT64_C(1000000)
#define BASE_US (INT64_C(1767225600) * SECOND)

/* ---- a world --------------------------------------------------------------------------------- */

typedef struct world_row {
    uint32_t side;
    int64_t id; /* also its value for the further condition */
    int64_t key;
    bool is_null;
    int64_t us;
    uint32_t lane;
    bool is_late; /* by the twin */
} world_row;

typedef struct world_output {
    int64_t ids[2]; /* -1: none */
} world_output;

typedef struct world {
    world_row rows[ROWS_MAX]; /* as they come */
    uint32_t n;
    int64_t within_us[2];
    int64_t lateness_us;
    plan_join join;
    bool is_stream;
    bool has_condition; /* left id + right id is even */
    world_output expected[OUTPUTS_MAX];
    uint32_t n_expected;
} world;

typedef struct result {
    world_output outputs[OUTPUTS_MAX];
    uint32_t n;
    uint32_t n_late;
} result;

static uint64_t seed;

static uint64_t dice(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % n;
}

static bool meets(const world *world, int64_t left, int64_t right)
{
    return !world->has_condition || (left + right) % 2 == 0;
}

/* Rows of both sides, nearly in order or not at all. */
static void make_world(world *world)
{
    const uint32_t n_keys = 1 + (uint32_t)dice(8), n_lanes = 1 + (uint32_t)dice(3);
    const int64_t spread_s = (int64_t)dice(200), disorder_s = (int64_t)dice(2) * 120 + 1;
    const int64_t units[] = {SECOND, SECOND / 4, 10 * SECOND};
    const int64_t unit_us = units[dice(3)];
    *world = (struct world){.n = 1 + (uint32_t)dice(dice(4) == 0 ? ROWS_MAX : 60)};
    world->within_us[0] = (int64_t)dice(60) * unit_us;
    world->within_us[1] = (int64_t)dice(60) * unit_us;
    world->lateness_us = (int64_t)dice(40) * SECOND;
    world->is_stream = dice(5) > 0;
    world->has_condition = dice(2) == 0;
    world->join = (plan_join){.readers = {0, 1}, .n_keys = 1, .keys = {{1}, {1}}};
    world->join.is_asof = dice(3) == 0;
    world->join.is_outer = dice(3) > 0;
    world->join.outer = world->join.is_asof ? 0 : (uint32_t)dice(2);
    world->join.is_strict = dice(2) == 0;
    world->has_condition = world->has_condition && world->join.is_outer && !world->join.is_asof;
    world->join.match_sql = world->has_condition ? "the sum is even" : NULL;
    for (uint32_t i = 0; i < world->n; i++) {
        const int64_t s = (int64_t)i * spread_s / world->n + (int64_t)dice((uint64_t)disorder_s);
        world->rows[i] = (world_row){.side = (uint32_t)dice(2),
                                     .id = (int64_t)i,
                                     .key = (int64_t)dice(n_keys),
                                     .is_null = dice(20) == 0,
                                     .us = BASE_US + s * SECOND + (int64_t)dice(2) * (SECOND / 2),
                                     .lane = (uint32_t)dice(n_lanes)};
    }
}

/* ---- the twin -------------------------------------------------------------------------------- */

static int64_t floor_s(int64_t us)
{
    return us / SECOND;
}

/* What the lanes of a side have come to when rows [0, n) were there; INT64_MIN: none. */
static int64_t twin_low_s(const world *world, uint32_t side, uint32_t n)
{
    const int64_t lateness_s = world->lateness_us / SECOND;
    int64_t lowest = INT64_MAX;
    for (uint32_t lane = 0; lane < 3; lane++) {
        int64_t newest = INT64_MIN;
        for (uint32_t i = 0; i < n; i++)
            if (world->rows[i].side == side && world->rows[i].lane == lane &&
                floor_s(world->rows[i].us) > newest)
                newest = floor_s(world->rows[i].us);
        if (newest != INT64_MIN && newest < lowest)
            lowest = newest;
    }
    return lowest == INT64_MAX ? INT64_MIN : lowest - lateness_s;
}

static void twin_find_late(world *world)
{
    int64_t reached_s[2] = {INT64_MIN, INT64_MIN};
    for (uint32_t i = 0; world->is_stream && i < world->n; i++) {
        world_row *row = &world->rows[i];
        int64_t newest = INT64_MIN;
        for (uint32_t k = 0; k < i; k++)
            if (world->rows[k].side == row->side && world->rows[k].lane == row->lane &&
                floor_s(world->rows[k].us) > newest)
                newest = floor_s(world->rows[k].us);
        row->is_late =
            (newest != INT64_MIN && newest - floor_s(row->us) > world->lateness_us / SECOND) ||
            floor_s(row->us) < reached_s[row->side];
        const int64_t low_s = twin_low_s(world, row->side, i + 1);
        if (low_s > reached_s[row->side])
            reached_s[row->side] = low_s;
    }
}

static void expect_output(world *world, int64_t left, int64_t right)
{
    assert_true(world->n_expected < OUTPUTS_MAX);
    world->expected[world->n_expected++] = (world_output){{left, right}};
}

static bool is_pair(const world *world, const world_row *left, const world_row *right)
{
    return !left->is_late && !right->is_late && !left->is_null && !right->is_null &&
           left->key == right->key && right->us - left->us <= world->within_us[0] &&
           left->us - right->us <= world->within_us[1] && meets(world, left->id, right->id);
}

static void twin_join(world *world)
{
    bool has_partner[ROWS_MAX] = {false};
    for (uint32_t i = 0; i < world->n; i++)
        for (uint32_t k = 0; k < world->n; k++) {
            const world_row *left = &world->rows[i], *right = &world->rows[k];
            if (left->side != 0 || right->side != 1 || !is_pair(world, left, right))
                continue;
            has_partner[i] = has_partner[k] = true;
            expect_output(world, left->id, right->id);
        }
    for (uint32_t i = 0; i < world->n; i++) {
        const world_row *row = &world->rows[i];
        if (world->join.is_outer && row->side == world->join.outer && !row->is_late &&
            !has_partner[i])
            expect_output(world, row->side == 0 ? row->id : -1, row->side == 0 ? -1 : row->id);
    }
}

static void twin_join_as_of(world *world)
{
    for (uint32_t i = 0; i < world->n; i++) {
        const world_row *left = &world->rows[i], *best = NULL;
        if (left->side != 0 || left->is_late)
            continue;
        for (uint32_t k = 0; k < world->n; k++) {
            const world_row *right = &world->rows[k];
            if (right->side != 1 || right->is_late || right->is_null || left->is_null ||
                right->key != left->key || left->us - right->us > world->within_us[1] ||
                (world->join.is_strict ? right->us >= left->us : right->us > left->us))
                continue;
            if (best == NULL || right->us >= best->us) /* of equal times the later one */
                best = right;
        }
        if (best != NULL)
            expect_output(world, left->id, best->id);
        else if (world->join.is_outer)
            expect_output(world, left->id, -1);
    }
}

/* ---- the join -------------------------------------------------------------------------------- */

typedef struct saved_key {
    char *key, *bytes;
    size_t key_length, length;
} saved_key;

typedef struct fixture {
    const world *world;
    arena *arena;
    joined *joined;
    joined_options options;
    timestamp_block timestamp;
    saved_key saved[ROWS_MAX];
    uint32_t n_saved;
    result *result;
    int64_t told_s; /* before the outputs at hand */
} fixture;

static const bool all_used[3] = {true, true, true};
static freshet_error err;

static void ok(freshet_code code)
{
    if (code != FRESHET_OK)
        fail_msg("code %d: %s", code, err.text);
}

static freshet_code count_refused(void *context, uint32_t side, uint32_t row, reason_code code,
                                  const char *reason, freshet_error *why)
{
    fixture *here = context;
    (void)side, (void)row, (void)reason, (void)why;
    assert_int_equal(code, REASON_LATE);
    here->result->n_late++;
    return FRESHET_OK;
}

static freshet_code match_even(void *context, const source_pairs *pairs, uint8_t *matches,
                               freshet_error *why)
{
    const fixture *here = context;
    (void)why;
    memset(matches, 0, pairs->n);
    for (uint32_t l = 0, r = 0; l < pairs->sides[0].n_rows; l++) {
        while (r < pairs->sides[1].n_rows && pairs->sides[1].rows[r] < pairs->sides[0].rows[l])
            r++;
        if (r < pairs->sides[1].n_rows && pairs->sides[1].rows[r] == pairs->sides[0].rows[l])
            matches[pairs->sides[0].rows[l]] =
                meets(here->world, ((const int64_t *)pairs->sides[0].columns[0].data)[l],
                      ((const int64_t *)pairs->sides[1].columns[0].data)[r]);
    }
    return FRESHET_OK;
}

static const char *label_of_lane(void *context, uint32_t side, const origin *origin)
{
    (void)context;
    return side == 0 ? (origin->lane == 0 ? "left/0" : "left/n") : "right";
}

static void open_joined(fixture *here)
{
    uint32_t bad_side;
    ok(joined_open(&here->options, &here->joined, &bad_side, &err));
    if (here->world->is_stream)
        state_part_set_load(joined_part(here->joined), NULL, NULL);
}

static void open_fixture(fixture *here, const world *world, result *result)
{
    *here = (fixture){.world = world, .arena = arena_open(), .result = result, .told_s = INT64_MIN};
    const type *type = type_parse(here->arena, "struct<id: bigint, k: string, ts: timestamp>");
    schema *schema = arena_zero(here->arena, 1, sizeof *schema);
    *schema = (struct schema){type->n_fields, type->fields};
    here->timestamp = (timestamp_block){.from = {.value = "ts"},
                                        .lateness_us = world->lateness_us,
                                        .idle_us = 3600 * SECOND,
                                        .late = ON_LATE_DEAD_LETTER};
    here->options = (joined_options){.join = &world->join,
                                     .timestamp = &here->timestamp,
                                     .is_stream = world->is_stream,
                                     .memory = (size_t)1 << 30,
                                     .host = {label_of_lane, count_refused, match_even, here}};
    for (int side = 0; side < 2; side++)
        here->options.sides[side] = (joined_side){.id = side == 0 ? "l" : "r",
                                                  .schema = schema,
                                                  .used = all_used,
                                                  .time_column = 2,
                                                  .timestamp = &here->timestamp,
                                                  .within_us = world->within_us[side]};
    open_joined(here);
}

static void forget_saved(fixture *here, const state_key *key)
{
    for (uint32_t i = 0; i < here->n_saved; i++)
        if (here->saved[i].key_length == key->length &&
            memcmp(here->saved[i].key, key->bytes, key->length) == 0) {
            free(here->saved[i].key);
            free(here->saved[i].bytes);
            here->saved[i] = here->saved[--here->n_saved];
            return;
        }
}

static void save_dirty(fixture *here)
{
    const state_part *part = joined_part(here->joined);
    uint32_t cursor = 0;
    state_key key;
    while (state_part_next_dirty(part, &cursor, &key)) {
        text_buffer bytes;
        forget_saved(here, &key);
        if (state_part_is_empty(part, &key))
            continue;
        text_init(&bytes, TEXT_LIMIT_DEFAULT);
        ok(state_part_save(part, &key, &bytes, &err));
        saved_key *saved = &here->saved[here->n_saved++];
        *saved = (saved_key){malloc(key.length), malloc(bytes.length), key.length, bytes.length};
        memcpy(saved->key, key.bytes, key.length);
        memcpy(saved->bytes, bytes.bytes, bytes.length);
        text_release(&bytes);
    }
    state_part_clean(part);
}

/* A checkpoint, and another process that goes on from it. */
static void restart(fixture *here)
{
    text_buffer facts;
    text_init(&facts, TEXT_LIMIT_DEFAULT);
    save_dirty(here);
    ok(joined_save(here->joined, &facts, &err));
    joined_close(here->joined);
    open_joined(here);
    ok(joined_restore(here->joined, facts.bytes, facts.length, &err));
    for (uint32_t i = 0; i < here->n_saved; i++)
        ok(state_part_restore(joined_part(here->joined), here->saved[i].key,
                              here->saved[i].key_length, here->saved[i].bytes,
                              here->saved[i].length, &err));
    text_release(&facts);
}

static const world_row *row_of(const world *world, int64_t id)
{
    return &world->rows[id];
}

/* Pairs come behind the watermark that was told before them, and know their place. */
static void check_output(const fixture *here, const world_output *output, const joined_place *place)
{
    const world *world = here->world;
    for (int side = 0; side < 2; side++) {
        if (output->ids[side] >= 0)
            assert_true(floor_s(row_of(world, output->ids[side])->us) >= here->told_s);
        if (output->ids[side] >= 0 && place->side == (uint32_t)side)
            assert_int_equal(place->origin.offset, 100 + output->ids[side]);
    }
    if (place->side == 0 && place->partition != NULL)
        assert_string_equal(place->partition,
                            row_of(world, output->ids[0])->lane == 0 ? "left/0" : "left/n");
}

static void give_all(fixture *here)
{
    while (joined_owes(here->joined)) {
        source_pairs pairs;
        const joined_place *places;
        ok(joined_give(here->joined, here->arena, 1 + (uint32_t)dice(7), &pairs, &places, &err));
        uint32_t at[2] = {0, 0};
        for (uint32_t i = 0; i < pairs.n; i++) {
            world_output output = {{-1, -1}};
            for (int side = 0; side < 2; side++) {
                const batch *of = &pairs.sides[side];
                if (at[side] < of->n_rows && of->rows[at[side]] == i)
                    output.ids[side] = ((const int64_t *)of->columns[0].data)[at[side]++];
            }
            check_output(here, &output, &places[i]);
            assert_true(here->result->n < OUTPUTS_MAX);
            here->result->outputs[here->result->n++] = output;
        }
        const int64_t told_s = joined_watermark(here->joined);
        assert_true(told_s >= here->told_s);
        here->told_s = told_s;
    }
    if (joined_watermark(here->joined) > here->told_s)
        here->told_s = joined_watermark(here->joined);
}

/* Takes rows [from, to) of the world. */
static void take_rows(fixture *here, uint32_t from, uint32_t to)
{
    batch sides[2];
    const batch *given[2] = {&sides[0], &sides[1]};
    uint64_t rows[ROWS_MAX];
    for (int side = 0; side < 2; side++) {
        ok(batch_init(&sides[side], here->arena, here->options.sides[side].schema, to - from + 1,
                      &err));
        sides[side].origins =
            arena_zero(here->arena, to - from + (size_t)1, sizeof *sides[side].origins);
    }
    for (uint32_t i = from; i < to; i++) {
        const world_row *row = &here->world->rows[i];
        batch *into = &sides[row->side];
        const uint32_t at = into->n_rows++;
        const char *text =
            arena_format(here->arena, "a key that is long enough %lld", (long long)row->key);
        ((int64_t *)into->columns[0].data)[at] = row->id;
        ((int64_t *)into->columns[2].data)[at] = row->us;
        if (row->is_null)
            assert_true(column_set_null(here->arena, &into->columns[1], at));
        else
            ((cell_text *)into->columns[1].data)[at] = text_of(text, (uint32_t)strlen(text));
        into->origins[at] = (origin){.offset = 100 + row->id, .lane = row->lane};
        rows[i - from] = ROW_OF(row->side, at);
    }
    ok(joined_take(here->joined, here->arena, given, rows, to - from, &err));
    give_all(here);
}

/* Held is what a partner may still come for, and no more. */
static void check_held(const fixture *here, uint32_t n)
{
    const world *world = here->world;
    const int64_t low_us[2] = {here->joined->low_us[0], here->joined->low_us[1]};
    uint64_t held = 0;
    for (uint32_t i = 0; i < n; i++) {
        const world_row *row = &world->rows[i];
        const int64_t other_us = low_us[1 - row->side];
        int64_t until_us = row->us + world->within_us[row->side];
        if (world->join.is_asof && row->side == 0)
            until_us = row->us;
        int64_t passed_us = other_us;
        if (world->join.is_asof && row->side == 1 && low_us[1] < passed_us)
            passed_us = low_us[1];
        held += !row->is_late && !row->is_null && until_us >= passed_us;
    }
    assert_int_equal(joined_measure(here->joined).rows, held);
}

static void run_world(const world *world, result *result, bool one_by_one)
{
    fixture here;
    *result = (struct result){0};
    open_fixture(&here, world, result);
    const uint32_t most = one_by_one ? 1 : 1 + (uint32_t)dice(dice(2) == 0 ? 5 : ROWS_MAX);
    for (uint32_t from = 0, to; from < world->n; from = to) {
        to = from + 1 + (uint32_t)dice(most);
        to = to > world->n ? world->n : to;
        take_rows(&here, from, to);
        check_held(&here, to);
        if (world->is_stream && dice(3) == 0)
            restart(&here);
    }
    here.told_s = INT64_MIN;
    ok(joined_finish(here.joined, &err));
    give_all(&here);
    assert_int_equal(joined_measure(here.joined).rows, 0);
    while (here.n_saved > 0)
        forget_saved(&here, &(state_key){here.saved[0].key, here.saved[0].key_length, 0, 0});
    joined_close(here.joined);
    arena_close(here.arena);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static int compare_outputs(const void *a, const void *b)
{
    const world_output *left = a, *right = b;
    if (left->ids[0] != right->ids[0])
        return left->ids[0] < right->ids[0] ? -1 : 1;
    return left->ids[1] < right->ids[1] ? -1 : left->ids[1] > right->ids[1];
}

static void check_same(const world *world, const result *result, uint64_t of)
{
    world_output *sorted = calloc(result->n + 1, sizeof *sorted);
    memcpy(sorted, result->outputs, result->n * sizeof *sorted);
    qsort(sorted, result->n, sizeof *sorted, compare_outputs);
    for (uint32_t i = 0; i < result->n || i < world->n_expected; i++) {
        const world_output none = {{-9, -9}};
        const world_output *is = i < result->n ? &sorted[i] : &none;
        const world_output *should = i < world->n_expected ? &world->expected[i] : &none;
        if (compare_outputs(is, should) != 0)
            fail_msg("seed %llu, output %u of %u: (%lld, %lld), and the twin has (%lld, %lld)",
                     (unsigned long long)of, i, world->n_expected, (long long)is->ids[0],
                     (long long)is->ids[1], (long long)should->ids[0], (long long)should->ids[1]);
    }
    free(sorted);
}

static void try_world(uint64_t of)
{
    static world world;
    static result first, again;
    seed = of * UINT64_C(0x9e3779b97f4a7c15) + 1;
    make_world(&world);
    twin_find_late(&world);
    if (world.join.is_asof)
        twin_join_as_of(&world);
    else
        twin_join(&world);
    qsort(world.expected, world.n_expected, sizeof *world.expected, compare_outputs);
    uint32_t n_late = 0;
    for (uint32_t i = 0; i < world.n; i++)
        n_late += world.rows[i].is_late;
    run_world(&world, &first, true);
    check_same(&world, &first, of);
    assert_int_equal(first.n_late, n_late);
    run_world(&world, &again, false);
    check_same(&world, &again, of);
    for (uint32_t i = 0; i < first.n; i++)
        if (compare_outputs(&first.outputs[i], &again.outputs[i]) != 0)
            fail_msg("seed %llu: the order depends on the sizes of micro-batches, from %u on",
                     (unsigned long long)of, i);
}

static void test_twin(void **state)
{
    const char *many = getenv("FRESHET_JOINED_WORLDS");
    const uint64_t n = many == NULL ? 1500 : strtoull(many, NULL, 10);
    (void)state;
    for (uint64_t i = 1; i <= n; i++)
        try_world(i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_twin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
