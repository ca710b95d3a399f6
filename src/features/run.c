/* run.c - see run.h.
 *
 * A stage that fails because of a row is run again on halves, until the rows that make it fail are
 * found; they are refused, and the stage runs once more on all others. Long texts of a result live
 * in the statement until it runs again, so parts of results are never put together.
 */
#include "features/run.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "features/cast.h"
#include "features/operator.h"

freshet_code run_open(run *run, uint32_t n_rows)
{
    run->n_rows = n_rows;
    run->columns = arena_zero(run->arena, run->plan->n_slots, sizeof *run->columns);
    run->filled = arena_zero(run->arena, run->plan->n_slots, sizeof *run->filled);
    run->keep = arena_alloc(run->arena, n_rows + (size_t)1);
    if (run->columns == NULL || run->filled == NULL || run->keep == NULL)
        return error_memory(run->err, COMPUTING);
    memset(run->keep, 1, n_rows);
    return FRESHET_OK;
}

/* ---- refusing rows --------------------------------------------------------------------------- */

freshet_code run_refuse(run *run, uint32_t row, reason_code code, const char *reason)
{
    if (reason == NULL)
        return error_memory(run->err, COMPUTING);
    assert(run->keep[row]);
    run->keep[row] = 0;
    run->n_refused++;
    const feature_refusal refused = {
        .in = run->in,
        .row = run->index == NULL ? row : run->index[row],
        .stacked = {run->copies == NULL ? 0 : run->copies[row], run->n_copies},
        .code = code,
        .reason = reason};
    return run->refuse(run->context, &refused, run->err);
}

void run_drop(run *run, uint32_t row)
{
    assert(run->keep[row]);
    run->keep[row] = 0;
    run->n_refused++;
}

/* The same of what stands beside the columns. */
static bool compact_beside(run *run, uint32_t n_kept)
{
    uint32_t *index = arena_alloc(run->arena, (n_kept + 1) * sizeof *index);
    uint32_t *copies =
        run->copies == NULL ? NULL : arena_alloc(run->arena, (n_kept + 1) * sizeof *copies);
    int64_t *write_us = run->write_us;
    if (index == NULL || (run->copies != NULL && copies == NULL))
        return false;
    for (uint32_t row = 0, kept = 0; row < run->n_rows; row++) {
        if (!run->keep[row])
            continue;
        index[kept] = run->index == NULL ? row : run->index[row];
        if (copies != NULL)
            copies[kept] = run->copies[row];
        if (write_us != NULL) {
            write_us[kept] = write_us[row];
            run->row_kinds[kept] = run->row_kinds[row];
        }
        kept++;
    }
    run->index = index;
    run->copies = copies;
    return true;
}

freshet_code run_compact(run *run)
{
    const plan *plan = run->plan;
    if (run->n_refused == 0)
        return FRESHET_OK;
    uint32_t n = 0, n_kept = run->n_rows - run->n_refused;
    uint32_t *slots = arena_alloc(run->arena, plan->n_slots * sizeof *slots);
    batch from = {.arena = run->arena, .n_rows = run->n_rows}, into;
    from.columns = arena_alloc(run->arena, plan->n_slots * sizeof *from.columns);
    if (slots == NULL || from.columns == NULL)
        return error_memory(run->err, COMPUTING);
    for (uint32_t slot = 0; slot < plan->n_slots; slot++)
        if (run->filled[slot]) {
            slots[n] = slot;
            from.columns[n++] = run->columns[slot];
        }
    from.schema.n_fields = n;
    freshet_code code = batch_select(&from, run->keep, &into, run->err);
    if (code != FRESHET_OK)
        return code;
    for (uint32_t i = 0; i < n; i++)
        run->columns[slots[i]] = into.columns[i];
    if (!compact_beside(run, n_kept))
        return error_memory(run->err, COMPUTING);
    run->n_rows = n_kept;
    run->n_refused = 0;
    memset(run->keep, 1, n_kept);
    return FRESHET_OK;
}

/* ---- casts ----------------------------------------------------------------------------------- */

void run_fill(run *run, uint32_t slot, const column *column)
{
    run->columns[slot] = *column;
    run->filled[slot] = true;
}

