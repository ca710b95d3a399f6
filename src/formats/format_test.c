/* format_test.c - messages in each format into columns, and what is wrong with a declared
 * format. */
#include "formats/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "declaration/declaration.h"

typedef struct bench {
    arena *arena;
    format_options options;
    schema schema;
    batch batch;
    decoder *decoder;
    const bool *used;
    bool nulls;
    freshet_error err;
    text_buffer text;
} bench;

enum { JSON, CSV, RAW };

static bench *make(int format, const char *fields)
{
    bench *it = calloc(1, sizeof *it);
    assert_non_null(it);
    it->arena = arena_open();
    it->options.choice = format;
    text_init(&it->text, TEXT_LIMIT_DEFAULT);
    if (fields != NULL) {
        const type *type = type_parse(it->arena, arena_format(it->arena, "struct<%s>", fields));
        assert_non_null(type);
        it->options.schema.value = (schema){type->n_fields, type->fields};
    }
    return it;
}

static void start(bench *it)
{
    decoder like = {.format = format_of_message(it->options.choice),
                    .options = &it->options,
                    .schema = &it->schema,
                    .used = it->used,
                    .cast_error_null = it->nulls,
                    .of_messages = true};
    assert_int_equal(
        format_describe(like.format, &it->options, "value", it->arena, &it->schema, &it->err),
        FRESHET_OK);
    assert_int_equal(decoder_open(&like, &it->decoder, &it->err), FRESHET_OK);
    assert_int_equal(batch_init(&it->batch, it->arena, &it->schema, 16, NULL), FRESHET_OK);
    decoder_begin(it->decoder, &it->batch);
}

static void finish(bench *it)
{
    decoder_close(it->decoder);
    arena_close(it->arena);
    text_release(&it->text);
    free(it);
}

/* The message's row as JSON, or why it is bad. */
static void expect_bytes(bench *it, const char *bytes, size_t length, const char *expected)
{
    const uint32_t row = it->batch.n_rows;
    freshet_code code = decoder_decode(it->decoder, bytes, length, &it->err);
    assert_int_equal(it->batch.n_rows, row); /* the caller counts */
    if (code != FRESHET_OK) {
        assert_int_equal(it->err.then, FRESHET_SKIP_ROW);
        assert_string_equal(it->err.text, expected);
        return;
    }
    it->batch.n_rows++;
    text_reset(&it->text);
    assert_int_equal(batch_row_to_json(&it->batch, row, &it->text, NULL), FRESHET_OK);
    assert_string_equal(it->text.bytes, expected);
}

static void expect(bench *it, const char *message, const char *expected)
{
    expect_bytes(it, message, strlen(message), expected);
}

static void json_takes_fields_by_name(void **state)
{
    (void)state;
    bench *it = make(JSON, "id: bigint, name: string");
    start(it);
    expect(it, "{\"name\":\"a name that is long\",\"id\":1}",
           "{\"id\":1,\"name\":\"a name that is long\"}");
    expect(it, "{\"other\":true}", "{\"id\":null,\"name\":null}");
    expect(
        it, "{\"id\":true}",
        "field \"id\" should be bigint, but is the boolean true; declare it in schema as what it "
        "is, or say on_cast_error: null");
    expect(it, "{\"id\":2}", "{\"id\":2,\"name\":null}");
    finish(it);
}

static void strict_json_wants_all_fields_and_no_others(void **state)
{
    (void)state;
    bench *it = make(JSON, "id: bigint, at: struct<x: integer, y: integer>, tags: "
                           "array<struct<k: string>>");
    static const bool used[] = {true, false, true};
    it->options.json.strict = true;
    it->used = used; /* what is not used is looked at all the same */
    start(it);
    expect(it, "{\"tags\":null,\"id\":1,\"at\":{\"y\":2,\"x\":1}}",
           "{\"id\":1,\"at\":{\"x\":1,\"y\":2},\"tags\":null}");
    expect(
        it, "{\"id\":1,\"tags\":[]}",
        "field \"at\" is missing, and strict: true wants the fields of the schema and no others");
    expect(
        it, "{\"id\":1,\"tags\":[],\"at\":null,\"b\":2}",
        "field \"b\" is not in the schema, and strict: true wants the fields of the schema and no "
        "others");
    expect(it, "{\"id\":1,\"tags\":[],\"at\":{\"x\":1}}",
           "field \"at.y\" is missing, and strict: true wants the fields of the schema and no "
           "others");
    expect(
        it, "{\"id\":1,\"tags\":[{\"k\":\"a\"},{\"k\":\"b\",\"l\":1}],\"at\":null}",
        "field \"tags[1].l\" is not in the schema, and strict: true wants the fields of the schema "
        "and no others");
    finish(it);
}

