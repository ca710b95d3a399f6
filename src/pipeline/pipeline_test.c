/* tsan */
/* pipeline_test.c - the loop turned by hand over real files: batch and stream, both builders of
 * declarations, retries that lose and double nothing, static readers that change, stopping. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/folder_testing.h"
#include "base/log.h"
#include "base/os.h"
#include "base/patience_testing.h"
#include "pipeline/pipeline.h"

static int make_folder(void **state)
{
    (void)state;
    log_configure(LOG_ERROR + 1, LOG_TEXT);
    return folder_make("pipeline");
}

static int remove_folder(void **state)
{
    os_restore();
    return folder_remove(state);
}

static void write_file(const char *name, const char *mode, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, mode);
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static bool collect(void *context, const char *bytes, size_t length)
{
    char *text = context;
    strncat(text, bytes, length);
    return true;
}

/* The answer to a query, as JSON lines. */
static const char *ask(freshet_pipeline *pipeline, const char *sql)
{
    static char text[16384];
    freshet_result *result = NULL;
    freshet_error err = {0};
    text[0] = '\0';
    if (freshet_query(pipeline, sql, NULL, &result, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    assert_int_equal(freshet_result_print(result, FRESHET_JSON, collect, text, &err), FRESHET_OK);
    freshet_result_close(result);
    return text;
}

#define STREAM_YAML                                                                            \
    "version: 1\n"                                                                             \
    "pipeline: test\n"                                                                         \
    "source:\n"                                                                                \
    "  readers:\n"                                                                             \
    "    - id: events\n"                                                                       \
    "      stream: %s\n"                                                                       \
    "      file: {path: '%s/events.jsonl', format: json,\n"                                    \
    "             schema: {id: bigint, at: timestamp, x: double, country: string}}\n"          \
    "    - id: countries\n"                                                                    \
    "      file: {path: '%s/countries.csv', schema: {code: string, label: string}}\n"          \
    "  query: select e.*, c.label from events e left join countries c on c.code = e.country\n" \
    "feature_set:\n"                                                                           \
    "  name: fs\n"                                                                             \
    "  entity: thing\n"                                                                        \
    "  keys: [{name: id, type: bigint}]\n"                                                     \
    "  timestamp: {from: at}\n"                                                                \
    "  features:\n"                                                                            \
    "    - {name: x, type: double}\n"                                                          \
    "    - {name: label, type: string}\n"                                                      \
    "    - {name: big, type: boolean, sql: x > 10}\n"                                          \
    "dead_letters: {path: '%s/letters.jsonl'}\n"                                               \
    "sink:\n"                                                                                  \
    "  writers:\n"                                                                             \
    "    - online: {debug: true}\n"

static freshet_declaration *declare(const char *stream)
{
    char text[4096];
    freshet_declaration *declaration = NULL;
    freshet_error err = {0};
    snprintf(text, sizeof text, STREAM_YAML, stream, folder, folder, folder);
    if (freshet_declaration_parse(text, strlen(text), "test.yaml", NULL, NULL, &declaration, &err))
        fail_msg("%s: %s", err.at, err.text);
    return declaration;
}

static freshet_pipeline *open_pipeline(const freshet_declaration *declaration,
                                       const freshet_run_options *options)
{
    freshet_pipeline *pipeline = NULL;
    freshet_error err = {0};
    if (freshet_pipeline_open(declaration, options, NULL, NULL, &pipeline, &err) != FRESHET_OK)
        fail_msg("%s: %s", err.at, err.text);
    return pipeline;
}

static void fresh_files(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/letters.jsonl", folder);
    unlink(path);
    write_file("countries.csv", "w", "code,label\nBR,Brazil\nUS,United States\n");
    write_file("events.jsonl", "w",
               "{\"id\":1,\"at\":\"2024-05-01T10:00:00Z\",\"x\":5,\"country\":\"BR\"}\n"
               "{\"id\":2,\"at\":\"2024-05-01T10:00:01Z\",\"x\":50,\"country\":\"XX\"}\n");
}

/* ---- two readers, several writers ------------------------------------------------------------ */

#define TWO_READERS                                                                         \
    "version: 1\n"                                                                          \
    "pipeline: test\n"                                                                      \
    "source:\n"                                                                             \
    "  readers:\n"                                                                          \
    "    - id: a\n"                                                                         \
    "      stream: true\n"                                                                  \
    "      file: {path: '%s/a.jsonl', format: json, schema: {id: bigint, at: timestamp}}\n" \
    "    - id: b\n"                                                                         \
    "      stream: true\n"                                                                  \
    "      file: {path: '%s/b.jsonl', format: json, schema: {id: bigint, at: timestamp}}\n" \
    "  query: select * from a union all select * from b\n"                                  \
    "feature_set:\n"                                                                        \
    "  name: fs\n"                                                                          \
    "  entity: thing\n"                                                                     \
    "  keys: [{name: id, type: bigint}]\n"                                                  \
    "  timestamp: {from: at}\n"                                                             \
    "  features:\n"                                                                         \
    "    - {name: n, from: id, type: bigint,\n"                                             \
    "       window: {functions: [count], over: [1 day], mode: fixed_windows}}\n"            \
    "dead_letters: {path: '%s/letters.jsonl'}\n"                                            \
    "sink: {writers: [{online: {debug: true}}]}\n"

static freshet_pipeline *open_two_readers(freshet_declaration **declaration)
{
    char text[4096];
    freshet_error err = {0};
    snprintf(text, sizeof text, TWO_READERS, folder, folder, folder);
    if (freshet_declaration_parse(text, strlen(text), "test.yaml", NULL, NULL, declaration, &err))
        fail_msg("%s: %s", err.at, err.text);
    return open_pipeline(*declaration, NULL);
}

static reader_ops faulty_ops; /* those of a reader, but for poll */
static freshet_code (*real_poll)(freshet_reader *reader, batch *into, uint32_t max_rows,
                                 size_t max_bytes, rejects *rejects, bool *more,
                                 freshet_error *err);
static int n_faults;

static freshet_code faulty_poll(freshet_reader *reader, batch *into, uint32_t max_rows,
                                size_t max_bytes, rejects *rejects, bool *more, freshet_error *err)
{
    if (n_faults-- > 0)
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL, "the broker is away");
    return real_poll(reader, into, max_rows, max_bytes, rejects, more, err);
}

static void expect_after_steps(freshet_pipeline *pipeline, int steps, int64_t rows, int64_t letters)
{
    for (int i = 0; i < steps; i++)
        freshet_step(pipeline, os.monotonic_us(), NULL);
    assert_int_equal(freshet_counter(pipeline, FRESHET_ROWS_WRITTEN), rows);
    assert_int_equal(freshet_counter(pipeline, FRESHET_DEAD_LETTERS), letters);
}

/* What one reader gave goes on, be it rows or refused records alone, where the other fails in the
 * same step. */
static void rows_of_one_reader_outlive_the_failure_of_another(void **state)
{
    freshet_declaration *declaration = NULL;
    (void)state;
    write_file("a.jsonl", "w", "{\"id\":1,\"at\":\"2024-05-01T10:00:00Z\"}\n");
    write_file("b.jsonl", "w", "{\"id\":2,\"at\":\"2024-05-01T10:00:00Z\"}\n");
    freshet_pipeline *pipeline = open_two_readers(&declaration);
    freshet_reader *b = pipeline->readers[1].reader;
    faulty_ops = *b->ops;
    real_poll = b->ops->poll;
    faulty_ops.poll = faulty_poll;
    b->ops = &faulty_ops;
    n_faults = 1000;
    expect_after_steps(pipeline, 3, 1, 0);
    freshet_pipeline_close(pipeline);
    write_file("a.jsonl", "w", "{no json\n"); /* nothing but what is refused */
    pipeline = open_pipeline(declaration, NULL);
    b = pipeline->readers[1].reader;
    b->ops = &faulty_ops;
    expect_after_steps(pipeline, 3, 0, 1);
    n_faults = 0;
    expect_after_steps(pipeline, 3, 1, 1);
    assert_string_equal(ask(pipeline, "select id from online_feature_store__fs"), "{\"id\":2}\n");
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
}

/* A writer that remembers what it was given. */
typedef struct taker {
    freshet_writer base;
    writer_ops ops;
    const void *cells; /* of the last rows */
    uint32_t n_rows, n_calls;
} taker;

static freshet_code taker_write(freshet_writer *base, const batch *rows, freshet_error *err)
{
    taker *taker = (struct taker *)base;
    (void)err;
    taker->cells = rows->columns[0].data;
    taker->n_rows += rows->n_rows;
    taker->n_calls++;
    for (uint32_t i = 0; rows->row_kinds != NULL && i < rows->n_rows; i++)
        assert_true((rows->row_kinds[i] & taker->ops.takes) != 0);
    return FRESHET_OK;
}

static freshet_code taker_flush(freshet_writer *base, freshet_error *err)
{
    (void)base;
    (void)err;
    return FRESHET_OK;
}

static void taker_close(freshet_writer *base)
{
    (void)base;
}

/* Each writer gets the rows that it takes, selected once for all that take the same; no call
 * without rows. */
static void a_writer_gets_what_it_takes(void **state)
{
    static const unsigned takes[] = {ROW_NEW, ROW_ONLINE, ROW_NEW, ROW_CORRECTION};
    freshet_declaration *declaration = NULL;
    static const char *const names[] = {"online 2", "online 3", "online 4", "online 5"};
    taker takers[4] = {{.n_calls = 0}};
    (void)state;
    write_file("b.jsonl", "w", "");
    write_file("a.jsonl", "w", /* the last one is late, and changes the one before it */
               "{\"id\":1,\"at\":\"2024-05-01T10:00:00Z\"}\n"
               "{\"id\":1,\"at\":\"2024-05-01T12:00:00Z\"}\n"
               "{\"id\":1,\"at\":\"2024-05-01T11:00:00Z\"}\n");
    freshet_pipeline *pipeline = open_two_readers(&declaration);
    for (uint32_t i = 0; i < 4; i++) {
        takers[i].ops = (writer_ops){.name = "taker",
                                     .block = pipeline->writers[0]->ops->block,
                                     .takes = takes[i],
                                     .write = taker_write,
                                     .flush = taker_flush,
                                     .close = taker_close};
        takers[i].base.ops = &takers[i].ops;
        takers[i].base.name = names[i];
        pipeline->writers[pipeline->n_writers++] = &takers[i].base;
    }
    freshet_step(pipeline, os.monotonic_us(), NULL);
    assert_int_equal(freshet_counter(pipeline, FRESHET_ROWS_WRITTEN), 4); /* one is a correction */
    assert_int_equal(freshet_counter(pipeline, FRESHET_ROWS_AGAIN), 1);
    assert_int_equal(freshet_counter(pipeline, FRESHET_ROWS_REFUSED), 0);
    assert_int_equal(freshet_writer_counter(pipeline, 1, FRESHET_ROWS_WRITTEN), 3);
    assert_int_equal(freshet_writer_counter(pipeline, 1, FRESHET_ROWS_AGAIN), 0);
    assert_int_equal(freshet_writer_counter(pipeline, 4, FRESHET_ROWS_WRITTEN), 1);
    assert_int_equal(freshet_writer_counter(pipeline, 4, FRESHET_ROWS_AGAIN), 1);
    assert_int_equal(freshet_writer_counter(pipeline, 1, FRESHET_ROWS_READ), 0);
    assert_int_equal(freshet_writer_counter(pipeline, 5, FRESHET_ROWS_WRITTEN), 0);
    assert_string_equal(freshet_writer_name(pipeline, 4), "online 5");
    assert_null(freshet_writer_name(pipeline, 5));
    assert_int_equal(takers[0].n_rows, 3);
    assert_int_equal(takers[1].n_rows, 3);
    assert_ptr_equal(takers[0].cells, takers[2].cells);
    assert_ptr_not_equal(takers[0].cells, takers[1].cells);
    assert_int_equal(takers[3].n_rows, 1);
    write_file("a.jsonl", "a", "{\"id\":2,\"at\":\"2024-05-01T13:00:00Z\"}\n");
    for (int i = 0; i < 100 && takers[0].n_rows < 4; i++)
        freshet_step(pipeline, os.monotonic_us() + 20000, NULL);
    assert_int_equal(takers[0].n_rows, 4);
    assert_int_equal(takers[1].n_rows, 4);
    assert_int_equal(takers[3].n_calls, 1);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
}

static bool taker_fails;

static freshet_code failing_write(freshet_writer *base, const batch *rows, freshet_error *err)
{
    return taker_fails ? error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL, "the disk is full")
                       : taker_write(base, rows, err);
}

