/* Aggregated feature sets from their declaration: what is said of mistakes, types, pivots of every
 * kind, late rows, lanes that fall idle, the state as a checkpoint sees it. What groups compute is
 * tested in rolling/groups_test.c and groups_twin_test.c, and against Butterfree in
 * tests/golden. */
#include "base/os.h"
#include "features/features_testing.h"
#include "features/operators/aggregated.h"
#include "features/watermark.h"

#define IDLE_US INT64_C(60000000) /* the default */
#define TIME "  timestamp: {from: ts, lateness: 10 seconds}\n"
#define COUNT "  features: [{name: f, from: x, aggregate: {functions: [count]}}]\n"
#define HOURLY "  aggregated: {windows: {over: [1 hour], slide: 1 hour}}\n"
#define BY_MINUTE "  aggregated: {windows: {over: [1 minute], slide: 1 minute}}\n"
#define AT(minute) "\"timestamp\":\"1970-01-01T00:" minute ":00.000000Z\""
#define CLOSED                                                                                \
    "timestamp: what a row of this time needs is closed or no more kept: it is late, or its " \
    "partition gave nothing for too long\n"
#define F "\"f__count_over_1_minute_rolling_windows\":"

/* ---- declarations ---------------------------------------------------------------------------- */

static void mistakes(void **state)
{
    static const struct {
        const char *set, *said;
    } cases[] = {
        {TIME HOURLY "  features: [{name: f, from: y, aggregate: {functions: [count]}}]\n",
         "feature \"f\": there is no column \"y\" in the source's query or among what stands "
         "above\n"},
        {TIME HOURLY "  features: [{name: f, from: s, aggregate: {functions: [sum, count]}}]\n",
         "feature \"f\": sum cannot be computed of a column of type string: it takes numbers, such "
         "as "
         "a feature above of type double\n"},
        {TIME "  aggregated: {windows: {over: [1 hour, 30 minutes], slide: 1 hour}}\n" COUNT,
         "window \"30 minutes\" is shorter than the slide, \"1 hour\": events between two windows "
         "would be in none\n"},
        {TIME "  aggregated: {pivot: {column: q, values: [1]}, distinct: {subset: [x, r]}}\n" COUNT,
         "pivot: there is no column \"q\" in the source's query or among what stands above\n"
         "distinct: there is no column \"r\" in the source's query or among what stands above\n"},
        {TIME "  aggregated: {pivot: {column: x, values: [1, one]}}\n" COUNT,
         "the pivot's column \"x\" is double: cannot cast \"one\" to double\n"},
        {TIME "  aggregated: {pivot: {column: s, values: [a, b, a]}}\n" COUNT,
         "two columns of the output would be named \"a_f__count\": say each function, window and "
         "value once, and give features names of their own\n"},
        {TIME "  aggregated: {}\n  features: [{name: f, from: x, aggregate: {functions: [count, "
              "Count]}}]\n",
         "two columns of the output would be named \"f__count\": say each function, window and "
         "value once, and give features names of their own\n"},
        {TIME "  aggregated: {}\n"
              "  features: [{name: f, from: s, aggregate: {functions: [{collect_list: date}]}}]\n",
         "feature \"f\": collect_list gives array<string>, which cannot be cast to date\n"},
        {TIME "  aggregated: {}\n"
              "  features: [{name: f, from: x, filter: y > 1, aggregate: {functions: [count]}}]\n",
         "the filter of feature \"f\": there is no column \"y\" in the source's query or among "
         "what stands above\n"},
    };
    world *world = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(open_set(world, i % 2, ROWS("(1, 0, 0, 'a')"), cases[i].set),
                         FRESHET_BAD_DECLARATION);
        expect(world, cases[i].said);
    }
}

