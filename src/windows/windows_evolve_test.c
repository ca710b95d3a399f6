/* windows_evolve_test.c - the declaration of windows changes while their state goes on: random
 * chains of declarations over random rows, against a naive twin.
 *
 * The twin keeps all events, computes each window from a plain list, and notes by itself which
 * values were kept of which event and since when windows of each key are whole. A window that must
 * be full has the value that a fresh run over all events would give; one that is not full is null
 * or has that value, never another one; with `until_full: partial` it has what is known. Between
 * two declarations, and now and then between two batches, the state is saved and opened anew, some
 * keys leave memory, and some runs are killed: they go on from the last checkpoint and give the
 * same again.
 *
 * FRESHET_CHAINS=n runs n chains instead of CHAINS; FRESHET_SEED=s runs the one of seed s.
 */
#include "windows/windows_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random_testing.h"
#include "keyed/layouts_testing.h"
#include "windows/layouts.h"

#define CHAINS 300
#define ROWS 260u
#define KEYS_MAX 6u
#define LINKS_MAX 5u
#define FEATURES 3u
#define NEVER INT64_MIN

/* ---- what is declared ------------------------------------------------------------------------ */

enum { A_BIGINT, A_INTEGER, B_BIGINT, TEXT, F, G, N_COLUMNS };
#define N_FILTERS 3u
#define N_THINGS (4u * N_FILTERS) /* a column, a filter or none */

static const char *const names[N_COLUMNS] = {"a", "a", "b", "s", "a > 5", "b is null"};
static const char *const functions[] = {"count", "sum", "max", "min", "last", "first"};
static const char *const fixed_texts[] = {"5 seconds", "20 seconds", "1 minute", "10 minutes"};
static const char *const row_texts[] = {"1 event", "3 events", "12 events", "70 events"};

typedef struct link {
    windows_feature features[FEATURES];
    windows_function of[FEATURES][3];
    const char *windows[FEATURES][2];
    uint32_t n_features, carried[2], n_carried;
    int64_t lateness_s;
    bool corrects, exists;
    uint32_t values, theres; /* things of which the value is kept; of which whether there is one */
    uint32_t counted;
    int64_t longest_s, longest_rows;
} link;

typedef struct event {
    uint32_t row;
    uint32_t values, theres; /* which of its things are known */
} event;

typedef struct twin {
    event events[ROWS]; /* in the order of (second, arrival) */
    uint32_t n, newest; /* its number among them */
    int64_t since_values[N_THINGS], since_theres[N_THINGS], whole;
    int64_t rows, rows_from; /* windows of so many rows are whole, from that second on */
    char *saved;
    size_t saved_length;
} twin;

typedef struct chain {
    bool is_old[ROWS]; /* of a row: later than the lateness, and taken (`late: update`) */
    uint64_t random, seed;
    arena *arena;
    link links[LINKS_MAX];
    uint32_t n_links, at;
    uint64_t declared;
    column key, columns[N_COLUMNS];
    field fields[N_COLUMNS];
    int64_t event_us[ROWS];
    uint32_t key_of[ROWS];
    twin twins[KEYS_MAX];
    uint32_t n_keys;
    bool plain_order, take_late, expires;
    windows_plan *plan;
    seen_layouts layouts;
    int64_t begun, settled;
} chain;

static uint64_t draw(chain *c, uint64_t below)
{
    return random_draw(&c->random, below);
}

static int64_t second_at(const chain *c, uint32_t row)
{
    return c->plain_order ? c->event_us[row] : c->event_us[row] / 1000000;
}

static uint32_t thing_of(const windows_feature *feature)
{
    return feature->values * N_FILTERS +
           (feature->filter == WINDOWS_NO_FILTER ? 0 : feature->filter - F + 1);
}

