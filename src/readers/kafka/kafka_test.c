/* kafka_test.c - messages into rows, where reading begins and ends, against librdkafka's mock
 * cluster. */
#include "base/log.h"
#include "readers/kafka/kafka_testing.h"

static void values_become_rows(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig_schema(rig, &rig->options.value, "id: bigint, city: string, at: timestamp");
    const bool used[] = {true, true, true, false};
    rig->used = used;
    rig_produce(rig, "orders", 0, "a", "{\"id\": 1, \"city\": \"a long name of a city\"}");
    rig_produce(rig, "orders", 0, NULL, "{\"id\": \"x\"}");
    rig_produce(rig, "orders", 0, NULL, NULL);
    rig_produce(rig, "orders", 0, NULL, "{\"id\": 2, \"at\": \"2024-05-01 10:00:00\", \"x\": 1}");
    rig_produce(rig, "orders", 0, NULL, "[1]");
    rig_flush(rig);
    rig_open(rig);
    rig_read(rig, 4);
    rig_expect(rig, "orders/0@0 {\"id\":1,\"city\":\"a long name of a city\",\"at\":null,"
                    "\"kafka_metadata\":null}\n"
                    "orders/0@3 {\"id\":2,\"city\":null,\"at\":\"2024-05-01T10:00:00.000000Z\","
                    "\"kafka_metadata\":null}\n");
    rig_expect_reasons(
        rig, "orders/0@1 field \"id\" should be bigint, but is the string \"x\"; declare it in "
             "schema as what it is, or say on_cast_error: null\n"
             "orders/0@4 the record should be a JSON object, but is the array [1]\n");
    rig_free(rig);
}

static char heard[2000];

static void hear(void *context, const char *line)
{
    (void)context;
    snprintf(heard + strlen(heard), sizeof heard - strlen(heard), "%s", line);
}

/* A name that is misspelt, after a thousand messages; and where there are fewer, at their end. */
static void columns_that_no_message_has_are_told(void **state)
{
    static const int counts[] = {1500, 3};
    const bool used[] = {true, true, true, false};

    (void)state;
    for (int i = 0; i < 2; i++) {
        rig *rig = rig_make(1, 1);
        rig_schema(rig, &rig->options.value, "id: bigint, amuont: double, late: string");
        rig->used = used;
        rig->mode = READ_ALL;
        for (int n = 0; n < counts[i]; n++)
            rig_produce(rig, "orders", 0, NULL,
                        n == 1200 ? "{\"id\": 1, \"late\": \"x\"}"
                                  : "{\"id\": 1, \"amount\": 2.5}");
        rig_flush(rig);
        heard[0] = '\0';
        log_configure(LOG_WARNING, LOG_TEXT);
        log_hook(hear, NULL);
        rig_open(rig);
        rig_read_all(rig);
        log_hook(NULL, NULL);
        assert_non_null(strstr(heard, i == 0 ? "amuont: none of the first 1,000 messages has it; "
                                               "did you mean amount?"
                                             : "amuont: none of the first 3 messages has it; did "
                                               "you mean amount?"));
        assert_non_null(strstr(heard, i == 0 ? "late: none of the first 1,000 messages has it"
                                             : "late: none of the first 3 messages has it"));
        assert_null(strstr(strstr(heard, "amuont") + 1, "amuont"));
        rig_free(rig);
    }
}

