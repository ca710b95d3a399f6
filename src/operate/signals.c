/* signals.c - see signals.h. The handlers touch atomics and the clock, call stop, stuck, setitimer
 * open(2) and write(2), and nothing else. */
#include "operate/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/os.h"

#define ONE_SIGNAL_US INT64_C(1000000) /* signals within this time are one */
#define LOOK_US 200000
#define LOOKS_STUCK 4 /* so often in a row: nearly a second */

static const int handled[] = {SIGTERM, SIGINT};
#define N_HANDLED (sizeof handled / sizeof *handled)

static struct sigaction before[N_HANDLED], before_pipe, before_alarm;
static void (*_Atomic stop_fn)(void *context);
static void *stop_context;
static atomic_int caught;
static int64_t caught_us;
static void (*_Atomic last_fn)(void);
static bool (*_Atomic stuck_fn)(void *context);
static struct sigaction before_hangup;
static void (*_Atomic hangup_fn)(void *context);
static void *_Atomic hangup_context;
static bool has_hangup; /* its handler stands */
static bool had_terminal;
static int n_stuck;
static bool are_ours; /* the handlers, and what was before them is known */

static void say_and_leave(const char *line, size_t length, int code)
{
    void (*last)(void) = atomic_load(&last_fn);
    if (last != NULL)
        last();
    ssize_t n = write(STDERR_FILENO, line, length);
    (void)n; /* nothing can be done about it here */
    _exit(code);
}

static void set_timer(long every_us)
{
    const struct itimerval timer = {.it_interval = {.tv_usec = every_us},
                                    .it_value = {.tv_usec = every_us}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void on_signal(int number)
{
    static const char line[] = "freshet: stopped at once by a second signal; the last micro-batch "
                               "may not be written\n";
    const int saved_errno = errno;
    int none = 0;
    if (atomic_compare_exchange_strong(&caught, &none, number)) {
        caught_us = os.monotonic_us();
        void (*stop)(void *context) = atomic_load(&stop_fn);
        if (stop != NULL)
            stop(stop_context);
        if (atomic_load(&stuck_fn) != NULL)
            set_timer(LOOK_US);
    } else if (os.monotonic_us() - caught_us >= ONE_SIGNAL_US) {
        say_and_leave(line, sizeof line - 1, 128 + number);
    }
    errno = saved_errno;
}

static bool has_terminal(void)
{
    const int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void on_hangup(int number)
{
    const int saved_errno = errno;
    void (*hangup)(void *context) = atomic_load(&hangup_fn);
    if (had_terminal && !has_terminal())
        on_signal(number);
    else if (hangup != NULL)
        hangup(atomic_load(&hangup_context));
    errno = saved_errno;
}

/* While the run comes to its end. */
static void on_alarm(int number)
{
    static const char line[] =
        "freshet: stopped in the middle of a micro-batch that did not come to its end: its rows "
        "are read again by the next run\n";
    (void)number;
    bool (*stuck)(void *context) = atomic_load(&stuck_fn);
    n_stuck = stuck != NULL && stuck(stop_context) ? n_stuck + 1 : 0;
    if (n_stuck >= LOOKS_STUCK)
        say_and_leave(line, sizeof line - 1, 0);
}

freshet_code signals_install(void (*stop)(void *context), void *context, freshet_error *err)
{
    if (are_ours) {
        atomic_store(&caught, 0);
        signals_remove();
    }
    atomic_store(&caught, 0);
    n_stuck = 0;
    stop_context = context;
    atomic_store(&stop_fn, stop);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigfillset(&action.sa_mask);
    action.sa_handler = SIG_IGN;
    if (sigaction(SIGPIPE, &action, &before_pipe) != 0)
        return error_system(err, "cannot ignore", "SIGPIPE");
    action.sa_handler = on_alarm;
    action.sa_flags = SA_RESTART;
    if (sigaction(SIGALRM, &action, &before_alarm) != 0)
        return error_system(err, "cannot handle", "SIGALRM");
    action.sa_flags = 0;
    action.sa_handler = on_signal;
    for (size_t i = 0; i < N_HANDLED; i++)
        if (sigaction(handled[i], &action, &before[i]) != 0)
            return error_system(err, "cannot handle", "SIGTERM and SIGINT");
    are_ours = true;
    return FRESHET_OK;
}

freshet_code signals_on_hangup(void (*hangup)(void *context), void *context, freshet_error *err)
{
    struct sigaction action;
    sigset_t one;
    atomic_store(&hangup_context, context);
    atomic_store(&hangup_fn, hangup);
    if (hangup == NULL || has_hangup)
        return FRESHET_OK;
    memset(&action, 0, sizeof action);
    sigfillset(&action.sa_mask);
    action.sa_handler = on_hangup;
    action.sa_flags = SA_RESTART;
    had_terminal = has_terminal();
    if (sigaction(SIGHUP, NULL, &before_hangup) != 0)
        return error_system(err, "cannot handle", "SIGHUP");
    if (before_hangup.sa_handler == SIG_IGN)
        return FRESHET_OK;
    has_hangup = sigaction(SIGHUP, &action, NULL) == 0;
    sigemptyset(&one);
    sigaddset(&one, SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    return has_hangup ? FRESHET_OK : error_system(err, "cannot handle", "SIGHUP");
}

void signals_on_abort(void (*last)(void))
{
    atomic_store(&last_fn, last);
}

void signals_on_stuck(bool (*stuck)(void *context))
{
    atomic_store(&stuck_fn, stuck);
}

void signals_note_only(void)
{
    set_timer(0);
    atomic_store(&stop_fn, NULL);
    atomic_store(&stuck_fn, NULL);
    atomic_store(&hangup_fn, NULL);
}

void signals_remove(void)
{
    signals_note_only();
    if (atomic_load(&caught) != 0)
        return;
    are_ours = false;
    if (has_hangup)
        sigaction(SIGHUP, &before_hangup, NULL);
    has_hangup = false;
    sigaction(SIGALRM, &before_alarm, NULL);
    for (size_t i = 0; i < N_HANDLED; i++)
        sigaction(handled[i], &before[i], NULL);
    sigaction(SIGPIPE, &before_pipe, NULL);
}

int signals_caught(void)
{
    return atomic_load(&caught);
}
