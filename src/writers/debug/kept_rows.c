/* kept_rows.c - see kept_rows.h.
 *
 *     chunk 0                chunk 1                    chunk n - 1
 *     |gone |    rows     |  |        rows        | ... |  rows  |   room   |
 *
 * All cells of a chunk that have a fixed place are one piece of memory, taken whole and touched as
 * rows come; its long texts and the elements of arrays lie in an arena. `gone` rows of the oldest
 * chunk do not count any more; where all of it is gone, so is the chunk. The last one that went is
 * kept, empty, for the next that is wanted: a table at its limit takes no memory from the system.
 *
 * A chunk takes CHUNK_SHARE of the rows and of the memory at most, so that what is held beyond the
 * limit is little. One whose texts take more than that is closed before it is full.
 */
#include "writers/debug/kept_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"

#define ADDING "adding rows to the debug table"
#define CHUNK_SHARE 16
#define CHUNK_ROWS_MAX INT64_C(65536)
#define CHUNK_ROWS_MIN INT64_C(2048) /* what a query reads at once */
#define CHUNK_ROWS_LEAST INT64_C(64) /* of rows so wide that those would take too much */
#define CHUNK_BYTES_MAX (INT64_C(8) << 20)

typedef struct chunk {
    batch rows;
    arena *outside; /* texts and elements */
    void *cells;
    size_t texts;   /* bytes of both */
    int64_t number; /* of its first row */
} chunk;

struct kept_rows {
    const schema *schema;
    int64_t limit, memory;
    size_t row_bytes; /* of one row's cells */
    uint32_t chunk_rows;
    int64_t chunk_texts; /* one with more is closed */
    bool has_arrays;     /* their elements are moved when they grow: the arena's size counts */
    chunk **chunks;
    uint32_t n, capacity;
    chunk *spare; /* NULL: there is none */
    uint32_t gone;
    int64_t kept, trimmed;
    int64_t bytes; /* of all chunks but the spare one */
};

/* ---- one chunk ----------------------------------------------------------------------------- */

static void chunk_close(chunk *chunk)
{
    if (chunk == NULL)
        return;
    arena_close(chunk->outside);
    free(chunk->cells);
    free(chunk);
}

static int64_t chunk_bytes(const kept_rows *rows, const chunk *chunk)
{
    const size_t outside = rows->has_arrays ? arena_held(chunk->outside) : chunk->texts;
    return (int64_t)(rows->row_bytes * rows->chunk_rows + outside);
}

/* Columns without a row, over the chunk's cells. */
static freshet_code chunk_clear(const kept_rows *rows, chunk *chunk, freshet_error *err)
{
    char *at = chunk->cells;
    arena_reset(chunk->outside);
    chunk->texts = 0;
    freshet_code code = batch_init(&chunk->rows, chunk->outside, rows->schema, 0, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < rows->schema->n_fields; i++) {
        column *column = &chunk->rows.columns[i];
        const size_t size = type_cell_size(column->type) * rows->chunk_rows;
        if (column->type->kind == TYPE_STRUCT) {
            code = column_reserve(chunk->outside, column, rows->chunk_rows, err);
            continue;
        }
        column->data = at;
        column->capacity = rows->chunk_rows;
        at += (size + 15) & ~(size_t)15;
    }
    return code;
}

static freshet_code chunk_make(kept_rows *rows, chunk **out, freshet_error *err)
{
    chunk *made = rows->spare;
    rows->spare = NULL;
    if (made == NULL) {
        made = calloc(1, sizeof *made);
        if (made == NULL)
            return error_memory(err, ADDING);
        made->outside = arena_open();
        made->cells =
            malloc(rows->row_bytes * rows->chunk_rows + rows->schema->n_fields * 16ul + 1);
    }
    freshet_code code = made->outside == NULL || made->cells == NULL ? error_memory(err, ADDING)
                                                                     : chunk_clear(rows, made, err);
    if (code == FRESHET_OK)
        *out = made;
    else
        chunk_close(made);
    return code;
}

/* ---- all of them --------------------------------------------------------------------------- */

