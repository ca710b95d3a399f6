/* settle.c - what can only be said of a declaration as a whole, once its blocks have been read:
 * names that clash, functions and windows that there are, and what follows from several options.
 */
#include <string.h>

#include "aggregate/aggregate.h"
#include "declaration/blocks.h"
#include "declaration/declaration_tree.h"
#include "windows/window.h"

/* ---- names ------------------------------------------------------------------- */

/* Reports each name that an earlier one has already; SQL knows no capital letters. */
static void check_names(given_name *names, uint32_t n, problems *problems)
{
    names_sort(names, n, true);
    for (uint32_t i = 0; i < n; i++) {
        const given_name *first = names[i].first;
        char where[200];
        if (first != NULL)
            problem_add(problems, names[i].at,
                        "the %s \"%s\" has the name of the %s at %s: choose another name",
                        names[i].what, names[i].name, first->what,
                        place_text(first->at, where, sizeof where));
    }
}

static uint32_t add_name(const declared_text *name, const char *what, given_name *names, uint32_t n)
{
    if (name->value == NULL)
        return n;
    names[n] = (given_name){.name = name->value, .what = what, .at = &name->at, .order = n};
    return n + 1;
}

/* The readers' names, and those of a row's columns. */
static void check_all_names(const declared_blocks *readers, const feature_set_block *set,
                            arena *arena, problems *problems)
{
    const reader_block *reader = readers->items;
    const key_block *keys = set->keys.items;
    const feature_block *features = set->features.items;
    size_t most = (size_t)readers->n + set->keys.n + set->features.n;
    given_name *names = arena_alloc(arena, most * sizeof *names);
    if (names == NULL)
        return;
    uint32_t n = 0;
    for (uint32_t i = 0; i < readers->n; i++)
        n = add_name(&reader[i].id, "reader", names, n);
    check_names(names, n, problems);
    n = 0;
    /* Those that make columns of other names clash with none. */
    for (uint32_t i = 0; i < set->keys.n; i++)
        if (key_is_column(&keys[i]))
            n = add_name(&keys[i].name, "key", names, n);
    for (uint32_t i = 0; i < set->features.n; i++)
        if (feature_is_column(&features[i]))
            n = add_name(&features[i].name, "feature", names, n);
    check_names(names, n, problems);
}

/* ---- windows and functions ------------------------------------------------------------------ */

static void check_functions(const declared_blocks *blocks, problems *problems)
{
    const function_block *functions = blocks->items;
    freshet_error why;
    for (uint32_t i = 0; i < blocks->n; i++)
        if (aggregate_check(functions[i].name.value, &why) != FRESHET_OK)
            problem_add(problems, &functions[i].name.at, "%s", why.text);
}

static void check_length(const declared_text *text, window_mode mode, arena *arena,
                         problems *problems)
{
    int64_t length = 0;
    const char *name = NULL;
    freshet_error why;
    if (window_parse(arena, text->value, mode, &length, &name, &why) != FRESHET_OK)
        problem_add(problems, &text->at, "%s", why.text);
    else if (mode == WINDOW_FIXED && strstr(name, "year") != NULL)
        problem_warn(
            problems, &text->at,
            "window \"%s\": a year has 336 days here, as in Butterfree; for 365 write \"365 days\"",
            text->value);
}

static void check_lengths(const declared_list *list, window_mode mode, arena *arena,
                          problems *problems)
{
    for (uint32_t i = 0; i < list->n; i++)
        check_length(&list->items[i], mode, arena, problems);
}

/* A set is aggregated or goes row by row, and its features with it. */
static void check_kind(const feature_set_block *set, const feature_block *feature, const place *at,
                       problems *problems)
{
    const char *name = feature->name.value == NULL ? "" : feature->name.value;
    if (set->has_aggregated && feature->has_window)
        problem_add(problems, at,
                    "feature \"%s\": \"window\" looks back from each row, and an aggregated "
                    "feature set has groups: use \"aggregate\", and \"windows\" in \"aggregated\"",
                    name);
    else if (set->has_aggregated && !feature->has_aggregate)
        problem_add(
            problems, at,
            "feature \"%s\" needs \"aggregate\": the rows of an aggregated feature set are groups",
            name);
    else if (!set->has_aggregated && feature->has_aggregate && !feature->has_window)
        problem_add(problems, at,
                    "feature \"%s\": \"aggregate\" needs an aggregated feature set: write "
                    "\"aggregated: {}\" beside \"keys\", or use \"window\"",
                    name);
}

static void check_feature_set(const feature_set_block *set, arena *arena, problems *problems)
{
    const feature_block *features = set->features.items;
    for (uint32_t i = 0; i < set->features.n; i++) {
        const feature_block *feature = &features[i];
        check_kind(set, feature, &set->features.places[i], problems);
        check_functions(&feature->window.functions, problems);
        check_functions(&feature->aggregate.functions, problems);
        check_lengths(&feature->window.over, (window_mode)feature->window.mode, arena, problems);
    }
    const rolling_block *rolling = &set->aggregated.windows;
    if (!set->aggregated.has_windows)
        return;
    check_lengths(&rolling->over, WINDOW_FIXED, arena, problems);
    check_length(&rolling->slide, WINDOW_FIXED, arena, problems);
}

/* ---- everything ----------------------------------------------------------------------------- */

void declaration_settle(declaration *declaration, arena *arena, problems *problems)
{
    const declared_blocks *readers = &declaration->source.readers;
    const feature_set_block *set = &declaration->feature_set;
    check_all_names(readers, set, arena, problems);
    check_feature_set(set, arena, problems);
    for (uint32_t i = 0; i < readers->n; i++)
        declaration->is_stream =
            declaration->is_stream || ((const reader_block *)readers->items)[i].stream;

    declared_text *path = &declaration->dead_letters.path;
    if (path->value == NULL && declaration->pipeline.value != NULL) {
        path->at = declaration->pipeline.at;
        path->value = arena_format(arena, "%s.dead_letters.jsonl", declaration->pipeline.value);
    }
}
