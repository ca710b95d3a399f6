/* Groups against a twin that is obviously right: random plans over random events, as a batch and as
 * streams in pieces, with the state saved and restored between them; by one state, or by several
 * that have the keys among them (groups_meet).
 *
 * The twin keeps all events in a list. For each row that should be there it picks the events of the
 * key between two times, throws out what `distinct` throws out, and computes each function by its
 * definition. A stream must output, as the last version of each row, what the batch outputs; and
 * the newest rows of a key in the order of their write timestamps.
 *
 * FRESHET_PIPELINES=n runs n of them; FRESHET_SEED=s runs the one of seed s, which a failure
 * prints.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random_testing.h"
#include "rolling/groups.h"

#define ROUNDS 400
#define EVENTS_MAX 400u
#define KEYS_MAX 6u
#define SIDES_MAX 3u
#define ROWS_MAX 40000u
#define SECOND INT64_C(1000000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

typedef struct event {
    int64_t key, at_us;
    double x;
    bool has_x, passes;
    char s[32]; /* some longer than a cell holds */
    bool has_s;
    uint32_t arrival;
} event;

typedef struct trial {
    uint64_t seed, random;
    arena *arena;
    event events[EVENTS_MAX]; /* in the order of arrival */
    uint32_t n_events;
    const char *windows[3];
    int64_t lengths[3];
    uint32_t n_windows;
    const char *slide;
    int64_t slide_us;
    bool grid, pivots, distinct, keep_first, filters, emit_change, nulls_on_expiry;
    groups_plan *plan;
    int64_t lateness_us;
} trial;

/* States that have the keys among them: often one has all. */
typedef struct sides {
    groups_state *states[SIDES_MAX];
    uint32_t n;
} sides;

/* One output row, of the twin or of a stream. */
typedef struct row {
    int64_t key, at_us, write_us;
    uint8_t flags;
    const char *text; /* its cells */
    uint32_t number;
} row;

typedef struct rows {
    row items[ROWS_MAX];
    uint32_t n;
} rows;

static uint64_t next_random(trial *it)
{
    it->random ^= it->random << 13;
    it->random ^= it->random >> 7;
    it->random ^= it->random << 17;
    return it->random * UINT64_C(0x2545f4914f6cdd1d) >> 32;
}

static uint32_t below(trial *it, uint32_t n)
{
    return (uint32_t)(next_random(it) % n);
}

static bool chance(trial *it, uint32_t percent)
{
    return below(it, 100) < percent;
}

/* ---- the plan -------------------------------------------------------------------------------- */

static const char *const functions_x[] = {"count", "sum",  "avg",        "min",    "max",
                                          "first", "last", "stddev_pop", "median", "range"};
static const char *const functions_s[] = {"min", "count_distinct", "collect_list"};
#define N_X 10u
#define N_S 3u

static void choose_windows(trial *it)
{
    static const struct {
        const char *slide;
        int64_t slide_us;
        const char *windows[4];
        int64_t lengths[4];
    } choices[] = {
        {"1 hour",
         HOUR,
         {"1 hour", "3 hours", "90 minutes", "2 hours"},
         {HOUR, 3 * HOUR, 3 * HOUR / 2, 2 * HOUR}},
        {"1 day",
         DAY,
         {"1 day", "3 days", "36 hours", "1 week"},
         {DAY, 3 * DAY, 36 * HOUR, 7 * DAY}},
        {"24 hours",
         DAY,
         {"1 day", "60 hours", "2 days", "5 days"},
         {DAY, 60 * HOUR, 2 * DAY, 5 * DAY}},
        {"10 seconds",
         10 * SECOND,
         {"10 seconds", "25 seconds", "1 minute", "95 seconds"},
         {10 * SECOND, 25 * SECOND, 60 * SECOND, 95 * SECOND}},
    };
    uint32_t choice = below(it, 5);
    it->n_windows = 0;
    if (choice == 4)
        return;
    it->slide = choices[choice].slide;
    it->slide_us = choices[choice].slide_us;
    it->grid = choice == 1;
    it->n_windows = 1 + below(it, 3);
    for (uint32_t w = 0, from = below(it, 2); w < it->n_windows; w++) {
        it->windows[w] = choices[choice].windows[(from + w) % 4];
        it->lengths[w] = choices[choice].lengths[(from + w) % 4];
    }
}

