/* sql_name.c - types and names as SQL text, and as DuckDB's type objects.
 *
 * Types nest at most TYPE_DEPTH_MAX deep (type.h), which bounds the recursion here.
 */
#include "sql/sql_internal.h"

/* The text between two marks; a mark in it stands twice. */
static const char *between(arena *arena, const char *text, char mark)
{
    char *made = arena_alloc(arena, 2 * strlen(text) + 3), *to = made;
    if (made == NULL)
        return NULL;
    *to++ = mark;
    for (; *text != '\0'; text++) {
        if (*text == mark)
            *to++ = mark;
        *to++ = *text;
    }
    *to++ = mark;
    *to = '\0';
    return made;
}

const char *sql_quote(arena *arena, const char *name)
{
    return between(arena, name, '"');
}

const char *sql_literal(arena *arena, const char *text)
{
    return between(arena, text, '\'');
}

/* What would be a pattern stands in brackets. */
const char *sql_file_literal(arena *arena, const char *path)
{
    char *plain = arena_alloc(arena, 3 * strlen(path) + 1);
    if (plain == NULL)
        return NULL;
    char *to = plain;
    for (const char *c = path; *c != '\0'; c++) {
        bool special = strchr("*?[", *c) != NULL;
        if (special)
            *to++ = '[';
        *to++ = *c;
        if (special)
            *to++ = ']';
    }
    *to = '\0';
    return sql_literal(arena, plain);
}

const char *name_columns(arena *arena, const field *fields, uint32_t n)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < n; i++) {
        const char *name = sql_quote(arena, fields[i].name);
        const char *type = sql_type_name(arena, fields[i].type);
        text.failed |= name == NULL || type == NULL;
        text_format(&text, "%s%s %s", i == 0 ? "" : ", ", name == NULL ? "" : name,
                    type == NULL ? "" : type);
    }
    const char *made = text_keep(&text, arena);
    return made;
}

const char *sql_type_name(arena *arena, const type *type)
{
    static const char *const simple[TYPE_KINDS] = {
        [TYPE_BOOLEAN] = "BOOLEAN", [TYPE_INTEGER] = "INTEGER", [TYPE_BIGINT] = "BIGINT",
        [TYPE_FLOAT] = "FLOAT",     [TYPE_DOUBLE] = "DOUBLE",   [TYPE_STRING] = "VARCHAR",
        [TYPE_BINARY] = "BLOB",     [TYPE_DATE] = "DATE",       [TYPE_TIMESTAMP] = "TIMESTAMP",
    };
    const char *of;
    switch (type->kind) {
    case TYPE_DECIMAL: return arena_format(arena, "DECIMAL(%u,%u)", type->width, type->scale);
    case TYPE_ARRAY:
        of = sql_type_name(arena, type->fields[0].type);
        return of == NULL ? NULL : arena_format(arena, "%s[]", of);
    case TYPE_STRUCT:
        of = name_columns(arena, type->fields, type->n_fields);
        return of == NULL ? NULL : arena_format(arena, "STRUCT(%s)", of);
    default: return simple[type->kind];
    }
}

static duckdb_logical_type struct_type(const type *type)
{
    uint32_t n = type->n_fields, made = 0;
    duckdb_logical_type *members = calloc(n, sizeof *members);
    const char **names = calloc(n, sizeof *names);
    duckdb_logical_type whole = NULL;
    if (members != NULL && names != NULL) {
        while (made < n && (members[made] = name_logical_type(type->fields[made].type)) != NULL) {
            names[made] = type->fields[made].name;
            made++;
        }
        if (made == n)
            whole = duckdb_create_struct_type(members, names, n);
    }
    for (uint32_t i = 0; i < made; i++)
        duckdb_destroy_logical_type(&members[i]);
    free(members);
    free(names);
    return whole;
}

duckdb_logical_type name_logical_type(const type *type)
{
    static const duckdb_type simple[TYPE_KINDS] = {
        [TYPE_BOOLEAN] = DUCKDB_TYPE_BOOLEAN,     [TYPE_INTEGER] = DUCKDB_TYPE_INTEGER,
        [TYPE_BIGINT] = DUCKDB_TYPE_BIGINT,       [TYPE_FLOAT] = DUCKDB_TYPE_FLOAT,
        [TYPE_DOUBLE] = DUCKDB_TYPE_DOUBLE,       [TYPE_STRING] = DUCKDB_TYPE_VARCHAR,
        [TYPE_BINARY] = DUCKDB_TYPE_BLOB,         [TYPE_DATE] = DUCKDB_TYPE_DATE,
        [TYPE_TIMESTAMP] = DUCKDB_TYPE_TIMESTAMP,
    };
    duckdb_logical_type element, list;
    switch (type->kind) {
    case TYPE_DECIMAL: return duckdb_create_decimal_type(type->width, type->scale);
    case TYPE_ARRAY:
        element = name_logical_type(type->fields[0].type);
        list = element == NULL ? NULL : duckdb_create_list_type(element);
        duckdb_destroy_logical_type(&element);
        return list;
    case TYPE_STRUCT: return struct_type(type);
    default: return duckdb_create_logical_type(simple[type->kind]);
    }
}

/* Recursion: at most TYPE_DEPTH_MAX deep. */
duckdb_logical_type name_instant_type(const type *type)
{
    if (type->kind == TYPE_TIMESTAMP)
        return duckdb_create_logical_type(DUCKDB_TYPE_TIMESTAMP_TZ);
    if (type->kind != TYPE_ARRAY)
        return name_logical_type(type);
    duckdb_logical_type element = name_instant_type(type->fields[0].type);
    duckdb_logical_type list = element == NULL ? NULL : duckdb_create_list_type(element);
    duckdb_destroy_logical_type(&element);
    return list;
}
