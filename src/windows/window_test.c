/* window_test.c - reading windows, naming columns, making plans. */
#include "base/memory_testing.h"
#include "windows/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void windows_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        window_mode mode;
        int64_t length;
        const char *name;
    } cases[] = {
        {"1 second", WINDOW_FIXED, 1, "1_second"},
        {"90 seconds", WINDOW_FIXED, 90, "90_seconds"},
        {"2 minutes", WINDOW_FIXED, 120, "2_minutes"},
        {"1 hour", WINDOW_FIXED, 3600, "1_hour"},
        {"7 days", WINDOW_FIXED, 7 * 86400, "7_days"},
        {" 1  week ", WINDOW_FIXED, 604800, "1_week"},
        {"1h", WINDOW_FIXED, 3600, "1_hour"},
        {"30d", WINDOW_FIXED, 30 * 86400, "30_days"},
        {"10m", WINDOW_FIXED, 600, "10_minutes"},
        {"1 h", WINDOW_FIXED, 3600, "1_hour"},
        {"5 mins", WINDOW_FIXED, 300, "5_minutes"},
        {"1 year", WINDOW_FIXED, 29030400, "1_year"},
        {"3153600000 seconds", WINDOW_FIXED, WINDOW_SECONDS_MAX, "3153600000_seconds"},
        {"1 event", WINDOW_ROWS, 1, "1_event"},
        {"5 events", WINDOW_ROWS, 5, "5_events"},
        {"1000000 events", WINDOW_ROWS, WINDOW_ROWS_MAX, "1000000_events"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t length = 0;
        const char *name = "";
        assert_int_equal(window_parse(memory, cases[i].text, cases[i].mode, &length, &name, NULL),
                         FRESHET_OK);
        assert_int_equal(length, cases[i].length);
        assert_string_equal(name, cases[i].name);
    }
}

static void windows_are_refused_with_a_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        window_mode mode;
        const char *says;
    } cases[] = {
        {"", WINDOW_FIXED, "window \"\": write a number and a unit, as in \"2 hours\""},
        {"5 parts", WINDOW_FIXED,
         "window \"5 parts\": the unit must be second, minute, hour, day, week or year"},
        {"1 month", WINDOW_FIXED,
         "window \"1 month\": months differ in length: say it in days or weeks"},
        {"0 seconds", WINDOW_FIXED,
         "window \"0 seconds\": it is empty: the number must be at least 1"},
        {"-1 day", WINDOW_FIXED, "window \"-1 day\": write a number and a unit, as in \"2 hours\""},
        {"1 day long", WINDOW_FIXED,
         "window \"1 day long\": write a number and a unit, as in \"2 hours\""},
        {"3153600001 seconds", WINDOW_FIXED,
         "window \"3153600001 seconds\": the longest is 100 years of 365 days"},
        {"9999999999999999999 days", WINDOW_FIXED,
         "window \"9999999999999999999 days\": write a number and a unit, as in \"2 hours\""},
        {"5 days", WINDOW_ROWS,
         "window \"5 days\": row windows are counted in events, as in \"5 events\""},
        {"0 events", WINDOW_ROWS,
         "window \"0 events\": it is empty: the number must be at least 1"},
        {"1000001 events", WINDOW_ROWS, "window \"1000001 events\": the longest is 1000000 events"},
        {"five", WINDOW_ROWS, "window \"five\": write a number of events, as in \"5 events\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t length = 0;
        const char *name = "";
        freshet_error err = {0};
        assert_int_equal(window_parse(memory, cases[i].text, cases[i].mode, &length, &name, &err),
                         FRESHET_BAD_DECLARATION);
        assert_string_equal(err.text, cases[i].says);
    }
}

/* A plan of one feature over columns x (double), s (string) and b (boolean). */
static freshet_code plan_of(const windows_feature *feature, windows_plan **plan, freshet_error *err)
{
    static const type *keys[1];
    static field columns[3];
    keys[0] = type_simple(TYPE_BIGINT);
    columns[0] = (field){"x", type_simple(TYPE_DOUBLE)};
    columns[1] = (field){"s", type_simple(TYPE_STRING)};
    columns[2] = (field){"b", type_simple(TYPE_BOOLEAN)};
    windows_declaration declaration = {.keys = keys,
                                       .n_keys = 1,
                                       .columns = columns,
                                       .n_columns = 3,
                                       .features = feature,
                                       .n_features = 1};
    return windows_plan_make(memory, &declaration, plan, err);
}

