/* batch.c - see batch.h. */
#include "base/batch.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "base/text.h"

void cell_make_canonical(const type *type, void *cell)
{
    if (type->kind == TYPE_DOUBLE) {
        double value;
        memcpy(&value, cell, sizeof value);
        value = real_canonical(value);
        memcpy(cell, &value, sizeof value);
    } else if (type->kind == TYPE_FLOAT) {
        float value;
        memcpy(&value, cell, sizeof value);
        value = (float)real_canonical((double)value);
        memcpy(cell, &value, sizeof value);
    }
}

#define JSON_FAILED "writing a row as JSON"

static size_t bitmap_size(uint64_t rows)
{
    return (rows + 63) / 64 * sizeof(uint64_t);
}

freshet_code column_init(arena *arena, column *column, const type *type, uint64_t capacity,
                         freshet_error *err)
{
    *column = (struct column){.type = type};
    if (type->n_fields > 0) {
        column->children = arena_zero(arena, type->n_fields, sizeof *column->children);
        if (column->children == NULL)
            return error_memory(err, "making the columns of a batch");
        for (uint32_t i = 0; i < type->n_fields; i++) {
            freshet_code code =
                column_init(arena, &column->children[i], type->fields[i].type, 0, err);
            if (code != FRESHET_OK)
                return code;
        }
    }
    return column_reserve(arena, column, capacity, err);
}

freshet_code column_reserve(arena *arena, column *column, uint64_t rows, freshet_error *err)
{
    if (column->type->kind == TYPE_STRUCT)
        for (uint32_t i = 0; i < column->type->n_fields; i++) {
            freshet_code code = column_reserve(arena, &column->children[i], rows, err);
            if (code != FRESHET_OK)
                return code;
        }
    if (rows <= column->capacity)
        return FRESHET_OK;
    uint64_t capacity = column->capacity * 2 > rows ? column->capacity * 2 : rows;
    size_t cell = type_cell_size(column->type);
    if (cell > 0) {
        size_t old_size = column->capacity * cell, new_size;
        if (__builtin_mul_overflow(capacity, cell, &new_size))
            return error_memory(err, "making a column longer");
        void *data = arena_grow(arena, column->data, old_size, new_size);
        if (data == NULL)
            return error_memory(err, "making a column longer");
        memset((char *)data + old_size, 0, new_size - old_size);
        column->data = data;
    }
    if (column->valid != NULL) {
        size_t old_size = bitmap_size(column->capacity), new_size = bitmap_size(capacity);
        uint64_t *valid = arena_grow(arena, column->valid, old_size, new_size);
        if (valid == NULL)
            return error_memory(err, "making a column longer");
        memset((char *)valid + old_size, 0xFF, new_size - old_size);
        column->valid = valid;
    }
    column->capacity = capacity;
    return FRESHET_OK;
}

static freshet_code append_elements(arena *arena, column *into, uint64_t n, const column *more,
                                    const uint32_t *rows, uint32_t n_more, freshet_error *err)
{
    column *elements = &into->children[0];
    const cell_span *from = more->data;
    cell_span *to = (cell_span *)into->data + n;
    for (uint32_t i = 0; i < n_more; i++) {
        const uint32_t row = rows == NULL ? i : rows[i];
        if (!column_is_valid(more, row))
            continue;
        to[i] = (cell_span){into->n_elements, from[row].length};
        for (uint64_t k = 0; k < from[row].length; k++) {
            uint32_t element = (uint32_t)(from[row].offset + k);
            freshet_code code = column_append(arena, elements, into->n_elements, &more->children[0],
                                              &element, 1, err);
            if (code != FRESHET_OK)
                return code;
            into->n_elements++;
        }
    }
    return FRESHET_OK;
}

