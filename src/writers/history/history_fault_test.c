/* history_fault_test.c - the history when the system fails: each call once, at each of its times.
 * Whatever fails, every row is there once in the end, and nothing half is ever seen.
 */
#include "writers/history/history_testing.h"

static field fields[3];

/* Which call fails, and when: the countdown reaches 0 at it. */
static int countdown, error_number;
static bool stays; /* it fails from then on */

static bool fails(void)
{
    if (countdown > 0 && --countdown > 0)
        return false;
    if (countdown < 0)
        return false;
    if (!stays)
        countdown = -1;
    errno = error_number;
    return true;
}

static os_table real;

static int failing_fsync(int fd)
{
    return fails() ? -1 : real.fsync(fd);
}

static int failing_rename(const char *from, const char *to)
{
    return fails() ? -1 : real.rename(from, to);
}

static int failing_mkdir(const char *path, mode_t mode)
{
    return fails() ? -1 : real.mkdir(path, mode);
}

static int failing_open(const char *path, int flags, mode_t mode)
{
    return fails() ? -1 : real.open(path, flags, mode);
}

static int failing_unlink(const char *path)
{
    return fails() ? -1 : real.unlink(path);
}

static ssize_t failing_write(int fd, const void *from, size_t size)
{
    return fails() ? -1 : real.write(fd, from, size < 10 ? size : 10); /* in pieces */
}

static ssize_t failing_read(int fd, void *into, size_t size)
{
    return fails() ? -1 : real.read(fd, into, size < 10 ? size : 10);
}

typedef enum call { FSYNC, RENAME, MKDIR, OPEN, UNLINK, WRITE, READ, CALLS } call;

static void arm(call call, int nth, int number, bool forever)
{
    os_restore();
    real = os;
    countdown = nth;
    error_number = number;
    stays = forever;
    switch (call) {
    case FSYNC: os.fsync = failing_fsync; break;
    case RENAME: os.rename = failing_rename; break;
    case MKDIR: os.mkdir = failing_mkdir; break;
    case OPEN: os.open = failing_open; break;
    case UNLINK: os.unlink = failing_unlink; break;
    case WRITE: os.write = failing_write; break;
    case READ: os.read = failing_read; break;
    case CALLS: break;
    }
}

static rig *make_with(bool is_batch, const char *options)
{
    static const char *const names[] = {"id", "timestamp", "x"};
    static const type_kind kinds[] = {TYPE_BIGINT, TYPE_TIMESTAMP, TYPE_DOUBLE};
    for (int i = 0; i < 3; i++)
        fields[i] = (field){names[i], type_simple(kinds[i])};
    return rig_make(fields, 3, is_batch, options);
}

static rig *make(bool is_batch)
{
    return make_with(is_batch, ", rows: 4");
}

/* n rows from id `first` on, two a day. */
static batch make_rows(rig *rig, int64_t first, uint32_t n)
{
    batch rows;
    assert_int_equal(batch_init(&rows, rig->arena, &rig->schema, n, NULL), FRESHET_OK);
    for (uint32_t i = 0; i < n; i++) {
        ((int64_t *)rows.columns[0].data)[i] = first + i;
        ((int64_t *)rows.columns[1].data)[i] = NEW_YEAR_US + (first + i) * DAY_US / 2;
    }
    rows.n_rows = n;
    return rows;
}

static freshet_code write_rows(rig *rig, int64_t first, uint32_t n)
{
    batch rows = make_rows(rig, first, n);
    return history_writer_ops.write(rig->writer, &rows, &rig->err);
}

static freshet_code publish(rig *rig)
{
    writer_files files;
    freshet_code code = history_writer_ops.pending(rig->writer, rig->arena, &files, &rig->err);
    return code == FRESHET_OK ? history_writer_ops.publish(rig->writer, &files, &rig->err) : code;
}

static freshet_code flush(rig *rig)
{
    return history_writer_ops.flush(rig->writer, &rig->err);
}

static void assert_ids(rig *rig, const char *expected)
{
    assert_string_equal(
        rig_query(rig, "select array_agg(id order by id) as ids from " AS_ONE_TABLE), expected);
}

/* An error for which the call may come again; it names the place. */
static void assert_retry(const rig *rig, freshet_code code)
{
    assert_int_equal(code, FRESHET_TRY_AGAIN);
    assert_int_equal(rig->err.then, FRESHET_RETRY);
    assert_non_null(strstr(rig->err.text, rig->folder));
    assert_non_null(strstr(rig->err.text, "No space left on device"));
}

