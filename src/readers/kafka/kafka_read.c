/* kafka_read.c - messages into rows; see kafka_internal.h.
 *
 * Messages are taken from the queue KAFKA_BATCH_MAX at a time and decoded: value, key, headers,
 * metadata. What does not fit into a micro-batch waits for the next poll. Texts point into the
 * messages where they can, so a message that gave a row is kept until the next poll.
 *
 * They are decoded one by one, or, where the pipeline has several workers, found first and decoded
 * in slices (readers/slices.h). The first KAFKA_LOOK_MESSAGES are decoded one by one in any case,
 * since what is said of them is to be the same.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
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

static void rows_begin(message_rows *rows, kafka_reader *reader, batch *into, decoder *value,
                       decoder *key)
{
    *rows = (message_rows){.reader = reader, .into = into, .value = value, .key = key};
    rows->value_rows = (batch){.arena = into->arena,
                               .schema = reader->value_schema,
                               .columns = into->columns,
                               .n_rows = into->n_rows};
    decoder_begin(value, &rows->value_rows);
    if (reader->key_column == KAFKA_NONE)
        return;
    column *column = &into->columns[reader->key_column];
    rows->key_rows =
        (batch){.arena = into->arena,
                .schema = reader->key_schema,
                .columns = column->type->kind == TYPE_STRUCT ? column->children : column,
                .n_rows = into->n_rows};
    decoder_begin(key, &rows->key_rows);
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
static bool put_metadata(const message_rows *rows, const char *topic, int32_t number,
                         const rd_kafka_message_t *message, int64_t time_us, int kind)
{
    batch *into = rows->into;
    column *column = &into->columns[rows->reader->metadata_column];
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
static freshet_code put_headers(const message_rows *rows, const rd_kafka_message_t *message,
                                freshet_error *err)
{
    batch *into = rows->into;
    column *column = &into->columns[rows->reader->headers_column];
    rd_kafka_headers_t *headers = NULL;
    text_buffer text;
    char *copy = NULL;

    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return column_set_null(into->arena, column, into->n_rows) ? FRESHET_OK
                                                                  : error_memory(err, READING);
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
    return copy != NULL ? FRESHET_OK : error_memory(err, READING);
}

static freshet_code kafka_put_key(message_rows *rows, const rd_kafka_message_t *message,
                                  freshet_error *err)
{
    batch *into = rows->into;
    column *column = &into->columns[rows->reader->key_column];

    if (message->key == NULL)
        return column_set_null(into->arena, column, into->n_rows) ? FRESHET_OK
                                                                  : error_memory(err, READING);
    cell_set_valid(column, into->n_rows);
    rows->key_rows.n_rows = into->n_rows;
    return decoder_decode(rows->key, message->key, message->key_len, err);
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

static freshet_code decode_value(message_rows *rows, const rd_kafka_message_t *message,
                                 freshet_error *err)
{
    batch *into = rows->into;

    if (message->payload == NULL) { /* a tombstone */
        for (uint32_t i = 0; i < rows->reader->n_value_columns; i++)
            if (!column_set_null(into->arena, &into->columns[i], into->n_rows))
                return error_memory(err, READING);
        return FRESHET_OK;
    }
    rows->value_rows.n_rows = into->n_rows;
    return decoder_decode(rows->value, message->payload, message->len, err);
}

static bool is_too_large(const kafka_reader *reader, const rd_kafka_message_t *message)
{
    return (int64_t)message->len > kafka_options_of(reader)->max_message_bytes;
}

/* The columns that the value and the key say. An error with FRESHET_SKIP_ROW: *refused and *part
 * say why. */
static freshet_code decode_message(message_rows *rows, const rd_kafka_message_t *message,
                                   reason_code *refused, const char **part, freshet_error *err)
{
    kafka_reader *reader = rows->reader;
    freshet_code code;

    if (is_too_large(reader, message)) {
        *refused = REASON_TOO_LARGE;
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                         "the message has %zu bytes, more than max_message_bytes (%" PRId64
                         "); only its beginning is kept here",
                         message->len, kafka_options_of(reader)->max_message_bytes);
    }
    code = decode_value(rows, message, err);
    if (code != FRESHET_OK) {
        *refused = rows->value->refused;
    } else if (is_used(reader, reader->key_column)) {
        code = kafka_put_key(rows, message, err);
        *part = "the key: ";
        *refused = rows->key->refused;
    }
    return code;
}

