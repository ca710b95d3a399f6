/* load.c - static readers: loaded once into the SQL engine's tables, and again when they change.
 *
 * A load opens the reader, polls it to its end into a table aside, swaps the table in and closes
 * the reader. Until the swap the query sees the old content; a load that fails leaves it. Records
 * that are refused go to the dead letters piece by piece, since their bytes live only until the
 * next poll.
 */
#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "pipeline/pipeline.h"

#define LOAD_WAIT_US INT64_C(200000)

/* Waits until the reader may have more. */
static void wait_more(freshet_pipeline *pipeline, freshet_reader *reader)
{
    const int fd = reader->ops->wake_fd == NULL ? -1 : reader->ops->wake_fd(reader);
    struct pollfd fds[2] = {{.fd = pipeline->wake_fd, .events = POLLIN},
                            {.fd = fd, .events = POLLIN}};
    const int64_t wait_us = reader->idle_us < LOAD_WAIT_US ? reader->idle_us : LOAD_WAIT_US;
    os.poll(fds, fd >= 0 ? 2 : 1, (int)((wait_us + 999) / 1000));
}

/* Polls the opened reader to its end. */
static freshet_code load_rows(freshet_pipeline *pipeline, uint32_t index, freshet_error *err)
{
    freshet_reader *reader = pipeline->readers[index].reader;
    freshet_code polled = FRESHET_OK;
    while (polled != FRESHET_END) {
        arena_reset(pipeline->step_arena);
        pipeline->rejects = (rejects){.arena = pipeline->step_arena};
        batch rows;
        bool more = false;
        freshet_code code =
            batch_init(&rows, pipeline->step_arena, &reader->schema, STEP_ROWS_MAX, err);
        if (code != FRESHET_OK)
            return code;
        polled = reader->ops->poll(reader, &rows, STEP_ROWS_MAX, STEP_BYTES_MAX, &pipeline->rejects,
                                   &more, err);
        trouble_note(pipeline, &pipeline->readers[index]);
        if (polled == FRESHET_OK && !more && rows.n_rows == 0)
            wait_more(pipeline, reader);
        if (polled != FRESHET_END && atomic_load(&pipeline->stop))
            return error_stopped(err);
        if (polled != FRESHET_OK && polled != FRESHET_END)
            return polled;
        if (!source_is_by_rows(pipeline->source)) /* else a table to look up in, no input */
            pipeline_count(pipeline, FRESHET_ROWS_READ, (int64_t)rows.n_rows + pipeline->rejects.n);
        if (pipeline->hooks != NULL)
            code = hooks_read(pipeline, index, &rows, 0, err);
        if (code == FRESHET_OK && rows.n_rows > 0)
            code = source_load_add(pipeline->source, index, &rows, &pipeline->rejects, err);
        const uint32_t n_refused = pipeline->rejects.n;
        if (code == FRESHET_OK)
            code = pipeline_write_letters(pipeline, err);
        if (code == FRESHET_OK && source_is_by_rows(pipeline->source))
            pipeline->refusals.n_static += n_refused;
        if (code != FRESHET_OK)
            return code;
    }
    return FRESHET_OK;
}

static freshet_code load_one(freshet_pipeline *pipeline, uint32_t index, freshet_error *err)
{
    reader_state *state = &pipeline->readers[index];
    freshet_reader *reader = state->reader;
    if (state->opened) /* a reload */
        reader->ops->close(reader);
    state->opened = false;
    freshet_code code = reader->ops->open(reader, NULL, err);
    if (code != FRESHET_OK)
        return code;
    state->opened = true;
    code = source_load_begin(pipeline->source, index, err);
    if (code != FRESHET_OK)
        return code;
    if (pipeline->hooks != NULL)
        code = hooks_load(pipeline, index, err);
    if (code == FRESHET_OK)
        code = load_rows(pipeline, index, err);
    if (code == FRESHET_OK && pipeline->hooks != NULL)
        code = hooks_loaded(pipeline, index, err);
    if (code == FRESHET_OK)
        code = source_load_commit(pipeline->source, index, err);
    if (code != FRESHET_OK)
        source_load_abort(pipeline->source, index);
    state->next_check_us = os.monotonic_us() + STATIC_CHECK_US;
    return code;
}

freshet_code load_all(freshet_pipeline *pipeline, freshet_error *err)
{
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        if (source_drives(pipeline->source, i))
            continue;
        freshet_code code = load_one(pipeline, i, err);
        if (code != FRESHET_OK)
            return code;
    }
    pipeline->loaded = true;
    return FRESHET_OK;
}

freshet_code load_changed(freshet_pipeline *pipeline, freshet_error *err)
{
    if (!pipeline->declaration->is_stream || pipeline->options.once)
        return FRESHET_OK;
    int64_t now_us = os.monotonic_us();
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        reader_state *state = &pipeline->readers[i];
        freshet_reader *reader = state->reader;
        if (source_drives(pipeline->source, i) || now_us < state->next_check_us)
            continue;
        state->next_check_us = now_us + STATIC_CHECK_US;
        if (state->opened && (reader->ops->changed == NULL || !reader->ops->changed(reader)))
            continue;
        freshet_error problem = {0};
        freshet_code code = load_one(pipeline, i, &problem);
        if (code == FRESHET_OK) {
            log_event(TABLE_READ_AGAIN, reader->block->id.value);
        } else if (code == FRESHET_NO_MEMORY) {
            if (err != NULL)
                *err = problem;
            return code;
        } else {
            log_event(TABLE_NOT_READ, reader->block->id.value, problem.text);
        }
    }
    return FRESHET_OK;
}