static void make_plan(trial *it)
{
    static const type *keys[1];
    static field columns[3];
    static windows_feature features[2];
    static windows_function x[N_X], s[N_S];
    static column pivot_values;
    static cell_text pivot_cells[2];
    static const char *const pivot_names[] = {"b", "a_longer_text_than_a_cell"};
    static const uint32_t subset[] = {1};
    keys[0] = type_simple(TYPE_BIGINT);
    columns[0] = (field){"x", type_simple(TYPE_DOUBLE)};
    columns[1] = (field){"s", type_simple(TYPE_STRING)};
    columns[2] = (field){"passes", type_simple(TYPE_BOOLEAN)};
    for (uint32_t i = 0; i < N_X; i++)
        x[i] = (windows_function){functions_x[i], NULL};
    for (uint32_t i = 0; i < N_S; i++)
        s[i] = (windows_function){functions_s[i], NULL};
    choose_windows(it);
    it->pivots = chance(it, 30);
    it->distinct = chance(it, 30);
    it->keep_first = chance(it, 50);
    it->filters = chance(it, 40);
    it->emit_change = it->n_windows > 0 && chance(it, 40);
    it->nulls_on_expiry = it->n_windows > 0 && chance(it, 30);
    features[0] = (windows_feature){.name = "f",
                                    .filter = it->filters ? 2 : WINDOWS_NO_FILTER,
                                    .functions = x,
                                    .n_functions = chance(it, 50) ? N_X - 1 : 1 + below(it, N_X)};
    features[1] = (windows_feature){.name = "g",
                                    .values = 1,
                                    .filter = WINDOWS_NO_FILTER,
                                    .functions = s,
                                    .n_functions = 1 + below(it, N_S)};
    for (int i = 0; i < 2; i++)
        pivot_cells[i] = text_of(pivot_names[i], (uint32_t)strlen(pivot_names[i]));
    pivot_values = (column){.type = columns[1].type, .data = pivot_cells, .capacity = 2};
    groups_declaration declaration = {
        .keys = keys,
        .n_keys = 1,
        .columns = columns,
        .n_columns = 3,
        .features = features,
        .n_features = 1 + below(it, 2),
        .windows = it->windows,
        .n_windows = it->n_windows,
        .slide = it->slide,
        .emit_change = it->emit_change,
        .nulls_on_expiry = it->nulls_on_expiry,
        .pivot = {it->pivots ? 1 : WINDOWS_NONE, &pivot_values, pivot_names, 2},
        .distinct = subset,
        .n_distinct = it->distinct ? 1 : 0,
        .keep_first = it->keep_first,
    };
    freshet_error err = {0};
    if (groups_plan_make(it->arena, &declaration, &it->plan, &err) != FRESHET_OK)
        fail_msg("seed %llu: %s", (unsigned long long)it->seed, err.text);
}

/* ---- the events ------------------------------------------------------------------------------ */

