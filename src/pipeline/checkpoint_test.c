/* checkpoint_test.c - when checkpoints are taken, in which order, and what a failure in any of
 * their steps leaves: a stream turned by hand, with a writer that says what is asked of it, and can
 * refuse. */
#define _GNU_SOURCE /* nftw */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "base/patience_testing.h"
#include "pipeline/checkpoint_internal.h"
#include "pipeline/pipeline.h"

static char folder[128];
static char state_folder[160];
static int64_t clock_us;

static int64_t fake_monotonic_us(void)
{
    return clock_us;
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/freshet-checkpoint-XXXXXX");
    log_configure(LOG_ERROR + 1, LOG_TEXT);
    clock_us = 1000000;
    os.monotonic_us = fake_monotonic_us;
    bool made = mkdtemp(folder) != NULL;
    snprintf(state_folder, sizeof state_folder, "%s/state", folder);
    return made ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    os_restore();
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- a writer that says what is asked of it ------------------------------------------------- */

typedef struct said_writer {
    struct freshet_writer base;
    char said[512];
    uint32_t rows;    /* written since the last pending */
    uint32_t made;    /* files made */
    uint64_t numbers; /* base.checkpoint when the last rows came */
    bool refuses_pending, refuses_publish;
} said_writer;

static void say(said_writer *writer, const char *what)
{
    strncat(writer->said, what, sizeof writer->said - strlen(writer->said) - 1);
}

static freshet_code said_open(freshet_writer *base, const schema *schema, uint32_t n_keys,
                              freshet_error *err)
{
    (void)base;
    (void)schema;
    (void)n_keys;
    (void)err;
    return FRESHET_OK;
}

static freshet_code said_write(freshet_writer *base, const batch *rows, freshet_error *err)
{
    said_writer *writer = (said_writer *)base;
    (void)err;
    writer->rows += rows->n_rows;
    writer->numbers = base->checkpoint;
    return FRESHET_OK;
}

static freshet_code said_flush(freshet_writer *base, freshet_error *err)
{
    (void)err;
    say((said_writer *)base, "flush ");
    return FRESHET_OK;
}

static freshet_code refuse_for_now(freshet_error *err)
{
    return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL, "the disk is full");
}

static freshet_code said_pending(freshet_writer *base, arena *arena, writer_files *out,
                                 freshet_error *err)
{
    said_writer *writer = (said_writer *)base;
    say(writer, "pending ");
    if (writer->refuses_pending)
        return refuse_for_now(err);
    const char **paths = arena_zero(arena, 1, sizeof *paths);
    paths[0] = arena_format(arena, "file-%u", writer->made + 1);
    *out = (writer_files){.paths = paths, .n = writer->rows > 0};
    writer->made += writer->rows > 0;
    writer->rows = 0;
    return FRESHET_OK;
}

static freshet_code said_publish(freshet_writer *base, const writer_files *files,
                                 freshet_error *err)
{
    said_writer *writer = (said_writer *)base;
    assert_int_equal(files->n, 1);
    if (writer->refuses_publish) {
        say(writer, "no-publish ");
        return refuse_for_now(err);
    }
    say(writer, "publish:");
    say(writer, files->paths[0]);
    say(writer, " ");
    return FRESHET_OK;
}

static freshet_code said_recover(freshet_writer *base, const writer_files *committed,
                                 freshet_error *err)
{
    (void)base;
    (void)committed;
    (void)err;
    return FRESHET_OK;
}

static void said_close(freshet_writer *base)
{
    (void)base;
}

static const block_kind said_block = {.name = "said"};

static const writer_ops said_ops = {
    .name = "said",
    .block = &said_block,
    .size = sizeof(said_writer),
    .keeps = KEEPS_FILES,
    .takes = ROW_NEW,
    .open = said_open,
    .write = said_write,
    .flush = said_flush,
    .close = said_close,
    .pending = said_pending,
    .publish = said_publish,
    .recover = said_recover,
};

/* ---- a stream ------------------------------------------------------------------------------- */

