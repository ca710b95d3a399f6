/* compare_cassandra.c - see compare_cassandra.h.
 *
 * The client refuses an answer that is larger than it holds (cql.h), and so are the answers of all
 * reads that are in flight at a time. What is refused is asked for again in halves; what had to be
 * halved stays so for the rest of the reading. One row, or one partition, that is too large for
 * itself ends it.
 */
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
    uint32_t most;       /* reads that are in flight at a time */
    uint64_t width_most; /* of a range of tokens */
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

/* What was asked for was refused: may less of it be asked for (is_large not NULL)? Then it is no
 * error, and there are no rows. */
static freshet_code take_answer(const cql_reading *reading, cql_code code, const char *said,
                                bool *is_large, freshet_error *err)
{
    if (code == CQL_REFUSED && is_large != NULL) {
        *is_large = true;
        return FRESHET_OK;
    }
    return code == CQL_OK ? FRESHET_OK
                          : cassandra_error(err, reading->from->place, ASKING, code, said);
}

static freshet_code cql_ask(cql_reading *reading, const cql_value *values, uint32_t n_values,
                            cql_rows **rows, bool *is_large, freshet_error *err)
{
    const compare_cassandra *from = reading->from;
    char said[CQL_TEXT_MAX] = "";
    const cql_code code =
        from->api->query(from->session, NULL, reading->statement, values, n_values, rows, said);
    arena_reset(reading->arena);
    return take_answer(reading, code, said, is_large, err);
}

/* The answers to *n reads, one behind the other. Where they are too large together, *n is 0, there
 * are none, and reading->most is less. */
static freshet_code ask_many(cql_reading *reading, const cql_value *values, uint32_t n_values,
                             uint32_t *n, uint32_t *counts, cql_rows **rows, freshet_error *err)
{
    const compare_cassandra *from = reading->from;
    char said[CQL_TEXT_MAX] = "";
    bool is_large = false;
    if (!cql_has_many(from->api)) {
        const freshet_code asked = cql_ask(reading, values, n_values, rows, NULL, err);
        counts[0] = asked == FRESHET_OK ? from->api->rows_count(*rows) : 0;
        return asked;
    }
    const cql_code code = from->api->query_many(from->session, reading->statement, values, n_values,
                                                *n, counts, rows, said);
    arena_reset(reading->arena);
    const freshet_code taken = take_answer(reading, code, said, *n > 1 ? &is_large : NULL, err);
    if (is_large) {
        reading->most = *n / 2;
        *n = 0;
    }
    return taken;
}

static freshet_code ask_tokens(cql_reading *reading, int64_t first, const int64_t *last,
                               cql_rows **rows, bool *is_large, freshet_error *err)
{
    unsigned char bytes[2][8];
    cql_value values[2] = {{.bytes = bytes[0], .length = 8}, {.bytes = bytes[1], .length = 8}};
    cql_put_bigint(bytes[0], first);
    cql_put_bigint(bytes[1], last == NULL ? 0 : *last);
    return cql_ask(reading, values, last == NULL ? 1 : 2, rows, is_large, err);
}

/* ---- all rows -------------------------------------------------------------------------------- */

/* The next range is larger where this one had few rows. */
static uint64_t next_width(const cql_reading *reading, uint64_t width, uint32_t n)
{
    if (n < RANGE_ROWS / 4)
        width = width < UINT64_MAX / 4 ? width * 2 + 1 : width;
    return width < reading->width_most ? width : reading->width_most;
}

/* One range, of a width above 0 but for one of a single token. *is_cut: it has more rows than an
 * answer may have, or larger ones, and none was taken. */
static freshet_code read_width(cql_reading *reading, int64_t first, int64_t last, bool *is_cut,
                               uint32_t *n, freshet_error *err)
{
    const cql_api *api = reading->from->api;
    cql_rows *rows = NULL;
    bool is_large = false;
    const bool is_single = first == last;
    freshet_code code = is_single ? prepare_tokens(reading, true, 0, err) : FRESHET_OK;
    if (code == FRESHET_OK)
        code = ask_tokens(reading, first, &last, &rows, is_single ? NULL : &is_large, err);
    if (code == FRESHET_OK && is_single)
        code = prepare_tokens(reading, true, RANGE_ROWS, err);
    *n = code == FRESHET_OK && rows != NULL ? api->rows_count(rows) : 0;
    *is_cut = is_large || (!is_single && *n >= RANGE_ROWS);
    if (is_large)
        reading->width_most = ((uint64_t)last - (uint64_t)first) / 2;
    if (code == FRESHET_OK && !*is_cut)
        code = cassandra_take_rows(reading, rows, 0, *n, err);
    if (rows != NULL)
        api->rows_free(rows);
    return code;
}

