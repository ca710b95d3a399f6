/* query_pipeline.c - the query server in front of a pipeline: see query_server.h. */
#include "operate/query_server.h"

static freshet_code ask_pipeline(void *context, const char *sql,
                                 const freshet_query_options *options, freshet_result **out,
                                 freshet_error *err)
{
    return freshet_query(context, sql, options, out, err);
}

static int64_t count_pipeline(void *context, freshet_count which)
{
    return freshet_counter(context, which);
}

static bool is_ready(void *context, freshet_error *why)
{
    return freshet_ready(context, why);
}

freshet_code query_server_start(freshet_pipeline *pipeline, const char *name, query_server **out,
                                freshet_error *err)
{
    query_backend backend = {pipeline, ask_pipeline, count_pipeline, is_ready};
    return query_server_start_for(&backend, name, out, err);
}
