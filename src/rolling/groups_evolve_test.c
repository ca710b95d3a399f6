/* groups_evolve_test.c - the declaration of rolling windows changes while their state goes on:
 * random chains of declarations over random rows, against a naive twin, with saves and restarts
 * between.
 *
 * The twin keeps all events, and computes each row's windows from a plain list. A window that must
 * be full has what a fresh run over all events gives; one that is not full is null or has that
 * value. A row that is missing has no window that must be full and holds an event. A row comes once
 * its time has come, not later. Keys are in a store that lists them, and leave memory at random.
 *
 * Now and then the state is filled with the past: with the keys of another one, made of all events
 * up to then or up to the change, in the order of time; some of them first, and all once more after
 * a restart. Everything must be full then.
 *
 * FRESHET_CHAINS=n runs n chains instead of CHAINS; FRESHET_SEED=s runs the one of seed s.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random_testing.h"
#include "keyed/layouts_testing.h"
#include "rolling/groups_internal.h"

#define CHAINS 300
#define ROWS 150u
#define KEYS 4u
#define LINKS 4u
#define SECOND INT64_C(1000000)
#define NEVER INT64_MIN
#define ROW_ROOM 4096u

enum { X, Y, F, P, N_COLUMNS }; /* two values, a filter, the pivot's column */
#define N_THINGS 4u             /* X, Y, and both where F */

static const char *const functions[] = {"count", "sum", "max"};
static const char *const lengths[] = {"20 seconds", "40 seconds", "2 minutes"};
static const char *const slides[] = {"10 seconds", "20 seconds"};
static const char *const pivots[] = {"1", "2", "3"};

typedef struct link {
    windows_feature features[2];
    windows_function of[2][2];
    const char *windows[2], *slide;
    uint32_t n_features, n_windows, n_pivot, n_distinct, first_pivot;
    int64_t lengths_us[2], slide_us;
    uint32_t values, counted;
} link;

typedef struct event {
    int64_t time_us, at[2];
    bool null[2], f, f_null;
    int pivot; /* 1 to 3; 0: none of them */
    uint32_t number, key, values, theres, pivots;
} event;

typedef struct chain {
    uint64_t random, seed, declared;
    arena *arena;
    link links[LINKS];
    uint32_t n_links, at;
    event events[ROWS];
    uint32_t n;
    int64_t since_values[KEYS][N_THINGS], since_theres[KEYS][N_THINGS], since_pivot[KEYS][4];
    int64_t gone, time_us, newest_us;
    field fields[N_COLUMNS];
    groups_plan *plan;
    int64_t taken_us; /* rows up to it have been */
    const state_part *part;
    int64_t listed[KEYS];
    bool is_brought[KEYS]; /* of that time, since the state was opened */
    char *keys[KEYS], *saved[KEYS];
    size_t key_lengths[KEYS], saved_lengths[KEYS];
    text_buffer facts;
    seen_layouts layouts;
    bool given[KEYS][ROW_ROOM]; /* ends, in steps of 10 seconds */
    uint32_t n_changed;         /* events before the last change */
} chain;

static uint64_t draw(chain *c, uint64_t below)
{
    return random_draw(&c->random, below);
}

static uint32_t thing_of(const windows_feature *feature)
{
    return feature->values + (feature->filter == F ? 2 : 0);
}

