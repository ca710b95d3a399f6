/* online_store.c - see online_store.h. */
#include "cli/online_store.h"

#include "base/error.h"
#include "declaration/declaration.h"
#include "pipeline/pipeline.h"
#include "writers/cassandra/cassandra_options.h"
#include "writers/cassandra/cql_load.h"

static freshet_code add_store(stores *stores, const online_options *online, freshet_error *err)
{
    const declaration *declaration = declaration_of(stores->declaration);
    store *store = &stores->items[stores->n++];
    freshet_code code =
        cassandra_place_make(online, declaration, stores->arena, &store->place, err);
    return code != FRESHET_OK
               ? code
               : cassandra_table_make(
                     stores->arena, &store->place, &online->cassandra, declaration, stores->schema,
                     feature_set_n_keys(stores->pipeline->features), &store->table, err);
}

static freshet_code find_stores(stores *stores, freshet_error *err)
{
    const declared_blocks *blocks = &declaration_of(stores->declaration)->sink.writers;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < blocks->n && stores->n < STORES_MAX; i++) {
        const declared_kind *kind = &((const writer_block *)blocks->items)[i].kind;
        const online_options *online = kind->options;
        if (kind->kind == &online_block && online->has_cassandra)
            code = add_store(stores, online, err);
    }
    if (code == FRESHET_OK && stores->n == 0)
        code = error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP,
                         declaration_of(stores->declaration)->file,
                         "the declaration has no online store: add `- online: {cassandra: {host: "
                         "..., keyspace: ...}}` under sink.writers");
    return code;
}

freshet_code online_stores_open(stores *stores, const char *file, freshet_error *err)
{
    *stores = (struct stores){0};
    freshet_code code = load_declaration(file, &stores->declaration, err);
    if (code == FRESHET_OK)
        code = open_pipeline(stores->declaration, NULL, &stores->pipeline, err);
    if (code != FRESHET_OK)
        return code;
    stores->schema = feature_set_schema(stores->pipeline->features);
    stores->arena = arena_open();
    if (stores->arena == NULL)
        return error_memory(err, "opening the online store");
    code = find_stores(stores, err);
    return code == FRESHET_OK ? cql_load(&stores->api, err) : code;
}

void online_stores_close(stores *stores)
{
    freshet_pipeline_close(stores->pipeline);
    freshet_declaration_close(stores->declaration);
    arena_close(stores->arena);
}

freshet_code online_store_connect(stores *stores, store *store, freshet_error *err)
{
    char text[CQL_TEXT_MAX] = "";
    cql_code code = stores->api->connect(&store->place.client, &store->session, text);
    return code == CQL_OK ? FRESHET_OK : cassandra_connect_error(err, &store->place, code, text);
}

void online_store_close(stores *stores, store *store)
{
    if (store->session != NULL)
        stores->api->close(store->session);
    store->session = NULL;
}

static void print_changes(const store *store, const table_changes *changes)
{
    const cassandra_table *table = &store->table;
    const bool drops = changes->n > 0 && changes->items[0].drops;
    if (changes->n == 0) {
        output_format("-- %s.%s fits the declaration: %u columns\n", table->keyspace, table->name,
                      table->n_columns);
    } else {
        output_format("-- %s.%s: %u change%s\n", table->keyspace, table->name, changes->n,
                      changes->n == 1 ? "" : "s");
        for (uint32_t i = 0; i < changes->n; i++)
            output_format("-- %s%s\n%s", changes->items[i].said,
                          changes->items[i].drops ? " (all that the table has is lost)" : "",
                          changes->items[i].cql);
    }
    for (uint32_t i = 0; i < changes->n_foreign; i++)
        output_format("-- the column \"%s\" is not the declaration's, and %s\n",
                      changes->foreign[i], drops ? "is lost with the table" : "stays as it is");
}

static freshet_code look_at(stores *stores, store *store, uint32_t replicas, online_store_fn *fn,
                            const void *context, uint32_t *n_changes, freshet_error *err)
{
    table_changes changes = {0};
    freshet_code code = online_store_connect(stores, store, err);
    if (code == FRESHET_OK)
        code = cassandra_table_compare(stores->api, store->session, stores->arena, &store->table,
                                       replicas, &changes, err);
    if (code != FRESHET_OK)
        return code;
    print_changes(store, &changes);
    if (changes.n > 0 && fn != NULL)
        code = fn(stores, store, &changes, context, err);
    *n_changes += code == FRESHET_OK ? changes.n : 0;
    return code;
}

freshet_code online_stores_compare(const char *file, uint32_t replicas, bool detailed_exitcode,
                                   online_store_fn *fn, const void *context, freshet_error *err)
{
    uint32_t n_changes = 0;
    stores stores;
    freshet_code code = online_stores_open(&stores, file, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < stores.n; i++) {
        code = look_at(&stores, &stores.items[i], replicas, fn, context, &n_changes, err);
        online_store_close(&stores, &stores.items[i]);
    }
    online_stores_close(&stores);
    if (detailed_exitcode && n_changes > 0)
        exit_with(EXIT_CHANGES);
    return code;
}
