/* parquet_file.h - batches as Parquet files, by DuckDB.
 *
 * The writer has an SQL engine of its own, which may write files and never sees a user's SQL. A
 * file has the columns of the schema, in their order, and the rows in theirs; times are instants in
 * UTC (Spark's `timestamp`, not its `timestamp_ntz`), in the calendar of today for all years, which
 * the file says in the words of Spark.
 *
 * Order of calls: parquet_open, parquet_write and parquet_merge for each file, parquet_close. One
 * thread at a time.
 */
#ifndef FRESHET_WRITERS_HISTORY_PARQUET_FILE_H
#define FRESHET_WRITERS_HISTORY_PARQUET_FILE_H

#include <freshet/freshet.h>

#include "base/batch.h"

typedef struct parquet_writer parquet_writer;

typedef enum parquet_compression { PARQUET_ZSTD, PARQUET_SNAPPY } parquet_compression;

/* The schema is referred to, and must outlive the writer. */
freshet_code parquet_open(const schema *schema, parquet_compression compression,
                          parquet_writer **out, freshet_error *err);
void parquet_close(parquet_writer *writer);

/* Writes the rows to a new file, in the place of one that is there, with `facts` in its metadata
 * (pairs for a struct of SQL, history_facts.h; NULL: none), and reads back from its
 * metadata that it holds so many. *has_minus_zero tells whether -0.0 is among its values, for
 * merging it. Where it fails the file is removed; a full disk gives
 * FRESHET_TRY_AGAIN with FRESHET_RETRY. Not synced. */
freshet_code parquet_write(parquet_writer *writer, const batch *rows, const char *facts,
                           const char *path, bool *has_minus_zero, freshet_error *err);

/* Writes the rows of several such files, in their order, to one; n_rows are in them, and -0.0 where
 * one of them has it. Otherwise as parquet_write; the files stay. */
freshet_code parquet_merge(parquet_writer *writer, const char *const *files, uint32_t n_files,
                           uint32_t n_rows, bool has_minus_zero, const char *facts,
                           const char *path, freshet_error *err);

/* Sorts the rows of several such files into one: by the BIGINT column `by`, and of equal ones by
 * `then`, which are the last two columns and are left out of it. More than the writer's memory has
 * room for waits in `folder`. Otherwise as parquet_merge. */
typedef struct parquet_order {
    const char *by, *then;
    const char *folder;
} parquet_order;
freshet_code parquet_sort(parquet_writer *writer, const char *const *files, uint32_t n_files,
                          int64_t n_rows, bool has_minus_zero, const parquet_order *order,
                          const char *path, freshet_error *err);

/* The columns of a file, or with NULL those that the writer makes: rows of two texts, the name and
 * the type as DuckDB has it. In `arena`. */
freshet_code parquet_describe(parquet_writer *writer, const char *path, arena *arena, batch *out,
                              freshet_error *err);

/* How many rows a file says that it has. */
freshet_code parquet_count(parquet_writer *writer, const char *path, int64_t *n_rows,
                           freshet_error *err);

#endif
