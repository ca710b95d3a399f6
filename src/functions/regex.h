/* regex.h - regular expressions as Java writes them, matched in time linear in the text.
 *
 * Of several matches at a place it takes the one that Java takes: that of the first alternative,
 * greedy or reluctant as it is said. A text is UTF-8, and a character is a code point.
 *
 *     characters   . [a-z] [^a-z] [a[bc]] [a-z&&[^b]] \d \w \s \h \v and their opposites, \p{L}
 *                  \p{Lu} \p{Alpha} ..., \t \n \r \f \e \a \0.. \x.. \u.... \cX, \Q...\E
 *     places       ^ $ \A \z \Z \b \B
 *     repetition   * + ? {n} {n,} {n,m}, greedy or reluctant (a ? behind it)
 *     groups       (...) (?:...) (?<name>...) (?i) (?s) (?m) (?x) and (?i:...)
 *
 * Refused, with the part named: look-ahead and look-behind, back references, possessive repetition,
 * atomic groups, \G \X \R, Unicode case. What Java takes for an error is one here.
 *
 * A regex belongs to one thread: matching uses memory that it has.
 */
#ifndef FRESHET_FUNCTIONS_REGEX_H
#define FRESHET_FUNCTIONS_REGEX_H

#include <freshet/freshet.h>

#include "base/arena.h"

#define REGEX_GROUPS_MAX 60u    /* with the whole match */
#define REGEX_DEPTH_MAX 100u    /* of groups and classes in each other */
#define REGEX_STEPS_MAX 20000u  /* of the program that a pattern becomes */
#define REGEX_LENGTH_MAX 10000u /* bytes of a pattern */

typedef struct regex regex;

/* FRESHET_USAGE with what is wrong in err. It lives in the arena; the pattern is copied. */
freshet_code regex_compile(arena *arena, const char *pattern, size_t length, regex **out,
                           freshet_error *err);

/* Groups without the whole match. */
uint32_t regex_n_groups(const regex *regex);

/* The first match that begins at byte `from` or later. spans[2 i] and [2 i + 1] are the first byte
 * of group i and the one behind its last, or -1 where the group has no part in it; the first
 * n_spans groups (0: none are wanted, which is faster). */
bool regex_find(regex *regex, const char *text, size_t length, size_t from, int64_t *spans,
                uint32_t n_spans);

/* Where to look for the next match behind one from spans[0] to spans[1]: false at the end. */
bool regex_next(const char *text, size_t length, const int64_t *spans, size_t *from);

#endif
