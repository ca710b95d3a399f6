/* windows_state_test.c - what the twin's small streams do not reach: long keys, limits, failing
 * memory, damaged bytes, extreme times, the table of keys. */
#include "windows/windows_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

/* Everything of a test: one plan over columns v (bigint) and s (string), key k (string). */
static struct {
    arena *arena;
    windows_plan *plan;
    windows_state *state;
    int64_t lateness_s;
    state_load_fn *load;
} it;

static const windows_function all_functions[] = {
    {"sum", NULL},  {"min", NULL},     {"max", NULL},    {"count", NULL}, {"first", NULL},
    {"last", NULL}, {"var_pop", NULL}, {"median", NULL}, {"mode", NULL},  {"count_distinct", NULL}};
#define N_PARTIALS 7u /* the first of them; the rest want all values of a window */
#define N_FUNCTIONS 10u

/* The texts' window is the last of the fixed ones. */
static void make_plan(const char *const *fixed, uint32_t n_fixed, const char *const *rows,
                      uint32_t n_rows, uint32_t n_functions)
{
    static const type *keys[1];
    static field columns[2];
    static windows_feature features[3];
    static const windows_function longest[] = {
        {"max", NULL}, {"last_nonnull", NULL}, {"mode", NULL}};
    static const uint32_t carried[] = {0, 1};
    keys[0] = type_simple(TYPE_STRING);
    columns[0] = (field){"v", type_simple(TYPE_BIGINT)};
    columns[1] = (field){"s", type_simple(TYPE_STRING)};
    features[0] = (windows_feature){
        "f", 0, WINDOWS_NO_FILTER, WINDOW_FIXED, all_functions, n_functions, fixed, n_fixed, false};
    features[1] = (windows_feature){
        "r", 0, WINDOWS_NO_FILTER, WINDOW_ROWS, all_functions, n_functions, rows, n_rows, false};
    features[2] = (windows_feature){"s",
                                    1,
                                    WINDOWS_NO_FILTER,
                                    WINDOW_FIXED,
                                    longest,
                                    n_functions > N_PARTIALS ? 3 : 2,
                                    fixed + n_fixed - 1,
                                    1,
                                    false};
    windows_declaration declaration = {.keys = keys,
                                       .n_keys = 1,
                                       .columns = columns,
                                       .n_columns = 2,
                                       .features = features,
                                       .n_features = 3,
                                       .carried = carried,
                                       .n_carried = 2};
    assert_int_equal(windows_plan_make(it.arena, &declaration, &it.plan, NULL), FRESHET_OK);
}

static void open_state(void)
{
    windows_options options = {it.lateness_s, false, false, false, false};
    assert_int_equal(windows_open(it.plan, &options, &it.state, NULL), FRESHET_OK);
    state_part_set_load(windows_part(it.state), it.load, NULL);
}

static int set_up(void **state)
{
    (void)state;
    static const char *const fixed[] = {"10 minutes", "1 day"}, *const rows[] = {"3 events"};
    memset(&it, 0, sizeof it);
    it.arena = arena_open();
    it.lateness_s = 600;
    make_plan(fixed, 2, rows, 1, N_PARTIALS);
    open_state();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    windows_close(it.state);
    arena_close(it.arena);
    return 0;
}

static void make_input(windows_input *input, uint32_t n)
{
    column *columns = arena_zero(it.arena, 3, sizeof *columns);
    for (int c = 0; c < 3; c++)
        column_init(it.arena, &columns[c], type_simple(c == 1 ? TYPE_BIGINT : TYPE_STRING), n,
                    NULL);
    *input = (windows_input){n, columns, columns + 1, arena_zero(it.arena, n, sizeof(int64_t))};
}

static void set_row(windows_input *input, uint32_t row, const char *key, double second, int64_t v)
{
    const char *text = arena_format(it.arena, "the text of event %lld", (long long)v);
    ((cell_text *)input->keys[0].data)[row] = text_of(key, (uint32_t)strlen(key));
    ((int64_t *)input->columns[0].data)[row] = v;
    ((cell_text *)input->columns[1].data)[row] = text_of(text, (uint32_t)strlen(text));
    ((int64_t *)input->event_us)[row] = (int64_t)(second * 1e6);
}

