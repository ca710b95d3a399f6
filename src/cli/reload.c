/* reload.c - see reload.h. A thread waits for the signal's word, and for the end; what it decides
 * is read when it has been joined. */
#define _GNU_SOURCE
#include "cli/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "base/text.h"
#include "base/thread.h"
#include "cli/cli.h"
#include "cli/log_files.h"
#include "operate/signals.h"
#include "pipeline/pipeline.h"

#define DECLARATION_MAX ((size_t)16 << 20)
#define SAID_MAX ((size_t)1 << 20)
#define ARGUMENTS_MAX ((size_t)1 << 20)
#define PLAN_MAX_US INT64_C(120000000)
#define WORDS_MAX 10000
#define SERVED_AS_IT_IS ": served as it is"

extern char **environ;

struct reload {
    reload_of of;
    char *read; /* the declaration as it was looked at last */
    int wake_fd, end_fd;
    pthread_t thread;
    bool begins_anew;
};

/* Where this process came from, before anybody replaces that file by a newer one. */
static char binary[PATH_MAX];

/* ---- files ----------------------------------------------------------------------------------- */

/* All of it, with a NUL behind it; NULL where it cannot be read. */
static char *read_whole(const char *path, size_t limit, size_t *length)
{
    char *text = malloc(limit + 1);
    const ssize_t n = text == NULL ? -1 : os_read_text(path, text, limit + 1);
    if (n < 0) {
        free(text);
        return NULL;
    }
    *length = (size_t)n;
    char *fitted = realloc(text, (size_t)n + 1);
    return fitted == NULL ? text : fitted;
}

char *reload_read(const char *file)
{
    size_t length;
    return read_whole(file, DECLARATION_MAX, &length);
}

/* ---- what `freshet plan` says ---------------------------------------------------------------- */

static freshet_code spawn_plan(const reload *reload, pid_t *child, int *out, freshet_error *err)
{
    const char *words[] = {
        binary, "plan", reload->of.file, "--detailed-exitcode", "--state", reload->of.state, NULL};
    int ends[2];
    sigset_t none, all;
    posix_spawnattr_t how;
    posix_spawn_file_actions_t files;
    if (reload->of.state == NULL)
        words[4] = NULL;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_system(err, "cannot make", "a pipe");
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&how);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDERR_FILENO);
    const int failed = posix_spawn(child, binary, &files, &how, (char *const *)words, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    os.close(ends[1]);
    *out = ends[0];
    if (failed == 0)
        return FRESHET_OK;
    os.close(ends[0]);
    errno = failed;
    return error_system(err, "cannot run", binary);
}

/* What it says, until it has ended, the run is to end, or it took too long: false. */
static bool take_said(const reload *reload, int fd, text_buffer *said)
{
    const int64_t until_us = os.monotonic_us() + PLAN_MAX_US;
    char piece[4096];
    for (;;) {
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
                               {.fd = reload->end_fd, .events = POLLIN}};
        const int64_t left_us = until_us - os.monotonic_us();
        if (left_us <= 0 || (poll(fds, 2, (int)(left_us / 1000) + 1) < 0 && errno != EINTR) ||
            fds[1].revents != 0)
            return false;
        const ssize_t n = fds[0].revents == 0 ? -1 : read(fd, piece, sizeof piece);
        if (n == 0)
            return true;
        if (n > 0)
            text_append(said, piece, (size_t)n);
    }
}

/* Its exit code, and what it said. */
static freshet_code ask_plan(const reload *reload, text_buffer *said, int *status,
                             freshet_error *err)
{
    pid_t child = -1;
    int fd = -1, ended = 0;
    freshet_code code = spawn_plan(reload, &child, &fd, err);
    if (code != FRESHET_OK)
        return code;
    const bool is_whole = take_said(reload, fd, said);
    os.close(fd);
    if (!is_whole)
        kill(child, SIGKILL);
    while (waitpid(child, &ended, 0) < 0 && errno == EINTR)
        ;
    if (!is_whole || !WIFEXITED(ended))
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL,
                         "`freshet plan` did not come to its end");
    *status = WEXITSTATUS(ended);
    return FRESHET_OK;
}

