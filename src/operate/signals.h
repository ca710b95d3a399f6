/* signals.h - SIGTERM and SIGINT end a run in good order; a second one ends it at once.
 *
 * The first signal calls stop(context), which must be safe in a signal handler (freshet_stop is);
 * the run then finishes its micro-batch and returns. The second writes one line to stderr and
 * leaves with 128 + the signal's number. SIGPIPE is ignored, so that a closed output is an error of
 * write(2).
 *
 * One pipeline a process. The threads that Freshet starts block all signals, so that handlers run
 * in the program's own.
 */
#ifndef FRESHET_OPERATE_SIGNALS_H
#define FRESHET_OPERATE_SIGNALS_H

#include <freshet/freshet.h>

freshet_code signals_install(void (*stop)(void *context), void *context, freshet_error *err);

/* What the second signal calls before it leaves (NULL: nothing), safe in a signal handler: to give
 * a terminal back. */
void signals_on_abort(void (*last)(void));

/* Puts the handlers back that were there before. */
void signals_remove(void);

/* The signal that asked for the end, 0 before. Any thread. */
int signals_caught(void);

#endif
