/* spark_times.c - Spark's functions of dates (days since 1970) and times (microseconds, UTC). */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "base/zone.h"
#include "functions/mask.h"
#include "functions/spark_rows.h"

#define US_A_SECOND INT64_C(1000000)
#define US_A_DAY (86400 * US_A_SECOND)

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

typedef struct day_parts {
    int64_t year;
    unsigned month, day;
} day_parts;

static day_parts parts_of(int64_t days)
{
    day_parts parts;
    date_civil(days, &parts.year, &parts.month, &parts.day);
    return parts;
}

static unsigned month_days(int64_t year, unsigned month)
{
    int64_t next = month == 12 ? date_days(year + 1, 1, 1) : date_days(year, month + 1, 1);
    return (unsigned)(next - date_days(year, month, 1));
}

/* Monday is 1. */
static int64_t weekday_of(int64_t days)
{
    return ((days + 3) % 7 + 7) % 7 + 1;
}

static bool is_date(int64_t year, int64_t month, int64_t day)
{
    return year >= -999999 && year <= 999999 && month >= 1 && month <= 12 && day >= 1 &&
           day <= month_days(year, (unsigned)month);
}

static void give_date(row_call *call, int64_t days)
{
    if (days < INT32_MIN || days > INT32_MAX)
        give_null(call);
    else
        give_int(call, (int32_t)days);
}

/* The same day of another month, or its last. */
static int64_t plus_months(int64_t days, int64_t months)
{
    day_parts parts = parts_of(days);
    int64_t month = parts.year * 12 + parts.month - 1 + months, year = floor_divide(month, 12);
    unsigned of_year = (unsigned)(month - year * 12) + 1, last = month_days(year, of_year);
    return date_days(year, of_year, parts.day < last ? parts.day : last);
}

/* ---- masks ----------------------------------------------------------------------------------- */

typedef struct kept_mask {
    const char *bytes;
    size_t length;
    mask *mask;
} kept_mask;

static const mask *mask_at(row_call *call, uint32_t argument, mask_use use)
{
    const cell_text *text = text_at(call, argument);
    kept_mask *kept = call->kept;
    if (kept != NULL && kept->length == text->length &&
        memcmp(kept->bytes, text_bytes(text), text->length) == 0)
        return kept->mask;
    if (kept == NULL)
        call->kept = kept = call_memory(call, sizeof *kept);
    const char *copy =
        kept == NULL ? NULL : arena_copy(call->arena, text_bytes(text), text->length);
    if (copy == NULL) {
        fail_memory(call);
        return NULL;
    }
    kept->bytes = text_bytes(text);
    kept->length = text->length;
    freshet_code code = mask_compile_java(call->arena, copy, use, &kept->mask, call->err);
    if (code == FRESHET_OK)
        return kept->mask;
    call->code = code == FRESHET_USAGE ? FRESHET_FAILED : code;
    if (code == FRESHET_USAGE && call->err != NULL) {
        call->err->code = FRESHET_FAILED;
        call->err->then = FRESHET_SKIP_ROW;
    }
    return NULL;
}

static freshet_code check_one(const char *text, mask_use use, freshet_error *err)
{
    mask *mask;
    if (text == NULL)
        return FRESHET_OK;
    arena *scratch = arena_open();
    freshet_code code =
        scratch == NULL ? FRESHET_NO_MEMORY : mask_compile_java(scratch, text, use, &mask, err);
    arena_close(scratch);
    return code;
}

static freshet_code check_reading(const char *const *constants, freshet_error *err)
{
    return check_one(constants[1], MASK_READ, err);
}

static freshet_code check_writing(const char *const *constants, freshet_error *err)
{
    return check_one(constants[1], MASK_WRITE, err);
}

/* Null where the text does not match. */
static void call_read(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    const mask *mask = mask_at(call, 1, MASK_READ);
    int64_t us;
    if (mask == NULL)
        return;
    if (mask_read(mask, text_bytes(text), text->length, &us))
        give_long(call, us);
    else
        give_null(call);
}

