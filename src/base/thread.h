/* thread.h - starting threads that leave signals alone. */
#ifndef FRESHET_BASE_THREAD_H
#define FRESHET_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* A thread in which all signals are blocked, so that handlers run in the program's own threads.
 * False where the system gives none. */
bool thread_start(pthread_t *thread, void *(*run)(void *context), void *context);

#endif
