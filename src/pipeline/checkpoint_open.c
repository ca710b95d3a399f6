/* checkpoint_open.c - which state folder, and going on from what is in it, or anew; see
 * checkpoint.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "pipeline/checkpoint_internal.h"
#include "pipeline/fill.h"
#include "state/folder.h"

#define OPENING "opening the state"

/* ---- which folder -------------------------------------------------------------------------- */

const char *checkpoint_folder(const declaration *declaration, arena *arena)
{
    if (declaration->state.path.value != NULL)
        return declaration_path(declaration, arena, declaration->state.path.value);
    const char *name = arena_format(arena, "%s.state", declaration->pipeline.value);
    return name == NULL ? NULL : declaration_path(declaration, arena, name);
}

/* Does any writer keep its rows? */
static bool is_lasting(const freshet_pipeline *pipeline)
{
    for (uint32_t i = 0; !pipeline->options.debug && i < pipeline->n_sinks; i++)
        if (pipeline->sinks[i].ops->keeps != KEEPS_NOTHING)
            return true;
    return false;
}

const char *checkpoint_sink(const freshet_pipeline *pipeline)
{
    return is_lasting(pipeline) ? "lasting" : "debug";
}

bool checkpoint_is_wanted(const freshet_pipeline *pipeline)
{
    if (!pipeline->declaration->is_stream)
        return false;
    if (pipeline->options.state != NULL)
        return true;
    return !pipeline->options.debug &&
           (pipeline->declaration->state.path.value != NULL || is_lasting(pipeline));
}

/* ---- taking it up -------------------------------------------------------------------------- */

static freshet_code load_key(void *context, const void *key, size_t key_length, text_buffer *into,
                             freshet_error *err)
{
    checkpoint_part *part = context;
    if (!part->in_store || part->begins_anew)
        return FRESHET_END;
    atomic_fetch_add_explicit(&part->store_reads, 1, memory_order_relaxed);
    return store_get(part->checkpoint->store, STORE_STATE, part->part->name, key, key_length, into,
                     err);
}

static freshet_code load_keys(void *context, const state_key *keys, uint32_t n,
                              state_loaded_fn *loaded, void *into, freshet_error *err)
{
    checkpoint_part *part = context;
    if (part->in_store)
        atomic_fetch_add_explicit(&part->store_reads, n, memory_order_relaxed);
    return part->in_store ? store_get_many(part->checkpoint->store, STORE_STATE, part->part->name,
                                           keys, n, loaded, into, err)
                          : FRESHET_OK;
}

freshet_code checkpoint_list_parts(const freshet_pipeline *pipeline, arena *arena,
                                   const state_part ***out, uint32_t *n, freshet_error *err)
{
    uint32_t n_features = 0, n_source = 0;
    const state_part *of_features = feature_set_state(pipeline->features, &n_features);
    while (source_part(pipeline->source, n_source) != NULL)
        n_source++;
    *n = n_features + n_source;
    *out = arena_zero(arena, *n + (size_t)3, sizeof(const state_part *));
    if (*out == NULL)
        return error_memory(err, OPENING);
    for (uint32_t i = 0; i < n_features; i++)
        (*out)[i] = &of_features[i];
    for (uint32_t i = 0; i < n_source; i++)
        (*out)[n_features + i] = source_part(pipeline->source, i);
    if (pipeline->serving != NULL && serving_rows_part(pipeline->serving->target.rows) != NULL)
        (*out)[(*n)++] = serving_rows_part(pipeline->serving->target.rows);
    if (pipeline->joining != NULL)
        (*out)[(*n)++] = joined_part(joining_rows(pipeline->joining));
    return FRESHET_OK;
}

static bool make_brought(const freshet_pipeline *pipeline, checkpoint_part *part)
{
    const uint32_t n = part->part->n_pieces == 0 ? 1 : part->part->n_pieces;
    part->brought = arena_alloc(pipeline->arena, n * sizeof *part->brought);
    for (uint32_t i = 0; part->brought != NULL && i < n; i++)
        text_init(&part->brought[i], TEXT_LIMIT_DEFAULT);
    part->n_brought = part->brought == NULL ? 0 : n;
    return part->brought != NULL;
}

