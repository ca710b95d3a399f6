/* newest_rows.c - which row of a key is its newest, where no window knows it: for plain feature
 * sets.
 *
 * An online store keeps the row with the larger write timestamp. Windows give theirs with their
 * rows; rows without windows get it here. Of each key two numbers are kept: the event time of its
 * newest row, and a revision, which counts the rows of its newest second behind the first one:
 *
 *   event     newest   revision   write timestamp       online
 *   12:00:01      :01         0   12:00:01.000000       yes
 *   12:00:03      :03         0   12:00:03.000000       yes
 *   12:00:02      :03         0   (12:00:02.000000)     no: late
 *   12:00:03      :03         1   12:00:03.000001       yes: of equal times the later arrival
 *
 * The revision depends on the rows of that one second only, whatever came before and between them.
 * So a replay, and a batch over the same rows, give each row the timestamp it had, and all of them
 * lose against what came later. It ends at 999,999, where the next second begins.
 *
 * A keyed_table with two numbers an entry. Saved, a key's value is its newest event time (int64)
 * and its revision (uint32).
 *
 * ANOTHER DECLARATION. A set gets windows, or loses them, while its stream goes on, and an online
 * store has the rows of before: what is known of the newest rows goes on, too. The first windows
 * inherit this part (newest_rows.h), key by key. Where windows go, all that they knew of newest
 * rows is put down here at the start (state_part.h: succeeds). A row that they gave again when a
 * window had lost an event (`refresh: on_expiry`) stays in the store against all that is older than
 * that loss, by its write timestamp alone.
 */
#include "features/operators/newest_rows.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "features/operators/filling.h"
#include "windows/windows_state.h"

#define DOING "remembering the newest row of each key"
#define NEWEST_ROWS_OF "the newest row by key:"
#define SECOND_US INT64_C(1000000)
#define SAVED_BYTES (sizeof(int64_t) + sizeof(uint32_t))
#define NEWEST_KEY_BYTES_MAX 65536u /* of one key, encoded */
#define NEWEST_REVISION_MAX 999999u

typedef struct newest_entry {
    keyed_entry head;
    uint32_t revision;
    int64_t newest_us;
} newest_entry;

typedef struct newest_rows {
    freshet_operator base;
    int64_t first_us, last_us; /* rows of other times are none to rank */
    size_t limit;              /* bytes of keys where nobody takes them away (the part's drop) */
    memory memory;
    keyed_table keys;
    keyed_chunk chunk;
    state_part part;
} newest_rows;

/* ---- ranking --------------------------------------------------------------------------------- */

static int64_t newest_second_of(int64_t time_us)
{
    const int64_t into_second = time_us % SECOND_US + (time_us % SECOND_US < 0 ? SECOND_US : 0);
    return time_us < INT64_MIN + into_second ? INT64_MIN : time_us - into_second;
}

static int64_t newest_write_time(int64_t newest_us, uint32_t revision)
{
    const int64_t second_us = newest_second_of(newest_us);
    return second_us > INT64_MAX - (int64_t)revision ? INT64_MAX : second_us + (int64_t)revision;
}

/* The number of the key of the chunk's row i, made where there is none. */
static freshet_code find_entry(newest_rows *newest, uint32_t i, uint32_t *index, bool *is_new,
                               freshet_error *err)
{
    const keyed_chunk *chunk = &newest->chunk;
    const uint32_t among = operator_instances(&newest->base);
    const uint64_t n = keyed_count(&newest->keys) * among;
    freshet_code code =
        state_part_find(&newest->part, chunk->rows[i].tag, keyed_chunk_key(chunk, i),
                        chunk->rows[i].length, index, is_new, err);
    if (code == FRESHET_OK && *is_new && newest->keys.load == NULL &&
        keyed_bytes(&newest->keys) > newest->limit / among)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the newest rows of %" PRIu64
                         " keys need more than the %zu MiB of state.memory: allow more there",
                         n, newest->limit >> 20);
    return code;
}

