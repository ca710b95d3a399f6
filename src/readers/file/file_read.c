/* file_read.c - poll: records of the file at the head of the queue into the batch.
 *
 * file_turn() is one file's turn: it is opened, recognised, and its reading set up where it was left;
 * then its records are decoded one by one until it ends or the batch is full. Whatever fails before
 * the batch has a row is the poll's error; with rows in it the batch goes out first, and the same
 * thing fails again at the next poll.
 */
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "formats/cell.h"
#include "readers/file/file_internal.h"

#define ROWS_FIRST 2048u

typedef struct polling {
    file_reader *reader;
    batch *into;
    rejects *rejects;
    uint32_t first_row; /* of this poll */
    uint32_t first_reject;
    uint32_t max_rows;
    size_t max_bytes;
    size_t bytes;      /* of records so far */
    uint32_t capacity; /* rows that columns and origins have room for */
    freshet_error *err;
} polling;

static const char *id_of(const file_reader *reader)
{
    return reader->base.block->id.value;
}

static bool file_is_full(const polling *polling)
{
    uint32_t rows = polling->into->n_rows - polling->first_row;
    uint32_t bad = polling->rejects->n - polling->first_reject;

    return rows + bad >= polling->max_rows || polling->bytes >= polling->max_bytes;
}

static bool has_given(const polling *polling)
{
    return polling->into->n_rows > polling->first_row ||
           polling->rejects->n > polling->first_reject;
}

/* Room for one more row. */
static freshet_code reserve(polling *polling)
{
    batch *into = polling->into;
    uint32_t capacity = polling->capacity;

    if (into->n_rows < capacity)
        return FRESHET_OK;
    capacity = capacity < ROWS_FIRST / 2 ? ROWS_FIRST : capacity * 2;
    if (polling->max_rows < BATCH_ROWS_MAX && capacity > polling->first_row + polling->max_rows)
        capacity = polling->first_row + polling->max_rows;
    if (capacity <= into->n_rows)
        capacity = into->n_rows + 1;
    freshet_code code = batch_reserve(into, capacity, "reading files", polling->err);
    if (code == FRESHET_OK)
        polling->capacity = capacity;
    return code;
}

/* ---- records --------------------------------------------------------------------------------- */

static freshet_code add_reject(polling *polling, uint32_t index, const record *record,
                               const char *reason)
{
    reject bad = {.reader = id_of(polling->reader),
                  .partition = track_file(polling->reader->track, index)->path,
                  .offset = record->offset,
                  .raw = record->bytes,
                  .raw_length = record->length};

    bad.partition = arena_text(polling->rejects->arena, bad.partition);
    if (bad.partition == NULL || !rejects_add(polling->rejects, &bad, "%s", reason))
        return error_memory(polling->err, "noting a bad record");
    return FRESHET_OK;
}

/* Blank lines are no records. In CSV blanks may be fields. */
static bool file_is_blank(const record *record, file_format format)
{
    if (format == FORMAT_CSV)
        return record->length == 0;
    for (size_t i = 0; i < record->length; i++)
        if (record->bytes[i] != ' ' && record->bytes[i] != '\t' && record->bytes[i] != '\r')
            return false;
    return true;
}

static freshet_code file_decode(file_reader *reader, const record *record, freshet_error *err)
{
    if (reader->format == FORMAT_JSON)
        return json_decode(reader->json, record->bytes, record->length, err);
    return csv_decode(reader->csv, record->bytes, record->length, err);
}

static freshet_code reject_state(polling *polling, uint32_t index, const record *record)
{
    char reason[256];

    if (record->state == RECORD_OPEN_QUOTE)
        return add_reject(polling, index, record,
                          "The record has a quoted field that is not closed; reading goes on with "
                          "the next line.");
    snprintf(reason, sizeof(reason),
             "The record has %lld bytes, more than max_record_bytes (%lld); only its beginning is "
             "kept here.",
             (long long)record->size,
             (long long)((const file_options *)polling->reader->base.options)->max_record_bytes);
    return add_reject(polling, index, record, reason);
}

/* One record into the batch, or to the rejects. With `lenient` a bad record is FRESHET_END and
 * nothing else. */
