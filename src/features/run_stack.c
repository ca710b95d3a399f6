/* run_stack.c - a stack at work: rows become several, each with the value of one column.
 *
 * Rows of one row follow each other, in the order of the columns. A row of which only one is wanted
 * (a replay) becomes that one. Of a key's values nulls make no row where there is another value;
 * where there is none the first is refused, once for all.
 *
 * Behind windows the rows of one row have its write timestamp, and the last is the one that an
 * online store shall have.
 */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "features/cast.h"
#include "features/run.h"

#define STACK_ROWS_MAX (1u << 28)

/* Rows i / n, for i of all. */
static uint32_t *repeat_rows(run *run, uint32_t n, uint32_t n_all)
{
    uint32_t *rows = arena_alloc(run->arena, (n_all + (size_t)1) * sizeof *rows);
    for (uint32_t i = 0; rows != NULL && i < n_all; i++)
        rows[i] = i / n;
    return rows;
}

/* All columns that are there, each row n times. */
static freshet_code repeat_columns(run *run, const uint32_t *rows, uint32_t n_all)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t slot = 0; code == FRESHET_OK && slot < run->plan->n_slots; slot++) {
        column into;
        if (!run->filled[slot])
            continue;
        code = column_init(run->arena, &into, run->columns[slot].type, n_all, run->err);
        if (code == FRESHET_OK)
            code = column_append(run->arena, &into, 0, &run->columns[slot], rows, n_all, run->err);
        if (code == FRESHET_OK)
            run->columns[slot] = into;
    }
    return code;
}

/* Marks, origins, copies, kinds and write timestamps. */
static freshet_code repeat_beside(run *run, const uint32_t *rows, uint32_t n, uint32_t n_all)
{
    const size_t room = n_all + (size_t)1;
    uint8_t *keep = arena_alloc(run->arena, room), *kinds = run->row_kinds;
    uint32_t *index = arena_alloc(run->arena, room * sizeof *index);
    uint32_t *copies = arena_alloc(run->arena, room * sizeof *copies);
    int64_t *write_us = run->write_us;
    if (kinds != NULL)
        kinds = arena_alloc(run->arena, room);
    if (write_us != NULL)
        write_us = arena_alloc(run->arena, room * sizeof *write_us);
    if (keep == NULL || index == NULL || copies == NULL ||
        (run->row_kinds != NULL && kinds == NULL) || (run->write_us != NULL && write_us == NULL))
        return error_memory(run->err, COMPUTING);
    memset(keep, 1, room);
    for (uint32_t i = 0; i < n_all; i++) {
        const uint32_t row = rows[i], of = run->copies == NULL ? 1 : run->copies[row];
        index[i] = run->index == NULL ? row : run->index[row];
        copies[i] = (of - 1) * n + i % n + 1;
        if (kinds != NULL)
            kinds[i] =
                (uint8_t)(i % n + 1 == n ? run->row_kinds[row] : run->row_kinds[row] & ~ROW_ONLINE);
        if (write_us != NULL)
            write_us[i] = run->write_us[row];
    }
    run->keep = keep;
    run->index = index;
    run->copies = copies;
    run->row_kinds = kinds;
    run->write_us = write_us;
    run->n_rows = n_all;
    return FRESHET_OK;
}

/* Is it one that a replay does not want? */
static bool is_unwanted(const run *run, const stack_step *stack, uint32_t row)
{
    if (run->in->wanted == NULL)
        return false;
    const row_copy *wanted = &run->in->wanted[run->index[row]];
    return wanted->copies == stack->copies && wanted->copy != run->copies[row];
}

/* Leaves these out, and what behind windows is for no writer. */
static void drop_others(run *run, const stack_step *stack)
{
    for (uint32_t row = 0; row < run->n_rows; row++)
        if (is_unwanted(run, stack, row) || (run->row_kinds != NULL && run->row_kinds[row] == 0))
            run_drop(run, row);
}

/* The stack's columns, as the type that they have in common, one below the other; `failed` has a
 * bitmap for each, or NULL. */
static freshet_code take_values(run *run, const stack_step *stack, column *into, uint64_t **failed)
{
    freshet_code code =
        column_init(run->arena, into, stack->common, (uint64_t)run->n_rows * stack->n, run->err);
    for (uint32_t i = 0; code == FRESHET_OK && i < stack->n; i++) {
        column cast;
        code = cast_column(run->arena, &run->columns[stack->from[i]], run->n_rows, stack->common,
                           &cast, &failed[i], run->err);
        if (code == FRESHET_OK)
            code = column_append(run->arena, into, (uint64_t)run->n_rows * i, &cast, NULL,
                                 run->n_rows, run->err);
    }
    return code;
}

