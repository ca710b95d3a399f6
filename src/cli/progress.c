/* progress.c - see progress.h. A thread draws the live view a few times a second, or wakes every
 * few seconds and speaks where something has changed. */
#include "cli/progress.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

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
    int64_t interval_us;
    live_view *view; /* or plain lines: */
    counts before;   /* of the last line */
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
    into->again = freshet_counter(pipeline, FRESHET_ROWS_AGAIN);
    into->refused = freshet_counter(pipeline, FRESHET_ROWS_REFUSED);
    into->expired = freshet_counter(pipeline, FRESHET_ROWS_EXPIRED);
    into->replaced = freshet_counter(pipeline, FRESHET_ROWS_REPLACED);
    into->dead = freshet_counter(pipeline, FRESHET_DEAD_LETTERS);
    into->newest_event_us = freshet_counter(pipeline, FRESHET_NEWEST_EVENT_US);
    into->lag_bytes = freshet_counter(pipeline, FRESHET_LAG_BYTES);
    into->table_rows = freshet_counter(pipeline, FRESHET_TABLE_ROWS);
    into->table_trimmed = freshet_counter(pipeline, FRESHET_TABLE_TRIMMED);
    into->repeated = freshet_counter(pipeline, FRESHET_ROWS_REPEATED);
    into->late = freshet_counter(pipeline, FRESHET_ROWS_LATE);
    into->past_left = freshet_counter(pipeline, FRESHET_BOOTSTRAP_LEFT);
    into->past_rows = freshet_counter(pipeline, FRESHET_BOOTSTRAP_ROWS);
    into->batch_left = freshet_counter(pipeline, FRESHET_BATCH_LEFT);
    into->batch_rows = freshet_counter(pipeline, FRESHET_BATCH_ROWS);
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

/* What both forms tell, with `between` (of so many bytes) between two. */
static void append_pieces(const counts *counts, double per_second, const char *read,
                          const char *between, size_t length, text_buffer *into)
{
    text_append_count_of(into, counts->read, "row");
    text_append_c(into, read);
    text_append(into, between, length);
    text_append_count(into, (int64_t)per_second);
    text_append_c(into, " rows/s");
    text_append(into, between, length);
    if (counts->newest_event_us != INT64_MIN) {
        text_append_c(into, "newest event ");
        append_time(into, counts->newest_event_us);
        text_append(into, between, length);
    }
    if (counts->past_left != 0) {
        text_append_c(into, "bootstrap ");
        if (counts->past_left > 0) {
            text_append_count(into, counts->past_rows - counts->past_left);
            text_append_c(into, " of ");
        }
        text_append_count_of(into, counts->past_rows, "row");
        text_append_c(into, counts->past_left < 0 ? " to sort" : "");
        text_append(into, between, length);
    }
    if (counts->batch_left > 0) {
        text_append_c(into, "computed ");
        text_append_count(into, counts->batch_rows - counts->batch_left);
        text_append_c(into, " of ");
        text_append_count_of(into, counts->batch_rows, "row");
        text_append(into, between, length);
    }
    if (counts->lag_bytes >= 0) {
        text_append_c(into, "lag ");
        text_append_bytes(into, counts->lag_bytes);
        text_append(into, between, length);
    }
    text_append_count_of(into, counts->dead, "dead letter");
}

void progress_line(const counts *counts, double per_second, text_buffer *into)
{
    append_pieces(counts, per_second, " read", ", ", 2, into);
}

void progress_parts(const counts *counts, double per_second, text_buffer *into)
{
    append_pieces(counts, per_second, "", "\0", 1, into);
    text_append_char(into, '\0');
    text_append_c(into, counts->table_trimmed > 0 ? "table full at " : "table ");
    text_append_count_of(into, counts->table_rows, "row");
    text_append_char(into, '\0');
}

static void say_line(const progress *progress, const counts *counts, double per_second)
{
    text_buffer line;
    const int64_t numbers[] = {counts->read,
                               (int64_t)per_second,
                               counts->newest_event_us,
                               counts->lag_bytes < 0 ? INT64_MIN : counts->lag_bytes,
                               counts->dead,
                               counts->written,
                               counts->past_rows,
                               counts->past_left < 0 ? INT64_MIN : counts->past_left,
                               counts->batch_rows,
                               counts->batch_left};
    text_init(&line, 1024);
    progress_line(counts, per_second, &line);
    if (!line.failed)
        log_event_more(EVENT_PROGRESS, progress->name, numbers, line.bytes);
    text_release(&line);
}

/* Waits until the time is over, or the end is asked for: true. */
static bool wait_for_end(progress *progress, int64_t for_us)
{
    const struct timespec until = thread_time_after(for_us);
    int waited = 0;
    pthread_mutex_lock(&progress->lock);
    while (!progress->stop && waited == 0)
        waited = pthread_cond_timedwait(&progress->wake, &progress->lock, &until);
    bool stop = progress->stop;
    pthread_mutex_unlock(&progress->lock);
    return stop;
}

/* A line where anything has changed since the last one. */
static void tell_plainly(progress *progress)
{
    const counts before = progress->before;
    counts now;
    counts_take(progress->pipeline, &now);
    if (now.read == before.read && now.written == before.written && now.dead == before.dead &&
        now.batch_left == before.batch_left)
        return;
    rate rate = {.n = 0};
    rate_add(&rate, before.at_us, before.read);
    rate_add(&rate, now.at_us, now.read);
    say_line(progress, &now, rate_per_second(&rate));
    progress->before = now;
}

static void *progress_thread(void *context)
{
    progress *progress = context;
    const bool live = progress->view != NULL;
    const int64_t interval_us = live ? PROGRESS_FRAME_US : progress->interval_us;
    if (live)
        live_view_refresh(progress->view);
    while (!wait_for_end(progress, interval_us)) {
        if (live)
            live_view_refresh(progress->view);
        else
            tell_plainly(progress);
    }
    return NULL;
}

static freshet_code start_thread(progress *progress, progress_mode mode, freshet_error *err)
{
    progress->has_thread = thread_start(&progress->thread, progress_thread, progress);
    if (progress->has_thread)
        return FRESHET_OK;
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "cannot start the thread %s",
                     mode == PROGRESS_LIVE ? "of the live view; try --progress plain"
                                           : "that reports progress; try --progress none");
}

freshet_code progress_start(freshet_pipeline *pipeline, progress_mode mode, int64_t interval_us,
                            const char *name, const char *feature_set, progress **out,
                            freshet_error *err)
{
    progress *progress = calloc(1, sizeof *progress);
    if (progress == NULL)
        return error_memory(err, "starting to report progress");
    progress->pipeline = pipeline;
    progress->name = name;
    progress->interval_us = interval_us;
    progress->before.at_us = os.monotonic_us();
    pthread_mutex_init(&progress->lock, NULL);
    thread_condition(&progress->wake);
    freshet_code code = FRESHET_OK;
    if (mode == PROGRESS_LIVE)
        code = live_view_open(pipeline, feature_set, &progress->view, err);
    if (code == FRESHET_OK && mode != PROGRESS_NONE)
        code = start_thread(progress, mode, err);
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
    live_view_close(progress->view, keep_view);
    pthread_cond_destroy(&progress->wake);
    pthread_mutex_destroy(&progress->lock);
    free(progress);
}
