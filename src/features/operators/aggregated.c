/* aggregated.c - see aggregated.h. The groups themselves are rolling/groups.c; what is declared is
 * made a plan in aggregated_plan.c. */
#include "features/operators/aggregated.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "features/cast.h"
#include "features/operators/aggregated_internal.h"
#include "features/watermark.h"
#include "keyed/cells.h"

#define COMPUTING "computing aggregated features"
#define PART_NAME "groups"
#define FACTS_MAGIC "FAG1"

struct aggregated {
    arena *arena;
    aggregated_plan plan;
    const uint32_t *keys; /* columns of the growing row */
    uint32_t n_keys;
    uint32_t timestamp;
    const char *pipeline; /* for messages */
    const timestamp_block *time;
    groups_options options;
    groups_state *groups;
    watermarks *watermarks; /* of a stream */
    int64_t n_rows;         /* taken: the clock of the watermarks */
    uint64_t dropped;       /* late rows, by `late: drop` */
    bool deduplicates;
    bool finishing;
    bool *warned; /* by output */
    bool overflow_warned;
    text_buffer before; /* deduplication: key and features of the row before */
    text_buffer row;
    state_part part;
};

/* ---- the part of state ------------------------------------------------------------------------ */

static freshet_code make_part(aggregated *set, freshet_error *err)
{
    const char **names = arena_alloc(set->arena, (set->n_keys + (size_t)1) * sizeof *names);
    if (names == NULL)
        return error_memory(err, "opening the aggregated feature set");
    for (uint32_t i = 0; i < set->n_keys; i++)
        names[i] = set->plan.output.fields[i].name;
    set->part = *groups_part(set->groups);
    set->part.name = PART_NAME;
    set->part.shape = set->plan.shape;
    set->part.key_names = names;
    return FRESHET_OK;
}

const state_part *aggregated_state(aggregated *set)
{
    return &set->part;
}

/* ---- opening and closing ---------------------------------------------------------------------- */

static freshet_code open_groups(aggregated *set, freshet_error *err)
{
    const uint32_t n = groups_outputs(set->plan.groups)->n_fields;
    set->warned = arena_zero(set->arena, n + (size_t)1, sizeof *set->warned);
    if (set->options.is_stream)
        set->watermarks = watermarks_open(set->time->lateness_us);
    if (set->warned == NULL || (set->options.is_stream && set->watermarks == NULL))
        return error_memory(err, "opening the aggregated feature set");
    return groups_open(set->plan.groups, &set->options, &set->groups, err);
}

freshet_code aggregated_open(const declaration *declaration, const aggregated_source *source,
                             problems *problems, aggregated **out, freshet_error *err)
{
    aggregated *set = calloc(1, sizeof *set);
    *out = NULL;
    if (set == NULL)
        return error_memory(err, "opening the aggregated feature set");
    *set = (aggregated){
        .arena = arena_open(),
        .keys = source->keys,
        .n_keys = source->n_keys,
        .timestamp = source->timestamp,
        .pipeline = declaration->pipeline.value,
        .time = &declaration->feature_set.timestamp,
        .options = {.is_stream = declaration->is_stream,
                    .from_us = INT64_MIN,
                    .until_us = INT64_MAX},
        .deduplicates = declaration->feature_set.deduplicate_rows && !declaration->is_stream,
    };
    text_init(&set->before, TEXT_LIMIT_DEFAULT);
    text_init(&set->row, TEXT_LIMIT_DEFAULT);
    freshet_code code = set->arena == NULL ? error_memory(err, "opening the aggregated feature set")
                                           : aggregated_plan_make(set->arena, declaration, source,
                                                                  problems, &set->plan, err);
    if (code == FRESHET_OK)
        code = open_groups(set, err);
    if (code == FRESHET_OK)
        code = make_part(set, err);
    if (code != FRESHET_OK) {
        aggregated_close(set);
        return code;
    }
    *out = set;
    return FRESHET_OK;
}

void aggregated_close(aggregated *set)
{
    if (set == NULL)
        return;
    groups_close(set->groups);
    watermarks_close(set->watermarks);
    text_release(&set->before);
    text_release(&set->row);
    arena_close(set->arena);
    free(set);
}

