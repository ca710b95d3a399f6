/* json_test.c - records to columns: every rule of json.h, and what is said of a record that
 * breaks one. */
#include "formats/format.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

/* A decoder over one struct type's fields, and its batch. */
typedef struct bench {
    arena *arena;
    schema schema;
    batch batch;
    decoder *decoder;
    freshet_error err;
    text_buffer text;
} bench;

static bench open_as(const char *type_text, const bool *used, bool cast_error_null)
{
    bench it = {.arena = arena_open()};
    const type *type = type_parse(it.arena, type_text);

    assert_non_null(type);
    it.schema = (schema){.n_fields = type->n_fields, .fields = type->fields};
    static const format_options options;
    decoder like = {.format = &format_json,
                    .options = &options,
                    .schema = &it.schema,
                    .used = used,
                    .cast_error_null = cast_error_null};
    assert_int_equal(decoder_open(&like, &it.decoder, NULL), FRESHET_OK);
    text_init(&it.text, TEXT_LIMIT_DEFAULT);
    return it;
}

static void begin(bench *it)
{
    assert_int_equal(batch_init(&it->batch, it->arena, &it->schema, 64, NULL), FRESHET_OK);
    decoder_begin(it->decoder, &it->batch);
}

static bench open_bench(const char *type_text)
{
    return open_as(type_text, NULL, false);
}

static void close_bench(bench *it)
{
    decoder_close(it->decoder);
    text_release(&it->text);
    arena_close(it->arena);
}

/* Decodes one record; gives the row as JSON, or the reason why it is refused. */
static const char *decode_bytes(bench *it, const char *record, size_t length)
{
    freshet_code code;
    /* lives as long as the batch; reading past it is found */
    char *exact = arena_alloc(it->arena, length);

    memcpy(exact, record, length);
    if (it->batch.columns == NULL || it->batch.n_rows == 64)
        begin(it);
    code = decoder_decode(it->decoder, exact, length, &it->err);
    assert_memory_equal(exact, record, length);
    text_reset(&it->text);
    if (code == FRESHET_OK) {
        batch_row_to_json(&it->batch, it->batch.n_rows++, &it->text, NULL);
        return it->text.bytes;
    }
    assert_int_equal(code, FRESHET_FAILED);
    assert_int_equal(it->err.then, FRESHET_SKIP_ROW);
    return it->err.text;
}

static const char *decode(bench *it, const char *record)
{
    return decode_bytes(it, record, strlen(record));
}

#define BAD "; declare it in schema as what it is, or say on_cast_error: null"

static void each_type_takes_its_values(void **state)
{
    bench it =
        open_bench("struct<b: boolean, i: integer, l: bigint, f: float, d: double, s: string,"
                   "x: binary, day: date, t: timestamp, m: decimal(10,2), a: array<bigint>,"
                   "o: struct<p: string, q: array<struct<r: double>>>>");

    (void)state;
    assert_string_equal(
        decode(&it, "{\"b\":true,\"i\":-2147483648,\"l\":9223372036854775807,\"f\":1.5,\"d\":-2e-3,"
                    "\"s\":\"h\\u00e9\\n\",\"x\":\"AAEC\",\"day\":\"2024-02-29\","
                    "\"t\":\"2024-05-01T12:00:00.5Z\",\"m\":1.005,\"a\":[1,null,3],"
                    "\"o\":{\"p\":\"a string longer than twelve\",\"q\":[{\"r\":1},{},null]}}"),
        "{\"b\":true,\"i\":-2147483648,\"l\":9223372036854775807,\"f\":1.5,\"d\":-0.002,"
        "\"s\":\"h\xc3\xa9\\n\",\"x\":\"AAEC\",\"day\":\"2024-02-29\","
        "\"t\":\"2024-05-01T12:00:00.500000Z\",\"m\":\"1.01\",\"a\":[1,null,3],"
        "\"o\":{\"p\":\"a string longer than twelve\",\"q\":[{\"r\":1.0},{\"r\":null},null]}}");
    assert_string_equal(decode(&it, "{}"),
                        "{\"b\":null,\"i\":null,\"l\":null,\"f\":null,\"d\":null,\"s\":null,"
                        "\"x\":null,\"day\":null,\"t\":null,\"m\":null,\"a\":null,\"o\":null}");
    assert_int_equal(it.batch.n_rows, 2);
    close_bench(&it);
}

