/* debug.c - see debug.h.
 *
 * The rows lie in memory of ours (kept_rows.h), and the SQL engine reads them there: a table
 * function of its gives them in pieces, and what users see are three views over it, made once. An
 * append is a copy of columns, in which the engine has no part: a row costs some ten nanoseconds,
 * be it one of a million or alone. Measured against tables of the engine (bench/debug_table.c) it
 * costs a fifteenth; a query reads as fast.
 *
 * A query is a copy of the process, made between two appends (query_pool.h): it sees all of an
 * append or nothing, and what it reads never changes. The process itself runs nothing in the
 * engine.
 *
 * Rows of windows and groups on a stream come with a write timestamp in a column that the views
 * leave out: by it one row is newer than another, in the place of the event time. A last column
 * says of a row that it came before, and comes again since a late event or another row of its
 * second has changed what is served: `_new` leaves such rows out.
 *
 * `_latest` groups by the keys and takes each column by arg_max_null over one number made of the
 * event time and the row's number: of equal times the later arrival. Of the forms measured
 * (row_number, arg_max of a struct, semi joins) this is the fastest for a key, a count and a scan;
 * columns that a query does not use cost nothing.
 *
 * When memory runs short the oldest rows go before their time: a debug table never stops the
 * stream.
 */
#include "writers/debug/debug.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "sql/sql.h"
#include "writers/debug/kept_rows.h"
#include "writers/debug/query_pool.h"

#define OPENING "opening the debug table"
#define ROWS "__freshet_rows"
#define PLACE "place" /* of the newest row of a key the greatest */
#define VIEW_PREFIX "online_feature_store__"
#define VIEW_SQL_MAX ((size_t)16 << 20)

struct debug_table {
    debug_options options;
    arena *arena;
    const char *view; /* quoted */
    const char *latest;
    const char *new;
    schema schema; /* with the names of the columns for the engine: c0, c1, ... */
    uint32_t n_keys;
    uint32_t n_shown; /* columns that queries see: all, but for the write timestamp */
    /* Lists for SQL: names as queries see them; c0, c1, ... of the columns they see, of the keys;
     * and the columns of a key's newest row behind its keys. */
    text_buffer names, shown, keys, newest;
    sql_engine *engine;
    sql_session *session;
    query_pool *pool;
    text_buffer sql;
    kept_rows *rows; /* under the pool's lock */
    bool said_short_of_memory;
    atomic_llong kept, trimmed; /* for other threads */
};

/* ---- the views ----------------------------------------------------------------------------- */

static freshet_code execute(debug_table *table, freshet_error *err)
{
    if (table->sql.failed)
        return error_memory(err, OPENING);
    return sql_execute(table->session, table->sql.bytes, NULL, err);
}

/* A view of the columns that queries see. */
static void begin_view(debug_table *table, const char *name)
{
    text_reset(&table->sql);
    text_format(&table->sql, "CREATE VIEW %s(%s) AS SELECT ", name, table->names.bytes);
}

static freshet_code make_views(debug_table *table, freshet_error *err)
{
    begin_view(table, table->view);
    text_format(&table->sql, "%s FROM " ROWS "()", table->shown.bytes);
    freshet_code code = execute(table, err);
    if (code != FRESHET_OK)
        return code;
    begin_view(table, table->new);
    text_format(&table->sql, "%s FROM " ROWS "()", table->shown.bytes);
    if (table->options.has_write_times)
        text_format(&table->sql, " WHERE NOT c%u", table->n_shown + 1);
    code = execute(table, err);
    if (code != FRESHET_OK)
        return code;
    begin_view(table, table->latest);
    text_format(
        &table->sql, "%s%s FROM " ROWS "()%s GROUP BY %s", table->keys.bytes, table->newest.bytes,
        table->options.has_write_times ? " WHERE " PLACE " IS NOT NULL" : "", table->keys.bytes);
    return execute(table, err);
}

/* ---- appending ----------------------------------------------------------------------------- */

static void say_short_of_memory(debug_table *table)
{
    if (!table->said_short_of_memory)
        log_event(TABLE_FULL, NULL, table->view, kept_rows_count(table->rows),
                  (double)table->options.memory / (1 << 20), table->options.rows);
    table->said_short_of_memory = true;
}

freshet_code debug_append(debug_table *table, const batch *rows, freshet_error *err)
{
    bool is_short = false;
    query_pool_lock(table->pool);
    freshet_code code = kept_rows_add(table->rows, rows, &is_short, err);
    query_pool_unlock(table->pool);
    if (is_short)
        say_short_of_memory(table);
    atomic_store(&table->kept, kept_rows_count(table->rows));
    atomic_store(&table->trimmed, kept_rows_trimmed(table->rows));
    return code;
}

/* ---- opening and closing ------------------------------------------------------------------- */

