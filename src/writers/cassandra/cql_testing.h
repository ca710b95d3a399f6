/* cql_testing.h - a client of a cluster that is an array in this process, on a clock of its own:
 * for tests.
 *
 * What is submitted is answered `delay_us` later by fake.judge (NULL: all is well); a row that is
 * accepted goes into the table, where of two rows of a key the one of the larger write timestamp
 * stays, as in Cassandra. Time passes in os.poll only. The system's schema is what `fake.columns`
 * says.
 *
 * Statements are told apart by their text: INSERT and BATCH write, SELECT ... WHERE of a prepared
 * one reads back.
 */
#ifndef FRESHET_WRITERS_CASSANDRA_CQL_TESTING_H
#define FRESHET_WRITERS_CASSANDRA_CQL_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/os.h"
#include "writers/cassandra/cql.h"
#include "writers/cassandra/cql_values.h"

#define FAKE_VALUES_MAX 16u
#define FAKE_FD 12345
#define FAKE_STOP_FD 12346

typedef struct fake_row {
    unsigned char *bytes[FAKE_VALUES_MAX];
    int32_t lengths[FAKE_VALUES_MAX];
    uint32_t n_values;
} fake_row;

typedef struct fake_completion {
    int64_t at_us;
    cql_completion completion;
} fake_completion;

typedef struct fake_column {
    const char *name, *kind, *type;
    int32_t position;
} fake_column;

struct cql_session {
    int unused;
};
struct cql_statement {
    char *cql;
    cql_consistency consistency;
};
struct cql_rows {
    cql_column *columns;
    cql_value *values;
    uint32_t n_rows, n_columns;
};

typedef struct fake_cql {
    int64_t now_us;
    int64_t delay_us;
    bool is_silent; /* nothing is ever answered */
    cql_code (*judge)(const cql_value *values, uint32_t n_values, uint32_t in_flight);
    uint32_t n_keys;    /* of values: the first ones */
    uint32_t timestamp; /* the value that is the write timestamp */
    cql_code connect_code, prepare_code;
    bool has_keyspace;
    fake_column columns[FAKE_VALUES_MAX];
    uint32_t n_columns;
    const char *dropped; /* a column that was dropped once, at dropped_ms; NULL: none */
    int64_t dropped_ms;
    /* what happened */
    fake_row *table;
    uint32_t n_table;
    fake_completion *queue;
    uint32_t n_queue, queue_capacity;
    uint32_t in_flight, most_in_flight;
    uint32_t n_submitted, n_batches, n_ties;
    char *statement; /* the last one prepared for writing */
    char *executed;  /* DDL, one behind the other */
    cql_session session;
    bool is_open;
} fake_cql;

static fake_cql fake;

/* ---- the clock ------------------------------------------------------------------------------- */

static int64_t fake_now_us(void)
{
    return fake.now_us;
}

static int64_t fake_next_us(void)
{
    int64_t next_us = INT64_MAX;
    for (uint32_t i = 0; i < fake.n_queue; i++)
        if (fake.queue[i].at_us < next_us)
            next_us = fake.queue[i].at_us;
    return next_us;
}

static int fake_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    const int64_t until_us = fake.now_us + (int64_t)timeout_ms * 1000;
    int ready = 0;
    if (fake_next_us() <= until_us && fake_next_us() > fake.now_us)
        fake.now_us = fake_next_us();
    else if (fake_next_us() > until_us)
        fake.now_us = until_us;
    for (nfds_t i = 0; i < n; i++) {
        fds[i].revents = fds[i].fd == FAKE_FD && fake_next_us() <= fake.now_us ? POLLIN : 0;
        ready += fds[i].revents != 0;
    }
    return ready;
}

/* ---- the table ------------------------------------------------------------------------------- */

static int64_t fake_bigint(const unsigned char *bytes)
{
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | bytes[i];
    return (int64_t)bits;
}

static void fake_row_set(fake_row *row, const cql_value *values, uint32_t n)
{
    for (uint32_t i = 0; i < row->n_values; i++)
        free(row->bytes[i]);
    row->n_values = n;
    for (uint32_t i = 0; i < n; i++) {
        row->lengths[i] = values[i].length;
        row->bytes[i] = NULL;
        if (values[i].length < 0)
            continue;
        row->bytes[i] = malloc((size_t)values[i].length + 1);
        memcpy(row->bytes[i], values[i].bytes, (size_t)values[i].length);
    }
}

