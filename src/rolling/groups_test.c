/* Groups, one behaviour at a time: names, what a plan refuses, when rows come out and how they are
 * marked, what is forgotten, limits, damage, want of memory. Numbers are the twin's
 * (groups_twin_test.c). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rolling/groups_internal.h"

#define SECOND INT64_C(1000000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

typedef struct world {
    arena *arena;
    groups_declaration declaration;
    groups_plan *plan;
    groups_state *state;
    text_buffer said;
    freshet_error err;
} world;

static const type *keys[1];
static field columns[3];
static windows_function count_of[] = {{"count", NULL}};
static windows_function several[] = {{"count", NULL}, {"countDistinct", NULL}};
static windows_feature features[2];
static const char *windows[GROUPS_WINDOWS_MAX + 1];

static int set_up(void **state)
{
    static world world;
    memset(&world, 0, sizeof world);
    world.arena = arena_open();
    text_init(&world.said, TEXT_LIMIT_DEFAULT);
    keys[0] = type_simple(TYPE_STRING);
    columns[0] = (field){"x", type_simple(TYPE_DOUBLE)};
    columns[1] = (field){"s", type_simple(TYPE_STRING)};
    columns[2] = (field){"passes", type_simple(TYPE_BOOLEAN)};
    features[0] = (windows_feature){
        .name = "f", .filter = WINDOWS_NO_FILTER, .functions = count_of, .n_functions = 1};
    features[1] = (windows_feature){
        .name = "g", .values = 1, .filter = 2, .functions = several, .n_functions = 2};
    world.declaration = (groups_declaration){
        .keys = keys,
        .n_keys = 1,
        .columns = columns,
        .n_columns = 3,
        .features = features,
        .n_features = 1,
        .windows = windows,
        .slide = "1 hour",
        .pivot = {.column = WINDOWS_NONE},
    };
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    world *world = *state;
    groups_close(world->state);
    text_release(&world->said);
    arena_close(world->arena);
    return 0;
}

static freshet_code plan(world *world)
{
    return groups_plan_make(world->arena, &world->declaration, &world->plan, &world->err);
}

static void open_state(world *world, bool is_stream, bool is_tracked)
{
    groups_options options = {is_stream, INT64_MIN, INT64_MAX, 0, 0};
    assert_int_equal(plan(world), FRESHET_OK);
    assert_int_equal(groups_open(world->plan, &options, &world->state, NULL), FRESHET_OK);
    if (is_tracked)
        state_part_set_load(groups_part(world->state), NULL, NULL);
}

static freshet_code try_add(world *world, const char *key, size_t key_length, int64_t at_us,
                            const char *s, uint8_t *too_long)
{
    column key_column, values[3];
    static const type_kind kinds[] = {TYPE_DOUBLE, TYPE_STRING, TYPE_BOOLEAN};
    column_init(world->arena, &key_column, keys[0], 1, NULL);
    ((cell_text *)key_column.data)[0] = text_of(key, (uint32_t)key_length);
    for (int c = 0; c < 3; c++)
        column_init(world->arena, &values[c], type_simple(kinds[c]), 1, NULL);
    ((double *)values[0].data)[0] = 1.5;
    ((cell_text *)values[1].data)[0] = text_of(s, (uint32_t)strlen(s));
    ((uint8_t *)values[2].data)[0] = 1;
    groups_input input = {1, &key_column, values, &at_us, NULL};
    return groups_add(world->state, &input, too_long, &world->err);
}

static void add(world *world, const char *key, int64_t at_us)
{
    uint8_t too_long;
    assert_int_equal(try_add(world, key, strlen(key), at_us, "a text that is longer", &too_long),
                     FRESHET_OK);
    assert_false(too_long);
}

/* What comes out: `key@seconds=first output flags`, F first, N newest, +n the write time beyond
 * it. */
