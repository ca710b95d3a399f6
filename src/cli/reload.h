/* reload.h - SIGHUP to a run: its log files are opened again, and its declaration is read again.
 *
 * A DECLARATION THAT HAS CHANGED is given to `freshet plan --detailed-exitcode`, in a process of
 * its own and of the binary that lies there now, while the stream goes on. Where that says that
 * the state, the tables and the histories serve it as they are, the run takes its last checkpoint
 * and the process begins anew (exec), with the same arguments, process number, descriptors 0 to 2
 * and supervisor: what a stop and a start would do, so that each row counts once. Else the log
 * says what is in the way, and the run goes on as it was.
 *
 * Runs that keep no state, or have an end, only open their logs again.
 *
 * A SIGHUP that comes since the terminal of the run has gone (signals.h) ends it.
 *
 * Order of calls: start once the signals are taken, end before the pipeline is closed, exec behind
 * all.
 */
#ifndef FRESHET_CLI_RELOAD_H
#define FRESHET_CLI_RELOAD_H

#include <freshet/freshet.h>
#include <stdbool.h>

#include "cli/supervisor.h"

typedef struct reload reload;

/* A copy of the declaration's file as it is now: taken before it is loaded. NULL where it cannot
 * be read. */
char *reload_read(const char *file);

typedef struct reload_of {
    const char *file;    /* the declaration */
    const char *read;    /* as it was read, by reload_read */
    const char *name;    /* for messages */
    const char *state;   /* --state; NULL: the declaration's */
    const char *why_not; /* why this run does not take a changed declaration; NULL: it does */
    freshet_pipeline *pipeline;
    supervisor *supervisor;
} reload_of;

freshet_code reload_start(const reload_of *of, reload **out, freshet_error *err);

/* SIGHUP does nothing any more. True: the process is to begin anew. NULL is fine. */
bool reload_end(reload *reload);

/* Begins anew, unless a signal asked for the end: then, and where the system does not let it, this
 * returns. */
freshet_code reload_exec(freshet_error *err);

/* At the start of a run: takes up the signals that reload_exec has held back, keeps SIGHUP until it
 * can be answered, and notes the binary and the log files. */
void reload_take_up(void);

#endif
