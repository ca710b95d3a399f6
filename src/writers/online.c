/* online.c - the writer `online`: the newest row of each key, for serving.
 *
 * It is opened in one of two ways: as a table of Cassandra's (cassandra.h), or in debug mode as a table in
 * memory (debug.h). The calls of an open one go to whichever it is.
 *
 * In debug mode micro-batches are gathered until a flush or until they are many, since the table takes a large
 * piece at less than half the cost of its parts. The loop flushes whenever nothing more is waiting.
 */
#include "writers/online.h"

#include <string.h>

#include "base/error.h"
#include "writers/cassandra/cassandra.h"
#include "writers/cassandra/cql_load.h"
#include "writers/gather.h"

#define ROWS_STANDARD 1000000
#define MEMORY_STANDARD (INT64_C(1) << 30)
/* A table with less is filled by single micro-batches, for which there is always room. */
#define GATHER_MEMORY_MIN ((int64_t)GATHER_BYTES_MAX * 8)

typedef struct online_options {
    cassandra_options cassandra;
    bool has_cassandra;
    bool write_to_entity;
    int64_t ttl_us;
    bool debug;
    int64_t rows;
    int64_t memory;
} online_options;

typedef struct online_writer {
    freshet_writer base;
    uint32_t n_keys;
    schema with_times; /* the rows' schema and their write timestamps; n_fields 0: they have none */
    debug_table *table;
    gather *gather; /* NULL: its rows do not suit it, and each micro-batch is appended by itself */
    cassandra *store; /* instead of the table */
} online_writer;

static const cql_api *other_client; /* of a test; NULL: the adapter */

static const option option_table[] = {
    {.name = "cassandra",
     .kind = OPTION_BLOCK,
     .offset = offsetof(online_options, cassandra),
     .given_offset = offsetof(online_options, has_cassandra) + 1,
     .block = &cassandra_block,
     .doc = "The store is Cassandra, or what speaks its protocol (ScyllaDB). `cassandra: {}` takes "
            "all from the environment."},
    {.name = "write_to_entity",
     .kind = OPTION_BOOLEAN,
     .offset = offsetof(online_options, write_to_entity),
     .standard = "false",
     .doc =
         "`true`: the table is the entity's, which several feature sets share, each with columns "
         "of its own."},
    {.name = "ttl",
     .kind = OPTION_DURATION,
     .offset = offsetof(online_options, ttl_us),
     .standard = "0 seconds",
     .minimum = 0,
     .maximum = CASSANDRA_TTL_MAX_S * 1000000,
     .doc = "How long after its event a row stays in the store; 0: for ever. A row that is older "
            "than that already is not written.",
     .example = "30 days"},
    {.name = "debug",
     .kind = OPTION_BOOLEAN,
     .offset = offsetof(online_options, debug),
     .standard = "false",
     .doc = "Write to a table in memory, which `freshet query` and `freshet shell` show while the "
            "pipeline runs, instead of the online store."},
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

#define NO_STORE                                                                                  \
    "\"online\" has no store to write to: add `cassandra: {host: ..., keyspace: ...}`, or write " \
    "`debug: true`, or run with --debug"

static void online_check(const void *options, const declaration *declaration, const place *at,
                         problems *problems)
{
    const online_options *given = options;
    if (given->debug)
        return;
    if (given->has_cassandra)
        cassandra_check(&given->cassandra, given->write_to_entity, declaration, at, problems);
    else
        problem_add(problems, at, "%s", NO_STORE);
}

/* Do rows come with write timestamps? Those of windows and groups on a stream. */
static bool has_write_times(const declaration *declaration)
{
    const feature_block *features = declaration->feature_set.features.items;
    bool has = declaration->feature_set.has_aggregated;
    for (uint32_t i = 0; i < declaration->feature_set.features.n; i++)
        has = has || features[i].has_window;
    return has && declaration->is_stream;
}

static freshet_code add_times(online_writer *writer, const schema *schema, freshet_error *err)
{
    const uint32_t n = schema->n_fields;
    field *fields = arena_alloc(writer->base.arena, (n + (size_t)1) * sizeof *fields);
    if (fields == NULL)
        return error_memory(err, "opening the debug table");
    memcpy(fields, schema->fields, n * sizeof *fields);
    fields[n] = (field){.name = "__freshet_write_us", .type = type_simple(TYPE_BIGINT)};
    writer->with_times = (struct schema){.n_fields = n + 1, .fields = fields};
    return FRESHET_OK;
}

/* The rows with their write timestamps in a last column, null for those that are not for serving. */
static freshet_code put_times(online_writer *writer, const batch *rows, batch *into,
                              freshet_error *err)
{
    const uint32_t n = rows->schema.n_fields;
    const column *times = &rows->columns[writer->n_keys];
    *into = *rows;
    into->schema = writer->with_times;
    into->columns = arena_alloc(rows->arena, (n + (size_t)1) * sizeof *into->columns);
    if (into->columns == NULL)
        return error_memory(err, "writing to the debug table");
    memcpy(into->columns, rows->columns, n * sizeof *into->columns);
    column *column = &into->columns[n];
    freshet_code code =
        column_init(rows->arena, column, type_simple(TYPE_BIGINT), rows->n_rows, err);
    for (uint32_t row = 0; code == FRESHET_OK && row < rows->n_rows; row++) {
        const bool serves = rows->row_kinds == NULL || (rows->row_kinds[row] & ROW_ONLINE) != 0;
        if (serves)
            ((int64_t *)column->data)[row] =
                rows->write_us != NULL ? rows->write_us[row] : ((const int64_t *)times->data)[row];
        else if (!column_set_null(rows->arena, column, row))
            code = error_memory(err, "writing to the debug table");
    }
    return code;
}

static bool online_wants_ranks(const void *options)
{
    const online_options *given = options;
    return given->has_cassandra && !given->debug;
}

static freshet_code open_store(online_writer *writer, const schema *schema, uint32_t n_keys,
                               freshet_error *err)
{
    const online_options *given = writer->base.options;
    const cassandra_setup setup = {.options = &given->cassandra,
                                   .write_to_entity = given->write_to_entity,
                                   .ttl_us = given->ttl_us};
    const cql_api *client = NULL;
    freshet_code code = online_client(&client, err);
    if (code == FRESHET_OK)
        code = cassandra_open(&writer->base, &setup, client, schema, n_keys, &writer->store, err);
    writer->base.confirms_later = code == FRESHET_OK;
    return code;
}

static freshet_code open_table(online_writer *writer, const schema *schema, uint32_t n_keys,
                               freshet_error *err)
{
    const online_options *given = writer->base.options;
    debug_options limits = {.rows = given->rows,
                            .memory = given->memory,
                            .has_write_times = has_write_times(writer->base.declaration)};
    freshet_code code = FRESHET_OK;
    writer->n_keys = n_keys;
    if (limits.has_write_times) {
        code = add_times(writer, schema, err);
        schema = &writer->with_times;
    }
    if (code == FRESHET_OK)
        code = debug_open(writer->base.declaration->feature_set.name.value, schema, n_keys, &limits,
                          &writer->table, err);
    if (code == FRESHET_OK && gather_suits(schema) && given->memory >= GATHER_MEMORY_MIN)
        code = gather_open(schema, &writer->gather, err);
    return code;
}

static freshet_code online_open(freshet_writer *base, const schema *schema, uint32_t n_keys,
                                freshet_error *err)
{
    online_writer *writer = (online_writer *)base;
    const online_options *given = base->options;
    if (given->debug)
        return open_table(writer, schema, n_keys, err);
    if (given->has_cassandra)
        return open_store(writer, schema, n_keys, err);
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, base->declaration->file, "%s",
                     NO_STORE);
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
    batch timed;
    if (writer->store != NULL)
        return cassandra_write(writer->store, rows, err);
    if (writer->with_times.n_fields > 0) {
        freshet_code code = put_times(writer, rows, &timed, err);
        if (code != FRESHET_OK)
            return code;
        rows = &timed;
    }
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
    if (writer->store != NULL)
        return cassandra_flush(writer->store, err);
    return writer->gather == NULL ? FRESHET_OK : append_gathered(writer, err);
}

