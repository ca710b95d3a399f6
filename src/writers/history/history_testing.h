/* history_testing.h - a history writer in a folder of its own, and its files read back by DuckDB:
 * shared by the tests of the writer. */
#ifndef FRESHET_WRITERS_HISTORY_HISTORY_TESTING_H
#define FRESHET_WRITERS_HISTORY_HISTORY_TESTING_H

#define _GNU_SOURCE /* nftw */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/os.h"
#include "base/text.h"
#include "sql/sql.h"
#include "writers/history/history.h"

#define DAY_US (INT64_C(86400) * 1000000)
/* 2024-01-01 */
#define NEW_YEAR_US (INT64_C(19723) * DAY_US)

typedef struct rig {
    char folder[64];
    arena *arena;
    freshet_declaration *handle;
    const field *fields;
    schema schema;
    uint32_t n_keys;
    bool is_batch;
    freshet_writer *writer;
    sql_session *session;
    text_buffer text;
    freshet_error err;
} rig;

static inline void rig_open_writer(rig *rig)
{
    const declaration *declaration = declaration_of(rig->handle);
    rig->writer = arena_zero(rig->arena, 1, history_writer_ops.size);
    const writer_block *block = declaration->sink.writers.items;
    *rig->writer = (freshet_writer){.ops = &history_writer_ops,
                                    .declaration = declaration,
                                    .options = block->kind.options,
                                    .arena = rig->arena,
                                    .is_batch = rig->is_batch};
}

static inline freshet_code rig_open(rig *rig)
{
    rig_open_writer(rig);
    return history_writer_ops.open(rig->writer, &rig->schema, rig->n_keys, &rig->err);
}

static inline void rig_close(rig *rig)
{
    history_writer_ops.close(rig->writer);
    rig->writer = NULL;
}

/* `options` go behind the path in the declaration. */
static inline void rig_declare(rig *rig, const char *path, const char *options)
{
    const char *text = arena_format(
        rig->arena,
        "version: 1\npipeline: p\nsource:\n  readers: [{id: r, file: {path: x, format: json}}]\n"
        "  query: select 1\nfeature_set:\n  name: set\n  entity: thing\n"
        "  keys: [{name: id, type: bigint}]\n  timestamp: {}\n"
        "  features: [{name: x, type: double}]\nsink:\n  writers:\n"
        "    - history: {path: \"%s/%s\"%s}\n",
        rig->folder, path, options);
    freshet_declaration_close(rig->handle);
    rig->handle = NULL;
    if (freshet_declaration_parse(text, strlen(text), "p.yaml", NULL, NULL, &rig->handle,
                                  &rig->err) != FRESHET_OK)
        fail_msg("%s", rig->err.text);
}

/* One engine for all rigs of a program: opening it takes longer than most tests. */
static sql_engine *rig_engine;

static inline void rig_close_engine(void)
{
    sql_close(rig_engine);
}

static inline void rig_open_session(rig *rig)
{
    const sql_options options = {.external_access = true};
    if (rig_engine == NULL) {
        assert_int_equal(sql_open(&options, &rig_engine, NULL), FRESHET_OK);
        atexit(rig_close_engine);
    }
    assert_int_equal(sql_session_open(rig_engine, &rig->session, NULL), FRESHET_OK);
}

/* A rig with an empty folder. */
static inline rig *rig_make_folder(void)
{
    rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    /* in memory where there is such a place: the tests make thousands of files durable */
    snprintf(rig->folder, sizeof rig->folder, "%s/freshet-history-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(rig->folder));
    rig->arena = arena_open();
    text_init(&rig->text, TEXT_LIMIT_DEFAULT);
    return rig;
}

static inline rig *rig_make(const field *fields, uint32_t n_fields, bool is_batch,
                            const char *options)
{
    rig *rig = rig_make_folder();
    rig->fields = fields;
    rig->schema = (schema){n_fields, fields};
    rig->n_keys = 1;
    rig->is_batch = is_batch;
    rig_declare(rig, "h", options);
    rig_open_session(rig);
    if (rig_open(rig) != FRESHET_OK)
        fail_msg("%s", rig->err.text);
    return rig;
}

static inline int rig_remove(const char *path, const struct stat *found, int kind, struct FTW *walk)
{
    (void)found;
    (void)kind;
    (void)walk;
    return remove(path);
}

static inline void rig_free(rig *rig)
{
    os_restore();
    if (rig->writer != NULL)
        rig_close(rig);
    sql_session_close(rig->session);
    freshet_declaration_close(rig->handle);
    text_release(&rig->text);
    arena_close(rig->arena);
    nftw(rig->folder, rig_remove, 16, FTW_DEPTH | FTW_PHYS);
    free(rig);
}

static inline const char *rig_path(rig *rig, const char *name)
{
    return arena_format(rig->arena, "%s/h/%s", rig->folder, name);
}

/* The rows of a query as JSON lines; %s in it is the history's folder. */
static inline const char *rig_query(rig *rig, const char *form)
{
    sql_statement *statement = NULL;
    sql_cursor *cursor = NULL;
    char sql[2048];
    const char *at = strstr(form, "%s");
    snprintf(sql, sizeof sql, "%.*s%s/h%s", (int)(at - form), form, rig->folder, at + 2);
    text_reset(&rig->text);
    if (sql_prepare(rig->session, sql, &statement, NULL, &rig->err) != FRESHET_OK ||
        sql_cursor_open(statement, &cursor, &rig->err) != FRESHET_OK)
        fail_msg("%s", rig->err.text);
    batch rows;
    while (sql_next(cursor, rig->arena, &rows, NULL) == FRESHET_OK)
        for (uint32_t i = 0; i < rows.n_rows; i++) {
            assert_int_equal(batch_row_to_json(&rows, i, &rig->text, NULL), FRESHET_OK);
            text_append_char(&rig->text, '\n');
        }
    sql_cursor_close(cursor);
    sql_statement_close(statement);
    return rig->text.bytes == NULL ? "" : rig->text.bytes;
}

#define AS_ONE_TABLE "read_parquet('%s/**/*.parquet', hive_partitioning = true)"

/* The files that are seen, by their paths below the folder, a line each. */
static inline const char *rig_files(rig *rig)
{
    const char *sql =
        arena_format(rig->arena,
                     "select file[%zu:] as f from glob('%s/h/**/*.parquet') where '%%s' <> '' "
                     "order by 1",
                     strlen(rig->folder) + 4, rig->folder);
    const char *found = rig_query(rig, sql);
    char *into = arena_alloc(rig->arena, strlen(found) + 1), *to = into;
    for (const char *line = found; *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *end = strchr(line, '}') - 1; /* {"f":"..."} */
        memcpy(to, line + 6, (size_t)(end - line) - 6);
        to += end - line - 6;
        *to++ = '\n';
    }
    *to = '\0';
    return into;
}

static inline uint32_t rig_count_files(rig *rig)
{
    uint32_t n = 0;
    for (const char *c = rig_files(rig); *c != '\0'; c++)
        n += *c == '\n';
    return n;
}

#endif
