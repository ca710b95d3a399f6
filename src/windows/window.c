/* window.c - reading windows and making the plan; see window.h.
 *
 * The plan is made in three passes: slots and measures are collected while the features are read;
 * then the slots are laid out, the largest cells first so that every array in a block is aligned
 * whatever its capacity, and the measures, those that are kept beside blocks first; last the
 * answers are sorted into the walks.
 */
#include "windows/window.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/families.h"
#include "base/error.h"
#include "base/hash.h"

#define PARTIAL_ALIGN 16u
#define WINDOW_DIGITS_MAX 18u

/* ---- windows ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int64_t seconds;
    const char *others[3]; /* as people write it, too */
} units[] = {{"second", 1, {"s", "sec", "secs"}},
             {"minute", 60, {"m", "min", "mins"}},
             {"hour", 3600, {"h", "hr", "hrs"}},
             {"day", 86400, {"d"}},
             {"week", 604800, {"w"}},
             {"year", INT64_C(336) * 86400, {NULL}}};

#define N_UNITS (sizeof units / sizeof *units)

static bool is_unit(const char *word, size_t length, const char *unit)
{
    size_t n = strlen(unit);
    return strncmp(word, unit, n) == 0 && (length == n || (length == n + 1 && word[n] == 's'));
}

static freshet_code bad_window(freshet_error *err, const char *text, const char *why)
{
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL, "window \"%s\": %s", text,
                     why);
}

static bool is_other(const char *word, size_t length, const char *const others[3])
{
    for (size_t i = 0; i < 3 && others[i] != NULL; i++)
        if (strlen(others[i]) == length && strncmp(word, others[i], length) == 0)
            return true;
    return false;
}

/* Seconds, or rows, of one unit; 0 where it is none. *whole: the unit's name where it was written
 * otherwise, else NULL. */
static int64_t unit_length(const char *word, size_t length, window_mode mode, const char **whole)
{
    *whole = NULL;
    if (mode == WINDOW_ROWS)
        return is_unit(word, length, "event") ? 1 : 0;
    for (size_t i = 0; i < N_UNITS; i++) {
        const bool is_short = is_other(word, length, units[i].others);
        if (is_short)
            *whole = units[i].name;
        if (is_short || is_unit(word, length, units[i].name))
            return units[i].seconds;
    }
    return 0;
}

freshet_code window_parse(arena *arena, const char *text, window_mode mode, int64_t *length,
                          const char **name, freshet_error *err)
{
    const char *number = text + strspn(text, " ");
    size_t digits = strspn(number, "0123456789");
    const char *word = number + digits + strspn(number + digits, " ");
    size_t letters = strcspn(word, " ");
    if (digits == 0 || digits > WINDOW_DIGITS_MAX || letters == 0 ||
        word[letters + strspn(word + letters, " ")] != '\0')
        return bad_window(err, text,
                          mode != WINDOW_ROWS ? "write a number and a unit, as in \"2 hours\""
                                              : "write a number of events, as in \"5 events\"");
    if (mode != WINDOW_ROWS && is_unit(word, letters, "month"))
        return bad_window(err, text, "months differ in length: say it in days or weeks");
    const char *whole;
    int64_t unit = unit_length(word, letters, mode, &whole), n = strtoll(number, NULL, 10);
    if (unit == 0)
        return bad_window(err, text,
                          mode != WINDOW_ROWS
                              ? "the unit must be second, minute, hour, day, week or year"
                              : "row windows are counted in events, as in \"5 events\"");
    if (n == 0)
        return bad_window(err, text, "it is empty: the number must be at least 1");
    if (n > (mode == WINDOW_ROWS ? WINDOW_ROWS_MAX : WINDOW_SECONDS_MAX / unit))
        return bad_window(err, text,
                          mode == WINDOW_ROWS ? "the longest is 1000000 events"
                                              : "the longest is 100 years of 365 days");
    *length = n * unit;
    *name = whole != NULL
                ? arena_format(arena, "%lld_%s%s", (long long)n, whole, n == 1 ? "" : "s")
                : arena_format(arena, "%.*s_%.*s", (int)digits, number, (int)letters, word);
    return *name == NULL ? error_memory(err, "reading a window") : FRESHET_OK;
}

