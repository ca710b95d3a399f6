/* plain_where.c - the conditions of a plain query (plain_query.h) over the rows of a batch.
 *
 * Each condition gives a byte a row: 0 false, 1 unknown, 2 true. So AND is the least of its
 * children, OR the greatest, and NOT what is left to 2. A comparison looks how each cell stands to
 * the literal (-1 below, 0 equal, 1 above), and a table says what that means; nulls are put in
 * afterwards, by words of the bitmap.
 */
#include <string.h>

#include "base/error.h"
#include "source/plain_query.h"

#define CHOOSING "choosing rows by WHERE"

enum { IS_FALSE = 0, IS_UNKNOWN = 1, IS_TRUE = 2 };

const column *plain_find_column(const batch *batch, const plain_column *which)
{
    const column *column = &batch->columns[which->column];
    for (uint32_t i = 0; i < which->n_fields; i++)
        column = &column->children[which->fields[i]];
    return column;
}

/* ---- comparisons ---- */

/* The meaning of "the cell is below, equal, above". */
static const uint8_t meanings[][3] = {
    [PLAIN_EQUAL] = {IS_FALSE, IS_TRUE, IS_FALSE},
    [PLAIN_NOT_EQUAL] = {IS_TRUE, IS_FALSE, IS_TRUE},
    [PLAIN_LESS] = {IS_TRUE, IS_FALSE, IS_FALSE},
    [PLAIN_LESS_OR_EQUAL] = {IS_TRUE, IS_TRUE, IS_FALSE},
    [PLAIN_GREATER] = {IS_FALSE, IS_FALSE, IS_TRUE},
    [PLAIN_GREATER_OR_EQUAL] = {IS_FALSE, IS_TRUE, IS_TRUE},
    [PLAIN_DISTINCT] = {IS_TRUE, IS_FALSE, IS_TRUE},
    [PLAIN_NOT_DISTINCT] = {IS_FALSE, IS_TRUE, IS_FALSE},
};

static inline int sign_of_whole(int64_t cell, int64_t literal)
{
    return (cell > literal) - (cell < literal);
}

/* NaN is equal to itself, and above all. */
static inline int sign_of_real(double cell, double literal)
{
    if (cell != cell || literal != literal)
        return (cell != cell) - (literal != literal);
    return (cell > literal) - (cell < literal);
}

static inline int sign_of_text(const cell_text *cell, const cell_text *literal)
{
    const uint32_t least = cell->length < literal->length ? cell->length : literal->length;
    const int sign = memcmp(text_bytes(cell), text_bytes(literal), least);
    return sign != 0 ? (sign > 0) - (sign < 0) : sign_of_whole(cell->length, literal->length);
}

/* NOLINTNEXTLINE(bugprone-macro-parentheses): a type */
#define COMPARE_CELLS(CELL, SIGN)         \
    do {                                  \
        const CELL *cells = column->data; \
        for (uint32_t i = 0; i < n; i++)  \
            into[i] = means[1 + (SIGN)];  \
    } while (0)

static void compare_cells(const column *column, uint32_t n, const plain_test *test, uint8_t *into)
{
    const uint8_t *means = meanings[test->comparison];
    const int64_t whole = test->literal.whole;
    const double real = test->literal.real;
    switch (column->type->kind) {
    case TYPE_BOOLEAN: COMPARE_CELLS(uint8_t, sign_of_whole(cells[i] != 0, whole)); break;
    case TYPE_INTEGER:
    case TYPE_DATE: COMPARE_CELLS(int32_t, sign_of_whole(cells[i], whole)); break;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: COMPARE_CELLS(int64_t, sign_of_whole(cells[i], whole)); break;
    case TYPE_DOUBLE: COMPARE_CELLS(double, sign_of_real(cells[i], real)); break;
    default: COMPARE_CELLS(cell_text, sign_of_text(&cells[i], &test->literal.text)); break;
    }
}

/* ---- nulls ---- */

static void put_nulls(const column *column, uint32_t n, uint8_t value, uint8_t *into)
{
    for (uint32_t first = 0; column->valid != NULL && first < n; first += 64) {
        uint64_t nulls = ~column->valid[first >> 6];
        if (n - first < 64)
            nulls &= (UINT64_C(1) << (n - first)) - 1;
        for (; nulls != 0; nulls &= nulls - 1)
            into[first + (uint32_t)__builtin_ctzll(nulls)] = value;
    }
}

