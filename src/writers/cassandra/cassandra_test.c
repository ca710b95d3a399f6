/* cassandra_test.c - the writer against a cluster that is slow, full, down, silent, or refuses:
 * nothing is lost, little is asked for in vain, memory is bounded. */
#include "writers/cassandra/cassandra.h"

#include "base/error.h"
#include "base/log.h"
#include "writers/cassandra/cassandra_options.h"
#include "writers/cassandra/cassandra_testing.h"
#include "writers/cassandra/cql_load.h"
#include "writers/cassandra/cql_testing.h"

typedef struct opened {
    arena *arena, *step;
    declaration declaration;
    field fields[4];
    schema schema;
    uint32_t n_keys;
    online_options options;
    declared_text host;
    freshet_writer *writer;
    freshet_error err;
    bool stopping;
    uint32_t letters_fail; /* so many times */
    uint32_t n_letters;
    char letter[1024], reason[512]; /* the last one */
} opened;

static freshet_code take_letter(void *context, const char *raw, size_t raw_length, reason_code code,
                                const char *reason, freshet_error *err)
{
    assert_int_equal(code, REASON_STORE_REFUSED);
    opened *opened = context;
    if (opened->letters_fail > 0) {
        opened->letters_fail--;
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL, "the disk is full");
    }
    opened->n_letters++;
    snprintf(opened->letter, sizeof opened->letter, "%.*s", (int)raw_length, raw);
    snprintf(opened->reason, sizeof opened->reason, "%s", reason);
    return FRESHET_OK;
}

static bool is_stopping(void *context)
{
    return ((opened *)context)->stopping;
}

static void set_up(opened *opened)
{
    *opened = (struct opened){.arena = arena_open(), .step = arena_open(), .n_keys = 1};
    fake_begin();
    cql_load_instead(&fake_cql_api);
    declare_demo(&opened->declaration, opened->fields, &opened->schema, &opened->options,
                 &opened->host);
}

static void close_store(opened *opened)
{
    if (opened->writer != NULL)
        cassandra_writer_ops.close(opened->writer);
    opened->writer = NULL;
}

static freshet_code open_store(opened *opened)
{
    close_store(opened);
    opened->writer = arena_zero(opened->arena, 1, cassandra_writer_ops.size);
    *opened->writer = (freshet_writer){.ops = &cassandra_writer_ops,
                                       .declaration = &opened->declaration,
                                       .options = &opened->options,
                                       .arena = opened->arena,
                                       .refuse = take_letter,
                                       .is_stopping = is_stopping,
                                       .context = opened,
                                       .stop_fd = FAKE_STOP_FD};
    return cassandra_writer_ops.open(opened->writer, &opened->schema, opened->n_keys, &opened->err);
}

static void must_open(opened *opened)
{
    if (open_store(opened) != FRESHET_OK)
        fail_msg("%s", opened->err.text);
}

static void begin(opened *opened)
{
    set_up(opened);
    must_open(opened);
}

/* A second key, "b". */
static void add_key(opened *opened, const char *kind)
{
    opened->fields[3] = opened->fields[2];
    opened->fields[2] = opened->fields[1];
    opened->fields[1] = (field){"b", type_simple(TYPE_BIGINT)};
    opened->schema.n_fields = 4;
    opened->n_keys = fake.n_keys = 2;
    fake.timestamp = 4;
    fake.n_columns = 4;
    fake.columns[3] = (fake_column){"b", kind, "bigint", 0};
}

static void tear_down(opened *opened)
{
    close_store(opened);
    arena_close(opened->arena);
    arena_close(opened->step);
    fake_end();
}

/* Rows of keys [first, first + n): event at that second, x is the key's number plus `x`. */
static batch make_rows(opened *opened, int64_t first, uint32_t n, int64_t second, double x)
{
    batch rows;
    arena_reset(opened->step);
    assert_int_equal(batch_init(&rows, opened->step, &opened->schema, n, NULL), FRESHET_OK);
    rows.n_rows = n;
    rows.write_us = arena_zero(opened->step, n, sizeof *rows.write_us);
    for (uint32_t i = 0; i < n; i++) {
        ((int64_t *)rows.columns[0].data)[i] = first + i;
        ((int64_t *)rows.columns[opened->n_keys].data)[i] = second * SECOND;
        ((double *)rows.columns[opened->n_keys + 1].data)[i] = (double)(first + i) + x;
        rows.write_us[i] = second * SECOND;
    }
    return rows;
}

