/* pivot_groups.c - `groups` of a pivot on a stream: what is kept, which rows go out; see pivot.h.
 *
 * Groups are kept by the group columns but the last one, which is their order; where there is only
 * one column, by that, and there is one group. Kept, and saved, a key is
 *
 *   u32 groups, 1 where groups were let go
 *   base     a cell for each value: what groups that were let go would fill in
 *   group    its place in the order (a cell); for each value 0: no row has it yet, or 1 and the
 *            value: a cell; of PIVOT_PARTIAL the bytes of the partial
 *   group    ...
 *
 * in the order of the groups. A row changes its group's cell, or makes the group; then the group
 * goes out, and with forward_fill the groups behind it that are filled from that cell. Beyond
 * `keep_groups` the oldest group is let go: what it would fill in goes to the base.
 *
 * The bytes are taken apart as spans, changed, and put together again: a row costs as much as its
 * key has groups.
 */
#include "preprocess/pivot.h"

#include <string.h>

#include "base/error.h"
#include "formats/cell.h"
#include "keyed/cells.h"

#define PIVOTING "pivoting rows"

typedef struct span {
    const unsigned char *bytes;
    size_t length; /* 0: nothing */
} span;

/* A key's groups, taken apart. */
typedef struct groups_kept {
    span *base;   /* n_values */
    span *orders; /* one a group */
    span *cells;  /* n_values a group */
    uint32_t n, capacity;
    bool let_go;
} groups_kept;

typedef struct pivot_work {
    arena *scratch; /* of a row */
    text_buffer text;
    groups_kept groups;
    uint32_t capacity; /* rows of the output */
} pivot_work;

static const type *order_type(const pivot *pivot)
{
    return pivot->in.fields[pivot->n_groups - 1].type;
}

/* The type of a kept cell that is a value. */
static const type *cell_type(const pivot *pivot)
{
    return pivot->aggregate.output;
}

/* ---- bytes and spans ------------------------------------------------------------------------- */

static freshet_code groups_damaged(freshet_error *err)
{
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                     "what was saved of the groups of a pivot is damaged");
}

/* Steps over a cell of a simple type; false where there is none. */
static bool skip_cell(const type *type, const unsigned char **at, const unsigned char *end,
                      span *out)
{
    const bool is_text = type->kind == TYPE_STRING || type->kind == TYPE_BINARY;
    size_t length = 1;
    uint32_t n = 0;
    if (*at == end || **at > 1)
        return false;
    if (**at == 1 && is_text) {
        if ((size_t)(end - *at) < 1 + sizeof n)
            return false;
        memcpy(&n, *at + 1, sizeof n);
        length += sizeof n + n;
    } else if (**at == 1) {
        length += type_cell_size(type);
    }
    if ((size_t)(end - *at) < length)
        return false;
    *out = (span){*at, length};
    *at += length;
    return true;
}

static bool skip_value(const pivot *pivot, const unsigned char **at, const unsigned char *end,
                       span *out)
{
    *out = (span){NULL, 0};
    if (*at == end || **at > 1)
        return false;
    if (*(*at)++ == 0)
        return true;
    if (pivot->function != PIVOT_PARTIAL)
        return skip_cell(cell_type(pivot), at, end, out);
    const size_t size = pivot->aggregate.family->size;
    if ((size_t)(end - *at) < size)
        return false;
    *out = (span){*at, size};
    *at += size;
    return true;
}

static bool reserve_groups(const pivot *pivot, groups_kept *groups, uint64_t n, freshet_error *err)
{
    arena *arena = pivot->work->scratch;
    uint32_t capacity = groups->capacity;
    if (n <= groups->capacity)
        return true;
    while (capacity < n)
        capacity = capacity == 0 ? 8 : capacity * 2;
    span *orders = arena_zero(arena, capacity, sizeof *orders);
    span *cells = arena_zero(arena, (size_t)capacity * pivot->n_values, sizeof *cells);
    if (orders == NULL || cells == NULL) {
        error_memory(err, PIVOTING);
        return false;
    }
    if (groups->n > 0) {
        memcpy(orders, groups->orders, groups->n * sizeof *orders);
        memcpy(cells, groups->cells, (size_t)groups->n * pivot->n_values * sizeof *cells);
    }
    groups->orders = orders;
    groups->cells = cells;
    groups->capacity = capacity;
    return true;
}

