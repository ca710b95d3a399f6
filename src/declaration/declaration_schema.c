/* declaration_schema.c - the JSON Schema of declarations, from the option tables.
 *
 * For editors: completion, hover texts (the doc strings) and marks under mistakes while typing. It
 * says what the tables say; what holds between options (names that stand twice, `from` or `sql`)
 * only `freshet check` tells. YAML gives numbers and booleans where the declaration takes texts,
 * and any scalar may hold ${VAR}, so each type allows both.
 *
 * It is written as JSON on one line, with ' in the place of " and a comma behind each member;
 * yyjson reads that, and writes it in good order.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/error.h"
#include "base/reason.h"
#include "base/text.h"
#include "declaration/blocks.h"
#include "declaration/handle.h"
#include "declaration/read.h"

typedef struct drawing {
    text_buffer out;
    const registry *registry;
} drawing;

#define VARIABLE "\\\\$\\\\{"
#define PATTERN(pattern) "'type':'string','pattern':'" pattern "'"
#define EITHER(first, second) "'anyOf':[{" first "},{" second "}]"
#define SCALAR "'type':['string','number','boolean']"
#define TYPE                                                                                    \
    EITHER("'enum':['boolean','integer','bigint','float','double','decimal','string','binary'," \
           "'date','timestamp','array<bigint>','array<string>','array<double>']",               \
           "'type':'string'")
#define FUNCTION                                                                     \
    EITHER("'type':'string'", "'type':'object','minProperties':1,'maxProperties':1," \
                              "'additionalProperties':{" TYPE "}")
/* {divide(a, b): a / b} */
#define SIGNED                                                                                   \
    "'type':'object','minProperties':1,'maxProperties':1,'patternProperties':{'^[A-Za-z_][A-Za-" \
    "z0-"                                                                                        \
    "9_]*[ ]*[(][^()]*[)]$':{" SCALAR "}},'additionalProperties':false"
#define COLUMNS "'$ref':'#/$defs/columns'"

/* The members of a value's schema; those of the other kinds depend on the option. */
static const char *const forms[] = {
    [OPTION_TEXT] = SCALAR,
    [OPTION_NAME] = PATTERN("^[A-Za-z_][A-Za-z0-9_]*$|" VARIABLE),
    [OPTION_SQL] = SCALAR,
    [OPTION_BOOLEAN] = EITHER("'type':'boolean'", PATTERN("^(true|false)$|" VARIABLE)),
    [OPTION_DURATION] = PATTERN("^[0-9]+ "
                                "*(us|ms|microseconds?|milliseconds?|s|secs?|seconds?|m|mins?|"
                                "minutes?|h|hrs?|hours?|d|days?|"
                                "w|weeks?)$|" VARIABLE),
    [OPTION_BYTES] = EITHER("'type':'integer','minimum':0",
                            PATTERN("^[0-9]+ *([kKmMgGtT]?[iI]?[bB]?)$|" VARIABLE)),
    [OPTION_MEMORY] = EITHER("'type':'integer','minimum':0",
                             PATTERN("^([0-9]+ *([kKmMgGtT]?[iI]?[bB]?)|[0-9]+ *%)$|" VARIABLE)),
    [OPTION_TYPE] = TYPE,
    [OPTION_SCHEMA] = COLUMNS,
    [OPTION_PROPERTIES] = "'type':'object','additionalProperties':{" SCALAR "}",
    [OPTION_NODE] = "'type':['object','array','string','number','boolean','null']",
    [OPTION_FUNCTIONS] = EITHER(FUNCTION, "'type':'array','items':{" FUNCTION "},'minItems':1"),
};

static void draw_block(drawing *drawing, const block_kind *block, const char *doc, uint32_t depth);

/* A form, with quotes in the place of its apostrophes. */
static void draw_schema(drawing *drawing, const char *form)
{
    for (; *form != '\0'; form++)
        text_append_char(&drawing->out, *form == '\'' ? '"' : *form);
}

/* A text as JSON between two forms. */
static void draw_text(drawing *drawing, const char *before, const char *text, const char *behind)
{
    draw_schema(drawing, before);
    text_append_json(&drawing->out, text, strlen(text));
    draw_schema(drawing, behind);
}

static void draw_bounds(drawing *drawing, const option *option)
{
    if (option->minimum == 0 && option->maximum == 0)
        return;
    text_format(&drawing->out, ",\"minimum\":%" PRId64, option->minimum);
    if (option->maximum != INT64_MAX)
        text_format(&drawing->out, ",\"maximum\":%" PRId64, option->maximum);
}

static void draw_choice(drawing *drawing, const option *option)
{
    bool null = false; /* without quotes YAML reads it as null */
    draw_schema(drawing, "'anyOf':[{'enum':[");
    for (size_t i = 0; option->choices[i] != NULL; i++) {
        draw_text(drawing, "", option->choices[i], ",");
        null = null || strcmp(option->choices[i], "null") == 0;
    }
    draw_schema(drawing, null ? "null]},{" : "]},{");
    draw_schema(drawing, PATTERN(VARIABLE) "}]");
}

