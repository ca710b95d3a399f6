/* file_side.c - files that are read side by side, each with lines and a decoder of its own; see
 * file_internal.h.
 *
 * The reader's `lines`, `decoder` and what they are in are those of one side. file_side_take puts
 * them away and takes out those of the side that the file is on; all else in this folder knows one
 * side only. A side is made when it is first needed: without a choice there is only the first.
 */
#include "base/error.h"
#include "readers/file/file_internal.h"

#define SIDE_OF_PEEKS READER_CHOICES_MAX

static freshet_code turn_to(file_reader *reader, uint32_t side, freshet_error *err)
{
    freshet_code code = FRESHET_OK;

    if (side != reader->side) {
        reader->sides[reader->side] =
            (file_side){reader->lines_of, reader->header_of, reader->whole_of,
                        reader->lines,    reader->decoder,   reader->hive};
        reader->lines_of = reader->sides[side].lines_of;
        reader->header_of = reader->sides[side].header_of;
        reader->whole_of = reader->sides[side].whole_of;
        reader->lines = reader->sides[side].lines;
        reader->decoder = reader->sides[side].decoder;
        reader->hive = reader->sides[side].hive;
        reader->side = side;
    }
    if (reader->decoder == NULL) {
        reader->lines_of = reader->header_of = reader->whole_of = FILE_NONE;
        code = file_open_side(reader, err);
    }
    return code;
}

/* The side that has a part of the file, or else one whose file has nothing to read now. */
static uint32_t find_side(const file_reader *reader, uint32_t index)
{
    uint32_t vacant = 0;

    for (uint32_t i = 0; i < SIDE_OF_PEEKS; i++)
        if (reader->side_of[i] == index + 1)
            return i;
    for (uint32_t i = SIDE_OF_PEEKS; i-- > 0;)
        if (reader->side_of[i] == 0 || !track_file(reader->track, reader->side_of[i] - 1)->queued)
            vacant = i;
    return vacant;
}

freshet_code file_side_take(file_reader *reader, uint32_t index, freshet_error *err)
{
    uint32_t side = find_side(reader, index);

    reader->side_of[side] = index + 1;
    return turn_to(reader, side, err);
}

freshet_code file_side_peek(file_reader *reader, freshet_error *err)
{
    return turn_to(reader, SIDE_OF_PEEKS, err);
}

void file_side_begin(file_reader *reader)
{
    slices_begin(reader->slices);
    if (reader->lines != NULL)
        lines_begin(reader->lines);
    for (uint32_t i = 0; i <= SIDE_OF_PEEKS; i++)
        if (i != reader->side && reader->sides[i].lines != NULL)
            lines_begin(reader->sides[i].lines);
}

void file_side_forget(file_reader *reader, uint32_t index, bool is_other)
{
    if (reader->lines_of == index)
        reader->lines_of = FILE_NONE;
    for (uint32_t i = 0; i <= SIDE_OF_PEEKS; i++) {
        file_side *side = &reader->sides[i];
        if (i == reader->side)
            continue;
        if (side->lines_of == index)
            side->lines_of = FILE_NONE;
        if (is_other && side->header_of == index)
            side->header_of = FILE_NONE;
        if (is_other && side->whole_of == index)
            side->whole_of = FILE_NONE;
    }
}

void file_side_close(file_reader *reader)
{
    for (uint32_t i = 0; i <= SIDE_OF_PEEKS; i++) {
        if (i != reader->side) {
            lines_close(reader->sides[i].lines);
            decoder_close(reader->sides[i].decoder);
            file_hive_close(reader->sides[i].hive);
        }
        reader->sides[i] = (file_side){0};
        if (i < SIDE_OF_PEEKS)
            reader->side_of[i] = 0;
    }
    lines_close(reader->lines);
    decoder_close(reader->decoder);
    file_hive_close(reader->hive);
    reader->lines = NULL; /* it may be opened again */
    reader->decoder = NULL;
    reader->hive = NULL;
    reader->side = 0;
}