const schema *aggregated_schema(const aggregated *set)
{
    return &set->plan.output;
}

void aggregated_set_bounds(aggregated *set, int64_t from_us, int64_t until_us)
{
    set->options.from_us = from_us;
    set->options.until_us = until_us;
    groups_set_options(set->groups, &set->options);
}

/* ---- late rows, and the time ------------------------------------------------------------------ */

/* The watermarks take rows for their clock: a lane is idle after so many rows of the others. */
static int64_t row_clock(const aggregated *set)
{
    int64_t lanes = watermarks_lanes(set->watermarks) + (int64_t)1;
    int64_t each = WATERMARK_IDLE_US / (AGGREGATED_IDLE_ROWS * lanes);
    return set->n_rows * (each > 0 ? each : 1);
}

static freshet_code aggregated_refuse_late(const aggregated *set, arena *arena,
                                           const aggregated_rows *rows, uint32_t row,
                                           int64_t behind_s, freshet_error *err)
{
    const char *reason;
    int64_t lateness_s = watermarks_lateness_s(set->watermarks);
    if (behind_s > lateness_s)
        reason = arena_format(arena,
                              "the row is %lld s behind the newest of its partition, and %lld s of "
                              "lateness are allowed",
                              (long long)behind_s, (long long)lateness_s);
    else
        reason = "the row is of a time that is closed: its partition was idle for too long";
    return reason == NULL ? error_memory(err, COMPUTING)
                          : rows->refuse(rows->context, row, reason, err);
}

/* What becomes of a row: *skip says that it is not aggregated. */
static freshet_code judge_row(aggregated *set, arena *arena, const aggregated_rows *rows,
                              uint32_t row, int64_t event_us, uint8_t *skip, freshet_error *err)
{
    uint32_t lane =
        rows->lanes == NULL ? 0 : rows->lanes[rows->index == NULL ? row : rows->index[row]];
    int64_t behind_s = 0;
    *skip = event_us > GROUPS_TIME_MAX || event_us < -GROUPS_TIME_MAX;
    if (*skip)
        return rows->refuse(rows->context, row,
                            "the timestamp is too far from 1970 to be in a window", err);
    if (!set->options.is_stream)
        return FRESHET_OK;
    set->n_rows++;
    freshet_code code =
        watermarks_take(set->watermarks, lane, event_us, row_clock(set), &behind_s, err);
    if (code != FRESHET_OK)
        return code;
    if (behind_s <= watermarks_lateness_s(set->watermarks) && event_us >= groups_time(set->groups))
        return FRESHET_OK;
    if (set->time->late == ON_LATE_UPDATE && !groups_is_closed(set->groups, event_us))
        return FRESHET_OK;
    *skip = 1;
    if (set->time->late != ON_LATE_DROP)
        return aggregated_refuse_late(set, arena, rows, row, behind_s, err);
    set->dropped++;
    return FRESHET_OK;
}

freshet_code aggregated_expect(aggregated *set, uint32_t lane, freshet_error *err)
{
    return set->watermarks == NULL ? FRESHET_OK
                                   : watermarks_expect(set->watermarks, lane, row_clock(set), err);
}

uint64_t aggregated_dropped(const aggregated *set)
{
    return set->dropped;
}

static void advance(aggregated *set)
{
    int64_t second, time_us;
    if (!set->options.is_stream)
        return;
    second = watermarks_lowest(set->watermarks, row_clock(set));
    if (second != INT64_MIN && !__builtin_mul_overflow(second, INT64_C(1000000), &time_us))
        groups_advance(set->groups, time_us);
}

/* ---- rows in ---------------------------------------------------------------------------------- */

static freshet_code gather_columns(const aggregated *set, arena *arena, const aggregated_rows *rows,
                                   column **keys, column **columns, freshet_error *err)
{
    *keys = arena_zero(arena, set->n_keys + (size_t)1, sizeof **keys);
    *columns = arena_zero(arena, set->plan.n_columns + (size_t)1, sizeof **columns);
    if (*keys == NULL || *columns == NULL)
        return error_memory(err, COMPUTING);
    for (uint32_t i = 0; i < set->n_keys; i++)
        (*keys)[i] = rows->columns[set->keys[i]];
    for (uint32_t i = 0; i < set->plan.n_columns; i++)
        (*columns)[i] = rows->columns[set->plan.columns[i]];
    return FRESHET_OK;
}

