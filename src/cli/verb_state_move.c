/* verb_state_move.c - freshet state export and import: a state folder as one file, and back. */
#include <inttypes.h>
#include <stddef.h>

#include "base/error.h"
#include "cli/cli.h"
#include "declaration/declaration.h"
#include "pipeline/checkpoint.h"
#include "pipeline/checkpoint_move.h"

typedef struct move_arguments {
    const char *file;
    const char *in; /* the second operand of import */
    const char *output;
    const char *state;
} move_arguments;

static void print_listed(const checkpoint_moved *moved, const char *what)
{
    if (moved->n_listed > 0)
        output_format(
            "take along what the writers hold: %s, and may be shown by the next run only\n", what);
    for (uint32_t i = 0; i < moved->n_listed; i++)
        output_format("  %s\n", moved->listed[i]);
}

static freshet_code move_state(const move_arguments *given, bool imports, freshet_error *err)
{
    freshet_declaration *declaration = NULL;
    checkpoint_moved moved;
    arena *arena = arena_open();
    const char *folder = given->state;
    freshet_code code = load_declaration(given->file, &declaration, err);
    if (code == FRESHET_OK && folder == NULL && arena != NULL)
        folder = checkpoint_folder(declaration_of(declaration), arena);
    if (code == FRESHET_OK && folder == NULL)
        code = error_memory(err, "moving the state");
    if (code == FRESHET_OK && !imports && given->output == NULL)
        code = error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "name the file that the state goes to: -o shop.state.jsonl");
    if (code == FRESHET_OK)
        code = imports ? checkpoint_import(folder, given->in,
                                           declaration_of(declaration)->pipeline.value, arena,
                                           &moved, err)
                       : checkpoint_export(folder, given->output, arena, &moved, err);
    if (code == FRESHET_OK) {
        output_format("%s %s %s: the state of %s, checkpoint %" PRIu64 ", %" PRIu64 " entries\n",
                      imports ? given->in : folder, imports ? "is imported into" : "is exported to",
                      imports ? folder : given->output, moved.pipeline, moved.checkpoint,
                      moved.entries);
        print_listed(&moved, "these files are of the last checkpoint");
    }
    freshet_declaration_close(declaration);
    arena_close(arena);
    return code;
}

static freshet_code export_run(const void *arguments, freshet_error *err)
{
    return move_state(arguments, false, err);
}

static freshet_code import_run(const void *arguments, freshet_error *err)
{
    return move_state(arguments, true, err);
}

#define STATE_FOLDER                                                               \
    {                                                                              \
        ARGUMENT("state", TEXT, move_arguments, state),                            \
            .value = "DIR", .doc = "the folder, where it is not the declaration's" \
    }

static const argument export_options[] = {
    {ARGUMENT("output", TEXT, move_arguments, output), .letter = 'o', .value = "OUT",
     .doc = "the file that it goes to; one that is there is replaced"},
    STATE_FOLDER,
    {.name = NULL},
};

static const argument import_options[] = {STATE_FOLDER, {.name = NULL}};

const verb verb_state_export = {
    .name = "state export",
    .operand = "FILE",
    .summary = "write a state folder to one file, for another machine",
    .doc = "Writes the state of a stream, as of its last checkpoint, to one text file with a "
           "checksum, which\n"
           "\"freshet state import\" reads on any machine. Not while the pipeline runs. What the "
           "writers hold\n"
           "(the folder of a history) is no part of it, and must be taken along.",
    .examples = "    freshet state export flights.yaml -o flights.state.jsonl\n",
    .arguments = export_options,
    .size = sizeof(move_arguments),
    .run = export_run,
};

const verb verb_state_import = {
    .name = "state import",
    .operand = "FILE",
    .second = "IN",
    .summary = "make a state folder of a file that state export wrote",
    .doc = "Makes the declaration's state folder, which must not be there yet, of a file that "
           "\"freshet state\n"
           "export\" has written: all of it, or nothing. The next run goes on where the other "
           "ended.",
    .examples = "    freshet state import flights.yaml flights.state.jsonl\n",
    .arguments = import_options,
    .size = sizeof(move_arguments),
    .run = import_run,
};