static void make_events(trial *it)
{
    static const char *const texts[] = {"a", "b", "a_longer_text_than_a_cell", "c"};
    int64_t unit = it->n_windows == 0 ? SECOND : it->slide_us, time_us = 0;
    it->n_events = chance(it, 20) ? EVENTS_MAX : 1 + below(it, 60);
    it->lateness_us = unit * below(it, 4);
    uint32_t keys = it->n_events > 100 ? 2 : 1 + below(it, KEYS_MAX);
    bool before_1970 = chance(it, 30);
    int64_t newest = 0;
    for (uint32_t i = 0; i < it->n_events; i++) {
        event *event = &it->events[i];
        int64_t step = chance(it, 20) ? 0 : (int64_t)(next_random(it) % (uint64_t)(unit + 1));
        if (it->n_events <= 100)
            time_us += chance(it, 5) ? 9 * step : step;
        else
            time_us += step / 20;
        int64_t late = i > 0 && chance(it, 30)
                           ? (int64_t)(next_random(it) % (uint64_t)(it->lateness_us + 1))
                           : 0;
        if (chance(it, 20))
            time_us -= time_us % unit; /* at the end of a window */
        *event = (struct event){.key = 1 + below(it, keys), .arrival = i};
        event->at_us = time_us - late;
        if (event->at_us < newest - it->lateness_us)
            event->at_us = newest - it->lateness_us;
        if (event->at_us < 0)
            event->at_us = 0;
        newest = event->at_us > newest ? event->at_us : newest;
        event->has_x = chance(it, 85);
        event->x = ((double)below(it, 200) - 100) / 4;
        event->passes = chance(it, 60);
        event->has_s = chance(it, 85);
        snprintf(event->s, sizeof event->s, "%s", texts[below(it, 4)]);
    }
    it->events[0].at_us = 0; /* a grid begins at the first event */
    for (uint32_t i = 0; i < it->n_events && before_1970; i++)
        it->events[i].at_us -= 5 * DAY + 1;
}

/* ---- the twin -------------------------------------------------------------------------------- */

static int compare_events(const void *a, const void *b)
{
    const event *x = *(const event *const *)a, *y = *(const event *const *)b;
    if (x->at_us != y->at_us)
        return x->at_us < y->at_us ? -1 : 1;
    return x->arrival < y->arrival ? -1 : 1;
}

static bool same_s(const event *a, const event *b)
{
    return a->has_s == b->has_s && (!a->has_s || strcmp(a->s, b->s) == 0);
}

/* The key's events in [from, to), in order, without what distinct removes. *any: there were
 * some. */
static uint32_t pick(const trial *it, int64_t key, int64_t from_us, int64_t to_us,
                     const event **into)
{
    const event *all[EVENTS_MAX];
    uint32_t n = 0, kept = 0;
    for (uint32_t i = 0; i < it->n_events; i++)
        if (it->events[i].key == key && it->events[i].at_us >= from_us &&
            it->events[i].at_us < to_us)
            all[n++] = &it->events[i];
    qsort(all, n, sizeof(event *), compare_events);
    for (uint32_t i = 0; i < n; i++) {
        bool stays = true;
        for (uint32_t j = 0; j < n && it->distinct; j++) {
            bool better = it->keep_first ? j < i
                                         : all[j]->at_us > all[i]->at_us ||
                                               (all[j]->at_us == all[i]->at_us && j < i);
            stays = stays && !(better && same_s(all[i], all[j]));
        }
        if (stays)
            into[kept++] = all[i];
    }
    return kept;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void put_number(text_buffer *text, double value)
{
    text_format(text, "%.9g,", value == 0 ? 0.0 : value);
}

static void put_x(const trial *it, const event *const *events, uint32_t n, const char *function,
                  text_buffer *text)
{
    double values[EVENTS_MAX], sum = 0, squares = 0;
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++)
        if (events[i]->has_x && (!it->filters || events[i]->passes)) {
            sum += events[i]->x;
            squares += events[i]->x * events[i]->x;
            values[m++] = events[i]->x;
        }
    if (strcmp(function, "count") == 0) {
        put_number(text, m);
        return;
    }
    if (strcmp(function, "first") == 0 || strcmp(function, "last") == 0) {
        const event *end = events[function[0] == 'f' ? 0 : n - 1];
        if (end->has_x && (!it->filters || end->passes))
            put_number(text, end->x);
        else
            text_append_c(text, "null,");
        return;
    }
    if (m == 0) {
        text_append_c(text, "null,");
        return;
    }
    qsort(values, m, sizeof *values, compare_doubles);
    double mean = sum / m, variance = squares / m - mean * mean;
    double value = 0;
    switch (function[0] == 'm' ? function[1] : function[1] + 128) {
    case 'u' + 128: value = sum; break;
    case 'v' + 128: value = mean; break;
    case 'a' + 128: value = values[m - 1] - values[0]; break;
    case 'i': value = values[0]; break;
    case 'a': value = values[m - 1]; break;
    case 'e': value = (values[(m - 1) / 2] + values[m / 2]) / 2; break;
    default: value = variance < 1e-9 ? 0 : sqrt(variance); break;
    }
    put_number(text, value);
}

