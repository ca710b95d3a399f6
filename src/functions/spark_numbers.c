/* spark_numbers.c - Spark's functions of numbers: Java's where DuckDB fails or differs. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "functions/spark_rows.h"

/* ---- rounding -------------------------------------------------------------------------------- */

/* The decimal number that the double is when it is written out, to so many places; half up, or to
 * even. */
static double round_real(double value, int32_t places, bool to_even)
{
    char digits[NUMBER_DIGITS_MAX + 1], text[NUMBER_DIGITS_MAX + 32];
    int point;
    if (!isfinite(value) || value == 0)
        return value;
    int n = number_shortest(fabs(value), false, digits, &point);
    int64_t keep = (int64_t)point + places;
    if (keep >= n)
        return value;
    if (keep < 0)
        return 0;
    bool is_half = digits[keep] == '5' && keep + 1 == n;
    bool is_odd = keep > 0 && (digits[keep - 1] - '0') % 2 == 1;
    bool up = digits[keep] >= '5' && (!to_even || !is_half || is_odd);
    size_t at = 0;
    text[at++] = value < 0 ? '-' : '+';
    text[at++] = '0';
    memcpy(text + at, digits, (size_t)keep);
    at += (size_t)keep;
    for (size_t i = at - 1; up; i--) {
        up = text[i] == '9';
        text[i] = up ? '0' : (char)(text[i] + 1);
    }
    text[at++] = 'e';
    snprintf(text + at, sizeof text - at, "%d", -places);
    double made = strtod(text, NULL);
    return made == 0 ? 0 : made; /* BigDecimal has no zero with a sign */
}

static void call_round(row_call *call)
{
    give_double(call, round_real(double_at(call, 0), int_at(call, 1), false));
}

static void call_bround(row_call *call)
{
    give_double(call, round_real(double_at(call, 0), int_at(call, 1), true));
}

/* Whole numbers change with negative places only; the low bits stay, as Java's longValue has it. */
static int64_t round_whole(int64_t value, int32_t places, bool to_even)
{
    if (places >= 0)
        return value;
    if (places < -19)
        return 0;
    int128 unit = number_power_of_ten((unsigned)-places), wide = value < 0 ? -(int128)value : value;
    int128 rest = wide % unit, whole = wide / unit;
    if (rest * 2 > unit || (rest * 2 == unit && (!to_even || whole % 2 == 1)))
        whole++;
    whole *= unit;
    return (int64_t)(uint64_t)(uint128)(value < 0 ? -whole : whole);
}

static void call_round_long(row_call *call)
{
    give_long(call, round_whole(long_at(call, 0), int_at(call, 1), false));
}

static void call_bround_long(row_call *call)
{
    give_long(call, round_whole(long_at(call, 0), int_at(call, 1), true));
}

static void call_round_int(row_call *call)
{
    give_int(call, (int32_t)(uint32_t)round_whole(int_at(call, 0), int_at(call, 1), false));
}

static void call_bround_int(row_call *call)
{
    give_int(call, (int32_t)(uint32_t)round_whole(int_at(call, 0), int_at(call, 1), true));
}

/* As Java's (long) of a double: what is too large is the largest, NaN 0. */
static int64_t long_of(double value)
{
    if (value != value)
        return 0;
    if (value >= 9223372036854775808.0)
        return INT64_MAX;
    return value < -9223372036854775808.0 ? INT64_MIN : (int64_t)value;
}

static void call_ceil(row_call *call)
{
    give_long(call, long_of(ceil(double_at(call, 0))));
}

static void call_floor(row_call *call)
{
    give_long(call, long_of(floor(double_at(call, 0))));
}

/* ---- of one double --------------------------------------------------------------------------- */

#define OF_ONE(name, value)                 \
    static void call_##name(row_call *call) \
    {                                       \
        double x = double_at(call, 0);      \
        give_double(call, (value));         \
    }

