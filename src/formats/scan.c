/* scan.c - see scan.h.
 *
 * The query of a scan, for a column "a" that is a bigint in both and one "b" that is not:
 *
 *     SELECT file_row_number, "a", TRY_CAST("b" AS DOUBLE),
 *            CASE WHEN "b" IS NOT NULL AND TRY_CAST("b" AS DOUBLE) IS NULL THEN 'b' END
 *     FROM read_parquet('...') WHERE file_row_number >= 17
 *
 * so that a row with a value that cannot be cast comes with the name of the column. DuckDB gives
 * pieces of up to 2,048 rows; what a batch has no room for stays in the piece until the next
 * scan_read.
 */
#include "formats/scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "formats/format.h"
#include "sql/sql.h"

#define QUERY_BYTES_MAX ((size_t)16 << 20)

struct scan {
    sql_engine *engine;
    sql_session *session;
    sql_statement *statement;
    sql_cursor *cursor;
    arena *arena; /* of the scan that was started */
    arena *piece_arena;
    batch piece;
    uint32_t piece_at;
    const char *at;
    uint32_t n_columns;  /* of the schema */
    uint32_t *source_of; /* per column: its index in the query + 1; 0: not selected */
    bool has_row_number;
    int64_t next;
};

freshet_code scan_open(scan **out, freshet_error *err)
{
    sql_options options = {.external_access = true};
    scan *it = calloc(1, sizeof(*it));
    freshet_code code;

    if (it == NULL)
        return error_memory(err, "opening a scan");
    it->arena = arena_open();
    it->piece_arena = arena_open();
    if (it->arena == NULL || it->piece_arena == NULL)
        code = error_memory(err, "opening a scan");
    else
        code = sql_open(&options, &it->engine, err);
    if (code == FRESHET_OK)
        code = sql_session_open(it->engine, &it->session, err);
    if (code != FRESHET_OK) {
        scan_close(it);
        return code;
    }
    *out = it;
    return FRESHET_OK;
}

/* Ends the scan that was started, if any. */
static void scan_stop(scan *scan)
{
    if (scan->cursor != NULL)
        sql_cursor_close(scan->cursor);
    if (scan->statement != NULL)
        sql_statement_close(scan->statement);
    scan->cursor = NULL;
    scan->statement = NULL;
    scan->piece.n_rows = 0;
    scan->piece_at = 0;
}

void scan_close(scan *scan)
{
    if (scan == NULL)
        return;
    scan_stop(scan);
    if (scan->session != NULL)
        sql_session_close(scan->session);
    if (scan->engine != NULL)
        sql_close(scan->engine);
    arena_close(scan->piece_arena);
    arena_close(scan->arena);
    free(scan);
}

freshet_code scan_execute(scan *scan, const char *sql, freshet_error *err)
{
    return sql_execute(scan->session, sql, NULL, err);
}

const char *scan_parquet(arena *arena, const char *path, bool row_number)
{
    const char *file = sql_file_literal(arena, path);

    return file == NULL ? NULL
                        : arena_format(arena, "read_parquet(%s%s)", file,
                                       row_number ? ", file_row_number=true" : "");
}

/* ---- describing ------------------------------------------------------------------------------ */

/* Types of DuckDB that ours have no place for, and that are read as text. */
static bool is_foreign(const char *type)
{
    static const char *const names[] = {"TIME",     "TIME_NS", "TIME WITH TIME ZONE",
                                        "INTERVAL", "BIT",     "UHUGEINT",
                                        "BIGNUM",   "VARIANT", "GEOMETRY"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(type, names[i]) == 0)
            return true;
    return strncmp(type, "UNION", 5) == 0;
}

static char *text_at(arena *arena, const batch *rows, uint32_t column, uint32_t row)
{
    const cell_text *cell = &((const cell_text *)rows->columns[column].data)[row];

    return arena_copy(arena, text_bytes(cell), cell->length);
}

/* A SELECT of all columns of the relation, foreign types as text. */
static freshet_code select_all(scan *scan, const char *relation, arena *arena, text_buffer *query,
                               freshet_error *err)
{
    const char *describe = arena_format(
        arena, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM %s)", relation);
    sql_statement *statement = NULL;
    batch rows = {0};
    freshet_code code = describe == NULL
                            ? error_memory(err, "describing a table")
                            : sql_prepare(scan->session, describe, &statement, NULL, err);

    if (code == FRESHET_OK)
        code = sql_run(statement, arena, &rows, err);
    text_append_c(query, "SELECT ");
    for (uint32_t i = 0; code == FRESHET_OK && i < rows.n_rows; i++) {
        const char *name = text_at(arena, &rows, 0, i);
        const char *type = text_at(arena, &rows, 1, i);
        const char *quoted = name == NULL ? NULL : sql_quote(arena, name);
        if (quoted == NULL || type == NULL)
            code = error_memory(err, "describing a table");
        else if (is_foreign(type))
            text_format(query, "%sCAST(%s AS VARCHAR) AS %s", i > 0 ? ", " : "", quoted, quoted);
        else
            text_format(query, "%s%s", i > 0 ? ", " : "", quoted);
    }
    text_append_c(query, " FROM ");
    text_append_c(query, relation);
    if (statement != NULL)
        sql_statement_close(statement);
    if (code == FRESHET_OK && query->failed)
        code = error_memory(err, "describing a table");
    return code;
}