static void draw_link(chain *c, link *l)
{
    *l = (link){.n_features = c->plain_order ? 1 + (uint32_t)draw(c, FEATURES)
                                             : (uint32_t)draw(c, FEATURES + 1),
                .n_carried = (uint32_t)draw(c, 3),
                .carried = {B_BIGINT, TEXT},
                .lateness_s = (int64_t[]){0, 4, 30}[draw(c, 3)],
                .corrects = draw(c, 5) == 0,
                .exists = true,
                .longest_s = -1};
    for (uint32_t i = 0; i < l->n_features; i++) {
        windows_feature *feature = &l->features[i];
        *feature =
            (windows_feature){.name = arena_format(c->arena, "f%u", i),
                              .values = (uint32_t)draw(c, F),
                              .filter = draw(c, 3) ? WINDOWS_NO_FILTER : (uint32_t)(F + draw(c, 2)),
                              .mode = draw(c, 3) ? WINDOW_FIXED : WINDOW_ROWS,
                              .functions = l->of[i],
                              .n_functions = 1 + (uint32_t)draw(c, 3),
                              .windows = l->windows[i],
                              .n_windows = 1 + (uint32_t)draw(c, 2),
                              .is_partial = draw(c, 4) == 0};
        for (uint32_t f = 0; f < feature->n_functions; f++) {
            do
                l->of[i][f] = (windows_function){functions[draw(c, 6)], NULL};
            while (feature->values == TEXT && strcmp(l->of[i][f].text, "sum") == 0);
            l->theres |= 1u << thing_of(feature);
            if (strcmp(l->of[i][f].text, "count") != 0)
                l->values |= 1u << thing_of(feature);
            else
                l->counted |= 1u << thing_of(feature);
        }
        for (uint32_t w = 0; w < feature->n_windows; w++) {
            const char *name;
            int64_t length;
            l->windows[i][w] =
                feature->mode == WINDOW_FIXED ? fixed_texts[draw(c, 4)] : row_texts[draw(c, 4)];
            window_parse(c->arena, l->windows[i][w], feature->mode, &length, &name, NULL);
            if (feature->mode == WINDOW_FIXED && length > l->longest_s)
                l->longest_s = length;
            if (feature->mode == WINDOW_ROWS && length > l->longest_rows)
                l->longest_rows = length;
        }
    }
}

static void draw_rows(chain *c)
{
    static const type_kind kinds[N_COLUMNS] = {TYPE_BIGINT, TYPE_INTEGER, TYPE_BIGINT,
                                               TYPE_STRING, TYPE_BOOLEAN, TYPE_BOOLEAN};
    const int64_t step = (int64_t[]){900, 3000, 12000}[draw(c, 3)];
    int64_t now = 1700000000000;
    for (int i = 0; i < N_COLUMNS; i++) {
        c->fields[i] = (field){names[i], type_simple(kinds[i])};
        assert_int_equal(column_init(c->arena, &c->columns[i], c->fields[i].type, ROWS, NULL), 0);
    }
    assert_int_equal(column_init(c->arena, &c->key, type_simple(TYPE_BIGINT), ROWS, NULL), 0);
    for (uint32_t row = 0; row < ROWS; row++) {
        now += (int64_t)draw(c, (uint64_t)step);
        if (draw(c, 60) == 0)
            now += 400000;
        const int64_t late = draw(c, 6) ? 0 : (int64_t)draw(c, 30000);
        c->event_us[row] = c->plain_order ? (int64_t)draw(c, 400) : (now - late) * 1000;
        c->key_of[row] = (uint32_t)draw(c, draw(c, 3) ? c->n_keys : 1);
        ((int64_t *)c->key.data)[row] = c->key_of[row];
        ((int64_t *)c->columns[A_BIGINT].data)[row] = (int64_t)draw(c, 900);
        ((int32_t *)c->columns[A_INTEGER].data)[row] = (int32_t)draw(c, 900);
        ((int64_t *)c->columns[B_BIGINT].data)[row] = (int64_t)draw(c, 900);
        const char *text = arena_format(c->arena, "%03u of the texts", (unsigned)draw(c, 900));
        ((cell_text *)c->columns[TEXT].data)[row] = text_of(text, (uint32_t)strlen(text));
        for (int i = F; i <= G; i++)
            ((uint8_t *)c->columns[i].data)[row] = (uint8_t)draw(c, 2);
        for (int i = 0; i < N_COLUMNS; i++)
            if (draw(c, 7) == 0)
                column_set_null(c->arena, &c->columns[i], row);
    }
}