static freshet_code apply_one(const char *key, double second, int64_t v, windows_result *result)
{
    windows_input input;
    make_input(&input, 1);
    set_row(&input, 0, key, second, v);
    return windows_apply(it.state, &input, it.arena, result, NULL);
}

/* The bigint output of that name, in row 0. */
static int64_t output(const column *columns, const char *name)
{
    int64_t i = schema_find(&it.plan->outputs, name);
    assert_true(i >= 0 && column_is_valid(&columns[i], 0));
    return *(const int64_t *)columns[i].data;
}

#define SUM_10_MINUTES "f__sum_over_10_minutes_fixed_windows"
#define SUM_1_DAY "f__sum_over_1_day_fixed_windows"
#define SUM_3_EVENTS "r__sum_over_3_events_row_windows"

/* ---- order, lateness, write timestamps ----------------------------------------------------- */

static void a_late_event_gives_the_newest_row_again(void **state)
{
    (void)state;
    windows_result result;
    apply_one("a", 1000.25, 1, &result);
    assert_int_equal(result.flags[0], WINDOWS_NEWEST);
    assert_int_equal(result.write_us[0], 1000000000);
    apply_one("a", 700, 10, &result);
    assert_int_equal(result.flags[0], WINDOWS_REFRESHED);
    assert_int_equal(output(result.outputs, SUM_1_DAY), 10);
    assert_int_equal(result.write_us[0], 700000000);
    assert_int_equal(result.n_refreshed, 1);
    assert_int_equal(result.refreshed[0].row, 0);
    assert_int_equal(result.refreshed[0].event_us, 1000250000);
    assert_int_equal(result.refreshed[0].write_us, 1000000001);
    assert_int_equal(output(result.refreshed_outputs, SUM_10_MINUTES), 11);
    assert_int_equal(*(int64_t *)result.refreshed_carried[0].data, 1);
    const cell_text *text = result.refreshed_carried[1].data;
    assert_int_equal(text->length, strlen("the text of event 1"));
    assert_memory_equal(text_bytes(text), "the text of event 1", text->length);
    apply_one("a", 1001, 100, &result);
    assert_int_equal(result.flags[0], WINDOWS_NEWEST);
    assert_int_equal(result.write_us[0], 1001000000);
    assert_int_equal(output(result.outputs, SUM_3_EVENTS), 111);
}

static void peers_of_a_second_see_each_other(void **state)
{
    (void)state;
    windows_result result;
    apply_one("a", 50.9, 1, &result);
    apply_one("a", 50.1, 10, &result); /* earlier in the second: the newest row stays */
    assert_int_equal(result.flags[0], WINDOWS_REFRESHED);
    assert_int_equal(result.refreshed[0].event_us, 50900000);
    assert_int_equal(output(result.refreshed_outputs, SUM_10_MINUTES), 11);
    assert_int_equal(output(result.refreshed_outputs, SUM_3_EVENTS), 1); /* it arrived behind */
    assert_int_equal(output(result.outputs, SUM_3_EVENTS), 11);
    assert_int_equal(result.refreshed[0].write_us, 50000001);
    apply_one("a", 50.9, 100, &result); /* an equal time: the later arrival is newest */
    assert_int_equal(result.flags[0], WINDOWS_NEWEST);
    assert_int_equal(result.write_us[0], 50000002);
    assert_int_equal(output(result.outputs, SUM_10_MINUTES), 111);
}

static void an_event_out_of_reach_changes_nothing(void **state)
{
    (void)state;
    windows_result result;
    windows_close(it.state);
    it.lateness_s = 1000000;
    open_state();
    for (int i = 0; i < 3; i++)
        apply_one("a", 200000 + i, 1, &result);
    apply_one("a", 200002 - 86401, 5, &result);
    assert_int_equal(result.flags[0], 0);
    apply_one("a", 200002 - 86400, 5, &result);
    assert_int_equal(result.flags[0], WINDOWS_REFRESHED);
    assert_int_equal(output(result.refreshed_outputs, SUM_1_DAY), 8);
}

