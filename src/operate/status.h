/* status.h - how a run is, as one JSON object: what `freshet status` prints and GET /status gives.
 *
 * It is made of the run's any-thread functions alone, so that whoever asks holds nothing up.
 */
#ifndef FRESHET_OPERATE_STATUS_H
#define FRESHET_OPERATE_STATUS_H

#include <freshet/freshet.h>

#include "base/text.h"

/* A pipeline, or anything that stands in for one: freshet_query() and its like, which any thread
 * may call, or others of their kind. */
typedef struct query_backend {
    freshet_pipeline *pipeline;
    freshet_code (*query)(freshet_pipeline *pipeline, const char *sql,
                          const freshet_query_options *options, freshet_result **out,
                          freshet_error *err);
    int64_t (*counter)(const freshet_pipeline *pipeline, freshet_count which);
    bool (*ready)(const freshet_pipeline *pipeline, freshet_error *why);        /* NULL: always */
    int64_t (*dead_letters)(const freshet_pipeline *pipeline, uint32_t reason); /* NULL: none */
    /* NULL: it has no writers */
    const char *(*writer_name)(const freshet_pipeline *pipeline, uint32_t writer);
    int64_t (*writer_counter)(const freshet_pipeline *pipeline, uint32_t writer,
                              freshet_count which);
    bool (*waits_for)(const freshet_pipeline *pipeline, freshet_error *who); /* NULL: nobody */
} query_backend;

/* `started_us`: on the monotonic clock. Whether it failed is said by the buffer. */
void status_append(const query_backend *backend, const char *name, int64_t started_us,
                   text_buffer *status);

#endif
