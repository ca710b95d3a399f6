/* metrics.c - see metrics.h.
 *
 * A row of the table says what the metric is and which function gives its samples; that writes each
 * by sample(), with the values of the labels that the row names. Counters of the run are asked for
 * by its any-thread functions, what the loop has measured is read from the board, and what the
 * system knows of the process from /proc, when somebody asks.
 */
#define _GNU_SOURCE
#include "http/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/os.h"

#define LABELS_MAX 2u
#define PROC_BYTES_MAX 4096u

typedef enum metric_type { COUNTER, GAUGE, HISTOGRAM } metric_type;
static const char *const type_names[] = {"counter", "gauge", "histogram"};

typedef struct metric metric;

/* What is asked: one moment of it. */
typedef struct view {
    const http_source *source;
    const figures *figures; /* NULL: nothing is measured */
    metrics_format format;
    text_buffer *into;
} view;

struct metric {
    const char *name;
    metric_type type;
    const char *unit; /* NULL: none */
    const char *labels[LABELS_MAX];
    const char *help;
    void (*give)(const view *view, const metric *metric);
    int which; /* of what it gives */
};

/* ---- samples -------------------------------------------------------------------------------- */

/* A label's value: \, " and the line's end are escaped. */
static void put_value(text_buffer *into, const char *value)
{
    char byte[2] = "";
    text_append_char(into, '"');
    for (; *value != '\0'; value++) {
        byte[0] = *value;
        text_append_c(into, *value == '\\'   ? "\\\\"
                            : *value == '"'  ? "\\\""
                            : *value == '\n' ? "\\n"
                                             : byte);
    }
    text_append_char(into, '"');
}

static bool is_of_process(const metric *metric)
{
    return strncmp(metric->name, "process_", 8) == 0;
}

/* NAME[SUFFIX]{labels[,le="..."]} and a blank. */
static void sample_name(const view *view, const metric *metric, const char *suffix,
                        const char *const *values, const char *le)
{
    const char *between = "{";
    text_buffer *into = view->into;
    text_append_c(into, metric->name);
    text_append_c(into, suffix);
    if (!is_of_process(metric)) {
        text_append_c(into, "{pipeline=");
        put_value(into, view->source->name);
        between = ",";
    }
    for (uint32_t i = 0; i < LABELS_MAX && metric->labels[i] != NULL; i++, between = ",") {
        text_format(into, "%s%s=", between, metric->labels[i]);
        put_value(into, values[i]);
    }
    if (le != NULL) {
        text_format(into, "%sle=\"%s\"", between, le);
        between = ",";
    }
    text_append_c(into, between[0] == ',' ? "} " : " ");
}

static void sample_number(text_buffer *into, double number)
{
    if (number >= -9e15 && number <= 9e15 && number == (double)(int64_t)number)
        text_format(into, "%" PRId64 "\n", (int64_t)number);
    else {
        text_append_real(into, number, false);
        text_append_char(into, '\n');
    }
}

static void sample(const view *view, const metric *metric, double number, const char *first,
                   const char *second)
{
    const char *values[LABELS_MAX] = {first, second};
    sample_name(view, metric, "", values, NULL);
    sample_number(view->into, number);
}

static void put_histogram(const view *view, const metric *metric, const histogram *of,
                          const char *first)
{
    const char *values[LABELS_MAX] = {first, NULL};
    uint64_t n = 0;
    for (uint32_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        char le[32] = "+Inf";
        n += of->counts[i];
        if (i < HISTOGRAM_BOUNDS)
            snprintf(le, sizeof le, histogram_bounds_us[i] % 1000000 == 0 ? "%.1f" : "%g",
                     (double)histogram_bounds_us[i] / 1e6);
        sample_name(view, metric, "_bucket", values, le);
        sample_number(view->into, (double)n);
    }
    sample_name(view, metric, "_sum", values, NULL);
    sample_number(view->into, of->sum_s);
    sample_name(view, metric, "_count", values, NULL);
    sample_number(view->into, (double)n);
}

/* ---- what the run counts -------------------------------------------------------------------- */

static void give_build(const view *view, const metric *metric)
{
    sample(view, metric, 1, freshet_version(), NULL);
}

static void give_ready(const view *view, const metric *metric)
{
    const query_backend *run = &view->source->run;
    sample(view, metric, run->ready == NULL || run->ready(run->pipeline, NULL), NULL, NULL);
}

static void give_waiting(const view *view, const metric *metric)
{
    const query_backend *run = &view->source->run;
    sample(view, metric, run->waits_for != NULL && run->waits_for(run->pipeline, NULL), NULL, NULL);
}

