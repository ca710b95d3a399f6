/* verb_check.c - freshet check FILE: all mistakes of a declaration, or what it would do.
 *
 * Problems come in two lots: those of the YAML (load) and those that need the data's schemas and the
 * SQL engine (open). The second lot can only be looked for where the first is empty.
 */
#include <stddef.h>
#include <stdio.h>

#include "cli/cli.h"
#include "declaration/declaration.h"
#include "pipeline/pipeline.h"

typedef struct check_arguments {
    const char *file;
} check_arguments;

static const argument check_options[] = {{.name = NULL}};

static void print_readers(const declaration *declaration)
{
    const reader_block *readers = declaration->source.readers.items;
    for (uint32_t i = 0; i < declaration->source.readers.n; i++)
        output_format("  reader   %s (%s, %s)\n", readers[i].id.value, readers[i].kind.kind->name,
                      readers[i].stream ? "stream" : "static");
}

static void print_writers(const freshet_pipeline *pipeline)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < pipeline->n_sinks; i++) {
        text_append_c(&text, "  writer   ");
        writer_describe(pipeline->sinks[i].ops, pipeline->sinks[i].options,
                        pipeline->declaration->is_stream, &text);
        text_append_c(&text, "\n");
    }
    output_write(NULL, text.bytes, text.length);
    text_release(&text);
}

static void print_summary(const char *file, const freshet_declaration *handle,
                          const freshet_pipeline *pipeline)
{
    output_format("%s is good: the pipeline \"%s\", a %s.\n", file,
                  freshet_declaration_pipeline(handle),
                  freshet_declaration_is_stream(handle) ? "stream" : "batch");
    print_readers(declaration_of(handle));
    print_writers(pipeline);
    output_format("  feature set %s:\n", freshet_declaration_feature_set(handle));
    print_output_schema(pipeline, "    ");
}

static freshet_code check_pipeline(const char *file, const freshet_declaration *declaration,
                                   uint32_t *n_problems)
{
    freshet_run_options options = {.size = sizeof options, .check = true};
    freshet_pipeline *pipeline = NULL;
    freshet_code code = open_pipeline(declaration, &options, n_problems, &pipeline);
    if (code == FRESHET_OK)
        print_summary(file, declaration, pipeline);
    freshet_pipeline_close(pipeline);
    return code;
}

static freshet_code check_run(const void *arguments)
{
    const check_arguments *given = arguments;
    freshet_declaration *declaration = NULL;
    uint32_t n_problems = 0;
    freshet_code code = load_declaration(given->file, &n_problems, &declaration);
    if (code == FRESHET_OK)
        code = check_pipeline(given->file, declaration, &n_problems);
    if (n_problems > 0)
        fprintf(stderr, "%u problem%s in %s.\n", n_problems, n_problems == 1 ? "" : "s",
                given->file);
    if (!output_finish() && code == FRESHET_OK)
        code = FRESHET_FAILED;
    freshet_declaration_close(declaration);
    return code;
}

const verb verb_check = {
    .name = "check",
    .operand = "FILE",
    .operand_offset = offsetof(check_arguments, file),
    .summary = "find every mistake in a declaration",
    .doc =
        "Reads the declaration, looks at the schemas of its data and prepares its query and\n"
        "features, without reading a row. Every problem is printed to stderr as\n"
        "\"file:line:column: error: sentence\", all in one go, and the exit code is 78; without\n"
        "any (warnings apart), the readers, the writers with what each takes and keeps, and the\n"
        "output columns are printed, and it is 0.",
    .examples = "    freshet check flights.yaml\n",
    .arguments = check_options,
    .size = sizeof(check_arguments),
    .run = check_run,
};
