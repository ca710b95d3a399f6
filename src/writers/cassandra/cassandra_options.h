/* cassandra_options.h - `online: {cassandra: {...}}`: the option tables, and what the options come to.
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

#define CASSANDRA_TTL_MAX_S INT64_C(630720000) /* 20 years: the store's own limit */
#define CASSANDRA_IN_FLIGHT_MAX 16384u

/* What is said of a name in partition_by. */
#define PARTITION_NO_KEY \
    "partition_by names \"%s\", which is no key of the feature set: it can name keys only"
#define PARTITION_TWICE "partition_by names \"%s\" twice"

typedef struct cassandra_tls {
    declared_text ca;
    declared_text cert;
    declared_text key;
    bool verify;
} cassandra_tls;

typedef struct cassandra_options {
    declared_list host;
    int64_t port;
    declared_text keyspace;
    declared_text table;
    declared_text username;
    declared_text password;
    cassandra_tls tls;
    bool has_tls;
    declared_text local_dc;
    int read_consistency; /* enum cql_consistency; the environment's goes first unless it was given */
    bool has_read_consistency;
    int write_consistency;
    bool has_write_consistency;
    declared_list partition_by;
    int64_t stream_processing_time_us;
    int64_t in_flight;   /* rows */
    int64_t buffer_rows; /* waiting and in flight */
    int64_t buffer_memory;
    int64_t connect_timeout_us;
    int64_t request_timeout_us;
    bool compression;
} cassandra_options;

/* The block `online`. Two writers serve it: this one, and with `debug: true` the debug table (debug_writer.h). */
typedef struct online_options {
    cassandra_options cassandra;
    bool has_cassandra;
    bool write_to_entity;
    int64_t ttl_us;
    bool debug;
    int64_t rows;
    int64_t memory;
} online_options;

extern const block_kind online_block;

/* Where rows go, and how to reach it; all texts in the arena, the environment's, or the declaration's. */
typedef struct cassandra_place {
    const char *keyspace;
    const char *table;
    bool is_shared; /* the table may hold other feature sets, too */
    cql_consistency read_consistency, write_consistency;
    cql_options client;
} cassandra_place;

/* Reports what can be said of the options without a server. */
void cassandra_check(const online_options *online, const declaration *declaration, const place *at,
                     problems *problems);

/* FRESHET_BAD_DECLARATION where host or keyspace is nowhere to be found, or a name is none that the store takes. */
freshet_code cassandra_place_make(const online_options *online, const declaration *declaration,
                                  arena *arena, cassandra_place *out, freshet_error *err);

#endif