static void key_headers_and_metadata_are_columns(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig->options.has_key = true;
    rig->options.key.choice = 2; /* raw */
    rig->options.headers = true;
    assert_int_equal(
        rd_kafka_producev(
            rig->producer, RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_PARTITION(0),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE("{\"id\": 1}", 9),
            RD_KAFKA_V_KEY("a key", 5), RD_KAFKA_V_HEADER("trace", "a \"b\"", 5),
            RD_KAFKA_V_HEADER("bytes", "\xff\x00", 2), RD_KAFKA_V_HEADER("none", NULL, 0),
            RD_KAFKA_V_TIMESTAMP(INT64_C(1700000000123)), RD_KAFKA_V_END),
        RD_KAFKA_RESP_ERR_NO_ERROR);
    rig_produce(rig, "orders", 0, NULL, "{\"id\": 2}");
    rig_produce(rig, "orders", 0,
                "a\xff"
                "b",
                "{\"id\": 3}");
    rig_flush(rig);
    rig_open(rig);
    rig_read(rig, 3);
    rig_expect(
        rig, "orders/0@0 {\"id\":1,\"key\":\"a key\",\"headers\":\"[{\\\"key\\\":\\\"trace\\\","
             "\\\"value\\\":\\\"a \\\\\\\"b\\\\\\\"\\\"},{\\\"key\\\":\\\"bytes\\\",\\\"base64\\\":"
             "\\\"/wA=\\\"},{\\\"key\\\":\\\"none\\\",\\\"value\\\":null}]\",\"kafka_metadata\":{"
             "\"key\":\"a key\",\"topic\":\"orders\",\"value\":\"{\\\"id\\\": 1}\",\"partition\":0,"
             "\"offset\":0,\"timestamp\":\"2023-11-14T22:13:20.123000Z\",\"timestampType\":0}}\n"
             "orders/0@1 {\"id\":2,\"key\":null,\"headers\":null,\"kafka_metadata\":{"
             "\"key\":null,\"topic\":\"orders\",\"value\":\"{\\\"id\\\": 2}\",\"partition\":0,"
             "\"offset\":1,\"timestamp\":\"2023-11-14T22:13:20.123000Z\",\"timestampType\":0}}\n");
    rig_expect_reasons(rig, "orders/0@2 the key: the message is not valid UTF-8; say type: binary, "
                            "or on_cast_error: null\n");
    rig_free(rig);
}

static void json_keys_are_structs(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    const bool used[] = {true, true, false};
    rig->used = used;
    rig->options.has_key = true;
    rig_schema(rig, &rig->options.key, "shop: string, n: integer");
    rig_produce(rig, "orders", 0, "{\"shop\": \"centre\", \"n\": 3}", "{\"id\": 1}");
    rig_produce(rig, "orders", 0, NULL, "{\"id\": 2}");
    rig_produce(rig, "orders", 0, "{\"shop\": \"north\"}", "{\"id\": 3}");
    rig_flush(rig);
    rig_open(rig);
    rig_read(rig, 3);
    rig_expect(rig, "orders/0@0 {\"id\":1,\"key\":{\"shop\":\"centre\",\"n\":3},"
                    "\"kafka_metadata\":null}\n"
                    "orders/0@1 {\"id\":2,\"key\":null,\"kafka_metadata\":null}\n"
                    "orders/0@2 {\"id\":3,\"key\":{\"shop\":\"north\",\"n\":null},"
                    "\"kafka_metadata\":null}\n");
    rig_free(rig);
}

static void tombstones_can_be_rows(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    const bool used[] = {true, false};
    rig->used = used;
    rig->options.tombstones = TOMBSTONES_NULL;
    rig_produce(rig, "orders", 0, "a", NULL);
    rig_flush(rig);
    rig_open(rig);
    rig_read(rig, 1);
    rig_expect(rig, "orders/0@0 {\"id\":null,\"kafka_metadata\":null}\n");
    rig_free(rig);
}

static void batches_end_at_the_ends_of_their_opening(void **state)
{
    (void)state;
    rig *rig = rig_make(2, 3);
    rig->mode = READ_ALL;
    rig_produce_ids(rig, 0, 0, 1000);
    rig_produce_ids(rig, 2, 1000, 1); /* partition 1 is empty */
    rig_open(rig);
    while (((kafka_reader *)rig->reader)->state != KAFKA_RUNNING)
        assert_int_equal(rig_poll(rig, 1, SIZE_MAX), FRESHET_OK);
    rig_produce_ids(rig, 0, 2000, 5);
    rig_read_all(rig);
    assert_int_equal(rig->n_rows, 1001);
    /* and from where they ended */
    rig_forget(rig);
    rig_reopen(rig);
    rig_read_all(rig);
    assert_int_equal(rig->n_rows, 5);
    rig_forget(rig);
    rig_reopen(rig);
    rig_read_all(rig);
    assert_int_equal(rig->n_rows, 0);
    rig_free(rig);
}

