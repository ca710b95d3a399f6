/* fullness.c - see fullness.h. */
#include "windows/fullness.h"

#include <string.h>

#include "windows/events_internal.h"

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t minus(int64_t a, int64_t b)
{
    int64_t difference;
    return __builtin_sub_overflow(a, b, &difference) ? FULL_ALWAYS : difference;
}

static int64_t behind(int64_t time)
{
    return time == INT64_MAX ? time : time + 1;
}

/* ---- making a record ------------------------------------------------------------------------- */

/* From when on all events of a key are there that has lost some. */
static int64_t kept_from(const fullness_then *then)
{
    const layout_reach *reach = &then->layout->reach;
    if (reach->longest_s < 0 && reach->longest_rows == 0)
        return behind(then->newest); /* no window: nothing was kept */
    return minus(then->newest, layout_span(reach));
}

static int64_t since_of(const fullness_then *then, uint32_t from, uint32_t first)
{
    if (from == WINDOWS_NONE)
        return behind(then->newest);
    return then->record == NULL ? FULL_ALWAYS : then->record->since[first + from];
}

bool fullness_of(const windows_plan *plan, const layout_reach *now, const fullness_then *then,
                 fullness *out)
{
    const kept_layout *layout = then->layout;
    const uint32_t n_parts = fullness_parts(plan);
    bool any = false;
    out->whole = then->record == NULL ? FULL_ALWAYS : then->record->whole;
    out->rows = layout->reach.longest_rows;
    if (out->whole != FULL_ALWAYS && then->record->rows < out->rows)
        out->rows = then->record->rows;
    out->is_bare = then->record == NULL ? 0 : then->record->is_bare;
    if (then->has_lost && layout_needs_more(now, &layout->reach) && kept_from(then) > out->whole) {
        out->whole = kept_from(then);
        out->is_bare = 0;
    }
    if (layout->drops) {
        out->whole = behind(then->newest);
        out->is_bare = BARE_DROPPED;
    }
    for (uint32_t i = 0; i < plan->n_slots; i++)
        out->since[i] = since_of(then, layout->from[i], 0);
    for (uint32_t p = 0; p < n_parts; p++)
        out->since[plan->n_slots + p] = since_of(then, layout->pivot_from[p], layout->n_slots);
    for (uint32_t i = 0; i < plan->n_slots + n_parts; i++)
        any |= out->since[i] != FULL_ALWAYS && i != plan->row_slot;
    return any || out->whole != FULL_ALWAYS;
}

void fullness_from(const windows_plan *plan, int64_t whole, fullness *out)
{
    *out = (fullness){.whole = whole, .is_bare = BARE_BEGUN};
    for (uint32_t i = 0; i < plan->n_slots + fullness_parts(plan); i++)
        out->since[i] = FULL_ALWAYS;
}

/* ---- asking it ------------------------------------------------------------------------------- */

/* The time of event number n from the front. */
static int64_t time_of_event(const walker *walker, const events *events, uint32_t n)
{
    event_place at = events_end(events, events->n - n);
    const event_block *block;
    uint32_t event = at.event;
    while ((block = events_block(events, &at)) != NULL && event >= block->n)
        event -= block->n;
    return block == NULL ? INT64_MAX : event_time(walker, block, event);
}

static int64_t since_of_look(const windows_plan *plan, const fullness *record,
                             const window_look *look)
{
    int64_t since = record->since[look->slot];
    if (plan->pivot != NULL)
        since = later(since, later(record->since[plan->pivot_slot],
                                   record->since[plan->n_slots + look->part]));
    return since;
}

