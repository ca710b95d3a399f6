/* run_stack_test.c - stacks: which rows they make, where these come from, what of them is refused,
 * and that windows count them as rows that the query would have made. */
#include "features/features_testing.h"

#include "base/random_testing.h"

#define PLACES                                                                                  \
    "SELECT id::BIGINT AS id, make_timestamp(us::BIGINT) AS ts, a::BIGINT AS id_a, b::INTEGER " \
    "AS id_b, x::DOUBLE AS x FROM (VALUES "
#define AS_T ") t(id, us, a, b, x)"
#define SET "  timestamp: {from: ts}\n  features:\n"
#define KEY_STACK "  keys: [{name: k, type: integer, stack: {columns: [id_a, id_b]}}]\n"

static batch rows_with_origins(world *world, const char *sql)
{
    batch in = rows_of(world, sql);
    in.rows = arena_alloc(world->arena, (in.n_rows + (size_t)1) * sizeof *in.rows);
    for (uint32_t i = 0; i < in.n_rows; i++)
        in.rows[i] = ROW_OF(0, i);
    return in;
}

static void open_stack(world *world, bool stream, const char *set)
{
    if (open_set(world, stream, PLACES "(1, 0, 0, 0, 0)" AS_T, set) != FRESHET_OK)
        fail_msg("%s", world->said.bytes);
}

static void rows_follow_each_other_and_know_their_origin(void **state)
{
    world *world = *state;
    batch out, in;
    open_stack(world, false,
               SET "    - {name: st, stack: {columns: \"id_*\"}}\n"
                   "    - {name: x, type: double}\n");
    in = rows_with_origins(world, PLACES "(1, 0, 1, 2, 0.5), (2, 1000000, NULL, 4, 1.5)" AS_T);
    run_batch(world, &in, &out);
    expect(world, "{\"id\":1,\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"st\":1,\"x\":0.5}\n"
                  "{\"id\":1,\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"st\":2,\"x\":0.5}\n"
                  "{\"id\":2,\"timestamp\":\"1970-01-01T00:00:01.000000Z\",\"st\":null,\"x\":1.5}\n"
                  "{\"id\":2,\"timestamp\":\"1970-01-01T00:00:01.000000Z\",\"st\":4,\"x\":1.5}\n");
    const uint64_t origins[] = {0, 0, 1, 1};
    assert_memory_equal(out.rows, origins, sizeof origins);
}

/* Columns are stacked in the order of the row: the query's come before features. What does not need
 * the stack is refused once; what does, with its place among the rows made. */
static void a_bad_row_is_refused_where_it_is_made(void **state)
{
    world *world = *state;
    batch out, in;
    open_stack(world, false,
               SET "    - {name: st, stack: {columns: \"id_*\"}}\n"
                   "    - {name: r, type: double, sql: sqrt(x)}\n"
                   "    - {name: q, type: double, sql: sqrt(st)}\n"
                   "    - {name: t, stack: {columns: [st, id_a]}}\n"
                   "    - {name: p, type: integer, sql: 1000000000 * t}\n");
    in =
        rows_with_origins(world, PLACES "(1, 0, 1, 2, -1), (2, 0, -3, 4, 1), (3, 0, 1, 9, 1)" AS_T);
    run_batch(world, &in, &out);
    expect(world,
           "refused 0: feature \"r\": cannot take square root of a negative number\n"
           "refused 1 (1 of 2): feature \"q\": cannot take square root of a negative number\n"
           "refused 1 (3 of 4): feature \"p\": cannot cast -3000000000 to integer\n"
           "refused 1 (4 of 4): feature \"p\": cannot cast 4000000000 to integer\n"
           "refused 2 (4 of 4): feature \"p\": cannot cast 9000000000 to integer\n"
           "{\"id\":3,\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"st\":1,\"r\":1.0,\"q\":1.0,"
           "\"t\":1,\"p\":1000000000}\n"
           "{\"id\":3,\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"st\":1,\"r\":1.0,\"q\":1.0,"
           "\"t\":1,\"p\":1000000000}\n"
           "{\"id\":3,\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"st\":9,\"r\":1.0,\"q\":3.0,"
           "\"t\":1,\"p\":1000000000}\n");
}

static void nulls_of_a_key_make_no_row_unless_all_are(void **state)
{
    world *world = *state;
    batch out, in;
    open_stack(world, false, KEY_STACK SET "    - {name: x, type: double}\n");
    in = rows_with_origins(
        world,
        PLACES "(1, 0, NULL, 2, 1), (2, 0, NULL, NULL, 2), (3, 0, 3000000000, NULL, 3)" AS_T);
    run_batch(world, &in, &out);
    expect(world, "refused 2 (1 of 2): key \"k\": cannot cast 3000000000 to integer\n"
                  "refused 1 (1 of 2): key \"k\" is null\n"
                  "{\"k\":2,\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"x\":1.0}\n");
}

/* A replay makes the one row again that was refused. */
static void only_the_row_that_is_wanted_is_made(void **state)
{
    static const struct {
        row_copy wanted;
        const char *said;
    } cases[] = {
        {{2, 2},
         "refused 1 (2 of 2): key \"k\" is null\n"
         "{\"k\":2,\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"x\":1.0}\n"},
        {{1, 2},
         "refused 1 (1 of 2): key \"k\" is null\n"
         "{\"k\":1,\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"x\":1.0}\n"},
        {{0, 0},
         "refused 1 (1 of 2): key \"k\" is null\n"
         "{\"k\":1,\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"x\":1.0}\n"
         "{\"k\":2,\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"x\":1.0}\n"},
    };
    world *world = *state;
    open_stack(world, false, KEY_STACK SET "    - {name: x, type: double}\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        row_copy wanted[] = {cases[i].wanted, cases[i].wanted};
        batch out, in;
        in = rows_with_origins(world, PLACES "(1, 0, 1, 2, 1), (2, 0, NULL, NULL, 2)" AS_T);
        in.wanted = wanted;
        run_batch(world, &in, &out);
        expect(world, cases[i].said);
    }
    assert_int_equal(feature_set_copies(world->set), 2);
    assert_true(feature_set_makes(world->set, 2));
    assert_false(feature_set_makes(world->set, 3));
}

