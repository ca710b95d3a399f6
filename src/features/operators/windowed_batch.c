/* windowed_batch.c - see windowed_batch.h. */
#include "features/operators/windowed_batch.h"

#include "base/error.h"
#include "features/batch_rows.h"
#include "features/operators/windowed_all.h"
#include "features/operators/windowed_view.h"
#include "features/rank.h"

struct windowed_batch {
    freshet_operator *self;
    schema kept;           /* slots that are needed from the windows on */
    const uint32_t *slots; /* of plan, by column of `kept` */
    batch_rows *rows;
    const row_store *set; /* of them, which is computed; NULL before the first */
    struct crew *crew;
    arena *results;
    batch all;              /* the rows of the set */
    windowed_all *computed; /* one a view */
    uint32_t next;          /* row of the set, of the next piece */
};

/* ---- opening and closing --------------------------------------------------------------------- */

/* By the keys of its view, where there is one view only: where they are among the kept columns. */
static freshet_code open_rows(windowed_batch *windowed, const operator_options *options,
                              freshet_error *err)
{
    const plan *plan = windowed->self->plan;
    const view *view = &plan->views[0];
    arena *arena = windowed->self->arena;
    uint32_t *keys = arena_alloc(arena, (view->n_keys + (size_t)1) * sizeof *keys);
    const batch_rows_options kept = {.schema = &windowed->kept,
                                     .keys = keys,
                                     .n_keys = plan->n_views == 1 ? view->n_keys : 0,
                                     .memory = declaration_batch_memory(options->declaration) /
                                               BATCH_ROWS_SHARE,
                                     .folder = declaration_batch_path(options->declaration, arena),
                                     .pipeline = options->declaration->pipeline.value,
                                     .crew = windowed->crew};
    if (keys == NULL || kept.folder == NULL)
        return error_memory(err, "opening the windows");
    for (uint32_t i = 0; i < view->n_keys; i++)
        for (uint32_t k = 0; k < windowed->kept.n_fields; k++)
            if (windowed->slots[k] == view->keys[i])
                keys[i] = k;
    return batch_rows_open(&kept, &windowed->rows, err);
}

static freshet_code open_columns(windowed_batch *windowed, freshet_error *err)
{
    const plan *plan = windowed->self->plan;
    bool *marked = arena_zero(windowed->self->arena, plan->n_slots, sizeof *marked);
    uint32_t *slots = arena_alloc(windowed->self->arena, plan->n_slots * sizeof *slots);
    field *fields = arena_alloc(windowed->self->arena, plan->n_slots * sizeof *fields);
    windowed->computed =
        arena_zero(windowed->self->arena, plan->n_views, sizeof *windowed->computed);
    windowed->results = arena_open();
    if (marked == NULL || slots == NULL || fields == NULL || windowed->computed == NULL ||
        windowed->results == NULL)
        return error_memory(err, "opening the windows");
    windowed_mark_slots(plan, marked);
    uint32_t n = 0;
    for (uint32_t slot = 0; slot < plan->n_slots; slot++) {
        if (!marked[slot])
            continue;
        slots[n] = slot;
        fields[n++] = plan->slots[slot];
    }
    windowed->slots = slots;
    windowed->kept = (schema){.n_fields = n, .fields = fields};
    return FRESHET_OK;
}

freshet_code windowed_batch_open(freshet_operator *self, const operator_options *options,
                                 windowed_batch **out, freshet_error *err)
{
    windowed_batch *windowed = arena_zero(self->arena, 1, sizeof *windowed);
    if (windowed == NULL)
        return error_memory(err, "opening the windows");
    *out = windowed;
    windowed->self = self;
    windowed->crew = options->set->crew;
    freshet_code code = open_columns(windowed, err);
    return code == FRESHET_OK ? open_rows(windowed, options, err) : code;
}

void windowed_batch_close(windowed_batch *windowed)
{
    if (windowed == NULL)
        return;
    batch_rows_close(windowed->rows);
    arena_close(windowed->results);
}

/* ---- rows ------------------------------------------------------------------------------------ */

