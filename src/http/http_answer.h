/* http_answer.h - which answer a request gets; nothing here knows of sockets.
 *
 *   /live      200: the process answers
 *   /ready     200, or 503 with the reason
 *   /status    what `freshet status` prints
 *   /metrics   the figures, for Prometheus (metrics.h)
 *   /get-online-features   POST: feature vectors (serving/serving_answer.h), where some are served
 *
 * A request is let in first, then its path looked for, then its method. Nothing that is asked
 * changes anything: GET and HEAD are all there is, but that a question may be too long for a path,
 * and is the body of a POST.
 *
 * Who is let in: with a token, whoever sends it; the two probes answer without it, but say no
 * reason. Without one the server listens on loopback addresses only, where a page in a browser may
 * still ask by a name of its own that leads there: so the request must name this machine's own
 * loopback.
 */
#ifndef FRESHET_HTTP_HTTP_ANSWER_H
#define FRESHET_HTTP_HTTP_ANSWER_H

#include <stdbool.h>

#include "base/text.h"
#include "http/metrics.h"
#include "serving/serving_request.h"

#define HTTP_BODY_MAX ((size_t)8 << 20)

/* As it came; what it had not is NULL. */
typedef struct http_request {
    const char *method;
    const char *path;
    const char *host;
    const char *authorization;
    const char *accept;
    const char *body; /* of a POST that http_wants_body, once it is there */
    size_t body_length;
} http_request;

typedef struct http_reply {
    unsigned status;
    const char *type;
    const char *allow; /* the methods there are; NULL: it is not about them */
    bool asks_token;
    text_buffer body; /* the caller's, also where it failed */
} http_reply;

/* Only the request's head is there: is its body to be read? Else it is answered at once. */
bool http_wants_body(const http_source *source, const char *token, const http_request *request);

/* `token` NULL: none is wanted. */
void http_answer(const http_source *source, const char *token, const http_request *request,
                 http_reply *reply);

/* Are they the same? It takes as long for one wrong byte as for another. */
bool http_is_token(const char *token, const char *given);

#endif
