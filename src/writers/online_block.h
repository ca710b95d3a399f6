/* online_block.h - the block `online`: its options, and their tables.
 *
 * Two writers serve it, and neither owns it: Cassandra's, and with `debug: true` that of the debug
 * table.
 */
#ifndef FRESHET_WRITERS_ONLINE_BLOCK_H
#define FRESHET_WRITERS_ONLINE_BLOCK_H

#include "declaration/declaration.h"

#define CASSANDRA_TTL_MAX_S INT64_C(630720000) /* 20 years: the store's own limit */
#define CASSANDRA_IN_FLIGHT_MAX 16384u

/* In the order of enum cql_consistency; NULL ends them. */
extern const char *const consistency_names[];

/* What to do with a column that was dropped once and is there again. */
typedef enum dropped_columns { DROPPED_REFUSE, DROPPED_ACCEPT } dropped_columns;

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
    /* an index of consistency_names; the environment's goes first unless it was given */
    int read_consistency;
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
    int64_t patience_us;
    int dropped_columns; /* enum dropped_columns */
    bool compression;
} cassandra_options;

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

#endif