static freshet_code write_rows(opened *opened, int64_t first, uint32_t n, int64_t second, double x)
{
    batch rows = make_rows(opened, first, n, second, x);
    return cassandra_writer_ops.write(opened->writer, &rows, &opened->err);
}

/* Again and again, as the loop does, for at most so long. */
static void write_all(opened *opened, int64_t first, uint32_t n, int64_t second, double x)
{
    const int64_t until_us = fake.now_us + 600 * SECOND;
    freshet_code code;
    while ((code = write_rows(opened, first, n, second, x)) == FRESHET_TRY_AGAIN)
        assert_true(fake.now_us < until_us);
    assert_int_equal(code, FRESHET_OK);
}

static void flush_all(opened *opened)
{
    const int64_t until_us = fake.now_us + 600 * SECOND;
    freshet_code code;
    while ((code = cassandra_writer_ops.flush(opened->writer, &opened->err)) == FRESHET_TRY_AGAIN)
        assert_true(fake.now_us < until_us);
    assert_int_equal(code, FRESHET_OK);
}

static double x_of(int64_t key, uint32_t value)
{
    const fake_row *row = fake_row_of(key);
    double x;
    if (row == NULL)
        return -1;
    int64_t bits = fake_bigint(row->bytes[value]);
    memcpy(&x, &bits, sizeof x);
    return x;
}

static cassandra_figures figures_of(const opened *opened)
{
    cassandra_figures figures;
    cassandra_figures_take(opened->writer, &figures);
    return figures;
}

/* ---- opening --------------------------------------------------------------------------------- */

static void a_table_that_does_not_fit_ends_it(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        fake_column columns[4];
        uint32_t n;
        bool no_keyspace;
    } cases[] = {
        {"the keyspace \"ks\" is missing, and more", {{0}}, 0, true},
        {"the table \"ks.demo\" is missing", {{0}}, 0, false},
        {"the column \"x\" (double) is missing",
         {{"id", "partition_key", "bigint", 0}, {"timestamp", "regular", "timestamp", -1}},
         2,
         false},
        {"the column \"x\" is float, and should be double",
         {{"id", "partition_key", "bigint", 0},
          {"timestamp", "regular", "timestamp", -1},
          {"x", "regular", "float", -1}},
         3,
         false},
        {"the key column \"id\" is text, and should be bigint",
         {{"id", "partition_key", "text", 0}, {"timestamp", "regular", "timestamp", -1}},
         2,
         false},
        {"the column \"id\" is a clustering column, and should be partition_key",
         {{"day", "partition_key", "text", 0}, {"id", "clustering", "bigint", 0}},
         2,
         false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        opened opened;
        set_up(&opened);
        memcpy(fake.columns, cases[i].columns, sizeof cases[i].columns);
        fake.n_columns = cases[i].n;
        fake.has_keyspace = !cases[i].no_keyspace;
        assert_int_equal(open_store(&opened), FRESHET_BAD_DECLARATION);
        if (i < 5 && strstr(opened.err.text, cases[i].said) == NULL)
            fail_msg("%s", opened.err.text);
        assert_non_null(strstr(opened.err.text, "freshet apply demo.yaml"));
        tear_down(&opened);
    }
}

