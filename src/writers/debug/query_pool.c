/* query_pool.c - see query_pool.h.
 *
 * A query that holds something in the engine is in the pool's list. One watchdog thread looks at
 * the list every WATCH_US (and sleeps while it is empty): a query whose time is over, that was
 * cancelled, or during which the process grew too much is marked, and from then on interrupted each
 * time until it is off the list. A query that is running notices the interrupt, and its own thread
 * gives everything back; one that is not (its caller reads slowly, or has forgotten it) is given
 * back by the watchdog.
 *
 * Two locks. result->lock is held during each call into the engine. pool->lock guards the list and
 * the counts, and whatever the watchdog looks at: a result is taken off the list before its session
 * is closed, so the watchdog never interrupts a closed one. The owner takes pool->lock while it
 * holds result->lock; the watchdog, the other way round, only tries.
 *
 * The rows given out are copies in the result's own arena, so they stay whole when the watchdog
 * closes the engine's side under them.
 */
#include "writers/debug/query_pool.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/os.h"
#include "base/thread.h"
#include "writers/debug/query_check.h"

#define WATCH_US INT64_C(5000)
#define MAKE_ROOM_US INT64_C(200000) /* how long the stream waits for queries to give memory back */

typedef enum ended_by {
    NOT_ENDED,
    ENDED_BY_TIME,
    ENDED_BY_MEMORY,
    ENDED_BY_CALLER,
    ENDED_BY_CLOSE
} ended_by;

typedef struct pooled_result {
    freshet_result base;
    query_pool *pool;
    pthread_mutex_t lock;
    sql_session *session;
    sql_statement *statement;
    sql_cursor *cursor; /* NULL: nothing is held in the engine any more */
    arena *piece;       /* the rows given out */
    arena *kept;        /* the schema */
    schema schema;
    int64_t timeout_us, deadline_us, memory_before;
    int64_t memory_limit;
    bool (*cancelled)(void *context);
    void *context;
    atomic_int ended; /* ended_by */
    struct pooled_result *next;
} pooled_result;

struct query_pool {
    sql_engine *engine;
    int64_t memory;
    int statm; /* /proc/self/statm, -1 where there is none */
    pthread_t watchdog;
    pthread_mutex_t lock;
    pthread_cond_t wake;    /* for the watchdog */
    pthread_cond_t changed; /* a query has given everything back */
    bool closing;
    pooled_result *running;
    uint32_t n_open;   /* queries that hold something, or are about to */
    uint32_t n_ending; /* marked ones among them */
};

/* ---- limits -------------------------------------------------------------------------------- */

/* Bytes of memory that the process has now, 0 where that cannot be known. */
static int64_t process_memory(const query_pool *pool)
{
    char text[128];
    ssize_t n = pool->statm < 0 ? -1 : os.pread(pool->statm, text, sizeof text - 1, 0);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    const char *second = strchr(text, ' '); /* all pages, resident pages, ... */
    return second == NULL ? 0 : strtoll(second, NULL, 10) * sysconf(_SC_PAGESIZE);
}

static ended_by reason_to_end(const query_pool *pool, const pooled_result *result, int64_t now_us,
                              int64_t memory)
{
    if (pool->closing)
        return ENDED_BY_CLOSE;
    if (now_us >= result->deadline_us)
        return ENDED_BY_TIME;
    if (memory - result->memory_before > pool->memory)
        return ENDED_BY_MEMORY;
    if (result->cancelled != NULL && result->cancelled(result->context))
        return ENDED_BY_CALLER;
    return NOT_ENDED;
}

/* What the caller is told: the engine's error in the words of the limit that was passed. */
static freshet_code pool_explain(const pooled_result *result, freshet_code code,
                                 const freshet_error *found, freshet_error *err)
{
    switch ((ended_by)atomic_load(&result->ended)) {
    case ENDED_BY_TIME:
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the query took longer than its limit of %g seconds (fetching its rows "
                         "included); ask for less, or give it more time",
                         (double)result->timeout_us / 1e6);
    case ENDED_BY_MEMORY:
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the query was ended because the debug table and its queries may use %g "
                         "MiB of memory; ask for fewer rows or columns",
                         (double)result->memory_limit / (1 << 20));
    case ENDED_BY_CALLER:
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL, "the query was cancelled");
    case ENDED_BY_CLOSE:
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the query was ended because its pipeline was closed");
    case NOT_ENDED: break;
    }
    if (code == FRESHET_LIMIT && strstr(found->text, "memory") != NULL)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the query needs more than the %g MiB of memory that the debug table and "
                         "its queries may use; ask for fewer rows or columns",
                         (double)result->memory_limit / (1 << 20));
    if (found->then == FRESHET_SKIP_ROW)
        code = FRESHET_USAGE;
    return error_set(err, code, code == FRESHET_TRY_AGAIN ? FRESHET_RETRY : FRESHET_STOP, NULL,
                     "%s", found->text);
}

