/* kafka_faults_test.c - brokers that are down, move, refuse, or have lost what should be read,
 * against librdkafka's mock cluster. */
#include "readers/kafka/kafka_testing.h"

static const bool only_value[] = {true, false};

/* Reads until the error that must come. */
static void expect_error(rig *rig, freshet_code code, const char *sentence)
{
    assert_int_equal(rig_poll_until(rig, UINT32_MAX, NULL), code);
    assert_int_equal(rig->err.then, FRESHET_STOP);
    if (strstr(rig->err.text, sentence) == NULL)
        fail_msg("not \"%s\" in: %s", sentence, rig->err.text);
}

static bool has_trouble(const rig *rig)
{
    return rig->reader->ops->trouble(rig->reader) != NULL;
}

static bool has_no_trouble(const rig *rig)
{
    return rig->reader->ops->trouble(rig->reader) == NULL;
}

static void restore_at(rig *rig, int64_t offset)
{
    static reader_position items[1];
    items[0] = (reader_position){.name = "orders/0", .label = "orders/0", .offset = offset};
    rig->positions = (reader_positions){.items = items, .n = 1};
}

/* ---- offsets that are not there ---------------------------------------------------------- */

static void places_behind_the_end_are_refused(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig_produce_ids(rig, 0, 0, 10);
    restore_at(rig, 12);
    rig_open(rig);
    expect_error(
        rig, FRESHET_BAD_DECLARATION,
        "orders/0 should go on at offset 12, but the brokers have 0 to 10: the topic was made "
        "anew, or lost its end; say on_gap: earliest or latest");
    rig_free(rig);
}

static void gaps_are_bridged_as_declared(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig->used = only_value;
    rig_produce_ids(rig, 0, 0, 10);
    restore_at(rig, 12);
    rig->options.on_gap = ON_GAP_EARLIEST;
    rig_open(rig);
    rig_read(rig, 10);
    rig_close(rig);
    rig_forget(rig);
    rig->options.on_gap = ON_GAP_LATEST;
    rig_open(rig);
    while (((kafka_reader *)rig->reader)->state != KAFKA_RUNNING)
        assert_int_equal(rig_poll(rig, 1, SIZE_MAX), FRESHET_OK);
    rig_produce_ids(rig, 0, 10, 1);
    rig_read(rig, 1);
    rig_expect(rig, "orders/0@10 {\"id\":10,\"kafka_metadata\":null}\n");
    rig_free(rig);
}

/* Ten messages are read; the mark that is kept is then another message's. */
static void read_and_forge(rig *rig)
{
    static kafka_mark forged;
    rig->used = only_value;
    rig_produce_ids(rig, 0, 0, 10);
    rig_open(rig);
    rig_read(rig, 10);
    rig_keep_positions(rig);
    assert_int_equal(rig->positions.items[0].mark_length, sizeof forged);
    memcpy(&forged, rig->positions.items[0].mark, sizeof forged);
    assert_int_equal(forged.offset, 9);
    rig_close(rig);
    rig_forget(rig);
    rig_open(rig); /* with the mark as it is all is well */
    rig_produce_ids(rig, 0, 10, 5);
    rig_read(rig, 5);
    rig_close(rig);
    rig_forget(rig);
    forged.hash++;
    rig->positions.items[0].mark = &forged;
}

/* As many messages as were read, or more, do not make it the same topic. */
static void another_message_at_the_mark_is_another_topic(void **state)
{
    (void)state;
    static const reader_mode modes[] = {READ_FOLLOW, READ_ALL};
    for (size_t i = 0; i < 2; i++) {
        rig *rig = rig_make(1, 1);
        read_and_forge(rig);
        rig->mode = modes[i];
        rig_open(rig);
        expect_error(rig, FRESHET_BAD_DECLARATION,
                     "orders/0 should go on at offset 10, but the message at offset 9 is not the "
                     "one that was read there: the topic was made anew, and the brokers have 0 to "
                     "15 of it; say on_gap: earliest");
        assert_int_equal(rig->n_rows, 0); /* not one of the new topic's */
        rig_close(rig);
        rig->options.on_gap = ON_GAP_EARLIEST;
        rig_open(rig);
        rig_read(rig, 15);
        rig_free(rig);
    }
}

