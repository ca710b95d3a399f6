/* history.h - the writer `history`: every feature row, in Parquet files by day (docs/guide/history.md). */
#ifndef FRESHET_WRITERS_HISTORY_HISTORY_H
#define FRESHET_WRITERS_HISTORY_HISTORY_H

#include "writers/writer.h"

/* Rows of one file at most, whatever is declared: one batch. */
#define HISTORY_FILE_ROWS_MAX BATCH_ROWS_MAX

extern const writer_ops history_writer_ops;

#endif
