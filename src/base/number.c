/* number.c - see number.h.
 *
 * A text becomes its digits and the place of the point (number_read), from which everything else is
 * made. To a double: a mantissa below 2^53 with a power of ten up to 22 is one exact multiplication
 * or division (Clinger's fast path). Everything else is given to strtod as a whole number with an
 * exponent: without a point in it no locale has a say. No more than 768 digits decide what the
 * nearest double is; of what stands behind DIGITS_KEPT only counts whether there is anything.
 */
#include "base/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EXPONENT_MAX 1000000000 /* larger ones are all the same: out of range or zero */
#define DIGITS_KEPT 800u
#define EXACT_DOUBLE (INT64_C(1) << 53)
#define EXACT_FLOAT (INT64_C(1) << 24)

static const uint64_t powers_of_ten[] = {1U,
                                         10U,
                                         100U,
                                         1000U,
                                         10000U,
                                         100000U,
                                         1000000U,
                                         10000000U,
                                         100000000U,
                                         1000000000U,
                                         10000000000U,
                                         100000000000U,
                                         1000000000000U,
                                         10000000000000U,
                                         100000000000000U,
                                         1000000000000000U,
                                         10000000000000000U,
                                         100000000000000000U,
                                         1000000000000000000U,
                                         10000000000000000000U};

static const double double_powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

int128 number_power_of_ten(unsigned n)
{
    return n <= 19 ? (int128)powers_of_ten[n] : (int128)powers_of_ten[19] * powers_of_ten[n - 19];
}

/* ---- scanning -------------------------------------------------------------------------------- */

/* Steps over a sign. */
static bool number_is_negative(const char **at, const char *end)
{
    bool negative = *at < end && **at == '-';

    *at += *at < end && (**at == '-' || **at == '+');
    return negative;
}

static size_t number_skip_digits(const char **at, const char *end)
{
    const char *begin = *at;

    while (*at < end && number_is_digit(**at))
        (*at)++;
    return (size_t)(*at - begin);
}

bool number_digits(const char **at, const char *end, bool negative, int64_t *out)
{
    int64_t value = 0;

    for (; *at < end && number_is_digit(**at); (*at)++)
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, negative ? '0' - **at : **at - '0', &value))
            return false;
    *out = value;
    return true;
}

bool number_small(const char **at, const char *end, int least, int most, int32_t *out)
{
    const char *begin = *at;
    int64_t value = 0;

    number_digits(at, end - begin > most ? begin + most : end, false, &value);
    *out = (int32_t)value;
    return *at - begin >= least;
}

/* An exponent that reaches to the end of the text, or none: 0. */
static bool number_exponent(const char *at, const char *end, int64_t *out)
{
    int64_t sum = 0;

    *out = 0;
    if (at == end)
        return true;
    if (*at != 'e' && *at != 'E')
        return false;
    at++;
    bool below = number_is_negative(&at, end);
    if (at == end)
        return false;
    for (; at < end && number_is_digit(*at); at++)
        if (sum < EXPONENT_MAX)
            sum = sum * 10 + (*at - '0');
    *out = below ? -sum : sum;
    return at == end;
}

/* A number as it is written: digits, with at most one point among them, and the place of the first:
 * it counts 10^(point - 1). */
typedef struct number {
    const char *digits;
    size_t length;
    int64_t point;
    bool negative;
} number;

static bool number_read(const char *text, size_t length, number *out)
{
    const char *at = text, *end = text + length;
    number it = {.negative = number_is_negative(&at, end)};
    int64_t exponent;

    it.digits = at;
    size_t n = number_skip_digits(&at, end);
    it.point = (int64_t)n;
    if (at < end && *at == '.') {
        at++;
        n += number_skip_digits(&at, end);
    }
    it.length = (size_t)(at - it.digits);
    if (n == 0 || !number_exponent(at, end, &exponent))
        return false;
    it.point += exponent;
    *out = it;
    return true;
}

/* ---- integers -------------------------------------------------------------------------------- */

bool number_integer(const char *text, size_t length, unsigned rules, int64_t minimum,
                    int64_t maximum, int64_t *out)
{
    bool cut = (rules & NUMBER_CUT) != 0;
    int64_t value, exponent = 0;

    if (rules & NUMBER_BLANKS)
        number_trim(&text, &length);
    const char *at = text, *end = text + length;
    bool negative = number_is_negative(&at, end);
    const char *begin = at;
    if (at == end || !number_digits(&at, end, negative, &value) || (at == begin && !cut))
        return false;
    if (at < end && *at == '.')
        for (at++; at < end && number_is_digit(*at) && (cut || *at == '0');)
            at++;
    if (cut ? at < end : !number_exponent(at, end, &exponent) || exponent != 0)
        return false;
    if (value < minimum || value > maximum)
        return false;
    *out = value;
    return true;
}