static void what_is_later_than_the_lateness_is_refused(void **state)
{
    (void)state;
    windows_result result;
    apply_one("a", 2000, 1, &result);
    apply_one("a", 1400, 1, &result); /* at the limit */
    assert_int_equal(result.flags[0], WINDOWS_REFRESHED);
    apply_one("a", 1399.9, 1, &result); /* one past it */
    assert_int_equal(result.flags[0], WINDOWS_LATE);
    assert_false(column_is_valid(&result.outputs[0], 0));
    assert_int_equal(result.n_refreshed, 0);
    assert_int_equal(windows_measure(it.state).late_rows, 1);
    assert_int_equal(windows_measure(it.state).events, 2);
    windows_hold(it.state, 1000); /* another partition is behind */
    apply_one("a", 1000, 1, &result);
    assert_int_equal(result.flags[0], WINDOWS_REFRESHED);
    apply_one("a", 999, 1, &result);
    assert_int_equal(result.flags[0], WINDOWS_LATE);
}

static void the_revision_stops_short_of_the_next_second(void **state)
{
    (void)state;
    enum { ROWS = 1000100 };
    static const char *const one[] = {"1 second"}, *const last[] = {"1 event"};
    windows_close(it.state);
    make_plan(one, 1, last, 1, 1);
    open_state();
    windows_input input;
    windows_result result;
    make_input(&input, 1);
    set_row(&input, 0, "a", 5, 1);
    arena *step = arena_open();
    uint32_t each = 10050;
    windows_input many;
    make_input(&many, each);
    for (uint32_t i = 0; i < each; i++) {
        ((cell_text *)many.keys[0].data)[i] = text_of("a", 1);
        ((int64_t *)many.event_us)[i] = 5000000;
        column_set_null(it.arena, (column *)&many.columns[1], i);
    }
    int64_t before = 0;
    for (uint32_t n = 0; n < ROWS; n += each) {
        arena_reset(step);
        assert_int_equal(windows_apply(it.state, &many, step, &result, NULL), FRESHET_OK);
        for (uint32_t i = 0; i < each; i++) {
            int64_t expected = n + i < 999999 ? 5000000 + (int64_t)n + i : 5999999;
            if (result.write_us[i] != expected)
                fail_msg("row %u: %lld", n + i, (long long)result.write_us[i]);
            before = result.write_us[i];
        }
    }
    assert_int_equal(before, 5999999);
    arena_close(step);
}

/* ---- long keys ----------------------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % below;
}

static void assert_cells_equal(const column *a, uint64_t row_a, const column *b, uint64_t row_b,
                               const char *name)
{
    bool valid = column_is_valid(a, row_a);
    assert_int_equal(valid, column_is_valid(b, row_b));
    if (!valid)
        return;
    if (a->type->kind == TYPE_DOUBLE) {
        double x = ((double *)a->data)[row_a], y = ((double *)b->data)[row_b];
        if (fabs(x - y) > 1e-12 * fabs(x))
            fail_msg("%s: %.17g and %.17g", name, x, y);
    } else if (a->type->kind == TYPE_BIGINT) {
        if (((int64_t *)a->data)[row_a] != ((int64_t *)b->data)[row_b])
            fail_msg("%s: %lld and %lld", name, (long long)((int64_t *)a->data)[row_a],
                     (long long)((int64_t *)b->data)[row_b]);
    } else {
        const cell_text *x = (cell_text *)a->data + row_a, *y = (cell_text *)b->data + row_b;
        assert_int_equal(x->length, y->length);
        assert_memory_equal(text_bytes(x), text_bytes(y), x->length);
    }
}

/* One key of `n` events, `late_percent` of them up to `late_s` late: after each batch, the newest
 * row as the stream gave it last equals that of the whole history. */
