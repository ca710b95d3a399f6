/* common_type.c - see common_type.h. */
#include "features/common_type.h"

#include <assert.h>

#define INTEGER_DIGITS 10 /* as decimals, in Spark */
#define BIGINT_DIGITS 20

static const type *made(const type *type, bool *no_memory)
{
    *no_memory |= type == NULL;
    return type;
}

static bool is_whole(const type *type)
{
    return type->kind == TYPE_INTEGER || type->kind == TYPE_BIGINT;
}

static unsigned whole_digits(const type *type)
{
    if (type->kind == TYPE_DECIMAL)
        return type->width - type->scale;
    return type->kind == TYPE_INTEGER ? INTEGER_DIGITS : BIGINT_DIGITS;
}

/* Of a decimal and a whole number or another decimal. */
static const type *common_decimal(arena *arena, const type *a, const type *b, bool *no_memory)
{
    const unsigned scale_a = is_whole(a) ? 0 : a->scale, scale_b = is_whole(b) ? 0 : b->scale;
    const unsigned scale = scale_a > scale_b ? scale_a : scale_b;
    const unsigned whole = whole_digits(a) > whole_digits(b) ? whole_digits(a) : whole_digits(b);
    const unsigned width =
        whole + scale > TYPE_DECIMAL_WIDTH_MAX ? TYPE_DECIMAL_WIDTH_MAX : whole + scale;
    return made(type_decimal(arena, (uint8_t)width, (uint8_t)scale), no_memory);
}

static const type *common_number(arena *arena, const type *a, const type *b, bool *no_memory)
{
    static const type_kind wider[] = {TYPE_DOUBLE, TYPE_FLOAT, TYPE_BIGINT};
    if (a->kind == TYPE_DECIMAL || b->kind == TYPE_DECIMAL) {
        const type *other = a->kind == TYPE_DECIMAL ? b : a;
        return other->kind == TYPE_FLOAT || other->kind == TYPE_DOUBLE
                   ? type_simple(TYPE_DOUBLE)
                   : common_decimal(arena, a, b, no_memory);
    }
    for (unsigned i = 0; i < sizeof wider / sizeof *wider; i++)
        if (a->kind == wider[i] || b->kind == wider[i])
            return type_simple(wider[i]);
    return type_simple(TYPE_INTEGER);
}

static bool becomes_text(const type *type)
{
    return type_is_number(type) || type->kind == TYPE_DATE || type->kind == TYPE_TIMESTAMP;
}

/* The depth is that of the types, TYPE_DEPTH_MAX at most. */
const type *common_type(arena *arena, const type *a, const type *b, bool *no_memory)
{
    if (type_equal(a, b))
        return a;
    if (type_is_number(a) && type_is_number(b))
        return common_number(arena, a, b, no_memory);
    if ((a->kind == TYPE_DATE && b->kind == TYPE_TIMESTAMP) ||
        (a->kind == TYPE_TIMESTAMP && b->kind == TYPE_DATE))
        return type_simple(TYPE_TIMESTAMP);
    if ((a->kind == TYPE_STRING && becomes_text(b)) || (b->kind == TYPE_STRING && becomes_text(a)))
        return type_simple(TYPE_STRING);
    if (a->kind != TYPE_ARRAY || b->kind != TYPE_ARRAY)
        return NULL;
    const type *element = common_type(arena, a->fields[0].type, b->fields[0].type, no_memory);
    return element == NULL ? NULL : made(type_array(arena, element), no_memory);
}

const type *common_type_of(arena *arena, const type *const *types, uint32_t n, bool *no_memory)
{
    const type *common = NULL;
    assert(n > 0);
    for (uint32_t i = 0; common == NULL && i < n; i++)
        common = types[i]->kind == TYPE_STRING ? types[i] : NULL;
    if (common == NULL)
        common = types[0];
    for (uint32_t i = 0; common != NULL && i < n; i++)
        common = common_type(arena, common, types[i], no_memory);
    return common;
}
