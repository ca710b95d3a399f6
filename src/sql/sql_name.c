/* sql_name.c - types and names as SQL text, and as DuckDB's type objects.
 *
 * Types nest at most TYPE_DEPTH_MAX deep (type.h), which bounds the recursion here.
 */
#include "sql/sql_internal.h"

const char *sql_quote(arena *arena, const char *name)
{
    size_t length = strlen(name);
    char *quoted = arena_alloc(arena, 2 * length + 3);
    if (quoted == NULL)
        return NULL;
    char *to = quoted;
    *to++ = '"';
    for (size_t i = 0; i < length; i++) {
        if (name[i] == '"')
            *to++ = '"';
        *to++ = name[i];
    }
    *to++ = '"';
    *to = '\0';
    return quoted;
}

const char *sql_literal(arena *arena, const char *text)
{
    size_t length = strlen(text);
    char *literal = arena_alloc(arena, 2 * length + 3);
    if (literal == NULL)
        return NULL;
    char *to = literal;
    *to++ = '\'';
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\'')
            *to++ = '\'';
        *to++ = text[i];
    }
    *to++ = '\'';
    *to = '\0';
    return literal;
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

static const char *struct_name(arena *arena, const type *type)
{
    const char *text = "STRUCT(";
    for (uint32_t i = 0; i < type->n_fields && text != NULL; i++) {
        const char *name = sql_quote(arena, type->fields[i].name);
        const char *of = sql_type_name(arena, type->fields[i].type);
        if (name == NULL || of == NULL)
            return NULL;
        text = arena_format(arena, "%s%s%s %s", text, i == 0 ? "" : ", ", name, of);
    }
    return text == NULL ? NULL : arena_format(arena, "%s)", text);
}

const char *sql_type_name(arena *arena, const type *type)
{
    static const char *const simple[TYPE_KINDS] = {
        [TYPE_BOOLEAN] = "BOOLEAN", [TYPE_INTEGER] = "INTEGER", [TYPE_BIGINT] = "BIGINT",
        [TYPE_FLOAT] = "FLOAT",     [TYPE_DOUBLE] = "DOUBLE",   [TYPE_STRING] = "VARCHAR",
        [TYPE_BINARY] = "BLOB",     [TYPE_DATE] = "DATE",       [TYPE_TIMESTAMP] = "TIMESTAMP",
    };
    const char *element;
    switch (type->kind) {
    case TYPE_DECIMAL: return arena_format(arena, "DECIMAL(%u,%u)", type->width, type->scale);
    case TYPE_ARRAY:
        element = sql_type_name(arena, type->fields[0].type);
        return element == NULL ? NULL : arena_format(arena, "%s[]", element);
    case TYPE_STRUCT: return struct_name(arena, type);
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
