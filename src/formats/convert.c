/* convert.c - see convert.h.
 *
 * Numbers go by way of their decimal digits wherever a binary fraction meets a decimal one, since
 * that is what a person who looks at both would compare: a double's shortest digits are the number
 * that was meant.
 */
#include "formats/convert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/text.h"
#include "base/timestamp.h"

#define DAY_US INT64_C(86400000000)
#define CONVERT_TEXT_MAX 128

static bool is_kind(const column *column, type_kind a, type_kind b)
{
    return column->type->kind == a || column->type->kind == b;
}

static int64_t whole_of(const column *from, uint64_t row)
{
    return from->type->kind == TYPE_INTEGER ? ((const int32_t *)from->data)[row]
                                            : ((const int64_t *)from->data)[row];
}

static double real_of(const column *from, uint64_t row)
{
    return from->type->kind == TYPE_FLOAT ? (double)((const float *)from->data)[row]
                                          : ((const double *)from->data)[row];
}

/* ---- numbers as text and back ---------------------------------------------------------------- */

/* The number that a real's shortest digits say, 0.digits times 10^point: *scale digits of it stand
 * behind the point. 0 where it has none (NaN, infinities). */
static size_t real_text(const column *from, uint64_t row, char into[CONVERT_TEXT_MAX], int *scale)
{
    char digits[NUMBER_DIGITS_MAX];
    const double real = real_of(from, row);
    int n, point = 0;

    if (isnan(real) || isinf(real))
        return 0;
    n = number_shortest(fabs(real), from->type->kind == TYPE_FLOAT, digits, &point);
    *scale = real == 0 ? 0 : n - point;
    return (size_t)snprintf(into, CONVERT_TEXT_MAX, "%s0.%.*se%d", real < 0 ? "-" : "", n, digits,
                            point);
}

/* Has the real the digits of the decimal that it was made from? */
static bool has_digits(const column *made, uint64_t at, int128 decimal, unsigned scale)
{
    char text[CONVERT_TEXT_MAX];
    int ignored;
    size_t n = real_text(made, at, text, &ignored);
    int128 back;

    return n > 0 && number_decimal(text, n, NUMBER_STRICT, TYPE_DECIMAL_WIDTH_MAX, scale, &back) &&
           back == decimal;
}