static void take(world *world, const char *expected)
{
    groups_rows rows;
    text_reset(&world->said);
    text_append_c(&world->said, "");
    do {
        assert_int_equal(groups_take(world->state, world->arena, 2, &rows, &world->err),
                         FRESHET_OK);
        for (uint32_t i = 0; i < rows.n_rows; i++) {
            const cell_text *key = (const cell_text *)rows.keys[0].data + i;
            text_format(&world->said, "%.*s@%lld=", (int)key->length, text_bytes(key),
                        (long long)(rows.time_us[i] / SECOND));
            if (column_is_valid(&rows.outputs[0], i))
                text_format(&world->said, "%lld",
                            (long long)((const int64_t *)rows.outputs[0].data)[i]);
            text_format(&world->said, "%s%s%s%+lld ", rows.flags[i] & GROUPS_FIRST ? "F" : "",
                        rows.flags[i] & GROUPS_AGAIN ? "A" : "",
                        rows.flags[i] & GROUPS_NEWEST ? "N" : "",
                        (long long)(rows.write_us[i] - rows.time_us[i]));
        }
    } while (rows.n_rows > 0);
    assert_false(groups_owes(world->state));
    assert_string_equal(world->said.bytes == NULL ? "" : world->said.bytes, expected);
}

/* ---- plans ----------------------------------------------------------------------------------- */

static uint64_t fingerprint(world *world)
{
    open_state(world, false, false);
    const uint64_t fingerprint = groups_part(world->state)->fingerprint;
    groups_close(world->state);
    world->state = NULL;
    return fingerprint;
}

static void names_are_butterfrees(void **state)
{
    static cell_text cells[2];
    static const char *const names[] = {"a", "b"};
    world *world = *state;
    column values = {.type = columns[1].type, .data = cells, .capacity = 2};
    cells[0] = text_of("a", 1);
    cells[1] = text_of("b", 1);
    windows[0] = "90 minutes";
    windows[1] = "2 hours";
    world->declaration.n_windows = 2;
    world->declaration.n_features = 2;
    world->declaration.pivot = (windows_pivot){1, &values, names, 2};
    assert_int_equal(plan(world), FRESHET_OK);
    for (uint32_t i = 0; i < groups_outputs(world->plan)->n_fields; i++)
        text_format(&world->said, "%s\n", groups_outputs(world->plan)->fields[i].name);
    assert_string_equal(world->said.bytes, "a_f__count_over_90_minutes_rolling_windows\n"
                                           "a_f__count_over_2_hours_rolling_windows\n"
                                           "a_g__count_over_90_minutes_rolling_windows\n"
                                           "a_g__count_over_2_hours_rolling_windows\n"
                                           "a_g__countdistinct_over_90_minutes_rolling_windows\n"
                                           "a_g__countdistinct_over_2_hours_rolling_windows\n"
                                           "b_f__count_over_90_minutes_rolling_windows\n"
                                           "b_f__count_over_2_hours_rolling_windows\n"
                                           "b_g__count_over_90_minutes_rolling_windows\n"
                                           "b_g__count_over_2_hours_rolling_windows\n"
                                           "b_g__countdistinct_over_90_minutes_rolling_windows\n"
                                           "b_g__countdistinct_over_2_hours_rolling_windows\n");
    /* what is kept of an event is the number of its value; which value that was says the layout */
    static const char *const others[] = {"a", "c"};
    const uint64_t before = fingerprint(world);
    world->declaration.pivot.names = others;
    assert_true(fingerprint(world) == before);
    uint32_t feature, function;
    groups_output_of(world->plan, 11, &feature, &function);
    assert_int_equal(feature, 1);
    assert_int_equal(function, 1);
}

static void refused(world *world, const char *text)
{
    assert_int_equal(plan(world), FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(world->err.text, text));
}

