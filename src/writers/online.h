/* online.h - the declaration of the writer `online`: the newest row of each key, for serving.
 *
 * Two writers serve it: cassandra/ by default, debug/ with `debug: true`.
 */
#ifndef FRESHET_WRITERS_ONLINE_H
#define FRESHET_WRITERS_ONLINE_H

#include "writers/cassandra/cassandra_options.h"

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
