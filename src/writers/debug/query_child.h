/* query_child.h - a user's query in a copy of the process, which the system can end at any moment
 * (base/process_copy.h).
 *
 * It sees the debug table as it was at the moment of its start, and writes its rows into a pipe. No
 * other thread may be inside the SQL engine of the debug table at that moment: the caller sees to
 * it (query_pool.h).
 */
#ifndef FRESHET_WRITERS_DEBUG_QUERY_CHILD_H
#define FRESHET_WRITERS_DEBUG_QUERY_CHILD_H

#include "base/process_copy.h"
#include "sql/sql.h"

/* Starts the query, with the limits of process_copy_start. Into the pipe come its rows: frames as
 * query_wire.h has them. FRESHET_TRY_AGAIN where the system gives no process. */
freshet_code query_child_start(sql_engine *engine, const char *sql, int64_t timeout_us,
                               int64_t memory, process_copy *out, freshet_error *err);

#endif
