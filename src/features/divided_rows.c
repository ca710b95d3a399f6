/* divided_rows.c - see divided_rows.h.
 *
 * MIXING. Behind the instances' run each share has rows in the order of those that it was given:
 * some are gone, and newest rows stand behind the rows that have changed them. A row knows what it
 * was made of by its number in the input and which copy of that it is. So the rows of the whole are
 * found by going through those that were dealt out, and taking of each one's owner what was made of
 * it. The columns are then filled by tasks, each a slice of whole words of the bitmap; arrays and
 * structs, whose elements have no fixed place, by the caller.
 */
#include "features/divided_rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "features/mixed.h"

/* ---- dealing --------------------------------------------------------------------------------- */

freshet_code share_pick(share *share, const uint8_t *owners, uint32_t n_rows, uint8_t which)
{
    uint32_t n = 0;
    share->rows = arena_alloc(share->arena, (n_rows + (size_t)1) * sizeof *share->rows);
    if (share->rows == NULL)
        return error_memory(&share->err, COMPUTING);
    for (uint32_t row = 0; row < n_rows; row++) {
        share->rows[n] = row;
        n += owners[row] == which;
    }
    share->n = n;
    return FRESHET_OK;
}

static freshet_code pick_column(const share *share, const column *from, column *into,
                                freshet_error *err)
{
    freshet_code code = column_init_raw(share->arena, into, from->type, share->n, err);
    return code == FRESHET_OK
               ? column_append(share->arena, into, 0, from, share->rows, share->n, err)
               : code;
}

freshet_code share_see_rows(share *share, const run *all, const bool *wanted)
{
    run *run = &share->run;
    const size_t n = share->n + (size_t)1;
    freshet_code code = run_open(run, share->n);
    run->index = arena_alloc(run->arena, n * sizeof *run->index);
    run->copies = all->copies == NULL ? NULL : arena_alloc(run->arena, n * sizeof *run->copies);
    run->n_refused = 0;
    if (code != FRESHET_OK || run->index == NULL || (all->copies != NULL && run->copies == NULL))
        return error_memory(run->err, COMPUTING);
    for (uint32_t i = 0; i < share->n; i++)
        run->index[i] = all->index == NULL ? share->rows[i] : all->index[share->rows[i]];
    for (uint32_t i = 0; run->copies != NULL && i < share->n; i++)
        run->copies[i] = all->copies[share->rows[i]];
    for (uint32_t slot = 0; code == FRESHET_OK && slot < run->plan->n_slots; slot++) {
        if (!wanted[slot] || !all->filled[slot])
            continue;
        code = pick_column(share, &all->columns[slot], &run->columns[slot], run->err);
        run->filled[slot] = true;
    }
    return code;
}

freshet_code share_see_output(share *share, const run *all)
{
    run *run = &share->run;
    const batch *from = &all->out;
    const uint32_t n_columns = run->plan->n_keys + 1;
    batch *out = &run->out;
    freshet_code code = FRESHET_OK;
    *out = (batch){.arena = share->arena,
                   .schema = {n_columns, from->schema.fields},
                   .n_rows = share->n,
                   .columns = arena_zero(share->arena, n_columns, sizeof *out->columns)};
    if (from->row_kinds != NULL)
        out->row_kinds = arena_alloc(share->arena, share->n + (size_t)1);
    if (from->write_us != NULL)
        out->write_us = arena_alloc(share->arena, (share->n + (size_t)1) * sizeof *out->write_us);
    if (out->columns == NULL || (from->row_kinds != NULL && out->row_kinds == NULL) ||
        (from->write_us != NULL && out->write_us == NULL))
        return error_memory(run->err, COMPUTING);
    for (uint32_t i = 0; code == FRESHET_OK && i < n_columns; i++)
        code = pick_column(share, &from->columns[i], &out->columns[i], run->err);
    for (uint32_t i = 0; out->row_kinds != NULL && i < share->n; i++)
        out->row_kinds[i] = from->row_kinds[share->rows[i]];
    for (uint32_t i = 0; out->write_us != NULL && i < share->n; i++)
        out->write_us[i] = from->write_us[share->rows[i]];
    return code;
}