static freshet_code take_record(polling *polling, uint32_t index, const record *record,
                                bool lenient)
{
    batch *into = polling->into;
    freshet_error problem;
    freshet_code code;

    if (record->state != RECORD_WHOLE)
        return lenient ? FRESHET_END : reject_state(polling, index, record);
    if (file_is_blank(record, polling->reader->format))
        return FRESHET_OK;
    code = reserve(polling);
    if (code != FRESHET_OK)
        return code;
    code = file_decode(polling->reader, record, &problem);
    if (code == FRESHET_OK) {
        into->origins[into->n_rows - 1] = (origin){.raw = record->bytes,
                                                   .raw_length = (uint32_t)record->length,
                                                   .partition = index,
                                                   .offset = record->offset,
                                                   .length = (uint32_t)record->size};
        return FRESHET_OK;
    }
    if (problem.then == FRESHET_SKIP_ROW)
        return lenient ? FRESHET_END : add_reject(polling, index, record, problem.text);
    if (polling->err != NULL)
        *polling->err = problem;
    return code;
}

/* ---- a file's turn --------------------------------------------------------------------------- */

/* READ_ALL: the last record, which has no newline. In a stream one that is not whole is left
 * where it is. */
static freshet_code take_last(polling *polling, uint32_t index, tracked_file *file)
{
    file_reader *reader = polling->reader;
    bool lenient = reader->base.block->stream;
    freshet_code code = FRESHET_OK;
    record tail;

    if (lines_is_cut(reader->lines)) {
        if (!lenient)
            return error_set(polling->err, FRESHET_FAILED, FRESHET_STOP, file->path,
                             "The gzip file stops in the middle; it is not complete.");
        log_say(LOG_WARNING, id_of(reader),
                "%s stops in the middle of its gzip stream; the rest "
                "is read when it is there.",
                file->path);
        return FRESHET_OK;
    }
    while (code == FRESHET_OK && !file_is_full(polling) && lines_tail(reader->lines, &tail)) {
        code = take_record(polling, index, &tail, lenient);
        if (code == FRESHET_END) {
            log_say(LOG_WARNING, id_of(reader),
                    "%s: the last line, at byte %lld, is not complete; it is left for later.",
                    file->path, (long long)tail.offset);
            return FRESHET_OK;
        }
        if (code == FRESHET_OK) {
            lines_take_tail(reader->lines, &tail);
            polling->bytes += tail.length;
            file->offset = lines_offset(reader->lines);
            file->moved = true;
        }
        if (tail.state == RECORD_OPEN_QUOTE)
            return code; /* the lines behind its first are looked at anew */
    }
    return code;
}

/* READ_ALL: what was there at open has been read; what has come since is not part of it. */
static bool is_past_open(const file_reader *reader, const tracked_file *file)
{
    return reader->base.mode == READ_ALL && !file->is_gzip && file->offset >= file->open_size;
}

/* Decodes records until the file ends (FRESHET_END) or the batch is full (FRESHET_OK). */
static freshet_code read_records(polling *polling, uint32_t index, tracked_file *file)
{
    file_reader *reader = polling->reader;

    while (!file_is_full(polling)) {
        record record;
        freshet_code code;
        if (is_past_open(reader, file))
            return FRESHET_END;
        code = lines_next(reader->lines, &record, polling->err);
        if (code == FRESHET_OK)
            code = take_record(polling, index, &record, false);
        if (code != FRESHET_OK)
            return code;
        polling->bytes += record.length + 1;
        file->offset = record.offset + record.size;
        file->moved = true;
    }
    return FRESHET_OK;
}

/* The header of a CSV file, which is its first record. FRESHET_END: it is not there yet. */
static freshet_code read_header(polling *polling, uint32_t index, tracked_file *file)
{
    file_reader *reader = polling->reader;
    freshet_code code;
    record header;

    code = lines_start(reader->lines, file->fd, file->path, file->is_gzip, 0, polling->err);
    reader->lines_of = FILE_NONE;
    if (code == FRESHET_OK)
        code = lines_next(reader->lines, &header, polling->err);
    if (code == FRESHET_END && reader->base.mode == READ_ALL && !reader->base.block->stream &&
        lines_tail(reader->lines, &header)) {
        lines_take_tail(reader->lines, &header);
        code = FRESHET_OK;
    }
    if (code != FRESHET_OK)
        return code;
    if (header.state != RECORD_WHOLE)
        return error_set(polling->err, FRESHET_FAILED, FRESHET_STOP, file->path,
                         "The header does not end: a quote is not closed, or it is longer than "
                         "max_record_bytes.");
    code = csv_header(reader->csv, header.bytes, header.length, file->path, polling->err);
    if (code != FRESHET_OK)
        return code;
    reader->header_of = index;
    if (file->offset < lines_offset(reader->lines))
        file->offset = lines_offset(reader->lines);
    if (file->offset == lines_offset(reader->lines))
        reader->lines_of = index;
    return FRESHET_OK;
}

