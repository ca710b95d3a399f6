/* checkpoint.c - taking checkpoints; see checkpoint.h.
 *
 *   CHECKPOINT_NONE ──begin──► CHECKPOINT_WRITING ──durable──► CHECKPOINT_PUBLISHING ──► and again
 *
 * The loop calls checkpoint_turn() after each step; it moves on as far as it can without waiting.
 * When gathering fails (a disk is full), nothing was handed over, and the next turn gathers anew.
 * When writing fails, the store keeps what it was given, and each turn lets it try again.
 */
#include "pipeline/checkpoint.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "pipeline/bootstrap.h"
#include "pipeline/checkpoint_internal.h"
#include "pipeline/fill.h"
#include "pipeline/handover.h"

#define CHECKPOINTING "making a checkpoint"
#define TRIM_LOOK_EVERY 64u

/* ---- what is put down ---------------------------------------------------------------------- */

static freshet_code put_fact(checkpoint *checkpoint, const char *name, const char *key,
                             const void *value, size_t length, freshet_error *err)
{
    return store_put(checkpoint->store, STORE_FACT, name, key, strlen(key), value, length, err);
}

static freshet_code checkpoint_put_text(checkpoint *checkpoint, const char *name, const char *text,
                                        freshet_error *err)
{
    return put_fact(checkpoint, name, "", text == NULL ? "" : text, text == NULL ? 0 : strlen(text),
                    err);
}

static freshet_code put_version(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    text_buffer *text = &checkpoint->text;
    char version[16];
    snprintf(version, sizeof version, "%u", CHECKPOINT_VERSION);
    freshet_code code = checkpoint_put_text(checkpoint, FACT_VERSION, version, err);
    text_reset(text);
    text_append(text, (const char *)&checkpoint->declared, sizeof checkpoint->declared);
    if (code == FRESHET_OK)
        code = checkpoint_declaration(pipeline, text, err);
    return code == FRESHET_OK
               ? put_fact(checkpoint, FACT_DECLARED, "", text->bytes, text->length, err)
               : code;
}

/* Of a part that lists no more: what it saves from now on is in no list. */
static freshet_code forget_list(checkpoint *checkpoint, const state_part *part, freshet_error *err)
{
    state_store *store = checkpoint->store;
    const size_t length = strlen(part->name);
    text_reset(&checkpoint->text);
    freshet_code code =
        store_get(store, STORE_FACT, FACT_LISTED, part->name, length, &checkpoint->text, err);
    if (code != FRESHET_OK)
        return code == FRESHET_END ? FRESHET_OK : code;
    code = store_remove(store, STORE_FACT, FACT_LISTED, part->name, length, err);
    return code == FRESHET_OK ? store_remove_all(store, STORE_LISTED, part->name, err) : code;
}

/* What the store has of a part that begins anew goes with what is put down now. */
static freshet_code forget_saved(checkpoint_part *part, freshet_error *err)
{
    state_store *store = part->checkpoint->store;
    if (!part->begins_anew)
        return FRESHET_OK;
    freshet_code code = store_remove_all(store, STORE_STATE, part->part->name, err);
    return code == FRESHET_OK ? store_remove_all(store, STORE_LISTED, part->part->name, err) : code;
}

