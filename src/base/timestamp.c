/* timestamp.c - dates and times from text; the forms are in timestamp.h.
 *
 * The common form, 2024-05-01T12:00:00 with any tail, has its digits at fixed places and is read
 * from there in one go, as is 2024-05-01 where that is all; all else is read by a cursor, a part
 * at a time.
 */
#include "base/timestamp.h"

#include <string.h>

#include "base/number.h"
#include "base/text.h"
#include "base/zone.h"

#define SECONDS_A_DAY 86400

typedef struct cursor {
    const char *at;
    const char *end;
} cursor;

typedef struct clock_time {
    int64_t day;      /* since 1970-01-01 */
    int32_t second;   /* of the day */
    int32_t fraction; /* microseconds */
    const char *zone; /* what stands behind the time */
    size_t zone_length;
} clock_time;

/* Between least and most digits, as a number. */
static bool timestamp_take_number(cursor *in, int least, int most, int32_t *value)
{
    return number_small(&in->at, in->end, least, most, value) &&
           (in->at == in->end || !number_is_digit(*in->at));
}

static bool take_char(cursor *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool civil_to_day(int64_t year, int32_t month, int32_t day, int64_t *out)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (month < 1 || month > 12 || day < 1)
        return false;
    if (day > lengths[month - 1] + (month == 2 && is_leap(year)))
        return false;
    *out = date_days(year, (unsigned)month, (unsigned)day);
    return true;
}

/* [+-]yyyy, yyyy-M or yyyy-M-d; *whole is set when the day was there. */
static bool take_date(cursor *in, int64_t *day, bool *whole)
{
    int32_t year = 0;
    int32_t month = 1;
    int32_t month_day = 1;
    bool negative = false;

    *whole = false;
    if (in->at < in->end && (*in->at == '-' || *in->at == '+'))
        negative = *in->at++ == '-';
    if (!timestamp_take_number(in, 4, TIMESTAMP_YEAR_DIGITS_MAX, &year))
        return false;
    if (take_char(in, '-')) {
        if (!timestamp_take_number(in, 1, 2, &month))
            return false;
        if (take_char(in, '-')) {
            if (!timestamp_take_number(in, 1, 2, &month_day))
                return false;
            *whole = true;
        }
    }
    return civil_to_day(negative ? -(int64_t)year : year, month, month_day, day);
}

static bool take_fraction(cursor *in, int32_t *fraction)
{
    static const int32_t us_of[] = {0, 100000, 10000, 1000, 100, 10, 1}; /* of the last digit */
    int32_t sum = 0;
    int digits = 0;

    for (; in->at < in->end && number_is_digit(*in->at) && digits < 6; in->at++, digits++)
        sum = sum * 10 + (*in->at - '0');
    *fraction = sum * us_of[digits];
    while (in->at < in->end && number_is_digit(*in->at))
        in->at++;
    return digits > 0;
}

static bool take_time(cursor *in, int32_t *second, int32_t *fraction)
{
    int32_t h = 0, m = 0, s = 0;

    *fraction = 0;
    if (!timestamp_take_number(in, 1, 2, &h) || !take_char(in, ':') ||
        !timestamp_take_number(in, 1, 2, &m))
        return false;
    if (take_char(in, ':')) {
        if (!timestamp_take_number(in, 1, 2, &s))
            return false;
        if (take_char(in, '.') && !take_fraction(in, fraction))
            return false;
    }
    if (h > 23 || m > 59 || s > 59)
        return false;
    *second = h * 3600 + m * 60 + s;
    return true;
}

static bool read_by_parts(cursor in, clock_time *out)
{
    bool whole = false;

    *out = (clock_time){0};
    if (!take_date(&in, &out->day, &whole))
        return false;
    if (in.at == in.end)
        return true;
    if (!whole || (*in.at != 'T' && *in.at != ' '))
        return false;
    in.at++;
    if (!take_time(&in, &out->second, &out->fraction))
        return false;
    out->zone = in.at;
    out->zone_length = (size_t)(in.end - in.at);
    return true;
}

/* Two digits at p, or a number above 99. */
static inline unsigned pair(const char *p)
{
    unsigned tens = (unsigned char)p[0] - (unsigned)'0';
    unsigned ones = (unsigned char)p[1] - (unsigned)'0';

    return tens > 9 || ones > 9 ? 1000 : tens * 10 + ones;
}

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))
#define DIGIT_MORE 0x76 /* a byte above 9 with it has its high bit; a byte above 0 with */
#define MARK_MORE 0x7f  /* that has it */

