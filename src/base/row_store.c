/* row_store.c - see row_store.h.
 *
 * One function copies cells between columns, row_store_copy_cells(), for both ways: into the store it also
 * copies the long texts, out of it they stay. Elements of arrays are copied behind those that the column
 * has already. An addition that fails leaves cells, nulls and elements behind the rows that count: so the
 * validity of new rows is set, not assumed, and elements that count are those of n_elements.
 */
#include "base/row_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

#define KEEPING "keeping rows"
#define CHUNK_ROWS_FIRST 64u
#define CHUNK_BYTES_AT_ONCE ((size_t)32 << 20)

struct row_store {
    arena *arena;
    const schema *schema;
    batch *chunks;
    uint32_t n_chunks, chunks_capacity;
    uint32_t n_rows;
    uint32_t bits; /* of the number of a row in its chunk */
    bool with_write_us, with_kinds;
    size_t row_bytes; /* of one row's cells */
    size_t bytes;     /* of long texts and elements */
};

/* Which rows of a column to copy: n of them, by their numbers or from `first` on. */
typedef struct selection {
    const uint32_t *rows; /* or NULL */
    uint64_t first, n;
} selection;

static inline uint64_t selected(const selection *which, uint64_t i)
{
    return which->rows == NULL ? which->first + i : which->rows[i];
}

static uint32_t chunk_rows(const row_store *store)
{
    return 1u << store->bits;
}

freshet_code row_store_open(const schema *schema, row_store **out, freshet_error *err)
{
    return row_store_open_chunked(schema, ROW_STORE_CHUNK_BITS, out, err);
}

freshet_code row_store_open_chunked(const schema *schema, uint32_t bits, row_store **out,
                                    freshet_error *err)
{
    row_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return error_memory(err, KEEPING);
    store->schema = schema;
    store->bits = bits;
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

void row_store_clear(row_store *store)
{
    store->n_rows = 0;
    store->n_chunks = 0;
    store->bytes = 0;
    arena_reset(store->arena);
}

/* ---- copying cells --------------------------------------------------------------------------- */

static void copy_fixed(const column *from, const selection *which, column *into, uint64_t at)
{
    size_t size = type_cell_size(from->type);
    char *target = (char *)into->data + at * size;
    const char *source = from->data;
    if (which->rows == NULL) {
        memcpy(target, source + which->first * size, which->n * size);
        return;
    }
    for (uint64_t i = 0; i < which->n; i++)
        memcpy(target + i * size, source + which->rows[i] * size, size);
}

static bool row_store_copy_nulls(arena *arena, const column *from, const selection *which,
                                 column *into, uint64_t at)
{
    for (uint64_t row = at; into->valid != NULL && row < at + which->n; row++)
        into->valid[row >> 6] |= UINT64_C(1) << (row & 63);
    for (uint64_t i = 0; from->valid != NULL && i < which->n; i++)
        if (!column_is_valid(from, selected(which, i)) && !column_set_null(arena, into, at + i))
            return false;
    return true;
}

/* Copies the texts that n cells point to; *bytes grows by what they take. */
static bool row_store_keep_texts(arena *arena, cell_text *cells, uint64_t n, size_t *bytes)
{
    size_t total = 0;
    for (uint64_t i = 0; i < n; i++)
        if (cells[i].length > TEXT_INLINE_MAX)
            total += cells[i].length;
    if (total == 0)
        return true;
    char *at = arena_alloc(arena, total);
    if (at == NULL)
        return false;
    *bytes += total;
    for (uint64_t i = 0; i < n; i++) {
        if (cells[i].length <= TEXT_INLINE_MAX)
            continue;
        memcpy(at, cells[i].as.outside.pointer, cells[i].length);
        cells[i].as.outside.pointer = at;
        at += cells[i].length;
    }
    return true;
}

static bool row_store_copy_cells(arena *arena, const column *from, const selection *which,
                                 column *into, uint64_t at, size_t *texts);

static bool row_store_copy_arrays(arena *arena, const column *from, const selection *which,
                                  column *into, uint64_t at, size_t *texts)
{
    uint64_t end = into->n_elements, total = end;
    const cell_span *spans = from->data;
    for (uint64_t i = 0; i < which->n; i++)
        total += spans[selected(which, i)].length;
    if (column_reserve(arena, &into->children[0], total, NULL) != FRESHET_OK)
        return false;
    for (uint64_t i = 0; i < which->n; i++) {
        const cell_span *span = &spans[selected(which, i)];
        const selection elements = {.first = span->offset, .n = span->length};
        ((cell_span *)into->data)[at + i] =
            (cell_span){.offset = span->length == 0 ? 0 : end, .length = span->length};
        if (!row_store_copy_cells(arena, &from->children[0], &elements, &into->children[0], end,
                                  texts))
            return false;
        end += span->length;
    }
    if (texts != NULL)
        *texts += (end - into->n_elements) * type_cell_size(from->children[0].type);
    into->n_elements = end;
    return true;
}

/* Copies the selected cells to the rows from `at` on, for which there is room. With `texts` (a count
 * of bytes) long texts are copied, too. Recursion: at most TYPE_DEPTH_MAX deep. */
static bool row_store_copy_cells(arena *arena, const column *from, const selection *which,
                                 column *into, uint64_t at, size_t *texts)
{
    if (which->n == 0)
        return true;
    switch (from->type->kind) {
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < from->type->n_fields; i++)
            if (!row_store_copy_cells(arena, &from->children[i], which, &into->children[i], at,
                                      texts))
                return false;
        break;
    case TYPE_ARRAY:
        if (!row_store_copy_arrays(arena, from, which, into, at, texts))
            return false;
        break;
    default: copy_fixed(from, which, into, at); break;
    }
    if ((from->type->kind == TYPE_STRING || from->type->kind == TYPE_BINARY) && texts != NULL &&
        !row_store_keep_texts(arena, (cell_text *)into->data + at, which->n, texts))
        return false;
    return row_store_copy_nulls(arena, from, which, into, at);
}