freshet_code run_take(run *run, const uint32_t *slots, uint32_t n, column **out)
{
    *out = arena_zero(run->arena, n + (size_t)1, sizeof **out);
    if (*out == NULL)
        return error_memory(run->err, COMPUTING);
    for (uint32_t i = 0; i < n; i++)
        (*out)[i] = run->columns[slots[i]];
    return FRESHET_OK;
}

freshet_code run_cast(run *run, const char *who, const column *made, uint32_t slot, bool must,
                      reason_code refusal)
{
    const field *to = &run->plan->slots[slot];
    column cast;
    uint64_t *failed;
    freshet_code code =
        cast_column(run->arena, made, run->n_rows, to->type, &cast, &failed, run->err);
    const bool refuses = failed != NULL && (must || !run->plan->null_on_error);
    if (refuses && who == NULL)
        who = arena_format(run->arena, "feature \"%s\"", to->name);
    for (uint32_t row = 0; code == FRESHET_OK && refuses && row < run->n_rows; row++) {
        if (!cast_failed(failed, row) || !run->keep[row])
            continue;
        const char *reason = cast_reason(run->arena, made, row, to->type);
        code = run_refuse(
            run, row, refusal,
            who == NULL || reason == NULL ? NULL : arena_format(run->arena, "%s: %s", who, reason));
    }
    if (code == FRESHET_OK)
        run_fill(run, slot, &cast);
    return code;
}

static freshet_code cast_by(run *run, const cast_step *cast, bool must, reason_code refusal)
{
    return run_cast(run, cast->who, &run->columns[cast->from], cast->to, must, refusal);
}

freshet_code run_refuse_nulls(run *run, const column *column, reason_code refusal,
                              const char *reason)
{
    freshet_code code = FRESHET_OK;
    if (column->valid == NULL)
        return FRESHET_OK;
    for (uint32_t row = 0; code == FRESHET_OK && row < run->n_rows; row++)
        if (!column_is_valid(column, row) && run->keep[row])
            code = run_refuse(run, row, refusal, reason);
    return code;
}

static freshet_code run_key_columns(run *run)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < run->plan->n_keys; i++) {
        const cast_step *key = &run->plan->keys[i];
        if (key->from == NO_SLOT) /* a step makes it */
            continue;
        code = cast_by(run, key, true, REASON_BAD_KEY);
        if (code == FRESHET_OK && run->columns[key->to].valid != NULL)
            code = run_refuse_nulls(run, &run->columns[key->to], REASON_BAD_KEY,
                                    arena_format(run->arena, "%s is null", key->who));
    }
    return code;
}

static freshet_code run_time_column(run *run)
{
    const plan *plan = run->plan;
    const column *from = &run->columns[plan->timestamp_from];
    column made;
    uint64_t *failed;
    freshet_code code = event_time_column(&plan->event_time, run->arena, from, run->n_rows, &made,
                                          &failed, run->err);
    for (uint32_t row = 0; code == FRESHET_OK && failed != NULL && row < run->n_rows; row++) {
        if (!cast_failed(failed, row))
            continue;
        const char *reason = event_time_reason(&plan->event_time, run->arena, from, row);
        code =
            run_refuse(run, row, REASON_BAD_TIME,
                       reason == NULL ? NULL : arena_format(run->arena, "timestamp: %s", reason));
    }
    if (code == FRESHET_OK && made.valid != NULL)
        code = run_refuse_nulls(
            run, &made, REASON_BAD_TIME,
            arena_format(run->arena, "timestamp: column \"%s\" is null", plan->timestamp_name));
    if (code == FRESHET_OK)
        run_fill(run, plan->timestamp, &made);
    return code;
}

/* ---- stages of SQL --------------------------------------------------------------------------- */

/* Runs the statement over rows [first, first + n) of the stage's batch. */
static freshet_code run_part(const stage *stage, sql_statement *statement, const batch *seen,
                             uint32_t first, uint32_t n, arena *arena, batch *out,
                             freshet_error *err)
{
    sql_input_set(stage->input, seen, first, n);
    freshet_code code = sql_run(statement, arena, out, err);
    sql_input_set(stage->input, NULL, 0, 0);
    return code;
}

static bool is_of_row(freshet_code code, const freshet_error *failure)
{
    return code != FRESHET_OK && failure->then == FRESHET_SKIP_ROW;
}

