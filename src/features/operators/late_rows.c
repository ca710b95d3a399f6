/* late_rows.c - the times of a stream's rows: which come too early (`max_future`), which too late
 * (watermark.h), and how far back rows may still come, which all operators behind are told by the
 * run.
 *
 * Windows that close wait only for lanes whose rows are known to be there: a lane that may never
 * give any would hold up what is output.
 *
 * Its facts are those of its lanes (lanes.h), and the newest second of rows that had none, since
 * they came of a join. Sets that wait for nobody keep them, too, under the same name: first
 * windows, or ids of events, that they may get one day begin behind their newest row; with the
 * first row, where none has come.
 */
#include <string.h>

#include "base/error.h"
#include "base/os.h"
#include "features/lanes.h"
#include "features/watermark.h"

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

typedef struct late_rows {
    freshet_operator base;
    int64_t lateness_s;
    lanes lanes;
    /* Behind a join: the second that its last watermark has told; rows of it may come. */
    int64_t told_s;
    int64_t joined_s; /* the newest second of rows of a join; LANES_NONE: there was none */
} late_rows;

static int64_t late_second_of(int64_t us)
{
    return us / 1000000 - (us % 1000000 < 0);
}

/* A row of a join. */
static void note_joined(late_rows *late, int64_t event_us)
{
    if (event_us <= WATERMARK_TIME_MAX && late_second_of(event_us) > late->joined_s)
        late->joined_s = late_second_of(event_us);
}

/* The second from which on rows may still come; LANES_NONE before the first row. */
static int64_t lowest_second(const late_rows *late, int64_t now_us)
{
    bool all_idle;
    const int64_t lowest =
        lanes_lowest(&late->lanes, now_us, late->base.block->timestamp.idle_us, &all_idle);
    return lowest == LANES_NONE ? LANES_NONE : lowest - late->lateness_s;
}

static const lanes *late_rows_lanes(const freshet_operator *self)
{
    return &((const late_rows *)self)->lanes;
}

static bool late_rows_held_by(const freshet_operator *self, feature_set_holder *out)
{
    const late_rows *late = (const late_rows *)self;
    const lane_mark *holder =
        lanes_holder(&late->lanes, os.monotonic_us(), self->block->timestamp.idle_us);
    if (holder == NULL)
        return false;
    *out = (feature_set_holder){holder->number, holder->newest_s, holder->seen_us};
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
    ((late_rows *)self)->told_s = INT64_MIN;
    ((late_rows *)self)->joined_s = LANES_NONE;
    return FRESHET_OK;
}

/* Rows of a join, which tells how far back more may come. */
static freshet_code take_told(late_rows *late, run *run)
{
    const int64_t *event_us = run->columns[run->plan->timestamp].data;
    freshet_code code = FRESHET_OK;
    late->lanes.n = 0; /* those of rows before there was a join move no more */
    run->hold_s = late->told_s;
    for (uint32_t row = 0; code == FRESHET_OK && row < run->n_rows; row++) {
        if (!run->keep[row])
            continue;
        note_joined(late, event_us[row]);
        if (late_second_of(event_us[row]) < late->told_s)
            code = watermark_refuse(&late->base, run, row, 0);
    }
    if (run->in->watermark_s > late->told_s)
        late->told_s = run->in->watermark_s;
    run->lowest_s = late->told_s;
    return code;
}

