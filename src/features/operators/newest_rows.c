/* newest_rows.c - see newest_rows.h.
 *
 * A hash table of keys (open addressing, removal by moving back), each a block of memory with its
 * bytes (keyed/cells.h). The keys that changed since the last checkpoint are in a list. A key
 * that has not changed since, and was not met either since a hand last went over the table, is cold:
 * it may be dropped, and is loaded again when a row of it comes.
 *
 * Saved, a key's value is its newest event time (int64) and its revision (uint32).
 */
#include "features/operators/newest_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "keyed/cells.h"

#define DOING "remembering the newest row of each key"
#define PLACES_FIRST 1024u
#define SECOND_US INT64_C(1000000)
#define NOT_CHANGED UINT32_MAX
#define SAVED_BYTES (sizeof(int64_t) + sizeof(uint32_t))
/* of malloc, of the table's place at its usual fill, of the list of changed keys */
#define KEY_BYTES (sizeof(key_entry) + 16u + 32u + 8u)

typedef struct key_entry {
    uint64_t hash;
    int64_t newest_us;
    uint32_t revision;
    uint32_t changed; /* where it stands among the changed ones, or NOT_CHANGED */
    uint32_t length;
    bool met; /* since the hand went by */
    char bytes[];
} key_entry;

struct newest_rows {
    arena *arena;
    schema output;
    uint32_t n_keys;
    int64_t first_us, last_us;
    size_t memory, bytes;
    key_entry **places; /* n_places of them, a power of two */
    uint64_t n_places, n_entries;
    uint64_t hand;
    key_entry **changed;
    uint32_t n_changed, changed_capacity;
    state_load_fn *load; /* NULL: nobody keeps the state */
    void *load_context;
    text_buffer key, loaded; /* scratch */
    state_part part;
};

/* ---- the table ------------------------------------------------------------------------------- */

static key_entry *newest_rows_find(const newest_rows *newest, uint64_t hash, const char *bytes,
                                   size_t length)
{
    const uint64_t mask = newest->n_places - 1;
    for (uint64_t at = hash & mask; newest->places[at] != NULL; at = (at + 1) & mask) {
        key_entry *entry = newest->places[at];
        if (entry->hash == hash && entry->length == length &&
            memcmp(entry->bytes, bytes, length) == 0)
            return entry;
    }
    return NULL;
}

static void newest_rows_put(key_entry **places, uint64_t n_places, key_entry *entry)
{
    uint64_t at = entry->hash & (n_places - 1);
    while (places[at] != NULL)
        at = (at + 1) & (n_places - 1);
    places[at] = entry;
}

static bool room_for_entry(newest_rows *newest)
{
    if (newest->n_entries < newest->n_places / 2)
        return true;
    key_entry **places = calloc(newest->n_places * 2, sizeof(key_entry *));
    if (places == NULL)
        return false;
    for (uint64_t i = 0; i < newest->n_places; i++)
        if (newest->places[i] != NULL)
            newest_rows_put(places, newest->n_places * 2, newest->places[i]);
    free(newest->places);
    newest->places = places;
    newest->n_places *= 2;
    newest->hand = 0;
    return true;
}

/* Takes it from the table: what stands behind its place and could stand there moves up. */
static void take_out(newest_rows *newest, const key_entry *entry)
{
    const uint64_t mask = newest->n_places - 1;
    uint64_t hole = entry->hash & mask;
    while (newest->places[hole] != entry)
        hole = (hole + 1) & mask;
    for (uint64_t at = (hole + 1) & mask; newest->places[at] != NULL; at = (at + 1) & mask) {
        uint64_t home = newest->places[at]->hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            newest->places[hole] = newest->places[at];
            hole = at;
        }
    }
    newest->places[hole] = NULL;
    newest->n_entries--;
}

static bool note_change(newest_rows *newest, key_entry *entry)
{
    if (entry->changed != NOT_CHANGED || newest->load == NULL)
        return true;
    if (newest->n_changed == newest->changed_capacity) {
        uint32_t capacity = newest->changed_capacity == 0 ? 256 : newest->changed_capacity * 2;
        key_entry **changed = realloc(newest->changed, capacity * sizeof(key_entry *));
        if (changed == NULL)
            return false;
        newest->changed = changed;
        newest->changed_capacity = capacity;
    }
    entry->changed = newest->n_changed;
    newest->changed[newest->n_changed++] = entry;
    return true;
}

