/* json.h - JSON records into the columns of a batch.
 *
 * A record is one JSON object. Its fields are taken by name (exactly) into the columns of the
 * schema; nothing else is built from it. The rules, per field:
 *
 *   missing, null    null
 *   not in the schema ignored; also columns that the query does not use
 *   twice            the last one counts
 *   boolean          true, false
 *   integer, bigint  a JSON number without a fraction, in range (3, -7; 3.0 and 1e3 too; not "3");
 *                    with a point or an exponent below 2^53 only, since writers of such numbers
 *                    mostly have them as doubles, which beyond that have lost digits
 *   float, double    any JSON number that fits; NaN, Infinity and -Infinity, as strings or as the
 *                    literals that Python's json.dumps writes, which do not fit any other type
 *   decimal          a number, or a string that holds one; exact, rounded half up to the scale
 *   string           a string; any other value as its JSON text
 *   binary           a string in base64
 *   date             a string that date_parse takes
 *   timestamp        a string that timestamp_parse takes; never a number
 *   array, struct    a JSON array, a JSON object, by these same rules
 *
 * A value of another kind makes the record a bad one, or, with cast_error_null, is a null.
 * `strict`: a record that lacks a field of the schema, at any depth, or has others, is a bad one.
 * Text that is no JSON object (truncated, not UTF-8, nested deeper than JSON_DEPTH_MAX, with a NUL)
 * is always a bad record.
 *
 * HOW. A record of plain values, as most are, is read once and written into the columns as it goes
 * (json_plain.c); its text cells point into the record. Any other is copied once into the batch's
 * arena and parsed there in place by yyjson, so that the record as read stays whole for the dead
 * letters, and text cells point into the copy. The keys of a record mostly come in the order of the
 * record before: for each place the decoder remembers the key seen there last and the column it
 * meant, and asks its hash table only when that fails. Numbers are parsed exactly as text (and
 * slower) only where a decimal column, or a number in a string column, asks for it.
 */
#ifndef FRESHET_FORMATS_JSON_H
#define FRESHET_FORMATS_JSON_H

#include "declaration/declaration.h"

#define JSON_DEPTH_MAX 512

typedef struct json_options {
    bool strict; /* a field that is missing, or not in the schema, makes the record a bad one */
    place strict_at;
} json_options;

#define JSON_OPTIONS(at)                                                                           \
    {                                                                                              \
        .name = "strict", .kind = OPTION_BOOLEAN, .offset = (at) + offsetof(json_options, strict), \
        .place_offset = (at) + offsetof(json_options, strict_at) + 1, .standard = "false",         \
        .doc = "JSON: a record that lacks a field of `schema`, or has one that is not in it, "     \
               "goes to the dead letters."                                                         \
    }

/* True where arrays and objects in the text are nested at most JSON_DEPTH_MAX deep. */
bool json_depth_is_fine(const char *raw, size_t length);

#endif
