/* raw.c - see raw.h. */
#include "base/error.h"
#include "base/text.h"
#include "formats/cell.h"
#include "formats/format.h"

static void raw_check(const format_options *options, struct problems *problems)
{
    const declared_type *type = &options->raw.type;

    if (type->value != NULL && type->value->kind != TYPE_STRING && type->value->kind != TYPE_BINARY)
        problem_add(problems, &type->at,
                    "\"type\" must be string or binary: cast it to what it is in the query");
}

static freshet_code raw_describe(const format_options *options, const char *name, arena *arena,
                                 schema *out, freshet_error *err)
{
    field *only = arena_zero(arena, 1, sizeof(*only));

    if (only == NULL)
        return error_memory(err, "describing records");
    only->name = name;
    only->type =
        options->raw.type.value == NULL ? type_simple(TYPE_STRING) : options->raw.type.value;
    *out = (schema){.n_fields = 1, .fields = only};
    return FRESHET_OK;
}

static freshet_code raw_decode(decoder *decoder, const char *bytes, size_t length,
                               freshet_error *err)
{
    batch *into = decoder->into;
    column *column = &into->columns[0];

    if (decoder->used != NULL && !decoder->used[0])
        return FRESHET_OK;
    if (column->type->kind == TYPE_STRING && !text_is_utf8(bytes, length)) {
        if (!decoder->cast_error_null)
            return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                             "the %s is not valid UTF-8; say type: binary, or "
                             "on_cast_error: null",
                             decoder->of_messages ? "message" : "line");
        if (!column_set_null(into->arena, column, into->n_rows))
            return error_memory(err, "decoding a record");
        return FRESHET_OK;
    }
    cell_set_valid(column, into->n_rows);
    cell_put_text(column, into->n_rows, bytes, length);
    return FRESHET_OK;
}

static const format_option raw_own[] = {{"type", offsetof(format_options, raw.type.at)}, {0}};

const format format_raw = {.name = "raw",
                           .one_column = true,
                           .size = sizeof(decoder),
                           .check = raw_check,
                           .own = raw_own,
                           .describe = raw_describe,
                           .decode = raw_decode};
