/* explode_json.c - the step `explode_json_column`: fields of a JSON text as columns.
 *
 * A function of SQL of this step alone reads each text once and gives a struct of all fields, which
 * the step's SELECT takes apart. Fields are read as Butterfree's are, on Spark:
 *
 *   single values   get_json_object and a cast: the value as text, which is then read as the type.
 *                   So "123" and 123.9 are 123 as an integer, 7 is "7" as a string, an object or
 *                   array its compact JSON
 *   array, struct   from_json: a value must be of its type. One that is not makes an array null as
 *                   a whole, and in a struct its field
 *   missing, null   null; of equal names the first counts; other fields are none of it
 *
 * What does not fit, and a text that is no JSON object, is null, or makes the row a dead letter, as
 * the reader's `on_cast_error` says. A null text gives nulls.
 *
 * DuckDB owns the function, and its context, until the engine is closed.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/cast_text.h"
#include "base/error.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "formats/cell.h"
#include "formats/json.h"
#include "preprocess/preprocess_step.h"

#define EXPLODING "reading JSON texts"

typedef struct explode_options {
    declared_text column;
    declared_schema schema;
} explode_options;

/* What the function knows; its arena lives as long as the engine. */
typedef struct exploder {
    arena *arena;
    const char *column;
    const type *type; /* struct<f0: ..., f1: ...> */
    const char **names;
    bool null_instead;
} exploder;

typedef struct explode {
    preprocess_step step;
    int64_t column;
    const char *function;
} explode;

/* ---- single values, by their text ------------------------------------------------------------ */

/* The text of a JSON value. */
static bool explode_text(arena *arena, yyjson_val *value, const char **text, size_t *length)
{
    if (yyjson_is_str(value) || yyjson_is_raw(value)) {
        *text = value->uni.str;
        *length = unsafe_yyjson_get_len(value);
        return true;
    }
    char *written = yyjson_val_write(value, YYJSON_WRITE_NOFLAG, length);
    *text = written == NULL ? NULL : arena_copy(arena, written, *length);
    free(written);
    return *text != NULL;
}

static bool read_as(const char *text, size_t length, column *into, uint64_t row)
{
    const type *type = into->type;
    int64_t whole;
    bool fits;
    number_trim(&text, &length);
    switch (type->kind) {
    case TYPE_BOOLEAN: return cast_read_boolean(text, length, &((uint8_t *)into->data)[row]);
    case TYPE_INTEGER:
    case TYPE_BIGINT:
        fits = type->kind == TYPE_INTEGER
                   ? number_integer(text, length, NUMBER_SPARK, INT32_MIN, INT32_MAX, &whole)
                   : number_integer(text, length, NUMBER_SPARK, INT64_MIN, INT64_MAX, &whole);
        if (fits)
            cell_put_whole(into, row, whole);
        return fits;
    case TYPE_FLOAT: return number_float(text, length, NUMBER_SPARK, &((float *)into->data)[row]);
    case TYPE_DOUBLE:
        return number_double(text, length, NUMBER_SPARK, &((double *)into->data)[row]);
    case TYPE_DECIMAL:
        return number_decimal(text, length, NUMBER_SPARK, type->width, type->scale,
                              &((int128 *)into->data)[row]);
    case TYPE_DATE: return date_parse(text, length, &((int32_t *)into->data)[row]);
    case TYPE_TIMESTAMP: return timestamp_parse(text, length, &((int64_t *)into->data)[row]);
    default: return false;
    }
}

static outcome explode_scalar(arena *arena, yyjson_val *value, column *into, uint64_t row)
{
    const char *text;
    size_t length;
    if (!explode_text(arena, value, &text, &length) || length > UINT32_MAX)
        return NO_MEMORY;
    cell_set_valid(into, row);
    if (into->type->kind != TYPE_STRING && into->type->kind != TYPE_BINARY)
        return read_as(text, length, into, row) ? FITS : DOES_NOT_FIT;
    if (length > TEXT_INLINE_MAX && (text = arena_copy(arena, text, length)) == NULL)
        return NO_MEMORY;
    cell_put_text(into, row, text, length);
    return FITS;
}

/* ---- arrays and structs, value by value ------------------------------------------------------ */

static outcome explode_value(const exploder *exploder, arena *arena, yyjson_val *value,
                             column *into, uint64_t row);