/* The depth is that of the type, TYPE_DEPTH_MAX at most. */
freshet_code batch_reserve(batch *batch, uint64_t rows, const char *doing, freshet_error *err)
{
    for (uint32_t i = 0; i < batch->schema.n_fields; i++) {
        freshet_code code = column_reserve(batch->arena, &batch->columns[i], rows, err);
        if (code != FRESHET_OK)
            return code;
    }
    origin *origins = arena_grow(batch->arena, batch->origins, batch->n_rows * sizeof *origins,
                                 rows * sizeof *origins);
    if (origins == NULL)
        return error_memory(err, doing);
    batch->origins = origins;
    return FRESHET_OK;
}

freshet_code column_append(arena *arena, column *into, uint64_t n, const column *more,
                           const uint32_t *rows, uint32_t n_more, freshet_error *err)
{
    const size_t cell = type_cell_size(into->type);
    freshet_code code = column_reserve(arena, into, n + n_more, err);
    if (code == FRESHET_OK && into->type->kind == TYPE_ARRAY)
        code = append_elements(arena, into, n, more, rows, n_more, err);
    for (uint32_t i = 0;
         code == FRESHET_OK && into->type->kind == TYPE_STRUCT && i < into->type->n_fields; i++)
        code = column_append(arena, &into->children[i], n, &more->children[i], rows, n_more, err);
    if (code != FRESHET_OK)
        return code;
    if (cell > 0 && into->type->kind != TYPE_ARRAY && rows == NULL && n_more > 0)
        memcpy((char *)into->data + n * cell, more->data, n_more * cell);
    for (uint32_t i = 0; i < n_more; i++) {
        const uint32_t row = rows == NULL ? i : rows[i];
        if (!column_is_valid(more, row)) {
            if (!column_set_null(arena, into, n + i))
                return error_memory(err, "making a column longer");
        } else if (rows != NULL && cell > 0 && into->type->kind != TYPE_ARRAY) {
            memcpy((char *)into->data + (n + i) * cell, (const char *)more->data + row * cell,
                   cell);
        }
    }
    return FRESHET_OK;
}

bool column_set_null(arena *arena, column *column, uint64_t row)
{
    if (column->valid == NULL) {
        size_t size = bitmap_size(column->capacity);
        column->valid = arena_alloc(arena, size);
        if (column->valid == NULL)
            return false;
        memset(column->valid, 0xFF, size);
    }
    column->valid[row >> 6] &= ~(UINT64_C(1) << (row & 63));
    size_t cell = type_cell_size(column->type);
    if (cell > 0)
        memset((char *)column->data + row * cell, 0, cell);
    if (column->type->kind == TYPE_STRUCT)
        for (uint32_t i = 0; i < column->type->n_fields; i++)
            if (!column_set_null(arena, &column->children[i], row))
                return false;
    return true;
}

freshet_code batch_init(batch *batch, arena *arena, const schema *schema, uint32_t capacity,
                        freshet_error *err)
{
    *batch = (struct batch){.arena = arena, .schema = *schema};
    batch->columns =
        arena_zero(arena, schema->n_fields == 0 ? 1 : schema->n_fields, sizeof *batch->columns);
    if (batch->columns == NULL)
        return error_memory(err, "making a batch");
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        freshet_code code =
            column_init(arena, &batch->columns[i], schema->fields[i].type, capacity, err);
        if (code != FRESHET_OK)
            return code;
    }
    return FRESHET_OK;
}

static freshet_code column_select(arena *arena, const column *from, const uint8_t *keep,
                                  uint32_t n_rows, uint32_t n_kept, column *into,
                                  freshet_error *err)
{
    const type *type = from->type;
    freshet_code code = column_init(arena, into, type, n_kept, err);
    if (code != FRESHET_OK)
        return code;
    if (type->kind == TYPE_ARRAY) { /* the spans go on pointing into the same elements */
        into->children = from->children;
        into->n_elements = from->n_elements;
    }
    if (type->kind == TYPE_STRUCT)
        for (uint32_t i = 0; i < type->n_fields; i++) {
            code = column_select(arena, &from->children[i], keep, n_rows, n_kept,
                                 &into->children[i], err);
            if (code != FRESHET_OK)
                return code;
        }
    size_t cell = type_cell_size(type);
    uint32_t row = 0;
    for (uint32_t i = 0; i < n_rows; i++) {
        if (!keep[i])
            continue;
        if (!column_is_valid(from, i)) {
            if (!column_set_null(arena, into, row))
                return error_memory(err, "leaving refused rows out of a batch");
        } else if (cell > 0) {
            memcpy((char *)into->data + row * cell, (const char *)from->data + i * cell, cell);
        }
        row++;
    }
    return FRESHET_OK;
}

