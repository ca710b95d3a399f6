/* scan.c - see scan.h.
 *
 * The query of a scan:
 *
 *     SELECT file_row_number, "a", CAST("b" AS VARCHAR)
 *     FROM read_parquet('...') WHERE file_row_number >= 17
 *
 * DuckDB gives pieces of up to 2,048 rows, with the relation's own types but where text is wanted,
 * which every type can become without loss. When a piece comes, its columns of other types than the
 * schema's are converted as a whole, and for each row that has a value which does not fit the
 * reason is kept. What a batch has no room for stays in the piece until the next scan_read.
 */
#include "formats/scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "formats/convert.h"
#include "formats/format.h"
#include "sql/sql.h"

#define QUERY_BYTES_MAX ((size_t)16 << 20)

struct scan {
    sql_engine *engine;
    sql_session *session;
    sql_statement *statement;
    sql_cursor *cursor;
    sql_statement *asked; /* of the last scan_query */
    arena *arena;         /* of the scan that was started */
    arena *piece_arena;
    batch piece;
    uint32_t piece_at;
    const char **reasons; /* of the piece: why a row is bad, or NULL; NULL: none is */
    const char *at;
    uint32_t n_columns; /* of the schema */
    const schema *schema;
    const char *const *said_by;
    bool cast_error_null;
    uint32_t *source_of; /* per column: its index in the query + 1; 0: not selected */
    bool *is_missing;    /* per column: used, and not in the relation */
    bool *nanos;         /* per column, as scan_options says */
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

void scan_stop(scan *scan)
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
    if (scan->asked != NULL)
        sql_statement_close(scan->asked);
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

freshet_code scan_query(scan *scan, const char *sql, arena *arena, batch *out, freshet_error *err)
{
    freshet_code code;

    if (scan->asked != NULL)
        sql_statement_close(scan->asked);
    scan->asked = NULL;
    code = sql_prepare(scan->session, sql, &scan->asked, NULL, err);
    return code == FRESHET_OK ? sql_run(scan->asked, arena, out, err) : code;
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
    batch rows = {0};
    freshet_code code = describe == NULL ? error_memory(err, "describing a table")
                                         : scan_query(scan, describe, arena, &rows, err);

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
    if (code == FRESHET_OK && query->failed)
        code = error_memory(err, "describing a table");
    return code;
}

/* The relation's columns, and the SELECT of them all: as they are, where each has a type that we
 * have, which is seldom otherwise; else with the foreign ones as text. */
static freshet_code describe_all(scan *scan, const char *relation, arena *arena, text_buffer *query,
                                 schema *out, freshet_error *err)
{
    sql_statement *statement = NULL;
    freshet_code code;

    text_format(query, "SELECT * FROM %s", relation);
    if (query->failed)
        return error_memory(err, "describing a table");
    code = sql_prepare(scan->session, query->bytes, &statement, NULL, NULL);
    if (code != FRESHET_OK) {
        text_reset(query);
        code = select_all(scan, relation, arena, query, err);
        if (code == FRESHET_OK)
            code = sql_prepare(scan->session, query->bytes, &statement, NULL, err);
    }
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

/* Appends column i to the SELECT, as its index *n; false where the relation has not that column. */
static freshet_code select_column(scan *scan, uint32_t i, const field *there, text_buffer *query,
                                  freshet_error *err)
{
    const type *wanted = scan->schema->fields[i].type;
    const char *name = sql_quote(scan->arena, there->name);

    if (name == NULL)
        return error_memory(err, "reading a table");
    if (wanted->kind == TYPE_STRING && there->type->kind != TYPE_STRING &&
        there->type->kind != TYPE_BINARY)
        text_format(query, ", CAST(%s AS VARCHAR)", name);
    else
        text_format(query, ", %s", name);
    return FRESHET_OK;
}

static freshet_code scan_none_there(const scan_options *options, const schema *there,
                                    const char *name, freshet_error *err)
{
    return format_no_column(there, options->row_number, name, options->at, "there is no column",
                            "there are", err);
}

static freshet_code select_columns(scan *scan, const scan_options *options, const schema *there,
                                   text_buffer *query, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    const char *first_missing = NULL;
    uint32_t n = 0;

    for (uint32_t i = 0; code == FRESHET_OK && i < scan->n_columns; i++) {
        const char *name = options->schema->fields[i].name;
        int64_t found;
        if (options->used != NULL && !options->used[i])
            continue;
        found = schema_find(there, name);
        if (found >= 0) {
            code = select_column(scan, i, &there->fields[found], query, err);
            scan->source_of[i] = ++n + 1;
        } else if (options->missing == NULL) {
            return scan_none_there(options, there, name, err);
        } else {
            text_format(options->missing, "%s%s", first_missing == NULL ? "" : ", ", name);
            first_missing = first_missing == NULL ? name : first_missing;
            scan->is_missing[i] = true;
        }
    }
    if (n == 0 && first_missing != NULL)
        return scan_none_there(options, there, first_missing, err);
    return code;
}

static freshet_code build_query(scan *scan, const scan_options *options, text_buffer *query,
                                text_buffer *all, freshet_error *err)
{
    schema there = {0};
    freshet_code code = describe_all(scan, options->relation, scan->arena, all, &there, err);

    if (code != FRESHET_OK)
        return code;
    text_format(query, "SELECT %s",
                options->row_number == NULL ? "CAST(NULL AS BIGINT)" : options->row_number);
    code = select_columns(scan, options, &there, query, err);
    if (code != FRESHET_OK)
        return code;
    text_append_c(query, " FROM (");
    text_append_c(query, all->bytes);
    text_append_char(query, ')');
    if (options->row_number != NULL)
        text_format(query, " WHERE %s >= %lld", options->row_number, (long long)options->first);
    else if (options->first > 0)
        text_format(query, " OFFSET %lld", (long long)options->first);
    if (query->failed)
        code = error_set(err, FRESHET_LIMIT, FRESHET_STOP, options->at,
                         "the schema has too many columns; use fewer");
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
    text_buffer query, all;
    freshet_error problem = {0};
    freshet_code code;

    scan_stop(scan);
    arena_reset(scan->arena);
    scan->n_columns = options->schema->n_fields;
    scan->has_row_number = options->row_number != NULL;
    scan->next = options->first;
    scan->at = arena_text(scan->arena, options->at);
    scan->schema = options->schema;
    scan->said_by = options->said_by;
    scan->cast_error_null = options->cast_error_null;
    scan->source_of = arena_zero(scan->arena, scan->n_columns + 1, sizeof(*scan->source_of));
    scan->is_missing = arena_zero(scan->arena, scan->n_columns + 1, sizeof(*scan->is_missing));
    scan->nanos = arena_zero(scan->arena, scan->n_columns + 1, sizeof(*scan->nanos));
    if (scan->source_of == NULL || scan->is_missing == NULL || scan->nanos == NULL ||
        scan->at == NULL)
        return error_memory(err, "reading a table");
    for (uint32_t i = 0; options->nanos != NULL && i < scan->n_columns; i++)
        scan->nanos[i] = options->nanos[i];
    text_init(&query, QUERY_BYTES_MAX);
    text_init(&all, QUERY_BYTES_MAX);
    code = build_query(scan, options, &query, &all, &problem);
    if (code == FRESHET_OK)
        code = sql_prepare(scan->session, query.bytes, &scan->statement, NULL, &problem);
    if (code == FRESHET_OK)
        code = sql_cursor_open(scan->statement, &scan->cursor, &problem);
    if (code == FRESHET_OK && options->reads_ahead)
        code = sql_cursor_read_ahead(scan->cursor, &problem);
    text_release(&query);
    text_release(&all);
    return with_place(code, options->at, &problem, err);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Why the row is bad: the value that does not fit, as it stands there. */
static const char *misfit_reason(const scan *scan, uint32_t i, const conversion *misfit)
{
    const char *said_by = scan->said_by == NULL ? NULL : scan->said_by[i];
    const char *type = type_name(scan->piece_arena, misfit->wanted);
    const char *reason = NULL;
    text_buffer value;

    text_init(&value, TEXT_LIMIT_DEFAULT);
    if (type != NULL && column_to_json(misfit->bad, misfit->bad_row, &value, NULL) == FRESHET_OK) {
        int n = cell_shown(value.bytes, value.length);
        reason = arena_format(
            scan->piece_arena,
            said_by == NULL
                ? "column \"%s\" should be %s%s, but has the value %.*s%s; declare it in schema as "
                  "what it is, or say on_cast_error: null"
                : "column \"%s\" is %s, as %s has it, and cannot hold %.*s%s without losing "
                  "something; declare schema with a type for all files, or say on_cast_error: null",
            scan->schema->fields[i].name, type, said_by == NULL ? "" : said_by, n, value.bytes,
            (size_t)n < value.length ? "..." : "");
    }
    text_release(&value);
    return reason;
}

/* The column of the piece as one of the schema's type. */
static freshet_code convert_column(scan *scan, uint32_t i, column *piece, freshet_error *err)
{
    const uint32_t n = scan->piece.n_rows;
    conversion it = {.arena = scan->piece_arena, .null_instead = scan->cast_error_null};
    column made = {0};

    if (column_init(scan->piece_arena, &made, scan->schema->fields[i].type, n, NULL) != FRESHET_OK)
        return error_memory(err, "reading a table");
    for (uint32_t row = 0; row < n; row++) {
        outcome result = convert_cell(&it, piece, row, &made, row);
        if (result == FITS)
            continue;
        if (result == DOES_NOT_FIT && scan->reasons == NULL)
            scan->reasons = arena_zero(scan->piece_arena, n, sizeof(*scan->reasons));
        if (result == NO_MEMORY || scan->reasons == NULL)
            return error_memory(err, "reading a table");
        if (scan->reasons[row] == NULL)
            scan->reasons[row] = misfit_reason(scan, i, &it);
        if (scan->reasons[row] == NULL ||
            !column_set_null(scan->piece_arena, &made, row)) /* no half of a cell stays */
            return error_memory(err, "reading a table");
    }
    *piece = made;
    return FRESHET_OK;
}

/* The infinities among n timestamps, here and below, as the ends of nanoseconds that they were. The
 * depth is that of the type, TYPE_DEPTH_MAX at most. */
static void mend_nanos(column *column, uint64_t n)
{
    int64_t *times = column->type->kind == TYPE_TIMESTAMP ? column->data : NULL;
    bool is_array = column->type->kind == TYPE_ARRAY;

    for (uint64_t i = 0; times != NULL && i < n; i++) {
        if (times[i] == INT64_MAX)
            times[i] = INT64_MAX / 1000;
        else if (times[i] == -INT64_MAX)
            times[i] = -INT64_MAX / 1000 - 1;
    }
    for (uint32_t i = 0; i < column->type->n_fields; i++)
        mend_nanos(&column->children[i], is_array ? column->n_elements : n);
}

static freshet_code convert_piece(scan *scan, freshet_error *err)
{
    freshet_code code = FRESHET_OK;

    for (uint32_t i = 0; code == FRESHET_OK && i < scan->n_columns; i++) {
        column *piece =
            scan->source_of[i] == 0 ? NULL : &scan->piece.columns[scan->source_of[i] - 1];
        if (piece != NULL && scan->nanos[i])
            mend_nanos(piece, scan->piece.n_rows);
        if (piece != NULL && !type_equal(piece->type, scan->schema->fields[i].type))
            code = convert_column(scan, i, piece, err);
    }
    return code;
}

static freshet_code next_piece(scan *scan, freshet_error *err)
{
    freshet_error problem = {0};
    freshet_code code;

    arena_reset(scan->piece_arena);
    scan->piece = (batch){0};
    scan->piece_at = 0;
    scan->reasons = NULL;
    code = sql_next(scan->cursor, scan->piece_arena, &scan->piece, &problem);
    if (code == FRESHET_END)
        return code;
    if (code == FRESHET_OK)
        code = convert_piece(scan, &problem);
    if (code == FRESHET_OK)
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
        if ((scan->source_of[i] != 0 &&
             !column_copy(into->arena, &scan->piece.columns[scan->source_of[i] - 1], &which,
                          &into->columns[i], into->n_rows)) ||
            (scan->is_missing[i] &&
             !cell_set_nulls(into->arena, &into->columns[i], into->n_rows, n)))
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

static freshet_code reject_row(scan *scan, const scan_place *where, rejects *rejects,
                               freshet_error *err)
{
    reject reject = {.reader = where->reader,
                     .partition = arena_text(rejects->arena, where->label),
                     .offset = row_number(scan, scan->piece_at)};

    if (reject.partition == NULL ||
        !rejects_add(rejects, &reject, REASON_BAD_CAST, "%s", scan->reasons[scan->piece_at]))
        return error_memory(err, "noting a bad record");
    scan->next = reject.offset + 1;
    scan->piece_at++;
    return FRESHET_OK;
}

static bool is_bad(const scan *scan, uint32_t row)
{
    return scan->reasons != NULL && scan->reasons[row] != NULL;
}

freshet_code scan_read(scan *scan, batch *into, uint32_t max_rows, const scan_place *where,
                       rejects *rejects, int64_t *next, freshet_error *err)
{
    freshet_code code = FRESHET_OK;

    while (scan->piece_at == scan->piece.n_rows) {
        code = scan->cursor == NULL ? FRESHET_END : next_piece(scan, err);
        if (code == FRESHET_END)
            scan_stop(scan);
        if (code != FRESHET_OK)
            return code;
    }
    for (uint32_t given = 0;
         code == FRESHET_OK && given < max_rows && scan->piece_at < scan->piece.n_rows;) {
        uint32_t n = 0;
        while (given + n < max_rows && scan->piece_at + n < scan->piece.n_rows &&
               !is_bad(scan, scan->piece_at + n))
            n++;
        code = n > 0 ? scan_copy_rows(scan, into, n, where, err)
                     : reject_row(scan, where, rejects, err);
        given += n > 0 ? n : 1;
    }
    *next = scan->next;
    return code;
}
