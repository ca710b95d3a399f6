/* joining.c - see joining.h. */
#include "pipeline/joining.h"

#include <stdlib.h>

#include "base/error.h"
#include "pipeline/pipeline.h"
#include "readers/polling.h"

#define JOINING_STREAMS "joining two streams"

struct joining {
    freshet_pipeline *pipeline;
    joined *joined;
    const plan_join *join;
    const joined_place *places; /* of the pairs that were given last */
};

/* ---- what the rows are told by --------------------------------------------------------------- */

static freshet_reader *joining_reader(const joining *joining, uint32_t side)
{
    return joining->pipeline->readers[joining->join->readers[side]].reader;
}

static const char *label_of_row(void *context, uint32_t side, const origin *origin)
{
    const freshet_reader *reader = joining_reader(context, side);
    return reader->ops->partition_label == NULL
               ? NULL
               : reader->ops->partition_label(reader, origin->partition);
}

static freshet_code refuse_taken(void *context, uint32_t side, uint32_t row, reason_code code,
                                 const char *reason, freshet_error *err)
{
    joining *joining = context;
    freshet_pipeline *pipeline = joining->pipeline;
    const batch *from = pipeline->readers[joining->join->readers[side]].batch;
    reject reject = {.offset = -1};
    polling_locate(joining_reader(joining, side), &from->origins[row], &reject);
    if (reject.raw == NULL) {
        freshet_code described = rejects_describe(&pipeline->rejects, from, row, &reject, err);
        if (described != FRESHET_OK)
            return described;
    }
    if (!rejects_add(&pipeline->rejects, &reject, code, "%s", reason))
        return error_memory(err, JOINING_STREAMS);
    if (code == REASON_LATE)
        lateness_note_row(pipeline, &reject);
    return FRESHET_OK;
}

static freshet_code match_taken(void *context, const source_pairs *pairs, uint8_t *matches,
                                freshet_error *err)
{
    const joining *joining = context;
    return source_match_pairs(joining->pipeline->source, pairs, matches, err);
}

void joining_locate(const freshet_pipeline *pipeline, uint64_t pair, reject *into)
{
    const joining *joining = pipeline->joining;
    const joined_place *place = &joining->places[pair];
    polling_locate(joining_reader(joining, place->side), &place->origin, into);
    if (place->partition != NULL)
        into->partition = place->partition;
}

/* The query fails for a pair. */
static freshet_code refuse_pair(void *context, uint32_t pair, const char *reason,
                                freshet_error *err)
{
    const joining *joining = context;
    reject reject = {.offset = -1};
    joining_locate(joining->pipeline, pair, &reject);
    return rejects_add(&joining->pipeline->rejects, &reject, REASON_SQL_ERROR,
                       "the source's query fails for this row: %s", reason)
               ? FRESHET_OK
               : error_memory(err, JOINING_STREAMS);
}

/* ---- opening --------------------------------------------------------------------------------- */

static joined_side describe_side(const freshet_pipeline *pipeline, uint32_t index)
{
    const freshet_reader *reader = pipeline->readers[index].reader;
    const reader_block *block = reader->block;
    return (joined_side){.id = block->id.value,
                         .schema = &reader->schema,
                         .used = source_used(pipeline->source, index),
                         .time_column =
                             (uint32_t)schema_find(&reader->schema, block->timestamp.from.value),
                         .timestamp = &block->timestamp,
                         .within_us = block->within_us};
}

/* What else the declaration says that goes not with a join of streams. */
static void check_around(const freshet_pipeline *pipeline, struct problems *problems)
{
    const feature_set_block *set = &pipeline->declaration->feature_set;
    const place *at =
        place_is_set(&set->timestamp.from.at) ? &set->timestamp.from.at : &set->name.at;
    if (pipeline->declaration->is_stream && set->timestamp.late == ON_LATE_UPDATE)
        problem_add(problems, at,
                    "`late: update` is not possible behind a join of streams, for a late row's "
                    "partners are no more kept: say `late: dead_letter` or `late: drop`, and a "
                    "`lateness` that is long enough");
}

freshet_code joining_open(freshet_pipeline *pipeline, struct problems *problems, joining **out,
                          freshet_error *err)
{
    const plan_join *join = source_join(pipeline->source);
    *out = NULL;
    if (join == NULL)
        return FRESHET_OK;
    check_around(pipeline, problems);
    joining *joining = calloc(1, sizeof *joining);
    if (joining == NULL)
        return error_memory(err, JOINING_STREAMS);
    *joining = (struct joining){.pipeline = pipeline, .join = join};
    *out = joining;
    const joined_options options = {.sides = {describe_side(pipeline, join->readers[0]),
                                              describe_side(pipeline, join->readers[1])},
                                    .join = join,
                                    .timestamp = &pipeline->declaration->feature_set.timestamp,
                                    .is_stream = pipeline->declaration->is_stream,
                                    .memory = declaration_memory(pipeline->declaration),
                                    .host = {label_of_row, refuse_taken, match_taken, joining}};
    freshet_error problem = {0};
    uint32_t side = 0;
    freshet_code code = joined_open(&options, &joining->joined, &side, &problem);
    if (code == FRESHET_USAGE) {
        problem_add(problems, &options.sides[side].timestamp->from.at, "%s", problem.text);
        return FRESHET_BAD_DECLARATION;
    }
    if (code != FRESHET_OK && err != NULL)
        *err = problem;
    return code;
}

