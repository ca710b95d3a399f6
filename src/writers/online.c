/* online.c - the writer `online`: the newest row of each key, for serving.
 *
 * In this version it is the debug table (debug.h) only; the store behind it comes with a later one,
 * and will be a second way to open this writer.
 *
 * Micro-batches are gathered until a flush or until they are many, since the table takes a large
 * piece at less than half the cost of its parts. The loop flushes whenever nothing more is waiting.
 */
#include "writers/online.h"

#include "base/error.h"
#include "writers/gather.h"

#define ROWS_STANDARD 1000000
#define MEMORY_STANDARD (INT64_C(1) << 30)
/* A table with less is filled by single micro-batches, for which there is always room. */
#define GATHER_MEMORY_MIN ((int64_t)GATHER_BYTES_MAX * 8)

typedef struct online_options {
    bool debug;
    int64_t rows;
    int64_t memory;
} online_options;

typedef struct online_writer {
    freshet_writer base;
    debug_table *table;
    gather *gather; /* NULL: its rows do not suit it, and each micro-batch is appended by itself */
} online_writer;

static const option option_table[] = {
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

#define NO_STORE                                                                               \
    "the Cassandra writer is not in this version; write `debug: true` under `online`, or run " \
    "with "                                                                                    \
    "--debug"

static void online_check(const void *options, const place *at, problems *problems)
{
    if (!((const online_options *)options)->debug)
        problem_add(problems, at, "%s", NO_STORE);
}

static freshet_code online_open(freshet_writer *base, const schema *schema, uint32_t n_keys,
                                freshet_error *err)
{
    online_writer *writer = (online_writer *)base;
    const online_options *given = base->options;
    if (!given->debug)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, base->declaration->file, "%s",
                         NO_STORE);
    debug_options limits = {.rows = given->rows, .memory = given->memory};
    freshet_code code = debug_open(base->declaration->feature_set.name.value, schema, n_keys,
                                   &limits, &writer->table, err);
    if (code == FRESHET_OK && gather_suits(schema) && given->memory >= GATHER_MEMORY_MIN)
        code = gather_open(schema, &writer->gather, err);
    return code;
}

/* What has been gathered becomes visible. */
static freshet_code append_gathered(online_writer *writer, freshet_error *err)
{
    const batch *rows = gather_rows(writer->gather);
    freshet_code code = rows->n_rows == 0 ? FRESHET_OK : debug_append(writer->table, rows, err);
    if (code == FRESHET_OK)
        gather_clear(writer->gather);
    return code;
}

static freshet_code online_write(freshet_writer *base, const batch *rows, freshet_error *err)
{
    online_writer *writer = (online_writer *)base;
    if (writer->gather == NULL || rows->n_rows == 0)
        return debug_append(writer->table, rows, err);
    if (gather_is_full(writer->gather)) {
        freshet_code code = append_gathered(writer, err);
        if (code != FRESHET_OK)
            return code;
    }
    return gather_add(writer->gather, rows, err);
}

static freshet_code online_flush(freshet_writer *base, freshet_error *err)
{
    online_writer *writer = (online_writer *)base;
    return writer->gather == NULL ? FRESHET_OK : append_gathered(writer, err);
}

static void online_close(freshet_writer *base)
{
    online_writer *writer = (online_writer *)base;
    gather_close(writer->gather);
    debug_close(writer->table);
    writer->gather = NULL;
    writer->table = NULL;
}

const writer_ops online_writer_ops = {
    .block = {.name = "online",
              .title = "The online writer",
              .doc =
                  "Holds the newest feature row of each key, for serving. In debug mode it is a "
                  "table in memory, `online_feature_store__<feature set>`, with every row, and "
                  "`online_feature_store__<feature set>_latest` with the newest row of each key.",
              .options = option_table,
              .size = sizeof(online_options)},
    .size = sizeof(online_writer),
    .check = online_check,
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
