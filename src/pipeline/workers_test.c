/* workers_test.c - a pipeline gives the same rows, in the same micro-batches, and the same dead
 * letters with any number of workers, and goes on from a state that another number has written:
 * reading, seen events, windows with late rows, checkpoints. */
/* tsan */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/folder_testing.h"
#include "base/log.h"
#include "pipeline/pipeline.h"

#define EVENTS 12000u
#define STEP_ROWS 3000u /* done by tasks, and so are rows that events have left */

static int make_folder(void **state)
{
    (void)state;
    log_configure(LOG_ERROR + 1, LOG_TEXT);
    unsetenv("FRESHET_WORKERS");
    return folder_make("workers");
}

#define YAML                                                                        \
    "version: 1\n"                                                                  \
    "pipeline: test\n"                                                              \
    "source:\n"                                                                     \
    "  readers:\n"                                                                  \
    "    - id: events\n"                                                            \
    "      %s"                                                                      \
    "file: {path: '%s/events.jsonl', format: json,\n"                               \
    "             schema: {id: bigint, event: string, at: timestamp, x: double}}\n" \
    "  query: select * from events\n"                                               \
    "feature_set:\n"                                                                \
    "  name: fs\n"                                                                  \
    "  entity: thing\n"                                                             \
    "%s"                                                                            \
    "dead_letters: {path: '%s/letters.jsonl'}\n"                                    \
    "sink: {writers: [{online: {debug: true}}]}\n"

#define WINDOWS                                                                                    \
    "  keys: [{name: id, type: bigint}]\n"                                                         \
    "  timestamp: {from: at, lateness: 5 seconds}\n"                                               \
    "  deduplicate: {on: [event], within: 1 minute}\n"                                             \
    "  features:\n"                                                                                \
    "    - {name: event, type: string}\n"                                                          \
    "    - {name: f, from: x, window: {functions: [avg, count, max], over: [10 seconds, 1 hour]}}" \
    "\n"

/* A key for each event, nearly: the second run has those of the first in the store, and brings them
 * when their windows end. */
#define ROLLING                                                                     \
    "  keys: [{name: event, type: string}]\n"                                       \
    "  timestamp: {from: at, lateness: 5 seconds}\n"                                \
    "  aggregated: {windows: {over: [5 minutes, 20 minutes], slide: 5 minutes}}\n"  \
    "  features: [{name: f, from: x, aggregate: {functions: [avg, count, max]}}]\n" \
    "state: {memory: 1 MiB}\n"

/* Thousands of keys lose their events with each micro-batch. */
#define EXPIRING                                                                   \
    "  keys: [{name: event, type: string}]\n"                                      \
    "  timestamp: {from: at, lateness: 5 seconds}\n"                               \
    "  refresh: on_expiry\n"                                                       \
    "  features: [{name: f, from: x, window: {functions: [avg, count], over: [10 " \
    "seconds]}}]\n"

/* Rows [first, end): 97 keys, times out of order, some events twice, some rows too late, some
 * broken. */
static void put_events(const char *mode, uint32_t first, uint32_t end)
{
    char path[512];
    snprintf(path, sizeof path, "%s/events.jsonl", folder);
    FILE *file = fopen(path, mode);
    assert_non_null(file);
    for (uint32_t i = first; i < end; i++) {
        const uint32_t late = i * i * 31 % 60 + (i % 700 == 699 ? 500 : 0);
        const uint32_t tenths = i + 1000 - late;
        fprintf(
            file,
            "{\"id\":%u,\"event\":\"number %u\",\"at\":\"2024-05-01T10:%02u:%02u.%uZ\",\"x\":%u}"
            "%s\n",
            i * 7919 % 97, i - (i % 50 == 49 ? 30 : 0), tenths / 600 % 60, tenths / 10 % 60,
            tenths % 10, i * 31 % 101, i % 900 == 17 ? "}" : "");
    }
    assert_int_equal(fclose(file), 0);
}

static bool collect(void *context, const char *bytes, size_t length)
{
    char *text = context;
    strncat(text, bytes, length);
    return true;
}

static void put_file(const char *name, char *into, size_t size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    into[fread(into, 1, size - 1, file)] = '\0';
    fclose(file);
}

#define QUERY "select count(*) as n, bit_xor(hash(t)) as hash from online_feature_store__fs"

