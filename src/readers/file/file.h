/* file.h - the reader `file`: files of any format, from a file, a folder or a pattern.
 *
 * A batch reads what is there at open; a stream follows: new files, and what is appended to lines
 * of old ones. Each file is a partition, known again by what it is rather than by its name. Calls
 * and their order are those of readers/reader.h; file_internal.h has how it works.
 */
#ifndef FRESHET_READERS_FILE_FILE_H
#define FRESHET_READERS_FILE_FILE_H

#include "formats/format.h"
#include "readers/file/file_list.h"
#include "readers/reader.h"

typedef enum file_compression {
    COMPRESSION_AUTO,
    COMPRESSION_NONE,
    COMPRESSION_GZIP
} file_compression;

typedef enum file_on_bad { ON_BAD_FILE_FAIL, ON_BAD_FILE_SKIP } file_on_bad;

typedef struct file_options {
    declared_text path;
    format_options format;
    int64_t max_record_bytes;
    int compression; /* enum file_compression */
    int order;       /* enum list_order */
    int on_bad_file; /* enum file_on_bad */
} file_options;

#define FILE_RECORD_BYTES_DEFAULT ((int64_t)16 << 20)
#define FILE_RECORD_BYTES_MAX ((int64_t)1 << 30)

extern const reader_ops file_reader_ops;

#endif
