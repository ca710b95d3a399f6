/* query_wire.c - see query_wire.h.
 *
 * A frame is its kind and its length, 8 bytes each, and so many bytes. A piece is the number of its
 * rows, and of each column a bitmap of the cells that are there and then, by type:
 *
 *     of a fixed size   the cells
 *     text              the lengths, and all texts one behind the other
 *     array             the lengths, and the elements of all rows as a column
 *     struct            its fields as columns
 *
 * An array's elements may lie anywhere in their column: so a column is written of a list of row
 * numbers, and those of its elements are gathered from it.
 */
#include "writers/debug/query_wire.h"

#include <errno.h>
#include <string.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/os.h"

#define READING "reading the result of a query"
#define WRITING "giving out the result of a query"

/* ---- frames -------------------------------------------------------------------------------- */

bool wire_send(int fd, wire_kind kind, const char *bytes, size_t length)
{
    const uint64_t head[2] = {kind, length};
    return durable_write(fd, (const char *)head, sizeof head) && durable_write(fd, bytes, length);
}

bool wire_send_error(int fd, const freshet_error *problem)
{
    return wire_send(fd, WIRE_ERROR, (const char *)problem, sizeof *problem);
}

freshet_code wire_receive(int fd, arena *arena, wire_kind *kind, const char **bytes, size_t *length,
                          freshet_error *err)
{
    uint64_t head[2];
    if (os_read_all(fd, head, sizeof head) != (ssize_t)sizeof head)
        return FRESHET_END;
    if (head[1] > WIRE_FRAME_MAX)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "a frame of a result is too long");
    char *into = arena_alloc(arena, head[1] + 1);
    if (into == NULL)
        return error_memory(err, READING);
    if (os_read_all(fd, into, head[1]) != (ssize_t)head[1])
        return FRESHET_END;
    *kind = (wire_kind)head[0];
    *bytes = into;
    *length = head[1];
    return FRESHET_OK;
}

freshet_code wire_read_error(const char *bytes, size_t length, freshet_error *err)
{
    freshet_error found;
    if (length != sizeof found)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "a query's error was cut");
    memcpy(&found, bytes, sizeof found);
    found.text[sizeof found.text - 1] = found.at[sizeof found.at - 1] = '\0';
    if (err != NULL)
        *err = found;
    return found.code;
}

/* ---- writing ------------------------------------------------------------------------------- */

static void put_number(text_buffer *into, uint64_t number)
{
    text_append(into, (const char *)&number, sizeof number);
}

/* Recursion: at most TYPE_DEPTH_MAX deep, as all that follow. */
static void put_fields(text_buffer *into, const field *fields, uint32_t n)
{
    put_number(into, n);
    for (uint32_t i = 0; i < n; i++) {
        const type *type = fields[i].type;
        const uint64_t simple[] = {type->kind, type->width, type->scale};
        text_append(into, fields[i].name, strlen(fields[i].name) + 1);
        text_append(into, (const char *)simple, sizeof simple);
        put_fields(into, type->fields, type->n_fields);
    }
}

bool wire_send_schema(int fd, const schema *schema, freshet_error *err)
{
    text_buffer text;
    text_init(&text, WIRE_FRAME_MAX);
    put_fields(&text, schema->fields, schema->n_fields);
    if (text.failed)
        error_memory(err, WRITING);
    const bool good = !text.failed && wire_send(fd, WIRE_SCHEMA, text.bytes, text.length);
    text_release(&text);
    return good;
}

static void put_valid(text_buffer *into, const column *column, const uint64_t *rows, uint64_t n)
{
    for (uint64_t i = 0; i < n; i += 8) {
        unsigned char bits = 0;
        for (uint64_t k = i; k < n && k < i + 8; k++)
            bits |= (unsigned char)(column_is_valid(column, rows[k]) << (k - i));
        text_append(into, (const char *)&bits, 1);
    }
}

static void put_texts(text_buffer *into, const column *column, const uint64_t *rows, uint64_t n)
{
    const cell_text *cells = column->data;
    for (uint64_t i = 0; i < n; i++)
        put_number(into, column_is_valid(column, rows[i]) ? cells[rows[i]].length : 0);
    for (uint64_t i = 0; i < n; i++)
        if (column_is_valid(column, rows[i]))
            text_append(into, text_bytes(&cells[rows[i]]), cells[rows[i]].length);
}

static bool wire_put_cells(text_buffer *into, arena *scratch, const column *column,
                           const uint64_t *rows, uint64_t n);

