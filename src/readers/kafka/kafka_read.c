/* kafka_read.c - messages into rows; see kafka_internal.h.
 *
 * Messages are taken from the queue KAFKA_BATCH_MAX at a time and decoded one by one: value, key,
 * headers, metadata. What does not fit into a micro-batch waits for the next poll. Texts point into
 * the messages where they can, so a message that gave a row is kept until the next poll.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "base/text.h"
#include "formats/cell.h"
#include "readers/kafka/kafka_internal.h"
#include "readers/polling.h"

#define READING "reading messages"
#define PREFETCH_AHEAD 4u /* messages */
#define PREFETCH_BYTES_MAX 256
#define CACHE_LINE_BYTES 64
#define KAFKA_LOOK_MESSAGES 1000
#define SHOWN_BYTES_MAX 4096 /* of a message that is too long */

static kafka_reader *reader_of(const polling *polling)
{
    return (kafka_reader *)polling->reader;
}

static bool is_used(const kafka_reader *reader, uint32_t column)
{
    return column != KAFKA_NONE && (reader->base.used == NULL || reader->base.used[column]);
}

/* ---- the columns beside the value ---------------------------------------------------------- */

/* The bytes as a string: as they are where they are UTF-8, else with U+FFFD for each byte that is
 * not. */
static bool kafka_put_text(batch *into, column *column, const void *bytes, size_t length)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    const char *from = bytes;
    size_t n = 0;

    if (bytes == NULL)
        return column_set_null(into->arena, column, into->n_rows);
    if (!text_is_utf8(from, length)) {
        char *copy = arena_alloc(into->arena, 3 * length);
        if (copy == NULL)
            return false;
        for (size_t at = 0; at < length;) {
            size_t take = 0;
            for (size_t most = length - at < 4 ? length - at : 4; take == 0 && most > 0; most--)
                if (text_is_utf8(from + at, most))
                    take = most;
            memcpy(copy + n, take > 0 ? from + at : replacement, take > 0 ? take : 3);
            n += take > 0 ? take : 3;
            at += take > 0 ? take : 1;
        }
        from = copy;
        length = n;
    }
    cell_set_valid(column, into->n_rows);
    cell_put_text(column, into->n_rows, from, length);
    return true;
}

static void kafka_put_number(column *column, uint32_t row, int64_t value)
{
    cell_set_valid(column, row);
    cell_put_whole(column, row, value);
}

/* Butterfree's struct: key, topic, value, partition, offset, timestamp, timestampType. */
static bool put_metadata(polling *polling, const char *topic, int32_t number,
                         const rd_kafka_message_t *message, int64_t time_us, int kind)
{
    batch *into = polling->into;
    column *column = &into->columns[reader_of(polling)->metadata_column];
    struct column *parts = column->children;
    bool ok;

    cell_set_valid(column, into->n_rows);
    ok = kafka_put_text(into, &parts[0], message->key, message->key_len) &&
         kafka_put_text(into, &parts[1], topic, strlen(topic)) &&
         kafka_put_text(into, &parts[2], message->payload, message->len);
    kafka_put_number(&parts[3], into->n_rows, number);
    kafka_put_number(&parts[4], into->n_rows, message->offset);
    if (time_us == INT64_MIN)
        ok = ok && column_set_null(into->arena, &parts[5], into->n_rows);
    else
        kafka_put_number(&parts[5], into->n_rows, time_us);
    kafka_put_number(&parts[6], into->n_rows, kind);
    return ok;
}

/* The message's time, INT64_MIN: none; and its kind, in Kafka's own numbers, which begin at -1. */
static int64_t message_time(const rd_kafka_message_t *message, int *kind)
{
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    const int64_t time_ms = rd_kafka_message_timestamp(message, &type);

    *kind = (int)type - 1;
    return type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || time_ms < 0 ? INT64_MIN : time_ms * 1000;
}

/* Headers as JSON text: [{"key": ..., "value": ...}], in their order; bytes that are no text as
 * "base64". */