static void run_long_key(uint32_t n, uint64_t late_percent, uint64_t late_s, uint64_t step_us,
                         uint64_t seed)
{
    enum { BATCHES = 24, COMPARED = 8 }; /* every eighth */
    windows_input all;
    uint64_t now = UINT64_C(1700000000000000);
    uint32_t newest = 0;
    random_state = seed;
    make_input(&all, n);
    for (uint32_t i = 0; i < n; i++) {
        now += draw(2 * step_us);
        bool late = draw(100) < late_percent;
        set_row(&all, i, "the long key", 0, (int64_t)draw(1000000));
        ((int64_t *)all.event_us)[i] = (int64_t)(now - (late ? draw(late_s * 1000000) : 0));
    }
    const column *outputs = NULL;
    uint64_t row = 0;
    for (uint32_t b = 0; b < BATCHES; b++) {
        uint32_t from = b * n / BATCHES, to = (b + 1) * n / BATCHES;
        column columns[3] = {all.keys[0], all.columns[0], all.columns[1]};
        for (int c = 0; c < 3; c++)
            columns[c].data = (char *)columns[c].data + from * type_cell_size(columns[c].type);
        windows_input part = {to - from, columns, columns + 1, all.event_us + from};
        windows_result result, history;
        assert_int_equal(windows_apply(it.state, &part, it.arena, &result, NULL), FRESHET_OK);
        for (uint32_t i = 0, r = 0; i < to - from; i++) {
            assert_false(result.flags[i] & WINDOWS_LATE);
            if (result.flags[i] & WINDOWS_NEWEST) {
                newest = from + i;
                outputs = result.outputs;
                row = i;
            } else if (result.flags[i] & WINDOWS_REFRESHED) {
                outputs = result.refreshed_outputs;
                row = r++;
            }
        }
        freshet_error err;
        if (windows_check(it.state, &err) != FRESHET_OK)
            fail_msg("%s", err.text);
        if (b % COMPARED != COMPARED - 1)
            continue;
        windows_input whole = {to, all.keys, all.columns, all.event_us};
        assert_int_equal(windows_apply_history(it.plan, &whole, it.arena, &history, NULL),
                         FRESHET_OK);
        assert_true(history.flags[newest] & WINDOWS_NEWEST);
        for (uint32_t o = 0; o < it.plan->outputs.n_fields; o++)
            assert_cells_equal(&outputs[o], row, &history.outputs[o], newest,
                               it.plan->outputs.fields[o].name);
    }
}

static void long_keys_are_answered_as_short_ones(void **state)
{
    (void)state;
    static const char *const fixed[] = {"1 minute", "1 hour", "3 hours", "1 week"};
    static const char *const rows[] = {"1 event", "100 events", "7000 events"};
    windows_close(it.state);
    it.lateness_s = 20000;
    make_plan(fixed, 4, rows, 3, N_PARTIALS);
    open_state();
    run_long_key(9000, 0, 1, 1000000, 1);
    windows_close(it.state);
    open_state();
    run_long_key(9000, 5, 300, 1000000, 2); /* blocks are cut near the end */
    windows_close(it.state);
    open_state();
    run_long_key(10000, 60, 19000, 1500000, 3); /* and everywhere, groups too */
}

/* Tallies: they slide, take late events in, and lose what is evicted. */
static void long_keys_count_their_values(void **state)
{
    (void)state;
    static const char *const fixed[] = {"10 minutes", "1 hour", "4 hours"};
    static const char *const rows[] = {"70 events", "900 events"};
    windows_close(it.state);
    it.lateness_s = 60;
    make_plan(fixed, 3, rows, 2, N_FUNCTIONS);
    open_state();
    run_long_key(4000, 5, 59, 5000000, 7);
    windows_result result;
    for (int i = 0; i < 64; i++) /* all but the newest 900 leave at once */
        apply_one("the long key", 1.71e9 + i, i % 7, &result);
    assert_int_equal(windows_check(it.state, NULL), FRESHET_OK);
    assert_int_equal(output(result.outputs, "f__count_distinct_over_1_hour_fixed_windows"), 7);
    assert_int_equal(output(result.outputs, "f__mode_over_1_hour_fixed_windows"), 0);
    assert_in_range(output(result.outputs, "r__count_distinct_over_900_events_row_windows"), 830,
                    843);
    windows_close(it.state);
    it.lateness_s = 20000;
    open_state();
    run_long_key(2000, 50, 19000, 15000000, 8);
}

