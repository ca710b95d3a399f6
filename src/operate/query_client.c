/* query_client.c - see query_client.h; what is said on the socket: protocol.h.
 *
 * An answer is held until it is whole, and only then given to the receiver: the pipeline is never
 * held up by a slow one (a pager), and an error leaves no half result. Only what goes beyond
 * CLIENT_HELD_MAX is passed on as it comes.
 */
#include "operate/query_client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/error.h"
#include "base/os.h"
#include "operate/protocol.h"

#define CONNECT_S 5
#define HELLO_US INT64_C(5000000)
#define GRACE_US INT64_C(30000000) /* what an answer may take beyond the query's own time */
#define TIMEOUT_STANDARD_US INT64_C(10000000)
#define TIMEOUT_MAX_US (INT64_C(3600) * 1000000)
#define NAMES_MAX 512 /* bytes of names in a message */
#define SOCKET_SUFFIX ".sock"

struct query_client {
    int socket; /* -1: broken */
    char *pipeline;
    frame answer;
    text_buffer held;
};

/* ---- finding ------------------------------------------------------------------------------- */

/* A connected socket; -1 where nobody listens (errno says why). Waits a little where many connect
 * at once. */
static int connect_to(const struct sockaddr_un *address)
{
    int made = socket(AF_UNIX, SOCK_STREAM, 0);
    if (made < 0)
        return -1;
    const struct timeval patience = {.tv_sec = CONNECT_S};
    if (fcntl(made, F_SETFD, FD_CLOEXEC) == 0 &&
        setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
        connect(made, (const struct sockaddr *)address, sizeof *address) == 0 &&
        fcntl(made, F_SETFL, O_NONBLOCK) == 0)
        return made;
    int reason = errno;
    os.close(made);
    errno = reason;
    return -1;
}

/* The name of a pipeline whose socket file that is, in `name`; false where the file is none. */
static bool name_of(const char *file, char *name, size_t size)
{
    size_t length = strlen(file), suffix = strlen(SOCKET_SUFFIX);
    if (file[0] == '.' || length <= suffix || length - suffix >= size ||
        strcmp(file + length - suffix, SOCKET_SUFFIX) != 0)
        return false;
    memcpy(name, file, length - suffix);
    name[length - suffix] = '\0';
    return true;
}

typedef struct running {
    uint32_t n;
    char first[256];
    text_buffer names; /* "a, b, c", cut when there are many */
} running;

/* Finds the pipelines that listen in the folder. */
static freshet_code find_running(const char *folder, running *running, freshet_error *err)
{
    DIR *files = opendir(folder);
    if (files == NULL)
        return errno == ENOENT ? FRESHET_OK : error_system(err, "cannot read", folder);
    struct dirent *file;
    while ((file = readdir(files)) != NULL) {
        char name[sizeof running->first];
        struct sockaddr_un address;
        if (!name_of(file->d_name, name, sizeof name) ||
            runtime_socket(folder, name, &address, NULL) != FRESHET_OK)
            continue;
        int probe = connect_to(&address);
        if (probe < 0)
            continue; /* of a process that died */
        os.close(probe);
        if (running->n++ == 0)
            memcpy(running->first, name, sizeof name);
        text_format(&running->names, "%s%s", running->n == 1 ? "" : ", ", name);
    }
    closedir(files);
    return FRESHET_OK;
}

static freshet_code choose(const char *folder, const char *wanted, running *running,
                           freshet_error *err)
{
    freshet_code code = folder == NULL ? FRESHET_OK : find_running(folder, running, err);
    if (code != FRESHET_OK)
        return code;
    if (running->n == 0)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "no pipeline is running%s%s; start one with `freshet run FILE --debug`",
                         wanted == NULL ? "" : " here, so none is named ",
                         wanted == NULL ? "" : wanted);
    const char *names = running->names.bytes == NULL ? "" : running->names.bytes;
    const char *cut = running->names.failed ? ", ..." : "";
    if (wanted != NULL)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "no pipeline named \"%s\" is running; there %s %s%s", wanted,
                         running->n == 1 ? "is" : "are", names, cut);
    if (running->n > 1)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "%u pipelines are running (%s%s): choose one with --pipeline NAME",
                         running->n, names, cut);
    return FRESHET_OK;
}

/* ---- opening ------------------------------------------------------------------------------- */

static freshet_code lost(query_client *client, const freshet_error *why, freshet_error *err)
{
    if (client->socket >= 0)
        os.close(client->socket);
    client->socket = -1;
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                     "the pipeline %s has ended or does not answer%s%s", client->pipeline,
                     why != NULL && why->text[0] != '\0' ? ": " : "", why == NULL ? "" : why->text);
}

static freshet_code greet(query_client *client, freshet_error *err)
{
    freshet_error found = {0};
    freshet_code code = frame_receive(client->socket, &client->answer, PROTOCOL_ANSWER_MAX,
                                      os.monotonic_us() + HELLO_US, &found);
    const text_buffer *payload = &client->answer.payload;
    if (code != FRESHET_OK)
        return lost(client, &found, err);
    if (client->answer.kind == FRAME_ERROR && frame_read_error(&client->answer, &found)) {
        if (err != NULL)
            *err = found;
        return found.code;
    }
    if (client->answer.kind != FRAME_HELLO || payload->length < 8 ||
        get_u32(payload->bytes) != PROTOCOL_VERSION)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the pipeline %s is run by another version of freshet, which this one "
                         "(%s) cannot ask",
                         client->pipeline, FRESHET_VERSION);
    return FRESHET_OK;
}

