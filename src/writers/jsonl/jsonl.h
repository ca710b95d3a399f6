/* jsonl.h - the writer `jsonl`: appends rows as JSON lines to a file, a pipe or stdout. The
 * smallest: the one to copy. */
#ifndef FRESHET_WRITERS_JSONL_JSONL_H
#define FRESHET_WRITERS_JSONL_JSONL_H

#include "writers/writer.h"

extern const writer_ops jsonl_writer_ops;

#endif
