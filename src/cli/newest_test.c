/* The span of event time that the live view looks at finds its width; over a real pipeline the
 * cheap form gives what `..._latest` gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/newest.h"

#define SECOND INT64_C(1000000)

/* A table of a row each `step_us` of event time, `n_rows` in all, whose keys come in turn. Asks
 * until the answer is good and the span stays; returns how often. */
static int settle(int64_t step_us, int64_t n_rows, int64_t n_keys, uint32_t wanted,
                  int64_t *span_us)
{
    for (int asked = 1; asked < 100; asked++) {
        int64_t matched = *span_us / step_us + 1;
        matched = matched > n_rows ? n_rows : matched;
        int64_t keys = matched > n_keys ? n_keys : matched;
        uint32_t found = keys > NEWEST_ROWS_MAX ? NEWEST_ROWS_MAX : (uint32_t)keys;
        bool good = false;
        int64_t before_us = *span_us;
        *span_us = newest_next_span(*span_us, found, wanted, matched, n_rows, &good);
        if (good && *span_us == before_us) {
            assert_true(found >= wanted || matched == n_rows);
            return asked;
        }
    }
    fail_msg("the span does not settle");
    return 0;
}

static void test_good_at_once(void **state)
{
    (void)state;
    int64_t span_us = NEWEST_SPAN_US;
    assert_int_equal(settle(SECOND, 1000000, 1000000, 40, &span_us), 1);
    assert_int_equal(span_us, NEWEST_SPAN_US);
}

static void test_widens(void **state)
{
    (void)state;
    int64_t span_us = NEWEST_SPAN_US;
    assert_true(settle(3600 * SECOND, 1000000, 1000000, 40, &span_us) <= 5);
}

static void test_narrows(void **state)
{
    (void)state;
    int64_t span_us = NEWEST_SPAN_US;
    assert_true(settle(1, 100000000, 1000000, 40, &span_us) <= 15);
    assert_true(span_us <= NEWEST_SPAN_ROWS);
}

/* Fewer keys than there is room for: all of the table is looked at, and that is good. */
static void test_few_keys(void **state)
{
    (void)state;
    int64_t span_us = NEWEST_SPAN_US;
    assert_true(settle(3600 * SECOND, 1000000, 30, 40, &span_us) < 20);
}

static void test_no_end(void **state)
{
    (void)state;
    bool good = true;
    int64_t span_us = 1;
    for (int i = 0; i < 40; i++)
        span_us = newest_next_span(span_us, 1, 40, 1, 1000000, &good);
    assert_int_equal(span_us, NEWEST_SPAN_MAX_US);
    assert_true(good);
}

/* ---- over a pipeline ---- */

#define EVENTS 3000
#define KEYS 150

static char file[] = "/tmp/freshet-newest.XXXXXX";

/* Events a minute apart, with KEYS keys in turn, two columns of which one is null now and then. */
static void write_events(void)
{
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    FILE *out = fdopen(fd, "w");
    assert_non_null(out);
    for (int i = 0; i < EVENTS; i++)
        fprintf(out, "{\"k\":\"key %d\",\"seen\":\"2024-01-%02dT%02d:%02d:00Z\",\"v\":%s%d}\n",
                i % KEYS, 1 + i / 1440, i / 60 % 24, i % 60, i % 7 == 0 ? "null,\"n\":" : "", i);
    assert_int_equal(fclose(out), 0);
}

static freshet_declaration *declare(void)
{
    freshet_declaration *declaration = NULL;
    assert_int_equal(freshet_declaration_new("newest", &declaration, NULL), FRESHET_OK);
    freshet_block *reader = freshet_block_in(freshet_add_reader(declaration, "events"), "file");
    freshet_set(reader, "path", file);
    freshet_set(reader, "format", "json");
    freshet_block *schema = freshet_block_in(reader, "schema");
    freshet_set(schema, "k", "string");
    freshet_set(schema, "seen", "timestamp");
    freshet_set(schema, "v", "double");
    freshet_set_query(declaration, "select k as \"the key\", seen, v from events");
    freshet_set_feature_set(declaration, "newest", "key");
    freshet_set(freshet_add_key(declaration, "k", "string"), "from", "the key");
    freshet_set_timestamp(declaration, "seen");
    freshet_add_feature(declaration, "v", "double", NULL);
    freshet_set(freshet_block_in(freshet_add_writer(declaration), "online"), "debug", "true");
    freshet_error err = {0};
    if (freshet_declaration_finish(declaration, NULL, NULL, &err) != FRESHET_OK)
        fail_msg("%s: %s", err.at, err.text);
    return declaration;
}

