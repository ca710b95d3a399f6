/* measure.c - see measure.h. */
#include "pipeline/measure.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/os.h"
#include "features/lanes.h"
#include "features/watermark.h"
#include "http/figures.h"
#include "pipeline/checkpoint_internal.h"
#include "pipeline/pipeline.h"

/* A micro-batch of which a writer has rows. */
typedef struct given_rows {
    int64_t upto; /* rows that it had been given in all */
    int64_t seen_us;
} given_rows;

typedef struct measured_writer {
    int64_t given;
    int64_t done; /* of these, at the last look */
    given_rows batches[MEASURE_BATCHES_MAX];
    uint32_t first, n; /* a ring */
    histogram latency;
} measured_writer;

struct measure {
    figures_board *board;
    measured_writer writers[PIPELINE_WRITERS_MAX];
    int64_t begun_us, waited_us, seen_us;
    int64_t n_batches; /* at the step's beginning */
    int64_t next_us;   /* of the snapshot */
    histogram steps, checkpoints;
    uint64_t n_checkpoints, checkpoint_bytes;
    int64_t checkpoint_at_us;
};

freshet_code measure_open(freshet_pipeline *pipeline, freshet_error *err)
{
    measure *measure = calloc(1, sizeof *measure);
    if (measure == NULL || (measure->board = figures_open()) == NULL) {
        free(measure);
        return error_memory(err, "starting to measure the run");
    }
    pipeline->measure = measure;
    return FRESHET_OK;
}

void measure_close(measure *measure)
{
    if (measure == NULL)
        return;
    figures_close(measure->board);
    free(measure);
}

figures_board *measure_board(measure *measure)
{
    return measure == NULL ? NULL : measure->board;
}

/* ---- steps ---------------------------------------------------------------------------------- */

void measure_begin(freshet_pipeline *pipeline)
{
    measure *measure = pipeline->measure;
    if (measure == NULL)
        return;
    measure->begun_us = os.monotonic_us();
    if (!pipeline->delivery.pending) /* what could not be delivered was seen before */
        measure->seen_us = measure->begun_us;
    measure->waited_us = 0;
    measure->n_batches = atomic_load(&pipeline->counters[FRESHET_BATCHES]);
}

void measure_waited(freshet_pipeline *pipeline, int64_t us)
{
    if (pipeline->measure != NULL)
        pipeline->measure->waited_us += us;
}

void measure_seen(freshet_pipeline *pipeline)
{
    if (pipeline->measure != NULL)
        pipeline->measure->seen_us = os.monotonic_us();
}

void measure_end(freshet_pipeline *pipeline)
{
    measure *measure = pipeline->measure;
    if (measure == NULL || measure->n_batches == atomic_load(&pipeline->counters[FRESHET_BATCHES]))
        return;
    histogram_add(&measure->steps, os.monotonic_us() - measure->begun_us - measure->waited_us, 1);
}

/* ---- latency -------------------------------------------------------------------------------- */

void measure_given(freshet_pipeline *pipeline, uint32_t writer, uint32_t n_rows)
{
    if (pipeline->measure == NULL || n_rows == 0)
        return;
    measured_writer *of = &pipeline->measure->writers[writer];
    of->given += n_rows;
    if (of->n < MEASURE_BATCHES_MAX) {
        of->batches[(of->first + of->n) % MEASURE_BATCHES_MAX] =
            (given_rows){of->given, pipeline->measure->seen_us};
        of->n++;
    } else {
        of->batches[(of->first + of->n - 1) % MEASURE_BATCHES_MAX].upto = of->given;
    }
}

/* Rows of which it is certain what has become of them. */
static int64_t rows_done(const freshet_writer *writer)
{
    return writer_done(writer) + writer_counted(writer, WRITER_REPLACED);
}

void measure_shown(freshet_pipeline *pipeline)
{
    int64_t now_us = 0;
    for (uint32_t i = 0; pipeline->measure != NULL && i < pipeline->n_writers; i++) {
        measured_writer *of = &pipeline->measure->writers[i];
        const int64_t done = of->n == 0 ? 0 : rows_done(pipeline->writers[i]);
        while (of->n > 0 && of->batches[of->first].upto <= done) {
            const given_rows *batch = &of->batches[of->first];
            now_us = now_us == 0 ? os.monotonic_us() : now_us;
            histogram_add(&of->latency, now_us - batch->seen_us,
                          (uint64_t)(batch->upto - of->done));
            of->done = batch->upto;
            of->first = (of->first + 1) % MEASURE_BATCHES_MAX;
            of->n--;
        }
    }
}

void measure_checkpoint(freshet_pipeline *pipeline, int64_t took_us, uint64_t bytes)
{
    measure *measure = pipeline->measure;
    if (measure == NULL)
        return;
    histogram_add(&measure->checkpoints, took_us, 1);
    measure->n_checkpoints++;
    measure->checkpoint_bytes = bytes;
    measure->checkpoint_at_us = os.now_us();
}

/* ---- the snapshot --------------------------------------------------------------------------- */

typedef struct lag_taking {
    figures *figures;
    const char *reader;
} lag_taking;

