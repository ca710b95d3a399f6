/* query_server.c - see query_server.h; what is said on the socket: protocol.h.
 *
 * The threads never touch the pipeline but by its any-thread functions, so nothing a client does
 * holds the stream. A client that reads too slowly is given up after PROTOCOL_FRAME_US without a
 * whole frame taken; a query whose client has gone is cancelled: the query itself asks now and then
 * (freshet_query_options.cancelled).
 *
 * Stopping: the stop pipe becomes readable for ever, which every waiting thread sees; sockets are
 * shut down, which ends sends; queries are cancelled. A connection's socket is closed by the
 * accepting thread only, after it has joined the connection's thread, so that no number of a socket
 * is used by two.
 *
 * The socket file is looked at, removed and bound under a lock on the folder, so that of two
 * processes that start at once under one name, one is told that the other runs.
 */
#define _GNU_SOURCE /* accept4, POLLRDHUP, struct ucred */
#include "operate/query_server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/os.h"
#include "base/thread.h"
#include "operate/protocol.h"

#define QUERY_HEADER 9 /* format and timeout */
#define REFUSAL_US INT64_C(100000)
#define ACCEPT_PAUSE_MS 100 /* when the system gives no socket */

typedef enum slot_state { SLOT_FREE, SLOT_RUNNING, SLOT_DONE } slot_state;

typedef struct connection {
    query_server *server;
    pthread_t thread;
    int socket;
    atomic_int state; /* slot_state */
    bool broken;      /* nothing can be sent any more */
    frame request;
} connection;

struct query_server {
    query_backend backend;
    char *name;
    struct sockaddr_un address;
    struct stat file; /* the socket's, to remove no other */
    int64_t started_us;
    int listener;
    int stop_pipe[2];
    atomic_bool stopping;
    pthread_t acceptor;
    connection connections[QUERY_CONNECTIONS_MAX];
};

static int64_t frame_deadline(void)
{
    return os.monotonic_us() + PROTOCOL_FRAME_US;
}

/* ---- answering ----------------------------------------------------------------------------- */

static void send_frame(connection *connection, char kind, const void *payload, size_t length)
{
    if (!connection->broken &&
        frame_send(connection->socket, kind, payload, length, frame_deadline(), NULL) != FRESHET_OK)
        connection->broken = true;
}

static void send_error(connection *connection, const freshet_error *error)
{
    if (!connection->broken &&
        frame_send_error(connection->socket, error, frame_deadline(), NULL) != FRESHET_OK)
        connection->broken = true;
}

static bool send_data(void *context, const char *bytes, size_t length)
{
    connection *connection = context;
    while (length > 0 && !connection->broken) {
        size_t n = length < PROTOCOL_ANSWER_MAX ? length : PROTOCOL_ANSWER_MAX;
        send_frame(connection, FRAME_DATA, bytes, n);
        bytes += n;
        length -= n;
    }
    return !connection->broken;
}

/* Called by the query from a thread of its own. */
static bool is_cancelled(void *context)
{
    const connection *connection = context;
    if (atomic_load(&connection->server->stopping))
        return true;
    struct pollfd poll = {.fd = connection->socket, .events = POLLRDHUP};
    return os.poll(&poll, 1, 0) > 0 && (poll.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static freshet_code answer_query(connection *connection, freshet_error *err)
{
    const text_buffer *request = &connection->request.payload;
    if (request->length < QUERY_HEADER)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "a cut request");
    if (memchr(request->bytes + QUERY_HEADER, '\0', request->length - QUERY_HEADER) != NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "there is a NUL byte in the query");
    freshet_query_options options = {.size = sizeof options,
                                     .timeout_us = get_i64(request->bytes + 1),
                                     .cancelled = is_cancelled,
                                     .context = connection};
    if (options.timeout_us == FRESHET_NO_TIMEOUT)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "a query from another process needs a limit of time");
    const query_backend *backend = &connection->server->backend;
    freshet_result *result = NULL;
    freshet_code code =
        backend->query(backend->pipeline, request->bytes + QUERY_HEADER, &options, &result, err);
    if (code != FRESHET_OK)
        return code;
    freshet_format format = (freshet_format)(unsigned char)request->bytes[0];
    code = freshet_result_print(result, format, send_data, connection, err);
    freshet_result_close(result);
    return code;
}

static freshet_code answer_status(connection *connection, freshet_error *err)
{
    const query_server *server = connection->server;
    text_buffer status;
    text_init(&status, PROTOCOL_ANSWER_MAX);
    status_append(&server->backend, server->name, server->started_us, &status);
    freshet_code code = FRESHET_OK;
    if (status.failed)
        code = error_memory(err, "answering for the status");
    else
        send_data(connection, status.bytes, status.length);
    text_release(&status);
    return code;
}