/* ---- the twin: values -------------------------------------------------------------------- */

typedef struct answer {
    bool null;
    int64_t n;
} answer;

/* Numbers as they are, texts by the number that they begin with. */
static answer cell_at(const column *column, uint64_t row)
{
    answer out = {.null = !column_is_valid(column, row)};
    if (out.null)
        return out;
    switch (column->type->kind) {
    case TYPE_BIGINT: out.n = ((const int64_t *)column->data)[row]; break;
    case TYPE_INTEGER: out.n = ((const int32_t *)column->data)[row]; break;
    case TYPE_STRING:
        out.n = strtoll(text_bytes(&((const cell_text *)column->data)[row]), NULL, 10);
        break;
    default: out.n = ((const uint8_t *)column->data)[row]; break;
    }
    return out;
}

static answer value_of(const chain *c, const windows_feature *feature, uint32_t row)
{
    answer value = cell_at(&c->columns[feature->values], row);
    if (feature->filter != WINDOWS_NO_FILTER) {
        const answer filter = cell_at(&c->columns[feature->filter], row);
        value.null |= filter.null || filter.n == 0;
    }
    return value;
}

/* Over events [from, to) of the key; with `known` those whose value is not known count as null. */
static answer compute(const chain *c, const twin *t, const windows_feature *feature,
                      const char *function, uint32_t from, uint32_t to, bool known)
{
    const uint32_t bit = 1u << thing_of(feature);
    const bool counts = strcmp(function, "count") == 0;
    answer out = {.null = !counts};
    for (uint32_t i = from; i < to; i++) {
        answer value = value_of(c, feature, t->events[i].row);
        value.null |= known && !((counts ? t->events[i].theres : t->events[i].values) & bit);
        if (strcmp(function, "last") == 0 || (strcmp(function, "first") == 0 && i == from))
            out = value;
        if (value.null || strcmp(function, "last") == 0 || strcmp(function, "first") == 0)
            continue;
        if (counts)
            out.n++;
        else if (strcmp(function, "sum") == 0)
            out.n = out.null ? value.n : out.n + value.n;
        else if (out.null || (strcmp(function, "max") == 0) == (value.n > out.n))
            out.n = value.n;
        out.null = false;
    }
    return out;
}

/* ---- the twin: what is full ---------------------------------------------------------------- */

typedef struct asked {
    const windows_feature *feature;
    const char *function;
    int64_t length, second;
    uint32_t from, to; /* the events of the window, of all */
    bool by_rows;
} asked;

static bool must_be_full(const chain *c, const twin *t, const asked *a)
{
    const uint32_t thing = thing_of(a->feature);
    const int64_t since =
        strcmp(a->function, "count") == 0 ? t->since_theres[thing] : t->since_values[thing];
    if (!a->by_rows)
        return a->second - a->length >= since && a->second - a->length >= t->whole;
    if (since == NEVER && t->whole == NEVER)
        return true;
    if (a->to - a->from < a->length)
        return false;
    const int64_t oldest = second_at(c, t->events[a->from].row);
    return oldest >= since &&
           (oldest >= t->whole || (a->length <= t->rows && a->second >= t->rows_from));
}

