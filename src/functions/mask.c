/* mask.c - see mask.h.
 *
 * A mask is a list of parts: a number with its least and most digits, a name out of a list, a
 * fraction, an offset from UTC, a literal character, blanks. A number whose digits are followed by
 * another number at once leaves as many digits as those behind it need at least (`reserve`, worked
 * out when the mask is compiled), so there is no backtracking. Writing takes the same parts from
 * left to right: a time is first taken apart into every value that a part can show.
 */
#include "functions/mask.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/text.h"

#define YEAR_MAX 300000 /* beyond what microseconds in 64 bits hold */
#define MICROSECONDS INT64_C(1000000)
#define FRACTION_DIGITS_MAX 9

/* What a part gives. One mask has each at most once. */
typedef enum value {
    VALUE_YEAR,
    VALUE_YEAR_OF_CENTURY,
    VALUE_MONTH,
    VALUE_DAY,
    VALUE_DAY_OF_YEAR,
    VALUE_WEEKDAY, /* 0 is Sunday */
    VALUE_HOUR,
    VALUE_HOUR_FROM_1, /* 1 to 24 */
    VALUE_HALF_HOUR,   /* 1 to 12 */
    VALUE_HALF_HOUR_FROM_0,
    VALUE_HALF, /* am 0, pm 1 */
    VALUE_MINUTE,
    VALUE_SECOND,
    VALUE_FRACTION,          /* microseconds */
    VALUE_OFFSET,            /* seconds east of UTC */
    VALUE_QUARTER,           /* written only, as what follows */
    VALUE_WEEK_DAY_OF_MONTH, /* 1 to 7, beginning with the first of the month */
    VALUES
} value;

/* What messages call it, and what a number may be. */
static const struct {
    const char *name;
    int32_t from, to;
} value_facts[VALUES] = {
    [VALUE_YEAR] = {"the year", 0, YEAR_MAX},
    [VALUE_YEAR_OF_CENTURY] = {"the year", 0, 99},
    [VALUE_MONTH] = {"the month", 1, 12},
    [VALUE_DAY] = {"the day of the month", 1, 31},
    [VALUE_DAY_OF_YEAR] = {"the day of the year", 1, 366},
    [VALUE_WEEKDAY] = {"the weekday", 0, 6},
    [VALUE_HOUR] = {"the hour", 0, 23},
    [VALUE_HOUR_FROM_1] = {"the hour", 1, 24},
    [VALUE_HALF_HOUR] = {"the hour", 1, 12},
    [VALUE_HALF_HOUR_FROM_0] = {"the hour", 0, 11},
    [VALUE_HALF] = {"am or pm", 0, 1},
    [VALUE_MINUTE] = {"the minute", 0, 59},
    [VALUE_SECOND] = {"the second", 0, 59},
    [VALUE_FRACTION] = {"the fraction", 0, 999999},
    [VALUE_OFFSET] = {"the zone", 0, 0},
    [VALUE_QUARTER] = {"the quarter", 1, 4},
    [VALUE_WEEK_DAY_OF_MONTH] = {"the week", 1, 7},
};

typedef enum part_kind {
    PART_LITERAL,
    PART_BLANKS,
    PART_NUMBER,
    PART_SIGNED_YEAR, /* four digits, or a sign and more */
    PART_NAME,
    PART_FRACTION,
    PART_OFFSET,
    PART_ZONE_NAME /* UTC, GMT, UT, Z, or an offset behind one */
} part_kind;

typedef struct part {
    part_kind kind;
    value value;
    char literal;
    uint8_t least;   /* digits; 0: it needs none */
    uint8_t most;    /* digits, or letters of a name */
    uint8_t reserve; /* digits that the numbers right behind need */
    uint8_t width;   /* digits written at least; of a fraction, exactly */
    bool zulu;       /* an offset may be Z */
    const char *const *names;
    const char *shown; /* how an offset from UTC of none is written */
} part;

struct mask {
    part *parts;
    unsigned n_parts;
    unsigned given; /* a bit for each value */
    int pivot;      /* years of the century below this are 20xx, others 19xx */
};

static const char *const month_names[] = {"January",  "February", "March",  "April",     "May",
                                          "June",     "July",     "August", "September", "October",
                                          "November", "December", NULL};
