/* infer_test.c - schemas from records. */
#include "formats/infer.h"

#include "readers/file/file_testing.h"

/* The schema inferred from a file of these contents, as the text of a struct type. */
static const char *inferred(rig *rig, const char *name, const char *text)
{
    snprintf(rig->path, sizeof(rig->path), "%s/%s", rig->folder, name);
    rig_write(rig, name, text);
    if (rig_describe(rig) != FRESHET_OK) {
        rig_close(rig);
        return rig->err.text;
    }
    const schema *found = &rig->reader->schema;
    const char *type =
        type_name(rig->arena, type_struct(rig->arena, found->fields, found->n_fields));
    rig_close(rig);
    return type;
}

static void json_types(void **state)
{
    rig *rig = rig_make("");

    (void)state;
    assert_string_equal(
        inferred(
            rig, "a.jsonl",
            "{\"b\":true,\"i\":1,\"d\":1.0,\"s\":\"x\",\"n\":null,\"a\":[1,2.5],\"o\":{\"p\":1},"
            "\"m\":1}\n"
            "not json\n[1]\n\n"
            "{\"i\":-9223372036854775808,\"d\":1,\"n\":null,\"a\":[],\"o\":{\"q\":[{\"r\":false}]},"
            "\"m\":\"x\",\"late\":1e3,\"t\":\"2024-05-01T12:00:00Z\"}\n"),
        "struct<b: boolean, i: bigint, d: double, s: string, n: string, a: array<double>, "
        "o: struct<p: bigint, q: array<struct<r: boolean>>>, m: string, late: double, t: string>");
    assert_string_equal(
        inferred(rig, "a.jsonl",
                 "{\"a\":[[1],[\"x\"]],\"b\":[1,{}],\"c\":{},\"d\":[],\"e\":9223372036854775808}"),
        "struct<a: array<array<string>>, b: array<string>, c: string, d: array<string>, "
        "e: decimal(20,0)>");
    rig_free(rig);
}

static void what_sql_cannot_name_is_said(void **state)
{
    rig *rig = rig_make("");

    (void)state;
    assert_string_equal(inferred(rig, "a.jsonl", "{\"id\":1,\"x\":{\"ID\":1}}\n"),
                        "struct<id: bigint, x: struct<ID: bigint>>");
    assert_string_equal(
        inferred(rig, "a.jsonl", "{\"id\":1,\"ID\":2}\n"),
        "the fields \"id\" and \"ID\" are one name in SQL; declare schema with the one to "
        "read");
    assert_string_equal(
        inferred(rig, "a.jsonl", "{\"x\":[{\"id\":1,\"ID\":2}]}\n"),
        "the fields \"id\" and \"ID\" are one name in SQL; declare schema with the one to "
        "read");
    assert_string_equal(inferred(rig, "a.jsonl", "{\"\":1}\n"),
                        "a field has an empty name; declare schema with the fields to read");
    assert_non_null(strstr(inferred(rig, "a.jsonl", "nothing\n"),
                           "a.jsonl is a JSON object, to infer the columns from: it begins with "
                           "\"nothing\"; mend it, or declare schema"));
    rig_free(rig);
}

static void deep_values_are_strings(void **state)
{
    rig *rig = rig_make("");
    char open[41], close[41], line[128];
    const char *type;

    (void)state;
    memset(open, '[', 40);
    memset(close, ']', 40);
    open[40] = close[40] = '\0';
    snprintf(line, sizeof(line), "{\"a\":%s%s}\n", open, close);
    type = inferred(rig, "a.jsonl", line);
    assert_non_null(strstr(type, "array<array<string"));
    rig_write(rig, "a.jsonl", line); /* and it can be read */
    rig_read(rig);
    assert_int_equal(rig->n_rows, 1);
    rig_free(rig);
}

