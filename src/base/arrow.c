/* arrow.c - see arrow.h.
 *
 * Giving walks a column by spans of rows: at the top one span of all rows, below an array the spans
 * of its cells. So elements that lie apart come out one behind the other without being gathered
 * first. Each node has an arena of its own for its buffers and the structs of its children, as the
 * interface wants it: a child that was moved away is not released by its parent.
 *
 * Taking walks a range of rows down the tree in the same way; the range of an array's elements
 * follows from its offsets.
 *
 * Types nest at most TYPE_DEPTH_MAX deep, which bounds the recursion.
 */
#include "base/arrow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define GIVING "giving a column away"
#define BUFFERS_MAX 3

/* ---- types ---- */

static void release_type(struct ArrowSchema *schema)
{
    for (int64_t i = 0; schema->children != NULL && i < schema->n_children; i++)
        if (schema->children[i]->release != NULL)
            schema->children[i]->release(schema->children[i]);
    schema->release = NULL;
    arena_close(schema->private_data);
}

static const char *const formats[TYPE_KINDS] = {
    [TYPE_BOOLEAN] = "b", [TYPE_INTEGER] = "i",      [TYPE_BIGINT] = "l", [TYPE_FLOAT] = "f",
    [TYPE_DOUBLE] = "g",  [TYPE_DECIMAL] = "d",      [TYPE_STRING] = "u", [TYPE_BINARY] = "z",
    [TYPE_DATE] = "tdD",  [TYPE_TIMESTAMP] = "tsu:", [TYPE_ARRAY] = "+l", [TYPE_STRUCT] = "+s",
};

freshet_code arrow_give_type(const type *type, const char *name, struct ArrowSchema *out,
                             freshet_error *err)
{
    arena *arena = arena_open();
    if (arena == NULL)
        return error_memory(err, GIVING);
    const uint32_t n = type->n_fields;
    struct ArrowSchema *children = arena_zero(arena, n, sizeof *children);
    *out = (struct ArrowSchema){.format =
                                    type->kind == TYPE_DECIMAL
                                        ? arena_format(arena, "d:%u,%u", type->width, type->scale)
                                        : formats[type->kind],
                                .name = arena_text(arena, name),
                                .children = arena_zero(arena, n, sizeof(void *)),
                                .flags = ARROW_FLAG_NULLABLE,
                                .release = release_type,
                                .private_data = arena};
    if (out->format == NULL || out->name == NULL || children == NULL || out->children == NULL) {
        release_type(out);
        return error_memory(err, GIVING);
    }
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
        out->children[i] = &children[i];
        code = arrow_give_type(type->fields[i].type, type->fields[i].name, &children[i], err);
        out->n_children = i + (code == FRESHET_OK);
    }
    if (code != FRESHET_OK)
        release_type(out);
    return code;
}

freshet_code arrow_give_batch_type(const schema *schema, struct ArrowSchema *out,
                                   freshet_error *err)
{
    const type whole = {
        .kind = TYPE_STRUCT, .n_fields = schema->n_fields, .fields = schema->fields};
    freshet_code code = arrow_give_type(&whole, "", out, err);
    if (code == FRESHET_OK)
        out->flags = 0;
    return code;
}

static freshet_code refuse_format(const char *format, const char *why, freshet_error *err)
{
    return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "the Arrow format \"%.40s\"%s", format,
                     why);
}

static freshet_code take_children(arena *arena, const struct ArrowSchema *schema, uint32_t depth,
                                  const type **out, freshet_error *err);

/* "d:WIDTH,SCALE" and no more: what is written of the two numbers must be the format again. */
static freshet_code take_decimal_type(arena *arena, const char *format, const type **out,
                                      freshet_error *err)
{
    char *end = NULL, again[24] = "";
    unsigned long width = strncmp(format, "d:", 2) == 0 ? strtoul(format + 2, &end, 10) : 0;
    unsigned long scale = end != NULL && *end == ',' ? strtoul(end + 1, NULL, 10) : 0;
    if (width <= TYPE_DECIMAL_WIDTH_MAX && scale <= width)
        snprintf(again, sizeof again, "d:%lu,%lu", width, scale);
    if (width < 1 || strcmp(again, format) != 0)
        return refuse_format(format, ": a decimal has 1 to 38 digits and 128 bits", err);
    *out = type_decimal(arena, (uint8_t)width, (uint8_t)scale);
    return *out == NULL ? error_memory(err, "reading an Arrow schema") : FRESHET_OK;
}