/* True where the row is the key's newest now. */
static bool apply(newest_entry *entry, int64_t event_us, bool is_new)
{
    if (is_new || newest_second_of(event_us) > newest_second_of(entry->newest_us)) {
        entry->newest_us = event_us;
        entry->revision = 0;
        return true;
    }
    if (newest_second_of(event_us) < newest_second_of(entry->newest_us))
        return false;
    if (entry->revision < NEWEST_REVISION_MAX)
        entry->revision++;
    if (event_us < entry->newest_us)
        return false;
    entry->newest_us = event_us;
    return true;
}

/* Row number i of the chunk. */
static freshet_code rank_row(newest_rows *newest, batch *rows, uint32_t i, uint32_t row,
                             bool has_times, freshet_error *err)
{
    const int64_t event_us = ((const int64_t *)rows->columns[newest->base.plan->n_keys].data)[row];
    uint32_t index = KEY_NONE;
    bool is_new = false;
    const bool serves = (rows->row_kinds[row] & ROW_ONLINE) != 0;
    rows->row_kinds[row] = (uint8_t)(rows->row_kinds[row] & ~(unsigned)ROW_ONLINE);
    if (!has_times)
        rows->write_us[row] = newest_write_time(event_us, 0);
    if (event_us < newest->first_us || event_us > newest->last_us || (has_times && !serves))
        return FRESHET_OK;
    if (newest->chunk.rows[i].length > NEWEST_KEY_BYTES_MAX) { /* the store will refuse it */
        rows->row_kinds[row] |= ROW_ONLINE;
        return FRESHET_OK;
    }
    freshet_code code = find_entry(newest, i, &index, &is_new, err);
    if (code != FRESHET_OK)
        return code;
    newest_entry *entry = keyed_at(&newest->keys, index);
    const uint32_t revision = entry->revision;
    const bool is_newest = apply(entry, event_us, is_new);
    entry->head.touched = 1;
    if (is_newest || revision != entry->revision)
        keyed_mark_dirty(&newest->keys, index);
    if (is_newest) {
        rows->row_kinds[row] |= ROW_ONLINE;
        if (!has_times)
            rows->write_us[row] = newest_write_time(entry->newest_us, entry->revision);
    }
    return FRESHET_OK;
}

/* Rows [from, from + n). */
static freshet_code rank_chunk(newest_rows *newest, batch *rows, uint32_t from, uint32_t n,
                               bool has_times, freshet_error *err)
{
    const void *entries[KEYED_CHUNK_ROWS];
    if (!keyed_chunk_fill(&newest->chunk, &newest->keys, rows->columns, newest->base.plan->n_keys,
                          from, n, NEWEST_KEY_BYTES_MAX))
        return error_memory(err, DOING);
    keyed_chunk_prefetch(&newest->chunk, &newest->keys, n, entries);
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++)
        code = rank_row(newest, rows, i, from + i, has_times, err);
    return code;
}

/* Sets write_us and row_kinds of the rows, which come in their order of arrival. Groups of a batch
 * keep their write timestamps, and those of their rows that serve nobody stay so. */
static freshet_code newest_rows_run(freshet_operator *self, run *run)
{
    newest_rows *newest = (newest_rows *)self;
    batch *rows = &run->out;
    freshet_code code = FRESHET_OK;
    if (rows->n_rows == 0)
        return code;
    const bool has_times = rows->write_us != NULL && self->block->has_aggregated;
    uint8_t *kinds = arena_alloc(rows->arena, rows->n_rows);
    if (!has_times)
        rows->write_us = arena_alloc(rows->arena, rows->n_rows * sizeof *rows->write_us);
    if (kinds == NULL || rows->write_us == NULL)
        return error_memory(run->err, DOING);
    if (rows->row_kinds != NULL)
        memcpy(kinds, rows->row_kinds, rows->n_rows);
    else
        memset(kinds, ROW_NEW | ROW_ONLINE, rows->n_rows);
    rows->row_kinds = kinds;
    for (uint32_t from = 0; code == FRESHET_OK && from < rows->n_rows; from += KEYED_CHUNK_ROWS) {
        const uint32_t rest = rows->n_rows - from;
        code = rank_chunk(newest, rows, from, rest < KEYED_CHUNK_ROWS ? rest : KEYED_CHUNK_ROWS,
                          has_times, run->err);
    }
    return code;
}

