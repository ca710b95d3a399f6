/* cassandra_table.c - see cassandra_table.h. */
#include "writers/cassandra/cassandra_table.h"

#include <string.h>

#include "base/error.h"
#include "writers/cassandra/cql_values.h"

#define OPENING "working out the online store's table"
#define STATEMENT_BYTES_MAX ((size_t)8 << 20)

/* ---- the table of a declaration -------------------------------------------------------------- */

/* n_keys: it is none. */
static uint32_t table_key_of(const schema *schema, uint32_t n_keys, const char *name)
{
    uint32_t k = 0;
    while (k < n_keys && strcmp(schema->fields[k].name, name) != 0)
        k++;
    return k;
}

static bool is_in_partition(const cassandra_table *table, uint32_t field)
{
    for (uint32_t i = 0; i < table->n_partition; i++)
        if (table->columns[i].field == field)
            return true;
    return false;
}

static freshet_code check_partition(const cassandra_options *options, const schema *schema,
                                    uint32_t n_keys, freshet_error *err)
{
    const declared_list *names = &options->partition_by;
    char at[128];
    for (uint32_t i = 0; i < names->n; i++) {
        const bool known = table_key_of(schema, n_keys, names->items[i].value) < n_keys;
        bool twice = false;
        for (uint32_t k = 0; k < i; k++)
            twice = twice || strcmp(names->items[k].value, names->items[i].value) == 0;
        if (!known || twice)
            return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP,
                             place_text(&names->items[i].at, at, sizeof at),
                             known ? "partition_by names \"%s\" twice"
                                   : "partition_by names \"%s\", which is no key of the feature "
                                     "set: it can name keys only",
                             names->items[i].value);
    }
    return FRESHET_OK;
}

static freshet_code table_add_column(arena *arena, const schema *schema, uint32_t field,
                                     table_column_kind kind, table_column *columns,
                                     cassandra_table *out, const declaration *declaration,
                                     freshet_error *err)
{
    table_column *column = &columns[out->n_columns++];
    *column = (table_column){.name = schema->fields[field].name, .kind = kind, .field = field};
    freshet_code code = cql_type_name(arena, schema->fields[field].type, &column->type, err);
    if (code == FRESHET_OK && column->type == NULL)
        code = error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, declaration->file,
                         "the feature \"%s\" is of a type that Cassandra's tables do not have: "
                         "give it another type",
                         column->name);
    return code;
}

freshet_code cassandra_table_make(arena *arena, const cassandra_place *place,
                                  const cassandra_options *options, const declaration *declaration,
                                  const schema *schema, uint32_t n_keys, cassandra_table *out,
                                  freshet_error *err)
{
    *out = (cassandra_table){.keyspace = place->keyspace,
                             .name = place->table,
                             .n_keys = n_keys,
                             .is_shared = place->is_shared};
    table_column *columns = arena_zero(arena, schema->n_fields, sizeof *columns);
    if (columns == NULL)
        return error_memory(err, OPENING);
    out->columns = columns;
    freshet_code code = check_partition(options, schema, n_keys, err);
    out->n_partition = options->partition_by.n == 0 ? 1 : options->partition_by.n;
    for (uint32_t i = 0; code == FRESHET_OK && i < out->n_partition; i++) {
        const uint32_t key =
            options->partition_by.n == 0
                ? 0
                : table_key_of(schema, n_keys, options->partition_by.items[i].value);
        code =
            table_add_column(arena, schema, key, COLUMN_PARTITION, columns, out, declaration, err);
    }
    for (uint32_t i = 0; code == FRESHET_OK && i < n_keys; i++)
        if (!is_in_partition(out, i))
            code = table_add_column(arena, schema, i, COLUMN_CLUSTERING, columns, out, declaration,
                                    err);
    for (uint32_t i = n_keys; code == FRESHET_OK && i < schema->n_fields; i++)
        code = table_add_column(arena, schema, i, COLUMN_REGULAR, columns, out, declaration, err);
    return code;
}

/* ---- statements ------------------------------------------------------------------------------ */

