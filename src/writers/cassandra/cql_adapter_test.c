/* tsan */
/* needs: cassandra */
/* The Cassandra adapter against a real server: what goes in comes out, and each way of failing has
 * its code. Lost connections are made by a relay in this program, between the adapter and the
 * server. */
#include "writers/cassandra/cql.h"
#include "writers/cassandra/cql_load.h"

#include <arpa/inet.h>
#include <endian.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/os.h"
#include "base/patience_testing.h"

#define WAIT_S (30 * patience_slowness())

static const cql_api *api;
static char address[64];
static char text[CQL_TEXT_MAX];
static char keyspace[64];

/* ---- a session ------------------------------------------------------------------------------- */

static cql_options usual(void)
{
    return (cql_options){.hosts = address,
                         .local_dc = getenv("CASSANDRA_LOCAL_DC"),
                         .user = getenv("CASSANDRA_USERNAME"),
                         .password = getenv("CASSANDRA_PASSWORD"),
                         .verify = true,
                         .connect_timeout_ms = 1000 * WAIT_S,
                         .request_timeout_ms = 1000 * WAIT_S};
}

static void expect_connect(cql_options options, cql_code expected, const char *says)
{
    cql_session *session = NULL;
    cql_code code = api->connect(&options, &session, text);
    if (code != expected || (code != CQL_OK && strstr(text, says) == NULL)) {
        fail_msg("connect gave %d (%s), and %d (%s) was expected", code, text, expected, says);
    }
    if (code == CQL_OK) {
        api->close(session);
    }
}

