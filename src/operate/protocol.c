/* protocol.c - frames, and where the sockets are: see protocol.h. */
#include "operate/protocol.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/os.h"

#define HEADER_SIZE 5
#define WAIT_MS_MAX 500 /* then the clock is looked at again */

void put_u32(char *into, uint32_t value)
{
    value = htole32(value);
    memcpy(into, &value, sizeof value);
}

uint32_t get_u32(const char *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return le32toh(value);
}

void put_i64(char *into, int64_t value)
{
    const uint64_t bytes = htole64((uint64_t)value);
    memcpy(into, &bytes, sizeof bytes);
}

int64_t get_i64(const char *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return (int64_t)le64toh(value);
}

/* ---- frames -------------------------------------------------------------------------------- */

static freshet_code broken(const char *how, freshet_error *err)
{
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "the connection %s", how);
}

/* Waits until the socket can be read or written. */
static freshet_code wait_for(int socket, short events, int64_t deadline_us, freshet_error *err)
{
    for (;;) {
        int64_t left_us = deadline_us - os.monotonic_us();
        if (left_us <= 0)
            return broken(events == POLLIN ? "gave nothing in time" : "took nothing in time", err);
        int64_t left_ms = left_us / 1000 + 1;
        if (left_ms > WAIT_MS_MAX)
            left_ms = WAIT_MS_MAX;
        struct pollfd poll = {.fd = socket, .events = events};
        int n = os.poll(&poll, 1, (int)left_ms);
        if (n > 0)
            return FRESHET_OK;
        if (n < 0 && errno != EINTR)
            return error_system(err, "cannot wait for", "the connection");
    }
}

static freshet_code send_all(int socket, const char *bytes, size_t length, int64_t deadline_us,
                             freshet_error *err)
{
    while (length > 0) {
        ssize_t n = send(socket, bytes, length, MSG_NOSIGNAL);
        if (n > 0) {
            bytes += n;
            length -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            freshet_code code = wait_for(socket, POLLOUT, deadline_us, err);
            if (code != FRESHET_OK)
                return code;
        } else if (n < 0 && errno != EINTR) {
            return broken("was closed by the other side", err);
        }
    }
    return FRESHET_OK;
}

freshet_code frame_send(int socket, char kind, const void *payload, size_t length,
                        int64_t deadline_us, freshet_error *err)
{
    char header[HEADER_SIZE] = {kind};
    put_u32(header + 1, (uint32_t)length);
    freshet_code code = send_all(socket, header, sizeof header, deadline_us, err);
    return code == FRESHET_OK ? send_all(socket, payload, length, deadline_us, err) : code;
}

/* END where the other side ends before the first byte. */
static freshet_code receive_all(int socket, char *into, size_t length, int64_t deadline_us,
                                freshet_error *err)
{
    size_t done = 0;
    while (done < length) {
        ssize_t n = recv(socket, into + done, length - done, 0);
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0) {
            return done == 0 ? FRESHET_END : broken("ended within a message", err);
        } else if (errno == EAGAIN) {
            freshet_code code = wait_for(socket, POLLIN, deadline_us, err);
            if (code != FRESHET_OK)
                return code;
        } else if (errno != EINTR) {
            return broken("was closed by the other side", err);
        }
    }
    return FRESHET_OK;
}

freshet_code frame_receive(int socket, frame *into, size_t length_max, int64_t deadline_us,
                           freshet_error *err)
{
    char header[HEADER_SIZE];
    freshet_code code = receive_all(socket, header, sizeof header, deadline_us, err);
    if (code != FRESHET_OK)
        return code;
    size_t length = get_u32(header + 1);
    if (length > length_max)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "a message of %zu bytes is longer than the %zu that it may have", length,
                         length_max);
    into->kind = header[0];
    text_buffer *payload = &into->payload;
    text_reset(payload);
    char piece[4096];
    while (payload->length < length) {
        size_t left = length - payload->length;
        size_t size = left < sizeof piece ? left : sizeof piece;
        code = receive_all(socket, piece, size, deadline_us, err);
        if (code != FRESHET_OK)
            return code == FRESHET_END ? broken("ended within a message", err) : code;
        if (!text_append(payload, piece, size))
            return error_memory(err, "receiving a message");
    }
    if (!text_append(payload, "", 0))
        return error_memory(err, "receiving a message");
    return FRESHET_OK;
}