/* ---- names --------------------------------------------------------------------------------- */

static freshet_code in_feature(const windows_feature *feature, freshet_code code,
                               freshet_error *err)
{
    if (err != NULL && code == FRESHET_BAD_DECLARATION) {
        freshet_error cause = *err;
        return error_set(err, code, FRESHET_STOP, NULL, "feature \"%s\": %s", feature->name,
                         cause.text);
    }
    return code;
}

/* Butterfree: `[value_]feature__function[_over_window_kind]`; of aggregated feature sets in small
 * letters. */
static const char *output_name(arena *arena, const windows_feature *feature,
                               const windows_function *function, const aggregate *aggregate,
                               const char *window, const char *pivot)
{
    static const char *const kinds[] = {"_fixed_windows", "_row_windows", "_rolling_windows"};
    char *word = arena_text(arena, function->as != NULL ? function->as : aggregate->name);
    for (char *c = word; c != NULL && *c != '\0' && feature->mode == WINDOW_ROLLING; c++)
        *c = (char)tolower((unsigned char)*c);
    if (word == NULL)
        return NULL;
    return arena_format(arena, "%s%s%s__%s%s%s%s", pivot == NULL ? "" : pivot,
                        pivot == NULL ? "" : "_", feature->name, word,
                        window == NULL ? "" : "_over_", window == NULL ? "" : window,
                        window == NULL ? "" : kinds[feature->mode]);
}

/* How many windows a feature's functions are computed over. */
static uint32_t windows_of(const windows_feature *feature)
{
    return feature->n_windows == 0 && feature->mode == WINDOW_ROLLING ? 1 : feature->n_windows;
}

/* The length in the unit of the feature's kind of window, and its form in names. */
static freshet_code read_window(arena *arena, const windows_feature *feature, uint32_t w,
                                int64_t *length, const char **name, freshet_error *err)
{
    *name = NULL;
    *length = 1; /* a group without windows is one of a microsecond */
    if (feature->n_windows == 0)
        return FRESHET_OK;
    freshet_code code = window_parse(arena, feature->windows[w], feature->mode, length, name, err);
    if (code == FRESHET_OK && feature->mode == WINDOW_ROLLING)
        *length *= 1000000;
    return code;
}

static freshet_code feature_outputs(arena *arena, const windows_feature *feature,
                                    const aggregate *aggregates, const char *pivot, field *into,
                                    int64_t *lengths, freshet_error *err)
{
    const uint32_t n_windows = windows_of(feature);
    assert(aggregates != NULL);
    for (uint32_t w = 0; w < n_windows; w++) {
        const char *window;
        freshet_code code = read_window(arena, feature, w, &lengths[w], &window, err);
        if (code != FRESHET_OK)
            return code;
        for (uint32_t f = 0; f < feature->n_functions; f++) {
            field *output = &into[f * n_windows + w];
            output->type = aggregates[f].output;
            output->name =
                output_name(arena, feature, &feature->functions[f], &aggregates[f], window, pivot);
            if (output->name == NULL)
                return error_memory(err, "naming the columns of a feature");
        }
    }
    return FRESHET_OK;
}

static freshet_code prepare_functions(arena *arena, const windows_feature *feature,
                                      const type *input, aggregate **out, freshet_error *err)
{
    aggregate *made = arena_zero(arena, feature->n_functions + 1, sizeof *made);
    if (made == NULL)
        return error_memory(err, "preparing the functions of a feature");
    for (uint32_t f = 0; f < feature->n_functions; f++) {
        freshet_code code =
            aggregate_prepare(arena, feature->functions[f].text, input, &made[f], err);
        if (code != FRESHET_OK)
            return code;
    }
    *out = made;
    return FRESHET_OK;
}

