/* query_pool.h - users' queries over one SQL engine: several at once, each with its limits.
 *
 * Each query is a process of its own (query_child.h), and so has a snapshot of its own. Its rows
 * are fetched as they are asked for; it ends when its last row was taken, when its result is
 * closed, or when its time is over, whichever comes first: a result that is forgotten holds nothing
 * for ever.
 *
 * Order of calls: open, {lock, changes of the engine, unlock}*, run from any threads, close. A
 * result may be closed after its pool.
 */
#ifndef FRESHET_WRITERS_DEBUG_QUERY_POOL_H
#define FRESHET_WRITERS_DEBUG_QUERY_POOL_H

#include <freshet/freshet.h>

#include "sql/sql.h"
#include "writers/debug/query_result.h"

#define QUERIES_MAX 64u                    /* open at once, forgotten ones included */
#define QUERY_TIMEOUT_US INT64_C(10000000) /* where none is given */
#define QUERY_TIMEOUT_MAX_US (INT64_C(3600) * 1000000)

typedef struct query_pool query_pool;

/* `memory` is what all queries together may take, beside the table's own, which is the engine's. */
freshet_code query_pool_open(sql_engine *engine, int64_t memory, query_pool **out,
                             freshet_error *err);

/* Behind freshet_query(). Any thread. */
freshet_code query_pool_run(query_pool *pool, const char *sql, const freshet_query_options *options,
                            freshet_result **out, freshet_error *err);

/* Around each use of the engine that is no query: no query begins meanwhile. */
void query_pool_lock(query_pool *pool);
void query_pool_unlock(query_pool *pool);

/* Ends all queries and waits for them; their results then say that the pipeline was closed. NULL is
 * fine. */
void query_pool_close(query_pool *pool);

#endif
