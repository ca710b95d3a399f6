/* writer_conformance_testing.h - what every writer must do, tried on one of them.
 *
 * A new writer gets all tests by one line in a file of its own, x_conformance_test.c beside it:
 *
 *     WRITER_CONFORMANCE(rig)
 *
 * where `rig` is a writer_rig: how to make a place to write to, how to declare the writer, how to
 * read back what is seen there, and how to make the system fail. What is expected follows from what
 * the writer says that it keeps.
 *
 * Rows are (id bigint, timestamp, x double) with the key id, ids from 0 to IDS - 1. Here is also
 * all of the loop that a writer sees: retries, checkpoints with their files, and the process that
 * is killed (close without flush, then open and recover with the files of the last checkpoint). Its
 * calls come in the order of writer.h, and in no other.
 */
#ifndef FRESHET_WRITERS_WRITER_CONFORMANCE_TESTING_H
#define FRESHET_WRITERS_WRITER_CONFORMANCE_TESTING_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/os.h"
#include "writers/writer.h"

#define IDS 64u
#define TRIES_MAX 200

typedef struct seen_rows {
    uint32_t times[IDS]; /* how often each is there */
    double x[IDS];       /* of the last one */
} seen_rows;

typedef struct writer_rig {
    const writer_ops *ops;
    /* A new empty place; what it gives is `self` of the others. free: removes it. */
    void *(*make)(void);
    void (*free)(void *self);
    /* The writer as it is declared, as YAML on one line. Lives as long as self. */
    const char *(*declare)(void *self);
    /* What can be seen, while the writer is open. */
    void (*read)(void *self, freshet_writer *writer, seen_rows *out);
    /* From now on the nth call to the system or the store fails once, as if there were no room;
     * negative: that and all behind it; 0: none. NULL: the writer makes no such calls. disk_fails()
     * is for those that write files. */
    void (*breaks)(void *self, int nth);
} writer_rig;

/* ---- a disk that is full --------------------------------------------------------------------- */

static os_table disk_real;
static int disk_countdown;
static bool disk_stays_full;

static inline bool disk_is_full(void)
{
    if (disk_countdown == 0 || --disk_countdown > 0)
        return false;
    if (disk_stays_full)
        disk_countdown = 1;
    errno = ENOSPC;
    return true;
}

/* Half of it goes out first. */
static inline ssize_t disk_write(int fd, const void *from, size_t size)
{
    static bool was_half;
    was_half = !was_half && size > 1;
    if (was_half)
        return disk_real.write(fd, from, size / 2);
    return disk_is_full() ? -1 : disk_real.write(fd, from, size);
}

static inline int disk_fsync(int fd)
{
    return disk_is_full() ? -1 : disk_real.fsync(fd);
}

static inline int disk_rename(const char *from, const char *to)
{
    return disk_is_full() ? -1 : disk_real.rename(from, to);
}

static inline int disk_mkdir(const char *path, mode_t mode)
{
    return disk_is_full() ? -1 : disk_real.mkdir(path, mode);
}

static inline void disk_fails(void *self, int nth)
{
    (void)self;
    os_restore();
    disk_real = os;
    disk_countdown = abs(nth);
    disk_stays_full = nth < 0;
    if (nth == 0)
        return;
    os.write = disk_write;
    os.fsync = disk_fsync;
    os.rename = disk_rename;
    os.mkdir = disk_mkdir;
}

/* ---- the loop, as a writer sees it ----------------------------------------------------------- */

typedef struct trial {
    const writer_rig *rig;
    void *self;
    arena *arena;
    freshet_declaration *handle;
    field fields[3];
    schema schema;
    freshet_writer *writer;
    uint64_t checkpoint; /* the number of the last one */
    writer_files listed; /* by it */
    const char *newest;  /* of all that were listed */
    freshet_error err;
} trial;

static inline void trial_must(trial *trial, freshet_code code)
{
    if (code != FRESHET_OK)
        fail_msg("%s: %s", trial->rig->ops->name, trial->err.text);
}

/* A new process: what it knows is what the last checkpoint says. */
static inline void trial_start(trial *trial)
{
    const declaration *declaration = declaration_of(trial->handle);
    const writer_block *block = declaration->sink.writers.items;
    const writer_ops *ops = trial->rig->ops;
    assert_ptr_equal(block->kind.kind, ops->block);
    assert_true(ops->serves == NULL || ops->serves(block->kind.options));
    trial->writer = arena_zero(trial->arena, 1, ops->size);
    *trial->writer = (freshet_writer){.ops = ops,
                                      .declaration = declaration,
                                      .options = block->kind.options,
                                      .arena = trial->arena,
                                      .checkpoint = trial->checkpoint + 1,
                                      .stop_fd = -1};
    trial_must(trial, ops->open(trial->writer, &trial->schema, 1, &trial->err));
    assert_true(writer_shows_later(ops) == (ops->recover != NULL));
    if (ops->recover != NULL)
        trial_must(trial, ops->recover(trial->writer, &trial->listed, &trial->err));
}