static void plans_that_are_refused(void **state)
{
    world *world = *state;
    world->declaration.n_windows = 1;
    windows[0] = "59 minutes";
    refused(world, "shorter than the slide");
    windows[0] = "5 events";
    refused(world, "the unit must be");
    windows[0] = "1 hour";
    world->declaration.slide = "0 hours";
    refused(world, "must be at least 1");

    /* at the limit, and one past it */
    world->declaration.slide = "1 second";
    windows[0] = "999999 seconds";
    assert_int_equal(plan(world), FRESHET_OK);
    windows[0] = "1000000 seconds";
    refused(world, "would be in 1000001 windows");
    world->declaration.emit_change = true;
    windows[0] = "1999 seconds";
    assert_int_equal(plan(world), FRESHET_OK);
    windows[0] = "2000 seconds";
    refused(world, "would change 2001 windows");
    windows[0] = "1 hour";
    world->declaration.emit_change = false;
    for (uint32_t i = 0; i <= GROUPS_WINDOWS_MAX; i++)
        windows[i] = "1 hour";
    world->declaration.n_windows = GROUPS_WINDOWS_MAX;
    assert_int_equal(plan(world), FRESHET_OK);
    world->declaration.n_windows++;
    refused(world, "at most 64 windows");
    world->declaration.n_windows = 1;

    features[0].filter = 0;
    refused(world, "feature \"f\": the filter of an aggregate must give a boolean");
    features[0].filter = WINDOWS_NO_FILTER;
    features[0].functions = (windows_function[]){{"average", NULL}};
    refused(
        world,
        "feature \"f\": there is no aggregate function \"average\": docs/reference/declaration.md "
        "lists them, under Functions");
    features[0].functions = (windows_function[]){{"sum", NULL}};
    features[0].values = 1;
    refused(world, "sum cannot be computed of a column of type string: it takes numbers, such as a "
                   "feature above of type double");
    features[0].n_functions = 0;
    refused(world, "at least one function");
    world->declaration.pivot.column = 1;
    refused(world, "a pivot needs its values");
}

static void pivots_at_their_limit(void **state)
{
    static cell_text cells[GROUPS_PIVOT_MAX + 1];
    static const char *names[GROUPS_PIVOT_MAX + 1];
    world *world = *state;
    column values = {.type = columns[1].type, .data = cells, .capacity = GROUPS_PIVOT_MAX + 1};
    for (uint32_t i = 0; i <= GROUPS_PIVOT_MAX; i++) {
        names[i] = arena_format(world->arena, "v%u", i);
        cells[i] = text_of(names[i], (uint32_t)strlen(names[i]));
    }
    world->declaration.pivot = (windows_pivot){1, &values, names, GROUPS_PIVOT_MAX + 1};
    refused(world, "at most 1000 values");
    world->declaration.pivot.n_values--;
    open_state(world, false, false);
    uint8_t too_long;
    assert_int_equal(try_add(world, "k", 1, 0, "v999", &too_long), FRESHET_OK);
    groups_rows rows;
    assert_int_equal(groups_finish(world->state, NULL), FRESHET_OK);
    assert_int_equal(groups_take(world->state, world->arena, 9, &rows, NULL), FRESHET_OK);
    assert_int_equal(rows.n_rows, 1);
    assert_false(column_is_valid(&rows.outputs[998], 0));
    assert_true(column_is_valid(&rows.outputs[999], 0));
}

/* ---- when rows come out ---------------------------------------------------------------------- */

static void groups_change(void **state)
{
    world *world = *state;
    world->declaration.n_windows = 0;
    open_state(world, true, false);
    add(world, "a", 10 * SECOND);
    take(world, "a@10=1FN+0 ");
    add(world, "a", 10 * SECOND);
    add(world, "b", 10 * SECOND);
    add(world, "a", 10 * SECOND);
    take(world, "a@10=3N+2 b@10=1FN+0 ");
    add(world, "a", 9 * SECOND); /* an older group: it loses against the newest */
    take(world, "a@9=1F-1 ");
    add(world, "a", 12 * SECOND);
    take(world, "a@12=1FN+0 ");
    groups_advance(world->state, 12 * SECOND);
    take(world, "");
    assert_int_equal(groups_measure(world->state).keys, 1);
    assert_int_equal(groups_measure(world->state).events, 1);
    assert_true(groups_is_closed(world->state, 12 * SECOND - 1));
    assert_false(groups_is_closed(world->state, 12 * SECOND));
    assert_int_equal(groups_finish(world->state, NULL), FRESHET_OK);
    take(world, "");
}

