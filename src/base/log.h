/* log.h - what the process says to its operator, on stderr: text or JSON lines.
 *
 * Every message is one complete sentence, of an event of the table in log_events.h. As JSON a line
 * has the event's name and its fields by their types beside the sentence. Any thread may call.
 *
 * Nobody is held up: what stderr does not take at once waits, LOG_WAITING_MAX bytes of it at most;
 * what comes then is lost, and counted (LOG_LOST). Where the reader has gone, or the disk is full,
 * it is the same. A line is never mixed with another.
 *
 * An event that comes often is said LOG_BURST times in LOG_SPAN_US; the others of that time are one
 * line at its end, with their number and the last of them. Errors, debug messages, and those about
 * a place in a declaration are always said.
 *
 * While a live view owns the terminal, lines go through the hook, which clears the view, prints the
 * line and lets the view come back.
 */
#ifndef FRESHET_BASE_LOG_H
#define FRESHET_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log_events.h"
#include "base/text.h"

#define LOG_BURST 20u
#define LOG_SPAN_US INT64_C(10000000)
#define LOG_WAITING_MAX ((size_t)256 << 10)
#define LOG_END_US INT64_C(1000000) /* so long log_settle waits at the end */

typedef enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR } log_level;
typedef enum log_format { LOG_TEXT, LOG_JSON } log_format;

#define LOG_EVENT_NUMBER(NAME, LEVEL, WHO, FORM, FIELDS, MORE) EVENT_##NAME,
typedef enum log_event { LOG_EVENTS(LOG_EVENT_NUMBER) N_LOG_EVENTS } log_event;
#undef LOG_EVENT_NUMBER

/* The compiler checks the arguments of each call by these. */
#define LOG_EVENT_FORM(NAME, LEVEL, WHO, FORM, FIELDS, MORE) \
    static const char LOG_FORM_##NAME[] = FORM;
LOG_EVENTS(LOG_EVENT_FORM)
#undef LOG_EVENT_FORM

void log_configure(log_level least, log_format format);

/* Each line of JSON has them from now on; both are copied. */
void log_about(const char *pipeline, const char *feature_set);

/* From now on more, or less, is said: a level. Safe in signal handlers. */
void log_more(void);
void log_less(void);

/* log_event(FILE_GONE, reader_id, path): an event, whom it is about (or NULL), the form's
 * arguments. */
#define log_event(NAME, ...) log_tell(EVENT_##NAME, LOG_FORM_##NAME, __VA_ARGS__)
void log_tell(log_event event, const char *form, const char *who, ...)
    __attribute__((format(printf, 2, 4)));

/* The same of a place in a file (or NULL), as problems of a declaration are printed:
 * "x.yaml:14:9: warning: ...". */
#define log_event_at(NAME, ...) log_tell_at(EVENT_##NAME, LOG_FORM_##NAME, __VA_ARGS__)
void log_tell_at(log_event event, const char *form, const char *at, ...)
    __attribute__((format(printf, 2, 4)));

/* With the numbers of the table's last column, in its order; INT64_MIN is null. */
void log_event_more(log_event event, const char *who, const int64_t *numbers, const char *sentence);

/* The event OTHER, of code whose messages are not in the table yet. */
void log_say(log_level level, const char *who, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Says what is due: counts of what was left out, what waited for stderr. Now and then; cheap.
 * `ends`: all of it, for LOG_END_US at most. */
void log_settle(bool ends);

/* The table of events, as Markdown. */
void log_describe(text_buffer *into);

/* A function that gets each finished line instead of stderr; NULL to end. */
void log_hook(void (*hook)(void *context, const char *line), void *context);

#endif
