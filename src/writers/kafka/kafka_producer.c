/* kafka_producer.c - see kafka_producer.h. */
#define _GNU_SOURCE
#include "writers/kafka/kafka_producer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"

#define MESSAGE_OVERHEAD 512 /* librdkafka counts what stands around a message, too */
#define SLICE_MS 100         /* of waiting, between looks whether to stop */
#define STOP_US INT64_C(3000000)
#define TOPIC_GRACE_US INT64_C(5000000) /* a topic just made is not known at once */
#define LOGIN_GRACE_US INT64_C(5000000) /* nor is a user, to a broker that begins */
#define TROUBLE_US INT64_C(1500000)     /* a connection takes a moment, too */
#define BATCH_TIMEOUT_MS "900000"       /* the most that brokers allow unless told otherwise */
#define REQUEST_MS 59000                /* for the answer to a request, of transactions */
#define READ_WAIT_MS 10000
#define LEAVE_MS 500 /* for taking back what is open at the end */
#define MARKER_WORD "freshet"
#define MARKER_METADATA MARKER_WORD " %016" PRIx64 " %016" PRIx64

static const char *producer_id(const producer *producer)
{
    return producer->options.writer->name == NULL ? "kafka" : producer->options.writer->name;
}

static bool producer_is_stopping(const producer *producer)
{
    const freshet_writer *writer = producer->options.writer;
    return writer->is_stopping != NULL && writer->is_stopping(writer->context);
}

/* How long a call may wait now, in milliseconds. */
static int slice_ms(int64_t until_us)
{
    const int64_t left_us = until_us - os.monotonic_us();
    return left_us <= 1000                       ? 1
           : left_us >= SLICE_MS * INT64_C(1000) ? SLICE_MS
                                                 : (int)(left_us / 1000);
}

/* A run that is to stop waits a moment, too: brokers that are there answer within it. */
static bool may_wait(producer *producer, int64_t until_us)
{
    const int64_t now_us = os.monotonic_us();

    if (!producer_is_stopping(producer))
        return now_us < until_us;
    if (producer->stopping_us == 0)
        producer->stopping_us = now_us;
    return now_us < until_us && now_us - producer->stopping_us < STOP_US;
}

/* ---- what librdkafka tells ----------------------------------------------------------------- */

static void producer_on_error(rd_kafka_t *client, int number, const char *reason, void *opaque)
{
    producer *producer = opaque;
    const rd_kafka_resp_err_t problem = (rd_kafka_resp_err_t)number;

    (void)client;
    log_event(PRODUCER_PROBLEM, producer_id(producer), reason, rd_kafka_err2name(problem));
    if (problem == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || problem == RD_KAFKA_RESP_ERR__FATAL)
        return;
    snprintf(producer->last_error, sizeof producer->last_error, "%s", reason);
    if ((problem != RD_KAFKA_RESP_ERR__AUTHENTICATION && problem != RD_KAFKA_RESP_ERR__SSL) ||
        kafka_was_cut_off(reason))
        return;
    if (producer->fatal == RD_KAFKA_RESP_ERR_NO_ERROR)
        producer->fatal_since_us = os.monotonic_us();
    producer->fatal = problem;
}

/* In librdkafka's threads. */
static void producer_on_log(const rd_kafka_t *client, int level, const char *facility,
                            const char *text)
{
    const producer *producer = rd_kafka_opaque(client);

    (void)level;
    log_event(PRODUCER_SAYS, producer_id(producer), facility, text);
}

static void producer_on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message,
                                 void *opaque)
{
    producer *producer = opaque;

    (void)client;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        producer->n_delivered++;
        producer->has_written |= producer->options.transactional_id == NULL;
        return;
    }
    producer->n_failed++;
    if (message->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE &&
        message->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
        producer->failure = message->err;
}

/* ---- what is to be made of an error --------------------------------------------------------- */

static freshet_code producer_retry(producer *producer, const char *doing, const char *why,
                                   freshet_error *err)
{
    const bool has_reason = why != NULL && why[0] != '\0';

    if (producer->trouble[0] == '\0')
        producer->troubled_since_us = os.monotonic_us();
    if (!has_reason)
        snprintf(producer->trouble, sizeof producer->trouble,
                 "no broker of \"%.150s\" answers%s%.350s", producer->options.brokers,
                 producer->last_error[0] == '\0' ? "" : ": ", producer->last_error);
    else
        snprintf(producer->trouble, sizeof producer->trouble,
                 "the topic \"%.249s\" cannot be written: %s: %.300s", producer->options.topic,
                 doing, why);
    return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, producer->options.at, "%s",
                     producer->trouble);
}

