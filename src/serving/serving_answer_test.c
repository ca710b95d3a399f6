/* serving_answer_test.c - requests and their answers: every type, statuses, joint keys, several
 * sets, what is refused and with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "serving/serving_answer.h"
#include "serving/serving_rows.h"

#define HOUR_US INT64_C(3600000000)
#define NOW_US (INT64_C(1777629600) * 1000000) /* 2026-05-01T10:00:00Z */

typedef struct world {
    arena *arena;
    field users[4], trips[12];
    serving_set sets[2];
    text_buffer body;
    unsigned status;
} world;

static world it;

static void open_rows(serving_set *set)
{
    const serving_rows_options options = {&set->schema, set->n_keys, (size_t)1 << 30, false};
    assert_int_equal(serving_rows_open(&options, it.arena, &set->rows, NULL), FRESHET_OK);
}

static void fill_users(void)
{
    batch rows = {.arena = it.arena};
    assert_int_equal(batch_init(&rows, it.arena, &it.sets[0].schema, 3, NULL), FRESHET_OK);
    for (uint32_t i = 0; i < 3; i++) {
        ((cell_text *)rows.columns[0].data)[i] = text_of(i == 0   ? "ana"
                                                         : i == 1 ? "ben"
                                                                  : "é",
                                                         i == 2 ? 2 : 3);
        ((int64_t *)rows.columns[1].data)[i] = NOW_US - (int64_t)i * HOUR_US - 120000;
        ((double *)rows.columns[2].data)[i] = i + 0.5;
        ((int64_t *)rows.columns[3].data)[i] = (int64_t)i * INT64_C(1000000000000000000);
    }
    assert_true(column_set_null(it.arena, &rows.columns[2], 1));
    rows.n_rows = 3;
    assert_int_equal(serving_rows_put(it.sets[0].rows, &rows, 1, NULL), FRESHET_OK);
}

/* One row of each type. */
static void fill_trips(void)
{
    batch rows = {.arena = it.arena};
    assert_int_equal(batch_init(&rows, it.arena, &it.sets[1].schema, 1, NULL), FRESHET_OK);
    column *columns = rows.columns;
    ((int64_t *)columns[0].data)[0] = -7;
    ((int32_t *)columns[1].data)[0] = 20574; /* 2026-05-01 */
    ((int64_t *)columns[2].data)[0] = INT64_C(1500000);
    ((float *)columns[3].data)[0] = 0.1F;
    ((double *)columns[4].data)[0] = (double)NAN;
    ((uint8_t *)columns[5].data)[0] = 1;
    ((cell_text *)columns[6].data)[0] = text_of("\x00\xff\x01", 3);
    ((int64_t *)columns[7].data)[0] = -1; /* a microsecond before 1970 */
    ((int32_t *)columns[8].data)[0] = 1;
    ((int128 *)columns[9].data)[0] = 12345;
    assert_int_equal(column_reserve(it.arena, &columns[10].children[0], 3, NULL), FRESHET_OK);
    ((double *)columns[10].children[0].data)[0] = 1.5;
    ((double *)columns[10].children[0].data)[1] = (double)NAN;
    ((double *)columns[10].children[0].data)[2] = -(double)INFINITY;
    ((cell_span *)columns[10].data)[0] = (cell_span){0, 3};
    ((int32_t *)columns[11].data)[0] = -5;
    rows.n_rows = 1;
    assert_int_equal(serving_rows_put(it.sets[1].rows, &rows, 1, NULL), FRESHET_OK);
}

