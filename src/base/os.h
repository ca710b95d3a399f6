/* os.h - every way out of the process: clock, files, sockets, randomness, in one table.
 *
 * All of Freshet calls the system through `os`, so that a test can put a failing or faking function
 * in place of any one (a full disk, a clock of its own). The table is filled with the real calls;
 * tests change it before they start threads and put it back with os_restore(). The semantics are
 * exactly those of the calls named (errno and all), except as said here.
 */
#ifndef FRESHET_BASE_OS_H
#define FRESHET_BASE_OS_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

typedef struct os_table {
    int64_t (*now_us)(void);       /* wall clock, microseconds since 1970 UTC */
    int64_t (*monotonic_us)(void); /* never goes back */
    int (*open)(const char *path, int flags, mode_t mode); /* always with O_CLOEXEC, never 0 to 2 */
    int (*close)(int fd);
    ssize_t (*read)(int fd, void *into, size_t size);
    ssize_t (*pread)(int fd, void *into, size_t size, off_t offset);
    ssize_t (*write)(int fd, const void *from, size_t size);
    int (*fsync)(int fd);
    int (*ftruncate)(int fd, off_t length);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
    int (*mkdir)(const char *path, mode_t mode);
    int (*lock)(int fd); /* flock: exclusive, at once or EWOULDBLOCK */
    int (*stat)(const char *path, struct stat *into);
    int (*fstat)(int fd, struct stat *into);
    int (*poll)(struct pollfd *fds, nfds_t n, int timeout_ms);
    int (*inotify)(void); /* inotify_init1, non-blocking and close-on-exec */
} os_table;

extern os_table os;

/* Reads a file to its end, or until `size` bytes are there: how many, or -1 and errno. Goes on
 * where it was interrupted. */
ssize_t os_read_all(int fd, void *into, size_t size);

/* Reads a file as a text: at most size - 1 bytes of it, with a NUL behind them. How many, or -1 and
 * errno, and then "" is there. */
ssize_t os_read_text(const char *path, char *into, size_t size);

/* Puts the real calls back. */
void os_restore(void);

#endif
