/* kafka_producer.h - librdkafka's producer for one topic, with transactions or without.
 *
 * With a transactional id, each transaction commits its messages together with a marker: an offset
 * of a group of our own whose number says up to which checkpoint the messages are there, and whose
 * metadata say of which state and by which run. Messages and marker are there both or neither.
 *
 *     NEW ──► KNOWN ──► FENCED_OFF ──► READY ──► OPEN ──► READY
 *          the topic  init_transactions: what   the marker   begin, send*, commit
 *          is there   a run before had open     is read
 *                     is aborted, and it may
 *                     write no more
 *
 * What fails and may pass goes back: to READY by an abort, or to NEW with another client. So the
 * caller begins anew with what the marker lacks.
 *
 * Order of calls: open, then ready before anything else, each time. Calls that take `until_us` (of
 * the monotonic clock) wait no longer than that, and a few seconds at most where the run is to
 * stop; they then give FRESHET_RETRY, `trouble` says why, and the same call goes on. Every other
 * error ends the run. One thread.
 */
#ifndef FRESHET_WRITERS_KAFKA_KAFKA_PRODUCER_H
#define FRESHET_WRITERS_KAFKA_KAFKA_PRODUCER_H

#include "kafka/kafka_setup.h"
#include "writers/writer.h"

#define KAFKA_LOG_TEXT_MAX 400

typedef struct producer_options {
    const freshet_writer *writer; /* asked whether the run is to stop; its name is for the log */
    const char *at;               /* the writer's place in the declaration */
    const char *brokers, *topic;
    const declared_properties *properties;
    const char *transactional_id; /* NULL: without transactions */
    const char *group;            /* of the marker */
    int64_t max_message_bytes, memory;
    bool is_batch;
} producer_options;

/* Reads the character `before` and `width` digits behind it, to the base of 10 or 16, and moves *at
 * behind them; false where something else stands there. */
bool kafka_take_number(const char **at, char before, int base, unsigned width, uint64_t *out);

typedef struct producer_marker {
    bool is_there;
    uint64_t state_id, run_id;
    uint64_t number;
} producer_marker;

typedef enum producer_stage {
    PRODUCER_NEW,
    PRODUCER_KNOWN,
    PRODUCER_FENCED_OFF,
    PRODUCER_READY,
    PRODUCER_OPEN,
    PRODUCER_ABORTING
} producer_stage;

typedef struct producer {
    producer_options options;
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *main_queue;
    producer_stage stage;
    producer_marker marker; /* as the brokers have it */
    bool has_been_ready;
    rd_kafka_topic_partition_list_t *ends; /* NULL: they were not noted */
    bool has_written;                      /* so it was allowed to */
    int64_t opened_us;
    int64_t stopping_us;      /* when it was first seen that the run is to stop; 0: it is not */
    int64_t unknown_since_us; /* the topic is missing; 0: it is not */
    int64_t n_delivered;
    int64_t n_failed; /* messages that will not be delivered */
    rd_kafka_resp_err_t failure;
    rd_kafka_resp_err_t fatal; /* what the brokers refused of the connection */
    int64_t fatal_since_us;
    bool is_marked; /* the marker is in the open transaction */
    bool is_ending; /* its commit was asked for: nothing but that can be done with it */
    int event_fd;   /* readable when deliveries were told, or trouble is over */
    char last_error[KAFKA_LOG_TEXT_MAX];
    int64_t troubled_since_us;
    char trouble[700]; /* "": none */
} producer;

/* Nothing is sent yet: no broker need be there. */
freshet_code producer_open(producer *producer, const producer_options *options, freshet_error *err);
/* Also of one that was never opened, but zeroed. Messages that wait are given up. */
void producer_close(producer *producer);

freshet_code producer_ready(producer *producer, int64_t until_us, freshet_error *err);

freshet_code producer_begin(producer *producer, freshet_error *err);
/* Waits for room among those that wait. key NULL: none. */
freshet_code producer_send(producer *producer, const char *key, size_t key_length,
                           const char *value, size_t length, int64_t until_us, freshet_error *err);
/* Waits until all are delivered; as long as some are, it does not give up. */
freshet_code producer_flush(producer *producer, int64_t patience_us, freshet_error *err);
freshet_code producer_commit(producer *producer, const producer_marker *marker, int64_t until_us,
                             freshet_error *err);

/* After a failure: what is open is taken back by the next producer_ready, unless its commit was
 * asked for. */
void producer_take_back(producer *producer);

/* Notes where the partitions end, before anything is sent; and how many committed messages came
 * since, which waits until the last transaction has reached the partitions. */
freshet_code producer_note_ends(producer *producer, freshet_error *err);
freshet_code producer_count_since(producer *producer, int64_t *n, freshet_error *err);

/* Takes what was told about deliveries; never waits. FRESHET_RETRY is not among what it gives. */
freshet_code producer_poll(producer *producer, freshet_error *err);
/* Messages that wait for their delivery. */
int producer_outstanding(const producer *producer);
void producer_wake(producer *producer);
/* Messages wait, and nobody takes them: that is `trouble`. */
void producer_tell_silence(producer *producer);
/* What it waits for in vain, for some time now; NULL: nothing. */
const char *producer_trouble(const producer *producer);
void producer_end_trouble(producer *producer);

#endif
