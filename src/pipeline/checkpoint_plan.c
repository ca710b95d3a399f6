/* checkpoint_plan.c - what a declaration means for the state that is there, for people:
 * checkpoint_plan_make(); see checkpoint.h.
 *
 * The state is opened to be read, as it was at its last checkpoint, and compared by the calls of a
 * start; nothing is run behind them.
 */
#include <string.h>

#include "base/error.h"
#include "base/os.h"
#include "pipeline/checkpoint_internal.h"
#include "state/folder.h"

#define PLANNING "planning for the state"

/* The declarations of then and now. */
static freshet_code take_declarations(freshet_pipeline *pipeline, checkpoint_plan *out,
                                      freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    text_buffer now;
    text_init(&now, TEXT_LIMIT_DEFAULT);
    freshet_code code = checkpoint_declaration(pipeline, &now, err);
    if (code == FRESHET_OK)
        out->is = arena_copy(pipeline->arena, now.bytes, now.length);
    text_release(&now);
    if (code == FRESHET_OK)
        code = checkpoint_get_fact(checkpoint, FACT_DECLARED, "", err);
    if (code != FRESHET_OK || checkpoint->text.length < sizeof(uint64_t))
        return code == FRESHET_OK && out->is == NULL ? error_memory(err, PLANNING) : code;
    out->was = arena_copy(pipeline->arena, checkpoint->text.bytes + sizeof(uint64_t),
                          checkpoint->text.length - sizeof(uint64_t));
    return out->was == NULL || out->is == NULL ? error_memory(err, PLANNING) : FRESHET_OK;
}

/* Has any run come so far as to keep a state? */
static freshet_code plan_find(const char *folder, bool *is_there, freshet_error *err)
{
    folder_paths paths;
    struct stat info;
    freshet_code code = folder_paths_make(folder, &paths, err);
    *is_there = code == FRESHET_OK && os.stat(folder, &info) == 0 && !folder_is_begun(&paths);
    folder_paths_release(&paths);
    return code;
}

freshet_code checkpoint_plan_make(freshet_pipeline *pipeline, const char *state,
                                  checkpoint_plan *out, freshet_error *err)
{
    *out = (checkpoint_plan){.verdicts = {.arena = pipeline->arena}};
    if (!pipeline->declaration->is_stream || (state == NULL && !checkpoint_is_wanted(pipeline)))
        return FRESHET_END;
    freshet_code code = checkpoint_make(pipeline, state, err);
    if (code != FRESHET_OK)
        return code;
    checkpoint *checkpoint = pipeline->checkpoint;
    bool is_there;
    out->folder = checkpoint->folder;
    code = plan_find(out->folder, &is_there, err);
    if (code != FRESHET_OK || !is_there)
        return code == FRESHET_OK ? FRESHET_END : code;
    code = store_open(out->folder, true, STORE_MEMORY_MIN, &checkpoint->store, err);
    if (code == FRESHET_OK)
        code = checkpoint_get_fact(checkpoint, FACT_CHECKPOINT, "", err);
    if (code != FRESHET_OK)
        return code;
    int64_t last[2];
    if (checkpoint->text.length != sizeof last)
        return FRESHET_END;
    memcpy(last, checkpoint->text.bytes, sizeof last);
    out->number = (uint64_t)last[0];
    out->at_us = last[1];
    code = take_declarations(pipeline, out, err);
    return code == FRESHET_OK ? checkpoint_compare(pipeline, &out->verdicts, err) : code;
}
