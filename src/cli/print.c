/* print.c - printing that the verbs share: errors, counts, stdout. See cli.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "cli/cli.h"

const char *const format_choices[] = {"table", "json", "csv", "line", NULL};

static int good_status; /* what FRESHET_OK becomes */

void exit_with(int status)
{
    good_status = status;
}

int exit_code(freshet_code code)
{
    switch (code) {
    case FRESHET_OK: return good_status;
    case FRESHET_FAILED:
    case FRESHET_USAGE:
    case FRESHET_BAD_DATA:
    case FRESHET_TRY_AGAIN:
    case FRESHET_BAD_DECLARATION: return (int)code;
    case FRESHET_NO_MEMORY:
    case FRESHET_LIMIT:
    case FRESHET_END: break;
    }
    return (int)FRESHET_FAILED;
}

static bool errors_to_log;

void report_errors_to_log(void)
{
    errors_to_log = true;
}

const char *const log_choices[] = {"text", "json", NULL};
const char *const log_level_choices[] = {"debug", "info", "warning", "error", NULL}; /* log_level */

void log_take(int format, int level)
{
    log_configure((log_level)level, (log_format)format);
    if (format == (int)LOG_JSON)
        report_errors_to_log();
}

static void report(log_level level, const char *word, const freshet_error *err)
{
    const bool has_place = err->at[0] != '\0';
    const char *at = has_place ? err->at : NULL;
    if (errors_to_log && level == LOG_ERROR)
        log_event_at(ERROR, at, err->text);
    else if (errors_to_log)
        log_event_at(DECLARATION_WARNS, at, err->text);
    else
        fprintf(stderr, "%s: %s: %s\n", has_place ? err->at : "freshet", word, err->text);
}

void report_error(const freshet_error *err)
{
    report(LOG_ERROR, "error", err);
}

static uint32_t n_problems;

uint32_t problems_reported(void)
{
    return n_problems;
}

void report_problem(void *context, const freshet_error *problem)
{
    (void)context;
    if (problem->code == FRESHET_OK) {
        report(LOG_WARNING, "warning", problem);
        return;
    }
    n_problems++;
    report_error(problem);
}

freshet_code load_declaration(const char *path, freshet_declaration **out, freshet_error *err)
{
    return freshet_declaration_load(path, report_problem, NULL, out, err);
}

freshet_code open_pipeline(const freshet_declaration *declaration,
                           const freshet_run_options *options, freshet_pipeline **out,
                           freshet_error *err)
{
    static const freshet_run_options to_check = {.size = sizeof to_check, .check = true};
    return freshet_pipeline_open(declaration, options == NULL ? &to_check : options, report_problem,
                                 NULL, out, err);
}

bool output_write(void *context, const char *bytes, size_t length)
{
    (void)context;
    return length == 0 || fwrite(bytes, 1, length, stdout) == length;
}

void output_format(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
}

freshet_code output_text(text_buffer *text, const char *doing, freshet_error *err)
{
    freshet_code code = text->failed ? error_memory(err, doing) : FRESHET_OK;
    if (code == FRESHET_OK)
        output_write(NULL, text->bytes, text->length);
    text_release(text);
    return code;
}

bool output_finish(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    if (errno != EPIPE && errno != 0)
        fprintf(stderr, "freshet: error: cannot write the output: %s\n", strerror(errno));
    else if (errno == 0)
        fprintf(stderr, "freshet: error: cannot write all of the output\n");
    return false;
}

bool confirmed(const char *question)
{
    char answer[16];
    fprintf(stderr, "%s [y/N] ", question);
    return fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

int verb_end(freshet_code code, const freshet_error *err)
{
    log_settle(true);
    if (!output_finish())
        code = code == FRESHET_OK ? FRESHET_FAILED : code;
    else if (code != FRESHET_OK && err->text[0] != '\0' && n_problems == 0)
        report_error(err);
    log_settle(true);
    return exit_code(code);
}

freshet_format format_or_default(int chosen)
{
    if (chosen >= 0)
        return (freshet_format)chosen;
    return isatty(STDOUT_FILENO) ? FRESHET_TABLE : FRESHET_JSON;
}

void print_output_schema(const freshet_pipeline *pipeline, const char *before)
{
    size_t width = 0;
    for (uint32_t i = 0; freshet_output_name(pipeline, i) != NULL; i++) {
        size_t length = strlen(freshet_output_name(pipeline, i));
        width = length > width ? length : width;
    }
    for (uint32_t i = 0; freshet_output_name(pipeline, i) != NULL; i++)
        output_format("%s%-*s  %s\n", before, (int)width, freshet_output_name(pipeline, i),
                      freshet_output_type(pipeline, i));
}

void text_append_bytes(text_buffer *buffer, int64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.95 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000.0;
        unit++;
    }
    text_format(buffer, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}
