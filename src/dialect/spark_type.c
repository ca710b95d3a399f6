/* spark_type.c - see spark_type.h. Recursion follows the nesting of types, TYPE_DEPTH_MAX deep. */
#include "dialect/spark_type.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "sql/sql.h"

#define DECIMAL_MAX 38
#define SCALE_LEAST 6 /* that a cut decimal keeps */

static const spark_type simple[SPARK_KINDS] = {
    [SPARK_NULL] = {.kind = SPARK_NULL},
    [SPARK_BOOLEAN] = {.kind = SPARK_BOOLEAN},
    [SPARK_TINYINT] = {.kind = SPARK_TINYINT},
    [SPARK_SMALLINT] = {.kind = SPARK_SMALLINT},
    [SPARK_INT] = {.kind = SPARK_INT},
    [SPARK_BIGINT] = {.kind = SPARK_BIGINT},
    [SPARK_DECIMAL] = {.kind = SPARK_DECIMAL, .precision = 10, .scale = 0},
    [SPARK_FLOAT] = {.kind = SPARK_FLOAT},
    [SPARK_DOUBLE] = {.kind = SPARK_DOUBLE},
    [SPARK_STRING] = {.kind = SPARK_STRING},
    [SPARK_BINARY] = {.kind = SPARK_BINARY},
    [SPARK_DATE] = {.kind = SPARK_DATE},
    [SPARK_TIMESTAMP] = {.kind = SPARK_TIMESTAMP},
    [SPARK_MONTHS] = {.kind = SPARK_MONTHS},
    [SPARK_DAYS] = {.kind = SPARK_DAYS},
    [SPARK_MICROS] = {.kind = SPARK_MICROS},
    [SPARK_OTHER] = {.kind = SPARK_OTHER},
};

static const struct {
    const char *sql, *name;
} names[SPARK_KINDS] = {
    [SPARK_NULL] = {"INTEGER", "void"},
    [SPARK_BOOLEAN] = {"BOOLEAN", "boolean"},
    [SPARK_TINYINT] = {"TINYINT", "tinyint"},
    [SPARK_SMALLINT] = {"SMALLINT", "smallint"},
    [SPARK_INT] = {"INTEGER", "int"},
    [SPARK_BIGINT] = {"BIGINT", "bigint"},
    [SPARK_FLOAT] = {"FLOAT", "float"},
    [SPARK_DOUBLE] = {"DOUBLE", "double"},
    [SPARK_STRING] = {"VARCHAR", "string"},
    [SPARK_BINARY] = {"BLOB", "binary"},
    [SPARK_DATE] = {"DATE", "date"},
    [SPARK_TIMESTAMP] = {"TIMESTAMP", "timestamp"},
    [SPARK_MONTHS] = {"INTERVAL", "interval month"},
    [SPARK_DAYS] = {"INTERVAL", "interval day"},
    [SPARK_MICROS] = {"INTERVAL", "interval day to second"},
    [SPARK_OTHER] = {"VARCHAR", "of DuckDB alone"},
};

static const struct {
    const char *name;
    spark_kind kind;
} synonyms[] = {
    {"boolean", SPARK_BOOLEAN},     {"tinyint", SPARK_TINYINT},
    {"byte", SPARK_TINYINT},        {"smallint", SPARK_SMALLINT},
    {"short", SPARK_SMALLINT},      {"int", SPARK_INT},
    {"integer", SPARK_INT},         {"bigint", SPARK_BIGINT},
    {"long", SPARK_BIGINT},         {"float", SPARK_FLOAT},
    {"real", SPARK_FLOAT},          {"double", SPARK_DOUBLE},
    {"decimal", SPARK_DECIMAL},     {"dec", SPARK_DECIMAL},
    {"numeric", SPARK_DECIMAL},     {"string", SPARK_STRING},
    {"binary", SPARK_BINARY},       {"date", SPARK_DATE},
    {"timestamp", SPARK_TIMESTAMP}, {"timestamp_ltz", SPARK_TIMESTAMP},
    {"void", SPARK_NULL},
};

