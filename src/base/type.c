/* type.c - see type.h. Names are read by a small recursive reader, bounded by TYPE_DEPTH_MAX. */
#include "base/type.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/batch.h"
#include "base/number.h"
#include "base/text.h"

#define TYPE_NAME_MAX 256u /* bytes of a struct's field name */

static const type simple_types[TYPE_KINDS] = {
    [TYPE_BOOLEAN] = {.kind = TYPE_BOOLEAN},
    [TYPE_INTEGER] = {.kind = TYPE_INTEGER},
    [TYPE_BIGINT] = {.kind = TYPE_BIGINT},
    [TYPE_FLOAT] = {.kind = TYPE_FLOAT},
    [TYPE_DOUBLE] = {.kind = TYPE_DOUBLE},
    [TYPE_DECIMAL] = {.kind = TYPE_DECIMAL, .width = 10, .scale = 0},
    [TYPE_STRING] = {.kind = TYPE_STRING},
    [TYPE_BINARY] = {.kind = TYPE_BINARY},
    [TYPE_DATE] = {.kind = TYPE_DATE},
    [TYPE_TIMESTAMP] = {.kind = TYPE_TIMESTAMP},
};

/* The first name of each kind is the canonical one. */
static const struct {
    const char *name;
    type_kind kind;
} type_names[] = {
    {"boolean", TYPE_BOOLEAN},     {"bool", TYPE_BOOLEAN},    {"integer", TYPE_INTEGER},
    {"int", TYPE_INTEGER},         {"bigint", TYPE_BIGINT},   {"long", TYPE_BIGINT},
    {"float", TYPE_FLOAT},         {"real", TYPE_FLOAT},      {"double", TYPE_DOUBLE},
    {"decimal", TYPE_DECIMAL},     {"numeric", TYPE_DECIMAL}, {"string", TYPE_STRING},
    {"text", TYPE_STRING},         {"varchar", TYPE_STRING},  {"binary", TYPE_BINARY},
    {"blob", TYPE_BINARY},         {"bytes", TYPE_BINARY},    {"date", TYPE_DATE},
    {"timestamp", TYPE_TIMESTAMP},
};

#define N_TYPE_NAMES (sizeof type_names / sizeof *type_names)

const type *type_simple(type_kind kind)
{
    return &simple_types[kind];
}

static const type *type_made(arena *arena, type from)
{
    type *made = arena_alloc(arena, sizeof *made);
    if (made != NULL)
        *made = from;
    return made;
}

const type *type_decimal(arena *arena, uint8_t width, uint8_t scale)
{
    return type_made(arena, (type){.kind = TYPE_DECIMAL, .width = width, .scale = scale});
}

const type *type_array(arena *arena, const type *element)
{
    field *only = arena_alloc(arena, sizeof *only);
    if (only == NULL)
        return NULL;
    *only = (field){.name = "element", .type = element};
    return type_made(arena, (type){.kind = TYPE_ARRAY, .n_fields = 1, .fields = only});
}

const type *type_struct(arena *arena, const field *fields, uint32_t n_fields)
{
    return type_made(arena, (type){.kind = TYPE_STRUCT, .n_fields = n_fields, .fields = fields});
}

typedef struct scanner {
    arena *arena;
    const char *at;
} scanner;

static void skip_blanks(scanner *scanner)
{
    while (isspace((unsigned char)*scanner->at))
        scanner->at++;
}

static bool type_take(scanner *scanner, char c)
{
    skip_blanks(scanner);
    if (*scanner->at != c)
        return false;
    scanner->at++;
    return true;
}

static size_t word_length(const char *at)
{
    size_t n = 0;
    while (isalnum((unsigned char)at[n]) || at[n] == '_')
        n++;
    return n;
}

static bool word_is(const char *at, size_t n, const char *name)
{
    return strlen(name) == n && strncasecmp(at, name, n) == 0;
}

static bool type_take_number(scanner *scanner, uint8_t *into)
{
    skip_blanks(scanner);
    const char *begin = scanner->at;
    int64_t value;
    if (!number_digits(&scanner->at, begin + strlen(begin), false, &value) ||
        scanner->at == begin || value > TYPE_DECIMAL_WIDTH_MAX)
        return false;
    *into = (uint8_t)value;
    return true;
}

/* After "decimal": nothing, (width) or (width, scale). */
static const type *read_decimal(scanner *scanner)
{
    uint8_t width, scale = 0;
    if (!type_take(scanner, '('))
        return type_simple(TYPE_DECIMAL);
    if (!type_take_number(scanner, &width) || width == 0)
        return NULL;
    if (type_take(scanner, ',') && !type_take_number(scanner, &scale))
        return NULL;
    if (!type_take(scanner, ')') || scale > width)
        return NULL;
    return type_decimal(scanner->arena, width, scale);
}

static const type *read_type(scanner *scanner, unsigned depth);

/* After "struct": <name: T, ...> */
static const type *read_struct(scanner *scanner, unsigned depth)
{
    field *fields = NULL;
    uint32_t n = 0;
    if (!type_take(scanner, '<'))
        return NULL;
    do {
        skip_blanks(scanner);
        size_t length = word_length(scanner->at);
        if (length == 0 || length > TYPE_NAME_MAX || n == TYPE_FIELDS_MAX)
            return NULL;
        fields = arena_grow(scanner->arena, fields, n * sizeof *fields, (n + 1) * sizeof *fields);
        if (fields == NULL)
            return NULL;
        const char *name = arena_copy(scanner->arena, scanner->at, length);
        scanner->at += length;
        const type *of = type_take(scanner, ':') ? read_type(scanner, depth + 1) : NULL;
        if (name == NULL || of == NULL)
            return NULL;
        fields[n++] = (field){.name = name, .type = of};
    } while (type_take(scanner, ','));
    return type_take(scanner, '>') ? type_struct(scanner->arena, fields, n) : NULL;
}