/* What may pass: cassandra_connect_test.c. */
static void failures_at_the_start_say_what_to_do(void **state)
{
    (void)state;
    static const struct {
        cql_code said;
        freshet_code code, code_of_statement;
        const char *word;
    } cases[] = {
        {CQL_DENIED, FRESHET_BAD_DECLARATION, FRESHET_BAD_DECLARATION, "\"password\""},
        {CQL_TLS, FRESHET_BAD_DECLARATION, FRESHET_BAD_DECLARATION, "\"tls\""},
        {CQL_MEMORY, FRESHET_NO_MEMORY, FRESHET_NO_MEMORY, ""},
        {CQL_REFUSED, FRESHET_BAD_DECLARATION, FRESHET_FAILED, "`cassandra`"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        opened opened;
        set_up(&opened);
        fake.connect_code = cases[i].said;
        assert_int_equal(open_store(&opened), cases[i].code);
        assert_non_null(strstr(opened.err.text, cases[i].word));
        fake.connect_code = CQL_OK;
        fake.prepare_code = cases[i].said;
        assert_int_equal(open_store(&opened), cases[i].code_of_statement);
        tear_down(&opened);
    }
}

/* ---- all is well ----------------------------------------------------------------------------- */

static void rows_are_there_after_a_flush(void **state)
{
    (void)state;
    opened opened;
    begin(&opened);
    assert_string_equal(fake.statement,
                        "INSERT INTO \"ks\".\"demo\" (\"id\", \"timestamp\", \"x\") "
                        "VALUES (?, ?, ?) USING TIMESTAMP ?");
    for (int i = 0; i < 10; i++)
        write_all(&opened, i * 150, 150, 100, 0.5);
    flush_all(&opened);
    assert_int_equal(fake.n_table, 1500);
    assert_int_equal(fake.n_submitted, 1500);
    for (int64_t key = 0; key < 1500; key += 77)
        assert_true(x_of(key, 2) == (double)key + 0.5);
    assert_true(fake.most_in_flight <= 256);
    assert_true(fake.most_in_flight > 128); /* the window has grown */
    assert_int_equal(figures_of(&opened).confirmed, 1500);
    assert_int_equal(cassandra_writer_ops.wake_fd(opened.writer), -1);
    tear_down(&opened);
}

/* Rows go out at once, not only when somebody flushes, and are confirmed on the way by. */
static void a_row_is_sent_at_once(void **state)
{
    (void)state;
    opened opened;
    begin(&opened);
    write_all(&opened, 1, 1, 100, 0);
    assert_int_equal(fake.n_submitted, 1);
    assert_int_equal(cassandra_writer_ops.wake_fd(opened.writer), FAKE_FD);
    assert_int_equal(cassandra_writer_ops.wake_us(opened.writer), INT64_MAX);
    fake.now_us += 1000;
    assert_int_equal(cassandra_writer_ops.progress(opened.writer, NULL), FRESHET_OK);
    assert_int_equal(figures_of(&opened).pending, 0);
    tear_down(&opened);
}

static void only_the_newest_row_of_a_key_goes_out(void **state)
{
    (void)state;
    opened opened;
    begin(&opened);
    batch rows = make_rows(&opened, 0, 6, 100, 0);
    uint8_t kinds[] = {ROW_NEW | ROW_ONLINE, ROW_NEW,   ROW_CORRECTION | ROW_ONLINE, ROW_NEW,
                       ROW_NEW | ROW_ONLINE, ROW_ONLINE};
    rows.row_kinds = kinds;
    for (int i = 0; i < 6; i++) {
        ((int64_t *)rows.columns[0].data)[i] = 7;
        ((double *)rows.columns[2].data)[i] = i;
    }
    rows.write_us[2] += 2; /* the newest */
    batch taken;
    assert_int_equal(writer_select(&rows, cassandra_writer_ops.takes, &taken, NULL), FRESHET_OK);
    assert_int_equal(taken.n_rows, 4);
    assert_int_equal(cassandra_writer_ops.write(opened.writer, &taken, NULL), FRESHET_OK);
    flush_all(&opened);
    assert_int_equal(fake.n_submitted, 1);
    assert_true(x_of(7, 2) == 2);
    /* of equal write timestamps the later arrival */
    rows.row_kinds = NULL;
    memset(rows.write_us, 0, 6 * sizeof *rows.write_us);
    rows.write_us[3] = rows.write_us[5] = 200 * SECOND;
    assert_int_equal(cassandra_writer_ops.write(opened.writer, &rows, NULL), FRESHET_OK);
    flush_all(&opened);
    assert_int_equal(fake.n_submitted, 2);
    assert_true(x_of(7, 2) == 5);
    tear_down(&opened);
}

static void rows_of_one_partition_make_a_batch(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    add_key(&opened, "clustering");
    must_open(&opened);
    batch rows = make_rows(&opened, 0, 60, 100, 0);
    for (int64_t i = 0; i < 60; i++) {
        ((int64_t *)rows.columns[0].data)[i] = i < 50 ? 1 : i;
        ((int64_t *)rows.columns[1].data)[i] = i;
    }
    assert_int_equal(cassandra_writer_ops.write(opened.writer, &rows, NULL), FRESHET_OK);
    flush_all(&opened);
    assert_int_equal(fake.n_table, 60);
    assert_int_equal(fake.n_batches, 2); /* 32 and 18 rows */
    tear_down(&opened);
}

/* As an existing table may have it, too. */
static void the_partition_key_is_in_the_order_of_partition_by(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    declared_text names[] = {{.value = "b"}, {.value = "id"}};
    opened.options.cassandra.partition_by = (declared_list){names, 2};
    add_key(&opened, "partition_key");
    fake.columns[0].position = 1;
    must_open(&opened);
    assert_non_null(strstr(fake.statement, "(\"b\", \"id\", \"timestamp\", \"x\")"));
    fake.columns[0].position = 0;
    fake.columns[3].position = 1;
    close_store(&opened);
    assert_int_equal(open_store(&opened), FRESHET_BAD_DECLARATION);
    tear_down(&opened);
}

static void rows_are_held_for_the_processing_time(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    opened.options.cassandra.stream_processing_time_us = 2 * SECOND;
    must_open(&opened);
    const int64_t begin_us = fake.now_us;
    for (int i = 1; i <= 4; i++) {
        write_all(&opened, 1, 3, 100 + i, i);
        assert_int_equal(fake.n_submitted, 0);
        fake.now_us += SECOND / 4;
    }
    assert_int_equal(cassandra_writer_ops.wake_us(opened.writer), begin_us + 2 * SECOND);
    fake.now_us = begin_us + 2 * SECOND;
    assert_int_equal(cassandra_writer_ops.progress(opened.writer, NULL), FRESHET_OK);
    assert_int_equal(fake.n_submitted, 3);
    assert_true(x_of(1, 2) == 5);
    write_all(&opened, 1, 3, 200, 9); /* a flush waits for nothing */
    flush_all(&opened);
    assert_true(fake.now_us < begin_us + 3 * SECOND);
    assert_true(x_of(1, 2) == 10);
    tear_down(&opened);
}

/* ---- TTL, shared tables ---------------------------------------------------------------------- */

static int32_t ttl_of(int64_t key, uint32_t value)
{
    return cql_get_int(fake_row_of(key)->bytes[value]);
}

static void keep_line(void *context, const char *line)
{
    snprintf(context, 256, "%s", line);
}

static void the_ttl_counts_from_the_event(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    opened.options.ttl_us = 3600 * SECOND;
    must_open(&opened);
    assert_non_null(strstr(fake.statement, "USING TIMESTAMP ? AND TTL ?"));
    const int64_t now_s = fake.now_us / SECOND;
    write_all(&opened, 1, 1, now_s, 0);
    write_all(&opened, 2, 1, now_s - 600, 0);
    write_all(&opened, 3, 1, now_s - 3600, 0); /* it has just passed */
    write_all(&opened, 4, 1, now_s - 3599, 0);
    flush_all(&opened);
    assert_int_equal(ttl_of(1, 4), 3600);
    assert_int_equal(ttl_of(2, 4), 3000);
    assert_null(fake_row_of(3));
    assert_int_equal(ttl_of(4, 4), 1);
    assert_int_equal(figures_of(&opened).expired, 1);
    char line[256] = "";
    log_hook(keep_line, line);
    tear_down(&opened);
    log_hook(NULL, NULL);
    assert_non_null(strstr(line, "1 rows were not written"));
}

static int64_t hurrying_now_us(void)
{
    fake.now_us += SECOND / 2;
    return fake.now_us;
}

/* It passes between the look at it and the sending: 0 would mean for ever. */
static void a_ttl_that_passes_while_sending_is_not_for_ever(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    opened.options.ttl_us = 3600 * SECOND;
    must_open(&opened);
    const int64_t now_s = fake.now_us / SECOND;
    os.now_us = hurrying_now_us;
    for (int64_t key = 0; key < 8; key++)
        write_all(&opened, key, 1, now_s - 3600 + key, 0);
    flush_all(&opened);
    uint32_t n_written = 0;
    for (int64_t key = 0; key < 8; key++)
        if (fake_row_of(key) != NULL) {
            assert_true(ttl_of(key, 4) > 0);
            n_written++;
        }
    assert_true(n_written > 0);
    tear_down(&opened);
}

/* A row that could not be written for an hour has an hour less to live. */
static void the_ttl_runs_while_a_row_waits(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    opened.options.ttl_us = 7200 * SECOND;
    must_open(&opened);
    fake.is_silent = true;
    write_all(&opened, 1, 1, fake.now_us / SECOND, 0);
    const uint64_t tag = (uint64_t)1 << 16;
    fake.is_silent = false;
    fake.now_us += 3600 * SECOND;
    fake_answer(tag, 0, CQL_PASSING);
    fake_answer(tag, CQL_GROUP, CQL_OK);
    flush_all(&opened);
    assert_in_range(ttl_of(1, 4), 3598, 3600);
    tear_down(&opened);
}

static void a_shared_table_keeps_the_newest_timestamp(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    opened.options.write_to_entity = true;
    opened.options.ttl_us = 3600 * SECOND;
    fake.timestamp = 2;
    must_open(&opened);
    assert_string_equal(
        fake.statement,
        "BEGIN UNLOGGED BATCH INSERT INTO \"ks\".\"thing\" (\"id\", \"x\") VALUES (?, ?) USING "
        "TIMESTAMP ? AND TTL ?; INSERT INTO \"ks\".\"thing\" (\"id\", \"timestamp\") VALUES (?, ?) "
        "USING TIMESTAMP ? AND TTL ?; APPLY BATCH");
    batch rows = make_rows(&opened, 1, 1, fake.now_us / SECOND, 0.5);
    ((int64_t *)rows.columns[1].data)[0] += 1234;
    rows.write_us[0] += 3;
    assert_int_equal(cassandra_writer_ops.write(opened.writer, &rows, NULL), FRESHET_OK);
    flush_all(&opened);
    const fake_row *row = fake_row_of(1);
    assert_int_equal(row->n_values, 8);
    assert_int_equal(fake_bigint(row->bytes[2]), fake.now_us / SECOND * SECOND + 3);
    assert_int_equal(fake_bigint(row->bytes[4]), 1);
    assert_int_equal(fake_bigint(row->bytes[5]), fake.now_us / SECOND * 1000 + 1);
    assert_int_equal(fake_bigint(row->bytes[6]), fake.now_us / SECOND * SECOND + 1234);
    assert_int_equal(cql_get_int(row->bytes[7]), 3601); /* it is 1.2 ms ahead */
    tear_down(&opened);
}

/* ---- what goes wrong ------------------------------------------------------------------------- */

static int64_t down_until_us;
static cql_code down_code;

static cql_code is_down(const cql_value *values, uint32_t n_values, uint32_t in_flight)
{
    (void)values;
    (void)n_values;
    (void)in_flight;
    return fake.now_us < down_until_us ? down_code : CQL_OK;
}

static void an_outage_loses_nothing_and_asks_little(void **state)
{
    (void)state;
    static const cql_code codes[] = {CQL_PASSING, CQL_OVERLOADED, CQL_DENIED, CQL_SCHEMA,
                                     CQL_MEMORY};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        opened opened;
        begin(&opened);
        write_all(&opened, 0, 500, 100, 0);
        flush_all(&opened);
        const uint32_t before = fake.n_submitted;
        fake.judge = is_down;
        down_code = codes[i];
        down_until_us = fake.now_us + 60 * SECOND;
        while (write_rows(&opened, 0, 900, 200, 0.5) == FRESHET_TRY_AGAIN)
            ;
        int64_t began_us = fake.now_us;
        assert_int_equal(cassandra_writer_ops.flush(opened.writer, &opened.err), FRESHET_TRY_AGAIN);
        assert_int_equal(opened.err.then, FRESHET_RETRY);
        assert_in_range(fake.now_us - began_us, 1, 2 * SECOND);
        flush_all(&opened);
        assert_int_equal(fake.n_table, 900);
        assert_true(x_of(899, 2) == 899.5);
        assert_in_range(fake.now_us - down_until_us, 0, 12 * SECOND);
        /* the window, halved again and again, and then one row at most every two seconds */
        assert_in_range(fake.n_submitted - before, 900, 900 + 2 * 256 + 40);
        assert_null(cassandra_writer_ops.trouble(opened.writer));
        tear_down(&opened);
    }
}