static void put_name(text_buffer *into, const char *name)
{
    text_append_char(into, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"')
            text_append_char(into, '"');
        text_append_char(into, *name);
    }
    text_append_char(into, '"');
}

static void put_literal(text_buffer *into, const char *text)
{
    text_append_char(into, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            text_append_char(into, '\'');
        text_append_char(into, *text);
    }
    text_append_char(into, '\'');
}

static void put_table(text_buffer *into, const cassandra_table *table)
{
    put_name(into, table->keyspace);
    text_append_char(into, '.');
    put_name(into, table->name);
}

static const char *finish_text(arena *arena, text_buffer *text)
{
    const char *made =
        text->failed || text->bytes == NULL ? NULL : arena_copy(arena, text->bytes, text->length);
    text_release(text);
    return made;
}

/* INSERT INTO table (keys, columns [first, end)) VALUES (...) USING ... */
static void put_insert(text_buffer *into, const cassandra_table *table, uint32_t first,
                       uint32_t end, bool with_ttl)
{
    text_append_c(into, "INSERT INTO ");
    put_table(into, table);
    text_append_c(into, " (");
    for (uint32_t i = 0; i < end; i++) {
        if (i >= table->n_keys && i < first)
            continue;
        text_append_c(into, i == 0 ? "" : ", ");
        put_name(into, table->columns[i].name);
    }
    text_append_c(into, ") VALUES (");
    for (uint32_t i = 0; i < table->n_keys + (end - first); i++)
        text_append_c(into, i == 0 ? "?" : ", ?");
    text_append_c(into, ") USING TIMESTAMP ?");
    if (with_ttl)
        text_append_c(into, " AND TTL ?");
}

const char *cassandra_table_insert(arena *arena, const cassandra_table *table, bool with_ttl)
{
    text_buffer text;
    text_init(&text, STATEMENT_BYTES_MAX);
    const uint32_t timestamp = table->n_keys;
    if (!table->is_shared) {
        put_insert(&text, table, timestamp, table->n_columns, with_ttl);
        return finish_text(arena, &text);
    }
    text_append_c(&text, "BEGIN UNLOGGED BATCH ");
    put_insert(&text, table, timestamp + 1, table->n_columns, with_ttl);
    text_append_c(&text, "; ");
    put_insert(&text, table, timestamp, timestamp + 1, with_ttl);
    text_append_c(&text, "; APPLY BATCH");
    return finish_text(arena, &text);
}

const char *cassandra_table_select(arena *arena, const cassandra_table *table)
{
    text_buffer text;
    text_init(&text, STATEMENT_BYTES_MAX);
    text_append_c(&text, "SELECT ");
    for (uint32_t i = 0; i < table->n_columns; i++) {
        text_append_c(&text, i == 0 ? "" : ", ");
        put_name(&text, table->columns[i].name);
    }
    text_append_c(&text, " FROM ");
    put_table(&text, table);
    for (uint32_t i = 0; i < table->n_keys; i++) {
        text_append_c(&text, i == 0 ? " WHERE " : " AND ");
        put_name(&text, table->columns[i].name);
        text_append_c(&text, " = ?");
    }
    return finish_text(arena, &text);
}

static void put_create_table(text_buffer *into, const cassandra_table *table)
{
    text_append_c(into, "CREATE TABLE ");
    put_table(into, table);
    text_append_c(into, " (\n");
    for (uint32_t i = 0; i < table->n_columns; i++) {
        text_append_c(into, "    ");
        put_name(into, table->columns[i].name);
        text_format(into, " %s,\n", table->columns[i].type);
    }
    text_append_c(into, "    PRIMARY KEY ((");
    for (uint32_t i = 0; i < table->n_keys; i++) {
        text_append_c(into, i == 0 ? "" : i == table->n_partition ? "), " : ", ");
        put_name(into, table->columns[i].name);
    }
    text_append_c(into, table->n_keys == table->n_partition ? "))\n);\n" : ")\n);\n");
}

/* ---- differences ----------------------------------------------------------------------------- */

typedef struct comparing {
    const cql_api *api;
    cql_session *session;
    arena *arena;
    const cassandra_table *table;
    table_change *items;
    table_changes *out;
    freshet_error *err;
} comparing;

