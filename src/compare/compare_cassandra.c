/* compare_cassandra.c - see compare_cassandra.h. */
#include "compare/compare_cassandra.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "writers/cassandra/cql_values.h"

#define ASKING "reading from the online store"
#define STATEMENT_BYTES_MAX ((size_t)8 << 20)
#define RANGE_ROWS 5000u /* that one answer of a range has at most */
#define KEYS_BYTES_MAX ((size_t)64 << 20)
#define ASKED_MAX 256u /* reads that are in flight at a time */
#define SECOND_US INT64_C(1000000)
#define MILLISECOND_US 1000

/* A comparison at work: what is being read. */
typedef struct cql_reading {
    const compare_cassandra *from;
    arena *arena; /* of one answer */
    compare_rows *into;
    cql_statement *statement;
} cql_reading;

/* ---- statements ------------------------------------------------------------------------------ */

static void put_tokens(text_buffer *into, const cassandra_table *table)
{
    text_append_c(into, "token(");
    for (uint32_t i = 0; i < table->n_partition; i++)
        text_format(into, "%s%s", i == 0 ? "" : ", ", table->columns[i].quoted);
    text_append_c(into, ")");
}

/* All columns, and of a shared table the write timestamps of the features. */
static void put_select(text_buffer *into, const cassandra_table *table)
{
    text_append_c(into, "SELECT ");
    for (uint32_t i = 0; i < table->n_columns; i++)
        text_format(into, "%s%s", i == 0 ? "" : ", ", table->columns[i].quoted);
    for (uint32_t i = table->n_keys + 1; table->is_shared && i < table->n_columns; i++)
        text_format(into, ", WRITETIME(%s)", table->columns[i].quoted);
    text_format(into, " FROM %s WHERE ", table->quoted);
}

static freshet_code cql_finish(cql_reading *reading, text_buffer *text, freshet_error *err)
{
    const compare_cassandra *from = reading->from;
    char said[CQL_TEXT_MAX] = "";
    freshet_code code = text->failed ? error_memory(err, ASKING) : FRESHET_OK;
    if (reading->statement != NULL)
        from->api->release(reading->statement);
    reading->statement = NULL;
    if (code == FRESHET_OK) {
        const cql_code made = from->api->prepare(
            from->session, text->bytes, from->place->read_consistency, &reading->statement, said);
        if (made != CQL_OK)
            code = cassandra_error(err, from->place, ASKING, made, said);
    }
    text_release(text);
    return code;
}

static freshet_code prepare_key(cql_reading *reading, freshet_error *err)
{
    const cassandra_table *table = reading->from->table;
    text_buffer text;
    text_init(&text, STATEMENT_BYTES_MAX);
    put_select(&text, table);
    for (uint32_t i = 0; i < table->n_keys; i++)
        text_format(&text, "%s%s = ?", i == 0 ? "" : " AND ", table->columns[i].quoted);
    return cql_finish(reading, &text, err);
}

