/* file_input.c - see file_input.h. Records are cut from the bytes by file_lines.h, which asks
 * input_read for more: whatever is there now, so that no poll waits for whoever writes. The
 * descriptor is shared with others, and left as it is (no O_NONBLOCK): poll(2) says whether read(2)
 * would wait.
 */
#include "readers/file/file_input.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "readers/file/file.h"
#include "readers/file/file_lines.h"
#include "readers/polling.h"

#define ROWS_FIRST 64u
#define READING "reading standard input"

typedef struct file_input {
    struct freshet_reader base;
    char at[232]; /* the place of the path in the declaration, for errors */
    const format *format;
    lines *lines;
    decoder *decoder;
    bool is_started;
    bool has_begun; /* a byte was read */
    bool is_at_end;
    bool is_gzip;
} file_input;

/* ---- describe -------------------------------------------------------------------------------- */

static bool is_input(const reader_block *block)
{
    const file_options *options = block->kind.options;

    return block->kind.kind == &file_reader_ops.block && options->path.value != NULL &&
           strcmp(options->path.value, FILE_INPUT_PATH) == 0;
}

/* Why it cannot be read like that, and the way out; NULL where it can. */
static const char *input_objection(const file_input *input)
{
    const file_options *options = input->base.options;
    const declaration *declaration = input->base.declaration;
    const reader_block *blocks = declaration->source.readers.items;

    if (input->format == NULL)
        return "standard input has no name that would show its format; say format: json, csv or "
               "raw";
    if (input->format->start != NULL)
        return "a file of this format is read at any place of it, which standard input does not "
               "allow; write it to a file, and name that";
    if (options->compression == COMPRESSION_GZIP)
        return "standard input is read as it is; unpack it before: `zcat x.jsonl.gz | freshet run "
               "...`";
    for (uint32_t i = 0; i < declaration->source.readers.n; i++)
        if (blocks[i].kind.options != options && is_input(&blocks[i]))
            return "two readers cannot share standard input, where each byte is read once; name a "
                   "file for one of them";
    if (options->format.schema.value.n_fields == 0 && !input->format->one_column)
        return "standard input cannot be looked at before the run, to infer its columns; say "
               "schema: {name: type, ...}";
    return NULL;
}

static freshet_code input_describe(freshet_reader *base, freshet_error *err)
{
    file_input *input = (file_input *)base;
    const file_options *options = base->options;
    freshet_error problem = {0};

    input->format = format_of_file(options->format.choice);
    polling_place(&options->path, FILE_INPUT_LABEL, input->at, sizeof(input->at));
    const char *objection = input_objection(input);
    if (objection != NULL)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, input->at, "%s", objection);
    freshet_code code = format_describe(input->format, &options->format, "value", base->arena,
                                        &base->schema, &problem);
    if (code != FRESHET_OK)
        return error_set(err, code, problem.then, input->at, "%s", problem.text);
    if (base->block->stream && base->problems != NULL)
        problem_warn(base->problems, &options->path.at,
                     "standard input cannot be read again: what was read since the last checkpoint "
                     "of a run that was killed is missing in the next one, whatever the writers "
                     "keep, unless it is written into that one again (`deduplicate` drops what "
                     "comes twice); read a file or a topic to have each row exactly once");
    return FRESHET_OK;
}

/* ---- open ------------------------------------------------------------------------------------ */

static bool shows_gzip(const unsigned char *bytes, ssize_t n)
{
    return n >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

/* For lines_options.read: what is there now, and 0 where that is nothing. */
static ssize_t input_read(void *context, void *into, size_t size)
{
    file_input *input = context;
    const file_options *options = input->base.options;
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};

    if (input->is_at_end || os.poll(&fd, 1, 0) <= 0 || fd.revents == 0)
        return 0;
    const ssize_t n = os.read(STDIN_FILENO, into, size);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    input->is_at_end = n == 0;
    input->is_gzip =
        !input->has_begun && options->compression == COMPRESSION_AUTO && shows_gzip(into, n);
    input->has_begun = input->has_begun || n > 0;
    if (!input->is_gzip)
        return n;
    errno = EILSEQ;
    return -1;
}

