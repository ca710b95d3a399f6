/* step.c - one micro-batch: poll the readers, run the query, compute the features, deliver.
 *
 *   pipeline_step()
 *     deliver what an earlier step could not                  (delivery.pending)
 *     take()      rows of the driving readers, or a piece of the whole query's result
 *     compute()   source -> feature set; refused rows become rejects; after the last row finish(),
 *                 which gives what needs to see all rows, piece by piece
 *     deliver()   writers, then dead letters, then counters
 *   freshet_step() does the same and flushes the writers; at the end it finishes them
 *
 * The step's arena is reset only when nothing is pending. Waiting happens in one place,
 * wait_input(): poll(2) on the readers' descriptors and on the eventfd of freshet_stop().
 */
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "base/text.h"
#include "pipeline/bootstrap.h"
#include "pipeline/fill.h"
#include "pipeline/pipeline.h"
#include "readers/polling.h"

#define EXPECTED_ROWS_FIRST 64u
#define EXPECTED_ROWS_SPARE \
    64u /* of so many rows one more: lanes together give now more, now less */

/* Lanes whose rows are waiting: what they may need is kept until they come. */
static freshet_code expect_lanes(freshet_pipeline *pipeline, freshet_reader *reader,
                                 freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    if (reader->ops->next_lane == NULL)
        return FRESHET_OK;
    for (uint32_t lane = reader->ops->next_lane(reader); lane != UINT32_MAX && code == FRESHET_OK;
         lane = reader->ops->next_lane(reader))
        code = pipeline->joining != NULL
                   ? joining_expect(pipeline->joining, reader->index, lane, err)
                   : feature_set_expect(pipeline->features,
                                        reader->index * STEP_LANES_MAX + lane % STEP_LANES_MAX,
                                        true, err);
    return code;
}

static freshet_code step_open_reader(freshet_pipeline *pipeline, reader_state *state,
                                     freshet_error *err)
{
    freshet_reader *reader = state->reader;
    reader_positions from;
    reader->in_lanes = pipeline->merge != NULL;
    freshet_code code = checkpoint_positions(pipeline, reader->index, &from, err);
    if (code == FRESHET_OK && pipeline->bootstraps[reader->index] == NULL)
        code = bootstrap_check_positions(pipeline, reader->index, &from, err);
    if (code == FRESHET_OK)
        code = reader->ops->open(reader, &from, err);
    if (code == FRESHET_OK && reader->ops->next_lane == NULL && pipeline->joining != NULL)
        code = joining_expect(pipeline->joining, reader->index, 0, err);
    else if (code == FRESHET_OK && reader->ops->next_lane == NULL)
        code = feature_set_expect(pipeline->features, reader->index * STEP_LANES_MAX, false, err);
    state->opened = code == FRESHET_OK;
    return code;
}

uint32_t pipeline_step_rows(const freshet_pipeline *pipeline)
{
    const uint32_t most = pipeline->options.step_rows;
    const uint32_t copies = feature_set_copies(pipeline->features); /* PLAN_COPIES_MAX at most */
    return most == 0 || most > STEP_ROWS_MAX / copies ? STEP_ROWS_MAX / copies : most;
}

freshet_code pipeline_begin_reader(freshet_pipeline *pipeline, reader_state *state,
                                   freshet_error *err)
{
    freshet_code code = state->opened ? FRESHET_OK : step_open_reader(pipeline, state, err);
    if (code != FRESHET_OK)
        return code;
    batch *taken = arena_zero(pipeline->step_arena, 1, sizeof *taken);
    if (taken == NULL)
        return error_memory(err, "taking rows from a reader");
    uint32_t expected =
        state->expected_rows < EXPECTED_ROWS_FIRST ? EXPECTED_ROWS_FIRST : state->expected_rows;
    if (pipeline->merge != NULL)
        expected += expected / EXPECTED_ROWS_SPARE;
    code = batch_init_raw(taken, pipeline->step_arena, &state->reader->schema, state->reader->used,
                          expected, err);
    if (code == FRESHET_OK)
        state->batch = taken;
    return code;
}

