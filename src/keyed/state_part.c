/* state_part.c - see state_part.h. */
#include "keyed/state_part.h"

#include <stdlib.h>

#include "base/error.h"
#include "keyed/cells.h"

#define LOOKED_AT_ONCE 32u
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

/* ---- pieces ---------------------------------------------------------------------------------- */

/* A whole part is the only piece of itself. */
static uint32_t count_pieces(const state_part *part)
{
    return part->n_pieces == 0 ? 1 : part->n_pieces;
}

static const state_part *piece_at(const state_part *part, uint32_t i)
{
    return part->n_pieces == 0 ? part : &part->pieces[i];
}

static const state_part *owner_at(const state_part *part, uint64_t hash)
{
    return part->n_pieces == 0 ? part : &part->pieces[keyed_owner(hash, part->n_pieces)];
}

static void *piece_self(const state_part *part, uint32_t i)
{
    return piece_at(part, i)->table->options.self;
}

/* The entry of a key of next_dirty or next_cold. */
static keyed_entry *part_entry_at(const state_part *part, const state_key *key)
{
    return keyed_at(piece_at(part, key->piece)->table, key->index);
}

static state_key key_at(const state_part *piece, uint32_t index)
{
    const keyed_entry *entry = keyed_at(piece->table, index);
    return (state_key){keyed_key(entry), entry->length, index, piece->table->piece};
}

void state_part_set_load(const state_part *part, state_load_fn *load, void *context)
{
    for (uint32_t i = 0; i < count_pieces(part); i++) {
        keyed_table *table = piece_at(part, i)->table;
        keyed_track(table);
        table->load = load;
        table->load_context = context;
        table->piece = i;
    }
}

void state_part_set_heritage(const state_part *part, state_load_fn *load)
{
    for (uint32_t i = 0; i < count_pieces(part); i++)
        piece_at(part, i)->table->load_heritage = load;
}

void state_part_set_load_many(const state_part *part, state_load_many_fn *load_many)
{
    for (uint32_t i = 0; i < count_pieces(part); i++)
        piece_at(part, i)->table->load_many = load_many;
}

void state_part_set_bring(const state_part *part, state_bring_fn *bring)
{
    for (uint32_t i = 0; i < count_pieces(part); i++)
        piece_at(part, i)->table->bring = bring;
}

freshet_code state_part_bring(const state_part *part, int64_t until, uint32_t most, uint32_t *n,
                              freshet_error *err)
{
    const keyed_table *table = part->table;
    *n = 0;
    return table->bring == NULL
               ? FRESHET_OK
               : table->bring(table->load_context, table->piece, until, most, n, err);
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
    const uint64_t hash = keyed_hash(key, key_length);
    uint32_t index;
    if (key_length > part->key_bytes_max)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "a saved key has more than %u bytes", part->key_bytes_max);
    return restore_entry(owner_at(part, hash), (uint32_t)hash, &restored, bytes, length, &index,
                         err);
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

static freshet_code fill_key(const state_part *piece, uint32_t tag, const state_key *key,
                             const void *bytes, size_t length, state_fill *out, freshet_error *err)
{
    keyed_table *table = piece->table;
    const state_part_ops *ops = piece->ops;
    uint32_t index = KEY_NONE;
    bool is_new = false;
    freshet_code code = state_part_find(piece, tag, key->bytes, key->length, &index, &is_new, err);
    if (code != FRESHET_OK)
        return code;
    code = ops->fill(table->options.self, index, is_new, bytes, length, out, err);
    if (code == FRESHET_OK && (*out == FILL_SHORT || *out == FILL_OTHER)) {
        keyed_mark_dirty(table, index);
    } else if (code == FRESHET_OK && *out == FILL_DONE) {
        keyed_mark_dirty(table, index);
        if (ops->placed != NULL && !ops->placed(table->options.self, index))
            code = state_memory(piece, err);
    } else if (is_new) {
        keyed_drop(table, index);
    }
    return code;
}