/* Written are the rows that a writer took: not those that none takes, nor those of a write that
 * failed. */
static void what_no_writer_took_is_not_written(void **state)
{
    freshet_declaration *declaration = NULL;
    taker taker = {.ops = {.name = "taker",
                           .takes = ROW_CORRECTION,
                           .write = failing_write,
                           .flush = taker_flush,
                           .close = taker_close}};
    (void)state;
    write_file("b.jsonl", "w", "");
    write_file("a.jsonl", "w",
               "{\"id\":1,\"at\":\"2024-05-01T10:00:00Z\"}\n"
               "{\"id\":1,\"at\":\"2024-05-01T12:00:00Z\"}\n"
               "{\"id\":1,\"at\":\"2024-05-01T11:00:00Z\"}\n");
    freshet_pipeline *pipeline = open_two_readers(&declaration);
    freshet_writer *table = pipeline->writers[0];
    taker.base.ops = &taker.ops;
    pipeline->writers[0] = &taker.base;
    taker_fails = true;
    assert_int_equal(freshet_step(pipeline, os.monotonic_us(), NULL), FRESHET_TRY_AGAIN);
    assert_int_equal(freshet_counter(pipeline, FRESHET_ROWS_WRITTEN), 0);
    taker_fails = false;
    assert_int_equal(pipeline_step(pipeline, os.monotonic_us(), NULL), FRESHET_OK);
    assert_int_equal(freshet_counter(pipeline, FRESHET_ROWS_WRITTEN), 0); /* before the flush */
    assert_int_equal(freshet_step(pipeline, os.monotonic_us(), NULL), FRESHET_OK);
    assert_int_equal(freshet_counter(pipeline, FRESHET_ROWS_WRITTEN), 1);
    assert_int_equal(taker.n_rows, 1);
    pipeline->writers[0] = table;
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
}