static outcome explode_array(const exploder *exploder, arena *arena, yyjson_val *value,
                             column *into, uint64_t row)
{
    column *elements = &into->children[0];
    const uint64_t offset = into->n_elements, n = unsafe_yyjson_get_len(value);
    yyjson_val *each = unsafe_yyjson_get_first(value);
    if (column_reserve(arena, elements, offset + n, NULL) != FRESHET_OK)
        return NO_MEMORY;
    into->n_elements = offset + n;
    ((cell_span *)into->data)[row] = (cell_span){.offset = offset, .length = n};
    for (uint64_t i = 0; i < n; i++, each = unsafe_yyjson_get_next(each)) {
        const outcome result = explode_value(exploder, arena, each, elements, offset + i);
        if (result == DOES_NOT_FIT)
            into->n_elements = offset;
        if (result != FITS)
            return result;
    }
    return FITS;
}

static outcome explode_struct(const exploder *exploder, arena *arena, yyjson_val *value,
                              column *into, uint64_t row)
{
    for (uint32_t i = 0; i < into->type->n_fields; i++) {
        outcome result =
            explode_value(exploder, arena, yyjson_obj_get(value, into->type->fields[i].name),
                          &into->children[i], row);
        if (result == DOES_NOT_FIT && exploder->null_instead)
            result = column_set_null(arena, &into->children[i], row) ? FITS : NO_MEMORY;
        if (result != FITS)
            return result;
    }
    return FITS;
}

/* Is the JSON value one of the type, as from_json has it? */
static bool is_of_type(yyjson_val *value, type_kind kind)
{
    switch (kind) {
    case TYPE_BOOLEAN: return yyjson_is_bool(value);
    case TYPE_ARRAY: return yyjson_is_arr(value);
    case TYPE_STRUCT: return yyjson_is_obj(value);
    case TYPE_STRING: return true;
    case TYPE_FLOAT:
    case TYPE_DOUBLE:
    case TYPE_DECIMAL: return yyjson_is_raw(value) || yyjson_is_str(value);
    case TYPE_INTEGER:
    case TYPE_BIGINT: return yyjson_is_raw(value) && strpbrk(value->uni.str, ".eE") == NULL;
    default: return yyjson_is_str(value);
    }
}

/* NULL or a JSON null is a null. The depth is that of the type, TYPE_DEPTH_MAX at most. */
static outcome explode_value(const exploder *exploder, arena *arena, yyjson_val *value,
                             column *into, uint64_t row)
{
    if (value == NULL || yyjson_is_null(value))
        return column_set_null(arena, into, row) ? FITS : NO_MEMORY;
    if (!is_of_type(value, into->type->kind))
        return DOES_NOT_FIT;
    cell_set_valid(into, row);
    if (into->type->kind == TYPE_ARRAY)
        return explode_array(exploder, arena, value, into, row);
    if (into->type->kind == TYPE_STRUCT)
        return explode_struct(exploder, arena, value, into, row);
    return explode_scalar(arena, value, into, row);
}

/* ---- a text ---------------------------------------------------------------------------------- */

static freshet_code explode_refuse(const exploder *exploder, const char *name, const type *type,
                                   yyjson_val *value, freshet_error *err)
{
    char shown[2 * CELL_SHOWN_MAX] = "a value that does not fit";
    char *text = value == NULL ? NULL : yyjson_val_write(value, YYJSON_WRITE_NOFLAG, NULL);
    arena *arena = arena_open();
    const char *wanted = arena == NULL ? NULL : type_name(arena, type);
    if (text != NULL) {
        const int n = cell_shown(text, strlen(text));
        snprintf(shown, sizeof shown, "%.*s%s", n, text, (size_t)n < strlen(text) ? "..." : "");
    }
    error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
              "field \"%s\" of the JSON in \"%s\" should be %s, but is %s", name, exploder->column,
              wanted == NULL ? "another value" : wanted, shown);
    arena_close(arena);
    free(text);
    return FRESHET_FAILED;
}

