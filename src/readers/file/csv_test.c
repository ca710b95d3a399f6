/* csv_test.c - CSV: where records end, what fields hold, against DuckDB's reader for one. */
#include "formats/csv.h"

#include "readers/file/file_testing.h"

/* The length of the first record, when the bytes come in pieces of `step`. */
static size_t end_in_pieces(const char *bytes, size_t length, size_t step, char escape)
{
    const csv_dialect dialect = {.delimiter = ',', .escape = escape, .null_text = ""};
    record_progress progress = {0};
    size_t n = 0;

    for (size_t at = step; n == 0; at += step) {
        n = csv_record_end(&progress, &dialect, bytes, at < length ? at : length);
        if (at >= length)
            break;
    }
    return n;
}

static void a_record_ends_at_a_newline_outside_of_quotes(void **state)
{
    static const struct {
        const char *text;
        size_t end;
        char escape;
    } samples[] = {
        {"\"a\\\"\nb\"\nc", 8, '\\'},
        {"\"a\\\\\"\nb\"\n", 6, '\\'},
        {"\"a\\\"\nb\"\nc", 5, 0},
        {"a\\\"\nb", 4, '\\'},
        {"\"a\"\"\n\\\\\"\nb", 9, '\\'},
        {"\"a\\", 0, '\\'},
        {"a,b\nc", 4, 0},
        {"\"a\nb\",c\nd", 8, 0},
        {"\"a\"\"\n\",c\nd", 9, 0},
        {"a\"b\nc\"\n", 4, 0},
        {"a,\"\"\nb", 5, 0},
        {"\n", 1, 0},
        {"\"\n", 0, 0},
        {"a", 0, 0},
        {"\"a\"x\"\n\"\n", 6, 0},
        {"\"\"\"\"\n", 5, 0},
        {",\n", 2, 0},
        {"\"a\",\"b\n\"\n", 9, 0},
        {"a\r\nb", 3, 0},
        {" \"a\n\"", 4, 0},
        {"", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++)
        for (size_t step = 1; step < 12; step++) {
            size_t end =
                end_in_pieces(samples[i].text, strlen(samples[i].text), step, samples[i].escape);
            if (end != samples[i].end)
                print_error("sample %zu by %zu\n", i, step);
            assert_int_equal(end, samples[i].end);
        }
}

static rig *csv(const char *schema, const char *text)
{
    rig *rig = rig_make("a.csv");

    rig_write(rig, "a.csv", text);
    if (schema != NULL)
        rig_schema(rig, schema);
    return rig;
}

static void each_type_takes_its_texts(void **state)
{
    rig *rig = csv(
        "b: boolean, i: integer, l: bigint, f: float, d: double, m: decimal(5,2), s: string,"
        "x: binary, day: date, t: timestamp",
        "b,i,l,f,d,m,s,x,day,t\n"
        "TRUE,-2147483648, 9223372036854775807 ,1.5,-2e3,1.005, s "
        ",AAEC,2024-05-01,2024-05-01T12:00\n"
        "\"false\",\"1\",3.0,.5,NaN,\"-7\",\"say \"\"hi\"\", and more\",\"AA==\",\"2024-05-01\","
        "\"2024-05-01 00:00:00+01\"\n"
        ",,,,,,,,,\n"
        "true,1,1,1,Infinity,1,\"\",,2024-05-01,2024-05-01\n");

    (void)state;
    rig_read(rig);
    rig_expect(rig,
               "{\"b\":true,\"i\":-2147483648,\"l\":9223372036854775807,\"f\":1.5,\"d\":-2000.0,"
               "\"m\":\"1.01\",\"s\":\" s \",\"x\":\"AAEC\",\"day\":\"2024-05-01\","
               "\"t\":\"2024-05-01T12:00:00.000000Z\"}\n"
               "{\"b\":false,\"i\":1,\"l\":3,\"f\":0.5,\"d\":\"NaN\",\"m\":\"-7.00\","
               "\"s\":\"say \\\"hi\\\", and more\",\"x\":\"AA==\",\"day\":\"2024-05-01\","
               "\"t\":\"2024-04-30T23:00:00.000000Z\"}\n"
               "{\"b\":null,\"i\":null,\"l\":null,\"f\":null,\"d\":null,\"m\":null,\"s\":null,"
               "\"x\":null,\"day\":null,\"t\":null}\n"
               "{\"b\":true,\"i\":1,\"l\":1,\"f\":1.0,\"d\":\"Infinity\",\"m\":\"1.00\",\"s\":\"\","
               "\"x\":null,\"day\":\"2024-05-01\",\"t\":\"2024-05-01T00:00:00.000000Z\"}\n");
    rig_expect_reasons(rig, "");
    rig_free(rig);
}

static void texts_of_another_type_are_refused_or_null(void **state)
{
    static const char *const samples[][2] = {
        {"bigint", "9223372036854775808"},
        {"bigint", "1.5"},
        {"bigint", "1e3"},
        {"bigint", "x"},
        {"integer", "2147483648"},
        {"double", "1e999"},
        {"double", "1,5"},
        {"float", "1e39"},
        {"double", "nan"},
        {"double", "0x10"},
        {"boolean", "yes"},
        {"boolean", "1"},
        {"date", "01/05/2024"},
        {"timestamp", "1714564800"},
        {"decimal(3,1)", "100"},
        {"binary", "?"},
        {"bigint", "\"\""},
        {"bigint", "- 1"},
    };
    char schema[64], file[128];

    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
        rig *rig;
        snprintf(schema, sizeof(schema), "v: %s", samples[i][0]);
        snprintf(file, sizeof(file), "w;v\n;%s\n", samples[i][1]);
        rig = csv(schema, file);
        rig->options.format.csv.delimiter.value = ";";
        rig_read(rig);
        if (rig->n_rejects != 1)
            print_error("%s as %s\n", samples[i][1], samples[i][0]);
        assert_int_equal(rig->n_rejects, 1);
        assert_non_null(strstr(rig->reasons.bytes, "4 column \"v\" should be "));
        rig_forget(rig);
        rig->block.on_cast_error = ON_CAST_ERROR_NULL;
        rig_read(rig);
        rig_expect(rig, "{\"v\":null}\n");
        rig_free(rig);
    }
}

