/* quantiles.c - all values of a window: collected, or the one at a place in their order.
 *
 * Both hold the values themselves, newest first, in scratch memory. A quantile copies them as keys
 * (families.h) and selects the one element, or two neighbours, by Hoare's FIND: linear on average,
 * no full sort. Decimals are selected as 128-bit integers. Of a tally (tally.h) it asks them.
 *
 *   percentile(p), median   the value at place p * (n - 1), between neighbours by their distance;
 *                           double
 *   percentile_approx(p)    the element at rank ceil(p * n); exact here (Spark's is, below some
 *                           10,000 values)
 */
#include "aggregate/families.h"
#include "aggregate/tally.h"

static void list_update(void *partial, const aggregate_run *older)
{
    value_list *list = partial;
    size_t size = type_cell_size(older->type);
    const unsigned char *cells = older->values;
    for (uint32_t i = older->to; i > older->from; i--) {
        if (!(older->valid >> (i - 1) & 1))
            continue;
        void *grown = scratch_push(older->scratch, list->cells, list->n, &list->capacity, size);
        if (grown == NULL)
            return;
        list->cells = grown;
        memcpy(list->cells + list->n++ * size, cells + (i - 1) * size, size);
    }
}

const aggregate_family family_list = {"list", sizeof(value_list), true, list_update, NULL};

aggregate_outcome finish_collect_list(const void *partial, const aggregate *aggregate,
                                      aggregate_scratch *scratch, aggregate_value *out)
{
    const value_list *list = partial;
    size_t size = type_cell_size(aggregate->input);
    unsigned char *cells = arena_alloc(scratch->arena, list->n * size);
    if (cells == NULL)
        return AGGREGATE_NO_MEMORY;
    for (uint64_t i = 0; i < list->n; i++)
        memcpy(cells + i * size, list->cells + (list->n - 1 - i) * size, size);
    out->list.cells = cells;
    out->list.n = list->n;
    return AGGREGATE_VALUE;
}

/* Orders `values` so that the one at `place` is where sorting would put it: all before are not
 * greater, all behind not smaller. */
static void select_place(int128 *values, uint64_t n, uint64_t place)
{
    int64_t low = 0, high = (int64_t)n - 1, at = (int64_t)place;
    while (low < high) {
        int128 pivot = values[low + (high - low) / 2];
        int64_t i = low, j = high;
        do {
            while (values[i] < pivot)
                i++;
            while (pivot < values[j])
                j--;
            if (i <= j) {
                int128 moved = values[i];
                values[i++] = values[j];
                values[j--] = moved;
            }
        } while (i <= j);
        if (at <= j)
            high = j;
        else if (at >= i)
            low = i;
        else
            return;
    }
}

/* A copy of the values to select in; AGGREGATE_NULL where there are none. */
static aggregate_outcome copy_values(const value_list *list, const type *input,
                                     aggregate_scratch *scratch, int128 **out)
{
    *out = NULL;
    if (list->n == 0)
        return AGGREGATE_NULL;
    int128 *values = *out = arena_alloc(scratch->arena, list->n * sizeof *values);
    if (values == NULL)
        return AGGREGATE_NO_MEMORY;
    if (input->kind == TYPE_DECIMAL) {
        memcpy(values, list->cells, list->n * sizeof *values);
        return AGGREGATE_VALUE;
    }
    size_t size = type_cell_size(input);
    for (uint64_t at = 0; at < list->n; at += AGGREGATE_RUN_MAX) {
        int64_t buffer[AGGREGATE_RUN_MAX];
        uint32_t n =
            list->n - at < AGGREGATE_RUN_MAX ? (uint32_t)(list->n - at) : AGGREGATE_RUN_MAX;
        aggregate_run run = {list->cells + at * size, ~UINT64_C(0), 0, n, input, scratch};
        const int64_t *keys = run_keys(&run, buffer, &n);
        for (uint32_t i = 0; i < n; i++)
            values[at + i] = one_zero(input, keys[i]);
    }
    return AGGREGATE_VALUE;
}