static const char *const weekday_names[] = {"Sunday",   "Monday", "Tuesday",  "Wednesday",
                                            "Thursday", "Friday", "Saturday", NULL};
static const char *const half_names[] = {"AM", "PM", NULL};
static const char *const quarter_names[] = {"Q1", "Q2", "Q3", "Q4", NULL};
static const char *const quarter_whole_names[] = {"1st quarter", "2nd quarter", "3rd quarter",
                                                  "4th quarter", NULL};

#define WHOLE_NAME 255u /* part.most: names are written out */

/* ---- compiling ------------------------------------------------------------------------------- */

typedef struct compiler {
    const char *text; /* the whole mask, for messages */
    mask *mask;
    mask_use use;
    bool is_java;  /* numbers are written with as many digits as there are letters, else with all */
    bool unpadded; /* %-d */
    freshet_error *err;
} compiler;

static freshet_code mask_refuse(const compiler *compiler, const char *what)
{
    return error_set(compiler->err, FRESHET_USAGE, FRESHET_STOP, NULL, "the mask \"%s\" %s",
                     compiler->text, what);
}

static freshet_code refuse_letter(const compiler *compiler, const char *letters, int n,
                                  const char *why)
{
    return error_set(compiler->err, FRESHET_USAGE, FRESHET_STOP, NULL,
                     "the mask \"%s\" has \"%.*s\", %s", compiler->text, n, letters, why);
}

static unsigned bit(value value)
{
    return 1U << value;
}

static freshet_code mask_add(compiler *compiler, const part *part)
{
    mask *mask = compiler->mask;
    if (mask->n_parts == MASK_PARTS_MAX)
        return error_set(compiler->err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "the mask \"%s\" has more than %u parts", compiler->text, MASK_PARTS_MAX);
    if (part->kind != PART_LITERAL && part->kind != PART_BLANKS) {
        if ((mask->given & bit(part->value)) != 0 && compiler->use != MASK_WRITE)
            return error_set(compiler->err, FRESHET_USAGE, FRESHET_STOP, NULL,
                             "the mask \"%s\" gives %s twice", compiler->text,
                             value_facts[part->value].name);
        mask->given |= bit(part->value);
    }
    mask->parts[mask->n_parts++] = *part;
    return FRESHET_OK;
}

static freshet_code add_literal(compiler *compiler, char c)
{
    return mask_add(compiler, &(part){.kind = PART_LITERAL, .literal = c});
}

/* A number of `least` to `most` digits. */
static freshet_code add_number(compiler *compiler, value value, int least, int most)
{
    const int width = compiler->is_java ? least : compiler->unpadded ? 1 : most;
    return mask_add(compiler, &(part){.kind = PART_NUMBER,
                                      .width = (uint8_t)width,
                                      .value = value,
                                      .least = (uint8_t)least,
                                      .most = (uint8_t)most});
}

static freshet_code add_signed_year(compiler *compiler)
{
    return mask_add(compiler, &(part){.kind = PART_SIGNED_YEAR, .value = VALUE_YEAR, .least = 4});
}

static freshet_code add_name(compiler *compiler, value value, const char *const *names, bool whole)
{
    return mask_add(
        compiler,
        &(part){.kind = PART_NAME, .value = value, .names = names, .most = whole ? WHOLE_NAME : 3});
}

static freshet_code add_fraction(compiler *compiler, int most)
{
    return mask_add(compiler, &(part){.kind = PART_FRACTION,
                                      .value = VALUE_FRACTION,
                                      .least = 1,
                                      .most = (uint8_t)most,
                                      .width = (uint8_t)(compiler->is_java ? most : 6)});
}

static freshet_code add_offset(compiler *compiler, part_kind kind, bool zulu, const char *shown)
{
    return mask_add(compiler,
                    &(part){.kind = kind, .value = VALUE_OFFSET, .zulu = zulu, .shown = shown});
}

static freshet_code compile_percent(compiler *compiler, char letter);

static freshet_code compile_group(compiler *compiler, const char *text)
{
    freshet_code code = FRESHET_OK;
    for (; *text != '\0' && code == FRESHET_OK; text++)
        code = isalpha((unsigned char)*text) ? compile_percent(compiler, *text)
                                             : add_literal(compiler, *text);
    return code;
}