/* A value of one column, decoded. */
typedef struct sample {
    const char *type;
    const char *value;
    const char *shown;
} sample;

static void values_within_their_type(void **state)
{
    static const sample samples[] = {
        {"bigint", "-9223372036854775808", "-9223372036854775808"},
        {"bigint", "3.0", "3"},
        {"bigint", "1e3", "1000"},
        {"bigint", "-0", "0"},
        {"bigint", "9007199254740991.0", "9007199254740991"},
        {"bigint", "-9007199254740991.0", "-9007199254740991"},
        {"bigint", "4503599627370497.0", "4503599627370497"},
        {"bigint", "45035996273704970e-1", "4503599627370497"},
        {"bigint", "9007199254740993", "9007199254740993"},
        {"integer", "2147483647", "2147483647"},
        {"double", "NaN", "\"NaN\""},
        {"double", "-Infinity", "\"-Infinity\""},
        {"float", "Infinity", "\"Infinity\""},
        {"array<double>", "[1.5,NaN,-Infinity]", "[1.5,\"NaN\",\"-Infinity\"]"},
        {"struct<x: float, m: decimal(3,1)>", "{\"x\":NaN,\"m\":1}",
         "{\"x\":\"NaN\",\"m\":\"1.0\"}"},
        {"double", "\"NaN\"", "\"NaN\""},
        {"double", "\"-Infinity\"", "\"-Infinity\""},
        {"double", "\"Infinity\"", "\"Infinity\""},
        {"double", "123456789012345678901234567890", "1.2345678901234568e+29"},
        {"double", "9007199254740993", "9007199254740992"},
        {"float", "3.4028234e38", "3.4028234663852886e+38"},
        {"float", "\"NaN\"", "\"NaN\""},
        {"decimal(38,0)", "99999999999999999999999999999999999999",
         "\"99999999999999999999999999999999999999\""},
        {"decimal(20,10)", "0.12345678905", "\"0.1234567891\""},
        {"decimal(20,10)", "\"-0.12345678905\"", "\"-0.1234567891\""},
        {"decimal(3,1)", "9.94999", "\"9.9\""},
        {"decimal(3,1)", "1.5e1", "\"15.0\""},
        {"decimal(3,1)", "0.049e0", "\"0.0\""},
        {"decimal(3,1)", "0.05", "\"0.1\""},
        {"decimal(3,1)", "1e-999999999999", "\"0.0\""},
        {"decimal(3,1)", "0e999999999999", "\"0.0\""},
        {"decimal", "2.5", "\"3\""},
        {"decimal", "-2.5", "\"-3\""},
        {"string", "true", "\"true\""},
        {"string", "1.10", "\"1.10\""},
        {"string", "123456789012345678901234567890", "\"123456789012345678901234567890\""},
        {"string", "{\"a\": [1, 2.50, null, \"x\\u0041\"]}",
         "\"{\\\"a\\\":[1,2.50,null,\\\"xA\\\"]}\""},
        {"string", "\"\"", "\"\""},
        {"string", "\"exactly12345\"", "\"exactly12345\""},
        {"string", "\"exactly123456\"", "\"exactly123456\""},
        {"binary", "\"\"", "\"\""},
        {"binary", "\"AA==\"", "\"AA==\""},
        {"binary", "\"AA\"", "\"AA==\""},
        {"binary", "\"AAA=\"", "\"AAA=\""},
        {"date", "\"2024-5-1\"", "\"2024-05-01\""},
        {"timestamp", "\"2024-05-01\"", "\"2024-05-01T00:00:00.000000Z\""},
        {"array<string>", "[]", "[]"},
        {"array<array<integer>>", "[[1],[],null,[2,3]]", "[[1],[],null,[2,3]]"},
        {"struct<x: struct<y: bigint>>", "{\"x\":{\"y\":1,\"z\":2}}", "{\"x\":{\"y\":1}}"},
    };
    char type[128], record[512], wanted[512];

    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
        bench it;
        snprintf(type, sizeof(type), "struct<v: %s>", samples[i].type);
        snprintf(record, sizeof(record), "{\"v\": %s}", samples[i].value);
        snprintf(wanted, sizeof(wanted), "{\"v\":%s}", samples[i].shown);
        it = open_bench(type);
        assert_string_equal(decode(&it, record), wanted);
        close_bench(&it);
    }
}

