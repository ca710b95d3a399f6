/* batch_rows.c - see batch_rows.h. The part of a row is told by 8 bits of its key's hash that
 * neither tags (keyed_table.h) nor the owners among workers (keyed_owner) depend on: so the keys of
 * a part are dealt out to all workers.
 *
 * Rows are spread long before memory is full, from SPREAD_BYTES on: what is computed of a part then
 * fits the processor's caches, which takes two thirds of the time. They wait in memory, part by
 * part, until that is used up. */
#include "features/batch_rows.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "base/row_spill.h"
#include "features/key_hashes.h"

#define KEEPING "keeping the rows of a batch"
#define PART_SHIFT 32
#define LEVEL_BITS 8
#define CREW_ROWS_MIN 4096u /* of fewer the caller tells the parts */
#define BATCH_LEVELS_MAX 3u
#define SPREAD_BYTES ((size_t)16 << 20)

_Static_assert(ROW_SPILL_PARTS == UINT8_MAX + 1u, "a part is a byte of the hash");

typedef struct level {
    row_spill *spill;
    uint32_t next; /* part */
} level;

struct batch_rows {
    batch_rows_options options;
    row_store *store; /* all rows while there is no spill; then the set */
    level levels[BATCH_LEVELS_MAX];
    uint32_t n_levels; /* 0: there is no spill */
    uint64_t n_rows;
    size_t spread_bytes;  /* with so many they are spread */
    const column **keys;  /* of what is added */
    text_buffer *buffers; /* one a worker */
    uint8_t *parts;       /* by row of what is added */
    uint32_t parts_capacity;
    bool is_over; /* the rows in memory were given */
    bool warned;
};

freshet_code batch_rows_open(const batch_rows_options *options, batch_rows **out,
                             freshet_error *err)
{
    batch_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL)
        return error_memory(err, KEEPING);
    rows->options = *options;
    rows->spread_bytes = options->memory < SPREAD_BYTES ? options->memory : SPREAD_BYTES;
    *out = rows;
    rows->keys = calloc(options->n_keys + (size_t)1, sizeof *rows->keys);
    rows->buffers = calloc(crew_workers(options->crew), sizeof *rows->buffers);
    if (rows->keys == NULL || rows->buffers == NULL)
        return error_memory(err, KEEPING);
    for (uint32_t i = 0; i < crew_workers(options->crew); i++)
        text_init(&rows->buffers[i], TEXT_LIMIT_DEFAULT);
    return row_store_open(options->schema, &rows->store, err);
}

void batch_rows_close(batch_rows *rows)
{
    if (rows == NULL)
        return;
    row_store_close(rows->store);
    for (uint32_t i = 0; i < rows->n_levels; i++)
        row_spill_close(rows->levels[i].spill);
    for (uint32_t i = 0; rows->buffers != NULL && i < crew_workers(rows->options.crew); i++)
        text_release(&rows->buffers[i]);
    free(rows->buffers);
    free(rows->parts);
    free(rows->keys);
    free(rows);
}

uint64_t batch_rows_count(const batch_rows *rows)
{
    return rows->n_rows;
}

/* ---- adding ---------------------------------------------------------------------------------- */

/* Which part each of some rows is of. */
typedef struct telling {
    batch_rows *rows;
    uint32_t n_rows, slice_rows;
    unsigned shift;
} telling;

static void tell_parts(void *context, uint32_t which)
{
    const telling *telling = context;
    batch_rows *rows = telling->rows;
    const key_columns keys = {rows->keys, rows->options.n_keys, NULL};
    const uint32_t first = which * telling->slice_rows;
    const uint32_t left = telling->n_rows - first;
    const uint32_t end = first + (left < telling->slice_rows ? left : telling->slice_rows);
    uint64_t hashes[KEY_HASHES_MAX];
    text_reset(&rows->buffers[which]);
    for (uint32_t row = first, n; row < end; row += n) {
        n = end - row < KEY_HASHES_MAX ? end - row : KEY_HASHES_MAX;
        key_hashes(&keys, row, n, &rows->buffers[which], hashes);
        for (uint32_t i = 0; i < n; i++)
            rows->parts[row + i] = (uint8_t)(hashes[i] >> telling->shift);
    }
}

/* Into the deepest level. */
static freshet_code batch_rows_spread(void *context, const batch *from, freshet_error *err)
{
    batch_rows *rows = context;
    const batch_rows_options *options = &rows->options;
    const uint32_t most = from->n_rows < CREW_ROWS_MIN ? 1 : crew_workers(options->crew);
    telling telling = {.rows = rows,
                       .n_rows = from->n_rows,
                       .slice_rows = (from->n_rows + most - 1) / most,
                       .shift = PART_SHIFT + LEVEL_BITS * (rows->n_levels - 1)};
    if (from->n_rows == 0)
        return FRESHET_OK;
    if (from->n_rows > rows->parts_capacity) {
        free(rows->parts);
        rows->parts = malloc(from->n_rows);
        rows->parts_capacity = rows->parts == NULL ? 0 : from->n_rows;
    }
    if (from->n_rows > rows->parts_capacity)
        return error_memory(err, KEEPING);
    for (uint32_t i = 0; i < options->n_keys; i++)
        rows->keys[i] = &from->columns[options->keys[i]];
    const uint32_t n = (from->n_rows + telling.slice_rows - 1) / telling.slice_rows;
    crew_run(options->crew, n, tell_parts, &telling);
    for (uint32_t i = 0; i < n; i++)
        if (rows->buffers[i].failed)
            return error_memory(err, KEEPING);
    return row_spill_add(rows->levels[rows->n_levels - 1].spill, from, rows->parts, err);
}

