/* csv.h - CSV records (RFC 4180) into the columns of a batch.
 *
 * A record ends at a newline outside of quotes, LF or CRLF. A field that begins with a quote ends
 * at the next single one; "" in it is a quote, and newlines and delimiters are text. A quote
 * anywhere else is text as it stands. Blanks around a field belong to it (those around numbers,
 * dates and booleans are skipped).
 *
 *   null       an unquoted field that is the null text (by default the empty one); also an empty
 *              unquoted field of a column that is no string
 *   boolean    true, false in any case
 *   integer, bigint, float, double, decimal    a number that fits, strictly (cell.h)
 *   date, timestamp    as date_parse and timestamp_parse take them
 *   binary     base64
 *   string     the text; it must be UTF-8
 *   array, struct      not in CSV: csv_open refuses them
 *
 * A text of another kind makes the record a bad one, or, with cast_error_null, is a null. A record
 * with more or fewer fields than the header is always a bad one.
 *
 * Splitting and decoding are two steps, so that a file that grows is cut into whole records without
 * a decoder: csv_record_end looks for the end of one record and remembers how far it has come.
 *
 * Order of calls: csv_open, csv_header or csv_no_header for each file, then per batch csv_begin and
 * any number of csv_decode, csv_close. One thread at a time.
 */
#ifndef FRESHET_FORMATS_CSV_H
#define FRESHET_FORMATS_CSV_H

#include "base/batch.h"

typedef struct csv_dialect {
    char delimiter;
    const char *null_text; /* never NULL */
} csv_dialect;

/* How far the end of the present record has been looked for; zero-initialised for each record. */
typedef struct csv_progress {
    size_t at;
    int state;
} csv_progress;

/* The length of the record that begins at bytes[0], its newline included; 0 where its end is not
 * there yet. Call again with more bytes behind the same ones. */
size_t csv_record_end(csv_progress *progress, char delimiter, const char *bytes, size_t length);

/* True where the record, as far as it was looked at, is within quotes. */
bool csv_in_quotes(const csv_progress *progress);

/* A field of a record as it stands there. `text` is without the quotes; where `escaped`, each ""
 * in it stands for one quote. */
typedef struct csv_field {
    const char *text;
    uint32_t length;
    bool quoted;
    bool escaped;
} csv_field;

/* Splits a record without its newline into at most `most` fields. *n is the number of all of
 * them, which may be more. False: a quoted field is not closed, or text follows it; *problem
 * says so. */
bool csv_split(const csv_dialect *dialect, const char *record, size_t length, csv_field *fields,
               uint32_t most, uint32_t *n, const char **problem);

/* The field's text with "" undone, in the arena; NULL where memory is out. */
const char *csv_text(arena *arena, const csv_field *field, uint32_t *length);

bool csv_is_null(const csv_dialect *dialect, const csv_field *field);

typedef struct csv_decoder csv_decoder;

/* `used[i]` false: column i is left null (NULL: all are used). Schema and dialect's text must
 * outlive the decoder. */
freshet_code csv_open(const schema *schema, const bool *used, bool cast_error_null,
                      const csv_dialect *dialect, csv_decoder **out, freshet_error *err);
void csv_close(csv_decoder *decoder);

/* The file that comes next has this header: which field is which column. Every column of the schema
 * must be in it; `at` names the file. */
freshet_code csv_header(csv_decoder *decoder, const char *record, size_t length, const char *at,
                        freshet_error *err);
/* ... or none: the fields are the columns, in order. */
void csv_no_header(csv_decoder *decoder);

/* The batch that the next records go to. */
void csv_begin(csv_decoder *decoder, batch *into);

/* Decodes a record (without its newline) into row into->n_rows, for which the columns have room,
 * and makes n_rows one more. Cells may point into the record. An error with FRESHET_SKIP_ROW
 * says why the record is bad. */
freshet_code csv_decode(csv_decoder *decoder, const char *record, size_t length,
                        freshet_error *err);

#endif