/* What later runs compare themselves with: once a run. */
static freshet_code put_declaration(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    freshet_code code =
        checkpoint_put_text(checkpoint, FACT_PIPELINE, pipeline->declaration->pipeline.value, err);
    if (code == FRESHET_OK)
        code = checkpoint_put_text(checkpoint, FACT_SINK, checkpoint_sink(pipeline), err);
    if (code == FRESHET_OK)
        code = checkpoint_put_meanings(pipeline, err);
    if (code == FRESHET_OK)
        code = checkpoint_put_columns(pipeline, err);
    if (code == FRESHET_OK)
        code = put_version(pipeline, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_readers; i++) {
        const freshet_reader *reader = pipeline->readers[i].reader;
        if (!source_drives(pipeline->source, i))
            continue;
        text_reset(&checkpoint->text);
        if (!text_format(&checkpoint->text, "%u %s", i, reader->ops->block.name))
            return error_memory(err, CHECKPOINTING);
        code = put_fact(checkpoint, FACT_READER, reader->block->id.value, checkpoint->text.bytes,
                        checkpoint->text.length, err);
    }
    for (uint32_t i = 0; code == FRESHET_OK && i < checkpoint->n_parts; i++) {
        const state_part *part = checkpoint->parts[i].part;
        text_reset(&checkpoint->text);
        text_append(&checkpoint->text, (const char *)&part->fingerprint, sizeof part->fingerprint);
        if (!text_append_c(&checkpoint->text, part->shape))
            return error_memory(err, CHECKPOINTING);
        code = put_fact(checkpoint, FACT_PART, part->name, checkpoint->text.bytes,
                        checkpoint->text.length, err);
        if (code == FRESHET_OK)
            code = state_part_is_listed(part)
                       ? put_fact(checkpoint, FACT_LISTED, part->name, "", 0, err)
                       : forget_list(checkpoint, part, err);
        if (code == FRESHET_OK)
            code = forget_saved(&checkpoint->parts[i], err);
    }
    return code;
}

static freshet_code put_note(void *context, const char *name, size_t length, freshet_error *err)
{
    checkpoint *checkpoint = context;
    return store_put(checkpoint->store, STORE_FACT, FACT_REPLAYED, name, length, "", 0, err);
}

static freshet_code put_run(void *context, const char *run, const void *value, size_t length,
                            freshet_error *err)
{
    return put_fact(context, FACT_REPLAYED_RUN, run, value, length, err);
}

static freshet_code put_same(void *context, const char *key, const void *value, size_t length,
                             freshet_error *err)
{
    return put_fact(context, FACT_SAME, key, value, length, err);
}

static freshet_code put_replayed(freshet_pipeline *pipeline, freshet_error *err)
{
    if (pipeline->replay == NULL)
        return FRESHET_OK;
    if (replay_is_over(pipeline->replay)) {
        const freshet_code code =
            store_remove_all(pipeline->checkpoint->store, STORE_FACT, FACT_REPLAYED, err);
        return code == FRESHET_OK
                   ? replay_runs(pipeline->replay, put_run, pipeline->checkpoint, err)
                   : code;
    }
    return replay_notes(pipeline->replay, put_note, pipeline->checkpoint, err);
}

static freshet_code put_facts(freshet_pipeline *pipeline, const dead_letters_mark *letters,
                              freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    int64_t last[2] = {(int64_t)checkpoint->number + 1, os.now_us()};
    freshet_code code = put_fact(checkpoint, FACT_CHECKPOINT, "", last, sizeof last, err);
    if (code == FRESHET_OK)
        code = put_fact(checkpoint, FACT_LETTERS, "", letters, sizeof *letters, err);
    if (code == FRESHET_OK)
        code = put_replayed(pipeline, err);
    if (code == FRESHET_OK && pipeline->has_bootstraps)
        code = checkpoint_put_seams(pipeline, err);
    if (code == FRESHET_OK && pipeline->has_bootstraps)
        code = bootstrap_put_same(pipeline, put_same, checkpoint, err);
    text_reset(&checkpoint->text);
    if (code == FRESHET_OK)
        code = feature_set_save_facts(pipeline->features, &checkpoint->text, err);
    if (code == FRESHET_OK)
        code = put_fact(checkpoint, FACT_FEATURES, "", checkpoint->text.bytes,
                        checkpoint->text.length, err);
    if (code == FRESHET_OK && pipeline->joining != NULL) {
        text_reset(&checkpoint->text);
        code = joined_save(joining_rows(pipeline->joining), &checkpoint->text, err);
        if (code == FRESHET_OK)
            code = put_fact(checkpoint, FACT_JOIN, "", checkpoint->text.bytes,
                            checkpoint->text.length, err);
    }
    if (code == FRESHET_OK && pipeline->fill != NULL)
        code = fill_put(pipeline, err);
    if (code == FRESHET_OK && !checkpoint->is_declared)
        code = put_declaration(pipeline, err);
    return code;
}