/* Null up to the number where the logarithm has no value. */
#define LOGARITHM(name, bound, value)       \
    static void call_##name(row_call *call) \
    {                                       \
        double x = double_at(call, 0);      \
        if (x <= (bound))                   \
            give_null(call);                \
        else                                \
            give_double(call, (value));     \
    }

OF_ONE(acos, acos(x))
OF_ONE(acosh, log(x + sqrt(x * x - 1)))
OF_ONE(asin, asin(x))
OF_ONE(asinh, x == -(double)INFINITY ? x : log(x + sqrt(x * x + 1)))
OF_ONE(atan, atan(x))
OF_ONE(atanh, atanh(x))
OF_ONE(cbrt, cbrt(x))
OF_ONE(cos, cos(x))
OF_ONE(cosh, cosh(x))
OF_ONE(cot, 1 / tan(x))
OF_ONE(csc, 1 / sin(x))
OF_ONE(degrees, x *(180 / M_PI))
OF_ONE(exp, exp(x))
OF_ONE(expm1, expm1(x))
OF_ONE(radians, x / 180 * M_PI)
OF_ONE(rint, rint(x))
OF_ONE(sec, 1 / cos(x))
OF_ONE(signum, x != x ? x : x > 0 ? 1 : x < 0 ? -1 : x)
OF_ONE(sin, sin(x))
OF_ONE(sinh, sinh(x))
OF_ONE(sqrt, sqrt(x))
OF_ONE(tan, tan(x))
OF_ONE(tanh, tanh(x))
LOGARITHM(ln, 0, log(x))
LOGARITHM(log10, 0, log10(x))
LOGARITHM(log1p, -1, log1p(x))
LOGARITHM(log2, 0, log2(x))

static void call_atan2(row_call *call)
{
    give_double(call, atan2(double_at(call, 0) + 0.0, double_at(call, 1) + 0.0));
}

static void call_hypot(row_call *call)
{
    give_double(call, hypot(double_at(call, 0), double_at(call, 1)));
}

/* Java knows no value of 1 to the power NaN or infinity. */
static void call_power(row_call *call)
{
    double x = double_at(call, 0), y = double_at(call, 1);
    bool unknown = (y != y) || (fabs(x) == 1 && isinf(y));
    give_double(call, unknown ? (double)NAN : pow(x, y));
}

static void call_log(row_call *call)
{
    double base = double_at(call, 0), x = double_at(call, 1);
    if (base <= 0 || x <= 0)
        give_null(call);
    else
        give_double(call, log(x) / log(base));
}

/* ---- whole numbers --------------------------------------------------------------------------- */

static void call_shiftleft(row_call *call)
{
    give_int(call, (int32_t)((uint32_t)int_at(call, 0) << (int_at(call, 1) & 31)));
}

static void call_shiftleft_long(row_call *call)
{
    give_long(call, (int64_t)((uint64_t)long_at(call, 0) << (int_at(call, 1) & 63)));
}

static void call_shiftright(row_call *call)
{
    give_int(call, int_at(call, 0) >> (int_at(call, 1) & 31));
}

static void call_shiftright_long(row_call *call)
{
    give_long(call, long_at(call, 0) >> (int_at(call, 1) & 63));
}

static void call_shiftrightunsigned(row_call *call)
{
    give_int(call, (int32_t)((uint32_t)int_at(call, 0) >> (int_at(call, 1) & 31)));
}

static void call_shiftrightunsigned_long(row_call *call)
{
    give_long(call, (int64_t)((uint64_t)long_at(call, 0) >> (int_at(call, 1) & 63)));
}

static void call_bit_count(row_call *call)
{
    give_int(call, __builtin_popcountll((uint64_t)long_at(call, 0)));
}