freshet_code pipeline_poll(freshet_pipeline *pipeline, reader_state *state, uint32_t max_rows,
                           size_t max_bytes, freshet_error *err)
{
    freshet_reader *reader = state->reader;
    const uint32_t n_before = state->batch->n_rows;
    freshet_code code = reader->ops->poll(reader, state->batch, max_rows, max_bytes,
                                          &pipeline->rejects, &state->more, err);
    trouble_note(pipeline, state);
    if (code == FRESHET_END) {
        state->ended = true;
        state->more = false;
    } else if (code != FRESHET_OK) {
        return code;
    }
    state->expected_rows = state->batch->n_rows;
    if (pipeline->hooks != NULL) {
        code = hooks_read(pipeline, reader->index, state->batch, n_before, err);
        if (code != FRESHET_OK)
            return code;
    }
    return expect_lanes(pipeline, reader, err);
}

static freshet_code poll_reader(freshet_pipeline *pipeline, reader_state *state, freshet_error *err)
{
    uint32_t rejects_before = pipeline->rejects.n;
    freshet_code code = pipeline_begin_reader(pipeline, state, err);
    if (code == FRESHET_OK)
        code = pipeline_poll(pipeline, state, pipeline_step_rows(pipeline), STEP_BYTES_MAX, err);
    if (code != FRESHET_OK) {
        state->batch = NULL;
        return code;
    }
    pipeline_count(pipeline, FRESHET_ROWS_READ,
                   (int64_t)state->batch->n_rows + (pipeline->rejects.n - rejects_before));
    return FRESHET_OK;
}

/* Polls each driving reader once. *rows: how many rows and rejects there are; *ended: all ended. */
static freshet_code poll_readers(freshet_pipeline *pipeline, uint32_t *rows, bool *ended,
                                 freshet_error *err)
{
    *rows = 0;
    *ended = true;
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        reader_state *state = &pipeline->readers[i];
        state->batch = NULL;
        if (!source_drives(pipeline->source, i) || state->ended)
            continue;
        freshet_error problem = {0};
        freshet_code code = poll_reader(pipeline, state, &problem);
        if (code != FRESHET_OK) {
            /* What other readers gave already must not be lost: go on with it, fail the next
             * time. */
            if (*rows + pipeline->rejects.n > 0 && problem.then == FRESHET_RETRY) {
                *ended = false;
                continue;
            }
            if (err != NULL)
                *err = problem;
            return code;
        }
        *rows += state->batch->n_rows;
        *ended &= state->ended;
    }
    *rows += pipeline->rejects.n;
    return FRESHET_OK;
}

/* Waits until a reader may have something, a stop is asked for, or the deadline. */
static void wait_input(freshet_pipeline *pipeline, int64_t deadline_us)
{
    struct pollfd fds[PIPELINE_READERS_MAX + PIPELINE_WRITERS_MAX + 1] = {
        {.fd = pipeline->wake_fd, .events = POLLIN}};
    int64_t wake_us = deadline_us;
    uint32_t n = pipeline_add_waits(pipeline, fds, 1, &wake_us);
    const int64_t began_us = os.monotonic_us();
    int64_t wait_us = wake_us - began_us;
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        const reader_state *state = &pipeline->readers[i];
        if (!state->opened || state->ended || !source_drives(pipeline->source, i))
            continue;
        freshet_reader *reader = state->reader;
        int fd = reader->ops->wake_fd == NULL ? -1 : reader->ops->wake_fd(reader);
        if (fd >= 0)
            fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
        if (reader->idle_us < wait_us)
            wait_us = reader->idle_us;
    }
    if (wait_us <= 0)
        return;
    os.poll(fds, n, (int)((wait_us + 999) / 1000));
    measure_waited(pipeline, os.monotonic_us() - began_us);
}

bool pipeline_has_more(const freshet_pipeline *pipeline)
{
    if (feature_set_owes(pipeline->features) || joining_owes(pipeline->joining))
        return true;
    if (!source_is_by_rows(pipeline->source))
        return !pipeline->whole_done;
    if (pipeline->merge != NULL)
        return merge_has_more(pipeline->merge);
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        if (pipeline->readers[i].more)
            return true;
    return false;
}