static bool is_denial(rd_kafka_resp_err_t problem)
{
    return problem == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           problem == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED ||
           problem == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
           problem == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

static freshet_code refuse_denial(const producer *producer, rd_kafka_resp_err_t problem,
                                  freshet_error *err)
{
    const producer_options *options = &producer->options;

    if (options->transactional_id == NULL)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, options->at,
                         "the brokers do not allow this user to write the topic \"%s\" (%s): grant "
                         "WRITE and DESCRIBE on it (and IDEMPOTENT_WRITE on the cluster before "
                         "Kafka 2.8)",
                         options->topic, rd_kafka_err2str(problem));
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, options->at,
                     "the brokers do not allow this user to write the topic \"%s\" exactly once "
                     "(%s): grant WRITE, READ and DESCRIBE on the topic, WRITE and DESCRIBE on the "
                     "transactional id \"%s\" and READ on the group \"%s\"; or say `delivery: "
                     "at_least_once`, which needs WRITE and DESCRIBE on the topic only",
                     options->topic, rd_kafka_err2str(problem), options->transactional_id,
                     options->group);
}

/* For good, whatever is tried again; FRESHET_OK: it is none of these. */
static freshet_code refuse_for_good(const producer *producer, rd_kafka_resp_err_t problem,
                                    freshet_error *err)
{
    const producer_options *options = &producer->options;

    if (is_denial(problem) && (!producer->has_written || options->is_batch))
        return refuse_denial(producer, problem, err);
    if (problem == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
        problem == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, options->at,
                         "the brokers refuse a message of the topic \"%s\" as too large, though it "
                         "is within `max_message_bytes` (%" PRId64 "): raise the topic's "
                         "max.message.bytes, or declare what it is: larger rows are then dead "
                         "letters",
                         options->topic, options->max_message_bytes);
    if (problem == RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, options->at,
                         "the brokers allow no transaction of this length: say under `options` "
                         "transaction.timeout.ms with what their transaction.max.timeout.ms is, or "
                         "raise that");
    if (problem == RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION ||
        problem == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, options->at,
                         "the brokers of \"%s\" know no transactions (%s): they need Kafka 0.11 or "
                         "later; or say `delivery: at_least_once`",
                         options->brokers, rd_kafka_err2str(problem));
    if (problem == RD_KAFKA_RESP_ERR_INVALID_RECORD ||
        problem == RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS ||
        problem == RD_KAFKA_RESP_ERR_POLICY_VIOLATION)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, options->at,
                         "the brokers refuse a message of the topic \"%s\": %s; a compacted topic "
                         "takes messages with a key only",
                         options->topic, rd_kafka_err2str(problem));
    return FRESHET_OK;
}

static void drop_client(producer *producer);

