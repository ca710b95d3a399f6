/* online.c - the declaration of the writer `online`; see online.h. */
#include "writers/online.h"

static const option option_table[] = {
    {OPTION("cassandra", BLOCK, online_options, cassandra),
     .given_offset = offsetof(online_options, has_cassandra) + 1, .block = &cassandra_block,
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
     .doc = "How much memory the debug table and the queries over it may use; a table that needs "
            "more loses its oldest rows."},
    {.name = NULL},
};

const block_kind online_block = {
    .name = "online",
    .title = "The online writer",
    .doc = "Holds the newest feature row of each key, for serving, in a table of Cassandra's. "
           "In debug mode it is a table in memory, `online_feature_store__<feature set>`, "
           "with every row, and "
           "`online_feature_store__<feature set>_latest` with the newest row of each key.",
    .options = option_table,
    .size = sizeof(online_options)};