/* A topic that the brokers do not know for a moment is looked at again. */
static void a_topic_that_was_away_is_verified(void **state)
{
    (void)state;
    for (int forged = 0; forged < 2; forged++) {
        rig *rig = rig_make(1, 1);
        rig->used = only_value;
        rig_produce_ids(rig, 0, 0, 10);
        rig_open(rig);
        rig_read(rig, 10);
        rd_kafka_mock_topic_set_error(rig->cluster, "orders",
                                      RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
        assert_int_equal(rig_poll_until(rig, UINT32_MAX, has_trouble), FRESHET_OK);
        assert_true(has_trouble(rig));
        ((kafka_reader *)rig->reader)->partitions[0].mark.hash += (uint64_t)forged;
        ((kafka_reader *)rig->reader)->partitions[0].check.hash += (uint64_t)forged;
        rd_kafka_mock_topic_set_error(rig->cluster, "orders", RD_KAFKA_RESP_ERR_NO_ERROR);
        rig_produce_ids(rig, 0, 10, 5);
        if (forged)
            expect_error(rig, FRESHET_BAD_DECLARATION, "the topic was made anew");
        else
            rig_read(rig, 15);
        rig_free(rig);
    }
}

/* The mock's partitions hold 5 MB: older messages go. */
static void deleted_messages_are_a_gap(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    char *large = malloc(500001);
    assert_non_null(large);
    memset(large, ' ', 500000);
    large[500000] = '\0';
    memcpy(large, "{\"id\":1}", 8);
    for (int i = 0; i < 20; i++) {
        rig_produce(rig, "orders", 0, NULL, large);
        rig_flush(rig);
    }
    free(large);
    restore_at(rig, 1);
    rig_open(rig);
    expect_error(rig, FRESHET_BAD_DECLARATION,
                 "the messages between were deleted before they were "
                 "read");
    rig_free(rig);
}

/* A broker that says so while the offset is there after all: nothing is lost, nothing comes
 * twice. */
static void ranges_are_asked_for_before_they_are_believed(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig->used = only_value;
    rig_produce_ids(rig, 0, 0, 10);
    rig_open(rig);
    rig_read(rig, 10);
    rd_kafka_mock_push_request_errors(rig->cluster, 1, 1, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
    rig_produce_ids(rig, 0, 10, 5);
    rig_read(rig, 15);
    assert_non_null(strstr(rig->rows.bytes, "orders/0@14 {\"id\":14,"));
    rig_free(rig);
}

/* ---- brokers -------------------------------------------------------------------------------- */

static void brokers_that_are_never_there_end_the_run(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig->options.connect_timeout_us = 1500000;
    rig->options.has_connect_timeout = true; /* else a stream waits for ever */
    rd_kafka_mock_broker_set_down(rig->cluster, 1);
    rig_open(rig);
    expect_error(rig, FRESHET_TRY_AGAIN, "Kafka could not be read for");
    assert_non_null(strstr(rig->err.text, "no broker of"));
    rig_free(rig);
}

static void brokers_may_come_later(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig_produce_ids(rig, 0, 0, 10);
    rd_kafka_mock_broker_set_down(rig->cluster, 1);
    rig_open(rig);
    assert_int_equal(rig_poll_until(rig, 1, has_trouble), FRESHET_OK);
    assert_true(has_trouble(rig));
    rd_kafka_mock_broker_set_up(rig->cluster, 1);
    rig_read(rig, 10);
    assert_false(has_trouble(rig));
    rig_free(rig);
}

/* At the start as later: a stream waits for ever, a batch for connect_timeout. */
static void streams_wait_for_brokers_at_their_start(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig_produce_ids(rig, 0, 0, 10);
    rd_kafka_mock_broker_set_down(rig->cluster, 1);
    rig_open(rig);
    assert_int_equal(rig_poll_until(rig, 1, has_trouble), FRESHET_OK);
    assert_true(has_trouble(rig));
    os.monotonic_us = rig_clock;
    rig_ahead_us = INT64_C(3600000000);
    for (int i = 0; i < 5; i++, rig_ahead_us += KAFKA_TRY_MAX_US)
        assert_int_equal(rig_poll(rig, 1, SIZE_MAX), FRESHET_OK);
    rd_kafka_mock_broker_set_up(rig->cluster, 1);
    rig_read(rig, 10);
    assert_false(has_trouble(rig));
    rig_close(rig);
    rig->mode = READ_ALL;
    rd_kafka_mock_broker_set_down(rig->cluster, 1);
    rig_open(rig);
    assert_int_equal(rig_poll(rig, 1, SIZE_MAX), FRESHET_OK);
    rig_ahead_us += rig->options.connect_timeout_us;
    expect_error(rig, FRESHET_TRY_AGAIN, "Kafka could not be read for");
    rig_ahead_us = 0;
    rig_free(rig);
}

static void brokers_may_go_and_come_back(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig->options.connect_timeout_us = 1000;
    rig->used = only_value;
    rig->options.connect_timeout_us = 5000000;
    rig_produce_ids(rig, 0, 0, 10);
    rig_open(rig);
    rig_read(rig, 10);
    rig_forget(rig);
    rd_kafka_mock_broker_set_down(rig->cluster, 1);
    assert_int_equal(rig_poll_until(rig, 1, has_trouble), FRESHET_OK);
    assert_true(has_trouble(rig));
    /* a stream waits for ever, whatever connect_timeout is */
    os.monotonic_us = rig_clock;
    rig_ahead_us = INT64_C(3600000000);
    assert_int_equal(rig_poll(rig, 1, SIZE_MAX), FRESHET_OK);
    rd_kafka_mock_broker_set_up(rig->cluster, 1);
    assert_int_equal(rig_poll_until(rig, 1, has_no_trouble), FRESHET_OK);
    assert_false(has_trouble(rig));
    rig_produce_ids(rig, 0, 10, 1);
    rig_read(rig, 1);
    rig_expect(rig, "orders/0@10 {\"id\":10,\"kafka_metadata\":null}\n");
    rig_ahead_us = 0;
    rig_free(rig);
}

static void leaders_may_change(void **state)
{
    (void)state;
    rig *rig = rig_make(3, 1);
    rig->used = only_value;
    rd_kafka_mock_partition_set_leader(rig->cluster, "orders", 0, 1);
    rig_produce_ids(rig, 0, 0, 1000);
    rig_open(rig);
    rig_read(rig, 1000);
    rd_kafka_mock_partition_set_leader(rig->cluster, "orders", 0, 3);
    rig_produce_ids(rig, 0, 1000, 1000);
    rig_read(rig, 2000);
    assert_non_null(strstr(rig->rows.bytes, "orders/0@1999 {\"id\":1999,"));
    rig_free(rig);
}

static void slow_answers_are_waited_for(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig->mode = READ_ALL;
    rig_produce_ids(rig, 0, 0, 10);
    rd_kafka_mock_broker_set_rtt(rig->cluster, 1, 300);
    rig_open(rig);
    rig_read_all(rig);
    assert_int_equal(rig->n_rows, 10);
    rig_free(rig);
}

static void unknown_topics_are_refused(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig->options.topic.value = "ordres";
    rd_kafka_mock_topic_set_error(rig->cluster, "ordres", /* else the mock makes it */
                                  RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    rig->options.connect_timeout_us = INT64_C(60000000);
    rig_open(rig);
    assert_int_equal(rig_poll_until(rig, 1, has_trouble), FRESHET_OK);
    os.monotonic_us = rig_clock;
    rig_ahead_us = 2 * KAFKA_TOPIC_GRACE_US;
    expect_error(rig, FRESHET_BAD_DECLARATION, "the topic \"ordres\" cannot be read from");
    rig_ahead_us = 0;
    rig_free(rig);
}

static void forbidden_topics_are_refused(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rd_kafka_mock_topic_set_error(rig->cluster, "orders",
                                  RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    rig->options.connect_timeout_us = INT64_C(60000000);
    rig_open(rig);
    assert_int_equal(rig_poll_until(rig, 1, has_trouble), FRESHET_OK);
    os.monotonic_us = rig_clock;
    rig_ahead_us = 2 * KAFKA_TOPIC_GRACE_US;
    expect_error(rig, FRESHET_BAD_DECLARATION, "grant it READ and DESCRIBE");
    rig_ahead_us = 0;
    rig_free(rig);
}

/* ---- what may not be read -------------------------------------------------------------------- */

#define LIST_OFFSETS 2 /* requests, by Kafka's numbers */
#define FETCH 1

static void fail_next(rig *rig, int16_t request, rd_kafka_resp_err_t problem)
{
    rd_kafka_mock_push_request_errors(rig->cluster, request, 1, problem);
}

/* DESCRIBE without READ: only fetching fails, and librdkafka says so once. */
static void what_may_not_be_fetched_is_refused(void **state)
{
    (void)state;
    for (reader_mode mode = READ_ALL; mode <= READ_FOLLOW; mode++) {
        rig *rig = rig_make(1, 1);
        rig->mode = mode;
        rig_produce_ids(rig, 0, 0, 10);
        fail_next(rig, FETCH, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
        rig_open(rig);
        expect_error(rig, FRESHET_BAD_DECLARATION, "grant it READ and DESCRIBE");
        rig_free(rig);
    }
}

static void streams_wait_for_what_may_no_longer_be_read(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig->used = only_value;
    rig_produce_ids(rig, 0, 0, 10);
    rig_open(rig);
    rig_read(rig, 10);
    rig_forget(rig);
    fail_next(rig, FETCH, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(rig_poll_until(rig, 1, has_trouble), FRESHET_OK);
    /* what topics there are is told all the same, which is no sign that it is over */
    os.monotonic_us = rig_clock;
    for (int i = 0; i < 3; i++) {
        rig_ahead_us += 2 * KAFKA_PROBE_US;
        assert_int_equal(rig_poll(rig, 1, SIZE_MAX), FRESHET_OK);
        assert_true(has_trouble(rig));
    }
    rig_produce_ids(rig, 0, 10, 1);
    rig_read(rig, 1);
    assert_int_equal(rig_poll_until(rig, 2, has_no_trouble), FRESHET_OK);
    assert_false(has_trouble(rig));
    rig_ahead_us = 0;
    rig_free(rig);
}

static void partitions_without_a_leader_are_told(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 2);
    rig_produce_ids(rig, 0, 0, 10);
    rig_open(rig);
    rig_read(rig, 10);
    rig_forget(rig);
    rd_kafka_mock_partition_set_leader(rig->cluster, "orders", 1, -1);
    assert_int_equal(rig_poll_until(rig, 1, has_trouble), FRESHET_OK);
    assert_non_null(strstr(rig->reader->ops->trouble(rig->reader), "orders/1 has no leader"));
    rd_kafka_mock_partition_set_leader(rig->cluster, "orders", 1, 1);
    assert_int_equal(rig_poll_until(rig, 1, has_no_trouble), FRESHET_OK);
    assert_false(has_trouble(rig));
    rig_free(rig);
}

static void brokers_that_say_nothing_are_told(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig_produce_ids(rig, 0, 0, 10);
    rig_open(rig);
    rig_read(rig, 10);
    rig_forget(rig);
    rd_kafka_mock_broker_set_rtt(rig->cluster, 1, 3000);
    const kafka_reader *reader = (kafka_reader *)rig->reader;
    os.monotonic_us = rig_clock;
    for (int i = 0; i < 100 && !has_trouble(rig); i++) {
        rig_ahead_us += KAFKA_PROBE_US;
        assert_int_equal(rig_poll(rig, 1, SIZE_MAX), FRESHET_OK);
        assert_true(reader->look_wait_ms <= KAFKA_LOOK_WAIT_RUNNING_MAX_MS);
    }
    assert_non_null(strstr(rig->reader->ops->trouble(rig->reader), "answers"));
    rig_ahead_us = 0;
    rig_free(rig);
}

static void declare_properties(rig *rig, const char *name, const char *value)
{
    declared_property *one = arena_zero(rig->arena, 1, sizeof *one);
    assert_non_null(one);
    *one = (declared_property){.name = name, .value.value = value};
    rig->options.options = (declared_properties){.items = one, .n = 1};
}

/* Tokens of hosted clusters have some thousand characters. */
static void waking_leaves_long_passwords_whole(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    char *password = arena_zero(rig->arena, 1, 5000);
    char *kept = arena_zero(rig->arena, 1, 6000);
    size_t size = 6000;
    assert_non_null(password);
    assert_non_null(kept);
    memset(password, 'x', 4999);
    declare_properties(rig, "sasl.password", password);
    rig_open(rig);
    kafka_reader *reader = (kafka_reader *)rig->reader;
    reader->must_wake = true;
    kafka_wake(reader);
    assert_int_equal(rd_kafka_conf_get(rd_kafka_conf(reader->client), "sasl.password", kept, &size),
                     RD_KAFKA_CONF_OK);
    assert_string_equal(kept, password);
    rig_free(rig);
}

/* ---- partitions and topics ----------------------------------------------------------------- */

static void partitions_made_behind_our_back_begin_at_their_beginning(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 2);
    rig->used = only_value;
    rig->options.start.value = "latest";
    rig_produce_ids(rig, 0, 0, 3);
    rig_produce_ids(rig, 1, 10, 2);
    restore_at(rig, 2); /* the checkpoint knows partition 0 only */
    rig_open(rig);
    rig_read(rig, 3);
    assert_non_null(strstr(rig->rows.bytes, "orders/0@2 "));
    assert_non_null(strstr(rig->rows.bytes, "orders/1@0 "));
    assert_non_null(strstr(rig->rows.bytes, "orders/1@1 "));
    rig_free(rig);
}

static void latest_leaves_out_what_is_there(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig->used = only_value;
    rig->options.start.value = "latest";
    rig_produce_ids(rig, 0, 0, 3);
    rig_open(rig);
    while (((kafka_reader *)rig->reader)->state != KAFKA_RUNNING)
        assert_int_equal(rig_poll(rig, 1, SIZE_MAX), FRESHET_OK);
    rig_produce_ids(rig, 0, 3, 1);
    rig_read(rig, 1);
    rig_expect(rig, "orders/0@3 {\"id\":3,\"kafka_metadata\":null}\n");
    rig_free(rig);
}

static void patterns_find_topics_while_running(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig->used = only_value;
    rig->options.topic.value = NULL;
    rig->options.pattern.value = "^orders(_[a-z]+)?$";
    rig->options.start.value = "latest";
    rig_open(rig);
    while (((kafka_reader *)rig->reader)->state != KAFKA_RUNNING)
        assert_int_equal(rig_poll(rig, 1, SIZE_MAX), FRESHET_OK);
    assert_int_equal(rd_kafka_mock_topic_create(rig->cluster, "orders_mx", 2, 1), 0);
    assert_int_equal(rd_kafka_mock_topic_create(rig->cluster, "payments", 2, 1), 0);
    rig_produce(rig, "payments", 0, NULL, "{\"id\": 9}");
    rig_produce(rig, "orders_mx", 1, NULL, "{\"id\": 7}");
    rig_produce(rig, "orders", 0, NULL, "{\"id\": 8}");
    rig_flush(rig);
    rig_read(rig, 2);
    assert_non_null(strstr(rig->rows.bytes, "orders_mx/1@0 {\"id\":7,"));
    assert_non_null(strstr(rig->rows.bytes, "orders/0@0 {\"id\":8,"));
    rig_keep_positions(rig);
    assert_int_equal(rig->positions.n, 3);
    rig_free(rig);
}

/* Its rows are announced, though the brokers did not at once say where it begins. */
static void lanes_that_begin_later_are_told(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig->used = only_value;
    rig->options.topic.value = NULL;
    rig->options.pattern.value = "^orders";
    rig_open(rig);
    while (((kafka_reader *)rig->reader)->state != KAFKA_RUNNING)
        assert_int_equal(rig_poll(rig, 1, SIZE_MAX), FRESHET_OK);
    assert_int_equal(rig->reader->ops->next_lane(rig->reader), UINT32_MAX);
    fail_next(rig, LIST_OFFSETS, RD_KAFKA_RESP_ERR_UNKNOWN);
    assert_int_equal(rd_kafka_mock_topic_create(rig->cluster, "orders_mx", 1, 1), 0);
    rig_produce(rig, "orders_mx", 0, NULL, "{\"id\": 7}");
    rig_flush(rig);
    assert_int_equal(rig_poll_until(rig, 1, has_trouble), FRESHET_OK);
    assert_int_equal(rig->reader->ops->next_lane(rig->reader), UINT32_MAX);
    rig_read(rig, 1);
    assert_int_equal(rig->reader->ops->next_lane(rig->reader), 1);
    assert_int_equal(rig->reader->ops->next_lane(rig->reader), UINT32_MAX);
    rig_free(rig);
}

/* A topic that is not there for the moment keeps its place. */
static void places_outlive_what_cannot_be_found(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    static reader_position items[2] = {
        {.name = "gone/3", .label = "gone/3", .offset = 5, .lane = 7},
        {.name = "orders/0", .label = "orders/0"}};
    rig->positions = (reader_positions){.items = items, .n = 2};
    rig_produce_ids(rig, 0, 0, 3);
    rig_open(rig);
    rig_read(rig, 3);
    rig_keep_positions(rig);
    assert_int_equal(rig->positions.n, 2);
    assert_string_equal(rig->positions.items[0].name, "gone/3");
    assert_int_equal(rig->positions.items[0].offset, 5);
    assert_int_equal(rig->positions.items[0].lane, 7);
    assert_int_equal(rig->positions.items[1].offset, 3);
    /* but nothing is told of it to the group, which brokers would refuse */
    kafka_reader *reader = (kafka_reader *)rig->reader;
    rig->reader->ops->ack(rig->reader, &rig->positions);
    const patience wait = patience_of(RIG_WAIT_S);
    while (reader->commit_underway && patience_lasts(&wait)) {
        rig_poll(rig, 1, SIZE_MAX);
        rig_wait(rig);
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(2);
    rd_kafka_topic_partition_list_add(list, "gone", 3);
    rd_kafka_topic_partition_list_add(list, "orders", 0);
    rd_kafka_committed(reader->client, list, 10000);
    assert_int_equal(list->elems[0].offset, RD_KAFKA_OFFSET_INVALID);
    assert_int_equal(list->elems[1].offset, 3);
    rd_kafka_topic_partition_list_destroy(list);
    assert_false(reader->commit_failed);
    rig_free(rig);
}

static void a_thousand_partitions_are_read(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1000);
    rig->mode = READ_ALL;
    for (int i = 0; i < 3000; i++)
        rig_produce(rig, "orders", i % 1000, NULL, "{\"id\": 1}");
    rig_flush(rig);
    rig_open(rig);
    rig_read_all(rig);
    assert_int_equal(rig->n_rows, 3000);
    rig_free(rig);
}

/* ---- memory and sizes ----------------------------------------------------------------------- */

static void large_messages_pass_or_are_refused(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    const size_t size = 4 << 20;
    char *large = malloc(size + 1);
    assert_non_null(large);
    memset(large, ' ', size);
    large[size] = '\0';
    memcpy(large, "{\"id\":1}", 8);
    rig->options.memory = 1 << 20;
    rig->used = only_value;
    rig_produce(rig, "orders", 0, NULL, large);
    rig_flush(rig);
    rig_open(rig);
    rig_read(rig, 1);
    rig_expect(rig, "orders/0@0 {\"id\":1,\"kafka_metadata\":null}\n");
    rig_close(rig);
    rig_forget(rig);
    rig->options.max_message_bytes = size - 1;
    rig_open(rig);
    rig_read(rig, 1);
    rig_expect_reasons(rig, "orders/0@0 the message has 4194304 bytes, more than "
                            "max_message_bytes (4194303); only its beginning is kept here\n");
    free(large);
    rig_free(rig);
}

/* When nobody polls, fetching rests. */
static void what_waits_is_bounded(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 2);
    rig->options.memory = 1 << 20; /* 1,024 messages */
    rig_produce_ids(rig, 0, 0, 20000);
    rig_produce_ids(rig, 1, 0, 20000);
    rig_open(rig);
    const kafka_reader *reader = (const kafka_reader *)rig->reader;
    while (reader->state != KAFKA_RUNNING)
        assert_int_equal(rig_poll(rig, 1, SIZE_MAX), FRESHET_OK);
    patience wait = patience_of(RIG_WAIT_S);
    while (rd_kafka_queue_length(reader->queue) == 0 && patience_lasts(&wait))
        usleep(1000);
    usleep(700000);
    size_t waiting = rd_kafka_queue_length(reader->queue);
    assert_true(waiting > 0 && waiting < 30000);
    wait = patience_of(13);
    rig_read(rig, 40000);
    /* with a halt of a second for each full queue it would take a quarter of a minute */
    assert_true(patience_lasts(&wait));
    rig_free(rig);
}

/* ---- the group's offsets -------------------------------------------------------------------- */

static void the_group_is_told(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig->options.group.value = "watchers";
    rig_produce_ids(rig, 0, 0, 10);
    rig_open(rig);
    rig_read(rig, 10);
    rig_keep_positions(rig);
    kafka_reader *reader = (kafka_reader *)rig->reader;
    rig->reader->ops->ack(rig->reader, &rig->positions);
    assert_true(reader->commit_underway);
    const patience wait = patience_of(RIG_WAIT_S);
    while (reader->commit_underway && patience_lasts(&wait)) {
        rig_poll(rig, 1, SIZE_MAX);
        rig_wait(rig);
    }
    assert_false(reader->commit_failed);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "orders", 0);
    assert_int_equal(rd_kafka_committed(reader->client, list, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(list->elems[0].offset, 10);
    rd_kafka_topic_partition_list_destroy(list);
    rig_free(rig);
}

#define OFFSET_COMMIT 8 /* a request, by Kafka's numbers */

static void ack_at(rig *rig, int64_t offset)
{
    reader_position item = {.name = "orders/0", .label = "orders/0", .offset = offset};
    const reader_positions upto = {.items = &item, .n = 1};
    rig->reader->ops->ack(rig->reader, &upto);
}

/* When nothing is underway any more, and for a while after it, the group has that offset. */
static void expect_group_at(rig *rig, int64_t offset)
{
    kafka_reader *reader = (kafka_reader *)rig->reader;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    const patience wait = patience_of(RIG_WAIT_S);

    while ((reader->commit_underway || reader->group_moved) && patience_lasts(&wait)) {
        assert_int_equal(rig_poll(rig, 1, SIZE_MAX), FRESHET_OK);
        rig_wait(rig);
    }
    usleep(300000); /* librdkafka makes a commit again after 100 ms */
    rd_kafka_topic_partition_list_add(list, "orders", 0);
    assert_int_equal(rd_kafka_committed(reader->client, list, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(list->elems[0].offset, offset);
    rd_kafka_topic_partition_list_destroy(list);
}

/* A commit that librdkafka makes again must not come behind a later one, whose offset it would
 * undo. */
static void the_group_never_goes_back(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig->options.group.value = "watchers";
    rig_produce_ids(rig, 0, 0, 10);
    rig_open(rig);
    rig_read(rig, 10);
    ack_at(rig, 1);
    expect_group_at(rig, 1);
    fail_next(rig, OFFSET_COMMIT, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    ack_at(rig, 5);
    ack_at(rig, 7);
    ack_at(rig, 10);
    expect_group_at(rig, 10);
    rig_free(rig);
}

/* The last one of a topic that is silent from then on, too. */
static void a_commit_that_failed_is_made_again(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig->options.group.value = "watchers";
    rig_produce_ids(rig, 0, 0, 10);
    rig_open(rig);
    rig_read(rig, 10);
    fail_next(rig, OFFSET_COMMIT, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    ack_at(rig, 10);
    const kafka_reader *reader = (kafka_reader *)rig->reader;
    const patience wait = patience_of(RIG_WAIT_S);
    while (!reader->commit_failed && patience_lasts(&wait)) {
        assert_int_equal(rig_poll(rig, 1, SIZE_MAX), FRESHET_OK);
        rig_wait(rig);
    }
    assert_true(reader->commit_failed);
    assert_false(reader->commit_underway); /* not at once */
    os.monotonic_us = rig_clock;
    rig_ahead_us = INT64_C(1000000);
    expect_group_at(rig, 10);
    assert_false(reader->commit_failed);
    rig_ahead_us = 0;
    rig_free(rig);
}

#define FIND_COORDINATOR 10

/* A young broker has no coordinator for some seconds. A commit comes back soon, without a warning,
 * and is made again until there is one. */
static void a_commit_waits_for_its_coordinator(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    const patience wait = patience_of(20); /* librdkafka's own patience would be 45 seconds */
    rig->options.group.value = "watchers";
    rig_produce_ids(rig, 0, 0, 10);
    for (int i = 0; i < 100; i++)
        fail_next(rig, FIND_COORDINATOR, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE);
    rig_open(rig);
    rig_read(rig, 10);
    ack_at(rig, 10);
    const kafka_reader *reader = (kafka_reader *)rig->reader;
    while (reader->uncommitted_since_us == 0 && patience_lasts(&wait)) {
        assert_int_equal(rig_poll(rig, 1, SIZE_MAX), FRESHET_OK);
        rig_wait(rig);
    }
    assert_int_not_equal(reader->uncommitted_since_us, 0);
    assert_true(reader->commit_underway); /* at once */
    assert_false(reader->commit_failed);
    rd_kafka_mock_clear_request_errors(rig->cluster, FIND_COORDINATOR);
    expect_group_at(rig, 10);
    rig_free(rig);
}

/* A commit that nobody answers, or that waits for a coordinator, does not hold the end; that it was
 * not made is said. */
static void a_commit_does_not_hold_the_end(void **state)
{
    (void)state;
    for (int is_frozen = 0; is_frozen < 2; is_frozen++) {
        rig *rig = rig_make(1, 1);
        const int64_t limit_us = patient_us(20000000);
        rig->options.group.value = "watchers";
        rig_produce_ids(rig, 0, 0, 10);
        for (int i = 0; i < 100 && !is_frozen; i++)
            fail_next(rig, FIND_COORDINATOR, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE);
        rig_open(rig);
        rig_read(rig, 10);
        if (is_frozen) {
            ack_at(rig, 5);
            expect_group_at(rig, 5);
            rd_kafka_mock_broker_set_rtt(rig->cluster, 1, 50000);
        }
        ack_at(rig, 10);
        assert_true(((kafka_reader *)rig->reader)->commit_underway);
        const int64_t began_us = os.monotonic_us();
        rig_close(rig);
        assert_true(os.monotonic_us() - began_us < limit_us);
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_behind_the_end_are_refused),
        cmocka_unit_test(gaps_are_bridged_as_declared),
        cmocka_unit_test(deleted_messages_are_a_gap),
        cmocka_unit_test(another_message_at_the_mark_is_another_topic),
        cmocka_unit_test(a_topic_that_was_away_is_verified),
        cmocka_unit_test(ranges_are_asked_for_before_they_are_believed),
        cmocka_unit_test(brokers_that_are_never_there_end_the_run),
        cmocka_unit_test(brokers_may_come_later),
        cmocka_unit_test(streams_wait_for_brokers_at_their_start),
        cmocka_unit_test(brokers_may_go_and_come_back),
        cmocka_unit_test(leaders_may_change),
        cmocka_unit_test(slow_answers_are_waited_for),
        cmocka_unit_test(unknown_topics_are_refused),
        cmocka_unit_test(forbidden_topics_are_refused),
        cmocka_unit_test(what_may_not_be_fetched_is_refused),
        cmocka_unit_test(streams_wait_for_what_may_no_longer_be_read),
        cmocka_unit_test(partitions_without_a_leader_are_told),
        cmocka_unit_test(brokers_that_say_nothing_are_told),
        cmocka_unit_test(waking_leaves_long_passwords_whole),
        cmocka_unit_test(lanes_that_begin_later_are_told),
        cmocka_unit_test(partitions_made_behind_our_back_begin_at_their_beginning),
        cmocka_unit_test(latest_leaves_out_what_is_there),
        cmocka_unit_test(patterns_find_topics_while_running),
        cmocka_unit_test(places_outlive_what_cannot_be_found),
        cmocka_unit_test(a_thousand_partitions_are_read),
        cmocka_unit_test(large_messages_pass_or_are_refused),
        cmocka_unit_test(what_waits_is_bounded),
        cmocka_unit_test(the_group_is_told),
        cmocka_unit_test(the_group_never_goes_back),
        cmocka_unit_test(a_commit_that_failed_is_made_again),
        cmocka_unit_test(a_commit_waits_for_its_coordinator),
        cmocka_unit_test(a_commit_does_not_hold_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
