/* late_rows.c - the times of a stream's rows: which come too early (`max_future`), which too late (watermark.h), and
 * how far back rows may still come, which all operators behind are told by the run.
 *
 * Windows that close wait only for lanes whose rows are known to be there: a lane that may never give any would
 * hold up what is output. */
#include "base/error.h"
#include "base/os.h"
#include "features/watermark.h"

/* ---- too early -------------------------------------------------------------------------------- */

static bool early_rows_wanted(const operator_options *options)
{
    return options->declaration->is_stream &&
           options->declaration->feature_set.timestamp.max_future_us > 0;
}

static freshet_code refuse_early(const freshet_operator *self, run *run, uint32_t row,
                                 int64_t ahead_us)
{
    char ahead[WATERMARK_SPAN_TEXT_MAX], allowed[WATERMARK_SPAN_TEXT_MAX];
    watermark_span(ahead_us / 1000000, ahead);
    watermark_span(self->block->timestamp.max_future_us / 1000000, allowed);
    return run_refuse(
        run, row,
        arena_format(run->arena,
                     "timestamp: it is %s ahead of the clock, and \"max_future\" allows %s", ahead,
                     allowed));
}

static freshet_code early_rows_run(freshet_operator *self, run *run)
{
    const int64_t *event_us = run->columns[run->plan->timestamp].data;
    const int64_t now_us = os.now_us();
    freshet_code code = FRESHET_OK;
    for (uint32_t row = 0; code == FRESHET_OK && row < run->n_rows; row++) {
        int64_t ahead_us;
        if (!run->keep[row] || event_us[row] <= now_us)
            continue;
        if (__builtin_sub_overflow(event_us[row], now_us, &ahead_us))
            ahead_us = INT64_MAX;
        if (ahead_us > self->block->timestamp.max_future_us)
            code = refuse_early(self, run, row, ahead_us);
    }
    return code;
}

const operator_ops early_rows_operator = {.name = "early rows",
                                          .size = sizeof(freshet_operator),
                                          .wanted = early_rows_wanted,
                                          .run = early_rows_run};

/* ---- too late --------------------------------------------------------------------------------- */

typedef struct late_rows {
    freshet_operator base;
    watermarks *watermarks;
    int64_t lateness_s;
} late_rows;

static bool late_rows_wanted(const operator_options *options)
{
    return options->declaration->is_stream &&
           (options->plan->n_views > 0 || options->declaration->feature_set.has_aggregated ||
            options->declaration->feature_set.has_deduplicate);
}

static freshet_code late_rows_open(freshet_operator *self, const operator_options *options,
                                   freshet_error *err)
{
    late_rows *late = (late_rows *)self;
    (void)options;
    late->lateness_s = watermark_lateness_s(self->block);
    late->watermarks = watermarks_open(late->lateness_s);
    return late->watermarks == NULL ? error_memory(err, "opening the watermarks") : FRESHET_OK;
}

/* Each row moves its lane's watermark, or is measured by it. */
static freshet_code late_rows_run(freshet_operator *self, run *run)
{
    late_rows *late = (late_rows *)self;
    const int64_t *event_us = run->columns[run->plan->timestamp].data;
    const int64_t now_us = os.monotonic_us();
    freshet_code code = FRESHET_OK;
    run->hold_s = watermarks_lowest(late->watermarks, now_us);
    for (uint32_t row = 0; code == FRESHET_OK && row < run->n_rows; row++) {
        int64_t behind_s;
        if (!run->keep[row])
            continue;
        code = watermarks_take(late->watermarks, run_lane(run, row), event_us[row], now_us,
                               &behind_s, run->err);
        if (code == FRESHET_OK && behind_s > late->lateness_s &&
            self->block->timestamp.late != ON_LATE_UPDATE)
            code = watermark_refuse(self, run, row, behind_s);
    }
    run->lowest_s = watermarks_lowest(late->watermarks, now_us);
    return code;
}

static freshet_code late_rows_expect(freshet_operator *self, uint32_t lane, bool is_waiting,
                                     freshet_error *err)
{
    if (self->block->has_aggregated && !is_waiting)
        return FRESHET_OK;
    return watermarks_expect(((late_rows *)self)->watermarks, lane, os.monotonic_us(), err);
}

static freshet_code late_rows_save(const freshet_operator *self, text_buffer *into,
                                   freshet_error *err)
{
    return watermarks_save(((const late_rows *)self)->watermarks, into, err);
}

static freshet_code late_rows_restore(freshet_operator *self, const void *bytes, size_t length,
                                      freshet_error *err)
{
    return watermarks_restore(((late_rows *)self)->watermarks, bytes, length, os.monotonic_us(),
                              err);
}

static void late_rows_close(freshet_operator *self)
{
    watermarks_close(((late_rows *)self)->watermarks);
}

const operator_ops late_rows_operator = {.name = "watermarks",
                                         .size = sizeof(late_rows),
                                         .wanted = late_rows_wanted,
                                         .open = late_rows_open,
                                         .run = late_rows_run,
                                         .expect = late_rows_expect,
                                         .save = late_rows_save,
                                         .restore = late_rows_restore,
                                         .close = late_rows_close};