/* One run to the end of what is there: what the table has then. */
static void run_once(const char *features, bool stream, uint32_t workers, char *into)
{
    char text[4096], state[300];
    freshet_declaration *declaration = NULL;
    freshet_pipeline *pipeline = NULL;
    freshet_result *result = NULL;
    freshet_error err = {0};
    snprintf(text, sizeof text, YAML, stream ? "stream: true\n      " : "", folder, features,
             folder);
    snprintf(state, sizeof state, "%s/state", folder);
    const freshet_run_options options = {.size = sizeof options,
                                         .once = true,
                                         .state = stream ? state : NULL,
                                         .workers = workers,
                                         .step_rows = STEP_ROWS,
                                         .checkpoint = stream ? 0 : -1};
    if (freshet_declaration_parse(text, strlen(text), "t.yaml", NULL, NULL, &declaration, &err) ||
        freshet_pipeline_open(declaration, &options, NULL, NULL, &pipeline, &err) ||
        freshet_run(pipeline, &err) ||
        freshet_query(pipeline, strcmp(features, EXPIRING) == 0 ? QUERY "_latest t" : QUERY " t",
                      NULL, &result, &err))
        fail_msg("%s: %s", err.at, err.text);
    assert_int_equal(freshet_result_print(result, FRESHET_JSON, collect, into, &err), FRESHET_OK);
    freshet_result_close(result);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
}

static char letters[1u << 20];

/* Two thirds of the events by one number of workers, the rest by another. */
static void run_both(const char *features, bool stream, uint32_t first, uint32_t then, char *into)
{
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s/state' '%s/letters.jsonl'", folder, folder);
    assert_int_equal(system(command), 0);
    into[0] = '\0';
    put_events("w", 0, EVENTS / 3 * 2);
    run_once(features, stream, first, into);
    put_events("a", EVENTS / 3 * 2, EVENTS);
    run_once(features, stream, then, into);
    put_file("letters.jsonl", letters, sizeof letters);
}

/* Letters without what is of their run. */
static void forget_runs(char *text)
{
    static const char *const members[] = {"{\"at\":\"", "\"run\":\""};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        for (char *at = text; (at = strstr(at, members[i])) != NULL;)
            for (at += strlen(members[i]); *at != '"' && *at != '\0'; at++)
                *at = '-';
}

static void any_number_gives_the_same(void **state)
{
    static const uint32_t numbers[][2] = {{4, 4}, {5, 2}, {1, 4}};
    static char letters_of_one[sizeof letters];
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        char one[512], other[512];
        run_both(WINDOWS, stream, 1, 1, one);
        forget_runs(letters);
        memcpy(letters_of_one, letters, sizeof letters);
        assert_non_null(strstr(letters, "\"reason\""));
        if (stream)
            assert_non_null(strstr(letters, "late"));
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            run_both(WINDOWS, stream, numbers[i][0], numbers[i][1], other);
            assert_string_equal(other, one);
            forget_runs(letters);
            assert_string_equal(letters, letters_of_one);
        }
    }
}

static void rows_without_an_input_are_the_same(void **state)
{
    static const char *const sets[] = {ROLLING, EXPIRING};
    char one[512], other[512];
    (void)state;
    for (int i = 0; i < 2; i++) {
        run_both(sets[i], true, 1, 1, one);
        assert_null(strstr(one, "\"n\":0,"));
        run_both(sets[i], true, 4, 4, other);
        assert_string_equal(other, one);
        run_both(sets[i], true, 1, 5, other);
        assert_string_equal(other, one);
    }
}

static void what_is_no_number(void **state)
{
    freshet_declaration *declaration = NULL;
    freshet_pipeline *pipeline = NULL;
    freshet_error err = {0};
    char text[4096];
    (void)state;
    snprintf(text, sizeof text, YAML, "", folder, WINDOWS, folder);
    assert_int_equal(
        freshet_declaration_parse(text, strlen(text), "t.yaml", NULL, NULL, &declaration, &err),
        FRESHET_OK);
    const freshet_run_options options = {.size = sizeof options, .workers = 65};
    assert_int_equal(freshet_pipeline_open(declaration, &options, NULL, NULL, &pipeline, &err),
                     FRESHET_USAGE);
    assert_non_null(strstr(err.text, "64 workers at most, and 65 are wanted"));
    freshet_declaration_close(declaration);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_gives_the_same),
        cmocka_unit_test(rows_without_an_input_are_the_same),
        cmocka_unit_test(what_is_no_number),
    };
    return cmocka_run_group_tests(tests, make_folder, folder_remove);
}