static freshet_code kept_add_chunk(kept_rows *rows, freshet_error *err)
{
    chunk *added = NULL;
    if (!array_reserve(&rows->chunks, &rows->capacity, rows->n + UINT64_C(1), sizeof *rows->chunks))
        return error_memory(err, ADDING);
    freshet_code code = chunk_make(rows, &added, err);
    if (code != FRESHET_OK)
        return code;
    const chunk *before = rows->n == 0 ? NULL : rows->chunks[rows->n - 1];
    added->number = before == NULL ? rows->trimmed : before->number + before->rows.n_rows;
    rows->chunks[rows->n++] = added;
    rows->bytes += chunk_bytes(rows, added);
    return FRESHET_OK;
}

/* It is in no list any more. */
static void put_aside(kept_rows *rows, chunk *chunk)
{
    rows->bytes -= chunk_bytes(rows, chunk);
    if (rows->spare == NULL)
        rows->spare = chunk;
    else
        chunk_close(chunk);
}

static void drop_oldest(kept_rows *rows)
{
    chunk *oldest = rows->chunks[0];
    const int64_t left = (int64_t)oldest->rows.n_rows - rows->gone;
    memmove(rows->chunks, rows->chunks + 1, --rows->n * sizeof(chunk *));
    rows->kept -= left;
    rows->trimmed += left;
    rows->gone = 0;
    put_aside(rows, oldest);
}

/* Takes the oldest rows away that are too many. */
static void trim(kept_rows *rows)
{
    while (rows->kept > rows->limit) {
        const int64_t over = rows->kept - rows->limit;
        if (rows->chunks[0]->rows.n_rows - rows->gone <= over) {
            drop_oldest(rows);
            continue;
        }
        rows->gone += (uint32_t)over;
        rows->kept -= over;
        rows->trimmed += over;
    }
}

/* Copies as many rows of the batch, from `first` on, as the newest chunk has room for; says how
 * many. */
static freshet_code copy_some(kept_rows *rows, const batch *from, uint32_t first, uint32_t *n,
                              freshet_error *err)
{
    chunk *into = rows->n == 0 ? NULL : rows->chunks[rows->n - 1];
    if (into == NULL || into->rows.n_rows == rows->chunk_rows ||
        (into->rows.n_rows > 0 && (int64_t)into->texts >= rows->chunk_texts)) {
        freshet_code code = kept_add_chunk(rows, err);
        if (code != FRESHET_OK)
            return code;
        into = rows->chunks[rows->n - 1];
    }
    const uint32_t room = rows->chunk_rows - into->rows.n_rows, left = from->n_rows - first;
    const cell_choice which = {
        .first = first, .n = left < room ? left : room, .keeps = &into->texts};
    const int64_t before = chunk_bytes(rows, into);
    bool done = true;
    for (uint32_t i = 0; done && i < rows->schema->n_fields; i++)
        done = column_copy(into->outside, &from->columns[i], &which, &into->rows.columns[i],
                           into->rows.n_rows);
    rows->bytes += chunk_bytes(rows, into) - before;
    if (!done)
        return error_memory(err, ADDING);
    *n = (uint32_t)which.n;
    into->rows.n_rows += *n;
    return FRESHET_OK;
}

/* After an addition that failed: what lies behind these many rows of these many chunks is none. */
static void undo(kept_rows *rows, uint32_t n_chunks, uint32_t n_rows)
{
    while (rows->n > n_chunks)
        put_aside(rows, rows->chunks[--rows->n]);
    if (n_chunks > 0)
        rows->chunks[n_chunks - 1]->rows.n_rows = n_rows;
}

static freshet_code copy_all(kept_rows *rows, const batch *batch, uint32_t from, freshet_error *err)
{
    const int64_t before = rows->bytes;
    freshet_code code = FRESHET_OK;
    for (uint32_t first = from, n = 0; code == FRESHET_OK && first < batch->n_rows; first += n)
        code = copy_some(rows, batch, first, &n, err);
    if (code == FRESHET_OK && rows->bytes - before > rows->memory)
        code = error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "%" PRIu32 " rows that came together take %g MiB, and the debug table may "
                         "have %g MiB: set `memory` of `online` higher, or `rows` lower",
                         batch->n_rows - from, (double)(rows->bytes - before) / (1 << 20),
                         (double)rows->memory / (1 << 20));
    return code;
}