freshet_code windows_feature_outputs(arena *arena, const windows_feature *feature,
                                     const type *input, field *into, freshet_error *err)
{
    aggregate *aggregates = NULL;
    int64_t *lengths = arena_zero(arena, feature->n_windows + 1, sizeof *lengths);
    if (lengths == NULL)
        return error_memory(err, "naming the columns of a feature");
    freshet_code code = prepare_functions(arena, feature, input, &aggregates, err);
    if (code == FRESHET_OK)
        code = feature_outputs(arena, feature, aggregates, NULL, into, lengths, err);
    return in_feature(feature, code, err);
}

/* ---- collecting ---------------------------------------------------------------------------- */

/* An output before it is sorted into its walk. */
typedef struct wish {
    window_mode mode;
    int64_t length;
    const aggregate *aggregate;
    uint32_t measure;
    uint32_t part;
    bool is_partial;
} wish;

typedef struct maker {
    arena *arena;
    const windows_declaration *declaration;
    windows_plan *plan;
    window_slot *slots;
    window_measure *measures;
    uint32_t *tallies;
    wish *wishes;           /* one an output */
    aggregate **aggregates; /* of each feature */
    uint32_t n_found;       /* measures of one part */
    field *outputs;
    uint32_t n_outputs;
} maker;

static uint32_t window_find_slot(maker *maker, uint32_t values, uint32_t filter, bool is_split)
{
    windows_plan *plan = maker->plan;
    for (uint32_t i = 0; i < plan->n_slots; i++)
        if (maker->slots[i].values == values && maker->slots[i].filter == filter &&
            maker->slots[i].is_split == is_split)
            return i;
    if (plan->n_slots == WINDOWS_SLOTS_MAX)
        return UINT32_MAX;
    const type *type = maker->declaration->columns[values].type;
    maker->slots[plan->n_slots] = (window_slot){
        .values = values,
        .filter = filter,
        .type = type,
        .is_text = type->kind == TYPE_STRING || type->kind == TYPE_BINARY,
        .is_split = is_split,
    };
    return plan->n_slots++;
}

/* A slot of no column. */
static freshet_code add_own_slot(maker *maker, bool wanted, type_kind kind, uint32_t *slot,
                                 freshet_error *err)
{
    windows_plan *plan = maker->plan;
    *slot = WINDOWS_NONE;
    if (!wanted)
        return FRESHET_OK;
    if (plan->n_slots == WINDOWS_SLOTS_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "windows over more than %u columns and filters", WINDOWS_SLOTS_MAX - 1);
    const type *type = type_simple(kind);
    *slot = plan->n_slots++;
    maker->slots[*slot] = (window_slot){.values = WINDOWS_NONE,
                                        .filter = WINDOWS_NO_FILTER,
                                        .type = type,
                                        .cell = (uint32_t)type_cell_size(type),
                                        .is_text = kind == TYPE_BINARY};
    return FRESHET_OK;
}

static freshet_code add_own_slots(maker *maker, freshet_error *err)
{
    windows_plan *plan = maker->plan;
    freshet_code code =
        add_own_slot(maker, maker->declaration->corrects, TYPE_BINARY, &plan->row_slot, err);
    if (code == FRESHET_OK)
        code = add_own_slot(maker, plan->pivot != NULL, TYPE_INTEGER, &plan->pivot_slot, err);
    if (code == FRESHET_OK)
        code = add_own_slot(maker, plan->n_distinct > 0, TYPE_BINARY, &plan->subset_slot, err);
    return code;
}

/* The measure of the first part. */
static uint32_t find_measure(maker *maker, uint32_t slot, const aggregate_family *family)
{
    for (uint32_t i = 0; i < maker->n_found; i++)
        if (maker->measures[i].slot == slot && maker->measures[i].family == family)
            return i;
    maker->measures[maker->n_found] = (window_measure){.slot = slot, .family = family};
    if (family->reads_values)
        maker->slots[slot].cell = (uint32_t)type_cell_size(maker->slots[slot].type);
    return maker->n_found++;
}

/* The other parts have the same; with a pivot the last of each counts its events. */
static void repeat_measures(maker *maker)
{
    windows_plan *plan = maker->plan;
    if (plan->pivot != NULL)
        find_measure(maker, plan->pivot_slot, &family_count);
    plan->n_measures = maker->n_found * plan->n_parts;
    for (uint32_t i = maker->n_found; i < plan->n_measures; i++)
        maker->measures[i] = maker->measures[i - maker->n_found];
}

