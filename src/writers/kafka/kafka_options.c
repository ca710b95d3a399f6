/* kafka_options.c - see kafka_options.h. */
#include "writers/kafka/kafka_options.h"

#include <string.h>
#include <strings.h>

#define REASON_IDEMPOTENT \
    "messages are neither lost nor doubled on their way, which rests on what Freshet sets here"
#define REASON_PATIENT "messages wait as long as the brokers are away, and the stream with them"

static const char *const delivery_names[] = {"exactly_once", "at_least_once", NULL};
static const char *const rows_names[] = {"new", "online", "all", NULL};
static const char *const key_names[] = {"auto", "text", "json", "none", NULL};

static const kafka_refusal refused[] = {
    {"bootstrap.servers", "say \"brokers\" beside \"options\""},
    {"metadata.broker.list", "say \"brokers\" beside \"options\""},
    {"transactional.id", "say \"transactional_id\" beside \"options\""},
    {"enable.idempotence", REASON_IDEMPOTENT},
    {"enable.gapless.guarantee", REASON_IDEMPOTENT},
    {"acks", REASON_IDEMPOTENT},
    {"request.required.acks", REASON_IDEMPOTENT},
    {"message.timeout.ms", REASON_PATIENT},
    {"delivery.timeout.ms", REASON_PATIENT},
    {"message.send.max.retries", REASON_PATIENT},
    {"retries", REASON_PATIENT},
    {"message.max.bytes", "say \"max_message_bytes\" beside \"options\""},
    {"queue.buffering.max.kbytes", "say \"memory\" beside \"options\""},
    {"queue.buffering.max.messages", "say \"memory\" beside \"options\""},
    {"group.id", "the writer has one of its own, by the name of its \"transactional_id\""},
    {"isolation.level", "it is for readers"},
    /* Spark's, which Butterfree's declarations have */
    {"topic", "say \"topic\" beside \"options\""},
    {"kafka.bootstrap.servers", "say \"brokers\" beside \"options\""},
    {"checkpointLocation", "say `state: {path: ...}` at the top of the declaration"},
    {0},
};

static const option option_table[] = {
    {OPTION("topic", TEXT, kafka_writer_options, topic),
     .doc = "The topic to write to; by default the feature set's name, or with `write_to_entity` "
            "the entity's. The brokers have it, or make it.",
     .example = "flights_features"},
    {OPTION("brokers", TEXTS, kafka_writer_options, brokers),
     .given_offset = offsetof(kafka_writer_options, has_brokers) + 1,
     .doc = "`host:port`, several as a list or with commas between. By default the environment "
            "variable `" KAFKA_BROKERS_VARIABLE "`.",
     .example = "\"kafka-1:9092,kafka-2:9092\""},
    {OPTION("delivery", CHOICE, kafka_writer_options, delivery), .standard = "exactly_once",
     .choices = delivery_names,
     .doc = "`exactly_once`: rows become visible with each checkpoint, in a transaction; a reader "
            "with `isolation.level=read_committed` sees each once. `at_least_once`: at once, "
            "without transactions; after a crash rows since the last checkpoint may be there "
            "twice."},
    {OPTION("rows", CHOICE, kafka_writer_options, rows), .standard = "new", .choices = rows_names,
     .doc = "`new`: each row once, as it first was, as in the history. `online`: each key's newest "
            "row whenever it changes, as in the online store. `all`: both, and the rows that late "
            "events have changed."},
    {OPTION("key", CHOICE, kafka_writer_options, key), .standard = "auto", .choices = key_names,
     .doc = "The message's key. `text`: the one key column's value. `json`: an object of the key "
            "columns. `auto`: `text` where there is one, `json` where there are several. `none`: "
            "messages without key, which go to any partition."},
    {OPTION("write_to_entity", BOOLEAN, kafka_writer_options, write_to_entity), .standard = "false",
     .doc = "`true`: without `topic`, the topic is the entity's name, and several feature sets of "
            "an entity may share it."},
    {OPTION("transactional_id", TEXT, kafka_writer_options, transactional_id),
     .doc = "Who writes, for `exactly_once`: a second run with the same one takes the place of the "
            "first, which ends. Also the group whose offset says how far it is written. By default "
            "`freshet-<pipeline>-<writer>`, as in `freshet-flights-kafka-1`."},
    {OPTION("max_message_bytes", BYTES, kafka_writer_options, max_message_bytes),
     .standard = "1000000 B", .minimum = 1000, .maximum = 1000000000,
     .doc = "A row whose key and value are longer is a dead letter. Not more than the topic's "
            "`max.message.bytes` allows."},
    {OPTION("memory", BYTES, kafka_writer_options, memory), .standard = "64 MiB",
     .minimum = 1 << 20, .maximum = INT64_C(2) << 30,
     .doc = "For messages on their way. When it is used up, the run waits for the brokers."},
    {OPTION("spool", TEXT, kafka_writer_options, spool),
     .doc = "The folder where rows wait for their checkpoint, with `exactly_once`. By default in "
            "the state's folder; of a batch, in that for temporary files."},
    {OPTION("options", PROPERTIES, kafka_writer_options, options),
     .doc = "Any property of librdkafka, such as those of SASL and TLS, `compression.type` or "
            "`linger.ms`. Passwords and keys are never shown; give them as `${VAR}` or "
            "`${file:PATH}`.",
     .example = "compression.type: zstd"},
    {.name = NULL},
};