void joining_close(joining *joining)
{
    if (joining == NULL)
        return;
    joined_close(joining->joined);
    free(joining);
}

joined *joining_rows(const joining *joining)
{
    return joining->joined;
}

bool joining_owes(const joining *joining)
{
    return joining != NULL && joined_owes(joining->joined);
}

freshet_code joining_expect(joining *joining, uint32_t reader, uint32_t lane, freshet_error *err)
{
    for (uint32_t side = 0; side < 2; side++)
        if (joining->join->readers[side] == reader)
            return joined_expect(joining->joined, side, lane, err);
    return FRESHET_OK;
}

bool joining_held_by(const joining *joining, uint32_t *reader, feature_set_holder *out)
{
    uint32_t side;
    if (!joined_held_by(joining->joined, &side, out))
        return false;
    *reader = joining->join->readers[side];
    return true;
}

/* ---- for the merge --------------------------------------------------------------------------- */

freshet_code joining_times(freshet_pipeline *pipeline, batch *const *batches, batch *out,
                           int64_t **times, freshet_error *err)
{
    const joining *joining = pipeline->joining;
    arena *arena = pipeline->step_arena;
    uint32_t n = 0;
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        n += batches[i] == NULL ? 0 : batches[i]->n_rows;
    *out = (batch){.arena = arena};
    out->rows = arena_zero(arena, n + (size_t)1, sizeof *out->rows);
    *times = arena_zero(arena, n + (size_t)1, sizeof **times);
    if (out->rows == NULL || *times == NULL)
        return error_memory(err, JOINING_STREAMS);
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        const uint32_t side = joining->join->readers[0] == i ? 0 : 1;
        int64_t *own = NULL;
        if (batches[i] == NULL || batches[i]->n_rows == 0)
            continue;
        freshet_code code = joined_times(joining->joined, side, arena, batches[i], &own, err);
        if (code != FRESHET_OK)
            return code;
        for (uint32_t row = 0; row < batches[i]->n_rows; row++) {
            (*times)[out->n_rows] = own[row];
            out->rows[out->n_rows++] = ROW_OF(i, row);
        }
    }
    return FRESHET_OK;
}

/* ---- a turn ---------------------------------------------------------------------------------- */

/* The rows that have their turn, and all that they make due. */
static freshet_code take_turn(freshet_pipeline *pipeline, const batch *order, freshet_error *err)
{
    const joining *joining = pipeline->joining;
    const batch *sides[2];
    for (uint32_t side = 0; side < 2; side++)
        sides[side] = pipeline->readers[joining->join->readers[side]].batch;
    for (uint32_t i = 0; i < order->n_rows; i++)
        order->rows[i] = ROW_OF(ROW_READER(order->rows[i]) == joining->join->readers[0] ? 0 : 1,
                                ROW_INDEX(order->rows[i]));
    pipeline->refusals.n_taken += order->n_rows;
    pipeline->lateness.rows += order->n_rows;
    return joined_take(joining->joined, pipeline->step_arena, sides, order->rows, order->n_rows,
                       err);
}

/* Does what waits go out at the end of input? */
static bool ends_all(const freshet_pipeline *pipeline)
{
    return !pipeline->declaration->is_stream || pipeline->options.drain ||
           pipeline->checkpoint == NULL;
}

freshet_code joining_turn(freshet_pipeline *pipeline, batch *rows, uint32_t *n, bool *ended,
                          freshet_error *err)
{
    joining *joining = pipeline->joining;
    batch order = {.arena = pipeline->step_arena};
    freshet_code code = FRESHET_OK;
    *n = 0;
    *ended = false;
    if (!joined_owes(joining->joined)) {
        code = merge_turn(pipeline, &order, n, ended, err);
        if (code == FRESHET_OK)
            code = take_turn(pipeline, &order, err);
        if (code == FRESHET_OK && *ended && *n == 0 && !joined_owes(joining->joined) &&
            ends_all(pipeline))
            code = joined_finish(joining->joined, err);
    }
    if (code != FRESHET_OK || !joined_owes(joining->joined))
        return code;
    source_pairs pairs;
    code = joined_give(joining->joined, pipeline->step_arena, STEP_ROWS_MAX, &pairs,
                       &joining->places, err);
    pairs.refuse = refuse_pair;
    pairs.context = joining;
    if (code == FRESHET_OK)
        code = source_run_pairs(pipeline->source, pipeline->step_arena, &pairs, rows, err);
    rows->has_watermark = true;
    rows->watermark_s = joined_watermark(joining->joined);
    *n += pairs.n;
    *ended = false;
    return code;
}
