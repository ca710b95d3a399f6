/* cassandra_rows.c - see cassandra_rows.h. Rows on their way still count in `n`, and have their
 * room in the heap and the table, so that coming back cannot fail.
 */
#include "writers/cassandra/cassandra_rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* of two pieces by malloc, and the places in heap and table */
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
    return due_heap_reserve(&rows->later, &rows->memory, n - rows->later.n) &&
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

/* Puts what is newer into the row that waits, in its place in the order; what is older into the
 * other one. */
static void swap_contents(pending_row *waiting, pending_row *newer)
{
    const pending_row older = *waiting;
    *waiting = *newer;
    waiting->next = older.next;
    waiting->waiting = older.waiting;
    waiting->failures = older.failures;
    *newer = older;
}

/* True where a row of its key waits: the newer of the two goes on waiting, the other one is done
 * with. Else the key waits from now on. comes_last: it is also newer than one of the same write
 * timestamp. */
static bool joins_waiting(pending_rows *rows, pending_row *row, bool comes_last)
{
    if (row->refusal != NULL)
        return false;
    pending_row *waiting = find_waiting(rows, row);
    if (waiting == NULL) {
        add_key(rows, row);
        return false;
    }
    if (row->write_us > waiting->write_us || (comes_last && row->write_us == waiting->write_us)) {
        swap_contents(waiting, row);
        keyed_move_key(&rows->waiting, waiting->waiting, waiting->bytes);
    }
    rows->n_replaced++;
    pending_rows_done(rows, row);
    return true;
}

void pending_rows_add(pending_rows *rows, pending_row *row)
{
    rows->n++;
    rows->n_bytes += bytes_of(row);
    if (joins_waiting(rows, row, true))
        return;
    *(rows->n_fresh++ == 0 ? &rows->fresh : &rows->last_fresh->next) = row;
    rows->last_fresh = row;
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
        row = rows->fresh;
        rows->fresh = row->next;
        rows->n_fresh--;
    }
    if (row != NULL)
        remove_key(rows, row);
    return row;
}

int64_t pending_rows_due_us(const pending_rows *rows)
{
    return rows->later.n == 0 ? INT64_MAX : rows->later.items[0].at;
}

void pending_rows_back(pending_rows *rows, pending_row *row, int64_t due_us)
{
    if (joins_waiting(rows, row, false))
        return;
    const bool pushed = due_heap_push(&rows->later, &rows->memory, due_us, (uintptr_t)row);
    assert(pushed); /* there is room */
    (void)pushed;
}

void pending_rows_done(pending_rows *rows, pending_row *row)
{
    rows->n--;
    rows->n_bytes -= bytes_of(row);
    pending_row_free(row);
}

void pending_rows_release(pending_rows *rows)
{
    for (; rows->n_fresh > 0; rows->n_fresh--) {
        pending_row *row = rows->fresh;
        rows->fresh = row->next;
        pending_row_free(row);
    }
    for (uint32_t i = 0; i < rows->later.n; i++)
        pending_row_free(row_of(&rows->later.items[i]));
    due_heap_release(&rows->later, &rows->memory);
    keyed_close(&rows->waiting);
    *rows = (pending_rows){0};
}