static void windows_close(void **state)
{
    world *world = *state;
    windows[0] = "2 hours";
    world->declaration.n_windows = 1;
    open_state(world, true, false);
    add(world, "a", HOUR / 2);
    add(world, "b", HOUR);
    take(world, "");
    groups_advance(world->state, HOUR - 1);
    take(world, "");
    groups_advance(world->state, HOUR);
    take(world, "a@3600=1FN+0 ");
    add(world, "a", HOUR + 5);
    groups_advance(world->state, 3 * HOUR - 1);
    take(world, "a@7200=2FN+0 b@7200=1FN+0 ");
    assert_int_equal(groups_measure(world->state).events, 2);
    assert_true(groups_is_closed(world->state, HOUR / 2));
    assert_false(groups_is_closed(world->state, HOUR));
    groups_advance(world->state, HOUR); /* time does not go back */
    assert_int_equal(groups_time(world->state), 3 * HOUR - 1);
    assert_int_equal(groups_finish(world->state, NULL), FRESHET_OK);
    take(world, "a@10800=1FN+0 b@10800=1FN+0 ");
    assert_int_equal(groups_measure(world->state).keys, 0);
    assert_int_equal(groups_finish(world->state, &world->err), FRESHET_USAGE);
}

static void windows_change(void **state)
{
    world *world = *state;
    windows[0] = "2 hours";
    world->declaration.n_windows = 1;
    world->declaration.emit_change = true;
    open_state(world, true, false);
    add(world, "a", HOUR / 2);
    take(world, "a@3600=1F+1 a@7200=1F+1 "); /* both windows lie in the future */
    add(world, "a", HOUR);
    take(world, "a@7200=2+2 a@10800=1F+1 ");
    groups_advance(world->state, 2 * HOUR);
    take(world, "a@3600=1AN+1 a@7200=2AN+2 ");
    add(world, "a", 2 * HOUR);
    take(world, "a@10800=2+2 a@14400=1F+1 ");
    groups_advance(world->state, 10 * HOUR);
    take(world, "a@10800=2AN+2 a@14400=1AN+1 ");
    assert_int_equal(groups_measure(world->state).keys, 0);
}

static void nulls_when_the_last_event_leaves(void **state)
{
    world *world = *state;
    windows[0] = "1 hour";
    world->declaration.n_windows = 1;
    world->declaration.nulls_on_expiry = true;
    open_state(world, true, false);
    add(world, "a", 0);
    groups_advance(world->state, 9 * HOUR);
    take(world, "a@3600=1FN+0 a@7200=FN+0 ");
    assert_int_equal(groups_measure(world->state).keys, 0);
}

static void a_grid_goes_on(void **state)
{
    world *world = *state;
    windows[0] = "1 day";
    world->declaration.n_windows = 1;
    world->declaration.slide = "1 day";
    open_state(world, true, false);
    add(world, "a", HOUR);
    groups_advance(world->state, DAY);
    take(world, "a@0=FN+0 a@86400=1FN+0 ");
    add(world, "b", DAY);
    groups_advance(world->state, 3 * DAY);
    take(world, "b@0=FN+0 b@86400=FN+0 a@172800=FN+0 b@172800=1FN+0 a@259200=FN+0 b@259200=FN+0 ");
    assert_int_equal(groups_measure(world->state).keys, 2);
    assert_int_equal(groups_measure(world->state).events, 0);
}

/* An event of an earlier day begins the grid of keys that have had no row, at once. */
static void a_grid_begins_earlier(void **state)
{
    world *world = *state;
    windows[0] = "1 day";
    world->declaration.n_windows = 1;
    world->declaration.slide = "1 day";
    open_state(world, true, false);
    add(world, "a", 9 * DAY + HOUR);
    add(world, "b", 8 * DAY + HOUR);
    groups_advance(world->state, 8 * DAY + HOUR);
    take(world, "a@691200=FN+0 b@691200=FN+0 ");
    groups_advance(world->state, 9 * DAY);
    take(world, "a@777600=FN+0 b@777600=1FN+0 ");
}

