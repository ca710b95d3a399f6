/* thread.h - starting threads that leave signals alone, and waiting in them. */
#ifndef FRESHET_BASE_THREAD_H
#define FRESHET_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* A thread in which all signals are blocked, so that handlers run in the program's own threads.
 * False where the system gives none. */
bool thread_start(pthread_t *thread, void *(*run)(void *context), void *context);

/* Would the system give so many threads (THREADS_PROBED_MAX at most) beside those there are, and
 * the address space that they need? Asked before a library starts some that ends the process where
 * it gets none. */
#define THREADS_PROBED_MAX 8
bool thread_are_left(unsigned n);

/* A condition whose timed waits go by the monotonic clock, and a time of that clock to wait
 * until. */
void thread_condition(pthread_cond_t *condition);
struct timespec thread_time_after(int64_t after_us);

#endif