/* After an error of librdkafka, which is released: where it goes on, and what is said. */
static freshet_code transaction_failed(producer *producer, rd_kafka_error_t *error,
                                       const char *doing, freshet_error *err)
{
    char why[300];
    const rd_kafka_resp_err_t problem = rd_kafka_error_code(error);
    const bool is_fatal = rd_kafka_error_is_fatal(error) != 0;
    const bool is_abortable = rd_kafka_error_txn_requires_abort(error) != 0;
    const bool is_silence =
        problem == RD_KAFKA_RESP_ERR__TIMED_OUT || problem == RD_KAFKA_RESP_ERR__TRANSPORT;

    snprintf(why, sizeof why, "%s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    const rd_kafka_resp_err_t told =
        producer->failure == RD_KAFKA_RESP_ERR_NO_ERROR ? problem : producer->failure;
    freshet_code code = refuse_for_good(producer, told, err);
    if (code == FRESHET_OK)
        code = refuse_for_good(producer, problem, err);
    if (code != FRESHET_OK)
        return code;
    if (is_fatal)
        drop_client(producer);
    else if (is_abortable)
        producer->stage = PRODUCER_ABORTING;
    return producer_retry(producer, doing, is_silence ? NULL : why, err);
}

/* ---- the client ---------------------------------------------------------------------------- */

static freshet_code set_common(const producer *producer, rd_kafka_conf_t *conf, freshet_error *err)
{
    static const struct {
        const char *name, *value;
    } standard[] = {
        {"client.id", "freshet"},
        {"socket.nagle.disable", "true"},
        {"socket.keepalive.enable", "true"},
        {"reconnect.backoff.max.ms", "5000"},
        {"log_level", "4"},
    };
    freshet_code code = FRESHET_OK;

    for (size_t i = 0; code == FRESHET_OK && i < sizeof standard / sizeof standard[0]; i++)
        code = kafka_set(conf, standard[i].name, standard[i].value, producer->options.at, err);
    return code;
}

static freshet_code set_own(const producer *producer, rd_kafka_conf_t *conf, freshet_error *err)
{
    const producer_options *options = &producer->options;
    const bool once = options->transactional_id != NULL;
    const int64_t kbytes = options->memory / 1024;
    char bytes[24], memory[24];
    const struct {
        const char *name, *value;
    } own[] = {
        {"bootstrap.servers", options->brokers},
        {"enable.idempotence", "true"},
        {"message.max.bytes", bytes},
        {"queue.buffering.max.kbytes", memory},
        {"queue.buffering.max.messages", "10000000"},
        {once ? "transactional.id" : "message.timeout.ms", once ? options->transactional_id : "0"},
    };
    freshet_code code = FRESHET_OK;

    snprintf(bytes, sizeof bytes, "%" PRId64, options->max_message_bytes + MESSAGE_OVERHEAD);
    snprintf(memory, sizeof memory, "%" PRId64, kbytes < 1 ? 1 : kbytes);
    for (size_t i = 0; code == FRESHET_OK && i < sizeof own / sizeof own[0]; i++)
        code = kafka_set(conf, own[i].name, own[i].value, options->at, err);
    return code;
}

/* librdkafka waits for the answers of a transaction's coordinator as long as for any request,
 * whatever time its calls are given, and for requests nearly as long as a transaction may last:
 * one that is silent would hold a batch, and its end, for 15 minutes. */
static freshet_code bound_requests(const producer *producer, rd_kafka_conf_t *conf,
                                   freshet_error *err)
{
    const declared_properties *declared = producer->options.properties;
    char text[24];
    size_t size = sizeof text;

    for (uint32_t i = 0; i < declared->n; i++)
        if (strcmp(declared->items[i].name, "socket.timeout.ms") == 0)
            return FRESHET_OK;
    if (rd_kafka_conf_get(conf, "transaction.timeout.ms", text, &size) == RD_KAFKA_CONF_OK &&
        strtol(text, NULL, 10) < REQUEST_MS)
        return FRESHET_OK; /* librdkafka takes a little less than that */
    snprintf(text, sizeof text, "%d", REQUEST_MS);
    return kafka_set(conf, "socket.timeout.ms", text, producer->options.at, err);
}

static freshet_code configure_producer(const producer *producer, rd_kafka_conf_t *conf,
                                       freshet_error *err)
{
    const producer_options *options = &producer->options;
    freshet_code code = set_common(producer, conf, err);

    if (code == FRESHET_OK)
        code = kafka_set(conf, "linger.ms", "5", options->at, err);
    if (code == FRESHET_OK) /* the same partition for a key as Java's clients choose */
        code = kafka_set(conf, "partitioner", "murmur2_random", options->at, err);
    if (code == FRESHET_OK && options->is_batch && options->transactional_id != NULL)
        code = kafka_set(conf, "transaction.timeout.ms", BATCH_TIMEOUT_MS, options->at, err);
    if (code == FRESHET_OK)
        code = kafka_set_declared(conf, options->properties, options->at, err);
    if (code == FRESHET_OK && options->transactional_id != NULL)
        code = bound_requests(producer, conf, err);
    return code == FRESHET_OK ? set_own(producer, conf, err) : code;
}

static freshet_code make_client(producer *producer, freshet_error *err)
{
    static const uint64_t one = 1;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    freshet_code code = configure_producer(producer, conf, err);

    if (code != FRESHET_OK) {
        rd_kafka_conf_destroy(conf);
        return code;
    }
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_error_cb(conf, producer_on_error);
    rd_kafka_conf_set_log_cb(conf, producer_on_log);
    rd_kafka_conf_set_dr_msg_cb(conf, producer_on_delivery);
    code = kafka_make_client(RD_KAFKA_PRODUCER, conf, producer->options.at, &producer->client, err);
    if (code != FRESHET_OK)
        return code;
    producer->topic = rd_kafka_topic_new(producer->client, producer->options.topic, NULL);
    producer->main_queue = rd_kafka_queue_get_main(producer->client);
    if (producer->topic == NULL || producer->main_queue == NULL)
        return error_memory(err, "opening a topic");
    rd_kafka_queue_io_event_enable(producer->main_queue, producer->event_fd, &one, sizeof one);
    producer->stage = PRODUCER_NEW;
    producer->failure = RD_KAFKA_RESP_ERR_NO_ERROR;
    producer->n_failed = 0;
    producer->is_marked = producer->is_ending = false;
    return FRESHET_OK;
}

/* An open transaction is taken back first, so that librdkafka has nothing of it left to ask for: a
 * partition that it registers while it is destroyed fails an assertion of version 2.0.2. */
static void leave_transaction(const producer *producer)
{
    const bool is_open = producer->stage == PRODUCER_OPEN && !producer->is_ending;

    if (producer->client == NULL || (!is_open && producer->stage != PRODUCER_ABORTING))
        return;
    rd_kafka_error_t *error = rd_kafka_abort_transaction(producer->client, LEAVE_MS);
    if (error != NULL) /* it is as good: the next producer of this id takes it back */
        rd_kafka_error_destroy(error);
}

static void drop_client(producer *producer)
{
    leave_transaction(producer);
    if (producer->topic != NULL)
        rd_kafka_topic_destroy(producer->topic);
    if (producer->main_queue != NULL)
        rd_kafka_queue_destroy(producer->main_queue);
    if (producer->client != NULL) {
        rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(producer->client);
    }
    producer->topic = NULL;
    producer->main_queue = NULL;
    producer->client = NULL;
    producer->stage = PRODUCER_NEW;
}

freshet_code producer_open(producer *producer, const producer_options *options, freshet_error *err)
{
    *producer = (struct producer){.options = *options, .opened_us = os.monotonic_us()};
    producer->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (producer->event_fd < 0)
        return error_system(err, "cannot make", "an eventfd");
    freshet_code code = kafka_check_files(options->properties, err);
    return code == FRESHET_OK ? make_client(producer, err) : code;
}

void producer_close(producer *producer)
{
    if (producer->options.writer == NULL)
        return;
    drop_client(producer);
    if (producer->ends != NULL)
        rd_kafka_topic_partition_list_destroy(producer->ends);
    if (producer->event_fd >= 0)
        os.close(producer->event_fd);
    *producer = (struct producer){.event_fd = -1};
}

void producer_wake(producer *producer)
{
    const uint64_t one = 1;
    ssize_t ignored = write(producer->event_fd, &one, sizeof one);
    (void)ignored;
}

int producer_outstanding(const producer *producer)
{
    return producer->client == NULL ? 0 : rd_kafka_outq_len(producer->client);
}

/* ---- becoming ready ------------------------------------------------------------------------ */

static freshet_code refuse_login(const producer *producer, freshet_error *err)
{
    return kafka_refuse_login(producer->fatal, producer->last_error, producer->options.at, err);
}

static bool is_login_refused(const producer *producer)
{
    const bool may_pass =
        !producer->options.is_batch && producer->fatal == RD_KAFKA_RESP_ERR__AUTHENTICATION;
    return producer->fatal != RD_KAFKA_RESP_ERR_NO_ERROR && !producer->has_been_ready &&
           (!may_pass || os.monotonic_us() - producer->fatal_since_us >= LOGIN_GRACE_US);
}

/* The brokers do not have the topic, and do not make it. */
static freshet_code topic_missing(producer *producer, const char *why, freshet_error *err)
{
    const int64_t now_us = os.monotonic_us();

    if (producer->unknown_since_us == 0)
        producer->unknown_since_us = now_us;
    if (producer->has_been_ready || now_us - producer->unknown_since_us < TOPIC_GRACE_US)
        return producer_retry(producer, "asking for it", why, err);
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, producer->options.at,
                     "the brokers of \"%s\" have no topic \"%s\", and do not make it by "
                     "themselves: create it, or mend \"topic\" (%s)",
                     producer->options.brokers, producer->options.topic, why);
}