static void assert_newest(const view_table *table)
{
    assert_int_equal(table->n_rows, KEYS);
    assert_int_equal(table->n_columns, 3);
    assert_string_equal(table->names[0], "k");
    assert_true(table->numeric[2] && !table->numeric[1]);
    for (int i = 0; i < KEYS; i++) {
        int event = EVENTS - 1 - i;
        char key[32];
        char value[32];
        snprintf(key, sizeof key, "key %d", event % KEYS);
        snprintf(value, sizeof value, "%d.0", event);
        assert_string_equal(table->cells[3 * i], key);
        if (event % 7 == 0)
            assert_null(table->cells[3 * i + 2]);
        else
            assert_string_equal(table->cells[3 * i + 2], value);
    }
    assert_string_equal(table->cells[1], "2024-01-03 01:59:00");
}

static void test_both_forms(void **state)
{
    (void)state;
    write_events();
    freshet_declaration *declaration = declare();
    freshet_pipeline *pipeline = NULL;
    freshet_error err = {0};
    if (freshet_pipeline_open(declaration, NULL, NULL, NULL, &pipeline, &err) != FRESHET_OK ||
        freshet_run(pipeline, &err) != FRESHET_OK)
        fail_msg("%s: %s", err.at, err.text);
    counts now;
    counts_take(pipeline, &now);

    newest *whole = NULL;
    assert_int_equal(newest_open(pipeline, "newest", INT64_MAX, 0, &whole, NULL), FRESHET_OK);
    assert_true(newest_ask(whole, &now, 100));
    assert_newest(newest_table(whole));
    newest_close(whole);

    newest *span = NULL;
    assert_int_equal(newest_open(pipeline, "newest", -1, 0, &span, NULL), FRESHET_OK);
    /* the first span, a minute, holds 2 rows; wider ones hold 17, and all */
    assert_true(newest_ask(span, &now, 2));
    assert_int_equal(newest_table(span)->n_rows, 2);
    assert_false(newest_ask(span, &now, 100));
    assert_int_equal(newest_table(span)->n_rows, 2);
    assert_false(newest_ask(span, &now, 100));
    assert_true(newest_ask(span, &now, 100));
    assert_newest(newest_table(span));
    newest_close(span);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
    unlink(file);
}

/* Columns that windows make, and what is made of them, come behind keys and timestamp. */
static void test_windows_first(void **state)
{
    (void)state;
    freshet_declaration *declaration = NULL;
    assert_int_equal(freshet_declaration_new("newest", &declaration, NULL), FRESHET_OK);
    freshet_block *reader = freshet_block_in(freshet_add_reader(declaration, "events"), "file");
    freshet_set(reader, "path", "/tmp/freshet-newest-*.none");
    freshet_set(reader, "format", "json");
    freshet_block *schema = freshet_block_in(reader, "schema");
    freshet_set(schema, "k", "string");
    freshet_set(schema, "seen", "timestamp");
    freshet_set(schema, "v", "double");
    freshet_set_query(declaration, "select k, seen, v from events");
    freshet_set_feature_set(declaration, "newest", "key");
    freshet_add_key(declaration, "k", "string");
    freshet_set_timestamp(declaration, "seen");
    freshet_add_feature(declaration, "v", "double", NULL);
    freshet_add_sql_feature(declaration, "double_v", "double", "v * 2");
    freshet_block *feature = freshet_add_feature(declaration, "w", NULL, NULL);
    freshet_set(feature, "from", "v");
    freshet_set(freshet_block_in(feature, "window"), "functions", "sum");
    freshet_set(freshet_block_in(feature, "window"), "over", "2 hours");
    freshet_set(freshet_block_in(freshet_add_writer(declaration), "online"), "debug", "true");
    freshet_error err = {0};
    freshet_pipeline *pipeline = NULL;
    newest *newest = NULL;
    if (freshet_declaration_finish(declaration, NULL, NULL, &err) != FRESHET_OK ||
        freshet_pipeline_open(declaration, NULL, NULL, NULL, &pipeline, &err) != FRESHET_OK ||
        newest_open(pipeline, "newest", INT64_MAX, 0, &newest, &err) != FRESHET_OK)
        fail_msg("%s: %s", err.at, err.text);
    static const char *const expected[] = {"k", "timestamp", "w__sum_over_2_hours_fixed_windows",
                                           "v", "double_v"};
    const view_table *table = newest_table(newest);
    assert_int_equal(table->n_columns, 5);
    for (int i = 0; i < 5; i++)
        assert_string_equal(table->names[i], expected[i]);
    newest_close(newest);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_at_once),  cmocka_unit_test(test_widens),
        cmocka_unit_test(test_narrows),       cmocka_unit_test(test_few_keys),
        cmocka_unit_test(test_no_end),        cmocka_unit_test(test_both_forms),
        cmocka_unit_test(test_windows_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
