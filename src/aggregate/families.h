/* families.h - between the files of the aggregates: the families, how they are finished, and how
 * the cells of a run are read.
 *
 *   numeric.c    count, sums, averages, product, bit_and
 *   moments.c    variances, standard deviations, skewness, kurtosis
 *   order.c      min, max, first, last
 *   sets.c       distinct values, counted, listed, estimated; the most frequent
 *   quantiles.c  lists of all values: collect_list, median, percentiles
 *
 * Most functions do not care which of the eight-byte-or-smaller types they read. They read runs as
 * doubles (run_reals) or as KEYS (run_keys): int64_t in the order of the values, so that one
 * comparison, one hash and one selection serve integers, dates, timestamps, floats and doubles.
 */
#ifndef FRESHET_AGGREGATE_FAMILIES_H
#define FRESHET_AGGREGATE_FAMILIES_H

#include <math.h>
#include <string.h>

#include "aggregate/aggregate.h"

extern const aggregate_family family_count;
extern const aggregate_family family_sum_exact;
extern const aggregate_family family_sum_real;
extern const aggregate_family family_product;
extern const aggregate_family family_bit_and;
aggregate_finish finish_count, finish_sum_exact, finish_sum_real, finish_avg_exact, finish_avg_real,
    finish_product, finish_bit_and;

extern const aggregate_family family_variance;
extern const aggregate_family family_shape;
aggregate_finish finish_var_pop, finish_var_samp, finish_stddev_pop, finish_stddev_samp,
    finish_skewness, finish_kurtosis;

extern const aggregate_family family_extremes_key;
extern const aggregate_family family_extremes_decimal;
extern const aggregate_family family_extremes_text;
extern const aggregate_family family_ends;
extern const aggregate_family family_ends_nonnull;
aggregate_finish finish_min, finish_max, finish_range, finish_first, finish_last;

extern const aggregate_family family_bag;
extern const aggregate_family family_registers;
aggregate_finish finish_count_distinct, finish_collect_set, finish_mode, finish_most_frequent_set,
    finish_sum_distinct, finish_approx_count_distinct;
aggregate_finish_tally tallied_count_distinct, tallied_mode;

extern const aggregate_family family_list;
aggregate_finish finish_collect_list, finish_percentile, finish_percentile_approx;
aggregate_finish_tally tallied_percentile, tallied_percentile_approx;

/* ---- bits ---------------------------------------------------------------------------------- */

static inline uint64_t low_bits(uint32_t n)
{
    return n >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
}

/* Which cells of the run are not null; bit 0 is cell `from`. */
static inline uint64_t run_bits(const aggregate_run *run)
{
    return run->from >= 64 ? 0 : run->valid >> run->from & low_bits(run->to - run->from);
}

/* Defines the `merge` of a family from a function that merges one partial. */
#define MERGE_EACH(name, merge_one)                                               \
    static void name(void *partial, const void *older, size_t stride, uint32_t n) \
    {                                                                             \
        for (const char *from = (const char *)older + n * stride; n > 0; n--)     \
            merge_one(partial, (const void *)(from -= stride));                   \
    }

/* ---- numbers ------------------------------------------------------------------------------- */

/* Adds `value` to high + low, exactly but for the last digits of `low`. */
static inline void two_sum(double *high, double *low, double value)
{
    double sum = *high + value;
    double part = sum - *high;
    *low += (*high - (sum - part)) + (value - part);
    *high = sum;
}

static inline int64_t key_of_real(double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value)
        bits = INT64_C(0x7ff8000000000000); /* one NaN, greater than all */
    return bits ^ (int64_t)((uint64_t)(bits >> 63) >> 1);
}

static inline double real_of_key(int64_t key)
{
    int64_t bits = key ^ (int64_t)((uint64_t)(key >> 63) >> 1);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Where both zeros are the same: the key of 0.0 for that of -0.0. */
static inline int64_t one_zero(const type *type, int64_t key)
{
    bool real = type->kind == TYPE_DOUBLE || type->kind == TYPE_FLOAT;
    return real && key == -1 ? 0 : key;
}

/* -1, 0 or 1; bytes from the first on, a beginning before the whole. */
static inline int compare_texts(const cell_text *a, const cell_text *b)
{
    uint32_t shorter = a->length < b->length ? a->length : b->length;
    int order = shorter == 0 ? 0 : memcmp(text_bytes(a), text_bytes(b), shorter);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

/* -1, 0 or 1, in the order of aggregate.h; both zeros differ. */
int compare_values(const type *type, const aggregate_value *a, const aggregate_value *b);

double decimal_to_real(int128 value, uint8_t scale);
bool decimal_fits(int128 value, uint8_t width);

const double *gather_reals(const aggregate_run *run, uint64_t bits, double *buffer, uint32_t *n);
const int64_t *gather_keys(const aggregate_run *run, uint64_t bits, int64_t *buffer, uint32_t *n);

/* The run's values that are not null, oldest first: in `buffer` (AGGREGATE_RUN_MAX long), or where
 * they are. Numeric types only. Most runs are short, so the plainest are read without a call. */
static inline const double *run_reals(const aggregate_run *run, double *buffer, uint32_t *n)
{
    const uint64_t bits = run_bits(run);
    if (run->type->kind != TYPE_DOUBLE || bits != low_bits(run->to - run->from))
        return gather_reals(run, bits, buffer, n);
    *n = run->to - run->from;
    return (const double *)run->values + run->from;
}

/* The same as keys; every type of eight bytes or fewer. */
static inline const int64_t *run_keys(const aggregate_run *run, int64_t *buffer, uint32_t *n)
{
    const uint64_t bits = run_bits(run);
    if (run->type->kind != TYPE_DOUBLE || bits != low_bits(run->to - run->from))
        return gather_keys(run, bits, buffer, n);
    *n = run->to - run->from;
    const double *values = (const double *)run->values + run->from;
    for (uint32_t i = 0; i < *n; i++)
        buffer[i] = key_of_real(values[i]);
    return buffer;
}

/* The value that a key stands for. */
static inline void value_of_key(const type *type, int64_t key, aggregate_value *out)
{
    if (type->kind == TYPE_DOUBLE || type->kind == TYPE_FLOAT)
        out->real = real_of_key(key);
    else
        out->integer = key;
}

static inline bool type_has_keys(const type *type)
{
    return type->kind != TYPE_DECIMAL && type->kind != TYPE_STRING && type->kind != TYPE_BINARY;
}

/* A partial of a list: the values that are not null, newest first, in scratch memory. */
typedef struct value_list {
    unsigned char *cells;
    uint64_t n;
    uint64_t capacity;
} value_list;

/* Makes room for one more item of `size` bytes; NULL (and `failed`) where memory is out. */
void *scratch_push(aggregate_scratch *scratch, void *items, uint64_t n, uint64_t *capacity,
                   size_t size);

#endif
