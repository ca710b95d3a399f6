/* tsan */
/* history_pieces_test.c - a batch's files, made in threads beside the loop: the same rows in the
 * same order within a partition as with one worker, whatever fails.
 */
#include "writers/history/history_testing.h"

#include <stdatomic.h>

#include "base/error.h"

#define ROWS 4000u
#define ADDED 37u /* at a time */

static const char all_rows[] =
    "select id, x, epoch_us(timestamp) as t from read_parquet('%s/**/*.parquet', filename = true, "
    "file_row_number = true) order by filename, file_row_number";

static field fields[3];

static rig *make(uint32_t n_workers)
{
    static const char *const names[] = {"id", "timestamp", "x"};
    static const type_kind kinds[] = {TYPE_BIGINT, TYPE_TIMESTAMP, TYPE_DOUBLE};
    for (int i = 0; i < 3; i++)
        fields[i] = (field){names[i], type_simple(kinds[i])};
    rig *rig = rig_make(fields, 3, true, ", rows: 300");
    rig_close(rig);
    rig_open_writer(rig);
    rig->writer->n_workers = n_workers;
    assert_int_equal(history_writer_ops.open(rig->writer, &rig->schema, 1, &rig->err), FRESHET_OK);
    return rig;
}

/* Rows of five days in turn, one of them far away where `far`. */
static batch make_rows(rig *rig, uint32_t first, bool far)
{
    batch rows;
    assert_int_equal(batch_init(&rows, rig->arena, &rig->schema, ADDED, NULL), FRESHET_OK);
    for (uint32_t i = 0; i < ADDED; i++) {
        const uint32_t n = first + i;
        const int64_t day = n % 5 == 4 && far ? 500000 : n % 5;
        ((int64_t *)rows.columns[0].data)[i] = n % 11;
        ((int64_t *)rows.columns[1].data)[i] = NEW_YEAR_US + day * DAY_US + n;
        ((double *)rows.columns[2].data)[i] = n;
    }
    rows.n_rows = ADDED;
    return rows;
}

/* Every call that fails is repeated; gives the number of failures. */
static int write_through(rig *rig, bool far)
{
    int n_failures = 0;
    writer_files files;
    freshet_code code;
    for (uint32_t first = 0; first < ROWS; first += ADDED) {
        batch rows = make_rows(rig, first, far);
        while (history_writer_ops.write(rig->writer, &rows, &rig->err) != FRESHET_OK) {
            assert_int_equal(rig->err.then, FRESHET_RETRY);
            assert_true(++n_failures < 100);
        }
    }
    do {
        code = history_writer_ops.pending(rig->writer, rig->arena, &files, &rig->err);
        if (code == FRESHET_OK)
            code = history_writer_ops.publish(rig->writer, &files, &rig->err);
        if (code != FRESHET_OK)
            assert_int_equal(rig->err.then, FRESHET_RETRY);
        assert_true(code == FRESHET_OK || ++n_failures < 100);
    } while (code != FRESHET_OK);
    return n_failures;
}

static void the_same_rows_with_any_number_of_workers(void **state)
{
    (void)state;
    static const uint32_t workers[] = {1, 2, 5};
    for (int far = 0; far < 2; far++) {
        char *expected = NULL;
        for (int w = 0; w < 3; w++) {
            rig *rig = make(workers[w]);
            assert_int_equal(write_through(rig, far != 0), 0);
            const char *rows = rig_query(rig, all_rows);
            if (w == 0)
                expected = strdup(rows);
            else
                assert_string_equal(rows, expected);
            rig_free(rig);
        }
        assert_non_null(strstr(expected, "\"x\":3999"));
        free(expected);
    }
}

/* ---- what fails ------------------------------------------------------------------------------ */

static atomic_int countdown;
static os_table real;

static bool fails(void)
{
    if (atomic_fetch_sub(&countdown, 1) != 1)
        return false;
    errno = ENOSPC;
    return true;
}

static int failing_fsync(int fd)
{
    return fails() ? -1 : real.fsync(fd);
}

static int failing_open(const char *path, int flags, mode_t mode)
{
    return fails() ? -1 : real.open(path, flags, mode);
}

static void what_fails_in_a_thread_is_told_and_done_again(void **state)
{
    (void)state;
    int n_all = 0;
    for (int call = 0; call < 2; call++)
        for (int nth = 1; nth < 300; nth += 1 + nth / 2) {
            rig *rig = make(3);
            real = os;
            atomic_store(&countdown, nth);
            if (call == 0)
                os.fsync = failing_fsync;
            else
                os.open = failing_open;
            n_all += write_through(rig, false);
            const char *counted = rig_query(rig, "select count(*) as n, count(distinct x) as d "
                                                 "from read_parquet('%s/**/*.parquet')");
            assert_string_equal(counted, "{\"n\":4033,\"d\":4033}\n");
            rig_free(rig);
        }
    assert_true(n_all > 10);
}

/* ---- a stop ---------------------------------------------------------------------------------- */

static bool is_stopping(void *context)
{
    return atomic_fetch_sub((atomic_int *)context, 1) <= 0;
}

static void a_stop_ends_it_between_two_files(void **state)
{
    (void)state;
    for (int files = 0; files < 40; files += 7) {
        rig *rig = make(2);
        atomic_int left = files;
        writer_files pending;
        freshet_code code = FRESHET_OK;
        rig->writer->context = &left;
        rig->writer->is_stopping = is_stopping;
        for (uint32_t first = 0; code == FRESHET_OK && first < ROWS; first += ADDED) {
            batch rows = make_rows(rig, first, false);
            code = history_writer_ops.write(rig->writer, &rows, &rig->err);
        }
        if (code == FRESHET_OK)
            code = history_writer_ops.pending(rig->writer, rig->arena, &pending, &rig->err);
        assert_int_not_equal(code, FRESHET_OK);
        assert_true(error_is_stopped(&rig->err));
        rig_close(rig);
        assert_int_equal(rig_count_files(rig), 0);
        assert_string_equal(rig_query(rig, "select count(*) as n from glob('%s/.freshet/*.aside')"),
                            "{\"n\":0}\n");
        rig_free(rig);
    }
}

/* The run ends in the middle, with threads under way. */
static void closing_waits_for_threads(void **state)
{
    (void)state;
    for (uint32_t rows_before = ADDED; rows_before < ROWS; rows_before *= 3) {
        rig *rig = make(4);
        for (uint32_t first = 0; first < rows_before; first += ADDED) {
            batch rows = make_rows(rig, first, false);
            assert_int_equal(history_writer_ops.write(rig->writer, &rows, &rig->err), FRESHET_OK);
        }
        rig_close(rig);
        assert_int_equal(rig_count_files(rig), 0);
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_rows_with_any_number_of_workers),
        cmocka_unit_test(what_fails_in_a_thread_is_told_and_done_again),
        cmocka_unit_test(a_stop_ends_it_between_two_files),
        cmocka_unit_test(closing_waits_for_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