/* From a token on, to another one or at most so many rows, or both. */
static freshet_code prepare_tokens(cql_reading *reading, bool has_end, uint32_t limit,
                                   freshet_error *err)
{
    const cassandra_table *table = reading->from->table;
    text_buffer text;
    text_init(&text, STATEMENT_BYTES_MAX);
    put_select(&text, table);
    put_tokens(&text, table);
    text_append_c(&text, " >= ?");
    if (has_end) {
        text_append_c(&text, " AND ");
        put_tokens(&text, table);
        text_append_c(&text, " <= ?");
    }
    if (limit > 0)
        text_format(&text, " LIMIT %u", limit);
    return cql_finish(reading, &text, err);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* The second of the set's own columns, which are written together: of the oldest one, in case that
 * somebody else has changed some since. False: it has written none. */
static bool written_second(const compare_cassandra *from, const cql_rows *rows, uint32_t row,
                           int64_t *second_us)
{
    const cassandra_table *table = from->table;
    bool found = false;
    for (uint32_t i = 0; i < table->n_columns - table->n_keys - 1; i++) {
        const cql_value value = from->api->rows_value(rows, row, table->n_columns + i);
        const int64_t write_us = value.length == 8 ? cql_get_bigint(value.bytes) : 0;
        if (value.length != 8 || (found && write_us >= *second_us))
            continue;
        *second_us = write_us;
        found = true;
    }
    if (found)
        *second_us -= (*second_us % SECOND_US + SECOND_US) % SECOND_US;
    return found;
}

static freshet_code decode_row(const compare_cassandra *from, const cql_rows *rows, uint32_t row,
                               batch *into, freshet_error *err)
{
    const cassandra_table *table = from->table;
    freshet_code code = FRESHET_OK;
    int64_t second_us = 0;
    if (table->is_shared && !written_second(from, rows, row, &second_us))
        return FRESHET_OK; /* another set's */
    for (uint32_t i = 0; code == FRESHET_OK && i < table->n_columns; i++) {
        const cql_value value = from->api->rows_value(rows, row, i);
        column *column = &into->columns[table->columns[i].field];
        if (table->is_shared && i == table->n_keys)
            ((int64_t *)column->data)[into->n_rows] = second_us;
        else
            code = cql_value_get(into->arena, &value, column, into->n_rows, err);
    }
    into->n_rows++;
    return code;
}

/* Some rows of an answer, or with n 0 all. */
static freshet_code cassandra_take_rows(cql_reading *reading, const cql_rows *rows, uint32_t first,
                                        uint32_t n, freshet_error *err)
{
    batch taken;
    freshet_code code =
        batch_init(&taken, reading->arena, reading->from->schema, n > 0 ? n : 1, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++)
        code = decode_row(reading->from, rows, first + i, &taken, err);
    return code == FRESHET_OK ? compare_rows_add(reading->into, &taken, err) : code;
}

static freshet_code cql_ask(cql_reading *reading, const cql_value *values, uint32_t n_values,
                            cql_rows **rows, freshet_error *err)
{
    const compare_cassandra *from = reading->from;
    char said[CQL_TEXT_MAX] = "";
    const cql_code code =
        from->api->query(from->session, NULL, reading->statement, values, n_values, rows, said);
    arena_reset(reading->arena);
    return code == CQL_OK ? FRESHET_OK : cassandra_error(err, from->place, ASKING, code, said);
}

/* Up to ASKED_MAX reads at a time; one, where the adapter is one of before. */
static uint32_t asked_at_once(const cql_reading *reading)
{
    return cql_has_many(reading->from->api) ? ASKED_MAX : 1;
}

/* The answers to n reads, one behind the other. */
static freshet_code ask_many(cql_reading *reading, const cql_value *values, uint32_t n_values,
                             uint32_t n, uint32_t *counts, cql_rows **rows, freshet_error *err)
{
    const compare_cassandra *from = reading->from;
    char said[CQL_TEXT_MAX] = "";
    if (!cql_has_many(from->api)) {
        const freshet_code asked = cql_ask(reading, values, n_values, rows, err);
        counts[0] = asked == FRESHET_OK ? from->api->rows_count(*rows) : 0;
        return asked;
    }
    const cql_code code = from->api->query_many(from->session, reading->statement, values, n_values,
                                                n, counts, rows, said);
    arena_reset(reading->arena);
    return code == CQL_OK ? FRESHET_OK : cassandra_error(err, from->place, ASKING, code, said);
}

static freshet_code ask_tokens(cql_reading *reading, int64_t first, const int64_t *last,
                               cql_rows **rows, freshet_error *err)
{
    unsigned char bytes[2][8];
    cql_value values[2] = {{.bytes = bytes[0], .length = 8}, {.bytes = bytes[1], .length = 8}};
    cql_put_bigint(bytes[0], first);
    cql_put_bigint(bytes[1], last == NULL ? 0 : *last);
    return cql_ask(reading, values, last == NULL ? 1 : 2, rows, err);
}

/* ---- all rows -------------------------------------------------------------------------------- */

/* A range that gives as many rows as an answer may have is halved, but for one of a single token:
 * that is one partition, which is read whole. */
static freshet_code read_range(cql_reading *reading, int64_t first, uint64_t *width, int64_t *last,
                               freshet_error *err)
{
    const cql_api *api = reading->from->api;
    for (;;) {
        const uint64_t left = (uint64_t)INT64_MAX - (uint64_t)first;
        cql_rows *rows = NULL;
        *width = *width > left ? left : *width;
        *last = (int64_t)((uint64_t)first + *width);
        freshet_code code = *width == 0 ? prepare_tokens(reading, true, 0, err) : FRESHET_OK;
        if (code == FRESHET_OK)
            code = ask_tokens(reading, first, last, &rows, err);
        if (code == FRESHET_OK && *width == 0)
            code = prepare_tokens(reading, true, RANGE_ROWS, err);
        const uint32_t n = code == FRESHET_OK ? api->rows_count(rows) : 0;
        const bool is_cut = code == FRESHET_OK && *width > 0 && n >= RANGE_ROWS;
        if (code == FRESHET_OK && !is_cut)
            code = cassandra_take_rows(reading, rows, 0, n, err);
        if (rows != NULL)
            api->rows_free(rows);
        if (code != FRESHET_OK)
            return code;
        if (!is_cut) {
            *width =
                n < RANGE_ROWS / 4 ? (*width < UINT64_MAX / 4 ? *width * 2 + 1 : *width) : *width;
            return FRESHET_OK;
        }
        *width /= 2;
    }
}

static freshet_code read_all(cql_reading *reading, freshet_error *err)
{
    uint64_t width = UINT64_MAX / 64;
    int64_t last = INT64_MIN;
    freshet_code code = prepare_tokens(reading, true, RANGE_ROWS, err);
    for (int64_t first = INT64_MIN; code == FRESHET_OK; first = last + 1) {
        code = read_range(reading, first, &width, &last, err);
        if (last == INT64_MAX)
            break;
    }
    return code;
}

/* ---- some rows ------------------------------------------------------------------------------- */

static bool is_same_partition(const compare_cassandra *from, const cql_rows *rows, uint32_t first,
                              uint32_t row)
{
    bool same = true;
    for (uint32_t i = 0; same && i < from->table->n_partition; i++) {
        const cql_value one = from->api->rows_value(rows, first, i);
        const cql_value other = from->api->rows_value(rows, row, i);
        same = one.length == other.length &&
               (one.length <= 0 || memcmp(one.bytes, other.bytes, (size_t)one.length) == 0);
    }
    return same;
}

/* One row of the first partition of an answer, which is n rows from the first on. */
static freshet_code take_one(cql_reading *reading, const cql_rows *rows, uint32_t first, uint32_t n,
                             uint64_t random, freshet_error *err)
{
    uint32_t near = 1;
    while (near < n && is_same_partition(reading->from, rows, first, first + near))
        near++;
    return n == 0 ? FRESHET_OK
                  : cassandra_take_rows(reading, rows, first + (uint32_t)(random % near), 1, err);
}

/* Parts [from, from + n) of as many as `width` makes of the ring. */
static freshet_code read_parts(cql_reading *reading, uint32_t from, uint32_t n, uint64_t width,
                               uint64_t seed, freshet_error *err)
{
    unsigned char tokens[ASKED_MAX][8];
    cql_value values[ASKED_MAX] = {{0}};
    uint64_t random[ASKED_MAX] = {0};
    uint32_t counts[ASKED_MAX] = {0};
    cql_rows *rows = NULL;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t part = from + i;
        random[i] = hash_bytes(&part, sizeof part, seed);
        cql_put_bigint(tokens[i],
                       (int64_t)((uint64_t)INT64_MIN + part * width + random[i] % width));
        values[i] = (cql_value){.bytes = tokens[i], .length = 8};
    }
    freshet_code code = ask_many(reading, values, 1, n, counts, &rows, err);
    for (uint32_t i = 0, first = 0; code == FRESHET_OK && i < n; first += counts[i], i++)
        code = take_one(reading, rows, first, counts[i], random[i] >> 7, err);
    if (rows != NULL)
        reading->from->api->rows_free(rows);
    return code;
}

