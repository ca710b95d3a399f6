/* scan.h - rows of a Parquet file or of a DuckDB table, by an SQL engine that only we speak to.
 *
 * A scan selects the used columns of a schema from a relation (`read_parquet('...')`, an attached
 * table), converted to the schema's types where the relation has others, as long as no digit is
 * lost (convert.h). A value that does not fit makes its row a bad one, or, with cast_error_null, is
 * a null. Rows are copied: what scan_read has given lives in the batch's arena.
 *
 * Order of calls: scan_open, then scan_execute (ATTACH), scan_describe, or scan_start and scan_read
 * until FRESHET_END, again and again; scan_close. One thread at a time.
 */
#ifndef FRESHET_FORMATS_SCAN_H
#define FRESHET_FORMATS_SCAN_H

#include "base/batch.h"
#include "base/text.h"

typedef struct scan scan;

freshet_code scan_open(scan **out, freshet_error *err);
void scan_close(scan *scan);

freshet_code scan_execute(scan *scan, const char *sql, freshet_error *err);

/* The rows of a query, in the arena; their long texts live until the next query. */
freshet_code scan_query(scan *scan, const char *sql, arena *arena, batch *out, freshet_error *err);

/* The relation's columns. Types that Freshet does not have become strings. */
freshet_code scan_describe(scan *scan, const char *relation, arena *arena, schema *out,
                           freshet_error *err);

typedef struct scan_options {
    const char *relation;
    const char *row_number; /* its column that counts rows from 0; NULL: their order counts */
    int64_t first;          /* the row to begin with */
    const schema *schema;
    const bool *used; /* NULL: all */
    bool cast_error_null;
    bool reads_ahead; /* in a thread of its own, while what came before is worked on */
    const char *at;   /* what messages call the relation */
    /* Columns that the relation has not are null, and their names are added here, as "a, b"; it is
     * an error that it has none of those that are used. NULL: it is an error that one is missing */
    text_buffer *missing;
    /* per column, whether its timestamps were nanoseconds in the file, of which the greatest and
     * the least came as infinities; NULL: none were. Needed until scan_start is done */
    const bool *nanos;
    /* per column, what says its type, for messages ("in/a.parquet has it so"); NULL, or NULL for
     * one: it is declared */
    const char *const *said_by;
} scan_options;

/* Ends the scan that was started, if any: before other queries, where it may read ahead. */
void scan_stop(scan *scan);

freshet_code scan_start(scan *scan, const scan_options *options, freshet_error *err);

/* Appends at most max_rows rows to `into`, with origins of `where` (reader, partition name,
 * partition index in `origin`). *next is the number of the row that comes next. FRESHET_END:
 * that was all. */
typedef struct scan_place {
    const char *reader;
    const char *label;
    uint32_t partition;
} scan_place;

freshet_code scan_read(scan *scan, batch *into, uint32_t max_rows, const scan_place *where,
                       rejects *rejects, int64_t *next, freshet_error *err);

/* The relation that is one Parquet file, with the column file_row_number or without; in the
 * arena. */
const char *scan_parquet(arena *arena, const char *path, bool row_number);

#endif
