/* compare_cassandra.h - a table of Cassandra as the store of a comparison.
 *
 * Keys are read one by one, 256 at a time. Those that are chosen at random are the first ones at or
 * behind a token drawn in each of n equal parts of the ring, so that no more of the table is read;
 * of a partition with several rows one of the first CQL_ROWS_NEAR is taken. A table of at most n
 * rows is read whole. All rows are read by ranges of tokens, which are made larger or smaller by
 * what they give.
 *
 * The event time is the column `timestamp`, to the millisecond. In a table of several feature sets
 * that is the newest of all: there it is taken from the write timestamps of the set's own columns,
 * to the second.
 */
#ifndef FRESHET_COMPARE_COMPARE_CASSANDRA_H
#define FRESHET_COMPARE_COMPARE_CASSANDRA_H

#include "compare/compare.h"
#include "writers/cassandra/cassandra_table.h"

#define CQL_ROWS_NEAR 16u

typedef struct compare_cassandra {
    const cql_api *api;
    cql_session *session;
    const cassandra_place *place;
    const cassandra_table *table;
    const schema *schema; /* of the writer */
} compare_cassandra;

/* The context must outlive the store. */
compare_store compare_cassandra_store(compare_cassandra *context);

#endif
