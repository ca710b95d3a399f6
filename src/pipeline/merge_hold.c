/* merge_hold.c - rows that a merge holds back, and the rejects that stand behind them; see merge.c.
 *
 * What is held is in one of two arenas of its reader: a turn copies out of the one that the turn
 * before has filled into the other. Columns that are not used are not held: they are null.
 */
#include <string.h>

#include "base/error.h"
#include "formats/cell.h"
#include "pipeline/merge_internal.h"

static bool merge_is_used(const merge_reader *of, uint32_t column)
{
    return of->reader->used == NULL || of->reader->used[column];
}

freshet_code merge_take_held(freshet_pipeline *pipeline, uint32_t reader, freshet_error *err)
{
    const merge_reader *of = &pipeline->merge->readers[reader];
    batch *into = pipeline->readers[reader].batch;
    const batch *held = &of->held;
    freshet_code code = FRESHET_OK;
    if (held->n_rows > 0)
        code = batch_reserve(into, into->n_rows + (uint64_t)held->n_rows, MERGING, err);
    if (code != FRESHET_OK)
        return code;
    for (uint32_t i = 0; held->n_rows > 0 && i < into->schema.n_fields; i++) {
        const bool done =
            merge_is_used(of, i)
                ? column_copy(into->arena, &held->columns[i], &(cell_choice){.n = held->n_rows},
                              &into->columns[i], into->n_rows)
                : cell_set_nulls(into->arena, &into->columns[i], into->n_rows, held->n_rows);
        if (!done)
            return error_memory(err, MERGING);
    }
    if (held->n_rows > 0)
        memcpy(into->origins + into->n_rows, held->origins, held->n_rows * sizeof *held->origins);
    into->n_rows += held->n_rows;
    return FRESHET_OK;
}

freshet_code merge_take_rejects(freshet_pipeline *pipeline, uint32_t reader, freshet_error *err)
{
    const merge_reader *of = &pipeline->merge->readers[reader];
    for (uint32_t i = 0; i < of->n_rejects; i++)
        if (!rejects_add(&pipeline->rejects, &of->rejects[i], of->rejects[i].code, "%s",
                         of->rejects[i].reason))
            return error_memory(err, MERGING);
    return FRESHET_OK;
}

/* Room for n rows of the columns that are used. */
static freshet_code open_held(const merge_reader *of, arena *arena, const schema *schema,
                              uint32_t n, batch *held, freshet_error *err)
{
    freshet_code code = batch_init(held, arena, schema, 0, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < schema->n_fields; i++)
        if (merge_is_used(of, i))
            code = column_init_raw(arena, &held->columns[i], schema->fields[i].type, n, err);
    if (code != FRESHET_OK)
        return code;
    held->origins = arena_alloc(arena, n * sizeof *held->origins);
    return held->origins == NULL ? error_memory(err, MERGING) : FRESHET_OK;
}

freshet_code merge_hold_rows(merge_reader *of, const batch *from, const uint32_t *rows, uint32_t n,
                             freshet_error *err)
{
    arena *arena = of->arenas[of->which ^ 1];
    size_t bytes = 0;
    of->held.n_rows = 0;
    if (n == 0)
        return FRESHET_OK;
    freshet_code code = open_held(of, arena, &from->schema, n, &of->held, err);
    if (code != FRESHET_OK)
        return code;
    const cell_choice which = {.rows = rows, .n = n, .keeps = &bytes};
    for (uint32_t i = 0; i < from->schema.n_fields; i++)
        if (merge_is_used(of, i) &&
            !column_copy(arena, &from->columns[i], &which, &of->held.columns[i], 0))
            return error_memory(err, MERGING);
    for (uint32_t i = 0; i < n; i++) {
        origin *origin = &of->held.origins[i];
        *origin = from->origins[rows[i]];
        if (origin->raw != NULL)
            origin->raw = arena_copy(arena, origin->raw, origin->raw_length);
    }
    if (arena_failed(arena))
        return error_memory(err, MERGING);
    of->held.n_rows = n;
    return FRESHET_OK;
}

/* Does the reject stand behind a row of its lane that is held? */
static bool is_behind_held(const freshet_pipeline *pipeline, const reject *reject, uint32_t *reader)
{
    const merge *merge = pipeline->merge;
    for (uint32_t i = 0; i < merge->n_active; i++) {
        const lane_of which = merge->active[i];
        const lane *lane = merge_lane(merge, which);
        freshet_reader *of = pipeline->readers[which.reader].reader;
        if (lane->n_held == 0 || reject->offset < lane->held_offset || reject->reader == NULL ||
            strcmp(reject->reader, of->block->id.value) != 0)
            continue;
        const char *label =
            of->ops->partition_label == NULL ? NULL : of->ops->partition_label(of, which.partition);
        *reader = which.reader;
        if (label == NULL || reject->partition == NULL || strcmp(label, reject->partition) == 0)
            return true;
    }
    return false;
}

static freshet_code hold_reject(merge_reader *of, const reject *from, freshet_error *err)
{
    arena *arena = of->arenas[of->which ^ 1];
    const size_t size = sizeof *of->rejects;
    of->rejects =
        arena_grow(arena, of->rejects, of->n_rejects * size, (of->n_rejects + (size_t)1) * size);
    if (of->rejects == NULL)
        return error_memory(err, MERGING);
    reject *held = &of->rejects[of->n_rejects++];
    *held = *from;
    held->partition = arena_text(arena, from->partition);
    held->reason = arena_text(arena, from->reason);
    held->raw = from->raw == NULL ? NULL : arena_copy(arena, from->raw, from->raw_length);
    return arena_failed(arena) ? error_memory(err, MERGING) : FRESHET_OK;
}

freshet_code merge_hold_rejects(freshet_pipeline *pipeline, uint32_t n_of_readers,
                                freshet_error *err)
{
    merge *merge = pipeline->merge;
    rejects *all = &pipeline->rejects;
    uint32_t kept = 0;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < all->n; i++) {
        uint32_t reader = 0;
        if (!is_behind_held(pipeline, &all->items[i], &reader))
            all->items[kept++] = all->items[i];
        else if (i < n_of_readers)
            code = hold_reject(&merge->readers[reader], &all->items[i], err);
    }
    all->n = kept;
    return code;
}
