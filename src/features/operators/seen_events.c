/* seen_events.c - see seen_events.h.
 *
 * A hash table of ids (open addressing, removal by moving back), each with the times of the events taken:
 * one, nearly always; further ones in an array of its own. For forgetting, ids hang in buckets by the
 * newest of their times when they were put there; a bucket whose time is over is gone through, and an
 * id that has a newer time by then goes to that one's bucket.
 *
 * For checkpoints there is a list of the ids that changed. One that is forgotten and was saved stays,
 * empty, until the next checkpoint has removed it from the store; one that was never saved goes at once.
 *
 * Saved, an id is its cells as bytes (keyed/cells.h), and its value its times.
 */
#include "features/operators/seen_events.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "keyed/cells.h"

#define DOING "remembering the ids of events (deduplicate)"
#define PLACES_FIRST 1024u
#define BUCKETS_OF_WITHIN 16
#define BUCKET_US_MIN INT64_C(1000000)
#define NOT_CHANGED UINT32_MAX
/* of malloc, of the table's place at its usual fill, of the list of changed ids */
#define ID_BYTES (sizeof(seen_id) + 16u + 32u + 8u)

typedef struct seen_id seen_id;
struct seen_id {
    uint64_t hash;
    seen_id *next;     /* in the bucket */
    int64_t newest_us; /* of its times */
    int64_t *others_us;
    uint32_t n_times; /* 0: forgotten, but still in the store */
    uint32_t changed; /* where it stands among the changed ones, or NOT_CHANGED */
    uint32_t length;
    bool is_saved;
    char bytes[];
};

typedef struct place {
    uint64_t hash;
    seen_id *id; /* NULL: free */
} place_of_id;

typedef struct bucket {
    int64_t number;
    seen_id *first;
} bucket;

struct seen_events {
    arena *arena;
    const char **names;
    const type **types;
    uint32_t *columns;
    uint32_t n_columns;
    int64_t within_us, bucket_us;
    size_t memory, bytes;
    place_of_id *places; /* n_places of them, a power of two */
    uint64_t n_places, n_ids;
    bucket *buckets; /* by number */
    uint32_t n_buckets, buckets_capacity;
    seen_id **changed;
    uint32_t n_changed, changed_capacity;
    uint64_t n_repeated;
    text_buffer id; /* of the row at hand */
    state_part part;
};

/* ---- the table ------------------------------------------------------------------------------- */

static seen_id *seen_events_find(const seen_events *seen, uint64_t hash, const char *bytes,
                                 size_t length)
{
    const uint64_t mask = seen->n_places - 1;
    for (uint64_t at = hash & mask; seen->places[at].id != NULL; at = (at + 1) & mask) {
        seen_id *id = seen->places[at].id;
        if (seen->places[at].hash == hash && id->length == length &&
            memcmp(id->bytes, bytes, length) == 0)
            return id;
    }
    return NULL;
}

static void seen_events_put(place_of_id *places, uint64_t n_places, seen_id *id)
{
    uint64_t at = id->hash & (n_places - 1);
    while (places[at].id != NULL)
        at = (at + 1) & (n_places - 1);
    places[at] = (place_of_id){id->hash, id};
}

static bool room_for_id(seen_events *seen)
{
    if (seen->n_ids < seen->n_places / 2)
        return true;
    place_of_id *places = calloc(seen->n_places * 2, sizeof *places);
    if (places == NULL)
        return false;
    for (uint64_t i = 0; i < seen->n_places; i++)
        if (seen->places[i].id != NULL)
            seen_events_put(places, seen->n_places * 2, seen->places[i].id);
    free(seen->places);
    seen->places = places;
    seen->n_places *= 2;
    return true;
}

/* Takes it from the table: what stands behind its place and could stand there moves up. */
static void take_out(seen_events *seen, const seen_id *id)
{
    const uint64_t mask = seen->n_places - 1;
    uint64_t hole = id->hash & mask;
    while (seen->places[hole].id != id)
        hole = (hole + 1) & mask;
    for (uint64_t at = (hole + 1) & mask; seen->places[at].id != NULL; at = (at + 1) & mask) {
        uint64_t home = seen->places[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            seen->places[hole] = seen->places[at];
            hole = at;
        }
    }
    seen->places[hole] = (place_of_id){0};
    seen->n_ids--;
}

/* ---- what changed ---------------------------------------------------------------------------- */