/* The last block of a full last group is cut: its halves come to lie in two groups. */
static void a_block_may_be_cut_across_groups(void **state)
{
    (void)state;
    enum { FULL = 64 * 64, ROWS = FULL + 2 };
    windows_input input;
    windows_result result, history;
    windows_close(it.state);
    it.lateness_s = 100000;
    open_state();
    make_input(&input, ROWS);
    for (uint32_t i = 0; i < ROWS; i++)
        set_row(&input, i, "a", i < FULL ? 1000 + i : FULL + 950 + i % 2 * 45, i);
    assert_int_equal(windows_apply(it.state, &input, it.arena, &result, NULL), FRESHET_OK);
    freshet_error err;
    if (windows_check(it.state, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    assert_int_equal(windows_apply_history(it.plan, &input, it.arena, &history, NULL), FRESHET_OK);
    assert_int_equal(result.n_refreshed, 2);
    for (uint32_t o = 0; o < it.plan->outputs.n_fields; o++)
        assert_cells_equal(&result.refreshed_outputs[o], 1, &history.outputs[o], FULL - 1,
                           it.plan->outputs.fields[o].name);
}

static void long_keys_lose_what_no_window_needs(void **state)
{
    (void)state;
    static const char *const fixed[] = {"10 minutes", "1 hour"}, *const rows[] = {"200 events"};
    windows_close(it.state);
    it.lateness_s = 60;
    make_plan(fixed, 2, rows, 1, N_PARTIALS);
    open_state();
    run_long_key(20000, 5, 59, 500000, 4); /* two a second, so the last 7,200 stay and some */
    assert_in_range(windows_measure(it.state).events, 7200, 7800);
    windows_result result;
    for (int i = 0; i < 64; i++) /* until a block is full */
        apply_one("the long key", 1.71e9 + i, 1, &result);
    assert_in_range(windows_measure(it.state).events, 200, 200 + 3 * 64);
    assert_int_equal(output(result.outputs, "r__count_over_200_events_row_windows"), 200);
}

static void a_long_key_is_saved_and_restored(void **state)
{
    (void)state;
    run_long_key(10000, 20, 500, 1000000, 5);
    state_key key;
    uint32_t cursor = 0;
    text_buffer saved;
    text_init(&saved, TEXT_LIMIT_DEFAULT);
    assert_true(state_part_next_dirty(windows_part(it.state), &cursor, &key));
    assert_int_equal(state_part_save(windows_part(it.state), &key, &saved, NULL), FRESHET_OK);
    windows_state *first = it.state;
    open_state();
    assert_int_equal(state_part_restore(windows_part(it.state), key.bytes, key.length, saved.bytes,
                                        saved.length, NULL),
                     FRESHET_OK);
    assert_int_equal(windows_measure(it.state).events, windows_measure(first).events);
    windows_result one, other;
    apply_one("the long key", 1.700011e9, 7, &one);
    windows_state *second = it.state;
    it.state = first;
    apply_one("the long key", 1.700011e9, 7, &other);
    for (uint32_t o = 0; o < it.plan->outputs.n_fields; o++)
        assert_cells_equal(&one.outputs[o], 0, &other.outputs[o], 0,
                           it.plan->outputs.fields[o].name);
    windows_close(second);
    text_release(&saved);
}

/* ---- limits and extremes ------------------------------------------------------------------- */

static void keys_have_a_longest(void **state)
{
    (void)state;
    windows_result result;
    char *key = arena_zero(it.arena, 1, WINDOWS_KEY_BYTES_MAX + 10);
    memset(key, 'k', WINDOWS_KEY_BYTES_MAX - 5); /* a mark and the length take five */
    assert_int_equal(apply_one(key, 1, 1, &result), FRESHET_OK);
    assert_int_equal(result.flags[0], WINDOWS_NEWEST);
    assert_int_equal(apply_one(key, 2, 1, &result), FRESHET_OK);
    assert_int_equal(output(result.outputs, SUM_1_DAY), 2);
    key[WINDOWS_KEY_BYTES_MAX - 5] = 'k';
    assert_int_equal(apply_one(key, 1, 1, &result), FRESHET_OK);
    assert_int_equal(result.flags[0], WINDOWS_KEY_TOO_LONG);
    assert_int_equal(windows_measure(it.state).keys, 1);
    windows_input input;
    make_input(&input, 2);
    set_row(&input, 0, key, 3, 5);
    set_row(&input, 1, "short", 3, 5);
    assert_int_equal(windows_apply_history(it.plan, &input, it.arena, &result, NULL), FRESHET_OK);
    assert_int_equal(result.flags[0], WINDOWS_KEY_TOO_LONG);
    assert_int_equal(result.flags[1], WINDOWS_NEWEST);
}

static void times_may_lie_far_apart(void **state)
{
    (void)state;
    windows_result result;
    windows_close(it.state);
    it.lateness_s = INT64_MAX;
    open_state();
    static const double seconds[] = {0, -9.2e12, 9.2e12, 4294967296.0, -4294967297.0, 4294967297.0};
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++)
        assert_int_equal(apply_one("a", seconds[i], 1 << i, &result), FRESHET_OK);
    assert_int_equal(output(result.outputs, SUM_1_DAY), 8 + 32);
    assert_int_equal(output(result.outputs, SUM_3_EVENTS), 1 + 8 + 32);
    assert_int_equal(output(result.refreshed_outputs, SUM_3_EVENTS), 4 + 8 + 32);
    assert_int_equal(windows_measure(it.state).events, 6);
    windows_input input;
    make_input(&input, 2);
    set_row(&input, 0, "b", 0, 1);
    set_row(&input, 1, "b", 0, 2);
    ((int64_t *)input.event_us)[0] = INT64_MIN;
    ((int64_t *)input.event_us)[1] = INT64_MAX;
    assert_int_equal(windows_apply(it.state, &input, it.arena, &result, NULL), FRESHET_OK);
    assert_true(result.write_us[0] < result.write_us[1]);
    assert_int_equal(output(result.outputs, SUM_1_DAY), 1);
}

/* ---- the table of keys --------------------------------------------------------------------- */

static text_buffer *saved_keys; /* by number */

static freshet_code load_saved(void *context, const void *key, size_t length, text_buffer *into,
                               freshet_error *err)
{
    (void)context;
    char text[16] = {0};
    assert_in_range(length, 6, 20);
    memcpy(text, (const char *)key + 5, length - 5);
    const text_buffer *saved = &saved_keys[strtoul(text + 1, NULL, 10)];
    if (saved->length == 0)
        return FRESHET_END;
    if (saved->length == 1)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "the disk is gone");
    text_append(into, saved->bytes, saved->length);
    return FRESHET_OK;
}

