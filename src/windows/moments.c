/* moments.c - variances, standard deviations, skewness and kurtosis.
 *
 * A partial holds, for its n values, a centre c near their mean, and s1..s4, the sums of the first
 * to fourth powers of (value - c). The usual merging of (n, mean, M2) loses digits when the mean is large
 * against the spread, because the mean itself is rounded. Here the rounded mean is only a point of
 * reference: its distance to the true mean is s1 / n, and is kept. The difference of two centres
 * that lie close together is exact, so a partial can be moved to another centre without loss:
 *
 *     with d = c - c':   s1' = s1 + n d
 *                        s2' = s2 + 2 d s1 + n d^2
 *                        s3' = s3 + 3 d s2 + 3 d^2 s1 + n d^3
 *                        s4' = s4 + 4 d s3 + 6 d^2 s2 + 4 d^3 s1 + n d^4
 *
 * To merge, both partials are moved to the mean of all. To finish, to the exact mean: d = -s1 / n.
 * Equal values give exactly 0. Any NaN or infinity gives NaN, as in Spark.
 */
#include "windows/families.h"

typedef struct moments {
    uint64_t n;
    double center;
    double s1, s2;
    double s3, s4; /* family_shape only: the partials of family_variance end here */
} moments;

#define VARIANCE_SIZE offsetof(moments, s3)

static inline void move_by(moments *m, double d, bool shape)
{
    double n = (double)m->n;
    if (d == 0)
        return;
    if (shape) {
        m->s4 += d * (4 * m->s3 + d * (6 * m->s2 + d * (4 * m->s1 + d * n)));
        m->s3 += d * (3 * m->s2 + d * (3 * m->s1 + d * n));
    }
    m->s2 += d * (2 * m->s1 + d * n);
    m->s1 += d * n;
}

static inline void moments_of(const double *values, uint32_t n, moments *into, bool shape)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += values[i] - values[0];
    *into = (moments){.n = n, .center = values[0] + sum / n};
    for (uint32_t i = 0; i < n; i++) {
        double d = values[i] - into->center, square = d * d;
        into->s1 += d;
        into->s2 += square;
        if (shape) {
            into->s3 += square * d;
            into->s4 += square * square;
        }
    }
}

static inline void merge_moments(void *partial, const moments *older, bool shape)
{
    size_t size = shape ? sizeof(moments) : VARIANCE_SIZE;
    moments into = {0}, from = {0};
    memcpy(&into, partial, size);
    memcpy(&from, older, size);
    if (from.n == 0)
        return;
    if (into.n == 0) {
        memcpy(partial, &from, size);
        return;
    }
    double n = (double)(into.n + from.n);
    double apart = from.center - into.center;
    double center = into.center + ((double)from.n * apart + into.s1 + from.s1) / n;
    move_by(&into, into.center - center, shape);
    move_by(&from, from.center - center, shape);
    into = (moments){into.n + from.n,   center,           into.s1 + from.s1, into.s2 + from.s2,
                     into.s3 + from.s3, into.s4 + from.s4};
    memcpy(partial, &into, size);
}

static inline void update_moments(void *partial, const aggregate_run *older, const type *input,
                                  bool shape)
{
    double buffer[AGGREGATE_RUN_MAX];
    uint32_t n;
    const double *values = run_reals(older, input, buffer, &n);
    if (n == 0)
        return;
    moments added;
    moments_of(values, n, &added, shape);
    merge_moments(partial, &added, shape);
}

static void variance_update(void *partial, const aggregate_run *older, const type *input,
                            aggregate_scratch *scratch)
{
    (void)scratch;
    update_moments(partial, older, input, false);
}

static void variance_merge(void *partial, const void *older, const type *input)
{
    (void)input;
    merge_moments(partial, older, false);
}

static void shape_update(void *partial, const aggregate_run *older, const type *input,
                         aggregate_scratch *scratch)
{
    (void)scratch;
    update_moments(partial, older, input, true);
}

static void shape_merge(void *partial, const void *older, const type *input)
{
    (void)input;
    merge_moments(partial, older, true);
}

const aggregate_family family_variance = {"variance", VARIANCE_SIZE, true, variance_update,
                                          variance_merge};
const aggregate_family family_shape = {"shape", sizeof(moments), true, shape_update, shape_merge};

/* The sum of the squared distances to the mean. */
static double sum_of_squares(const moments *m)
{
    double sum = m->s2 - m->s1 * (m->s1 / (double)m->n);
    return sum < 0 ? 0 : sum;
}

aggregate_outcome finish_var_pop(const void *partial, const aggregate *aggregate,
                                 aggregate_scratch *scratch, aggregate_value *out)
{
    (void)aggregate, (void)scratch;
    const moments *m = partial;
    if (m->n == 0)
        return AGGREGATE_NULL;
    out->real = sum_of_squares(m) / (double)m->n;
    return AGGREGATE_VALUE;
}

aggregate_outcome finish_var_samp(const void *partial, const aggregate *aggregate,
                                  aggregate_scratch *scratch, aggregate_value *out)
{
    (void)aggregate, (void)scratch;
    const moments *m = partial;
    if (m->n < 2)
        return AGGREGATE_NULL;
    out->real = sum_of_squares(m) / (double)(m->n - 1);
    return AGGREGATE_VALUE;
}

aggregate_outcome finish_stddev_pop(const void *partial, const aggregate *aggregate,
                                    aggregate_scratch *scratch, aggregate_value *out)
{
    aggregate_outcome outcome = finish_var_pop(partial, aggregate, scratch, out);
    if (outcome == AGGREGATE_VALUE)
        out->real = sqrt(out->real);
    return outcome;
}

aggregate_outcome finish_stddev_samp(const void *partial, const aggregate *aggregate,
                                     aggregate_scratch *scratch, aggregate_value *out)
{
    aggregate_outcome outcome = finish_var_samp(partial, aggregate, scratch, out);
    if (outcome == AGGREGATE_VALUE)
        out->real = sqrt(out->real);
    return outcome;
}

aggregate_outcome finish_skewness(const void *partial, const aggregate *aggregate,
                                  aggregate_scratch *scratch, aggregate_value *out)
{
    (void)aggregate, (void)scratch;
    moments m = *(const moments *)partial;
    if (m.n == 0)
        return AGGREGATE_NULL;
    move_by(&m, -m.s1 / (double)m.n, true);
    out->real = sqrt((double)m.n) * m.s3 / sqrt(m.s2 * m.s2 * m.s2);
    return m.s2 == 0 ? AGGREGATE_NULL : AGGREGATE_VALUE;
}

aggregate_outcome finish_kurtosis(const void *partial, const aggregate *aggregate,
                                  aggregate_scratch *scratch, aggregate_value *out)
{
    (void)aggregate, (void)scratch;
    moments m = *(const moments *)partial;
    if (m.n == 0)
        return AGGREGATE_NULL;
    move_by(&m, -m.s1 / (double)m.n, true);
    out->real = (double)m.n * m.s4 / (m.s2 * m.s2) - 3;
    return m.s2 == 0 ? AGGREGATE_NULL : AGGREGATE_VALUE;
}