static inline void trial_kill(trial *trial)
{
    trial->rig->ops->close(trial->writer);
    trial->writer = NULL;
}

static inline void trial_begin(trial *trial, const writer_rig *rig)
{
    *trial = (struct trial){.rig = rig, .arena = arena_open(), .self = rig->make()};
    trial->fields[0] = (field){"id", type_simple(TYPE_BIGINT)};
    trial->fields[1] = (field){"timestamp", type_simple(TYPE_TIMESTAMP)};
    trial->fields[2] = (field){"x", type_simple(TYPE_DOUBLE)};
    trial->schema = (schema){3, trial->fields};
    const char *text = arena_format(
        trial->arena,
        "version: 1\npipeline: p\nsource:\n  readers: [{id: r, stream: true, file: {path: x, "
        "format: json}}]\n  query: select * from r\nfeature_set:\n  name: demo\n  entity: thing\n  "
        "keys: [{name: id, type: bigint}]\n  timestamp: {}\n  features: [{name: x, type: "
        "double}]\nsink:\n  writers:\n    - %s\n",
        rig->declare(trial->self));
    trial_must(trial, freshet_declaration_parse(text, strlen(text), "p.yaml", NULL, NULL,
                                                &trial->handle, &trial->err));
    trial_start(trial);
}

static inline void trial_end(trial *trial)
{
    if (trial->writer != NULL)
        trial_kill(trial);
    freshet_declaration_close(trial->handle);
    trial->rig->free(trial->self);
    arena_close(trial->arena);
}

/* Rows of the ids from `first` on; x is what it is, and the event at that second. */
static inline freshet_code trial_write_once(trial *trial, uint32_t first, uint32_t n, double x,
                                            int64_t second)
{
    arena *step = arena_open();
    batch rows;
    trial_must(trial, batch_init(&rows, step, &trial->schema, n, &trial->err));
    rows.n_rows = n;
    rows.write_us = arena_alloc(step, n * sizeof *rows.write_us);
    for (uint32_t i = 0; i < n; i++) {
        ((int64_t *)rows.columns[0].data)[i] = first + i;
        ((int64_t *)rows.columns[1].data)[i] = rows.write_us[i] = second * 1000000;
        ((double *)rows.columns[2].data)[i] = x;
    }
    freshet_code code = trial->rig->ops->write(trial->writer, &rows, &trial->err);
    memset(rows.columns[0].data, 0x55, n * sizeof(int64_t)); /* they are gone after the call */
    arena_close(step);
    return code;
}

/* True where the call is to come again. */
static inline bool trial_again(trial *trial, freshet_code code, int *tries)
{
    if (code == FRESHET_OK)
        return false;
    if (trial->err.then != FRESHET_RETRY || ++*tries > TRIES_MAX)
        fail_msg("%s: %s", trial->rig->ops->name, trial->err.text);
    return true;
}

static inline void trial_write(trial *trial, uint32_t first, uint32_t n, double x, int64_t second)
{
    int tries = 0;
    while (trial_again(trial, trial_write_once(trial, first, n, x, second), &tries))
        ;
}

static inline void trial_flush(trial *trial)
{
    int tries = 0;
    while (trial_again(trial, trial->rig->ops->flush(trial->writer, &trial->err), &tries))
        ;
}

/* The checkpoint is durable, and lists the writer's files; they are not published yet. */
static inline void trial_list(trial *trial)
{
    const writer_ops *ops = trial->rig->ops;
    int tries = 0;
    trial_flush(trial);
    while (ops->pending != NULL &&
           trial_again(trial,
                       ops->pending(trial->writer, trial->arena, &trial->listed, &trial->err),
                       &tries))
        ;
    if (trial->listed.n > 0)
        trial->newest = arena_text(trial->arena, trial->listed.paths[trial->listed.n - 1]);
    trial->listed.newest = trial->newest;
    trial->checkpoint++;
    trial->writer->checkpoint = trial->checkpoint + 1;
}

