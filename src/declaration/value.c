/* value.c - see value.h. */
#include "declaration/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"

typedef struct unit {
    const char *name;
    const char *plural; /* NULL: the same */
    int64_t size;
} unit;

/* Smallest first. */
static const unit duration_units[] = {
    {"us", NULL, 1},
    {"microsecond", "microseconds", 1},
    {"ms", NULL, 1000},
    {"millisecond", "milliseconds", 1000},
    {"second", "seconds", 1000000},
    {"minute", "minutes", INT64_C(60) * 1000000},
    {"hour", "hours", INT64_C(3600) * 1000000},
    {"day", "days", INT64_C(86400) * 1000000},
    {"week", "weeks", INT64_C(604800) * 1000000},
};

static const unit byte_units[] = {
    {"B", NULL, 1},
    {"kB", NULL, 1000},
    {"KiB", NULL, 1024},
    {"MB", NULL, 1000000},
    {"MiB", NULL, 1 << 20},
    {"GB", NULL, 1000000000},
    {"GiB", NULL, 1 << 30},
    {"TB", NULL, INT64_C(1000000000000)},
    {"TiB", NULL, INT64_C(1) << 40},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

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

const char *value_integer(const char *text, int64_t *into)
{
    const char *at = text;
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

static const unit *find_unit(const char *name, const unit *units, size_t n, bool any_case)
{
    for (size_t i = 0; i < n; i++) {
        const unit *unit = &units[i];
        if (any_case ? strcasecmp(name, unit->name) == 0 : strcmp(name, unit->name) == 0)
            return unit;
        if (unit->plural != NULL && strcmp(name, unit->plural) == 0)
            return unit;
    }
    return NULL;
}

const char *value_duration(const char *text, int64_t *into)
{
    const char *at = text;
    if (*at < '0' || *at > '9')
        return "must be a number and a unit, such as \"10 minutes\"";
    int64_t number;
    if (!read_digits(&at, false, &number))
        return "is too long a time";
    if (*at == '.' || *at == ',')
        return "must be a whole number of a unit: write for example \"500 ms\" for half a second";
    while (*at == ' ')
        at++;
    if (*at == '\0')
        return "must have a unit, such as \"10 seconds\"";
    const unit *unit = find_unit(at, duration_units, COUNT(duration_units), false);
    if (unit == NULL)
        return "has no known unit: it must be us, ms, second, minute, hour, day or week";
    int64_t value;
    if (__builtin_mul_overflow(number, unit->size, &value))
        return "is too long a time";
    *into = value;
    return NULL;
}

const char *value_bytes(const char *text, int64_t *into)
{
    const char *at = text;
    if (*at < '0' || *at > '9')
        return "must be a number of bytes, such as \"64 MiB\", \"100 MB\" or 4096";
    int64_t number;
    if (!read_digits(&at, false, &number))
        return "is too large a size";
    if (*at == '.' || *at == ',')
        return "must be a whole number of a unit: write for example \"1500 MB\" for 1.5 GB";
    while (*at == ' ')
        at++;
    const unit *unit =
        *at == '\0' ? &byte_units[0] : find_unit(at, byte_units, COUNT(byte_units), true);
    if (unit == NULL)
        return "has no known unit: it must be kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, "
               "TiB "
               "(of 1024)";
    int64_t value;
    if (__builtin_mul_overflow(number, unit->size, &value))
        return "is too large a size";
    *into = value;
    return NULL;
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
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && c != '_' && !(c >= '0' && c <= '9'))
            return "must be a plain name: letters (a to z), digits and _ only";
    }
    return NULL;
}

/* The largest unit that divides the value. */
static const unit *dividing_unit(int64_t value, const unit *units, size_t n)
{
    const unit *best = &units[0];
    for (size_t i = 0; i < n && value != 0; i++)
        if (value % units[i].size == 0 && units[i].size > best->size)
            best = &units[i];
    return best;
}

void value_format_duration(int64_t value_us, char into[VALUE_TEXT_MAX])
{
    const unit *unit = dividing_unit(value_us, duration_units, COUNT(duration_units));
    if (value_us == 0)
        unit = find_unit("second", duration_units, COUNT(duration_units), false);
    int64_t number = value_us / unit->size;
    bool plural = number != 1 && unit->plural != NULL;
    snprintf(into, VALUE_TEXT_MAX, "%" PRId64 " %s", number, plural ? unit->plural : unit->name);
}

void value_format_bytes(int64_t value, char into[VALUE_TEXT_MAX])
{
    const unit *unit = dividing_unit(value, byte_units, COUNT(byte_units));
    if (unit->size == 1)
        snprintf(into, VALUE_TEXT_MAX, "%" PRId64, value);
    else
        snprintf(into, VALUE_TEXT_MAX, "%" PRId64 " %s", value / unit->size, unit->name);
}