/* ---- percentile(p) ------------------------------------------------------------------------- */

/* Between the values at places `lower` and `lower` + 1 of n, the part `part` of the way. */
typedef struct quantile_place {
    uint64_t lower;
    double part;
} quantile_place;

static quantile_place place_between(double parameter, uint64_t n)
{
    double place = parameter * (double)(n - 1), lower = floor(place);
    return (quantile_place){(uint64_t)lower, place - lower};
}

static double between(double low, double high, double part)
{
    return high == low || part == 0 ? low : (1 - part) * low + part * high;
}
static double real_of_value(const type *input, const aggregate_value *value)
{
    if (input->kind == TYPE_DECIMAL)
        return decimal_to_real(value->decimal, input->scale);
    return input->kind == TYPE_FLOAT || input->kind == TYPE_DOUBLE ? value->real
                                                                   : (double)value->integer;
}

static double real_at(const type *input, int128 key)
{
    aggregate_value value;
    if (input->kind == TYPE_DECIMAL)
        value.decimal = key;
    else
        value_of_key(input, (int64_t)key, &value);
    return real_of_value(input, &value);
}

aggregate_outcome finish_percentile(const void *partial, const aggregate *aggregate,
                                    aggregate_scratch *scratch, aggregate_value *out)
{
    const value_list *list = partial;
    int128 *values;
    aggregate_outcome outcome = copy_values(list, aggregate->input, scratch, &values);
    if (outcome != AGGREGATE_VALUE)
        return outcome;
    quantile_place place = place_between(aggregate->parameter, list->n);
    select_place(values, list->n, place.lower);
    int128 low = values[place.lower], high = low;
    if (place.part > 0) {
        high = values[place.lower + 1];
        for (uint64_t i = place.lower + 2; i < list->n; i++)
            high = values[i] < high ? values[i] : high;
    }
    out->real =
        between(real_at(aggregate->input, low), real_at(aggregate->input, high), place.part);
    return AGGREGATE_VALUE;
}

static double tally_real(const tally *tally, const type *input, uint64_t place)
{
    aggregate_value value;
    tally_at(tally, input, (uint32_t)place, &value);
    return real_of_value(input, &value);
}

aggregate_outcome tallied_percentile(const tally *tally, const aggregate *aggregate,
                                     aggregate_value *out)
{
    if (tally->n == 0)
        return AGGREGATE_NULL;
    quantile_place place = place_between(aggregate->parameter, tally->n);
    double low = tally_real(tally, aggregate->input, place.lower), high = low;
    if (place.part > 0)
        high = tally_real(tally, aggregate->input, place.lower + 1);
    out->real = between(low, high, place.part);
    return AGGREGATE_VALUE;
}

/* ---- percentile_approx(p) ------------------------------------------------------------------ */

static uint64_t place_at_rank(double parameter, uint64_t n)
{
    double rank = ceil(parameter * (double)n);
    return rank < 1 ? 0 : (uint64_t)rank - 1;
}

aggregate_outcome finish_percentile_approx(const void *partial, const aggregate *aggregate,
                                           aggregate_scratch *scratch, aggregate_value *out)
{
    const value_list *list = partial;
    int128 *values;
    aggregate_outcome outcome = copy_values(list, aggregate->input, scratch, &values);
    if (outcome != AGGREGATE_VALUE)
        return outcome;
    uint64_t place = place_at_rank(aggregate->parameter, list->n);
    select_place(values, list->n, place);
    if (aggregate->input->kind == TYPE_DECIMAL)
        out->decimal = values[place];
    else
        value_of_key(aggregate->input, (int64_t)values[place], out);
    return AGGREGATE_VALUE;
}

aggregate_outcome tallied_percentile_approx(const tally *tally, const aggregate *aggregate,
                                            aggregate_value *out)
{
    if (tally->n == 0)
        return AGGREGATE_NULL;
    tally_at(tally, aggregate->input, (uint32_t)place_at_rank(aggregate->parameter, tally->n), out);
    return AGGREGATE_VALUE;
}
