/* supervisor.h - tells whoever supervises a run (systemd) how it is, by the notify protocol
 * (operate/notify.h).
 *
 *   READY=1      once a turn of the loop has gone well, and `freshet status` says ready
 *   STATUS=...   what it does, in one line: when that changes, and each STATUS_US
 *   WATCHDOG=1   twice within WATCHDOG_USEC, while the run goes on: its loop comes by, or rests
 *                between two tries, or a writer waits for its store; or it is at work that takes as
 *                long as there is data, and the process uses its processor or disk. A loop that
 *                hangs is silent, and the supervisor ends it
 *   EXTEND_TIMEOUT_USEC  while it starts (state is restored, a store that is down is waited for) or
 *                comes to its end, and goes on in the same sense
 *   RELOADING=1  while a changed declaration is looked at and taken (reload.h)
 *   STOPPING=1   with the signal that ends it, or when it ends by itself
 *
 * A thread does all of it. Order of calls: start, {watch, leave} once, end; NULL is fine for all,
 * and is what there is where nobody supervises.
 */
#ifndef FRESHET_CLI_SUPERVISOR_H
#define FRESHET_CLI_SUPERVISOR_H

#include <freshet/freshet.h>
#include <stdbool.h>

typedef struct supervisor supervisor;

/* Before the pipeline is opened. NULL where nobody supervises; what is wrong with the variables of
 * the environment is told in the log. */
supervisor *supervisor_start(void);

/* The pipeline is open, and about to run; `name` in messages. */
void supervisor_watch(supervisor *supervisor, freshet_pipeline *pipeline, const char *name);

/* A changed declaration is looked at; and the answer is no. */
void supervisor_reloading(supervisor *supervisor);
void supervisor_reloaded(supervisor *supervisor);

/* The run has come to its end; the pipeline is not looked at any more. `goes_on`: the process
 * begins anew, which is no stop. */
void supervisor_leave(supervisor *supervisor, bool goes_on);

void supervisor_end(supervisor *supervisor);

#endif
