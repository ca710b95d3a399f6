/* checkpoint_keys.c - the keys that changed, as bytes: what a checkpoint holds most of.
 *
 * While they are made the loop stands still. So the crew makes them: the lists of changed keys, one
 * part behind the other, are cut into slices; each slice is a task, and puts down what it makes in
 * a run of its own (state/store.h). Few keys, and those of a run with one worker, are one slice a
 * part, which the loop makes.
 *
 * Each key that changed is saved as a whole. What is kept of one is small as a rule (an event is
 * some ten bytes), and its events are saved as one run of times and one of each column, without
 * which nothing of it can be read: saving them in pieces would take more bytes and more lookups
 * than it spares.
 */
#include <string.h>

#include "base/crew.h"
#include "base/error.h"
#include "pipeline/checkpoint_internal.h"

#define SLICE_KEYS_MIN 1024u
#define SLICES_A_WORKER 4u /* so that nobody waits long for the last one */

typedef struct slice {
    const checkpoint_part *part;
    uint32_t begin, end; /* places of the part's list */
    store_run *run;
    freshet_code code;
    freshet_error err;
} slice;

static freshet_code put_changed_key(const slice *slice, const state_key *key, freshet_error *err)
{
    const state_part *part = slice->part->part;
    store_run *run = slice->run;
    text_put(store_run_key(run, STORE_STATE, part->name), key->bytes, key->length);
    if (state_part_is_empty(part, key))
        return store_run_remove(run, err);
    freshet_code code = state_part_save(part, key, store_run_value(run), err);
    if (code == FRESHET_OK)
        code = store_run_put(run, err);
    if (code == FRESHET_OK)
        code = checkpoint_drop_heritage(slice->part, key, run, err);
    return code == FRESHET_OK && state_part_is_listed(part)
               ? checkpoint_list_key(part, key, run, err)
               : code;
}

static void put_slice(void *context, uint32_t which)
{
    slice *slice = &((struct slice *)context)[which];
    uint32_t cursor = slice->begin;
    state_key key;
    while (slice->code == FRESHET_OK &&
           state_part_next_dirty_before(slice->part->part, &cursor, slice->end, &key))
        slice->code = put_changed_key(slice, &key, &slice->err);
}

/* Cuts the lists of all parts; *out in the checkpoint's arena. */
static freshet_code cut(const freshet_pipeline *pipeline, slice **out, uint32_t *n,
                        freshet_error *err)
{
    const checkpoint *checkpoint = pipeline->checkpoint;
    const uint32_t n_workers = crew_workers(pipeline->crew);
    uint64_t all = 0;
    for (uint32_t i = 0; i < checkpoint->n_parts; i++)
        all += state_part_dirty_places(checkpoint->parts[i].part);
    uint64_t most = n_workers == 1 ? all + 1 : all / (n_workers * SLICES_A_WORKER) + 1;
    most = most < SLICE_KEYS_MIN ? SLICE_KEYS_MIN : most;
    *n = 0;
    *out = arena_zero(checkpoint->arena, all / most + checkpoint->n_parts + 1, sizeof **out);
    if (*out == NULL)
        return error_memory(err, "making a checkpoint");
    for (uint32_t i = 0; i < checkpoint->n_parts; i++) {
        const checkpoint_part *part = &checkpoint->parts[i];
        const uint64_t n_places = state_part_dirty_places(part->part);
        for (uint64_t begin = 0; begin < n_places; begin += most) {
            const uint64_t end = begin + most < n_places ? begin + most : n_places;
            (*out)[(*n)++] = (slice){
                .part = part, .begin = (uint32_t)begin, .end = (uint32_t)end, .code = FRESHET_OK};
        }
    }
    return FRESHET_OK;
}

freshet_code checkpoint_put_keys(freshet_pipeline *pipeline, freshet_error *err)
{
    state_store *store = pipeline->checkpoint->store;
    slice *slices;
    uint32_t n;
    freshet_code code = cut(pipeline, &slices, &n, err);
    if (code == FRESHET_OK)
        code = store_runs(store, n, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++)
        slices[i].run = store_run_at(store, i);
    if (code == FRESHET_OK)
        crew_run(pipeline->crew, n, put_slice, slices);
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++)
        if (slices[i].code != FRESHET_OK) {
            code = slices[i].code;
            if (err != NULL)
                *err = slices[i].err;
        }
    return code;
}
