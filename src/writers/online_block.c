/* online_block.c - see online_block.h. */
#include "writers/online_block.h"

const char *const consistency_names[] = {"ANY",       "ONE", "TWO",          "THREE",
                                         "QUORUM",    "ALL", "LOCAL_QUORUM", "EACH_QUORUM",
                                         "LOCAL_ONE", NULL};

static const char *const dropped_names[] = {"refuse", "accept", NULL};

static const option tls_table[] = {
    {OPTION("ca", TEXT, cassandra_tls, ca),
     .doc = "A PEM file with the certificates of authorities to trust; by default the system's."},
    {OPTION("cert", TEXT, cassandra_tls, cert),
     .doc = "A PEM file with the client's own certificate, where the server asks for one."},
    {OPTION("key", TEXT, cassandra_tls, key), .doc = "A PEM file with the key of `cert`."},
    {OPTION("verify", BOOLEAN, cassandra_tls, verify), .standard = "true",
     .doc = "`false`: trust any server. Then the connection is encrypted, but nobody knows with "
            "whom."},
    {.name = NULL},
};

static void check_tls(void *block, const place *at, problems *problems)
{
    const cassandra_tls *tls = block;
    if ((tls->cert.value == NULL) != (tls->key.value == NULL))
        problem_add(problems, at,
                    "a client certificate needs \"cert\" and \"key\": name both files, or neither");
}

static const block_kind tls_block = {
    .name = "tls",
    .title = "TLS to Cassandra",
    .doc = "An encrypted connection. `tls: {}` trusts the system's authorities. Paths are relative "
           "to the "
           "declaration.",
    .options = tls_table,
    .size = sizeof(cassandra_tls),
    .check = check_tls,
};

static const option cassandra_table[] = {
    {OPTION("host", TEXTS, cassandra_options, host),
     .doc = "A host of the cluster, or several, each with its port where that is another: the "
            "others are found by themselves. By default what CASSANDRA_HOST in the environment "
            "says, separated by commas.",
     .example = "[10.0.0.1, 10.0.0.2]"},
    {OPTION("port", INTEGER, cassandra_options, port), .standard = "9042", .minimum = 1,
     .maximum = 65535, .doc = "The port of hosts that are written without one."},
    {OPTION("keyspace", TEXT, cassandra_options, keyspace),
     .doc = "The keyspace of the table; by default what CASSANDRA_KEYSPACE says.",
     .example = "features"},
    {OPTION("table", TEXT, cassandra_options, table),
     .doc = "The table; by default the feature set's name, or with `write_to_entity` the "
            "entity's. `freshet apply` makes it."},
    {OPTION("username", TEXT, cassandra_options, username),
     .doc = "By default what CASSANDRA_USERNAME says; without any, nothing is sent."},
    {.name = "password",
     .kind = OPTION_TEXT,
     .secret = true,
     .offset = offsetof(cassandra_options, password),
     .doc = "By default what CASSANDRA_PASSWORD says. Write it as `${NAME}`, not into the file."},
    {OPTION_GIVEN("tls", cassandra_options, tls), .block = &tls_block,
     .doc = "Encrypts the connection. Without it, it is not."},
    {OPTION("local_dc", TEXT, cassandra_options, local_dc),
     .doc = "The data centre whose nodes are asked first; by default what CASSANDRA_LOCAL_DC "
            "says, or any."},
    {OPTION("write_consistency", CHOICE, cassandra_options, write_consistency),
     .standard = "LOCAL_QUORUM", .choices = consistency_names,
     .given_offset = offsetof(cassandra_options, has_write_consistency) + 1,
     .doc = "How many copies must have a row before it counts as written. What "
            "CASSANDRA_WRITE_CONSISTENCY_LEVEL says goes before the default."},
    {OPTION("read_consistency", CHOICE, cassandra_options, read_consistency),
     .standard = "LOCAL_ONE", .choices = consistency_names,
     .given_offset = offsetof(cassandra_options, has_read_consistency) + 1,
     .doc = "How many copies `freshet get` asks; ANY is for writing only. What "
            "CASSANDRA_READ_CONSISTENCY_LEVEL says goes before the default."},
    {OPTION("partition_by", TEXTS, cassandra_options, partition_by),
     .doc = "Which keys form the partition key, in that order; the others are clustering columns. "
            "By default the first one, as Butterfree has it.",
     .example = "[customer, region]"},
    {OPTION("stream_processing_time", DURATION, cassandra_options, stream_processing_time_us),
     .standard = "0 seconds", .minimum = 0, .maximum = INT64_C(3600) * 1000000,
     .doc = "How long rows may be held so that of several of one key only the newest is written; "
            "0: they are written at once. A checkpoint writes all that is held."},
    {OPTION("in_flight", INTEGER, cassandra_options, in_flight), .standard = "1024", .minimum = 1,
     .maximum = CASSANDRA_IN_FLIGHT_MAX,
     .doc = "How many rows may be on their way at once. Fewer are, where the store is slow or says "
            "that it is overloaded."},
    {OPTION("buffer_rows", INTEGER, cassandra_options, buffer_rows), .standard = "50000",
     .minimum = 1, .maximum = INT64_C(10000000),
     .doc = "With so many rows waiting or on their way no more are read; a micro-batch that has "
            "begun is taken whole."},
    {OPTION("buffer_memory", BYTES, cassandra_options, buffer_memory), .standard = "64 MiB",
     .minimum = INT64_C(64) << 10, .maximum = INT64_C(1) << 36, .doc = "The same, in bytes."},
    {OPTION("connect_timeout", DURATION, cassandra_options, connect_timeout_us),
     .standard = "5 seconds", .minimum = INT64_C(100000), .maximum = INT64_C(600) * 1000000,
     .doc = "How long to wait for a connection."},
    {OPTION("patience", DURATION, cassandra_options, patience_us), .standard = "30 seconds",
     .minimum = 0, .maximum = INT64_C(86400) * 1000000,
     .doc = "How long a batch, `freshet plan`, `apply` and `get` try to reach a cluster that does "
            "not answer; then they end with the exit code 75. A stream waits until it answers."},
    {OPTION("request_timeout", DURATION, cassandra_options, request_timeout_us),
     .standard = "5 seconds", .minimum = INT64_C(10000), .maximum = INT64_C(600) * 1000000,
     .doc = "After this a row that was not confirmed is sent again. Longer than the server's own "
            "limit (2 seconds by default) is best."},
    {OPTION("dropped_columns", CHOICE, cassandra_options, dropped_columns), .standard = "refuse",
     .choices = dropped_names,
     .doc =
         "A column of the table that was dropped once and is (or would be) added again: Cassandra "
         "shows nothing of it for events up to the time of the drop, for ever. `refuse`: `run` "
         "and `apply` say so and end; `accept`: they go on."},
    {OPTION("compression", BOOLEAN, cassandra_options, compression), .standard = "false",
     .doc = "Compress what is sent (LZ4): for slow networks and long rows."},
    {.name = NULL},
};

