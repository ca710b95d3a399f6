/* aggregated.c - see aggregated.h. The groups themselves are rolling/groups.c; what is declared is
 * made a plan in aggregated_plan.c. */
#include "features/operators/aggregated.h"

#include <stdlib.h>
#include <string.h>

#include "base/crew.h"
#include "base/error.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "features/cast.h"
#include "features/operators/filling.h"
#include "features/watermark.h"
#include "keyed/cells.h"

#define OPENING "opening the aggregated feature set"
#define PART_NAME "groups"

typedef struct aggregated {
    freshet_operator base;
    aggregated_plan plan;
    const char *pipeline; /* for messages */
    groups_state *groups;
    int64_t until_us; /* of the past that a state is filled with: its time goes no further */
    bool deduplicates;
    bool finishing;
    const char **failed; /* by output: why a value could not be cast */
    bool *warned;        /* of it; by output, and at the end of values that are too large */
    bool overflows;
    text_buffer before; /* deduplication: key and features of the row before */
    text_buffer row;
    state_part part;
    bool is_unreadable; /* what was saved: that has been said */
} aggregated;

/* ---- the part of state ----------------------------------------------------------------------- */

/* ---- another declaration --------------------------------------------------------------------- */

static bool aggregated_say_unreadable(const aggregated *set, const state_past *past, evolution *out)
{
    const state_part *part = &set->part;
    if (past == NULL)
        evolution_say(out, part->name, VERDICT_REFUSED, NULL, "",
                      "nothing was kept for its %s, and the rows before will not come again",
                      part->name);
    else if (past->layout == NULL || !layout_is_known(past->layout))
        evolution_say(out, part->name, VERDICT_REFUSED, NULL, "",
                      "the groups were saved by an earlier version of Freshet, and this one cannot "
                      "read them: run that version");
    else if (past->fingerprint != part->fingerprint)
        evolution_say(out, part->name, VERDICT_REFUSED, keys_at(set->base.block), "",
                      "its groups were \"%s\", and are to be \"%s\"", past->shape, part->shape);
    else
        return false;
    return true;
}

/* What each output comes from. */
static const many_feature **features_of(const aggregated *set)
{
    const uint32_t n = groups_outputs(set->plan.groups)->n_fields;
    const many_feature **of =
        arena_zero(set->base.arena, n + (size_t)1, sizeof(const many_feature *));
    for (uint32_t i = 0; of != NULL && i < n; i++) {
        uint32_t feature, function;
        groups_output_of(set->plan.groups, i, &feature, &function);
        of[i] = &set->base.plan->many[feature];
    }
    return of;
}

static freshet_code aggregated_evolve(void *owner, const state_past *past, evolution *out,
                                      freshet_error *err)
{
    aggregated *set = owner;
    const char *refused = NULL;
    if (set->is_unreadable || aggregated_say_unreadable(set, past, out))
        return FRESHET_OK;
    filling filling = {.out = out,
                       .part = set->part.name,
                       .arena = set->base.arena,
                       .windows = groups_windows(set->plan.groups),
                       .numbers = groups_numbers(set->groups),
                       .of = features_of(set),
                       .over = &set->base.block->aggregated.windows.over,
                       .per_second = 1000000};
    if (filling.of == NULL)
        return error_memory(err, OPENING);
    freshet_code code =
        groups_evolve(set->groups, past->layout, out->declared, &filling.last, &refused, err);
    if (code != FRESHET_OK)
        return code;
    if (refused != NULL) {
        evolution_say(out, set->part.name, VERDICT_REFUSED, NULL, "", "%s", refused);
        return FRESHET_OK;
    }
    filling.settled = groups_next_end(set->groups);
    uint32_t n = filling_say_features(&filling) + filling_say_gone(&filling);
    if (groups_slides_anew(set->groups)) {
        char time[FILLING_TIME_MAX];
        evolution_say(out, set->part.name, VERDICT_FROM_NOW, NULL, "aggregated.windows: slide",
                      "rows of the new slide begin behind %s, to which those of the old one went "
                      "out",
                      filling_time(groups_time(set->groups) / 1000000, time));
        n++;
    }
    if (n == 0)
        evolution_say(out, set->part.name, VERDICT_SERVED, NULL, "", "it keeps %s", set->plan.kept);
    return FRESHET_OK;
}

