/* hooks.c - see hooks.h: which places with hooks there are, and the rows that pass them. */
#include "pipeline/hooks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pipeline/hooks_internal.h"
#include "readers/polling.h"

/* ---- opening --------------------------------------------------------------------------------- */

static bool has_aggregate(const hook_point *point)
{
    for (uint32_t i = 0; i < point->n; i++)
        if (point->items[i].is_aggregate)
            return true;
    return false;
}

/* The columns that aggregates look at, as SQL; of `count(*)` alone a constant. */
static const char *columns_sql(const hook_point *point, const bool *used)
{
    arena *arena = point->hooks->pipeline->arena;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < point->columns->n_fields; i++) {
        const char *name = used[i] ? sql_quote(arena, point->columns->fields[i].name) : NULL;
        if (name != NULL)
            text_format(&text, "%s%s", text.length == 0 ? "" : ", ", name);
    }
    const char *sql = text.failed        ? NULL
                      : text.length == 0 ? "0::TINYINT AS __freshet_any"
                                         : arena_copy(arena, text.bytes, text.length);
    text_release(&text);
    return sql;
}

/* Of a reader that is looked up in, or read whole, rows behind its steps have no places. */
static void check_places(const hook_point *point)
{
    for (uint32_t i = 0; i < point->n; i++) {
        const hook_block *block = point->items[i].block;
        if (point->where == HOOKS_STEPPED && point->is_loaded &&
            block->on_violation == VIOLATION_DEAD_LETTER)
            problem_add(point->hooks->problems, &block->expect.at,
                        "hook: the rows of this reader are loaded into a table, and behind "
                        "`preprocess` it is not known from which record one was made: write the "
                        "hook under `before`, or `on_violation: fail` or `warn`, or leave such "
                        "rows out by a step `filter`");
    }
}

static freshet_code read_hooks(hook_point *point, const hook_block *blocks, bool *used,
                               freshet_error *err)
{
    hooks *hooks = point->hooks;
    arena *arena = hooks->pipeline->arena;
    bool *aggregated = arena_zero(arena, point->columns->n_fields + (size_t)1, sizeof *aggregated);
    freshet_code code = FRESHET_OK;
    if (aggregated == NULL)
        return error_memory(err, HOOKING);
    for (uint32_t i = 0; code == FRESHET_OK && i < point->n; i++) {
        hook *hook = &point->items[i];
        hook->block = &blocks[i];
        hook->sides = "";
        hooks->fails |= blocks[i].on_violation == VIOLATION_FAIL;
        bool *own = arena_zero(arena, point->columns->n_fields + (size_t)1, sizeof *own);
        if (own == NULL)
            return error_memory(err, HOOKING);
        code = hook_read(point, hook, own, err);
        for (uint32_t k = 0; code == FRESHET_OK && k < point->columns->n_fields; k++) {
            used[k] |= own[k];
            aggregated[k] |= own[k] && hook->is_aggregate;
        }
    }
    if (code != FRESHET_OK)
        return code;
    check_places(point);
    point->gathered = columns_sql(point, aggregated);
    for (uint32_t k = 0; k < point->columns->n_fields; k++)
        point->names_columns |= aggregated[k];
    if (has_aggregate(point))
        point->whole = arena_format(arena, "__freshet_hooked_%u", hooks->n);
    return point->gathered == NULL ? error_memory(err, HOOKING) : FRESHET_OK;
}

/* A place: what the rows are called, and what is read. */
static freshet_code add_point(hooks *hooks, const declared_blocks *blocks, const hook_point *of,
                              bool *used, freshet_error *err)
{
    freshet_pipeline *pipeline = hooks->pipeline;
    if (blocks->n == 0)
        return FRESHET_OK;
    if (of->rows == NULL || !arena_reserve(pipeline->arena, &hooks->points, &hooks->capacity,
                                           hooks->n + UINT64_C(1), sizeof *hooks->points))
        return error_memory(err, HOOKING);
    hook_point *point = &hooks->points[hooks->n++];
    *point = *of;
    point->hooks = hooks;
    point->n = blocks->n;
    point->is_whole |= !pipeline->declaration->is_stream;
    point->items = arena_zero(pipeline->arena, blocks->n, sizeof *point->items);
    bool *own = used != NULL
                    ? used
                    : arena_zero(pipeline->arena, of->columns->n_fields + (size_t)1, sizeof *own);
    if (point->items == NULL || own == NULL)
        return error_memory(err, HOOKING);
    freshet_code code = FRESHET_OK;
    if (point->from == NULL) {
        point->from = arena_format(pipeline->arena, "__freshet_hooks_%u", hooks->n);
        code = point->from == NULL ? error_memory(err, HOOKING)
                                   : sql_input_add(pipeline->session, point->from, point->columns,
                                                   NULL, 0, &point->input, err);
    }
    return code == FRESHET_OK ? read_hooks(point, blocks->items, own, err) : code;
}

