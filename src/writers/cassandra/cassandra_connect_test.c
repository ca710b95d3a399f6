/* tsan */
/* cassandra_connect_test.c - a store that is not there when the run begins, or goes while it is
 * looked at: a stream goes on without it until it comes, a batch waits for as long as it was told.
 */
#include "writers/cassandra/cassandra_connect.h"

#include <limits.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/error.h"
#include "base/log.h"
#include "writers/cassandra/cassandra.h"
#include "writers/cassandra/cassandra_testing.h"
#include "writers/cassandra/cql_load.h"
#include "writers/cassandra/cql_testing.h"

#define TURNS_MAX 20000

/* ---- a store that fails so many times at each step of being opened --------------------------- */

static struct {
    atomic_uint n_connect, n_query, n_prepare; /* calls */
    unsigned fail_connect, fail_query, fail_prepare;
    cql_code then; /* what the next connection is told behind these failures */
    bool hangs;    /* each attempt but the first */
    sem_t hanging, go_on;
    atomic_uint n_closed;
} flaky;

static cql_code fails(atomic_uint *calls, unsigned times, char *text)
{
    if (atomic_fetch_add(calls, 1) >= times)
        return CQL_OK;
    snprintf(text, CQL_TEXT_MAX, "the connection to the node was lost");
    return CQL_PASSING;
}

static cql_code flaky_connect(const cql_options *options, cql_session **out, char *text)
{
    const bool is_first = atomic_load(&flaky.n_connect) == 0;
    const cql_code code = fails(&flaky.n_connect, flaky.fail_connect, text);
    if (flaky.hangs && !is_first) {
        sem_post(&flaky.hanging);
        sem_wait(&flaky.go_on);
    }
    if (code == CQL_OK && flaky.then != CQL_OK) {
        snprintf(text, CQL_TEXT_MAX, "nobody of that name");
        return flaky.then;
    }
    return code == CQL_OK ? fake_cql_api.connect(options, out, text) : code;
}

static void flaky_close(cql_session *session)
{
    fake_cql_api.close(session);
    atomic_fetch_add(&flaky.n_closed, 1);
}

static cql_code flaky_query(cql_session *session, const char *cql, const cql_statement *statement,
                            const cql_value *values, uint32_t n_values, cql_rows **out, char *text)
{
    const cql_code code = fails(&flaky.n_query, flaky.fail_query, text);
    return code == CQL_OK ? fake_cql_api.query(session, cql, statement, values, n_values, out, text)
                          : code;
}

static cql_code flaky_prepare(cql_session *session, const char *cql, cql_consistency consistency,
                              cql_statement **out, char *text)
{
    const cql_code code = fails(&flaky.n_prepare, flaky.fail_prepare, text);
    return code == CQL_OK ? fake_cql_api.prepare(session, cql, consistency, out, text) : code;
}

static cql_api flaky_api;

/* ---- a writer to it -------------------------------------------------------------------------- */

typedef struct opened {
    arena *arena, *step;
    declaration declaration;
    field fields[3];
    schema schema;
    online_options options;
    declared_text host;
    freshet_writer *writer;
    freshet_error err;
    bool stopping;
} opened;

static bool is_stopping(void *context)
{
    return ((opened *)context)->stopping;
}

static void set_up(opened *opened)
{
    memset(&flaky, 0, sizeof flaky);
    sem_init(&flaky.hanging, 0, 0);
    sem_init(&flaky.go_on, 0, 0);
    fake_begin();
    os_restore(); /* threads wait by the real clock */
    fake.delay_us = 0;
    flaky_api = fake_cql_api;
    flaky_api.connect = flaky_connect;
    flaky_api.close = flaky_close;
    flaky_api.query = flaky_query;
    flaky_api.prepare = flaky_prepare;
    cql_load_instead(&flaky_api);
    log_configure(LOG_ERROR + 1, LOG_TEXT);
    *opened = (struct opened){.arena = arena_open(), .step = arena_open()};
    declare_demo(&opened->declaration, opened->fields, &opened->schema, &opened->options,
                 &opened->host);
    opened->writer = arena_zero(opened->arena, 1, cassandra_writer_ops.size);
    *opened->writer = (freshet_writer){.ops = &cassandra_writer_ops,
                                       .declaration = &opened->declaration,
                                       .options = &opened->options,
                                       .arena = opened->arena,
                                       .is_stopping = is_stopping,
                                       .context = opened,
                                       .stop_fd = -1};
}

