/* cassandra_rows.c - see cassandra_rows.h. Rows on their way still count in `n`, and have their room in the ring
 * and the heap, so that coming back cannot fail.
 */
#include "writers/cassandra/cassandra_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define PLACES_FIRST 256u
/* of two pieces by malloc, and the places in ring, heap and table */
#define ROW_BYTES (sizeof(pending_row) + 32u + 32u)

static size_t bytes_of(const pending_row *row)
{
    return ROW_BYTES + row->length;
}

/* ---- the table of waiting rows by key -------------------------------------------------------- */

static bool is_same_key(const pending_row *a, const pending_row *b)
{
    return a->key_hash == b->key_hash && a->key_length == b->key_length &&
           memcmp(a->bytes, b->bytes, a->key_length) == 0;
}

static pending_row *find_key(const pending_rows *rows, const pending_row *like)
{
    const uint64_t mask = rows->n_places - 1;
    for (uint64_t at = like->key_hash & mask; rows->places[at] != NULL; at = (at + 1) & mask)
        if (is_same_key(rows->places[at], like))
            return rows->places[at];
    return NULL;
}

static void rows_put_key(pending_row **places, uint64_t n_places, pending_row *row)
{
    uint64_t at = row->key_hash & (n_places - 1);
    while (places[at] != NULL)
        at = (at + 1) & (n_places - 1);
    places[at] = row;
}

/* What stands behind its place and could stand there moves up. */
static void remove_key(pending_rows *rows, pending_row *row)
{
    const uint64_t mask = rows->n_places - 1;
    if (!row->is_waiting)
        return;
    uint64_t hole = row->key_hash & mask;
    while (rows->places[hole] != row)
        hole = (hole + 1) & mask;
    for (uint64_t at = (hole + 1) & mask; rows->places[at] != NULL; at = (at + 1) & mask) {
        const uint64_t home = rows->places[at]->key_hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            rows->places[hole] = rows->places[at];
            hole = at;
        }
    }
    rows->places[hole] = NULL;
    rows->n_keyed--;
    row->is_waiting = false;
}

static void add_key(pending_rows *rows, pending_row *row)
{
    rows_put_key(rows->places, rows->n_places, row);
    rows->n_keyed++;
    row->is_waiting = true;
}

/* ---- room ------------------------------------------------------------------------------------ */

static bool reserve_ring(pending_rows *rows, uint64_t n)
{
    if (n <= rows->fresh_capacity)
        return true;
    uint64_t capacity = rows->fresh_capacity == 0 ? PLACES_FIRST : rows->fresh_capacity;
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

static bool reserve_heap(pending_rows *rows, uint64_t n)
{
    if (n <= rows->later_capacity)
        return true;
    uint64_t capacity = rows->later_capacity == 0 ? PLACES_FIRST : rows->later_capacity;
    while (capacity < n)
        capacity *= 2;
    pending_row **later = realloc(rows->later, capacity * sizeof(pending_row *));
    if (later == NULL)
        return false;
    rows->later = later;
    rows->later_capacity = capacity;
    return true;
}

static bool reserve_places(pending_rows *rows, uint64_t n)
{
    uint64_t n_places = rows->n_places == 0 ? PLACES_FIRST : rows->n_places;
    while (n_places / 2 < n)
        n_places *= 2;
    if (n_places == rows->n_places)
        return true;
    pending_row **places = calloc(n_places, sizeof(pending_row *));
    if (places == NULL)
        return false;
    for (uint64_t i = 0; i < rows->n_places; i++)
        if (rows->places[i] != NULL)
            rows_put_key(places, n_places, rows->places[i]);
    free(rows->places);
    rows->places = places;
    rows->n_places = n_places;
    return true;
}

bool pending_rows_reserve(pending_rows *rows, uint64_t more)
{
    const uint64_t n = rows->n + more;
    return reserve_ring(rows, n) && reserve_heap(rows, n) && reserve_places(rows, n);
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
    row->key_hash = hash_bytes(bytes, key_length, 0);
    row->partition_hash =
        partition_length == key_length ? row->key_hash : hash_bytes(bytes, partition_length, 0);
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
    pending_row_free(newer);
}

void pending_rows_add(pending_rows *rows, pending_row *row)
{
    if (row->refusal == NULL) {
        pending_row *waiting = find_key(rows, row);
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

static void sift_down(pending_rows *rows)
{
    uint64_t at = 0;
    pending_row *row = rows->later[0];
    for (;;) {
        uint64_t child = 2 * at + 1;
        if (child >= rows->n_later)
            break;
        if (child + 1 < rows->n_later &&
            rows->later[child + 1]->due_us < rows->later[child]->due_us)
            child++;
        if (rows->later[child]->due_us >= row->due_us)
            break;
        rows->later[at] = rows->later[child];
        at = child;
    }
    rows->later[at] = row;
}

static pending_row *take_later(pending_rows *rows)
{
    pending_row *row = rows->later[0];
    rows->later[0] = rows->later[--rows->n_later];
    if (rows->n_later > 0)
        sift_down(rows);
    return row;
}

pending_row *pending_rows_take(pending_rows *rows, int64_t now_us, bool only_later)
{
    pending_row *row = NULL;
    if (rows->n_later > 0 && rows->later[0]->due_us <= now_us) {
        row = take_later(rows);
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
    return rows->n_later == 0 ? INT64_MAX : rows->later[0]->due_us;
}

void pending_rows_back(pending_rows *rows, pending_row *row, int64_t due_us)
{
    if (row->refusal == NULL) {
        pending_row *waiting = find_key(rows, row);
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
    uint64_t at = rows->n_later++;
    for (; at > 0 && rows->later[(at - 1) / 2]->due_us > due_us; at = (at - 1) / 2)
        rows->later[at] = rows->later[(at - 1) / 2];
    rows->later[at] = row;
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
    for (uint64_t i = 0; i < rows->n_later; i++)
        pending_row_free(rows->later[i]);
    free(rows->fresh);
    free(rows->later);
    free(rows->places);
    *rows = (pending_rows){0};
}