static void cold_keys_go_and_come_back(void **state)
{
    (void)state;
    enum { KEYS = 5000 };
    windows_close(it.state);
    it.load = load_saved;
    open_state();
    saved_keys = calloc(KEYS, sizeof *saved_keys);
    for (int i = 0; i < KEYS; i++)
        text_init(&saved_keys[i], TEXT_LIMIT_DEFAULT);
    random_state = 77;
    windows_input input;
    make_input(&input, KEYS);
    for (int64_t round = 1; round <= 6; round++) {
        windows_result result;
        for (uint32_t i = 0; i < KEYS; i++)
            set_row(&input, i, arena_format(it.arena, "k%u", i), (double)round, 1);
        assert_int_equal(windows_apply(it.state, &input, it.arena, &result, NULL), FRESHET_OK);
        int64_t sum = schema_find(&it.plan->outputs, SUM_1_DAY);
        for (uint32_t i = 0; i < KEYS; i++)
            assert_int_equal(((int64_t *)result.outputs[sum].data)[i], round);
        assert_int_equal(windows_measure(it.state).keys, KEYS);
        assert_int_equal(windows_measure(it.state).dirty_keys, KEYS);
        state_key key;
        assert_false(state_part_next_cold(windows_part(it.state), &key)); /* all are dirty */
        for (uint32_t cursor = 0; state_part_next_dirty(windows_part(it.state), &cursor, &key);) {
            char text[16] = {0};
            memcpy(text, (const char *)key.bytes + 5, key.length - 5);
            text_buffer *saved = &saved_keys[strtoul(text + 1, NULL, 10)];
            text_reset(saved);
            assert_int_equal(state_part_save(windows_part(it.state), &key, saved, NULL),
                             FRESHET_OK);
        }
        state_part_clean(windows_part(it.state));
        size_t bytes = windows_measure(it.state).bytes;
        uint64_t dropped = draw(KEYS);
        for (uint64_t n = 0; n < dropped; n++) {
            assert_true(state_part_next_cold(windows_part(it.state), &key));
            state_part_drop(windows_part(it.state), &key);
        }
        assert_int_equal(windows_measure(it.state).keys, KEYS - dropped);
        assert_true(windows_measure(it.state).bytes < bytes);
    }
    for (int i = 0; i < KEYS; i++)
        text_release(&saved_keys[i]);
    free(saved_keys);
}