/* A range that gives as many rows as an answer may have, or a too large answer, is halved, but for
 * one of a single token: that is one partition, which is read whole. */
static freshet_code read_range(cql_reading *reading, int64_t first, uint64_t *width, int64_t *last,
                               freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (bool is_cut = true; code == FRESHET_OK && is_cut;) {
        const uint64_t left = (uint64_t)INT64_MAX - (uint64_t)first;
        uint32_t n;
        *width = *width > left ? left : *width;
        *last = (int64_t)((uint64_t)first + *width);
        code = read_width(reading, first, *last, &is_cut, &n, err);
        *width = is_cut ? *width / 2 : next_width(reading, *width, n);
    }
    return code;
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

/* Parts [from, from + *n) of as many as `width` makes of the ring; *n as of ask_many. */
static freshet_code read_parts(cql_reading *reading, uint32_t from, uint32_t *n, uint64_t width,
                               uint64_t seed, freshet_error *err)
{
    unsigned char tokens[ASKED_MAX][8];
    cql_value values[ASKED_MAX] = {{0}};
    uint64_t random[ASKED_MAX] = {0};
    uint32_t counts[ASKED_MAX] = {0};
    cql_rows *rows = NULL;
    for (uint32_t i = 0; i < *n; i++) {
        const uint32_t part = from + i;
        random[i] = hash_bytes(&part, sizeof part, seed);
        cql_put_bigint(tokens[i],
                       (int64_t)((uint64_t)INT64_MIN + part * width + random[i] % width));
        values[i] = (cql_value){.bytes = tokens[i], .length = 8};
    }
    freshet_code code = ask_many(reading, values, 1, n, counts, &rows, err);
    for (uint32_t i = 0, first = 0; code == FRESHET_OK && i < *n; first += counts[i], i++)
        code = take_one(reading, rows, first, counts[i], random[i] >> 7, err);
    if (rows != NULL)
        reading->from->api->rows_free(rows);
    return code;
}

static freshet_code read_random(cql_reading *reading, uint32_t n, uint64_t seed, freshet_error *err)
{
    const cassandra_table *table = reading->from->table;
    freshet_code code = prepare_tokens(
        reading, false, table->n_keys == table->n_partition ? 1 : CQL_ROWS_NEAR, err);
    for (uint32_t from = 0, asked; code == FRESHET_OK && from < n; from += asked) {
        asked = n - from < reading->most ? n - from : reading->most;
        code = read_parts(reading, from, &asked, UINT64_MAX / n, seed, err);
    }
    return code;
}

/* A small table is its own sample. */
static freshet_code read_small(cql_reading *reading, uint32_t n, bool *is_small, freshet_error *err)
{
    cql_rows *rows = NULL;
    bool is_large = false;
    freshet_code code = prepare_tokens(reading, false, n + 1, err);
    if (code == FRESHET_OK)
        code = ask_tokens(reading, INT64_MIN, NULL, &rows, &is_large, err);
    const uint32_t found = rows != NULL ? reading->from->api->rows_count(rows) : 0;
    *is_small = !is_large && found <= n;
    if (code == FRESHET_OK && *is_small)
        code = cassandra_take_rows(reading, rows, 0, found, err);
    if (rows != NULL)
        reading->from->api->rows_free(rows);
    return code;
}

static freshet_code reading_open(cql_reading *reading, void *context, compare_rows *into,
                                 freshet_error *err)
{
    *reading = (cql_reading){
        .from = context, .into = into, .arena = arena_open(), .width_most = UINT64_MAX};
    reading->most = cql_has_many(reading->from->api) ? ASKED_MAX : 1; /* or an adapter of before */
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
    uint32_t counts[ASKED_MAX] = {0};
    text_buffer bytes;
    text_init(&bytes, KEYS_BYTES_MAX);
    freshet_code code = prepare_key(reading, err);
    for (uint32_t row = 0, n; code == FRESHET_OK && row < keys->n_rows; row += n) {
        cql_rows *rows = NULL;
        n = keys->n_rows - row < reading->most ? keys->n_rows - row : reading->most;
        code = put_key_values(reading, keys, row, n, &bytes, values, err);
        if (code == FRESHET_OK)
            code = ask_many(reading, values, from->table->n_keys, &n, counts, &rows, err);
        if (code == FRESHET_OK && n > 0)
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
