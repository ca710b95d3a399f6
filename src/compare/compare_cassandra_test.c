/* compare_cassandra_test.c - a table on a ring of tokens that refuses answers of more than so many
 * rows, as the client does with those of too many bytes: all rows, random ones and those of certain
 * keys are read all the same, by asking for less; and what is too large by itself is an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "compare/compare_cassandra.h"
#include "writers/cassandra/cql_values.h"

#define RING 20000 /* rows: row i has the key i, and stands at token_of(i) */

struct cql_statement {
    char cql[400];
};

struct cql_rows {
    uint32_t ids[RING];
    uint32_t n;
};

static struct {
    uint32_t most; /* rows of an answer; 0: any */
    uint32_t n_asked, n_refused;
} ring;

static int64_t token_of(uint32_t id)
{
    return (int64_t)((uint64_t)INT64_MIN + id * (UINT64_MAX / RING));
}

/* ---- the client ------------------------------------------------------------------------------ */

static cql_code ring_prepare(cql_session *session, const char *cql, cql_consistency consistency,
                             cql_statement **out, char *text)
{
    (void)session, (void)consistency, (void)text;
    *out = calloc(1, sizeof **out);
    snprintf((*out)->cql, sizeof(*out)->cql, "%s", cql);
    return CQL_OK;
}

static void ring_release(cql_statement *statement)
{
    free(statement);
}

static int64_t ring_bigint(const cql_value *value)
{
    return cql_get_bigint(value->bytes);
}

static void ring_find(const cql_statement *statement, const cql_value *values, uint32_t n_values,
                      cql_rows *into)
{
    const char *limit = strstr(statement->cql, " LIMIT ");
    uint32_t left = limit == NULL ? UINT32_MAX : (uint32_t)strtoul(limit + 7, NULL, 10);
    if (strstr(statement->cql, "token(") == NULL) {
        into->ids[into->n++] = (uint32_t)ring_bigint(&values[0]);
        return;
    }
    for (uint32_t id = 0; id < RING && left > 0; id++) {
        if (token_of(id) < ring_bigint(&values[0]))
            continue;
        if (n_values > 1 && token_of(id) > ring_bigint(&values[1]))
            break;
        into->ids[into->n++] = id;
        left--;
    }
}

static cql_code ring_answer(cql_rows *rows, cql_rows **out, char *text)
{
    ring.n_asked++;
    if (ring.most == 0 || rows->n <= ring.most) {
        *out = rows;
        return CQL_OK;
    }
    ring.n_refused++;
    free(rows);
    snprintf(text, CQL_TEXT_MAX, "the answer is larger than 256 MiB: ask for less");
    return CQL_REFUSED;
}

static cql_code ring_query(cql_session *session, const char *cql, const cql_statement *statement,
                           const cql_value *values, uint32_t n_values, cql_rows **out, char *text)
{
    (void)session, (void)cql;
    cql_rows *rows = calloc(1, sizeof *rows);
    ring_find(statement, values, n_values, rows);
    return ring_answer(rows, out, text);
}

static cql_code ring_query_many(cql_session *session, const cql_statement *statement,
                                const cql_value *values, uint32_t n_values, uint32_t n_rows,
                                uint32_t *counts, cql_rows **out, char *text)
{
    (void)session;
    cql_rows *rows = calloc(1, sizeof *rows);
    for (uint32_t i = 0; i < n_rows; i++) {
        const uint32_t n = rows->n;
        ring_find(statement, values + (size_t)i * n_values, n_values, rows);
        counts[i] = rows->n - n;
    }
    return ring_answer(rows, out, text);
}

static uint32_t ring_count(const cql_rows *rows)
{
    return rows->n;
}

static cql_value ring_value(const cql_rows *rows, uint32_t row, uint32_t column)
{
    static unsigned char bytes[8];
    cql_put_bigint(bytes, column == 0 ? (int64_t)rows->ids[row] : 1000);
    return (cql_value){bytes, 8};
}

static void ring_free(cql_rows *rows)
{
    free(rows);
}

static const cql_api api = {.version = CQL_API_VERSION,
                            .size = sizeof(cql_api),
                            .name = "a ring",
                            .prepare = ring_prepare,
                            .release = ring_release,
                            .query = ring_query,
                            .rows_count = ring_count,
                            .rows_value = ring_value,
                            .rows_free = ring_free,
                            .query_many = ring_query_many};

/* ---- what is read ---------------------------------------------------------------------------- */

struct compare_rows {
    uint8_t times[RING];
    uint32_t n;
};

/* In the place of that of compare.c, which puts them into a table. */
freshet_code compare_rows_add(compare_rows *rows, const batch *of, freshet_error *err)
{
    (void)err;
    for (uint32_t i = 0; i < of->n_rows; i++)
        rows->times[((const int64_t *)of->columns[0].data)[i]]++;
    rows->n += of->n_rows;
    return FRESHET_OK;
}