static void draw_link(chain *c, link *l)
{
    *l = (link){.n_features = 1 + (uint32_t)draw(c, 2), .n_windows = 1 + (uint32_t)draw(c, 2)};
    l->slide = slides[draw(c, 2)];
    l->slide_us = l->slide == slides[0] ? 10 * SECOND : 20 * SECOND;
    l->n_pivot = draw(c, 3) == 0 ? 1 + (uint32_t)draw(c, 2) : 0;
    l->first_pivot = (uint32_t)draw(c, 2);
    l->n_distinct = draw(c, 4) == 0;
    const uint32_t first = (uint32_t)draw(c, 2);
    for (uint32_t w = 0; w < l->n_windows; w++) {
        l->windows[w] = lengths[first + w];
        l->lengths_us[w] = (int64_t[]){20, 40, 120}[first + w] * SECOND;
    }
    for (uint32_t i = 0; i < l->n_features; i++) {
        windows_feature *feature = &l->features[i];
        *feature = (windows_feature){.name = i == 0 ? "f" : "g",
                                     .values = (uint32_t)draw(c, 2),
                                     .filter = draw(c, 2) ? WINDOWS_NO_FILTER : (uint32_t)F,
                                     .functions = l->of[i],
                                     .n_functions = 1 + (uint32_t)draw(c, 2)};
        for (uint32_t k = 0; k < feature->n_functions; k++) {
            l->of[i][k] = (windows_function){functions[(k + draw(c, 2)) % 3], NULL};
            *(strcmp(l->of[i][k].text, "count") == 0 ? &l->counted : &l->values) |=
                1u << thing_of(feature);
        }
    }
}

/* ---- the twin -------------------------------------------------------------------------------- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t end_after(const link *l, uint32_t w, int64_t after)
{
    const int64_t phase = l->lengths_us[w] % l->slide_us;
    return (after - phase) / l->slide_us * l->slide_us + l->slide_us + phase;
}

static uint32_t pivots_of(const link *l)
{
    uint32_t set = 0;
    for (uint32_t p = 0; p < l->n_pivot; p++)
        set |= 1u << (l->first_pivot + p + 1);
    return set;
}

static void change_twin(chain *c, const link *was, const link *is)
{
    const uint32_t stays =
        (was->values | was->counted) & (is->counted | (is->values & was->values));
    const uint32_t asked = is->values | is->counted, had = pivots_of(was), has = pivots_of(is);
    int64_t newest[KEYS];
    bool others = was->slide_us != is->slide_us;
    for (uint32_t k = 0; k < KEYS; k++)
        newest[k] = NEVER;
    for (uint32_t i = 0; i < c->n; i++) {
        event *event = &c->events[i];
        newest[event->key] = later(newest[event->key], event->time_us);
        event->values &= is->values;
        event->theres &= stays;
        event->pivots &= has;
    }
    for (uint32_t k = 0; k < KEYS; k++) {
        if (newest[k] == NEVER)
            continue;
        for (uint32_t t = 0; t < N_THINGS; t++) {
            if (is->values & ~was->values & 1u << t)
                c->since_values[k][t] = newest[k] + 1;
            if (asked & ~stays & 1u << t)
                c->since_theres[k][t] = newest[k] + 1;
        }
        for (uint32_t p = 1; p < 4; p++)
            if (has & ~had & 1u << p)
                c->since_pivot[k][p] = newest[k] + 1;
    }
    if (is->n_distinct > 0 && was->n_distinct == 0)
        c->gone = later(c->gone, c->newest_us + 1);
    int64_t from = INT64_MAX;
    for (uint32_t w = 0; w < was->n_windows; w++) {
        const int64_t begin = end_after(was, w, c->time_us) - was->lengths_us[w];
        from = begin < from ? begin : from;
    }
    for (uint32_t w = 0; w < is->n_windows; w++) {
        bool found = false;
        for (uint32_t i = 0; i < was->n_windows; i++)
            found |= was->lengths_us[i] == is->lengths_us[w];
        others |= !found;
    }
    if (others)
        c->gone = later(c->gone, from);
}

typedef struct answer {
    bool null;
    int64_t n;
    uint32_t n_events;
} answer;

/* Of events with an equal X only the newest counts where the set is distinct by it. */
static bool is_hidden(const chain *c, uint32_t i, int64_t end_us)
{
    const event *a = &c->events[i];
    for (uint32_t k = 0; c->links[c->at].n_distinct > 0 && k < c->n; k++) {
        const event *b = &c->events[k];
        const bool same =
            b->key == a->key && b->null[X] == a->null[X] && (a->null[X] || a->at[X] == b->at[X]);
        if (k != i && same && b->time_us < end_us &&
            (b->time_us > a->time_us || (b->time_us == a->time_us && k < i)))
            return true;
    }
    return false;
}

