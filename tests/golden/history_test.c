/* history_test.c - the history as Butterfree's: the case historical_layout.
 *
 * The declaration runs as a batch through the public interface in a folder of its own. Its files
 * must be where Butterfree's are, with the same columns and rows, and DuckDB must read them as one
 * table with the columns of Butterfree's. The row without a time is a dead letter here, and left
 * out.
 */
#define _GNU_SOURCE /* nftw */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <yyjson.h>

#include "base/batch.h"
#include "base/text.h"
#include "sql/sql.h"

#define CASE "tests/golden/historical_layout/"

static char folder[] = "/tmp/freshet-golden-history-XXXXXX";
static arena *memory;
static sql_engine *engine;
static sql_session *session;

static char *read_text(const char *name)
{
    const char *source = getenv("FRESHET_SOURCE");
    FILE *file =
        fopen(arena_format(memory, "%s/" CASE "%s", source == NULL ? "." : source, name), "rb");
    assert_non_null(file);
    char *text = arena_zero(memory, 1, 65536);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(arena_format(memory, "%s/%s", folder, name), "wb");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

/* By one, two and five workers, one after another. */
static void run_declaration(const char *name)
{
    static const uint32_t workers[] = {1, 2, 5};
    static uint32_t n_runs;
    const freshet_run_options options = {.size = sizeof options, .workers = workers[n_runs++ % 3]};
    freshet_declaration *declaration = NULL;
    freshet_pipeline *pipeline = NULL;
    freshet_error err;
    if (freshet_declaration_load(arena_format(memory, "%s/%s", folder, name), NULL, NULL,
                                 &declaration, &err) != FRESHET_OK ||
        freshet_pipeline_open(declaration, &options, NULL, NULL, &pipeline, &err) != FRESHET_OK ||
        freshet_run(pipeline, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
}

/* The one value of a query, a text. */
static const char *ask(const char *sql)
{
    sql_statement *statement = NULL;
    batch rows;
    freshet_error err;
    if (sql_prepare(session, sql, &statement, NULL, &err) != FRESHET_OK ||
        sql_run(statement, memory, &rows, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    assert_int_equal(rows.n_rows, 1);
    const cell_text *cell = rows.columns[0].data;
    const char *text = column_is_valid(&rows.columns[0], 0)
                           ? arena_copy(memory, text_bytes(cell), cell->length)
                           : "";
    sql_statement_close(statement);
    return text;
}

static const char *json_of(yyjson_val *value)
{
    char *text = yyjson_val_write(value, 0, NULL);
    const char *kept = arena_text(memory, text);
    free(text);
    return kept;
}

static void assert_folder(yyjson_val *expected)
{
    const char *path = yyjson_get_str(yyjson_obj_get(expected, "folder"));
    const char *files = arena_format(memory, "%s/store/%s/*.parquet", folder, path);
    assert_int_equal(
        strtol(ask(arena_format(memory, "select count(*)::varchar from glob('%s')", files)), NULL,
               10),
        yyjson_get_int(yyjson_obj_get(expected, "files")));
    assert_string_equal(
        ask(arena_format(
            memory,
            "select to_json(array_agg(column_name))::varchar from (describe select * from "
            "read_parquet('%s', hive_partitioning = false))",
            files)),
        json_of(yyjson_obj_get(expected, "columns")));
    assert_string_equal(
        ask(arena_format(
            memory, "select to_json(array_agg([id::double, x] order by id))::varchar from '%s'",
            files)),
        json_of(yyjson_obj_get(expected, "rows")));
}

static void files_lie_where_butterfrees_do(void **state)
{
    (void)state;
    int n_folders = 0;
    for (char *line = strtok(read_text("expected.layout.jsonl"), "\n"); line != NULL;
         line = strtok(NULL, "\n")) {
        yyjson_doc *document = yyjson_read(line, strlen(line), 0);
        yyjson_val *expected = yyjson_doc_get_root(document);
        const char *path = yyjson_get_str(yyjson_obj_get(expected, "folder"));
        if (path != NULL && strstr(path, "__HIVE_DEFAULT_PARTITION__") == NULL) {
            assert_folder(expected);
            n_folders++;
        }
        yyjson_doc_free(document);
    }
    assert_int_equal(n_folders, 5);
    assert_string_equal(
        ask(arena_format(memory, "select count(*)::varchar from glob('%s/store/**/*.parquet')",
                         folder)),
        "5");
}

static void it_reads_as_one_table(void **state)
{
    (void)state;
    /* the partitions' columns come last, as whole numbers; timestamps are Spark's, instants */
    assert_string_equal(
        ask(arena_format(
            memory,
            "select string_agg(column_name || ' ' || column_type, ', ') from (describe "
            "select id, timestamp, x, year, month, day from "
            "read_parquet('%s/store/**/*.parquet', hive_partitioning = true))",
            folder)),
        "id BIGINT, timestamp TIMESTAMP WITH TIME ZONE, x DOUBLE, year BIGINT, month BIGINT, "
        "day BIGINT");
    put("expected.jsonl", read_text("expected.columns.jsonl"));
    const char *difference =
        "select count(*)::varchar from ((from ours except all from theirs) union all "
        "(from theirs except all from ours))";
    const char *tables = arena_format(
        memory,
        "create temp table ours as select id, epoch_us(timestamp) t, x, year, month, day from "
        "read_parquet('%s/store/**/*.parquet', hive_partitioning = true);"
        "create temp table theirs as select id, epoch_us(timestamp::timestamp) t, x, year, month, "
        "day from read_json('%s/expected.jsonl') where timestamp is not null",
        folder, folder);
    assert_int_equal(sql_execute(session, tables, NULL, NULL), FRESHET_OK);
    assert_string_equal(ask("select count(*)::varchar from ours"), "6");
    assert_string_equal(ask(difference), "0");
}

static int make(void **state)
{
    (void)state;
    const sql_options options = {.external_access = true};
    memory = arena_open();
    if (mkdtemp(folder) == NULL || sql_open(&options, &engine, NULL) != FRESHET_OK ||
        sql_session_open(engine, &session, NULL) != FRESHET_OK)
        return -1;
    put("columns.yaml", read_text("columns.yaml"));
    put("input.jsonl", read_text("input.jsonl"));
    run_declaration("columns.yaml");
    return 0;
}

static int remove_one(const char *path, const struct stat *found, int kind, struct FTW *walk)
{
    (void)found;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int unmake(void **state)
{
    (void)state;
    sql_session_close(session);
    sql_close(engine);
    arena_close(memory);
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_lie_where_butterfrees_do),
        cmocka_unit_test(it_reads_as_one_table),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
