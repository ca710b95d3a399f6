/* table_sqlite.c - see table_sqlite.h. */
#include "readers/table/table_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sqlite3.h>

#include "base/error.h"
#include "base/number.h"
#include "base/text.h"
#include "formats/cell.h"
#include "sql/sql.h"

struct table_sqlite {
    sqlite3 *file;
    sqlite3_stmt *statement;
    const char *table, *at;
    const schema *schema;
    const bool *used;
    bool cast_error_null;
    int64_t next;
};

static freshet_code sqlite_failed(const table_sqlite *it, freshet_error *err)
{
    int problem = sqlite3_errcode(it->file);

    if (problem == SQLITE_NOMEM)
        return error_memory(err, "reading a SQLite table");
    if (problem == SQLITE_BUSY || problem == SQLITE_LOCKED)
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, it->at,
                         "the SQLite file is held by another process: %s",
                         sqlite3_errmsg(it->file));
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, it->at, "SQLite: %s",
                     sqlite3_errmsg(it->file));
}

freshet_code table_sqlite_open(const char *path, const char *table, const char *at,
                               table_sqlite **out, freshet_error *err)
{
    table_sqlite *it = calloc(1, sizeof(*it));
    freshet_code code = FRESHET_OK;

    if (it == NULL)
        return error_memory(err, "opening a SQLite file");
    it->table = table;
    it->at = at;
    if (sqlite3_open_v2(path, &it->file, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        code =
            it->file == NULL ? error_memory(err, "opening a SQLite file") : sqlite_failed(it, err);
    if (code != FRESHET_OK) {
        table_sqlite_close(it);
        return code;
    }
    sqlite3_busy_timeout(it->file, TABLE_SQLITE_BUSY_MS);
    *out = it;
    return FRESHET_OK;
}

void table_sqlite_close(table_sqlite *it)
{
    if (it == NULL)
        return;
    sqlite3_finalize(it->statement);
    sqlite3_close(it->file);
    free(it);
}

static freshet_code sqlite_prepare(table_sqlite *it, text_buffer *query, freshet_error *err)
{
    freshet_code code = FRESHET_OK;

    if (query->failed)
        code = error_memory(err, "reading a SQLite table");
    else if (sqlite3_prepare_v2(it->file, query->bytes, -1, &it->statement, NULL) != SQLITE_OK)
        code = sqlite_failed(it, err);
    text_release(query);
    return code;
}

/* ---- describe -------------------------------------------------------------------------------- */

static bool has_word(const char *declared, const char *word)
{
    size_t n = strlen(word);

    for (; *declared != '\0'; declared++)
        if (strncasecmp(declared, word, n) == 0)
            return true;
    return false;
}

/* DECIMAL(w) or DECIMAL(w, s), whatever it is called; without a width a double. */
static const type *decimal_of(arena *arena, const char *declared)
{
    const char *at = strchr(declared, '(');
    char *end = NULL;
    unsigned long width, scale = 0;

    if (at == NULL)
        return type_simple(TYPE_DOUBLE);
    width = strtoul(at + 1, &end, 10);
    if (*end == ',')
        scale = strtoul(end + 1, NULL, 10);
    if (width == 0 || width > TYPE_DECIMAL_WIDTH_MAX || scale > width)
        return type_simple(TYPE_DOUBLE);
    return type_decimal(arena, (uint8_t)width, (uint8_t)scale);
}

static const type *type_of_declared(arena *arena, const char *declared)
{
    static const struct {
        const char *word;
        type_kind kind;
    } words[] = {
        {"BOOL", TYPE_BOOLEAN}, {"INT", TYPE_BIGINT},         {"CHAR", TYPE_STRING},
        {"CLOB", TYPE_STRING},  {"TEXT", TYPE_STRING},        {"STRING", TYPE_STRING},
        {"BLOB", TYPE_BINARY},  {"REAL", TYPE_DOUBLE},        {"FLOA", TYPE_DOUBLE},
        {"DOUB", TYPE_DOUBLE},  {"DATETIME", TYPE_TIMESTAMP}, {"TIMESTAMP", TYPE_TIMESTAMP},
        {"DATE", TYPE_DATE}};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (has_word(declared, words[i].word))
            return type_simple(words[i].kind);
    if (has_word(declared, "DEC") || has_word(declared, "NUM"))
        return decimal_of(arena, declared);
    return type_simple(TYPE_STRING);
}

/* The type that holds the values of kinds seen (bit i: SQLite's type i). */
static const type *type_of_values(unsigned seen)
{
    seen &= ~(1u << SQLITE_NULL);
    if (seen == 1u << SQLITE_INTEGER)
        return type_simple(TYPE_BIGINT);
    if (seen != 0 && (seen & ~(1u << SQLITE_INTEGER | 1u << SQLITE_FLOAT)) == 0)
        return type_simple(TYPE_DOUBLE);
    return type_simple(seen == 1u << SQLITE_BLOB ? TYPE_BINARY : TYPE_STRING);
}

/* Looks at values where columns have no declared type. */
static freshet_code sample(table_sqlite *it, unsigned *seen, int n, freshet_error *err)
{
    int result = SQLITE_ROW;

    for (int row = 0; row < TABLE_SQLITE_SAMPLE_ROWS && result == SQLITE_ROW; row++) {
        result = sqlite3_step(it->statement);
        for (int i = 0; result == SQLITE_ROW && i < n; i++)
            seen[i] |= 1u << sqlite3_column_type(it->statement, i);
    }
    return result == SQLITE_ROW || result == SQLITE_DONE ? FRESHET_OK : sqlite_failed(it, err);
}

static freshet_code set_columns(table_sqlite *it, arena *arena, schema *out, freshet_error *err)
{
    int n = sqlite3_column_count(it->statement);
    field *fields = arena_zero(arena, (size_t)n, sizeof(*fields));
    unsigned *seen = arena_zero(arena, (size_t)n, sizeof(*seen));
    bool all_declared = true;

    if (fields == NULL || seen == NULL)
        return error_memory(err, "describing a SQLite table");
    for (int i = 0; i < n; i++) {
        const char *declared = sqlite3_column_decltype(it->statement, i);
        fields[i].name = arena_text(arena, sqlite3_column_name(it->statement, i));
        if (declared != NULL && *declared != '\0')
            fields[i].type = type_of_declared(arena, declared);
        else
            all_declared = false;
        if (fields[i].name == NULL)
            return error_memory(err, "describing a SQLite table");
    }
    if (!all_declared) {
        freshet_code code = sample(it, seen, n, err);
        if (code != FRESHET_OK)
            return code;
    }
    for (int i = 0; i < n; i++)
        if (fields[i].type == NULL)
            fields[i].type = type_of_values(seen[i]);
    *out = (schema){.n_fields = (uint32_t)n, .fields = fields};
    return FRESHET_OK;
}

freshet_code table_sqlite_describe(table_sqlite *it, arena *arena, schema *out, freshet_error *err)
{
    text_buffer query;
    freshet_code code;

    text_init(&query, TEXT_LIMIT_DEFAULT);
    text_format(&query, "SELECT * FROM %s", it->table);
    code = sqlite_prepare(it, &query, err);
    if (code == FRESHET_FAILED) /* no such table, mostly */
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, it->at, "SQLite: %s",
                         sqlite3_errmsg(it->file));
    return code == FRESHET_OK ? set_columns(it, arena, out, err) : code;
}

/* ---- reading --------------------------------------------------------------------------------- */

freshet_code table_sqlite_start(table_sqlite *it, const schema *schema, const bool *used,
                                bool cast_error_null, int64_t first, freshet_error *err)
{
    text_buffer query;
    arena *scratch = arena_open();

    if (scratch == NULL)
        return error_memory(err, "reading a SQLite table");
    it->schema = schema;
    it->used = used;
    it->cast_error_null = cast_error_null;
    it->next = first;
    text_init(&query, TEXT_LIMIT_DEFAULT);
    text_append_c(&query, "SELECT ");
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        const char *name =
            used != NULL && !used[i] ? "NULL" : sql_quote(scratch, schema->fields[i].name);
        if (name == NULL)
            query.failed = true;
        else
            text_format(&query, "%s%s", i > 0 ? ", " : "", name);
    }
    text_format(&query, " FROM %s", it->table);
    if (first > 0)
        text_format(&query, " LIMIT -1 OFFSET %lld", (long long)first);
    arena_close(scratch);
    return sqlite_prepare(it, &query, err);
}