/* They, row by row. */
static freshet_code turn_values(run *run, const stack_step *stack, uint32_t n_before,
                                const column *below, column *into)
{
    uint32_t *rows = arena_alloc(run->arena, (run->n_rows + (size_t)1) * sizeof *rows);
    if (rows == NULL)
        return error_memory(run->err, COMPUTING);
    for (uint32_t i = 0; i < run->n_rows; i++)
        rows[i] = i % stack->n * n_before + i / stack->n;
    freshet_code code = column_init(run->arena, into, stack->common, run->n_rows, run->err);
    return code == FRESHET_OK
               ? column_append(run->arena, into, 0, below, rows, run->n_rows, run->err)
               : code;
}

/* Values that are not of the common type: decimals that are too long. */
static freshet_code refuse_failed(run *run, const stack_step *stack, const column *before,
                                  uint64_t *const *failed)
{
    freshet_code code = FRESHET_OK;
    if (run->plan->null_on_error && !stack->is_key)
        return code;
    for (uint32_t i = 0; code == FRESHET_OK && i < run->n_rows; i++) {
        const uint32_t which = i % stack->n, row = i / stack->n;
        if (!run->keep[i] || !cast_failed(failed[which], row))
            continue;
        const char *reason = cast_reason(run->arena, &before[which], row, stack->common);
        code = run_refuse(run, i, stack->is_key ? REASON_BAD_KEY : REASON_BAD_CAST,
                          reason == NULL ? NULL
                                         : arena_format(run->arena, "%s: %s", stack->who, reason));
    }
    return code;
}

static freshet_code drop_nulls(run *run, const stack_step *stack)
{
    const column *key = &run->columns[stack->to];
    freshet_code code = FRESHET_OK;
    for (uint32_t first = 0; code == FRESHET_OK && first < run->n_rows && key->valid != NULL;
         first += stack->n) {
        bool has_value = false;
        for (uint32_t i = first; i < first + stack->n; i++)
            has_value |= column_is_valid(key, i) || (!run->keep[i] && !is_unwanted(run, stack, i));
        for (uint32_t i = first; code == FRESHET_OK && i < first + stack->n; i++) {
            if (column_is_valid(key, i) || !run->keep[i])
                continue;
            if (has_value)
                run_drop(run, i);
            else
                code = run_refuse(run, i, REASON_BAD_KEY,
                                  arena_format(run->arena, "%s is null", stack->who));
            has_value = true;
        }
    }
    return code;
}

freshet_code run_stack(run *run, const stack_step *stack)
{
    column below, values;
    assert(stack->n > 0);
    freshet_code code = run_compact(run);
    if ((uint64_t)run->n_rows * stack->n > STACK_ROWS_MAX)
        return error_set(run->err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "%s: %u rows at once would become more than %u", stack->who, run->n_rows,
                         STACK_ROWS_MAX);
    uint64_t **failed = arena_zero(run->arena, stack->n, sizeof *failed);
    column *before = arena_zero(run->arena, stack->n, sizeof *before);
    const uint32_t n_before = run->n_rows, n_all = n_before * stack->n;
    uint32_t *rows = repeat_rows(run, stack->n, n_all);
    if (failed == NULL || before == NULL || rows == NULL)
        return error_memory(run->err, COMPUTING);
    for (uint32_t i = 0; i < stack->n; i++)
        before[i] = run->columns[stack->from[i]];
    if (code == FRESHET_OK)
        code = take_values(run, stack, &below, failed);
    if (code == FRESHET_OK)
        code = repeat_columns(run, rows, n_all);
    if (code == FRESHET_OK)
        code = repeat_beside(run, rows, stack->n, n_all);
    if (code != FRESHET_OK)
        return code;
    run->n_copies = stack->copies;
    drop_others(run, stack);
    code = turn_values(run, stack, n_before, &below, &values);
    if (code == FRESHET_OK)
        code = refuse_failed(run, stack, before, failed);
    if (code == FRESHET_OK)
        code = run_cast(run, stack->who, &values, stack->to, stack->is_key,
                        stack->is_key ? REASON_BAD_KEY : REASON_BAD_CAST);
    return code == FRESHET_OK && stack->is_key ? drop_nulls(run, stack) : code;
}
