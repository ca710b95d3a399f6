/* mask.h - timestamps from text of one declared form, and text of that form.
 *
 * A mask is written in one of two ways: with percent signs it is strptime's, else Java's letters as
 * in Butterfree. It is compiled once into a small program of parts; each text is then read by it
 * from left to right, without the process's locale. The whole text must match; blanks around it
 * count. A time is written by the same program, as Spark's date_format does, in UTC.
 *
 *   strptime  %Y %y %m %b %B %d %j %H %I %p %M %S %f %z %Z %a %A, %F %T %R %D for the usual
 *             groups, %% and %n %t; one or two digits each (four for %Y); a flag as in %-d changes
 *             nothing; a blank stands for one or more
 *   Java      y u M L d D H k h K a m s S E X x Z z O, 'quoted' text, '' for a quote. Two letters
 *             are two digits, one letter is one or two; yyyy is four, yy the years 2000 to 2099;
 *             MMM and MMMM are names; SSS is up to three digits of a fraction
 *
 * Names are English. Letters and names match in any case. Numbers that follow each other without
 * anything between (yyyyMMdd) share their digits out. What is not in the mask is the
 * first month, day, hour ... and UTC. A fraction is cut to microseconds.
 *
 * In writing, a number has as many digits as it has letters at least (%d: two, %-d: one), SSS are
 * three digits of the fraction, cut off; Q is the quarter (QQQ Q1, QQQQ 1st quarter), F the day of
 * the month's weeks.
 *
 * Refused in reading, with the letter named: the week-based year (YYYY), letters that no time has,
 * the same part twice, a mask without a year, an hour of half a day without its am or pm.
 *
 * mask_read, mask_write: any thread, on a mask that is compiled.
 */
#ifndef FRESHET_FUNCTIONS_MASK_H
#define FRESHET_FUNCTIONS_MASK_H

#include <freshet/freshet.h>

#include "base/arena.h"

#define MASK_LENGTH_MAX 200u
#define MASK_PARTS_MAX 100u

#define MASK_WRITTEN_MAX (MASK_PARTS_MAX * 32)

typedef struct mask mask;

typedef enum mask_use {
    MASK_TIMESTAMP, /* to read; refused without a year */
    MASK_READ,      /* a year that is not there is 1970 */
    MASK_WRITE      /* parts may be missing, and come twice */
} mask_use;

/* FRESHET_USAGE with what is wrong in err; the mask lives in the arena. */
freshet_code mask_compile(arena *arena, const char *text, mask_use use, mask **out,
                          freshet_error *err);

/* The same of a mask that is in Java's letters whatever stands in it: a percent sign is text. */
freshet_code mask_compile_java(arena *arena, const char *text, mask_use use, mask **out,
                               freshet_error *err);

/* False, leaving *time_us untouched, where the text does not match or is no time that exists. */
bool mask_read(const mask *mask, const char *text, size_t length, int64_t *time_us);

/* Writes the time as text of at most MASK_WRITTEN_MAX bytes, with a NUL behind it; gives its
 * length. The infinities are "infinity" and "-infinity". */
size_t mask_write(const mask *mask, int64_t time_us, char *into);

#endif