/* Negative: it is not known. */
static void give_counter(const view *view, const metric *metric)
{
    const query_backend *run = &view->source->run;
    const int64_t n = run->counter(run->pipeline, (freshet_count)metric->which);
    if (n >= 0)
        sample(view, metric, (double)n, NULL, NULL);
}

static void give_dead_letters(const view *view, const metric *metric)
{
    const query_backend *run = &view->source->run;
    for (uint32_t i = 0; run->dead_letters != NULL && freshet_reason(i) != NULL; i++)
        sample(view, metric, (double)run->dead_letters(run->pipeline, i), freshet_reason(i), NULL);
}

static void give_writer(const view *view, const metric *metric)
{
    const query_backend *run = &view->source->run;
    const char *name;
    for (uint32_t i = 0;
         run->writer_name != NULL && (name = run->writer_name(run->pipeline, i)) != NULL; i++)
        sample(view, metric,
               (double)run->writer_counter(run->pipeline, i, (freshet_count)metric->which), name,
               NULL);
}

/* ---- what the loop has measured ------------------------------------------------------------- */

static void give_steps(const view *view, const metric *metric)
{
    put_histogram(view, metric, &view->figures->steps, NULL);
}

static void give_latency(const view *view, const metric *metric)
{
    for (uint32_t i = 0; i < view->figures->n_writers; i++)
        put_histogram(view, metric, &view->figures->writers[i].latency,
                      view->figures->writers[i].name);
}

typedef enum writer_figure { WRITER_IN_FLIGHT, WRITER_RETRIES } writer_figure;

static void give_writer_figure(const view *view, const metric *metric)
{
    for (uint32_t i = 0; i < view->figures->n_writers; i++) {
        const figures_writer *writer = &view->figures->writers[i];
        sample(view, metric,
               (double)(metric->which == WRITER_IN_FLIGHT ? writer->in_flight : writer->retried),
               writer->name, NULL);
    }
}

typedef enum lag_figure { LAG_ROWS, LAG_BYTES } lag_figure;

static void give_lag(const view *view, const metric *metric)
{
    for (uint32_t i = 0; i < view->figures->n_lags; i++) {
        const figures_lag *lag = &view->figures->lags[i];
        const int64_t n = metric->which == LAG_ROWS ? lag->rows : lag->bytes;
        if (n >= 0)
            sample(view, metric, (double)n, lag->reader, lag->partition);
    }
}

typedef enum lane_figure { LANE_BEHIND, LANE_NEWEST, LANE_WATERMARK, LANE_HOLDS } lane_figure;

static double lane_value(const view *view, const figures_lane *lane, int which)
{
    const double newest = (double)lane->newest_s;
    switch (which) {
    case LANE_BEHIND: return (double)os.now_us() / 1e6 - newest;
    case LANE_NEWEST: return newest;
    case LANE_WATERMARK: return newest - (double)view->figures->lateness_s;
    default: return lane->holds;
    }
}

static void give_lane(const view *view, const metric *metric)
{
    for (uint32_t i = 0; i < view->figures->n_lanes; i++) {
        const figures_lane *lane = &view->figures->lanes[i];
        if (lane->newest_s != INT64_MIN || metric->which == LANE_HOLDS)
            sample(view, metric, lane_value(view, lane, metric->which), lane->reader,
                   lane->partition);
    }
}

typedef enum part_figure { PART_KEYS, PART_BYTES, PART_STORE_READS } part_figure;

static void give_part(const view *view, const metric *metric)
{
    for (uint32_t i = 0; i < view->figures->n_parts; i++) {
        const figures_part *part = &view->figures->parts[i];
        sample(view, metric,
               metric->which == PART_KEYS    ? (double)part->keys
               : metric->which == PART_BYTES ? (double)part->bytes
                                             : (double)part->store_reads,
               part->name, NULL);
    }
}

typedef enum checkpoint_figure {
    CHECKPOINT_COUNT,
    CHECKPOINT_SIZE,
    CHECKPOINT_TIME,
    CHECKPOINT_AGE
} checkpoint_figure;

static void give_checkpoint(const view *view, const metric *metric)
{
    const figures *figures = view->figures;
    const double at = (double)figures->checkpoint_at_us / 1e6;
    if (metric->which == CHECKPOINT_COUNT)
        sample(view, metric, (double)figures->n_checkpoints, NULL, NULL);
    else if (figures->n_checkpoints > 0)
        sample(view, metric,
               metric->which == CHECKPOINT_SIZE   ? (double)figures->checkpoint_bytes
               : metric->which == CHECKPOINT_TIME ? at
                                                  : (double)os.now_us() / 1e6 - at,
               NULL, NULL);
}

