/* file_lines.h - the records of one file after the other, plain or gzip, as views of read buffers.
 *
 * Bytes are read in big pieces into blocks. A record is a view of a block: from its first byte to
 * its newline. When a block has no room for the rest of a record, the part that is there moves to
 * the next block; the blocks of records already given stay until the next lines_begin, so that all
 * records of one poll are valid at once.
 *
 *     block: | given ... | start: record not yet complete | filled: room ...  |
 *
 * At the end of a file lines_next says FRESHET_END, and may be called again when the file has
 * grown: it goes on where it was, without reading the part of the last line again. What stands
 * behind the last newline can be had by lines_tail.
 *
 * A record longer than `record_bytes_max` is given as RECORD_TOO_LONG with its beginning, once its
 * end was found; what lies between is not kept. A record that becomes too long, or ends with
 * the file, because a quote is not closed (CSV), is given as RECORD_OPEN_QUOTE: its first line;
 * reading goes on with the next.
 *
 * A file that is read on and on is read ahead by the crew, a few blocks (file_ahead.h): from where
 * the second block of it is wanted, so that who only looks at its beginning reads no more.
 *
 * Offsets count bytes; in a gzip file, bytes of what it holds. A byte order mark at the beginning
 * of a file is skipped.
 *
 * Order of calls: lines_open; per poll lines_begin; per file lines_start, then lines_next and
 * lines_tail; lines_close. The descriptor belongs to the caller.
 */
#ifndef FRESHET_READERS_FILE_FILE_LINES_H
#define FRESHET_READERS_FILE_FILE_LINES_H

#include <sys/types.h>

#include "formats/format.h"

#define LINES_BLOCK_BYTES ((size_t)1 << 20)
#define LINES_SHOWN_BYTES_MAX 4096 /* of a record that is too long */

typedef enum record_state { RECORD_WHOLE, RECORD_TOO_LONG, RECORD_OPEN_QUOTE } record_state;

struct crew;

typedef struct record {
    const char *bytes; /* without the newline, LF or CRLF */
    size_t length;
    int64_t offset;
    int64_t size; /* in the file, newline included: the next record is at offset + size */
    record_state state;
} record;

typedef struct lines_options {
    const format *format;          /* says where records end, */
    const format_options *options; /* by its options */
    int64_t record_bytes_max;
    struct crew *crew; /* that may read ahead (file_ahead.h); NULL: nobody does */
    /* Input that is read from its beginning to its end, once: the bytes that come next, 0 where
     * there are none now, -1 and errno. There is no crew then, and no gzip. NULL: a file. */
    ssize_t (*read)(void *context, void *into, size_t size);
    void *context;
} lines_options;

typedef struct lines lines;

freshet_code lines_open(const lines_options *options, lines **out, freshet_error *err);
void lines_close(lines *lines);

/* Records given before are no longer needed. */
void lines_begin(lines *lines);

/* The next records are those of this file from `offset` on, which is the beginning of one.
 * `path` is for messages and must live as long as the file is read. */
freshet_code lines_start(lines *lines, int fd, const char *path, bool gzip, int64_t offset,
                         freshet_error *err);

/* The same file goes on by another descriptor or under another name. */
void lines_rename(lines *lines, const char *path);

/* Does the file still have what was read of it and not given? False where it was cut or written
 * anew since: it is to be started again. (Of a gzip file nothing is said: true.) */
bool lines_are_there(const lines *lines, int64_t size);

/* The next whole record; FRESHET_END where there is none now. A failing read is an error and leaves
 * the place as it was. */
freshet_code lines_next(lines *lines, record *out, freshet_error *err);

/* After FRESHET_END: what stands behind the last newline, taken as the last record. False where
 * there is nothing. Does not move on: lines_take_tail does. */
bool lines_tail(const lines *lines, record *out);
void lines_take_tail(lines *lines, const record *tail);

/* Where the next record begins. */
int64_t lines_offset(const lines *lines);

/* After FRESHET_END: true where a gzip file stops in the middle of its stream. */
bool lines_is_cut(const lines *lines);

#endif