static void check_output(chain *c, const twin *t, const asked *a, const column *output,
                         uint64_t row, const char *what)
{
    const answer got = cell_at(output, row);
    const answer right = compute(c, t, a->feature, a->function, a->from, a->to, false);
    const answer known = compute(c, t, a->feature, a->function, a->from, a->to, true);
    const bool full = must_be_full(c, t, a);
    bool fits = got.null == right.null && (got.null || got.n == right.n);
    if (a->feature->is_partial && !full) {
        /* events may be gone, and be there by chance; what is there is as it is known */
        fits |= got.null == known.null && (got.null || got.n == known.n);
        fits |= t->whole != NEVER;
    } else {
        fits |= got.null && !full;
    }
    if (!fits)
        fail_msg("seed %llu, link %u: %s: %s of %s%s over %lld %s, %u events: right is %s%lld, "
                 "got %s%lld (%s, %s, known is %s%lld, whole %lld, begins %lld)",
                 (unsigned long long)c->seed, c->at, what, a->function, names[a->feature->values],
                 a->feature->filter == WINDOWS_NO_FILTER ? "" : " where", (long long)a->length,
                 a->by_rows ? "rows" : "s", a->to - a->from, right.null ? "null " : "",
                 (long long)right.n, got.null ? "null " : "", (long long)got.n,
                 full ? "full" : "not full", a->feature->is_partial ? "partial" : "null",
                 known.null ? "null " : "", (long long)known.n, (long long)t->whole,
                 (long long)(a->second - a->length));
}

