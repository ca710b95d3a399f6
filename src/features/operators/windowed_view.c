/* windowed_view.c - see windowed_view.h. */
#include "features/operators/windowed_view.h"

#include "base/error.h"
#include "features/watermark.h"

void windowed_mark_slots(const plan *plan, bool *marked)
{
    for (uint32_t i = 0; i < plan->n_carried; i++)
        marked[plan->carried[i]] = !plan_is_windowed(plan, plan->carried[i]);
    for (uint32_t i = 0; i < plan->n_keys; i++)
        marked[plan->keys[i].to] = true;
    marked[plan->timestamp] = true;
    for (uint32_t v = 0; v < plan->n_views; v++) {
        const view *view = &plan->views[v];
        for (uint32_t i = 0; i < view->n_keys; i++)
            marked[view->keys[i]] = true;
        if (view->order != NO_SLOT)
            marked[view->order] = true;
        for (uint32_t i = 0; i < view->n_columns; i++)
            if (!plan_is_windowed(plan, view->columns[i]))
                marked[view->columns[i]] = true;
    }
}

/* ---- what a view is given -------------------------------------------------------------------- */

freshet_code windowed_make_input(run *run, const view *view, windows_input *input)
{
    *input =
        (windows_input){.n_rows = run->n_rows, .event_us = run->columns[run->plan->timestamp].data};
    column *keys = NULL, *columns = NULL;
    freshet_code code = run_take(run, view->keys, view->n_keys, &keys);
    if (code == FRESHET_OK)
        code = run_take(run, view->columns, view->n_columns, &columns);
    input->keys = keys;
    input->columns = columns;
    return code;
}

/* ---- outputs --------------------------------------------------------------------------------- */

freshet_code windowed_fill_outputs(run *run, const view *view, const column *made)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < view->windows->outputs.n_fields; i++)
        code = run_cast(run, NULL, &made[i], view->to[i], false, REASON_BAD_CAST);
    return code;
}

freshet_code windowed_take_flags(freshet_operator *self, run *run, const uint8_t *flags,
                                 unsigned asked)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t row = 0; code == FRESHET_OK && row < run->n_rows; row++) {
        const unsigned found = flags[row] & asked;
        if (found == 0 || !run->keep[row])
            continue;
        if (found & WINDOWS_LATE)
            code = watermark_refuse(self, run, row, 0);
        else if (found & WINDOWS_KEY_TOO_LONG)
            code = run_refuse(run, row, REASON_TOO_LARGE,
                              arena_format(run->arena, "the keys take more than %u bytes",
                                           WINDOWS_KEY_BYTES_MAX));
        else if (!run->plan->null_on_error)
            code = run_refuse(run, row, REASON_BAD_CAST,
                              "a window's result does not fit its type: use a wider type for the "
                              "column, such as decimal(38,0) or double");
    }
    return code;
}
