/* windows_known.c - the layouts of the windows' keys (known_layouts.h), and what the state makes of
 * them. */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "windows/windows_internal.h"

freshet_code windows_open_layout(windows_state *state, freshet_error *err)
{
    const layout_reach reach = {.longest_s = state->plan->longest_s,
                                .longest_rows = state->plan->longest_rows,
                                .lateness_s =
                                    state->options.plain_order ? 0 : state->options.lateness_s};
    freshet_code code = known_open(&state->known, state->plan, &reach, err);
    state->part.layout = state->known.text;
    state->record_bytes = fullness_bytes(state->plan->n_slots, fullness_parts(state->plan));
    return code;
}

freshet_code windows_evolve(windows_state *state, const char *last, uint64_t declared,
                            int64_t newest, const kept_layout **out, freshet_error *err)
{
    state->lists_anew = last != NULL && strcmp(last, state->known.text) != 0;
    return known_evolve(&state->known, last, declared, newest, out, err);
}

const layout_numbers *windows_numbers(const windows_state *state)
{
    return &state->known.numbers;
}

/* Takes the plan in the place of the state's own; there are no keys yet. */
static freshet_code take_plan(windows_state *state, const windows_plan *plan, freshet_error *err)
{
    assert(keyed_count(&state->keys) == 0);
    const void **cells = memory_take(&state->memory, (plan->n_slots + 1) * sizeof *cells);
    if (cells == NULL)
        return error_memory(err, "taking up the windows");
    memory_give(&state->memory, state->cells, (state->plan->n_slots + 1) * sizeof *state->cells);
    walker_release(&state->walker);
    state->cells = cells;
    state->plan = plan;
    state->record_bytes = fullness_bytes(plan->n_slots, fullness_parts(plan));
    return walker_init(&state->walker, plan, &state->memory, err);
}

freshet_code windows_know(void *self, const char *text, freshet_error *err)
{
    windows_state *state = self;
    freshet_code code = known_tell(&state->known, text, err);
    return code == FRESHET_OK && state->known.plan != state->plan
               ? take_plan(state, state->known.plan, err)
               : code;
}
