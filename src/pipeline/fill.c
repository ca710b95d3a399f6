/* fill.c - taking the past into the windows of a run; see fill.h. */
#include "pipeline/fill.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/os.h"
#include "pipeline/checkpoint_internal.h"

#define TAKING "filling windows"
#define LOOK_EVERY_US INT64_C(1000000)
#define PIECE_US INT64_C(3000)
/* A checkpoint puts down all keys that changed, while the loop stands still: not more than these of
 * the past at a time. */
#define KEYS_A_CHECKPOINT 16384u
#define VALUE_BYTES_MAX (UINT32_C(1) << 30)

typedef struct fill_part {
    const state_part *part;
    bool is_given; /* the file has it */
    fill_mark mark;
} fill_part;

typedef struct fill {
    const char *path;
    int fd;      /* -1: there is no file, or it was refused */
    ino_t taken; /* the last one that was opened: not again */
    int64_t offset, size;
    uint64_t entries;
    int64_t newest_us;
    int64_t look_us;
    arena *arena; /* of one entry */
    char *bytes;  /* its key and value, and a 0 byte */
    fill_part *parts;
    uint32_t n_parts;
    fill_part *now;     /* of the keys that come */
    uint32_t n_changed; /* keys, since the last checkpoint began */
    bool rests;       /* the last piece made rows due, which are out: now it is the readers' turn */
    bool is_done;     /* all of it is taken; its marks are in no durable checkpoint yet */
    uint64_t done_at; /* the checkpoint that has them; 0: none yet */
} fill;

uint64_t fill_sum(const void *key, size_t key_length, const void *value, size_t length)
{
    return hash_bytes(value, length, hash_bytes(key, key_length, HASH_A));
}

/* ---- the file -------------------------------------------------------------------------------- */

static freshet_code damaged(const fill *fill, freshet_error *err)
{
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, fill->path,
                     "the file of the past is damaged: remove it, and make it again by `freshet "
                     "state fill`");
}

/* The entry at the offset. */
static freshet_code read_entry(fill *fill, fill_entry *out, freshet_error *err)
{
    if (durable_read(fill->fd, out, sizeof *out, fill->offset) != (ssize_t)sizeof *out ||
        out->magic != FILL_MAGIC || out->length > VALUE_BYTES_MAX ||
        out->key_length > VALUE_BYTES_MAX)
        return damaged(fill, err);
    const size_t length = (size_t)out->key_length + out->length;
    arena_reset(fill->arena);
    char *into = fill->bytes = arena_alloc(fill->arena, length + 1);
    if (into == NULL)
        return error_memory(err, TAKING);
    if (durable_read(fill->fd, into, length, fill->offset + (off_t)sizeof *out) != (ssize_t)length)
        return damaged(fill, err);
    into[length] = '\0';
    if (fill_sum(into, out->key_length, into + out->key_length, out->length) != out->sum)
        return damaged(fill, err);
    fill->offset += (int64_t)(sizeof *out + length);
    fill->entries++;
    return FRESHET_OK;
}

static void close_file(fill *fill)
{
    if (fill->fd >= 0)
        os.close(fill->fd);
    fill->fd = -1;
    fill->now = NULL;
}

/* It stays where it is, and is not looked at again. */
static void fill_refuse_file(const freshet_pipeline *pipeline, const char *why)
{
    log_event(FILL_NOT_TAKEN, pipeline->declaration->pipeline.value, pipeline->fill->path, why);
    close_file(pipeline->fill);
}

static freshet_code take_declaration(freshet_pipeline *pipeline, bool *is_same, freshet_error *err)
{
    const fill *fill = pipeline->fill;
    text_buffer own;
    text_init(&own, TEXT_LIMIT_DEFAULT);
    freshet_code code = checkpoint_declaration(pipeline, &own, err);
    *is_same = code == FRESHET_OK && strcmp(own.bytes, fill->bytes) == 0;
    text_release(&own);
    return code;
}

