/* catalogue.h - what a declaration makes, for people and machines: `freshet docs`.
 *
 * A catalogue is read from a pipeline that is open, be it only to check: its readers and their
 * columns, the query's columns, each key and feature with the columns it gives, how it is computed,
 * and the lineage: which columns of readers each column of the query is made of, and which of those
 * each feature. It is written as Markdown, as JSON, or as a page of HTML with the lineage drawn.
 *
 * Order of calls: catalogue_read, then any of the writers. All of it lives in the arena, and refers
 * to the pipeline and its declaration.
 */
#ifndef FRESHET_CATALOGUE_CATALOGUE_H
#define FRESHET_CATALOGUE_CATALOGUE_H

#include "base/text.h"
#include "pipeline/pipeline.h"
#include "source/query_lineage.h"

typedef enum catalogue_kind {
    CATALOGUE_KEY,
    CATALOGUE_TIMESTAMP,
    CATALOGUE_FEATURE
} catalogue_kind;

/* A key, the timestamp or a feature, as it is declared. */
typedef struct catalogue_item {
    catalogue_kind kind;
    const char *name;
    const char *description; /* "" */
    const char *how;         /* "avg, count over 2 hours of amount" */
    const uint32_t *outputs; /* columns of the feature set's schema */
    uint32_t n_outputs;
    const bool *made; /* of each column of the query: it is made of that */
} catalogue_item;

typedef struct catalogue {
    const freshet_pipeline *pipeline;
    const char *file;
    lineage lineage;
    const schema *query;   /* its columns */
    const schema *outputs; /* of the feature set */
    catalogue_item *items;
    uint32_t n_items;
    const char **writers; /* one sentence each */
    uint32_t n_writers;
} catalogue;

/* "key", "timestamp", "feature". */
const char *catalogue_kind_name(catalogue_kind kind);

freshet_code catalogue_read(const freshet_pipeline *pipeline, const char *file, arena *arena,
                            catalogue *out, freshet_error *err);

/* One feature set; a document of its own. */
void catalogue_markdown(const catalogue *of, text_buffer *into);
/* An object. */
void catalogue_json(const catalogue *of, text_buffer *into);
/* One page for all of them, with nothing to load. */
void catalogue_html(const catalogue *all, uint32_t n, text_buffer *into);

#endif