static void run(cql_session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void run(cql_session *session, const char *format, ...)
{
    char cql[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cql, sizeof cql, format, arguments);
    va_end(arguments);
    cql_rows *rows;
    if (api->query(session, cql, NULL, NULL, 0, &rows, text) != CQL_OK) {
        fail_msg("%s: %s", cql, text);
    }
    api->rows_free(rows);
}

static cql_session *connected(const cql_options *options)
{
    cql_session *session;
    if (api->connect(options, &session, text) != CQL_OK) {
        fail_msg("connect: %s", text);
    }
    return session;
}

static cql_statement *prepared(cql_session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static cql_statement *prepared(cql_session *session, const char *format, ...)
{
    char cql[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cql, sizeof cql, format, arguments);
    va_end(arguments);
    cql_statement *statement;
    if (api->prepare(session, cql, CQL_LOCAL_QUORUM, &statement, text) != CQL_OK) {
        fail_msg("%s: %s", cql, text);
    }
    return statement;
}

/* Waits for the end of one group; counts its rows that failed, of which `last` is the last. */
static uint32_t await_group(cql_session *session, uint64_t tag, cql_completion *last)
{
    uint32_t failed = 0;
    patience wait = patience_of(30);
    while (patience_lasts(&wait)) {
        struct pollfd fd = {.fd = api->fd(session), .events = POLLIN};
        poll(&fd, 1, 1000);
        cql_completion completion;
        while (api->completions(session, &completion, 1) == 1) {
            assert_int_equal(completion.tag, tag);
            if (completion.row == CQL_GROUP) {
                assert_int_equal(completion.code, CQL_OK);
                return failed;
            }
            *last = completion;
            failed++;
        }
    }
    fail_msg("the group has no end");
    return 0;
}

typedef struct row {
    unsigned char key[8];
    unsigned char number[8];
    const char *word;
} row;

static void set_row(row *row, cql_value *values, int64_t key, int64_t number, const char *word)
{
    uint64_t big = htobe64((uint64_t)key);
    memcpy(row->key, &big, 8);
    big = htobe64((uint64_t)number);
    memcpy(row->number, &big, 8);
    values[0] = (cql_value){row->key, 8};
    values[1] = (cql_value){row->number, 8};
    values[2] = (cql_value){(const unsigned char *)word, word == NULL ? -1 : (int32_t)strlen(word)};
}

/* ---- what goes in comes out ------------------------------------------------------------------ */

static void expect_cell(const cql_rows *rows, uint32_t at, uint32_t column, const void *bytes,
                        int32_t length)
{
    cql_value value = api->rows_value(rows, at, column);
    assert_int_equal(value.length, length);
    if (length > 0) {
        assert_memory_equal(value.bytes, bytes, (size_t)length);
    }
}

static void test_rows_go_in_and_come_out(void **state)
{
    (void)state;
    cql_options options = usual();
    options.threads = 2;
    options.compress = true;
    cql_session *session = connected(&options);
    uint32_t known;
    uint32_t with_connection;
    api->nodes(session, &known, &with_connection);
    assert_int_equal(known, 1);
    assert_int_equal(with_connection, 1);

    run(session,
        "CREATE TABLE %s.pairs (k bigint, n bigint, w text, l frozen<list<text>>, "
        "PRIMARY KEY (k, n))",
        keyspace);
    assert_int_equal(api->await_schema(session, text), CQL_OK);
    cql_statement *insert =
        prepared(session, "INSERT INTO %s.pairs (k, n, w) VALUES (?, ?, ?)", keyspace);

    row rows[3];
    cql_value values[9];
    cql_completion last;
    set_row(&rows[0], &values[0], 1, INT64_MIN, "first");
    set_row(&rows[1], &values[3], 1, 7, NULL);
    set_row(&rows[2], &values[6], 1, INT64_MAX, "");
    assert_int_equal(api->submit(session, insert, values, 3, 3, false, 11), CQL_OK);
    assert_int_equal(await_group(session, 11, &last), 0);
    set_row(&rows[0], &values[0], 2, 1, "of a batch");
    set_row(&rows[1], &values[3], 2, 2, "of a batch");
    assert_int_equal(api->submit(session, insert, values, 3, 2, true, 12), CQL_OK);
    assert_int_equal(await_group(session, 12, &last), 0);
    assert_int_equal(api->submit(session, insert, values, 3, 0, false, 13), CQL_OK);
    assert_int_equal(await_group(session, 13, &last), 0);
    /* A column that is not set stays as it is. */
    set_row(&rows[0], &values[0], 1, INT64_MIN, NULL);
    values[2].length = -2;
    assert_int_equal(api->submit(session, insert, values, 3, 1, false, 14), CQL_OK);
    assert_int_equal(await_group(session, 14, &last), 0);
    assert_int_equal(api->submit(session, insert, values, 2, 1, false, 15), CQL_REFUSED);

    cql_statement *select = prepared(session, "SELECT n, w, l FROM %s.pairs WHERE k = ?", keyspace);
    cql_rows *answer;
    assert_int_equal(api->query(session, NULL, select, values, 1, &answer, text), CQL_OK);
    assert_int_equal(api->rows_count(answer), 3);
    assert_int_equal(api->rows_columns(answer), 3);
    assert_string_equal(api->rows_column(answer, 0).name, "n");
    assert_string_equal(api->rows_column(answer, 0).type, "bigint");
    assert_string_equal(api->rows_column(answer, 2).type, "list<text>");
    expect_cell(answer, 0, 0, "\x80\0\0\0\0\0\0\0", 8);
    expect_cell(answer, 0, 1, "first", 5);
    expect_cell(answer, 1, 1, NULL, -1);
    expect_cell(answer, 2, 1, NULL, 0);
    expect_cell(answer, 0, 2, NULL, -1);
    api->rows_free(answer);
    api->release(select);
    api->release(insert);
    api->close(session);
}

/* More rows than the server gives at once. */
static void test_an_answer_of_many_pages(void **state)
{
    (void)state;
    enum { N = 12000, GROUP = 2000 };
    cql_options options = usual();
    cql_session *session = connected(&options);
    run(session, "CREATE TABLE %s.many (k bigint, n bigint, w text, PRIMARY KEY (k, n))", keyspace);
    cql_statement *insert =
        prepared(session, "INSERT INTO %s.many (k, n, w) VALUES (?, ?, ?)", keyspace);
    row *rows = calloc(GROUP, sizeof *rows);
    cql_value *values = calloc(GROUP, 3 * sizeof *values);
    assert_non_null(rows);
    assert_non_null(values);
    cql_completion last;
    for (uint32_t n = 0; n < N; n += GROUP) {
        for (uint32_t i = 0; i < GROUP; i++) {
            set_row(&rows[i], &values[3 * (size_t)i], 1, n + i, "w");
        }
        assert_int_equal(api->submit(session, insert, values, 3, GROUP, false, n), CQL_OK);
        assert_int_equal(await_group(session, n, &last), 0);
    }
    cql_statement *select = prepared(session, "SELECT n FROM %s.many WHERE k = ?", keyspace);
    cql_rows *answer;
    assert_int_equal(api->query(session, NULL, select, values, 1, &answer, text), CQL_OK);
    assert_int_equal(api->rows_count(answer), N);
    for (uint32_t i = 0; i < N; i++) {
        uint64_t big = htobe64(i);
        expect_cell(answer, i, 0, &big, 8);
    }
    api->rows_free(answer);
    api->release(select);
    api->release(insert);
    api->close(session);
    free(values);
    free(rows);
}

/* Answers come in the order of their questions, whatever their number of rows; where one fails, all
 * do. */
static void test_many_questions(void **state)
{
    (void)state;
    enum { ASKED = 300, KEYS = 100 };
    cql_options options = usual();
    cql_session *session = connected(&options);
    run(session, "CREATE TABLE %s.asked (k bigint, n bigint, w text, PRIMARY KEY (k, n))",
        keyspace);
    for (int k = 0; k < KEYS; k++)
        for (int n = 0; n < k % 3; n++)
            run(session, "INSERT INTO %s.asked (k, n) VALUES (%d, %d)", keyspace, k, 10 * k + n);
    cql_statement *select = prepared(session, "SELECT n FROM %s.asked WHERE k = ?", keyspace);
    uint64_t keys[ASKED];
    cql_value values[ASKED];
    uint32_t counts[ASKED], row = 0;
    cql_rows *answer;
    for (uint32_t i = 0; i < ASKED; i++) {
        keys[i] = htobe64(i * 7 % (2 * KEYS)); /* half of them are not there */
        values[i] = (cql_value){(const unsigned char *)&keys[i], 8};
    }
    assert_true(cql_has_many(api));
    assert_int_equal(api->query_many(session, select, values, 1, ASKED, counts, &answer, text),
                     CQL_OK);
    for (uint32_t i = 0; i < ASKED; i++) {
        const uint64_t k = i * 7 % (2 * KEYS);
        assert_int_equal(counts[i], k < KEYS ? k % 3 : 0);
        for (uint32_t n = 0; n < counts[i]; n++) {
            uint64_t big = htobe64(10 * k + n);
            expect_cell(answer, row++, 0, &big, 8);
        }
    }
    assert_int_equal(api->rows_count(answer), row);
    api->rows_free(answer);
    values[ASKED / 2].length = 3;
    assert_int_equal(api->query_many(session, select, values, 1, ASKED, counts, &answer, text),
                     CQL_REFUSED);
    assert_true(text[0] != '\0');
    api->release(select);
    api->close(session);
}

/* ---- what fails for good --------------------------------------------------------------------- */

static void test_what_a_statement_lacks(void **state)
{
    (void)state;
    cql_options options = usual();
    cql_session *session = connected(&options);
    run(session, "CREATE TABLE %s.lacks (k bigint PRIMARY KEY, n bigint, w text)", keyspace);
    static const struct {
        const char *cql;
        cql_code code;
    } cases[] = {
        {"INSERT INTO %s.missing (k) VALUES (?)", CQL_SCHEMA},
        {"INSERT INTO %s_missing.lacks (k) VALUES (?)", CQL_SCHEMA},
        {"INSERT INTO %s.lacks (k, missing) VALUES (?, ?)", CQL_SCHEMA},
        {"INSERT INTO %s.lacks k VALUES (?)", CQL_REFUSED},
        {"INSERT INTO %s.lacks (n) VALUES (?)", CQL_REFUSED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char cql[256];
        snprintf(cql, sizeof cql, cases[i].cql, keyspace);
        cql_statement *statement;
        cql_code code = api->prepare(session, cql, CQL_ONE, &statement, text);
        if (code != cases[i].code) {
            fail_msg("%s gave %d (%s), and %d was expected", cql, code, text, cases[i].code);
        }
    }
    api->close(session);
}

static void test_rows_that_are_refused(void **state)
{
    (void)state;
    cql_options options = usual();
    cql_session *session = connected(&options);
    run(session, "CREATE TABLE %s.refuses (k bigint PRIMARY KEY, n bigint, w text)", keyspace);
    cql_statement *insert =
        prepared(session, "INSERT INTO %s.refuses (k, n, w) VALUES (?, ?, ?)", keyspace);
    enum { LARGE = 9 << 20 }; /* more than half a segment of the commit log */
    char *large = malloc(LARGE + 1);
    assert_non_null(large);
    memset(large, 'x', LARGE);
    large[LARGE] = '\0';

    row rows[3];
    cql_value values[9];
    cql_completion last;
    set_row(&rows[0], &values[0], 1, 1, "good");
    set_row(&rows[1], &values[3], 2, 2, large);
    set_row(&rows[2], &values[6], 3, 3, "good");
    assert_int_equal(api->submit(session, insert, values, 3, 3, false, 1), CQL_OK);
    assert_int_equal(await_group(session, 1, &last), 1);
    assert_int_equal(last.row, 1);
    assert_int_equal(last.code, CQL_REFUSED);

    set_row(&rows[1], &values[3], 2, 2, "good");
    values[4].length = 3; /* no bigint */
    assert_int_equal(api->submit(session, insert, values, 3, 3, false, 2), CQL_OK);
    assert_int_equal(await_group(session, 2, &last), 1);
    assert_int_equal(last.row, 1);
    assert_int_equal(last.code, CQL_REFUSED);

    /* Of a batch, each row fails. */
    assert_int_equal(api->submit(session, insert, values, 3, 3, true, 3), CQL_OK);
    assert_int_equal(await_group(session, 3, &last), 3);
    assert_int_equal(last.code, CQL_REFUSED);

    run(session, "DROP TABLE %s.refuses", keyspace);
    assert_int_equal(api->submit(session, insert, values, 3, 1, false, 4), CQL_OK);
    assert_int_equal(await_group(session, 4, &last), 1);
    if (last.code != CQL_SCHEMA) {
        fail_msg("a table that is gone gave %d (%s)", last.code, last.text);
    }
    api->release(insert);
    api->close(session);
    free(large);
}

static void test_who_is_not_let_in(void **state)
{
    (void)state;
    cql_options options = usual();
    options.password = "wr0ng";
    expect_connect(options, CQL_DENIED, "");
    assert_null(strstr(text, "wr0ng"));
    options.user = NULL;
    expect_connect(options, CQL_DENIED, "a user name and a password");
    options = usual();
    options.local_dc = "mars";
    expect_connect(options, CQL_REFUSED, "no data centre \"mars\"; it has datacenter1");
    options = usual();
    options.hosts = "";
    expect_connect(options, CQL_REFUSED, "no host");
}

static void test_tls(void **state)
{
    (void)state;
    const char *folder = getenv("CASSANDRA_CERTIFICATES");
    assert_non_null(folder);
    char ca[512];
    char other_ca[512];
    snprintf(ca, sizeof ca, "%s/ca.pem", folder);
    snprintf(other_ca, sizeof other_ca, "%s/other-ca.pem", folder);
    cql_options options = usual();
    options.tls = true;
    options.ca_file = ca;
    expect_connect(options, CQL_OK, "");
    options.ca_file = other_ca;
    expect_connect(options, CQL_TLS, "is not accepted");
    options.ca_file = NULL;
    expect_connect(options, CQL_TLS, "is not accepted");
    options.verify = false;
    expect_connect(options, CQL_OK, "");
    options.verify = true;
    options.ca_file = "/nowhere/ca.pem";
    expect_connect(options, CQL_TLS, "/nowhere/ca.pem");
}

/* ---- what passes ----------------------------------------------------------------------------- */

/* Relays one port to the server's while it is up; put down, it hangs up and listens no more. */
typedef struct relay {
    pthread_t thread;
    atomic_bool up;
    atomic_bool stop;
    atomic_bool deaf; /* keeps the connections, but passes nothing on */
    uint16_t port;
    uint16_t server_port;
} relay;

#define RELAY_PAIRS_MAX 32

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return to;
}

static int relay_listen(relay *relay)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in at = loopback(relay->port);
    socklen_t size = sizeof at;
    if (bind(fd, (struct sockaddr *)&at, size) != 0 || listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0) {
        close(fd);
        return -1;
    }
    if (relay->port == 0) {
        relay->port = ntohs(at.sin_port);
    }
    return fd;
}

/* False at the end of either connection. */
static bool pass(int from, int to)
{
    static char bytes[65536]; /* one relay at a time */
    ssize_t n = read(from, bytes, sizeof bytes);
    for (ssize_t done = 0; n > 0 && done < n;) {
        ssize_t sent = send(to, bytes + done, (size_t)(n - done), MSG_NOSIGNAL);
        if (sent <= 0) {
            n = 0;
            break;
        }
        done += sent;
    }
    return n > 0;
}

/* Passes on what has come; pairs that have ended make room. Returns how many there are to poll. */
static nfds_t pass_all(struct pollfd *fds, nfds_t n)
{
    for (nfds_t i = 1; i < n;) {
        bool goes_on = (fds[i].revents == 0 || pass(fds[i].fd, fds[i + 1].fd)) &&
                       (fds[i + 1].revents == 0 || pass(fds[i + 1].fd, fds[i].fd));
        if (goes_on) {
            i += 2;
            continue;
        }
        close(fds[i].fd);
        close(fds[i + 1].fd);
        n -= 2;
        fds[i] = fds[n];
        fds[i + 1] = fds[n + 1];
    }
    return n;
}

static void *relay_run(void *context)
{
    relay *relay = context;
    struct pollfd fds[1 + 2 * RELAY_PAIRS_MAX];
    nfds_t n = 1;
    fds[0] = (struct pollfd){.fd = -1, .events = POLLIN};
    while (!relay->stop) {
        if (relay->up && fds[0].fd < 0) {
            fds[0].fd = relay_listen(relay);
        }
        for (nfds_t i = 0; !relay->up && i < n; i++) {
            if (fds[i].fd >= 0) {
                close(fds[i].fd);
                fds[i].fd = -1;
            }
        }
        const bool deaf = relay->deaf;
        n = relay->up ? n : 1;
        poll(fds, deaf ? 1 : n, 20);
        if (!deaf) {
            n = pass_all(fds, n);
        }
        if (fds[0].fd >= 0 && (fds[0].revents & POLLIN) != 0 && n + 2 <= 1 + 2 * RELAY_PAIRS_MAX) {
            struct sockaddr_in to = loopback(relay->server_port);
            fds[n] = (struct pollfd){.fd = accept(fds[0].fd, NULL, NULL), .events = POLLIN};
            fds[n + 1] = (struct pollfd){.fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLIN};
            if (connect(fds[n + 1].fd, (struct sockaddr *)&to, sizeof to) != 0) {
                shutdown(fds[n].fd, SHUT_RDWR);
            }
            n += 2;
        }
    }
    for (nfds_t i = 0; i < n; i++) {
        if (fds[i].fd >= 0) {
            close(fds[i].fd);
        }
    }
    return NULL;
}

static void relay_start(relay *relay)
{
    const char *port = getenv("CASSANDRA_PORT");
    relay->server_port = (uint16_t)strtol(port == NULL ? "0" : port, NULL, 10);
    int fd = relay_listen(relay); /* to have a port */
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(pthread_create(&relay->thread, NULL, relay_run, relay), 0);
}

static void relay_stop(relay *relay)
{
    relay->stop = true;
    pthread_join(relay->thread, NULL);
}

static cql_code one_row(cql_session *session, const cql_statement *insert, uint64_t tag)
{
    row row;
    cql_value values[3];
    cql_completion last = {.code = CQL_OK};
    set_row(&row, values, 1, (int64_t)tag, "w");
    assert_int_equal(api->submit(session, insert, values, 3, 1, false, tag), CQL_OK);
    await_group(session, tag, &last);
    if (last.code != CQL_OK && last.text[0] == '\0') {
        fail_msg("%d has no text", last.code);
    }
    return last.code;
}

/* Without doing anything but sending again. */
static void expect_recovery(cql_session *session, const cql_statement *insert, uint64_t tag)
{
    patience wait = patience_of(60);
    cql_code code;
    while ((code = one_row(session, insert, tag++)) != CQL_OK) {
        assert_int_equal(code, CQL_PASSING);
        assert_true(patience_lasts(&wait));
        poll(NULL, 0, 20);
    }
}

static void test_a_node_goes_and_comes_back(void **state)
{
    (void)state;
    relay relay = {.up = true};
    relay_start(&relay);
    char through[64];
    snprintf(through, sizeof through, "127.0.0.1:%u", relay.port);
    cql_options options = usual();
    cql_session *session = connected(&options);
    run(session, "CREATE TABLE %s.comes (k bigint PRIMARY KEY, n bigint, w text)", keyspace);
    api->close(session);

    options.hosts = through;
    options.request_timeout_ms = (int)patient_us(1000);
    session = connected(&options);
    cql_statement *insert =
        prepared(session, "INSERT INTO %s.comes (k, n, w) VALUES (?, ?, ?)", keyspace);
    assert_int_equal(one_row(session, insert, 1), CQL_OK);

    relay.up = false;
    poll(NULL, 0, 100);
    patience wait = patience_of(10);
    assert_int_equal(one_row(session, insert, 2), CQL_PASSING);
    assert_int_equal(one_row(session, insert, 3), CQL_PASSING);
    assert_true(patience_lasts(&wait));
    uint32_t known;
    uint32_t with_connection;
    api->nodes(session, &known, &with_connection);
    assert_int_equal(known, 1);
    assert_int_equal(with_connection, 0);
    relay.up = true;
    expect_recovery(session, insert, 100);

    relay.deaf = true; /* connections that are there and say nothing */
    assert_int_equal(one_row(session, insert, 1001), CQL_PASSING);
    relay.deaf = false;
    expect_recovery(session, insert, 2000);

    relay.deaf = true; /* closing with a request under way */
    row row;
    cql_value values[3];
    set_row(&row, values, 1, 1, "w");
    assert_int_equal(api->submit(session, insert, values, 3, 1, false, 5000), CQL_OK);
    api->release(insert);
    wait = patience_of(5);
    api->close(session);
    assert_true(patience_lasts(&wait));

    /* Nobody answers: within the time given, and nothing stays behind. */
    options.connect_timeout_ms = 500;
    wait = patience_of(5);
    expect_connect(options, CQL_PASSING, "");
    assert_true(patience_lasts(&wait));
    relay.up = false;
    poll(NULL, 0, 100);
    expect_connect(options, CQL_PASSING, "");
    options.hosts = "no-such-host.invalid:9042";
    expect_connect(options, CQL_PASSING, "");
    relay_stop(&relay);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int open_all(void **state)
{
    (void)state;
    freshet_error err;
    if (cql_load(&api, &err) != FRESHET_OK) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    snprintf(address, sizeof address, "%s:%s", getenv("CASSANDRA_HOST"), getenv("CASSANDRA_PORT"));
    snprintf(keyspace, sizeof keyspace, "adapter_%d", (int)getpid());
    cql_options options = usual();
    cql_session *session = connected(&options);
    run(session,
        "CREATE KEYSPACE %s WITH replication = {'class': 'SimpleStrategy', 'replication_factor': "
        "1}",
        keyspace);
    api->close(session);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    cql_options options = usual();
    cql_session *session = connected(&options);
    run(session, "DROP KEYSPACE %s", keyspace);
    api->close(session);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_go_in_and_come_out),
        cmocka_unit_test(test_an_answer_of_many_pages),
        cmocka_unit_test(test_many_questions),
        cmocka_unit_test(test_what_a_statement_lacks),
        cmocka_unit_test(test_rows_that_are_refused),
        cmocka_unit_test(test_who_is_not_let_in),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_a_node_goes_and_comes_back),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
