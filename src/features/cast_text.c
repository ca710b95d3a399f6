/* cast_text.c - see cast_text.h.
 *
 * Decimal text to binary: a mantissa below 2^53 with a power of ten up to 22 is one exact
 * multiplication or division (Clinger's fast path); everything else is left to strtod in the "C"
 * locale. Binary to text: 15 significant digits always survive the way to a double and back, 17
 * always suffice; the first of 15, 16, 17 that reads back is taken (6 to 9 for floats).
 */
#define _GNU_SOURCE /* strtod_l, strtof_l */
#include "features/cast_text.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define NUMBER_STACK_MAX 128u   /* longer texts of numbers are copied to the heap for strtod */
#define EXPONENT_MAX 1000000000 /* larger ones are all the same: out of range or zero */
#define MICROSECONDS_A_DAY INT64_C(86400000000)

static const uint64_t powers_of_ten[] = {
    1U,
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
    10000000000000000000U,
};

static const double double_powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

int128 cast_power_of_ten(unsigned n)
{
    return n <= 19 ? (int128)powers_of_ten[n] : (int128)powers_of_ten[19] * powers_of_ten[n - 19];
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool cast_text_is_blank(char c)
{
    return (unsigned char)c <= ' ' || c == 0x7f;
}

static bool cast_text_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void cast_text_trim(const char **text, size_t *length)
{
    while (*length > 0 && cast_text_is_blank(**text)) {
        (*text)++;
        (*length)--;
    }
    while (*length > 0 && cast_text_is_blank((*text)[*length - 1]))
        (*length)--;
}

static bool is_word(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && strncasecmp(text, word, length) == 0;
}

static bool cast_text_is_one_of(const char *text, size_t length, const char *const *words)
{
    for (; *words != NULL; words++)
        if (is_word(text, length, *words))
            return true;
    return false;
}

bool cast_read_boolean(const char *text, size_t length, uint8_t *into)
{
    static const char *const yes[] = {"t", "true", "y", "yes", "1", NULL};
    static const char *const no[] = {"f", "false", "n", "no", "0", NULL};

    cast_text_trim(&text, &length);
    if (cast_text_is_one_of(text, length, yes))
        *into = 1;
    else if (cast_text_is_one_of(text, length, no))
        *into = 0;
    else
        return false;
    return true;
}

bool cast_read_bigint(const char *text, size_t length, int64_t *into)
{
    cast_text_trim(&text, &length);
    const char *at = text, *end = text + length;
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end)
        return false;
    int64_t value = 0; /* counted below zero, where there is room for one more */
    for (; at < end && cast_text_is_digit(*at); at++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *at - '0', &value))
            return false;
    if (at < end && *at == '.')
        for (at++; at < end && cast_text_is_digit(*at);)
            at++;
    if (at < end || (!negative && value == INT64_MIN))
        return false;
    *into = negative ? value : -value;
    return true;
}

/* A decimal number as it is written: digits (with at most one point among them), and the place of
 * the first digit: 10^(point - 1). */
typedef struct number {
    const char *digits;
    size_t length;
    int64_t point;
    bool negative;
} number;

/* [+-]digits[.digits][e[+-]digits], with a digit before or behind the point. */
static bool cast_text_read_number(const char *text, size_t length, number *into)
{
    const char *at = text, *end = text + length;
    number number = {.negative = at < end && *at == '-'};
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    number.digits = at;
    while (at < end && cast_text_is_digit(*at))
        at++;
    number.point = at - number.digits;
    int64_t n_digits = number.point;
    if (at < end && *at == '.')
        for (at++; at < end && cast_text_is_digit(*at); at++)
            n_digits++;
    number.length = (size_t)(at - number.digits);
    if (n_digits == 0)
        return false;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        bool below = at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+'))
            at++;
        if (at == end)
            return false;
        int64_t exponent = 0;
        for (; at < end && cast_text_is_digit(*at); at++)
            if (exponent < EXPONENT_MAX)
                exponent = exponent * 10 + (*at - '0');
        number.point += below ? -exponent : exponent;
    }
    if (at < end)
        return false;
    *into = number;
    return true;
}

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