static bool line_has(const char *line, size_t length, const char *text)
{
    return memmem(line, length, text, strlen(text)) != NULL;
}

/* The line that says why: a mistake with its place, a verdict, a table or a history that differs.
 */
static void find_reason(const char *said, char *into, size_t size)
{
    const char *reason = NULL;
    size_t reason_length = 0, rank = 0;
    for (const char *at = said, *end; *at != '\0'; at = *end == '\0' ? end : end + 1) {
        end = at + strcspn(at, "\n");
        const size_t length = (size_t)(end - at);
        const bool is_verdict = strncmp(at, "--   ", 5) == 0;
        const size_t here = line_has(at, length, ": error: ")                        ? 5
                            : is_verdict && line_has(at, length, "cannot be served") ? 4
                            : is_verdict && !line_has(at, length, SERVED_AS_IT_IS) &&
                                    at[5] != '+' && at[5] != '-' && at[5] != ' '
                                ? 3
                            : line_has(at, length, " change") && strncmp(at, "-- ", 3) == 0 ? 2
                            : strncmp(at, "-- ", 3) == 0 && !is_verdict                     ? 1
                                                                                            : 0;
        if (here > rank) {
            rank = here;
            reason = at;
            reason_length = length;
        }
    }
    while (reason != NULL && reason_length > 0 && (*reason == '-' || *reason == ' ')) {
        reason++;
        reason_length--;
    }
    snprintf(into, size, "%.*s", (int)reason_length, reason == NULL ? "" : reason);
}

/* Does it speak of the state that this run keeps? */
static bool is_of_this_state(const reload *reload, const char *said)
{
    char wanted[PATH_MAX + 64];
    const char *folder = checkpoint_folder_in_use(reload->of.pipeline);
    snprintf(wanted, sizeof wanted, "-- the state in %s (checkpoint ", folder);
    return folder != NULL && strstr(said, wanted) != NULL;
}

/* ---- a SIGHUP -------------------------------------------------------------------------------- */

static void say_refused(const reload *reload, const char *why)
{
    log_event(RELOAD_REFUSED, reload->of.name, why, reload->of.file);
}

static bool is_served(const reload *reload)
{
    char why[1024];
    text_buffer said;
    int status = -1;
    freshet_error err = {0};
    text_init(&said, SAID_MAX);
    text_append_c(&said, "");
    freshet_code code = ask_plan(reload, &said, &status, &err);
    const char *text = said.failed || said.bytes == NULL ? "" : said.bytes;
    bool served = false;
    if (code != FRESHET_OK) {
        say_refused(reload, err.text);
    } else if (status == 0 && !is_of_this_state(reload, text)) {
        say_refused(reload, "it would begin anew, since there is no checkpoint yet where it keeps "
                            "its state; stop the run and start it, if that is meant");
    } else if (status == 0) {
        served = true;
    } else {
        find_reason(text, why, sizeof why);
        say_refused(reload, why);
    }
    text_release(&said);
    return served;
}

static void reload_look(reload *reload)
{
    log_files_reopen(reload->of.name);
    if (reload->of.why_not != NULL) {
        log_event(RELOAD_LEFT_OUT, reload->of.name, reload->of.why_not);
        return;
    }
    char *now = reload_read(reload->of.file);
    if (now == NULL) {
        say_refused(reload, "its file cannot be read");
        return;
    }
    const bool is_same = reload->read != NULL && strcmp(now, reload->read) == 0;
    if (is_same) {
        log_event(RELOAD_UNCHANGED, reload->of.name);
    } else {
        supervisor_reloading(reload->of.supervisor);
        reload->begins_anew = is_served(reload);
    }
    free(now);
    if (!reload->begins_anew) {
        if (!is_same)
            supervisor_reloaded(reload->of.supervisor);
        return;
    }
    log_event(RELOAD_TAKEN, reload->of.name);
    freshet_stop(reload->of.pipeline);
}