/* The relation's columns, and the SELECT of them all. */
static freshet_code describe_all(scan *scan, const char *relation, arena *arena, text_buffer *query,
                                 schema *out, freshet_error *err)
{
    sql_statement *statement = NULL;
    freshet_code code = select_all(scan, relation, arena, query, err);

    if (code == FRESHET_OK)
        code = sql_prepare(scan->session, query->bytes, &statement, NULL, err);
    if (code != FRESHET_OK)
        return code;
    *out = schema_keep(arena, sql_statement_schema(statement));
    sql_statement_close(statement);
    return out->fields == NULL ? error_memory(err, "describing a table") : FRESHET_OK;
}

freshet_code scan_describe(scan *scan, const char *relation, arena *arena, schema *out,
                           freshet_error *err)
{
    text_buffer query;

    text_init(&query, QUERY_BYTES_MAX);
    freshet_code code = describe_all(scan, relation, arena, &query, out, err);
    text_release(&query);
    return code;
}

/* ---- starting -------------------------------------------------------------------------------- */

/* Appends column i to the SELECT, and to the test for values that cannot be cast. */
static freshet_code select_column(scan *scan, const scan_options *options, uint32_t i,
                                  const schema *there, text_buffer *query, text_buffer *test,
                                  freshet_error *err)
{
    const field *field = &options->schema->fields[i];
    int64_t found = schema_find(there, field->name);
    const char *name, *type, *literal;

    if (found < 0)
        return format_no_column(there, options->row_number, field->name, options->at,
                                "there is no column", "there are", err);
    name = sql_quote(scan->arena, there->fields[found].name);
    type = sql_type_name(scan->arena, field->type);
    literal = sql_literal(scan->arena, field->name);
    if (name == NULL || type == NULL || literal == NULL)
        return error_memory(err, "reading a table");
    if (type_equal(there->fields[found].type, field->type)) {
        text_format(query, ", %s", name);
        return FRESHET_OK;
    }
    text_format(query, ", TRY_CAST(%s AS %s)", name, type);
    if (!options->cast_error_null)
        text_format(test, " WHEN %s IS NOT NULL AND TRY_CAST(%s AS %s) IS NULL THEN %s", name, name,
                    type, literal);
    return FRESHET_OK;
}

static freshet_code build_query(scan *scan, const scan_options *options, text_buffer *query,
                                text_buffer *test, text_buffer *all, freshet_error *err)
{
    schema there = {0};
    uint32_t n = 1;
    freshet_code code = describe_all(scan, options->relation, scan->arena, all, &there, err);

    if (code != FRESHET_OK)
        return code;
    text_format(query, "SELECT %s",
                options->row_number == NULL ? "CAST(NULL AS BIGINT)" : options->row_number);
    for (uint32_t i = 0; code == FRESHET_OK && i < scan->n_columns; i++) {
        if (options->used != NULL && !options->used[i])
            continue;
        code = select_column(scan, options, i, &there, query, test, err);
        scan->source_of[i] = ++n;
    }
    if (code != FRESHET_OK)
        return code;
    text_format(query, ", %s%s%s FROM (", test->length > 0 ? "CASE" : "CAST(NULL AS VARCHAR)",
                test->length > 0 ? test->bytes : "", test->length > 0 ? " END" : "");
    text_append_c(query, all->bytes);
    text_append_char(query, ')');
    if (options->row_number != NULL)
        text_format(query, " WHERE %s >= %lld", options->row_number, (long long)options->first);
    else if (options->first > 0)
        text_format(query, " OFFSET %lld", (long long)options->first);
    if (query->failed || test->failed)
        code = error_set(err, FRESHET_LIMIT, FRESHET_STOP, options->at,
                         "the schema has too many columns to cast; use fewer");
    return code;
}

/* What DuckDB says, with our place. */
static freshet_code with_place(freshet_code code, const char *at, const freshet_error *problem,
                               freshet_error *err)
{
    if (code == FRESHET_OK || code == FRESHET_NO_MEMORY)
        return code == FRESHET_OK ? code : error_memory(err, "reading a table");
    if (code == FRESHET_USAGE)
        code = FRESHET_FAILED;
    return error_set(err, code, FRESHET_STOP, problem->at[0] == '\0' ? at : problem->at, "%s",
                     problem->text);
}

