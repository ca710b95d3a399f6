/* serving_writer.c - see serving_writer.h. The rows are part of the checkpoint (serving_rows.h), or
 * in the store behind: rows of after it come again with the same write timestamps. */
#include "serving/serving_writer.h"

#include "declaration/blocks.h"

static freshet_code serving_writer_open(freshet_writer *writer, const schema *schema,
                                        uint32_t n_keys, freshet_error *err)
{
    (void)writer, (void)schema, (void)n_keys, (void)err;
    return FRESHET_OK;
}

static freshet_code serving_writer_write(freshet_writer *writer, const batch *rows,
                                         freshet_error *err)
{
    const serving_target *target = writer->options;
    return serving_rows_put(target->rows, rows, writer->checkpoint, err);
}

static freshet_code serving_writer_flush(freshet_writer *writer, freshet_error *err)
{
    (void)writer, (void)err;
    return FRESHET_OK;
}

static void serving_writer_close(freshet_writer *writer)
{
    (void)writer;
}

const writer_ops serving_writer_ops = {
    .name = "serve",
    .block = &serve_kind,
    .size = sizeof(freshet_writer),
    .keeps = KEEPS_NEWEST,
    .takes = ROW_ONLINE,
    .open = serving_writer_open,
    .write = serving_writer_write,
    .flush = serving_writer_flush,
    .close = serving_writer_close,
};
