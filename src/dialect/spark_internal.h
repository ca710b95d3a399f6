/* spark_internal.h - what the files of the translation share. Nobody else includes it.
 *
 * The translation reads words and writes DuckDB's SQL in one pass, from the inside out: each part
 * of an expression is a VALUE, its text for DuckDB and its type. A SELECT reads its FROM first, so
 * that the columns are known. Within a text, places of the user's are marked (MARK_BEGIN digits
 * MARK_END, two bytes that no UTF-8 text has); the marks are taken out at the end (dialect.c).
 *
 * After a failure (`failed`) everything gives empty values and goes nowhere: one check at the end.
 */
#ifndef FRESHET_DIALECT_SPARK_INTERNAL_H
#define FRESHET_DIALECT_SPARK_INTERNAL_H

#include "dialect/dialect.h"
#include "dialect/spark_functions.h"
#include "dialect/spark_tokens.h"
#include "dialect/spark_type.h"

#define MARK_BEGIN '\xFF'
#define MARK_END '\xFE'
#define SPARK_DEPTH_MAX 200u
#define SPARK_SQL_MAX ((size_t)8 << 20) /* bytes of a text for DuckDB */
#define SPARK_ARGUMENTS_MAX 255u
#define TRANSLATING "translating Spark's SQL"

/* A part of an expression. */
typedef struct spark_value {
    const char *sql;
    const spark_type *type;
    const char *name;         /* of the column that it is alone; NULL: it is no column */
    const spark_token *token; /* the literal that it is alone, maybe behind a sign; else NULL */
    uint32_t at;              /* where it begins, in the user's text */
    bool is_negative;         /* of such a literal */
    bool is_lambda;           /* its type is that of what it gives */
} spark_value;

/* A name that can be mentioned. */
typedef struct spark_column {
    const char *table; /* NULL: of none */
    const char *name;
    const spark_type *type;
    const char *sql; /* what stands for it */
    bool is_hidden;  /* not in a star: the second of two columns of USING */
} spark_column;

typedef struct spark_scope spark_scope;
struct spark_scope {
    spark_column *columns;
    uint32_t n, capacity;
    spark_scope *outer; /* of the query around it; NULL: none */
};

/* What a query gives. */
typedef struct spark_query {
    const char *sql;
    spark_column *columns;
    uint32_t n;
} spark_query;

/* A query of WITH, or a window of WINDOW. */
typedef struct spark_named {
    const char *name;
    spark_query query;
    struct spark_named *next;
} spark_named;

typedef struct spark {
    sql_session *session; /* NULL: nothing is known of tables */
    arena *arena;
    const char *text;
    spark_token *tokens;
    uint32_t n_tokens, at;
    spark_scope *scope;
    spark_scope *aliases; /* of the SELECT list, where they may be mentioned; else NULL */
    spark_named *named;   /* queries of WITH that are seen */
    bool is_blind;        /* types are not known: nothing is refused for them */
    bool failed;
    uint32_t depth;
    freshet_code code;
    sql_problem *problem;
    freshet_error *err;
} spark;

/* ---- dialect.c ---- */

/* Takes the marks out of the SQL, and notes what they say. */
freshet_code dialect_take_marks(arena *arena, const char *sql, dialect_text *out,
                                freshet_error *err);

/* ---- spark_words.c: reading words, refusing ---- */

const spark_token *spark_peek(const spark *s, uint32_t ahead);
bool spark_is(const spark *s, uint32_t ahead, const char *word);
bool spark_take(spark *s, const char *word); /* if it is there */
void spark_expect(spark *s, const char *word);
/* The name, quoted or not, that stands here; "" after a refusal. */
const char *spark_take_name(spark *s, const char *what);
bool spark_enter(spark *s); /* one level deeper; false after a refusal */
void spark_leave(spark *s);

