/* http_server.c - see http_server.h.
 *
 * libmicrohttpd parses and keeps the connections, but has no thread: ours waits for its epoll
 * descriptor and for the stop pipe, lets it do what there is to do, and looks for connections whose
 * time is over. These are shut down; libmicrohttpd sees their end and closes them, so that a
 * descriptor is closed by one side only. Answers are made whole, in memory, when a request is
 * there; a body is read of questions only, and other methods are refused before theirs is.
 */
#define _GNU_SOURCE /* pipe2, SOCK_CLOEXEC */
#include "http/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/error.h"
#include "base/os.h"
#include "base/thread.h"

#define LISTEN_BACKLOG 128
#define LOOK_US INT64_C(250000) /* how often connections are looked at */
/* Turns without a request or a connection that comes or goes, behind which the thread rests: where
 * the system gives no descriptor, the listening socket stays readable. */
#define IDLE_TURNS_MAX 64u
#define HTTP_BODY_READ_MAX (16 * SERVING_BODY_MAX)
#define IDLE_REST_MS 20

typedef struct http_connection {
    bool is_there;
    bool is_cut;
    int fd;
    int64_t since_us; /* it came, or its last answer was done */
} http_connection;

struct http_server {
    http_source source;
    char *token;
    int64_t patience_us;
    char url[LISTEN_HOST_MAX + 24];
    int listener;
    int stop_pipe[2];
    struct MHD_Daemon *daemon;
    int epoll_fd; /* the daemon's */
    pthread_t thread;
    /* The thread's: */
    http_connection connections[HTTP_CONNECTIONS_MAX];
    uint32_t n_connections;
    uint64_t n_moves; /* requests, connections that came or went */
    char said[256];   /* the last that the library said */
};

/* ---- requests ------------------------------------------------------------------------------- */

