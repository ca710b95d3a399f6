/* line_file.h - a file, a pipe or stdout, to which whole lines are appended.
 *
 * What could be written when the disk became full is remembered, so that no byte goes out twice; of
 * a file, the half line at its end is cut off meanwhile. So a file has whole lines only, except
 * after a crash: then the next open cuts the half line off, with a warning. A lock keeps two runs
 * from appending to one file.
 *
 * Order of calls: open, {add to `lines`, write, flush}*, close. One thread.
 */
#ifndef FRESHET_WRITERS_LINE_FILE_H
#define FRESHET_WRITERS_LINE_FILE_H

#include "base/text.h"
#include "writers/writer.h"

typedef struct line_file {
    const freshet_writer *writer; /* which may be told to stop */
    const char *path;
    int fd;
    bool is_open;
    bool is_file; /* it can be cut and made durable; stdout never */
    bool is_unsynced;
    text_buffer lines; /* what is to be written: whole lines */
    size_t n_written;  /* bytes of them */
} line_file;

/* `path`: "-" is stdout; else it outlives the file. A pipe is opened when it has a reader. `start`:
 * what each line begins with, for telling a half one of ours from another's; "" where lines have no
 * such beginning: then each half one is ours, and is cut off. */
freshet_code line_file_open(line_file *file, const freshet_writer *writer, const char *path,
                            const char *start, freshet_error *err);

/* Writes all lines, after which there are none. FRESHET_RETRY: some are left, and the next call
 * goes on there. May block while the reader of a pipe takes nothing, until a stop is asked for. */
freshet_code line_file_write(line_file *file, freshet_error *err);

/* The same, and makes them durable where they can be: in a file, also one that is stdout. */
freshet_code line_file_flush(line_file *file, freshet_error *err);

/* Of a file that is zero, too. */
void line_file_close(line_file *file);

#endif