static freshet_code read_random(cql_reading *reading, uint32_t n, uint64_t seed, freshet_error *err)
{
    const cassandra_table *table = reading->from->table;
    const uint32_t most = asked_at_once(reading);
    freshet_code code = prepare_tokens(
        reading, false, table->n_keys == table->n_partition ? 1 : CQL_ROWS_NEAR, err);
    for (uint32_t from = 0; code == FRESHET_OK && from < n; from += most)
        code =
            read_parts(reading, from, n - from < most ? n - from : most, UINT64_MAX / n, seed, err);
    return code;
}

/* A small table is its own sample. */
static freshet_code read_small(cql_reading *reading, uint32_t n, bool *is_small, freshet_error *err)
{
    cql_rows *rows = NULL;
    freshet_code code = prepare_tokens(reading, false, n + 1, err);
    if (code == FRESHET_OK)
        code = ask_tokens(reading, INT64_MIN, NULL, &rows, err);
    const uint32_t found = code == FRESHET_OK ? reading->from->api->rows_count(rows) : 0;
    *is_small = found <= n;
    if (code == FRESHET_OK && *is_small)
        code = cassandra_take_rows(reading, rows, 0, found, err);
    if (rows != NULL)
        reading->from->api->rows_free(rows);
    return code;
}

static freshet_code reading_open(cql_reading *reading, void *context, compare_rows *into,
                                 freshet_error *err)
{
    *reading = (cql_reading){.from = context, .into = into, .arena = arena_open()};
    return reading->arena == NULL ? error_memory(err, ASKING) : FRESHET_OK;
}