static const char two_rows[] =
    "{\"id\":1,\"timestamp\":\"2024-05-01T10:00:00.000000Z\",\"x\":5.0,\"label\":\"Brazil\","
    "\"big\":false}\n"
    "{\"id\":2,\"timestamp\":\"2024-05-01T10:00:01.000000Z\",\"x\":50.0,\"label\":null,\"big\":"
    "true}\n";

#define ALL_ROWS "select * from online_feature_store__fs order by id"

static void a_batch_ends_with_all_rows(void **state)
{
    (void)state;
    fresh_files();
    freshet_error err = {0};
    freshet_declaration *declaration = declare("false");
    freshet_pipeline *pipeline = open_pipeline(declaration, NULL);
    assert_int_equal(freshet_run(pipeline, &err), FRESHET_OK);
    assert_string_equal(ask(pipeline, ALL_ROWS), two_rows);
    assert_int_equal(freshet_counter(pipeline, FRESHET_ROWS_WRITTEN), 2);
    assert_int_equal(freshet_counter(pipeline, FRESHET_DEAD_LETTERS), 0);
    assert_int_equal(freshet_counter(pipeline, FRESHET_NEWEST_EVENT_US), INT64_C(1714557601000000));
    assert_string_equal(freshet_output_name(pipeline, 1), "timestamp");
    assert_string_equal(freshet_output_type(pipeline, 2), "double");
    assert_null(freshet_output_name(pipeline, 5));
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
}

