/* handover.c - see handover.h. */
#include "pipeline/handover.h"

#include <string.h>

#include "base/error.h"
#include "pipeline/pipeline.h"

#define HANDING_OVER "handing a batch over to a stream"

/* ---- is it wanted? --------------------------------------------------------------------------- */

/* Does any writer of the declaration keep its rows, or does it say where the state is? */
static bool has_use(const declaration *declaration, const freshet_run_options *options)
{
    const writer_block *blocks = declaration->sink.writers.items;
    bool lasts = options->state != NULL || declaration->state.path.value != NULL;
    for (uint32_t i = 0; i < declaration->sink.writers.n; i++)
        lasts = lasts || registry_writer(&blocks[i].kind)->keeps != KEEPS_NOTHING;
    return lasts;
}

freshet_code handover_is_wanted(const freshet_declaration *handle,
                                const freshet_run_options *options, bool *wanted,
                                freshet_error *err)
{
    const declaration *declaration = declaration_of(handle);
    const bool is_asked = options->checkpoint > 0;
    const bool is_cut = options->start_date != NULL || options->end_date != NULL;
    *wanted = false;
    if (is_asked && declaration->is_stream)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, declaration->file,
                         "this pipeline is a stream, which makes checkpoints anyway: leave "
                         "--checkpoint away");
    if (declaration->is_stream || options->checkpoint < 0 || (!is_asked && !declaration->has_state))
        return FRESHET_OK;
    if (is_asked && is_cut)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, declaration->file,
                         "a batch over some days leaves no checkpoint, for a stream would go on "
                         "behind rows of other days that nobody has written: leave the dates away, "
                         "or --checkpoint");
    if (is_asked && options->debug && options->state == NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, declaration->file,
                         "a debug run leaves no checkpoint, since its table is gone with it: leave "
                         "--debug away, or --checkpoint; or say by --state where it is to be");
    if (is_asked && !has_use(declaration, options))
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, declaration->file,
                         "no writer keeps the rows of this batch, so that a stream behind it would "
                         "lack them: add a writer that does (history, jsonl, kafka, cassandra), or "
                         "say by --state where the checkpoint is to be");
    *wanted =
        !is_cut && has_use(declaration, options) && (!options->debug || options->state != NULL);
    return FRESHET_OK;
}

/* ---- which readers stream -------------------------------------------------------------------- */

static void ignore_problem(void *context, const freshet_error *problem)
{
    (void)context;
    (void)problem;
}

/* Why the batch cannot be followed row by row. */
static freshet_code refuse_whole(const freshet_pipeline *pipeline, freshet_problem_fn *problem,
                                 void *context, arena *arena, freshet_error *err)
{
    place at;
    const char *reason = source_whole_reason(pipeline->source, &at);
    const char *other = pipeline->declaration->has_state ? "take `state` out of the declaration"
                                                         : "leave --checkpoint away";
    problems *problems = problems_open(arena);
    if (problems == NULL)
        return error_memory(err, HANDING_OVER);
    problem_add(problems, &at,
                "this batch is to leave a checkpoint, behind which a stream goes on, and its query "
                "runs as a whole, which no stream can: %s. Write the query row by row, and what "
                "looks at several rows as features (`window`, `aggregated`, `deduplicate`); or %s, "
                "and it leaves none",
                reason == NULL ? "its rows are of no one reader" : reason, other);
    return problems_report(problems, problem, context, err);
}

/* False: there are none. */
static bool find_streams(const freshet_pipeline *pipeline, bool *streams)
{
    bool found = false;
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        streams[i] = source_drives(pipeline->source, i) ||
                     source_would_drive(pipeline->source, i) ||
                     pipeline->readers[i].reader->block->has_timestamp;
        found = found || streams[i];
    }
    return found;
}

freshet_code handover_declaration(const freshet_declaration *handle,
                                  const freshet_run_options *options, arena *arena,
                                  freshet_problem_fn *problem, void *context,
                                  const freshet_declaration **out, freshet_error *err)
{
    const freshet_run_options to_check = {
        .size = sizeof to_check, .debug = options->debug, .check = true, .checkpoint = -1};
    freshet_pipeline *batch = NULL;
    bool streams[PIPELINE_READERS_MAX] = {false};
    freshet_code code = freshet_pipeline_open(handle, &to_check, ignore_problem, NULL, &batch, err);
    if (code == FRESHET_BAD_DECLARATION) /* once more, to be told of it */
        return freshet_pipeline_open(handle, &to_check, problem, context, &batch, err);
    if (code != FRESHET_OK)
        return code;
    if (!find_streams(batch, streams))
        code = refuse_whole(batch, problem, context, arena, err);
    freshet_pipeline_close(batch);
    if (code != FRESHET_OK)
        return code;
    *out = declaration_as_stream(handle, streams, arena);
    return *out == NULL ? error_memory(err, HANDING_OVER) : FRESHET_OK;
}
