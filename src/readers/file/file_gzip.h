/* file_gzip.h - what a gzip file holds, as one stream of bytes.
 *
 * A file of several members, one behind the other, is one stream; what follows the last one and is
 * not gzip is passed over, as gzip(1) does. At the end of the file gzip_read gives no bytes, and
 * may be called again when the file has grown.
 *
 * Order of calls: zero bytes are a gzip stream not begun; gzip_start with each file, then
 * gzip_read; gzip_release. The descriptor belongs to the caller; its own place is not used.
 */
#ifndef FRESHET_READERS_FILE_FILE_GZIP_H
#define FRESHET_READERS_FILE_FILE_GZIP_H

#include <freshet/freshet.h>

#include <sys/types.h>

#define ZLIB_CONST
#include <zlib.h>

typedef struct gzip {
    z_stream stream;
    int fd;
    const char *path;
    bool ready;     /* inflateInit was called */
    bool in_member; /* a member has begun and not ended */
    bool ended;     /* nothing that follows is gzip */
    unsigned char *input;
    int64_t file_offset; /* of the next compressed byte to read */
} gzip;

/* Reading begins at the beginning of the file. `path` is for messages and must live as long. */
freshet_code gzip_start(gzip *gzip, int fd, const char *path, freshet_error *err);

/* At most `size` bytes; *n = 0 where there are none now. */
freshet_code gzip_read(gzip *gzip, char *into, size_t size, size_t *n, freshet_error *err);

void gzip_release(gzip *gzip);

/* True where the file begins as gzip does. A failing read: false and errno. */
bool gzip_is(int fd);

/* pread(2), which goes on where it was interrupted. */
ssize_t file_pread(int fd, void *into, size_t size, int64_t offset);

#endif
