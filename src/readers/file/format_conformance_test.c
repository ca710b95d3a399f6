/* format_conformance_test.c - each format as formats must be. */
#include "readers/file/format_conformance_testing.h"

#define EVERY_TYPE                                                                             \
    "b: boolean, i: integer, l: bigint, f: float, d: double, m: decimal(10,2), s: string, x: " \
    "binary, day: date, t: timestamp"
#define FIRST_ROW                                                                           \
    "{\"b\":true,\"i\":-2147483648,\"l\":9223372036854775807,\"f\":1.5,\"d\":-0.002,\"m\":" \
    "\"1.01\",\"s\":\"a text longer than twelve\",\"x\":\"AAEC\",\"day\":\"2024-02-29\","   \
    "\"t\":\"2024-05-01T12:00:00.500000Z\"}\n"
#define NULL_ROW                                                                           \
    "{\"b\":null,\"i\":null,\"l\":null,\"f\":null,\"d\":null,\"m\":null,\"s\":null,\"x\":" \
    "null,\"day\":null,\"t\":null}\n"

static const format_sample json = {
    .name = "json",
    .schema = EVERY_TYPE,
    .text =
        "{\"b\":true,\"i\":-2147483648,\"l\":9223372036854775807,\"f\":1.5,\"d\":-2e-3,\"m\":1.005,"
        "\"s\":\"a text longer than twelve\",\"x\":\"AAEC\",\"day\":\"2024-02-29\","
        "\"t\":\"2024-05-01T12:00:00.5Z\"}\n"
        "{\"b\":null,\"i\":null,\"l\":null,\"other\":[1]}\n"
        "{}\n",
    .rows = FIRST_ROW NULL_ROW NULL_ROW,
    .bad = {{"{\"b\":", "not valid JSON"},
            {"[1]", "should be a JSON object"},
            {"{\"i\":2147483648}", "field \"i\" should be integer"},
            {"{\"s\":\"\xff\"}", "not valid JSON"}},
    .misfit = "{\"t\":\"yesterday\"}",
    .inferred = "struct<b: boolean, i: bigint, l: bigint, f: double, d: double, m: double, s: "
                "string, x: string, day: string, t: string, other: array<bigint>>"};

static const format_sample csv = {
    .name = "csv",
    .schema = EVERY_TYPE,
    .text = "b,i,l,f,d,m,s,x,day,t\n"
            "true,-2147483648,9223372036854775807,1.5,-2e-3,1.005,a text longer than twelve,AAEC,"
            "2024-02-29,2024-05-01T12:00:00.5Z\n"
            ",,,,,,\"\",,,\n"
            ",,,,,,\"two\nlines, \"\"quoted\"\"\",,,\n",
    .has_header = true,
    .rows = FIRST_ROW
    "{\"b\":null,\"i\":null,\"l\":null,\"f\":null,\"d\":null,\"m\":null,\"s\":\"\",\"x\":null,"
    "\"day\":null,\"t\":null}\n"
    "{\"b\":null,\"i\":null,\"l\":null,\"f\":null,\"d\":null,\"m\":null,"
    "\"s\":\"two\\nlines, \\\"quoted\\\"\",\"x\":null,\"day\":null,\"t\":null}\n",
    .bad = {{"1,2", "the record has 2 fields, where 10 are wanted"},
            {",,,,,,\"x\"y,,,", "text follows the closing quote"},
            {",2147483648,,,,,,,,", "column \"i\" should be integer"},
            {",,,,,,\xff,,,", "not valid UTF-8"}},
    .misfit = ",,,,,,,,,yesterday",
    .inferred = "struct<b: boolean, i: bigint, l: bigint, f: double, d: double, m: double, s: "
                "string, x: string, day: date, t: timestamp>"};

static const format_sample raw = {
    .name = "raw",
    .text = "a line, as it is\n\n  {\"not\": \"parsed\"}\n",
    .rows = "{\"value\":\"a line, as it is\"}\n{\"value\":\"\"}\n{\"value\":\"  {\\\"not\\\": "
            "\\\"parsed\\\"}\"}\n",
    .bad = {{"\xff", "not valid UTF-8"}},
    .misfit = "\xff",
    .inferred = "struct<value: string>"};

static void write_parquet(rig *rig, const char *name)
{
    scan *scan = NULL;
    char sql[800];

    snprintf(sql, sizeof sql,
             "COPY (SELECT * FROM (VALUES (true, (-2147483648)::INTEGER, 9223372036854775807, "
             "1.5::FLOAT, -0.002::DOUBLE, 1.01::DECIMAL(10,2), 'a text longer than twelve', "
             "'\\x00\\x01\\x02'::BLOB, DATE '2024-02-29', TIMESTAMP '2024-05-01 12:00:00.5'), "
             "(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)) "
             "v(b, i, l, f, d, m, s, x, day, t)) TO '%s' (FORMAT parquet)",
             rig_path(rig, name));
    assert_int_equal(scan_open(&scan, &rig->err), FRESHET_OK);
    if (scan_execute(scan, sql, &rig->err) != FRESHET_OK)
        fail_msg("%s", rig->err.text);
    scan_close(scan);
}

static const format_sample parquet = {.name = "parquet",
                                      .schema = EVERY_TYPE,
                                      .write = write_parquet,
                                      .rows = FIRST_ROW NULL_ROW,
                                      .inferred = "struct<" EVERY_TYPE ">"};

int main(void)
{
    const struct CMUnitTest tests[] = {FORMAT_CONFORMANCE(json), FORMAT_CONFORMANCE(csv),
                                       FORMAT_CONFORMANCE(raw), FORMAT_CONFORMANCE(parquet)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
