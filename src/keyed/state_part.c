/* state_part.c - see state_part.h. */
#include "keyed/state_part.h"

#include <stdlib.h>

#include "base/error.h"
#include "keyed/cells.h"

#define SAVED_BYTES_MAX ((size_t)1 << 30)
#define HANDED_BYTES_MIN 128 /* about, of what the store holds of a short key until it is written */

void state_part_describe(state_part *part, const char *shape, uint64_t seed)
{
    part->shape = shape;
    part->fingerprint = hash_bytes(shape, strlen(shape), seed);
}

static freshet_code state_memory(const state_part *part, freshet_error *err)
{
    return error_memory(err, part->doing);
}

freshet_code state_part_columns(state_part *part, arena *arena, const char *what,
                                const field *fields, uint32_t n_keys, freshet_error *err)
{
    const char **names = arena_alloc(arena, n_keys * sizeof *names);
    const type **types = arena_alloc(arena, n_keys * sizeof(const type *));
    text_buffer shape;
    text_init(&shape, TEXT_LIMIT_DEFAULT);
    text_append_c(&shape, what);
    for (uint32_t i = 0; names != NULL && types != NULL && i < n_keys; i++) {
        const char *type = type_name(arena, fields[i].type);
        text_format(&shape, "%s %s %s", i == 0 ? "" : ",", fields[i].name,
                    type == NULL ? "" : type);
        shape.failed = shape.failed || type == NULL;
        names[i] = fields[i].name;
        types[i] = fields[i].type;
    }
    const bool failed = names == NULL || types == NULL || shape.failed;
    const char *kept = failed ? NULL : arena_copy(arena, shape.bytes, shape.length);
    text_release(&shape);
    if (kept == NULL)
        return state_memory(part, err);
    state_part_describe(part, kept, HASH_A);
    part->key_names = names;
    part->key_types = types;
    part->n_keys = n_keys;
    return FRESHET_OK;
}

static state_key key_at(const state_part *part, uint32_t index)
{
    const keyed_entry *entry = keyed_at(part->table, index);
    return (state_key){keyed_key(entry), entry->length, index, 0};
}

void state_part_set_load(const state_part *part, state_load_fn *load, void *context)
{
    keyed_track(part->table);
    part->table->load = load;
    part->table->load_context = context;
}

void state_part_set_heritage(const state_part *part, state_load_fn *load)
{
    part->table->load_heritage = load;
}

void state_part_set_load_many(const state_part *part, state_load_many_fn *load_many)
{
    part->table->load_many = load_many;
}

void state_part_set_bring(const state_part *part, state_bring_fn *bring)
{
    part->table->bring = bring;
}

freshet_code state_part_bring(const state_part *part, int64_t until, uint32_t most, uint32_t *n,
                              freshet_error *err)
{
    *n = 0;
    return part->table->bring == NULL
               ? FRESHET_OK
               : part->table->bring(part->table->load_context, until, most, n, err);
}

/* ---- restoring ----------------------------------------------------------------------------- */

/* The restored entry goes to its key, in the place of what is there. */
static freshet_code place_entry(const state_part *part, uint32_t tag, const void *key,
                                size_t length, const unsigned char *restored, uint32_t *out,
                                freshet_error *err)
{
    keyed_table *table = part->table;
    uint32_t index = keyed_find(table, tag, key, length);
    if (index == KEY_NONE)
        index = keyed_add(table, tag, key, length);
    else if (table->options.release != NULL)
        table->options.release(table->options.self, keyed_at(table, index));
    if (index == KEY_NONE)
        return state_memory(part, err);
    unsigned char *entry = keyed_at(table, index);
    memcpy(entry + sizeof(keyed_entry), restored + sizeof(keyed_entry),
           table->options.entry_bytes - sizeof(keyed_entry));
    ((keyed_entry *)(void *)entry)->saved = 1;
    *out = index;
    if (part->ops->placed == NULL || part->ops->placed(table->options.self, index))
        return FRESHET_OK;
    keyed_drop(table, index);
    return state_memory(part, err);
}

