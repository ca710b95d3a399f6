/* value.c - see value.h. */
#include "declaration/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

typedef struct unit {
    const char *name;
    const char *plural; /* NULL: the same */
    int64_t size;
    const char *others[3]; /* as people write it, too */
} unit;

/* Smallest first. */
static const unit duration_units[] = {
    {"us", NULL, 1, {NULL}},
    {"microsecond", "microseconds", 1, {NULL}},
    {"ms", NULL, 1000, {NULL}},
    {"millisecond", "milliseconds", 1000, {NULL}},
    {"second", "seconds", 1000000, {"s", "sec", "secs"}},
    {"minute", "minutes", INT64_C(60) * 1000000, {"m", "min", "mins"}},
    {"hour", "hours", INT64_C(3600) * 1000000, {"h", "hr", "hrs"}},
    {"day", "days", INT64_C(86400) * 1000000, {"d"}},
    {"week", "weeks", INT64_C(604800) * 1000000, {"w"}},
};

static const unit byte_units[] = {
    {"B", NULL, 1, {NULL}},
    {"kB", NULL, 1000, {"k"}},
    {"KiB", NULL, 1024, {"Ki"}},
    {"MB", NULL, 1000000, {"M"}},
    {"MiB", NULL, 1 << 20, {"Mi"}},
    {"GB", NULL, 1000000000, {"G"}},
    {"GiB", NULL, 1 << 30, {"Gi"}},
    {"TB", NULL, INT64_C(1000000000000), {"T"}},
    {"TiB", NULL, INT64_C(1) << 40, {"Ti"}},
};

/* Numbers with a unit: their units, and what is said of a text that is none. */
typedef struct measure {
    const unit *units;
    size_t n_units;
    bool any_case;
    const unit *zero; /* the unit of 0 */
    const char *no_number;
    const char *too_large;
    const char *fraction;
    const char *no_unit; /* NULL: then it counts by 1 */
    const char *unknown;
} measure;

static const measure durations = {
    .units = duration_units,
    .n_units = COUNT(duration_units),
    .zero = &duration_units[4],
    .no_number = "must be a number and a unit, such as \"10 minutes\"",
    .too_large = "is too long a time",
    .fraction = "must be a whole number of a unit: write for example \"500 ms\" for half a second",
    .no_unit = "must have a unit, such as \"10 seconds\"",
    .unknown =
        "has no known unit: it must be us, ms, second, minute, hour, day or week (or s, m, h, "
        "d, w)",
};

static const measure sizes = {
    .units = byte_units,
    .n_units = COUNT(byte_units),
    .any_case = true,
    .zero = &byte_units[0],
    .no_number = "must be a number of bytes, such as \"64 MiB\", \"100 MB\" or 4096",
    .too_large = "is too large a size",
    .fraction = "must be a whole number of a unit: write for example \"1500 MB\" for 1.5 GB",
    .unknown = "has no known unit: it must be kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, "
               "TiB (of 1024)",
};

const char *value_boolean(const char *text, bool *into)
{
    static const char *const yes[] = {"yes", "on", "y", "1", "t"};
    static const char *const no[] = {"no", "off", "n", "0", "f"};
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        *into = text[0] == 't';
        return NULL;
    }
    bool is_yes = strcasecmp(text, "true") == 0;
    bool is_no = strcasecmp(text, "false") == 0;
    for (size_t i = 0; i < COUNT(yes); i++) {
        is_yes = is_yes || strcasecmp(text, yes[i]) == 0;
        is_no = is_no || strcasecmp(text, no[i]) == 0;
    }
    return is_yes  ? "must be true or false: write true"
           : is_no ? "must be true or false: write false"
                   : "must be true or false";
}

/* Digits at *at into a number; false where they are too many. */
static bool read_digits(const char **at, bool negative, int64_t *into)
{
    return number_digits(at, *at + strlen(*at), negative, into);
}

static const char *read_integer(const char *at, int64_t *into)
{
    bool negative = *at == '-';
    at += *at == '-' || *at == '+';
    if (*at < '0' || *at > '9')
        return "must be a whole number, such as 1000";
    int64_t value;
    if (!read_digits(&at, negative, &value))
        return "must be a whole number of at most 64 bits";
    if (*at != '\0')
        return "must be a whole number in plain digits, such as 1000000";
    *into = value;
    return NULL;
}