static key_entry *newest_rows_add(newest_rows *newest, uint64_t hash, const text_buffer *key)
{
    key_entry *entry = room_for_entry(newest) ? malloc(sizeof *entry + key->length) : NULL;
    if (entry == NULL)
        return NULL;
    *entry = (key_entry){.hash = hash, .changed = NOT_CHANGED, .length = (uint32_t)key->length};
    memcpy(entry->bytes, key->bytes, key->length);
    newest_rows_put(newest->places, newest->n_places, entry);
    newest->n_entries++;
    newest->bytes += KEY_BYTES + key->length;
    return entry;
}

/* ---- ranking --------------------------------------------------------------------------------- */

static int64_t second_of(int64_t time_us)
{
    const int64_t into_second = time_us % SECOND_US + (time_us % SECOND_US < 0 ? SECOND_US : 0);
    return time_us < INT64_MIN + into_second ? INT64_MIN : time_us - into_second;
}

static int64_t write_time(int64_t newest_us, uint32_t revision)
{
    const int64_t second_us = second_of(newest_us);
    return second_us > INT64_MAX - (int64_t)revision ? INT64_MAX : second_us + (int64_t)revision;
}

/* What the store keeps of the key goes into its new entry; *is_new where it keeps nothing. */
static freshet_code load_entry(newest_rows *newest, key_entry *entry, bool *is_new,
                               freshet_error *err)
{
    *is_new = true;
    if (newest->load == NULL)
        return FRESHET_OK;
    text_reset(&newest->loaded);
    freshet_code code =
        newest->load(newest->load_context, entry->bytes, entry->length, &newest->loaded, err);
    if (code == FRESHET_END)
        return FRESHET_OK;
    if (code != FRESHET_OK)
        return code;
    if (newest->loaded.length != SAVED_BYTES)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "what was saved of a key's newest row is damaged");
    memcpy(&entry->newest_us, newest->loaded.bytes, sizeof entry->newest_us);
    memcpy(&entry->revision, newest->loaded.bytes + sizeof entry->newest_us,
           sizeof entry->revision);
    *is_new = false;
    return FRESHET_OK;
}

static freshet_code find_entry(newest_rows *newest, const batch *rows, uint32_t row,
                               key_entry **out, bool *is_new, freshet_error *err)
{
    text_reset(&newest->key);
    for (uint32_t i = 0; i < newest->n_keys; i++)
        cells_put(&newest->key, &rows->columns[i], row, true);
    if (newest->key.failed)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, newest->output.fields[0].name,
                         "the keys of a row take more than %u bytes: use shorter ones",
                         NEWEST_KEY_BYTES_MAX);
    const uint64_t hash = hash_bytes(newest->key.bytes, newest->key.length, 0);
    *is_new = false;
    *out = newest_rows_find(newest, hash, newest->key.bytes, newest->key.length);
    if (*out != NULL)
        return FRESHET_OK;
    if (newest->load == NULL && newest->bytes > newest->memory)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the newest rows of %" PRIu64
                         " keys need more than the %zu MiB of state.memory: allow more there",
                         newest->n_entries, newest->memory >> 20);
    key_entry *entry = newest_rows_add(newest, hash, &newest->key);
    if (entry == NULL)
        return error_memory(err, DOING);
    freshet_code code = load_entry(newest, entry, is_new, err);
    if (code != FRESHET_OK) {
        take_out(newest, entry);
        newest->bytes -= KEY_BYTES + entry->length;
        free(entry);
        return code;
    }
    *out = entry;
    return FRESHET_OK;
}

/* True where the row is the key's newest now. */
static bool apply(key_entry *entry, int64_t event_us, bool is_new)
{
    entry->met = true;
    if (is_new || second_of(event_us) > second_of(entry->newest_us)) {
        entry->newest_us = event_us;
        entry->revision = 0;
        return true;
    }
    if (second_of(event_us) < second_of(entry->newest_us))
        return false;
    if (entry->revision < NEWEST_REVISION_MAX)
        entry->revision++;
    if (event_us < entry->newest_us)
        return false;
    entry->newest_us = event_us;
    return true;
}

