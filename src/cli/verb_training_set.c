/* verb_training_set.c - freshet training-set SPINE --from HISTORY... -o FILE: the features of each
 * row of a spine, as they were known at its time.
 */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "cli/cli.h"
#include "declaration/value.h"
#include "operate/signals.h"

#define WHO "training-set"

typedef struct training_arguments {
    const char *spine;
    argument_list from, features, key, lag, max_age, keys, timestamp;
    const char *output, *time, *memory;
    int compression; /* -1: not given */
    bool as_known_now, with_times;
    uint32_t threads;
    int progress, log, log_level;
} training_arguments;

enum { TELLS_ALL, TELLS_LINES, TELLS_NOTHING };

static const char *const training_progress[] = {"auto", "plain", "none", NULL};
static const char *const training_compressions[] = {"zstd", "snappy", "gzip", "lz4", "none", NULL};

static const argument training_options[] = {
    {ARGUMENT("from", LIST, training_arguments, from), .value = "HISTORY", .takes_more = true,
     .doc =
         "where features come from: a declaration, or a history's folder; NAME=... names the set"},
    {ARGUMENT("output", TEXT, training_arguments, output), .letter = 'o', .value = "FILE",
     .doc = "what to write: .parquet, .csv or .csv.gz"},
    {ARGUMENT("features", LIST, training_arguments, features), .value = "SET:a,b",
     .takes_more = true, .doc = "these features of a set, in this order, instead of all"},
    {ARGUMENT("lag", LIST, training_arguments, lag), .value = "SET=1h",
     .doc = "what was known that much before the spine's time; without SET= of all sets"},
    {ARGUMENT("max-age", LIST, training_arguments, max_age), .value = "SET=30d",
     .doc = "features older than that are null; without SET= of all sets"},
    {ARGUMENT("time", TEXT, training_arguments, time), .value = "COLUMN",
     .doc = "the spine's times (default: timestamp, event_timestamp, or its only time)"},
    {ARGUMENT("key", LIST, training_arguments, key), .value = "SET.KEY=COLUMN", .takes_more = true,
     .doc = "what the spine calls a key, where it has another name"},
    {ARGUMENT("as-known-now", FLAG, training_arguments, as_known_now),
     .doc = "rows as they are corrected by now, be it by events that came after the spine's time"},
    {ARGUMENT("with-times", FLAG, training_arguments, with_times),
     .doc = "a column SET__timestamp too: the time of the feature row"},
    {ARGUMENT("keys", LIST, training_arguments, keys), .value = "SET=a,b", .takes_more = true,
     .doc = "the keys of a folder that does not say them (one that Freshet has not written)"},
    {ARGUMENT("timestamp", LIST, training_arguments, timestamp), .value = "SET=COLUMN",
     .takes_more = true, .doc = "the time of the rows of such a folder"},
    {ARGUMENT("compression", CHOICE, training_arguments, compression),
     .choices = training_compressions, .doc = "of Parquet (default: zstd)"},
    {ARGUMENT("memory", TEXT, training_arguments, memory), .value = "SIZE", .standard = "1 GiB",
     .doc = "how much to take; what does not fit is put aside beside the output"},
    {ARGUMENT("threads", COUNT, training_arguments, threads), .value = "N",
     .doc = "how many to run (default: as many as there are cores)"},
    {ARGUMENT("progress", CHOICE, training_arguments, progress), .choices = training_progress,
     .standard = "auto", .doc = "a line that changes on a terminal, plain lines, or nothing"},
    LOG_ARGUMENTS(training_arguments),
    {.name = NULL},
};

/* ---- what is told ---------------------------------------------------------------------------- */

typedef struct teller {
    int mode;
    bool is_terminal;
    int64_t said_us;
    char last[200];
} teller;

#define SAY_AGAIN_US INT64_C(3000000)

static void tell_sentence(void *context, const char *sentence)
{
    const teller *teller = context;
    if (teller->mode != TELLS_NOTHING)
        log_event(TRAINING_TOLD, WHO, sentence);
}

/* On a terminal one line that is written over; elsewhere what goes on for seconds, once. */
static void tell_progress(void *context, const char *doing)
{
    teller *teller = context;
    if (teller->mode == TELLS_NOTHING || *doing == '\0')
        return;
    if (teller->is_terminal) {
        fprintf(stderr, "\r\033[K%.150s ...", doing);
        fflush(stderr);
        return;
    }
    if (strcmp(doing, teller->last) == 0 || os.monotonic_us() - teller->said_us < SAY_AGAIN_US)
        return;
    snprintf(teller->last, sizeof teller->last, "%s", doing);
    teller->said_us = os.monotonic_us();
    log_event(TRAINING_DOES, WHO, doing);
}

