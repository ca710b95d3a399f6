/* cassandra_connect.c - see cassandra_connect.h.
 *
 * The thread of an attempt and its owner share two flags under a lock: `is_over`, which the thread
 * sets, and `is_abandoned`, which the owner sets. Who sets the second one of the two frees the
 * attempt.
 */
#include "writers/cassandra/cassandra_connect.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "base/thread.h"
#include "declaration/value.h"

#define CONNECTING "connecting to the online store"
#define ABANDON_WAIT_MS 300

struct attempt {
    pthread_t thread;
    pthread_mutex_t lock;
    bool is_over, is_abandoned;
    int event_fd;
    arena *arena;
    cassandra_place place;
    cassandra_table table;
    connect_goal goal;
    freshet_code code; /* what came of it */
    freshet_error problem;
    connection made;
};

/* ---- now ------------------------------------------------------------------------------------- */

static freshet_code connect_prepare(const connect_goal *goal, arena *arena, connection *out,
                                    freshet_error *err)
{
    char text[CQL_TEXT_MAX] = "";
    table_changes changes;
    freshet_code code = cassandra_table_compare(goal->api, out->session, arena, goal->place,
                                                goal->table, 0, &changes, err);
    if (code == FRESHET_OK)
        code = cassandra_table_require(goal->table, &changes, goal->file, err);
    if (code == FRESHET_OK)
        code = cassandra_table_accept(goal->place, goal->table, &changes, goal->file, err);
    if (code != FRESHET_OK)
        return code;
    const char *cql = cassandra_table_insert(arena, goal->table, goal->with_ttl);
    if (cql == NULL)
        return error_memory(err, CONNECTING);
    const cql_code said =
        goal->api->prepare(out->session, cql, goal->place->write_consistency, &out->insert, text);
    return said == CQL_OK
               ? FRESHET_OK
               : cassandra_error(err, goal->place, "cannot prepare writing to the online store",
                                 said, text);
}

freshet_code cassandra_connect(const connect_goal *goal, arena *arena, connection *out,
                               freshet_error *err)
{
    char text[CQL_TEXT_MAX] = "";
    *out = (connection){0};
    const cql_code said = goal->api->connect(&goal->place->client, &out->session, text);
    if (said != CQL_OK)
        return cassandra_connect_error(err, goal->place, said, text);
    freshet_code code = connect_prepare(goal, arena, out, err);
    if (code != FRESHET_OK)
        connection_close(goal->api, out);
    return code;
}

void connection_close(const cql_api *api, connection *connection)
{
    if (connection->insert != NULL)
        api->release(connection->insert);
    if (connection->session != NULL)
        api->close(connection->session);
    connection->insert = NULL;
    connection->session = NULL;
}

/* ---- with patience --------------------------------------------------------------------------- */

freshet_code cassandra_patiently(connect_try_fn *attempt, void *context, int64_t patience_us,
                                 freshet_error *err)
{
    const int64_t begin_us = os.monotonic_us();
    int64_t pause_us = CONNECT_PAUSE_FIRST_US;
    char patience[VALUE_TEXT_MAX];
    for (bool is_first = true;; is_first = false) {
        freshet_error problem = {0};
        const freshet_code code = attempt(context, &problem);
        const int64_t waited_us = os.monotonic_us() - begin_us;
        if (code == FRESHET_OK && !is_first)
            log_event(STORE_BACK, "online");
        if (code != FRESHET_OK &&
            (problem.then != FRESHET_RETRY || waited_us + pause_us > patience_us)) {
            if (err != NULL)
                *err = problem;
            return code;
        }
        if (code == FRESHET_OK)
            return code;
        value_format(OPTION_DURATION, patience_us, patience);
        if (is_first)
            log_event(STORE_TROUBLE, "online", problem.text, patience);
        os.poll(NULL, 0, (int)(pause_us / 1000));
        pause_us = pause_us * 2 < CONNECT_PAUSE_MAX_US ? pause_us * 2 : CONNECT_PAUSE_MAX_US;
    }
}

/* ---- in a thread of its own ------------------------------------------------------------------ */

static void attempt_free(attempt *attempt)
{
    if (attempt->event_fd >= 0)
        os.close(attempt->event_fd);
    connection_close(attempt->goal.api, &attempt->made);
    arena_close(attempt->arena);
    pthread_mutex_destroy(&attempt->lock);
    free(attempt);
}

