/* feature_plan_windows.c - the windows of a feature set: which slots they look at, which they make,
 * and how they are put together into views, one for each way to bring rows together and to order
 * them.
 *
 * The first view has the feature set's keys and the order of the timestamp. On a stream it is there
 * even where no window uses it, since it knows each key's newest row, and carries what is needed to
 * output that row again: the columns of the row that windows do not make.
 */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "features/cast.h"
#include "features/feature_plan_internal.h"
#include "features/rank.h"
#include "sql/sql_words.h"

uint64_t plan_many_slots(const feature_set_block *block)
{
    const feature_block *features = block->features.items;
    uint64_t n = 0;
    for (uint32_t i = 0; i < block->features.n; i++) {
        const window_block *window = &features[i].window;
        n += 1; /* the feature, or its filter */
        if (features[i].has_window)
            n += (uint64_t)window->functions.n * window->over.n;
    }
    return n;
}

/* ---- what a feature looks at ----------------------------------------------------------------- */

static freshet_code resolve_values(planner *planner, const feature_block *block, many_feature *many)
{
    const declared_text *from = block->from.value != NULL ? &block->from : &block->name;
    const char *who = planner_who(planner, "feature", block->name.value);
    freshet_code code = planner_resolve(planner, from, who, &many->values);
    if (code == FRESHET_OK && many->values != NO_SLOT &&
        plan_is_windowed(planner->plan, many->values))
        problem_add(planner->problems, &from->at, WINDOW_OF_WINDOW, who, from->value);
    return code;
}

/* The filter's slot has no name. */
static freshet_code plan_filter(planner *planner, const feature_block *block, many_feature *many)
{
    many->filter = NO_SLOT;
    if (block->filter.value == NULL)
        return FRESHET_OK;
    sql_feature filter = {.who = planner_who(planner, "the filter of feature", block->name.value),
                          .sql = &block->filter,
                          .type = {type_simple(TYPE_BOOLEAN), block->filter.at},
                          .is_filter = true};
    plan_phase phase;
    filter.to = planner->plan->n_slots;
    freshet_code code = planner_add_sql(planner, &filter, &phase);
    many->filter = planner_add_slot(planner, NULL, filter.type.value);
    planner->plan->needed[many->filter] = true;
    planner->plan->phases[many->filter] = (uint8_t)phase;
    return code;
}

/* ---- views ----------------------------------------------------------------------------------- */

static bool same_slots(const uint32_t *a, uint32_t n_a, const uint32_t *b, uint32_t n_b)
{
    if (n_a != n_b)
        return false;
    for (uint32_t i = 0; i < n_a; i++) { /* in any order; there are few */
        bool found = false;
        for (uint32_t k = 0; k < n_b && !found; k++)
            found = a[i] == b[k];
        if (!found)
            return false;
    }
    return true;
}

/* The view with these keys and that order, made where there is none. */
static uint32_t find_view(plan *plan, const uint32_t *keys, uint32_t n_keys, uint32_t order,
                          const declared_text *said)
{
    for (uint32_t i = 0; i < plan->n_views; i++)
        if (plan->views[i].order == order &&
            same_slots(keys, n_keys, plan->views[i].keys, plan->views[i].n_keys))
            return i;
    plan->views[plan->n_views] =
        (view){.keys = keys, .n_keys = n_keys, .order = order, .said = said};
    return plan->n_views++;
}

static freshet_code add_first_view(planner *planner)
{
    plan *plan = planner->plan;
    uint32_t *keys = arena_alloc(plan->arena, plan->n_keys * sizeof *keys);
    if (keys == NULL)
        return error_memory(planner->err, PLANNING);
    for (uint32_t i = 0; i < plan->n_keys; i++)
        keys[i] = plan->keys[i].to;
    find_view(plan, keys, plan->n_keys, NO_SLOT, NULL);
    return FRESHET_OK;
}

/* A column that windows are made by: not one that they make, and a single value. */
static freshet_code resolve_plain(planner *planner, const declared_text *name, const char *who,
                                  uint32_t *slot)
{
    freshet_code code = planner_resolve(planner, name, who, slot);
    if (code != FRESHET_OK || *slot == NO_SLOT)
        return code;
    const type *type = planner->plan->slots[*slot].type;
    if (plan_is_windowed(planner->plan, *slot))
        problem_add(planner->problems, &name->at, WINDOW_OF_WINDOW, who, name->value);
    else if (type->n_fields > 0)
        problem_add(planner->problems, &name->at,
                    "%s: column \"%s\" is an array or a struct: windows are made by single values",
                    who, name->value);
    return FRESHET_OK;
}

