/* sql_words.h - SQL text as words, without an engine: for comparing two texts, and for finding the
 * parts of a query that is known to be sound.
 *
 * A word is a name, a quoted name, a number, a string, an operator (as Postgres cuts them: "<-" is
 * "<" and "-" in front of a number) or a single mark. Blanks and comments are between words.
 */
#ifndef FRESHET_SQL_SQL_WORDS_H
#define FRESHET_SQL_SQL_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef enum sql_word_kind {
    SQL_WORD_NAME,   /* a name or a keyword, not quoted */
    SQL_WORD_QUOTED, /* "a name" */
    SQL_WORD_OTHER   /* numbers, strings, operators, marks */
} sql_word_kind;

typedef struct sql_word {
    sql_word_kind kind;
    const char *text; /* in the SQL */
    size_t length;
    uint32_t depth; /* of brackets around it; a bracket has that of what is outside */
} sql_word;

/* The words of the SQL, in the arena; NULL where memory is out. */
const sql_word *sql_words(arena *arena, const char *sql, uint32_t *n);

/* Is the word this one, unquoted, in any case? `lower` is in small letters. */
bool sql_word_is(const sql_word *word, const char *lower);

/* Is the word the name of that column or table, quoted or not, in any case? */
bool sql_word_names(const sql_word *word, const char *name);

/* The name that the word is, without its quotes; NULL where memory is out. */
const char *sql_word_name(arena *arena, const sql_word *word);

/* The words as one line: one blank between them where one is needed, unquoted ones in small
 * letters. Two texts that differ in blanks, comments and letters' case alone have the same. NULL
 * where memory is out. */
const char *sql_words_text(arena *arena, const sql_word *words, uint32_t n);

/* sql_words_text of all of the SQL. */
const char *sql_plain(arena *arena, const char *sql);

#endif
