/* gather.c - see gather.h.
 *
 * Cells are appended by memcpy; the texts that do not lie in their cells go into one block for each
 * column and micro-batch. An addition that fails may leave cells and nulls beyond n_rows: so the
 * validity of new rows is set, not assumed. The first micro-batch gets room for itself alone, since
 * most often it stays the only one; the second brings room for all.
 */
#include "writers/gather.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define GATHERING "gathering rows for the online writer"

struct gather {
    arena *arena;
    const schema *schema;
    batch rows;
    size_t text_bytes;
};

bool gather_suits(const schema *schema)
{
    size_t width = 0;
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        const type *type = schema->fields[i].type;
        if (type->kind == TYPE_ARRAY || type->kind == TYPE_STRUCT)
            return false;
        width += type_cell_size(type);
    }
    return width <= GATHER_BYTES_MAX / GATHER_ROWS;
}

freshet_code gather_open(const schema *schema, gather **out, freshet_error *err)
{
    gather *gather = calloc(1, sizeof *gather);
    if (gather == NULL)
        return error_memory(err, GATHERING);
    gather->schema = schema;
    gather->arena = arena_open();
    if (gather->arena == NULL) {
        free(gather);
        return error_memory(err, GATHERING);
    }
    *out = gather;
    return FRESHET_OK;
}

void gather_close(gather *gather)
{
    if (gather == NULL)
        return;
    arena_close(gather->arena);
    free(gather);
}

/* Copies the texts that the cells point to. */
static bool gather_keep_texts(gather *gather, cell_text *cells, uint32_t n)
{
    size_t total = 0;
    for (uint32_t i = 0; i < n; i++)
        if (cells[i].length > TEXT_INLINE_MAX)
            total += cells[i].length;
    if (total == 0)
        return true;
    char *at = arena_alloc(gather->arena, total);
    if (at == NULL)
        return false;
    gather->text_bytes += total;
    for (uint32_t i = 0; i < n; i++) {
        if (cells[i].length <= TEXT_INLINE_MAX)
            continue;
        memcpy(at, cells[i].as.outside.pointer, cells[i].length);
        cells[i].as.outside.pointer = at;
        at += cells[i].length;
    }
    return true;
}

static bool gather_copy_nulls(arena *arena, const column *from, uint32_t n, column *into,
                              uint32_t at)
{
    for (uint32_t row = at; into->valid != NULL && row < at + n; row++)
        into->valid[row >> 6] |= UINT64_C(1) << (row & 63);
    for (uint32_t i = 0; from->valid != NULL && i < n; i++)
        if (!column_is_valid(from, i) && !column_set_null(arena, into, at + i))
            return false;
    return true;
}

static bool gather_append_column(gather *gather, const column *from, uint32_t n, column *into,
                                 uint32_t at)
{
    size_t size = type_cell_size(from->type);
    memcpy((char *)into->data + at * size, from->data, n * size);
    if (from->type->kind == TYPE_STRING || from->type->kind == TYPE_BINARY) {
        cell_text *cells = (cell_text *)into->data + at;
        if (!gather_keep_texts(gather, cells, n))
            return false;
    }
    return gather_copy_nulls(gather->arena, from, n, into, at);
}

/* Room for n rows more. */
static freshet_code gather_make_room(gather *gather, uint32_t n, freshet_error *err)
{
    batch *rows = &gather->rows;
    if (rows->columns == NULL) {
        freshet_code code = batch_init(rows, gather->arena, gather->schema, n, err);
        if (code != FRESHET_OK)
            gather_clear(gather);
        return code;
    }
    uint32_t wanted = (rows->n_rows < GATHER_ROWS ? GATHER_ROWS : rows->n_rows) + n;
    for (uint32_t i = 0; i < gather->schema->n_fields; i++) {
        if (rows->columns[i].capacity >= rows->n_rows + n)
            continue;
        freshet_code code = column_reserve(gather->arena, &rows->columns[i], wanted, err);
        if (code != FRESHET_OK)
            return code;
    }
    return FRESHET_OK;
}

freshet_code gather_add(gather *gather, const batch *more, freshet_error *err)
{
    batch *rows = &gather->rows;
    freshet_code code = gather_make_room(gather, more->n_rows, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < gather->schema->n_fields; i++)
        if (!gather_append_column(gather, &more->columns[i], more->n_rows, &rows->columns[i],
                                  rows->n_rows))
            code = error_memory(err, GATHERING);
    if (code == FRESHET_OK)
        rows->n_rows += more->n_rows;
    return code;
}

const batch *gather_rows(const gather *gather)
{
    return &gather->rows;
}

bool gather_is_full(const gather *gather)
{
    return gather->rows.n_rows >= GATHER_ROWS || gather->text_bytes >= GATHER_BYTES_MAX;
}

void gather_clear(gather *gather)
{
    gather->rows = (batch){0};
    gather->text_bytes = 0;
    arena_reset(gather->arena);
}
