/* file_mark.c - see file_mark.h. mark_look() gets two pieces of a text, the beginning and the last
 * record, in one pass, and how long the text is at least; everything else compares. */
#include "readers/file/file_mark.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/os.h"

#define LOOK_BYTES ((size_t)64 << 10)

/* [offset, offset + wanted) of a text; `got` of it are there. */
typedef struct piece {
    int64_t offset;
    size_t wanted, got;
    char bytes[MARK_LAST_BYTES];
} piece;

static uint32_t hash_of_head(const char *bytes, uint32_t i)
{
    return (uint32_t)hash_bytes(bytes, (size_t)1 << i, HASH_A);
}

static uint64_t hash_of_last(const char *bytes, size_t length)
{
    return hash_bytes(bytes, length, HASH_B);
}

/* FNV-1a, and not base/hash.h: it is in positions that were made long ago. */
static uint64_t hash_of_old(const unsigned char *bytes, size_t length)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

/* ---- looking at a text ----------------------------------------------------------------------- */

static freshet_code look_plain(const mark_file *file, piece *pieces, uint32_t n, int64_t *length,
                               freshet_error *err)
{
    struct stat info;

    if (os.fstat(file->fd, &info) != 0)
        return error_system(err, "cannot look at", file->path);
    *length = info.st_size;
    for (uint32_t i = 0; i < n; i++)
        while (pieces[i].got < pieces[i].wanted) {
            ssize_t got = file_pread(file->fd, pieces[i].bytes + pieces[i].got,
                                     pieces[i].wanted - pieces[i].got,
                                     pieces[i].offset + (int64_t)pieces[i].got);
            if (got < 0)
                return error_system(err, "cannot read", file->path);
            if (got == 0)
                break;
            pieces[i].got += (size_t)got;
        }
    return FRESHET_OK;
}

/* What of the text's bytes [at, at + n) belongs to the piece. */
static void copy_to_piece(piece *piece, const char *bytes, int64_t at, size_t n)
{
    int64_t next = piece->offset + (int64_t)piece->got;
    size_t most = piece->wanted - piece->got;
    size_t skipped;

    if (next < at || next >= at + (int64_t)n)
        return;
    skipped = (size_t)(next - at);
    if (most > n - skipped)
        most = n - skipped;
    memcpy(piece->bytes + piece->got, bytes + skipped, most);
    piece->got += most;
}

static freshet_code look_gzip(const mark_file *file, piece *pieces, uint32_t n, int64_t upto,
                              int64_t *length, freshet_error *err)
{
    char *bytes = malloc(LOOK_BYTES);
    size_t got = 1;
    freshet_code code;

    if (bytes == NULL)
        return error_memory(err, "looking at a gzip file");
    code = gzip_start(file->gzip, file->fd, file->path, err);
    *length = 0;
    for (uint32_t i = 0; i < n; i++)
        if (pieces[i].wanted > 0 && pieces[i].offset + (int64_t)pieces[i].wanted > upto)
            upto = pieces[i].offset + (int64_t)pieces[i].wanted;
    while (code == FRESHET_OK && got > 0 && *length < upto) {
        size_t most = upto - *length < (int64_t)LOOK_BYTES ? (size_t)(upto - *length) : LOOK_BYTES;
        code = gzip_read(file->gzip, bytes, most, &got, err);
        for (uint32_t i = 0; i < n && code == FRESHET_OK; i++)
            copy_to_piece(&pieces[i], bytes, *length, got);
        *length += code == FRESHET_OK ? (int64_t)got : 0;
    }
    free(bytes);
    return code;
}

/* Gets the pieces. *length: how long the text is; of a gzip file, as far as looked, which is up to
 * `upto` and the ends of the pieces. */
static freshet_code mark_look(const mark_file *file, piece *pieces, uint32_t n, int64_t upto,
                              int64_t *length, freshet_error *err)
{
    return file->is_gzip ? look_gzip(file, pieces, n, upto, length, err)
                         : look_plain(file, pieces, n, length, err);
}

/* ---- taking ---------------------------------------------------------------------------------- */