/* A column as the server has it. */
typedef struct found_column {
    const char *name, *kind, *type;
    int32_t position;
} found_column;

freshet_code cassandra_error(freshet_error *err, const cassandra_place *place, const char *doing,
                             cql_code code, const char *text)
{
    const char *at = place->client.hosts;
    switch (code) {
    case CQL_PASSING:
    case CQL_OVERLOADED:
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, at, "%s: %s", doing, text);
    case CQL_DENIED:
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
                         "%s: %s; see \"username\" and \"password\" under `cassandra`", doing,
                         text);
    case CQL_TLS:
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
                         "%s: %s; see \"tls\" under `cassandra`", doing, text);
    case CQL_SCHEMA:
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at,
                         "%s: %s; `freshet plan` shows how the table differs from the declaration",
                         doing, text);
    case CQL_MEMORY: return error_memory(err, doing);
    case CQL_OK:
    case CQL_REFUSED: break;
    }
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, at, "%s: %s", doing, text);
}

freshet_code cassandra_connect_error(freshet_error *err, const cassandra_place *place,
                                     cql_code code, const char *text)
{
    static const char doing[] = "cannot connect to the online store";
    if (code == CQL_REFUSED) /* an option that this cluster cannot honour */
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, place->client.hosts,
                         "%s: %s; see `cassandra` in the declaration", doing, text);
    return cassandra_error(err, place, doing, code, text);
}

static const char *text_of_value(arena *arena, cql_value value)
{
    return value.length < 0 ? "" : arena_copy(arena, value.bytes, (size_t)value.length);
}

static freshet_code table_ask(comparing *comparing, const char *cql, cql_rows **rows)
{
    char said[CQL_TEXT_MAX] = "";
    const cassandra_place nowhere = {0};
    if (cql == NULL)
        return error_memory(comparing->err, OPENING);
    cql_code code = comparing->api->query(comparing->session, cql, NULL, NULL, 0, rows, said);
    return code == CQL_OK ? FRESHET_OK
                          : cassandra_error(comparing->err, &nowhere,
                                            "cannot read the store's schema", code, said);
}

static freshet_code find_keyspace(comparing *comparing, bool *found)
{
    text_buffer text;
    cql_rows *rows = NULL;
    text_init(&text, STATEMENT_BYTES_MAX);
    text_append_c(&text,
                  "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ");
    put_literal(&text, comparing->table->keyspace);
    freshet_code code = table_ask(comparing, finish_text(comparing->arena, &text), &rows);
    if (code == FRESHET_OK)
        *found = comparing->api->rows_count(rows) > 0;
    if (rows != NULL)
        comparing->api->rows_free(rows);
    return code;
}

static freshet_code find_columns(comparing *comparing, found_column **out, uint32_t *n)
{
    const cql_api *api = comparing->api;
    text_buffer text;
    cql_rows *rows = NULL;
    text_init(&text, STATEMENT_BYTES_MAX);
    text_append_c(&text, "SELECT column_name, kind, type, position FROM system_schema.columns "
                         "WHERE keyspace_name = ");
    put_literal(&text, comparing->table->keyspace);
    text_append_c(&text, " AND table_name = ");
    put_literal(&text, comparing->table->name);
    freshet_code code = table_ask(comparing, finish_text(comparing->arena, &text), &rows);
    *n = code == FRESHET_OK ? api->rows_count(rows) : 0;
    *out = arena_zero(comparing->arena, *n + (size_t)1, sizeof **out);
    bool done = *out != NULL;
    for (uint32_t i = 0; done && i < *n; i++) {
        const cql_value position = api->rows_value(rows, i, 3);
        (*out)[i] = (found_column){
            .name = text_of_value(comparing->arena, api->rows_value(rows, i, 0)),
            .kind = text_of_value(comparing->arena, api->rows_value(rows, i, 1)),
            .type = text_of_value(comparing->arena, api->rows_value(rows, i, 2)),
            .position = position.length == 4 ? cql_get_int(position.bytes) : -1,
        };
        done = (*out)[i].name != NULL && (*out)[i].kind != NULL && (*out)[i].type != NULL;
    }
    if (rows != NULL)
        api->rows_free(rows);
    return code == FRESHET_OK && !done ? error_memory(comparing->err, OPENING) : code;
}