freshet_code batch_select(const batch *from, const uint8_t *keep, batch *into, freshet_error *err)
{
    uint32_t n_kept = 0;
    for (uint32_t i = 0; i < from->n_rows; i++)
        n_kept += keep[i] != 0;
    if (n_kept == from->n_rows) {
        *into = *from;
        return FRESHET_OK;
    }
    arena *arena = from->arena;
    batch made = {.arena = arena, .schema = from->schema, .n_rows = n_kept};
    made.columns = arena_zero(arena, from->schema.n_fields + 1, sizeof *made.columns);
    made.origins = from->origins ? arena_zero(arena, n_kept + 1, sizeof *made.origins) : NULL;
    made.rows = from->rows ? arena_zero(arena, n_kept + 1, sizeof *made.rows) : NULL;
    made.write_us = from->write_us ? arena_zero(arena, n_kept + 1, sizeof *made.write_us) : NULL;
    made.row_kinds = from->row_kinds ? arena_zero(arena, n_kept + 1, 1) : NULL;
    made.lanes = from->lanes ? arena_zero(arena, n_kept + 1, sizeof *made.lanes) : NULL;
    if (made.columns == NULL || (from->origins && !made.origins) || (from->rows && !made.rows) ||
        (from->write_us && !made.write_us) || (from->row_kinds && !made.row_kinds) ||
        (from->lanes && !made.lanes))
        return error_memory(err, "leaving refused rows out of a batch");
    for (uint32_t i = 0; i < from->schema.n_fields; i++) {
        freshet_code code = column_select(arena, &from->columns[i], keep, from->n_rows, n_kept,
                                          &made.columns[i], err);
        if (code != FRESHET_OK)
            return code;
    }
    for (uint32_t i = 0, row = 0; i < from->n_rows; i++) {
        if (!keep[i])
            continue;
        if (from->origins != NULL)
            made.origins[row] = from->origins[i];
        if (from->rows != NULL)
            made.rows[row] = from->rows[i];
        if (from->write_us != NULL)
            made.write_us[row] = from->write_us[i];
        if (from->row_kinds != NULL)
            made.row_kinds[row] = from->row_kinds[i];
        if (from->lanes != NULL)
            made.lanes[row] = from->lanes[i];
        row++;
    }
    *into = made;
    return FRESHET_OK;
}

static void append_decimal(text_buffer *into, int128 value, unsigned scale)
{
    char text[NUMBER_DIGITS_MAX];
    text_append(into, text, number_write_decimal(text, value, scale));
}

static void append_number(text_buffer *into, double value)
{
    if (isnan(value) || isinf(value)) {
        text_append_char(into, '"');
        text_append_double(into, value);
        text_append_char(into, '"');
    } else {
        text_append_double(into, value);
    }
}

/* A float in the shortest form that reads back as the same float. */
static void append_float(text_buffer *into, float value)
{
    char text[32];
    if (isnan(value) || isinf(value) || value == floorf(value)) {
        append_number(into, (double)value);
        return;
    }
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    text_append_c(into, text);
}

static void append_cell(text_buffer *into, const column *column, uint64_t row);

