/* holding.c - who holds windows back, for the status; and the warning that most rows are late.
 *
 * Both are looked at now and then, not for each row: a holder each HOLDER_LOOK_US, lateness when
 * STRETCH_ROWS have come since the last look, or when the input is at its end.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "features/watermark.h"
#include "pipeline/pipeline.h"

#define HOLDER_LOOK_US INT64_C(500000)
#define STRETCH_ROWS 1000u
#define LATE_LEAST 10u /* fewer are no reason for a warning */
#define SAY_AGAIN_US INT64_C(600000000)

/* ---- who holds back -------------------------------------------------------------------------- */

static const char *label_of(const freshet_reader *reader, const char *label)
{
    return label == NULL ? reader->block->id.value : label;
}

/* Rows of others wait for a partition that should have more. */
static bool tell_merge(const freshet_pipeline *pipeline, char *into, size_t size)
{
    uint32_t which, partition;
    int64_t since_us;
    char span[WATERMARK_SPAN_TEXT_MAX], idle[WATERMARK_SPAN_TEXT_MAX];
    if (pipeline->merge == NULL || !merge_held_by(pipeline->merge, &which, &partition, &since_us))
        return false;
    const freshet_reader *reader = pipeline->readers[which].reader;
    const char *label = partition == READER_NONE || reader->ops->partition_label == NULL
                            ? NULL
                            : reader->ops->partition_label(reader, partition);
    watermark_span((os.monotonic_us() - since_us) / 1000000, span);
    watermark_span(pipeline->declaration->feature_set.timestamp.idle_us / 1000000, idle);
    snprintf(into, size,
             "rows wait for %s (reader %s), which should have more and has given nothing for %s; "
             "after %s (timestamp.idle) they go on without it",
             label_of(reader, label), reader->block->id.value, span, idle);
    return true;
}

/* Of a join, which stream the rows of the other wait for. */
static bool tell_join(const freshet_pipeline *pipeline, char *into, size_t size)
{
    feature_set_holder holder;
    uint32_t reader;
    char span[WATERMARK_SPAN_TEXT_MAX], idle[WATERMARK_SPAN_TEXT_MAX];
    if (pipeline->joining == NULL || !joining_held_by(pipeline->joining, &reader, &holder))
        return false;
    watermark_span((os.monotonic_us() - holder.seen_us) / 1000000, span);
    watermark_span(pipeline->declaration->feature_set.timestamp.idle_us / 1000000, idle);
    snprintf(into, size,
             "rows that are joined wait for the reader %s, whose rows are behind the other's: its "
             "last one came %s ago; %s after it (timestamp.idle) they go on without it",
             pipeline->readers[reader].reader->block->id.value, span, idle);
    return true;
}

/* Windows wait for the lane whose newest row is the oldest. */
static bool tell_watermark(const freshet_pipeline *pipeline, char *into, size_t size)
{
    feature_set_holder holder;
    char span[WATERMARK_SPAN_TEXT_MAX], idle[WATERMARK_SPAN_TEXT_MAX], newest[80] = "no row yet";
    if (!feature_set_held_by(pipeline->features, &holder) ||
        holder.lane / STEP_LANES_MAX >= pipeline->n_readers)
        return false;
    const freshet_reader *reader = pipeline->readers[holder.lane / STEP_LANES_MAX].reader;
    const char *label = reader->ops->lane_label == NULL
                            ? NULL
                            : reader->ops->lane_label(reader, holder.lane % STEP_LANES_MAX);
    if (holder.newest_s != INT64_MIN) {
        struct tm parts;
        const time_t second = holder.newest_s;
        if (gmtime_r(&second, &parts) != NULL)
            strftime(newest, sizeof newest, "its newest row is of %Y-%m-%dT%H:%M:%SZ", &parts);
    }
    watermark_span((os.monotonic_us() - holder.seen_us) / 1000000, span);
    watermark_span(pipeline->declaration->feature_set.timestamp.idle_us / 1000000, idle);
    snprintf(into, size,
             "windows wait for %s (reader %s): %s, and it came %s ago; %s after it "
             "(timestamp.idle) they go on without it",
             label_of(reader, label), reader->block->id.value, newest, span, idle);
    return true;
}

void holding_note(freshet_pipeline *pipeline)
{
    char text[sizeof pipeline->held_by] = "";
    const int64_t now_us = os.monotonic_us();
    if (pipeline->held_look_us != 0 && now_us - pipeline->held_look_us < HOLDER_LOOK_US)
        return;
    pipeline->held_look_us = now_us;
    if (!tell_merge(pipeline, text, sizeof text) && !tell_join(pipeline, text, sizeof text))
        tell_watermark(pipeline, text, sizeof text);
    pthread_mutex_lock(&pipeline->trouble_lock);
    memcpy(pipeline->held_by, text, sizeof text);
    pthread_mutex_unlock(&pipeline->trouble_lock);
}

bool freshet_waits_for(const freshet_pipeline *pipeline, freshet_error *who)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&pipeline->trouble_lock;
    pthread_mutex_lock(lock);
    const bool waits = pipeline->held_by[0] != '\0';
    if (waits)
        error_set(who, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL, "%s", pipeline->held_by);
    pthread_mutex_unlock(lock);
    return waits;
}

/* ---- most are late --------------------------------------------------------------------------- */

void lateness_note_row(freshet_pipeline *pipeline, const reject *late)
{
    lateness_watch *watch = &pipeline->lateness;
    watch->late++;
    snprintf(watch->where, sizeof watch->where, " (the last: %s%s%s)",
             late->partition == NULL ? "" : late->partition,
             late->partition == NULL ? "reader " : ", reader ",
             late->reader == NULL ? "" : late->reader);
}

static void say_late(freshet_pipeline *pipeline)
{
    const timestamp_block *timestamp = &pipeline->declaration->feature_set.timestamp;
    const lateness_watch *watch = &pipeline->lateness;
    char lateness[WATERMARK_SPAN_TEXT_MAX];
    watermark_span(timestamp->lateness_us / 1000000, lateness);
    log_event(ROWS_LATE, pipeline->declaration->pipeline.value, watch->late, watch->rows,
              watch->where, lateness);
}

void lateness_note_step(freshet_pipeline *pipeline, uint32_t n_rows, bool at_end)
{
    lateness_watch *watch = &pipeline->lateness;
    const uint64_t dropped =
        feature_set_measure(pipeline->features).dropped +
        (pipeline->joining == NULL ? 0 : joined_measure(joining_rows(pipeline->joining)).dropped);
    const int64_t now_us = os.monotonic_us();
    watch->rows += n_rows;
    watch->late += dropped - watch->dropped;
    watch->dropped = dropped;
    if (watch->rows < STRETCH_ROWS && !at_end)
        return;
    if (watch->late >= LATE_LEAST && watch->late > watch->rows / 2 &&
        (watch->said_us == 0 || now_us - watch->said_us >= SAY_AGAIN_US)) {
        say_late(pipeline);
        watch->said_us = now_us;
    }
    watch->rows = watch->late = 0;
    watch->where[0] = '\0';
}