static void put_s(const event *const *events, uint32_t n, const char *function, text_buffer *text)
{
    uint32_t distinct = 0;
    const char *least = NULL;
    for (uint32_t i = 0; i < n; i++) {
        bool seen = !events[i]->has_s;
        for (uint32_t j = 0; j < i && !seen; j++)
            seen = same_s(events[i], events[j]);
        distinct += !seen;
        if (events[i]->has_s && (least == NULL || strcmp(events[i]->s, least) < 0))
            least = events[i]->s;
    }
    if (function[0] == 'm') {
        text_format(text, "%s,", least == NULL ? "null" : least);
    } else if (strcmp(function, "count_distinct") == 0) {
        put_number(text, distinct);
    } else {
        for (uint32_t i = 0; i < n; i++)
            if (events[i]->has_s)
                text_format(text, "%s;", events[i]->s);
        text_append_char(text, ',');
    }
}

static void put_cell(const trial *it, const event *const *events, uint32_t n, uint32_t feature,
                     uint32_t function, text_buffer *text)
{
    if (n == 0)
        text_append_c(text, "null,");
    else if (feature == 0)
        put_x(it, events, n, functions_x[function], text);
    else
        put_s(events, n, functions_s[function], text);
}

static bool ends_at(const trial *it, uint32_t window, int64_t end_us)
{
    int64_t phase = it->grid ? 0 : it->lengths[window] % it->slide_us;
    return (end_us - phase) % it->slide_us == 0;
}

/* The cells of one row; false where no window holds an event. */
static bool twin_row(trial *it, int64_t key, int64_t at_us, const char **out)
{
    static const char *const pivots[] = {"b", "a_longer_text_than_a_cell"};
    uint32_t n_windows = it->n_windows == 0 ? 1 : it->n_windows;
    const schema *outputs = groups_outputs(it->plan);
    bool any = false;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t o = 0; o < outputs->n_fields; o++) {
        const event *picked[EVENTS_MAX];
        uint32_t w = o % n_windows, feature, function, n = 0;
        uint32_t pivot = o / (outputs->n_fields / (it->pivots ? 2 : 1));
        groups_output_of(it->plan, o, &feature, &function);
        if (it->n_windows == 0)
            n = pick(it, key, at_us, at_us + 1, picked);
        else if (ends_at(it, w, at_us))
            n = pick(it, key, at_us - it->lengths[w], at_us, picked);
        any = any || n > 0;
        uint32_t kept = 0;
        for (uint32_t i = 0; i < n; i++)
            if (!it->pivots || (picked[i]->has_s && strcmp(picked[i]->s, pivots[pivot]) == 0))
                picked[kept++] = picked[i];
        put_cell(it, picked, kept, feature, function, &text);
    }
    *out = arena_copy(it->arena, text.bytes, text.length);
    text_release(&text);
    return any;
}

static bool is_known(const trial *it, int64_t key, int64_t at_us)
{
    for (uint32_t i = 0; i < it->n_events; i++)
        if (it->events[i].key == key && (at_us == INT64_MIN || it->events[i].at_us == at_us))
            return true;
    return false;
}

static int64_t floor_to(int64_t at_us, int64_t step)
{
    int64_t rest = at_us % step;
    return at_us - (rest < 0 ? rest + step : rest);
}

static void add(rows *rows, row added)
{
    assert_true(rows->n < ROWS_MAX);
    added.number = rows->n;
    rows->items[rows->n++] = added;
}

