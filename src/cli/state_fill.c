/* state_fill.c - freshet state fill: the past for windows that a changed declaration left half
 * empty (pipeline/fill.h). */
#include <inttypes.h>
#include <stddef.h>

#include "base/error.h"
#include "cli/cli.h"
#include "declaration/declaration.h"
#include "pipeline/fill.h"

typedef struct fill_arguments {
    const char *file;
    argument_list from;
    const char *state;
} fill_arguments;

static void print_made(const fill_made *made)
{
    if (made->path == NULL) {
        output_format("nothing is to be filled: all windows in %s are whole\n", made->folder);
        return;
    }
    for (uint32_t i = 0; i < made->verdicts->n; i++) {
        const verdict *verdict = &made->verdicts->items[i];
        output_format("%s: %s %s\n", verdict->part, verdict->subject, verdict->said);
    }
    output_format("read %" PRId64 " rows of the past from %s", made->rows, made->from);
    if (made->refused > 0)
        output_format(", of which %" PRId64 " were refused: see %s", made->refused, made->letters);
    output_format(
        "\n%" PRIu64 " key%s in %s: the stream takes %s while it runs, or at its "
        "next start (%s); `freshet status` says how far, and `freshet plan` when it has\n",
        made->keys, made->keys == 1 ? " is" : "s are", made->path, made->keys == 1 ? "it" : "them",
        made->says);
}

/* The past is read as one list of files in their order, so there is one path. */
static freshet_code take_from(const argument_list *given, const char **from, freshet_error *err)
{
    *from = given->n == 0 ? NULL : given->items[0];
    if (given->n <= 1)
        return FRESHET_OK;
    return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                     "--from takes one path, and %" PRIu32
                     " are given (\"%s\", \"%s\"%s): name all "
                     "files by one pattern in quotes, as --from 'dump/*.parquet', or the folder "
                     "that they are in",
                     given->n, given->items[0], given->items[1], given->n > 2 ? ", ..." : "");
}

static freshet_code run_fill(const void *arguments, freshet_error *err)
{
    const fill_arguments *given = arguments;
    freshet_declaration *declaration = NULL;
    fill_made made;
    const char *from;
    freshet_code code = take_from(&given->from, &from, err);
    if (code != FRESHET_OK)
        return code;
    arena *arena = arena_open();
    code = arena == NULL ? error_memory(err, "filling the state")
                         : load_declaration(given->file, &declaration, err);
    if (code == FRESHET_OK)
        code = fill_make(declaration, given->state, from, report_problem, NULL, arena, &made, err);
    if (code == FRESHET_OK)
        print_made(&made);
    freshet_declaration_close(declaration);
    arena_close(arena);
    return code;
}

static const argument fill_options[] = {
    {ARGUMENT("from", LIST, fill_arguments, from), .value = "PATH", .takes_more = true,
     .doc = "the rows that the stream has had: a file, a folder or a pattern"},
    {ARGUMENT("state", TEXT, fill_arguments, state), .value = "DIR",
     .doc = "the folder, where it is not the declaration's"},
    {.name = NULL},
};

const verb verb_state_fill = {
    .name = "state fill",
    .operand = "FILE",
    .summary = "fill windows that a changed declaration left half empty, with the past",
    .doc =
        "Reads the rows that the stream has had before, from --from, from its history or from "
        "the\n"
        "\"bootstrap\" of its reader, and fills with them the windows that the state has not kept "
        "enough\n"
        "for. The stream may be running: it takes them meanwhile. \"freshet plan\" says what is to "
        "be filled.",
    .examples = "    freshet state fill payments.yaml --from 'dump/*.parquet'\n"
                "    freshet state fill payments.yaml\n",
    .arguments = fill_options,
    .size = sizeof(fill_arguments),
    .run = run_fill,
};