static void append_nested(text_buffer *into, const column *column, uint64_t row)
{
    if (column->type->kind == TYPE_ARRAY) {
        cell_span span = ((const cell_span *)column->data)[row];
        text_append_char(into, '[');
        for (uint64_t i = 0; i < span.length; i++) {
            if (i > 0)
                text_append_char(into, ',');
            append_cell(into, &column->children[0], span.offset + i);
        }
        text_append_char(into, ']');
        return;
    }
    text_append_char(into, '{');
    for (uint32_t i = 0; i < column->type->n_fields; i++) {
        if (i > 0)
            text_append_char(into, ',');
        const char *name = column->type->fields[i].name;
        text_append_json(into, name, strlen(name));
        text_append_char(into, ':');
        append_cell(into, &column->children[i], row);
    }
    text_append_char(into, '}');
}

static void append_quoted(text_buffer *into, const column *column, uint64_t row)
{
    text_append_char(into, '"');
    if (column->type->kind == TYPE_BINARY) {
        const cell_text *cell = &((const cell_text *)column->data)[row];
        text_append_base64(into, text_bytes(cell), cell->length);
    } else if (column->type->kind == TYPE_DATE) {
        text_append_date(into, ((const int32_t *)column->data)[row]);
    } else if (column->type->kind == TYPE_DECIMAL) {
        append_decimal(into, ((const int128 *)column->data)[row], column->type->scale);
    } else {
        text_append_timestamp(into, ((const int64_t *)column->data)[row]);
    }
    text_append_char(into, '"');
}

static void append_cell(text_buffer *into, const column *column, uint64_t row)
{
    if (!column_is_valid(column, row)) {
        text_append_c(into, "null");
        return;
    }
    switch (column->type->kind) {
    case TYPE_BOOLEAN:
        text_append_c(into, ((const uint8_t *)column->data)[row] ? "true" : "false");
        break;
    case TYPE_INTEGER: text_format(into, "%d", ((const int32_t *)column->data)[row]); break;
    case TYPE_BIGINT:
        text_format(into, "%lld", (long long)((const int64_t *)column->data)[row]);
        break;
    case TYPE_FLOAT: append_float(into, ((const float *)column->data)[row]); break;
    case TYPE_DOUBLE: append_number(into, ((const double *)column->data)[row]); break;
    case TYPE_STRING: {
        const cell_text *cell = &((const cell_text *)column->data)[row];
        text_append_json(into, text_bytes(cell), cell->length);
        break;
    }
    case TYPE_DECIMAL:
    case TYPE_BINARY:
    case TYPE_DATE:
    case TYPE_TIMESTAMP: append_quoted(into, column, row); break;
    case TYPE_ARRAY:
    case TYPE_STRUCT: append_nested(into, column, row); break;
    }
}

freshet_code column_to_json(const column *column, uint64_t row, text_buffer *into,
                            freshet_error *err)
{
    append_cell(into, column, row);
    return into->failed ? error_memory(err, JSON_FAILED) : FRESHET_OK;
}

freshet_code batch_row_to_json(const batch *batch, uint64_t row, text_buffer *into,
                               freshet_error *err)
{
    text_append_char(into, '{');
    for (uint32_t i = 0; i < batch->schema.n_fields; i++) {
        if (i > 0)
            text_append_char(into, ',');
        const char *name = batch->schema.fields[i].name;
        text_append_json(into, name, strlen(name));
        text_append_char(into, ':');
        append_cell(into, &batch->columns[i], row);
    }
    text_append_char(into, '}');
    return into->failed ? error_memory(err, JSON_FAILED) : FRESHET_OK;
}

bool rejects_add(rejects *rejects, const reject *where, const char *format, ...)
{
    if (!arena_reserve(rejects->arena, &rejects->items, &rejects->capacity,
                       rejects->n + UINT64_C(1), sizeof *rejects->items))
        return false;
    va_list args;
    va_start(args, format);
    reject added = *where;
    added.reason = arena_vformat(rejects->arena, format, args);
    va_end(args);
    if (added.reason == NULL)
        return false;
    rejects->items[rejects->n++] = added;
    return true;
}