static freshet_code explode_field(const exploder *exploder, arena *arena, yyjson_val *object,
                                  uint32_t field, column *into, uint64_t row, freshet_error *err)
{
    yyjson_val *value = object == NULL ? NULL : yyjson_obj_get(object, exploder->names[field]);
    const type_kind kind = into->type->kind;
    outcome result =
        value == NULL || yyjson_is_null(value) || kind == TYPE_ARRAY || kind == TYPE_STRUCT
            ? explode_value(exploder, arena, value, into, row)
            : explode_scalar(arena, value, into, row);
    if (result == DOES_NOT_FIT && !exploder->null_instead)
        return explode_refuse(exploder, exploder->names[field], into->type, value, err);
    if (result == DOES_NOT_FIT)
        result = column_set_null(arena, into, row) ? FITS : NO_MEMORY;
    return result == FITS ? FRESHET_OK : error_memory(err, EXPLODING);
}

static freshet_code explode_row(const exploder *exploder, arena *arena, const cell_text *text,
                                column *result, uint64_t row, freshet_error *err)
{
    const char *bytes = text_bytes(text);
    const size_t length = text->length;
    yyjson_doc *doc = json_depth_is_fine(bytes, length)
                          ? yyjson_read(bytes, length, YYJSON_READ_NUMBER_AS_RAW)
                          : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc);
    freshet_code code = FRESHET_OK;
    if (!yyjson_is_obj(root)) {
        root = NULL;
        if (!exploder->null_instead)
            code = error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                             "the text in \"%s\" is no JSON object: %.*s%s", exploder->column,
                             cell_shown(bytes, length), bytes,
                             (size_t)cell_shown(bytes, length) < length ? "..." : "");
    }
    for (uint32_t i = 0; code == FRESHET_OK && i < exploder->type->n_fields; i++)
        code = explode_field(exploder, arena, root, i, &result->children[i], row, err);
    yyjson_doc_free(doc);
    return code;
}

static freshet_code explode_call(void *context, const batch *arguments, column *result,
                                 freshet_error *err)
{
    const exploder *exploder = context;
    const column *texts = &arguments->columns[0];
    freshet_code code = FRESHET_OK;
    for (uint32_t row = 0; code == FRESHET_OK && row < arguments->n_rows; row++)
        if (column_is_valid(texts, row))
            code = explode_row(exploder, arguments->arena, &((const cell_text *)texts->data)[row],
                               result, row, err);
        else if (!column_set_null(arguments->arena, result, row))
            code = error_memory(err, EXPLODING);
    return code;
}

/* ---- the function ---------------------------------------------------------------------------- */

static void explode_release(void *context)
{
    arena_close(((exploder *)context)->arena);
}

/* Fields by their places: names of columns may be anything. */
static bool fill_exploder(const explode *explode, exploder *exploder, const char **returns)
{
    const explode_options *options = explode->step.options;
    const schema *wanted = &options->schema.value;
    arena *arena = exploder->arena;
    field *fields = arena_zero(arena, wanted->n_fields, sizeof *fields);
    exploder->column = arena_text(arena, explode->step.before.fields[explode->column].name);
    exploder->names = arena_zero(arena, wanted->n_fields, sizeof *exploder->names);
    exploder->null_instead = explode->step.chain->block->on_cast_error == ON_CAST_ERROR_NULL;
    if (fields == NULL || exploder->names == NULL || exploder->column == NULL)
        return false;
    for (uint32_t i = 0; i < wanted->n_fields; i++) {
        exploder->names[i] = arena_text(arena, wanted->fields[i].name);
        fields[i] =
            (field){arena_format(arena, "f%u", i), type_keep(arena, wanted->fields[i].type)};
        if (exploder->names[i] == NULL || fields[i].name == NULL || fields[i].type == NULL)
            return false;
    }
    exploder->type = type_struct(arena, fields, wanted->n_fields);
    *returns = exploder->type == NULL ? NULL : type_name(arena, exploder->type);
    return *returns != NULL;
}

static freshet_code add_function(explode *explode, freshet_error *err)
{
    static atomic_uint n_functions; /* names are never free again while the engine is open */
    arena *arena = arena_open();
    exploder *exploder = arena == NULL ? NULL : arena_zero(arena, 1, sizeof *exploder);
    const char *returns = NULL;
    explode->function = arena_format(explode->step.chain->arena, "__freshet_explode_%u",
                                     atomic_fetch_add(&n_functions, 1));
    if (exploder != NULL)
        exploder->arena = arena;
    if (exploder == NULL || explode->function == NULL ||
        !fill_exploder(explode, exploder, &returns)) {
        arena_close(arena);
        return error_memory(err, PREPROCESSING);
    }
    const sql_function function = {.name = arena_text(arena, explode->function),
                                   .returns = returns,
                                   .arguments = {"string"},
                                   .call = explode_call,
                                   .context = exploder,
                                   .release = explode_release};
    return sql_function_add(explode->step.chain->options.session, &function, err);
}

