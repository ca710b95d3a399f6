/* serving.h - a run whose feature set is served (`serve`): a writer more, which keeps the newest
 * row of each key in memory (serving/serving_rows.h), and Cassandra behind it, where rows go there,
 * too.
 *
 * Order of calls, by open.c: choose, make, open, close.
 */
#ifndef FRESHET_PIPELINE_SERVING_H
#define FRESHET_PIPELINE_SERVING_H

#include "declaration/declaration.h"
#include "serving/serving_request.h"
#include "serving/serving_writer.h"
#include "writers/cassandra/cassandra_table.h"
#include "writers/writer_columns.h"

typedef struct serving {
    uint32_t sink;   /* the writer */
    uint32_t behind; /* the one of Cassandra; has_behind */
    bool has_behind;
    serving_target target;
    serving_set set; /* for serving_answer */
} serving;

/* Adds the writer, where the declaration has `serve` and the run is a stream. */
freshet_code serving_choose(freshet_pipeline *pipeline, freshet_error *err);
/* What is served, once the columns are known; what is wrong with that goes to `problems`. */
freshet_code serving_make(freshet_pipeline *pipeline, problems *problems, freshet_error *err);
/* Begins to connect to Cassandra. */
freshet_code serving_open(freshet_pipeline *pipeline, freshet_error *err);
void serving_close(freshet_pipeline *pipeline);

/* The columns that `serve` names, keys and timestamp first: of all, in the arena. */
freshet_code serving_columns(const serve_block *declared, const schema *all, uint32_t n_keys,
                             arena *arena, problems *problems, writer_columns *out,
                             freshet_error *err);

/* The store behind a feature set: it has all that is served. */
bool serving_is_stored(const schema *served, const schema *stored);
freshet_code serving_connect(const declaration *declaration, const online_options *online,
                             const writer_columns *stored, serving_set *set, arena *arena,
                             freshet_error *err);

#endif