static freshet_code put_headers(polling *polling, const rd_kafka_message_t *message)
{
    batch *into = polling->into;
    column *column = &into->columns[reader_of(polling)->headers_column];
    rd_kafka_headers_t *headers = NULL;
    text_buffer text;
    char *copy = NULL;

    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return column_set_null(into->arena, column, into->n_rows)
                   ? FRESHET_OK
                   : error_memory(polling->err, READING);
    text_init(&text, TEXT_LIMIT_DEFAULT);
    const char *name;
    const void *value;
    size_t size;
    for (size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        text_append_c(&text, i == 0 ? "[{\"key\":" : ",{\"key\":");
        text_append_json(&text, name, strlen(name));
        if (value == NULL) {
            text_append_c(&text, ",\"value\":null}");
        } else if (text_is_utf8(value, size)) {
            text_append_c(&text, ",\"value\":");
            text_append_json(&text, value, size);
            text_append_char(&text, '}');
        } else {
            text_append_c(&text, ",\"base64\":\"");
            text_append_base64(&text, value, size);
            text_append_c(&text, "\"}");
        }
    }
    text_append_c(&text, text.length == 0 ? "[]" : "]");
    if (!text.failed)
        copy = arena_copy(into->arena, text.bytes, text.length);
    if (copy != NULL) {
        cell_set_valid(column, into->n_rows);
        cell_put_text(column, into->n_rows, copy, text.length);
    }
    text_release(&text);
    return copy != NULL ? FRESHET_OK : error_memory(polling->err, READING);
}

static freshet_code kafka_put_key(polling *polling, const rd_kafka_message_t *message,
                                  freshet_error *err)
{
    kafka_reader *reader = reader_of(polling);
    batch *into = polling->into;
    column *column = &into->columns[reader->key_column];

    if (message->key == NULL)
        return column_set_null(into->arena, column, into->n_rows) ? FRESHET_OK
                                                                  : error_memory(err, READING);
    cell_set_valid(column, into->n_rows);
    reader->key_rows.n_rows = into->n_rows;
    return decoder_decode(reader->key, message->key, message->key_len, err);
}

/* ---- dead letters -------------------------------------------------------------------------- */

/* What the letter keeps of the message, where rows have it. */
static void keep_beside(const kafka_reader *reader, const rd_kafka_message_t *message, reject *into)
{
    if (!is_used(reader, reader->key_column) && !is_used(reader, reader->metadata_column))
        return;
    into->has_message = true;
    into->key = message->key;
    into->key_length = message->key == NULL ? 0 : message->key_len;
    into->message_us = message_time(message, &into->message_kind);
}

void kafka_beside(freshet_reader *base, const origin *origin, reject *into)
{
    kafka_reader *reader = (kafka_reader *)base;
    const uint32_t n = reader->n_messages;

    for (uint32_t i = 0; i < n;
         i++) { /* they come in order: begin at the last one that was asked */
        const uint32_t at = (reader->last_beside + i) % n;
        const rd_kafka_message_t *message = reader->messages[at];
        if (message == NULL || message->offset != origin->offset ||
            message->payload != (const void *)origin->raw)
            continue;
        keep_beside(reader, message, into);
        reader->last_beside = at;
        return;
    }
}

/* ---- one message --------------------------------------------------------------------------- */

static freshet_code kafka_refuse(polling *polling, const kafka_partition *partition,
                                 const rd_kafka_message_t *message, reason_code code,
                                 const char *part, const char *reason)
{
    reject bad = {.partition = partition->name,
                  .offset = message->offset,
                  .raw = message->payload,
                  .raw_length = message->payload == NULL ? 0 : message->len};

    keep_beside(reader_of(polling), message, &bad);
    if ((int64_t)message->len > kafka_options_of(reader_of(polling))->max_message_bytes)
        bad.raw_length = SHOWN_BYTES_MAX < message->len ? SHOWN_BYTES_MAX : message->len;
    return polling_refuse(polling, &bad, code, part, reason);
}

static freshet_code decode_value(polling *polling, const rd_kafka_message_t *message,
                                 freshet_error *err)
{
    kafka_reader *reader = reader_of(polling);
    batch *into = polling->into;

    if (message->payload == NULL) { /* a tombstone */
        for (uint32_t i = 0; i < reader->n_value_columns; i++)
            if (!column_set_null(into->arena, &into->columns[i], into->n_rows))
                return error_memory(err, READING);
        return FRESHET_OK;
    }
    reader->value_rows.n_rows = into->n_rows;
    return decoder_decode(reader->value, message->payload, message->len, err);
}