/* One path of the file's options per call, as a C user would write it. */
static freshet_declaration *build(void)
{
    char path[512];
    freshet_declaration *declaration = NULL;
    freshet_error err = {0};
    assert_int_equal(freshet_declaration_new("test", &declaration, &err), FRESHET_OK);
    freshet_block *events = freshet_add_reader(declaration, "events");
    freshet_set(events, "stream", "true");
    freshet_block *file = freshet_block_in(events, "file");
    snprintf(path, sizeof path, "%s/events.jsonl", folder);
    freshet_set(file, "path", path);
    freshet_set(file, "format", "json");
    freshet_block *fields = freshet_block_in(file, "schema");
    freshet_set(fields, "id", "bigint");
    freshet_set(fields, "at", "timestamp");
    freshet_set(fields, "x", "double");
    freshet_set(fields, "country", "string");
    file = freshet_block_in(freshet_add_reader(declaration, "countries"), "file");
    snprintf(path, sizeof path, "%s/countries.csv", folder);
    freshet_set(file, "path", path);
    fields = freshet_block_in(file, "schema");
    freshet_set(fields, "code", "string");
    freshet_set(fields, "label", "string");
    freshet_set_query(declaration, "select e.*, c.label from events e "
                                   "left join countries c on c.code = e.country");
    freshet_set_feature_set(declaration, "fs", "thing");
    freshet_add_key(declaration, "id", "bigint");
    freshet_set_timestamp(declaration, "at");
    freshet_add_feature(declaration, "x", "double", NULL);
    freshet_add_feature(declaration, "label", "string", NULL);
    freshet_add_sql_feature(declaration, "big", "boolean", "x > 10");
    snprintf(path, sizeof path, "%s/letters.jsonl", folder);
    freshet_set(freshet_block_in(freshet_declaration_root(declaration), "dead_letters"), "path",
                path);
    freshet_set(freshet_block_in(freshet_add_writer(declaration), "online"), "debug", "true");
    if (freshet_declaration_finish(declaration, NULL, NULL, &err) != FRESHET_OK)
        fail_msg("%s: %s", err.at, err.text);
    return declaration;
}