static freshet_code online_progress(freshet_writer *base, freshet_error *err)
{
    return cassandra_progress(((online_writer *)base)->store, err);
}

static int online_wake_fd(const freshet_writer *base)
{
    return cassandra_wake_fd(((const online_writer *)base)->store);
}

static int64_t online_wake_us(const freshet_writer *base)
{
    return cassandra_wake_us(((const online_writer *)base)->store);
}

static const char *online_trouble(freshet_writer *base)
{
    const online_writer *writer = (const online_writer *)base;
    return writer->store == NULL ? NULL : cassandra_trouble(writer->store);
}

static void online_close(freshet_writer *base)
{
    online_writer *writer = (online_writer *)base;
    cassandra_close(writer->store);
    gather_close(writer->gather);
    debug_close(writer->table);
    writer->store = NULL;
    writer->gather = NULL;
    writer->table = NULL;
}

const writer_ops online_writer_ops = {
    .block =
        {.name = "online",
         .title = "The online writer",
         .doc = "Holds the newest feature row of each key, for serving, in a table of Cassandra's. "
                "In debug mode it is a table in memory, `online_feature_store__<feature set>`, "
                "with every row, and "
                "`online_feature_store__<feature set>_latest` with the newest row of each key.",
         .options = option_table,
         .size = sizeof(online_options)},
    .size = sizeof(online_writer),
    .check = online_check,
    .open = online_open,
    .write = online_write,
    .flush = online_flush,
    .close = online_close,
    .progress = online_progress,
    .wake_fd = online_wake_fd,
    .wake_us = online_wake_us,
    .trouble = online_trouble,
    .wants_ranks = online_wants_ranks,
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

bool online_store_options(const void *declared, const cassandra_options **store,
                          bool *write_to_entity)
{
    const online_options *given = declared;
    *store = &given->cassandra;
    *write_to_entity = given->write_to_entity;
    return given->has_cassandra;
}

freshet_code online_client(const cql_api **out, freshet_error *err)
{
    *out = other_client;
    return *out != NULL ? FRESHET_OK : cql_load(out, err);
}

void online_use_client(const cql_api *client)
{
    other_client = client;
}