static bool room_for_change(seen_events *seen)
{
    if (seen->n_changed < seen->changed_capacity)
        return true;
    uint32_t capacity = seen->changed_capacity == 0 ? 1024 : seen->changed_capacity * 2;
    seen_id **changed = realloc(seen->changed, capacity * sizeof(seen_id *));
    if (changed == NULL)
        return false;
    seen->changed = changed;
    seen->changed_capacity = capacity;
    return true;
}

/* There is room. */
static void note_change(seen_events *seen, seen_id *id)
{
    if (id->changed != NOT_CHANGED)
        return;
    id->changed = seen->n_changed;
    seen->changed[seen->n_changed++] = id;
}

static void drop_change(seen_events *seen, seen_id *id)
{
    if (id->changed == NOT_CHANGED)
        return;
    seen_id *last = seen->changed[--seen->n_changed];
    seen->changed[id->changed] = last;
    last->changed = id->changed;
    id->changed = NOT_CHANGED;
}

static size_t bytes_of(const seen_id *id)
{
    return ID_BYTES + id->length + (id->n_times > 1 ? id->n_times * sizeof *id->others_us : 0);
}

static void free_id(seen_events *seen, seen_id *id)
{
    take_out(seen, id);
    seen->bytes -= bytes_of(id);
    free(id->others_us);
    free(id);
}

/* ---- buckets --------------------------------------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The bucket of that number, a new one where there is none; NULL where memory is out. */
static bucket *bucket_of(seen_events *seen, int64_t number)
{
    uint32_t low = 0, high = seen->n_buckets;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (seen->buckets[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < seen->n_buckets && seen->buckets[low].number == number)
        return &seen->buckets[low];
    if (seen->n_buckets == seen->buckets_capacity) {
        uint32_t capacity = seen->buckets_capacity == 0 ? 32 : seen->buckets_capacity * 2;
        bucket *buckets = realloc(seen->buckets, capacity * sizeof *buckets);
        if (buckets == NULL)
            return NULL;
        seen->buckets = buckets;
        seen->buckets_capacity = capacity;
    }
    bucket *made = &seen->buckets[low];
    memmove(made + 1, made, (seen->n_buckets - low) * sizeof *made);
    *made = (bucket){.number = number};
    seen->n_buckets++;
    return made;
}

static bool hang(seen_events *seen, seen_id *id)
{
    bucket *bucket = bucket_of(seen, floor_div(id->newest_us, seen->bucket_us));
    if (bucket == NULL)
        return false;
    id->next = bucket->first;
    bucket->first = id;
    return true;
}

/* Forgets it, or leaves it empty for the next checkpoint. */
static void forget_id(seen_events *seen, seen_id *id)
{
    if (!id->is_saved) {
        drop_change(seen, id);
        free_id(seen, id);
        return;
    }
    seen->bytes -= bytes_of(id);
    free(id->others_us);
    id->others_us = NULL;
    id->n_times = 0;
    seen->bytes += bytes_of(id);
    if (id->changed != NOT_CHANGED || room_for_change(seen))
        note_change(seen, id); /* else it stays in the store: a waste, no mistake */
}

void seen_events_forget(seen_events *seen, int64_t before_us)
{
    if (before_us < INT64_MIN + seen->within_us + seen->bucket_us)
        return;
    const int64_t end_us = before_us - seen->within_us;
    const int64_t end = floor_div(end_us, seen->bucket_us);
    uint32_t n = 0;
    while (n < seen->n_buckets && seen->buckets[n].number < end)
        n++;
    seen_id *first = NULL; /* those that have a newer time by now */
    for (uint32_t i = 0; i < n; i++)
        for (seen_id *id = seen->buckets[i].first, *next; id != NULL; id = next) {
            next = id->next;
            if (id->newest_us < end_us) {
                forget_id(seen, id);
                continue;
            }
            id->next = first;
            first = id;
        }
    memmove(seen->buckets, seen->buckets + n, (seen->n_buckets - n) * sizeof *seen->buckets);
    seen->n_buckets -= n;
    for (seen_id *id = first, *next; id != NULL; id = next) {
        next = id->next;
        if (!hang(seen, id)) /* out of memory: it stays known for ever, which is a waste only */
            id->next = NULL;
    }
}

/* ---- taking rows ----------------------------------------------------------------------------- */

static bool is_near(int64_t a, int64_t b, int64_t within_us)
{
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference))
        return false;
    return difference <= within_us && difference >= -within_us;
}

static int64_t time_of(const seen_id *id, uint32_t i)
{
    return i == 0 ? id->newest_us : id->others_us[i - 1];
}

