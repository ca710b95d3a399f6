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
 * A NULL crew and one of one worker have no threads: the caller does all tasks, in order. */
#ifndef FRESHET_BASE_CREW_H
#define FRESHET_BASE_CREW_H

#include <freshet/freshet.h>
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

#endif