#define YAML                                                                     \
    "version: 1\n"                                                               \
    "pipeline: test\n"                                                           \
    "source:\n"                                                                  \
    "  readers:\n"                                                               \
    "    - id: events\n"                                                         \
    "      stream: true\n"                                                       \
    "      file: {path: '%s/in.jsonl', format: json,\n"                          \
    "             schema: {id: bigint, k: string, at: timestamp}}\n"             \
    "  query: select * from events\n"                                            \
    "feature_set:\n"                                                             \
    "  name: fs\n"                                                               \
    "  entity: thing\n"                                                          \
    "  keys: [{name: k, type: string}]\n"                                        \
    "  timestamp: {from: at}\n"                                                  \
    "  features:\n"                                                              \
    "    - {name: id, type: bigint}\n"                                           \
    "    - {name: n, from: id, type: bigint,\n"                                  \
    "       window: {functions: [count], over: [1 day], mode: fixed_windows}}\n" \
    "dead_letters: {path: '%s/letters.jsonl'}\n"                                 \
    "checkpoint: {interval: 1 second}\n"                                         \
    "state: {memory: %s}\n"                                                      \
    "sink:\n"                                                                    \
    "  writers:\n"                                                               \
    "    - online: {debug: true}\n"

static void append_rows(int first, int n, int n_keys)
{
    char path[200];
    snprintf(path, sizeof path, "%s/in.jsonl", folder);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    for (int i = first; i < first + n; i++)
        fprintf(file, "{\"id\":%d,\"k\":\"key %d\",\"at\":\"2024-01-01T%02d:%02d:%02d\"}\n", i,
                i % n_keys, i / 3600 % 24, i / 60 % 60, i % 60);
    fclose(file);
}

typedef struct stream {
    freshet_declaration *declaration;
    freshet_pipeline *pipeline;
    said_writer writer;
} stream;

static freshet_code open_pipeline(stream *it, const char *memory, freshet_error *err)
{
    char text[2048];
    snprintf(text, sizeof text, YAML, folder, folder, memory);
    const freshet_run_options options = {
        .size = sizeof options, .state = state_folder, .once = false};
    *it = (stream){0};
    if (freshet_declaration_parse(text, strlen(text), "test.yaml", NULL, NULL, &it->declaration,
                                  err) != FRESHET_OK)
        fail_msg("%s: %s", err->at, err->text);
    return freshet_pipeline_open(it->declaration, &options, NULL, NULL, &it->pipeline, err);
}

/* The writer stands where a declared one would; the pipeline has been opened without it. */
static void open_stream(stream *it, const char *memory)
{
    freshet_error err = {0};
    if (open_pipeline(it, memory, &err) != FRESHET_OK)
        fail_msg("%s: %s", err.at, err.text);
    it->writer.base =
        (freshet_writer){.ops = &said_ops, .checkpoint = it->pipeline->checkpoint->number + 1};
    it->pipeline->writers[it->pipeline->n_writers++] = &it->writer.base;
    it->pipeline->writers[1]->name = "said 1";
}

static void close_stream(stream *it)
{
    freshet_pipeline_close(it->pipeline);
    freshet_declaration_close(it->declaration);
}

/* Steps until the rows are through; the file reader may need a few turns to see them. */
static void take(stream *it, int64_t n)
{
    freshet_error err = {0};
    int64_t wanted = freshet_counter(it->pipeline, FRESHET_ROWS_READ) + n;
    patience wait = patience_of(60);
    while (freshet_counter(it->pipeline, FRESHET_ROWS_READ) < wanted && patience_lasts(&wait)) {
        if (pipeline_step(it->pipeline, 0, &err) != FRESHET_OK)
            fail_msg("%s", err.text);
        usleep(500);
    }
    assert_int_equal(freshet_counter(it->pipeline, FRESHET_ROWS_READ), wanted);
}

static freshet_code turn(stream *it)
{
    freshet_error err = {0};
    freshet_code code = checkpoint_turn(it->pipeline, &err);
    assert_true(code == FRESHET_OK || err.then == FRESHET_RETRY);
    return code;
}

