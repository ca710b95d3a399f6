/* kafka_writer_testing.h - for tests of the writer `kafka`: librdkafka's mock cluster, or a real
 * one, with a topic of one partition, and all the messages that it has. */
#ifndef FRESHET_WRITERS_KAFKA_KAFKA_WRITER_TESTING_H
#define FRESHET_WRITERS_KAFKA_KAFKA_WRITER_TESTING_H

#define _GNU_SOURCE
#include <dirent.h>
#include <librdkafka/rdkafka.h>
#include <unistd.h>

#include <librdkafka/rdkafka_mock.h>

#include "base/patience_testing.h"
#include "writers/kafka/kafka_writer.h"
#include "writers/writer_conformance_testing.h"

#define KAFKA_TEST_WAIT_S 60

typedef struct kafka_place {
    rd_kafka_t *client; /* has the cluster */
    rd_kafka_mock_cluster_t *cluster;
    const char *brokers;
    char topic[64];
    char folder[64];
    char declared[512];
} kafka_place;

static inline void kafka_place_make_folder(kafka_place *place)
{
    snprintf(place->folder, sizeof place->folder, "%s/freshet-kafka-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(place->folder));
}

static inline void *kafka_place_make(void)
{
    kafka_place *place = calloc(1, sizeof *place);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char said[200];
    assert_non_null(place);
    rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    place->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, said, sizeof said);
    assert_non_null(place->client);
    place->cluster = rd_kafka_handle_mock_cluster(place->client);
    assert_int_equal(rd_kafka_mock_topic_create(place->cluster, "rows", 1, 1), 0);
    place->brokers = rd_kafka_mock_cluster_bootstraps(place->cluster);
    snprintf(place->topic, sizeof place->topic, "rows");
    kafka_place_make_folder(place);
    return place;
}

/* A topic of its own on the brokers that the test has. */
static inline void *kafka_place_make_real(void)
{
    static unsigned n;
    kafka_place *place = calloc(1, sizeof *place);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char said[200];
    assert_non_null(place);
    place->brokers = getenv("KAFKA_BROKERS");
    if (place->brokers == NULL)
        fail_msg("KAFKA_BROKERS is not set: run this test by ctest");
    snprintf(place->topic, sizeof place->topic, "writer-%ld-%u", (long)getpid(), ++n);
    rd_kafka_conf_set(conf, "bootstrap.servers", place->brokers, NULL, 0);
    place->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, said, sizeof said);
    assert_non_null(place->client);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(place->topic, 1, 1, said, sizeof said);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(place->client);
    rd_kafka_CreateTopics(place->client, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, KAFKA_TEST_WAIT_S * 1000);
    assert_non_null(event);
    assert_int_equal(rd_kafka_event_error(event), 0);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    kafka_place_make_folder(place);
    return place;
}

static inline uint32_t kafka_place_files(const kafka_place *place, bool removes)
{
    uint32_t n = 0;
    char path[512];
    DIR *folder = opendir(place->folder);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.') {
            n++;
            snprintf(path, sizeof path, "%s/%s", place->folder, entry->d_name);
            if (removes)
                unlink(path);
        }
    closedir(folder);
    return n;
}

static inline void kafka_place_free(void *self)
{
    kafka_place *place = self;
    os_restore();
    rd_kafka_destroy(place->client);
    kafka_place_files(place, true);
    rmdir(place->folder);
    free(place);
}

static inline const char *kafka_place_declare(kafka_place *place, const char *more)
{
    snprintf(place->declared, sizeof place->declared,
             "kafka: {topic: %s, transactional_id: of-%s, brokers: \"%s\", spool: \"%s\"%s}",
             place->topic, place->topic, place->brokers, place->folder, more);
    return place->declared;
}

typedef void kafka_seen_fn(void *context, const rd_kafka_message_t *message);

static inline rd_kafka_t *kafka_place_consumer(const kafka_place *place, const char *isolation)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char said[200];
    rd_kafka_conf_set(conf, "bootstrap.servers", place->brokers, NULL, 0);
    rd_kafka_conf_set(conf, "group.id", "test", NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", NULL, 0);
    rd_kafka_conf_set(conf, "isolation.level", isolation, NULL, 0);
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", NULL, 0);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, said, sizeof said);
    assert_non_null(client);
    return client;
}

/* The partition's end, with what is in transactions that have not ended everywhere. */
static inline int64_t kafka_place_end(const kafka_place *place)
{
    int64_t low = 0, high = 0;
    rd_kafka_t *client = kafka_place_consumer(place, "read_uncommitted");
    assert_int_equal(rd_kafka_query_watermark_offsets(client, place->topic, 0, &low, &high, 20000),
                     0);
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return high;
}

typedef void kafka_seen_fn(void *context, const rd_kafka_message_t *message);

/* Each committed message of the partition, from the first to what was the end when it was called. A
 * commit is told before the partitions have it: so it is waited for. */
static inline void kafka_place_read(const kafka_place *place, kafka_seen_fn *seen, void *context)
{
    const patience wait = patience_of(KAFKA_TEST_WAIT_S);
    const int64_t end = kafka_place_end(place);
    rd_kafka_t *client = kafka_place_consumer(place, "read_committed");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, place->topic, 0)->offset = 0;
    assert_int_equal(rd_kafka_assign(client, list), 0);
    for (int64_t at = 0; at < end;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, 1000);
        if (!patience_lasts(&wait))
            fail_msg("the messages could not be read");
        if (message == NULL)
            continue;
        if (message->err == 0)
            seen(context, message);
        if (message->err == 0 || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            at = message->offset + (message->err == 0);
        rd_kafka_message_destroy(message);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static inline kafka_place *kafka_place_of(const trial *trial)
{
    return trial->self;
}

/* The files that the trial has listed, to the topic. */
static inline freshet_code kafka_publish_once(trial *trial)
{
    return kafka_once_writer_ops.publish(trial->writer, &trial->listed, &trial->err);
}

/* Messages of the conformance tests. */
static inline void kafka_see_row(void *context, const rd_kafka_message_t *message)
{
    seen_rows *out = context;
    unsigned id = IDS;
    double x;
    char text[256];
    assert_in_range(message->len, 1, sizeof text - 1);
    snprintf(text, sizeof text, "%.*s", (int)message->len, (const char *)message->payload);
    assert_int_equal(
        sscanf(text, "{\"id\":%u,\"timestamp\":\"1970-01-01T%*[0-9:.]Z\",\"x\":%lf}", &id, &x), 2);
    assert_in_range(id, 0, IDS - 1);
    snprintf(text, sizeof text, "%u", id);
    assert_int_equal(message->key_len, strlen(text));
    assert_memory_equal(message->key, text, message->key_len);
    out->times[id]++;
    out->x[id] = x;
}

static inline void kafka_place_read_rows(void *self, freshet_writer *writer, seen_rows *out)
{
    (void)writer;
    kafka_place_read(self, kafka_see_row, out);
}

#endif