static freshet_code take_apart(const pivot *pivot, const unsigned char *bytes, size_t length,
                               groups_kept *out, freshet_error *err)
{
    const unsigned char *at = bytes, *end = bytes + length;
    uint32_t n = 0;
    *out =
        (groups_kept){.base = arena_zero(pivot->work->scratch, pivot->n_values, sizeof *out->base)};
    if (out->base == NULL)
        return error_memory(err, PIVOTING);
    if (length == 0)
        return FRESHET_OK;
    if (length < sizeof n + 1)
        return groups_damaged(err);
    memcpy(&n, at, sizeof n);
    at += sizeof n;
    out->let_go = *at++ != 0;
    bool ok = n <= length;
    for (uint32_t i = 0; ok && i < pivot->n_values; i++)
        ok = skip_cell(cell_type(pivot), &at, end, &out->base[i]);
    if (ok && !reserve_groups(pivot, out, n + UINT64_C(1), err))
        return FRESHET_NO_MEMORY;
    for (; ok && out->n < n; out->n++) {
        if (pivot->has_order)
            ok = skip_cell(order_type(pivot), &at, end, &out->orders[out->n]);
        for (uint32_t i = 0; ok && i < pivot->n_values; i++)
            ok = skip_value(pivot, &at, end, &out->cells[out->n * pivot->n_values + i]);
    }
    return ok && at == end ? FRESHET_OK : groups_damaged(err);
}

static void put_span(text_buffer *into, const span *span)
{
    text_append(into, (const char *)span->bytes, span->length);
}

static freshet_code put_together(const pivot *pivot, const groups_kept *groups, text_buffer *into,
                                 freshet_error *err)
{
    text_reset(into);
    text_append(into, (const char *)&groups->n, sizeof groups->n);
    text_append_char(into, groups->let_go ? 1 : 0);
    for (uint32_t i = 0; i < pivot->n_values; i++)
        if (groups->base[i].length == 0)
            text_append_char(into, 0);
        else
            put_span(into, &groups->base[i]);
    for (uint32_t g = 0; g < groups->n; g++) {
        if (pivot->has_order)
            put_span(into, &groups->orders[g]);
        for (uint32_t i = 0; i < pivot->n_values; i++) {
            const span *cell = &groups->cells[g * pivot->n_values + i];
            text_append_char(into, cell->length > 0 ? 1 : 0);
            if (cell->length > 0)
                put_span(into, cell);
        }
    }
    return into->failed ? error_memory(err, PIVOTING) : FRESHET_OK;
}

/* ---- values of cells ------------------------------------------------------------------------- */

/* The value of a kept cell as row `row` of a column of the output's type. */
static freshet_code read_cell(const pivot *pivot, arena *arena, const span *cell, column *into,
                              uint64_t row, freshet_error *err)
{
    const unsigned char *at = cell->bytes;
    if (cell->length == 0)
        return column_set_null(arena, into, row) ? FRESHET_OK : error_memory(err, PIVOTING);
    cell_set_valid(into, row);
    if (pivot->function != PIVOT_PARTIAL)
        return cells_get(arena, &at, at + cell->length, into, row, err);
    _Alignas(16) unsigned char partial[AGGREGATE_PARTIAL_MAX];
    aggregate_scratch scratch = {.arena = arena};
    aggregate_value value;
    memcpy(partial, cell->bytes, cell->length);
    switch (pivot->aggregate.finish(partial, &pivot->aggregate, &scratch, &value)) {
    case AGGREGATE_VALUE:
        return aggregate_store(arena, into, row, &value) ? FRESHET_OK : error_memory(err, PIVOTING);
    case AGGREGATE_NULL:
        return column_set_null(arena, into, row) ? FRESHET_OK : error_memory(err, PIVOTING);
    case AGGREGATE_NO_MEMORY: return error_memory(err, PIVOTING);
    default:
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                         "the %s of a pivot does not fit %s", pivot->aggregate.name,
                         type_name(arena, cell_type(pivot)));
    }
}