static void types(void **state)
{
    world *world = *state;
    assert_int_equal(
        open_set(world, false, ROWS("(1, 0, 1.5, 'a')"),
                 TIME "  aggregated: {}\n"
                      "  features:\n"
                      "    - {name: a, from: x, type: float, aggregate: {functions: [sum, {avg: "
                      "integer}]}}\n"
                      "    - {name: b, from: x, aggregate: {functions: [sum]}}\n"),
        FRESHET_OK);
    const schema *schema = feature_set_schema(world->set);
    assert_int_equal(schema->n_fields, 5);
    assert_string_equal(type_name(world->arena, schema->fields[2].type), "float");
    assert_string_equal(type_name(world->arena, schema->fields[3].type), "integer");
    assert_string_equal(type_name(world->arena, schema->fields[4].type), "double");
    run_rows(world, ROWS("(1, 0, 1.5, 'a'), (1, 0, 1.25, 'b'), (NULL, 0, 1, 'c')"));
    finish(world);
    expect(world, "refused 2: key \"id\" is null\n"
                  "{\"id\":1,\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"a__sum\":2.75,"
                  "\"a__avg\":1,\"b__sum\":2.75}\n");
}

/* What does not fit the type is null, as there is no row to refuse; so are NaNs. */
static void values_that_do_not_fit(void **state)
{
    world *world = *state;
    assert_int_equal(open_set(world, false, ROWS("(1, 0, 1.5, 'a')"),
                              TIME "  aggregated: {}\n"
                                   "  features:\n"
                                   "    - {name: a, from: x, aggregate: {functions: [{sum: "
                                   "integer}, max, count]}}\n"),
                     FRESHET_OK);
    run_rows(world, ROWS("(1, 0, 1e300, 'a'), (2, 0, 'nan', 'b')"));
    finish(world);
    expect(world, "{\"id\":1,\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"a__sum\":null,"
                  "\"a__max\":1e+300,\"a__count\":1}\n"
                  "{\"id\":2,\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"a__sum\":null,"
                  "\"a__max\":null,\"a__count\":1}\n");
}

static void pivots_of_other_types(void **state)
{
    world *world = *state;
    assert_int_equal(
        open_set(world, false, "SELECT 1 AS id, now()::TIMESTAMP AS ts, 1.0 AS x, true AS flag",
                 TIME "  aggregated: {pivot: {column: flag, values: [true, No]}}\n" COUNT),
        FRESHET_OK);
    run_rows(world, "SELECT id, ts, x, flag FROM (VALUES (1, TIMESTAMP '2024-05-01', 1.0, true), "
                    "(1, TIMESTAMP '2024-05-01', 1.0, NULL)) t(id, ts, x, flag)");
    finish(world);
    expect(world, "{\"id\":1,\"timestamp\":\"2024-05-01T00:00:00.000000Z\",\"True_f__count\":1,"
                  "\"False_f__count\":null}\n");
    assert_int_equal(
        open_set(world, false,
                 "SELECT 1 AS id, now()::TIMESTAMP AS ts, 1.0 AS x, DATE '2024-01-01' AS d",
                 TIME "  aggregated: {pivot: {column: d, values: [\"2024-05-01\"]}}\n" COUNT),
        FRESHET_OK);
    run_rows(world,
             "SELECT 1 AS id, TIMESTAMP '2024-05-01' AS ts, 1.0 AS x, DATE '2024-05-01' AS d");
    finish(world);
    expect(world, "{\"id\":1,\"timestamp\":\"2024-05-01T00:00:00.000000Z\","
                  "\"2024-05-01_f__count\":1}\n");
    assert_int_equal(open_set(world, false,
                              "SELECT 1 AS id, now()::TIMESTAMP AS ts, 1.0 AS x, [1] AS l",
                              TIME "  aggregated: {pivot: {column: l, values: [1]}}\n" COUNT),
                     FRESHET_BAD_DECLARATION);
    expect(world, "the pivot's column \"l\" is array<integer>: a pivot needs single values\n");
}

static void repeated_rows(void **state)
{
    world *world = *state;
    assert_int_equal(open_set(world, false, ROWS("(1, 0, 1.5, 'a')"),
                              TIME "  deduplicate_rows: true\n"
                                   "  aggregated: {}\n" COUNT),
                     FRESHET_OK);
    run_rows(world, ROWS("(1, 0, 1, ''), (1, 1, 1, ''), (1, 2, NULL, ''), (1, 3, 1, ''), "
                         "(2, 3, 1, '')"));
    finish(world);
    expect(world, "{\"id\":1,\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"f__count\":1}\n"
                  "{\"id\":1,\"timestamp\":\"1970-01-01T00:00:00.000002Z\",\"f__count\":0}\n"
                  "{\"id\":1,\"timestamp\":\"1970-01-01T00:00:00.000003Z\",\"f__count\":1}\n"
                  "{\"id\":2,\"timestamp\":\"1970-01-01T00:00:00.000003Z\",\"f__count\":1}\n");
}

