/* dialect.h - the SQL of a declaration that says `dialect: spark`, as SQL for DuckDB.
 *
 * Every text of a user's SQL goes through dialect_query or dialect_expression before DuckDB sees
 * it. With DIALECT_DUCKDB they hand it on as it is, at no cost. With DIALECT_SPARK the text is
 * parsed by Spark 3.5's grammar and given types as Spark's analyzer gives them (ANSI off, UTC), and
 * written again for DuckDB, with every implicit cast said. What has no equal is a problem with its
 * place and what to write instead; nothing is handed on that would give other values.
 *
 *   spark_tokens.c     the text as words: literals, names, operators of Spark
 *   spark_parse.c      words as a tree (spark_tree.h), with Spark's precedences
 *   spark_type.c       Spark's types, as DuckDB names them; common types, decimals
 *   spark_expression.c the tree of an expression as DuckDB's SQL and its type
 *   spark_query.c      the same of SELECTs, and what can be seen where
 *   spark_functions.c  functions: one table; a row is a form of one (spark_functions.h)
 *   spark_calls.c      functions in C for those rows, known to the engine as spark_...
 *   spark_refusals.c   what is refused, and what to write instead: one table
 *
 * To add a function: a row in the table of a spark_functions_... file (spark_functions.h says how).
 * One in C: the function and its row in spark_calls.c, and a row whose template calls it. A case: a
 * line of tests/dialect, with Spark's value.
 *
 * PLACES. What DuckDB says of its text is said at the user's: dialect_position gives the byte of
 * the user's text that a byte of DuckDB's was made from.
 *
 * Order of calls: dialect_create once an engine, before sql_lock; then the others, as often as
 * there are texts. All that they give lives in the arena.
 */
#ifndef FRESHET_DIALECT_DIALECT_H
#define FRESHET_DIALECT_DIALECT_H

#include "sql/sql.h"

typedef enum dialect { DIALECT_DUCKDB, DIALECT_SPARK } dialect;

/* From `at` on, bytes of the SQL were made from the word that begins at `from` in the user's. */
typedef struct dialect_piece {
    uint32_t at, from;
} dialect_piece;

typedef struct dialect_text {
    const char *sql;             /* for DuckDB */
    const dialect_piece *pieces; /* in the order of `at`; none: sql is the user's own */
    uint32_t n_pieces;
} dialect_text;

/* Makes what the dialect needs known to the session's engine; nothing where it is DuckDB's. */
freshet_code dialect_create(dialect dialect, sql_session *session, freshet_error *err);

/* A query: one SELECT over tables that the session sees (their names and columns count, not their
 * rows). FRESHET_USAGE where the text is none or is refused, with the place in the user's text in
 * `problem`. */
freshet_code dialect_query(dialect dialect, sql_session *session, arena *arena, const char *text,
                           dialect_text *out, sql_problem *problem, freshet_error *err);

/* An expression over the columns. */
freshet_code dialect_expression(dialect dialect, sql_session *session, arena *arena,
                                const char *text, const schema *columns, dialect_text *out,
                                sql_problem *problem, freshet_error *err);

/* Whether the text is one at all, where no tables and columns are known: FRESHET_USAGE if not. */
freshet_code dialect_syntax(dialect dialect, arena *arena, const char *text, bool is_query,
                            sql_problem *problem, freshet_error *err);

/* Is there a function of that name, in any case, in the dialect itself? Of DuckDB's the engine is
 * asked (sql_function_exists): false. */
bool dialect_has_function(dialect dialect, const char *name);

/* The byte of the user's text; -1 stays -1. */
int64_t dialect_position(const dialect_text *text, int64_t position);

#endif
