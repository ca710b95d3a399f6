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

typedef struct named_reason {
    const char *name;
    const char *reason;
} named_reason;

#define REASON_PLACES \
    "the places reached are kept in the checkpoint, with the state that belongs to them"
#define REASON_ASSIGNED "Freshet assigns the partitions itself, and no group has a say in it"
#define REASON_MEMORY "say \"memory\" beside \"options\", which decides over all of these together"

static const named_reason refused[] = {
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
};

static const char *refusal(const char *name)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (strcmp(refused[i].name, name) == 0)
            return refused[i].reason;
    return NULL;
}

/* ---- what librdkafka says of a property ---------------------------------------------------- */

#define NAMES_MAX 1024

/* The known name nearest to one that is not, in `into`; "" where none is near. All names are in the
 * table that librdkafka prints: the first word of each line. */
static void nearest_name(const char *name, char *into, size_t size)
{
    const char *names[NAMES_MAX];
    char *table = NULL, *rest = NULL;
    size_t table_size = 0, n = 0;
    FILE *print = open_memstream(&table, &table_size);

    into[0] = '\0';
    if (print == NULL)
        return;
    rd_kafka_conf_properties_show(print);
    if (fclose(print) == 0)
        for (char *line = strtok_r(table, "\n", &rest); line != NULL && n < NAMES_MAX;
             line = strtok_r(NULL, "\n", &rest)) {
            line[strcspn(line, " |")] = '\0';
            if (strchr(line, '.') != NULL)
                names[n++] = line;
        }
    if (strncmp(name, "kafka.", 6) == 0) /* Spark's prefix */
        name += 6;
    const char *near = text_nearest(name, names, n);
    if (near != NULL)
        snprintf(into, size, "%s", near);
    free(table);
}

static void check_property(rd_kafka_conf_t *conf, const declared_property *property,
                           struct problems *problems)
{
    char said[512] = "";
    char near[128];
    const char *reason = refusal(property->name);

    if (reason != NULL) {
        problem_add(problems, &property->name_at, "\"%s\" cannot be set here: %s", property->name,
                    reason);
        return;
    }
    switch (rd_kafka_conf_set(conf, property->name, property->value.value, said, sizeof said)) {
    case RD_KAFKA_CONF_OK: return;
    case RD_KAFKA_CONF_UNKNOWN:
        nearest_name(property->name, near, sizeof near);
        problem_add(problems, &property->name_at, "librdkafka has no property \"%.100s\"%s%s%s",
                    property->name, near[0] == '\0' ? "" : "; did you mean \"", near,
                    near[0] == '\0' ? "" : "\"?");
        return;
    default:
        if (property_is_secret(property->name))
            problem_add(problems, &property->value.at,
                        "\"%s\" cannot be what was given: librdkafka refuses it", property->name);
        else
            problem_add(problems, &property->value.at,
                        "\"%s\" cannot be \"%.60s\": librdkafka says: %s", property->name,
                        property->value.value, said);
    }
}

void kafka_check_properties(const declared_properties *properties, struct problems *problems)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    for (uint32_t i = 0; i < properties->n; i++)
        check_property(conf, &properties->items[i], problems);
    rd_kafka_conf_destroy(conf);
}

/* ---- the configuration --------------------------------------------------------------------- */

static freshet_code settings_put(kafka_reader *reader, rd_kafka_conf_t *conf, const char *name,
                                 const char *value, freshet_error *err)
{
    char said[400] = "";

    if (rd_kafka_conf_set(conf, name, value, said, sizeof said) == RD_KAFKA_CONF_OK)
        return FRESHET_OK;
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
                     "librdkafka refuses the property \"%s\": %s", name,
                     property_is_secret(name) ? "its value is not what it can be" : said);
}

static int64_t within(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* Half of `memory` for the messages that wait, an eighth for an answer on its way; the rest for
 * what librdkafka needs around each message, some 400 bytes, and for the micro-batch. */
static freshet_code put_sizes(kafka_reader *reader, rd_kafka_conf_t *conf, freshet_error *err)
{
    const int64_t memory = kafka_options_of(reader)->memory;
    const int64_t answer = within(memory / 8, 65536, 50 << 20);
    const int64_t messages = within(memory / 1024, 1000, 1000000);
    const struct {
        const char *name;
        int64_t value;
    } sizes[] = {
        {"queued.max.messages.kbytes", within(memory / 2048, 64, 2097151)},
        {"queued.min.messages", messages},
        /* larger messages come all the same, one at a time */
        {"message.max.bytes", within(answer, 1000, 1000000)},
        {"fetch.max.bytes", answer},
        {"fetch.message.max.bytes", within(answer, 1000, 1 << 20)},
        {"receive.message.max.bytes", INT32_MAX},
    };
    freshet_code code = FRESHET_OK;
    char text[32];

    reader->wake_below = (size_t)messages / 2;
    for (size_t i = 0; code == FRESHET_OK && i < sizeof sizes / sizeof sizes[0]; i++) {
        snprintf(text, sizeof text, "%" PRId64, sizes[i].value);
        code = settings_put(reader, conf, sizes[i].name, text, err);
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
        code = settings_put(reader, conf, standard[i].name, standard[i].value, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < options->options.n; i++)
        code = settings_put(reader, conf, options->options.items[i].name,
                            options->options.items[i].value.value, err);
    for (size_t i = 0; code == FRESHET_OK && i < sizeof own / sizeof own[0]; i++)
        code = settings_put(reader, conf, own[i].name, own[i].value, err);
    return code == FRESHET_OK ? put_sizes(reader, conf, err) : code;
}

/* librdkafka says of a file that it cannot read only that TLS cannot begin. */
static freshet_code check_files(const kafka_reader *reader, freshet_error *err)
{
    static const char *const of_files[] = {"ssl.ca.location", "ssl.certificate.location",
                                           "ssl.key.location", "ssl.crl.location",
                                           "ssl.keystore.location"};
    const declared_properties *properties = &kafka_options_of(reader)->options;
    char at[232];

    for (uint32_t i = 0; i < properties->n; i++) {
        const declared_property *property = &properties->items[i];
        const char *path = property->value.value;
        bool is_file = false;
        for (size_t k = 0; k < sizeof of_files / sizeof of_files[0]; k++)
            is_file |= strcmp(property->name, of_files[k]) == 0;
        if (!is_file || strcmp(path, "probe") == 0 || access(path, R_OK) == 0)
            continue;
        const int problem = errno;
        place_text(&property->value.at, at, sizeof at);
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
                         "\"%s\" is the file \"%s\", which cannot be read: %s", property->name,
                         path, strerror(problem));
    }
    return FRESHET_OK;
}

freshet_code kafka_configure(kafka_reader *reader, rd_kafka_conf_t **out, freshet_error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    freshet_code code;

    if (conf == NULL)
        return error_memory(err, "configuring a Kafka client");
    code = check_files(reader, err);
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
