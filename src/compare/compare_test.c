/* compare_test.c - random histories in real files beside a store that is an array, compared with a
 * twin that looks at all rows of each key; and the values and times at their limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/os.h"
#include "base/random_testing.h"
#include "compare/compare.h"
#include "sql/sql.h"

#define KEYS 24
#define ROWS_MAX 64
#define FILES 3 /* the last one appears while the store is asked */
#define SECOND INT64_C(1000000)

typedef struct world_row {
    int64_t key, time_us, value;
} world_row;

typedef struct world {
    char folder[64];
    world_row history[FILES][ROWS_MAX];
    uint32_t n_history[FILES];
    world_row online[KEYS];
    uint32_t n_online;
    sql_engine *engine;
    sql_session *session;
    schema schema;
} world;

static const field fields[] = {{.name = "id"}, {.name = "timestamp"}, {.name = "value"}};

static void must(freshet_code code, const freshet_error *err)
{
    if (code != FRESHET_OK)
        fail_msg("%s: %s", err->at, err->text);
}

/* ---- the files and the store ----------------------------------------------------------------- */

static void write_file(world *world, uint32_t file)
{
    freshet_error err = {0};
    text_buffer sql;
    if (world->n_history[file] == 0)
        return;
    text_init(&sql, TEXT_LIMIT_DEFAULT);
    text_append_c(&sql, "COPY (SELECT * FROM (VALUES ");
    for (uint32_t i = 0; i < world->n_history[file]; i++) {
        const world_row *row = &world->history[file][i];
        text_format(&sql, "%s(%lld::BIGINT, make_timestamp(%lld)::TIMESTAMPTZ, %lld::BIGINT)",
                    i == 0 ? "" : ", ", (long long)row->key, (long long)row->time_us,
                    (long long)row->value);
    }
    text_format(&sql, ") v(id, timestamp, value)) TO '%s/%u.parquet' (FORMAT parquet)",
                world->folder, file);
    must(sql_execute(world->session, sql.bytes, NULL, &err), &err);
    text_release(&sql);
}

static freshet_code give(world *world, const batch *keys, compare_rows *into, freshet_error *err)
{
    arena *arena = arena_open();
    batch rows;
    must(batch_init(&rows, arena, &world->schema, KEYS, err), err);
    for (uint32_t i = 0; i < world->n_online; i++) {
        bool wanted = keys == NULL;
        for (uint32_t k = 0; !wanted && k < keys->n_rows; k++)
            wanted = ((const int64_t *)keys->columns[0].data)[k] == world->online[i].key;
        if (!wanted)
            continue;
        ((int64_t *)rows.columns[0].data)[rows.n_rows] = world->online[i].key;
        ((int64_t *)rows.columns[1].data)[rows.n_rows] = world->online[i].time_us;
        ((int64_t *)rows.columns[2].data)[rows.n_rows++] = world->online[i].value;
    }
    freshet_code code = compare_rows_add(into, &rows, err);
    arena_close(arena);
    write_file(world, FILES - 1);
    return code;
}

static freshet_code world_choose(void *context, uint32_t n, uint64_t seed, compare_rows *into,
                                 freshet_error *err)
{
    (void)n, (void)seed;
    return give(context, NULL, into, err);
}

static freshet_code world_find(void *context, const batch *keys, compare_rows *into,
                               freshet_error *err)
{
    return give(context, keys, into, err);
}

/* ---- the twin -------------------------------------------------------------------------------- */

/* In plain words: what the head of judge.h says. */
static compare_class twin_class(const world *world, const judge_rules *rules, int64_t key)
{
    const world_row *online = NULL, *at = NULL, *before = NULL;
    for (uint32_t i = 0; i < world->n_online; i++)
        online = world->online[i].key == key ? &world->online[i] : online;
    for (uint32_t f = 0; f < FILES; f++)
        for (uint32_t i = 0; i < world->n_history[f]; i++) {
            const world_row *row = &world->history[f][i];
            if (row->key != key)
                continue;
            if (f < FILES - 1 && (before == NULL || row->time_us >= before->time_us))
                before = row;
            if (online != NULL && row->time_us <= online->time_us &&
                (at == NULL || row->time_us >= at->time_us))
                at = row;
        }
    const int64_t bound_us = rules->end_us - rules->grace_us;
    if (online == NULL && before == NULL)
        return COMPARED_NOWHERE;
    if (online == NULL && rules->ttl_us > 0 && os.now_us() - before->time_us > rules->ttl_us)
        return COMPARED_EXPIRED;
    if (online == NULL)
        return rules->grace_us > 0 && before->time_us > bound_us ? COMPARED_IN_FLIGHT
                                                                 : COMPARED_MISSING;
    if (before != NULL && before->time_us > online->time_us)
        return before->time_us - online->time_us <= rules->grace_us ? COMPARED_IN_FLIGHT
                                                                    : COMPARED_STALE;
    if (at != NULL && at->time_us == online->time_us)
        return at->value == online->value ? COMPARED_EQUAL : COMPARED_DIFFERENT;
    return online->time_us > bound_us ? COMPARED_AHEAD : COMPARED_UNKNOWN;
}

