/* rows.c - see rows.h.
 *
 * A counting sort: the values are dense (each driving reader's rows, one reader after the other),
 * so one pass counts how many output rows each input row has, a running sum gives their places, and
 * a second pass fills in a permutation, stable and linear. The columns are then gathered by it.
 * Elements of arrays stay where they are: only their spans are moved.
 */
#include "source/rows.h"

#include <string.h>

#include "base/error.h"

static bool is_ascending(const batch *rows)
{
    for (uint32_t i = 1; i < rows->n_rows; i++) {
        if (rows->rows[i] < rows->rows[i - 1])
            return false;
    }
    return true;
}

/* order[i] is the row that comes to place i; NULL where memory is out. */
static uint32_t *find_order(const batch *rows, const uint32_t *n_rows, uint32_t n_readers)
{
    arena *arena = rows->arena;
    uint64_t *base = arena_zero(arena, n_readers + 1, sizeof *base);
    if (base == NULL)
        return NULL;
    for (uint32_t i = 0; i < n_readers; i++)
        base[i + 1] = base[i] + n_rows[i];
    uint64_t total = base[n_readers];
    uint32_t *place = arena_zero(arena, total + 1, sizeof *place);
    uint32_t *order = arena_zero(arena, rows->n_rows, sizeof *order);
    if (place == NULL || order == NULL)
        return NULL;
    for (uint32_t i = 0; i < rows->n_rows; i++)
        place[base[ROW_READER(rows->rows[i])] + ROW_INDEX(rows->rows[i]) + 1]++;
    for (uint64_t i = 1; i <= total; i++)
        place[i] += place[i - 1];
    for (uint32_t i = 0; i < rows->n_rows; i++) {
        uint64_t from = base[ROW_READER(rows->rows[i])] + ROW_INDEX(rows->rows[i]);
        order[place[from]++] = i;
    }
    return order;
}

#define GATHER(cell_type)                     \
    do {                                      \
        const cell_type *source = from->data; \
        cell_type *target = into->data;       \
        for (uint32_t i = 0; i < n; i++)      \
            target[i] = source[order[i]];     \
    } while (0)

static void gather_cells(const column *from, const uint32_t *order, uint32_t n, column *into)
{
    switch (type_cell_size(from->type)) {
    case 1: GATHER(uint8_t); break;
    case 4: GATHER(uint32_t); break;
    case 8: GATHER(uint64_t); break;
    case 16: GATHER(int128); break;
    default: break;
    }
}

/* Recursion: at most TYPE_DEPTH_MAX deep. */
static freshet_code gather_rows(arena *arena, const column *from, const uint32_t *order, uint32_t n,
                                column *into, freshet_error *err)
{
    freshet_code code = column_init(arena, into, from->type, n, err);
    if (code != FRESHET_OK)
        return code;
    gather_cells(from, order, n, into);
    if (from->type->kind == TYPE_ARRAY) {
        into->children = from->children;
        into->n_elements = from->n_elements;
    }
    for (uint32_t i = 0; from->type->kind == TYPE_STRUCT && i < from->type->n_fields; i++) {
        code = gather_rows(arena, &from->children[i], order, n, &into->children[i], err);
        if (code != FRESHET_OK)
            return code;
    }
    for (uint32_t i = 0; from->valid != NULL && i < n; i++) {
        if (!column_is_valid(from, order[i]) && !column_set_null(arena, into, i))
            return error_memory(err, "ordering rows");
    }
    return FRESHET_OK;
}

freshet_code rows_order(batch *rows, const uint32_t *n_rows, uint32_t n_readers, freshet_error *err)
{
    if (is_ascending(rows))
        return FRESHET_OK;
    uint32_t n_columns = rows->schema.n_fields;
    uint32_t *order = find_order(rows, n_rows, n_readers);
    column *columns = arena_zero(rows->arena, n_columns + 1, sizeof *columns);
    uint64_t *ordered = arena_zero(rows->arena, rows->n_rows, sizeof *ordered);
    if (order == NULL || columns == NULL || ordered == NULL)
        return error_memory(err, "ordering rows");
    for (uint32_t i = 0; i < n_columns; i++) {
        freshet_code code =
            gather_rows(rows->arena, &rows->columns[i], order, rows->n_rows, &columns[i], err);
        if (code != FRESHET_OK)
            return code;
    }
    for (uint32_t i = 0; i < rows->n_rows; i++)
        ordered[i] = rows->rows[order[i]];
    rows->columns = columns;
    rows->rows = ordered;
    return FRESHET_OK;
}
