/* kafka_lanes.c - partitions that are read by choice (reader.h, choice); see kafka_internal.h.
 *
 * All partitions pour into one queue, in whatever order the brokers answer. Here each has a list of
 * its own, from which a poll takes what it chooses: kafka_lanes_fill moves messages from the queue
 * to the lists, as long as a partition that is known to have more has an empty list.
 *
 * MEMORY. The queue holds `memory`, and the lists half as much again. A partition whose list has
 * more than its share while others are empty is paused: librdkafka then forgets what it has
 * fetched of it, and fetches it again, behind the last message in the list, when the list has
 * become short.
 *
 * THE END of a partition is where the brokers said that it is when they answered last; or where
 * librdkafka says so in the place of a message (enable.partition.eof), which takes it an answer
 * more. A partition that has been read to there is not waited for until its next message comes.
 *
 * Messages that gave rows are kept until the next poll that chooses none.
 */
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "readers/kafka/kafka_internal.h"

#define LISTS_ENOUGH_BYTES ((size_t)4 << 20) /* do not look for more where nobody is short */
#define SORT_AHEAD 8                         /* messages */
#define SHARE_LEAST ((size_t)64 << 10)

/* ---- lists ----------------------------------------------------------------------------------- */

static bool list_is_empty(const kafka_partition *partition)
{
    return partition->first_listed == partition->n_listed;
}

static freshet_code list_add(kafka_reader *reader, kafka_partition *partition,
                             rd_kafka_message_t *message, freshet_error *err)
{
    if (list_is_empty(partition))
        partition->first_listed = partition->n_listed = 0;
    if (!array_reserve(&partition->listed, &partition->listed_capacity,
                       partition->n_listed + UINT64_C(1), sizeof(rd_kafka_message_t *)))
        return error_memory(err, "reading messages");
    partition->listed[partition->n_listed++] = message;
    partition->listed_bytes += message->len;
    reader->listed_bytes += message->len;
    return FRESHET_OK;
}

void kafka_lanes_drop(kafka_reader *reader, kafka_partition *partition)
{
    for (; partition->first_listed < partition->n_listed; partition->first_listed++)
        rd_kafka_message_destroy(partition->listed[partition->first_listed]);
    reader->listed_bytes -= partition->listed_bytes;
    partition->listed_bytes = 0;
    partition->first_listed = partition->n_listed = 0;
}

static void give_back_taken(kafka_reader *reader)
{
    for (uint32_t i = 0; i < reader->n_taken; i++)
        rd_kafka_message_destroy(reader->taken[i]);
    reader->n_taken = 0;
}

void kafka_lanes_release(kafka_reader *reader)
{
    give_back_taken(reader);
    free(reader->taken);
    for (uint32_t i = 0; i < reader->n_partitions; i++) {
        kafka_lanes_drop(reader, &reader->partitions[i]);
        free(reader->partitions[i].listed);
    }
}

/* ---- who waits ------------------------------------------------------------------------------- */

/* Has everything been taken that the brokers had when they answered last? (In a topic with
 * transactions a mark may stand behind the last message: then at_end is to be waited for.) */
