/* format.h - the contract between readers and formats: bytes into columns.
 *
 * A format is one file with one struct of operations, `const format format_NAME`, and one word in
 * FORMATS below; one with options of its own has a header and a line in format_options and in
 * FORMAT_OPTIONS, too (docs/internals/extending.md). Readers know none by its name. There are two
 * families:
 *
 *   formats of records   one record, one row (`decode`): a line of a file, a message of Kafka
 *   formats of files     rows of a whole file (`start`, `read`): Parquet
 *
 * Formats that come with a registry of schemas (Avro, Protobuf) find their place among the first:
 * open() may connect, and decode() may answer FRESHET_RETRY while a schema is being fetched.
 *
 * A DECODER is a format at work. It writes the columns of its own schema, which the caller may
 * alias into a wider batch: row into->n_rows, which decode() leaves as it is, since the caller
 * counts. Columns with used[i] false are left as they are.
 *
 * Order of calls: decoder_open; per file `header` where the decoder wants one; per batch
 * decoder_begin and any number of decode; decoder_close. Of a file: decoder_open, then
 * describe_file, or start and read until FRESHET_END, again and again. One thread at a time.
 */
#ifndef FRESHET_FORMATS_FORMAT_H
#define FRESHET_FORMATS_FORMAT_H

#include "base/batch.h"
#include "base/text.h"
#include "declaration/declaration.h"
#include "formats/csv.h"
#include "formats/hive.h"
#include "formats/infer.h"
#include "formats/json.h"
#include "formats/raw.h"
#include "formats/scan.h"

/* All formats there are: those of records, then those of files. */
#define FORMATS_OF_RECORDS(X) X(json) X(csv) X(raw)
#define FORMATS(X) FORMATS_OF_RECORDS(X) X(parquet)

/* What is declared of a format: `{format: csv, schema: {...}, delimiter: ";"}`. Each format has its
 * own options and the rows of their table (CSV_OPTIONS); FORMAT_OPTIONS are all of them, for a
 * table whose struct has a format_options at `at`, and FORMAT_OPTIONS_OF_FILES also those that
 * messages do not have. */
typedef struct format_options {
    int choice; /* of format_file_names or of format_message_names */
    declared_schema schema;
    json_options json;
    csv_options csv;
    raw_options raw;
} format_options;

#define FORMAT_OPTIONS_OF_FILES(at) \
    CSV_OPTIONS_OF_FILES((at) + offsetof(format_options, csv)), FORMAT_OPTIONS(at)
#define FORMAT_OPTIONS(at)                                 \
    JSON_OPTIONS((at) + offsetof(format_options, json)),   \
        CSV_OPTIONS((at) + offsetof(format_options, csv)), \
        RAW_OPTIONS((at) + offsetof(format_options, raw))

/* An option of one format: its name, and where in format_options the place stands where it is
 * given. */
typedef struct format_option {
    const char *name; /* NULL ends a list */
    size_t place;
} format_option;

typedef struct format format;
typedef struct decoder decoder;

struct format {
    const char *name;
    const char *const *endings; /* of its files' names, NULL-terminated; NULL: none */
    const format_option *own;   /* its options, which are refused with another format; NULL: none */
    bool one_column;            /* it gives one column of its own, and takes no schema */
    size_t size;                /* of the decoder's own struct, which begins with struct decoder */

    /* Reports what is wrong with its own options; NULL: nothing can be. */
    void (*check)(const format_options *options, struct problems *problems);
    /* The columns that it gives, from the options alone: no fields where they are to be inferred.
     * `name` is that of a format with one column. NULL: the declared schema. What it makes is in
     * `arena`, but names and types may be the options' and `name` itself, which must live as
     * long. */
    freshet_code (*describe)(const format_options *options, const char *name, arena *arena,
                             schema *out, freshet_error *err);
    freshet_code (*open)(decoder *decoder, freshet_error *err);
    void (*close)(decoder *decoder); /* of what open has made, or a part of it */

    /* ---- records ---- */

