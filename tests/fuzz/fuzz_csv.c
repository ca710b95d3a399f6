/* fuzz_csv.c - any bytes as a CSV file, by a schema of all types.
 *
 * The first byte chooses whether there is an escape, and the size of the pieces in which the
 * records' ends are looked for: they must be the same as in one piece. Every record is decoded
 * strictly and leniently, as in fuzz_json.c.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "formats/format.h"

#define ROWS 64u

static const char types[] =
    "struct<b: boolean, i: integer, l: bigint, f: float, d: double, s: string,"
    "x: binary, y: date, t: timestamp, m: decimal(12,3)>";

static void check(bool holds)
{
    if (!holds)
        abort();
}

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
    return false;
}

/* The end of the first record, in pieces of `step`. */
static size_t end_in_pieces(const csv_dialect *dialect, const char *bytes, size_t length,
                            size_t step)
{
    record_progress progress = {0};

    for (size_t at = step; at < length; at += step) {
        size_t n = csv_record_end(&progress, dialect, bytes, at);
        if (n > 0)
            return n;
    }
    return csv_record_end(&progress, dialect, bytes, length);
}

static void ignore_sentence(void *context, const char *sentence)
{
    (void)context;
    check(text_is_utf8(sentence, strlen(sentence)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const format_options both[] = {
        {.csv = {.header = true, .null_text.value = "NA"}},
        {.csv = {.header = true, .null_text.value = "NA", .escape.value = "\\"}}};
    const format_options options = both[size > 0 && data[0] >= 128];
    const csv_dialect own = csv_dialect_of(&options.csv), *dialect = &own;
    arena *arena = arena_open();
    const type *type = type_parse(arena, types);
    schema schema = {.n_fields = type->n_fields, .fields = type->fields};
    decoder *strict, *lenient, *headed;
    batch rows, loose;
    text_buffer text, other;
    infer *infer;
    size_t step = size == 0 ? 1 : 1 + data[0] % 16;

    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_init(&other, TEXT_LIMIT_DEFAULT);
    decoder like = {.format = &format_csv, .options = &options, .schema = &schema};
    check(decoder_open(&like, &strict, NULL) == FRESHET_OK);
    check(decoder_open(&like, &headed, NULL) == FRESHET_OK);
    like.cast_error_null = true;
    check(decoder_open(&like, &lenient, NULL) == FRESHET_OK);
    check(infer_open(&infer, NULL) == FRESHET_OK);
    check(batch_init(&rows, arena, &schema, ROWS, NULL) == FRESHET_OK);
    check(batch_init(&loose, arena, &schema, ROWS, NULL) == FRESHET_OK);
    decoder_begin(strict, &rows);
    decoder_begin(lenient, &loose);
    for (size_t at = 1, n = 0; at < size && n < ROWS; n++) {
        size_t left = size - at;
        char *record = malloc(left);
        record_progress progress = {0};
        size_t length;
        bool taken;
        memcpy(record, data + at, left);
        length = csv_record_end(&progress, dialect, record, left);
        check(length == end_in_pieces(dialect, record, left, step));
        at += length == 0 ? left : length;
        length = length == 0 ? left : length - 1;
        taken = decode(strict, &rows, record, length, &text);
        check(decode(lenient, &loose, record, length, &other) || !taken);
        check(!taken || strcmp(text.bytes, other.bytes) == 0);
        if (infer_csv(infer, &options, record, length, n == 0, "fuzz", NULL) != FRESHET_OK)
            format_csv.header(headed, record, length, "fuzz", NULL);
        free(record);
    }
    infer_oddities(infer, &options, ignore_sentence, NULL);
    infer_schema(infer, arena, "fuzz", &schema, NULL);
    infer_close(infer);
    decoder_close(strict);
    decoder_close(headed);
    decoder_close(lenient);
    text_release(&text);
    text_release(&other);
    arena_close(arena);
    return 0;
}
