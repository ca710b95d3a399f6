/* declaration_schema.c - the JSON Schema of declarations, from the option tables.
 *
 * For editors: completion, hover texts (the doc strings) and marks under mistakes while typing. It says what the tables say;
 * what holds between options (names that stand twice, `from` or `sql`) only `freshet check` tells. YAML
 * gives numbers and booleans where the declaration takes texts, and any scalar may hold ${VAR}, so each
 * type allows both.
 */
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/error.h"
#include "declaration/blocks.h"
#include "declaration/read.h"

#define VARIABLE_PATTERN "\\$\\{"

/* yyjson's calls take NULL and then return NULL or false: one look at the end is enough. */
typedef struct drawing {
    yyjson_mut_doc *doc;
    const registry *registry;
    bool ok;
} drawing;

static yyjson_mut_val *draw_block(drawing *drawing, const block_kind *block, uint32_t depth);

static void schema_put(drawing *drawing, yyjson_mut_val *object, const char *key,
                       yyjson_mut_val *value)
{
    drawing->ok = yyjson_mut_obj_add_val(drawing->doc, object, key, value) && drawing->ok;
}

static void schema_put_text(drawing *drawing, yyjson_mut_val *object, const char *key,
                            const char *text)
{
    schema_put(drawing, object, key, yyjson_mut_strcpy(drawing->doc, text));
}

static yyjson_mut_val *texts(drawing *drawing, const char *const *words, size_t n)
{
    yyjson_mut_val *array = yyjson_mut_arr(drawing->doc);
    for (size_t i = 0; i < n; i++)
        drawing->ok = yyjson_mut_arr_add_str(drawing->doc, array, words[i]) && drawing->ok;
    return array;
}

static yyjson_mut_val *typed(drawing *drawing, const char *type)
{
    yyjson_mut_val *made = yyjson_mut_obj(drawing->doc);
    schema_put_text(drawing, made, "type", type);
    return made;
}

static yyjson_mut_val *patterned(drawing *drawing, const char *pattern)
{
    yyjson_mut_val *made = typed(drawing, "string");
    schema_put_text(drawing, made, "pattern", pattern);
    return made;
}

static yyjson_mut_val *any_of(drawing *drawing, yyjson_mut_val *first, yyjson_mut_val *second)
{
    yyjson_mut_val *array = yyjson_mut_arr(drawing->doc);
    drawing->ok =
        yyjson_mut_arr_append(array, first) && yyjson_mut_arr_append(array, second) && drawing->ok;
    yyjson_mut_val *made = yyjson_mut_obj(drawing->doc);
    schema_put(drawing, made, "anyOf", array);
    return made;
}

/* A scalar taken as text. */
static yyjson_mut_val *draw_scalar(drawing *drawing)
{
    static const char *const types[] = {"string", "number", "boolean"};
    yyjson_mut_val *made = yyjson_mut_obj(drawing->doc);
    schema_put(drawing, made, "type", texts(drawing, types, 3));
    return made;
}

static yyjson_mut_val *draw_integer(drawing *drawing, const option *option)
{
    yyjson_mut_val *number = typed(drawing, "integer");
    if (option->minimum != 0 || option->maximum != 0) {
        schema_put(drawing, number, "minimum", yyjson_mut_sint(drawing->doc, option->minimum));
        if (option->maximum != INT64_MAX)
            schema_put(drawing, number, "maximum", yyjson_mut_sint(drawing->doc, option->maximum));
    }
    return any_of(drawing, number, patterned(drawing, "^[+-]?[0-9]+$|" VARIABLE_PATTERN));
}

static yyjson_mut_val *draw_choice(drawing *drawing, const option *option)
{
    size_t n = 0;
    while (option->choices[n] != NULL)
        n++;
    yyjson_mut_val *words = texts(drawing, option->choices, n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(option->choices[i], "null") == 0) /* without quotes YAML reads it as null */
            drawing->ok = yyjson_mut_arr_add_null(drawing->doc, words) && drawing->ok;
    yyjson_mut_val *choice = yyjson_mut_obj(drawing->doc);
    schema_put(drawing, choice, "enum", words);
    return any_of(drawing, choice, patterned(drawing, VARIABLE_PATTERN));
}

static yyjson_mut_val *draw_type(drawing *drawing)
{
    static const char *const names[] = {
        "boolean",       "integer",       "bigint",       "float", "double",
        "decimal",       "string",        "binary",       "date",  "timestamp",
        "array<bigint>", "array<string>", "array<double>"};
    yyjson_mut_val *usual = yyjson_mut_obj(drawing->doc);
    schema_put(drawing, usual, "enum", texts(drawing, names, sizeof names / sizeof names[0]));
    return any_of(drawing, usual, typed(drawing, "string"));
}