static freshet_code put_position(checkpoint *checkpoint, const char *id,
                                 const reader_position *position, freshet_error *err)
{
    text_buffer *text = &checkpoint->text;
    text_reset(text);
    text_append(text, (const char *)&position->offset, sizeof position->offset);
    text_append_c(text, position->label);
    if (position->lane != 0 || position->mark_length > 0) { /* behind the label's NUL */
        text_append_char(text, '\0');
        text_append(text, (const char *)&position->lane, sizeof position->lane);
        text_append(text, position->mark, position->mark_length);
    }
    if (text->failed)
        return error_memory(err, CHECKPOINTING);
    return store_put(checkpoint->store, STORE_POSITION, id, position->name, strlen(position->name),
                     text->bytes, text->length, err);
}

/* The positions that moved; the first time in a run all of them, in the place of those that are
 * there: names may have changed (a file on a disk that got another number). */
static freshet_code put_positions(freshet_pipeline *pipeline, uint32_t i, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    freshet_reader *reader = pipeline->readers[i].reader;
    const char *id = reader->block->id.value;
    bool all = !checkpoint->kept_readers[i] || checkpoint->moved_lost;
    reader_positions *positions = &checkpoint->positions[i];
    freshet_code code = reader->ops->positions(reader, checkpoint->arena, all, positions, err);
    if (code == FRESHET_OK && pipeline->merge != NULL)
        merge_place(pipeline->merge, i, positions);
    if (code == FRESHET_OK && all)
        code = store_remove_all(checkpoint->store, STORE_POSITION, id, err);
    for (uint32_t k = 0; code == FRESHET_OK && k < positions->n; k++)
        code = put_position(checkpoint, id, &positions->items[k], err);
    return code;
}

static freshet_code put_all_positions(freshet_pipeline *pipeline, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    memset(pipeline->checkpoint->positions, 0, sizeof pipeline->checkpoint->positions);
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_readers; i++)
        if (source_drives(pipeline->source, i) && pipeline->readers[i].opened &&
            pipeline->readers[i].reader->ops->positions != NULL)
            code = put_positions(pipeline, i, err);
    return code;
}

/* What is shown once these files are, too. */
static freshet_code put_shown(const freshet_pipeline *pipeline, uint32_t i, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    writer_files *files = &checkpoint->files[i];
    const uint64_t numbers[] = {checkpoint->number + 1, checkpoint->shown[i].rows + files->n_rows};
    files->newest = files->paths[files->n - 1];
    files->shown_checkpoint = numbers[0];
    files->shown_rows = numbers[1];
    assert(strlen(files->newest) < SHOWN_PATH_MAX);
    text_reset(&checkpoint->text);
    text_append(&checkpoint->text, (const char *)numbers, sizeof numbers);
    if (!text_append_c(&checkpoint->text, files->newest))
        return error_memory(err, CHECKPOINTING);
    return put_fact(checkpoint, FACT_SHOWN, pipeline->writers[i]->name, checkpoint->text.bytes,
                    checkpoint->text.length, err);
}

/* The files to publish, in the place of those that the checkpoint before has listed. */
static freshet_code put_files(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_writers; i++) {
        const freshet_writer *writer = pipeline->writers[i];
        const writer_files *files = &checkpoint->files[i];
        if (writer->ops->pending == NULL)
            continue;
        if (checkpoint->is_listed)
            code = store_remove_all(checkpoint->store, STORE_FILE, pipeline->writers[i]->name, err);
        for (uint32_t k = 0; code == FRESHET_OK && k < files->n; k++)
            code = store_put(checkpoint->store, STORE_FILE, pipeline->writers[i]->name,
                             files->paths[k], strlen(files->paths[k]), "", 0, err);
        if (code == FRESHET_OK && files->n > 0)
            code = put_shown(pipeline, i, err);
    }
    return code;
}

/* ---- begin --------------------------------------------------------------------------------- */

static freshet_code ask_writers(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    freshet_code code = pipeline_flush(pipeline, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_writers; i++) {
        freshet_writer *writer = pipeline->writers[i];
        checkpoint->files[i] = (writer_files){0};
        if (writer->ops->pending != NULL)
            code = writer->ops->pending(writer, checkpoint->arena, &checkpoint->files[i], err);
    }
    return code;
}