static void a_load_that_fails_stops_the_batch(void **state)
{
    (void)state;
    windows_close(it.state);
    it.load = load_saved;
    open_state();
    saved_keys = calloc(3, sizeof *saved_keys);
    for (int i = 0; i < 3; i++)
        text_init(&saved_keys[i], TEXT_LIMIT_DEFAULT);
    text_append(&saved_keys[1], "x", 1);
    text_append(&saved_keys[2], "no state", 8);
    windows_result result;
    assert_int_equal(apply_one("k0", 1, 1, &result), FRESHET_OK);
    assert_int_equal(apply_one("k1", 1, 1, &result), FRESHET_FAILED);
    assert_int_equal(apply_one("k2", 1, 1, &result), FRESHET_FAILED);
    assert_int_equal(windows_measure(it.state).keys, 1);
    assert_int_equal(apply_one("k0", 1, 1, &result), FRESHET_OK);
    assert_int_equal(output(result.outputs, SUM_1_DAY), 2);
    for (int i = 0; i < 3; i++)
        text_release(&saved_keys[i]);
    free(saved_keys);
}

/* ---- what goes wrong ----------------------------------------------------------------------- */

static void damaged_bytes_are_refused(void **state)
{
    (void)state;
    run_long_key(100, 20, 500, 1000000, 6);
    state_key key;
    uint32_t cursor = 0;
    text_buffer saved;
    text_init(&saved, TEXT_LIMIT_DEFAULT);
    assert_true(state_part_next_dirty(windows_part(it.state), &cursor, &key));
    state_part_save(windows_part(it.state), &key, &saved, NULL);
    for (size_t i = 0; i < saved.length; i++) {
        freshet_error err = {0};
        assert_int_not_equal(
            state_part_restore(windows_part(it.state), key.bytes, key.length, saved.bytes, i, &err),
            FRESHET_OK);
        saved.bytes[i] ^= 0x10;
        assert_int_not_equal(state_part_restore(windows_part(it.state), key.bytes, key.length,
                                                saved.bytes, saved.length, &err),
                             FRESHET_OK);
        assert_non_null(strstr(err.text, "the saved state of a key"));
        saved.bytes[i] ^= 0x10;
    }
    assert_int_equal(windows_measure(it.state).events, 100);
    const char *layout = arena_text(it.arena, windows_part(it.state)->layout);
    windows_close(it.state);
    static const char *const fixed[] = {"1 hour"}, *const rows[] = {"3 events"};
    make_plan(fixed, 1, rows, 1, 1); /* fewer windows and functions over the same values */
    open_state();
    freshet_error err = {0}; /* of a layout that nobody has told */
    assert_int_equal(
        state_part_restore(windows_part(it.state), "k", 1, saved.bytes, saved.length, &err),
        FRESHET_FAILED);
    assert_non_null(strstr(err.text, "does not say what the saved state of a key holds"));
    assert_int_equal(windows_part(it.state)->ops->know(it.state, layout, NULL), FRESHET_OK);
    assert_int_equal(
        state_part_restore(windows_part(it.state), "k", 1, saved.bytes, saved.length, NULL),
        FRESHET_OK);
    for (const char *at = layout; *at != '\0'; at++) { /* texts that are damaged */
        char *cut = arena_text(it.arena, layout);
        cut[at - layout] = '\0';
        if (at == layout || at[-1] != '\n')
            assert_int_equal(windows_part(it.state)->ops->know(it.state, cut, NULL),
                             FRESHET_FAILED);
    }
    static const type *const other[] = {NULL};
    const windows_declaration declaration = {.keys = other, .n_keys = 0};
    windows_close(it.state);
    assert_int_equal(windows_plan_make(it.arena, &declaration, &it.plan, NULL), FRESHET_OK);
    open_state();
    assert_int_equal(
        state_part_restore(windows_part(it.state), "k", 1, saved.bytes, saved.length, NULL),
        FRESHET_BAD_DECLARATION);
    text_release(&saved);
}