static freshet_code restore_entry(const state_part *part, uint32_t tag, const state_key *key,
                                  const void *bytes, size_t length, uint32_t *index,
                                  freshet_error *err)
{
    const keyed_options *options = &part->table->options;
    void *restored = calloc(1, options->entry_bytes);
    if (restored == NULL)
        return state_memory(part, err);
    freshet_code code = part->ops->restore(options->self, key, restored, bytes, length, err);
    if (code == FRESHET_OK) {
        *index = KEY_NONE;
        code = place_entry(part, tag, key->bytes, key->length, restored, index, err);
        if (*index == KEY_NONE && options->release != NULL)
            options->release(options->self, restored);
    }
    free(restored);
    return code;
}

freshet_code state_part_restore(const state_part *part, const void *key, size_t key_length,
                                const void *bytes, size_t length, freshet_error *err)
{
    const state_key restored = {key, key_length, KEY_NONE, 0};
    uint32_t index;
    if (key_length > part->key_bytes_max)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "a saved key has more than %u bytes", part->key_bytes_max);
    return restore_entry(part, (uint32_t)keyed_hash(key, key_length), &restored, bytes, length,
                         &index, err);
}

/* A new entry has what the heritage knows of its key. */
static freshet_code inherit_entry(const state_part *part, uint32_t index, freshet_error *err)
{
    keyed_table *table = part->table;
    const state_key key = key_at(part, index);
    text_buffer saved;
    text_init(&saved, SAVED_BYTES_MAX);
    freshet_code code =
        table->load_heritage(table->load_context, key.bytes, key.length, &saved, err);
    if (code == FRESHET_OK && saved.failed)
        code = state_memory(part, err);
    if (code == FRESHET_OK)
        code = part->ops->inherit(table->options.self, keyed_at(table, index), saved.bytes,
                                  saved.length, err);
    text_release(&saved);
    if (code == FRESHET_OK || code == FRESHET_END)
        return FRESHET_OK;
    keyed_drop(table, index);
    return code;
}

/* A key that neither memory nor the store has. */
static freshet_code add_new(const state_part *part, uint32_t tag, const void *key, size_t length,
                            uint32_t *index, freshet_error *err)
{
    keyed_table *table = part->table;
    *index = keyed_add(table, tag, key, length);
    if (*index == KEY_NONE)
        return state_memory(part, err);
    return table->load_heritage == NULL ? FRESHET_OK : inherit_entry(part, *index, err);
}

freshet_code state_part_find(const state_part *part, uint32_t tag, const void *key, size_t length,
                             uint32_t *index, bool *is_new, freshet_error *err)
{
    keyed_table *table = part->table;
    const state_key wanted = {key, length, KEY_NONE, 0};
    *is_new = false;
    *index = keyed_find(table, tag, key, length);
    if (*index != KEY_NONE)
        return FRESHET_OK;
    freshet_code code = FRESHET_END;
    if (table->load != NULL && part->keys != STATE_RESIDENT) {
        text_buffer saved;
        text_init(&saved, SAVED_BYTES_MAX);
        code = table->load(table->load_context, key, length, &saved, err);
        if (code == FRESHET_OK && saved.failed)
            code = state_memory(part, err);
        if (code == FRESHET_OK)
            code = restore_entry(part, tag, &wanted, saved.bytes, saved.length, index, err);
        text_release(&saved);
    }
    if (code != FRESHET_END)
        return code;
    *is_new = true;
    return add_new(part, tag, key, length, index, err);
}

/* ---- a chunk of rows ----------------------------------------------------------------------- */

typedef struct fetching {
    const state_part *part;
    keyed_chunk *chunk;
    state_key keys[KEYED_CHUNK_ROWS];
    uint32_t rows[KEYED_CHUNK_ROWS]; /* of the chunk */
} fetching;