static freshet_code add_reader(hooks *hooks, uint32_t index, freshet_error *err)
{
    freshet_pipeline *pipeline = hooks->pipeline;
    freshet_reader *reader = pipeline->readers[index].reader;
    const hooks_block *block = &reader->block->hooks;
    const uint32_t n_columns = reader->schema.n_fields;
    const schema *stepped = source_stepped(pipeline->source, index);
    hook_point point = {.where = HOOKS_READ,
                        .index = index,
                        .columns = &reader->schema,
                        .is_loaded = !source_drives(pipeline->source, index),
                        .rows = arena_format(pipeline->arena, "the rows of the reader \"%s\"",
                                             reader->block->id.value)};
    bool *used = arena_alloc(pipeline->arena, (n_columns + (size_t)1) * sizeof *used);
    if (used == NULL)
        return error_memory(err, HOOKING);
    memcpy(used, reader->used, n_columns * sizeof *used);
    point.is_whole = point.is_loaded;
    reader->used = used;
    freshet_code code = add_point(hooks, &block->before, &point, used, err);
    if (code != FRESHET_OK || stepped == NULL)
        return code != FRESHET_OK ? code : add_point(hooks, &block->after, &point, used, err);
    bool *after = arena_zero(pipeline->arena, stepped->n_fields + (size_t)1, sizeof *after);
    if (after == NULL)
        return error_memory(err, HOOKING);
    point.where = HOOKS_STEPPED;
    point.columns = stepped;
    point.from = source_view(pipeline->source, index);
    point.rows = arena_format(pipeline->arena, "the rows of the reader \"%s\" behind `preprocess`",
                              reader->block->id.value);
    code = add_point(hooks, &block->after, &point, after, err);
    if (code == FRESHET_OK && block->after.n > 0)
        source_needs(pipeline->source, index, after, used);
    return code;
}

static freshet_code add_readers(hooks *hooks, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < hooks->pipeline->n_readers; i++)
        if (hooks->pipeline->readers[i].reader->block->has_hooks)
            code = add_reader(hooks, i, err);
    return code;
}

static freshet_code add_writers(hooks *hooks, freshet_error *err)
{
    freshet_pipeline *pipeline = hooks->pipeline;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_sinks; i++) {
        const sink *sink = &pipeline->sinks[i];
        const hook_point point = {.where = HOOKS_WRITER,
                                  .index = i,
                                  .columns = &sink->columns.schema,
                                  .rows =
                                      arena_format(pipeline->arena, "the rows of writer %u, \"%s\"",
                                                   i + 1, sink->ops->block->name)};
        if (sink->hooks != NULL)
            code = add_point(hooks, &sink->hooks->before, &point, NULL, err);
    }
    return code;
}

static freshet_code add_points(hooks *hooks, freshet_error *err)
{
    freshet_pipeline *pipeline = hooks->pipeline;
    const declaration *declaration = pipeline->declaration;
    const hook_point source = {.where = HOOKS_SOURCE,
                               .columns = source_schema(pipeline->source),
                               .rows = "the query's rows"};
    const hook_point made = {.where = HOOKS_MADE,
                             .columns = feature_set_schema(pipeline->features),
                             .rows = "the feature rows"};
    hook_point sink = made;
    sink.rows = "the feature rows for the sink";
    freshet_code code = add_readers(hooks, err);
    if (code == FRESHET_OK)
        code = add_point(hooks, &declaration->source.hooks.after, &source, NULL, err);
    if (code == FRESHET_OK)
        code = add_point(hooks, &declaration->feature_set.hooks.before, &source, NULL, err);
    if (code == FRESHET_OK)
        code = add_point(hooks, &declaration->feature_set.hooks.after, &made, NULL, err);
    if (code == FRESHET_OK)
        code = add_point(hooks, &declaration->sink.hooks.before, &sink, NULL, err);
    return code == FRESHET_OK ? add_writers(hooks, err) : code;
}

static bool is_wanted(const freshet_pipeline *pipeline)
{
    const declaration *declaration = pipeline->declaration;
    bool any = declaration->source.has_hooks || declaration->feature_set.has_hooks ||
               declaration->sink.has_hooks;
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        any |= pipeline->readers[i].reader->block->has_hooks;
    for (uint32_t i = 0; i < pipeline->n_sinks; i++)
        any |= pipeline->sinks[i].hooks != NULL;
    return any;
}

