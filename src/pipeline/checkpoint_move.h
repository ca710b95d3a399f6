/* checkpoint_move.h - a state folder as one file, and back: `freshet state export` and `import`.
 *
 * THE FILE is text, a JSON value a line, in UTF-8:
 *
 *     {"freshet_state": 1, "version": 1, "pipeline": "shop", "checkpoint": 812, "listed": [...]}
 *     ["s", "windows", "KEY", "VALUE"]       one an entry of the state: space, name; base64
 *     ...
 *     {"entries": 90210, "sum": "32 hexadecimal digits"}
 *
 * `listed` are files of writers that the last checkpoint lists and that may not be shown yet: they
 * must be taken along. The sum is over all bytes before its line, so a file that was cut, changed
 * or whose lines were turned is refused; `version` is that of the state's layout (checkpoint.h).
 * Both directions take as much memory as the largest entry.
 *
 * EXPORT takes the folder's lock, so no run has it meanwhile, writes aside and renames. IMPORT
 * makes the folder aside (FOLDER.import) and renames it: killed at any time there is no state, or
 * all of it. It takes no place of another state.
 */
#ifndef FRESHET_PIPELINE_CHECKPOINT_MOVE_H
#define FRESHET_PIPELINE_CHECKPOINT_MOVE_H

#include <freshet/freshet.h>

#include "base/arena.h"

#define MOVE_LINE_MAX ((size_t)1 << 30)

typedef struct checkpoint_moved {
    const char *pipeline;
    uint64_t checkpoint;
    uint64_t entries;
    const char **listed; /* "history: year=2024/..." */
    uint32_t n_listed, listed_capacity;
} checkpoint_moved;

/* FRESHET_TRY_AGAIN where a run has the folder; FRESHET_FAILED where rows wait in the folder's
 * spool that are not sent yet: a run has to send them first. */
freshet_code checkpoint_export(const char *folder, const char *path, arena *arena,
                               checkpoint_moved *out, freshet_error *err);

/* `pipeline`: whose it must be. FRESHET_USAGE where the folder has anything; FRESHET_FAILED for a
 * file that is none, or damaged; FRESHET_BAD_DECLARATION for another's, or a newer version's. */
freshet_code checkpoint_import(const char *folder, const char *path, const char *pipeline,
                               arena *arena, checkpoint_moved *out, freshet_error *err);

#endif
