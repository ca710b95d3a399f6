/* Tests of debug.c, query_pool.c and query_check.c: what is in the table and its view of newest
 * rows, the limits of table and queries, and that queries from other threads see whole
 * micro-batches. */
/* tsan */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory_testing.h"
#include "base/os.h"
#include "base/patience_testing.h"
#include "base/random_testing.h"
#include "base/text.h"
#include "writers/debug/debug.h"
#include "writers/debug/query_check.h"
#include "writers/debug/query_pool.h"

#define TABLE "online_feature_store__fs"
#define LATEST "online_feature_store__fs_latest"

/* ---- tables and batches of (key string, timestamp, n bigint, label string) ---------------------
 */

static const schema *plain_schema(void)
{
    static field fields[4];
    fields[0] = (field){"key", type_simple(TYPE_STRING)};
    fields[1] = (field){"timestamp", type_simple(TYPE_TIMESTAMP)};
    fields[2] = (field){"n", type_simple(TYPE_BIGINT)};
    fields[3] = (field){"label", type_simple(TYPE_STRING)};
    static const schema schema = {4, fields};
    return &schema;
}

static debug_table *table_with_memory(int64_t rows, int64_t mib)
{
    debug_table *table = NULL;
    freshet_error err = {0};
    debug_options options = {.rows = rows, .memory = mib << 20};
    if (debug_open("fs", plain_schema(), 1, &options, &table, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    return table;
}

static debug_table *table_open(int64_t rows)
{
    return table_with_memory(rows, 256);
}

static batch *batch_of(uint32_t n_rows)
{
    batch *batch = arena_zero(memory, 1, sizeof *batch);
    assert_int_equal(batch_init(batch, memory, plain_schema(), n_rows, NULL), FRESHET_OK);
    batch->n_rows = n_rows;
    return batch;
}

static void put(batch *batch, uint32_t row, const char *key, int64_t time_us, int64_t n)
{
    char *copy = arena_text(memory, key);
    char *label = arena_format(memory, "the label of row %" PRId64, n);
    ((cell_text *)batch->columns[0].data)[row] = text_of(copy, (uint32_t)strlen(copy));
    ((int64_t *)batch->columns[1].data)[row] = time_us;
    ((int64_t *)batch->columns[2].data)[row] = n;
    ((cell_text *)batch->columns[3].data)[row] = text_of(label, (uint32_t)strlen(label));
}

static void append(debug_table *table, const batch *batch)
{
    freshet_error err = {0};
    if (debug_append(table, batch, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
}

/* Rows n = first, first + 1, ... of one key, a microsecond apart. */
static void append_run(debug_table *table, int64_t first, uint32_t n_rows)
{
    batch *batch = batch_of(n_rows);
    for (uint32_t i = 0; i < n_rows; i++)
        put(batch, i, "k", first + i, first + i);
    append(table, batch);
}

/* The result as text: cells separated by |, rows by newlines. */
static char *ask(debug_table *table, const char *sql)
{
    freshet_result *result = NULL;
    freshet_error err = {0};
    if (debug_query(table, sql, NULL, &result, &err) != FRESHET_OK)
        fail_msg("%s: %s", sql, err.text);
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    freshet_code code;
    while ((code = freshet_result_next(result, &err)) == FRESHET_OK) {
        for (uint32_t i = 0; i < freshet_result_columns(result); i++) {
            const char *cell = freshet_result_text(result, i);
            text_format(&text, "%s%s", i == 0 ? "" : "|", cell == NULL ? "null" : cell);
        }
        text_append_char(&text, '\n');
    }
    if (code != FRESHET_END)
        fail_msg("%s: %s", sql, err.text);
    freshet_result_close(result);
    char *copy = arena_copy(memory, text.bytes == NULL ? "" : text.bytes, text.length);
    text_release(&text);
    return copy;
}

static int64_t ask_number(debug_table *table, const char *sql)
{
    return strtoll(ask(table, sql), NULL, 10);
}

static freshet_code query(debug_table *table, const char *sql, int64_t timeout_us,
                          freshet_error *err)
{
    freshet_query_options options = {.size = sizeof options, .timeout_us = timeout_us};
    freshet_result *result = NULL;
    freshet_code code = debug_query(table, sql, &options, &result, err);
    while (code == FRESHET_OK)
        code = freshet_result_next(result, err);
    freshet_result_close(result);
    return code;
}

/* ---- content ------------------------------------------------------------------------------- */

static void test_empty_table(void **state)
{
    (void)state;
    debug_table *table = table_open(100);
    assert_string_equal(ask(table, "select count(*) from " TABLE), "0\n");
    assert_string_equal(ask(table, "select * from " LATEST), "");
    assert_int_equal(debug_rows(table), 0);
    append(table, batch_of(0));
    assert_int_equal(debug_rows(table), 0);
    debug_close(table);
    debug_close(NULL);
}

static void test_rows_in_order_of_arrival(void **state)
{
    (void)state;
    debug_table *table = table_open(100);
    batch *first = batch_of(2);
    put(first, 0, "a", 2000000, 1);
    put(first, 1, "b", 1000000, 2);
    assert_true(column_set_null(memory, &first->columns[3], 1));
    append(table, first);
    batch *second = batch_of(1);
    put(second, 0, "a", 1000000, 3);
    append(table, second);
    assert_string_equal(ask(table, "select * from " TABLE),
                        "a|1970-01-01T00:00:02.000000Z|1|the label of row 1\n"
                        "b|1970-01-01T00:00:01.000000Z|2|null\n"
                        "a|1970-01-01T00:00:01.000000Z|3|the label of row 3\n");
    assert_string_equal(ask(table, "select * from " LATEST " order by key"),
                        "a|1970-01-01T00:00:02.000000Z|1|the label of row 1\n"
                        "b|1970-01-01T00:00:01.000000Z|2|null\n");
    assert_string_equal(ask(table, "select column_name, column_type from (describe " TABLE ")"),
                        "key|VARCHAR\ntimestamp|TIMESTAMP\nn|BIGINT\nlabel|VARCHAR\n");
    assert_string_equal(ask(table, "select column_name, column_type from (describe " LATEST ")"),
                        "key|VARCHAR\ntimestamp|TIMESTAMP\nn|BIGINT\nlabel|VARCHAR\n");
    assert_string_equal(ask(table, "show tables"), TABLE "\n" LATEST "\n" TABLE "_new\n");
    debug_close(table);
}

/* A newest row whose feature is null hides an older value; infinite times are times. */
static void test_latest_takes_whole_rows(void **state)
{
    (void)state;
    debug_table *table = table_open(100);
    batch *batch = batch_of(6);
    put(batch, 0, "a", 1, 1);
    put(batch, 1, "a", 2, 2);
    assert_true(column_set_null(memory, &batch->columns[2], 1));
    put(batch, 2, "tie", 5, 1);
    put(batch, 3, "tie", 5, 2);
    put(batch, 4, "inf", INT64_MAX, 1);
    put(batch, 5, "inf", 7, 2);
    append(table, batch);
    struct batch *old = batch_of(2);
    put(old, 0, "early", -INT64_MAX, 1);
    put(old, 1, "tie", 4, 3);
    append(table, old);
    assert_string_equal(ask(table, "select key, n, label from " LATEST " order by key"),
                        "a|null|the label of row 2\n"
                        "early|1|the label of row 1\n"
                        "inf|1|the label of row 1\n"
                        "tie|2|the label of row 2\n");
    debug_close(table);
}

/* All types, and columns with the names that the table uses itself. */
static void test_every_type_and_odd_names(void **state)
{
    (void)state;
    field fields[] = {
        {"rowid", type_simple(TYPE_BIGINT)},
        {"c0", type_simple(TYPE_STRING)},
        {"timestamp", type_simple(TYPE_TIMESTAMP)},
        {"place", type_simple(TYPE_BOOLEAN)},
        {"newest", type_simple(TYPE_INTEGER)},
        {"we\"ird name", type_simple(TYPE_FLOAT)},
        {"select", type_simple(TYPE_DOUBLE)},
        {"price", type_decimal(memory, 38, 4)},
        {"data", type_simple(TYPE_BINARY)},
        {"day", type_simple(TYPE_DATE)},
        {"list", type_array(memory, type_simple(TYPE_STRING))},
    };
    schema schema = {sizeof fields / sizeof *fields, fields};
    debug_table *table = NULL;
    debug_options options = {.rows = 10, .memory = INT64_C(64) << 20};
    freshet_error err = {0};
    assert_int_equal(debug_open("fs", &schema, 2, &options, &table, &err), FRESHET_OK);
    batch batch;
    assert_int_equal(batch_init(&batch, memory, &schema, 2, NULL), FRESHET_OK);
    batch.n_rows = 2;
    for (uint32_t i = 0; i < 2; i++) {
        column *columns = batch.columns;
        ((int64_t *)columns[0].data)[i] = 7;
        ((cell_text *)columns[1].data)[i] = text_of("a key of some length", 20);
        ((int64_t *)columns[2].data)[i] = 1000000 - i;
        ((uint8_t *)columns[3].data)[i] = 1;
        ((int32_t *)columns[4].data)[i] = -3;
        ((float *)columns[5].data)[i] = 0.1f;
        ((double *)columns[6].data)[i] = 0.1;
        ((int128 *)columns[7].data)[i] = 12345;
        ((cell_text *)columns[8].data)[i] = text_of("\xFF\x00", 2);
        ((int32_t *)columns[9].data)[i] = 15706;
        assert_int_equal(column_reserve(memory, &columns[10].children[0], 2, NULL), FRESHET_OK);
        ((cell_text *)columns[10].children[0].data)[i] = text_of("an element of the list", 22);
        ((cell_span *)columns[10].data)[i] = (cell_span){0, 2};
        columns[10].n_elements = 2;
    }
    append(table, &batch);
    const char *row = "7|a key of some length|1970-01-01T00:00:01.000000Z|true|-3|0.1|0.1|1.2345|"
                      "/wA=|2013-01-01|[\"an element of the list\",\"an element of the list\"]\n";
    assert_string_equal(ask(table, "select * from " LATEST), row);
    assert_string_equal(ask(table, "from " TABLE " limit 1"), row);
    assert_string_equal(ask(table, "select rowid, \"we\"\"ird name\", \"select\" from " LATEST),
                        "7|0.1|0.1\n");
    for (int i = 0; i < 9; i++)
        append(table, &batch);
    assert_int_equal(debug_rows(table), 10);
    assert_int_equal(debug_trimmed(table), 10);
    debug_close(table);
}

/* A plain array of all rows is the twin: the table is its last `limit` rows, _latest the best of
 * each key. */
static void test_random_against_twin(void **state)
{
    (void)state;
    enum { KEYS = 40, LIMIT = 25000, TOTAL = 60000 };
    random_state = 20130101;
    static int64_t key_of[TOTAL + 8000], time_of[TOTAL + 8000];
    debug_table *table = table_open(LIMIT);
    int64_t n = 0;
    while (n < TOTAL) {
        uint32_t size = random_below(10) == 0 ? random_below(8000) : random_below(900);
        batch *batch = batch_of(size);
        for (uint32_t i = 0; i < size; i++, n++) {
            key_of[n] = random_below(KEYS);
            time_of[n] = n / 100 + random_below(50);
            put(batch, i, arena_format(memory, "key %" PRId64, key_of[n]), time_of[n], n);
        }
        append(table, batch);
        int64_t start = n > LIMIT ? n - LIMIT : 0;
        assert_int_equal(debug_rows(table), n - start);
        assert_int_equal(debug_trimmed(table), start);
        if (random_below(8) != 0)
            continue;
        int64_t best[KEYS];
        memset(best, 0xFF, sizeof best);
        for (int64_t i = start; i < n; i++)
            if (best[key_of[i]] < 0 || time_of[i] >= time_of[best[key_of[i]]])
                best[key_of[i]] = i;
        text_buffer expected;
        text_init(&expected, TEXT_LIMIT_DEFAULT);
        text_append_c(&expected, "");
        for (int64_t k = 0; k < KEYS; k++)
            if (best[k] >= 0)
                text_format(&expected, "%" PRId64 "\n", best[k]);
        assert_string_equal(ask(table, "select n from " LATEST " order by substr(key, 5)::integer"),
                            expected.bytes == NULL ? "" : expected.bytes);
        text_release(&expected);
        char *range =
            arena_format(memory, "%" PRId64 "|%" PRId64 "|%" PRId64 "\n", n - start, start, n - 1);
        if (n > 0)
            assert_string_equal(ask(table, "select count(*), min(n), max(n) from " TABLE), range);
    }
    debug_close(table);
}

/* ---- trimming ------------------------------------------------------------------------------ */

static void check_range(debug_table *table, int64_t first, int64_t end)
{
    char *expected =
        arena_format(memory, "%" PRId64 "|%" PRId64 "|%" PRId64 "\n", end - first, first, end - 1);
    assert_string_equal(ask(table, "select count(*), min(n), max(n) from " TABLE), expected);
    assert_int_equal(debug_rows(table), end - first);
    assert_int_equal(debug_trimmed(table), first);
}

static void test_limit_is_exact(void **state)
{
    (void)state;
    debug_table *table = table_open(10);
    append_run(table, 0, 10);
    check_range(table, 0, 10);
    append_run(table, 10, 1);
    check_range(table, 1, 11);
    append_run(table, 11, 25); /* more than the limit at once */
    check_range(table, 26, 36);
    append_run(table, 36, 10);
    check_range(table, 36, 46);
    debug_close(table);
    table = table_open(1);
    append_run(table, 0, 3);
    check_range(table, 2, 3);
    append_run(table, 3, 1);
    check_range(table, 3, 4);
    debug_close(table);
}

/* Segments come and go; what the engine holds does not grow with what was appended. */
static void test_memory_is_bounded(void **state)
{
    (void)state;
    debug_table *table = table_open(30000);
    const char *held = "select sum(memory_usage_bytes)::bigint from duckdb_memory()";
    int64_t after_limit = 0;
    for (int64_t n = 0; n < 400000; n += 4000) {
        append_run(table, n, 4000);
        if (n == 60000)
            after_limit = ask_number(table, held);
        arena_reset(memory);
    }
    check_range(table, 370000, 400000);
    int64_t at_end = ask_number(table, held);
    if (at_end > after_limit * 3 / 2)
        fail_msg("%" PRId64 " bytes grew to %" PRId64, after_limit, at_end);
    debug_close(table);
}

/* Memory for fewer rows than the limit: the oldest go before their time, and the stream goes on. */
static void test_short_of_memory(void **state)
{
    (void)state;
    debug_options options = {.rows = 1000000, .memory = INT64_C(24) << 20};
    debug_table *table = NULL;
    assert_int_equal(debug_open("fs", plain_schema(), 1, &options, &table, NULL), FRESHET_OK);
    int64_t n = 0;
    for (; n < 900000; n += 10000) {
        append_run(table, n, 10000);
        arena_reset(memory);
    }
    assert_int_equal(debug_rows(table) + debug_trimmed(table), n);
    assert_true(debug_trimmed(table) > 0);
    assert_true(debug_rows(table) >= 10000);
    freshet_result *result = NULL;
    assert_int_equal(debug_query(table, "select n from " TABLE, NULL, &result, NULL), FRESHET_OK);
    for (int64_t expected = debug_trimmed(table); expected < n; expected++) {
        assert_int_equal(freshet_result_next(result, NULL), FRESHET_OK);
        assert_int_equal(freshet_result_int64(result, 0), expected);
    }
    freshet_result_close(result);
    check_range(table, debug_trimmed(table), n);
    debug_close(table);
}

/* ---- what a query may be ------------------------------------------------------------------- */

static void test_refused_statements(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *reason;
    } cases[] = {
        {"insert into " TABLE " values ('a', now(), 1, 'b')", "only a query"},
        {"delete from \"__freshet\".s0", "only a query"},
        {"update \"__freshet\".s0 set c2 = 1", "only a query"},
        {"drop view " TABLE, "only a query"},
        {"create table t(a int)", "only a query"},
        {"create temp table t(a int)", "only a query"},
        {"attach ':memory:' as m", "only a query"},
        {"copy " TABLE " to 'x.csv'", "only a query"},
        {"export database 'x'", "only a query"},
        {"install httpfs", "only a query"},
        {"load json", "only a query"},
        {"set memory_limit = '10GB'", "only a query"},
        {"pragma threads = 4", "only a query"},
        {"reset threads", "only a query"},
        {"begin", "only a query"},
        {"commit", "only a query"},
        {"checkpoint", "only a query"},
        {"call pragma_version()", "only a query"},
        {"explain analyze select 1", "only a query"},
        {"prepare p as select 1", "only a query"},
        {"select 1; select 2", "one SQL query at a time"},
        {"select 1; drop view " TABLE, "only a query"},
        {"", "no SQL query"},
        {" -- nothing\n", "no SQL query"},
        {"select * from read_csv('x.csv')", "read_csv() cannot be used"},
        {"select * from read_text('x')", "read_text() cannot be used"},
        {"select * from glob('*')", "glob() cannot be used"},
        {"select * from force_checkpoint()", "force_checkpoint() cannot be used"},
        {"select * from query('select 1')", "query() cannot be used"},
        {"select * from json_execute_serialized_sql('{}')", "cannot be used"},
        {"select * from arrow_scan(1, 2, 3)", "arrow_scan() cannot be used"},
        {"select * from enable_logging()", "enable_logging() cannot be used"},
        {"select (select count(*) from \"__freshet_input_0\"())", "cannot be used"},
        {"with a as (from parquet_scan('x')) from a", "parquet_scan() cannot be used"},
        {"select * from 'secrets.csv'", "disabled"},
        {"select $1", "parameters"},
        {"select * from nowhere", "nowhere"},
        {"select nothing from " TABLE, "nothing"},
        {"selec 1", "syntax error"},
        {"select 'x'::integer", "Could not convert"},
        {"select interval 1 day", "cast it"},
    };
    debug_table *table = table_open(100);
    append_run(table, 0, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        freshet_error err = {0};
        freshet_code code = query(table, cases[i].sql, 0, &err);
        if (code != FRESHET_USAGE || strstr(err.text, cases[i].reason) == NULL)
            fail_msg("%s: code %d, \"%s\"", cases[i].sql, (int)code, err.text);
        assert_int_equal(err.then, FRESHET_STOP);
    }
    check_range(table, 0, 3);
    debug_close(table);
}

static void test_allowed_queries(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "describe " TABLE,
        "summarize " TABLE,
        "show all tables",
        "from " TABLE " select key;",
        "select lpad(key, 8, '0'), repeat('-', 20) from " TABLE,
        "with a as (select 1 as x) select * from a, range(10), unnest([1, 2])",
        "select sum(n), avg(n), count(distinct key) from " TABLE " group by all",
        "values (1, 'a'), (2, 'b')",
        "select now() is not null",
        "select * from information_schema.columns",
        "select name from duckdb_settings() where name = 'memory_limit'",
        "select row_number() over (order by n) from " TABLE " qualify n > 1",
    };
    debug_table *table = table_open(100);
    append_run(table, 0, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        freshet_error err = {0};
        if (query(table, cases[i], 0, &err) != FRESHET_END)
            fail_msg("%s: %s", cases[i], err.text);
    }
    assert_string_equal(ask(table, "select sum(n) from " TABLE), "3\n");
    debug_close(table);
}

static void check_growth(debug_table *table, const char *sql, bool allowed)
{
    freshet_error err = {0};
    freshet_code code = query(table, sql, 0, &err);
    if ((code == FRESHET_END) != allowed || (!allowed && code == FRESHET_END))
        fail_msg("%s: code %d, \"%s\"", sql, (int)code, err.text);
}

static void test_values_cannot_grow_huge(void **state)
{
    (void)state;
    debug_table *table = table_open(100);
    append_run(table, 0, 3);
    check_growth(table, "select length(repeat('x', 100000)) from " TABLE, true);
    check_growth(table, "select length(repeat('x', 100001)) from " TABLE, false);
    check_growth(table, "select repeat('x', 900000000)", false);
    check_growth(table, "select length(repeat(repeat('x', 1000), 1000))", false);
    check_growth(table, "select length(lpad(key, n, 'x')) from " TABLE, false);
    check_growth(table, "select length(REPEAT('x', 1000000 + 1))", false);
    check_growth(table, "select system.main.repeat('x', 1000000)", false);
    check_growth(table, "select len(range(100000))", true);
    check_growth(table, "select len(range(0, 100001))", false);
    check_growth(table, "select len(range(-9223372036854775807, 9223372036854775807))", false);
    check_growth(table, "select count(*) from range(1000000)", true);
    check_growth(table, "select list_reduce([1, 2], lambda a, b: a + b)", false);
    check_growth(table, "select format('{:1000000000}', 1)", false);
    debug_close(table);
}

static void test_text_limits(void **state)
{
    (void)state;
    debug_table *table = table_open(100);
    freshet_error err = {0};
    char *sql = arena_alloc(memory, QUERY_SQL_MAX + 2);
    memset(sql, ' ', QUERY_SQL_MAX + 1);
    memcpy(sql, "select 1", 8);
    sql[QUERY_SQL_MAX + 1] = '\0';
    assert_int_equal(query(table, sql, 0, &err), FRESHET_LIMIT);
    assert_non_null(strstr(err.text, "longer than 1048576 bytes"));
    sql[QUERY_SQL_MAX] = '\0';
    assert_int_equal(query(table, sql, 0, &err), FRESHET_END);
    strcpy(sql, "select ");
    memset(sql + 7, '(', 100000);
    strcpy(sql + 100007, "1");
    memset(sql + 100008, ')', 100000);
    sql[200008] = '\0';
    freshet_code code = query(table, sql, 0, &err);
    assert_true(code == FRESHET_USAGE || code == FRESHET_LIMIT);
    char *sum = sql + 7;
    for (int i = 0; i < 100000; i++)
        sum += sprintf(sum, "1+");
    strcpy(sum, "1");
    code = query(table, sql, 0, &err);
    assert_true(code == FRESHET_USAGE || code == FRESHET_LIMIT);
    assert_string_equal(ask(table, "select 1"), "1\n");
    debug_close(table);
}

static void test_bad_options(void **state)
{
    (void)state;
    debug_table *table = table_open(100);
    freshet_error err = {0};
    assert_int_equal(query(table, "select 1", -1, &err), FRESHET_USAGE);
    assert_int_equal(query(table, "select 1", QUERY_TIMEOUT_MAX_US + 1, &err), FRESHET_USAGE);
    assert_int_equal(query(table, "select 1", QUERY_TIMEOUT_MAX_US, &err), FRESHET_END);
    assert_int_equal(query(table, "select 1", FRESHET_NO_TIMEOUT - 1, &err), FRESHET_USAGE);
    assert_int_equal(query(table, "select 1", FRESHET_NO_TIMEOUT, &err), FRESHET_END);
    freshet_query_options options = {.size = 0};
    freshet_result *result = NULL;
    assert_int_equal(debug_query(table, "select 1", &options, &result, &err), FRESHET_USAGE);
    debug_close(table);
}

/* ---- limits of queries --------------------------------------------------------------------- */

#define ENDLESS                                                                  \
    "select count(*) from range(1000000) a, range(1000000) b, range(1000000) c " \
    "where a.range + b.range + c.range < 0"

static void test_time_limit(void **state)
{
    (void)state;
    debug_table *table = table_open(100);
    freshet_error err = {0};
    assert_int_equal(query(table, ENDLESS, 100000, &err), FRESHET_LIMIT);
    assert_non_null(strstr(err.text, "limit of 0.1 seconds"));
    assert_string_equal(ask(table, "select 1"), "1\n");
    debug_close(table);
}

static void test_memory_limit(void **state)
{
    (void)state;
    debug_table *table = table_open(100);
    freshet_error err = {0};
    assert_int_equal(
        query(table,
              "select count(*) from (select distinct a.range * 1000 + b.range, "
              "'some text ' || a.range || b.range from range(100000) a, range(1000) b)",
              60000000, &err),
        FRESHET_LIMIT);
    assert_non_null(strstr(err.text, "256 MiB"));
    assert_string_equal(ask(table, "select 1"), "1\n");
    debug_close(table);
}

/* Functions that make large values of small ones ask nobody whether they may go on: the query is
 * ended all the same, by memory or by time, and the table's own process holds nothing of it. */
static void test_growing_values(void **state)
{
    (void)state;
    static const char growing[] =
        "select sum(length(replace(replace(x, 'e', x), 'e', x))) from "
        "(select repeat('the label', 9000) as x from " TABLE " limit 2000)";
    debug_table *table = table_open(10000);
    freshet_error err = {0};
    append_run(table, 0, 5000);
    assert_int_equal(query(table, growing, patient_us(60000000), &err), FRESHET_LIMIT);
    assert_non_null(strstr(err.text, "memory"));
    assert_int_equal(query(table, growing, 1000, &err), FRESHET_LIMIT);
    assert_non_null(strstr(err.text, "limit of 0.001 seconds"));
    assert_string_equal(ask(table, "select 1"), "1\n");
    debug_close(table);
}

/* What a query writes to its reader: every type, nested, empty and null; a piece of many bytes. */
static void test_large_and_nested_results(void **state)
{
    (void)state;
    debug_table *table = table_open(100);
    assert_string_equal(
        ask(table, "select [[1, null], [], null, [2]], {'a': ['x'], 'b': null::int}"),
        "[[1,null],[],null,[2]]|{\"a\":[\"x\"],\"b\":null}\n");
    assert_string_equal(ask(table,
                            "select list(r) from (select {'n': range, 't': 'the text ' || range} "
                            "as r from range(3))"),
                        "[{\"n\":0,\"t\":\"the text 0\"},{\"n\":1,\"t\":\"the text "
                        "1\"},{\"n\":2,\"t\":\"the text 2\"}]\n");
    freshet_result *result = NULL;
    freshet_error err = {0};
    assert_int_equal(debug_query(table,
                                 "select range as n, repeat('12345678', 2000) as t, "
                                 "[1, 2, 3, 4, 5, 6][1 : range % 7] as l from range(3000)",
                                 NULL, &result, &err),
                     FRESHET_OK);
    for (int64_t n = 0; n < 3000; n++) {
        assert_int_equal(freshet_result_next(result, &err), FRESHET_OK);
        assert_int_equal(freshet_result_int64(result, 0), n);
        assert_int_equal(strlen(freshet_result_text(result, 1)), 16000);
        assert_int_equal(strlen(freshet_result_text(result, 2)), n % 7 == 0 ? 2 : 1 + n % 7 * 2);
    }
    assert_int_equal(freshet_result_next(result, &err), FRESHET_END);
    freshet_result_close(result);
    debug_close(table);
}

static bool is_cancelled(void *context)
{
    return atomic_fetch_add((atomic_int *)context, 1) >= 2;
}

static void test_cancel(void **state)
{
    (void)state;
    debug_table *table = table_open(100);
    atomic_int calls = 0;
    freshet_query_options options = {
        .size = sizeof options, .cancelled = is_cancelled, .context = &calls};
    freshet_result *result = NULL;
    freshet_error err = {0};
    freshet_code code = debug_query(table, ENDLESS, &options, &result, &err);
    if (code == FRESHET_OK)
        code = freshet_result_next(result, &err);
    assert_int_equal(code, FRESHET_LIMIT);
    assert_string_equal(err.text, "the query was cancelled");
    freshet_result_close(result);
    debug_close(table);
}

/* Forgotten results: at the limit, one past it, and given back when their time is over. Sanitizers
 * make the memory of so many several times as large. */
static void test_forgotten_results(void **state)
{
    (void)state;
    debug_table *table = table_with_memory(100000, 2048);
    append_run(table, 0, 50000);
    freshet_result *results[QUERIES_MAX], *one_more = NULL;
    freshet_error err = {0};
    freshet_query_options options = {.size = sizeof options, .timeout_us = patient_us(1000000)};
    bool all_there = false;
    while (!all_there) { /* the first may be over before the last begins: then longer ones */
        options.timeout_us *= 3;
        assert_true(options.timeout_us < patient_us(1000000000));
        all_there = true;
        for (uint32_t i = 0; i < QUERIES_MAX; i++) {
            assert_int_equal(debug_query(table, "from " TABLE, &options, &results[i], &err),
                             FRESHET_OK);
            all_there = freshet_result_next(results[i], &err) == FRESHET_OK && all_there;
        }
        const freshet_code code = debug_query(table, "select 1", &options, &one_more, &err);
        all_there = all_there && code == FRESHET_TRY_AGAIN;
        if (code == FRESHET_OK)
            freshet_result_close(one_more);
        for (uint32_t i = 0; !all_there && i < QUERIES_MAX; i++)
            freshet_result_close(results[i]);
    }
    assert_int_equal(err.then, FRESHET_RETRY);
    usleep((useconds_t)(options.timeout_us + patient_us(200000)));
    assert_string_equal(ask(table, "select 1"), "1\n");
    for (uint32_t i = 0; i < QUERIES_MAX; i++) {
        assert_string_equal(freshet_result_name(results[i], 2), "n");
        assert_string_equal(freshet_result_text(results[i], 3), "the label of row 0");
        freshet_code code = FRESHET_OK;
        for (int64_t n = 1; code == FRESHET_OK; n++) {
            code = freshet_result_next(results[i], &err);
            assert_true(code == FRESHET_LIMIT || freshet_result_int64(results[i], 2) == n);
        }
        assert_int_equal(code, FRESHET_LIMIT);
        freshet_result_close(results[i]);
    }
    debug_close(table);
}

static void test_result_after_close(void **state)
{
    (void)state;
    debug_table *table = table_open(100000);
    append_run(table, 0, 10000);
    freshet_result *result = NULL;
    freshet_error err = {0};
    assert_int_equal(debug_query(table, "from " TABLE, NULL, &result, &err), FRESHET_OK);
    assert_int_equal(freshet_result_next(result, &err), FRESHET_OK);
    debug_close(table);
    assert_string_equal(freshet_result_text(result, 3), "the label of row 0");
    freshet_code code;
    while ((code = freshet_result_next(result, &err)) == FRESHET_OK)
        ;
    assert_int_equal(code, FRESHET_FAILED);
    assert_non_null(strstr(err.text, "closed"));
    freshet_result_close(result);
}

/* A slow reader keeps its snapshot while all its rows are trimmed away, and holds nobody up. */
static void test_result_is_a_snapshot(void **state)
{
    (void)state;
    debug_table *table = table_open(20000);
    append_run(table, 0, 20000);
    freshet_result *result = NULL;
    freshet_error err = {0};
    assert_int_equal(debug_query(table, "select n from " TABLE, NULL, &result, &err), FRESHET_OK);
    for (int64_t n = 0; n < 5000; n++)
        assert_int_equal(freshet_result_next(result, &err), FRESHET_OK);
    for (int64_t n = 20000; n < 80000; n += 5000)
        append_run(table, n, 5000);
    check_range(table, 60000, 80000);
    for (int64_t n = 5000; n < 20000; n++) {
        assert_int_equal(freshet_result_next(result, &err), FRESHET_OK);
        assert_int_equal(freshet_result_int64(result, 0), n);
    }
    assert_int_equal(freshet_result_next(result, &err), FRESHET_END);
    freshet_result_close(result);
    debug_close(table);
}

/* ---- several threads ----------------------------------------------------------------------- */

#define WHOLE_ROWS 8192u /* more than a chunk of the table has */
#define WHOLE_BATCHES 12u
#define WHOLE_QUERIES 10

typedef struct reading {
    debug_table *table;
    atomic_bool *stop;
    int64_t limit;
    atomic_llong n_queries;
    char wrong[800];
} reading;

/* Batches of WHOLE_ROWS rows with n = number of the batch: a whole one has all its rows, and no
 * batch between the first and the last is missing. */
static void *read_whole_batches(void *context)
{
    reading *reading = context;
    while (!atomic_load(reading->stop) && reading->wrong[0] == '\0') {
        freshet_result *result = NULL;
        freshet_error err = {0};
        const char *sql = "select count(*), count(distinct n), min(n), max(n), "
                          "(select count(*) from " LATEST "), (select n from " LATEST
                          " where key = 'k') from " TABLE;
        if (debug_query(reading->table, sql, NULL, &result, &err) != FRESHET_OK ||
            freshet_result_next(result, &err) != FRESHET_OK) {
            snprintf(reading->wrong, sizeof reading->wrong, "%s", err.text);
        } else {
            int64_t values[6];
            for (uint32_t i = 0; i < 6; i++)
                values[i] = freshet_result_int64(result, i);
            if (values[0] % WHOLE_ROWS != 0 || values[0] > reading->limit ||
                values[1] * WHOLE_ROWS != values[0] ||
                (values[0] > 0 && (values[3] - values[2] + 1 != values[1] || values[4] != 1 ||
                                   values[5] != values[3])))
                snprintf(reading->wrong, sizeof reading->wrong,
                         "%" PRId64 " rows of %" PRId64 " batches %" PRId64 "..%" PRId64
                         ", %" PRId64 " keys, latest %" PRId64,
                         values[0], values[1], values[2], values[3], values[4], values[5]);
            atomic_fetch_add(&reading->n_queries, 1);
        }
        freshet_result_close(result);
    }
    atomic_fetch_add(&reading->n_queries, WHOLE_QUERIES); /* of one that went wrong, too */
    return NULL;
}

/* Appends one batch after another, so that most of the time one is under way. */
static void test_queries_see_whole_batches(void **state)
{
    (void)state;
    const int64_t limit = WHOLE_BATCHES * WHOLE_ROWS;
    debug_table *table = table_open(limit);
    atomic_bool stop = false;
    pthread_t threads[2];
    reading readings[2];
    for (int i = 0; i < 2; i++) {
        readings[i] = (reading){.table = table, .stop = &stop, .limit = limit};
        assert_int_equal(pthread_create(&threads[i], NULL, read_whole_batches, &readings[i]), 0);
    }
    batch *batch = batch_of(WHOLE_ROWS);
    for (uint32_t i = 0; i < WHOLE_ROWS; i++)
        put(batch, i, "k", 0, i);
    int64_t b = 0;
    bool enough = false;
    for (; b < 2 * WHOLE_BATCHES || !enough; b++) {
        for (uint32_t i = 0; i < WHOLE_ROWS; i++)
            ((int64_t *)batch->columns[1].data)[i] = ((int64_t *)batch->columns[2].data)[i] = b;
        append(table, batch);
        enough = true;
        for (int i = 0; i < 2; i++)
            enough = enough && atomic_load(&readings[i].n_queries) >= WHOLE_QUERIES;
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_string_equal(readings[i].wrong, "");
    }
    assert_int_equal(debug_trimmed(table), (b - WHOLE_BATCHES) * WHOLE_ROWS);
    debug_close(table);
}

/* The watchdog asks: so the query runs. */
static bool note_running(void *context)
{
    atomic_store(((reading *)context)->stop, true);
    return false;
}

static void *run_endless(void *context)
{
    reading *reading = context;
    freshet_error err = {0};
    freshet_result *result = NULL;
    freshet_query_options options = {.size = sizeof options,
                                     .timeout_us = patient_us(30000000),
                                     .cancelled = note_running,
                                     .context = reading};
    freshet_code code = debug_query(reading->table, ENDLESS, &options, &result, &err);
    if (code == FRESHET_OK)
        code = freshet_result_next(result, &err);
    freshet_result_close(result);
    snprintf(reading->wrong, sizeof reading->wrong, "%d %s", (int)code, err.text);
    return NULL;
}

/* Closing ends what runs in other threads. */
static void test_close_ends_queries(void **state)
{
    (void)state;
    debug_table *table = table_open(100);
    pthread_t threads[3];
    reading readings[3];
    atomic_bool runs[3];
    for (int i = 0; i < 3; i++) {
        atomic_init(&runs[i], false);
        readings[i] = (reading){.table = table, .stop = &runs[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, run_endless, &readings[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        while (!atomic_load(&runs[i]))
            usleep(1000);
    debug_close(table);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_string_equal(readings[i].wrong,
                            "1 the query was ended because its pipeline was closed");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_memory, close_memory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_empty_table),
        TEST(test_rows_in_order_of_arrival),
        TEST(test_latest_takes_whole_rows),
        TEST(test_every_type_and_odd_names),
        TEST(test_random_against_twin),
        TEST(test_limit_is_exact),
        TEST(test_memory_is_bounded),
        TEST(test_short_of_memory),
        TEST(test_refused_statements),
        TEST(test_allowed_queries),
        TEST(test_values_cannot_grow_huge),
        TEST(test_text_limits),
        TEST(test_bad_options),
        TEST(test_time_limit),
        TEST(test_memory_limit),
        TEST(test_growing_values),
        TEST(test_large_and_nested_results),
        TEST(test_cancel),
        TEST(test_forgotten_results),
        TEST(test_result_after_close),
        TEST(test_result_is_a_snapshot),
        TEST(test_queries_see_whole_batches),
        TEST(test_close_ends_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
