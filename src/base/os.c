/* os.c - see os.h. */
#define _GNU_SOURCE /* flock */
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t real_now_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

static int64_t real_monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

static int real_open(const char *path, int flags, mode_t mode)
{
    int fd = open(path, flags | O_CLOEXEC, mode);
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int number = errno;
    close(fd);
    errno = number;
    return higher;
}

static int real_lock(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB);
}

static int real_inotify(void)
{
    return inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
}

#define REAL_CALLS                                                                              \
    {                                                                                           \
        .now_us = real_now_us, .monotonic_us = real_monotonic_us, .open = real_open,            \
        .close = close, .read = read, .pread = pread, .write = write, .fsync = fsync,           \
        .ftruncate = ftruncate, .rename = rename, .unlink = unlink, .mkdir = mkdir,             \
        .lock = real_lock, .stat = stat, .fstat = fstat, .poll = poll, .inotify = real_inotify, \
    }

os_table os = REAL_CALLS;

ssize_t os_read_all(int fd, void *into, size_t size)
{
    size_t filled = 0;
    while (filled < size) {
        ssize_t n = os.read(fd, (char *)into + filled, size - filled);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return -1;
        filled += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)filled;
}

ssize_t os_read_text(const char *path, char *into, size_t size)
{
    const int fd = os.open(path, O_RDONLY, 0);
    const ssize_t n = fd < 0 ? -1 : os_read_all(fd, into, size - 1);
    const int number = errno;
    if (fd >= 0)
        os.close(fd);
    into[n < 0 ? 0 : n] = '\0';
    errno = number;
    return n;
}

void os_restore(void)
{
    os = (os_table)REAL_CALLS;
}