static void take_heads(file_mark *mark, const char *bytes, size_t length)
{
    for (; mark->n_heads < MARK_HEADS && (size_t)1 << mark->n_heads <= length; mark->n_heads++)
        mark->heads[mark->n_heads] = hash_of_head(bytes, mark->n_heads);
}

freshet_code mark_take_heads(file_mark *mark, const mark_file *file, int64_t upto,
                             freshet_error *err)
{
    piece head = {.offset = mark->first, .wanted = MARK_HEAD_BYTES};
    int64_t length;
    freshet_code code;

    if (upto - mark->first < (int64_t)head.wanted)
        head.wanted = upto > mark->first ? (size_t)(upto - mark->first) : 0;
    code = mark_look(file, &head, 1, 0, &length, err);
    if (code == FRESHET_OK)
        take_heads(mark, head.bytes, head.got);
    return code;
}

void mark_take_last(file_mark *mark, const char *bytes, size_t length, int64_t offset)
{
    if (length == 0)
        return;
    mark->last_length = length < MARK_LAST_BYTES ? (uint32_t)length : MARK_LAST_BYTES;
    mark->last_offset = offset;
    mark->last_hash = hash_of_last(bytes, mark->last_length);
}

freshet_code mark_take_whole(file_mark *mark, const mark_file *file, freshet_error *err)
{
    struct stat info;
    piece pieces[2] = {{.wanted = MARK_HEAD_BYTES}, {.wanted = MARK_HEAD_BYTES}};
    int64_t length;
    freshet_code code;

    if (os.fstat(file->fd, &info) != 0)
        return error_system(err, "cannot look at", file->path);
    if (info.st_size < (int64_t)MARK_HEAD_BYTES)
        pieces[1].wanted = (size_t)info.st_size;
    pieces[1].offset = info.st_size - (int64_t)pieces[1].wanted;
    code = mark_look(file, pieces, 2, 0, &length, err);
    *mark = (file_mark){0};
    if (code != FRESHET_OK)
        return code;
    take_heads(mark, pieces[0].bytes, pieces[0].got);
    mark_take_last(mark, pieces[1].bytes, pieces[1].got, pieces[1].offset);
    return FRESHET_OK;
}

/* ---- comparing ------------------------------------------------------------------------------- */

/* Does the beginning agree, as far as it is there? */
static bool heads_agree(const file_mark *mark, const char *bytes, size_t length)
{
    uint32_t n = mark->n_heads;

    while (n > 0 && (size_t)1 << (n - 1) > length)
        n--;
    return n == 0 || hash_of_head(bytes, n - 1) == mark->heads[n - 1];
}

static bool last_agrees(const file_mark *mark, const piece *last)
{
    return mark->last_length == 0 || (last->got == mark->last_length &&
                                      hash_of_last(last->bytes, last->got) == mark->last_hash);
}

static freshet_code compare_whole(const file_mark *mark, const mark_file *file,
                                  mark_verdict *verdict, freshet_error *err)
{
    int64_t size = mark->last_offset + mark->last_length;
    piece pieces[2] = {{.wanted = MARK_HEAD_BYTES},
                       {.offset = mark->last_offset, .wanted = mark->last_length}};
    int64_t length;
    freshet_code code = mark_look(file, pieces, 2, 0, &length, err);

    if (code != FRESHET_OK)
        return code;
    if (!heads_agree(mark, pieces[0].bytes, pieces[0].got) || length > size)
        *verdict = MARK_OTHER;
    else if (length < size)
        *verdict = MARK_SHORTER;
    else
        *verdict = last_agrees(mark, &pieces[1]) ? MARK_SAME : MARK_OTHER;
    return FRESHET_OK;
}