static freshet_code compile_percent(compiler *compiler, char letter)
{
    switch (letter) {
    case 'Y': return add_signed_year(compiler);
    case 'y': compiler->mask->pivot = 69; return add_number(compiler, VALUE_YEAR_OF_CENTURY, 2, 2);
    case 'm': return add_number(compiler, VALUE_MONTH, 1, 2);
    case 'b':
    case 'h': return add_name(compiler, VALUE_MONTH, month_names, false);
    case 'B': return add_name(compiler, VALUE_MONTH, month_names, true);
    case 'd':
    case 'e': return add_number(compiler, VALUE_DAY, 1, 2);
    case 'j': return add_number(compiler, VALUE_DAY_OF_YEAR, 1, 3);
    case 'H': return add_number(compiler, VALUE_HOUR, 1, 2);
    case 'I': return add_number(compiler, VALUE_HALF_HOUR, 1, 2);
    case 'p': return add_name(compiler, VALUE_HALF, half_names, true);
    case 'M': return add_number(compiler, VALUE_MINUTE, 1, 2);
    case 'S': return add_number(compiler, VALUE_SECOND, 1, 2);
    case 'f': return add_fraction(compiler, FRACTION_DIGITS_MAX);
    case 'z': return add_offset(compiler, PART_OFFSET, true, "+0000");
    case 'Z': return add_offset(compiler, PART_ZONE_NAME, true, "UTC");
    case 'a': return add_name(compiler, VALUE_WEEKDAY, weekday_names, false);
    case 'A': return add_name(compiler, VALUE_WEEKDAY, weekday_names, true);
    case 'F': return compile_group(compiler, "Y-m-d");
    case 'T': return compile_group(compiler, "H:M:S");
    case 'R': return compile_group(compiler, "H:M");
    case 'D': return compile_group(compiler, "m/d/y");
    case 'n':
    case 't': return mask_add(compiler, &(part){.kind = PART_BLANKS});
    case '%': return add_literal(compiler, '%');
    case 'G': return refuse_letter(compiler, "%G", 2, "the year of weeks: write %Y for the year");
    case 's':
        return refuse_letter(compiler, "%s", 2,
                             "seconds since 1970: leave the mask out and write unit: s");
    default: {
        char letters[3] = {'%', letter, '\0'};
        return refuse_letter(compiler, letters, letter == '\0' ? 1 : 2,
                             "which stands for nothing here; %Y %m %d %H %M %S %f %z are the "
                             "usual ones");
    }
    }
}

static freshet_code compile_strptime(compiler *compiler)
{
    freshet_code code = FRESHET_OK;
    for (const char *at = compiler->text; code == FRESHET_OK && *at != '\0'; at++) {
        if (isspace((unsigned char)*at) && compiler->use != MASK_WRITE) {
            while (isspace((unsigned char)at[1]))
                at++;
            code = mask_add(compiler, &(part){.kind = PART_BLANKS});
        } else if (*at != '%') {
            code = add_literal(compiler, *at);
        } else {
            at++;
            compiler->unpadded = *at == '-';
            if (*at == '-' || *at == '_' || *at == '0')
                at++;
            code = compile_percent(compiler, *at);
            if (*at == '\0')
                break;
        }
    }
    return code;
}

/* One or two digits for one letter, exactly two for two; more mean nothing. */
static freshet_code java_number(compiler *compiler, value value, const char *letters, int n)
{
    if (n > 2)
        return refuse_letter(compiler, letters, n, "which is one or two letters");
    return add_number(compiler, value, n, 2);
}

static freshet_code java_year(compiler *compiler, const char *letters, int n)
{
    if (n == 2) {
        compiler->mask->pivot = 100;
        return add_number(compiler, VALUE_YEAR_OF_CENTURY, 2, 2);
    }
    if (n == 1)
        return add_number(compiler, VALUE_YEAR, 1, 6);
    if (n == 4)
        return add_signed_year(compiler);
    return refuse_letter(compiler, letters, n, "a year is y, yy or yyyy");
}

