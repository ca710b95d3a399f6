/* workers.c - how many threads work in a pipeline: as many as the call says, else FRESHET_WORKERS
 * in the environment (for tests, which try several numbers), else the declaration. */
#include <stdlib.h>
#include <string.h>

#include "base/crew.h"
#include "base/error.h"
#include "pipeline/pipeline.h"

#define WORKERS_VARIABLE "FRESHET_WORKERS"

static freshet_code workers_of_environment(const char *said, uint32_t *out, freshet_error *err)
{
    char *end;
    const unsigned long n = strtoul(said, &end, 10);
    if (*end != '\0' || said[0] == '-' || n < 1 || n > CREW_WORKERS_MAX)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         WORKERS_VARIABLE " is \"%.40s\", and should be a number from 1 to %u",
                         said, CREW_WORKERS_MAX);
    *out = (uint32_t)n;
    return FRESHET_OK;
}

static freshet_code workers_choose(const freshet_pipeline *pipeline, uint32_t *out,
                                   freshet_error *err)
{
    const char *said = getenv(WORKERS_VARIABLE);
    *out = pipeline->options.workers;
    if (*out > CREW_WORKERS_MAX)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "a run can have %u workers at most, and %u are wanted", CREW_WORKERS_MAX,
                         *out);
    if (*out > 0)
        return FRESHET_OK;
    if (said != NULL && said[0] != '\0')
        return workers_of_environment(said, out, err);
    *out = declaration_workers(pipeline->declaration);
    return FRESHET_OK;
}

freshet_code workers_open(freshet_pipeline *pipeline, freshet_error *err)
{
    uint32_t n;
    freshet_code code = workers_choose(pipeline, &n, err);
    if (code == FRESHET_OK && n > 1 && !pipeline->options.check)
        code = crew_open(n, &pipeline->crew, err);
    return code;
}