static freshet_code open_store(opened *opened)
{
    return cassandra_writer_ops.open(opened->writer, &opened->schema, 1, &opened->err);
}

static void tear_down(opened *opened)
{
    cassandra_writer_ops.close(opened->writer);
    arena_close(opened->arena);
    arena_close(opened->step);
    sem_destroy(&flaky.hanging);
    sem_destroy(&flaky.go_on);
    fake_end();
}

static void write_row(opened *opened, int64_t id)
{
    batch rows;
    arena_reset(opened->step);
    assert_int_equal(batch_init(&rows, opened->step, &opened->schema, 1, NULL), FRESHET_OK);
    rows.n_rows = 1;
    ((int64_t *)rows.columns[0].data)[0] = id;
    ((int64_t *)rows.columns[1].data)[0] = id * SECOND;
    ((double *)rows.columns[2].data)[0] = 0.5;
    assert_int_equal(cassandra_writer_ops.write(opened->writer, &rows, &opened->err), FRESHET_OK);
}

/* Turns as the loop does, until the rows are written or it ends. */
static freshet_code turn_until_written(opened *opened, int64_t n)
{
    freshet_code code = FRESHET_OK;
    for (int i = 0;
         i < TURNS_MAX && code == FRESHET_OK && writer_counted(opened->writer, WRITER_WRITTEN) < n;
         i++) {
        struct pollfd fd = {.fd = cassandra_writer_ops.wake_fd(opened->writer), .events = POLLIN};
        code = cassandra_writer_ops.progress(opened->writer, &opened->err);
        poll(&fd, 1, 1);
    }
    return code;
}

static void expect_troubled(opened *opened, const char *word)
{
    const char *trouble = cassandra_writer_ops.trouble(opened->writer);
    assert_non_null(trouble);
    if (strstr(trouble, word) == NULL)
        fail_msg("%s", trouble);
}

static void expect_waits(const char *word, unsigned connects, unsigned queries, unsigned prepares)
{
    opened opened;
    set_up(&opened);
    flaky.fail_connect = connects;
    flaky.fail_query = queries;
    flaky.fail_prepare = prepares;
    if (open_store(&opened) != FRESHET_OK)
        fail_msg("%s", opened.err.text);
    expect_troubled(&opened, word);
    write_row(&opened, 1);
    expect_troubled(&opened, "; 1 rows wait");
    write_row(&opened, 2);
    assert_int_equal(turn_until_written(&opened, 2), FRESHET_OK);
    assert_null(cassandra_writer_ops.trouble(opened.writer));
    assert_non_null(fake_row_of(1));
    assert_non_null(fake_row_of(2));
    assert_int_equal(atomic_load(&flaky.n_connect), connects + queries + prepares + 1);
    tear_down(&opened);
}

static void a_stream_waits_for_its_store(void **state)
{
    (void)state;
    expect_waits("cannot connect to the online store", 3, 0, 0);
    expect_waits("cannot read the store's schema", 0, 2, 0);
    expect_waits("cannot prepare writing", 0, 0, 2);
}

