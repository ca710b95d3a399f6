/* times.c - a look at the first times of the feature set's timestamp (features/time_look.h):
 * `check` looks at what the readers can show, `run` at the first rows that it takes itself.
 *
 * The look of `check` runs the user's query, and nobody waits for its rows: so it does that in a
 * copy of the process (base/process_copy.h), which is given up at its limits of time and memory.
 * Then nothing is told, as where the rows cannot be read or the query fails: it is a warning that
 * the run will give.
 */
#include <poll.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "base/process_copy.h"
#include "pipeline/pipeline.h"

#define SAMPLE_ROWS 1000u
#define LOOK_ROWS 100 /* of a run, where no more are waiting */
#define LOOK_US INT64_C(5000000)
#define LOOK_BYTES (INT64_C(256) << 20)

/* The first rows of the readers that drive, by their samples; static ones are empty tables. */
static freshet_code sample_source(freshet_pipeline *pipeline, batch *out, freshet_error *err)
{
    batch *batches[PIPELINE_READERS_MAX] = {0};
    rejects ignored = {.arena = pipeline->step_arena};
    uint32_t n = 0;

    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        freshet_reader *reader = pipeline->readers[i].reader;
        batch *taken = arena_zero(pipeline->step_arena, 1, sizeof *taken);
        if (!source_drives(pipeline->source, i) || reader->ops->sample == NULL)
            continue;
        if (taken == NULL)
            return error_memory(err, "looking at the first rows");
        freshet_code code =
            batch_init(taken, pipeline->step_arena, &reader->schema, SAMPLE_ROWS, err);
        if (code == FRESHET_OK)
            code = reader->ops->sample(reader, taken, SAMPLE_ROWS, err);
        if (code != FRESHET_OK)
            return code;
        batches[i] = taken;
        n += taken->n_rows;
    }
    return n == 0 ? FRESHET_OK
                  : source_try(pipeline->source, pipeline->step_arena, batches, out, &ignored, err);
}

typedef struct look_work {
    freshet_pipeline *pipeline;
    pid_t parent;
} look_work;

/* In the copy. */
static void look_in_copy(void *context, int fd)
{
    const look_work *work = context;
    freshet_pipeline *pipeline = work->pipeline;
    process_copy_follow(work->parent);
    batch rows = {.arena = pipeline->step_arena};
    freshet_error ignored = {0};
    freshet_code code = sample_source(pipeline, &rows, &ignored);
    if (code == FRESHET_OK && rows.n_rows > 0)
        code = time_look_at(&pipeline->look, pipeline->features, pipeline->step_arena, &rows,
                            &ignored);
    if (code == FRESHET_OK) /* a failed write is a look without a result, as a failed query is */
        (void)durable_write(fd, (const char *)&pipeline->look, sizeof pipeline->look);
}

/* What the copy has found: false where it was given up, or had nothing to say. */
static bool wait_for_look(const process_copy *copy, time_look *out)
{
    const int64_t until_us = os.monotonic_us() + LOOK_US;
    struct pollfd fds[] = {{.fd = copy->pipe, .events = POLLIN}};
    int64_t left_us = LOOK_US;
    while (left_us > 0 && fds[0].revents == 0) {
        os.poll(fds, 1, (int)((left_us + 999) / 1000));
        left_us = until_us - os.monotonic_us();
    }
    return fds[0].revents != 0 &&
           os_read_all(copy->pipe, (char *)out, sizeof *out) == (ssize_t)sizeof *out;
}

freshet_code times_look_before(freshet_pipeline *pipeline, problems *problems, freshet_error *err)
{
    const bool is_asked = pipeline->options.check && pipeline->options.checkpoint >= 0;
    look_work work = {pipeline, getpid()};
    process_copy copy;
    time_look look;

    time_look_begin(&pipeline->look, os.now_us());
    if (!is_asked || !source_is_by_rows(pipeline->source) || pipeline->joining != NULL)
        return FRESHET_OK;
    freshet_code code = process_copy_start(look_in_copy, &work, "look at the first rows in",
                                           LOOK_US, LOOK_BYTES, &copy, err);
    if (code != FRESHET_OK)
        return code;
    const bool has_looked = wait_for_look(&copy, &look);
    process_copy_end(copy.process);
    os.close(copy.pipe);
    const char *said = has_looked ? time_look_tell(&look, pipeline->arena) : NULL;
    if (said != NULL)
        problem_warn(problems, &pipeline->declaration->feature_set.timestamp.from.at, "%s", said);
    return FRESHET_OK;
}

freshet_code times_look_during(freshet_pipeline *pipeline, const batch *rows, bool at_end,
                               freshet_error *err)
{
    time_look *look = &pipeline->look;
    char at[sizeof err->at];
    if (pipeline->looked)
        return FRESHET_OK;
    if (rows->n_rows > 0) {
        batch first = *rows;
        first.n_rows = rows->n_rows < SAMPLE_ROWS ? rows->n_rows : SAMPLE_ROWS;
        freshet_code code =
            time_look_at(look, pipeline->features, pipeline->step_arena, &first, err);
        if (code != FRESHET_OK)
            return code;
    }
    const char *said = time_look_tell(look, pipeline->step_arena);
    const bool is_told = said != NULL || look->n >= LOOK_ROWS;
    if (!at_end && look->n < SAMPLE_ROWS && (!is_told || pipeline_has_more(pipeline)))
        return FRESHET_OK;
    pipeline->looked = true;
    if (said != NULL)
        log_event_at(
            TIMES_ODD,
            place_text(&pipeline->declaration->feature_set.timestamp.from.at, at, sizeof at), said);
    return FRESHET_OK;
}
