/* kafka_testing.h - for tests of the reader `kafka`: librdkafka's mock cluster, a producer, a
 * reader over it, and what it has given. */
#ifndef FRESHET_READERS_KAFKA_KAFKA_TESTING_H
#define FRESHET_READERS_KAFKA_KAFKA_TESTING_H

#include <librdkafka/rdkafka.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka_mock.h>

#include "base/patience_testing.h"
#include "readers/kafka/kafka_internal.h"

#define RIG_OWN                       \
    rd_kafka_t *producer;             \
    rd_kafka_mock_cluster_t *cluster; \
    declared_text brokers;            \
    kafka_options options;
#include "readers/reader_testing.h"

#define RIG_WAIT_S 60

static inline void rig_schema(rig *rig, format_options *of, const char *fields)
{
    of->schema.value = rig_schema_of(rig, fields);
}

/* A cluster of that many brokers with the topic "orders". */
static inline rig *rig_make(int n_brokers, int n_partitions)
{
    rig *it = rig_make_of(&kafka_reader_ops, "events");
    char said[200];
    char number[16];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    snprintf(number, sizeof number, "%d", n_brokers);
    rd_kafka_conf_set(conf, "test.mock.num.brokers", number, NULL, 0);
    rd_kafka_conf_set(conf, "linger.ms", "1", NULL, 0);
    rd_kafka_conf_set(conf, "message.max.bytes", "20000000", NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    it->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, said, sizeof said);
    assert_non_null(it->producer);
    it->cluster = rd_kafka_handle_mock_cluster(it->producer);
    assert_non_null(it->cluster);
    assert_int_equal(rd_kafka_mock_topic_create(it->cluster, "orders", n_partitions, 1), 0);
    it->with_places = true;
    it->brokers.value = rd_kafka_mock_cluster_bootstraps(it->cluster);
    it->options = (kafka_options){
        .topic.value = "orders",
        .brokers = {&it->brokers, 1},
        .start.value = "earliest",
        .memory = 8 << 20,
        .max_message_bytes = 16 << 20,
        .connect_timeout_us = patient_us(10000000),
        .discover_us = 100000,
    };
    rig_schema(it, &it->options.value, "id: bigint");
    it->mode = READ_FOLLOW;
    return it;
}

/* `value` NULL: a tombstone. */
static inline void rig_produce(rig *rig, const char *topic, int partition, const char *key,
                               const char *value)
{
    const size_t length = value == NULL ? 0 : strlen(value);
    void *bytes;
    memcpy(&bytes, &value, sizeof bytes); /* which librdkafka only reads */
    const size_t key_length = key == NULL ? 0 : strlen(key);
    rd_kafka_resp_err_t problem =
        rd_kafka_producev(rig->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(bytes, length),
                          RD_KAFKA_V_KEY(key, key_length),
                          RD_KAFKA_V_TIMESTAMP(INT64_C(1700000000123)), RD_KAFKA_V_END);

    assert_int_equal(problem, RD_KAFKA_RESP_ERR_NO_ERROR);
}

static inline void rig_flush(rig *rig)
{
    assert_int_equal(rd_kafka_flush(rig->producer, 20000), RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* Messages {"id": first} ... in one partition. */
static inline void rig_produce_ids(rig *rig, int partition, int first, int n)
{
    char value[64];

    for (int i = first; i < first + n; i++) {
        snprintf(value, sizeof value, "{\"id\": %d}", i);
        rig_produce(rig, "orders", partition, "k", value);
        if (i % 1000 == 999)
            rd_kafka_poll(rig->producer, 0);
    }
    rig_flush(rig);
}

static inline void rig_free(rig *rig)
{
    rig_close(rig);
    os_restore();
    rd_kafka_destroy(rig->producer);
    rig_free_of(rig);
}

/* Polls until an error or the end, or so many rows and rejects are there, or until `done`. */
static inline freshet_code rig_poll_until(rig *rig, uint32_t n, bool (*done)(const struct rig *))
{
    const patience wait = patience_of(RIG_WAIT_S);
    freshet_code code = FRESHET_OK;

    while (code == FRESHET_OK && rig->n_rows + rig->n_rejects < n && (done == NULL || !done(rig)) &&
           patience_lasts(&wait)) {
        code = rig_poll(rig, 100000, SIZE_MAX);
        if (code == FRESHET_OK && !rig->more)
            rig_wait(rig);
    }
    return code;
}

/* The same where no error is wanted. */
static inline void rig_read(rig *rig, uint32_t n)
{
    freshet_code code = rig_poll_until(rig, n, NULL);

    if (code != FRESHET_OK && code != FRESHET_END)
        fail_msg("%s: %s", rig->err.at, rig->err.text);
    assert_int_equal(rig->n_rows + rig->n_rejects, n);
}

/* To the end, in the mode READ_ALL. */
static inline void rig_read_all(rig *rig)
{
    if (rig_poll_until(rig, UINT32_MAX, NULL) != FRESHET_END)
        fail_msg("%s: %s", rig->err.at, rig->err.text);
}

/* A clock that can be put forward. */
static int64_t rig_ahead_us;

static inline int64_t rig_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 + rig_ahead_us;
}

#endif
