/* cassandra.h - the writer of the online store: the newest row of each key, upserted into a table
 * of Cassandra's.
 *
 *     write ──► rows that wait (cassandra_rows.h) ──► groups in flight ──► confirmed
 *                        ▲                                   │
 *                        └──── failed, will pass ◄───────────┼──► refused for good: dead letters
 *
 * Each row is one idempotent write: all its columns, USING TIMESTAMP its write timestamp, so that
 * it may be sent again at any time, in any order, and the newest wins in the store. Nothing is
 * lost: a row leaves the buffer when it is confirmed, replaced by a newer one of its key, in the
 * dead letters, or past its TTL. The buffer is bounded, and so is what is in flight
 * (cassandra_pace.h).
 *
 * Rows are sent as soon as they come, in groups; rows of one partition in one unlogged batch. A
 * failure that passes (no node answers, time-outs, overload; while running also credentials,
 * certificates and missing tables, since somebody may mend those) brings a row back to wait. Only a
 * row that the server refuses for good goes to the dead letters.
 *
 * TTL counts from the event: of a row of an hour ago in a table with a TTL of a day 23 hours are
 * left.
 *
 * It serves the block `online` (online_block.h), unless that is in debug mode.
 */
#ifndef FRESHET_WRITERS_CASSANDRA_CASSANDRA_H
#define FRESHET_WRITERS_CASSANDRA_CASSANDRA_H

#include "writers/writer.h"

#define CASSANDRA_GROUP_ROWS 64u /* of one call to the client */
#define CASSANDRA_BATCH_ROWS 32u /* of one unlogged batch */
#define CASSANDRA_BATCH_BYTES \
    ((size_t)32 << 10) /* servers warn of larger batches, and then refuse them */
#define CASSANDRA_FLIGHT_BYTES ((size_t)16 << 20)
#define CASSANDRA_ROW_BYTES_MAX ((size_t)16 << 20) /* what servers take at most, by default */

/* write and flush wait so long for a confirmation before they give the loop its turn. */
#define CASSANDRA_WAIT_US INT64_C(1000000)
/* The same in all, where the run is to end. */
#define CASSANDRA_STOP_US INT64_C(3000000)
/* Without any answer for so long something is wrong. */
#define CASSANDRA_SILENCE_US INT64_C(3000000)
/* Failures that last longer are trouble. */
#define CASSANDRA_TROUBLE_US INT64_C(1000000)

/* Of the partition key, and of the clustering columns together. */
#define CASSANDRA_KEY_BYTES_MAX 65535u

extern const writer_ops cassandra_writer_ops;

typedef struct cassandra_figures {
    uint64_t confirmed; /* rows */
    uint64_t refused;
    uint64_t expired;
    uint64_t retried;
    uint64_t pending; /* waiting and in flight, now */
    size_t pending_bytes;
    uint32_t in_flight, window;
    int64_t latency_us; /* of confirmations, smoothed */
} cassandra_figures;

void cassandra_figures_take(const freshet_writer *writer, cassandra_figures *out);

#endif
