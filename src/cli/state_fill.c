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
    const char *from;
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
        "\n%" PRIu64 " keys are in %s: the stream takes them while it runs, or at its "
        "next start (%s); `freshet status` says how far, and `freshet plan` when it has\n",
        made->keys, made->path, made->says);
}

static freshet_code run_fill(const void *arguments, freshet_error *err)
{
    const fill_arguments *given = arguments;
    freshet_declaration *declaration = NULL;
    fill_made made;
    arena *arena = arena_open();
    freshet_code code = arena == NULL ? error_memory(err, "filling the state")
                                      : load_declaration(given->file, &declaration, err);
    if (code == FRESHET_OK)
        code = fill_make(declaration, given->state, given->from, report_problem, NULL, arena, &made,
                         err);
    if (code == FRESHET_OK)
        print_made(&made);
    freshet_declaration_close(declaration);
    arena_close(arena);
    return code;
}

static const argument fill_options[] = {
    {ARGUMENT("from", TEXT, fill_arguments, from), .value = "PATH",
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