static freshet_code window_check_columns(const windows_declaration *declaration,
                                         const windows_feature *feature, freshet_error *err)
{
    if (feature->values >= declaration->n_columns ||
        (feature->filter != WINDOWS_NO_FILTER && feature->filter >= declaration->n_columns))
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "feature %s: there is no such value column", feature->name);
    if (feature->filter != WINDOWS_NO_FILTER &&
        declaration->columns[feature->filter].type->kind != TYPE_BOOLEAN)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the filter of an aggregate must give a boolean");
    if (feature->n_functions == 0 || windows_of(feature) == 0)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "a windowed feature needs at least one function and one window");
    return FRESHET_OK;
}

static bool is_split(const windows_declaration *declaration, const windows_feature *feature)
{
    for (uint32_t i = 0; i < declaration->n_splits; i++)
        if (declaration->splits[i].values == feature->values &&
            declaration->splits[i].filter == feature->filter)
            return true;
    return false;
}

/* What is asked of a feature for one value of the pivot. */
static freshet_code collect_wishes(maker *maker, uint32_t index, uint32_t slot, uint32_t counted,
                                   uint32_t part, freshet_error *err)
{
    const windows_feature *feature = &maker->declaration->features[index];
    const windows_pivot *pivot = maker->plan->pivot;
    const aggregate *aggregates = maker->aggregates[index];
    const uint32_t n_windows = windows_of(feature);
    int64_t *lengths = arena_zero(maker->arena, n_windows, sizeof *lengths);
    if (lengths == NULL)
        return error_memory(err, "planning the windows");
    freshet_code code = feature_outputs(maker->arena, feature, aggregates,
                                        pivot == NULL ? NULL : pivot->names[part],
                                        maker->outputs + maker->n_outputs, lengths, err);
    for (uint32_t f = 0; f < feature->n_functions && code == FRESHET_OK; f++) {
        uint32_t measure = find_measure(maker, aggregates[f].family->reads_values ? slot : counted,
                                        aggregates[f].family);
        for (uint32_t w = 0; w < n_windows; w++)
            maker->wishes[maker->n_outputs++] = (wish){
                feature->mode, lengths[w], &aggregates[f], measure, part, feature->is_partial};
    }
    return code;
}

static freshet_code collect_feature(maker *maker, uint32_t index, uint32_t part, freshet_error *err)
{
    const windows_feature *feature = &maker->declaration->features[index];
    freshet_code code =
        part > 0 ? FRESHET_OK : window_check_columns(maker->declaration, feature, err);
    if (code == FRESHET_OK && part == 0)
        code = prepare_functions(maker->arena, feature,
                                 maker->declaration->columns[feature->values].type,
                                 &maker->aggregates[index], err);
    if (code != FRESHET_OK)
        return code;
    const uint32_t slot = window_find_slot(maker, feature->values, feature->filter, false);
    const uint32_t counted = slot != UINT32_MAX && is_split(maker->declaration, feature)
                                 ? window_find_slot(maker, feature->values, feature->filter, true)
                                 : slot;
    if (slot == UINT32_MAX || counted == UINT32_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "windows over more than %u columns and filters", WINDOWS_SLOTS_MAX);
    return collect_wishes(maker, index, slot, counted, part, err);
}

static freshet_code collect_features(maker *maker, freshet_error *err)
{
    const windows_declaration *declaration = maker->declaration;
    for (uint32_t part = 0; part < maker->plan->n_parts; part++)
        for (uint32_t i = 0; i < declaration->n_features; i++) {
            freshet_code code = collect_feature(maker, i, part, err);
            if (code != FRESHET_OK)
                return in_feature(&declaration->features[i], code, err);
        }
    return FRESHET_OK;
}

