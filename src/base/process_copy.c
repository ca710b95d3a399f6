/* process_copy.c - see process_copy.h.
 *
 * The copy closes all descriptors but its pipe, so that neither the state's lock nor a socket lives
 * on in it; it takes no signal handler along; and where memory runs out, the system takes it before
 * the process that it is of. It never returns, and runs nothing at its exit.
 */
#define _GNU_SOURCE /* pipe2, close_range */
#include "base/process_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/os.h"

#define SPARE_SECONDS 2
#define SPARE_BYTES (INT64_C(256) << 20)
#define PIPE_BYTES (1 << 20)
#define DESCRIPTORS_MAX 65536

/* ---- in the copy --------------------------------------------------------------------------- */

/* Everything but the pipe, which becomes descriptor 3; 0 to 2 stay for a last word. */
static void close_others(int *fd)
{
    if (*fd != 3 && dup2(*fd, 3) == 3)
        *fd = 3;
    if (close_range(4, ~0U, 0) == 0)
        return;
    for (int i = 4; i < DESCRIPTORS_MAX; i++)
        close(i);
}

static void forget_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL); /* some cannot be changed */
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL); /* the reader is gone: an error of write */
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static void lower(int resource, rlim_t to)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0)
        return;
    if (to < limit.rlim_cur)
        limit.rlim_cur = to;
    setrlimit((__rlimit_resource_t)resource, &limit);
}

static int64_t read_pages(const char *path, unsigned which)
{
    char text[160];
    os_read_text(path, text, sizeof text);
    char *at = text;
    int64_t pages = 0;
    for (unsigned i = 0; i <= which; i++)
        pages = strtoll(at, &at, 10);
    return pages * sysconf(_SC_PAGESIZE);
}

static void limit_self(int64_t timeout_us, int64_t memory)
{
    static const char first[] = "1000";
    const int64_t data = read_pages("/proc/self/statm", 5);
    if (timeout_us != FRESHET_NO_TIMEOUT)
        lower(RLIMIT_CPU, (rlim_t)(timeout_us / 1000000 + SPARE_SECONDS));
    lower(RLIMIT_CORE, 0);
    if (data > 0)
        lower(RLIMIT_DATA, (rlim_t)(data + memory * 2 + SPARE_BYTES));
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, first, sizeof first - 1) < 0)
        return; /* then the system chooses by size, and that is the query, too */
    close(fd);
}

void process_copy_follow(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
}

/* ---- in the process ------------------------------------------------------------------------ */

freshet_code process_copy_start(process_copy_fn *work, void *context, const char *doing,
                                int64_t timeout_us, int64_t memory, process_copy *out,
                                freshet_error *err)
{
    int ends[2];
    sigset_t all, before;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_system(err, "cannot make", "a pipe from a copy of the process");
    fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES); /* a smaller one does as well */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of ours runs in the copy */
    const pid_t process = fork();
    if (process == 0) {
        close_others(&ends[1]);
        forget_signals();
        limit_self(timeout_us, memory);
        work(context, ends[1]);
        _exit(0);
    }
    const int number = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    os.close(ends[1]);
    if (process < 0) {
        os.close(ends[0]);
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL,
                         "the system gives no process to %s: %s", doing, strerror(number));
    }
    *out = (process_copy){.process = process, .pipe = ends[0]};
    return FRESHET_OK;
}

int64_t process_copy_memory(pid_t process)
{
    char path[40] = "/proc/self/statm";
    if (process != 0)
        snprintf(path, sizeof path, "/proc/%ld/statm", (long)process);
    const int64_t resident = read_pages(path, 1), shared = read_pages(path, 2);
    return resident > shared ? resident - shared : 0;
}

int64_t process_copy_asleep(pid_t process)
{
    char path[40], text[512];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)process);
    os_read_text(path, text, sizeof text);
    char *at = strrchr(text, ')'); /* behind the name, which may hold anything */
    if (at == NULL || strncmp(at, ") S ", 4) != 0)
        return -1;
    at += 4;
    for (int skipped = 0; skipped < 10 && at != NULL; skipped++) /* fields 4 to 13 */
        at = strchr(at, ' ') == NULL ? NULL : strchr(at, ' ') + 1;
    if (at == NULL)
        return -1;
    const int64_t user = strtoll(at, &at, 10);
    return user + strtoll(at, NULL, 10);
}

int process_copy_end(pid_t process)
{
    int status = 0;
    kill(process, SIGKILL);
    while (waitpid(process, &status, 0) < 0)
        if (errno != EINTR)
            return 0; /* the program waits for all its children itself */
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}
