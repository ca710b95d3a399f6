/* kafka_lanes_test.c - partitions that are read by choice, where the brokers or librdkafka do not
 * give what they should; against librdkafka's mock cluster. */
#include "base/log.h"
#include "readers/kafka/kafka_testing.h"

#define P0 0u
#define P1 1u

static char said[1024];

static void keep_line(void *context, const char *line)
{
    (void)context;
    snprintf(said, sizeof said, "%s", line);
}

static rig *make_lanes(int n_partitions)
{
    static const bool only_value[] = {true, false};
    rig *it = rig_make(1, n_partitions);
    it->used = only_value;
    said[0] = '\0';
    log_configure(LOG_WARNING, LOG_TEXT);
    log_hook(keep_line, NULL);
    return it;
}

static kafka_reader *open_lanes(rig *rig)
{
    if (rig_describe(rig) != FRESHET_OK)
        fail_msg("%s", rig->err.text);
    rig->reader->in_lanes = true;
    if (rig->ops->open(rig->reader, &rig->positions, &rig->err) != FRESHET_OK)
        fail_msg("%s", rig->err.text);
    return (kafka_reader *)rig->reader;
}

static void free_lanes(rig *rig)
{
    log_hook(NULL, NULL);
    log_configure(LOG_ERROR, LOG_TEXT);
    rig_free(rig);
}

/* READER_NONE: what is due. */
static void choose(rig *rig, uint32_t partition)
{
    const reader_choice choice = {.partition = partition};
    rig->reader->choice = &choice;
    if (rig_poll(rig, partition == READER_NONE ? 0 : 100000, SIZE_MAX) != FRESHET_OK)
        fail_msg("%s", rig->err.text);
    rig->reader->choice = NULL;
}

/* Turns as the pipeline makes them, until `n` rows are there. */
static void read_lanes(rig *rig, uint32_t n)
{
    const patience wait = patience_of(RIG_WAIT_S);
    while (rig->n_rows < n && patience_lasts(&wait)) {
        uint32_t partition = READER_NONE;
        choose(rig, READER_NONE);
        while ((partition = rig->ops->waiting(rig->reader, partition)) < READER_UNSETTLED)
            choose(rig, partition);
        if (!kafka_lanes_have_more((kafka_reader *)rig->reader))
            rig_wait(rig);
    }
    assert_int_equal(rig->n_rows, n);
}

/* Turns in which nothing is taken, until the condition is true. */
#define UNTIL(rig, condition)                                        \
    for (patience wait_ = patience_of(RIG_WAIT_S);; rig_wait(rig)) { \
        choose(rig, READER_NONE);                                    \
        if (condition)                                               \
            break;                                                   \
        assert_true(patience_lasts(&wait_));                         \
    }

/* Ten messages of each of the first n partitions are in their lists: they may come in several
 * pieces, and what nobody wants stays in the queue. */
static void list_ten(rig *rig, kafka_reader *reader, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        UNTIL(rig, reader->n_partitions > i);
        reader->partitions[i].wanted = 10;
        UNTIL(rig, reader->partitions[i].n_listed == 10);
    }
}

/* Time that passes only when a test says so. */
static int64_t stopped_us;

static int64_t stopped_clock(void)
{
    return stopped_us;
}

static void stop_clock(void)
{
    stopped_us = os.monotonic_us();
    os.monotonic_us = stopped_clock;
}

static void pass(rig *rig, int64_t us)
{
    stopped_us += us;
    choose(rig, READER_NONE);
}

