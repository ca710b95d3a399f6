/* moments.c - variances, standard deviations, skewness and kurtosis.
 *
 * A partial holds, for its n values, a centre c, and s1..s4, the sums of the first to fourth powers
 * of (value - c). The usual (n, mean, M2) loses digits when the mean is large against the spread,
 * because the mean itself is rounded. Here c is only a point of reference, and need not be the
 * mean: it begins as one of the values. Then
 *
 *     M2 = s2 - s1^2 / n
 *
 * loses digits only when s1^2 / n is nearly all of s2, that is, when the mean lies many deviations
 * away from c. When it gets so (RECENTER), c is moved to the mean. Two numbers that lie close
 * together differ by an exact amount, so a partial can be moved without loss:
 *
 *     with d = c - c':   s1' = s1 + n d
 *                        s2' = s2 + 2 d s1 + n d^2
 *                        s3' = s3 + 3 d s2 + 3 d^2 s1 + n d^3
 *                        s4' = s4 + 4 d s3 + 6 d^2 s2 + 4 d^3 s1 + n d^4
 *
 * The mean of n values is at most sqrt(n) deviations away from any one of them, so what a run adds
 * before c is moved costs a factor of AGGREGATE_RUN_MAX in the last digit at worst. To merge, the
 * partial of fewer values is moved to the centre of the other. Most updates divide nothing.
 *
 * Equal values give exactly 0. Any NaN or infinity gives NaN, as in Spark.
 */
#include "aggregate/families.h"

#define RECENTER 0.9 /* the share of s1^2 / n in s2 at which the centre is moved */

typedef struct moments {
    uint64_t n;
    double center;
    double s1, s2;
    double s3, s4; /* family_shape only: the partials of family_variance end here */
} moments;

#define VARIANCE_SIZE offsetof(moments, s3)

/* Makes the sums those of the distances to center - d. */
static inline void move_by(moments *m, double d, bool shape)
{
    double n = (double)m->n;
    if (shape) {
        m->s4 += d * (4 * m->s3 + d * (6 * m->s2 + d * (4 * m->s1 + d * n)));
        m->s3 += d * (3 * m->s2 + d * (3 * m->s1 + d * n));
    }
    m->s2 += d * (2 * m->s1 + d * n);
    m->s1 += d * n;
}

static inline void recenter(moments *m, bool shape)
{
    if (!(m->s1 * m->s1 > RECENTER * (double)m->n * m->s2))
        return;
    double center = m->center + m->s1 / (double)m->n;
    move_by(m, m->center - center, shape);
    m->center = center;
}

static inline void update_moments(moments *m, const aggregate_run *older, bool shape)
{
    double buffer[AGGREGATE_RUN_MAX];
    uint32_t n;
    const double *values = run_reals(older, buffer, &n);
    if (n == 0)
        return;
    if (m->n == 0)
        m->center = values[0];
    double center = m->center, s1 = 0, s2 = 0, s3 = 0, s4 = 0;
    for (uint32_t i = 0; i < n; i++) {
        double d = values[i] - center, square = d * d;
        s1 += d;
        s2 += square;
        if (shape) {
            s3 += square * d;
            s4 += square * square;
        }
    }
    m->n += n;
    m->s1 += s1;
    m->s2 += s2;
    if (shape) {
        m->s3 += s3;
        m->s4 += s4;
    }
    recenter(m, shape);
}

static inline void merge_moments(moments *into, const moments *older, bool shape)
{
    moments from = {.n = older->n, .center = older->center, .s1 = older->s1, .s2 = older->s2};
    if (shape) {
        from.s3 = older->s3;
        from.s4 = older->s4;
    }
    if (from.n == 0)
        return;
    if (from.n > into->n) {
        if (into->n > 0)
            move_by(into, into->center - from.center, shape);
        into->center = from.center;
    } else {
        move_by(&from, from.center - into->center, shape);
    }
    into->n += from.n;
    into->s1 += from.s1;
    into->s2 += from.s2;
    if (shape) {
        into->s3 += from.s3;
        into->s4 += from.s4;
    }
    recenter(into, shape);
}

static void variance_update(void *partial, const aggregate_run *older)
{
    update_moments(partial, older, false);
}

static void shape_update(void *partial, const aggregate_run *older)
{
    update_moments(partial, older, true);
}

static inline void variance_merge_one(void *partial, const void *older)
{
    merge_moments(partial, older, false);
}

static inline void shape_merge_one(void *partial, const void *older)
{
    merge_moments(partial, older, true);
}

MERGE_EACH(variance_merge, variance_merge_one)
MERGE_EACH(shape_merge, shape_merge_one)

const aggregate_family family_variance = {"variance", VARIANCE_SIZE, true, variance_update,
                                          variance_merge};
const aggregate_family family_shape = {"shape", sizeof(moments), true, shape_update, shape_merge};

/* The sum of the squared distances to the mean; `part` is 1 / n. */
static double sum_of_squares(const moments *m, double part)
{
    double sum = m->s2 - m->s1 * m->s1 * part;
    return sum < 0 ? 0 : sum;
}

aggregate_outcome finish_var_pop(const void *partial, const aggregate *aggregate,
                                 aggregate_scratch *scratch, aggregate_value *out)
{
    (void)aggregate, (void)scratch;
    const moments *m = partial;
    if (m->n == 0)
        return AGGREGATE_NULL;
    double part = 1 / (double)m->n;
    out->real = sum_of_squares(m, part) * part;
    return AGGREGATE_VALUE;
}

aggregate_outcome finish_var_samp(const void *partial, const aggregate *aggregate,
                                  aggregate_scratch *scratch, aggregate_value *out)
{
    (void)aggregate, (void)scratch;
    const moments *m = partial;
    if (m->n < 2)
        return AGGREGATE_NULL;
    out->real = sum_of_squares(m, 1 / (double)m->n) / (double)(m->n - 1);
    return AGGREGATE_VALUE;
}

static aggregate_outcome root_of(aggregate_outcome variance, aggregate_value *out)
{
    if (variance == AGGREGATE_VALUE)
        out->real = sqrt(out->real);
    return variance;
}

aggregate_outcome finish_stddev_pop(const void *partial, const aggregate *aggregate,
                                    aggregate_scratch *scratch, aggregate_value *out)
{
    return root_of(finish_var_pop(partial, aggregate, scratch, out), out);
}

aggregate_outcome finish_stddev_samp(const void *partial, const aggregate *aggregate,
                                     aggregate_scratch *scratch, aggregate_value *out)
{
    return root_of(finish_var_samp(partial, aggregate, scratch, out), out);
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