    /* Where the record that begins at bytes[0] ends, its newline included; 0: not there yet. Called
     * again with more bytes behind the same ones. NULL: at the first newline. */
    size_t (*record_end)(const format_options *options, record_progress *progress,
                         const char *bytes, size_t length);
    /* The record ends only behind a quote that has not come. NULL: never. */
    bool (*in_quotes)(const record_progress *progress);
    /* It is no record, but a blank line. NULL: never. */
    bool (*is_blank)(const char *bytes, size_t length);
    /* Takes the header of the file that comes next, whose records `at` names; where
     * decoder->wants_header. */
    freshet_code (*header)(decoder *decoder, const char *bytes, size_t length, const char *at,
                           freshet_error *err);
    /* Takes the header of `from`, a decoder of the same options and columns. */
    void (*take_header)(decoder *into, const decoder *from);
    void (*begin)(decoder *decoder); /* decoder->into is another batch now; NULL: all the same */
    /* Row into->n_rows from a record without its newline, which outlives the batch; long texts may
     * point into it. An error with FRESHET_SKIP_ROW says why it is bad, and decoder->refused the
     * same as a code (BAD_RECORD unless it says other); the row's cells are then to be
     * overwritten. */
    freshet_code (*decode)(decoder *decoder, const char *bytes, size_t length, freshet_error *err);
    /* Tells of the used columns that no good record has had so far. NULL: records have all
     * columns. */
    void (*unseen)(const decoder *decoder, infer_lacking_fn *tell, void *context);
    /* Adds what a record shows of the columns; `first` of its file. NULL: columns are declared. */
    freshet_code (*infer)(infer *infer, const format_options *options, const char *record,
                          size_t length, bool first, const char *at, freshet_error *err);

    /* ---- whole files: all of these, and no decode, or none ---- */

    /* The columns of one file; those without a type in it are type_unknown (widen.h). */
    freshet_code (*describe_file)(decoder *decoder, const char *path, arena *arena, schema *out,
                                  freshet_error *err);
    freshet_code (*start)(decoder *decoder, const char *path, int64_t first, freshet_error *err);
    /* As scan_read. */
    freshet_code (*read)(decoder *decoder, batch *into, uint32_t max_rows, const scan_place *where,
                         rejects *rejects, int64_t *next, freshet_error *err);
};

struct decoder {
    const format *format;
    const format_options *options;
    const schema *schema;
    const bool *used; /* NULL: all */
    /* columns that the records do not say, but the file's folders (hive.h): as if they were not in
     * the schema, and not among `used`; NULL: none */
    const bool *elsewhere;
    bool cast_error_null;
    bool reads_ahead;    /* of whole files: in a thread (scan.h) */
    bool of_messages;    /* each record is a message of its own, and not cut from a file */
    bool wants_header;   /* set by open */
    reason_code refused; /* why the record is bad for which decode has given FRESHET_SKIP_ROW */
    batch *into;
    /* set by `header` and `start`: the used columns that this file lacks, as "a, b"; null in all of
     * its rows */
    text_buffer missing;
    /* per column, the file that its type is from, of formats of files; NULL: it is declared */
    const char *const *said_by;
};

#define FORMAT_DECLARE(NAME) extern const format format_##NAME;
FORMATS(FORMAT_DECLARE)
#undef FORMAT_DECLARE

/* "auto" and all formats; the formats of records. */
extern const char *const format_file_names[];
extern const char *const format_message_names[];

const format *format_of_file(int choice); /* NULL: auto */
const format *format_of_message(int choice);

/* The format that a path's ending says, ".gz" behind it or not; NULL where it says none. */
const format *format_of_path(const char *path);

/* Checks the options of a chosen format; NULL: of one that is not known yet. */
void format_check(const format *format, const format_options *options, struct problems *problems);
freshet_code format_describe(const format *format, const format_options *options, const char *name,
                             arena *arena, schema *out, freshet_error *err);

/* `value: {format: json, ...}`: the block of a message's value or key. */
extern const block_kind format_message_block;

/* The error that no column of `there` has that name, which tells those it has but one (NULL:
 * all). */
freshet_code format_no_column(const schema *there, const char *but, const char *name,
                              const char *at, const char *no_column, const char *others,
                              freshet_error *err);

/* Allocates and opens what `like` says (format, options, schema, used, ...), all of which must
 * outlive it.
 * *out is closed by decoder_close; NULL is fine. */
freshet_code decoder_open(const decoder *like, decoder **out, freshet_error *err);
void decoder_close(decoder *decoder);

/* The batch that the next records go to. */
void decoder_begin(decoder *decoder, batch *into);

static inline freshet_code decoder_decode(decoder *decoder, const char *bytes, size_t length,
                                          freshet_error *err)
{
    decoder->refused = REASON_BAD_RECORD;
    return decoder->format->decode(decoder, bytes, length, err);
}

#endif
