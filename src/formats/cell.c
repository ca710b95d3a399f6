/* cell.c - see cell.h. Numbers are first checked against one small grammar, and then converted. */
#include "formats/cell.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WHOLE_MAX 9007199254740992.0 /* 2^53 */
#define EXPONENT_MAX 100000

/* The parts of a number as text: sign, digits before and after the point, exponent. */
typedef struct number {
    bool negative;
    const char *whole, *fraction;
    size_t n_whole, n_fraction;
    int32_t exponent;
} number;

static size_t count_digits(const char *text, const char *end)
{
    const char *at = text;

    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return (size_t)(at - text);
}

static bool number_exponent(const char *at, const char *end, int32_t *exponent)
{
    bool negative = false;
    int32_t sum = 0;

    if (at < end && (*at == '+' || *at == '-'))
        negative = *at++ == '-';
    if (at == end || count_digits(at, end) != (size_t)(end - at))
        return false;
    for (; at < end; at++)
        if (sum < EXPONENT_MAX)
            sum = sum * 10 + (*at - '0');
    *exponent = negative ? -sum : sum;
    return true;
}

static bool number_read(const char *text, size_t length, number *out)
{
    const char *at = text;
    const char *end = text + length;

    *out = (number){0};
    if (length > CELL_NUMBER_BYTES_MAX)
        return false;
    if (at < end && (*at == '+' || *at == '-'))
        out->negative = *at++ == '-';
    out->whole = at;
    out->n_whole = count_digits(at, end);
    at += out->n_whole;
    out->fraction = at;
    if (at < end && *at == '.') {
        out->fraction = ++at;
        out->n_fraction = count_digits(at, end);
        at += out->n_fraction;
    }
    if (out->n_whole + out->n_fraction == 0)
        return false;
    if (at == end)
        return true;
    if (*at != 'e' && *at != 'E')
        return false;
    return number_exponent(at + 1, end, &out->exponent);
}

bool cell_integer(const char *text, size_t length, int64_t minimum, int64_t maximum, int64_t *out)
{
    number it;
    int64_t value = 0;

    if (!number_read(text, length, &it) || it.exponent != 0 || it.n_whole == 0)
        return false;
    for (size_t i = 0; i < it.n_fraction; i++)
        if (it.fraction[i] != '0')
            return false;
    for (size_t i = 0; i < it.n_whole; i++) {
        int64_t digit = it.whole[i] - '0';
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, it.negative ? -digit : digit, &value))
            return false;
    }
    if (value < minimum || value > maximum)
        return false;
    *out = value;
    return true;
}

static locale_t plain_locale;
static pthread_once_t plain_locale_once = PTHREAD_ONCE_INIT;

static void make_plain_locale(void)
{
    plain_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool cell_double(const char *text, size_t length, double *out)
{
    static const struct {
        const char *name;
        double value;
    } names[] = {
        {"NaN", NAN}, {"Infinity", INFINITY}, {"+Infinity", INFINITY}, {"-Infinity", -INFINITY}};
    char copy[CELL_NUMBER_BYTES_MAX + 1];
    number it;
    double value;
    locale_t before;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strlen(names[i].name) == length && memcmp(names[i].name, text, length) == 0) {
            *out = names[i].value;
            return true;
        }
    if (!number_read(text, length, &it))
        return false;
    pthread_once(&plain_locale_once, make_plain_locale);
    memcpy(copy, text, length);
    copy[length] = '\0';
    before = plain_locale == (locale_t)0 ? (locale_t)0 : uselocale(plain_locale);
    value = strtod(copy, NULL);
    if (before != (locale_t)0)
        uselocale(before);
    if (isinf(value))
        return false;
    *out = value;
    return true;
}

/* The i-th digit of whole and fraction taken as one row of digits. */
static int digit_at(const number *it, size_t i)
{
    return (i < it->n_whole ? it->whole[i] : it->fraction[i - it->n_whole]) - '0';
}

bool cell_decimal(const char *text, size_t length, unsigned width, unsigned scale, int128 *out)
{
    number it;
    size_t n, first = 0;
    int64_t taken; /* how many digits, from the first that is not 0, make the value */
    int128 value = 0;
    int128 limit = 1;

    if (!number_read(text, length, &it))
        return false;
    n = it.n_whole + it.n_fraction;
    while (first < n && digit_at(&it, first) == 0)
        first++;
    taken = (int64_t)it.n_whole - (int64_t)first + it.exponent + (int64_t)scale;
    if (first == n || taken < 0) {
        *out = 0;
        return true;
    }
    if (taken > (int64_t)width)
        return false;
    for (int64_t i = 0; i < taken; i++)
        value = value * 10 + (first + (size_t)i < n ? digit_at(&it, first + (size_t)i) : 0);
    if (first + (size_t)taken < n && digit_at(&it, first + (size_t)taken) >= 5)
        value++;
    for (unsigned i = 0; i < width; i++)
        limit *= 10;
    if (value >= limit)
        return false;
    *out = it.negative ? -value : value;
    return true;
}

