/* query_pool.c - see query_pool.h.
 *
 * A query is a process of its own (query_child.h) that writes its rows into a pipe; its result
 * reads them from there as they are asked for. One watchdog thread looks at the list of queries
 * every WATCH_US (and sleeps while it is empty): one whose time is over, or that was cancelled, is
 * ended; and while all together have taken more memory than the limit, the largest is. Ended means
 * killed: nothing that a query does can hold that up.
 *
 * pool->lock guards the list, the counts and each query's process; whoever ends a process holds it.
 * The pipe is the result's alone. What reads from it finds the end of the pipe behind a killed
 * process, and looks up why. pool->quiet is held around fork() and around each change of the table:
 * nobody else is in the table's engine, so the copy finds it in order.
 *
 * The pool lives until it is closed and the last of its results is.
 */
#include "writers/debug/query_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/os.h"
#include "base/thread.h"
#include "writers/debug/query_child.h"
#include "writers/debug/query_wire.h"

#define WATCH_US INT64_C(5000)
#define STILL_US INT64_C(1000000) /* a process that sleeps so long before its first rows is lost */
#define STILL_TRIES 5

typedef enum ended_by {
    NOT_ENDED,
    ENDED_BY_TIME,
    ENDED_BY_MEMORY,
    ENDED_BY_CALLER,
    ENDED_BY_CLOSE,
    ENDED_BY_SYSTEM,
    ENDED_BY_STILL
} ended_by;

typedef struct pooled_result {
    freshet_result base;
    query_pool *pool;
    process_copy child; /* process 0: it has ended */
    arena *piece;       /* the rows given out */
    arena *kept;        /* the schema */
    schema schema;
    int64_t timeout_us, deadline_us, memory_before, memory_now;
    bool (*cancelled)(void *context);
    void *context;
    atomic_int ended;      /* ended_by */
    atomic_bool has_begun; /* its first rows, or its end, have come: below */
    batch first;
    freshet_code first_code;
    int64_t asleep, still_us; /* of the watchdog: ticks when it fell asleep, and since when */
    struct pooled_result *next;
} pooled_result;

struct query_pool {
    sql_engine *engine;
    int64_t memory;
    pthread_t watchdog;
    pthread_mutex_t quiet;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* for the watchdog */
    bool closing;
    pooled_result *running;
    uint32_t n_open;    /* queries that have a process, or are about to */
    uint32_t n_holding; /* results, and one for the owner */
};

/* ---- ending -------------------------------------------------------------------------------- */

/* What the caller is told: the limit that was passed, or the engine's own error. */
static freshet_code pool_explain(const pooled_result *result, freshet_code code,
                                 const freshet_error *found, freshet_error *err)
{
    const double mib = (double)result->pool->memory / (1 << 20);
    switch ((ended_by)atomic_load(&result->ended)) {
    case ENDED_BY_TIME:
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the query took longer than its limit of %g seconds (fetching its rows "
                         "included); ask for less, or give it more time",
                         (double)result->timeout_us / 1e6);
    case ENDED_BY_MEMORY:
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the query was ended because queries may use %g MiB of memory, all "
                         "together; ask for fewer rows or columns",
                         mib);
    case ENDED_BY_CALLER:
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL, "the query was cancelled");
    case ENDED_BY_CLOSE:
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the query was ended because its pipeline was closed");
    case ENDED_BY_SYSTEM:
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the query's process was ended by the system, most likely for want of "
                         "memory; ask for fewer rows or columns");
    case ENDED_BY_STILL:
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL,
                         "the query's process stood still before its first row, %d times; ask "
                         "again",
                         STILL_TRIES);
    case NOT_ENDED: break;
    }
    if (code == FRESHET_LIMIT && strstr(found->text, "memory") != NULL)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the query needs more than the %g MiB of memory that the debug table and "
                         "its queries may use; ask for fewer rows or columns",
                         mib);
    if (found->then == FRESHET_SKIP_ROW)
        code = FRESHET_USAGE;
    return error_set(err, code, code == FRESHET_TRY_AGAIN ? FRESHET_RETRY : FRESHET_STOP, NULL,
                     "%s", found->text);
}

/* Ends the result's process where it has one; `why` where nobody has said so before. pool->lock is
 * held. */
