/* online.c - the writer `online`: the newest row of each key, for serving.
 *
 * In this version it is the debug table (debug.h) only; the store behind it comes with a later one,
 * and will be a second way to open this writer.
 */
#include "writers/online.h"

#include "base/error.h"

#define ROWS_STANDARD 1000000
#define MEMORY_STANDARD (INT64_C(1) << 30)

typedef struct online_options {
    bool debug;
    int64_t rows;
    int64_t memory;
} online_options;

typedef struct online_writer {
    freshet_writer base;
    debug_table *table;
} online_writer;

static const option options[] = {
    {.name = "debug",
     .kind = OPTION_BOOLEAN,
     .offset = offsetof(online_options, debug),
     .standard = "false",
     .doc = "Write to a table in memory, which `freshet query` and `freshet shell` show while the "
            "pipeline runs, instead of the online store. Must be true in this version."},
    {.name = "rows",
     .kind = OPTION_INTEGER,
     .offset = offsetof(online_options, rows),
     .standard = "1000000",
     .minimum = 1,
     .maximum = INT64_C(1000000000),
     .doc = "How many rows the debug table keeps; the oldest go first."},
    {.name = "memory",
     .kind = OPTION_BYTES,
     .offset = offsetof(online_options, memory),
     .standard = "1 GiB",
     .minimum = INT64_C(16) << 20,
     .maximum = INT64_C(1) << 40,
     .doc = "How much memory the debug table and the queries over it may use; a table that needs "
            "more loses its oldest rows."},
    {.name = NULL},
};

static freshet_code online_open(freshet_writer *base, const schema *schema, uint32_t n_keys,
                                freshet_error *err)
{
    online_writer *writer = (online_writer *)base;
    const online_options *given = base->options;
    if (!given->debug)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, base->declaration->file,
                         "the Cassandra writer is not in this version; write `debug: true` under "
                         "`online`, or run with --debug");
    debug_options limits = {.rows = given->rows, .memory = given->memory};
    return debug_open(base->declaration->feature_set.name.value, schema, n_keys, &limits,
                      &writer->table, err);
}

static freshet_code online_write(freshet_writer *base, const batch *rows, freshet_error *err)
{
    return debug_append(((online_writer *)base)->table, rows, err);
}

/* What was written is visible already. */
static freshet_code online_flush(freshet_writer *base, freshet_error *err)
{
    (void)base;
    (void)err;
    return FRESHET_OK;
}

static void online_close(freshet_writer *base)
{
    online_writer *writer = (online_writer *)base;
    debug_close(writer->table);
    writer->table = NULL;
}

const writer_ops online_writer_ops = {
    .block = {.name = "online",
              .title = "The online writer",
              .doc =
                  "Holds the newest feature row of each key, for serving. In debug mode it is a "
                  "table in memory, `online_feature_store__<feature set>`, with every row, and "
                  "`online_feature_store__<feature set>_latest` with the newest row of each key.",
              .options = options,
              .size = sizeof(online_options)},
    .size = sizeof(online_writer),
    .open = online_open,
    .write = online_write,
    .flush = online_flush,
    .close = online_close,
};

debug_table *online_debug_table(freshet_writer *writer)
{
    return ((online_writer *)writer)->table;
}

const void *online_debug_options(arena *arena, const void *declared)
{
    online_options *made = arena_zero(arena, 1, sizeof *made);
    if (made == NULL)
        return NULL;
    *made = (online_options){.rows = ROWS_STANDARD, .memory = MEMORY_STANDARD};
    if (declared != NULL)
        *made = *(const online_options *)declared;
    made->debug = true;
    return made;
}