/* Twelve rows of six days in three calls, then published by `finish`; each call that fails is
 * repeated. Gives the number of failures. */
static int write_through(rig *rig, freshet_code (*finish)(struct rig *))
{
    int n_failures = 0;
    for (int64_t first = 0; first < 12; first += 4) {
        freshet_code code;
        while ((code = write_rows(rig, first, 4)) != FRESHET_OK) {
            assert_retry(rig, code);
            assert_true(++n_failures < 100);
        }
    }
    for (freshet_code code; (code = finish(rig)) != FRESHET_OK;) {
        assert_retry(rig, code);
        assert_true(++n_failures < 100);
    }
    return n_failures;
}

static void every_call_fails_once(void **state)
{
    (void)state;
    static const call calls[] = {FSYNC, RENAME, MKDIR, OPEN, WRITE, UNLINK};
    int n_all = 0;
    for (int is_batch = 0; is_batch < 2; is_batch++)
        for (size_t c = 0; c < sizeof calls / sizeof *calls; c++)
            for (int nth = 1; nth < 200; nth++) {
                rig *rig = make(is_batch);
                arm(calls[c], nth, ENOSPC, false);
                int n_failures = write_through(rig, is_batch ? publish : flush);
                os_restore();
                assert_ids(rig, "{\"ids\":[0,1,2,3,4,5,6,7,8,9,10,11]}\n");
                rig_free(rig);
                n_all += n_failures;
                if (n_failures == 0)
                    break; /* the nth never came */
                nth += nth / 2;
            }
    assert_true(n_all > 40);
}

/* The batch dies where a call fails for good: at the next open the days are the old ones, or the
 * new ones; with `all` no others stay. */
static void die_in_the_middle(bool all)
{
    static const call calls[] = {FSYNC, RENAME, MKDIR, OPEN, WRITE, UNLINK};
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++)
        for (int nth = 1; nth < 200; nth += 1 + nth / 2) {
            rig *rig = make_with(true, all ? ", rows: 4, interval_mode: false" : ", rows: 4");
            assert_int_equal(write_rows(rig, 0, 12), FRESHET_OK);
            assert_int_equal(publish(rig), FRESHET_OK);
            rig_close(rig);
            assert_int_equal(rig_open(rig), FRESHET_OK);
            arm(calls[c], nth, EIO, true);
            /* new rows of the first and the last day; the last has two files now, and the first one
             * fewer */
            batch rows = make_rows(rig, 0, 9);
            int64_t *ids = rows.columns[0].data, *times_us = rows.columns[1].data;
            for (int i = 0; i < 9; i++) {
                ids[i] = 100 + i;
                times_us[i] = NEW_YEAR_US + (i < 2 ? 0 : 5 * DAY_US);
            }
            freshet_code code = history_writer_ops.write(rig->writer, &rows, &rig->err);
            if (code == FRESHET_OK)
                code = publish(rig);
            if (code != FRESHET_OK) {
                assert_int_equal(code, FRESHET_FAILED);
                assert_int_equal(rig->err.then, FRESHET_STOP);
                assert_non_null(strstr(rig->err.text, rig->folder));
            }
            rig_close(rig);
            os_restore();
            assert_int_equal(rig_open(rig), FRESHET_OK);
            const char *found = arena_text(
                rig->arena,
                rig_query(rig, "select array_agg(id order by id) as ids from " AS_ONE_TABLE));
            if (code == FRESHET_OK || strstr(found, "100") != NULL)
                assert_string_equal(
                    found,
                    all ? "{\"ids\":[100,101,102,103,104,105,106,107,108]}\n"
                        : "{\"ids\":[2,3,4,5,6,7,8,9,100,101,102,103,104,105,106,107,108]}\n");
            else
                assert_string_equal(found, "{\"ids\":[0,1,2,3,4,5,6,7,8,9,10,11]}\n");
            rig_close(rig);
            rig_open(rig);
            rig_free(rig);
            if (code == FRESHET_OK)
                break;
        }
}

static void a_batch_dies_in_the_middle(void **state)
{
    (void)state;
    die_in_the_middle(false);
}

static void a_batch_that_replaces_all_dies_in_the_middle(void **state)
{
    (void)state;
    die_in_the_middle(true);
}