static freshet_code rank_row(newest_rows *newest, batch *rows, uint32_t row, bool has_times,
                             freshet_error *err)
{
    const int64_t event_us = ((const int64_t *)rows->columns[newest->n_keys].data)[row];
    key_entry *entry = NULL;
    bool is_new = false;
    rows->row_kinds[row] = (uint8_t)(rows->row_kinds[row] & ~(unsigned)ROW_ONLINE);
    if (!has_times)
        rows->write_us[row] = write_time(event_us, 0);
    if (event_us < newest->first_us || event_us > newest->last_us)
        return FRESHET_OK;
    freshet_code code = find_entry(newest, rows, row, &entry, &is_new, err);
    if (code != FRESHET_OK || entry == NULL)
        return code;
    const uint32_t revision = entry->revision;
    const bool is_newest = apply(entry, event_us, is_new);
    if ((is_newest || revision != entry->revision) && !note_change(newest, entry))
        return error_memory(err, DOING);
    if (is_newest) {
        rows->row_kinds[row] |= ROW_ONLINE;
        if (!has_times)
            rows->write_us[row] = write_time(entry->newest_us, entry->revision);
    }
    return FRESHET_OK;
}

freshet_code newest_rows_rank(newest_rows *newest, batch *rows, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    if (rows->n_rows == 0)
        return code;
    const bool has_times = rows->write_us != NULL && rows->row_kinds == NULL;
    uint8_t *kinds = arena_alloc(rows->arena, rows->n_rows);
    if (!has_times)
        rows->write_us = arena_alloc(rows->arena, rows->n_rows * sizeof *rows->write_us);
    if (kinds == NULL || rows->write_us == NULL)
        return error_memory(err, DOING);
    if (rows->row_kinds != NULL)
        memcpy(kinds, rows->row_kinds, rows->n_rows);
    else
        memset(kinds, ROW_NEW, rows->n_rows);
    rows->row_kinds = kinds;
    for (uint32_t row = 0; code == FRESHET_OK && row < rows->n_rows; row++)
        code = rank_row(newest, rows, row, has_times, err);
    return code;
}

/* ---- as a part of the state ------------------------------------------------------------------ */

static void newest_rows_part_set_load(void *self, state_load_fn *load, void *context)
{
    newest_rows *newest = self;
    newest->load = load;
    newest->load_context = context;
}

static bool newest_rows_part_next_dirty(void *self, uint32_t *cursor, state_key *out)
{
    const newest_rows *newest = self;
    if (*cursor >= newest->n_changed)
        return false;
    const key_entry *entry = newest->changed[*cursor];
    *out = (state_key){.bytes = entry->bytes, .length = entry->length, .index = *cursor};
    (*cursor)++;
    return true;
}

static freshet_code newest_rows_part_save(void *self, const state_key *key, text_buffer *into,
                                          freshet_error *err)
{
    const newest_rows *newest = self;
    const key_entry *entry = newest->changed[key->index];
    text_append(into, (const char *)&entry->newest_us, sizeof entry->newest_us);
    text_append(into, (const char *)&entry->revision, sizeof entry->revision);
    return into->failed ? error_memory(err, DOING) : FRESHET_OK;
}

static void newest_rows_part_clean(void *self)
{
    newest_rows *newest = self;
    for (uint32_t i = 0; i < newest->n_changed; i++)
        newest->changed[i]->changed = NOT_CHANGED;
    newest->n_changed = 0;
}

/* The hand goes over the table twice at most: the second time it finds what it has passed the first. */
static bool newest_rows_part_next_cold(void *self, state_key *out)
{
    newest_rows *newest = self;
    for (uint64_t n = 0; n < 2 * newest->n_places && newest->n_entries > newest->n_changed; n++) {
        newest->hand = (newest->hand + 1) & (newest->n_places - 1);
        key_entry *entry = newest->places[newest->hand];
        if (entry == NULL || entry->changed != NOT_CHANGED)
            continue;
        if (!entry->met) {
            *out = (state_key){.bytes = entry->bytes, .length = entry->length};
            return true;
        }
        entry->met = false;
    }
    return false;
}

static void newest_rows_part_drop(void *self, const state_key *key)
{
    newest_rows *newest = self;
    key_entry *entry =
        newest_rows_find(newest, hash_bytes(key->bytes, key->length, 0), key->bytes, key->length);
    if (entry == NULL)
        return;
    take_out(newest, entry);
    newest->bytes -= KEY_BYTES + entry->length;
    free(entry);
}

static size_t newest_rows_part_bytes(void *self)
{
    return ((const newest_rows *)self)->bytes;
}

static uint64_t newest_rows_part_keys(void *self)
{
    return ((const newest_rows *)self)->n_entries;
}

