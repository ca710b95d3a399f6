/* history_columns.c - see history_columns.h. */
#include "writers/history/history_columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

#define COMPARING "comparing the columns of a history"
#define TYPE_NAME_MAX 200

/* A type of DuckDB in our words; times are instants with and without a zone. */
static void type_words(const cell_text *type, char *into, size_t size)
{
    static const struct {
        const char *theirs, *ours;
    } words[] = {{"TIMESTAMP WITH TIME ZONE", "timestamp"},
                 {"TIMESTAMP_NS", "timestamp"},
                 {"VARCHAR", "string"},
                 {"BLOB", "binary"},
                 {"TINYINT", "integer"},
                 {"SMALLINT", "integer"}};
    const size_t length = type->length < size - 1 ? type->length : size - 1;
    memcpy(into, text_bytes(type), length);
    into[length] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(into, words[i].theirs, strlen(words[i].theirs)) == 0) {
            char behind[TYPE_NAME_MAX];
            snprintf(behind, sizeof behind, "%s", into + strlen(words[i].theirs));
            snprintf(into, size, "%s%s", words[i].ours, behind);
            break;
        }
    for (char *c = into; *c != '\0'; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
}

static const cell_text *cell_of(const batch *columns, uint32_t column, uint32_t row)
{
    return &((const cell_text *)columns->columns[column].data)[row];
}

/* The row of the column of that name; -1: there is none. */
static int64_t row_of_column(const batch *columns, const cell_text *name)
{
    for (uint32_t i = 0; i < columns->n_rows; i++) {
        const cell_text *other = cell_of(columns, 0, i);
        if (other->length == name->length &&
            strncasecmp(text_bytes(other), text_bytes(name), name->length) == 0)
            return i;
    }
    return -1;
}

static void say_missing(const history_columns *check, const cell_text *name, const char *file,
                        bool in_files)
{
    const char *path = check->path;
    if (check->is_again)
        return;
    if (in_files)
        log_event(HISTORY_COLUMN_NEW, path, (int)name->length, text_bytes(name), file);
    else
        log_event(HISTORY_COLUMN_GONE, path, file, (int)name->length, text_bytes(name));
}

/* Differences of type, as one text; *n of them. */
static void find_types(const history_columns *check, const batch *ours, const batch *theirs,
                       const char *file, text_buffer *into, uint32_t *n)
{
    char own[TYPE_NAME_MAX], other[TYPE_NAME_MAX];
    for (uint32_t i = 0; i < ours->n_rows; i++) {
        const cell_text *name = cell_of(ours, 0, i);
        const int64_t at = row_of_column(theirs, name);
        if (at < 0) {
            say_missing(check, name, file, true);
            continue;
        }
        type_words(cell_of(ours, 1, i), own, sizeof own);
        type_words(cell_of(theirs, 1, (uint32_t)at), other, sizeof other);
        if (strcmp(own, other) == 0)
            continue;
        text_format(into, "%s\"%.*s\" is %s there and %s now", *n == 0 ? "" : ", ",
                    (int)name->length, text_bytes(name), other, own);
        ++*n;
    }
    for (uint32_t i = 0; i < theirs->n_rows; i++)
        if (row_of_column(ours, cell_of(theirs, 0, i)) < 0)
            say_missing(check, cell_of(theirs, 0, i), file, false);
}

static freshet_code tell_types(const history_columns *check, const char *file, const char *text,
                               uint32_t n, freshet_error *err)
{
    const char *path = check->path;
    if (!check->warns_only)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, check->at,
                         "the history in %s has %s of another type (in %s): %s. Readers take the "
                         "folder as one table: declare the old type, or another name for the new "
                         "one; or give the history another path, or move %s away and begin anew",
                         path, n == 1 ? "a column" : "columns", file, text, path);
    log_event(HISTORY_TYPES_DIFFER, path, n == 1 ? "a column" : "columns", file, text);
    return FRESHET_OK;
}

static freshet_code columns_compare(const history_columns *check, const char *file, arena *arena,
                                    freshet_error *err)
{
    batch ours = {0}, theirs = {0};
    text_buffer text;
    uint32_t n = 0;
    freshet_error problem = {0};
    const char *path = arena_format(arena, "%s/%s", check->path, file);
    freshet_code code = path == NULL ? error_memory(err, COMPARING)
                                     : parquet_describe(check->parquet, NULL, arena, &ours, err);
    if (code != FRESHET_OK)
        return code;
    code = parquet_describe(check->parquet, path, arena, &theirs, &problem);
    if (code == FRESHET_NO_MEMORY)
        return error_memory(err, COMPARING);
    if (code != FRESHET_OK) {
        log_event(HISTORY_NOT_COMPARED, path, problem.text);
        return FRESHET_OK;
    }
    text_init(&text, TEXT_LIMIT_DEFAULT);
    find_types(check, &ours, &theirs, file, &text, &n);
    code = text.failed ? error_memory(err, COMPARING)
           : n == 0    ? FRESHET_OK
                       : tell_types(check, file, text.bytes, n, err);
    text_release(&text);
    return code;
}

freshet_code history_columns_check(const history_columns *check, freshet_error *err)
{
    arena *arena = arena_open();
    const char *file = NULL;
    if (arena == NULL)
        return error_memory(err, COMPARING);
    freshet_code code =
        history_folder_newest(check->path, check->written, check->n_written, arena, &file, err);
    if (code == FRESHET_OK && file != NULL)
        code = columns_compare(check, file, arena, err);
    arena_close(arena);
    return code;
}