/* What the declaration must change ends it, also after a while; whoever asks is told. */
static void what_is_for_good_ends_it(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    flaky.fail_connect = 2;
    flaky.then = CQL_DENIED;
    assert_int_equal(open_store(&opened), FRESHET_OK);
    write_row(&opened, 1);
    assert_int_equal(turn_until_written(&opened, 1), FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(opened.err.text, "nobody of that name; see \"username\""));
    opened.err = (freshet_error){0};
    assert_int_equal(cassandra_writer_ops.flush(opened.writer, &opened.err),
                     FRESHET_BAD_DECLARATION);
    assert_int_equal(opened.err.then, FRESHET_STOP);
    tear_down(&opened);
    set_up(&opened);
    flaky.fail_query = 1;
    fake.columns[2].type = "text"; /* not the declaration's */
    assert_int_equal(open_store(&opened), FRESHET_OK);
    assert_int_equal(turn_until_written(&opened, 1), FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(opened.err.text, "the column \"x\" is text, and should be double"));
    tear_down(&opened);
}

/* A flush gives the loop its turn; at the end nobody waits for a store that never was there. */
static void the_end_does_not_wait(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    flaky.fail_connect = UINT_MAX;
    assert_int_equal(open_store(&opened), FRESHET_OK);
    assert_int_equal(cassandra_writer_ops.flush(opened.writer, &opened.err), FRESHET_OK);
    write_row(&opened, 1);
    opened.stopping = true;
    assert_int_equal(cassandra_writer_ops.flush(opened.writer, &opened.err), FRESHET_TRY_AGAIN);
    assert_int_equal(opened.err.then, FRESHET_RETRY);
    assert_non_null(strstr(opened.err.text, "the connection to the node was lost; 1 rows wait"));
    tear_down(&opened);
}

/* A client that hangs does not hold the end; what it comes to is thrown away. */
static void an_attempt_can_be_left(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    flaky.fail_connect = 1;
    flaky.hangs = true;
    assert_int_equal(open_store(&opened), FRESHET_OK);
    for (int i = 0; sem_trywait(&flaky.hanging) != 0; i++) {
        assert_true(i < TURNS_MAX);
        assert_int_equal(cassandra_writer_ops.progress(opened.writer, &opened.err), FRESHET_OK);
        poll(NULL, 0, 1);
    }
    cassandra_writer_ops.close(opened.writer);
    arena_close(opened.arena); /* nothing of the pipeline's is needed any more */
    arena_close(opened.step);
    assert_int_equal(atomic_load(&flaky.n_closed), 0);
    sem_post(&flaky.go_on);
    for (int i = 0; i < TURNS_MAX && atomic_load(&flaky.n_closed) == 0; i++)
        poll(NULL, 0, 1);
    assert_int_equal(atomic_load(&flaky.n_closed), 1);
    fake_end();
}

/* A batch waits for as long as it was told; then it may be run again. */
static void a_batch_has_patience(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    opened.writer->is_batch = true;
    opened.options.cassandra.patience_us = 60 * SECOND;
    flaky.fail_connect = flaky.fail_query = 1;
    assert_int_equal(open_store(&opened), FRESHET_OK);
    assert_int_equal(atomic_load(&flaky.n_connect), 3);
    assert_null(cassandra_writer_ops.trouble(opened.writer));
    tear_down(&opened);
    set_up(&opened);
    opened.writer->is_batch = true;
    opened.options.cassandra.patience_us = 350000; /* pauses of 0.1 and 0.2 s, and no third */
    flaky.fail_connect = UINT_MAX;
    assert_int_equal(open_store(&opened), FRESHET_TRY_AGAIN);
    assert_non_null(strstr(opened.err.text, "the connection to the node was lost"));
    assert_in_range(atomic_load(&flaky.n_connect), 2, 3);
    tear_down(&opened);
    set_up(&opened);
    opened.writer->is_batch = true;
    opened.options.cassandra.patience_us = 60 * SECOND;
    flaky.then = CQL_DENIED;
    assert_int_equal(open_store(&opened), FRESHET_BAD_DECLARATION);
    assert_int_equal(atomic_load(&flaky.n_connect), 1);
    tear_down(&opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_waits_for_its_store), cmocka_unit_test(what_is_for_good_ends_it),
        cmocka_unit_test(the_end_does_not_wait),        cmocka_unit_test(an_attempt_can_be_left),
        cmocka_unit_test(a_batch_has_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
