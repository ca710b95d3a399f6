/* verb_show.c - freshet show FILE: the normalised declaration and the output columns. */
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/machine.h"
#include "cli/cli.h"
#include "declaration/declaration.h"
#include "pipeline/pipeline.h"

typedef struct show_arguments {
    const char *file;
    bool schema;
} show_arguments;

static const argument show_options[] = {
    {ARGUMENT("schema", FLAG, show_arguments, schema),
     .doc = "only the output columns: a name and a type a line"},
    {.name = NULL},
};

/* As comments, one a line. */
static void print_comment(const char *text)
{
    for (size_t length = strcspn(text, "\n"); *text != '\0';
         length = strcspn(text += length + 1, "\n"))
        output_format("# %.*s\n", (int)length, text);
}

/* The schemas that were inferred, for pasting. */
static freshet_code show_inferred(const freshet_pipeline *pipeline, freshet_error *err)
{
    arena *arena = arena_open();
    freshet_code code = arena == NULL ? error_memory(err, "printing columns") : FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_readers; i++) {
        const freshet_reader *reader = pipeline->readers[i].reader;
        const char *yaml;
        if (reader->inferred_from == NULL)
            continue;
        code = declaration_show_columns(&reader->schema, arena, &yaml, err);
        if (code != FRESHET_OK)
            break;
        output_format(
            "\n# The reader %s declares no schema. This one was inferred from %s; paste it\n"
            "# into its %s block to fix it:\n#\n",
            reader->block->id.value, reader->inferred_from, reader->block->kind.kind->name);
        print_comment(yaml);
    }
    arena_close(arena);
    return code;
}

static freshet_code show_schema(const freshet_declaration *declaration, const char *before,
                                freshet_error *err)
{
    freshet_pipeline *pipeline = NULL;
    freshet_code code = open_pipeline(declaration, NULL, &pipeline, err);
    if (code != FRESHET_OK)
        return code;
    if (before[0] != '\0') {
        code = show_inferred(pipeline, err);
        output_format("\n# Output columns:\n");
    }
    print_output_schema(pipeline, before);
    freshet_pipeline_close(pipeline);
    return code;
}

/* What a share of the memory is on this machine. */
static void show_memory(const freshet_declaration *handle)
{
    const declaration *declaration = declaration_of(handle);
    const machine_memory memory = machine_memory_of("");
    if (declaration->state.memory < 0)
        output_format("\n# state.memory: %lld%% of %s %llu MiB is %zu MiB here.\n",
                      (long long)-declaration->state.memory,
                      memory.of_cgroup ? "the cgroup's limit of" : "the machine's",
                      (unsigned long long)(memory.bytes >> 20),
                      declaration_memory(declaration) >> 20);
}

static freshet_code show_run(const void *arguments, freshet_error *err)
{
    const show_arguments *given = arguments;
    freshet_declaration *declaration = NULL;
    freshet_code code = load_declaration(given->file, &declaration, err);
    if (code == FRESHET_OK && !given->schema)
        code = freshet_declaration_show(declaration, output_write, NULL, err);
    if (code == FRESHET_OK && !given->schema)
        show_memory(declaration);
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
        "replaced, secrets hidden; then, as comments, the schemas that were inferred from files,\n"
        "to be pasted into the declaration, and the columns that it gives.",
    .examples = "    freshet show flights.yaml\n"
                "    freshet show flights.yaml --schema\n",
    .arguments = show_options,
    .size = sizeof(show_arguments),
    .run = show_run,
};
