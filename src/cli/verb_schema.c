/* verb_schema.c - freshet schema: the JSON Schema of declarations, or their reference page. */
#include <stddef.h>

#include "cli/cli.h"

typedef struct schema_arguments {
    bool reference;
} schema_arguments;

static const argument schema_options[] = {
    {.name = "reference",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(schema_arguments, reference),
     .doc = "the reference page (Markdown) instead of the JSON Schema"},
    {.name = NULL},
};

static freshet_code schema_run(const void *arguments)
{
    const schema_arguments *given = arguments;
    freshet_error err;
    freshet_code code = given->reference ? freshet_declaration_reference(output_write, NULL, &err)
                                         : freshet_declaration_schema(output_write, NULL, &err);
    if (!output_finish())
        return FRESHET_FAILED;
    if (code != FRESHET_OK)
        report_error(&err);
    return code;
}

const verb verb_schema = {
    .name = "schema",
    .summary = "print the JSON Schema of declarations, for editors",
    .doc =
        "Prints the JSON Schema (draft 2020-12) of declarations, by which an editor completes and\n"
        "checks them. Both forms are made from the tables that the parser itself uses.",
    .examples = "    freshet schema > freshet.schema.json\n"
                "    freshet schema --reference > declaration.md\n",
    .arguments = schema_options,
    .size = sizeof(schema_arguments),
    .run = schema_run,
};
