/* Tests of query_server.c, query_client.c and protocol.c, with a backend made for them: answers,
 * errors, finding pipelines, dead and living sockets, limits, and clients that behave badly. */
/* tsan */
#define _GNU_SOURCE
#include "operate/query_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/error.h"
#include "base/os.h"
#include "base/patience_testing.h"
#include "operate/protocol.h"
#include "operate/query_client.h"
#include "writers/debug/query_result.h"

static char folder[64];

/* ---- the backend --------------------------------------------------------------------------- */

/* It understands "rows N" (n = 0 ... N-1), "fail", "length" (of the query's text) and "wait" (until
 * cancelled). */
typedef struct backend_state {
    atomic_int n_waiting;
    atomic_int n_cancelled;
    atomic_int n_open;
} backend_state;

typedef struct made_result {
    freshet_result base;
    backend_state *state;
    arena *arena;
    int64_t next, end;
} made_result;

static field one_field[1];
static schema one_column = {1, one_field};

static freshet_code made_next(freshet_result *base, freshet_error *err)
{
    made_result *made = (made_result *)base;
    if (made->next >= made->end)
        return FRESHET_END;
    arena_reset(made->arena);
    freshet_code code = batch_init(&base->piece, made->arena, &one_column, 1000, err);
    int64_t *cells = base->piece.columns[0].data;
    uint32_t n = 0;
    for (; n < 1000 && made->next < made->end; n++)
        cells[n] = made->next++;
    base->piece.n_rows = n;
    return code;
}

static void made_close(freshet_result *base)
{
    made_result *made = (made_result *)base;
    atomic_fetch_sub(&made->state->n_open, 1);
    arena_close(made->arena);
    free(made);
}

static freshet_code wait_until_cancelled(backend_state *state, const freshet_query_options *options,
                                         freshet_error *err)
{
    atomic_fetch_add(&state->n_waiting, 1);
    while (!options->cancelled(options->context))
        usleep(1000);
    atomic_fetch_add(&state->n_cancelled, 1);
    return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL, "the query was cancelled");
}

static freshet_code backend_query(freshet_pipeline *pipeline, const char *sql,
                                  const freshet_query_options *options, freshet_result **out,
                                  freshet_error *err)
{
    backend_state *state = (void *)pipeline;
    if (strcmp(sql, "fail") == 0)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, "here", "this query fails after %lld us",
                         (long long)options->timeout_us);
    if (strcmp(sql, "wait") == 0)
        return wait_until_cancelled(state, options, err);
    made_result *made = calloc(1, sizeof *made);
    made->base = (freshet_result){.schema = &one_column, .next = made_next, .close = made_close};
    made->state = state;
    made->arena = arena_open();
    made->end = strncmp(sql, "rows ", 5) == 0 ? strtoll(sql + 5, NULL, 10) : 1;
    made->next = strncmp(sql, "rows ", 5) == 0 ? 0 : (int64_t)strlen(sql);
    made->end = strncmp(sql, "rows ", 5) == 0 ? made->end : made->next + 1;
    atomic_fetch_add(&state->n_open, 1);
    *out = &made->base;
    return FRESHET_OK;
}

static int64_t backend_counter(const freshet_pipeline *pipeline, freshet_count which)
{
    (void)pipeline;
    if (which == FRESHET_NEWEST_EVENT_US)
        return 1357016400000000;
    return which == FRESHET_LAG_BYTES ? -1 : (int64_t)which * 100;
}

static const char *backend_writer_name(const freshet_pipeline *pipeline, uint32_t writer)
{
    static const char *const names[] = {"history", "online"};
    (void)pipeline;
    return writer < 2 ? names[writer] : NULL;
}

static int64_t backend_writer_counter(const freshet_pipeline *pipeline, uint32_t writer,
                                      freshet_count which)
{
    (void)pipeline;
    return 1000 * (int64_t)writer + (int64_t)which;
}

