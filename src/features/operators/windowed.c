/* windowed.c - the windows of a feature set at work (operator.h), between the steps before and
 * after them.
 *
 * STREAM. A run fills the slots of the windows' outputs for its rows, and puts behind each, as a
 * further row, its key's newest row where it has changed that; write_us and row_kinds are set. So
 * what is output for a key comes in the order of its write timestamps. From here on only the slots
 * that are needed after windows are filled.
 *
 * EXPIRY. With `refresh: on_expiry` keys that have lost events by the second before which no row
 * will come any more are owed: go_on gives them as rows that begin behind the windows: for the
 * online store, with the second of the loss as their timestamp.
 *
 * BATCH. A run's rows are kept; finish gives them in pieces, which begin behind the windows
 * (windowed_batch.h).
 *
 * LATENESS. A row that its lane's watermark lets pass is late all the same where the windows do not
 * hold its events any more: rows of one key from several lanes, of which one was idle.
 *
 * EVOLUTION. What the windows of now can read of a state that was kept for those of then each key
 * says by its layout (windows/layouts.h); here it is said in words (filling.h). Facts: since when
 * the part of a view is kept, where rows came before it was.
 *
 * The first windows of a plain set go on from what it knew of each key's newest row
 * (newest_rows.h); a plain set without windows any more from what these knew.
 *
 * The views (feature_plan.h) are computed one after another. Those with a partitioning of their own
 * come first, on a stream with the values at the row's arrival; then the first view, which knows
 * each key's newest row. It carries what that row had, the values of the other views included, and
 * so can give it again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "features/cast.h"
#include "features/operators/filling.h"
#include "features/operators/newest_rows.h"
#include "features/operators/windowed_batch.h"
#include "features/operators/windowed_view.h"
#include "features/rank.h"
#include "features/watermark.h"
#include "sql/sql_words.h"
#include "windows/windows_state.h"

#define FACTS_MAGIC "FWF2"
#define FACTS_MAGIC_BYTES 4u
#define EARLIER                                                                             \
    "saved by an earlier version of Freshet, whose windows this one cannot read: run that " \
    "version"

typedef struct windowed {
    freshet_operator base;
    windows_state **states; /* of the plan's views: streams */
    state_part *parts;
    struct view_owner *owners; /* of the parts */
    uint32_t n_parts;
    state_part newest; /* what a plain set kept: the first view's heritage */
    bool expires;
    int64_t lowest_s;      /* rows before it will not come any more */
    windowed_batch *batch; /* of a batch */
} windowed;

typedef struct view_owner {
    windowed *windowed;
    uint32_t view;
} view_owner;

/* ---- opening --------------------------------------------------------------------------------- */

/* ---- parts of state -------------------------------------------------------------------------- */

static void append_column(windowed *windowed, uint32_t slot, const char *before, text_buffer *into)
{
    const field *column = &windowed->base.plan->slots[slot];
    const char *type = type_name(windowed->base.arena, column->type);
    text_format(into, "%s%s %s", before, column->name, type == NULL ? "?" : type);
}

/* Keys and order: what saved bytes depend on. All else is their layout (windows/layouts.h). */
static const char *describe_view(windowed *windowed, const view *view)
{
    const plan *plan = windowed->base.plan;
    text_buffer shape;
    text_init(&shape, TEXT_LIMIT_DEFAULT);
    text_append_c(&shape, "keys");
    for (uint32_t i = 0; i < view->n_keys; i++)
        append_column(windowed, view->keys[i], i == 0 ? " " : ", ", &shape);
    if (view->order != NO_SLOT)
        text_format(&shape, "; ordered by %s", plan->slots[view->order].name);
    return text_keep(&shape, windowed->base.arena);
}

/* What is kept of each event, in words. */
static const char *describe_events(windowed *windowed, const view *view)
{
    const windows_plan *windows = view->windows;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, windows->n_slots == 0 ? "its newest row" : "");
    for (uint32_t i = 0; i < windows->n_slots; i++) {
        const window_slot *slot = &windows->slots[i];
        const char *before = i == 0 ? "" : ", ";
        if (slot->values == WINDOWS_NONE) {
            text_format(&text, "%sits row", before);
            continue;
        }
        append_column(windowed, view->columns[slot->values],
                      arena_format(windowed->base.arena, "%s%s", before,
                                   slot->cell == 0 ? "whether there is " : ""),
                      &text);
        if (slot->filter != WINDOWS_NO_FILTER)
            text_format(&text, " where %s", windows->columns.fields[slot->filter].name);
    }
    return text_keep(&text, windowed->base.arena);
}

