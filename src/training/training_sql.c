/* training_sql.c - statements of a training set, and what messages say of columns (training.h). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/os.h"
#include "base/text.h"
#include "training/training.h"

bool training_ends(const char *text, const char *ending)
{
    const size_t length = strlen(text), end = strlen(ending);
    return length >= end && strcasecmp(text + length - end, ending) == 0;
}

freshet_code training_explain(training *training, freshet_code code, const freshet_error *problem,
                              freshet_error *err)
{
    if (code == FRESHET_OK)
        return code;
    if (atomic_load(&training->is_stopping))
        return error_stopped(err);
    if (code == FRESHET_LIMIT)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "%lld MiB of memory are not enough: say more with --memory (%s)",
                         (long long)(training->memory >> 20), problem->text);
    return error_set(err, code == FRESHET_USAGE ? FRESHET_FAILED : code, FRESHET_STOP, NULL, "%s",
                     problem->text);
}

bool training_is_stopping(training *training)
{
    const freshet_training_options *options = training->options;
    if (options->cancelled != NULL && options->cancelled(options->context))
        atomic_store(&training->is_stopping, true);
    return atomic_load(&training->is_stopping);
}

static freshet_code training_execute(training *training, const char *sql, freshet_error *err)
{
    freshet_error problem = {0};
    if (sql == NULL)
        return error_memory(err, TRAINING_DOING);
    if (training_is_stopping(training))
        return error_stopped(err);
    freshet_code code = sql_execute(training->session, sql, NULL, &problem);
    return training_explain(training, code, &problem, err);
}

freshet_code training_run(training *training, freshet_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *sql = arena_vformat(training->arena, format, args);
    va_end(args);
    return training_execute(training, sql, err);
}

freshet_code training_number(training *training, int64_t *out, freshet_error *err,
                             const char *format, ...)
{
    freshet_error problem = {0};
    va_list args;
    va_start(args, format);
    const char *sql = arena_vformat(training->arena, format, args);
    va_end(args);
    if (sql == NULL)
        return error_memory(err, TRAINING_DOING);
    freshet_code code = sql_number(training->session, sql, out, &problem);
    return training_explain(training, code, &problem, err);
}

static const char *text_of_cell(arena *arena, const column *column, uint32_t row)
{
    const cell_text *cell = &((const cell_text *)column->data)[row];
    return column_is_valid(column, row) ? arena_copy(arena, text_bytes(cell), cell->length) : NULL;
}

freshet_code training_texts(training *training, uint32_t n_columns, const char ***out, uint32_t *n,
                            freshet_error *err, const char *format, ...)
{
    freshet_error problem = {0};
    sql_statement *statement = NULL;
    batch rows = {0};
    va_list args;
    va_start(args, format);
    const char *sql = arena_vformat(training->arena, format, args);
    va_end(args);
    if (sql == NULL)
        return error_memory(err, TRAINING_DOING);
    freshet_code code = sql_prepare(training->session, sql, &statement, NULL, &problem);
    if (code == FRESHET_OK)
        code = sql_run(statement, training->arena, &rows, &problem);
    *n = rows.n_rows;
    *out = arena_zero(training->arena, (size_t)rows.n_rows * n_columns + 1, sizeof **out);
    for (uint32_t row = 0; code == FRESHET_OK && *out != NULL && row < rows.n_rows; row++)
        for (uint32_t i = 0; i < n_columns; i++)
            (*out)[row * n_columns + i] = text_of_cell(training->arena, &rows.columns[i], row);
    sql_statement_close(statement);
    if (code == FRESHET_OK && arena_failed(training->arena))
        return error_memory(err, TRAINING_DOING);
    return training_explain(training, code, &problem, err);
}

freshet_code training_describe(training *training, const char *relation, training_columns *out,
                               freshet_error *err)
{
    const char **texts = NULL;
    uint32_t n = 0;
    freshet_code code = training_texts(
        training, 2, &texts, &n, err,
        "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM %s)", relation);
    if (code != FRESHET_OK)
        return code;
    *out = (training_columns){
        .items = arena_zero(training->arena, n + (size_t)1, sizeof(training_column)), .n = n};
    if (out->items == NULL)
        return error_memory(err, TRAINING_DOING);
    for (uint32_t i = 0; i < n; i++)
        out->items[i] = (training_column){texts[2 * i], texts[2 * i + 1]};
    return FRESHET_OK;
}

int64_t training_find(const training_columns *columns, const char *name)
{
    int64_t found = -1;
    for (uint32_t i = 0; i < columns->n; i++) {
        if (strcmp(columns->items[i].name, name) == 0)
            return i;
        if (strcasecmp(columns->items[i].name, name) == 0)
            found = i;
    }
    return found;
}

const char *training_list(training *training, const training_columns *columns)
{
    text_buffer text;
    text_init(&text, 400);
    for (uint32_t i = 0; i < columns->n; i++)
        text_format(&text, "%s%s", i == 0 ? "" : ", ", columns->items[i].name);
    const char *list = arena_format(training->arena, "%s%s", text.length == 0 ? "" : text.bytes,
                                    text.failed ? " ..." : "");
    text_release(&text);
    return list == NULL ? "" : list;
}

const char *training_near(training *training, const training_columns *columns, const char *name)
{
    const char **names = arena_zero(training->arena, columns->n + (size_t)1, sizeof *names);
    for (uint32_t i = 0; names != NULL && i < columns->n; i++)
        names[i] = columns->items[i].name;
    const char *near = names == NULL ? NULL : text_nearest(name, names, columns->n);
    const char *text =
        near == NULL ? "" : arena_format(training->arena, "; did you mean \"%s\"?", near);
    return text == NULL ? "" : text;
}

void training_doing(training *training, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&training->lock);
    vsnprintf(training->doing, sizeof training->doing, format, args);
    pthread_mutex_unlock(&training->lock);
    va_end(args);
}

void training_say(training *training, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vformat(training->arena, format, args);
    va_end(args);
    if (text != NULL && training->options->say != NULL)
        training->options->say(training->options->context, text);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* DuckDB's pattern of a path, as SQL. */