static freshet_code input_open_decoder(file_input *input, freshet_error *err)
{
    const file_options *options = input->base.options;
    const decoder like = {.format = input->format,
                          .options = &options->format,
                          .schema = &input->base.schema,
                          .used = input->base.used,
                          .cast_error_null =
                              input->base.block->on_cast_error == ON_CAST_ERROR_NULL};

    return input->decoder != NULL ? FRESHET_OK : decoder_open(&like, &input->decoder, err);
}

static freshet_code input_open(freshet_reader *base, const reader_positions *from,
                               freshet_error *err)
{
    file_input *input = (file_input *)base;
    const file_options *options = base->options;
    const lines_options how = {.format = input->format,
                               .options = &options->format,
                               .record_bytes_max = options->max_record_bytes,
                               .read = input_read,
                               .context = input};

    (void)from; /* was of other input */
    base->only = (reader_position){.name = FILE_INPUT_PATH, .label = FILE_INPUT_LABEL};
    freshet_code code = input_open_decoder(input, err);
    if (code == FRESHET_OK && input->lines == NULL)
        code = lines_open(&how, &input->lines, err);
    return code;
}

/* ---- poll ------------------------------------------------------------------------------------ */

/* The next record. FRESHET_END: there is none now, or, where input->is_at_end, none any more. */
static freshet_code input_next(file_input *input, record *out, freshet_error *err)
{
    freshet_code code = FRESHET_OK;

    if (!input->is_started)
        code = lines_start(input->lines, STDIN_FILENO, FILE_INPUT_LABEL, false, 0, err);
    input->is_started = input->is_started || code == FRESHET_OK;
    if (code == FRESHET_OK)
        code = lines_next(input->lines, out, err);
    if (code == FRESHET_END && input->is_at_end && lines_tail(input->lines, out)) {
        lines_take_tail(input->lines, out);
        code = FRESHET_OK;
    }
    if (code == FRESHET_OK || code == FRESHET_END)
        return code;
    return input->is_gzip
               ? error_set(err, FRESHET_FAILED, FRESHET_STOP, FILE_INPUT_LABEL,
                           "it is gzip; unpack it before: `zcat x.jsonl.gz | freshet run ...`")
               : code;
}

/* The header, which is the first record. */
static freshet_code input_header(file_input *input, freshet_error *err)
{
    record header;
    freshet_code code = input_next(input, &header, err);

    if (code != FRESHET_OK)
        return code;
    if (header.state != RECORD_WHOLE)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, FILE_INPUT_LABEL,
                         "the header does not end: a quote is not closed, or it is longer than "
                         "max_record_bytes");
    code =
        input->format->header(input->decoder, header.bytes, header.length, FILE_INPUT_LABEL, err);
    const text_buffer *missing = &input->decoder->missing;
    if (code == FRESHET_OK && missing->length > 0)
        log_event(STDIN_LACKS_COLUMNS, input->base.block->id.value,
                  strchr(missing->bytes, ',') == NULL ? "" : "s", missing->bytes,
                  missing->failed ? ", ..." : "");
    input->decoder->wants_header = code != FRESHET_OK;
    return code;
}

static freshet_code input_decode(const file_input *input, const record *record, batch *into,
                                 reason_code *refused, freshet_error *err)
{
    const file_options *options = input->base.options;

    *refused = record->state == RECORD_OPEN_QUOTE ? REASON_BAD_RECORD : REASON_TOO_LARGE;
    if (record->state == RECORD_OPEN_QUOTE)
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                         "the record has a quoted field that is not closed; reading goes on with "
                         "the next line");
    if (record->state == RECORD_TOO_LONG)
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                         "the record has %lld bytes, more than max_record_bytes (%lld); only its "
                         "beginning is kept here",
                         (long long)record->size, (long long)options->max_record_bytes);
    freshet_code code = decoder_decode(input->decoder, record->bytes, record->length, err);
    *refused = input->decoder->refused;
    into->origins[into->n_rows] = (origin){.raw = record->bytes,
                                           .raw_length = (uint32_t)record->length,
                                           .offset = record->offset,
                                           .length = (uint32_t)record->size};
    return code;
}

