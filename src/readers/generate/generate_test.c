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
        "\"f\":70.04,\"d\":693.74,\"m\":\"968.3\",\"s\":\"word86\",\"x\":\"NjQxMzA=\","
        "\"day\":\"2023-12-31\"}\n"
        "{\"user\":\"k1\",\"id\":1,\"at\":\"2024-01-01T00:00:00.001000Z\",\"b\":false,\"i\":466,"
        "\"f\":499.86,\"d\":701.99,\"m\":\"320.6\",\"s\":\"word71\",\"x\":\"MTI2Nzg=\","
        "\"day\":\"2024-01-01\"}\n");
    rig_free_of(rig);
}

static void expect_refused(rig *rig, const char *text)
{
    rig_keep_positions(rig);
    rig_close(rig);
    assert_int_equal(rig_try_open(rig), FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(rig->err.text, text));
    assert_non_null(strstr(rig->err.text, "or begin anew after `freshet state reset`"));
}

static rig *make_read(int64_t rows)
{
    rig *rig = make_generated();

    rig->options.rows = rows;
    rig->options.keys = 3;
    rig->options.lateness_us = 5000000;
    rig_open(rig);
    assert_int_equal(rig_poll(rig, 100, SIZE_MAX), FRESHET_END);
    return rig;
}

static void a_place_behind_all_rows_is_refused(void **state)
{
    rig *rig = make_read(20);

    (void)state;
    rig_reopen(rig); /* at the end: there is nothing left */
    assert_int_equal(rig_poll(rig, 100, SIZE_MAX), FRESHET_END);
    rig->options.rows = 25;
    rig_reopen(rig);
    assert_int_equal(rig_poll(rig, 100, SIZE_MAX), FRESHET_END);
    assert_int_equal(rig->n_rows, 25);
    rig->options.rows = 10;
    expect_refused(rig, "the state has come to row 25, which is behind the last one of rows: 10; "
                        "say rows: 25 or more, ");
    rig_free_of(rig);
}

/* Each option that rows depend on. */
static void a_place_among_other_rows_is_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 9; i++) {
        rig *rig = make_read(20);
        generate_options *options = &rig->options;
        options->seed += i == 0;
        options->keys += i == 1;
        options->rate += i == 2 ? 7 : 0;
        options->step_us += i == 3;
        options->late_percent += i == 4;
        options->lateness_us += i == 5;
        if (i == 6)
            options->start.value = "2024-01-01 00:00:01";
        if (i == 7)
            options->key.value = "s";
        if (i == 8)
            options->schema.value.n_fields--;
        expect_refused(rig, "the state is of other rows than these");
        rig_free_of(rig);
    }
}

/* One column, without late rows; the row before which reading begins. */
static void expect_from(const char *column, int64_t rate, int64_t first, const char *rows)
{
    rig *rig = make_generated();

    rig->options.schema.value = rig_schema_of(rig, column);
    rig->options.late_percent = 0;
    rig->options.rate = rate;
    rig->options.rows = first + 1;
    rig_open(rig);
    rig_keep_positions(rig);
    rig->positions.items[0].offset = first;
    rig_close(rig);
    rig_open(rig);
    assert_int_equal(rig_poll(rig, 100, SIZE_MAX), FRESHET_END);
    rig_expect(rig, rows);
    rig_free_of(rig);
}

static void event_times_are_as_the_rate_says(void **state)
{
    (void)state;
    expect_from("at: timestamp", 3, 3, "{\"at\":\"2024-01-01T00:00:01.000000Z\"}\n");
    expect_from("at: timestamp", 700000, 700000, "{\"at\":\"2024-01-01T00:00:01.000000Z\"}\n");
    expect_from("at: timestamp", 1000000, 1500000, "{\"at\":\"2024-01-01T00:00:01.500000Z\"}\n");
    expect_from("at: timestamp", 1, 999999999999, "{\"at\":\"+33712-09-27T01:46:39.000000Z\"}\n");
}

static void decimals_are_below_1000_and_fit(void **state)
{
    (void)state;
    expect_from("m: decimal(10,0)", 0, 1, "{\"m\":\"259\"}\n");
    expect_from("m: decimal(10,1)", 0, 1, "{\"m\":\"259.8\"}\n");
    expect_from("m: decimal(10,2)", 0, 1, "{\"m\":\"259.86\"}\n");
    expect_from("m: decimal(10,4)", 0, 1, "{\"m\":\"259.8600\"}\n");
    expect_from("m: decimal(38,37)", 0, 1, "{\"m\":\"9.8600000000000000000000000000000000000\"}\n");
    expect_from("m: decimal(38,38)", 0, 1,
                "{\"m\":\"0.86000000000000000000000000000000000000\"}\n");
    expect_from("m: decimal(2,0)", 0, 1, "{\"m\":\"59\"}\n");
    expect_from("m: decimal(1,1)", 0, 1, "{\"m\":\"0.8\"}\n");
}

/* Without `rows` they end before their times are no timestamps any more. */
static void endless_rows_end_with_event_time(void **state)
{
    rig *rig = make_generated();

    (void)state;
    rig->options.schema.value = rig_schema_of(rig, "at: timestamp");
    rig->options.step_us = INT64_C(86400) * 1000000;
    rig->options.rows = 0;
    rig->block.stream = true;
    rig->mode = READ_FOLLOW;
    rig_open(rig);
    rig_keep_positions(rig);
    rig->positions.items[0].offset = 106000000;
    rig_close(rig);
    rig_open(rig);
    while (rig_poll(rig, 50000, SIZE_MAX) == FRESHET_OK && rig->more)
        assert_true(rig->n_rows < 1000000);
    assert_true(rig->n_rows > 700000);
    assert_null(strstr(rig->rows.bytes, "\"-"));
    rig_free_of(rig);
}

static const conformance generated = {
    .name = "generate", .n_rows = 20, .make = make_generated, .free = rig_free_of};

int main(void)
{
    const struct CMUnitTest tests[] = {READER_CONFORMANCE(generated),
                                       cmocka_unit_test(a_stream_comes_at_its_rate),
                                       cmocka_unit_test(rows_are_those_of_their_seed),
                                       cmocka_unit_test(a_place_behind_all_rows_is_refused),
                                       cmocka_unit_test(a_place_among_other_rows_is_refused),
                                       cmocka_unit_test(event_times_are_as_the_rate_says),
                                       cmocka_unit_test(decimals_are_below_1000_and_fit),
                                       cmocka_unit_test(endless_rows_end_with_event_time)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