/* The pieces of a batch's result are its end's, and nothing that is owed. */
static void many_rows_of_a_batch(void **state)
{
    world *world = *state;
    freshet_error err = {0};
    batch out;
    uint32_t n = 0, pieces = 0;
    assert_int_equal(open_set(world, false, ROWS("(1, 0, 1.5, 'a')"),
                              TIME "  deduplicate_rows: true\n"
                                   "  aggregated: {}\n" COUNT),
                     FRESHET_OK);
    run_rows(world, "SELECT 1::BIGINT AS id, make_timestamp(i) AS ts, "
                    "CASE WHEN i % 4 < 2 THEN 1.0::DOUBLE END AS x, 'a' AS s "
                    "FROM range(100000) t(i)");
    while (feature_set_finish(world->set, world->arena, &out, refuse, world, &err) == FRESHET_OK) {
        assert_false(feature_set_owes(world->set));
        assert_true(out.n_rows <= AGGREGATED_PIECE_ROWS);
        n += out.n_rows;
        pieces++;
    }
    assert_int_equal(n, 50000);
    assert_int_equal(pieces, 7);
}

/* ---- streams --------------------------------------------------------------------------------- */

static void groups_on_a_stream(void **state)
{
    world *world = *state;
    open_stream(world, TIME "  aggregated: {}\n" COUNT);
    run_rows(world, ROWS("(1, 5" S ", 1, 'a'), (1, 5" S ", 2, 'b'), (2, 6" S ", 2, 'b')"));
    run_rows(world, ROWS("(1, 5" S ", 2, 'b')"));
    run_rows(world, ROWS("(1, 4" S ", 2, 'b')"));
    finish(world);
    expect(world, "NO+1 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:05.000000Z\",\"f__count\":2}\n"
                  "NO+0 {\"id\":2,\"timestamp\":\"1970-01-01T00:00:06.000000Z\",\"f__count\":1}\n"
                  "CO+2 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:05.000000Z\",\"f__count\":3}\n"
                  "N-1 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:04.000000Z\",\"f__count\":1}\n");
}

static void late_rows(void **state)
{
    world *world = *state;
    open_stream(world, TIME BY_MINUTE COUNT);
    run_rows(world, ROWS("(1, 50" S ", 1, 'a'), (1, 65" S ", 1, 'a'), (1, 55" S ", 1, 'a')"));
    expect(world, "");
    run_rows(world, ROWS("(1, 70" S ", 1, 'a'), (1, 59" S ", 1, 'a'), (1, 60" S ", 1, 'a')"));
    expect(world, "refused 1: timestamp: it is 11 seconds behind the newest row of its "
                  "partition, and \"lateness\" allows 10 seconds\n"
                  "NO+0 {\"id\":1," AT("01") "," F "2}\n");
    finish(world);
    expect(world, "NO+0 {\"id\":1," AT("02") "," F "3}\n");
}

/* 1.5 seconds count as two whole ones: the minute is closed by a row 2 seconds behind its end. */
static void lateness_is_rounded_up(void **state)
{
    world *world = *state;
    open_stream(world, "  timestamp: {from: ts, lateness: 1500 ms}\n" BY_MINUTE COUNT);
    run_rows(world, ROWS("(1, 50" S ", 1, 'a'), (1, 61999999, 1, 'a')"));
    expect(world, "");
    run_rows(world, ROWS("(1, 59999999, 1, 'a'), (1, 62" S ", 1, 'a'), (1, 59999999, 1, 'a')"));
    expect(world, "refused 2: timestamp: it is 3 seconds behind the newest row of its partition, "
                  "and \"lateness\" allows 2 seconds\n"
                  "NO+0 {\"id\":1," AT("01") "," F "2}\n");
}

/* A time that no clock shows makes no other row late. */
static void a_time_without_sense(void **state)
{
    world *world = *state;
    open_stream(world, TIME BY_MINUTE COUNT);
    run_rows(world, ROWS("(1, 9100000000000000000, 1, 'a'), (1, 50" S ", 1, 'a')"));
    finish(world);
    expect(world, "refused 0: timestamp: \"+290337-07-10T01:46:40.000000Z\" is too far from 1970\n"
                  "NO+0 {\"id\":1," AT("01") "," F "1}\n");
}