/* What the readers have now. *n: how many rows and rejects that is; *ended: no more will come. */
static freshet_code step_take_now(freshet_pipeline *pipeline, batch *rows, uint32_t *n, bool *ended,
                                  freshet_error *err)
{
    if (pipeline->joining != NULL)
        return joining_turn(pipeline, rows, n, ended, err);
    if (pipeline->merge != NULL)
        return merge_turn(pipeline, rows, n, ended, err);
    freshet_code code = poll_readers(pipeline, n, ended, err);
    if (code != FRESHET_OK || *n == 0)
        return code;
    batch *batches[PIPELINE_READERS_MAX];
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        batches[i] = pipeline->readers[i].batch;
    code =
        source_run(pipeline->source, pipeline->step_arena, batches, rows, &pipeline->rejects, err);
    return code == FRESHET_OK && pipeline->replay != NULL ? replay_choose(pipeline, rows, err)
                                                          : code;
}

/* By rows: the next micro-batch of source rows; FRESHET_END when all readers have ended. */
static freshet_code step_take_rows(freshet_pipeline *pipeline, int64_t deadline_us, batch *rows,
                                   freshet_error *err)
{
    uint32_t n = 0;
    bool ended = false;
    freshet_code code = step_take_now(pipeline, rows, &n, &ended, err);
    while (code == FRESHET_OK && n == 0 && !ended && !pipeline_has_more(pipeline) &&
           os.monotonic_us() < deadline_us && !atomic_load(&pipeline->stop)) {
        wait_input(pipeline, deadline_us);
        log_settle(false);
        code = pipeline_progress(pipeline, err);
        if (code != FRESHET_OK)
            return code;
        arena_reset(pipeline->step_arena);
        pipeline->rejects = (rejects){.arena = pipeline->step_arena};
        measure_seen(pipeline);
        code = step_take_now(pipeline, rows, &n, &ended, err);
    }
    return code == FRESHET_OK && n == 0 && ended ? FRESHET_END : code;
}

/* Which of the rows that the query has made of one record it is. */
static void tell_part(const batch *in, uint32_t row, reject *into)
{
    uint32_t first = row, end = row + 1;
    while (first > 0 && in->rows[first - 1] == in->rows[row])
        first--;
    while (end < in->n_rows && in->rows[end] == in->rows[row])
        end++;
    into->part = row - first + 1;
    into->parts = end - first;
}

freshet_code pipeline_refuse_row(void *context, const feature_refusal *refused, freshet_error *err)
{
    freshet_pipeline *pipeline = context;
    reject reject = {.offset = -1};
    const batch *in = refused->in, *from = in;
    const uint32_t row = refused->row;
    uint32_t from_row = row;
    if (in->rows != NULL && pipeline->joining != NULL) {
        joining_locate(pipeline, in->rows[row], &reject);
        tell_part(in, row, &reject);
    } else if (in->rows != NULL) {
        const reader_state *state = &pipeline->readers[ROW_READER(in->rows[row])];
        from = state->batch;
        from_row = ROW_INDEX(in->rows[row]);
        tell_part(in, row, &reject);
        polling_locate(state->reader, &from->origins[from_row], &reject);
        if (refused->stacked.copies > 0)
            reject.stacked = refused->stacked;
    }
    if (reject.raw == NULL) {
        freshet_code code = rejects_describe(&pipeline->rejects, from, from_row, &reject, err);
        if (code != FRESHET_OK)
            return code;
    }
    if (!rejects_add(&pipeline->rejects, &reject, refused->code, "%s", refused->reason))
        return error_memory(err, "refusing a row");
    if (refused->code == REASON_LATE)
        lateness_note_row(pipeline, &reject);
    return FRESHET_OK;
}

static void note_newest(freshet_pipeline *pipeline, const batch *rows)
{
    const column *times = &rows->columns[feature_set_n_keys(pipeline->features)];
    const int64_t *time_us = times->data;
    int64_t newest = atomic_load(&pipeline->counters[FRESHET_NEWEST_EVENT_US]);
    for (uint32_t i = 0; i < rows->n_rows; i++)
        if (time_us[i] > newest)
            newest = time_us[i];
    atomic_store(&pipeline->counters[FRESHET_NEWEST_EVENT_US], newest);
}

