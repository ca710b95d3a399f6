/* verb_state.c - freshet state ls, inspect, verify, reset: the state folder of a pipeline, from outside.
 *
 * The folder is that of a declaration (FILE), or named (--state). All but reset only read, and may be
 * called while the pipeline runs: they see its last checkpoint.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/os.h"
#include "cli/cli.h"
#include "declaration/declaration.h"
#include "pipeline/checkpoint.h"
#include "state/store.h"

#define POSITIONS_SHOWN 20u

typedef struct state_arguments {
    const char *file;
    const char *state;
    int format;
    argument_list keys;
    uint32_t limit;
    bool yes;
} state_arguments;

typedef enum state_format { STATE_TEXT, STATE_JSON } state_format;

static const char *const state_formats[] = {"text", "json", NULL};

/* One call: the folder, and the declaration where one was given. */
typedef struct state_call {
    const state_arguments *given;
    freshet_declaration *declaration;
    arena *arena;
    const char *folder;
    state_store *store;
} state_call;

/* ---- the folder ---------------------------------------------------------------------------- */

static freshet_code find_folder(state_call *call)
{
    freshet_error err;
    uint32_t n_problems = 0;
    const state_arguments *given = call->given;
    if (given->file == NULL && given->state == NULL) {
        error_set(&err, FRESHET_USAGE, FRESHET_STOP, NULL,
                  "name the declaration whose state is meant, or a folder by --state");
        report_error(&err);
        return FRESHET_USAGE;
    }
    struct stat info;
    if (given->file != NULL && os.stat(given->file, &info) == 0 && S_ISDIR(info.st_mode)) {
        error_set(&err, FRESHET_USAGE, FRESHET_STOP, NULL,
                  "%s is a folder: name the file of the declaration, or say --state %s",
                  given->file, given->file);
        report_error(&err);
        return FRESHET_USAGE;
    }
    if (given->file != NULL) {
        freshet_code code = load_declaration(given->file, &n_problems, &call->declaration);
        if (code != FRESHET_OK)
            return code;
    }
    call->arena = arena_open();
    call->folder = given->state;
    if (call->arena != NULL && call->folder == NULL)
        call->folder = checkpoint_folder(declaration_of(call->declaration), call->arena);
    if (call->folder != NULL && call->arena != NULL)
        return FRESHET_OK;
    error_memory(&err, "finding the state");
    report_error(&err);
    return FRESHET_NO_MEMORY;
}

static freshet_code open_store(state_call *call)
{
    freshet_error err;
    freshet_code code = find_folder(call);
    if (code != FRESHET_OK)
        return code;
    code = store_open(call->folder, true, &call->store, &err);
    if (code != FRESHET_OK)
        report_error(&err);
    return code;
}

static freshet_code close_call(state_call *call, freshet_code code)
{
    if (!output_finish() && code == FRESHET_OK)
        code = FRESHET_FAILED;
    store_close(call->store);
    freshet_declaration_close(call->declaration);
    arena_close(call->arena);
    return code;
}

/* ---- ls ------------------------------------------------------------------------------------ */

/* What there is of one name of a space: a reader's positions, a part's keys. */
typedef struct tally {
    const char *name;
    uint64_t n;
    uint64_t bytes;
} tally;

typedef struct listing {
    state_call *call;
    bool json;
    tally *tallies;
    uint32_t n;
    uint32_t capacity;
    bool failed;
} listing;

static tally *tally_of(listing *listing, const char *name)
{
    if (listing->n > 0 && strcmp(listing->tallies[listing->n - 1].name, name) == 0)
        return &listing->tallies[listing->n - 1];
    arena *arena = listing->call->arena;
    const char *kept = arena_text(arena, name);
    listing->failed |= kept == NULL || !arena_reserve(arena, &listing->tallies, &listing->capacity,
                                                      listing->n + UINT64_C(1), sizeof(tally));
    if (listing->failed)
        return NULL;
    listing->tallies[listing->n] = (tally){.name = kept};
    return &listing->tallies[listing->n++];
}

static bool count_entry(void *context, const char *name, const void *key, size_t key_length,
                        const void *value, size_t length)
{
    tally *tally = tally_of(context, name);
    (void)key;
    (void)value;
    if (tally == NULL)
        return false;
    tally->n++;
    tally->bytes += key_length + length;
    return true;
}

static void print_json(const char *name, const char *text, size_t length)
{
    text_buffer json;
    text_init(&json, TEXT_LIMIT_DEFAULT);
    text_append_json(&json, name, strlen(name));
    text_append_c(&json, ": ");
    text_append_json(&json, text, length);
    if (!json.failed)
        output_write(NULL, json.bytes, json.length);
    text_release(&json);
}