/* Is its value there, and not null? */
static freshet_code has_value(const pivot *pivot, const span *cell, bool *has, freshet_error *err)
{
    arena *arena = pivot->work->scratch;
    column value;
    freshet_code code = FRESHET_OK;
    *has = cell->length > 0;
    if (!*has || pivot->function != PIVOT_PARTIAL) {
        *has = *has && cell->bytes[0] != 0;
        return code;
    }
    code = column_init(arena, &value, cell_type(pivot), 1, err);
    if (code == FRESHET_OK)
        code = read_cell(pivot, arena, cell, &value, 0, err);
    *has = code == FRESHET_OK && column_is_valid(&value, 0);
    return code;
}

/* The bytes that were put into the work's text, kept for the row. */
static bool keep_text(const pivot *pivot, span *out)
{
    const text_buffer *text = &pivot->work->text;
    const unsigned char *copy =
        text->failed ? NULL : arena_alloc(pivot->work->scratch, text->length + 1);
    if (copy != NULL && text->length > 0)
        memcpy((unsigned char *)copy, text->bytes, text->length);
    *out = (span){copy, text->length};
    return copy != NULL;
}

/* Min and max: is the row's value to take the place of the kept one? */
static freshet_code wins(const pivot *pivot, const span *kept, const column *values, uint32_t row,
                         bool *out, freshet_error *err)
{
    column was;
    *out = column_is_valid(values, row);
    if (!*out || kept->length == 0)
        return FRESHET_OK;
    freshet_code code = column_init(pivot->work->scratch, &was, cell_type(pivot), 1, err);
    if (code == FRESHET_OK)
        code = read_cell(pivot, pivot->work->scratch, kept, &was, 0, err);
    if (code == FRESHET_OK) {
        const int order = step_compare(values, row, &was, 0);
        *out = pivot->function == PIVOT_MIN ? order < 0 : order > 0;
    }
    return code;
}

static bool add_to_partial(const pivot *pivot, span *cell, const column *values, uint32_t row)
{
    const aggregate_family *family = pivot->aggregate.family;
    _Alignas(16) unsigned char partial[AGGREGATE_PARTIAL_MAX], before[AGGREGATE_PARTIAL_MAX];
    aggregate_scratch scratch = {.arena = pivot->work->scratch};
    const aggregate_run run = {.values =
                                   (const char *)values->data + row * type_cell_size(values->type),
                               .valid = column_is_valid(values, row) ? 1 : 0,
                               .to = 1,
                               .type = pivot->input,
                               .scratch = &scratch};
    AGGREGATE_EMPTY(partial, family->size);
    family->update(partial, &run);
    if (cell->length > 0) {
        memcpy(before, cell->bytes, cell->length);
        family->merge(partial, before, family->size, 1);
    }
    text_reset(&pivot->work->text);
    text_append(&pivot->work->text, (const char *)partial, family->size);
    return keep_text(pivot, cell);
}

/* The row's value goes into its cell; *changed: the cell is another one now. */
static freshet_code add_value(const pivot *pivot, span *cell, const column *values, uint32_t row,
                              bool *changed, freshet_error *err)
{
    bool takes = true;
    freshet_code code = FRESHET_OK;
    if (pivot->function == PIVOT_PARTIAL) {
        *changed = true;
        return add_to_partial(pivot, cell, values, row) ? FRESHET_OK : error_memory(err, PIVOTING);
    }
    if (pivot->function == PIVOT_FIRST)
        takes = cell->length == 0;
    else if (pivot->function != PIVOT_LAST)
        code = wins(pivot, cell, values, row, &takes, err);
    *changed = code == FRESHET_OK && takes;
    if (!*changed)
        return code;
    text_reset(&pivot->work->text);
    cells_put(&pivot->work->text, values, row, false);
    return keep_text(pivot, cell) ? FRESHET_OK : error_memory(err, PIVOTING);
}