/* Writers that show rows before the end of a batch. */
static bool shows_early(const freshet_pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->n_sinks; i++)
        if (!writer_shows_later(pipeline->sinks[i].ops) &&
            pipeline->sinks[i].ops->keeps != KEEPS_NOTHING)
            return true;
    return false;
}

static freshet_code look_at_steps(void *context, const source_steps *steps, freshet_error *err)
{
    hooks *hooks = context;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < hooks->n; i++)
        if (hooks->points[i].where == HOOKS_STEPPED && hooks->points[i].index == steps->reader)
            code = hooks_ask_view(&hooks->points[i], steps, err);
    return code;
}

static freshet_code look_at_table(void *context, uint32_t reader, const char *table,
                                  freshet_error *err)
{
    hooks *hooks = context;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < hooks->n; i++)
        if (hooks->points[i].where == HOOKS_STEPPED && hooks->points[i].index == reader)
            code = hooks_ask_table(&hooks->points[i], table, err);
    return code;
}

static void watch_source(hooks *hooks)
{
    for (uint32_t i = 0; i < hooks->n; i++)
        if (hooks->points[i].where == HOOKS_STEPPED)
            source_watch(hooks->pipeline->source, look_at_steps, look_at_table, hooks);
}

freshet_code hooks_open(freshet_pipeline *pipeline, struct problems *problems, hooks **out,
                        freshet_error *err)
{
    *out = NULL;
    if (!is_wanted(pipeline))
        return FRESHET_OK;
    hooks *hooks = calloc(1, sizeof *hooks);
    if (hooks == NULL)
        return error_memory(err, HOOKING);
    *out = hooks;
    const uint32_t before = problems_count(problems);
    hooks->pipeline = pipeline;
    hooks->problems = problems;
    hooks->scratch = arena_open();
    freshet_code code =
        hooks->scratch == NULL ? error_memory(err, HOOKING) : add_points(hooks, err);
    hooks->problems = NULL;
    if (code == FRESHET_OK && problems_count(problems) > before)
        code = FRESHET_BAD_DECLARATION;
    if (code != FRESHET_OK || hooks->n == 0)
        return code;
    watch_source(hooks);
    if (hooks->fails && !pipeline->declaration->is_stream && shows_early(pipeline))
        code = row_store_open(feature_set_schema(pipeline->features), &hooks->held, err);
    return code;
}

void hooks_close(hooks *hooks)
{
    if (hooks == NULL)
        return;
    for (uint32_t i = 0; i < hooks->n; i++) {
        hook_point *point = &hooks->points[i];
        for (uint32_t k = 0; point->items != NULL && k < point->n; k++)
            sql_statement_close(point->items[k].statement);
        sql_statement_close(point->gather);
    }
    for (uint32_t i = 0; i < hooks->n; i++)
        sql_input_close(hooks->points[i].input);
    row_store_close(hooks->held);
    arena_close(hooks->scratch);
    free(hooks);
}

/* ---- rows pass ------------------------------------------------------------------------------- */

/* A reader's row: with its place. */
static freshet_code refuse_read(hook_point *point, const batch *rows, uint32_t row,
                                const char *reason, freshet_error *err)
{
    freshet_pipeline *pipeline = point->hooks->pipeline;
    freshet_reader *reader = pipeline->readers[point->index].reader;
    reject where = {.reader = reader->block->id.value, .offset = -1};
    freshet_code code = FRESHET_OK;
    if (rows->origins != NULL)
        polling_locate(reader, &rows->origins[row], &where);
    if (where.raw == NULL)
        code = rejects_describe(&pipeline->rejects, rows, row, &where, err);
    if (code == FRESHET_OK && !rejects_add(&pipeline->rejects, &where, REASON_HOOK, "%s", reason))
        code = error_memory(err, HOOKING);
    return code;
}

/* A row of the query: with the place of the reader's row that it was made of. */
static freshet_code refuse_source(hook_point *point, const batch *rows, uint32_t row,
                                  const char *reason, freshet_error *err)
{
    const feature_refusal refusal = {.in = rows, .row = row, .code = REASON_HOOK, .reason = reason};
    return pipeline_refuse_row(point->hooks->pipeline, &refusal, err);
}

/* A feature row: as it is. The record that it was made of has been taken into the state, and is not
 * to go through again. */
