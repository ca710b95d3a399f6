/* kafka_lanes.c - partitions that are read by choice (reader.h, choice); see kafka_internal.h.
 *
 * All partitions pour into one queue, in whatever order the brokers answer. Here each has a list of
 * its own, from which a poll takes what it chooses: kafka_lanes_fill moves messages from the queue
 * to the lists, as long as a partition that is known to have more has an empty list, or less than
 * polls took of it last.
 *
 * MEMORY. Around each message there are some 400 bytes, so as few are in lists as will do, and the
 * queue holds half of what it holds where no partition is chosen (kafka_settings.c). The lists may
 * grow to half of `memory`: a partition whose list has more than its share while others are empty
 * is paused: librdkafka then forgets what it has fetched of it, and fetches it again, behind the
 * last message in the list, when the list has become short.
 *
 * THE END of a partition is where the brokers said that it is when they answered last; or where
 * librdkafka says so in the place of a message (enable.partition.eof), which takes it an answer
 * more. A partition that has been read to there is not waited for until its next message comes.
 *
 * SILENCE. Neither sign comes where librdkafka does not fetch. So the brokers are asked for the end
 * of a partition that others wait for and that has given nothing for a second; and where they have
 * more than we were given, and still nothing comes, its fetching begins anew.
 *
 * Messages that gave rows are kept until the next poll that chooses none; then the crew gives them
 * back, where there is one.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "readers/kafka/kafka_internal.h"

#define LISTS_ENOUGH_BYTES ((size_t)4 << 20) /* no more where no list is empty */
#define SORT_AHEAD 16                        /* messages */
#define WANTED_SPARE 8u                      /* of so many messages one more */
#define GIVEN_LEAST 512u                     /* messages; fewer are given back at once */
#define SHARE_LEAST ((size_t)64 << 10)
#define WATCH_EVERY_US INT64_C(500000)

/* ---- lists ----------------------------------------------------------------------------------- */

static bool list_is_empty(const kafka_partition *partition)
{
    return partition->first_listed == partition->n_listed;
}

static uint32_t list_length(const kafka_partition *partition)
{
    return partition->n_listed - partition->first_listed;
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
    partition->silent_since_us = 0;
}

void kafka_lanes_resume(kafka_reader *reader, kafka_partition *partition)
{
    rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(one, partition->topic->name, partition->number);
    rd_kafka_resume_partitions(reader->client, one);
    rd_kafka_topic_partition_list_destroy(one);
    reader->n_paused -= partition->paused;
    partition->paused = false;
}

static void give_back(void *context)
{
    kafka_reader *reader = context;

    for (uint32_t i = 0; i < reader->n_given; i++)
        rd_kafka_message_destroy(reader->given[i]);
    reader->n_given = 0;
}

static void settle_given(kafka_reader *reader)
{
    if (!crew_settle(reader->base.crew, &reader->giving))
        give_back(reader);
}

/* Messages that are many are given back by the crew, while the loop is at the next ones: that takes
 * nearly as long as to find them. */
static void give_back_taken(kafka_reader *reader)
{
    rd_kafka_message_t **const given = reader->given;
    const uint32_t capacity = reader->given_capacity;

    settle_given(reader);
    reader->given = reader->taken;
    reader->n_given = reader->n_taken;
    reader->given_capacity = reader->taken_capacity;
    reader->taken = given;
    reader->n_taken = 0;
    reader->taken_capacity = capacity;
    reader->giving.task = give_back;
    reader->giving.context = reader;
    if (reader->n_given < GIVEN_LEAST || !crew_give(reader->base.crew, &reader->giving))
        give_back(reader);
}

