/* history_columns.h - do the files of a history have the columns that are to be written?
 *
 * Butterfree's SparkTableSchemaCompatibilityHook. Readers take the folder as one table: a column
 * that is of another type in other files makes most of them fail, or guess. One that some files
 * lack is null there, which is said once.
 *
 * Looked at is the newest file, of the last day that has one.
 */
#ifndef FRESHET_WRITERS_HISTORY_HISTORY_COLUMNS_H
#define FRESHET_WRITERS_HISTORY_HISTORY_COLUMNS_H

#include "writers/history/history_folder.h"
#include "writers/history/parquet_file.h"

/* FRESHET_BAD_DECLARATION where a type differs: with each difference, and what to do. `written` (n
 * of them) are files whose partitions are replaced as a whole: they do not count. warns_only: all
 * differences are warnings. */
typedef struct history_columns {
    const char *path; /* of the folder */
    parquet_writer *parquet;
    const char *const *written;
    uint32_t n_written;
    const char *at; /* the writer's place, for the error */
    bool warns_only;
    bool is_again; /* what some files lack was said before */
} history_columns;

freshet_code history_columns_check(const history_columns *check, freshet_error *err);

#endif