static freshet_code checkpoint_gather(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    dead_letters_mark letters;
    arena_reset(checkpoint->arena);
    freshet_code code = ask_writers(pipeline, err);
    if (code == FRESHET_OK)
        code = dead_letters_keep(pipeline->letters, &letters, err);
    if (code == FRESHET_OK)
        code = put_facts(pipeline, &letters, err);
    if (code != FRESHET_OK)
        return code;
    code = put_all_positions(pipeline, err);
    checkpoint->moved_lost |= code != FRESHET_OK;
    if (code == FRESHET_OK)
        code = put_files(pipeline, err);
    if (code == FRESHET_OK)
        code = checkpoint_put_keys(pipeline, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < checkpoint->n_parts; i++)
        code = checkpoint_sweep(&checkpoint->parts[i], pipeline_owes(pipeline), err);
    if (code == FRESHET_OK)
        code = store_commit(checkpoint->store, err);
    checkpoint->moved_lost |= code != FRESHET_OK;
    return code;
}

static void note_shown(shown_files *shown, const writer_files *files)
{
    if (files->n == 0)
        return;
    shown->checkpoint = files->shown_checkpoint;
    shown->rows = files->shown_rows;
    snprintf(shown->newest, sizeof shown->newest, "%s", files->newest);
}

static void note_handed(checkpoint_part *part)
{
    state_part_clean(part->part);
    part->left_before = part->leaving_before;
    if (part->sweeping.length == 0)
        return;
    const text_buffer swept = part->swept;
    part->swept = part->sweeping;
    part->sweeping = swept;
    text_reset(&part->sweeping);
}

/* It is handed over: what comes now belongs to the next one. */
static void turn_over(freshet_pipeline *pipeline)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    checkpoint->number++;
    if (pipeline->replay != NULL)
        replay_noted(pipeline->replay);
    checkpoint->is_declared = true;
    pipeline->is_sorted_anew = false;
    checkpoint->is_changed = false;
    checkpoint->moved_lost = false;
    checkpoint->is_listed = false;
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        checkpoint->kept_readers[i] |= pipeline->readers[i].opened;
    for (uint32_t i = 0; i < pipeline->n_writers; i++) {
        pipeline->writers[i]->checkpoint = checkpoint->number + 1;
        checkpoint->is_listed |= checkpoint->files[i].n > 0;
        note_shown(&checkpoint->shown[i], &checkpoint->files[i]);
    }
    for (uint32_t i = 0; i < checkpoint->n_parts; i++)
        note_handed(&checkpoint->parts[i]);
    checkpoint->wants_memory = false;
    checkpoint->phase = CHECKPOINT_WRITING;
    checkpoint->published = 0;
    checkpoint->rows_at = freshet_counter(pipeline, FRESHET_ROWS_READ);
    checkpoint->handed_us = os.monotonic_us();
}

freshet_code checkpoint_begin(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    checkpoint->begun_us = os.monotonic_us();
    freshet_code code = store_begin(checkpoint->store, err);
    if (code == FRESHET_OK)
        code = checkpoint_gather(pipeline, err);
    if (code == FRESHET_OK)
        turn_over(pipeline);
    return code;
}

/* ---- end ----------------------------------------------------------------------------------- */

static void note_durable(freshet_pipeline *pipeline)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    int64_t collect_us = (checkpoint->handed_us - checkpoint->begun_us) * CHECKPOINT_COLLECT_SHARE;
    int64_t write_us = (os.monotonic_us() - checkpoint->handed_us) * CHECKPOINT_WRITE_SHARE;
    measure_checkpoint(pipeline, os.monotonic_us() - checkpoint->begun_us,
                       store_committed_bytes(checkpoint->store));
    int64_t stretch_us = collect_us > write_us ? collect_us : write_us;
    int64_t interval_us = pipeline->declaration->checkpoint.interval_us;
    if (stretch_us > CHECKPOINT_STRETCH_MAX_US)
        stretch_us = CHECKPOINT_STRETCH_MAX_US;
    checkpoint->due_us =
        checkpoint->begun_us + (stretch_us > interval_us ? stretch_us : interval_us);
    checkpoint->phase = CHECKPOINT_PUBLISHING;
    for (uint32_t i = 0; i < checkpoint->n_parts; i++)
        checkpoint->parts[i].begins_anew = false; /* what was to go is gone */
}