freshet_code state_part_fill(const state_part *part, const void *key, size_t key_length,
                             const void *bytes, size_t length, state_fill *out, freshet_error *err)
{
    const state_key filled = {key, key_length, KEY_NONE, 0};
    const uint64_t hash = keyed_hash(key, key_length);
    if (key_length > part->key_bytes_max)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "a saved key has more than %u bytes", part->key_bytes_max);
    return fill_key(owner_at(part, hash), (uint32_t)hash, &filled, bytes, length, out, err);
}

bool state_part_is_fillable(const state_part *part)
{
    return part->ops->fill != NULL;
}

int64_t state_part_fill_until(const state_part *part)
{
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; part->ops->fill_until != NULL && i < count_pieces(part); i++) {
        const int64_t until = part->ops->fill_until(piece_self(part, i));
        least = until < least ? until : least;
    }
    return least;
}

int64_t state_part_fill_newest(const state_part *part, int64_t otherwise)
{
    int64_t most = INT64_MIN;
    if (part->ops->fill_newest == NULL)
        return otherwise;
    for (uint32_t i = 0; i < count_pieces(part); i++) {
        const int64_t newest = part->ops->fill_newest(piece_self(part, i));
        most = newest > most ? newest : most;
    }
    return most;
}

freshet_code state_part_fill_open(const state_part *part, const char *layout, int64_t newest_us,
                                  freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < count_pieces(part); i++)
        code = part->ops->fill_open(piece_self(part, i), layout, newest_us, err);
    return code;
}

void state_part_filled(const state_part *part, uint64_t declared)
{
    for (uint32_t i = 0; i < count_pieces(part); i++)
        part->ops->filled(piece_self(part, i), declared);
}

/* ---- saving, forgetting -------------------------------------------------------------------- */

/* Looks at the entries of the next places at once, and then at what hangs at them, which takes
 * hardly longer than at one; prefetching is of no use where the page is not known either. */
static void look_ahead(const state_part *piece, uint32_t at)
{
    const keyed_table *table = piece->table;
    const uint32_t end =
        at + LOOKED_AT_ONCE < table->n_dirty ? at + LOOKED_AT_ONCE : table->n_dirty;
    for (uint32_t i = at; i < end; i++) {
        const char *entry = keyed_at(table, table->dirty[i]);
        for (uint32_t byte = 0; byte < table->options.entry_bytes; byte += KEYED_LINE)
            memory_touch(entry + byte);
    }
    for (uint32_t i = at; piece->ops->prefetch != NULL && i < end; i++) {
        const keyed_entry *entry = keyed_at(table, table->dirty[i]);
        if (entry->used) /* else nothing hangs at it any more */
            piece->ops->prefetch(table->options.self, entry);
    }
}

bool state_part_next_dirty_before(const state_part *part, uint32_t *cursor, uint32_t end,
                                  state_key *out)
{
    uint32_t before = 0; /* places of the lists of earlier pieces */
    for (uint32_t i = 0; i < count_pieces(part); i++) {
        const state_part *piece = piece_at(part, i);
        while (*cursor < before + piece->table->n_dirty) {
            if (*cursor >= end)
                return false;
            const uint32_t at = (*cursor)++ - before, index = piece->table->dirty[at];
            if (at % LOOKED_AT_ONCE == 0)
                look_ahead(piece, at);
            if (!((const keyed_entry *)keyed_at(piece->table, index))->used)
                continue;
            *out = key_at(piece, index);
            return true;
        }
        before += piece->table->n_dirty;
    }
    return false;
}

bool state_part_next_dirty(const state_part *part, uint32_t *cursor, state_key *out)
{
    return state_part_next_dirty_before(part, cursor, UINT32_MAX, out);
}

uint32_t state_part_dirty_places(const state_part *part)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count_pieces(part); i++)
        n += piece_at(part, i)->table->n_dirty;
    return n;
}

freshet_code state_part_save(const state_part *part, const state_key *key, text_buffer *into,
                             freshet_error *err)
{
    freshet_code code =
        part->ops->save(piece_self(part, key->piece), part_entry_at(part, key), into, err);
    return code == FRESHET_OK && into->failed ? state_memory(part, err) : code;
}