static fake_row *fake_find(const cql_value *keys)
{
    for (uint32_t i = 0; i < fake.n_table; i++) {
        bool same = true;
        for (uint32_t k = 0; same && k < fake.n_keys; k++)
            same = fake.table[i].lengths[k] == keys[k].length && keys[k].bytes != NULL &&
                   memcmp(fake.table[i].bytes[k], keys[k].bytes, (size_t)keys[k].length) == 0;
        if (same)
            return &fake.table[i];
    }
    return NULL;
}

static void fake_upsert(const cql_value *values, uint32_t n)
{
    fake_row *row = fake_find(values);
    if (row == NULL) {
        fake.table = realloc(fake.table, (fake.n_table + 1) * sizeof *fake.table);
        row = &fake.table[fake.n_table++];
        *row = (fake_row){0};
    } else {
        const int64_t there = fake_bigint(row->bytes[fake.timestamp]);
        const int64_t here = fake_bigint(values[fake.timestamp].bytes);
        fake.n_ties += there == here;
        if (here < there)
            return;
    }
    fake_row_set(row, values, n);
}

/* The row of a bigint key; NULL: none. */
static const fake_row *fake_row_of(int64_t key)
{
    unsigned char bytes[8];
    cql_put_bigint(bytes, key);
    cql_value keys[FAKE_VALUES_MAX] = {{bytes, 8}};
    return fake_find(keys);
}

/* ---- the client ------------------------------------------------------------------------------ */

static void fake_answer(uint64_t tag, uint32_t row, cql_code code)
{
    if (fake.n_queue == fake.queue_capacity) {
        fake.queue_capacity = fake.queue_capacity == 0 ? 64 : fake.queue_capacity * 2;
        fake.queue = realloc(fake.queue, fake.queue_capacity * sizeof *fake.queue);
    }
    fake_completion *made = &fake.queue[fake.n_queue++];
    *made = (fake_completion){.at_us = fake.now_us + fake.delay_us,
                              .completion = {.tag = tag, .row = row, .code = code}};
    if (code != CQL_OK)
        snprintf(made->completion.text, CQL_TEXT_MAX, "the fake says %d", (int)code);
}

static cql_code fake_submit(cql_session *session, const cql_statement *statement,
                            const cql_value *values, uint32_t n_values, uint32_t n_rows,
                            bool as_batch, uint64_t tag)
{
    (void)session;
    (void)statement;
    cql_code worst = CQL_OK;
    assert_true(n_values <= FAKE_VALUES_MAX && n_rows > 0);
    fake.n_submitted += n_rows;
    fake.n_batches += as_batch;
    fake.in_flight += n_rows;
    if (fake.in_flight > fake.most_in_flight)
        fake.most_in_flight = fake.in_flight;
    for (uint32_t i = 0; i < n_rows && !fake.is_silent; i++) {
        const cql_value *row = values + (size_t)i * n_values;
        cql_code code =
            fake.judge == NULL ? CQL_OK : fake.judge(row, n_values, fake.in_flight - n_rows + i);
        worst = code == CQL_OK ? worst : code;
        if (as_batch)
            continue;
        if (code == CQL_OK)
            fake_upsert(row, n_values);
        else
            fake_answer(tag, i, code);
    }
    for (uint32_t i = 0; i < n_rows && as_batch && !fake.is_silent; i++) {
        if (worst == CQL_OK)
            fake_upsert(values + (size_t)i * n_values, n_values);
        else
            fake_answer(tag, i, worst);
    }
    if (!fake.is_silent) {
        fake_answer(tag, CQL_GROUP, CQL_OK);
        fake_completion *last = &fake.queue[fake.n_queue - 1];
        last->completion.text[CQL_TEXT_MAX - 1] = (char)n_rows;
        for (uint32_t i = 0; i < fake.n_queue; i++) /* it is the last one of its group */
            if (fake.queue[i].completion.tag == tag && fake.queue[i].at_us > last->at_us)
                last->at_us = fake.queue[i].at_us;
    }
    return CQL_OK;
}

