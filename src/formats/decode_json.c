/* decode_json.c - messages that hold one JSON object each; the work is json.c's. */
#include "declaration/declaration.h"
#include "formats/decode_formats.h"
#include "formats/json.h"

typedef struct json_messages {
    decoder base;
    json_decoder *json;
    batch *into;
} json_messages;

static void decode_json_check(const decoder_options *options, const place *at,
                              struct problems *problems)
{
    decoder_check_schema(options, "json", at, problems);
    decoder_check_not_csv(options, problems);
}

static freshet_code decode_json_open(decoder *base, freshet_error *err)
{
    json_messages *self = (json_messages *)base;
    bool strict = base->options->strict;
    freshet_code code = json_open(base->schema, strict ? NULL : base->used, base->cast_error_null,
                                  &self->json, err);

    if (code == FRESHET_OK && strict)
        json_set_strict(self->json);
    return code;
}

static void decode_json_begin(decoder *base, batch *into)
{
    json_messages *self = (json_messages *)base;

    self->into = into;
    json_begin(self->json, into);
}

static freshet_code decode_json_decode(decoder *base, const char *bytes, size_t length,
                                       freshet_error *err)
{
    json_messages *self = (json_messages *)base;
    freshet_code code = json_decode(self->json, bytes, length, err);

    self->into->n_rows -= code == FRESHET_OK;
    return code;
}

static void decode_json_close(decoder *base)
{
    json_close(((json_messages *)base)->json);
}

const decoder_ops decode_json_ops = {.name = "json",
                                     .size = sizeof(json_messages),
                                     .check = decode_json_check,
                                     .describe = decoder_describe_schema,
                                     .open = decode_json_open,
                                     .begin = decode_json_begin,
                                     .decode = decode_json_decode,
                                     .close = decode_json_close};