/* Each `step`-th allocation of the state fails once; nothing leaks, and the error says so. */
static uint32_t fail_anywhere(uint32_t n_rows, int64_t step)
{
    windows_input input;
    make_input(&input, n_rows);
    random_state = 9;
    for (uint32_t i = 0; i < n_rows; i++)
        set_row(&input, i, i % 50 == 0 ? arena_format(it.arena, "another long key %u", i) : "a",
                1000 + i - (double)draw(i % 3 == 0 ? 500 : 1), (int64_t)i);
    uint32_t failures = 0, successes = 0;
    for (int64_t n = 0;; n += step) {
        windows_result result;
        windows_close(it.state);
        open_state();
        it.state->memory.fail_after = n;
        freshet_error err = {0};
        freshet_code code = windows_apply(it.state, &input, it.arena, &result, &err);
        it.state->memory.fail_after = -1;
        if (code == FRESHET_OK) {
            assert_int_not_equal(result.flags[n_rows - 1], 0);
            assert_int_equal(windows_check(it.state, NULL), FRESHET_OK);
            if (++successes == 3) /* one failure or two can be gone without */
                return failures;
            continue;
        }
        assert_int_equal(code, FRESHET_NO_MEMORY);
        assert_non_null(strstr(err.text, "out of memory"));
        failures++;
        successes = 0;
    }
}

static void memory_may_end_anywhere(void **state)
{
    (void)state;
    assert_in_range(fail_anywhere(400, 1), 400, 2000);
}

static void memory_may_end_in_tallies(void **state)
{
    (void)state;
    static const char *const fixed[] = {"10 minutes", "1 day"}, *const rows[] = {"30 events"};
    make_plan(fixed, 2, rows, 1, N_FUNCTIONS);
    assert_in_range(fail_anywhere(200, 3), 150, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_late_event_gives_the_newest_row_again),
        TEST(peers_of_a_second_see_each_other),
        TEST(an_event_out_of_reach_changes_nothing),
        TEST(what_is_later_than_the_lateness_is_refused),
        TEST(the_revision_stops_short_of_the_next_second),
        TEST(long_keys_are_answered_as_short_ones),
        TEST(long_keys_count_their_values),
        TEST(a_block_may_be_cut_across_groups),
        TEST(long_keys_lose_what_no_window_needs),
        TEST(a_long_key_is_saved_and_restored),
        TEST(keys_have_a_longest),
        TEST(times_may_lie_far_apart),
        TEST(cold_keys_go_and_come_back),
        TEST(a_load_that_fails_stops_the_batch),
        TEST(damaged_bytes_are_refused),
        TEST(memory_may_end_anywhere),
        TEST(memory_may_end_in_tallies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
