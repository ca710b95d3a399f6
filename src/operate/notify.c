/* notify.c - see notify.h. */
#define _GNU_SOURCE
#include "operate/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/os.h"

#define SEND_WAIT_S 2 /* a supervisor whose socket is full is waited for so long */

static freshet_code take_address(notify *notify, const char *name, freshet_error *err)
{
    const size_t length = strlen(name);
    const bool is_abstract = name[0] == '@';
    struct sockaddr_un *address = &notify->address;
    if ((!is_abstract && name[0] != '/') || length < 2 || length >= sizeof address->sun_path)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, "NOTIFY_SOCKET",
                         "\"%.200s\" is no address of a supervisor, which is an absolute path or a "
                         "name behind \"@\", of 107 bytes at most; nobody is told how this run is",
                         name);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, name, length);
    if (is_abstract)
        address->sun_path[0] = '\0';
    notify->address_length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (is_abstract ? 0 : 1));
    return FRESHET_OK;
}

static bool notify_number(const char *text, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *out > 0;
}

static freshet_code take_watchdog(notify *notify, freshet_error *err)
{
    const char *time = getenv("WATCHDOG_USEC"), *whose = getenv("WATCHDOG_PID");
    int64_t process;
    if (time == NULL)
        return FRESHET_OK;
    if (whose != NULL && notify_number(whose, &process) && process != getpid())
        return FRESHET_OK;
    if (notify_number(time, &notify->watchdog_us))
        return FRESHET_OK;
    notify->watchdog_us = 0;
    return error_set(err, FRESHET_USAGE, FRESHET_STOP, "WATCHDOG_USEC",
                     "\"%.40s\" is no number of microseconds; no watchdog is told that this run "
                     "goes on",
                     time);
}

freshet_code notify_open(notify *notify, freshet_error *err)
{
    const char *name = getenv("NOTIFY_SOCKET");
    const struct timeval wait = {.tv_sec = SEND_WAIT_S};
    *notify = (struct notify){.fd = -1};
    if (name == NULL || name[0] == '\0')
        return FRESHET_OK;
    freshet_code code = take_address(notify, name, err);
    if (code != FRESHET_OK)
        return code;
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify->fd < 0)
        return error_system(err, "cannot make", "a socket to the supervisor");
    setsockopt(notify->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    return take_watchdog(notify, err);
}

bool notify_send(const notify *notify, const char *format, ...)
{
    char text[NOTIFY_TEXT_MAX];
    va_list args;
    if (notify->fd < 0)
        return true;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0)
        return false;
    const size_t length = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    return sendto(notify->fd, text, length, MSG_NOSIGNAL, (const struct sockaddr *)&notify->address,
                  notify->address_length) == (ssize_t)length;
}

void notify_close(notify *notify)
{
    if (notify->fd >= 0)
        os.close(notify->fd);
    notify->fd = -1;
}
