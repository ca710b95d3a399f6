/* verb_show.c - freshet show FILE: the normalised declaration and the output columns. */
#include <stddef.h>

#include "cli/cli.h"

typedef struct show_arguments {
    const char *file;
    bool schema;
} show_arguments;

static const argument show_options[] = {
    {ARGUMENT("schema", FLAG, show_arguments, schema),
     .doc = "only the output columns: a name and a type a line"},
    {.name = NULL},
};

static freshet_code show_schema(const freshet_declaration *declaration, const char *before,
                                freshet_error *err)
{
    freshet_pipeline *pipeline = NULL;
    freshet_code code = open_pipeline(declaration, NULL, &pipeline, err);
    if (code != FRESHET_OK)
        return code;
    if (before[0] != '\0')
        output_format("\n# Output columns:\n");
    print_output_schema(pipeline, before);
    freshet_pipeline_close(pipeline);
    return FRESHET_OK;
}

static freshet_code show_run(const void *arguments, freshet_error *err)
{
    const show_arguments *given = arguments;
    freshet_declaration *declaration = NULL;
    freshet_code code = load_declaration(given->file, &declaration, err);
    if (code == FRESHET_OK && !given->schema)
        code = freshet_declaration_show(declaration, output_write, NULL, err);
    if (code == FRESHET_OK)
        code = show_schema(declaration, given->schema ? "" : "#   ", err);
    freshet_declaration_close(declaration);
    return code;
}

const verb verb_show = {
    .name = "show",
    .operand = "FILE",
    .summary = "print a declaration in full, with its output columns",
    .doc =
        "Prints the declaration as Freshet understands it, as YAML: defaults filled in, variables\n"
        "replaced, secrets hidden; then, as comments, the columns that it gives.",
    .examples = "    freshet show flights.yaml\n"
                "    freshet show flights.yaml --schema\n",
    .arguments = show_options,
    .size = sizeof(show_arguments),
    .run = show_run,
};