static void yaml_and_calls_give_the_same_pipeline(void **state)
{
    (void)state;
    fresh_files();
    char from_yaml[8192] = "", from_calls[8192] = "";
    freshet_error err = {0};
    freshet_declaration *yaml = declare("true"), *calls = build();
    assert_int_equal(freshet_declaration_show(yaml, collect, from_yaml, &err), FRESHET_OK);
    assert_int_equal(freshet_declaration_show(calls, collect, from_calls, &err), FRESHET_OK);
    assert_string_equal(from_calls, from_yaml);

    const freshet_run_options options = {.size = sizeof options, .once = true};
    freshet_pipeline *pipeline = open_pipeline(calls, &options);
    assert_int_equal(freshet_run(pipeline, &err), FRESHET_OK);
    assert_string_equal(ask(pipeline, ALL_ROWS), two_rows);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(yaml);
    freshet_declaration_close(calls);
}

static void step_until(freshet_pipeline *pipeline, int64_t rows)
{
    freshet_error err = {0};
    for (int i = 0; i < 200 && freshet_counter(pipeline, FRESHET_ROWS_READ) < rows; i++)
        if (freshet_step(pipeline, os.monotonic_us() + 50000, &err) != FRESHET_OK)
            fail_msg("%s", err.text);
    assert_int_equal(freshet_counter(pipeline, FRESHET_ROWS_READ), rows);
}

static void a_stream_follows_its_file(void **state)
{
    (void)state;
    fresh_files();
    freshet_declaration *declaration = declare("true");
    freshet_pipeline *pipeline = open_pipeline(declaration, NULL);
    step_until(pipeline, 2); /* two events; the countries are a table to look up in */
    assert_string_equal(ask(pipeline, ALL_ROWS), two_rows);
    write_file("events.jsonl", "a", "{\"id\":3,\"at\":\"2024-05-01T10:0");
    freshet_error err = {0};
    for (int i = 0; i < 3; i++)
        assert_int_equal(freshet_step(pipeline, os.monotonic_us() + 20000, &err), FRESHET_OK);
    assert_int_equal(freshet_counter(pipeline, FRESHET_ROWS_READ), 2);
    write_file("events.jsonl", "a", "0:02Z\",\"x\":1}\n");
    step_until(pipeline, 3);
    assert_string_equal(ask(pipeline, "select count(*) as n from online_feature_store__fs"),
                        "{\"n\":3}\n");
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
}

static void the_newest_event_wins_in_latest(void **state)
{
    (void)state;
    fresh_files();
    freshet_declaration *declaration = declare("true");
    freshet_pipeline *pipeline = open_pipeline(declaration, NULL);
    step_until(pipeline, 2);
    write_file("events.jsonl", "a", "{\"id\":1,\"at\":\"2024-05-01T09:00:00Z\",\"x\":7}\n");
    step_until(pipeline, 3);
    assert_string_equal(ask(pipeline, "select x from online_feature_store__fs_latest where id = 1"),
                        "{\"x\":5.0}\n");
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
}

