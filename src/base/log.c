/* log.c - see log.h. One mutex guards all but the level; nothing waits under it.
 *
 * A line is made of its event's form by walking the form's conversions once more (log_fields.h),
 * and is put behind those that wait; pump() writes what stderr takes now, in pieces of PIPE_BUF,
 * which a pipe that poll(2) calls ready takes as a whole.
 */
#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log_fields.h"
#include "base/os.h"

#define LOG_LINE_MAX 4096
#define AT_MAX 256
#define NAME_MAX_BYTES 256
#define LAST_MAX 256 /* of the last message that was left out */

#define LOG_EVENT_ROW(NAME, LEVEL, WHO, FORM, FIELDS, MORE) \
    [EVENT_##NAME] = {#NAME, LOG_##LEVEL, WHO_##WHO, FORM, FIELDS, MORE},
static const log_row table[N_LOG_EVENTS] = {LOG_EVENTS(LOG_EVENT_ROW)};

/* How often an event came of late. */
typedef struct repeats {
    int64_t since_us;
    uint32_t said;
    uint64_t left_out;
    char who[NAME_MAX_BYTES], last[LAST_MAX];
} repeats;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int least_level = LOG_INFO;
static atomic_bool level_changed;
static log_format line_format = LOG_TEXT;
static char about_pipeline[NAME_MAX_BYTES], about_set[NAME_MAX_BYTES];
static void (*line_hook)(void *context, const char *line);
static void *hook_context;
static repeats repeated[N_LOG_EVENTS];
static uint32_t n_repeating;   /* events of which something was left out */
static text_buffer waiting;    /* whole lines, but for the beginning of the first, which is out */
static pid_t waiting_of;       /* the process that they are of: a copy of it has none */
static atomic_ullong n_lost;   /* lines */
static atomic_bool is_pending; /* log_settle has something to do */

/* One message on its way. */
typedef struct message {
    log_event event;
    log_level level;
    const char *who, *at;
    const char *sentence;
    const text_buffer *fields; /* as JSON, each with a comma before it */
} message;

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void log_configure(log_level least, log_format format)
{
    pthread_mutex_lock(&lock);
    atomic_store(&least_level, (int)least);
    line_format = format;
    pthread_mutex_unlock(&lock);
}

void log_about(const char *pipeline, const char *feature_set)
{
    pthread_mutex_lock(&lock);
    snprintf(about_pipeline, sizeof about_pipeline, "%s", pipeline);
    snprintf(about_set, sizeof about_set, "%s", feature_set);
    pthread_mutex_unlock(&lock);
}

static void change_level(int by)
{
    int now = atomic_load(&least_level);
    int then;
    do {
        then = now + by < (int)LOG_DEBUG ? (int)LOG_DEBUG : now + by;
        then = then > (int)LOG_ERROR ? (int)LOG_ERROR : then;
    } while (!atomic_compare_exchange_weak(&least_level, &now, then));
    atomic_store(&level_changed, true);
    atomic_store(&is_pending, true);
}

void log_more(void)
{
    change_level(-1);
}

void log_less(void)
{
    change_level(1);
}

void log_hook(void (*hook)(void *context, const char *line), void *context)
{
    pthread_mutex_lock(&lock);
    line_hook = hook;
    hook_context = context;
    pthread_mutex_unlock(&lock);
}

/* ---- out ------------------------------------------------------------------------------------- */

static uint64_t count_lines(const text_buffer *lines)
{
    uint64_t n = 0;
    for (size_t i = 0; i < lines->length; i++)
        n += lines->bytes[i] == '\n';
    return n;
}

/* Writes what stderr takes within the time; the rest waits on. Where nobody is left to read it, it
 * is lost. */
static void pump(int64_t until_us)
{
    size_t done = 0;
    while (done < waiting.length) {
        const int64_t left_us = until_us - os.monotonic_us();
        struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
        if (os.poll(&fd, 1, left_us > 0 ? (int)((left_us + 999) / 1000) : 0) <= 0)
            break;
        const size_t rest = waiting.length - done;
        const ssize_t n =
            os.write(STDERR_FILENO, waiting.bytes + done, rest < PIPE_BUF ? rest : PIPE_BUF);
        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && (errno == EPIPE || errno == EBADF)) {
            atomic_fetch_add(&n_lost, count_lines(&waiting));
            done = waiting.length;
        } else if (n == 0 || errno != EINTR) {
            break; /* a full disk: later */
        }
    }
    if (done == waiting.length) {
        text_release(&waiting);
        text_init(&waiting, LOG_WAITING_MAX);
    } else if (done > 0) {
        memmove(waiting.bytes, waiting.bytes + done, waiting.length - done);
        waiting.length -= done;
    }
}

