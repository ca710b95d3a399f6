/* plain_query.c - see plain_query.h: fitting and running.
 *
 * SELECTs stand in the order of their readers, as the rows of a run do. Where one alone gives rows,
 * its columns are the batch's own (all rows pass) or gathered from it (some do). Where several do,
 * their rows are put one behind the other, and then, where two of them read the same reader, into
 * the order of its rows, an earlier SELECT first.
 */
#include "source/plain_query.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"

#define RUNNING "running the source's query"

/* ---- fitting ---- */

/* As type_equal, and what is a map is one in both. */
static bool is_same_type(const type *a, const type *b)
{
    bool is_same = a->is_map == b->is_map && type_equal(a, b);
    for (uint32_t i = 0; is_same && i < a->n_fields; i++)
        is_same = is_same_type(a->fields[i].type, b->fields[i].type);
    return is_same;
}

bool plain_casts(const type *from, const type *to)
{
    if (is_same_type(from, to))
        return true;
    switch (from->kind) {
    case TYPE_INTEGER: return to->kind == TYPE_BIGINT || to->kind == TYPE_DOUBLE;
    case TYPE_BIGINT:
    case TYPE_FLOAT: return to->kind == TYPE_DOUBLE;
    default: return false;
    }
}

/* A SELECT's column as the query's; those of a UNION ALL have one type. */
static bool fit_column(plain_column *column, const field *field, bool is_first)
{
    if (is_first && column->name != NULL && strcasecmp(column->name, field->name) != 0)
        return false;
    const bool is_cast = !is_same_type(column->type, column->to);
    if (!plain_casts(column->to, field->type) ||
        (is_cast && !is_same_type(column->to, field->type)))
        return false;
    column->to = field->type;
    return true;
}

static void sort_selects(plain_query *query)
{
    for (uint32_t i = 1; i < query->n_selects; i++) {
        const plain_select moved = query->selects[i];
        uint32_t at = i;
        for (; at > 0 && query->selects[at - 1].reader > moved.reader; at--)
            query->selects[at] = query->selects[at - 1];
        query->selects[at] = moved;
    }
}

bool plain_fit(plain_query *query, const schema *schema)
{
    for (uint32_t i = 0; i < query->n_selects; i++) {
        const plain_select *select = &query->selects[i];
        if (select->n_columns != schema->n_fields)
            return false;
        for (uint32_t k = 0; k < select->n_columns; k++)
            if (!fit_column((plain_column *)&select->columns[k], &schema->fields[k], i == 0))
                return false;
    }
    query->schema = *schema;
    sort_selects(query);
    return true;
}

bool plain_takes(const plain_query *query, batch *const *batches)
{
    for (uint32_t i = 0; i < query->n_selects; i++) {
        const batch *batch = batches[query->selects[i].reader];
        if (batch != NULL && batch->rows != NULL)
            return false;
    }
    return true;
}

/* ---- columns ---- */

/* NOLINTBEGIN(bugprone-macro-parentheses): types */
#define WIDEN(FROM, TO)                           \
    do {                                          \
        const FROM *cells = from->data;           \
        for (uint32_t i = 0; i < n; i++)          \
            ((TO *)into->data)[i] = (TO)cells[i]; \
    } while (0)
/* NOLINTEND(bugprone-macro-parentheses) */

/* The first n rows as another type; nulls, which are zero bytes, stay so. */
static freshet_code widen(const column *from, uint32_t n, const type *to, arena *arena,
                          column *into, freshet_error *err)
{
    freshet_code code = column_init(arena, into, to, n, err);
    if (code != FRESHET_OK)
        return code;
    into->valid = from->valid;
    switch (from->type->kind) {
    case TYPE_INTEGER:
        if (to->kind == TYPE_BIGINT)
            WIDEN(int32_t, int64_t);
        else
            WIDEN(int32_t, double);
        return FRESHET_OK;
    case TYPE_BIGINT: WIDEN(int64_t, double); return FRESHET_OK;
    default: WIDEN(float, double); return FRESHET_OK;
    }
}

