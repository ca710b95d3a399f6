/* http_server.h - answers by HTTP while a run runs: one thread, on libmicrohttpd.
 *
 * What is answered is http_answer.h's; here are the sockets. The thread has nothing of the loop's
 * but any-thread functions, so a client that is slow holds up neither the stream nor other clients.
 *
 * Everything has a bound: HTTP_CONNECTIONS_MAX clients, more of them wait to be accepted;
 * HTTP_CONNECTION_BYTES for the head of a request; HTTP_PATIENCE_US from one answer of a connection
 * to the end of the next, and HTTP_PATIENCE_CROWDED_US where three of four places are taken: then
 * the connection is cut. So whoever holds places and does nothing with them gives them back.
 */
#ifndef FRESHET_HTTP_HTTP_SERVER_H
#define FRESHET_HTTP_HTTP_SERVER_H

#include <freshet/freshet.h>

#include "declaration/listen_address.h"
#include "http/http_answer.h"

#define HTTP_CONNECTIONS_MAX 256u
#define HTTP_CONNECTIONS_CROWDED (HTTP_CONNECTIONS_MAX / 4 * 3)
#define HTTP_CONNECTION_BYTES ((size_t)16 << 10)
#define HTTP_PATIENCE_US INT64_C(15000000)
#define HTTP_PATIENCE_CROWDED_US INT64_C(2000000)
#define HTTP_PEM_BYTES_MAX ((size_t)1 << 20)

typedef struct http_server http_server;

typedef struct http_options {
    listen_address listen;
    const char *at;          /* where that is said, for messages */
    const char *token;       /* NULL: none */
    const char *cert, *key;  /* paths; NULL: plain HTTP */
    int64_t patience_us;     /* 0: HTTP_PATIENCE_US; for tests */
    const http_source *from; /* copied; what it points to outlives the server */
} http_options;

/* FRESHET_FAILED where the address is in use, or a file of TLS cannot be used. */
freshet_code http_server_start(const http_options *options, http_server **out, freshet_error *err);

/* "http://127.0.0.1:8080", with the port that it got. */
const char *http_server_url(const http_server *server);

/* Cuts all connections, ends the thread. NULL is fine. */
void http_server_stop(http_server *server);

#endif
