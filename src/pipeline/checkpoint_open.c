/* checkpoint_open.c - which state folder; what is in it, and whether it fits; see checkpoint.h.
 *
 * State fits a declaration when every row that it was made of would have been treated alike: the
 * same readers (new ones may come behind), the same meanings (checkpoint_meaning.c), the same parts
 * of keyed state with the same shape, the same kind of sink. What else changes (features without
 * windows, further aggregates of what is kept) counts from here on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "pipeline/checkpoint_internal.h"
#include "state/folder.h"

#define OPENING "opening the state"
#define SHAPE_SHOWN_BYTES 150

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
    for (uint32_t i = 0; i < pipeline->n_writers; i++)
        if (pipeline->writers[i]->ops->keeps != KEEPS_NOTHING)
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

/* ---- does it fit --------------------------------------------------------------------------- */

/* A fact as text in the scratch; "" where there is none. */
static freshet_code get_fact(checkpoint *checkpoint, const char *name, const char *key,
                             freshet_error *err)
{
    text_reset(&checkpoint->text);
    freshet_code code =
        store_get(checkpoint->store, STORE_FACT, name, key, strlen(key), &checkpoint->text, err);
    if (code == FRESHET_END || (code == FRESHET_OK && checkpoint->text.bytes == NULL)) {
        text_reset(&checkpoint->text);
        code = text_append_c(&checkpoint->text, "") ? FRESHET_OK : error_memory(err, OPENING);
    }
    return code;
}

/* What was kept as that fact must be what is so now. */
static freshet_code check_text(freshet_pipeline *pipeline, const char *name, const char *now,
                               const char *reason, freshet_error *err)
{
    freshet_code code = get_fact(pipeline->checkpoint, name, "", err);
    if (code != FRESHET_OK || strcmp(pipeline->checkpoint->text.bytes, now) == 0)
        return code;
    return checkpoint_refuse(pipeline, NULL, err, reason, pipeline->checkpoint->text.bytes);
}

/* Watermarks know a reader by its place in the list; positions by its id. */
static freshet_code checkpoint_check_reader(freshet_pipeline *pipeline, uint32_t i, uint32_t *n_new,
                                            freshet_error *err)
{
    const freshet_reader *reader = pipeline->readers[i].reader;
    const char *id = reader->block->id.value;
    const char *kind = reader->ops->block.name;
    freshet_code code = get_fact(pipeline->checkpoint, FACT_READER, id, err);
    if (code != FRESHET_OK)
        return code;
    char *end;
    const unsigned long place = strtoul(pipeline->checkpoint->text.bytes, &end, 10);
    const char *was = *end == ' ' ? end + 1 : end;
    if (pipeline->checkpoint->text.length == 0)
        ++*n_new;
    else if (was == end || strcmp(was, kind) != 0)
        return checkpoint_refuse(pipeline, NULL, err,
                                 "the reader \"%s\" was of the kind \"%s\" and is now %s", id, was,
                                 kind);
    else if (place != i)
        return checkpoint_refuse(
            pipeline, NULL, err,
            "the reader \"%s\" was number %lu in the list of readers and is now number %u (new "
            "ones go behind the others)",
            id, place + 1, i + 1);
    return FRESHET_OK;
}

static bool is_key(const char *name, const store_entry *entry)
{
    return strlen(name) == entry->key_length && memcmp(name, entry->key, entry->key_length) == 0;
}

typedef struct gone_readers {
    const freshet_pipeline *pipeline;
    uint32_t n;
    char id[128]; /* of one of them */
} gone_readers;

static freshet_code note_reader(void *context, const store_entry *entry, freshet_error *err)
{
    gone_readers *gone = context;
    (void)err;
    for (uint32_t i = 0; i < gone->pipeline->n_readers; i++)
        if (source_drives(gone->pipeline->source, i) &&
            is_key(gone->pipeline->readers[i].reader->block->id.value, entry))
            return FRESHET_OK;
    gone->n++;
    snprintf(gone->id, sizeof gone->id, "%.*s", (int)entry->key_length, entry->key);
    return FRESHET_OK;
}