static enum MHD_Result send_reply(struct MHD_Connection *connection, http_reply *reply)
{
    if (reply->body.failed) {
        text_release(&reply->body);
        return MHD_NO;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(
        reply->body.length, reply->body.bytes, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        text_release(&reply->body);
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", reply->type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (reply->allow != NULL)
        MHD_add_response_header(response, "Allow", reply->allow);
    if (reply->asks_token)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer realm=\"freshet\"");
    const enum MHD_Result queued = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return queued;
}

/* A body that is said to be that long is not waited for. One that is too long, but less so, is read
 * to its end, since its sender may look for the answer no earlier. */
static bool is_far_too_long(struct MHD_Connection *connection)
{
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    return length != NULL && strtoull(length, NULL, 10) > HTTP_BODY_READ_MAX;
}

static text_buffer *make_body(void)
{
    text_buffer *body = malloc(sizeof *body);
    if (body != NULL)
        text_init(body, SERVING_BODY_MAX + 1);
    return body;
}

/* What is beyond the limit is not kept; one byte of it tells that there is more. */
static void take_body(text_buffer *body, const char *bytes, size_t n)
{
    const size_t room = body->limit - body->length;
    if (!body->failed)
        text_append(body, bytes, n < room ? n : room);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_size, void **own)
{
    http_server *server = context;
    http_request request = {
        .method = method,
        .path = path,
        .host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host"),
        .authorization = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization"),
        .accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept"),
    };
    http_reply reply;
    (void)version;
    (void)upload;
    server->n_moves++;
    text_buffer *body = *own == server ? NULL : *own;
    if (*own == NULL && http_wants_body(&server->source, server->token, &request) &&
        !is_far_too_long(connection)) {
        *own = make_body();
        return *own == NULL ? MHD_NO : MHD_YES;
    }
    if (*own == NULL && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)) {
        *own = server; /* answered at its end, so that the connection may stay */
        return MHD_YES;
    }
    if (*own != NULL && *upload_size > 0) {
        if (body != NULL) /* else one that nobody wants */
            take_body(body, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    request.body = body == NULL || body->bytes == NULL ? "" : body->bytes;
    request.body_length = body == NULL ? SERVING_BODY_MAX + 1 : body->length;
    http_answer(&server->source, server->token, &request, &reply);
    return send_reply(connection, &reply);
}

static void on_answered(void *context, struct MHD_Connection *connection, void **own,
                        enum MHD_RequestTerminationCode how)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    http_connection *slot = info == NULL ? NULL : info->socket_context;
    (void)how;
    if (*own != NULL && *own != context) {
        text_release(*own);
        free(*own);
        *own = NULL;
    }
    if (slot != NULL)
        slot->since_us = os.monotonic_us();
}

static http_connection *find_free(http_server *server)
{
    for (uint32_t i = 0; i < HTTP_CONNECTIONS_MAX; i++)
        if (!server->connections[i].is_there)
            return &server->connections[i];
    return NULL;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **of_socket,
                          enum MHD_ConnectionNotificationCode what)
{
    http_server *server = context;
    http_connection *slot = *of_socket;
    server->n_moves++;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (slot != NULL) {
            slot->is_there = false;
            server->n_connections--;
        }
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    slot = info == NULL ? NULL : find_free(server);
    if (slot == NULL)
        return;
    *slot =
        (http_connection){.is_there = true, .fd = info->connect_fd, .since_us = os.monotonic_us()};
    server->n_connections++;
    *of_socket = slot;
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void cut_slow(http_server *server)
{
    const int64_t now_us = os.monotonic_us();
    int64_t patience_us = server->patience_us;
    if (server->n_connections > HTTP_CONNECTIONS_CROWDED && patience_us > HTTP_PATIENCE_CROWDED_US)
        patience_us = HTTP_PATIENCE_CROWDED_US;
    for (uint32_t i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
        http_connection *slot = &server->connections[i];
        if (!slot->is_there || slot->is_cut || now_us - slot->since_us < patience_us)
            continue;
        slot->is_cut = true;
        shutdown(slot->fd, SHUT_RDWR);
    }
}

/* How long to wait: forever where nobody is there. */
static int wait_ms(http_server *server)
{
    MHD_UNSIGNED_LONG_LONG asked;
    int64_t us = server->n_connections == 0 ? -1 : LOOK_US;
    if (MHD_get_timeout(server->daemon, &asked) == MHD_YES &&
        (us < 0 || asked < (MHD_UNSIGNED_LONG_LONG)us / 1000))
        us = (int64_t)(asked > INT32_MAX ? INT32_MAX : asked) * 1000;
    return us < 0 ? -1 : (int)(us / 1000);
}

/* Behind a turn in which something moved comes another at once: the library listens again only
 * then, where it had no place left. */
static void *http_main(void *context)
{
    http_server *server = context;
    uint32_t idle_turns = 0;
    for (;;) {
        struct pollfd polls[] = {{.fd = server->stop_pipe[0], .events = POLLIN},
                                 {.fd = server->epoll_fd, .events = POLLIN}};
        const bool moved = idle_turns == 0;
        if (os.poll(polls, 2, moved ? 0 : wait_ms(server)) < 0 && errno != EINTR)
            break;
        if (polls[0].revents != 0)
            break;
        const uint64_t before = server->n_moves;
        MHD_run(server->daemon);
        cut_slow(server);
        idle_turns = server->n_moves != before ? 0 : idle_turns + 1;
        if (idle_turns > IDLE_TURNS_MAX)
            os.poll(polls, 1, IDLE_REST_MS);
    }
    return NULL;
}

/* ---- starting and stopping ------------------------------------------------------------------ */

__attribute__((format(printf, 2, 0))) static void on_said(void *context, const char *format,
                                                          va_list arguments)
{
    http_server *server = context;
    vsnprintf(server->said, sizeof server->said, format, arguments);
    server->said[strcspn(server->said, "\n")] = '\0';
}

static freshet_code refuse_address(const http_options *options, const char *url, freshet_error *err)
{
    const int number = errno;
    if (number == EADDRINUSE)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, options->at,
                         "cannot answer by HTTP at %s: the port is in use already, by another "
                         "run or program; stop it, or give another port (0: any free one)",
                         url);
    if (number == EADDRNOTAVAIL)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, options->at,
                         "cannot answer by HTTP at %s: this machine has no such address; write "
                         "one of its own, or 0.0.0.0 for all",
                         url);
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, options->at,
                     "cannot answer by HTTP at %s: %s; give another address or port", url,
                     strerror(number));
}

static void write_url(http_server *server, const http_options *options, uint16_t port)
{
    const listen_address *listen = &options->listen;
    snprintf(server->url, sizeof server->url, listen->is_v6 ? "%s://[%s]:%u" : "%s://%s:%u",
             options->cert != NULL ? "https" : "http", listen->host, port);
}