typedef struct world {
    arena *arena;
    field fields[2];
    schema schema;
    table_column columns[2];
    cassandra_table table;
    cassandra_place place;
    compare_cassandra context;
    compare_store store;
    compare_rows rows;
} world;

static int set_up(void **state)
{
    world *world = calloc(1, sizeof *world);
    world->arena = arena_open();
    world->fields[0] = (field){.name = "id", .type = type_simple(TYPE_BIGINT)};
    world->fields[1] = (field){.name = "timestamp", .type = type_simple(TYPE_TIMESTAMP)};
    world->schema = (schema){.n_fields = 2, .fields = world->fields};
    world->columns[0] = (table_column){.quoted = "id", .field = 0};
    world->columns[1] = (table_column){.quoted = "timestamp", .field = 1};
    world->table = (cassandra_table){
        .quoted = "ks.t", .columns = world->columns, .n_columns = 2, .n_partition = 1, .n_keys = 1};
    world->place = (cassandra_place){.keyspace = "ks", .table = "t"};
    world->context = (compare_cassandra){
        .api = &api, .place = &world->place, .table = &world->table, .schema = &world->schema};
    world->store = compare_cassandra_store(&world->context);
    memset(&ring, 0, sizeof ring);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    world *world = *state;
    arena_close(world->arena);
    free(world);
    return 0;
}

static freshet_code choose(world *world, uint32_t n, freshet_error *err)
{
    world->rows = (compare_rows){.n = 0};
    ring.n_asked = ring.n_refused = 0;
    return world->store.choose(world->store.context, n, 7, &world->rows, err);
}

static freshet_code find(world *world, uint32_t n, freshet_error *err)
{
    batch keys;
    world->rows = (compare_rows){.n = 0};
    ring.n_asked = ring.n_refused = 0;
    assert_int_equal(batch_init(&keys, world->arena, &world->schema, n, err), FRESHET_OK);
    for (uint32_t i = 0; i < n; i++)
        ((int64_t *)keys.columns[0].data)[i] = i * 3;
    keys.n_rows = n;
    return world->store.find(world->store.context, &keys, &world->rows, err);
}

static void expect_each_once(const world *world, uint32_t n, uint32_t step)
{
    assert_int_equal(world->rows.n, n);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(world->rows.times[i * step], 1);
}

static void all_rows(void **state)
{
    world *world = *state;
    static const uint32_t most[] = {0, 3000, 100, 1};
    freshet_error err = {0};
    for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
        ring.most = most[i];
        assert_int_equal(choose(world, 0, &err), FRESHET_OK);
        expect_each_once(world, RING, 1);
        assert_true(ring.n_refused <= 64); /* what was refused once is not asked for again */
        assert_true((ring.n_refused > 0) == (most[i] > 0 && most[i] < 3000));
    }
}

static void random_rows(void **state)
{
    world *world = *state;
    static const uint32_t most[] = {0, 300, 100, 1};
    freshet_error err = {0};
    compare_rows whole = {.n = 0};
    for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
        ring.most = most[i];
        assert_int_equal(choose(world, 700, &err), FRESHET_OK);
        assert_int_equal(world->rows.n, 700);
        if (i == 0)
            whole = world->rows;
        assert_memory_equal(&world->rows, &whole, sizeof whole); /* the same sample */
        assert_true(ring.n_refused <= 10);
    }
}

static void certain_rows(void **state)
{
    world *world = *state;
    static const uint32_t most[] = {0, 256, 255, 100, 1};
    freshet_error err = {0};
    for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
        ring.most = most[i];
        assert_int_equal(find(world, 1000, &err), FRESHET_OK);
        expect_each_once(world, 1000, 3);
        assert_true(ring.n_refused <= 8);
        if (most[i] == 0 || most[i] >= 256)
            assert_int_equal(ring.n_asked, 4);
    }
}

/* A row that is too large by itself. */
static cql_code refuse_all(cql_session *session, const cql_statement *statement,
                           const cql_value *values, uint32_t n_values, uint32_t n_rows,
                           uint32_t *counts, cql_rows **out, char *text)
{
    (void)session, (void)statement, (void)values, (void)n_values, (void)n_rows, (void)counts;
    (void)out;
    ring.n_asked++;
    snprintf(text, CQL_TEXT_MAX, "the answer is larger than 256 MiB: ask for less");
    return CQL_REFUSED;
}

static void one_that_is_too_large(void **state)
{
    world *world = *state;
    freshet_error err = {0};
    cql_api refusing = api;
    refusing.query_many = refuse_all;
    world->context.api = &refusing;
    assert_int_equal(find(world, 1000, &err), FRESHET_FAILED);
    assert_non_null(strstr(err.text, "the answer is larger than 256 MiB"));
    assert_int_equal(ring.n_asked, 9); /* 256, 128 ... 1 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(certain_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_too_large, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