static void ack_readers(freshet_pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        freshet_reader *reader = pipeline->readers[i].reader;
        const reader_positions *positions = &pipeline->checkpoint->positions[i];
        if (positions->n > 0 && reader->ops->ack != NULL && pipeline->readers[i].opened)
            reader->ops->ack(reader, positions);
    }
}

static freshet_code publish(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    for (; checkpoint->published < pipeline->n_writers; checkpoint->published++) {
        freshet_writer *writer = pipeline->writers[checkpoint->published];
        const writer_files *files = &checkpoint->files[checkpoint->published];
        freshet_code code = files->n == 0 ? FRESHET_OK : writer->ops->publish(writer, files, err);
        if (code != FRESHET_OK)
            return code;
    }
    checkpoint->phase = CHECKPOINT_NONE;
    checkpoint->is_stuck = false;
    measure_shown(pipeline);
    return FRESHET_OK;
}

/* Moves on what is on its way; wait: until it is there. */
static freshet_code go_on(freshet_pipeline *pipeline, bool wait, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    if (checkpoint->phase == CHECKPOINT_WRITING && (wait || store_is_idle(checkpoint->store))) {
        freshet_code code = store_wait(checkpoint->store, err);
        if (code != FRESHET_OK)
            return code;
        note_durable(pipeline);
        ack_readers(pipeline);
    }
    return checkpoint->phase == CHECKPOINT_PUBLISHING ? publish(pipeline, err) : FRESHET_OK;
}

/* ---- when ---------------------------------------------------------------------------------- */

static int64_t rows_since(const freshet_pipeline *pipeline)
{
    return freshet_counter(pipeline, FRESHET_ROWS_READ) - pipeline->checkpoint->rows_at;
}

/* Time changes state, too: windows that have closed. */
static bool has_dirty_keys(const checkpoint *checkpoint)
{
    state_key key;
    for (uint32_t i = 0; i < checkpoint->n_parts; i++) {
        uint32_t cursor = 0;
        if (state_part_next_dirty(checkpoint->parts[i].part, &cursor, &key))
            return true;
    }
    return false;
}

/* Positions move without rows, too: where a stream begins that begins at the end, say. */
static bool has_moved(const freshet_pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        if (source_drives(pipeline->source, i) && pipeline->readers[i].opened &&
            pipeline->readers[i].reader->moved)
            return true;
    return false;
}

/* Is there anything that is not durable, or a list that is out of date? */
static bool is_behind(const freshet_pipeline *pipeline)
{
    return rows_since(pipeline) > 0 || has_moved(pipeline) || pipeline->checkpoint->is_listed ||
           pipeline->checkpoint->moved_lost || pipeline->checkpoint->is_changed ||
           fill_is_behind(pipeline) || has_dirty_keys(pipeline->checkpoint);
}

/* What reads a past makes them for a kill only, and each costs files; but what was sorted is to be
 * known soon. */
static int64_t due_us(const freshet_pipeline *pipeline)
{
    const checkpoint *checkpoint = pipeline->checkpoint;
    const int64_t rare_us = pipeline->declaration->checkpoint.interval_us * HANDOVER_STRETCH;
    const bool is_past =
        !pipeline->is_sorted_anew &&
        (pipeline->hands_over || atomic_load(&pipeline->counters[FRESHET_BOOTSTRAP_LEFT]) != 0);
    return is_past && checkpoint->due_us < checkpoint->begun_us + rare_us
               ? checkpoint->begun_us + rare_us
               : checkpoint->due_us;
}

/* Of keys that changed since the last checkpoint, as if all keys of a part were alike. */
static size_t bytes_changed(const checkpoint *checkpoint)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < checkpoint->n_parts; i++)
        bytes += state_part_bytes_changed(checkpoint->parts[i].part);
    return bytes;
}