static freshet_code take_type(arena *arena, const struct ArrowSchema *schema, uint32_t depth,
                              const type **out, freshet_error *err)
{
    static const struct {
        const char *format;
        type_kind kind;
    } others[] = {{"U", TYPE_STRING}, {"Z", TYPE_BINARY}};
    const char *format = schema->format;
    if (depth > TYPE_DEPTH_MAX)
        return refuse_format(format, ", nested too deep", err);
    if (schema->dictionary != NULL)
        return refuse_format(format, " with a dictionary, which Freshet does not take", err);
    if (format[0] == '+' && strchr("lLs", format[1]) != NULL && strlen(format) == 2)
        return take_children(arena, schema, depth, out, err);
    if (format[0] == 'd')
        return take_decimal_type(arena, format, out, err);
    *out = strncmp(format, "tsu:", 4) == 0 ? type_simple(TYPE_TIMESTAMP) : NULL;
    for (int kind = 0; kind < TYPE_KINDS; kind++)
        if (strcmp(format, formats[kind]) == 0 && kind != TYPE_DECIMAL)
            *out = type_simple((type_kind)kind);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(format, others[i].format) == 0)
            *out = type_simple(others[i].kind);
    return *out == NULL ? refuse_format(format, ", which Freshet does not have", err) : FRESHET_OK;
}

static freshet_code take_children(arena *arena, const struct ArrowSchema *schema, uint32_t depth,
                                  const type **out, freshet_error *err)
{
    bool is_struct = schema->format[1] == 's';
    int64_t n = schema->n_children;
    if (is_struct ? n < 1 || n > TYPE_FIELDS_MAX : n != 1)
        return refuse_format(schema->format, " with a wrong number of children", err);
    field *fields = arena_zero(arena, (size_t)n, sizeof *fields);
    if (fields == NULL)
        return error_memory(err, "reading an Arrow schema");
    for (int64_t i = 0; i < n; i++) {
        const struct ArrowSchema *child = schema->children[i];
        freshet_code code = take_type(arena, child, depth + 1, &fields[i].type, err);
        if (code != FRESHET_OK)
            return code;
        fields[i].name = arena_text(arena, child->name == NULL ? "" : child->name);
        if (fields[i].name == NULL)
            return error_memory(err, "reading an Arrow schema");
    }
    *out = is_struct ? type_struct(arena, fields, (uint32_t)n) : type_array(arena, fields[0].type);
    return *out == NULL ? error_memory(err, "reading an Arrow schema") : FRESHET_OK;
}

freshet_code arrow_take_type(arena *arena, const struct ArrowSchema *schema, const type **out,
                             freshet_error *err)
{
    return take_type(arena, schema, 1, out, err);
}

/* ---- giving ---- */

/* The rows of a column that are given: n of them, in n_spans runs. */
typedef struct chosen {
    const cell_span *spans;
    uint64_t n_spans;
    uint64_t n;
} chosen;

/* NOLINTBEGIN(bugprone-macro-parentheses): names of variables */
#define EACH_ROW(rows, row, at)                                                                    \
    for (uint64_t span_ = 0, at = 0; span_ < (rows)->n_spans; span_++)                             \
        for (uint64_t row = (rows)->spans[span_].offset, end_ = row + (rows)->spans[span_].length; \
             row < end_; row++, at++)
/* NOLINTEND(bugprone-macro-parentheses) */

static void release_array(struct ArrowArray *array)
{
    for (int64_t i = 0; array->children != NULL && i < array->n_children; i++)
        if (array->children[i]->release != NULL)
            array->children[i]->release(array->children[i]);
    array->release = NULL;
    arena_close(array->private_data);
}

/* Memory of the node's own; NULL where it is out. */
static void *new_buffer(struct ArrowArray *out, int which, size_t size)
{
    void *made = arena_alloc(out->private_data, size);
    out->buffers[which] = made;
    return made;
}

/* Bits of the rows: which of them are valid (buffer 0), or the booleans themselves (buffer 1). */
static bool give_bits(const column *column, const chosen *rows, int which, struct ArrowArray *out)
{
    uint8_t *bits = new_buffer(out, which, rows->n / 8 + 1);
    if (bits == NULL)
        return false;
    memset(bits, 0, rows->n / 8 + 1);
    EACH_ROW(rows, row, at)
    {
        const bool is_set =
            which == 0 ? column_is_valid(column, row) : ((const uint8_t *)column->data)[row] != 0;
        bits[at / 8] |= (uint8_t)(is_set << at % 8);
        out->null_count += which == 0 && !is_set;
    }
    return true;
}

