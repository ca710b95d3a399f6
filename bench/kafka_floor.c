/* kafka_floor.c - a consumer that does nothing: the least that an event takes through the broker.
 *
 *     kafka_floor BROKERS TOPIC EVENTS TIMES
 *
 * Takes EVENTS messages of partition 0 of the topic, from its beginning, with the settings that
 * Freshet's reader has, and notes when librdkafka has handed over each: in microseconds since 1970,
 * a line each in the file TIMES. Prints READY as soon as it waits for them. What it measures is
 * producer, broker and librdkafka; what Freshet takes beyond it is Freshet's own.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SILENCE_MS 60000 /* so long without a message is an error */

static void die(const char *what, const char *why)
{
    fprintf(stderr, "kafka_floor: %s: %s\n", what, why);
    exit(1);
}

static rd_kafka_t *open_client(const char *brokers)
{
    const char *const properties[][2] = {
        {"bootstrap.servers", brokers},        {"group.id", "kafka_floor"},
        {"enable.auto.commit", "false"},       {"enable.auto.offset.store", "false"},
        {"isolation.level", "read_committed"}, {"socket.nagle.disable", "true"},
        {"fetch.queue.backoff.ms", "1"},
    };
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++) {
        /* the last is unknown to old versions, which need it less */
        if (rd_kafka_conf_set(conf, properties[i][0], properties[i][1], why, sizeof(why)) ==
            RD_KAFKA_CONF_INVALID)
            die(properties[i][0], why);
    }
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (client == NULL)
        die(brokers, why);
    rd_kafka_poll_set_consumer(client);
    return client;
}

static void assign(rd_kafka_t *client, const char *topic)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_resp_err_t code = rd_kafka_assign(client, list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        die(topic, rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_destroy(list);
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static void take(rd_kafka_t *client, const char *topic, int64_t *times_us, long events)
{
    for (long i = 0; i < events;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, SILENCE_MS);
        if (message == NULL)
            die(topic, "no message in a minute");
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            die(topic, rd_kafka_message_errstr(message));
        times_us[i++] = now_us();
        rd_kafka_message_destroy(message);
    }
}

int main(int n, char **arguments)
{
    const long events = n == 5 ? atol(arguments[3]) : 0;
    if (events < 1)
        die("usage", "BROKERS TOPIC EVENTS TIMES");
    int64_t *times_us = calloc((size_t)events, sizeof(int64_t));
    FILE *file = fopen(arguments[4], "w");
    if (times_us == NULL || file == NULL)
        die(arguments[4], "no memory, or the file cannot be written");
    rd_kafka_t *client = open_client(arguments[1]);
    assign(client, arguments[2]);
    printf("READY\n");
    fflush(stdout);
    take(client, arguments[2], times_us, events);
    for (long i = 0; i < events; i++)
        fprintf(file, "%" PRId64 "\n", times_us[i]);
    if (fclose(file) != 0)
        die(arguments[4], "cannot be written");
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    free(times_us);
    return 0;
}