/* librdkafka does not fetch the partition, and we do not know of it. */
static void halt(const kafka_reader *reader, int partition)
{
    rd_kafka_resp_err_t problem = RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
    const patience wait = patience_of(RIG_WAIT_S);
    while (problem != RD_KAFKA_RESP_ERR_NO_ERROR && patience_lasts(&wait)) {
        rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(one, "orders", partition);
        rd_kafka_pause_partitions(reader->client, one);
        problem = one->elems[0].err;
        rd_kafka_topic_partition_list_destroy(one);
        usleep(1000);
    }
    assert_int_equal(problem, RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* The brokers have said where it ends when it was placed. */
static void an_end_that_is_known_is_not_waited_for(void **state)
{
    (void)state;
    static reader_position at_ends[] = {{.name = "orders/0", .label = "orders/0", .offset = 10},
                                        {.name = "orders/1", .label = "orders/1", .offset = 0}};
    rig *rig = make_lanes(2);
    rig_produce_ids(rig, 0, 0, 10);
    rig->positions = (reader_positions){.items = at_ends, .n = 2};
    kafka_reader *reader = open_lanes(rig);
    halt(reader, 0);
    halt(reader, 1);
    UNTIL(rig, reader->state == KAFKA_RUNNING);
    assert_int_equal(rig->ops->waiting(rig->reader, READER_NONE), READER_NONE);
    free_lanes(rig);
}

/* Neither the mark nor librdkafka's word is there: the brokers are asked. */
static void an_end_that_is_not_told_is_asked_for(void **state)
{
    (void)state;
    rig *rig = make_lanes(1);
    kafka_reader *reader = open_lanes(rig);
    halt(reader, 0);
    UNTIL(rig, reader->state == KAFKA_RUNNING);
    stop_clock();
    reader->partitions[P0].at_end = false;
    assert_int_equal(rig->ops->waiting(rig->reader, READER_NONE), P0);
    pass(rig, KAFKA_SILENT_US);
    assert_true(reader->has_silent);
    assert_true(reader->base.idle_us <= KAFKA_SILENT_US); /* the loop looks again soon */
    assert_int_equal(rig->ops->waiting(rig->reader, READER_NONE), P0);
    for (int i = 0; i < 20 && reader->has_silent; i++) /* an answer may be late */
        pass(rig, KAFKA_SILENT_US);
    assert_int_equal(rig->ops->waiting(rig->reader, READER_NONE), READER_NONE);
    assert_string_equal(said, "");
    free_lanes(rig);
}

/* The brokers have more, and nothing comes: it begins anew, with a warning. */
static void what_stands_begins_anew(void **state)
{
    (void)state;
    rig *rig = make_lanes(2);
    rig_produce_ids(rig, 0, 0, 10);
    rig_produce_ids(rig, 1, 0, 10);
    kafka_reader *reader = open_lanes(rig);
    list_ten(rig, reader, 2);
    stop_clock();
    halt(reader, 0);
    kafka_lanes_drop(reader, &reader->partitions[P0]); /* never to come again */
    reader->partitions[P0].at_end = false;
    read_lanes(rig, 10);
    pass(rig, KAFKA_SILENT_US);
    assert_true(reader->has_silent);
    pass(rig, KAFKA_STANDS_US - KAFKA_SILENT_US - 1);
    assert_string_equal(said, ""); /* it is asked for, and has time */
    assert_int_equal(rig->ops->waiting(rig->reader, READER_NONE), P0);
    for (int i = 0; i < 20 && said[0] == '\0'; i++)
        pass(rig, KAFKA_SILENT_US);
    read_lanes(rig, 20);
    if (strstr(said, "orders/0 has given nothing for ") == NULL ||
        strstr(said, " s, though it was read up to offset 0 and the brokers have messages up to "
                     "10: its fetching begins anew there") == NULL)
        fail_msg("said: %s", said);
    said[0] = '\0';
    UNTIL(rig, rig->ops->waiting(rig->reader, READER_NONE) == READER_NONE);
    for (int i = 0; i < 20; i++)
        pass(rig, KAFKA_STANDS_US);
    assert_false(reader->has_silent); /* a quiet one is no silent one */
    assert_string_equal(said, "");
    free_lanes(rig);
}

/* A partition that was paused when it was placed again is fetched again. */
static void what_is_placed_again_is_not_paused(void **state)
{
    (void)state;
    rig *rig = make_lanes(1);
    rig_produce_ids(rig, 0, 0, 10);
    kafka_reader *reader = open_lanes(rig);
    list_ten(rig, reader, 1);
    halt(reader, 0);
    reader->partitions[P0].paused = true;
    reader->n_paused = 1;
    kafka_place_again(reader, &reader->partitions[P0], reader->partitions[P0].mark);
    assert_int_equal(reader->n_paused, 0);
    read_lanes(rig, 10);
    free_lanes(rig);
}

/* While one is waited for, the others' lists do not grow beyond what `memory` allows; and what was
 * paused for it comes later, each message once. */
static void what_is_far_ahead_is_paused(void **state)
{
    (void)state;
    rig *rig = make_lanes(2);
    char value[300];
    rig->options.memory = 1 << 20;
    rig_produce_ids(rig, 1, 0, 1);
    for (int i = 0; i < 20000; i++) { /* 5 MB: the mock keeps no more */
        snprintf(value, sizeof value, "{\"id\": %d, \"more\": \"%0190d\"}", i, i);
        rig_produce(rig, "orders", 0, "k", value);
        if (i % 1000 == 999)
            rig_flush(rig);
    }
    kafka_reader *reader = open_lanes(rig);
    UNTIL(rig, reader->partitions[P1].n_listed == 1);
    halt(reader, 1);
    kafka_lanes_drop(reader, &reader->partitions[P1]);
    reader->partitions[P1].at_end = false;
    UNTIL(rig, reader->n_paused == 1);
    for (int i = 0; i < 20; i++) {
        choose(rig, READER_NONE);
        rig_wait(rig);
    }
    assert_true(reader->listed_bytes < (size_t)3 << 20);
    assert_true(reader->partitions[P0].paused);
    said[0] = '\0';
    kafka_lanes_resume(reader, &reader->partitions[P1]);
    kafka_place_again(reader, &reader->partitions[P1], reader->partitions[P1].mark);
    read_lanes(rig, 20001);
    assert_int_equal(reader->n_paused, 0);
    assert_int_equal(reader->partitions[P0].next, 20000);
    assert_string_equal(said, "");
    free_lanes(rig);
}

/* The list does not grow while it has what polls take. */
static void what_nobody_takes_stays_in_the_queue(void **state)
{
    (void)state;
    rig *rig = make_lanes(1);
    rig_produce_ids(rig, 0, 0, 3 * (int)KAFKA_BATCH_MAX);
    kafka_reader *reader = open_lanes(rig);
    UNTIL(rig, kafka_lanes_listed(&reader->partitions[0]) > 0);
    const uint32_t listed = kafka_lanes_listed(&reader->partitions[0]);
    assert_in_range(listed, 1, KAFKA_BATCH_MAX);
    UNTIL(rig, rd_kafka_queue_length(reader->queue) > 0);
    assert_int_equal(kafka_lanes_listed(&reader->partitions[0]), listed);
    read_lanes(rig, 3 * KAFKA_BATCH_MAX);
    free_lanes(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_that_is_known_is_not_waited_for),
        cmocka_unit_test(an_end_that_is_not_told_is_asked_for),
        cmocka_unit_test(what_stands_begins_anew),
        cmocka_unit_test(what_is_placed_again_is_not_paused),
        cmocka_unit_test(what_is_far_ahead_is_paused),
        cmocka_unit_test(what_nobody_takes_stays_in_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
