/* late_rows.c - the times of a stream's rows: which come too early (`max_future`), which too late
 * (watermark.h), and how far back rows may still come, which all operators behind are told by the
 * run.
 *
 * Windows that close wait only for lanes whose rows are known to be there: a lane that may never
 * give any would hold up what is output.
 *
 * Lanes are few, and rows of one come together: a list with a memory of where the last one stood.
 * Its facts: "FWM1", u32 number of lanes, then for each u32 its number and i64 its newest second,
 * little-endian. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/os.h"
#include "features/watermark.h"

#define MAGIC "FWM1"
#define HEAD_BYTES 8u
#define LANE_BYTES 12u
#define MAX_FUTURE_US INT64_C(86400000000) /* where nothing is said */

/* ---- too early ------------------------------------------------------------------------------- */

/* Rows of some sets harm others by their time: those that wait for watermarks, and grids. */
static int64_t max_future_us(const feature_set_block *block, bool waits)
{
    if (place_is_set(&block->timestamp.max_future_at))
        return block->timestamp.max_future_us;
    return waits || block->has_aggregated ? MAX_FUTURE_US : 0;
}

static bool late_rows_wanted(const operator_options *options);

static bool early_rows_wanted(const operator_options *options)
{
    return max_future_us(&options->declaration->feature_set, late_rows_wanted(options)) > 0;
}

static freshet_code refuse_early(const freshet_operator *self, run *run, uint32_t row,
                                 int64_t ahead_us)
{
    char ahead[WATERMARK_SPAN_TEXT_MAX], allowed[WATERMARK_SPAN_TEXT_MAX];
    watermark_span(ahead_us / 1000000, ahead);
    watermark_span(max_future_us(self->block, true) / 1000000, allowed);
    return run_refuse(
        run, row, REASON_EARLY,
        arena_format(run->arena,
                     "timestamp: it is %s ahead of the clock, and \"max_future\" allows %s", ahead,
                     allowed));
}

static freshet_code early_rows_run(freshet_operator *self, run *run)
{
    const int64_t *event_us = run->columns[run->plan->timestamp].data;
    const int64_t now_us = os.now_us(), most_us = max_future_us(self->block, true);
    freshet_code code = FRESHET_OK;
    for (uint32_t row = 0; code == FRESHET_OK && row < run->n_rows; row++) {
        int64_t ahead_us;
        if (!run->keep[row] || event_us[row] <= now_us)
            continue;
        if (__builtin_sub_overflow(event_us[row], now_us, &ahead_us))
            ahead_us = INT64_MAX;
        if (ahead_us > most_us)
            code = refuse_early(self, run, row, ahead_us);
    }
    return code;
}

const operator_ops early_rows_operator = {.name = "early rows",
                                          .size = sizeof(freshet_operator),
                                          .wanted = early_rows_wanted,
                                          .run = early_rows_run};

/* ---- lanes ----------------------------------------------------------------------------------- */

typedef struct lane {
    uint32_t number;
    int64_t newest_s;
    int64_t seen_us; /* of the monotonic clock */
} lane;

typedef struct late_rows {
    freshet_operator base;
    int64_t lateness_s;
    lane *lanes;
    uint32_t n, capacity;
    uint32_t last; /* that was looked for */
} late_rows;

/* The lane of that number, which is seen now; a new one where there is none. */
static freshet_code see_lane(late_rows *late, uint32_t number, int64_t now_us, lane **out,
                             freshet_error *err)
{
    uint32_t i = late->last;
    if (i >= late->n || late->lanes[i].number != number)
        for (i = 0; i < late->n && late->lanes[i].number != number;)
            i++;
    if (i == late->n) {
        if (i == WATERMARK_LANES_MAX)
            return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                             "the rows come from more than %u partitions", WATERMARK_LANES_MAX);
        if (!array_reserve(&late->lanes, &late->capacity, i + UINT64_C(1), sizeof *late->lanes))
            return error_memory(err, "keeping the watermarks");
        late->lanes[late->n++] = (lane){.number = number, .newest_s = INT64_MIN};
    }
    late->last = i;
    *out = &late->lanes[i];
    (*out)->seen_us = now_us;
    return FRESHET_OK;
}

/* The next row of a lane: *behind_s tells how many seconds it lies before its lane's newest row, 0
 * for a new newest; it is late where that is more than the lateness. Late rows move nothing. */
static freshet_code take_time(late_rows *late, uint32_t lane_number, int64_t event_us,
                              int64_t now_us, int64_t *behind_s, freshet_error *err)
{
    const int64_t second = event_us / 1000000 - (event_us % 1000000 < 0);
    lane *lane;
    *behind_s = 0;
    freshet_code code = see_lane(late, lane_number, now_us, &lane, err);
    if (code != FRESHET_OK || event_us > WATERMARK_TIME_MAX)
        return code;
    if (second >= lane->newest_s)
        lane->newest_s = second;
    else
        *behind_s = lane->newest_s - second;
    return FRESHET_OK;
}