/* One message as row into->n_rows, and its origin; the caller counts. */
static freshet_code put_message(message_rows *rows, const kafka_partition *partition,
                                const rd_kafka_message_t *message, reason_code *refused,
                                const char **part, freshet_error *err)
{
    kafka_reader *reader = rows->reader;
    batch *into = rows->into;
    int kind = 0;
    freshet_code code = decode_message(rows, message, refused, part, err);

    if (code == FRESHET_OK && is_used(reader, reader->headers_column))
        code = put_headers(rows, message, err);
    if (code == FRESHET_OK && is_used(reader, reader->metadata_column)) {
        const int64_t time_us = message_time(message, &kind);
        if (!put_metadata(rows, partition->topic->name, partition->number, message, time_us, kind))
            code = error_memory(err, READING);
    }
    if (code == FRESHET_OK)
        into->origins[into->n_rows] =
            (origin){.raw = message->payload,
                     .raw_length = (uint32_t)message->len,
                     .partition = (uint32_t)(partition - reader->partitions),
                     .offset = message->offset,
                     .lane = partition->lane,
                     .length = 1};
    return code;
}

static void tell_unseen(void *context, uint32_t column, const char *name, const char *near)
{
    const kafka_reader *reader = context;
    text_buffer count;

    (void)column;
    text_init(&count, 100);
    text_append_count_of(&count, reader->n_good, "message");
    log_event(COLUMN_UNSEEN, reader->base.block->id.value, name, count.failed ? "" : count.bytes,
              near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
              near == NULL ? "" : "?");
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
    reason_code refused = REASON_BAD_RECORD;
    const char *part = "";
    freshet_error problem; /* not all of it is made zero: that takes as long as a short message */

    problem.code = FRESHET_OK;
    problem.then = FRESHET_STOP;
    problem.at[0] = problem.text[0] = '\0';
    freshet_code code = put_message(&reader->rows, partition, message, &refused, &part, &problem);

    if (code != FRESHET_OK && problem.then == FRESHET_SKIP_ROW)
        return kafka_refuse(polling, partition, message, refused, part, problem.text);
    if (code != FRESHET_OK) {
        if (polling->err != NULL)
            *polling->err = problem;
        return code;
    }
    polling->into->n_rows++;
    if (message->payload != NULL && ++reader->n_good == KAFKA_LOOK_MESSAGES)
        say_unseen(reader);
    return FRESHET_OK;
}

/* ---- messages ------------------------------------------------------------------------------ */

/* A message that is to be decoded: now, or with others in slices. */
static freshet_code meet_message(polling *polling, kafka_partition *partition,
                                 const rd_kafka_message_t *message, uint32_t likely, bool now)
{
    kafka_reader *reader = reader_of(polling);
    freshet_code code;

    if (now) {
        code = polling_reserve(polling, likely);
        return code == FRESHET_OK ? kafka_decode(polling, partition, message) : code;
    }
    if (!array_reserve(&reader->found, &reader->found_capacity, reader->n_found + UINT64_C(1),
                       sizeof *reader->found))
        return error_memory(polling->err, READING);
    reader->found[reader->n_found++] = (kafka_found){message, partition};
    return FRESHET_OK;
}