/* False where the connection must end. */
static bool answer(connection *connection)
{
    freshet_error err = {0};
    freshet_code code;
    bool goes_on = true;
    switch (connection->request.kind) {
    case FRAME_QUERY: code = answer_query(connection, &err); break;
    case FRAME_STATUS: code = answer_status(connection, &err); break;
    default:
        code = error_set(&err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "a request of an unknown kind: is the client of another version?");
        goes_on = false;
    }
    if (code == FRESHET_OK)
        send_frame(connection, FRAME_DONE, NULL, 0);
    else
        send_error(connection, &err);
    return goes_on && !connection->broken;
}

/* ---- connections --------------------------------------------------------------------------- */

static void send_hello(connection *connection)
{
    const query_server *server = connection->server;
    char payload[8 + sizeof server->address.sun_path];
    size_t length = strlen(server->name);
    put_u32(payload, PROTOCOL_VERSION);
    put_u32(payload + 4, (uint32_t)getpid());
    memcpy(payload + 8, server->name, length);
    send_frame(connection, FRAME_HELLO, payload, 8 + length);
}

/* False where the server stops. */
static bool wait_for_request(const connection *connection)
{
    struct pollfd polls[] = {{.fd = connection->socket, .events = POLLIN},
                             {.fd = connection->server->stop_pipe[0], .events = POLLIN}};
    while (os.poll(polls, 2, -1) < 0)
        if (errno != EINTR)
            return false;
    return polls[1].revents == 0;
}

static void *connection_main(void *context)
{
    connection *connection = context;
    text_init(&connection->request.payload, PROTOCOL_REQUEST_MAX + 1);
    send_hello(connection);
    bool goes_on = !connection->broken;
    while (goes_on && wait_for_request(connection)) {
        freshet_error err = {0};
        freshet_code code = frame_receive(connection->socket, &connection->request,
                                          PROTOCOL_REQUEST_MAX, frame_deadline(), &err);
        if (code == FRESHET_OK) {
            goes_on = answer(connection);
        } else {
            if (code == FRESHET_LIMIT)
                send_error(connection, &err);
            goes_on = false;
        }
    }
    text_release(&connection->request.payload);
    shutdown(connection->socket, SHUT_RDWR);
    atomic_store(&connection->state, SLOT_DONE);
    return NULL;
}

static void reap(connection *connection)
{
    pthread_join(connection->thread, NULL);
    os.close(connection->socket);
    atomic_store(&connection->state, SLOT_FREE);
}

static void server_refuse(int socket, const char *name, const char *why)
{
    freshet_error err = {0};
    error_set(&err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL, "the pipeline \"%s\" %s", name, why);
    frame_send_error(socket, &err, os.monotonic_us() + REFUSAL_US, NULL);
    os.close(socket);
}

static void server_take(query_server *server, int socket)
{
    connection *free_slot = NULL;
    for (size_t i = 0; i < QUERY_CONNECTIONS_MAX; i++) {
        connection *slot = &server->connections[i];
        if (atomic_load(&slot->state) == SLOT_DONE)
            reap(slot);
        if (atomic_load(&slot->state) == SLOT_FREE)
            free_slot = slot;
    }
    if (free_slot == NULL) {
        char why[96];
        snprintf(why, sizeof why, "has %d clients already, and takes no more: close one first",
                 QUERY_CONNECTIONS_MAX);
        server_refuse(socket, server->name, why);
        return;
    }
    free_slot->server = server;
    free_slot->socket = socket;
    free_slot->broken = false;
    atomic_store(&free_slot->state, SLOT_RUNNING);
    if (!thread_start(&free_slot->thread, connection_main, free_slot)) {
        atomic_store(&free_slot->state, SLOT_FREE);
        server_refuse(socket, server->name, "gets no thread from the system to answer");
    }
}

static void *acceptor_main(void *context)
{
    query_server *server = context;
    for (;;) {
        struct pollfd polls[] = {{.fd = server->listener, .events = POLLIN},
                                 {.fd = server->stop_pipe[0], .events = POLLIN}};
        if (os.poll(polls, 2, -1) < 0 && errno != EINTR)
            break;
        if (atomic_load(&server->stopping))
            break;
        int socket = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket >= 0)
            server_take(server, socket);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            os.poll(&polls[1], 1, ACCEPT_PAUSE_MS);
    }
    return NULL;
}

/* ---- starting and stopping ----------------------------------------------------------------- */