static freshet_code plan_view(planner *planner, const feature_block *block, many_feature *many)
{
    plan *plan = planner->plan;
    const window_block *window = &block->window;
    const char *who = planner_who(planner, "feature", block->name.value);
    uint32_t order = NO_SLOT, n_keys = plan->views[0].n_keys;
    const uint32_t *keys = plan->views[0].keys;
    freshet_code code = FRESHET_OK;
    if (window->order_by.value != NULL)
        code = resolve_plain(planner, &window->order_by, who, &order);
    if (order == plan->timestamp)
        order = NO_SLOT;
    if (window->partition_by.n > 0) {
        uint32_t *own = arena_alloc(plan->arena, window->partition_by.n * sizeof *own);
        if (own == NULL)
            return error_memory(planner->err, PLANNING);
        n_keys = window->partition_by.n;
        for (uint32_t i = 0; code == FRESHET_OK && i < n_keys; i++)
            code = resolve_plain(planner, &window->partition_by.items[i], who, &own[i]);
        keys = own;
    }
    if (code == FRESHET_OK && order != NO_SLOT && declaration_of(planner->handle)->is_stream &&
        !rank_possible(plan->slots[order].type))
        problem_add(planner->problems, &window->order_by.at,
                    "%s: on a stream windows can be ordered by numbers and times, not by texts",
                    who);
    else if (code == FRESHET_OK && order != NO_SLOT && declaration_of(planner->handle)->is_stream)
        problem_warn(planner->problems, &window->order_by.at,
                     "%s: ordered by another column than the timestamp, all rows of a key are kept "
                     "for ever, since any of them may still be needed",
                     who);
    many->view = find_view(plan, keys, n_keys, order, &window->order_by);
    return code;
}

/* ---- outputs --------------------------------------------------------------------------------- */

const windows_function *plan_function_texts(arena *arena, const declared_blocks *functions)
{
    windows_function *texts = arena_zero(arena, functions->n + (size_t)1, sizeof *texts);
    for (uint32_t i = 0; texts != NULL && i < functions->n; i++)
        texts[i].text = ((const function_block *)functions->items)[i].name.value;
    return texts;
}

const char *const *plan_window_texts(arena *arena, const declared_list *windows)
{
    const char **texts = arena_zero(arena, windows->n + (size_t)1, sizeof *texts);
    for (uint32_t i = 0; texts != NULL && i < windows->n; i++)
        texts[i] = windows->items[i].value;
    return texts;
}

/* Is there a feature, too, that has the name of the query's column and is kept? */
static bool is_shadowed(const plan *plan, uint32_t column)
{
    const char *name = plan->slots[column].name;
    for (uint32_t i = 0; i < plan->n_many; i++) {
        const uint32_t slot = plan->many[i].values;
        if (slot >= plan->n_source && slot != NO_SLOT && strcmp(plan->slots[slot].name, name) == 0)
            return true;
    }
    for (uint32_t i = 0; i < plan->n_carried; i++) {
        const uint32_t slot = plan->carried[i];
        if (slot >= plan->n_source && strcmp(plan->slots[slot].name, name) == 0)
            return true;
    }
    return false;
}

bool seen_columns_open(seen_columns *seen, arena *arena, const plan *plan)
{
    *seen =
        (seen_columns){.slots = arena_zero(arena, plan->n_slots + (size_t)1, sizeof *seen->slots),
                       .fields = arena_zero(arena, plan->n_slots + (size_t)1, sizeof *seen->fields),
                       .names = arena_zero(arena, plan->n_slots + (size_t)1, sizeof *seen->names)};
    if (seen->slots == NULL || seen->fields == NULL || seen->names == NULL)
        return false;
    for (uint32_t slot = 0; slot < plan->n_slots; slot++) {
        seen->names[slot] = slot < plan->n_source && is_shadowed(plan, slot)
                                ? arena_format(arena, "column %s", plan->slots[slot].name)
                                : plan->slots[slot].name;
        if (seen->names[slot] == NULL)
            return false;
    }
    return true;
}