static freshet_code add_rows(aggregated *set, arena *arena, const aggregated_rows *rows,
                             freshet_error *err)
{
    column *keys = NULL, *columns = NULL;
    uint8_t *skip = arena_zero(arena, rows->n_rows + (size_t)1, 1);
    uint8_t *too_long = arena_zero(arena, rows->n_rows + (size_t)1, 1);
    if (skip == NULL || too_long == NULL)
        return error_memory(err, COMPUTING);
    freshet_code code = gather_columns(set, arena, rows, &keys, &columns, err);
    if (code != FRESHET_OK)
        return code;
    const int64_t *event_us = rows->columns[set->timestamp].data;
    for (uint32_t row = 0; row < rows->n_rows && code == FRESHET_OK; row++)
        code = judge_row(set, arena, rows, row, event_us[row], &skip[row], err);
    groups_input input = {rows->n_rows, keys, columns, event_us, skip};
    if (code == FRESHET_OK)
        code = groups_add(set->groups, &input, too_long, err);
    for (uint32_t row = 0; row < rows->n_rows && code == FRESHET_OK; row++)
        if (too_long[row])
            code = rows->refuse(rows->context, row, "the row's keys are too long", err);
    return code;
}

/* ---- rows out --------------------------------------------------------------------------------- */

static void warn_failed(aggregated *set, arena *arena, uint32_t output, const column *from,
                        uint32_t n_rows, const type *to, const uint64_t *failed)
{
    uint32_t row = 0;
    if (set->warned[output])
        return;
    while (row < n_rows && !cast_failed(failed, row))
        row++;
    const char *reason = row == n_rows ? NULL : cast_reason(arena, from, row, to);
    if (reason == NULL)
        return;
    set->warned[output] = true;
    log_say(LOG_WARNING, set->pipeline, "column \"%s\": %s; such values are null from here on",
            set->plan.own[output].name, reason);
}

static freshet_code cast_outputs(aggregated *set, arena *arena, const groups_rows *taken,
                                 column *into, freshet_error *err)
{
    uint32_t n = groups_outputs(set->plan.groups)->n_fields;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; i < n && code == FRESHET_OK; i++) {
        const type *to = set->plan.output.fields[set->n_keys + 1 + i].type;
        uint64_t *failed = NULL;
        code = cast_column(arena, &taken->outputs[i], taken->n_rows, to, &into[i], &failed, err);
        if (code == FRESHET_OK && failed != NULL)
            warn_failed(set, arena, i, &taken->outputs[i], taken->n_rows, to, failed);
    }
    if (taken->overflow && !set->overflow_warned) {
        set->overflow_warned = true;
        log_say(LOG_WARNING, set->pipeline,
                "an aggregate is larger than its type can hold; such values are null");
    }
    return code;
}

static freshet_code put_kinds(const aggregated *set, arena *arena, const groups_rows *taken,
                              batch *out, freshet_error *err)
{
    out->write_us = taken->write_us;
    if (!set->options.is_stream)
        return FRESHET_OK;
    out->row_kinds = arena_alloc(arena, taken->n_rows + (size_t)1);
    if (out->row_kinds == NULL)
        return error_memory(err, COMPUTING);
    for (uint32_t i = 0; i < taken->n_rows; i++)
        out->row_kinds[i] = (uint8_t)((taken->flags[i] & GROUPS_FIRST ? ROW_NEW : ROW_CORRECTION) |
                                      (taken->flags[i] & GROUPS_NEWEST ? ROW_ONLINE : 0));
    return FRESHET_OK;
}

static freshet_code aggregated_take_rows(aggregated *set, arena *arena, uint32_t max_rows,
                                         batch *out, freshet_error *err)
{
    groups_rows taken;
    freshet_code code = groups_take(set->groups, arena, max_rows, &taken, err);
    if (code != FRESHET_OK)
        return code;
    *out = (batch){.arena = arena, .schema = set->plan.output, .n_rows = taken.n_rows};
    out->columns = arena_zero(arena, out->schema.n_fields, sizeof *out->columns);
    if (out->columns == NULL)
        return error_memory(err, COMPUTING);
    memcpy(out->columns, taken.keys, set->n_keys * sizeof *out->columns);
    out->columns[set->n_keys] = (column){
        .type = type_simple(TYPE_TIMESTAMP), .data = taken.time_us, .capacity = taken.n_rows};
    code = cast_outputs(set, arena, &taken, out->columns + set->n_keys + 1, err);
    return code == FRESHET_OK ? put_kinds(set, arena, &taken, out, err) : code;
}