/* ---- as a part of the state ------------------------------------------------------------------ */

static freshet_code newest_rows_save(void *self, const void *saved, text_buffer *into,
                                     freshet_error *err)
{
    const newest_entry *entry = saved;
    (void)self, (void)err;
    text_append(into, (const char *)&entry->newest_us, sizeof entry->newest_us);
    text_append(into, (const char *)&entry->revision, sizeof entry->revision);
    return FRESHET_OK;
}

static freshet_code newest_rows_restore(void *self, const state_key *key, void *restored,
                                        const void *bytes, size_t length, freshet_error *err)
{
    newest_entry *entry = restored;
    (void)self, (void)key;
    if (length != SAVED_BYTES)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "what was saved of a key's newest row is damaged");
    memcpy(&entry->newest_us, bytes, sizeof entry->newest_us);
    memcpy(&entry->revision, (const char *)bytes + sizeof entry->newest_us, sizeof entry->revision);
    return FRESHET_OK;
}

static freshet_code newest_rows_inspect(void *self, arena *arena, const void *bytes, size_t length,
                                        text_buffer *into, freshet_error *err)
{
    newest_entry entry = {.revision = 0};
    (void)arena;
    freshet_code code = newest_rows_restore(self, NULL, &entry, bytes, length, err);
    if (code != FRESHET_OK)
        return code;
    text_append_c(into, ", \"newest\": \"");
    text_append_timestamp(into, entry.newest_us);
    text_format(into, "\", \"revision\": %u", entry.revision);
    return FRESHET_OK;
}

/* What windows have saved of a key becomes what is saved here. */
static freshet_code newest_rows_succeed(void *self, const void *bytes, size_t length,
                                        text_buffer *into, freshet_error *err)
{
    newest_entry entry = {.revision = 0};
    freshet_code code = windows_newest_of(bytes, length, &entry.newest_us, &entry.revision, err);
    if (entry.revision > NEWEST_REVISION_MAX)
        entry.revision = NEWEST_REVISION_MAX;
    return code == FRESHET_OK ? newest_rows_save(self, &entry, into, err) : code;
}

freshet_code newest_rows_read(const void *bytes, size_t length, int64_t *newest_us,
                              uint32_t *revision, freshet_error *err)
{
    newest_entry entry = {.revision = 0};
    freshet_code code = newest_rows_restore(NULL, NULL, &entry, bytes, length, err);
    if (code == FRESHET_OK) {
        *newest_us = entry.newest_us;
        *revision = entry.revision;
    }
    return code;
}

static const state_part_ops part_ops = {.save = newest_rows_save,
                                        .restore = newest_rows_restore,
                                        .inspect = newest_rows_inspect,
                                        .succeed = newest_rows_succeed};

/* ---- another declaration --------------------------------------------------------------------- */

/* The key columns in a shape: it begins with a word of its own. */
static const char *columns_of(const char *shape, const char *word)
{
    const size_t length = strlen(word);
    return strncmp(shape, word, length) == 0 ? shape + length : shape;
}

static void say_succeeds(const newest_rows *newest, evolution *out)
{
    const char *was = columns_of(out->succeeded_shape, "keys");
    const char *is = columns_of(newest->part.shape, NEWEST_ROWS_OF);
    if (strcmp(was, is) != 0)
        evolution_say(out, newest->part.name, VERDICT_REFUSED, keys_at(newest->base.block), "",
                      "the keys of its %s were \"%s\", and are to be \"%s\"", out->succeeded,
                      was + 1, is + 1);
    else
        evolution_say(out, newest->part.name, VERDICT_SERVED, NULL, "",
                      "it goes on from each key's newest row, which %s knew", out->succeeded);
}

/* Nothing was kept: there was no store that asked for it. */
static void say_new(const newest_rows *newest, evolution *out)
{
    evolution_say(
        out, newest->part.name, VERDICT_FROM_NOW, NULL, "",
        "which row of a key is its newest is known of rows from now on: a late one may be "
        "the first that the online store gets of its key");
}