bool cell_boolean(const char *text, size_t length, uint8_t *out)
{
    if (length == 4 && strncasecmp(text, "true", 4) == 0) {
        *out = 1;
        return true;
    }
    if (length == 5 && strncasecmp(text, "false", 5) == 0) {
        *out = 0;
        return true;
    }
    return false;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

bool cell_base64(const char *text, size_t length, unsigned char *into, size_t *n)
{
    size_t filled = 0;
    uint32_t bits = 0;
    size_t rest;

    if (length % 4 == 0)
        for (int i = 0; i < 2 && length > 0 && text[length - 1] == '='; i++)
            length--;
    rest = length % 4;
    if (rest == 1)
        return false;
    for (size_t i = 0; i < length; i++) {
        int value = base64_value(text[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 == 3) {
            into[filled++] = (unsigned char)(bits >> 16);
            into[filled++] = (unsigned char)(bits >> 8);
            into[filled++] = (unsigned char)bits;
        }
    }
    if (rest == 2) {
        into[filled++] = (unsigned char)(bits >> 4);
    } else if (rest == 3) {
        into[filled++] = (unsigned char)(bits >> 10);
        into[filled++] = (unsigned char)(bits >> 2);
    }
    *n = filled;
    return true;
}

bool cell_whole(double value, int64_t minimum, int64_t maximum, int64_t *out)
{
    if (!(value >= -WHOLE_MAX && value <= WHOLE_MAX) || value != trunc(value))
        return false;
    if ((int64_t)value < minimum || (int64_t)value > maximum)
        return false;
    *out = (int64_t)value;
    return true;
}

bool cell_float(double value, float *out)
{
    float narrow;

    if (isnan(value) || isinf(value)) {
        *out = (float)value;
        return true;
    }
    if (fabs(value) >
        3.4028235677973366e38) /* half a step above FLT_MAX: would round to infinity */
        return false;
    narrow = (float)value;
    if (isinf(narrow))
        return false;
    *out = narrow;
    return true;
}

int cell_shown(const char *text, size_t length)
{
    size_t n = length;

    if (n > CELL_SHOWN_MAX) {
        n = CELL_SHOWN_MAX;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
            n--;
    }
    return (int)n;
}

/* The bits [first, first + n), whole words at a time. */
static void clear_bits(uint64_t *bits, uint64_t first, uint64_t n)
{
    for (uint64_t row = first; row < first + n; row++) {
        if ((row & 63) == 0 && first + n - row >= 64) {
            bits[row >> 6] = 0;
            row += 63;
        } else {
            bits[row >> 6] &= ~(UINT64_C(1) << (row & 63));
        }
    }
}

/* The depth is that of the type, TYPE_DEPTH_MAX at most. */
bool cell_set_nulls(arena *arena, column *column, uint64_t first, uint64_t n)
{
    if (n == 0)
        return true;
    if (!column_set_null(arena, column, first)) /* which makes the bits where there are none */
        return false;
    clear_bits(column->valid, first, n);
    for (uint32_t i = 0; column->type->kind == TYPE_STRUCT && i < column->type->n_fields; i++)
        if (!cell_set_nulls(arena, &column->children[i], first, n))
            return false;
    return true;
}

static bool copy_texts(arena *arena, cell_text *cells, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (cells[i].length > TEXT_INLINE_MAX) {
            cells[i].as.outside.pointer =
                arena_copy(arena, cells[i].as.outside.pointer, cells[i].length);
            if (cells[i].as.outside.pointer == NULL)
                return false;
        }
    return true;
}

static bool copy_elements(arena *arena, column *into, uint64_t at, const column *from,
                          uint64_t first, uint64_t n)
{
    cell_span *spans = (cell_span *)into->data + at;
    const cell_span *source = (const cell_span *)from->data + first;

    for (uint64_t i = 0; i < n; i++) {
        uint64_t offset = into->n_elements;
        spans[i] = (cell_span){.offset = offset, .length = source[i].length};
        if (source[i].length == 0)
            continue;
        if (column_reserve(arena, &into->children[0], offset + source[i].length, NULL) !=
                FRESHET_OK ||
            !cell_copy(arena, &into->children[0], offset, &from->children[0], source[i].offset,
                       source[i].length))
            return false;
        into->n_elements += source[i].length;
    }
    return true;
}

bool cell_copy(arena *arena, column *into, uint64_t at, const column *from, uint64_t first,
               uint64_t n)
{
    size_t size = type_cell_size(into->type);

    if (into->type->kind == TYPE_ARRAY) {
        if (!copy_elements(arena, into, at, from, first, n))
            return false;
    } else if (into->type->kind == TYPE_STRUCT) {
        for (uint32_t i = 0; i < into->type->n_fields; i++)
            if (!cell_copy(arena, &into->children[i], at, &from->children[i], first, n))
                return false;
    } else {
        memcpy((char *)into->data + at * size, (const char *)from->data + first * size, n * size);
    }
    if ((into->type->kind == TYPE_STRING || into->type->kind == TYPE_BINARY) &&
        !copy_texts(arena, (cell_text *)into->data + at, n))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (column_is_valid(from, first + i))
            cell_set_valid(into, at + i);
        else if (!column_set_null(arena, into, at + i))
            return false;
    }
    return true;
}