bool state_part_is_empty(const state_part *part, const state_key *key)
{
    return part->ops->is_empty != NULL &&
           part->ops->is_empty(piece_self(part, key->piece), part_entry_at(part, key));
}

bool state_part_is_saved(const state_part *part, const state_key *key)
{
    return part_entry_at(part, key)->saved != 0;
}

bool state_part_has(const state_part *part, const void *key, size_t length)
{
    const uint64_t hash = keyed_hash(key, length);
    return keyed_find(owner_at(part, hash)->table, (uint32_t)hash, key, length) != KEY_NONE;
}

void state_part_touch(const state_part *part, const void *key, size_t length)
{
    const uint64_t hash = keyed_hash(key, length);
    keyed_table *table = owner_at(part, hash)->table;
    const uint32_t index = keyed_find(table, (uint32_t)hash, key, length);
    if (index != KEY_NONE)
        keyed_mark_dirty(table, index);
}

static void clean_piece(const state_part *piece)
{
    keyed_table *table = piece->table;
    const state_part_ops *ops = piece->ops;
    for (uint32_t i = 0; i < table->n_dirty; i++) {
        keyed_entry *entry = keyed_at(table, table->dirty[i]);
        for (uint32_t k = i; i % LOOKED_AT_ONCE == 0 && k < i + LOOKED_AT_ONCE; k++)
            if (k < table->n_dirty)
                memory_touch(keyed_at(table, table->dirty[k]));
        if (!entry->used)
            continue;
        entry->saved = 1;
        if (ops->is_empty != NULL && ops->is_empty(table->options.self, entry))
            keyed_drop(table, table->dirty[i]);
    }
    keyed_clean(table);
}

void state_part_clean(const state_part *part)
{
    for (uint32_t i = 0; i < count_pieces(part); i++) {
        const state_part *piece = piece_at(part, i);
        if (piece->ops->guard != NULL)
            piece->ops->guard(piece->table->options.self, true);
        clean_piece(piece);
        if (piece->ops->guard != NULL)
            piece->ops->guard(piece->table->options.self, false);
    }
}

void state_part_forget(const state_part *part, uint32_t index)
{
    const keyed_entry *entry = keyed_at(part->table, index);
    if (entry->saved && part->table->is_tracked)
        keyed_mark_dirty(part->table, index);
    else
        keyed_drop(part->table, index);
}

static bool next_cold_of(const state_part *piece, state_key *out)
{
    if (piece->keys == STATE_RESIDENT)
        return false;
    const uint32_t index = keyed_next_cold(piece->table, piece->ops->is_needed);
    if (index == KEY_NONE)
        return false;
    *out = key_at(piece, index);
    return true;
}

/* The piece with the most keys: what was not used for the longest is about as likely in any. */
static uint32_t fullest_piece(const state_part *part)
{
    uint32_t fullest = 0;
    for (uint32_t i = 1; i < count_pieces(part); i++)
        if (keyed_count(piece_at(part, i)->table) > keyed_count(piece_at(part, fullest)->table))
            fullest = i;
    return fullest;
}

bool state_part_next_cold(const state_part *part, state_key *out)
{
    const uint32_t n = count_pieces(part), fullest = fullest_piece(part);
    for (uint32_t i = 0; i < n; i++)
        if (next_cold_of(piece_at(part, (fullest + i) % n), out))
            return true;
    return false;
}

void state_part_drop(const state_part *part, const state_key *key)
{
    assert(!part_entry_at(part, key)->dirty);
    keyed_drop(piece_at(part, key->piece)->table, key->index);
}

static uint32_t drop_cold_of(const state_part *piece, uint32_t most)
{
    uint32_t dropped = 0;
    state_key key;
    for (; dropped < most && next_cold_of(piece, &key); dropped++)
        keyed_drop(piece->table, key.index);
    return dropped;
}

