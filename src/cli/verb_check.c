/* verb_check.c - freshet check FILE: all mistakes of a declaration, or what it would do.
 *
 * Problems come in two lots: those of the YAML (load) and those that need the data's schemas and
 * the SQL engine (open). The second lot can only be looked for where the first is empty.
 */
#include <stddef.h>
#include <stdio.h>

#include "cli/cli.h"
#include "declaration/declaration.h"
#include "features/watermark.h"
#include "pipeline/bootstrap.h"
#include "pipeline/pipeline.h"

typedef struct check_arguments {
    const char *file;
} check_arguments;

static const argument check_options[] = {{.name = NULL}};

static void print_readers(const declaration *declaration)
{
    const reader_block *readers = declaration->source.readers.items;
    for (uint32_t i = 0; i < declaration->source.readers.n; i++) {
        text_buffer past;
        text_init(&past, TEXT_LIMIT_DEFAULT);
        bootstrap_tell(&readers[i], &past);
        output_format("  reader   %s (%s, %s%s)\n", readers[i].id.value, readers[i].kind.kind->name,
                      readers[i].stream ? "stream" : "static", past.length == 0 ? "" : past.bytes);
        text_release(&past);
    }
}

static freshet_code print_writers(const freshet_pipeline *pipeline, freshet_error *err)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < pipeline->n_sinks; i++) {
        text_append_c(&text, "  writer   ");
        writer_describe(pipeline->sinks[i].ops, pipeline->sinks[i].options,
                        pipeline->declaration->is_stream, &text);
        text_append_c(&text, "\n");
    }
    return output_text(&text, "describing the writers", err);
}

/* What the order of a stream's rows is, and what of a batch's it cannot have. */
static void print_order(const freshet_pipeline *pipeline)
{
    const timestamp_block *timestamp = &pipeline->declaration->feature_set.timestamp;
    char lateness[WATERMARK_SPAN_TEXT_MAX];
    if (!pipeline->declaration->is_stream || !merge_is_needed(pipeline))
        return;
    watermark_span(timestamp->lateness_us / 1000000, lateness);
    output_format(
        "  order    by time, over all files, partitions and readers, while it catches up, "
        "as in a batch;\n"
        "           a row more than %s behind the newest that its reader (of a topic: its "
        "partition) gave before is late\n",
        lateness);
}

static freshet_code print_summary(const char *file, const freshet_declaration *handle,
                                  const freshet_pipeline *pipeline, freshet_error *err)
{
    output_format("%s is good: the pipeline \"%s\", a %s.\n", file,
                  freshet_declaration_pipeline(handle), pipeline_kind(pipeline));
    print_readers(pipeline->declaration);
    print_order(pipeline);
    freshet_code code = print_writers(pipeline, err);
    output_format("  feature set %s:\n", freshet_declaration_feature_set(handle));
    print_output_schema(pipeline, "    ");
    return code;
}

static freshet_code check_run(const void *arguments, freshet_error *err)
{
    const check_arguments *given = arguments;
    freshet_declaration *declaration = NULL;
    freshet_pipeline *pipeline = NULL;
    freshet_code code = load_declaration(given->file, &declaration, err);
    if (code == FRESHET_OK)
        code = open_pipeline(declaration, NULL, &pipeline, err);
    if (code == FRESHET_OK)
        code = print_summary(given->file, declaration, pipeline, err);
    const uint32_t n = problems_reported();
    if (n > 0)
        fprintf(stderr, "%u problem%s in %s.\n", n, n == 1 ? "" : "s", given->file);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
    return code;
}

const verb verb_check = {
    .name = "check",
    .operand = "FILE",
    .summary = "find every mistake in a declaration",
    .doc =
        "Reads the declaration, looks at the schemas of its data and prepares its query and\n"
        "features. Of the data it reads the first records of files, to warn of what looks wrong\n"
        "(a unit, a delimiter, a misspelt column), and all of a batch's files without a schema,\n"
        "to infer one; it writes nothing, and looks at no state. Every problem is printed to\n"
        "stderr as \"file:line:column: error: sentence\", and the exit code is 78: those of the\n"
        "file first; once it has none, those of columns, types and SQL. Without any (warnings\n"
        "apart), the readers, the order of a stream's rows, the writers with what each takes and\n"
        "keeps, and the output columns are printed, and it is 0.",
    .examples = "    freshet check flights.yaml\n",
    .arguments = check_options,
    .size = sizeof(check_arguments),
    .run = check_run,
};