/* Has the float the digits of the double? */
static bool has_shortest(const column *made, uint64_t at, double value)
{
    char text[CONVERT_TEXT_MAX];
    int ignored;
    size_t n = real_text(made, at, text, &ignored);
    double back;

    return n > 0 && number_double(text, n, NUMBER_STRICT, &back) && back == value;
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* A decimal whose digits behind the point are zeros from `scale` on, at that scale. */
static bool rescale(int128 value, unsigned from, unsigned scale, unsigned width, int128 *out)
{
    int128 factor = number_power_of_ten(from > scale ? from - scale : scale - from);
    int128 limit = number_power_of_ten(width);

    if (from > scale) {
        if (value % factor != 0)
            return false;
        value /= factor;
    } else if (__builtin_mul_overflow(value, factor, &value)) {
        return false;
    }
    if (value >= limit || value <= -limit)
        return false;
    *out = value;
    return true;
}

/* The number as a decimal of that width and scale. */
static bool decimal_of(const column *from, uint64_t row, unsigned width, unsigned scale,
                       int128 *out)
{
    char text[CONVERT_TEXT_MAX];
    int digits = 0;
    size_t n;

    if (is_kind(from, TYPE_INTEGER, TYPE_BIGINT))
        return rescale(whole_of(from, row), 0, scale, width, out);
    if (from->type->kind == TYPE_DECIMAL)
        return rescale(((const int128 *)from->data)[row], from->type->scale, scale, width, out);
    n = real_text(from, row, text, &digits);
    return n > 0 && digits <= (int)scale &&
           number_decimal(text, n, NUMBER_STRICT, width, scale, out);
}

static bool to_whole(const column *from, uint64_t row, column *into, uint64_t at)
{
    const bool narrow = into->type->kind == TYPE_INTEGER;
    int128 value;

    if (is_kind(from, TYPE_FLOAT, TYPE_DOUBLE)) {
        int64_t whole;
        if (!cell_whole(real_of(from, row), INT64_MIN, INT64_MAX, &whole))
            return false;
        value = whole;
    } else if (!decimal_of(from, row, TYPE_DECIMAL_WIDTH_MAX, 0, &value)) {
        return false;
    }
    if (value < (narrow ? INT32_MIN : INT64_MIN) || value > (narrow ? INT32_MAX : INT64_MAX))
        return false;
    cell_put_whole(into, at, (int64_t)value);
    return true;
}

static bool real_from_decimal(int128 value, unsigned scale, column *into, uint64_t at)
{
    if (into->type->kind == TYPE_FLOAT)
        ((float *)into->data)[at] = number_float_of_decimal(value, scale);
    else
        ((double *)into->data)[at] = number_double_of_decimal(value, scale);
    return has_digits(into, at, value, scale);
}

/* A float or double from another number. */
static bool to_real(const column *from, uint64_t row, column *into, uint64_t at)
{
    const bool is_whole = is_kind(from, TYPE_INTEGER, TYPE_BIGINT);
    double value;

    if (from->type->kind == TYPE_DECIMAL)
        return real_from_decimal(((const int128 *)from->data)[row], from->type->scale, into, at);
    value = is_whole ? (double)whole_of(from, row) : real_of(from, row);
    if (is_whole && (int128)value != whole_of(from, row))
        return false;
    if (into->type->kind == TYPE_DOUBLE) {
        ((double *)into->data)[at] = value;
        return true;
    }
    float *narrow = &((float *)into->data)[at];
    return cell_float(value, narrow) && (isnan(value) || (double)*narrow == value ||
                                         (!is_whole && has_shortest(into, at, value)));
}

static bool to_number(const column *from, uint64_t row, column *into, uint64_t at)
{
    switch (into->type->kind) {
    case TYPE_INTEGER:
    case TYPE_BIGINT: return to_whole(from, row, into, at);
    case TYPE_DECIMAL:
        return decimal_of(from, row, into->type->width, into->type->scale,
                          &((int128 *)into->data)[at]);
    default: return to_real(from, row, into, at);
    }
}

/* ---- texts and times ------------------------------------------------------------------------- */

static outcome to_text(conversion *it, const column *from, uint64_t row, column *into, uint64_t at)
{
    const cell_text *bytes = &((const cell_text *)from->data)[row];
    text_buffer text;
    const char *copy;
    size_t n;

    if (from->type->kind == TYPE_BINARY) {
        if (!text_is_utf8(text_bytes(bytes), bytes->length))
            return DOES_NOT_FIT;
        ((cell_text *)into->data)[at] = *bytes;
        return FITS;
    }
    text_init(&text, TEXT_LIMIT_DEFAULT);
    if (column_to_json(from, row, &text, NULL) != FRESHET_OK) {
        text_release(&text);
        return NO_MEMORY;
    }
    copy = text.bytes;
    n = text.length;
    if (*copy == '"') { /* what JSON has as a string holds nothing to escape */
        copy++;
        n -= 2;
    }
    copy = arena_copy(it->arena, copy, n);
    if (copy != NULL)
        cell_put_text(into, at, copy, n);
    text_release(&text);
    return copy == NULL ? NO_MEMORY : FITS;
}

static outcome from_text(conversion *it, const column *from, uint64_t row, column *into,
                         uint64_t at)
{
    const cell_text *cell = &((const cell_text *)from->data)[row];
    const char *text = text_bytes(cell);
    size_t length = cell->length;

    if (into->type->kind == TYPE_BINARY) {
        ((cell_text *)into->data)[at] = *cell;
        return FITS;
    }
    if (into->type->kind == TYPE_ARRAY || into->type->kind == TYPE_STRUCT)
        return DOES_NOT_FIT;
    number_trim(&text, &length);
    return cell_parse(it->arena, into, at, text, length);
}

static bool to_time(const column *from, uint64_t row, column *into, uint64_t at)
{
    if (into->type->kind == TYPE_TIMESTAMP)
        return !__builtin_mul_overflow((int64_t)((const int32_t *)from->data)[row], DAY_US,
                                       &((int64_t *)into->data)[at]);
    const int64_t time_us = ((const int64_t *)from->data)[row];
    if (time_us % DAY_US != 0)
        return false;
    ((int32_t *)into->data)[at] = (int32_t)(time_us / DAY_US);
    return true;
}

/* ---- any type -------------------------------------------------------------------------------- */

static outcome convert_array(conversion *it, const column *from, uint64_t row, column *into,
                             uint64_t at)
{
    const cell_span span = ((const cell_span *)from->data)[row];
    const uint64_t offset = into->n_elements;

    if (column_reserve(it->arena, &into->children[0], offset + span.length, NULL) != FRESHET_OK)
        return NO_MEMORY;
    into->n_elements = offset + span.length;
    ((cell_span *)into->data)[at] = (cell_span){.offset = offset, .length = span.length};
    for (uint64_t i = 0; i < span.length; i++) {
        outcome result =
            convert_cell(it, &from->children[0], span.offset + i, &into->children[0], offset + i);
        if (result != FITS)
            return result;
    }
    return FITS;
}

static outcome convert_struct(conversion *it, const column *from, uint64_t row, column *into,
                              uint64_t at)
{
    const schema there = {.n_fields = from->type->n_fields, .fields = from->type->fields};

    for (uint32_t i = 0; i < into->type->n_fields; i++) {
        int64_t found = schema_find(&there, into->type->fields[i].name);
        outcome result = FITS;
        if (found >= 0)
            result = convert_cell(it, &from->children[found], row, &into->children[i], at);
        else if (!column_set_null(it->arena, &into->children[i], at))
            result = NO_MEMORY;
        if (result != FITS)
            return result;
    }
    return FITS;
}

/* A cell of the same simple type. */
static outcome convert_copy(const column *from, uint64_t row, column *into, uint64_t at)
{
    const size_t size = type_cell_size(into->type);

    memcpy((char *)into->data + at * size, (const char *)from->data + row * size, size);
    return FITS;
}

static outcome convert_value(conversion *it, const column *from, uint64_t row, column *into,
                             uint64_t at)
{
    const type_kind a = from->type->kind, b = into->type->kind;
    bool fits = false;

    if (a == TYPE_ARRAY && b == TYPE_ARRAY)
        return convert_array(it, from, row, into, at);
    if (a == TYPE_STRUCT && b == TYPE_STRUCT)
        return convert_struct(it, from, row, into, at);
    if (type_equal(from->type, into->type))
        return convert_copy(from, row, into, at);
    if (a == TYPE_STRING)
        return from_text(it, from, row, into, at);
    if (b == TYPE_STRING)
        return to_text(it, from, row, into, at);
    if (type_is_number(from->type) && type_is_number(into->type))
        fits = to_number(from, row, into, at);
    else if (is_kind(from, TYPE_DATE, TYPE_TIMESTAMP) && is_kind(into, TYPE_DATE, TYPE_TIMESTAMP))
        fits = to_time(from, row, into, at);
    return fits ? FITS : DOES_NOT_FIT;
}

/* The depth is that of the types, TYPE_DEPTH_MAX at most. */
outcome convert_cell(conversion *it, const column *from, uint64_t row, column *into, uint64_t at)
{
    outcome result = FITS;
    bool null = !column_is_valid(from, row);

    if (!null) {
        cell_set_valid(into, at);
        it->bad = NULL;
        result = convert_value(it, from, row, into, at);
        if (result == DOES_NOT_FIT && it->bad == NULL) {
            it->bad = from;
            it->bad_row = row;
            it->wanted = into->type;
        }
        null = result == DOES_NOT_FIT && it->null_instead;
    }
    if (null)
        result = column_set_null(it->arena, into, at) ? FITS : NO_MEMORY;
    return result;
}