/* Eight characters of a form ("0000-00-", where 0 is any digit), as the numbers of each two: byte i
 * is that of the digits i and i + 1. `more` has DIGIT_MORE for each digit, MARK_MORE for each other
 * character. False: they are not of this form. */
static inline bool fixed_pairs(const char *text, const char *form, uint64_t more, uint64_t *pairs)
{
    uint64_t eight, wanted;

    memcpy(&eight, text, 8);
    memcpy(&wanted, form, 8);
    eight ^= wanted;
    if (((eight | (eight + more)) & EACH_BYTE(0x80)) != 0)
        return false;
    *pairs = eight * 10 + (eight >> 8);
    return true;
}

#define PAIR(pairs, at) ((unsigned)((pairs) >> (8 * (at)) & 0xff))

/* As civil_to_day(), of a year of four digits. */
static inline bool fixed_to_day(unsigned year, unsigned month, unsigned day, int64_t *out)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};

    if (year == 0 || day > 28 || day == 0 || month - 1 > 11)
        return civil_to_day(year, (int32_t)month, (int32_t)day, out);
    const unsigned leaps_of = year - (month <= 2); /* years whose leap day is behind us */
    *out = (int64_t)(365 * year + leaps_of / 4 - leaps_of / 100 + leaps_of / 400 +
                     before[month - 1] + day) -
           719528;
    return true;
}

/* yyyy-MM-ddThh:mm:ss and what follows; false: not of this form, or wrong. */
static bool read_fixed(cursor in, clock_time *out)
{
    const uint64_t more_of_date = UINT64_C(0x7f76767f76767676); /* 0000-00- */
    const uint64_t more_of_time = UINT64_C(0x76767f76767f7676); /* 00T00:00 */
    const char *p = in.at;
    uint64_t date, time;
    unsigned h, m, s;

    if (in.end - p < 19 || p[16] != ':' || !fixed_pairs(p, "0000-00-", more_of_date, &date) ||
        !fixed_pairs(p + 8, p[10] == ' ' ? "00 00:00" : "00T00:00", more_of_time, &time))
        return false;
    h = PAIR(time, 3);
    m = PAIR(time, 6);
    s = pair(p + 17);
    if (h > 23 || m > 59 || s > 59)
        return false;
    if (!fixed_to_day(PAIR(date, 0) * 100 + PAIR(date, 2), PAIR(date, 5), PAIR(time, 0), &out->day))
        return false;
    out->second = (int32_t)(h * 3600 + m * 60 + s);
    out->fraction = 0;
    in.at = p + 19;
    if (in.at < in.end && number_is_digit(*in.at))
        return false;
    if (take_char(&in, '.') && !take_fraction(&in, &out->fraction))
        return false;
    out->zone = in.at;
    out->zone_length = (size_t)(in.end - in.at);
    return true;
}

bool timestamp_parse(const char *text, size_t length, int64_t *us)
{
    clock_time time = {0};
    int32_t offset_s = 0;
    int64_t seconds;
    int64_t value;

    number_trim(&text, &length);
    const cursor in = {text, text + length};
    if (!read_fixed(in, &time) && !read_by_parts(in, &time))
        return false;
    seconds = time.day * SECONDS_A_DAY + time.second;
    if (time.zone_length > 0 && !(time.zone_length == 1 && *time.zone == 'Z') &&
        !zone_offset(time.zone, time.zone_length, seconds, &offset_s))
        return false;
    if (__builtin_mul_overflow(seconds - offset_s, (int64_t)1000000, &value) ||
        __builtin_add_overflow(value, (int64_t)time.fraction, &value))
        return false;
    *us = value;
    return true;
}

/* yyyy-MM-dd, whole; false: not of this form, or no day. */
static bool read_fixed_date(const char *p, size_t length, int32_t *days)
{
    unsigned century, year, month, day;
    int64_t found;

    if (length != 10 || p[4] != '-' || p[7] != '-')
        return false;
    century = pair(p);
    year = pair(p + 2);
    month = pair(p + 5);
    day = pair(p + 8);
    if (century > 99 || year > 99 ||
        !civil_to_day(century * 100 + year, (int32_t)month, (int32_t)day, &found))
        return false;
    *days = (int32_t)found;
    return true;
}

bool date_parse(const char *text, size_t length, int32_t *days)
{
    clock_time time = {0};
    int32_t offset_s = 0;

    if (read_fixed_date(text, length, days))
        return true;
    number_trim(&text, &length);
    if (!read_by_parts((cursor){text, text + length}, &time))
        return false;
    if (time.zone_length > 0 &&
        !zone_offset(time.zone, time.zone_length, time.day * SECONDS_A_DAY, &offset_s))
        return false;
    *days = (int32_t)time.day;
    return true;
}