static freshet_code java_zone(compiler *compiler, const char *letters, int n)
{
    static const char *const offsets[] = {"+00", "+0000", "+00:00", "+0000", "+00:00"};
    char letter = *letters;
    if (letter == 'z')
        return add_offset(compiler, PART_ZONE_NAME, true,
                          n == 4 ? "Coordinated Universal Time" : "UTC");
    if (letter == 'O')
        return add_offset(compiler, PART_ZONE_NAME, true, "GMT");
    if (n > 5)
        return refuse_letter(compiler, letters, n, "which is at most five letters");
    if (letter == 'x')
        return add_offset(compiler, PART_OFFSET, false, offsets[n - 1]);
    if (letter == 'Z' && n == 4)
        return add_offset(compiler, PART_ZONE_NAME, true, "GMT");
    if (letter == 'Z' && n < 4)
        return add_offset(compiler, PART_OFFSET, false, "+0000");
    return add_offset(compiler, PART_OFFSET, true, "Z");
}

static freshet_code java_quarter(compiler *compiler, const char *letters, int n)
{
    if (n > 4)
        return refuse_letter(compiler, letters, n, "which is at most four letters");
    if (n > 2)
        return add_name(compiler, VALUE_QUARTER, n == 3 ? quarter_names : quarter_whole_names,
                        true);
    return add_number(compiler, VALUE_QUARTER, n, 2);
}

static freshet_code compile_letters(compiler *compiler, const char *letters, int n)
{
    const bool writes = compiler->use == MASK_WRITE;
    if (*letters == 'Q' && writes)
        return java_quarter(compiler, letters, n);
    if (*letters == 'F' && n == 1 && writes)
        return add_number(compiler, VALUE_WEEK_DAY_OF_MONTH, 1, 1);
    switch (*letters) {
    case 'y':
    case 'u': return java_year(compiler, letters, n);
    case 'M':
    case 'L':
        if (n == 3 || n == 4)
            return add_name(compiler, VALUE_MONTH, month_names, n == 4);
        return java_number(compiler, VALUE_MONTH, letters, n);
    case 'd': return java_number(compiler, VALUE_DAY, letters, n);
    case 'D':
        if ((n == 2 && !writes) || n > 3)
            return refuse_letter(
                compiler, letters, n,
                "the day of the year, D or DDD: write dd for the day of the month");
        return add_number(compiler, VALUE_DAY_OF_YEAR, n, 3);
    case 'E':
        if (n > 4 && writes)
            return refuse_letter(compiler, letters, n, "which is at most four letters");
        return add_name(compiler, VALUE_WEEKDAY, weekday_names, n > 3);
    case 'H': return java_number(compiler, VALUE_HOUR, letters, n);
    case 'k': return java_number(compiler, VALUE_HOUR_FROM_1, letters, n);
    case 'h': return java_number(compiler, VALUE_HALF_HOUR, letters, n);
    case 'K': return java_number(compiler, VALUE_HALF_HOUR_FROM_0, letters, n);
    case 'a': return add_name(compiler, VALUE_HALF, half_names, true);
    case 'm': return java_number(compiler, VALUE_MINUTE, letters, n);
    case 's': return java_number(compiler, VALUE_SECOND, letters, n);
    case 'S':
        if (n > FRACTION_DIGITS_MAX)
            return refuse_letter(compiler, letters, n, "a fraction is at most nine letters");
        return add_fraction(compiler, n);
    case 'X':
    case 'x':
    case 'Z':
    case 'z':
    case 'O': return java_zone(compiler, letters, n);
    case 'Y':
        return refuse_letter(compiler, letters, n, "the year of weeks: write yyyy for the year");
    case 'w':
    case 'W':
    case 'e':
    case 'c': return refuse_letter(compiler, letters, n, "a part of weeks, which is not taken");
    case 'V':
        return refuse_letter(compiler, letters, n,
                             "a region, which is taken only without a mask: "
                             "2024-05-01 12:00:00 America/Sao_Paulo");
    default:
        return refuse_letter(compiler, letters, n,
                             "which stands for nothing here; yyyy MM dd HH mm ss SSS XXX are the "
                             "usual ones, and plain text stands in single quotes");
    }
}

