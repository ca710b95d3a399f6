/* aggregated_plan.c - from the declaration of an aggregated feature set to the plan of its groups
 * (rolling/groups.h) and the columns of its output. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/text.h"
#include "features/cast.h"
#include "features/feature_plan_internal.h"
#include "features/operators/aggregated.h"
#include "sql/sql_words.h"

typedef struct group_planner {
    problem_sink to;
    const feature_set_block *block;
    const plan *set; /* of the feature set: the growing row */
    aggregated_plan *plan;
    seen_columns seen;
    groups_declaration groups;
} group_planner;

static freshet_code no_memory(const group_planner *planner)
{
    return error_memory(planner->to.err, PLANNING);
}

/* ---- features -------------------------------------------------------------------------------- */

static freshet_code declare_feature(group_planner *planner, const many_feature *feature,
                                    windows_feature *into)
{
    const feature_block *block = feature->block;
    const windows_function *functions =
        plan_function_texts(planner->to.arena, &block->aggregate.functions);
    if (functions == NULL)
        return no_memory(planner);
    const char *filter =
        feature->filter == NO_SLOT ? "" : sql_plain(planner->to.arena, block->filter.value);
    if (filter == NULL)
        return no_memory(planner);
    *into = (windows_feature){
        .name = block->name.value,
        .values = seen_columns_add(&planner->seen, planner->set, feature->values, NULL),
        .filter = feature->filter == NO_SLOT
                      ? WINDOWS_NO_FILTER
                      : seen_columns_add(&planner->seen, planner->set, feature->filter, filter),
        .functions = functions,
        .n_functions = block->aggregate.functions.n,
        .is_partial = plan_is_partial(planner->block, block),
    };
    return FRESHET_OK;
}

static freshet_code declare_features(group_planner *planner)
{
    uint32_t n = planner->set->n_many;
    windows_feature *features = arena_zero(planner->to.arena, n + (size_t)1, sizeof *features);
    freshet_code code = FRESHET_OK;
    bool sound; /* the problems are counted */
    if (features == NULL)
        return no_memory(planner);
    for (uint32_t i = 0; i < n && code == FRESHET_OK; i++) {
        code = declare_feature(planner, &planner->set->many[i], &features[i]);
        const feature_block *block = planner->set->many[i].block;
        if (code == FRESHET_OK)
            code = plan_check_functions(&planner->to, block, &block->aggregate.functions,
                                        planner->set->slots[planner->set->many[i].values].type,
                                        &sound);
    }
    planner->groups.features = features;
    planner->groups.n_features = n;
    return code;
}

/* ---- pivot ----------------------------------------------------------------------------------- */

/* Butterfree names a column by Python's text of the value: True, not true. */
static const char *pivot_name(group_planner *planner, const column *values, uint32_t i,
                              const char *text)
{
    if (values->type->kind == TYPE_BOOLEAN)
        return ((const uint8_t *)values->data)[i] != 0 ? "True" : "False";
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    return arena_copy(planner->to.arena, text, length);
}

/* The declared texts as cells of the column's type. */
static freshet_code read_pivot(group_planner *planner, const pivot_block *block, const type *type,
                               windows_pivot *into)
{
    uint32_t n = block->values.n;
    column texts, *values = arena_zero(planner->to.arena, 1, sizeof *values);
    const char **names = arena_zero(planner->to.arena, n + (size_t)1, sizeof *names);
    uint64_t *failed = NULL;
    if (values == NULL || names == NULL)
        return no_memory(planner);
    freshet_code code =
        column_init(planner->to.arena, &texts, type_simple(TYPE_STRING), n, planner->to.err);
    if (code != FRESHET_OK)
        return code;
    for (uint32_t i = 0; i < n; i++)
        ((cell_text *)texts.data)[i] =
            text_of(block->values.items[i].value, (uint32_t)strlen(block->values.items[i].value));
    code = cast_column(planner->to.arena, &texts, n, type, values, &failed, planner->to.err);
    for (uint32_t i = 0; i < n && code == FRESHET_OK; i++) {
        const declared_text *value = &block->values.items[i];
        if (cast_failed(failed, i) || !column_is_valid(values, i)) {
            const char *reason = cast_reason(planner->to.arena, &texts, i, type);
            problem_add(planner->to.problems, &value->at, "the pivot's column \"%s\" is %s: %s",
                        block->column.value, type_name(planner->to.arena, type),
                        reason == NULL ? "the value is no such thing" : reason);
            continue;
        }
        names[i] = pivot_name(planner, values, i, value->value);
        if (names[i] == NULL)
            code = no_memory(planner);
    }
    *into = (windows_pivot){into->column, values, names, n};
    return code;
}

