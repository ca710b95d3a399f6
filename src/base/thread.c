/* thread.c - see thread.h. */
#include "base/thread.h"

#include <signal.h>
#include <sys/mman.h>

/* What the C library sets aside for each thread that allocates. */
#define MALLOC_ARENA_BYTES ((size_t)64 << 20)

bool thread_start(pthread_t *thread, void *(*run)(void *context), void *context)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0;
}

static void *wait_for_lock(void *lock)
{
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

bool thread_are_left(unsigned n)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads[THREADS_PROBED_MAX];
    unsigned started = 0;
    pthread_mutex_lock(&lock);
    while (started < n && started < THREADS_PROBED_MAX &&
           thread_start(&threads[started], wait_for_lock, &lock))
        started++;
    const size_t room = n * MALLOC_ARENA_BYTES;
    void *space = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space != MAP_FAILED)
        munmap(space, room);
    pthread_mutex_unlock(&lock);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&lock);
    return space != MAP_FAILED && (started >= n || started == THREADS_PROBED_MAX);
}

void thread_condition(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

struct timespec thread_time_after(int64_t after_us)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    const int64_t ns = at.tv_nsec + after_us * 1000;
    at.tv_sec += ns / 1000000000;
    at.tv_nsec = ns % 1000000000;
    return at;
}
