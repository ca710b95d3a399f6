/* meaning_test.c - the meanings of a declaration, by what is kept: all of them, and no others. */
#include "features/features_testing.h"

#include "features/meaning.h"

#define TIME "  timestamp: {from: ts}\n"
#define PLAIN "  features: [{name: twice, type: double, sql: \"x  *  2 -- twice\"}]\n"

/* Those of the open set, a line each, with the line of the declaration. */
static void expect_meanings(world *world, const char *expected)
{
    freshet_error err = {0};
    meanings found;
    must(feature_set_meanings(world->set, declaration_of(world->declaration),
                              declaration_of(world->declaration)->source.query.value, NULL, 0,
                              world->arena, &found, &err),
         &err);
    text_reset(&world->said);
    text_append_c(&world->said, "");
    for (uint32_t i = 0; i < found.n; i++)
        text_format(&world->said, "%u %s: %s\n", found.items[i].at.line, found.items[i].name,
                    found.items[i].text);
    expect(world, expected);
}

static void positions_need_none(void **state)
{
    world *world = *state;
    open_stream(world, TIME PLAIN);
    expect_meanings(world, "");
    assert_int_equal(open_set(world, false, ROWS("(1, 0, 0, 'a')"), TIME PLAIN), FRESHET_OK);
    expect_meanings(world, "");
}

static void newest_rows(void **state)
{
    world *world = *state;
    world->options.ranks = true;
    open_stream(world, TIME PLAIN);
    expect_meanings(world, "8 the dialect: duckdb\n"
                           "8 the list of stacks: none\n"
                           "11 the timestamp: from column ts\n"
                           "10 key \"id\": from column id as bigint\n"
                           "5 the query: select * from e\n"
                           "5 the rows of the query: from e\n"
                           "5 column \"id\" of the query: id\n"
                           "5 column \"ts\" of the query: ts\n");
}

static void seen_events(void **state)
{
    world *world = *state;
    open_stream(world, TIME "  deduplicate: {on: [S], within: 1 hour}\n" PLAIN);
    expect_meanings(world, "8 the dialect: duckdb\n"
                           "11 the timestamp: from column ts\n"
                           "5 the query: select * from e\n"
                           "5 the rows of the query: from e\n"
                           "5 column \"ts\" of the query: ts\n"
                           "5 column \"s\" of the query: s\n"
                           "8 timestamp: late: dead_letter or drop\n");
}

/* From a window through all that its values and conditions are made of; plain ones are none of
 * it. */
static void windows(void **state)
{
    world *world = *state;
    open_stream(world, "  keys: [{name: user, type: string, from: id}]\n"
                       "  timestamp: {from: ts, late: update}\n"
                       "  on_cast_error: 'null'\n"
                       "  features:\n"
                       "    - {name: twice, type: double, sql: \"x  *  2\"}\n"
                       "    - {name: plain, type: string, from: s}\n"
                       "    - {name: more, type: double, sql: twice + 1}\n"
                       "    - {name: x, type: float, from: more}\n"
                       "    - {name: w, from: x, filter: USER <> '1', window: {functions: [sum], "
                       "over: [1 day]}}\n");
    expect_meanings(world, "8 the dialect: duckdb\n"
                           "8 the list of stacks: none\n"
                           "11 the timestamp: from column ts\n"
                           "18 the filter `user <> '1'`: user <> '1', of the key user\n"
                           "17 feature \"x\": from feature more as float\n"
                           "16 feature \"more\": sql twice + 1 as double, of the feature twice\n"
                           "14 feature \"twice\": sql x * 2 as double\n"
                           "10 key \"user\": from column id as string\n"
                           "5 the query: select * from e\n"
                           "5 the rows of the query: from e\n"
                           "5 column \"id\" of the query: id\n"
                           "5 column \"ts\" of the query: ts\n"
                           "5 column \"x\" of the query: x\n"
                           "8 on_cast_error: null\n"
                           "8 timestamp: late: update\n");
}