static int set_up(void **state)
{
    (void)state;
    it = (world){.arena = arena_open()};
    text_init(&it.body, (size_t)1 << 20);
    const field users[] = {{"customer", type_simple(TYPE_STRING)},
                           {"timestamp", type_simple(TYPE_TIMESTAMP)},
                           {"amount", type_simple(TYPE_DOUBLE)},
                           {"big", type_simple(TYPE_BIGINT)}};
    const field trips[] = {{"route", type_simple(TYPE_BIGINT)},
                           {"day", type_simple(TYPE_DATE)},
                           {"timestamp", type_simple(TYPE_TIMESTAMP)},
                           {"small", type_simple(TYPE_FLOAT)},
                           {"nan", type_simple(TYPE_DOUBLE)},
                           {"truth", type_simple(TYPE_BOOLEAN)},
                           {"bytes", type_simple(TYPE_BINARY)},
                           {"at", type_simple(TYPE_TIMESTAMP)},
                           {"date", type_simple(TYPE_DATE)},
                           {"price", type_decimal(it.arena, 10, 2)},
                           {"list", type_array(it.arena, type_simple(TYPE_DOUBLE))},
                           {"amount", type_simple(TYPE_INTEGER)}};
    memcpy(it.users, users, sizeof users);
    memcpy(it.trips, trips, sizeof trips);
    it.sets[0] = (serving_set){
        .name = "spending", .schema = {4, it.users}, .n_keys = 1, .max_age_us = HOUR_US};
    it.sets[1] = (serving_set){.name = "trips", .schema = {12, it.trips}, .n_keys = 2};
    open_rows(&it.sets[0]);
    open_rows(&it.sets[1]);
    fill_users();
    fill_trips();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    serving_rows_close(it.sets[0].rows);
    serving_rows_close(it.sets[1].rows);
    text_release(&it.body);
    arena_close(it.arena);
    return 0;
}

static const char *answer(const char *body)
{
    /* of just its size, so that a sanitizer sees what reads behind it */
    const size_t length = strlen(body);
    char *exact = malloc(length == 0 ? 1 : length);
    memcpy(exact, body, length);
    text_reset(&it.body);
    it.status = serving_answer(it.sets, 2, exact, length, NOW_US, it.arena, &it.body);
    free(exact);
    return it.body.bytes;
}

#define T0 "\"1970-01-01T00:00:00Z\""

static void what_feast_writes(void **state)
{
    (void)state;
    const char *got = answer(
        "{\"features\": [\"spending:amount\", \"spending:big\"], \"entities\": {\"customer\": "
        "[\"ana\", \"ben\", \"é\", \"nobody\", null]}, \"full_feature_names\": false, "
        "\"include_feature_view_version_metadata\": false, \"feature_service\": null}");
    assert_int_equal(it.status, 200);
    assert_string_equal(
        got,
        "{\"metadata\":{\"feature_names\":[\"customer\",\"amount\",\"big\"]},\"results\":["
        "{\"values\":[\"ana\",\"ben\",\"é\",\"nobody\",null],\"statuses\":[\"PRESENT\",\"PRESENT\","
        "\"PRESENT\",\"PRESENT\",\"PRESENT\"],\"event_timestamps\":[" T0 "," T0 "," T0 "," T0 "," T0
        "]},"
        "{\"values\":[0.5,null,null,null,null],\"statuses\":[\"PRESENT\",\"OUTSIDE_MAX_AGE\","
        "\"OUTSIDE_MAX_AGE\",\"NOT_FOUND\",\"NOT_FOUND\"],\"event_timestamps\":["
        "\"2026-05-01T09:59:59.880Z\",\"2026-05-01T08:59:59.880Z\",\"2026-05-01T07:59:59.880Z\"," T0
        "," T0 "]},"
        "{\"values\":[0,null,null,null,null],\"statuses\":[\"PRESENT\",\"OUTSIDE_MAX_AGE\","
        "\"OUTSIDE_MAX_AGE\",\"NOT_FOUND\",\"NOT_FOUND\"],\"event_timestamps\":["
        "\"2026-05-01T09:59:59.880Z\",\"2026-05-01T08:59:59.880Z\",\"2026-05-01T07:59:59.880Z\"," T0
        "," T0 "]}]}\n");
}

static void a_null_of_a_row_is_present(void **state)
{
    (void)state;
    it.sets[0].max_age_us = 0;
    const char *got = answer("{\"features\":[\"spending:amount\",\"spending:big\"],\"entities\":{"
                             "\"customer\":[\"ben\"]}}");
    it.sets[0].max_age_us = HOUR_US;
    assert_non_null(strstr(got,
                           "{\"values\":[null],\"statuses\":[\"PRESENT\"],\"event_timestamps\":["
                           "\"2026-05-01T08:59:59.880Z\"]}"));
    assert_non_null(strstr(got, "{\"values\":[1000000000000000000],"));
}

