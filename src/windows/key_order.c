/* key_order.c - see key_order.h. */
#include "windows/key_order.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"

#define ORDERING "ordering rows by key"
#define KEYS_MIN 8u        /* fewer keys are in the cache anyway */
#define KEY_EVENTS_MIN 64u /* of a key on average: less is a few lines of memory */
#define KEY_ROWS_MIN 2u    /* of a key in the batch, on average */
#define ORDER_BITS 10u

bool key_order_serves(uint32_t n_rows, uint64_t n_keys, uint64_t n_events)
{
    return n_keys >= KEYS_MIN && n_rows >= KEY_ROWS_MIN * n_keys &&
           n_events >= KEY_EVENTS_MIN * n_keys;
}

/* ---- the order ----------------------------------------------------------------------------- */

/* Equal keys have equal bytes in columns of these types. */
static bool tells_keys(type_kind kind)
{
    switch (kind) {
    case TYPE_BOOLEAN:
    case TYPE_INTEGER:
    case TYPE_BIGINT:
    case TYPE_STRING:
    case TYPE_BINARY:
    case TYPE_DATE:
    case TYPE_TIMESTAMP: return true;
    default: return false;
    }
}

static uint64_t hash_cell(const column *column, uint32_t row, size_t size, uint64_t seed)
{
    if (!column_is_valid(column, row))
        return seed;
    if (size == sizeof(cell_text)) {
        const cell_text *cell = (const cell_text *)column->data + row;
        return hash_bytes(text_bytes(cell), cell->length, seed);
    }
    uint64_t word = 0;
    memcpy(&word, (const char *)column->data + row * size, size);
    return hash_fold(seed ^ word, HASH_A);
}

/* A few bits of each row's key; false: they are the same for all. */
static bool make_bits(const column *keys, uint32_t n_keys, uint32_t n_rows, uint64_t *hashes)
{
    bool told = false;
    memset(hashes, 0, n_rows * sizeof *hashes);
    for (uint32_t k = 0; k < n_keys; k++) {
        const size_t size = type_cell_size(keys[k].type);
        if (!tells_keys(keys[k].type->kind))
            continue;
        told = true;
        for (uint32_t row = 0; row < n_rows; row++)
            hashes[row] = hash_cell(&keys[k], row, size, hashes[row] ^ HASH_B);
    }
    for (uint32_t row = 0; row < n_rows; row++)
        hashes[row] = hash_fold(hashes[row], HASH_B) >> (64 - ORDER_BITS);
    return told;
}

freshet_code key_order_make(const column *keys, uint32_t n_keys, uint32_t n_rows, arena *arena,
                            const uint32_t **out, freshet_error *err)
{
    uint32_t ends[(1u << ORDER_BITS) + 1] = {0};
    uint64_t *bits = arena_alloc(arena, (n_rows + (size_t)1) * sizeof *bits);
    uint32_t *order = arena_alloc(arena, (n_rows + (size_t)1) * sizeof *order);
    *out = NULL;
    if (bits == NULL || order == NULL)
        return error_memory(err, ORDERING);
    if (!make_bits(keys, n_keys, n_rows, bits))
        return FRESHET_OK;
    for (uint32_t row = 0; row < n_rows; row++)
        ends[bits[row] + 1]++;
    for (uint32_t i = 1; i <= 1u << ORDER_BITS; i++)
        ends[i] += ends[i - 1];
    for (uint32_t row = 0; row < n_rows; row++)
        order[ends[bits[row]]++] = row;
    *out = order;
    return FRESHET_OK;
}

/* ---- and back ------------------------------------------------------------------------------ */

/* Numbers of refreshed rows, by their causes: those of one cause are of one key, and in order. */
static int compare_turns(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The columns' rows `turns`. The elements of arrays stay where they are. */
static freshet_code pick(const schema *schema, const uint32_t *turns, uint32_t n, arena *arena,
                         column *columns, freshet_error *err)
{
    const batch from = {.arena = arena, .schema = *schema, .n_rows = n, .columns = columns};
    batch picked;
    freshet_code code = batch_gather(&from, turns, n, &picked, ORDERING, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < schema->n_fields; i++)
        columns[i] = picked.columns[i];
    return code;
}

static freshet_code undo_refreshed(const windows_plan *plan, const schema *carried, arena *arena,
                                   windows_result *result, freshet_error *err)
{
    const uint32_t n = result->n_refreshed;
    if (n < 2)
        return FRESHET_OK;
    uint64_t *causes = arena_alloc(arena, n * sizeof *causes);
    uint32_t *turns = arena_alloc(arena, n * sizeof *turns);
    windows_refreshed *sorted = arena_alloc(arena, n * sizeof *sorted);
    if (causes == NULL || turns == NULL || sorted == NULL)
        return error_memory(err, ORDERING);
    for (uint32_t i = 0; i < n; i++)
        causes[i] = (uint64_t)result->refreshed[i].row << 32 | i;
    qsort(causes, n, sizeof *causes, compare_turns);
    for (uint32_t i = 0; i < n; i++) {
        turns[i] = (uint32_t)causes[i];
        sorted[i] = result->refreshed[turns[i]];
    }
    result->refreshed = sorted;
    freshet_code code = pick(&plan->outputs, turns, n, arena, result->refreshed_outputs, err);
    return code == FRESHET_OK ? pick(carried, turns, n, arena, result->refreshed_carried, err)
                              : code;
}

freshet_code key_order_undo(const windows_plan *plan, const schema *carried, const uint32_t *order,
                            uint32_t n_rows, arena *arena, windows_result *result,
                            freshet_error *err)
{
    uint32_t *places = arena_alloc(arena, (n_rows + (size_t)1) * sizeof *places);
    if (places == NULL)
        return error_memory(err, ORDERING);
    for (uint32_t i = 0; i < n_rows; i++)
        places[order[i]] = i;
    freshet_code code = pick(&plan->outputs, places, n_rows, arena, result->outputs, err);
    return code == FRESHET_OK ? undo_refreshed(plan, carried, arena, result, err) : code;
}
