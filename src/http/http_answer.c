/* http_answer.c - see http_answer.h. */
#include "http/http_answer.h"

#include <string.h>
#include <strings.h>

#include "base/os.h"
#include "declaration/listen_address.h"
#include "serving/serving_answer.h"

#define BEARER "Bearer "

static const char type_text[] = "text/plain; charset=utf-8";
static const char type_json[] = "application/json";

/* A question: its request, and whether whoever asks has shown the token or needs none. */
typedef struct asked {
    const http_source *source;
    const http_request *request;
    bool is_known;
} asked;

static void say(http_reply *reply, unsigned status, const char *sentence)
{
    reply->status = status;
    reply->type = type_text;
    text_append_c(&reply->body, sentence);
    text_append_char(&reply->body, '\n');
}

/* ---- the pages ------------------------------------------------------------------------------ */

static void answer_live(const asked *asked, http_reply *reply)
{
    (void)asked;
    say(reply, 200, "live");
}

static void answer_ready(const asked *asked, http_reply *reply)
{
    const query_backend *run = &asked->source->run;
    freshet_error why = {0};
    if (run->ready == NULL || run->ready(run->pipeline, &why))
        say(reply, 200, "ready");
    else
        say(reply, 503, asked->is_known ? why.text : "not ready: who sends the token is told why");
}

static void answer_status(const asked *asked, http_reply *reply)
{
    reply->status = 200;
    reply->type = type_json;
    status_append(&asked->source->run, asked->source->name, asked->source->started_us,
                  &reply->body);
    text_append_char(&reply->body, '\n');
}

static void answer_metrics(const asked *asked, http_reply *reply)
{
    const metrics_format format = metrics_format_for(asked->request->accept);
    reply->status = 200;
    reply->type = metrics_content_type(format);
    metrics_append(asked->source, format, &reply->body);
}

static void answer_features(const asked *asked, http_reply *reply)
{
    const http_request *request = asked->request;
    arena *arena = arena_open();
    reply->type = type_json;
    if (arena == NULL) {
        reply->status = 503;
        serving_put_detail(&reply->body, "Memory is out at the moment: ask again in a while.");
        return;
    }
    reply->status = serving_answer(asked->source->sets, asked->source->n_sets, request->body,
                                   request->body_length, os.now_us(), arena, &reply->body);
    arena_close(arena);
}

typedef struct route {
    const char *path;
    bool is_question; /* POST, with a body */
    bool is_probe;    /* answers without a token */
    void (*answer)(const asked *asked, http_reply *reply);
} route;

static const route routes[] = {
    {"/live", .is_probe = true, .answer = answer_live},
    {"/ready", .is_probe = true, .answer = answer_ready},
    {"/status", .answer = answer_status},
    {"/metrics", .answer = answer_metrics},
    {"/get-online-features", .is_question = true, .answer = answer_features},
};

static bool is_offered(const http_source *source, const route *route)
{
    return !route->is_question || source->n_sets > 0;
}

static const route *find_route(const http_source *source, const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (is_offered(source, &routes[i]) && strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}

static void say_paths(const http_source *source, http_reply *reply)
{
    reply->status = 404;
    reply->type = type_text;
    text_append_c(&reply->body, "There is no such page; there are");
    for (size_t i = 0; i < sizeof routes / sizeof *routes && is_offered(source, &routes[i]); i++)
        text_format(&reply->body, "%s %s", i == 0 ? "" : ",", routes[i].path);
    text_append_c(&reply->body, ".\n");
}

/* ---- who is let in -------------------------------------------------------------------------- */

bool http_is_token(const char *token, const char *given)
{
    const size_t length = strlen(token), n = strlen(given);
    unsigned differ = length != n;
    for (size_t i = 0; i < n; i++)
        differ |= (unsigned)(unsigned char)given[i] ^ (unsigned char)token[i < length ? i : 0];
    return differ == 0;
}

static bool has_token(const char *token, const http_request *request)
{
    const char *given = request->authorization;
    return given != NULL && strncasecmp(given, BEARER, strlen(BEARER)) == 0 &&
           http_is_token(token, given + strlen(BEARER));
}

/* "localhost:8080", "127.0.0.1", "[::1]:8080". A request of HTTP/1.0 may have none: no browser
 * sends such. */
static bool is_own_host(const char *host)
{
    if (host == NULL)
        return true;
    if (host[0] == '[') {
        const char *end = strchr(host, ']');
        return end != NULL && (end[1] == '\0' || end[1] == ':') &&
               listen_host_is_loopback(host + 1, (size_t)(end - host - 1));
    }
    return listen_host_is_loopback(host, strcspn(host, ":"));
}

static bool is_let_in(const char *token, const http_request *request)
{
    return token == NULL ? is_own_host(request->host) : has_token(token, request);
}

static bool is_method_of(const route *route, const char *method)
{
    return route->is_question ? strcmp(method, "POST") == 0
                              : strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

bool http_wants_body(const http_source *source, const char *token, const http_request *request)
{
    const route *route = find_route(source, request->path);
    return route != NULL && route->is_question && is_method_of(route, request->method) &&
           is_let_in(token, request);
}

static void say_method(const route *route, http_reply *reply)
{
    reply->allow = route->is_question ? "POST" : "GET, HEAD";
    say(reply, 405,
        route->is_question ? "This is asked by POST, with the question as JSON in the body."
                           : "Nothing can be changed here: there are GET and HEAD.");
}

void http_answer(const http_source *source, const char *token, const http_request *request,
                 http_reply *reply)
{
    const route *route = find_route(source, request->path);
    const asked asked = {source, request, token == NULL || has_token(token, request)};
    *reply = (http_reply){.status = 200};
    text_init(&reply->body, HTTP_BODY_MAX);
    if (token == NULL && !is_own_host(request->host)) {
        say(reply, 421,
            "Without a token only this machine's own names are answered to: ask for localhost or "
            "127.0.0.1, or declare http.token.");
    } else if (!asked.is_known && (route == NULL || !route->is_probe)) {
        reply->asks_token = true;
        say(reply, 401, "The token is needed: send the header Authorization: Bearer TOKEN.");
    } else if (route == NULL) {
        say_paths(source, reply);
    } else if (!is_method_of(route, request->method)) {
        say_method(route, reply);
    } else {
        route->answer(&asked, reply);
    }
}