/* The rows of the delivery that a writer takes. */
static freshet_code taken_by(freshet_pipeline *pipeline, const freshet_writer *writer,
                             const batch **out, freshet_error *err)
{
    const unsigned takes = writer_takes(writer->ops, writer->options);
    batch *selected = &pipeline->delivery.selected[takes];
    *out = selected;
    return selected->columns != NULL
               ? FRESHET_OK
               : writer_select(&pipeline->delivery.rows, takes, selected, err);
}

/* How many rows of the delivery are of these kinds. */
static uint32_t count_taken(const batch *rows, unsigned takes)
{
    uint32_t n = 0;
    if (rows->row_kinds == NULL)
        return (takes & (ROW_NEW | ROW_ONLINE)) != 0 ? rows->n_rows : 0;
    for (uint32_t i = 0; i < rows->n_rows; i++)
        n += (rows->row_kinds[i] & takes) != 0;
    return n;
}

/* Rows that had gone out before, with other values. */
static int64_t count_again(const batch *rows)
{
    int64_t n = 0;
    for (uint32_t i = 0; rows->row_kinds != NULL && i < rows->n_rows; i++)
        n += (rows->row_kinds[i] & ROW_NEW) == 0;
    return n;
}

/* A writer took its rows. Where it does not count them itself, those that none took before it will
 * count as written when they are flushed. */
static void note_taken(freshet_pipeline *pipeline, freshet_writer *writer, const batch *rows,
                       bool is_own)
{
    delivery *delivery = &pipeline->delivery;
    const unsigned takes = delivery->taken | writer_takes(writer->ops, writer->options);
    measure_given(pipeline, delivery->writers_done, rows->n_rows);
    if (writer->ops->progress == NULL)
        writer_add(writer, WRITER_AGAIN, count_again(rows));
    if (writer->ops->counts_rows)
        return;
    writer->n_unflushed += rows->n_rows;
    if (is_own && rows->n_rows > delivery->n_taken) {
        pipeline->n_unflushed += (int64_t)rows->n_rows - delivery->n_taken;
        delivery->n_taken = rows->n_rows;
    }
    if (is_own || takes == delivery->taken)
        return;
    const uint32_t n = count_taken(&delivery->rows, takes);
    pipeline->n_unflushed += (int64_t)n - delivery->n_taken;
    delivery->taken = takes;
    delivery->n_taken = n;
}

/* The columns that the writer is to have. */
static freshet_code write_columns(freshet_pipeline *pipeline, uint32_t i, const batch *rows,
                                  freshet_error *err)
{
    freshet_writer *writer = pipeline->writers[i];
    batch chosen;
    if (pipeline->sinks[i].columns.from == NULL)
        return writer->ops->write(writer, rows, err);
    freshet_code code = writer_columns_take(&pipeline->sinks[i].columns, rows, &chosen, err);
    return code == FRESHET_OK ? writer->ops->write(writer, &chosen, err) : code;
}

static freshet_code deliver(freshet_pipeline *pipeline, freshet_error *err)
{
    delivery *delivery = &pipeline->delivery;
    const batch *rows = &delivery->rows, *taken = NULL;
    for (; rows->n_rows > 0 && delivery->writers_done < pipeline->n_writers;
         delivery->writers_done++) {
        freshet_writer *writer = pipeline->writers[delivery->writers_done];
        const batch *own = delivery->own[delivery->writers_done];
        freshet_code code = own == NULL ? taken_by(pipeline, writer, &taken, err) : FRESHET_OK;
        taken = own == NULL ? taken : own;
        if (code == FRESHET_OK && taken->n_rows > 0)
            code = own == NULL ? write_columns(pipeline, delivery->writers_done, taken, err)
                               : writer->ops->write(writer, own, err);
        if (code != FRESHET_OK)
            return code;
        note_taken(pipeline, writer, taken, own != NULL);
    }
    freshet_code code = pipeline_write_letters(pipeline, err);
    if (code != FRESHET_OK)
        return code;
    if (rows->n_rows > 0) {
        note_newest(pipeline, rows);
        if (pipeline->unflushed_since_us == 0)
            pipeline->unflushed_since_us = os.monotonic_us();
    }
    pipeline->refusals.n_delivered += rows->n_rows;
    pipeline_count(pipeline, FRESHET_BATCHES, 1);
    delivery->pending = false;
    return refusals_check(pipeline, err);
}