static void write_by_mask(row_call *call, int64_t us)
{
    char written[MASK_WRITTEN_MAX + 1];
    const mask *mask = mask_at(call, 1, MASK_WRITE);
    if (mask != NULL)
        give_text(call, written, mask_write(mask, us, written));
}

static void call_write(row_call *call)
{
    write_by_mask(call, long_at(call, 0));
}

/* Seconds wrap, as Java's multiplication does. */
static void call_from_unixtime(row_call *call)
{
    write_by_mask(call, (int64_t)((uint64_t)long_at(call, 0) * (uint64_t)US_A_SECOND));
}

/* ---- months and days ------------------------------------------------------------------------- */

static void call_add_months(row_call *call)
{
    give_date(call, plus_months(int_at(call, 0), int_at(call, 1)));
}

static void call_add_days(row_call *call)
{
    give_int(call, (int32_t)((uint32_t)int_at(call, 0) + (uint32_t)int_at(call, 1)));
}

static void call_months_between(row_call *call)
{
    int64_t a = long_at(call, 0), b = long_at(call, 1);
    int64_t day_a = floor_divide(a, US_A_DAY), day_b = floor_divide(b, US_A_DAY);
    day_parts of_a = parts_of(day_a), of_b = parts_of(day_b);
    double months = (double)((of_a.year * 12 + of_a.month) - (of_b.year * 12 + of_b.month));
    bool at_ends = of_a.day == month_days(of_a.year, of_a.month) &&
                   of_b.day == month_days(of_b.year, of_b.month);
    if (of_a.day == of_b.day || at_ends) {
        give_double(call, months);
        return;
    }
    int64_t seconds = ((int64_t)of_a.day - of_b.day) * 86400 +
                      (a - day_a * US_A_DAY) / US_A_SECOND - (b - day_b * US_A_DAY) / US_A_SECOND;
    double all = months + (double)seconds / (31 * 86400.0);
    give_double(call, boolean_at(call, 2) ? floor(all * 1e8 + 0.5) / 1e8 : all);
}

static void call_last_day(row_call *call)
{
    day_parts parts = parts_of(int_at(call, 0));
    give_date(call, date_days(parts.year, parts.month, month_days(parts.year, parts.month)));
}

static void call_next_day(row_call *call)
{
    static const char *const names[] = {"MO", "MON", "MONDAY",    "TU", "TUE", "TUESDAY",
                                        "WE", "WED", "WEDNESDAY", "TH", "THU", "THURSDAY",
                                        "FR", "FRI", "FRIDAY",    "SA", "SAT", "SATURDAY",
                                        "SU", "SUN", "SUNDAY"};
    const cell_text *name = text_at(call, 1);
    int64_t day = int_at(call, 0);
    for (int64_t i = 0; i < 21; i++)
        if (strlen(names[i]) == name->length &&
            strncasecmp(names[i], text_bytes(name), name->length) == 0) {
            give_date(call, day + 1 + (i / 3 + 1 - weekday_of(day) + 6) % 7);
            return;
        }
    give_null(call);
}

static void call_week(row_call *call)
{
    int64_t day = int_at(call, 0), thursday = day - weekday_of(day) + 4;
    give_int(call, (int32_t)((thursday - date_days(parts_of(thursday).year, 1, 1)) / 7 + 1));
}

static void call_year_of_week(row_call *call)
{
    int64_t day = int_at(call, 0);
    give_int(call, (int32_t)parts_of(day - weekday_of(day) + 4).year);
}

static void call_make_date(row_call *call)
{
    int64_t year = int_at(call, 0), month = int_at(call, 1), day = int_at(call, 2);
    if (is_date(year, month, day))
        give_date(call, date_days(year, (unsigned)month, (unsigned)day));
    else
        give_null(call);
}

/* ---- cutting --------------------------------------------------------------------------------- */