/* "windows"; of views of their own "windows by carrier and origin, ordered by price". */
static const char *name_part(windowed *windowed, uint32_t v)
{
    const plan *plan = windowed->base.plan;
    const view *view = &plan->views[v];
    arena *arena = windowed->base.arena;
    const char *text = "windows";
    for (uint32_t i = 0; v > 0 && text != NULL && i < view->n_keys; i++)
        text = arena_format(arena, "%s %s %s", text, i == 0 ? "by" : "and",
                            plan->slots[view->keys[i]].name);
    return text == NULL || view->order == NO_SLOT
               ? text
               : arena_format(arena, "%s, ordered by %s", text, plan->slots[view->order].name);
}

/* ---- another declaration --------------------------------------------------------------------- */

/* More lateness: windows of rows that would have been late before. */
static bool say_lateness(const windowed *windowed, const filling *filling)
{
    const layout_reach *then = &filling->last->reach;
    char before[WATERMARK_SPAN_TEXT_MAX], time[FILLING_TIME_MAX];
    const int64_t more_s = filling->reach.lateness_s - then->lateness_s;
    if (more_s <= 0 || !layout_needs_more(&filling->reach, then) ||
        filling_newest_s(filling->out) == INT64_MIN)
        return false;
    watermark_span(then->lateness_s, before);
    evolution_say(filling->out, filling->part, VERDICT_FROM_NOW,
                  &windowed->base.block->timestamp.from.at, "timestamp: lateness",
                  "rows may be later than before (%s), and look back on events that are gone: "
                  "windows of such rows are null until %s",
                  before, filling_time(filling_newest_s(filling->out) + more_s, time));
    return true;
}

/* Rows that went out before the state knew of corrections stay as they are. */
static bool say_corrections(const filling *filling)
{
    const windows_plan *plan = filling->windows;
    if (plan->row_slot == WINDOWS_NONE || filling->last->from[plan->row_slot] != WINDOWS_NONE)
        return false;
    evolution_say(filling->out, filling->part, VERDICT_FROM_NOW, NULL, "history: corrections",
                  "rows that went out before are not corrected; those from now on are");
    return true;
}

/* The view was not there. */
static freshet_code say_new_view(windowed *windowed, uint32_t v, const filling *filling)
{
    const view *view = &windowed->base.plan->views[v];
    const bool is_partial =
        view->windows->outputs.n_fields == 0 || view->windows->looks[0].is_partial;
    if (filling->numbers->whole == LAYOUT_ALWAYS) {
        evolution_say(filling->out, filling->part, VERDICT_SERVED, NULL, "", FILLING_NO_ROW);
        return FRESHET_OK;
    }
    if (view->order != NO_SLOT && !is_partial) {
        evolution_say(filling->out, filling->part, VERDICT_REFUSED, &view->said->at, filling->part,
                      "look back on all rows of a key in an order that is not that of time, and "
                      "those before were not kept, so they would never be full; `until_full: "
                      "partial` at the window serves it with the rows from now on");
        return FRESHET_OK;
    }
    if (view->order == NO_SLOT)
        windows_begin(windowed->states[v], filling->numbers->whole);
    filling_say_features(filling);
    return FRESHET_OK;
}

/* Where the keys of a view are declared. */
static const place *view_keys_at(const windowed *windowed, const view *view)
{
    const bool has_own =
        view->windows->outputs.n_fields > 0 && view->of[0]->block->window.partition_by.n > 0;
    return has_own ? &view->of[0]->block->window.partition_by.items[0].at
                   : keys_at(windowed->base.block);
}

/* Rows may still come that are as late as that; of more lateness than before say_lateness tells. */
static int64_t settled_of(const filling *filling)
{
    int64_t lateness_s = filling->reach.lateness_s, settled;
    if (filling->last != NULL && filling->last->reach.lateness_s < lateness_s)
        lateness_s = filling->last->reach.lateness_s;
    return __builtin_sub_overflow(filling->numbers->since, lateness_s, &settled) ? LAYOUT_ALWAYS
                                                                                 : settled;
}

/* What cannot be read in any way. */
static bool windowed_say_unreadable(const state_part *part, const place *keys,
                                    const state_past *past, evolution *out)
{
    if (past == NULL)
        return false;
    if (past->layout == NULL || !layout_is_known(past->layout))
        evolution_say(out, part->name, VERDICT_REFUSED, NULL, part->name, "were " EARLIER);
    else if (past->fingerprint != part->fingerprint)
        evolution_say(out, part->name, VERDICT_REFUSED, keys, part->name,
                      "were kept by \"%s\", and are to be kept by \"%s\"", past->shape,
                      part->shape);
    else
        return false;
    return true;
}

