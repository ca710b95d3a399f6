/* cassandra_table.c - see cassandra_table.h. */
#include "writers/cassandra/cassandra_table.h"

#include <string.h>

#include "base/error.h"
#include "sql/sql.h"
#include "writers/cassandra/cql_values.h"

#define OPENING "working out the online store's table"
#define STATEMENT_BYTES_MAX ((size_t)8 << 20)

/* ---- the table of a declaration -------------------------------------------------------------- */

/* The number of the key; n_keys: it is none. */
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

static freshet_code table_add_column(arena *arena, const schema *schema, uint32_t field,
                                     table_column_kind kind, table_column *columns,
                                     cassandra_table *out, const declaration *declaration,
                                     freshet_error *err)
{
    table_column *column = &columns[out->n_columns++];
    *column = (table_column){.name = schema->fields[field].name,
                             .quoted = sql_quote(arena, schema->fields[field].name),
                             .kind = kind,
                             .field = field};
    if (column->quoted == NULL)
        return error_memory(err, OPENING);
    freshet_code code = cql_type_name(arena, schema->fields[field].type, &column->type, err);
    if (code == FRESHET_OK && column->type == NULL)
        code = error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, declaration->file,
                         "the feature \"%s\" is of a type that Cassandra's tables do not have: "
                         "give it another type",
                         column->name);
    return code;
}

/* The field of the i-th column of the partition: the first key, or what partition_by names. */
static freshet_code partition_field(const cassandra_options *options, const schema *schema,
                                    const cassandra_table *table, uint32_t i, uint32_t *field,
                                    freshet_error *err)
{
    char at[128];
    if (options->partition_by.n == 0) {
        *field = 0;
        return FRESHET_OK;
    }
    const declared_text *name = &options->partition_by.items[i];
    *field = table_key_of(schema, table->n_keys, name->value);
    if (*field < table->n_keys && !is_in_partition(table, *field))
        return FRESHET_OK;
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP,
                     place_text(&name->at, at, sizeof at),
                     *field < table->n_keys ? PARTITION_TWICE : PARTITION_NO_KEY, name->value);
}

freshet_code cassandra_table_make(arena *arena, const cassandra_place *place,
                                  const cassandra_options *options, const declaration *declaration,
                                  const schema *schema, uint32_t n_keys, cassandra_table *out,
                                  freshet_error *err)
{
    const char *keyspace = sql_quote(arena, place->keyspace);
    const char *name = sql_quote(arena, place->table);
    *out = (cassandra_table){.keyspace = place->keyspace,
                             .name = place->table,
                             .n_keys = n_keys,
                             .is_shared = place->is_shared};
    table_column *columns = arena_zero(arena, schema->n_fields, sizeof *columns);
    if (keyspace != NULL && name != NULL)
        out->quoted = arena_format(arena, "%s.%s", keyspace, name);
    if (columns == NULL || out->quoted == NULL)
        return error_memory(err, OPENING);
    out->columns = columns;
    const uint32_t n_partition = options->partition_by.n == 0 ? 1 : options->partition_by.n;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0, key; code == FRESHET_OK && i < n_partition; i++) {
        code = partition_field(options, schema, out, i, &key, err);
        if (code == FRESHET_OK)
            code = table_add_column(arena, schema, key, COLUMN_PARTITION, columns, out, declaration,
                                    err);
        out->n_partition++;
    }
    for (uint32_t i = 0; code == FRESHET_OK && i < schema->n_fields; i++)
        if (i >= n_keys || !is_in_partition(out, i))
            code =
                table_add_column(arena, schema, i, i < n_keys ? COLUMN_CLUSTERING : COLUMN_REGULAR,
                                 columns, out, declaration, err);
    return code;
}

/* ---- statements ------------------------------------------------------------------------------ */

