/* serving_rows.c - see serving_rows.h.
 *
 * An entry has the write timestamp, the number of the checkpoint that its row belongs to, and the
 * row: cells one behind the other, in a piece of memory of its own. Saved, a key's value is its
 * write timestamp (int64) and the cells.
 *
 * The loop is the only one that changes tables, so it alone counts memory, and looks at them
 * without the lock; it takes it for what others could see half done.
 */
#include "serving/serving_rows.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "keyed/cells.h"

#define DOING "keeping the rows that are served"
#define SERVING_OF "what is served by key:"
#define LEAVE_TRIES 64u /* keys looked for in one piece before the next one */

typedef struct serving_entry {
    keyed_entry head;
    uint32_t length;
    char *row;
    int64_t write_us;
    uint64_t checkpoint;
} serving_entry;

typedef struct serving_piece {
    serving_rows *rows;
    pthread_mutex_t lock;
    memory memory;
    keyed_table keys;
} serving_piece;

struct serving_rows {
    serving_rows_options options;
    arena *arena;
    uint64_t checkpoint; /* of the rows that come now */
    uint32_t leaving;    /* the piece that some leave next */
    bool begins_anew;
    text_buffer key, row; /* the loop's, for one row */
    state_part part;
    state_part part_pieces[SERVING_PIECES];
    serving_piece pieces[SERVING_PIECES];
};

static void release_row(void *self, void *entry)
{
    serving_entry *gone = entry;
    memory_give(&((serving_piece *)self)->memory, gone->row, gone->length);
}

/* ---- looking up ------------------------------------------------------------------------------ */

static serving_piece *serving_piece_of(serving_rows *rows, uint64_t hash)
{
    return &rows->pieces[keyed_owner(hash, SERVING_PIECES)];
}

bool serving_rows_get(serving_rows *rows, const char *key, size_t length, text_buffer *into)
{
    const uint64_t hash = keyed_hash(key, length);
    serving_piece *piece = serving_piece_of(rows, hash);
    bool found = false;
    pthread_mutex_lock(&piece->lock);
    if (keyed_count(&piece->keys) > 0) {
        const uint32_t index = keyed_find(&piece->keys, (uint32_t)hash, key, length);
        if (index != KEY_NONE) {
            const serving_entry *entry = keyed_at(&piece->keys, index);
            found = text_append(into, entry->row, entry->length);
        }
    }
    pthread_mutex_unlock(&piece->lock);
    return found;
}

uint64_t serving_rows_count(serving_rows *rows)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < SERVING_PIECES; i++) {
        pthread_mutex_lock(&rows->pieces[i].lock);
        n += keyed_count(&rows->pieces[i].keys);
        pthread_mutex_unlock(&rows->pieces[i].lock);
    }
    return n;
}

size_t serving_rows_bytes(serving_rows *rows)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < SERVING_PIECES; i++) {
        pthread_mutex_lock(&rows->pieces[i].lock);
        bytes += keyed_bytes(&rows->pieces[i].keys);
        pthread_mutex_unlock(&rows->pieces[i].lock);
    }
    return bytes;
}

/* ---- putting --------------------------------------------------------------------------------- */

/* The entry's row becomes that of rows->row; the lock is held. */
static bool replace_row(serving_piece *piece, serving_entry *entry, int64_t write_us)
{
    const text_buffer *row = &piece->rows->row;
    if (entry->row == NULL || entry->length != row->length) {
        char *made = memory_take(&piece->memory, row->length);
        if (made == NULL)
            return false;
        memory_give(&piece->memory, entry->row, entry->length);
        entry->row = made;
        entry->length = (uint32_t)row->length;
    }
    memcpy(entry->row, row->bytes, row->length);
    entry->write_us = write_us;
    entry->checkpoint = piece->rows->checkpoint;
    return true;
}

/* rows->key and rows->row. */
static freshet_code put_encoded(serving_rows *rows, int64_t write_us, freshet_error *err)
{
    const uint64_t hash = keyed_hash(rows->key.bytes, rows->key.length);
    serving_piece *piece = serving_piece_of(rows, hash);
    keyed_table *keys = &piece->keys;
    bool failed = false;
    uint32_t index = keyed_count(keys) == 0
                         ? KEY_NONE
                         : keyed_find(keys, (uint32_t)hash, rows->key.bytes, rows->key.length);
    const bool is_new = index == KEY_NONE;
    if (!is_new && ((const serving_entry *)keyed_at(keys, index))->write_us > write_us)
        return FRESHET_OK;
    pthread_mutex_lock(&piece->lock);
    if (is_new)
        index = keyed_add(keys, (uint32_t)hash, rows->key.bytes, rows->key.length);
    failed = index == KEY_NONE || !replace_row(piece, keyed_at(keys, index), write_us);
    if (failed && is_new && index != KEY_NONE)
        keyed_drop(keys, index);
    else if (!failed)
        keyed_mark_dirty(keys, index);
    pthread_mutex_unlock(&piece->lock);
    return failed ? error_memory(err, DOING) : FRESHET_OK;
}