/* One reader gone and a new one there is one renamed: its rows would come twice. */
static freshet_code check_readers(freshet_pipeline *pipeline, freshet_error *err)
{
    uint32_t n_new = 0;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_readers; i++)
        if (source_drives(pipeline->source, i))
            code = checkpoint_check_reader(pipeline, i, &n_new, err);
    gone_readers gone = {.pipeline = pipeline};
    if (code == FRESHET_OK)
        code = store_visit(pipeline->checkpoint->store, STORE_FACT, FACT_READER, note_reader, &gone,
                           err);
    if (code != FRESHET_OK || gone.n == 0)
        return code;
    if (n_new > 0)
        return checkpoint_refuse(
            pipeline, NULL, err,
            "the reader \"%s\" is gone and another one new; where it only has another name, all "
            "of it would be read again",
            gone.id);
    log_say(LOG_WARNING, pipeline->declaration->pipeline.value,
            "the reader \"%s\" is gone; what its rows left in the state stays", gone.id);
    return FRESHET_OK;
}

/* A part that was not there has not seen the rows before; one of another shape kept other
 * things. */
static freshet_code check_part(freshet_pipeline *pipeline, const state_part *part,
                               freshet_error *err)
{
    text_buffer *text = &pipeline->checkpoint->text;
    freshet_code code = get_fact(pipeline->checkpoint, FACT_PART, part->name, err);
    if (code != FRESHET_OK)
        return code;
    uint64_t fingerprint;
    if (text->length < sizeof fingerprint)
        return checkpoint_refuse(
            pipeline, NULL, err,
            "nothing was kept for its %s, and the rows before will not come again", part->name);
    memcpy(&fingerprint, text->bytes, sizeof fingerprint);
    if (fingerprint == part->fingerprint)
        return FRESHET_OK;
    arena *arena = pipeline->checkpoint->arena;
    const char *then = text->bytes + sizeof fingerprint;
    const char *was = checkpoint_clip(arena, then, part->shape, SHAPE_SHOWN_BYTES);
    const char *is = checkpoint_clip(arena, part->shape, then, SHAPE_SHOWN_BYTES);
    if (was == NULL || is == NULL)
        return error_memory(err, OPENING);
    return checkpoint_refuse(pipeline, NULL, err,
                             "for its %s it keeps \"%s\", and is to keep \"%s\"", part->name, was,
                             is);
}

typedef struct part_names {
    const freshet_pipeline *pipeline;
    text_buffer gone; /* names, each with its 0 byte */
} part_names;

static freshet_code note_gone(void *context, const store_entry *entry, freshet_error *err)
{
    part_names *names = context;
    const checkpoint *checkpoint = names->pipeline->checkpoint;
    for (uint32_t i = 0; i < checkpoint->n_parts; i++)
        if (is_key(checkpoint->parts[i].part->name, entry))
            return FRESHET_OK;
    text_append(&names->gone, entry->key, entry->key_length);
    return text_append_char(&names->gone, '\0') ? FRESHET_OK : error_memory(err, OPENING);
}

/* Parts that the declaration no longer has: rows come from now on that they do not see. */
static freshet_code forget_parts(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    part_names names = {.pipeline = pipeline};
    text_init(&names.gone, TEXT_LIMIT_DEFAULT);
    freshet_code code =
        store_visit(checkpoint->store, STORE_FACT, FACT_PART, note_gone, &names, err);
    if (code == FRESHET_OK && names.gone.length > 0)
        code = store_begin(checkpoint->store, err);
    for (size_t at = 0; code == FRESHET_OK && at < names.gone.length;) {
        const char *name = names.gone.bytes + at;
        log_say(LOG_WARNING, pipeline->declaration->pipeline.value,
                "the declaration has no longer %s, and what was kept for it is removed", name);
        code = store_remove_all(checkpoint->store, STORE_STATE, name, err);
        if (code == FRESHET_OK)
            code = store_remove(checkpoint->store, STORE_FACT, FACT_PART, name, strlen(name), err);
        at += strlen(name) + 1;
    }
    if (code == FRESHET_OK && names.gone.length > 0)
        code = store_commit(checkpoint->store, err);
    if (code == FRESHET_OK)
        code = store_wait(checkpoint->store, err);
    text_release(&names.gone);
    return code;
}

