/* numeric.c - count, sums, averages, product, bit_and; and how a run is read as numbers.
 *
 * Doubles are summed as an unevaluated pair high + low (TwoSum: Knuth, TAOCP 4.2.2, theorem B),
 * which loses about the square of a double's precision. Non-finite values are kept apart in
 * `special`, since infinity minus infinity in the low part would spoil the pair: 0 means that there
 * was none.
 *
 * Integers and decimals are summed modulo 2^128 with a count of the wraps, so that the sum is known
 * whatever the order, and only the final value must fit.
 */
#include "aggregate/families.h"

/* ---- reading runs -------------------------------------------------------------------------- */

static const double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,
                                       1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
                                       1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29,
                                       1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38};

double decimal_to_real(int128 value, uint8_t scale)
{
    return (double)value / powers_of_ten[scale];
}

bool decimal_fits(int128 value, uint8_t width)
{
    int128 limit = 1;
    for (uint8_t i = 0; i < width; i++)
        limit *= 10;
    return value < limit && value > -limit;
}

/* for each valid cell of the run: buffer[n++] = expression of `cells[i]` */
#define GATHER(c_type, expression)                                     \
    do {                                                               \
        const c_type *cells = (const c_type *)run->values + run->from; \
        if (bits == low_bits(run->to - run->from)) {                   \
            for (uint32_t i = 0; i < run->to - run->from; i++)         \
                buffer[count++] = (expression);                        \
            break;                                                     \
        }                                                              \
        for (; bits != 0; bits &= bits - 1) {                          \
            uint32_t i = (uint32_t)__builtin_ctzll(bits);              \
            buffer[count++] = (expression);                            \
        }                                                              \
    } while (0)

const double *gather_reals(const aggregate_run *run, uint64_t bits, double *buffer, uint32_t *n)
{
    uint32_t count = 0;
    switch (run->type->kind) {
    case TYPE_DOUBLE: GATHER(double, cells[i]); break;
    case TYPE_FLOAT: GATHER(float, (double)cells[i]); break;
    case TYPE_INTEGER: GATHER(int32_t, (double)cells[i]); break;
    case TYPE_BIGINT: GATHER(int64_t, (double)cells[i]); break;
    case TYPE_DECIMAL: GATHER(int128, decimal_to_real(cells[i], run->type->scale)); break;
    default: break;
    }
    *n = count;
    return buffer;
}

const int64_t *gather_keys(const aggregate_run *run, uint64_t bits, int64_t *buffer, uint32_t *n)
{
    uint32_t count = 0;
    switch (run->type->kind) {
    case TYPE_BOOLEAN: GATHER(uint8_t, cells[i]); break;
    case TYPE_INTEGER:
    case TYPE_DATE: GATHER(int32_t, cells[i]); break;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP:
        if (bits == low_bits(run->to - run->from)) {
            *n = run->to - run->from;
            return (const int64_t *)run->values + run->from;
        }
        GATHER(int64_t, cells[i]);
        break;
    case TYPE_FLOAT: GATHER(float, key_of_real(cells[i])); break;
    case TYPE_DOUBLE: GATHER(double, key_of_real(cells[i])); break;
    default: break;
    }
    *n = count;
    return buffer;
}

/* ---- count --------------------------------------------------------------------------------- */

static void count_update(void *partial, const aggregate_run *older)
{
    const uint64_t bits = run_bits(older);
    const uint32_t n = older->to - older->from;
    *(uint64_t *)partial += bits == low_bits(n) ? n : (uint64_t)__builtin_popcountll(bits);
}

static inline void count_merge_one(void *partial, const void *older)
{
    *(uint64_t *)partial += *(const uint64_t *)older;
}

MERGE_EACH(count_merge, count_merge_one)

const aggregate_family family_count = {"count", sizeof(uint64_t), false, count_update, count_merge};

aggregate_outcome finish_count(const void *partial, const aggregate *aggregate,
                               aggregate_scratch *scratch, aggregate_value *out)
{
    (void)aggregate, (void)scratch;
    out->integer = (int64_t) * (const uint64_t *)partial;
    return AGGREGATE_VALUE;
}

/* ---- sums of integers and decimals --------------------------------------------------------- */

typedef struct sum_exact {
    int128 sum; /* the true sum is sum + carry * 2^128 */
    int64_t carry;
    uint64_t n;
} sum_exact;