static void *attempt_run(void *context)
{
    attempt *attempt = context;
    const uint64_t one = 1;
    attempt->code =
        cassandra_connect(&attempt->goal, attempt->arena, &attempt->made, &attempt->problem);
    pthread_mutex_lock(&attempt->lock);
    attempt->is_over = true;
    const bool is_mine = attempt->is_abandoned;
    const ssize_t ignored = write(attempt->event_fd, &one, sizeof one); /* it has room */
    (void)ignored;
    pthread_mutex_unlock(&attempt->lock);
    if (is_mine)
        attempt_free(attempt);
    return NULL;
}

/* A text in the arena; NULL stays NULL. False where memory is out. */
static bool connect_keep(arena *arena, const char **text)
{
    if (*text != NULL)
        *text = arena_text(arena, *text);
    return !arena_failed(arena);
}

static bool keep_place(arena *arena, cassandra_place *place)
{
    cql_options *client = &place->client;
    return connect_keep(arena, &place->keyspace) && connect_keep(arena, &place->table) &&
           connect_keep(arena, &client->hosts) && connect_keep(arena, &client->local_dc) &&
           connect_keep(arena, &client->user) && connect_keep(arena, &client->password) &&
           connect_keep(arena, &client->ca_file) && connect_keep(arena, &client->cert_file) &&
           connect_keep(arena, &client->key_file);
}

static bool keep_table(arena *arena, cassandra_table *table)
{
    table_column *columns = arena_zero(arena, table->n_columns + (size_t)1, sizeof *columns);
    bool done = columns != NULL;
    for (uint32_t i = 0; done && i < table->n_columns; i++) {
        columns[i] = table->columns[i];
        done = connect_keep(arena, &columns[i].name) && connect_keep(arena, &columns[i].quoted) &&
               connect_keep(arena, &columns[i].type);
    }
    table->columns = columns;
    return done && connect_keep(arena, &table->keyspace) && connect_keep(arena, &table->name) &&
           connect_keep(arena, &table->quoted);
}

static attempt *attempt_make(const connect_goal *goal)
{
    attempt *made = calloc(1, sizeof *made);
    if (made == NULL)
        return NULL;
    pthread_mutex_init(&made->lock, NULL);
    made->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    made->arena = arena_open();
    made->place = *goal->place;
    made->table = *goal->table;
    made->goal = *goal;
    made->goal.place = &made->place;
    made->goal.table = &made->table;
    if (made->event_fd >= 0 && made->arena != NULL && keep_place(made->arena, &made->place) &&
        keep_table(made->arena, &made->table) && connect_keep(made->arena, &made->goal.file))
        return made;
    attempt_free(made);
    return NULL;
}

freshet_code attempt_start(const connect_goal *goal, attempt **out, freshet_error *err)
{
    attempt *made = attempt_make(goal);
    if (made != NULL && thread_start(&made->thread, attempt_run, made)) {
        *out = made;
        return FRESHET_OK;
    }
    if (made != NULL)
        attempt_free(made);
    return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, goal->place->client.hosts,
                     "cannot connect to the online store: the system gives no thread, descriptor "
                     "or memory for it");
}

int attempt_fd(const attempt *attempt)
{
    return attempt->event_fd;
}

bool attempt_is_over(const attempt *attempt)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&attempt->lock;
    pthread_mutex_lock(lock);
    const bool is_over = attempt->is_over;
    pthread_mutex_unlock(lock);
    return is_over;
}

freshet_code attempt_end(attempt *attempt, connection *out, freshet_error *err)
{
    pthread_join(attempt->thread, NULL);
    const freshet_code code = attempt->code;
    *out = attempt->made;
    attempt->made = (connection){0};
    if (code != FRESHET_OK && err != NULL)
        *err = attempt->problem;
    attempt_free(attempt);
    return code;
}

void attempt_abandon(attempt *attempt)
{
    if (attempt == NULL)
        return;
    struct pollfd fd = {.fd = attempt->event_fd, .events = POLLIN};
    const pthread_t thread = attempt->thread;
    poll(&fd, 1, ABANDON_WAIT_MS);
    pthread_mutex_lock(&attempt->lock);
    attempt->is_abandoned = true;
    const bool is_mine = attempt->is_over;
    pthread_mutex_unlock(&attempt->lock);
    if (!is_mine) {
        pthread_detach(thread);
        return;
    }
    pthread_join(thread, NULL);
    attempt_free(attempt);
}
