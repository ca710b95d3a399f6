/* debug.h - the debug table: feature rows appended in memory, queried by SQL while they come.
 *
 * The table `online_feature_store__<feature set>` gets every row in order; the view `..._latest`
 * holds the newest row of each key: by event time, of equal times the later arrival; or, where rows
 * have write timestamps, by these. The view `..._new` holds each row once, as
 * it first was. The table keeps at most `rows` rows (default 1,000,000): the
 * oldest go first. The engine is locked: queries are read-only and reach neither files nor network.
 */
#ifndef FRESHET_WRITERS_DEBUG_DEBUG_H
#define FRESHET_WRITERS_DEBUG_DEBUG_H

#include "writers/writer.h"

typedef struct debug_table debug_table;

typedef struct debug_options {
    int64_t rows;   /* the limit of the table; >= 1 */
    int64_t memory; /* of the rows in bytes, and once more of all queries together */
    /* The schema's last columns are two that no query sees. A bigint, the row's write timestamp;
     * null where the row was not its key's newest when it was made, and is none in `..._latest`.
     * And a boolean: the row came before, and is none in `..._new`. */
    bool has_write_times;
} debug_options;

freshet_code debug_open(const char *feature_set, const schema *schema, uint32_t n_keys,
                        const debug_options *options, debug_table **out, freshet_error *err);
/* Appends one micro-batch, visible to queries as a whole at once. The pipeline's thread.
 * FRESHET_LIMIT where it alone takes more than the table's memory. */
freshet_code debug_append(debug_table *table, const batch *rows, freshet_error *err);
/* Any thread. */
int64_t debug_rows(const debug_table *table);
int64_t debug_trimmed(const debug_table *table);
/* Behind freshet_query(); any thread, several at once. */
freshet_code debug_query(debug_table *table, const char *sql, const freshet_query_options *options,
                         freshet_result **out, freshet_error *err);
/* Ends running queries and waits for them. */
void debug_close(debug_table *table);

#endif
