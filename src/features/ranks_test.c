/* ranks_test.c - feature sets whose rows go to a store that keeps the larger write timestamp. */
#include "features/features_testing.h"

#define TIME "  timestamp: {from: ts}\n"
#define PLAIN TIME "  features: [{name: x, type: double}]\n"
#define WINDOW \
    TIME "  features: [{name: x, type: double, window: {functions: [count], over: [10 days]}}]\n"

#define COUNTED "\"x__count_over_10_days_fixed_windows\":"

static int set_up_ranks(void **state)
{
    set_up(state);
    ((world *)*state)->options.ranks = true;
    return 0;
}

/* Late rows are not for the store, later ones of the same second are by their revision. */
static void plain_rows_of_a_stream(void **state)
{
    world *world = *state;
    uint32_t n = 0;
    open_stream(world, PLAIN);
    assert_string_equal(feature_set_state(world->set, &n)[0].name, "newest");
    assert_int_equal(n, 1);
    run_rows(world, ROWS("(1, 5" S ", 1, 'a'), (1, 3" S ", 2, 'a'), (2, 3" S ", 3, 'a'), "
                         "(1, 5" S ", 4, 'a')"));
    expect(world, "NO+0 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:05.000000Z\",\"x\":1.0}\n"
                  "N+0 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:03.000000Z\",\"x\":2.0}\n"
                  "NO+0 {\"id\":2,\"timestamp\":\"1970-01-01T00:00:03.000000Z\",\"x\":3.0}\n"
                  "NO+1 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:05.000000Z\",\"x\":4.0}\n");
}

/* Without a store there is no such state, and nothing to say of the rows. */
static void nobody_asks(void **state)
{
    world *world = *state;
    uint32_t n = 1;
    world->options.ranks = false;
    open_stream(world, PLAIN);
    feature_set_state(world->set, &n);
    world->options.ranks = true;
    assert_int_equal(n, 0);
    run_rows(world, ROWS("(1, 5" S ", 1, 'a')"));
    expect(world, "{\"id\":1,\"timestamp\":\"1970-01-01T00:00:05.000000Z\",\"x\":1.0}\n");
}

/* A stream's windows know their newest rows themselves. */
static void windows_of_a_stream_keep_theirs(void **state)
{
    world *world = *state;
    uint32_t n = 0;
    open_stream(world, WINDOW);
    assert_string_equal(feature_set_state(world->set, &n)->name, "windows");
    assert_int_equal(n, 1);
}

/* A batch that ends with a day: the newest row within it, not the newest of all, which is cut
 * away. */
static void a_batch_with_a_last_day(void **state)
{
    world *world = *state;
    world->options.last_us = INT64_C(6000000);
    assert_int_equal(open_set(world, false, ROWS("(1, 0, 0, 'a')"), WINDOW), FRESHET_OK);
    world->options.last_us = INT64_MAX;
    run_rows(world, ROWS("(1, 9" S ", 1, 'a'), (1, 4" S ", 2, 'a'), (1, 5" S ", 3, 'a')"));
    finish(world);
    expect(world, "N+0 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:09.000000Z\"," COUNTED "3.0}\n"
                  "NO+0 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:04.000000Z\"," COUNTED "1.0}\n"
                  "NO+0 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:05.000000Z\"," COUNTED "2.0}\n");
}

/* Windows of a batch give no ranks: they are computed over all rows at once. */
static void a_batch_with_windows(void **state)
{
    world *world = *state;
    assert_int_equal(open_set(world, false, ROWS("(1, 0, 0, 'a')"), WINDOW), FRESHET_OK);
    run_rows(world, ROWS("(1, 4" S ", 2, 'a'), (1, 5250000, 3, 'a'), (1, 3" S
                         ", 3, 'a'), (1, 5750000, 4, 'a')"));
    finish(world);
    expect(world,
           "NO+0 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:04.000000Z\"," COUNTED "2.0}\n"
           "NO-250000 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:05.250000Z\"," COUNTED "4.0}\n"
           "N+0 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:03.000000Z\"," COUNTED "1.0}\n"
           "NO-749999 {\"id\":1,\"timestamp\":\"1970-01-01T00:00:05.750000Z\"," COUNTED "4.0}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_rows_of_a_stream),
        cmocka_unit_test(nobody_asks),
        cmocka_unit_test(windows_of_a_stream_keep_theirs),
        cmocka_unit_test(a_batch_with_a_last_day),
        cmocka_unit_test(a_batch_with_windows),
    };
    return cmocka_run_group_tests(tests, set_up_ranks, tear_down);
}