static freshet_code take_layout(freshet_pipeline *pipeline, const fill_entry *entry,
                                freshet_error *err)
{
    fill *fill = pipeline->fill;
    const char *name = fill->bytes;
    freshet_error problem = {0};
    fill->now = NULL;
    for (uint32_t i = 0; i < fill->n_parts; i++)
        if (strlen(fill->parts[i].part->name) == entry->key_length &&
            memcmp(fill->parts[i].part->name, name, entry->key_length) == 0)
            fill->now = &fill->parts[i];
    if (fill->now == NULL || !state_part_is_fillable(fill->now->part)) {
        fill->now = NULL;
        return FRESHET_OK;
    }
    const state_part *part = fill->now->part;
    freshet_code code =
        state_part_fill_open(part, name + entry->key_length, fill->newest_us, &problem);
    if (code == FRESHET_OK) {
        fill->now->is_given = true;
        return FRESHET_OK;
    }
    fill->now = NULL;
    if (code == FRESHET_BAD_DECLARATION) {
        log_event(FILL_FAILED, pipeline->declaration->pipeline.value, part->name, problem.text);
        return FRESHET_OK;
    }
    if (err != NULL)
        *err = problem;
    return code;
}

static freshet_code take_key(fill *fill, const fill_entry *entry, freshet_error *err)
{
    state_fill kind = FILL_NOTHING;
    if (fill->now == NULL)
        return FRESHET_OK;
    freshet_code code = state_part_fill(fill->now->part, fill->bytes, entry->key_length,
                                        fill->bytes + entry->key_length, entry->length, &kind, err);
    if (code == FRESHET_OK)
        fill->now->mark.keys[kind]++;
    fill->n_changed += code == FRESHET_OK && kind == FILL_DONE;
    return code;
}

static void say_done(const freshet_pipeline *pipeline)
{
    const fill *fill = pipeline->fill;
    for (uint32_t i = 0; i < fill->n_parts; i++) {
        const fill_mark *mark = &fill->parts[i].mark;
        if (!fill->parts[i].is_given)
            continue;
        const uint64_t left = mark->keys[FILL_SHORT] + mark->keys[FILL_OTHER];
        const char *name = pipeline->declaration->pipeline.value;
        const uint64_t n = mark->keys[FILL_DONE];
        if (left == 0)
            log_event(FILL_DONE, name, fill->parts[i].part->name, n, n == 1 ? "" : "s",
                      fill->parts[i].part->fill_says);
        else
            log_event(FILL_PARTLY_DONE, name, fill->parts[i].part->name, n, n == 1 ? "" : "s",
                      fill->parts[i].part->fill_says);
        if (left > 0)
            log_event(FILL_SHORT, pipeline->declaration->pipeline.value, fill->parts[i].part->name,
                      left, left == 1 ? " fills" : "s fill", mark->keys[FILL_SHORT],
                      mark->keys[FILL_OTHER]);
    }
}

static void fill_take_end(freshet_pipeline *pipeline)
{
    fill *fill = pipeline->fill;
    const uint64_t declared = pipeline->checkpoint->declared;
    for (uint32_t i = 0; i < fill->n_parts; i++) {
        fill_part *part = &fill->parts[i];
        if (!part->is_given)
            continue;
        part->mark.declared = declared;
        part->mark.at_us = os.now_us();
        state_part_filled(part->part, declared);
    }
    fill->is_done = true;
    fill->done_at = 0;
    pipeline->checkpoint->due_us = 0;
    close_file(fill);
    say_done(pipeline);
}

static freshet_code fill_take_entry(freshet_pipeline *pipeline, freshet_error *err)
{
    fill *fill = pipeline->fill;
    fill_entry entry;
    uint64_t n = 0;
    bool is_same = true;
    freshet_code code = read_entry(fill, &entry, err);
    if (code != FRESHET_OK)
        return code;
    const char *value = fill->bytes + entry.key_length;
    switch (entry.what) {
    case FILL_DECLARATION:
        code = take_declaration(pipeline, &is_same, err);
        if (code == FRESHET_OK && !is_same)
            fill_refuse_file(pipeline, "it was made for another declaration; make it again");
        return code;
    case FILL_NEWEST:
        if (entry.length != sizeof fill->newest_us)
            return damaged(fill, err);
        memcpy(&fill->newest_us, value, sizeof fill->newest_us);
        return FRESHET_OK;
    case FILL_LAYOUT: return take_layout(pipeline, &entry, err);
    case FILL_KEY: return take_key(fill, &entry, err);
    case FILL_END:
        if (entry.length != sizeof n)
            return damaged(fill, err);
        memcpy(&n, value, sizeof n);
        if (n != fill->entries - 1)
            return damaged(fill, err);
        fill_take_end(pipeline);
        return FRESHET_OK;
    default: return damaged(fill, err);
    }
}