static bool repeats(const seen_events *seen, const seen_id *id, int64_t event_us)
{
    for (uint32_t i = 0; i < id->n_times; i++)
        if (is_near(time_of(id, i), event_us, seen->within_us))
            return true;
    return false;
}

/* Another event of an id that is there. */
static freshet_code add_time(seen_events *seen, seen_id *id, int64_t event_us, freshet_error *err)
{
    if (id->n_times == 0) { /* forgotten, and not yet gone from the store */
        id->newest_us = event_us;
        if (!hang(seen, id))
            return error_memory(err, DOING);
        id->n_times = 1;
        return FRESHET_OK;
    }
    if (id->n_times == SEEN_TIMES_MAX) /* the oldest but one of all goes: it came first */
        memmove(id->others_us, id->others_us + 1, (SEEN_TIMES_MAX - 2) * sizeof *id->others_us);
    uint32_t n = id->n_times == SEEN_TIMES_MAX ? SEEN_TIMES_MAX - 1 : id->n_times;
    int64_t *others_us = realloc(id->others_us, n * sizeof *others_us);
    if (others_us == NULL)
        return error_memory(err, DOING);
    seen->bytes -= bytes_of(id);
    id->others_us = others_us;
    others_us[n - 1] = event_us < id->newest_us ? event_us : id->newest_us;
    if (event_us > id->newest_us)
        id->newest_us = event_us; /* its bucket follows when it is over */
    id->n_times = n + 1;
    seen->bytes += bytes_of(id);
    return FRESHET_OK;
}

static freshet_code add_id(seen_events *seen, uint64_t hash, const char *bytes, size_t length,
                           int64_t event_us, seen_id **out, freshet_error *err)
{
    seen_id *id = room_for_id(seen) ? malloc(sizeof *id + length) : NULL;
    if (id == NULL)
        return error_memory(err, DOING);
    *id = (seen_id){.hash = hash,
                    .newest_us = event_us,
                    .n_times = 1,
                    .changed = NOT_CHANGED,
                    .length = (uint32_t)length};
    memcpy(id->bytes, bytes, length);
    if (!hang(seen, id)) {
        free(id);
        return error_memory(err, DOING);
    }
    seen_events_put(seen->places, seen->n_places, id);
    seen->n_ids++;
    seen->bytes += bytes_of(id);
    *out = id;
    return FRESHET_OK;
}

/* The row's id as bytes; *has_null where it has no whole one. */
static freshet_code make_id(seen_events *seen, const batch *in, uint32_t row, bool *has_null,
                            freshet_error *err)
{
    text_reset(&seen->id);
    for (uint32_t i = 0; i < seen->n_columns; i++) {
        const column *column = &in->columns[seen->columns[i]];
        *has_null = !column_is_valid(column, row);
        if (*has_null)
            return FRESHET_OK;
        cells_put(&seen->id, column, row, true);
    }
    if (!seen->id.failed)
        return FRESHET_OK;
    return error_set(
        err, FRESHET_LIMIT, FRESHET_STOP, seen->names[0],
        "the id of an event (deduplicate) takes more than %u bytes: name fewer or shorter columns",
        SEEN_ID_BYTES_MAX);
}

freshet_code seen_events_take(seen_events *seen, const batch *in, uint32_t row, int64_t event_us,
                              bool *is_new, freshet_error *err)
{
    bool has_null = false;
    freshet_code code = make_id(seen, in, row, &has_null, err);
    *is_new = true;
    if (code != FRESHET_OK || has_null)
        return code;
    uint64_t hash = hash_bytes(seen->id.bytes, seen->id.length, 0);
    seen_id *id = seen_events_find(seen, hash, seen->id.bytes, seen->id.length);
    *is_new = id == NULL || !repeats(seen, id, event_us);
    if (!*is_new) {
        seen->n_repeated++;
        return FRESHET_OK;
    }
    if (seen->bytes > seen->memory)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the ids of %" PRIu64
                         " events (deduplicate) need more than the %zu MiB of state.memory: allow "
                         "more there, or a shorter time",
                         seen->n_ids, seen->memory >> 20);
    if (!room_for_change(seen))
        return error_memory(err, DOING);
    code = id != NULL ? add_time(seen, id, event_us, err)
                      : add_id(seen, hash, seen->id.bytes, seen->id.length, event_us, &id, err);
    if (code == FRESHET_OK && id != NULL)
        note_change(seen, id);
    return code;
}

uint64_t seen_events_repeated(const seen_events *seen)
{
    return seen->n_repeated;
}

