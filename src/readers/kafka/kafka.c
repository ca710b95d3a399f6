/* kafka.c - the reader `kafka`: options, columns, opening and closing, positions; see
 * kafka_internal.h. */
#include "readers/kafka/kafka.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "readers/kafka/kafka_internal.h"

#define METADATA_COLUMN "kafka_metadata"
#define KEY_COLUMN "key"
#define HEADERS_COLUMN "headers"

/* ---- options --------------------------------------------------------------------------------- */

static const char *const tombstones_names[] = {"skip", "null", NULL};
static const char *const on_gap_names[] = {"fail", "earliest", "latest", NULL};
static const char *const without_topic[] = {"topics", "pattern", NULL};

static const option options_table[] = {
    {OPTION("topic", TEXT, kafka_options, topic), .required = true, .unless = without_topic,
     .doc = "The topic to read.", .example = "orders"},
    {OPTION("topics", TEXTS, kafka_options, topics),
     .doc = "Several topics, whose messages are of one form.", .example = "[orders_br, orders_mx]"},
    {OPTION("pattern", TEXT, kafka_options, pattern),
     .doc = "Every topic that this extended regular expression matches, also those that are made "
            "while the pipeline runs. Names that begin with `__` are left out.",
     .example = "^orders_[a-z]+$"},
    {OPTION("brokers", TEXTS, kafka_options, brokers),
     .given_offset = offsetof(kafka_options, has_brokers) + 1,
     .doc = "`host:port`, several as a list or with commas between. By default the environment "
            "variable "
            "`" KAFKA_BROKERS_VARIABLE "`.",
     .example = "\"kafka-1:9092,kafka-2:9092\""},
    {OPTION("value", BLOCK, kafka_options, value), .required = true, .block = &format_message_block,
     .doc = "The format of the messages' values. JSON and CSV give a column a field, raw gives the "
            "column `value`.",
     .example = "{format: json, schema: {id: bigint, amount: double}}"},
    {OPTION_GIVEN("key", kafka_options, key), .block = &format_message_block,
     .doc = "The format of the messages' keys, which come as the column `key`: raw as string or "
            "binary, JSON and CSV as a struct (`key.id`). Without it there is no such column.",
     .example = "{format: raw}"},
    {OPTION("headers", BOOLEAN, kafka_options, headers), .standard = "false",
     .doc = "Adds the column `headers`: JSON text, as in `[{\"key\":\"trace\",\"value\":\"a1\"}]`; "
            "null for a message without any."},
    {OPTION("start", TEXT, kafka_options, start), .standard = "earliest",
     .doc = "Where reading begins when there is no checkpoint: `earliest`, `latest`, a time "
            "(`2024-05-01 00:00:00`), or a time before now (`-1 hour`).",
     .example = "-1 hour"},
    {OPTION("tombstones", CHOICE, kafka_options, tombstones), .standard = "skip",
     .choices = tombstones_names,
     .doc = "Messages without a value: left out, or a row whose value columns are null."},
    {OPTION("on_gap", CHOICE, kafka_options, on_gap), .standard = "fail", .choices = on_gap_names,
     .doc = "When the brokers no longer have the offset to go on at: end with an error, or go on "
            "at the first or behind the last message they have."},
    {OPTION("group", TEXT, kafka_options, group),
     .doc = "The consumer group under which offsets are written after each checkpoint, for tools "
            "that show the lag. Nothing is read from it. By default `freshet-<pipeline>`."},
    {OPTION("memory", BYTES, kafka_options, memory), .standard = "64 MiB", .minimum = 1 << 20,
     .maximum = INT64_C(64) << 30,
     .doc = "For messages that were fetched and not yet read, of all partitions together. When it "
            "is used up, fetching rests."},
    {OPTION("max_message_bytes", BYTES, kafka_options, max_message_bytes), .standard = "16 MiB",
     .minimum = 64, .maximum = 1000000000,
     .doc = "A longer message goes to the dead letters, with its beginning."},
    {OPTION("connect_timeout", DURATION, kafka_options, connect_timeout_us),
     .standard = "5 minutes", .minimum = 1000, .maximum = INT64_C(365) * 86400 * 1000000,
     .given_offset = offsetof(kafka_options, has_connect_timeout) + 1,
     .doc =
         "How long to try to reach the brokers; then the run ends with the exit code 75. A stream "
         "waits for ever, unless this is declared: then so long at its start."},
    {OPTION("discover", DURATION, kafka_options, discover_us), .standard = "10 seconds",
     .minimum = 10000, .maximum = INT64_C(86400) * 1000000,
     .doc = "How often to look for new partitions, and topics of a pattern. They are read from "
            "their beginning."},
    {OPTION("options", PROPERTIES, kafka_options, options),
     .doc = "Any property of librdkafka, such as those of SASL and TLS. Passwords and keys are "
            "never shown; give them as `${VAR}` or `${file:PATH}`.",
     .example = "security.protocol: SSL"},
    {0},
};

