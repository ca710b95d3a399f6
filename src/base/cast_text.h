/* cast_text.h - numbers, booleans and times from text and to text, as Spark casts them.
 *
 * Reading: blanks and control characters around the text are skipped. False, leaving *into
 * untouched, where the text is no such value, or one out of range: nothing wraps or saturates. What
 * Java takes by accident (a suffix as in "1.5f", hexadecimal doubles) is refused.
 *
 *   boolean   t true y yes 1, f false n no 0, in any case
 *   bigint    [+-]digits[.digits]: decimals are cut off; "5.", ".5" and "." are 5, 0, 0; no
 *             exponent
 *   double    decimals and an exponent; NaN, Inf, Infinity with a sign, in any case. A finite
 *             number that is too large for the type is out of range (Java: Infinity)
 *   decimal   as double without NaN and Infinity, rounded half up to the scale, exactly
 *
 * Writing: into a caller's array of CAST_TEXT_MAX bytes; gives the length, and adds no NUL byte.
 *
 *   double    as Java's Double.toString: 1.0, 1.0E7, 1.0E-5, NaN, -Infinity: the fewest digits that
 *             read back as the same number; float likewise
 *   decimal   plain notation with all digits of its scale (Spark: 0E-7 for small ones)
 *   timestamp 2024-05-01 12:00:01.5: the fraction without zeros at its end
 *
 * Any thread may call.
 */
#ifndef FRESHET_BASE_CAST_TEXT_H
#define FRESHET_BASE_CAST_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/batch.h"

#define CAST_TEXT_MAX 48u

bool cast_read_boolean(const char *text, size_t length, uint8_t *into);

size_t cast_write_bigint(char *into, int64_t value);
size_t cast_write_double(char *into, double value);
size_t cast_write_float(char *into, float value);
size_t cast_write_date(char *into, int32_t days);
size_t cast_write_timestamp(char *into, int64_t time_us);

/* The value at another scale, rounded half up (away from zero); false where it has more than
 * `width` digits then. */
bool cast_rescale(int128 value, unsigned from_scale, unsigned width, unsigned scale, int128 *into);

/* value / 10^scale in units of 1 / `units` (1,000,000 at most), cut off towards zero; false where
 * that is no int64. */
bool cast_decimal_to_units(int128 value, unsigned scale, int64_t units, int64_t *into);

#endif