static freshet_code make_part(aggregated *set, freshet_error *err)
{
    const uint32_t n_keys = set->base.plan->n_keys;
    const char **names = arena_alloc(set->base.arena, (n_keys + (size_t)1) * sizeof *names);
    if (names == NULL)
        return error_memory(err, OPENING);
    for (uint32_t i = 0; i < n_keys; i++)
        names[i] = set->plan.output.fields[i].name;
    set->part = *groups_part(set->groups);
    set->part.name = PART_NAME;
    set->part.key_names = names;
    state_part_describe(&set->part, set->plan.shape, set->part.fingerprint);
    set->part.fill_says = "rows that are open or still to come have it";
    set->part.evolve = aggregated_evolve;
    set->part.owner = set;
    return FRESHET_OK;
}

static const state_part *aggregated_parts(freshet_operator *self, uint32_t *n)
{
    *n = 1;
    return &((aggregated *)self)->part;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static bool aggregated_wanted(const operator_options *options)
{
    return options->declaration->feature_set.has_aggregated;
}

static freshet_code aggregated_open(freshet_operator *self, const operator_options *options,
                                    freshet_error *err)
{
    aggregated *set = (aggregated *)self;
    set->pipeline = options->declaration->pipeline.value;
    set->deduplicates = self->block->deduplicate_rows && !self->is_stream;
    const bool is_past = options->declaration->is_past; /* nobody wants its rows */
    set->until_us = is_past ? options->declaration->past_until_us : INT64_MAX;
    const groups_options options_of_groups = {
        .is_stream = self->is_stream,
        .from_us = is_past ? INT64_MAX : options->set->first_us,
        .until_us = options->set->last_us,
        .lateness_us = self->block->timestamp.late == ON_LATE_UPDATE
                           ? INT64_MAX
                           : watermark_lateness_s(self->block) * 1000000,
        .max_days = is_past ? 0 : self->block->aggregated.windows.max_days};
    text_init(&set->before, TEXT_LIMIT_DEFAULT);
    text_init(&set->row, TEXT_LIMIT_DEFAULT);
    freshet_code code = aggregated_plan_make(self->arena, self->block, self->plan,
                                             options->problems, &set->plan, err);
    if (code != FRESHET_OK)
        return code;
    self->plan->output = set->plan.output;
    const size_t n_warnings = set->plan.output.n_fields + (size_t)1;
    set->warned = arena_zero(self->arena, n_warnings, sizeof *set->warned);
    set->failed = arena_zero(self->arena, n_warnings, sizeof *set->failed);
    if (set->warned == NULL || set->failed == NULL)
        return error_memory(err, OPENING);
    code = groups_open(set->plan.groups, &options_of_groups, &set->groups, err);
    return code == FRESHET_OK ? make_part(set, err) : code;
}

static void aggregated_close(freshet_operator *self)
{
    aggregated *set = (aggregated *)self;
    groups_close(set->groups);
    text_release(&set->before);
    text_release(&set->row);
}

/* ---- rows in --------------------------------------------------------------------------------- */

/* Rows that no group can take. With `late: update` only those of closed windows are late. */
static freshet_code refuse_rows(aggregated *set, run *run)
{
    const int64_t *event_us = run->columns[run->plan->timestamp].data;
    const bool updates = set->base.block->timestamp.late == ON_LATE_UPDATE;
    freshet_code code = FRESHET_OK;
    for (uint32_t row = 0; code == FRESHET_OK && row < run->n_rows; row++)
        if (event_us[row] >= GROUPS_TIME_MAX || event_us[row] <= -GROUPS_TIME_MAX)
            code = run_refuse(run, row, REASON_BAD_TIME,
                              "the timestamp is too far from 1970 to be in a window");
        else if (set->base.is_stream && event_us[row] < groups_time(set->groups) &&
                 (!updates || groups_is_closed(set->groups, event_us[row])))
            code = watermark_refuse(&set->base, run, row, 0);
    return code == FRESHET_OK ? run_compact(run) : code;
}

static freshet_code add_rows(aggregated *set, run *run)
{
    column *keys = NULL, *columns = NULL;
    uint8_t *too_long = arena_zero(run->arena, run->n_rows + (size_t)1, 1);
    if (too_long == NULL)
        return error_memory(run->err, COMPUTING);
    freshet_code code = run_take(run, run->plan->views[0].keys, run->plan->n_keys, &keys);
    if (code == FRESHET_OK)
        code = run_take(run, set->plan.columns, set->plan.n_columns, &columns);
    if (code != FRESHET_OK)
        return code;
    const groups_input input = {run->n_rows, keys, columns, run->columns[run->plan->timestamp].data,
                                NULL};
    code = groups_add(set->groups, &input, too_long, run->err);
    for (uint32_t row = 0; row < run->n_rows && code == FRESHET_OK; row++)
        if (too_long[row])
            code = run_refuse(run, row, REASON_TOO_LARGE, "the row's keys are too long");
    return code;
}

/* ---- rows out -------------------------------------------------------------------------------- */

static void note_failed(aggregated *set, uint32_t output, const column *from, uint32_t n_rows,
                        const type *to, const uint64_t *failed)
{
    uint32_t row = 0;
    if (set->failed[output] != NULL)
        return;
    while (row < n_rows && !cast_failed(failed, row))
        row++;
    if (row < n_rows)
        set->failed[output] = cast_reason(set->base.arena, from, row, to);
}

static freshet_code cast_outputs(aggregated *set, arena *arena, const groups_rows *taken,
                                 column *into, freshet_error *err)
{
    uint32_t n = groups_outputs(set->plan.groups)->n_fields;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; i < n && code == FRESHET_OK; i++) {
        const type *to = set->plan.output.fields[set->base.plan->n_keys + 1 + i].type;
        uint64_t *failed = NULL;
        code = cast_column(arena, &taken->outputs[i], taken->n_rows, to, &into[i], &failed, err);
        if (code == FRESHET_OK && failed != NULL)
            note_failed(set, i, &taken->outputs[i], taken->n_rows, to, failed);
    }
    set->overflows |= taken->overflow;
    return code;
}