/* Turns until the store has written; the fake clock stands. */
static void turn_until(stream *it, checkpoint_phase phase)
{
    patience wait = patience_of(60);
    while (it->pipeline->checkpoint->phase != phase && patience_lasts(&wait)) {
        assert_int_equal(turn(it), FRESHET_OK);
        usleep(500);
    }
    assert_int_equal(it->pipeline->checkpoint->phase, phase);
}

static void test_order_and_interval(void **state)
{
    (void)state;
    stream it;
    append_rows(0, 10, 3);
    open_stream(&it, "1 GiB");
    said_writer *writer = &it.writer;
    uint64_t first = it.pipeline->checkpoint->number;
    assert_int_equal(first, 1); /* says where everything began */
    take(&it, 10);
    writer->said[0] = '\0';
    assert_int_equal(turn(&it), FRESHET_OK);
    assert_string_equal(writer->said, ""); /* not due */
    assert_int_equal(checkpoint_deadline(it.pipeline, INT64_MAX), it.pipeline->checkpoint->due_us);
    clock_us += 999999;
    assert_int_equal(turn(&it), FRESHET_OK);
    assert_string_equal(writer->said, "");
    clock_us += 1;
    assert_int_equal(turn(&it), FRESHET_OK);
    assert_int_equal(it.pipeline->checkpoint->number, first + 1);
    /* What comes while it is being written belongs to the next one. */
    append_rows(10, 5, 3);
    take(&it, 5);
    assert_int_equal(writer->numbers, first + 2);
    turn_until(&it, CHECKPOINT_NONE);
    assert_string_equal(writer->said, "flush pending publish:file-1 ");
    clock_us += 1000000;
    turn_until(&it, CHECKPOINT_WRITING);
    turn_until(&it, CHECKPOINT_NONE);
    /* Nothing new: one more, which no longer lists the file; and then none. */
    writer->said[0] = '\0';
    clock_us += 1000000;
    turn_until(&it, CHECKPOINT_WRITING);
    turn_until(&it, CHECKPOINT_NONE);
    uint64_t last = it.pipeline->checkpoint->number;
    clock_us += 5000000;
    assert_int_equal(turn(&it), FRESHET_OK);
    assert_int_equal(it.pipeline->checkpoint->number, last);
    assert_string_equal(writer->said, "pending ");
    close_stream(&it);
}

/* The last durable checkpoint lists the file, so recover will be given it. */
static void expect_listed(const char *file)
{
    stream it;
    open_stream(&it, "1 GiB");
    freshet_pipeline *pipeline = it.pipeline;
    text_buffer none;
    text_init(&none, 100);
    freshet_code code = store_get(pipeline->checkpoint->store, STORE_FILE, "said 1", file,
                                  strlen(file), &none, NULL);
    assert_int_equal(code, FRESHET_OK);
    text_release(&none);
    close_stream(&it);
}

static void test_publish_refused(void **state)
{
    (void)state;
    stream it;
    append_rows(0, 10, 3);
    open_stream(&it, "1 GiB");
    take(&it, 10);
    clock_us += 1000000;
    it.writer.refuses_publish = true;
    assert_int_equal(turn(&it), FRESHET_OK);
    assert_int_equal(store_wait(it.pipeline->checkpoint->store, NULL), FRESHET_OK);
    assert_int_equal(turn(&it), FRESHET_TRY_AGAIN);
    uint64_t number = it.pipeline->checkpoint->number;
    append_rows(10, 10, 3);
    take(&it, 10);
    clock_us += 10000000;
    assert_int_equal(turn(&it), FRESHET_TRY_AGAIN);
    assert_int_equal(it.pipeline->checkpoint->number, number); /* no other one meanwhile */
    close_stream(&it);
    expect_listed("file-1");
}

