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

/* Elements of arrays are never raw: they are few, and not all that have room are written. */
static freshet_code init_column(arena *arena, column *column, const type *type, bool is_raw,
                                uint64_t capacity, freshet_error *err)
{
    *column = (struct column){.type = type, .is_raw = is_raw};
    if (type->n_fields > 0) {
        column->children = arena_zero(arena, type->n_fields, sizeof *column->children);
        if (column->children == NULL)
            return error_memory(err, "making the columns of a batch");
        for (uint32_t i = 0; i < type->n_fields; i++) {
            freshet_code code = init_column(arena, &column->children[i], type->fields[i].type,
                                            is_raw && type->kind == TYPE_STRUCT, 0, err);
            if (code != FRESHET_OK)
                return code;
        }
    }
    return column_reserve(arena, column, capacity, err);
}

freshet_code column_init(arena *arena, column *column, const type *type, uint64_t capacity,
                         freshet_error *err)
{
    return init_column(arena, column, type, false, capacity, err);
}

freshet_code column_init_raw(arena *arena, column *column, const type *type, uint64_t capacity,
                             freshet_error *err)
{
    return init_column(arena, column, type, true, capacity, err);
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
        if (!column->is_raw)
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

static freshet_code init_batch(batch *batch, arena *arena, const schema *schema, bool is_raw,
                               const bool *which, uint32_t capacity, freshet_error *err)
{
    *batch = (struct batch){.arena = arena, .schema = *schema};
    batch->columns =
        arena_zero(arena, schema->n_fields == 0 ? 1 : schema->n_fields, sizeof *batch->columns);
    if (batch->columns == NULL)
        return error_memory(err, "making a batch");
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        freshet_code code = init_column(arena, &batch->columns[i], schema->fields[i].type,
                                        is_raw && (which == NULL || which[i]), capacity, err);
        if (code != FRESHET_OK)
            return code;
    }
    return FRESHET_OK;
}

freshet_code batch_init(batch *batch, arena *arena, const schema *schema, uint32_t capacity,
                        freshet_error *err)
{
    return init_batch(batch, arena, schema, false, NULL, capacity, err);
}

freshet_code batch_init_raw(batch *batch, arena *arena, const schema *schema, const bool *which,
                            uint32_t capacity, freshet_error *err)
{
    return init_batch(batch, arena, schema, true, which, capacity, err);
}

/* ---- copying cells ---- */

static inline uint64_t chosen(const cell_choice *which, uint64_t i)
{
    return which->rows == NULL ? which->first + i : which->rows[i];
}

static inline void copy_each(char *to, const char *from, const cell_choice *which, size_t size)
{
    for (uint64_t i = 0; i < which->n; i++)
        memcpy(to + i * size, from + which->rows[i] * size, size);
}

/* What lies side by side, as cells of `size` bytes. */
static void copy_fixed(void *into, const void *from, const cell_choice *which, size_t size)
{
    if (which->rows == NULL) {
        memcpy(into, (const char *)from + which->first * size, which->n * size);
        return;
    }
    switch (size) { /* a loop of its own for each usual size is several times as fast */
    case 1: copy_each(into, from, which, 1); break;
    case 4: copy_each(into, from, which, 4); break;
    case 8: copy_each(into, from, which, 8); break;
    case 16: copy_each(into, from, which, 16); break;
    default: copy_each(into, from, which, size); break;
    }
}

static bool copy_nulls(arena *arena, const column *from, const cell_choice *which, column *into,
                       uint64_t at)
{
    for (uint64_t row = at; into->valid != NULL && row < at + which->n; row++)
        into->valid[row >> 6] |= UINT64_C(1) << (row & 63);
    for (uint64_t i = 0; from->valid != NULL && i < which->n; i++)
        if (!column_is_valid(from, chosen(which, i)) && !column_set_null(arena, into, at + i))
            return false;
    return true;
}