static freshet_code take_parts(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    const state_part **parts = NULL;
    freshet_code code =
        checkpoint_list_parts(pipeline, pipeline->arena, &parts, &checkpoint->n_parts, err);
    if (code != FRESHET_OK)
        return code;
    checkpoint->parts =
        arena_zero(pipeline->arena, checkpoint->n_parts + (size_t)1, sizeof *checkpoint->parts);
    if (checkpoint->parts == NULL)
        return error_memory(err, OPENING);
    for (uint32_t i = 0; i < checkpoint->n_parts; i++) {
        checkpoint->parts[i] =
            (checkpoint_part){.checkpoint = checkpoint, .part = parts[i], .left_before = INT64_MAX};
        text_init(&checkpoint->parts[i].swept, TEXT_LIMIT_DEFAULT);
        text_init(&checkpoint->parts[i].sweeping, TEXT_LIMIT_DEFAULT);
        if (!make_brought(pipeline, &checkpoint->parts[i]))
            return error_memory(err, OPENING);
        state_part_set_load(parts[i], load_key, &checkpoint->parts[i]);
        state_part_set_load_many(parts[i], load_keys);
        if (state_part_is_listed(parts[i]) && !state_part_is_swept(parts[i]))
            state_part_set_bring(parts[i], checkpoint_bring);
    }
    return FRESHET_OK;
}

static freshet_code restore_key(void *part, const store_entry *entry, freshet_error *err)
{
    return state_part_restore(part, entry->key, entry->key_length, entry->value, entry->length,
                              err);
}

/* Of a store in which it is not listed yet, or under another time: the next checkpoint puts it down
 * again. */
static freshet_code restore_unlisted(void *context, const store_entry *entry, freshet_error *err)
{
    const state_part *part = context;
    freshet_code code = restore_key(context, entry, err);
    if (code == FRESHET_OK)
        state_part_touch(part, entry->key, entry->key_length);
    return code;
}

static freshet_code restore_part(const checkpoint *checkpoint, const state_part *part,
                                 freshet_error *err)
{
    store_visit_fn *restore = part->keys == STATE_ON_DEMAND ? NULL : restore_key;
    if (state_part_is_listed(part)) {
        text_buffer fact;
        text_init(&fact, TEXT_LIMIT_DEFAULT);
        const freshet_code code = store_get(checkpoint->store, STORE_FACT, FACT_LISTED, part->name,
                                            strlen(part->name), &fact, err);
        text_release(&fact);
        if (code != FRESHET_OK && code != FRESHET_END)
            return code;
        restore = code == FRESHET_END || state_part_lists_anew(part) ? restore_unlisted : restore;
    }
    return restore == NULL ? FRESHET_OK
                           : store_visit(checkpoint->store, STORE_STATE, part->name, restore,
                                         (void *)part, err);
}

/* The parts that must know all their keys. */
static freshet_code restore_parts(const checkpoint *checkpoint, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < checkpoint->n_parts; i++) {
        const state_part *part = checkpoint->parts[i].part;
        code = checkpoint_know_layouts(checkpoint->store, part, err);
        if (code == FRESHET_OK && !checkpoint->parts[i].begins_anew)
            code = restore_part(checkpoint, part, err);
    }
    return code;
}

static freshet_code restore_join(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    if (pipeline->joining == NULL)
        return FRESHET_OK;
    freshet_code code = checkpoint_get_fact(checkpoint, FACT_JOIN, "", err);
    return code == FRESHET_OK ? joined_restore(joining_rows(pipeline->joining),
                                               checkpoint->text.bytes, checkpoint->text.length, err)
                              : code;
}

static freshet_code cut_letters(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    dead_letters_mark mark;
    bool cut = true;
    freshet_code code = checkpoint_get_fact(checkpoint, FACT_LETTERS, "", err);
    if (code != FRESHET_OK || checkpoint->text.length != sizeof mark)
        return code;
    memcpy(&mark, checkpoint->text.bytes, sizeof mark);
    code = dead_letters_cut(pipeline->letters, &mark, &cut, err);
    if (code == FRESHET_OK && !cut)
        log_event(LETTERS_MOVED, pipeline->declaration->pipeline.value);
    return code;
}

/* Paths of the files that the last checkpoint lists. */
typedef struct listing {
    arena *arena;
    const char **paths;
    uint32_t n, capacity;
} listing;

static freshet_code list_file(void *context, const store_entry *entry, freshet_error *err)
{
    listing *listing = context;
    char *path = arena_copy(listing->arena, entry->key, entry->key_length);
    if (path == NULL || !arena_reserve(listing->arena, &listing->paths, &listing->capacity,
                                       listing->n + UINT64_C(1), sizeof *listing->paths))
        return error_memory(err, OPENING);
    listing->paths[listing->n++] = path;
    return FRESHET_OK;
}