static inline void trial_checkpoint(trial *trial)
{
    const writer_ops *ops = trial->rig->ops;
    int tries = 0;
    trial_list(trial);
    while (ops->publish != NULL &&
           trial_again(trial, ops->publish(trial->writer, &trial->listed, &trial->err), &tries))
        ;
}

static inline seen_rows trial_read(trial *trial)
{
    seen_rows seen = {{0}, {0}};
    trial->rig->read(trial->self, trial->writer, &seen);
    return seen;
}

/* Each of the ids is seen so often; no other is looked at. */
static inline void trial_expect(trial *trial, uint32_t first, uint32_t n, uint32_t least,
                                uint32_t most)
{
    const seen_rows seen = trial_read(trial);
    for (uint32_t id = first; id < first + n; id++)
        if (seen.times[id] < least || seen.times[id] > most)
            fail_msg("%s: row %u is there %u times, and should be %u to %u times",
                     trial->rig->ops->name, id, seen.times[id], least, most);
}

/* Rows that were written before a crash and have come again. */
static inline void trial_expect_again(trial *trial, uint32_t first, uint32_t n)
{
    trial_expect(trial, first, n, 1, trial->rig->ops->keeps == KEEPS_ALL_AGAIN ? 2 : 1);
}

/* Rows that a checkpoint before the crash has. */
static inline void trial_expect_kept(trial *trial, uint32_t first, uint32_t n)
{
    const uint32_t times = trial->rig->ops->keeps == KEEPS_NOTHING ? 0 : 1;
    trial_expect(trial, first, n, times, times);
}

/* ---- the tests ------------------------------------------------------------------------------- */

static inline void conform_says_what_it_is(void **state)
{
    const writer_ops *ops = ((const writer_rig *)*state)->ops;
    assert_non_null(ops->name);
    assert_in_range(ops->takes, 1, ROW_NEW | ROW_ONLINE | ROW_CORRECTION);
    assert_true((ops->pending == NULL) == !writer_shows_later(ops));
    assert_true((ops->publish == NULL) == !writer_shows_later(ops));
    assert_true((ops->wake_fd == NULL) == (ops->progress == NULL));
    assert_true((ops->wake_us == NULL) == (ops->progress == NULL));
    assert_true((ops->figure == NULL) == (ops->query == NULL));
}

static inline void conform_order_of_calls(void **state)
{
    trial trial;
    trial_begin(&trial, *state);
    trial_kill(&trial); /* opened and closed */
    trial_start(&trial);
    trial_flush(&trial);
    trial_checkpoint(&trial); /* of nothing */
    trial_expect(&trial, 0, IDS, 0, 0);
    for (uint32_t id = 0; id < 10; id++) {
        trial_write(&trial, id, 1, 0, 1);
        if (id % 3 == 0)
            trial_flush(&trial);
        if (id % 4 == 0)
            trial_checkpoint(&trial);
        if (trial.rig->ops->progress != NULL)
            trial_must(&trial, trial.rig->ops->progress(trial.writer, &trial.err));
    }
    trial_flush(&trial);
    trial_checkpoint(&trial);
    trial_checkpoint(&trial);
    trial_expect(&trial, 0, 10, 1, 1);
    trial_expect(&trial, 10, IDS - 10, 0, 0);
    trial_end(&trial);
}

static inline void conform_rows_are_whole(void **state)
{
    trial trial;
    trial_begin(&trial, *state);
    trial_write(&trial, 0, 20, 1.5, 1);
    trial_write(&trial, 20, 20, -2.25, 2);
    trial_checkpoint(&trial);
    trial_expect(&trial, 0, 40, 1, 1);
    const seen_rows seen = trial_read(&trial);
    for (uint32_t id = 0; id < 40; id++)
        assert_true(seen.x[id] == (id < 20 ? 1.5 : -2.25));
    trial_end(&trial);
}

/* Each call fails once, at each of its times, and comes again. */
static inline void conform_a_failure_in_the_middle(void **state)
{
    const writer_rig *rig = *state;
    if (rig->breaks == NULL)
        skip();
    for (int nth = 1; nth <= 30; nth++) {
        trial trial;
        trial_begin(&trial, rig);
        rig->breaks(trial.self, nth);
        for (uint32_t first = 0; first < 30; first += 10)
            trial_write(&trial, first, 10, 0, 1);
        trial_checkpoint(&trial);
        trial_write(&trial, 30, 5, 0, 2);
        trial_checkpoint(&trial);
        rig->breaks(trial.self, 0);
        trial_expect(&trial, 0, 35, 1, 1);
        trial_kill(&trial);
        trial_start(&trial);
        trial_expect_kept(&trial, 0, 35);
        trial_end(&trial);
    }
}

