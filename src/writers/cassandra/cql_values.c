/* cql_values.c - see cql_values.h. Arrays nest as deep as their type does (TYPE_DEPTH_MAX). */
#include "writers/cassandra/cql_values.h"

#include <string.h>

#include "base/error.h"

#define DATE_EPOCH 0x80000000u
#define DECODING "reading a value from the store"

/* ---- types ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    unsigned size; /* of the value, as of our cell; 0: it varies */
} forms[TYPE_KINDS] = {
    [TYPE_BOOLEAN] = {"boolean", 1}, [TYPE_INTEGER] = {"int", 4},
    [TYPE_BIGINT] = {"bigint", 8},   [TYPE_FLOAT] = {"float", 4},
    [TYPE_DOUBLE] = {"double", 8},   [TYPE_DECIMAL] = {"decimal", 0},
    [TYPE_STRING] = {"text", 0},     [TYPE_BINARY] = {"blob", 0},
    [TYPE_DATE] = {"date", 4},       [TYPE_TIMESTAMP] = {"timestamp", 8},
};

freshet_code cql_type_name(arena *arena, const type *type, const char **out, freshet_error *err)
{
    uint32_t depth = 0;
    while (type->kind == TYPE_ARRAY) {
        type = type->fields[0].type;
        depth++;
    }
    *out = forms[type->kind].name;
    for (uint32_t i = 0; i < depth && *out != NULL; i++) {
        *out = arena_format(arena, "frozen<list<%s>>", *out);
        if (*out == NULL)
            return error_memory(err, "naming the types of the online store");
    }
    return FRESHET_OK;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void put_big_endian(unsigned char *into, uint64_t bits, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        into[i] = (unsigned char)(bits >> (8 * (size - 1 - i)));
}

static uint64_t get_big_endian(const unsigned char *from, unsigned size)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < size; i++)
        bits = bits << 8 | from[i];
    return bits;
}

void cql_put_bigint(unsigned char into[8], int64_t value)
{
    put_big_endian(into, (uint64_t)value, 8);
}

void cql_put_int(unsigned char into[4], int32_t value)
{
    put_big_endian(into, (uint32_t)value, 4);
}

int32_t cql_get_int(const unsigned char from[4])
{
    return (int32_t)(uint32_t)get_big_endian(from, 4);
}

int64_t cql_get_bigint(const unsigned char from[8])
{
    return (int64_t)get_big_endian(from, 8);
}

static void put_length(text_buffer *into, int32_t length)
{
    unsigned char bytes[4];
    cql_put_int(bytes, length);
    text_append(into, (const char *)bytes, sizeof bytes);
}

static void cql_put_number(text_buffer *into, uint64_t bits, unsigned size)
{
    unsigned char bytes[12];
    cql_put_int(bytes, (int32_t)size);
    put_big_endian(bytes + 4, bits, size);
    text_append(into, (const char *)bytes, 4 + size);
}

/* The shortest two's complement: the first nine bits are neither all 0 nor all 1. */
static void put_decimal(text_buffer *into, int128 value, uint8_t scale)
{
    unsigned char bytes[8 + sizeof value];
    unsigned char *digits = bytes + 8;
    unsigned size = sizeof value;
    for (unsigned i = 0; i < sizeof value; i++)
        digits[i] = (unsigned char)((uint128)value >> (8 * (sizeof value - 1 - i)));
    while (size > 1 &&
           ((digits[0] == 0x00 && digits[1] < 0x80) || (digits[0] == 0xff && digits[1] >= 0x80))) {
        digits++;
        size--;
    }
    memmove(bytes + 8, digits, size);
    cql_put_int(bytes, (int32_t)(4 + size));
    cql_put_int(bytes + 4, scale);
    text_append(into, (const char *)bytes, 8 + size);
}

/* A cell of a type of fixed size. */
static uint64_t get_cell(const column *column, uint64_t row, unsigned size)
{
    switch (size) {
    case 1: return ((const uint8_t *)column->data)[row] != 0;
    case 4: return ((const uint32_t *)column->data)[row];
    default: return ((const uint64_t *)column->data)[row];
    }
}

static void set_cell(column *column, uint64_t row, unsigned size, uint64_t bits)
{
    switch (size) {
    case 1: ((uint8_t *)column->data)[row] = bits != 0; break;
    case 4: ((uint32_t *)column->data)[row] = (uint32_t)bits; break;
    default: ((uint64_t *)column->data)[row] = bits;
    }
}

static int64_t milliseconds(int64_t time_us)
{
    return time_us / 1000 - (time_us % 1000 < 0);
}

/* ---- putting --------------------------------------------------------------------------------- */

static bool put_array(text_buffer *into, const column *column, uint64_t row)
{
    const cell_span span = ((const cell_span *)column->data)[row];
    const size_t begin = into->length;
    if (span.length > INT32_MAX) {
        into->failed = true;
        return true;
    }
    put_length(into, 0);
    put_length(into, (int32_t)span.length);
    for (uint64_t i = 0; i < span.length && !into->failed; i++) {
        if (!column_is_valid(&column->children[0], span.offset + i) ||
            !cql_value_put(into, &column->children[0], span.offset + i))
            return false;
    }
    if (into->failed || into->length - begin - 4 > INT32_MAX)
        into->failed = true;
    else
        cql_put_int((unsigned char *)into->bytes + begin, (int32_t)(into->length - begin - 4));
    return true;
}

