/* file_read.c - poll: records of the file at the head of the queue into the batch.
 *
 * file_turn() is one file's turn: it is opened, recognised, and its reading set up where it was
 * left; then its records are decoded one by one until it ends or the batch is full. Whatever fails
 * before the batch has a row is the poll's error; with rows in it the batch goes out first, and the
 * same thing fails again at the next poll.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "readers/file/file_internal.h"
#include "readers/polling.h"

#define ROWS_FIRST 64u

static file_reader *reader_of(const polling *polling)
{
    return (file_reader *)polling->reader;
}

/* ---- records --------------------------------------------------------------------------------- */

static freshet_code add_reject(polling *polling, uint32_t index, const record *record,
                               reason_code code, const char *reason)
{
    reject bad = {.partition = track_file(reader_of(polling)->track, index)->path,
                  .offset = record->offset,
                  .raw = record->bytes,
                  .raw_length = record->length};

    return polling_refuse(polling, &bad, code, "", reason);
}

/* Why a record is bad that is not whole. */
static freshet_code refuse_state(const file_reader *reader, const record *record,
                                 reason_code *refused, freshet_error *err)
{
    const file_options *options = reader->base.options;

    *refused = record->state == RECORD_OPEN_QUOTE ? REASON_BAD_RECORD : REASON_TOO_LARGE;
    if (record->state == RECORD_OPEN_QUOTE)
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                         "the record has a quoted field that is not closed; reading goes on with "
                         "the next line");
    return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                     "the record has %lld bytes, more than max_record_bytes (%lld); only its "
                     "beginning is kept here",
                     (long long)record->size, (long long)options->max_record_bytes);
}

/* One record as row into->n_rows, where the decoder writes, and its origin. */
static inline freshet_code decode_record(const file_reader *reader, decoder *decoder, batch *into,
                                         uint32_t index, const record *record, reason_code *refused,
                                         freshet_error *err)
{
    freshet_code code;

    if (record->state != RECORD_WHOLE)
        return refuse_state(reader, record, refused, err);
    code = decoder_decode(decoder, record->bytes, record->length, err);
    if (code == FRESHET_OK && reader->hive != NULL)
        code = file_hive_put(reader, reader->hive, decoder, err);
    if (code == FRESHET_OK)
        into->origins[into->n_rows] = (origin){.raw = record->bytes,
                                               .raw_length = (uint32_t)record->length,
                                               .partition = index,
                                               .offset = record->offset,
                                               .length = (uint32_t)record->size};
    else
        *refused = decoder->refused;
    return code;
}

static inline bool file_is_blank(const file_reader *reader, const record *record)
{
    const format *format = reader->format;

    return record->state == RECORD_WHOLE && format->is_blank != NULL &&
           format->is_blank(record->bytes, record->length);
}

/* One record into the batch, or to the rejects. With `lenient` a bad record is FRESHET_END and
 * nothing else. */
static freshet_code take_record(polling *polling, uint32_t index, const record *record,
                                bool lenient)
{
    file_reader *reader = reader_of(polling);
    reason_code refused = REASON_BAD_RECORD;
    freshet_error problem;
    freshet_code code;

    if (file_is_blank(reader, record))
        return FRESHET_OK;
    code = polling_reserve(polling, ROWS_FIRST);
    if (code != FRESHET_OK)
        return code;
    code = decode_record(reader, reader->decoder, polling->into, index, record, &refused, &problem);
    if (code == FRESHET_OK) {
        polling->into->n_rows++;
        return FRESHET_OK;
    }
    if (problem.then == FRESHET_SKIP_ROW)
        return lenient ? FRESHET_END : add_reject(polling, index, record, refused, problem.text);
    if (polling->err != NULL)
        *polling->err = problem;
    return code;
}

/* ---- a file's turn --------------------------------------------------------------------------- */

/* READ_ALL: the last record, which has no newline. In a stream one that is not whole is left
 * where it is. */
