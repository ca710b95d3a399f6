/* decode_raw.c - messages as they are: one column, string or binary, that points into the message. */
#include "base/error.h"
#include "base/text.h"
#include "declaration/declaration.h"
#include "formats/cell.h"
#include "formats/decode_formats.h"

typedef struct raw_messages {
    decoder base;
    batch *into;
} raw_messages;

static void decode_raw_check(const decoder_options *options, const place *at,
                             struct problems *problems)
{
    if (options->schema.value.n_fields > 0)
        problem_add(problems, &options->schema.at,
                    "\"schema\" is of the formats json and csv; format: raw has one column, and "
                    "\"type\" says whether it is string or binary");
    if (options->type.value != NULL && options->type.value->kind != TYPE_STRING &&
        options->type.value->kind != TYPE_BINARY)
        problem_add(problems, &options->type.at,
                    "\"type\" must be string or binary: cast it to what it is in the query");
    if (options->strict)
        problem_add(problems, at, "\"strict\" is of format: json");
    decoder_check_not_csv(options, problems);
}

static freshet_code decode_raw_describe(const decoder_options *options, const char *name,
                                        arena *arena, schema *out, freshet_error *err)
{
    field *only = arena_zero(arena, 1, sizeof(*only));

    if (only == NULL)
        return error_memory(err, "describing messages");
    only->name = name;
    only->type = options->type.value == NULL ? type_simple(TYPE_STRING) : options->type.value;
    *out = (schema){.n_fields = 1, .fields = only};
    return FRESHET_OK;
}

static freshet_code decode_raw_open(decoder *base, freshet_error *err)
{
    (void)base;
    (void)err;
    return FRESHET_OK;
}

static void decode_raw_begin(decoder *base, batch *into)
{
    ((raw_messages *)base)->into = into;
}

static freshet_code decode_raw_decode(decoder *base, const char *bytes, size_t length,
                                      freshet_error *err)
{
    batch *into = ((raw_messages *)base)->into;
    column *column = &into->columns[0];

    if (base->used != NULL && !base->used[0])
        return FRESHET_OK;
    if (column->type->kind == TYPE_STRING && !text_is_utf8(bytes, length)) {
        if (!base->cast_error_null)
            return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                             "The message is not valid UTF-8; say type: binary, or "
                             "on_cast_error: null.");
        if (!column_set_null(into->arena, column, into->n_rows))
            return error_memory(err, "decoding a message");
        return FRESHET_OK;
    }
    cell_set_valid(column, into->n_rows);
    ((cell_text *)column->data)[into->n_rows] = text_of(bytes, (uint32_t)length);
    return FRESHET_OK;
}

static void decode_raw_close(decoder *base)
{
    (void)base;
}

const decoder_ops decode_raw_ops = {.name = "raw",
                                    .size = sizeof(raw_messages),
                                    .check = decode_raw_check,
                                    .describe = decode_raw_describe,
                                    .open = decode_raw_open,
                                    .begin = decode_raw_begin,
                                    .decode = decode_raw_decode,
                                    .close = decode_raw_close};