static void twin_counts(const world *world, judge_rules *rules, int64_t counts[COMPARED_CLASSES])
{
    memset(counts, 0, COMPARED_CLASSES * sizeof *counts);
    rules->end_us = INT64_MIN;
    for (uint32_t f = 0; f < FILES; f++)
        for (uint32_t i = 0; i < world->n_history[f]; i++)
            if (world->history[f][i].time_us > rules->end_us)
                rules->end_us = world->history[f][i].time_us;
    for (int64_t key = 0; key < KEYS; key++)
        counts[twin_class(world, rules, key)]++;
    counts[COMPARED_NOWHERE] = 0; /* nobody asks for these */
}

/* ---- random worlds --------------------------------------------------------------------------- */

static void draw_row(world_row *row, int64_t base_us)
{
    *row = (world_row){.key = (int64_t)(random_below(KEYS)),
                       .time_us = base_us + (int64_t)(random_below(12)) * SECOND,
                       .value = (int64_t)(random_below(2))};
}

static void draw_world(world *world, int64_t base_us)
{
    bool has[KEYS] = {false};
    for (uint32_t f = 0; f < FILES; f++) {
        world->n_history[f] = (uint32_t)(random_below(ROWS_MAX)) + (f == 0);
        for (uint32_t i = 0; i < world->n_history[f]; i++)
            draw_row(&world->history[f][i], base_us);
    }
    world->n_online = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        world_row row;
        draw_row(&row, base_us);
        if (!has[row.key])
            world->online[world->n_online++] = row;
        has[row.key] = true;
    }
}

static void remove_files(const world *world)
{
    char path[128];
    for (uint32_t f = 0; f < FILES; f++) {
        snprintf(path, sizeof path, "%s/%u.parquet", world->folder, f);
        unlink(path);
    }
}

static bool count_lines(void *context, const char *bytes, size_t length)
{
    *(int64_t *)context += bytes[length - 1] == '\n';
    return true;
}

static void compare_world(world *world, judge_rules *rules, uint32_t round)
{
    const compare_store store = {.context = world,
                                 .choose = world_choose,
                                 .find = world_find,
                                 .unit_us = 1,
                                 .kept_us = INT64_MIN};
    const compare_request request = {.store = &store,
                                     .schema = &world->schema,
                                     .n_keys = 1,
                                     .history = world->folder,
                                     .n_sample = round % 2 == 0 ? 0 : 1000,
                                     .seed = round,
                                     .ttl_us = rules->ttl_us,
                                     .grace_us = rules->grace_us};
    int64_t expected[COMPARED_CLASSES], lines = 0;
    freshet_error err = {0};
    outcome found = {.store = "s", .history = "h", .write = count_lines, .context = &lines};
    for (uint32_t f = 0; f < FILES - 1; f++)
        write_file(world, f);
    must(outcome_open(&found, &world->schema, 1, 3, &err), &err);
    must(compare_run(&request, &found, &err), &err);
    twin_counts(world, rules, expected);
    for (compare_class class = 0; class < COMPARED_CLASSES; class ++)
        if (found.counts[class] != expected[class])
            fail_msg("round %u: %s: %lld, not %lld", round, compare_class_name(class),
                     (long long)found.counts[class], (long long)expected[class]);
    assert_int_equal(found.differing[2], expected[COMPARED_DIFFERENT]);
    assert_int_equal(found.n_lags, expected[COMPARED_STALE]);
    assert_int_equal(lines, outcome_failing(&found));
    outcome_close(&found);
    remove_files(world);
}

