/* supervisor.c - see supervisor.h. All but the thread's own figures is under the lock. */
#include "cli/supervisor.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "base/thread.h"
#include "cli/progress.h"
#include "operate/notify.h"
#include "operate/signals.h"
#include "pipeline/pipeline.h"

#define LOOK_US INT64_C(200000)
#define STATUS_US INT64_C(5000000)
#define EXTEND_US INT64_C(5000000)     /* so often is more time asked for */
#define EXTEND_BY_US INT64_C(60000000) /* from then on */
#define WORK_SHARE 100                 /* work uses 1 in so many of the time */
#define STATUS_MAX 600

typedef enum stage { STAGE_STARTING, STAGE_RUNNING, STAGE_ENDING, STAGE_BEGINS_ANEW } stage;

struct supervisor {
    notify notify;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    freshet_pipeline *pipeline; /* NULL: it is not open yet, or not any more */
    const char *name;
    stage stage;
    bool is_reloading;
    bool reloading_told;
    bool end;
    /* The thread's own: */
    bool ready_told, stopping_told;
    int64_t status_us, extended_us, watchdog_us; /* when each was sent last */
    int64_t alive_us;                            /* when it was seen to go on */
    int64_t read;                                /* rows, at the last status */
    bool hang_said, status_is_ready;
    pulse pulse;      /* as it was then */
    int64_t work_us;  /* processor time that was used until then */
    long work_blocks; /* blocks that were read and written */
    char status[STATUS_MAX];
};

/* ---- does it go on? -------------------------------------------------------------------------- */

/* Has the process worked since it was seen to go on? */
static bool works(supervisor *supervisor, int64_t now_us)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return true;
    const int64_t used_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) +
                            usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    const long blocks = usage.ru_inblock + usage.ru_oublock;
    const bool has_worked =
        blocks != supervisor->work_blocks ||
        used_us - supervisor->work_us > (now_us - supervisor->alive_us) / WORK_SHARE;
    supervisor->work_us = has_worked ? used_us : supervisor->work_us;
    supervisor->work_blocks = blocks;
    return has_worked;
}

static bool goes_on(supervisor *supervisor, int64_t now_us)
{
    const pulse before = supervisor->pulse;
    const bool has_worked = works(supervisor, now_us);
    bool is_alive = has_worked;
    if (supervisor->pipeline != NULL) {
        supervisor->pulse = pipeline_pulse(supervisor->pipeline);
        is_alive = supervisor->pulse.beats != before.beats || supervisor->pulse.is_resting ||
                   (supervisor->pulse.is_at_long_work && has_worked);
    }
    if (is_alive) {
        supervisor->alive_us = now_us;
        supervisor->hang_said = false;
    }
    return is_alive;
}

/* Once, when half of the time is over in which it should have been seen. */
static void say_hang(supervisor *supervisor, int64_t now_us)
{
    const int64_t limit_us = supervisor->notify.watchdog_us;
    if (supervisor->hang_said || supervisor->pipeline == NULL || limit_us == 0 ||
        now_us - supervisor->alive_us < limit_us / 2)
        return;
    supervisor->hang_said = true;
    log_event(WATCHDOG_WARNS, supervisor->name, (now_us - supervisor->alive_us) / 1000,
              pipeline_is_computing(supervisor->pipeline) ? "reads or computes rows"
                                                          : "delivers rows",
              limit_us / 1000);
}

/* ---- what is told ---------------------------------------------------------------------------- */

static void make_status(supervisor *supervisor, bool is_ready, const freshet_error *why,
                        int64_t now_us, char *into)
{
    text_buffer line;
    counts counts;
    text_init(&line, 2 * STATUS_MAX);
    if (supervisor->stage == STAGE_ENDING)
        text_append_c(&line, "stopping");
    else if (supervisor->stage == STAGE_BEGINS_ANEW)
        text_append_c(&line, "beginning anew with a changed declaration");
    else if (why->text[0] != '\0')
        text_format(&line, "not ready: %s", why->text);
    else if (!is_ready)
        text_append_c(&line, "starting");
    else {
        counts_take(supervisor->pipeline, &counts);
        const int64_t over_us = now_us - supervisor->status_us;
        const double rate = (double)(counts.read - supervisor->read) * 1e6 / (double)over_us;
        progress_line(&counts, supervisor->status_us == 0 ? 0 : rate, &line);
        supervisor->read = counts.read;
    }
    snprintf(into, STATUS_MAX, "%s", line.failed ? "" : line.bytes);
    text_release(&line);
    for (char *at = into; *at != '\0'; at++)
        *at = *at == '\n' ? ' ' : *at;
}

static bool is_ready_now(const supervisor *supervisor, freshet_error *why)
{
    return supervisor->pipeline != NULL && freshet_ready(supervisor->pipeline, why) &&
           supervisor->pulse.has_turned;
}

/* The status where it is due: at once where it is of another kind. */
static void tell_status(supervisor *supervisor, bool is_ready, const freshet_error *why,
                        bool at_once, int64_t now_us)
{
    char status[STATUS_MAX];
    if (!at_once && is_ready == supervisor->status_is_ready && supervisor->status_us != 0 &&
        now_us - supervisor->status_us < STATUS_US)
        return;
    supervisor->status_is_ready = is_ready;
    make_status(supervisor, is_ready, why, now_us, status);
    if (strcmp(status, supervisor->status) != 0 &&
        notify_send(&supervisor->notify, "STATUS=%s", status))
        memcpy(supervisor->status, status, sizeof status);
    supervisor->status_us = now_us;
}