/* ---- the row's group ------------------------------------------------------------------------- */

/* The number of the group of the row's place in the order; *is_there false: it belongs there. */
static freshet_code find_group(const pivot *pivot, const groups_kept *groups, const column *orders,
                               uint32_t row, uint32_t *at, bool *is_there, freshet_error *err)
{
    column order;
    freshet_code code = FRESHET_OK;
    *is_there = !pivot->has_order && groups->n > 0;
    *at = 0;
    if (!pivot->has_order)
        return code;
    code = column_init(pivot->work->scratch, &order, order_type(pivot), 1, err);
    for (*at = groups->n; code == FRESHET_OK && *at > 0; (*at)--) {
        const unsigned char *bytes = groups->orders[*at - 1].bytes;
        cell_set_valid(&order, 0);
        code = cells_get(pivot->work->scratch, &bytes, bytes + groups->orders[*at - 1].length,
                         &order, 0, err);
        const int compared = code == FRESHET_OK ? step_compare(&order, 0, orders, row) : 0;
        if (compared > 0)
            continue;
        *is_there = compared == 0;
        *at -= *is_there;
        break;
    }
    return code;
}

/* The oldest group goes; what it would fill in stays. */
static freshet_code group_let_go(const pivot *pivot, groups_kept *groups, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < pivot->n_values; i++) {
        bool has = false;
        column value;
        code = has_value(pivot, &groups->cells[i], &has, err);
        if (code == FRESHET_OK && has)
            code = column_init(pivot->work->scratch, &value, cell_type(pivot), 1, err);
        if (code == FRESHET_OK && has)
            code = read_cell(pivot, pivot->work->scratch, &groups->cells[i], &value, 0, err);
        if (code != FRESHET_OK || !has)
            continue;
        text_reset(&pivot->work->text);
        cells_put(&pivot->work->text, &value, 0, false);
        if (!keep_text(pivot, &groups->base[i]))
            code = error_memory(err, PIVOTING);
    }
    groups->n--;
    groups->let_go = true;
    memmove(groups->orders, groups->orders + 1, groups->n * sizeof *groups->orders);
    memmove(groups->cells, groups->cells + pivot->n_values,
            (size_t)groups->n * pivot->n_values * sizeof *groups->cells);
    return code;
}

static freshet_code insert_group(const pivot *pivot, groups_kept *groups, const column *orders,
                                 uint32_t row, uint32_t at, freshet_error *err)
{
    const uint32_t n_values = pivot->n_values;
    if (!reserve_groups(pivot, groups, groups->n + UINT64_C(1), err))
        return FRESHET_NO_MEMORY;
    memmove(groups->orders + at + 1, groups->orders + at,
            (groups->n - at) * sizeof *groups->orders);
    memmove(groups->cells + (size_t)(at + 1) * n_values, groups->cells + (size_t)at * n_values,
            (size_t)(groups->n - at) * n_values * sizeof *groups->cells);
    memset(groups->cells + (size_t)at * n_values, 0, n_values * sizeof *groups->cells);
    groups->n++;
    text_reset(&pivot->work->text);
    if (pivot->has_order)
        cells_put(&pivot->work->text, orders, row, true);
    return keep_text(pivot, &groups->orders[at]) ? FRESHET_OK : error_memory(err, PIVOTING);
}

/* ---- rows that go out ------------------------------------------------------------------------ */

static freshet_code reserve_out(const pivot *pivot, const step_run *run, freshet_error *err)
{
    batch *out = run->out;
    pivot_work *work = pivot->work;
    if (out->n_rows < work->capacity)
        return FRESHET_OK;
    const uint32_t capacity = work->capacity * 2;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < out->schema.n_fields; i++)
        code = column_reserve(run->arena, &out->columns[i], capacity, err);
    out->rows = arena_grow(run->arena, out->rows, work->capacity * sizeof *out->rows,
                           capacity * sizeof *out->rows);
    work->capacity = capacity;
    return code == FRESHET_OK && out->rows == NULL ? error_memory(err, PIVOTING) : code;
}