static void twins(void **state)
{
    const sql_options options = {.external_access = true};
    freshet_error err = {0};
    field own[3];
    world world = {.folder = "/tmp/freshet-compare-test-XXXXXX"};
    (void)state;
    memcpy(own, fields, sizeof own);
    own[0].type = own[2].type = type_simple(TYPE_BIGINT);
    own[1].type = type_simple(TYPE_TIMESTAMP);
    world.schema = (schema){.n_fields = 3, .fields = own};
    assert_non_null(mkdtemp(world.folder));
    must(sql_open(&options, &world.engine, &err), &err);
    must(sql_session_open(world.engine, &world.session, &err), &err);
    for (uint32_t round = 0; round < 24; round++) {
        judge_rules rules = {.unit_us = 1,
                             .ttl_us = round % 3 == 1 ? INT64_C(3600) * SECOND : 0,
                             .grace_us = round % 4 == 2 ? 2 * SECOND : 0};
        const int64_t now_us = os.now_us() - os.now_us() % SECOND;
        draw_world(&world, round % 3 == 1 ? now_us - INT64_C(7200) * SECOND : now_us);
        compare_world(&world, &rules, round);
    }
    sql_session_close(world.session);
    sql_close(world.engine);
    rmdir(world.folder);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void far_times(void **state)
{
    judge_rules rules = {.unit_us = 1, .end_us = INT64_MIN, .grace_us = SECOND};
    judge_pair pair = {
        .is_online = true, .online_us = INT64_MIN / 2, .has_before = true, .before_us = INT64_MAX};
    (void)state;
    assert_int_equal(judge_times(&rules, &pair), COMPARED_STALE);
    pair = (judge_pair){.is_online = true, .online_us = INT64_MIN + 1};
    assert_int_equal(judge_times(&rules, &pair), COMPARED_AHEAD);
    rules.end_us = INT64_MAX;
    assert_int_equal(judge_times(&rules, &pair), COMPARED_UNKNOWN);
    rules = (judge_rules){.unit_us = 1000, .ttl_us = 10 * SECOND, .now_us = 100 * SECOND};
    pair = (judge_pair){.has_before = true, .before_us = 91 * SECOND, .is_kept = true};
    assert_int_equal(judge_times(&rules, &pair), COMPARED_EXPIRED); /* within the margin */
    pair.before_us = 93 * SECOND;
    assert_int_equal(judge_times(&rules, &pair), COMPARED_MISSING);
    pair.is_kept = false;
    assert_int_equal(judge_times(&rules, &pair), COMPARED_UNKEPT);
}

static void reals(void **state)
{
    static const struct {
        double a, b, tolerance;
        bool equal;
    } cases[] = {
        {0.1, 0.1, 0, true},       {0.1 + 0.2, 0.3, 0, false},    {0.1 + 0.2, 0.3, 1e-15, true},
        {100, 101, 0.01, true},    {100, 101.1, 0.01, false},     {-100, -101, 0.01, true},
        {-1, 1, 0.9, false},       {0.0, -0.0, 0, true},          {NAN, NAN, 0, true},
        {NAN, 0, 0.9, false},      {INFINITY, INFINITY, 0, true}, {INFINITY, -INFINITY, 0.9, false},
        {INFINITY, 1, 0.9, false}, {0, 1e-300, 0.9, false}};
    arena *arena = arena_open();
    column a, b;
    (void)state;
    assert_int_equal(column_init(arena, &a, type_simple(TYPE_DOUBLE), 1, NULL), FRESHET_OK);
    assert_int_equal(column_init(arena, &b, type_simple(TYPE_DOUBLE), 1, NULL), FRESHET_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const judge_rules rules = {.unit_us = 1, .tolerance = cases[i].tolerance};
        *(double *)a.data = cases[i].a;
        *(double *)b.data = cases[i].b;
        if (judge_cells(&rules, &a, 0, &b, 0) != cases[i].equal)
            fail_msg("case %zu", i);
    }
    assert_true(column_set_null(arena, &a, 0));
    const judge_rules rules = {.unit_us = 1};
    assert_false(judge_cells(&rules, &a, 0, &b, 0));
    assert_true(judge_cells(&rules, &a, 0, &a, 0));
    arena_close(arena);
}

static void instants(void **state)
{
    arena *arena = arena_open();
    column a;
    const judge_rules exact = {.unit_us = 1}, cut = {.unit_us = 1000};
    (void)state;
    assert_int_equal(column_init(arena, &a, type_simple(TYPE_TIMESTAMP), 4, NULL), FRESHET_OK);
    memcpy(a.data, (int64_t[]){-1, -1000, 0, -1001}, 4 * sizeof(int64_t));
    assert_true(judge_cells(&cut, &a, 0, &a, 1));
    assert_false(judge_cells(&cut, &a, 0, &a, 2));
    assert_false(judge_cells(&cut, &a, 1, &a, 3));
    assert_false(judge_cells(&exact, &a, 0, &a, 1));
    arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twins),
        cmocka_unit_test(far_times),
        cmocka_unit_test(reals),
        cmocka_unit_test(instants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