uint32_t seen_columns_add(seen_columns *seen, const plan *plan, uint32_t slot, const char *name)
{
    for (uint32_t i = 0; i < seen->n; i++)
        if (seen->slots[i] == slot)
            return i;
    seen->slots[seen->n] = slot;
    seen->fields[seen->n] = plan->slots[slot];
    seen->fields[seen->n].name = name != NULL ? name : seen->names[slot];
    return seen->n++;
}

bool plan_is_partial(const feature_set_block *set, const feature_block *feature)
{
    const window_block *window = &feature->window;
    const bool is_own = feature->has_window && place_is_set(&window->until_full_at);
    return (is_own ? window->until_full : set->until_full) == UNTIL_FULL_PARTIAL;
}

static freshet_code declare_windows(planner *planner, const many_feature *many, uint32_t values,
                                    uint32_t filter, windows_feature *into)
{
    const feature_block *block = many->block;
    const windows_function *functions =
        plan_function_texts(planner->plan->arena, &block->window.functions);
    const char *const *windows = plan_window_texts(planner->plan->arena, &block->window.over);
    if (functions == NULL || windows == NULL)
        return error_memory(planner->err, PLANNING);
    *into = (windows_feature){
        .name = block->name.value,
        .values = values,
        .filter = filter,
        .mode = (window_mode)block->window.mode,
        .functions = functions,
        .n_functions = block->window.functions.n,
        .windows = windows,
        .n_windows = block->window.over.n,
        .is_partial = plan_is_partial(planner->block, block),
    };
    return FRESHET_OK;
}

freshet_code plan_output_type(const problem_sink *to, const feature_block *block,
                              const function_block *function, const type *own, const type **out)
{
    const declared_type *said = function->type.value != NULL ? &function->type : &block->type;
    *out = said->value == NULL ? own : said->value;
    return said->value == NULL
               ? FRESHET_OK
               : plan_check_cast(to,
                                 arena_format(to->arena, "feature \"%s\": %s gives",
                                              block->name.value, function->name.value),
                                 own, said);
}

freshet_code plan_check_functions(const problem_sink *to, const feature_block *block,
                                  const declared_blocks *functions, const type *values, bool *sound)
{
    *sound = true;
    for (uint32_t i = 0; i < functions->n; i++) {
        const function_block *function = &((const function_block *)functions->items)[i];
        aggregate aggregate;
        freshet_error why = {0};
        freshet_code code =
            aggregate_prepare(to->arena, function->name.value, values, &aggregate, &why);
        if (code == FRESHET_NO_MEMORY)
            return error_memory(to->err, PLANNING);
        if (code == FRESHET_OK)
            continue;
        *sound = false;
        problem_add(to->problems, &function->name.at, "feature \"%s\": %s", block->name.value,
                    why.text);
    }
    return FRESHET_OK;
}

static freshet_code add_outputs(planner *planner, many_feature *many)
{
    plan *plan = planner->plan;
    const feature_block *block = many->block;
    many->n = block->window.functions.n * block->window.over.n;
    field *own = arena_zero(plan->arena, many->n + 1, sizeof *own);
    windows_feature feature;
    if (own == NULL)
        return error_memory(planner->err, PLANNING);
    const problem_sink to = planner_sink(planner);
    const function_block *functions = block->window.functions.items;
    bool sound = false;
    freshet_code code = plan_check_functions(&to, block, &block->window.functions,
                                             plan->slots[many->values].type, &sound);
    if (code == FRESHET_OK && sound)
        code = declare_windows(planner, many, 0, WINDOWS_NO_FILTER, &feature);
    if (code != FRESHET_OK || !sound) {
        many->n = 0;
        return code;
    }
    freshet_error why = {0};
    code =
        windows_feature_outputs(plan->arena, &feature, plan->slots[many->values].type, own, &why);
    if (code == FRESHET_BAD_DECLARATION) {
        problem_add(planner->problems, &block->name.at, "%s", why.text);
        many->n = 0;
        return FRESHET_OK;
    }
    if (code != FRESHET_OK)
        return error_set(planner->err, code, why.then, why.at, "%s", why.text);
    many->own = own;
    many->first = plan->n_slots;
    for (uint32_t i = 0; code == FRESHET_OK && i < many->n; i++) {
        const type *type;
        code =
            plan_output_type(&to, block, &functions[i / block->window.over.n], own[i].type, &type);
        if (code == FRESHET_OK)
            plan->phases[planner_add_output(planner, block, own[i].name, type)] = PHASE_WINDOWS;
    }
    return code;
}