static void plain_compare(const plain_test *test, const column *column, uint32_t n, uint8_t *into)
{
    const bool is_distinct = test->comparison == PLAIN_DISTINCT;
    const bool sees_nulls = is_distinct || test->comparison == PLAIN_NOT_DISTINCT;
    if (!test->literal.is_null)
        compare_cells(column, n, test, into);
    else
        memset(into, !sees_nulls ? IS_UNKNOWN : is_distinct ? IS_TRUE : IS_FALSE, n);
    const bool differs = is_distinct != test->literal.is_null; /* a null from the literal */
    put_nulls(column, n, !sees_nulls ? IS_UNKNOWN : differs ? IS_TRUE : IS_FALSE, into);
}

/* ---- the whole ---- */

static bool plain_evaluate_all(const plain_test *test, const batch *batch, arena *arena,
                               uint8_t *into);

static bool plain_evaluate_column(const plain_test *test, const batch *batch, uint8_t *into)
{
    const column *column = plain_find_column(batch, &test->column);
    const uint32_t n = batch->n_rows;
    if (test->kind == PLAIN_COMPARE) {
        plain_compare(test, column, n, into);
    } else if (test->kind == PLAIN_IS_NULL) {
        memset(into, IS_FALSE, n);
        put_nulls(column, n, IS_TRUE, into);
    } else {
        for (uint32_t i = 0; i < n; i++)
            into[i] = ((const uint8_t *)column->data)[i] != 0 ? IS_TRUE : IS_FALSE;
        put_nulls(column, n, IS_UNKNOWN, into);
    }
    return true;
}

/* False where memory is out. Recursion: at most PLAIN_DEPTH_MAX deep. */
static bool plain_evaluate(const plain_test *test, const batch *batch, arena *arena, uint8_t *into)
{
    switch (test->kind) {
    case PLAIN_AND:
    case PLAIN_OR: return plain_evaluate_all(test, batch, arena, into);
    case PLAIN_NOT:
        if (!plain_evaluate(&test->children[0], batch, arena, into))
            return false;
        for (uint32_t i = 0; i < batch->n_rows; i++)
            into[i] = (uint8_t)(IS_TRUE - into[i]);
        return true;
    default: return plain_evaluate_column(test, batch, into);
    }
}

static bool plain_evaluate_all(const plain_test *test, const batch *batch, arena *arena,
                               uint8_t *into)
{
    const uint32_t n = batch->n_rows;
    uint8_t *next = arena_alloc(arena, n + (size_t)1);
    if (next == NULL || !plain_evaluate(&test->children[0], batch, arena, into))
        return false;
    for (uint32_t child = 1; child < test->n_children; child++) {
        if (!plain_evaluate(&test->children[child], batch, arena, next))
            return false;
        if (test->kind == PLAIN_AND)
            for (uint32_t i = 0; i < n; i++)
                into[i] = into[i] < next[i] ? into[i] : next[i];
        else
            for (uint32_t i = 0; i < n; i++)
                into[i] = into[i] > next[i] ? into[i] : next[i];
    }
    return true;
}

freshet_code plain_choose(const plain_test *where, const batch *batch, arena *arena,
                          const uint32_t **rows, uint32_t *n, freshet_error *err)
{
    *rows = NULL;
    *n = batch->n_rows;
    if (where == NULL)
        return FRESHET_OK;
    uint8_t *is_wanted = arena_alloc(arena, batch->n_rows + (size_t)1);
    uint32_t *chosen = arena_alloc(arena, (batch->n_rows + (size_t)1) * sizeof *chosen);
    if (is_wanted == NULL || chosen == NULL || !plain_evaluate(where, batch, arena, is_wanted))
        return error_memory(err, CHOOSING);
    uint32_t n_chosen = 0;
    for (uint32_t i = 0; i < batch->n_rows; i++) {
        chosen[n_chosen] = i;
        n_chosen += is_wanted[i] == IS_TRUE;
    }
    if (n_chosen < batch->n_rows)
        *rows = chosen;
    *n = n_chosen;
    return FRESHET_OK;
}