static outcome take_text(table_sqlite *it, int i, column *column, uint32_t row, arena *arena)
{
    const char *text = sqlite3_column_type(it->statement, i) == SQLITE_BLOB
                           ? sqlite3_column_blob(it->statement, i)
                           : (const char *)sqlite3_column_text(it->statement, i);
    size_t length = (size_t)sqlite3_column_bytes(it->statement, i);
    const char *copy;

    if (column->type->kind == TYPE_STRING && length > 0 && !text_is_utf8(text, length))
        return DOES_NOT_FIT;
    copy = arena_copy(arena, text, length);
    if (copy == NULL)
        return NO_MEMORY;
    cell_put_text(column, row, copy, length);
    return FITS;
}

static bool take_whole(int64_t value, column *column, uint32_t row)
{
    switch (column->type->kind) {
    case TYPE_BOOLEAN:
        if (value != 0 && value != 1)
            return false;
        ((uint8_t *)column->data)[row] = (uint8_t)value;
        return true;
    case TYPE_BIGINT: ((int64_t *)column->data)[row] = value; return true;
    case TYPE_DOUBLE: ((double *)column->data)[row] = (double)value; return true;
    default: return false;
    }
}

static bool take_real(double value, column *column, uint32_t row)
{
    switch (column->type->kind) {
    case TYPE_DOUBLE: ((double *)column->data)[row] = value; return true;
    case TYPE_BIGINT:
        return cell_whole(value, INT64_MIN, INT64_MAX, &((int64_t *)column->data)[row]);
    case TYPE_DECIMAL:
        return number_decimal_of_double(value, column->type->width, column->type->scale,
                                        &((int128 *)column->data)[row]);
    default: return false;
    }
}

