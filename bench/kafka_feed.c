/* kafka_feed.c - puts the events of the Kafka benchmarks into a topic.
 *
 *     kafka_feed BROKERS TOPIC create PARTITIONS
 *     kafka_feed BROKERS TOPIC lines FILE...
 *     kafka_feed BROKERS TOPIC rate PER_SECOND EVENTS TIMES
 *
 * `lines`: each line of the files, as fast as the broker takes them, keyed by its "id": the events
 * of a key are in one partition and in the order of the lines, since the producer is an idempotent
 * one.
 *
 * `rate`: so many events a second, each as soon as it is due and without lingering. Their ids are
 * 0, 1, 2, ..., their `ts` the time just before each is handed to librdkafka, in UTC; that time
 * also goes, in microseconds since 1970, into the file TIMES, a line each. The event i goes to the
 * partition i % PARTITIONS, so that an onlooker knows from the rows of each partition which events
 * have come.
 *
 * Anything that was not delivered is an error.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVENT_BYTES_MAX 256
#define PARTITIONS_MAX 1024
#define WAIT_MS 30000
#define POLL_EACH 1000 /* events between two looks at what was delivered */

static size_t n_failed;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "kafka_feed: %s: %s\n", what, why);
    exit(1);
}

static void delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    (void)client;
    (void)context;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && n_failed++ == 0)
        fprintf(stderr, "kafka_feed: not delivered: %s\n", rd_kafka_err2str(message->err));
}

static rd_kafka_t *open_client(const char *brokers, const char *linger_ms)
{
    const char *const properties[][2] = {
        {"bootstrap.servers", brokers},
        {"enable.idempotence", "true"},
        {"linger.ms", linger_ms},
        {"batch.size", "500000"},
        {"queue.buffering.max.messages", "500000"},
    };
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++) {
        if (rd_kafka_conf_set(conf, properties[i][0], properties[i][1], why, sizeof(why)) !=
            RD_KAFKA_CONF_OK)
            die(properties[i][0], why);
    }
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (client == NULL)
        die(brokers, why);
    return client;
}

static void produce(rd_kafka_t *client, rd_kafka_topic_t *topic, int32_t partition,
                    const char *value, size_t length, const char *key, size_t key_length)
{
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)value, length,
                            key, key_length, NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            die(rd_kafka_topic_name(topic), rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(client, 20);
    }
}

/* ---- create ---- */

static void create(rd_kafka_t *client, const char *topic, int partitions)
{
    char why[512];
    rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, partitions, 1, why, sizeof(why));
    if (wanted == NULL)
        die(topic, why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_CreateTopics(client, &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    if (event == NULL)
        die(topic, "no answer from the broker");
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        die(topic, rd_kafka_event_error_string(event));
    size_t n = 0;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
    if (n != 1 || rd_kafka_topic_result_error(results[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
        die(topic, n != 1 ? "not created" : rd_kafka_topic_result_error_string(results[0]));
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(wanted);
}

/* ---- lines ---- */

static void produce_file(rd_kafka_t *client, rd_kafka_topic_t *topic, const char *path)
{
    static const char id[] = "\"id\":";
    char line[EVENT_BYTES_MAX];
    FILE *file = fopen(path, "r");
    if (file == NULL)
        die(path, "cannot be opened");
    for (int n = 0; fgets(line, sizeof(line), file) != NULL; n++) {
        size_t length = strcspn(line, "\n");
        const char *key = strstr(line, id);
        if (line[length] != '\n' || key == NULL)
            die(path, "a line is too long, or has no id");
        key += sizeof(id) - 1;
        produce(client, topic, RD_KAFKA_PARTITION_UA, line, length, key, strspn(key, "0123456789"));
        if (n % POLL_EACH == 0)
            rd_kafka_poll(client, 0);
    }
    if (ferror(file))
        die(path, "cannot be read");
    fclose(file);
}

/* ---- rate ---- */

static int partitions_of(rd_kafka_t *client, rd_kafka_topic_t *topic)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, topic, &metadata, WAIT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        die(rd_kafka_topic_name(topic), rd_kafka_err2str(code));
    int n = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    if (n < 1 || n > PARTITIONS_MAX)
        die(rd_kafka_topic_name(topic), "no such topic, or too many partitions");
    return n;
}

static int64_t now_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static size_t print_event(char event[EVENT_BYTES_MAX], long id, int64_t time_us)
{
    time_t second = (time_t)(time_us / 1000000);
    struct tm utc;
    char text[32];
    gmtime_r(&second, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    return (size_t)snprintf(
        event, EVENT_BYTES_MAX,
        "{\"id\":%ld,\"user\":\"u%07ld\",\"ts\":\"%s.%06d\",\"amount\":%ld.%02ld,"
        "\"country\":\"BR\",\"kind\":\"view\",\"qty\":%ld}",
        id, id, text, (int)(time_us % 1000000), id % 1000, id % 100, id % 9 + 1);
}

static void sleep_until(int64_t due_us)
{
    const struct timespec due = {due_us / 1000000, due_us % 1000000 * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static void produce_at_rate(rd_kafka_t *client, rd_kafka_topic_t *topic, long per_second,
                            long events, const char *times_path)
{
    int partitions = partitions_of(client, topic);
    int64_t *times_us = calloc((size_t)events, sizeof(int64_t));
    FILE *file = fopen(times_path, "w");
    if (times_us == NULL || file == NULL)
        die(times_path, "no memory, or the file cannot be written");
    int64_t began_us = now_us(CLOCK_MONOTONIC);
    for (long i = 0; i < events; i++) {
        char event[EVENT_BYTES_MAX];
        char key[24];
        sleep_until(began_us + i * INT64_C(1000000) / per_second);
        times_us[i] = now_us(CLOCK_REALTIME);
        size_t length = print_event(event, i, times_us[i]);
        int key_length = snprintf(key, sizeof(key), "%ld", i);
        produce(client, topic, (int32_t)(i % partitions), event, length, key, (size_t)key_length);
        rd_kafka_poll(client, 0);
    }
    double took_s = (double)(now_us(CLOCK_MONOTONIC) - began_us) / 1e6;
    printf("{\"events\": %ld, \"took_s\": %.3f}\n", events, took_s);
    for (long i = 0; i < events; i++)
        fprintf(file, "%" PRId64 "\n", times_us[i]);
    if (fclose(file) != 0)
        die(times_path, "cannot be written");
    free(times_us);
}

/* ---- main ---- */

int main(int n, char **arguments)
{
    const char *verb = n > 4 ? arguments[3] : "";
    bool at_rate = strcmp(verb, "rate") == 0 && n == 7;
    if (!at_rate && strcmp(verb, "lines") != 0 && strcmp(verb, "create") != 0)
        die("usage",
            "BROKERS TOPIC create PARTITIONS | lines FILE... | rate PER_SECOND EVENTS TIMES");
    rd_kafka_t *client = open_client(arguments[1], at_rate ? "0" : "50");
    if (strcmp(verb, "create") == 0) {
        create(client, arguments[2], atoi(arguments[4]));
    } else {
        rd_kafka_topic_t *topic = rd_kafka_topic_new(client, arguments[2], NULL);
        if (at_rate)
            produce_at_rate(client, topic, atol(arguments[4]), atol(arguments[5]), arguments[6]);
        for (int i = 4; !at_rate && i < n; i++)
            produce_file(client, topic, arguments[i]);
        if (rd_kafka_flush(client, WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
            die(arguments[2], "not everything was delivered in time");
        rd_kafka_topic_destroy(topic);
    }
    rd_kafka_destroy(client);
    return n_failed == 0 ? 0 : 1;
}
