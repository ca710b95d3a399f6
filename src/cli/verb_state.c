/* verb_state.c - freshet state ls, inspect, verify, reset: the state folder of a pipeline, from
 * outside.
 *
 * The folder is that of a declaration (FILE), or named (--state). All but reset only read, and may
 * be called while the pipeline runs: they see its last checkpoint.
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
#include "pipeline/fill.h"
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

static freshet_code find_folder(state_call *call, freshet_error *err)
{
    const state_arguments *given = call->given;
    struct stat info;
    freshet_code code = FRESHET_OK;
    if (given->file == NULL && given->state == NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "name the declaration whose state is meant, or a folder by --state");
    if (given->file != NULL && os.stat(given->file, &info) == 0 && S_ISDIR(info.st_mode))
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "%s is a folder: name the file of the declaration, or say --state %s",
                         given->file, given->file);
    if (given->file != NULL)
        code = load_declaration(given->file, &call->declaration, err);
    if (code != FRESHET_OK)
        return code;
    call->arena = arena_open();
    call->folder = given->state;
    if (call->arena != NULL && call->folder == NULL)
        call->folder = checkpoint_folder(declaration_of(call->declaration), call->arena);
    if (call->folder == NULL || call->arena == NULL)
        return error_memory(err, "finding the state");
    return FRESHET_OK;
}

/* A whole verb: does something with the folder, whose store is open where it is `read`. */
static freshet_code run_on_state(const void *arguments, bool read,
                                 freshet_code (*act)(state_call *call, freshet_error *err),
                                 freshet_error *err)
{
    state_call call = {.given = arguments};
    freshet_code code = find_folder(&call, err);
    if (code == FRESHET_OK && read)
        code = store_open(call.folder, true, STORE_MEMORY_MIN, &call.store, err);
    if (code == FRESHET_OK)
        code = act(&call, err);
    store_close(call.store);
    freshet_declaration_close(call.declaration);
    arena_close(call.arena);
    return code;
}

/* ---- ls ------------------------------------------------------------------------------------ */

/* The entries of one name, as they come one behind the other: a reader's positions, a part's
 * keys. */
typedef struct listing {
    state_call *call;
    text_buffer *out;
    bool json;
    bool of_readers;
    text_buffer name;
    text_buffer positions; /* of a reader, as they are printed */
    uint64_t n;            /* entries of the name so far */
    uint64_t bytes;
    uint32_t n_names; /* before this one */
} listing;

static void append_pair(text_buffer *out, const char *name, const char *text, size_t length)
{
    text_format(out, "\"%s\": ", name);
    text_append_json(out, text, length);
}

static void append_position(listing *listing, const char *name, size_t name_length,
                            const char *value, size_t length)
{
    int64_t offset = 0;
    text_buffer *out = &listing->positions;
    if (length < sizeof offset || (!listing->json && listing->n >= POSITIONS_SHOWN))
        return;
    memcpy(&offset, value, sizeof offset);
    const char *label = value + sizeof offset;
    const size_t label_length = strnlen(label, length - sizeof offset); /* lane and mark follow */
    if (!listing->json) {
        text_format(out, "  %.*s at %" PRId64 "\n", (int)label_length, label, offset);
        return;
    }
    text_append_c(out, out->length == 0 ? "{" : ", {");
    append_pair(out, "partition", label, label_length);
    text_append_c(out, ", ");
    append_pair(out, "name", name, name_length);
    text_format(out, ", \"offset\": %" PRId64 "}", offset);
}