static void give_checkpoint_times(const view *view, const metric *metric)
{
    put_histogram(view, metric, &view->figures->checkpoints, NULL);
}

/* ---- what the system knows ------------------------------------------------------------------ */

/* A field of /proc/self/stat, from the third on, behind the name in brackets. */
static double stat_field(int which)
{
    char text[PROC_BYTES_MAX];
    char *at = os_read_text("/proc/self/stat", text, sizeof text) > 0 ? strrchr(text, ')') : NULL;
    for (int i = 2; at != NULL && i < which; i++)
        at = strchr(at + 1, ' ');
    return at == NULL ? 0 : strtod(at, NULL);
}

static double open_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    double n = 0;
    while (folder != NULL && readdir(folder) != NULL)
        n++;
    if (folder != NULL)
        closedir(folder);
    return n > 3 ? n - 3 : 0; /* "." and "..", and the folder's own */
}

static double start_time(void)
{
    char text[PROC_BYTES_MAX];
    const char *boot = os_read_text("/proc/uptime", text, sizeof text) > 0 ? text : NULL;
    return boot == NULL ? 0
                        : (double)os.now_us() / 1e6 - strtod(boot, NULL) +
                              stat_field(22) / (double)sysconf(_SC_CLK_TCK);
}

typedef enum process_figure {
    PROCESS_CPU,
    PROCESS_MEMORY,
    PROCESS_VIRTUAL,
    PROCESS_FILES,
    PROCESS_FILES_MAX,
    PROCESS_START
} process_figure;

static void give_process(const view *view, const metric *metric)
{
    struct rlimit files = {0};
    double value = 0;
    switch (metric->which) {
    case PROCESS_CPU:
        value = (stat_field(14) + stat_field(15)) / (double)sysconf(_SC_CLK_TCK);
        break;
    case PROCESS_MEMORY: value = stat_field(24) * (double)sysconf(_SC_PAGESIZE); break;
    case PROCESS_VIRTUAL: value = stat_field(23); break;
    case PROCESS_FILES: value = open_files(); break;
    case PROCESS_FILES_MAX:
        getrlimit(RLIMIT_NOFILE, &files);
        value = (double)files.rlim_cur;
        break;
    default: value = start_time();
    }
    sample(view, metric, value, NULL, NULL);
}

/* ---- the table ------------------------------------------------------------------------------ */

#define ROWS "rows"
#define SECONDS "seconds"
#define BYTES "bytes"