static freshet_code inspect_key(const newest_rows *newest, arena *arena, const unsigned char *at,
                                size_t length, text_buffer *into, freshet_error *err)
{
    const unsigned char *end = at + length;
    for (uint32_t i = 0; i < newest->n_keys; i++) {
        const field *field = &newest->output.fields[i];
        text_append_c(into, i == 0 ? "" : ", ");
        freshet_code code = cells_show(arena, field->name, field->type, &at, end, into, err);
        if (code != FRESHET_OK)
            return code;
    }
    return FRESHET_OK;
}

static freshet_code newest_rows_part_inspect(void *self, const void *key, size_t key_length,
                                             const void *bytes, size_t length, text_buffer *into,
                                             freshet_error *err)
{
    const newest_rows *newest = self;
    int64_t newest_us;
    uint32_t revision;
    if (length != SAVED_BYTES)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "what was saved of a key's newest row is damaged");
    memcpy(&newest_us, bytes, sizeof newest_us);
    memcpy(&revision, (const char *)bytes + sizeof newest_us, sizeof revision);
    arena *scratch = arena_open();
    if (scratch == NULL)
        return error_memory(err, DOING);
    text_append_c(into, "{\"key\": {");
    freshet_code code = inspect_key(newest, scratch, key, key_length, into, err);
    text_append_c(into, "}, \"newest\": \"");
    text_append_timestamp(into, newest_us);
    text_format(into, "\", \"revision\": %u}", revision);
    arena_close(scratch);
    return code == FRESHET_OK && into->failed ? error_memory(err, DOING) : code;
}

const state_part *newest_rows_part(newest_rows *newest)
{
    return &newest->part;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Saved keys depend on their columns' types, and mean what they mean by their names. */
static freshet_code newest_rows_describe(newest_rows *newest, freshet_error *err)
{
    text_buffer shape;
    text_init(&shape, TEXT_LIMIT_DEFAULT);
    text_append_c(&shape, "the newest row by key:");
    for (uint32_t i = 0; i < newest->n_keys; i++) {
        const char *type = type_name(newest->arena, newest->output.fields[i].type);
        text_format(&shape, "%s %s %s", i == 0 ? "" : ",", newest->output.fields[i].name,
                    type == NULL ? "" : type);
        shape.failed = shape.failed || type == NULL;
    }
    const char *kept = shape.failed ? NULL : arena_copy(newest->arena, shape.bytes, shape.length);
    newest->part = (state_part){.name = "newest",
                                .shape = kept,
                                .self = newest,
                                .set_load = newest_rows_part_set_load,
                                .next_dirty = newest_rows_part_next_dirty,
                                .save = newest_rows_part_save,
                                .clean = newest_rows_part_clean,
                                .next_cold = newest_rows_part_next_cold,
                                .drop = newest_rows_part_drop,
                                .bytes = newest_rows_part_bytes,
                                .keys = newest_rows_part_keys,
                                .inspect = newest_rows_part_inspect};
    if (kept != NULL)
        newest->part.fingerprint = hash_bytes(kept, shape.length, HASH_A);
    text_release(&shape);
    return kept == NULL ? error_memory(err, DOING) : FRESHET_OK;
}

freshet_code newest_rows_open(const schema *output, uint32_t n_keys, int64_t first_us,
                              int64_t last_us, size_t memory, newest_rows **out, freshet_error *err)
{
    newest_rows *newest = calloc(1, sizeof *newest);
    if (newest == NULL)
        return error_memory(err, DOING);
    text_init(&newest->key, NEWEST_KEY_BYTES_MAX);
    text_init(&newest->loaded, SAVED_BYTES * 2);
    newest->first_us = first_us;
    newest->last_us = last_us;
    newest->memory = memory;
    newest->n_keys = n_keys;
    newest->n_places = PLACES_FIRST;
    newest->places = calloc(PLACES_FIRST, sizeof(key_entry *));
    newest->arena = arena_open();
    freshet_code code = FRESHET_OK;
    if (newest->places == NULL || newest->arena == NULL)
        code = error_memory(err, DOING);
    if (code == FRESHET_OK) {
        newest->output = schema_keep(newest->arena, output);
        code = newest->output.fields == NULL ? error_memory(err, DOING)
                                             : newest_rows_describe(newest, err);
    }
    if (code == FRESHET_OK)
        *out = newest;
    else
        newest_rows_close(newest);
    return code;
}

void newest_rows_close(newest_rows *newest)
{
    if (newest == NULL)
        return;
    for (uint64_t i = 0; i < newest->n_places && newest->places != NULL; i++)
        free(newest->places[i]);
    free(newest->places);
    free(newest->changed);
    text_release(&newest->key);
    text_release(&newest->loaded);
    arena_close(newest->arena);
    free(newest);
}
