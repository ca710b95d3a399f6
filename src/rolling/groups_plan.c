/* groups_plan.c - from what is declared to what is kept of an event and asked of a group; see
 * groups.h and groups_internal.h. */
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "rolling/groups_internal.h"

#define PLANNING "planning the groups"
#define PARTIAL_ALIGN 16u
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

static int compare_windows(const void *a, const void *b)
{
    const group_window *x = a, *y = b;
    if (x->length_us != y->length_us)
        return x->length_us < y->length_us ? -1 : 1;
    return x->index < y->index ? -1 : 1;
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

/* `names` gets what stands for each window in the names of columns, in the declaration's order. */
static freshet_code plan_windows(groups_plan *plan, arena *arena, const char **names,
                                 freshet_error *err)
{
    const groups_declaration *declaration = &plan->declaration;
    const char *unused;
    int64_t seconds = 0;
    freshet_code code =
        window_parse(arena, declaration->slide, WINDOW_FIXED, &seconds, &unused, err);
    plan->is_grid = is_one_day(declaration->slide);
    plan->slide_us = seconds * SECOND_US;
    for (uint32_t w = 0; w < plan->n_windows && code == FRESHET_OK; w++) {
        const char *text = declaration->windows[w];
        code = window_parse(arena, text, WINDOW_FIXED, &seconds, &names[w], err);
        if (code != FRESHET_OK)
            break;
        int64_t length_us = seconds * SECOND_US;
        if (length_us < plan->slide_us)
            return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                             "window \"%s\" is shorter than the slide, \"%s\": events between two "
                             "windows would be in none",
                             text, declaration->slide);
        int64_t phase_us = plan->is_grid ? 0 : length_us % plan->slide_us;
        plan->windows[w] = (group_window){length_us, phase_us, w};
    }
    if (code != FRESHET_OK)
        return code;
    qsort(plan->windows, plan->n_windows, sizeof *plan->windows, compare_windows);
    return check_overlap(plan, err);
}

/* A group without windows is one of a microsecond, at its own time. */
static void plan_moment(groups_plan *plan)
{
    plan->n_windows = 1;
    plan->slide_us = 1;
    plan->windows[0] = (group_window){.length_us = 1};
}

/* ---- features -------------------------------------------------------------------------------- */

static uint32_t groups_find_slot(groups_plan *plan, uint32_t values, uint32_t filter)
{
    for (uint32_t i = 0; i < plan->n_slots; i++)
        if (plan->slots[i].values == values && plan->slots[i].filter == filter)
            return i;
    if (plan->n_slots == WINDOWS_SLOTS_MAX)
        return UINT32_MAX;
    const type *type = plan->declaration.columns[values].type;
    plan->slots[plan->n_slots] = (group_slot){.values = values, .filter = filter, .type = type};
    return plan->n_slots++;
}

static uint32_t find_measure(groups_plan *plan, uint32_t slot, const aggregate_family *family)
{
    for (uint32_t i = 0; i < plan->n_measures; i++)
        if (plan->measures[i].slot == slot && plan->measures[i].family == family)
            return i;
    plan->measures[plan->n_measures] = (group_measure){.slot = slot, .family = family};
    if (family->reads_values)
        plan->slots[slot].cell = (uint32_t)type_cell_size(plan->slots[slot].type);
    return plan->n_measures++;
}

static freshet_code groups_check_feature(const groups_declaration *declaration,
                                         const groups_feature *feature, freshet_error *err)
{
    assert(feature->values < declaration->n_columns);
    assert(feature->filter == WINDOWS_NO_FILTER || feature->filter < declaration->n_columns);
    if (feature->filter != WINDOWS_NO_FILTER &&
        declaration->columns[feature->filter].type->kind != TYPE_BOOLEAN)
        return bad(err, "the filter of an aggregate must give a boolean");
    if (feature->n_functions == 0)
        return bad(err, "an aggregated feature needs at least one function");
    return FRESHET_OK;
}