static void note_lag(freshet_pipeline *pipeline)
{
    int64_t lag = 0;
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        const reader_state *state = &pipeline->readers[i];
        if (!state->opened || !source_drives(pipeline->source, i))
            continue;
        int64_t one = state->reader->ops->lag == NULL ? -1 : state->reader->ops->lag(state->reader);
        lag = one < 0 || lag < 0 ? -1 : lag + one;
    }
    atomic_store(&pipeline->counters[FRESHET_LAG_BYTES], lag);
}

/* Which watermark each row has to do with: its reader's lane. Rows without a reader are of one. */
static freshet_code set_lanes(freshet_pipeline *pipeline, batch *rows, freshet_error *err)
{
    if (rows->rows == NULL || rows->has_watermark)
        return FRESHET_OK;
    rows->lanes =
        arena_alloc(pipeline->step_arena, (rows->n_rows + (size_t)1) * sizeof *rows->lanes);
    if (rows->lanes == NULL)
        return error_memory(err, "computing features");
    for (uint32_t i = 0; i < rows->n_rows; i++) {
        const uint32_t reader = ROW_READER(rows->rows[i]);
        const batch *read = pipeline->readers[reader].batch;
        rows->lanes[i] =
            reader * STEP_LANES_MAX + read->origins[ROW_INDEX(rows->rows[i])].lane % STEP_LANES_MAX;
    }
    return FRESHET_OK;
}

static void count_repeated(freshet_pipeline *pipeline)
{
    const feature_set_figures figures = feature_set_measure(pipeline->features);
    atomic_store(&pipeline->counters[FRESHET_ROWS_REPEATED],
                 (int64_t)(figures.repeated + pipeline->n_left_out));
}

/* Behind a call of the feature set: counts what it left out, leaves out what the days do, and has
 * the rest delivered. */
static freshet_code computed(freshet_pipeline *pipeline, freshet_code code, freshet_error *err)
{
    const feature_set_figures figures = feature_set_measure(pipeline->features);
    atomic_store(&pipeline->counters[FRESHET_BATCH_ROWS], (int64_t)figures.gathered);
    atomic_store(&pipeline->counters[FRESHET_BATCH_LEFT],
                 (int64_t)(figures.gathered - figures.given));
    if (code != FRESHET_OK)
        return code;
    count_repeated(pipeline);
    const uint64_t not_joined =
        pipeline->joining == NULL ? 0 : joined_measure(joining_rows(pipeline->joining)).dropped;
    atomic_store(&pipeline->counters[FRESHET_ROWS_LATE], (int64_t)(figures.dropped + not_joined));
    atomic_store(&pipeline->counters[FRESHET_KEYS_SHARED], (int64_t)figures.shared);
    code = dates_cut(&pipeline->dates, feature_set_n_keys(pipeline->features),
                     &pipeline->delivery.rows, err);
    if (code == FRESHET_OK && pipeline->hooks != NULL)
        code = hooks_made(pipeline, err);
    pipeline->delivery.pending = code == FRESHET_OK;
    return code;
}