static void test_pending_refused(void **state)
{
    (void)state;
    stream it;
    append_rows(0, 10, 3);
    open_stream(&it, "1 GiB");
    take(&it, 10);
    uint64_t number = it.pipeline->checkpoint->number;
    clock_us += 1000000;
    it.writer.refuses_pending = true;
    assert_int_equal(turn(&it), FRESHET_TRY_AGAIN);
    assert_int_equal(it.pipeline->checkpoint->number, number);
    it.writer.refuses_pending = false;
    assert_int_equal(freshet_checkpoint(it.pipeline, NULL), FRESHET_OK);
    assert_true(it.pipeline->checkpoint->number > number);
    close_stream(&it);
    /* The positions were in it: nothing comes again. */
    open_stream(&it, "1 GiB");
    append_rows(10, 1, 3);
    take(&it, 1);
    assert_int_equal(freshet_counter(it.pipeline, FRESHET_ROWS_READ), 1);
    close_stream(&it);
}

static int failing_fsync(int file)
{
    (void)file;
    errno = ENOSPC;
    return -1;
}

/* The positions were asked for, and then gathering failed: the next one has all of them. */
static void test_gathering_fails_late(void **state)
{
    (void)state;
    stream it;
    append_rows(0, 10, 3);
    open_stream(&it, "1 GiB");
    take(&it, 10);
    assert_int_equal(freshet_checkpoint(it.pipeline, NULL), FRESHET_OK);
    append_rows(10, 10, 3);
    take(&it, 10);
    reader_positions moved;
    freshet_reader *reader = it.pipeline->readers[0].reader;
    assert_int_equal(reader->ops->positions(reader, it.pipeline->step_arena, false, &moved, NULL),
                     FRESHET_OK);
    assert_int_equal(moved.n, 1); /* ... and lost */
    it.pipeline->checkpoint->moved_lost = true;
    assert_int_equal(freshet_checkpoint(it.pipeline, NULL), FRESHET_OK);
    assert_false(it.pipeline->checkpoint->moved_lost);
    close_stream(&it);
    open_stream(&it, "1 GiB");
    append_rows(20, 1, 3);
    take(&it, 1);
    assert_int_equal(freshet_counter(it.pipeline, FRESHET_ROWS_READ), 1);
    close_stream(&it);
}

static void test_letters_cannot_be_kept(void **state)
{
    (void)state;
    stream it;
    append_rows(0, 10, 3);
    char path[200];
    snprintf(path, sizeof path, "%s/in.jsonl", folder);
    FILE *file = fopen(path, "a");
    fputs("{broken\n", file);
    fclose(file);
    open_stream(&it, "1 GiB");
    take(&it, 11);
    os.fsync = failing_fsync;
    assert_int_equal(freshet_checkpoint(it.pipeline, NULL), FRESHET_TRY_AGAIN);
    os.fsync = fsync;
    assert_int_equal(freshet_checkpoint(it.pipeline, NULL), FRESHET_OK);
    close_stream(&it);
}

/* The disk of the state is full for a while: the stream goes on, and then the state is whole. */
static void test_full_disk(void **state)
{
    (void)state;
    stream it;
    struct rlimit before, small;
    append_rows(0, 6000, 3000);
    open_stream(&it, "1 GiB");
    take(&it, 6000);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 50000;
    clock_us += 1000000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(turn(&it), FRESHET_OK);
    freshet_code code = FRESHET_OK;
    for (patience wait = patience_of(60); code == FRESHET_OK && patience_lasts(&wait); usleep(500))
        code = turn(&it);
    assert_int_equal(code, FRESHET_TRY_AGAIN);
    assert_int_equal(turn(&it), FRESHET_TRY_AGAIN);
    setrlimit(RLIMIT_FSIZE, &before);
    append_rows(6000, 10, 3000);
    take(&it, 10);
    assert_int_equal(freshet_checkpoint(it.pipeline, NULL), FRESHET_OK);
    close_stream(&it);
    open_stream(&it, "1 GiB");
    assert_int_equal(store_verify(it.pipeline->checkpoint->store, NULL), FRESHET_OK);
    append_rows(6010, 1, 3000);
    take(&it, 1);
    assert_int_equal(freshet_counter(it.pipeline, FRESHET_ROWS_READ), 1);
    close_stream(&it);
}