static const metric metrics[] = {
    {"freshet_build_info",
     GAUGE,
     NULL,
     {"version"},
     "The version that runs; always 1.",
     give_build,
     0},
    {"freshet_ready",
     GAUGE,
     NULL,
     {0},
     "1 where all readers and writers reach what they need, 0 otherwise; /ready says why.",
     give_ready,
     0},
    {"freshet_rows_read_total",
     COUNTER,
     ROWS,
     {0},
     "Rows that went into the query, bad ones included.",
     give_counter,
     FRESHET_ROWS_READ},
    {"freshet_rows_written_total",
     COUNTER,
     ROWS,
     {"writer"},
     "Feature rows that are written: confirmed by their store, flushed, or in published files.",
     give_writer,
     FRESHET_ROWS_WRITTEN},
    {"freshet_rows_again_total",
     COUNTER,
     ROWS,
     {"writer"},
     "Of the rows written, those that had gone out before and were changed since.",
     give_writer,
     FRESHET_ROWS_AGAIN},
    {"freshet_rows_refused_total",
     COUNTER,
     ROWS,
     {"writer"},
     "Feature rows that the writer's store will never take; they are dead letters.",
     give_writer,
     FRESHET_ROWS_REFUSED},
    {"freshet_rows_expired_total",
     COUNTER,
     ROWS,
     {"writer"},
     "Feature rows that were not written, since they were past their time to live.",
     give_writer,
     FRESHET_ROWS_EXPIRED},
    {"freshet_rows_replaced_total",
     COUNTER,
     ROWS,
     {"writer"},
     "Feature rows that were not written, since a newer one of their key came while they waited.",
     give_writer,
     FRESHET_ROWS_REPLACED},
    {"freshet_dead_letters_total",
     COUNTER,
     ROWS,
     {"reason"},
     "Rows that were refused, by reason.",
     give_dead_letters,
     0},
    {"freshet_rows_late_total",
     COUNTER,
     ROWS,
     {0},
     "Rows that were left out as too late (late: drop); those refused are dead letters.",
     give_counter,
     FRESHET_ROWS_LATE},
    {"freshet_rows_repeated_total",
     COUNTER,
     ROWS,
     {0},
     "Rows that were left out since they had come before.",
     give_counter,
     FRESHET_ROWS_REPEATED},
    {"freshet_hook_warnings_total",
     COUNTER,
     NULL,
     {0},
     "Rows that did not meet a hook which only warns.",
     give_counter,
     FRESHET_HOOK_WARNINGS},
    {"freshet_steps_total",
     COUNTER,
     NULL,
     {0},
     "Micro-batches that had rows.",
     give_counter,
     FRESHET_BATCHES},
    {"freshet_step_duration_seconds",
     HISTOGRAM,
     SECONDS,
     {0},
     "How long micro-batches took from their reading to the writers, waiting for input left out.",
     give_steps,
     0},
    {"freshet_latency_seconds",
     HISTOGRAM,
     SECONDS,
     {"writer"},
     "How long after their events were read rows were seen in the writer's store; each row counts.",
     give_latency,
     0},
    {"freshet_lag_rows",
     GAUGE,
     ROWS,
     {"reader", "partition"},
     "Rows known to wait (Kafka: up to the end that the brokers told last).",
     give_lag,
     LAG_ROWS},
    {"freshet_lag_bytes",
     GAUGE,
     BYTES,
     {"reader", "partition"},
     "Bytes known to wait (files).",
     give_lag,
     LAG_BYTES},
    {"freshet_lag_seconds",
     GAUGE,
     SECONDS,
     {"reader", "partition"},
     "How long ago the newest event was that has been read, by its own time.",
     give_lane,
     LANE_BEHIND},
    {"freshet_event_timestamp_seconds",
     GAUGE,
     SECONDS,
     {"reader", "partition"},
     "The time of the newest event that has been read.",
     give_lane,
     LANE_NEWEST},
    {"freshet_watermark_timestamp_seconds",
     GAUGE,
     SECONDS,
     {"reader", "partition"},
     "Rows before this time are late: the newest event's less the lateness.",
     give_lane,
     LANE_WATERMARK},
    {"freshet_watermark_holder",
     GAUGE,
     NULL,
     {"reader", "partition"},
     "1 where windows wait for this one, whose newest event is the oldest; 0 otherwise.",
     give_lane,
     LANE_HOLDS},
    {"freshet_waiting",
     GAUGE,
     NULL,
     {0},
     "1 where rows or windows wait for a partition or a reader; /status says for whom.",
     give_waiting,
     0},
    {"freshet_state_keys",
     GAUGE,
     NULL,
     {"part"},
     "Keys of the state in memory.",
     give_part,
     PART_KEYS},
    {"freshet_state_bytes",
     GAUGE,
     BYTES,
     {"part"},
     "Memory of the state's keys.",
     give_part,
     PART_BYTES},
    {"freshet_state_memory_bytes",
     GAUGE,
     BYTES,
     {0},
     "What state: {memory} allows; 0 without it.",
     give_counter,
     FRESHET_STATE_LIMIT},
    {"freshet_state_store_reads_total",
     COUNTER,
     NULL,
     {"part"},
     "Keys looked up in the state's folder, since they were not in memory; new ones, too.",
     give_part,
     PART_STORE_READS},
    {"freshet_checkpoints_total",
     COUNTER,
     NULL,
     {0},
     "Checkpoints of this run.",
     give_checkpoint,
     CHECKPOINT_COUNT},
    {"freshet_checkpoint_duration_seconds",
     HISTOGRAM,
     SECONDS,
     {0},
     "How long checkpoints took from their beginning until they were durable.",
     give_checkpoint_times,
     0},
    {"freshet_checkpoint_bytes",
     GAUGE,
     BYTES,
     {0},
     "What the last checkpoint has written.",
     give_checkpoint,
     CHECKPOINT_SIZE},
    {"freshet_checkpoint_timestamp_seconds",
     GAUGE,
     SECONDS,
     {0},
     "When the last checkpoint of this run was durable.",
     give_checkpoint,
     CHECKPOINT_TIME},
    {"freshet_checkpoint_age_seconds",
     GAUGE,
     SECONDS,
     {0},
     "How long ago that was; it grows, too, while there is nothing to keep.",
     give_checkpoint,
     CHECKPOINT_AGE},
    {"freshet_writer_retries_total",
     COUNTER,
     ROWS,
     {"writer"},
     "Rows whose writing failed and was tried again (Cassandra).",
     give_writer_figure,
     WRITER_RETRIES},
    {"freshet_writer_in_flight_rows",
     GAUGE,
     ROWS,
     {"writer"},
     "Rows that the writer has, and that are not confirmed, flushed or published yet.",
     give_writer_figure,
     WRITER_IN_FLIGHT},
    {"freshet_table_rows",
     GAUGE,
     ROWS,
     {0},
     "Rows in the debug table.",
     give_counter,
     FRESHET_TABLE_ROWS},
    {"freshet_bootstrap_left_rows",
     GAUGE,
     ROWS,
     {0},
     "Rows of the past that are still to come.",
     give_counter,
     FRESHET_BOOTSTRAP_LEFT},
    {"freshet_fill_left_bytes",
     GAUGE,
     BYTES,
     {0},
     "Of the past that windows are filled with, what is still to come.",
     give_counter,
     FRESHET_FILL_LEFT},
    {"freshet_batch_left_rows",
     GAUGE,
     ROWS,
     {0},
     "Of a batch, rows that are kept and still to be computed.",
     give_counter,
     FRESHET_BATCH_LEFT},
    {"process_cpu_seconds_total",
     COUNTER,
     SECONDS,
     {0},
     "Time of the processor, of all threads.",
     give_process,
     PROCESS_CPU},
    {"process_resident_memory_bytes",
     GAUGE,
     BYTES,
     {0},
     "Memory that the process has.",
     give_process,
     PROCESS_MEMORY},
    {"process_virtual_memory_bytes",
     GAUGE,
     BYTES,
     {0},
     "Its address space.",
     give_process,
     PROCESS_VIRTUAL},
    {"process_open_fds",
     GAUGE,
     NULL,
     {0},
     "Files and sockets that are open.",
     give_process,
     PROCESS_FILES},
    {"process_max_fds", GAUGE, NULL, {0}, "How many may be.", give_process, PROCESS_FILES_MAX},
    {"process_start_time_seconds",
     GAUGE,
     SECONDS,
     {0},
     "When the process began.",
     give_process,
     PROCESS_START},
};