static void trouble_has_a_beginning_and_an_end(void **state)
{
    (void)state;
    opened opened;
    begin(&opened);
    fake.judge = is_down;
    down_code = CQL_PASSING;
    down_until_us = fake.now_us + 20 * SECOND;
    write_all(&opened, 0, 10, 100, 0);
    assert_null(cassandra_writer_ops.trouble(opened.writer));
    while (fake.now_us < down_until_us - 5 * SECOND)
        cassandra_writer_ops.flush(opened.writer, NULL);
    assert_non_null(strstr(cassandra_writer_ops.trouble(opened.writer),
                           "takes no rows: the fake says 1; 10 rows"));
    flush_all(&opened);
    assert_null(cassandra_writer_ops.trouble(opened.writer));
    down_code = CQL_DENIED; /* needs somebody: told at once */
    down_until_us = fake.now_us + SECOND / 2;
    write_all(&opened, 0, 10, 200, 0);
    fake.now_us += 1000;
    cassandra_writer_ops.progress(opened.writer, NULL);
    assert_non_null(cassandra_writer_ops.trouble(opened.writer));
    flush_all(&opened);
    tear_down(&opened);
}

static cql_code takes_ten(const cql_value *values, uint32_t n_values, uint32_t in_flight)
{
    (void)values;
    (void)n_values;
    return in_flight < 10 ? CQL_OK : CQL_OVERLOADED;
}

