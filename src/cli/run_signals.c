/* run_signals.c - SIGTERM and Ctrl-C while a verb runs a pipeline; see cli.h. */
#include "cli/cli.h"
#include "operate/signals.h"
#include "pipeline/pipeline.h"

static void stop_pipeline(void *pipeline)
{
    freshet_stop(pipeline);
}

static bool is_stuck(void *pipeline)
{
    return pipeline_is_computing(pipeline);
}

freshet_code run_signals_take(freshet_pipeline *pipeline, freshet_error *err)
{
    freshet_code code = signals_install(stop_pipeline, pipeline, err);
    if (code == FRESHET_OK)
        signals_on_stuck(is_stuck);
    return code;
}
