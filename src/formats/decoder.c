/* decoder.c - which formats of messages there are, and their one option table. */
#include "formats/decoder.h"

#include <stdlib.h>

#include "base/error.h"
#include "declaration/declaration.h"
#include "formats/decode_formats.h"

/* In the order of format_names. */
static const decoder_ops *const formats[] = {&decode_json_ops, &decode_raw_ops, &decode_csv_ops};
static const char *const format_names[] = {"json", "raw", "csv", NULL};

static const option options_table[] = {
    {.name = "format",
     .kind = OPTION_CHOICE,
     .offset = offsetof(decoder_options, format),
     .standard = "json",
     .choices = format_names,
     .doc = "`json`: one object a message, its fields by name. `raw`: the bytes as they are, one "
            "column. `csv`: one record a message, without a header."},
    {.name = "schema",
     .kind = OPTION_SCHEMA,
     .offset = offsetof(decoder_options, schema),
     .doc = "JSON and CSV: the columns and their types. A JSON field that is missing is null, and "
            "those that are not in it are ignored; CSV fields are the columns, in order.",
     .example = "{id: bigint, amount: double, at: timestamp}"},
    {.name = "strict",
     .kind = OPTION_BOOLEAN,
     .offset = offsetof(decoder_options, strict),
     .standard = "false",
     .doc = "JSON: a message that lacks a field of `schema`, or has one that is not in it, goes to "
            "the dead letters."},
    {.name = "type",
     .kind = OPTION_TYPE,
     .offset = offsetof(decoder_options, type),
     .doc = "Raw: `string`, by default, which must be UTF-8; or `binary`.",
     .example = "binary"},
    {.name = "delimiter",
     .kind = OPTION_TEXT,
     .offset = offsetof(decoder_options, delimiter),
     .doc = "CSV: the one character between fields, a comma by default; `\\t` is a tab.",
     .example = "\";\""},
    {.name = "null_text",
     .kind = OPTION_TEXT,
     .offset = offsetof(decoder_options, null_text),
     .doc = "CSV: an unquoted field with this text is null. By default the empty one.",
     .example = "NA"},
    {0},
};

static void decoder_check_options(void *checked, const place *at, struct problems *problems)
{
    const decoder_options *options = checked;

    decoder_of(options)->check(options, at, problems);
}

const block_kind decoder_block = {
    .name = "value",
    .title = "Format of messages",
    .doc = "How the bytes of a message's value, or of its key, become columns.",
    .options = options_table,
    .size = sizeof(decoder_options),
    .check = decoder_check_options};

const decoder_ops *decoder_of(const decoder_options *options)
{
    return formats[options->format];
}

bool decoder_has_fields(const decoder_options *options)
{
    return decoder_of(options) != &decode_raw_ops;
}

freshet_code decoder_describe_schema(const decoder_options *options, const char *name, arena *arena,
                                     schema *out, freshet_error *err)
{
    (void)name;
    (void)arena;
    (void)err;
    *out = options->schema.value;
    return FRESHET_OK;
}

void decoder_check_not_csv(const decoder_options *options, struct problems *problems)
{
    if (options->delimiter.value != NULL)
        problem_add(problems, &options->delimiter.at, "\"delimiter\" is of format: csv");
    if (options->null_text.value != NULL)
        problem_add(problems, &options->null_text.at, "\"null_text\" is of format: csv");
}

void decoder_check_schema(const decoder_options *options, const char *format, const place *at,
                          struct problems *problems)
{
    if (options->schema.value.n_fields == 0 && options->schema.at.line == 0 &&
        options->schema.at.path == NULL)
        problem_add(problems, at,
                    "\"schema\" is missing: messages in %s need it, as in {format: %s, schema: "
                    "{id: bigint}}",
                    format, format);
    if (options->type.value != NULL)
        problem_add(problems, &options->type.at,
                    "\"type\" is of format: raw; the types of %s stand in schema", format);
}

freshet_code decoder_open(const decoder_options *options, const schema *schema, const bool *used,
                          bool cast_error_null, decoder **out, freshet_error *err)
{
    const decoder_ops *ops = decoder_of(options);
    decoder *made = calloc(1, ops->size);
    freshet_code code;

    if (made == NULL)
        return error_memory(err, "making a decoder");
    *made = (decoder){.ops = ops,
                      .options = options,
                      .schema = schema,
                      .used = used,
                      .cast_error_null = cast_error_null};
    code = ops->open(made, err);
    if (code == FRESHET_OK)
        *out = made;
    else
        decoder_close(made);
    return code;
}

void decoder_close(decoder *decoder)
{
    if (decoder == NULL)
        return;
    decoder->ops->close(decoder);
    free(decoder);
}