static void polls_keep_their_limits(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 1);
    rig->mode = READ_ALL;
    rig_produce_ids(rig, 0, 0, 100);
    rig_open(rig);
    uint32_t polls = 0;
    freshet_code code = FRESHET_OK;
    while (code == FRESHET_OK) {
        uint32_t before = rig->n_rows;
        code = rig_poll(rig, 7, 40); /* values have 9 bytes: the fifth is the last */
        assert_true(rig->n_rows - before <= 5);
        polls += rig->n_rows > before;
        if (code == FRESHET_OK && !rig->more)
            rig_wait(rig);
    }
    assert_int_equal(code, FRESHET_END);
    assert_int_equal(rig->n_rows, 100);
    assert_true(polls >= 20);
    rig_free(rig);
}

static void reading_goes_on_at_its_positions(void **state)
{
    (void)state;
    rig *rig = rig_make(1, 2);
    const bool used[] = {true, false};
    rig->used = used;
    rig_produce_ids(rig, 0, 0, 10);
    rig_produce_ids(rig, 1, 100, 10);
    rig_open(rig);
    rig_read(rig, 20);
    rig_forget(rig);
    rig_reopen(rig);
    rig_produce_ids(rig, 1, 110, 1);
    rig_read(rig, 1);
    rig_expect(rig, "orders/1@10 {\"id\":110,\"kafka_metadata\":null}\n");
    /* in the middle */
    assert_int_equal(rig->positions.n, 2);
    assert_string_equal(rig->positions.items[0].name, "orders/0");
    assert_string_equal(rig->positions.items[1].name, "orders/1");
    assert_int_equal(rig->positions.items[1].lane, 1);
    rig->positions.items[0].offset = 9;
    rig_close(rig);
    rig_forget(rig);
    rig_open(rig);
    rig_read(rig, 2);
    assert_non_null(strstr(rig->rows.bytes, "orders/0@9 "));
    assert_non_null(strstr(rig->rows.bytes, "orders/1@10 "));
    rig_free(rig);
}

static void starts_are_read(void **state)
{
    (void)state;
    int64_t start;
    bool is_time;
    assert_true(kafka_parse_start("earliest", 0, &start, &is_time));
    assert_int_equal(start, RD_KAFKA_OFFSET_BEGINNING);
    assert_false(is_time);
    assert_true(kafka_parse_start("latest", 0, &start, &is_time));
    assert_int_equal(start, RD_KAFKA_OFFSET_END);
    assert_true(kafka_parse_start("1970-01-02", 0, &start, &is_time));
    assert_int_equal(start, 86400000);
    assert_true(is_time);
    assert_true(kafka_parse_start("-1 hour", INT64_C(7200000000), &start, &is_time));
    assert_int_equal(start, 3600000);
    assert_true(kafka_parse_start("- 1 hour", INT64_C(7200000000), &start, &is_time));
    assert_true(kafka_parse_start("-2 days", 0, &start, &is_time));
    assert_int_equal(start, 0);
    assert_false(kafka_parse_start("1 hour", 0, &start, &is_time));
    assert_false(kafka_parse_start("first", 0, &start, &is_time));
    assert_false(kafka_parse_start("", 0, &start, &is_time));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_become_rows),
        cmocka_unit_test(columns_that_no_message_has_are_told),
        cmocka_unit_test(key_headers_and_metadata_are_columns),
        cmocka_unit_test(json_keys_are_structs),
        cmocka_unit_test(tombstones_can_be_rows),
        cmocka_unit_test(batches_end_at_the_ends_of_their_opening),
        cmocka_unit_test(polls_keep_their_limits),
        cmocka_unit_test(reading_goes_on_at_its_positions),
        cmocka_unit_test(starts_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