static answer compute(const chain *c, uint32_t key, const windows_feature *feature,
                      const char *function, int64_t begin_us, int64_t end_us, int pivot)
{
    answer out = {.null = true};
    bool any = false;
    for (uint32_t i = 0; i < c->n; i++) {
        const event *event = &c->events[i];
        if (event->key != key || event->time_us < begin_us || event->time_us >= end_us ||
            (pivot > 0 && event->pivot != pivot) || is_hidden(c, i, end_us))
            continue;
        out.n_events++;
        if (event->null[feature->values] || (feature->filter == F && (event->f_null || !event->f)))
            continue;
        const int64_t value = event->at[feature->values];
        if (strcmp(function, "sum") == 0)
            out.n += value;
        else if (strcmp(function, "max") == 0)
            out.n = !any || value > out.n ? value : out.n;
        else
            out.n++;
        any = true;
    }
    out.null = out.n_events == 0 || (!any && strcmp(function, "count") != 0);
    return out;
}

static bool must_be_full(const chain *c, uint32_t key, const windows_feature *feature,
                         const char *function, int64_t begin_us, int pivot)
{
    const uint32_t t = thing_of(feature);
    int64_t since =
        strcmp(function, "count") == 0 ? c->since_theres[key][t] : c->since_values[key][t];
    if (pivot > 0)
        since = later(since, c->since_pivot[key][pivot]);
    return begin_us >= later(since, c->gone);
}

static void check_row(chain *c, uint32_t key, const groups_rows *rows, uint32_t row)
{
    const link *l = &c->links[c->at];
    const int64_t end_us = rows->time_us[row];
    uint32_t output = 0;
    for (uint32_t p = 0; p < (l->n_pivot == 0 ? 1 : l->n_pivot); p++)
        for (uint32_t i = 0; i < l->n_features; i++)
            for (uint32_t f = 0; f < l->features[i].n_functions; f++)
                for (uint32_t w = 0; w < l->n_windows; w++, output++) {
                    const int64_t begin_us = end_us - l->lengths_us[w];
                    const int pivot = l->n_pivot == 0 ? 0 : (int)(l->first_pivot + p + 1);
                    const char *function = l->of[i][f].text;
                    answer right =
                        compute(c, key, &l->features[i], function, begin_us, end_us, pivot);
                    if (end_after(l, w, end_us - 1) != end_us)
                        right.null = true; /* it does not end here */
                    const bool full =
                        must_be_full(c, key, &l->features[i], function, begin_us, pivot);
                    const column *got = &rows->outputs[output];
                    const bool null = !column_is_valid(got, row);
                    const int64_t n = null ? 0 : ((const int64_t *)got->data)[row];
                    if (null ? !right.null && full : right.null || n != right.n)
                        fail_msg("seed %llu, link %u: key %u at %lld, output %u (%s): right is "
                                 "%s%lld, got %s%lld (%s)",
                                 (unsigned long long)c->seed, c->at, key, (long long)end_us, output,
                                 function, right.null ? "null " : "", (long long)right.n,
                                 null ? "null " : "", (long long)n, full ? "full" : "not full");
                }
}

/* Rows that should have gone out by now, since `from_us`. */
static void check_missing(chain *c, int64_t from_us)
{
    const link *l = &c->links[c->at];
    for (uint32_t key = 0; key < KEYS; key++)
        for (uint32_t w = 0; w < l->n_windows; w++)
            for (int64_t end = end_after(l, w, from_us); end <= c->time_us;
                 end = end_after(l, w, end)) {
                const windows_feature *feature = &l->features[0];
                const answer rows =
                    compute(c, key, feature, "count", end - l->lengths_us[w], end, 0);
                const bool known = end - l->lengths_us[w] >= c->gone;
                if (rows.n_events > 0 && known && !c->given[key][end / (10 * SECOND)])
                    fail_msg("seed %llu, link %u: key %u has no row at %lld",
                             (unsigned long long)c->seed, c->at, key, (long long)end);
            }
}

