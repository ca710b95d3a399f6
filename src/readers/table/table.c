/* table.c - the reader `table`; see table.h. DuckDB's side is a scan (scan.h), SQLite's is in
 * table_sqlite.c. The one partition is the table; the place in it is the number of rows before.
 */
#include "readers/table/table.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/os.h"
#include "formats/scan.h"
#include "readers/polling.h"
#include "readers/table/table_sqlite.h"
#include "sql/sql.h"

#define PARTITION_NAME "table"

typedef struct table_reader {
    struct freshet_reader base;
    const char *path;
    const char *name; /* of the table, quoted */
    const char *relation;
    char at[232];
    bool is_sqlite;
    table_sqlite *sqlite;
    scan *scan;
    bool said_missing;
    int64_t signature[4]; /* sizes and times of the file and its write-ahead log */
} table_reader;

static const option options_table[] = {
    {OPTION("path", TEXT, table_options, path), .required = true,
     .doc = "A SQLite or a DuckDB file.", .example = "data/reference.db"},
    {OPTION("table", TEXT, table_options, table), .required = true,
     .doc = "The table or view, `schema.table` where it is not in the main schema.",
     .example = "airports"},
    {0},
};

/* "a.b" as "a"."b" in quotes. */
static const char *quote_name(arena *arena, const char *name)
{
    const char *dot = strchr(name, '.');
    const char *first, *second;

    if (dot == NULL)
        return sql_quote(arena, name);
    first = arena_copy(arena, name, (size_t)(dot - name));
    first = first == NULL ? NULL : sql_quote(arena, first);
    second = quote_name(arena, dot + 1);
    return first == NULL || second == NULL ? NULL : arena_format(arena, "%s.%s", first, second);
}

/* ---- describe -------------------------------------------------------------------------------- */

static freshet_code find_kind(table_reader *reader, freshet_error *err)
{
    unsigned char head[16] = {0};
    int fd = os.open(reader->path, O_RDONLY, 0);

    if (fd < 0)
        return error_system(err, "cannot open", reader->path);
    const ssize_t n = os.pread(fd, head, sizeof(head), 0);
    os.close(fd);
    if (n < 0)
        return error_system(err, "cannot read", reader->path);
    reader->is_sqlite = n == 16 && memcmp(head, "SQLite format 3", 16) == 0;
    if (reader->is_sqlite || (n >= 12 && memcmp(head + 8, "DUCK", 4) == 0))
        return FRESHET_OK;
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
                     "\"%s\" is neither a SQLite nor a DuckDB file; read other files by the reader "
                     "file",
                     reader->path);
}

static freshet_code attach(table_reader *reader, freshet_error *err)
{
    arena *scratch = arena_open();
    const char *path = scratch == NULL ? NULL : sql_literal(scratch, reader->path);
    const char *sql =
        path == NULL ? NULL : arena_format(scratch, "ATTACH %s AS attached (READ_ONLY)", path);
    freshet_error problem = {0};
    freshet_code code = sql == NULL ? error_memory(err, "opening a table") : FRESHET_OK;

    if (code == FRESHET_OK)
        code = scan_open(&reader->scan, err);
    if (code == FRESHET_OK) {
        code = scan_execute(reader->scan, sql, &problem);
        if (code != FRESHET_OK)
            error_set(err, FRESHET_FAILED, FRESHET_STOP, reader->at, "%s", problem.text);
    }
    arena_close(scratch);
    return code;
}

static freshet_code describe_duckdb(table_reader *reader, freshet_error *err)
{
    freshet_error problem = {0};
    freshet_code code = attach(reader, err);

    if (code != FRESHET_OK)
        return code;
    code = scan_describe(reader->scan, reader->relation, reader->base.arena, &reader->base.schema,
                         &problem);
    if (code == FRESHET_OK || code == FRESHET_NO_MEMORY)
        return code == FRESHET_OK ? code : error_memory(err, "describing a table");
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at, "%s", problem.text);
}

/* Names and paths; no file is looked at yet. */
static freshet_code set_names(table_reader *reader, freshet_error *err)
{
    const table_options *options = reader->base.options;
    arena *arena = reader->base.arena;

    reader->base.only.name = PARTITION_NAME;
    reader->name = quote_name(arena, options->table.value);
    reader->path = declaration_path(reader->base.declaration, arena, options->path.value);
    if (reader->path != NULL)
        reader->base.only.label = arena_format(arena, "%s: %s", reader->path, options->table.value);
    if (reader->name != NULL)
        reader->relation = arena_format(arena, "attached.%s", reader->name);
    if (reader->path == NULL || reader->base.only.label == NULL || reader->relation == NULL)
        return error_memory(err, "describing a table");
    polling_place(&options->path, reader->path, reader->at, sizeof(reader->at));
    return FRESHET_OK;
}

