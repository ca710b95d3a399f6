/* deduplicate.c - `deduplicate_rows` of a batch: a row whose features are those of its key's row
 * before it, by timestamp, is left out.
 *
 *   key a  time 1  x 5
 *   key a  time 2  x 5     left out
 *   key a  time 3  x 7
 *   key a  time 4  x 5     stays: the row before it is another
 *
 * As in Butterfree, null is equal to null, NaN to NaN and -0.0 to 0.0; of rows of one key with the
 * same time the one that came first is before the other. All rows of a key must be seen at once, so
 * they are kept until the end (features/batch_rows.h), when they come in sets of keys; those of a
 * set that stay come out in the order in which they came.
 *
 * Each row of a set gets the number of its key, by a keyed_table. Then the rows are put together
 * key by key (a counting sort, which keeps arrival), brought in the order of time where they are
 * not in it already, and each is compared with the one before.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "features/batch_rows.h"
#include "features/operator.h"
#include "keyed/keyed_table.h"

#define DEDUPLICATE_PIECE_ROWS 16384u
#define DOING "finding rows that repeat (deduplicate_rows)"

/* A row of a key, where they must be sorted. */
typedef struct timed_row {
    int64_t time_us;
    uint32_t row;
} timed_row;

typedef struct deduplicate {
    freshet_operator base;
    memory memory;
    batch_rows *rows;
    const row_store *set; /* of them; NULL before the first */
    uint32_t *key_of;     /* by row of the set: the number of its key */
    uint32_t rows_capacity;
    keyed_table keys; /* of a set; none is ever dropped: numbers have no gaps */
    keyed_chunk chunk;
    uint64_t *kept; /* a bit a row of the set */
    uint32_t next;
} deduplicate;

/* ---- cells ----------------------------------------------------------------------------------- */

static double floating(const column *column, uint64_t row)
{
    return column->type->kind == TYPE_FLOAT ? (double)((const float *)column->data)[row]
                                            : ((const double *)column->data)[row];
}

/* Recursion: at most TYPE_DEPTH_MAX deep. */
static bool is_equal(const column *a, uint64_t i, const column *b, uint64_t j)
{
    bool valid = column_is_valid(a, i);
    if (!valid || !column_is_valid(b, j))
        return valid == column_is_valid(b, j);
    switch (a->type->kind) {
    case TYPE_STRING:
    case TYPE_BINARY: {
        const cell_text *left = (const cell_text *)a->data + i;
        const cell_text *right = (const cell_text *)b->data + j;
        return left->length == right->length &&
               memcmp(text_bytes(left), text_bytes(right), left->length) == 0;
    }
    case TYPE_FLOAT:
    case TYPE_DOUBLE: {
        double left = floating(a, i), right = floating(b, j);
        return left == right || (isnan(left) && isnan(right));
    }
    case TYPE_ARRAY: {
        const cell_span *left = (const cell_span *)a->data + i;
        const cell_span *right = (const cell_span *)b->data + j;
        bool equal = left->length == right->length;
        for (uint64_t k = 0; equal && k < left->length; k++)
            equal = is_equal(&a->children[0], left->offset + k, &b->children[0], right->offset + k);
        return equal;
    }
    case TYPE_STRUCT: {
        bool equal = true;
        for (uint32_t k = 0; equal && k < a->type->n_fields; k++)
            equal = is_equal(&a->children[k], i, &b->children[k], j);
        return equal;
    }
    default: {
        size_t size = type_cell_size(a->type);
        return memcmp((const char *)a->data + i * size, (const char *)b->data + j * size, size) ==
               0;
    }
    }
}

/* Are the features of two rows equal? */
static bool are_equal(const deduplicate *deduplicate, uint32_t a, uint32_t b)
{
    const plan *plan = deduplicate->base.plan;
    uint32_t i, j;
    const batch *left = row_store_at(deduplicate->set, a, &i);
    const batch *right = row_store_at(deduplicate->set, b, &j);
    bool equal = true;
    for (uint32_t c = plan->n_keys + 1; equal && c < plan->output.n_fields; c++)
        equal = is_equal(&left->columns[c], i, &right->columns[c], j);
    return equal;
}

/* ---- adding ---------------------------------------------------------------------------------- */

/* The numbers of the keys of rows [from, from + n), new ones for the first of their kind. False
 * where memory is out. */
static bool number_keys(deduplicate *deduplicate, const batch *rows, uint32_t from, uint32_t n,
                        uint32_t *key_of)
{
    keyed_table *keys = &deduplicate->keys;
    keyed_chunk *chunk = &deduplicate->chunk;
    const void *entries[KEYED_CHUNK_ROWS];
    if (!keyed_chunk_fill(chunk, keys, rows->columns, deduplicate->base.plan->n_keys, from, n,
                          KEYED_KEY_BYTES_MAX))
        return false;
    keyed_chunk_prefetch(chunk, keys, n, entries);
    for (uint32_t i = 0; i < n; i++) {
        const char *key = keyed_chunk_key(chunk, i);
        const uint32_t tag = chunk->rows[i].tag, length = chunk->rows[i].length;
        if (length > KEYED_KEY_BYTES_MAX)
            return false;
        uint32_t number = keyed_find(keys, tag, key, length);
        if (number == KEY_NONE)
            number = keyed_add(keys, tag, key, length);
        if (number == KEY_NONE)
            return false;
        key_of[i] = number;
    }
    return true;
}