static void values_of_another_type_are_refused_or_null(void **state)
{
    static const sample samples[] = {
        {"bigint", "9223372036854775808", "the number 9223372036854775808"},
        {"bigint", "-9223372036854775809", "the number -9223372036854775809"},
        {"bigint", "1.5", "the number 1.5"},
        {"bigint", "1e19", "the number 1e19"},
        {"bigint", "2.50", "the number 2.50"},
        {"bigint", "1e-30", "the number 1e-30"},
        {"bigint", "4503599627370497.5", "the number 4503599627370497.5"},
        {"bigint", "4503599627370497.5e0", "the number 4503599627370497.5e0"},
        {"bigint", "1125899906842624.01", "the number 1125899906842624.01"},
        {"bigint", "NaN", "NaN"},
        {"integer", "-Infinity", "-Infinity"},
        {"boolean", "NaN", "NaN"},
        {"date", "Infinity", "Infinity"},
        {"decimal(3,1)", "NaN", "NaN"},
        {"array<bigint>", "NaN", "NaN"},
        {"bigint", "\"3\"", "the string \"3\""},
        {"bigint", "true", "the boolean true"},
        {"bigint", "[1]", "the array [1]"},
        {"bigint", "{}", "the object {}"},
        {"integer", "2147483648", "the number 2147483648"},
        {"integer", "-2147483649", "the number -2147483649"},
        {"double", "1e999", "the number 1e999"},
        {"double", "\"nan\"", "the string \"nan\""},
        {"double", "\"1.5\"", "the string \"1.5\""},
        {"double", "{\"a\": 1, \"b\": 2, \"c\": 3}",
         "the object {\"a\":1,\"b\":2,\"c\":3}"}, /* as long as "NaN" */
        {"bigint", "1.50", "the number 1.50"},
        {"double", "[1, 2, 3, 4, 5, 6, 7, 8]", "the array [1,2,3,4,5,6,7,8]"},
        {"float", "3.5e38", "the number 3.5e38"},
        {"decimal(3,1)", "100", "the number 100"},
        {"decimal(3,1)", "99.95", "the number 99.95"},
        {"decimal(3,1)", "\"x\"", "the string \"x\""},
        {"decimal(3,1)", "1e999999999999", "the number 1e999999999999"},
        {"boolean", "\"true\"", "the string \"true\""},
        {"boolean", "1", "the number 1"},
        {"date", "\"2023-02-29\"", "the string \"2023-02-29\""},
        {"timestamp", "\"yesterday\"", "the string \"yesterday\""},
        {"array<bigint>", "1", "the number 1"},
        {"struct<a: bigint>", "[1]", "the array [1]"},
        {"struct<a: bigint>",
         "\"0123456789012345678901234567890123456789012345678901234567\xc3\xa9\xc3\xa9\"",
         "the string \"0123456789012345678901234567890123456789012345678901234567\xc3\xa9...\""},
    };
    char type[128], record[512], wanted[512];

    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
        bench it;
        snprintf(type, sizeof(type), "struct<v: %s>", samples[i].type);
        snprintf(record, sizeof(record), "{\"v\": %s}", samples[i].value);
        it = open_bench(type);
        snprintf(wanted, sizeof(wanted), "field \"v\" should be %s, but is %s" BAD,
                 type_name(it.arena, it.schema.fields[0].type), samples[i].shown);
        assert_string_equal(decode(&it, record), wanted);
        assert_int_equal(it.batch.n_rows, 0);
        close_bench(&it);
        it = open_as(type, NULL, true);
        assert_string_equal(decode(&it, record), "{\"v\":null}");
        assert_string_equal(decode(&it, "{\"v\": null}"), "{\"v\":null}");
        close_bench(&it);
    }
}

