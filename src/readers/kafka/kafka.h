/* kafka.h - the reader `kafka`: the messages of one or several topics of a Kafka cluster.
 *
 *     - id: orders
 *       kafka: {topic: orders, brokers: "k1:9092,k2:9092", value: {schema: {id: bigint}}}
 *       stream: true
 *
 * Columns: those of the value; `key`, `headers` where asked for; and `kafka_metadata`. What happens
 * when is told in docs/guide/kafka.md; how it is done, in kafka_internal.h.
 */
#ifndef FRESHET_READERS_KAFKA_KAFKA_H
#define FRESHET_READERS_KAFKA_KAFKA_H

#include "formats/format.h"
#include "readers/reader.h"

typedef struct kafka_options {
    declared_text topic;
    declared_list topics;
    declared_text pattern;
    declared_list brokers;
    bool has_brokers;
    format_options value;
    format_options key;
    bool has_key;
    bool headers;
    declared_text start;
    int tombstones; /* enum kafka_tombstones */
    int on_gap;     /* enum kafka_on_gap */
    declared_text group;
    int64_t memory;
    int64_t max_message_bytes;
    int64_t connect_timeout_us;
    bool has_connect_timeout;
    int64_t discover_us;
    declared_properties options;
} kafka_options;

typedef enum kafka_tombstones { TOMBSTONES_SKIP, TOMBSTONES_NULL } kafka_tombstones;
typedef enum kafka_on_gap { ON_GAP_FAIL, ON_GAP_EARLIEST, ON_GAP_LATEST } kafka_on_gap;

extern const reader_ops kafka_reader_ops;

/* The type of the column `kafka_metadata`, Butterfree's; NULL where memory is out. */
const type *kafka_metadata_type(arena *arena);

#endif