static bool print_position(void *context, const char *name, const void *key, size_t key_length,
                           const void *value, size_t length)
{
    listing *listing = context;
    int64_t offset = 0;
    (void)name;
    if (length < sizeof offset)
        return false;
    memcpy(&offset, value, sizeof offset);
    const char *label = (const char *)value + sizeof offset;
    size_t label_length = length - sizeof offset;
    uint32_t at = listing->n++;
    if (!listing->json) {
        output_format("  %.*s at %" PRId64 "\n", (int)label_length, label, offset);
        return listing->n < POSITIONS_SHOWN;
    }
    output_format("%s{", at == 0 ? "" : ", ");
    print_json("partition", label, label_length);
    output_format(", ");
    print_json("name", key, key_length);
    output_format(", \"offset\": %" PRId64 "}", offset);
    return true;
}

/* A fact as text; "" where there is none. */
static const char *fact(state_call *call, const char *name, const char *key, size_t *length)
{
    text_buffer text;
    freshet_error err;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    freshet_code code = store_get(call->store, STORE_FACT, name, key, strlen(key), &text, &err);
    const char *kept = code == FRESHET_OK ? arena_copy(call->arena, text.bytes, text.length) : NULL;
    *length = kept == NULL ? 0 : text.length;
    text_release(&text);
    return kept == NULL ? "" : kept;
}

static void print_head(state_call *call, bool json)
{
    int64_t last[2] = {0};
    size_t length = 0;
    const char *bytes = fact(call, FACT_CHECKPOINT, "", &length);
    if (length == sizeof last)
        memcpy(last, bytes, sizeof last);
    const char *pipeline = fact(call, FACT_PIPELINE, "", &length);
    text_buffer at;
    text_init(&at, TEXT_LIMIT_DEFAULT);
    text_append_timestamp(&at, last[1]);
    if (json) {
        output_format("{");
        print_json("folder", call->folder, strlen(call->folder));
        output_format(", ");
        print_json("pipeline", pipeline, length);
        output_format(", \"checkpoint\": %" PRId64 ", \"at\": \"%s\"", last[0],
                      at.failed ? "" : at.bytes);
    } else {
        output_format("%s: the state of %s, checkpoint %" PRId64 " of %s\n", call->folder, pipeline,
                      last[0], at.failed ? "" : at.bytes);
    }
    text_release(&at);
}

static freshet_code print_readers(state_call *call, const listing *readers, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    if (readers->json)
        output_format(", \"readers\": [");
    for (uint32_t i = 0; i < readers->n && code == FRESHET_OK; i++) {
        const tally *tally = &readers->tallies[i];
        listing positions = {.call = call, .json = readers->json};
        if (readers->json) {
            output_format("%s{", i == 0 ? "" : ", ");
            print_json("id", tally->name, strlen(tally->name));
            output_format(", \"positions\": [");
        } else {
            output_format("reader %s, %" PRIu64 " partition%s\n", tally->name, tally->n,
                          tally->n == 1 ? "" : "s");
        }
        code =
            store_visit(call->store, STORE_POSITION, tally->name, print_position, &positions, err);
        if (readers->json)
            output_format("]}");
        else if (tally->n > positions.n)
            output_format("  ... and %" PRIu64 " more\n", tally->n - positions.n);
    }
    if (readers->json)
        output_format("]");
    return code;
}

static void print_parts(state_call *call, const listing *parts)
{
    if (parts->json)
        output_format(", \"parts\": [");
    for (uint32_t i = 0; i < parts->n; i++) {
        const tally *tally = &parts->tallies[i];
        size_t length = 0;
        const char *shape = fact(call, FACT_PART, tally->name, &length);
        size_t skip = length < sizeof(uint64_t) ? length : sizeof(uint64_t);
        if (parts->json) {
            output_format("%s{", i == 0 ? "" : ", ");
            print_json("name", tally->name, strlen(tally->name));
            output_format(", \"keys\": %" PRIu64 ", \"bytes\": %" PRIu64 ", ", tally->n,
                          tally->bytes);
            print_json("keeps", shape + skip, length - skip);
            output_format("}");
            continue;
        }
        text_buffer figures;
        text_init(&figures, TEXT_LIMIT_DEFAULT);
        text_append_count(&figures, (int64_t)tally->n);
        text_append_c(&figures, tally->n == 1 ? " key, " : " keys, ");
        text_append_bytes(&figures, (int64_t)tally->bytes);
        output_format("part %s, %s\n  keeps %s\n", tally->name, figures.failed ? "" : figures.bytes,
                      shape + skip);
        text_release(&figures);
    }
    if (parts->json)
        output_format("]}\n");
}

