/* type.h - the types that a column of Freshet can have.
 *
 * The names are those of the declaration: boolean, integer, bigint, float, double,
 * decimal or decimal(width,scale) (plain decimal is decimal(10,0), as in Spark), string, binary,
 * date, timestamp, array<T>, and struct<name: T, ...> for nested JSON (readers and queries only: a
 * feature cannot be a struct). Type objects are immutable and live in an arena, or are static.
 */
#ifndef FRESHET_BASE_TYPE_H
#define FRESHET_BASE_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef enum type_kind {
    TYPE_BOOLEAN,   /* uint8_t, 0 or 1 */
    TYPE_INTEGER,   /* int32_t */
    TYPE_BIGINT,    /* int64_t */
    TYPE_FLOAT,     /* float */
    TYPE_DOUBLE,    /* double */
    TYPE_DECIMAL,   /* int128, the value times 10^scale */
    TYPE_STRING,    /* struct cell_text, valid UTF-8 */
    TYPE_BINARY,    /* struct cell_text, any bytes */
    TYPE_DATE,      /* int32_t, days since 1970-01-01 */
    TYPE_TIMESTAMP, /* int64_t, microseconds since 1970-01-01 00:00:00 UTC */
    TYPE_ARRAY,     /* struct cell_span into children[0] */
    TYPE_STRUCT     /* no data of its own: children, one a field */
} type_kind;

#define TYPE_KINDS 12
#define TYPE_DECIMAL_WIDTH_MAX 38
#define TYPE_DEPTH_MAX 16     /* nesting of arrays and structs */
#define TYPE_FIELDS_MAX 10000 /* fields of one struct, columns of one batch */

typedef struct type type;

/* A named column: of a batch, or of a struct. */
typedef struct field {
    const char *name;
    const type *type;
} field;

struct type {
    type_kind kind;
    uint8_t width; /* decimals */
    uint8_t scale;
    bool is_map;       /* TYPE_ARRAY of entries that the engine has as a map: shown otherwise */
    uint32_t n_fields; /* TYPE_STRUCT: its fields; TYPE_ARRAY: 1, the element, named "element" */
    const field *fields;
};

/* The columns of a batch, in order. Names are unique, compared without regard to case as SQL
 * does. */
typedef struct schema {
    uint32_t n_fields;
    const field *fields;
} schema;

/* The simple type of that kind (static; not for DECIMAL with another width, ARRAY, STRUCT). */
const type *type_simple(type_kind kind);
const type *type_decimal(arena *arena, uint8_t width, uint8_t scale);
const type *type_array(arena *arena, const type *element);
const type *type_struct(arena *arena, const field *fields, uint32_t n_fields);

/* Reads a type's name ("array<decimal(10,2)>", any case, blanks allowed; Butterfree's and SQL's
 * usual synonyms too: int, long, text, varchar, bool, bytes, blob). NULL where it is none: the
 * caller reports, with type_suggest() for the hint. */
const type *type_parse(arena *arena, const char *text);

/* The nearest simple type name to a misspelt one, or NULL. */
const char *type_suggest(const char *text);

/* The canonical name, in the arena. */
const char *type_name(arena *arena, const type *type);

bool type_equal(const type *a, const type *b);

/* integer, bigint, float, double, decimal */
bool type_is_number(const type *type);

/* Bytes of one cell in column.data; 0 for TYPE_STRUCT. */
size_t type_cell_size(const type *type);

/* Index of the field of that name (case-insensitive), or -1. */
int64_t schema_find(const schema *schema, const char *name);

/* A deep copy into another arena. */
const type *type_keep(arena *arena, const type *from);
schema schema_keep(arena *arena, const schema *from);

#endif