static bool give_cells(const column *column, const chosen *rows, struct ArrowArray *out)
{
    size_t size = type_cell_size(column->type);
    char *to = new_buffer(out, 1, rows->n * size);
    for (uint64_t i = 0; to != NULL && i < rows->n_spans; i++) {
        if (rows->spans[i].length > 0)
            memcpy(to, (const char *)column->data + rows->spans[i].offset * size,
                   rows->spans[i].length * size);
        to += rows->spans[i].length * size;
    }
    return out->buffers[1] != NULL;
}

static freshet_code refuse_length(freshet_error *err)
{
    return error_set(
        err, FRESHET_LIMIT, FRESHET_STOP, NULL,
        "a column of texts or arrays has more than 2 GiB, which is the most that Arrow's "
        "offsets of 32 bits reach");
}

static freshet_code give_texts(const column *column, const chosen *rows, struct ArrowArray *out,
                               freshet_error *err)
{
    const cell_text *texts = column->data;
    int32_t *offsets = new_buffer(out, 1, (rows->n + 1) * sizeof *offsets);
    uint64_t length = 0;
    EACH_ROW(rows, row, at) length += texts[row].length;
    if (length > INT32_MAX)
        return refuse_length(err);
    char *bytes = new_buffer(out, 2, length);
    if (offsets == NULL || bytes == NULL)
        return error_memory(err, GIVING);
    offsets[0] = 0;
    EACH_ROW(rows, row, at)
    {
        memcpy(bytes + offsets[at], text_bytes(&texts[row]), texts[row].length);
        offsets[at + 1] = offsets[at] + (int32_t)texts[row].length;
    }
    return FRESHET_OK;
}

static freshet_code give(const column *column, const chosen *rows, struct ArrowArray *out,
                         freshet_error *err);

static freshet_code give_elements(const column *column, const chosen *rows, struct ArrowArray *out,
                                  freshet_error *err)
{
    const cell_span *spans = column->data;
    int32_t *offsets = new_buffer(out, 1, (rows->n + 1) * sizeof *offsets);
    cell_span *below = arena_alloc(out->private_data, rows->n * sizeof *below);
    if (offsets == NULL || below == NULL)
        return error_memory(err, GIVING);
    uint64_t length = 0; /* what passes the limit is cut here, and refused below */
    EACH_ROW(rows, row, at)
    {
        below[at] = spans[row];
        offsets[at] = (int32_t)length;
        length += spans[row].length;
    }
    offsets[rows->n] = (int32_t)length;
    const chosen elements = {below, rows->n, length};
    return length > INT32_MAX ? refuse_length(err)
                              : give(&column->children[0], &elements, out->children[0], err);
}

static freshet_code give_content(const column *column, const chosen *rows, struct ArrowArray *out,
                                 freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    switch (column->type->kind) {
    case TYPE_BOOLEAN: return give_bits(column, rows, 1, out) ? code : error_memory(err, GIVING);
    case TYPE_STRING:
    case TYPE_BINARY: return give_texts(column, rows, out, err);
    case TYPE_ARRAY: return give_elements(column, rows, out, err);
    case TYPE_STRUCT:
        for (uint32_t i = 0; code == FRESHET_OK && i < column->type->n_fields; i++)
            code = give(&column->children[i], rows, out->children[i], err);
        return code;
    default: return give_cells(column, rows, out) ? code : error_memory(err, GIVING);
    }
}

static int64_t buffers_of(const type *type)
{
    return type->kind == TYPE_STRUCT                                ? 1
           : type->kind == TYPE_STRING || type->kind == TYPE_BINARY ? 3
                                                                    : 2;
}

static freshet_code give(const column *column, const chosen *rows, struct ArrowArray *out,
                         freshet_error *err)
{
    const uint32_t n = column->type->n_fields;
    arena *arena = arena_open();
    if (arena == NULL)
        return error_memory(err, GIVING);
    struct ArrowArray *children = arena_zero(arena, n, sizeof *children);
    *out = (struct ArrowArray){.length = (int64_t)rows->n,
                               .n_buffers = buffers_of(column->type),
                               .buffers = arena_zero(arena, BUFFERS_MAX, sizeof(void *)),
                               .children = arena_zero(arena, n, sizeof(void *)),
                               .release = release_array,
                               .private_data = arena};
    if (children == NULL || out->buffers == NULL || out->children == NULL ||
        (column->valid != NULL && !give_bits(column, rows, 0, out))) {
        release_array(out);
        return error_memory(err, GIVING);
    }
    for (uint32_t i = 0; i < n; i++)
        out->children[i] = &children[i];
    out->n_children = n;
    freshet_code code = give_content(column, rows, out, err);
    if (code != FRESHET_OK)
        release_array(out);
    return code;
}