/* From 2^53 on the writer's double has lost digits; whether others are read as text or not. */
static void a_large_number_with_a_point_is_no_bigint(void **state)
{
    static const char *const values[] = {"9007199254740992.0",    "9007199254740993.0",
                                         "9007199254740993e0",    "-9007199254740993.0",
                                         "900719925474099.3e1",   "9223372036854775807.0",
                                         "1152921504606846977.0", "9.223372036854775807e18"};
    static const char *const types[] = {"struct<v: bigint>", "struct<v: bigint, m: decimal(3,1)>"};
    char record[200], wanted[400];

    (void)state;
    for (size_t i = 0; i < 2 * sizeof values / sizeof *values; i++) {
        const char *value = values[i / 2];
        bench it = open_bench(types[i % 2]);
        snprintf(record, sizeof record, "{\"v\": %s, \"m\": 1}", value);
        snprintf(wanted, sizeof wanted,
                 "field \"v\" should be bigint, but is the number %s; from 2^53 on a number with a "
                 "point or an exponent may have lost digits: write it without, or declare it as "
                 "decimal(20,0) or double in schema",
                 value);
        assert_string_equal(decode(&it, record), wanted);
        snprintf(record, sizeof record, "{\"v\": 9007199254740993, \"m\": 1}");
        assert_non_null(strstr(decode(&it, record), "{\"v\":9007199254740993"));
        close_bench(&it);
    }
}

/* What is no JSON does not become a text that says so; elsewhere in the record it harms nothing. */
static void nan_is_no_text(void **state)
{
    bench it = open_bench("struct<s: string, d: double>");

    (void)state;
    assert_string_equal(decode(&it, "{\"s\":NaN}"), "field \"s\" should be string, but is NaN; NaN "
                                                    "and Infinity are of float and double");
    assert_string_equal(
        decode(&it, "{\"s\":{\"x\":[1,-Infinity]}}"),
        "field \"s\" should be string, but is the object {\"x\":[1,-Infinity]}; NaN "
        "and Infinity are of float and double");
    assert_string_equal(decode(&it, "{\"s\":[1, 2],\"d\":NaN,\"other\":[NaN]}"),
                        "{\"s\":\"[1,2]\",\"d\":\"NaN\"}");
    assert_string_equal(decode(&it, "{\"s\":NaN}"), "field \"s\" should be string, but is NaN; NaN "
                                                    "and Infinity are of float and double");
    close_bench(&it);
}

static void the_reason_names_the_path_and_a_way_out(void **state)
{
    bench it = open_bench("struct<a: array<struct<b: array<bigint>>>, t: timestamp, x: binary>");

    (void)state;
    assert_string_equal(decode(&it, "{\"a\":[{\"b\":[1]},{\"b\":[1,2,\"three\"]}]}"),
                        "field \"a[1].b[2]\" should be bigint, but is the string \"three\"" BAD);
    assert_string_equal(
        decode(&it, "{\"t\":1714564800}"),
        "field \"t\" should be timestamp, but is the number 1714564800; declare it as "
        "bigint or double in schema, and say what the number counts by "
        "feature_set.timestamp.unit");
    assert_string_equal(
        decode(&it, "{\"x\":\"*\"}"),
        "field \"x\" should be binary, but is the string \"*\"; binary columns take "
        "base64 text");
    assert_string_equal(decode(&it, "{\"a\":[{\"b\":[7]}]}"),
                        "{\"a\":[{\"b\":[7]}],\"t\":null,\"x\":null}");
    assert_int_equal(it.batch.n_rows, 1);
    close_bench(&it);
    it = open_as("struct<a: array<struct<b: array<bigint>>>>", NULL, true);
    assert_string_equal(decode(&it, "{\"a\":[{\"b\":[1]},{\"b\":[1,2,\"three\"]},4]}"),
                        "{\"a\":[{\"b\":[1]},{\"b\":[1,2,null]},null]}");
    close_bench(&it);
}