/* One record into the batch, or to the rejects. */
static freshet_code input_take(polling *polling, const record *record)
{
    const file_input *input = (const file_input *)polling->reader;
    freshet_error problem = {0};
    reason_code refused;

    if (record->state == RECORD_WHOLE && input->format->is_blank != NULL &&
        input->format->is_blank(record->bytes, record->length))
        return FRESHET_OK;
    freshet_code code = polling_reserve(polling, ROWS_FIRST);
    if (code != FRESHET_OK)
        return code;
    code = input_decode(input, record, polling->into, &refused, &problem);
    if (code == FRESHET_OK) {
        polling->into->n_rows++;
        return FRESHET_OK;
    }
    const reject bad = {.partition = FILE_INPUT_LABEL,
                        .offset = record->offset,
                        .raw = record->bytes,
                        .raw_length = record->length};
    if (problem.then == FRESHET_SKIP_ROW)
        return polling_refuse(polling, &bad, refused, "", problem.text);
    if (polling->err != NULL)
        *polling->err = problem;
    return code;
}

static freshet_code input_records(polling *polling)
{
    file_input *input = (file_input *)polling->reader;
    freshet_code code = FRESHET_OK;

    if (input->decoder->wants_header)
        code = input_header(input, polling->err);
    while (code == FRESHET_OK && polling_left(polling) > 0) {
        record record;
        code = input_next(input, &record, polling->err);
        if (code == FRESHET_OK)
            code = input_take(polling, &record);
        if (code != FRESHET_OK)
            break;
        polling->bytes += record.length + 1;
        input->base.only.offset = record.offset + record.size;
        input->base.moved = true;
    }
    return code;
}

static freshet_code input_poll(freshet_reader *base, batch *into, uint32_t max_rows,
                               size_t max_bytes, rejects *rejects, bool *more, freshet_error *err)
{
    file_input *input = (file_input *)base;
    polling polling = polling_begin(base, into, max_rows, max_bytes, rejects, READING, err);

    lines_begin(input->lines);
    decoder_begin(input->decoder, into);
    freshet_code code = input_records(&polling);
    const bool ends = code == FRESHET_END && input->is_at_end;
    *more = code == FRESHET_OK;
    if (code != FRESHET_OK && code != FRESHET_END && !polling_has_given(&polling))
        return code; /* else it fails again at the next poll */
    code = polling_end(&polling);
    return code == FRESHET_OK && ends ? FRESHET_END : code;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int input_wake_fd(freshet_reader *base)
{
    (void)base;
    return STDIN_FILENO;
}

static freshet_code input_replay(freshet_reader *base, const reader_record *record, batch *into,
                                 reason_code *refused, freshet_error *err)
{
    file_input *input = (file_input *)base;
    freshet_code code = input_open_decoder(input, err);

    *refused = REASON_BAD_RECORD;
    if (code != FRESHET_OK)
        return code;
    if (input->decoder->wants_header)
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, FILE_INPUT_LABEL,
                         "the record can only be read with the header of its input, which has "
                         "gone; write header and mended records into a new run");
    if (input->decoder->into != into)
        decoder_begin(input->decoder, into);
    code = decoder_decode(input->decoder, record->raw, record->raw_length, err);
    *refused = input->decoder->refused;
    return code;
}

static void input_close(freshet_reader *base)
{
    file_input *input = (file_input *)base;

    lines_close(input->lines);
    decoder_close(input->decoder);
    input->lines = NULL;
    input->decoder = NULL;
    input->is_started = false;
}

const reader_ops file_input_ops = {
    .block = {.name = "file"}, /* its options are those of files */
    .size = sizeof(file_input),
    .describe = input_describe,
    .open = input_open,
    .poll = input_poll,
    .wake_fd = input_wake_fd,
    .positions = polling_only_positions,
    .partition_label = polling_only_label,
    .replay = input_replay,
    .close = input_close,
};
