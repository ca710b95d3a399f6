/* signals.c - see signals.h. The handler touches atomics, calls stop and write(2), and nothing
 * else. */
#include "operate/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

static const int handled[] = {SIGTERM, SIGINT};
#define N_HANDLED (sizeof handled / sizeof *handled)

static struct sigaction before[N_HANDLED], before_pipe;
static void (*stop_fn)(void *context);
static void *stop_context;
static atomic_int caught;
static void (*_Atomic last_fn)(void);

static void on_signal(int number)
{
    static const char line[] = "freshet: stopped at once by a second signal; the last micro-batch "
                               "may not be written\n";
    int saved_errno = errno;
    int none = 0;
    if (!atomic_compare_exchange_strong(&caught, &none, number)) {
        void (*last)(void) = atomic_load(&last_fn);
        if (last != NULL)
            last();
        ssize_t n = write(STDERR_FILENO, line, sizeof line - 1);
        (void)n; /* nothing can be done about it here */
        _exit(128 + number);
    }
    stop_fn(stop_context);
    errno = saved_errno;
}

freshet_code signals_install(void (*stop)(void *context), void *context, freshet_error *err)
{
    atomic_store(&caught, 0);
    stop_fn = stop;
    stop_context = context;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigfillset(&action.sa_mask);
    action.sa_handler = SIG_IGN;
    if (sigaction(SIGPIPE, &action, &before_pipe) != 0)
        return error_system(err, "cannot ignore", "SIGPIPE");
    action.sa_handler = on_signal;
    for (size_t i = 0; i < N_HANDLED; i++)
        if (sigaction(handled[i], &action, &before[i]) != 0)
            return error_system(err, "cannot handle", "SIGTERM and SIGINT");
    return FRESHET_OK;
}

void signals_on_abort(void (*last)(void))
{
    atomic_store(&last_fn, last);
}

void signals_remove(void)
{
    for (size_t i = 0; i < N_HANDLED; i++)
        sigaction(handled[i], &before[i], NULL);
    sigaction(SIGPIPE, &before_pipe, NULL);
}

int signals_caught(void)
{
    return atomic_load(&caught);
}
