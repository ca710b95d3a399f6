/* online.h - the writer `online`: in this version the debug table only. */
#ifndef FRESHET_WRITERS_ONLINE_H
#define FRESHET_WRITERS_ONLINE_H

#include "writers/debug.h"
#include "writers/writer.h"

extern const writer_ops online_writer_ops;

/* The table of an open online writer, for queries. */
debug_table *online_debug_table(freshet_writer *writer);

/* For `--debug`: the options of a declared online writer (NULL: the defaults) with debug on; in the
 * arena, NULL where memory is out. */
const void *online_debug_options(arena *arena, const void *declared);

#endif