freshet_code aggregated_run(aggregated *set, arena *arena, const aggregated_rows *rows, batch *out,
                            freshet_error *err)
{
    freshet_code code = rows->n_rows > 0 ? add_rows(set, arena, rows, err) : FRESHET_OK;
    if (code != FRESHET_OK)
        return code;
    advance(set);
    return aggregated_take_rows(set, arena, AGGREGATED_RUN_ROWS_MAX, out, err);
}

bool aggregated_owes(aggregated *set)
{
    return groups_owes(set->groups);
}

/* ---- the end ---------------------------------------------------------------------------------- */

/* Marks the rows that are not what their key's row before was. The rows of a key come together. */
static freshet_code mark_changes(aggregated *set, const batch *rows, uint8_t *keep,
                                 freshet_error *err)
{
    for (uint32_t row = 0; row < rows->n_rows; row++) {
        text_reset(&set->row);
        for (uint32_t i = 0; i < rows->schema.n_fields; i++)
            if (i != set->n_keys)
                cells_put(&set->row, &rows->columns[i], row, true);
        if (set->row.failed)
            return error_memory(err, COMPUTING);
        keep[row] = set->row.length != set->before.length ||
                    memcmp(set->row.bytes, set->before.bytes, set->row.length) != 0;
        text_buffer before = set->before;
        set->before = set->row;
        set->row = before;
    }
    return FRESHET_OK;
}

static freshet_code deduplicate(aggregated *set, arena *arena, batch *rows, freshet_error *err)
{
    batch all = *rows;
    uint8_t *keep = arena_zero(arena, all.n_rows + (size_t)1, 1);
    freshet_code code =
        keep == NULL ? error_memory(err, COMPUTING) : mark_changes(set, &all, keep, err);
    return code == FRESHET_OK ? batch_select(&all, keep, rows, err) : code;
}

freshet_code aggregated_finish(aggregated *set, arena *arena, batch *out, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    if (!set->finishing)
        code = groups_finish(set->groups, err);
    set->finishing = true;
    while (code == FRESHET_OK) {
        code = aggregated_take_rows(set, arena, AGGREGATED_PIECE_ROWS, out, err);
        if (code == FRESHET_OK && out->n_rows == 0)
            return FRESHET_END;
        if (code == FRESHET_OK && set->deduplicates)
            code = deduplicate(set, arena, out, err);
        if (code == FRESHET_OK && out->n_rows > 0)
            return FRESHET_OK;
    }
    return code;
}

/* ---- facts ------------------------------------------------------------------------------------ */

/* "FAG1", the number of rows taken, the groups' facts, the watermarks'. */
freshet_code aggregated_save_facts(const aggregated *set, text_buffer *into, freshet_error *err)
{
    text_append(into, FACTS_MAGIC, 4);
    text_append(into, (const char *)&set->n_rows, sizeof set->n_rows);
    groups_save_facts(set->groups, into);
    if (into->failed)
        return error_memory(err, "saving the facts of the aggregated feature set");
    return set->watermarks == NULL ? FRESHET_OK : watermarks_save(set->watermarks, into, err);
}

freshet_code aggregated_restore_facts(aggregated *set, const void *bytes, size_t length,
                                      freshet_error *err)
{
    const unsigned char *at = bytes, *end = at + length;
    const size_t head = 4 + sizeof set->n_rows;
    if (length < head || memcmp(at, FACTS_MAGIC, 4) != 0)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved facts of an aggregated feature set are damaged");
    memcpy(&set->n_rows, at + 4, sizeof set->n_rows);
    at += head;
    freshet_code code = groups_restore_facts(set->groups, &at, end, err);
    if (code != FRESHET_OK || set->watermarks == NULL)
        return code;
    return watermarks_restore(set->watermarks, at, (size_t)(end - at), row_clock(set), err);
}