static freshet_code windowed_evolve(void *owner, const state_past *past, evolution *out,
                                    freshet_error *err)
{
    const view_owner *of = owner;
    windowed *windowed = of->windowed;
    windows_state *state = windowed->states[of->view];
    const view *view = &windowed->base.plan->views[of->view];
    const state_part *part = &windowed->parts[of->view];
    if (windowed_say_unreadable(part, view_keys_at(windowed, view), past, out))
        return FRESHET_OK;
    filling filling = {
        .out = out,
        .part = part->name,
        .arena = windowed->base.arena,
        .windows = view->windows,
        .numbers = windows_numbers(state),
        .reach = {view->windows->longest_s, view->windows->longest_rows,
                  view->order == NO_SLOT ? watermark_lateness_s(windowed->base.block) : 0},
        .of = view->of,
        .per_second = 1};
    const int64_t newest_s = filling_newest_s(out);
    const bool is_known = view->order == NO_SLOT || newest_s == INT64_MIN;
    freshet_code code = windows_evolve(state, past == NULL ? NULL : past->layout, out->declared,
                                       is_known ? newest_s : INT64_MAX, &filling.last, err);
    if (code != FRESHET_OK)
        return code;
    filling.settled = settled_of(&filling);
    if (past == NULL)
        return say_new_view(windowed, of->view, &filling);
    const uint32_t n = filling_say_features(&filling) + filling_say_gone(&filling) +
                       say_lateness(windowed, &filling) + say_corrections(&filling);
    const char *kept = describe_events(windowed, view);
    if (kept == NULL)
        return error_memory(err, "comparing the windows");
    if (n == 0)
        evolution_say(out, part->name, VERDICT_SERVED, NULL, "", "it keeps %s; of each event %s",
                      part->shape, kept);
    return FRESHET_OK;
}

static freshet_code open_part(windowed *windowed, uint32_t v, freshet_error *err)
{
    const plan *plan = windowed->base.plan;
    const view *view = &plan->views[v];
    const char **names = arena_alloc(windowed->base.arena, view->n_keys * sizeof *names);
    const char *shape = describe_view(windowed, view), *name = name_part(windowed, v);
    if (names == NULL || shape == NULL || name == NULL)
        return error_memory(err, "opening the windows");
    for (uint32_t i = 0; i < view->n_keys; i++)
        names[i] = plan->slots[view->keys[i]].name;
    state_part *part = &windowed->parts[v];
    *part = *windows_part(windowed->states[v]);
    part->name = name;
    part->key_names = names;
    state_part_describe(part, shape, view->windows->fingerprint);
    windowed->owners[v] = (view_owner){windowed, v};
    part->fill_says =
        v == 0 ? "their newest rows go out again" : "a key's rows have it from its next event on";
    part->evolve = windowed_evolve;
    part->owner = &windowed->owners[v];
    windowed->n_parts = v + 1;
    if (v > 0)
        return FRESHET_OK;
    part->heritage = &windowed->newest;
    windowed->newest.table = part->table; /* for people */
    windows_inherits(windowed->states[0], newest_rows_read);
    return newest_rows_describe(&windowed->newest, plan, windowed->base.arena, err);
}

static const state_part *windowed_parts(freshet_operator *self, uint32_t *n)
{
    *n = ((windowed *)self)->n_parts;
    return ((windowed *)self)->parts;
}

/* ---- facts ----------------------------------------------------------------------------------- */

static bool owes_expired(const windowed *windowed)
{
    return windowed->expires && windows_expires(windowed->states[0], windowed->lowest_s);
}

/* Of each part, by its name: since when it is kept, where it came in later than its keys. Then,
 * with `refresh: on_expiry`, windows_settled; and the second for which keys are still owed. */
static freshet_code windowed_save(const freshet_operator *self, text_buffer *into,
                                  freshet_error *err)
{
    const windowed *windowed = (const struct windowed *)self;
    const uint32_t n = windowed->n_parts;
    text_append(into, FACTS_MAGIC, FACTS_MAGIC_BYTES);
    text_append(into, (const char *)&n, sizeof n);
    for (uint32_t v = 0; v < n; v++) {
        const int64_t begun = windows_begun(windowed->states[v]);
        const uint32_t length = (uint32_t)strlen(windowed->parts[v].name);
        text_append(into, (const char *)&length, sizeof length);
        text_append(into, windowed->parts[v].name, length);
        text_append(into, (const char *)&begun, sizeof begun);
    }
    if (windowed->expires) {
        const int64_t settled_s = windows_settled(windowed->states[0]);
        text_append(into, (const char *)&settled_s, sizeof settled_s);
    }
    if (owes_expired(windowed))
        text_append(into, (const char *)&windowed->lowest_s, sizeof windowed->lowest_s);
    return into->failed ? error_memory(err, "saving the facts of the windows") : FRESHET_OK;
}