static freshet_code declare_pivot(group_planner *planner)
{
    const pivot_block *block = &planner->block->aggregated.pivot;
    windows_pivot *pivot = &planner->groups.pivot;
    pivot->column = WINDOWS_NONE;
    if (planner->set->pivot == NO_SLOT)
        return FRESHET_OK;
    const type *type = planner->set->slots[planner->set->pivot].type;
    if (!cast_possible(type_simple(TYPE_STRING), type) || type->n_fields > 0) {
        problem_add(planner->to.problems, &block->column.at,
                    "the pivot's column \"%s\" is %s: a pivot needs single values",
                    block->column.value, type_name(planner->to.arena, type));
        return FRESHET_OK;
    }
    pivot->column = seen_columns_add(&planner->seen, planner->set, planner->set->pivot, NULL);
    return read_pivot(planner, block, type, pivot);
}

/* ---- windows, distinct ----------------------------------------------------------------------- */

static freshet_code declare_windows(group_planner *planner)
{
    const rolling_block *block = &planner->block->aggregated.windows;
    groups_declaration *groups = &planner->groups;
    if (!planner->block->aggregated.has_windows)
        return FRESHET_OK;
    groups->windows = plan_window_texts(planner->to.arena, &block->over);
    if (groups->windows == NULL)
        return no_memory(planner);
    groups->n_windows = block->over.n;
    groups->slide = block->slide.value;
    groups->emit_change = block->emit == 1;
    groups->nulls_on_expiry = planner->block->refresh == REFRESH_ON_EXPIRY;
    return FRESHET_OK;
}

static freshet_code declare_distinct(group_planner *planner)
{
    const distinct_block *block = &planner->block->aggregated.distinct;
    if (!planner->block->aggregated.has_distinct)
        return FRESHET_OK;
    uint32_t *subset = arena_zero(planner->to.arena, block->subset.n + (size_t)1, sizeof *subset);
    if (subset == NULL)
        return no_memory(planner);
    for (uint32_t i = 0; i < block->subset.n; i++) {
        uint32_t column = planner->set->distinct[i];
        if (planner->set->slots[column].type->kind == TYPE_STRUCT)
            problem_add(planner->to.problems, &block->subset.items[i].at,
                        "column \"%s\" of \"distinct\" is a struct: take its fields",
                        block->subset.items[i].value);
        subset[i] = seen_columns_add(&planner->seen, planner->set, column, NULL);
    }
    planner->groups.distinct = subset;
    planner->groups.n_distinct = block->subset.n;
    planner->groups.keep_first = block->keep == 1;
    return FRESHET_OK;
}

static freshet_code declare_keys(group_planner *planner)
{
    const plan *set = planner->set;
    const type **keys = arena_zero(planner->to.arena, set->n_keys + (size_t)1, sizeof(type *));
    if (keys == NULL)
        return no_memory(planner);
    for (uint32_t i = 0; i < set->n_keys; i++)
        keys[i] = set->slots[set->keys[i].to].type;
    planner->groups.keys = keys;
    planner->groups.n_keys = set->n_keys;
    return FRESHET_OK;
}

/* ---- the output ------------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b)
{
    return strcasecmp(((const field *)a)->name, ((const field *)b)->name);
}

/* Two functions of one name in a feature, two windows of one text, a pivot value said twice. */
static freshet_code aggregated_check_names(group_planner *planner)
{
    const schema *output = &planner->plan->output;
    field *sorted = arena_alloc(planner->to.arena, output->n_fields * sizeof *sorted);
    if (sorted == NULL)
        return no_memory(planner);
    memcpy(sorted, output->fields, output->n_fields * sizeof *sorted);
    qsort(sorted, output->n_fields, sizeof *sorted, compare_names);
    for (uint32_t i = 1; i < output->n_fields; i++)
        if (compare_names(&sorted[i - 1], &sorted[i]) == 0) {
            problem_add(planner->to.problems, &planner->block->name.at,
                        "two columns of the output would be named \"%s\": say each function, "
                        "window and value once, and give features names of their own",
                        sorted[i].name);
            while (i + 1 < output->n_fields && compare_names(&sorted[i], &sorted[i + 1]) == 0)
                i++;
        }
    return FRESHET_OK;
}