/* The first half of a step; on FRESHET_OK with rows or rejects the delivery is pending. */
static freshet_code take_and_compute(freshet_pipeline *pipeline, int64_t deadline_us,
                                     freshet_error *err)
{
    feature_set *features = pipeline->features;
    arena *arena = pipeline->step_arena;
    batch *made = &pipeline->delivery.rows, rows = {.arena = arena};
    arena_reset(arena);
    pipeline->rejects = (rejects){.arena = arena};
    pipeline->delivery = (delivery){0};
    if (hooks_gives(pipeline->hooks))
        return hooks_give(pipeline, err);
    if (feature_set_owes(
            features)) /* what the last micro-batch made due, and was too much for one */
        return computed(
            pipeline, feature_set_go_on(features, arena, made, pipeline_refuse_row, pipeline, err),
            err);
    freshet_code code = source_is_by_rows(pipeline->source)
                            ? step_take_rows(pipeline, deadline_us, &rows, err)
                        : pipeline->whole_done ? FRESHET_END
                                               : source_next(pipeline->source, arena, &rows, err);
    pipeline->whole_done |= code == FRESHET_END; /* of a query that runs as a whole */
    if (code == FRESHET_OK || code == FRESHET_END) {
        freshet_code looked = times_look_during(pipeline, &rows, code == FRESHET_END, err);
        if (looked != FRESHET_OK)
            return looked;
    }
    if (code == FRESHET_END)
        lateness_note_step(pipeline, 0, true);
    if (code == FRESHET_END && (!pipeline->declaration->is_stream || pipeline->options.drain))
        return computed(
            pipeline, feature_set_finish(features, arena, made, pipeline_refuse_row, pipeline, err),
            err);
    if (code == FRESHET_OK && pipeline->has_bootstraps && pipeline->replay == NULL) {
        code = bootstrap_tell_apart(pipeline, &rows, err);
        count_repeated(pipeline); /* also where no row is left */
    }
    if (code == FRESHET_OK && rows.n_rows > 0 && pipeline->hooks != NULL)
        code = hooks_source(pipeline, &rows, err);
    if (code == FRESHET_OK && rows.n_rows == 0)
        pipeline->delivery.pending = pipeline->rejects.n > 0;
    if (code != FRESHET_OK || rows.n_rows == 0)
        return code;
    const uint32_t n_refused = pipeline->rejects.n;
    code = set_lanes(pipeline, &rows, err);
    if (code == FRESHET_OK)
        code = feature_set_run(features, arena, &rows, made, pipeline_refuse_row, pipeline, err);
    if (code == FRESHET_OK) {
        pipeline->refusals.n_taken += rows.n_rows - (pipeline->rejects.n - n_refused);
        lateness_note_step(pipeline, rows.n_rows, false);
    }
    return computed(pipeline, code, err);
}

/* It is watched. Where the run is to stop and it fails, that is why, or no matter any more. */
static freshet_code first_half(freshet_pipeline *pipeline, int64_t deadline_us, freshet_error *err)
{
    sql_watch_begin(&pipeline->watch);
    atomic_store(&pipeline->computing, true);
    atomic_store(&pipeline->at_long_work, true);
    freshet_code code = pipeline->loaded ? load_changed(pipeline, err) : load_all(pipeline, err);
    if (code == FRESHET_OK && pipeline->has_bootstraps && !pipeline->is_bootstrapped &&
        pipeline->replay == NULL)
        code = bootstrap_prepare(pipeline, err);
    atomic_store(&pipeline->at_long_work, false);
    if (code == FRESHET_OK)
        code = take_and_compute(pipeline, deadline_us, err);
    atomic_store(&pipeline->computing, false);
    sql_watch_end();
    if (code == FRESHET_LIMIT && atomic_load(&pipeline->stop))
        code = error_stopped(err);
    return code;
}

freshet_code pipeline_step(freshet_pipeline *pipeline, int64_t deadline_us, freshet_error *err)
{
    if (pipeline == NULL || pipeline->options.check)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "freshet_step() needs a pipeline that was opened to run, not to check");
    freshet_code code = FRESHET_OK;
    if (fill_is_first(pipeline))
        return fill_turn(pipeline, err);
    measure_begin(pipeline);
    if (!pipeline->delivery.pending)
        code = first_half(pipeline, deadline_us, err);
    if (code == FRESHET_END && hooks_holds(pipeline->hooks))
        code = hooks_release(pipeline, err);
    else if (code == FRESHET_OK && pipeline->delivery.pending)
        code = hooks_holds(pipeline->hooks) ? hooks_hold(pipeline, err) : deliver(pipeline, err);
    if (code == FRESHET_OK)
        checkpoint_trim(pipeline);
    measure_end(pipeline);
    note_lag(pipeline);
    holding_note(pipeline);
    return code;
}

/* Those whose rows are confirmed later, or the others. */
static freshet_code flush_writers(freshet_pipeline *pipeline, bool later, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_writers; i++) {
        freshet_writer *writer = pipeline->writers[i];
        if ((writer->ops->progress != NULL) != later)
            continue;
        code = writer->ops->flush(writer, err);
        if (code != FRESHET_OK)
            continue;
        writer_add(writer, WRITER_WRITTEN, writer->n_unflushed);
        writer->n_unflushed = 0;
    }
    return code;
}

