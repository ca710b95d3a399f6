/* kafka_writer.c - the writer `kafka` that sends at once; see kafka_writer.h.
 *
 * librdkafka's queue is what waits: when it is full, a write waits for room. A message that is told
 * to be delivered counts as written; what is not when the process is killed comes again after the
 * last checkpoint, since flush waits for all of them.
 */
#include "writers/kafka/kafka_writer.h"

#include <inttypes.h>

#include "base/error.h"
#include "base/os.h"
#include "writers/kafka/kafka_rows.h"

#define WAIT_US INT64_C(2000000)    /* for room, and for deliveries, without any progress */
#define CONNECT_US INT64_C(200000)  /* of one look whether the brokers are there */
#define LOOK_US INT64_C(1000000)    /* between looks */
#define SILENCE_US INT64_C(5000000) /* messages wait, and none is delivered: trouble */

typedef struct kafka_again {
    kafka_rows rows;
    int64_t n_counted;    /* of the deliveries */
    int64_t next_look_us; /* until the brokers were reached */
    int64_t silent_since_us;
} kafka_again;

static bool again_serves(const void *options)
{
    return ((const kafka_writer_options *)options)->delivery == DELIVERY_AT_LEAST_ONCE;
}

static freshet_code again_open(freshet_writer *base, const schema *schema, uint32_t n_keys,
                               freshet_error *err)
{
    (void)n_keys;
    return kafka_rows_open((kafka_rows *)base, schema, false, err);
}

static void count_deliveries(kafka_again *writer)
{
    producer *producer = &writer->rows.producer;
    const int64_t n = producer->n_delivered - writer->n_counted;

    writer_add(&writer->rows.base, WRITER_WRITTEN, n);
    writer->n_counted = producer->n_delivered;
    if (n > 0 || producer_outstanding(producer) == 0) {
        writer->silent_since_us = 0;
        if (producer->has_been_ready)
            producer_end_trouble(producer);
    } else if (writer->silent_since_us == 0) {
        writer->silent_since_us = os.monotonic_us();
    }
}

static freshet_code send_message(kafka_rows *rows, freshet_error *err)
{
    return producer_send(&rows->producer, kafka_rows_key(rows), rows->key.length, rows->value.bytes,
                         rows->value.length, os.monotonic_us() + WAIT_US, err);
}

static freshet_code again_write(freshet_writer *base, const batch *rows, freshet_error *err)
{
    kafka_again *writer = (kafka_again *)base;
    producer *producer = &writer->rows.producer;
    freshet_code code = producer_ready(producer, os.monotonic_us() + WAIT_US, err);

    if (code == FRESHET_OK)
        code = kafka_rows_ready(&writer->rows, err);
    if (code == FRESHET_OK)
        code = kafka_rows_write(&writer->rows, rows, send_message, err);
    if (code == FRESHET_OK)
        code = producer_poll(producer, err);
    count_deliveries(writer);
    return code;
}

static freshet_code again_flush(freshet_writer *base, freshet_error *err)
{
    kafka_again *writer = (kafka_again *)base;
    freshet_code code = producer_flush(&writer->rows.producer, WAIT_US, err);

    count_deliveries(writer);
    return code;
}

/* A stream that has nothing to write yet looks whether it could. */
static freshet_code look_for_brokers(kafka_again *writer, freshet_error *err)
{
    producer *producer = &writer->rows.producer;
    const int64_t now_us = os.monotonic_us();
    freshet_error problem = {0};

    if (producer->has_been_ready || now_us < writer->next_look_us)
        return FRESHET_OK;
    freshet_code code = producer_ready(producer, now_us + CONNECT_US, &problem);
    writer->next_look_us = os.monotonic_us() + LOOK_US;
    if (code == FRESHET_OK || problem.then == FRESHET_RETRY)
        return FRESHET_OK;
    if (err != NULL)
        *err = problem;
    return code;
}

static freshet_code again_progress(freshet_writer *base, freshet_error *err)
{
    kafka_again *writer = (kafka_again *)base;
    producer *producer = &writer->rows.producer;
    freshet_code code = look_for_brokers(writer, err);

    if (code == FRESHET_OK)
        code = producer_poll(producer, err);
    count_deliveries(writer);
    if (writer->silent_since_us != 0 && os.monotonic_us() - writer->silent_since_us > SILENCE_US)
        producer_tell_silence(producer);
    return code;
}

static int64_t again_wake_us(const freshet_writer *base)
{
    const kafka_again *writer = (const kafka_again *)base;

    return writer->rows.producer.has_been_ready ? INT64_MAX : writer->next_look_us;
}

static void again_close(freshet_writer *base)
{
    kafka_rows_close((kafka_rows *)base);
}

const writer_ops kafka_again_writer_ops = {
    .name = "at_least_once",
    .block = &kafka_writer_block,
    .serves = again_serves,
    .size = sizeof(kafka_again),
    .keeps = KEEPS_ALL_AGAIN,
    .counts_rows = true,
    .takes = ROW_NEW,
    .takes_with = kafka_writer_takes,
    .any_columns = true,
    .check = kafka_writer_check,
    .open = again_open,
    .write = again_write,
    .flush = again_flush,
    .validate = kafka_rows_validate,
    .progress = again_progress,
    .wake_fd = kafka_rows_wake_fd,
    .wake_us = again_wake_us,
    .trouble = kafka_rows_trouble,
    .close = again_close,
};