static freshet_code open_listener(http_server *server, const http_options *options,
                                  freshet_error *err)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.any = {.sa_family = options->listen.is_v6 ? AF_INET6 : AF_INET}};
    socklen_t size = options->listen.is_v6 ? sizeof address.v6 : sizeof address.v4;
    const int on = 1;
    if (options->listen.is_v6) {
        address.v6.sin6_port = htons(options->listen.port);
        inet_pton(AF_INET6, options->listen.host, &address.v6.sin6_addr);
    } else {
        address.v4.sin_port = htons(options->listen.port);
        inet_pton(AF_INET, options->listen.host, &address.v4.sin_addr);
    }
    write_url(server, options, options->listen.port);
    server->listener = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->listener < 0 ||
        setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(server->listener, &address.any, size) != 0 ||
        listen(server->listener, LISTEN_BACKLOG) != 0 ||
        getsockname(server->listener, &address.any, &size) != 0)
        return refuse_address(options, server->url, err);
    write_url(server, options,
              ntohs(options->listen.is_v6 ? address.v6.sin6_port : address.v4.sin_port));
    return FRESHET_OK;
}

/* A file of PEM as a text; NULL after an error. */
static char *read_pem(const char *path, freshet_error *err)
{
    char *text = malloc(HTTP_PEM_BYTES_MAX + 1);
    if (text == NULL) {
        error_memory(err, "reading the files of TLS");
    } else if (os_read_text(path, text, HTTP_PEM_BYTES_MAX + 1) < 0) {
        error_system(err, "cannot read the file of TLS", path);
        free(text);
        text = NULL;
    }
    return text;
}

static freshet_code start_daemon(http_server *server, const http_options *options, const char *cert,
                                 const char *key, freshet_error *err)
{
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_LISTEN_SOCKET, server->listener, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS_MAX, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, HTTP_CONNECTION_BYTES, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, server},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_answered, server},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {cert == NULL ? MHD_OPTION_END : MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)key},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_EPOLL | MHD_USE_ERROR_LOG;
    if (cert != NULL)
        flags |= MHD_USE_TLS;
    server->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER,
                         on_said, server, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
    if (server->daemon == NULL && cert != NULL)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, options->at,
                         "cannot answer by HTTPS: the certificate %s and the key %s cannot be used "
                         "(%s); both must be PEM, and belong to each other",
                         options->cert, options->key, server->said);
    if (server->daemon == NULL)
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, options->at,
                         "cannot answer by HTTP: the system gives too little for it (%s)",
                         server->said);
    server->epoll_fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return FRESHET_OK;
}

static freshet_code start_with_files(http_server *server, const http_options *options,
                                     freshet_error *err)
{
    char *cert = NULL, *key = NULL;
    freshet_code code = FRESHET_OK;
    if (options->cert != NULL) {
        cert = read_pem(options->cert, err);
        key = cert == NULL ? NULL : read_pem(options->key, err);
        code = key == NULL ? FRESHET_FAILED : FRESHET_OK;
    }
    if (code == FRESHET_OK)
        code = start_daemon(server, options, cert, key, err);
    free(cert);
    free(key);
    return code;
}

static freshet_code start_all(http_server *server, const http_options *options, freshet_error *err)
{
    if (options->token != NULL && (server->token = strdup(options->token)) == NULL)
        return error_memory(err, "starting to answer by HTTP");
    if (pipe2(server->stop_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return error_system(err, "cannot make", "a pipe");
    freshet_code code = open_listener(server, options, err);
    if (code == FRESHET_OK)
        code = start_with_files(server, options, err);
    if (code != FRESHET_OK || thread_start(&server->thread, http_main, server))
        return code;
    return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL,
                     "the system gives no thread to answer by HTTP");
}

/* No thread is in it any more. */
static void free_all(http_server *server)
{
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon); /* which closes the listener, too */
    else if (server->listener >= 0)
        os.close(server->listener);
    for (int i = 0; i < 2; i++)
        if (server->stop_pipe[i] >= 0)
            os.close(server->stop_pipe[i]);
    free(server->token);
    free(server);
}

freshet_code http_server_start(const http_options *options, http_server **out, freshet_error *err)
{
    http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return error_memory(err, "starting to answer by HTTP");
    server->source = *options->from;
    server->patience_us = options->patience_us == 0 ? HTTP_PATIENCE_US : options->patience_us;
    server->listener = server->stop_pipe[0] = server->stop_pipe[1] = -1;
    freshet_code code = start_all(server, options, err);
    if (code == FRESHET_OK)
        *out = server;
    else
        free_all(server);
    return code;
}

const char *http_server_url(const http_server *server)
{
    return server->url;
}

void http_server_stop(http_server *server)
{
    if (server == NULL)
        return;
    const ssize_t n = os.write(server->stop_pipe[1], "s", 1);
    (void)n; /* an empty pipe takes one byte */
    pthread_join(server->thread, NULL);
    free_all(server);
}