typedef enum unit {
    UNIT_NONE,
    UNIT_YEAR,
    UNIT_QUARTER,
    UNIT_MONTH,
    UNIT_WEEK,
    UNIT_DAY,
    UNIT_HOUR,
    UNIT_MINUTE,
    UNIT_SECOND,
    UNIT_MILLISECOND,
    UNIT_MICROSECOND,
    UNIT_DAY_OF_YEAR
} unit;

static const struct {
    const char *name;
    unit unit;
    int64_t us; /* where it is always the same */
} units[] = {
    {"YEAR", UNIT_YEAR, 0},
    {"YYYY", UNIT_YEAR, 0},
    {"YY", UNIT_YEAR, 0},
    {"QUARTER", UNIT_QUARTER, 0},
    {"MONTH", UNIT_MONTH, 0},
    {"MON", UNIT_MONTH, 0},
    {"MM", UNIT_MONTH, 0},
    {"WEEK", UNIT_WEEK, 7 * US_A_DAY},
    {"DAY", UNIT_DAY, US_A_DAY},
    {"DD", UNIT_DAY, US_A_DAY},
    {"HOUR", UNIT_HOUR, 3600 * US_A_SECOND},
    {"MINUTE", UNIT_MINUTE, 60 * US_A_SECOND},
    {"SECOND", UNIT_SECOND, US_A_SECOND},
    {"MILLISECOND", UNIT_MILLISECOND, 1000},
    {"MICROSECOND", UNIT_MICROSECOND, 1},
    {"DAYOFYEAR", UNIT_DAY_OF_YEAR, US_A_DAY},
};

#define N_UNITS (sizeof units / sizeof *units)

static size_t unit_at(const row_call *call, uint32_t argument)
{
    const cell_text *name = text_at(call, argument);
    size_t i = 0;
    while (i < N_UNITS && (strlen(units[i].name) != name->length ||
                           strncasecmp(units[i].name, text_bytes(name), name->length) != 0))
        i++;
    return i;
}

/* The first day of the year, quarter, month or week. */
static int64_t cut_day(unit unit, int64_t days)
{
    day_parts parts = parts_of(days);
    switch (unit) {
    case UNIT_YEAR: return date_days(parts.year, 1, 1);
    case UNIT_QUARTER: return date_days(parts.year, (parts.month - 1) / 3 * 3 + 1, 1);
    case UNIT_MONTH: return date_days(parts.year, parts.month, 1);
    case UNIT_WEEK: return days - weekday_of(days) + 1;
    default: return days;
    }
}

static void call_trunc(row_call *call)
{
    size_t i = unit_at(call, 1);
    if (i < N_UNITS && units[i].unit <= UNIT_WEEK)
        give_date(call, cut_day(units[i].unit, int_at(call, 0)));
    else
        give_null(call);
}

static void call_date_trunc(row_call *call)
{
    size_t i = unit_at(call, 0);
    int64_t us = long_at(call, 1);
    if (i == N_UNITS || units[i].unit == UNIT_DAY_OF_YEAR)
        give_null(call);
    else if (units[i].unit <= UNIT_WEEK)
        give_long(call, cut_day(units[i].unit, floor_divide(us, US_A_DAY)) * US_A_DAY);
    else
        give_long(call, floor_divide(us, units[i].us) * units[i].us);
}

/* timestampadd(unit, n, time). */
static void call_timestampadd(row_call *call)
{
    size_t i = unit_at(call, 0);
    int64_t n = long_at(call, 1), us = long_at(call, 2), made;
    if (i == N_UNITS) {
        give_null(call);
        return;
    }
    if (units[i].unit <= UNIT_MONTH) {
        int64_t months = units[i].unit == UNIT_YEAR ? 12 : units[i].unit == UNIT_QUARTER ? 3 : 1;
        int64_t day = floor_divide(us, US_A_DAY);
        if (n > 12000000 || n < -12000000) {
            fail_row(call, "timestampadd goes beyond the years that there are");
            return;
        }
        made = plus_months(day, n * months) * US_A_DAY + (us - day * US_A_DAY);
    } else if (__builtin_mul_overflow(n, units[i].us, &made) ||
               __builtin_add_overflow(made, us, &made)) {
        fail_row(call, "timestampadd goes beyond the years that there are");
        return;
    }
    give_long(call, made);
}