/* INSERT INTO table (keys, columns [first, end)) VALUES (...) USING ... */
static void put_insert(text_buffer *into, const cassandra_table *table, uint32_t first,
                       uint32_t end, bool with_ttl)
{
    text_format(into, "INSERT INTO %s (", table->quoted);
    for (uint32_t i = 0; i < end; i++)
        if (i < table->n_keys || i >= first)
            text_format(into, "%s%s", i == 0 ? "" : ", ", table->columns[i].quoted);
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
        return text_keep(&text, arena);
    }
    text_append_c(&text, "BEGIN UNLOGGED BATCH ");
    put_insert(&text, table, timestamp + 1, table->n_columns, with_ttl);
    text_append_c(&text, "; ");
    put_insert(&text, table, timestamp, timestamp + 1, with_ttl);
    text_append_c(&text, "; APPLY BATCH");
    return text_keep(&text, arena);
}

const char *cassandra_table_select(arena *arena, const cassandra_table *table)
{
    text_buffer text;
    text_init(&text, STATEMENT_BYTES_MAX);
    text_append_c(&text, "SELECT ");
    for (uint32_t i = 0; i < table->n_columns; i++)
        text_format(&text, "%s%s", i == 0 ? "" : ", ", table->columns[i].quoted);
    text_format(&text, " FROM %s", table->quoted);
    for (uint32_t i = 0; i < table->n_keys; i++)
        text_format(&text, "%s%s = ?", i == 0 ? " WHERE " : " AND ", table->columns[i].quoted);
    return text_keep(&text, arena);
}

/* What is to be done before it, "" or a statement, and the table's DDL. */
static const char *create_table(arena *arena, const cassandra_table *table, const char *before)
{
    text_buffer text;
    text_init(&text, STATEMENT_BYTES_MAX);
    text_format(&text, "%sCREATE TABLE %s (\n", before, table->quoted);
    for (uint32_t i = 0; i < table->n_columns; i++)
        text_format(&text, "    %s %s,\n", table->columns[i].quoted, table->columns[i].type);
    text_append_c(&text, "    PRIMARY KEY ((");
    for (uint32_t i = 0; i < table->n_keys; i++)
        text_format(&text, "%s%s",
                    i == 0                    ? ""
                    : i == table->n_partition ? "), "
                                              : ", ",
                    table->columns[i].quoted);
    text_append_c(&text, table->n_keys == table->n_partition ? "))\n);\n" : ")\n);\n");
    return text_keep(&text, arena);
}

/* ---- differences ----------------------------------------------------------------------------- */

/* A column as the server has it. */
typedef struct found_column {
    const char *name, *kind, *type;
    int32_t position;
} found_column;

typedef struct comparing {
    const cql_api *api;
    cql_session *session;
    arena *arena;
    const cassandra_place *place;
    const cassandra_table *table;
    found_column *found;
    uint32_t n_found;
    table_change *items;
    table_changes *out;
    freshet_error *err;
} comparing;

freshet_code cassandra_error(freshet_error *err, const cassandra_place *place, const char *doing,
                             cql_code code, const char *text)
{
    static const struct {
        freshet_code code;
        freshet_then then;
        const char *advice;
    } as[] = {
        [CQL_OK] = {FRESHET_FAILED, FRESHET_STOP, ""},
        [CQL_PASSING] = {FRESHET_TRY_AGAIN, FRESHET_RETRY, ""},
        [CQL_OVERLOADED] = {FRESHET_TRY_AGAIN, FRESHET_RETRY, ""},
        [CQL_REFUSED] = {FRESHET_FAILED, FRESHET_STOP, ""},
        [CQL_DENIED] = {FRESHET_BAD_DECLARATION, FRESHET_STOP,
                        "; see \"username\" and \"password\" under `cassandra`"},
        [CQL_TLS] = {FRESHET_BAD_DECLARATION, FRESHET_STOP, "; see \"tls\" under `cassandra`"},
        [CQL_SCHEMA] = {FRESHET_BAD_DECLARATION, FRESHET_STOP,
                        "; `freshet plan` shows how the table differs from the declaration"},
    };
    if (code == CQL_MEMORY)
        return error_memory(err, doing);
    return error_set(err, as[code].code, as[code].then, place->client.hosts, "%s: %s%s", doing,
                     text, as[code].advice);
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
    if (cql == NULL)
        return error_memory(comparing->err, OPENING);
    cql_code code = comparing->api->query(comparing->session, cql, NULL, NULL, 0, rows, said);
    return code == CQL_OK ? FRESHET_OK
                          : cassandra_error(comparing->err, comparing->place,
                                            "cannot read the store's schema", code, said);
}