/* The same value in n rows. */
static freshet_code repeat_literal(const plain_literal *literal, uint32_t n, const type *type,
                                   arena *arena, column *into, freshet_error *err)
{
    freshet_code code = column_init(arena, into, type, n, err);
    if (code != FRESHET_OK)
        return code;
    void *data = into->data;
    if (literal->is_null) {
        memset(data, 0, n * type_cell_size(type));
        into->valid = arena_zero(arena, (n + UINT64_C(63)) / 64, sizeof *into->valid);
        return into->valid == NULL ? error_memory(err, RUNNING) : FRESHET_OK;
    }
    for (uint32_t i = 0; i < n; i++) {
        switch (type->kind) {
        case TYPE_BOOLEAN: ((uint8_t *)data)[i] = literal->whole != 0; break;
        case TYPE_INTEGER:
        case TYPE_DATE: ((int32_t *)data)[i] = (int32_t)literal->whole; break;
        case TYPE_BIGINT:
        case TYPE_TIMESTAMP: ((int64_t *)data)[i] = literal->whole; break;
        case TYPE_DOUBLE: ((double *)data)[i] = literal->real; break;
        default: ((cell_text *)data)[i] = literal->text; break;
        }
    }
    return FRESHET_OK;
}

/* Some rows of a batch, which a SELECT gives. */
typedef struct piece {
    const plain_select *select;
    const batch *batch;
    const uint32_t *rows; /* NULL: all */
    uint32_t n;
} piece;

/* Column k of these rows: the batch's own, as long as it is one. */
static freshet_code take_column(const piece *piece, uint32_t k, arena *arena, column *out,
                                freshet_error *err)
{
    const plain_column *which = &piece->select->columns[k];
    if (which->is_literal)
        return repeat_literal(&which->literal, piece->n, which->to, arena, out, err);
    const column *from = plain_find_column(piece->batch, which);
    column taken = *from;
    freshet_code code = FRESHET_OK;
    taken.capacity = piece->batch->n_rows;
    if (piece->rows != NULL) {
        const cell_choice choice = {.rows = piece->rows, .n = piece->n, .shares = true};
        code = column_init(arena, &taken, from->type, piece->n, err);
        if (code == FRESHET_OK && !column_copy(arena, from, &choice, &taken, 0))
            code = error_memory(err, RUNNING);
    }
    *out = taken;
    if (code == FRESHET_OK && which->to->kind != from->type->kind)
        code = widen(&taken, piece->n, which->to, arena, out, err);
    out->type = which->to;
    return code;
}

static freshet_code plain_take_columns(const piece *piece, arena *arena, batch *out,
                                       freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t k = 0; code == FRESHET_OK && k < out->schema.n_fields; k++)
        code = take_column(piece, k, arena, &out->columns[k], err);
    return code;
}

/* The rows of all pieces, one behind the other. */
static freshet_code join_pieces(const piece *pieces, uint32_t n_pieces, arena *arena, batch *out,
                                freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t k = 0; code == FRESHET_OK && k < out->schema.n_fields; k++) {
        column *into = &out->columns[k];
        uint32_t n = 0;
        code = column_init(arena, into, out->schema.fields[k].type, out->n_rows, err);
        for (uint32_t i = 0; code == FRESHET_OK && i < n_pieces; i++) {
            column taken;
            code = take_column(&pieces[i], k, arena, &taken, err);
            if (code == FRESHET_OK)
                code = column_append(arena, into, n, &taken, NULL, pieces[i].n, err);
            n += pieces[i].n;
        }
    }
    return code;
}

/* ---- rows ---- */

static void put_rows(const piece *piece, uint64_t *into)
{
    for (uint32_t i = 0; i < piece->n; i++)
        into[i] = ROW_OF(piece->select->reader, piece->rows == NULL ? i : piece->rows[i]);
}

/* Pieces of one reader, which stand one behind the other from row `first` on: the numbers of their
 * rows, in the order of what they are made from. */
