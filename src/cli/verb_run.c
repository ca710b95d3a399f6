/* verb_run.c - freshet run FILE: a pipeline from its start to its end. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "cli/cli.h"
#include "cli/live_view.h"
#include "cli/progress.h"
#include "cli/reload.h"
#include "cli/supervisor.h"
#include "declaration/declaration.h"
#include "operate/signals.h"
#include "pipeline/pipeline.h"

typedef struct run_arguments {
    const char *file;
    bool debug;
    bool once;
    bool drain;
    const char *state;
    bool checkpoint;
    const char *start_date;
    const char *end_date;
    const char *query;
    int64_t query_timeout_us;
    int format;
    const char *progress;
    int log;
    int log_level;
    bool no_serve;
    const char *http;
    uint32_t step_rows;
    uint32_t workers;
} run_arguments;

static const argument run_options[] = {
    {ARGUMENT("debug", FLAG, run_arguments, debug),
     .doc = "write to the in-memory debug table only, whatever the declaration says"},
    {ARGUMENT("once", FLAG, run_arguments, once), .doc = "take all that is there now, then end"},
    {ARGUMENT("drain", FLAG, run_arguments, drain),
     .doc = "with --once: close all open rolling windows at the end"},
    {ARGUMENT("state", TEXT, run_arguments, state), .value = "DIR",
     .doc = "the folder for positions and state (streams); see docs/guide/delivery.md"},
    {ARGUMENT("checkpoint", FLAG, run_arguments, checkpoint),
     .doc = "a batch: leave a checkpoint, behind which its stream goes on"},
    {ARGUMENT("start-date", TEXT, run_arguments, start_date), .value = "YYYY-MM-DD",
     .doc = "write only rows from this day on (batch, --drain)"},
    {ARGUMENT("end-date", TEXT, run_arguments, end_date), .value = "YYYY-MM-DD",
     .doc = "write only rows up to this day, included (batch, --drain)"},
    {ARGUMENT("query", TEXT, run_arguments, query), .value = "SQL",
     .doc = "after the end, print the result of this over the debug table"},
    {ARGUMENT("query-timeout", DURATION, run_arguments, query_timeout_us), .value = "TIME",
     .doc = "how long --query may run; default: as long as it does"},
    {ARGUMENT("format", CHOICE, run_arguments, format), .choices = format_choices,
     .doc = "of --query; default: table on a terminal, else json"},
    {ARGUMENT("progress", TEXT, run_arguments, progress), .value = "WHAT", .standard = "auto",
     .doc = "auto (a live view), plain lines, a line each 5s, or off"},
    LOG_ARGUMENTS(run_arguments),
    {ARGUMENT("no-serve", FLAG, run_arguments, no_serve),
     .doc = "do not answer \"freshet query\", \"shell\" and \"status\""},
    {ARGUMENT("http", TEXT, run_arguments, http), .value = "HOST:PORT",
     .doc = "answer probes and questions by HTTP there; see docs/guide/http.md"},
    {ARGUMENT("step-rows", COUNT, run_arguments, step_rows), .value = "N",
     .doc = "take at most N rows of each reader in one micro-batch"},
    {ARGUMENT("workers", COUNT, run_arguments, workers), .value = "N",
     .doc = "work with N threads; default: the declaration's, else all cores"},
    {.name = NULL},
};

/* What one run needs, from file to summary. */
typedef struct run {
    const run_arguments *given;
    freshet_declaration *declaration;
    freshet_pipeline *pipeline;
    const char *name;
    int64_t start_us;
    bool took_signals;
    supervisor *supervisor; /* NULL: there is none */
    char *read;             /* the declaration's file */
    reload *reload;
    bool begins_anew; /* with a changed declaration */
    progress_mode progress;
    int64_t progress_us;
} run;

/* A mistake in --query is told before the run, over the empty table, not after it. */
static freshet_code run_check_query(run *run, freshet_error *err)
{
    if (pipeline_queried(run->pipeline) == NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, "--query",
                         "this pipeline has no debug table to query; add --debug, or declare "
                         "`- online: {debug: true}` under sink.writers");
    freshet_result *result = NULL;
    freshet_code code = freshet_query(run->pipeline, run->given->query, NULL, &result, err);
    freshet_result_close(result);
    return code == FRESHET_USAGE ? code : FRESHET_OK;
}