const spark_type *spark_type_named(const char *name, uint32_t length)
{
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
        if (strlen(synonyms[i].name) == length && strncasecmp(synonyms[i].name, name, length) == 0)
            return &simple[synonyms[i].kind];
    return NULL;
}

const spark_type *spark_type_of(spark_kind kind)
{
    return &simple[kind];
}

/* ---- making ---- */

static const spark_type *make(arena *arena, spark_type from)
{
    spark_type *made = arena_alloc(arena, sizeof *made);
    if (made == NULL)
        return &simple[SPARK_OTHER];
    *made = from;
    return made;
}

const spark_type *spark_decimal(arena *arena, int precision, int scale)
{
    return make(arena, (spark_type){.kind = SPARK_DECIMAL,
                                    .precision = (uint8_t)(precision > DECIMAL_MAX ? DECIMAL_MAX
                                                                                   : precision),
                                    .scale = (uint8_t)(scale > DECIMAL_MAX ? DECIMAL_MAX : scale)});
}

const spark_type *spark_struct(arena *arena, const spark_field *fields, uint32_t n)
{
    spark_field *copy = arena_alloc(arena, (n + (size_t)1) * sizeof *copy);
    if (copy == NULL)
        return &simple[SPARK_OTHER];
    for (uint32_t i = 0; i < n; i++)
        copy[i] = fields[i];
    return make(arena, (spark_type){.kind = SPARK_STRUCT, .n = n, .fields = copy});
}

static const spark_type *make_of(arena *arena, spark_kind kind, const spark_type *a,
                                 const spark_type *b)
{
    const spark_field fields[] = {{"key", a}, {"value", b}};
    const spark_type *of = spark_struct(arena, fields, b == NULL ? 1 : 2);
    if (of->kind == SPARK_OTHER)
        return of;
    return make(arena, (spark_type){.kind = kind, .n = of->n, .fields = of->fields});
}

const spark_type *spark_array(arena *arena, const spark_type *element)
{
    return make_of(arena, SPARK_ARRAY, element, NULL);
}

const spark_type *spark_map(arena *arena, const spark_type *key, const spark_type *value)
{
    return make_of(arena, SPARK_MAP, key, value);
}

static bool is_entry(const type *type)
{
    return type->kind == TYPE_STRUCT && type->n_fields == 2 &&
           strcmp(type->fields[0].name, "key") == 0 && strcmp(type->fields[1].name, "value") == 0;
}

const spark_type *spark_type_from(arena *arena, const type *type)
{
    static const spark_kind kinds[] = {
        [TYPE_BOOLEAN] = SPARK_BOOLEAN,     [TYPE_INTEGER] = SPARK_INT,
        [TYPE_BIGINT] = SPARK_BIGINT,       [TYPE_FLOAT] = SPARK_FLOAT,
        [TYPE_DOUBLE] = SPARK_DOUBLE,       [TYPE_STRING] = SPARK_STRING,
        [TYPE_BINARY] = SPARK_BINARY,       [TYPE_DATE] = SPARK_DATE,
        [TYPE_TIMESTAMP] = SPARK_TIMESTAMP,
    };
    if (type->kind == TYPE_DECIMAL)
        return spark_decimal(arena, type->width, type->scale);
    if (type->kind == TYPE_ARRAY && is_entry(type->fields[0].type)) {
        const field *fields = type->fields[0].type->fields;
        const spark_type *map = spark_map(arena, spark_type_from(arena, fields[0].type),
                                          spark_type_from(arena, fields[1].type));
        spark_type entries = *map;
        entries.is_entries = true;
        return make(arena, entries);
    }
    if (type->kind == TYPE_ARRAY)
        return spark_array(arena, spark_type_from(arena, type->fields[0].type));
    if (type->kind != TYPE_STRUCT)
        return &simple[kinds[type->kind]];
    spark_field *fields = arena_alloc(arena, (type->n_fields + (size_t)1) * sizeof *fields);
    if (fields == NULL)
        return &simple[SPARK_OTHER];
    for (uint32_t i = 0; i < type->n_fields; i++)
        fields[i] =
            (spark_field){type->fields[i].name, spark_type_from(arena, type->fields[i].type)};
    return spark_struct(arena, fields, type->n_fields);
}