/* ---- the state ------------------------------------------------------------------------------- */

static void make_plan(chain *c)
{
    static const type *keys[1];
    static const uint32_t subset[] = {X};
    link *l = &c->links[c->at];
    freshet_error err = {0};
    keys[0] = type_simple(TYPE_BIGINT);
    column *values = arena_zero(c->arena, 1, sizeof *values);
    assert_int_equal(column_init(c->arena, values, type_simple(TYPE_BIGINT), 3, NULL), FRESHET_OK);
    for (uint32_t p = 0; p < l->n_pivot; p++)
        ((int64_t *)values->data)[p] = l->first_pivot + p + 1;
    const groups_declaration declaration = {.keys = keys,
                                            .n_keys = 1,
                                            .columns = c->fields,
                                            .n_columns = N_COLUMNS,
                                            .features = l->features,
                                            .n_features = l->n_features,
                                            .windows = l->windows,
                                            .n_windows = l->n_windows,
                                            .slide = l->slide,
                                            .pivot = {l->n_pivot == 0 ? WINDOWS_NONE : (uint32_t)P,
                                                      values, pivots + l->first_pivot, l->n_pivot},
                                            .distinct = subset,
                                            .n_distinct = l->n_distinct};
    if (groups_plan_make(c->arena, &declaration, &c->plan, &err) != FRESHET_OK)
        fail_msg("seed %llu: %s", (unsigned long long)c->seed, err.text);
}

static int64_t number_of(const void *key)
{
    int64_t k;
    memcpy(&k, (const char *)key + 1, sizeof k);
    return k;
}

static freshet_code load_saved(void *context, const void *key, size_t length, text_buffer *into,
                               freshet_error *err)
{
    const chain *c = context;
    const int64_t k = number_of(key);
    (void)length, (void)err;
    if (c->saved[k] == NULL)
        return FRESHET_END;
    text_append(into, c->saved[k], c->saved_lengths[k]);
    return FRESHET_OK;
}

static freshet_code restore_saved(chain *c, uint32_t k, freshet_error *err)
{
    return state_part_restore(c->part, c->keys[k], c->key_lengths[k], c->saved[k],
                              c->saved_lengths[k], err);
}

static freshet_code bring_saved(void *context, uint32_t piece, int64_t until, uint32_t most,
                                uint32_t *n, freshet_error *err)
{
    chain *c = context;
    freshet_code code = FRESHET_OK;
    (void)piece;
    *n = 0;
    for (uint32_t k = 0; code == FRESHET_OK && k < KEYS && *n < most; k++) {
        if (c->saved[k] == NULL || c->is_brought[k] || c->listed[k] > until)
            continue;
        c->is_brought[k] = true;
        ++*n;
        if (!state_part_has(c->part, c->keys[k], c->key_lengths[k]))
            code = restore_saved(c, k, err);
    }
    return code;
}

