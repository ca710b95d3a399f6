/* cassandra_validate.h - does the store have what a batch has written? (`validate: true`)
 *
 * Of each key that was confirmed it is noted how many rows were, and the time of the newest. At the
 * end each is read: its rows are there where the store has that row or a newer one, which another
 * run may have written. So the memory and the time that it takes go by the keys.
 *
 * Order of calls: open, note as often as rows are confirmed, count, release. One thread at a time.
 */
#ifndef FRESHET_WRITERS_CASSANDRA_CASSANDRA_VALIDATE_H
#define FRESHET_WRITERS_CASSANDRA_CASSANDRA_VALIDATE_H

#include "keyed/keyed_table.h"
#include "writers/cassandra/cassandra_rows.h"
#include "writers/cassandra/cassandra_table.h"

typedef struct written_keys {
    keyed_table table;
    memory memory;
    bool is_open;
    bool no_memory; /* some could not be noted */
} written_keys;

bool written_keys_open(written_keys *keys);
/* All zero is fine. */
void written_keys_release(written_keys *keys);

/* Nothing where it is not open. */
void written_keys_note(written_keys *keys, const pending_row *row);

/* Reads the keys of the table, with the place's read consistency. ttl_us: rows that are older than
 * that are gone rightly; 0: they stay. */
typedef struct written_place {
    const cql_api *api;
    cql_session *session;
    const cassandra_place *place;
    const cassandra_table *table;
    int64_t ttl_us;
} written_place;

freshet_code written_keys_count(const written_keys *keys, const written_place *where,
                                int64_t *there, freshet_error *err);

#endif
