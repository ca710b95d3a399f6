/* groups_plan.c - from what is declared to what is kept of an event and asked of a group; see
 * groups.h and groups_internal.h. */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "rolling/groups_internal.h"

#define PLANNING "planning the groups"
#define SECOND_US INT64_C(1000000)

static freshet_code bad(freshet_error *err, const char *text)
{
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL, "%s", text);
}

/* ---- windows -------------------------------------------------------------------------------- */

int64_t group_end_after(const groups_plan *plan, const group_window *window, int64_t after)
{
    int64_t slide = plan->slide_us;
    if (after > GROUPS_TIME_MAX)
        return INT64_MAX;
    if (after < -GROUPS_TIME_MAX)
        after = -GROUPS_TIME_MAX;
    int64_t rest = (after - window->phase_us) % slide;
    return after - (rest < 0 ? rest + slide : rest) + slide;
}

/* "1 day", as Butterfree's default is written: its daily table of all keys. */
static bool is_one_day(const char *text)
{
    text += strspn(text, " ");
    if (*text++ != '1')
        return false;
    text += strspn(text, " ");
    return strncmp(text, "day", 3) == 0;
}

static freshet_code check_overlap(const groups_plan *plan, freshet_error *err)
{
    int64_t overlap = 0;
    for (uint32_t w = 0; w < plan->n_windows; w++)
        overlap += plan->windows[w].length_us / plan->slide_us + 1;
    if (overlap > GROUPS_OVERLAP_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "each event would be in %lld windows, and %d is the most: make the slide "
                         "longer or the windows shorter",
                         (long long)overlap, GROUPS_OVERLAP_MAX);
    if (plan->declaration.emit_change && overlap > GROUPS_CHANGES_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "each event would change %lld windows, and with \"emit: change\" %d is "
                         "the most: make the slide longer, or the windows shorter, or take "
                         "\"emit: close\"",
                         (long long)overlap, GROUPS_CHANGES_MAX);
    return FRESHET_OK;
}

static freshet_code read_windows(groups_plan *plan, arena *arena, freshet_error *err)
{
    const groups_declaration *declaration = &plan->declaration;
    const char *unused;
    int64_t slide_s = 0, seconds = 0;
    if (!plan->is_rolling) {
        plan->slide_us = 1; /* a group without windows is one of a microsecond, at its own time */
        return FRESHET_OK;
    }
    freshet_code code =
        window_parse(arena, declaration->slide, WINDOW_FIXED, &slide_s, &unused, err);
    plan->is_grid = is_one_day(declaration->slide);
    plan->slide_us = slide_s * SECOND_US;
    for (uint32_t w = 0; w < declaration->n_windows && code == FRESHET_OK; w++) {
        const char *text = declaration->windows[w];
        code = window_parse(arena, text, WINDOW_FIXED, &seconds, &unused, err);
        if (code == FRESHET_OK && seconds < slide_s)
            code = error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                             "window \"%s\" is shorter than the slide, \"%s\": events between two "
                             "windows would be in none",
                             text, declaration->slide);
    }
    return code;
}

/* One a stop: all features have the same. */
static freshet_code plan_windows(groups_plan *plan, arena *arena, freshet_error *err)
{
    assert(plan->events != NULL);
    const window_walk *walk = &plan->events->walks[WINDOW_ROLLING];
    plan->n_windows = walk->n_stops;
    plan->windows = arena_zero(arena, walk->n_stops + (size_t)1, sizeof *plan->windows);
    if (plan->windows == NULL)
        return error_memory(err, PLANNING);
    for (uint32_t w = 0; w < walk->n_stops; w++) {
        int64_t length_us = walk->stops[w].length;
        plan->windows[w] =
            (group_window){length_us, plan->is_grid ? 0 : length_us % plan->slide_us};
    }
    return plan->is_rolling ? check_overlap(plan, err) : FRESHET_OK;
}

