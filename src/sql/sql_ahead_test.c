/* tsan */
/* sql_ahead_test.c - a cursor that reads ahead gives what one gives that does not: all rows in
 * their order, the error where it comes, and it may be closed at any time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sql/sql_testing.h"

/* Numbers and long texts; from 150,000 on a cast fails. */
#define ROWS_OF(n)                                                                 \
    "select i, 'a text that is not inlined ' || i t from range(" n ") r(i) where " \
    "case when i < 150000 then 1 else ('x' || i)::integer end = 1"

typedef struct outcome {
    int64_t n_rows;
    int64_t sum;
    freshet_code code;
    char text[200];
} outcome;

/* Up to so many pieces. */
static outcome read_all(bench *here, const char *sql, bool ahead, uint32_t n_pieces)
{
    freshet_error err = {0};
    sql_statement *statement = NULL;
    sql_cursor *cursor = NULL;
    outcome out = {0};
    must(sql_prepare(here->session, sql, &statement, NULL, &err), &err);
    must(sql_cursor_open(statement, &cursor, &err), &err);
    if (ahead)
        must(sql_cursor_read_ahead(cursor, &err), &err);
    arena *arena = arena_open();
    for (uint32_t piece = 0; out.code == FRESHET_OK && piece < n_pieces; piece++) {
        batch rows;
        arena_reset(arena);
        out.code = sql_next(cursor, arena, &rows, &err);
        for (uint32_t i = 0; out.code == FRESHET_OK && i < rows.n_rows; i++) {
            const cell_text *text = &((const cell_text *)rows.columns[1].data)[i];
            char expected[64];
            assert_int_equal(((const int64_t *)rows.columns[0].data)[i], out.n_rows);
            snprintf(expected, sizeof expected, "a text that is not inlined %lld",
                     (long long)out.n_rows);
            assert_int_equal(text->length, strlen(expected));
            assert_memory_equal(text_bytes(text), expected, text->length);
            out.sum += out.n_rows++;
        }
    }
    snprintf(out.text, sizeof out.text, "%.199s", err.text);
    if (out.code != FRESHET_OK)
        assert_int_equal(sql_next(cursor, arena, &(batch){0}, &err), FRESHET_END);
    sql_cursor_close(cursor);
    sql_statement_close(statement);
    arena_close(arena);
    return out;
}

static void the_same_rows(void **state)
{
    static const char *const queries[] = {ROWS_OF("0"), ROWS_OF("1"), ROWS_OF("2049"),
                                          ROWS_OF("100000")};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        const outcome expected = read_all(*state, queries[i], false, UINT32_MAX);
        const outcome found = read_all(*state, queries[i], true, UINT32_MAX);
        assert_int_equal(found.code, FRESHET_END);
        assert_int_equal(expected.code, FRESHET_END);
        assert_int_equal(found.n_rows, expected.n_rows);
        assert_int_equal(found.sum, expected.sum);
    }
}

static void the_same_error(void **state)
{
    const outcome expected = read_all(*state, ROWS_OF("200000"), false, UINT32_MAX);
    const outcome found = read_all(*state, ROWS_OF("200000"), true, UINT32_MAX);
    assert_int_equal(expected.code, FRESHET_FAILED);
    assert_int_equal(found.code, FRESHET_FAILED);
    assert_int_equal(found.n_rows, expected.n_rows);
    assert_string_equal(found.text, expected.text);
}

/* With pieces under way; the session goes on. */
static void closed_in_the_middle(void **state)
{
    for (uint32_t n = 0; n < 40; n += 3) {
        const outcome found = read_all(*state, ROWS_OF("1000000"), true, n);
        assert_int_equal(found.code, FRESHET_OK);
        assert_int_equal(found.n_rows, INT64_C(2048) * n);
        assert_string_equal(answer(*state, "select 7 as n"), "{\"n\":7}\n");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closed_in_the_middle, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