static void note_pending(void)
{
    atomic_store(&is_pending, waiting.length > 0 || n_repeating > 0 ||
                                  atomic_load(&level_changed) || atomic_load(&n_lost) > 0);
}

static void log_put_line(const text_buffer *line)
{
    if (line->failed)
        return;
    if (line_hook != NULL) {
        line_hook(hook_context, line->bytes);
        return;
    }
    if (waiting_of != getpid()) {
        text_release(&waiting);
        text_init(&waiting, LOG_WAITING_MAX);
        waiting_of = getpid();
    }
    if (waiting.length + line->length >= LOG_WAITING_MAX ||
        !text_append(&waiting, line->bytes, line->length))
        atomic_fetch_add(&n_lost, 1);
    pump(0);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void append_named(text_buffer *line, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    text_format(line, ",\"%s\":", name);
    text_append_json(line, value, strlen(value));
}

static void make_json(text_buffer *line, const message *message)
{
    const log_row *row = &table[message->event];
    text_append_c(line, "{\"at\":\"");
    text_append_timestamp(line, os.now_us());
    text_format(line, "\",\"level\":\"%s\",\"event\":\"", level_names[message->level]);
    log_append_name(row->name, line);
    text_append_char(line, '"');
    append_named(line, "pipeline", about_pipeline);
    append_named(line, "feature_set", about_set);
    const char *whose = log_who_name(row->who);
    if (whose != NULL && (row->who != WHO_PIPELINE || about_pipeline[0] == '\0'))
        append_named(line, whose, message->who);
    append_named(line, "place", message->at);
    if (message->fields != NULL && message->fields->length > 0)
        text_append(line, message->fields->bytes, message->fields->length);
    char whole[LOG_LINE_MAX + AT_MAX];
    snprintf(whole, sizeof whole, "%.*s%s%s", AT_MAX - 3, message->at == NULL ? "" : message->at,
             message->at == NULL ? "" : ": ", message->sentence);
    text_append_c(line, ",\"message\":");
    text_append_json(line, whole, strlen(whole));
    text_append_c(line, "}\n");
}

static void make_text(text_buffer *line, const message *message)
{
    text_format(line, "%s: ", message->at == NULL ? "freshet" : message->at);
    if (message->level != LOG_INFO)
        text_format(line, "%s: ", level_names[message->level]);
    if (message->who != NULL && message->who[0] != '\0')
        text_format(line, "%s: ", message->who);
    text_append_c(line, message->sentence);
    text_append_char(line, '\n');
}

static void say(const message *message)
{
    text_buffer line;
    text_init(&line, TEXT_LIMIT_DEFAULT);
    if (line_format == LOG_JSON)
        make_json(&line, message);
    else
        make_text(&line, message);
    log_put_line(&line);
    text_release(&line);
}

/* An event of the log's own, with one field. */
static void say_own(log_event event, const char *name, const char *value, const char *sentence)
{
    text_buffer fields;
    text_init(&fields, 1024);
    text_format(&fields, ",\"%s\":%s", name, value);
    say(&(message){
        .event = event, .level = table[event].level, .sentence = sentence, .fields = &fields});
    text_release(&fields);
}

/* ---- repeats --------------------------------------------------------------------------------- */

/* Of the event's span that is over: how many more there were. */
static void end_span(log_event event, int64_t now_us)
{
    repeats *of = &repeated[event];
    if (of->left_out > 0) {
        char sentence[LAST_MAX + 100];
        text_buffer fields;
        const unsigned long long seconds = (unsigned long long)((now_us - of->since_us) / 1000000);
        snprintf(sentence, sizeof sentence,
                 "\xe2\x80\xa6 %llu more of these in %llu s; the last: %s",
                 (unsigned long long)of->left_out, seconds, of->last);
        text_init(&fields, 1024);
        text_format(&fields, ",\"more\":%llu,\"seconds\":%llu", (unsigned long long)of->left_out,
                    seconds);
        say(&(message){.event = event,
                       .level = table[event].level,
                       .who = of->who,
                       .sentence = sentence,
                       .fields = &fields});
        text_release(&fields);
        n_repeating--;
    }
    of->left_out = 0;
    of->said = 0;
    of->since_us = now_us;
}

/* Is the message one too many? Then it is counted. */
static bool is_left_out(const message *message)
{
    repeats *of = &repeated[message->event];
    if (message->level == LOG_DEBUG || message->level == LOG_ERROR || message->at != NULL)
        return false;
    const int64_t now_us = os.monotonic_us();
    if (of->said == 0 || now_us - of->since_us >= LOG_SPAN_US)
        end_span(message->event, now_us);
    if (of->said < LOG_BURST) {
        of->said++;
        return false;
    }
    n_repeating += of->left_out == 0;
    of->left_out++;
    snprintf(of->who, sizeof of->who, "%s", message->who == NULL ? "" : message->who);
    snprintf(of->last, sizeof of->last, "%s", message->sentence);
    of->last[text_valid_length(of->last, strlen(of->last))] = '\0'; /* no half characters */
    return true;
}

static void say_due(bool ends)
{
    char value[64], sentence[200];
    const int64_t now_us = os.monotonic_us();
    if (atomic_exchange(&level_changed, false)) {
        const char *name = level_names[atomic_load(&least_level)];
        snprintf(value, sizeof value, "\"%s\"", name);
        snprintf(sentence, sizeof sentence, LOG_FORM_LOG_LEVEL, name);
        say_own(EVENT_LOG_LEVEL, "tells", value, sentence);
    }
    for (uint32_t i = 0; n_repeating > 0 && i < N_LOG_EVENTS; i++)
        if (repeated[i].left_out > 0 && (ends || now_us - repeated[i].since_us >= LOG_SPAN_US))
            end_span((log_event)i, now_us);
    pump(ends ? now_us + LOG_END_US : 0);
    const unsigned long long lost = waiting.length > 0 ? 0 : atomic_exchange(&n_lost, 0);
    if (lost == 0)
        return;
    snprintf(value, sizeof value, "%llu", lost);
    snprintf(sentence, sizeof sentence, LOG_FORM_LOG_LOST, lost);
    say_own(EVENT_LOG_LOST, "messages", value, sentence);
    if (atomic_load(&n_lost) > 0) /* nor this one */
        atomic_store(&n_lost, lost);
}

void log_settle(bool ends)
{
    if (!atomic_load(&is_pending))
        return;
    pthread_mutex_lock(&lock);
    say_due(ends);
    note_pending();
    pthread_mutex_unlock(&lock);
}

/* ---- telling --------------------------------------------------------------------------------- */

static void tell(message *message)
{
    pthread_mutex_lock(&lock);
    if ((int)message->level >= atomic_load(&least_level) && !is_left_out(message)) {
        if (atomic_load(&is_pending))
            say_due(false);
        say(message);
    }
    note_pending();
    pthread_mutex_unlock(&lock);
}

/* Nothing is made that is not said. */
static bool is_of_interest(log_level level)
{
    return (int)level >= atomic_load(&least_level);
}

static void tell_form(message *message, const char *form, va_list args)
{
    char sentence[LOG_LINE_MAX];
    text_buffer fields;
    va_list again;
    va_copy(again, args);
    vsnprintf(sentence, sizeof sentence, form, args);
    text_init(&fields, TEXT_LIMIT_DEFAULT);
    log_append_fields(form, table[message->event].fields, again, &fields);
    va_end(again);
    message->sentence = sentence;
    message->fields = &fields;
    tell(message);
    text_release(&fields);
}

void log_tell(log_event event, const char *form, const char *who, ...)
{
    message message = {.event = event, .level = table[event].level, .who = who};
    va_list args;
    va_start(args, who);
    if (is_of_interest(message.level))
        tell_form(&message, form, args);
    va_end(args);
}

void log_tell_at(log_event event, const char *form, const char *at, ...)
{
    message message = {.event = event, .level = table[event].level, .at = at};
    va_list args;
    va_start(args, at);
    if (is_of_interest(message.level))
        tell_form(&message, form, args);
    va_end(args);
}

void log_event_more(log_event event, const char *who, const int64_t *numbers, const char *sentence)
{
    message message = {
        .event = event, .level = table[event].level, .who = who, .sentence = sentence};
    text_buffer fields;
    text_init(&fields, TEXT_LIMIT_DEFAULT);
    log_append_numbers(table[event].more, numbers, &fields);
    message.fields = &fields;
    tell(&message);
    text_release(&fields);
}

void log_say(log_level level, const char *who, const char *format, ...)
{
    message message = {.event = EVENT_OTHER, .level = level, .who = who};
    va_list args;
    va_start(args, format);
    if (is_of_interest(level)) {
        char sentence[LOG_LINE_MAX];
        vsnprintf(sentence, sizeof sentence, format, args);
        message.sentence = sentence;
        tell(&message);
    }
    va_end(args);
}

void log_describe(text_buffer *into)
{
    text_append_c(into, "| event | level | fields | says |\n|---|---|---|---|\n");
    for (uint32_t i = 0; i < N_LOG_EVENTS; i++)
        log_describe_row(&table[i], level_names[table[i].level], into);
}