/* ---- into the store -------------------------------------------------------------------------- */

/* Appends an empty chunk with room for `expected` rows. */
static freshet_code add_chunk(row_store *store, uint32_t expected, freshet_error *err)
{
    if (!array_reserve(&store->chunks, &store->chunks_capacity, store->n_chunks + UINT64_C(1),
                       sizeof *store->chunks))
        return error_memory(err, KEEPING);
    /* one that comes behind others is likely to become full */
    uint32_t rows = store->n_chunks > 0 || expected > chunk_rows(store) ? chunk_rows(store)
                    : expected < CHUNK_ROWS_FIRST                       ? CHUNK_ROWS_FIRST
                                                                        : expected;
    batch *chunk = &store->chunks[store->n_chunks];
    freshet_code code = batch_init(chunk, store->arena, store->schema, rows, err);
    if (code != FRESHET_OK)
        return code;
    if (store->with_write_us)
        chunk->write_us = arena_alloc(store->arena, chunk_rows(store) * sizeof *chunk->write_us);
    if (store->with_kinds)
        chunk->row_kinds = arena_alloc(store->arena, chunk_rows(store));
    if ((store->with_write_us && chunk->write_us == NULL) ||
        (store->with_kinds && chunk->row_kinds == NULL))
        return error_memory(err, KEEPING);
    store->n_chunks++;
    return FRESHET_OK;
}

/* Copies the selected rows behind those of the chunk, whose n_rows stays. */
static freshet_code fill_chunk(row_store *store, batch *chunk, const batch *from,
                               const selection *which, freshet_error *err)
{
    uint64_t wanted = chunk->n_rows + which->n;
    if (chunk->n_rows > 0 && store->bits > ROW_STORE_CHUNK_BITS &&
        store->row_bytes << store->bits <= CHUNK_BYTES_AT_ONCE)
        wanted = chunk_rows(
            store); /* where one large chunk is wanted, the second addition is a sign of more */
    for (uint32_t i = 0; i < store->schema->n_fields; i++) {
        freshet_code code = column_reserve(store->arena, &chunk->columns[i], wanted, err);
        if (code != FRESHET_OK)
            return code;
        if (!row_store_copy_cells(store->arena, &from->columns[i], which, &chunk->columns[i],
                                  chunk->n_rows, &store->bytes))
            return error_memory(err, KEEPING);
    }
    for (uint64_t i = 0; i < which->n; i++) {
        if (chunk->write_us != NULL)
            chunk->write_us[chunk->n_rows + i] =
                from->write_us == NULL ? 0 : from->write_us[selected(which, i)];
        if (chunk->row_kinds != NULL)
            chunk->row_kinds[chunk->n_rows + i] = from->row_kinds == NULL
                                                      ? ROW_NEW | ROW_ONLINE
                                                      : from->row_kinds[selected(which, i)];
    }
    return FRESHET_OK;
}

/* The chunk that row number `row`, the next one, goes to. */
static freshet_code chunk_for(row_store *store, uint32_t row, uint32_t n_left, batch **out,
                              freshet_error *err)
{
    uint32_t which = row >> store->bits;
    if (which == store->n_chunks) {
        freshet_code code = add_chunk(store, n_left, err);
        if (code != FRESHET_OK)
            return code;
    }
    *out = &store->chunks[which];
    (*out)->n_rows = row & (chunk_rows(store) - 1);
    return FRESHET_OK;
}

