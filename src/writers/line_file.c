/* line_file.c - see line_file.h.
 *
 * A pipe is written in pieces that it takes at once (PIPE_BUF), so that a stop need not wait for
 * its reader.
 */
#include "writers/line_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/log.h"
#include "base/os.h"

#define LOOK_WAIT_MS 1000 /* is_stopping is asked so often, which tells that this is no hang */
#define STOP_WAIT_MS 1000 /* how long a reader that takes nothing is waited for when the run ends */

/* No other run has it, and it ends with a line. */
static freshet_code take_file(line_file *file, off_t size, const char *start, freshet_error *err)
{
    if (os.lock(file->fd) != 0 && errno == EWOULDBLOCK)
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_STOP, file->path,
                         "another run appends to \"%s\": end it, or write to another file",
                         file->path);
    const off_t mended = durable_mend(file->fd, size, start);
    if (mended < 0)
        return error_system(err, "cannot mend the last line of", file->path);
    if (mended < size)
        log_event(LINE_CUT, file->path, (int64_t)(size - mended));
    return durable_entry(file->path) ? FRESHET_OK
                                     : error_system(err, "cannot make durable", file->path);
}

freshet_code line_file_open(line_file *file, const freshet_writer *writer, const char *path,
                            const char *start, freshet_error *err)
{
    struct stat found;
    *file = (line_file){.writer = writer, .path = path};
    text_init(&file->lines, TEXT_LIMIT_DEFAULT);
    if (strcmp(path, "-") == 0) {
        file->path = "stdout";
        file->fd = STDOUT_FILENO;
        return FRESHET_OK;
    }
    if (os.stat(path, &found) == 0 && !S_ISREG(found.st_mode)) /* a pipe is not to be read */
        file->fd = os.open(path, O_WRONLY | O_NOCTTY, 0);
    else
        file->fd = os.open(path, O_RDWR | O_APPEND | O_CREAT | O_NOCTTY, 0666);
    file->is_open = file->fd >= 0;
    if (!file->is_open || os.fstat(file->fd, &found) != 0)
        return error_system(err, "cannot open", path);
    file->is_file = S_ISREG(found.st_mode);
    return file->is_file ? take_file(file, found.st_size, start, err) : FRESHET_OK;
}

/* Not all could be written; errno says why. The half line goes, and is written again. */
static freshet_code line_file_failed(line_file *file, freshet_error *err)
{
    const int problem = errno;
    struct stat now;
    size_t whole = file->n_written;
    while (whole > 0 && file->lines.bytes[whole - 1] != '\n')
        whole--;
    if (file->is_file && os.fstat(file->fd, &now) == 0 &&
        durable_cut(file->fd, now.st_size - (off_t)(file->n_written - whole)))
        file->n_written = whole;
    errno = problem;
    if (problem == EPIPE)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, file->path,
                         "nobody reads %s any more, so the run ends here", file->path);
    return error_system(err, "cannot write to", file->path);
}

/* Until the pipe takes PIPE_BUF bytes. */
static freshet_code wait_for_reader(line_file *file, freshet_error *err)
{
    const freshet_writer *writer = file->writer;
    for (;;) {
        const bool stops = writer->is_stopping != NULL && writer->is_stopping(writer->context);
        const bool watches = writer->is_stopping != NULL && !stops;
        struct pollfd fds[2] = {{.fd = file->fd, .events = POLLOUT},
                                {.fd = writer->stop_fd, .events = POLLIN}};
        const int n = os.poll(fds, watches ? 2 : 1, stops ? STOP_WAIT_MS : LOOK_WAIT_MS);
        if (n > 0 && fds[0].revents != 0)
            return FRESHET_OK;
        if (n == 0 && stops)
            return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, file->path,
                             "the reader of %s does not take the last %zu bytes", file->path,
                             file->lines.length - file->n_written);
    }
}

freshet_code line_file_write(line_file *file, freshet_error *err)
{
    text_buffer *lines = &file->lines;
    while (file->n_written < lines->length) {
        size_t n = lines->length - file->n_written;
        if (!file->is_file) {
            freshet_code code = wait_for_reader(file, err);
            if (code != FRESHET_OK)
                return code;
            n = n < PIPE_BUF ? n : PIPE_BUF;
        }
        const ssize_t done = os.write(file->fd, lines->bytes + file->n_written, n);
        if (done < 0 && errno != EINTR && errno != EAGAIN)
            return line_file_failed(file, err);
        file->n_written += done < 0 ? 0 : (size_t)done;
        file->is_unsynced = true;
    }
    text_reset(lines);
    file->n_written = 0;
    return FRESHET_OK;
}

freshet_code line_file_flush(line_file *file, freshet_error *err)
{
    freshet_code code = line_file_write(file, err);
    if (code == FRESHET_OK && file->is_unsynced && os.fsync(file->fd) != 0 &&
        (file->is_file || errno != EINVAL)) /* as of a pipe; stdout may be a file */
        code = error_system(err, "cannot make durable", file->path);
    if (code == FRESHET_OK)
        file->is_unsynced = false;
    return code;
}

void line_file_close(line_file *file)
{
    if (file->is_open)
        os.close(file->fd);
    file->is_open = false;
    text_release(&file->lines);
}
