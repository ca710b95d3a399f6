/* verb_schema.c - freshet schema: the JSON Schema of declarations, or their reference page. */
#include <stddef.h>

#include "base/error.h"
#include "base/log.h"
#include "cli/cli.h"
#include "pipeline/pipeline.h"

typedef struct schema_arguments {
    bool reference;
    bool writers;
    bool metrics;
    bool log;
} schema_arguments;

static const argument schema_options[] = {
    {ARGUMENT("reference", FLAG, schema_arguments, reference),
     .doc = "the reference page (Markdown) instead of the JSON Schema"},
    {ARGUMENT("writers", FLAG, schema_arguments, writers),
     .doc = "what each writer takes and keeps (a table in Markdown)"},
    {ARGUMENT("metrics", FLAG, schema_arguments, metrics),
     .doc = "what a run tells Prometheus (a page in Markdown)"},
    {ARGUMENT("log", FLAG, schema_arguments, log),
     .doc = "all that the log says: events and fields (a table in Markdown)"},
    {.name = NULL},
};

static freshet_code schema_log(freshet_error *err)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    log_describe(&text);
    return output_text(&text, "describing the log", err);
}

static freshet_code schema_writers(freshet_error *err)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    registry_describe_writers(&text);
    return output_text(&text, "describing the writers", err);
}

static freshet_code schema_metrics(freshet_error *err)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    metrics_describe(&text);
    return output_text(&text, "describing the metrics", err);
}

static freshet_code schema_run(const void *arguments, freshet_error *err)
{
    const schema_arguments *given = arguments;
    return given->writers     ? schema_writers(err)
           : given->metrics   ? schema_metrics(err)
           : given->log       ? schema_log(err)
           : given->reference ? freshet_declaration_reference(output_write, NULL, err)
                              : freshet_declaration_schema(output_write, NULL, err);
}

const verb verb_schema = {
    .name = "schema",
    .summary = "print the JSON Schema of declarations, for editors",
    .doc =
        "Prints the JSON Schema (draft 2020-12) of declarations, by which an editor completes and\n"
        "checks them. All forms are made from the tables that the parser itself uses.",
    .examples = "    freshet schema > freshet.schema.json\n"
                "    freshet schema --reference > declaration.md\n",
    .arguments = schema_options,
    .size = sizeof(schema_arguments),
    .run = schema_run,
};
