/* timestamp.h - dates and times from text.
 *
 * One parser for all of Freshet: readers, casts and the command line read the same texts, which are
 * those of Spark's cast from string:
 *
 *     [+-]yyyy[y[y]] [-M[M] [-d[d] [(T| )h[h]:m[m][:s[s][.f...]] [zone]]]]
 *
 *   zone: Z, an offset (+h, +hh, +hh:mm, +hhmm, also with seconds; up to 18 hours), UTC, GMT or UT
 *   with or without an offset, or a region of the time zone database (America/Sao_Paulo), after
 *   blanks or not. Without one the time is UTC.
 *
 * Blanks around the text are skipped. The fraction is cut (not rounded) to microseconds. Text of
 * digits only is a year if it has four to six of them, never a number of seconds. What is no date
 * (2023-02-29, 25:00:00) is refused. So is a bare time of day ("12:30"), which Spark takes for
 * today: the result would change from one run to the next.
 *
 * Any thread may call.
 */
#ifndef FRESHET_BASE_TIMESTAMP_H
#define FRESHET_BASE_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMESTAMP_YEAR_DIGITS_MAX 6

/* Event times lie within this many microseconds of 1970, some 285,000 years. Beyond it are
 * INT64_MIN, which is "not a time" in numpy and pandas, the least and greatest numbers, which are
 * infinities in DuckDB, and times at which sums of times would overflow. */
#define TIMESTAMP_FAR_US INT64_C(9000000000000000000)

static inline bool timestamp_is_near(int64_t us)
{
    return us > -TIMESTAMP_FAR_US && us < TIMESTAMP_FAR_US;
}

/* Reads a whole text as a timestamp, microseconds since 1970-01-01 00:00:00 UTC. False, leaving *us
 * untouched, where it is none or does not fit. */
bool timestamp_parse(const char *text, size_t length, int64_t *us);

/* Reads a whole text as a date, days since 1970-01-01. A time of day and a zone may follow; they
 * must be right, and change nothing: the date is the one that is written. */
bool date_parse(const char *text, size_t length, int32_t *days);

#endif