static uint32_t fake_completions(cql_session *session, cql_completion *into, uint32_t most)
{
    uint32_t n = 0, kept = 0;
    (void)session;
    for (uint32_t i = 0; i < fake.n_queue; i++) {
        if (n == most || fake.queue[i].at_us > fake.now_us) {
            fake.queue[kept++] = fake.queue[i];
            continue;
        }
        into[n] = fake.queue[i].completion;
        if (into[n].row == CQL_GROUP)
            fake.in_flight -= (uint32_t)(unsigned char)into[n].text[CQL_TEXT_MAX - 1];
        into[n++].text[CQL_TEXT_MAX - 1] = '\0';
    }
    fake.n_queue = kept;
    return n;
}

static int fake_fd(const cql_session *session)
{
    (void)session;
    return FAKE_FD;
}

static cql_code fake_connect(const cql_options *options, cql_session **out, char *text)
{
    (void)options;
    if (fake.connect_code != CQL_OK) {
        snprintf(text, CQL_TEXT_MAX, "the fake says %d", (int)fake.connect_code);
        return fake.connect_code;
    }
    *out = &fake.session;
    fake.is_open = true;
    return CQL_OK;
}

static void fake_close(cql_session *session)
{
    (void)session;
    fake.is_open = false;
}

static cql_code fake_prepare(cql_session *session, const char *cql, cql_consistency consistency,
                             cql_statement **out, char *text)
{
    (void)session;
    if (fake.prepare_code != CQL_OK) {
        snprintf(text, CQL_TEXT_MAX, "the fake says %d", (int)fake.prepare_code);
        return fake.prepare_code;
    }
    *out = calloc(1, sizeof **out);
    (*out)->cql = strdup(cql);
    (*out)->consistency = consistency;
    free(fake.statement);
    fake.statement = strdup(cql);
    return CQL_OK;
}

static void fake_release(cql_statement *statement)
{
    free(statement->cql);
    free(statement);
}

/* Texts live in the static tables, or in the rows of the table. */
static cql_rows *fake_rows(uint32_t n_rows, uint32_t n_columns)
{
    cql_rows *rows = calloc(1, sizeof *rows);
    rows->columns = calloc(n_columns + 1, sizeof *rows->columns);
    rows->values = calloc(n_rows * n_columns + 1, sizeof *rows->values);
    rows->n_rows = n_rows;
    rows->n_columns = n_columns;
    return rows;
}

static cql_rows *fake_schema(void)
{
    static unsigned char positions[FAKE_VALUES_MAX][4];
    cql_rows *rows = fake_rows(fake.n_columns, 4);
    for (uint32_t i = 0; i < fake.n_columns; i++) {
        const fake_column *column = &fake.columns[i];
        cql_value *into = rows->values + (size_t)i * 4;
        cql_put_int(positions[i], column->position);
        into[0] = (cql_value){(const unsigned char *)column->name, (int32_t)strlen(column->name)};
        into[1] = (cql_value){(const unsigned char *)column->kind, (int32_t)strlen(column->kind)};
        into[2] = (cql_value){(const unsigned char *)column->type, (int32_t)strlen(column->type)};
        into[3] = (cql_value){positions[i], 4};
    }
    return rows;
}

static cql_code fake_query(cql_session *session, const char *cql, const cql_statement *statement,
                           const cql_value *values, uint32_t n_values, cql_rows **out, char *text)
{
    (void)session;
    (void)text;
    (void)n_values;
    if (statement != NULL) {
        const fake_row *row = fake_find(values);
        *out = fake_rows(row != NULL, row == NULL ? 1 : row->n_values);
        for (uint32_t i = 0; row != NULL && i < row->n_values; i++)
            (*out)->values[i] = (cql_value){row->bytes[i], row->lengths[i]};
        return CQL_OK;
    }
    if (strstr(cql, "system_schema.keyspaces") != NULL) {
        *out = fake_rows(fake.has_keyspace, 1);
        (*out)->values[0] = (cql_value){(const unsigned char *)"ks", 2};
        return CQL_OK;
    }
    if (strstr(cql, "system_schema.dropped_columns") != NULL) {
        static unsigned char time[8];
        cql_put_bigint(time, fake.dropped_ms);
        *out = fake_rows(fake.dropped != NULL, 2);
        if (fake.dropped == NULL)
            return CQL_OK;
        (*out)->values[0] =
            (cql_value){(const unsigned char *)fake.dropped, (int32_t)strlen(fake.dropped)};
        (*out)->values[1] = (cql_value){time, 8};
        return CQL_OK;
    }
    if (strstr(cql, "system_schema.columns") != NULL) {
        *out = fake_schema();
        return CQL_OK;
    }
    size_t length = fake.executed == NULL ? 0 : strlen(fake.executed);
    fake.executed = realloc(fake.executed, length + strlen(cql) + 2);
    snprintf(fake.executed + length, strlen(cql) + 2, "%s\n", cql);
    *out = fake_rows(0, 0);
    return CQL_OK;
}