static void end_query(query_pool *pool, pooled_result *result, ended_by why)
{
    if (result->child.process == 0)
        return;
    int none = NOT_ENDED;
    const int number = process_copy_end(result->child.process);
    result->child.process = 0;
    if (why == ENDED_BY_SYSTEM && number == SIGXCPU)
        why = ENDED_BY_TIME;
    atomic_compare_exchange_strong(&result->ended, &none, (int)why);
    for (pooled_result **at = &pool->running; *at != NULL; at = &(*at)->next)
        if (*at == result) {
            *at = result->next;
            break;
        }
    pool->n_open--;
    pthread_cond_signal(&pool->wake);
}

static void end_own(pooled_result *result, ended_by why)
{
    query_pool *pool = result->pool;
    pthread_mutex_lock(&pool->lock);
    end_query(pool, result, why);
    pthread_mutex_unlock(&pool->lock);
}

/* ---- the watchdog -------------------------------------------------------------------------- */

static ended_by reason_to_end(const query_pool *pool, const pooled_result *result, int64_t now_us)
{
    if (pool->closing)
        return ENDED_BY_CLOSE;
    if (now_us >= result->deadline_us)
        return ENDED_BY_TIME;
    if (result->cancelled != NULL && result->cancelled(result->context))
        return ENDED_BY_CALLER;
    return NOT_ENDED;
}

/* Before its first rows a process has nothing to wait for but a lock that was held when it was
 * made, by a thread that it does not have. */
static bool stands_still(pooled_result *result, int64_t now_us)
{
    const int64_t asleep =
        atomic_load(&result->has_begun) ? -1 : process_copy_asleep(result->child.process);
    if (asleep < 0 || asleep != result->asleep) {
        result->asleep = asleep;
        result->still_us = now_us;
    }
    return asleep >= 0 && now_us - result->still_us >= STILL_US;
}

/* Looks at every query once; pool->lock is held. */
static void watch(query_pool *pool)
{
    const int64_t now_us = os.monotonic_us();
    int64_t memory = 0;
    pooled_result *largest = NULL, *next;
    for (pooled_result *result = pool->running; result != NULL; result = next) {
        next = result->next;
        ended_by reason = reason_to_end(pool, result, now_us);
        if (reason == NOT_ENDED && stands_still(result, now_us))
            reason = ENDED_BY_STILL;
        if (reason != NOT_ENDED) {
            end_query(pool, result, reason);
            continue;
        }
        result->memory_now = process_copy_memory(result->child.process) - result->memory_before;
        memory += result->memory_now > 0 ? result->memory_now : 0;
        if (largest == NULL || result->memory_now > largest->memory_now)
            largest = result;
    }
    if (memory > pool->memory)
        end_query(pool, largest, ENDED_BY_MEMORY);
}

