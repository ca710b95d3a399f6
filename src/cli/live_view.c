/* live_view.c - see live_view.h. The frame that was drawn last is kept as text with its number of
 * lines; drawing again moves the cursor up by as many, writes each line over the old one and clears
 * what is left. After a change of the terminal's size lines may have been wrapped anew, so the
 * screen is cleared. One mutex guards the frame and the order of what goes to the terminal; it is
 * never held while the pipeline is asked or a line is logged.
 */
#define _GNU_SOURCE
#include "cli/live_view.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "cli/cli.h"
#include "cli/layout.h"
#include "cli/newest.h"
#include "cli/progress.h"

#define FRAME_BYTES_MAX ((size_t)4 << 20)
#define HIDE_CURSOR "\x1b[?25l"
#define SHOW_CURSOR "\x1b[?25h"

struct live_view {
    freshet_pipeline *pipeline;
    char title[256];
    newest *newest;
    int64_t table_of; /* rows that the table had got when it was asked for; -1 before */
    int64_t ask_after_us;
    rate rate;

    pthread_mutex_t lock;
    text_buffer frame; /* as drawn last */
    uint32_t n_lines;
};

static atomic_bool cursor_hidden; /* both are touched by handlers and by the view's thread */
static atomic_bool size_changed;
static struct sigaction old_winch;
static struct sigaction old_stop;

/* ---- the terminal ---- */

static void terminal_write(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = os.write(STDERR_FILENO, bytes, length);
        if (written <= 0)
            return; /* the terminal has gone; the run need not end for it */
        bytes += written;
        length -= (size_t)written;
    }
}

void live_view_restore(void)
{
    if (!atomic_exchange(&cursor_hidden, false))
        return;
    ssize_t written = write(STDERR_FILENO, SHOW_CURSOR, sizeof SHOW_CURSOR - 1);
    (void)written;
}

static void on_size(int signal_number)
{
    (void)signal_number;
    atomic_store(&size_changed, true);
}

static void on_stop(int signal_number)
{
    (void)signal_number;
    bool hidden = atomic_load(&cursor_hidden);
    live_view_restore();
    raise(SIGSTOP);
    if (!hidden)
        return;
    atomic_store(&cursor_hidden, true);
    atomic_store(&size_changed, true);
    ssize_t written = write(STDERR_FILENO, HIDE_CURSOR, sizeof HIDE_CURSOR - 1);
    (void)written;
}

static void terminal_take(void)
{
    struct sigaction action = {.sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_size;
    sigaction(SIGWINCH, &action, &old_winch);
    action.sa_handler = on_stop;
    sigaction(SIGTSTP, &action, &old_stop);
    atomic_store(&cursor_hidden, true);
    terminal_write(HIDE_CURSOR, sizeof HIDE_CURSOR - 1);
}

static void terminal_give_back(void)
{
    live_view_restore();
    sigaction(SIGWINCH, &old_winch, NULL);
    sigaction(SIGTSTP, &old_stop, NULL);
}

static void terminal_size(uint32_t *width, uint32_t *height)
{
    struct winsize size;
    *width = 80;
    *height = 24;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0)
        return;
    if (size.ws_col > 0)
        *width = size.ws_col;
    if (size.ws_row > 0)
        *height = size.ws_row;
}

/* ---- drawing; the lock is held ---- */

static void append_up(text_buffer *into, uint32_t n_lines)
{
    text_append_c(into, "\r");
    if (n_lines > 0)
        text_format(into, "\x1b[%uA", n_lines);
}

/* The frame's lines, each clearing what is behind it. */
static void append_frame(text_buffer *into, const text_buffer *frame)
{
    const char *line = frame->bytes;
    const char *end = line == NULL ? NULL : line + frame->length;
    while (line != end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        text_append(into, line, (size_t)(newline - line));
        text_append_c(into, "\x1b[K\n");
        line = newline + 1;
    }
    text_append_c(into, "\x1b[J");
}

static void draw(live_view *view, const char *log_line)
{
    text_buffer out;
    text_init(&out, FRAME_BYTES_MAX);
    append_up(&out, view->n_lines);
    if (log_line != NULL) {
        text_append_c(&out, "\x1b[J");
        text_append_c(&out, log_line);
    }
    append_frame(&out, &view->frame);
    if (!out.failed)
        terminal_write(out.bytes, out.length);
    text_release(&out);
}