void kafka_lanes_release(kafka_reader *reader)
{
    give_back_taken(reader);
    settle_given(reader);
    free(reader->taken);
    free(reader->given);
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

/* ---- who is silent --------------------------------------------------------------------------- */

/* Others wait for it, and there is nothing of it; nor anything else that would say why. */
static bool is_silent(const kafka_reader *reader, const kafka_partition *partition)
{
    return partition->started && list_is_empty(partition) && reader->trouble[0] == '\0' &&
           !reader->unplaced && has_more(reader, partition);
}

/* *ask: whether some of them have been silent for long enough. True where any is silent. */
static bool find_silent(kafka_reader *reader, int64_t now_us, bool *ask)
{
    bool found = false;

    for (uint32_t i = 0; i < reader->n_partitions; i++) {
        kafka_partition *partition = &reader->partitions[i];
        const bool silent = is_silent(reader, partition);
        if (partition->silent_at != partition->next)
            partition->stands_us = KAFKA_STANDS_US;
        if (!silent || partition->silent_since_us == 0 || partition->silent_at != partition->next)
            partition->silent_since_us = silent ? now_us : 0;
        partition->silent_at = partition->next;
        found = found || silent;
        *ask = *ask || (silent && now_us - partition->silent_since_us >= KAFKA_SILENT_US);
    }
    return found;
}

/* `end`: what the brokers have of a silent one. */
static void take_end(kafka_reader *reader, kafka_partition *partition, int64_t end, int64_t now_us)
{
    const int64_t silent_us = now_us - partition->silent_since_us;

    if (reader->base.mode == READ_FOLLOW && partition->next >= end) {
        partition->at_end = true;
        return;
    }
    if (silent_us < partition->stands_us)
        return;
    log_event(PARTITION_SILENT, kafka_id(reader), partition->name, silent_us / 1000000,
              partition->next, end);
    partition->silent_since_us = 0;
    if (partition->stands_us < KAFKA_STANDS_MAX_US)
        partition->stands_us *= 2;
    kafka_lanes_resume(reader, partition); /* whatever made it stand */
    kafka_place_again(reader, partition, partition->mark);
}

static void ask_ends(kafka_reader *reader, int64_t now_us)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)reader->n_partitions);

    for (uint32_t i = 0; i < reader->n_partitions; i++) {
        kafka_partition *partition = &reader->partitions[i];
        if (partition->silent_since_us == 0 ||
            now_us - partition->silent_since_us < KAFKA_SILENT_US)
            continue;
        rd_kafka_topic_partition_t *added =
            rd_kafka_topic_partition_list_add(list, partition->topic->name, partition->number);
        added->offset = RD_KAFKA_OFFSET_END;
        added->opaque = partition;
    }
    if (rd_kafka_offsets_for_times(reader->client, list, reader->look_wait_ms) ==
        RD_KAFKA_RESP_ERR_NO_ERROR)
        for (int i = 0; i < list->cnt; i++)
            if (list->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR && list->elems[i].offset >= 0)
                take_end(reader, list->elems[i].opaque, list->elems[i].offset, now_us);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Those that are silent are looked at twice a second; nothing is asked while none is. */
static void watch_silent(kafka_reader *reader)
{
    const int64_t now_us = os.monotonic_us();
    bool ask = false;

    if (now_us >= reader->watch_next_us) {
        reader->watch_next_us = now_us + WATCH_EVERY_US;
        reader->has_silent = find_silent(reader, now_us, &ask);
        if (ask)
            ask_ends(reader, now_us);
    }
    if (reader->has_silent && reader->base.idle_us > WATCH_EVERY_US)
        reader->base.idle_us = WATCH_EVERY_US;
}

/* ---- filling --------------------------------------------------------------------------------- */

/* SHORT: somebody has more, and nothing of it is here. FEW: less than polls took of it last; or it
 * has come to its end, and only the queue can tell that it goes on (nobody wakes us for messages
 * that were in the queue when we went to sleep). */
typedef enum lists { LISTS_ENOUGH, LISTS_FEW, LISTS_SHORT } lists;

static lists look_at_lists(const kafka_reader *reader)
{
    lists found = LISTS_ENOUGH;

    for (uint32_t i = 0; i < reader->n_partitions; i++) {
        const kafka_partition *partition = &reader->partitions[i];
        const uint32_t wanted = partition->wanted + partition->wanted / WANTED_SPARE;
        if (!partition->started ||
            (!list_is_empty(partition) && !partition->at_end && list_length(partition) >= wanted))
            continue;
        if (list_is_empty(partition) && has_more(reader, partition))
            return LISTS_SHORT;
        found = LISTS_FEW;
    }
    return found;
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
    lists lists;

    give_back_taken(reader);
    if (reader->n_paused > 0)
        pause_or_resume(reader, false);
    while (code == FRESHET_OK &&
           ((lists = look_at_lists(reader)) == LISTS_SHORT ||
            (lists == LISTS_FEW && reader->listed_bytes < LISTS_ENOUGH_BYTES))) {
        if (lists == LISTS_SHORT && reader->listed_bytes > memory / 2)
            pause_or_resume(reader, true);
        ssize_t n =
            rd_kafka_consume_batch_queue(reader->queue, 0, reader->messages, KAFKA_BATCH_MAX);
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++) {
            if (i + SORT_AHEAD < n)
                kafka_prefetch_head(reader->messages[i + SORT_AHEAD]);
            if (code == FRESHET_OK)
                code = sort_in(reader, reader->messages[i], err);
            else
                rd_kafka_message_destroy(reader->messages[i]);
        }
    }
    kafka_wake(reader);
    watch_silent(reader);
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

uint32_t kafka_lanes_listed(const kafka_partition *partition)
{
    return list_length(partition);
}
