/* row_store.c - see row_store.h.
 *
 * One function copies rows between batches, copy_rows(), for both ways: into the store it also
 * copies the long texts, out of it they stay. An addition that fails leaves cells, nulls and
 * elements behind the rows that count: so column_copy() sets the validity of new rows, and elements
 * that count are those of n_elements.
 */
#include "base/row_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

#define KEEPING "keeping rows"
#define CHUNK_ROWS_FIRST 64u

struct row_store {
    arena *arena;
    const schema *schema;
    batch *chunks;
    uint32_t n_chunks, chunks_capacity;
    uint32_t n_rows;
    uint32_t expected; /* the least room that the first chunk has */
    bool with_write_us, with_kinds;
    size_t row_bytes; /* of one row's cells */
    size_t bytes;     /* of long texts and elements */
};

freshet_code row_store_open(const schema *schema, row_store **out, freshet_error *err)
{
    row_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return error_memory(err, KEEPING);
    store->schema = schema;
    store->expected = CHUNK_ROWS_FIRST;
    store->arena = arena_open();
    for (uint32_t i = 0; i < schema->n_fields; i++)
        store->row_bytes += type_cell_size(schema->fields[i].type);
    if (store->arena == NULL) {
        row_store_close(store);
        return error_memory(err, KEEPING);
    }
    *out = store;
    return FRESHET_OK;
}

void row_store_close(row_store *store)
{
    if (store == NULL)
        return;
    arena_close(store->arena);
    free(store->chunks);
    free(store);
}

uint32_t row_store_rows(const row_store *store)
{
    return store->n_rows;
}

size_t row_store_bytes(const row_store *store)
{
    return store->bytes + store->n_rows * store->row_bytes;
}

size_t row_store_held(const row_store *store)
{
    return arena_held(store->arena);
}

void row_store_expect(row_store *store, uint32_t n_rows)
{
    store->expected = n_rows > ROW_STORE_CHUNK    ? ROW_STORE_CHUNK
                      : n_rows < CHUNK_ROWS_FIRST ? CHUNK_ROWS_FIRST
                                                  : n_rows;
}

static void forget_rows(row_store *store)
{
    store->n_rows = 0;
    store->n_chunks = 0;
    store->bytes = 0;
}

void row_store_clear(row_store *store)
{
    forget_rows(store);
    arena_reset(store->arena);
}

void row_store_rewind(row_store *store)
{
    forget_rows(store);
    arena_rewind(store->arena);
}

/* Room for n rows of what the store keeps beside the columns. */
static bool make_facts(const row_store *store, arena *arena, batch *into, uint32_t n)
{
    if (store->with_write_us)
        into->write_us = arena_alloc(arena, n * sizeof *into->write_us);
    if (store->with_kinds)
        into->row_kinds = arena_alloc(arena, n);
    return (!store->with_write_us || into->write_us != NULL) &&
           (!store->with_kinds || into->row_kinds != NULL);
}

/* Copies the chosen rows to those of `into` from `at` on, for which there is room. */
static bool copy_rows(arena *arena, const batch *from, const cell_choice *which, batch *into,
                      uint64_t at)
{
    for (uint32_t i = 0; i < into->schema.n_fields; i++)
        if (!column_copy(arena, &from->columns[i], which, &into->columns[i], at))
            return false;
    for (uint64_t i = 0; i < which->n; i++) {
        const uint64_t row = which->rows == NULL ? which->first + i : which->rows[i];
        if (into->write_us != NULL)
            into->write_us[at + i] = from->write_us == NULL ? 0 : from->write_us[row];
        if (into->row_kinds != NULL)
            into->row_kinds[at + i] =
                from->row_kinds == NULL ? ROW_NEW | ROW_ONLINE : from->row_kinds[row];
    }
    return true;
}

/* ---- into the store -------------------------------------------------------------------------- */

/* Appends an empty chunk with room for `expected` rows. */
static freshet_code add_chunk(row_store *store, uint32_t expected, freshet_error *err)
{
    if (!array_reserve(&store->chunks, &store->chunks_capacity, store->n_chunks + UINT64_C(1),
                       sizeof *store->chunks))
        return error_memory(err, KEEPING);
    /* one that comes behind others is likely to become full */
    uint32_t rows = store->n_chunks > 0 || expected > ROW_STORE_CHUNK ? ROW_STORE_CHUNK
                    : expected < store->expected                      ? store->expected
                                                                      : expected;
    batch *chunk = &store->chunks[store->n_chunks];
    freshet_code code = batch_init_raw(chunk, store->arena, store->schema, NULL, rows, err);
    if (code != FRESHET_OK)
        return code;
    if (!make_facts(store, store->arena, chunk, ROW_STORE_CHUNK))
        return error_memory(err, KEEPING);
    store->n_chunks++;
    return FRESHET_OK;
}