static query_server *server_start(backend_state *state, const char *name)
{
    query_backend backend = {.pipeline = (void *)state,
                             .query = backend_query,
                             .counter = backend_counter,
                             .writer_name = backend_writer_name,
                             .writer_counter = backend_writer_counter};
    query_server *server = NULL;
    freshet_error err = {0};
    if (query_server_start_for(&backend, name, &server, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    return server;
}

static freshet_code try_start(const char *name, freshet_error *err)
{
    query_backend backend = {.query = backend_query, .counter = backend_counter};
    query_server *server = NULL;
    freshet_code code = query_server_start_for(&backend, name, &server, err);
    query_server_stop(server);
    return code;
}

/* ---- clients ------------------------------------------------------------------------------- */

/* Connections that were closed just now may still count: it tries again. */
static query_client *client_open(const char *name)
{
    query_client *client = NULL;
    freshet_error err = {0};
    freshet_code code = query_client_open(name, &client, &err);
    for (int i = 0; i < 5000 && code == FRESHET_TRY_AGAIN; i++) {
        usleep(1000);
        code = query_client_open(name, &client, &err);
    }
    if (code != FRESHET_OK)
        fail_msg("%s", err.text);
    return client;
}

static bool collect(void *context, const char *bytes, size_t length)
{
    return text_append(context, bytes, length);
}

static freshet_code ask(query_client *client, const char *sql, freshet_format format,
                        text_buffer *text, freshet_error *err)
{
    text_reset(text);
    freshet_code code = query_client_ask(client, sql, format, 1000000, collect, text, err);
    text_append_c(text, "");
    return code;
}

static void check_works(const char *name)
{
    query_client *client = client_open(name);
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    freshet_error err = {0};
    if (ask(client, "rows 2", FRESHET_CSV, &text, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    assert_string_equal(text.bytes, "n\n0\n1\n");
    text_release(&text);
    query_client_close(client);
}

/* A client without manners: a connected socket. */
static int raw_connect(const char *name)
{
    struct sockaddr_un address;
    assert_int_equal(runtime_socket(folder, name, &address, NULL), FRESHET_OK);
    int made = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(made, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fcntl(made, F_SETFL, O_NONBLOCK), 0);
    return made;
}

static int64_t soon(void)
{
    return os.monotonic_us() + patient_us(30000000);
}

static char raw_receive(int socket, frame *into)
{
    freshet_error err = {0};
    freshet_code code = frame_receive(socket, into, PROTOCOL_ANSWER_MAX, soon(), &err);
    if (code == FRESHET_END)
        return 0;
    if (code != FRESHET_OK)
        fail_msg("%s", err.text);
    return into->kind;
}

static void raw_ask(int socket, const char *sql)
{
    char payload[64] = {FRESHET_JSON};
    put_i64(payload + 1, 1000000);
    strcpy(payload + 9, sql);
    assert_int_equal(frame_send(socket, FRAME_QUERY, payload, 9 + strlen(sql), soon(), NULL),
                     FRESHET_OK);
}

static bool wait_until(atomic_int *value, int wanted)
{
    for (patience wait = patience_of(60); patience_lasts(&wait); usleep(1000))
        if (atomic_load(value) == wanted)
            return true;
    return false;
}

/* ---- answers ------------------------------------------------------------------------------- */

static void test_answers_and_errors(void **state)
{
    (void)state;
    backend_state backend = {0};
    query_server *server = server_start(&backend, "one");
    query_client *client = client_open(NULL);
    assert_string_equal(query_client_pipeline(client), "one");
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    freshet_error err = {0};
    assert_int_equal(ask(client, "rows 2", FRESHET_JSON, &text, &err), FRESHET_OK);
    assert_string_equal(text.bytes, "{\"n\":0}\n{\"n\":1}\n");
    assert_int_equal(ask(client, "fail", FRESHET_JSON, &text, &err), FRESHET_USAGE);
    assert_string_equal(err.text, "this query fails after 1000000 us");
    assert_string_equal(err.at, "here");
    assert_int_equal(text.length, 0);
    assert_int_equal(ask(client, "rows 1", FRESHET_TABLE, &text, &err), FRESHET_OK);
    assert_string_equal(text.bytes, " n\n---\n 0\n(1 row)\n");
    assert_int_equal(ask(client, "rows 1", (freshet_format)77, &text, &err), FRESHET_USAGE);
    assert_int_equal(ask(client, "rows 0", FRESHET_CSV, &text, &err), FRESHET_OK);
    assert_string_equal(text.bytes, "n\n");
    text_release(&text);
    query_client_close(client);
    query_client_close(NULL);
    query_server_stop(server);
    query_server_stop(NULL);
    assert_int_equal(atomic_load(&backend.n_open), 0);
}

typedef struct sum {
    int64_t lines, calls;
} sum;

static bool count_lines(void *context, const char *bytes, size_t length)
{
    sum *sum = context;
    sum->calls++;
    for (size_t i = 0; i < length; i++)
        sum->lines += bytes[i] == '\n';
    return true;
}

/* More than is held at once. */
static void test_long_answer(void **state)
{
    (void)state;
    backend_state backend = {0};
    query_server *server = server_start(&backend, "one");
    query_client *client = client_open("one");
    sum sum = {0};
    char sql[32];
    int64_t n_rows = (int64_t)(CLIENT_HELD_MAX / 10) + 10;
    snprintf(sql, sizeof sql, "rows %lld", (long long)n_rows);
    freshet_error err = {0};
    assert_int_equal(
        query_client_ask(client, sql, FRESHET_JSON, patient_us(60000000), count_lines, &sum, &err),
        FRESHET_OK);
    assert_int_equal(sum.lines, n_rows);
    assert_true(sum.calls > 1);
    query_client_close(client);
    query_server_stop(server);
}

static void test_status(void **state)
{
    (void)state;
    backend_state backend = {0};
    query_server *server = server_start(&backend, "one");
    query_client *client = client_open("one");
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    assert_int_equal(query_client_status(client, collect, &text, NULL), FRESHET_OK);
    yyjson_doc *document = yyjson_read(text.bytes, text.length, 0);
    yyjson_val *root = yyjson_doc_get_root(document);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "pipeline")), "one");
    assert_int_equal(yyjson_get_int(yyjson_obj_get(root, "pid")), getpid());
    assert_true(yyjson_is_real(yyjson_obj_get(root, "uptime_s")));
    assert_int_equal(yyjson_get_int(yyjson_obj_get(root, "rows_written")),
                     FRESHET_ROWS_WRITTEN * 100);
    assert_int_equal(yyjson_get_int(yyjson_obj_get(root, "table_trimmed")),
                     FRESHET_TABLE_TRIMMED * 100);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "newest_event")),
                        "2013-01-01T05:00:00.000000Z");
    assert_true(yyjson_is_null(yyjson_obj_get(root, "lag_bytes")));
    yyjson_val *writers = yyjson_obj_get(root, "writers");
    assert_int_equal(yyjson_arr_size(writers), 2);
    yyjson_val *online = yyjson_arr_get(writers, 1);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(online, "writer")), "online");
    assert_int_equal(yyjson_get_int(yyjson_obj_get(online, "refused")),
                     1000 + FRESHET_ROWS_REFUSED);
    yyjson_doc_free(document);
    text_release(&text);
    query_client_close(client);
    query_server_stop(server);
}