freshet_code frame_send_error(int socket, const freshet_error *error, int64_t deadline_us,
                              freshet_error *err)
{
    char payload[12 + sizeof error->at + sizeof error->text];
    size_t at_length = strlen(error->at), text_length = strlen(error->text);
    put_u32(payload, (uint32_t)error->code);
    put_u32(payload + 4, (uint32_t)error->then);
    put_u32(payload + 8, (uint32_t)at_length);
    memcpy(payload + 12, error->at, at_length);
    memcpy(payload + 12 + at_length, error->text, text_length);
    return frame_send(socket, FRAME_ERROR, payload, 12 + at_length + text_length, deadline_us, err);
}

static freshet_code code_of(uint32_t number)
{
    switch (number) {
    case FRESHET_USAGE:
    case FRESHET_NO_MEMORY:
    case FRESHET_LIMIT:
    case FRESHET_TRY_AGAIN:
    case FRESHET_BAD_DECLARATION: return (freshet_code)number;
    default: return FRESHET_FAILED;
    }
}

bool frame_read_error(const frame *frame, freshet_error *error)
{
    const char *bytes = frame->payload.bytes;
    size_t length = frame->payload.length;
    if (length < 12)
        return false;
    size_t at_length = get_u32(bytes + 8);
    if (at_length > length - 12)
        return false;
    uint32_t then = get_u32(bytes + 4);
    char at[sizeof error->at];
    snprintf(at, sizeof at, "%.*s", (int)at_length, bytes + 12);
    error_set(error, code_of(get_u32(bytes)), then == FRESHET_RETRY ? FRESHET_RETRY : FRESHET_STOP,
              at, "%.*s", (int)(length - 12 - at_length), bytes + 12 + at_length);
    return true;
}

/* ---- where the sockets are ----------------------------------------------------------------- */

static bool folder_name(char folder[RUNTIME_FOLDER_MAX])
{
    const char *own = getenv("FRESHET_RUN_DIR"), *session = getenv("XDG_RUNTIME_DIR");
    int n;
    if (own != NULL && own[0] != '\0')
        n = snprintf(folder, RUNTIME_FOLDER_MAX, "%s", own);
    else if (session != NULL && session[0] != '\0')
        n = snprintf(folder, RUNTIME_FOLDER_MAX, "%s/freshet", session);
    else
        n = snprintf(folder, RUNTIME_FOLDER_MAX, "/tmp/freshet-%lu", (unsigned long)geteuid());
    return n >= 0 && n < RUNTIME_FOLDER_MAX;
}

freshet_code runtime_folder(char folder[RUNTIME_FOLDER_MAX], bool make, freshet_error *err)
{
    if (!folder_name(folder))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the path of the folder for sockets is too long; set FRESHET_RUN_DIR to a "
                         "shorter one");
    if (make && mkdir(folder, 0700) != 0 && errno != EEXIST)
        return error_system(
            err, "cannot make the folder for sockets (FRESHET_RUN_DIR can name another)", folder);
    struct stat found;
    if (lstat(folder, &found) != 0) {
        if (!make && errno == ENOENT)
            return FRESHET_END;
        return error_system(err, "cannot use the folder for sockets", folder);
    }
    const bool is_own = found.st_uid == geteuid() || (!make && geteuid() == 0);
    if (!S_ISDIR(found.st_mode) || !is_own || (found.st_mode & 077) != 0)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, folder,
                         "the folder for sockets, %s, is not private: it must be a folder of your "
                         "own with mode 0700; change that, or set FRESHET_RUN_DIR to another",
                         folder);
    return FRESHET_OK;
}

freshet_code runtime_socket(const char *folder, const char *pipeline, struct sockaddr_un *into,
                            freshet_error *err)
{
    if (pipeline[0] == '\0' || pipeline[0] == '.' || strchr(pipeline, '/') != NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "\"%s\" is no name of a pipeline",
                         pipeline);
    *into = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(into->sun_path, sizeof into->sun_path, "%s/%s.sock", folder, pipeline);
    if (n < 0 || (size_t)n >= sizeof into->sun_path)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the path %s/%s.sock is too long for a socket; set FRESHET_RUN_DIR to a "
                         "folder with a shorter path",
                         folder, pipeline);
    return FRESHET_OK;
}
