/* decoder.h - the contract between a reader of messages and a format: bytes into columns.
 *
 * A message (the value, or the key, of a Kafka record) holds exactly one row. A format is one file with
 * one struct of operations; adding one touches one line of decoder.c. Formats that come with a registry of
 * schemas (Avro, Protobuf) find their place here: open() may connect, and decode() may answer
 * FRESHET_RETRY while a schema is being fetched.
 *
 * The decoder writes the columns of its own schema, which the caller aliases into a wider batch: `into` has
 * the columns, n_rows is the row to fill, and decode() leaves n_rows as it is (the caller counts rows, since a
 * message has two parts). Columns with used[i] false are left null.
 *
 * Order of calls: open, then per batch begin and any number of decode, close. One thread at a time.
 */
#ifndef FRESHET_FORMATS_DECODER_H
#define FRESHET_FORMATS_DECODER_H

#include "base/batch.h"
#include "declaration/option.h"

struct problems;

typedef struct decoder decoder;

/* `value: {format: json, schema: {...}, ...}`: what is declared of a message's value or key. */
typedef struct decoder_options {
    int format; /* index into the table of decoder.c */
    declared_schema schema;
    bool strict;             /* json: a field that is missing, or not in the schema, is refused */
    declared_type type;      /* raw: string (default) or binary */
    declared_text delimiter; /* csv */
    declared_text null_text; /* csv */
} decoder_options;

extern const block_kind decoder_block;

typedef struct decoder_ops {
    const char *name; /* json, raw, csv */
    size_t size;      /* of the decoder's own struct, which begins with struct decoder */

    /* Adds what these options lack or have too much for the format. */
    void (*check)(const decoder_options *options, const place *at, struct problems *problems);
    /* The columns that it gives; `name` is the column of a format with only one (raw: "value", "key"). */
    freshet_code (*describe)(const decoder_options *options, const char *name, arena *arena,
                             schema *out, freshet_error *err);
    freshet_code (*open)(decoder *decoder, freshet_error *err);
    /* `into` stays where it is until the next begin; its columns may move. */
    void (*begin)(decoder *decoder, batch *into);
    /* Row into->n_rows from these bytes, which outlive the batch; long texts may point into them. An error with
     * FRESHET_SKIP_ROW says why the message is bad; the row's cells are then to be overwritten. */
    freshet_code (*decode)(decoder *decoder, const char *bytes, size_t length, freshet_error *err);
    void (*close)(decoder *decoder);
} decoder_ops;

struct decoder {
    const decoder_ops *ops;
    const decoder_options *options;
    const schema *schema;
    const bool *used; /* NULL: all */
    bool cast_error_null;
};

const decoder_ops *decoder_of(const decoder_options *options);

/* True where the format has named columns, as JSON and CSV have; false where it has a single one. */
bool decoder_has_fields(const decoder_options *options);

/* Allocates and opens; *out is closed by decoder_close (NULL is fine). Options, schema and `used`
 * must outlive it. */
freshet_code decoder_open(const decoder_options *options, const schema *schema, const bool *used,
                          bool cast_error_null, decoder **out, freshet_error *err);
void decoder_close(decoder *decoder);

#endif