/* Gets `lines` to the file's next record. FRESHET_END: there is nothing to read yet. */
static freshet_code set_up_lines(polling *polling, uint32_t index, tracked_file *file)
{
    file_reader *reader = polling->reader;
    const file_options *options = reader->base.options;
    freshet_code code = FRESHET_OK;

    if (file->size == 0)
        return FRESHET_END;
    if (reader->format == FORMAT_CSV && options->header && reader->header_of != index)
        code = read_header(polling, index, file);
    if (code != FRESHET_OK)
        return code;
    if (reader->lines_of == index && lines_offset(reader->lines) == file->offset) {
        lines_rename(reader->lines, file->path);
        return FRESHET_OK;
    }
    reader->lines_of = FILE_NONE;
    code =
        lines_start(reader->lines, file->fd, file->path, file->is_gzip, file->offset, polling->err);
    if (code == FRESHET_OK)
        reader->lines_of = index;
    return code;
}

static freshet_code read_text(polling *polling, uint32_t index, tracked_file *file)
{
    freshet_code code = set_up_lines(polling, index, file);

    if (code == FRESHET_OK)
        code = read_records(polling, index, file);
    if (code != FRESHET_END)
        return code;
    if (polling->reader->base.mode != READ_ALL || polling->reader->lines_of != index)
        return FRESHET_END;
    while (!is_past_open(polling->reader,
                         file)) { /* a tail that was several lines is read anew behind the first */
        int64_t before = file->offset;
        code = take_last(polling, index, file);
        if (code != FRESHET_OK || file_is_full(polling))
            return code;
        if (file->offset == before)
            return FRESHET_END;
        code = read_records(polling, index, file);
        if (code != FRESHET_END)
            return code;
    }
    return FRESHET_END;
}

static freshet_code read_parquet(polling *polling, uint32_t index, tracked_file *file)
{
    file_reader *reader = polling->reader;
    scan_place where = {.reader = id_of(reader), .label = file->path, .partition = index};
    freshet_code code = FRESHET_OK;

    if (reader->scan_of != index) {
        arena *scratch = arena_open();
        scan_options options = {
            .relation = scratch == NULL ? NULL : scan_parquet(scratch, file->path, true),
            .row_number = "file_row_number",
            .first = file->offset,
            .schema = &reader->base.schema,
            .used = reader->base.used,
            .cast_error_null = reader->base.block->on_cast_error == ON_CAST_ERROR_NULL,
            .at = file->path};
        scan_stop(reader->scan);
        reader->scan_of = FILE_NONE;
        code = options.relation == NULL ? error_memory(polling->err, "reading a Parquet file")
                                        : scan_start(reader->scan, &options, polling->err);
        arena_close(scratch);
        if (code == FRESHET_OK)
            reader->scan_of = index;
    }
    while (code == FRESHET_OK && !file_is_full(polling)) {
        uint32_t given = polling->into->n_rows - polling->first_row + polling->rejects->n -
                         polling->first_reject;
        uint32_t before = polling->into->n_rows;
        code = scan_read(reader->scan, polling->into, polling->max_rows - given, &where,
                         polling->rejects, &file->offset, polling->err);
        polling->bytes += (size_t)(polling->into->n_rows - before) * 64;
        file->moved = true;
    }
    if (code == FRESHET_END)
        scan_stop(reader->scan);
    if (code != FRESHET_OK)
        reader->scan_of = FILE_NONE;
    return code;
}

/* The file was read to its end. */
static void set_finished(file_reader *reader, uint32_t index, tracked_file *file)
{
    file->finished = reader->base.mode == READ_ALL;
    file->read_size = file->size;
    file->read_modified_ns = file->modified_ns;
    if (file->retry_us != 0) {
        file->retry_us = 0;
        reader->n_retry -= reader->n_retry > 0;
        log_say(LOG_INFO, id_of(reader), "%s can be read.", file->path);
    }
    file_queue_take(reader);
    if (file->finished || reader->format == FORMAT_PARQUET)
        file_descriptor_close(reader, index);
}

