/* settle.c - what can only be said of a declaration as a whole, once its blocks have been read: names that clash,
 * functions and windows that there are, and what follows from several options.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aggregate/aggregate.h"
#include "declaration/blocks.h"
#include "windows/window.h"

/* ---- names ------------------------------------------------------------------- */

typedef struct used_name {
    const declared_text *name;
    const char *what;
    uint32_t order;
} used_name;

static int compare_names(const void *a, const void *b)
{
    const used_name *left = a;
    const used_name *right = b;
    int order = strcasecmp(left->name->value, right->name->value);
    return order != 0 ? order : left->order < right->order ? -1 : 1;
}

/* Reports each name that an earlier one has already; SQL knows no capital letters. */
static void check_names(used_name *names, uint32_t n, problems *problems)
{
    if (n > 1)
        qsort(names, n, sizeof *names, compare_names);
    uint32_t first = 0;
    for (uint32_t i = 1; i < n; i++) {
        if (strcasecmp(names[first].name->value, names[i].name->value) != 0) {
            first = i;
            continue;
        }
        char where[200];
        problem_add(problems, &names[i].name->at,
                    "the %s \"%s\" has the name of the %s at %s: choose another name",
                    names[i].what, names[i].name->value, names[first].what,
                    place_text(&names[first].name->at, where, sizeof where));
    }
}

/* Appends the names in a list of blocks whose struct has its name at `offset`. */
static uint32_t add_names(const declared_blocks *blocks, size_t size, size_t offset,
                          const char *what, used_name *names, uint32_t n)
{
    for (uint32_t i = 0; i < blocks->n; i++) {
        const char *item = (const char *)blocks->items + i * size;
        const declared_text *name = (const declared_text *)(item + offset);
        if (name->value != NULL) {
            names[n] = (used_name){name, what, n};
            n++;
        }
    }
    return n;
}

/* A feature with windows or an aggregate has no column of its own name, and clashes with none. */
static uint32_t add_feature_names(const declared_blocks *blocks, used_name *names, uint32_t n)
{
    const feature_block *features = blocks->items;
    for (uint32_t i = 0; i < blocks->n; i++) {
        bool own = !features[i].has_window && !features[i].has_aggregate;
        if (features[i].name.value == NULL || !own)
            continue;
        names[n] = (used_name){&features[i].name, "feature", n};
        n++;
    }
    return n;
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

/* One window's text; false where memory is out. */
static bool check_length(const declared_text *text, window_mode mode, arena *arena,
                         problems *problems)
{
    int64_t length = 0;
    const char *name = NULL;
    freshet_error why;
    freshet_code code = window_parse(arena, text->value, mode, &length, &name, &why);
    if (code == FRESHET_NO_MEMORY)
        return false;
    if (code != FRESHET_OK)
        problem_add(problems, &text->at, "%s", why.text);
    else if (mode == WINDOW_FIXED && strstr(name, "year") != NULL)
        problem_warn(
            problems, &text->at,
            "window \"%s\": a year has 336 days here, as in Butterfree; for 365 write \"365 "
            "days\"",
            text->value);
    return true;
}

static bool check_lengths(const declared_list *list, window_mode mode, arena *arena,
                          problems *problems)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (!check_length(&list->items[i], mode, arena, problems))
            return false;
    return true;
}

/* A set is aggregated or goes row by row, and its features with it. */
static void check_kind(const feature_set_block *set, const feature_block *feature, const place *at,
                       problems *problems)
{
    const char *name = feature->name.value == NULL ? "" : feature->name.value;
    if (set->has_aggregated && feature->has_window)
        problem_add(
            problems, at,
            "feature \"%s\": \"window\" looks back from each row, and an aggregated feature set "
            "has groups: use \"aggregate\", and \"windows\" in \"aggregated\"",
            name);
    else if (set->has_aggregated && !feature->has_aggregate)
        problem_add(problems, at,
                    "feature \"%s\" needs \"aggregate\": the rows of an aggregated feature set are "
                    "groups",
                    name);
    else if (!set->has_aggregated && feature->has_aggregate && !feature->has_window)
        problem_add(problems, at,
                    "feature \"%s\": \"aggregate\" needs an aggregated feature set: write "
                    "\"aggregated: {}\" beside \"keys\", or use \"window\"",
                    name);
}

static bool check_feature_set(const feature_set_block *set, arena *arena, problems *problems)
{
    const feature_block *features = set->features.items;
    for (uint32_t i = 0; i < set->features.n; i++) {
        const feature_block *feature = &features[i];
        check_kind(set, feature, &set->features.places[i], problems);
        check_functions(&feature->window.functions, problems);
        check_functions(&feature->aggregate.functions, problems);
        if (!check_lengths(&feature->window.over, (window_mode)feature->window.mode, arena,
                           problems))
            return false;
    }
    const rolling_block *rolling = &set->aggregated.windows;
    return !set->aggregated.has_windows ||
           (check_lengths(&rolling->over, WINDOW_FIXED, arena, problems) &&
            check_length(&rolling->slide, WINDOW_FIXED, arena, problems));
}

/* ---- everything ----------------------------------------------------------------------------- */

bool declaration_settle(declaration *declaration, arena *arena, problems *problems)
{
    const declared_blocks *readers = &declaration->source.readers;
    const feature_set_block *set = &declaration->feature_set;
    used_name *names =
        arena_zero(arena, (size_t)readers->n + set->keys.n + set->features.n, sizeof *names);
    if (names == NULL)
        return false;
    uint32_t n =
        add_names(readers, sizeof(reader_block), offsetof(reader_block, id), "reader", names, 0);
    check_names(names, n, problems);
    n = add_names(&set->keys, sizeof(key_block), offsetof(key_block, name), "key", names, 0);
    n = add_feature_names(&set->features, names, n);
    check_names(names, n, problems);
    if (!check_feature_set(set, arena, problems))
        return false;

    for (uint32_t i = 0; i < readers->n; i++)
        declaration->is_stream =
            declaration->is_stream || ((const reader_block *)readers->items)[i].stream;

    declared_text *path = &declaration->dead_letters.path;
    if (path->value == NULL && declaration->pipeline.value != NULL) {
        path->at = declaration->pipeline.at;
        path->value = arena_format(arena, "%s.dead_letters.jsonl", declaration->pipeline.value);
        return path->value != NULL;
    }
    return true;
}