static freshet_code put_row(serving_rows *rows, const batch *batch, uint32_t i, freshet_error *err)
{
    const uint32_t n_keys = rows->options.n_keys;
    const int64_t write_us = batch->write_us != NULL
                                 ? batch->write_us[i]
                                 : ((const int64_t *)batch->columns[n_keys].data)[i];
    text_reset(&rows->key);
    text_reset(&rows->row);
    for (uint32_t k = 0; k < n_keys; k++)
        cells_put(&rows->key, &batch->columns[k], i, true);
    if (!rows->key.failed && rows->key.length > SERVING_KEY_BYTES_MAX)
        return FRESHET_OK; /* no request can name it */
    for (uint32_t k = n_keys; k < rows->options.schema->n_fields; k++)
        cells_put(&rows->row, &batch->columns[k], i, false);
    if (rows->key.failed || rows->row.failed)
        return error_memory(err, DOING);
    return put_encoded(rows, write_us, err);
}

static size_t serving_bytes_held(const serving_rows *rows)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < SERVING_PIECES; i++)
        bytes += keyed_bytes(&rows->pieces[i].keys);
    return bytes;
}

/* Rows of the checkpoint to come may be nowhere else yet. */
static bool serving_is_needed(void *self, uint32_t index)
{
    const serving_piece *piece = self;
    const serving_entry *entry = keyed_at(&piece->keys, index);
    return entry->checkpoint >= piece->rows->checkpoint;
}

/* Some keys of the next piece leave: how many. */
static uint32_t leave_piece(serving_rows *rows, bool any)
{
    serving_piece *piece = &rows->pieces[rows->leaving++ % SERVING_PIECES];
    uint32_t n = 0;
    pthread_mutex_lock(&piece->lock);
    for (; n < LEAVE_TRIES; n++) {
        const uint32_t index = keyed_next_cold(&piece->keys, any ? NULL : serving_is_needed);
        if (index == KEY_NONE)
            break;
        keyed_drop(&piece->keys, index);
    }
    pthread_mutex_unlock(&piece->lock);
    return n;
}

static void leave(serving_rows *rows)
{
    const size_t most = rows->options.memory;
    for (size_t held; (held = serving_bytes_held(rows)) > most;) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < SERVING_PIECES; i++)
            n += leave_piece(rows, held / 2 > most);
        if (n == 0)
            return;
    }
}

freshet_code serving_rows_put(serving_rows *rows, const batch *batch, uint64_t checkpoint,
                              freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    rows->checkpoint = checkpoint;
    for (uint32_t i = 0; code == FRESHET_OK && i < batch->n_rows; i++)
        code = put_row(rows, batch, i, err);
    if (code != FRESHET_OK)
        return code;
    if (rows->options.may_leave)
        leave(rows);
    else if (serving_bytes_held(rows) > rows->options.memory)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the rows of %" PRIu64 " keys that are served need more than the %zu MiB "
                         "of serve.memory: allow more there, choose fewer serve.features, or have "
                         "them in Cassandra, too (`online: {cassandra: ...}`), from where the "
                         "others are then read",
                         serving_rows_count(rows), rows->options.memory >> 20);
    return FRESHET_OK;
}

/* ---- as a part of the state ------------------------------------------------------------------ */

static freshet_code serving_save(void *self, const void *saved, text_buffer *into,
                                 freshet_error *err)
{
    const serving_entry *entry = saved;
    (void)self, (void)err;
    text_append(into, (const char *)&entry->write_us, sizeof entry->write_us);
    text_append(into, entry->row, entry->length);
    return FRESHET_OK;
}

static freshet_code serving_damaged(freshet_error *err)
{
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                     "what was saved of a row that is served is damaged");
}

/* Are the bytes the cells of a row? */
static freshet_code check_cells(const serving_rows *rows, const char *bytes, size_t length,
                                batch *into, freshet_error *err)
{
    const unsigned char *at = (const unsigned char *)bytes, *end = at + length;
    freshet_code code = batch_init(into, into->arena, rows->options.schema, 1, err);
    for (uint32_t k = rows->options.n_keys;
         code == FRESHET_OK && k < rows->options.schema->n_fields; k++)
        code = cells_get(into->arena, &at, end, &into->columns[k], 0, err);
    return code == FRESHET_OK && at != end ? serving_damaged(err) : code;
}

static freshet_code serving_restore(void *self, const state_key *key, void *restored,
                                    const void *bytes, size_t length, freshet_error *err)
{
    serving_piece *piece = self;
    serving_entry *entry = restored;
    (void)key;
    const size_t head = sizeof entry->write_us;
    if (length <= head || length - head > UINT32_MAX)
        return serving_damaged(err);
    char *row = memory_take(&piece->memory, length - head);
    if (row == NULL)
        return error_memory(err, DOING);
    memcpy(&entry->write_us, bytes, head);
    memcpy(row, (const char *)bytes + head, length - head);
    entry->row = row;
    entry->length = (uint32_t)(length - head);
    return FRESHET_OK;
}

