/* windows_known.c - the layouts (layouts.h) that saved keys of the windows may have: the plan's
 * own, and older ones, of which the store tells before the first key is read. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "windows/windows_internal.h"

#define KNOWING "noting what saved keys hold"
#define TEXT_ROOM 2 /* a plan that is split has at most twice the slots */
#define NUMBER_ROOM 24

static freshet_code note_layout(windows_state *state, freshet_error *err)
{
    const char *text = layout_text(state->kept, state->plan, &state->numbers, &state->reach);
    if (text == NULL)
        return error_memory(err, KNOWING);
    const size_t length = strlen(text);
    if (state->layout_text == NULL) {
        /* the part is copied by its user: its text stays where it is */
        size_t room = length + 1;
        for (const char *c = text; *c != '\0'; c++)
            room += *c == '\n' ? NUMBER_ROOM : 0;
        state->layout_text = arena_zero(state->kept, TEXT_ROOM, room);
        state->part.layout = state->layout_text;
    }
    if (state->layout_text == NULL)
        return error_memory(err, KNOWING);
    memcpy(state->layout_text, text, length + 1);
    state->layout = layout_id(text);
    state->record_bytes = fullness_bytes(state->plan->n_slots, fullness_parts(state->plan));
    return FRESHET_OK;
}

freshet_code windows_open_layout(windows_state *state, freshet_error *err)
{
    state->kept = arena_open();
    if (state->kept == NULL)
        return error_memory(err, KNOWING);
    state->reach =
        (layout_reach){.longest_s = state->plan->longest_s,
                       .longest_rows = state->plan->longest_rows,
                       .lateness_s = state->options.plain_order ? 0 : state->options.lateness_s};
    state->numbers =
        (layout_numbers){.declared = 1, .since = LAYOUT_ALWAYS, .whole = LAYOUT_ALWAYS};
    return note_layout(state, err);
}

/* What has been filled is known from ever on. */
static void forget_since(const windows_state *state, kept_layout *layout)
{
    for (uint32_t i = 0; i < layout->n_slots; i++)
        if (layout->slots[i].number <= state->filled)
            layout->slots[i].since = LAYOUT_ALWAYS;
    for (uint32_t q = 0; q < layout->n_pivot; q++)
        if (layout->pivot[q].number <= state->filled)
            layout->pivot[q].since = LAYOUT_ALWAYS;
    if (state->filled > 0)
        layout->whole = LAYOUT_ALWAYS;
}

freshet_code windows_evolve(windows_state *state, const char *last, uint64_t declared,
                            int64_t newest, const kept_layout **out, freshet_error *err)
{
    kept_layout *layout = NULL;
    freshet_code code = last == NULL ? FRESHET_OK : layout_read(state->kept, last, &layout, err);
    if (code != FRESHET_OK)
        return code;
    if (layout != NULL)
        forget_since(state, layout);
    const int64_t since = newest == INT64_MAX ? newest : newest + 1;
    state->numbers = (layout_numbers){.last = layout,
                                      .declared = declared,
                                      .since = layout == NULL ? LAYOUT_ALWAYS : since,
                                      .whole = since};
    if (layout != NULL)
        code = layout_match(state->kept, layout, state->plan, &state->numbers, err);
    *out = layout;
    return code == FRESHET_OK ? note_layout(state, err) : code;
}

const layout_numbers *windows_numbers(const windows_state *state)
{
    return &state->numbers;
}

/* Takes the plan with further splits in the place of the state's own; there are no keys yet. */
static freshet_code split_plan(windows_state *state, const windows_split *splits, uint32_t n,
                               freshet_error *err)
{
    windows_plan *plan = NULL;
    assert(keyed_count(&state->keys) == 0);
    freshet_code code = layout_split_plan(state->kept, state->plan, splits, n, &plan, err);
    if (code != FRESHET_OK)
        return code;
    const void **cells = memory_take(&state->memory, (plan->n_slots + 1) * sizeof *cells);
    if (cells == NULL)
        return error_memory(err, KNOWING);
    memory_give(&state->memory, state->cells, (state->plan->n_slots + 1) * sizeof *state->cells);
    walker_release(&state->walker);
    state->cells = cells;
    state->plan = plan;
    code = walker_init(&state->walker, plan, &state->memory, err);
    for (kept_layout *known = state->layouts; code == FRESHET_OK && known != NULL;
         known = known->next)
        code = layout_match(state->kept, known, plan, &state->numbers, err);
    return code == FRESHET_OK ? note_layout(state, err) : code;
}

/* Also one that is the plan's own: it may not stay so. */
freshet_code windows_know(void *self, const char *text, freshet_error *err)
{
    windows_state *state = self;
    const windows_declaration *declaration = state->plan->declaration;
    kept_layout *known = NULL;
    windows_split *splits = arena_zero(
        state->kept, declaration->n_splits + state->plan->n_slots + (size_t)1, sizeof *splits);
    if (splits == NULL)
        return error_memory(err, KNOWING);
    freshet_code code = layout_read(state->kept, text, &known, err);
    if (code == FRESHET_OK)
        code = layout_match(state->kept, known, state->plan, &state->numbers, err);
    if (code != FRESHET_OK)
        return code;
    known->next = state->layouts;
    state->layouts = known;
    if (declaration->n_splits > 0)
        memcpy(splits, declaration->splits, declaration->n_splits * sizeof *splits);
    const uint32_t n =
        layout_splits(known, state->plan, &state->numbers, splits, declaration->n_splits);
    return n == declaration->n_splits ? FRESHET_OK : split_plan(state, splits, n, err);
}

const kept_layout *windows_find_layout(const windows_state *state, uint64_t id)
{
    const kept_layout *known = state->layouts;
    while (known != NULL && known->id != id)
        known = known->next;
    return known;
}