/* ---- the list ------------------------------------------------------------------------------ */

static void mark(query_pool *pool, pooled_result *result, ended_by reason)
{
    if (atomic_load(&result->ended) != NOT_ENDED)
        return;
    atomic_store(&result->ended, reason);
    pool->n_ending++;
}

static void unlist(query_pool *pool, pooled_result *result)
{
    for (pooled_result **at = &pool->running; *at != NULL; at = &(*at)->next)
        if (*at == result) {
            *at = result->next;
            return;
        }
}

/* pool->lock is held; everything of the result is given back. */
static void leave(query_pool *pool, bool was_marked)
{
    pool->n_open--;
    if (was_marked)
        pool->n_ending--;
    pthread_cond_broadcast(&pool->changed);
    pthread_cond_signal(&pool->wake);
}

static void close_engine_side(pooled_result *result)
{
    sql_cursor_close(result->cursor);
    sql_statement_close(result->statement);
    sql_session_close(result->session); /* rolls the transaction back */
    result->cursor = NULL;
    result->statement = NULL;
    result->session = NULL;
}

/* By the owner; result->lock is held. */
static void give_back(pooled_result *result)
{
    if (result->session == NULL)
        return;
    query_pool *pool = result->pool;
    pthread_mutex_lock(&pool->lock);
    unlist(pool, result);
    bool was_marked = atomic_load(&result->ended) != NOT_ENDED;
    pthread_mutex_unlock(&pool->lock);
    close_engine_side(result);
    pthread_mutex_lock(&pool->lock);
    leave(pool, was_marked);
    pthread_mutex_unlock(&pool->lock);
}

/* ---- the watchdog -------------------------------------------------------------------------- */

