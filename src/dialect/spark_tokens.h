/* spark_tokens.h - Spark's SQL as words, by the lexer of Spark 3.5.
 *
 * What differs from DuckDB's: texts stand in ' or ", with backslashes, or raw (r'..'), and those
 * that follow each other are one; names stand in backticks; numbers have letters for their types
 * (5L, 1.5D); a name may begin with a digit.
 */
#ifndef FRESHET_DIALECT_SPARK_TOKENS_H
#define FRESHET_DIALECT_SPARK_TOKENS_H

#include "base/arena.h"
#include "sql/sql.h"

#define SPARK_TOKENS_MAX 200000u

typedef enum spark_token_kind {
    TOKEN_NAME,    /* a name or a keyword; text as written */
    TOKEN_QUOTED,  /* a name in backticks; text without them */
    TOKEN_TEXT,    /* a literal; text is its value */
    TOKEN_INTEGER, /* digits */
    TOKEN_DECIMAL, /* digits with a point */
    TOKEN_REAL,    /* with an exponent */
    TOKEN_MARK,    /* an operator or a bracket */
    TOKEN_END
} spark_token_kind;

typedef struct spark_token {
    spark_token_kind kind;
    const char *text;
    uint32_t length;  /* of text, which may hold any byte */
    uint32_t at, end; /* in the SQL */
    char suffix;      /* of a number: L S Y D F, B for BD; else 0 */
} spark_token;

/* The words of the SQL, with TOKEN_END behind them, in the arena. FRESHET_USAGE, with its place,
 * for what is no word. */
freshet_code spark_tokens_read(arena *arena, const char *sql, spark_token **out, uint32_t *n,
                               sql_problem *problem, freshet_error *err);

/* Is it the keyword, in any case, or the mark? */
bool spark_token_is(const spark_token *token, const char *word);

#endif