static freshet_code connect_named(query_client *client, const char *folder, const char *name,
                                  freshet_error *err)
{
    struct sockaddr_un address;
    client->pipeline = strdup(name);
    if (client->pipeline == NULL)
        return error_memory(err, "asking a pipeline");
    freshet_code code = runtime_socket(folder, name, &address, err);
    if (code != FRESHET_OK)
        return code;
    client->socket = connect_to(&address);
    if (client->socket >= 0)
        return greet(client, err);
    if (errno == ENOENT || errno == ECONNREFUSED)
        return FRESHET_END;
    return error_system(err, "cannot connect to", address.sun_path);
}

static freshet_code find_and_connect(query_client *client, const char *pipeline, freshet_error *err)
{
    char folder[RUNTIME_FOLDER_MAX];
    freshet_code code = runtime_folder(folder, false, err);
    bool has_folder = code != FRESHET_END;
    if (code != FRESHET_OK && has_folder)
        return code;
    if (pipeline != NULL && has_folder) {
        code = connect_named(client, folder, pipeline, err);
        if (code != FRESHET_END)
            return code;
    }
    running running = {0};
    text_init(&running.names, NAMES_MAX);
    code = choose(has_folder ? folder : NULL, pipeline, &running, err);
    if (code == FRESHET_OK)
        code = connect_named(client, folder, running.first, err);
    if (code == FRESHET_END)
        code = lost(client, NULL, err);
    text_release(&running.names);
    return code;
}

freshet_code query_client_open(const char *pipeline, query_client **out, freshet_error *err)
{
    query_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return error_memory(err, "asking a pipeline");
    client->socket = -1;
    text_init(&client->answer.payload, PROTOCOL_ANSWER_MAX + 1);
    text_init(&client->held, CLIENT_HELD_MAX + PROTOCOL_ANSWER_MAX);
    freshet_code code = find_and_connect(client, pipeline, err);
    if (code == FRESHET_OK)
        *out = client;
    else
        query_client_close(client);
    return code;
}

const char *query_client_pipeline(const query_client *client)
{
    return client->pipeline;
}

void query_client_close(query_client *client)
{
    if (client == NULL)
        return;
    if (client->socket >= 0)
        os.close(client->socket);
    text_release(&client->answer.payload);
    text_release(&client->held);
    free(client->pipeline);
    free(client);
}

/* ---- asking -------------------------------------------------------------------------------- */

/* Gives what is held to the receiver. One that takes no more ends the connection when the answer is
 * not over. */
static freshet_code pass_on(query_client *client, freshet_write_fn *write, void *context,
                            bool is_over, freshet_error *err)
{
    bool taken =
        client->held.length == 0 || write(context, client->held.bytes, client->held.length);
    text_reset(&client->held);
    if (taken)
        return FRESHET_OK;
    if (!is_over) {
        os.close(client->socket);
        client->socket = -1;
    }
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                     "the output was closed before the whole result was written");
}

/* Receives D frames up to Z or E. */
static freshet_code receive_answer(query_client *client, int64_t wait_us, freshet_write_fn *write,
                                   void *context, freshet_error *err)
{
    text_reset(&client->held);
    for (;;) {
        freshet_error found = {0};
        const text_buffer *payload = &client->answer.payload;
        freshet_code code = frame_receive(client->socket, &client->answer, PROTOCOL_ANSWER_MAX,
                                          os.monotonic_us() + wait_us, &found);
        if (code != FRESHET_OK)
            return lost(client, &found, err);
        switch (client->answer.kind) {
        case FRAME_DONE: return pass_on(client, write, context, true, err);
        case FRAME_ERROR:
            if (!frame_read_error(&client->answer, &found))
                return lost(client, NULL, err);
            if (err != NULL)
                *err = found;
            return found.code;
        case FRAME_DATA:
            if (!text_append(&client->held, payload->bytes, payload->length))
                return lost(client, NULL, NULL), error_memory(err, "receiving a result");
            if (client->held.length > CLIENT_HELD_MAX)
                code = pass_on(client, write, context, false, err);
            if (code != FRESHET_OK)
                return code;
            break;
        default: return lost(client, NULL, err);
        }
    }
}

static freshet_code request(query_client *client, char kind, const text_buffer *payload,
                            freshet_error *err)
{
    if (client->socket < 0)
        return lost(client, NULL, err);
    freshet_error found = {0};
    freshet_code code =
        frame_send(client->socket, kind, payload == NULL ? NULL : payload->bytes,
                   payload == NULL ? 0 : payload->length, os.monotonic_us() + GRACE_US, &found);
    return code == FRESHET_OK ? code : lost(client, &found, err);
}

freshet_code query_client_ask(query_client *client, const char *sql, freshet_format format,
                              int64_t timeout_us, freshet_write_fn *write, void *context,
                              freshet_error *err)
{
    char header[9] = {(char)format};
    put_i64(header + 1, timeout_us);
    text_buffer payload;
    text_init(&payload, PROTOCOL_REQUEST_MAX);
    text_append(&payload, header, sizeof header);
    text_append_c(&payload, sql);
    freshet_code code;
    if (payload.failed)
        code = error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the query is longer than about %zu bytes", PROTOCOL_REQUEST_MAX);
    else
        code = request(client, FRAME_QUERY, &payload, err);
    text_release(&payload);
    if (code != FRESHET_OK)
        return code;
    int64_t allowed_us = timeout_us <= 0 ? TIMEOUT_STANDARD_US : timeout_us;
    if (allowed_us > TIMEOUT_MAX_US)
        allowed_us = TIMEOUT_MAX_US; /* the server refuses more */
    return receive_answer(client, allowed_us + GRACE_US, write, context, err);
}

freshet_code query_client_status(query_client *client, freshet_write_fn *write, void *context,
                                 freshet_error *err)
{
    freshet_code code = request(client, FRAME_STATUS, NULL, err);
    return code == FRESHET_OK ? receive_answer(client, GRACE_US, write, context, err) : code;
}
