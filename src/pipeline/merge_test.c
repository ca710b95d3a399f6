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

#include "base/folder_testing.h"
#include "base/log.h"
#include "base/random_testing.h"
#include "base/text.h"
#include "pipeline/pipeline.h"

#define FILES 4u

static int make_folder(void **state)
{
    (void)state;
    log_configure(LOG_ERROR + 1, LOG_TEXT);
    return folder_make("merge");
}

/* Rows that wait for each other are held without the column that nobody reads.
 *
 * A row each second, in a file drawn by chance: in the first one `often` times out of a hundred. */
static void write_events(uint32_t n_rows, uint32_t often)
{
    FILE *files[FILES];
    char path[512];
    random_state = 1;
    for (uint32_t i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s/%u.jsonl", folder, i);
        files[i] = fopen(path, "w");
        assert_non_null(files[i]);
    }
    for (uint32_t row = 0; row < n_rows; row++) {
        const bool is_first = random_below(100) < often;
        fprintf(files[is_first ? 0 : 1 + random_below(FILES - 1)],
                "{\"k\":%u,\"ts\":%u,\"unread\":{\"a\":\"a text that is longer than a "
                "cell\",\"b\":[%u]}}\n",
                row % 10, 1714500000 + row, row);
    }
    for (uint32_t i = 0; i < FILES; i++)
        assert_int_equal(fclose(files[i]), 0);
}

static freshet_declaration *declare(void)
{
    freshet_declaration *declaration = NULL;
    freshet_error err = {0};
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_format(&text,
                "version: 1\npipeline: p\nsource:\n  readers:\n    - {id: e, stream: true, file: "
                "{path: \"%s\", schema: {unread: 'struct<a: string, b: array<bigint>>', k: bigint, "
                "ts: bigint}}}\n  query: select k, ts from e\n"
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
    write_events(80000, 25);
    assert_in_range(count_batches(80000), 5, 20);
}

/* One that has most of the rows is not held up by the others. */
static void lanes_with_few_rows_hold_nobody_up(void **state)
{
    (void)state;
    write_events(80000, 97);
    assert_in_range(count_batches(80000), 5, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_side_by_side_fill_their_turns),
        cmocka_unit_test(lanes_with_few_rows_hold_nobody_up),
    };
    return cmocka_run_group_tests(tests, make_folder, folder_remove);
}