/* Whole months from a to b, towards zero. */
static int64_t months_from(int64_t a, int64_t b)
{
    int64_t day_a = floor_divide(a, US_A_DAY), day_b = floor_divide(b, US_A_DAY);
    day_parts of_a = parts_of(day_a), of_b = parts_of(day_b);
    int64_t months = (of_b.year * 12 + of_b.month) - (of_a.year * 12 + of_a.month);
    int64_t in_a = of_a.day * US_A_DAY + (a - day_a * US_A_DAY);
    int64_t in_b = of_b.day * US_A_DAY + (b - day_b * US_A_DAY);
    if (months > 0 && in_b < in_a)
        months--;
    else if (months < 0 && in_b > in_a)
        months++;
    return months;
}

/* timestampdiff(unit, a, b): whole units from a to b. */
static void call_timestampdiff(row_call *call)
{
    size_t i = unit_at(call, 0);
    int64_t a = long_at(call, 1), b = long_at(call, 2);
    if (i == N_UNITS)
        give_null(call);
    else if (units[i].unit <= UNIT_MONTH)
        give_long(call, months_from(a, b) / (units[i].unit == UNIT_YEAR      ? 12
                                             : units[i].unit == UNIT_QUARTER ? 3
                                                                             : 1));
    else
        give_long(call, (b - a) / units[i].us);
}

/* ---- zones ----------------------------------------------------------------------------------- */

/* Short names of Java's ZoneId.SHORT_IDS. */
static const struct {
    const char *name, *means;
} short_zones[] = {
    {"ACT", "Australia/Darwin"},
    {"AET", "Australia/Sydney"},
    {"AGT", "America/Argentina/Buenos_Aires"},
    {"ART", "Africa/Cairo"},
    {"AST", "America/Anchorage"},
    {"BET", "America/Sao_Paulo"},
    {"BST", "Asia/Dhaka"},
    {"CAT", "Africa/Harare"},
    {"CNT", "America/St_Johns"},
    {"CST", "America/Chicago"},
    {"CTT", "Asia/Shanghai"},
    {"EAT", "Africa/Addis_Ababa"},
    {"ECT", "Europe/Paris"},
    {"IET", "America/Indiana/Indianapolis"},
    {"IST", "Asia/Kolkata"},
    {"JST", "Asia/Tokyo"},
    {"MIT", "Pacific/Apia"},
    {"NET", "Asia/Yerevan"},
    {"NST", "Pacific/Auckland"},
    {"PLT", "Asia/Karachi"},
    {"PNT", "America/Phoenix"},
    {"PRT", "America/Puerto_Rico"},
    {"PST", "America/Los_Angeles"},
    {"SST", "Pacific/Guadalcanal"},
    {"VST", "Asia/Ho_Chi_Minh"},
    {"EST", "-05:00"},
    {"MST", "-07:00"},
    {"HST", "-10:00"},
};

static bool find_zone(row_call *call, uint32_t argument, bool is_local, int64_t at_s,
                      int32_t *offset_s)
{
    const cell_text *zone = text_at(call, argument);
    const char *name = text_bytes(zone);
    size_t length = zone->length;
    for (size_t i = 0; i < sizeof short_zones / sizeof *short_zones; i++)
        if (length == 3 && memcmp(short_zones[i].name, name, 3) == 0) {
            name = short_zones[i].means;
            length = strlen(name);
            break;
        }
    if (is_local ? zone_offset(name, length, at_s, offset_s)
                 : zone_offset_at(name, length, at_s, offset_s))
        return true;
    fail_row(call, "there is no time zone \"%.*s\"", (int)length, name);
    return false;
}

static void call_from_utc(row_call *call)
{
    int64_t us = long_at(call, 0);
    int32_t offset_s;
    if (find_zone(call, 1, false, floor_divide(us, US_A_SECOND), &offset_s))
        give_long(call, us + offset_s * US_A_SECOND);
}

