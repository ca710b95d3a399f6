/* workers.c - how many threads work in a pipeline: one, unless the environment says
 * FRESHET_WORKERS, as tests do that try several numbers. */
#include <stdlib.h>
#include <string.h>

#include "base/crew.h"
#include "base/error.h"
#include "pipeline/pipeline.h"

#define WORKERS_VARIABLE "FRESHET_WORKERS"

static freshet_code workers_choose(uint32_t *out, freshet_error *err)
{
    const char *said = getenv(WORKERS_VARIABLE);
    char *end;
    *out = 1;
    if (said == NULL || said[0] == '\0')
        return FRESHET_OK;
    const unsigned long n = strtoul(said, &end, 10);
    if (*end != '\0' || said[0] == '-' || n < 1 || n > CREW_WORKERS_MAX)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         WORKERS_VARIABLE " is \"%.40s\", and should be a number from 1 to %u",
                         said, CREW_WORKERS_MAX);
    *out = (uint32_t)n;
    return FRESHET_OK;
}

freshet_code workers_open(freshet_pipeline *pipeline, freshet_error *err)
{
    uint32_t n;
    freshet_code code = workers_choose(&n, err);
    if (code == FRESHET_OK && n > 1 && !pipeline->options.check)
        code = crew_open(n, &pipeline->crew, err);
    return code;
}
