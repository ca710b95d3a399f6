/* kept.c - see kept.h. Saved, a key's value is its bytes as they are. */
#include "preprocess/kept.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"

typedef struct kept_entry {
    keyed_entry head;
    uint32_t length;
    unsigned char *bytes;
} kept_entry;

/* ---- as a part of the state ------------------------------------------------------------------ */

static void kept_release(void *self, void *entry)
{
    kept_entry *gone = entry;
    memory_give(&((kept *)self)->memory, gone->bytes, gone->length);
    gone->bytes = NULL;
    gone->length = 0;
}

static freshet_code kept_save(void *self, const void *saved, text_buffer *into, freshet_error *err)
{
    const kept_entry *entry = saved;
    (void)self, (void)err;
    text_append(into, (const char *)entry->bytes, entry->length);
    return FRESHET_OK;
}

static freshet_code kept_restore(void *self, const state_key *key, void *restored,
                                 const void *bytes, size_t length, freshet_error *err)
{
    kept *kept = self;
    kept_entry *entry = restored;
    (void)key;
    if (length > UINT32_MAX)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "what was saved for %s is damaged", kept->part.name);
    entry->bytes = memory_take(&kept->memory, length);
    if (entry->bytes == NULL)
        return error_memory(err, kept->part.doing);
    memcpy(entry->bytes, bytes, length);
    entry->length = (uint32_t)length;
    return FRESHET_OK;
}

static freshet_code kept_show(void *self, arena *arena, const void *bytes, size_t length,
                              text_buffer *into, freshet_error *err)
{
    kept *kept = self;
    return kept->inspect(kept->step, arena, bytes, length, into, err);
}

static const state_part_ops kept_part_ops = {
    .save = kept_save, .restore = kept_restore, .inspect = kept_show};

/* ---- opening --------------------------------------------------------------------------------- */

freshet_code kept_open(kept *kept, arena *arena, const kept_options *options, freshet_error *err)
{
    const keyed_options keys = {.memory = &kept->memory,
                                .entry_bytes = sizeof(kept_entry),
                                .release = kept_release,
                                .self = kept};
    const char **names = arena_alloc(arena, (options->n_keys + (size_t)1) * sizeof *names);
    const type **types = arena_alloc(arena, (options->n_keys + (size_t)1) * sizeof(const type *));
    text_init(&kept->chunk.bytes, TEXT_LIMIT_DEFAULT);
    kept->memory.fail_after = -1;
    kept->limit = options->limit;
    kept->inspect = options->inspect;
    kept->step = options->step;
    if (names == NULL || types == NULL || !keyed_open(&kept->keys, &keys))
        return error_memory(err, options->doing);
    for (uint32_t i = 0; i < options->n_keys; i++) {
        names[i] = options->keys[i].name;
        types[i] = options->keys[i].type;
    }
    kept->part = (state_part){.name = options->name,
                              .doing = options->doing,
                              .ops = &kept_part_ops,
                              .table = &kept->keys,
                              .key_names = names,
                              .key_types = types,
                              .n_keys = options->n_keys,
                              .key_bytes_max = KEPT_KEY_BYTES_MAX};
    state_part_describe(&kept->part, options->shape, HASH_A);
    return FRESHET_OK;
}

void kept_close(kept *kept)
{
    keyed_close(&kept->keys);
    text_release(&kept->chunk.bytes);
    free(kept->changes);
    kept->changes = NULL;
}

/* ---- trials ---------------------------------------------------------------------------------- */

void kept_begin(kept *kept, bool is_trial)
{
    kept->is_trial = is_trial;
    kept->n_changes = 0;
}

/* A trial before the first row leaves a table that may still be tracked: one that had no key. */
static void begin_anew(kept *kept)
{
    const keyed_options options = kept->keys.options;
    if (keyed_count(&kept->keys) > 0 || kept->keys.n_entries == 0 || kept->keys.is_tracked)
        return;
    keyed_close(&kept->keys);
    if (!keyed_open(&kept->keys, &options))
        kept->is_broken = true; /* the next kept_fill says so */
}