static void twin_key(trial *it, int64_t key, rows *out)
{
    int64_t oldest = INT64_MAX, newest = INT64_MIN;
    for (uint32_t i = 0; i < it->n_events; i++) {
        oldest = it->events[i].at_us < oldest ? it->events[i].at_us : oldest;
        newest = it->events[i].at_us > newest ? it->events[i].at_us : newest;
    }
    row row = {.key = key};
    if (it->n_windows == 0) {
        for (uint32_t i = 0; i < it->n_events; i++) {
            bool first = it->events[i].key == key;
            for (uint32_t j = 0; j < i && first; j++)
                first = it->events[j].key != key || it->events[j].at_us != it->events[i].at_us;
            row.at_us = it->events[i].at_us;
            if (first && twin_row(it, key, row.at_us, &row.text))
                add(out, row);
        }
        return;
    }
    int64_t step = it->slide_us % HOUR == 0 && !it->grid ? HOUR / 2 : it->slide_us;
    step = it->slide_us == 10 * SECOND ? 5 * SECOND : it->grid ? DAY : step;
    int64_t last = it->grid ? floor_to(newest, DAY) + DAY : newest + 10 * DAY;
    last = it->slide_us == 10 * SECOND ? newest + 300 * SECOND : last;
    bool held = false;
    for (row.at_us = floor_to(oldest, step); row.at_us <= last; row.at_us += step) {
        bool is_end = it->grid;
        for (uint32_t w = 0; w < it->n_windows; w++)
            is_end = is_end || ends_at(it, w, row.at_us);
        if (!is_end)
            continue;
        bool any = twin_row(it, key, row.at_us, &row.text);
        if (any || it->grid || (held && it->nulls_on_expiry))
            add(out, row);
        held = any;
    }
}

/* ---- ours ------------------------------------------------------------------------------------ */

static void put_output(const column *output, uint32_t i, text_buffer *text)
{
    if (!column_is_valid(output, i)) {
        text_append_c(text, "null,");
    } else if (output->type->kind == TYPE_STRING) {
        const cell_text *cell = (const cell_text *)output->data + i;
        text_format(text, "%.*s,", (int)cell->length, text_bytes(cell));
    } else if (output->type->kind == TYPE_ARRAY) {
        cell_span span = ((const cell_span *)output->data)[i];
        const cell_text *cells = (const cell_text *)output->children[0].data + span.offset;
        for (uint64_t j = 0; j < span.length; j++)
            text_format(text, "%.*s;", (int)cells[j].length, text_bytes(&cells[j]));
        text_append_char(text, ',');
    } else if (output->type->kind == TYPE_DOUBLE) {
        put_number(text, ((const double *)output->data)[i]);
    } else {
        put_number(text, (double)((const int64_t *)output->data)[i]);
    }
}

static void keep_rows(trial *it, const groups_rows *from, rows *into)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < from->n_rows; i++) {
        text_reset(&text);
        for (uint32_t o = 0; o < groups_outputs(it->plan)->n_fields; o++)
            put_output(&from->outputs[o], i, &text);
        add(into, (row){.key = ((const int64_t *)from->keys[0].data)[i],
                        .at_us = from->time_us[i],
                        .write_us = from->write_us[i],
                        .flags = from->flags[i],
                        .text = arena_copy(it->arena, text.bytes, text.length)});
    }
    text_release(&text);
}

static void take_all(trial *it, const sides *sides, rows *into)
{
    groups_rows taken;
    freshet_error err;
    for (uint32_t i = 0; i < sides->n; i++)
        do {
            assert_int_equal(
                groups_take(sides->states[i], it->arena, 1 + below(it, 50), &taken, NULL),
                FRESHET_OK);
            keep_rows(it, &taken, into);
            if (groups_check(sides->states[i], &err) != FRESHET_OK)
                fail_msg("FRESHET_SEED=%llu: %s", (unsigned long long)it->seed, err.text);
        } while (taken.n_rows > 0);
}

static void meet(const sides *sides)
{
    if (sides->n > 1)
        assert_true(groups_meet(sides->states, sides->n));
}

static uint32_t owner_of(int64_t key, uint32_t n)
{
    char bytes[1 + sizeof key] = {1};
    memcpy(bytes + 1, &key, sizeof key);
    return keyed_owner(keyed_hash(bytes, sizeof bytes), n);
}

