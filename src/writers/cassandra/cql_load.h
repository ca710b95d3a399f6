/* cql_load.h - finds and loads the Cassandra adapter, the shared library behind cql.h.
 *
 * It is an optional component, so it is looked for where a build or an installation puts it, and
 * its absence is an error that says how to get it. In this order, and the first that is there
 * counts:
 *
 *   1. the file that FRESHET_CASSANDRA_ADAPTER names; then no other is tried
 *   2. ../adapter/ beside the build folder of this program or library    (build/adapter)
 *   3. freshet/ beside the library, ../LIBDIR/freshet/ beside the program   (installed)
 *
 * What has been loaded stays so until the process ends: its threads may still be on their way out.
 */
#ifndef FRESHET_WRITERS_CASSANDRA_CQL_LOAD_H
#define FRESHET_WRITERS_CASSANDRA_CQL_LOAD_H

#include <freshet/freshet.h>

#include "writers/cassandra/cql.h"

#define CQL_LOAD_FILE "libfreshet_cassandra.so"
#define CQL_LOAD_ENVIRONMENT "FRESHET_CASSANDRA_ADAPTER"

/* FRESHET_FAILED with FRESHET_STOP: it is nowhere, cannot be loaded, or is of another version.
 * Any thread. */
freshet_code cql_load(const cql_api **api, freshet_error *err);

/* For tests: what cql_load gives from now on in the place of the adapter; NULL: the adapter
 * again. */
void cql_load_instead(const cql_api *api);

/* The part of it that looks at the table which the file at `path` gave; NULL is no table. */
freshet_code cql_load_check(const char *path, const cql_api *api, freshet_error *err);

#endif
