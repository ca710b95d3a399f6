/* file.h - the reader `file`: JSON lines, CSV and Parquet, from a file, a folder or a pattern. */
#ifndef FRESHET_READERS_FILE_FILE_H
#define FRESHET_READERS_FILE_FILE_H

#include "readers/reader.h"

typedef enum file_format { FORMAT_AUTO, FORMAT_JSON, FORMAT_CSV, FORMAT_PARQUET } file_format;
typedef enum file_compression {
    COMPRESSION_AUTO,
    COMPRESSION_NONE,
    COMPRESSION_GZIP
} file_compression;

typedef struct file_options {
    declared_text path;
    int format; /* enum file_format */
    declared_schema schema;
    bool header;
    declared_text delimiter;
    declared_text null_text;
    int64_t max_record_bytes;
    int compression; /* enum file_compression */
} file_options;

#define FILE_RECORD_BYTES_DEFAULT ((int64_t)16 << 20)
#define FILE_RECORD_BYTES_MAX ((int64_t)1 << 30)

extern const reader_ops file_reader_ops;

/* The format that a path's ending says (.jsonl, .csv.gz ...); FORMAT_AUTO where it says none. */
file_format file_format_of(const char *path);

#endif
