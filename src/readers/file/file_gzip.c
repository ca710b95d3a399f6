/* file_gzip.c - see file_gzip.h. */
#include "readers/file/file_gzip.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/os.h"

#define INPUT_BYTES ((size_t)256 << 10) /* of compressed bytes read at once */
#define GZIP_WINDOW (15 + 16)           /* zlib: gzip with the largest window */

ssize_t file_pread(int fd, void *into, size_t size, int64_t offset)
{
    ssize_t n;

    do
        n = os.pread(fd, into, size, (off_t)offset);
    while (n < 0 && errno == EINTR);
    return n;
}

static freshet_code gzip_damaged(const gzip *gzip, freshet_error *err)
{
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, gzip->path,
                     "the gzip file is damaged (%s) behind its byte %lld",
                     gzip->stream.msg == NULL ? "bad data" : gzip->stream.msg,
                     (long long)(gzip->file_offset - gzip->stream.avail_in));
}

/* Compressed bytes into the input buffer; *n = 0 at the end of the file. */
static freshet_code gzip_fill(gzip *gzip, ssize_t *n, freshet_error *err)
{
    *n = file_pread(gzip->fd, gzip->input, INPUT_BYTES, gzip->file_offset);
    if (*n < 0)
        return error_system(err, "cannot read", gzip->path);
    gzip->stream.next_in = gzip->input;
    gzip->stream.avail_in = (uInt)*n;
    gzip->file_offset += *n;
    return FRESHET_OK;
}

/* One step of inflate into [into, into + size); *n bytes came out. */
static freshet_code gzip_inflate(gzip *gzip, char *into, size_t size, size_t *n, freshet_error *err)
{
    int result;

    if (!gzip->in_member) { /* a member begins: look whether it is one */
        if (gzip->file_offset > (int64_t)gzip->stream.avail_in && *gzip->stream.next_in != 0x1f) {
            gzip->ended = true; /* padding behind the last one, as gzip(1) takes it */
            return FRESHET_OK;
        }
        if (inflateReset(&gzip->stream) != Z_OK)
            return gzip_damaged(gzip, err);
        gzip->in_member = true;
    }
    gzip->stream.next_out = (Bytef *)into;
    gzip->stream.avail_out = (uInt)size;
    result = inflate(&gzip->stream, Z_NO_FLUSH);
    *n = size - gzip->stream.avail_out;
    if (result == Z_STREAM_END)
        gzip->in_member = false;
    else if (result == Z_MEM_ERROR)
        return error_memory(err, "reading a gzip file");
    else if (result != Z_OK && result != Z_BUF_ERROR)
        return gzip_damaged(gzip, err);
    return FRESHET_OK;
}

freshet_code gzip_read(gzip *gzip, char *into, size_t size, size_t *n, freshet_error *err)
{
    *n = 0;
    while (*n == 0 && !gzip->ended) {
        freshet_code code = FRESHET_OK;
        if (gzip->stream.avail_in == 0) {
            ssize_t got;
            code = gzip_fill(gzip, &got, err);
            if (code != FRESHET_OK || got == 0)
                return code;
        }
        code = gzip_inflate(gzip, into, size, n, err);
        if (code != FRESHET_OK)
            return code;
    }
    return FRESHET_OK;
}

freshet_code gzip_start(gzip *gzip, int fd, const char *path, freshet_error *err)
{
    if (gzip->input == NULL)
        gzip->input = malloc(INPUT_BYTES);
    if (gzip->input == NULL)
        return error_memory(err, "reading a gzip file");
    if (!gzip->ready && inflateInit2(&gzip->stream, GZIP_WINDOW) != Z_OK)
        return error_memory(err, "reading a gzip file");
    gzip->ready = true;
    gzip->fd = fd;
    gzip->path = path;
    gzip->in_member = false;
    gzip->ended = false;
    gzip->file_offset = 0;
    gzip->stream.avail_in = 0;
    gzip->stream.next_in = gzip->input;
    return FRESHET_OK;
}

void gzip_release(gzip *gzip)
{
    if (gzip->ready)
        inflateEnd(&gzip->stream);
    free(gzip->input);
    *gzip = (struct gzip){0};
}

bool gzip_is(int fd)
{
    unsigned char magic[2];

    errno = 0;
    return file_pread(fd, magic, 2, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
}