/* Each row moves its lane's watermark, or is measured by it. */
static freshet_code late_rows_run(freshet_operator *self, run *run)
{
    late_rows *late = (late_rows *)self;
    const int64_t *event_us = run->columns[run->plan->timestamp].data;
    const int64_t now_us = os.monotonic_us();
    freshet_code code = FRESHET_OK;
    if (run->in->has_watermark)
        return take_told(late, run);
    run->hold_s = lowest_second(late, now_us);
    for (uint32_t row = 0; code == FRESHET_OK && row < run->n_rows; row++) {
        int64_t behind_s;
        if (!run->keep[row])
            continue;
        code = lanes_take(&late->lanes, run_lane(run, row), event_us[row], now_us, &behind_s,
                          run->err);
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
    lane_mark *lane;
    if (self->block->has_aggregated && !is_waiting)
        return FRESHET_OK;
    return lanes_see(&((late_rows *)self)->lanes, lane_number, os.monotonic_us(), &lane, err);
}

static freshet_code late_rows_save(const freshet_operator *self, text_buffer *into,
                                   freshet_error *err)
{
    const late_rows *late = (const late_rows *)self;
    lanes_save(&late->lanes, into);
    text_append(into, (const char *)&late->joined_s, sizeof late->joined_s);
    return into->failed ? error_memory(err, "saving the watermarks") : FRESHET_OK;
}

/* The newest second of all rows; LANES_NONE: there was none. */
static int64_t newest_of_all(const late_rows *late)
{
    int64_t newest_s = late->joined_s;
    for (uint32_t i = 0; i < late->lanes.n; i++)
        if (late->lanes.items[i].newest_s > newest_s)
            newest_s = late->lanes.items[i].newest_s;
    return newest_s;
}

/* In facts from before rows of a join were noted it is not known whether there was any. */
static freshet_code late_rows_restore(freshet_operator *self, const void *bytes, size_t length,
                                      freshet_error *err)
{
    late_rows *late = (late_rows *)self;
    const bool knows_joined = lanes_saved_bytes(bytes, length) + sizeof late->joined_s == length;
    if (knows_joined) {
        length -= sizeof late->joined_s;
        memcpy(&late->joined_s, (const char *)bytes + length, sizeof late->joined_s);
    }
    freshet_code code = lanes_restore(&late->lanes, bytes, length, os.monotonic_us(), err);
    const int64_t newest_s = code == FRESHET_OK ? newest_of_all(late) : LANES_NONE;
    if (code != FRESHET_OK || self->evolution == NULL)
        return code;
    if (newest_s == LANES_NONE && knows_joined)
        self->evolution->newest_us = EVOLUTION_NO_ROW;
    else if (newest_s < INT64_MAX / 1000000 && newest_s > INT64_MIN / 1000000)
        self->evolution->newest_us = newest_s * 1000000 + 999999;
    return code;
}

static void late_rows_close(freshet_operator *self)
{
    lanes_release(&((late_rows *)self)->lanes);
}

const operator_ops late_rows_operator = {.name = "watermarks",
                                         .size = sizeof(late_rows),
                                         .wanted = late_rows_wanted,
                                         .open = late_rows_open,
                                         .run = late_rows_run,
                                         .expect = late_rows_expect,
                                         .held_by = late_rows_held_by,
                                         .lanes = late_rows_lanes,
                                         .save = late_rows_save,
                                         .restore = late_rows_restore,
                                         .close = late_rows_close};

/* ---- of sets that wait for nobody ------------------------------------------------------------ */

static bool row_times_wanted(const operator_options *options)
{
    return options->declaration->is_stream && !late_rows_wanted(options);
}

/* Each row moves its lane's watermark, but for one that is so far ahead that windows would refuse
 * it. Nothing is refused here. */
static freshet_code row_times_run(freshet_operator *self, run *run)
{
    late_rows *late = (late_rows *)self;
    const int64_t *event_us = run->columns[run->plan->timestamp].data;
    int64_t newest_us = INT64_MIN, last_us, behind_s;
    freshet_code code = FRESHET_OK;
    if (__builtin_add_overflow(os.now_us(), max_future_us(self->block, true), &last_us))
        last_us = INT64_MAX;
    const bool is_joined = run->in->has_watermark;
    if (is_joined)
        late->lanes.n = 0; /* rows of a join have none */
    for (uint32_t row = 0; code == FRESHET_OK && row < run->n_rows; row++) {
        if (run->keep[row] && event_us[row] > newest_us && event_us[row] <= last_us)
            newest_us = event_us[row];
        const bool is_last =
            row + 1 == run->n_rows || (!is_joined && run_lane(run, row + 1) != run_lane(run, row));
        if (!is_last || newest_us == INT64_MIN)
            continue;
        if (is_joined) {
            note_joined(late, newest_us);
            continue;
        }
        code = lanes_take(&late->lanes, run_lane(run, row), newest_us, 0, &behind_s, run->err);
        newest_us = INT64_MIN;
    }
    return code;
}

const operator_ops row_times_operator = {.name = "watermarks",
                                         .size = sizeof(late_rows),
                                         .wanted = row_times_wanted,
                                         .open = late_rows_open,
                                         .run = row_times_run,
                                         .lanes = late_rows_lanes,
                                         .save = late_rows_save,
                                         .restore = late_rows_restore,
                                         .close = late_rows_close};
