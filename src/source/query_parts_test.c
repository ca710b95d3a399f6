/* query_parts_test.c - queries cut into their columns and rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "source/query_parts.h"

static void check_column(const char *sql, uint32_t select, const char *name, const char *expected)
{
    arena *arena = arena_open();
    query_parts parts;
    assert_true(query_parts_read(arena, sql, &parts));
    assert_true(parts.is_split);
    assert_string_equal(query_parts_column(arena, &parts, select, name), expected);
    arena_close(arena);
}

static void check_rows(const char *sql, uint32_t select, const char *expected)
{
    arena *arena = arena_open();
    query_parts parts;
    assert_true(query_parts_read(arena, sql, &parts));
    assert_true(parts.is_split);
    assert_string_equal(query_parts_rows(arena, &parts.selects[select]), expected);
    arena_close(arena);
}

static void check_whole(const char *sql)
{
    arena *arena = arena_open();
    query_parts parts;
    assert_true(query_parts_read(arena, sql, &parts));
    assert_false(parts.is_split);
    arena_close(arena);
}

static void columns_and_rows(void **state)
{
    static const char join[] =
        "WITH d AS (SELECT a, b FROM dim) select e.a, \"B\", (x + 1) AS y, f(1, 2) as z, "
        "n is distinct from m as differs from e join d using (a) where x > 1;";
    (void)state;
    check_column(join, 0, "A", "e.a");
    check_column(join, 0, "b", "b");
    check_column(join, 0, "y", "(x + 1) as y");
    check_column(join, 0, "z", "f(1, 2) as z");
    check_column(join, 0, "differs", "n is distinct from m as differs");
    check_rows(join, 0, "with d as(select a, b from dim) ... from e join d using(a) where x > 1");
    check_column("select 1 as a", 0, "a", "1 as a");
    check_rows("select 1 as a", 0, "");
}

static void stars(void **state)
{
    (void)state;
    check_column("select *, 1 as x from ev", 0, "Cents", "cents");
    check_column("select t.*, 1 as x from ev t", 0, "cents", "t.cents");
    check_column("select * exclude (b), 1 as x from ev", 0, "cents", "* exclude(b)");
    check_column("select a.*, b.*, 1 as x from a join b using (i)", 0, "cents", "a.*, b.*");
    check_column("select *, 1 as x from ev", 0, "x", "1 as x");
    check_column("select columns('c.*') from ev", 0, "c1", "columns('c.*')");
}

static void unions(void **state)
{
    static const char two[] = "select a, b as c from x union all select d, e + 1 as f from y";
    (void)state;
    check_column(two, 0, "c", "b as c");
    check_column(two, 1, "c", "e + 1 as f");
    check_rows(two, 1, "from y");
    check_column("select a, b from x union all select * from y", 1, "b", "*");
}

static void queries_of_other_forms(void **state)
{
    (void)state;
    check_whole("select distinct a from ev");
    check_whole("from ev select a");
    check_whole("select a + b from ev");
    check_whole("select a b from ev");
    check_whole("select a from x union select a from y");
    check_whole("select a from x union all by name select a from y");
    check_whole("(select a from x) union all select a from y");
    check_whole("select a from x except select a from y");
    check_whole("with recursive r as (select 1 as a) select a from r");
    check_whole("select , from x");
    check_whole("");
}

static void what_is_read(void **state)
{
    arena *arena = arena_open();
    query_parts parts;
    (void)state;
    assert_true(query_parts_read(
        arena, "select e.a, b + c as d, * from e join f on e.k = f.k where g > 1", &parts));
    assert_true(query_parts_reads(&parts, 0, "a", "A"));
    assert_false(query_parts_reads(&parts, 0, "a", "b"));
    assert_true(query_parts_reads(&parts, 0, "d", "c"));
    assert_true(query_parts_reads(&parts, 0, "z", "z"));
    assert_false(query_parts_reads(&parts, 0, "z", "y"));
    assert_true(query_parts_reads(&parts, 0, NULL, "k"));
    assert_true(query_parts_reads(&parts, 0, NULL, "g"));
    assert_false(query_parts_reads(&parts, 0, NULL, "c"));
    assert_true(query_select_names(&parts.selects[0], "F"));
    assert_false(query_select_names(&parts.selects[0], "d"));
    assert_true(query_parts_read(arena, "select a from e natural join f", &parts));
    assert_true(query_parts_reads(&parts, 0, NULL, "anything"));
    arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_and_rows), cmocka_unit_test(stars),
        cmocka_unit_test(unions),           cmocka_unit_test(queries_of_other_forms),
        cmocka_unit_test(what_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
