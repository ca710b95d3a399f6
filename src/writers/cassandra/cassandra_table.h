/* cassandra_table.h - the table that a declaration wants, and how the one that is there differs.
 *
 * Columns: the keys that form the partition (the first one, or `partition_by`), the other keys as
 * clustering columns in their order, `timestamp`, the features. Types: cql_values.h. Columns that
 * the declaration does not know stay as they are: in a table of several feature sets they are the
 * others'.
 *
 * All names are quoted in CQL, so that they are what the declaration says, letter by letter.
 */
#ifndef FRESHET_WRITERS_CASSANDRA_CASSANDRA_TABLE_H
#define FRESHET_WRITERS_CASSANDRA_CASSANDRA_TABLE_H

#include "base/batch.h"
#include "base/text.h"
#include "writers/cassandra/cassandra_options.h"

typedef enum table_column_kind {
    COLUMN_PARTITION,
    COLUMN_CLUSTERING,
    COLUMN_REGULAR
} table_column_kind;

typedef struct table_column {
    const char *name;
    const char *quoted;
    const char *type; /* as CQL writes it */
    table_column_kind kind;
    uint32_t field; /* in the feature set's schema */
} table_column;

/* In this order: partition, clustering, timestamp, features. */
typedef struct cassandra_table {
    const char *keyspace;
    const char *name;
    const char *quoted; /* keyspace.name */
    const table_column *columns;
    uint32_t n_columns;
    uint32_t n_partition;
    uint32_t n_keys; /* with n_partition */
    bool is_shared;
} cassandra_table;

/* FRESHET_BAD_DECLARATION where partition_by names no key, or a type has no form in CQL. All in the
 * arena. */
freshet_code cassandra_table_make(arena *arena, const cassandra_place *place,
                                  const cassandra_options *options, const declaration *declaration,
                                  const schema *schema, uint32_t n_keys, cassandra_table *out,
                                  freshet_error *err);

/* ---- statements, in the arena; NULL where memory is out ---- */

/* Binds the columns in their order, the write timestamp (bigint), and with_ttl the TTL (int). Where
 * the table is shared it is a batch of two rows of one partition: features by their write
 * timestamp, `timestamp` by itself. It then binds: keys, features, write timestamp, [TTL], keys,
 * timestamp, its microseconds, [TTL]. */
const char *cassandra_table_insert(arena *arena, const cassandra_table *table, bool with_ttl);
/* Binds the keys; gives all columns in their order. */
const char *cassandra_table_select(arena *arena, const cassandra_table *table);

/* ---- differences ---- */

typedef struct table_change {
    const char *said; /* "the column \"x\" is missing" */
    const char *cql;  /* what mends it, a statement after the other, each ending in ";\n" */
    bool drops;       /* data is lost */
} table_change;

typedef struct table_changes {
    const table_change *items;
    uint32_t n;
    /* its DDL has a number of copies that only the user knows: `replicas`, or 0 */
    bool keyspace_missing;
    const char *const *foreign; /* columns of the table that the declaration does not have */
    uint32_t n_foreign;
    /* Declared columns that were dropped from the table once, as sentences: what is not seen. */
    const char *const *dropped;
    uint32_t n_dropped;
} table_changes;

/* Asks the server. `replicas` is for a keyspace that is not there. */
freshet_code cassandra_table_compare(const cql_api *api, cql_session *session, arena *arena,
                                     const cassandra_place *place, const cassandra_table *table,
                                     uint32_t replicas, table_changes *out, freshet_error *err);

/* FRESHET_BAD_DECLARATION where a declared column was dropped once, unless that is accepted. */
freshet_code cassandra_table_accept(const cassandra_place *place, const cassandra_table *table,
                                    const table_changes *changes, const char *file,
                                    freshet_error *err);

/* FRESHET_BAD_DECLARATION, with the first difference and the command that mends it, where there are
 * any. */
freshet_code cassandra_table_require(const cassandra_table *table, const table_changes *changes,
                                     const char *file, freshet_error *err);

/* What a failed call of the client's is to the caller: what can be tried again is
 * FRESHET_TRY_AGAIN; credentials, certificates and what is missing FRESHET_BAD_DECLARATION; all
 * else FRESHET_FAILED. */
freshet_code cassandra_error(freshet_error *err, const cassandra_place *place, const char *doing,
                             cql_code code, const char *text);
/* The same of connecting, where all that is refused for good is the declaration's to change. */
freshet_code cassandra_connect_error(freshet_error *err, const cassandra_place *place,
                                     cql_code code, const char *text);

#endif
