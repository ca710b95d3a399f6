/* Tests of metrics.c and figures.c: samples of a made-up run in both formats, names by Prometheus'
 * conventions, escaped labels, histograms. */
/* tsan */
#include "http/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t made_counter(const freshet_pipeline *pipeline, freshet_count which)
{
    (void)pipeline;
    return which == FRESHET_ROWS_READ ? 70 : which == FRESHET_BOOTSTRAP_LEFT ? -1 : 0;
}

static const char *made_writer(const freshet_pipeline *pipeline, uint32_t writer)
{
    (void)pipeline;
    return writer == 0 ? "online \"a\\b\"\n" : NULL;
}

static int64_t made_writer_counter(const freshet_pipeline *pipeline, uint32_t writer,
                                   freshet_count which)
{
    (void)pipeline;
    (void)writer;
    return which == FRESHET_ROWS_WRITTEN ? INT64_C(123456789012345) : 0;
}

static http_source source_with(figures_board *board)
{
    return (http_source){.run = {.counter = made_counter,
                                 .writer_name = made_writer,
                                 .writer_counter = made_writer_counter},
                         .name = "made",
                         .board = board};
}

static char *page(const http_source *source, metrics_format format)
{
    text_buffer text;
    text_init(&text, 1 << 20);
    metrics_append(source, format, &text);
    assert_false(text.failed);
    return text.bytes;
}

static void assert_line(const char *page, const char *line)
{
    char whole[400];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    if (strstr(page, whole) == NULL)
        fail_msg("the line \"%s\" is not in\n%s", line, page);
}

static figures *filled(figures_board *board)
{
    static figures_lag lags[] = {{"orders", "orders/0", 12, -1}, {"files", "", -1, 4096}};
    static figures_lane lanes[] = {{"orders", "orders/0", 1700000000, true},
                                   {"orders", "orders/1", INT64_MIN, false}};
    static figures_part parts[] = {{"windows", 3, 400, 5}};
    static figures_writer writers[1];
    figures *draft = figures_draft(board);
    writers[0] = (figures_writer){.name = "online", .in_flight = 6, .retried = 2};
    histogram_add(&writers[0].latency, 100, 3);
    histogram_add(&writers[0].latency, 101, 1);
    histogram_add(&writers[0].latency, INT64_C(900000000), 2);
    draft->lags = lags;
    draft->n_lags = 2;
    draft->lanes = lanes;
    draft->n_lanes = 2;
    draft->parts = parts;
    draft->n_parts = 1;
    draft->writers = writers;
    draft->n_writers = 1;
    draft->lateness_s = 60;
    return draft;
}

static void samples_are_those_of_the_run(void **state)
{
    static const char *const lines[] = {
        "# TYPE freshet_rows_read_total counter",
        "freshet_rows_read_total{pipeline=\"made\"} 70",
        "freshet_rows_written_total{pipeline=\"made\",writer=\"online \\\"a\\\\b\\\"\\n\"} "
        "123456789012345",
        "freshet_lag_rows{pipeline=\"made\",reader=\"orders\",partition=\"orders/0\"} 12",
        "freshet_lag_bytes{pipeline=\"made\",reader=\"files\",partition=\"\"} 4096",
        "freshet_watermark_timestamp_seconds{pipeline=\"made\",reader=\"orders\",partition="
        "\"orders/0\"} 1699999940",
        "freshet_watermark_holder{pipeline=\"made\",reader=\"orders\",partition=\"orders/0\"} 1",
        "freshet_watermark_holder{pipeline=\"made\",reader=\"orders\",partition=\"orders/1\"} 0",
        "freshet_state_keys{pipeline=\"made\",part=\"windows\"} 3",
        "freshet_writer_in_flight_rows{pipeline=\"made\",writer=\"online\"} 6",
        "freshet_writer_retries_total{pipeline=\"made\",writer=\"online\"} 2",
        "freshet_latency_seconds_bucket{pipeline=\"made\",writer=\"online\",le=\"0.0001\"} 3",
        "freshet_latency_seconds_bucket{pipeline=\"made\",writer=\"online\",le=\"0.00025\"} 4",
        "freshet_latency_seconds_bucket{pipeline=\"made\",writer=\"online\",le=\"1.0\"} 4",
        "freshet_latency_seconds_bucket{pipeline=\"made\",writer=\"online\",le=\"+Inf\"} 6",
        "freshet_latency_seconds_count{pipeline=\"made\",writer=\"online\"} 6",
        "freshet_ready{pipeline=\"made\"} 1",
    };
    figures_board *board = figures_open();
    const http_source source = source_with(board);
    (void)state;
    filled(board);
    figures_show(board);
    char *text = page(&source, METRICS_TEXT);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_line(text, lines[i]);
    assert_null(strstr(text, "lag_bytes{pipeline=\"made\",reader=\"orders\"")); /* not known */
    assert_null(strstr(text, "freshet_bootstrap_left_rows{"));
    assert_null(strstr(text, "freshet_lag_seconds{pipeline=\"made\",reader=\"orders\",partition="
                             "\"orders/1\""));
    assert_null(strstr(text, "# EOF"));
    free(text);
    figures_close(board);
}