static void kafka_check_names(const kafka_options *options, struct problems *problems)
{
    const struct {
        const char *name;
        bool there;
    } own[] = {{METADATA_COLUMN, true},
               {KEY_COLUMN, options->has_key},
               {HEADERS_COLUMN, options->headers}};
    const schema *schema = &options->value.schema.value;

    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        int64_t field = own[i].there ? schema_find(schema, own[i].name) : -1;
        if (field >= 0)
            problem_add(
                problems, &options->value.schema.places[field],
                "the column \"%s\" cannot come from the value, since the reader gives one of "
                "that name itself",
                own[i].name);
    }
}

static void check_pattern(const declared_text *pattern, struct problems *problems)
{
    regex_t compiled;
    char said[200];
    int problem = regcomp(&compiled, pattern->value, REG_EXTENDED | REG_NOSUB);

    if (problem == 0) {
        regfree(&compiled);
        return;
    }
    regerror(problem, &compiled, said, sizeof said);
    problem_add(problems, &pattern->at, "\"pattern\" is no extended regular expression: %s", said);
}

static void check_topics(const kafka_options *options, const place *at, struct problems *problems)
{
    const bool several = options->topics.n > 0;
    const int n = (options->topic.value != NULL) + several + (options->pattern.value != NULL);

    if (n > 1)
        problem_add(problems, at,
                    "\"topic\", \"topics\" and \"pattern\" exclude each other: keep one");
    if (n == 0 && options->topic.at.line == 0)
        problem_add(problems, at, "no topic is declared: write for example topic: orders");
    kafka_check_topic(&options->topic, problems);
    for (uint32_t i = 0; i < options->topics.n; i++)
        kafka_check_topic(&options->topics.items[i], problems);
    if (options->pattern.value != NULL)
        check_pattern(&options->pattern, problems);
}

static void kafka_check_options(void *checked, const place *at, struct problems *problems)
{
    const kafka_options *options = checked;
    int64_t start;
    bool is_time;

    check_topics(options, at, problems);
    kafka_check_brokers(&options->brokers, options->has_brokers, at, problems);
    if (options->start.value != NULL &&
        !kafka_parse_start(options->start.value, os.now_us(), &start, &is_time))
        problem_add(problems, &options->start.at,
                    "\"start\" cannot be \"%.60s\": it must be earliest, latest, a time such as "
                    "2024-05-01 00:00:00, or a time before now such as \"-1 hour\"",
                    options->start.value);
    kafka_check_names(options, problems);
    kafka_check_properties(&options->options, kafka_reader_refused, problems);
}

/* ---- describe -------------------------------------------------------------------------------- */

const type *kafka_metadata_type(arena *arena)
{
    static const struct {
        const char *name;
        type_kind kind;
    } parts[] = {{"key", TYPE_STRING},           {"topic", TYPE_STRING},
                 {"value", TYPE_STRING},         {"partition", TYPE_INTEGER},
                 {"offset", TYPE_BIGINT},        {"timestamp", TYPE_TIMESTAMP},
                 {"timestampType", TYPE_INTEGER}};
    const uint32_t n = sizeof parts / sizeof parts[0];
    field *fields = arena_zero(arena, n, sizeof *fields);

    for (uint32_t i = 0; fields != NULL && i < n; i++)
        fields[i] = (field){parts[i].name, type_simple(parts[i].kind)};
    return fields == NULL ? NULL : type_struct(arena, fields, n);
}

static freshet_code describe_parts(kafka_reader *reader, freshet_error *err)
{
    const kafka_options *options = kafka_options_of(reader);
    arena *arena = reader->base.arena;
    freshet_code code = format_describe(format_of_message(options->value.choice), &options->value,
                                        "value", arena, &reader->value_schema, err);

    if (code == FRESHET_OK && options->has_key)
        code = format_describe(format_of_message(options->key.choice), &options->key, KEY_COLUMN,
                               arena, &reader->key_schema, err);
    return code;
}