/* ---- turns ----------------------------------------------------------------------------------- */

static freshet_code look_for_file(freshet_pipeline *pipeline, freshet_error *err)
{
    fill *fill = pipeline->fill;
    struct stat info;
    if (fill->is_done || os.stat(fill->path, &info) != 0 || info.st_ino == fill->taken)
        return FRESHET_OK;
    fill->fd = os.open(fill->path, O_RDONLY, 0);
    if (fill->fd < 0)
        return error_system(err, "cannot open", fill->path);
    fill->taken = info.st_ino;
    fill->size = info.st_size;
    fill->offset = 0;
    fill->entries = 0;
    fill->newest_us = INT64_MIN;
    for (uint32_t i = 0; i < fill->n_parts; i++)
        fill->parts[i] = (fill_part){.part = fill->parts[i].part};
    log_event(FILL_BEGINS, pipeline->declaration->pipeline.value, fill->path);
    return FRESHET_OK;
}

static void count_fill(freshet_pipeline *pipeline)
{
    const fill *fill = pipeline->fill;
    atomic_store(&pipeline->counters[FRESHET_FILL_BYTES], fill->fd < 0 ? 0 : fill->size);
    atomic_store(&pipeline->counters[FRESHET_FILL_LEFT],
                 fill->fd < 0 ? 0 : fill->size - fill->offset);
}

static bool waits_for_checkpoint(const freshet_pipeline *pipeline)
{
    return pipeline->fill->n_changed >= KEYS_A_CHECKPOINT && !pipeline->options.once;
}

/* A damaged file is no reason to end a stream. */
static freshet_code fill_take_piece(freshet_pipeline *pipeline, int64_t until_us,
                                    freshet_error *err)
{
    fill *fill = pipeline->fill;
    freshet_code code = FRESHET_OK;
    freshet_error problem = {0};
    do
        code = fill_take_entry(pipeline, &problem);
    while (code == FRESHET_OK && fill->fd >= 0 && !waits_for_checkpoint(pipeline) &&
           os.monotonic_us() < until_us);
    count_fill(pipeline);
    checkpoint_trim(pipeline);
    if (code == FRESHET_FAILED && problem.then == FRESHET_STOP) {
        fill_refuse_file(pipeline, problem.text);
        return FRESHET_OK;
    }
    if (code != FRESHET_OK && err != NULL)
        *err = problem;
    return code;
}

/* The checkpoint with the marks is durable. */
static void end_fill(freshet_pipeline *pipeline)
{
    fill *fill = pipeline->fill;
    if (fill->done_at == 0 || pipeline->checkpoint->phase != CHECKPOINT_NONE ||
        pipeline->checkpoint->number < fill->done_at)
        return;
    struct stat info;
    const bool is_ours = os.stat(fill->path, &info) == 0 && info.st_ino == fill->taken;
    if (is_ours && os.unlink(fill->path) != 0)
        log_event(FILL_NOT_REMOVED, pipeline->declaration->pipeline.value, fill->path);
    fill->is_done = false;
    fill->done_at = 0;
}

freshet_code fill_turn(freshet_pipeline *pipeline, freshet_error *err)
{
    fill *fill = pipeline->fill;
    if (fill == NULL || pipeline->delivery.pending || pipeline_owes(pipeline))
        return FRESHET_OK;
    if (fill->rests && !pipeline->options.once) {
        fill->rests = false;
        return FRESHET_OK;
    }
    end_fill(pipeline);
    const int64_t now_us = os.monotonic_us();
    if (fill->fd < 0 && now_us >= fill->look_us) {
        fill->look_us = now_us + LOOK_EVERY_US;
        freshet_code code = look_for_file(pipeline, err);
        if (code != FRESHET_OK)
            return code;
    }
    if (fill->fd < 0)
        return FRESHET_OK;
    if (waits_for_checkpoint(pipeline)) {
        pipeline->checkpoint->due_us = 0;
        return FRESHET_OK;
    }
    const freshet_code code = fill_take_piece(pipeline, now_us + PIECE_US, err);
    fill->rests = pipeline_owes(pipeline);
    return code;
}

