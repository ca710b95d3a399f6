/* cassandra_validate.c - see cassandra_validate.h. */
#include "writers/cassandra/cassandra_validate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/os.h"
#include "writers/cassandra/cql_values.h"

#define VALIDATING "validating the online store"

typedef struct written_entry {
    keyed_entry head;
    uint32_t n; /* rows that were confirmed */
    int64_t event_us;
} written_entry;

bool written_keys_open(written_keys *keys)
{
    const keyed_options options = {.memory = &keys->memory, .entry_bytes = sizeof(written_entry)};
    *keys = (written_keys){.memory.fail_after = -1};
    keys->is_open = keyed_open(&keys->table, &options);
    return keys->is_open;
}

void written_keys_release(written_keys *keys)
{
    if (keys->is_open)
        keyed_close(&keys->table);
    *keys = (written_keys){.is_open = false};
}

void written_keys_note(written_keys *keys, const pending_row *row)
{
    const uint32_t tag = (uint32_t)keyed_hash(row->bytes, row->key_length);
    if (!keys->is_open)
        return;
    uint32_t index = keyed_find(&keys->table, tag, row->bytes, row->key_length);
    const bool is_new = index == KEY_NONE;
    if (is_new)
        index = keyed_add(&keys->table, tag, row->bytes, row->key_length);
    keys->no_memory |= index == KEY_NONE;
    if (index == KEY_NONE)
        return;
    written_entry *entry = keyed_at(&keys->table, index);
    entry->n++;
    if (is_new || row->event_us > entry->event_us)
        entry->event_us = row->event_us;
}

/* Is the key's row that old, or a newer one? */
static freshet_code written_look(const written_place *where, const cql_statement *statement,
                                 const written_entry *entry, cql_value *values, bool *is_there,
                                 freshet_error *err)
{
    const cassandra_table *table = where->table;
    const unsigned char *at = keyed_key(&entry->head), *end = at + entry->head.length;
    cql_rows *rows = NULL;
    char said[CQL_TEXT_MAX] = "";
    for (uint32_t i = 0; i < table->n_keys; i++)
        cql_value_next(&at, end, &values[i]);
    const cql_code code =
        where->api->query(where->session, NULL, statement, values, table->n_keys, &rows, said);
    if (code != CQL_OK)
        return cassandra_error(err, where->place, VALIDATING, code, said);
    const cql_value time = where->api->rows_count(rows) == 0
                               ? (cql_value){.length = -1}
                               : where->api->rows_value(rows, 0, table->n_keys);
    const int64_t event_ms = entry->event_us / 1000 - (entry->event_us % 1000 < 0);
    *is_there = time.length == 8 && cql_get_bigint(time.bytes) >= event_ms;
    where->api->rows_free(rows);
    if (where->ttl_us > 0 && os.now_us() - entry->event_us >= where->ttl_us)
        *is_there = true;
    return FRESHET_OK;
}

static freshet_code look_at_all(const written_keys *keys, const written_place *where,
                                const cql_statement *statement, cql_value *values, int64_t *there,
                                freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    uint32_t cursor = 0, index;
    *there = 0;
    while (code == FRESHET_OK && (index = keyed_next(&keys->table, &cursor)) != KEY_NONE) {
        const written_entry *entry = keyed_at(&keys->table, index);
        bool is_there = false;
        code = written_look(where, statement, entry, values, &is_there, err);
        *there += is_there ? entry->n : 0;
    }
    return code;
}

freshet_code written_keys_count(const written_keys *keys, const written_place *where,
                                int64_t *there, freshet_error *err)
{
    arena *arena = arena_open();
    const char *cql = arena == NULL ? NULL : cassandra_table_select(arena, where->table);
    cql_value *values =
        cql == NULL ? NULL : arena_zero(arena, where->table->n_keys, sizeof *values);
    cql_statement *statement = NULL;
    char said[CQL_TEXT_MAX] = "";
    freshet_code code =
        values == NULL || keys->no_memory ? error_memory(err, VALIDATING) : FRESHET_OK;
    if (code == FRESHET_OK) {
        const cql_code prepared = where->api->prepare(
            where->session, cql, where->place->read_consistency, &statement, said);
        if (prepared != CQL_OK)
            code = cassandra_error(err, where->place, VALIDATING, prepared, said);
    }
    if (code == FRESHET_OK)
        code = look_at_all(keys, where, statement, values, there, err);
    if (statement != NULL)
        where->api->release(statement);
    arena_close(arena);
    return code;
}