/* Looks at every query once; pool->lock is held. */
static void watch(query_pool *pool)
{
    int64_t now_us = os.monotonic_us(), memory = process_memory(pool);
    pooled_result *next;
    for (pooled_result *result = pool->running; result != NULL; result = next) {
        next = result->next;
        ended_by reason = reason_to_end(pool, result, now_us, memory);
        if (reason != NOT_ENDED)
            mark(pool, result, reason);
        if (atomic_load(&result->ended) == NOT_ENDED)
            continue;
        sql_interrupt(result->session);
        if (pthread_mutex_trylock(&result->lock) != 0)
            continue; /* its owner is in the engine, and will notice */
        unlist(pool, result);
        close_engine_side(result);
        leave(pool, true);
        pthread_mutex_unlock(&result->lock);
    }
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

static void free_pool(query_pool *pool)
{
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    if (pool->statm >= 0)
        os.close(pool->statm);
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
    pool->statm = os.open("/proc/self/statm", O_RDONLY, 0);
    pthread_mutex_init(&pool->lock, NULL);
    thread_condition(&pool->wake);
    thread_condition(&pool->changed);
    if (!thread_start(&pool->watchdog, watchdog_main, pool)) {
        free_pool(pool);
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
    free_pool(pool);
}

void query_pool_make_room(query_pool *pool)
{
    struct timespec until = thread_time_after(MAKE_ROOM_US);
    pthread_mutex_lock(&pool->lock);
    for (pooled_result *result = pool->running; result != NULL; result = result->next)
        mark(pool, result, ENDED_BY_MEMORY);
    pthread_cond_signal(&pool->wake);
    while (pool->n_ending > 0)
        if (pthread_cond_timedwait(&pool->changed, &pool->lock, &until) != 0)
            break;
    pthread_mutex_unlock(&pool->lock);
}

/* ---- a result ------------------------------------------------------------------------------ */

/* Copies the texts that lie outside the column's cells. Recursion: at most TYPE_DEPTH_MAX deep. */
static bool own_texts(arena *arena, column *column, uint64_t n_rows)
{
    switch (column->type->kind) {
    case TYPE_STRING:
    case TYPE_BINARY:
        for (uint64_t i = 0; i < n_rows; i++) {
            cell_text *cell = &((cell_text *)column->data)[i];
            if (!column_is_valid(column, i) || cell->length <= TEXT_INLINE_MAX)
                continue;
            char *copy = arena_copy(arena, cell->as.outside.pointer, cell->length);
            if (copy == NULL)
                return false;
            cell->as.outside.pointer = copy;
        }
        return true;
    case TYPE_ARRAY: return own_texts(arena, &column->children[0], column->n_elements);
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < column->type->n_fields; i++)
            if (!own_texts(arena, &column->children[i], n_rows))
                return false;
        return true;
    default: return true;
    }
}

static freshet_code fetch(pooled_result *result, freshet_error *err)
{
    arena_reset(result->piece);
    batch *piece = &result->base.piece;
    freshet_code code = sql_next(result->cursor, result->piece, piece, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < piece->schema.n_fields; i++)
        if (!own_texts(result->piece, &piece->columns[i], piece->n_rows))
            code = error_memory(err, "reading the result of a query");
    return code;
}

static freshet_code next_piece(freshet_result *base, freshet_error *err)
{
    pooled_result *result = (pooled_result *)base;
    freshet_error found = {0};
    freshet_code code;
    pthread_mutex_lock(&result->lock);
    if (result->cursor != NULL)
        code = fetch(result, &found);
    else
        code = FRESHET_FAILED; /* ended by the watchdog: pool_explain() knows why */
    if (code != FRESHET_OK)
        give_back(result);
    pthread_mutex_unlock(&result->lock);
    if (code == FRESHET_OK || code == FRESHET_END)
        return code;
    return pool_explain(result, code, &found, err);
}

static void close_result(freshet_result *base)
{
    pooled_result *result = (pooled_result *)base;
    pthread_mutex_lock(&result->lock);
    give_back(result);
    pthread_mutex_unlock(&result->lock);
    pthread_mutex_destroy(&result->lock);
    arena_close(result->piece);
    arena_close(result->kept);
    free(result);
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
    if (options->timeout_us < 0 || options->timeout_us > QUERY_TIMEOUT_MAX_US)
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
    else
        pool->n_open++;
    pthread_mutex_unlock(&pool->lock);
    return code;
}

static freshet_code make_result(query_pool *pool, const freshet_query_options *options,
                                pooled_result **out, freshet_error *err)
{
    pooled_result *result = calloc(1, sizeof *result);
    if (result == NULL)
        return error_memory(err, "running a query");
    result->base =
        (freshet_result){.schema = &result->schema, .next = next_piece, .close = close_result};
    result->pool = pool;
    result->piece = arena_open();
    result->kept = arena_open();
    result->timeout_us = options->timeout_us;
    result->deadline_us = os.monotonic_us() + options->timeout_us;
    result->memory_before = process_memory(pool);
    result->memory_limit = pool->memory;
    result->cancelled = options->cancelled;
    result->context = options->context;
    pthread_mutex_init(&result->lock, NULL);
    freshet_code code = FRESHET_OK;
    if (result->piece == NULL || result->kept == NULL)
        code = error_memory(err, "running a query");
    if (code == FRESHET_OK)
        code = sql_session_open(pool->engine, &result->session, err);
    if (code != FRESHET_OK)
        close_result(&result->base);
    else
        *out = result;
    return code;
}

static freshet_code pool_start(pooled_result *result, const char *sql, freshet_error *err)
{
    freshet_code code = sql_execute(result->session, "BEGIN TRANSACTION READ ONLY", NULL, err);
    if (code == FRESHET_OK)
        code = query_check(result->session, sql, err);
    if (code == FRESHET_OK)
        code = sql_prepare(result->session, sql, &result->statement, NULL, err);
    if (code != FRESHET_OK)
        return code;
    const schema *schema = sql_statement_schema(result->statement);
    result->schema = schema_keep(result->kept, schema);
    if (schema->n_fields > 0 && result->schema.fields == NULL)
        return error_memory(err, "running a query");
    return sql_cursor_open(result->statement, &result->cursor, err);
}

freshet_code query_pool_run(query_pool *pool, const char *sql, const freshet_query_options *options,
                            freshet_result **out, freshet_error *err)
{
    freshet_query_options read;
    freshet_code code = read_options(options, &read, err);
    if (code == FRESHET_OK)
        code = enter(pool, err);
    if (code != FRESHET_OK)
        return code;
    pooled_result *result = NULL;
    code = make_result(pool, &read, &result, err);
    if (result == NULL) {
        pthread_mutex_lock(&pool->lock);
        leave(pool, false);
        pthread_mutex_unlock(&pool->lock);
        return code;
    }
    freshet_error found = {0};
    pthread_mutex_lock(&result->lock);
    pthread_mutex_lock(&pool->lock);
    result->next = pool->running;
    pool->running = result;
    pthread_cond_signal(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    code = pool_start(result, sql, &found);
    if (code != FRESHET_OK)
        give_back(result);
    pthread_mutex_unlock(&result->lock);
    if (code == FRESHET_OK) {
        *out = &result->base;
        return FRESHET_OK;
    }
    code = pool_explain(result, code, &found, err);
    close_result(&result->base);
    return code;
}