static freshet_code take_shown(const freshet_pipeline *pipeline, uint32_t i, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    shown_files *shown = &checkpoint->shown[i];
    uint64_t numbers[2];
    freshet_code code =
        checkpoint_get_fact(checkpoint, FACT_SHOWN, pipeline->writers[i]->name, err);
    if (code != FRESHET_OK || checkpoint->text.length <= sizeof numbers)
        return code;
    memcpy(numbers, checkpoint->text.bytes, sizeof numbers);
    shown->checkpoint = numbers[0];
    shown->rows = numbers[1];
    snprintf(shown->newest, sizeof shown->newest, "%s", checkpoint->text.bytes + sizeof numbers);
    return FRESHET_OK;
}

static freshet_code recover_writer(freshet_pipeline *pipeline, uint32_t i, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    freshet_writer *writer = pipeline->writers[i];
    listing listing = {.arena = checkpoint->arena};
    freshet_code code = store_visit(checkpoint->store, STORE_FILE, pipeline->writers[i]->name,
                                    list_file, &listing, err);
    if (code != FRESHET_OK)
        return code;
    checkpoint->is_listed |= listing.n > 0;
    code = take_shown(pipeline, i, err);
    if (code != FRESHET_OK)
        return code;
    const shown_files *shown = &checkpoint->shown[i];
    writer_files files = {.paths = listing.paths,
                          .n = listing.n,
                          .newest = shown->checkpoint == 0 ? NULL : shown->newest,
                          .shown_checkpoint = shown->checkpoint,
                          .shown_rows = shown->rows};
    return writer->ops->recover(writer, &files, err);
}

static bool is_recovered(const freshet_pipeline *pipeline, const char *name, size_t length)
{
    for (uint32_t i = 0; i < pipeline->n_writers; i++) {
        const freshet_writer *writer = pipeline->writers[i];
        if (writer->ops->recover != NULL && strlen(writer->name) == length &&
            memcmp(writer->name, name, length) == 0)
            return true;
    }
    return false;
}

static freshet_code count_file(void *context, const store_entry *entry, freshet_error *err)
{
    (void)entry;
    (void)err;
    ++*(uint32_t *)context;
    return FRESHET_OK;
}

/* A writer that had files in the last checkpoint, and is not declared any more, or is another. */
static freshet_code tell_left(void *context, const store_entry *entry, freshet_error *err)
{
    freshet_pipeline *pipeline = context;
    const char *name = arena_copy(pipeline->arena, entry->key, entry->key_length);
    uint32_t n = 0;
    if (name == NULL)
        return error_memory(err, OPENING);
    if (is_recovered(pipeline, entry->key, entry->key_length))
        return FRESHET_OK;
    freshet_code code =
        store_visit(pipeline->checkpoint->store, STORE_FILE, name, count_file, &n, err);
    if (code == FRESHET_OK && n > 0)
        log_event(WRITER_FILES_LEFT, pipeline->declaration->pipeline.value, n, n == 1 ? "" : "s",
                  name);
    return code;
}

static freshet_code recover_writers(freshet_pipeline *pipeline, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    const char *folder =
        arena_format(pipeline->arena, "%s/" FOLDER_SPOOL, pipeline->checkpoint->folder);
    if (folder == NULL)
        return error_memory(err, OPENING);
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_writers; i++) {
        freshet_writer *writer = pipeline->writers[i];
        writer->checkpoint = pipeline->checkpoint->number + 1;
        writer->folder = folder;
        if (writer->ops->recover != NULL)
            code = recover_writer(pipeline, i, err);
    }
    if (code == FRESHET_OK)
        code = store_visit(pipeline->checkpoint->store, STORE_FACT, FACT_SHOWN, tell_left, pipeline,
                           err);
    return code;
}

/* Restores facts that are no key's, and refuses what cannot be served, or says what changes. */
static freshet_code fit(freshet_pipeline *pipeline, freshet_error *err)
{
    evolution evolution = {.arena = arena_open()};
    freshet_code code = evolution.arena == NULL ? error_memory(err, OPENING)
                                                : checkpoint_compare(pipeline, &evolution, err);
    if (code == FRESHET_OK)
        code = checkpoint_obey(pipeline, &evolution, err);
    arena_close(evolution.arena);
    return code;
}