static bool put_elements(text_buffer *into, arena *scratch, const column *column,
                         const uint64_t *rows, uint64_t n)
{
    const cell_span *spans = column->data;
    uint64_t n_elements = 0, at = 0;
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t length = column_is_valid(column, rows[i]) ? spans[rows[i]].length : 0;
        put_number(into, length);
        n_elements += length;
    }
    uint64_t *elements = arena_alloc(scratch, (n_elements + 1) * sizeof *elements);
    if (elements == NULL)
        return false;
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t k = 0; column_is_valid(column, rows[i]) && k < spans[rows[i]].length; k++)
            elements[at++] = spans[rows[i]].offset + k;
    return wire_put_cells(into, scratch, &column->children[0], elements, n_elements);
}

static bool wire_put_cells(text_buffer *into, arena *scratch, const column *column,
                           const uint64_t *rows, uint64_t n)
{
    const size_t size = type_cell_size(column->type);
    bool good = true;
    put_valid(into, column, rows, n);
    switch (column->type->kind) {
    case TYPE_STRING:
    case TYPE_BINARY: put_texts(into, column, rows, n); break;
    case TYPE_ARRAY: return put_elements(into, scratch, column, rows, n);
    case TYPE_STRUCT:
        for (uint32_t i = 0; good && i < column->type->n_fields; i++)
            good = wire_put_cells(into, scratch, &column->children[i], rows, n);
        break;
    default:
        for (uint64_t i = 0; i < n; i++)
            text_append(into, (const char *)column->data + rows[i] * size, size);
    }
    return good && !into->failed;
}

/* The rows' piece in `text`; false where that is too large, or memory is out. */
static bool put_piece(text_buffer *text, arena *scratch, const batch *batch, uint32_t first,
                      uint32_t n)
{
    text_reset(text);
    put_number(text, n);
    uint64_t *rows = arena_alloc(scratch, (n + (size_t)1) * sizeof *rows);
    bool good = rows != NULL;
    for (uint32_t i = 0; good && i < n; i++)
        rows[i] = first + i;
    for (uint32_t i = 0; good && i < batch->schema.n_fields; i++)
        good = wire_put_cells(text, scratch, &batch->columns[i], rows, n);
    return good && !text->failed;
}

freshet_code wire_send_rows(int fd, const batch *rows, arena *scratch, text_buffer *text,
                            freshet_error *err)
{
    uint32_t n = rows->n_rows;
    for (uint32_t first = 0; first < rows->n_rows;) {
        n = n < rows->n_rows - first ? n : rows->n_rows - first;
        text->limit = n == 1 ? WIRE_FRAME_MAX : WIRE_PIECE_BYTES;
        if (put_piece(text, scratch, rows, first, n)) {
            if (!wire_send(fd, WIRE_PIECE, text->bytes, text->length))
                return FRESHET_END;
            first += n;
        } else if (n == 1) {
            return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                             "a row of the result has more than %zu MiB, or there is no memory for "
                             "it; ask for less",
                             WIRE_FRAME_MAX >> 20);
        } else {
            n = (n + 1) / 2;
        }
    }
    return FRESHET_OK;
}

/* ---- reading ------------------------------------------------------------------------------- */

typedef struct wire_reading {
    arena *arena;
    const char *at, *end;
    bool cut; /* or memory was out */
} wire_reading;

static const char *get_bytes(wire_reading *reading, uint64_t n)
{
    const char *at = reading->at;
    if (reading->cut || n > (uint64_t)(reading->end - reading->at)) {
        reading->cut = true;
        return NULL;
    }
    reading->at += n;
    return at;
}

static uint64_t get_number(wire_reading *reading)
{
    uint64_t number = 0;
    const char *bytes = get_bytes(reading, sizeof number);
    if (bytes != NULL)
        memcpy(&number, bytes, sizeof number);
    return number;
}

static const field *get_fields(wire_reading *reading, uint32_t *n, uint32_t depth);

static const type *get_type(wire_reading *reading, uint32_t depth)
{
    const uint64_t kind = get_number(reading), width = get_number(reading),
                   scale = get_number(reading);
    uint32_t n = 0;
    const field *fields = get_fields(reading, &n, depth + 1);
    if (reading->cut || kind >= TYPE_KINDS || (kind == TYPE_ARRAY && n != 1))
        return NULL;
    switch ((type_kind)kind) {
    case TYPE_DECIMAL: return type_decimal(reading->arena, (uint8_t)width, (uint8_t)scale);
    case TYPE_ARRAY: return type_array(reading->arena, fields[0].type);
    case TYPE_STRUCT: return type_struct(reading->arena, fields, n);
    default: return type_simple((type_kind)kind);
    }
}

