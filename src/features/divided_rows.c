/* divided_rows.c - see divided_rows.h.
 *
 * MIXING. Behind the instances' run each share has rows in the order of those that it was given:
 * some are gone, and newest rows stand behind the rows that have changed them. A row knows what it
 * was made of by its number in the input and which copy of that it is. So the rows of the whole are
 * found by going through those that were dealt out, and taking of each one's owner what was made of
 * it. The columns are then filled by tasks, each a slice of whole words of the bitmap; arrays and
 * structs, whose elements have no fixed place, by the caller. Where the rows stay what they were,
 * only the columns that have come are mixed.
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
    if (code != FRESHET_OK || run->index == NULL || (all->copies != NULL && run->copies == NULL))
        return error_memory(run->err, COMPUTING);
    for (uint32_t i = 0; i < share->n; i++)
        run->index[i] = all->index == NULL ? share->rows[i] : all->index[share->rows[i]];
    for (uint32_t i = 0; run->copies != NULL && i < share->n; i++)
        run->copies[i] = all->copies[share->rows[i]];
    for (uint32_t i = 0; all->n_refused > 0 && i < share->n; i++)
        run->keep[i] = all->keep[share->rows[i]];
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
    const uint8_t *from; /* whose the row is */
    uint32_t *rows;      /* and which of its rows */
    uint32_t slice_rows;
    const share *model; /* one that has rows: all have the same columns */
    bool *slots;        /* which are mixed */
    bool is_anew;       /* the rows are other ones than were dealt out */
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
    uint8_t *from = arena_alloc(all->arena, total + (size_t)1);
    mixing->from = from;
    mixing->rows = arena_alloc(all->arena, (total + (size_t)1) * sizeof *mixing->rows);
    if (from == NULL || mixing->rows == NULL)
        return error_memory(all->err, COMPUTING);
    for (uint32_t row = 0; row < all->n_rows; row++) {
        const uint8_t owner = owners[row];
        const run *run = &mixing->shares[owner].run;
        const uint64_t origin = origin_of(all, row);
        while (next[owner] < run->n_rows && origin_of(run, next[owner]) == origin) {
            from[mixing->n_rows] = owner;
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
        if (!mixing->slots[slot])
            continue;
        const mixed mixed = mix_of(mixing, slot, sources);
        mixed_fill(&mixed, first, end, &into->columns[slot]);
    }
    if (mixing->is_anew)
        mix_beside(mixing, first, end);
}

/* Room for what stands beside the columns of rows that are other ones. */
static freshet_code mix_begin(const mixing *mixing)
{
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
    return code != FRESHET_OK || into->index == NULL ||
                   (mixing->all->copies != NULL && into->copies == NULL) ||
                   (model->write_us != NULL && (into->write_us == NULL || into->row_kinds == NULL))
               ? error_memory(into->err, COMPUTING)
               : FRESHET_OK;
}

/* Room for the slots that are filled: all of a run anew, else those that were not. What tasks do
 * not fill is filled here. */
static freshet_code mix_open(mixing *mixing)
{
    run *into = mixing->into;
    const run *model = &mixing->model->run;
    freshet_code code = FRESHET_OK;
    mixing->slots = arena_zero(into->arena, into->plan->n_slots, sizeof *mixing->slots);
    if (mixing->slots == NULL)
        return error_memory(into->err, COMPUTING);
    for (uint32_t slot = 0; code == FRESHET_OK && slot < into->plan->n_slots; slot++) {
        const column *sources[CREW_WORKERS_MAX];
        mixing->slots[slot] = model->filled[slot] && !into->filled[slot];
        if (!mixing->slots[slot])
            continue;
        const mixed mixed = mix_of(mixing, slot, sources);
        into->filled[slot] = true;
        code = mixed_open(&mixed, into->arena, model->columns[slot].type, &into->columns[slot],
                          into->err);
    }
    return code;
}

static freshet_code mix_all(mixing *mixing, crew *crew)
{
    const uint32_t n_slices = crew_workers(crew);
    freshet_code code = mix_open(mixing);
    if (code != FRESHET_OK)
        return code;
    const uint32_t words = (mixing->n_rows + MIXED_WORD_ROWS - 1) / MIXED_WORD_ROWS;
    mixing->slice_rows = (words + n_slices - 1) / n_slices * MIXED_WORD_ROWS;
    if (mixing->n_rows > 0)
        crew_run(crew, (mixing->n_rows + mixing->slice_rows - 1) / mixing->slice_rows, mix_slice,
                 mixing);
    return FRESHET_OK;
}

freshet_code shares_mix(share *shares, uint32_t n, const uint8_t *owners, crew *crew, run *all)
{
    const run before = *all;
    mixing mixing = {.shares = shares, .n_shares = n, .all = &before, .is_anew = true, .into = all};
    freshet_code code = find_sources(&mixing, owners);
    assert(code != FRESHET_OK || mixing.model != NULL); /* several shares have rows */
    if (code == FRESHET_OK)
        code = mix_begin(&mixing);
    return code == FRESHET_OK ? mix_all(&mixing, crew) : code;
}