bool fill_is_under_way(const freshet_pipeline *pipeline)
{
    return pipeline->fill != NULL && pipeline->fill->fd >= 0;
}

bool fill_is_first(const freshet_pipeline *pipeline)
{
    return fill_is_under_way(pipeline) && pipeline->options.once && !pipeline->delivery.pending &&
           !pipeline_owes(pipeline);
}

bool fill_is_behind(const freshet_pipeline *pipeline)
{
    return pipeline->fill != NULL && pipeline->fill->is_done && pipeline->fill->done_at == 0;
}

freshet_code fill_put(freshet_pipeline *pipeline, freshet_error *err)
{
    fill *fill = pipeline->fill;
    checkpoint *checkpoint = pipeline->checkpoint;
    freshet_code code = FRESHET_OK;
    fill->n_changed = 0;
    if (!fill->is_done)
        return FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < fill->n_parts; i++) {
        const fill_part *part = &fill->parts[i];
        if (part->is_given)
            code = store_put(checkpoint->store, STORE_FACT, FACT_FILLED, part->part->name,
                             strlen(part->part->name), &part->mark, sizeof part->mark, err);
    }
    fill->done_at = checkpoint->number + 1;
    return code;
}

/* ---- opening --------------------------------------------------------------------------------- */

freshet_code fill_open(freshet_pipeline *pipeline, freshet_error *err)
{
    const checkpoint *checkpoint = pipeline->checkpoint;
    fill *made = arena_zero(pipeline->arena, 1, sizeof *made);
    if (made == NULL || pipeline->declaration->is_past || pipeline->replay != NULL)
        return made == NULL ? error_memory(err, TAKING) : FRESHET_OK;
    made->fd = -1;
    made->path = arena_format(pipeline->arena, "%s" FILL_ENDING, checkpoint->folder);
    made->parts = arena_zero(pipeline->arena, checkpoint->n_parts + (size_t)1, sizeof *made->parts);
    if (made->path == NULL || made->parts == NULL)
        return error_memory(err, TAKING);
    made->n_parts = checkpoint->n_parts;
    for (uint32_t i = 0; i < checkpoint->n_parts; i++)
        made->parts[i].part = checkpoint->parts[i].part;
    made->arena = arena_open();
    if (made->arena == NULL)
        return error_memory(err, TAKING);
    pipeline->fill = made;
    return pipeline->options.once ? look_for_file(pipeline, err) : FRESHET_OK;
}

void fill_close(freshet_pipeline *pipeline)
{
    fill *fill = pipeline->fill;
    if (fill == NULL)
        return;
    if (pipeline->checkpoint != NULL)
        end_fill(pipeline);
    close_file(fill);
    arena_close(fill->arena);
    pipeline->fill = NULL;
}

freshet_code fill_take_mark(checkpoint *checkpoint, const state_part *part, evolution *out,
                            freshet_error *err)
{
    fill_mark mark;
    text_buffer at;
    if (!state_part_is_fillable(part))
        return FRESHET_OK;
    freshet_code code = checkpoint_get_fact(checkpoint, FACT_FILLED, part->name, err);
    if (code != FRESHET_OK || checkpoint->text.length != sizeof mark)
        return code;
    memcpy(&mark, checkpoint->text.bytes, sizeof mark);
    state_part_filled(part, mark.declared);
    if (mark.declared != out->declared)
        return FRESHET_OK;
    const uint64_t left = mark.keys[FILL_SHORT] + mark.keys[FILL_OTHER];
    char rest[120] = "";
    if (left > 0)
        snprintf(rest, sizeof rest,
                 "; %" PRIu64 " key%s, of which the past was another, fill%s from what comes", left,
                 left == 1 ? "" : "s", left == 1 ? "s" : "");
    text_init(&at, 64);
    text_append_timestamp(&at, mark.at_us);
    evolution_say(out, part->name, VERDICT_FILLED, NULL, "", "by `freshet state fill` at %s; %s%s",
                  at.failed ? "?" : at.bytes, part->fill_says, rest);
    text_release(&at);
    return FRESHET_OK;
}
