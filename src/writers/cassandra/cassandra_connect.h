/* cassandra_connect.h - the way to the store: connected, the table there compared with the
 * declaration's, writing to it prepared.
 *
 * cassandra_connect() does it now, once. What fails and may pass (nobody answers, the connection is
 * cut while the store's schema is read, time-outs) is FRESHET_RETRY, and is tried again:
 *
 *   cassandra_patiently   by who has nothing else to do: a batch, `freshet plan`, `apply`, `get`
 *   an attempt            by a stream, in a thread of its own, so that nothing else waits:
 *
 *       attempt_start ──► attempt_fd becomes readable ──► attempt_end: what came of it
 *             └────────────────────────────────────────► attempt_abandon: nobody wants it any more
 *
 * An attempt has copies of all that it needs, and outlives the pipeline where it must: a client
 * that is resolving a name cannot be stopped.
 */
#ifndef FRESHET_WRITERS_CASSANDRA_CASSANDRA_CONNECT_H
#define FRESHET_WRITERS_CASSANDRA_CASSANDRA_CONNECT_H

#include "writers/cassandra/cassandra_table.h"

/* Pauses between attempts, doubling. */
#define CONNECT_PAUSE_FIRST_US INT64_C(100000)
#define CONNECT_PAUSE_MAX_US INT64_C(5000000)

/* What is to be reached. */
typedef struct connect_goal {
    const cql_api *api;
    const cassandra_place *place;
    const cassandra_table *table;
    const char *file; /* of the declaration, for messages */
    bool with_ttl;
} connect_goal;

typedef struct connection {
    cql_session *session;
    cql_statement *insert;
} connection;

/* `arena`: of what is read on the way, and of no use afterwards. `out` is empty after an error. */
freshet_code cassandra_connect(const connect_goal *goal, arena *arena, connection *out,
                               freshet_error *err);
void connection_close(const cql_api *api, connection *connection);

/* Again and again until it works, fails for good, or `patience_us` has passed. Says when it begins
 * to wait, and when that is over. */
typedef freshet_code connect_try_fn(void *context, freshet_error *err);
freshet_code cassandra_patiently(connect_try_fn *attempt, void *context, int64_t patience_us,
                                 freshet_error *err);

/* ---- in a thread of its own ---- */

typedef struct attempt attempt;

freshet_code attempt_start(const connect_goal *goal, attempt **out, freshet_error *err);
/* Readable when it has come to its end. */
int attempt_fd(const attempt *attempt);
bool attempt_is_over(const attempt *attempt);
/* After its end: the connection, or why there is none. Frees it. */
freshet_code attempt_end(attempt *attempt, connection *out, freshet_error *err);
/* At any time; waits a moment at most. NULL is fine. */
void attempt_abandon(attempt *attempt);

#endif