#define N_METRICS (sizeof metrics / sizeof *metrics)

/* ---- the page that is scraped ---------------------------------------------------------------- */

metrics_format metrics_format_for(const char *accept)
{
    return accept != NULL && strstr(accept, "application/openmetrics-text") != NULL
               ? METRICS_OPENMETRICS
               : METRICS_TEXT;
}

const char *metrics_content_type(metrics_format format)
{
    return format == METRICS_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

static bool is_measured(const metric *metric)
{
    return metric->give == give_steps || metric->give == give_latency ||
           metric->give == give_writer_figure || metric->give == give_lag ||
           metric->give == give_lane || metric->give == give_part ||
           metric->give == give_checkpoint || metric->give == give_checkpoint_times;
}

/* OpenMetrics names a counter without its _total where it describes it. */
static void append_one(const view *view, const metric *metric)
{
    const bool cut = view->format == METRICS_OPENMETRICS && metric->type == COUNTER;
    const int length = (int)(strlen(metric->name) - (cut ? strlen("_total") : 0));
    if (is_measured(metric) && view->figures == NULL)
        return;
    text_format(view->into, "# HELP %.*s %s\n# TYPE %.*s %s\n", length, metric->name, metric->help,
                length, metric->name, type_names[metric->type]);
    metric->give(view, metric);
}

void metrics_append(const http_source *source, metrics_format format, text_buffer *into)
{
    view view = {.source = source, .format = format, .into = into};
    if (source->board != NULL)
        view.figures = figures_look(source->board);
    for (size_t i = 0; i < N_METRICS; i++)
        append_one(&view, &metrics[i]);
    if (source->board != NULL)
        figures_done(source->board);
    if (format == METRICS_OPENMETRICS)
        text_append_c(into, "# EOF\n");
}

/* ---- the reference page ---------------------------------------------------------------------- */

void metrics_describe(text_buffer *into)
{
    text_append_c(
        into, "# Metrics\n\n"
              "<!-- made by `freshet schema --metrics`: do not edit -->\n\n"
              "What `/metrics` gives ([http.md](../guide/http.md)), as Prometheus reads it. All "
              "metrics of Freshet have the label `pipeline`, too. A counter begins at 0 "
              "with each run. What is not known has no sample.\n\n"
              "| metric | type | unit | labels | what it is |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < N_METRICS; i++) {
        const metric *metric = &metrics[i];
        text_format(into, "| `%s` | %s | %s | ", metric->name, type_names[metric->type],
                    metric->unit == NULL ? "" : metric->unit);
        for (uint32_t k = 0; k < LABELS_MAX && metric->labels[k] != NULL; k++)
            text_format(into, "%s`%s`", k == 0 ? "" : ", ", metric->labels[k]);
        text_format(into, " | %s |\n", metric->help);
    }
}
