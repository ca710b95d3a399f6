/* generate_test.c - generated rows as a reader's must be, and at their rate. */
#include "readers/generate/generate.h"

#define RIG_OWN generate_options options;
#include "readers/reader_conformance_testing.h"

static rig *make_generated(void)
{
    rig *rig = rig_make_of(&generate_reader_ops, "rows");

    rig->options = (generate_options){.seed = 1,
                                      .rows = 20,
                                      .keys = 3,
                                      .start.value = "2024-01-01 00:00:00",
                                      .late_percent = 30,
                                      .lateness_us = 5000000};
    rig->options.schema.value = rig_schema_of(
        rig, "user: string, id: bigint, at: timestamp, b: boolean, i: integer, f: float, "
             "d: double, m: decimal(4,1), s: string, x: binary, day: date");
    return rig;
}

static int64_t now_us = 5000000;

static int64_t clock_by_hand(void)
{
    return now_us;
}

static void a_stream_comes_at_its_rate(void **state)
{
    rig *rig = make_generated();

    (void)state;
    os.monotonic_us = clock_by_hand;
    rig->mode = READ_FOLLOW;
    rig->options.rate = 4;
    rig_open(rig);
    assert_int_equal(rig->reader->idle_us, 250000);
    assert_int_equal(rig_poll(rig, 100, SIZE_MAX), FRESHET_OK);
    assert_int_equal(rig->n_rows, 0);
    now_us += 1000000;
    rig_poll(rig, 3, SIZE_MAX);
    assert_int_equal(rig->n_rows, 3);
    assert_true(rig->more);
    rig_poll(rig, 100, SIZE_MAX);
    assert_int_equal(rig->n_rows, 4);
    assert_false(rig->more);
    rig_reopen(rig); /* the time away does not count */
    now_us += 250000;
    rig_poll(rig, 100, SIZE_MAX);
    assert_int_equal(rig->n_rows, 5);
    now_us += 100000000;
    assert_int_equal(rig_poll(rig, 100, SIZE_MAX), FRESHET_OK);
    assert_int_equal(rig->n_rows, 20); /* and then none, for ever */
    assert_int_equal(rig_poll(rig, 100, SIZE_MAX), FRESHET_OK);
    assert_int_equal(rig->n_rows, 20);
    rig_free_of(rig);
}

/* What a seed gives must not change from version to version: streams go on where they were. */
static void rows_are_those_of_their_seed(void **state)
{
    rig *rig = make_generated();

    (void)state;
    rig_open(rig);
    rig_poll(rig, 2, SIZE_MAX);
    rig_expect(
        rig,
        "{\"user\":\"k0\",\"id\":0,\"at\":\"2023-12-31T23:59:56.272220Z\",\"b\":true,\"i\":828,"
        "\"f\":70.04,\"d\":693.74,\"m\":\"683.6\",\"s\":\"word86\",\"x\":\"NjQxMzA=\","
        "\"day\":\"2023-12-31\"}\n"
        "{\"user\":\"k1\",\"id\":1,\"at\":\"2024-01-01T00:00:00.001000Z\",\"b\":false,\"i\":466,"
        "\"f\":499.86,\"d\":701.99,\"m\":\"206.4\",\"s\":\"word71\",\"x\":\"MTI2Nzg=\","
        "\"day\":\"2024-01-01\"}\n");
    rig_free_of(rig);
}

static const conformance generated = {
    .name = "generate", .n_rows = 20, .make = make_generated, .free = rig_free_of};

int main(void)
{
    const struct CMUnitTest tests[] = {READER_CONFORMANCE(generated),
                                       cmocka_unit_test(a_stream_comes_at_its_rate),
                                       cmocka_unit_test(rows_are_those_of_their_seed)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