static void add_events(trial *it, const sides *sides, uint32_t from, uint32_t n)
{
    column keys, columns[3];
    int64_t *event_us = arena_alloc(it->arena, (n + 1) * sizeof *event_us);
    uint8_t *too_long = arena_alloc(it->arena, n + 1), *skip = arena_alloc(it->arena, n + 1);
    static const type_kind kinds[] = {TYPE_DOUBLE, TYPE_STRING, TYPE_BOOLEAN};
    column_init(it->arena, &keys, type_simple(TYPE_BIGINT), n, NULL);
    for (int c = 0; c < 3; c++)
        column_init(it->arena, &columns[c], type_simple(kinds[c]), n, NULL);
    for (uint32_t i = 0; i < n; i++) {
        const event *event = &it->events[from + i];
        ((int64_t *)keys.data)[i] = event->key;
        event_us[i] = event->at_us;
        ((double *)columns[0].data)[i] = event->x;
        if (!event->has_x)
            column_set_null(it->arena, &columns[0], i);
        ((cell_text *)columns[1].data)[i] = text_of(event->s, (uint32_t)strlen(event->s));
        if (!event->has_s)
            column_set_null(it->arena, &columns[1], i);
        ((uint8_t *)columns[2].data)[i] = event->passes;
    }
    groups_input input = {n, &keys, columns, event_us, skip};
    for (uint32_t k = 0; k < sides->n; k++) {
        for (uint32_t i = 0; i < n; i++)
            skip[i] = owner_of(it->events[from + i].key, sides->n) != k;
        assert_int_equal(groups_add(sides->states[k], &input, too_long, NULL), FRESHET_OK);
    }
}

/* What a checkpoint keeps: saved bytes by key. */
typedef struct store {
    struct {
        char key[16];
        size_t key_length;
        text_buffer bytes;
        bool there;
    } keys[KEYS_MAX + 1];
    uint32_t n;
} store;

static void checkpoint_side(groups_state *state, store *store)
{
    uint32_t cursor = 0;
    state_key key;
    while (state_part_next_dirty(groups_part(state), &cursor, &key)) {
        uint32_t k = 0;
        while (k < store->n && (store->keys[k].key_length != key.length ||
                                memcmp(store->keys[k].key, key.bytes, key.length) != 0))
            k++;
        if (k == store->n) {
            assert_true(store->n <= KEYS_MAX && key.length <= 16);
            text_init(&store->keys[store->n++].bytes, TEXT_LIMIT_DEFAULT);
            store->keys[k].key_length = key.length;
            memcpy(store->keys[k].key, key.bytes, key.length);
        }
        text_reset(&store->keys[k].bytes);
        store->keys[k].there = !state_part_is_empty(groups_part(state), &key);
        assert_int_equal(state_part_save(groups_part(state), &key, &store->keys[k].bytes, NULL),
                         FRESHET_OK);
    }
    state_part_clean(groups_part(state));
}

static void checkpoint(const sides *sides, store *store)
{
    for (uint32_t i = 0; i < sides->n; i++)
        checkpoint_side(sides->states[i], store);
}

static void open_sides(trial *it, sides *sides, const groups_options *options, bool is_tracked)
{
    sides->n = chance(it, 50) ? 1 : 2 + below(it, SIDES_MAX - 1);
    for (uint32_t i = 0; i < sides->n; i++) {
        assert_int_equal(groups_open(it->plan, options, &sides->states[i], NULL), FRESHET_OK);
        if (is_tracked)
            state_part_set_load(groups_part(sides->states[i]), NULL, NULL);
    }
}

static void finish_sides(trial *it, const sides *sides, rows *out)
{
    for (uint32_t i = 0; i < sides->n; i++)
        assert_int_equal(groups_finish(sides->states[i], NULL), FRESHET_OK);
    take_all(it, sides, out);
    for (uint32_t i = 0; i < sides->n; i++)
        groups_close(sides->states[i]);
}