static void *watchdog_main(void *context)
{
    query_pool *pool = context;
    pthread_mutex_lock(&pool->lock);
    while (!pool->closing || pool->n_open > 0) {
        if (pool->running == NULL) {
            pthread_cond_wait(&pool->wake, &pool->lock);
            continue;
        }
        struct timespec at = thread_time_after(WATCH_US);
        pthread_cond_timedwait(&pool->wake, &pool->lock, &at);
        watch(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* ---- opening and closing ------------------------------------------------------------------- */

static void let_go(query_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    const bool last = --pool->n_holding == 0;
    pthread_mutex_unlock(&pool->lock);
    if (!last)
        return;
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->quiet);
    free(pool);
}

freshet_code query_pool_open(sql_engine *engine, int64_t memory, query_pool **out,
                             freshet_error *err)
{
    query_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return error_memory(err, "opening the debug table");
    pool->engine = engine;
    pool->memory = memory;
    pool->n_holding = 1;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_init(&pool->quiet, NULL);
    thread_condition(&pool->wake);
    if (!thread_start(&pool->watchdog, watchdog_main, pool)) {
        let_go(pool);
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL,
                         "the system gives no thread to watch over the debug table's queries");
    }
    *out = pool;
    return FRESHET_OK;
}

void query_pool_close(query_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_signal(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    pthread_join(pool->watchdog, NULL);
    let_go(pool);
}

void query_pool_lock(query_pool *pool)
{
    pthread_mutex_lock(&pool->quiet);
}

void query_pool_unlock(query_pool *pool)
{
    pthread_mutex_unlock(&pool->quiet);
}

/* ---- a result ------------------------------------------------------------------------------ */

/* The next frame, of one of two kinds; FRESHET_END for an END. What the process itself says went
 * wrong is the error. */
static freshet_code receive(pooled_result *result, wire_kind wanted, const char **bytes,
                            size_t *length, freshet_error *err)
{
    wire_kind kind = WIRE_END;
    freshet_code code = wire_receive(result->child.pipe, result->piece, &kind, bytes, length, err);
    if (code == FRESHET_END) {
        end_own(result, ENDED_BY_SYSTEM);
        return FRESHET_FAILED;
    }
    if (code != FRESHET_OK || kind == wanted)
        return code;
    if (kind == WIRE_END)
        return FRESHET_END;
    return kind == WIRE_ERROR ? wire_read_error(*bytes, *length, err)
                              : error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                                          "the query's process says what nobody expects");
}

static freshet_code take_piece(pooled_result *result, batch *out, freshet_error *err)
{
    const char *bytes = NULL;
    size_t length = 0;
    if (atomic_load(&result->ended) != NOT_ENDED)
        return FRESHET_FAILED; /* pool_explain() knows why */
    arena_reset(result->piece);
    freshet_code code = receive(result, WIRE_PIECE, &bytes, &length, err);
    return code == FRESHET_OK
               ? wire_read_rows(result->piece, bytes, length, &result->schema, out, err)
               : code;
}

/* The first piece came with the schema, but a result whose time is over gives none of it. */
static freshet_code next_piece(freshet_result *base, freshet_error *err)
{
    pooled_result *result = (pooled_result *)base;
    freshet_error found = {0};
    freshet_code code = result->first_code;
    if (code == FRESHET_OK && result->first.n_rows > 0) {
        base->piece = result->first;
        result->first.n_rows = 0;
        code = atomic_load(&result->ended) == NOT_ENDED ? FRESHET_OK : FRESHET_FAILED;
    } else if (code == FRESHET_OK) {
        code = take_piece(result, &base->piece, &found);
    }
    if (code == FRESHET_OK)
        return code;
    base->piece.n_rows = 0;
    end_own(result, NOT_ENDED);
    return code == FRESHET_END ? code : pool_explain(result, code, &found, err);
}

static void close_result(freshet_result *base)
{
    pooled_result *result = (pooled_result *)base;
    query_pool *pool = result->pool;
    end_own(result, NOT_ENDED);
    if (result->child.pipe >= 0)
        os.close(result->child.pipe);
    arena_close(result->piece);
    arena_close(result->kept);
    free(result);
    let_go(pool);
}

/* ---- running ------------------------------------------------------------------------------- */

static freshet_code read_options(const freshet_query_options *given, freshet_query_options *options,
                                 freshet_error *err)
{
    *options = (freshet_query_options){.size = sizeof *options};
    if (given != NULL) {
        if (given->size < sizeof given->size)
            return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                             "freshet_query_options.size must be sizeof(freshet_query_options)");
        memcpy(options, given, given->size < sizeof *options ? given->size : sizeof *options);
    }
    if (options->timeout_us == 0)
        options->timeout_us = QUERY_TIMEOUT_US;
    if (options->timeout_us < 0 ||
        (options->timeout_us > QUERY_TIMEOUT_MAX_US && options->timeout_us != FRESHET_NO_TIMEOUT))
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "the time limit of a query must be between 1 microsecond and %g seconds",
                         (double)QUERY_TIMEOUT_MAX_US / 1e6);
    return FRESHET_OK;
}

static freshet_code enter(query_pool *pool, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    pthread_mutex_lock(&pool->lock);
    if (pool->closing)
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "the pipeline is being closed");
    else if (pool->n_open >= QUERIES_MAX)
        code = error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL,
                         "%u queries are open, and there may not be more: close a result first",
                         QUERIES_MAX);
    else {
        pool->n_open++;
        pool->n_holding++;
    }
    pthread_mutex_unlock(&pool->lock);
    return code;
}

