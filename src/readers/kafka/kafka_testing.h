/* kafka_testing.h - for tests of the reader `kafka`: librdkafka's mock cluster, a producer, a reader over it, and
 * what it has given. */
#ifndef FRESHET_READERS_KAFKA_KAFKA_TESTING_H
#define FRESHET_READERS_KAFKA_KAFKA_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>

#include <librdkafka/rdkafka_mock.h>

#include "base/log.h"
#include "base/os.h"
#include "base/text.h"
#include "readers/kafka/kafka_internal.h"

#define RIG_WAIT_US INT64_C(20000000)

typedef struct rig {
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *cluster;
    declaration declaration;
    reader_block block;
    kafka_options options;
    reader_mode mode;
    arena *arena;
    arena *step;
    arena *kept; /* positions live here between a close and an open */
    freshet_reader *reader;
    const bool *used;
    reader_positions positions;
    text_buffer rows;    /* "orders/0@7 {...}", a line each */
    text_buffer reasons; /* of rejects: "orders/0@7 reason", a line each */
    freshet_error err;
    uint32_t n_rows, n_rejects;
    bool more, ended;
} rig;

static inline void rig_schema(rig *rig, format_options *of, const char *fields)
{
    const char *text = arena_format(rig->arena, "struct<%s>", fields);
    const type *type = type_parse(rig->arena, text);

    assert_non_null(type);
    of->schema.value = (schema){.n_fields = type->n_fields, .fields = type->fields};
}

/* A cluster of that many brokers with the topic "orders". */
static inline rig *rig_make(int n_brokers, int n_partitions)
{
    rig *it = calloc(1, sizeof *it);
    char said[200];
    char number[16];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    assert_non_null(it);
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
    it->arena = arena_open();
    it->step = arena_open();
    it->kept = arena_open();
    it->declaration.folder = ".";
    it->declaration.pipeline.value = "p";
    it->block.id.value = "events";
    it->options = (kafka_options){
        .topic.value = "orders",
        .brokers.value = rd_kafka_mock_cluster_bootstraps(it->cluster),
        .start.value = "earliest",
        .memory = 8 << 20,
        .max_message_bytes = 16 << 20,
        .connect_timeout_us = 10000000,
        .discover_us = 100000,
    };
    rig_schema(it, &it->options.value, "id: bigint");
    text_init(&it->rows, TEXT_LIMIT_DEFAULT);
    text_init(&it->reasons, TEXT_LIMIT_DEFAULT);
    it->mode = READ_FOLLOW;
    log_configure(LOG_ERROR, LOG_TEXT);
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

static inline freshet_code rig_try_open(rig *rig)
{
    rig->reader = calloc(1, kafka_reader_ops.size);
    assert_non_null(rig->reader);
    *rig->reader = (freshet_reader){.ops = &kafka_reader_ops,
                                    .declaration = &rig->declaration,
                                    .block = &rig->block,
                                    .options = &rig->options,
                                    .mode = rig->mode,
                                    .arena = rig->arena,
                                    .used = rig->used};
    rig->ended = false;
    freshet_code code = rig->reader->ops->describe(rig->reader, &rig->err);
    if (code == FRESHET_OK)
        code = rig->reader->ops->open(rig->reader, &rig->positions, &rig->err);
    return code;
}

static inline void rig_open(rig *rig)
{
    if (rig_try_open(rig) != FRESHET_OK)
        fail_msg("%s: %s", rig->err.at, rig->err.text);
}

static inline void rig_close(rig *rig)
{
    if (rig->reader == NULL)
        return;
    rig->reader->ops->close(rig->reader);
    free(rig->reader);
    rig->reader = NULL;
}

static inline void rig_keep_positions(rig *rig)
{
    arena_reset(rig->kept);
    assert_int_equal(
        rig->reader->ops->positions(rig->reader, rig->kept, true, &rig->positions, NULL),
        FRESHET_OK);
}

static inline void rig_reopen(rig *rig)
{
    rig_keep_positions(rig);
    rig_close(rig);
    rig_open(rig);
}

static inline void rig_forget(rig *rig)
{
    text_reset(&rig->rows);
    text_reset(&rig->reasons);
    rig->n_rows = rig->n_rejects = 0;
}

static inline void rig_free(rig *rig)
{
    rig_close(rig);
    os_restore();
    rd_kafka_destroy(rig->producer);
    arena_close(rig->arena);
    arena_close(rig->step);
    arena_close(rig->kept);
    text_release(&rig->rows);
    text_release(&rig->reasons);
    free(rig);
}

/* One poll; rows and reasons are taken down behind it, so a message let go too early is found. */
static inline freshet_code rig_poll(rig *rig, uint32_t max_rows, size_t max_bytes)
{
    batch batch;
    rejects bad = {.arena = rig->step};
    const reader_ops *ops = rig->reader->ops;

    arena_reset(rig->step);
    assert_int_equal(batch_init(&batch, rig->step, &rig->reader->schema, 4, NULL), FRESHET_OK);
    freshet_code code =
        ops->poll(rig->reader, &batch, max_rows, max_bytes, &bad, &rig->more, &rig->err);
    assert_true(batch.n_rows + bad.n <= max_rows);
    for (uint32_t i = 0; i < batch.n_rows; i++) {
        const origin *origin = &batch.origins[i];
        text_format(&rig->rows, "%s@%lld ", ops->partition_label(rig->reader, origin->partition),
                    (long long)origin->offset);
        batch_row_to_json(&batch, i, &rig->rows, NULL);
        text_append_char(&rig->rows, '\n');
    }
    for (uint32_t i = 0; i < bad.n; i++)
        text_format(&rig->reasons, "%s@%lld %s\n", bad.items[i].partition,
                    (long long)bad.items[i].offset, bad.items[i].reason);
    rig->n_rows += batch.n_rows;
    rig->n_rejects += bad.n;
    rig->ended = code == FRESHET_END;
    return code;
}

static inline void rig_wait(rig *rig)
{
    struct pollfd fd = {.fd = rig->reader->ops->wake_fd(rig->reader), .events = POLLIN};

    poll(&fd, fd.fd >= 0 ? 1 : 0, 20);
}

/* Polls until an error or the end, or so many rows and rejects are there, or until `done`. */
static inline freshet_code rig_poll_until(rig *rig, uint32_t n, bool (*done)(const struct rig *))
{
    const int64_t until_us = os.monotonic_us() + RIG_WAIT_US;
    freshet_code code = FRESHET_OK;

    while (code == FRESHET_OK && rig->n_rows + rig->n_rejects < n && (done == NULL || !done(rig)) &&
           os.monotonic_us() < until_us) {
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

#define rig_expect(rig, text) \
    assert_string_equal((rig)->rows.length == 0 ? "" : (rig)->rows.bytes, text)
#define rig_expect_reasons(rig, text) \
    assert_string_equal((rig)->reasons.length == 0 ? "" : (rig)->reasons.bytes, text)

/* A clock that can be put forward. */
static int64_t rig_ahead_us;

static inline int64_t rig_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 + rig_ahead_us;
}

#endif