static void late_rows_are_dropped(void **state)
{
    world *world = *state;
    open_stream(world,
                "  timestamp: {from: ts, lateness: 10 seconds, late: drop}\n" BY_MINUTE COUNT);
    run_rows(world, ROWS("(1, 70" S ", 1, 'a'), (1, 59" S ", 1, 'a')"));
    finish(world);
    expect(world, "NO+0 {\"id\":1," AT("02") "," F "1}\n");
    assert_int_equal(feature_set_measure(world->set).dropped, 1);
}

/* Late rows go into the windows that are open; rows of closed ones are refused all the same. */
static void late_rows_update(void **state)
{
    world *world = *state;
    open_stream(world,
                "  timestamp: {from: ts, lateness: 10 seconds, late: update}\n" BY_MINUTE COUNT);
    run_rows(world, ROWS("(1, 115" S ", 1, 'a'), (1, 61" S ", 1, 'a')"));
    expect(world, "");
    run_rows(world, ROWS("(1, 62" S ", 1, 'a'), (1, 59" S ", 1, 'a')"));
    expect(world, "refused 1: " CLOSED);
    finish(world);
    expect(world, "NO+0 {\"id\":1," AT("02") "," F "3}\n");
}

static int64_t clock_us;

static int64_t hand(void)
{
    return clock_us;
}

/* The time is the lowest of all lanes, until one gives nothing for long enough. */
static void lanes(void **state)
{
    world *world = *state;
    uint32_t two[] = {7, 1u << 24}, first[] = {7};
    int64_t (*monotonic_us)(void) = os.monotonic_us;
    os.monotonic_us = hand;
    open_stream(world, TIME BY_MINUTE COUNT);
    world->lanes = two;
    run_rows(world, ROWS("(1, 50" S ", 1, 'a'), (2, 10" S ", 1, 'a')"));
    world->lanes = first;
    clock_us += IDLE_US - 1;
    run_rows(world, ROWS("(1, 300" S ", 1, 'a')"));
    expect(world, "");
    clock_us += 1;
    run_rows(world, ROWS("(1, 300" S ", 1, 'a')"));
    expect(world, "NO+0 {\"id\":1," AT("01") "," F "1}\n"
                                             "NO+0 {\"id\":2," AT("01") "," F "1}\n");
    world->lanes = &two[1];
    run_rows(world, ROWS("(2, 280" S ", 1, 'a')"));
    os.monotonic_us = monotonic_us;
    expect(world, "refused 0: " CLOSED);
}

/* Windows wait for a lane whose rows are there to be read, and not for one that may never have
 * any. */
static void lanes_that_will_give_rows(void **state)
{
    world *world = *state;
    freshet_error err = {0};
    for (int waiting = 0; waiting < 2; waiting++) {
        open_stream(world, TIME BY_MINUTE COUNT);
        must(feature_set_expect(world->set, 1, waiting, &err), &err);
        world->lanes = NULL;
        run_rows(world, ROWS("(1, 50" S ", 1, 'a'), (1, 100" S ", 1, 'a')"));
        expect(world, waiting ? "" : "NO+0 {\"id\":1," AT("01") "," F "1}\n");
    }
}

/* More rows are due than one run may give: the next ones go on. */
static void more_than_one_run(void **state)
{
    world *world = *state;
    freshet_error err = {0};
    batch out;
    uint32_t n = 0, runs = 0;
    world->lanes = NULL;
    open_stream(world,
                TIME "  aggregated: {windows: {over: [100 hours], slide: 1 second}}\n" COUNT);
    batch in = rows_of(world, ROWS("(1, 0, 1, 'a'), (2, 0, 1, 'a'), (3, 900000" S ", 1, 'a')"));
    must(feature_set_run(world->set, world->arena, &in, &out, refuse, world, &err), &err);
    for (n = out.n_rows; feature_set_owes(world->set); n += out.n_rows, runs++) {
        assert_true(out.n_rows <= AGGREGATED_PIECE_ROWS);
        must(feature_set_go_on(world->set, world->arena, &out, refuse, world, &err), &err);
    }
    assert_int_equal(n, 2 * 360000);
    assert_int_equal(runs, 2 * 360000 / AGGREGATED_PIECE_ROWS);
}