/* ---- reals ----------------------------------------------------------------------------------- */

/* The mantissa as an integer and the power of ten to go with it; false where it has more than 18
 * digits. */
static bool number_mantissa(const number *number, int64_t *mantissa, int64_t *exponent)
{
    int64_t value = 0, place = number->point;

    for (size_t i = 0; i < number->length; i++) {
        if (number->digits[i] == '.')
            continue;
        if (value >= INT64_C(100000000000000000))
            return false;
        value = value * 10 + (number->digits[i] - '0');
        place--;
    }
    *mantissa = value;
    *exponent = place;
    return true;
}

/* By strtod, or by strtof, which rounds once. Infinity where the number is too large. */
static double number_slowly(const number *number, bool as_float)
{
    char text[DIGITS_KEPT + 32];
    int64_t place = number->point; /* of the next digit, as `point` is of the first */
    size_t n = 0;
    bool rest = false;

    for (size_t i = 0; i < number->length; i++) {
        char digit = number->digits[i];
        if (digit == '.')
            continue;
        if (n == DIGITS_KEPT) {
            rest = rest || digit != '0';
            continue;
        }
        if (n > 0 || digit != '0')
            text[n++] = digit;
        place--;
    }
    if (rest) {
        text[n++] = '1';
        place--;
    }
    if (n == 0)
        text[n++] = '0';
    snprintf(text + n, sizeof text - n, "e%lld", (long long)place);
    return as_float ? (double)strtof(text, NULL) : strtod(text, NULL);
}

static bool number_is_name(const char *text, size_t length, unsigned rules, double *out)
{
    static const struct {
        const char *name;
        bool any_case;
        double value;
    } names[] = {{"NaN", false, NAN},
                 {"Infinity", false, INFINITY},
                 {"nan", true, NAN},
                 {"infinity", true, INFINITY},
                 {"inf", true, INFINITY}};
    const char *at = text;
    bool negative = number_is_negative(&at, text + length);
    bool any = (rules & NUMBER_NAMES) != 0;

    length -= (size_t)(at - text);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *name = names[i].name;
        bool has_sign = at > text;
        if (strlen(name) != length || (names[i].any_case && !any) ||
            (has_sign && !any && isnan(names[i].value)))
            continue;
        if (names[i].any_case ? strncasecmp(at, name, length) == 0
                              : memcmp(at, name, length) == 0) {
            *out = negative && !isnan(names[i].value) ? -names[i].value : names[i].value;
            return true;
        }
    }
    return false;
}

/* A mantissa and a power of ten that doubles, or floats, hold exactly need one operation. That of
 * floats is made with doubles, which have more than twice their bits: rounding its result again
 * changes nothing. */
static bool number_real(const char *text, size_t length, unsigned rules, bool as_float, double *out)
{
    const int64_t exact = as_float ? EXACT_FLOAT : EXACT_DOUBLE, power = as_float ? 10 : 22;
    number number;
    int64_t mantissa, exponent;
    double value;

    if (rules & NUMBER_BLANKS)
        number_trim(&text, &length);
    if (!number_read(text, length, &number))
        return number_is_name(text, length, rules, out);
    if (number_mantissa(&number, &mantissa, &exponent) && mantissa <= exact && exponent >= -power &&
        exponent <= power)
        value = exponent < 0 ? (double)mantissa / double_powers_of_ten[-exponent]
                             : (double)mantissa * double_powers_of_ten[exponent];
    else
        value = number_slowly(&number, as_float);
    if (isinf(value))
        return false;
    *out = number.negative ? -value : value;
    return true;
}

bool number_double(const char *text, size_t length, unsigned rules, double *out)
{
    return number_real(text, length, rules, false, out);
}

bool number_float(const char *text, size_t length, unsigned rules, float *out)
{
    double value;
    if (!number_real(text, length, rules, true, &value))
        return false;
    *out = (float)value;
    return true;
}

/* ---- decimals -------------------------------------------------------------------------------- */

/* Keeps the digits down to the place 10^-scale; the first one below it says whether to round up. */
static bool number_to_decimal(const number *number, unsigned width, unsigned scale, int128 *out)
{
    const int128 limit = number_power_of_ten(width);
    int64_t place =
        number->point - 1 + (int64_t)scale; /* of the next digit, in units of the result */
    int128 value = 0;

    for (size_t i = 0; i < number->length && place >= -1; i++) {
        if (number->digits[i] == '.')
            continue;
        int digit = number->digits[i] - '0';
        if (place >= 0 && value >= limit / 10)
            return false;
        value = place >= 0 ? value * 10 + digit : value + (digit >= 5);
        place--;
    }
    for (; place >= 0 && value != 0; place--) {
        if (value >= limit / 10)
            return false;
        value *= 10;
    }
    if (value >= limit)
        return false;
    *out = number->negative ? -value : value;
    return true;
}

