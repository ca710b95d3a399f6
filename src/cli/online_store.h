/* online_store.h - the online store of a declaration, for the verbs that look at it: plan, apply,
 * get, compare.
 *
 * Order of calls: online_stores_open; online_store_use and online_store_close for one at a time;
 * online_stores_close.
 */
#ifndef FRESHET_CLI_ONLINE_STORE_H
#define FRESHET_CLI_ONLINE_STORE_H

#include "cli/cli.h"
#include "writers/cassandra/cassandra_table.h"
#include "writers/writer_columns.h"

#define STORES_MAX 16u

/* One table, of one writer. */
typedef struct store {
    cassandra_place place;
    cassandra_table table;
    writer_columns columns; /* of the writer */
    int64_t patience_us;
    int64_t ttl_us; /* 0: rows stay */
    cql_session *session;
} store;

typedef struct stores {
    freshet_declaration *declaration;
    freshet_pipeline *pipeline; /* opened to check */
    arena *arena;
    const cql_api *api;
    store items[STORES_MAX];
    uint32_t n;
} stores;

/* What a verb cannot do without: a table in Cassandra; that, or a history or a stream; nothing. */
typedef enum stores_need { NEED_STORE, NEED_STORE_OR_OTHER, NEED_NOTHING } stores_need;

/* All tables that the declaration writes to; FRESHET_BAD_DECLARATION where it lacks what is needed.
 * The struct is closed in any case. */
freshet_code online_stores_open(stores *stores, const char *file, stores_need need,
                                freshet_error *err);
void online_stores_close(stores *stores);

/* Connects and has `use` read what is wanted; both again while it fails with FRESHET_RETRY and the
 * declared patience lasts. The connection stays. */
typedef freshet_code store_use_fn(void *context, stores *stores, store *store, freshet_error *err);
freshet_code online_store_use(stores *stores, store *store, store_use_fn *use, void *context,
                              freshet_error *err);
void online_store_close(stores *stores, store *store);

#endif