/* Takes the changes back, the last one first. */
void kept_end(kept *kept)
{
    while (kept->n_changes > 0) {
        const kept_change *change = &kept->changes[--kept->n_changes];
        kept_entry *entry = keyed_at(&kept->keys, change->index);
        if (change->is_new) {
            keyed_drop(&kept->keys, change->index);
            continue;
        }
        memory_give(&kept->memory, entry->bytes, entry->length);
        entry->bytes = change->bytes;
        entry->length = change->length;
    }
    if (kept->is_trial)
        begin_anew(kept);
    kept->is_trial = false;
}

static bool note_change(kept *kept, uint32_t index, bool is_new)
{
    const kept_entry *entry = keyed_at(&kept->keys, index);
    if (!array_reserve(&kept->changes, &kept->changes_capacity, kept->n_changes + UINT64_C(1),
                       sizeof *kept->changes))
        return false;
    kept->changes[kept->n_changes++] =
        (kept_change){index, entry->length, is_new ? NULL : entry->bytes, is_new};
    return true;
}

/* ---- keys ------------------------------------------------------------------------------------ */

freshet_code kept_fill(kept *kept, const column *keys, uint32_t n_keys, uint32_t from, uint32_t n,
                       freshet_error *err)
{
    const void *entries[KEYED_CHUNK_ROWS];
    if (kept->is_broken ||
        !keyed_chunk_fill(&kept->chunk, &kept->keys, keys, n_keys, from, n, KEPT_KEY_BYTES_MAX))
        return error_memory(err, kept->part.doing);
    keyed_chunk_prefetch(&kept->chunk, &kept->keys, n, entries);
    return FRESHET_OK;
}

bool kept_is_too_long(const kept *kept, uint32_t i)
{
    return kept->chunk.rows[i].length > KEPT_KEY_BYTES_MAX;
}

freshet_code kept_find(kept *kept, uint32_t i, uint32_t *index, freshet_error *err)
{
    const keyed_chunk *chunk = &kept->chunk;
    bool is_new = false;
    freshet_code code = state_part_find(&kept->part, chunk->rows[i].tag, keyed_chunk_key(chunk, i),
                                        chunk->rows[i].length, index, &is_new, err);
    if (code != FRESHET_OK)
        return code;
    ((keyed_entry *)keyed_at(&kept->keys, *index))->touched = 1;
    if (is_new && kept->is_trial && !note_change(kept, *index, true)) {
        keyed_drop(&kept->keys, *index);
        return error_memory(err, kept->part.doing);
    }
    if (is_new && kept->keys.load == NULL && keyed_bytes(&kept->keys) > kept->limit)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "%s of %" PRIu64
                         " keys needs more than the %zu MiB of state.memory: allow more there",
                         kept->part.doing, keyed_count(&kept->keys), kept->limit >> 20);
    return FRESHET_OK;
}

const unsigned char *kept_get(const kept *kept, uint32_t index, size_t *length)
{
    const kept_entry *entry = keyed_at(&kept->keys, index);
    *length = entry->length;
    return entry->bytes;
}

freshet_code kept_put(kept *kept, uint32_t index, const void *bytes, size_t length,
                      freshet_error *err)
{
    unsigned char *copy = length > UINT32_MAX ? NULL : memory_take(&kept->memory, length);
    kept_entry *entry = keyed_at(&kept->keys, index);
    if (copy == NULL || (kept->is_trial && !note_change(kept, index, false))) {
        memory_give(&kept->memory, copy, length);
        return error_memory(err, kept->part.doing);
    }
    memcpy(copy, bytes, length);
    if (!kept->is_trial) {
        memory_give(&kept->memory, entry->bytes, entry->length);
        keyed_mark_dirty(&kept->keys, index);
    }
    entry->bytes = copy;
    entry->length = (uint32_t)length;
    return FRESHET_OK;
}