static freshet_code find_keyspace(comparing *comparing, bool *found)
{
    const char *keyspace = sql_literal(comparing->arena, comparing->table->keyspace);
    const char *cql = keyspace == NULL
                          ? NULL
                          : arena_format(comparing->arena,
                                         "SELECT keyspace_name FROM system_schema.keyspaces WHERE "
                                         "keyspace_name = %s",
                                         keyspace);
    cql_rows *rows = NULL;
    freshet_code code = table_ask(comparing, cql, &rows);
    if (code == FRESHET_OK)
        *found = comparing->api->rows_count(rows) > 0;
    if (rows != NULL)
        comparing->api->rows_free(rows);
    return code;
}

static freshet_code find_columns(comparing *comparing)
{
    const cql_api *api = comparing->api;
    const char *keyspace = sql_literal(comparing->arena, comparing->table->keyspace);
    const char *name = sql_literal(comparing->arena, comparing->table->name);
    const char *cql =
        keyspace == NULL || name == NULL
            ? NULL
            : arena_format(comparing->arena,
                           "SELECT column_name, kind, type, position FROM system_schema.columns "
                           "WHERE keyspace_name = %s AND table_name = %s",
                           keyspace, name);
    cql_rows *rows = NULL;
    freshet_code code = table_ask(comparing, cql, &rows);
    const uint32_t n = code == FRESHET_OK ? api->rows_count(rows) : 0;
    found_column *found = arena_zero(comparing->arena, n + (size_t)1, sizeof *found);
    bool done = found != NULL;
    for (uint32_t i = 0; done && i < n; i++) {
        const cql_value position = api->rows_value(rows, i, 3);
        found[i] = (found_column){
            .name = text_of_value(comparing->arena, api->rows_value(rows, i, 0)),
            .kind = text_of_value(comparing->arena, api->rows_value(rows, i, 1)),
            .type = text_of_value(comparing->arena, api->rows_value(rows, i, 2)),
            .position = position.length == 4 ? cql_get_int(position.bytes) : -1,
        };
        done = found[i].name != NULL && found[i].kind != NULL && found[i].type != NULL;
    }
    if (rows != NULL)
        api->rows_free(rows);
    comparing->found = found;
    comparing->n_found = n;
    return code == FRESHET_OK && !done ? error_memory(comparing->err, OPENING) : code;
}

/* The declared column that was found; NULL: it is another's. */
static const table_column *declared_column(const cassandra_table *table, const found_column *found)
{
    for (uint32_t i = 0; i < table->n_columns; i++)
        if (strcmp(table->columns[i].name, found->name) == 0)
            return &table->columns[i];
    return NULL;
}

/* Of a cell of a dropped column the server shows what was written after the drop: by its write
 * timestamp, which is the event's time. */
static freshet_code find_dropped(comparing *comparing)
{
    const cql_api *api = comparing->api;
    const cassandra_table *table = comparing->table;
    arena *arena = comparing->arena;
    const char *keyspace = sql_literal(arena, table->keyspace);
    const char *name = sql_literal(arena, table->name);
    const char *cql = keyspace == NULL || name == NULL
                          ? NULL
                          : arena_format(arena,
                                         "SELECT column_name, dropped_time FROM "
                                         "system_schema.dropped_columns WHERE keyspace_name = %s "
                                         "AND table_name = %s",
                                         keyspace, name);
    cql_rows *rows = NULL;
    freshet_code code = table_ask(comparing, cql, &rows);
    const uint32_t n = code == FRESHET_OK ? api->rows_count(rows) : 0;
    const char **dropped = arena_zero(arena, n + (size_t)1, sizeof *dropped);
    bool done = dropped != NULL;
    for (uint32_t i = 0; done && i < n; i++) {
        const cql_value time = api->rows_value(rows, i, 1);
        const found_column found = {.name = text_of_value(arena, api->rows_value(rows, i, 0))};
        text_buffer text;
        done = found.name != NULL;
        if (!done || time.length != 8 || declared_column(table, &found) == NULL)
            continue;
        text_init(&text, 80);
        text_append_timestamp(&text, cql_get_bigint(time.bytes) * 1000);
        dropped[comparing->out->n_dropped] =
            text.failed ? NULL
                        : arena_format(arena,
                                       "the column \"%s\" was dropped at %s: of it nothing will be "
                                       "seen for events up to that time",
                                       found.name, text.bytes);
        done = dropped[comparing->out->n_dropped++] != NULL;
        text_release(&text);
    }
    if (rows != NULL)
        api->rows_free(rows);
    comparing->out->dropped = dropped;
    return code == FRESHET_OK && !done ? error_memory(comparing->err, OPENING) : code;
}