static freshet_code count_outputs(const windows_declaration *declaration, uint32_t *n,
                                  freshet_error *err)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < declaration->n_features; i++)
        total +=
            (uint64_t)declaration->features[i].n_functions * windows_of(&declaration->features[i]);
    total *= declaration->pivot == NULL ? 1 : declaration->pivot->n_values;
    if (total > WINDOWS_OUTPUTS_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the windows make %llu columns; at most %u are possible",
                         (unsigned long long)total, WINDOWS_OUTPUTS_MAX);
    if (declaration->n_keys > WINDOWS_KEYS_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "a feature set can have at most %u keys", WINDOWS_KEYS_MAX);
    for (uint32_t i = 0; i < declaration->n_keys; i++)
        if (declaration->keys[i]->n_fields > 0)
            return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                             "a key must be a single value, not an array or a struct");
    *n = (uint32_t)total;
    return FRESHET_OK;
}

/* ---- laying out ---------------------------------------------------------------------------- */

/* In a block: the cells of 16 bytes, of 8, of 4, of 1 and 0; the times before those of their
 * size. */
static void lay_out_slots(maker *maker)
{
    static const uint32_t sizes[] = {16, 8, 4, 1, 0};
    windows_plan *plan = maker->plan;
    uint32_t before = 0;
    plan->time_bytes = plan->in_us ? sizeof(int64_t) : sizeof(uint32_t);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        if (sizes[s] == plan->time_bytes) {
            plan->times_before = before;
            before += plan->time_bytes;
        }
        for (uint32_t i = 0; i < plan->n_slots; i++) {
            window_slot *slot = &maker->slots[i];
            if (slot->cell != sizes[s])
                continue;
            slot->before = before;
            before += slot->cell;
            slot->is_text = slot->is_text && slot->cell > 0;
            plan->has_texts = plan->has_texts || slot->is_text;
        }
    }
    plan->event_bytes = before;
}

static uint32_t partial_size(const window_measure *measure)
{
    return ((uint32_t)measure->family->size + PARTIAL_ALIGN - 1) & ~(PARTIAL_ALIGN - 1);
}

/* Partials of rolling windows are only worth their room where they are smaller than the events that
 * they stand for. */
static bool keeps_partials(const maker *maker)
{
    const windows_plan *plan = maker->plan;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < plan->n_measures; i++)
        bytes += maker->measures[i].family->merge == NULL ? 0 : partial_size(&maker->measures[i]);
    return plan->n_distinct == 0 &&
           (!plan->in_us || bytes <= (uint64_t)AGGREGATE_RUN_MAX * plan->event_bytes);
}

static void lay_out_measures(maker *maker)
{
    windows_plan *plan = maker->plan;
    const bool keeps = keeps_partials(maker);
    uint32_t at = 0;
    for (int held = 0; held < 2; held++) {
        for (uint32_t i = 0; i < plan->n_measures; i++) {
            window_measure *measure = &maker->measures[i];
            measure->kept = keeps && measure->family->merge != NULL;
            if (measure->kept == (held != 0))
                continue;
            measure->offset = at;
            at += partial_size(measure);
            plan->holds = plan->holds || held;
        }
        if (!held)
            plan->kept_bytes = at;
    }
    plan->frame_bytes = at;
}

static int compare_lengths(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The distinct lengths of the mode's windows, ascending; returns how many. */
static uint32_t distinct_lengths(const maker *maker, window_mode mode, int64_t *lengths)
{
    uint32_t n = 0, distinct = 0;
    for (uint32_t i = 0; i < maker->n_outputs; i++)
        if (maker->wishes[i].mode == mode)
            lengths[n++] = maker->wishes[i].length;
    if (n > 1)
        qsort(lengths, n, sizeof *lengths, compare_lengths);
    for (uint32_t i = 0; i < n; i++)
        if (distinct == 0 || lengths[distinct - 1] != lengths[i])
            lengths[distinct++] = lengths[i];
    return distinct;
}

/* Arrays are not linked: their elements lie in each column. */
static void link_answers(window_answer *answers, uint32_t n, const window_stop *before)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < before->n_answers; j++)
            if (answers[i].aggregate == before->answers[j].aggregate &&
                answers[i].offset == before->answers[j].offset &&
                answers[i].aggregate->output->kind != TYPE_ARRAY)
                answers[i].shorter = before->answers[j].output;
}

