/* parquet_file.c - see parquet_file.h.
 *
 * The rows are an input of the SQL engine (sql.h), and a file is one COPY of it. DuckDB's threads
 * are one, so that rows stay in order. Times are instants in the file; ours have no zone of their
 * own, and are UTC.
 *
 * MINUS ZERO. DuckDB's dictionaries take 0.0 and -0.0 for one value, and give all rows the sign of
 * the first. So a file that has -0.0 is written without dictionaries, which costs it some size.
 *
 * SPARK reads days before 1582-10-15 and times before 1900 only from files of which it knows that
 * they need no conversion from the Julian calendar: those that name a Spark of 3.1 or later, and
 * say nothing else of it.
 */
#include "writers/history/parquet_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/os.h"
#include "base/text.h"
#include "sql/sql.h"

#define WRITING "writing a Parquet file"
#define INPUT "rows"
#define SELECT_ALL "SELECT * FROM " INPUT
/* DuckDB's own; Spark and pandas read such groups well, and a file in writing needs memory for
 * one. */
#define GROUP_ROWS "122880"
#define SELECT_BYTES_MAX ((size_t)4 << 20)
#define SPARK_VERSION "'org.apache.spark.version': '3.5.0'"
#define MINUS_ZERO UINT64_C(0x8000000000000000)
#define MINUS_ZERO_FLOAT UINT32_C(0x80000000)

struct parquet_writer {
    sql_engine *engine;
    sql_session *session;
    sql_input *input;
    arena *scratch;
    const char *compression;
};

static freshet_code open_engine(parquet_writer *writer, const schema *schema, freshet_error *err)
{
    const sql_options options = {.threads = 1, .external_access = true};
    freshet_code code = sql_open(&options, &writer->engine, err);
    if (code == FRESHET_OK)
        code = sql_session_open(writer->engine, &writer->session, err);
    if (code == FRESHET_OK)
        code = sql_input_add_instants(writer->session, INPUT, schema, &writer->input, err);
    return code;
}

freshet_code parquet_open(const schema *schema, parquet_compression compression,
                          parquet_writer **out, freshet_error *err)
{
    parquet_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return error_memory(err, WRITING);
    writer->compression = compression == PARQUET_ZSTD ? "zstd" : "snappy";
    writer->scratch = arena_open();
    freshet_code code =
        writer->scratch == NULL ? error_memory(err, WRITING) : open_engine(writer, schema, err);
    if (code == FRESHET_OK)
        *out = writer;
    else
        parquet_close(writer);
    return code;
}

void parquet_close(parquet_writer *writer)
{
    if (writer == NULL)
        return;
    sql_input_close(writer->input);
    sql_session_close(writer->session);
    sql_close(writer->engine);
    arena_close(writer->scratch);
    free(writer);
}

/* DuckDB gives the system's reason as words at the end of its own. */
static freshet_code parquet_explain(const freshet_error *problem, const char *path,
                                    freshet_error *err)
{
    static const int passing[] = {ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE};
    bool passes = problem->then == FRESHET_RETRY;
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        passes |= strstr(problem->text, strerror(passing[i])) != NULL;
    return error_set(err, passes ? FRESHET_TRY_AGAIN : FRESHET_FAILED,
                     passes ? FRESHET_RETRY : FRESHET_STOP, path,
                     "cannot write the Parquet file %s: %s", path, problem->text);
}

/* Is -0.0 among the column's first n rows? Null cells are zero bytes. */
static bool column_has_minus_zero(const column *column, uint64_t n)
{
    const uint64_t *doubles = column->data;
    const uint32_t *floats = column->data;
    bool found = false;
    switch (column->type->kind) {
    case TYPE_DOUBLE:
        for (uint64_t i = 0; i < n; i++)
            found |= doubles[i] == MINUS_ZERO;
        return found;
    case TYPE_FLOAT:
        for (uint64_t i = 0; i < n; i++)
            found |= floats[i] == MINUS_ZERO_FLOAT;
        return found;
    case TYPE_ARRAY: return column_has_minus_zero(&column->children[0], column->n_elements);
    default: return false;
    }
}