static bool windowed_take(const char **at, const char *end, void *into, size_t bytes)
{
    if ((size_t)(end - *at) < bytes)
        return false;
    memcpy(into, *at, bytes);
    *at += bytes;
    return true;
}

static bool take_begun(windowed *windowed, const char **at, const char *end)
{
    uint32_t length;
    int64_t begun;
    if (!windowed_take(at, end, &length, sizeof length) || (size_t)(end - *at) < length)
        return false;
    const char *name = *at;
    *at += length;
    if (!windowed_take(at, end, &begun, sizeof begun))
        return false;
    for (uint32_t v = 0; v < windowed->n_parts; v++)
        if (strlen(windowed->parts[v].name) == length &&
            memcmp(windowed->parts[v].name, name, length) == 0)
            windows_begin(windowed->states[v], begun);
    return true;
}

static freshet_code windowed_restore(freshet_operator *self, const void *bytes, size_t length,
                                     freshet_error *err)
{
    windowed *windowed = (struct windowed *)self;
    const char *at = bytes, *end = at + length;
    int64_t settled_s = INT64_MIN, owed_s = INT64_MIN;
    uint32_t n;
    if (length < FACTS_MAGIC_BYTES || memcmp(bytes, FACTS_MAGIC, FACTS_MAGIC_BYTES) != 0)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the windows were " EARLIER);
    at += FACTS_MAGIC_BYTES;
    bool is_sound = windowed_take(&at, end, &n, sizeof n);
    for (uint32_t i = 0; is_sound && i < n; i++)
        is_sound = take_begun(windowed, &at, end);
    if (is_sound && at != end)
        is_sound = windowed_take(&at, end, &settled_s, sizeof settled_s);
    if (is_sound && at != end)
        is_sound = windowed_take(&at, end, &owed_s, sizeof owed_s) && at == end;
    if (!is_sound)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the saved facts of the windows are damaged");
    if (windowed->expires && settled_s != INT64_MIN)
        windows_settle(windowed->states[0], settled_s);
    if (windowed->expires && owed_s != INT64_MIN) {
        windowed->lowest_s = owed_s;
        windows_owe(windowed->states[0], owed_s);
    }
    return FRESHET_OK;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static freshet_code open_stream(windowed *windowed, freshet_error *err)
{
    const timestamp_block *timestamp = &windowed->base.block->timestamp;
    windowed->expires = windowed->base.block->refresh == REFRESH_ON_EXPIRY;
    windowed->lowest_s = INT64_MIN;
    for (uint32_t i = 0; i < windowed->base.plan->n_views; i++) {
        const view *view = &windowed->base.plan->views[i];
        windows_options options = {.lateness_s = watermark_lateness_s(windowed->base.block),
                                   .plain_order = view->order != NO_SLOT,
                                   .expires = windowed->expires && i == 0,
                                   .gives_again = i == 0,
                                   .take_late = timestamp->late == ON_LATE_UPDATE || i > 0};
        freshet_code code = windows_open(view->windows, &options, &windowed->states[i], err);
        if (code == FRESHET_OK)
            code = open_part(windowed, i, err);
        if (code != FRESHET_OK)
            return code;
    }
    return FRESHET_OK;
}

static bool windowed_wanted(const operator_options *options)
{
    return options->plan->n_views > 0 && !options->declaration->feature_set.has_aggregated;
}

static freshet_code windowed_open(freshet_operator *self, const operator_options *options,
                                  freshet_error *err)
{
    windowed *made = (windowed *)self;
    made->states = arena_zero(self->arena, self->plan->n_views, sizeof(windows_state *));
    made->parts = arena_zero(self->arena, self->plan->n_views, sizeof *made->parts);
    made->owners = arena_zero(self->arena, self->plan->n_views, sizeof *made->owners);
    if (made->states == NULL || made->parts == NULL || made->owners == NULL)
        return error_memory(err, "opening the windows");
    return self->is_stream ? open_stream(made, err)
                           : windowed_batch_open(self, options, &made->batch, err);
}

static void windowed_close(freshet_operator *self)
{
    windowed *windowed = (struct windowed *)self;
    for (uint32_t i = 0; windowed->states != NULL && i < self->plan->n_views; i++)
        windows_close(windowed->states[i]);
    windowed_batch_close(windowed->batch);
}

/* ---- stream ---------------------------------------------------------------------------------- */

/* How far back rows of a view may come. */
static void hold_view(const windowed *windowed, uint32_t v, const run *run)
{
    const bool is_plain = windowed->base.plan->views[v].order != NO_SLOT;
    windows_hold(windowed->states[v], is_plain ? INT64_MIN : run->hold_s);
}

/* A view with a partitioning of its own: values at the row's arrival. */
static freshet_code run_other_view(windowed *windowed, run *run, uint32_t v)
{
    const view *view = &windowed->base.plan->views[v];
    windows_input input;
    windows_result result;
    freshet_code code = windowed_make_input(run, view, &input);
    if (code == FRESHET_OK && view->order != NO_SLOT)
        code = rank_values(run->arena, &run->columns[view->order], run->n_rows, &input.event_us,
                           run->err);
    hold_view(windowed, v, run);
    if (code == FRESHET_OK)
        code = windows_apply(windowed->states[v], &input, run->arena, &result, run->err);
    if (code == FRESHET_OK)
        code = windowed_fill_outputs(run, view, result.outputs);
    return code == FRESHET_OK
               ? windowed_take_flags(&windowed->base, run, result.flags, WINDOWS_OVERFLOW)
               : code;
}

/* The rows of a run, each followed by the newest row of its key where it has changed that. */
typedef struct weaving {
    run *run;
    const windows_result *result;
    uint32_t *numbers; /* 0, 1, 2 ... */
    uint32_t n_all;
} weaving;

/* A column of all of them: `first` has the rows', `more` the newest rows' values, in their order,
 * or (`by_cause`) those of the rows that they follow. */
static freshet_code weave(const weaving *weaving, const column *first, const column *more,
                          bool by_cause, column *into)
{
    const windows_result *result = weaving->result;
    run *run = weaving->run;
    uint32_t row = 0, at = 0;
    freshet_code code = column_init_raw(run->arena, into, first->type, weaving->n_all, run->err);
    for (uint32_t i = 0; code == FRESHET_OK && i <= result->n_refreshed; i++) {
        const bool is_end = i == result->n_refreshed;
        const uint32_t cause = is_end ? 0 : result->refreshed[i].row;
        const uint32_t end = is_end ? run->n_rows : cause + 1;
        code =
            column_append(run->arena, into, at, first, weaving->numbers + row, end - row, run->err);
        at += end - row;
        row = end;
        if (code == FRESHET_OK && !is_end)
            code = column_append(run->arena, into, at++, more, by_cause ? &cause : &i, 1, run->err);
    }
    return code;
}

static freshet_code weave_slot(const weaving *weaving, uint32_t slot, const column *more,
                               bool by_cause)
{
    column woven;
    freshet_code code = weave(weaving, &weaving->run->columns[slot], more, by_cause, &woven);
    if (code == FRESHET_OK)
        run_fill(weaving->run, slot, &woven);
    return code;
}

/* Keys, timestamp and carried columns. */
static freshet_code weave_columns(const weaving *weaving)
{
    run *run = weaving->run;
    const plan *plan = run->plan;
    const windows_result *result = weaving->result;
    freshet_code code = FRESHET_OK;
    column times;
    for (uint32_t i = 0; code == FRESHET_OK && i < plan->n_keys; i++)
        code = weave_slot(weaving, plan->keys[i].to, &run->columns[plan->keys[i].to], true);
    if (code == FRESHET_OK)
        code = column_init(run->arena, &times, type_simple(TYPE_TIMESTAMP), result->n_refreshed,
                           run->err);
    for (uint32_t i = 0; code == FRESHET_OK && i < result->n_refreshed; i++)
        ((int64_t *)times.data)[i] = result->refreshed[i].event_us;
    if (code == FRESHET_OK)
        code = weave_slot(weaving, plan->timestamp, &times, false);
    for (uint32_t i = 0; code == FRESHET_OK && i < plan->n_carried; i++)
        code = weave_slot(weaving, plan->carried[i], &result->refreshed_carried[i], false);
    return code;
}

static freshet_code weave_outputs(const weaving *weaving, windows_result *result)
{
    const schema *outputs = &weaving->run->plan->views[0].windows->outputs;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < outputs->n_fields; i++) {
        column woven;
        code = weave(weaving, &result->outputs[i], &result->refreshed_outputs[i], false, &woven);
        result->outputs[i] = woven;
    }
    return code;
}