/* strtod of text without NUL behind it; `as_float` rounds once, to a float. */
static bool convert_slowly(const char *text, size_t length, bool as_float, double *into)
{
    char stack[NUMBER_STACK_MAX];
    char *copy = length < sizeof stack ? stack : malloc(length + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain != (locale_t)0) {
        *into = as_float ? (double)strtof_l(copy, NULL, plain) : strtod_l(copy, NULL, plain);
        freelocale(plain);
    }
    if (copy != stack)
        free(copy);
    return plain != (locale_t)0;
}

static bool read_special(const char *text, size_t length, double *into)
{
    bool negative = length > 0 && *text == '-';
    if (length > 0 && (*text == '-' || *text == '+')) {
        text++;
        length--;
    }
    if (is_word(text, length, "nan"))
        *into = (double)NAN;
    else if (is_word(text, length, "inf") || is_word(text, length, "infinity"))
        *into = negative ? (double)-INFINITY : (double)INFINITY;
    else
        return false;
    return true;
}

bool cast_read_double(const char *text, size_t length, double *into)
{
    cast_text_trim(&text, &length);
    number number;
    if (!cast_text_read_number(text, length, &number))
        return read_special(text, length, into);
    int64_t mantissa, exponent;
    double value;
    if (number_mantissa(&number, &mantissa, &exponent) && mantissa <= (INT64_C(1) << 53) &&
        exponent >= -22 && exponent <= 22) {
        value = exponent < 0 ? (double)mantissa / double_powers_of_ten[-exponent]
                             : (double)mantissa * double_powers_of_ten[exponent];
        value = number.negative ? -value : value;
    } else if (!convert_slowly(text, length, false, &value) || isinf(value)) {
        return false;
    }
    *into = value;
    return true;
}

bool cast_read_float(const char *text, size_t length, float *into)
{
    cast_text_trim(&text, &length);
    number number;
    double value;
    if (!cast_text_read_number(text, length, &number)) {
        if (!read_special(text, length, &value))
            return false;
        *into = (float)value;
        return true;
    }
    int64_t mantissa, exponent;
    if (number_mantissa(&number, &mantissa, &exponent) && mantissa <= (INT64_C(1) << 24) &&
        exponent >= -10 && exponent <= 10) {
        float whole = (float)mantissa;
        float power = (float)double_powers_of_ten[exponent < 0 ? -exponent : exponent];
        float result = exponent < 0 ? whole / power : whole * power;
        *into = number.negative ? -result : result;
        return true;
    }
    if (!convert_slowly(text, length, true, &value) || isinf(value))
        return false;
    *into = (float)value;
    return true;
}

/* Keeps the digits down to the place 10^-scale; the first one below it says whether to round up. */
static bool number_to_decimal(const number *number, unsigned width, unsigned scale, int128 *into)
{
    const int128 limit = cast_power_of_ten(width);
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
    *into = number->negative ? -value : value;
    return true;
}

bool cast_read_decimal(const char *text, size_t length, unsigned width, unsigned scale,
                       int128 *into)
{
    number number;
    cast_text_trim(&text, &length);
    return cast_text_read_number(text, length, &number) &&
           number_to_decimal(&number, width, scale, into);
}

/* ---- decimals -------------------------------------------------------------------------------- */

bool cast_rescale(int128 value, unsigned from_scale, unsigned width, unsigned scale, int128 *into)
{
    const int128 limit = cast_power_of_ten(width);
    if (scale >= from_scale) {
        int128 factor = cast_power_of_ten(scale - from_scale);
        int128 most = limit / factor; /* exact, or 0 where only 0 fits */
        if (value != 0 && (value >= most || value <= -most))
            return false;
        *into = value * factor;
        return true;
    }
    int128 divisor = cast_power_of_ten(from_scale - scale);
    int128 result = value / divisor, rest = value % divisor;
    if (rest > 0 && rest >= divisor - rest)
        result++;
    else if (rest < 0 && -rest >= divisor + rest)
        result--;
    if (result >= limit || result <= -limit)
        return false;
    *into = result;
    return true;
}

