/* file_sample.c - the first rows of the first file, for a look before the run; see
 * file_internal.h. What is bad is left out, what cannot be read gives no rows: the run tells. */
#include <fcntl.h>

#include "base/error.h"
#include "base/os.h"
#include "formats/cell.h"
#include "readers/file/file_internal.h"

void file_sample_close(file_reader *reader)
{
    lines_close(reader->sample_lines);
    decoder_close(reader->sample_decoder);
    file_hive_close(reader->sample_hive);
    reader->sample_lines = NULL;
    reader->sample_decoder = NULL;
    reader->sample_hive = NULL;
}

static freshet_code sample_header(file_reader *reader, const char *path)
{
    record header;
    freshet_code code = lines_next(reader->sample_lines, &header, NULL);

    return code == FRESHET_OK && header.state == RECORD_WHOLE
               ? reader->format->header(reader->sample_decoder, header.bytes, header.length, path,
                                        NULL)
               : FRESHET_END;
}

static freshet_code sample_record(file_reader *reader, batch *into, const record *record)
{
    const format *format = reader->format;
    freshet_error problem = {0};
    freshet_code code;

    if (record->state != RECORD_WHOLE ||
        (format->is_blank != NULL && format->is_blank(record->bytes, record->length)))
        return FRESHET_OK;
    code = decoder_decode(reader->sample_decoder, record->bytes, record->length, &problem);
    if (code == FRESHET_OK && reader->sample_hive != NULL)
        code = file_hive_put(reader, reader->sample_hive, reader->sample_decoder, &problem);
    if (code == FRESHET_OK)
        into->origins[into->n_rows++] = (origin){.length = 1};
    return code == FRESHET_OK || problem.then == FRESHET_SKIP_ROW ? FRESHET_OK : code;
}

static freshet_code sample_lines(file_reader *reader, const char *path, int fd, batch *into,
                                 uint32_t max_rows)
{
    bool anew;
    freshet_code code = file_open_lines(reader, &reader->sample_lines, NULL);

    if (code == FRESHET_OK)
        code = file_hive_take(reader, &reader->sample_hive, &reader->sample_decoder, path, &anew,
                              NULL);
    if (code == FRESHET_OK)
        code = lines_start(reader->sample_lines, fd, path, file_is_gzip(reader, fd), 0, NULL);
    if (code == FRESHET_OK && reader->sample_decoder->wants_header)
        code = sample_header(reader, path);
    while (code == FRESHET_OK && into->n_rows < max_rows &&
           lines_offset(reader->sample_lines) < INFER_BYTES_MAX) {
        record record;
        code = lines_next(reader->sample_lines, &record, NULL);
        if (code == FRESHET_OK)
            code = sample_record(reader, into, &record);
    }
    return code;
}

static freshet_code sample_whole(file_reader *reader, const char *path, batch *into,
                                 uint32_t max_rows)
{
    const scan_place where = {.reader = file_reader_id(reader), .label = path};
    rejects rejects = {.arena = into->arena};
    int64_t next = 0;
    freshet_code code = reader->format->start(reader->sample_decoder, path, 0, NULL);

    while (code == FRESHET_OK && into->n_rows < max_rows)
        code = reader->format->read(reader->sample_decoder, into, max_rows - into->n_rows, &where,
                                    &rejects, &next, NULL);
    return code;
}

static freshet_code sample_path(file_reader *reader, const char *path, batch *into,
                                uint32_t max_rows)
{
    int fd;
    freshet_code code;

    if (file_is_whole(reader))
        return sample_whole(reader, path, into, max_rows);
    fd = os.open(path, O_RDONLY, 0);
    if (fd < 0)
        return FRESHET_FAILED;
    code = sample_lines(reader, path, fd, into, max_rows);
    os.close(fd);
    return code;
}

freshet_code file_sample(freshet_reader *base, batch *into, uint32_t max_rows, freshet_error *err)
{
    file_reader *reader = (file_reader *)base;
    const file_options *options = base->options;
    const decoder like = {.format = reader->format,
                          .options = &options->format,
                          .schema = &base->schema,
                          .used = base->used,
                          .cast_error_null = true};
    file_listing listing = {0};
    freshet_code code;

    file_sample_close(reader);
    if (file_list_wanted(reader, into->arena, NULL, &listing, NULL) != FRESHET_OK)
        return FRESHET_OK;
    code = batch_reserve(into, max_rows, "looking at files", err);
    if (code == FRESHET_OK)
        code = decoder_open(&like, &reader->sample_decoder, err);
    if (code != FRESHET_OK)
        return code;
    decoder_begin(reader->sample_decoder, into);
    for (uint32_t i = 0; i < listing.n && i < INFER_FILES_MAX && into->n_rows == 0; i++)
        if (listing.items[i].size > 0) {
            lines_close(reader->sample_lines);
            reader->sample_lines = NULL;
            code = sample_path(reader, listing.items[i].path, into, max_rows);
        }
    for (uint32_t i = 0; i < base->schema.n_fields; i++)
        if (base->used != NULL && !base->used[i] &&
            !cell_set_nulls(into->arena, &into->columns[i], 0, into->n_rows))
            return error_memory(err, "looking at files");
    return code == FRESHET_NO_MEMORY ? error_memory(err, "looking at files") : FRESHET_OK;
}