/* ---- names ---- */

static void put_type(text_buffer *into, arena *arena, const spark_type *type, bool sql)
{
    const bool is_entries = type->kind == SPARK_MAP && type->is_entries && sql;
    switch (type->kind) {
    case SPARK_DECIMAL:
        text_format(into, "%s(%d,%d)", sql ? "DECIMAL" : "decimal", type->precision, type->scale);
        break;
    case SPARK_ARRAY:
        text_append_c(into, sql ? "" : "array<");
        put_type(into, arena, type->fields[0].type, sql);
        text_append_c(into, sql ? "[]" : ">");
        break;
    case SPARK_MAP:
        text_append_c(into, is_entries ? "STRUCT(key " : sql ? "MAP(" : "map<");
        put_type(into, arena, type->fields[0].type, sql);
        text_append_c(into, is_entries ? ", value " : sql ? ", " : ",");
        put_type(into, arena, type->fields[1].type, sql);
        text_append_c(into, is_entries ? ")[]" : sql ? ")" : ">");
        break;
    case SPARK_STRUCT:
        text_append_c(into, sql ? "STRUCT(" : "struct<");
        for (uint32_t i = 0; i < type->n; i++) {
            const char *name = sql ? sql_quote(arena, type->fields[i].name) : type->fields[i].name;
            text_format(into, "%s%s%s",
                        i == 0 ? ""
                        : sql  ? ", "
                               : ",",
                        name == NULL ? "" : name, sql ? " " : ":");
            put_type(into, arena, type->fields[i].type, sql);
        }
        text_append_c(into, sql ? ")" : ">");
        break;
    default: text_append_c(into, sql ? names[type->kind].sql : names[type->kind].name);
    }
}

static const char *type_text(arena *arena, const spark_type *type, bool sql)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    put_type(&text, arena, type, sql);
    const char *copy = text_keep(&text, arena);
    return copy == NULL ? "?" : copy;
}

const char *spark_type_sql(arena *arena, const spark_type *type)
{
    return type_text(arena, type, true);
}

const char *spark_type_name(arena *arena, const spark_type *type)
{
    return type_text(arena, type, false);
}

