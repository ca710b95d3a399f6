/* kafka_group.c - the consumer group's offsets, for tools that look at it; see kafka_internal.h.
 *
 * Nothing of Freshet's depends on them. They are written behind each checkpoint, for the partitions
 * that have moved: a partition knows what the group is to have, and what it was last told.
 *
 * ONE AT A TIME. librdkafka keeps a commit for which there is no coordinator, or sends it again
 * after an error, and then it may come behind a later one, whose offsets it undoes. So one is
 * underway at most; what moves meanwhile goes with the next. One that failed is made again.
 *
 * WITHOUT A COORDINATOR, which a broker has not for some seconds after its start, and for as long
 * when the coordinator changes, a commit comes back after `session.timeout.ms` (ours is a second)
 * and is made again at once; it is a failure only where that lasts. At the end of a run it is
 * waited for a little (KAFKA_COMMIT_WAIT_MS), and then it is said that the group has not got it.
 */
#include <string.h>

#include "base/log.h"
#include "base/os.h"
#include "readers/kafka/kafka_internal.h"

#define AGAIN_FIRST_US INT64_C(1000000) /* behind one that failed, doubling */
#define AGAIN_MAX_US INT64_C(60000000)
#define COORDINATOR_GRACE_US INT64_C(30000000)

void kafka_group_tend(kafka_reader *reader)
{
    if (!reader->group_moved || reader->commit_underway ||
        (reader->commit_next_us != 0 && os.monotonic_us() < reader->commit_next_us))
        return;
    rd_kafka_topic_partition_list_t *offsets =
        rd_kafka_topic_partition_list_new((int)reader->n_partitions);
    for (uint32_t i = 0; i < reader->n_partitions; i++) {
        kafka_partition *partition = &reader->partitions[i];
        partition->group_asked = partition->group_has;
        if (partition->group_wants == partition->group_has || !partition->found)
            continue;
        partition->group_asked = partition->group_wants;
        rd_kafka_topic_partition_list_add(offsets, partition->topic->name, partition->number)
            ->offset = partition->group_wants;
    }
    reader->group_moved = false;
    if (offsets->cnt > 0)
        reader->commit_underway =
            rd_kafka_commit(reader->client, offsets, 1) == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_partition_list_destroy(offsets);
}

void kafka_group_ack(freshet_reader *base, const reader_positions *upto)
{
    kafka_reader *reader = (kafka_reader *)base;
    uint32_t k =
        0; /* what is given is in the order of reader->partitions, as kafka_positions made it */

    if (upto->n == 0 || !reader->connected)
        return;
    for (uint32_t i = 0; i < upto->n; i++) {
        while (k < reader->n_partitions &&
               strcmp(reader->partitions[k].name, upto->items[i].name) != 0)
            k++;
        if (k == reader->n_partitions)
            break;
        reader->partitions[k].group_wants = upto->items[i].offset;
        reader->group_moved = true;
    }
    kafka_group_tend(reader);
}

static void take_failure(kafka_reader *reader, rd_kafka_resp_err_t problem)
{
    const int64_t now_us = os.monotonic_us();

    reader->group_moved = true;
    if (reader->uncommitted_since_us == 0)
        reader->uncommitted_since_us = now_us;
    if (problem == RD_KAFKA_RESP_ERR__WAIT_COORD &&
        now_us - reader->uncommitted_since_us < COORDINATOR_GRACE_US) {
        kafka_group_tend(reader);
        return;
    }
    reader->commit_pause_us =
        reader->commit_pause_us == 0 ? AGAIN_FIRST_US : 2 * reader->commit_pause_us;
    if (reader->commit_pause_us > AGAIN_MAX_US)
        reader->commit_pause_us = AGAIN_MAX_US;
    reader->commit_next_us = now_us + reader->commit_pause_us;
    if (reader->commit_failed)
        return;
    reader->commit_failed = true;
    log_event(GROUP_NOT_WRITTEN, kafka_id(reader), reader->group, rd_kafka_err2str(problem));
}

void kafka_group_committed(rd_kafka_t *client, rd_kafka_resp_err_t problem,
                           rd_kafka_topic_partition_list_t *offsets, void *opaque)
{
    kafka_reader *reader = ((const kafka_ear *)opaque)->reader;

    (void)client;
    (void)offsets;
    reader->commit_underway = false;
    if (problem != RD_KAFKA_RESP_ERR_NO_ERROR && problem != RD_KAFKA_RESP_ERR__NO_OFFSET) {
        take_failure(reader, problem);
        return;
    }
    reader->commit_next_us = reader->commit_pause_us = reader->uncommitted_since_us = 0;
    reader->commit_failed = false;
    for (uint32_t i = 0; i < reader->n_partitions; i++)
        reader->partitions[i].group_has = reader->partitions[i].group_asked;
    kafka_group_tend(reader);
}

void kafka_group_finish(kafka_reader *reader)
{
    const int64_t until_us = os.monotonic_us() + KAFKA_COMMIT_WAIT_MS * INT64_C(1000);

    rd_kafka_poll(reader->client, 0);
    while ((reader->commit_underway || reader->group_moved) && !reader->commit_failed &&
           reader->trouble[0] == '\0' && os.monotonic_us() < until_us) {
        kafka_group_tend(reader);
        rd_kafka_poll(reader->client, 20);
    }
    if ((reader->commit_underway || reader->group_moved) && !reader->commit_failed)
        log_event(GROUP_UNFINISHED, kafka_id(reader), reader->group);
}
