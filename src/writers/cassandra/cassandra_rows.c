/* cassandra_rows.c - see cassandra_rows.h. Rows on their way still count in `n`, and have their room in the ring
 * and the heap, so that coming back cannot fail.
 */
#include "writers/cassandra/cassandra_rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RING_FIRST 256u
/* of two pieces by malloc, and the places in ring, heap and table */
#define ROW_BYTES (sizeof(pending_row) + 32u + 32u)

typedef struct waiting_entry {
    keyed_entry head;
    pending_row *row;
} waiting_entry;

static size_t bytes_of(const pending_row *row)
{
    return ROW_BYTES + row->length;
}

/* ---- the table of waiting rows by key -------------------------------------------------------- */

static uint32_t tag_of(const pending_row *row)
{
    return (uint32_t)keyed_hash(row->bytes, row->key_length);
}

/* The row of the same key that waits, or NULL. */
static pending_row *find_waiting(const pending_rows *rows, const pending_row *like)
{
    const uint32_t index = keyed_find(&rows->waiting, tag_of(like), like->bytes, like->key_length);
    return index == KEY_NONE ? NULL : ((waiting_entry *)keyed_at(&rows->waiting, index))->row;
}

static void remove_key(pending_rows *rows, pending_row *row)
{
    if (row->waiting != KEY_NONE)
        keyed_drop(&rows->waiting, row->waiting);
    row->waiting = KEY_NONE;
}

/* There is room. */
static void add_key(pending_rows *rows, pending_row *row)
{
    row->waiting = keyed_add(&rows->waiting, tag_of(row), row->bytes, row->key_length);
    assert(row->waiting != KEY_NONE);
    ((waiting_entry *)keyed_at(&rows->waiting, row->waiting))->row = row;
}

/* ---- room ------------------------------------------------------------------------------------ */

static bool reserve_ring(pending_rows *rows, uint64_t n)
{
    if (n <= rows->fresh_capacity)
        return true;
    uint64_t capacity = rows->fresh_capacity == 0 ? RING_FIRST : rows->fresh_capacity;
    while (capacity < n)
        capacity *= 2;
    pending_row **fresh = malloc(capacity * sizeof(pending_row *));
    if (fresh == NULL)
        return false;
    for (uint64_t i = 0; i < rows->n_fresh; i++)
        fresh[i] = rows->fresh[(rows->fresh_first + i) & (rows->fresh_capacity - 1)];
    free(rows->fresh);
    rows->fresh = fresh;
    rows->fresh_first = 0;
    rows->fresh_capacity = capacity;
    return true;
}

bool pending_rows_open(pending_rows *rows)
{
    const keyed_options options = {
        .memory = &rows->memory, .entry_bytes = sizeof(waiting_entry), .borrows = true};
    *rows = (pending_rows){.memory.fail_after = -1};
    return keyed_open(&rows->waiting, &options);
}

bool pending_rows_reserve(pending_rows *rows, uint64_t more)
{
    const uint64_t n = rows->n + more;
    return reserve_ring(rows, n) &&
           due_heap_reserve(&rows->later, &rows->memory, n - rows->later.n) &&
           keyed_reserve(&rows->waiting, n - keyed_count(&rows->waiting));
}

/* ---- rows ------------------------------------------------------------------------------------ */

pending_row *pending_row_make(const unsigned char *bytes, uint32_t length, uint32_t key_length,
                              uint32_t partition_length)
{
    pending_row *row = calloc(1, sizeof *row);
    unsigned char *copy = malloc(length + (size_t)1);
    if (row == NULL || copy == NULL) {
        free(row);
        free(copy);
        return NULL;
    }
    memcpy(copy, bytes, length);
    row->bytes = copy;
    row->length = length;
    row->key_length = key_length;
    row->partition_length = partition_length;
    row->partition_hash = hash_bytes(bytes, partition_length, 0);
    row->waiting = KEY_NONE;
    return row;
}

