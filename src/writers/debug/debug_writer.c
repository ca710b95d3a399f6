/* debug_writer.c - the writer `online` in debug mode: the debug table (debug.h). Queries see a
 * micro-batch as soon as it is written; there is nothing to flush. */
#include "writers/debug/debug_writer.h"

#include <string.h>

#include "base/error.h"
#include "writers/debug/debug.h"
#include "writers/online_block.h"

#define ROWS_STANDARD 1000000
#define MEMORY_STANDARD (INT64_C(1) << 30)

typedef struct debug_writer {
    freshet_writer base;
    uint32_t n_keys;
    schema with_times; /* the rows' schema and their write timestamps; n_fields 0: they have none */
    debug_table *table;
} debug_writer;

/* Do rows come with write timestamps? Those of windows and groups on a stream; and those of rolling
 * windows in a batch, of which some lie in the future, and are not to be served. */
static bool has_write_times(const declaration *declaration)
{
    const feature_block *features = declaration->feature_set.features.items;
    bool has = declaration->feature_set.has_aggregated;
    for (uint32_t i = 0; i < declaration->feature_set.features.n; i++)
        has = has || features[i].has_window;
    return has && (declaration->is_stream || declaration->feature_set.aggregated.has_windows);
}

static freshet_code add_times(debug_writer *writer, const schema *schema, freshet_error *err)
{
    const uint32_t n = schema->n_fields;
    field *fields = arena_alloc(writer->base.arena, (n + (size_t)2) * sizeof *fields);
    if (fields == NULL)
        return error_memory(err, "opening the debug table");
    memcpy(fields, schema->fields, n * sizeof *fields);
    fields[n] = (field){.name = "__freshet_write_us", .type = type_simple(TYPE_BIGINT)};
    fields[n + 1] = (field){.name = "__freshet_again", .type = type_simple(TYPE_BOOLEAN)};
    writer->with_times = (struct schema){.n_fields = n + 2, .fields = fields};
    return FRESHET_OK;
}

/* The rows with their write timestamps in a column more, null for those that are not for serving,
 * and whether they came before in a last one. */
static freshet_code put_times(debug_writer *writer, const batch *rows, batch *into,
                              freshet_error *err)
{
    const uint32_t n = rows->schema.n_fields;
    const column *times = &rows->columns[writer->n_keys];
    *into = *rows;
    into->schema = writer->with_times;
    into->columns = arena_alloc(rows->arena, (n + (size_t)2) * sizeof *into->columns);
    if (into->columns == NULL)
        return error_memory(err, "writing to the debug table");
    memcpy(into->columns, rows->columns, n * sizeof *into->columns);
    column *column = &into->columns[n];
    freshet_code code =
        column_init(rows->arena, column, type_simple(TYPE_BIGINT), rows->n_rows, err);
    if (code == FRESHET_OK)
        code = column_init(rows->arena, &into->columns[n + 1], type_simple(TYPE_BOOLEAN),
                           rows->n_rows, err);
    for (uint32_t row = 0; code == FRESHET_OK && row < rows->n_rows; row++) {
        const uint8_t kinds = rows->row_kinds == NULL ? ROW_NEW | ROW_ONLINE : rows->row_kinds[row];
        const bool serves = (kinds & ROW_ONLINE) != 0;
        ((uint8_t *)into->columns[n + 1].data)[row] = (kinds & ROW_NEW) == 0;
        if (serves)
            ((int64_t *)column->data)[row] =
                rows->write_us != NULL ? rows->write_us[row] : ((const int64_t *)times->data)[row];
        else if (!column_set_null(rows->arena, column, row))
            code = error_memory(err, "writing to the debug table");
    }
    return code;
}

static bool is_debug(const void *options)
{
    return ((const online_options *)options)->debug;
}

/* A store that is declared and never written would be missed late. */
static void check_debug(const void *options, const declaration *declaration, const place *at,
                        problems *problems)
{
    (void)declaration;
    if (((const online_options *)options)->has_cassandra)
        problem_add(
            problems, at,
            "\"online\" has both `cassandra` and `debug: true`, and writes to one: say one of "
            "them; `freshet run --debug` shows the rows of any declaration in the debug table");
}

static const void *debug_options_of(const declaration *declaration, arena *arena)
{
    const writer_block *blocks = declaration->sink.writers.items;
    online_options *made = arena_zero(arena, 1, sizeof *made);
    if (made == NULL)
        return NULL;
    *made = (online_options){.rows = ROWS_STANDARD, .memory = MEMORY_STANDARD};
    for (uint32_t i = declaration->sink.writers.n; i-- > 0;)
        if (blocks[i].kind.kind == &online_block)
            *made = *(const online_options *)blocks[i].kind.options; /* the first one's limits */
    made->debug = true;
    return made;
}

static freshet_code debug_writer_open(freshet_writer *base, const schema *schema, uint32_t n_keys,
                                      freshet_error *err)
{
    debug_writer *writer = (debug_writer *)base;
    const online_options *given = base->options;
    debug_options limits = {.rows = given->rows,
                            .memory = given->memory,
                            .has_write_times = has_write_times(base->declaration)};
    freshet_code code = FRESHET_OK;
    writer->n_keys = n_keys;
    if (limits.has_write_times) {
        code = add_times(writer, schema, err);
        schema = &writer->with_times;
    }
    if (code == FRESHET_OK)
        code = debug_open(base->declaration->feature_set.name.value, schema, n_keys, &limits,
                          &writer->table, err);
    return code;
}

static freshet_code debug_writer_write(freshet_writer *base, const batch *rows, freshet_error *err)
{
    debug_writer *writer = (debug_writer *)base;
    batch plain = *rows;
    if (writer->with_times.n_fields > 0) {
        freshet_code code = put_times(writer, rows, &plain, err);
        if (code != FRESHET_OK)
            return code;
    }
    plain.write_us = NULL;
    plain.row_kinds = NULL;
    return debug_append(writer->table, &plain, err);
}

static freshet_code debug_writer_flush(freshet_writer *base, freshet_error *err)
{
    (void)base;
    (void)err;
    return FRESHET_OK;
}

static void debug_writer_close(freshet_writer *base)
{
    debug_writer *writer = (debug_writer *)base;
    debug_close(writer->table);
    writer->table = NULL;
}

static freshet_code debug_writer_query(freshet_writer *base, const char *sql,
                                       const freshet_query_options *options, freshet_result **out,
                                       freshet_error *err)
{
    return debug_query(((debug_writer *)base)->table, sql, options, out, err);
}

static int64_t debug_writer_figure(const freshet_writer *base, freshet_count which)
{
    const debug_table *table = ((const debug_writer *)base)->table;
    return which == FRESHET_TABLE_ROWS ? debug_rows(table) : debug_trimmed(table);
}

const writer_ops debug_writer_ops = {
    .name = "debug",
    .block = &online_block,
    .serves = is_debug,
    .size = sizeof(debug_writer),
    .keeps = KEEPS_NOTHING,
    .takes = ROW_NEW | ROW_ONLINE,
    .debug_options = debug_options_of,
    .check = check_debug,
    .open = debug_writer_open,
    .write = debug_writer_write,
    .flush = debug_writer_flush,
    .close = debug_writer_close,
    .query = debug_writer_query,
    .figure = debug_writer_figure,
};
