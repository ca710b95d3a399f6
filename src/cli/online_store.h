/* online_store.h - the online store of a declaration, for the verbs that look at it: plan, apply, get.
 *
 * Order of calls: online_stores_open; online_store_connect and online_store_close for one at a time; online_stores_close. All print
 * their errors.
 */
#ifndef FRESHET_CLI_ONLINE_STORE_H
#define FRESHET_CLI_ONLINE_STORE_H

#include "cli/cli.h"
#include "writers/cassandra/cassandra_table.h"

#define STORES_MAX 16u

/* One table, of one writer. */
typedef struct store {
    const cassandra_options *options;
    cassandra_place place;
    cassandra_table table;
    cql_session *session;
} store;

typedef struct stores {
    freshet_declaration *declaration;
    freshet_pipeline *pipeline; /* opened to check */
    arena *arena;
    const cql_api *api;
    const schema *schema;
    store items[STORES_MAX];
    uint32_t n;
} stores;

/* All tables that the declaration writes to; FRESHET_BAD_DECLARATION where it has none. The struct is closed in any
 * case. */
freshet_code online_stores_open(stores *stores, const char *file);
void online_stores_close(stores *stores);

freshet_code online_store_connect(stores *stores, store *store);
void online_store_close(stores *stores, store *store);

/* Asks the store for what differs. */
freshet_code online_store_compare(stores *stores, store *store, uint32_t replicas,
                                  table_changes *out);

/* Prints the changes as CQL with comments. */
void online_store_print_changes(const store *store, const table_changes *changes);

#endif
