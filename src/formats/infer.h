/* infer.h - a schema from the records of JSON or CSV files.
 *
 * Each record adds to what is known of each field; the narrowest type that holds all values seen is
 * the field's type. A field that only held nulls is a string.
 *
 *   JSON  boolean, bigint, decimal(20,0) and decimal(38,0) (whole numbers beyond 64 bits), double
 *         (with a fraction, an exponent, or beyond 38 digits), string, array<...>, struct<...>;
 *         values of different kinds in one field (and structs or arrays nested deeper than
 *         TYPE_DEPTH_MAX): string, which takes any value as its JSON text. Text stays text: a
 *         timestamp is declared, or cast in the query.
 *   CSV   boolean, bigint, decimal(20,0), decimal(38,0), double, date (yyyy-MM-dd), timestamp (with
 *         a time of day), string. Digits with a leading zero (a postal code) are a string.
 *
 * Whole numbers and others in one field are a double, unless one of the whole ones has digits that
 * a double has not (9007199254740993): that field is a string.
 *
 * Order of calls: infer_open, the format's `infer` for each record, infer_schema, infer_close.
 */
#ifndef FRESHET_FORMATS_INFER_H
#define FRESHET_FORMATS_INFER_H

#include <freshet/freshet.h>

#include "base/type.h"

#define INFER_RECORDS_MAX 1000
#define INFER_BYTES_MAX ((int64_t)1 << 20) /* of one file */
#define INFER_FILES_MAX 4
#define INFER_WHOLE_FILES_MAX 1000 /* of a batch, where a file says its types itself */

typedef struct infer infer;

freshet_code infer_open(infer **out, freshet_error *err);
void infer_close(infer *infer);

/* The operations `infer` of JSON and CSV. Records that are not valid are passed over: reading them
 * will say what is wrong with them. CSV: the first record of the first file gives the names of the
 * columns, or, with header false, their number, for the names column0, column1 ... */
struct format_options;
freshet_code infer_json(infer *infer, const struct format_options *options, const char *record,
                        size_t length, bool first, const char *at, freshet_error *err);
freshet_code infer_csv(infer *infer, const struct format_options *options, const char *record,
                       size_t length, bool first, const char *at, freshet_error *err);

/* The schema, in `arena`. An error where there was no field, or where two names differ in case
 * only; `at` names the reader's input. */
freshet_code infer_schema(infer *infer, arena *arena, const char *at, schema *out,
                          freshet_error *err);

/* How many records were taken, headers and what is no record apart. */
int64_t infer_count(const infer *infer);

/* Tells of each column of a declared schema, and each field within it, that no record had: its
 * index, its name or path, and what it may have been meant for (NULL: nothing is near). CSV without
 * a header has no names. Does nothing where there was no record. */
typedef void infer_lacking_fn(void *context, uint32_t column, const char *name, const char *near);
freshet_code infer_lacking(infer *infer, const schema *declared, infer_lacking_fn *tell,
                           void *context, freshet_error *err);

/* What the records look like, though the options do not say so: CSV with another delimiter, without
 * a header, escaped as Spark does; a JSON array, JSON objects of several lines. A sentence each,
 * which says what to write. */
typedef void infer_odd_fn(void *context, const char *sentence);
void infer_oddities(const infer *infer, const struct format_options *options, infer_odd_fn *tell,
                    void *context);

/* Of how many names "did you mean" looks at the first ones. */
#define TYPE_FIELDS_NEAR_MAX 1000

#endif
