/* cell.c - see cell.h. */
#include "formats/cell.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "base/timestamp.h"

#define WHOLE_MAX 9007199254740992.0 /* 2^53 */

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

/* Base64 (RFC 4648, section 4), with padding or without. `into` has room for length / 4 * 3 + 3
 * bytes. */
static bool read_base64(const char *text, size_t length, unsigned char *into, size_t *n)
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

/* Base64 text as bytes. */
static outcome parse_binary(arena *arena, column *column, uint64_t row, const char *text,
                            size_t length)
{
    unsigned char *bytes = arena_alloc(arena, length / 4 * 3 + 3);
    size_t n = 0;

    if (bytes == NULL)
        return NO_MEMORY;
    if (!read_base64(text, length, bytes, &n))
        return DOES_NOT_FIT;
    cell_put_text(column, row, (const char *)bytes, n);
    return FITS;
}

static bool parse_simple(column *column, uint64_t row, const char *text, size_t length)
{
    const unsigned rules = NUMBER_STRICT;
    const bool narrow = column->type->kind == TYPE_INTEGER;
    int64_t whole;

    switch (column->type->kind) {
    case TYPE_BOOLEAN: return cell_boolean(text, length, &((uint8_t *)column->data)[row]);
    case TYPE_DATE: return date_parse(text, length, &((int32_t *)column->data)[row]);
    case TYPE_TIMESTAMP: return timestamp_parse(text, length, &((int64_t *)column->data)[row]);
    case TYPE_INTEGER:
    case TYPE_BIGINT:
        if (!number_integer(text, length, rules, narrow ? INT32_MIN : INT64_MIN,
                            narrow ? INT32_MAX : INT64_MAX, &whole))
            return false;
        cell_put_whole(column, row, whole);
        return true;
    case TYPE_FLOAT: return number_float(text, length, rules, &((float *)column->data)[row]);
    case TYPE_DOUBLE: return number_double(text, length, rules, &((double *)column->data)[row]);
    case TYPE_DECIMAL:
        return number_decimal(text, length, rules, column->type->width, column->type->scale,
                              &((int128 *)column->data)[row]);
    default: return false;
    }
}

outcome cell_parse(arena *arena, column *column, uint64_t row, const char *text, size_t length)
{
    if (column->type->kind == TYPE_BINARY)
        return parse_binary(arena, column, row, text, length);
    return parse_simple(column, row, text, length) ? FITS : DOES_NOT_FIT;
}

bool cell_whole(double value, int64_t minimum, int64_t maximum, int64_t *out)
{
    if (!(value > -WHOLE_MAX && value < WHOLE_MAX) || value != trunc(value))
        return false;
    if ((int64_t)value < minimum || (int64_t)value > maximum)
        return false;
    *out = (int64_t)value;
    return true;
}

#define WHOLE_SCALE 20 /* digits behind the point that are looked at: with 2^53, 36 of 38 */

bool cell_whole_text(const char *text, size_t length, int64_t minimum, int64_t maximum,
                     int64_t *out)
{
    const int128 one = number_power_of_ten(WHOLE_SCALE);
    double nearest;
    int128 digits;

    return number_double(text, length, NUMBER_STRICT, &nearest) &&
           number_decimal(text, length, NUMBER_STRICT, TYPE_DECIMAL_WIDTH_MAX, WHOLE_SCALE,
                          &digits) &&
           digits % one == 0 && cell_whole(nearest, minimum, maximum, out);
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
    const size_t cell = type_cell_size(column->type);

    if (n == 0)
        return true;
    if (!column_set_null(arena, column, first)) /* which makes the bits where there are none */
        return false;
    clear_bits(column->valid, first, n);
    if (column->is_raw && cell > 0)
        memset((char *)column->data + first * cell, 0, n * cell);
    for (uint32_t i = 0; column->type->kind == TYPE_STRUCT && i < column->type->n_fields; i++)
        if (!cell_set_nulls(arena, &column->children[i], first, n))
            return false;
    return true;
}