static void check_options(void *checked, const place *at, problems *problems)
{
    const kafka_writer_options *options = checked;

    kafka_check_topic(&options->topic, problems);
    kafka_check_brokers(&options->brokers, options->has_brokers, at, problems);
    kafka_check_properties(&options->options, refused, problems);
}

const block_kind kafka_writer_block = {
    .name = "kafka",
    .title = "The Kafka writer",
    .doc = "Each row as a message of a topic: the value is the row as JSON, as Butterfree's "
           "`json_transform` makes it (nulls are left out), the key its key columns. By default "
           "exactly once. See docs/guide/kafka.md.",
    .options = option_table,
    .size = sizeof(kafka_writer_options),
    .check = check_options,
};

const char *kafka_writer_topic(const kafka_writer_options *options, const declaration *declaration)
{
    return options->topic.value != NULL ? options->topic.value
           : options->write_to_entity   ? declaration->feature_set.entity.value
                                        : declaration->feature_set.name.value;
}

const char *kafka_writer_transactional_id(const kafka_writer_options *options,
                                          const declaration *declaration, const char *name,
                                          arena *arena)
{
    if (options->transactional_id.value != NULL)
        return options->transactional_id.value;
    char *made = arena_format(arena, "freshet-%s-%s", declaration->pipeline.value,
                              name == NULL ? "kafka 1" : name);
    for (char *c = made; c != NULL && *c != '\0'; c++)
        if (*c == ' ')
            *c = '-';
    return made;
}

unsigned kafka_writer_takes(const void *options)
{
    static const unsigned takes[] = {ROW_NEW, ROW_ONLINE, ROW_NEW | ROW_ONLINE | ROW_CORRECTION};
    return takes[((const kafka_writer_options *)options)->rows];
}

/* Two writers would take each other's place. */
static void check_ids(const kafka_writer_options *options, const declaration *declaration,
                      problems *problems)
{
    const writer_block *block = declaration->sink.writers.items;

    for (; options->transactional_id.value != NULL && block->kind.options != options; block++) {
        const kafka_writer_options *other = block->kind.options;
        if (block->kind.kind == &kafka_writer_block && other->transactional_id.value != NULL &&
            strcmp(other->transactional_id.value, options->transactional_id.value) == 0) {
            problem_add(problems, &options->transactional_id.at,
                        "another writer of this declaration has the transactional id \"%s\", too, "
                        "and each would end the other: give them different ones, or leave both out",
                        options->transactional_id.value);
            return;
        }
    }
}

/* Messages whose key is made of columns that the value may not have. */
static void check_select(const kafka_writer_options *options, const declaration *declaration,
                         problems *problems)
{
    const key_block *keys = declaration->feature_set.keys.items;
    const writer_block *block = declaration->sink.writers.items;

    while (block->kind.options != options)
        block++;
    const declared_list *select = &block->select;
    for (uint32_t i = 0;
         select->n > 0 && options->key != KAFKA_KEY_NONE && i < declaration->feature_set.keys.n;
         i++) {
        bool is_there = keys[i].name.value == NULL;
        for (uint32_t k = 0; k < select->n; k++)
            is_there |= select->items[k].value != NULL && keys[i].name.value != NULL &&
                        strcasecmp(select->items[k].value, keys[i].name.value) == 0;
        if (!is_there)
            problem_add(problems, &select->items[0].at,
                        "\"select\" lacks the key \"%s\", and the messages' keys are made of it: "
                        "add it, or write `key: none`",
                        keys[i].name.value);
    }
}

void kafka_writer_check(const void *block_options, const declaration *declaration, const place *at,
                        problems *problems)
{
    const kafka_writer_options *options = block_options;
    const declared_text topic = {.value = kafka_writer_topic(options, declaration), .at = *at};

    if (options->topic.value == NULL && topic.value != NULL)
        kafka_check_topic(&topic, problems);
    if (topic.value == NULL)
        problem_add(problems, at,
                    "the topic would be the entity's name, and the feature set has no \"entity\": "
                    "write for example topic: flights_features");
    if (options->key == KAFKA_KEY_TEXT && declaration->feature_set.keys.n > 1)
        problem_add(problems, at,
                    "\"key: text\" is for one key column, and the feature set has %u: write `key: "
                    "json`",
                    declaration->feature_set.keys.n);
    check_ids(options, declaration, problems);
    check_select(options, declaration, problems);
}