static freshet_code take_last(polling *polling, uint32_t index, tracked_file *file)
{
    file_reader *reader = reader_of(polling);
    bool lenient = reader->base.block->stream;
    freshet_code code = FRESHET_OK;
    record tail;

    if (lines_is_cut(reader->lines)) {
        if (!lenient)
            return error_set(polling->err, FRESHET_FAILED, FRESHET_STOP, file->path,
                             "the gzip file stops in the middle; it is not complete");
        log_event(GZIP_CUT, file_reader_id(reader), file->path);
        return FRESHET_OK;
    }
    while (code == FRESHET_OK && polling_left(polling) > 0 && lines_tail(reader->lines, &tail)) {
        code = take_record(polling, index, &tail, lenient);
        if (code == FRESHET_END) {
            log_event(LINE_INCOMPLETE, file_reader_id(reader), file->path, (long long)tail.offset);
            return FRESHET_OK;
        }
        if (code == FRESHET_OK) {
            lines_take_tail(reader->lines, &tail);
            polling->bytes += tail.length;
            file->offset = lines_offset(reader->lines);
            file->moved = true;
            reader->last = tail;
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

/* Records one by one, until the file ends (FRESHET_END) or the batch is full (FRESHET_OK). */
static freshet_code read_one_by_one(polling *polling, uint32_t index, tracked_file *file)
{
    file_reader *reader = reader_of(polling);
    freshet_code code = FRESHET_OK;

    while (polling_left(polling) > 0) {
        record record;
        if (is_past_open(reader, file)) {
            code = FRESHET_END;
            break;
        }
        code = lines_next(reader->lines, &record, polling->err);
        if (code == FRESHET_OK)
            code = take_record(polling, index, &record, false);
        if (code != FRESHET_OK)
            break;
        polling->bytes += record.length + 1;
        file->offset = record.offset + record.size;
        file->moved = true;
        if (record.length > 0)
            reader->last = record;
    }
    return code;
}

/* ---- records in slices ----------------------------------------------------------------------- */

/* Of what file the records in reader->found are. */
typedef struct found_records {
    polling *polling;
    uint32_t index;
} found_records;

/* The records that read_one_by_one() would take, but for blank ones, into reader->found; the file's
 * offset is behind them. */
static freshet_code find_records(polling *polling, tracked_file *file, uint32_t *n)
{
    file_reader *reader = reader_of(polling);
    const uint32_t most = polling_left(polling);
    freshet_code code = FRESHET_OK;

    for (*n = 0; *n < most && polling->bytes < polling->max_bytes;) {
        record *found;
        if (!array_reserve(&reader->found, &reader->found_capacity, *n + UINT64_C(1),
                           sizeof(*reader->found)))
            return error_memory(polling->err, polling->doing);
        found = &reader->found[*n];
        code = is_past_open(reader, file) ? FRESHET_END
                                          : lines_next(reader->lines, found, polling->err);
        if (code != FRESHET_OK)
            break;
        polling->bytes += found->length + 1;
        file->offset = found->offset + found->size;
        file->moved = true;
        if (found->length > 0)
            reader->last = *found;
        *n += !file_is_blank(reader, found);
    }
    return code;
}

static freshet_code slice_record(void *context, slice *slice, uint32_t which, reason_code *refused,
                                 const char **part, freshet_error *err)
{
    const found_records *of = context;
    const file_reader *reader = reader_of(of->polling);

    (void)part;
    return decode_record(reader, slice->decoders[0], &slice->rows, of->index, &reader->found[which],
                         refused, err);
}

static void begin_slice(void *context, slice *slice)
{
    (void)context;
    decoder_begin(slice->decoders[0], &slice->rows);
}

static freshet_code refuse_record(void *context, const slice_refusal *refusal)
{
    const found_records *of = context;

    return add_reject(of->polling, of->index, &reader_of(of->polling)->found[refusal->record],
                      refusal->code, refusal->reason);
}

/* True where the records are decoded in slices. Folders that say no text are left to
 * read_one_by_one(). */
static bool begin_slices(polling *polling, uint32_t n)
{
    file_reader *reader = reader_of(polling);

    return slices_are_wanted(reader->slices, &reader->base, n) &&
           (reader->hive == NULL ||
            file_hive_make(reader, reader->hive, polling->into->arena, NULL) == FRESHET_OK) &&
           slices_follow(reader->slices, 0, reader->decoder, NULL) == FRESHET_OK;
}

/* As read_one_by_one(), with the records found first. */
static freshet_code read_found(polling *polling, uint32_t index, tracked_file *file)
{
    file_reader *reader = reader_of(polling);
    const slicing how = {.context = &(found_records){polling, index},
                         .decode = slice_record,
                         .begin = begin_slice,
                         .refuse = refuse_record};
    const record before = reader->last;
    uint32_t n = 0, n_done = 0;
    freshet_code found = find_records(polling, file, &n);
    freshet_code code = FRESHET_OK;

    if (begin_slices(polling, n))
        code = slices_decode(reader->slices, polling, &how, n, &n_done, polling->err);
    else
        for (; code == FRESHET_OK && n_done < n; n_done += code == FRESHET_OK)
            code = take_record(polling, index, &reader->found[n_done], false);
    if (code == FRESHET_OK)
        return found;
    if (n_done < n) { /* they are found again */
        file->offset = reader->found[n_done].offset;
        reader->last = n_done > 0 ? reader->found[n_done - 1] : before;
        reader->lines_of = FILE_NONE;
    }
    return code;
}

/* Decodes records until the file ends (FRESHET_END) or the batch is full (FRESHET_OK). */
static freshet_code read_records(polling *polling, uint32_t index, tracked_file *file)
{
    const file_reader *reader = reader_of(polling);

    return slices_are_wanted(reader->slices, &reader->base, polling->max_rows)
               ? read_found(polling, index, file)
               : read_one_by_one(polling, index, file);
}

/* ---- where records begin --------------------------------------------------------------------- */

/* Once a file: the columns that it lacks. */
static void say_lacks(file_reader *reader, tracked_file *file)
{
    const text_buffer *missing = &reader->decoder->missing;

    if (missing->length > 0 && !file->said_lacks)
        log_event(FILE_LACKS_COLUMNS, file_reader_id(reader), file->path,
                  strchr(missing->bytes, ',') == NULL ? "" : "s", missing->bytes,
                  missing->failed ? ", ..." : "");
    file->said_lacks = file->said_lacks || missing->length > 0;
}

/* The header of a file, which is its first record. FRESHET_END: it is not there yet. */
static freshet_code read_header(polling *polling, uint32_t index, tracked_file *file)
{
    file_reader *reader = reader_of(polling);
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
                         "the header does not end: a quote is not closed, or it is longer than "
                         "max_record_bytes");
    code = reader->format->header(reader->decoder, header.bytes, header.length, file->path,
                                  polling->err);
    if (code != FRESHET_OK)
        return code;
    reader->header_of = index;
    say_lacks(reader, file);
    if (!track_is_read(file))
        file->mark.first = lines_offset(reader->lines);
    if (file->offset < lines_offset(reader->lines))
        file->offset = lines_offset(reader->lines);
    if (file->offset == lines_offset(reader->lines))
        reader->lines_of = index;
    return FRESHET_OK;
}

/* Gets `lines` to the file's next record. FRESHET_END: there is nothing to read yet. */
static freshet_code set_up_lines(polling *polling, uint32_t index, tracked_file *file)
{
    file_reader *reader = reader_of(polling);
    freshet_code code = FRESHET_OK;

    if (file->size == 0)
        return FRESHET_END;
    if (reader->decoder->wants_header && reader->header_of != index)
        code = read_header(polling, index, file);
    if (code != FRESHET_OK)
        return code;
    if (reader->lines_of == index && lines_offset(reader->lines) == file->offset &&
        lines_are_there(reader->lines, file->size)) {
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
    if (polling->reader->mode != READ_ALL || reader_of(polling)->lines_of != index)
        return FRESHET_END;
    while (!is_past_open(reader_of(polling),
                         file)) { /* a tail that was several lines is read anew behind the first */
        int64_t before = file->offset;
        code = take_last(polling, index, file);
        if (code != FRESHET_OK || polling_left(polling) == 0)
            return code;
        if (file->offset == before)
            return FRESHET_END;
        code = read_records(polling, index, file);
        if (code != FRESHET_END)
            return code;
    }
    return FRESHET_END;
}

static freshet_code read_whole(polling *polling, uint32_t index, tracked_file *file)
{
    file_reader *reader = reader_of(polling);
    const format *format = reader->format;
    scan_place where = {.reader = file_reader_id(reader), .label = file->path, .partition = index};
    freshet_code code = FRESHET_OK;

    if (reader->whole_of != index) {
        reader->whole_of = FILE_NONE;
        code = format->start(reader->decoder, file->path, file->offset, polling->err);
        if (code == FRESHET_OK) {
            reader->whole_of = index;
            say_lacks(reader, file);
        }
    }
    while (code == FRESHET_OK && polling_left(polling) > 0) {
        uint32_t before = polling->into->n_rows;
        code = format->read(reader->decoder, polling->into, polling_rows_left(polling), &where,
                            polling->rejects, &file->offset, polling->err);
        polling->bytes += (size_t)(polling->into->n_rows - before) * POLLING_ROW_BYTES;
        file->moved = true;
    }
    if (code != FRESHET_OK)
        reader->whole_of = FILE_NONE;
    return code;
}

/* The file was read to its end. */
static void set_finished(file_reader *reader, uint32_t index, tracked_file *file)
{
    file->finished = reader->base.mode == READ_ALL;
    file->read_size = file->size;
    file->read_modified_ns = file->modified_ns;
    file->bad_since_us = 0;
    if (file->retry_us != 0) {
        file->retry_us = 0;
        reader->n_retry -= reader->n_retry > 0;
        log_event(FILE_READABLE, file_reader_id(reader), file->path);
    }
    file_queue_take(reader);
    if (file->finished || file_is_whole(reader))
        file_descriptor_close(reader, index);
}

/* The decoder becomes one that leaves to the file's folders what they say. */
static freshet_code take_folders(file_reader *reader, const tracked_file *file, freshet_error *err)
{
    bool anew = false;
    freshet_code code =
        file_hive_take(reader, &reader->hive, &reader->decoder, file->path, &anew, err);

    if (anew)
        reader->header_of = FILE_NONE;
    return code;
}

/* Opens the file at the head of the queue and looks whether it is one that was read before. */
static freshet_code begin_turn(polling *polling, uint32_t index, file_fate *fate)
{
    file_reader *reader = reader_of(polling);
    tracked_file *file = track_file(reader->track, index);
    freshet_code code;

    *fate = FILE_IS_READ;
    reader->last = (record){0};
    if (file->fd >= 0 && reader->whole_of == index)
        return FRESHET_OK;
    code = file_descriptor(reader, index, polling->err);
    if (code == FRESHET_OK && !file_is_whole(reader))
        code = take_folders(reader, file, polling->err);
    if (code == FRESHET_OK && !track_is_read(file) && !file_is_whole(reader) &&
        reader->decoder->wants_header && file->size > 0)
        code = read_header(polling, index, file);
    return code == FRESHET_OK ? file_know(reader, index, fate, polling->err) : code;
}

/* Reads the file at the head of the queue. FRESHET_END: to its end. */
static freshet_code file_turn(polling *polling, uint32_t index, file_fate *fate)
{
    file_reader *reader = reader_of(polling);
    tracked_file *file = track_file(reader->track, index);
    freshet_code code = begin_turn(polling, index, fate);
    freshet_code kept;
    int64_t before = file->offset;

    if (code != FRESHET_OK || *fate != FILE_IS_READ)
        return code;
    code =
        file_is_whole(reader) ? read_whole(polling, index, file) : read_text(polling, index, file);
    if (file->offset == before)
        return code;
    kept = file_remember(reader, index,
                         code == FRESHET_OK || code == FRESHET_END ? polling->err : NULL);
    return kept == FRESHET_OK || (code != FRESHET_OK && code != FRESHET_END) ? code : kept;
}

/* A dead letter for what cannot be read. */
static freshet_code refuse_file(polling *polling, const char *path, int64_t offset,
                                const char *problem, const char *what_then)
{
    reject bad = {.partition = path, .offset = offset, .raw = ""};
    const char *reason = arena_format(polling->rejects->arena, "%s%s", problem, what_then);

    return reason == NULL ? error_memory(polling->err, "noting a bad file")
                          : polling_refuse(polling, &bad, REASON_BAD_FILE, "", reason);
}

/* The file cannot be read, and is left out. */
static freshet_code skip_file(polling *polling, uint32_t index, const freshet_error *problem)
{
    file_reader *reader = reader_of(polling);
    const tracked_file *file = track_file(reader->track, index);
    char what_then[100] = "";
    freshet_code code;

    if (track_is_read(file))
        snprintf(what_then, sizeof(what_then), "; what was read of it, up to %s %lld, stands",
                 file_is_whole(reader) ? "row" : "byte", (long long)file->offset);
    code = refuse_file(polling, file->path, file->offset, problem->text, what_then);
    if (code == FRESHET_OK)
        file_give_up(reader, index, problem);
    return code;
}

static freshet_code fail_with(const polling *polling, const file_reader *reader,
                              const tracked_file *file, const freshet_error *problem)
{
    if (problem->code != FRESHET_FAILED || file_skips_bad(reader))
        return error_set(polling->err, problem->code, problem->then, problem->at, "%s",
                         problem->text);
    return error_set(polling->err, problem->code, problem->then,
                     problem->at[0] == '\0' ? file->path : problem->at,
                     "%s; move the file away, or say on_bad_file: skip to go on without it",
                     problem->text);
}

/* The files of the queue, or the chosen one, which is its head. FRESHET_END: to the end. */
static freshet_code read_queue(polling *polling)
{
    file_reader *reader = reader_of(polling);
    const reader_choice *choice = reader->base.choice;

    while (polling_left(polling) > 0) {
        uint32_t index = reader->queue_head;
        freshet_error problem = {0};
        freshet_error *err = polling->err;
        freshet_code code;
        file_fate fate;
        if (index == FILE_NONE && choice == NULL)
            file_say_replaced(reader);
        if (index == FILE_NONE || (choice != NULL && choice->partition != index))
            return FRESHET_END;
        polling->err = &problem;
        code = file_turn(polling, index, &fate);
        polling->err = err;
        if (code == FRESHET_OK && fate != FILE_IS_READ)
            continue;
        if (code == FRESHET_END) {
            set_finished(reader, index, track_file(reader->track, index));
        } else if (code != FRESHET_OK) {
            if (reader->lines_of == index && problem.then != FRESHET_RETRY)
                reader->lines_of = FILE_NONE;
            if (polling_has_given(polling))
                return FRESHET_OK; /* it fails again at the next poll */
            const tracked_file *file = track_file(reader->track, index);
            if (code == FRESHET_NO_MEMORY || problem.then == FRESHET_RETRY)
                return fail_with(polling, reader, file, &problem);
            if (file_is_bad(reader, file))
                code = skip_file(polling, index, &problem);
            else if (reader->base.mode == READ_FOLLOW)
                file_set_aside(reader, index, &problem);
            else
                return fail_with(polling, reader, file, &problem);
            if (code == FRESHET_NO_MEMORY)
                return code;
        }
    }
    return FRESHET_OK;
}

/* The chosen file's next record, which is read again when its turn comes: what goes wrong here
 * will go wrong then, and is told then. */
static void file_look(polling *polling, uint32_t index)
{
    file_reader *reader = reader_of(polling);
    tracked_file *file = track_file(reader->track, index);
    const bool was_open = file->fd >= 0;
    freshet_error problem = {0};
    freshet_error *err = polling->err;
    file_fate fate;

    polling->err = &problem;
    file_queue_bring_first(reader, index);
    if (begin_turn(polling, index, &fate) == FRESHET_OK && fate == FILE_IS_READ) {
        const bool moved = file->moved;
        const int64_t offset = file->offset;
        if (file_is_whole(reader))
            read_whole(polling, index, file);
        else
            read_text(polling, index, file);
        file->offset = offset;
        file->moved = moved;
    }
    polling->err = err;
    reader->lines_of = reader->whole_of = FILE_NONE;
    if (!was_open)
        file_descriptor_close(reader, index);
}

/* The side of the reader that the poll is for. */
static freshet_code choose_side(file_reader *reader, batch *into, freshet_error *err)
{
    const reader_choice *choice = reader->base.choice;
    freshet_code code = FRESHET_OK;

    if (choice != NULL && choice->peek) {
        code = file_side_peek(reader, err);
    } else if (choice != NULL) {
        file_queue_bring_first(reader, choice->partition);
        code = file_side_take(reader, choice->partition, err);
    }
    if (code == FRESHET_OK) {
        decoder_begin(reader->decoder, into);
        file_hive_begin(reader->hive);
    }
    return code;
}

/* News, and records given before go. */
static freshet_code file_begin(file_reader *reader, freshet_error *err)
{
    file_side_begin(reader);
    return reader->base.mode == READ_FOLLOW ? file_discover_news(reader, err) : FRESHET_OK;
}

freshet_code file_poll(freshet_reader *base, batch *into, uint32_t max_rows, size_t max_bytes,
                       rejects *rejects, bool *more, freshet_error *err)
{
    file_reader *reader = (file_reader *)base;
    const reader_choice *choice = base->choice;
    const bool chooses_none = choice != NULL && choice->partition == READER_NONE;
    polling polling = polling_begin(base, into, max_rows, max_bytes, rejects, "reading files", err);
    freshet_code code = FRESHET_OK;

    *more = false;
    if (choice == NULL || chooses_none)
        code = file_begin(reader, err);
    if (code == FRESHET_OK && !chooses_none)
        code = choose_side(reader, into, err);
    if (code == FRESHET_OK && reader->bad_folder != NULL && (choice == NULL || !choice->peek)) {
        code =
            refuse_file(&polling, reader->path, 0, "a folder cannot be read: ", reader->bad_folder);
        free(reader->bad_folder);
        reader->bad_folder = NULL;
    }
    if (code != FRESHET_OK)
        return code;
    if (chooses_none) {
        code = reader->queue_head == FILE_NONE ? FRESHET_END : FRESHET_OK;
        if (code == FRESHET_END)
            file_say_replaced(reader);
    } else if (choice != NULL && choice->peek) {
        file_look(&polling, choice->partition);
    } else {
        code = read_queue(&polling);
    }
    *more = code == FRESHET_OK || (code == FRESHET_END && file_watch_has_kept(reader->watch));
    if (code == FRESHET_OK || code == FRESHET_END) {
        freshet_code nulls = polling_end(&polling);
        if (nulls != FRESHET_OK)
            return nulls;
    }
    if (code != FRESHET_END)
        return code;
    return base->mode == READ_ALL ? FRESHET_END : FRESHET_OK;
}