static uint32_t fake_rows_count(const cql_rows *rows)
{
    return rows->n_rows;
}

static uint32_t fake_rows_columns(const cql_rows *rows)
{
    return rows->n_columns;
}

static cql_column fake_rows_column(const cql_rows *rows, uint32_t column)
{
    return rows->columns[column];
}

static cql_value fake_rows_value(const cql_rows *rows, uint32_t row, uint32_t column)
{
    return rows->values[row * rows->n_columns + column];
}

static void fake_rows_free(cql_rows *rows)
{
    free(rows->columns);
    free(rows->values);
    free(rows);
}

static cql_code fake_query_many(cql_session *session, const cql_statement *statement,
                                const cql_value *values, uint32_t n_values, uint32_t n_rows,
                                uint32_t *counts, cql_rows **out, char *text)
{
    cql_rows *all = NULL;
    for (uint32_t i = 0; i < n_rows; i++) {
        cql_rows *one;
        fake_query(session, NULL, statement, values + (size_t)i * n_values, n_values, &one, text);
        counts[i] = one->n_rows;
        if (all == NULL)
            all = fake_rows(0, one->n_columns);
        const size_t width = one->n_columns, n = all->n_rows;
        all->values = realloc(all->values, ((n + one->n_rows) * width + 1) * sizeof *all->values);
        memcpy(all->values + n * width, one->values, one->n_rows * width * sizeof *one->values);
        all->n_rows += one->n_rows;
        fake_rows_free(one);
    }
    *out = all;
    return CQL_OK;
}

static cql_code fake_await_schema(cql_session *session, char *text)
{
    (void)session;
    (void)text;
    return CQL_OK;
}

static void fake_nodes(const cql_session *session, uint32_t *known, uint32_t *connected)
{
    (void)session;
    *known = *connected = 1;
}

static const cql_api fake_cql_api = {
    .version = CQL_API_VERSION,
    .size = sizeof(cql_api),
    .name = "a fake",
    .connect = fake_connect,
    .close = fake_close,
    .prepare = fake_prepare,
    .release = fake_release,
    .submit = fake_submit,
    .completions = fake_completions,
    .fd = fake_fd,
    .query = fake_query,
    .rows_count = fake_rows_count,
    .rows_columns = fake_rows_columns,
    .rows_column = fake_rows_column,
    .rows_value = fake_rows_value,
    .rows_free = fake_rows_free,
    .await_schema = fake_await_schema,
    .nodes = fake_nodes,
    .query_many = fake_query_many,
};

/* A table of a key `id`, and the columns `timestamp` and `x`, on a cluster that answers in 1 ms. */
static void fake_begin(void)
{
    fake = (fake_cql){.now_us = INT64_C(1700000000000000),
                      .delay_us = 1000,
                      .n_keys = 1,
                      .timestamp = 3,
                      .has_keyspace = true,
                      .columns = {{"id", "partition_key", "bigint", 0},
                                  {"timestamp", "regular", "timestamp", -1},
                                  {"x", "regular", "double", -1}},
                      .n_columns = 3};
    os.now_us = fake_now_us;
    os.monotonic_us = fake_now_us;
    os.poll = fake_poll;
}

static void fake_end(void)
{
    for (uint32_t i = 0; i < fake.n_table; i++)
        fake_row_set(&fake.table[i], NULL, 0);
    free(fake.table);
    free(fake.queue);
    free(fake.statement);
    free(fake.executed);
    assert_false(fake.is_open);
    os_restore();
}

#endif