/* `likely`: how many come at once, as far as is known. */
static freshet_code take_message(polling *polling, const rd_kafka_message_t *message,
                                 uint32_t likely, bool now)
{
    kafka_reader *reader = reader_of(polling);
    const bool drops = kafka_options_of(reader)->tombstones != TOMBSTONES_NULL;

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
    if (message->payload != NULL || !drops || is_too_large(reader, message)) {
        freshet_code code = meet_message(polling, partition, message, likely, now);
        if (code != FRESHET_OK)
            return code;
    }
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

static void prefetch_payload(const rd_kafka_message_t *message)
{
    for (size_t at = 0; at < message->len && at < PREFETCH_BYTES_MAX; at += CACHE_LINE_BYTES)
        __builtin_prefetch((const char *)message->payload + at);
}

void kafka_prefetch(rd_kafka_message_t *const *messages, uint32_t next, uint32_t n)
{
    if (next + 2 * PREFETCH_AHEAD < n)
        kafka_prefetch_head(messages[next + 2 * PREFETCH_AHEAD]);
    if (next + PREFETCH_AHEAD < n)
        prefetch_payload(messages[next + PREFETCH_AHEAD]);
}

/* ---- slices -------------------------------------------------------------------------------- */

/* Are messages decoded one by one? What is said of the first ones wants to see them so. */
static bool is_one_by_one(const kafka_reader *reader)
{
    return !reader->cuts || !reader->said_unseen;
}

/* How many messages may still be taken. */
static uint32_t messages_left(const polling *polling)
{
    const uint32_t left = polling_left(polling), n_found = reader_of(polling)->n_found;

    return left > n_found ? left - n_found : 0;
}

static void slice_begin(void *context, slice *slice)
{
    kafka_reader *reader = reader_of(context);

    slice->own = arena_alloc(slice->arena, sizeof(message_rows));
    if (slice->own != NULL)
        rows_begin(slice->own, reader, &slice->rows, slice->decoders[0], slice->decoders[1]);
}

static freshet_code slice_message(void *context, slice *slice, uint32_t which, reason_code *refused,
                                  const char **part, freshet_error *err)
{
    const kafka_reader *reader = reader_of(context);
    const kafka_found *found = &reader->found[which];

    if (slice->own == NULL)
        return error_memory(err, READING);
    if (which + PREFETCH_AHEAD < reader->n_found)
        prefetch_payload(found[PREFETCH_AHEAD].message);
    return put_message(slice->own, found->partition, found->message, refused, part, err);
}

static freshet_code slice_refusal_of(void *context, const slice_refusal *refusal)
{
    polling *polling = context;
    const kafka_found *found = &reader_of(polling)->found[refusal->record];

    return kafka_refuse(polling, found->partition, found->message, refusal->code, refusal->part,
                        refusal->reason);
}

static bool begin_slices(const polling *polling)
{
    kafka_reader *reader = reader_of(polling);

    return slices_are_wanted(reader->slices, &reader->base, reader->n_found) &&
           slices_follow(reader->slices, 0, reader->value, NULL) == FRESHET_OK &&
           (reader->key == NULL ||
            slices_follow(reader->slices, 1, reader->key, NULL) == FRESHET_OK);
}

/* Decodes what was found. */
static freshet_code decode_found(polling *polling)
{
    kafka_reader *reader = reader_of(polling);
    const slicing how = {.context = polling,
                         .begin = slice_begin,
                         .decode = slice_message,
                         .refuse = slice_refusal_of};
    freshet_code code = FRESHET_OK;
    uint32_t n_done = 0;

    if (begin_slices(polling))
        code = slices_decode(reader->slices, polling, &how, reader->n_found, &n_done, polling->err);
    else
        for (uint32_t i = 0; code == FRESHET_OK && i < reader->n_found; i++)
            code = meet_message(polling, reader->found[i].partition, reader->found[i].message,
                                reader->n_found - i, true);
    reader->n_found = 0;
    return code;
}

/* Behind taking messages, which has ended with `taken`: what was found before is there, too. */
static freshet_code finish_taking(polling *polling, freshet_code taken)
{
    const bool has_found = reader_of(polling)->n_found > 0;
    freshet_code code = has_found ? decode_found(polling) : FRESHET_OK;

    return taken != FRESHET_OK ? taken : code;
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

static freshet_code take_messages(polling *polling)
{
    kafka_reader *reader = reader_of(polling);
    freshet_code code = FRESHET_OK;

    while (code == FRESHET_OK && reader->next_message < reader->n_messages &&
           messages_left(polling) > 0) {
        kafka_prefetch(reader->messages, reader->next_message, reader->n_messages);
        code = take_message(polling, reader->messages[reader->next_message],
                            reader->n_messages - reader->next_message, is_one_by_one(reader));
        reader->next_message += code == FRESHET_OK;
    }
    return finish_taking(polling, code);
}

/* Messages become rows of that batch now, at most so many. */
static void kafka_begin(kafka_reader *reader, batch *into, uint32_t max_rows)
{
    rows_begin(&reader->rows, reader, into, reader->value, reader->key);
    reader->cuts = slices_are_wanted(reader->slices, &reader->base, max_rows);
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

    kafka_begin(reader, polling->into, polling->max_rows);
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
    kafka_begin(reader, polling->into, polling->max_rows);
    while (code == FRESHET_OK && messages_left(polling) > 0) {
        kafka_partition *partition = &reader->partitions[chosen];
        if (kafka_lanes_listed(partition) == 0)
            break;
        const rd_kafka_message_t *message = kafka_lanes_take(reader, partition, polling->err);
        code = message == NULL ? FRESHET_NO_MEMORY
                               : take_message(polling, message, kafka_lanes_listed(partition) + 1,
                                              is_one_by_one(reader));
    }
    code = finish_taking(polling, code);
    if (code == FRESHET_OK)
        code = polling_end(polling);
    *more = kafka_lanes_have_more(reader);
    return code;
}

/* What is due with the brokers; what poll_any gave before may go. */
static freshet_code kafka_turn(kafka_reader *reader, freshet_error *err)
{
    slices_begin(reader->slices);
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
    kafka_begin(reader, into, 1);
    code = decode_value(&reader->rows, &message, err);
    *refused = reader->value->refused;
    if (code == FRESHET_OK && wants_key) {
        code = kafka_put_key(&reader->rows, &message, err);
        *refused = reader->key->refused;
    }
    if (code != FRESHET_OK || !wants_metadata)
        return code;
    const char *topic = partition_parts(into, record->partition, &number);
    return topic != NULL && put_metadata(&reader->rows, topic, number, &message, record->message_us,
                                         record->message_kind)
               ? FRESHET_OK
               : error_memory(err, READING);
}
