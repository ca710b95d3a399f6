/* acks_test.c - the loop with a store whose rows are confirmed later: all of them are there at the
 * end, refused ones are dead letters, and an outage is trouble, then over. */
#include <stdio.h>

#include "base/folder_testing.h"
#include "base/log.h"
#include "pipeline/pipeline.h"
#include "writers/cassandra/cql_load.h"
#include "writers/cassandra/cql_testing.h"

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_events(int n)
{
    FILE *file = fopen(path_of("e.jsonl"), "w");
    for (int i = 0; i < n; i++)
        fprintf(file, "{\"id\": %d, \"ts\": \"2024-05-01 12:00:%02d\", \"x\": %d.5}\n", i % 100,
                i / 100 % 60, i);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    (void)state;
    log_configure(LOG_ERROR + 1, LOG_TEXT);
    if (folder_make("acks") != 0)
        return 1;
    fake_begin();
    cql_load_instead(&fake_cql_api);
    return 0;
}

static int tear_down(void **state)
{
    cql_load_instead(NULL);
    fake_end();
    return folder_remove(state);
}

static freshet_pipeline *open_it(freshet_declaration **declaration)
{
    char text[2048];
    freshet_error err = {0};
    freshet_pipeline *pipeline = NULL;
    snprintf(text, sizeof text,
             "version: 1\n"
             "pipeline: p\n"
             "source:\n"
             "  readers:\n"
             "    - id: e\n"
             "      file: {path: \"%s/e.jsonl\", format: json,\n"
             "             schema: {id: bigint, ts: timestamp, x: double}}\n"
             "  query: select * from e\n"
             "feature_set:\n"
             "  name: demo\n"
             "  entity: thing\n"
             "  keys: [{name: id, type: bigint}]\n"
             "  timestamp: {from: ts}\n"
             "  features: [{name: x, type: double}]\n"
             "sink: {writers: [{online: {cassandra: {host: h, keyspace: ks}}}]}\n"
             "dead_letters: {path: \"%s/letters.jsonl\"}\n",
             folder, folder);
    if (freshet_declaration_parse(text, strlen(text), "p.yaml", NULL, NULL, declaration, &err) !=
            FRESHET_OK ||
        freshet_pipeline_open(*declaration, NULL, NULL, NULL, &pipeline, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    return pipeline;
}

static int64_t down_until_us;

static cql_code judge(const cql_value *values, uint32_t n_values, uint32_t in_flight)
{
    (void)n_values;
    (void)in_flight;
    if (fake.now_us < down_until_us)
        return CQL_PASSING;
    return fake_bigint(values[0].bytes) == 13 ? CQL_REFUSED : CQL_OK;
}

static void run_it(freshet_code expected)
{
    freshet_declaration *declaration = NULL;
    freshet_error err = {0};
    freshet_pipeline *pipeline = open_it(&declaration);
    freshet_code code = freshet_run(pipeline, &err);
    if (code != expected)
        fail_msg("code %d: %s", code, err.text);
    assert_int_equal(freshet_ready(pipeline, NULL), expected == FRESHET_OK);
    assert_int_equal(freshet_counter(pipeline, FRESHET_DEAD_LETTERS), expected == FRESHET_OK);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
}

static void all_rows_are_there_at_the_end(void **state)
{
    (void)state;
    char line[1024] = "";
    write_events(1000);
    fake.judge = judge;
    down_until_us = fake.now_us + 4000000; /* less than a batch waits */
    run_it(FRESHET_OK);
    assert_int_equal(fake.n_table, 99);
    for (int64_t key = 0; key < 100; key++) {
        double x;
        const fake_row *row = fake_row_of(key);
        if (key == 13)
            continue;
        int64_t bits = fake_bigint(row->bytes[2]);
        memcpy(&x, &bits, sizeof x);
        assert_true(x == (double)(900 + key) + 0.5); /* the last one */
    }
    FILE *file = fopen(path_of("letters.jsonl"), "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    fclose(file);
    assert_non_null(strstr(line, "the fake says 3"));
    assert_non_null(strstr(line, "{\\\"id\\\":13,"));
}

static void a_batch_gives_up_after_a_while(void **state)
{
    (void)state;
    write_events(1000);
    fake.judge = judge;
    down_until_us = INT64_MAX;
    run_it(FRESHET_TRY_AGAIN);
    assert_int_equal(fake.n_table, 0);
}

/* Twenty rows each three seconds. */
static cql_code judge_slowly(const cql_value *values, uint32_t n_values, uint32_t in_flight)
{
    static int64_t next_us;
    static int left;
    (void)values;
    (void)n_values;
    (void)in_flight;
    if (fake.now_us >= next_us) {
        next_us = fake.now_us + 3000000;
        left = 20;
    }
    return left-- > 0 ? CQL_OK : CQL_PASSING;
}

static void a_batch_does_not_give_up_a_slow_store(void **state)
{
    (void)state;
    freshet_declaration *declaration = NULL;
    freshet_error err = {0};
    const int64_t from_us = fake.now_us;
    write_events(1000);
    fake.judge = judge_slowly;
    freshet_pipeline *pipeline = open_it(&declaration);
    freshet_code code = freshet_run(pipeline, &err);
    if (code != FRESHET_OK)
        fail_msg("code %d: %s", code, err.text);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
    assert_int_equal(fake.n_table, 100);
    assert_true(fake.now_us - from_us > RETRY_GIVE_UP_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_rows_are_there_at_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_batch_gives_up_after_a_while, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_batch_does_not_give_up_a_slow_store, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
