/* jsonl_test.c - lines in files, pipes and stdout: order and form of columns, half lines, two runs,
 * readers that are slow or gone. What every writer must do is in jsonl_conformance_test.c.
 */
#define _GNU_SOURCE
#include "writers/jsonl/jsonl.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/os.h"
#include "base/text.h"

typedef struct opened {
    arena *arena;
    freshet_declaration *handle;
    field fields[4];
    schema schema;
    freshet_writer *writer;
    freshet_error err;
    char folder[32], path[48];
    bool stopping;
} opened;

static bool is_stopping(void *context)
{
    return ((opened *)context)->stopping;
}

static freshet_code open_lines(opened *opened, const char *path)
{
    const char *text = arena_format(
        opened->arena,
        "version: 1\npipeline: p\nsource:\n  readers: [{id: r, file: {path: x, format: json}}]\n  "
        "query: select * from r\nfeature_set:\n  name: demo\n  entity: thing\n  keys: [{name: id, "
        "type: bigint}]\n  timestamp: {}\n  features: [{name: x, type: double}]\nsink:\n  writers: "
        "[{jsonl: {path: \"%s\"}}]\n",
        path);
    assert_int_equal(freshet_declaration_parse(text, strlen(text), "p.yaml", NULL, NULL,
                                               &opened->handle, &opened->err),
                     FRESHET_OK);
    const declaration *declaration = declaration_of(opened->handle);
    const writer_block *block = declaration->sink.writers.items;
    opened->writer = arena_zero(opened->arena, 1, jsonl_writer_ops.size);
    *opened->writer = (freshet_writer){.ops = &jsonl_writer_ops,
                                       .declaration = declaration,
                                       .options = block->kind.options,
                                       .arena = opened->arena,
                                       .is_stopping = is_stopping,
                                       .context = opened,
                                       .stop_fd = -1};
    return jsonl_writer_ops.open(opened->writer, &opened->schema, 1, &opened->err);
}

static void close_lines(opened *opened)
{
    jsonl_writer_ops.close(opened->writer);
    freshet_declaration_close(opened->handle);
    opened->handle = NULL;
}

static void set_up(opened *opened)
{
    *opened = (struct opened){.arena = arena_open()};
    snprintf(opened->folder, sizeof opened->folder, "/tmp/freshet-jsonl-XXXXXX");
    assert_non_null(mkdtemp(opened->folder));
    snprintf(opened->path, sizeof opened->path, "%s/out", opened->folder);
    opened->fields[0] = (field){"id", type_simple(TYPE_BIGINT)};
    opened->fields[1] = (field){"timestamp", type_simple(TYPE_TIMESTAMP)};
    opened->fields[2] = (field){"x", type_simple(TYPE_DOUBLE)};
    opened->fields[3] = (field){"said", type_simple(TYPE_STRING)};
    opened->schema = (schema){4, opened->fields};
}

static void tear_down(opened *opened)
{
    os_restore();
    unlink(opened->path);
    rmdir(opened->folder);
    arena_close(opened->arena);
}

static freshet_code write_rows(opened *opened, int64_t first, uint32_t n, const char *said)
{
    batch rows;
    assert_int_equal(batch_init(&rows, opened->arena, &opened->schema, n, NULL), FRESHET_OK);
    rows.n_rows = n;
    for (uint32_t i = 0; i < n; i++) {
        ((int64_t *)rows.columns[0].data)[i] = first + i;
        ((double *)rows.columns[2].data)[i] = 0.5;
        if (said == NULL)
            assert_true(column_set_null(opened->arena, &rows.columns[3], i));
        else
            ((cell_text *)rows.columns[3].data)[i] = text_of(said, (uint32_t)strlen(said));
    }
    return jsonl_writer_ops.write(opened->writer, &rows, &opened->err);
}

static void must(opened *opened, freshet_code code)
{
    if (code != FRESHET_OK)
        fail_msg("%s", opened->err.text);
}

static void flush(opened *opened)
{
    must(opened, jsonl_writer_ops.flush(opened->writer, &opened->err));
}

