/* cql.h - the client of Cassandra (and ScyllaDB) as the writer sees it: rows of serialised values
 * in, completions out.
 *
 * The client itself is a component of its own, adapters/cassandra: a shared library with one
 * function, loaded when a declaration asks for Cassandra, so that Freshet is built and runs without
 * it. All calls go through one table, cql_api; a test's fake, or another client, is another table.
 *
 * Values are bytes as CQL's native protocol (version 4) has them: big-endian integers, two's
 * complement varints, and so on; the writer serialises, the client only carries. Nothing in this
 * interface is called back from a thread of the client's: completions are taken from a queue.
 *
 * Order of calls: connect, {prepare, submit, completions, query}*, release, close. All from one
 * thread. What fails says why in a text of at most CQL_TEXT_MAX bytes, one line, without secrets.
 */
#ifndef FRESHET_WRITERS_CASSANDRA_CQL_H
#define FRESHET_WRITERS_CASSANDRA_CQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CQL_API_VERSION 1u
#define CQL_TEXT_MAX 512u

typedef struct cql_session cql_session;
typedef struct cql_statement cql_statement;
typedef struct cql_rows cql_rows;

typedef enum cql_code {
    CQL_OK = 0,
    /* no node answers, time-outs, unavailable, a lost connection: the same may succeed later */
    CQL_PASSING = 1,
    CQL_OVERLOADED = 2, /* as CQL_PASSING, but slower next time */
    CQL_REFUSED = 3,    /* this row or statement, for good: invalid, too large, syntax error */
    CQL_DENIED = 4,     /* credentials or permissions */
    CQL_TLS = 5,    /* certificates: files that cannot be read, a server that cannot be verified */
    CQL_SCHEMA = 6, /* keyspace, table or column is not there */
    CQL_MEMORY = 7
} cql_code;

typedef enum cql_consistency {
    CQL_ANY,
    CQL_ONE,
    CQL_TWO,
    CQL_THREE,
    CQL_QUORUM,
    CQL_ALL,
    CQL_LOCAL_QUORUM,
    CQL_EACH_QUORUM,
    CQL_LOCAL_ONE
} cql_consistency;

typedef struct cql_options {
    const char *hosts;    /* "host:port,host:port"; an IPv6 address in [] */
    const char *local_dc; /* NULL: any */
    const char *user;     /* NULL: no authentication */
    const char *password;
    bool tls;
    /* With tls: the certificate's chain, and that it is made out to the node's address or to one of
     * `hosts`; false trusts anyone. */
    bool verify;
    const char *ca_file;   /* PEM; NULL: the system's */
    const char *cert_file; /* client certificate and key, PEM; NULL: none */
    const char *key_file;
    int32_t connect_timeout_ms;
    int32_t request_timeout_ms; /* after which a request counts as failed, CQL_PASSING */
    int32_t threads;            /* of the client; 0: 1 */
    bool compress;              /* LZ4 */
} cql_options;

/* length -1: null; -2: not set (the column stays as it is). */
typedef struct cql_value {
    const unsigned char *bytes;
    int32_t length;
} cql_value;

/* What became of a submitted row, or of the group: the last completion of a group has row CQL_GROUP
 * and code CQL_OK; before it comes one for each row that failed (of a batch: each of its rows). */
#define CQL_GROUP UINT32_MAX
typedef struct cql_completion {
    uint64_t tag;
    uint32_t row; /* index in the group, or CQL_GROUP */
    cql_code code;
    char text[CQL_TEXT_MAX]; /* empty where code is CQL_OK */
} cql_completion;

typedef struct cql_column {
    const char *name;
    /* As CQL writes it: "bigint", "list<text>". Servers do not say `frozen` of what they answer:
     * for that read system_schema.columns. */
    const char *type;
} cql_column;

typedef struct cql_api {
    uint32_t version; /* CQL_API_VERSION */
    size_t size;      /* of this struct */
    const char *name; /* and version of the client, for messages */

    /* Blocks, up to connect_timeout_ms (and two seconds more, where that has passed, for its
     * threads to end). Without a node in local_dc: CQL_REFUSED. `text` has room for CQL_TEXT_MAX
     * bytes, here and below. */
    cql_code (*connect)(const cql_options *options, cql_session **out, char *text);
    /* Gives up what is in flight. */
    void (*close)(cql_session *session);

    /* Blocks. The statement is used for reads and writes of that consistency, as an idempotent one.
     * The client does not retry by itself: each failure is told. */
    cql_code (*prepare)(cql_session *session, const char *cql, cql_consistency consistency,
                        cql_statement **out, char *text);
    void (*release)(cql_statement *statement);

    /* Sends n_rows rows of n_values values each (values[row * n_values + column]; copied before it
     * returns). As single requests, each to a replica of its row; or, as_batch, as one UNLOGGED
     * BATCH, whose rows must be of one partition (too large a one is CQL_REFUSED for each row: send
     * them singly). `tag` names the group in its completions. Never blocks. CQL_REFUSED, and no
     * completion, where n_values is not the statement's number. */
    cql_code (*submit)(cql_session *session, const cql_statement *statement,
                       const cql_value *values, uint32_t n_values, uint32_t n_rows, bool as_batch,
                       uint64_t tag);
    /* Takes at most `most` completions; returns how many. Never blocks. */
    uint32_t (*completions)(cql_session *session, cql_completion *into, uint32_t most);
    /* Readable (poll(2)) while completions wait; emptied by completions(). */
    int (*fd)(const cql_session *session);

    /* Executes and waits for all rows: DDL and reads. `statement` NULL: the text `cql` with no
     * values, at LOCAL_ONE. Answers of more than 256 MiB are CQL_REFUSED. */
    cql_code (*query)(cql_session *session, const char *cql, const cql_statement *statement,
                      const cql_value *values, uint32_t n_values, cql_rows **out, char *text);
    uint32_t (*rows_count)(const cql_rows *rows);
    uint32_t (*rows_columns)(const cql_rows *rows);
    cql_column (*rows_column)(const cql_rows *rows, uint32_t column);
    cql_value (*rows_value)(const cql_rows *rows, uint32_t row,
                            uint32_t column); /* lives as long as the rows */
    void (*rows_free)(cql_rows *rows);

    /* Waits until all nodes agree on the schema, after DDL. */
    cql_code (*await_schema)(cql_session *session, char *text);
    /* Nodes that are known, and those with a connection now. */
    void (*nodes)(const cql_session *session, uint32_t *known, uint32_t *connected);

    /* Only where cql_has_many. As query, for each of n_rows rows of values (as submit has them), so
     * that many are in flight at a time: the answers one behind the other, in their order, and how
     * many rows each has in `counts`. Where one fails, all do. */
    cql_code (*query_many)(cql_session *session, const cql_statement *statement,
                           const cql_value *values, uint32_t n_values, uint32_t n_rows,
                           uint32_t *counts, cql_rows **out, char *text);
} cql_api;

/* What came behind the first form of the table; adapters of before lack it. */
#define CQL_API_SIZE_MIN offsetof(cql_api, query_many)

static inline bool cql_has_many(const cql_api *api)
{
    return api->size >= offsetof(cql_api, query_many) + sizeof api->query_many;
}

/* The one symbol of the shared library. */
#define CQL_API_SYMBOL "freshet_cql_api"
typedef const cql_api *cql_api_fn(void);

#endif
