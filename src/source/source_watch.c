/* source_watch.c - what the steps of a reader's `preprocess` give, for those who look at it. */
#include <string.h>

#include "base/error.h"
#include "preprocess/preprocess.h"
#include "source/source_internal.h"

#define LEAVING_OUT "leaving refused rows out of a batch"

/* The rows whose raw row is not out, or whose byte of `only` (by raw row; may be NULL) is set. */
static freshet_code leave_out(uint32_t reader, const uint8_t *is_out, const uint8_t *only,
                              arena *arena, const batch **rows, freshet_error *err)
{
    const batch *given = *rows;
    batch all = *given;
    batch *kept = arena_alloc(arena, sizeof *kept);
    uint8_t *keep = arena_zero(arena, given->n_rows + (size_t)1, sizeof *keep);
    all.arena = arena;
    all.origins = NULL;
    all.rows = arena_zero(arena, given->n_rows + (size_t)1, sizeof *all.rows);
    if (kept == NULL || keep == NULL || all.rows == NULL)
        return error_memory(err, LEAVING_OUT);
    for (uint32_t row = 0; row < given->n_rows; row++) {
        all.rows[row] = given->rows == NULL ? ROW_OF(reader, row) : given->rows[row];
        const uint32_t raw = ROW_INDEX(all.rows[row]);
        keep[row] = only == NULL ? !is_out[raw] : only[raw];
    }
    *rows = kept;
    return batch_select(&all, keep, kept, err);
}

/* Rows that wait for their turn are read again then: they are not looked at before it. */
static freshet_code take_meant(uint32_t reader, const batch *raw, const source_order *order,
                               arena *arena, const batch **rows, freshet_error *err)
{
    if (order == NULL || order->rows == NULL || (*rows)->rows != NULL)
        return FRESHET_OK;
    uint8_t *is_meant = arena_zero(arena, raw->n_rows + (size_t)1, sizeof *is_meant);
    if (is_meant == NULL)
        return error_memory(err, LEAVING_OUT);
    for (uint32_t i = 0; i < order->n; i++)
        is_meant[order->rows[i]] = 1;
    return leave_out(reader, NULL, is_meant, arena, rows, err);
}

freshet_code source_look(source *source, uint32_t i, const batch **rows, const batch *raw,
                         const source_order *order, rejects *rejects, arena *arena,
                         freshet_error *err)
{
    const slot *slot = &source->slots[i];
    if (source->watch_steps == NULL || slot->steps == NULL || *rows == NULL || (*rows)->n_rows == 0)
        return FRESHET_OK;
    freshet_code code = take_meant(i, raw, order, arena, rows, err);
    if (code != FRESHET_OK || (*rows)->n_rows == 0)
        return code;
    const source_steps steps = {.reader = i,
                                .rows = *rows,
                                .raw = raw,
                                .input = slot->input,
                                .is_out = arena_zero(arena, raw->n_rows + (size_t)1, 1),
                                .rejects = rejects,
                                .source = source};
    if (steps.is_out == NULL)
        return error_memory(err, LEAVING_OUT);
    sql_input_set(slot->input, *rows, 0, (*rows)->n_rows);
    code = source->watch_steps(source->watch_context, &steps, err);
    sql_input_set(slot->input, NULL, 0, 0);
    if (code == FRESHET_OK && memchr(steps.is_out, 1, raw->n_rows) != NULL)
        code = leave_out(i, steps.is_out, NULL, arena, rows, err);
    return code;
}

bool source_runs_once(const source *source)
{
    return source->watch_steps != NULL || source_remembers(source);
}

void source_watch(source *source, source_steps_fn *steps, source_table_fn *table, void *context)
{
    source->watch_steps = steps;
    source->watch_table = table;
    source->watch_context = context;
}

const char *source_view(const source *source, uint32_t reader)
{
    const plan_reader *described = &source->plan_readers[reader];
    return source->plan.drives[reader] ? described->driving : described->table;
}

const schema *source_stepped(const source *source, uint32_t reader)
{
    const preprocess *steps = source->slots[reader].steps;
    return steps == NULL ? NULL : preprocess_schema(steps);
}

void source_needs(const source *source, uint32_t reader, const bool *after, bool *before)
{
    preprocess_use(source->slots[reader].steps, after, before);
}

bool source_steps_fail(const source_steps *steps)
{
    freshet_error ignored = {0};
    return preprocess_fails(steps->source->slots[steps->reader].steps, &ignored);
}