/* ---- as a part of the state ------------------------------------------------------------------ */

static void seen_events_part_set_load(void *self, state_load_fn *load, void *context)
{
    (void)self;
    (void)load;
    (void)context;
}

static freshet_code seen_events_part_restore(void *self, const void *key, size_t key_length,
                                             const void *bytes, size_t length, freshet_error *err)
{
    seen_events *seen = self;
    seen_id *id = NULL;
    const uint64_t n = length / sizeof(int64_t);
    if (n == 0 || length % sizeof(int64_t) != 0 || n > SEEN_TIMES_MAX || key_length == 0 ||
        key_length > SEEN_ID_BYTES_MAX)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved ids of events (deduplicate) are damaged");
    uint64_t hash = hash_bytes(key, key_length, 0);
    if (seen_events_find(seen, hash, key, key_length) != NULL)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved ids of events (deduplicate) hold one id twice");
    int64_t time_us;
    memcpy(&time_us, bytes, sizeof time_us);
    freshet_code code = add_id(seen, hash, key, key_length, time_us, &id, err);
    for (uint64_t i = 1; code == FRESHET_OK && id != NULL && i < n; i++) {
        memcpy(&time_us, (const char *)bytes + i * sizeof time_us, sizeof time_us);
        code = add_time(seen, id, time_us, err);
    }
    if (code == FRESHET_OK && id != NULL)
        id->is_saved = true;
    return code;
}

static bool seen_events_part_next_dirty(void *self, uint32_t *cursor, state_key *out)
{
    seen_events *seen = self;
    if (*cursor >= seen->n_changed)
        return false;
    const seen_id *id = seen->changed[*cursor];
    *out = (state_key){.bytes = id->bytes, .length = id->length, .index = *cursor};
    (*cursor)++;
    return true;
}

static freshet_code seen_events_part_save(void *self, const state_key *key, text_buffer *into,
                                          freshet_error *err)
{
    const seen_events *seen = self;
    const seen_id *id = seen->changed[key->index];
    for (uint32_t i = 0; i < id->n_times; i++) {
        int64_t time_us = time_of(id, i);
        text_append(into, (const char *)&time_us, sizeof time_us);
    }
    return into->failed ? error_memory(err, DOING) : FRESHET_OK;
}

static bool part_is_empty(void *self, const state_key *key)
{
    const seen_events *seen = self;
    return seen->changed[key->index]->n_times == 0;
}

static void seen_events_part_clean(void *self)
{
    seen_events *seen = self;
    for (uint32_t i = 0; i < seen->n_changed; i++) {
        seen_id *id = seen->changed[i];
        id->changed = NOT_CHANGED;
        id->is_saved = true;
        if (id->n_times == 0)
            free_id(seen, id);
    }
    seen->n_changed = 0;
}

/* Ids are needed until they are forgotten: none is ever cold. */
static bool seen_events_part_next_cold(void *self, state_key *out)
{
    (void)self;
    (void)out;
    return false;
}

static void seen_events_part_drop(void *self, const state_key *key)
{
    (void)self;
    (void)key;
    assert(false);
}

static size_t seen_events_part_bytes(void *self)
{
    return ((const seen_events *)self)->bytes;
}

static uint64_t seen_events_part_keys(void *self)
{
    return ((const seen_events *)self)->n_ids;
}

static freshet_code inspect_id(const seen_events *seen, arena *arena, const unsigned char *at,
                               size_t length, text_buffer *into, freshet_error *err)
{
    const unsigned char *end = at + length;
    for (uint32_t i = 0; i < seen->n_columns; i++) {
        text_append_c(into, i == 0 ? "" : ", ");
        freshet_code code = cells_show(arena, seen->names[i], seen->types[i], &at, end, into, err);
        if (code != FRESHET_OK)
            return code;
    }
    return FRESHET_OK;
}

static freshet_code seen_events_part_inspect(void *self, const void *key, size_t key_length,
                                             const void *bytes, size_t length, text_buffer *into,
                                             freshet_error *err)
{
    const seen_events *seen = self;
    arena *scratch = arena_open();
    if (scratch == NULL)
        return error_memory(err, DOING);
    text_append_c(into, "{\"key\": {");
    freshet_code code = inspect_id(seen, scratch, key, key_length, into, err);
    text_append_c(into, "}, \"taken\": [");
    for (size_t i = 0; i + sizeof(int64_t) <= length; i += sizeof(int64_t)) {
        int64_t time_us;
        memcpy(&time_us, (const char *)bytes + i, sizeof time_us);
        text_append_c(into, i == 0 ? "\"" : ", \"");
        text_append_timestamp(into, time_us);
        text_append_char(into, '"');
    }
    text_append_c(into, "]}");
    arena_close(scratch);
    return code == FRESHET_OK && into->failed ? error_memory(err, DOING) : code;
}