/* Takes copies of the rows. */
static freshet_code deduplicate_run(freshet_operator *self, run *run)
{
    const freshet_code code = batch_rows_add(((deduplicate *)self)->rows, &run->out, run->err);
    run->out.n_rows = 0;
    return code;
}

/* All rows of the set. */
static freshet_code number_set(deduplicate *deduplicate, freshet_error *err)
{
    const uint32_t n_all = row_store_rows(deduplicate->set);
    const keyed_options keys = {.memory = &deduplicate->memory, .entry_bytes = KEYED_ENTRY_BYTES};
    keyed_close(&deduplicate->keys);
    deduplicate->keys = (keyed_table){0};
    bool ok = keyed_open(&deduplicate->keys, &keys) &&
              memory_reserve(&deduplicate->memory, &deduplicate->key_of,
                             &deduplicate->rows_capacity, n_all, sizeof(uint32_t));
    for (uint32_t first = 0; ok && first < n_all;) {
        uint32_t index;
        const batch *rows = row_store_at(deduplicate->set, first, &index);
        for (uint32_t from = 0; ok && from < rows->n_rows; from += KEYED_CHUNK_ROWS) {
            const uint32_t rest = rows->n_rows - from;
            ok = number_keys(deduplicate, rows, from,
                             rest < KEYED_CHUNK_ROWS ? rest : KEYED_CHUNK_ROWS,
                             deduplicate->key_of + first + from);
        }
        first += rows->n_rows;
    }
    return ok ? FRESHET_OK : error_memory(err, DOING);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static int64_t time_of(const deduplicate *deduplicate, uint32_t row)
{
    uint32_t index;
    const batch *chunk = row_store_at(deduplicate->set, row, &index);
    return ((const int64_t *)chunk->columns[deduplicate->base.plan->n_keys].data)[index];
}

static int compare_rows(const void *a, const void *b)
{
    const timed_row *left = a, *right = b;
    if (left->time_us != right->time_us)
        return left->time_us < right->time_us ? -1 : 1;
    return left->row < right->row ? -1 : left->row > right->row;
}

/* Brings the rows of one key, which are in the order of arrival, in that of time. */
static freshet_code sort_rows(const deduplicate *deduplicate, uint32_t *rows, uint32_t n,
                              freshet_error *err)
{
    bool in_order = true;
    for (uint32_t i = 1; in_order && i < n; i++)
        in_order = time_of(deduplicate, rows[i - 1]) <= time_of(deduplicate, rows[i]);
    if (in_order)
        return FRESHET_OK;
    timed_row *timed = malloc(n * sizeof *timed);
    if (timed == NULL)
        return error_memory(err, DOING);
    for (uint32_t i = 0; i < n; i++)
        timed[i] = (timed_row){.time_us = time_of(deduplicate, rows[i]), .row = rows[i]};
    qsort(timed, n, sizeof *timed, compare_rows);
    for (uint32_t i = 0; i < n; i++)
        rows[i] = timed[i].row;
    free(timed);
    return FRESHET_OK;
}

static freshet_code mark_key(deduplicate *deduplicate, uint32_t *rows, uint32_t n,
                             freshet_error *err)
{
    freshet_code code = sort_rows(deduplicate, rows, n, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
        const bool repeats = i > 0 && are_equal(deduplicate, rows[i - 1], rows[i]);
        if (!repeats)
            deduplicate->kept[rows[i] >> 6] |= UINT64_C(1) << (rows[i] & 63);
        deduplicate->base.figures.repeated += repeats;
    }
    return code;
}

/* Puts the rows together key by key: those of key k are rows[ends[k - 1]] to rows[ends[k] - 1]. */
static void group_rows(const deduplicate *deduplicate, uint32_t n, uint32_t *ends, uint32_t *rows)
{
    const uint32_t n_distinct = (uint32_t)keyed_count(&deduplicate->keys);
    for (uint32_t i = 0; i < n; i++)
        ends[deduplicate->key_of[i]]++;
    for (uint32_t k = 0, begin = 0; k < n_distinct; k++) {
        uint32_t count = ends[k];
        ends[k] = begin;
        begin += count;
    }
    for (uint32_t i = 0; i < n; i++)
        rows[ends[deduplicate->key_of[i]]++] = i;
}

static freshet_code mark_rows(deduplicate *deduplicate, freshet_error *err)
{
    const uint32_t n = row_store_rows(deduplicate->set);
    const uint32_t n_distinct = (uint32_t)keyed_count(&deduplicate->keys);
    uint32_t *ends = calloc((size_t)n_distinct + 1, sizeof *ends);
    uint32_t *rows = malloc(((size_t)n + 1) * sizeof *rows);
    free(deduplicate->kept);
    deduplicate->kept = calloc((size_t)n / 64 + 1, sizeof *deduplicate->kept);
    freshet_code code = FRESHET_OK;
    if (ends == NULL || rows == NULL || deduplicate->kept == NULL) {
        code = error_memory(err, DOING);
    } else {
        group_rows(deduplicate, n, ends, rows);
        for (uint32_t k = 0, begin = 0; code == FRESHET_OK && k < n_distinct; k++) {
            code = mark_key(deduplicate, rows + begin, ends[k] - begin, err);
            begin = ends[k];
        }
    }
    free(ends);
    free(rows);
    return code;
}

/* The next set, where there is no row of the one before any more. */
static freshet_code next_set(deduplicate *deduplicate, freshet_error *err)
{
    deduplicate->next = 0;
    freshet_code code = batch_rows_next(deduplicate->rows, &deduplicate->set, err);
    if (code == FRESHET_OK)
        code = number_set(deduplicate, err);
    return code == FRESHET_OK ? mark_rows(deduplicate, err) : code;
}

/* The next rows that stay, at most DEDUPLICATE_PIECE_ROWS: some of each set do. Nothing can be
 * added any more. */
static freshet_code deduplicate_finish(freshet_operator *self, run *run)
{
    deduplicate *deduplicate = (struct deduplicate *)self;
    uint32_t *rows = arena_alloc(run->arena, DEDUPLICATE_PIECE_ROWS * sizeof *rows), n_rows = 0;
    freshet_code code = FRESHET_OK;
    if (rows == NULL)
        return error_memory(run->err, DOING);
    while (code == FRESHET_OK && n_rows == 0) {
        const uint32_t n = deduplicate->set == NULL ? 0 : row_store_rows(deduplicate->set);
        const uint32_t first = deduplicate->next;
        for (; deduplicate->next < n && n_rows < DEDUPLICATE_PIECE_ROWS; deduplicate->next++)
            if ((deduplicate->kept[deduplicate->next >> 6] >> (deduplicate->next & 63) & 1) != 0)
                rows[n_rows++] = deduplicate->next;
        self->figures.gathered = batch_rows_count(deduplicate->rows);
        self->figures.given += deduplicate->next - first;
        if (n_rows == 0)
            code = next_set(deduplicate, run->err);
    }
    return code == FRESHET_OK
               ? row_store_take(deduplicate->set, run->arena, rows, 0, n_rows, &run->out, run->err)
               : code;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Aggregated sets compare their rows as they come out: those of a key come together there. */
static bool deduplicate_wanted(const operator_options *options)
{
    const feature_set_block *block = &options->declaration->feature_set;
    return block->deduplicate_rows && !options->declaration->is_stream && !block->has_aggregated;
}

static freshet_code deduplicate_open(freshet_operator *self, const operator_options *options,
                                     freshet_error *err)
{
    deduplicate *deduplicate = (struct deduplicate *)self;
    uint32_t *keys = arena_alloc(self->arena, (self->plan->n_keys + (size_t)1) * sizeof *keys);
    const batch_rows_options kept = {
        .schema = &self->plan->output,
        .keys = keys,
        .n_keys = self->plan->n_keys,
        .memory = declaration_batch_memory(options->declaration) / BATCH_ROWS_SHARE,
        .folder = declaration_batch_path(options->declaration, self->arena),
        .pipeline = options->declaration->pipeline.value,
        .crew = options->set->crew};
    deduplicate->memory.fail_after = -1;
    text_init(&deduplicate->chunk.bytes, TEXT_LIMIT_DEFAULT);
    if (keys == NULL || kept.folder == NULL)
        return error_memory(err, DOING);
    for (uint32_t i = 0; i < kept.n_keys; i++)
        keys[i] = i;
    return batch_rows_open(&kept, &deduplicate->rows, err);
}

static void deduplicate_close(freshet_operator *self)
{
    deduplicate *deduplicate = (struct deduplicate *)self;
    batch_rows_close(deduplicate->rows);
    keyed_close(&deduplicate->keys);
    text_release(&deduplicate->chunk.bytes);
    memory_give(&deduplicate->memory, deduplicate->key_of,
                deduplicate->rows_capacity * sizeof(uint32_t));
    free(deduplicate->kept);
}

const operator_ops deduplicate_operator = {.name = "deduplicate rows",
                                           .size = sizeof(deduplicate),
                                           .wanted = deduplicate_wanted,
                                           .open = deduplicate_open,
                                           .run = deduplicate_run,
                                           .finish = deduplicate_finish,
                                           .close = deduplicate_close};