/* All rows on their way come back at once: the window is halved once, not to nothing. */
static void rows_that_fail_together_count_once(void **state)
{
    (void)state;
    opened opened;
    begin(&opened);
    down_until_us = fake.now_us + SECOND;
    down_code = CQL_PASSING;
    fake.judge = is_down;
    write_all(&opened, 0, 64, 100, 0);
    assert_int_equal(figures_of(&opened).in_flight, 64);
    assert_int_equal(figures_of(&opened).window, 64);
    fake.now_us += fake.delay_us;
    assert_int_equal(cassandra_writer_ops.progress(opened.writer, NULL), FRESHET_OK);
    assert_int_equal(figures_of(&opened).retried, 64);
    assert_int_equal(figures_of(&opened).window, 32);
    flush_all(&opened);
    assert_int_equal(fake.n_table, 64);
    tear_down(&opened);
}

static void an_overloaded_store_gets_less(void **state)
{
    (void)state;
    opened opened;
    begin(&opened);
    fake.judge = takes_ten;
    for (int i = 0; i < 10; i++)
        write_all(&opened, i * 150, 150, 100, 0);
    flush_all(&opened);
    assert_int_equal(fake.n_table, 1500);
    assert_true(figures_of(&opened).window < 40);
    assert_in_range(fake.n_submitted, 1500, 1500 * 1.5);
    tear_down(&opened);
}