static void rows_outside_the_bounds(void **state)
{
    world *world = *state;
    windows[0] = "1 day";
    world->declaration.n_windows = 1;
    world->declaration.slide = "1 day";
    open_state(world, false, false);
    groups_options options = {false, DAY, 3 * DAY + 1, 0, 0};
    groups_set_options(world->state, &options);
    add(world, "a", HOUR);
    add(world, "b", DAY);
    take(world, "");
    assert_int_equal(groups_finish(world->state, NULL), FRESHET_OK);
    take(world, "a@86400=1FN+0 a@172800=FN+0 a@259200=FN+0 "
                "b@86400=FN+0 b@172800=1FN+0 b@259200=FN+0 ");
}

static void a_late_event_makes_no_row_due_too_early(void **state)
{
    world *world = *state;
    windows[0] = "3 hours";
    windows[1] = "90 minutes"; /* they end at half past */
    world->declaration.n_windows = 2;
    open_state(world, true, false);
    groups_advance(world->state, 11 * HOUR);
    add(world, "a", 9 * HOUR + HOUR / 2); /* only the 3 hours until 12:00 are open and hold it */
    groups_advance(world->state, 11 * HOUR + HOUR / 2 + 1);
    take(world, "");
    add(world, "a", 11 * HOUR + HOUR / 2 + 1);
    groups_advance(world->state, 12 * HOUR);
    take(world, "a@43200=2FN+0 ");
}

/* More events than one block of the store holds. */
static void events_are_forgotten_one_by_one(void **state)
{
    world *world = *state;
    windows[0] = "3 hours";
    world->declaration.n_windows = 1;
    open_state(world, true, false);
    for (int i = 0; i < 240; i++)
        add(world, "a", i * HOUR / 60);
    groups_advance(world->state, 4 * HOUR);
    take(world, "a@3600=60FN+0 a@7200=120FN+0 a@10800=180FN+0 a@14400=180FN+0 ");
    assert_int_equal(groups_measure(world->state).events, 120); /* those that 05:00 reaches */
    assert_int_equal(groups_check(world->state, &world->err), FRESHET_OK);
    groups_advance(world->state, 9 * HOUR);
    take(world, "a@18000=120FN+0 a@21600=60FN+0 ");
    assert_int_equal(groups_measure(world->state).keys, 0);
}

static void sparse_events_stand_close(void **state)
{
    world *world = *state;
    windows[0] = "1 year";
    world->declaration.n_windows = 1;
    open_state(world, true, false);
    add(world, "a", 0);
    const size_t bytes = groups_measure(world->state).bytes;
    for (int i = 1; i < 240; i++)
        add(world, "a", i * DAY);
    assert_true(groups_measure(world->state).bytes - bytes < (size_t)240 * 100);
}

static void distinct_of_more_than_one_run(void **state)
{
    world *world = *state;
    uint32_t subset[] = {1};
    uint8_t too_long;
    windows[0] = "1 hour";
    world->declaration.n_windows = 1;
    world->declaration.distinct = subset;
    world->declaration.n_distinct = 1;
    open_state(world, true, false);
    for (uint32_t i = 0; i < 300; i++)
        assert_int_equal(try_add(world, "a", 1, i * SECOND,
                                 arena_format(world->arena, "order number %u", i % 150), &too_long),
                         FRESHET_OK);
    groups_advance(world->state, HOUR);
    take(world, "a@3600=150FN+0 ");
}