/* Value, key, headers, metadata, in this order. */
static freshet_code join_columns(kafka_reader *reader, freshet_error *err)
{
    const kafka_options *options = kafka_options_of(reader);
    arena *arena = reader->base.arena;
    uint32_t n = reader->value_schema.n_fields;
    field *fields = arena_zero(arena, n + (size_t)3, sizeof *fields);
    const type *metadata = kafka_metadata_type(arena);

    if (fields == NULL || metadata == NULL)
        return error_memory(err, "describing messages");
    memcpy(fields, reader->value_schema.fields, n * sizeof *fields);
    reader->n_value_columns = n;
    reader->key_column = reader->headers_column = KAFKA_NONE;
    if (options->has_key) {
        const type *type =
            format_of_message(options->key.choice)->one_column
                ? reader->key_schema.fields[0].type
                : type_struct(arena, reader->key_schema.fields, reader->key_schema.n_fields);
        if (type == NULL)
            return error_memory(err, "describing messages");
        reader->key_column = n;
        fields[n++] = (field){KEY_COLUMN, type};
    }
    if (options->headers) {
        reader->headers_column = n;
        fields[n++] = (field){HEADERS_COLUMN, type_simple(TYPE_STRING)};
    }
    reader->metadata_column = n;
    fields[n++] = (field){METADATA_COLUMN, metadata};
    reader->base.schema = (schema){.n_fields = n, .fields = fields};
    return FRESHET_OK;
}

static freshet_code kafka_describe(freshet_reader *base, freshet_error *err)
{
    kafka_reader *reader = (kafka_reader *)base;
    const kafka_options *options = base->options;
    const declared_text *topic = options->pattern.value != NULL ? &options->pattern
                                 : options->topics.n > 0        ? &options->topics.items[0]
                                                                : &options->topic;

    reader->event_fd = -1;
    place_text(&topic->at, reader->at, sizeof reader->at);
    reader->brokers = kafka_join_brokers(&options->brokers, base->arena);
    reader->group = options->group.value;
    if (reader->group == NULL)
        reader->group = arena_format(base->arena, "freshet-%s", base->declaration->pipeline.value);
    if (reader->brokers == NULL || reader->group == NULL)
        return error_memory(err, "describing messages");
    freshet_code code = describe_parts(reader, err);
    return code == FRESHET_OK ? join_columns(reader, err) : code;
}

/* ---- open and close -------------------------------------------------------------------------- */

freshet_code kafka_decoders_open(kafka_reader *reader, freshet_error *err)
{
    const kafka_options *options = kafka_options_of(reader);
    decoder value = {.format = format_of_message(options->value.choice),
                     .options = &options->value,
                     .schema = &reader->value_schema,
                     .used = reader->base.used,
                     .cast_error_null = reader->base.block->on_cast_error == ON_CAST_ERROR_NULL,
                     .of_messages = true};
    decoder key = value;
    freshet_code code = decoder_open(&value, &reader->value, err);

    if (code != FRESHET_OK || !options->has_key)
        return code;
    key.format = format_of_message(options->key.choice);
    key.options = &options->key;
    key.schema = &reader->key_schema;
    key.used = NULL;
    return decoder_open(&key, &reader->key, err);
}

static freshet_code kafka_open(freshet_reader *base, const reader_positions *from,
                               freshet_error *err)
{
    kafka_reader *reader = (kafka_reader *)base;

    reader->opened_us = os.monotonic_us();
    reader->messages = calloc(KAFKA_BATCH_MAX, sizeof(rd_kafka_message_t *));
    if (reader->messages == NULL)
        return error_memory(err, "opening a topic");
    freshet_code code = kafka_decoders_open(reader, err);
    if (code == FRESHET_OK)
        code = slices_open(base->crew, &reader->slices, err);
    if (code == FRESHET_OK)
        code = kafka_client_open(reader, err);
    return code == FRESHET_OK ? kafka_restore(reader, from, err) : code;
}

static void kafka_close(freshet_reader *base)
{
    kafka_reader *reader = (kafka_reader *)base;
    const size_t described = offsetof(kafka_reader, client);

    if (reader->messages == NULL) { /* it was never opened, but for a replay */
        decoder_close(reader->value);
        decoder_close(reader->key);
        reader->value = reader->key = NULL;
        return;
    }
    kafka_messages_release(reader);
    kafka_lanes_release(reader);
    kafka_client_close(reader);
    decoder_close(reader->value);
    decoder_close(reader->key);
    slices_close(reader->slices);
    free(reader->found);
    free(reader->messages);
    /* It may be opened again. */
    memset((char *)reader + described, 0, sizeof *reader - described);
    reader->event_fd = -1;
}

/* ---- positions and the rest ------------------------------------------------------------------ */