/* Do the first bytes agree, as they lie on the disk, or as the text has them? */
static freshet_code compare_old_beginning(const file_mark *mark, const mark_file *file,
                                          mark_verdict *verdict, freshet_error *err)
{
    freshet_code code = FRESHET_OK;

    *verdict = MARK_OTHER;
    for (int as_text = 0; as_text <= file->is_gzip && code == FRESHET_OK; as_text++) {
        mark_file it = *file;
        piece begin = {.wanted = mark->old_length};
        int64_t length;
        it.is_gzip = as_text != 0;
        code = mark_look(&it, &begin, 1, 0, &length, err);
        if (code == FRESHET_OK && begin.got < begin.wanted)
            *verdict = MARK_SHORTER;
        else if (code == FRESHET_OK &&
                 hash_of_old((const unsigned char *)begin.bytes, begin.got) == mark->old_hash) {
            *verdict = MARK_SAME;
            break;
        }
    }
    return code;
}

/* The beginning; then the text must reach as far as it was read, and have the end of a line
 * there. */
static freshet_code compare_old(const file_mark *mark, int64_t offset, const mark_file *file,
                                bool quick, mark_verdict *verdict, bool *more, freshet_error *err)
{
    piece end = {.offset = offset - 1, .wanted = offset > 0};
    int64_t length;
    freshet_code code = compare_old_beginning(mark, file, verdict, err);

    *more = true;
    if (code != FRESHET_OK || *verdict != MARK_SAME || file->is_whole || (file->is_gzip && quick))
        return code;
    code = mark_look(file, &end, 1, offset + 1, &length, err);
    if (code != FRESHET_OK)
        return code;
    *more = length > offset;
    if (length < offset)
        *verdict = MARK_SHORTER;
    else if (end.got == 1 && end.bytes[0] != '\n' && length > offset)
        *verdict = MARK_OTHER;
    return FRESHET_OK;
}

static freshet_code compare_text(const file_mark *mark, int64_t offset, const mark_file *file,
                                 bool quick, mark_verdict *verdict, bool *more, freshet_error *err)
{
    piece pieces[2] = {{.offset = mark->first, .wanted = MARK_HEAD_BYTES},
                       {.offset = mark->last_offset, .wanted = mark->last_length}};
    bool only_heads = quick && file->is_gzip;
    int64_t length;
    freshet_code code;

    if (only_heads)
        pieces[1].wanted = 0;
    code = mark_look(file, pieces, 2, only_heads ? 0 : offset + 1, &length, err);
    if (code != FRESHET_OK)
        return code;
    *more = only_heads || length > offset;
    if (!heads_agree(mark, pieces[0].bytes, pieces[0].got))
        *verdict = MARK_OTHER;
    else if (!only_heads && length < offset)
        *verdict = MARK_SHORTER;
    else
        *verdict = only_heads || last_agrees(mark, &pieces[1]) ? MARK_SAME : MARK_OTHER;
    return FRESHET_OK;
}

freshet_code mark_compare(const file_mark *mark, int64_t offset, const mark_file *file, bool quick,
                          mark_verdict *verdict, bool *more, freshet_error *err)
{
    bool ignored;

    assert(mark->last_length <= MARK_LAST_BYTES && mark->old_length <= MARK_HEAD_BYTES);
    if (more == NULL)
        more = &ignored;
    *more = true;
    if (mark->old_length > 0)
        return compare_old(mark, offset, file, quick, verdict, more, err);
    if (file->is_whole)
        return compare_whole(mark, file, verdict, err);
    return compare_text(mark, offset, file, quick, verdict, more, err);
}

freshet_code mark_renew(file_mark *mark, int64_t offset, const mark_file *file, freshet_error *err)
{
    file_mark it = {0};
    piece last = {.wanted = offset < (int64_t)MARK_HEAD_BYTES ? (size_t)offset : MARK_HEAD_BYTES};
    int64_t length;
    freshet_code code;

    assert(!file->is_gzip);
    last.offset = offset - (int64_t)last.wanted;
    code =
        file->is_whole ? mark_take_whole(&it, file, err) : mark_take_heads(&it, file, offset, err);
    if (code == FRESHET_OK && !file->is_whole)
        code = mark_look(file, &last, 1, 0, &length, err);
    if (code != FRESHET_OK)
        return code;
    if (!file->is_whole)
        mark_take_last(&it, last.bytes, last.got, last.offset);
    *mark = it;
    return FRESHET_OK;
}
