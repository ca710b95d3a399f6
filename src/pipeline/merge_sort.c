/* merge_sort.c - the rows that pass a turn of the merge, in their order; see merge.c.
 *
 * The rows of a lane are sorted among themselves, and stand in a row or two in the batch. So they
 * are a few sorted runs, which are merged two by two: each pass halves their number.
 */
#include "base/error.h"
#include "pipeline/merge_internal.h"

typedef struct place_of_row {
    mark mark;
    uint32_t row; /* of the query's rows */
} place_of_row;

/* Merges the sorted runs from[first..middle) and from[middle..end). */
static void merge_runs(const place_of_row *from, uint32_t first, uint32_t middle, uint32_t end,
                       place_of_row *into)
{
    uint32_t left = first, right = middle;
    for (uint32_t i = first; i < end; i++)
        into[i] =
            right == end || (left < middle && !mark_is_before(&from[right].mark, &from[left].mark))
                ? from[left++]
                : from[right++];
}

/* Where the sorted run that begins here ends. */
static uint32_t run_end(const place_of_row *places, uint32_t first, uint32_t n)
{
    uint32_t end = first + 1;
    while (end < n && !mark_is_before(&places[end].mark, &places[end - 1].mark))
        end++;
    return end;
}

/* Sorts n places by their marks; of equal ones the first stays first. The rows of a lane are sorted
 * among themselves: there are few runs to merge. Gives whichever of the two arrays it ends in. */
static place_of_row *sort_places(place_of_row *places, place_of_row *other, uint32_t n)
{
    for (;;) {
        uint32_t first = 0, n_runs = 0;
        while (first < n) {
            const uint32_t middle = run_end(places, first, n);
            const uint32_t end = middle < n ? run_end(places, middle, n) : n;
            merge_runs(places, first, middle, end, other);
            first = end;
            n_runs++;
        }
        place_of_row *sorted = other;
        other = places;
        places = sorted;
        if (n_runs <= 1)
            return places;
    }
}

freshet_code merge_sort_rows(freshet_pipeline *pipeline, int64_t *const *keys, batch *rows,
                             freshet_error *err)
{
    const merge *merge = pipeline->merge;
    arena *arena = pipeline->step_arena;
    place_of_row *places = arena_alloc(arena, (rows->n_rows + (size_t)1) * sizeof *places);
    place_of_row *other = arena_alloc(arena, (rows->n_rows + (size_t)1) * sizeof *other);
    uint32_t *order = arena_alloc(arena, (rows->n_rows + (size_t)1) * sizeof *order);
    uint32_t n = 0;
    bool sorted = true;
    if (places == NULL || other == NULL || order == NULL)
        return error_memory(err, MERGING);
    for (uint32_t i = 0; i < rows->n_rows; i++) {
        const uint32_t reader = ROW_READER(rows->rows[i]), row = ROW_INDEX(rows->rows[i]);
        const origin *origin = &pipeline->readers[reader].batch->origins[row];
        const merge_reader *of = &merge->readers[reader];
        const mark here = {keys[reader][row], reader, of->lanes[merge_partition(of, origin)].rank};
        if (merge->has_bound && mark_is_before(&merge->bound, &here))
            continue;
        sorted = sorted && (n == 0 || !mark_is_before(&here, &places[n - 1].mark));
        places[n++] = (place_of_row){here, i};
    }
    if (sorted && n == rows->n_rows)
        return FRESHET_OK;
    if (!sorted)
        places = sort_places(places, other, n);
    for (uint32_t i = 0; i < n; i++)
        order[i] = places[i].row;
    return batch_gather(rows, order, n, rows, MERGING, err);
}