static freshet_code take_fetched(void *into, uint32_t i, const void *bytes, size_t length,
                                 freshet_error *err)
{
    fetching *it = into;
    const state_key *key = &it->keys[i];
    const uint32_t tag = it->chunk->rows[it->rows[i]].tag;
    uint32_t index;
    if (keyed_find(it->part->table, tag, key->bytes, key->length) != KEY_NONE)
        return FRESHET_OK; /* it stands in an earlier row of the chunk, too */
    return restore_entry(it->part, tag, key, bytes, length, &index, err);
}

freshet_code state_part_fetch(const state_part *part, keyed_chunk *chunk, uint32_t n,
                              const void *const *entries, freshet_error *err)
{
    const keyed_table *table = part->table;
    fetching it;
    uint32_t n_keys = 0;
    if (table->load_many == NULL || part->keys == STATE_RESIDENT)
        return FRESHET_OK;
    for (uint32_t i = 0; i < n; i++) {
        if (entries[i] != NULL || chunk->rows[i].length > part->key_bytes_max)
            continue;
        it.keys[n_keys] =
            (state_key){keyed_chunk_key(chunk, i), chunk->rows[i].length, KEY_NONE, 0};
        it.rows[n_keys++] = i;
        chunk->asked[i / 64] |= UINT64_C(1) << i % 64;
    }
    if (n_keys == 0)
        return FRESHET_OK;
    it.part = part;
    it.chunk = chunk;
    return table->load_many(table->load_context, it.keys, n_keys, take_fetched, &it, err);
}

freshet_code state_part_find_outside(const state_part *part, const keyed_chunk *chunk, uint32_t i,
                                     uint32_t *index, bool *is_new, freshet_error *err)
{
    const uint32_t tag = chunk->rows[i].tag;
    const char *key = keyed_chunk_key(chunk, i);
    const size_t length = chunk->rows[i].length;
    if (!keyed_chunk_was_asked(chunk, i))
        return state_part_find(part, tag, key, length, index, is_new, err);
    *is_new = true;
    return add_new(part, tag, key, length, index, err);
}

freshet_code state_part_fill(const state_part *part, const void *key, size_t key_length,
                             const void *bytes, size_t length, state_fill *out, freshet_error *err)
{
    keyed_table *table = part->table;
    uint32_t index = KEY_NONE;
    bool is_new = false;
    if (key_length > part->key_bytes_max)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "a saved key has more than %u bytes", part->key_bytes_max);
    freshet_code code = state_part_find(part, (uint32_t)keyed_hash(key, key_length), key,
                                        key_length, &index, &is_new, err);
    if (code != FRESHET_OK)
        return code;
    code = part->ops->fill(table->options.self, index, is_new, bytes, length, out, err);
    if (code == FRESHET_OK && (*out == FILL_SHORT || *out == FILL_OTHER)) {
        keyed_mark_dirty(table, index);
    } else if (code == FRESHET_OK && *out == FILL_DONE) {
        keyed_mark_dirty(table, index);
        if (part->ops->placed != NULL && !part->ops->placed(table->options.self, index))
            code = state_memory(part, err);
    } else if (is_new) {
        keyed_drop(table, index);
    }
    return code;
}

/* ---- saving, forgetting -------------------------------------------------------------------- */

bool state_part_next_dirty(const state_part *part, uint32_t *cursor, state_key *out)
{
    const uint32_t index = keyed_next_dirty(part->table, cursor);
    if (index == KEY_NONE)
        return false;
    *out = key_at(part, index);
    return true;
}

freshet_code state_part_save(const state_part *part, const state_key *key, text_buffer *into,
                             freshet_error *err)
{
    freshet_code code =
        part->ops->save(part->table->options.self, keyed_at(part->table, key->index), into, err);
    return code == FRESHET_OK && into->failed ? state_memory(part, err) : code;
}

