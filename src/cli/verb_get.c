/* verb_get.c - freshet get FILE --key id=1: a feature vector, read back from the online store. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/online_store.h"
#include "features/cast.h"
#include "writers/cassandra/cql_values.h"

#define READING "reading from the online store"

typedef struct get_arguments {
    const char *file;
    argument_list keys;
    int format;
} get_arguments;

static const char *const get_formats[] = {"table", "json", NULL};

static const argument get_options[] = {
    {ARGUMENT("key", LIST, get_arguments, keys), .value = "NAME=VALUE",
     .doc = "the value of a key; once for each key of the feature set"},
    {ARGUMENT("format", CHOICE, get_arguments, format), .choices = get_formats,
     .doc = "default: table on a terminal, else json"},
    {.name = NULL},
};

/* The value given for a key; NULL, and an error, where there is none, or more than one. */
static const char *get_find_key(const get_arguments *given, const char *name, freshet_error *err)
{
    const size_t length = strlen(name);
    const char *value = NULL;
    for (uint32_t i = 0; i < given->keys.n; i++) {
        const char *item = given->keys.items[i];
        if (strncmp(item, name, length) != 0 || item[length] != '=')
            continue;
        if (value != NULL) {
            error_set(err, FRESHET_USAGE, FRESHET_STOP, "--key",
                      "the key \"%s\" has two values: give one", name);
            return NULL;
        }
        value = item + length + 1;
    }
    if (value != NULL)
        return value;
    error_set(err, FRESHET_USAGE, FRESHET_STOP, "--key",
              "the value of the key \"%s\" is missing: write --key %s=VALUE", name, name);
    return NULL;
}

static freshet_code get_check_names(const get_arguments *given, const cassandra_table *table,
                                    freshet_error *err)
{
    for (uint32_t i = 0; i < given->keys.n; i++) {
        const char *item = given->keys.items[i];
        const char *equals = strchr(item, '=');
        bool known = false;
        for (uint32_t k = 0; equals != NULL && k < table->n_keys; k++) {
            const size_t length = strlen(table->columns[k].name);
            known |= item + length == equals && memcmp(table->columns[k].name, item, length) == 0;
        }
        if (!known)
            return error_set(err, FRESHET_USAGE, FRESHET_STOP, "--key",
                             equals == NULL ? "\"%s\" must be of the form NAME=VALUE"
                                            : "\"%s\" names no key of the feature set",
                             item);
    }
    return FRESHET_OK;
}

/* Appends the key's value, of the column's type, as CQL has it. */
static freshet_code get_put_key(arena *arena, const char *name, const char *text, const type *to,
                                text_buffer *into, freshet_error *err)
{
    column from, made;
    uint64_t *failed = NULL;
    freshet_code code = column_init(arena, &from, type_simple(TYPE_STRING), 1, err);
    if (code != FRESHET_OK)
        return code;
    ((cell_text *)from.data)[0] = text_of(text, (uint32_t)strlen(text));
    if (!cast_possible(from.type, to))
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, "--key",
                         "the key \"%s\" is of a type that cannot be written on a command line",
                         name);
    code = cast_column(arena, &from, 1, to, &made, &failed, err);
    if (code == FRESHET_OK && failed != NULL) {
        const char *reason = cast_reason(arena, &from, 0, to);
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, "--key", "the key \"%s\": %s", name,
                         reason == NULL ? "the value does not fit its type" : reason);
    }
    if (code == FRESHET_OK && (!cql_value_put(into, &made, 0) || into->failed))
        code = error_memory(err, READING);
    return code;
}

static freshet_code bind_keys(const get_arguments *given, const stores *stores,
                              const cassandra_table *table, text_buffer *bytes, cql_value *values,
                              freshet_error *err)
{
    freshet_code code = get_check_names(given, table, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < table->n_keys; i++) {
        const char *text = get_find_key(given, table->columns[i].name, err);
        code =
            text == NULL
                ? FRESHET_USAGE
                : get_put_key(stores->arena, table->columns[i].name, text,
                              stores->items[0].columns.schema.fields[table->columns[i].field].type,
                              bytes, err);
    }
    if (code != FRESHET_OK)
        return code;
    const unsigned char *at = (const unsigned char *)bytes->bytes, *end = at + bytes->length;
    for (uint32_t i = 0; i < table->n_keys; i++)
        cql_value_next(&at, end, &values[i]);
    return FRESHET_OK;
}

