/* query_child.h - a user's query in a process of its own, which the system can end at any moment.
 *
 * Nothing inside one process holds a query to its limits whatever its functions do: a function of
 * the SQL engine that makes large values of small ones asks nobody for leave, and looks at no
 * interrupt before it is through. So each query runs in a copy of the process (fork): it sees the
 * debug table as it was at that moment, shares its memory until one of both changes it, and writes
 * its rows into a pipe. What it takes beyond its limits ends it alone.
 *
 * The copy has one thread. No other thread may be inside the SQL engine of the debug table
 * meanwhile: the caller sees to it (query_pool.h); other locks that it needs are those of malloc,
 * which the C library and DuckDB's allocator put in order around fork(). A lock that nobody puts in
 * order (the allocator of GCC's AddressSanitizer has one) may have been held at that moment: then
 * the copy waits for it for ever, and the caller starts another (query_child_asleep).
 */
#ifndef FRESHET_WRITERS_DEBUG_QUERY_CHILD_H
#define FRESHET_WRITERS_DEBUG_QUERY_CHILD_H

#include <freshet/freshet.h>
#include <sys/types.h>

#include "sql/sql.h"

typedef struct query_child {
    pid_t process;
    int pipe; /* its rows: frames as query_wire.h has them; read, and closed by the caller */
} query_child;

/* Starts the query. `timeout_us` and `memory` are the system's limits for the case that nobody else
 * ends it: processor time, and bytes of memory more than it begins with, with room to spare.
 * FRESHET_TRY_AGAIN where the system gives no process. */
freshet_code query_child_start(sql_engine *engine, const char *sql, int64_t timeout_us,
                               int64_t memory, query_child *out, freshet_error *err);

/* Bytes of memory of its own that a process has now (the caller's: 0); 0 where that cannot be
 * known. */
int64_t query_child_memory(pid_t process);

/* Processor time that the process has used, in ticks of the system, while it waits for something;
 * -1 where it runs, or that cannot be known. */
int64_t query_child_asleep(pid_t process);

/* Ends the process if it has not ended, and waits for that: signal that it ended by, or 0. */
int query_child_end(pid_t process);

#endif