bool cql_value_put(text_buffer *into, const column *column, uint64_t row)
{
    if (!column_is_valid(column, row)) {
        put_length(into, -1);
        return true;
    }
    const type_kind kind = column->type->kind;
    const unsigned size = forms[kind].size;
    if (size > 0) {
        uint64_t bits = get_cell(column, row, size);
        if (kind == TYPE_DATE)
            bits += DATE_EPOCH;
        if (kind == TYPE_TIMESTAMP)
            bits = (uint64_t)milliseconds((int64_t)bits);
        cql_put_number(into, bits, size);
    } else if (kind == TYPE_DECIMAL) {
        put_decimal(into, ((const int128 *)column->data)[row], column->type->scale);
    } else if (kind == TYPE_STRING || kind == TYPE_BINARY) {
        const cell_text *text = &((const cell_text *)column->data)[row];
        put_length(into, (int32_t)text->length);
        text_append(into, text_bytes(text), text->length);
    } else if (kind == TYPE_ARRAY) {
        return put_array(into, column, row);
    } else {
        into->failed = true; /* no table has such a column */
    }
    return true;
}

/* ---- getting --------------------------------------------------------------------------------- */

bool cql_value_next(const unsigned char **at, const unsigned char *end, cql_value *out)
{
    if (end - *at < 4)
        return false;
    const int32_t length = cql_get_int(*at);
    if (length > 0 && length > end - *at - 4)
        return false;
    *out = (cql_value){.bytes = *at + 4, .length = length < 0 ? -1 : length};
    *at += 4 + (length < 0 ? 0 : length);
    return true;
}

static freshet_code wrong_bytes(const type *type, freshet_error *err)
{
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, forms[type->kind].name,
                     "the store gave bytes that are no value of the column's type: see \"freshet "
                     "plan\" for how the table differs from the declaration");
}

/* The digits of a decimal of another scale (written by someone else), as ours. */
static bool rescale(int128 *value, int32_t from, int32_t to)
{
    for (; from < to; from++)
        if (__builtin_mul_overflow(*value, (int128)10, value))
            return false;
    for (; from > to; from--) {
        if (*value % 10 != 0)
            return false;
        *value /= 10;
    }
    return true;
}

static freshet_code get_decimal(const cql_value *value, const type *type, int128 *into,
                                freshet_error *err)
{
    if (value->length < 5 || value->length > 4 + (int32_t)sizeof *into)
        return wrong_bytes(type, err);
    uint128 bits = value->bytes[4] >= 0x80 ? ~(uint128)0 : 0;
    for (int32_t i = 4; i < value->length; i++)
        bits = bits << 8 | value->bytes[i];
    *into = (int128)bits;
    const int32_t scale = cql_get_int(value->bytes);
    if (scale < -TYPE_DECIMAL_WIDTH_MAX || scale > 2 * TYPE_DECIMAL_WIDTH_MAX ||
        !rescale(into, scale, type->scale))
        return wrong_bytes(type, err);
    return FRESHET_OK;
}

static freshet_code get_array(arena *arena, const cql_value *value, column *into, uint64_t row,
                              freshet_error *err)
{
    const unsigned char *at = value->bytes + 4, *end = value->bytes + value->length;
    const int32_t n = value->length < 4 ? -1 : cql_get_int(value->bytes);
    cell_span span = {.offset = into->n_elements, .length = (uint64_t)n};
    if (n < 0 || n > value->length / 4)
        return wrong_bytes(into->type, err);
    freshet_code code = column_reserve(arena, &into->children[0], span.offset + span.length, err);
    for (int32_t i = 0; code == FRESHET_OK && i < n; i++) {
        cql_value element;
        if (!cql_value_next(&at, end, &element))
            return wrong_bytes(into->type, err);
        code = cql_value_get(arena, &element, &into->children[0], span.offset + (uint64_t)i, err);
    }
    if (code != FRESHET_OK)
        return code;
    into->n_elements += span.length;
    ((cell_span *)into->data)[row] = span;
    return FRESHET_OK;
}

freshet_code cql_value_get(arena *arena, const cql_value *value, column *into, uint64_t row,
                           freshet_error *err)
{
    const type_kind kind = into->type->kind;
    if (value->length < 0)
        return column_set_null(arena, into, row) ? FRESHET_OK : error_memory(err, DECODING);
    const unsigned size = forms[kind].size;
    if (size > 0) {
        if (value->length != (int32_t)size)
            return wrong_bytes(into->type, err);
        uint64_t bits = get_big_endian(value->bytes, size);
        int64_t time_us = 0;
        if (kind == TYPE_DATE)
            bits -= DATE_EPOCH;
        if (kind == TYPE_TIMESTAMP) {
            if (__builtin_mul_overflow((int64_t)bits, INT64_C(1000), &time_us))
                return wrong_bytes(into->type, err);
            bits = (uint64_t)time_us;
        }
        set_cell(into, row, size, bits);
    } else if (kind == TYPE_DECIMAL) {
        return get_decimal(value, into->type, &((int128 *)into->data)[row], err);
    } else if (kind == TYPE_STRING || kind == TYPE_BINARY) {
        const char *bytes = arena_copy(arena, value->bytes, (size_t)value->length);
        if (bytes == NULL)
            return error_memory(err, DECODING);
        ((cell_text *)into->data)[row] = text_of(bytes, (uint32_t)value->length);
    } else if (kind == TYPE_ARRAY) {
        return get_array(arena, value, into, row, err);
    } else {
        return wrong_bytes(into->type, err);
    }
    return FRESHET_OK;
}
