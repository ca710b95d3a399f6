/* cells.c - see cells.h. */
#include "keyed/cells.h"

#include <string.h>

#include "base/error.h"

#define CELL_HEAD_BYTES 5u /* in front of a text */
#define CELL_BYTES_MAX 17u /* of a cell of fixed size, and of a short text */
_Static_assert(CELL_HEAD_BYTES + TEXT_INLINE_MAX <= CELL_BYTES_MAX, "there is room for a text");

/* Where the next bytes go, CELL_BYTES_MAX of them and a NUL; NULL: there is no room yet. */
static inline char *cell_room(const text_buffer *into)
{
    return into->failed || into->capacity - into->length <= CELL_BYTES_MAX ||
                   into->limit - into->length < CELL_BYTES_MAX
               ? NULL
               : into->bytes + into->length;
}

static inline void cell_took(text_buffer *into, size_t n)
{
    into->length += n;
    into->bytes[into->length] = '\0';
}

/* The usual cells, without a call: whole numbers, times, and reals that are not made canonical.
 * False: nothing was put. */
static inline bool put_usual(text_buffer *into, const column *column, uint64_t row, bool canonical)
{
    char *at = cell_room(into);
    const type_kind kind = column->type->kind;
    if (at == NULL || (canonical && (kind == TYPE_DOUBLE || kind == TYPE_FLOAT)))
        return false;
    const size_t size = type_cell_size(column->type);
    switch (size) {
    case 4: memcpy(at + 1, (const char *)column->data + row * 4, 4); break;
    case 8: memcpy(at + 1, (const char *)column->data + row * 8, 8); break;
    default: return false;
    }
    at[0] = 1;
    cell_took(into, 1 + size);
    return true;
}

static inline bool put_short(text_buffer *into, const cell_text *cell)
{
    char *at = cell_room(into);
    if (at == NULL || cell->length > TEXT_INLINE_MAX)
        return false;
    at[0] = 1;
    memcpy(at + 1, &cell->length, sizeof cell->length);
    memcpy(at + CELL_HEAD_BYTES, cell->as.inlined, TEXT_INLINE_MAX);
    cell_took(into, CELL_HEAD_BYTES + cell->length);
    return true;
}

static void cells_put_text(text_buffer *into, const cell_text *cell)
{
    char head[5] = {1};
    memcpy(head + 1, &cell->length, sizeof cell->length);
    text_append(into, head, sizeof head);
    text_append(into, text_bytes(cell), cell->length);
}

void cells_put(text_buffer *into, const column *column, uint64_t row, bool canonical)
{
    const type *type = column->type;
    if (!column_is_valid(column, row)) {
        text_append_char(into, 0);
        return;
    }
    if (type->kind == TYPE_STRING || type->kind == TYPE_BINARY) {
        const cell_text *cell = (const cell_text *)column->data + row;
        if (!put_short(into, cell))
            cells_put_text(into, cell);
        return;
    }
    if (type->kind != TYPE_ARRAY && put_usual(into, column, row, canonical))
        return;
    const size_t size = type_cell_size(type);
    char bytes[CELL_BYTES_MAX] = {1};
    if (type->kind == TYPE_STRUCT) {
        text_append_char(into, 1);
        for (uint32_t i = 0; i < type->n_fields; i++)
            cells_put(into, &column->children[i], row, canonical);
        return;
    }
    if (type->kind != TYPE_ARRAY) {
        memcpy(bytes + 1, (const char *)column->data + row * size, size);
        if (canonical)
            cell_make_canonical(type, bytes + 1);
        text_append(into, bytes, 1 + size);
        return;
    }
    const cell_span *span = (const cell_span *)column->data + row;
    uint32_t n = (uint32_t)span->length;
    memcpy(bytes + 1, &n, sizeof n);
    text_append(into, bytes, 1 + sizeof n);
    for (uint32_t i = 0; i < n; i++)
        cells_put(into, &column->children[0], span->offset + i, canonical);
}

static freshet_code bad_cell(freshet_error *err)
{
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                     "the saved state of a key is not what its declaration says");
}

static freshet_code get_array(arena *arena, const unsigned char **at, const unsigned char *end,
                              column *column, uint64_t row, uint32_t n, freshet_error *err)
{
    uint64_t begin = column->n_elements;
    if (n > (uint64_t)(end - *at)) /* each element takes a byte at least */
        return bad_cell(err);
    freshet_code code = column_reserve(arena, &column->children[0], begin + n, err);
    column->n_elements = begin + n;
    for (uint32_t i = 0; i < n && code == FRESHET_OK; i++)
        code = cells_get(arena, at, end, &column->children[0], begin + i, err);
    ((cell_span *)column->data)[row] = (cell_span){begin, n};
    return code;
}

static freshet_code get_struct(arena *arena, const unsigned char **at, const unsigned char *end,
                               column *column, uint64_t row, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; i < column->type->n_fields && code == FRESHET_OK; i++)
        code = cells_get(arena, at, end, &column->children[i], row, err);
    return code;
}

freshet_code cells_get(arena *arena, const unsigned char **at, const unsigned char *end,
                       column *column, uint64_t row, freshet_error *err)
{
    const type *type = column->type;
    size_t size = type_cell_size(type);
    if (*at == end || **at > 1)
        return bad_cell(err);
    if (*(*at)++ == 0)
        return column_set_null(arena, column, row) ? FRESHET_OK
                                                   : error_memory(err, "reading a saved key");
    if (type->kind == TYPE_STRUCT)
        return get_struct(arena, at, end, column, row, err);
    bool is_text = type->kind == TYPE_STRING || type->kind == TYPE_BINARY;
    uint32_t length = 0;
    size_t fixed = is_text || type->kind == TYPE_ARRAY ? sizeof length : size;
    if ((size_t)(end - *at) < fixed)
        return bad_cell(err);
    if (fixed == size && !is_text && type->kind != TYPE_ARRAY) {
        memcpy((char *)column->data + row * size, *at, size);
        *at += size;
        return FRESHET_OK;
    }
    memcpy(&length, *at, sizeof length);
    *at += sizeof length;
    if (type->kind == TYPE_ARRAY)
        return get_array(arena, at, end, column, row, length, err);
    if ((size_t)(end - *at) < length)
        return bad_cell(err);
    const char *copy = arena_copy(arena, *at, length);
    if (copy == NULL)
        return error_memory(err, "reading a saved key");
    ((cell_text *)column->data)[row] = text_of(copy, length);
    *at += length;
    return FRESHET_OK;
}

freshet_code cells_show(arena *arena, const char *name, const type *type, const unsigned char **at,
                        const unsigned char *end, text_buffer *into, freshet_error *err)
{
    column cell;
    freshet_code code = column_init(arena, &cell, type, 1, err);
    if (code == FRESHET_OK)
        code = cells_get(arena, at, end, &cell, 0, err);
    if (code != FRESHET_OK)
        return code;
    text_append_json(into, name, strlen(name));
    text_append_c(into, ": ");
    return column_to_json(&cell, 0, into, err);
}