/* Each piece gives as many; where one has no more, the others do. */
uint32_t state_part_drop_cold(const state_part *part, uint32_t most)
{
    const uint32_t n = count_pieces(part), fullest = fullest_piece(part);
    uint64_t spent = 0; /* pieces that have none: looked through once */
    uint32_t dropped = 0;
    for (uint32_t i = 0; dropped < most && i < 2 * n; i++) {
        const uint32_t at = (fullest + i) % n, left = i < n ? n - i : 1;
        const uint32_t share = (most - dropped + left - 1) / left;
        if (spent >> at & 1)
            continue;
        const uint32_t given = drop_cold_of(piece_at(part, at), share);
        spent |= given < share ? UINT64_C(1) << at : 0;
        dropped += given;
    }
    return dropped;
}

/* ---- listed by time -------------------------------------------------------------------------- */

bool state_part_is_listed(const state_part *part)
{
    return part->ops->listed != NULL;
}

bool state_part_is_swept(const state_part *part)
{
    return part->ops->over_before != NULL;
}

bool state_part_listed(const state_part *part, const state_key *key, uint32_t i, int64_t *time)
{
    return part->ops->listed(piece_self(part, key->piece), key->index, i, time);
}

bool state_part_lists_anew(const state_part *part)
{
    bool anew = false;
    for (uint32_t i = 0; part->ops->lists_anew != NULL && i < count_pieces(part); i++)
        anew |= part->ops->lists_anew(piece_self(part, i));
    return anew;
}

/* What is over for all pieces. */
int64_t state_part_over_before(const state_part *part)
{
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; i < count_pieces(part); i++) {
        const int64_t before = part->ops->over_before(piece_self(part, i));
        least = before < least ? before : least;
    }
    return least;
}

int64_t state_part_listed_saved(const state_part *part, const void *bytes, size_t length)
{
    return part->ops->listed_saved(bytes, length);
}

/* ---- a changed declaration ------------------------------------------------------------------- */

/* The verdicts of one piece are those of all. */
freshet_code state_part_evolve(const state_part *part, const state_past *past, evolution *out,
                               freshet_error *err)
{
    const state_part *first = piece_at(part, 0);
    freshet_code code = first->evolve(first->owner, past, out, err);
    for (uint32_t i = 1; code == FRESHET_OK && i < count_pieces(part); i++) {
        const state_part *piece = piece_at(part, i);
        evolution unsaid = *out;
        unsaid.items = NULL;
        unsaid.n = unsaid.capacity = 0;
        code = piece->evolve(piece->owner, past, &unsaid, err);
        out->no_memory |= unsaid.no_memory;
    }
    return code;
}

bool state_part_has_layouts(const state_part *part)
{
    return part->ops->know != NULL;
}

freshet_code state_part_know(const state_part *part, const char *layout, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < count_pieces(part); i++)
        code = part->ops->know(piece_self(part, i), layout, err);
    return code;
}

bool state_part_begins_anew(const state_part *part)
{
    return part->ops->begins_anew != NULL && part->ops->begins_anew(piece_self(part, 0));
}

freshet_code state_part_succeed(const state_part *part, const void *bytes, size_t length,
                                text_buffer *into, freshet_error *err)
{
    return part->ops->succeed(piece_self(part, 0), bytes, length, into, err);
}

/* ---- figures ------------------------------------------------------------------------------- */

size_t state_part_bytes(const state_part *part)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count_pieces(part); i++)
        bytes += keyed_bytes(piece_at(part, i)->table);
    return bytes;
}

uint64_t state_part_keys(const state_part *part)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < count_pieces(part); i++)
        n += keyed_count(piece_at(part, i)->table);
    return n;
}

size_t state_part_bytes_changed(const state_part *part)
{
    const double n_dirty = state_part_dirty_places(part);
    const double n = (double)state_part_keys(part);
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
        code = part->ops->inspect(piece_self(part, 0), arena, bytes, length, into, err);
    text_append_c(into, "}");
    arena_close(arena);
    return code == FRESHET_OK && into->failed ? state_memory(part, err) : code;
}