/* Copies the texts that n cells point to; *bytes grows by what they take. */
static bool keep_texts(arena *arena, cell_text *cells, uint64_t n, size_t *bytes)
{
    size_t total = 0;
    for (uint64_t i = 0; i < n; i++)
        if (cells[i].length > TEXT_INLINE_MAX)
            total += cells[i].length;
    if (total == 0)
        return true;
    char *at = arena_alloc(arena, total);
    if (at == NULL)
        return false;
    *bytes += total;
    for (uint64_t i = 0; i < n; i++) {
        if (cells[i].length <= TEXT_INLINE_MAX)
            continue;
        memcpy(at, cells[i].as.outside.pointer, cells[i].length);
        cells[i].as.outside.pointer = at;
        at += cells[i].length;
    }
    return true;
}

static bool copy_arrays(arena *arena, const column *from, const cell_choice *which, column *into,
                        uint64_t at)
{
    uint64_t end = into->n_elements, total = end;
    const cell_span *spans = from->data;
    for (uint64_t i = 0; i < which->n; i++)
        total += spans[chosen(which, i)].length;
    if (column_reserve(arena, &into->children[0], total, NULL) != FRESHET_OK)
        return false;
    for (uint64_t i = 0; i < which->n; i++) {
        const cell_span *span = &spans[chosen(which, i)];
        const cell_choice elements = {
            .first = span->offset, .n = span->length, .keeps = which->keeps};
        ((cell_span *)into->data)[at + i] =
            (cell_span){.offset = span->length == 0 ? 0 : end, .length = span->length};
        if (!column_copy(arena, &from->children[0], &elements, &into->children[0], end))
            return false;
        end += span->length;
    }
    if (which->keeps != NULL)
        *which->keeps += (end - into->n_elements) * type_cell_size(from->children[0].type);
    into->n_elements = end;
    return true;
}

/* Recursion: at most TYPE_DEPTH_MAX deep. */
bool column_copy(arena *arena, const column *from, const cell_choice *which, column *into,
                 uint64_t at)
{
    const type_kind kind = from->type->kind;
    const size_t size = type_cell_size(from->type);
    if (which->n == 0)
        return true;
    for (uint32_t i = 0; kind == TYPE_STRUCT && i < from->type->n_fields; i++)
        if (!column_copy(arena, &from->children[i], which, &into->children[i], at))
            return false;
    if (kind == TYPE_ARRAY && !which->shares) {
        if (!copy_arrays(arena, from, which, into, at))
            return false;
    } else if (kind != TYPE_STRUCT) {
        copy_fixed((char *)into->data + at * size, from->data, which, size);
    }
    if (kind == TYPE_ARRAY && which->shares) {
        into->children = from->children;
        into->n_elements = from->n_elements;
    }
    if ((kind == TYPE_STRING || kind == TYPE_BINARY) && which->keeps != NULL &&
        !keep_texts(arena, (cell_text *)into->data + at, which->n, which->keeps))
        return false;
    return copy_nulls(arena, from, which, into, at);
}

freshet_code column_append(arena *arena, column *into, uint64_t n, const column *more,
                           const uint32_t *rows, uint32_t n_more, freshet_error *err)
{
    const cell_choice which = {.rows = rows, .n = n_more};
    freshet_code code = column_reserve(arena, into, n + n_more, err);
    if (code == FRESHET_OK && !column_copy(arena, more, &which, into, n))
        code = error_memory(err, "making a column longer");
    return code;
}

/* The arrays of a batch that have a cell for each row, beside its columns. */
static const struct {
    size_t at, size;
} facts[] = {{offsetof(batch, origins), sizeof(origin)},
             {offsetof(batch, write_us), sizeof(int64_t)},
             {offsetof(batch, row_kinds), sizeof(uint8_t)},
             {offsetof(batch, rows), sizeof(uint64_t)},
             {offsetof(batch, lanes), sizeof(uint32_t)}};