static freshet_code make_output(group_planner *planner)
{
    const plan *set = planner->set;
    const schema *own = groups_outputs(planner->plan->groups);
    uint32_t n = 0;
    field *fields =
        arena_zero(planner->to.arena, set->n_keys + (size_t)1 + own->n_fields, sizeof *fields);
    if (fields == NULL)
        return no_memory(planner);
    planner->plan->own = own->fields;
    for (uint32_t i = 0; i < set->n_keys; i++)
        fields[n++] = set->slots[set->keys[i].to];
    fields[n++] = (field){.name = "timestamp", .type = type_simple(TYPE_TIMESTAMP)};
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; i < own->n_fields && code == FRESHET_OK; i++, n++) {
        fields[n].name = own->fields[i].name;
        uint32_t feature, function;
        groups_output_of(planner->plan->groups, i, &feature, &function);
        const feature_block *block = set->many[feature].block;
        const function_block *functions = block->aggregate.functions.items;
        code = plan_output_type(&planner->to, block, &functions[function], own->fields[i].type,
                                &fields[n].type);
    }
    planner->plan->output = (schema){n, fields};
    return code == FRESHET_OK ? aggregated_check_names(planner) : code;
}

static void describe_column(group_planner *planner, const char *before, const field *field,
                            text_buffer *text)
{
    const char *type = type_name(planner->to.arena, field->type);
    text_format(text, "%s%s %s", before, field->name, type == NULL ? "?" : type);
}

static const char *describe_keys(group_planner *planner)
{
    const plan *set = planner->set;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, planner->groups.n_windows > 0 ? "rolling windows" : "groups");
    for (uint32_t i = 0; i < set->n_keys; i++)
        describe_column(planner, i == 0 ? " by " : ", ", &set->slots[set->keys[i].to], &text);
    char *made = text_keep(&text, planner->to.arena);
    return made;
}

/* What is kept, in words. */
static const char *aggregated_describe(group_planner *planner)
{
    const groups_declaration *groups = &planner->groups;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, planner->plan->shape);
    for (uint32_t i = 0; i < groups->n_features; i++) {
        const windows_feature *feature = &groups->features[i];
        const bool is_counted = !groups_keeps_values(planner->plan->groups, i);
        text_append_c(&text, i == 0 ? "; of " : ", ");
        describe_column(planner, is_counted ? "whether there is " : "",
                        &planner->seen.fields[feature->values], &text);
        if (feature->filter != WINDOWS_NO_FILTER)
            text_format(&text, " where %s", planner->seen.fields[feature->filter].name);
    }
    for (uint32_t p = 0; groups->pivot.column != WINDOWS_NONE && p < groups->pivot.n_values; p++)
        text_format(&text, p == 0 ? "; by whether %s is %s" : "%s, %s",
                    p == 0 ? planner->seen.fields[groups->pivot.column].name : "",
                    groups->pivot.names[p]);
    for (uint32_t i = 0; i < groups->n_distinct; i++)
        describe_column(planner, i == 0 ? "; distinct by " : ", ",
                        &planner->seen.fields[groups->distinct[i]], &text);
    char *made = text_keep(&text, planner->to.arena);
    return made;
}

static freshet_code make_groups(group_planner *planner)
{
    freshet_error why = {0};
    planner->groups.columns = planner->seen.fields;
    planner->groups.n_columns = planner->seen.n;
    freshet_code code =
        groups_plan_make(planner->to.arena, &planner->groups, &planner->plan->groups, &why);
    if (code == FRESHET_BAD_DECLARATION) {
        problem_add(planner->to.problems, &planner->block->name.at, "%s", why.text);
        return FRESHET_OK;
    }
    return code == FRESHET_OK ? make_output(planner) : no_memory(planner);
}

static freshet_code declare(group_planner *planner)
{
    freshet_code code = declare_keys(planner);
    if (code == FRESHET_OK)
        code = declare_features(planner);
    if (code == FRESHET_OK)
        code = declare_windows(planner);
    if (code == FRESHET_OK)
        code = declare_pivot(planner);
    if (code == FRESHET_OK)
        code = declare_distinct(planner);
    return code;
}

freshet_code aggregated_plan_make(arena *arena, const feature_set_block *block, const plan *set,
                                  problems *problems, aggregated_plan *out, freshet_error *err)
{
    uint32_t n_problems = problems_count(problems);
    group_planner planner = {.to = {arena, problems, err}, .block = block, .set = set, .plan = out};
    if (!seen_columns_open(&planner.seen, arena, set))
        return no_memory(&planner);
    freshet_code code = declare(&planner);
    if (code == FRESHET_OK && problems_count(problems) == n_problems)
        code = make_groups(&planner);
    if (code != FRESHET_OK)
        return code;
    out->columns = planner.seen.slots;
    out->n_columns = planner.seen.n;
    if (problems_count(problems) > n_problems)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the aggregated feature set \"%s\" cannot be computed as it is declared",
                         block->name.value);
    out->shape = describe_keys(&planner);
    out->kept = out->shape == NULL ? NULL : aggregated_describe(&planner);
    return out->kept == NULL ? no_memory(&planner) : FRESHET_OK;
}