static void columns_have_the_names_of_butterfree(void **state)
{
    (void)state;
    static const windows_function functions[] = {{"stddev_pop", NULL},
                                                 {"percentile(0.999)", NULL},
                                                 {"avg", "mean"},
                                                 {"countDistinct", NULL}};
    static const char *const windows[] = {"2 hours", "7 days"};
    static const char *const names[] = {
        "delay__stddev_pop_over_2_hours_fixed_windows",
        "delay__stddev_pop_over_7_days_fixed_windows",
        "delay__percentile_99_9_over_2_hours_fixed_windows",
        "delay__percentile_99_9_over_7_days_fixed_windows",
        "delay__mean_over_2_hours_fixed_windows",
        "delay__mean_over_7_days_fixed_windows",
        "delay__countDistinct_over_2_hours_fixed_windows",
        "delay__countDistinct_over_7_days_fixed_windows",
    };
    windows_feature feature = {.name = "delay",
                               .filter = WINDOWS_NO_FILTER,
                               .functions = functions,
                               .n_functions = 4,
                               .windows = windows,
                               .n_windows = 2};
    windows_plan *plan;
    assert_int_equal(plan_of(&feature, &plan, NULL), FRESHET_OK);
    assert_int_equal(plan->outputs.n_fields, 8);
    for (uint32_t i = 0; i < 8; i++)
        assert_string_equal(plan->outputs.fields[i].name, names[i]);
    assert_int_equal(plan->outputs.fields[0].type->kind, TYPE_DOUBLE);
    assert_int_equal(plan->outputs.fields[6].type->kind, TYPE_BIGINT);
}

static void what_features_share_is_planned_once(void **state)
{
    (void)state;
    static const windows_function functions[] = {
        {"sum", NULL}, {"avg", NULL}, {"stddev_pop", NULL}, {"var_samp", NULL}, {"count", NULL}};
    static const char *const windows[] = {"60 minutes", "1 hour", "1 day"};
    windows_feature feature = {.name = "f",
                               .filter = WINDOWS_NO_FILTER,
                               .functions = functions,
                               .n_functions = 5,
                               .windows = windows,
                               .n_windows = 3};
    windows_plan *plan;
    assert_int_equal(plan_of(&feature, &plan, NULL), FRESHET_OK);
    assert_int_equal(plan->n_slots, 1);
    assert_int_equal(plan->n_measures, 3);
    assert_int_equal(plan->walks[WINDOW_FIXED].n_stops, 2);
    assert_int_equal(plan->walks[WINDOW_FIXED].stops[0].n_answers, 10);
    assert_int_equal(plan->walks[WINDOW_ROWS].n_stops, 0);
    assert_int_equal(plan->longest_s, 86400);
    assert_int_equal(plan->event_bytes, 12);
}

static void a_count_keeps_no_values(void **state)
{
    (void)state;
    static const windows_function functions[] = {{"count", NULL}};
    static const char *const windows[] = {"3 events"};
    windows_feature feature = {.name = "f",
                               .values = 1,
                               .filter = 2,
                               .mode = WINDOW_ROWS,
                               .functions = functions,
                               .n_functions = 1,
                               .windows = windows,
                               .n_windows = 1};
    windows_plan *plan;
    assert_int_equal(plan_of(&feature, &plan, NULL), FRESHET_OK);
    assert_int_equal(plan->event_bytes, 4);
    assert_false(plan->has_texts);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const windows_function average[] = {{"avg", NULL}}, unknown[] = {{"avgg", NULL}};
    static const char *const windows[] = {"1 hour"}, *const bad[] = {"1 month"};
    const struct {
        windows_feature feature;
        const char *says;
    } cases[] = {
        {{"f", 1, WINDOWS_NO_FILTER, WINDOW_FIXED, average, 1, windows, 1, false},
         "feature \"f\": avg cannot be computed of a column of type string: it takes "
         "numbers, such as a feature above of type double"},
        {{"f", 0, 1, WINDOW_FIXED, average, 1, windows, 1, false},
         "feature \"f\": the filter of an aggregate must give a boolean"},
        {{"f", 0, WINDOWS_NO_FILTER, WINDOW_FIXED, unknown, 1, windows, 1, false},
         "feature \"f\": there is no aggregate function \"avgg\"; did you mean \"avg\"?"},
        {{"f", 0, WINDOWS_NO_FILTER, WINDOW_FIXED, average, 1, bad, 1, false},
         "feature \"f\": window \"1 month\": months differ in length: say it in days or weeks"},
        {{"f", 0, WINDOWS_NO_FILTER, WINDOW_FIXED, average, 0, windows, 1, false},
         "feature \"f\": a windowed feature needs at least one function and one window"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        windows_plan *plan;
        freshet_error err = {0};
        assert_int_equal(plan_of(&cases[i].feature, &plan, &err), FRESHET_BAD_DECLARATION);
        assert_string_equal(err.text, cases[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_read),
        cmocka_unit_test(windows_are_refused_with_a_sentence),
        cmocka_unit_test(columns_have_the_names_of_butterfree),
        cmocka_unit_test(what_features_share_is_planned_once),
        cmocka_unit_test(a_count_keeps_no_values),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, open_memory, close_memory);
}