/* What stands beside the columns: marks, origins, kinds and write timestamps; *flags are those of
 * newest rows. */
static freshet_code weave_beside(const weaving *weaving, uint8_t **flags)
{
    run *run = weaving->run;
    const windows_result *result = weaving->result;
    const size_t n = weaving->n_all + (size_t)1;
    uint8_t *keep = arena_alloc(run->arena, n), *kinds = arena_alloc(run->arena, n);
    uint32_t *index = arena_alloc(run->arena, n * sizeof *index);
    uint32_t *copies = run->copies == NULL ? NULL : arena_alloc(run->arena, n * sizeof *copies);
    int64_t *write_us = arena_alloc(run->arena, n * sizeof *write_us);
    *flags = arena_zero(run->arena, n, sizeof **flags);
    if (keep == NULL || kinds == NULL || index == NULL || write_us == NULL || *flags == NULL ||
        (run->copies != NULL && copies == NULL))
        return error_memory(run->err, COMPUTING);
    uint32_t at = 0, i = 0;
    for (uint32_t row = 0; row < run->n_rows; row++) {
        const uint32_t origin = run->index == NULL ? row : run->index[row];
        keep[at] = run->keep[row];
        kinds[at] = ROW_NEW | (result->flags[row] & WINDOWS_NEWEST ? ROW_ONLINE : 0);
        index[at] = origin;
        if (copies != NULL)
            copies[at] = run->copies[row];
        write_us[at++] = result->write_us[row];
        for (; i < result->n_refreshed && result->refreshed[i].row == row; i++) {
            keep[at] = 1;
            kinds[at] =
                ROW_CORRECTION | (result->refreshed[i].flags & WINDOWS_NEWEST ? ROW_ONLINE : 0);
            index[at] = origin;
            if (copies != NULL)
                copies[at] = run->copies[row];
            (*flags)[at] = (uint8_t)result->refreshed[i].flags;
            write_us[at++] = result->refreshed[i].write_us;
        }
    }
    run->keep = keep;
    run->row_kinds = kinds;
    run->index = index;
    run->copies = copies;
    run->write_us = write_us;
    run->n_rows = weaving->n_all;
    return FRESHET_OK;
}

