/* file_input.h - the reader `file` with `path: "-"`: records from standard input.
 *
 * One partition, whose offsets count the bytes of this run's input. What was read cannot be read
 * again: so the columns must be declared, formats of whole files and gzip are refused, and a run
 * begins with what it is given, wherever the one before ended. The end of the input ends the
 * reader, of a stream, too. Its calls are those of readers/reader.h.
 */
#ifndef FRESHET_READERS_FILE_FILE_INPUT_H
#define FRESHET_READERS_FILE_FILE_INPUT_H

#include "readers/reader.h"

#define FILE_INPUT_PATH "-"
#define FILE_INPUT_LABEL "stdin" /* in messages and dead letters */

extern const reader_ops file_input_ops;

#endif