static void put_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void expect_file(const opened *opened, const char *expected)
{
    char found[4096];
    FILE *file = fopen(opened->path, "r");
    assert_non_null(file);
    found[fread(found, 1, sizeof found - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(found, expected);
}

#define ROW(id, said) \
    "{\"id\":" #id ",\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"x\":0.5,\"said\":" said "}\n"

static void a_row_is_a_line_in_the_order_of_columns(void **state)
{
    (void)state;
    opened opened;
    set_up(&opened);
    must(&opened, open_lines(&opened, opened.path));
    must(&opened, write_rows(&opened, 1, 1, "a \"b\"\n"));
    must(&opened, write_rows(&opened, 2, 2, NULL));
    expect_file(&opened, "");
    flush(&opened);
    expect_file(&opened, ROW(1, "\"a \\\"b\\\"\\n\"") ROW(2, "null") ROW(3, "null"));
    close_lines(&opened);
    tear_down(&opened);
}

/* What is there stays; a half line goes, whole ones do not. */
static void a_file_is_added_to(void **state)
{
    static const char *const before[][2] = {
        {"", ""},
        {"not ours\n", "not ours\n"},
        {"{\"id\":1}\n{\"id\":", "{\"id\":1}\n"},
        {"{\"id\":", ""},
        {"{", ""},
        {"a foreign half line", "a foreign half line\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        opened opened;
        set_up(&opened);
        put_text(opened.path, before[i][0]);
        must(&opened, open_lines(&opened, opened.path));
        expect_file(&opened, before[i][1]);
        must(&opened, write_rows(&opened, 5, 1, NULL));
        flush(&opened);
        char expected[256];
        snprintf(expected, sizeof expected, "%s%s", before[i][1], ROW(5, "null"));
        expect_file(&opened, expected);
        close_lines(&opened);
        tear_down(&opened);
    }
}

/* A half line that is longer than the pieces in which its beginning is looked for. */
static void a_long_half_line_goes(void **state)
{
    char line[10000];
    struct stat now;
    opened opened;
    (void)state;
    set_up(&opened);
    memset(line, 'x', sizeof line);
    memcpy(line + 100, "\n{\"id\":", strlen("\n{\"id\":"));
    line[sizeof line - 1] = '\0';
    put_text(opened.path, line);
    must(&opened, open_lines(&opened, opened.path));
    assert_int_equal(stat(opened.path, &now), 0);
    assert_int_equal(now.st_size, 101);
    close_lines(&opened);
    tear_down(&opened);
}

static void two_runs_do_not_share_a_file(void **state)
{
    opened first, second;
    (void)state;
    set_up(&first);
    set_up(&second);
    must(&first, open_lines(&first, first.path));
    assert_int_equal(open_lines(&second, first.path), FRESHET_TRY_AGAIN);
    assert_int_equal(second.err.then, FRESHET_STOP);
    assert_non_null(strstr(second.err.text, first.path));
    close_lines(&second);
    close_lines(&first);
    must(&second, open_lines(&second, first.path));
    close_lines(&second);
    tear_down(&second);
    tear_down(&first);
}

static void a_path_that_cannot_be_is_named(void **state)
{
    opened opened;
    (void)state;
    set_up(&opened);
    assert_int_equal(open_lines(&opened, "/nowhere/out.jsonl"), FRESHET_FAILED);
    assert_non_null(strstr(opened.err.text, "/nowhere/out.jsonl"));
    close_lines(&opened);
    tear_down(&opened);
}

/* Many rows are written before a flush, so that memory is bounded. */
static void not_much_is_held(void **state)
{
    char said[4001];
    struct stat now;
    opened opened;
    (void)state;
    set_up(&opened);
    memset(said, 'x', sizeof said - 1);
    said[sizeof said - 1] = '\0';
    must(&opened, open_lines(&opened, opened.path));
    must(&opened, write_rows(&opened, 0, 300, said));
    assert_int_equal(stat(opened.path, &now), 0);
    assert_int_equal(now.st_size, 0);
    must(&opened, write_rows(&opened, 300, 1, said));
    assert_int_equal(stat(opened.path, &now), 0);
    assert_true(now.st_size > 300 * 4000);
    close_lines(&opened);
    tear_down(&opened);
}

static int n_syncs;

static int counting_fsync(int fd)
{
    (void)fd;
    n_syncs++;
    return 0;
}

static void a_flush_makes_what_is_new_durable(void **state)
{
    opened opened;
    (void)state;
    set_up(&opened);
    n_syncs = 0;
    os.fsync = counting_fsync;
    must(&opened, open_lines(&opened, opened.path));
    assert_int_equal(n_syncs, 1); /* its entry in the folder */
    must(&opened, write_rows(&opened, 0, 1, NULL));
    flush(&opened);
    assert_int_equal(n_syncs, 2);
    flush(&opened);
    assert_int_equal(n_syncs, 2);
    close_lines(&opened);
    tear_down(&opened);
}

/* As in `freshet run flights.yaml > flights.jsonl`. */
static void stdout_may_be_a_file(void **state)
{
    opened opened;
    (void)state;
    set_up(&opened);
    fflush(stdout);
    const int before = dup(STDOUT_FILENO);
    const int file = open(opened.path, O_WRONLY | O_CREAT, 0600);
    n_syncs = 0;
    os.fsync = counting_fsync;
    dup2(file, STDOUT_FILENO);
    const freshet_code opening = open_lines(&opened, "-");
    const freshet_code writing = write_rows(&opened, 1, 2, NULL);
    const freshet_code flushing = jsonl_writer_ops.flush(opened.writer, &opened.err);
    close_lines(&opened);
    dup2(before, STDOUT_FILENO);
    must(&opened, opening);
    must(&opened, writing);
    must(&opened, flushing);
    assert_int_equal(n_syncs, 1);
    expect_file(&opened, ROW(1, "null") ROW(2, "null"));
    close(before);
    close(file);
    tear_down(&opened);
}

/* ---- pipes ----------------------------------------------------------------------------------- */

/* The path of a pipe and the end that is read, which does not block. */
static int open_pipe(opened *opened)
{
    assert_int_equal(mkfifo(opened->path, 0600), 0);
    const int fd = open(opened->path, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    return fd;
}

static size_t drain(int fd)
{
    char bytes[65536];
    size_t all = 0;
    ssize_t n;
    while ((n = read(fd, bytes, sizeof bytes)) > 0)
        all += (size_t)n;
    return all;
}

static size_t n_drained;
static int drained_fd;

/* In the place of waiting, the reader takes what is there. */
static int draining_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    n_drained += drain(drained_fd);
    return poll(fds, n, timeout_ms);
}

static void a_pipe_gets_all_bytes_at_its_readers_pace(void **state)
{
    opened opened;
    (void)state;
    set_up(&opened);
    drained_fd = open_pipe(&opened);
    n_drained = 0;
    must(&opened, open_lines(&opened, opened.path));
    os.poll = draining_poll;
    must(&opened, write_rows(&opened, 1000, 5000, NULL)); /* more than a pipe holds */
    flush(&opened);
    n_drained += drain(drained_fd);
    assert_int_equal(n_drained, 5000 * strlen(ROW(1000, "null")));
    close(drained_fd);
    close_lines(&opened);
    tear_down(&opened);
}

static int impatient_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    assert_int_not_equal(timeout_ms, -1); /* it would wait for ever */
    return poll(fds, n, 0);
}

/* A reader that takes nothing does not keep a run from ending; what it has taken does not come
 * again. */
static void a_stop_does_not_wait_for_the_reader(void **state)
{
    opened opened;
    (void)state;
    set_up(&opened);
    const int fd = open_pipe(&opened);
    must(&opened, open_lines(&opened, opened.path));
    must(&opened, write_rows(&opened, 1000, 5000, NULL));
    opened.stopping = true;
    os.poll = impatient_poll;
    assert_int_equal(jsonl_writer_ops.flush(opened.writer, &opened.err), FRESHET_TRY_AGAIN);
    assert_int_equal(opened.err.then, FRESHET_RETRY);
    os_restore();
    opened.stopping = false;
    os.poll = draining_poll;
    drained_fd = fd;
    n_drained = 0;
    flush(&opened);
    n_drained += drain(fd);
    assert_int_equal(n_drained, 5000 * strlen(ROW(1000, "null")));
    close(fd);
    close_lines(&opened);
    tear_down(&opened);
}

static void a_reader_that_is_gone_ends_the_run(void **state)
{
    opened opened;
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    set_up(&opened);
    const int fd = open_pipe(&opened);
    must(&opened, open_lines(&opened, opened.path));
    close(fd);
    must(&opened, write_rows(&opened, 0, 1, NULL));
    assert_int_equal(jsonl_writer_ops.flush(opened.writer, &opened.err), FRESHET_FAILED);
    assert_int_equal(opened.err.then, FRESHET_STOP);
    assert_non_null(strstr(opened.err.text, "nobody reads"));
    close_lines(&opened);
    tear_down(&opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_a_line_in_the_order_of_columns),
        cmocka_unit_test(a_file_is_added_to),
        cmocka_unit_test(a_long_half_line_goes),
        cmocka_unit_test(two_runs_do_not_share_a_file),
        cmocka_unit_test(a_path_that_cannot_be_is_named),
        cmocka_unit_test(not_much_is_held),
        cmocka_unit_test(a_flush_makes_what_is_new_durable),
        cmocka_unit_test(stdout_may_be_a_file),
        cmocka_unit_test(a_pipe_gets_all_bytes_at_its_readers_pace),
        cmocka_unit_test(a_stop_does_not_wait_for_the_reader),
        cmocka_unit_test(a_reader_that_is_gone_ends_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