bool number_decimal(const char *text, size_t length, unsigned rules, unsigned width, unsigned scale,
                    int128 *out)
{
    number number;

    if (rules & NUMBER_BLANKS)
        number_trim(&text, &length);
    return number_read(text, length, &number) && number_to_decimal(&number, width, scale, out);
}

size_t number_write_decimal(char into[NUMBER_DIGITS_MAX], int128 value, unsigned scale)
{
    char digits[NUMBER_DIGITS_MAX];
    size_t at = sizeof digits;
    uint128 rest = value < 0 ? -(uint128)value : (uint128)value;
    unsigned n = 0;
    do {
        if (n == scale && scale > 0)
            digits[--at] = '.';
        digits[--at] = (char)('0' + (int)(rest % 10));
        rest /= 10;
        n++;
    } while (rest > 0 || n <= scale);
    if (value < 0)
        digits[--at] = '-';
    memcpy(into, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

static double number_of_decimal(int128 value, unsigned scale, bool as_float)
{
    const int64_t exact = as_float ? EXACT_FLOAT : EXACT_DOUBLE;
    char text[NUMBER_DIGITS_MAX];
    number number = {0};

    if (value <= exact && value >= -exact && scale <= (as_float ? 10 : 22))
        return (double)value / double_powers_of_ten[scale];
    number_read(text, number_write_decimal(text, value, scale), &number);
    return number.negative ? -number_slowly(&number, as_float) : number_slowly(&number, as_float);
}

double number_double_of_decimal(int128 value, unsigned scale)
{
    return number_of_decimal(value, scale, false);
}

float number_float_of_decimal(int128 value, unsigned scale)
{
    return (float)number_of_decimal(value, scale, true);
}

/* ---- to digits ------------------------------------------------------------------------------- */

static int number_without_zeros(const char *digits, int n)
{
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

/* For numbers that are whole multiples of a power of ten, written with at most 15 digits: prices,
 * percentages. Such a number is m / 10^k, and that division is exact but for one rounding. 0 where
 * it is none. */
static int number_short_digits(double value, char *digits, int *point)
{
    for (int k = 0; k <= 22; k++) {
        double scaled = value * double_powers_of_ten[k];
        if (scaled >= 1e15)
            return 0;
        int64_t whole = (int64_t)(scaled + 0.5);
        if ((double)whole / double_powers_of_ten[k] != value)
            continue;
        int n = 1;
        for (int64_t rest = whole / 10; rest > 0; rest /= 10)
            n++;
        for (int i = n; i > 0; whole /= 10)
            digits[--i] = (char)('0' + whole % 10);
        *point = n - k;
        return number_without_zeros(digits, n);
    }
    return 0;
}

/* 15 significant digits always survive the way to a double and back, 17 always suffice; the first
 * of 15, 16, 17 that reads back is taken (6 to 9 for floats). */
int number_shortest(double value, bool as_float, char digits[NUMBER_DIGITS_MAX], int *point)
{
    char text[NUMBER_DIGITS_MAX];
    int n_digits = as_float ? 0 : number_short_digits(value, digits, point);
    int most = as_float ? 9 : 17;
    int least = as_float ? 6 : 15;

    if (n_digits > 0)
        return n_digits;
    if (value < (as_float ? (double)FLT_MIN : DBL_MIN))
        least = 2; /* subnormal numbers have fewer digits; Java writes two at least */
    for (int n = least; n <= most; n++) {
        snprintf(text, sizeof text, "%.*e", n - 1, value);
        double back = as_float ? (double)strtof(text, NULL) : strtod(text, NULL);
        if (back == value)
            break;
    }
    const char *at = text;
    for (; *at != 'e'; at++) /* the point is the locale's: whatever is no digit is skipped */
        if (number_is_digit(*at))
            digits[n_digits++] = *at;
    *point = (int)strtol(at + 1, NULL, 10) + 1;
    return number_without_zeros(digits, n_digits);
}

bool number_decimal_of_double(double value, unsigned width, unsigned scale, int128 *out)
{
    char digits[NUMBER_DIGITS_MAX];
    int point;

    if (isnan(value) || isinf(value))
        return false;
    int n = number_shortest(fabs(value), false, digits, &point);
    number number = {.digits = digits, .length = (size_t)n, .point = point, .negative = value < 0};
    return number_to_decimal(&number, width, scale, out);
}