/* What is kept and computed: as windows that end where they are asked to. */
static freshet_code plan_events(groups_plan *plan, arena *arena, freshet_error *err)
{
    const groups_declaration *declaration = &plan->declaration;
    windows_feature *features =
        arena_zero(arena, declaration->n_features + (size_t)1, sizeof *features);
    if (features == NULL)
        return error_memory(err, PLANNING);
    for (uint32_t i = 0; i < declaration->n_features; i++) {
        features[i] = declaration->features[i];
        features[i].mode = WINDOW_ROLLING;
        features[i].windows = declaration->windows;
        features[i].n_windows = declaration->n_windows;
    }
    windows_declaration *windows = arena_zero(arena, 1, sizeof *windows);
    if (windows == NULL)
        return error_memory(err, PLANNING);
    *windows = (windows_declaration){
        .keys = declaration->keys,
        .n_keys = declaration->n_keys,
        .columns = declaration->columns,
        .n_columns = declaration->n_columns,
        .features = features,
        .n_features = declaration->n_features,
        .pivot = declaration->pivot.column == WINDOWS_NONE ? NULL : &plan->declaration.pivot,
        .distinct = declaration->distinct,
        .n_distinct = declaration->n_distinct,
        .keep_first = declaration->keep_first,
    };
    return windows_plan_make(arena, windows, &plan->events, err);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void mix(uint64_t *hash, const void *bytes, size_t length)
{
    *hash = hash_bytes(bytes, length, *hash);
}

/* Of the keys, and whether there are windows; all else is the layout (windows/layouts.h). */
static void make_fingerprint(groups_plan *plan)
{
    uint64_t hash = plan->events->fingerprint;
    const unsigned char kind = plan->is_rolling;
    mix(&hash, &kind, 1);
    plan->fingerprint = hash;
}

static freshet_code check_declaration(const groups_declaration *declaration, freshet_error *err)
{
    if (declaration->n_windows > GROUPS_WINDOWS_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "an aggregated feature set can have at most %u windows",
                         GROUPS_WINDOWS_MAX);
    if (declaration->pivot.column != WINDOWS_NONE && declaration->pivot.n_values == 0)
        return bad(err, "a pivot needs its values: write them under \"values\"");
    if (declaration->pivot.column != WINDOWS_NONE && declaration->pivot.n_values > GROUPS_PIVOT_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "a pivot can have at most %u values", GROUPS_PIVOT_MAX);
    return FRESHET_OK;
}

freshet_code groups_plan_make(arena *arena, const groups_declaration *declaration,
                              groups_plan **out, freshet_error *err)
{
    groups_plan *plan = arena_zero(arena, 1, sizeof *plan);
    if (plan == NULL)
        return error_memory(err, PLANNING);
    *plan = (groups_plan){.declaration = *declaration, .is_rolling = declaration->n_windows > 0};
    freshet_code code = check_declaration(declaration, err);
    if (code == FRESHET_OK)
        code = read_windows(plan, arena, err);
    if (code == FRESHET_OK)
        code = plan_events(plan, arena, err);
    if (code == FRESHET_OK)
        code = plan_windows(plan, arena, err);
    if (code != FRESHET_OK)
        return code;
    make_fingerprint(plan);
    *out = plan;
    return FRESHET_OK;
}

bool groups_keeps_values(const groups_plan *plan, uint32_t feature)
{
    const windows_feature *wanted = &plan->declaration.features[feature];
    for (uint32_t i = 0; i < plan->events->n_slots; i++) {
        const window_slot *slot = &plan->events->slots[i];
        if (slot->values == wanted->values && slot->filter == wanted->filter)
            return slot->cell > 0;
    }
    return false;
}

const windows_plan *groups_windows(const groups_plan *plan)
{
    return plan->events;
}

const schema *groups_outputs(const groups_plan *plan)
{
    return &plan->events->outputs;
}

void groups_output_of(const groups_plan *plan, uint32_t output, uint32_t *feature,
                      uint32_t *function)
{
    const groups_declaration *declaration = &plan->declaration;
    const uint32_t n_windows = declaration->n_windows == 0 ? 1 : declaration->n_windows;
    const uint32_t of_part = plan->events->outputs.n_fields / plan->events->n_parts;
    *function = output % of_part / n_windows;
    for (*feature = 0; *function >= declaration->features[*feature].n_functions; ++*feature)
        *function -= declaration->features[*feature].n_functions;
}

int64_t groups_longest_us(const groups_plan *plan)
{
    return plan->windows[plan->n_windows - 1].length_us;
}