static void on_log(void *context, const char *line)
{
    live_view *view = context;
    pthread_mutex_lock(&view->lock);
    draw(view, line);
    pthread_mutex_unlock(&view->lock);
}

/* ---- asking ---- */

/* Rows that have become visible; rows written may still be gathered. */
static int64_t rows_shown(const counts *now)
{
    return now->table_rows + now->table_trimmed;
}

static void live_view_ask(live_view *view, const counts *now)
{
    uint32_t width;
    uint32_t height;
    terminal_size(&width, &height);
    const bool good = newest_ask(view->newest, now, layout_rows(height - 1));
    view->table_of = good ? rows_shown(now) : -1;
    int64_t end_us = os.monotonic_us();
    view->ask_after_us = end_us + (end_us - now->at_us) * LIVE_VIEW_REST;
}

static void make_frame(live_view *view, const counts *now)
{
    uint32_t width;
    uint32_t height;
    /* before the size is read: a change after it is seen the next time */
    bool resized = atomic_exchange(&size_changed, false);
    terminal_size(&width, &height);
    view_frame frame = {.title = view->title,
                        .table = *newest_table(view->newest),
                        .width = width,
                        .height = height - 1,
                        .styled = getenv("NO_COLOR") == NULL};
    text_buffer parts;
    text_init(&parts, 4096);
    progress_parts(now, rate_per_second(&view->rate), &parts);
    for (size_t at = 0; at < parts.length && frame.n_parts < LAYOUT_PARTS_MAX;
         at += strlen(parts.bytes + at) + 1)
        frame.parts[frame.n_parts++] = parts.bytes + at;

    text_buffer made;
    text_init(&made, FRAME_BYTES_MAX);
    uint32_t n_lines = layout_frame(&frame, &made);
    pthread_mutex_lock(&view->lock);
    if (!made.failed) {
        uint32_t n_before = view->n_lines;
        text_buffer frame_before = view->frame;
        view->frame = made;
        made = frame_before;
        if (resized) {
            terminal_write("\x1b[H\x1b[2J", 7);
            n_before = 0;
        }
        view->n_lines = n_before;
        draw(view, NULL);
        view->n_lines = n_lines;
    }
    pthread_mutex_unlock(&view->lock);
    text_release(&made);
    text_release(&parts);
}

static void refresh(live_view *view, bool last)
{
    counts now;
    counts_take(view->pipeline, &now);
    rate_add(&view->rate, now.at_us, now.read);
    if (rows_shown(&now) != view->table_of && (last || now.at_us >= view->ask_after_us))
        live_view_ask(view, &now);
    make_frame(view, &now);
}

void live_view_refresh(live_view *view)
{
    refresh(view, false);
}

/* ---- opening and closing ---- */

static void view_free(live_view *view)
{
    newest_close(view->newest);
    text_release(&view->frame);
    pthread_mutex_destroy(&view->lock);
    free(view);
}

freshet_code live_view_open(freshet_pipeline *pipeline, const char *feature_set, live_view **out,
                            freshet_error *err)
{
    live_view *view = calloc(1, sizeof *view);
    if (view == NULL)
        return error_memory(err, "starting the live view");
    view->pipeline = pipeline;
    view->table_of = -1;
    snprintf(view->title, sizeof view->title, "%s: the newest row of each key", feature_set);
    text_init(&view->frame, FRAME_BYTES_MAX);
    pthread_mutex_init(&view->lock, NULL);
    freshet_code code =
        newest_open(pipeline, feature_set, NEWEST_SLOW_US, NEWEST_FEW_ROWS, &view->newest, err);
    if (code != FRESHET_OK) {
        view_free(view);
        return code;
    }
    terminal_take();
    log_hook(on_log, view);
    *out = view;
    return FRESHET_OK;
}

void live_view_close(live_view *view, bool keep)
{
    if (view == NULL)
        return;
    log_hook(NULL, NULL);
    if (keep) {
        refresh(view, true);
    } else {
        text_reset(&view->frame);
        draw(view, NULL);
    }
    terminal_give_back();
    view_free(view);
}