void spark_refuse(spark *s, uint32_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void spark_no_memory(spark *s);

/* Texts in the arena; "" where memory is out. */
const char *spark_format(spark *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A mark of that place. */
const char *spark_mark(spark *s, uint32_t at);
const char *spark_quoted(spark *s, const char *name);
/* A text literal of DuckDB. */
const char *spark_literal(spark *s, const char *text, uint32_t length);
spark_value spark_made(spark *s, uint32_t at, const spark_type *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
spark_value spark_nothing(spark *s); /* after a failure */

/* ---- spark_cast.c ---- */

/* CAST(value AS type) as Spark does it, explicit or by itself; refuses what Spark refuses. */
spark_value spark_cast(spark *s, spark_value value, const spark_type *to);
/* A type behind AS; and one as text, of from_json and the like. */
const spark_type *spark_parse_type(spark *s);

/* ---- spark_expression.c ---- */

spark_value spark_expression(spark *s);
/* value = value and the like; the operator is DuckDB's. */
spark_value spark_compare(spark *s, spark_value a, const char *operator, spark_value b,
                          uint32_t at);
/* All cast to their common type; NULL after a refusal. */
const spark_type *spark_make_common(spark *s, spark_value *values, uint32_t n, const char *what);
spark_value spark_boolean(spark *s, spark_value value);

/* ---- spark_primary.c ---- */

spark_value spark_primary(spark *s);
spark_value spark_interval(spark *s, uint32_t at);

/* ---- spark_operator.c ---- */

spark_value spark_arithmetic(spark *s, char operator, spark_value a, spark_value b, uint32_t at);
spark_value spark_negate(spark *s, spark_value value, uint32_t at);
spark_value spark_whole_division(spark *s, spark_value a, spark_value b, uint32_t at);
spark_value spark_bits(spark *s, const char *operator, spark_value a, spark_value b, uint32_t at);
/* Texts, binaries or arrays one behind the other. */
spark_value spark_concat(spark *s, spark_value *values, uint32_t n, uint32_t at);
/* The quotient of two decimals, of that type. */
spark_value spark_decimal_quotient(spark *s, spark_value a, spark_value b, const spark_type *type);

/* ---- spark_call.c ---- */

/* What stands behind a call's brackets. */
typedef struct spark_call {
    const char *name;
    uint32_t at;
    spark_value *arguments;
    uint32_t n;
    bool is_distinct, is_star;
    const spark_token *unit; /* DAY of dateadd(DAY, n, d); or NULL */
    const char *filter;      /* a condition; or NULL */
    const char *over;        /* OVER (...); or NULL */
    const char *order;       /* ORDER BY ... of WITHIN GROUP; or NULL */
    bool skips_nulls;        /* IGNORE NULLS */
} spark_call;

/* name ( ... ), at the name. */
spark_value spark_parse_call(spark *s);
/* A call whose arguments are known: of the table's function, or a special one. */
spark_value spark_apply(spark *s, spark_call *call);
spark_value spark_apply_named(spark *s, const char *name, spark_value *arguments, uint32_t n,
                              uint32_t at);

/* ---- spark_special.c: functions whose types no row can say ---- */

/* Is there one of that name, in any case? */
bool spark_is_special(const char *name);
bool spark_is_special_more(const char *name); /* of those that spark_special_more.c has */
/* Whether the function is one; then *out is what it gives. */
bool spark_apply_special(spark *s, spark_call *call, spark_value *out);
bool spark_apply_special_more(spark *s, spark_call *call, spark_value *out);

/* ---- spark_access.c ---- */

spark_value spark_subscript(spark *s, spark_value of, spark_value at_index, uint32_t at);
spark_value spark_field_of(spark *s, spark_value of, const char *name, uint32_t at);
/* The column of that path of names, at the first; the names that are its fields are taken, too. */
spark_value spark_column_path(spark *s);
spark_value spark_as_map(spark *s, spark_value value);

/* ---- spark_query.c ---- */

spark_query spark_parse_query(spark *s);
/* ORDER BY's list, with the places of nulls said. */
const char *spark_order_list(spark *s);
const char *spark_window(spark *s); /* behind OVER */
bool spark_at_query(const spark *s, uint32_t ahead);

/* ---- spark_calls.c ---- */

freshet_code spark_calls_create(sql_session *session, freshet_error *err);

/* ---- spark_refusals.c ---- */

/* What to say of a function that has no row. */
const char *spark_refusal_of(const char *name);

#endif