/* --progress: "auto" is live where that can be. */
static freshet_code choose_progress(run *run, freshet_error *err)
{
    const char *said = run->given->progress;
    const bool terminal = isatty(STDOUT_FILENO) && isatty(STDERR_FILENO);
    const bool text = run->given->log == (int)LOG_TEXT;
    run->progress = PROGRESS_PLAIN;
    run->progress_us = PROGRESS_LINE_US;
    if (strcmp(said, "off") == 0 || strcmp(said, "none") == 0)
        run->progress = PROGRESS_NONE;
    else if (strcmp(said, "auto") == 0)
        run->progress = terminal && text && pipeline_queried(run->pipeline) != NULL
                            ? PROGRESS_LIVE
                            : PROGRESS_PLAIN;
    else if (strcmp(said, "plain") != 0 &&
             (!arguments_duration(said, &run->progress_us) || run->progress_us <= 0))
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, "--progress",
                         "\"%s\" is none of auto, plain and off, and no time such as 5s", said);
    return FRESHET_OK;
}

/* "3 dead letters (see ...): 2 bad_cast, 1 bad_key" */
static void append_dead_letters(const run *run, int64_t dead, text_buffer *into)
{
    text_append_count_of(into, dead, "dead letter");
    if (dead == 0)
        return;
    const declaration *declaration = declaration_of(run->declaration);
    arena *arena = arena_open();
    const char *between = ": ";
    const char *path =
        arena == NULL ? NULL
                      : declaration_path(declaration, arena, declaration->dead_letters.path.value);
    if (path != NULL)
        text_format(into, " (see %s)", path);
    arena_close(arena);
    for (uint32_t i = 0; freshet_reason(i) != NULL; i++) {
        const int64_t n = freshet_dead_letters(run->pipeline, i);
        if (n == 0)
            continue;
        text_append_c(into, between);
        text_append_count(into, n);
        text_format(into, " %s", freshet_reason(i));
        between = ", ";
    }
}

/* "3 repeated, ", where there are any. */
static void append_left_out(int64_t n, const char *why, text_buffer *into)
{
    if (n == 0)
        return;
    text_append_count(into, n);
    text_format(into, " %s, ", why);
}

/* "5 written (history 5, online 4; of them 2 again), ": each writer's where they differ. */
static void append_written(const run *run, const counts *counts, text_buffer *into)
{
    const char *name;
    bool differ = false;
    const char *between = " (";
    for (uint32_t i = 0; freshet_writer_name(run->pipeline, i) != NULL; i++)
        differ |= freshet_writer_counter(run->pipeline, i, FRESHET_ROWS_WRITTEN) != counts->written;
    text_append_count(into, counts->written);
    text_append_c(into, " written");
    for (uint32_t i = 0; differ && (name = freshet_writer_name(run->pipeline, i)) != NULL; i++) {
        text_format(into, "%s%s ", between, name);
        text_append_count(into, freshet_writer_counter(run->pipeline, i, FRESHET_ROWS_WRITTEN));
        between = ", ";
    }
    const bool is_again = counts->again > 0 && counts->again <= counts->written;
    if (is_again) {
        text_append_c(into, differ ? "; of them " : " (of them ");
        text_append_count(into, counts->again);
        text_append_c(into, " again");
    }
    text_append_c(into, differ || is_again ? "), " : ", ");
}