/* The cell, or what is filled in for it. */
static freshet_code give_cell(const pivot *pivot, const step_run *run, const groups_kept *groups,
                              uint32_t group, uint32_t i, freshet_error *err)
{
    const bool fills = ((const pivot_options *)pivot->step.options)->forward_fill;
    column *into = &run->out->columns[pivot->n_groups + i];
    bool has = false;
    freshet_code code = FRESHET_OK;
    for (uint32_t g = group + 1; g > 0; g--) {
        const span *cell = &groups->cells[(size_t)(g - 1) * pivot->n_values + i];
        code = has_value(pivot, cell, &has, err);
        if (code != FRESHET_OK || has)
            return code == FRESHET_OK
                       ? read_cell(pivot, run->arena, cell, into, run->out->n_rows, err)
                       : code;
        if (!fills)
            break;
    }
    const unsigned char *at = groups->base[i].bytes;
    if (!fills || groups->base[i].length == 0)
        return column_set_null(run->arena, into, run->out->n_rows) ? FRESHET_OK
                                                                   : error_memory(err, PIVOTING);
    cell_set_valid(into, run->out->n_rows);
    return cells_get(run->arena, &at, at + groups->base[i].length, into, run->out->n_rows, err);
}

static freshet_code give_group(const pivot *pivot, const step_run *run, const groups_kept *groups,
                               uint32_t group, uint32_t row, freshet_error *err)
{
    batch *out = run->out;
    size_t bytes = 0;
    freshet_code code = reserve_out(pivot, run, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < pivot->n_partition; i++)
        if (!column_copy(run->arena, &run->in->columns[i],
                         &(cell_choice){.rows = &row, .n = 1, .keeps = &bytes}, &out->columns[i],
                         out->n_rows))
            code = error_memory(err, PIVOTING);
    if (code == FRESHET_OK && pivot->has_order) {
        const unsigned char *at = groups->orders[group].bytes;
        cell_set_valid(&out->columns[pivot->n_groups - 1], out->n_rows);
        code = cells_get(run->arena, &at, at + groups->orders[group].length,
                         &out->columns[pivot->n_groups - 1], out->n_rows, err);
    }
    for (uint32_t i = 0; code == FRESHET_OK && i < pivot->n_values; i++)
        code = give_cell(pivot, run, groups, group, i, err);
    if (code == FRESHET_OK)
        out->rows[out->n_rows++] = run->in->rows[row];
    return code;
}

/* The groups behind that are filled from cell i, which has changed. */
static freshet_code give_filled(const pivot *pivot, const step_run *run, const groups_kept *groups,
                                uint32_t group, uint32_t i, uint32_t row, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t g = group + 1; code == FRESHET_OK && g < groups->n; g++) {
        bool has = false;
        code = has_value(pivot, &groups->cells[(size_t)g * pivot->n_values + i], &has, err);
        if (code != FRESHET_OK || has)
            break;
        code = give_group(pivot, run, groups, g, row, err);
    }
    return code;
}

/* ---- a row ----------------------------------------------------------------------------------- */

static freshet_code refuse_late(const pivot *pivot, const step_run *run, uint32_t row,
                                freshet_error *err)
{
    const pivot_options *options = pivot->step.options;
    return step_refuse(&pivot->step, run, row, REASON_LATE, err,
                       "pivot: its group is older than the %lld newest ones, and is not kept any "
                       "more: keep_groups says how many are",
                       (long long)options->keep_groups);
}