static freshet_code look_for_topic(producer *producer, int64_t until_us, freshet_error *err)
{
    const struct rd_kafka_metadata *found = NULL;
    const rd_kafka_resp_err_t problem =
        rd_kafka_metadata(producer->client, 0, producer->topic, &found, slice_ms(until_us));

    if (problem != RD_KAFKA_RESP_ERR_NO_ERROR)
        return producer_retry(producer, "asking for it", NULL, err);
    producer->fatal = RD_KAFKA_RESP_ERR_NO_ERROR;
    const rd_kafka_resp_err_t of_topic =
        found->topic_cnt == 0 ? RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART : found->topics[0].err;
    const bool has_partitions = found->topic_cnt > 0 && found->topics[0].partition_cnt > 0;
    rd_kafka_metadata_destroy(found);
    if (of_topic == RD_KAFKA_RESP_ERR_NO_ERROR && has_partitions) {
        producer->unknown_since_us = 0;
        producer->stage =
            producer->options.transactional_id == NULL ? PRODUCER_READY : PRODUCER_KNOWN;
        return FRESHET_OK;
    }
    if (is_denial(of_topic))
        return producer->has_written
                   ? producer_retry(producer, "asking for it", rd_kafka_err2str(of_topic), err)
                   : refuse_denial(producer, of_topic, err);
    return topic_missing(producer, rd_kafka_err2str(of_topic), err);
}