static freshet_code open_file(polling *polling, uint32_t index, tracked_file *file)
{
    file_reader *reader = polling->reader;
    freshet_code code = file_descriptor(reader, index, polling->err);
    bool replaced = false;

    if (code == FRESHET_OK)
        code = track_check(file, reader->format != FORMAT_PARQUET, &replaced, polling->err);
    if (code != FRESHET_OK || !replaced)
        return code;
    log_say(LOG_WARNING, id_of(reader),
            "%s was cut or written anew; it is read again from its beginning.", file->path);
    if (reader->lines_of == index)
        reader->lines_of = FILE_NONE;
    if (reader->header_of == index)
        reader->header_of = FILE_NONE;
    file->is_gzip = file_is_gzip(reader, file->fd);
    return FRESHET_OK;
}

/* Reads the file at the head of the queue. FRESHET_END: to its end. */
static freshet_code file_turn(polling *polling, uint32_t index)
{
    tracked_file *file = track_file(polling->reader->track, index);
    freshet_code code;

    if (file->fd >= 0 && polling->reader->scan_of == index)
        return read_parquet(polling, index, file);
    code = open_file(polling, index, file);
    if (code != FRESHET_OK)
        return code;
    if (polling->reader->format == FORMAT_PARQUET)
        return read_parquet(polling, index, file);
    return read_text(polling, index, file);
}

/* Columns that are not used become null in the rows of this poll. */
static freshet_code file_null_unused(polling *polling)
{
    const bool *used = polling->reader->base.used;
    batch *into = polling->into;

    for (uint32_t i = 0; used != NULL && i < into->schema.n_fields; i++)
        if (!used[i] && !cell_set_nulls(into->arena, &into->columns[i], polling->first_row,
                                        into->n_rows - polling->first_row))
            return error_memory(polling->err, "reading files");
    return FRESHET_OK;
}

static freshet_code read_queue(polling *polling)
{
    file_reader *reader = polling->reader;

    while (!file_is_full(polling)) {
        uint32_t index = file_queue_head(reader);
        freshet_error problem = {0};
        freshet_error *err = polling->err;
        freshet_code code;
        if (index == FILE_NONE)
            return FRESHET_END;
        polling->err = &problem;
        code = file_turn(polling, index);
        polling->err = err;
        if (code == FRESHET_END) {
            set_finished(reader, index, track_file(reader->track, index));
        } else if (code != FRESHET_OK) {
            if (reader->lines_of == index && problem.then != FRESHET_RETRY)
                reader->lines_of = FILE_NONE;
            if (has_given(polling))
                return FRESHET_OK; /* it fails again at the next poll */
            if (reader->base.mode == READ_FOLLOW && code != FRESHET_NO_MEMORY &&
                problem.then != FRESHET_RETRY) {
                file_set_aside(reader, index, &problem);
                continue;
            }
            if (err != NULL)
                *err = problem;
            return code;
        }
    }
    return FRESHET_OK;
}

freshet_code file_poll(freshet_reader *base, batch *into, uint32_t max_rows, size_t max_bytes,
                       rejects *rejects, bool *more, freshet_error *err)
{
    file_reader *reader = (file_reader *)base;
    polling polling = {.reader = reader,
                       .into = into,
                       .rejects = rejects,
                       .first_row = into->n_rows,
                       .first_reject = rejects->n,
                       .max_rows = max_rows,
                       .max_bytes = max_bytes,
                       .err = err};
    freshet_code code = FRESHET_OK;

    *more = false;
    if (reader->lines != NULL)
        lines_begin(reader->lines);
    if (reader->json != NULL)
        json_begin(reader->json, into);
    if (reader->csv != NULL)
        csv_begin(reader->csv, into);
    if (base->mode == READ_FOLLOW)
        code = file_discover_news(reader, err);
    if (code != FRESHET_OK)
        return code;
    code = read_queue(&polling);
    *more = code == FRESHET_OK || (code == FRESHET_END && file_watch_has_kept(reader->watch));
    if (code == FRESHET_OK || code == FRESHET_END) {
        freshet_code nulls = file_null_unused(&polling);
        if (nulls != FRESHET_OK)
            return nulls;
    }
    if (code != FRESHET_END)
        return code;
    return base->mode == READ_ALL ? FRESHET_END : FRESHET_OK;
}
