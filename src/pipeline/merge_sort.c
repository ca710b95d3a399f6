/* merge_sort.c - the rows that pass a turn of the merge, in their order; see merge.c.
 *
 * The rows of a lane are sorted among themselves, and stand in a row or two in the batch. So they
 * are a few sorted runs, which are found once and then merged two by two: each pass halves their
 * number.
 *
 * SPEED. Which of two lanes is next cannot be foretold, so nothing branches on it: a mark is two
 * unsigned numbers, the comparison is arithmetic, and its outcome moves the one place or the other.
 */
#include <string.h>

#include "base/error.h"
#include "pipeline/merge_internal.h"

typedef struct place_of_row {
    uint64_t us;   /* of its mark, from the least time on */
    uint64_t lane; /* of its mark: reader, rank */
    uint32_t row;  /* of the query's rows */
} place_of_row;

static place_of_row sort_place(const mark *mark, uint32_t row)
{
    return (place_of_row){.us = (uint64_t)mark->us ^ (UINT64_C(1) << 63),
                          .lane = (uint64_t)mark->reader << 32 | mark->rank,
                          .row = row};
}

static inline unsigned place_is_before(const place_of_row *a, const place_of_row *b)
{
    return (unsigned)(a->us < b->us) | ((unsigned)(a->us == b->us) & (unsigned)(a->lane < b->lane));
}

/* Merges the sorted runs from[first..middle) and from[middle..end); of equal ones the first stays
 * first. */
static void merge_runs(const place_of_row *from, uint32_t first, uint32_t middle, uint32_t end,
                       place_of_row *into)
{
    uint32_t left = first, right = middle, at = first;
    while (left < middle && right < end) {
        const unsigned takes_right = place_is_before(&from[right], &from[left]);
        into[at++] = from[takes_right ? right : left];
        right += takes_right;
        left += takes_right ^ 1u;
    }
    memcpy(&into[at], &from[left], (middle - left) * sizeof *into);
    at += middle - left;
    memcpy(&into[at], &from[right], (end - right) * sizeof *into);
}

/* Where each sorted run ends, in ends[]; how many there are. */
static uint32_t find_runs(const place_of_row *places, uint32_t n, uint32_t *ends)
{
    uint32_t n_runs = 0;
    for (uint32_t i = 1; i < n; i++)
        if (place_is_before(&places[i], &places[i - 1]))
            ends[n_runs++] = i;
    ends[n_runs++] = n;
    return n_runs;
}

/* Sorts n places by their marks; of equal ones the first stays first. Gives whichever of the two
 * arrays it ends in. `ends` has room for n. */
static place_of_row *sort_places(place_of_row *places, place_of_row *other, uint32_t *ends,
                                 uint32_t n)
{
    uint32_t n_runs = find_runs(places, n, ends);
    while (n_runs > 1) {
        uint32_t first = 0, n_merged = 0;
        for (uint32_t i = 0; i < n_runs; i += 2) {
            const uint32_t middle = ends[i], end = i + 1 < n_runs ? ends[i + 1] : middle;
            merge_runs(places, first, middle, end, other);
            ends[n_merged++] = first = end;
        }
        n_runs = n_merged;
        place_of_row *sorted = other;
        other = places;
        places = sorted;
    }
    return places;
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
        places[n] = sort_place(&here, i);
        sorted = sorted && (n == 0 || !place_is_before(&places[n], &places[n - 1]));
        n++;
    }
    if (sorted && n == rows->n_rows)
        return FRESHET_OK;
    if (!sorted)
        places = sort_places(places, other, order, n);
    for (uint32_t i = 0; i < n; i++)
        order[i] = places[i].row;
    return batch_gather(rows, order, n, rows, MERGING, err);
}