bool state_part_is_empty(const state_part *part, const state_key *key)
{
    return part->ops->is_empty != NULL &&
           part->ops->is_empty(part->table->options.self, keyed_at(part->table, key->index));
}

bool state_part_is_saved(const state_part *part, const state_key *key)
{
    return ((const keyed_entry *)keyed_at(part->table, key->index))->saved != 0;
}

bool state_part_has(const state_part *part, const void *key, size_t length)
{
    return keyed_find(part->table, (uint32_t)keyed_hash(key, length), key, length) != KEY_NONE;
}

void state_part_touch(const state_part *part, const void *key, size_t length)
{
    const uint32_t index = keyed_find(part->table, (uint32_t)keyed_hash(key, length), key, length);
    if (index != KEY_NONE)
        keyed_mark_dirty(part->table, index);
}

void state_part_clean(const state_part *part)
{
    uint32_t cursor = 0;
    state_key key;
    while (state_part_next_dirty(part, &cursor, &key)) {
        ((keyed_entry *)keyed_at(part->table, key.index))->saved = 1;
        if (state_part_is_empty(part, &key))
            keyed_drop(part->table, key.index);
    }
    keyed_clean(part->table);
}

void state_part_forget(const state_part *part, uint32_t index)
{
    const keyed_entry *entry = keyed_at(part->table, index);
    if (entry->saved && part->table->is_tracked)
        keyed_mark_dirty(part->table, index);
    else
        keyed_drop(part->table, index);
}

bool state_part_next_cold(const state_part *part, state_key *out)
{
    if (part->keys == STATE_RESIDENT)
        return false;
    const uint32_t index = keyed_next_cold(part->table, part->ops->is_needed);
    if (index == KEY_NONE)
        return false;
    *out = key_at(part, index);
    return true;
}

void state_part_drop(const state_part *part, const state_key *key)
{
    assert(!((const keyed_entry *)keyed_at(part->table, key->index))->dirty);
    keyed_drop(part->table, key->index);
}

/* ---- figures ------------------------------------------------------------------------------- */

size_t state_part_bytes(const state_part *part)
{
    return keyed_bytes(part->table);
}

uint64_t state_part_keys(const state_part *part)
{
    return keyed_count(part->table);
}

size_t state_part_bytes_changed(const state_part *part)
{
    const double n = (double)keyed_count(part->table), n_dirty = (double)part->table->n_dirty;
    const double bytes = n == 0 ? 0 : (double)state_part_bytes(part) * n_dirty / n;
    const double least = n_dirty * HANDED_BYTES_MIN * (part->ops->listed == NULL ? 1 : 2);
    return (size_t)(bytes < least ? least : bytes);
}

static freshet_code inspect_key(const state_part *part, arena *arena, const unsigned char *at,
                                size_t length, text_buffer *into, freshet_error *err)
{
    const unsigned char *end = at + length;
    freshet_code code = FRESHET_OK;
    text_append_c(into, "{\"key\": {");
    for (uint32_t i = 0; code == FRESHET_OK && i < part->n_keys; i++) {
        text_append_c(into, i == 0 ? "" : ", ");
        code = cells_show(arena, part->key_names[i], part->key_types[i], &at, end, into, err);
    }
    text_append_c(into, "}");
    return code == FRESHET_OK && at != end
               ? error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                           "the saved state of a key is not what its declaration says")
               : code;
}

freshet_code state_part_inspect(const state_part *part, const void *key, size_t key_length,
                                const void *bytes, size_t length, text_buffer *into,
                                freshet_error *err)
{
    arena *arena = arena_open();
    if (arena == NULL)
        return state_memory(part, err);
    freshet_code code = inspect_key(part, arena, key, key_length, into, err);
    if (code == FRESHET_OK)
        code = part->ops->inspect(part->table->options.self, arena, bytes, length, into, err);
    text_append_c(into, "}");
    arena_close(arena);
    return code == FRESHET_OK && into->failed ? state_memory(part, err) : code;
}