static freshet_code fence_off(producer *producer, int64_t until_us, freshet_error *err)
{
    rd_kafka_error_t *error = rd_kafka_init_transactions(producer->client, slice_ms(until_us));

    if (error != NULL)
        return transaction_failed(producer, error, "beginning with transactions", err);
    producer->stage = PRODUCER_FENCED_OFF;
    return FRESHET_OK;
}

static rd_kafka_topic_partition_list_t *marker_list(const producer *producer)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, producer->options.topic, 0);
    return list;
}

/* A client that reads: what is told of a group's offsets, and of messages. */
static freshet_code make_asker(producer *producer, const char *isolation, rd_kafka_t **out,
                               freshet_error *err)
{
    const producer_options *options = &producer->options;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    freshet_code code = set_common(producer, conf, err);

    if (code == FRESHET_OK)
        code = kafka_set_declared(conf, options->properties, options->at, err);
    if (code == FRESHET_OK)
        code = kafka_set(conf, "bootstrap.servers", options->brokers, options->at, err);
    if (code == FRESHET_OK)
        code = kafka_set(conf, "group.id", options->group, options->at, err);
    if (code == FRESHET_OK)
        code = kafka_set(conf, "isolation.level", isolation, options->at, err);
    if (code == FRESHET_OK)
        code = kafka_set(conf, "enable.auto.commit", "false", options->at, err);
    if (code == FRESHET_OK)
        code = kafka_set(conf, "enable.partition.eof", "true", options->at, err);
    if (code != FRESHET_OK) {
        rd_kafka_conf_destroy(conf);
        return code;
    }
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_log_cb(conf, producer_on_log);
    return kafka_make_client(RD_KAFKA_CONSUMER, conf, options->at, out, err);
}

bool kafka_take_number(const char **at, char before, int base, unsigned width, uint64_t *out)
{
    char digits[24];
    char *end = NULL;

    if (**at != before || width >= sizeof digits || strnlen(*at + 1, width) < width)
        return false;
    memcpy(digits, *at + 1, width);
    digits[width] = '\0';
    *out = strtoull(digits, &end, base);
    *at += 1 + width;
    return end == digits + width && digits[0] != '-' && digits[0] != '+' && digits[0] != ' ';
}

static void take_marker(producer *producer, const rd_kafka_topic_partition_t *found)
{
    char text[80];
    producer_marker *marker = &producer->marker;

    *marker = (producer_marker){0};
    if (found->offset < 0 || found->metadata == NULL || found->metadata_size >= sizeof text)
        return;
    memcpy(text, found->metadata, found->metadata_size);
    text[found->metadata_size] = '\0';
    const char *at = text + strlen(MARKER_WORD);
    marker->is_there = strncmp(text, MARKER_WORD, strlen(MARKER_WORD)) == 0 &&
                       kafka_take_number(&at, ' ', 16, 16, &marker->state_id) &&
                       kafka_take_number(&at, ' ', 16, 16, &marker->run_id) && *at == '\0';
    marker->number = (uint64_t)found->offset;
}