static freshet_code list(state_call *call, freshet_error *err)
{
    bool json = call->given->format == (int)STATE_JSON;
    listing readers = {.call = call, .json = json};
    listing parts = {.call = call, .json = json};
    freshet_code code = store_visit(call->store, STORE_POSITION, NULL, count_entry, &readers, err);
    if (code == FRESHET_OK)
        code = store_visit(call->store, STORE_STATE, NULL, count_entry, &parts, err);
    if (code == FRESHET_OK && (readers.failed || parts.failed))
        code = error_memory(err, "listing the state");
    if (code != FRESHET_OK)
        return code;
    print_head(call, json);
    code = print_readers(call, &readers, err);
    if (code == FRESHET_OK)
        print_parts(call, &parts);
    return code;
}

static freshet_code run_ls(const void *arguments)
{
    freshet_error err;
    state_call call = {.given = arguments};
    freshet_code code = open_store(&call);
    if (code == FRESHET_OK && (code = list(&call, &err)) != FRESHET_OK)
        report_error(&err);
    return close_call(&call, code);
}

/* ---- inspect ------------------------------------------------------------------------------- */

static freshet_code read_keys(const argument_list *given, checkpoint_key *keys, freshet_error *err)
{
    for (uint32_t i = 0; i < given->n; i++) {
        const char *equals = strchr(given->items[i], '=');
        if (equals == NULL || equals == given->items[i])
            return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                             "--key must be a column and its value, as in --key origin=EWR, not "
                             "\"%s\"",
                             given->items[i]);
        keys[i] = (checkpoint_key){.column = given->items[i],
                                   .column_length = (size_t)(equals - given->items[i]),
                                   .value = equals + 1};
    }
    return FRESHET_OK;
}

static freshet_code inspect(state_call *call, freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint_key keys[ARGUMENT_LIST_MAX];
    const argument_list *given = &call->given->keys;
    checkpoint_search search = {
        .keys = keys, .n_keys = given->n, .limit = call->given->limit, .write = output_write};
    freshet_code code = read_keys(given, keys, err);
    if (code == FRESHET_OK)
        code = checkpoint_inspect(pipeline, call->store, &search, err);
    if (code == FRESHET_OK && search.found == 0 && given->n > 0)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the state in \"%s\" has nothing of this key", call->folder);
    return code;
}

static freshet_code run_inspect(const void *arguments)
{
    freshet_error err = {0};
    freshet_pipeline *pipeline = NULL;
    uint32_t n_problems = 0;
    const freshet_run_options options = {.size = sizeof options, .check = true};
    state_call call = {.given = arguments};
    freshet_code code = open_store(&call);
    if (code == FRESHET_OK)
        code = open_pipeline(call.declaration, &options, &n_problems, &pipeline);
    if (code == FRESHET_OK && (code = inspect(&call, pipeline, &err)) != FRESHET_OK &&
        err.text[0] != '\0')
        report_error(&err);
    freshet_pipeline_close(pipeline);
    return close_call(&call, code);
}

/* ---- verify -------------------------------------------------------------------------------- */

static freshet_code run_verify(const void *arguments)
{
    freshet_error err;
    state_call call = {.given = arguments};
    freshet_code code = open_store(&call);
    if (code == FRESHET_OK && (code = store_verify(call.store, &err)) != FRESHET_OK)
        report_error(&err);
    if (code == FRESHET_OK)
        output_format("%s is whole: every entry was read, and every checksum is right\n",
                      call.folder);
    return close_call(&call, code);
}

/* ---- reset --------------------------------------------------------------------------------- */

/* Asks on a terminal; elsewhere --yes must be there. */
static freshet_code confirm(const state_call *call)
{
    freshet_error err;
    if (call->given->yes)
        return FRESHET_OK;
    if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO)) {
        char answer[8] = "";
        fprintf(
            stderr,
            "Remove the state in %s? The next run reads everything again, and wants the folder of "
            "a history that this one wrote to be moved away, too. [y/N] ",
            call->folder);
        if (fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y'))
            return FRESHET_OK;
        error_set(&err, FRESHET_FAILED, FRESHET_STOP, NULL, "nothing was removed");
    } else {
        error_set(&err, FRESHET_USAGE, FRESHET_STOP, NULL,
                  "this removes the state in \"%s\": say --yes where nobody can be asked",
                  call->folder);
    }
    report_error(&err);
    return err.code;
}

