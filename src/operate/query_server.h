/* query_server.h - answers `freshet query` and `freshet shell` on a private Unix socket.
 *
 * The socket is <runtime folder>/<pipeline>.sock; the runtime folder is $FRESHET_RUN_DIR, else
 * $XDG_RUNTIME_DIR/freshet, else /tmp/freshet-<uid>; it is made with mode 0700, and refused when it
 * belongs to someone else or others can enter it. One thread accepts; each connection has a thread
 * of its own, at most QUERY_CONNECTIONS_MAX. The protocol is written at the head of protocol.h;
 * query_client.h speaks it.
 */
#ifndef FRESHET_OPERATE_QUERY_SERVER_H
#define FRESHET_OPERATE_QUERY_SERVER_H

#include <freshet/freshet.h>

#include "operate/status.h"

#define QUERY_CONNECTIONS_MAX 16

typedef struct query_server query_server;

/* Starts answering for `pipeline`. A socket of a dead process is replaced; a living one with the
 * same pipeline name is FRESHET_FAILED, "a pipeline named ... is already running (process N)". */
freshet_code query_server_start(freshet_pipeline *pipeline, const char *name, query_server **out,
                                freshet_error *err);

/* What a pipeline is asked by. */
query_backend query_server_backend(freshet_pipeline *pipeline);

/* The same for anything that stands in for a pipeline. */
freshet_code query_server_start_for(const query_backend *backend, const char *name,
                                    query_server **out, freshet_error *err);

/* Stops accepting, ends running queries, joins the threads, removes the socket. NULL is fine. */
void query_server_stop(query_server *server);

#endif
