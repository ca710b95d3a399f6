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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "cli/cli.h"
#include "cli/layout.h"
#include "cli/progress.h"

#define TAIL_FROM_ROWS 50000
#define FRAME_BYTES_MAX ((size_t)4 << 20)
#define HIDE_CURSOR "\x1b[?25l"
#define SHOW_CURSOR "\x1b[?25h"

struct live_view {
    freshet_pipeline *pipeline;
    const char *title;
    char *whole_query; /* the newest rows, from the view `..._latest` */
    char *tail_query;  /* the same, looking at the end of the table only */
    uint32_t n_columns;
    uint32_t n_left_out;

    arena *lasting; /* the texts above */
    arena *rows;    /* the cells of the last answer */
    view_table table;
    int64_t table_of; /* rows written when the table was asked for; -1 before */
    int64_t ask_after_us;
    rate rate;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    text_buffer frame; /* as drawn last */
    uint32_t n_lines;
};

static volatile sig_atomic_t cursor_hidden;
static volatile sig_atomic_t size_changed;
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
    if (!cursor_hidden)
        return;
    cursor_hidden = 0;
    ssize_t written = write(STDERR_FILENO, SHOW_CURSOR, sizeof SHOW_CURSOR - 1);
    (void)written;
}

static void on_size(int signal_number)
{
    (void)signal_number;
    size_changed = 1;
}

static void on_stop(int signal_number)
{
    (void)signal_number;
    bool hidden = cursor_hidden != 0;
    live_view_restore();
    raise(SIGSTOP);
    if (!hidden)
        return;
    cursor_hidden = 1;
    size_changed = 1;
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
    cursor_hidden = 1;
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

static bool keep_rows(live_view *view, freshet_result *result)
{
    uint32_t n_columns = freshet_result_columns(result);
    uint32_t n_rows = 0;
    const char **cells =
        arena_zero(view->rows, (size_t)LIVE_VIEW_ROWS_MAX * n_columns, sizeof *cells);
    if (cells == NULL || n_columns != view->n_columns)
        return false;
    while (n_rows < LIVE_VIEW_ROWS_MAX && freshet_result_next(result, NULL) == FRESHET_OK) {
        for (uint32_t i = 0; i < n_columns; i++) {
            char *cell = arena_text(view->rows, freshet_result_text(result, i));
            if (cell != NULL)
                layout_shorten_time(cell);
            cells[(size_t)n_rows * n_columns + i] = cell;
        }
        n_rows++;
    }
    view->table.n_rows = n_rows;
    view->table.cells = cells;
    return true;
}

static void ask(live_view *view, const counts *now)
{
    const char *query = now->table_rows > TAIL_FROM_ROWS ? view->tail_query : view->whole_query;
    freshet_query_options options = {.size = sizeof options, .timeout_us = 2000000};
    freshet_result *result = NULL;
    if (freshet_query(view->pipeline, query, &options, &result, NULL) == FRESHET_OK) {
        view->table.n_rows = 0;
        arena_reset(view->rows);
        if (keep_rows(view, result))
            view->table_of = now->written;
    }
    freshet_result_close(result);
    int64_t end_us = os.monotonic_us();
    view->ask_after_us = end_us + (end_us - now->at_us) * LIVE_VIEW_REST;
}

static void make_frame(live_view *view, const counts *now)
{
    uint32_t width;
    uint32_t height;
    terminal_size(&width, &height);
    view_frame frame = {.title = view->title,
                        .table = view->table,
                        .n_left_out = view->n_left_out,
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
        if (size_changed) {
            size_changed = 0;
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
    if (now.written != view->table_of && (last || now.at_us >= view->ask_after_us))
        ask(view, &now);
    make_frame(view, &now);
}

static bool wait_for_end(live_view *view)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LIVE_VIEW_INTERVAL_US * 1000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&view->lock);
    int waited = 0;
    while (!view->stop && waited == 0)
        waited = pthread_cond_timedwait(&view->wake, &view->lock, &until);
    bool stop = view->stop;
    pthread_mutex_unlock(&view->lock);
    return stop;
}

static void *view_thread(void *context)
{
    live_view *view = context;
    do
        refresh(view, false);
    while (!wait_for_end(view));
    return NULL;
}

/* ---- opening and closing ---- */

/* `"name"` with quotes in it doubled. */
static void append_name(text_buffer *into, const char *name)
{
    text_append_char(into, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"')
            text_append_char(into, '"');
        text_append_char(into, *name);
    }
    text_append_char(into, '"');
}

static void append_names(text_buffer *into, const live_view *view, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        text_append_c(into, i == 0 ? "" : ", ");
        append_name(into, freshet_output_name(view->pipeline, i));
    }
}

static uint32_t count_keys(const freshet_pipeline *pipeline)
{
    uint32_t n = 0;
    while (freshet_output_name(pipeline, n) != NULL &&
           strcmp(freshet_output_name(pipeline, n), "timestamp") != 0)
        n++;
    return n;
}