/* Keys come when they are needed, but where the list is of other times. */
static groups_state *open_state(chain *c)
{
    const groups_options options = {
        .is_stream = true, .from_us = INT64_MIN, .until_us = INT64_MAX, .lateness_us = 5 * SECOND};
    groups_state *state;
    const struct kept_layout *last;
    const char *refused;
    freshet_error err = {0};
    assert_int_equal(groups_open(c->plan, &options, &state, &err), FRESHET_OK);
    const state_part *part = groups_part(state);
    c->part = part;
    memset(c->is_brought, 0, sizeof c->is_brought);
    state_part_set_load(part, load_saved, c);
    state_part_set_bring(part, bring_saved);
    if (c->facts.length == 0)
        return state;
    const unsigned char *at = (const unsigned char *)c->facts.bytes;
    assert_int_equal(groups_restore_facts(state, &at, at + c->facts.length, &err), FRESHET_OK);
    assert_int_equal(groups_evolve(state, c->layouts.last, c->declared, &last, &refused, &err),
                     FRESHET_OK);
    assert_null(refused);
    layouts_know(&c->layouts, part, state);
    for (uint32_t k = 0; part->ops->lists_anew(state) && k < KEYS; k++) {
        if (c->saved[k] == NULL)
            continue;
        if (restore_saved(c, k, &err) != FRESHET_OK)
            fail_msg("seed %llu: %s", (unsigned long long)c->seed, err.text);
        state_part_touch(part, c->keys[k], c->key_lengths[k]);
    }
    return state;
}

static void checkpoint(chain *c, groups_state *state)
{
    const state_part *part = groups_part(state);
    state_key key;
    uint32_t cursor = 0;
    assert_int_equal(groups_check(state, NULL), FRESHET_OK);
    while (state_part_next_dirty(part, &cursor, &key)) {
        text_buffer buffer;
        const int64_t k = number_of(key.bytes);
        text_init(&buffer, TEXT_LIMIT_DEFAULT);
        assert_int_equal(state_part_save(part, &key, &buffer, NULL), FRESHET_OK);
        c->keys[k] = arena_copy(c->arena, key.bytes, key.length);
        c->key_lengths[k] = key.length;
        c->saved[k] = state_part_is_empty(part, &key)
                          ? NULL
                          : arena_copy(c->arena, buffer.bytes, buffer.length);
        c->saved_lengths[k] = buffer.length;
        c->is_brought[k] = false;
        int64_t listed_us = c->listed[k]; /* where it stays listed as it is */
        if (c->saved[k] != NULL && part->ops->listed(state, key.index, 0, &listed_us))
            c->listed[k] = listed_us;
        text_release(&buffer);
    }
    state_part_clean(part);
    while (draw(c, 3) != 0 && state_part_next_cold(part, &key))
        state_part_drop(part, &key);
    text_reset(&c->facts);
    groups_save_facts(state, &c->facts);
    layouts_note(&c->layouts, c->arena, part);
}

static void give_event(const chain *c, groups_state *state, const event *event)
{
    column columns[N_COLUMNS], key;
    uint8_t too_long[1];
    for (int i = 0; i < N_COLUMNS; i++)
        assert_int_equal(column_init(c->arena, &columns[i], c->fields[i].type, 1, NULL), 0);
    assert_int_equal(column_init(c->arena, &key, type_simple(TYPE_BIGINT), 1, NULL), 0);
    *(int64_t *)key.data = event->key;
    for (int i = X; i <= Y; i++) {
        *(int64_t *)columns[i].data = event->at[i];
        if (event->null[i])
            column_set_null(c->arena, &columns[i], 0);
    }
    *(uint8_t *)columns[F].data = event->f;
    *(int64_t *)columns[P].data = event->pivot;
    const groups_input input = {1, &key, columns, &event->time_us, NULL};
    assert_int_equal(groups_add(state, &input, too_long, NULL), FRESHET_OK);
}

static void add_event(chain *c, groups_state *state, int64_t time_us)
{
    const link *l = &c->links[c->at];
    event *event = &c->events[c->n++];
    *event = (struct event){.time_us = time_us,
                            .number = c->n,
                            .key = (uint32_t)draw(c, KEYS),
                            .at = {(int64_t)draw(c, 6), (int64_t)draw(c, 900)},
                            .null = {draw(c, 6) == 0, draw(c, 6) == 0},
                            .f = draw(c, 2) == 0,
                            .pivot = (int)draw(c, 4)};
    event->values = l->values;
    event->theres = l->values | l->counted;
    event->pivots = pivots_of(l);
    c->newest_us = later(c->newest_us, time_us);
    give_event(c, state, event);
}