/* Writes the rows of a SELECT to a file. */
static freshet_code parquet_copy_rows(parquet_writer *writer, const char *select,
                                      bool has_minus_zero, const char *facts, const char *path,
                                      freshet_error *err)
{
    const char *literal = sql_literal(writer->scratch, path);
    const char *copy =
        literal == NULL
            ? NULL
            : arena_format(
                  writer->scratch,
                  "COPY (%s) TO %s (FORMAT parquet, COMPRESSION %s, ROW_GROUP_SIZE " GROUP_ROWS
                  ", USE_TMP_FILE false, KV_METADATA {" SPARK_VERSION "%s%s}%s)",
                  select, literal, writer->compression, facts == NULL ? "" : ", ",
                  facts == NULL ? "" : facts, has_minus_zero ? ", DICTIONARY_SIZE_LIMIT 0" : "");
    freshet_error problem;
    if (copy == NULL)
        return error_memory(err, WRITING);
    if (sql_execute(writer->session, copy, NULL, &problem) == FRESHET_OK)
        return FRESHET_OK;
    return parquet_explain(&problem, path, err);
}

/* How many rows the file itself says it has. */
static freshet_code count_rows(parquet_writer *writer, const char *path, int64_t *n_rows,
                               freshet_error *err)
{
    const char *literal = sql_file_literal(writer->scratch, path);
    const char *sql =
        literal == NULL
            ? NULL
            : arena_format(writer->scratch,
                           "SELECT sum(num_rows)::BIGINT FROM parquet_file_metadata(%s)", literal);
    freshet_error problem;
    if (sql == NULL)
        return error_memory(err, WRITING);
    if (sql_number(writer->session, sql, n_rows, &problem) == FRESHET_OK)
        return FRESHET_OK;
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, path,
                     "the Parquet file %s was written and cannot be read back: %s", path,
                     problem.text);
}

/* Writes the rows of a SELECT, n_rows of them, to a file; there is none where that fails. */
static freshet_code write_file(parquet_writer *writer, const char *select, int64_t n_rows,
                               bool has_minus_zero, const char *facts, const char *path,
                               freshet_error *err)
{
    int64_t n_written = -1;
    freshet_code code = parquet_copy_rows(writer, select, has_minus_zero, facts, path, err);
    if (code == FRESHET_OK)
        code = count_rows(writer, path, &n_written, err);
    if (code == FRESHET_OK && n_written != n_rows)
        code = error_set(
            err, FRESHET_FAILED, FRESHET_STOP, path,
            "the Parquet file %s holds %lld rows and should hold %lld: nothing of this run was "
            "published; look at the disk, then run again",
            path, (long long)n_written, (long long)n_rows);
    if (code != FRESHET_OK)
        os.unlink(path);
    return code;
}

freshet_code parquet_write(parquet_writer *writer, const batch *rows, const char *facts,
                           const char *path, bool *has_minus_zero, freshet_error *err)
{
    arena_reset(writer->scratch);
    *has_minus_zero = false;
    for (uint32_t i = 0; i < rows->schema.n_fields; i++)
        *has_minus_zero |= column_has_minus_zero(&rows->columns[i], rows->n_rows);
    sql_input_set(writer->input, rows, 0, rows->n_rows);
    freshet_code code =
        write_file(writer, SELECT_ALL, rows->n_rows, *has_minus_zero, facts, path, err);
    sql_input_set(writer->input, NULL, 0, 0);
    return code;
}

static void append_files(parquet_writer *writer, const char *const *files, uint32_t n_files,
                         text_buffer *into)
{
    text_append_c(into, " FROM read_parquet([");
    for (uint32_t i = 0; i < n_files; i++) {
        const char *literal = sql_file_literal(writer->scratch, files[i]);
        text_format(into, "%s%s", i == 0 ? "" : ", ", literal == NULL ? "" : literal);
        into->failed = into->failed || literal == NULL;
    }
    text_append_c(into, "], hive_partitioning = false)");
}