static yyjson_mut_val *draw_list(drawing *drawing, yyjson_mut_val *item, bool required)
{
    yyjson_mut_val *made = typed(drawing, "array");
    schema_put(drawing, made, "items", item);
    if (required)
        schema_put(drawing, made, "minItems", yyjson_mut_int(drawing->doc, 1));
    return made;
}

/* A name, or {name: type}. */
static yyjson_mut_val *draw_function(drawing *drawing)
{
    yyjson_mut_val *typed_one = typed(drawing, "object");
    schema_put(drawing, typed_one, "minProperties", yyjson_mut_int(drawing->doc, 1));
    schema_put(drawing, typed_one, "maxProperties", yyjson_mut_int(drawing->doc, 1));
    schema_put(drawing, typed_one, "additionalProperties", draw_type(drawing));
    return any_of(drawing, typed(drawing, "string"), typed_one);
}

static yyjson_mut_val *draw_bytes(drawing *drawing)
{
    yyjson_mut_val *number = typed(drawing, "integer");
    schema_put(drawing, number, "minimum", yyjson_mut_int(drawing->doc, 0));
    return any_of(drawing, number,
                  patterned(drawing, "^[0-9]+ *([kKmMgGtT]?[iI]?[bB])?$|" VARIABLE_PATTERN));
}

static yyjson_mut_val *draw_value(drawing *drawing, const option *option, uint32_t depth)
{
    switch (option->kind) {
    case OPTION_NAME: return patterned(drawing, "^[A-Za-z_][A-Za-z0-9_]*$|" VARIABLE_PATTERN);
    case OPTION_BOOLEAN:
        return any_of(drawing, typed(drawing, "boolean"),
                      patterned(drawing, "^(true|false)$|" VARIABLE_PATTERN));
    case OPTION_INTEGER: return draw_integer(drawing, option);
    case OPTION_DURATION:
        return patterned(drawing,
                         "^[0-9]+ *(us|ms|microseconds?|milliseconds?|seconds?|minutes?|hours?|"
                         "days?|weeks?)$|" VARIABLE_PATTERN);
    case OPTION_BYTES: return draw_bytes(drawing);
    case OPTION_CHOICE: return draw_choice(drawing, option);
    case OPTION_TYPE: return draw_type(drawing);
    case OPTION_SCHEMA: {
        yyjson_mut_val *made = yyjson_mut_obj(drawing->doc);
        schema_put_text(drawing, made, "$ref", "#/$defs/columns");
        return made;
    }
    case OPTION_TEXTS:
        return any_of(drawing, draw_scalar(drawing),
                      draw_list(drawing, draw_scalar(drawing), option->required));
    case OPTION_PROPERTIES: {
        yyjson_mut_val *made = typed(drawing, "object");
        schema_put(drawing, made, "additionalProperties", draw_scalar(drawing));
        return made;
    }
    case OPTION_FUNCTIONS:
        return any_of(drawing, draw_function(drawing),
                      draw_list(drawing, draw_function(drawing), true));
    case OPTION_BLOCK: return draw_block(drawing, option->block, depth + 1);
    case OPTION_BLOCKS:
        return draw_list(drawing, draw_block(drawing, option->block, depth + 1), option->required);
    default: return draw_scalar(drawing);
    }
}

/* The default, with the type that YAML would give it. */
static yyjson_mut_val *draw_standard(drawing *drawing, const option *option)
{
    if (option->kind == OPTION_BOOLEAN)
        return yyjson_mut_bool(drawing->doc, strcmp(option->standard, "true") == 0);
    if (option->kind == OPTION_INTEGER)
        return yyjson_mut_sint(drawing->doc, strtoll(option->standard, NULL, 10));
    return yyjson_mut_strcpy(drawing->doc, option->standard);
}

static void draw_option(drawing *drawing, const option *option, uint32_t depth,
                        yyjson_mut_val *properties)
{
    yyjson_mut_val *value = draw_value(drawing, option, depth);
    schema_put_text(drawing, value, "description", option->doc);
    if (option->standard != NULL)
        schema_put(drawing, value, "default", draw_standard(drawing, option));
    schema_put(drawing, properties, option->name, value);
}