freshet_code pipeline_show(freshet_pipeline *pipeline, freshet_error *err)
{
    freshet_code code =
        pipeline->unflushed_since_us == 0 ? FRESHET_OK : flush_writers(pipeline, false, err);
    if (code != FRESHET_OK)
        return code;
    pipeline_count(pipeline, FRESHET_ROWS_WRITTEN, pipeline->n_unflushed);
    pipeline->n_unflushed = 0;
    pipeline->unflushed_since_us = 0;
    measure_shown(pipeline);
    return FRESHET_OK;
}

freshet_code pipeline_flush(freshet_pipeline *pipeline, freshet_error *err)
{
    freshet_code code = pipeline_show(pipeline, err);
    if (code == FRESHET_OK)
        code = flush_writers(pipeline, true, err);
    measure_shown(pipeline);
    return code;
}

/* Of a batch whose rows are all there: are they? */
static freshet_code validate(freshet_pipeline *pipeline, const writer_files *files,
                             freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_writers; i++) {
        freshet_writer *writer = pipeline->writers[i];
        const int64_t written = writer_counted(writer, WRITER_WRITTEN);
        int64_t there = 0;
        if (!pipeline->sinks[i].validate)
            continue;
        code = writer->ops->validate(writer, &files[i], &there, err);
        if (code == FRESHET_OK && there != written)
            code =
                error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                          "validating the writer \"%s\": %lld rows were written, and %lld are "
                          "there when they are read back; see who else writes there or removes "
                          "what is written, and run it again",
                          pipeline_writer_name(pipeline, i), (long long)written, (long long)there);
        else if (code == FRESHET_OK)
            log_event(WRITER_VALIDATED, pipeline->declaration->pipeline.value,
                      pipeline_writer_name(pipeline, i), (long long)there);
    }
    return code;
}

freshet_code pipeline_finish(freshet_pipeline *pipeline, freshet_error *err)
{
    writer_files files[PIPELINE_WRITERS_MAX] = {{0}};
    freshet_code code = pipeline_flush(pipeline, err);
    if (code == FRESHET_OK)
        code = refusals_check_end(pipeline, err);
    if (code == FRESHET_OK && pipeline->hooks != NULL)
        code = hooks_end(pipeline, err);
    if (code == FRESHET_OK && pipeline->checkpoint == NULL)
        code = refusals_check_nothing(pipeline, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_writers; i++) {
        freshet_writer *writer = pipeline->writers[i];
        if (writer->is_batch && writer->ops->pending != NULL)
            code = writer->ops->pending(writer, pipeline->step_arena, &files[i], err);
    }
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_writers; i++) {
        freshet_writer *writer = pipeline->writers[i];
        if (writer->is_batch && writer->ops->pending != NULL)
            code = writer->ops->publish(writer, &files[i], err);
    }
    if (code == FRESHET_OK)
        code = validate(pipeline, files, err);
    if (code == FRESHET_OK)
        code = checkpoint_finish(pipeline, err);
    if (code == FRESHET_OK && pipeline->hands_over)
        checkpoint_say_handed(pipeline);
    if (code == FRESHET_OK && pipeline->replay != NULL)
        code = replay_finish(pipeline, err);
    if (code == FRESHET_OK)
        code = refusals_check_nothing(pipeline, err);
    return code == FRESHET_OK ? refusals_check_written(pipeline, err) : code;
}

freshet_code freshet_step(freshet_pipeline *pipeline, int64_t deadline_us, freshet_error *err)
{
    freshet_code code = pipeline_step(pipeline, deadline_us, err);
    if (code != FRESHET_OK && code != FRESHET_END)
        return code;
    freshet_code after =
        code == FRESHET_END ? pipeline_finish(pipeline, err) : pipeline_flush(pipeline, err);
    if (after == FRESHET_OK && code == FRESHET_OK)
        after = checkpoint_turn(pipeline, err);
    measure_turn(pipeline);
    return after == FRESHET_OK ? code : after;
}