freshet_code plan_many(planner *planner, const feature_block *block)
{
    plan *plan = planner->plan;
    many_feature *many = &plan->many[plan->n_many++];
    *many = (many_feature){.block = block};
    const stack_step *last = plan->n_stacks == 0 ? NULL : plan->stacks[plan->n_stacks - 1];
    if (last != NULL && plan_is_windowed(plan, last->to))
        problem_add(
            planner->problems, &block->name.at,
            "feature \"%s\": its windows would look at the rows that %s makes, but these are "
            "made behind windows, since the stack stands below a feature that has some: "
            "put the stack above all features with windows, or below them",
            block->name.value, last->who);
    freshet_code code = plan->n_views == 0 ? add_first_view(planner) : FRESHET_OK;
    if (code == FRESHET_OK)
        code = resolve_values(planner, block, many);
    if (code == FRESHET_OK)
        code = plan_filter(planner, block, many);
    if (code == FRESHET_OK && block->has_window)
        code = plan_view(planner, block, many);
    if (code == FRESHET_OK && block->has_window && many->values != NO_SLOT)
        code = add_outputs(planner, many);
    return code;
}

/* ---- the plans of the windows ---------------------------------------------------------------- */

/* Marks a slot that steps behind the windows read and windows do not make. */
static void mark(const plan *plan, uint32_t slot, bool *marked)
{
    bool of_key = slot >= plan->timestamp && slot <= plan->timestamp + plan->n_keys;
    if (!of_key && !plan_is_windowed(plan, slot))
        marked[slot] = true;
}

static freshet_code collect_carried(planner *planner)
{
    plan *plan = planner->plan;
    bool *marked = arena_zero(plan->arena, plan->n_slots, sizeof *marked);
    uint32_t *carried = arena_alloc(plan->arena, plan->n_slots * sizeof *carried);
    if (marked == NULL || carried == NULL)
        return error_memory(planner->err, PLANNING);
    for (uint32_t i = 0; i < planner->n_outputs; i++)
        mark(plan, plan->output_slots[i], marked);
    const steps *after = &plan->steps[PHASE_WINDOWS];
    for (uint32_t i = 0; i < after->n; i++) {
        const stage *stage = after->items[i].stage;
        const stack_step *stack = after->items[i].stack;
        if (stage == NULL && stack == NULL)
            mark(plan, after->items[i].cast.from, marked);
        for (uint32_t k = 0; stack != NULL && k < stack->n; k++)
            mark(plan, stack->from[k], marked);
        for (uint32_t k = 0; stage != NULL && k < stage->n_slots; k++)
            if (stage->used[k])
                mark(plan, stage->slots[k], marked);
    }
    for (uint32_t slot = 0; slot < plan->n_slots; slot++) {
        if (!marked[slot])
            continue;
        if (plan->slots[slot].type->kind == TYPE_STRUCT)
            problem_add(planner->problems, &planner->block->name.at,
                        "column \"%s\" is a struct, and cannot stand in an expression beside "
                        "windows: make a feature of its field first",
                        plan->slots[slot].name);
        carried[plan->n_carried++] = slot;
    }
    plan->carried = carried;
    return FRESHET_OK;
}

static freshet_code declare_features(planner *planner, uint32_t index, seen_columns *seen,
                                     windows_feature *features, uint32_t *n_features)
{
    plan *plan = planner->plan;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < plan->n_many; i++) {
        const many_feature *many = &plan->many[i];
        if (!many->block->has_window || many->view != index)
            continue;
        uint32_t values = seen_columns_add(seen, plan, many->values, NULL);
        const char *text =
            many->filter == NO_SLOT ? "" : sql_plain(plan->arena, many->block->filter.value);
        if (text == NULL)
            return error_memory(planner->err, PLANNING);
        uint32_t filter = many->filter == NO_SLOT
                              ? WINDOWS_NO_FILTER
                              : seen_columns_add(seen, plan, many->filter, text);
        code = declare_windows(planner, many, values, filter, &features[(*n_features)++]);
    }
    return code;
}