static const unit *find_unit(const char *name, const measure *measure)
{
    int (*compare)(const char *, const char *) = measure->any_case ? strcasecmp : strcmp;
    for (size_t i = 0; i < measure->n_units; i++) {
        const unit *unit = &measure->units[i];
        if (compare(name, unit->name) == 0 ||
            (unit->plural != NULL && strcmp(name, unit->plural) == 0))
            return unit;
        for (size_t k = 0; k < COUNT(unit->others) && unit->others[k] != NULL; k++)
            if (compare(name, unit->others[k]) == 0)
                return unit;
    }
    return NULL;
}

static const char *read_measure(const char *at, const measure *measure, int64_t *into)
{
    if (*at < '0' || *at > '9')
        return measure->no_number;
    int64_t number;
    if (!read_digits(&at, false, &number))
        return measure->too_large;
    if (*at == '.' || *at == ',')
        return measure->fraction;
    at += strspn(at, " ");
    if (*at == '\0' && measure->no_unit != NULL)
        return measure->no_unit;
    const unit *unit = *at == '\0' ? &measure->units[0] : find_unit(at, measure);
    if (unit == NULL)
        return measure->unknown;
    int64_t value;
    if (__builtin_mul_overflow(number, unit->size, &value))
        return measure->too_large;
    *into = value;
    return NULL;
}

/* "25%" as -25. */
static const char *read_share(const char *at, int64_t *into)
{
    int64_t percent;
    if (*at < '0' || *at > '9' || !read_digits(&at, false, &percent) ||
        strcmp(at + strspn(at, " "), "%") != 0)
        return "must be a size, such as \"1 GiB\", or a share in whole percents, such as \"25%\"";
    if (percent < 1 || percent > 100)
        return "must be from 1% to 100%";
    *into = -percent;
    return NULL;
}

const char *value_number(option_kind kind, const char *text, int64_t *into)
{
    if (kind == OPTION_INTEGER)
        return read_integer(text, into);
    if (kind == OPTION_MEMORY && strchr(text, '%') != NULL)
        return read_share(text, into);
    return read_measure(text, kind == OPTION_DURATION ? &durations : &sizes, into);
}

bool value_limit(const char *text, int64_t *count, double *share)
{
    char *end;
    int64_t number;
    if (value_number(OPTION_INTEGER, text, &number) == NULL && number >= 0) {
        *count = number;
        *share = -1;
        return true;
    }
    const bool is_number = *text >= '0' && *text <= '9';
    const double percent = is_number ? strtod(text, &end) : -1;
    if (!is_number || !(percent < 100) || strcmp(end + strspn(end, " "), "%") != 0)
        return false;
    *count = percent == 0 ? 0 : -1;
    *share = percent / 100;
    return true;
}

bool value_fraction(const char *text, double *into)
{
    char *end;
    const double number = *text >= '0' && *text <= '9' ? strtod(text, &end) : -1;
    if (!(number >= 0 && number < 1) || *end != '\0')
        return false;
    *into = number;
    return true;
}

const char *value_name(const char *text)
{
    size_t length = strlen(text);
    if (length == 0)
        return "must not be empty";
    if (length > DECLARATION_NAME_MAX)
        return "must have 128 letters at most";
    if (text[0] >= '0' && text[0] <= '9')
        return "must not begin with a digit: names are letters, digits and _";
    if (strspn(text, NAME_CHARACTERS) != length)
        return "must be a plain name: letters (a to z), digits and _ only";
    return NULL;
}

/* By the largest unit that divides the value. */
void value_format(option_kind kind, int64_t value, char into[VALUE_TEXT_MAX])
{
    const measure *measure = kind == OPTION_DURATION ? &durations : &sizes;
    const unit *unit = value == 0 ? measure->zero : &measure->units[0];
    for (size_t i = 0; i < measure->n_units && value != 0; i++)
        if (value % measure->units[i].size == 0 && measure->units[i].size > unit->size)
            unit = &measure->units[i];
    int64_t number = value / unit->size;
    if (kind == OPTION_MEMORY && value < 0)
        snprintf(into, VALUE_TEXT_MAX, "%" PRId64 "%%", -value);
    else if (kind == OPTION_INTEGER || unit == &byte_units[0])
        snprintf(into, VALUE_TEXT_MAX, "%" PRId64, value);
    else
        snprintf(into, VALUE_TEXT_MAX, "%" PRId64 " %s", number,
                 number != 1 && unit->plural != NULL ? unit->plural : unit->name);
}
