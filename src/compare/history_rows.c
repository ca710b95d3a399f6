/* history_rows.c - see history_rows.h. */
#include "compare/history_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/os.h"
#include "base/text.h"

#define READING "reading the history"
#define STATEMENT_MAX ((size_t)64 << 20)
#define FILE_COLUMN "__freshet_file"
#define OVERSAMPLING 4 /* the count of keys is an estimate */

/* ---- files ----------------------------------------------------------------------------------- */

freshet_code history_files_list(sql_session *session, const char *folder, arena *arena,
                                history_files *out, freshet_error *err)
{
    const char *under = sql_file_literal(arena, folder);
    const char *sql = under == NULL ? NULL
                                    : arena_format(arena,
                                                   "SELECT file FROM glob(%s || '/**/*.parquet') "
                                                   "ORDER BY file",
                                                   under);
    sql_statement *statement = NULL;
    batch rows = {0};
    freshet_code code =
        sql == NULL ? error_memory(err, READING) : sql_prepare(session, sql, &statement, NULL, err);
    if (code == FRESHET_OK)
        code = sql_run(statement, arena, &rows, err);
    const char **paths = arena_zero(arena, rows.n_rows + (size_t)1, sizeof *paths);
    *out = (history_files){.paths = paths};
    if (code == FRESHET_OK && paths == NULL)
        code = error_memory(err, READING);
    for (uint32_t i = 0; paths != NULL && code == FRESHET_OK && i < rows.n_rows; i++) {
        const cell_text *cell = &((const cell_text *)rows.columns[0].data)[i];
        paths[i] = arena_copy(arena, text_bytes(cell), cell->length);
        out->n++;
        if (paths[i] == NULL)
            code = error_memory(err, READING);
    }
    if (statement != NULL)
        sql_statement_close(statement);
    return code;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool files_have(const history_files *files, const char *path)
{
    return files->n > 0 &&
           bsearch(&path, files->paths, files->n, sizeof *files->paths, compare_paths) != NULL;
}

freshet_code history_files_new(const history_files *files, const history_files *before,
                               arena *arena, history_files *out, freshet_error *err)
{
    out->n = 0;
    out->paths = arena_zero(arena, files->n + (size_t)1, sizeof *out->paths);
    if (out->paths == NULL)
        return error_memory(err, READING);
    for (uint32_t i = 0; i < files->n; i++)
        if (!files_have(before, files->paths[i]))
            out->paths[out->n++] = files->paths[i];
    return FRESHET_OK;
}

freshet_code history_files_since(const history_files *files, int64_t since_us, arena *arena,
                                 history_files *out, freshet_error *err)
{
    struct stat found;
    out->n = 0;
    out->paths = arena_zero(arena, files->n + (size_t)1, sizeof *out->paths);
    if (out->paths == NULL)
        return error_memory(err, READING);
    for (uint32_t i = 0; i < files->n; i++)
        if (os.stat(files->paths[i], &found) == 0 &&
            (int64_t)found.st_mtim.tv_sec * 1000000 + found.st_mtim.tv_nsec / 1000 >= since_us)
            out->paths[out->n++] = files->paths[i];
    return FRESHET_OK;
}

static void put_paths(text_buffer *into, arena *arena, const history_files *files, bool as_files)
{
    for (uint32_t i = 0; i < files->n; i++) {
        const char *literal = as_files ? sql_file_literal(arena, files->paths[i])
                                       : sql_literal(arena, files->paths[i]);
        into->failed |= literal == NULL;
        text_format(into, "%s%s", i == 0 ? "" : ", ", literal == NULL ? "" : literal);
    }
}

const char *history_relation(arena *arena, const history_files *files)
{
    text_buffer text;
    text_init(&text, STATEMENT_MAX);
    text_append_c(&text, "read_parquet([");
    put_paths(&text, arena, files, true);
    text_append_c(&text, "], union_by_name = true, hive_partitioning = false, "
                         "filename = '" FILE_COLUMN "', file_row_number = true)");
    return text_keep(&text, arena);
}

/* ---- columns --------------------------------------------------------------------------------- */

static const char *history_text_at(arena *arena, const batch *rows, uint32_t column, uint32_t row)
{
    const cell_text *cell = &((const cell_text *)rows->columns[column].data)[row];
    return arena_copy(arena, text_bytes(cell), cell->length);
}

static freshet_code history_find_column(arena *arena, const batch *rows, const char *name,
                                        history_column *out, freshet_error *err)
{
    for (uint32_t i = 0; i < rows->n_rows; i++) {
        const char *there = history_text_at(arena, rows, 0, i);
        if (there == NULL)
            return error_memory(err, READING);
        if (strcasecmp(there, name) != 0)
            continue;
        out->quoted = sql_quote(arena, there);
        out->there = history_text_at(arena, rows, 1, i);
        return out->quoted == NULL || out->there == NULL ? error_memory(err, READING) : FRESHET_OK;
    }
    return FRESHET_OK;
}

freshet_code history_describe(sql_session *session, arena *arena, history_sql *sql,
                              freshet_error *err)
{
    const schema *schema = sql->request->schema;
    const char *text = arena_format(
        arena, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM %s)", sql->relation);
    history_column *columns = arena_zero(arena, schema->n_fields, sizeof *columns);
    sql_statement *statement = NULL;
    batch rows = {0};
    if (text == NULL || columns == NULL)
        return error_memory(err, READING);
    freshet_code code = sql_prepare(session, text, &statement, NULL, err);
    if (code == FRESHET_OK)
        code = sql_run(statement, arena, &rows, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < schema->n_fields; i++) {
        code = history_find_column(arena, &rows, schema->fields[i].name, &columns[i], err);
        if (code == FRESHET_OK && columns[i].quoted == NULL && i <= sql->request->n_keys)
            code =
                error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, sql->request->history,
                          "the history in %s has no column \"%s\": it is not of this feature set",
                          sql->request->history, schema->fields[i].name);
    }
    if (statement != NULL)
        sql_statement_close(statement);
    sql->columns = columns;
    return code;
}