/* What has become null for the first time is said, once for all instances. */
static void aggregated_warn(freshet_operator *const *instances, uint32_t n)
{
    const aggregated *first = (const aggregated *)instances[0];
    const uint32_t n_outputs = groups_outputs(first->plan.groups)->n_fields;
    for (uint32_t i = 0; i < n; i++) {
        const aggregated *set = (const aggregated *)instances[i];
        for (uint32_t output = 0; output < n_outputs; output++) {
            if (set->failed[output] == NULL || first->warned[output])
                continue;
            first->warned[output] = true;
            log_event(AGGREGATE_FAILED, first->pipeline, first->plan.own[output].name,
                      set->failed[output]);
        }
        if (!set->overflows || first->warned[n_outputs])
            continue;
        first->warned[n_outputs] = true;
        log_event(AGGREGATE_TOO_LARGE, first->pipeline);
    }
}

static uint8_t kind_of(uint8_t flags)
{
    const int online = flags & GROUPS_NEWEST ? ROW_ONLINE : 0;
    if ((flags & GROUPS_AGAIN) != 0)
        return (uint8_t)online;
    return (uint8_t)((flags & GROUPS_FIRST ? ROW_NEW : ROW_CORRECTION) | online);
}

/* In a batch only windows have kinds: some lie in the future. */
static freshet_code put_kinds(const aggregated *set, arena *arena, const groups_rows *taken,
                              batch *out, freshet_error *err)
{
    out->write_us = taken->write_us;
    if (!set->base.is_stream && !set->base.block->aggregated.has_windows)
        return FRESHET_OK;
    out->row_kinds = arena_alloc(arena, taken->n_rows + (size_t)1);
    if (out->row_kinds == NULL)
        return error_memory(err, COMPUTING);
    for (uint32_t i = 0; i < taken->n_rows; i++)
        out->row_kinds[i] = kind_of(taken->flags[i]);
    return FRESHET_OK;
}

