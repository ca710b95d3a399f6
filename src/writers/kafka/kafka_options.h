/* kafka_options.h - what can be declared of the writer `kafka`. */
#ifndef FRESHET_WRITERS_KAFKA_KAFKA_OPTIONS_H
#define FRESHET_WRITERS_KAFKA_KAFKA_OPTIONS_H

#include "kafka/kafka_setup.h"
#include "writers/writer.h"

enum { DELIVERY_EXACTLY_ONCE, DELIVERY_AT_LEAST_ONCE };
enum { KAFKA_KEY_AUTO, KAFKA_KEY_TEXT, KAFKA_KEY_JSON, KAFKA_KEY_NONE };

typedef struct kafka_writer_options {
    declared_text topic;
    declared_list brokers;
    bool has_brokers;
    int delivery;
    int rows;
    int key;
    bool write_to_entity;
    declared_text transactional_id;
    int64_t max_message_bytes;
    int64_t memory;
    declared_text spool;
    declared_properties options;
} kafka_writer_options;

extern const block_kind kafka_writer_block;

/* The topic that is written to. */
const char *kafka_writer_topic(const kafka_writer_options *options, const declaration *declaration);
/* Its transactional id, of the writer with that name ("kafka 1"); in the arena, NULL where memory
 * is out. */
const char *kafka_writer_transactional_id(const kafka_writer_options *options,
                                          const declaration *declaration, const char *name,
                                          arena *arena);
unsigned kafka_writer_takes(const void *options);
void kafka_writer_check(const void *block_options, const declaration *declaration, const place *at,
                        problems *problems);

#endif