static void call_to_utc(row_call *call)
{
    int64_t us = long_at(call, 0);
    int32_t offset_s;
    if (find_zone(call, 1, true, floor_divide(us, US_A_SECOND), &offset_s))
        give_long(call, us - offset_s * US_A_SECOND);
}

/* Whole units of so many microseconds since 1970, rounded down. */
static void call_units(row_call *call)
{
    give_long(call, floor_divide(long_at(call, 0), long_at(call, 1)));
}

/* Year, month, day, hour, minute, second: 60 seconds are the next minute. */
static void call_make_timestamp(row_call *call)
{
    int64_t hour = int_at(call, 3), minute = int_at(call, 4);
    int64_t us = (int64_t)llround(double_at(call, 5) * 1e6);
    if (!is_date(int_at(call, 0), int_at(call, 1), int_at(call, 2)) || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || us < 0 || us > 60 * US_A_SECOND) {
        give_null(call);
        return;
    }
    int64_t day = date_days(int_at(call, 0), (unsigned)int_at(call, 1), (unsigned)int_at(call, 2));
    give_long(call, day * US_A_DAY + (hour * 60 + minute) * 60 * US_A_SECOND + us);
}

const sql_function spark_times[] = {
    /* the time that the text is by a mask; null where it does not match */
    {SPARK_ROWS("spark_read_time", "timestamp", call_read), .arguments = {"string", "string"},
     .check = check_reading},
    {SPARK_ROWS("spark_date_format", "string", call_write), .arguments = {"timestamp", "string"},
     .check = check_writing},
    {SPARK_ROWS("spark_from_unixtime", "string", call_from_unixtime),
     .arguments = {"bigint", "string"}, .check = check_writing},
    {SPARK_ROWS("spark_add_months", "date", call_add_months), .arguments = {"date", "integer"}},
    {SPARK_ROWS("spark_add_days", "date", call_add_days), .arguments = {"date", "integer"}},
    /* the third: rounded to eight digits */
    {SPARK_ROWS("spark_months_between", "double", call_months_between),
     .arguments = {"timestamp", "timestamp", "boolean"}},
    {SPARK_ROWS("spark_last_day", "date", call_last_day), .arguments = {"date"}},
    {SPARK_ROWS("spark_next_day", "date", call_next_day), .arguments = {"date", "string"}},
    {SPARK_ROWS("spark_weekofyear", "integer", call_week), .arguments = {"date"}},
    {SPARK_ROWS("spark_yearofweek", "integer", call_year_of_week), .arguments = {"date"}},
    {SPARK_ROWS("spark_make_date", "date", call_make_date),
     .arguments = {"integer", "integer", "integer"}},
    {SPARK_ROWS("spark_trunc", "date", call_trunc), .arguments = {"date", "string"}},
    {SPARK_ROWS("spark_date_trunc", "timestamp", call_date_trunc),
     .arguments = {"string", "timestamp"}},
    /* YEAR, MONTH ...; how many; the time */
    {SPARK_ROWS("spark_timestampadd", "timestamp", call_timestampadd),
     .arguments = {"string", "bigint", "timestamp"}},
    {SPARK_ROWS("spark_timestampdiff", "bigint", call_timestampdiff),
     .arguments = {"string", "timestamp", "timestamp"}},
    {SPARK_ROWS("spark_units", "bigint", call_units), .arguments = {"timestamp", "bigint"}},
    {SPARK_ROWS("spark_make_timestamp", "timestamp", call_make_timestamp),
     .arguments = {"integer", "integer", "integer", "integer", "integer", "double"}},
    {SPARK_ROWS("spark_from_utc_timestamp", "timestamp", call_from_utc),
     .arguments = {"timestamp", "string"}},
    {SPARK_ROWS("spark_to_utc_timestamp", "timestamp", call_to_utc),
     .arguments = {"timestamp", "string"}},
    {.name = NULL},
};