void pending_row_free(pending_row *row)
{
    if (row == NULL)
        return;
    free(row->refusal);
    free(row->raw);
    free(row->bytes);
    free(row);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Puts what is newer into the row that waits in its place in the order. */
static void take_place(pending_rows *rows, pending_row *waiting, pending_row *newer)
{
    rows->n_bytes -= bytes_of(waiting);
    rows->n_bytes += bytes_of(newer);
    unsigned char *bytes = waiting->bytes;
    waiting->bytes = newer->bytes;
    waiting->length = newer->length;
    waiting->write_us = newer->write_us;
    waiting->event_us = newer->event_us;
    waiting->is_alone = newer->is_alone;
    newer->bytes = bytes;
    keyed_move_key(&rows->waiting, waiting->waiting, waiting->bytes);
    pending_row_free(newer);
}

void pending_rows_add(pending_rows *rows, pending_row *row)
{
    if (row->refusal == NULL) {
        pending_row *waiting = find_waiting(rows, row);
        if (waiting != NULL && row->write_us >= waiting->write_us) {
            take_place(rows, waiting, row);
            return;
        }
        if (waiting != NULL) {
            pending_row_free(row);
            return;
        }
        add_key(rows, row);
    }
    rows->fresh[(rows->fresh_first + rows->n_fresh++) & (rows->fresh_capacity - 1)] = row;
    rows->n++;
    rows->n_waiting++;
    rows->n_bytes += bytes_of(row);
}

static pending_row *row_of(const due *due)
{
    pending_row *row;
    memcpy(&row, &due->item, sizeof due->item);
    return row;
}

pending_row *pending_rows_take(pending_rows *rows, int64_t now_us, bool only_later)
{
    pending_row *row = NULL;
    if (due_heap_first(&rows->later, now_us) != NULL) {
        const due first = due_heap_pop(&rows->later);
        row = row_of(&first);
    } else if (rows->n_fresh > 0 && !only_later) {
        row = rows->fresh[rows->fresh_first];
        rows->fresh_first = (rows->fresh_first + 1) & (rows->fresh_capacity - 1);
        rows->n_fresh--;
    }
    if (row == NULL)
        return NULL;
    rows->n_waiting--;
    remove_key(rows, row);
    return row;
}

int64_t pending_rows_due_us(const pending_rows *rows)
{
    return rows->later.n == 0 ? INT64_MAX : rows->later.items[0].at;
}

void pending_rows_back(pending_rows *rows, pending_row *row, int64_t due_us)
{
    if (row->refusal == NULL) {
        pending_row *waiting = find_waiting(rows, row);
        if (waiting != NULL) {
            if (waiting->write_us < row->write_us) {
                rows->n--;
                rows->n_bytes -= bytes_of(row);
                take_place(rows, waiting, row);
            } else {
                pending_rows_done(rows, row);
            }
            return;
        }
        add_key(rows, row);
    }
    row->due_us = due_us;
    const bool pushed = due_heap_push(&rows->later, &rows->memory, due_us, (uintptr_t)row);
    assert(pushed); /* there is room */
    (void)pushed;
    rows->n_waiting++;
}

void pending_rows_done(pending_rows *rows, pending_row *row)
{
    rows->n--;
    rows->n_bytes -= bytes_of(row);
    pending_row_free(row);
}

void pending_rows_release(pending_rows *rows)
{
    for (uint64_t i = 0; i < rows->n_fresh; i++)
        pending_row_free(rows->fresh[(rows->fresh_first + i) & (rows->fresh_capacity - 1)]);
    for (uint32_t i = 0; i < rows->later.n; i++)
        pending_row_free(row_of(&rows->later.items[i]));
    free(rows->fresh);
    due_heap_release(&rows->later, &rows->memory);
    keyed_close(&rows->waiting);
    *rows = (pending_rows){0};
}
