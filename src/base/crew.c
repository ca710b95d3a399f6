/* crew.c - see crew.h.
 *
 * A run of the crew is a `call`: its tasks are handed out by counting up `next`. The threads find
 * it by `calls`, the number of calls so far. A thread joins a call under the lock, and only while
 * it is open; the caller does tasks itself until none is left, closes the call under the lock, and
 * waits for those who joined. So a thread that wakes too late finds the call closed and sleeps on:
 * nobody waits for it, and it never sees the tasks of another call.
 *
 * Chores are a list, first come, first done; a thread that has no call takes the first. `news`
 * counts both, calls and chores: that is what a thread looks at which waits.
 *
 * A thread that has no call, and a caller whose threads are not done, look for SPIN_US first, since
 * what they wait for is mostly a few microseconds away and a sleep costs more; then they sleep. On
 * a machine with one processor looking would only keep the other from it, so nobody looks. */
#define _GNU_SOURCE
#include "base/crew.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/thread.h"

#define SPIN_US 20
#define LOOKS_PER_CLOCK 32u /* looks between two looks at the clock */

struct crew {
    uint32_t n_workers;
    uint32_t n_threads; /* started */
    bool spins;
    pthread_t threads[CREW_WORKERS_MAX];
    pthread_mutex_t lock;   /* around all below but the atomic ones */
    pthread_cond_t begin;   /* there is a call, or the end */
    pthread_cond_t done;    /* the last who joined has left */
    pthread_cond_t settled; /* a chore is done */
    atomic_uint news;
    unsigned calls;
    atomic_uint next; /* task of the open call */
    atomic_uint joined;
    bool is_open;
    bool ends;
    uint32_t n_tasks;
    crew_task *task;
    void *context;
    crew_chore *first; /* of those that wait */
};

/* ---- waiting --------------------------------------------------------------------------------- */

static int64_t crew_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Looks for a while whether the number has another value than this one. */
static void look_for_change(const crew *crew, const atomic_uint *number, unsigned from)
{
    if (!crew->spins)
        return;
    const int64_t until_us = crew_now_us() + SPIN_US;
    do
        for (unsigned i = 0; i < LOOKS_PER_CLOCK; i++)
            if (atomic_load_explicit(number, memory_order_relaxed) != from)
                return;
    while (crew_now_us() < until_us);
}

/* ---- a call ---------------------------------------------------------------------------------- */

static void do_tasks(crew *crew, uint32_t n_tasks, crew_task *task, void *context)
{
    for (;;) {
        const unsigned which = atomic_fetch_add_explicit(&crew->next, 1, memory_order_relaxed);
        if (which >= n_tasks)
            return;
        task(context, which);
    }
}

static bool has_call(const crew *crew, unsigned seen)
{
    return crew->is_open && crew->calls != seen;
}

/* Waits for a call that is open and newer than `seen`, or a chore; false: the crew ends. The lock
 * is held. */
static bool wait_for_work(crew *crew, unsigned seen)
{
    for (bool looked = false; !crew->ends; looked = true) {
        if (has_call(crew, seen) || crew->first != NULL)
            return true;
        if (looked) {
            pthread_cond_wait(&crew->begin, &crew->lock);
            continue;
        }
        const unsigned news = atomic_load_explicit(&crew->news, memory_order_relaxed);
        pthread_mutex_unlock(&crew->lock);
        look_for_change(crew, &crew->news, news);
        pthread_mutex_lock(&crew->lock);
    }
    return false;
}

/* The lock is held, but not while tasks are done. */
static void join_call(crew *crew)
{
    atomic_fetch_add_explicit(&crew->joined, 1, memory_order_relaxed);
    const uint32_t n_tasks = crew->n_tasks;
    crew_task *task = crew->task;
    void *of_task = crew->context;
    pthread_mutex_unlock(&crew->lock);
    do_tasks(crew, n_tasks, task, of_task);
    pthread_mutex_lock(&crew->lock);
    if (atomic_fetch_sub_explicit(&crew->joined, 1, memory_order_relaxed) == 1)
        pthread_cond_signal(&crew->done);
}

/* The lock is held, but not while it is done. */
static void do_chore(crew *crew)
{
    crew_chore *chore = crew->first;
    crew->first = chore->next;
    chore->state = CHORE_RUNS;
    pthread_mutex_unlock(&crew->lock);
    chore->task(chore->context);
    pthread_mutex_lock(&crew->lock);
    chore->state = CHORE_DONE;
    pthread_cond_broadcast(&crew->settled);
}