static void tell_unseen(void *context, uint32_t column, const char *name, const char *near)
{
    const kafka_reader *reader = context;
    text_buffer count;

    (void)column;
    text_init(&count, 100);
    text_append_count_of(&count, reader->n_good, "message");
    log_say(LOG_WARNING, reader->base.block->id.value, "%s: none of the first %s has it%s%s%s",
            name, count.failed ? "" : count.bytes, near == NULL ? "" : "; did you mean ",
            near == NULL ? "" : near, near == NULL ? "" : "?");
    text_release(&count);
}

/* After the first messages, or all where they are fewer: columns of the schema that none has. */
static void say_unseen(kafka_reader *reader)
{
    const format *format = reader->value->format;

    if (!reader->said_unseen && reader->n_good > 0 && format->unseen != NULL)
        format->unseen(reader->value, tell_unseen, reader);
    reader->said_unseen = reader->n_good > 0;
}

static freshet_code kafka_decode(polling *polling, const kafka_partition *partition,
                                 const rd_kafka_message_t *message)
{
    kafka_reader *reader = reader_of(polling);
    freshet_error problem; /* not all of it is made zero: that takes as long as a short message */
    const decoder *decoder = reader->value;
    const char *part = "";

    problem.code = FRESHET_OK;
    problem.then = FRESHET_STOP;
    problem.at[0] = problem.text[0] = '\0';
    freshet_code code = decode_value(polling, message, &problem);

    if (code == FRESHET_OK && is_used(reader, reader->key_column)) {
        part = "the key: ";
        decoder = reader->key;
        code = kafka_put_key(polling, message, &problem);
    }
    if (code != FRESHET_OK && problem.then == FRESHET_SKIP_ROW)
        return kafka_refuse(polling, partition, message, decoder->refused, part, problem.text);
    if (code != FRESHET_OK) {
        if (polling->err != NULL)
            *polling->err = problem;
        return code;
    }
    if (is_used(reader, reader->headers_column)) {
        code = put_headers(polling, message);
        if (code != FRESHET_OK)
            return code;
    }
    int kind = 0;
    if (is_used(reader, reader->metadata_column)) {
        const int64_t time_us = message_time(message, &kind);
        if (!put_metadata(polling, partition->topic->name, partition->number, message, time_us,
                          kind))
            return error_memory(polling->err, READING);
    }
    polling->into->origins[polling->into->n_rows++] =
        (origin){.raw = message->payload,
                 .raw_length = (uint32_t)message->len,
                 .partition = (uint32_t)(partition - reader->partitions),
                 .offset = message->offset,
                 .lane = partition->lane,
                 .length = 1};
    if (message->payload != NULL && ++reader->n_good == KAFKA_LOOK_MESSAGES)
        say_unseen(reader);
    return FRESHET_OK;
}

/* `likely`: how many come at once, as far as is known. */
static freshet_code take_message(polling *polling, const rd_kafka_message_t *message,
                                 uint32_t likely)
{
    kafka_reader *reader = reader_of(polling);
    const kafka_options *options = kafka_options_of(reader);
    freshet_code code = FRESHET_OK;

    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_message_error(reader, message, polling->err);
    kafka_partition *partition = kafka_partition_of(reader, message);
    if (partition != NULL && partition->verifies && !kafka_verify(reader, partition, message))
        return FRESHET_OK;
    if (partition == NULL || partition->ended || partition->is_anew ||
        message->offset < partition->next)
        return FRESHET_OK; /* what a partition gave before it was placed anew */
    if (reader->base.mode == READ_ALL && message->offset >= partition->end) {
        kafka_end_partition(reader, partition);
        return FRESHET_OK;
    }
    code = polling_reserve(polling, likely);
    if (code != FRESHET_OK)
        return code;
    if ((int64_t)message->len > options->max_message_bytes) {
        char reason[160];
        snprintf(reason, sizeof reason,
                 "the message has %zu bytes, more than max_message_bytes (%" PRId64
                 "); only its beginning is kept here",
                 message->len, options->max_message_bytes);
        code = kafka_refuse(polling, partition, message, REASON_TOO_LARGE, "", reason);
    } else if (message->payload != NULL || options->tombstones == TOMBSTONES_NULL) {
        code = kafka_decode(polling, partition, message);
    }
    if (code != FRESHET_OK)
        return code;
    if (reader->denied == partition->topic)
        reader->denied = NULL;
    polling->bytes += message->len;
    if (reader->last_partition != partition)
        kafka_mark_take(reader);
    reader->last_partition = partition;
    reader->last_message = message;
    partition->next = message->offset + 1;
    partition->moved = reader->base.moved = true;
    if (reader->base.mode == READ_ALL && partition->next >= partition->end)
        kafka_end_partition(reader, partition);
    return FRESHET_OK;
}