static bool take_facts(const batch *from, const cell_choice *which, batch *into)
{
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        void *source, *copy;
        memcpy(&source, (const char *)from + facts[i].at, sizeof source);
        if (source == NULL)
            continue;
        copy = arena_alloc(into->arena, (which->n + 1) * facts[i].size);
        if (copy == NULL)
            return false;
        copy_fixed(copy, source, which, facts[i].size);
        memcpy((char *)into + facts[i].at, &copy, sizeof copy);
    }
    return true;
}

freshet_code batch_gather(const batch *from, const uint32_t *rows, uint32_t n, batch *into,
                          const char *doing, freshet_error *err)
{
    const cell_choice which = {.rows = rows, .n = n, .shares = true};
    const uint32_t n_columns = from->schema.n_fields;
    batch made = {.arena = from->arena, .schema = from->schema, .n_rows = n};
    made.columns = arena_zero(from->arena, n_columns + UINT64_C(1), sizeof *made.columns);
    bool done = made.columns != NULL && take_facts(from, &which, &made);
    for (uint32_t i = 0; done && i < n_columns; i++) {
        const column *column = &from->columns[i];
        done =
            column_init_raw(from->arena, &made.columns[i], column->type, n, NULL) == FRESHET_OK &&
            column_copy(from->arena, column, &which, &made.columns[i], 0);
    }
    if (!done)
        return error_memory(err, doing);
    *into = made;
    return FRESHET_OK;
}

freshet_code batch_select(const batch *from, const uint8_t *keep, batch *into, freshet_error *err)
{
    static const char doing[] = "leaving refused rows out of a batch";
    uint32_t *kept = arena_alloc(from->arena, (from->n_rows + (size_t)1) * sizeof *kept), n = 0;
    if (kept == NULL)
        return error_memory(err, doing);
    for (uint32_t i = 0; i < from->n_rows; i++)
        if (keep[i])
            kept[n++] = i;
    if (n < from->n_rows)
        return batch_gather(from, kept, n, into, doing, err);
    *into = *from;
    return FRESHET_OK;
}

/* ---- JSON ---- */

static void append_number(text_buffer *into, double value, bool as_float)
{
    const char *quote = isnan(value) || isinf(value) ? "\"" : "";
    text_append_c(into, quote);
    text_append_real(into, value, as_float);
    text_append_c(into, quote);
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
        char text[NUMBER_DIGITS_MAX];
        text_append(
            into, text,
            number_write_decimal(text, ((const int128 *)column->data)[row], column->type->scale));
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
    case TYPE_FLOAT: append_number(into, (double)((const float *)column->data)[row], true); break;
    case TYPE_DOUBLE: append_number(into, ((const double *)column->data)[row], false); break;
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
    const type whole = {
        .kind = TYPE_STRUCT, .n_fields = batch->schema.n_fields, .fields = batch->schema.fields};
    return column_to_json(&(column){.type = &whole, .children = batch->columns}, row, into, err);
}

freshet_code rejects_describe(rejects *rejects, const batch *from, uint64_t row, reject *into,
                              freshet_error *err)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    freshet_code code = batch_row_to_json(from, row, &text, err);
    into->raw = code == FRESHET_OK ? arena_copy(rejects->arena, text.bytes, text.length) : NULL;
    into->raw_length = text.length;
    text_release(&text);
    return code == FRESHET_OK && into->raw == NULL ? error_memory(err, "describing a refused row")
                                                   : code;
}

bool rejects_add(rejects *rejects, const reject *where, reason_code code, const char *format, ...)
{
    if (!arena_reserve(rejects->arena, &rejects->items, &rejects->capacity,
                       rejects->n + UINT64_C(1), sizeof *rejects->items))
        return false;
    va_list args;
    va_start(args, format);
    reject added = *where;
    added.code = code;
    added.reason = arena_vformat(rejects->arena, format, args);
    va_end(args);
    if (added.reason == NULL)
        return false;
    rejects->items[rejects->n++] = added;
    return true;
}
