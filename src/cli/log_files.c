/* log_files.c - see log_files.h. */
#define _GNU_SOURCE
#include "cli/log_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/os.h"

static const int noted[] = {STDOUT_FILENO, STDERR_FILENO};
#define N_NOTED (sizeof noted / sizeof *noted)

static char paths[N_NOTED][PATH_MAX]; /* "": no file */

void log_files_note(void)
{
    for (size_t i = 0; i < N_NOTED; i++) {
        struct stat open, there;
        char link[40];
        snprintf(link, sizeof link, "/proc/self/fd/%d", noted[i]);
        const ssize_t n = readlink(link, paths[i], PATH_MAX - 1);
        paths[i][n < 0 ? 0 : n] = '\0';
        if (os.fstat(noted[i], &open) != 0 || !S_ISREG(open.st_mode) ||
            os.stat(paths[i], &there) != 0 || there.st_ino != open.st_ino ||
            there.st_dev != open.st_dev)
            paths[i][0] = '\0';
    }
}

static void log_file_reopen(int fd, const char *path, const char *who)
{
    struct stat open, there;
    if (os.fstat(fd, &open) != 0 ||
        (os.stat(path, &there) == 0 && there.st_ino == open.st_ino && there.st_dev == open.st_dev))
        return;
    const int made = os.open(path, O_WRONLY | O_APPEND | O_CREAT, open.st_mode & 0777);
    const bool is_open = made >= 0 && dup2(made, fd) >= 0;
    if (!is_open)
        log_event(LOG_FILE_KEPT, who, path, strerror(errno));
    if (made >= 0)
        os.close(made);
}

void log_files_reopen(const char *who)
{
    for (size_t i = 0; i < N_NOTED; i++)
        if (paths[i][0] != '\0')
            log_file_reopen(noted[i], paths[i], who);
}
