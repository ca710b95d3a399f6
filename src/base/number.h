/* number.h - numbers from text, once for all: JSON, CSV, casts, declarations.
 *
 * A number is [+-]digits[.digits][e[+-]digits] with a digit before or behind the point. Each
 * function reads the whole text: false, with *out untouched, where it is no number or does not fit:
 * nothing wraps, saturates or is cut unless a rule says so. Texts may be of any length. Doubles and
 * floats are the nearest ones, decimals exact, rounded half up (away from zero) to their scale.
 * Nothing depends on the process's locale or allocates. Any thread may call.
 */
#ifndef FRESHET_BASE_NUMBER_H
#define FRESHET_BASE_NUMBER_H

#include "base/batch.h"

/* What a grammar takes beside that. */
enum {
    NUMBER_STRICT =
        0, /* integers: a fraction of zeros ("3.0"); reals: NaN, [+-]Infinity to the letter */
    NUMBER_BLANKS = 1, /* blanks and control characters around */
    NUMBER_CUT = 2,    /* integers: any fraction, which is cut off (".", too, is 0); no exponent */
    NUMBER_NAMES = 4,  /* reals: nan, inf, infinity with a sign, in any case */
    NUMBER_SPARK = NUMBER_BLANKS | NUMBER_CUT | NUMBER_NAMES
};

bool number_integer(const char *text, size_t length, unsigned rules, int64_t minimum,
                    int64_t maximum, int64_t *out);
/* A number too large for the type is refused; one too small is 0. */
bool number_double(const char *text, size_t length, unsigned rules, double *out);
bool number_float(const char *text, size_t length, unsigned rules, float *out);
/* The number times 10^scale, of at most `width` digits. */
bool number_decimal(const char *text, size_t length, unsigned rules, unsigned width, unsigned scale,
                    int128 *out);

/* The digits at *at, where there are any, which it steps over; false where they are more than 64
 * bits hold. Negative numbers are counted below zero. */
bool number_digits(const char **at, const char *end, bool negative, int64_t *out);

/* The digits at *at, at most `most` of them (nine at most), which it steps over; false where they
 * are fewer than `least`. */
bool number_small(const char **at, const char *end, int least, int most, int32_t *out);

static inline bool number_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool number_is_blank(char c)
{
    return (unsigned char)c <= ' ' || c == 0x7f;
}

/* Steps over blanks and control characters around a text. */
static inline void number_trim(const char **text, size_t *length)
{
    while (*length > 0 && number_is_blank(**text)) {
        (*text)++;
        (*length)--;
    }
    while (*length > 0 && number_is_blank((*text)[*length - 1]))
        (*length)--;
}

/* 10 to the power n, n at most 38. */
int128 number_power_of_ten(unsigned n);

#define NUMBER_DIGITS_MAX 48

/* The fewest digits, without zeros at their end, that read back as the same number, which is finite
 * and not negative; `as_float`: as the same float. *point: the first one counts 10^(*point - 1). */
int number_shortest(double value, bool as_float, char digits[NUMBER_DIGITS_MAX], int *point);

/* A double as the decimal number that its shortest digits are. False for NaN, too. */
bool number_decimal_of_double(double value, unsigned width, unsigned scale, int128 *out);

/* value / 10^scale in plain notation, without an end; its length. */
size_t number_write_decimal(char into[NUMBER_DIGITS_MAX], int128 value, unsigned scale);

/* The double or float nearest to value / 10^scale. */
double number_double_of_decimal(int128 value, unsigned scale);
float number_float_of_decimal(int128 value, unsigned scale);

#endif