/* ---- finding ------------------------------------------------------------------------------- */

static void check_not_found(const char *name, const char *reason)
{
    query_client *client = NULL;
    freshet_error err = {0};
    assert_int_equal(query_client_open(name, &client, &err), FRESHET_FAILED);
    if (strstr(err.text, reason) == NULL)
        fail_msg("%s", err.text);
}

static void test_finding_pipelines(void **state)
{
    (void)state;
    check_not_found(NULL, "no pipeline is running; start one");
    check_not_found("one", "none is named one");
    backend_state backend = {0};
    query_server *one = server_start(&backend, "one");
    check_works(NULL);
    check_not_found("two", "no pipeline named \"two\" is running; there is one");
    query_server *two = server_start(&backend, "two");
    check_not_found(NULL, "2 pipelines are running");
    check_not_found(NULL, "--pipeline NAME");
    check_works("one");
    check_works("two");
    query_server_stop(one);
    check_works(NULL);
    query_client *client = NULL;
    assert_int_equal(query_client_open("../one", &client, NULL), FRESHET_USAGE);
    query_server_stop(two);
    check_not_found(NULL, "no pipeline is running");
}

static int fake_listener(const char *name);

/* What a process leaves that dies: a socket that nobody listens at. */
static void test_socket_of_a_dead_process(void **state)
{
    (void)state;
    backend_state backend = {0};
    close(fake_listener("one"));
    char path[128];
    struct stat found;
    snprintf(path, sizeof path, "%s/one.sock", folder);
    assert_int_equal(stat(path, &found), 0);
    check_not_found("one", "none is named one");
    query_server *server = server_start(&backend, "one");
    check_works("one");
    query_server_stop(server);
    assert_int_equal(stat(path, &found), -1);
}