/* The windows of that second; `place` is that of the row's own event. */
static void check_row(chain *c, const twin *t, int64_t second, uint32_t place,
                      const column *outputs, uint64_t row, const char *what)
{
    const link *l = &c->links[c->at];
    uint32_t output = 0;
    for (uint32_t i = 0; i < l->n_features; i++)
        for (uint32_t f = 0; f < l->features[i].n_functions; f++)
            for (uint32_t w = 0; w < l->features[i].n_windows; w++, output++) {
                const char *name;
                asked a = {.feature = &l->features[i],
                           .function = l->of[i][f].text,
                           .second = second,
                           .by_rows = l->features[i].mode == WINDOW_ROWS};
                window_parse(c->arena, l->windows[i][w], l->features[i].mode, &a.length, &name,
                             NULL);
                a.to = a.by_rows ? place + 1 : 0;
                a.from = a.by_rows && place + 1 > a.length ? place + 1 - (uint32_t)a.length : 0;
                while (!a.by_rows && a.to < t->n && second_at(c, t->events[a.to].row) <= second)
                    a.to++;
                while (!a.by_rows && a.from < a.to &&
                       second_at(c, t->events[a.from].row) < second - a.length)
                    a.from++;
                check_output(c, t, &a, &outputs[output], row, what);
            }
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t span_of(const link *l)
{
    return later(l->longest_s, 0) + l->lateness_s;
}

/* The key goes over from one declaration to the next. */
static void change_twin(const chain *c, twin *t, const link *was, const link *is)
{
    const int64_t newest = t->n == 0 ? 0 : second_at(c, t->events[t->newest].row);
    /* that there was a value is forgotten where only values are asked for, which are new */
    const uint32_t stays = was->theres & (is->counted | (is->values & was->values));
    for (uint32_t i = 0; i < t->n; i++) {
        t->events[i].values &= is->values;
        t->events[i].theres &= stays;
    }
    if (t->n == 0)
        return;
    for (uint32_t thing = 0; thing < N_THINGS; thing++) {
        if (is->values & ~was->values & 1u << thing)
            t->since_values[thing] = newest + 1;
        if (is->theres & ~stays & 1u << thing)
            t->since_theres[thing] = newest + 1;
    }
    const bool in_rows = is->longest_rows > 0 &&
                         (is->longest_rows > was->longest_rows || is->lateness_s > was->lateness_s);
    const bool in_time = is->longest_s >= 0 && (was->longest_s < 0 || span_of(is) > span_of(was));
    if ((!in_rows && !in_time) || c->plain_order)
        return;
    t->whole =
        later(t->whole,
              was->longest_s < 0 && was->longest_rows == 0 ? newest + 1 : newest - span_of(was));
    t->rows = was->longest_rows < t->rows ? was->longest_rows : t->rows;
    t->rows_from = later(t->rows_from, newest - was->lateness_s);
}

static uint32_t twin_insert(const chain *c, twin *t, uint32_t row)
{
    const link *l = &c->links[c->at];
    uint32_t at = t->n++;
    const int64_t newest_us = t->n == 1 ? 0 : c->event_us[t->events[t->newest].row];
    const bool is_newest = t->n == 1 || c->event_us[row] >= newest_us;
    for (; at > 0 && second_at(c, t->events[at - 1].row) > second_at(c, row); at--)
        t->events[at] = t->events[at - 1];
    t->events[at] = (event){row, l->values, l->theres};
    if (is_newest)
        t->newest = at;
    else if (at <= t->newest)
        t->newest++;
    return at;
}

/* ---- the state ------------------------------------------------------------------------------- */

static freshet_code load_key(void *context, const void *key, size_t length, text_buffer *into,
                             freshet_error *err)
{
    (void)err;
    chain *c = context;
    int64_t number;
    assert_true(length >= 9);
    memcpy(&number, (const char *)key + 1, sizeof number);
    const twin *t = &c->twins[number];
    if (t->saved == NULL)
        return FRESHET_END;
    text_append(into, t->saved, t->saved_length);
    return FRESHET_OK;
}

static void make_plan(chain *c)
{
    static const type *keys[1];
    const link *l = &c->links[c->at];
    freshet_error err = {0};
    keys[0] = c->key.type;
    const windows_declaration declaration = {.keys = keys,
                                             .n_keys = 1,
                                             .columns = c->fields,
                                             .n_columns = N_COLUMNS,
                                             .features = l->features,
                                             .n_features = l->n_features,
                                             .carried = l->carried,
                                             .n_carried = l->n_carried,
                                             .corrects = l->corrects};
    if (windows_plan_make(c->arena, &declaration, &c->plan, &err) != FRESHET_OK)
        fail_msg("seed %llu: %s", (unsigned long long)c->seed, err.text);
}

static windows_state *open_state(chain *c)
{
    const windows_options options = {.lateness_s = c->links[c->at].lateness_s,
                                     .plain_order = c->plain_order,
                                     .take_late = c->take_late,
                                     .expires = c->expires};
    windows_state *state;
    const struct kept_layout *last;
    freshet_error err = {0};
    assert_int_equal(windows_open(c->plan, &options, &state, &err), FRESHET_OK);
    if (c->plain_order)
        windows_hold(state, INT64_MIN);
    windows_begin(state, c->begun);
    windows_settle(state, c->settled);
    state_part_set_load(windows_part(state), load_key, c);
    const state_part *part = windows_part(state);
    assert_int_equal(windows_evolve(state, c->layouts.last, c->declared, 5, &last, &err),
                     FRESHET_OK);
    layouts_know(&c->layouts, part, state);
    for (uint32_t k = 0; c->expires && k < c->n_keys; k++) {
        unsigned char key[9] = {1};
        const int64_t number = k;
        memcpy(key + 1, &number, sizeof number);
        if (c->twins[k].saved != NULL)
            assert_int_equal(state_part_restore(part, key, sizeof key, c->twins[k].saved,
                                                c->twins[k].saved_length, &err),
                             FRESHET_OK);
    }
    return state;
}

static void checkpoint(chain *c, windows_state *state)
{
    const state_part *part = windows_part(state);
    state_key key;
    uint32_t cursor = 0;
    freshet_error err = {0};
    if (windows_check(state, &err) != FRESHET_OK)
        fail_msg("seed %llu: %s", (unsigned long long)c->seed, err.text);
    while (state_part_next_dirty(part, &cursor, &key)) {
        text_buffer buffer;
        int64_t number;
        text_init(&buffer, TEXT_LIMIT_DEFAULT);
        assert_int_equal(state_part_save(part, &key, &buffer, NULL), FRESHET_OK);
        memcpy(&number, (const char *)key.bytes + 1, sizeof number);
        c->twins[number].saved = arena_copy(c->arena, buffer.bytes, buffer.length);
        c->twins[number].saved_length = buffer.length;
        text_release(&buffer);
    }
    state_part_clean(part);
    layouts_note(&c->layouts, c->arena, part);
    c->begun = windows_begun(state);
    c->settled = windows_settled(state);
}

static windows_input rows_from(chain *c, uint32_t from, uint32_t n, column *columns)
{
    column *key = arena_zero(c->arena, 1, sizeof *key);
    *key = c->key;
    key->data = (char *)key->data + from * sizeof(int64_t);
    for (int i = 0; i < N_COLUMNS; i++) {
        const column *all = &c->columns[i];
        const size_t size = type_cell_size(all->type);
        assert_int_equal(column_init(c->arena, &columns[i], all->type, n, NULL), FRESHET_OK);
        memcpy(columns[i].data, (char *)all->data + from * size, n * size);
        for (uint32_t row = 0; row < n; row++)
            if (!column_is_valid(all, from + row))
                column_set_null(c->arena, &columns[i], row);
    }
    return (windows_input){n, key, columns, c->event_us + from};
}

/* ---- running --------------------------------------------------------------------------------- */

static void check_stream_row(chain *c, const windows_result *result, uint32_t from, uint32_t i,
                             uint32_t *again)
{
    const uint32_t row = from + i;
    const link *l = &c->links[c->at];
    twin *t = &c->twins[c->key_of[row]];
    const int64_t second = second_at(c, row);
    const bool is_old = t->n > 0 && !c->plain_order &&
                        second < second_at(c, t->events[t->newest].row) - l->lateness_s;
    const bool is_late = !c->take_late && !c->plain_order && (is_old || second < c->settled);
    assert_int_equal((result->flags[i] & WINDOWS_LATE) != 0, is_late);
    c->is_old[row] = is_old;
    if (is_late)
        return;
    const uint32_t place = twin_insert(c, t, row);
    if (!is_old) /* else it holds what is still there */
        check_row(c, t, second, place, result->outputs, i, "a row");
    for (; *again < result->n_refreshed && result->refreshed[*again].row == i; ++*again) {
        const windows_refreshed *refreshed = &result->refreshed[*again];
        uint32_t old = 0;
        while (old < t->n && c->event_us[t->events[old].row] != refreshed->event_us)
            old++;
        assert_true(old < t->n);
        const bool is_newest = (refreshed->flags & WINDOWS_NEWEST) != 0;
        bool alone = true; /* which of several of one time cannot be told */
        for (uint32_t k = 0; k < t->n; k++)
            alone &= k == old || c->event_us[t->events[k].row] != refreshed->event_us;
        if (!is_old && (alone || is_newest))
            check_row(c, t, second_at(c, t->events[is_newest ? t->newest : old].row),
                      is_newest ? t->newest : old, result->refreshed_outputs, *again,
                      "a row given again");
    }
}

static void expire(chain *c, windows_state *state)
{
    int64_t newest = NEVER;
    for (uint32_t k = 0; k < c->n_keys; k++)
        if (c->twins[k].n > 0)
            newest = later(newest, second_at(c, c->twins[k].events[c->twins[k].newest].row));
    if (newest == NEVER)
        return;
    windows_expired out;
    assert_int_equal(windows_expire(state, newest - 40, 1000, c->arena, &out, NULL), FRESHET_OK);
    c->settled = windows_settled(state);
    for (uint32_t i = 0; i < out.n; i++) {
        const twin *t = &c->twins[((int64_t *)out.keys[0].data)[i]];
        check_row(c, t, out.event_us[i] / 1000000, t->newest, out.outputs, i, "an expired row");
    }
}

/* The same rows from the last checkpoint on give the same. */
static windows_state *kill(chain *c, windows_state *state, uint32_t from,
                           const windows_input *input, const windows_result *first)
{
    windows_result again;
    windows_close(state);
    state = open_state(c);
    assert_int_equal(windows_apply(state, input, c->arena, &again, NULL), FRESHET_OK);
    for (uint32_t i = 0; i < input->n_rows; i++) {
        assert_int_equal(again.flags[i], first->flags[i]);
        assert_true(again.write_us[i] == first->write_us[i]);
        for (uint32_t o = 0; !c->is_old[from + i] && o < c->plan->outputs.n_fields; o++) {
            const answer a = cell_at(&again.outputs[o], i), b = cell_at(&first->outputs[o], i);
            if (a.null != b.null || (!a.null && a.n != b.n))
                fail_msg("seed %llu, link %u: a replay gives another value: %s%lld, not %s%lld%s%s "
                         "row %u out %u",
                         (unsigned long long)c->seed, c->at, a.null ? "null " : "", (long long)a.n,
                         b.null ? "null " : "", (long long)b.n, c->take_late ? " take_late" : "",
                         c->plain_order ? " plain" : "", i, o);
        }
    }
    return state;
}

static void run_link(chain *c, uint32_t from, uint32_t to)
{
    windows_state *state = open_state(c);
    checkpoint(c, state); /* a run begins with one */
    while (from < to) {
        uint32_t n = 1 + (uint32_t)draw(c, 40), again = 0;
        n = n < to - from ? n : to - from;
        column columns[N_COLUMNS];
        const windows_input input = rows_from(c, from, n, columns);
        windows_result result;
        freshet_error err = {0};
        if (windows_apply(state, &input, c->arena, &result, &err) != FRESHET_OK)
            fail_msg("seed %llu, link %u: %s", (unsigned long long)c->seed, c->at, err.text);
        for (uint32_t i = 0; i < n; i++)
            check_stream_row(c, &result, from, i, &again);
        assert_int_equal(again, result.n_refreshed);
        if (!c->expires && draw(c, 4) == 0)
            state = kill(c, state, from, &input, &result);
        if (c->expires && draw(c, 3) == 0)
            expire(c, state);
        checkpoint(c, state);
        state_key key;
        for (uint64_t k = draw(c, 3);
             !c->expires && k > 0 && state_part_next_cold(windows_part(state), &key); k--)
            state_part_drop(windows_part(state), &key);
        from += n;
        if (draw(c, 3) == 0) {
            windows_close(state);
            state = open_state(c);
        }
    }
    windows_close(state);
}

static void run_chain(uint64_t seed)
{
    chain *c = calloc(1, sizeof *c);
    assert_non_null(c);
    *c = (chain){.arena = arena_open(),
                 .seed = seed,
                 .random = random_begin(seed),
                 .declared = 1,
                 .begun = NEVER,
                 .settled = NEVER};
    c->n_keys = 1 + (uint32_t)draw(c, KEYS_MAX);
    c->n_links = 2 + (uint32_t)draw(c, LINKS_MAX - 1);
    c->plain_order = draw(c, 8) == 0;
    c->take_late = c->plain_order || draw(c, 5) == 0;
    c->expires = !c->take_late && draw(c, 3) == 0;
    for (uint32_t k = 0; k < KEYS_MAX; k++) {
        twin *t = &c->twins[k];
        t->whole = t->rows_from = NEVER;
        t->rows = INT64_MAX;
        for (uint32_t i = 0; i < N_THINGS; i++)
            t->since_values[i] = t->since_theres[i] = NEVER;
    }
    draw_rows(c);
    for (uint32_t i = 0; i < c->n_links; i++)
        draw_link(c, &c->links[i]);
    uint32_t from = 0;
    for (; c->at < c->n_links; c->at++) {
        const uint32_t to =
            c->at + 1 == c->n_links ? ROWS : from + (uint32_t)draw(c, 2 * ROWS / c->n_links);
        const link *is = &c->links[c->at];
        for (uint32_t k = 0; c->at > 0 && k < c->n_keys; k++)
            change_twin(c, &c->twins[k], &c->links[c->at - 1], is);
        make_plan(c);
        if (to > ROWS)
            break;
        run_link(c, from, to);
        from = to;
        c->declared++;
    }
    arena_close(c->arena);
    free(c);
}

static void changed_windows_equal_their_twin(void **unused)
{
    (void)unused;
    random_seeds(run_chain, CHAINS, "FRESHET_CHAINS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(changed_windows_equal_their_twin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