static freshet_code take_rows(aggregated *set, run *run)
{
    const uint32_t n_keys = run->plan->n_keys;
    const uint32_t max_rows = operator_piece(&set->base, AGGREGATED_PIECE_ROWS);
    batch *out = &run->out;
    groups_rows taken;
    freshet_code code = groups_take(set->groups, run->arena, max_rows, &taken, run->err);
    if (code != FRESHET_OK)
        return code;
    run->is_output = true;
    *out = (batch){.arena = run->arena, .schema = set->plan.output, .n_rows = taken.n_rows};
    out->columns = arena_zero(run->arena, out->schema.n_fields, sizeof *out->columns);
    if (out->columns == NULL)
        return error_memory(run->err, COMPUTING);
    memcpy(out->columns, taken.keys, n_keys * sizeof *out->columns);
    out->columns[n_keys] = (column){
        .type = type_simple(TYPE_TIMESTAMP), .data = taken.time_us, .capacity = taken.n_rows};
    code = cast_outputs(set, run->arena, &taken, out->columns + n_keys + 1, run->err);
    if (code == FRESHET_OK)
        code = put_kinds(set, run->arena, &taken, out, run->err);
    if (set->base.n_instances == 0)
        aggregated_warn(&(freshet_operator *){&set->base}, 1);
    return code;
}

static freshet_code aggregated_go_on(freshet_operator *self, run *run)
{
    return take_rows((aggregated *)self, run);
}

/* No event before the run's lowest second comes any more. */
static freshet_code aggregated_rest(freshet_operator *self, const run *run, uint32_t turn)
{
    const aggregated *set = (const aggregated *)self;
    int64_t time_us;
    (void)turn;
    if (run->lowest_s != INT64_MIN &&
        !__builtin_mul_overflow(run->lowest_s, INT64_C(1000000), &time_us))
        groups_advance(set->groups, time_us < set->until_us ? time_us : set->until_us);
    return FRESHET_OK;
}

/* Takes the rows in. */
static freshet_code aggregated_turn(freshet_operator *self, run *run, uint32_t turn)
{
    aggregated *set = (aggregated *)self;
    freshet_code code = refuse_rows(set, run);
    if (code == FRESHET_OK && run->n_rows > 0)
        code = add_rows(set, run);
    return code == FRESHET_OK ? aggregated_rest(self, run, turn) : code;
}

static freshet_code aggregated_run(freshet_operator *self, run *run)
{
    freshet_code code = run_compact(run);
    if (code == FRESHET_OK)
        code = aggregated_turn(self, run, 0);
    return code == FRESHET_OK ? aggregated_go_on(self, run) : code;
}

static bool aggregated_owes(const freshet_operator *self)
{
    return groups_owes(((const aggregated *)self)->groups);
}