static const field *get_fields(wire_reading *reading, uint32_t *n, uint32_t depth)
{
    const uint64_t n_fields = get_number(reading);
    field *fields = NULL;
    if (depth > TYPE_DEPTH_MAX + 1 || n_fields > TYPE_FIELDS_MAX)
        reading->cut = true;
    else
        fields = arena_zero(reading->arena, n_fields + 1, sizeof *fields);
    for (uint64_t i = 0; fields != NULL && i < n_fields && !reading->cut; i++) {
        const char *end = memchr(reading->at, '\0', (size_t)(reading->end - reading->at));
        const char *name =
            end == NULL ? NULL : get_bytes(reading, (uint64_t)(end - reading->at) + 1);
        fields[i].name = name == NULL ? NULL : arena_copy(reading->arena, name, strlen(name));
        fields[i].type = name == NULL ? NULL : get_type(reading, depth);
        reading->cut |= fields[i].name == NULL || fields[i].type == NULL;
    }
    reading->cut |= fields == NULL;
    *n = (uint32_t)n_fields;
    return fields;
}

freshet_code wire_read_schema(arena *arena, const char *bytes, size_t length, schema *out,
                              freshet_error *err)
{
    wire_reading reading = {arena, bytes, bytes + length, false};
    out->fields = get_fields(&reading, &out->n_fields, 0);
    return reading.cut ? error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                                   "the columns of a query's result cannot be read")
                       : FRESHET_OK;
}

static void get_column(wire_reading *reading, const type *type, uint64_t n, column *into);

static void get_valid(wire_reading *reading, uint64_t n, column *into)
{
    const char *bits = get_bytes(reading, (n + 7) / 8);
    for (uint64_t i = 0; bits != NULL && i < n; i++)
        if (((unsigned char)bits[i / 8] >> (i & 7) & 1) == 0 &&
            !column_set_null(reading->arena, into, i))
            reading->cut = true;
}

static void get_texts(wire_reading *reading, uint64_t n, column *into)
{
    const char *lengths = get_bytes(reading, n * sizeof(uint64_t));
    for (uint64_t i = 0; lengths != NULL && i < n; i++) {
        uint64_t length;
        memcpy(&length, lengths + i * sizeof length, sizeof length);
        const char *bytes = get_bytes(reading, length);
        if (bytes == NULL)
            return;
        ((cell_text *)into->data)[i] = text_of(bytes, (uint32_t)length);
    }
}

static void get_elements(wire_reading *reading, uint64_t n, column *into)
{
    const char *lengths = get_bytes(reading, n * sizeof(uint64_t));
    uint64_t n_elements = 0;
    for (uint64_t i = 0; lengths != NULL && i < n; i++) {
        cell_span *span = &((cell_span *)into->data)[i];
        memcpy(&span->length, lengths + i * sizeof span->length, sizeof span->length);
        span->offset = n_elements;
        n_elements += span->length;
        reading->cut |= n_elements > WIRE_FRAME_MAX * 8;
    }
    into->n_elements = n_elements;
    if (!reading->cut)
        get_column(reading, into->type->fields[0].type, n_elements, &into->children[0]);
}

static void get_column(wire_reading *reading, const type *type, uint64_t n, column *into)
{
    const size_t size = type_cell_size(type);
    if (reading->cut || column_init(reading->arena, into, type, n, NULL) != FRESHET_OK) {
        reading->cut = true;
        return;
    }
    get_valid(reading, n, into);
    switch (type->kind) {
    case TYPE_STRING:
    case TYPE_BINARY: get_texts(reading, n, into); return;
    case TYPE_ARRAY: get_elements(reading, n, into); return;
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < type->n_fields; i++)
            get_column(reading, type->fields[i].type, n, &into->children[i]);
        return;
    default: {
        const char *cells = get_bytes(reading, n * size);
        if (cells != NULL && n > 0)
            memcpy(into->data, cells, n * size);
    }
    }
}

freshet_code wire_read_rows(arena *arena, const char *bytes, size_t length, const schema *schema,
                            batch *out, freshet_error *err)
{
    wire_reading reading = {arena, bytes, bytes + length, false};
    const uint64_t n = get_number(&reading);
    *out = (batch){.arena = arena, .schema = *schema, .n_rows = (uint32_t)n};
    out->columns = arena_zero(arena, schema->n_fields + (size_t)1, sizeof *out->columns);
    reading.cut |= out->columns == NULL || n > BATCH_ROWS_MAX;
    for (uint32_t i = 0; i < schema->n_fields && !reading.cut; i++)
        get_column(&reading, schema->fields[i].type, n, &out->columns[i]);
    return reading.cut ? error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                                   "rows of a query's result cannot be read, or memory is out")
                       : FRESHET_OK;
}
