/* online_store.c - see online_store.h. */
#include "cli/online_store.h"

#include "base/error.h"
#include "declaration/declaration.h"
#include "pipeline/pipeline.h"
#include "writers/cassandra/cassandra_connect.h"
#include "writers/cassandra/cassandra_options.h"
#include "writers/cassandra/cql_load.h"
#include "writers/history/history.h"

static freshet_code add_store(stores *stores, uint32_t i, const online_options *online,
                              freshet_error *err)
{
    const declaration *declaration = declaration_of(stores->declaration);
    store *store = &stores->items[stores->n++];
    store->patience_us = online->cassandra.patience_us;
    store->ttl_us = online->ttl_us;
    store->columns = stores->pipeline->sinks[i].columns;
    freshet_code code =
        cassandra_place_make(online, declaration, stores->arena, &store->place, err);
    return code != FRESHET_OK
               ? code
               : cassandra_table_make(stores->arena, &store->place, &online->cassandra, declaration,
                                      &store->columns.schema,
                                      feature_set_n_keys(stores->pipeline->features), &store->table,
                                      err);
}

/* A history or a state. */
static bool has_other(const stores *stores)
{
    if (stores->pipeline->declaration->is_stream)
        return true;
    for (uint32_t i = 0; i < stores->pipeline->n_sinks; i++)
        if (stores->pipeline->sinks[i].ops == &history_writer_ops)
            return true;
    return false;
}

static freshet_code find_stores(stores *stores, stores_need need, freshet_error *err)
{
    const declared_blocks *blocks = &declaration_of(stores->declaration)->sink.writers;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < blocks->n && stores->n < STORES_MAX; i++) {
        const declared_kind *kind = &((const writer_block *)blocks->items)[i].kind;
        const online_options *online = kind->options;
        if (kind->kind == &online_block && online->has_cassandra)
            code = add_store(stores, i, online, err);
    }
    if (code == FRESHET_OK && stores->n == 0 && need != NEED_NOTHING &&
        !(need == NEED_STORE_OR_OTHER && has_other(stores)))
        code = error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP,
                         declaration_of(stores->declaration)->file,
                         "the declaration has no online store: add `- online: {cassandra: {host: "
                         "..., keyspace: ...}}` under sink.writers");
    return code;
}

freshet_code online_stores_open(stores *stores, const char *file, stores_need need,
                                freshet_error *err)
{
    *stores = (struct stores){0};
    freshet_code code = load_declaration(file, &stores->declaration, err);
    if (code == FRESHET_OK)
        code = open_pipeline(stores->declaration, NULL, &stores->pipeline, err);
    if (code != FRESHET_OK)
        return code;
    stores->arena = arena_open();
    if (stores->arena == NULL)
        return error_memory(err, "opening the online store");
    code = find_stores(stores, need, err);
    return code == FRESHET_OK && stores->n > 0 ? cql_load(&stores->api, err) : code;
}

void online_stores_close(stores *stores)
{
    freshet_pipeline_close(stores->pipeline);
    freshet_declaration_close(stores->declaration);
    arena_close(stores->arena);
}

typedef struct using
{
    stores *stores;
    store *store;
    store_use_fn *use;
    void *context;
}
using;

static freshet_code use_once(void *context, freshet_error *err)
{
    const using *using = context;
    store *store = using->store;
    char text[CQL_TEXT_MAX] = "";
    const cql_code said = using->stores->api->connect(&store->place.client, &store->session, text);
    const freshet_code code = said == CQL_OK
                                  ? using->use(using->context, using->stores, store, err)
                                  : cassandra_connect_error(err, &store->place, said, text);
    if (code != FRESHET_OK)
        online_store_close(using->stores, store);
    return code;
}

freshet_code online_store_use(stores *stores, store *store, store_use_fn *use, void *context,
                              freshet_error *err)
{
    using using = {.stores = stores, .store = store, .use = use, .context = context};
    return cassandra_patiently(use_once, &using, store->patience_us, err);
}

void online_store_close(stores *stores, store *store)
{
    if (store->session != NULL)
        stores->api->close(store->session);
    store->session = NULL;
}
