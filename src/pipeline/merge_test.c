/* merge_test.c - how many turns the merge takes: that of rows in the right order is for
 * tests/property/order_test.c and tests/cases/two_streams_order_test.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/text.h"
#include "pipeline/pipeline.h"

#define FILES 4u

static char folder[256];

static int make_folder(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/freshet-merge.XXXXXX", parent ? parent : "/tmp");
    log_configure(LOG_ERROR + 1, LOG_TEXT);
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* A row each `every` seconds, for `span` seconds from one and the same time. */
static uint32_t write_events(uint32_t number, uint32_t every, uint32_t span)
{
    char path[512];
    uint32_t n = 0;
    snprintf(path, sizeof path, "%s/%u.jsonl", folder, number);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (uint32_t second = 0; second < span; second += every, n++)
        fprintf(file, "{\"k\":%u,\"ts\":%u}\n", n % 10, 1714500000 + second);
    assert_int_equal(fclose(file), 0);
    return n;
}

static freshet_declaration *declare(void)
{
    freshet_declaration *declaration = NULL;
    freshet_error err = {0};
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_format(&text,
                "version: 1\npipeline: p\nsource:\n  readers:\n    - {id: e, stream: true, file: "
                "{path: \"%s\", schema: {k: bigint, ts: bigint}}}\n  query: select * from e\n"
                "feature_set:\n  name: fs\n  keys: [{name: k, type: bigint}]\n"
                "  timestamp: {from: ts, lateness: 0 seconds}\n  features:\n    - {name: n, from: "
                "ts, window: {functions: [count], over: [1 hour]}}\n"
                "sink: {writers: [{online: {debug: true}}]}\n",
                folder);
    assert_int_equal(freshet_declaration_parse(text.bytes, text.length, "p.yaml", NULL, NULL,
                                               &declaration, &err),
                     FRESHET_OK);
    text_release(&text);
    return declaration;
}

/* How many micro-batches all rows take; none of them late. */
static int64_t count_batches(int64_t n_rows)
{
    freshet_declaration *declaration = declare();
    freshet_pipeline *pipeline = NULL;
    freshet_error err = {0};
    const freshet_run_options options = {.size = sizeof options, .once = true};
    assert_int_equal(freshet_pipeline_open(declaration, &options, NULL, NULL, &pipeline, &err),
                     FRESHET_OK);
    assert_int_equal(freshet_run(pipeline, &err), FRESHET_OK);
    const int64_t batches = freshet_counter(pipeline, FRESHET_BATCHES);
    assert_int_equal(freshet_counter(pipeline, FRESHET_ROWS_READ), n_rows);
    assert_int_equal(freshet_counter(pipeline, FRESHET_DEAD_LETTERS), 0);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
    return batches;
}

/* 80,000 rows could be taken in five turns: but each lane begins with little. */
static void lanes_side_by_side_fill_their_turns(void **state)
{
    (void)state;
    int64_t n = 0;
    for (uint32_t i = 0; i < FILES; i++)
        n += write_events(i, 1, 20000);
    assert_in_range(count_batches(n), 5, 25);
}

/* One that has a hundred times the rows of the others is not held up by them. */
static void lanes_with_few_rows_hold_nobody_up(void **state)
{
    (void)state;
    int64_t n = write_events(0, 1, 60000);
    for (uint32_t i = 1; i < FILES; i++)
        n += write_events(i, 100, 60000);
    assert_in_range(count_batches(n), 4, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_side_by_side_fill_their_turns),
        cmocka_unit_test(lanes_with_few_rows_hold_nobody_up),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