/* Behind windows the last of the rows is the one for an online store. */
static void a_stack_behind_windows(void **state)
{
    world *world = *state;
    batch out, in;
    open_stack(world, true,
               SET "    - {name: x, window: {functions: [sum], over: [1 day]}}\n"
                   "    - {name: st, stack: {columns: \"id_*\"}}\n"
                   "    - {name: y, type: double, sql: st + x__sum_over_1_day_fixed_windows}\n");
    in = rows_with_origins(world, PLACES "(1, 0, 1, 2, 0.5), (1, 0, 3, 4, 1)" AS_T);
    run_batch(world, &in, &out);
    expect(world, "N+0 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:00.000000Z\","
                  "\"x__sum_over_1_day_fixed_windows\":0.5,\"st\":1,\"y\":1.5}\n"
                  "NO+0 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:00.000000Z\","
                  "\"x__sum_over_1_day_fixed_windows\":0.5,\"st\":2,\"y\":2.5}\n"
                  "N+1 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:00.000000Z\","
                  "\"x__sum_over_1_day_fixed_windows\":1.5,\"st\":3,\"y\":4.5}\n"
                  "NO+1 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:00.000000Z\","
                  "\"x__sum_over_1_day_fixed_windows\":1.5,\"st\":4,\"y\":5.5}\n");
}

/* ---- the twin: rows that the query has made several of -------------------------------------- */

#define TWIN_ROWS 60u

/* Some rows of random values, in an order that is not that of their times. */
static const char *random_rows(world *world)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < TWIN_ROWS; i++) {
        char a[24] = "NULL", b[24] = "NULL";
        if (random_below(4) > 0)
            snprintf(a, sizeof a, "%u", random_below(3));
        if (random_below(4) > 0)
            snprintf(b, sizeof b, "%u", random_below(3));
        text_format(&text, "%s(%u, %u000000, %s, %s, %u)", i == 0 ? "" : ", ", random_below(3),
                    100 + i + random_below(10), a, b, random_below(9));
    }
    const char *copy = arena_copy(world->arena, text.bytes, text.length);
    text_release(&text);
    return copy;
}

/* All that comes of rows, given in pieces. */
static const char *all_of(world *world, bool stream, const char *sql, const char *set,
                          uint32_t piece, const char *input)
{
    if (open_set(world, stream, input, set) != FRESHET_OK)
        fail_msg("%s", world->said.bytes);
    text_reset(&world->said);
    text_append_c(&world->said, "");
    const batch in = rows_of(world, sql);
    for (uint32_t first = 0; first < in.n_rows; first += piece) {
        uint32_t numbers[4 * TWIN_ROWS], n = 0;
        batch some, out;
        freshet_error err = {0};
        for (uint32_t i = first; i < in.n_rows && i < first + piece; i++)
            numbers[n++] = i;
        must(batch_gather(&in, numbers, n, &some, "t", &err), &err);
        run_batch(world, &some, &out);
    }
    finish(world);
    return arena_text(world->arena, world->said.bytes);
}

static void windows_count_the_rows_as_those_of_a_query(void **state)
{
    static const char *const features =
        "    - {name: sum, from: st, window: {functions: [sum, count], over: [5 seconds, 1 day]}}\n"
        "    - {name: last, from: x, window: {functions: [collect_list], over: [3 events], mode: "
        "row_windows}}\n";
    static const char *const stacked =
        SET "    - {name: st, type: bigint, stack: {columns: \"id_*\"}}\n";
    static const char *const plain = SET "    - {name: st, type: bigint}\n";
    world *world = *state;
    random_state = 3;
    for (unsigned times = 0; times < 20; times++) {
        const bool stream = times % 2 == 1;
        const uint32_t piece = 1 + random_below(TWIN_ROWS);
        const char *rows = arena_format(world->arena, PLACES "%s" AS_T, random_rows(world));
        const char *unstacked = arena_format(
            world->arena, "SELECT id, ts, x, unnest([id_a, id_b::BIGINT]) AS st FROM (%s) q", rows);
        const char *got =
            all_of(world, stream, rows, arena_format(world->arena, "%s%s", stacked, features),
                   piece, PLACES "(1, 0, 0, 0, 0)" AS_T);
        const char *twin =
            all_of(world, stream, unstacked, arena_format(world->arena, "%s%s", plain, features),
                   2 * piece,
                   "SELECT 1::BIGINT AS id, make_timestamp(0) AS ts, 0::DOUBLE AS x, "
                   "1::BIGINT AS st");
        if (strcmp(got, twin) != 0)
            fail_msg("%s\nwith a stack:\n%swithout:\n%s", rows, got, twin);
        assert_true(strlen(got) > 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_follow_each_other_and_know_their_origin, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_bad_row_is_refused_where_it_is_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nulls_of_a_key_make_no_row_unless_all_are, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_the_row_that_is_wanted_is_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stack_behind_windows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(windows_count_the_rows_as_those_of_a_query, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("features/run_stack", tests, NULL, NULL);
}