static freshet_code kafka_positions(freshet_reader *base, arena *arena, bool all,
                                    reader_positions *out, freshet_error *err)
{
    kafka_reader *reader = (kafka_reader *)base;
    uint32_t n = 0;

    *out = (reader_positions){.items = NULL};
    for (uint32_t i = 0; i < reader->n_partitions; i++)
        n += reader->partitions[i].has_place && (all || reader->partitions[i].moved);
    out->items = arena_zero(arena, n + (size_t)1, sizeof *out->items);
    if (out->items == NULL)
        return error_memory(err, "giving positions");
    for (uint32_t i = 0; i < reader->n_partitions; i++) {
        kafka_partition *partition = &reader->partitions[i];
        if (!partition->has_place || !(all || partition->moved))
            continue;
        reader_position *position = &out->items[out->n++];
        *position = (reader_position){.name = partition->name,
                                      .label = partition->name,
                                      .offset = partition->next,
                                      .lane = partition->lane,
                                      .partition = i};
        if (partition->mark.offset >= 0) {
            position->mark = arena_copy(arena, &partition->mark, sizeof partition->mark);
            position->mark_length = sizeof partition->mark;
            if (position->mark == NULL)
                return error_memory(err, "giving positions");
        }
        partition->moved = false;
    }
    base->moved = false;
    return FRESHET_OK;
}

static void kafka_touch(freshet_reader *base, uint32_t partition)
{
    ((kafka_reader *)base)->partitions[partition].moved = base->moved = true;
}

/* Their lanes are the same after a restart. */
static uint32_t kafka_rank(const freshet_reader *base, uint32_t partition)
{
    return ((const kafka_reader *)base)->partitions[partition].lane;
}

static const char *kafka_partition_label(const freshet_reader *base, uint32_t partition)
{
    const kafka_reader *reader = (const kafka_reader *)base;

    return partition < reader->n_partitions ? reader->partitions[partition].name : "";
}

static void kafka_lags(const freshet_reader *base, reader_lag_fn *lag, void *context)
{
    const kafka_reader *reader = (const kafka_reader *)base;
    int64_t low = 0, high = 0;

    for (uint32_t i = 0; i < reader->n_partitions; i++) {
        const kafka_partition *partition = &reader->partitions[i];
        int64_t rows = -1;
        if (!partition->started)
            continue;
        if (rd_kafka_get_watermark_offsets(reader->client, partition->topic->name,
                                           partition->number, &low,
                                           &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
            high >= 0)
            rows = high > partition->next ? high - partition->next : 0;
        lag(context, partition->name, rows, -1);
    }
}

static int kafka_wake_fd(freshet_reader *base)
{
    return ((const kafka_reader *)base)->event_fd;
}

static uint32_t kafka_next_lane(freshet_reader *base)
{
    kafka_reader *reader = (kafka_reader *)base;

    for (uint32_t i = 0; reader->n_behind > 0 && i < reader->n_partitions; i++) {
        kafka_partition *partition = &reader->partitions[i];
        if (!partition->is_behind)
            continue;
        partition->is_behind = false;
        reader->n_behind--;
        return partition->lane;
    }
    return UINT32_MAX;
}

static const char *kafka_lane_label(const freshet_reader *base, uint32_t lane)
{
    const kafka_reader *reader = (const kafka_reader *)base;

    for (uint32_t i = 0; i < reader->n_partitions; i++)
        if (reader->partitions[i].lane == lane)
            return reader->partitions[i].name;
    return NULL;
}

static const char *kafka_trouble(const freshet_reader *base)
{
    const kafka_reader *reader = (const kafka_reader *)base;

    return reader->trouble[0] == '\0' ? NULL : reader->trouble;
}

const reader_ops kafka_reader_ops = {
    .block = {.name = "kafka",
              .title = "Reader: kafka",
              .doc = "The messages of Kafka topics. As a stream for ever; else from `start` to the "
                     "ends that the partitions have when the run begins. See docs/guide/kafka.md.",
              .options = options_table,
              .size = sizeof(kafka_options),
              .check = kafka_check_options},
    .size = sizeof(kafka_reader),
    .describe = kafka_describe,
    .open = kafka_open,
    .poll = kafka_poll,
    .waiting = kafka_waiting,
    .touch = kafka_touch,
    .rank = kafka_rank,
    .wake_fd = kafka_wake_fd,
    .positions = kafka_positions,
    .ack = kafka_group_ack,
    .partition_label = kafka_partition_label,
    .lags = kafka_lags,
    .next_lane = kafka_next_lane,
    .lane_label = kafka_lane_label,
    .trouble = kafka_trouble,
    .beside = kafka_beside,
    .replay = kafka_replay,
    .close = kafka_close,
};
