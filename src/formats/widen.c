/* widen.c - see widen.h. */
#include "formats/widen.h"

#include <string.h>

#include "base/error.h"

#define INTEGER_DIGITS 10
#define BIGINT_DIGITS 19

const type type_unknown = {.kind = TYPE_STRING};

/* The depth is that of the type, TYPE_DEPTH_MAX at most. */
bool type_is_unknown(const type *type)
{
    if (type == &type_unknown)
        return true;
    for (uint32_t i = 0; i < type->n_fields; i++)
        if (type_is_unknown(type->fields[i].type))
            return true;
    return false;
}

static bool is_whole(const type *type)
{
    return type->kind == TYPE_INTEGER || type->kind == TYPE_BIGINT;
}

/* As a decimal: its scale, and how many digits stand before the point. */
static unsigned whole_digits(const type *type)
{
    if (type->kind == TYPE_DECIMAL)
        return type->width - type->scale;
    return type->kind == TYPE_INTEGER ? INTEGER_DIGITS : BIGINT_DIGITS;
}

/* Of two different numbers' types. */
static const type *widen_numbers(arena *arena, const type *a, const type *b)
{
    unsigned scale, whole;

    if (is_whole(a) && is_whole(b))
        return type_simple(TYPE_BIGINT);
    if (a->kind == TYPE_FLOAT || a->kind == TYPE_DOUBLE || b->kind == TYPE_FLOAT ||
        b->kind == TYPE_DOUBLE)
        return type_simple(TYPE_DOUBLE);
    scale = is_whole(a) ? 0 : a->scale;
    if (!is_whole(b) && b->scale > scale)
        scale = b->scale;
    whole = whole_digits(a) > whole_digits(b) ? whole_digits(a) : whole_digits(b);
    if (whole + scale > TYPE_DECIMAL_WIDTH_MAX)
        whole = TYPE_DECIMAL_WIDTH_MAX - scale;
    return type_decimal(arena, (uint8_t)(whole + scale), (uint8_t)scale);
}

static const type *widen_structs(arena *arena, const type *a, const type *b)
{
    const schema there = {.n_fields = b->n_fields, .fields = b->fields};
    const schema first = {.n_fields = a->n_fields, .fields = a->fields};
    field *fields = arena_zero(arena, a->n_fields + (size_t)b->n_fields, sizeof(*fields));
    uint32_t n = 0;

    for (uint32_t i = 0; fields != NULL && i < a->n_fields; i++) {
        int64_t found = schema_find(&there, a->fields[i].name);
        fields[n] = a->fields[i];
        if (found >= 0)
            fields[n].type = type_widen(arena, a->fields[i].type, b->fields[found].type);
        if (fields[n++].type == NULL)
            return NULL;
    }
    for (uint32_t i = 0; fields != NULL && i < b->n_fields; i++)
        if (schema_find(&first, b->fields[i].name) < 0)
            fields[n++] = b->fields[i];
    if (n > TYPE_FIELDS_MAX)
        return type_simple(TYPE_STRING);
    return fields == NULL ? NULL : type_struct(arena, fields, n);
}

/* The depth is that of the types, TYPE_DEPTH_MAX at most. */
const type *type_widen(arena *arena, const type *a, const type *b)
{
    if (a == &type_unknown || (a != b && type_equal(a, b) && !type_is_unknown(b)))
        return b;
    if (b == &type_unknown || a == b)
        return a;
    if (a->kind == TYPE_ARRAY && b->kind == TYPE_ARRAY) {
        const type *element = type_widen(arena, a->fields[0].type, b->fields[0].type);
        return element == NULL ? NULL : type_array(arena, element);
    }
    if (a->kind == TYPE_STRUCT && b->kind == TYPE_STRUCT)
        return widen_structs(arena, a, b);
    if (type_is_number(a) && type_is_number(b))
        return type_equal(a, b) ? a : widen_numbers(arena, a, b);
    if ((a->kind == TYPE_DATE && b->kind == TYPE_TIMESTAMP) ||
        (a->kind == TYPE_TIMESTAMP && b->kind == TYPE_DATE))
        return type_simple(TYPE_TIMESTAMP);
    return type_equal(a, b) ? a : type_simple(TYPE_STRING);
}

freshet_code schema_widen(arena *arena, schema *all, const char ***said_by, const schema *more,
                          const char *file, freshet_error *err)
{
    static const char doing[] = "finding the columns of files";
    const uint64_t room = (uint64_t)all->n_fields + more->n_fields;
    field *fields = arena_zero(arena, room + 1, sizeof(*fields));
    const char **said = arena_zero(arena, room + 1, sizeof(*said));
    const char *name = arena_text(arena, file);
    uint32_t n = all->n_fields;

    if (fields == NULL || said == NULL || name == NULL)
        return error_memory(err, doing);
    for (uint32_t i = 0; i < n; i++) {
        fields[i] = all->fields[i];
        said[i] = (*said_by)[i];
    }
    for (uint32_t i = 0; i < more->n_fields; i++) {
        int64_t at = schema_find(all, more->fields[i].name);
        const type *before = at < 0 ? NULL : fields[at].type;
        if (at < 0)
            at = n++;
        fields[at].name = before == NULL ? more->fields[i].name : fields[at].name;
        fields[at].type =
            before == NULL ? more->fields[i].type : type_widen(arena, before, more->fields[i].type);
        if (fields[at].type == NULL)
            return error_memory(err, doing);
        if (before == NULL || !type_equal(before, fields[at].type) ||
            (type_is_unknown(before) && !type_is_unknown(fields[at].type)))
            said[at] = name;
    }
    *all = (schema){.n_fields = n, .fields = fields};
    *said_by = said;
    return FRESHET_OK;
}
