/* crew.h - work in pieces on several threads: fork and join.
 *
 * The loop is one thread. Where it has much to do at once that falls into pieces which do not need
 * each other, it has a crew do them, does some itself, and goes on when all are done:
 *
 *     crew_run(crew, n_tasks, task, context);      task(context, 0) .. task(context, n_tasks - 1)
 *
 * Which thread does which task is not known, nor their order: results go by the task's number. What
 * a task finds wrong goes into a slot of its own in the context (a freshet_error each), and the
 * caller takes the first by number, so that it is the same one whatever the number of workers.
 *
 * WHAT A TASK MAY USE is what is its own: an arena of its own, never the step's; no SQL session of
 * the loop's; readers' and operators' things as their headers say. All that the caller has written
 * before crew_run is there for the tasks, and all that they have written is there afterwards.
 *
 * ORDER OF CALLS. crew_open, crew_run as often as wanted, crew_close. One thread at a time calls
 * crew_run, and no task does. In a copy of the process (fork) the threads are not there: it must
 * not use its parent's crew.
 *
 * A NULL crew and one of one worker have no threads: the caller does all tasks, in order.
 *
 * WORK FOR LATER. While the loop does what cannot be cut the threads have nothing to do. So it may
 * give them what it will need soon, such as the next piece of a file:
 *
 *     crew_give(crew, &chore);     a thread does it when it is free
 *     crew_settle(crew, &chore);   nobody is at it any more; true: it was done
 *
 * crew_settle waits only for one that somebody has begun. One that nobody came to is taken back,
 * and the caller does what it needs itself: so a chore may speed things up, and never be missed. A
 * call of crew_run goes before chores, but does not wait for one that is being done: it should be
 * short (below a millisecond or so). A chore lies with its owner, who settles it before it goes,
 * and before the crew closes. The thread that calls crew_run gives and settles; no task does. */
#ifndef FRESHET_BASE_CREW_H
#define FRESHET_BASE_CREW_H

#include <freshet/freshet.h>
#include <stdbool.h>
#include <stdint.h>

#define CREW_WORKERS_MAX 64u

typedef struct crew crew;

typedef void crew_task(void *context, uint32_t which);

/* n_workers: 1 to CREW_WORKERS_MAX, the caller's thread included. FRESHET_TRY_AGAIN where the
 * system gives no thread. */
freshet_code crew_open(uint32_t n_workers, crew **out, freshet_error *err);

/* Ends the threads. NULL is fine. */
void crew_close(crew *crew);

/* Of NULL: 1. */
uint32_t crew_workers(const crew *crew);

/* Does each task once; returns when all are done. */
void crew_run(crew *crew, uint32_t n_tasks, crew_task *task, void *context);

typedef enum chore_state { CHORE_NONE, CHORE_WAITS, CHORE_RUNS, CHORE_DONE } chore_state;

typedef struct crew_chore {
    void (*task)(void *context);
    void *context;
    /* the crew's; at first all zero */
    chore_state state;
    struct crew_chore *next;
} crew_chore;

/* It must not be given: settle it first. False: there are no threads, it is not given. */
bool crew_give(crew *crew, crew_chore *chore);

/* Is it given, and not done? (Without waiting.) */
bool crew_is_at(crew *crew, const crew_chore *chore);

/* Afterwards nobody is at it, and what it has written is there. False where it was never begun, or
 * not given. */
bool crew_settle(crew *crew, crew_chore *chore);

#endif