static void reading_close(cql_reading *reading)
{
    if (reading->statement != NULL)
        reading->from->api->release(reading->statement);
    arena_close(reading->arena);
}

static freshet_code cassandra_choose(void *context, uint32_t n, uint64_t seed, compare_rows *into,
                                     freshet_error *err)
{
    cql_reading reading;
    bool is_done = false;
    freshet_code code = reading_open(&reading, context, into, err);
    if (code == FRESHET_OK && n > 0)
        code = read_small(&reading, n, &is_done, err);
    if (code == FRESHET_OK && !is_done)
        code = n > 0 ? read_random(&reading, n, seed, err) : read_all(&reading, err);
    reading_close(&reading);
    return code;
}

/* ---- certain rows ---------------------------------------------------------------------------- */

/* The values of the keys' rows [from, from + n). */
static freshet_code put_key_values(const cql_reading *reading, const batch *keys, uint32_t from,
                                   uint32_t n, text_buffer *bytes, cql_value *values,
                                   freshet_error *err)
{
    const cassandra_table *table = reading->from->table;
    text_reset(bytes);
    for (uint32_t row = from; row < from + n; row++)
        for (uint32_t i = 0; i < table->n_keys; i++)
            if (!cql_value_put(bytes, &keys->columns[table->columns[i].field], row) ||
                bytes->failed)
                return error_memory(err, ASKING);
    const unsigned char *at = (const unsigned char *)bytes->bytes, *end = at + bytes->length;
    for (uint32_t i = 0; i < n * table->n_keys; i++)
        cql_value_next(&at, end, &values[i]);
    return FRESHET_OK;
}

static freshet_code cassandra_find_keys(cql_reading *reading, const batch *keys, cql_value *values,
                                        freshet_error *err)
{
    const compare_cassandra *from = reading->from;
    const uint32_t most = asked_at_once(reading);
    uint32_t counts[ASKED_MAX] = {0};
    text_buffer bytes;
    text_init(&bytes, KEYS_BYTES_MAX);
    freshet_code code = prepare_key(reading, err);
    for (uint32_t row = 0, n; code == FRESHET_OK && row < keys->n_rows; row += n) {
        cql_rows *rows = NULL;
        n = keys->n_rows - row < most ? keys->n_rows - row : most;
        code = put_key_values(reading, keys, row, n, &bytes, values, err);
        if (code == FRESHET_OK)
            code = ask_many(reading, values, from->table->n_keys, n, counts, &rows, err);
        if (code == FRESHET_OK)
            code = cassandra_take_rows(reading, rows, 0, from->api->rows_count(rows), err);
        if (rows != NULL)
            from->api->rows_free(rows);
    }
    text_release(&bytes);
    return code;
}

static freshet_code cassandra_find(void *context, const batch *keys, compare_rows *into,
                                   freshet_error *err)
{
    cql_reading reading;
    freshet_code code = reading_open(&reading, context, into, err);
    cql_value *values =
        code == FRESHET_OK
            ? arena_zero(keys->arena, reading.from->table->n_keys * ASKED_MAX, sizeof *values)
            : NULL;
    if (code == FRESHET_OK && values == NULL)
        code = error_memory(err, ASKING);
    if (code == FRESHET_OK)
        code = cassandra_find_keys(&reading, keys, values, err);
    reading_close(&reading);
    return code;
}

compare_store compare_cassandra_store(compare_cassandra *context)
{
    return (compare_store){.context = context,
                           .choose = cassandra_choose,
                           .find = cassandra_find,
                           .unit_us = context->table->is_shared ? SECOND_US : MILLISECOND_US,
                           .kept_us = INT64_MIN,
                           .never_empty = true};
}