static freshet_code serving_inspect(void *self, arena *arena, const void *bytes, size_t length,
                                    text_buffer *into, freshet_error *err)
{
    const serving_rows *rows = ((const serving_piece *)self)->rows;
    const size_t head = sizeof(int64_t);
    batch row = {.arena = arena};
    if (length < head)
        return serving_damaged(err);
    freshet_code code = check_cells(rows, (const char *)bytes + head, length - head, &row, err);
    for (uint32_t k = rows->options.n_keys;
         code == FRESHET_OK && k < rows->options.schema->n_fields; k++) {
        const char *name = rows->options.schema->fields[k].name;
        text_append_c(into, ", ");
        text_append_json(into, name, strlen(name));
        text_append_c(into, ": ");
        code = column_to_json(&row.columns[k], 0, into, err);
    }
    return code;
}

static bool serving_begins_anew(void *self)
{
    return ((const serving_piece *)self)->rows->begins_anew;
}

static void serving_guard(void *self, bool begins)
{
    serving_piece *piece = self;
    if (begins)
        pthread_mutex_lock(&piece->lock);
    else
        pthread_mutex_unlock(&piece->lock);
}

/* Other columns than before: no key is served before its next row. Nothing else hangs on it. */
static freshet_code serving_evolve(void *owner, const state_past *past, evolution *out,
                                   freshet_error *err)
{
    serving_rows *rows = owner;
    (void)err;
    rows->begins_anew = past != NULL && past->fingerprint != rows->part.fingerprint;
    if (past != NULL && !rows->begins_anew)
        evolution_say(out, rows->part.name, VERDICT_SERVED, NULL, "", "it keeps %s",
                      rows->part.shape);
    else if (out->newest_us == EVOLUTION_NO_ROW)
        evolution_say(out, rows->part.name, VERDICT_SERVED, NULL, "", "no row has come yet");
    else
        evolution_say(out, rows->part.name, VERDICT_FROM_NOW, NULL, "",
                      "%s: each key is served from its next row on",
                      past == NULL ? "rows were not kept for serving"
                                   : "the rows that are served have other columns now");
    return FRESHET_OK;
}

static const state_part_ops serving_ops = {.save = serving_save,
                                           .restore = serving_restore,
                                           .inspect = serving_inspect,
                                           .begins_anew = serving_begins_anew,
                                           .guard = serving_guard};

const state_part *serving_rows_part(const serving_rows *rows)
{
    return rows->options.may_leave ? NULL : &rows->part;
}

/* ---- opening --------------------------------------------------------------------------------- */

static freshet_code describe_part(serving_rows *rows, freshet_error *err)
{
    const schema *schema = rows->options.schema;
    state_part *part = &rows->part;
    *part = (state_part){.name = SERVING_PART,
                         .doing = DOING,
                         .keys = STATE_RESIDENT,
                         .ops = &serving_ops,
                         .table = &rows->pieces[0].keys,
                         .evolve = serving_evolve,
                         .owner = rows,
                         .key_bytes_max = SERVING_KEY_BYTES_MAX};
    freshet_code code =
        state_part_columns(part, rows->arena, SERVING_OF, schema->fields, schema->n_fields, err);
    part->n_keys = rows->options.n_keys;
    for (uint32_t i = 0; code == FRESHET_OK && i < SERVING_PIECES; i++) {
        rows->part_pieces[i] = *part;
        rows->part_pieces[i].table = &rows->pieces[i].keys;
    }
    part->table = NULL;
    part->pieces = rows->part_pieces;
    part->n_pieces = SERVING_PIECES;
    return code;
}

freshet_code serving_rows_open(const serving_rows_options *options, arena *arena,
                               serving_rows **out, freshet_error *err)
{
    serving_rows *rows = arena_zero(arena, 1, sizeof *rows);
    if (rows == NULL)
        return error_memory(err, DOING);
    bool is_open = true;
    rows->options = *options;
    rows->arena = arena;
    text_init(&rows->key, TEXT_LIMIT_DEFAULT);
    text_init(&rows->row, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < SERVING_PIECES; i++) {
        serving_piece *piece = &rows->pieces[i];
        const keyed_options keys = {.memory = &piece->memory,
                                    .entry_bytes = sizeof(serving_entry),
                                    .release = release_row,
                                    .self = piece};
        piece->rows = rows;
        piece->memory.fail_after = -1;
        pthread_mutex_init(&piece->lock, NULL);
        is_open = keyed_open(&piece->keys, &keys) && is_open;
    }
    freshet_code code = is_open ? describe_part(rows, err) : error_memory(err, DOING);
    if (code == FRESHET_OK)
        *out = rows;
    else
        serving_rows_close(rows);
    return code;
}

void serving_rows_close(serving_rows *rows)
{
    if (rows == NULL)
        return;
    for (uint32_t i = 0; i < SERVING_PIECES; i++) {
        keyed_close(&rows->pieces[i].keys);
        pthread_mutex_destroy(&rows->pieces[i].lock);
    }
    text_release(&rows->key);
    text_release(&rows->row);
}