static freshet_code take_turn(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    int64_t now_us = os.monotonic_us();
    /* Much more than may have changed waits no longer. */
    bool short_of_memory =
        checkpoint->wants_memory &&
        (now_us >= checkpoint->memory_due_us ||
         bytes_changed(checkpoint) / 2 > checkpoint_share_changes(checkpoint->memory));
    freshet_code code = go_on(pipeline, short_of_memory, err);
    if (code != FRESHET_OK || checkpoint->phase != CHECKPOINT_NONE || !is_behind(pipeline))
        return code;
    if (now_us < due_us(pipeline) && rows_since(pipeline) < CHECKPOINT_ROWS_MAX && !short_of_memory)
        return FRESHET_OK;
    if (short_of_memory) /* keys that may not leave while one is being written: now they may */
        checkpoint_trim(pipeline);
    checkpoint->memory_due_us = now_us + CHECKPOINT_MEMORY_US;
    return checkpoint_begin(pipeline, err);
}

/* Rows that are owed follow from the state: a checkpoint before they are given is as good. */
static bool keeps_owed(const freshet_pipeline *pipeline)
{
    return feature_set_keeps_owed(pipeline->features) && !joining_owes(pipeline->joining);
}

freshet_code checkpoint_turn(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    if (checkpoint == NULL || pipeline->delivery.pending ||
        (pipeline_owes(pipeline) && !(checkpoint->wants_memory && keeps_owed(pipeline))))
        return FRESHET_OK;
    freshet_code code = take_turn(pipeline, err);
    checkpoint->is_stuck |= code != FRESHET_OK;
    return code;
}

bool checkpoint_is_stuck(const freshet_pipeline *pipeline)
{
    return pipeline->checkpoint != NULL && pipeline->checkpoint->is_stuck;
}

int64_t checkpoint_deadline(const freshet_pipeline *pipeline, int64_t deadline_us)
{
    const checkpoint *checkpoint = pipeline->checkpoint;
    if (checkpoint == NULL)
        return deadline_us;
    int64_t wanted_us = deadline_us;
    if (checkpoint->phase != CHECKPOINT_NONE)
        wanted_us = os.monotonic_us() + CHECKPOINT_LOOK_US;
    else if (is_behind(pipeline))
        wanted_us = due_us(pipeline);
    return wanted_us < deadline_us ? wanted_us : deadline_us;
}

freshet_code checkpoint_finish(freshet_pipeline *pipeline, freshet_error *err)
{
    if (pipeline->checkpoint == NULL)
        return FRESHET_OK;
    freshet_code code = go_on(pipeline, true, err);
    /* Rows that the feature set owes are not in its state: they are computed again. */
    if (pipeline_owes(pipeline))
        return code;
    /* Twice at most: the rows, and then the list of files that they have made. */
    for (int times = 0; code == FRESHET_OK && times < 2 && is_behind(pipeline); times++) {
        code = checkpoint_begin(pipeline, err);
        if (code == FRESHET_OK)
            code = go_on(pipeline, true, err);
    }
    return code;
}

typedef struct fact_visit {
    checkpoint_fact_fn *fact;
    void *context;
} fact_visit;

static freshet_code visit_one(void *context, const store_entry *entry, freshet_error *err)
{
    const fact_visit *visit = context;
    return visit->fact(visit->context, entry->key, entry->key_length, entry->value, entry->length,
                       err);
}

freshet_code checkpoint_visit_fact(const freshet_pipeline *pipeline, const char *name,
                                   checkpoint_fact_fn *fact, void *context, freshet_error *err)
{
    fact_visit visit = {fact, context};
    return pipeline->checkpoint == NULL
               ? FRESHET_OK
               : store_visit(pipeline->checkpoint->store, STORE_FACT, name, visit_one, &visit, err);
}

const char *checkpoint_folder_in_use(const freshet_pipeline *pipeline)
{
    return pipeline->checkpoint == NULL ? NULL : pipeline->checkpoint->folder;
}

void checkpoint_say_handed(const freshet_pipeline *pipeline)
{
    const checkpoint *checkpoint = pipeline->checkpoint;
    log_event(CHECKPOINT_LEFT, pipeline->declaration->pipeline.value,
              (unsigned long long)checkpoint->number, checkpoint->folder);
    const uint64_t n =
        pipeline->joining == NULL ? 0 : joined_measure(joining_rows(pipeline->joining)).rows;
    if (n > 0)
        log_event(JOIN_ROWS_WAIT, pipeline->declaration->pipeline.value, (unsigned long long)n,
                  n == 1 ? "" : "s", n == 1 ? "s" : "");
}