static void draw_value(drawing *drawing, const option *option, uint32_t depth)
{
    switch (option->kind) {
    case OPTION_INTEGER:
        draw_schema(drawing, "'anyOf':[{'type':'integer'");
        draw_bounds(drawing, option);
        draw_schema(drawing, "},{" PATTERN("^[+-]?[0-9]+$|" VARIABLE) "}]");
        break;
    case OPTION_CHOICE: draw_choice(drawing, option); break;
    case OPTION_TEXTS:
        draw_schema(drawing, "'anyOf':[{" SCALAR "},{'type':'array','items':{" SCALAR "}");
        draw_schema(drawing, option->required ? ",'minItems':1}]" : "}]");
        break;
    case OPTION_BLOCK: draw_block(drawing, option->block, option->doc, depth + 1); break;
    case OPTION_BLOCKS:
        draw_schema(drawing, "'type':'array','items':{");
        if (option->block->unfold != NULL)
            draw_schema(drawing, "'anyOf':[{" SIGNED "},{");
        draw_block(drawing, option->block, option->block->doc, depth + 1);
        draw_schema(drawing, option->block->unfold != NULL ? "}]" : "");
        draw_schema(drawing, option->required ? "},'minItems':1" : "}");
        break;
    default: draw_schema(drawing, forms[option->kind]);
    }
}

/* The default has the type that YAML would give it. */
static void draw_option(drawing *drawing, const option *option, uint32_t depth)
{
    draw_text(drawing, "", option->name, ":{");
    draw_value(drawing, option, depth);
    if (option->kind == OPTION_BLOCK) /* it has said so itself */
        draw_schema(drawing, ",");
    else
        draw_text(drawing, ",'description':", option->doc, ",");
    if (option->standard != NULL &&
        (option->kind == OPTION_BOOLEAN || option->kind == OPTION_INTEGER))
        text_format(&drawing->out, "\"default\":%s", option->standard);
    else if (option->standard != NULL)
        draw_text(drawing, "'default':", option->standard, "");
    draw_schema(drawing, "},");
}

/* That exactly one of the kinds is there; of none, nothing: an empty oneOf is no JSON Schema. */
static void draw_one_of(drawing *drawing, const option *option)
{
    const block_kind *const *kinds = registry_kinds(drawing->registry, option->kinds);
    for (size_t i = 0; kinds[i] != NULL; i++)
        draw_text(drawing, i == 0 ? "'oneOf':[{'required':[" : "{'required':[", kinds[i]->name,
                  kinds[i + 1] == NULL ? "]}]," : "]},");
}

/* One property a kind. */
static void draw_kinds(drawing *drawing, const option *option, uint32_t depth)
{
    const block_kind *const *kinds = registry_kinds(drawing->registry, option->kinds);
    for (size_t i = 0; kinds[i] != NULL; i++) {
        draw_text(drawing, "", kinds[i]->name, ":{");
        if (kinds[i]->may_be_scalar)
            draw_schema(drawing, "'anyOf':[{" SCALAR "},{");
        draw_block(drawing, kinds[i], kinds[i]->doc, depth + 1);
        draw_schema(drawing, kinds[i]->may_be_scalar ? "}]}," : "},");
    }
}

static bool is_needed(const option *option)
{
    return option->required && option->unless == NULL && option->kind != OPTION_KIND;
}

static void draw_block(drawing *drawing, const block_kind *block, const char *doc, uint32_t depth)
{
    bool may_be_empty = true; /* nothing is a block without options */
    if (depth == BLOCK_DEPTH_MAX) {
        drawing->out.failed = true;
        return;
    }
    for (const option *option = block->options; option->name != NULL; option++) {
        size_t before = drawing->out.length;
        if (option->kind == OPTION_KIND)
            draw_one_of(drawing, option);
        may_be_empty = may_be_empty && !is_needed(option) && drawing->out.length == before;
    }
    draw_schema(drawing, may_be_empty ? "'type':['object','null']," : "'type':'object',");
    draw_text(drawing, "'description':", doc, ",'properties':{");
    for (const option *option = block->options; option->name != NULL; option++) {
        if (option->kind == OPTION_KIND)
            draw_kinds(drawing, option, depth);
        else
            draw_option(drawing, option, depth);
    }
    draw_schema(drawing, "},'required':[");
    for (const option *option = block->options; option->name != NULL; option++)
        if (is_needed(option))
            draw_text(drawing, "", option->name, ",");
    draw_schema(drawing, "],'additionalProperties':false");
}

freshet_code declaration_write_schema(const registry *registry, freshet_write_fn *write,
                                      void *context, freshet_error *err)
{
    drawing drawing = {.registry = registry};
    text_init(&drawing.out, TEXT_LIMIT_DEFAULT);
    draw_schema(
        &drawing,
        "{'$schema':'https://json-schema.org/draft/2020-12/schema','title':'Freshet declaration',");
    draw_block(&drawing, &declaration_block, declaration_block.doc, 0);
    draw_schema(
        &drawing,
        ",'$defs':{'columns':{'type':'object','description':'Columns and their types; a map is a "
        "struct.','minProperties':1,'additionalProperties':{" EITHER(
            TYPE,
            COLUMNS) "}},"
                     "'dead_letter':{'type':'object','description':'A line of the file of dead "
                     "letters.',"
                     "'properties':{'code':{'description':'Why the row was refused.','oneOf':[");
    for (int i = 0; i < REASON_COUNT; i++) {
        draw_text(&drawing, "{'const':", reason_name((reason_code)i), ",");
        draw_text(&drawing, "'description':", reason_doc((reason_code)i), "},");
    }
    draw_schema(&drawing, "]},'reason':{'type':'string','description':'A sentence.'}}}}}");
    yyjson_doc *doc = NULL;
    if (!drawing.out.failed)
        doc = yyjson_read(drawing.out.bytes, drawing.out.length, YYJSON_READ_ALLOW_TRAILING_COMMAS);
    text_release(&drawing.out);
    text_buffer pretty = {0};
    pretty.bytes =
        yyjson_write(doc, YYJSON_WRITE_PRETTY | YYJSON_WRITE_NEWLINE_AT_END, &pretty.length);
    pretty.failed = pretty.bytes == NULL;
    yyjson_doc_free(doc);
    return text_hand_over(&pretty, "writing the JSON Schema", write, context, err);
}
