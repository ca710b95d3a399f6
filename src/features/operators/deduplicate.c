/* deduplicate.c - see deduplicate.h.
 *
 * Each row gets the number of its key when it is added, by the slots of the keys' first rows. At the
 * end the rows are put together key by key (a counting sort, which keeps arrival), brought in the
 * order of time where they are not in it already, and each is compared with the one before.
 */
#include "features/operators/deduplicate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/row_store.h"
#include "features/operator.h"
#include "keyed/key_slots.h"

#define DOING "finding rows that repeat (deduplicate_rows)"

/* A row of a key, where they must be sorted. */
typedef struct timed_row {
    int64_t time_us;
    uint32_t row;
} timed_row;

struct deduplicate {
    uint32_t n_keys, n_fields;
    size_t limit;
    memory memory;
    row_store *rows;
    uint32_t *key_of; /* by row: the number of its key */
    uint32_t rows_capacity;
    uint32_t *first_of; /* by key: its first row */
    uint32_t keys_capacity, n_distinct;
    key_slots slots; /* of keys */
    bool is_finished;
    uint64_t *kept; /* a bit a row */
    uint32_t next;
    uint64_t n_dropped;
};

freshet_code deduplicate_open(const schema *schema, uint32_t n_keys, size_t memory,
                              deduplicate **out, freshet_error *err)
{
    deduplicate *made = calloc(1, sizeof *made);
    if (made == NULL)
        return error_memory(err, DOING);
    made->n_keys = n_keys;
    made->n_fields = schema->n_fields;
    made->limit = memory;
    made->memory.fail_after = -1;
    freshet_code code = row_store_open(schema, &made->rows, err);
    if (code == FRESHET_OK)
        *out = made;
    else
        deduplicate_close(made);
    return code;
}

void deduplicate_close(deduplicate *deduplicate)
{
    if (deduplicate == NULL)
        return;
    row_store_close(deduplicate->rows);
    memory *memory = &deduplicate->memory;
    memory_give(memory, deduplicate->key_of, deduplicate->rows_capacity * sizeof(uint32_t));
    memory_give(memory, deduplicate->first_of, deduplicate->keys_capacity * sizeof(uint32_t));
    key_slots_release(&deduplicate->slots, memory);
    free(deduplicate->kept);
    free(deduplicate);
}

uint64_t deduplicate_dropped(const deduplicate *deduplicate)
{
    return deduplicate->n_dropped;
}

/* ---- cells ----------------------------------------------------------------------------------- */

static double floating(const column *column, uint64_t row)
{
    return column->type->kind == TYPE_FLOAT ? (double)((const float *)column->data)[row]
                                            : ((const double *)column->data)[row];
}

/* Recursion in both: at most TYPE_DEPTH_MAX deep. */
static uint64_t hash_cell(const column *column, uint64_t row, uint64_t seed)
{
    if (!column_is_valid(column, row))
        return hash_fold(seed ^ HASH_A, HASH_B);
    switch (column->type->kind) {
    case TYPE_STRING:
    case TYPE_BINARY: {
        const cell_text *cell = (const cell_text *)column->data + row;
        return hash_bytes(text_bytes(cell), cell->length, seed);
    }
    case TYPE_FLOAT:
    case TYPE_DOUBLE: {
        double value = real_canonical(floating(column, row));
        return hash_bytes(&value, sizeof value, seed);
    }
    case TYPE_ARRAY: {
        const cell_span *span = (const cell_span *)column->data + row;
        for (uint64_t i = 0; i < span->length; i++)
            seed = hash_cell(&column->children[0], span->offset + i, seed);
        return hash_bytes(&span->length, sizeof span->length, seed);
    }
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < column->type->n_fields; i++)
            seed = hash_cell(&column->children[i], row, seed);
        return seed;
    default: {
        size_t size = type_cell_size(column->type);
        return hash_bytes((const char *)column->data + row * size, size, seed);
    }
    }
}

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

static bool are_equal(const deduplicate *deduplicate, uint32_t a, uint32_t b, uint32_t first,
                      uint32_t end)
{
    uint32_t i, j;
    const batch *left = row_store_at(deduplicate->rows, a, &i);
    const batch *right = row_store_at(deduplicate->rows, b, &j);
    bool equal = true;
    for (uint32_t c = first; equal && c < end; c++)
        equal = is_equal(&left->columns[c], i, &right->columns[c], j);
    return equal;
}

/* ---- adding ---------------------------------------------------------------------------------- */

/* The number of a row's key, a new one for the first of its kind. There is room. */
static uint32_t key_number(deduplicate *deduplicate, uint32_t row)
{
    uint32_t index, key;
    const batch *chunk = row_store_at(deduplicate->rows, row, &index);
    uint64_t hash = HASH_A;
    for (uint32_t i = 0; i < deduplicate->n_keys; i++)
        hash = hash_cell(&chunk->columns[i], index, hash);
    const uint32_t tag = (uint32_t)hash;
    uint64_t at = tag;
    while ((key = key_slots_match(&deduplicate->slots, tag, &at)) != KEY_NONE &&
           !are_equal(deduplicate, deduplicate->first_of[key], row, 0, deduplicate->n_keys))
        at++;
    if (key != KEY_NONE)
        return key;
    key_slots_put(&deduplicate->slots, at, tag, deduplicate->n_distinct);
    deduplicate->first_of[deduplicate->n_distinct] = row;
    return deduplicate->n_distinct++;
}

