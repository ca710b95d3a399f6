/* serving_store.c - see serving_store.h. The session is the connecting thread's until `is_ready`,
 * under the lock, and the asking one's from then on. */
#include "serving/serving_store.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "writers/cassandra/cql_values.h"

#define READING "cannot read from the online store"
#define CONNECT_AGAIN_US INT64_C(1000000)
#define FIELD_NONE UINT32_MAX

struct serving_store {
    const cql_api *api;
    cassandra_place place;
    const char *cql;
    uint32_t n_keys; /* of the table, in its order */
    const uint32_t *key_fields;
    uint32_t n_columns;     /* of an answer */
    const uint32_t *fields; /* of each: which field of what is served */
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_ready, is_stopping;
    freshet_error problem;
    cql_session *session;
    cql_statement *statement;
};

/* ---- connecting ------------------------------------------------------------------------------ */

static freshet_code connect_store(serving_store *store, freshet_error *err)
{
    char text[CQL_TEXT_MAX] = "";
    cql_code said = store->api->connect(&store->place.client, &store->session, text);
    if (said != CQL_OK) {
        store->session = NULL;
        return cassandra_connect_error(err, &store->place, said, text);
    }
    said = store->api->prepare(store->session, store->cql, store->place.read_consistency,
                               &store->statement, text);
    if (said == CQL_OK)
        return FRESHET_OK;
    store->api->close(store->session);
    store->session = NULL;
    return cassandra_error(err, &store->place, READING, said, text);
}

static void *connecting_main(void *context)
{
    serving_store *store = context;
    bool is_said = false;
    pthread_mutex_lock(&store->lock);
    while (!store->is_stopping && !store->is_ready) {
        freshet_error problem = {0};
        pthread_mutex_unlock(&store->lock);
        const freshet_code code = connect_store(store, &problem);
        if (code != FRESHET_OK && !is_said)
            log_event(SERVING_STORE_AWAY, "serve", problem.text);
        is_said = is_said || code != FRESHET_OK;
        pthread_mutex_lock(&store->lock);
        store->problem = problem;
        store->is_ready = code == FRESHET_OK;
        if (store->is_ready || store->is_stopping)
            break;
        const struct timespec until = thread_time_after(CONNECT_AGAIN_US);
        pthread_cond_timedwait(&store->changed, &store->lock, &until);
    }
    pthread_mutex_unlock(&store->lock);
    if (store->is_ready && is_said)
        log_event(SERVING_STORE_BACK, "serve");
    return NULL;
}

bool serving_store_is_ready(serving_store *store, freshet_error *why)
{
    pthread_mutex_lock(&store->lock);
    const bool is_ready = store->is_ready;
    if (!is_ready && why != NULL)
        *why = store->problem;
    pthread_mutex_unlock(&store->lock);
    if (!is_ready && why != NULL && why->text[0] == '\0')
        error_set(why, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL,
                  "the online store is being connected to");
    return is_ready;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Which field is served under the name; the key columns and `timestamp` are among them. */
static uint32_t served_field(const serving_store_options *options, const table_column *column)
{
    const char *name = options->stored->fields[column->field].name;
    for (uint32_t i = 0; i < options->served->n_fields; i++)
        if (strcmp(options->served->fields[i].name, name) == 0)
            return i;
    return FIELD_NONE;
}

static freshet_code make_select(serving_store *store, const serving_store_options *options,
                                arena *arena, freshet_error *err)
{
    const cassandra_table *table = options->table;
    uint32_t *fields = arena_alloc(arena, table->n_columns * sizeof *fields);
    uint32_t *keys = arena_alloc(arena, table->n_keys * sizeof *keys);
    text_buffer text;
    if (fields == NULL || keys == NULL)
        return error_memory(err, READING);
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < table->n_columns; i++) {
        const uint32_t field = served_field(options, &table->columns[i]);
        if (i < table->n_keys)
            keys[i] = field;
        if (i < table->n_keys || field == FIELD_NONE)
            continue;
        text_format(&text, "%s%s", store->n_columns == 0 ? "SELECT " : ", ",
                    table->columns[i].quoted);
        fields[store->n_columns++] = field;
    }
    text_format(&text, " FROM %s", table->quoted);
    for (uint32_t i = 0; i < table->n_keys; i++)
        text_format(&text, "%s%s = ?", i == 0 ? " WHERE " : " AND ", table->columns[i].quoted);
    store->cql = text_keep(&text, arena);
    store->fields = fields;
    store->key_fields = keys;
    store->n_keys = table->n_keys;
    return store->cql == NULL ? error_memory(err, READING) : FRESHET_OK;
}

static void shorten(int32_t *timeout_ms, int32_t most)
{
    if (*timeout_ms <= 0 || *timeout_ms > most)
        *timeout_ms = most;
}

freshet_code serving_store_open(const serving_store_options *options, arena *arena,
                                serving_store **out, freshet_error *err)
{
    serving_store *store = arena_zero(arena, 1, sizeof *store);
    if (store == NULL)
        return error_memory(err, READING);
    store->api = options->api;
    store->place = *options->place;
    shorten(&store->place.client.connect_timeout_ms, SERVING_CONNECT_TIMEOUT_MS);
    shorten(&store->place.client.request_timeout_ms, SERVING_REQUEST_TIMEOUT_MS);
    freshet_code code = make_select(store, options, arena, err);
    if (code != FRESHET_OK)
        return code;
    pthread_mutex_init(&store->lock, NULL);
    thread_condition(&store->changed);
    store->has_thread = thread_start(&store->thread, connecting_main, store);
    if (!store->has_thread) {
        serving_store_close(store);
        return error_system(err, "cannot start a thread", "for the online store");
    }
    *out = store;
    return FRESHET_OK;
}