/* Of another layout of facts nothing is read: no declaration can help. */
static freshet_code check_version(const freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    freshet_code code = get_fact(checkpoint, FACT_FEATURES, "", err);
    if (code != FRESHET_OK ||
        feature_set_knows_facts(checkpoint->text.bytes, checkpoint->text.length))
        return code;
    return error_set(
        err, FRESHET_BAD_DECLARATION, FRESHET_STOP, pipeline->declaration->file,
        "another version of Freshet has saved the state in \"%s\", and this one cannot "
        "read it: run that version; or move the folder aside, or remove what is in it "
        "by `freshet state reset --state \"%s\"`, and the stream begins anew",
        checkpoint->folder, checkpoint->folder);
}

static freshet_code check_fits(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    bool lasting = is_lasting(pipeline);
    freshet_code code = check_version(pipeline, err);
    if (code == FRESHET_OK)
        code = check_text(pipeline, FACT_PIPELINE, pipeline->declaration->pipeline.value,
                          "it is of the pipeline \"%s\"", err);
    if (code == FRESHET_OK)
        code = check_text(pipeline, FACT_SINK, checkpoint_sink(pipeline),
                          lasting ? "its rows so far went to a %s table, and would be missing in "
                                    "the writers"
                                  : "its rows go to %s writers, which would miss those of this run",
                          err);
    if (code == FRESHET_OK)
        code = check_readers(pipeline, err);
    if (code == FRESHET_OK)
        code = checkpoint_check_meanings(pipeline, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < checkpoint->n_parts; i++)
        code = check_part(pipeline, checkpoint->parts[i].part, err);
    return code;
}

/* ---- taking it up -------------------------------------------------------------------------- */

static freshet_code load_key(void *context, const void *key, size_t key_length, text_buffer *into,
                             freshet_error *err)
{
    checkpoint_part *part = context;
    if (!part->in_store)
        return FRESHET_END;
    return store_get(part->checkpoint->store, STORE_STATE, part->part->name, key, key_length, into,
                     err);
}

freshet_code checkpoint_list_parts(const freshet_pipeline *pipeline, arena *arena,
                                   const state_part ***out, uint32_t *n, freshet_error *err)
{
    uint32_t n_features = 0, n_source = 0;
    const state_part *of_features = feature_set_state(pipeline->features, &n_features);
    while (source_part(pipeline->source, n_source) != NULL)
        n_source++;
    *n = n_features + n_source;
    *out = arena_zero(arena, *n + (size_t)2, sizeof(const state_part *));
    if (*out == NULL)
        return error_memory(err, OPENING);
    for (uint32_t i = 0; i < n_features; i++)
        (*out)[i] = &of_features[i];
    for (uint32_t i = 0; i < n_source; i++)
        (*out)[n_features + i] = source_part(pipeline->source, i);
    if (pipeline->joining != NULL)
        (*out)[(*n)++] = joined_part(joining_rows(pipeline->joining));
    return FRESHET_OK;
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
        checkpoint->parts[i] = (checkpoint_part){.checkpoint = checkpoint, .part = parts[i]};
        state_part_set_load(parts[i], load_key, &checkpoint->parts[i]);
    }
    return FRESHET_OK;
}

static freshet_code restore_key(void *part, const store_entry *entry, freshet_error *err)
{
    return state_part_restore(part, entry->key, entry->key_length, entry->value, entry->length,
                              err);
}

/* The parts that must know all their keys. */
static freshet_code restore_parts(const checkpoint *checkpoint, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < checkpoint->n_parts; i++) {
        const state_part *part = checkpoint->parts[i].part;
        code = checkpoint_know_layouts(checkpoint->store, part, err);
        if (code == FRESHET_OK && part->keys != STATE_ON_DEMAND)
            code = store_visit(checkpoint->store, STORE_STATE, part->name, restore_key,
                               (void *)part, err);
    }
    return code;
}

static freshet_code restore_features(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    freshet_error problem = {0};
    freshet_code code = get_fact(checkpoint, FACT_FEATURES, "", err);
    if (code != FRESHET_OK)
        return code;
    code = feature_set_restore_facts(pipeline->features, checkpoint->text.bytes,
                                     checkpoint->text.length, &problem);
    if (code == FRESHET_BAD_DECLARATION)
        return checkpoint_refuse(pipeline, NULL, err, "%s", problem.text);
    if (code != FRESHET_OK && err != NULL)
        *err = problem;
    return code;
}

static freshet_code restore_join(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    if (pipeline->joining == NULL)
        return FRESHET_OK;
    freshet_code code = get_fact(checkpoint, FACT_JOIN, "", err);
    return code == FRESHET_OK ? joined_restore(joining_rows(pipeline->joining),
                                               checkpoint->text.bytes, checkpoint->text.length, err)
                              : code;
}