/* Behind an opening quote: up to the closing one; gives the place of that. */
static freshet_code compile_quoted(compiler *compiler, const char **at)
{
    freshet_code code = FRESHET_OK;
    if (**at == '\'')
        return add_literal(compiler, '\'');
    while (code == FRESHET_OK) {
        if (**at == '\0')
            return mask_refuse(compiler, "has a single quote that is not closed");
        if (**at == '\'') {
            if ((*at)[1] != '\'')
                return FRESHET_OK;
            (*at)++;
        }
        code = add_literal(compiler, *(*at)++);
    }
    return code;
}

static freshet_code compile_java(compiler *compiler)
{
    freshet_code code = FRESHET_OK;
    compiler->is_java = true;
    for (const char *at = compiler->text; code == FRESHET_OK && *at != '\0'; at++) {
        if (*at == '\'') {
            at++;
            code = compile_quoted(compiler, &at);
        } else if (isalpha((unsigned char)*at)) {
            int n = 1;
            while (at[n] == *at)
                n++;
            code = compile_letters(compiler, at, n);
            at += n - 1;
        } else if (strchr("[]{}#", *at) != NULL) {
            return refuse_letter(
                compiler, at, 1,
                "which is reserved: put it in single quotes if it is meant as text");
        } else {
            code = add_literal(compiler, *at);
        }
    }
    return code;
}

static void set_reserves(mask *mask)
{
    unsigned reserve = 0;
    for (unsigned i = mask->n_parts; i-- > 0;) {
        mask->parts[i].reserve = (uint8_t)(reserve < UINT8_MAX ? reserve : UINT8_MAX);
        const unsigned needed = mask->parts[i].least;
        reserve = needed == 0 ? 0 : reserve + needed;
    }
}

static bool has_any(const mask *mask, unsigned bits)
{
    return (mask->given & bits) != 0;
}

static freshet_code check_whole(const compiler *compiler)
{
    const mask *mask = compiler->mask;
    const unsigned half_hours = bit(VALUE_HALF_HOUR) | bit(VALUE_HALF_HOUR_FROM_0);
    const unsigned hours = bit(VALUE_HOUR) | bit(VALUE_HOUR_FROM_1);
    unsigned all_hours = mask->given & (half_hours | hours);
    if (compiler->use == MASK_TIMESTAMP &&
        !has_any(mask, bit(VALUE_YEAR) | bit(VALUE_YEAR_OF_CENTURY)))
        return mask_refuse(compiler, "has no year: yyyy, or %Y");
    if (has_any(mask, bit(VALUE_YEAR)) && has_any(mask, bit(VALUE_YEAR_OF_CENTURY)))
        return mask_refuse(compiler, "gives the year twice");
    if ((all_hours & (all_hours - 1)) != 0)
        return mask_refuse(compiler, "gives the hour twice");
    if (has_any(mask, half_hours) && !has_any(mask, bit(VALUE_HALF)))
        return mask_refuse(compiler,
                           "has an hour of half a day without am or pm: add a (%p), or write "
                           "HH (%H)");
    if (has_any(mask, bit(VALUE_HALF)) && !has_any(mask, half_hours))
        return mask_refuse(compiler, "has am or pm without an hour of half a day: write hh (%I)");
    if (has_any(mask, bit(VALUE_DAY_OF_YEAR)) && has_any(mask, bit(VALUE_MONTH) | bit(VALUE_DAY)))
        return mask_refuse(compiler,
                           "gives the day of the year (D, %j) beside the month or its day: "
                           "write dd (%d) for the day of the month");
    return FRESHET_OK;
}

static freshet_code compile(arena *arena, const char *text, mask_use use, bool is_java, mask **out,
                            freshet_error *err)
{
    if (strlen(text) > MASK_LENGTH_MAX)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "the mask is longer than %u bytes",
                         MASK_LENGTH_MAX);
    mask *mask = arena_zero(arena, 1, sizeof *mask);
    if (mask != NULL)
        mask->parts = arena_zero(arena, MASK_PARTS_MAX, sizeof *mask->parts);
    if (mask == NULL || mask->parts == NULL)
        return error_memory(err, "compiling a timestamp mask");
    compiler compiler = {.text = text, .mask = mask, .use = use, .err = err};
    freshet_code code = is_java ? compile_java(&compiler) : compile_strptime(&compiler);
    if (code == FRESHET_OK && use != MASK_WRITE)
        code = check_whole(&compiler);
    if (code != FRESHET_OK)
        return code;
    set_reserves(mask);
    *out = mask;
    return FRESHET_OK;
}