freshet_code kept_rows_add(kept_rows *rows, const batch *batch, bool *short_of_memory,
                           freshet_error *err)
{
    const uint32_t n_chunks = rows->n;
    const uint32_t n_rows = n_chunks == 0 ? 0 : rows->chunks[n_chunks - 1]->rows.n_rows;
    const uint32_t first = batch->n_rows > rows->limit ? batch->n_rows - (uint32_t)rows->limit : 0;
    const uint32_t n = batch->n_rows - first;
    *short_of_memory = false;
    freshet_code code = copy_all(rows, batch, first, err);
    if (code != FRESHET_OK) {
        undo(rows, n_chunks, n_rows);
        return code;
    }
    rows->kept += n;
    rows->trimmed += first;
    trim(rows);
    while (rows->bytes > rows->memory && rows->n > 1) {
        drop_oldest(rows);
        *short_of_memory = true;
    }
    return FRESHET_OK;
}

/* ---- opening and looking ------------------------------------------------------------------- */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void choose_sizes(kept_rows *rows)
{
    const int64_t bytes = least(rows->memory / CHUNK_SHARE, CHUNK_BYTES_MAX);
    const int64_t of_bytes =
        rows->row_bytes == 0 ? CHUNK_ROWS_MAX : bytes / (int64_t)rows->row_bytes;
    int64_t n = least(rows->limit / CHUNK_SHARE, CHUNK_ROWS_MAX);
    if (n < CHUNK_ROWS_MIN)
        n = CHUNK_ROWS_MIN;
    n = least(n, of_bytes);
    n -= n % (n >= CHUNK_ROWS_MIN ? CHUNK_ROWS_MIN : CHUNK_ROWS_LEAST);
    rows->chunk_rows = (uint32_t)(n < CHUNK_ROWS_LEAST ? CHUNK_ROWS_LEAST : n);
    rows->chunk_texts = bytes;
}

static bool holds_array(const type *type)
{
    bool found = type->kind == TYPE_ARRAY;
    for (uint32_t i = 0; !found && type->kind == TYPE_STRUCT && i < type->n_fields; i++)
        found = holds_array(type->fields[i].type);
    return found;
}

freshet_code kept_rows_open(const schema *schema, int64_t limit, int64_t memory, kept_rows **out,
                            freshet_error *err)
{
    kept_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL)
        return error_memory(err, "opening the debug table");
    rows->schema = schema;
    rows->limit = limit;
    rows->memory = memory;
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        rows->row_bytes += type_cell_size(schema->fields[i].type);
        rows->has_arrays = rows->has_arrays || holds_array(schema->fields[i].type);
    }
    choose_sizes(rows);
    *out = rows;
    return FRESHET_OK;
}

void kept_rows_close(kept_rows *rows)
{
    if (rows == NULL)
        return;
    for (uint32_t i = 0; i < rows->n; i++)
        chunk_close(rows->chunks[i]);
    chunk_close(rows->spare);
    free(rows->chunks);
    free(rows);
}

int64_t kept_rows_count(const kept_rows *rows)
{
    return rows->kept;
}

int64_t kept_rows_trimmed(const kept_rows *rows)
{
    return rows->trimmed;
}

int64_t kept_rows_bytes(const kept_rows *rows)
{
    return rows->bytes;
}

bool kept_rows_piece(void *context, uint32_t which, sql_piece *out)
{
    const kept_rows *rows = context;
    if (which >= rows->n)
        return false;
    const chunk *chunk = rows->chunks[which];
    const uint32_t first = which == 0 ? rows->gone : 0;
    *out = (sql_piece){.rows = &chunk->rows,
                       .first = first,
                       .n = chunk->rows.n_rows - first,
                       .number = chunk->number + first};
    return true;
}
