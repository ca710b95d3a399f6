/* table_test.c - tables and views of SQLite and DuckDB files. */
#include "readers/table/table.h"

#include <sqlite3.h>

#include "formats/scan.h"
#include "readers/file/file_testing.h"

typedef struct bench {
    rig *rig;
    table_options options;
} bench;

static bench open_bench(const char *table)
{
    bench it = {.rig = rig_make("x.db")};

    it.rig->ops = &table_reader_ops;
    it.options.path.value = it.rig->path;
    it.options.table.value = table;
    return it;
}

static freshet_code describe(bench *it)
{
    rig_make_reader(it->rig, &it->options);
    return it->rig->ops->describe(it->rig->reader, &it->rig->err);
}

static void open_reader(bench *it)
{
    if (describe(it) != FRESHET_OK ||
        it->rig->ops->open(it->rig->reader, &it->rig->positions, &it->rig->err) != FRESHET_OK)
        fail_msg("%s", it->rig->err.text);
}

static void read_all(bench *it)
{
    rig_forget(it->rig);
    open_reader(it);
    rig_drain(it->rig, RIG_ROWS);
    rig_close(it->rig);
}

static void run_sqlite(rig *rig, const char *sql)
{
    sqlite3 *file;
    char *problem = NULL;

    assert_int_equal(sqlite3_open(rig->path, &file), SQLITE_OK);
    if (sqlite3_exec(file, sql, NULL, NULL, &problem) != SQLITE_OK)
        fail_msg("%s", problem);
    sqlite3_close(file);
}