freshet_code mask_compile(arena *arena, const char *text, mask_use use, mask **out,
                          freshet_error *err)
{
    return compile(arena, text, use, strchr(text, '%') == NULL, out, err);
}

freshet_code mask_compile_java(arena *arena, const char *text, mask_use use, mask **out,
                               freshet_error *err)
{
    return compile(arena, text, use, true, out, err);
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct cursor {
    const char *at;
    const char *end;
} cursor;

static bool mask_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* How many digits stand here, at most `most`. */
static unsigned count_digits(const cursor *in, unsigned most)
{
    unsigned n = 0;
    while (n < most && in->at + n < in->end && mask_is_digit(in->at[n]))
        n++;
    return n;
}

static int32_t take_digits(cursor *in, unsigned n)
{
    int32_t sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum = sum * 10 + (*in->at++ - '0');
    return sum;
}

static bool mask_read_number(const part *part, cursor *in, int32_t *into)
{
    unsigned most = part->most, n = count_digits(in, most + part->reserve);
    n = n > part->reserve ? n - part->reserve : 0;
    if (n > most)
        n = most;
    if (n < part->least)
        return false;
    int32_t number = take_digits(in, n);
    *into = number;
    return number >= value_facts[part->value].from && number <= value_facts[part->value].to;
}

/* yyyy: four digits; or + and more than four, or - and at least four, six at most. */
static bool read_signed_year(cursor *in, int32_t *into)
{
    char sign = in->at < in->end ? *in->at : '\0';
    if (sign != '-' && sign != '+') {
        if (count_digits(in, 4) < 4)
            return false;
        *into = take_digits(in, 4);
        return true;
    }
    in->at++;
    unsigned n = count_digits(in, 6);
    if (n < (sign == '+' ? 5U : 4U))
        return false;
    int32_t year = take_digits(in, n);
    *into = sign == '-' ? -year : year;
    return year <= YEAR_MAX;
}

/* The first letters of a word, in any case. */
static bool take_word(cursor *in, const char *word, size_t length)
{
    if (length > (size_t)(in->end - in->at) || strncasecmp(in->at, word, length) != 0)
        return false;
    in->at += length;
    return true;
}

static bool read_name(const part *part, cursor *in, int32_t *into)
{
    for (*into = 0; part->names[*into] != NULL; ++*into) {
        const char *name = part->names[*into];
        if (take_word(in, name, part->most == WHOLE_NAME ? strlen(name) : part->most))
            return true;
    }
    return false;
}

static bool read_fraction(const part *part, cursor *in, int32_t *into)
{
    unsigned n = count_digits(in, part->most);
    if (n < part->least)
        return false;
    int32_t sum = 0;
    for (unsigned i = 0; i < 6; i++)
        sum = sum * 10 + (i < n ? in->at[i] - '0' : 0);
    in->at += n;
    *into = sum;
    return true;
}

static bool is_at(const cursor *in, char c)
{
    return in->at < in->end && *in->at == c;
}

/* +hh, +hhmm, +hh:mm, and with seconds; Z where that is meant. */
static bool read_offset(cursor *in, bool zulu, int32_t *into)
{
    static const int32_t limits[] = {19, 60, 60}, seconds[] = {3600, 60, 1};
    const char sign = in->at < in->end ? *in->at : '\0';
    int32_t offset = 0;
    bool colon = false;
    if (zulu && (sign == 'Z' || sign == 'z')) {
        in->at++;
        *into = 0;
        return true;
    }
    if (sign != '+' && sign != '-')
        return false;
    in->at++;
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            colon = is_at(in, ':');
        if (i > 0 && !(colon ? is_at(in, ':') : count_digits(in, 1) > 0))
            break;
        in->at += colon;
        const int32_t number = count_digits(in, 2) < 2 ? INT32_MAX : take_digits(in, 2);
        if (number >= limits[i])
            return false;
        offset += number * seconds[i];
    }
    *into = sign == '-' ? -offset : offset;
    return offset <= 18 * 3600;
}