/* ---- poll ---------------------------------------------------------------------------------- */

/* Gives back messages [first_held, until). */
static void give_back(kafka_reader *reader, uint32_t until)
{
    for (; reader->first_held < until; reader->first_held++)
        rd_kafka_message_destroy(reader->messages[reader->first_held]);
}

void kafka_messages_release(kafka_reader *reader)
{
    give_back(reader, reader->n_messages);
    reader->n_messages = reader->next_message = reader->first_held = 0;
}

static void drain_event(const kafka_reader *reader)
{
    uint64_t count;
    ssize_t ignored = os.read(reader->event_fd, &count, sizeof count); /* empty: so be it */

    (void)ignored;
}

/* More messages, where those at hand are used up. */
static void take_more(kafka_reader *reader)
{
    if (reader->next_message < reader->n_messages)
        return;
    kafka_messages_release(reader);
    ssize_t n = rd_kafka_consume_batch_queue(reader->queue, 0, reader->messages, KAFKA_BATCH_MAX);
    reader->n_messages = n > 0 ? (uint32_t)n : 0;
    kafka_wake(reader);
}

void kafka_prefetch(rd_kafka_message_t *const *messages, uint32_t next, uint32_t n)
{
    if (next + 2 * PREFETCH_AHEAD < n)
        kafka_prefetch_head(messages[next + 2 * PREFETCH_AHEAD]);
    if (next + PREFETCH_AHEAD >= n)
        return;
    const rd_kafka_message_t *message = messages[next + PREFETCH_AHEAD];
    for (size_t at = 0; at < message->len && at < PREFETCH_BYTES_MAX; at += CACHE_LINE_BYTES)
        __builtin_prefetch((const char *)message->payload + at);
}

static freshet_code take_messages(polling *polling)
{
    kafka_reader *reader = reader_of(polling);
    freshet_code code = FRESHET_OK;

    while (code == FRESHET_OK && reader->next_message < reader->n_messages &&
           polling_left(polling) > 0) {
        kafka_prefetch(reader->messages, reader->next_message, reader->n_messages);
        code = take_message(polling, reader->messages[reader->next_message],
                            reader->n_messages - reader->next_message);
        reader->next_message += code == FRESHET_OK;
    }
    return code;
}

static void kafka_begin(kafka_reader *reader, batch *into)
{
    reader->value_rows = (batch){.arena = into->arena,
                                 .schema = reader->value_schema,
                                 .columns = into->columns,
                                 .n_rows = into->n_rows};
    decoder_begin(reader->value, &reader->value_rows);
    if (reader->key_column == KAFKA_NONE)
        return;
    column *key = &into->columns[reader->key_column];
    reader->key_rows = (batch){.arena = into->arena,
                               .schema = reader->key_schema,
                               .columns = key->type->kind == TYPE_STRUCT ? key->children : key,
                               .n_rows = into->n_rows};
    decoder_begin(reader->key, &reader->key_rows);
}

static bool has_ended(const kafka_reader *reader)
{
    uint32_t n = 0;

    if (reader->base.mode != READ_ALL || reader->state != KAFKA_RUNNING || reader->unplaced)
        return false;
    for (uint32_t i = 0; i < reader->n_partitions; i++)
        n += reader->partitions[i].found;
    return reader->n_ended == n;
}

/* What was fetched, up to the limits. */
static freshet_code poll_any(polling *polling, bool *more)
{
    kafka_reader *reader = reader_of(polling);
    freshet_code code;

    kafka_begin(reader, polling->into);
    take_more(reader);
    code = take_messages(polling);
    if (code == FRESHET_OK)
        code = polling_end(polling);
    *more = reader->next_message < reader->n_messages || rd_kafka_queue_length(reader->queue) > 0;
    return code;
}