void serving_store_close(serving_store *store)
{
    if (store == NULL)
        return;
    pthread_mutex_lock(&store->lock);
    store->is_stopping = true;
    pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->lock);
    if (store->has_thread)
        pthread_join(store->thread, NULL);
    if (store->statement != NULL)
        store->api->release(store->statement);
    if (store->session != NULL)
        store->api->close(store->session);
    pthread_cond_destroy(&store->changed);
    pthread_mutex_destroy(&store->lock);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* A cell that has no form in the store (an array with a null) is a key of no row: then 0. */
static bool bind_row(const serving_store *store, const serving_asking *asking, uint32_t row,
                     text_buffer *bytes)
{
    for (uint32_t k = 0; k < store->n_keys; k++)
        if (!cql_value_put(bytes, &asking->keys[store->key_fields[k]], row))
            return false;
    return true;
}

static freshet_code decode_stored(const serving_store *store, const serving_asking *asking,
                                  const cql_rows *rows, uint32_t at, uint32_t row,
                                  freshet_error *err)
{
    const uint32_t time = asking->set->n_keys;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < store->n_columns; i++) {
        const uint32_t field = store->fields[i];
        const cql_value value = store->api->rows_value(rows, at, i);
        if (asking->wanted[field])
            code = cql_value_get(asking->arena, &value, &asking->into[field], row, err);
    }
    /* of a row that another feature set has in the same table, nothing is this one's */
    asking->found[row] = column_is_valid(&asking->into[time], row);
    return code;
}

typedef struct store_batch {
    cql_value *values;
    uint32_t *rows; /* whose they are */
    uint32_t *counts;
    uint32_t n;
    text_buffer bytes;
} store_batch;

static freshet_code bind_all(const serving_store *store, const serving_asking *asking,
                             store_batch *batch, freshet_error *err)
{
    const uint32_t n = asking->n_rows;
    batch->values = arena_alloc(asking->arena, n * (size_t)store->n_keys * sizeof *batch->values);
    batch->rows = arena_alloc(asking->arena, n * sizeof *batch->rows);
    batch->counts = arena_zero(asking->arena, n, sizeof *batch->counts);
    if (batch->values == NULL || batch->rows == NULL || batch->counts == NULL)
        return error_memory(err, READING);
    for (uint32_t i = 0; i < n; i++) {
        const size_t begin = batch->bytes.length;
        if (bind_row(store, asking, asking->rows[i], &batch->bytes))
            batch->rows[batch->n++] = asking->rows[i];
        else if (!batch->bytes.failed)
            batch->bytes.length = begin;
    }
    if (batch->bytes.failed)
        return error_memory(err, READING);
    const unsigned char *at = (const unsigned char *)batch->bytes.bytes;
    const unsigned char *end = at + batch->bytes.length;
    for (uint32_t i = 0; i < batch->n * store->n_keys; i++)
        cql_value_next(&at, end, &batch->values[i]);
    return FRESHET_OK;
}

static freshet_code read_many(serving_store *store, const serving_asking *asking,
                              store_batch *batch, freshet_error *err)
{
    char text[CQL_TEXT_MAX] = "";
    cql_rows *rows = NULL;
    const cql_code said =
        store->api->query_many(store->session, store->statement, batch->values, store->n_keys,
                               batch->n, batch->counts, &rows, text);
    freshet_code code =
        said == CQL_OK ? FRESHET_OK : cassandra_error(err, &store->place, READING, said, text);
    uint32_t at = 0;
    for (uint32_t i = 0; code == FRESHET_OK && i < batch->n; at += batch->counts[i], i++)
        if (batch->counts[i] > 0)
            code = decode_stored(store, asking, rows, at, batch->rows[i], err);
    if (rows != NULL)
        store->api->rows_free(rows);
    return code;
}

static freshet_code read_one(serving_store *store, const serving_asking *asking,
                             const store_batch *batch, uint32_t i, freshet_error *err)
{
    char text[CQL_TEXT_MAX] = "";
    cql_rows *rows = NULL;
    const cql_code said =
        store->api->query(store->session, NULL, store->statement,
                          &batch->values[i * (size_t)store->n_keys], store->n_keys, &rows, text);
    freshet_code code =
        said == CQL_OK ? FRESHET_OK : cassandra_error(err, &store->place, READING, said, text);
    if (code == FRESHET_OK && store->api->rows_count(rows) > 0)
        code = decode_stored(store, asking, rows, 0, batch->rows[i], err);
    if (rows != NULL)
        store->api->rows_free(rows);
    return code;
}

freshet_code serving_store_ask(serving_store *store, const serving_asking *asking,
                               freshet_error *err)
{
    store_batch batch = {0};
    freshet_error why = {0};
    if (!serving_store_is_ready(store, &why))
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL,
                         "Some of these keys are not in memory, and cannot be looked up: %s.",
                         why.text);
    text_init(&batch.bytes, TEXT_LIMIT_DEFAULT);
    freshet_code code = bind_all(store, asking, &batch, err);
    if (code == FRESHET_OK && batch.n > 0 && cql_has_many(store->api))
        code = read_many(store, asking, &batch, err);
    else
        for (uint32_t i = 0; code == FRESHET_OK && i < batch.n; i++)
            code = read_one(store, asking, &batch, i, err);
    text_release(&batch.bytes);
    return code;
}
