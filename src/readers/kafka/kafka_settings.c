/* kafka_settings.c - the declared properties, and ours, as librdkafka's configuration; see
 * kafka_internal.h.
 *
 * Any property may be declared but those that Freshet's guarantees rest on. librdkafka itself says
 * which properties there are and what they can be.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "readers/kafka/kafka_internal.h"

#define REASON_PLACES \
    "the places reached are kept in the checkpoint, with the state that belongs to them"
#define REASON_ASSIGNED "Freshet assigns the partitions itself, and no group has a say in it"
#define REASON_MEMORY "say \"memory\" beside \"options\", which decides over all of these together"

const kafka_refusal kafka_reader_refused[] = {
    {"bootstrap.servers", "say \"brokers\" beside \"options\""},
    {"metadata.broker.list", "say \"brokers\" beside \"options\""},
    {"group.id", "say \"group\" beside \"options\""},
    {"group.instance.id", REASON_ASSIGNED},
    {"group.protocol", REASON_ASSIGNED},
    {"partition.assignment.strategy", REASON_ASSIGNED},
    {"enable.auto.commit", REASON_PLACES},
    {"enable.auto.offset.store", REASON_PLACES},
    {"auto.commit.interval.ms", REASON_PLACES},
    {"auto.commit.enable", REASON_PLACES},
    {"offset.store.method", REASON_PLACES},
    {"auto.offset.reset", "say \"start\" and \"on_gap\" beside \"options\""},
    {"enable.partition.eof", "Freshet sets it as it needs it"},
    {"queued.min.messages", REASON_MEMORY},
    {"queued.max.messages.kbytes", REASON_MEMORY},
    {"fetch.max.bytes", REASON_MEMORY},
    {"fetch.message.max.bytes", REASON_MEMORY},
    {"max.partition.fetch.bytes", REASON_MEMORY},
    {"message.max.bytes", "say \"max_message_bytes\" beside \"options\""},
    {"receive.message.max.bytes", REASON_MEMORY},
    {"fetch.queue.backoff.ms", "Freshet sets it, so that a full queue does not halt for a second"},
    /* Spark's, which Butterfree's declarations have */
    {"subscribe", "say \"topic\" or \"topics\" beside \"options\""},
    {"subscribePattern", "say \"pattern\" beside \"options\""},
    {"startingOffsets", "say \"start\" beside \"options\""},
    {"startingTimestamp", "say \"start\" beside \"options\""},
    {"failOnDataLoss", "say \"on_gap\" beside \"options\""},
    {"includeHeaders", "say \"headers\" beside \"options\""},
    {"maxOffsetsPerTrigger", "micro-batches have a size of their own"},
    {0},
};

/* ---- the configuration --------------------------------------------------------------------- */

static int64_t within(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* Half of `memory` for the messages that wait, an eighth for an answer on its way; the rest for
 * what librdkafka needs around each message, some 400 bytes, and for the micro-batch. In lanes half
 * of each, since the lists of partitions hold as much again, and less of one partition, so that an
 * answer has something of each. */
static freshet_code put_sizes(kafka_reader *reader, rd_kafka_conf_t *conf, freshet_error *err)
{
    const int64_t memory = kafka_options_of(reader)->memory;
    const int64_t parts = reader->base.in_lanes ? 2 : 1;
    const int64_t answer = within(memory / 8 / parts, 65536, 50 << 20);
    const int64_t messages = within(memory / 1024 / parts, 1000, 1000000);
    const int64_t of_one = reader->base.in_lanes ? answer / 4 : answer;
    const struct {
        const char *name;
        int64_t value;
    } sizes[] = {
        {"queued.max.messages.kbytes", within(memory / 2048 / parts, 64, 2097151)},
        {"queued.min.messages", messages},
        /* larger messages come all the same, one at a time */
        {"message.max.bytes", within(answer, 1000, 1000000)},
        {"fetch.max.bytes", answer},
        {"fetch.message.max.bytes", within(of_one, 1000, 1 << 20)},
        {"receive.message.max.bytes", INT32_MAX},
    };
    freshet_code code = FRESHET_OK;
    char text[32];

    reader->wake_below = (size_t)messages / 2;
    for (size_t i = 0; code == FRESHET_OK && i < sizeof sizes / sizeof sizes[0]; i++) {
        snprintf(text, sizeof text, "%" PRId64, sizes[i].value);
        code = kafka_set(conf, sizes[i].name, text, reader->at, err);
    }
    return code;
}

static freshet_code put_all(kafka_reader *reader, rd_kafka_conf_t *conf, freshet_error *err)
{
    const kafka_options *options = kafka_options_of(reader);
    const struct {
        const char *name, *value;
    } standard[] = {
        /* may be declared otherwise */
        {"client.id", "freshet"},
        {"isolation.level", "read_committed"},
        {"socket.nagle.disable", "true"},
        {"socket.keepalive.enable", "true"},
        {"allow.auto.create.topics", "false"},
        {"reconnect.backoff.max.ms", "5000"},
        /* so long a client waits for the coordinator of its group; at its end only for it */
        {"session.timeout.ms", "1000"},
        {"log_level", "4"},
    };
    const struct {
        const char *name, *value;
    } own[] = {
        {"bootstrap.servers", reader->brokers},
        {"group.id", reader->group},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"enable.partition.eof",
         reader->base.mode == READ_ALL || reader->base.in_lanes ? "true" : "false"},
    };
    freshet_code code = FRESHET_OK;

    for (size_t i = 0; code == FRESHET_OK && i < sizeof standard / sizeof standard[0]; i++)
        code = kafka_set(conf, standard[i].name, standard[i].value, reader->at, err);
    if (code == FRESHET_OK)
        code = kafka_set_declared(conf, &options->options, reader->at, err);
    for (size_t i = 0; code == FRESHET_OK && i < sizeof own / sizeof own[0]; i++)
        code = kafka_set(conf, own[i].name, own[i].value, reader->at, err);
    return code == FRESHET_OK ? put_sizes(reader, conf, err) : code;
}

freshet_code kafka_configure(kafka_reader *reader, rd_kafka_conf_t **out, freshet_error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    freshet_code code;

    if (conf == NULL)
        return error_memory(err, "configuring a Kafka client");
    code = kafka_check_files(&kafka_options_of(reader)->options, err);
    if (code == FRESHET_OK)
        code = put_all(reader, conf, err);
    reader->must_wake =
        rd_kafka_conf_set(conf, "fetch.queue.backoff.ms", "1", NULL, 0) != RD_KAFKA_CONF_OK;
    if (code == FRESHET_OK)
        *out = conf;
    else
        rd_kafka_conf_destroy(conf);
    return code;
}