static freshet_code plan_feature(groups_plan *plan, arena *arena, uint32_t index,
                                 freshet_error *err)
{
    const groups_feature *feature = &plan->declaration.features[index];
    freshet_code code = groups_check_feature(&plan->declaration, feature, err);
    if (code != FRESHET_OK)
        return code;
    const type *input = plan->declaration.columns[feature->values].type;
    uint32_t slot = groups_find_slot(plan, feature->values, feature->filter);
    aggregate *aggregates = arena_zero(arena, feature->n_functions, sizeof *aggregates);
    if (aggregates == NULL)
        return error_memory(err, PLANNING);
    if (slot == UINT32_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "aggregates over more than %u columns and filters", WINDOWS_SLOTS_MAX);
    for (uint32_t f = 0; f < feature->n_functions; f++) {
        code = aggregate_prepare(arena, feature->functions[f].text, input, &aggregates[f], err);
        if (code != FRESHET_OK)
            return code;
        plan->answers[plan->n_answers++] = (group_answer){
            .aggregate = &aggregates[f],
            .measure = find_measure(plan, slot, aggregates[f].family),
            .feature = index,
            .function = f,
        };
    }
    return FRESHET_OK;
}

static freshet_code plan_features(groups_plan *plan, arena *arena, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; i < plan->declaration.n_features && code == FRESHET_OK; i++) {
        code = plan_feature(plan, arena, i, err);
        if (code == FRESHET_BAD_DECLARATION && err != NULL) {
            freshet_error cause = *err;
            return error_set(err, code, FRESHET_STOP, NULL, "feature \"%s\": %s",
                             plan->declaration.features[i].name, cause.text);
        }
    }
    return code;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Butterfree: `[value_]feature__function[_over_window_rolling_windows]`, the function in small letters. */