static freshet_code add_level(batch_rows *rows, freshet_error *err)
{
    const batch_rows_options *options = &rows->options;
    level *level = &rows->levels[rows->n_levels];
    *level = (struct level){0};
    freshet_code code = row_spill_open(options->schema, options->memory, options->folder,
                                       options->crew, &level->spill, err);
    if (code == FRESHET_OK)
        rows->n_levels++;
    return code;
}

/* From here on they are in the file. */
static freshet_code move_to_spill(batch_rows *rows, freshet_error *err)
{
    const uint32_t n = row_store_rows(rows->store);
    freshet_code code = add_level(rows, err);
    for (uint32_t row = 0; code == FRESHET_OK && row < n;) {
        uint32_t index;
        const batch *chunk = row_store_at(rows->store, row, &index);
        code = batch_rows_spread(rows, chunk, err);
        row += chunk->n_rows;
    }
    row_store_clear(rows->store);
    return code;
}

static void warn_whole(batch_rows *rows)
{
    if (rows->warned || row_store_bytes(rows->store) <= rows->options.memory)
        return;
    rows->warned = true;
    log_event(BATCH_PAST_MEMORY, rows->options.pipeline);
}

freshet_code batch_rows_add(batch_rows *rows, const batch *from, freshet_error *err)
{
    rows->n_rows += from->n_rows;
    if (rows->n_levels > 0)
        return batch_rows_spread(rows, from, err);
    freshet_code code = row_store_add(rows->store, from, NULL, from->n_rows, err);
    if (code == FRESHET_OK && rows->options.n_keys == 0)
        warn_whole(rows);
    else if (code == FRESHET_OK && row_store_bytes(rows->store) > rows->spread_bytes)
        code = move_to_spill(rows, err);
    return code;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static void warn_large(batch_rows *rows)
{
    const size_t bytes = row_store_bytes(rows->store);
    if (rows->warned || bytes <= rows->options.memory)
        return;
    rows->warned = true;
    log_event(BATCH_KEYS_LARGE, rows->options.pipeline, row_store_rows(rows->store), bytes >> 20);
}

/* Is the part too large, and can it be spread on? */
static bool is_spread_on(const batch_rows *rows, const row_spill *spill, uint32_t part)
{
    return rows->n_levels < BATCH_LEVELS_MAX &&
           row_spill_part_bytes(spill, part) > rows->options.memory &&
           row_spill_part_rows(spill, part) < row_spill_rows(spill);
}

/* The next part that has rows, which may be of another level after this; FRESHET_END: of none. */
static freshet_code next_part(batch_rows *rows, row_spill **spill, uint32_t *part,
                              freshet_error *err)
{
    for (;;) {
        level *level = &rows->levels[rows->n_levels - 1];
        while (level->next < ROW_SPILL_PARTS && row_spill_part_rows(level->spill, level->next) == 0)
            level->next++;
        if (level->next == ROW_SPILL_PARTS && rows->n_levels == 1)
            return FRESHET_END;
        if (level->next == ROW_SPILL_PARTS) {
            row_spill_close(level->spill);
            rows->n_levels--;
            continue;
        }
        *spill = level->spill;
        *part = level->next++;
        if (!is_spread_on(rows, *spill, *part))
            return FRESHET_OK;
        freshet_code code = add_level(rows, err);
        if (code == FRESHET_OK)
            code = row_spill_each(*spill, *part, batch_rows_spread, rows, err);
        if (code != FRESHET_OK)
            return code;
        row_spill_forget(*spill, *part);
    }
}

freshet_code batch_rows_next(batch_rows *rows, const row_store **set, freshet_error *err)
{
    row_spill *spill;
    uint32_t part;
    *set = NULL;
    if (rows->n_levels == 0) {
        const bool is_over = rows->is_over || row_store_rows(rows->store) == 0;
        rows->is_over = true;
        if (is_over)
            return FRESHET_END;
        *set = rows->store;
        return FRESHET_OK;
    }
    row_store_rewind(rows->store);
    freshet_code code = next_part(rows, &spill, &part, err);
    if (code == FRESHET_OK)
        code = row_spill_take(spill, part, rows->store, err);
    if (code != FRESHET_OK)
        return code;
    row_spill_forget(spill, part);
    warn_large(rows);
    *set = rows->store;
    return FRESHET_OK;
}
