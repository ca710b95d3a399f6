/* kafka_rows.h - what both ways of delivery have in common: rows into messages, and those that are
 * too large into dead letters.
 *
 * A micro-batch that could not be taken as a whole comes again: `n_done` rows of it are done.
 */
#ifndef FRESHET_WRITERS_KAFKA_KAFKA_ROWS_H
#define FRESHET_WRITERS_KAFKA_KAFKA_ROWS_H

#include "base/text.h"
#include "writers/kafka/kafka_options.h"
#include "writers/kafka/kafka_producer.h"

typedef struct kafka_rows {
    freshet_writer base;
    producer producer;
    uint32_t *key_columns;
    uint32_t n_keys; /* 0: messages have no key */
    bool key_is_json;
    int64_t bytes_max;
    text_buffer key, value;
    uint32_t n_done; /* of the micro-batch */
} kafka_rows;

freshet_code kafka_rows_open(kafka_rows *writer, const schema *schema, bool once,
                             freshet_error *err);
void kafka_rows_close(kafka_rows *writer);

/* Gives each row's message to `take`, which may fail with FRESHET_RETRY: then the same micro-batch
 * comes again, and goes on there. */
typedef freshet_code kafka_take_fn(kafka_rows *writer, freshet_error *err);
freshet_code kafka_rows_write(kafka_rows *writer, const batch *rows, kafka_take_fn *take,
                              freshet_error *err);

/* The key of the message in `key`; NULL: it has none. */
static inline const char *kafka_rows_key(const kafka_rows *writer)
{
    return writer->n_keys == 0 ? NULL : writer->key.length == 0 ? "" : writer->key.bytes;
}

/* Once the brokers are reached: what a validation will need. */
freshet_code kafka_rows_ready(kafka_rows *writer, freshet_error *err);

/* Parts of writer_ops that are the same. */
freshet_code kafka_rows_validate(freshet_writer *base, const writer_files *files, int64_t *there,
                                 freshet_error *err);
int kafka_rows_wake_fd(const freshet_writer *base);
const char *kafka_rows_trouble(freshet_writer *base);

#endif
