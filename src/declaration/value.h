/* value.h - scalars of the declaration as values: numbers, durations, sizes, and back to text.
 *
 * Each value_* reads the whole text. It returns NULL, or what is wrong as the end of a sentence
 * ("... is \"5 mins\", but <what must be>"); `into` is then untouched.
 */
#ifndef FRESHET_DECLARATION_VALUE_H
#define FRESHET_DECLARATION_VALUE_H

#include "declaration/option.h"

#define VALUE_TEXT_MAX 40        /* bytes that value_format needs at most */
#define DECLARATION_NAME_MAX 128 /* bytes of a name */
/* What names are made of; a digit begins none. */
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

/* true or false. */
const char *value_boolean(const char *text, bool *into);
/* OPTION_INTEGER: a whole number, with or without a sign, in 64 bits; OPTION_DURATION: "10
 * minutes", "500 ms", in microseconds; OPTION_BYTES: "100 MB" (10^6 bytes), "64 MiB" (2^20),
 * "4096"; OPTION_MEMORY: the same, or "25%", a whole number of percents, as a negative number. */
const char *value_number(option_kind kind, const char *text, int64_t *into);
/* How much may be bad: "100" (*count, and *share is -1), or a share below one, "0.1 %" (*share is
 * 0.001, and *count -1, but 0 for "0 %"). False where it is neither. */
bool value_limit(const char *text, int64_t *count, double *share);
/* A number from 0 to less than 1; false where it is none. */
bool value_fraction(const char *text, double *into);
/* Letters, digits and _, not beginning with a digit: usable in SQL without quotes. */
const char *value_name(const char *text);

/* The shortest text that value_number reads as that number. */
void value_format(option_kind kind, int64_t value, char into[VALUE_TEXT_MAX]);

#endif