static freshet_code refuse_made(hook_point *point, const batch *rows, uint32_t row,
                                const char *reason, freshet_error *err)
{
    freshet_pipeline *pipeline = point->hooks->pipeline;
    const char *partition = NULL;
    reject where = {.offset = -1}, origin = {.offset = -1};
    char made_of[300] = "";
    if (rows->rows != NULL && pipeline->joining == NULL) {
        const reader_state *state = &pipeline->readers[ROW_READER(rows->rows[row])];
        const batch *read = state->batch;
        if (read != NULL && read->origins != NULL) {
            polling_locate(state->reader, &read->origins[ROW_INDEX(rows->rows[row])], &origin);
            partition = origin.partition;
        }
    }
    if (partition != NULL)
        snprintf(made_of, sizeof made_of, "; it was made of the record at %lld of \"%.200s\"",
                 (long long)origin.offset, partition);
    freshet_code code = rejects_describe(&pipeline->rejects, rows, row, &where, err);
    if (code == FRESHET_OK &&
        !rejects_add(&pipeline->rejects, &where, REASON_HOOK, "%s%s", reason, made_of))
        code = error_memory(err, HOOKING);
    return code;
}

static freshet_code ask_all(freshet_pipeline *pipeline, hook_where where, uint32_t index,
                            batch *rows, uint32_t first, hook_refuse_fn *refuse, freshet_error *err)
{
    hooks *hooks = pipeline->hooks;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < hooks->n && rows->n_rows > first; i++)
        if (hooks->points[i].where == where && hooks->points[i].index == index)
            code = hooks_ask(&hooks->points[i], rows, first, refuse, err);
    return code;
}

freshet_code hooks_read(freshet_pipeline *pipeline, uint32_t reader, batch *rows, uint32_t first,
                        freshet_error *err)
{
    return ask_all(pipeline, HOOKS_READ, reader, rows, first, refuse_read, err);
}

freshet_code hooks_source(freshet_pipeline *pipeline, batch *rows, freshet_error *err)
{
    return ask_all(pipeline, HOOKS_SOURCE, 0, rows, 0, refuse_source, err);
}

/* The rows of each writer with hooks of its own. Held rows are asked about when they come; when
 * they are given, those that were refused then are left out again. */
static freshet_code ask_writers(freshet_pipeline *pipeline, freshet_error *err)
{
    delivery *delivery = &pipeline->delivery;
    const hooks *hooks = pipeline->hooks;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < hooks->n; i++) {
        const hook_point *point = &hooks->points[i];
        const sink *sink = &pipeline->sinks[point->index];
        batch taken, *own = arena_zero(pipeline->step_arena, 1, sizeof *own);
        if (point->where != HOOKS_WRITER)
            continue;
        if (own == NULL)
            return error_memory(err, HOOKING);
        code = writer_select(&delivery->rows, writer_takes(sink->ops, sink->options), &taken, err);
        if (code == FRESHET_OK)
            code = writer_columns_take(&sink->columns, &taken, own, err);
        if (code == FRESHET_OK)
            code = hooks_ask(&hooks->points[i], own, 0, hooks->gives ? NULL : refuse_made, err);
        delivery->own[point->index] = own;
    }
    return code;
}

freshet_code hooks_made(freshet_pipeline *pipeline, freshet_error *err)
{
    batch *rows = &pipeline->delivery.rows;
    freshet_code code = FRESHET_OK;
    if (rows->n_rows == 0)
        return FRESHET_OK;
    if (!pipeline->hooks->gives)
        code = ask_all(pipeline, HOOKS_MADE, 0, rows, 0, refuse_made, err);
    return code == FRESHET_OK ? ask_writers(pipeline, err) : code;
}

/* ---- all rows -------------------------------------------------------------------------------- */

freshet_code hooks_load(freshet_pipeline *pipeline, uint32_t reader, freshet_error *err)
{
    hooks *hooks = pipeline->hooks;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < hooks->n; i++) {
        hook_point *point = &hooks->points[i];
        if (point->where == HOOKS_READ && point->index == reader && point->whole != NULL)
            code = hooks_begin_whole(point, err);
    }
    return code;
}

freshet_code hooks_loaded(freshet_pipeline *pipeline, uint32_t reader, freshet_error *err)
{
    hooks *hooks = pipeline->hooks;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < hooks->n; i++) {
        hook_point *point = &hooks->points[i];
        if (point->where == HOOKS_READ && point->index == reader && point->whole != NULL)
            code = hooks_ask_whole(point, err);
    }
    return code;
}

freshet_code hooks_end(freshet_pipeline *pipeline, freshet_error *err)
{
    hooks *hooks = pipeline->hooks;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && !hooks->is_ended && i < hooks->n; i++) {
        hook_point *point = &hooks->points[i];
        if (point->whole != NULL && point->is_whole && !point->is_loaded)
            code = hooks_ask_whole(point, err);
    }
    hooks->is_ended = code == FRESHET_OK;
    return code;
}
