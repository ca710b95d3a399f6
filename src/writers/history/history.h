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

#endif
