/* log.h - what the process says to its operator, on stderr: text or JSON lines.
 *
 * Every message is one complete sentence. Any thread may call. A message is written by one
 * write(2), so lines of several threads never mix. While a live view owns the terminal, lines go
 * through the hook, which clears the view, prints the line and lets the view come back.
 */
#ifndef FRESHET_BASE_LOG_H
#define FRESHET_BASE_LOG_H

typedef enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR } log_level;
typedef enum log_format { LOG_TEXT, LOG_JSON } log_format;

void log_configure(log_level least, log_format format);

/* `who` is a pipeline or reader id, or NULL. */
void log_say(log_level level, const char *who, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Of a place in a file (or NULL), as problems of a declaration are printed:
 * "x.yaml:14:9: warning: ...". */
void log_say_at(log_level level, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A function that gets each finished line instead of stderr; NULL to end. */
void log_hook(void (*hook)(void *context, const char *line), void *context);

#endif
