/* bootstrap_same.c - the rows of the past that rows which come live are compared with: see
 * bootstrap.h.
 *
 * Of each row stand 128 bits of a hash of its columns of `same`. While the dump is read, in
 * whatever order, those that are older than `within` before the newest row so far are dropped each
 * time that the list has doubled. The first checkpoint takes them as facts, in pieces, which stay
 * as long as the state. For looking up they are a table with open addressing, at most half full.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/hash.h"
#include "keyed/cells.h"
#include "pipeline/bootstrap.h"

#define COMPARING "comparing rows with those of the past"
#define SAME_FIRST 65536u
#define SAME_PIECE 65536u /* hashes of one fact */

bool same_of(const bootstrap *of, const batch *rows, uint32_t row, text_buffer *scratch,
             same_hash *out)
{
    text_reset(scratch);
    for (uint32_t i = 0; i < of->block->same.n; i++)
        cells_put(scratch, &rows->columns[of->same[i]], row, true);
    if (scratch->failed)
        return false;
    *out = (same_hash){hash_bytes(scratch->bytes, scratch->length, HASH_A),
                       hash_bytes(scratch->bytes, scratch->length, HASH_B)};
    return true;
}

int64_t same_bound(const bootstrap *of)
{
    int64_t end_us = of->until_us != INT64_MAX ? of->until_us : of->mark.newest_us;
    if (end_us == INT64_MIN || __builtin_sub_overflow(end_us, of->block->within_us, &end_us))
        return INT64_MIN;
    return end_us;
}

bool bootstrap_seam(const bootstrap *of, text_buffer *into)
{
    const declared_list *same = &of->block->same;
    if (of->until_us == INT64_MAX)
        text_append_c(into, "no until");
    else {
        text_append_c(into, "until ");
        text_append_timestamp(into, of->until_us);
    }
    for (uint32_t i = 0; i < same->n; i++)
        text_format(into, "%s%s", i == 0 ? ", same " : " ", same->items[i].value);
    if (same->n > 0)
        text_format(into, ", within %lld s", (long long)(of->block->within_us / 1000000));
    return !into->failed;
}

static void drop_older(same_rows *rows, int64_t bound_us)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < rows->n; i++)
        if (rows->items[i].us >= bound_us)
            rows->items[n++] = rows->items[i];
    rows->n = n;
}

bool same_add(bootstrap *of, int64_t us, const same_hash *hash, int64_t newest_us)
{
    same_rows *rows = &of->rows;
    of->mark.newest_us = newest_us;
    if (us != INT64_MIN && us < same_bound(of))
        return true;
    if (rows->n == rows->capacity) {
        drop_older(rows, same_bound(of));
        if (rows->n > rows->capacity / 2 || rows->capacity == 0) {
            const uint64_t capacity = rows->capacity == 0 ? SAME_FIRST : rows->capacity * 2;
            same_entry *items = realloc(rows->items, capacity * sizeof *items);
            if (items == NULL)
                return false;
            rows->items = items;
            rows->capacity = capacity;
        }
    }
    rows->items[rows->n++] = (same_entry){us, *hash};
    return true;
}

void same_end(bootstrap *of)
{
    drop_older(&of->rows, same_bound(of));
}

freshet_code bootstrap_put_same(const freshet_pipeline *pipeline, bootstrap_put_fn *put,
                                void *context, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    same_hash *piece = malloc(SAME_PIECE * sizeof *piece);
    if (piece == NULL)
        return error_memory(err, COMPARING);
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        const bootstrap *of = pipeline->bootstraps[i];
        char key[160];
        if (of == NULL || !of->is_prepared || of->is_same_kept)
            continue;
        for (uint64_t at = 0; code == FRESHET_OK && at < of->rows.n;) {
            uint32_t n = 0;
            snprintf(key, sizeof key, "%s %" PRIu64, of->base.block->id.value, at);
            while (n < SAME_PIECE && at < of->rows.n)
                piece[n++] = of->rows.items[at++].hash;
            code = put(context, key, piece, n * sizeof *piece, err);
        }
    }
    free(piece);
    return code;
}

static uint64_t *slot_of(const same_rows *rows, const same_hash *hash)
{
    uint64_t at = hash->a & (rows->n_slots - 1);
    while (rows->slots[at] != 0) {
        const same_hash *found = &rows->items[rows->slots[at] - 1].hash;
        if (found->a == hash->a && found->b == hash->b)
            break;
        at = (at + 1) & (rows->n_slots - 1);
    }
    return &rows->slots[at];
}

static freshet_code make_table(same_rows *rows, freshet_error *err)
{
    rows->n_slots = 64;
    while (rows->n_slots < rows->n * 2)
        rows->n_slots *= 2;
    rows->slots = calloc(rows->n_slots, sizeof *rows->slots);
    if (rows->slots == NULL)
        return error_memory(err, COMPARING);
    for (uint64_t i = 0; i < rows->n; i++)
        *slot_of(rows, &rows->items[i].hash) = i + 1;
    return FRESHET_OK;
}

static freshet_code take_piece(void *context, const char *key, size_t key_length, const void *value,
                               size_t length, freshet_error *err)
{
    bootstrap *of = context;
    same_rows *rows = &of->rows;
    const char *id = of->base.block->id.value;
    const uint64_t n = length / sizeof(same_hash);
    if (key_length <= strlen(id) || memcmp(key, id, strlen(id)) != 0 || key[strlen(id)] != ' ')
        return FRESHET_OK;
    if (rows->n + n > rows->capacity) {
        const uint64_t capacity = (rows->n + n) * 2;
        same_entry *items = realloc(rows->items, capacity * sizeof *items);
        if (items == NULL)
            return error_memory(err, COMPARING);
        rows->items = items;
        rows->capacity = capacity;
    }
    for (uint64_t i = 0; i < n; i++)
        memcpy(&rows->items[rows->n++].hash, (const char *)value + i * sizeof(same_hash),
               sizeof(same_hash));
    return FRESHET_OK;
}

freshet_code same_load(bootstrap *of, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    if (of->rows.n_slots > 0 || of->block->same.n == 0)
        return FRESHET_OK;
    if (of->rows.n == 0)
        code = checkpoint_visit_fact(of->pipeline, FACT_SAME, take_piece, of, err);
    return code == FRESHET_OK ? make_table(&of->rows, err) : code;
}

bool same_has(const bootstrap *of, const same_hash *hash)
{
    return of->rows.n_slots > 0 && *slot_of(&of->rows, hash) != 0;
}

void same_release(same_rows *rows)
{
    free(rows->items);
    free(rows->slots);
    *rows = (same_rows){0};
}
