/* answering.c - who is answered while a run runs: `freshet query` and its like on a private socket
 * (operate/query_server.h), probes and questions by HTTP (http/http_server.h).
 *
 * Both have threads of their own, which ask the pipeline by its any-thread functions alone.
 */
#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "pipeline/pipeline.h"

/* A table without its socket would be of no use; a stream without one runs as well, but cannot be
 * asked how it is. */
static freshet_code open_socket(freshet_pipeline *pipeline, freshet_error *err)
{
    freshet_error problem = {0};
    const bool has_table = pipeline_queried(pipeline) != NULL;
    if (!pipeline->options.serve || (!has_table && !pipeline->declaration->is_stream))
        return FRESHET_OK;
    freshet_code code = query_server_start(pipeline, pipeline->declaration->pipeline.value,
                                           &pipeline->server, &problem);
    if (code == FRESHET_OK || has_table) {
        if (code != FRESHET_OK && err != NULL)
            *err = problem;
        return code;
    }
    log_event(NOT_ASKABLE, pipeline->declaration->pipeline.value, problem.text);
    return FRESHET_OK;
}

/* Where `--http` says, or else the declaration. */
static freshet_code read_listen(const freshet_pipeline *pipeline, http_options *options,
                                freshet_error *err)
{
    const http_block *declared = &pipeline->declaration->http;
    const char *asked = pipeline->options.http;
    options->at = asked != NULL ? "--http" : NULL;
    const char *wrong =
        listen_address_read(asked != NULL ? asked : declared->listen.value, &options->listen);
    if (wrong != NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, options->at,
                         "the address cannot be \"%.80s\": %s", asked, wrong);
    if (!options->listen.is_loopback && options->token == NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, options->at,
                         "%.80s is where other machines can ask, too: declare a token, as in "
                         "http: {token: \"${FRESHET_HTTP_TOKEN}\"}, or listen on 127.0.0.1:%u only",
                         asked, options->listen.port);
    return FRESHET_OK;
}

freshet_code answering_http(const freshet_pipeline *pipeline, http_options *options,
                            freshet_error *err)
{
    const declaration *declaration = pipeline->declaration;
    if (declaration->has_http) {
        options->token = declaration->http.token.value;
        if (declaration->http.has_tls) {
            const http_tls_block *tls = &declaration->http.tls;
            options->cert = declaration_path(declaration, pipeline->arena, tls->cert.value);
            options->key = declaration_path(declaration, pipeline->arena, tls->key.value);
            if (options->cert == NULL || options->key == NULL)
                return error_memory(err, "starting to answer by HTTP");
        }
    }
    return read_listen(pipeline, options, err);
}

static freshet_code open_http(freshet_pipeline *pipeline, freshet_error *err)
{
    http_source source = {.run = query_server_backend(pipeline),
                          .name = pipeline->declaration->pipeline.value,
                          .started_us = os.monotonic_us(),
                          .sets = pipeline->serving == NULL ? NULL : &pipeline->serving->set,
                          .n_sets = pipeline->serving == NULL ? 0 : 1};
    http_options options = {.from = &source};
    char at[300];
    if (pipeline->options.http == NULL &&
        !(pipeline->options.serve && pipeline->declaration->has_http)) {
        if (pipeline->serving != NULL && pipeline->options.serve)
            log_event(SERVED_NOWHERE, source.name);
        return FRESHET_OK;
    }
    freshet_code code = answering_http(pipeline, &options, err);
    if (code == FRESHET_OK && options.at == NULL)
        options.at = place_text(&pipeline->declaration->http.listen.at, at, sizeof at);
    if (code == FRESHET_OK)
        code = measure_open(pipeline, err);
    source.board = measure_board(pipeline->measure);
    if (code == FRESHET_OK)
        code = http_server_start(&options, &pipeline->http, err);
    if (code == FRESHET_OK)
        log_event(HTTP_ANSWERS, source.name, http_server_url(pipeline->http));
    return code;
}

freshet_code answering_open(freshet_pipeline *pipeline, freshet_error *err)
{
    freshet_code code = open_socket(pipeline, err);
    return code == FRESHET_OK ? open_http(pipeline, err) : code;
}

void answering_close(freshet_pipeline *pipeline)
{
    http_server_stop(pipeline->http);
    measure_close(pipeline->measure);
    pipeline->measure = NULL;
    query_server_stop(pipeline->server);
}
