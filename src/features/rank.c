/* rank.c - see rank.h. */
#include "features/rank.h"

#include <stdlib.h>
#include <string.h>

#include "aggregate/families.h"
#include "base/error.h"

typedef struct ranked {
    aggregate_value value;
    bool is_null;
    uint32_t row;
    const type *type;
} ranked;

static int compare_cells(const ranked *a, const ranked *b)
{
    if (a->is_null || b->is_null)
        return b->is_null - a->is_null;
    return compare_values(a->type, &a->value, &b->value);
}

static int compare_ranked(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    int order = compare_cells(x, y);
    return order != 0 ? order : (x->row > y->row) - (x->row < y->row);
}

freshet_code rank_rows(arena *arena, const column *column, uint32_t n_rows, const int64_t **out,
                       freshet_error *err)
{
    const size_t cell = type_cell_size(column->type);
    int64_t *ranks = arena_alloc(arena, (n_rows + (size_t)1) * sizeof *ranks);
    ranked *rows = calloc(n_rows + (size_t)1, sizeof *rows);
    if (ranks == NULL || rows == NULL) {
        free(rows);
        return error_memory(err, "ordering the rows of a window");
    }
    for (uint32_t row = 0; row < n_rows; row++) {
        rows[row].row = row;
        rows[row].type = column->type;
        rows[row].is_null = !column_is_valid(column, row);
        if (!rows[row].is_null)
            aggregate_load(column->type, (const char *)column->data + row * cell, &rows[row].value);
        if (column->type->kind == TYPE_FLOAT || column->type->kind == TYPE_DOUBLE)
            rows[row].value.real = real_canonical(rows[row].value.real);
    }
    qsort(rows, n_rows, sizeof *rows, compare_ranked);
    int64_t rank = 0;
    for (uint32_t i = 0; i < n_rows; i++) {
        if (i > 0 && compare_cells(&rows[i - 1], &rows[i]) != 0)
            rank = i;
        ranks[rows[i].row] = rank * 1000000;
    }
    free(rows);
    *out = ranks;
    return FRESHET_OK;
}

/* ---- one after another ----------------------------------------------------------------------- */

#define RANK_LEAST \
    (INT64_MIN + (INT64_C(1) << 32)) /* of nulls; sums and differences stay in range */
#define DECIMAL_DIGITS_MAX 18u

bool rank_possible(const type *type)
{
    if (type->kind == TYPE_DECIMAL)
        return type->width <= DECIMAL_DIGITS_MAX;
    return type->n_fields == 0 && type->kind != TYPE_STRING && type->kind != TYPE_BINARY;
}

/* The bits of a double ascend with its value where it is positive, and descend where it is not. */
static int64_t rank_of_double(double value)
{
    int64_t bits;
    if (value != value)
        return INT64_C(0x7FF8000000000000);
    value += 0.0; /* -0.0 becomes 0.0 */
    memcpy(&bits, &value, sizeof bits);
    return bits >= 0 ? bits : -(bits & INT64_MAX);
}

static int64_t rank_of(const column *column, uint64_t row, size_t cell)
{
    aggregate_value value;
    if (!column_is_valid(column, row))
        return RANK_LEAST;
    aggregate_load(column->type, (const char *)column->data + row * cell, &value);
    int64_t rank = value.integer;
    if (column->type->kind == TYPE_FLOAT || column->type->kind == TYPE_DOUBLE)
        rank = rank_of_double(value.real);
    else if (column->type->kind == TYPE_DECIMAL)
        rank = (int64_t)value.decimal;
    return rank <= RANK_LEAST ? RANK_LEAST + 1 : rank;
}

freshet_code rank_values(arena *arena, const column *column, uint32_t n_rows, const int64_t **out,
                         freshet_error *err)
{
    const size_t cell = type_cell_size(column->type);
    int64_t *ranks = arena_alloc(arena, (n_rows + (size_t)1) * sizeof *ranks);
    if (ranks == NULL)
        return error_memory(err, "ordering the rows of a window");
    for (uint32_t row = 0; row < n_rows; row++)
        ranks[row] = rank_of(column, row, cell);
    *out = ranks;
    return FRESHET_OK;
}
