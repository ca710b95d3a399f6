/* metrics.h - the figures of a run for Prometheus: one table, of which GET /metrics and the page
 * docs/reference/metrics.md are made.
 *
 * Names and units are by Prometheus' conventions. All but those of the process have the label
 * `pipeline`, too. A figure that is not known has no sample.
 */
#ifndef FRESHET_HTTP_METRICS_H
#define FRESHET_HTTP_METRICS_H

#include "base/text.h"
#include "http/figures.h"
#include "operate/status.h"
#include "serving/serving_request.h"

/* Whom it is about. Its calls may come from any thread, at any time. */
typedef struct http_source {
    query_backend run;
    const char *name;
    int64_t started_us;   /* on the monotonic clock */
    figures_board *board; /* NULL: nothing is measured */
    /* Whose features are served; asked by the server's thread alone. */
    const serving_set *sets;
    uint32_t n_sets;
} http_source;

typedef enum metrics_format {
    METRICS_TEXT,       /* Prometheus' own, 0.0.4 */
    METRICS_OPENMETRICS /* 1.0.0 */
} metrics_format;

/* The one that the header Accept asks for (NULL: there is none), and its Content-Type. */
metrics_format metrics_format_for(const char *accept);
const char *metrics_content_type(metrics_format format);

void metrics_append(const http_source *source, metrics_format format, text_buffer *into);

/* The reference page. */
void metrics_describe(text_buffer *into);

#endif