static const block_kind cassandra_block = {
    .name = "cassandra",
    .title = "The Cassandra store",
    .doc = "The cluster and the table that hold the newest row of each key. All that is "
           "not written has a default; see docs/guide/cassandra.md.",
    .options = cassandra_table,
    .size = sizeof(cassandra_options),
};

static const option online_table[] = {
    {OPTION_GIVEN("cassandra", online_options, cassandra), .block = &cassandra_block,
     .doc = "The store is Cassandra, or what speaks its protocol (ScyllaDB). `cassandra: {}` takes "
            "all from the environment."},
    {OPTION("write_to_entity", BOOLEAN, online_options, write_to_entity), .standard = "false",
     .doc =
         "`true`: the table is the entity's, which several feature sets share, each with columns "
         "of its own."},
    {OPTION("ttl", DURATION, online_options, ttl_us), .standard = "0 seconds", .minimum = 0,
     .maximum = CASSANDRA_TTL_MAX_S * 1000000,
     .doc = "How long after its event a row stays in the store; 0: for ever. A row that is older "
            "than that already is not written.",
     .example = "30 days"},
    {OPTION("debug", BOOLEAN, online_options, debug), .standard = "false",
     .doc = "Write to a table in memory, which `freshet query` and `freshet shell` show while the "
            "pipeline runs, instead of the online store."},
    {OPTION("rows", INTEGER, online_options, rows), .standard = "1000000", .minimum = 1,
     .maximum = INT64_C(1000000000),
     .doc = "How many rows the debug table keeps; the oldest go first."},
    {OPTION("memory", BYTES, online_options, memory), .standard = "1 GiB",
     .minimum = INT64_C(16) << 20, .maximum = INT64_C(1) << 40,
     .doc = "How much memory the debug table may use, and the queries over it, all together, once "
            "more; a table that needs more loses its oldest rows, and queries are ended."},
    {.name = NULL},
};

const block_kind online_block = {
    .name = "online",
    .title = "The online writer",
    .doc = "Holds the newest feature row of each key, for serving, in a table of Cassandra's. "
           "In debug mode it is a table in memory, `online_feature_store__<feature set>`, "
           "with every row, and "
           "`online_feature_store__<feature set>_latest` with the newest row of each key.",
    .options = online_table,
    .size = sizeof(online_options)};