static freshet_code run_reset(const void *arguments)
{
    freshet_error err;
    state_call call = {.given = arguments};
    freshet_code code = find_folder(&call);
    if (code == FRESHET_OK)
        code = confirm(&call);
    if (code != FRESHET_OK)
        return close_call(&call, code);
    code = store_remove_folder(call.folder, &err);
    if (code == FRESHET_END) {
        output_format("there is no state in %s\n", call.folder);
        code = FRESHET_OK;
    } else if (code == FRESHET_OK) {
        output_format("%s is removed; the next run begins anew (the folder of a history that this "
                      "one wrote must be moved away, too)\n",
                      call.folder);
    } else {
        report_error(&err);
    }
    return close_call(&call, code);
}

/* ---- the verbs ----------------------------------------------------------------------------- */

#define STATE_OPTION                                                                        \
    {                                                                                       \
        .name = "state", .kind = ARGUMENT_TEXT, .offset = offsetof(state_arguments, state), \
        .value = "DIR", .doc = "the folder, where it is not the declaration's"              \
    }

static const argument ls_options[] = {
    STATE_OPTION,
    {ARGUMENT("format", CHOICE, state_arguments, format), .choices = state_formats,
     .standard = "text", .doc = "how it is printed"},
    {.name = NULL},
};

static const argument inspect_options[] = {
    STATE_OPTION,
    {ARGUMENT("key", LIST, state_arguments, keys), .value = "COLUMN=VALUE",
     .doc = "which key; once for each of its columns, or for some of them"},
    {ARGUMENT("limit", COUNT, state_arguments, limit), .value = "N", .standard = "100",
     .doc = "how many keys at most"},
    {.name = NULL},
};

static const argument verify_options[] = {STATE_OPTION, {.name = NULL}};

static const argument reset_options[] = {
    STATE_OPTION,
    {ARGUMENT("yes", FLAG, state_arguments, yes), .doc = "do not ask"},
    {.name = NULL},
};

const verb verb_state_ls = {
    .name = "state ls",
    .operand = "FILE",
    .operand_offset = offsetof(state_arguments, file),
    .operand_is_optional = true,
    .summary = "what a stream's state folder holds: checkpoint, positions, keys",
    .doc = "Lists the last checkpoint of a stream: its number and time, how far each file was "
           "read, and\n"
           "how many keys are kept. The pipeline may be running.",
    .examples = "    freshet state ls flights.yaml\n"
                "    freshet state ls --state /var/lib/freshet/flights --format json\n",
    .arguments = ls_options,
    .size = sizeof(state_arguments),
    .run = run_ls,
};

const verb verb_state_inspect = {
    .name = "state inspect",
    .operand = "FILE",
    .operand_offset = offsetof(state_arguments, file),
    .summary = "what is kept of a key, as JSON",
    .doc = "Prints what the last checkpoint keeps of a key, as JSON, a line for each part of the "
           "state:\n"
           "the key, the newest row, and the events that windows may still need.",
    .examples = "    freshet state inspect flights.yaml --key origin=EWR --key carrier=UA\n"
                "    freshet state inspect flights.yaml --key origin=EWR --limit 3\n",
    .arguments = inspect_options,
    .size = sizeof(state_arguments),
    .run = run_inspect,
};

const verb verb_state_verify = {
    .name = "state verify",
    .operand = "FILE",
    .operand_offset = offsetof(state_arguments, file),
    .operand_is_optional = true,
    .summary = "read a state folder and check every checksum",
    .doc =
        "Reads everything in the state folder and checks every checksum. Exit code 0: all is "
        "whole;\n"
        "1: damaged, and the message names the file. A run does this for what it reads, no more.",
    .examples = "    freshet state verify flights.yaml\n",
    .arguments = verify_options,
    .size = sizeof(state_arguments),
    .run = run_verify,
};

const verb verb_state_reset = {
    .name = "state reset",
    .operand = "FILE",
    .operand_offset = offsetof(state_arguments, file),
    .operand_is_optional = true,
    .summary = "remove a state folder: the next run begins anew",
    .doc = "Removes the state folder: the next run reads everything from the beginning. What "
           "writers keep\n"
           "stays: move a history away first, or its rows are there twice. Not while the pipeline "
           "runs.",
    .examples = "    freshet state reset flights.yaml\n"
                "    freshet state reset --state /var/lib/freshet/flights --yes\n",
    .arguments = reset_options,
    .size = sizeof(state_arguments),
    .run = run_reset,
};
