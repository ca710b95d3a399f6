/* notify.h - telling a supervisor how the process is: systemd's notify protocol.
 *
 * A datagram of lines NAME=VALUE to the Unix socket that $NOTIFY_SOCKET names: a path, or, behind
 * an "@", a name of the abstract space. Without that variable nobody listens, and all calls here
 * do nothing.
 *
 * $WATCHDOG_USEC says within which time WATCHDOG=1 has to come again, else the supervisor ends the
 * process; $WATCHDOG_PID, where it is set, whose matter that is.
 *
 * Any thread may send; each datagram is one call of the system.
 */
#ifndef FRESHET_OPERATE_NOTIFY_H
#define FRESHET_OPERATE_NOTIFY_H

#include <freshet/freshet.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#define NOTIFY_TEXT_MAX 1024

typedef struct notify {
    int fd; /* -1: nobody listens */
    struct sockaddr_un address;
    socklen_t address_length;
    int64_t watchdog_us; /* 0: nobody waits for WATCHDOG=1 */
} notify;

/* From the environment. FRESHET_USAGE where a variable cannot be what a supervisor has set; then,
 * and where nobody listens, `notify` is one to which nothing is sent. */
freshet_code notify_open(notify *notify, freshet_error *err);

/* Sends the text, of NOTIFY_TEXT_MAX bytes at most. False: it could not be sent, and may be tried
 * again. True also where nobody listens. */
bool notify_send(const notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void notify_close(notify *notify);

#endif
