/* hooks_hold.c - a batch's rows held back until all hooks hold.
 *
 * A hook that fails at the last row of a batch must leave nothing of it written. Writers that show
 * their rows with the end of the batch (`history`, `kafka` with transactions) need no help; nor the
 * debug table, which ends with the run. For all others the feature rows are kept in memory until
 * the last hook was asked, and then delivered.
 */
#include "base/error.h"
#include "pipeline/hooks_internal.h"

bool hooks_holds(const hooks *hooks)
{
    return hooks != NULL && hooks->held != NULL && !hooks->gives;
}

bool hooks_gives(const hooks *hooks)
{
    return hooks != NULL && hooks->gives;
}

freshet_code hooks_hold(freshet_pipeline *pipeline, freshet_error *err)
{
    delivery *delivery = &pipeline->delivery;
    freshet_code code = FRESHET_OK;
    if (delivery->rows.n_rows > 0)
        code =
            row_store_add(pipeline->hooks->held, &delivery->rows, NULL, delivery->rows.n_rows, err);
    delivery->rows.n_rows = 0; /* a step that is tried again does not hold them twice */
    if (code == FRESHET_OK)
        code = pipeline_write_letters(pipeline, err);
    if (code != FRESHET_OK)
        return code;
    delivery->pending = false;
    return refusals_check(pipeline, err);
}

freshet_code hooks_release(freshet_pipeline *pipeline, freshet_error *err)
{
    const freshet_code code = hooks_end(pipeline, err);
    pipeline->hooks->gives = code == FRESHET_OK;
    return code;
}

freshet_code hooks_give(freshet_pipeline *pipeline, freshet_error *err)
{
    hooks *hooks = pipeline->hooks;
    const uint32_t left = row_store_rows(hooks->held) - hooks->n_given;
    const uint32_t n = left < STEP_ROWS_MAX ? left : STEP_ROWS_MAX;
    if (n == 0)
        return FRESHET_END;
    freshet_code code = row_store_take(hooks->held, pipeline->step_arena, NULL, hooks->n_given, n,
                                       &pipeline->delivery.rows, err);
    if (code == FRESHET_OK)
        code = hooks_made(pipeline, err);
    pipeline->delivery.pending = code == FRESHET_OK;
    hooks->n_given += code == FRESHET_OK ? n : 0;
    return code;
}