static freshet_code add_change(comparing *comparing, const char *said, text_buffer *cql, bool drops)
{
    const char *text = finish_text(comparing->arena, cql);
    if (said == NULL || text == NULL)
        return error_memory(comparing->err, OPENING);
    comparing->items[comparing->out->n++] = (table_change){said, text, drops};
    return FRESHET_OK;
}

static const char *const kind_names[] = {"partition_key", "clustering", "regular"};

/* Does the primary key differ, or a type? Then nothing but another table helps: a server never again takes a column
 * of the name of a dropped one with another type. */
static const char *differs_for_good(const comparing *comparing, const found_column *found,
                                    uint32_t n)
{
    const cassandra_table *table = comparing->table;
    for (uint32_t i = 0; i < n; i++) {
        const bool is_key =
            strcmp(found[i].kind, "partition_key") == 0 || strcmp(found[i].kind, "clustering") == 0;
        uint32_t k = 0;
        while (k < table->n_columns && strcmp(table->columns[k].name, found[i].name) != 0)
            k++;
        if (k == table->n_columns) {
            if (is_key)
                return arena_format(comparing->arena,
                                    "its primary key has the column \"%s\", which is no key of the "
                                    "feature set",
                                    found[i].name);
            continue;
        }
        const table_column *column = &table->columns[k];
        const uint32_t position = k < table->n_partition ? k : k - table->n_partition;
        if (strcmp(found[i].kind, kind_names[column->kind]) != 0)
            return arena_format(comparing->arena,
                                "the column \"%s\" is a %s column, and should be %s", column->name,
                                found[i].kind, kind_names[column->kind]);
        if (is_key && found[i].position != (int32_t)position)
            return arena_format(comparing->arena,
                                "the key column \"%s\" has the place %d in the primary key, and "
                                "should have %u",
                                column->name, found[i].position + 1, position + 1);
        if (strcmp(found[i].type, column->type) != 0)
            return arena_format(comparing->arena, "the %scolumn \"%s\" is %s, and should be %s",
                                is_key ? "key " : "", column->name, found[i].type, column->type);
    }
    for (uint32_t k = 0; k < table->n_keys; k++) {
        uint32_t i = 0;
        while (i < n && strcmp(found[i].name, table->columns[k].name) != 0)
            i++;
        if (i == n)
            return arena_format(comparing->arena, "its primary key lacks the column \"%s\"",
                                table->columns[k].name);
    }
    return NULL;
}

static freshet_code add_if_missing(comparing *comparing, const table_column *column,
                                   const found_column *found, uint32_t n)
{
    uint32_t i = 0;
    while (i < n && strcmp(found[i].name, column->name) != 0)
        i++;
    if (i < n)
        return FRESHET_OK;
    text_buffer cql;
    text_init(&cql, STATEMENT_BYTES_MAX);
    text_append_c(&cql, "ALTER TABLE ");
    put_table(&cql, comparing->table);
    text_append_c(&cql, " ADD ");
    put_name(&cql, column->name);
    text_format(&cql, " %s;\n", column->type);
    return add_change(comparing,
                      arena_format(comparing->arena, "the column \"%s\" (%s) is missing",
                                   column->name, column->type),
                      &cql, false);
}

static freshet_code note_foreign(comparing *comparing, const found_column *found, uint32_t n)
{
    const cassandra_table *table = comparing->table;
    const char **names = arena_zero(comparing->arena, n + (size_t)1, sizeof *names);
    if (names == NULL)
        return error_memory(comparing->err, OPENING);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = 0;
        while (k < table->n_columns && strcmp(table->columns[k].name, found[i].name) != 0)
            k++;
        if (k == table->n_columns)
            names[comparing->out->n_foreign++] = found[i].name;
    }
    comparing->out->foreign = names;
    return FRESHET_OK;
}