static void openmetrics_is_asked_for(void **state)
{
    const http_source source = source_with(NULL);
    char *text = page(&source, METRICS_OPENMETRICS);
    const size_t length = strlen(text);
    (void)state;
    assert_line(text, "# TYPE freshet_rows_read counter");
    assert_line(text, "freshet_rows_read_total{pipeline=\"made\"} 70");
    assert_string_equal(text + length - 6, "# EOF\n");
    assert_null(strstr(text, "freshet_latency")); /* nothing is measured */
    free(text);
    assert_int_equal(metrics_format_for(NULL), METRICS_TEXT);
    assert_int_equal(metrics_format_for("text/plain"), METRICS_TEXT);
    assert_int_equal(metrics_format_for("application/openmetrics-text;version=1.0.0,*/*;q=0.1"),
                     METRICS_OPENMETRICS);
}

/* Every metric has its row, and its help ends as a sentence does. */
static void names_follow_the_conventions(void **state)
{
    text_buffer text;
    uint32_t n = 0;
    (void)state;
    text_init(&text, 1 << 20);
    metrics_describe(&text);
    for (const char *at = strstr(text.bytes, "\n| `"); at != NULL; at = strstr(at + 1, "\n| `")) {
        char name[80], type[16];
        assert_int_equal(sscanf(at, "\n| `%79[a-z_]` | %15[a-z]", name, type), 2);
        const size_t length = strlen(name);
        const bool is_total = length > 6 && strcmp(name + length - 6, "_total") == 0;
        assert_int_equal(is_total, strcmp(type, "counter") == 0);
        assert_true(strncmp(name, "freshet_", 8) == 0 || strncmp(name, "process_", 8) == 0);
        const char *end = strstr(at + 1, " |\n");
        assert_non_null(end);
        assert_int_equal(end[-1], '.');
        n++;
    }
    assert_true(n > 40);
    text_release(&text);
}

/* ---- the board ------------------------------------------------------------------------------ */

#define N_SHOWN 20000

static void *look(void *context)
{
    figures_board *board = context;
    uint64_t last = 0;
    while (last < N_SHOWN) {
        const figures *figures = figures_look(board);
        assert_true(figures->n_checkpoints >= last);
        assert_int_equal(figures->n_checkpoints, figures->checkpoint_bytes);
        last = figures->n_checkpoints;
        figures_done(board);
    }
    return NULL;
}

/* Who looks sees one moment, whole; the loop goes on meanwhile. */
static void a_snapshot_is_whole(void **state)
{
    figures_board *board = figures_open();
    pthread_t thread;
    (void)state;
    pthread_create(&thread, NULL, look, board);
    for (uint64_t i = 1; i <= N_SHOWN; i++) {
        figures *draft = figures_draft(board);
        draft->n_checkpoints = i;
        draft->checkpoint_bytes = i;
        figures_show(board);
    }
    for (bool is_seen = false; !is_seen;) { /* the last may have come while somebody looked */
        figures *draft = figures_draft(board);
        draft->n_checkpoints = draft->checkpoint_bytes = N_SHOWN;
        figures_show(board);
        is_seen = figures_look(board)->n_checkpoints == N_SHOWN;
        figures_done(board);
    }
    pthread_join(thread, NULL);
    figures_close(board);
}

static void the_loop_does_not_wait(void **state)
{
    figures_board *board = figures_open();
    (void)state;
    const figures *seen = figures_look(board);
    figures_draft(board)->n_checkpoints = 1;
    figures_show(board); /* while somebody looks */
    assert_int_equal(seen->n_checkpoints, 0);
    figures_done(board);
    assert_int_equal(figures_look(board)->n_checkpoints, 0);
    figures_done(board);
    figures_draft(board)->n_checkpoints = 2;
    figures_show(board);
    assert_int_equal(figures_look(board)->n_checkpoints, 2);
    figures_done(board);
    figures_close(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_those_of_the_run), cmocka_unit_test(openmetrics_is_asked_for),
        cmocka_unit_test(names_follow_the_conventions), cmocka_unit_test(a_snapshot_is_whole),
        cmocka_unit_test(the_loop_does_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