static bool aggregated_keeps_owed(const freshet_operator *self)
{
    return groups_keeps_owed(((const aggregated *)self)->groups);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Marks the rows that are not what their key's row before was. The rows of a key come together. */
static freshet_code mark_changes(aggregated *set, const batch *rows, uint8_t *keep,
                                 freshet_error *err)
{
    for (uint32_t row = 0; row < rows->n_rows; row++) {
        text_reset(&set->row);
        for (uint32_t i = 0; i < rows->schema.n_fields; i++)
            if (i != set->base.plan->n_keys)
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

static freshet_code aggregated_finish(freshet_operator *self, run *run)
{
    aggregated *set = (aggregated *)self;
    freshet_code code = FRESHET_OK;
    if (!set->finishing)
        code = groups_finish(set->groups, run->err);
    set->finishing = true;
    while (code == FRESHET_OK) {
        code = take_rows(set, run);
        if (code == FRESHET_OK && run->out.n_rows == 0)
            return FRESHET_END;
        if (code == FRESHET_OK && set->deduplicates)
            code = deduplicate(set, run->arena, &run->out, run->err);
        if (code == FRESHET_OK && run->out.n_rows > 0)
            return FRESHET_OK;
    }
    return code;
}

/* ---- facts ----------------------------------------------------------------------------------- */

static freshet_code aggregated_save(const freshet_operator *self, text_buffer *into,
                                    freshet_error *err)
{
    groups_save_facts(((const aggregated *)self)->groups, into);
    return into->failed ? error_memory(err, "saving the facts of the groups") : FRESHET_OK;
}

static freshet_code aggregated_restore(freshet_operator *self, const void *bytes, size_t length,
                                       freshet_error *err)
{
    aggregated *set = (aggregated *)self;
    const unsigned char *at = bytes;
    const freshet_code code = groups_restore_facts(set->groups, &at, at + length, err);
    set->is_unreadable = code == FRESHET_BAD_DECLARATION;
    return code;
}

/* ---- divided (divided.h) --------------------------------------------------------------------- */

static freshet_code aggregated_keys(const freshet_operator *self, const run *run, uint32_t turn,
                                    key_columns *keys)
{
    const plan *plan = self->plan;
    const column **columns =
        arena_alloc(run->arena, (plan->n_keys + (size_t)1) * sizeof(const column *));
    (void)turn;
    if (columns == NULL)
        return error_memory(run->err, COMPUTING);
    for (uint32_t i = 0; i < plan->n_keys; i++)
        columns[i] = &run->columns[plan->views[0].keys[i]];
    keys->n = plan->n_keys;
    keys->columns = columns;
    return FRESHET_OK;
}

static void aggregated_slots(const freshet_operator *self, uint32_t turn, bool *marked)
{
    const aggregated *set = (const aggregated *)self;
    const plan *plan = self->plan;
    (void)turn;
    marked[plan->timestamp] = true;
    for (uint32_t i = 0; i < plan->n_keys; i++)
        marked[plan->views[0].keys[i]] = true;
    for (uint32_t i = 0; i < set->plan.n_columns; i++)
        marked[set->plan.columns[i]] = true;
}

/* A grid begins with the oldest event of all keys, and ends by the newest. */
static bool aggregated_meet(freshet_operator *const *instances, uint32_t n)
{
    groups_state *states[CREW_WORKERS_MAX];
    for (uint32_t i = 0; i < n; i++)
        states[i] = ((const aggregated *)instances[i])->groups;
    aggregated_warn(instances, n);
    return groups_meet(states, n);
}

static const operator_division aggregated_division = {.form = DIVISION_TAKES,
                                                      .keys = aggregated_keys,
                                                      .slots = aggregated_slots,
                                                      .run = aggregated_turn,
                                                      .rest = aggregated_rest,
                                                      .meet = aggregated_meet};

const operator_ops aggregated_operator = {
    .name = PART_NAME,
    .division = &aggregated_division,
    .size = sizeof(aggregated),
    .gone = "the saved state is of an aggregated feature set, and this one is none",
    .wanted = aggregated_wanted,
    .open = aggregated_open,
    .run = aggregated_run,
    .owes = aggregated_owes,
    .keeps_owed = aggregated_keeps_owed,
    .go_on = aggregated_go_on,
    .finish = aggregated_finish,
    .save = aggregated_save,
    .restore = aggregated_restore,
    .parts = aggregated_parts,
    .close = aggregated_close,
};
