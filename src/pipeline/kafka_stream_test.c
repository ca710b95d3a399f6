/* kafka_stream_test.c - a stream over a topic as a whole, against librdkafka's mock cluster: its
 * options, its checkpoints, and what is said when the brokers are away. */
#define _GNU_SOURCE /* nftw */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>

#include <librdkafka/rdkafka_mock.h>

#include "base/log.h"
#include "base/os.h"
#include "base/patience_testing.h"
#include "base/text.h"
#include "pipeline/checkpoint_internal.h"

#define WAIT_S 60

static char folder[64];
static rd_kafka_t *producer;
static rd_kafka_mock_cluster_t *cluster;

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static int set_up(void **state)
{
    (void)state;
    char said[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", NULL, 0);
    rd_kafka_conf_set(conf, "linger.ms", "1", NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, said, sizeof said);
    cluster = producer == NULL ? NULL : rd_kafka_handle_mock_cluster(producer);
    log_configure(LOG_ERROR + 1, LOG_TEXT);
    snprintf(folder, sizeof folder, "/tmp/freshet-kafka-XXXXXX");
    return cluster != NULL && rd_kafka_mock_topic_create(cluster, "orders", 2, 1) == 0 &&
                   mkdtemp(folder) != NULL
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    rd_kafka_destroy(producer);
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void produce(int partition, const char *key, int second)
{
    char value[100];
    int n = snprintf(value, sizeof value, "{\"k\": \"%s\", \"ts\": \"2024-01-01 00:00:%02d\"}", key,
                     second);
    assert_int_equal(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("orders"),
                                       RD_KAFKA_V_PARTITION(partition),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                       RD_KAFKA_V_VALUE(value, (size_t)n), RD_KAFKA_V_END),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_flush(producer, 20000), RD_KAFKA_RESP_ERR_NO_ERROR);
}

typedef struct stream {
    freshet_declaration *declaration;
    freshet_pipeline *pipeline;
} stream;

static freshet_declaration *declare(const char *options)
{
    char text[2048];
    freshet_declaration *declaration = NULL;
    freshet_error err = {0};
    snprintf(text, sizeof text,
             "version: 1\n"
             "pipeline: watched\n"
             "source:\n"
             "  readers:\n"
             "    - id: events\n"
             "      kafka:\n"
             "        topic: orders\n"
             "        brokers: \"%s\"\n"
             "        value: {schema: {k: string, ts: timestamp}}\n"
             "%s"
             "      stream: true\n"
             "  query: select k, ts from events\n"
             "feature_set:\n"
             "  name: f\n"
             "  entity: e\n"
             "  keys: [{name: k, type: string}]\n"
             "  timestamp: {from: ts}\n"
             "  features: [{name: day, type: date, sql: cast(ts as date)}]\n"
             "dead_letters: {path: '%s/letters.jsonl'}\n"
             "checkpoint: {interval: 10 ms}\n"
             "sink: {writers: [{online: {debug: true}}]}\n",
             rd_kafka_mock_cluster_bootstraps(cluster), options, folder);
    if (freshet_declaration_parse(text, strlen(text), "test.yaml", NULL, NULL, &declaration,
                                  &err) != FRESHET_OK)
        fail_msg("%s: %s", err.at, err.text);
    return declaration;
}

static void open_stream(stream *it, const char *options)
{
    char state[80];
    freshet_error err = {0};
    snprintf(state, sizeof state, "%s/state", folder);
    const freshet_run_options run = {.size = sizeof run, .state = state};
    *it = (stream){.declaration = declare(options)};
    if (freshet_pipeline_open(it->declaration, &run, NULL, NULL, &it->pipeline, &err) != FRESHET_OK)
        fail_msg("%s: %s", err.at, err.text);
}

static void close_stream(stream *it)
{
    freshet_pipeline_close(it->pipeline);
    freshet_declaration_close(it->declaration);
}

/* Steps until so many rows were written in this run. */
static void step_until(stream *it, int64_t rows)
{
    freshet_error err = {0};
    const patience wait = patience_of(WAIT_S);
    while (freshet_counter(it->pipeline, FRESHET_ROWS_WRITTEN) < rows && patience_lasts(&wait))
        if (freshet_step(it->pipeline, os.monotonic_us() + 20000, &err) != FRESHET_OK)
            fail_msg("%s: %s", err.at, err.text);
    assert_int_equal(freshet_counter(it->pipeline, FRESHET_ROWS_WRITTEN), rows);
}

static void step_until_ready_is(stream *it, bool ready)
{
    freshet_error err = {0};
    const patience wait = patience_of(WAIT_S);
    while (freshet_ready(it->pipeline, NULL) != ready && patience_lasts(&wait))
        if (freshet_step(it->pipeline, os.monotonic_us() + 20000, &err) != FRESHET_OK)
            fail_msg("%s: %s", err.at, err.text);
    assert_int_equal(freshet_ready(it->pipeline, NULL), ready);
}

/* Steps until a place is kept. */
static void step_until_placed(stream *it)
{
    freshet_error err = {0};
    const patience wait = patience_of(WAIT_S);
    while (it->pipeline->checkpoint->positions[0].n == 0 && patience_lasts(&wait))
        if (freshet_step(it->pipeline, os.monotonic_us() + 20000, &err) != FRESHET_OK)
            fail_msg("%s: %s", err.at, err.text);
    assert_int_equal(freshet_checkpoint(it->pipeline, NULL), FRESHET_OK);
}

/* The offset that the group has for partition 1. */
static int64_t committed(void)
{
    char said[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), NULL,
                      0);
    rd_kafka_conf_set(conf, "group.id", "freshet-watched", NULL, 0);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, said, sizeof said);
    assert_non_null(client);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "orders", 1);
    assert_int_equal(rd_kafka_committed(client, list, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    const int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(client);
    return offset;
}

static void checkpoints_hold_offsets_and_lanes(void **state)
{
    (void)state;
    stream it;
    freshet_error err = {0};
    produce(0, "a", 1);
    produce(1, "b", 2);
    produce(1, "c", 3);
    open_stream(&it, "");
    step_until(&it, 3);
    assert_int_equal(freshet_checkpoint(it.pipeline, &err), FRESHET_OK);
    close_stream(&it);
    assert_int_equal(committed(), 2);

    open_stream(&it, "");
    reader_positions from;
    assert_int_equal(checkpoint_positions(it.pipeline, 0, &from, &err), FRESHET_OK);
    assert_int_equal(from.n, 2);
    assert_string_equal(from.items[0].name, "orders/0");
    assert_int_equal(from.items[0].offset, 1);
    assert_int_equal(from.items[0].lane, 0);
    assert_string_equal(from.items[1].name, "orders/1");
    assert_string_equal(from.items[1].label, "orders/1");
    assert_int_equal(from.items[1].offset, 2);
    assert_int_equal(from.items[1].lane, 1);
    produce(1, "d", 4);
    step_until(&it, 1);
    close_stream(&it);
}

/* What came while nobody ran is not left out, though nothing had been read before. */
static void the_first_place_is_kept_before_any_row(void **state)
{
    (void)state;
    stream it;
    produce(0, "a", 1);
    open_stream(&it, "        start: latest\n");
    step_until_placed(&it);
    assert_int_equal(freshet_counter(it.pipeline, FRESHET_ROWS_WRITTEN), 0);
    close_stream(&it);
    produce(0, "b", 2);
    open_stream(&it, "        start: latest\n");
    step_until(&it, 1);
    close_stream(&it);
}

static void trouble_is_told_and_passes(void **state)
{
    (void)state;
    stream it;
    freshet_error why = {0};
    produce(0, "a", 1);
    open_stream(&it, "");
    step_until(&it, 1);
    assert_true(freshet_ready(it.pipeline, NULL));
    rd_kafka_mock_broker_set_down(cluster, 1);
    step_until_ready_is(&it, false);
    assert_false(freshet_ready(it.pipeline, &why));
    assert_int_equal(why.code, FRESHET_TRY_AGAIN);
    assert_non_null(strstr(why.text, "events: no broker of"));
    rd_kafka_mock_broker_set_up(cluster, 1);
    step_until_ready_is(&it, true);
    produce(0, "b", 2);
    step_until(&it, 2);
    close_stream(&it);
}

static void keys_in_two_partitions_are_counted(void **state)
{
    (void)state;
    stream it;
    produce(0, "a", 1);
    open_stream(&it, "");
    step_until(&it, 1);
    produce(1, "a", 2);
    step_until(&it, 2);
    assert_int_equal(freshet_counter(it.pipeline, FRESHET_KEYS_SHARED), 1);
    close_stream(&it);
}

/* ---- options -------------------------------------------------------------------------------- */

static bool take_bytes(void *context, const char *bytes, size_t length)
{
    return text_append(context, bytes, length);
}

static void secrets_are_not_shown(void **state)
{
    (void)state;
    text_buffer shown;
    freshet_declaration *declaration = declare("        options:\n"
                                               "          security.protocol: SASL_SSL\n"
                                               "          sasl.mechanism: PLAIN\n"
                                               "          sasl.username: reader\n"
                                               "          sasl.password: \"a word of mine\"\n"
                                               "          ssl.key.password: \"another\"\n");
    text_init(&shown, TEXT_LIMIT_DEFAULT);
    assert_int_equal(freshet_declaration_show(declaration, take_bytes, &shown, NULL), FRESHET_OK);
    assert_non_null(strstr(shown.bytes, "        options:\n"
                                        "          security.protocol: SASL_SSL\n"
                                        "          sasl.mechanism: PLAIN\n"
                                        "          sasl.username: reader\n"
                                        "          sasl.password: \"***\"\n"
                                        "          ssl.key.password: \"***\"\n"));
    text_release(&shown);
    freshet_declaration_close(declaration);
}

static void note(void *context, const freshet_error *problem)
{
    const char *at = strchr(problem->at, ':');
    text_format(context, "%s %s\n", at == NULL ? "" : at + 1, problem->text);
}

static void mistakes_are_found_at_their_places(void **state)
{
    (void)state;
    static const char text[] = "version: 1\n"
                               "pipeline: p\n"
                               "source:\n"
                               "  readers:\n"
                               "    - id: events\n"
                               "      kafka:\n"
                               "        topic: orders\n"
                               "        pattern: \"(\"\n"
                               "        brokers: b\n"
                               "        start: soon\n"
                               "        headers: true\n"
                               "        value: {schema: {k: string, Headers: string}}\n"
                               "        key: {format: raw, type: bigint}\n"
                               "        options:\n"
                               "          ssl.pasword: a\n"
                               "          group.id: g\n"
                               "          kafka.security.protocol: SSL\n"
                               "          security.protocol: TLS\n"
                               "          startingOffsets: earliest\n"
                               "          socket.timeout.ms: [1]\n"
                               "      stream: true\n"
                               "  query: select k from events\n"
                               "feature_set:\n"
                               "  name: f\n"
                               "  entity: e\n"
                               "  keys: [{name: k, type: string}]\n"
                               "  features: [{name: a, type: string, from: k}]\n"
                               "sink: {writers: [{online: {debug: true}}]}\n";
    text_buffer problems;
    freshet_declaration *declaration = NULL;
    text_init(&problems, TEXT_LIMIT_DEFAULT);
    assert_int_equal(freshet_declaration_parse(text, strlen(text), "test.yaml", note, &problems,
                                               &declaration, NULL),
                     FRESHET_BAD_DECLARATION);
    const char *const expected[] = {
        "\"topic\", \"topics\" and \"pattern\" exclude each other: keep one",
        "8:18 \"pattern\" is no extended regular expression: ",
        "10:16 \"start\" cannot be \"soon\": it must be earliest, latest, a time",
        "12:46 the column \"headers\" cannot come from the value",
        "13:34 \"type\" must be string or binary",
        "15:11 librdkafka has no property \"ssl.pasword\"; did you mean \"",
        "16:11 \"group.id\" cannot be set here: say \"group\" beside \"options\"",
        ("17:11 librdkafka has no property \"kafka.security.protocol\"; did you mean "
         "\"security.protocol\"?"),
        "18:30 \"security.protocol\" cannot be \"TLS\": librdkafka says: ",
        "19:11 \"startingOffsets\" cannot be set here: say \"start\" beside \"options\"",
        "20:30 \"socket.timeout.ms\" must have a single value",
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        if (strstr(problems.bytes, expected[i]) == NULL)
            fail_msg("not \"%s\" in:\n%s", expected[i], problems.bytes);
    text_release(&problems);
}

/* What these options of the reader are told to be. */
static void expect_told(const char *options, const char *expected)
{
    static const char form[] =
        "version: 1\npipeline: p\n"
        "source:\n  readers:\n"
        "    - id: events\n"
        "      kafka:\n"
        "%s"
        "        value: {schema: {k: string, t: timestamp}}\n"
        "  query: select * from events\n"
        "feature_set:\n  name: f\n  entity: e\n"
        "  keys: [{name: k, type: string}]\n"
        "  timestamp: {from: t}\n  features: [{name: a, type: string, from: k}]\n"
        "sink: {writers: [{online: {debug: true}}]}\n";
    text_buffer text, problems;
    freshet_declaration *declaration = NULL;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_init(&problems, TEXT_LIMIT_DEFAULT);
    text_format(&text, form, options);
    assert_int_equal(freshet_declaration_parse(text.bytes, text.length, "test.yaml", note,
                                               &problems, &declaration, NULL),
                     FRESHET_BAD_DECLARATION);
    assert_string_equal(problems.bytes, expected);
    text_release(&text);
    text_release(&problems);
}

static void topics_and_brokers_are_looked_at(void **state)
{
    (void)state;
    expect_told("        brokers: b\n        topics: []\n",
                "7:9 no topic is declared: write for example topic: orders\n");
    expect_told(
        "        brokers: b\n        topics: [orders, \"a b\"]\n",
        "8:26 \"a b\" cannot be a topic: its name has ASCII letters, digits, \".\", \"_\" and "
        "\"-\" only; for several topics say \"topics\" or \"pattern\"\n");
    expect_told("        topic: orders\n        brokers: \" \"\n",
                "8:18 \"brokers\" must not be empty: write for example \"localhost:9092\"\n");
    setenv("KAFKA_CONSUMER_CONNECTION_STRING", "", 1);
    expect_told("        topic: orders\n",
                "7:9 \"brokers\" is missing, and the environment variable "
                "KAFKA_CONSUMER_CONNECTION_STRING is empty: set it to a list of host:port\n");
    unsetenv("KAFKA_CONSUMER_CONNECTION_STRING");
    expect_told("        topic: orders\n        brokers: b\n"
                "        options: {message.max.bytes: 5000}\n",
                "9:19 \"message.max.bytes\" cannot be set here: say \"max_message_bytes\" beside "
                "\"options\"\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(checkpoints_hold_offsets_and_lanes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_place_is_kept_before_any_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trouble_is_told_and_passes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_in_two_partitions_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(secrets_are_not_shown, set_up, tear_down),
        cmocka_unit_test(mistakes_are_found_at_their_places),
        cmocka_unit_test(topics_and_brokers_are_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
