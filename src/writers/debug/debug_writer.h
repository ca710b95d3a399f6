/* debug_writer.h - the writer `online` in debug mode. */
#ifndef FRESHET_WRITERS_DEBUG_DEBUG_WRITER_H
#define FRESHET_WRITERS_DEBUG_DEBUG_WRITER_H

#include "writers/writer.h"

/* It gathers at most so many rows, a multiple of the loop's micro-batch: enough to be appended to
 * the table in one piece. DuckDB copies what is less than a group of its rows (122,880) twice, once
 * into the transaction and once into the table, and moves what is more. */
#define GATHER_ROWS_BITS 17u
#define GATHER_ROWS (1u << GATHER_ROWS_BITS)
#define GATHER_BYTES_MAX ((size_t)64 << 20)

extern const writer_ops debug_writer_ops;

#endif
