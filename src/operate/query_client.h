/* query_client.h - asks a running pipeline, found through its private socket.
 *
 * Order of calls: open, ask and status as often as wanted, close. One thread at a time.
 */
#ifndef FRESHET_OPERATE_QUERY_CLIENT_H
#define FRESHET_OPERATE_QUERY_CLIENT_H

#include <freshet/freshet.h>

typedef struct query_client query_client;

/* `pipeline` NULL: the only one that runs; several or none is FRESHET_FAILED with their names and
 * what to do. */
freshet_code query_client_open(const char *pipeline, query_client **out, freshet_error *err);
const char *query_client_pipeline(const query_client *client);
/* Sends one SQL text and gives the rendered result piece by piece to `write`. Errors are those of
 * freshet_query; nothing is written then, unless the result is longer than CLIENT_HELD_MAX. The
 * connection stays usable after an error of the SQL; after any other (the pipeline has ended,
 * `write` returned false) each call fails. */
#define CLIENT_HELD_MAX ((size_t)64 << 20)
freshet_code query_client_ask(query_client *client, const char *sql, freshet_format format,
                              int64_t timeout_us, freshet_write_fn *write, void *context,
                              freshet_error *err);
/* The running pipeline's status as one JSON object (process, uptime, counters), without a newline.
 */
freshet_code query_client_status(query_client *client, freshet_write_fn *write, void *context,
                                 freshet_error *err);
/* NULL is fine. */
void query_client_close(query_client *client);

#endif
