/* csv.h - CSV records (RFC 4180) into the columns of a batch.
 *
 * A record ends at a newline outside of quotes, LF or CRLF. A field that begins with a quote ends
 * at the next single one; "" in it is a quote, and newlines and delimiters are text. With the
 * option `escape` a quote behind that character is text, too, and so is the character behind itself
 * (as Spark writes them, with a backslash). A quote anywhere else is text as it stands. Blanks
 * around a field belong to it (those around numbers, dates and booleans are skipped).
 *
 *   null       an unquoted field that is the null text (by default the empty one); also an empty
 *              unquoted field of a column that is no string
 *   boolean    true, false in any case
 *   integer, bigint, float, double, decimal    a number that fits, strictly (cell.h)
 *   date, timestamp    as date_parse and timestamp_parse take them
 *   binary     base64
 *   string     the text; it must be UTF-8
 *   array, struct      not in CSV: refused when it is described
 *
 * A text of another kind makes the record a bad one, or, with cast_error_null, is a null. A record
 * with more or fewer fields than the header is always a bad one.
 *
 * Splitting and decoding are two steps, so that a file that grows is cut into whole records without
 * a decoder: csv_record_end looks for the end of one record and remembers how far it has come.
 */
#ifndef FRESHET_FORMATS_CSV_H
#define FRESHET_FORMATS_CSV_H

#include "base/batch.h"
#include "declaration/declaration.h"

typedef struct csv_options {
    bool header; /* files: their first record names their columns */
    place header_at;
    declared_text delimiter; /* NULL: a comma */
    declared_text null_text; /* NULL: the empty one */
    declared_text escape;    /* NULL: a quote is written twice */
} csv_options;

/* Those of files only, since messages have no header; then those of both. */
#define CSV_OPTIONS_OF_FILES(at)                                                                  \
    {                                                                                             \
        .name = "header", .kind = OPTION_BOOLEAN, .offset = (at) + offsetof(csv_options, header), \
        .place_offset = (at) + offsetof(csv_options, header_at) + 1, .standard = "true",          \
        .doc = "CSV: the first record of each file names its columns. Without a header the "      \
               "columns are those of `schema`, in order."                                         \
    }
#define CSV_OPTIONS(at)                                                                           \
    {.name = "delimiter",                                                                         \
     .kind = OPTION_TEXT,                                                                         \
     .offset = (at) + offsetof(csv_options, delimiter),                                           \
     .doc = "CSV: the one character between fields, a comma by default; `\\t` is a tab.",         \
     .example = "\";\""},                                                                         \
        {.name = "null_text",                                                                     \
         .kind = OPTION_TEXT,                                                                     \
         .offset = (at) + offsetof(csv_options, null_text),                                       \
         .doc = "CSV: an unquoted field with this text is null. By default the empty one.",       \
         .example = "NA"},                                                                        \
    {                                                                                             \
        .name = "escape", .kind = OPTION_TEXT, .offset = (at) + offsetof(csv_options, escape),    \
        .doc =                                                                                    \
            "CSV: the one character that stands before a quote, or before itself, within quotes " \
            "to make it text. Spark writes `\\`, unless told otherwise. By default none: a "      \
            "quote is written twice.",                                                            \
        .example = "\"\\\\\""                                                                     \
    }

typedef struct csv_dialect {
    char delimiter;
    char escape;           /* 0: none */
    const char *null_text; /* never NULL */
} csv_dialect;

csv_dialect csv_dialect_of(const csv_options *options);

/* How far the end of the present record has been looked for; zero-initialised for each record. */
typedef struct record_progress {
    size_t at;
    int state;
} record_progress;

/* The length of the record that begins at bytes[0], its newline included; 0 where its end is not
 * there yet. Call again with more bytes behind the same ones. */
size_t csv_record_end(record_progress *progress, const csv_dialect *dialect, const char *bytes,
                      size_t length);

/* A field of a record as it stands there. `text` is without the quotes; where `escaped`, each "" in
 * it stands for one quote, and so does the escape before a quote, or for itself. */
typedef struct csv_field {
    const char *text;
    uint32_t length;
    bool quoted;
    bool escaped;
    char escape; /* 0: none */
} csv_field;

/* Splits a record without its newline into at most `most` fields. *n is the number of all of
 * them, which may be more. False: a quoted field is not closed, or text follows it; *problem
 * says so. */
bool csv_split(const csv_dialect *dialect, const char *record, size_t length, csv_field *fields,
               uint32_t most, uint32_t *n, const char **problem);

/* The field's text with that undone, in the arena; NULL where memory is out. */
const char *csv_text(arena *arena, const csv_field *field, uint32_t *length);

bool csv_is_null(const csv_dialect *dialect, const csv_field *field);

#endif