/* From here on only what is needed after windows is there. */
static void forget_others(run *run)
{
    const plan *plan = run->plan;
    bool *filled = run->filled;
    for (uint32_t slot = 0; slot < plan->n_slots; slot++)
        filled[slot] =
            filled[slot] && slot >= plan->timestamp && slot <= plan->timestamp + plan->n_keys;
    for (uint32_t i = 0; i < plan->n_carried; i++)
        filled[plan->carried[i]] = true;
}

/* Puts the newest rows that have changed among the rows of the run. */
static freshet_code add_refreshed(windowed *windowed, run *run, windows_result *result)
{
    weaving weaving = {.run = run, .result = result, .n_all = run->n_rows + result->n_refreshed};
    uint8_t *flags;
    freshet_code code = FRESHET_OK;
    if (result->n_refreshed > 0) {
        weaving.numbers =
            arena_alloc(run->arena, (run->n_rows + (size_t)1) * sizeof *weaving.numbers);
        if (weaving.numbers == NULL)
            return error_memory(run->err, COMPUTING);
        for (uint32_t i = 0; i < run->n_rows; i++)
            weaving.numbers[i] = i;
        code = weave_columns(&weaving);
        if (code == FRESHET_OK)
            code = weave_outputs(&weaving, result);
    }
    if (code == FRESHET_OK)
        code = weave_beside(&weaving, &flags);
    return code == FRESHET_OK ? windowed_take_flags(&windowed->base, run, flags, WINDOWS_OVERFLOW)
                              : code;
}

static freshet_code run_first_view(windowed *windowed, run *run)
{
    const view *view = &windowed->base.plan->views[0];
    windows_state *state = windowed->states[0];
    windows_input input;
    windows_result result;
    freshet_code code = windowed_make_input(run, view, &input);
    if (code != FRESHET_OK)
        return code;
    hold_view(windowed, 0, run);
    if (run->lowest_s > windowed->lowest_s)
        windowed->lowest_s = run->lowest_s;
    code = windows_apply(state, &input, run->arena, &result, run->err);
    if (code == FRESHET_OK && windowed->expires)
        code = windows_reach(state, windowed->lowest_s, run->err);
    if (code == FRESHET_OK)
        code = windowed_take_flags(&windowed->base, run, result.flags,
                                   WINDOWS_LATE | WINDOWS_KEY_TOO_LONG | WINDOWS_OVERFLOW);
    if (code == FRESHET_OK)
        code = add_refreshed(windowed, run, &result);
    forget_others(run);
    if (code == FRESHET_OK)
        code = windowed_fill_outputs(run, view, result.outputs);
    return code == FRESHET_OK ? run_compact(run) : code;
}