/* The process that listens at that address; 0 where none does. */
static long listening_process(const struct sockaddr_un *address)
{
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return -1;
    long process = 0;
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    if (connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN) {
        process = -1;
        if (getsockopt(probe, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0)
            process = peer.pid;
    }
    os.close(probe);
    return process;
}

static freshet_code bind_address(query_server *server, freshet_error *err)
{
    const char *path = server->address.sun_path;
    long process = listening_process(&server->address);
    if (process != 0) {
        char which[40] = "";
        if (process > 0)
            snprintf(which, sizeof which, " (process %ld)", process);
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, path,
                         "a pipeline named \"%s\" is already running%s; stop it first, or give "
                         "this one another name",
                         server->name, which);
    }
    if (os.unlink(path) != 0 && errno != ENOENT)
        return error_system(err, "cannot replace the socket", path);
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->listener < 0 ||
        bind(server->listener, (const struct sockaddr *)&server->address, sizeof server->address) !=
            0 ||
        listen(server->listener, 4 * QUERY_CONNECTIONS_MAX) != 0 ||
        os.stat(path, &server->file) != 0)
        return error_system(err, "cannot listen at", path);
    return FRESHET_OK;
}

static freshet_code listen_in(query_server *server, const char *folder, freshet_error *err)
{
    int lock = os.open(folder, O_RDONLY | O_DIRECTORY, 0);
    if (lock < 0)
        return error_system(err, "cannot open the folder for sockets", folder);
    freshet_code code = FRESHET_OK;
    while (code == FRESHET_OK && flock(lock, LOCK_EX) != 0)
        if (errno != EINTR)
            code = error_system(err, "cannot lock the folder for sockets", folder);
    if (code == FRESHET_OK)
        code = bind_address(server, err);
    os.close(lock);
    return code;
}

static void free_server(query_server *server)
{
    for (int i = 0; i < 2; i++)
        if (server->stop_pipe[i] >= 0)
            os.close(server->stop_pipe[i]);
    if (server->listener >= 0)
        os.close(server->listener);
    free(server->name);
    free(server);
}

/* Removes the socket, unless it is no longer ours. */
static void remove_socket(const query_server *server)
{
    struct stat now;
    const char *path = server->address.sun_path;
    if (os.stat(path, &now) == 0 && now.st_ino == server->file.st_ino &&
        now.st_dev == server->file.st_dev)
        os.unlink(path);
}

static freshet_code server_start(query_server *server, freshet_error *err)
{
    char folder[RUNTIME_FOLDER_MAX];
    freshet_code code = runtime_folder(folder, true, err);
    if (code == FRESHET_OK)
        code = runtime_socket(folder, server->name, &server->address, err);
    if (code == FRESHET_OK && pipe2(server->stop_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        code = error_system(err, "cannot make", "a pipe");
    if (code == FRESHET_OK)
        code = listen_in(server, folder, err);
    if (code != FRESHET_OK)
        return code;
    if (thread_start(&server->acceptor, acceptor_main, server))
        return FRESHET_OK;
    remove_socket(server);
    return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL,
                     "the system gives no thread to answer queries");
}

freshet_code query_server_start_for(const query_backend *backend, const char *name,
                                    query_server **out, freshet_error *err)
{
    query_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return error_memory(err, "starting to answer queries");
    server->backend = *backend;
    server->listener = server->stop_pipe[0] = server->stop_pipe[1] = -1;
    server->started_us = os.monotonic_us();
    server->name = strdup(name);
    freshet_code code = server->name == NULL ? error_memory(err, "starting to answer queries")
                                             : server_start(server, err);
    if (code == FRESHET_OK)
        *out = server;
    else
        free_server(server);
    return code;
}

query_backend query_server_backend(freshet_pipeline *pipeline)
{
    return (query_backend){.pipeline = pipeline,
                           .query = freshet_query,
                           .counter = freshet_counter,
                           .ready = freshet_ready,
                           .dead_letters = freshet_dead_letters,
                           .writer_name = freshet_writer_name,
                           .writer_counter = freshet_writer_counter,
                           .waits_for = freshet_waits_for};
}

freshet_code query_server_start(freshet_pipeline *pipeline, const char *name, query_server **out,
                                freshet_error *err)
{
    const query_backend backend = query_server_backend(pipeline);
    return query_server_start_for(&backend, name, out, err);
}

void query_server_stop(query_server *server)
{
    if (server == NULL)
        return;
    atomic_store(&server->stopping, true);
    ssize_t n = os.write(server->stop_pipe[1], "s", 1);
    (void)n; /* an empty pipe takes one byte */
    pthread_join(server->acceptor, NULL);
    remove_socket(server);
    for (size_t i = 0; i < QUERY_CONNECTIONS_MAX; i++) {
        connection *slot = &server->connections[i];
        if (atomic_load(&slot->state) == SLOT_FREE)
            continue;
        shutdown(slot->socket, SHUT_RDWR);
        reap(slot);
    }
    free_server(server);
}