static void test_living_pipeline_is_kept(void **state)
{
    (void)state;
    backend_state backend = {0};
    query_server *server = server_start(&backend, "one");
    freshet_error err = {0};
    char process[40];
    snprintf(process, sizeof process, "already running (process %ld)", (long)getpid());
    assert_int_equal(try_start("one", &err), FRESHET_FAILED);
    assert_non_null(strstr(err.text, process));
    check_works("one");
    query_server_stop(server);
}

/* Somebody has removed the socket, and another pipeline has made it anew: it is not ours to remove.
 */
static void test_stop_leaves_another_socket(void **state)
{
    (void)state;
    backend_state backend = {0};
    query_server *first = server_start(&backend, "one");
    char path[128];
    snprintf(path, sizeof path, "%s/one.sock", folder);
    char kept[140];
    snprintf(kept, sizeof kept, "%s.kept", path);
    assert_int_equal(rename(path, kept), 0);
    query_server *second = server_start(&backend, "one");
    query_server_stop(first);
    check_works("one");
    query_server_stop(second);
    unlink(kept);
}

static void test_folder_must_be_private(void **state)
{
    (void)state;
    freshet_error err = {0};
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(try_start("one", &err), FRESHET_FAILED);
    assert_non_null(strstr(err.text, "not private"));
    check_not_found(NULL, "not private");
    assert_int_equal(chmod(folder, 0700), 0);
    char link[80];
    snprintf(link, sizeof link, "%s.link", folder);
    assert_int_equal(symlink(folder, link), 0);
    setenv("FRESHET_RUN_DIR", link, 1);
    assert_int_equal(try_start("one", &err), FRESHET_FAILED);
    assert_non_null(strstr(err.text, "not private"));
    unlink(link);
    char name[200];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    setenv("FRESHET_RUN_DIR", folder, 1);
    assert_int_equal(try_start(name, &err), FRESHET_FAILED);
    assert_non_null(strstr(err.text, "too long for a socket"));
    assert_int_equal(try_start("a/b", &err), FRESHET_USAGE);
    snprintf(link, sizeof link, "%s/made", folder);
    setenv("FRESHET_RUN_DIR", link, 1);
    assert_int_equal(try_start("one", &err), FRESHET_OK);
    struct stat found;
    assert_int_equal(stat(link, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0700);
    rmdir(link);
}

/* ---- limits and bad manners ---------------------------------------------------------------- */

static void test_one_connection_too_many(void **state)
{
    (void)state;
    backend_state backend = {0};
    query_server *server = server_start(&backend, "one");
    query_client *clients[QUERY_CONNECTIONS_MAX];
    for (int i = 0; i < QUERY_CONNECTIONS_MAX; i++)
        clients[i] = client_open("one");
    query_client *client = NULL;
    freshet_error err = {0};
    assert_int_equal(query_client_open("one", &client, &err), FRESHET_TRY_AGAIN);
    assert_int_equal(err.then, FRESHET_RETRY);
    assert_non_null(strstr(err.text, "has 16 clients already"));
    query_client_close(clients[3]);
    for (int i = 0; i < 1000 && client == NULL; i++) {
        query_client_open("one", &client, NULL);
        usleep(1000);
    }
    assert_non_null(client);
    query_client_close(client);
    for (int i = 0; i < QUERY_CONNECTIONS_MAX; i++)
        if (i != 3)
            query_client_close(clients[i]);
    query_server_stop(server);
}

static void test_request_limits(void **state)
{
    (void)state;
    backend_state backend = {0};
    query_server *server = server_start(&backend, "one");
    query_client *client = client_open("one");
    size_t longest = PROTOCOL_REQUEST_MAX - 9;
    char *sql = malloc(longest + 2);
    memset(sql, 'x', longest + 1);
    sql[longest + 1] = '\0';
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    freshet_error err = {0};
    assert_int_equal(ask(client, sql, FRESHET_CSV, &text, &err), FRESHET_LIMIT);
    sql[longest] = '\0';
    assert_int_equal(ask(client, sql, FRESHET_CSV, &text, &err), FRESHET_OK);
    assert_string_equal(text.bytes, "n\n1048567\n");
    free(sql);
    text_release(&text);
    query_client_close(client);

    frame frame = {0};
    text_init(&frame.payload, TEXT_LIMIT_DEFAULT);
    int raw = raw_connect("one");
    assert_int_equal(raw_receive(raw, &frame), FRAME_HELLO);
    char header[5] = {FRAME_QUERY};
    put_u32(header + 1, PROTOCOL_REQUEST_MAX + 1);
    assert_int_equal(send(raw, header, sizeof header, 0), sizeof header);
    assert_int_equal(raw_receive(raw, &frame), FRAME_ERROR);
    assert_true(frame_read_error(&frame, &err));
    assert_int_equal(err.code, FRESHET_LIMIT);
    assert_int_equal(raw_receive(raw, &frame), 0);
    close(raw);

    raw = raw_connect("one");
    assert_int_equal(raw_receive(raw, &frame), FRAME_HELLO);
    assert_int_equal(frame_send(raw, 'x', "", 0, soon(), NULL), FRESHET_OK);
    assert_int_equal(raw_receive(raw, &frame), FRAME_ERROR);
    assert_int_equal(raw_receive(raw, &frame), 0);
    close(raw);

    raw = raw_connect("one");
    assert_int_equal(raw_receive(raw, &frame), FRAME_HELLO);
    assert_int_equal(frame_send(raw, FRAME_QUERY, "cut", 3, soon(), NULL), FRESHET_OK);
    assert_int_equal(raw_receive(raw, &frame), FRAME_ERROR);
    assert_int_equal(frame_send(raw, FRAME_QUERY, "123456789a\0b", 12, soon(), NULL), FRESHET_OK);
    assert_int_equal(raw_receive(raw, &frame), FRAME_ERROR);
    raw_ask(raw, "rows 1");
    assert_int_equal(raw_receive(raw, &frame), FRAME_DATA);
    assert_int_equal(raw_receive(raw, &frame), FRAME_DONE);
    close(raw);
    text_release(&frame.payload);
    query_server_stop(server);
}

/* Connects, sends half a request or noise, and goes; or goes in the middle of an answer. */
static void test_clients_without_manners(void **state)
{
    (void)state;
    backend_state backend = {0};
    query_server *server = server_start(&backend, "one");
    srand(7);
    for (int i = 0; i < 200; i++) {
        int raw = raw_connect("one");
        char noise[64];
        size_t n = (size_t)(rand() % 64);
        for (size_t k = 0; k < n; k++)
            noise[k] = (char)rand();
        if (i % 3 == 0) {
            noise[0] = FRAME_QUERY;
            put_u32(noise + 1, (uint32_t)(rand() % 40));
        }
        if (i % 7 == 0)
            raw_ask(raw, "rows 100000");
        else
            send(raw, noise, n, MSG_NOSIGNAL);
        close(raw);
    }
    check_works("one");
    query_server_stop(server);
    assert_int_equal(atomic_load(&backend.n_open), 0);
}

static void test_gone_client_cancels_its_query(void **state)
{
    (void)state;
    backend_state backend = {0};
    query_server *server = server_start(&backend, "one");
    int raw = raw_connect("one");
    raw_ask(raw, "wait");
    assert_true(wait_until(&backend.n_waiting, 1));
    usleep(50000);
    assert_int_equal(atomic_load(&backend.n_cancelled), 0);
    close(raw);
    assert_true(wait_until(&backend.n_cancelled, 1));
    check_works("one");
    query_server_stop(server);
}

static void *ask_and_wait(void *context)
{
    freshet_error *err = context;
    query_client *client = client_open("one");
    query_client_ask(client, "wait", FRESHET_JSON, 0, collect, NULL, err);
    query_client_close(client);
    return NULL;
}

static void test_stop_ends_queries(void **state)
{
    (void)state;
    backend_state backend = {0};
    query_server *server = server_start(&backend, "one");
    pthread_t thread;
    freshet_error err = {0};
    assert_int_equal(pthread_create(&thread, NULL, ask_and_wait, &err), 0);
    assert_true(wait_until(&backend.n_waiting, 1));
    query_client *idle = client_open("one");
    query_server_stop(server);
    pthread_join(thread, NULL);
    assert_true(err.code == FRESHET_FAILED || err.code == FRESHET_LIMIT);
    assert_int_equal(query_client_status(idle, collect, NULL, &err), FRESHET_FAILED);
    assert_non_null(strstr(err.text, "the pipeline one has ended"));
    assert_int_equal(query_client_status(idle, collect, NULL, &err), FRESHET_FAILED);
    query_client_close(idle);
}

/* Minutes are seconds, and more of them on a slow machine. */
static int64_t fast_monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return ((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000) * 20 / patience_slowness();
}

/* It asks for much and reads nothing: others are answered meanwhile, and in the end it is given up.
 */
static void test_client_that_reads_nothing(void **state)
{
    (void)state;
    os.monotonic_us = fast_monotonic_us;
    backend_state backend = {0};
    query_server *server = server_start(&backend, "one");
    int raw = raw_connect("one");
    raw_ask(raw, "rows 100000000");
    assert_true(wait_until(&backend.n_open, 1));
    for (int i = 0; i < 20; i++)
        check_works("one");
    assert_int_equal(atomic_load(&backend.n_open), 1);
    assert_true(wait_until(&backend.n_open, 0));
    check_works("one");
    close(raw);
    query_server_stop(server);
}

static bool take_nothing(void *context, const char *bytes, size_t length)
{
    (void)context;
    (void)bytes;
    (void)length;
    return false;
}

static void test_closed_output(void **state)
{
    (void)state;
    backend_state backend = {0};
    query_server *server = server_start(&backend, "one");
    query_client *client = client_open("one");
    freshet_error err = {0};
    assert_int_equal(query_client_ask(client, "rows 5", FRESHET_JSON, 0, take_nothing, NULL, &err),
                     FRESHET_FAILED);
    assert_non_null(strstr(err.text, "output was closed"));
    sum sum = {0};
    assert_int_equal(query_client_ask(client, "rows 5", FRESHET_JSON, 0, count_lines, &sum, &err),
                     FRESHET_OK);
    assert_int_equal(sum.lines, 5);
    assert_int_equal(
        query_client_ask(client, "rows 20000000", FRESHET_JSON, 0, take_nothing, NULL, &err),
        FRESHET_FAILED);
    assert_true(wait_until(&backend.n_open, 0));
    query_client_close(client);
    query_server_stop(server);
}

/* ---- a server without manners -------------------------------------------------------------- */

static int fake_listener(const char *name)
{
    struct sockaddr_un address;
    assert_int_equal(runtime_socket(folder, name, &address, NULL), FRESHET_OK);
    int made = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(made, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(made, 4), 0);
    return made;
}

typedef struct fake_answer {
    int listener;
    const char *bytes;
    size_t length;
} fake_answer;

static void *answer_once(void *context)
{
    const fake_answer *fake = context;
    int taken = accept(fake->listener, NULL, NULL);
    ssize_t n = send(taken, fake->bytes, fake->length, MSG_NOSIGNAL);
    (void)n;
    shutdown(taken, SHUT_WR);
    char byte;
    while (recv(taken, &byte, 1, 0) > 0)
        ;
    close(taken);
    return NULL;
}

static freshet_code status_from(int listener, const char *bytes, size_t length, freshet_error *err)
{
    fake_answer fake = {listener, bytes, length};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_once, &fake), 0);
    query_client *client = NULL;
    freshet_code code = query_client_open("fake", &client, err);
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    if (code == FRESHET_OK)
        code = query_client_status(client, collect, &text, err);
    text_release(&text);
    query_client_close(client);
    pthread_join(thread, NULL);
    return code;
}

