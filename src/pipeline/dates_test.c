/* dates_test.c - the days of a batch run: what is a day, and which rows are within. */
#include "pipeline/dates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define DAY_US (INT64_C(86400) * 1000000)

static void days_are_read_strictly(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",           "2024-5-01",   "2024-05-1",  "24-05-01",
                                        "2024/05/01", "2024-05-01 ", " 2024-05-0", "2024-13-01",
                                        "2024-00-10", "2024-02-30",  "2023-02-29", "2024-05-00",
                                        "2024-05-32", "yesterday",   "2024-05-0x", "+024-05-01"};
    dates dates;
    freshet_error err;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(dates_read(wrong[i], NULL, &dates, &err), FRESHET_USAGE);
        assert_non_null(strstr(err.text, "start date"));
        assert_non_null(strstr(err.text, "YYYY-MM-DD"));
        assert_int_equal(dates_read("2024-01-01", wrong[i], &dates, &err), FRESHET_USAGE);
        assert_non_null(strstr(err.text, "end date"));
    }
    assert_int_equal(dates_read("2024-05-02", "2024-05-01", &dates, &err), FRESHET_USAGE);
    assert_non_null(strstr(err.text, "is after"));
    assert_int_equal(dates_read("2024-02-29", "2024-02-29", &dates, &err), FRESHET_OK);
    assert_int_equal(dates.first_us, date_days(2024, 2, 29) * DAY_US);
    assert_int_equal(dates.last_us, date_days(2024, 3, 1) * DAY_US - 1);
}

static uint32_t kept(const char *start, const char *end, const int64_t *times_us, uint32_t n,
                     int64_t *into)
{
    static const field fields[] = {{"id", NULL}, {"timestamp", NULL}};
    field typed[2] = {fields[0], fields[1]};
    typed[0].type = type_simple(TYPE_BIGINT);
    typed[1].type = type_simple(TYPE_TIMESTAMP);
    const schema schema = {2, typed};
    arena *arena = arena_open();
    dates dates;
    batch rows;
    assert_int_equal(dates_read(start, end, &dates, NULL), FRESHET_OK);
    assert_int_equal(batch_init(&rows, arena, &schema, n + 1, NULL), FRESHET_OK);
    uint8_t kinds[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int64_t write_us[8] = {10, 20, 30, 40, 50, 60, 70, 80};
    memcpy(rows.columns[1].data, times_us, n * sizeof *times_us);
    for (uint32_t i = 0; i < n; i++)
        ((int64_t *)rows.columns[0].data)[i] = i;
    rows.n_rows = n;
    rows.row_kinds = kinds;
    rows.write_us = write_us;
    assert_int_equal(dates_cut(&dates, 1, &rows, NULL), FRESHET_OK);
    for (uint32_t i = 0; i < rows.n_rows; i++) {
        into[i] = ((int64_t *)rows.columns[0].data)[i];
        assert_int_equal(rows.row_kinds[i], into[i] + 1);
        assert_int_equal(rows.write_us[i], (into[i] + 1) * 10);
    }
    arena_close(arena);
    return rows.n_rows;
}

static void both_days_are_included(void **state)
{
    (void)state;
    const int64_t first_us = date_days(2024, 5, 1) * DAY_US;
    const int64_t times_us[] = {first_us - 1,      first_us,  first_us + DAY_US - 1,
                                first_us + DAY_US, INT64_MIN, INT64_MAX};
    int64_t ids[8];
    assert_int_equal(kept("2024-05-01", "2024-05-01", times_us, 6, ids), 2);
    assert_true(ids[0] == 1 && ids[1] == 2);
    assert_int_equal(kept("2024-05-01", NULL, times_us, 6, ids), 4);
    assert_true(ids[0] == 1 && ids[1] == 2 && ids[2] == 3 && ids[3] == 5);
    assert_int_equal(kept(NULL, "2024-05-01", times_us, 6, ids), 4);
    assert_true(ids[0] == 0 && ids[1] == 1 && ids[2] == 2 && ids[3] == 4);
    assert_int_equal(kept(NULL, NULL, times_us, 6, ids), 6);
    assert_int_equal(kept("1969-12-31", "1969-12-31", times_us, 6, ids), 0);
    assert_int_equal(kept("2024-05-01", "2024-05-01", times_us, 0, ids), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_are_read_strictly),
        cmocka_unit_test(both_days_are_included),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
