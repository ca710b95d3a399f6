/* spark_type.h - the types of Spark's SQL, and which one two of them have in common.
 *
 * The rules are those of Spark 3.5's TypeCoercion with ANSI mode off. Types are immutable; simple
 * ones are static, others live in an arena.
 */
#ifndef FRESHET_DIALECT_SPARK_TYPE_H
#define FRESHET_DIALECT_SPARK_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/type.h"

/* The numbers in the order of their precedence. */
typedef enum spark_kind {
    SPARK_NULL,
    SPARK_BOOLEAN,
    SPARK_TINYINT,
    SPARK_SMALLINT,
    SPARK_INT,
    SPARK_BIGINT,
    SPARK_DECIMAL,
    SPARK_FLOAT,
    SPARK_DOUBLE,
    SPARK_STRING,
    SPARK_BINARY,
    SPARK_DATE,
    SPARK_TIMESTAMP,
    SPARK_MONTHS, /* interval year to month */
    SPARK_DAYS,   /* interval day */
    SPARK_MICROS, /* interval day to second, and those with hours and less in them */
    SPARK_ARRAY,
    SPARK_MAP,
    SPARK_STRUCT,
    SPARK_OTHER /* what Spark has not */
} spark_kind;

#define SPARK_KINDS (SPARK_OTHER + 1)

typedef struct spark_type spark_type;

typedef struct spark_field {
    const char *name;
    const spark_type *type;
} spark_field;

struct spark_type {
    spark_kind kind;
    uint8_t precision, scale;  /* SPARK_DECIMAL */
    bool is_entries;           /* SPARK_MAP: it is an array of structs {key, value} */
    uint32_t n;                /* array: 1; map: 2, key and value; struct: its fields */
    const spark_field *fields; /* of arrays and maps without names */
};

const spark_type *spark_type_of(spark_kind kind);
const spark_type *spark_decimal(arena *arena, int precision, int scale);
const spark_type *spark_array(arena *arena, const spark_type *element);
const spark_type *spark_map(arena *arena, const spark_type *key, const spark_type *value);
const spark_type *spark_struct(arena *arena, const spark_field *fields, uint32_t n);

/* Of a column of ours; an array of structs {key, value} is a map. */
const spark_type *spark_type_from(arena *arena, const type *type);

/* The name in DuckDB ("DECIMAL(10,2)", "INTEGER[]") and in Spark, for messages. */
const char *spark_type_sql(arena *arena, const spark_type *type);
const char *spark_type_name(arena *arena, const spark_type *type);

/* A simple type by its name in Spark (int, bigint, long, string, timestamp ...); NULL: none. */
const spark_type *spark_type_named(const char *name, uint32_t length);

bool spark_type_equal(const spark_type *a, const spark_type *b);

static inline bool spark_is_whole(const spark_type *type)
{
    return type->kind >= SPARK_TINYINT && type->kind <= SPARK_BIGINT;
}

static inline bool spark_is_number(const spark_type *type)
{
    return type->kind >= SPARK_TINYINT && type->kind <= SPARK_DOUBLE;
}

static inline bool spark_is_interval(const spark_type *type)
{
    return type->kind >= SPARK_MONTHS && type->kind <= SPARK_MICROS;
}

static inline bool spark_is_time(const spark_type *type)
{
    return type->kind == SPARK_DATE || type->kind == SPARK_TIMESTAMP;
}

/* The decimal that holds all values of a whole number's type. */
const spark_type *spark_decimal_for(arena *arena, const spark_type *type);

/* Cut to 38 digits, as Spark's adjustPrecisionScale does. */
const spark_type *spark_decimal_adjusted(arena *arena, int precision, int scale);

/* The type of COALESCE, CASE, IN and UNION; NULL: they have none. With `texts`, a text and
 * another simple type are a text. */
const spark_type *spark_common(arena *arena, const spark_type *a, const spark_type *b, bool texts);

/* The type in which a = b, a < b compare; NULL: they cannot be. */
const spark_type *spark_compared(arena *arena, const spark_type *a, const spark_type *b);

/* Whether Spark casts it by itself where a function takes that. */
bool spark_casts_alone(const spark_type *from, const spark_type *to);

#endif
