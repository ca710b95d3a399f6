/* file_replay.c - records of dead letters as rows again.
 *
 * A record is decoded as it was. Only CSV wants more than its bytes: the header of its file says
 * which column is which, so that is read from the file, which must still be there.
 */
#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "base/os.h"
#include "readers/file/file_internal.h"

/* The first record of the file. */
static freshet_code header_of(file_reader *reader, int fd, const char *path, freshet_error *err)
{
    record header;
    lines_begin(reader->lines);
    freshet_code code = lines_start(reader->lines, fd, path, file_is_gzip(reader, fd), 0, err);

    if (code == FRESHET_OK)
        code = lines_next(reader->lines, &header, err);
    if (code == FRESHET_END && lines_tail(reader->lines, &header)) {
        lines_take_tail(reader->lines, &header);
        code = FRESHET_OK;
    }
    if (code != FRESHET_OK || header.state != RECORD_WHOLE)
        return code == FRESHET_OK || code == FRESHET_END
                   ? error_set(err, FRESHET_FAILED, FRESHET_STOP, path, "it has no whole header")
                   : code;
    return reader->format->header(reader->decoder, header.bytes, header.length, path, err);
}

/* The header that the record's fields go by. */
static freshet_code take_header(file_reader *reader, const char *path, freshet_error *err)
{
    freshet_error why = {0};
    freshet_code code = FRESHET_OK;

    if (reader->replayed_header != NULL && strcmp(reader->replayed_header, path) == 0)
        return FRESHET_OK;
    reader->replayed_header = NULL;
    if (reader->lines == NULL)
        code = file_open_lines(reader, &reader->lines, err);
    if (code != FRESHET_OK)
        return code;
    const int fd = os.open(path, O_RDONLY | O_NOCTTY, 0);
    code = fd < 0 ? error_system(&why, "cannot open", path) : header_of(reader, fd, path, &why);
    if (fd >= 0)
        os.close(fd);
    if (code == FRESHET_OK) {
        reader->replayed_header = arena_text(reader->base.arena, path);
        return FRESHET_OK;
    }
    if (code == FRESHET_NO_MEMORY)
        return error_memory(err, "replaying dead letters");
    return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, path,
                     "the record can only be read with the header of its file: %s; put the file "
                     "back and replay the letter again",
                     why.text);
}

freshet_code file_replay(freshet_reader *base, const reader_record *record, batch *into,
                         reason_code *refused, freshet_error *err)
{
    file_reader *reader = (file_reader *)base;
    const char *path = record->partition == NULL ? "" : record->partition;
    bool anew = false;
    freshet_code code;

    if (file_is_whole(reader))
        return FRESHET_END;
    code = reader->decoder == NULL ? file_open_decoder(reader, err) : FRESHET_OK;
    *refused = REASON_BAD_FILE;
    if (code == FRESHET_OK && reader->hive == NULL)
        reader->decoder->used = reader->base.used;
    if (code == FRESHET_OK)
        code = file_hive_take(reader, &reader->hive, &reader->decoder, path, &anew, err);
    if (anew)
        reader->replayed_header = NULL;
    file_hive_begin(reader->hive);
    if (code == FRESHET_OK && reader->decoder->wants_header)
        code = take_header(reader, path, err);
    if (code != FRESHET_OK)
        return code;
    if (reader->decoder->into != into)
        decoder_begin(reader->decoder, into);
    code = decoder_decode(reader->decoder, record->raw, record->raw_length, err);
    if (code == FRESHET_OK && reader->hive != NULL)
        code = file_hive_put(reader, reader->hive, reader->decoder, err);
    *refused = reader->decoder->refused;
    return code;
}