static void text_that_is_no_record_is_refused(void **state)
{
    bench it = open_bench("struct<a: bigint>");

    (void)state;
    assert_non_null(strstr(decode(&it, "{\"a\":1"), "the record is not valid JSON: "));
    assert_non_null(strstr(decode(&it, "{\"a\":1,"), "at byte 7"));
    assert_non_null(strstr(decode(&it, "{\"a\":1}x"), "not valid JSON"));
    assert_non_null(strstr(decode(&it, "{\"a\":01}"), "not valid JSON"));
    assert_non_null(strstr(decode(&it, "{\"z\":\"\xff\xfe\"}"), "not valid JSON"));
    assert_non_null(strstr(decode(&it, "{\"z\":\"\xc3\"}"), "not valid JSON"));
    assert_non_null(strstr(decode(&it, "{\"z\":\"\\ud800\"}"), "not valid JSON"));
    assert_non_null(strstr(decode_bytes(&it, "{\"a\":1\0}", 8), "not valid JSON"));
    assert_non_null(strstr(decode_bytes(&it, "{\"z\":\"a\0b\"}", 11), "not valid JSON"));
    assert_non_null(strstr(decode(&it, "{'a':1}"), "not valid JSON"));
    assert_non_null(strstr(decode(&it, "\xef\xbb\xbf{}"), "byte order mark"));
    assert_string_equal(decode(&it, "[1,2]"),
                        "the record should be a JSON object, but is the array [1,2]");
    assert_string_equal(decode(&it, "17"),
                        "the record should be a JSON object, but is the number 17");
    assert_string_equal(decode(&it, "null"), "the record should be a JSON object, but is null");
    assert_string_equal(decode(&it, "{\"a\":5}"), "{\"a\":5}");
    assert_int_equal(it.batch.n_rows, 1);
    close_bench(&it);
}

static const char *nested(bench *it, int depth, bool closed)
{
    text_buffer record;
    const char *result;

    text_init(&record, TEXT_LIMIT_DEFAULT);
    text_append_c(&record, "{\"a\":");
    for (int i = 1; i < depth; i++)
        text_append_char(&record, '[');
    for (int i = 1; i < depth && closed; i++)
        text_append_char(&record, ']');
    text_append_char(&record, '}');
    result = decode_bytes(it, record.bytes, record.length);
    text_release(&record);
    return result;
}

static void depth_has_a_limit(void **state)
{
    bench it = open_bench("struct<b: bigint>");

    (void)state;
    assert_string_equal(nested(&it, JSON_DEPTH_MAX, true), "{\"b\":null}");
    assert_non_null(strstr(nested(&it, JSON_DEPTH_MAX + 1, true), "nested deeper than 512 levels"));
    assert_non_null(strstr(nested(&it, 1000000, false), "nested deeper than 512 levels"));
    close_bench(&it);
    it =
        open_bench("struct<a: string>"); /* the text of a deep value is written without recursion */
    assert_non_null(strstr(nested(&it, JSON_DEPTH_MAX, true), "[[[["));
    close_bench(&it);
}

static void the_last_of_two_keys_counts(void **state)
{
    bench it = open_bench("struct<a: bigint, b: array<bigint>, c: struct<d: string, e: bigint>>");

    (void)state;
    assert_string_equal(decode(&it, "{\"a\":1,\"a\":null,\"b\":[1,2],\"b\":[3]}"),
                        "{\"a\":null,\"b\":[3],\"c\":null}");
    assert_string_equal(decode(&it, "{\"a\":null,\"a\":2,\"c\":null,\"c\":{\"d\":\"x\"}}"),
                        "{\"a\":2,\"b\":null,\"c\":{\"d\":\"x\",\"e\":null}}");
    assert_string_equal(
        decode(&it, "{\"c\":{\"d\":\"x\",\"e\":1},\"c\":{\"e\":2},\"b\":[1],\"b\":null}"),
        "{\"a\":null,\"b\":null,\"c\":{\"d\":null,\"e\":2}}");
    close_bench(&it);
}

static void keys_in_any_order_with_others_between(void **state)
{
    bench it =
        open_bench("struct<a: bigint, bb: bigint, a_rather_long_name_of_a_column_it_is: bigint>");

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_string_equal(
            decode(&it, "{\"a\":1,\"bb\":2,\"a_rather_long_name_of_a_column_it_is\":3}"),
            "{\"a\":1,\"bb\":2,\"a_rather_long_name_of_a_column_it_is\":3}");
        assert_string_equal(
            decode(&it, "{\"bb\":2,\"x\":{\"a\":9},\"a_rather_long_name_of_a_column_it_is\":3,"
                        "\"A\":7,\"a\":1}"),
            "{\"a\":1,\"bb\":2,\"a_rather_long_name_of_a_column_it_is\":3}");
        assert_string_equal(
            decode(&it, "{\"a\":1,\"b\":2,\"a_rather_long_name_of_a_column_it_iz\":3}"),
            "{\"a\":1,\"bb\":null,\"a_rather_long_name_of_a_column_it_is\":null}");
    }
    close_bench(&it);
}