/* ---- marks and ranks ------------------------------------------------------------------------- */

void share_put_marks(const share *share, run *all)
{
    for (uint32_t i = 0; i < share->n; i++)
        all->keep[share->rows[i]] = share->run.keep[i];
}

freshet_code ranks_open(run *all)
{
    const size_t n = all->out.n_rows + (size_t)1;
    all->row_kinds = arena_alloc(all->arena, n);
    all->write_us = arena_alloc(all->arena, n * sizeof *all->write_us);
    return all->row_kinds == NULL || all->write_us == NULL ? error_memory(all->err, COMPUTING)
                                                           : FRESHET_OK;
}

void share_put_ranks(const share *share, run *all)
{
    for (uint32_t i = 0; i < share->n; i++) {
        all->row_kinds[share->rows[i]] = share->run.out.row_kinds[i];
        all->write_us[share->rows[i]] = share->run.out.write_us[i];
    }
}

void ranks_close(run *all)
{
    all->out.row_kinds = all->row_kinds;
    all->out.write_us = all->write_us;
}

/* ---- rows that were refused ------------------------------------------------------------------ */

static int compare_refused(const void *a, const void *b)
{
    const feature_refusal *x = *(const feature_refusal *const *)a;
    const feature_refusal *y = *(const feature_refusal *const *)b;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return (x->stacked.copy > y->stacked.copy) - (x->stacked.copy < y->stacked.copy);
}

freshet_code shares_tell_refused(share *shares, uint32_t n, run *all)
{
    uint32_t total = 0, at = 0;
    for (uint32_t i = 0; i < n; i++)
        total += shares[i].n_refused;
    if (total == 0)
        return FRESHET_OK;
    const feature_refusal **refused =
        arena_alloc(all->arena, total * sizeof(const feature_refusal *));
    if (refused == NULL)
        return error_memory(all->err, COMPUTING);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < shares[i].n_refused; k++)
            refused[at++] = &shares[i].refused[k];
    qsort(refused, total, sizeof(const feature_refusal *), compare_refused);
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < total; i++)
        code = all->refuse(all->context, refused[i], all->err);
    return code;
}

/* ---- mixing ---------------------------------------------------------------------------------- */

typedef struct mixing {
    const share *shares;
    uint32_t n_shares;
    const run *all; /* as it was dealt out */
    uint32_t n_rows;
    uint8_t *from;  /* whose the row is */
    uint32_t *rows; /* and which of its rows */
    uint32_t slice_rows;
    const share *model; /* one that has rows: all have the same columns */
    run *into;
} mixing;

static uint64_t origin_of(const run *run, uint32_t row)
{
    const uint32_t index = run->index == NULL ? row : run->index[row];
    return (uint64_t)index << 32 | (run->copies == NULL ? 0 : run->copies[row]);
}

static freshet_code find_sources(mixing *mixing, const uint8_t *owners)
{
    const run *all = mixing->all;
    uint32_t next[CREW_WORKERS_MAX] = {0}, total = 0;
    for (uint32_t i = 0; i < mixing->n_shares; i++)
        if (mixing->shares[i].n > 0) {
            total += mixing->shares[i].run.n_rows;
            mixing->model = &mixing->shares[i];
        }
    mixing->from = arena_alloc(all->arena, total + (size_t)1);
    mixing->rows = arena_alloc(all->arena, (total + (size_t)1) * sizeof *mixing->rows);
    if (mixing->from == NULL || mixing->rows == NULL)
        return error_memory(all->err, COMPUTING);
    for (uint32_t row = 0; row < all->n_rows; row++) {
        const uint8_t owner = owners[row];
        const run *run = &mixing->shares[owner].run;
        const uint64_t origin = origin_of(all, row);
        while (next[owner] < run->n_rows && origin_of(run, next[owner]) == origin) {
            mixing->from[mixing->n_rows] = owner;
            mixing->rows[mixing->n_rows++] = next[owner]++;
        }
    }
    return mixing->n_rows == total
               ? FRESHET_OK
               : error_set(all->err, FRESHET_FAILED, FRESHET_STOP, NULL,
                           "an instance of an operator has given rows out of their order");
}