/* What the chosen partition has. */
static freshet_code poll_chosen(polling *polling, uint32_t chosen, bool *more)
{
    kafka_reader *reader = reader_of(polling);
    freshet_code code = FRESHET_OK;

    reader->partitions[chosen].wanted = polling->max_rows;
    kafka_begin(reader, polling->into);
    while (code == FRESHET_OK && polling_left(polling) > 0) {
        kafka_partition *partition = &reader->partitions[chosen];
        if (kafka_lanes_listed(partition) == 0)
            break;
        const rd_kafka_message_t *message = kafka_lanes_take(reader, partition, polling->err);
        code = message == NULL ? FRESHET_NO_MEMORY
                               : take_message(polling, message, kafka_lanes_listed(partition) + 1);
    }
    if (code == FRESHET_OK)
        code = polling_end(polling);
    *more = kafka_lanes_have_more(reader);
    return code;
}

/* What is due with the brokers; what poll_any gave before may go. */
static freshet_code kafka_turn(kafka_reader *reader, freshet_error *err)
{
    give_back(reader, reader->next_message);
    drain_event(reader);
    return kafka_tend(reader, err);
}

freshet_code kafka_poll(freshet_reader *base, batch *into, uint32_t max_rows, size_t max_bytes,
                        rejects *rejects, bool *more, freshet_error *err)
{
    kafka_reader *reader = (kafka_reader *)base;
    const reader_choice *choice = base->choice;
    const bool chooses_none = choice != NULL && choice->partition == READER_NONE;
    polling polling = polling_begin(base, into, max_rows, max_bytes, rejects, READING, err);
    freshet_code code = FRESHET_OK;

    *more = false;
    if (choice == NULL || chooses_none)
        code = kafka_turn(reader, err);
    if (code != FRESHET_OK || reader->state != KAFKA_RUNNING)
        return code;
    if (chooses_none) {
        code = kafka_lanes_fill(reader, err);
        *more = kafka_lanes_have_more(reader);
    } else {
        code = choice == NULL ? poll_any(&polling, more)
                              : poll_chosen(&polling, choice->partition, more);
    }
    kafka_mark_take(reader);
    if (code != FRESHET_OK)
        return code;
    if (has_ended(reader)) {
        say_unseen(reader);
        return FRESHET_END;
    }
    return FRESHET_OK;
}

/* ---- a replay ------------------------------------------------------------------------------- */

/* "orders/3" as topic and number. */
static const char *partition_parts(batch *into, const char *name, int32_t *number)
{
    const char *slash = name == NULL ? NULL : strrchr(name, '/');

    *number = slash == NULL ? 0 : (int32_t)strtol(slash + 1, NULL, 10);
    return slash == NULL ? NULL : arena_copy(into->arena, name, (size_t)(slash - name));
}

freshet_code kafka_replay(freshet_reader *base, const reader_record *record, batch *into,
                          reason_code *refused, freshet_error *err)
{
    kafka_reader *reader = (kafka_reader *)base;
    const bool wants_key = is_used(reader, reader->key_column);
    const bool wants_metadata = is_used(reader, reader->metadata_column);
    rd_kafka_message_t message = {.payload = (void *)record->raw,
                                  .len = record->raw_length,
                                  .key = (void *)record->key,
                                  .key_len = record->key_length,
                                  .offset = record->offset};
    rejects none = {.arena = into->arena};
    polling polling = polling_begin(base, into, 1, SIZE_MAX, &none, READING, err);
    int32_t number = 0;
    freshet_code code = reader->value == NULL ? kafka_decoders_open(reader, err) : FRESHET_OK;

    if (code != FRESHET_OK)
        return code;
    *refused = REASON_BAD_RECORD;
    if (is_used(reader, reader->headers_column) ||
        ((wants_key || wants_metadata) && !record->has_message))
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                         "the dead letter has not kept the message's %s, which the rows have: read "
                         "the topic again from there",
                         is_used(reader, reader->headers_column) ? "headers" : "key and time");
    kafka_begin(reader, into);
    code = decode_value(&polling, &message, err);
    *refused = reader->value->refused;
    if (code == FRESHET_OK && wants_key) {
        code = kafka_put_key(&polling, &message, err);
        *refused = reader->key->refused;
    }
    if (code != FRESHET_OK || !wants_metadata)
        return code;
    const char *topic = partition_parts(into, record->partition, &number);
    return topic != NULL && put_metadata(&polling, topic, number, &message, record->message_us,
                                         record->message_kind)
               ? FRESHET_OK
               : error_memory(err, READING);
}
