/* kafka_mark.c - is it still the topic that was read? See kafka_internal.h.
 *
 * A topic may be deleted and made anew under its name, with as many messages as were read of the
 * old one, or more: then the offset to go on at is there, and what lies before it is lost without
 * a word. So of each partition the last message read is remembered, its MARK: offset, timestamp and
 * hash.
 *
 *   - The mark is kept with the position. Reading of a partition never begins at the position, but
 *     at the mark: the first message must be that one, and is then left out. If the brokers do not
 *     have the offset any more (retention, compaction) nobody can tell, and reading goes on.
 *   - A partition is begun in this way at each start; and while it runs whenever something says
 *     that the topic may be another one: the brokers do not know it for a moment, an offset is
 *     out of range, the probe.
 *   - THE PROBE. librdkafka tells nothing where a topic goes and comes back between two looks. So
 *     at each look the brokers are asked for the first offset of a time just behind that of a mark.
 *     None is there yet, or it is behind the mark; from then on it stays the same. In a topic made
 *     anew it is mostly 0. Whatever else the answer is (timestamps without order, retention), the
 *     partition is verified.
 */
#include "base/hash.h"
#include "readers/kafka/kafka_internal.h"

static kafka_mark mark_of(const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    const uint64_t seed =
        message->key == NULL ? 1 : hash_bytes(message->key, message->key_len, message->key_len);
    return (kafka_mark){
        .offset = message->offset,
        .timestamp = rd_kafka_message_timestamp(message, &type),
        .hash = message->payload == NULL ? seed : hash_bytes(message->payload, message->len, seed)};
}

void kafka_mark_take(kafka_reader *reader)
{
    if (reader->last_message == NULL)
        return;
    reader->last_partition->mark = mark_of(reader->last_message);
    reader->last_message = NULL;
}

bool kafka_verify(kafka_reader *reader, kafka_partition *partition,
                  const rd_kafka_message_t *message)
{
    const kafka_mark *check = &partition->check;
    if (message->offset < check->offset)
        return false;
    partition->verifies = false;
    if (message->offset > check->offset)
        return message->offset >= partition->next;
    const kafka_mark now = mark_of(message);
    if (now.hash != check->hash || now.timestamp != check->timestamp) {
        partition->is_anew = true;
        kafka_place_again(reader, partition, *check);
    } else if (reader->base.mode == READ_ALL && partition->next >= partition->end) {
        kafka_end_partition(reader, partition);
    }
    return false;
}

void kafka_suspect_absent(kafka_reader *reader)
{
    for (uint32_t i = 0; i < reader->n_partitions; i++) {
        kafka_partition *partition = &reader->partitions[i];
        if (!partition->started || partition->topic->is_there)
            continue;
        kafka_place_again(reader, partition, partition->mark);
        if (reader->base.mode == READ_FOLLOW)
            partition->found = false; /* and again when it comes back */
    }
}

/* Asks at which offsets the times of the partitions' probes are. `fresh`: of those that have none
 * yet. */
static bool ask_probes(kafka_reader *reader, bool fresh, rd_kafka_topic_partition_list_t *list)
{
    for (uint32_t i = 0; i < reader->n_partitions; i++) {
        kafka_partition *partition = &reader->partitions[i];
        if (!partition->started || partition->verifies || partition->mark.offset < 0 ||
            partition->mark.timestamp <= 0 || (partition->probe.timestamp == 0) != fresh)
            continue;
        rd_kafka_topic_partition_t *added =
            rd_kafka_topic_partition_list_add(list, partition->topic->name, partition->number);
        added->offset = fresh ? partition->mark.timestamp + 1 : partition->probe.timestamp;
        added->opaque = partition;
    }
    return list->cnt > 0 &&
           rd_kafka_offsets_for_times(reader->client, list, KAFKA_LOOK_WAIT_RUNNING_MAX_MS) ==
               RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* `offset`: the answer, negative where no message is of that time or a later one. */
static void take_probe(kafka_reader *reader, kafka_partition *partition, int64_t offset)
{
    kafka_probe *probe = &partition->probe;
    const bool is_fresh = probe->timestamp == 0;
    if (is_fresh)
        *probe = (kafka_probe){
            .timestamp = partition->mark.timestamp + 1, .mark = partition->mark, .offset = -1};
    else if (offset == probe->offset)
        return;
    const bool is_good = probe->offset < 0 && (offset < 0 || offset > probe->mark.offset);
    probe->offset = offset;
    if (is_good)
        return;
    if (!is_fresh)
        probe->timestamp = 0; /* the next one is of the mark of then */
    kafka_place_again(reader, partition, probe->mark);
}

static void take_probes(kafka_reader *reader, bool fresh)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)reader->n_partitions);
    const bool asked = ask_probes(reader, fresh, list);
    for (int i = 0; asked && i < list->cnt; i++)
        if (list->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            take_probe(reader, list->elems[i].opaque, list->elems[i].offset);
    rd_kafka_topic_partition_list_destroy(list);
}

void kafka_ask_probes(kafka_reader *reader)
{
    take_probes(reader, false);
    take_probes(reader, true);
}