static void call_bit_get(row_call *call)
{
    int32_t at = int_at(call, 1);
    if (at < 0 || at > 63)
        fail_row(call, "bit_get takes bit %d: they are 0 to 63", at);
    else
        give_int(call, (int32_t)((uint64_t)long_at(call, 0) >> at & 1));
}

static void call_factorial(row_call *call)
{
    int32_t n = int_at(call, 0);
    int64_t product = 1;
    if (n < 0 || n > 20) {
        give_null(call);
        return;
    }
    for (int32_t i = 2; i <= n; i++)
        product *= i;
    give_long(call, product);
}

static void call_width_bucket(row_call *call)
{
    double value = double_at(call, 0), least = double_at(call, 1), most = double_at(call, 2);
    int64_t n = long_at(call, 3);
    if (n <= 0 || n == INT64_MAX || value != value || least == most || !isfinite(least) ||
        !isfinite(most)) {
        give_null(call);
        return;
    }
    double low = least < most ? least : most, high = least < most ? most : least;
    bool is_up = least < most;
    if (value < low)
        give_long(call, is_up ? 0 : n + 1);
    else if (value >= high && (is_up || value > high))
        give_long(call, is_up ? n + 1 : 0);
    else if (is_up)
        give_long(call, long_of((double)n * (value - low) / (high - low)) + 1);
    else
        give_long(call,
                  value == low ? n + 1 : long_of((double)n * (high - value) / (high - low)) + 1);
}

/* ---- digits ---------------------------------------------------------------------------------- */

static void give_digits(row_call *call, uint64_t value, uint32_t base)
{
    char digits[64];
    size_t at = sizeof digits;
    do {
        uint32_t digit = (uint32_t)(value % base);
        digits[--at] = (char)(digit < 10 ? '0' + digit : 'A' + digit - 10);
        value /= base;
    } while (value > 0);
    give_text(call, digits + at, sizeof digits - at);
}

static void call_bin(row_call *call)
{
    give_digits(call, (uint64_t)long_at(call, 0), 2);
}

static void call_hex(row_call *call)
{
    give_digits(call, (uint64_t)long_at(call, 0), 16);
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'z' ? c - 'a' + 10
           : c >= 'A' && c <= 'Z' ? c - 'A' + 10
                                  : 99;
}

/* conv(text, from, to): digits up to the first that is none, as an unsigned number of 64 bits; what
 * is too large is the largest; with a negative `to` it has a sign. */
static void call_conv(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    int32_t from = int_at(call, 1), to = int_at(call, 2);
    const char *at = text_bytes(text), *end = at + text->length;
    while (at < end && *at == ' ')
        at++;
    while (end > at && end[-1] == ' ')
        end--;
    if (from < 2 || from > 36 || abs(to) < 2 || abs(to) > 36 || at == end) {
        give_null(call);
        return;
    }
    bool negative = *at == '-', is_over = false;
    uint64_t value = 0;
    for (at += negative; at < end && digit_of(*at) < from; at++)
        is_over |= __builtin_mul_overflow(value, (uint64_t)from, &value) ||
                   __builtin_add_overflow(value, (uint64_t)digit_of(*at), &value);
    if (is_over)
        value = UINT64_MAX;
    if (negative && to > 0)
        value = (int64_t)value < 0 ? UINT64_MAX : 0 - value;
    bool is_minus = false;
    if (to < 0 && (int64_t)value < 0 && !negative)
        value = 0 - value, is_minus = true;
    else if (to < 0 && negative)
        is_minus = true;
    char digits[66];
    size_t n = sizeof digits;
    do {
        uint32_t digit = (uint32_t)(value % (uint32_t)abs(to));
        digits[--n] = (char)(digit < 10 ? '0' + digit : 'A' + digit - 10);
        value /= (uint32_t)abs(to);
    } while (value > 0);
    if (is_minus)
        digits[--n] = '-';
    give_text(call, digits + n, sizeof digits - n);
}