static freshet_code cut_letters(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    dead_letters_mark mark;
    bool cut = true;
    freshet_code code = get_fact(checkpoint, FACT_LETTERS, "", err);
    if (code != FRESHET_OK || checkpoint->text.length != sizeof mark)
        return code;
    memcpy(&mark, checkpoint->text.bytes, sizeof mark);
    code = dead_letters_cut(pipeline->letters, &mark, &cut, err);
    if (code == FRESHET_OK && !cut)
        log_say(LOG_WARNING, pipeline->declaration->pipeline.value,
                "the file of dead letters has another's lines, or was moved, since the last "
                "checkpoint: letters behind it may be there twice");
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
    freshet_code code = get_fact(checkpoint, FACT_SHOWN, pipeline->writers[i]->name, err);
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
        log_say(
            LOG_WARNING, pipeline->declaration->pipeline.value,
            "the last checkpoint lists %u file%s of the writer \"%s\", which is not declared as "
            "it was: what of them was not shown or sent yet never will be; to have it, put the "
            "writer back, let the stream run once and stop it",
            n, n == 1 ? "" : "s", name);
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

/* Goes on from the last checkpoint. */
static freshet_code take_up(freshet_pipeline *pipeline, const int64_t last[2], freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    checkpoint->number = (uint64_t)last[0];
    for (uint32_t i = 0; i < checkpoint->n_parts; i++)
        checkpoint->parts[i].in_store = true;
    freshet_code code = check_fits(pipeline, err);
    if (code == FRESHET_OK)
        code = restore_features(pipeline, err);
    if (code == FRESHET_OK)
        code = restore_join(pipeline, err);
    if (code == FRESHET_OK)
        code = restore_parts(checkpoint, err);
    if (code == FRESHET_OK)
        code = cut_letters(pipeline, err);
    if (code == FRESHET_OK)
        code = recover_writers(pipeline, err);
    if (code == FRESHET_OK) /* last: a declaration that is refused takes nothing away */
        code = forget_parts(pipeline, err);
    text_buffer at;
    text_init(&at, 64);
    text_append_timestamp(&at, last[1]);
    if (code == FRESHET_OK && !at.failed)
        log_say(LOG_INFO, pipeline->declaration->pipeline.value,
                "goes on from checkpoint %llu of %s, in %s", (unsigned long long)last[0], at.bytes,
                checkpoint->folder);
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

static freshet_code open_folder(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = arena_zero(pipeline->arena, 1, sizeof *checkpoint);
    if (checkpoint == NULL || (checkpoint->arena = arena_open()) == NULL)
        return error_memory(err, OPENING);
    pipeline->checkpoint = checkpoint;
    text_init(&checkpoint->text, TEXT_LIMIT_DEFAULT);
    checkpoint->folder = pipeline->options.state != NULL
                             ? arena_text(pipeline->arena, pipeline->options.state)
                             : checkpoint_folder(pipeline->declaration, pipeline->arena);
    if (checkpoint->folder == NULL)
        return error_memory(err, OPENING);
    return store_open(checkpoint->folder, false, &checkpoint->store, err);
}

freshet_code checkpoint_open(freshet_pipeline *pipeline, freshet_error *err)
{
    if (!pipeline->declaration->is_stream && pipeline->options.state != NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, pipeline->declaration->file,
                         "a batch keeps no state: leave --state away, or say `stream: true` at one "
                         "of the readers");
    if (!checkpoint_is_wanted(pipeline))
        return FRESHET_OK;
    int64_t last[2];
    freshet_code code = open_folder(pipeline, err);
    if (code == FRESHET_OK)
        code = take_parts(pipeline, err);
    if (code == FRESHET_OK)
        code = get_fact(pipeline->checkpoint, FACT_CHECKPOINT, "", err);
    if (code != FRESHET_OK)
        return code;
    if (pipeline->checkpoint->text.length != sizeof last)
        return begin_anew(pipeline, err);
    memcpy(last, pipeline->checkpoint->text.bytes, sizeof last);
    return take_up(pipeline, last, err);
}

void checkpoint_close(checkpoint *checkpoint)
{
    if (checkpoint == NULL)
        return;
    store_close(checkpoint->store);
    text_release(&checkpoint->text);
    arena_close(checkpoint->arena);
}