/* Goes on from the last checkpoint. */
static freshet_code take_up(freshet_pipeline *pipeline, const int64_t last[2], freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    checkpoint->number = (uint64_t)last[0];
    for (uint32_t i = 0; i < checkpoint->n_parts; i++)
        checkpoint->parts[i].in_store = true;
    freshet_code code = fit(pipeline, err);
    checkpoint_open_heirs(checkpoint);
    if (code == FRESHET_OK)
        code = restore_join(pipeline, err);
    if (code == FRESHET_OK)
        code = restore_parts(checkpoint, err);
    if (code == FRESHET_OK)
        code = cut_letters(pipeline, err);
    if (code == FRESHET_OK)
        code = recover_writers(pipeline, err);
    if (code == FRESHET_OK)
        code = checkpoint_succeed(pipeline, err);
    if (code == FRESHET_OK) /* last: a declaration that is refused takes nothing away */
        code = checkpoint_forget_parts(checkpoint, err);
    text_buffer at;
    text_init(&at, 64);
    text_append_timestamp(&at, last[1]);
    if (code == FRESHET_OK && !at.failed)
        log_event(STATE_GOES_ON, pipeline->declaration->pipeline.value, (unsigned long long)last[0],
                  at.bytes, checkpoint->folder);
    text_release(&at);
    return code;
}

/* The first checkpoint says where everything was before the first row. */
static freshet_code begin_anew(freshet_pipeline *pipeline, freshet_error *err)
{
    freshet_code code = recover_writers(pipeline, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_writers; i++)
        if (pipeline->writers[i]->ops->begin_anew != NULL)
            pipeline->writers[i]->ops->begin_anew(pipeline->writers[i]);
    if (code == FRESHET_OK)
        code = checkpoint_begin(pipeline, err);
    return code == FRESHET_OK ? checkpoint_finish(pipeline, err) : code;
}

freshet_code checkpoint_make(freshet_pipeline *pipeline, const char *state, freshet_error *err)
{
    checkpoint *checkpoint = arena_zero(pipeline->arena, 1, sizeof *checkpoint);
    if (checkpoint == NULL || (checkpoint->arena = arena_open()) == NULL)
        return error_memory(err, OPENING);
    pipeline->checkpoint = checkpoint;
    text_init(&checkpoint->text, TEXT_LIMIT_DEFAULT);
    checkpoint->declared = 1;
    checkpoint->memory = declaration_memory(pipeline->declaration);
    atomic_store(&pipeline->counters[FRESHET_STATE_LIMIT], (long long)checkpoint->memory);
    checkpoint->folder = state != NULL ? arena_text(pipeline->arena, state)
                                       : checkpoint_folder(pipeline->declaration, pipeline->arena);
    return checkpoint->folder == NULL ? error_memory(err, OPENING) : take_parts(pipeline, err);
}

freshet_code checkpoint_open(freshet_pipeline *pipeline, freshet_error *err)
{
    if (!pipeline->declaration->is_stream && pipeline->options.state != NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, pipeline->declaration->file,
                         "a batch keeps no state: leave --state away; or add --checkpoint, and it "
                         "leaves one there, behind which a stream goes on; or say `stream: true` "
                         "at one of the readers");
    if (!checkpoint_is_wanted(pipeline))
        return FRESHET_OK;
    int64_t last[2];
    freshet_code code = checkpoint_make(pipeline, pipeline->options.state, err);
    if (code == FRESHET_OK)
        code = store_open(pipeline->checkpoint->folder, false,
                          checkpoint_share_store(pipeline->checkpoint->memory),
                          &pipeline->checkpoint->store, err);
    if (code == FRESHET_OK)
        code = checkpoint_get_fact(pipeline->checkpoint, FACT_CHECKPOINT, "", err);
    if (code != FRESHET_OK)
        return code;
    if (pipeline->checkpoint->text.length != sizeof last)
        return begin_anew(pipeline, err);
    memcpy(last, pipeline->checkpoint->text.bytes, sizeof last);
    code = take_up(pipeline, last, err);
    return code == FRESHET_OK ? fill_open(pipeline, err) : code;
}

void checkpoint_disown(checkpoint *checkpoint)
{
    if (checkpoint != NULL && checkpoint->store != NULL)
        store_disown(checkpoint->store);
}

void checkpoint_close(checkpoint *checkpoint)
{
    if (checkpoint == NULL)
        return;
    for (uint32_t i = 0; i < checkpoint->n_parts; i++) {
        text_release(&checkpoint->parts[i].swept);
        text_release(&checkpoint->parts[i].sweeping);
        for (uint32_t k = 0; k < checkpoint->parts[i].n_brought; k++)
            text_release(&checkpoint->parts[i].brought[k]);
    }
    store_close_unused(checkpoint->store); /* a run that is refused leaves no folder */
    text_release(&checkpoint->text);
    arena_close(checkpoint->arena);
}
