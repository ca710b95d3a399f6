/* durable.c - see durable.h. */
#include "base/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/os.h"

#define TAIL_PIECE 4096 /* bytes read at once, backwards, to find the last newline */

bool durable_write(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = os.write(fd, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0)
            return false;
        bytes += n;
        length -= (size_t)n;
    }
    return true;
}

ssize_t durable_read(int fd, void *into, size_t length, off_t at)
{
    size_t done = 0;
    while (done < length) {
        ssize_t n = os.pread(fd, (char *)into + done, length - done, at + (off_t)done);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return -1;
        done += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)done;
}

bool durable_cut(int fd, off_t length)
{
    int done;
    do
        done = os.ftruncate(fd, length);
    while (done != 0 && errno == EINTR);
    return done == 0;
}

/* The length of the file up to and with its last newline. */
static off_t durable_lines(int fd, off_t size)
{
    char piece[TAIL_PIECE];
    while (size > 0) {
        off_t start = size > TAIL_PIECE ? size - TAIL_PIECE : 0;
        ssize_t n = durable_read(fd, piece, (size_t)(size - start), start);
        if (n <= 0)
            return -1;
        while (n > 0 && piece[n - 1] != '\n')
            n--;
        if (n > 0)
            return start + n;
        size = start;
    }
    return 0;
}

off_t durable_mend(int fd, off_t size, const char *start)
{
    char found[256];
    const size_t length = strlen(start) < sizeof found ? strlen(start) : sizeof found;
    const off_t whole = durable_lines(fd, size);
    if (whole < 0 || whole == size)
        return whole;
    const ssize_t n = durable_read(fd, found, length, whole);
    if (n >= 0 && memcmp(found, start, (size_t)n) == 0)
        return durable_cut(fd, whole) ? whole : -1;
    return n >= 0 && durable_write(fd, "\n", 1) ? size + 1 : -1;
}

bool durable_path(const char *path)
{
    const int fd = os.open(path, O_RDONLY, 0);
    const bool done = fd >= 0 && os.fsync(fd) == 0;
    const int problem = errno;
    if (fd >= 0)
        os.close(fd);
    errno = problem;
    return done;
}

/* The folder of a file: the text of its path before the last slash. */
static void durable_folder(const char *path, char folder[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    const int length = slash == NULL || slash == path ? 1 : (int)(slash - path);
    snprintf(folder, PATH_MAX, "%.*s", length, slash == NULL ? "." : path);
}

bool durable_entry(const char *path)
{
    char folder[PATH_MAX];
    durable_folder(path, folder);
    return durable_path(folder);
}

freshet_code durable_check(const char *what, const char *path, freshet_error *err)
{
    struct stat found;
    char folder[PATH_MAX];
    if (os.stat(path, &found) == 0 && S_ISDIR(found.st_mode))
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, path,
                         "%s \"%s\" is a folder; name a file", what, path);
    durable_folder(path, folder);
    if (os.stat(folder, &found) != 0 || !S_ISDIR(found.st_mode))
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, path,
                         "%s \"%s\" cannot be made: there is no folder \"%s\"; make it, or name "
                         "another path",
                         what, path, folder);
    return FRESHET_OK;
}

static const char *durable_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

bool durable_same(const char *path, const char *other)
{
    struct stat one, two;
    char folder[PATH_MAX], other_folder[PATH_MAX];
    const bool is_there = os.stat(path, &one) == 0;
    if (is_there != (os.stat(other, &two) == 0))
        return false;
    if (!is_there) {
        durable_folder(path, folder);
        durable_folder(other, other_folder);
        if (strcmp(durable_name(path), durable_name(other)) != 0 || os.stat(folder, &one) != 0 ||
            os.stat(other_folder, &two) != 0)
            return false;
    }
    return (!is_there || S_ISREG(one.st_mode)) && one.st_dev == two.st_dev &&
           one.st_ino == two.st_ino;
}