static void a_result_that_is_no_number_is_null(void **state)
{
    world *world = *state;
    windows[0] = "1 hour";
    world->declaration.n_windows = 1;
    features[0].functions = (windows_function[]){{"avg", NULL}, {"max", NULL}};
    features[0].n_functions = 2;
    open_state(world, false, false);
    static cell_text k[2];
    static double x[] = {INFINITY, -INFINITY};
    column key = {.type = keys[0], .data = k, .capacity = 2};
    column values = {.type = columns[0].type, .data = x, .capacity = 2};
    uint8_t too_long[2];
    groups_input input = {2, &key, &values, (int64_t[]){1, 2}, NULL};
    assert_int_equal(groups_add(world->state, &input, too_long, NULL), FRESHET_OK);
    assert_int_equal(groups_finish(world->state, NULL), FRESHET_OK);
    groups_rows rows;
    assert_int_equal(groups_take(world->state, world->arena, 9, &rows, NULL), FRESHET_OK);
    assert_int_equal(rows.n_rows, 1);
    assert_false(column_is_valid(&rows.outputs[0], 0));
    assert_true(column_is_valid(&rows.outputs[1], 0));
}

/* ---- saving ---------------------------------------------------------------------------------- */

static void keys_that_ended_wait_for_the_checkpoint(void **state)
{
    world *world = *state;
    windows[0] = "1 hour";
    world->declaration.n_windows = 1;
    open_state(world, true, true);
    uint32_t cursor = 0;
    state_key key;
    add(world, "a", 0);
    groups_advance(world->state, 9 * HOUR);
    take(world, "a@3600=1FN+0 ");
    assert_true(state_part_next_dirty(groups_part(world->state), &cursor, &key));
    assert_true(state_part_is_empty(groups_part(world->state), &key));
    assert_false(state_part_next_dirty(groups_part(world->state), &cursor, &key));
    state_part_clean(groups_part(world->state));
    cursor = 0;
    assert_false(state_part_next_dirty(groups_part(world->state), &cursor, &key));
    assert_int_equal(groups_measure(world->state).keys, 0);
}

