/* verb_version.c - freshet version: the version of the library that runs. */
#include "cli/cli.h"

typedef struct version_arguments {
    char none;
} version_arguments;

static const argument version_options[] = {{.name = NULL}};

static freshet_code version_run(const void *arguments, freshet_error *err)
{
    (void)arguments;
    (void)err;
    output_format("freshet %s\n", freshet_version());
    return FRESHET_OK;
}

const verb verb_version = {
    .name = "version",
    .summary = "print the version",
    .doc = "Prints the version.",
    .examples = "    freshet version\n",
    .arguments = version_options,
    .size = sizeof(version_arguments),
    .run = version_run,
};