freshet_code row_store_add(row_store *store, const batch *from, const uint32_t *rows, uint32_t n,
                           freshet_error *err)
{
    if (n > ROW_STORE_ROWS_MAX - store->n_rows)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "more than %u rows cannot be kept together", ROW_STORE_ROWS_MAX);
    if (store->n_rows == 0) {
        row_store_clear(store);
        store->with_write_us = from->write_us != NULL;
        store->with_kinds = from->row_kinds != NULL;
    }
    const size_t bytes_before = store->bytes;
    uint32_t done = 0;
    while (done < n) {
        batch *chunk = NULL;
        freshet_code code = chunk_for(store, store->n_rows + done, n - done, &chunk, err);
        uint32_t room = code == FRESHET_OK ? chunk_rows(store) - chunk->n_rows : 0;
        const selection which = {.rows = rows == NULL ? NULL : rows + done,
                                 .first = done,
                                 .n = n - done < room ? n - done : room};
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
    *index = row & (chunk_rows(store) - 1);
    return &store->chunks[row >> store->bits];
}

/* How many of the numbers from rows[i] on are of one chunk. */
static uint32_t run_length(const row_store *store, const uint32_t *rows, uint32_t i, uint32_t n)
{
    uint32_t chunk = rows[i] >> store->bits, end = i + 1;
    while (end < n && rows[end] >> store->bits == chunk)
        end++;
    return end - i;
}

/* Copies `n` rows of one chunk to the rows of `out` from `at` on. */
static freshet_code take_run(const row_store *store, uint32_t chunk, const selection *which,
                             uint32_t at, batch *out, freshet_error *err)
{
    const batch *from = &store->chunks[chunk];
    for (uint32_t i = 0; i < store->schema->n_fields; i++)
        if (!row_store_copy_cells(out->arena, &from->columns[i], which, &out->columns[i], at, NULL))
            return error_memory(err, KEEPING);
    for (uint64_t i = 0; i < which->n; i++) {
        if (out->write_us != NULL)
            out->write_us[at + i] = from->write_us[selected(which, i)];
        if (out->row_kinds != NULL)
            out->row_kinds[at + i] = from->row_kinds[selected(which, i)];
    }
    return FRESHET_OK;
}

#define PLACES 256u /* places in a chunk that are worked out at once */

static freshet_code take_by_number(const row_store *store, const uint32_t *rows, uint32_t n,
                                   batch *out, freshet_error *err)
{
    uint32_t places[PLACES];
    for (uint32_t i = 0; i < n;) {
        uint32_t run = run_length(store, rows, i, n);
        if (run > PLACES)
            run = PLACES;
        for (uint32_t j = 0; j < run; j++)
            places[j] = rows[i + j] & (chunk_rows(store) - 1);
        const selection which = {.rows = places, .n = run};
        freshet_code code = take_run(store, rows[i] >> store->bits, &which, i, out, err);
        if (code != FRESHET_OK)
            return code;
        i += run;
    }
    return FRESHET_OK;
}

static freshet_code take_range(const row_store *store, uint32_t first, uint32_t n, batch *out,
                               freshet_error *err)
{
    for (uint32_t i = 0; i < n;) {
        uint32_t place = (first + i) & (chunk_rows(store) - 1);
        uint32_t run = chunk_rows(store) - place < n - i ? chunk_rows(store) - place : n - i;
        const selection which = {.first = place, .n = run};
        freshet_code code = take_run(store, (first + i) >> store->bits, &which, i, out, err);
        if (code != FRESHET_OK)
            return code;
        i += run;
    }
    return FRESHET_OK;
}

freshet_code row_store_take(const row_store *store, arena *arena, const uint32_t *rows,
                            uint32_t first, uint32_t n, batch *out, freshet_error *err)
{
    assert(rows != NULL || (uint64_t)first + n <= store->n_rows);
    freshet_code code = batch_init(out, arena, store->schema, n, err);
    if (code != FRESHET_OK)
        return code;
    if (n > 0 && store->with_write_us)
        out->write_us = arena_alloc(arena, n * sizeof *out->write_us);
    if (n > 0 && store->with_kinds)
        out->row_kinds = arena_alloc(arena, n);
    if (n > 0 && ((store->with_write_us && out->write_us == NULL) ||
                  (store->with_kinds && out->row_kinds == NULL)))
        return error_memory(err, KEEPING);
    out->n_rows = n;
    return rows != NULL ? take_by_number(store, rows, n, out, err)
                        : take_range(store, first, n, out, err);
}