static void every_type_and_a_joint_key(void **state)
{
    (void)state;
    static const struct {
        const char *feature, *value;
    } cases[] = {{"small", "0.10000000149011612"},
                 {"nan", "\"NaN\""},
                 {"truth", "true"},
                 {"bytes", "\"AP8B\""},
                 {"at", "-1"},
                 {"date", "86400"},
                 {"price", "\"123.45\""},
                 {"list", "[1.5,\"NaN\",\"-Infinity\"]"},
                 {"amount", "-5"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[300], wanted[300];
        snprintf(body, sizeof body,
                 "{\"features\":[\"trips:%s\"],\"full_feature_names\":true,\"entities\":{\"day\":["
                 "\"2026-05-01\",\"2026-05-02\"],\"route\":[-7,-7]}}",
                 cases[i].feature);
        snprintf(wanted, sizeof wanted,
                 "{\"values\":[%s,null],\"statuses\":[\"PRESENT\",\"NOT_FOUND\"],"
                 "\"event_timestamps\":[\"1970-01-01T00:00:01.500Z\"," T0 "]}]}\n",
                 cases[i].value);
        const char *got = answer(body);
        assert_int_equal(it.status, 200);
        if (strstr(got, wanted) == NULL)
            assert_string_equal(got, wanted);
        snprintf(wanted, sizeof wanted, "[\"day\",\"route\",\"trips__%s\"]", cases[i].feature);
        assert_non_null(strstr(got, wanted));
    }
}

static void forms_of_a_key(void **state)
{
    (void)state;
    static const char *const good[] = {"-7", "-7.0", "\"-7\""};
    for (size_t i = 0; i < 3; i++) {
        char body[300];
        snprintf(body, sizeof body,
                 "{\"features\":[\"trips:amount\"],\"entities\":{\"route\":[%s],\"day\":[\"2026-05-"
                 "01\"]}}",
                 good[i]);
        assert_non_null(strstr(answer(body), "{\"values\":[-5],\"statuses\":[\"PRESENT\"]"));
    }
}

static void two_sets_at_once(void **state)
{
    (void)state;
    const char *got = answer(
        "{\"features\":[\"spending:big\",\"trips:amount\",\"spending:amount\"],"
        "\"full_feature_names\":true,\"entities\":{\"customer\":[\"ana\",\"x\"],\"route\":[1,-7],"
        "\"day\":[\"2026-05-01\",\"2026-05-01\"]}}");
    assert_int_equal(it.status, 200);
    assert_non_null(strstr(got,
                           "[\"customer\",\"route\",\"day\",\"spending__big\",\"trips__amount\","
                           "\"spending__amount\"]"));
    assert_non_null(strstr(got, "{\"values\":[null,-5],\"statuses\":[\"NOT_FOUND\",\"PRESENT\"]"));
}

static void what_is_refused(void **state)
{
    (void)state;
#define OF(entities) "{\"features\":[\"spending:amount\"],\"entities\":" entities "}"
    static const struct {
        const char *body;
        unsigned status;
        const char *said;
    } cases[] = {
        {"", 400, "The body is no JSON"},
        {"{\"features\":[\"spending:amount\"]", 400, "The body is no JSON"},
        {"[]", 400, "The body is no JSON object"},
        {"{}", 400, "`features` is missing"},
        {"{\"features\":[]}", 400, "`features` is missing"},
        {"{\"features\":[7]}", 400, "a text \\\"SET:FEATURE\\\"."},
        {"{\"features\":[\"amount\"]}", 400, "there is \\\"amount\\\""},
        {"{\"features\":[\"spendin:amount\"]}", 404,
         "but spending, trips; did you mean \\\"spending\\\"?"},
        {"{\"features\":[\"spending:amont\"]}", 404, "did you mean \\\"amount\\\"?"},
        {"{\"features\":[\"spending:customer\"]}", 404, "serves no feature"},
        {"{\"feature_service\":\"v1\",\"entities\":{}}", 422, "name the features instead"},
        {"{\"features\":[\"spending:amount\"]}", 400, "`entities` is missing"},
        {OF("{}"), 400, "`entities` is missing"},
        {OF("{\"customer\":[]}"), 422, "a list of one value or more"},
        {OF("{\"customer\":\"ana\"}"), 422, "a list of one value or more"},
        {OF("{\"customr\":[\"ana\"]}"), 422, "is a key of none"},
        {OF("{\"customer\":[\"ana\"],\"customer\":[\"ana\"]}"), 400, "twice"},
        {OF("{\"customer\":[7]}"), 422,
         "entities.customer[0] is 7, and the key \\\"customer\\\" is of type string"},
        {OF("{\"customer\":[[]]}"), 422, "a text in quotes"},
        {"{\"features\":[\"trips:at\"],\"entities\":{\"route\":[1.5],\"day\":[\"2026-05-01\"]}}",
         422, "entities.route[0] is 1.5"},
        {"{\"features\":[\"trips:at\"],\"entities\":{\"route\":[18446744073709551615],\"day\":["
         "\"x\"]}}",
         422, "a whole number of 64 bits"},
        {"{\"features\":[\"trips:at\"],\"entities\":{\"route\":[\" 7\"],\"day\":[\"x\"]}}", 422,
         "whole number"},
        {"{\"features\":[\"trips:at\"],\"entities\":{\"route\":[1],\"day\":[\"x\"]}}", 422,
         "entities.day[0]"},
        {"{\"features\":[\"trips:at\"],\"entities\":{\"route\":[1],\"day\":[[1]]}}", 422,
         "entities.day[0]"},
        {"{\"features\":[\"trips:at\"],\"entities\":{\"route\":[1]}}", 422, "The key \\\"day\\\""},
        {"{\"features\":[\"trips:at\"],\"entities\":{\"route\":[1],\"day\":[\"x\",\"y\"]}}", 422,
         "of one length"},
        {"{\"features\":[\"trips:amount\",\"spending:amount\"],\"entities\":{\"route\":[1]}}", 422,
         "full_feature_names"},
        {"{\"full_feature_names\":1,\"features\":[\"spending:amount\"],\"entities\":{\"customer\":["
         "\"a\"]}}",
         400, "true or false"},
        {"{\"features\":[\"spending:am\\u0000ount\"]}", 400, "SET:FEATURE"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = answer(cases[i].body);
        if (it.status != cases[i].status || strstr(got, cases[i].said) == NULL)
            fail_msg("%s: %u %s", cases[i].body, it.status, got);
        assert_int_equal(strncmp(got, "{\"detail\": \"", 12), 0);
    }
}

/* At each limit, and one past it. */
static unsigned answer_many(uint32_t n_features, uint32_t n_values)
{
    text_buffer body;
    text_init(&body, (size_t)1 << 24);
    text_append_c(&body, "{\"features\":[");
    for (uint32_t i = 0; i < n_features; i++)
        text_format(&body, "%s\"spending:amount\"", i == 0 ? "" : ",");
    text_append_c(&body, "],\"entities\":{\"customer\":[");
    for (uint32_t i = 0; i < n_values; i++)
        text_format(&body, "%s\"ana\"", i == 0 ? "" : ",");
    text_append_c(&body, "]}}");
    answer(body.bytes);
    text_release(&body);
    return it.status;
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(answer_many(1, SERVING_ENTITIES_MAX), 200);
    assert_int_equal(answer_many(1, SERVING_ENTITIES_MAX + 1), 413);
    assert_int_equal(answer_many(SERVING_FEATURES_MAX, 1), 200);
    assert_int_equal(answer_many(SERVING_FEATURES_MAX + 1, 1), 413);
    assert_int_equal(answer_many(65, SERVING_ENTITIES_MAX), 413); /* too many values */
    assert_int_equal(answer_many(64, SERVING_ENTITIES_MAX), 413); /* too long an answer */
    assert_non_null(strstr(it.body.bytes, "The answer would have more than"));
    char *large = malloc(SERVING_BODY_MAX + 2);
    memset(large, ' ', SERVING_BODY_MAX + 1);
    large[SERVING_BODY_MAX + 1] = '\0';
    answer(large);
    assert_int_equal(it.status, 413);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_feast_writes),
        cmocka_unit_test(a_null_of_a_row_is_present),
        cmocka_unit_test(every_type_and_a_joint_key),
        cmocka_unit_test(forms_of_a_key),
        cmocka_unit_test(two_sets_at_once),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
