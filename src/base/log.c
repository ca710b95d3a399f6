/* log.c - see log.h. One mutex guards the settings and the order of lines. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/os.h"
#include "base/text.h"

#define LOG_LINE_MAX 4096
#define AT_MAX 256

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static log_level least_level = LOG_INFO;
static log_format line_format = LOG_TEXT;
static void (*line_hook)(void *context, const char *line);
static void *hook_context;

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void log_configure(log_level least, log_format format)
{
    pthread_mutex_lock(&lock);
    least_level = least;
    line_format = format;
    pthread_mutex_unlock(&lock);
}

void log_hook(void (*hook)(void *context, const char *line), void *context)
{
    pthread_mutex_lock(&lock);
    line_hook = hook;
    hook_context = context;
    pthread_mutex_unlock(&lock);
}

static void make_line(text_buffer *line, log_level level, const char *who, const char *at,
                      const char *message)
{
    if (line_format == LOG_JSON) {
        text_append_c(line, "{\"at\":\"");
        text_append_timestamp(line, os.now_us());
        text_format(line, "\",\"level\":\"%s\"", level_names[level]);
        if (who != NULL) {
            text_append_c(line, ",\"who\":");
            text_append_json(line, who, strlen(who));
        }
        char whole[LOG_LINE_MAX + AT_MAX];
        snprintf(whole, sizeof whole, "%.*s%s%s", AT_MAX - 3, at == NULL ? "" : at,
                 at == NULL ? "" : ": ", message);
        text_append_c(line, ",\"message\":");
        text_append_json(line, whole, strlen(whole));
        text_append_c(line, "}\n");
        return;
    }
    text_format(line, "%s: ", at == NULL ? "freshet" : at);
    if (level != LOG_INFO)
        text_format(line, "%s: ", level_names[level]);
    if (who != NULL)
        text_format(line, "%s: ", who);
    text_append_c(line, message);
    text_append_char(line, '\n');
}

static void say_line(log_level level, const char *who, const char *at, const char *format,
                     va_list args)
{
    char message[LOG_LINE_MAX];
    text_buffer line;
    vsnprintf(message, sizeof message, format, args);
    text_init(&line, TEXT_LIMIT_DEFAULT);
    pthread_mutex_lock(&lock);
    if (level >= least_level) {
        make_line(&line, level, who, at, message);
        if (line_hook != NULL && !line.failed)
            line_hook(hook_context, line.bytes);
        else if (!line.failed)
            (void)durable_write(STDERR_FILENO, line.bytes,
                                line.length); /* or nobody is left to tell */
    }
    pthread_mutex_unlock(&lock);
    text_release(&line);
}

void log_say(log_level level, const char *who, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say_line(level, who, NULL, format, args);
    va_end(args);
}

void log_say_at(log_level level, const char *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say_line(level, NULL, at, format, args);
    va_end(args);
}
