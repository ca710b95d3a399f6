/* cli.h - what the verbs of the command `freshet` share: how a verb is described, and printing.
 *
 * A verb is one file with one table of options and one function; main.c lists the verbs. The
 * function gets its parsed options and returns a freshet_code and an error as all functions do;
 * verb_end() flushes the output, tells the error and gives the process's exit code. Data goes to
 * stdout, through output_write() and its like; everything else goes to stderr.
 */
#ifndef FRESHET_CLI_CLI_H
#define FRESHET_CLI_CLI_H

#include <freshet/freshet.h>

#include "base/text.h"
#include "cli/arguments.h"

extern const verb verb_apply;
extern const verb verb_check;
extern const verb verb_compare;
extern const verb verb_docs;
extern const verb verb_init;
extern const verb verb_get;
extern const verb verb_plan;
extern const verb verb_replay;
extern const verb verb_run;
extern const verb verb_query;
extern const verb verb_status;
extern const verb verb_shell;
extern const verb verb_show;
extern const verb verb_test_files;
extern const verb verb_state_ls;
extern const verb verb_state_inspect;
extern const verb verb_state_verify;
extern const verb verb_state_reset;
extern const verb verb_state_export;
extern const verb verb_state_import;
extern const verb verb_state_fill;
extern const verb verb_schema;
extern const verb verb_serve;
extern const verb verb_training_set;
extern const verb verb_version;

/* FRESHET_OK, FAILED, USAGE, TRY_AGAIN and BAD_DECLARATION are exit codes as they are; the others,
 * which tell callers of the library more, are 1. */
int exit_code(freshet_code code);

/* Of a verb that ends well: its exit code, instead of 0. */
#define EXIT_CHANGES 3
void exit_with(int status);

/* "<place>: error: <sentence>" on stderr; "freshet: error: <sentence>" where there is no place. */
void report_error(const freshet_error *err);

/* The same of what is wrong with a declaration, or is to be warned of: a freshet_problem_fn. */
void report_problem(void *context, const freshet_error *problem);

/* From now on report_error() goes through the log, for a stderr that is to hold JSON lines only. */
void report_errors_to_log(void);

/* The options of a verb that logs: `log` and `log_level` of its struct, for log_take. */
extern const char *const log_choices[], *const log_level_choices[];
#define LOG_ARGUMENTS(STRUCT)                                                                     \
    {ARGUMENT("log", CHOICE, STRUCT, log), .choices = log_choices, .standard = "text",            \
     .doc = "the same as --log-format"},                                                          \
        {ARGUMENT("log-format", CHOICE, STRUCT, log), .choices = log_choices, .standard = "text", \
         .doc = "messages on stderr: sentences, or objects with fields"},                         \
    {                                                                                             \
        ARGUMENT("log-level", CHOICE, STRUCT, log_level),                                         \
            .choices = log_level_choices, .standard = "info",                                     \
            .doc = "this and worse; SIGUSR1 tells more, SIGUSR2 less"                             \
    }
void log_take(int format, int level);

/* Both report the problems that they find, each as report_error() does, and warnings; an error that
 * came with problems is not told again by verb_end(). `options` NULL: to check, and not to run. */
freshet_code load_declaration(const char *path, freshet_declaration **out, freshet_error *err);
freshet_code open_pipeline(const freshet_declaration *declaration,
                           const freshet_run_options *options, freshet_pipeline **out,
                           freshet_error *err);

/* From now on SIGTERM and Ctrl-C end the run of the pipeline, also in the middle of a function that
 * asks nobody; until signals_remove(), which comes before it is closed. */
freshet_code run_signals_take(freshet_pipeline *pipeline, freshet_error *err);

/* How many problems, without warnings, that were so far. */
uint32_t problems_reported(void);

/* A freshet_write_fn onto stdout, buffered; `context` is not used. */
bool output_write(void *context, const char *bytes, size_t length);

/* The same by printf. */
void output_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes the text and releases it. FRESHET_NO_MEMORY where it lacks some, "out of memory while
 * <doing>". */
freshet_code output_text(text_buffer *text, const char *doing, freshet_error *err);

/* Flushes stdout. False, and a message, where not all could be written; a reader that went away
 * (`| head`) is told nothing. */
bool output_finish(void);

/* Asks a human on the terminal, who says yes or no. */
bool confirmed(const char *question);

/* The end of each verb, with what it returned: flushes stdout, and reports the error where it has
 * a text and the output could be written. Returns the exit code. */
int verb_end(freshet_code code, const freshet_error *err);

/* The output columns, one a line: `before`, the name, padded, the type. */
void print_output_schema(const freshet_pipeline *pipeline, const char *before);

/* The choices of --format, in the order of freshet_format. */
extern const char *const format_choices[];

/* The value of --format: `chosen`, or where it was not given (-1) a table on a terminal and JSON
 * lines elsewhere. */
freshet_format format_or_default(int chosen);

/* "812 B", "3.1 MB" (powers of 1000). */
void text_append_bytes(text_buffer *buffer, int64_t bytes);

#endif