static pooled_result *make_result(query_pool *pool, const freshet_query_options *options)
{
    pooled_result *result = calloc(1, sizeof *result);
    if (result == NULL)
        return NULL;
    result->base =
        (freshet_result){.schema = &result->schema, .next = next_piece, .close = close_result};
    result->pool = pool;
    result->child.pipe = -1;
    result->piece = arena_open();
    result->kept = arena_open();
    result->timeout_us = options->timeout_us;
    result->deadline_us = options->timeout_us == FRESHET_NO_TIMEOUT
                              ? INT64_MAX
                              : os.monotonic_us() + options->timeout_us;
    result->cancelled = options->cancelled;
    result->context = options->context;
    return result;
}

/* Gives the result its process, and the process to the watchdog. */
static freshet_code pool_start(pooled_result *result, const char *sql, freshet_error *err)
{
    query_pool *pool = result->pool;
    freshet_code code = FRESHET_OK;
    if (result->piece == NULL || result->kept == NULL)
        code = error_memory(err, "running a query");
    query_pool_lock(pool);
    const int64_t memory_before = process_copy_memory(0);
    pthread_mutex_lock(&pool->lock);
    if (code == FRESHET_OK)
        code = query_child_start(pool->engine, sql, result->timeout_us, pool->memory,
                                 &result->child, err);
    if (code == FRESHET_OK) {
        result->memory_before = memory_before;
        result->next = pool->running;
        pool->running = result;
        pthread_cond_signal(&pool->wake);
    } else {
        pool->n_open--;
    }
    pthread_mutex_unlock(&pool->lock);
    query_pool_unlock(pool);
    return code;
}

/* The schema and the first rows: FRESHET_OK also where there is none. */
static freshet_code take_beginning(pooled_result *result, freshet_error *err)
{
    const char *bytes = NULL;
    size_t length = 0;
    freshet_code code = receive(result, WIRE_SCHEMA, &bytes, &length, err);
    if (code == FRESHET_OK)
        code = wire_read_schema(result->kept, bytes, length, &result->schema, err);
    if (code == FRESHET_OK)
        code = take_piece(result, &result->first, err);
    atomic_store(&result->has_begun, true);
    result->first_code = code;
    return code == FRESHET_END ? FRESHET_OK : code;
}

/* After a process that stood still: as if there had been none. */
static freshet_code forget_process(pooled_result *result, freshet_error *err)
{
    query_pool *pool = result->pool;
    freshet_code code = FRESHET_OK;
    os.close(result->child.pipe);
    result->child.pipe = -1;
    arena_reset(result->piece);
    arena_reset(result->kept);
    *err = (freshet_error){0};
    pthread_mutex_lock(&pool->lock);
    if (pool->closing)
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "the pipeline is being closed");
    else
        pool->n_open++;
    atomic_store(&result->has_begun, false);
    atomic_store(&result->ended, NOT_ENDED);
    pthread_mutex_unlock(&pool->lock);
    return code;
}

static freshet_code run_query_once(pooled_result *result, const char *sql, freshet_error *err)
{
    result->asleep = -1;
    freshet_code code = pool_start(result, sql, err);
    return code == FRESHET_OK ? take_beginning(result, err) : code;
}

freshet_code query_pool_run(query_pool *pool, const char *sql, const freshet_query_options *options,
                            freshet_result **out, freshet_error *err)
{
    freshet_query_options read;
    freshet_error found = {0};
    freshet_code code = read_options(options, &read, err);
    if (code == FRESHET_OK)
        code = enter(pool, err);
    if (code != FRESHET_OK)
        return code;
    pooled_result *result = make_result(pool, &read);
    if (result == NULL) {
        pthread_mutex_lock(&pool->lock);
        pool->n_open--;
        pthread_cond_signal(&pool->wake);
        pthread_mutex_unlock(&pool->lock);
        let_go(pool);
        return error_memory(err, "running a query");
    }
    code = run_query_once(result, sql, &found);
    for (int tries = 1;
         tries < STILL_TRIES && code != FRESHET_OK && atomic_load(&result->ended) == ENDED_BY_STILL;
         tries++) {
        code = forget_process(result, &found);
        if (code == FRESHET_OK)
            code = run_query_once(result, sql, &found);
    }
    if (code == FRESHET_OK) {
        *out = &result->base;
        return FRESHET_OK;
    }
    code = pool_explain(result, code, &found, err);
    close_result(&result->base);
    return code;
}
