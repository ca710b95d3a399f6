/* fuzz_json.c - any bytes as JSON records, by a schema of all types.
 *
 * The input's lines are the records. Each is decoded thrice: strictly, with nulls for what does not
 * fit, and strictly by the tree alone (json_plain.c is not tried). What is taken strictly is taken
 * the same leniently, and by the tree, what is refused gives the same reason as by the tree, the
 * record itself is not touched, and every row can be written as JSON.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "formats/json_internal.h"

#define ROWS 64u

static const char types[] =
    "struct<b: boolean, i: integer, l: bigint, f: float, d: double, s: string, x: binary, y: date,"
    "t: timestamp, m: decimal(12,3), al: array<bigint>, as: array<string>, am: "
    "array<array<decimal>>,"
    "o: struct<p: string, l: bigint, q: array<struct<r: double, t: timestamp>>>>";

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Decodes the record; the row as JSON in `text`, or false, and the reason in it. */
static bool decode(decoder *decoder, batch *batch, const char *record, size_t length,
                   text_buffer *text)
{
    freshet_error err = {0};
    uint32_t before = batch->n_rows;

    text_reset(text);
    if (decoder_decode(decoder, record, length, &err) == FRESHET_OK) {
        check(batch->n_rows++ == before);
        check(batch_row_to_json(batch, before, text, NULL) == FRESHET_OK);
        check(text_is_utf8(text->bytes, text->length));
        return true;
    }
    check(batch->n_rows == before);
    check(err.then == FRESHET_SKIP_ROW && err.text[0] != '\0' &&
          text_is_utf8(err.text, strlen(err.text)));
    text_append_c(text, err.text);
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena *arena = arena_open();
    const type *type = type_parse(arena, types);
    schema schema = {.n_fields = type->n_fields, .fields = type->fields};
    decoder *strict, *lenient, *tree;
    static const format_options options;
    batch rows, loose, same;
    text_buffer text, other;
    infer *infer;

    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_init(&other, TEXT_LIMIT_DEFAULT);
    decoder like = {.format = &format_json, .options = &options, .schema = &schema};
    check(decoder_open(&like, &strict, NULL) == FRESHET_OK);
    check(decoder_open(&like, &tree, NULL) == FRESHET_OK);
    ((json_decoder *)tree)->tries_plain = false;
    like.cast_error_null = true;
    check(decoder_open(&like, &lenient, NULL) == FRESHET_OK);
    check(infer_open(&infer, NULL) == FRESHET_OK);
    check(batch_init(&rows, arena, &schema, ROWS, NULL) == FRESHET_OK);
    check(batch_init(&loose, arena, &schema, ROWS, NULL) == FRESHET_OK);
    check(batch_init(&same, arena, &schema, ROWS, NULL) == FRESHET_OK);
    decoder_begin(tree, &same);
    decoder_begin(strict, &rows);
    decoder_begin(lenient, &loose);
    for (size_t at = 0, n = 0; at < size && n < ROWS; n++) {
        const uint8_t *newline = memchr(data + at, '\n', size - at);
        size_t length = newline == NULL ? size - at : (size_t)(newline - data) - at;
        char *record = arena_alloc(arena, length); /* as long as the rows */
        bool taken;
        memcpy(record, data + at, length);
        ((json_decoder *)strict)->pause = 0;
        taken = decode(strict, &rows, record, length, &text);
        check(decode(tree, &same, record, length, &other) == taken);
        check(strcmp(text.bytes, other.bytes) == 0);
        check(decode(lenient, &loose, record, length, &other) || !taken);
        check(!taken || strcmp(text.bytes, other.bytes) == 0);
        check(infer_json(infer, &options, record, length, false, "fuzz", NULL) == FRESHET_OK);
        check(memcmp(record, data + at, length) == 0);
        at += length + 1;
    }
    infer_schema(infer, arena, "fuzz", &schema, NULL);
    infer_close(infer);
    decoder_close(strict);
    decoder_close(tree);
    decoder_close(lenient);
    text_release(&text);
    text_release(&other);
    arena_close(arena);
    return 0;
}
