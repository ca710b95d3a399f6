/* crew_test.c - each task is done once, by any number of workers; what one call has written the
 * next one reads; a crew that waits uses no processor. */
/* tsan */
#include "base/crew.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define TASKS 200u
#define CALLS 300u

typedef struct tally {
    uint32_t done[TASKS]; /* not atomic: each is of one task, and read between calls */
    uint32_t order[TASKS];
    atomic_uint n;
} tally;

static crew *open_crew(uint32_t n_workers)
{
    freshet_error err = {0};
    crew *crew;
    assert_int_equal(crew_open(n_workers, &crew, &err), FRESHET_OK);
    assert_int_equal(crew_workers(crew), n_workers);
    return crew;
}

static void count_up(void *context, uint32_t which)
{
    tally *tally = context;
    tally->done[which]++;
    tally->order[atomic_fetch_add(&tally->n, 1)] = which;
}

/* Each call reads what all tasks of the one before have written, by other threads perhaps. */
static void each_task_is_done_once(void **state)
{
    static const uint32_t workers[] = {1, 2, 3, 5, 8, CREW_WORKERS_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof workers / sizeof *workers; i++) {
        crew *crew = open_crew(workers[i]);
        tally tally = {0};
        for (uint32_t call = 0; call < CALLS; call++) {
            const uint32_t n_tasks = call % 7 == 0 ? TASKS : call % 7;
            atomic_store(&tally.n, 0);
            uint32_t before[TASKS];
            memcpy(before, tally.done, sizeof before);
            crew_run(crew, n_tasks, count_up, &tally);
            assert_int_equal(atomic_load(&tally.n), n_tasks);
            for (uint32_t task = 0; task < TASKS; task++)
                assert_int_equal(tally.done[task], before[task] + (task < n_tasks));
        }
        crew_close(crew);
    }
}

static void one_worker_does_them_in_order(void **state)
{
    (void)state;
    crew *one = open_crew(1);
    crew *crews[] = {NULL, one};
    for (int i = 0; i < 2; i++) {
        tally tally = {0};
        crew_run(crews[i], TASKS, count_up, &tally);
        for (uint32_t task = 0; task < TASKS; task++)
            assert_int_equal(tally.order[task], task);
    }
    assert_int_equal(crew_workers(NULL), 1);
    crew_close(one);
    crew_close(NULL);
}

/* ---- side by side ---------------------------------------------------------------------------- */

typedef struct meeting {
    pthread_mutex_t lock;
    pthread_cond_t all;
    uint32_t there, expected;
} meeting;

/* Returns only when so many are there at once. */
static void meet(void *context, uint32_t which)
{
    meeting *meeting = context;
    (void)which;
    pthread_mutex_lock(&meeting->lock);
    meeting->there++;
    pthread_cond_broadcast(&meeting->all);
    while (meeting->there < meeting->expected)
        pthread_cond_wait(&meeting->all, &meeting->lock);
    pthread_mutex_unlock(&meeting->lock);
}

static void tasks_are_done_at_once(void **state)
{
    (void)state;
    crew *crew = open_crew(5);
    for (int i = 0; i < 20; i++) {
        meeting meeting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 5};
        crew_run(crew, 5, meet, &meeting);
        assert_int_equal(meeting.there, 5);
    }
    crew_close(crew);
}

/* ---- chores ---------------------------------------------------------------------------------- */

#define CHORES 5u

typedef struct counted {
    crew_chore chore;
    uint32_t done; /* not atomic: it is read when it is settled */
} counted;

static void do_once(void *context)
{
    ((counted *)context)->done++;
}

/* In the middle of calls; each is done once, or not begun and not done later. */
static void chores_are_done_once_or_taken_back(void **state)
{
    static const uint32_t workers[] = {2, 3, 5};
    (void)state;
    for (size_t i = 0; i < sizeof workers / sizeof *workers; i++) {
        crew *crew = open_crew(workers[i]);
        counted chores[CHORES] = {0};
        tally tally = {0};
        uint32_t n_done = 0;
        for (uint32_t n = 0; n < CHORES; n++)
            chores[n].chore = (crew_chore){.task = do_once, .context = &chores[n]};
        for (uint32_t call = 0; call < CALLS; call++) {
            uint32_t before[CHORES];
            for (uint32_t n = 0; n < CHORES; n++) {
                before[n] = chores[n].done;
                assert_true(crew_give(crew, &chores[n].chore));
            }
            atomic_store(&tally.n, 0);
            crew_run(crew, call % 7, count_up, &tally);
            for (uint32_t n = CHORES; n-- > 0;) {
                const bool done = crew_settle(crew, &chores[n].chore);
                assert_int_equal(chores[n].done, before[n] + done);
                assert_false(crew_settle(crew, &chores[n].chore));
                n_done += done;
            }
        }
        for (chores[0].done = 0; chores[0].done == 0; n_done++) { /* a free thread does it */
            crew_give(crew, &chores[0].chore);
            while (crew_is_at(crew, &chores[0].chore))
                sched_yield();
            assert_true(crew_settle(crew, &chores[0].chore));
        }
        assert_true(n_done > 0);
        crew_close(crew);
    }
}

static void without_threads_nobody_takes_chores(void **state)
{
    (void)state;
    crew *one = open_crew(1);
    crew *crews[] = {NULL, one};
    for (int i = 0; i < 2; i++) {
        counted it = {0};
        it.chore = (crew_chore){.task = do_once, .context = &it};
        assert_false(crew_give(crews[i], &it.chore));
        assert_false(crew_is_at(crews[i], &it.chore));
        assert_false(crew_settle(crews[i], &it.chore));
        assert_int_equal(it.done, 0);
    }
    crew_close(one);
}

/* A chore that goes on does not keep a call from being done. */
static void go_on_until_told(void *context)
{
    while (!atomic_load((atomic_bool *)context))
        sched_yield();
}

static void a_call_does_not_wait_for_a_chore(void **state)
{
    (void)state;
    crew *crew = open_crew(2);
    atomic_bool told = false;
    tally tally = {0};
    crew_chore chore = {.task = go_on_until_told, .context = &told};
    crew_give(crew, &chore);
    for (uint32_t call = 0; call < CALLS; call++) {
        atomic_store(&tally.n, 0);
        crew_run(crew, 4, count_up, &tally);
        assert_int_equal(atomic_load(&tally.n), 4);
    }
    atomic_store(&told, true);
    crew_settle(crew, &chore);
    crew_close(crew);
}

/* ---- asleep ---------------------------------------------------------------------------------- */

static int64_t processor_us(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

/* Four threads that looked on would use up to 800 ms in 200; asleep they use none. */
static void who_waits_sleeps(void **state)
{
    tally tally = {0};
    (void)state;
    crew *crew = open_crew(5);
    crew_run(crew, TASKS, count_up, &tally);
    const int64_t before_us = processor_us();
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    assert_true(processor_us() - before_us < 50000);
    crew_close(crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_task_is_done_once),
        cmocka_unit_test(one_worker_does_them_in_order),
        cmocka_unit_test(tasks_are_done_at_once),
        cmocka_unit_test(chores_are_done_once_or_taken_back),
        cmocka_unit_test(without_threads_nobody_takes_chores),
        cmocka_unit_test(a_call_does_not_wait_for_a_chore),
        cmocka_unit_test(who_waits_sleeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