/* Full for a while: what was there stays, no row is there twice, nothing is lost; then so full that
 * the run ends. */
static inline void conform_a_full_disk(void **state)
{
    const writer_rig *rig = *state;
    trial trial;
    if (rig->breaks == NULL)
        skip();
    trial_begin(&trial, rig);
    trial_write(&trial, 0, 10, 0, 1);
    trial_checkpoint(&trial);
    for (int times = 0; times < 2; times++) {
        const uint32_t first = times == 0 ? 10 : 20;
        rig->breaks(trial.self, -1);
        trial_write(&trial, first, 10, 0, 2); /* it may hold them */
        freshet_code code = FRESHET_OK;
        for (int tries = 0; tries < 3; tries++) {
            code = trial.rig->ops->flush(trial.writer, &trial.err);
            if (code == FRESHET_OK && trial.rig->ops->pending != NULL)
                code =
                    trial.rig->ops->pending(trial.writer, trial.arena, &trial.listed, &trial.err);
            assert_int_not_equal(code, FRESHET_OK);
            assert_int_equal(trial.err.then, FRESHET_RETRY);
            assert_true(strlen(trial.err.text) > 0);
        }
        trial_expect(&trial, 0, 10, 1, 1);
        if (times == 0) {
            rig->breaks(trial.self, 0);
            trial_checkpoint(&trial);
            trial_expect(&trial, 0, 20, 1, 1);
        }
    }
    trial_kill(&trial);
    rig->breaks(trial.self, 0);
    trial_start(&trial);
    trial_expect_kept(&trial, 0, 20);
    trial_write(&trial, 20, 10, 0, 2);
    trial_checkpoint(&trial);
    trial_expect_again(&trial, 20, 10);
    trial_end(&trial);
}

/* Killed after write, after flush, and after the checkpoint but before its files were published. */
static inline void conform_a_kill(void **state)
{
    for (int when = 0; when < 3; when++) {
        trial trial;
        trial_begin(&trial, *state);
        trial_write(&trial, 0, 10, 0, 1);
        trial_checkpoint(&trial);
        trial_write(&trial, 10, 10, 0, 2);
        if (when == 1)
            trial_flush(&trial);
        if (when == 2)
            trial_list(&trial);
        trial_kill(&trial);
        trial_start(&trial);
        trial_expect_kept(&trial, 0, 10);
        if (when == 2)
            trial_expect_kept(&trial, 10, 10);
        else
            trial_expect(&trial, 10, 10, 0, writer_shows_later(trial.rig->ops) ? 0 : 1);
        if (when < 2) /* they come again */
            trial_write(&trial, 10, 10, 0, 2);
        trial_write(&trial, 20, 10, 0, 3);
        trial_checkpoint(&trial);
        trial_expect_kept(&trial, 0, 10);
        if (when < 2)
            trial_expect_again(&trial, 10, 10);
        trial_expect(&trial, 20, 10, 1, 1);
        trial_end(&trial);
    }
}

/* Of a row that comes again, or behind a newer one of its key. */
static inline void conform_what_it_keeps_of_a_key(void **state)
{
    trial trial;
    trial_begin(&trial, *state);
    const writer_keeps keeps = trial.rig->ops->keeps;
    trial_write(&trial, 7, 1, 2.0, 200);
    trial_checkpoint(&trial);
    trial_write(&trial, 7, 1, 1.0, 100);
    trial_write(&trial, 7, 1, 2.0, 200);
    trial_write(&trial, 7, 1, 0.5, 50);
    trial_checkpoint(&trial);
    const uint32_t times = keeps == KEEPS_NEWEST ? 1 : 4;
    trial_expect(&trial, 7, 1, times, times);
    if (keeps == KEEPS_NEWEST)
        assert_true(trial_read(&trial).x[7] == 2.0);
    trial_end(&trial);
}

static inline int writer_conformance(writer_rig *rig)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(conform_says_what_it_is, rig),
        cmocka_unit_test_prestate(conform_order_of_calls, rig),
        cmocka_unit_test_prestate(conform_rows_are_whole, rig),
        cmocka_unit_test_prestate(conform_a_failure_in_the_middle, rig),
        cmocka_unit_test_prestate(conform_a_full_disk, rig),
        cmocka_unit_test_prestate(conform_a_kill, rig),
        cmocka_unit_test_prestate(conform_what_it_keeps_of_a_key, rig),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#define WRITER_CONFORMANCE(rig)          \
    int main(void)                       \
    {                                    \
        return writer_conformance(&rig); \
    }

#endif
