/* registry_testing.h - readers and writers for tests and fuzzing: every kind of option in one block
 * each. */
#ifndef FRESHET_DECLARATION_REGISTRY_TESTING_H
#define FRESHET_DECLARATION_REGISTRY_TESTING_H

#include "declaration/declaration.h"

typedef struct fake_retry {
    int64_t times;
    int64_t pause_us;
} fake_retry;

typedef struct fake_file {
    declared_text path;
    int format;
    declared_schema schema;
    declared_text delimiter;
    bool header;
    int64_t sample;
    int64_t poll_us;
    int64_t buffer;
    declared_list columns;
    declared_text password;
    declared_type fallback;
    bool has_retry;
    fake_retry retry;
} fake_file;

typedef struct fake_table {
    declared_text database;
    declared_text table;
} fake_table;

typedef struct fake_online {
    bool debug;
    int64_t rows;
} fake_online;

static const char *const fake_formats[] = {"auto", "json", "csv", "parquet", NULL};

static const option fake_retry_options[] = {
    {.name = "times",
     .kind = OPTION_INTEGER,
     .offset = offsetof(fake_retry, times),
     .standard = "3",
     .minimum = 1,
     .maximum = INT64_MAX,
     .doc = "How often."},
    {.name = "pause",
     .kind = OPTION_DURATION,
     .offset = offsetof(fake_retry, pause_us),
     .standard = "500 ms",
     .minimum = 1000,
     .maximum = 60000000,
     .doc = "How long between."},
    {0},
};

static const block_kind fake_retry_kind = {.name = "retry",
                                           .title = "Retry",
                                           .doc = "What to do when a file cannot be read.",
                                           .options = fake_retry_options,
                                           .size = sizeof(fake_retry)};

static const option fake_file_options[] = {
    {.name = "path",
     .kind = OPTION_TEXT,
     .offset = offsetof(fake_file, path),
     .required = true,
     .doc = "A file, a folder, or a glob.",
     .example = "data/flights"},
    {.name = "format",
     .kind = OPTION_CHOICE,
     .offset = offsetof(fake_file, format),
     .standard = "auto",
     .choices = fake_formats,
     .doc = "How it is written."},
    {.name = "schema",
     .kind = OPTION_SCHEMA,
     .offset = offsetof(fake_file, schema),
     .doc = "The columns."},
    {.name = "delimiter",
     .kind = OPTION_TEXT,
     .offset = offsetof(fake_file, delimiter),
     .standard = ",",
     .doc = "Between fields: `|`, for example."},
    {.name = "header",
     .kind = OPTION_BOOLEAN,
     .offset = offsetof(fake_file, header),
     .standard = "true",
     .doc = "The first line has the names."},
    {.name = "sample",
     .kind = OPTION_INTEGER,
     .offset = offsetof(fake_file, sample),
     .minimum = 1,
     .maximum = 1000,
     .doc = "Records to infer from."},
    {.name = "poll",
     .kind = OPTION_DURATION,
     .offset = offsetof(fake_file, poll_us),
     .standard = "1 second",
     .doc = "How often to look."},
    {.name = "buffer",
     .kind = OPTION_BYTES,
     .offset = offsetof(fake_file, buffer),
     .standard = "64 MiB",
     .minimum = 4096,
     .maximum = INT64_MAX,
     .doc = "Memory."},
    {.name = "columns",
     .kind = OPTION_TEXTS,
     .offset = offsetof(fake_file, columns),
     .doc = "Which ones."},
    {.name = "password",
     .kind = OPTION_TEXT,
     .offset = offsetof(fake_file, password),
     .secret = true,
     .doc = "Of the archive."},
    {.name = "fallback",
     .kind = OPTION_TYPE,
     .offset = offsetof(fake_file, fallback),
     .standard = "string",
     .doc = "The type where none is known."},
    {.name = "retry",
     .kind = OPTION_BLOCK,
     .offset = offsetof(fake_file, retry),
     .given_offset = offsetof(fake_file, has_retry) + 1,
     .block = &fake_retry_kind,
     .doc = "Try again."},
    {0},
};

static const block_kind fake_file_kind = {.name = "file",
                                          .title = "Reader: file",
                                          .doc = "Files.",
                                          .options = fake_file_options,
                                          .size = sizeof(fake_file)};

static const option fake_table_options[] = {
    {.name = "database",
     .kind = OPTION_TEXT,
     .offset = offsetof(fake_table, database),
     .required = true,
     .doc = "The database's file."},
    {.name = "table",
     .kind = OPTION_NAME,
     .offset = offsetof(fake_table, table),
     .required = true,
     .doc = "The table."},
    {0},
};

static const block_kind fake_table_kind = {.name = "table",
                                           .title = "Reader: table",
                                           .doc = "A table.",
                                           .options = fake_table_options,
                                           .size = sizeof(fake_table)};

static const option fake_online_options[] = {
    {.name = "debug",
     .kind = OPTION_BOOLEAN,
     .offset = offsetof(fake_online, debug),
     .standard = "false",
     .doc = "Into the debug table."},
    {.name = "rows",
     .kind = OPTION_INTEGER,
     .offset = offsetof(fake_online, rows),
     .standard = "1000000",
     .minimum = 1,
     .maximum = INT64_MAX,
     .doc = "Its limit."},
    {0},
};

static const block_kind fake_online_kind = {.name = "online",
                                            .title = "Writer: online",
                                            .doc = "The online store.",
                                            .options = fake_online_options,
                                            .size = sizeof(fake_online)};

static const option fake_nowhere_options[] = {{0}};

static const block_kind fake_nowhere_kind = {.name = "nowhere",
                                             .title = "Writer: nowhere",
                                             .doc = "Nothing is kept.",
                                             .options = fake_nowhere_options,
                                             .size = 1};

static const block_kind *const fake_readers[] = {&fake_file_kind, &fake_table_kind, NULL};
static const block_kind *const fake_writers[] = {&fake_online_kind, &fake_nowhere_kind, NULL};
static const registry fake_registry = {.readers = fake_readers, .writers = fake_writers};

#endif
