/* progress.c - see progress.h. Plain lines come from a thread that wakes every few seconds and
 * speaks only when something has changed. */
#include "cli/progress.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "base/thread.h"
#include "cli/cli.h"
#include "cli/layout.h"
#include "cli/live_view.h"

struct progress {
    freshet_pipeline *pipeline;
    const char *name;
    live_view *view;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
};

void counts_take(const freshet_pipeline *pipeline, counts *into)
{
    into->at_us = os.monotonic_us();
    into->read = freshet_counter(pipeline, FRESHET_ROWS_READ);
    into->written = freshet_counter(pipeline, FRESHET_ROWS_WRITTEN);
    into->dead = freshet_counter(pipeline, FRESHET_DEAD_LETTERS);
    into->newest_event_us = freshet_counter(pipeline, FRESHET_NEWEST_EVENT_US);
    into->lag_bytes = freshet_counter(pipeline, FRESHET_LAG_BYTES);
    into->table_rows = freshet_counter(pipeline, FRESHET_TABLE_ROWS);
    into->table_trimmed = freshet_counter(pipeline, FRESHET_TABLE_TRIMMED);
    into->repeated = freshet_counter(pipeline, FRESHET_ROWS_REPEATED);
    into->late = freshet_counter(pipeline, FRESHET_ROWS_LATE);
}

void rate_add(rate *rate, int64_t at_us, int64_t rows)
{
    if (rate->n == RATE_SAMPLES) {
        memmove(rate->at_us, rate->at_us + 1, (RATE_SAMPLES - 1) * sizeof rate->at_us[0]);
        memmove(rate->rows, rate->rows + 1, (RATE_SAMPLES - 1) * sizeof rate->rows[0]);
        rate->n--;
    }
    rate->at_us[rate->n] = at_us;
    rate->rows[rate->n] = rows;
    rate->n++;
}

double rate_per_second(const rate *rate)
{
    if (rate->n < 2)
        return 0.0;
    int64_t us = rate->at_us[rate->n - 1] - rate->at_us[0];
    int64_t rows = rate->rows[rate->n - 1] - rate->rows[0];
    return us <= 0 ? 0.0 : (double)rows * 1e6 / (double)us;
}

static void append_time(text_buffer *into, int64_t time_us)
{
    text_buffer time;
    text_init(&time, 64);
    text_append_timestamp(&time, time_us);
    if (!time.failed) {
        layout_shorten_time(time.bytes);
        text_append_c(into, time.bytes);
    }
    text_release(&time);
}

static void append_dead(text_buffer *into, int64_t dead)
{
    text_append_count(into, dead);
    text_append_c(into, dead == 1 ? " dead letter" : " dead letters");
}

static void append_rows(text_buffer *into, int64_t rows, const char *what)
{
    text_append_count(into, rows);
    text_format(into, "%s%s", rows == 1 ? " row" : " rows", what);
}

void progress_line(const counts *counts, double per_second, text_buffer *into)
{
    append_rows(into, counts->read, " read, ");
    text_append_count(into, (int64_t)per_second);
    text_append_c(into, " rows/s");
    if (counts->newest_event_us != INT64_MIN) {
        text_append_c(into, ", newest event ");
        append_time(into, counts->newest_event_us);
    }
    if (counts->lag_bytes >= 0) {
        text_append_c(into, ", lag ");
        text_append_bytes(into, counts->lag_bytes);
    }
    text_append_c(into, ", ");
    append_dead(into, counts->dead);
}

void progress_parts(const counts *counts, double per_second, text_buffer *into)
{
    append_rows(into, counts->read, "");
    text_append_char(into, '\0');
    text_append_count(into, (int64_t)per_second);
    text_append_c(into, " rows/s");
    text_append_char(into, '\0');
    if (counts->newest_event_us != INT64_MIN) {
        text_append_c(into, "newest event ");
        append_time(into, counts->newest_event_us);
        text_append_char(into, '\0');
    }
    if (counts->lag_bytes >= 0) {
        text_append_c(into, "lag ");
        text_append_bytes(into, counts->lag_bytes);
        text_append_char(into, '\0');
    }
    append_dead(into, counts->dead);
    text_append_char(into, '\0');
    text_append_c(into, counts->table_trimmed > 0 ? "table full at " : "table ");
    append_rows(into, counts->table_rows, "");
    text_append_char(into, '\0');
}

/* Waits until the time or until the end is asked for; true at the end. */
static bool wait_for_end(progress *progress, int64_t for_us)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += for_us / 1000000;
    pthread_mutex_lock(&progress->lock);
    int waited = 0;
    while (!progress->stop && waited == 0)
        waited = pthread_cond_timedwait(&progress->wake, &progress->lock, &until);
    bool stop = progress->stop;
    pthread_mutex_unlock(&progress->lock);
    return stop;
}

static void say_line(const progress *progress, const counts *counts, double per_second)
{
    text_buffer line;
    text_init(&line, 1024);
    progress_line(counts, per_second, &line);
    if (!line.failed)
        log_say(LOG_INFO, progress->name, "%s", line.bytes);
    text_release(&line);
}

static void *plain_thread(void *context)
{
    progress *progress = context;
    /* The run may have begun before this thread has: nothing has been said of its first rows. */
    counts before;
    counts_take(progress->pipeline, &before);
    before.read = before.written = before.dead = 0;
    while (!wait_for_end(progress, PROGRESS_INTERVAL_US)) {
        counts now;
        counts_take(progress->pipeline, &now);
        if (now.read == before.read && now.written == before.written && now.dead == before.dead)
            continue;
        rate rate = {.n = 0};
        rate_add(&rate, before.at_us, before.read);
        rate_add(&rate, now.at_us, now.read);
        say_line(progress, &now, rate_per_second(&rate));
        before = now;
    }
    return NULL;
}

static freshet_code start_plain(progress *progress, freshet_error *err)
{
    if (!thread_start(&progress->thread, plain_thread, progress))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "cannot start the thread that reports progress; try --progress none");
    progress->has_thread = true;
    return FRESHET_OK;
}

freshet_code progress_start(freshet_pipeline *pipeline, progress_mode mode, const char *name,
                            const char *feature_set, progress **out, freshet_error *err)
{
    progress *progress = calloc(1, sizeof *progress);
    if (progress == NULL)
        return error_memory(err, "starting to report progress");
    progress->pipeline = pipeline;
    progress->name = name;
    pthread_mutex_init(&progress->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&progress->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    freshet_code code = FRESHET_OK;
    if (mode == PROGRESS_LIVE)
        code = live_view_start(pipeline, feature_set, &progress->view, err);
    else if (mode == PROGRESS_PLAIN)
        code = start_plain(progress, err);
    if (code != FRESHET_OK) {
        progress_stop(progress, false);
        return code;
    }
    *out = progress;
    return FRESHET_OK;
}

void progress_stop(progress *progress, bool keep_view)
{
    if (progress == NULL)
        return;
    if (progress->has_thread) {
        pthread_mutex_lock(&progress->lock);
        progress->stop = true;
        pthread_cond_signal(&progress->wake);
        pthread_mutex_unlock(&progress->lock);
        pthread_join(progress->thread, NULL);
    }
    live_view_stop(progress->view, keep_view);
    pthread_cond_destroy(&progress->wake);
    pthread_mutex_destroy(&progress->lock);
    free(progress);
}