/* The tally of a slot among those of one window, which begin at `first`. */
static uint32_t find_tally(maker *maker, uint32_t first, uint32_t slot)
{
    windows_plan *plan = maker->plan;
    for (uint32_t i = first; i < plan->n_tallies; i++)
        if (maker->tallies[i] == slot)
            return i;
    maker->tallies[plan->n_tallies] = slot;
    return plan->n_tallies++;
}

static bool fill_stop(maker *maker, window_mode mode, uint32_t index, window_stop *stop)
{
    const windows_plan *plan = maker->plan;
    uint32_t n = 0, first_tally = plan->n_tallies;
    for (uint32_t i = 0; i < maker->n_outputs; i++)
        n += maker->wishes[i].mode == mode && maker->wishes[i].length == stop->length;
    window_answer *answers = arena_zero(maker->arena, n, sizeof *answers);
    if (answers == NULL)
        return false;
    for (uint32_t i = 0; i < maker->n_outputs; i++) {
        const wish *wish = &maker->wishes[i];
        if (wish->mode != mode || wish->length != stop->length)
            continue;
        window_measure *part = &maker->measures[(size_t)wish->part * maker->n_found];
        window_measure *measure = &part[wish->measure], *rows = &part[maker->n_found - 1];
        bool tallied =
            wish->aggregate->tallied != NULL && plan->pivot == NULL && plan->n_distinct == 0;
        answers[stop->n_answers++] = (window_answer){
            .aggregate = wish->aggregate,
            .offset = measure->offset,
            .output = i,
            .shorter = WINDOWS_NONE,
            .tally = tallied ? find_tally(maker, first_tally, measure->slot) : WINDOWS_NONE,
            .rows = plan->pivot == NULL ? WINDOWS_NONE : rows->offset,
        };
        measure->n_windows[mode] = index + 1;
        if (!tallied)
            measure->n_held[mode] = index + 1;
        if (plan->pivot != NULL)
            rows->n_windows[mode] = rows->n_held[mode] = index + 1;
    }
    stop->answers = answers;
    if (index > 0)
        link_answers(answers, n, stop - 1);
    return true;
}

static bool make_walk(maker *maker, window_mode mode)
{
    window_walk *walk = &maker->plan->walks[mode];
    int64_t *lengths = arena_alloc(maker->arena, (maker->n_outputs + 1) * sizeof *lengths);
    uint32_t *measures =
        arena_alloc(maker->arena, (maker->plan->n_measures + 1) * sizeof *measures);
    if (lengths == NULL || measures == NULL)
        return false;
    walk->n_stops = distinct_lengths(maker, mode, lengths);
    window_stop *stops = arena_zero(maker->arena, walk->n_stops + 1, sizeof *stops);
    if (stops == NULL)
        return false;
    for (uint32_t i = 0; i < walk->n_stops; i++) {
        stops[i].length = lengths[i];
        if (!fill_stop(maker, mode, i, &stops[i]))
            return false;
    }
    for (uint32_t i = 0; i < maker->plan->n_measures; i++)
        if (maker->measures[i].n_windows[mode] > 0)
            measures[walk->n_measures++] = i;
    walk->stops = stops;
    walk->measures = measures;
    return true;
}

static uint64_t hash_type(uint64_t hash, const type *type)
{
    uint32_t words[3] = {(uint32_t)type->kind, type->width, type->scale};
    hash = hash_bytes(words, sizeof words, hash);
    for (uint32_t i = 0; i < type->n_fields; i++)
        hash = hash_type(hash, type->fields[i].type);
    return hash;
}

static uint64_t plan_fingerprint(const windows_plan *plan)
{
    uint64_t hash = plan->in_us;
    for (uint32_t i = 0; i < plan->n_keys; i++)
        hash = hash_type(hash, plan->keys[i]);
    return hash;
}

static bool make_looks(maker *maker)
{
    window_look *looks = arena_zero(maker->arena, maker->n_outputs + (size_t)1, sizeof *looks);
    for (uint32_t i = 0; looks != NULL && i < maker->n_outputs; i++) {
        const wish *wish = &maker->wishes[i];
        looks[i] = (window_look){.slot = maker->measures[wish->measure].slot,
                                 .part = wish->part,
                                 .mode = wish->mode,
                                 .is_partial = wish->is_partial,
                                 .is_count = !wish->aggregate->family->reads_values,
                                 .length = wish->length};
    }
    maker->plan->looks = looks;
    return looks != NULL;
}