static void append_reader(const listing *reader)
{
    text_buffer *out = reader->out;
    const char *positions = reader->positions.length == 0 ? "" : reader->positions.bytes;
    if (reader->json) {
        append_pair(out, "id", reader->name.bytes, reader->name.length);
        text_format(out, ", \"positions\": [%s]}", positions);
        return;
    }
    text_format(out, "reader %s, %" PRIu64 " partition%s\n%s", reader->name.bytes, reader->n,
                reader->n == 1 ? "" : "s", positions);
    if (reader->n > POSITIONS_SHOWN)
        text_format(out, "  ... and %" PRIu64 " more\n", reader->n - POSITIONS_SHOWN);
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

static void append_part(const listing *part)
{
    text_buffer *out = part->out;
    size_t length = 0;
    const char *shape = fact(part->call, FACT_PART, part->name.bytes, &length);
    const size_t skip = length < sizeof(uint64_t) ? length : sizeof(uint64_t);
    if (part->json) {
        append_pair(out, "name", part->name.bytes, part->name.length);
        text_format(out, ", \"keys\": %" PRIu64 ", \"bytes\": %" PRIu64 ", ", part->n, part->bytes);
        append_pair(out, "keeps", shape + skip, length - skip);
        text_append_char(out, '}');
        return;
    }
    text_format(out, "part %s, ", part->name.bytes);
    text_append_count_of(out, (int64_t)part->n, "key");
    text_append_c(out, ", ");
    text_append_bytes(out, (int64_t)part->bytes);
    text_format(out, "\n  keeps %s\n", shape + skip);
}

static void end_name(listing *listing)
{
    if (listing->n == 0)
        return;
    if (listing->json)
        text_append_c(listing->out, listing->n_names == 0 ? "{" : ", {");
    if (listing->of_readers)
        append_reader(listing);
    else
        append_part(listing);
    listing->n_names++;
    listing->n = listing->bytes = 0;
    text_reset(&listing->name);
    text_reset(&listing->positions);
}

static freshet_code take_entry(void *context, const store_entry *entry, freshet_error *err)
{
    listing *listing = context;
    if (listing->n > 0 && strcmp(listing->name.bytes, entry->name) != 0)
        end_name(listing);
    if (listing->n == 0 && !text_append_c(&listing->name, entry->name))
        return error_memory(err, "listing the state");
    if (listing->of_readers)
        append_position(listing, entry->key, entry->key_length, entry->value, entry->length);
    listing->n++;
    listing->bytes += entry->key_length + entry->length;
    return FRESHET_OK;
}

static freshet_code append_list(state_call *call, text_buffer *out, bool of_readers,
                                freshet_error *err)
{
    listing listing = {.call = call,
                       .out = out,
                       .json = call->given->format == (int)STATE_JSON,
                       .of_readers = of_readers};
    text_init(&listing.name, TEXT_LIMIT_DEFAULT);
    text_init(&listing.positions, TEXT_LIMIT_DEFAULT);
    if (listing.json)
        text_format(out, ", \"%s\": [", of_readers ? "readers" : "parts");
    freshet_code code = store_visit(call->store, of_readers ? STORE_POSITION : STORE_STATE, NULL,
                                    take_entry, &listing, err);
    if (code == FRESHET_OK && (listing.name.failed || listing.positions.failed))
        code = error_memory(err, "listing the state");
    if (code == FRESHET_OK)
        end_name(&listing);
    if (listing.json)
        text_append_char(out, ']');
    text_release(&listing.name);
    text_release(&listing.positions);
    return code;
}

static void append_head(state_call *call, text_buffer *out)
{
    const bool json = call->given->format == (int)STATE_JSON;
    int64_t last[2] = {0};
    size_t length = 0;
    const char *bytes = fact(call, FACT_CHECKPOINT, "", &length);
    if (length == sizeof last)
        memcpy(last, bytes, sizeof last);
    const char *version = fact(call, FACT_VERSION, "", &length);
    version = length == 0 ? "0" : version;
    uint64_t declared = 1;
    bytes = fact(call, FACT_DECLARED, "", &length);
    if (length >= sizeof declared)
        memcpy(&declared, bytes, sizeof declared);
    const char *pipeline = fact(call, FACT_PIPELINE, "", &length);
    if (json) {
        text_append_char(out, '{');
        append_pair(out, "folder", call->folder, strlen(call->folder));
        text_append_c(out, ", ");
        append_pair(out, "pipeline", pipeline, length);
        text_format(out,
                    ", \"version\": %s, \"declaration\": %" PRIu64 ", \"checkpoint\": %" PRId64
                    ", \"at\": \"",
                    version, declared, last[0]);
    } else {
        text_format(out, "%s: the state of %s, checkpoint %" PRId64 " of ", call->folder, pipeline,
                    last[0]);
    }
    text_append_timestamp(out, last[1]);
    text_append_char(out, json ? '"' : '\n');
}

static freshet_code list(state_call *call, freshet_error *err)
{
    text_buffer out;
    text_init(&out, TEXT_LIMIT_DEFAULT);
    append_head(call, &out);
    freshet_code code = append_list(call, &out, true, err);
    if (code == FRESHET_OK)
        code = append_list(call, &out, false, err);
    if (call->given->format == (int)STATE_JSON)
        text_append_c(&out, "}\n");
    if (code == FRESHET_OK)
        return output_text(&out, "listing the state", err);
    text_release(&out);
    return code;
}

static freshet_code run_ls(const void *arguments, freshet_error *err)
{
    return run_on_state(arguments, true, list, err);
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

static freshet_code inspect(state_call *call, freshet_error *err)
{
    checkpoint_key keys[ARGUMENT_LIST_MAX];
    const argument_list *given = &call->given->keys;
    checkpoint_search search = {.folder = call->folder,
                                .keys = keys,
                                .n_keys = given->n,
                                .limit = call->given->limit,
                                .write = output_write};
    freshet_pipeline *pipeline = NULL;
    /* whatever batch has left it */
    const freshet_run_options options = {
        .size = sizeof options,
        .check = true,
        .state = call->folder,
        .checkpoint = freshet_declaration_is_stream(call->declaration) ? 0 : 1};
    freshet_code code = open_pipeline(call->declaration, &options, &pipeline, err);
    if (code == FRESHET_OK)
        code = read_keys(given, keys, err);
    if (code == FRESHET_OK)
        code = checkpoint_inspect(pipeline, call->store, &search, err);
    if (code == FRESHET_OK && search.found == 0 && given->n > 0)
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the state in \"%s\" has nothing of this key", call->folder);
    freshet_pipeline_close(pipeline);
    return code;
}

static freshet_code run_inspect(const void *arguments, freshet_error *err)
{
    return run_on_state(arguments, true, inspect, err);
}

/* ---- verify -------------------------------------------------------------------------------- */

static freshet_code verify(state_call *call, freshet_error *err)
{
    freshet_code code = store_verify(call->store, err);
    if (code == FRESHET_OK)
        output_format("%s is whole: every entry was read, and every checksum is right\n",
                      call->folder);
    return code;
}

static freshet_code run_verify(const void *arguments, freshet_error *err)
{
    return run_on_state(arguments, true, verify, err);
}

/* ---- reset --------------------------------------------------------------------------------- */

/* Asks on a terminal; elsewhere --yes must be there. */
static freshet_code may_reset(const state_call *call, freshet_error *err)
{
    if (call->given->yes)
        return FRESHET_OK;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "this removes the state in \"%s\": say --yes where nobody can be asked",
                         call->folder);
    fprintf(stderr, "Remove the state in %s? ", call->folder);
    if (confirmed("The next run reads everything again, and wants the folder of a history that "
                  "this one wrote to be moved away, too."))
        return FRESHET_OK;
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "nothing was removed");
}

static freshet_code reset(state_call *call, freshet_error *err)
{
    freshet_code code = may_reset(call, err);
    if (code != FRESHET_OK)
        return code;
    code = fill_remove_made(call->folder, err);
    if (code == FRESHET_OK)
        code = store_remove_folder(call->folder, err);
    freshet_code filled = FRESHET_OK;
    if (code == FRESHET_OK || code == FRESHET_END)
        filled = fill_remove_file(call->folder, err);
    if (filled != FRESHET_OK)
        return filled;
    if (code == FRESHET_OK)
        output_format("%s is removed; the next run begins anew (the folder of a history that this "
                      "one wrote must be moved away, too)\n",
                      call->folder);
    if (code != FRESHET_END)
        return code;
    output_format("there is no state in %s\n", call->folder);
    return FRESHET_OK;
}

static freshet_code run_reset(const void *arguments, freshet_error *err)
{
    return run_on_state(arguments, false, reset, err);
}

/* ---- the verbs ----------------------------------------------------------------------------- */

#define STATE_OPTION                                                               \
    {                                                                              \
        ARGUMENT("state", TEXT, state_arguments, state),                           \
            .value = "DIR", .doc = "the folder, where it is not the declaration's" \
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