/* Which slot each output goes to: features in their order, as they were declared. */
static freshet_code link_outputs(planner *planner, view *view, uint32_t index)
{
    plan *plan = planner->plan;
    uint32_t n = view->windows->outputs.n_fields, at = 0;
    uint32_t *to = arena_alloc(plan->arena, (n + 1) * sizeof *to);
    const many_feature **of = arena_alloc(plan->arena, (n + 1) * sizeof(const many_feature *));
    if (to == NULL || of == NULL)
        return error_memory(planner->err, PLANNING);
    for (uint32_t i = 0; i < plan->n_many; i++)
        for (uint32_t k = 0; plan->many[i].view == index && k < plan->many[i].n; k++, at++) {
            to[at] = plan->many[i].first + k;
            of[at] = &plan->many[i];
        }
    assert(at == n);
    view->to = to;
    view->of = of;
    return FRESHET_OK;
}

static freshet_code make_view(planner *planner, uint32_t index)
{
    plan *plan = planner->plan;
    view *view = &plan->views[index];
    seen_columns seen;
    windows_feature *features = arena_zero(plan->arena, plan->n_many, sizeof *features);
    const type **keys = arena_alloc(plan->arena, view->n_keys * sizeof(const type *));
    uint32_t *carried = arena_alloc(plan->arena, (plan->n_slots + 1) * sizeof *carried);
    if (!seen_columns_open(&seen, plan->arena, plan) || features == NULL || keys == NULL ||
        carried == NULL)
        return error_memory(planner->err, PLANNING);
    windows_declaration declaration = {.keys = keys,
                                       .n_keys = view->n_keys,
                                       .columns = seen.fields,
                                       .features = features,
                                       .carried = carried,
                                       .corrects = index == 0 && plan->corrects};
    for (uint32_t i = 0; i < view->n_keys; i++)
        keys[i] = plan->slots[view->keys[i]].type;
    freshet_code code = declare_features(planner, index, &seen, features, &declaration.n_features);
    if (code != FRESHET_OK)
        return code;
    for (uint32_t i = 0; index == 0 && i < plan->n_carried; i++)
        carried[declaration.n_carried++] = seen_columns_add(&seen, plan, plan->carried[i], NULL);
    declaration.n_columns = seen.n;
    freshet_error why = {0};
    code = windows_plan_make(plan->arena, &declaration, &view->windows, &why);
    if (code == FRESHET_BAD_DECLARATION) {
        problem_add(planner->problems, &planner->block->name.at, "%s", why.text);
        return FRESHET_OK;
    }
    if (code != FRESHET_OK)
        return error_set(planner->err, code, why.then, why.at, "%s", why.text);
    view->columns = seen.slots;
    view->n_columns = seen.n;
    return link_outputs(planner, view, index);
}

/* The values of the other views' windows are carried, too: they stay as they were. */
static freshet_code carry_other_views(planner *planner)
{
    plan *plan = planner->plan;
    if (plan->n_views == 1)
        return FRESHET_OK;
    uint32_t *carried = arena_alloc(plan->arena, plan->n_slots * sizeof *carried);
    if (carried == NULL)
        return error_memory(planner->err, PLANNING);
    memcpy(carried, plan->carried, plan->n_carried * sizeof *carried);
    for (uint32_t i = 0; i < plan->n_many; i++)
        for (uint32_t k = 0; plan->many[i].view > 0 && k < plan->many[i].n; k++)
            carried[plan->n_carried++] = plan->many[i].first + k;
    plan->carried = carried;
    return FRESHET_OK;
}

freshet_code plan_views(planner *planner)
{
    plan *plan = planner->plan;
    if (plan->n_many == 0 || planner->block->has_aggregated)
        return FRESHET_OK;
    freshet_code code = collect_carried(planner);
    if (code == FRESHET_OK)
        code = carry_other_views(planner);
    for (uint32_t i = 0; code == FRESHET_OK && i < plan->n_views; i++)
        code = make_view(planner, i);
    return code;
}