/* Keys beyond the memory become durable, and leave it. */
static void test_memory(void **state)
{
    (void)state;
    stream it;
    open_stream(&it, "1 MiB");
    const checkpoint_part *part = &it.pipeline->checkpoint->parts[0];
    for (int i = 0; i < 12; i++) {
        append_rows(i * 5000, 5000, 60000);
        take(&it, 5000);
        clock_us += 300000;
        assert_int_equal(turn(&it), FRESHET_OK);
    }
    append_rows(60000, 1, 60000);
    take(&it, 1);
    assert_true(part->in_store);
    assert_true(state_part_keys(part->part) < 60000);
    close_stream(&it);
}

/* After a checkpoint that took long, the next one waits. */
static void test_stretch(void **state)
{
    (void)state;
    stream it;
    append_rows(0, 10, 3);
    open_stream(&it, "1 GiB");
    checkpoint *checkpoint = it.pipeline->checkpoint;
    take(&it, 10);
    clock_us += 1000000;
    assert_int_equal(turn(&it), FRESHET_OK);
    int64_t begun_us = clock_us;
    const int64_t write_us = CHECKPOINT_STRETCH_MAX_US / CHECKPOINT_WRITE_SHARE - 1000;
    clock_us += write_us;
    assert_int_equal(store_wait(checkpoint->store, NULL), FRESHET_OK);
    assert_int_equal(turn(&it), FRESHET_OK);
    assert_int_equal(checkpoint->due_us, begun_us + write_us * CHECKPOINT_WRITE_SHARE);
    append_rows(10, 10, 3);
    take(&it, 10);
    clock_us = checkpoint->due_us;
    assert_int_equal(turn(&it), FRESHET_OK);
    begun_us = clock_us;
    clock_us += INT64_C(3600) * 1000000;
    assert_int_equal(store_wait(checkpoint->store, NULL), FRESHET_OK);
    assert_int_equal(turn(&it), FRESHET_OK);
    assert_int_equal(checkpoint->due_us, begun_us + CHECKPOINT_STRETCH_MAX_US);
    close_stream(&it);
}

/* The state of a version with another layout of facts: refused with what helps, and left as it
 * is. */
static void test_older_version(void **state)
{
    static const char facts[] = "\x14\0\0\0FWM1\1\0\0\0";
    (void)state;
    stream it;
    freshet_error err = {0};
    state_store *store;
    char expected[600];
    append_rows(0, 1, 1);
    open_stream(&it, "1 MiB");
    close_stream(&it);
    assert_int_equal(store_open(state_folder, false, STORE_MEMORY_MIN, &store, NULL), FRESHET_OK);
    assert_int_equal(store_begin(store, NULL), FRESHET_OK);
    assert_int_equal(
        store_put(store, STORE_FACT, FACT_FEATURES, "", 0, facts, sizeof facts - 1, NULL),
        FRESHET_OK);
    assert_int_equal(store_commit(store, NULL), FRESHET_OK);
    assert_int_equal(store_wait(store, NULL), FRESHET_OK);
    store_close(store);
    snprintf(expected, sizeof expected,
             "another version of Freshet has saved the state in \"%s\", and this one cannot read "
             "it: run that version; or move the folder aside, or remove what is in it by `freshet "
             "state reset --state \"%s\"`, and the stream begins anew",
             state_folder, state_folder);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(open_pipeline(&it, "1 MiB", &err), FRESHET_BAD_DECLARATION);
        assert_string_equal(err.text, expected);
        close_stream(&it);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_order_and_interval),
        TEST(test_publish_refused),
        TEST(test_pending_refused),
        TEST(test_gathering_fails_late),
        TEST(test_letters_cannot_be_kept),
        TEST(test_full_disk),
        TEST(test_memory),
        TEST(test_stretch),
        TEST(test_older_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