static void *be_a_worker(void *context)
{
    crew *crew = context;
    unsigned seen = 0;
    pthread_mutex_lock(&crew->lock);
    while (wait_for_work(crew, seen)) {
        if (!has_call(crew, seen)) {
            do_chore(crew);
            continue;
        }
        seen = crew->calls;
        join_call(crew);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

static void open_call(crew *crew, uint32_t n_tasks, crew_task *task, void *context)
{
    pthread_mutex_lock(&crew->lock);
    assert(!crew->is_open && "crew_run from two threads, or from a task");
    crew->n_tasks = n_tasks;
    crew->task = task;
    crew->context = context;
    atomic_store_explicit(&crew->next, 0, memory_order_relaxed);
    crew->is_open = true;
    crew->calls++;
    atomic_fetch_add_explicit(&crew->news, 1, memory_order_relaxed);
    for (uint32_t i = 1; i < n_tasks && i <= crew->n_threads; i++)
        pthread_cond_signal(&crew->begin);
    pthread_mutex_unlock(&crew->lock);
}

static void end_call(crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->is_open = false;
    unsigned joined = atomic_load_explicit(&crew->joined, memory_order_relaxed);
    if (joined > 0) {
        pthread_mutex_unlock(&crew->lock);
        look_for_change(crew, &crew->joined, joined);
        pthread_mutex_lock(&crew->lock);
    }
    while (atomic_load_explicit(&crew->joined, memory_order_relaxed) > 0)
        pthread_cond_wait(&crew->done, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
}

void crew_run(crew *crew, uint32_t n_tasks, crew_task *task, void *context)
{
    if (crew == NULL || crew->n_threads == 0 || n_tasks < 2) {
        for (uint32_t i = 0; i < n_tasks; i++)
            task(context, i);
        return;
    }
    open_call(crew, n_tasks, task, context);
    do_tasks(crew, n_tasks, task, context);
    end_call(crew);
}

/* ---- chores ---------------------------------------------------------------------------------- */

bool crew_give(crew *crew, crew_chore *chore)
{
    if (crew == NULL || crew->n_threads == 0)
        return false;
    pthread_mutex_lock(&crew->lock);
    assert(chore->state == CHORE_NONE && "a chore that was not settled");
    crew_chore **last = &crew->first;
    while (*last != NULL)
        last = &(*last)->next;
    *last = chore;
    chore->next = NULL;
    chore->state = CHORE_WAITS;
    atomic_fetch_add_explicit(&crew->news, 1, memory_order_relaxed);
    pthread_cond_signal(&crew->begin);
    pthread_mutex_unlock(&crew->lock);
    return true;
}

bool crew_is_at(crew *crew, const crew_chore *chore)
{
    if (crew == NULL)
        return false;
    pthread_mutex_lock(&crew->lock);
    const chore_state state = chore->state;
    pthread_mutex_unlock(&crew->lock);
    return state == CHORE_WAITS || state == CHORE_RUNS;
}

bool crew_settle(crew *crew, crew_chore *chore)
{
    if (crew == NULL)
        return false;
    pthread_mutex_lock(&crew->lock);
    if (chore->state == CHORE_WAITS) {
        crew_chore **place = &crew->first;
        while (*place != chore)
            place = &(*place)->next;
        *place = chore->next;
        chore->state = CHORE_NONE;
    }
    while (chore->state == CHORE_RUNS)
        pthread_cond_wait(&crew->settled, &crew->lock);
    const bool done = chore->state == CHORE_DONE;
    chore->state = CHORE_NONE;
    pthread_mutex_unlock(&crew->lock);
    return done;
}

/* ---- its life -------------------------------------------------------------------------------- */

uint32_t crew_workers(const crew *crew)
{
    return crew == NULL ? 1 : crew->n_workers;
}

static freshet_code start_threads(crew *crew, freshet_error *err)
{
    char name[24];
    for (uint32_t i = 0; i + 1 < crew->n_workers; i++) {
        if (!thread_start(&crew->threads[i], be_a_worker, crew))
            return error_set(err, FRESHET_TRY_AGAIN, FRESHET_STOP, NULL,
                             "the system gives no thread for worker %u of %u: allow this process "
                             "more threads (ulimit -u, or the cgroup's pids.max), or take fewer "
                             "workers (`workers: 1`)",
                             i + 2, crew->n_workers);
        snprintf(name, sizeof name, "freshet-%u", i + 1);
        pthread_setname_np(crew->threads[i], name);
        crew->n_threads++;
    }
    return FRESHET_OK;
}

freshet_code crew_open(uint32_t n_workers, crew **out, freshet_error *err)
{
    assert(n_workers >= 1 && n_workers <= CREW_WORKERS_MAX);
    *out = NULL;
    crew *crew = calloc(1, sizeof *crew);
    if (crew == NULL)
        return error_memory(err, "starting the workers");
    crew->n_workers = n_workers;
    crew->spins = sysconf(_SC_NPROCESSORS_ONLN) > 1;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->begin, NULL);
    pthread_cond_init(&crew->done, NULL);
    pthread_cond_init(&crew->settled, NULL);
    freshet_code code = start_threads(crew, err);
    if (code == FRESHET_OK)
        *out = crew;
    else
        crew_close(crew);
    return code;
}

void crew_close(crew *crew)
{
    if (crew == NULL)
        return;
    pthread_mutex_lock(&crew->lock);
    assert(crew->first == NULL && "a chore that nobody settled");
    crew->ends = true;
    pthread_cond_broadcast(&crew->begin);
    pthread_mutex_unlock(&crew->lock);
    for (uint32_t i = 0; i < crew->n_threads; i++)
        pthread_join(crew->threads[i], NULL);
    pthread_cond_destroy(&crew->begin);
    pthread_cond_destroy(&crew->done);
    pthread_cond_destroy(&crew->settled);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}