/* ---- expressions ----------------------------------------------------------------------------- */

/* Microseconds, cut to what the store keeps, towards the past. */
static void put_cut(text_buffer *into, const char *microseconds, int64_t unit_us)
{
    if (unit_us == 1)
        text_append_c(into, microseconds);
    else
        text_format(into, "(%s - ((%s %% %" PRId64 ") + %" PRId64 ") %% %" PRId64 ")", microseconds,
                    microseconds, unit_us, unit_us, unit_us);
}

static bool is_time(const char *type)
{
    return strncmp(type, "TIMESTAMP", 9) == 0;
}

/* A key of the files, as the store has it. */
static void put_key(text_buffer *into, arena *arena, const history_sql *sql, uint32_t key)
{
    const type *type = sql->request->schema->fields[key].type;
    const history_column *column = &sql->columns[key];
    const char *wanted = sql_type_name(arena, type);
    into->failed |= wanted == NULL;
    if (into->failed)
        return;
    if (type->kind == TYPE_TIMESTAMP && is_time(column->there)) {
        const char *us = arena_format(arena, "epoch_us(%s)", column->quoted);
        into->failed |= us == NULL;
        text_append_c(into, "make_timestamp(");
        put_cut(into, us == NULL ? "" : us, sql->request->store->unit_us == 1 ? 1 : 1000);
        text_append_c(into, ")");
    } else if (strcmp(column->there, wanted) == 0) {
        text_append_c(into, column->quoted);
    } else {
        text_format(into, "CAST(%s AS %s)", column->quoted, wanted);
    }
}

static void put_names(text_buffer *into, const char *before, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        text_format(into, "%s%s%u", i == 0 ? "" : ", ", before, i);
}

static uint32_t n_features(const compare_request *request)
{
    return request->schema->n_fields - request->n_keys - 1;
}

/* FROM (the files' keys as k0, k1 ..., those only that the store can have) */
static void put_keys_from(text_buffer *into, arena *arena, const history_sql *sql)
{
    const compare_request *request = sql->request;
    const type_kind first = request->schema->fields[0].type->kind;
    text_append_c(into, " FROM (SELECT ");
    for (uint32_t k = 0; k < request->n_keys; k++) {
        text_append_c(into, k == 0 ? "" : ", ");
        put_key(into, arena, sql, k);
        text_format(into, " AS k%u", k);
    }
    text_format(into, " FROM %s) WHERE true", sql->relation);
    for (uint32_t k = 0; k < request->n_keys; k++)
        text_format(into, " AND k%u IS NOT NULL", k);
    if (request->store->never_empty && (first == TYPE_STRING || first == TYPE_BINARY))
        text_append_c(into, " AND octet_length(CAST(k0 AS BLOB)) > 0");
}

static void put_hash(text_buffer *into, const compare_request *request)
{
    text_append_c(into, "hash(");
    put_names(into, "k", request->n_keys);
    text_format(into, ", %" PRIu64 "::UBIGINT)", request->seed);
}

const char *history_count_keys(arena *arena, const history_sql *sql)
{
    text_buffer text;
    text_init(&text, STATEMENT_MAX);
    text_append_c(&text, "SELECT approx_count_distinct(");
    put_hash(&text, sql->request);
    text_append_c(&text, ")::BIGINT");
    put_keys_from(&text, arena, sql);
    return text_keep(&text, arena);
}