freshet_code parquet_sort(parquet_writer *writer, const char *const *files, uint32_t n_files,
                          int64_t n_rows, bool has_minus_zero, const parquet_order *order,
                          const char *path, freshet_error *err)
{
    text_buffer select;
    arena_reset(writer->scratch);
    const char *folder = sql_literal(writer->scratch, order->folder);
    const char *spills =
        folder == NULL ? NULL : arena_format(writer->scratch, "SET temp_directory = %s", folder);
    if (spills == NULL)
        return error_memory(err, WRITING);
    freshet_code code = sql_execute(writer->session, spills, NULL, err);
    if (code != FRESHET_OK)
        return code;
    text_init(&select, SELECT_BYTES_MAX);
    text_format(&select, "SELECT * EXCLUDE (%s, %s)", order->by, order->then);
    append_files(writer, files, n_files, &select);
    text_format(&select, " ORDER BY %s, %s", order->by, order->then);
    code = select.failed
               ? error_memory(err, WRITING)
               : write_file(writer, select.bytes, n_rows, has_minus_zero, NULL, path, err);
    text_release(&select);
    return code;
}

freshet_code parquet_merge(parquet_writer *writer, const char *const *files, uint32_t n_files,
                           uint32_t n_rows, bool has_minus_zero, const char *facts,
                           const char *path, freshet_error *err)
{
    text_buffer select;
    text_init(&select, SELECT_BYTES_MAX);
    arena_reset(writer->scratch);
    text_append_c(&select, "SELECT *");
    append_files(writer, files, n_files, &select);
    freshet_code code =
        select.failed ? error_memory(err, WRITING)
                      : write_file(writer, select.bytes, n_rows, has_minus_zero, facts, path, err);
    text_release(&select);
    return code;
}

/* Long texts are the statement's: they are copied. */
static freshet_code keep_texts(const batch *rows, arena *arena, batch *out, freshet_error *err)
{
    size_t bytes = 0;
    const cell_choice all = {.n = rows->n_rows, .keeps = &bytes};
    freshet_code code = batch_init(out, arena, &rows->schema, rows->n_rows, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < rows->schema.n_fields; i++)
        if (!column_copy(arena, &rows->columns[i], &all, &out->columns[i], 0))
            code = error_memory(err, WRITING);
    out->n_rows = code == FRESHET_OK ? rows->n_rows : 0;
    return code;
}

freshet_code parquet_describe(parquet_writer *writer, const char *path, arena *arena, batch *out,
                              freshet_error *err)
{
    static const char describe[] = "SELECT column_name, column_type FROM (DESCRIBE ";
    sql_statement *statement = NULL;
    batch rows;
    arena_reset(writer->scratch);
    const char *literal = path == NULL ? "" : sql_file_literal(writer->scratch, path);
    const char *sql =
        literal == NULL ? NULL
        : path == NULL
            ? arena_format(writer->scratch, "%s%s)", describe, SELECT_ALL)
            : arena_format(writer->scratch,
                           "%sSELECT * FROM read_parquet(%s, hive_partitioning = false))", describe,
                           literal);
    freshet_code code = sql == NULL ? error_memory(err, WRITING)
                                    : sql_prepare(writer->session, sql, &statement, NULL, err);
    if (code == FRESHET_OK)
        code = sql_run(statement, writer->scratch, &rows, err);
    if (code == FRESHET_OK)
        code = keep_texts(&rows, arena, out, err);
    sql_statement_close(statement);
    return code;
}

freshet_code parquet_count(parquet_writer *writer, const char *path, int64_t *n_rows,
                           freshet_error *err)
{
    arena_reset(writer->scratch);
    return count_rows(writer, path, n_rows, err);
}