static void static_readers_are_read_again_when_they_change(void **state)
{
    (void)state;
    fresh_files();
    freshet_declaration *declaration = declare("true");
    freshet_pipeline *pipeline = open_pipeline(declaration, NULL);
    step_until(pipeline, 2);
    write_file("countries.csv", "w", "code,label\nBR,Brasil\nXX,Nowhere\nUS,USA\n");
    pipeline->readers[1].next_check_us = 0;
    write_file("events.jsonl", "a",
               "{\"id\":3,\"at\":\"2024-05-01T10:00:02Z\",\"country\":\"XX\"}\n");
    step_until(pipeline, 3);
    assert_string_equal(ask(pipeline, "select label from online_feature_store__fs where id = 3"),
                        "{\"label\":\"Nowhere\"}\n");
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
}

static ssize_t disk_is_full(int fd, const void *from, size_t size)
{
    (void)fd, (void)from, (void)size;
    errno = ENOSPC;
    return -1;
}

static void a_full_disk_loses_and_doubles_nothing(void **state)
{
    (void)state;
    fresh_files();
    write_file("events.jsonl", "a",
               "{\"id\":\"nonsense\",\"at\":\"2024-05-01T10:00:02Z\"}\n"
               "{\"id\":4,\"at\":\"2024-05-01T10:00:03Z\"}\n"
               "{\"id\":5,\"at\":null}\n");
    freshet_declaration *declaration = declare("true");
    freshet_pipeline *pipeline = open_pipeline(declaration, NULL);
    freshet_error err = {0};
    os.write = disk_is_full;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(freshet_step(pipeline, os.monotonic_us(), &err), FRESHET_TRY_AGAIN);
        assert_int_equal(err.then, FRESHET_RETRY);
        assert_non_null(strstr(err.text, "letters.jsonl"));
        assert_int_equal(freshet_counter(pipeline, FRESHET_DEAD_LETTERS), 0);
    }
    os_restore();
    assert_int_equal(freshet_step(pipeline, os.monotonic_us(), &err), FRESHET_OK);
    assert_int_equal(freshet_counter(pipeline, FRESHET_DEAD_LETTERS), 2);
    assert_int_equal(freshet_counter(pipeline, FRESHET_ROWS_WRITTEN), 3);
    assert_string_equal(ask(pipeline, "select count(*) as n from online_feature_store__fs"),
                        "{\"n\":3}\n");
    char path[512], line[2048];
    snprintf(path, sizeof path, "%s/letters.jsonl", folder);
    FILE *letters = fopen(path, "r");
    assert_non_null(letters);
    assert_non_null(fgets(line, sizeof line, letters));
    assert_non_null(strstr(line, "nonsense"));
    assert_non_null(strstr(line, "\"reader\":\"events\""));
    assert_non_null(fgets(line, sizeof line, letters));
    assert_non_null(strstr(line, "timestamp"));
    assert_null(fgets(line, sizeof line, letters));
    fclose(letters);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
}

static void *stop_soon(void *pipeline)
{
    usleep(100000);
    freshet_stop(pipeline);
    return NULL;
}

static void a_stream_stops_when_asked(void **state)
{
    (void)state;
    fresh_files();
    freshet_declaration *declaration = declare("true");
    freshet_pipeline *pipeline = open_pipeline(declaration, NULL);
    freshet_error err = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, pipeline), 0);
    assert_int_equal(freshet_run(pipeline, &err), FRESHET_OK);
    pthread_join(thread, NULL);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
}