/* The columns under the names that the engine knows them by. */
static freshet_code name_columns_anew(debug_table *table, const schema *schema, freshet_error *err)
{
    field *fields = arena_alloc(table->arena, schema->n_fields * sizeof *fields);
    bool good = fields != NULL;
    for (uint32_t i = 0; good && i < schema->n_fields; i++) {
        fields[i] = schema->fields[i];
        fields[i].name = arena_format(table->arena, "c%u", i);
        good = fields[i].name != NULL;
    }
    const struct schema named = {schema->n_fields, fields};
    if (good)
        table->schema = schema_keep(table->arena, &named);
    return good && table->schema.fields != NULL ? FRESHET_OK : error_memory(err, OPENING);
}

static freshet_code make_empty(debug_table *table, freshet_error *err)
{
    freshet_code code = kept_rows_open(&table->schema, table->options.rows, table->options.memory,
                                       &table->rows, err);
    if (code == FRESHET_OK)
        code = sql_rows_add(table->session, ROWS, &table->schema, PLACE,
                            table->options.has_write_times ? table->n_shown : table->n_keys,
                            kept_rows_piece, table->rows, err);
    if (code == FRESHET_OK)
        code = make_views(table, err);
    if (code == FRESHET_OK)
        code = sql_lock(table->engine, err);
    return code;
}

static freshet_code make_lists(debug_table *table, const schema *schema, freshet_error *err)
{
    text_buffer *const lists[] = {&table->names, &table->shown, &table->keys, &table->newest};
    bool good = true;
    for (uint32_t i = 0; i < sizeof lists / sizeof *lists; i++)
        text_init(lists[i], VIEW_SQL_MAX);
    for (uint32_t i = 0; good && i < table->n_shown; i++) {
        const char *name = sql_quote(table->arena, schema->fields[i].name);
        const char *comma = i == 0 ? "" : ", ";
        good = name != NULL && text_format(&table->names, "%s%s", comma, name) &&
               text_format(&table->shown, "%sc%u", comma, i);
        if (good && i < table->n_keys)
            good = text_format(&table->keys, "%sc%u", comma, i);
        else if (good && i == table->n_keys && !table->options.has_write_times)
            good = text_format(&table->newest, ", max(c%u) AS c%u", i, i); /* it is the newest */
        else if (good)
            good = text_format(&table->newest, ", arg_max_null(c%u, " PLACE ") AS c%u", i, i);
    }
    return good ? FRESHET_OK : error_memory(err, OPENING);
}

static bool set_names(debug_table *table, const char *feature_set)
{
    table->arena = arena_open();
    if (table->arena == NULL)
        return false;
    char *name = arena_format(table->arena, VIEW_PREFIX "%s", feature_set);
    char *latest = arena_format(table->arena, VIEW_PREFIX "%s_latest", feature_set);
    char *new = arena_format(table->arena, VIEW_PREFIX "%s_new", feature_set);
    if (name == NULL || latest == NULL || new == NULL)
        return false;
    table->view = sql_quote(table->arena, name);
    table->latest = sql_quote(table->arena, latest);
    table->new = sql_quote(table->arena, new);
    return table->view != NULL && table->latest != NULL && table->new != NULL;
}

freshet_code debug_open(const char *feature_set, const schema *schema, uint32_t n_keys,
                        const debug_options *options, debug_table **out, freshet_error *err)
{
    assert(n_keys > 0 && n_keys < schema->n_fields);
    debug_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return error_memory(err, OPENING);
    table->options = *options;
    table->n_keys = n_keys;
    table->n_shown = schema->n_fields - (options->has_write_times ? 2 : 0);
    text_init(&table->sql, VIEW_SQL_MAX);
    freshet_code code =
        set_names(table, feature_set) ? make_lists(table, schema, err) : error_memory(err, OPENING);
    if (code == FRESHET_OK)
        code = name_columns_anew(table, schema, err);
    if (code == FRESHET_OK)
        code = sql_open(&(sql_options){.memory = options->memory}, &table->engine, err);
    if (code == FRESHET_OK)
        code = sql_session_open(table->engine, &table->session, err);
    if (code == FRESHET_OK)
        code = make_empty(table, err);
    if (code == FRESHET_OK)
        code = query_pool_open(table->engine, options->memory, &table->pool, err);
    if (code == FRESHET_OK)
        *out = table;
    else
        debug_close(table);
    return code;
}

void debug_close(debug_table *table)
{
    if (table == NULL)
        return;
    query_pool_close(table->pool);
    sql_session_close(table->session);
    sql_close(table->engine);
    kept_rows_close(table->rows);
    text_release(&table->sql);
    text_release(&table->names);
    text_release(&table->shown);
    text_release(&table->keys);
    text_release(&table->newest);
    arena_close(table->arena);
    free(table);
}

int64_t debug_rows(const debug_table *table)
{
    return atomic_load(&table->kept);
}

int64_t debug_trimmed(const debug_table *table)
{
    return atomic_load(&table->trimmed);
}

freshet_code debug_query(debug_table *table, const char *sql, const freshet_query_options *options,
                         freshet_result **out, freshet_error *err)
{
    return query_pool_run(table->pool, sql, options, out, err);
}
