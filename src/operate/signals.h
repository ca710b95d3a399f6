/* signals.h - SIGTERM and SIGINT end a run in good order; a second one ends it at once.
 *
 * The first signal calls stop(context), which must be safe in a signal handler (freshet_stop is);
 * the run then finishes its micro-batch and returns. Others within a second of it are the same one:
 * a terminal, a shell and a supervisor may each pass it on. A later one writes one line to stderr
 * and leaves with 128 + the signal's number. SIGPIPE is ignored, so that a closed output is an
 * error of write(2).
 *
 * Where signals_on_stuck says how to see that the run is stuck in what may be given up at any
 * moment, it is looked at five times a second after the first signal; stuck for nearly a second,
 * the process says so and leaves with 0.
 *
 * SIGHUP, where signals_on_hangup says what it means, calls hangup(context), likewise; but where
 * the process had a terminal that has gone, it is what it was always meant to say, and the same as
 * SIGTERM. Where it was ignored at the start (nohup) it stays so.
 *
 * One pipeline a process. The threads that Freshet starts block all signals, so that handlers run
 * in the program's own.
 */
#ifndef FRESHET_OPERATE_SIGNALS_H
#define FRESHET_OPERATE_SIGNALS_H

#include <freshet/freshet.h>
#include <stdbool.h>

freshet_code signals_install(void (*stop)(void *context), void *context, freshet_error *err);

/* What the second signal calls before it leaves (NULL: nothing), safe in a signal handler: to give
 * a terminal back. */
void signals_on_abort(void (*last)(void));

/* `stuck` gets the context of stop, is safe in a signal handler, and is forgotten by
 * signals_remove. */
void signals_on_stuck(bool (*stuck)(void *context));

/* After signals_install; NULL: SIGHUP does nothing from now on. Lets SIGHUP through, where it was
 * blocked. */
freshet_code signals_on_hangup(void (*hangup)(void *context), void *context, freshet_error *err);

/* The handlers stay, and note what they catch, but call nothing any more. */
void signals_note_only(void);

/* Puts the handlers back that were there before; but where a signal has been caught they stay, so
 * that the same one passed on by somebody else does not end the process on its way out. `stop` is
 * not called any more. */
void signals_remove(void);

/* The signal that asked for the end, 0 before. Any thread. */
int signals_caught(void);

#endif