static void saved_bytes_that_are_damaged(void **state)
{
    world *world = *state;
    windows[0] = "1 hour";
    world->declaration.n_windows = 1;
    world->declaration.n_features = 2;
    several[0].text = "min";
    uint32_t subset[] = {1}, cursor = 0;
    world->declaration.distinct = subset;
    world->declaration.n_distinct = 1;
    open_state(world, true, true);
    state_key key;
    text_buffer bytes, shown;
    text_init(&bytes, TEXT_LIMIT_DEFAULT);
    text_init(&shown, TEXT_LIMIT_DEFAULT);
    add(world, "k", 0);
    add(world, "k", 1);
    assert_true(state_part_next_dirty(groups_part(world->state), &cursor, &key));
    assert_int_equal(state_part_save(groups_part(world->state), &key, &bytes, NULL), FRESHET_OK);
    char key_bytes[16];
    size_t key_length = key.length;
    memcpy(key_bytes, key.bytes, key_length);
    state_part part = *groups_part(world->state);
    part.key_names = (const char *const[]){"id"};
    assert_int_equal(
        state_part_inspect(&part, key_bytes, key_length, bytes.bytes, bytes.length, &shown, NULL),
        FRESHET_OK);
    assert_string_equal(
        shown.bytes,
        "{\"key\": {\"id\": \"k\"}, \"events\": ["
        "{\"timestamp\": \"1970-01-01T00:00:00.000000Z\", \"x\": true, \"s\": \"a text that is "
        "longer\"}, "
        "{\"timestamp\": \"1970-01-01T00:00:00.000001Z\", \"x\": true, \"s\": \"a text that is "
        "longer\"}"
        "]}");
    for (size_t i = 0; i < bytes.length; i++) {
        bytes.bytes[i] ^= 0x10;
        assert_int_equal(state_part_restore(groups_part(world->state), key_bytes, key_length,
                                            bytes.bytes, bytes.length, &world->err),
                         FRESHET_FAILED);
        assert_int_equal(state_part_restore(groups_part(world->state), key_bytes, key_length,
                                            bytes.bytes, i, &world->err),
                         FRESHET_FAILED);
        bytes.bytes[i] ^= 0x10;
    }
    assert_int_equal(state_part_restore(groups_part(world->state), key_bytes, key_length,
                                        bytes.bytes, bytes.length, NULL),
                     FRESHET_OK);
    assert_int_equal(groups_measure(world->state).events, 2);
    const unsigned char *at = (const unsigned char *)bytes.bytes;
    assert_int_equal(groups_restore_facts(world->state, &at, at + 23, NULL),
                     FRESHET_BAD_DECLARATION); /* not of this version */
    several[0].text = "count";
    text_release(&bytes);
    text_release(&shown);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void long_keys(void **state)
{
    world *world = *state;
    world->declaration.n_windows = 0;
    open_state(world, true, false);
    char *key = arena_zero(world->arena, 1, GROUPS_KEY_BYTES_MAX);
    uint8_t too_long;
    memset(key, 'k', GROUPS_KEY_BYTES_MAX);
    assert_int_equal(try_add(world, key, GROUPS_KEY_BYTES_MAX - 5, 0, "s", &too_long), FRESHET_OK);
    assert_false(too_long);
    assert_int_equal(try_add(world, key, GROUPS_KEY_BYTES_MAX - 4, 0, "s", &too_long), FRESHET_OK);
    assert_true(too_long);
    assert_int_equal(groups_measure(world->state).keys, 1);
}

static void many_keys(void **state)
{
    world *world = *state;
    windows[0] = "1 hour";
    world->declaration.n_windows = 1;
    open_state(world, true, false);
    for (uint32_t i = 0; i < 5000; i++)
        add(world, arena_format(world->arena, "%u", i), i * SECOND);
    size_t bytes = groups_measure(world->state).bytes;
    assert_int_equal(groups_measure(world->state).keys, 5000);
    groups_rows rows;
    uint32_t n = 0;
    int64_t before = 0;
    groups_advance(world->state, 9 * HOUR);
    do {
        assert_int_equal(groups_take(world->state, world->arena, 1000, &rows, NULL), FRESHET_OK);
        assert_true(rows.n_rows <= 1000);
        for (uint32_t i = 0; i < rows.n_rows; i++) {
            assert_true(rows.time_us[i] >= before);
            before = rows.time_us[i];
        }
        n += rows.n_rows;
    } while (rows.n_rows > 0);
    assert_int_equal(n, 5000);
    assert_int_equal(groups_measure(world->state).keys, 0);
    for (uint32_t i = 0; i < 5000; i++)
        add(world, arena_format(world->arena, "%u", i), 10 * HOUR + i * SECOND);
    assert_true(groups_measure(world->state).bytes < bytes + bytes / 4);
}

static void memory_runs_out(void **state)
{
    world *world = *state;
    windows[0] = "1 hour";
    world->declaration.n_windows = 1;
    world->declaration.n_features = 2;
    world->declaration.emit_change = true;
    several[0].text = "min";
    bool failed = true;
    for (int64_t n = 0; failed; n++) {
        uint8_t too_long;
        open_state(world, true, true);
        world->state->memory.fail_after = n;
        failed = false;
        for (uint32_t i = 0; i < 200 && !failed; i++)
            failed = try_add(world, i % 2 ? "a" : "b", 1, i % 90 * SECOND, "a text that is longer",
                             &too_long) == FRESHET_NO_MEMORY;
        groups_close(world->state);
        world->state = NULL;
    }
    several[0].text = "count";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_are_butterfrees, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plans_that_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pivots_at_their_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(groups_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(windows_close, set_up, tear_down),
        cmocka_unit_test_setup_teardown(windows_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nulls_when_the_last_event_leaves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_grid_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_grid_begins_earlier, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_outside_the_bounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_late_event_makes_no_row_due_too_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_are_forgotten_one_by_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sparse_events_stand_close, set_up, tear_down),
        cmocka_unit_test_setup_teardown(distinct_of_more_than_one_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_result_that_is_no_number_is_null, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_that_ended_wait_for_the_checkpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(saved_bytes_that_are_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_runs_out, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