#define REAL(name)                                                                   \
    {                                                                                \
        SPARK_ROWS("spark_" #name, "double", call_##name), .arguments = { "double" } \
    }

const sql_function spark_numbers[] = {
    REAL(acos),
    REAL(acosh),
    REAL(asin),
    REAL(asinh),
    REAL(atan),
    REAL(atanh),
    REAL(cbrt),
    REAL(cos),
    REAL(cosh),
    REAL(cot),
    REAL(csc),
    REAL(degrees),
    REAL(exp),
    REAL(expm1),
    REAL(radians),
    REAL(rint),
    REAL(sec),
    REAL(signum),
    REAL(sin),
    REAL(sinh),
    REAL(sqrt),
    REAL(tan),
    REAL(tanh),
    REAL(ln),
    REAL(log10),
    REAL(log1p),
    REAL(log2),
    {SPARK_ROWS("spark_atan2", "double", call_atan2), .arguments = {"double", "double"}},
    {SPARK_ROWS("spark_hypot", "double", call_hypot), .arguments = {"double", "double"}},
    {SPARK_ROWS("spark_power", "double", call_power), .arguments = {"double", "double"}},
    /* the base, the number */
    {SPARK_ROWS("spark_log", "double", call_log), .arguments = {"double", "double"}},
    {SPARK_ROWS("spark_round", "double", call_round), .arguments = {"double", "integer"}},
    {SPARK_ROWS("spark_bround", "double", call_bround), .arguments = {"double", "integer"}},
    {SPARK_ROWS("spark_round_int", "integer", call_round_int), .arguments = {"integer", "integer"}},
    {SPARK_ROWS("spark_bround_int", "integer", call_bround_int),
     .arguments = {"integer", "integer"}},
    {SPARK_ROWS("spark_round_long", "bigint", call_round_long), .arguments = {"bigint", "integer"}},
    {SPARK_ROWS("spark_bround_long", "bigint", call_bround_long),
     .arguments = {"bigint", "integer"}},
    {SPARK_ROWS("spark_ceil", "bigint", call_ceil), .arguments = {"double"}},
    {SPARK_ROWS("spark_floor", "bigint", call_floor), .arguments = {"double"}},
    {SPARK_ROWS("spark_shiftleft", "integer", call_shiftleft), .arguments = {"integer", "integer"}},
    {SPARK_ROWS("spark_shiftleft_long", "bigint", call_shiftleft_long),
     .arguments = {"bigint", "integer"}},
    {SPARK_ROWS("spark_shiftright", "integer", call_shiftright),
     .arguments = {"integer", "integer"}},
    {SPARK_ROWS("spark_shiftright_long", "bigint", call_shiftright_long),
     .arguments = {"bigint", "integer"}},
    {SPARK_ROWS("spark_shiftrightunsigned", "integer", call_shiftrightunsigned),
     .arguments = {"integer", "integer"}},
    {SPARK_ROWS("spark_shiftrightunsigned_long", "bigint", call_shiftrightunsigned_long),
     .arguments = {"bigint", "integer"}},
    {SPARK_ROWS("spark_bit_count", "integer", call_bit_count), .arguments = {"bigint"}},
    {SPARK_ROWS("spark_bit_get", "integer", call_bit_get), .arguments = {"bigint", "integer"}},
    {SPARK_ROWS("spark_factorial", "bigint", call_factorial), .arguments = {"integer"}},
    /* the number, the least, the most, how many buckets */
    {SPARK_ROWS("spark_width_bucket", "bigint", call_width_bucket),
     .arguments = {"double", "double", "double", "bigint"}},
    {SPARK_ROWS("spark_bin", "string", call_bin), .arguments = {"bigint"}},
    {SPARK_ROWS("spark_hex", "string", call_hex), .arguments = {"bigint"}},
    {SPARK_ROWS("spark_conv", "string", call_conv), .arguments = {"string", "integer", "integer"}},
    {.name = NULL},
};