static void opening_fails(void **state)
{
    (void)state;
    static const call calls[] = {MKDIR, OPEN};
    rig *rig = make(true);
    for (size_t c = 0; c < 2; c++) {
        rig_close(rig);
        rig_declare(rig, calls[c] == MKDIR ? "other" : "h", "");
        arm(calls[c], 1, EACCES, true);
        assert_int_equal(rig_open(rig), FRESHET_FAILED);
        assert_int_equal(rig->err.then, FRESHET_STOP);
        assert_non_null(strstr(rig->err.text, rig->folder));
        assert_non_null(strstr(rig->err.text, "Permission denied"));
        os_restore();
    }
    rig_close(rig);
    assert_int_equal(rig_open(rig), FRESHET_OK);
    rig_free(rig);
}

static void put_file(rig *rig, const char *name, const char *text)
{
    int fd = open(rig_path(rig, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void a_damaged_list_is_refused(void **state)
{
    (void)state;
    static const char *const lists[] = {
        "",
        "x",
        "freshet replaces partitions by these files\n",
        "freshet replaces partitions by these files\nyear=1/a.parquet\n",
        "freshet replaces partitions by these files\nyear=1/a.parquet\nend",
        "freshet replaces partitions by these files\n../a.parquet\nend\n",
        "freshet replaces partitions by these files\n/a.parquet\nend\n",
        "freshet replaces partitions by these files\nyear=1/a.text\nend\n",
        "freshet replaces partitions by these files\n\nend\n",
        "freshet replaces all partitions by these files\nend\n",
    };
    rig *rig = make(true);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        rig_close(rig);
        put_file(rig, ".freshet/replace", lists[i]);
        assert_int_equal(rig_open(rig), FRESHET_FAILED);
        assert_non_null(strstr(rig->err.text, "/h/.freshet/replace, a list of files"));
    }
    rig_close(rig);
    put_file(rig, ".freshet/replace", "freshet replaces partitions by these files\nend\n");
    arm(READ, 1, EIO, true);
    assert_int_equal(rig_open(rig), FRESHET_FAILED);
    rig_close(rig);
    arm(READ, 1000, EIO, true); /* in small pieces */
    assert_int_equal(rig_open(rig), FRESHET_OK);
    rig_free(rig);
}

/* ---- what is made durable -------------------------------------------------------------------- */

static char opened_paths[256][128], synced[8192];

static int noting_open(const char *path, int flags, mode_t mode)
{
    const int fd = real.open(path, flags, mode);
    if (fd >= 0 && fd < 256)
        snprintf(opened_paths[fd], sizeof opened_paths[fd], "%s", path);
    return fd;
}

static int noting_fsync(int fd)
{
    const size_t length = strlen(synced);
    snprintf(synced + length, sizeof synced - length, "%s\n", opened_paths[fd]);
    return real.fsync(fd);
}

/* The folder of the files that lie aside, last: without it a power cut takes away files that the
 * checkpoint lists. */
static void files_aside_are_durable_with_their_folder(void **state)
{
    (void)state;
    rig *rig = make(false);
    writer_files files = {0};
    assert_int_equal(history_writer_ops.recover(rig->writer, &files, &rig->err), FRESHET_OK);
    assert_int_equal(write_rows(rig, 0, 4), FRESHET_OK);
    real = os;
    os.open = noting_open;
    os.fsync = noting_fsync;
    synced[0] = '\0';
    assert_int_equal(history_writer_ops.pending(rig->writer, rig->arena, &files, &rig->err),
                     FRESHET_OK);
    os_restore();
    assert_int_equal(files.n, 2);
    const char *end = arena_format(rig->arena, "%s/h/.freshet\n", rig->folder);
    assert_true(strlen(synced) > strlen(end));
    assert_string_equal(synced + strlen(synced) - strlen(end), end);
    for (uint32_t i = 0; i < files.n; i++)
        assert_non_null(strstr(synced, strrchr(files.paths[i], '/') + 1));
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_aside_are_durable_with_their_folder),
        cmocka_unit_test(every_call_fails_once),
        cmocka_unit_test(a_batch_dies_in_the_middle),
        cmocka_unit_test(a_batch_that_replaces_all_dies_in_the_middle),
        cmocka_unit_test(opening_fails),
        cmocka_unit_test(a_damaged_list_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
