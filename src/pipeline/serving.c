/* serving.c - see serving.h. */
#include "pipeline/serving.h"

#include <string.h>

#include "base/error.h"
#include "pipeline/pipeline.h"
#include "serving/serving_store.h"
#include "writers/cassandra/cql_load.h"

#define SERVING "serving features"

/* ---- choosing -------------------------------------------------------------------------------- */

freshet_code serving_choose(freshet_pipeline *pipeline, freshet_error *err)
{
    const declaration *declaration = pipeline->declaration;
    if (!declaration->has_serve || !declaration->is_stream || declaration->is_past)
        return FRESHET_OK;
    if (pipeline->n_sinks == PIPELINE_WRITERS_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, declaration->file,
                         "beside `serve` a pipeline can have %u writers at most",
                         PIPELINE_WRITERS_MAX - 1);
    pipeline->serving = arena_zero(pipeline->arena, 1, sizeof *pipeline->serving);
    if (pipeline->serving == NULL)
        return error_memory(err, SERVING);
    pipeline->serving->sink = pipeline->n_sinks;
    pipeline->sinks[pipeline->n_sinks++] =
        (sink){.ops = &serving_writer_ops, .options = &pipeline->serving->target};
    return FRESHET_OK;
}

static void refuse_feature(const declared_text *name, const schema *all, uint32_t first,
                           arena *arena, problems *problems)
{
    const uint32_t n = all->n_fields - first;
    const char **names = arena_alloc(arena, (n + (size_t)1) * sizeof *names);
    for (uint32_t i = 0; names != NULL && i < n; i++)
        names[i] = all->fields[first + i].name;
    const char *near = names == NULL ? NULL : text_nearest(name->value, names, n);
    problem_add(problems, &name->at, "serve.features: there is no feature \"%s\"%s%s%s",
                name->value, near == NULL ? "" : "; did you mean \"", near == NULL ? "" : near,
                near == NULL ? "" : "\"?");
}

freshet_code serving_columns(const serve_block *declared, const schema *all, uint32_t n_keys,
                             arena *arena, problems *problems, writer_columns *out,
                             freshet_error *err)
{
    const uint32_t n_first = n_keys + 1, n = n_first + declared->features.n;
    *out = (writer_columns){.schema = *all};
    if (declared->features.n == 0)
        return FRESHET_OK;
    uint32_t *from = arena_alloc(arena, n * sizeof *from), n_out = 0;
    field *fields = arena_alloc(arena, n * sizeof *fields);
    if (from == NULL || fields == NULL)
        return error_memory(err, SERVING);
    for (; n_out < n_first; n_out++)
        from[n_out] = n_out;
    for (uint32_t i = 0; i < declared->features.n; i++) {
        const declared_text *name = &declared->features.items[i];
        const int64_t at = name->value == NULL ? -1 : schema_find(all, name->value);
        bool is_twice = false;
        for (uint32_t k = n_first; k < n_out; k++)
            is_twice |= from[k] == at;
        if (name->value != NULL && at < n_first)
            refuse_feature(name, all, n_first, arena, problems);
        else if (is_twice)
            problem_add(problems, &name->at, "serve.features names \"%s\" twice", name->value);
        else if (name->value != NULL)
            from[n_out++] = (uint32_t)at;
    }
    for (uint32_t i = 0; i < n_out; i++)
        fields[i] = all->fields[from[i]];
    out->schema = (schema){n_out, fields};
    out->from = from;
    return FRESHET_OK;
}

bool serving_is_stored(const schema *served, const schema *stored)
{
    bool has_all = true;
    for (uint32_t i = 0; i < served->n_fields; i++) {
        const int64_t at = schema_find(stored, served->fields[i].name);
        has_all = has_all && at >= 0 && type_equal(stored->fields[at].type, served->fields[i].type);
    }
    return has_all;
}

/* The first table of Cassandra that has all of it. */
static void find_behind(freshet_pipeline *pipeline, const schema *served)
{
    serving *serving = pipeline->serving;
    for (uint32_t i = 0; i < serving->sink && !serving->has_behind; i++) {
        const sink *sink = &pipeline->sinks[i];
        const online_options *online = sink->options;
        serving->behind = i;
        serving->has_behind = sink->ops->block == &online_block && !online->debug &&
                              online->has_cassandra &&
                              serving_is_stored(served, &sink->columns.schema);
    }
}

freshet_code serving_make(freshet_pipeline *pipeline, problems *problems, freshet_error *err)
{
    serving *serving = pipeline->serving;
    if (serving == NULL)
        return FRESHET_OK;
    const serve_block *declared = &pipeline->declaration->serve;
    writer_columns *columns = &pipeline->sinks[serving->sink].columns;
    const uint32_t n_keys = feature_set_n_keys(pipeline->features);
    freshet_code code = serving_columns(declared, feature_set_schema(pipeline->features), n_keys,
                                        pipeline->arena, problems, columns, err);
    if (code != FRESHET_OK)
        return code;
    find_behind(pipeline, &columns->schema);
    serving->set = (serving_set){.name = pipeline->declaration->feature_set.name.value,
                                 .schema = columns->schema,
                                 .n_keys = n_keys,
                                 .max_age_us = declared->max_age_us};
    const serving_rows_options options = {.schema = &serving->set.schema,
                                          .n_keys = n_keys,
                                          .memory = (size_t)declared->memory,
                                          .may_leave = serving->has_behind};
    code = serving_rows_open(&options, pipeline->arena, &serving->target.rows, err);
    serving->set.rows = serving->target.rows;
    return code;
}

/* ---- Cassandra behind it --------------------------------------------------------------------- */

freshet_code serving_connect(const declaration *declaration, const online_options *online,
                             const writer_columns *stored, serving_set *set, arena *arena,
                             freshet_error *err)
{
    cassandra_place *place = arena_zero(arena, 1, sizeof *place);
    cassandra_table *table = arena_zero(arena, 1, sizeof *table);
    serving_store_options options = {
        .place = place, .table = table, .stored = &stored->schema, .served = &set->schema};
    if (place == NULL || table == NULL)
        return error_memory(err, SERVING);
    freshet_code code = cql_load(&options.api, err);
    if (code == FRESHET_OK)
        code = cassandra_place_make(online, declaration, arena, place, err);
    if (code == FRESHET_OK)
        code = cassandra_table_make(arena, place, &online->cassandra, declaration, &stored->schema,
                                    set->n_keys, table, err);
    return code == FRESHET_OK ? serving_store_open(&options, arena, &set->store, err) : code;
}

freshet_code serving_open(freshet_pipeline *pipeline, freshet_error *err)
{
    serving *serving = pipeline->serving;
    if (serving == NULL || !serving->has_behind)
        return FRESHET_OK;
    const sink *behind = &pipeline->sinks[serving->behind];
    return serving_connect(pipeline->declaration, behind->options, &behind->columns, &serving->set,
                           pipeline->arena, err);
}

void serving_close(freshet_pipeline *pipeline)
{
    if (pipeline->serving == NULL)
        return;
    serving_store_close(pipeline->serving->set.store);
    serving_rows_close(pipeline->serving->target.rows);
}