const char *history_choose_keys(arena *arena, const history_sql *sql, int64_t n_keys)
{
    const uint32_t n = sql->request->n_sample;
    const double share =
        n_keys <= 0 ? 1 : (OVERSAMPLING * (double)n + 256) / (double)n_keys; /* of all hashes */
    text_buffer text;
    text_init(&text, STATEMENT_MAX);
    text_append_c(&text, "INSERT INTO asked SELECT * EXCLUDE h FROM (SELECT ");
    put_names(&text, "k", sql->request->n_keys);
    text_append_c(&text, ", ");
    put_hash(&text, sql->request);
    text_append_c(&text, " AS h");
    put_keys_from(&text, arena, sql);
    if (share < 1) {
        text_append_c(&text, " AND ");
        put_hash(&text, sql->request);
        text_format(&text, " <= %" PRIu64 "::UBIGINT", (uint64_t)(share * 18446744073709549568.0));
    }
    text_format(&text, " GROUP BY ALL ORDER BY h LIMIT %u)", n);
    return text_keep(&text, arena);
}

const char *history_other_keys(arena *arena, const history_sql *sql)
{
    const uint32_t n = sql->request->n_keys;
    text_buffer text;
    text_init(&text, STATEMENT_MAX);
    text_append_c(&text, "INSERT INTO asked SELECT * FROM (SELECT DISTINCT ");
    put_names(&text, "k", n);
    put_keys_from(&text, arena, sql);
    text_append_c(&text, ") h ANTI JOIN online USING (");
    put_names(&text, "k", n);
    text_append_c(&text, ")");
    return text_keep(&text, arena);
}

static bool ends_in(const char *path, const char *ending)
{
    const size_t length = strlen(path), n = strlen(ending);
    return length >= n && strcmp(path + length - n, ending) == 0;
}

const char *history_keys_of(arena *arena, const compare_request *request, const char *path)
{
    const char *file = sql_file_literal(arena, path);
    text_buffer text;
    text_init(&text, STATEMENT_MAX);
    text.failed = file == NULL;
    text_append_c(&text, "INSERT INTO asked SELECT DISTINCT ");
    for (uint32_t k = 0; k < request->n_keys; k++) {
        const char *name = sql_quote(arena, request->schema->fields[k].name);
        const char *type = sql_type_name(arena, request->schema->fields[k].type);
        text.failed |= name == NULL || type == NULL;
        text_format(&text, "%sCAST(%s AS %s)", k == 0 ? "" : ", ", name == NULL ? "" : name,
                    type == NULL ? "" : type);
    }
    text_format(&text, " FROM %s(%s%s)",
                ends_in(path, ".parquet") ? "read_parquet"
                : ends_in(path, ".csv")   ? "read_csv"
                                          : "read_json",
                file == NULL ? "" : file,
                ends_in(path, ".parquet") ? ""
                : ends_in(path, ".csv")   ? ", all_varchar = true, " SQL_CSV_ROWS
                                          : ", format = 'newline_delimited'");
    return text_keep(&text, arena);
}

const char *history_last_time(arena *arena, const history_sql *sql)
{
    return arena_format(arena, "SELECT max(epoch_us(%s)) FROM %s",
                        sql->columns[sql->request->n_keys].quoted, sql->relation);
}

/* ---- both sides ------------------------------------------------------------------------------ */

static void put_equal_keys(text_buffer *into, const char *a, const char *b, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        text_format(into, "%s%s.k%u = %s.k%u", k == 0 ? "" : " AND ", a, k, b, k);
}

const char *history_make_wanted(arena *arena, const compare_request *request)
{
    const uint32_t n_keys = request->n_keys, n = n_features(request);
    text_buffer text;
    text_init(&text, STATEMENT_MAX);
    text_append_c(&text, "CREATE OR REPLACE TABLE wanted AS SELECT row_number() OVER () AS id, ");
    put_names(&text, "a.k", n_keys);
    text_append_c(&text, ", coalesce(m.is_online, false) AS is_online, m.t AS t");
    for (uint32_t i = 0; i < n; i++)
        text_format(&text, ", m.f%u AS f%u", i, i);
    text_append_c(&text, " FROM (SELECT ");
    put_names(&text, "k", n_keys);
    text_append_c(&text, " FROM asked UNION SELECT ");
    put_names(&text, "k", n_keys);
    text_append_c(&text, " FROM online) a LEFT JOIN (SELECT DISTINCT ON (");
    put_names(&text, "k", n_keys);
    text_append_c(&text, ") true AS is_online, * REPLACE (coalesce(");
    put_cut(&text, "epoch_us(t)", request->store->unit_us);
    text_format(&text, ", %" PRId64 ") AS t) FROM online) m ON ", INT64_MIN / 2);
    put_equal_keys(&text, "a", "m", n_keys);
    return text_keep(&text, arena);
}

