/* cassandra_testing.h - the declaration of a store as the tests of this folder use it: the feature
 * set "demo" with the columns id, timestamp and x, and a node that cql_testing.h plays. */
#ifndef FRESHET_WRITERS_CASSANDRA_CASSANDRA_TESTING_H
#define FRESHET_WRITERS_CASSANDRA_CASSANDRA_TESTING_H

#include "declaration/declaration.h"
#include "writers/cassandra/cassandra.h"
#include "writers/cassandra/cql_testing.h"

#define SECOND INT64_C(1000000)

/* Fills in what the caller keeps; three of `fields`. */
static inline void declare_demo(declaration *declared, field *fields, schema *columns,
                                online_options *options, declared_text *host)
{
    fields[0] = (field){"id", type_simple(TYPE_BIGINT)};
    fields[1] = (field){"timestamp", type_simple(TYPE_TIMESTAMP)};
    fields[2] = (field){"x", type_simple(TYPE_DOUBLE)};
    *columns = (schema){3, fields};
    *declared = (declaration){.file = "demo.yaml"};
    declared->feature_set.name.value = "demo";
    declared->feature_set.entity.value = "thing";
    host->value = "127.0.0.1";
    options->has_cassandra = true;
    options->cassandra = (cassandra_options){.host = {host, 1},
                                             .port = 9042,
                                             .keyspace = {.value = "ks"},
                                             .read_consistency = CQL_LOCAL_ONE,
                                             .write_consistency = CQL_LOCAL_QUORUM,
                                             .in_flight = 256,
                                             .buffer_rows = 1000,
                                             .buffer_memory = INT64_C(64) << 20,
                                             .connect_timeout_us = SECOND,
                                             .request_timeout_us = SECOND};
}

#endif