double cast_decimal_to_double(int128 value, unsigned scale)
{
    const int128 exact = (int128)1 << 53;
    if (value <= exact && value >= -exact && scale <= 22)
        return (double)value / double_powers_of_ten[scale];
    char text[CAST_TEXT_MAX];
    double result = 0.0;
    convert_slowly(text, cast_write_decimal(text, value, scale), false, &result);
    return result;
}

float cast_decimal_to_float(int128 value, unsigned scale)
{
    const int128 exact = 1 << 24;
    if (value <= exact && value >= -exact && scale <= 10)
        return (float)value / (float)double_powers_of_ten[scale];
    char text[CAST_TEXT_MAX];
    double result = 0.0;
    convert_slowly(text, cast_write_decimal(text, value, scale), true, &result);
    return (float)result;
}

/* ---- writing --------------------------------------------------------------------------------- */

size_t cast_write_decimal(char *into, int128 value, unsigned scale)
{
    char digits[CAST_TEXT_MAX];
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

size_t cast_write_bigint(char *into, int64_t value)
{
    char digits[CAST_TEXT_MAX];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--at] = '-';
    memcpy(into, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

/* As shortest_digits for numbers that are whole multiples of a power of ten, written with at most 15
 * digits: prices, percentages. Such a number is m / 10^k, and that division is exact but for one
 * rounding. 0 where it is none. */
static int short_digits(double value, char *digits, int *point)
{
    for (int k = 0; k <= 22; k++) {
        double scaled = value * double_powers_of_ten[k];
        if (scaled >= 1e15)
            return 0;
        int64_t whole = (int64_t)(scaled + 0.5);
        if ((double)whole / double_powers_of_ten[k] == value) {
            int n = (int)cast_write_bigint(digits, whole);
            *point = n - k;
            while (n > 1 && digits[n - 1] == '0')
                n--;
            return n;
        }
    }
    return 0;
}

/* The fewest digits that read back as the same finite, positive number, without zeros at their
 * end, and the place of the first: 10^(point - 1). */
static int shortest_digits(double value, bool as_float, char *digits, int *point)
{
    char text[CAST_TEXT_MAX];
    int n_digits = as_float ? 0 : short_digits(value, digits, point);
    if (n_digits > 0)
        return n_digits;
    int most = as_float ? 9 : 17;
    int least = as_float ? 6 : 15;
    if (value < (as_float ? (double)FLT_MIN : DBL_MIN))
        least = 2; /* subnormal numbers have fewer digits; Java writes two at least */
    for (int n = least; n <= most; n++) {
        snprintf(text, sizeof text, "%.*e", n - 1, value);
        double back = as_float ? (double)strtof(text, NULL) : strtod(text, NULL);
        if (back == value)
            break;
    }
    const char *at = text;
    for (; *at != 'e';
         at++) /* the decimal point is the locale's: whatever is no digit is skipped */
        if (cast_text_is_digit(*at))
            digits[n_digits++] = *at;
    *point = (int)strtol(at + 1, NULL, 10) + 1;
    while (n_digits > 1 && digits[n_digits - 1] == '0')
        n_digits--;
    return n_digits;
}

/* Java's layout: from 0.001 to below 10^7 plain, else with an exponent; always a digit on both
 * sides of the point. */
static size_t lay_out(char *into, const char *digits, int n, int point)
{
    char *at = into;
    bool plain = point >= -2 && point <= 7;
    int whole = plain ? point : 1; /* digits before the point */
    if (whole <= 0)
        *at++ = '0';
    for (int i = 0; i < whole; i++)
        *at++ = i < n ? digits[i] : '0';
    *at++ = '.';
    for (int i = whole; i < 0; i++)
        *at++ = '0';
    for (int i = whole > 0 ? whole : 0; i < n; i++)
        *at++ = digits[i];
    if (n <= whole)
        *at++ = '0';
    if (!plain) {
        *at++ = 'E';
        at += cast_write_bigint(at, point - 1);
    }
    return (size_t)(at - into);
}

static size_t cast_text_put(char *into, const char *text, size_t length)
{
    memcpy(into, text, length);
    return length;
}

static size_t write_real(char *into, double value, bool as_float)
{
    if (isnan(value))
        return cast_text_put(into, "NaN", 3);
    if (isinf(value))
        return value > 0 ? cast_text_put(into, "Infinity", 8) : cast_text_put(into, "-Infinity", 9);
    size_t sign = 0;
    if (signbit(value))
        sign = cast_text_put(into, "-", 1);
    value = fabs(value);
    if (value < 1e7 && value == floor(value)) {
        size_t length = sign + cast_write_bigint(into + sign, (int64_t)value);
        return length + cast_text_put(into + length, ".0", 2);
    }
    char digits[CAST_TEXT_MAX];
    int point;
    int n = shortest_digits(value, as_float, digits, &point);
    return sign + lay_out(into + sign, digits, n, point);
}

size_t cast_write_double(char *into, double value)
{
    return write_real(into, value, false);
}

size_t cast_write_float(char *into, float value)
{
    return write_real(into, (double)value, true);
}

bool cast_double_to_decimal(double value, unsigned width, unsigned scale, int128 *into)
{
    if (isnan(value) || isinf(value))
        return false;
    if (value == floor(value) && fabs(value) < 9007199254740992.0)
        return cast_rescale((int128)value, 0, width, scale, into);
    char digits[CAST_TEXT_MAX];
    int point;
    int n = shortest_digits(fabs(value), false, digits, &point);
    number number = {.digits = digits, .length = (size_t)n, .point = point, .negative = value < 0};
    return number_to_decimal(&number, width, scale, into);
}

static char *write_padded(char *at, uint64_t value, int width)
{
    char digits[CAST_TEXT_MAX];
    int n = (int)cast_write_bigint(digits, (int64_t)value);
    for (int i = n; i < width; i++)
        *at++ = '0';
    memcpy(at, digits, (size_t)n);
    return at + n;
}

static char *write_civil(char *at, int64_t days)
{
    int64_t year;
    unsigned month, day;
    date_civil(days, &year, &month, &day);
    if (year < 0)
        *at++ = '-';
    else if (year > 9999)
        *at++ = '+';
    at = write_padded(at, (uint64_t)(year < 0 ? -year : year), 4);
    *at++ = '-';
    at = write_padded(at, month, 2);
    *at++ = '-';
    return write_padded(at, day, 2);
}

size_t cast_write_date(char *into, int32_t days)
{
    return (size_t)(write_civil(into, days) - into);
}

size_t cast_write_timestamp(char *into, int64_t time_us)
{
    int64_t days = time_us / MICROSECONDS_A_DAY, rest = time_us % MICROSECONDS_A_DAY;
    if (rest < 0) {
        rest += MICROSECONDS_A_DAY;
        days--;
    }
    char *at = write_civil(into, days);
    uint64_t second = (uint64_t)rest / 1000000, fraction = (uint64_t)rest % 1000000;
    *at++ = ' ';
    at = write_padded(at, second / 3600, 2);
    *at++ = ':';
    at = write_padded(at, second / 60 % 60, 2);
    *at++ = ':';
    at = write_padded(at, second % 60, 2);
    if (fraction > 0) {
        *at++ = '.';
        at = write_padded(at, fraction, 6);
        while (at[-1] == '0')
            at--;
    }
    return (size_t)(at - into);
}