/* All views, the first one last. */
static freshet_code run_stream(windowed *windowed, run *run)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t v = 1; code == FRESHET_OK && v < windowed->base.plan->n_views; v++)
        code = run_other_view(windowed, run, v);
    if (code == FRESHET_OK)
        code = run_compact(run);
    return code == FRESHET_OK ? run_first_view(windowed, run) : code;
}

/* ---- rows without an event: of keys that were filled, and expiry ---------------------------- */

static bool windowed_owes(const freshet_operator *self)
{
    const windowed *windowed = (const struct windowed *)self;
    return owes_expired(windowed) || (self->is_stream && windows_owes_again(windowed->states[0]));
}

/* Of expiry each key says for which second it was given last. */
static bool windowed_keeps_owed(const freshet_operator *self)
{
    return !self->is_stream || !windows_owes_again(((const struct windowed *)self)->states[0]);
}

/* Keys and timestamp: what a refused row is shown by. */
static freshet_code make_known(run *run, const windows_expired *expired)
{
    const plan *plan = run->plan;
    const uint32_t n = plan->n_keys;
    batch *known = arena_zero(run->arena, 1, sizeof *known);
    field *fields = arena_alloc(run->arena, (n + (size_t)1) * sizeof *fields);
    column *columns = arena_zero(run->arena, n + (size_t)1, sizeof *columns);
    if (known == NULL || fields == NULL || columns == NULL)
        return error_memory(run->err, COMPUTING);
    for (uint32_t i = 0; i < n; i++) {
        fields[i] = plan->slots[plan->keys[i].to];
        columns[i] = expired->keys[i];
    }
    fields[n] = plan->slots[plan->timestamp];
    columns[n] = (column){.type = type_simple(TYPE_TIMESTAMP), .data = expired->event_us};
    *known = (batch){
        .arena = run->arena, .schema = {n + 1, fields}, .n_rows = expired->n, .columns = columns};
    run->in = known;
    return FRESHET_OK;
}

static freshet_code begin_expired(run *run, const windows_expired *expired, int kinds)
{
    const plan *plan = run->plan;
    freshet_code code = make_known(run, expired);
    if (code == FRESHET_OK)
        code = run_open(run, expired->n);
    run->row_kinds = arena_alloc(run->arena, expired->n + (size_t)1);
    run->write_us = expired->write_us;
    if (code != FRESHET_OK || run->row_kinds == NULL)
        return error_memory(run->err, COMPUTING);
    memset(run->row_kinds, kinds, run->n_rows);
    for (uint32_t i = 0; i < plan->n_keys; i++)
        run_fill(run, plan->keys[i].to, &expired->keys[i]);
    run_fill(run, plan->timestamp, &run->in->columns[plan->n_keys]);
    for (uint32_t i = 0; i < plan->n_carried; i++)
        run_fill(run, plan->carried[i], &expired->carried[i]);
    return FRESHET_OK;
}

static freshet_code windowed_go_on(freshet_operator *self, run *run)
{
    windowed *windowed = (struct windowed *)self;
    const view *view = &windowed->base.plan->views[0];
    windows_expired expired;
    windows_state *state = windowed->states[0];
    const uint32_t most = operator_piece(self, WINDOWED_PIECE_ROWS);
    const bool is_again = windows_owes_again(state);
    freshet_code code =
        is_again ? windows_give_again(state, most, run->arena, &expired, run->err)
                 : windows_expire(state, windowed->lowest_s, most, run->arena, &expired, run->err);
    if (code == FRESHET_OK)
        code = begin_expired(run, &expired, is_again ? ROW_CORRECTION | ROW_ONLINE : ROW_ONLINE);
    if (code == FRESHET_OK)
        code = windowed_fill_outputs(run, view, expired.outputs);
    if (code == FRESHET_OK)
        code = windowed_take_flags(&windowed->base, run, expired.flags, WINDOWS_OVERFLOW);
    return code == FRESHET_OK ? run_compact(run) : code;
}

/* ---- rows in ------------------------------------------------------------------------------- */

static freshet_code windowed_run(freshet_operator *self, run *run)
{
    windowed *windowed = (struct windowed *)self;
    freshet_code code = run_compact(run);
    if (code != FRESHET_OK)
        return code;
    return self->is_stream ? run_stream(windowed, run) : windowed_batch_add(windowed->batch, run);
}