static freshet_code newest_rows_evolve(void *owner, const state_past *past, evolution *out,
                                       freshet_error *err)
{
    newest_rows *newest = owner;
    (void)err;
    if (past != NULL && past->fingerprint != newest->part.fingerprint)
        evolution_say(out, newest->part.name, VERDICT_REFUSED, keys_at(newest->base.block), "",
                      "it keeps \"%s\", and is to keep \"%s\"", past->shape, newest->part.shape);
    else if (out->succeeded != NULL)
        say_succeeds(newest, out);
    else if (past == NULL && out->newest_us == EVOLUTION_NO_ROW)
        evolution_say(out, newest->part.name, VERDICT_SERVED, NULL, "", FILLING_NO_ROW);
    else if (past == NULL)
        say_new(newest, out);
    else
        evolution_say(out, newest->part.name, VERDICT_SERVED, NULL, "", "it keeps %s",
                      newest->part.shape);
    return FRESHET_OK;
}

static const state_part *newest_rows_parts(freshet_operator *self, uint32_t *n)
{
    *n = 1;
    return &((newest_rows *)self)->part;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* On a stream windows and groups say it themselves. In a batch the rows that are output are ranked,
 * whatever they are made of: less than a stream may have counted, never more. */
static bool newest_rows_wanted(const operator_options *options)
{
    const bool is_plain =
        options->plan->n_views == 0 && !options->declaration->feature_set.has_aggregated;
    return options->set->ranks && (is_plain || !options->declaration->is_stream);
}

static freshet_code newest_rows_open(freshet_operator *self, const operator_options *options,
                                     freshet_error *err)
{
    newest_rows *newest = (newest_rows *)self;
    const keyed_options keys = {
        .memory = &newest->memory, .entry_bytes = sizeof(newest_entry), .self = newest};
    text_init(&newest->chunk.bytes, TEXT_LIMIT_DEFAULT);
    newest->first_us = options->set->first_us;
    newest->last_us = options->set->last_us;
    newest->limit = options->memory;
    newest->memory.fail_after = -1;
    newest->part = (state_part){.table = &newest->keys,
                                .evolve = newest_rows_evolve,
                                .owner = newest,
                                .succeeds = NEWEST_ROWS_SUCCEEDS};
    if (!keyed_open(&newest->keys, &keys))
        return error_memory(err, DOING);
    return newest_rows_describe(&newest->part, self->plan, self->arena, err);
}

freshet_code newest_rows_describe(state_part *part, const plan *plan, arena *arena,
                                  freshet_error *err)
{
    part->name = NEWEST_ROWS_PART;
    part->ops = &part_ops;
    part->key_bytes_max = NEWEST_KEY_BYTES_MAX;
    part->doing = DOING;
    return state_part_columns(part, arena, NEWEST_ROWS_OF, plan->output.fields, plan->n_keys, err);
}

static void newest_rows_close(freshet_operator *self)
{
    newest_rows *newest = (newest_rows *)self;
    keyed_close(&newest->keys);
    text_release(&newest->chunk.bytes);
}

/* ---- divided (divided.h) --------------------------------------------------------------------- */

static freshet_code newest_rows_keys(const freshet_operator *self, const run *run, uint32_t turn,
                                     key_columns *keys)
{
    (void)turn;
    keys->n = self->plan->n_keys;
    const column **columns =
        arena_alloc(run->arena, (keys->n + (size_t)1) * sizeof(const column *));
    if (columns == NULL)
        return error_memory(run->err, DOING);
    for (uint32_t i = 0; i < keys->n; i++)
        columns[i] = &run->out.columns[i];
    keys->columns = columns;
    return FRESHET_OK;
}

static const operator_division newest_rows_division = {.form = DIVISION_RANKS,
                                                       .keys = newest_rows_keys};

const operator_ops newest_rows_operator = {.name = "newest",
                                           .division = &newest_rows_division,
                                           .size = sizeof(newest_rows),
                                           .wanted = newest_rows_wanted,
                                           .open = newest_rows_open,
                                           .run = newest_rows_run,
                                           .parts = newest_rows_parts,
                                           .close = newest_rows_close};