freshet_code arrow_give(const column *column, uint64_t n, struct ArrowArray *out,
                        freshet_error *err)
{
    const cell_span all = {0, n};
    return give(column, &(chosen){&all, 1, n}, out, err);
}

freshet_code arrow_give_batch(const batch *batch, struct ArrowArray *out, freshet_error *err)
{
    const type whole = {
        .kind = TYPE_STRUCT, .n_fields = batch->schema.n_fields, .fields = batch->schema.fields};
    return arrow_give(&(column){.type = &whole, .children = batch->columns}, batch->n_rows, out,
                      err);
}

/* ---- taking ---- */

/* A node of what is taken, and the range of its rows. */
typedef struct taken {
    const struct ArrowSchema *schema;
    const struct ArrowArray *array;
    int64_t first; /* counted from the array's own offset */
    int64_t n;
} taken;

static freshet_code refuse_array(const taken *from, const char *why, freshet_error *err)
{
    return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                     "an array of the Arrow format \"%.40s\" %s", from->schema->format, why);
}

static bool bit_at(const void *bits, int64_t at)
{
    return (((const uint8_t *)bits)[at / 8] >> at % 8 & 1) != 0;
}

static bool is_null(const taken *from, int64_t row)
{
    const void *bits = from->array->buffers[0];
    return from->array->null_count != 0 && bits != NULL &&
           !bit_at(bits, from->array->offset + from->first + row);
}

static freshet_code take_nulls(arena *arena, const taken *from, column *into, uint64_t at,
                               freshet_error *err)
{
    for (int64_t i = 0; i < from->n; i++)
        if (is_null(from, i) && !column_set_null(arena, into, at + (uint64_t)i))
            return error_memory(err, "taking an array");
    return FRESHET_OK;
}

static bool is_large(const taken *from)
{
    return strchr("UZ", from->schema->format[0]) != NULL || from->schema->format[1] == 'L';
}

static int64_t offset_at(const taken *from, int64_t row)
{
    int64_t i = from->array->offset + from->first + row;
    return is_large(from) ? ((const int64_t *)from->array->buffers[1])[i]
                          : ((const int32_t *)from->array->buffers[1])[i];
}

static bool offsets_rise(const taken *from)
{
    for (int64_t i = 0; i < from->n; i++)
        if (offset_at(from, i) < 0 || offset_at(from, i + 1) < offset_at(from, i))
            return false;
    return true;
}

static freshet_code take_texts(arena *arena, const taken *from, column *into, uint64_t at,
                               freshet_error *err)
{
    cell_text *texts = (cell_text *)into->data + at;
    if (!offsets_rise(from))
        return refuse_array(from, "has offsets that fall", err);
    for (int64_t i = 0; i < from->n; i++) {
        const char *bytes = (const char *)from->array->buffers[2] + offset_at(from, i);
        int64_t length = offset_at(from, i + 1) - offset_at(from, i);
        if (length == 0 || is_null(from, i))
            continue;
        if (length > UINT32_MAX || from->array->buffers[2] == NULL)
            return refuse_array(from, "has a text that is too long", err);
        if (into->type->kind == TYPE_STRING && !text_is_utf8(bytes, (size_t)length))
            return refuse_array(from, "has a text that is not valid UTF-8", err);
        const char *copy =
            length <= TEXT_INLINE_MAX ? bytes : arena_copy(arena, bytes, (size_t)length);
        if (copy == NULL)
            return error_memory(err, "taking an array");
        texts[i] = text_of(copy, (uint32_t)length);
    }
    return FRESHET_OK;
}

static freshet_code take_decimals(const taken *from, column *into, uint64_t at, freshet_error *err)
{
    int128 limit = 1, *cells = (int128 *)into->data + at;
    for (unsigned i = 0; i < into->type->width; i++)
        limit *= 10;
    memcpy(cells,
           (const char *)from->array->buffers[1] +
               (size_t)(from->array->offset + from->first) * sizeof *cells,
           (size_t)from->n * sizeof *cells);
    for (int64_t i = 0; i < from->n; i++)
        if (!is_null(from, i) && (cells[i] >= limit || cells[i] <= -limit))
            return refuse_array(from, "has a decimal of more digits", err);
    return FRESHET_OK;
}