static const char *output_name(const groups_plan *plan, arena *arena, uint32_t pivot,
                               const group_answer *answer, const char *window)
{
    const groups_feature *feature = &plan->declaration.features[answer->feature];
    const windows_function *function = &feature->functions[answer->function];
    const char *word = function->as != NULL ? function->as : answer->aggregate->name;
    bool pivots = plan->declaration.pivot.column != WINDOWS_NONE;
    char *lower = arena_text(arena, word);
    for (char *c = lower; c != NULL && *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    if (lower == NULL)
        return NULL;
    return arena_format(arena, "%s%s%s__%s%s%s%s",
                        pivots ? plan->declaration.pivot.names[pivot] : "", pivots ? "_" : "",
                        feature->name, lower, plan->is_rolling ? "_over_" : "",
                        plan->is_rolling ? window : "", plan->is_rolling ? "_rolling_windows" : "");
}

static freshet_code name_outputs(groups_plan *plan, arena *arena, const char *const *windows,
                                 freshet_error *err)
{
    uint64_t n = (uint64_t)plan->n_pivots * plan->n_answers * plan->n_windows;
    if (n > WINDOWS_OUTPUTS_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the aggregates make %llu columns; at most %u are possible",
                         (unsigned long long)n, WINDOWS_OUTPUTS_MAX);
    field *outputs = arena_zero(arena, n + 1, sizeof *outputs);
    if (outputs == NULL)
        return error_memory(err, PLANNING);
    field *output = outputs;
    for (uint32_t p = 0; p < plan->n_pivots; p++)
        for (uint32_t a = 0; a < plan->n_answers; a++)
            for (uint32_t w = 0; w < plan->n_windows; w++, output++) {
                output->type = plan->answers[a].aggregate->output;
                output->name = output_name(plan, arena, p, &plan->answers[a], windows[w]);
                if (output->name == NULL)
                    return error_memory(err, PLANNING);
            }
    plan->outputs = (schema){(uint32_t)n, outputs};
    return FRESHET_OK;
}

/* ---- laying out ------------------------------------------------------------------------------ */

static int compare_measures(const void *a, const void *b)
{
    const group_measure *x = a, *y = b;
    return (x->slot > y->slot) - (x->slot < y->slot);
}

/* Measures of a slot stand together; `merges` where no family holds the values themselves. */
static freshet_code lay_out_frame(groups_plan *plan, arena *arena, freshet_error *err)
{
    group_measure *before = arena_zero(arena, plan->n_measures + 1, sizeof *before);
    if (before == NULL)
        return error_memory(err, PLANNING);
    memcpy(before, plan->measures, plan->n_measures * sizeof *before);
    qsort(plan->measures, plan->n_measures, sizeof *plan->measures, compare_measures);
    plan->part_bytes = PARTIAL_ALIGN;
    plan->merges = plan->declaration.n_distinct == 0;
    for (uint32_t m = 0; m < plan->n_measures; m++) {
        group_measure *measure = &plan->measures[m];
        group_slot *slot = &plan->slots[measure->slot];
        if (slot->n_measures++ == 0)
            slot->first_measure = m;
        measure->offset = plan->part_bytes;
        plan->part_bytes +=
            ((uint32_t)measure->family->size + PARTIAL_ALIGN - 1) & ~(PARTIAL_ALIGN - 1);
        plan->merges = plan->merges && measure->family->merge != NULL;
    }
    for (uint32_t a = 0; a < plan->n_answers; a++) {
        const group_measure *wanted = &before[plan->answers[a].measure];
        uint32_t m = plan->slots[wanted->slot].first_measure;
        while (plan->measures[m].family != wanted->family)
            m++;
        plan->answers[a].measure = m;
    }
    plan->frame_bytes = (size_t)plan->n_pivots * plan->part_bytes;
    return FRESHET_OK;
}

static void lay_out_record(groups_plan *plan)
{
    static const uint32_t sizes[] = {16, 8, 4, 1};
    uint32_t at = RECORD_VALID + (plan->n_slots + 7) / 8;
    at = (at + 7) & ~7u;
    if (plan->declaration.n_distinct > 0) {
        plan->subset_offset = at;
        at += (uint32_t)sizeof(cell_text);
    }
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (uint32_t i = 0; i < plan->n_slots; i++) {
            group_slot *slot = &plan->slots[i];
            if (slot->cell != sizes[s])
                continue;
            slot->offset = at;
            at += slot->cell;
            slot->is_text = slot->type->kind == TYPE_STRING || slot->type->kind == TYPE_BINARY;
        }
    plan->record_bytes = (at + 7) & ~7u;
    /* Partials that are larger than the events they stand for are not worth their room. */
    plan->merges =
        plan->merges && plan->frame_bytes <= (size_t)GROUP_BLOCK_MAX * plan->record_bytes;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void mix(uint64_t *hash, const void *bytes, size_t length)
{
    *hash = hash_bytes(bytes, length, *hash);
}

static void mix_type(uint64_t *hash, const type *type)
{
    const unsigned char bytes[] = {(unsigned char)type->kind, type->width, type->scale};
    mix(hash, bytes, sizeof bytes);
}

static void mix_column(uint64_t *hash, const groups_plan *plan, uint32_t column)
{
    const field *field = &plan->declaration.columns[column];
    mix(hash, field->name, strlen(field->name));
    mix_type(hash, field->type);
}

/* Of the keys, and of all that a record holds. Functions, windows and the slide may change. */
static void make_fingerprint(groups_plan *plan)
{
    const groups_declaration *declaration = &plan->declaration;
    uint64_t hash = 1;
    unsigned char kind = (unsigned char)(plan->is_rolling + 2 * (plan->subset_offset > 0));
    mix(&hash, &kind, 1);
    for (uint32_t i = 0; i < declaration->n_keys; i++)
        mix_type(&hash, declaration->keys[i]);
    for (uint32_t i = 0; i < plan->n_slots; i++) {
        mix_column(&hash, plan, plan->slots[i].values);
        if (plan->slots[i].filter != WINDOWS_NO_FILTER)
            mix_column(&hash, plan, plan->slots[i].filter);
        mix(&hash, &plan->slots[i].cell, sizeof plan->slots[i].cell);
    }
    for (uint32_t i = 0; i < declaration->n_distinct; i++)
        mix_column(&hash, plan, declaration->distinct[i]);
    if (declaration->pivot.column != WINDOWS_NONE)
        mix_column(&hash, plan, declaration->pivot.column);
    for (uint32_t p = 0; declaration->pivot.column != WINDOWS_NONE && p < plan->n_pivots; p++)
        mix(&hash, declaration->pivot.names[p], strlen(declaration->pivot.names[p]));
    plan->fingerprint = hash;
}

static freshet_code check_declaration(const groups_declaration *declaration, freshet_error *err)
{
    if (declaration->n_keys > WINDOWS_KEYS_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "a feature set can have at most %u keys", WINDOWS_KEYS_MAX);
    for (uint32_t i = 0; i < declaration->n_keys; i++)
        if (declaration->keys[i]->n_fields > 0)
            return bad(err, "a key must be a single value, not an array or a struct");
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

static freshet_code groups_allocate(groups_plan *plan, arena *arena, freshet_error *err)
{
    const groups_declaration *declaration = &plan->declaration;
    size_t n_answers = 0;
    for (uint32_t i = 0; i < declaration->n_features; i++)
        n_answers += declaration->features[i].n_functions;
    plan->answers = arena_zero(arena, n_answers + 1, sizeof *plan->answers);
    plan->measures = arena_zero(arena, n_answers + 1, sizeof *plan->measures);
    plan->slots = arena_zero(arena, declaration->n_features + (size_t)1, sizeof *plan->slots);
    plan->windows = arena_zero(arena, declaration->n_windows + (size_t)1, sizeof *plan->windows);
    return plan->answers == NULL || plan->measures == NULL || plan->slots == NULL ||
                   plan->windows == NULL
               ? error_memory(err, PLANNING)
               : FRESHET_OK;
}

freshet_code groups_plan_make(arena *arena, const groups_declaration *declaration,
                              groups_plan **out, freshet_error *err)
{
    groups_plan *plan = arena_zero(arena, 1, sizeof *plan);
    const char *names[GROUPS_WINDOWS_MAX] = {NULL};
    if (plan == NULL)
        return error_memory(err, PLANNING);
    *plan = (groups_plan){.declaration = *declaration,
                          .n_windows = declaration->n_windows,
                          .is_rolling = declaration->n_windows > 0,
                          .n_pivots = 1};
    if (declaration->pivot.column != WINDOWS_NONE)
        plan->n_pivots = declaration->pivot.n_values;
    freshet_code code = check_declaration(declaration, err);
    if (code == FRESHET_OK)
        code = groups_allocate(plan, arena, err);
    if (code == FRESHET_OK && plan->is_rolling)
        code = plan_windows(plan, arena, names, err);
    else if (code == FRESHET_OK)
        plan_moment(plan);
    if (code == FRESHET_OK)
        code = plan_features(plan, arena, err);
    if (code == FRESHET_OK)
        code = lay_out_frame(plan, arena, err);
    if (code == FRESHET_OK)
        code = name_outputs(plan, arena, names, err);
    if (code != FRESHET_OK)
        return code;
    lay_out_record(plan);
    make_fingerprint(plan);
    *out = plan;
    return FRESHET_OK;
}

const schema *groups_outputs(const groups_plan *plan)
{
    return &plan->outputs;
}

void groups_output_of(const groups_plan *plan, uint32_t output, uint32_t *feature,
                      uint32_t *function)
{
    const group_answer *answer = &plan->answers[output / plan->n_windows % plan->n_answers];
    *feature = answer->feature;
    *function = answer->function;
}

int64_t groups_longest_us(const groups_plan *plan)
{
    return plan->windows[plan->n_windows - 1].length_us;
}