static bool is_at_tip(const kafka_reader *reader, const kafka_partition *partition)
{
    int64_t low = 0, high = 0;

    return rd_kafka_get_watermark_offsets(reader->client, partition->topic->name, partition->number,
                                          &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
           high >= 0 && partition->next >= high;
}

/* A partition that has more, as far as is known. */
static bool has_more(const kafka_reader *reader, const kafka_partition *partition)
{
    if (reader->base.mode == READ_ALL)
        return partition->found && !partition->ended;
    if (!list_is_empty(partition))
        return true;
    return partition->started && !partition->at_end && !is_at_tip(reader, partition);
}

uint32_t kafka_waiting(freshet_reader *base, uint32_t after)
{
    const kafka_reader *reader = (const kafka_reader *)base;

    if (reader->state != KAFKA_RUNNING)
        return READER_UNSETTLED;
    for (uint32_t i = after == READER_NONE ? 0 : after + 1; i < reader->n_partitions; i++)
        if (has_more(reader, &reader->partitions[i]))
            return i;
    return READER_NONE;
}

/* ---- filling --------------------------------------------------------------------------------- */

/* Somebody has more, and nothing of it is here. */
static bool anyone_is_short(const kafka_reader *reader)
{
    for (uint32_t i = 0; i < reader->n_partitions; i++) {
        const kafka_partition *partition = &reader->partitions[i];
        if (partition->started && list_is_empty(partition) && has_more(reader, partition))
            return true;
    }
    return false;
}

/* Pauses those that have more than their share, or lets those go on that have little. */
static void pause_or_resume(kafka_reader *reader, bool pause)
{
    const size_t memory = (size_t)kafka_options_of(reader)->memory;
    uint32_t n_started = 1;
    rd_kafka_topic_partition_list_t *which;

    for (uint32_t i = 0; i < reader->n_partitions; i++)
        n_started += reader->partitions[i].started;
    size_t share = memory / 2 / n_started < SHARE_LEAST ? SHARE_LEAST : memory / 2 / n_started;
    which = rd_kafka_topic_partition_list_new((int)n_started);
    for (uint32_t i = 0; i < reader->n_partitions; i++) {
        kafka_partition *partition = &reader->partitions[i];
        const bool changes = pause ? !partition->paused && partition->listed_bytes > share
                                   : partition->paused && partition->listed_bytes <= share / 4;
        if (!partition->started || !changes)
            continue;
        partition->paused = pause;
        reader->n_paused += pause ? 1u : UINT32_MAX;
        rd_kafka_topic_partition_list_add(which, partition->topic->name, partition->number);
    }
    if (which->cnt > 0 && pause)
        rd_kafka_pause_partitions(reader->client, which);
    else if (which->cnt > 0)
        rd_kafka_resume_partitions(reader->client, which);
    rd_kafka_topic_partition_list_destroy(which);
}

/* One message, or what came in the place of one, to where it belongs. */
static freshet_code sort_in(kafka_reader *reader, rd_kafka_message_t *message, freshet_error *err)
{
    kafka_partition *partition = kafka_partition_of(reader, message);
    const bool is_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    freshet_code code = FRESHET_OK;

    if (partition != NULL && (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || is_end))
        partition->at_end = is_end;
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        if (partition != NULL)
            kafka_lanes_drop(reader, partition); /* it is placed at `next` anew */
    }
    if (partition != NULL &&
        (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || (is_end && reader->base.mode == READ_ALL)))
        return list_add(reader, partition, message, err);
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        code = kafka_message_error(reader, message, err);
    rd_kafka_message_destroy(message);
    return code;
}

freshet_code kafka_lanes_fill(kafka_reader *reader, freshet_error *err)
{
    const size_t memory = (size_t)kafka_options_of(reader)->memory;
    freshet_code code = FRESHET_OK;
    bool is_short;

    give_back_taken(reader);
    if (reader->n_paused > 0)
        pause_or_resume(reader, false);
    while (code == FRESHET_OK &&
           ((is_short = anyone_is_short(reader)) || reader->listed_bytes < LISTS_ENOUGH_BYTES)) {
        if (is_short && reader->listed_bytes > memory / 2)
            pause_or_resume(reader, true);
        ssize_t n =
            rd_kafka_consume_batch_queue(reader->queue, 0, reader->messages, KAFKA_BATCH_MAX);
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++) {
            if (i + SORT_AHEAD < n)
                __builtin_prefetch(reader->messages[i + SORT_AHEAD]);
            if (code == FRESHET_OK)
                code = sort_in(reader, reader->messages[i], err);
            else
                rd_kafka_message_destroy(reader->messages[i]);
        }
    }
    kafka_wake(reader);
    return code;
}

bool kafka_lanes_have_more(const kafka_reader *reader)
{
    return reader->listed_bytes > 0 || rd_kafka_queue_length(reader->queue) > 0;
}

/* ---- taking ---------------------------------------------------------------------------------- */

rd_kafka_message_t *kafka_lanes_take(kafka_reader *reader, kafka_partition *partition,
                                     freshet_error *err)
{
    if (!array_reserve(&reader->taken, &reader->taken_capacity, reader->n_taken + UINT64_C(1),
                       sizeof(rd_kafka_message_t *))) {
        error_memory(err, "reading messages");
        return NULL;
    }
    kafka_prefetch(partition->listed, partition->first_listed, partition->n_listed);
    rd_kafka_message_t *message = partition->listed[partition->first_listed++];
    partition->listed_bytes -= message->len;
    reader->listed_bytes -= message->len;
    reader->taken[reader->n_taken++] = message;
    return message;
}

bool kafka_lanes_has(const kafka_partition *partition)
{
    return !list_is_empty(partition);
}