#define HELLO "H\x0C\0\0\0\x01\0\0\0\x09\0\0\0fake"

static void test_server_without_manners(void **state)
{
    (void)state;
    int listener = fake_listener("fake");
    freshet_error err = {0};
    static const struct {
        const char *bytes;
        size_t length;
        freshet_code code;
    } cases[] = {
        {"", 0, FRESHET_FAILED},
        {"H", 1, FRESHET_FAILED},
        {"Hxxxxxxxxxxxxxxx", 16, FRESHET_FAILED},
        {"H\x0C\0\0\0\x02\0\0\0\x09\0\0\0fake", 17, FRESHET_FAILED},
        {"E\x02\0\0\0ab", 7, FRESHET_FAILED},
        {HELLO, 17, FRESHET_FAILED},
        {HELLO "D\x01\0\0\0x", 23, FRESHET_FAILED},
        {HELLO "D\x01\0\0\0xZ\0\0\0\0", 28, FRESHET_OK},
        {HELLO "?\0\0\0\0", 22, FRESHET_FAILED},
        {HELLO "D\xFF\xFF\xFF\xFFx", 23, FRESHET_FAILED},
        {HELLO "E\x0C\0\0\0\x4B\0\0\0\x01\0\0\0\xFF\xFF\xFF\x7F", 34, FRESHET_FAILED},
        {HELLO "E\x0F\0\0\0\x4B\0\0\0\x01\0\0\0\x01\0\0\0ahi", 37, FRESHET_TRY_AGAIN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        freshet_code code = status_from(listener, cases[i].bytes, cases[i].length, &err);
        if (code != cases[i].code)
            fail_msg("case %zu: code %d, %s", i, (int)code, err.text);
    }
    assert_string_equal(err.at, "a");
    assert_string_equal(err.text, "hi");
    assert_int_equal(err.then, FRESHET_RETRY);
    close(listener);
    char path[128];
    snprintf(path, sizeof path, "%s/fake.sock", folder);
    unlink(path);
}

static int make_folder(void **state)
{
    (void)state;
    os_restore();
    one_field[0] = (field){"n", type_simple(TYPE_BIGINT)};
    strcpy(folder, "/tmp/freshet-server-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    return setenv("FRESHET_RUN_DIR", folder, 1);
}

static int remove_folder(void **state)
{
    (void)state;
    os_restore();
    return rmdir(folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answers_and_errors),
        TEST(test_long_answer),
        TEST(test_status),
        TEST(test_finding_pipelines),
        TEST(test_socket_of_a_dead_process),
        TEST(test_living_pipeline_is_kept),
        TEST(test_stop_leaves_another_socket),
        TEST(test_folder_must_be_private),
        TEST(test_one_connection_too_many),
        TEST(test_request_limits),
        TEST(test_clients_without_manners),
        TEST(test_gone_client_cancels_its_query),
        TEST(test_stop_ends_queries),
        TEST(test_client_that_reads_nothing),
        TEST(test_closed_output),
        TEST(test_server_without_manners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
