/* cast_text.c - see cast_text.h. Numbers from text are number.c's. */
#include "base/cast_text.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "base/text.h"

#define MICROSECONDS_A_DAY INT64_C(86400000000)

/* ---- reading --------------------------------------------------------------------------------- */

bool cast_read_boolean(const char *text, size_t length, uint8_t *into)
{
    static const char *const words[] = {"f", "t", "false", "true", "n", "y", "no", "yes", "0", "1"};
    number_trim(&text, &length);
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == length && strncasecmp(text, words[i], length) == 0) {
            *into = i % 2;
            return true;
        }
    return false;
}

/* ---- decimals -------------------------------------------------------------------------------- */

bool cast_rescale(int128 value, unsigned from_scale, unsigned width, unsigned scale, int128 *into)
{
    const int128 limit = number_power_of_ten(width);
    if (scale >= from_scale) {
        int128 factor = number_power_of_ten(scale - from_scale);
        int128 most = limit / factor; /* exact, or 0 where only 0 fits */
        if (value != 0 && (value >= most || value <= -most))
            return false;
        *into = value * factor;
        return true;
    }
    int128 divisor = number_power_of_ten(from_scale - scale);
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

bool cast_decimal_to_units(int128 value, unsigned scale, int64_t units, int64_t *into)
{
    const int128 one = number_power_of_ten(scale), whole = value / one, fraction = value % one;
    /* A fraction of more than 31 digits loses the last ones, so that the product fits. */
    const int128 part =
        scale <= 31 ? fraction * units / one : fraction / 10000000 * units / (one / 10000000);
    if (whole > INT64_MAX || whole < INT64_MIN)
        return false;
    const int128 sum = whole * units + part;
    if (sum > INT64_MAX || sum < INT64_MIN)
        return false;
    *into = (int64_t)sum;
    return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

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
    int n = number_shortest(value, as_float, digits, &point);
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