freshet_code checkpoint_now(freshet_pipeline *pipeline, freshet_error *err)
{
    freshet_code code = go_on(pipeline, true, err);
    if (code == FRESHET_OK)
        code = checkpoint_begin(pipeline, err);
    return code == FRESHET_OK ? go_on(pipeline, true, err) : code;
}

freshet_code freshet_checkpoint(freshet_pipeline *pipeline, freshet_error *err)
{
    if (pipeline->delivery.pending || pipeline_owes(pipeline))
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL,
                         "the last micro-batch has not been delivered to all writers; step again "
                         "first, and then make a checkpoint");
    return checkpoint_finish(pipeline, err);
}

/* ---- positions ----------------------------------------------------------------------------- */

typedef struct taking {
    arena *arena;
    reader_positions *out;
    uint32_t capacity;
} taking;

static freshet_code take_position(void *context, const store_entry *entry, freshet_error *err)
{
    taking *taking = context;
    reader_positions *out = taking->out;
    reader_position position = {.name = arena_copy(taking->arena, entry->key, entry->key_length)};
    const size_t head = sizeof position.offset;
    if (entry->length < head || position.name == NULL ||
        !arena_reserve(taking->arena, &out->items, &taking->capacity, out->n + UINT64_C(1),
                       sizeof *out->items))
        return error_memory(err, "reading positions");
    memcpy(&position.offset, entry->value, head);
    position.label = arena_copy(taking->arena, entry->value + head, entry->length - head);
    if (position.label == NULL)
        return error_memory(err, "reading positions");
    const size_t lane = head + strlen(position.label) + 1; /* behind the label's NUL */
    const size_t mark = lane + sizeof position.lane;
    if (mark <= entry->length) {
        memcpy(&position.lane, entry->value + lane, sizeof position.lane);
        position.mark_length = (uint32_t)(entry->length - mark);
        position.mark = arena_copy(taking->arena, entry->value + mark, position.mark_length);
        if (position.mark == NULL)
            return error_memory(err, "reading positions");
    }
    out->items[out->n++] = position;
    return FRESHET_OK;
}

freshet_code checkpoint_positions(freshet_pipeline *pipeline, uint32_t reader,
                                  reader_positions *out, freshet_error *err)
{
    *out = (reader_positions){0};
    if (pipeline->checkpoint == NULL)
        return FRESHET_OK;
    taking taking = {.arena = pipeline->step_arena, .out = out};
    return store_visit(pipeline->checkpoint->store, STORE_POSITION,
                       pipeline->readers[reader].reader->block->id.value, take_position, &taking,
                       err);
}

/* ---- memory -------------------------------------------------------------------------------- */

static size_t bytes_held(const checkpoint *checkpoint)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < checkpoint->n_parts; i++)
        bytes += state_part_bytes(checkpoint->parts[i].part);
    return bytes;
}

void checkpoint_trim(freshet_pipeline *pipeline)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    if (checkpoint == NULL || checkpoint->n_parts == 0)
        return;
    const size_t most = checkpoint_share_keys(checkpoint->memory);
    for (uint32_t i = 0; i < checkpoint->n_parts; i++) {
        checkpoint_part *part = &checkpoint->parts[i];
        const state_part *of = part->part;
        if (state_part_is_listed(of) && !state_part_is_swept(of) &&
            checkpoint->phase == CHECKPOINT_WRITING)
            continue; /* under which time a key is listed is not to be seen yet */
        if (part->begins_anew)
            continue; /* nothing is looked up in the store yet */
        while (bytes_held(checkpoint) > most) {
            const uint32_t dropped = state_part_drop_cold(of, TRIM_LOOK_EVERY);
            part->in_store |= dropped > 0;
            if (dropped < TRIM_LOOK_EVERY)
                break;
        }
    }
    checkpoint->wants_memory =
        bytes_held(checkpoint) > most ||
        bytes_changed(checkpoint) > checkpoint_share_changes(checkpoint->memory);
    atomic_store(&pipeline->counters[FRESHET_STATE_BYTES], (long long)bytes_held(checkpoint));
}