freshet_code scan_start(scan *scan, const scan_options *options, freshet_error *err)
{
    text_buffer query, test, all;
    freshet_error problem = {0};
    freshet_code code;

    scan_stop(scan);
    arena_reset(scan->arena);
    scan->n_columns = options->schema->n_fields;
    scan->has_row_number = options->row_number != NULL;
    scan->next = options->first;
    scan->at = arena_text(scan->arena, options->at);
    scan->source_of = arena_zero(scan->arena, scan->n_columns + 1, sizeof(*scan->source_of));
    if (scan->source_of == NULL || scan->at == NULL)
        return error_memory(err, "reading a table");
    text_init(&query, QUERY_BYTES_MAX);
    text_init(&test, QUERY_BYTES_MAX);
    text_init(&all, QUERY_BYTES_MAX);
    code = build_query(scan, options, &query, &test, &all, &problem);
    if (code == FRESHET_OK)
        code = sql_prepare(scan->session, query.bytes, &scan->statement, NULL, &problem);
    if (code == FRESHET_OK)
        code = sql_cursor_open(scan->statement, &scan->cursor, &problem);
    text_release(&query);
    text_release(&test);
    text_release(&all);
    return with_place(code, options->at, &problem, err);
}

/* ---- reading --------------------------------------------------------------------------------- */

static freshet_code next_piece(scan *scan, freshet_error *err)
{
    freshet_error problem = {0};
    freshet_code code;

    arena_reset(scan->piece_arena);
    scan->piece = (batch){0};
    scan->piece_at = 0;
    code = sql_next(scan->cursor, scan->piece_arena, &scan->piece, &problem);
    if (code == FRESHET_END || code == FRESHET_OK)
        return code;
    scan->piece.n_rows = 0;
    return with_place(code, scan->at, &problem, err);
}

static int64_t row_number(const scan *scan, uint32_t row)
{
    return scan->has_row_number ? ((const int64_t *)scan->piece.columns[0].data)[row] : scan->next;
}

/* Copies n rows of the piece to the end of `into`. */
static freshet_code scan_copy_rows(scan *scan, batch *into, uint32_t n, const scan_place *where,
                                   freshet_error *err)
{
    size_t kept = 0;
    const cell_choice which = {.first = scan->piece_at, .n = n, .keeps = &kept};
    freshet_code code = batch_reserve(into, (uint64_t)into->n_rows + n, "reading a table", err);

    for (uint32_t i = 0; code == FRESHET_OK && i < scan->n_columns; i++)
        if (scan->source_of[i] != 0 &&
            !column_copy(into->arena, &scan->piece.columns[scan->source_of[i] - 1], &which,
                         &into->columns[i], into->n_rows))
            code = error_memory(err, "reading a table");
    if (code != FRESHET_OK)
        return code;
    for (uint32_t i = 0; i < n; i++) {
        into->origins[into->n_rows + i] = (origin){.partition = where->partition,
                                                   .offset = row_number(scan, scan->piece_at + i),
                                                   .length = 1};
        scan->next = into->origins[into->n_rows + i].offset + 1;
    }
    into->n_rows += n;
    scan->piece_at += n;
    return FRESHET_OK;
}

static freshet_code reject_row(scan *scan, const column *bad, const scan_place *where,
                               rejects *rejects, freshet_error *err)
{
    const cell_text *column = &((const cell_text *)bad->data)[scan->piece_at];
    reject reject = {.reader = where->reader,
                     .partition = arena_text(rejects->arena, where->label),
                     .offset = row_number(scan, scan->piece_at)};

    if (reject.partition == NULL ||
        !rejects_add(rejects, &reject, REASON_BAD_CAST,
                     "column \"%.*s\" has a value that is not of the type declared in schema; "
                     "declare it as what it is, or say on_cast_error: null",
                     (int)column->length, text_bytes(column)))
        return error_memory(err, "noting a bad record");
    scan->next = reject.offset + 1;
    scan->piece_at++;
    return FRESHET_OK;
}

freshet_code scan_read(scan *scan, batch *into, uint32_t max_rows, const scan_place *where,
                       rejects *rejects, int64_t *next, freshet_error *err)
{
    const column *bad;
    freshet_code code = FRESHET_OK;

    while (scan->piece_at == scan->piece.n_rows) {
        code = scan->cursor == NULL ? FRESHET_END : next_piece(scan, err);
        if (code == FRESHET_END)
            scan_stop(scan);
        if (code != FRESHET_OK)
            return code;
    }
    bad = &scan->piece.columns[scan->piece.schema.n_fields - 1];
    for (uint32_t given = 0;
         code == FRESHET_OK && given < max_rows && scan->piece_at < scan->piece.n_rows;) {
        uint32_t n = 0;
        while (given + n < max_rows && scan->piece_at + n < scan->piece.n_rows &&
               !column_is_valid(bad, scan->piece_at + n))
            n++;
        code = n > 0 ? scan_copy_rows(scan, into, n, where, err)
                     : reject_row(scan, bad, where, rejects, err);
        given += n > 0 ? n : 1;
    }
    *next = scan->next;
    return code;
}
