/* online.h - the writer `online`: a table of Cassandra's, or the debug table. */
#ifndef FRESHET_WRITERS_ONLINE_H
#define FRESHET_WRITERS_ONLINE_H

#include "writers/cassandra/cassandra_options.h"
#include "writers/debug/debug.h"
#include "writers/writer.h"

extern const writer_ops online_writer_ops;

/* The debug table of an open online writer, for queries; NULL where it is another. */
debug_table *online_debug_table(freshet_writer *writer);

/* For `--debug`: the options of a declared online writer (NULL: the defaults) with debug on; in the
 * arena, NULL where memory is out. */
const void *online_debug_options(arena *arena, const void *declared);

/* Of a declared online writer: the store's options; false where it has none. */
bool online_store_options(const void *declared, const cassandra_options **store,
                          bool *write_to_entity);

/* The client of the store: the adapter, or what a test has put in its place (NULL: the adapter again). */
freshet_code online_client(const cql_api **out, freshet_error *err);
void online_use_client(const cql_api *client);

#endif