static inline void sum_exact_add(sum_exact *into, int128 value)
{
    if (__builtin_add_overflow(into->sum, value, &into->sum))
        into->carry += value < 0 ? -1 : 1;
}

static void sum_exact_update(void *partial, const aggregate_run *older)
{
    sum_exact *into = partial;
    uint64_t bits = run_bits(older);
    into->n += (uint64_t)__builtin_popcountll(bits);
    if (older->type->kind == TYPE_DECIMAL) {
        const int128 *cells = (const int128 *)older->values + older->from;
        for (; bits != 0; bits &= bits - 1)
            sum_exact_add(into, cells[__builtin_ctzll(bits)]);
        return;
    }
    int64_t buffer[AGGREGATE_RUN_MAX];
    uint32_t n;
    const int64_t *values = run_keys(older, buffer, &n);
    int128 sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += values[i];
    sum_exact_add(into, sum);
}

static inline void sum_exact_merge_one(void *partial, const void *older)
{
    sum_exact *into = partial;
    const sum_exact *from = older;
    sum_exact_add(into, from->sum);
    into->carry += from->carry;
    into->n += from->n;
}

MERGE_EACH(sum_exact_merge, sum_exact_merge_one)

const aggregate_family family_sum_exact = {"sum_exact", sizeof(sum_exact), true, sum_exact_update,
                                           sum_exact_merge};

aggregate_outcome finish_sum_exact(const void *partial, const aggregate *aggregate,
                                   aggregate_scratch *scratch, aggregate_value *out)
{
    (void)scratch;
    const sum_exact *sum = partial;
    if (sum->n == 0)
        return AGGREGATE_NULL;
    if (aggregate->output->kind == TYPE_DECIMAL) {
        out->decimal = sum->sum;
        return sum->carry == 0 && decimal_fits(sum->sum, aggregate->output->width)
                   ? AGGREGATE_VALUE
                   : AGGREGATE_OVERFLOW;
    }
    out->integer = (int64_t)sum->sum;
    return sum->carry == 0 && out->integer == sum->sum ? AGGREGATE_VALUE : AGGREGATE_OVERFLOW;
}

/* The quotient with `digits` more decimals than the sum has, rounded half away from zero. */
static bool divide_decimal(int128 sum, uint64_t n, uint8_t digits, int128 *out)
{
    int128 scale = 1;
    for (uint8_t i = 0; i < digits; i++)
        scale *= 10;
    int128 whole = sum / (int128)n, rest = sum % (int128)n * scale;
    int128 half = (int128)n / 2 + (int128)n % 2;
    int128 part = rest / (int128)n, left = rest % (int128)n;
    if (left >= half)
        part++;
    else if (-left >= half)
        part--;
    return !__builtin_mul_overflow(whole, scale, &whole) &&
           !__builtin_add_overflow(whole, part, out);
}

aggregate_outcome finish_avg_exact(const void *partial, const aggregate *aggregate,
                                   aggregate_scratch *scratch, aggregate_value *out)
{
    (void)scratch;
    const sum_exact *sum = partial;
    if (sum->n == 0)
        return AGGREGATE_NULL;
    if (aggregate->output->kind != TYPE_DECIMAL) {
        out->real = (double)sum->sum / (double)sum->n;
        return AGGREGATE_VALUE;
    }
    uint8_t digits = (uint8_t)(aggregate->output->scale - aggregate->input->scale);
    return sum->carry == 0 && divide_decimal(sum->sum, sum->n, digits, &out->decimal) &&
                   decimal_fits(out->decimal, aggregate->output->width)
               ? AGGREGATE_VALUE
               : AGGREGATE_OVERFLOW;
}

/* ---- sums of floats and doubles ------------------------------------------------------------ */

typedef struct sum_real {
    double high;
    double low;
    double special; /* sum of the non-finite values; 0: there was none */
    uint64_t n;
} sum_real;

static void sum_real_add(sum_real *into, double value)
{
    if (!isfinite(value) || !isfinite(into->high + value))
        into->special += isfinite(value) ? into->high + value : value;
    else
        two_sum(&into->high, &into->low, value);
}

