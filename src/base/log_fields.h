/* log_fields.h - fields of log messages, by the form of their sentences. For log.c only. */
#ifndef FRESHET_BASE_LOG_FIELDS_H
#define FRESHET_BASE_LOG_FIELDS_H

#include <stdarg.h>

#include "base/log.h"

/* Whom the first argument of a message names. */
typedef enum log_who {
    WHO_NONE,
    WHO_PIPELINE,
    WHO_READER,
    WHO_WRITER,
    WHO_FILE,
    WHO_FOLDER,
    WHO_TOPIC,
    WHO_VERB,
    WHO_OF, /* a reader, a writer or the run */
    WHO_WHO /* whatever it is */
} log_who;

/* A row of the table of events. */
typedef struct log_row {
    const char *name; /* in capitals */
    log_level level;
    log_who who;
    const char *form;
    const char *fields, *more;
} log_row;

/* The field's name of a `who`; NULL: it has none. */
const char *log_who_name(log_who who);

/* The event's name in small letters. */
void log_append_name(const char *name, text_buffer *into);

/* The arguments of the form by the fields' names, as JSON, a comma before each. */
void log_append_fields(const char *form, const char *fields, va_list args, text_buffer *into);

/* The same of numbers. */
void log_append_numbers(const char *names, const int64_t *numbers, text_buffer *into);

/* A row of the page of events, Markdown. */
void log_describe_row(const log_row *row, const char *level, text_buffer *into);

#endif