const char *history_next_round(arena *arena, const compare_request *request)
{
    text_buffer text;
    text_init(&text, STATEMENT_MAX);
    text_append_c(&text,
                  "DELETE FROM asked; INSERT INTO asked SELECT * FROM again; "
                  "DELETE FROM again; "
                  "CREATE OR REPLACE TABLE stays AS SELECT o.* FROM online o SEMI JOIN later "
                  "USING (");
    put_names(&text, "k", request->n_keys);
    text_append_c(&text, "); DELETE FROM later; DELETE FROM online; "
                         "INSERT INTO online SELECT * FROM stays; DROP TABLE stays");
    return text_keep(&text, arena);
}

static void put_among(text_buffer *into, arena *arena, const history_files *files)
{
    if (files->n == 0) {
        text_append_c(into, "false");
        return;
    }
    text_append_c(into, FILE_COLUMN " IN (");
    put_paths(into, arena, files, false);
    text_append_c(into, ")");
}

/* The files' rows: keys, t, whether they count for `before` and `kept`, features, their order. */
static void put_history(text_buffer *into, arena *arena, const history_sql *sql,
                        const history_parts *of)
{
    const compare_request *request = sql->request;
    const history_column *time = &sql->columns[request->n_keys];
    const char *us = arena_format(arena, "epoch_us(%s)", time->quoted);
    into->failed |= us == NULL;
    if (into->failed)
        return;
    text_append_c(into, "SELECT ");
    for (uint32_t k = 0; k < request->n_keys; k++) {
        put_key(into, arena, sql, k);
        text_format(into, " AS k%u, ", k);
    }
    put_cut(into, us, request->store->unit_us);
    text_append_c(into, " AS t, NOT (");
    put_among(into, arena, of->fresh);
    text_append_c(into, ")");
    if (request->in_future)
        text_format(into, " AND %s <= %" PRId64, us, of->now_us);
    text_append_c(into, " AS is_before, ");
    if (of->kept == NULL)
        text_append_c(into, "true");
    else
        put_among(into, arena, of->kept);
    text_append_c(into, " AS is_kept, struct_pack(has := true");
    for (uint32_t i = 0; i < n_features(request); i++)
        if (sql->columns[request->n_keys + 1 + i].quoted != NULL)
            text_format(into, ", f%u := %s", i, sql->columns[request->n_keys + 1 + i].quoted);
    text_format(into, ") AS s, row(%s, " FILE_COLUMN ", file_row_number) AS o FROM %s", us,
                sql->relation);
}

static void put_wanted(text_buffer *into, const history_parts *of)
{
    if (of->parts <= 1)
        text_append_c(into, "wanted w");
    else
        text_format(into, "(SELECT * FROM wanted WHERE id %% %u = %u) w", of->parts, of->part);
}

/* A feature of the history, of the store's type. */
static void put_feature(text_buffer *into, arena *arena, const history_sql *sql, uint32_t feature)
{
    const uint32_t at = sql->request->n_keys + 1 + feature;
    const char *type = sql_type_name(arena, sql->request->schema->fields[at].type);
    into->failed |= type == NULL;
    if (sql->columns[at].quoted == NULL)
        text_format(into, ", CAST(NULL AS %s)", type == NULL ? "" : type);
    else
        text_format(into, ", CAST(n.s.f%u AS %s)", feature, type == NULL ? "" : type);
}

const char *history_pairs(arena *arena, const history_sql *sql, const history_parts *of)
{
    const compare_request *request = sql->request;
    text_buffer text;
    text_init(&text, STATEMENT_MAX);
    text_append_c(&text, "SELECT ");
    put_names(&text, "w.k", request->n_keys);
    text_append_c(&text, ", w.is_online, w.t");
    for (uint32_t i = 0; i < n_features(request); i++)
        text_format(&text, ", w.f%u", i);
    text_append_c(&text, ", n.before, n.at, n.kept");
    for (uint32_t i = 0; i < n_features(request); i++)
        put_feature(&text, arena, sql, i);
    text_append_c(&text, " FROM ");
    put_wanted(&text, of);
    text_append_c(&text, " LEFT JOIN (SELECT w.id AS id, max(h.t) FILTER (WHERE h.is_before) AS "
                         "before, max(h.t) FILTER (WHERE h.t <= w.t) AS at, max(h.t) FILTER (WHERE "
                         "h.is_before AND h.is_kept) AS kept, arg_max(h.s, h.o) FILTER (WHERE "
                         "h.t <= w.t) AS s FROM ");
    put_wanted(&text, of);
    text_append_c(&text, " JOIN (");
    put_history(&text, arena, sql, of);
    text_append_c(&text, ") h ON ");
    put_equal_keys(&text, "h", "w", request->n_keys);
    text_append_c(&text, " GROUP BY w.id) n ON n.id = w.id");
    return text_keep(&text, arena);
}
