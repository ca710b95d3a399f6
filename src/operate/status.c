/* status.c - see status.h. */
#include "operate/status.h"

#include <string.h>
#include <unistd.h>

#include "base/os.h"

static void append_counter(text_buffer *status, const query_backend *backend, const char *name,
                           freshet_count which, int64_t none)
{
    int64_t value = backend->counter(backend->pipeline, which);
    text_format(status, ",\"%s\":", name);
    if (value == none)
        text_append_c(status, "null");
    else if (which == FRESHET_NEWEST_EVENT_US) {
        text_append_char(status, '"');
        text_append_timestamp(status, value);
        text_append_char(status, '"');
    } else
        text_format(status, "%lld", (long long)value);
}

/* What has become of each writer's rows. */
static void append_writers(text_buffer *status, const query_backend *backend)
{
    static const struct {
        const char *name;
        freshet_count which;
    } counters[] = {
        {"written", FRESHET_ROWS_WRITTEN}, {"refused", FRESHET_ROWS_REFUSED},
        {"expired", FRESHET_ROWS_EXPIRED}, {"replaced", FRESHET_ROWS_REPLACED},
        {"again", FRESHET_ROWS_AGAIN},
    };
    const char *name;
    text_append_c(status, ",\"writers\":[");
    for (uint32_t i = 0; backend->writer_name != NULL &&
                         (name = backend->writer_name(backend->pipeline, i)) != NULL;
         i++) {
        text_append_c(status, i == 0 ? "{\"writer\":" : ",{\"writer\":");
        text_append_json(status, name, strlen(name));
        for (size_t k = 0; k < sizeof counters / sizeof *counters; k++)
            text_format(
                status, ",\"%s\":%lld", counters[k].name,
                (long long)backend->writer_counter(backend->pipeline, i, counters[k].which));
        text_append_char(status, '}');
    }
    text_append_char(status, ']');
}

/* Rows refused, by their reasons. */
static void append_reasons(text_buffer *status, const query_backend *backend)
{
    const char *between = "";
    text_append_c(status, ",\"dead_letters_by_reason\":{");
    for (uint32_t i = 0; backend->dead_letters != NULL && freshet_reason(i) != NULL; i++) {
        const int64_t n = backend->dead_letters(backend->pipeline, i);
        if (n == 0)
            continue;
        text_format(status, "%s\"%s\":%lld", between, freshet_reason(i), (long long)n);
        between = ",";
    }
    text_append_char(status, '}');
}

void status_append(const query_backend *backend, const char *name, int64_t started_us,
                   text_buffer *status)
{
    static const struct {
        const char *name;
        freshet_count which;
        int64_t none; /* what stands for an unknown value */
    } counters[] = {
        {"rows_read", FRESHET_ROWS_READ, INT64_MIN},
        {"rows_written", FRESHET_ROWS_WRITTEN, INT64_MIN},
        {"dead_letters", FRESHET_DEAD_LETTERS, INT64_MIN},
        {"batches", FRESHET_BATCHES, INT64_MIN},
        {"newest_event", FRESHET_NEWEST_EVENT_US, INT64_MIN},
        {"lag_bytes", FRESHET_LAG_BYTES, -1},
        {"table_rows", FRESHET_TABLE_ROWS, INT64_MIN},
        {"table_trimmed", FRESHET_TABLE_TRIMMED, INT64_MIN},
        {"rows_repeated", FRESHET_ROWS_REPEATED, INT64_MIN},
        {"rows_late", FRESHET_ROWS_LATE, INT64_MIN},
        {"keys_shared", FRESHET_KEYS_SHARED, INT64_MIN},
        {"rows_refused", FRESHET_ROWS_REFUSED, INT64_MIN},
        {"rows_expired", FRESHET_ROWS_EXPIRED, INT64_MIN},
        {"rows_replaced", FRESHET_ROWS_REPLACED, INT64_MIN},
        {"rows_again", FRESHET_ROWS_AGAIN, INT64_MIN},
        {"hook_warnings", FRESHET_HOOK_WARNINGS, INT64_MIN},
        {"state_bytes", FRESHET_STATE_BYTES, INT64_MIN},
        {"state_memory", FRESHET_STATE_LIMIT, INT64_MIN},
        {"bootstrap_rows", FRESHET_BOOTSTRAP_ROWS, INT64_MIN},
        {"bootstrap_left", FRESHET_BOOTSTRAP_LEFT, -1},
        {"fill_bytes", FRESHET_FILL_BYTES, INT64_MIN},
        {"fill_left", FRESHET_FILL_LEFT, INT64_MIN},
        {"batch_rows", FRESHET_BATCH_ROWS, INT64_MIN},
        {"batch_left", FRESHET_BATCH_LEFT, INT64_MIN},
    };
    text_append_c(status, "{\"pipeline\":");
    text_append_json(status, name, strlen(name));
    const int64_t uptime_us = os.monotonic_us() - started_us;
    text_format(status, ",\"pid\":%ld,\"uptime_s\":%lld.%03d", (long)getpid(),
                (long long)(uptime_us / 1000000), (int)(uptime_us / 1000 % 1000));
    freshet_error why = {0};
    const bool ready = backend->ready == NULL || backend->ready(backend->pipeline, &why);
    text_format(status, ",\"ready\":%s", ready ? "true" : "false");
    if (!ready) {
        text_append_c(status, ",\"trouble\":");
        text_append_json(status, why.text, strlen(why.text));
    }
    text_append_c(status, ",\"waits_for\":");
    if (backend->waits_for != NULL && backend->waits_for(backend->pipeline, &why))
        text_append_json(status, why.text, strlen(why.text));
    else
        text_append_c(status, "null");
    const int64_t left = backend->counter(backend->pipeline, FRESHET_BOOTSTRAP_LEFT);
    const bool fills = backend->counter(backend->pipeline, FRESHET_FILL_LEFT) > 0;
    text_format(status, ",\"phase\":\"%s\"", left != 0 ? "bootstrap" : fills ? "filling" : "live");
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        append_counter(status, backend, counters[i].name, counters[i].which, counters[i].none);
    append_reasons(status, backend);
    append_writers(status, backend);
    text_append_char(status, '}');
}
