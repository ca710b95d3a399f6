/* debug_writer.h - the writer `online` in debug mode. */
#ifndef FRESHET_WRITERS_DEBUG_DEBUG_WRITER_H
#define FRESHET_WRITERS_DEBUG_DEBUG_WRITER_H

#include "writers/writer.h"

extern const writer_ops debug_writer_ops;

#endif