static void say_summary(const run *run)
{
    counts counts;
    counts_take(run->pipeline, &counts);
    double seconds = (double)(counts.at_us - run->start_us) / 1e6;
    const int64_t hook_warnings = freshet_counter(run->pipeline, FRESHET_HOOK_WARNINGS);
    const int64_t numbers[] = {counts.read,
                               counts.written,
                               counts.again,
                               counts.refused,
                               counts.expired,
                               counts.replaced,
                               counts.repeated,
                               counts.late,
                               hook_warnings,
                               counts.dead,
                               counts.at_us - run->start_us,
                               counts.table_rows};
    text_buffer line;
    text_init(&line, 8192);
    text_append_count_of(&line, counts.read, "row");
    text_append_c(&line, " read, ");
    append_written(run, &counts, &line);
    append_left_out(counts.refused, "refused by the store", &line);
    append_left_out(counts.expired, "past their ttl", &line);
    append_left_out(counts.replaced, "replaced by newer rows before they were written", &line);
    append_left_out(counts.repeated, "repeated", &line);
    append_left_out(counts.late, "too late", &line);
    append_left_out(hook_warnings, "warnings of hooks", &line);
    append_dead_letters(run, counts.dead, &line);
    text_format(&line, ", in %.2f s (", seconds);
    text_append_count(&line, seconds > 0 ? (int64_t)((double)counts.read / seconds) : 0);
    text_append_c(&line, " rows/s)");
    if (counts.table_trimmed > 0) {
        text_append_c(&line, "; the debug table holds the last ");
        text_append_count(&line, counts.table_rows);
        text_append_c(&line, " of them, its limit");
    }
    if (!line.failed)
        log_event_more(EVENT_SUMMARY, run->name, numbers, line.bytes);
    text_release(&line);
}

static bool is_signalled(void *context)
{
    (void)context;
    return signals_caught() != 0;
}

/* Nothing waits for the answer, so that it has no limit of time but one that was asked for. A
 * signal ends it; a run that one has ended already is asked as others ask it, within ten
 * seconds. */
static freshet_code print_result(run *run, freshet_error *err)
{
    freshet_result *result = NULL;
    freshet_query_options options = {.size = sizeof options,
                                     .timeout_us = run->given->query_timeout_us};
    const bool was_signalled = signals_caught() != 0;
    if (!was_signalled) {
        options.cancelled = is_signalled;
        if (options.timeout_us == 0)
            options.timeout_us = FRESHET_NO_TIMEOUT;
    }
    freshet_code code = freshet_query(run->pipeline, run->given->query, &options, &result, err);
    if (code == FRESHET_OK)
        code = freshet_result_print(result, format_or_default(run->given->format), output_write,
                                    NULL, err);
    freshet_result_close(result);
    if (code == FRESHET_LIMIT && !was_signalled && signals_caught() != 0)
        code = error_set(err, FRESHET_LIMIT, FRESHET_STOP, "--query",
                         "stopped before the query was answered; all rows had been taken");
    return code;
}

/* From an open pipeline to its last row. */
static freshet_code run_pipeline(run *run, freshet_error *err)
{
    progress *progress = NULL;
    freshet_code code =
        progress_start(run->pipeline, run->progress, run->progress_us, run->name,
                       freshet_declaration_feature_set(run->declaration), &progress, err);
    if (code != FRESHET_OK)
        return code;
    supervisor_watch(run->supervisor, run->pipeline, run->name);
    freshet_error problem = {0};
    code = freshet_run(run->pipeline, &problem);
    run->begins_anew = reload_end(run->reload) && signals_caught() == 0 &&
                       (code == FRESHET_OK || problem.then == FRESHET_RETRY);
    run->reload = NULL;
    supervisor_leave(run->supervisor, run->begins_anew);
    if (code != FRESHET_OK && !run->begins_anew && err != NULL)
        *err = problem;
    progress_stop(progress, run->given->query == NULL);
    say_summary(run);
    return code;
}

/* Why this run does not take a changed declaration; NULL: it does. */
static const char *why_no_reload(const run *run)
{
    if (!freshet_declaration_is_stream(run->declaration) || run->given->once)
        return "this run has an end";
    return run->given->debug || checkpoint_folder_in_use(run->pipeline) == NULL
               ? "this run keeps no state, and would read everything again"
               : NULL;
}

static freshet_code take_signals(run *run, freshet_error *err)
{
    freshet_code code = run_signals_take(run->pipeline, err);
    const reload_of of = {.file = run->given->file,
                          .read = run->read,
                          .name = run->name,
                          .state = run->given->state,
                          .why_not = why_no_reload(run),
                          .pipeline = run->pipeline,
                          .supervisor = run->supervisor};
    run->took_signals = code == FRESHET_OK;
    signals_on_abort(live_view_restore);
    return code == FRESHET_OK ? reload_start(&of, &run->reload, err) : code;
}