static void sum_real_update(void *partial, const aggregate_run *older)
{
    double buffer[AGGREGATE_RUN_MAX];
    uint32_t n;
    const double *values = run_reals(older, buffer, &n);
    sum_real *into = partial;
    double high = into->high, low = into->low;
    for (uint32_t i = 0; i < n; i++)
        two_sum(&high, &low, values[i]);
    into->n += n;
    if (isfinite(high)) {
        into->high = high;
        into->low = low;
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        sum_real_add(into, values[i]);
}

static inline void sum_real_merge_one(void *partial, const void *older)
{
    sum_real *into = partial;
    const sum_real *from = older;
    sum_real_add(into, from->high);
    into->low += from->low;
    into->special += from->special;
    into->n += from->n;
}

MERGE_EACH(sum_real_merge, sum_real_merge_one)

const aggregate_family family_sum_real = {"sum_real", sizeof(sum_real), true, sum_real_update,
                                          sum_real_merge};

aggregate_outcome finish_sum_real(const void *partial, const aggregate *aggregate,
                                  aggregate_scratch *scratch, aggregate_value *out)
{
    (void)aggregate, (void)scratch;
    const sum_real *sum = partial;
    out->real = sum->special != 0 ? sum->special : sum->high + sum->low;
    return sum->n == 0 ? AGGREGATE_NULL : AGGREGATE_VALUE;
}

aggregate_outcome finish_avg_real(const void *partial, const aggregate *aggregate,
                                  aggregate_scratch *scratch, aggregate_value *out)
{
    const sum_real *sum = partial;
    aggregate_outcome outcome = finish_sum_real(partial, aggregate, scratch, out);
    out->real /= (double)sum->n;
    return outcome;
}

/* ---- product ------------------------------------------------------------------------------- */

/* mantissa * 2^exponent, so that no product on the way leaves the range of double */
typedef struct product {
    double mantissa;
    int64_t exponent;
    uint64_t n;
} product;

static void product_multiply(product *into, double value, int64_t exponent)
{
    int moved = 0;
    double mantissa = frexp(into->mantissa * value, &moved);
    into->mantissa = mantissa;
    into->exponent += exponent + (isfinite(mantissa) ? moved : 0);
}

static void product_update(void *partial, const aggregate_run *older)
{
    double buffer[AGGREGATE_RUN_MAX];
    uint32_t n;
    const double *values = run_reals(older, buffer, &n);
    product *into = partial;
    if (into->n == 0)
        into->mantissa = 1;
    for (uint32_t i = 0; i < n; i++)
        product_multiply(into, values[i], 0);
    into->n += n;
}

static inline void product_merge_one(void *partial, const void *older)
{
    product *into = partial;
    const product *from = older;
    if (from->n == 0)
        return;
    if (into->n == 0)
        into->mantissa = 1;
    product_multiply(into, from->mantissa, from->exponent);
    into->n += from->n;
}

MERGE_EACH(product_merge, product_merge_one)

const aggregate_family family_product = {"product", sizeof(product), true, product_update,
                                         product_merge};

aggregate_outcome finish_product(const void *partial, const aggregate *aggregate,
                                 aggregate_scratch *scratch, aggregate_value *out)
{
    (void)aggregate, (void)scratch;
    const product *product = partial;
    int64_t exponent = product->exponent > 10000 ? 10000 : product->exponent;
    out->real = ldexp(product->mantissa, (int)(exponent < -10000 ? -10000 : exponent));
    return product->n == 0 ? AGGREGATE_NULL : AGGREGATE_VALUE;
}

/* ---- bit_and ------------------------------------------------------------------------------- */

typedef struct bit_and {
    int64_t absent; /* the bits that some value has not: zero bytes are the empty partial */
    uint64_t n;
} bit_and;

static void bit_and_update(void *partial, const aggregate_run *older)
{
    int64_t buffer[AGGREGATE_RUN_MAX];
    uint32_t n;
    const int64_t *values = run_keys(older, buffer, &n);
    bit_and *into = partial;
    for (uint32_t i = 0; i < n; i++)
        into->absent |= ~values[i];
    into->n += n;
}

static inline void bit_and_merge_one(void *partial, const void *older)
{
    bit_and *into = partial;
    const bit_and *from = older;
    into->absent |= from->absent;
    into->n += from->n;
}

MERGE_EACH(bit_and_merge, bit_and_merge_one)

const aggregate_family family_bit_and = {"bit_and", sizeof(bit_and), true, bit_and_update,
                                         bit_and_merge};

aggregate_outcome finish_bit_and(const void *partial, const aggregate *aggregate,
                                 aggregate_scratch *scratch, aggregate_value *out)
{
    (void)aggregate, (void)scratch;
    const bit_and *from = partial;
    out->integer = ~from->absent;
    return from->n == 0 ? AGGREGATE_NULL : AGGREGATE_VALUE;
}
