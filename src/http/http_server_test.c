/* Tests of http_server.c and http_answer.c with a made-up run: who is let in, which answer each
 * request gets, and what becomes of clients that are slow, many or wrong. */
/* tsan */
#include "http/http_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/os.h"
#include "base/patience_testing.h"

#define ANSWER_MAX 65536

static atomic_bool is_ready = true;

static int64_t made_counter(const freshet_pipeline *pipeline, freshet_count which)
{
    (void)pipeline;
    return which == FRESHET_ROWS_READ ? 70 : 0;
}

static bool made_ready(const freshet_pipeline *pipeline, freshet_error *why)
{
    (void)pipeline;
    if (!atomic_load(&is_ready))
        error_set(why, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL, "the broker cannot be reached");
    return atomic_load(&is_ready);
}

static const http_source source = {.run = {.counter = made_counter, .ready = made_ready},
                                   .name = "made"};

static http_server *start(const char *token, int64_t patience_us)
{
    http_options options = {.token = token, .patience_us = patience_us, .from = &source};
    http_server *server = NULL;
    freshet_error err = {0};
    assert_null(listen_address_read("127.0.0.1:0", &options.listen));
    if (http_server_start(&options, &server, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    return server;
}

static int port_of(const http_server *server)
{
    return (int)strtol(strrchr(http_server_url(server), ':') + 1, NULL, 10);
}

static int connect_to(const http_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port_of(server)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_text(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All that comes until the server ends the connection. */
static void read_to_end(int fd, char *into)
{
    const patience patience = patience_of(30);
    size_t length = 0;
    for (;;) {
        struct pollfd poll = {.fd = fd, .events = POLLIN};
        assert_true(patience_lasts(&patience));
        if (os.poll(&poll, 1, 100) == 0)
            continue;
        const ssize_t n = read(fd, into + length, ANSWER_MAX - 1 - length);
        if (n <= 0)
            break;
        length += (size_t)n;
    }
    into[length] = '\0';
    close(fd);
}

/* The answer to a whole request; an empty one where the connection was cut. */
static const char *ask(const http_server *server, const char *request)
{
    static char answer[ANSWER_MAX];
    const int fd = connect_to(server);
    send_text(fd, request);
    read_to_end(fd, answer);
    return answer;
}

static void assert_answer(const http_server *server, const char *request, const char *status,
                          const char *has)
{
    const char *answer = ask(server, request);
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %s ", status);
    if (strncmp(answer, line, strlen(line)) != 0 || strstr(answer, has) == NULL)
        fail_msg("%s gives %s, where %s and \"%s\" were to be", request, answer, status, has);
}

#define HEAD_OF(path, more) \
    "GET " path " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" more "\r\n"

static void pages_are_answered(void **state)
{
    http_server *server = start(NULL, 0);
    (void)state;
    assert_answer(server, HEAD_OF("/live", ""), "200", "\r\n\r\nlive\n");
    assert_answer(server, HEAD_OF("/ready", ""), "200", "\r\n\r\nready\n");
    atomic_store(&is_ready, false);
    assert_answer(server, HEAD_OF("/ready", ""), "503", "\nthe broker cannot be reached\n");
    atomic_store(&is_ready, true);
    assert_answer(server, HEAD_OF("/status?x=1", ""), "200", "{\"pipeline\":\"made\",");
    assert_answer(server, HEAD_OF("/status", ""), "200", "Content-Type: application/json\r\n");
    assert_answer(server, HEAD_OF("/status", ""), "200", "\"rows_read\":70,");
    assert_answer(server, HEAD_OF("/statu", ""), "404", "there are /live, /ready, /status");
    assert_answer(server, HEAD_OF("//live", ""), "404", "There is no such page");
    http_server_stop(server);
}

static void nothing_but_get_and_head(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "X"};
    http_server *server = start(NULL, 0);
    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char request[256];
        snprintf(request, sizeof request,
                 "%s /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                 "Content-Length: 2\r\n\r\n{}",
                 methods[i]);
        assert_answer(server, request, "405", "\r\nAllow: GET, HEAD\r\n");
    }
    assert_answer(server, HEAD_OF("/live", "Content-Length: 3\r\n") "abc", "200", "live");
    const char *answer = ask(server, "HEAD /status HTTP/1.1\r\nHost: localhost\r\n"
                                     "Connection: close\r\n\r\n");
    assert_non_null(strstr(answer, "HTTP/1.1 200 "));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    http_server_stop(server);
}

static void without_a_token_hosts_are_this_machine(void **state)
{
    static const struct {
        const char *host, *status;
    } cases[] = {
        {"localhost", "200"},       {"localhost:8080", "200"},
        {"127.0.0.1:1", "200"},     {"[::1]", "200"},
        {"[::1]:8080", "200"},      {"evil.example", "421"},
        {"evil.example:80", "421"}, {"localhost.evil.example", "421"},
        {"127.0.0.1.evil", "421"},  {"[::1", "421"},
        {"[::1]evil", "421"},       {"10.0.0.1", "421"},
    };
    http_server *server = start(NULL, 0);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char request[256];
        snprintf(request, sizeof request,
                 "GET /status HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", cases[i].host);
        assert_answer(server, request, cases[i].status, "");
    }
    assert_answer(server, "GET /live HTTP/1.1\r\nConnection: close\r\n\r\n", "400", "");
    assert_non_null(strstr(ask(server, "GET /live HTTP/1.0\r\n\r\n"), " 200 "));
    http_server_stop(server);
}

static void with_a_token_who_knows_it_is_answered(void **state)
{
    http_server *server = start("secret-12", 0);
    (void)state;
    assert_answer(server, HEAD_OF("/status", ""), "401", "\r\nWWW-Authenticate: Bearer");
    assert_answer(server, HEAD_OF("/none", ""), "401", "");
    assert_answer(server, HEAD_OF("/status", "Authorization: Bearer secret-1\r\n"), "401", "");
    assert_answer(server, HEAD_OF("/status", "Authorization: Bearer secret-123\r\n"), "401", "");
    assert_answer(server, HEAD_OF("/status", "Authorization: Bearer Secret-12\r\n"), "401", "");
    assert_answer(server, HEAD_OF("/status", "Authorization: Bearer \r\n"), "401", "");
    assert_answer(server, HEAD_OF("/status", "Authorization: Basic secret-12\r\n"), "401", "");
    assert_answer(server, HEAD_OF("/status", "Authorization: Bearer secret-12\r\n"), "200", "");
    assert_answer(server, HEAD_OF("/status", "Authorization: bearer secret-12\r\n"), "200", "");
    assert_answer(server, "GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "200", "");
    atomic_store(&is_ready, false);
    assert_answer(server, HEAD_OF("/ready", ""), "503", "who sends the token is told why");
    assert_answer(server, HEAD_OF("/ready", "Authorization: Bearer secret-12\r\n"), "503",
                  "the broker");
    atomic_store(&is_ready, true);
    http_server_stop(server);
}

static void large_heads_are_refused(void **state)
{
    static char request[HTTP_CONNECTION_BYTES * 2], filling[HTTP_CONNECTION_BYTES];
    http_server *server = start(NULL, 0);
    (void)state;
    memset(filling, 'x', sizeof filling - 1);
    snprintf(request, sizeof request,
             "GET /live HTTP/1.1\r\nHost: localhost\r\nX: %s\r\nConnection: close\r\n\r\n",
             filling);
    assert_answer(server, request, "431", "");
    snprintf(request, sizeof request, "GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n", filling);
    assert_answer(server, request, "414", "");
    assert_answer(server, HEAD_OF("/live", ""), "200", "live");
    http_server_stop(server);
}

/* A client that sends a byte now and then is cut off all the same. */
static void slow_clients_are_cut(void **state)
{
    http_server *server = start(NULL, 300000);
    const patience patience = patience_of(30);
    const int fd = connect_to(server);
    (void)state;
    send_text(fd, "GET /live HTTP/1.1\r\n");
    for (;;) {
        struct pollfd poll = {.fd = fd, .events = POLLIN};
        char byte;
        assert_true(patience_lasts(&patience));
        if (send(fd, "X", 1, MSG_NOSIGNAL) < 0)
            break;
        if (os.poll(&poll, 1, 20) > 0 && read(fd, &byte, 1) <= 0)
            break;
    }
    close(fd);
    assert_answer(server, HEAD_OF("/live", ""), "200", "live");
    http_server_stop(server);
}

/* More clients than there are places, none of which says anything. */
static void many_silent_clients_give_way(void **state)
{
    enum { N = HTTP_CONNECTIONS_MAX + 20 };
    static int fds[N];
    struct rlimit files;
    http_server *server = start(NULL, 0);
    (void)state;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (int i = 0; i < N; i++)
        fds[i] = connect_to(server);
    assert_answer(server, HEAD_OF("/live", ""), "200", "live");
    for (int i = 0; i < N; i++)
        close(fds[i]);
    assert_answer(server, HEAD_OF("/live", ""), "200", "live");
    http_server_stop(server);
}

static void stops_with_clients_there(void **state)
{
    http_server *server = start(NULL, 0);
    char answer[ANSWER_MAX];
    const int idle = connect_to(server), half = connect_to(server);
    (void)state;
    send_text(half, "GET /status HTTP/1.1\r\n");
    assert_answer(server, HEAD_OF("/live", ""), "200", "live");
    http_server_stop(server);
    read_to_end(idle, answer);
    read_to_end(half, answer);
}

static void an_address_in_use_is_told(void **state)
{
    http_server *server = start(NULL, 0), *other = NULL;
    http_options options = {.from = &source, .at = "orders.yaml:9:3"};
    freshet_error err = {0};
    char address[32];
    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%d", port_of(server));
    assert_null(listen_address_read(address, &options.listen));
    assert_int_equal(http_server_start(&options, &other, &err), FRESHET_FAILED);
    assert_null(other);
    assert_non_null(strstr(err.text, "the port is in use already"));
    assert_non_null(strstr(err.text, address));
    http_server_stop(server);
    assert_int_equal(http_server_start(&options, &other, &err), FRESHET_OK);
    http_server_stop(other);
}

static void files_of_tls_that_are_none(void **state)
{
    http_options options = {.from = &source, .cert = "/dev/null", .key = "/dev/null"};
    http_server *server = NULL;
    freshet_error err = {0};
    (void)state;
    assert_null(listen_address_read("127.0.0.1:0", &options.listen));
    assert_int_equal(http_server_start(&options, &server, &err), FRESHET_FAILED);
    assert_non_null(strstr(err.text, "both must be PEM"));
    options.key = "/nowhere/x.pem";
    assert_int_equal(http_server_start(&options, &server, &err), FRESHET_FAILED);
    assert_non_null(strstr(err.text, "/nowhere/x.pem"));
}

static void tokens_are_the_same_or_not(void **state)
{
    (void)state;
    assert_true(http_is_token("abc", "abc"));
    assert_false(http_is_token("abc", "abd"));
    assert_false(http_is_token("abc", "ab"));
    assert_false(http_is_token("abc", "abca"));
    assert_false(http_is_token("abc", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_answered),
        cmocka_unit_test(nothing_but_get_and_head),
        cmocka_unit_test(without_a_token_hosts_are_this_machine),
        cmocka_unit_test(with_a_token_who_knows_it_is_answered),
        cmocka_unit_test(large_heads_are_refused),
        cmocka_unit_test(slow_clients_are_cut),
        cmocka_unit_test(many_silent_clients_give_way),
        cmocka_unit_test(stops_with_clients_there),
        cmocka_unit_test(an_address_in_use_is_told),
        cmocka_unit_test(files_of_tls_that_are_none),
        cmocka_unit_test(tokens_are_the_same_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