static char *make_query(live_view *view, const char *feature_set, bool tail)
{
    char table[512];
    snprintf(table, sizeof table, "online_feature_store__%s", feature_set);
    text_buffer sql;
    text_init(&sql, TEXT_LIMIT_DEFAULT);
    uint32_t n_keys = count_keys(view->pipeline);
    text_append_c(&sql, "select ");
    append_names(&sql, view, view->n_columns);
    text_append_c(&sql, " from ");
    if (tail) {
        text_append_c(&sql, "(select *, rowid as \"row number\" from ");
        append_name(&sql, table);
        text_append_c(&sql, " where rowid > (select max(rowid) from ");
        append_name(&sql, table);
        text_format(&sql, ") - %d) qualify row_number() over (partition by ", LIVE_VIEW_TAIL);
        append_names(&sql, view, n_keys);
        text_append_c(&sql, " order by \"timestamp\" desc, \"row number\" desc) = 1");
    } else {
        strncat(table, "_latest", sizeof table - strlen(table) - 1);
        append_name(&sql, table);
    }
    text_append_c(&sql, " order by \"timestamp\" desc, ");
    append_names(&sql, view, n_keys);
    text_format(&sql, " limit %u", LIVE_VIEW_ROWS_MAX);
    char *kept = sql.failed ? NULL : arena_text(view->lasting, sql.bytes);
    text_release(&sql);
    return kept;
}

static bool is_numeric(const char *type)
{
    static const char *const types[] = {"integer", "bigint", "float", "double", "decimal"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strncmp(type, types[i], strlen(types[i])) == 0)
            return true;
    }
    return false;
}

static freshet_code prepare(live_view *view, const char *feature_set, freshet_error *err)
{
    freshet_pipeline *pipeline = view->pipeline;
    uint32_t n = 0;
    while (freshet_output_name(pipeline, n) != NULL)
        n++;
    view->n_columns = n < LIVE_VIEW_COLUMNS_MAX ? n : LIVE_VIEW_COLUMNS_MAX;
    view->n_left_out = n - view->n_columns;
    const char **names = arena_zero(view->lasting, view->n_columns, sizeof *names);
    bool *numeric = arena_zero(view->lasting, view->n_columns, sizeof *numeric);
    view->title = arena_format(view->lasting, "%s: the newest row of each key", feature_set);
    view->whole_query = make_query(view, feature_set, false);
    view->tail_query = make_query(view, feature_set, true);
    if (names == NULL || numeric == NULL || view->title == NULL || view->whole_query == NULL ||
        view->tail_query == NULL)
        return error_memory(err, "starting the live view");
    for (uint32_t i = 0; i < view->n_columns; i++) {
        names[i] = freshet_output_name(pipeline, i);
        numeric[i] = is_numeric(freshet_output_type(pipeline, i));
    }
    view->table = (view_table){.n_columns = view->n_columns, .names = names, .numeric = numeric};
    view->table_of = -1;
    return FRESHET_OK;
}

static void view_free(live_view *view)
{
    arena_close(view->lasting);
    arena_close(view->rows);
    text_release(&view->frame);
    pthread_cond_destroy(&view->wake);
    pthread_mutex_destroy(&view->lock);
    free(view);
}

static freshet_code view_new(freshet_pipeline *pipeline, live_view **out, freshet_error *err)
{
    live_view *view = calloc(1, sizeof *view);
    if (view == NULL)
        return error_memory(err, "starting the live view");
    view->pipeline = pipeline;
    view->lasting = arena_open();
    view->rows = arena_open();
    text_init(&view->frame, FRAME_BYTES_MAX);
    pthread_mutex_init(&view->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&view->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (view->lasting == NULL || view->rows == NULL) {
        view_free(view);
        return error_memory(err, "starting the live view");
    }
    *out = view;
    return FRESHET_OK;
}

freshet_code live_view_start(freshet_pipeline *pipeline, const char *feature_set, live_view **out,
                             freshet_error *err)
{
    live_view *view = NULL;
    freshet_code code = view_new(pipeline, &view, err);
    if (code != FRESHET_OK)
        return code;
    code = prepare(view, feature_set, err);
    if (code != FRESHET_OK) {
        view_free(view);
        return code;
    }
    terminal_take();
    log_hook(on_log, view);
    int failed = start_quiet_thread(&view->thread, view_thread, view);
    if (failed != 0) {
        log_hook(NULL, NULL);
        terminal_give_back();
        view_free(view);
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "cannot start the thread of the live view: %s; try --progress plain",
                         strerror(failed));
    }
    *out = view;
    return FRESHET_OK;
}

void live_view_stop(live_view *view, bool keep)
{
    if (view == NULL)
        return;
    pthread_mutex_lock(&view->lock);
    view->stop = true;
    pthread_cond_signal(&view->wake);
    pthread_mutex_unlock(&view->lock);
    pthread_join(view->thread, NULL);
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