static freshet_code compare_columns(comparing *comparing, const found_column *found, uint32_t n)
{
    const cassandra_table *table = comparing->table;
    const char *difference = differs_for_good(comparing, found, n);
    freshet_code code = FRESHET_OK;
    if (difference != NULL) {
        text_buffer cql;
        text_init(&cql, STATEMENT_BYTES_MAX);
        text_append_c(&cql, "DROP TABLE ");
        put_table(&cql, table);
        text_append_c(&cql, ";\n");
        put_create_table(&cql, table);
        code = add_change(comparing, difference, &cql, true);
        return code == FRESHET_OK ? note_foreign(comparing, found, n) : code;
    }
    for (uint32_t k = table->n_keys; code == FRESHET_OK && k < table->n_columns; k++)
        code = add_if_missing(comparing, &table->columns[k], found, n);
    return code == FRESHET_OK ? note_foreign(comparing, found, n) : code;
}

static freshet_code add_keyspace(comparing *comparing, uint32_t replicas)
{
    text_buffer cql;
    text_init(&cql, STATEMENT_BYTES_MAX);
    text_append_c(&cql, "CREATE KEYSPACE ");
    put_name(&cql, comparing->table->keyspace);
    if (replicas > 0)
        text_format(&cql,
                    " WITH replication = {'class': 'NetworkTopologyStrategy', "
                    "'replication_factor': %u};\n",
                    replicas);
    else
        text_append_c(&cql, " WITH replication = {'class': 'NetworkTopologyStrategy', "
                            "'replication_factor': <copies>};\n");
    comparing->out->keyspace_missing = true;
    return add_change(comparing,
                      arena_format(comparing->arena, "the keyspace \"%s\" is missing",
                                   comparing->table->keyspace),
                      &cql, false);
}

static freshet_code add_table(comparing *comparing)
{
    text_buffer cql;
    text_init(&cql, STATEMENT_BYTES_MAX);
    put_create_table(&cql, comparing->table);
    return add_change(comparing,
                      arena_format(comparing->arena, "the table \"%s.%s\" is missing",
                                   comparing->table->keyspace, comparing->table->name),
                      &cql, false);
}

freshet_code cassandra_table_compare(const cql_api *api, cql_session *session, arena *arena,
                                     const cassandra_table *table, uint32_t replicas,
                                     table_changes *out, freshet_error *err)
{
    *out = (table_changes){0};
    comparing comparing = {
        .api = api, .session = session, .arena = arena, .table = table, .out = out, .err = err};
    comparing.items = arena_zero(arena, table->n_columns + (size_t)2, sizeof *comparing.items);
    if (comparing.items == NULL)
        return error_memory(err, OPENING);
    out->items = comparing.items;
    found_column *found = NULL;
    uint32_t n = 0;
    bool has_keyspace = false;
    freshet_code code = find_keyspace(&comparing, &has_keyspace);
    if (code == FRESHET_OK && !has_keyspace)
        code = add_keyspace(&comparing, replicas);
    if (code == FRESHET_OK && has_keyspace)
        code = find_columns(&comparing, &found, &n);
    if (code != FRESHET_OK)
        return code;
    return n == 0 ? add_table(&comparing) : compare_columns(&comparing, found, n);
}

freshet_code cassandra_table_require(const cassandra_table *table, const table_changes *changes,
                                     const declaration *declaration, freshet_error *err)
{
    if (changes->n == 0)
        return FRESHET_OK;
    const char *file = declaration->file == NULL ? "FILE" : declaration->file;
    for (uint32_t i = 0; i < changes->n; i++)
        if (changes->items[i].drops)
            return error_set(
                err, FRESHET_BAD_DECLARATION, FRESHET_STOP, declaration->file,
                "the table %s.%s does not fit: %s; write to another table, or drop it and all that "
                "it has by `freshet apply %s --allow-drop` (see `freshet plan %s`)",
                table->keyspace, table->name, changes->items[i].said, file, file);
    const char *flag = changes->keyspace_missing ? " --replicas N" : "";
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, declaration->file,
                     "the table %s.%s does not fit: %s%s; see `freshet plan %s`, and run `freshet "
                     "apply %s%s`",
                     table->keyspace, table->name, changes->items[0].said,
                     changes->n > 1 ? ", and more" : "", file, file, flag);
}