/* The statement fails for this row: which of its features is it, and why? */
static freshet_code run_refuse_row(run *run, stage *stage, const batch *seen, uint32_t row,
                                   const freshet_error *failure)
{
    for (uint32_t i = 0; i < stage->n_features && stage->n_features > 1; i++) {
        sql_feature *feature = &stage->features[i];
        freshet_error own;
        batch out;
        if (feature->alone == NULL) {
            freshet_code code = plan_prepare_alone(run->plan, stage, feature, NULL, run->err);
            if (code != FRESHET_OK)
                return code;
        }
        freshet_code code = run_part(stage, feature->alone, seen, row, 1, run->arena, &out, &own);
        if (is_of_row(code, &own))
            return run_refuse(run, row, REASON_SQL_ERROR,
                              arena_format(run->arena, "%s: %s", feature->who, own.text));
    }
    return run_refuse(run, row, REASON_SQL_ERROR,
                      arena_format(run->arena, "%s: %s", stage->features[0].who, failure->text));
}

/* Finds the rows that make the stage fail among [first, first + n), for which it failed. The depth
 * is that of halving BATCH_ROWS_MAX. */
static freshet_code refuse_rows(run *run, stage *stage, const batch *seen, uint32_t first,
                                uint32_t n, const freshet_error *failure)
{
    if (n == 1)
        return run_refuse_row(run, stage, seen, first, failure);
    const uint32_t half = n / 2;
    const struct {
        uint32_t first, n;
    } parts[] = {{first, half}, {first + half, n - half}};
    for (unsigned i = 0; i < 2; i++) {
        freshet_error own;
        batch out;
        freshet_code code = run_part(stage, stage->statement, seen, parts[i].first, parts[i].n,
                                     run->arena, &out, &own);
        if (is_of_row(code, &own))
            code = refuse_rows(run, stage, seen, parts[i].first, parts[i].n, &own);
        else if (code != FRESHET_OK)
            return error_set(run->err, code, own.then, own.at, "%s", own.text);
        if (code != FRESHET_OK)
            return code;
    }
    return FRESHET_OK;
}

/* The growing row as the stage's input: only the columns that the statement reads are there. */
static freshet_code make_seen(const run *run, const stage *stage, batch *seen)
{
    *seen = (batch){.arena = run->arena, .schema = stage->seen, .n_rows = run->n_rows};
    seen->columns = arena_zero(run->arena, stage->seen.n_fields, sizeof *seen->columns);
    if (seen->columns == NULL)
        return error_memory(run->err, COMPUTING);
    for (uint32_t i = 0; i < stage->seen.n_fields; i++)
        if (stage->used[i])
            seen->columns[i] = run->columns[stage->slots[i]];
    return FRESHET_OK;
}

/* One row for each row, in order. */
static freshet_code check_rows(const run *run, const stage *stage, const batch *out)
{
    const int64_t *rows = out->columns[stage->n_features].data;
    bool right = out->n_rows == run->n_rows;
    for (uint32_t i = 0; right && i < out->n_rows; i++)
        right = rows[i] == (int64_t)i;
    if (right)
        return FRESHET_OK;
    return error_set(run->err, FRESHET_FAILED, FRESHET_STOP, NULL,
                     "the SQL of %s gave %u rows for %u: write it so that it gives one value for "
                     "each row",
                     stage->features[0].who, out->n_rows, run->n_rows);
}

/* Runs the statement on all rows; refuses those that make it fail. */
static freshet_code evaluate(run *run, stage *stage, batch *out)
{
    for (;;) {
        freshet_error failure;
        batch seen;
        freshet_code code = run_compact(run);
        if (code == FRESHET_OK)
            code = make_seen(run, stage, &seen);
        if (code != FRESHET_OK)
            return code;
        if (run->n_rows == 0)
            return batch_init(out, run->arena, sql_statement_schema(stage->statement), 0, run->err);
        code = run_part(stage, stage->statement, &seen, 0, run->n_rows, run->arena, out, &failure);
        if (code == FRESHET_OK)
            return check_rows(run, stage, out);
        if (!is_of_row(code, &failure))
            return error_set(run->err, code, failure.then, failure.at, "%s", failure.text);
        code = refuse_rows(run, stage, &seen, 0, run->n_rows, &failure);
        if (code != FRESHET_OK)
            return code;
        if (run->n_refused == 0) /* it fails for all rows together, but for none alone */
            return error_set(run->err, FRESHET_FAILED, FRESHET_STOP, failure.at, "%s",
                             failure.text);
    }
}