/* The row in its group, *at; false in *is_kept: the group is not kept any more. */
static freshet_code place_row(const pivot *pivot, const step_run *run, groups_kept *groups,
                              uint32_t row, uint32_t *at, bool *is_kept, freshet_error *err)
{
    const int64_t most = ((const pivot_options *)pivot->step.options)->keep_groups;
    const column *orders = &run->in->columns[pivot->n_groups - 1];
    bool is_there = false;
    freshet_code code = find_group(pivot, groups, orders, row, at, &is_there, err);
    *is_kept = true;
    if (code != FRESHET_OK || is_there)
        return code;
    *is_kept = *at > 0 || groups->n < most;
    if (*is_kept && groups->n >= most) {
        code = group_let_go(pivot, groups, err);
        (*at)--;
    }
    return code == FRESHET_OK && *is_kept ? insert_group(pivot, groups, orders, row, *at, err)
                                          : code;
}

static freshet_code pivot_row(pivot *pivot, const step_run *run, uint32_t index, uint32_t row,
                              freshet_error *err)
{
    const bool fills = ((const pivot_options *)pivot->step.options)->forward_fill;
    const column *numbers = &run->in->columns[pivot->n_groups];
    const column *values = &run->in->columns[pivot->n_groups + 1];
    const uint32_t value = column_is_valid(numbers, row)
                               ? (uint32_t)((const int32_t *)numbers->data)[row]
                               : UINT32_MAX;
    groups_kept *groups = &pivot->work->groups;
    size_t length;
    const unsigned char *bytes = kept_get(&pivot->kept, index, &length);
    uint32_t at = 0;
    bool is_kept = true, changed = false;
    arena_reset(pivot->work->scratch);
    freshet_code code = take_apart(pivot, bytes, length, groups, err);
    if (code == FRESHET_OK)
        code = place_row(pivot, run, groups, row, &at, &is_kept, err);
    if (code == FRESHET_OK && !is_kept)
        return refuse_late(pivot, run, row, err);
    if (code == FRESHET_OK && value < pivot->n_values)
        code = add_value(pivot, &groups->cells[(size_t)at * pivot->n_values + value], values, row,
                         &changed, err);
    if (code == FRESHET_OK)
        code = give_group(pivot, run, groups, at, row, err);
    if (code == FRESHET_OK && fills && changed)
        code = give_filled(pivot, run, groups, at, value, row, err);
    if (code == FRESHET_OK)
        code = put_together(pivot, groups, &pivot->work->text, err);
    return code == FRESHET_OK ? kept_put(&pivot->kept, index, pivot->work->text.bytes,
                                         pivot->work->text.length, err)
                              : code;
}

/* A row whose sum does not fit is refused; what had gone out of it does not. */
static freshet_code try_row(pivot *pivot, const step_run *run, uint32_t i, uint32_t row,
                            freshet_error *err)
{
    const uint32_t n_before = run->out->n_rows;
    freshet_error reason = {0};
    uint32_t index = KEY_NONE;
    if (kept_is_too_long(&pivot->kept, i))
        return step_refuse(&pivot->step, run, row, REASON_TOO_LARGE, err,
                           "pivot: its group_by has more than %u bytes", KEPT_KEY_BYTES_MAX);
    freshet_code code = kept_find(&pivot->kept, i, &index, err);
    if (code == FRESHET_OK)
        code = pivot_row(pivot, run, index, row, &reason);
    if (code == FRESHET_FAILED && reason.then == FRESHET_SKIP_ROW) {
        run->out->n_rows = n_before;
        return step_refuse(&pivot->step, run, row, REASON_BAD_CAST, err, "%s", reason.text);
    }
    if (code != FRESHET_OK && reason.text[0] != '\0' && err != NULL)
        *err = reason;
    return code;
}