const state_part *seen_events_part(seen_events *seen)
{
    return &seen->part;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Saved ids depend on their columns' types, and mean what they mean by their names. */
static freshet_code seen_events_describe(seen_events *seen, freshet_error *err)
{
    text_buffer shape;
    text_init(&shape, TEXT_LIMIT_DEFAULT);
    text_append_c(&shape, "ids of events:");
    for (uint32_t i = 0; i < seen->n_columns; i++) {
        const char *type = type_name(seen->arena, seen->types[i]);
        text_format(&shape, "%s %s %s", i == 0 ? "" : ",", seen->names[i],
                    type == NULL ? "" : type);
        shape.failed = shape.failed || type == NULL;
    }
    const char *kept = shape.failed ? NULL : arena_copy(seen->arena, shape.bytes, shape.length);
    seen->part = (state_part){.name = "deduplicate",
                              .shape = kept,
                              .self = seen,
                              .set_load = seen_events_part_set_load,
                              .restore = seen_events_part_restore,
                              .next_dirty = seen_events_part_next_dirty,
                              .save = seen_events_part_save,
                              .is_empty = part_is_empty,
                              .clean = seen_events_part_clean,
                              .next_cold = seen_events_part_next_cold,
                              .drop = seen_events_part_drop,
                              .bytes = seen_events_part_bytes,
                              .keys = seen_events_part_keys,
                              .inspect = seen_events_part_inspect};
    if (kept != NULL)
        seen->part.fingerprint = hash_bytes(kept, shape.length, HASH_A);
    text_release(&shape);
    return kept == NULL ? error_memory(err, DOING) : FRESHET_OK;
}

static freshet_code take_columns(seen_events *seen, const schema *input, const uint32_t *columns,
                                 uint32_t n, freshet_error *err)
{
    seen->arena = arena_open();
    if (seen->arena == NULL)
        return error_memory(err, DOING);
    seen->n_columns = n;
    seen->columns = arena_alloc(seen->arena, n * sizeof *seen->columns);
    seen->names = arena_alloc(seen->arena, n * sizeof *seen->names);
    seen->types = arena_alloc(seen->arena, n * sizeof(const type *));
    if (seen->columns == NULL || seen->names == NULL || seen->types == NULL)
        return error_memory(err, DOING);
    for (uint32_t i = 0; i < n; i++) {
        seen->columns[i] = columns[i];
        seen->names[i] = arena_text(seen->arena, input->fields[columns[i]].name);
        seen->types[i] = type_keep(seen->arena, input->fields[columns[i]].type);
        if (seen->names[i] == NULL || seen->types[i] == NULL)
            return error_memory(err, DOING);
    }
    return seen_events_describe(seen, err);
}

freshet_code seen_events_open(const schema *input, const uint32_t *columns, uint32_t n,
                              int64_t within_us, size_t memory, seen_events **out,
                              freshet_error *err)
{
    seen_events *seen = calloc(1, sizeof *seen);
    if (seen == NULL)
        return error_memory(err, DOING);
    text_init(&seen->id, SEEN_ID_BYTES_MAX);
    seen->within_us = within_us;
    seen->bucket_us = within_us / BUCKETS_OF_WITHIN < BUCKET_US_MIN ? BUCKET_US_MIN
                                                                    : within_us / BUCKETS_OF_WITHIN;
    seen->memory = memory;
    seen->n_places = PLACES_FIRST;
    seen->places = calloc(PLACES_FIRST, sizeof *seen->places);
    freshet_code code = seen->places == NULL ? error_memory(err, DOING)
                                             : take_columns(seen, input, columns, n, err);
    if (code == FRESHET_OK)
        *out = seen;
    else
        seen_events_close(seen);
    return code;
}

void seen_events_close(seen_events *seen)
{
    if (seen == NULL)
        return;
    for (uint64_t i = 0; i < seen->n_places && seen->places != NULL; i++)
        if (seen->places[i].id != NULL) {
            free(seen->places[i].id->others_us);
            free(seen->places[i].id);
        }
    free(seen->places);
    free(seen->buckets);
    free(seen->changed);
    text_release(&seen->id);
    arena_close(seen->arena);
    free(seen);
}