static void finish_plan(maker *maker)
{
    windows_plan *plan = maker->plan;
    const window_walk *walks = plan->walks;
    plan->longest_s = walks[WINDOW_FIXED].n_stops == 0
                          ? -1
                          : walks[WINDOW_FIXED].stops[walks[WINDOW_FIXED].n_stops - 1].length;
    plan->longest_rows = walks[WINDOW_ROWS].n_stops == 0
                             ? 0
                             : walks[WINDOW_ROWS].stops[walks[WINDOW_ROWS].n_stops - 1].length;
    plan->outputs = (schema){maker->n_outputs, maker->outputs};
    plan->slots = maker->slots;
    plan->measures = maker->measures;
    plan->tallies = maker->tallies;
    plan->fingerprint = plan_fingerprint(plan);
}

static bool open_maker(maker *maker, uint32_t n_outputs)
{
    const windows_declaration *declaration = maker->declaration;
    const uint32_t n_parts = declaration->pivot == NULL ? 1 : declaration->pivot->n_values;
    maker->plan = arena_zero(maker->arena, 1, sizeof *maker->plan);
    maker->slots = arena_zero(maker->arena, WINDOWS_SLOTS_MAX, sizeof *maker->slots);
    maker->measures =
        arena_zero(maker->arena, n_outputs + n_parts + (size_t)1, sizeof *maker->measures);
    maker->tallies = arena_zero(maker->arena, n_outputs + 1, sizeof *maker->tallies);
    maker->wishes = arena_zero(maker->arena, n_outputs + 1, sizeof *maker->wishes);
    maker->outputs = arena_zero(maker->arena, n_outputs + 1, sizeof *maker->outputs);
    maker->aggregates =
        arena_zero(maker->arena, declaration->n_features + (size_t)1, sizeof(aggregate *));
    windows_declaration *copy = arena_alloc(maker->arena, sizeof *copy);
    if (copy == NULL || maker->plan == NULL || maker->slots == NULL || maker->measures == NULL ||
        maker->tallies == NULL || maker->wishes == NULL || maker->outputs == NULL ||
        maker->aggregates == NULL)
        return false;
    *copy = *declaration;
    *maker->plan = (windows_plan){
        .declaration = copy,
        .n_keys = declaration->n_keys,
        .keys = declaration->keys,
        .columns = {declaration->n_columns, declaration->columns},
        .carried = declaration->carried,
        .n_carried = declaration->n_carried,
        .pivot = declaration->pivot,
        .distinct = declaration->distinct,
        .n_distinct = declaration->n_distinct,
        .keep_first = declaration->keep_first,
        .in_us = declaration->n_features > 0 && declaration->features[0].mode == WINDOW_ROLLING,
        .n_parts = n_parts,
    };
    return true;
}

freshet_code windows_plan_make(arena *arena, const windows_declaration *declaration,
                               windows_plan **out, freshet_error *err)
{
    uint32_t n_outputs = 0;
    maker maker = {.arena = arena, .declaration = declaration};
    freshet_code code = count_outputs(declaration, &n_outputs, err);
    if (code == FRESHET_OK && !open_maker(&maker, n_outputs))
        code = error_memory(err, "planning the windows");
    if (code == FRESHET_OK)
        code = collect_features(&maker, err);
    if (code == FRESHET_OK)
        code = add_own_slots(&maker, err);
    if (code != FRESHET_OK)
        return code;
    repeat_measures(&maker);
    lay_out_slots(&maker);
    lay_out_measures(&maker);
    for (int mode = 0; mode < WINDOW_MODES; mode++)
        if (!make_walk(&maker, (window_mode)mode))
            return error_memory(err, "planning the windows");
    if (!make_looks(&maker))
        return error_memory(err, "planning the windows");
    finish_plan(&maker);
    *out = maker.plan;
    return FRESHET_OK;
}