/* A value of the pivot that was known before is known of all events, whatever is new beside it. */
static bool is_full_by_rows(const walker *walker, const events *events, const fullness *record,
                            const fullness_row *row, const window_look *look, int64_t since)
{
    const bool has_all = row->n_before >= (uint64_t)look->length;
    const uint32_t first = has_all ? row->n_before - (uint32_t)look->length : 0;
    const int64_t oldest = time_of_event(walker, events, first);
    if (since != FULL_ALWAYS && oldest < since)
        return false;
    if (record->whole == FULL_ALWAYS)
        return true;
    return has_all && (!row->is_any || look->length <= record->rows || oldest >= record->whole);
}

static bool is_full(const walker *walker, const events *events, const fullness *record,
                    const fullness_row *row, const window_look *look)
{
    const int64_t since = since_of_look(walker->plan, record, look);
    if (look->mode == WINDOW_ROWS)
        return is_full_by_rows(walker, events, record, row, look, since);
    const int64_t begin = minus(row->time, look->length);
    return begin >= since && (row->is_late || begin >= record->whole);
}

bool fullness_mask(const walker *walker, const events *events, const fullness *record,
                   const fullness_row *row, answer_row *into)
{
    const windows_plan *plan = walker->plan;
    for (uint32_t i = 0; i < plan->outputs.n_fields; i++)
        if (!plan->looks[i].is_partial && !is_full(walker, events, record, row, &plan->looks[i]) &&
            !column_set_null(into->arena, &into->columns[i], into->row))
            return false;
    return true;
}

static int64_t last_since(const windows_plan *plan, const fullness *record)
{
    int64_t since = FULL_ALWAYS;
    for (uint32_t i = 0; i < plan->n_slots + fullness_parts(plan); i++)
        since = i == plan->row_slot ? since : later(since, record->since[i]);
    return since;
}

bool fullness_is_behind(const windows_plan *plan, const fullness *record, int64_t time)
{
    return time >= later(last_since(plan, record), record->whole);
}

bool fullness_is_over(const walker *walker, const events *events, const fullness *record,
                      int64_t horizon)
{
    const windows_plan *plan = walker->plan;
    const int64_t from = later(last_since(plan, record), record->whole);
    if (plan->longest_s >= 0 && minus(horizon, plan->longest_s) < from)
        return false;
    if (plan->longest_rows == 0)
        return horizon >= from;
    if (horizon <= from || events->n == 0)
        return false;
    const uint32_t behind_from = events_behind(events, events_find(walker, events, from));
    const uint32_t behind_horizon = events_behind(events, events_find(walker, events, horizon));
    return behind_from - behind_horizon >= plan->longest_rows;
}

bool fullness_may_go(const walker *walker, const events *events, const fullness *record)
{
    return events->n == 0 || time_of_event(walker, events, 0) >= last_since(walker->plan, record);
}

/* ---- for people ------------------------------------------------------------------------------ */

static void show_time(const windows_plan *plan, const char *what, int64_t time, const char **before,
                      text_buffer *into)
{
    const int64_t us = plan->in_us ? 1 : 1000000;
    if (time == FULL_ALWAYS)
        return;
    text_append_c(into, *before);
    text_append_json(into, what, strlen(what));
    text_append_c(into, ": ");
    *before = ", ";
    if (time > INT64_MAX / us) {
        text_append_c(into, "null");
        return;
    }
    text_append_char(into, '"');
    text_append_timestamp(into, time * us);
    text_append_char(into, '"');
}

void fullness_show(const windows_plan *plan, const fullness *record, text_buffer *into)
{
    const char *before = ", \"known_from\": {";
    show_time(plan, "events", record->whole, &before, into);
    for (uint32_t i = 0; i < plan->n_slots; i++)
        if (plan->slots[i].values != WINDOWS_NONE)
            show_time(plan, plan->columns.fields[plan->slots[i].values].name, record->since[i],
                      &before, into);
    for (uint32_t p = 0; p < fullness_parts(plan); p++)
        show_time(plan, plan->pivot->names[p], record->since[plan->n_slots + p], &before, into);
    if (strcmp(before, ", ") == 0)
        text_append_char(into, '}');
}