/* One property a kind, and that exactly one of them is there. */
static void draw_kinds(drawing *drawing, const option *option, uint32_t depth,
                       yyjson_mut_val *properties, yyjson_mut_val *made)
{
    const block_kind *const *kinds = registry_kinds(drawing->registry, option->kinds);
    yyjson_mut_val *one_of = yyjson_mut_arr(drawing->doc);
    for (size_t i = 0; kinds[i] != NULL; i++) {
        yyjson_mut_val *kind = draw_block(drawing, kinds[i], depth + 1);
        schema_put(drawing, properties, kinds[i]->name, kind);
        yyjson_mut_val *each = yyjson_mut_obj(drawing->doc);
        schema_put(drawing, each, "required", texts(drawing, &kinds[i]->name, 1));
        drawing->ok = yyjson_mut_arr_append(one_of, each) && drawing->ok;
    }
    if (kinds[0] != NULL) /* an empty oneOf is no JSON Schema */
        schema_put(drawing, made, "oneOf", one_of);
}

static yyjson_mut_val *draw_block(drawing *drawing, const block_kind *block, uint32_t depth)
{
    if (depth == BLOCK_DEPTH_MAX) {
        drawing->ok = false;
        return NULL;
    }
    yyjson_mut_val *made = yyjson_mut_obj(drawing->doc);
    yyjson_mut_val *properties = yyjson_mut_obj(drawing->doc);
    yyjson_mut_val *required = yyjson_mut_arr(drawing->doc);
    static const char *const types[] = {"object", "null"}; /* nothing is a block without options */
    for (const option *option = block->options; option->name != NULL; option++) {
        if (option->kind == OPTION_KIND) {
            draw_kinds(drawing, option, depth, properties, made);
            continue;
        }
        draw_option(drawing, option, depth, properties);
        if (option->required && option->unless == NULL)
            drawing->ok =
                yyjson_mut_arr_add_str(drawing->doc, required, option->name) && drawing->ok;
    }
    bool may_be_empty =
        yyjson_mut_arr_size(required) == 0 && yyjson_mut_obj_get(made, "oneOf") == NULL;
    if (may_be_empty)
        schema_put(drawing, made, "type", texts(drawing, types, 2));
    else
        schema_put_text(drawing, made, "type", "object");
    schema_put_text(drawing, made, "description", block->doc);
    schema_put(drawing, made, "properties", properties);
    schema_put(drawing, made, "required", required);
    schema_put(drawing, made, "additionalProperties", yyjson_mut_false(drawing->doc));
    return made;
}

/* {name: type, nested: {name: type}} */
static yyjson_mut_val *draw_columns(drawing *drawing)
{
    yyjson_mut_val *nested = yyjson_mut_obj(drawing->doc);
    schema_put_text(drawing, nested, "$ref", "#/$defs/columns");
    yyjson_mut_val *made = typed(drawing, "object");
    schema_put_text(drawing, made, "description", "Columns and their types; a map is a struct.");
    schema_put(drawing, made, "minProperties", yyjson_mut_int(drawing->doc, 1));
    schema_put(drawing, made, "additionalProperties", any_of(drawing, draw_type(drawing), nested));
    return made;
}

static yyjson_mut_val *draw_declaration(drawing *drawing)
{
    yyjson_mut_val *made = yyjson_mut_obj(drawing->doc);
    schema_put_text(drawing, made, "$schema", "https://json-schema.org/draft/2020-12/schema");
    schema_put_text(drawing, made, "title", "Freshet declaration");
    yyjson_mut_val *block = draw_block(drawing, &declaration_block, 0);
    yyjson_mut_obj_iter members = yyjson_mut_obj_iter_with(block);
    yyjson_mut_val *key = yyjson_mut_obj_iter_next(&members);
    while (key != NULL) {
        yyjson_mut_val *value = yyjson_mut_obj_iter_get_val(key);
        yyjson_mut_val *next = yyjson_mut_obj_iter_next(&members);
        drawing->ok = yyjson_mut_obj_add(made, key, value) && drawing->ok;
        key = next;
    }
    yyjson_mut_val *defs = yyjson_mut_obj(drawing->doc);
    schema_put(drawing, defs, "columns", draw_columns(drawing));
    schema_put(drawing, made, "$defs", defs);
    return made;
}

freshet_code declaration_write_schema(const registry *registry, freshet_write_fn *write,
                                      void *context, freshet_error *err)
{
    drawing drawing = {.doc = yyjson_mut_doc_new(NULL), .registry = registry, .ok = true};
    yyjson_mut_doc_set_root(drawing.doc, draw_declaration(&drawing));
    size_t length = 0;
    char *text = NULL;
    if (drawing.ok)
        text = yyjson_mut_write(drawing.doc, YYJSON_WRITE_PRETTY | YYJSON_WRITE_NEWLINE_AT_END,
                                &length);
    freshet_code code = FRESHET_OK;
    if (text == NULL)
        code = error_memory(err, "writing the JSON Schema");
    else if (!write(context, text, length))
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "writing the JSON Schema ended early");
    free(text);
    yyjson_mut_doc_free(drawing.doc);
    return code;
}