static outcome take_value(table_sqlite *it, int i, column *column, uint32_t row, arena *arena)
{
    const int kind = sqlite3_column_type(it->statement, i);
    const type_kind wanted = column->type->kind;
    bool fits = false;

    if (wanted == TYPE_STRING ||
        (wanted == TYPE_BINARY && (kind == SQLITE_BLOB || kind == SQLITE_TEXT)))
        return take_text(it, i, column, row, arena);
    if (kind == SQLITE_TEXT || (kind == SQLITE_INTEGER && wanted == TYPE_DECIMAL)) {
        const char *text = (const char *)sqlite3_column_text(it->statement, i);
        return cell_parse(arena, column, row, text, (size_t)sqlite3_column_bytes(it->statement, i));
    }
    if (kind == SQLITE_INTEGER)
        fits = take_whole(sqlite3_column_int64(it->statement, i), column, row);
    else if (kind == SQLITE_FLOAT)
        fits = take_real(sqlite3_column_double(it->statement, i), column, row);
    return fits ? FITS : DOES_NOT_FIT;
}

static freshet_code sqlite_refuse(table_sqlite *it, int i, arena *arena, freshet_error *err)
{
    const field *field = &it->schema->fields[i];
    const char *wanted = type_name(arena, field->type);
    bool is_time = field->type->kind == TYPE_DATE || field->type->kind == TYPE_TIMESTAMP;
    int kind = sqlite3_column_type(it->statement, i);
    const char *text =
        kind == SQLITE_BLOB ? "(blob)" : (const char *)sqlite3_column_text(it->statement, i);
    int n = text == NULL ? 0 : cell_shown(text, strlen(text));

    if (wanted == NULL || text == NULL)
        return error_memory(err, "describing a bad row");
    if (is_time && (kind == SQLITE_INTEGER || kind == SQLITE_FLOAT))
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                         "column \"%s\" should be %s, but is the number %.*s; read a view that "
                         "makes it a text, as datetime(%s, 'unixepoch') does",
                         field->name, wanted, n, text, field->name);
    return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                     "column \"%s\" should be %s, but is \"%.*s\"; read a view that casts it, or "
                     "say on_cast_error: null",
                     field->name, wanted, n, text);
}

/* The statement's row as the next row of the batch. */
static freshet_code take_row(table_sqlite *it, batch *into, freshet_error *err)
{
    for (uint32_t i = 0; i < it->schema->n_fields; i++) {
        column *column = &into->columns[i];
        bool null = sqlite3_column_type(it->statement, (int)i) == SQLITE_NULL;
        if (it->used != NULL && !it->used[i])
            continue;
        cell_set_valid(column, into->n_rows);
        outcome result = null ? FITS : take_value(it, (int)i, column, into->n_rows, into->arena);
        if (result == DOES_NOT_FIT && !it->cast_error_null)
            return sqlite_refuse(it, (int)i, into->arena, err);
        null = null || result == DOES_NOT_FIT;
        if (result == NO_MEMORY || (null && !column_set_null(into->arena, column, into->n_rows)))
            return error_memory(err, "reading a SQLite table");
    }
    into->n_rows++;
    return FRESHET_OK;
}

#define ROWS_AT_ONCE 2048u

freshet_code table_sqlite_read(table_sqlite *it, batch *into, uint32_t max_rows,
                               const scan_place *where, rejects *rejects, int64_t *next,
                               freshet_error *err)
{
    uint32_t most = max_rows < ROWS_AT_ONCE ? max_rows : ROWS_AT_ONCE;
    freshet_code code =
        batch_reserve(into, (uint64_t)into->n_rows + most, "reading a SQLite table", err);

    for (uint32_t n = 0; code == FRESHET_OK && n < most; n++) {
        freshet_error problem = {0};
        int result = sqlite3_step(it->statement);
        if (result == SQLITE_DONE)
            code = FRESHET_END;
        else if (result != SQLITE_ROW)
            code = sqlite_failed(it, err);
        if (code != FRESHET_OK)
            break;
        code = take_row(it, into, &problem);
        if (code == FRESHET_OK) {
            into->origins[into->n_rows - 1] =
                (origin){.partition = where->partition, .offset = it->next, .length = 1};
        } else if (problem.then == FRESHET_SKIP_ROW) {
            reject bad = {.reader = where->reader, .partition = where->label, .offset = it->next};
            code = rejects_add(rejects, &bad, REASON_BAD_CAST, "%s", problem.text)
                       ? FRESHET_OK
                       : FRESHET_NO_MEMORY;
        }
        if (code == FRESHET_NO_MEMORY)
            error_memory(err, "reading a SQLite table");
        it->next++;
    }
    *next = it->next;
    return code;
}