static void a_slow_store_gets_less_at_once(void **state)
{
    (void)state;
    opened opened;
    begin(&opened);
    fake.delay_us = SECOND / 2;
    for (int i = 0; i < 30; i++)
        write_all(&opened, i * 100, 100, 100, 0);
    flush_all(&opened);
    assert_int_equal(fake.n_table, 3000);
    assert_true(figures_of(&opened).window < 64);
    assert_int_equal(fake.n_submitted, 3000);
    tear_down(&opened);
}

static void a_silent_store_is_waited_for_within_bounds(void **state)
{
    (void)state;
    opened opened;
    begin(&opened);
    fake.is_silent = true;
    uint32_t taken = 0;
    int64_t began_us = fake.now_us;
    while (write_rows(&opened, taken, 300, 100, 0) == FRESHET_OK)
        taken += 300;
    assert_int_equal(taken, 1200); /* 1,000, and the batch that was begun */
    assert_int_equal(figures_of(&opened).pending, 1200);
    assert_in_range(fake.now_us - began_us, SECOND, 2 * SECOND);
    assert_true(fake.n_submitted <= 64);
    for (int i = 0; i < 3; i++)
        cassandra_writer_ops.flush(opened.writer, NULL);
    assert_non_null(strstr(cassandra_writer_ops.trouble(opened.writer), "has not answered for"));
    opened.stopping = true;
    began_us = fake.now_us;
    assert_int_equal(cassandra_writer_ops.flush(opened.writer, NULL), FRESHET_TRY_AGAIN);
    assert_in_range(fake.now_us - began_us, 0, CASSANDRA_STOP_US);
    tear_down(&opened);
}

static void the_buffer_is_bounded_in_bytes(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    opened.options.cassandra.buffer_memory = 64 << 10;
    opened.options.cassandra.buffer_rows = 1000000;
    must_open(&opened);
    fake.is_silent = true;
    uint32_t taken = 0;
    while (write_rows(&opened, taken, 10, 100, 0) == FRESHET_OK)
        taken += 10;
    assert_true(figures_of(&opened).pending_bytes < (64 << 10) + 10 * 300);
    assert_true(taken > 200);
    tear_down(&opened);
}

static cql_code refuses_13(const cql_value *values, uint32_t n_values, uint32_t in_flight)
{
    (void)n_values;
    (void)in_flight;
    return fake_bigint(values[fake.n_keys - 1].bytes) == 13 ? CQL_REFUSED : CQL_OK;
}

static void a_refused_row_is_a_dead_letter(void **state)
{
    (void)state;
    opened opened;
    begin(&opened);
    fake.judge = refuses_13;
    opened.letters_fail = 2; /* it is kept until it can be written */
    batch rows = make_rows(&opened, 0, 100, 86400, 0.5);
    ((int64_t *)rows.columns[1].data)[13] += 123456;
    assert_int_equal(cassandra_writer_ops.write(opened.writer, &rows, NULL), FRESHET_OK);
    flush_all(&opened);
    assert_int_equal(fake.n_table, 99);
    assert_int_equal(opened.n_letters, 1);
    assert_string_equal(opened.letter,
                        "{\"id\":13,\"timestamp\":\"1970-01-02T00:00:00.123456Z\",\"x\":13.5}");
    assert_string_equal(opened.reason, "the fake says 3");
    assert_int_equal(figures_of(&opened).refused, 1);
    fake.is_silent =
        true; /* what was wrong with the letters is over, though no row was confirmed since */
    fake.now_us += 10 * SECOND;
    write_all(&opened, 1, 1, 86400, 0);
    assert_null(cassandra_writer_ops.trouble(opened.writer));
    tear_down(&opened);
}