/* Where either text is NULL, memory is out. */
static freshet_code add_change(comparing *comparing, const char *said, const char *cql, bool drops)
{
    if (said == NULL || cql == NULL)
        return error_memory(comparing->err, OPENING);
    comparing->items[comparing->out->n++] = (table_change){said, cql, drops};
    return FRESHET_OK;
}

static bool is_found(const comparing *comparing, const table_column *column)
{
    for (uint32_t i = 0; i < comparing->n_found; i++)
        if (strcmp(comparing->found[i].name, column->name) == 0)
            return true;
    return false;
}

static const char *const kind_names[] = {"partition_key", "clustering", "regular"};

/* Does the primary key differ, or a type? Then nothing but another table helps: a server never
 * again takes a column of the name of a dropped one with another type. */
static const char *differs_for_good(const comparing *comparing)
{
    const cassandra_table *table = comparing->table;
    for (uint32_t i = 0; i < comparing->n_found; i++) {
        const found_column *found = &comparing->found[i];
        const table_column *column = declared_column(table, found);
        const bool is_key =
            strcmp(found->kind, "partition_key") == 0 || strcmp(found->kind, "clustering") == 0;
        if (column == NULL && is_key)
            return arena_format(comparing->arena,
                                "its primary key has the column \"%s\", which is no key of the "
                                "feature set",
                                found->name);
        if (column == NULL)
            continue;
        const uint32_t k = (uint32_t)(column - table->columns);
        const uint32_t position = k < table->n_partition ? k : k - table->n_partition;
        if (strcmp(found->kind, kind_names[column->kind]) != 0)
            return arena_format(comparing->arena,
                                "the column \"%s\" is a %s column, and should be %s", column->name,
                                found->kind, kind_names[column->kind]);
        if (is_key && found->position != (int32_t)position)
            return arena_format(comparing->arena,
                                "the key column \"%s\" has the place %d in the primary key, and "
                                "should have %u",
                                column->name, found->position + 1, position + 1);
        if (strcmp(found->type, column->type) != 0)
            return arena_format(comparing->arena, "the %scolumn \"%s\" is %s, and should be %s",
                                is_key ? "key " : "", column->name, found->type, column->type);
    }
    for (uint32_t k = 0; k < table->n_keys; k++)
        if (!is_found(comparing, &table->columns[k]))
            return arena_format(comparing->arena, "its primary key lacks the column \"%s\"",
                                table->columns[k].name);
    return NULL;
}

static freshet_code note_foreign(comparing *comparing)
{
    const char **names =
        arena_zero(comparing->arena, comparing->n_found + (size_t)1, sizeof *names);
    if (names == NULL)
        return error_memory(comparing->err, OPENING);
    for (uint32_t i = 0; i < comparing->n_found; i++)
        if (declared_column(comparing->table, &comparing->found[i]) == NULL)
            names[comparing->out->n_foreign++] = comparing->found[i].name;
    comparing->out->foreign = names;
    return FRESHET_OK;
}

static freshet_code compare_columns(comparing *comparing)
{
    const cassandra_table *table = comparing->table;
    arena *arena = comparing->arena;
    const char *difference = differs_for_good(comparing);
    freshet_code code = FRESHET_OK;
    if (difference != NULL) {
        const char *drop = arena_format(arena, "DROP TABLE %s;\n", table->quoted);
        code = add_change(comparing, difference,
                          drop == NULL ? NULL : create_table(arena, table, drop), true);
    }
    for (uint32_t k = table->n_keys; code == FRESHET_OK && k < table->n_columns; k++) {
        const table_column *column = &table->columns[k];
        if (difference == NULL && !is_found(comparing, column))
            code = add_change(comparing,
                              arena_format(arena, "the column \"%s\" (%s) is missing", column->name,
                                           column->type),
                              arena_format(arena, "ALTER TABLE %s ADD %s %s;\n", table->quoted,
                                           column->quoted, column->type),
                              false);
    }
    return code == FRESHET_OK ? note_foreign(comparing) : code;
}