/* The second from which on rows may still come; INT64_MIN before the first row. */
static int64_t lowest_second(const late_rows *late, int64_t now_us)
{
    int64_t lowest = INT64_MAX, newest = INT64_MIN;
    for (uint32_t i = 0; i < late->n; i++) {
        const lane *lane = &late->lanes[i];
        if (lane->newest_s > newest)
            newest = lane->newest_s;
        if (now_us - lane->seen_us < late->base.block->timestamp.idle_us && lane->newest_s < lowest)
            lowest = lane->newest_s;
    }
    if (lowest == INT64_MAX) /* all are idle: none holds the others back */
        lowest = newest;
    return lowest == INT64_MIN ? INT64_MIN : lowest - late->lateness_s;
}

static bool late_rows_held_by(const freshet_operator *self, feature_set_holder *out)
{
    const late_rows *late = (const late_rows *)self;
    const int64_t now_us = os.monotonic_us();
    const lane *lowest = NULL;
    int64_t newest = INT64_MIN;
    for (uint32_t i = 0; i < late->n; i++) {
        const lane *lane = &late->lanes[i];
        if (lane->newest_s > newest)
            newest = lane->newest_s;
        if (now_us - lane->seen_us < self->block->timestamp.idle_us &&
            (lowest == NULL || lane->newest_s < lowest->newest_s))
            lowest = lane;
    }
    if (lowest == NULL || lowest->newest_s == newest)
        return false;
    *out = (feature_set_holder){lowest->number, lowest->newest_s, lowest->seen_us};
    return true;
}

/* ---- too late -------------------------------------------------------------------------------- */

static bool late_rows_wanted(const operator_options *options)
{
    return options->declaration->is_stream &&
           (options->plan->n_views > 0 || options->declaration->feature_set.has_aggregated ||
            options->declaration->feature_set.has_deduplicate);
}

static freshet_code late_rows_open(freshet_operator *self, const operator_options *options,
                                   freshet_error *err)
{
    (void)options, (void)err;
    ((late_rows *)self)->lateness_s = watermark_lateness_s(self->block);
    return FRESHET_OK;
}

/* Each row moves its lane's watermark, or is measured by it. */
static freshet_code late_rows_run(freshet_operator *self, run *run)
{
    late_rows *late = (late_rows *)self;
    const int64_t *event_us = run->columns[run->plan->timestamp].data;
    const int64_t now_us = os.monotonic_us();
    freshet_code code = FRESHET_OK;
    run->hold_s = lowest_second(late, now_us);
    for (uint32_t row = 0; code == FRESHET_OK && row < run->n_rows; row++) {
        int64_t behind_s;
        if (!run->keep[row])
            continue;
        code = take_time(late, run_lane(run, row), event_us[row], now_us, &behind_s, run->err);
        if (code == FRESHET_OK && behind_s > late->lateness_s &&
            self->block->timestamp.late != ON_LATE_UPDATE)
            code = watermark_refuse(self, run, row, behind_s);
    }
    run->lowest_s = lowest_second(late, now_us);
    return code;
}

/* Until it gives rows, or has been idle, the lane holds all others back. */
static freshet_code late_rows_expect(freshet_operator *self, uint32_t lane_number, bool is_waiting,
                                     freshet_error *err)
{
    lane *lane;
    if (self->block->has_aggregated && !is_waiting)
        return FRESHET_OK;
    return see_lane((late_rows *)self, lane_number, os.monotonic_us(), &lane, err);
}

static freshet_code late_rows_save(const freshet_operator *self, text_buffer *into,
                                   freshet_error *err)
{
    const late_rows *late = (const late_rows *)self;
    text_append(into, MAGIC, 4);
    text_append(into, (const char *)&late->n, sizeof late->n);
    for (uint32_t i = 0; i < late->n; i++) {
        text_append(into, (const char *)&late->lanes[i].number, sizeof(uint32_t));
        text_append(into, (const char *)&late->lanes[i].newest_s, sizeof(int64_t));
    }
    return into->failed ? error_memory(err, "saving the watermarks") : FRESHET_OK;
}

static freshet_code late_rows_restore(freshet_operator *self, const void *bytes, size_t length,
                                      freshet_error *err)
{
    late_rows *late = (late_rows *)self;
    const char *at = bytes;
    uint32_t n = 0, number;
    lane *lane;
    if (length >= HEAD_BYTES)
        memcpy(&n, at + 4, sizeof n);
    if (length < HEAD_BYTES || memcmp(at, MAGIC, 4) != 0 || n > WATERMARK_LANES_MAX ||
        length != HEAD_BYTES + (size_t)n * LANE_BYTES)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved watermarks are damaged: they are not in the format " MAGIC);
    late->n = 0;
    at += HEAD_BYTES;
    for (uint32_t i = 0; i < n; i++, at += LANE_BYTES) {
        memcpy(&number, at, sizeof number);
        freshet_code code = see_lane(late, number, os.monotonic_us(), &lane, err);
        if (code != FRESHET_OK)
            return code;
        memcpy(&lane->newest_s, at + 4, sizeof lane->newest_s);
    }
    return FRESHET_OK;
}

static void late_rows_close(freshet_operator *self)
{
    free(((late_rows *)self)->lanes);
}

const operator_ops late_rows_operator = {.name = "watermarks",
                                         .size = sizeof(late_rows),
                                         .wanted = late_rows_wanted,
                                         .open = late_rows_open,
                                         .run = late_rows_run,
                                         .expect = late_rows_expect,
                                         .held_by = late_rows_held_by,
                                         .save = late_rows_save,
                                         .restore = late_rows_restore,
                                         .close = late_rows_close};