static void merge_pieces(const batch *out, const piece *pieces, uint32_t n_pieces, uint32_t first,
                         uint32_t *order)
{
    uint32_t at[PLAIN_SELECTS_MAX], end[PLAIN_SELECTS_MAX], n = 0, next = first;
    for (uint32_t i = 0; i < n_pieces; i++) {
        at[i] = next;
        next = end[i] = next + pieces[i].n;
    }
    while (n < next - first) {
        uint32_t least = n_pieces;
        for (uint32_t i = 0; i < n_pieces; i++)
            if (at[i] < end[i] && (least == n_pieces || out->rows[at[i]] < out->rows[at[least]]))
                least = i;
        order[n++] = at[least]++;
    }
}

/* Puts the rows in the order of what they are made from. */
static freshet_code order_pieces(const piece *pieces, uint32_t n_pieces, batch *out,
                                 freshet_error *err)
{
    uint32_t *order = arena_alloc(out->arena, (out->n_rows + (size_t)1) * sizeof *order);
    uint32_t first = 0, end;
    if (order == NULL)
        return error_memory(err, RUNNING);
    for (uint32_t i = 0; i < n_pieces; i = end) {
        uint32_t n = 0;
        for (end = i; end < n_pieces && pieces[end].select->reader == pieces[i].select->reader;)
            n += pieces[end++].n;
        merge_pieces(out, pieces + i, end - i, first, order + first);
        first += n;
    }
    return batch_gather(out, order, out->n_rows, out, RUNNING, err);
}

/* ---- running ---- */

/* What each SELECT gives, those that give none left out. */
static freshet_code choose_pieces(const plain_query *query, arena *arena, batch *const *batches,
                                  piece *pieces, uint32_t *n_pieces, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    *n_pieces = 0;
    for (uint32_t i = 0; code == FRESHET_OK && i < query->n_selects; i++) {
        const plain_select *select = &query->selects[i];
        piece *piece = &pieces[*n_pieces];
        *piece = (struct piece){.select = select, .batch = batches[select->reader]};
        if (piece->batch == NULL || piece->batch->n_rows == 0)
            continue;
        code = plain_choose(select->where, piece->batch, arena, &piece->rows, &piece->n, err);
        *n_pieces += piece->n > 0;
    }
    return code;
}

freshet_code plain_run(const plain_query *query, arena *arena, batch *const *batches, batch *out,
                       freshet_error *err)
{
    piece pieces[PLAIN_SELECTS_MAX];
    uint32_t n_pieces = 0, n = 0;
    freshet_code code = choose_pieces(query, arena, batches, pieces, &n_pieces, err);
    if (code != FRESHET_OK)
        return code;
    if (n_pieces == 0) {
        code = batch_init(out, arena, &query->schema, 0, err);
        out->rows = arena_alloc(arena, sizeof *out->rows);
        return code == FRESHET_OK && out->rows == NULL ? error_memory(err, RUNNING) : code;
    }
    *out = (batch){.arena = arena, .schema = query->schema};
    for (uint32_t i = 0; i < n_pieces; i++)
        out->n_rows += pieces[i].n;
    out->columns = arena_alloc(arena, (out->schema.n_fields + (size_t)1) * sizeof *out->columns);
    out->rows = arena_alloc(arena, out->n_rows * sizeof *out->rows);
    if (out->columns == NULL || out->rows == NULL)
        return error_memory(err, RUNNING);
    for (uint32_t i = 0; i < n_pieces; n += pieces[i++].n)
        put_rows(&pieces[i], out->rows + n);
    if (n_pieces == 1)
        return plain_take_columns(pieces, arena, out, err);
    code = join_pieces(pieces, n_pieces, arena, out, err);
    for (uint32_t i = 1; code == FRESHET_OK && i < n_pieces; i++)
        if (pieces[i].select->reader == pieces[i - 1].select->reader)
            return order_pieces(pieces, n_pieces, out, err);
    return code;
}