static bool deduplicate_make_room(deduplicate *deduplicate, uint32_t n_more)
{
    memory *memory = &deduplicate->memory;
    const uint64_t n_rows = (uint64_t)row_store_rows(deduplicate->rows) + n_more;
    const uint64_t n_keys = (uint64_t)deduplicate->n_distinct + n_more;
    return memory_reserve(memory, &deduplicate->key_of, &deduplicate->rows_capacity, n_rows,
                          sizeof(uint32_t)) &&
           memory_reserve(memory, &deduplicate->first_of, &deduplicate->keys_capacity, n_keys,
                          sizeof(uint32_t)) &&
           key_slots_reserve(&deduplicate->slots, memory, n_keys);
}

freshet_code deduplicate_add(deduplicate *deduplicate, const batch *rows, freshet_error *err)
{
    uint32_t first = row_store_rows(deduplicate->rows);
    if (row_store_bytes(deduplicate->rows) > deduplicate->limit)
        return error_set(
            err, FRESHET_LIMIT, FRESHET_STOP, NULL,
            "deduplicate_rows must see all rows of the batch at once, and %u of them need more "
            "than "
            "the %zu MiB of state.memory: allow more there, or set deduplicate_rows: false",
            first, deduplicate->limit >> 20);
    if (!deduplicate_make_room(deduplicate, rows->n_rows))
        return error_memory(err, DOING);
    freshet_code code = row_store_add(deduplicate->rows, rows, NULL, rows->n_rows, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < rows->n_rows; i++)
        deduplicate->key_of[first + i] = key_number(deduplicate, first + i);
    return code;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static int64_t time_of(const deduplicate *deduplicate, uint32_t row)
{
    uint32_t index;
    const batch *chunk = row_store_at(deduplicate->rows, row, &index);
    return ((const int64_t *)chunk->columns[deduplicate->n_keys].data)[index];
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
        bool repeats = i > 0 && are_equal(deduplicate, rows[i - 1], rows[i],
                                          deduplicate->n_keys + 1, deduplicate->n_fields);
        if (!repeats)
            deduplicate->kept[rows[i] >> 6] |= UINT64_C(1) << (rows[i] & 63);
        deduplicate->n_dropped += repeats;
    }
    return code;
}

/* Puts the rows together key by key: those of key k are rows[ends[k - 1]] to rows[ends[k] - 1]. */
static void group_rows(const deduplicate *deduplicate, uint32_t n, uint32_t *ends, uint32_t *rows)
{
    const uint32_t n_distinct = deduplicate->n_distinct;
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
    const uint32_t n = row_store_rows(deduplicate->rows), n_distinct = deduplicate->n_distinct;
    uint32_t *ends = calloc((size_t)n_distinct + 1, sizeof *ends);
    uint32_t *rows = malloc(((size_t)n + 1) * sizeof *rows);
    free(deduplicate->kept); /* a first try has failed */
    deduplicate->kept = calloc((size_t)n / 64 + 1, sizeof *deduplicate->kept);
    deduplicate->n_dropped = 0;
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

freshet_code deduplicate_next(deduplicate *deduplicate, arena *arena, batch *out,
                              freshet_error *err)
{
    const uint32_t n = row_store_rows(deduplicate->rows);
    if (!deduplicate->is_finished) {
        freshet_code code = mark_rows(deduplicate, err);
        if (code != FRESHET_OK)
            return code;
        deduplicate->is_finished = true;
    }
    uint32_t *rows = arena_alloc(arena, DEDUPLICATE_PIECE_ROWS * sizeof *rows), n_rows = 0;
    uint32_t next = deduplicate->next;
    if (rows == NULL)
        return error_memory(err, DOING);
    for (; next < n && n_rows < DEDUPLICATE_PIECE_ROWS; next++)
        if ((deduplicate->kept[next >> 6] >> (next & 63) & 1) != 0)
            rows[n_rows++] = next;
    if (n_rows == 0)
        return FRESHET_END;
    freshet_code code = row_store_take(deduplicate->rows, arena, rows, 0, n_rows, out, err);
    if (code == FRESHET_OK)
        deduplicate->next = next;
    return code;
}

/* ---- as an operator --------------------------------------------------------------------------- */

typedef struct deduplicate_step {
    freshet_operator base;
    deduplicate *rows;
} deduplicate_step;

/* Aggregated sets compare their rows as they come out: those of a key come together there. */
static bool deduplicate_wanted(const operator_options *options)
{
    const feature_set_block *block = &options->declaration->feature_set;
    return block->deduplicate_rows && !options->declaration->is_stream && !block->has_aggregated;
}

static freshet_code deduplicate_step_open(freshet_operator *self, const operator_options *options,
                                          freshet_error *err)
{
    return deduplicate_open(&self->plan->output, self->plan->n_keys, options->memory,
                            &((deduplicate_step *)self)->rows, err);
}

static freshet_code deduplicate_step_run(freshet_operator *self, run *run)
{
    freshet_code code = deduplicate_add(((deduplicate_step *)self)->rows, &run->out, run->err);
    run->out.n_rows = 0;
    return code;
}

static freshet_code deduplicate_step_finish(freshet_operator *self, run *run)
{
    deduplicate *rows = ((deduplicate_step *)self)->rows;
    freshet_code code = deduplicate_next(rows, run->arena, &run->out, run->err);
    self->figures.repeated = deduplicate_dropped(rows);
    return code;
}

static void deduplicate_step_close(freshet_operator *self)
{
    deduplicate_close(((deduplicate_step *)self)->rows);
}

const operator_ops deduplicate_operator = {.name = "deduplicate rows",
                                           .size = sizeof(deduplicate_step),
                                           .wanted = deduplicate_wanted,
                                           .open = deduplicate_step_open,
                                           .run = deduplicate_step_run,
                                           .finish = deduplicate_step_finish,
                                           .close = deduplicate_step_close};