static freshet_code check_arguments_fit(const run *run, freshet_error *err)
{
    const run_arguments *given = run->given;
    if (given->drain && !given->once)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, "--drain",
                         "open windows are closed at the end of what is there, which --once says: "
                         "write --once --drain");
    if (given->query != NULL && !given->once && freshet_declaration_is_stream(run->declaration))
        return error_set(
            err, FRESHET_USAGE, FRESHET_STOP, "--query",
            "a stream has no end at which its result could be printed; add --once to end when all "
            "that is there has been taken, or ask the running pipeline by \"freshet query\"");
    return FRESHET_OK;
}

static freshet_code run_file(run *run, freshet_error *err)
{
    const run_arguments *given = run->given;
    run->read = reload_read(given->file);
    freshet_code code = load_declaration(given->file, &run->declaration, err);
    if (code == FRESHET_OK)
        code = check_arguments_fit(run, err);
    if (code != FRESHET_OK)
        return code;
    freshet_run_options options = {.size = sizeof options,
                                   .debug = given->debug,
                                   .once = given->once,
                                   .state = given->state,
                                   .serve = !given->no_serve,
                                   .start_date = given->start_date,
                                   .end_date = given->end_date,
                                   .drain = given->drain,
                                   .checkpoint = given->checkpoint,
                                   .step_rows = given->step_rows,
                                   .workers = given->workers,
                                   .http = given->http};
    run->name = freshet_declaration_pipeline(run->declaration);
    log_about(run->name, freshet_declaration_feature_set(run->declaration));
    code = open_pipeline(run->declaration, &options, &run->pipeline, err);
    if (code == FRESHET_OK)
        code = take_signals(run, err);
    if (code == FRESHET_OK)
        code = choose_progress(run, err);
    if (code == FRESHET_OK && given->query != NULL)
        code = run_check_query(run, err);
    if (code == FRESHET_OK)
        code = run_pipeline(run, err);
    if (given->query == NULL || (code != FRESHET_OK && code != FRESHET_BAD_DATA))
        return code;
    freshet_error problem = {0};
    freshet_code printed = print_result(run, code == FRESHET_OK ? err : &problem);
    return code == FRESHET_OK ? printed : code;
}

static freshet_code run_run(const void *arguments, freshet_error *err)
{
    run run = {.given = arguments, .start_us = os.monotonic_us()};
    log_take(run.given->log, run.given->log_level);
    reload_take_up();
    run.supervisor = supervisor_start();
    freshet_code code = run_file(&run, err);
    reload_end(run.reload);
    if (run.begins_anew)
        signals_note_only();
    else if (run.took_signals)
        signals_remove();
    freshet_pipeline_close(run.pipeline);
    freshet_declaration_close(run.declaration);
    free(run.read);
    supervisor_end(run.supervisor);
    return run.begins_anew ? reload_exec(err) : code;
}

const verb verb_run = {
    .name = "run",
    .operand = "FILE",
    .summary = "run a pipeline: a batch to its end, a stream for ever",
    .doc =
        "Runs the declared pipeline. Where one of its readers says `stream: true` it never ends, "
        "until\n"
        "Ctrl-C or SIGTERM, which finish the micro-batch, or give it up after a second, and leave "
        "with\n"
        "exit code 0 (a second signal, more than a second after the first, aborts at once); else "
        "it\n"
        "ends when everything has been read. With --debug, or where the\n"
        "declaration says `online: {debug: true}`, the rows go to a table in memory, shown as it "
        "grows\n"
        "on a terminal, that \"freshet query\" and \"freshet shell\" can ask from another "
        "terminal.\n"
        "Messages go to stderr, data to stdout. Exit codes: 0 done, 1 failed, 2 called wrongly, 65 "
        "too\n"
        "many rows refused (see dead_letters in the declaration), 75 try again later, 78 change "
        "the\n"
        "declaration.",
    .examples =
        "    freshet run flights.yaml\n"
        "    freshet run flights.yaml --debug --once \\\n"
        "        --query 'select count(*) as n from online_feature_store__flights' --format json\n"
        "    freshet run history.yaml --start-date 2024-05-01 --end-date 2024-05-31\n"
        "    freshet run flights.yaml --progress off --log-format json 2> log.jsonl\n",
    .arguments = run_options,
    .size = sizeof(run_arguments),
    .run = run_run,
};
