/* tsan */
/* sql_ahead_test.c - a cursor that reads ahead gives what one gives that does not: all rows in
 * their order, the error where it comes, it may be closed at any time, and who watches the caller
 * can stop it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

/* 20 pieces, and then for hours nothing. DuckDB would look for more of them before it gives the
 * first, unless its buffer is small. */
#define SMALL_BUFFER "SET streaming_buffer_size = '1 KB'"
#define ENDLESS "select i from range(1000000000000) r(i) where i < 20 * 2048 or hash(i) = 1"

static void read_pieces(sql_cursor *cursor, arena *arena, uint32_t n)
{
    freshet_error err = {0};
    batch rows;
    for (uint32_t i = 0; i < n; i++)
        must(sql_next(cursor, arena, &rows, &err), &err);
}

static void closed_while_nothing_comes(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    sql_statement *statement = NULL;
    must(sql_execute(here->session, SMALL_BUFFER, NULL, &err), &err);
    must(sql_prepare(here->session, ENDLESS, &statement, NULL, &err), &err);
    for (useconds_t wait_us = 0; wait_us < 100000; wait_us += 30000) {
        sql_cursor *cursor = NULL;
        must(sql_cursor_open(statement, &cursor, &err), &err);
        must(sql_cursor_read_ahead(cursor, &err), &err);
        read_pieces(cursor, here->arena, 10);
        usleep(wait_us);
        sql_cursor_close(cursor);
        assert_string_equal(answer(here, "select 7 as n"), "{\"n\":7}\n");
    }
    sql_statement_close(statement);
}

typedef struct watcher {
    sql_watch watch;
    atomic_bool ends;
} watcher;

static void *interrupt_on(void *context)
{
    watcher *watcher = context;
    while (!atomic_load(&watcher->ends)) {
        usleep(5000);
        sql_watch_interrupt(&watcher->watch);
    }
    return NULL;
}

static void watched_while_nothing_comes(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    sql_statement *statement = NULL;
    sql_cursor *cursor = NULL;
    watcher watcher = {0};
    pthread_t thread;
    batch rows;
    must(sql_execute(here->session, SMALL_BUFFER, NULL, &err), &err);
    must(sql_prepare(here->session, ENDLESS, &statement, NULL, &err), &err);
    must(sql_cursor_open(statement, &cursor, &err), &err);
    must(sql_cursor_read_ahead(cursor, &err), &err);
    read_pieces(cursor, here->arena, 10);
    sql_watch_init(&watcher.watch);
    sql_watch_begin(&watcher.watch);
    assert_int_equal(pthread_create(&thread, NULL, interrupt_on, &watcher), 0);
    freshet_code code = FRESHET_OK;
    while (code == FRESHET_OK)
        code = sql_next(cursor, here->arena, &rows, &err);
    assert_int_equal(code, FRESHET_LIMIT);
    assert_non_null(strstr(err.text, "interrupted"));
    atomic_store(&watcher.ends, true);
    pthread_join(thread, NULL);
    sql_watch_end();
    sql_watch_destroy(&watcher.watch);
    sql_cursor_close(cursor);
    sql_statement_close(statement);
    assert_string_equal(answer(here, "select 7 as n"), "{\"n\":7}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closed_in_the_middle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closed_while_nothing_comes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(watched_while_nothing_comes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