static void nulls_do_not_mend_strictness(void **state)
{
    (void)state;
    bench *it = make(JSON, "id: bigint");
    it->options.json.strict = true;
    it->nulls = true;
    start(it);
    expect(it, "{\"id\":\"x\"}", "{\"id\":null}");
    expect(
        it, "{}",
        "field \"id\" is missing, and strict: true wants the fields of the schema and no others");
    finish(it);
}

static void raw_is_one_column(void **state)
{
    (void)state;
    bench *it = make(RAW, NULL);
    start(it);
    expect(it, "any text, as it is", "{\"value\":\"any text, as it is\"}");
    expect(it, "", "{\"value\":\"\"}");
    expect(it, "\xff", "the message is not valid UTF-8; say type: binary, or on_cast_error: null");
    finish(it);
    it = make(RAW, NULL);
    it->nulls = true;
    start(it);
    expect(it, "\xff", "{\"value\":null}");
    expect(it, "x", "{\"value\":\"x\"}");
    finish(it);
    it = make(RAW, NULL);
    it->options.raw.type.value = type_simple(TYPE_BINARY);
    start(it);
    expect_bytes(it, "\xff\0", 2, "{\"value\":\"/wA=\"}");
    finish(it);
}

static void csv_fields_are_the_columns(void **state)
{
    (void)state;
    bench *it = make(CSV, "id: bigint, name: string, amount: double");
    it->options.csv.delimiter.value = ";";
    it->options.csv.null_text.value = "NA";
    start(it);
    expect(it, "1;\"a;b\";2.5\r\n", "{\"id\":1,\"name\":\"a;b\",\"amount\":2.5}");
    expect(it, "NA;NA;", "{\"id\":null,\"name\":null,\"amount\":null}");
    expect(it, "1;x",
           "the record has 2 fields, where 3 are wanted; look for a delimiter or a quote in the "
           "text of a field");
    expect(it, "1;a;1\n2;b;2",
           "the message holds more than one CSV record; write one record a message");
    expect(it, "2;\"two\nlines\";3\n", "{\"id\":2,\"name\":\"two\\nlines\",\"amount\":3.0}");
    finish(it);
    it = make(CSV, "id: array<bigint>");
    assert_int_equal(
        format_describe(&format_csv, &it->options, "value", it->arena, &it->schema, &it->err),
        FRESHET_BAD_DECLARATION);
    finish(it);
}

/* ---- what is declared ---------------------------------------------------------------------- */

static void note(void *context, const freshet_error *problem)
{
    const char *line = problem->at[0] == ':' ? problem->at + 1 : "";
    text_format(context, "%.*s%s%s\n", (int)strcspn(line, ":"), line, line[0] == '\0' ? "" : " ",
                problem->text);
}

static void expect_problems(bench *it, const char *expected)
{
    const place at = {.path = "value"};
    problems *problems = problems_open(it->arena);
    format_message_block.check(&it->options, &at, problems);
    text_reset(&it->text);
    problems_report(problems, note, &it->text, NULL);
    assert_string_equal(it->text.length == 0 ? "" : it->text.bytes, expected);
    finish(it);
}

static void options_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    expect_problems(make(JSON, NULL),
                    "\"schema\" is missing: messages in json need it, as in {format: json, schema: "
                    "{id: bigint}}\n");
    expect_problems(make(JSON, "id: bigint"), "");
    bench *it = make(JSON, "id: bigint");
    it->options.raw.type = (declared_type){type_simple(TYPE_STRING), {.line = 4}};
    it->options.csv.delimiter = (declared_text){";", {.line = 2}};
    it->options.csv.null_text = (declared_text){"NA", {.line = 3}};
    it->options.csv.header_at.line = 1; /* also where it says what is so anyway */
    expect_problems(it, "1 \"header\" is of format: csv; remove it, or say format: csv\n"
                        "2 \"delimiter\" is of format: csv; remove it, or say format: csv\n"
                        "3 \"null_text\" is of format: csv; remove it, or say format: csv\n"
                        "4 \"type\" is of format: raw; remove it, or say format: raw\n");
    it = make(RAW, "id: bigint");
    it->options.raw.type.value = type_simple(TYPE_BIGINT);
    it->options.json.strict_at.line = 5;
    expect_problems(
        it, "\"schema\" is of formats with fields, such as json and csv; format: raw has one "
            "column, and \"type\" says of which type\n"
            "\"type\" must be string or binary: cast it to what it is in the query\n"
            "5 \"strict\" is of format: json; remove it, or say format: json\n");
    it = make(CSV, "id: bigint");
    it->options.csv.delimiter.value = "ab";
    expect_problems(
        it, "\"delimiter\" cannot be \"ab\": it must be one ASCII character, and no quote or line "
            "break\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_takes_fields_by_name),
        cmocka_unit_test(strict_json_wants_all_fields_and_no_others),
        cmocka_unit_test(nulls_do_not_mend_strictness),
        cmocka_unit_test(raw_is_one_column),
        cmocka_unit_test(csv_fields_are_the_columns),
        cmocka_unit_test(options_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
