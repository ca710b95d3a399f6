/* serving_store.h - rows that are not in memory, read from Cassandra: behind a stream, whose memory
 * does not hold all keys, or for `freshet serve`, which has none.
 *
 * A thread of its own connects, and tries again until it could; who asks before gets an error at
 * once. So a store that is down holds up nobody who asks for what is in memory.
 *
 * Order of calls: open, ask*, close. One thread at a time.
 */
#ifndef FRESHET_SERVING_SERVING_STORE_H
#define FRESHET_SERVING_SERVING_STORE_H

#include "serving/serving_answer.h"
#include "writers/cassandra/cassandra_table.h"

/* However long the writer may wait: whoever asks does not. */
#define SERVING_CONNECT_TIMEOUT_MS 2000
#define SERVING_REQUEST_TIMEOUT_MS 1000

typedef struct serving_store serving_store;

typedef struct serving_store_options {
    const cql_api *api; /* all of these outlive the store */
    const cassandra_place *place;
    const cassandra_table *table;
    const schema *stored; /* what the fields of the table are of */
    const schema *served; /* keys, timestamp, features: all of them are stored */
} serving_store_options;

freshet_code serving_store_open(const serving_store_options *options, arena *arena,
                                serving_store **out, freshet_error *err);
/* NULL is fine. */
void serving_store_close(serving_store *store);

/* Is it connected? Any thread. */
bool serving_store_is_ready(serving_store *store, freshet_error *why);

/* FRESHET_TRY_AGAIN where the store does not answer now. */
freshet_code serving_store_ask(serving_store *store, const serving_asking *asking,
                               freshet_error *err);

#endif