/* A message stands on a line of its own. */
static void clear_line(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "\r\033[K%s", line);
}

static void tell_problem(void *context, const freshet_error *problem)
{
    (void)context;
    report_error(problem);
}

static bool was_stopped(void *context)
{
    (void)context;
    return signals_caught() != 0;
}

static void note_stop(void *context)
{
    (void)context; /* was_stopped() asks for it */
}

/* ---- running --------------------------------------------------------------------------------- */

/* NULL-terminated, as the library has it. */
static const char *const *ended(const argument_list *list, const char *into[ARGUMENT_LIST_MAX + 1])
{
    memcpy(into, list->items, list->n * sizeof *into);
    into[list->n] = NULL;
    return into;
}

static freshet_code make_set(const training_arguments *given, int64_t memory, freshet_error *err)
{
    const char *lists[7][ARGUMENT_LIST_MAX + 1];
    teller teller = {.mode = given->progress, .said_us = os.monotonic_us()};
    teller.is_terminal =
        given->progress == TELLS_ALL && given->log == (int)LOG_TEXT && isatty(STDERR_FILENO) != 0;
    const freshet_training_options options = {
        .size = sizeof options,
        .spine = given->spine,
        .output = given->output,
        .from = ended(&given->from, lists[0]),
        .features = ended(&given->features, lists[1]),
        .key = ended(&given->key, lists[2]),
        .lag = ended(&given->lag, lists[3]),
        .max_age = ended(&given->max_age, lists[4]),
        .keys = ended(&given->keys, lists[5]),
        .timestamp = ended(&given->timestamp, lists[6]),
        .time = given->time,
        .as_known_now = given->as_known_now,
        .with_times = given->with_times,
        .compression = given->compression < 0 ? NULL : training_compressions[given->compression],
        .memory = memory,
        .threads = given->threads,
        .say = tell_sentence,
        .progress = tell_progress,
        .cancelled = was_stopped,
        .problem = tell_problem,
        .context = &teller};
    if (teller.is_terminal)
        log_hook(clear_line, NULL);
    const freshet_code code = freshet_training_set(&options, err);
    if (teller.is_terminal) {
        log_hook(NULL, NULL);
        fputs("\r\033[K", stderr);
    }
    return code;
}

static freshet_code training_run_verb(const void *arguments, freshet_error *err)
{
    const training_arguments *given = arguments;
    int64_t memory = 0;
    log_take(given->log, given->log_level);
    if (given->output == NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "say what to write, as in -o training.parquet");
    const char *wrong = value_number(OPTION_BYTES, given->memory, &memory);
    if (wrong != NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "--memory is \"%s\", but it %s",
                         given->memory, wrong);
    freshet_code code = signals_install(note_stop, NULL, err);
    if (code != FRESHET_OK)
        return code;
    code = make_set(given, memory, err);
    const int signal = signals_caught();
    signals_remove();
    if (code == FRESHET_TRY_AGAIN && signal != 0)
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_STOP, given->output,
                         "stopped by a signal: nothing was written");
    return code;
}

const verb verb_training_set = {
    .name = "training-set",
    .operand = "SPINE",
    .summary = "join entities and times with the features known then",
    .doc =
        "Point-in-time join: SPINE is a Parquet or CSV file (or a folder of such) of entities and\n"
        "times, with labels and whatever else. Of each history, each row gets the features of the\n"
        "newest row of its keys at or before its time, as columns SET__FEATURE: as they were "
        "known\n"
        "then, without corrections by events that came later. The spine's columns stay as they\n"
        "are, each row gives exactly one, and their order stays. Features are null where there is\n"
        "no row, or the spine has no key or time. The output appears when it is whole.\n"
        "Exit codes: 0 done, 2 options that do not fit the files, 65 a cell of a CSV spine that "
        "is\n"
        "no key or time, 75 stopped, or another run makes it, 78 change a declaration or a file.\n"
        "See docs/guide/training-sets.md.",
    .examples = "    freshet training-set labels.parquet --from orders.yaml -o training.parquet\n"
                "    freshet training-set labels.csv --from orders.yaml out/drivers \\\n"
                "        --features orders:amount drivers:rating,trips --lag drivers=1h \\\n"
                "        --max-age 30d --key drivers.id=driver_id -o training.parquet\n",
    .arguments = training_options,
    .size = sizeof(training_arguments),
    .run = training_run_verb,
};