/* ---- the step -------------------------------------------------------------------------------- */

static const option explode_option_table[] = {
    {OPTION("column", TEXT, explode_options, column), .required = true,
     .doc = "The column that holds JSON, of the type string.", .example = "payload"},
    {OPTION("schema", SCHEMA, explode_options, schema), .required = true,
     .doc = "The fields that become columns, and their types. One that has the name of a column "
            "takes its place, else it comes behind the others.",
     .example = "{order_id: bigint, items: array<string>}"},
    {0},
};

static freshet_code explode_check(preprocess_step *step, freshet_error *err)
{
    explode *explode = (struct explode *)step;
    const explode_options *options = step->options;
    explode->column = step_column(step, &options->column, "column");
    if (explode->column < 0 || options->schema.value.n_fields == 0)
        return FRESHET_OK;
    const field *field = &step->before.fields[explode->column];
    if (field->type->kind != TYPE_STRING) {
        step_problem(step, &options->column.at,
                     "the column \"%s\" is of the type %s, and explode_json_column reads strings%s",
                     field->name, type_name(step->chain->arena, field->type),
                     field->type->kind == TYPE_STRUCT
                         ? ": the query can take a struct's fields by their names"
                         : "");
        return FRESHET_OK;
    }
    return add_function(explode, err);
}

/* The place of a column among the fields; -1: it is none. */
static int64_t field_of(const explode *explode, const char *column)
{
    return schema_find(&((const explode_options *)explode->step.options)->schema.value, column);
}

static void put_field(const explode *explode, uint32_t field, const char *name, text_buffer *into)
{
    const char *quoted = sql_quote(explode->step.chain->arena, name);
    into->failed |= quoted == NULL;
    text_format(into, "struct_extract(__freshet_json, 'f%u') AS %s, ", field,
                quoted == NULL ? "" : quoted);
}

static freshet_code explode_write(preprocess_step *step, const char *from, const char **sql,
                                  freshet_error *err)
{
    const explode *explode = (const struct explode *)step;
    const schema *fields = &((const explode_options *)step->options)->schema.value;
    arena *arena = step->chain->arena;
    const char *column = sql_quote(arena, step->before.fields[explode->column].name);
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text.failed |= column == NULL;
    text_append_c(&text, "SELECT ");
    for (uint32_t i = 0; i < step->before.n_fields; i++) {
        const char *name = step->before.fields[i].name, *quoted = sql_quote(arena, name);
        if (field_of(explode, name) >= 0)
            put_field(explode, (uint32_t)field_of(explode, name), name, &text);
        else
            text_format(&text, "%s, ", quoted == NULL ? "" : quoted);
        text.failed |= quoted == NULL;
    }
    for (uint32_t i = 0; i < fields->n_fields; i++)
        if (schema_find(&step->before, fields->fields[i].name) < 0)
            put_field(explode, i, fields->fields[i].name, &text);
    text_format(&text, PREPROCESS_ROW_COLUMN " FROM (SELECT *, %s(%s) AS __freshet_json FROM %s)",
                explode->function, column == NULL ? "" : column, from);
    return step_sql(step, &text, sql, err);
}

static void explode_use(const preprocess_step *step, const bool *after, bool *before)
{
    const explode *explode = (const struct explode *)step;
    for (uint32_t i = 0; i < step->before.n_fields; i++)
        before[i] |= i == explode->column ||
                     (after[i] && field_of(explode, step->before.fields[i].name) < 0);
}

const preprocess_step_ops explode_json_column_step = {
    .block = {BLOCK_KIND("explode_json_column", "explode_json_column", explode_options,
                         explode_option_table),
              .doc =
                  "Fields of a JSON text as columns. Texts and numbers are both taken for single "
                  "values, as Spark's get_json_object and a cast do; arrays and structs must be "
                  "of their types. What does not fit is treated as the reader's "
                  "`on_cast_error` says."},
    .size = sizeof(explode),
    .check = explode_check,
    .write = explode_write,
    .use = explode_use,
};