/* Copies the selected rows behind those of the chunk, whose n_rows stays. */
static freshet_code fill_chunk(row_store *store, batch *chunk, const batch *from,
                               const cell_choice *which, freshet_error *err)
{
    const uint64_t wanted = chunk->n_rows + which->n;
    for (uint32_t i = 0; i < store->schema->n_fields; i++) {
        freshet_code code = column_reserve(store->arena, &chunk->columns[i], wanted, err);
        if (code != FRESHET_OK)
            return code;
    }
    return copy_rows(store->arena, from, which, chunk, chunk->n_rows) ? FRESHET_OK
                                                                      : error_memory(err, KEEPING);
}

/* The chunk that row number `row`, the next one, goes to. */
static freshet_code chunk_for(row_store *store, uint32_t row, uint32_t n_left, batch **out,
                              freshet_error *err)
{
    uint32_t which = row >> ROW_STORE_CHUNK_BITS;
    if (which == store->n_chunks) {
        freshet_code code = add_chunk(store, n_left, err);
        if (code != FRESHET_OK)
            return code;
    }
    *out = &store->chunks[which];
    (*out)->n_rows = row & (ROW_STORE_CHUNK - 1);
    return FRESHET_OK;
}

freshet_code row_store_add(row_store *store, const batch *from, const uint32_t *rows, uint32_t n,
                           freshet_error *err)
{
    if (n > ROW_STORE_ROWS_MAX - store->n_rows)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "more than %u rows cannot be kept together", ROW_STORE_ROWS_MAX);
    if (store->n_rows == 0) {
        row_store_rewind(store); /* an addition that failed may have left something */
        store->with_write_us = from->write_us != NULL;
        store->with_kinds = from->row_kinds != NULL;
    }
    const size_t bytes_before = store->bytes;
    uint32_t done = 0;
    while (done < n) {
        batch *chunk = NULL;
        freshet_code code = chunk_for(store, store->n_rows + done, n - done, &chunk, err);
        uint32_t room = code == FRESHET_OK ? ROW_STORE_CHUNK - chunk->n_rows : 0;
        const cell_choice which = {.rows = rows == NULL ? NULL : rows + done,
                                   .first = done,
                                   .n = n - done < room ? n - done : room,
                                   .keeps = &store->bytes};
        if (code == FRESHET_OK)
            code = fill_chunk(store, chunk, from, &which, err);
        if (code != FRESHET_OK) { /* what was copied is behind the rows that count */
            store->bytes = bytes_before;
            return code;
        }
        chunk->n_rows += (uint32_t)which.n;
        done += (uint32_t)which.n;
    }
    store->n_rows += n;
    return FRESHET_OK;
}

/* ---- out of it ------------------------------------------------------------------------------- */

const batch *row_store_at(const row_store *store, uint32_t row, uint32_t *index)
{
    assert(row < store->n_rows);
    *index = row & (ROW_STORE_CHUNK - 1);
    return &store->chunks[row >> ROW_STORE_CHUNK_BITS];
}

#define PLACES 256u /* places in a chunk that are worked out at once */

/* Of n rows, the first of them `row`, those at the beginning that are of one chunk, by their places
 * in it. */
static cell_choice one_run(const uint32_t *rows, uint32_t row, uint32_t n, uint32_t places[PLACES])
{
    const uint32_t mask = ROW_STORE_CHUNK - 1, chunk = row >> ROW_STORE_CHUNK_BITS;
    const uint64_t rest = UINT64_C(1) + mask - (row & mask);
    if (rows == NULL)
        return (cell_choice){.first = row & mask, .n = rest < n ? rest : n};
    cell_choice run = {.rows = places};
    for (; run.n < n && run.n < PLACES && rows[run.n] >> ROW_STORE_CHUNK_BITS == chunk; run.n++)
        places[run.n] = rows[run.n] & mask;
    return run;
}

freshet_code row_store_take(const row_store *store, arena *arena, const uint32_t *rows,
                            uint32_t first, uint32_t n, batch *out, freshet_error *err)
{
    uint32_t places[PLACES];
    assert(rows != NULL || (uint64_t)first + n <= store->n_rows);
    freshet_code code = batch_init_raw(out, arena, store->schema, NULL, n, err);
    if (code != FRESHET_OK)
        return code;
    if (n > 0 && !make_facts(store, arena, out, n))
        return error_memory(err, KEEPING);
    for (uint32_t i = 0; i < n;) {
        const uint32_t row = rows == NULL ? first + i : rows[i];
        const cell_choice run = one_run(rows == NULL ? NULL : rows + i, row, n - i, places);
        if (!copy_rows(arena, &store->chunks[row >> ROW_STORE_CHUNK_BITS], &run, out, i))
            return error_memory(err, KEEPING);
        i += (uint32_t)run.n;
    }
    out->n_rows = n;
    return FRESHET_OK;
}