freshet_code windowed_batch_add(windowed_batch *windowed, run *run)
{
    batch rows = {.arena = run->arena, .schema = windowed->kept, .n_rows = run->n_rows};
    freshet_code code = run_take(run, windowed->slots, windowed->kept.n_fields, &rows.columns);
    if (code != FRESHET_OK)
        return code;
    code = batch_rows_add(windowed->rows, &rows, run->err);
    return code == FRESHET_OK ? run_give_none(run) : code;
}

/* The columns of all n rows by slot, as a run has them. */
static freshet_code spread(windowed_batch *windowed, run *run, uint32_t n)
{
    freshet_code code = run_open(run, n);
    for (uint32_t i = 0; code == FRESHET_OK && i < windowed->kept.n_fields; i++)
        run_fill(run, windowed->slots[i], &run->in->columns[i]);
    return code;
}

/* Of a set of rows. */
static freshet_code compute_all(windowed_batch *windowed, freshet_error *err)
{
    const uint32_t n = row_store_rows(windowed->set);
    run all = {.plan = (plan *)windowed->self->plan,
               .arena = windowed->results,
               .in = &windowed->all,
               .err = err};
    freshet_code code =
        row_store_take(windowed->set, windowed->results, NULL, 0, n, &windowed->all, err);
    if (code == FRESHET_OK)
        code = spread(windowed, &all, n);
    for (uint32_t v = 0; code == FRESHET_OK && v < windowed->self->plan->n_views; v++) {
        const view *view = &windowed->self->plan->views[v];
        windows_input input;
        if (view->windows->outputs.n_fields == 0)
            continue;
        code = windowed_make_input(&all, view, &input);
        if (code == FRESHET_OK && view->order != NO_SLOT)
            code = rank_rows(windowed->results, &all.columns[view->order], n, &input.event_us, err);
        if (code == FRESHET_OK)
            code = windowed_all_compute(view->windows, &input, windowed->crew, windowed->results,
                                        &windowed->computed[v], err);
    }
    return code;
}

static freshet_code finish_view(windowed_batch *windowed, run *run, uint32_t v, uint32_t first)
{
    const view *view = &windowed->self->plan->views[v];
    column *pieces;
    uint8_t *flags;
    if (view->windows->outputs.n_fields == 0)
        return FRESHET_OK;
    freshet_code code = windowed_all_take(&windowed->computed[v], first, run->n_rows, run->arena,
                                          &pieces, &flags, run->err);
    if (code == FRESHET_OK)
        code = windowed_fill_outputs(run, view, pieces);
    return code == FRESHET_OK ? windowed_take_flags(windowed->self, run, flags,
                                                    WINDOWS_KEY_TOO_LONG | WINDOWS_OVERFLOW)
                              : code;
}

/* Computes the next set, where all rows of the one before were given. */
static freshet_code next_set(windowed_batch *windowed, freshet_error *err)
{
    if (windowed->set != NULL && windowed->next < row_store_rows(windowed->set))
        return FRESHET_OK;
    windowed->set = NULL;
    windowed->next = 0;
    arena_rewind(windowed->results);
    const freshet_code code = batch_rows_next(windowed->rows, &windowed->set, err);
    return code == FRESHET_OK ? compute_all(windowed, err) : code;
}

freshet_code windowed_batch_next(windowed_batch *windowed, run *run)
{
    feature_set_figures *figures = &windowed->self->figures;
    freshet_code code = next_set(windowed, run->err);
    if (code != FRESHET_OK)
        return code;
    const uint32_t n = row_store_rows(windowed->set), first = windowed->next;
    const uint32_t n_rows = n - first < WINDOWED_PIECE_ROWS ? n - first : WINDOWED_PIECE_ROWS;
    batch *piece = arena_zero(run->arena, 1, sizeof *piece);
    if (piece == NULL)
        return error_memory(run->err, COMPUTING);
    code = row_store_take(windowed->set, run->arena, NULL, first, n_rows, piece, run->err);
    run->in = piece;
    if (code == FRESHET_OK)
        code = spread(windowed, run, n_rows);
    for (uint32_t v = 0; code == FRESHET_OK && v < windowed->self->plan->n_views; v++)
        code = finish_view(windowed, run, v, first);
    if (code == FRESHET_OK)
        code = run_compact(run);
    if (code != FRESHET_OK)
        return code;
    windowed->next += n_rows;
    figures->gathered = batch_rows_count(windowed->rows);
    figures->given += n_rows;
    return code;
}