static freshet_code read_marker(producer *producer, int64_t until_us, freshet_error *err)
{
    rd_kafka_t *asker = NULL;
    freshet_code code = make_asker(producer, "read_committed", &asker, err);
    if (code != FRESHET_OK)
        return code;
    rd_kafka_topic_partition_list_t *list = marker_list(producer);
    rd_kafka_resp_err_t problem = RD_KAFKA_RESP_ERR__TIMED_OUT;
    do { /* a group's coordinator may have to be found first */
        problem = rd_kafka_committed(asker, list, SLICE_MS * 10);
        if (problem == RD_KAFKA_RESP_ERR_NO_ERROR)
            problem = list->elems[0].err;
    } while (problem != RD_KAFKA_RESP_ERR_NO_ERROR && !is_denial(problem) &&
             may_wait(producer, until_us));
    if (problem == RD_KAFKA_RESP_ERR_NO_ERROR) {
        take_marker(producer, &list->elems[0]);
        producer->stage = PRODUCER_READY;
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy_flags(asker, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    if (problem == RD_KAFKA_RESP_ERR_NO_ERROR)
        return FRESHET_OK;
    code = refuse_for_good(producer, problem, err);
    return code == FRESHET_OK ? producer_retry(producer, "reading how far it is written",
                                               rd_kafka_err2str(problem), err)
                              : code;
}

static freshet_code abort_open(producer *producer, int64_t until_us, freshet_error *err)
{
    rd_kafka_error_t *error = rd_kafka_abort_transaction(producer->client, slice_ms(until_us));

    rd_kafka_poll(producer->client, 0);
    if (error != NULL)
        return transaction_failed(producer, error, "taking back a transaction", err);
    producer->stage = PRODUCER_READY;
    producer->n_failed = 0;
    producer->failure = RD_KAFKA_RESP_ERR_NO_ERROR;
    producer->is_marked = producer->is_ending = false;
    return FRESHET_OK;
}

static freshet_code step_to_ready(producer *producer, int64_t until_us, freshet_error *err)
{
    if (producer->client == NULL) {
        freshet_code code = make_client(producer, err);
        if (code != FRESHET_OK)
            return code;
    }
    switch (producer->stage) {
    case PRODUCER_NEW: return look_for_topic(producer, until_us, err);
    case PRODUCER_KNOWN: return fence_off(producer, until_us, err);
    case PRODUCER_FENCED_OFF: return read_marker(producer, until_us, err);
    case PRODUCER_ABORTING: return abort_open(producer, until_us, err);
    case PRODUCER_READY:
    case PRODUCER_OPEN: break;
    }
    return FRESHET_OK;
}

freshet_code producer_ready(producer *producer, int64_t until_us, freshet_error *err)
{
    while (producer->client == NULL ||
           (producer->stage != PRODUCER_READY && producer->stage != PRODUCER_OPEN)) {
        const producer_stage stage = producer->stage;
        freshet_error problem = {0};
        freshet_code code = step_to_ready(producer, until_us, &problem);
        if (producer->client != NULL)
            rd_kafka_poll(producer->client, 0);
        if (is_login_refused(producer))
            return refuse_login(producer, err);
        if (code != FRESHET_OK &&
            (problem.then != FRESHET_RETRY || !may_wait(producer, until_us))) {
            if (err != NULL)
                *err = problem;
            return code;
        }
        if (code != FRESHET_OK && producer->stage == stage) /* told at once, as "no such topic" */
            os.poll(NULL, 0, slice_ms(until_us) / 5);
    }
    if (!producer->has_been_ready)
        producer_end_trouble(producer);
    producer->has_been_ready = true;
    return FRESHET_OK;
}

/* ---- sending ------------------------------------------------------------------------------- */

freshet_code producer_begin(producer *producer, freshet_error *err)
{
    rd_kafka_error_t *error = rd_kafka_begin_transaction(producer->client);

    if (error != NULL)
        return transaction_failed(producer, error, "beginning a transaction", err);
    producer->stage = PRODUCER_OPEN;
    producer->is_marked = producer->is_ending = false;
    return FRESHET_OK;
}

/* Messages that cannot be delivered end a transaction; without one they end the run. */
static freshet_code check_failures(producer *producer, freshet_error *err)
{
    if (producer->n_failed == 0 || producer->failure == RD_KAFKA_RESP_ERR_NO_ERROR)
        return FRESHET_OK;
    const rd_kafka_resp_err_t problem = producer->failure;
    freshet_code code = refuse_for_good(producer, problem, err);
    if (code != FRESHET_OK)
        return code;
    if (producer->options.transactional_id == NULL)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, producer->options.at,
                         "%" PRId64 " messages could not be delivered to the topic \"%s\": %s; the "
                         "next run sends what came since the last checkpoint again",
                         producer->n_failed, producer->options.topic, rd_kafka_err2str(problem));
    if (producer->stage == PRODUCER_OPEN)
        producer->stage = PRODUCER_ABORTING;
    return producer_retry(producer, "delivering messages", rd_kafka_err2str(problem), err);
}

freshet_code producer_send(producer *producer, const char *key, size_t key_length,
                           const char *value, size_t length, int64_t until_us, freshet_error *err)
{
    void *bytes;

    memcpy(&bytes, &value, sizeof bytes); /* which librdkafka copies */
    for (;;) {
        if (rd_kafka_produce(producer->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, bytes,
                             length, key, key_length, NULL) == 0)
            return FRESHET_OK;
        const rd_kafka_resp_err_t problem = rd_kafka_last_error();
        if (problem != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            producer->failure = problem;
            producer->n_failed++;
            return check_failures(producer, err);
        }
        const int64_t before = producer->n_delivered;
        rd_kafka_poll(producer->client, slice_ms(until_us));
        freshet_code code = check_failures(producer, err);
        if (code != FRESHET_OK)
            return code;
        if (producer->n_delivered == before && !may_wait(producer, until_us))
            return producer_retry(producer, "waiting for room", NULL, err);
    }
}

freshet_code producer_flush(producer *producer, int64_t patience_us, freshet_error *err)
{
    int64_t until_us = os.monotonic_us() + patience_us;

    while (rd_kafka_outq_len(producer->client) > 0) {
        const int64_t before = producer->n_delivered;
        rd_kafka_flush(producer->client, SLICE_MS);
        freshet_code code = check_failures(producer, err);
        if (code != FRESHET_OK)
            return code;
        if (producer->n_delivered != before)
            until_us = os.monotonic_us() + patience_us;
        else if (!may_wait(producer, until_us))
            return producer_retry(producer, "delivering messages", NULL, err);
    }
    return check_failures(producer, err);
}

static freshet_code put_marker(producer *producer, const producer_marker *marker, int64_t until_us,
                               freshet_error *err)
{
    char metadata[80];
    rd_kafka_topic_partition_list_t *list = marker_list(producer);
    rd_kafka_consumer_group_metadata_t *group =
        rd_kafka_consumer_group_metadata_new(producer->options.group);

    snprintf(metadata, sizeof metadata, MARKER_METADATA, marker->state_id, marker->run_id);
    list->elems[0].offset = (int64_t)marker->number;
    list->elems[0].metadata = strdup(metadata); /* the list's */
    list->elems[0].metadata_size = strlen(metadata);
    rd_kafka_error_t *error =
        rd_kafka_send_offsets_to_transaction(producer->client, list, group, slice_ms(until_us));
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(list);
    if (error != NULL)
        return transaction_failed(producer, error, "noting how far it is written", err);
    producer->is_marked = true;
    return FRESHET_OK;
}

static freshet_code end_transaction(producer *producer, const producer_marker *marker,
                                    int64_t until_us, freshet_error *err)
{
    producer->is_ending = true;
    rd_kafka_error_t *error = rd_kafka_commit_transaction(producer->client, slice_ms(until_us));

    if (error != NULL)
        return transaction_failed(producer, error, "ending a transaction", err);
    producer->stage = PRODUCER_READY;
    producer->is_marked = producer->is_ending = false;
    producer->has_written = true;
    producer->marker = *marker;
    producer->marker.is_there = true;
    producer_end_trouble(producer);
    return FRESHET_OK;
}

freshet_code producer_commit(producer *producer, const producer_marker *marker, int64_t until_us,
                             freshet_error *err)
{
    for (;;) {
        freshet_error problem = {0};
        freshet_code code = producer->is_marked
                                ? end_transaction(producer, marker, until_us, &problem)
                                : put_marker(producer, marker, until_us, &problem);
        if (code == FRESHET_OK && producer->stage == PRODUCER_READY)
            return FRESHET_OK;
        if (code != FRESHET_OK &&
            (problem.then != FRESHET_RETRY || producer->client == NULL ||
             producer->stage != PRODUCER_OPEN || !may_wait(producer, until_us))) {
            if (err != NULL)
                *err = problem;
            return code;
        }
    }
}

freshet_code producer_poll(producer *producer, freshet_error *err)
{
    uint64_t drained;
    ssize_t ignored = read(producer->event_fd, &drained, sizeof drained);

    (void)ignored;
    if (producer->client == NULL)
        return FRESHET_OK;
    rd_kafka_poll(producer->client, 0);
    return producer->options.transactional_id == NULL ? check_failures(producer, err) : FRESHET_OK;
}

void producer_tell_silence(producer *producer)
{
    producer_retry(producer, "delivering messages", NULL, NULL);
}

void producer_take_back(producer *producer)
{
    if (producer->client != NULL && producer->stage == PRODUCER_OPEN && !producer->is_ending)
        producer->stage = PRODUCER_ABORTING;
}

const char *producer_trouble(const producer *producer)
{
    const bool is_told = producer->trouble[0] != '\0' &&
                         os.monotonic_us() - producer->troubled_since_us >= TROUBLE_US;

    return is_told ? producer->trouble : NULL;
}

void producer_end_trouble(producer *producer)
{
    producer->trouble[0] = '\0';
}

/* ---- reading back --------------------------------------------------------------------------- */

static freshet_code reading_failed(const producer *producer, rd_kafka_resp_err_t problem,
                                   freshet_error *err)
{
    return error_set(err, FRESHET_TRY_AGAIN, FRESHET_STOP, producer->options.at,
                     "the topic \"%s\" cannot be read back, to validate it: %s; it needs the right "
                     "READ on the topic",
                     producer->options.topic, rd_kafka_err2str(problem));
}

static freshet_code find_ends(const producer *producer, rd_kafka_t *asker,
                              rd_kafka_topic_partition_list_t **out, freshet_error *err)
{
    const struct rd_kafka_metadata *found = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(asker, producer->options.topic, NULL);
    rd_kafka_resp_err_t problem = rd_kafka_metadata(asker, 0, topic, &found, READ_WAIT_MS);
    if (problem == RD_KAFKA_RESP_ERR_NO_ERROR)
        *out = rd_kafka_topic_partition_list_new(found->topics[0].partition_cnt);
    for (int i = 0; problem == RD_KAFKA_RESP_ERR_NO_ERROR && i < found->topics[0].partition_cnt;
         i++) {
        int64_t first = 0, end = 0;
        problem = rd_kafka_query_watermark_offsets(asker, producer->options.topic, i, &first, &end,
                                                   READ_WAIT_MS);
        rd_kafka_topic_partition_list_add(*out, producer->options.topic, i)->offset = end;
    }
    if (found != NULL)
        rd_kafka_metadata_destroy(found);
    rd_kafka_topic_destroy(topic);
    return problem == RD_KAFKA_RESP_ERR_NO_ERROR ? FRESHET_OK
                                                 : reading_failed(producer, problem, err);
}

/* With what is in transactions that have not reached them. */
static freshet_code producer_find_ends(producer *producer, rd_kafka_topic_partition_list_t **out,
                                       freshet_error *err)
{
    rd_kafka_t *asker = NULL;
    freshet_code code = make_asker(producer, "read_uncommitted", &asker, err);
    if (code != FRESHET_OK)
        return code;
    code = find_ends(producer, asker, out, err);
    if (code == FRESHET_OK && *out == NULL)
        code = error_memory(err, "reading a topic back");
    rd_kafka_destroy_flags(asker, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return code;
}

freshet_code producer_note_ends(producer *producer, freshet_error *err)
{
    return producer->ends != NULL ? FRESHET_OK : producer_find_ends(producer, &producer->ends, err);
}

/* How many partitions are not read to their ends yet; counts a message. */
static void count_message(const rd_kafka_message_t *message, rd_kafka_topic_partition_list_t *ends,
                          int *n_left, int64_t *n)
{
    rd_kafka_topic_partition_t *end = &ends->elems[message->partition];
    const bool is_message = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!is_message && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return;
    *n += is_message && message->offset < end->offset;
    if (end->opaque == NULL && message->offset + is_message >= end->offset) {
        end->opaque = end; /* it is read */
        --*n_left;
    }
}

static freshet_code count_until(producer *producer, rd_kafka_t *asker,
                                rd_kafka_topic_partition_list_t *ends, int64_t *n,
                                freshet_error *err)
{
    int n_left = ends->cnt;
    rd_kafka_resp_err_t problem = rd_kafka_assign(asker, producer->ends);
    int64_t until_us = os.monotonic_us() + READ_WAIT_MS * INT64_C(1000);
    while (problem == RD_KAFKA_RESP_ERR_NO_ERROR && n_left > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(asker, SLICE_MS);
        const int before = n_left;
        const int64_t counted = *n;
        if (message != NULL && message->partition >= 0 && message->partition < ends->cnt)
            count_message(message, ends, &n_left, n);
        if (message != NULL)
            rd_kafka_message_destroy(message);
        if (n_left < before || *n > counted)
            until_us = os.monotonic_us() + READ_WAIT_MS * INT64_C(1000);
        else if (!may_wait(producer, until_us))
            problem = RD_KAFKA_RESP_ERR__TIMED_OUT;
    }
    return problem == RD_KAFKA_RESP_ERR_NO_ERROR ? FRESHET_OK
                                                 : reading_failed(producer, problem, err);
}

freshet_code producer_count_since(producer *producer, int64_t *n, freshet_error *err)
{
    rd_kafka_topic_partition_list_t *ends = NULL;
    rd_kafka_t *asker = NULL;
    if (producer->ends == NULL) /* nothing was ever sent */
        return FRESHET_OK;
    freshet_code code = producer_find_ends(producer, &ends, err);
    if (code == FRESHET_OK)
        code = make_asker(producer, "read_committed", &asker, err);
    if (code == FRESHET_OK && ends != NULL)
        code = count_until(producer, asker, ends, n, err);
    if (asker != NULL)
        rd_kafka_destroy_flags(asker, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    if (ends != NULL)
        rd_kafka_topic_partition_list_destroy(ends);
    return code;
}