static const char *training_pattern(training *training, const char *path, const char *ending)
{
    struct stat info;
    const bool is_there = os.stat(path, &info) == 0;
    if (!is_there) /* a pattern, or nothing */
        return sql_literal(training->arena, path);
    const char *literal = sql_file_literal(training->arena, path);
    return literal == NULL || !S_ISDIR(info.st_mode)
               ? literal
               : arena_format(training->arena, "%s || '/**/*%s'", literal, ending);
}

freshet_code training_list_files(training *training, const char *path, const char *ending,
                                 const char *table, int64_t *n, freshet_error *err)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    path = arena_copy(training->arena, path, length);
    const char *pattern = path == NULL ? NULL : training_pattern(training, path, ending);
    if (pattern == NULL)
        return error_memory(err, TRAINING_DOING);
    size_t base = strcspn(path, "*?[");
    while (path[base] != '\0' && base > 0 && path[base - 1] != '/')
        base--;
    /* A part of the path below it that begins with a dot or an underscore is nobody's data. */
    freshet_code code =
        training_run(training, err,
                     "CREATE OR REPLACE TEMP TABLE %s AS SELECT file, row_number() OVER (ORDER BY "
                     "file) - 1 AS i "
                     "FROM glob(%s) WHERE NOT regexp_matches(substr(file, %zu), '(^|/)[._][^/]*')",
                     table, pattern, base + 1);
    if (code == FRESHET_OK)
        code = training_run(training, err,
                            "SET VARIABLE %s = (SELECT list(regexp_replace(file, '([*?\\[])', "
                            "'[\\1]', 'g') ORDER BY i) FROM %s)",
                            table, table);
    return code == FRESHET_OK ? training_number(training, n, err, "SELECT count(*) FROM %s", table)
                              : code;
}