static void tell_stage(supervisor *supervisor, bool is_ready, int64_t now_us)
{
    const notify *notify = &supervisor->notify;
    if (supervisor->is_reloading && !supervisor->reloading_told)
        supervisor->reloading_told =
            notify_send(notify, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, now_us);
    if (supervisor->stage == STAGE_ENDING && !supervisor->stopping_told)
        supervisor->stopping_told = notify_send(notify, "STOPPING=1");
    if (supervisor->stage == STAGE_STARTING && is_ready)
        supervisor->stage = STAGE_RUNNING;
    if (supervisor->stage == STAGE_RUNNING && !supervisor->is_reloading && !supervisor->ready_told)
        supervisor->ready_told = notify_send(notify, "READY=1");
}

static void tell_life(supervisor *supervisor, bool is_alive, int64_t now_us)
{
    const notify *notify = &supervisor->notify;
    if (!is_alive) {
        say_hang(supervisor, now_us);
        return;
    }
    if (supervisor->stage != STAGE_RUNNING && now_us - supervisor->extended_us >= EXTEND_US &&
        notify_send(notify, "EXTEND_TIMEOUT_USEC=%" PRId64, EXTEND_BY_US))
        supervisor->extended_us = now_us;
    if (notify->watchdog_us != 0 &&
        now_us - supervisor->watchdog_us >= notify->watchdog_us / 2 - LOOK_US &&
        notify_send(notify, "WATCHDOG=1"))
        supervisor->watchdog_us = now_us;
}

/* Under the lock. */
static void supervisor_look(supervisor *supervisor)
{
    freshet_error why = {0};
    const int64_t now_us = os.monotonic_us();
    const stage before = supervisor->stage;
    if (signals_caught() != 0 && supervisor->stage != STAGE_BEGINS_ANEW)
        supervisor->stage = STAGE_ENDING;
    const bool is_alive = goes_on(supervisor, now_us);
    const bool is_ready = is_ready_now(supervisor, &why);
    const bool at_once = supervisor->stage != before || supervisor->is_reloading;
    if (is_ready || supervisor->ready_told || why.text[0] != '\0' || supervisor->status_us == 0 ||
        at_once)
        tell_status(supervisor, is_ready, &why, at_once, now_us);
    tell_stage(supervisor, is_ready, now_us);
    tell_life(supervisor, is_alive, now_us);
}

static void *supervisor_main(void *context)
{
    supervisor *supervisor = context;
    pthread_mutex_lock(&supervisor->lock);
    while (!supervisor->end) {
        supervisor_look(supervisor);
        const struct timespec until = thread_time_after(LOOK_US);
        pthread_cond_timedwait(&supervisor->wake, &supervisor->lock, &until);
    }
    supervisor_look(supervisor);
    pthread_mutex_unlock(&supervisor->lock);
    return NULL;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void supervisor_free(supervisor *supervisor)
{
    pthread_cond_destroy(&supervisor->wake);
    pthread_mutex_destroy(&supervisor->lock);
    notify_close(&supervisor->notify);
    free(supervisor);
}

supervisor *supervisor_start(void)
{
    notify notify;
    freshet_error err = {0};
    if (notify_open(&notify, &err) != FRESHET_OK)
        log_event(SUPERVISOR_PROBLEM, NULL, err.at, err.text);
    supervisor *supervisor = notify.fd < 0 ? NULL : calloc(1, sizeof *supervisor);
    if (supervisor == NULL) {
        notify_close(&notify);
        return NULL;
    }
    supervisor->notify = notify;
    supervisor->alive_us = supervisor->extended_us = os.monotonic_us();
    pthread_mutex_init(&supervisor->lock, NULL);
    thread_condition(&supervisor->wake);
    if (thread_start(&supervisor->thread, supervisor_main, supervisor))
        return supervisor;
    log_event(SUPERVISOR_UNTOLD, NULL);
    supervisor_free(supervisor);
    return NULL;
}

void supervisor_watch(supervisor *supervisor, freshet_pipeline *pipeline, const char *name)
{
    if (supervisor == NULL)
        return;
    pthread_mutex_lock(&supervisor->lock);
    supervisor->pipeline = pipeline;
    supervisor->name = name;
    pthread_mutex_unlock(&supervisor->lock);
}

void supervisor_reloading(supervisor *supervisor)
{
    if (supervisor == NULL)
        return;
    pthread_mutex_lock(&supervisor->lock);
    supervisor->is_reloading = true;
    supervisor->reloading_told = supervisor->ready_told = false;
    pthread_cond_signal(&supervisor->wake);
    pthread_mutex_unlock(&supervisor->lock);
}

void supervisor_reloaded(supervisor *supervisor)
{
    if (supervisor == NULL)
        return;
    pthread_mutex_lock(&supervisor->lock);
    if (!supervisor->reloading_told)
        supervisor_look(supervisor);
    supervisor->is_reloading = false;
    pthread_cond_signal(&supervisor->wake);
    pthread_mutex_unlock(&supervisor->lock);
}

void supervisor_leave(supervisor *supervisor, bool goes_on)
{
    if (supervisor == NULL)
        return;
    pthread_mutex_lock(&supervisor->lock);
    supervisor->pipeline = NULL;
    supervisor->stage = goes_on ? STAGE_BEGINS_ANEW : STAGE_ENDING;
    pthread_cond_signal(&supervisor->wake);
    pthread_mutex_unlock(&supervisor->lock);
}

void supervisor_end(supervisor *supervisor)
{
    if (supervisor == NULL)
        return;
    pthread_mutex_lock(&supervisor->lock);
    supervisor->end = true;
    pthread_cond_signal(&supervisor->wake);
    pthread_mutex_unlock(&supervisor->lock);
    pthread_join(supervisor->thread, NULL);
    supervisor_free(supervisor);
}