bool spark_type_equal(const spark_type *a, const spark_type *b)
{
    if (a->kind != b->kind || a->precision != b->precision || a->scale != b->scale || a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (!spark_type_equal(a->fields[i].type, b->fields[i].type) ||
            (a->kind == SPARK_STRUCT && strcasecmp(a->fields[i].name, b->fields[i].name) != 0))
            return false;
    return true;
}

/* ---- decimals ---- */

const spark_type *spark_decimal_for(arena *arena, const spark_type *type)
{
    switch (type->kind) {
    case SPARK_DECIMAL: return type;
    case SPARK_TINYINT: return spark_decimal(arena, 3, 0);
    case SPARK_SMALLINT: return spark_decimal(arena, 5, 0);
    case SPARK_INT: return spark_decimal(arena, 10, 0);
    case SPARK_BIGINT: return spark_decimal(arena, 20, 0);
    case SPARK_FLOAT: return spark_decimal(arena, 14, 7);
    default: return spark_decimal(arena, 30, 15);
    }
}

const spark_type *spark_decimal_adjusted(arena *arena, int precision, int scale)
{
    if (precision <= DECIMAL_MAX)
        return spark_decimal(arena, precision, scale);
    const int whole = precision - scale, least = scale < SCALE_LEAST ? scale : SCALE_LEAST;
    const int left = DECIMAL_MAX - whole;
    return spark_decimal(arena, DECIMAL_MAX, left > least ? left : least);
}

static const spark_type *wider_decimal(arena *arena, const spark_type *a, const spark_type *b)
{
    const int scale = a->scale > b->scale ? a->scale : b->scale;
    const int whole_a = a->precision - a->scale, whole_b = b->precision - b->scale;
    const int precision = scale + (whole_a > whole_b ? whole_a : whole_b);
    return spark_decimal(arena, precision, scale);
}

/* ---- common types ---- */

static const spark_type *common_number(arena *arena, const spark_type *a, const spark_type *b)
{
    const bool of_decimal = a->kind == SPARK_DECIMAL || b->kind == SPARK_DECIMAL;
    const bool of_real = a->kind >= SPARK_FLOAT || b->kind >= SPARK_FLOAT;
    if (of_decimal && of_real)
        return &simple[SPARK_DOUBLE];
    if (of_decimal)
        return wider_decimal(arena, spark_decimal_for(arena, a), spark_decimal_for(arena, b));
    return a->kind > b->kind ? a : b;
}

static bool is_simple(const spark_type *type)
{
    return type->kind < SPARK_ARRAY;
}

static const spark_type *common_fields(arena *arena, const spark_type *a, const spark_type *b,
                                       bool texts)
{
    spark_field *fields = arena_alloc(arena, (a->n + (size_t)1) * sizeof *fields);
    if (a->n != b->n || fields == NULL)
        return NULL;
    for (uint32_t i = 0; i < a->n; i++) {
        if (a->kind == SPARK_STRUCT && strcasecmp(a->fields[i].name, b->fields[i].name) != 0)
            return NULL;
        fields[i].name = a->fields[i].name;
        fields[i].type = spark_common(arena, a->fields[i].type, b->fields[i].type, texts);
        if (fields[i].type == NULL)
            return NULL;
    }
    return make(arena, (spark_type){.kind = a->kind, .n = a->n, .fields = fields});
}

const spark_type *spark_common(arena *arena, const spark_type *a, const spark_type *b, bool texts)
{
    if (a == NULL || b == NULL)
        return NULL;
    if (spark_type_equal(a, b))
        return a->is_entries ? b : a;
    if (a->kind == SPARK_NULL || b->kind == SPARK_NULL)
        return a->kind == SPARK_NULL ? b : a;
    if (spark_is_number(a) && spark_is_number(b))
        return common_number(arena, a, b);
    if (spark_is_time(a) && spark_is_time(b))
        return &simple[SPARK_TIMESTAMP];
    if ((a->kind == SPARK_DAYS && b->kind == SPARK_MICROS) ||
        (a->kind == SPARK_MICROS && b->kind == SPARK_DAYS))
        return &simple[SPARK_MICROS];
    const spark_type *other = a->kind == SPARK_STRING ? b : b->kind == SPARK_STRING ? a : NULL;
    if (other != NULL)
        return texts && is_simple(other) && other->kind != SPARK_BOOLEAN &&
                       other->kind != SPARK_BINARY
                   ? &simple[SPARK_STRING]
                   : NULL;
    return a->kind == b->kind && !is_simple(a) ? common_fields(arena, a, b, texts) : NULL;
}

const spark_type *spark_compared(arena *arena, const spark_type *a, const spark_type *b)
{
    const spark_type *other = a->kind == SPARK_STRING ? b : b->kind == SPARK_STRING ? a : NULL;
    if (other == NULL || other->kind == SPARK_STRING)
        return spark_common(arena, a, b, false);
    if (other->kind == SPARK_NULL)
        return &simple[SPARK_STRING];
    if (other->kind == SPARK_DECIMAL)
        return &simple[SPARK_DOUBLE];
    return is_simple(other) && !spark_is_interval(other) ? other : NULL;
}

bool spark_casts_alone(const spark_type *from, const spark_type *to)
{
    if (spark_type_equal(from, to) || from->kind == SPARK_NULL)
        return true;
    if (spark_is_number(to))
        return spark_is_number(from) || from->kind == SPARK_STRING;
    if (to->kind == SPARK_STRING)
        return is_simple(from);
    if (spark_is_time(to))
        return spark_is_time(from) || from->kind == SPARK_STRING;
    return to->kind == SPARK_BINARY && from->kind == SPARK_STRING;
}