static freshet_code run_made_key(run *run, const sql_feature *feature, const column *made)
{
    freshet_code code = run_cast(run, feature->who, made, feature->to, true, REASON_BAD_KEY);
    return code != FRESHET_OK || run->columns[feature->to].valid == NULL
               ? code
               : run_refuse_nulls(run, &run->columns[feature->to], REASON_BAD_KEY,
                                  arena_format(run->arena, "%s is null", feature->who));
}

static freshet_code run_stage(run *run, stage *stage)
{
    batch out;
    freshet_code code = evaluate(run, stage, &out);
    for (uint32_t i = 0; code == FRESHET_OK && i < stage->n_features; i++) {
        const sql_feature *feature = &stage->features[i];
        code = feature->is_key ? run_made_key(run, feature, &out.columns[i])
                               : run_cast(run, feature->who, &out.columns[i], feature->to, false,
                                          REASON_BAD_CAST);
    }
    return code;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static freshet_code run_steps(run *run, const steps *steps)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < steps->n; i++) {
        const step *step = &steps->items[i];
        code = step->stage != NULL   ? run_stage(run, step->stage)
               : step->stack != NULL ? run_stack(run, step->stack)
                                     : cast_by(run, &step->cast, false, REASON_BAD_CAST);
    }
    return code;
}

static freshet_code run_output(run *run)
{
    const plan *plan = run->plan;
    const uint64_t *rows = run->in->rows;
    batch *out = &run->out;
    *out = (batch){.arena = run->arena,
                   .schema = plan->output,
                   .n_rows = run->n_rows,
                   .write_us = run->write_us,
                   .row_kinds = run->row_kinds};
    out->columns = arena_alloc(run->arena, plan->output.n_fields * sizeof *out->columns);
    if (rows != NULL)
        out->rows = arena_alloc(run->arena, (run->n_rows + 1) * sizeof *out->rows);
    if (out->columns == NULL || (rows != NULL && out->rows == NULL))
        return error_memory(run->err, COMPUTING);
    for (uint32_t i = 0; i < plan->output.n_fields; i++)
        out->columns[i] = run->columns[plan->output_slots[i]];
    for (uint32_t row = 0; rows != NULL && row < run->n_rows; row++)
        out->rows[row] = rows[run->index == NULL ? row : run->index[row]];
    run->is_output = true;
    return FRESHET_OK;
}

freshet_code run_give_none(run *run)
{
    run->is_output = true;
    return batch_init(&run->out, run->arena, &run->plan->output, 0, run->err);
}

/* ---- as operators ---------------------------------------------------------------------------- */

static freshet_code columns_run(freshet_operator *self, run *run)
{
    freshet_code code = run_open(run, run->in->n_rows);
    for (uint32_t slot = 0; code == FRESHET_OK && slot < self->plan->n_source; slot++)
        if (self->plan->needed[slot])
            run_fill(run, slot, &run->in->columns[slot]);
    if (code == FRESHET_OK)
        code = run_time_column(run);
    return code == FRESHET_OK ? run_key_columns(run) : code;
}

static freshet_code before_windows_run(freshet_operator *self, run *run)
{
    freshet_code code = run_steps(run, &self->plan->steps[PHASE_ROW]);
    return code == FRESHET_OK ? run_steps(run, &self->plan->steps[PHASE_STACKS]) : code;
}

static freshet_code after_windows_run(freshet_operator *self, run *run)
{
    if (run->is_output)
        return FRESHET_OK;
    freshet_code code = run_steps(run, &self->plan->steps[PHASE_WINDOWS]);
    if (code == FRESHET_OK)
        code = run_compact(run);
    return code == FRESHET_OK ? run_output(run) : code;
}

#define STEP(step)                                                         \
    {                                                                      \
        .name = #step, .size = sizeof(freshet_operator), .run = step##_run \
    }

const operator_ops columns_operator = STEP(columns);
const operator_ops before_windows_operator = STEP(before_windows);
const operator_ops after_windows_operator = STEP(after_windows);