/* By another number of states. */
static void restart(trial *it, sides *sides, const groups_options *options, store *store)
{
    text_buffer facts;
    text_init(&facts, TEXT_LIMIT_DEFAULT);
    checkpoint(sides, store);
    groups_save_facts(sides->states[below(it, sides->n)], &facts);
    for (uint32_t i = 0; i < sides->n; i++)
        groups_close(sides->states[i]);
    open_sides(it, sides, options, true);
    for (uint32_t i = 0; i < sides->n; i++) {
        const unsigned char *at = (const unsigned char *)facts.bytes;
        assert_int_equal(groups_restore_facts(sides->states[i], &at, at + facts.length, NULL),
                         FRESHET_OK);
    }
    for (uint32_t k = 0; k < store->n; k++) {
        const uint64_t hash = keyed_hash(store->keys[k].key, store->keys[k].key_length);
        const groups_state *owner = sides->states[keyed_owner(hash, sides->n)];
        if (store->keys[k].there)
            assert_int_equal(state_part_restore(
                                 groups_part(owner), store->keys[k].key, store->keys[k].key_length,
                                 store->keys[k].bytes.bytes, store->keys[k].bytes.length, NULL),
                             FRESHET_OK);
    }
    text_release(&facts);
}

static void run_batch(trial *it, rows *out)
{
    groups_options options = {.from_us = INT64_MIN, .until_us = INT64_MAX};
    sides sides;
    open_sides(it, &sides, &options, false);
    uint32_t half = below(it, it->n_events + 1);
    add_events(it, &sides, 0, half);
    meet(&sides);
    add_events(it, &sides, half, it->n_events - half);
    meet(&sides);
    finish_sides(it, &sides, out);
}