/* ---- state ----------------------------------------------------------------------------------- */

typedef struct saved {
    char key[64];
    size_t key_length;
    text_buffer bytes;
} saved;

/* All that is saved has been restored. */
static freshet_code no_load(void *context, const void *key, size_t key_length, text_buffer *into,
                            freshet_error *err)
{
    (void)context, (void)key, (void)key_length, (void)into, (void)err;
    return FRESHET_END;
}

static void state_survives(void **state)
{
    static const char set[] = TIME BY_MINUTE COUNT;
    world *world = *state;
    freshet_error err = {0};
    uint32_t n = 0, n_parts = 0, cursor = 0;
    saved kept[4] = {0};
    state_key key;
    text_buffer facts;
    text_init(&facts, TEXT_LIMIT_DEFAULT);
    world->lanes = NULL;
    open_stream(world, set);
    const state_part *part = feature_set_state(world->set, &n_parts);
    assert_int_equal(n_parts, 1);
    state_part_set_load(part, no_load, NULL);
    run_rows(world, ROWS("(1, 50" S ", 1, 'a'), (2, 75" S ", 1, 'a'), (3, 10" S ", 1, 'a')"));
    text_reset(&world->said);
    while (state_part_next_dirty(part, &cursor, &key)) {
        if (state_part_is_empty(part, &key))
            continue;
        text_init(&kept[n].bytes, TEXT_LIMIT_DEFAULT);
        kept[n].key_length = key.length;
        memcpy(kept[n].key, key.bytes, key.length);
        must(state_part_save(part, &key, &kept[n++].bytes, &err), &err);
    }
    state_part_clean(part);
    assert_int_equal(n, 1); /* the minute of keys 1 and 3 is over */
    assert_int_equal(state_part_keys(part), 1);
    assert_true(state_part_bytes(part) > 0);
    must(feature_set_save_facts(world->set, &facts, &err), &err);
    uint64_t fingerprint = part->fingerprint;
    char *shape = arena_text(world->arena, part->shape);

    open_stream(world, set);
    part = feature_set_state(world->set, &n_parts);
    assert_int_equal(part->fingerprint, fingerprint);
    assert_string_equal(part->shape, shape);
    assert_string_equal(shape, "rolling windows by id bigint");
    state_part_set_load(part, no_load, NULL);
    for (size_t length = 1; length < facts.length; length++)
        assert_int_equal(feature_set_restore_facts(world->set, facts.bytes, length, &err),
                         FRESHET_FAILED);
    must(feature_set_restore_facts(world->set, facts.bytes, facts.length, &err), &err);
    must(state_part_restore(part, kept[0].key, kept[0].key_length, kept[0].bytes.bytes,
                            kept[0].bytes.length, &err),
         &err);
    must(state_part_inspect(part, kept[0].key, kept[0].key_length, kept[0].bytes.bytes,
                            kept[0].bytes.length, &world->said, &err),
         &err);
    text_append_char(&world->said, '\n');
    run_rows(world, ROWS("(2, 64" S ", 1, 'a'), (2, 65" S ", 1, 'a'), (1, 80" S ", 1, 'a')"));
    finish(world);
    expect(world,
           "{\"key\": {\"id\": 2}, \"events\": [{\"timestamp\": \"1970-01-01T00:01:15.000000Z\","
           " \"x\": true}]}\n"
           "refused 0: timestamp: it is 11 seconds behind the newest row of its partition, and "
           "\"lateness\" allows 10 seconds\n"
           "NO+0 {\"id\":2," AT("02") "," F "2}\n"
                                      "NO+0 {\"id\":1," AT("02") "," F "1}\n");
    text_release(&facts);
    text_release(&kept[0].bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mistakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(types, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_that_do_not_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pivots_of_other_types, set_up, tear_down),
        cmocka_unit_test_setup_teardown(repeated_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_rows_of_a_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(groups_on_a_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(late_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lateness_is_rounded_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_time_without_sense, set_up, tear_down),
        cmocka_unit_test_setup_teardown(late_rows_are_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(late_rows_update, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lanes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lanes_that_will_give_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_one_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(state_survives, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