static freshet_code take(arena *arena, const taken *from, column *into, uint64_t at,
                         freshet_error *err);

static freshet_code take_elements(arena *arena, const taken *from, column *into, uint64_t at,
                                  freshet_error *err)
{
    if (from->n == 0)
        return FRESHET_OK;
    if (!offsets_rise(from))
        return refuse_array(from, "has offsets that fall", err);
    const taken below = {.schema = from->schema->children[0],
                         .array = from->array->children[0],
                         .first = offset_at(from, 0),
                         .n = offset_at(from, from->n) - offset_at(from, 0)};
    if (below.array->release == NULL || below.first + below.n > below.array->length)
        return refuse_array(from, "has offsets beyond its elements", err);
    uint64_t base = into->n_elements;
    freshet_code code = column_reserve(arena, &into->children[0], base + (uint64_t)below.n, err);
    if (code == FRESHET_OK)
        code = take(arena, &below, &into->children[0], base, err);
    for (int64_t i = 0; i < from->n; i++)
        if (!is_null(from, i))
            ((cell_span *)into->data)[at + (uint64_t)i] =
                (cell_span){base + (uint64_t)(offset_at(from, i) - below.first),
                            (uint64_t)(offset_at(from, i + 1) - offset_at(from, i))};
    into->n_elements = base + (uint64_t)below.n;
    return code;
}

static freshet_code take_fields(arena *arena, const taken *from, column *into, uint64_t at,
                                freshet_error *err)
{
    for (uint32_t i = 0; i < into->type->n_fields; i++) {
        const taken below = {.schema = from->schema->children[i],
                             .array = from->array->children[i],
                             .first = from->array->offset + from->first,
                             .n = from->n};
        if (below.array->release == NULL || below.first + below.n > below.array->length)
            return refuse_array(from, "has a child that is shorter", err);
        freshet_code code = take(arena, &below, &into->children[i], at, err);
        if (code != FRESHET_OK)
            return code;
    }
    return FRESHET_OK;
}

static freshet_code check_array(const taken *from, const column *into, freshet_error *err)
{
    const struct ArrowArray *array = from->array;
    if (array->n_buffers != buffers_of(into->type) || array->n_children != into->type->n_fields ||
        array->dictionary != NULL || array->length < 0 || array->offset < 0)
        return refuse_array(from, "has other buffers or children than the format says", err);
    if (array->null_count > 0 && array->buffers[0] == NULL)
        return refuse_array(from, "has nulls and no bitmap of them", err);
    if (from->n > 0 && array->n_buffers > 1 && array->buffers[1] == NULL)
        return refuse_array(from, "has no buffer of its cells", err);
    return FRESHET_OK;
}

static freshet_code take_content(arena *arena, const taken *from, column *into, uint64_t at,
                                 freshet_error *err)
{
    size_t size = type_cell_size(into->type);
    int64_t first = from->array->offset + from->first;
    switch (into->type->kind) {
    case TYPE_STRUCT: return take_fields(arena, from, into, at, err);
    case TYPE_ARRAY: return take_elements(arena, from, into, at, err);
    case TYPE_STRING:
    case TYPE_BINARY: return take_texts(arena, from, into, at, err);
    case TYPE_DECIMAL: return take_decimals(from, into, at, err);
    case TYPE_BOOLEAN:
        for (int64_t i = 0; i < from->n; i++)
            ((uint8_t *)into->data)[at + (uint64_t)i] = bit_at(from->array->buffers[1], first + i);
        return FRESHET_OK;
    default:
        memcpy((char *)into->data + at * size,
               (const char *)from->array->buffers[1] + (size_t)first * size,
               (size_t)from->n * size);
        return FRESHET_OK;
    }
}

static freshet_code take(arena *arena, const taken *from, column *into, uint64_t at,
                         freshet_error *err)
{
    freshet_code code = check_array(from, into, err);
    if (code == FRESHET_OK && from->n > 0)
        code = take_content(arena, from, into, at, err);
    return code == FRESHET_OK ? take_nulls(arena, from, into, at, err) : code;
}

freshet_code arrow_take(arena *arena, const struct ArrowSchema *schema,
                        const struct ArrowArray *array, column *into, freshet_error *err)
{
    return take(arena, &(taken){schema, array, 0, array->length}, into, 0, err);
}