static freshet_code add_keyspace(comparing *comparing, uint32_t replicas)
{
    const char *keyspace = comparing->table->keyspace;
    const char *quoted = sql_quote(comparing->arena, keyspace);
    const char *copies =
        replicas == 0 ? "<copies>" : arena_format(comparing->arena, "%u", replicas);
    comparing->out->keyspace_missing = true;
    return add_change(comparing,
                      arena_format(comparing->arena, "the keyspace \"%s\" is missing", keyspace),
                      quoted == NULL || copies == NULL
                          ? NULL
                          : arena_format(comparing->arena,
                                         "CREATE KEYSPACE %s WITH replication = {'class': "
                                         "'NetworkTopologyStrategy', 'replication_factor': %s};\n",
                                         quoted, copies),
                      false);
}

static freshet_code add_table(comparing *comparing)
{
    return add_change(comparing,
                      arena_format(comparing->arena, "the table \"%s.%s\" is missing",
                                   comparing->table->keyspace, comparing->table->name),
                      create_table(comparing->arena, comparing->table, ""), false);
}

freshet_code cassandra_table_compare(const cql_api *api, cql_session *session, arena *arena,
                                     const cassandra_place *place, const cassandra_table *table,
                                     uint32_t replicas, table_changes *out, freshet_error *err)
{
    *out = (table_changes){0};
    comparing comparing = {.api = api,
                           .session = session,
                           .arena = arena,
                           .place = place,
                           .table = table,
                           .out = out,
                           .err = err};
    comparing.items = arena_zero(arena, table->n_columns + (size_t)2, sizeof *comparing.items);
    if (comparing.items == NULL)
        return error_memory(err, OPENING);
    out->items = comparing.items;
    bool has_keyspace = false;
    freshet_code code = find_keyspace(&comparing, &has_keyspace);
    if (code == FRESHET_OK && !has_keyspace)
        code = add_keyspace(&comparing, replicas);
    if (code == FRESHET_OK && has_keyspace)
        code = find_columns(&comparing);
    if (code == FRESHET_OK && comparing.n_found > 0)
        code = find_dropped(&comparing);
    if (code != FRESHET_OK)
        return code;
    return comparing.n_found == 0 ? add_table(&comparing) : compare_columns(&comparing);
}

freshet_code cassandra_table_accept(const cassandra_place *place, const cassandra_table *table,
                                    const table_changes *changes, const char *file,
                                    freshet_error *err)
{
    if (changes->n_dropped == 0 || place->accepts_dropped)
        return FRESHET_OK;
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, file,
                     "in the table %s.%s %s%s; give the feature another name, or write to another "
                     "table, or say `dropped_columns: accept` under `cassandra` if that is meant",
                     table->keyspace, table->name, changes->dropped[0],
                     changes->n_dropped > 1 ? ", and others, too" : "");
}

freshet_code cassandra_table_require(const cassandra_table *table, const table_changes *changes,
                                     const char *file, freshet_error *err)
{
    if (changes->n == 0)
        return FRESHET_OK;
    const char *named = file == NULL ? "FILE" : file;
    for (uint32_t i = 0; i < changes->n; i++)
        if (changes->items[i].drops)
            return error_set(
                err, FRESHET_BAD_DECLARATION, FRESHET_STOP, file,
                "the table %s.%s does not fit: %s; write to another table, or drop it and all that "
                "it has by `freshet apply %s --allow-drop` (see `freshet plan %s`)",
                table->keyspace, table->name, changes->items[i].said, named, named);
    const char *flag = changes->keyspace_missing ? " --replicas N" : "";
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, file,
                     "the table %s.%s does not fit: %s%s; see `freshet plan %s`, and run `freshet "
                     "apply %s%s`",
                     table->keyspace, table->name, changes->items[0].said,
                     changes->n > 1 ? ", and more" : "", named, named, flag);
}
