/* table_conformance_test.c - tables of SQLite and of DuckDB as readers must be. */
#include <sqlite3.h>

#include "formats/scan.h"
#include "readers/table/table.h"

#define RIG_OWN    \
    char path[64]; \
    table_options options;
#include "readers/reader_conformance_testing.h"

#include <unistd.h>

static rig *make(void)
{
    rig *rig = rig_make_of(&table_reader_ops, "rows");
    int fd;

    snprintf(rig->path, sizeof rig->path, "/tmp/freshet_rig_XXXXXX");
    fd = mkstemp(rig->path);
    assert_true(fd >= 0);
    close(fd);
    unlink(rig->path);
    rig->options = (table_options){.path.value = rig->path, .table.value = "rows"};
    return rig;
}

static void free_table(rig *rig)
{
    unlink(rig->path);
    rig_free_of(rig);
}

static rig *make_sqlite(void)
{
    rig *rig = make();
    sqlite3 *file;

    assert_int_equal(sqlite3_open(rig->path, &file), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(
            file,
            "CREATE TABLE rows (id BIGINT, text TEXT);"
            "WITH RECURSIVE t(i) AS (VALUES(0) UNION ALL SELECT i + 1 FROM t WHERE i < 11)"
            "INSERT INTO rows SELECT CASE WHEN i = 5 THEN 'bad' ELSE i END, 'text of row ' || i "
            "FROM t",
            NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(file);
    return rig;
}

static rig *make_duckdb(void)
{
    rig *rig = make();
    scan *scan = NULL;
    char sql[200];

    assert_int_equal(scan_open(&scan, &rig->err), FRESHET_OK);
    snprintf(sql, sizeof sql, "ATTACH '%s' AS made", rig->path);
    assert_int_equal(scan_execute(scan, sql, &rig->err), FRESHET_OK);
    assert_int_equal(scan_execute(scan,
                                  "CREATE TABLE made.rows AS SELECT i AS id, 'text of row ' || i "
                                  "AS text FROM range(3000) t(i) WHERE i < 10 OR i > 2990",
                                  &rig->err),
                     FRESHET_OK);
    scan_close(scan);
    return rig;
}

static const conformance sqlite = {
    .name = "sqlite", .n_rows = 12, .make = make_sqlite, .free = free_table};
static const conformance duckdb = {
    .name = "duckdb", .n_rows = 19, .make = make_duckdb, .free = free_table};

int main(void)
{
    const struct CMUnitTest tests[] = {READER_CONFORMANCE(sqlite), READER_CONFORMANCE(duckdb)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
