/* cassandra_rows.h - the rows that the store does not have yet: waiting, or on their way.
 *
 * A row is its values as CQL has them, each with its length (cql_values.h), in the order of the
 * table's columns. Of one key at most one row waits: a newer one takes its place, since each write
 * carries all features of the key. Rows on their way are nobody's; when they fail they come back,
 * and are dropped if a newer one waits by then.
 *
 *        add ──► waiting (in order of arrival) ──► take ──► on their way ──► free
 *                                                   ▲              │
 *                  waiting until their time ────────┘ ◄── back ────┘
 *
 * Whether a row is newer is decided by its write timestamp, of equal ones by which came later.
 */
#ifndef FRESHET_WRITERS_CASSANDRA_CASSANDRA_ROWS_H
#define FRESHET_WRITERS_CASSANDRA_CASSANDRA_ROWS_H

#include <freshet/freshet.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keyed/due_heap.h"
#include "keyed/keyed_table.h"

typedef struct pending_row pending_row;
struct pending_row {
    pending_row *next; /* that came after it, while both are fresh */
    uint64_t partition_hash;
    int64_t write_us;
    int64_t event_us;
    unsigned char *bytes;
    uint32_t length;
    uint32_t key_length; /* the first bytes are the key */
    uint32_t partition_length;
    uint16_t failures;
    bool is_alone;    /* not in a batch: one with it was refused */
    bool is_again;    /* it had gone out before, with other values */
    uint32_t waiting; /* its number among the keys of waiting rows, or KEY_NONE */
    char *refusal;    /* it will not be sent, but go to the dead letters: why */
    char *raw;        /* of such a row, as JSON; NULL: what its bytes say */
};

typedef struct pending_rows {
    uint64_t n;                      /* all of them */
    size_t n_bytes;                  /* of them */
    int64_t n_replaced;              /* so many so far gave way to a newer one of their key */
    pending_row *fresh, *last_fresh; /* in order of arrival */
    uint64_t n_fresh;
    due_heap later;      /* pending_row *, by due_us */
    keyed_table waiting; /* rows by their key, whose bytes are the row's */
    memory memory;       /* of heap and table */
} pending_rows;

/* False where memory is out. */
bool pending_rows_open(pending_rows *rows);
/* All zero is fine. */
void pending_rows_release(pending_rows *rows);

/* Room for `more` rows, so that adding so many cannot fail. */
bool pending_rows_reserve(pending_rows *rows, uint64_t more);

/* A new row with a copy of the bytes, of nobody yet; NULL where memory is out. */
pending_row *pending_row_make(const unsigned char *bytes, uint32_t length, uint32_t key_length,
                              uint32_t partition_length);
void pending_row_free(pending_row *row);

/* The row waits, unless one of its key waits that is newer; takes it over in any case. After
 * reserve. */
void pending_rows_add(pending_rows *rows, pending_row *row);

/* The next row that may be sent at that time; NULL: none. only_late: of those that came back. */
pending_row *pending_rows_take(pending_rows *rows, int64_t now_us, bool only_later);

/* When a row that came back may be sent: INT64_MAX where there is none. */
int64_t pending_rows_due_us(const pending_rows *rows);

/* A row on its way has failed: it waits until due_us, unless a newer one of its key does. */
void pending_rows_back(pending_rows *rows, pending_row *row, int64_t due_us);

/* A row on its way is done with. */
void pending_rows_done(pending_rows *rows, pending_row *row);

#endif
