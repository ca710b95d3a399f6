/* run_signals.c - SIGTERM and Ctrl-C while a verb runs a pipeline; see cli.h. */
#include <signal.h>

#include "base/log.h"
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

static void on_log_level(int number)
{
    if (number == SIGUSR1)
        log_more();
    else
        log_less();
}

/* Nothing is put back: they would end the process. */
static void take_log_signals(void)
{
    struct sigaction action = {.sa_handler = on_log_level, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
}

freshet_code run_signals_take(freshet_pipeline *pipeline, freshet_error *err)
{
    freshet_code code = signals_install(stop_pipeline, pipeline, err);
    take_log_signals();
    if (code == FRESHET_OK)
        signals_on_stuck(is_stuck);
    return code;
}