static void groups(void **state)
{
    world *world = *state;
    open_stream(world, TIME "  aggregated:\n"
                            "    windows: {over: [1 hour], slide: 10 minutes}\n"
                            "    pivot: {column: s, values: [a, b]}\n"
                            "    distinct: {subset: [x], keep: first}\n"
                            "  features: [{name: id2, from: id, aggregate: {functions: [sum]}}]\n");
    expect_meanings(world, "8 the dialect: duckdb\n"
                           "8 the list of stacks: none\n"
                           "11 the timestamp: from column ts\n"
                           "10 key \"id\": from column id as bigint\n"
                           "8 feature \"x\": from column x as double\n"
                           "8 feature \"s\": from column s as string\n"
                           "5 the query: select * from e\n"
                           "5 the rows of the query: from e\n"
                           "5 column \"id\" of the query: id\n"
                           "5 column \"ts\" of the query: ts\n"
                           "5 column \"x\" of the query: x\n"
                           "5 column \"s\" of the query: s\n"
                           "8 on_cast_error: dead_letter\n"
                           "8 aggregated: windows: emit: close\n"
                           "8 timestamp: late: dead_letter or drop\n");
}

/* Stacks, although no window looks at them; not those behind windows. */
static void stacks(void **state)
{
    world *world = *state;
    open_stream(world, "  keys: [{name: k, type: string, stack: {columns: [id, s]}}]\n" TIME
                       "  features:\n"
                       "    - {name: f, from: x, function: {functions: [abs]}}\n"
                       "    - {name: t, stack: {columns: [x, f__abs]}}\n"
                       "    - {name: w, from: id, window: {functions: [sum], over: [1 day]}}\n"
                       "    - {name: u, stack: {columns: [x, id]}}\n");
    expect_meanings(world,
                    "8 the dialect: duckdb\n"
                    "10 the list of stacks: key \"k\", feature \"t\"\n"
                    "11 the timestamp: from column ts\n"
                    "14 feature \"t\": a row for each of column x, feature f__abs as double\n"
                    "13 feature \"f__abs\": sql abs(\"x\") as double\n"
                    "10 key \"k\": a row for each of column id, column s as string\n"
                    "15 feature \"id\": from column id as bigint\n"
                    "5 the query: select * from e\n"
                    "5 the rows of the query: from e\n"
                    "5 column \"id\" of the query: id\n"
                    "5 column \"ts\" of the query: ts\n"
                    "5 column \"x\" of the query: x\n"
                    "5 column \"s\" of the query: s\n"
                    "8 on_cast_error: dead_letter\n"
                    "8 timestamp: late: dead_letter or drop\n");
}

/* A column that a window looks at is a feature that takes it as it is; not so beside a feature of
 * its name, which the others look at. */
static void columns_and_features_of_one_name(void **state)
{
    world *world = *state;
    open_stream(world,
                TIME "  features:\n"
                     "    - {name: w, from: x, window: {functions: [sum], over: [1 day]}}\n"
                     "    - {name: x, type: double, sql: x * 3}\n"
                     "    - {name: v, from: x, window: {functions: [sum], over: [1 day]}}\n"
                     "    - {name: u, from: s, window: {functions: [count], over: [1 day]}}\n");
    expect_meanings(world, "8 the dialect: duckdb\n"
                           "8 the list of stacks: none\n"
                           "11 the timestamp: from column ts\n"
                           "14 feature \"x\": sql x * 3 as double\n"
                           "10 key \"id\": from column id as bigint\n"
                           "16 feature \"s\": from column s as string\n"
                           "5 the query: select * from e\n"
                           "5 the rows of the query: from e\n"
                           "5 column \"id\" of the query: id\n"
                           "5 column \"ts\" of the query: ts\n"
                           "5 column \"x\" of the query: x\n"
                           "5 column \"s\" of the query: s\n"
                           "8 on_cast_error: dead_letter\n"
                           "8 timestamp: late: dead_letter or drop\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(positions_need_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(newest_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(seen_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(windows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(groups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stacks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(columns_and_features_of_one_name, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