static freshet_code windowed_finish(freshet_operator *self, run *run)
{
    windowed *windowed = (struct windowed *)self;
    return windowed->batch == NULL ? FRESHET_END : windowed_batch_next(windowed->batch, run);
}

/* ---- divided (divided.h) --------------------------------------------------------------------- */

/* A batch is not divided: it is computed at its end, by the crew. */
static bool windowed_may_divide(const operator_options *options)
{
    return options->declaration->is_stream;
}

/* One a view, each by its own keys. */
static uint32_t windowed_turns(const freshet_operator *self)
{
    return self->plan->n_views;
}

/* All views, the first one last. */
static uint32_t view_of_turn(const freshet_operator *self, uint32_t turn)
{
    return (turn + 1) % self->plan->n_views;
}

static freshet_code windowed_keys(const freshet_operator *self, const run *run, uint32_t turn,
                                  key_columns *keys)
{
    const view *view = &self->plan->views[view_of_turn(self, turn)];
    keys->n = view->n_keys;
    const column **columns =
        arena_alloc(run->arena, (keys->n + (size_t)1) * sizeof(const column *));
    if (columns == NULL)
        return error_memory(run->err, COMPUTING);
    for (uint32_t i = 0; i < keys->n; i++)
        columns[i] = &run->columns[view->keys[i]];
    keys->columns = columns;
    return FRESHET_OK;
}

/* With the first view rows get another form: all is seen that is needed behind it. */
static void windowed_slots(const freshet_operator *self, uint32_t turn, bool *marked)
{
    const plan *plan = self->plan;
    const uint32_t v = view_of_turn(self, turn);
    const view *view = &plan->views[v];
    marked[plan->timestamp] = true;
    for (uint32_t i = 0; i < view->n_keys; i++)
        marked[view->keys[i]] = true;
    for (uint32_t i = 0; i < view->n_columns; i++)
        marked[view->columns[i]] = true;
    if (view->order != NO_SLOT)
        marked[view->order] = true;
    for (uint32_t i = 0; v == 0 && i < plan->n_keys; i++)
        marked[plan->keys[i].to] = true;
    for (uint32_t i = 0; v == 0 && i < plan->n_carried; i++)
        marked[plan->carried[i]] = true;
}

static freshet_code windowed_turn(freshet_operator *self, run *run, uint32_t turn)
{
    const uint32_t v = view_of_turn(self, turn);
    return v == 0 ? run_first_view((windowed *)self, run)
                  : run_other_view((windowed *)self, run, v);
}

static freshet_code windowed_rest(freshet_operator *self, const run *run, uint32_t turn)
{
    windowed *windowed = (struct windowed *)self;
    const uint32_t v = view_of_turn(self, turn);
    hold_view(windowed, v, run);
    if (v > 0)
        return FRESHET_OK;
    if (run->lowest_s > windowed->lowest_s)
        windowed->lowest_s = run->lowest_s;
    return windowed->expires ? windows_reach(windowed->states[0], windowed->lowest_s, run->err)
                             : FRESHET_OK;
}

/* Rows before the second for which a key was given late are late, those of other keys, too. */
static bool windowed_meet(freshet_operator *const *instances, uint32_t n)
{
    int64_t settled_s = INT64_MIN;
    if (!((const windowed *)instances[0])->expires)
        return true;
    for (uint32_t i = 0; i < n; i++) {
        const int64_t of_this = windows_settled(((const windowed *)instances[i])->states[0]);
        settled_s = of_this > settled_s ? of_this : settled_s;
    }
    for (uint32_t i = 0; i < n; i++)
        windows_settle(((const windowed *)instances[i])->states[0], settled_s);
    return true;
}

static const operator_division windowed_division = {.form = DIVISION_ROWS,
                                                    .may = windowed_may_divide,
                                                    .turns = windowed_turns,
                                                    .keys = windowed_keys,
                                                    .slots = windowed_slots,
                                                    .run = windowed_turn,
                                                    .rest = windowed_rest,
                                                    .meet = windowed_meet};

const operator_ops windowed_operator = {
    .name = "windows",
    .size = sizeof(windowed),
    .division = &windowed_division,
    .wanted = windowed_wanted,
    .open = windowed_open,
    .run = windowed_run,
    .owes = windowed_owes,
    .keeps_owed = windowed_keeps_owed,
    .go_on = windowed_go_on,
    .finish = windowed_finish,
    .save = windowed_save,
    .restore = windowed_restore,
    .parts = windowed_parts,
    .close = windowed_close,
};
