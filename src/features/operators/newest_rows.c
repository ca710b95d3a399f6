/* newest_rows.c - see newest_rows.h.
 *
 * A keyed_table with two numbers an entry. Saved, a key's value is its newest event time (int64) and its revision
 * (uint32).
 */
#include "features/operators/newest_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "features/operator.h"

#define DOING "remembering the newest row of each key"
#define SECOND_US INT64_C(1000000)
#define SAVED_BYTES (sizeof(int64_t) + sizeof(uint32_t))

typedef struct newest_entry {
    keyed_entry head;
    uint32_t revision;
    int64_t newest_us;
} newest_entry;

struct newest_rows {
    arena *arena;
    schema output;
    uint32_t n_keys;
    int64_t first_us, last_us;
    size_t limit;
    memory memory;
    keyed_table keys;
    keyed_chunk chunk;
    state_part part;
};

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
    if (chunk->rows[i].length > NEWEST_KEY_BYTES_MAX)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, newest->output.fields[0].name,
                         "the keys of a row take more than %u bytes: use shorter ones",
                         NEWEST_KEY_BYTES_MAX);
    const uint64_t n = keyed_count(&newest->keys);
    freshet_code code =
        state_part_find(&newest->part, chunk->rows[i].tag, keyed_chunk_key(chunk, i),
                        chunk->rows[i].length, index, is_new, err);
    if (code == FRESHET_OK && *is_new && newest->keys.load == NULL &&
        keyed_bytes(&newest->keys) > newest->limit)
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
    const int64_t event_us = ((const int64_t *)rows->columns[newest->n_keys].data)[row];
    uint32_t index = KEY_NONE;
    bool is_new = false;
    rows->row_kinds[row] = (uint8_t)(rows->row_kinds[row] & ~(unsigned)ROW_ONLINE);
    if (!has_times)
        rows->write_us[row] = newest_write_time(event_us, 0);
    if (event_us < newest->first_us || event_us > newest->last_us)
        return FRESHET_OK;
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
    if (!keyed_chunk_fill(&newest->chunk, &newest->keys, rows->columns, newest->n_keys, from, n,
                          NEWEST_KEY_BYTES_MAX))
        return error_memory(err, DOING);
    keyed_chunk_prefetch(&newest->chunk, &newest->keys, n, entries);
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++)
        code = rank_row(newest, rows, i, from + i, has_times, err);
    return code;
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
    for (uint32_t from = 0; code == FRESHET_OK && from < rows->n_rows; from += KEYED_CHUNK_ROWS) {
        const uint32_t rest = rows->n_rows - from;
        code = rank_chunk(newest, rows, from, rest < KEYED_CHUNK_ROWS ? rest : KEYED_CHUNK_ROWS,
                          has_times, err);
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

static const state_part_ops part_ops = {
    .save = newest_rows_save, .restore = newest_rows_restore, .inspect = newest_rows_inspect};

const state_part *newest_rows_part(newest_rows *newest)
{
    return &newest->part;
}

/* ---- opening --------------------------------------------------------------------------------- */

freshet_code newest_rows_open(const schema *output, uint32_t n_keys, int64_t first_us,
                              int64_t last_us, size_t memory, newest_rows **out, freshet_error *err)
{
    newest_rows *newest = calloc(1, sizeof *newest);
    if (newest == NULL)
        return error_memory(err, DOING);
    text_init(&newest->chunk.bytes, TEXT_LIMIT_DEFAULT);
    newest->first_us = first_us;
    newest->last_us = last_us;
    newest->limit = memory;
    newest->n_keys = n_keys;
    newest->memory.fail_after = -1;
    const keyed_options keys = {.memory = &newest->memory, .entry_bytes = sizeof(newest_entry)};
    newest->part = (state_part){.name = "newest",
                                .doing = DOING,
                                .ops = &part_ops,
                                .table = &newest->keys,
                                .key_bytes_max = NEWEST_KEY_BYTES_MAX};
    newest->arena = arena_open();
    freshet_code code = FRESHET_OK;
    if (newest->arena == NULL || !keyed_open(&newest->keys, &keys))
        code = error_memory(err, DOING);
    if (code == FRESHET_OK) {
        newest->output = schema_keep(newest->arena, output);
        code =
            newest->output.fields == NULL
                ? error_memory(err, DOING)
                : state_part_columns(&newest->part, newest->arena,
                                     "the newest row by key:", newest->output.fields, n_keys, err);
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
    keyed_close(&newest->keys);
    text_release(&newest->chunk.bytes);
    arena_close(newest->arena);
    free(newest);
}

/* ---- as an operator --------------------------------------------------------------------------- */

typedef struct newest_step {
    freshet_operator base;
    newest_rows *newest;
} newest_step;

/* On a stream windows and groups say it themselves. In a batch the rows that are output are ranked, whatever they are made
 * of: less than a stream may have counted, never more. */
static bool newest_rows_wanted(const operator_options *options)
{
    const bool is_plain =
        options->plan->n_views == 0 && !options->declaration->feature_set.has_aggregated;
    return options->set->ranks && (is_plain || !options->declaration->is_stream);
}

static freshet_code newest_step_open(freshet_operator *self, const operator_options *options,
                                     freshet_error *err)
{
    const feature_set_options *set = options->set;
    return newest_rows_open(&self->plan->output, self->plan->n_keys, set->first_us, set->last_us,
                            options->memory, &((newest_step *)self)->newest, err);
}

static freshet_code newest_step_run(freshet_operator *self, run *run)
{
    return newest_rows_rank(((newest_step *)self)->newest, &run->out, run->err);
}

static const state_part *newest_step_parts(freshet_operator *self, uint32_t *n)
{
    *n = 1;
    return newest_rows_part(((newest_step *)self)->newest);
}

static void newest_step_close(freshet_operator *self)
{
    newest_rows_close(((newest_step *)self)->newest);
}

const operator_ops newest_rows_operator = {.name = "newest",
                                           .size = sizeof(newest_step),
                                           .wanted = newest_rows_wanted,
                                           .open = newest_step_open,
                                           .run = newest_step_run,
                                           .parts = newest_step_parts,
                                           .close = newest_step_close};