static void run_stream(trial *it, rows *out)
{
    const bool is_tracked = chance(it, 50);
    groups_options options = {.is_stream = true, .from_us = INT64_MIN, .until_us = INT64_MAX};
    sides sides;
    static store store;
    memset(&store, 0, sizeof store);
    int64_t newest = INT64_MIN;
    uint32_t largest = chance(it, 30) ? 1 : chance(it, 30) ? it->n_events : 12;
    open_sides(it, &sides, &options, is_tracked);
    for (uint32_t from = 0, n; from < it->n_events; from += n) {
        n = 1 + below(it, largest);
        n = n > it->n_events - from ? it->n_events - from : n;
        add_events(it, &sides, from, n);
        for (uint32_t i = from; i < from + n; i++)
            newest = it->events[i].at_us > newest ? it->events[i].at_us : newest;
        for (uint32_t i = 0; i < sides.n; i++)
            groups_advance(sides.states[i], newest - it->lateness_us);
        meet(&sides);
        take_all(it, &sides, out);
        meet(&sides);
        if (is_tracked && chance(it, 20))
            restart(it, &sides, &options, &store);
        else if (is_tracked && chance(it, 20))
            checkpoint(&sides, &store);
    }
    finish_sides(it, &sides, out);
    for (uint32_t k = 0; k < store.n; k++)
        text_release(&store.keys[k].bytes);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static int compare_rows(const void *a, const void *b)
{
    const row *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    if (x->at_us != y->at_us)
        return x->at_us < y->at_us ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

/* The rows that the one has and the other has not; both are sorted. */
static void show(const char *whose, const rows *rows, const struct rows *others)
{
    for (uint32_t i = 0, j = 0; i < rows->n; i++) {
        const row *row = &rows->items[i];
        while (j < others->n && compare_rows(&others->items[j], row) < 0 &&
               (others->items[j].key != row->key || others->items[j].at_us != row->at_us))
            j++;
        if (j < others->n && others->items[j].key == row->key &&
            others->items[j].at_us == row->at_us && strcmp(others->items[j].text, row->text) == 0)
            continue;
        print_message("%s %lld %lld %s\n", whose, (long long)row->key, (long long)row->at_us,
                      row->text);
    }
}

/* Of several versions of a row the last one counts; the first alone is marked as the first. */
static void last_versions(const trial *it, rows *rows, const char *whose)
{
    uint32_t n = 0;
    qsort(rows->items, rows->n, sizeof *rows->items, compare_rows);
    for (uint32_t i = 0; i < rows->n; i++) {
        bool again = n > 0 && rows->items[n - 1].key == rows->items[i].key &&
                     rows->items[n - 1].at_us == rows->items[i].at_us;
        if (again == ((rows->items[i].flags & GROUPS_FIRST) != 0))
            fail_msg("seed %llu, %s: key %lld, time %lld is marked wrongly",
                     (unsigned long long)it->seed, whose, (long long)rows->items[i].key,
                     (long long)rows->items[i].at_us);
        rows->items[again ? n - 1 : n++] = rows->items[i];
    }
    rows->n = n;
}

/* With emit: change the days after the last of a grid's have rows, too: those that its events
 * reach. */
static void cut_grid(const trial *it, rows *rows)
{
    int64_t newest = INT64_MIN;
    uint32_t n = 0;
    for (uint32_t i = 0; i < it->n_events; i++)
        newest = it->events[i].at_us > newest ? it->events[i].at_us : newest;
    for (uint32_t i = 0; i < rows->n; i++)
        if (rows->items[i].at_us <= floor_to(newest, DAY) + DAY)
            rows->items[n++] = rows->items[i];
    rows->n = n;
}

static void expect_same(const trial *it, rows *twin, rows *ours, const char *whose)
{
    if (it->grid && it->emit_change)
        cut_grid(it, ours);
    qsort(twin->items, twin->n, sizeof *twin->items, compare_rows);
    last_versions(it, ours, whose);
    bool same = twin->n == ours->n;
    for (uint32_t i = 0; i < twin->n && same; i++)
        same = twin->items[i].key == ours->items[i].key &&
               twin->items[i].at_us == ours->items[i].at_us &&
               strcmp(twin->items[i].text, ours->items[i].text) == 0;
    if (same)
        return;
    show("twin", twin, ours);
    show(whose, ours, twin);
    fail_msg("FRESHET_SEED=%llu: %u windows, slide %s%s%s%s%s%s: the %s differs from the twin",
             (unsigned long long)it->seed, it->n_windows, it->slide == NULL ? "-" : it->slide,
             it->pivots ? ", pivot" : "", it->distinct ? ", distinct" : "",
             it->filters ? ", filter" : "", it->emit_change ? ", emit change" : "",
             it->nulls_on_expiry ? ", nulls on expiry" : "", whose);
}

/* A store that keeps the greater write timestamp ends with the newest version of the newest row. */
static void check_write_times(const trial *it, const rows *rows)
{
    for (int64_t key = 1; key <= (int64_t)KEYS_MAX; key++) {
        const row *kept = NULL, *newest = NULL;
        for (uint32_t i = 0; i < rows->n; i++) {
            const row *row = &rows->items[i];
            if (row->key != key || !(row->flags & GROUPS_NEWEST))
                continue;
            if (kept == NULL || row->write_us > kept->write_us)
                kept = row;
            if (newest == NULL || row->at_us >= newest->at_us)
                newest = row;
        }
        if (kept != newest)
            fail_msg("FRESHET_SEED=%llu: key %lld: the store would keep another row than the "
                     "newest",
                     (unsigned long long)it->seed, (long long)key);
    }
}

static void run_trial(uint64_t seed)
{
    static trial trial;
    static rows twin, ours;
    memset(&trial, 0, sizeof trial);
    trial.seed = seed;
    trial.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    trial.arena = arena_open();
    for (int i = 0; i < 8; i++)
        next_random(&trial);
    make_plan(&trial);
    make_events(&trial);
    twin.n = 0;
    for (int64_t key = 1; key <= (int64_t)KEYS_MAX; key++)
        if (is_known(&trial, key, INT64_MIN))
            twin_key(&trial, key, &twin);
    ours.n = 0;
    run_batch(&trial, &ours);
    expect_same(&trial, &twin, &ours, "batch");
    for (int i = 0; i < 3; i++) {
        ours.n = 0;
        run_stream(&trial, &ours);
        check_write_times(&trial, &ours);
        expect_same(&trial, &twin, &ours, "stream");
    }
    arena_close(trial.arena);
}

static void random_plans(void **state)
{
    (void)state;
    random_seeds(run_trial, ROUNDS, "FRESHET_PIPELINES");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_plans)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