static void take_lag(void *context, const char *partition, int64_t rows, int64_t bytes)
{
    const lag_taking *taking = context;
    figures *figures = taking->figures;
    const char *name = arena_text(figures->arena, partition);
    if (name != NULL && figures->n_lags < MEASURE_LANES_MAX)
        figures->lags[figures->n_lags++] = (figures_lag){taking->reader, name, rows, bytes};
}

static void take_lags(const freshet_pipeline *pipeline, figures *figures)
{
    figures->lags = arena_alloc(figures->arena, MEASURE_LANES_MAX * sizeof *figures->lags);
    for (uint32_t i = 0; figures->lags != NULL && i < pipeline->n_readers; i++) {
        const reader_state *state = &pipeline->readers[i];
        if (!state->opened || !source_drives(pipeline->source, i))
            continue;
        const reader_ops *ops = state->reader->ops;
        lag_taking taking = {figures, state->reader->block->id.value};
        if (ops->lags != NULL)
            ops->lags(state->reader, take_lag, &taking);
        else if (ops->lag != NULL)
            take_lag(&taking, "", -1, ops->lag(state->reader));
    }
}

static void take_lanes(const freshet_pipeline *pipeline, figures *figures)
{
    const lanes *lanes = feature_set_lanes(pipeline->features);
    feature_set_holder holder;
    const bool held = feature_set_held_by(pipeline->features, &holder);
    uint32_t n = lanes == NULL ? 0 : lanes->n < MEASURE_LANES_MAX ? lanes->n : MEASURE_LANES_MAX;
    figures->lanes = arena_alloc(figures->arena, (n + (size_t)1) * sizeof *figures->lanes);
    for (uint32_t i = 0; figures->lanes != NULL && i < n; i++) {
        const lane_mark *mark = &lanes->items[i];
        if (mark->number / STEP_LANES_MAX >= pipeline->n_readers)
            continue;
        const freshet_reader *reader = pipeline->readers[mark->number / STEP_LANES_MAX].reader;
        const char *label = reader->ops->lane_label == NULL
                                ? NULL
                                : reader->ops->lane_label(reader, mark->number % STEP_LANES_MAX);
        label = arena_text(figures->arena, label == NULL ? "" : label);
        if (label != NULL)
            figures->lanes[figures->n_lanes++] =
                (figures_lane){.reader = reader->block->id.value,
                               .partition = label,
                               .newest_s = mark->newest_s,
                               .holds = held && holder.lane == mark->number};
    }
}

static void take_writers(const freshet_pipeline *pipeline, figures *figures)
{
    figures->writers = arena_alloc(figures->arena, PIPELINE_WRITERS_MAX * sizeof *figures->writers);
    for (uint32_t i = 0; figures->writers != NULL && i < pipeline->n_writers; i++) {
        const freshet_writer *writer = pipeline->writers[i];
        const measured_writer *of = &pipeline->measure->writers[i];
        const int64_t in_flight = of->given - rows_done(writer);
        figures->writers[figures->n_writers++] =
            (figures_writer){.name = pipeline_writer_name(pipeline, i),
                             .in_flight = in_flight < 0 ? 0 : in_flight,
                             .retried = writer_counted(writer, WRITER_RETRIED),
                             .latency = of->latency};
    }
}

static void take_parts(const freshet_pipeline *pipeline, figures *figures)
{
    const checkpoint *checkpoint = pipeline->checkpoint;
    const uint32_t n = checkpoint == NULL ? 0 : checkpoint->n_parts;
    figures->parts = arena_alloc(figures->arena, (n + (size_t)1) * sizeof *figures->parts);
    for (uint32_t i = 0; figures->parts != NULL && i < n; i++) {
        const state_part *part = checkpoint->parts[i].part;
        figures->parts[figures->n_parts++] =
            (figures_part){.name = part->name,
                           .keys = state_part_keys(part),
                           .bytes = state_part_bytes(part),
                           .store_reads = atomic_load(&checkpoint->parts[i].store_reads)};
    }
}

void measure_turn(freshet_pipeline *pipeline)
{
    measure *measure = pipeline->measure;
    if (measure == NULL)
        return;
    const int64_t now_us = os.monotonic_us();
    if (now_us < measure->next_us)
        return;
    figures *figures = figures_draft(measure->board);
    figures->lateness_s = watermark_lateness_s(&pipeline->declaration->feature_set);
    figures->steps = measure->steps;
    figures->checkpoints = measure->checkpoints;
    figures->n_checkpoints = measure->n_checkpoints;
    figures->checkpoint_bytes = measure->checkpoint_bytes;
    figures->checkpoint_at_us = measure->checkpoint_at_us;
    take_lags(pipeline, figures);
    take_lanes(pipeline, figures);
    take_writers(pipeline, figures);
    take_parts(pipeline, figures);
    figures_show(measure->board);
    const int64_t took_us = os.monotonic_us() - now_us;
    measure->next_us =
        now_us + (took_us * MEASURE_SHARE > MEASURE_US ? took_us * MEASURE_SHARE : MEASURE_US);
}
