/* plain_query.h - the queries that need no SQL engine: rows of driving readers, their columns as
 * they are, and conditions on them.
 *
 *     SELECT id, e.ts AS at, address.city, qty::bigint FROM events e
 *     WHERE kind IN ('buy', 'rent') AND NOT (amount < 10 OR country IS NULL)
 *     UNION ALL SELECT ...
 *
 * Such a query is planned, checked and described by the engine as any other (its messages, names
 * and types are the engine's); it is only not run by it: a micro-batch of one row then costs next
 * to nothing, and columns of large ones are shared with the reader's batch and not copied twice.
 * Whatever is not surely in this small language is run by the engine. What is in it:
 *
 *   readers    each SELECT has one driving reader, without steps of `preprocess`, by its id; at
 *              most PLAIN_SELECTS_MAX of them with UNION ALL
 *   columns    qualified or not, fields of structs, stars with EXCLUDE, aliases; casts that change
 *              nothing, and those to a wider number that loses nothing; and literals, as in
 *              'web' AS site
 *   conditions comparisons of a column with literals of its own type (=, <, BETWEEN, IN, IS
 *              DISTINCT FROM ...), a boolean column alone, IS [NOT] NULL; AND, OR, NOT. Null is
 *              unknown, and an unknown row is left out
 *   literals   integers for integer and bigint, any number for double, texts, true and false, dates
 *              and timestamps (these, and fractions, are read by the engine, once)
 *
 * As the engine has it, NaN equals itself and is above all other numbers, -0.0 equals 0.0, and
 * texts are in the order of their bytes. plain_query_test.c runs random queries in both ways.
 *
 * Order of calls: query_read_plain while planning (plain_plan.c), plain_fit, plain_run for each
 * micro-batch. All lives in the arena of the plan. The pipeline's thread.
 */
#ifndef FRESHET_SOURCE_PLAIN_QUERY_H
#define FRESHET_SOURCE_PLAIN_QUERY_H

#include "sql/sql.h"

#define PLAIN_SELECTS_MAX 8u   /* so that a run gives at most SQL_RUN_ROWS_MAX rows */
#define PLAIN_LITERALS_MAX 64u /* of one SELECT: the engine looks through long lists by hashing */
#define PLAIN_DEPTH_MAX 32u    /* of conditions */

_Static_assert(PLAIN_SELECTS_MAX *(uint64_t)BATCH_ROWS_MAX <= SQL_RUN_ROWS_MAX,
               "no more rows than the engine may give");

typedef struct plain_literal {
    bool is_null;
    int64_t whole; /* boolean, integer, bigint, date, timestamp */
    double real;
    cell_text text;
} plain_literal;

/* A column of a reader, or a field of a struct in it; or the same value for each row. */
typedef struct plain_column {
    uint32_t column;
    uint32_t fields[TYPE_DEPTH_MAX];
    uint32_t n_fields;
    const type *type; /* its own */
    const type *to;   /* what it is cast to; the same where it is not */
    const char *name; /* of the query's column; NULL: it is not looked at */
    bool is_literal;
    plain_literal literal;
} plain_column;

typedef enum plain_kind {
    PLAIN_COMPARE,
    PLAIN_IS_NULL,
    PLAIN_IS_TRUE, /* a boolean column */
    PLAIN_AND,
    PLAIN_OR,
    PLAIN_NOT
} plain_kind;

typedef enum plain_comparison {
    PLAIN_EQUAL,
    PLAIN_NOT_EQUAL,
    PLAIN_LESS,
    PLAIN_LESS_OR_EQUAL,
    PLAIN_GREATER,
    PLAIN_GREATER_OR_EQUAL,
    PLAIN_DISTINCT, /* nulls are equal */
    PLAIN_NOT_DISTINCT
} plain_comparison;

/* A condition; for each row it is false, unknown or true. */
typedef struct plain_test plain_test;
struct plain_test {
    plain_kind kind;
    plain_comparison comparison;
    plain_column column;
    plain_literal literal;
    const plain_test *children; /* of AND, OR (one or more) and NOT (one) */
    uint32_t n_children;
};

typedef struct plain_select {
    uint32_t reader;
    const plain_column *columns;
    uint32_t n_columns;
    const plain_test *where; /* NULL: all rows */
} plain_select;

typedef struct plain_query {
    uint32_t n_selects;
    plain_select selects[PLAIN_SELECTS_MAX];
    schema schema; /* plain_fit */
} plain_query;

/* Can a column of the one type be one of the other, with the engine's values and no failing row? */
bool plain_casts(const type *from, const type *to);

/* The engine says that the query gives these columns: can it be run as read here? The schema is
 * referred to. */
bool plain_fit(plain_query *query, const schema *schema);

/* Can these batches be run? One whose rows have numbers of their own is run by the engine. */
bool plain_takes(const plain_query *query, batch *const *batches);

/* As source_run. Columns of `out` may be those of the batches, and live as long as these; nobody
 * writes into them. */
freshet_code plain_run(const plain_query *query, arena *arena, batch *const *batches, batch *out,
                       freshet_error *err);

/* ---- plain_where.c ---- */

/* The column in the reader's batch. */
const column *plain_find_column(const batch *batch, const plain_column *which);

/* The rows of the batch for which the condition is true: *n of them, in order; *rows is NULL where
 * that is all. Scratch and rows are in `arena`. */
freshet_code plain_choose(const plain_test *where, const batch *batch, arena *arena,
                          const uint32_t **rows, uint32_t *n, freshet_error *err);

#endif
