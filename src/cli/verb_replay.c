/* verb_replay.c - freshet replay FILE: dead letters go through the mended declaration again. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "cli/cli.h"
#include "operate/letter_lines.h"
#include "operate/signals.h"

typedef struct replay_arguments {
    const char *file;
    const char *declaration;
    const char *state;
    int log;
    int log_level;
    uint32_t workers;
} replay_arguments;

static const argument replay_options[] = {
    {ARGUMENT("declaration", TEXT, replay_arguments, declaration), .value = "FILE",
     .doc = "the declaration, where the operand is a file of dead letters"},
    {ARGUMENT("state", TEXT, replay_arguments, state), .value = "DIR",
     .doc = "the stream's state folder, where it was run with one"},
    LOG_ARGUMENTS(replay_arguments),
    {ARGUMENT("workers", COUNT, replay_arguments, workers), .value = "N",
     .doc = "work with N threads; default: the declaration's, else all cores"},
    {.name = NULL},
};

/* Does the file begin as dead letters do? */
static bool is_letters(const char *path)
{
    char begin[sizeof LETTER_START] = "";
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    const size_t n = fread(begin, 1, sizeof LETTER_START - 1, file);
    fclose(file);
    return n == sizeof LETTER_START - 1 && memcmp(begin, LETTER_START, n) == 0;
}

static void replay_summary(const freshet_pipeline *pipeline, const char *name)
{
    const int64_t taken = freshet_counter(pipeline, FRESHET_ROWS_READ);
    const int64_t written = freshet_counter(pipeline, FRESHET_ROWS_WRITTEN);
    const int64_t again = freshet_counter(pipeline, FRESHET_DEAD_LETTERS);
    text_buffer line;
    text_init(&line, TEXT_LIMIT_DEFAULT);
    text_append_count_of(&line, taken, "letter");
    text_append_c(&line, " replayed, ");
    text_append_count_of(&line, written, "row");
    text_append_c(&line, " written, ");
    text_append_count(&line, again);
    text_append_c(&line, " refused again");
    if (!line.failed)
        log_event_more(EVENT_REPLAYED, name, (const int64_t[]){taken, written, again}, line.bytes);
    text_release(&line);
}

static freshet_code replay_file(const freshet_declaration *declaration,
                                const replay_arguments *given, const char *letters,
                                freshet_error *err)
{
    freshet_pipeline *pipeline = NULL;
    const freshet_run_options options = {.size = sizeof options,
                                         .once = true,
                                         .state = given->state,
                                         .replay = letters,
                                         .workers = given->workers};
    freshet_code code = open_pipeline(declaration, &options, &pipeline, err);
    if (code != FRESHET_OK)
        return code;
    code = run_signals_take(pipeline, err);
    if (code == FRESHET_OK) {
        code = freshet_run(pipeline, err);
        replay_summary(pipeline, freshet_declaration_pipeline(declaration));
        signals_remove();
    }
    freshet_pipeline_close(pipeline);
    return code;
}

static freshet_code replay_run(const void *arguments, freshet_error *err)
{
    const replay_arguments *given = arguments;
    freshet_declaration *declaration = NULL;
    log_take(given->log, given->log_level);
    if (given->declaration == NULL && is_letters(given->file))
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, given->file,
                         "this is a file of dead letters: say of which declaration, by "
                         "`freshet replay %s --declaration FILE`",
                         given->file);
    if (given->declaration != NULL && access(given->file, F_OK) != 0 && errno == ENOENT)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, given->file,
                         "there is no such file; one whose letters have all gone through is "
                         "removed");
    const char *letters = given->declaration == NULL ? "" : given->file;
    freshet_code code = load_declaration(
        given->declaration == NULL ? given->file : given->declaration, &declaration, err);
    if (code == FRESHET_OK)
        code = replay_file(declaration, given, letters, err);
    freshet_declaration_close(declaration);
    return code;
}

const verb verb_replay = {
    .name = "replay",
    .operand = "FILE",
    .summary = "run a stream's dead letters again, by the mended declaration",
    .doc =
        "The rows that a stream refused go through its declaration again, once that was mended:\n"
        "query, features, writers, each exactly once, as rows that come late. The stream must "
        "have\n"
        "been stopped. FILE is the declaration, whose own dead letters are taken; or a file of\n"
        "dead letters, with --declaration. Letters that went through are taken out of the file;\n"
        "what is refused again is a new letter there. A batch is run again instead.\n"
        "Exit codes: 0 done, 65 all were refused again, 75 the stream runs, 78 change the\n"
        "declaration. See docs/guide/dead-letters.md.",
    .examples = "    freshet replay orders.yaml\n"
                "    freshet replay old/orders.dead_letters.jsonl --declaration orders.yaml\n",
    .arguments = replay_options,
    .size = sizeof(replay_arguments),
    .run = replay_run,
};