static void write_events(uint32_t n)
{
    char path[512];
    fresh_files();
    snprintf(path, sizeof path, "%s/events.jsonl", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (uint32_t i = 0; i < n; i++)
        fprintf(file, "{\"id\":%u,\"at\":\"2024-05-01T10:00:00Z\",\"x\":1}\n", i);
    assert_int_equal(fclose(file), 0);
}

static void a_step_by_hand_shows_its_rows(void **state)
{
    (void)state;
    write_events(STEP_ROWS_MAX + 1);
    freshet_declaration *declaration = declare("true");
    freshet_pipeline *pipeline = open_pipeline(declaration, NULL);
    freshet_error err = {0};
    assert_int_equal(freshet_step(pipeline, os.monotonic_us(), &err), FRESHET_OK);
    assert_int_equal(freshet_counter(pipeline, FRESHET_TABLE_ROWS), STEP_ROWS_MAX);
    assert_int_equal(freshet_step(pipeline, os.monotonic_us(), &err), FRESHET_OK);
    assert_int_equal(freshet_counter(pipeline, FRESHET_TABLE_ROWS), STEP_ROWS_MAX + 1);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
}

/* Stops the run once its table has all STEP_ROWS_MAX * 2 rows, or when patience ends. */
static void *stop_when_all_are_there(void *pipeline)
{
    patience wait = patience_of(60);
    while (freshet_counter(pipeline, FRESHET_TABLE_ROWS) != STEP_ROWS_MAX * 2 &&
           patience_lasts(&wait))
        usleep(10000);
    int64_t rows = freshet_counter(pipeline, FRESHET_TABLE_ROWS);
    freshet_stop(pipeline);
    return (void *)(intptr_t)rows; /* before the stop, which shows rows of its own accord */
}

static void the_last_full_micro_batch_is_shown(void **state)
{
    (void)state;
    write_events(STEP_ROWS_MAX * 2);
    freshet_declaration *declaration = declare("true");
    freshet_pipeline *pipeline = open_pipeline(declaration, NULL);
    freshet_error err = {0};
    pthread_t thread;
    void *rows = NULL;
    assert_int_equal(pthread_create(&thread, NULL, stop_when_all_are_there, pipeline), 0);
    assert_int_equal(freshet_run(pipeline, &err), FRESHET_OK);
    pthread_join(thread, &rows);
    assert_int_equal((intptr_t)rows, STEP_ROWS_MAX * 2);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
}

static void a_whole_query_runs_in_batch_only(void **state)
{
    (void)state;
    fresh_files();
    static const char yaml[] =
        "version: 1\n"
        "pipeline: whole\n"
        "source:\n"
        "  readers: [{id: events, stream: %s, file: {path: '%s/events.jsonl'}}]\n"
        "  query: select count(*) as n, max(e.\"at\") as last_at, 1 as one from events e\n"
        "feature_set: {name: w, entity: e, keys: [{name: one, type: integer}],\n"
        "              timestamp: {from: last_at}, features: [{name: n, type: bigint}]}\n"
        "sink: {writers: [{online: {debug: true}}]}\n";
    for (int stream = 0; stream < 2; stream++) {
        char text[2048];
        freshet_declaration *declaration = NULL;
        freshet_pipeline *pipeline = NULL;
        freshet_error err = {0};
        snprintf(text, sizeof text, yaml, stream ? "true" : "false", folder);
        assert_int_equal(freshet_declaration_parse(text, strlen(text), "whole.yaml", NULL, NULL,
                                                   &declaration, &err),
                         FRESHET_OK);
        freshet_code code = freshet_pipeline_open(declaration, NULL, NULL, NULL, &pipeline, &err);
        if (stream) {
            assert_int_equal(code, FRESHET_BAD_DECLARATION);
            assert_memory_equal(err.at, "whole.yaml:5:", 13);
            assert_non_null(strstr(err.text, "stream"));
        } else {
            if (code != FRESHET_OK)
                fail_msg("%s: %s", err.at, err.text);
            assert_int_equal(freshet_run(pipeline, &err), FRESHET_OK);
            assert_string_equal(ask(pipeline, "select n from online_feature_store__w"),
                                "{\"n\":2}\n");
        }
        freshet_pipeline_close(pipeline);
        freshet_declaration_close(declaration);
    }
}

static void collect_problem(void *context, const freshet_error *problem)
{
    strcat(strcat(strcat(strcat(context, problem->at), ": "), problem->text), "\n");
}

/* With its place, in `freshet check` and at the start of a run; only what no run could do. */
static void what_a_writer_cannot_do_is_told_before_a_run(void **state)
{
    static const char yaml[] =
        "version: 1\n"
        "pipeline: told\n"
        "source:\n"
        "  readers: [{id: events, file: {path: '%s/events.jsonl'}}]\n"
        "  query: select * from events\n"
        "feature_set: {name: w, entity: e, keys: [{name: id, type: bigint}],\n"
        "              timestamp: {from: \"at\"}, features: [{name: x, type: double}]}\n"
        "sink:\n"
        "  writers:\n"
        "    - jsonl: {path: '%s/none/x.jsonl'}\n"
        "    - jsonl: {path: '%s'}\n"
        "    - jsonl: {path: '%s/x.jsonl'}\n"
        "    - jsonl: {path: '%s/./x.jsonl'}\n"
        "    - jsonl: {path: '%s/events.jsonl'}\n"
        "    - jsonl: {path: '%s/./events.jsonl'}\n"
        "    - jsonl: {path: '%s/y.jsonl'}\n"
        "    - jsonl: {path: '-'}\n"
        "    - jsonl: {path: '-'}\n"
        "    - jsonl: {path: /dev/null}\n"
        "    - jsonl: {path: /dev/null}\n"
        "    - online: {debug: true, cassandra: {}}\n";
    static const char *const told[] = {
        "told.yaml:10:21: the file \"%s/none/x.jsonl\" cannot be made: there is no folder ",
        "told.yaml:11:21: the file \"%s\" is a folder",
        "told.yaml:13:21: another writer of this declaration appends to \"%s/./x.jsonl\", too",
        "told.yaml:15:21: another writer of this declaration appends to \"%s/./events.jsonl\"",
        "told.yaml:21:15: \"online\" has both `cassandra` and `debug: true`"};
    char text[4096], all[8192] = "", line[512];
    const freshet_run_options options = {.size = sizeof options, .check = true};
    freshet_declaration *declaration = NULL;
    freshet_pipeline *pipeline = NULL;
    (void)state;
    fresh_files();
    snprintf(text, sizeof text, yaml, folder, folder, folder, folder, folder, folder, folder,
             folder);
    assert_int_equal(
        freshet_declaration_parse(text, strlen(text), "told.yaml", NULL, NULL, &declaration, NULL),
        FRESHET_OK);
    for (int i = 0; i < 2; i++) {
        all[0] = '\0';
        assert_int_equal(freshet_pipeline_open(declaration, i == 0 ? &options : NULL,
                                               collect_problem, all, &pipeline, NULL),
                         FRESHET_BAD_DECLARATION);
        const char *at = all;
        for (size_t k = 0; k < sizeof told / sizeof *told; k++) {
            snprintf(line, sizeof line, told[k], folder);
            if (strncmp(at, line, strlen(line)) != 0)
                fail_msg("%s is not at the start of %s", line, at);
            at = strchr(at, '\n') + 1;
        }
        assert_string_equal(at, "");
    }
    freshet_declaration_close(declaration);
}

static void checking_reads_and_writes_nothing(void **state)
{
    (void)state;
    fresh_files();
    const freshet_run_options options = {.size = sizeof options, .check = true};
    freshet_declaration *declaration = declare("true");
    freshet_pipeline *pipeline = open_pipeline(declaration, &options);
    freshet_error err = {0};
    assert_int_equal(freshet_step(pipeline, 0, &err), FRESHET_USAGE);
    assert_int_equal(freshet_counter(pipeline, FRESHET_ROWS_READ), 0);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
    freshet_pipeline_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_one_reader_outlive_the_failure_of_another),
        cmocka_unit_test(a_writer_gets_what_it_takes),
        cmocka_unit_test(what_no_writer_took_is_not_written),
        cmocka_unit_test(a_batch_ends_with_all_rows),
        cmocka_unit_test(yaml_and_calls_give_the_same_pipeline),
        cmocka_unit_test(a_stream_follows_its_file),
        cmocka_unit_test(the_newest_event_wins_in_latest),
        cmocka_unit_test(static_readers_are_read_again_when_they_change),
        cmocka_unit_test(a_full_disk_loses_and_doubles_nothing),
        cmocka_unit_test(a_stream_stops_when_asked),
        cmocka_unit_test(a_step_by_hand_shows_its_rows),
        cmocka_unit_test(the_last_full_micro_batch_is_shown),
        cmocka_unit_test(a_whole_query_runs_in_batch_only),
        cmocka_unit_test(what_a_writer_cannot_do_is_told_before_a_run),
        cmocka_unit_test(checking_reads_and_writes_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
