/* file_parquet_test.c - Parquet files: types, casts, positions, files that are not complete. */
#include "formats/scan.h"
#include "readers/file/file_testing.h"
#include "sql/sql.h"

/* Writes a Parquet file by DuckDB: COPY (`select`) TO name. */
static void write_parquet(rig *rig, const char *name, const char *select)
{
    freshet_error err;
    scan *scan = NULL;
    const char *path = sql_literal(rig->arena, rig_path(rig, name));
    char sql[4096];

    assert_int_equal(scan_open(&scan, &err), FRESHET_OK);
    snprintf(sql, sizeof(sql), "COPY (%s) TO %s (FORMAT parquet)", select, path);
    if (scan_execute(scan, sql, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    scan_close(scan);
}

static void types_come_from_the_file(void **state)
{
    rig *rig = rig_make("a.parquet");

    (void)state;
    write_parquet(
        rig, "a.parquet",
        "select 1::bigint as i, 'a text longer than twelve' as s, 1.50::decimal(9,2) as m, "
        "timestamp '2024-05-01 12:00:00.5' as t, timestamptz '2024-05-01 12:00:00+03' as z, "
        "date '2024-05-01' as d, [1,null,3] as a, {'x': [{'y': 'another long enough text'}]} "
        "as o, time '12:30:00' as \"the time\", true as b, 2::utinyint as u, 'x'::blob as y "
        "union all select null, null, null, null, null, null, null, null, null, null, null, null");
    rig_read(rig);
    rig_expect(rig,
               "{\"i\":1,\"s\":\"a text longer than twelve\",\"m\":\"1.50\","
               "\"t\":\"2024-05-01T12:00:00.500000Z\",\"z\":\"2024-05-01T09:00:00.000000Z\","
               "\"d\":\"2024-05-01\",\"a\":[1,null,3],"
               "\"o\":{\"x\":[{\"y\":\"another long enough text\"}]},\"the time\":\"12:30:00\","
               "\"b\":true,\"u\":2,\"y\":\"eA==\"}\n"
               "{\"i\":null,\"s\":null,\"m\":null,\"t\":null,\"z\":null,\"d\":null,\"a\":null,"
               "\"o\":null,\"the time\":null,\"b\":null,\"u\":null,\"y\":null}\n");
    rig_free(rig);
}

static void a_declared_schema_casts(void **state)
{
    static const bool used[] = {true, false, true};
    rig *rig = rig_make("a.parquet");

    (void)state;
    write_parquet(rig, "a.parquet",
                  "select * from (values (1, 'x', '1.5'), (2, 'y', 'no'), "
                  "(3, 'z', '2')) v(N, s, \"d'q\")");
    rig_schema(rig, "n: bigint, s: string");
    rig_read(rig);
    rig_expect(rig, "{\"n\":1,\"s\":\"x\"}\n{\"n\":2,\"s\":\"y\"}\n{\"n\":3,\"s\":\"z\"}\n");
    rig_forget(rig);
    field fields[] = {{"n", type_simple(TYPE_DOUBLE)},
                      {"s", type_simple(TYPE_BIGINT)},
                      {"d'q", type_simple(TYPE_DOUBLE)}};
    rig->options.format.schema.value = (schema){.n_fields = 3, .fields = fields};
    rig->used = used;
    rig_read(rig);
    rig_expect(rig, "{\"n\":1.0,\"s\":null,\"d'q\":1.5}\n{\"n\":3.0,\"s\":null,\"d'q\":2.0}\n");
    rig_expect_reasons(rig,
                       "1 column \"d'q\" should be double, but has the value \"no\"; declare it "
                       "in schema as what it is, or say on_cast_error: null\n");
    rig_forget(rig);
    rig->block.on_cast_error = ON_CAST_ERROR_NULL;
    rig_read(rig);
    rig_expect(rig, "{\"n\":1.0,\"s\":null,\"d'q\":1.5}\n{\"n\":2.0,\"s\":null,\"d'q\":null}\n"
                    "{\"n\":3.0,\"s\":null,\"d'q\":2.0}\n");
    rig_schema(rig, "missing: bigint");
    rig->used = NULL;
    rig_open(rig);
    assert_int_equal(rig_poll(rig, 10, SIZE_MAX), FRESHET_BAD_DECLARATION);
    assert_string_equal(rig->err.text, "there is no column \"missing\"; there are N, s, d'q");
    rig_free(rig);
}

/* Both ends, in arrays and structs, with UTC and without: DuckDB calls them infinities. */
static void the_ends_of_nanoseconds_are_times(void **state)
{
    rig *rig = rig_make("a.parquet");

    (void)state;
    write_parquet(rig, "a.parquet",
                  "select 'infinity'::timestamp_ns as t, "
                  "[{'u': '-infinity'::timestamp_ns, 'v': ['infinity'::timestamp_ns, "
                  "null]}, null] as a, timestamp 'infinity' as f");
    rig_read(rig);
    rig_expect(rig, "{\"t\":\"2262-04-11T23:47:16.854775Z\",\"a\":[{\"u\":"
                    "\"1677-09-21T00:12:43.145224Z\",\"v\":[\"2262-04-11T23:47:16.854775Z\","
                    "null]},null],\"f\":\"+294247-01-10T04:00:54.775807Z\"}\n");
    rig_free(rig);
}

static void what_is_nested_is_converted_too(void **state)
{
    rig *rig = rig_make("");

    (void)state;
    write_parquet(
        rig, "a.parquet",
        "select 1 as n, [{'x': 1, 'y': [2::integer, null]}] as a, {'p': 1.5::float} as s");
    write_parquet(rig, "b.parquet",
                  "select 2::bigint as n, [{'x': 0.5, 'y': [3::bigint], 'z': 'new'}, null] as a, "
                  "{'p': 2.25::double, 'q': true} as s");
    rig_age(rig, "a.parquet", 1);
    rig_read(rig);
    rig_expect(rig, "{\"n\":1,\"a\":[{\"x\":\"1.0\",\"y\":[2,null],\"z\":null}],"
                    "\"s\":{\"p\":1.5,\"q\":null}}\n"
                    "{\"n\":2,\"a\":[{\"x\":\"0.5\",\"y\":[3],\"z\":\"new\"},null],"
                    "\"s\":{\"p\":2.25,\"q\":true}}\n");
    rig_forget(rig);
    rig_schema(rig, "n: bigint, a: array<struct<y: array<integer>, x: bigint>>");
    rig_read(rig);
    rig_expect(rig, "{\"n\":1,\"a\":[{\"y\":[2,null],\"x\":1}]}\n");
    rig_expect_reasons(rig, "0 column \"a\" should be bigint, but has the value \"0.5\"; declare "
                            "it in schema as what it is, or say on_cast_error: null\n");
    rig_forget(rig);
    rig->block.on_cast_error = ON_CAST_ERROR_NULL;
    rig_read(rig);
    rig_expect(rig, "{\"n\":1,\"a\":[{\"y\":[2,null],\"x\":1}]}\n"
                    "{\"n\":2,\"a\":[{\"y\":[3],\"x\":null},null]}\n");
    rig_free(rig);
}

static void positions_are_rows(void **state)
{
    rig *rig = rig_make("");
    text_buffer wanted;

    (void)state;
    text_init(&wanted, TEXT_LIMIT_DEFAULT);
    write_parquet(rig, "a.parquet", "select i as n, 'row number ' || i as s from range(5000) r(i)");
    write_parquet(rig, "b.parquet",
                  "select i as n, 'row number ' || i as s from range(5000, 5003) "
                  "r(i)");
    rig_age(rig, "a.parquet", 1);
    for (int i = 0; i < 5003; i++)
        text_format(&wanted, "{\"n\":%d,\"s\":\"row number %d\"}\n", i, i);
    rig_open(rig);
    rig_poll(rig, 1, SIZE_MAX);
    rig_reopen(rig);
    rig_poll(rig, 2047, SIZE_MAX);
    rig_poll(rig, 100, SIZE_MAX);
    rig_reopen(rig);
    rig_poll(rig, 2851, SIZE_MAX);
    for (int i = 0; i < 4; i++) {
        rig_reopen(rig);
        rig_poll(rig, 1, SIZE_MAX);
    }
    rig_drain(rig, 10);
    rig_expect(rig, wanted.bytes);
    text_release(&wanted);
    rig_free(rig);
}

static void a_name_is_no_pattern(void **state)
{
    rig *rig = rig_make("");

    (void)state;
    write_parquet(rig, "a[1]*?'.parquet", "select 1 as n");
    write_parquet(rig, "a1xx'.parquet", "select 2 as n");
    rig_age(rig, "a1xx'.parquet", 1);
    rig_read(rig);
    rig_expect(rig, "{\"n\":2}\n{\"n\":1}\n");
    rig_free(rig);
}

static void a_stream_takes_new_files_when_they_are_complete(void **state)
{
    rig *rig = rig_make("*.parquet");

    (void)state;
    os.monotonic_us = rig_clock;
    rig->mode = READ_FOLLOW;
    rig->block.stream = true;
    rig_schema(rig, "n: bigint");
    write_parquet(rig, "whole", "select 7 as n");
    rig_open(rig);
    rig_drain(rig, 10);
    rig_copy(rig, "whole", 0, 100, "a.parquet");
    write_parquet(rig, "b.parquet", "select 1 as n");
    rig_drain(rig, 10);
    rig_expect(rig, "{\"n\":1}\n");
    rig_copy(rig, "whole", 100, 1 << 20, "a.parquet");
    rig_now_us += 2000000;
    rig_drain(rig, 10);
    rig_drain(rig, 10);
    rig_expect(rig, "{\"n\":1}\n{\"n\":7}\n");
    rig_now_us += 20000000;
    rig_drain(rig, 10);
    assert_int_equal(rig->n_rows, 2);
    rig_free(rig);
}

static void what_is_no_parquet_is_said(void **state)
{
    rig *rig = rig_make("a.parquet");

    (void)state;
    rig_write(rig, "a.parquet", "this is text, and long enough to be looked at for a footer");
    assert_int_equal(rig_describe(rig), FRESHET_FAILED);
    assert_string_equal(rig->err.at, rig->path);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_come_from_the_file),
        cmocka_unit_test(a_declared_schema_casts),
        cmocka_unit_test(the_ends_of_nanoseconds_are_times),
        cmocka_unit_test(what_is_nested_is_converted_too),
        cmocka_unit_test(positions_are_rows),
        cmocka_unit_test(a_name_is_no_pattern),
        cmocka_unit_test(a_stream_takes_new_files_when_they_are_complete),
        cmocka_unit_test(what_is_no_parquet_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