static void records_of_another_shape_are_refused(void **state)
{
    rig *rig = csv("a: string, b: string", "a,b\n1\n1,2,3\n\"x\"y,2\n\xff,1\n1,2\n");

    (void)state;
    rig_read(rig);
    rig_expect(rig, "{\"a\":\"1\",\"b\":\"2\"}\n");
    rig_expect_reasons(
        rig, "4 the record has 1 fields, where 2 are wanted; look for a delimiter or a quote in "
             "the text of a field\n"
             "6 the record has 3 fields, where 2 are wanted; look for a delimiter or a quote in "
             "the text of a field\n"
             "12 the record is not valid CSV: text follows the closing quote of a field\n"
             "19 the record is not valid UTF-8\n");
    rig_free(rig);
}

static void options_of_the_dialect(void **state)
{
    rig *rig = csv("b: string, a: bigint", "x\t\"N\tA\"\t1\nx\tNA\tNA\nx\t\t\n");

    (void)state;
    rig->options.format.csv.header = false;
    rig->options.format.csv.delimiter.value = "\\t";
    rig->options.format.csv.null_text.value = "NA";
    rig_schema(rig, "c: string, b: string, a: bigint");
    rig_read(rig);
    rig_expect(rig, "{\"c\":\"x\",\"b\":\"N\\tA\",\"a\":1}\n{\"c\":\"x\",\"b\":null,\"a\":null}\n"
                    "{\"c\":\"x\",\"b\":\"\",\"a\":null}\n");
    rig_free(rig);
}

static void columns_are_found_by_name(void **state)
{
    rig *rig = csv("n: bigint, S: string", "s,other,\"N\",S\nlow,x,1,high\n");

    (void)state;
    rig_read(rig);
    rig_expect(rig, "{\"n\":1,\"S\":\"high\"}\n");
    rig_free(rig);
}

/* Random files of quoted and plain fields: DuckDB's CSV reader finds the same. */
static void random_files_read_as_duckdb_reads_them(void **state)
{
    static const char *const pieces[] = {"a",    "bc", "\"\"", ",",        "\n",
                                         "\r\n", " ",  "12",   "\xc3\xa9", "x"};
    unsigned seed = 11;

    (void)state;
    for (int round = 0; round < 6; round++) {
        rig *rig = csv("c0: string, c1: string, c2: string", "");
        char relation[600];
        scan *scan = NULL;
        batch rows;
        rejects bad = {.arena = rig->arena};
        text_buffer text;
        scan_place where = {.reader = "r", .label = "l"};
        int64_t next = 0;
        rig_append(rig, "a.csv", "c0,c1,c2\n");
        for (int i = 0; i < 200; i++)
            for (int k = 0; k < 3; k++) {
                bool quoted = rand_r(&seed) % 2 == 0;
                rig_append(rig, "a.csv", quoted ? "\"" : "q");
                for (int n = rand_r(&seed) % 8; n > 0; n--)
                    rig_append(rig, "a.csv",
                               pieces[quoted ? rand_r(&seed) % 10 : rand_r(&seed) % 2]);
                rig_append(rig, "a.csv", quoted ? "\"" : "");
                rig_append(rig, "a.csv", k < 2 ? "," : "\n");
            }
        rig_read(rig);
        assert_int_equal(rig->n_rows, 200);
        snprintf(relation, sizeof(relation),
                 "read_csv('%s', header=true, all_varchar=true, auto_detect=false, delim=',', "
                 "quote='\"', "
                 "escape='\"', allow_quoted_nulls=false, columns={'c0':'VARCHAR','c1':'VARCHAR',"
                 "'c2':'VARCHAR'})",
                 rig->path);
        scan_options options = {
            .relation = relation, .schema = &rig->options.format.schema.value, .at = "csv"};
        assert_int_equal(scan_open(&scan, &rig->err), FRESHET_OK);
        if (scan_start(scan, &options, &rig->err) != FRESHET_OK)
            fail_msg("%s", rig->err.text);
        batch_init(&rows, rig->arena, &rig->options.format.schema.value, 256, NULL);
        while (scan_read(scan, &rows, 1000, &where, &bad, &next, &rig->err) == FRESHET_OK)
            continue;
        text_init(&text, TEXT_LIMIT_DEFAULT);
        for (uint32_t i = 0; i < rows.n_rows; i++) {
            batch_row_to_json(&rows, i, &text, NULL);
            text_append_char(&text, '\n');
        }
        rig_expect(rig, text.bytes);
        text_release(&text);
        scan_close(scan);
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_ends_at_a_newline_outside_of_quotes),
        cmocka_unit_test(each_type_takes_its_texts),
        cmocka_unit_test(texts_of_another_type_are_refused_or_null),
        cmocka_unit_test(records_of_another_shape_are_refused),
        cmocka_unit_test(options_of_the_dialect),
        cmocka_unit_test(columns_are_found_by_name),
        cmocka_unit_test(random_files_read_as_duckdb_reads_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