/* Written, refused, expired or replaced: what was given is one of these in the end. */
static void each_row_is_counted_once(void **state)
{
    (void)state;
    static uint8_t kinds[] = {ROW_CORRECTION | ROW_ONLINE, ROW_NEW | ROW_ONLINE};
    static const int64_t expected[] = {[WRITER_WRITTEN] = 12,
                                       [WRITER_REFUSED] = 1,
                                       [WRITER_EXPIRED] = 2,
                                       [WRITER_REPLACED] = 3,
                                       [WRITER_AGAIN] = 1,
                                       [WRITER_RETRIED] = 0};
    opened opened;
    set_up(&opened);
    opened.options.ttl_us = 3600 * SECOND;
    opened.options.cassandra.stream_processing_time_us = 10 * SECOND;
    must_open(&opened);
    fake.judge = refuses_13;
    const int64_t now_s = fake.now_us / SECOND;
    write_all(&opened, 1, 3, now_s - 10, 0);
    write_all(&opened, 1, 3, now_s, 1);       /* each takes the place of the one before */
    write_all(&opened, 10, 8, now_s - 10, 0); /* of 13, too */
    write_all(&opened, 30, 2, now_s - 4000, 0);
    batch rows = make_rows(&opened, 40, 2, now_s, 0);
    rows.row_kinds = kinds;
    assert_int_equal(cassandra_writer_ops.write(opened.writer, &rows, NULL), FRESHET_OK);
    assert_int_equal(writer_counted(opened.writer, WRITER_WRITTEN), 0); /* nothing is sent yet */
    flush_all(&opened);
    for (uint32_t i = 0; i < WRITER_COUNTS; i++)
        assert_int_equal(writer_counted(opened.writer, (writer_count)i), expected[i]);
    assert_int_equal(fake.n_table, 12);
    tear_down(&opened);
}

/* Told before they harm: a time that nobody could read, and that no later row could replace. */
static void a_time_of_year_10000_is_a_dead_letter(void **state)
{
    (void)state;
    opened opened;
    begin(&opened);
    write_all(&opened, 1, 1, INT64_C(253402300799), 0); /* 9999-12-31T23:59:59 */
    write_all(&opened, 2, 1, INT64_C(253402300800), 0);
    write_all(&opened, 3, 1, INT64_C(-62135596800), 0); /* the first second of the year 1 */
    write_all(&opened, 4, 1, INT64_C(-62135596801), 0);
    flush_all(&opened);
    assert_int_equal(fake.n_table, 2);
    assert_non_null(fake_row_of(1));
    assert_non_null(fake_row_of(3));
    assert_int_equal(opened.n_letters, 2);
    assert_non_null(strstr(opened.reason, "outside the years 1 to 9999"));
    tear_down(&opened);
}

/* A column that was dropped once: told, and refused until it is accepted. */
static void a_dropped_column_is_refused(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    fake.dropped = "somebody_elses";
    must_open(&opened);
    fake.dropped = "x";
    fake.dropped_ms = INT64_C(1700000000123);
    assert_int_equal(open_store(&opened), FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(opened.err.text,
                           "the column \"x\" was dropped at 2023-11-14T22:13:20.123000Z: of it "
                           "nothing will be seen for events up to that time"));
    opened.options.cassandra.dropped_columns = DROPPED_ACCEPT;
    must_open(&opened);
    tear_down(&opened);
}

/* Which row of a batch was meant shows when each goes alone. */
static void of_a_refused_batch_one_row_is_a_dead_letter(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    add_key(&opened, "clustering");
    fake.judge = refuses_13;
    must_open(&opened);
    batch rows = make_rows(&opened, 0, 30, 100, 0);
    for (int64_t i = 0; i < 30; i++) {
        ((int64_t *)rows.columns[0].data)[i] = 1;
        ((int64_t *)rows.columns[1].data)[i] = i;
    }
    assert_int_equal(cassandra_writer_ops.write(opened.writer, &rows, NULL), FRESHET_OK);
    flush_all(&opened);
    assert_int_equal(fake.n_table, 29);
    assert_int_equal(opened.n_letters, 1);
    tear_down(&opened);
}

