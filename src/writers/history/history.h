/* history.h - the writer `history`: every feature row, in Parquet files by day
 * (docs/guide/history.md).
 *
 * It keeps its rows by files that are published with the checkpoint (KEEPS_FILES, writer.h): write
 * gathers rows in memory, and blocks only where these are so many that they become files aside;
 * flush makes nothing visible of a batch or of a stream with checkpoints: pending and publish do.
 */
#ifndef FRESHET_WRITERS_HISTORY_HISTORY_H
#define FRESHET_WRITERS_HISTORY_HISTORY_H

#include "writers/writer.h"

/* Rows of one file at most, whatever is declared: one batch. */
#define HISTORY_FILE_ROWS_MAX BATCH_ROWS_MAX

extern const writer_ops history_writer_ops;

/* The folder of a writer of these operations, in the arena, NULL where memory is out; and whether
 * rows that events have changed since are written to it again. */
const char *history_path(const void *options, const declaration *declaration, arena *arena,
                         bool *has_corrections);

/* Does the folder fit that is there? As a stream sees it at its start (history_columns.h), but
 * nothing is opened or locked. FRESHET_END: there are no files yet. `options` of a writer of these
 * operations, at that place, with these columns; *path in the arena. */
freshet_code history_compare(const void *options, const declaration *declaration, const place *at,
                             const schema *schema, arena *arena, const char **path,
                             freshet_error *err);

#endif
