/* cassandra_options.h - what the options of `online: {cassandra: {...}}` (online_block.h) come to.
 *
 * What is not written is taken from Butterfree's environment: CASSANDRA_HOST, CASSANDRA_KEYSPACE,
 * CASSANDRA_USERNAME, CASSANDRA_PASSWORD, CASSANDRA_LOCAL_DC, CASSANDRA_READ_CONSISTENCY_LEVEL,
 * CASSANDRA_WRITE_CONSISTENCY_LEVEL. That is looked up when the writer is
 * checked or opened, so that `freshet show` prints what was declared.
 */
#ifndef FRESHET_WRITERS_CASSANDRA_CASSANDRA_OPTIONS_H
#define FRESHET_WRITERS_CASSANDRA_CASSANDRA_OPTIONS_H

#include "declaration/declaration.h"
#include "writers/cassandra/cql.h"
#include "writers/online_block.h"

/* What is said of a name in partition_by. */
#define PARTITION_NO_KEY \
    "partition_by names \"%s\", which is no key of the feature set: it can name keys only"
#define PARTITION_TWICE "partition_by names \"%s\" twice"

/* Where rows go, and how to reach it; all texts in the arena, the environment's, or the
 * declaration's. */
typedef struct cassandra_place {
    const char *keyspace;
    const char *table;
    bool is_shared; /* the table may hold other feature sets, too */
    cql_consistency read_consistency, write_consistency;
    bool accepts_dropped; /* columns that were dropped once */
    cql_options client;
} cassandra_place;

/* Reports what can be said of the options without a server. */
void cassandra_check(const online_options *online, const declaration *declaration, const place *at,
                     problems *problems);

/* FRESHET_BAD_DECLARATION where host or keyspace is nowhere to be found, or a name is none that the
 * store takes. */
freshet_code cassandra_place_make(const online_options *online, const declaration *declaration,
                                  arena *arena, cassandra_place *out, freshet_error *err);

#endif