static void an_array_with_a_null_is_a_dead_letter(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    opened.fields[2].type = type_array(opened.arena, type_simple(TYPE_DOUBLE));
    fake.columns[2].type = "frozen<list<double>>";
    must_open(&opened);
    batch rows;
    assert_int_equal(batch_init(&rows, opened.step, &opened.schema, 2, NULL), FRESHET_OK);
    rows.n_rows = 2;
    ((int64_t *)rows.columns[0].data)[1] = 1;
    assert_int_equal(column_reserve(opened.step, &rows.columns[2].children[0], 4, NULL),
                     FRESHET_OK);
    ((cell_span *)rows.columns[2].data)[0] = (cell_span){0, 2};
    rows.columns[2].n_elements = 2;
    assert_true(column_set_null(opened.step, &rows.columns[2].children[0], 1));
    assert_int_equal(cassandra_writer_ops.write(opened.writer, &rows, NULL), FRESHET_OK);
    flush_all(&opened);
    assert_int_equal(fake.n_table, 1);
    assert_int_equal(opened.n_letters, 1);
    assert_non_null(strstr(opened.reason, "the feature \"x\" is an array with a null"));
    assert_non_null(strstr(opened.letter, "\"x\":[0.0,null]"));
    tear_down(&opened);
}

static uint64_t chaos_state;

static cql_code chaos(const cql_value *values, uint32_t n_values, uint32_t in_flight)
{
    (void)values;
    (void)n_values;
    (void)in_flight;
    chaos_state = chaos_state * UINT64_C(6364136223846793005) + 1;
    fake.delay_us = 500 + (int64_t)(chaos_state >> 50);
    return (chaos_state >> 33) % 4 == 0 ? CQL_PASSING : CQL_OK;
}

/* A quarter of all requests fails, others come in any order, and rows are replaced while they wait:
 * each key ends with its newest row. */
static void the_newest_row_wins_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        opened opened;
        begin(&opened);
        fake.judge = chaos;
        chaos_state = seed;
        for (int64_t round = 1; round <= 40; round++)
            write_all(&opened, (round * 7) % 90, 60, 100 + round, (double)round / 1024);
        flush_all(&opened);
        for (int64_t key = 0; key < 150; key++) {
            int64_t last = 0;
            for (int64_t round = 1; round <= 40; round++)
                if (key >= (round * 7) % 90 && key < (round * 7) % 90 + 60)
                    last = round;
            if (last > 0)
                assert_true(x_of(key, 2) == (double)key + (double)last / 1024);
            else
                assert_null(fake_row_of(key));
        }
        assert_int_equal(opened.n_letters, 0);
        tear_down(&opened);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_that_does_not_fit_ends_it),
        cmocka_unit_test(failures_at_the_start_say_what_to_do),
        cmocka_unit_test(rows_are_there_after_a_flush),
        cmocka_unit_test(each_row_is_counted_once),
        cmocka_unit_test(a_row_is_sent_at_once),
        cmocka_unit_test(only_the_newest_row_of_a_key_goes_out),
        cmocka_unit_test(rows_of_one_partition_make_a_batch),
        cmocka_unit_test(the_partition_key_is_in_the_order_of_partition_by),
        cmocka_unit_test(rows_are_held_for_the_processing_time),
        cmocka_unit_test(the_ttl_counts_from_the_event),
        cmocka_unit_test(a_ttl_that_passes_while_sending_is_not_for_ever),
        cmocka_unit_test(the_ttl_runs_while_a_row_waits),
        cmocka_unit_test(a_shared_table_keeps_the_newest_timestamp),
        cmocka_unit_test(an_outage_loses_nothing_and_asks_little),
        cmocka_unit_test(trouble_has_a_beginning_and_an_end),
        cmocka_unit_test(rows_that_fail_together_count_once),
        cmocka_unit_test(an_overloaded_store_gets_less),
        cmocka_unit_test(a_slow_store_gets_less_at_once),
        cmocka_unit_test(a_silent_store_is_waited_for_within_bounds),
        cmocka_unit_test(the_buffer_is_bounded_in_bytes),
        cmocka_unit_test(a_refused_row_is_a_dead_letter),
        cmocka_unit_test(a_time_of_year_10000_is_a_dead_letter),
        cmocka_unit_test(a_dropped_column_is_refused),
        cmocka_unit_test(of_a_refused_batch_one_row_is_a_dead_letter),
        cmocka_unit_test(an_array_with_a_null_is_a_dead_letter),
        cmocka_unit_test(the_newest_row_wins_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