static void run_duckdb(rig *rig, const char *sql)
{
    freshet_error err;
    scan *scan = NULL;
    char attach[400];

    snprintf(attach, sizeof(attach), "ATTACH '%s' AS x", rig->path);
    assert_int_equal(scan_open(&scan, &err), FRESHET_OK);
    assert_int_equal(scan_execute(scan, attach, &err), FRESHET_OK);
    if (scan_execute(scan, sql, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    scan_close(scan);
}

static void sqlite_types_are_the_declared_ones(void **state)
{
    bench it = open_bench("t");
    arena *arena = it.rig->arena;
    static const char *const wanted[] = {"bigint",    "bigint",        "string", "string",
                                         "double",    "boolean",       "date",   "timestamp",
                                         "timestamp", "decimal(10,2)", "binary", "double"};

    (void)state;
    run_sqlite(
        it.rig,
        "create table t (i integer primary key, b bigint, s text, v varchar(20), r real, "
        "o boolean, d date, t datetime, ts timestamp, m decimal(10,2), x blob, n numeric);"
        "insert into t values (1, 9007199254740993, 'a text longer than twelve', 'v', 1.5, 1, "
        "'2024-05-01', '2024-05-01 12:00:00', '2024-05-01T12:00:00Z', 12.345, x'0102', 3);"
        "insert into t (i) values (2);");
    assert_int_equal(describe(&it), FRESHET_OK);
    for (uint32_t i = 0; i < 12; i++)
        assert_string_equal(type_name(arena, it.rig->reader->schema.fields[i].type), wanted[i]);
    rig_close(it.rig);
    read_all(&it);
    rig_expect(
        it.rig,
        "{\"i\":1,\"b\":9007199254740993,\"s\":\"a text longer than twelve\",\"v\":\"v\",\"r\":1.5,"
        "\"o\":true,\"d\":\"2024-05-01\",\"t\":\"2024-05-01T12:00:00.000000Z\","
        "\"ts\":\"2024-05-01T12:00:00.000000Z\",\"m\":\"12.35\",\"x\":\"AQI=\",\"n\":3.0}\n"
        "{\"i\":2,\"b\":null,\"s\":null,\"v\":null,\"r\":null,\"o\":null,\"d\":null,\"t\":null,"
        "\"ts\":null,\"m\":null,\"x\":null,\"n\":null}\n");
    rig_free(it.rig);
}

static void sqlite_views_and_values_that_do_not_fit(void **state)
{
    bench it = open_bench("v");

    (void)state;
    run_sqlite(it.rig, "create table t (i integer, d datetime);"
                       "insert into t values (1, '2024-05-01'), ('two', null), (3, 1714564800), "
                       "(4, '2024-05-02');"
                       "create view v as select i, d, i || '!' as e, length(i) as n from t;");
    read_all(&it);
    rig_expect(it.rig, "{\"i\":1,\"d\":\"2024-05-01T00:00:00.000000Z\",\"e\":\"1!\",\"n\":1}\n"
                       "{\"i\":4,\"d\":\"2024-05-02T00:00:00.000000Z\",\"e\":\"4!\",\"n\":1}\n");
    rig_expect_reasons(
        it.rig,
        "1 column \"i\" should be bigint, but is \"two\"; read a view that casts it, or "
        "say on_cast_error: null\n"
        "2 column \"d\" should be timestamp, but is the number 1714564800; read a view that "
        "makes it a text, as datetime(d, 'unixepoch') does\n");
    it.rig->block.on_cast_error = ON_CAST_ERROR_NULL;
    read_all(&it);
    assert_int_equal(it.rig->n_rows, 4);
    assert_non_null(strstr(it.rig->rows.bytes, "{\"i\":null,\"d\":null,\"e\":\"two!\",\"n\":3}\n"));
    rig_free(it.rig);
}

static void places_and_changes(void **state)
{
    (void)state;
    for (int duckdb = 0; duckdb < 2; duckdb++) {
        bench it = open_bench("numbers");
        text_buffer wanted;
        const char *more =
            duckdb ? "insert into x.numbers values (-1)" : "insert into numbers values (-1)";
        text_init(&wanted, TEXT_LIMIT_DEFAULT);
        for (int i = 0; i < 3000; i++)
            text_format(&wanted, "{\"n\":%d}\n", i);
        if (duckdb)
            run_duckdb(it.rig, "create table x.numbers as select range as n from range(3000)");
        else
            run_sqlite(
                it.rig,
                "create table numbers (n integer); with recursive r(i) as (select 0 union all "
                "select i + 1 from r where i < 2999) insert into numbers select i from r");
        open_reader(&it);
        for (int i = 0; i < 3; i++) {
            rig_poll(it.rig, (uint32_t)(1 + i * 700), SIZE_MAX);
            rig_keep_positions(it.rig);
            assert_int_equal(it.rig->positions.n, 1);
            rig_close(it.rig);
            open_reader(&it);
        }
        rig_drain(it.rig, 333);
        rig_expect(it.rig, wanted.bytes);
        assert_false(it.rig->ops->changed(it.rig->reader));
        rig_close(it.rig);
        it.rig->positions.n = 0;
        open_reader(&it);
        rig_drain(it.rig, RIG_ROWS);
        if (!duckdb) { /* DuckDB keeps the file locked while it is attached */
            run_sqlite(it.rig, more);
            assert_true(it.rig->ops->changed(it.rig->reader));
        }
        rig_close(it.rig);
        text_release(&wanted);
        rig_free(it.rig);
    }
}

static void duckdb_tables_and_views(void **state)
{
    bench it = open_bench("other.v");

    (void)state;
    run_duckdb(it.rig, "create schema x.other; create table x.other.\"a table\" as select 1 as n, "
                       "'text longer than twelve' as s, [1, 2] as a, interval 1 day as i; "
                       "create view x.other.v as select * from x.other.\"a table\"");
    it.options.table.value = "other.a table";
    read_all(&it);
    rig_expect(it.rig, "{\"n\":1,\"s\":\"text longer than twelve\",\"a\":[1,2],\"i\":\"1 day\"}\n");
    it.options.table.value = "nothing";
    assert_int_equal(describe(&it), FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(it.rig->err.text, "nothing"));
    rig_free(it.rig);
}

static void what_cannot_be_read_is_said(void **state)
{
    bench it = open_bench("t");

    (void)state;
    assert_int_equal(describe(&it), FRESHET_FAILED); /* no such file */
    rig_close(it.rig);
    rig_write(it.rig, "x.db", "some text");
    assert_int_equal(describe(&it), FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(it.rig->err.text, "neither a SQLite nor a DuckDB file"));
    rig_close(it.rig);
    unlink(it.rig->path);
    run_sqlite(it.rig, "create table u (n integer)");
    assert_int_equal(describe(&it), FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(it.rig->err.text, "no such table: t"));
    rig_close(it.rig);
    it.rig->block.stream = true;
    assert_int_equal(describe(&it), FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(it.rig->err.text, "cannot be read as a stream"));
    rig_free(it.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sqlite_types_are_the_declared_ones),
        cmocka_unit_test(sqlite_views_and_values_that_do_not_fit),
        cmocka_unit_test(places_and_changes),
        cmocka_unit_test(duckdb_tables_and_views),
        cmocka_unit_test(what_cannot_be_read_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