freshet_code pivot_run(preprocess_step *step, const step_run *run, freshet_error *err)
{
    pivot *pivot = (struct pivot *)step;
    const uint32_t n_rows = run->in->n_rows;
    pivot->work->capacity = n_rows + 64;
    freshet_code code = batch_init(run->out, run->arena, &pivot->out, pivot->work->capacity, err);
    if (code != FRESHET_OK)
        return code;
    run->out->origins = NULL;
    run->out->rows = arena_alloc(run->arena, pivot->work->capacity * sizeof *run->out->rows);
    for (uint32_t i = 0; code == FRESHET_OK && i < pivot->out.n_fields; i++)
        code = column_reserve(run->arena, &run->out->columns[i], pivot->work->capacity, err);
    if (code == FRESHET_OK && run->out->rows == NULL)
        code = error_memory(err, PIVOTING);
    kept_begin(&pivot->kept, run->is_trial);
    for (uint32_t from = 0; code == FRESHET_OK && from < n_rows; from += KEYED_CHUNK_ROWS) {
        const uint32_t n = n_rows - from < KEYED_CHUNK_ROWS ? n_rows - from : KEYED_CHUNK_ROWS;
        code = kept_fill(&pivot->kept, run->in->columns, pivot->n_partition, from, n, err);
        for (uint32_t i = 0; code == FRESHET_OK && i < n; i++)
            code = try_row(pivot, run, i, from + i, err);
    }
    kept_end(&pivot->kept);
    return code;
}

/* ---- as a part of the state ------------------------------------------------------------------ */

static freshet_code pivot_inspect(void *step, arena *arena, const void *bytes, size_t length,
                                  text_buffer *into, freshet_error *err)
{
    const pivot *pivot = step;
    const pivot_options *options = pivot->step.options;
    groups_kept groups;
    column value;
    arena_reset(pivot->work->scratch);
    freshet_code code = take_apart(pivot, bytes, length, &groups, err);
    text_append_c(into, ", \"groups\": [");
    for (uint32_t g = 0; code == FRESHET_OK && g < groups.n; g++) {
        text_append_c(into, g == 0 ? "{" : ", {");
        if (pivot->has_order) {
            const unsigned char *at = groups.orders[g].bytes;
            code = cells_show(arena, pivot->in.fields[pivot->n_groups - 1].name, order_type(pivot),
                              &at, at + groups.orders[g].length, into, err);
        }
        for (uint32_t i = 0; code == FRESHET_OK && i < pivot->n_values; i++) {
            const char *name = options->values.items[i].value;
            text_append_c(into, i == 0 && !pivot->has_order ? "" : ", ");
            text_append_json(into, name, strlen(name));
            text_append_c(into, ": ");
            code = column_init(arena, &value, cell_type(pivot), 1, err);
            if (code == FRESHET_OK)
                code = read_cell(pivot, arena, &groups.cells[(size_t)g * pivot->n_values + i],
                                 &value, 0, err);
            if (code == FRESHET_OK)
                code = column_to_json(&value, 0, into, err);
        }
        text_append_c(into, "}");
    }
    text_append_c(into, "]");
    return code;
}

freshet_code pivot_open(preprocess_step *step, freshet_error *err)
{
    pivot *pivot = (struct pivot *)step;
    arena *arena = step->chain->arena;
    kept_options keeps = {.doing = PIVOTING,
                          .keys = pivot->in.fields,
                          .n_keys = pivot->n_partition,
                          .limit = step_memory(step),
                          .inspect = pivot_inspect,
                          .step = pivot};
    pivot->work = arena_zero(arena, 1, sizeof *pivot->work);
    if (pivot->work == NULL)
        return error_memory(err, PIVOTING);
    pivot->work->scratch = arena_open();
    text_init(&pivot->work->text, TEXT_LIMIT_DEFAULT);
    const char *type = type_name(arena, pivot->input);
    if (pivot->work->scratch == NULL || type == NULL)
        return error_memory(err, PIVOTING);
    freshet_code code =
        step_part_names(step, arena_format(arena, "groups (%s of %s)", pivot->aggregate.name, type),
                        pivot->in.fields, pivot->n_groups, &keeps.name, &keeps.shape, err);
    return code == FRESHET_OK ? kept_open(&pivot->kept, arena, &keeps, err) : code;
}

const state_part *pivot_part(preprocess_step *step)
{
    return &((pivot *)step)->kept.part;
}

void pivot_close(preprocess_step *step)
{
    pivot *pivot = (struct pivot *)step;
    kept_close(&pivot->kept);
    if (pivot->work == NULL)
        return;
    text_release(&pivot->work->text);
    arena_close(pivot->work->scratch);
    pivot->work = NULL;
}