/* Where a key stood in the last record, another of its length stands: each length, each byte. */
static void keys_of_one_length_are_told_apart(void **state)
{
    char type[64], record[80];

    (void)state;
    for (int length = 1; length <= 20; length++) {
        char name[24] = "abcdefghijklmnopqrst";
        name[length] = '\0';
        snprintf(type, sizeof type, "struct<%s: bigint>", name);
        bench it = open_bench(type);
        for (int at = 0; at < length; at++) {
            snprintf(record, sizeof record, "{\"%s\":1}", name);
            assert_non_null(strstr(decode(&it, record), ":1"));
            name[at] ^= 0x20;
            snprintf(record, sizeof record, "{\"%s\":1}", name);
            assert_non_null(strstr(decode(&it, record), ":null"));
            name[at] ^= 0x20;
        }
        close_bench(&it);
    }
}

static void unused_columns_stay_null_whatever_they_hold(void **state)
{
    static const bool used[] = {true, false, true};
    bench it = open_as("struct<a: bigint, b: bigint, c: bigint>", used, false);

    (void)state;
    assert_non_null(strstr(decode(&it, "{\"a\":1,\"b\":\"no number\",\"c\":3}"), "\"a\":1"));
    assert_non_null(strstr(it.text.bytes, "\"c\":3"));
    assert_int_equal(((int64_t *)it.batch.columns[1].data)[0], 0);
    close_bench(&it);
}

/* Random records of 200 columns, decoded in a row, are what they were written from. */
static void many_columns_and_many_rows(void **state)
{
    enum { N = 1000 };
    text_buffer type, record, wanted;
    bench it;
    unsigned seed = 7;

    (void)state;
    text_init(&type, TEXT_LIMIT_DEFAULT);
    text_init(&record, TEXT_LIMIT_DEFAULT);
    text_init(&wanted, TEXT_LIMIT_DEFAULT);
    text_append_c(&type, "struct<");
    for (int i = 0; i < N; i++)
        text_format(&type, "%scolumn_%d: bigint", i > 0 ? "," : "", i);
    text_append_char(&type, '>');
    it = open_bench(type.bytes);
    for (int row = 0; row < 40; row++) {
        bool first = true;
        text_reset(&record);
        text_reset(&wanted);
        text_append_char(&record, '{');
        text_append_char(&wanted, '{');
        for (int i = 0; i < N; i++) {
            bool there = rand_r(&seed) % 5 != 0;
            text_format(&wanted, "%s\"column_%d\":", i > 0 ? "," : "", i);
            if (there) {
                int value = rand_r(&seed);
                text_format(&record, "%s\"column_%d\":%d", first ? "" : ",", i, value);
                text_format(&wanted, "%d", value);
                first = false;
            } else {
                text_append_c(&wanted, "null");
            }
        }
        text_append_char(&record, '}');
        text_append_char(&wanted, '}');
        assert_string_equal(decode_bytes(&it, record.bytes, record.length), wanted.bytes);
    }
    close_bench(&it);
    text_release(&type);
    text_release(&record);
    text_release(&wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_takes_its_values),
        cmocka_unit_test(values_within_their_type),
        cmocka_unit_test(values_of_another_type_are_refused_or_null),
        cmocka_unit_test(a_large_number_with_a_point_is_no_bigint),
        cmocka_unit_test(nan_is_no_text),
        cmocka_unit_test(the_reason_names_the_path_and_a_way_out),
        cmocka_unit_test(text_that_is_no_record_is_refused),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(the_last_of_two_keys_counts),
        cmocka_unit_test(keys_in_any_order_with_others_between),
        cmocka_unit_test(keys_of_one_length_are_told_apart),
        cmocka_unit_test(unused_columns_stay_null_whatever_they_hold),
        cmocka_unit_test(many_columns_and_many_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
