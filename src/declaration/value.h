/* value.h - scalars of the declaration as values: numbers, durations, sizes, and back to text.
 *
 * Each value_* reads the whole text. It returns NULL, or what is wrong as the end of a sentence
 * ("... is \"5 mins\", but <what must be>"); `into` is then untouched.
 */
#ifndef FRESHET_DECLARATION_VALUE_H
#define FRESHET_DECLARATION_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VALUE_TEXT_MAX 40        /* bytes that value_format needs at most */
#define DECLARATION_NAME_MAX 128 /* bytes of a name */

/* true or false. */
const char *value_boolean(const char *text, bool *into);
/* A whole number, with or without a sign, in 64 bits. */
const char *value_integer(const char *text, int64_t *into);
/* "10 minutes", "500 ms": microseconds. */
const char *value_duration(const char *text, int64_t *into);
/* "100 MB" (10^6 bytes), "64 MiB" (2^20), "4096". */
const char *value_bytes(const char *text, int64_t *into);
/* Letters, digits and _, not beginning with a digit: usable in SQL without quotes. */
const char *value_name(const char *text);

/* The shortest text that value_duration, value_bytes read as that number. */
void value_format_duration(int64_t value_us, char into[VALUE_TEXT_MAX]);
void value_format_bytes(int64_t value, char into[VALUE_TEXT_MAX]);

#endif