static void *reload_main(void *context)
{
    reload *reload = context;
    uint64_t times;
    while (!reload->begins_anew) {
        struct pollfd fds[] = {{.fd = reload->end_fd, .events = POLLIN},
                               {.fd = reload->wake_fd, .events = POLLIN}};
        poll(fds, 2, -1);
        if (fds[0].revents != 0)
            break;
        if (fds[1].revents != 0 && read(reload->wake_fd, &times, sizeof times) > 0)
            reload_look(reload);
    }
    return NULL;
}

/* The signal's handler. */
static void on_hangup(void *context)
{
    const uint64_t one = 1;
    const ssize_t n = write(((reload *)context)->wake_fd, &one, sizeof one);
    (void)n; /* full: it is readable already */
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void reload_free(reload *reload)
{
    if (reload->wake_fd >= 0)
        os.close(reload->wake_fd);
    if (reload->end_fd >= 0)
        os.close(reload->end_fd);
    free(reload->read);
    free(reload);
}

freshet_code reload_start(const reload_of *of, reload **out, freshet_error *err)
{
    reload *reload = calloc(1, sizeof *reload);
    if (reload == NULL)
        return error_memory(err, "starting the run");
    reload->of = *of;
    reload->read = of->read == NULL ? NULL : strdup(of->read);
    reload->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    reload->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    freshet_code code = FRESHET_OK;
    if (reload->wake_fd < 0 || reload->end_fd < 0)
        code = error_system(err, "cannot make", "an eventfd");
    else if (!thread_start(&reload->thread, reload_main, reload))
        code = error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL,
                         "the system gives no thread to wait for SIGHUP");
    if (code != FRESHET_OK) {
        reload_free(reload);
        return code;
    }
    *out = reload;
    return signals_on_hangup(on_hangup, reload, err);
}

bool reload_end(reload *reload)
{
    const uint64_t one = 1;
    if (reload == NULL)
        return false;
    signals_on_hangup(NULL, NULL, NULL);
    const ssize_t n = write(reload->end_fd, &one, sizeof one);
    (void)n;
    pthread_join(reload->thread, NULL);
    const bool begins_anew = reload->begins_anew;
    reload_free(reload);
    return begins_anew;
}

void reload_take_up(void)
{
    sigset_t ends, hangup;
    const ssize_t n = readlink("/proc/self/exe", binary, sizeof binary - 1);
    binary[n < 0 ? 0 : n] = '\0';
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_UNBLOCK, &ends, NULL);
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    sigprocmask(SIG_BLOCK, &hangup, NULL); /* until it can be answered */
    log_files_note();
}

/* Nothing but 0 to 2 is to be open in the process that begins anew. */
static void close_on_exec(void)
{
    const long n = sysconf(_SC_OPEN_MAX);
    for (int fd = STDERR_FILENO + 1; fd < (n < 0 || n > 65536 ? 65536 : n); fd++) {
        const int flags = fcntl(fd, F_GETFD);
        if (flags >= 0)
            fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
    }
}

/* The words of the command line. */
static bool take_words(char *text, size_t length, char **words)
{
    size_t n = 0;
    for (size_t at = 0; at < length && n < WORDS_MAX; at += strlen(text + at) + 1)
        words[n++] = text + at;
    words[n] = NULL;
    return n > 0 && n < WORDS_MAX;
}

freshet_code reload_exec(freshet_error *err)
{
    size_t length = 0;
    sigset_t some, before;
    char *text = read_whole("/proc/self/cmdline", ARGUMENTS_MAX, &length);
    char **words = calloc(WORDS_MAX + 1, sizeof *words);
    freshet_code code = FRESHET_OK;
    sigemptyset(&some);
    sigaddset(&some, SIGTERM);
    sigaddset(&some, SIGINT);
    sigaddset(&some, SIGHUP);
    sigprocmask(SIG_BLOCK, &some, &before); /* what comes now is told to the next one */
    if (text == NULL || words == NULL || !take_words(text, length, words)) {
        code = error_memory(err, "beginning anew");
    } else if (signals_caught() == 0) {
        output_finish();
        close_on_exec();
        execv(binary, words);
        code = error_system(err, "cannot begin anew with", binary);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    free(words);
    free(text);
    return code;
}