static const type *read_type(scanner *scanner, unsigned depth)
{
    if (depth > TYPE_DEPTH_MAX)
        return NULL;
    skip_blanks(scanner);
    const char *word = scanner->at;
    size_t length = word_length(word);
    scanner->at += length;
    if (word_is(word, length, "array")) {
        const type *element = type_take(scanner, '<') ? read_type(scanner, depth + 1) : NULL;
        return element != NULL && type_take(scanner, '>') ? type_array(scanner->arena, element)
                                                          : NULL;
    }
    if (word_is(word, length, "struct"))
        return read_struct(scanner, depth);
    for (size_t i = 0; i < N_TYPE_NAMES; i++)
        if (word_is(word, length, type_names[i].name))
            return type_names[i].kind == TYPE_DECIMAL ? read_decimal(scanner)
                                                      : type_simple(type_names[i].kind);
    return NULL;
}

const type *type_parse(arena *arena, const char *text)
{
    scanner scanner = {.arena = arena, .at = text};
    const type *found = read_type(&scanner, 0);
    skip_blanks(&scanner);
    return *scanner.at == '\0' ? found : NULL;
}

const char *type_suggest(const char *text)
{
    const char *names[N_TYPE_NAMES + 1];
    for (size_t i = 0; i < N_TYPE_NAMES; i++)
        names[i] = type_names[i].name;
    names[N_TYPE_NAMES] = "array<string>";
    return text_nearest(text, names, N_TYPE_NAMES + 1);
}

static void append_name(text_buffer *into, const type *type)
{
    if (type->kind == TYPE_ARRAY) {
        text_append_c(into, "array<");
        append_name(into, type->fields[0].type);
        text_append_char(into, '>');
        return;
    }
    if (type->kind == TYPE_STRUCT) {
        text_append_c(into, "struct<");
        for (uint32_t i = 0; i < type->n_fields; i++) {
            text_format(into, "%s%s: ", i > 0 ? ", " : "", type->fields[i].name);
            append_name(into, type->fields[i].type);
        }
        text_append_char(into, '>');
        return;
    }
    if (type->kind == TYPE_DECIMAL && (type->width != 10 || type->scale != 0)) {
        text_format(into, "decimal(%u,%u)", type->width, type->scale);
        return;
    }
    for (size_t i = 0; i < N_TYPE_NAMES; i++)
        if (type_names[i].kind == type->kind) {
            text_append_c(into, type_names[i].name);
            return;
        }
}

const char *type_name(arena *arena, const type *type)
{
    text_buffer name;
    text_init(&name, TEXT_LIMIT_DEFAULT);
    append_name(&name, type);
    return text_keep(&name, arena);
}

bool type_is_number(const type *type)
{
    return type->kind == TYPE_INTEGER || type->kind == TYPE_BIGINT || type->kind == TYPE_FLOAT ||
           type->kind == TYPE_DOUBLE || type->kind == TYPE_DECIMAL;
}

bool type_equal(const type *a, const type *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->width != b->width || a->scale != b->scale ||
        a->n_fields != b->n_fields)
        return false;
    for (uint32_t i = 0; i < a->n_fields; i++)
        if (strcasecmp(a->fields[i].name, b->fields[i].name) != 0 ||
            !type_equal(a->fields[i].type, b->fields[i].type))
            return false;
    return true;
}

size_t type_cell_size(const type *type)
{
    static const uint8_t sizes[TYPE_KINDS] = {
        [TYPE_BOOLEAN] = sizeof(uint8_t),  [TYPE_INTEGER] = sizeof(int32_t),
        [TYPE_BIGINT] = sizeof(int64_t),   [TYPE_FLOAT] = sizeof(float),
        [TYPE_DOUBLE] = sizeof(double),    [TYPE_DECIMAL] = sizeof(int128),
        [TYPE_STRING] = sizeof(cell_text), [TYPE_BINARY] = sizeof(cell_text),
        [TYPE_DATE] = sizeof(int32_t),     [TYPE_TIMESTAMP] = sizeof(int64_t),
        [TYPE_ARRAY] = sizeof(cell_span),
    };
    return sizes[type->kind];
}

int64_t schema_find(const schema *schema, const char *name)
{
    for (uint32_t i = 0; i < schema->n_fields; i++)
        if (strcasecmp(schema->fields[i].name, name) == 0)
            return i;
    return -1;
}

static const field *fields_keep(arena *arena, const field *from, uint32_t n)
{
    field *fields = arena_zero(arena, n == 0 ? 1 : n, sizeof *fields);
    for (uint32_t i = 0; fields != NULL && i < n; i++) {
        fields[i].name = arena_text(arena, from[i].name);
        fields[i].type = type_keep(arena, from[i].type);
        if (fields[i].name == NULL || fields[i].type == NULL)
            return NULL;
    }
    return fields;
}

const type *type_keep(arena *arena, const type *from)
{
    if (from == &simple_types[from->kind])
        return from;
    type made = *from;
    made.fields = fields_keep(arena, from->fields, from->n_fields);
    return made.fields == NULL ? NULL : type_made(arena, made);
}

schema schema_keep(arena *arena, const schema *from)
{
    return (schema){.n_fields = from->n_fields,
                    .fields = fields_keep(arena, from->fields, from->n_fields)};
}