freshet_code shares_fill(share *shares, uint32_t n, const uint8_t *owners, crew *crew, run *all)
{
    uint32_t next[CREW_WORKERS_MAX] = {0};
    mixing mixing = {.shares = shares,
                     .n_shares = n,
                     .all = all,
                     .n_rows = all->n_rows,
                     .from = owners,
                     .model = &shares[owners[0]],
                     .into = all};
    mixing.rows = arena_alloc(all->arena, (all->n_rows + (size_t)1) * sizeof *mixing.rows);
    if (mixing.rows == NULL)
        return error_memory(all->err, COMPUTING);
    for (uint32_t row = 0; row < all->n_rows; row++)
        mixing.rows[row] = next[owners[row]]++;
    return mix_all(&mixing, crew);
}

/* ---- one behind the other -------------------------------------------------------------------- */

static const batch *batch_of(const share *share)
{
    return share->run.is_output ? &share->run.out : share->run.in;
}

/* The batches of the shares; not what stands beside their columns. */
static freshet_code join_batches(const share *shares, uint32_t n, arena *arena, batch *out,
                                 freshet_error *err)
{
    const schema schema = batch_of(shares)->schema;
    uint32_t total = 0;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; i < n; i++)
        total += batch_of(&shares[i])->n_rows;
    *out = (batch){.arena = arena, .schema = schema, .n_rows = total};
    out->columns = arena_zero(arena, schema.n_fields + (size_t)1, sizeof *out->columns);
    if (out->columns == NULL)
        return error_memory(err, COMPUTING);
    for (uint32_t c = 0; code == FRESHET_OK && c < schema.n_fields; c++) {
        uint32_t at = 0;
        code =
            column_init_raw(arena, &out->columns[c], batch_of(shares)->columns[c].type, total, err);
        for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
            const batch *from = batch_of(&shares[i]);
            code = column_append(arena, &out->columns[c], at, &from->columns[c], NULL, from->n_rows,
                                 err);
            at += from->n_rows;
        }
    }
    return code;
}

static freshet_code join_output(const share *shares, uint32_t n, run *into)
{
    batch *out = &into->out;
    const batch *first = &shares[0].run.out;
    freshet_code code = join_batches(shares, n, into->arena, out, into->err);
    const size_t rows = out->n_rows + (size_t)1;
    if (first->write_us != NULL)
        out->write_us = arena_alloc(into->arena, rows * sizeof *out->write_us);
    if (first->row_kinds != NULL)
        out->row_kinds = arena_alloc(into->arena, rows);
    if (code != FRESHET_OK || (first->write_us != NULL && out->write_us == NULL) ||
        (first->row_kinds != NULL && out->row_kinds == NULL))
        return error_memory(into->err, COMPUTING);
    for (uint32_t i = 0, at = 0; i < n; at += shares[i++].run.out.n_rows) {
        const batch *from = &shares[i].run.out;
        if (out->write_us != NULL && from->write_us != NULL && from->n_rows > 0)
            memcpy(out->write_us + at, from->write_us, from->n_rows * sizeof *out->write_us);
        if (out->row_kinds != NULL && from->row_kinds != NULL && from->n_rows > 0)
            memcpy(out->row_kinds + at, from->row_kinds, from->n_rows);
    }
    into->is_output = true;
    return FRESHET_OK;
}

/* Rows by slot, each of a row of what the shares know of their own rows (run->in). */
static freshet_code join_rows(const share *shares, uint32_t n, run *into)
{
    const run *model = &shares[0].run;
    uint32_t total = 0, at = 0, origin = 0;
    batch *known = arena_zero(into->arena, 1, sizeof *known);
    for (uint32_t i = 0; i < n; i++)
        total += shares[i].run.n_rows;
    freshet_code code = known == NULL ? FRESHET_NO_MEMORY : run_open(into, total);
    if (code == FRESHET_OK)
        code = join_batches(shares, n, into->arena, known, into->err);
    into->index = arena_alloc(into->arena, (total + (size_t)1) * sizeof *into->index);
    into->write_us = arena_alloc(into->arena, (total + (size_t)1) * sizeof *into->write_us);
    into->row_kinds = arena_alloc(into->arena, total + (size_t)1);
    if (code != FRESHET_OK || into->index == NULL || into->write_us == NULL ||
        into->row_kinds == NULL)
        return error_memory(into->err, COMPUTING);
    into->in = known;
    for (uint32_t slot = 0; code == FRESHET_OK && slot < into->plan->n_slots; slot++) {
        column *column = &into->columns[slot];
        into->filled[slot] = model->filled[slot];
        if (!into->filled[slot])
            continue;
        code = column_init_raw(into->arena, column, model->columns[slot].type, total, into->err);
        at = 0;
        for (uint32_t i = 0; code == FRESHET_OK && i < n; at += shares[i++].run.n_rows)
            code = column_append(into->arena, column, at, &shares[i].run.columns[slot], NULL,
                                 shares[i].run.n_rows, into->err);
    }
    at = 0;
    for (uint32_t i = 0; i < n; origin += shares[i++].run.in->n_rows)
        for (uint32_t row = 0; row < shares[i].run.n_rows; row++, at++) {
            const run *run = &shares[i].run;
            into->index[at] = origin + (run->index == NULL ? row : run->index[row]);
            into->write_us[at] = run->write_us[row];
            into->row_kinds[at] = run->row_kinds[row];
        }
    return code;
}

freshet_code shares_join(share *shares, uint32_t n, run *into)
{
    if (n > 1)
        return shares[0].run.is_output ? join_output(shares, n, into) : join_rows(shares, n, into);
    const run only = shares[0].run, all = *into;
    *into = only;
    into->arena = all.arena;
    into->refuse = all.refuse;
    into->context = all.context;
    into->err = all.err;
    return FRESHET_OK;
}