/* The slot in all shares that have rows. */
static mixed mix_of(const mixing *mixing, uint32_t slot, const column **sources)
{
    for (uint32_t i = 0; i < mixing->n_shares; i++)
        sources[i] = mixing->shares[i].n == 0 ? NULL : &mixing->shares[i].run.columns[slot];
    return (mixed){sources, mixing->n_shares, mixing->from, mixing->rows, mixing->n_rows};
}

static void mix_beside(const mixing *mixing, uint32_t first, uint32_t end)
{
    run *into = mixing->into;
    for (uint32_t row = first; row < end; row++) {
        const run *run = &mixing->shares[mixing->from[row]].run;
        const uint32_t from = mixing->rows[row];
        into->index[row] = run->index[from];
        if (into->copies != NULL)
            into->copies[row] = run->copies[from];
        if (into->write_us != NULL) {
            into->write_us[row] = run->write_us[from];
            into->row_kinds[row] = run->row_kinds[from];
        }
    }
}

static void mix_slice(void *context, uint32_t which)
{
    const mixing *mixing = context;
    const uint32_t first = which * mixing->slice_rows;
    const uint32_t end =
        mixing->n_rows - first < mixing->slice_rows ? mixing->n_rows : first + mixing->slice_rows;
    const run *into = mixing->into;
    for (uint32_t slot = 0; slot < into->plan->n_slots; slot++) {
        const column *sources[CREW_WORKERS_MAX];
        if (!into->filled[slot])
            continue;
        const mixed mixed = mix_of(mixing, slot, sources);
        mixed_fill(&mixed, first, end, &into->columns[slot]);
    }
    mix_beside(mixing, first, end);
}

/* Room for all that tasks fill; what they do not is filled here. */
static freshet_code mix_open(mixing *mixing)
{
    assert(mixing->model != NULL); /* several shares have rows */
    run *into = mixing->into;
    const run *model = &mixing->model->run;
    const size_t rows = mixing->n_rows + (size_t)1;
    freshet_code code = run_open(into, mixing->n_rows);
    into->n_refused = 0;
    into->index = arena_alloc(into->arena, rows * sizeof *into->index);
    if (into->copies != NULL)
        into->copies = arena_alloc(into->arena, rows * sizeof *into->copies);
    if (model->write_us != NULL) {
        into->write_us = arena_alloc(into->arena, rows * sizeof *into->write_us);
        into->row_kinds = arena_alloc(into->arena, rows);
    }
    if (code != FRESHET_OK || into->index == NULL ||
        (mixing->all->copies != NULL && into->copies == NULL) ||
        (model->write_us != NULL && (into->write_us == NULL || into->row_kinds == NULL)))
        return error_memory(into->err, COMPUTING);
    for (uint32_t slot = 0; code == FRESHET_OK && slot < into->plan->n_slots; slot++) {
        const column *sources[CREW_WORKERS_MAX];
        if (!model->filled[slot])
            continue;
        const mixed mixed = mix_of(mixing, slot, sources);
        into->filled[slot] = true;
        code = mixed_open(&mixed, into->arena, model->columns[slot].type, &into->columns[slot],
                          into->err);
    }
    return code;
}

freshet_code shares_mix(share *shares, uint32_t n, const uint8_t *owners, crew *crew, run *all)
{
    const run before = *all;
    mixing mixing = {.shares = shares, .n_shares = n, .all = &before, .into = all};
    const uint32_t n_slices = crew_workers(crew);
    freshet_code code = find_sources(&mixing, owners);
    if (code == FRESHET_OK)
        code = mix_open(&mixing);
    if (code != FRESHET_OK)
        return code;
    const uint32_t words = (mixing.n_rows + MIXED_WORD_ROWS - 1) / MIXED_WORD_ROWS;
    mixing.slice_rows = (words + n_slices - 1) / n_slices * MIXED_WORD_ROWS;
    if (mixing.n_rows > 0)
        crew_run(crew, (mixing.n_rows + mixing.slice_rows - 1) / mixing.slice_rows, mix_slice,
                 &mixing);
    return FRESHET_OK;
}
