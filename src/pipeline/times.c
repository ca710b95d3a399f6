/* times.c - a look at the first times of the feature set's timestamp (features/time_look.h): before
 * the run, in `check` and `run` alike, at what the readers can show then; else at the first rows of
 * the run itself. */
#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "pipeline/pipeline.h"

#define SAMPLE_ROWS 1000
#define LOOK_ROWS 100 /* of the run */

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

freshet_code times_look_before(freshet_pipeline *pipeline, problems *problems, freshet_error *err)
{
    batch rows = {.arena = pipeline->step_arena};
    freshet_error problem = {0};
    freshet_code code = FRESHET_OK;

    time_look_begin(&pipeline->look, os.now_us());
    if (source_is_by_rows(pipeline->source) && pipeline->joining == NULL)
        code = sample_source(pipeline, &rows, &problem);
    if (code == FRESHET_OK && rows.n_rows > 0)
        code = time_look_at(&pipeline->look, pipeline->features, pipeline->step_arena, &rows,
                            &problem);
    if (code == FRESHET_NO_MEMORY)
        return error_memory(err, "looking at the first rows");
    const char *said = time_look_tell(&pipeline->look, pipeline->arena);
    if (said != NULL)
        problem_warn(problems, &pipeline->declaration->feature_set.timestamp.from.at, "%s", said);
    pipeline->looked = pipeline->look.n > 0;
    arena_reset(pipeline->step_arena);
    return FRESHET_OK;
}

freshet_code times_look_during(freshet_pipeline *pipeline, const batch *rows, bool at_end,
                               freshet_error *err)
{
    if (pipeline->looked)
        return FRESHET_OK;
    if (rows->n_rows > 0) {
        freshet_code code =
            time_look_at(&pipeline->look, pipeline->features, pipeline->step_arena, rows, err);
        if (code != FRESHET_OK)
            return code;
    }
    if (pipeline->look.n < LOOK_ROWS && !at_end)
        return FRESHET_OK;
    pipeline->looked = true;
    const char *said = time_look_tell(&pipeline->look, pipeline->step_arena);
    if (said != NULL)
        log_say(LOG_WARNING, pipeline->declaration->pipeline.value, "%s", said);
    return FRESHET_OK;
}