static void csv_types(void **state)
{
    rig *rig = rig_make("");

    (void)state;
    assert_string_equal(
        inferred(rig, "a.csv",
                 "b,i,d,day,t,s,zip,e,\"a \"\"name\"\"\",z\n"
                 "true,1,1,2024-05-01,2024-05-01 12:00:00,x,01234,,1.,0\n"
                 "False,-2,2.5,2024-05-02,2024-05-01,1,99999,,2,0.5\n"
                 ",,,,,,,,,\n"),
        "struct<b: boolean, i: bigint, d: double, day: date, t: timestamp, s: string, zip: string, "
        "e: string, a \"name\": double, z: double>");
    rig->options.format.csv.header = false;
    assert_string_equal(inferred(rig, "a.csv", "1,x\n2,y"),
                        "struct<column0: bigint, column1: string>");
    rig->options.format.csv.null_text.value = "NA";
    assert_string_equal(inferred(rig, "a.csv", "1,NA\nNA,2"),
                        "struct<column0: bigint, column1: bigint>");
    rig->options.format.csv.header = true;
    assert_string_equal(inferred(rig, "a.csv", "only,a,header\n"),
                        "struct<only: string, a: string, header: string>");
    rig_free(rig);
}

/* Several files: types of all; a header is not taken for a record. */
static void several_files_are_looked_at(void **state)
{
    rig *rig = rig_make("");

    (void)state;
    rig_write(rig, "a.csv", "n,m\n1,1\n");
    rig_write(rig, "b.csv", "n,m\n2.5,2\n");
    rig_write(rig, "c.csv", "");
    assert_int_equal(rig_describe(rig), FRESHET_OK);
    assert_int_equal(rig->reader->schema.fields[0].type->kind, TYPE_DOUBLE);
    assert_int_equal(rig->reader->schema.fields[1].type->kind, TYPE_BIGINT);
    rig_free(rig);
}

/* Names are found again by a hash table where they are many, in any order. */
static void many_names(void **state)
{
    rig *rig = rig_make("a.jsonl");

    (void)state;
    rig_write(rig, "a.jsonl", "");
    for (int i = 0; i < 300; i++) {
        char line[100];
        snprintf(line, sizeof line, "{\"f%d\":1,\"f%d\":%s}\n", i * 7 % 300, (i * 11 + 5) % 300,
                 (i * 11 + 5) % 300 == 17 ? "0.5" : "1");
        rig_append(rig, "a.jsonl", line);
    }
    assert_int_equal(rig_describe(rig), FRESHET_OK);
    assert_int_equal(rig->reader->schema.n_fields, 300);
    for (uint32_t i = 0; i < 300; i++)
        assert_int_equal(rig->reader->schema.fields[i].type->kind,
                         strcmp(rig->reader->schema.fields[i].name, "f17") == 0 ? TYPE_DOUBLE
                                                                                : TYPE_BIGINT);
    rig_free(rig);
}

static void a_stream_looks_at_the_first_records_a_batch_at_all(void **state)
{
    rig *rig = rig_make("a.jsonl");

    (void)state;
    rig_write(rig, "a.jsonl", "");
    for (int i = 0; i < INFER_RECORDS_MAX; i++)
        rig_append(rig, "a.jsonl",
                   i == INFER_RECORDS_MAX - 1 ? "{\"a\":1,\"b\":1}\n" : "{\"a\":1}\n");
    rig_append(rig, "a.jsonl", "{\"a\":\"text\"}\n");
    for (int stream = 0; stream < 2; stream++) {
        rig->block.stream = stream == 1;
        assert_int_equal(rig_describe(rig), FRESHET_OK);
        assert_int_equal(rig->reader->schema.n_fields, 2);
        assert_int_equal(rig->reader->schema.fields[0].type->kind,
                         stream == 1 ? TYPE_BIGINT : TYPE_STRING);
        rig_close(rig);
    }
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_types),
        cmocka_unit_test(what_sql_cannot_name_is_said),
        cmocka_unit_test(deep_values_are_strings),
        cmocka_unit_test(csv_types),
        cmocka_unit_test(several_files_are_looked_at),
        cmocka_unit_test(many_names),
        cmocka_unit_test(a_stream_looks_at_the_first_records_a_batch_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