static bool read_zone_name(cursor *in, int32_t *into)
{
    static const char *const names[] = {"UTC", "GMT", "UT", "Z"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (take_word(in, names[i], strlen(names[i]))) {
            if (is_at(in, '+') || is_at(in, '-'))
                return read_offset(in, false, into);
            *into = 0;
            return true;
        }
    return false;
}

static bool read_blanks(cursor *in)
{
    const char *begin = in->at;
    while (in->at < in->end && isspace((unsigned char)*in->at))
        in->at++;
    return in->at > begin;
}

static bool read_literal(cursor *in, char c)
{
    if (in->at == in->end || tolower((unsigned char)*in->at) != tolower((unsigned char)c))
        return false;
    in->at++;
    return true;
}

static bool read_part(const part *part, cursor *in, int32_t *into)
{
    switch (part->kind) {
    case PART_LITERAL: return read_literal(in, part->literal);
    case PART_BLANKS: return read_blanks(in);
    case PART_NUMBER: return mask_read_number(part, in, into);
    case PART_SIGNED_YEAR: return read_signed_year(in, into);
    case PART_NAME: return read_name(part, in, into);
    case PART_FRACTION: return read_fraction(part, in, into);
    case PART_OFFSET: return read_offset(in, part->zulu, into);
    case PART_ZONE_NAME: return read_zone_name(in, into);
    }
    return false;
}

static int32_t year_of(const mask *mask, const int32_t *values)
{
    if (!has_any(mask, bit(VALUE_YEAR_OF_CENTURY)))
        return values[VALUE_YEAR];
    int32_t year = values[VALUE_YEAR_OF_CENTURY];
    return year < mask->pivot ? 2000 + year : 1900 + year;
}

static int32_t hour_of(const mask *mask, const int32_t *values)
{
    if (has_any(mask, bit(VALUE_HALF_HOUR)))
        return values[VALUE_HALF_HOUR] % 12 + 12 * values[VALUE_HALF];
    if (has_any(mask, bit(VALUE_HALF_HOUR_FROM_0)))
        return values[VALUE_HALF_HOUR_FROM_0] + 12 * values[VALUE_HALF];
    if (has_any(mask, bit(VALUE_HOUR_FROM_1)))
        return values[VALUE_HOUR_FROM_1] % 24;
    return values[VALUE_HOUR];
}

/* The day since 1970; false for days that do not exist, or with another weekday. */
static bool day_of(const mask *mask, const int32_t *values, int64_t *into)
{
    int32_t year = year_of(mask, values);
    int64_t first = date_days(year, 1, 1), day;
    if (has_any(mask, bit(VALUE_DAY_OF_YEAR))) {
        day = first + values[VALUE_DAY_OF_YEAR] - 1;
        if (day >= date_days(year + 1, 1, 1))
            return false;
    } else {
        /* Names of months count from 0, numbers from 1. */
        unsigned month = (unsigned)values[VALUE_MONTH];
        int32_t next_year = month == 12 ? year + 1 : year;
        day = date_days(year, month, (unsigned)values[VALUE_DAY]);
        if (day >= date_days(next_year, month % 12 + 1, 1))
            return false;
    }
    if (has_any(mask, bit(VALUE_WEEKDAY))) {
        int64_t weekday = ((day + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
        if (weekday != values[VALUE_WEEKDAY])
            return false;
    }
    *into = day;
    return true;
}

bool mask_read(const mask *mask, const char *text, size_t length, int64_t *time_us)
{
    int32_t values[VALUES] = {[VALUE_YEAR] = 1970, [VALUE_MONTH] = 1, [VALUE_DAY] = 1};
    cursor in = {.at = text, .end = text + length};
    for (unsigned i = 0; i < mask->n_parts; i++) {
        const part *part = &mask->parts[i];
        if (!read_part(part, &in, &values[part->value]))
            return false;
        if (part->kind == PART_NAME && part->value == VALUE_MONTH)
            values[VALUE_MONTH]++;
    }
    int64_t day, time;
    if (in.at < in.end || !day_of(mask, values, &day))
        return false;
    int64_t second = day * 86400 + hour_of(mask, values) * 3600 + values[VALUE_MINUTE] * 60 +
                     values[VALUE_SECOND] - values[VALUE_OFFSET];
    if (__builtin_mul_overflow(second, MICROSECONDS, &time) ||
        __builtin_add_overflow(time, values[VALUE_FRACTION], &time))
        return false;
    *time_us = time;
    return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Every value of a time, by the numbers that are shown; names count from 0. */
static void take_apart(int64_t time_us, int32_t *values)
{
    int64_t second = time_us / MICROSECONDS - (time_us % MICROSECONDS < 0), year;
    int64_t day = second / 86400 - (second % 86400 < 0);
    int32_t of_day = (int32_t)(second - day * 86400), hour = of_day / 3600;
    unsigned month, day_of_month;
    date_civil(day, &year, &month, &day_of_month);
    values[VALUE_YEAR] = (int32_t)year;
    values[VALUE_YEAR_OF_CENTURY] = (int32_t)((year % 100 + 100) % 100);
    values[VALUE_MONTH] = (int32_t)month;
    values[VALUE_DAY] = (int32_t)day_of_month;
    values[VALUE_DAY_OF_YEAR] = (int32_t)(day - date_days(year, 1, 1)) + 1;
    values[VALUE_WEEKDAY] = (int32_t)(((day + 4) % 7 + 7) % 7);
    values[VALUE_HOUR] = hour;
    values[VALUE_HOUR_FROM_1] = hour == 0 ? 24 : hour;
    values[VALUE_HALF_HOUR] = hour % 12 == 0 ? 12 : hour % 12;
    values[VALUE_HALF_HOUR_FROM_0] = hour % 12;
    values[VALUE_HALF] = hour / 12;
    values[VALUE_MINUTE] = of_day / 60 % 60;
    values[VALUE_SECOND] = of_day % 60;
    values[VALUE_FRACTION] = (int32_t)(time_us - second * MICROSECONDS);
    values[VALUE_QUARTER] = (int32_t)(month + 2) / 3;
    values[VALUE_WEEK_DAY_OF_MONTH] = (int32_t)(day_of_month - 1) % 7 + 1;
}

/* With zeros before it up to `width` digits. */
static int write_number(int32_t number, int width, char *into)
{
    char digits[12];
    int n = 0, at = 0;
    uint32_t rest = number < 0 ? -(uint32_t)number : (uint32_t)number;
    for (; rest > 0 || n < width; rest /= 10)
        digits[n++] = (char)('0' + rest % 10);
    if (number < 0)
        into[at++] = '-';
    while (n > 0)
        into[at++] = digits[--n];
    return at;
}

static int write_name(const part *part, int32_t number, char *into)
{
    bool from_1 = part->value == VALUE_MONTH || part->value == VALUE_QUARTER;
    const char *name = part->names[number - from_1];
    return sprintf(into, "%.*s", part->most == WHOLE_NAME ? (int)strlen(name) : part->most, name);
}

static int write_part(const part *part, int32_t number, char *into)
{
    switch (part->kind) {
    case PART_LITERAL: *into = part->literal; return 1;
    case PART_BLANKS: *into = ' '; return 1;
    case PART_NUMBER: return write_number(number, part->width, into);
    case PART_SIGNED_YEAR:
        *into = '+';
        return number > 9999 ? 1 + write_number(number, 4, into + 1)
                             : write_number(number, 4, into);
    case PART_NAME: return write_name(part, number, into);
    case PART_FRACTION: sprintf(into, "%06d000", number); return part->width;
    case PART_OFFSET:
    case PART_ZONE_NAME: return sprintf(into, "%s", part->shown);
    }
    return 0;
}

size_t mask_write(const mask *mask, int64_t time_us, char *into)
{
    int32_t values[VALUES] = {0};
    char *at = into;
    if (time_us == INT64_MAX || time_us == -INT64_MAX)
        return (size_t)sprintf(into, "%sinfinity", time_us < 0 ? "-" : "");
    take_apart(time_us, values);
    for (unsigned i = 0; i < mask->n_parts; i++)
        at += write_part(&mask->parts[i], values[mask->parts[i].value], at);
    *at = '\0';
    return (size_t)(at - into);
}