static freshet_code get_decode(const stores *stores, const cassandra_table *table,
                               const cql_rows *rows, batch *out, freshet_error *err)
{
    freshet_code code = batch_init(out, stores->arena, &stores->items[0].columns.schema, 1, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < table->n_columns; i++) {
        const cql_value value = stores->api->rows_value(rows, 0, i);
        code = cql_value_get(stores->arena, &value, &out->columns[table->columns[i].field], 0, err);
    }
    out->n_rows = 1;
    return code;
}

static freshet_code print_row(const batch *row, bool as_table, freshet_error *err)
{
    const schema *schema = &row->schema;
    text_buffer text;
    size_t width = 0;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    freshet_code code = as_table ? FRESHET_OK : batch_row_to_json(row, 0, &text, err);
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        const size_t length = strlen(schema->fields[i].name);
        width = length > width ? length : width;
    }
    for (uint32_t i = 0; as_table && code == FRESHET_OK && i < schema->n_fields; i++) {
        text_format(&text, "%s%-*s  ", i == 0 ? "" : "\n", (int)width, schema->fields[i].name);
        code = column_to_json(&row->columns[i], 0, &text, err);
    }
    text_append_char(&text, '\n');
    if (code == FRESHET_OK)
        return output_text(&text, READING, err);
    text_release(&text);
    return code;
}

static freshet_code get_show(const get_arguments *given, const stores *stores,
                             const cassandra_table *table, const cql_rows *rows, freshet_error *err)
{
    batch row;
    if (stores->api->rows_count(rows) == 0)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, given->file,
                         "%s.%s has no row of this key", table->keyspace, table->name);
    freshet_code code = get_decode(stores, table, rows, &row, err);
    return code == FRESHET_OK
               ? print_row(&row, format_or_default(given->format) == FRESHET_TABLE, err)
               : code;
}

typedef struct asking {
    const cql_value *keys;
    cql_rows *rows; /* the answer */
} asking;

static freshet_code get_ask(void *context, stores *stores, store *store, freshet_error *err)
{
    asking *asking = context;
    char text[CQL_TEXT_MAX] = "";
    cql_statement *statement = NULL;
    const char *cql = cassandra_table_select(stores->arena, &store->table);
    if (cql == NULL)
        return error_memory(err, READING);
    cql_code code =
        stores->api->prepare(store->session, cql, store->place.read_consistency, &statement, text);
    if (code == CQL_OK)
        code = stores->api->query(store->session, NULL, statement, asking->keys,
                                  store->table.n_keys, &asking->rows, text);
    if (statement != NULL)
        stores->api->release(statement);
    return code == CQL_OK ? FRESHET_OK : cassandra_error(err, &store->place, READING, code, text);
}

static freshet_code get_row(const get_arguments *given, stores *stores, freshet_error *err)
{
    store *store = &stores->items[0];
    text_buffer bytes;
    text_init(&bytes, TEXT_LIMIT_DEFAULT);
    cql_value *keys = arena_zero(stores->arena, store->table.n_keys, sizeof *keys);
    asking asking = {.keys = keys};
    freshet_code code = keys == NULL ? error_memory(err, READING)
                                     : bind_keys(given, stores, &store->table, &bytes, keys, err);
    if (code == FRESHET_OK)
        code = online_store_use(stores, store, get_ask, &asking, err);
    if (code == FRESHET_OK)
        code = get_show(given, stores, &store->table, asking.rows, err);
    if (asking.rows != NULL)
        stores->api->rows_free(asking.rows);
    online_store_close(stores, store);
    text_release(&bytes);
    return code;
}

static freshet_code get_run(const void *arguments, freshet_error *err)
{
    const get_arguments *given = arguments;
    stores stores;
    freshet_code code = online_stores_open(&stores, given->file, NEED_STORE, err);
    if (code == FRESHET_OK)
        code = get_row(given, &stores, err);
    online_stores_close(&stores);
    return code;
}

const verb verb_get = {
    .name = "get",
    .operand = "FILE",
    .summary = "read a feature vector from the online store",
    .doc =
        "Reads the row of one key, as a model server would: its keys, the time of the event that "
        "it is\n"
        "of (`timestamp`), and all features. Exit code 1 where there is no such row.",
    .examples = "    freshet get flights.yaml --key origin=JFK\n"
                "    freshet get orders.yaml --key id=1 --key region=eu --format json\n",
    .arguments = get_options,
    .size = sizeof(get_arguments),
    .run = get_run,
};
