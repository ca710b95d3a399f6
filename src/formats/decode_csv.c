/* decode_csv.c - messages that hold one CSV record each, without a header; the work is csv.c's. A line's end
 * behind the record is not part of it. */
#include <string.h>

#include "base/error.h"
#include "declaration/declaration.h"
#include "formats/csv.h"
#include "formats/decode_formats.h"

typedef struct csv_messages {
    decoder base;
    csv_decoder *csv;
    batch *into;
} csv_messages;

static csv_dialect dialect_of(const decoder_options *options)
{
    const char *delimiter = options->delimiter.value;
    csv_dialect dialect = {.delimiter = ',', .null_text = ""};

    if (delimiter != NULL)
        dialect.delimiter = strcmp(delimiter, "\\t") == 0 ? '\t' : delimiter[0];
    if (options->null_text.value != NULL)
        dialect.null_text = options->null_text.value;
    return dialect;
}

static void decode_csv_check(const decoder_options *options, const place *at,
                             struct problems *problems)
{
    const char *delimiter = options->delimiter.value;

    decoder_check_schema(options, "csv", at, problems);
    if (delimiter != NULL && strcmp(delimiter, "\\t") != 0 &&
        (strlen(delimiter) != 1 || strchr("\"\r\n", delimiter[0]) != NULL ||
         (unsigned char)delimiter[0] >= 0x80))
        problem_add(problems, &options->delimiter.at,
                    "delimiter \"%s\": it must be one ASCII character, and no quote or line break",
                    delimiter);
    if (options->strict)
        problem_add(problems, at,
                    "\"strict\" is of format: json; a CSV record must always have "
                    "as many fields as the schema");
}

static freshet_code decode_csv_describe(const decoder_options *options, const char *name,
                                        arena *arena, schema *out, freshet_error *err)
{
    csv_dialect dialect = dialect_of(options);
    csv_decoder *csv = NULL;
    freshet_code code = decoder_describe_schema(options, name, arena, out, err);

    if (code == FRESHET_OK) /* says which types CSV cannot hold */
        code = csv_open(out, NULL, false, &dialect, &csv, err);
    csv_close(csv);
    return code;
}

static freshet_code decode_csv_open(decoder *base, freshet_error *err)
{
    csv_messages *self = (csv_messages *)base;
    csv_dialect dialect = dialect_of(base->options);
    freshet_code code =
        csv_open(base->schema, base->used, base->cast_error_null, &dialect, &self->csv, err);

    if (code == FRESHET_OK)
        csv_no_header(self->csv);
    return code;
}

static void decode_csv_begin(decoder *base, batch *into)
{
    csv_messages *self = (csv_messages *)base;

    self->into = into;
    csv_begin(self->csv, into);
}

static freshet_code decode_csv_decode(decoder *base, const char *bytes, size_t length,
                                      freshet_error *err)
{
    csv_messages *self = (csv_messages *)base;
    freshet_code code;

    if (length > 0 && bytes[length - 1] == '\n')
        length--;
    if (length > 0 && bytes[length - 1] == '\r')
        length--;
    csv_progress progress = {0};
    if (csv_record_end(&progress, dialect_of(base->options).delimiter, bytes, length) != 0)
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                         "The message holds more than one CSV record; write one record a message.");
    code = csv_decode(self->csv, bytes, length, err);
    self->into->n_rows -= code == FRESHET_OK;
    return code;
}

static void decode_csv_close(decoder *base)
{
    csv_close(((csv_messages *)base)->csv);
}

const decoder_ops decode_csv_ops = {.name = "csv",
                                    .size = sizeof(csv_messages),
                                    .check = decode_csv_check,
                                    .describe = decode_csv_describe,
                                    .open = decode_csv_open,
                                    .begin = decode_csv_begin,
                                    .decode = decode_csv_decode,
                                    .close = decode_csv_close};