static freshet_code table_describe(freshet_reader *base, freshet_error *err)
{
    table_reader *reader = (table_reader *)base;
    freshet_code code = set_names(reader, err);

    if (code != FRESHET_OK)
        return code;
    if (base->block->stream)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
                         "a table cannot be read as a stream, since it has no order in which rows "
                         "come; remove stream: true, or write its new rows to files");
    code = find_kind(reader, err);
    if (code != FRESHET_OK)
        return code;
    if (!reader->is_sqlite)
        return describe_duckdb(reader, err);
    code = table_sqlite_open(reader->path, reader->name, reader->at, &reader->sqlite, err);
    if (code == FRESHET_OK)
        code = table_sqlite_describe(reader->sqlite, base->arena, &base->schema, err);
    table_sqlite_close(reader->sqlite);
    reader->sqlite = NULL;
    return code;
}

/* ---- reading --------------------------------------------------------------------------------- */

static void sign(const table_reader *reader, int64_t signature[4])
{
    char log[4096];
    struct stat info;

    memset(signature, 0, 4 * sizeof(*signature));
    for (int i = 0; i < 2; i++) {
        const char *path = reader->path;
        if (i == 1) { /* SQLite has file-wal, DuckDB file.wal */
            int n = snprintf(log, sizeof(log), "%s%s", path, reader->is_sqlite ? "-wal" : ".wal");
            if (n < 0 || (size_t)n >= sizeof(log))
                break;
            path = log;
        }
        if (os.stat(path, &info) == 0) {
            signature[2 * i] = info.st_size + 1;
            signature[2 * i + 1] = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
        }
    }
}

static freshet_code table_open(freshet_reader *base, const reader_positions *from,
                               freshet_error *err)
{
    table_reader *reader = (table_reader *)base;
    bool nulls = base->block->on_cast_error == ON_CAST_ERROR_NULL;
    freshet_code code = FRESHET_OK;

    base->only.offset = from != NULL && from->n > 0 ? from->items[0].offset : 0;
    sign(reader, reader->signature);
    if (reader->is_sqlite) {
        code = table_sqlite_open(reader->path, reader->name, reader->at, &reader->sqlite, err);
        return code == FRESHET_OK ? table_sqlite_start(reader->sqlite, &base->schema, base->used,
                                                       nulls, base->only.offset, err)
                                  : code;
    }
    if (reader->scan == NULL)
        code = attach(reader, err);
    scan_options settings = {.relation = reader->relation,
                             .first = base->only.offset,
                             .schema = &base->schema,
                             .used = base->used,
                             .cast_error_null = nulls,
                             .reads_ahead = reader_reads_ahead(base),
                             .at = reader->base.only.label};
    return code == FRESHET_OK ? scan_start(reader->scan, &settings, err) : code;
}

static freshet_code table_poll(freshet_reader *base, batch *into, uint32_t max_rows,
                               size_t max_bytes, rejects *rejects, bool *more, freshet_error *err)
{
    table_reader *reader = (table_reader *)base;
    scan_place where = {.reader = base->block->id.value, .label = reader->base.only.label};
    polling polling =
        polling_begin(base, into, max_rows, max_bytes, rejects, "reading a table", err);
    freshet_code code = FRESHET_OK;

    while (code == FRESHET_OK && polling_left(&polling) > 0) {
        uint32_t most = polling_rows_left(&polling), before = into->n_rows;
        code = reader->is_sqlite
                   ? table_sqlite_read(reader->sqlite, into, most, &where, rejects,
                                       &base->only.offset, err)
                   : scan_read(reader->scan, into, most, &where, rejects, &base->only.offset, err);
        polling.bytes += (size_t)(into->n_rows - before) * POLLING_ROW_BYTES;
    }
    base->moved = true;
    *more = code == FRESHET_OK;
    if (code != FRESHET_OK && code != FRESHET_END)
        return code;
    freshet_code nulls = polling_end(&polling);
    return nulls == FRESHET_OK ? code : nulls;
}

static bool table_changed(freshet_reader *base)
{
    table_reader *reader = (table_reader *)base;
    int64_t now[4];

    sign(reader, now);
    polling_tell_missing(base, reader->path, now[0] == 0, &reader->said_missing);
    return now[0] != 0 && memcmp(now, reader->signature, sizeof(now)) != 0;
}

static void table_close(freshet_reader *base)
{
    table_reader *reader = (table_reader *)base;

    table_sqlite_close(reader->sqlite);
    scan_close(reader->scan);
    reader->sqlite = NULL;
    reader->scan = NULL;
}

const reader_ops table_reader_ops = {
    .block = {.name = "table",
              .title = "Reader: table",
              .doc = "A table or view of a SQLite or DuckDB file, read whole, and again when the "
                     "file changes. Not as a stream.",
              .options = options_table,
              .size = sizeof(table_options)},
    .size = sizeof(table_reader),
    .describe = table_describe,
    .open = table_open,
    .poll = table_poll,
    .positions = polling_only_positions,
    .partition_label = polling_only_label,
    .changed = table_changed,
    .close = table_close,
};