static void take_rows(chain *c, groups_state *state)
{
    groups_rows rows;
    freshet_error err = {0};
    do {
        assert_int_equal(groups_take(state, c->arena, 100, &rows, &err), FRESHET_OK);
        for (uint32_t row = 0; row < rows.n_rows; row++) {
            const uint32_t key = (uint32_t)((const int64_t *)rows.keys[0].data)[row];
            assert_true(rows.time_us[row] / (10 * SECOND) < ROW_ROOM);
            if (rows.time_us[row] <= c->taken_us)
                fail_msg("seed %llu, link %u: key %u: a row too late, of %lld",
                         (unsigned long long)c->seed, c->at, key, (long long)rows.time_us[row]);
            c->given[key][rows.time_us[row] / (10 * SECOND)] = true;
            check_row(c, key, &rows, row);
        }
    } while (rows.n_rows > 0);
}

/* ---- filling it ------------------------------------------------------------------------------ */

static int compare_times(const void *a, const void *b)
{
    const event *x = a, *y = b;
    if (x->time_us != y->time_us)
        return x->time_us < y->time_us ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

/* A state of the first n events, as far as `until_us`. */
static groups_state *make_past(chain *c, uint32_t n, int64_t until_us)
{
    const groups_options options = {.is_stream = true, .from_us = INT64_MAX, .until_us = INT64_MAX};
    event *sorted = arena_alloc(c->arena, (n + 1) * sizeof *sorted);
    groups_state *past;
    groups_rows rows;
    assert_int_equal(groups_open(c->plan, &options, &past, NULL), FRESHET_OK);
    memcpy(sorted, c->events, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_times);
    for (uint32_t i = 0; i < n; i++) {
        give_event(c, past, &sorted[i]);
        const int64_t time_us = sorted[i].time_us - 5 * SECOND;
        groups_advance(past, time_us < until_us ? time_us : until_us);
        assert_int_equal(groups_take(past, c->arena, 100, &rows, NULL), FRESHET_OK);
        assert_int_equal(rows.n_rows, 0);
    }
    return past;
}

/* Gives the keys of the past, each with that chance in percent; all of them end the fill. */
static void give_past(chain *c, groups_state *state, groups_state *past, uint64_t percent)
{
    const state_part *from = groups_part(past), *part = groups_part(state);
    uint32_t cursor = 0, index;
    freshet_error err = {0};
    if (part->ops->fill_open(state, from->layout, from->ops->fill_newest(past), &err) != FRESHET_OK)
        fail_msg("seed %llu, link %u: %s", (unsigned long long)c->seed, c->at, err.text);
    while ((index = keyed_next(from->table, &cursor)) != KEY_NONE) {
        const keyed_entry *entry = keyed_at(from->table, index);
        const state_key key = {keyed_key(entry), entry->length, index, 0};
        text_buffer bytes;
        state_fill kind;
        if (draw(c, 100) >= percent)
            continue;
        text_init(&bytes, TEXT_LIMIT_DEFAULT);
        assert_int_equal(state_part_save(from, &key, &bytes, NULL), FRESHET_OK);
        assert_int_equal(
            state_part_fill(part, key.bytes, key.length, bytes.bytes, bytes.length, &kind, &err),
            FRESHET_OK);
        if (kind == FILL_SHORT || kind == FILL_OTHER)
            fail_msg("seed %llu, link %u: key %lld: its past is said to be %s",
                     (unsigned long long)c->seed, c->at, (long long)number_of(key.bytes),
                     kind == FILL_SHORT ? "too short" : "another's");
        text_release(&bytes);
    }
    if (percent == 100)
        part->ops->filled(state, c->declared);
}

static groups_state *fill_state(chain *c, groups_state *state)
{
    const int64_t until_us = groups_part(state)->ops->fill_until(state);
    groups_state *past = make_past(c, draw(c, 2) ? c->n : c->n_changed, until_us);
    if (draw(c, 2)) {
        give_past(c, state, past, 50);
        checkpoint(c, state);
        groups_close(state);
        state = open_state(c);
    }
    give_past(c, state, past, 100);
    groups_close(past);
    checkpoint(c, state);
    if (draw(c, 2)) {
        groups_close(state);
        state = open_state(c);
    }
    for (uint32_t i = 0; i < c->n; i++) {
        event *event = &c->events[i];
        event->values = event->theres = c->links[c->at].values | c->links[c->at].counted;
        event->pivots = pivots_of(&c->links[c->at]);
    }
    for (uint32_t k = 0; k < KEYS; k++)
        for (uint32_t t = 0; t < N_THINGS; t++)
            c->since_values[k][t] = c->since_theres[k][t] = c->since_pivot[k][t] = NEVER;
    c->gone = NEVER;
    return state;
}

static void run_link(chain *c, uint32_t n)
{
    groups_state *state = open_state(c);
    const uint32_t fill_at = c->at > 0 && draw(c, 2) ? (uint32_t)draw(c, n) : UINT32_MAX;
    int64_t from_us = c->time_us;
    checkpoint(c, state);
    for (uint32_t i = 0; i < n && c->n < ROWS; i++) {
        if (i == fill_at) {
            check_missing(c, from_us);
            state = fill_state(c, state);
            from_us = c->time_us;
        }
        const int64_t now = later(c->newest_us, 1000 * SECOND) + (int64_t)draw(c, 9 * SECOND);
        const int64_t late = draw(c, 3) == 0 ? (int64_t)draw(c, 5 * SECOND) : 0;
        if (now - late >= c->time_us)
            add_event(c, state, now - late);
        c->taken_us = c->time_us;
        if (c->newest_us != NEVER)
            c->time_us = later(c->time_us, c->newest_us - 5 * SECOND);
        groups_advance(state, c->time_us);
        take_rows(c, state);
        if (draw(c, 4) == 0) {
            checkpoint(c, state);
            groups_close(state);
            state = open_state(c);
        }
    }
    check_missing(c, from_us);
    checkpoint(c, state);
    groups_close(state);
}

static void run_chain(uint64_t seed)
{
    static const type_kind kinds[N_COLUMNS] = {TYPE_BIGINT, TYPE_BIGINT, TYPE_BOOLEAN, TYPE_BIGINT};
    static const char *const names[N_COLUMNS] = {"x", "y", "x > 3", "p"};
    chain *c = calloc(1, sizeof *c);
    assert_non_null(c);
    *c = (chain){.arena = arena_open(),
                 .seed = seed,
                 .declared = 1,
                 .random = random_begin(seed),
                 .gone = NEVER,
                 .time_us = 1000 * SECOND,
                 .newest_us = NEVER};
    text_init(&c->facts, TEXT_LIMIT_DEFAULT);
    for (int i = 0; i < N_COLUMNS; i++)
        c->fields[i] = (field){names[i], type_simple(kinds[i])};
    for (uint32_t k = 0; k < KEYS; k++) {
        for (uint32_t t = 0; t < N_THINGS; t++)
            c->since_values[k][t] = c->since_theres[k][t] = c->since_pivot[k][t] = NEVER;
    }
    c->n_links = 2 + (uint32_t)draw(c, LINKS - 1);
    for (uint32_t i = 0; i < c->n_links; i++)
        draw_link(c, &c->links[i]);
    for (; c->at < c->n_links; c->at++, c->declared++) {
        c->n_changed = c->n;
        if (c->at > 0)
            change_twin(c, &c->links[c->at - 1], &c->links[c->at]);
        make_plan(c);
        run_link(c, 5 + (uint32_t)draw(c, 60));
    }
    text_release(&c->facts);
    arena_close(c->arena);
    free(c);
}

static void changed_groups_equal_their_twin(void **unused)
{
    (void)unused;
    random_seeds(run_chain, CHAINS, "FRESHET_CHAINS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(changed_groups_equal_their_twin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
