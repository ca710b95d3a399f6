/* kafka_rows.c - see kafka_rows.h. */
#include "writers/kafka/kafka_rows.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "writers/kafka/kafka_message.h"

#define OPENING "opening the writers"

/* Where the key columns are among the writer's. */
static freshet_code find_keys(kafka_rows *writer, const schema *schema, freshet_error *err)
{
    const kafka_writer_options *options = writer->base.options;
    const feature_set_block *set = &writer->base.declaration->feature_set;
    const key_block *keys = set->keys.items;

    if (options->key == KAFKA_KEY_NONE)
        return FRESHET_OK;
    writer->key_is_json =
        options->key == KAFKA_KEY_JSON || (options->key == KAFKA_KEY_AUTO && set->keys.n > 1);
    writer->key_columns =
        arena_alloc(writer->base.arena, set->keys.n * sizeof *writer->key_columns);
    if (writer->key_columns == NULL)
        return error_memory(err, OPENING);
    for (uint32_t i = 0; i < set->keys.n; i++) {
        const int64_t at = schema_find(schema, keys[i].name.value);
        if (at < 0)
            return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP,
                             writer->producer.options.at,
                             "the key column \"%s\" is not among the columns of `select`, and the "
                             "messages' key is made of it: select it, or write `key: none`",
                             keys[i].name.value);
        writer->key_columns[i] = (uint32_t)at;
    }
    writer->n_keys = set->keys.n;
    return FRESHET_OK;
}

freshet_code kafka_rows_open(kafka_rows *writer, const schema *schema, bool once,
                             freshet_error *err)
{
    freshet_writer *base = &writer->base;
    const kafka_writer_options *options = base->options;
    char at[232] = "";
    producer_options opened = {
        .writer = base,
        .at = base->at == NULL ? base->declaration->file
                               : arena_text(base->arena, place_text(base->at, at, sizeof at)),
        .brokers = kafka_join_brokers(&options->brokers, base->arena),
        .topic = kafka_writer_topic(options, base->declaration),
        .properties = &options->options,
        .max_message_bytes = options->max_message_bytes,
        .memory = options->memory,
        .is_batch = base->is_batch};

    text_init(&writer->key, TEXT_LIMIT_DEFAULT);
    text_init(&writer->value, TEXT_LIMIT_DEFAULT);
    writer->bytes_max = options->max_message_bytes;
    if (once) {
        opened.transactional_id =
            kafka_writer_transactional_id(options, base->declaration, base->name, base->arena);
        opened.group = opened.transactional_id;
    }
    if (opened.brokers == NULL || (once && opened.transactional_id == NULL))
        return error_memory(err, OPENING);
    freshet_code code = producer_open(&writer->producer, &opened, err);
    return code == FRESHET_OK ? find_keys(writer, schema, err) : code;
}

void kafka_rows_close(kafka_rows *writer)
{
    producer_close(&writer->producer);
    text_release(&writer->key);
    text_release(&writer->value);
}

static freshet_code make_message(kafka_rows *writer, const batch *rows, uint32_t row,
                                 freshet_error *err)
{
    text_reset(&writer->key);
    text_reset(&writer->value);
    if (writer->n_keys > 0 && writer->key_is_json)
        kafka_message_object(rows, writer->key_columns, writer->n_keys, row, &writer->key);
    else if (writer->n_keys > 0)
        kafka_message_text(&rows->columns[writer->key_columns[0]], row, &writer->key);
    kafka_message_value(rows, row, &writer->value);
    return writer->key.failed || writer->value.failed
               ? error_memory(err, "writing rows as messages")
               : FRESHET_OK;
}

static freshet_code refuse_large(kafka_rows *writer, freshet_error *err)
{
    char why[200];
    freshet_code code = FRESHET_OK;

    snprintf(why, sizeof why,
             "the message for Kafka is %zu bytes long, and `max_message_bytes` allows %" PRId64,
             writer->key.length + writer->value.length, writer->bytes_max);
    if (writer->base.refuse != NULL)
        code = writer->base.refuse(writer->base.context, writer->value.bytes, writer->value.length,
                                   REASON_TOO_LARGE, why, err);
    if (code == FRESHET_OK)
        writer_add(&writer->base, WRITER_REFUSED, 1);
    return code;
}

freshet_code kafka_rows_write(kafka_rows *writer, const batch *rows, kafka_take_fn *take,
                              freshet_error *err)
{
    for (; writer->n_done < rows->n_rows; writer->n_done++) {
        const uint32_t row = writer->n_done;
        freshet_code code = make_message(writer, rows, row, err);
        if (code == FRESHET_OK)
            code = writer->key.length + writer->value.length > (size_t)writer->bytes_max
                       ? refuse_large(writer, err)
                       : take(writer, err);
        if (code != FRESHET_OK)
            return code;
        if (rows->row_kinds != NULL && (rows->row_kinds[row] & ROW_NEW) == 0)
            writer_add(&writer->base, WRITER_AGAIN, 1);
    }
    writer->n_done = 0;
    return FRESHET_OK;
}

int kafka_rows_wake_fd(const freshet_writer *base)
{
    return ((const kafka_rows *)base)->producer.event_fd;
}

const char *kafka_rows_trouble(freshet_writer *base)
{
    return producer_trouble(&((const kafka_rows *)base)->producer);
}

freshet_code kafka_rows_ready(kafka_rows *writer, freshet_error *err)
{
    const writer_block *block = writer->base.declaration->sink.writers.items;

    if (!writer->base.is_batch)
        return FRESHET_OK;
    while (block->kind.options != writer->base.options)
        block++;
    return block->validate ? producer_note_ends(&writer->producer, err) : FRESHET_OK;
}

freshet_code kafka_rows_validate(freshet_writer *base, const writer_files *files, int64_t *there,
                                 freshet_error *err)
{
    (void)files;
    return producer_count_since(&((kafka_rows *)base)->producer, there, err);
}
