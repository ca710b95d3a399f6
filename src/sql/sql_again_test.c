/* A statement gives at each run what it gives when it is prepared for that run alone, whatever
 * operators its plan has: an input of changing rows, joined to tables in every way that DuckDB
 * knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sql/sql_testing.h"

#define ROWS 2100

static const char tables[] =
    "CREATE TABLE dim AS SELECT i::DOUBLE lo, (i + 1)::DOUBLE hi, 'b' || i band, 'k' || (i % 5) k, "
    "TIMESTAMP '2020-01-01' + INTERVAL (i) HOUR s, [i, i + 1] l, {'a': i} st FROM range(3000) t(i);"
    "CREATE TABLE small (k VARCHAR, v INTEGER); INSERT INTO small VALUES ('k1', 1), ('k2', 2);"
    "CREATE TABLE rows_of_e AS SELECT 'k' || (i % 5) k, (i % 3000)::DOUBLE amount, "
    "TIMESTAMP '2020-01-05' + INTERVAL (i) MINUTE ts, i FROM range(2100) t(i)";

/* clang-format off */

static const char *const queries[] = {
    "select e.k,d.band from e join dim d on e.amount>=d.lo and e.amount<d.hi",
    "select e.k,d.band from e left join dim d on e.amount>=d.lo and e.amount<d.hi",
    "select e.k,d.band from e right join dim d on e.amount>=d.lo and e.amount<d.hi",
    "select e.k from e semi join dim d on e.amount>=d.lo and e.amount<d.hi",
    "select e.k from e anti join dim d on e.amount>=d.lo and e.amount<d.hi",
    "select e.k,d.band from e join dim d on e.k=d.k and e.amount>=d.lo and e.amount<d.hi",
    "select e.k,d.band from e join dim d on e.amount>=d.lo + 2000",
    "select e.k,d.band from e left join dim d on e.amount + 900 >=d.lo and d.lo > 2990",
    "select e.k,d.band from e left join dim d on e.amount>d.lo + 2990",
    "select e.k,d.band from e join dim d on e.amount between d.lo and d.hi",
    "select e.k,d.band from e join dim d on e.amount <> d.lo and d.lo < 3",
    "select e.k,d.band from e join dim d on e.amount = d.lo or e.amount = d.hi",
    "select e.k,d.band from e left join dim d on e.amount = d.lo or e.amount = d.hi",
    "select e.k,d.band from e asof join dim d on e.k=d.k and e.ts>=d.s",
    "select e.k,d.band from e asof left join dim d on e.k=d.k and e.ts>=d.s",
    "select e.k,d.band from e asof join dim d on e.ts>=d.s",
    "select e.k,d.band from e asof join dim d on e.k=d.k and e.ts<d.s",
    "select e.k,d.band from e join dim d on e.k=d.k and e.amount=d.lo",
    "select e.k,d.band from e left join dim d on e.k=d.k and e.amount=d.lo",
    "select e.k,d.band from e join dim d on e.k=d.k and e.amount=d.lo and e.ts > d.s",
    "select e.k from e semi join dim d on e.k=d.k",
    "select e.k from e anti join small d on e.k=d.k",
    "select e.k,v.x from e join (values (1e0),(2e0)) v(x) on e.amount=v.x",
    "select e.k,v.x from e left join (values (1e0),(2e0)) v(x) on e.amount=v.x",
    "select e.k,v.x from e, (values (1e0),(2e0)) v(x)",
    "select e.k,v.x from e, (select 1 x) v",
    "select e.k,v.x from e join (select 1e0 x) v on e.amount=v.x",
    "select e.k,v.x from e join (select unnest([1e0,2e0]) x) v on e.amount=v.x",
    "select e.k,v.x from e join (select 1e0 x union all select 2e0) v on e.amount=v.x",
    "select e.k from e where e.amount in (1,2,3)",
    "select e.k from e where e.amount in "
    "(1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20)",
    "select e.k from e where e.k in ('a','b','c','d','e','f','g','h','i','j','k1','k2','k3')",
    "select e.k, e.k in ('a','b','c','d','e','f','g','h','i','j','k1','k2','k3') from e",
    "select e.k, e.k not in ('a','b','c','d','e','f','g','h','i','j','k1','k2','k3') from e",
    "select e.k from e where e.k in (select k from small)",
    "select e.k from e where e.k not in (select k from small)",
    "select e.k, e.k in (select k from small) from e",
    "select e.k from e where exists (select 1 from small s where s.k=e.k)",
    "select e.k, (select v from small s where s.k=e.k) from e",
    "select e.k, (select max(v) from small s where s.k=e.k) from e",
    "select e.k, (select max(v) from small s where s.k<e.k) from e",
    "select e.k, (select count(*) from small s where s.k=e.k) from e",
    "select e.k, (select max(v) from small) from e",
    "select e.k, (select list(v order by v) from small) from e",
    "select e.k, (select v from small s where s.k=e.k order by v desc limit 1) from e",
    "select e.k, x from e, lateral (select max(v) x from small s where s.k=e.k) l",
    "select e.k, x from e, lateral (select v x from small s where s.k=e.k order by v "
    "limit 1) l",
    "select e.k, x from e left join lateral (select v x from small s where s.k=e.k) l on "
    "true",
    "select e.k, x from e, lateral (select e.amount*2 x) l",
    "select e.k, x from e, lateral unnest([e.amount, 2]) u(x)",
    "select e.k, unnest([e.amount,2]) from e",
    "select e.k, unnest(d.l) from e join dim d on e.amount=d.lo",
    "select e.k, unnest(d.st) from e join dim d on e.amount=d.lo",
    "select e.k, u.x from e join dim d on e.amount=d.lo, unnest(d.l) u(x)",
    "select e.k, d.r from e join (select k, count(*) r from dim group by k) d on e.k=d.k",
    "select e.k, d.r from e join (select k, lo, row_number() over (partition by k order "
    "by lo) r from dim) d on e.k=d.k and e.amount=d.lo",
    "select e.k, d.r from e join (select k, lo, sum(lo) over (partition by k order by lo "
    "rows between 3 preceding and current row) r from dim) d on e.k=d.k and e.amount=d.lo",
    "select e.k, d.r from e join (select k, lo, lag(lo) over (order by lo) r from dim) d "
    "on e.k=d.k and e.amount=d.lo",
    "select e.k, d.r from e join (select k, lo, row_number() over () r from dim) d on "
    "e.k=d.k and e.amount=d.lo",
    "select e.k, d.band from e join (select * from dim qualify row_number() over "
    "(partition by k order by lo desc)=1) d on e.k=d.k",
    "select e.k, d.band from e join (select distinct on (k) * from dim order by k, lo "
    "desc) d on e.k=d.k",
    "select e.k, d.k from e join (select distinct k from dim) d on e.k=d.k",
    "select e.k, d.band from e join (select * from dim order by lo limit 5) d on e.k=d.k",
    "select e.k, d.band from e join (select * from dim limit 5) d on e.k=d.k",
    "select e.k, d.band from e join (select * from dim limit 1 percent) d on e.k=d.k",
    "select e.k, d.band from e join (select * from dim using sample 10 rows) d on e.k=d.k",
    "select e.k, d.band from e join (select * from dim using sample 10%) d on e.k=d.k",
    "select e.k, d.band from e join (select * from dim using sample reservoir(10 rows) "
    "repeatable (3)) d on e.k=d.k",
    "with recursive r(n) as (select 1 union all select n+1 from r where n < 50) select "
    "e.k, r.n from e join r on e.amount = r.n",
    "with recursive r(n) as (select 1 union select n+1 from r where n < 50) select e.k, "
    "r.n from e join r on e.amount = r.n",
    "with recursive r(n, p) using key (n) as (select 1, 1 union select n+1, 2 from r "
    "where n < 50) select e.k, r.n from e join r on e.amount = r.n",
    "with c as materialized (select k, max(lo) m from dim group by k) select e.k, c.m "
    "from e join c on e.k=c.k join c d on d.k=c.k",
    "with c as (select * from e where amount < 10) select a.k, a.amount from c a union "
    "all select k, amount from c",
    "with c as materialized (select * from e where amount < 10) select a.k, b.amount from "
    "c a join small b2 on a.k = b2.k join c b on a.i=b.i",
    "select e.k, d.k1_a from e join (select * from (select k, v from small) pivot (sum(v) "
    "a, max(v) b for k in ('k1','k2'))) d on true",
    "select e.k, d.value from e join (select * from (select k, v from small) unpivot "
    "(value for n in (v))) d on e.k=d.k",
    "select e.k, l.x from e join (select k, list(lo) x from dim group by k) l on e.k=l.k",
    "select e.k, l.x from e join (select k, list_sort(list(lo))[1] x from dim group by k) "
    "l on e.k=l.k",
    "select e.k, l.x from e join (select k, list_aggregate(list(lo),'sum') x from dim "
    "group by k) l on e.k=l.k",
    "select e.k, l.x from e join (select k, string_agg(band, ',' order by lo) x from dim "
    "group by k) l on e.k=l.k",
    "select e.k, l.x from e join (select k, median(lo) x, mode(band) y, "
    "approx_quantile(lo,0.5) z from dim group by k) l on e.k=l.k",
    "select e.k, l.x from e join (select k, histogram(lo) x from dim group by k) l on "
    "e.k=l.k",
    "select e.k, l.x from e join (select k, count(distinct lo) x from dim group by k) l "
    "on e.k=l.k",
    "select e.k, l.x from e join (select k, sum(lo) x from dim group by rollup (k)) l on "
    "e.k=l.k",
    "select e.k, l.x from e join (select k, sum(lo) x from dim group by grouping sets "
    "((k),())) l on e.k=l.k",
    "select e.k, l.x from e join (select k, sum(lo) filter (where lo>5) x from dim group "
    "by k having sum(lo)>0) l on e.k=l.k",
    "select e.k, s.v from e join small s on e.k=s.k union all select e.k, 0 from e",
    "select e.k, s.v from e join (select * from small union select * from small) s on "
    "e.k=s.k",
    "select e.k, s.v from e join (select * from small except select 'k1',1) s on e.k=s.k",
    "select e.k, s.v from e join (select * from small intersect select 'k1',1) s on e.k=s.k",
    "select e.k, s.v from e join (select * from small except all select 'k1',1) s on e.k=s.k",
    "select e.k, s.v from e join (from small union all by name select 'k1' k) s on e.k=s.k",
    "select e.k, s.v from e natural join small s",
    "select e.k, s.v from e cross join small s",
    "select e.k, s.v from e positional join small s",
    "select e.k, r.x from e join range(10) r(x) on e.amount=r.x",
    "select e.k, r.x from e join generate_series(1,10) r(x) on e.amount=r.x",
    "select e.k, r.x from e join unnest([1,2,3]) r(x) on e.amount=r.x",
    "select e.k, r.x from e, range(e.i) r(x) where e.i < 5",
    "select e.k, j.value from e, json_each('{\"a\":1}') j",
    "select e.k, s.v, t.v from e join small s on e.k=s.k join small t on e.k=t.k",
    "select e.k, s.v from e join small s on e.k=s.k where s.v > (select avg(v) from small)",
    "select e.k, s.v from e left join small s on e.k=s.k and s.v > 1",
    "select e.k, s.v from e left join small s on e.k=s.k and e.amount > 100",
    "select e.k, s.v from e left join small s on e.k=s.k and e.amount > s.v",
    "select e.k, s.v from e left join small s on e.amount > s.v",
    "select e.k, s.v from e join small s on e.amount > s.v and e.i < s.v + 20",
    "select e.k, s.v from e join small s on e.amount >= s.v and e.i >= s.v",
    "select e.k, s.v from e join small s on abs(e.amount - s.v) < 2",
    "select e.k, s.v from e join small s on e.k is not distinct from s.k",
    "select e.k, s.v from e join small s on e.k like s.k || '%'",
    "select e.k, s.v from e join small s on e.k > s.k",
    "select e.k, s.v from e join small s on e.k >= s.k and e.k <= s.k",
    "select e.k, case when e.amount > 3 then (select max(v) from small) end from e",
    "select e.k, array(select v from small order by v) from e",
    "select e.k, array(select v from small s where s.k=e.k order by v) from e",
    "select e.k from e where e.amount > all (select v from small)",
    "select e.k from e where e.amount > any (select v from small)",
    "select e.k from e where e.amount = any (select v from small)",
    "select count(*) from e",
    "select k, sum(amount) from e group by k",
    "select k, sum(amount) over (partition by k order by i) from e",
    "select * from e order by amount limit 5",
    "select distinct k from e",
    "select e.k, s.v from small s join e on e.amount >= s.v and e.i < s.v + 20",
    "select e.k, s.v from e join (values ('k1', 1), ('k2', 2)) s(k, v) on e.k=s.k",
    "select e.k, s.v from e left join (values ('k1', 1), ('k2', 2)) s(k, v) on e.k=s.k",
    "select e.k, s.v from e join (select 'k1' k, 1 v union all select 'k2', 2) s on e.k=s.k",
    "select e.k, s.v from e, (values (1), (2)) s(v)",
    "select e.k, s.v from e join (values (1), (2)) s(v) on e.amount > s.v",
    "select e.k, s.v from e asof join (values ('k1', timestamp '2020-01-01', 1)) s(k, t, "
    "v) on e.k=s.k and e.ts >= s.t",
    "select e.k from e where e.k in (select x from (values ('k1')) v(x))",
    "select e.k, (select max(x) from (values (1),(2)) v(x)) from e",
    "select e.k, s.v from e join (select unnest(['k1','k2']) k, 1 v) s on e.k=s.k",
    "with v(k, x) as (values ('k1', 1)) select e.k, v.x from e join v on e.k=v.k",
    "with v(k, x) as materialized (values ('k1', 1)) select e.k, v.x from e join v on "
    "e.k=v.k join v w on e.k=w.k",
    "select e.k, s.v from e join (select * from small where false) s on e.k=s.k",
    "select e.k from e where false",
    "select e.k from e where e.amount > 5 limit 0",
    "select e.k, x from e, (select 1 where false) v(x)",
    "select e.k, s.x from e left join (select 1 x where false) s on e.i = s.x",
    "select e.k, s.k from e join small s on e.amount < s.v and e.i > s.v",
    "select e.k, s.k from e full join small s on e.amount < s.v and e.i > s.v",
    "select e.k, s.k from e full join small s on e.k = s.k",
    "select e.k, s.k from e right join small s on e.k = s.k",
    "select e.k, s.k from e right join small s on e.amount > s.v",
    "select e.k, s.k from e right join small s on e.amount <> s.v",
    "select e.k, list(s.v) from e join small s on e.k = s.k group by e.k",
    "select * from (select k, amount from e) pivot (sum(amount) for k in ('k1','k2'))",
    "select * from e using sample 3 rows",
    "select e.k, s.band from e asof join (select * from dim where lo < 100) s on e.k=s.k "
    "and e.ts >= s.s",
    "select e.k, s.band from e asof join dim s on e.ts >= s.s",
    "select e.k, s.band from (select * from e where amount > 2) e asof left join dim s on "
    "e.k=s.k and e.ts >= s.s",
    "select a.k, b.i from e a join e b on a.i < b.i and a.amount > b.amount",
    "select e.k, d.band from e left join dim d on e.amount > d.lo + 2990",
    "select e.k, d.band from e right join dim d on e.amount > d.lo + 2990",
    "select e.k, d.band from e full join dim d on e.amount > d.lo + 2990",
    "select e.k from e semi join dim d on e.amount > d.lo + 2990",
    "select e.k from e anti join dim d on e.amount > d.lo + 2990",
    "select e.k, d.band from e full join dim d on e.amount >= d.lo and e.amount < d.hi",
    "select e.k, d.band from dim d join e on e.amount >= d.lo and e.amount < d.hi and d.k = e.k",
    "select a.k, b.i from e a asof join e b on a.k=b.k and a.ts >= b.ts",
};

/* clang-format on */

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The rows in an order of their own. */
static const char *sorted(arena *arena, const batch *rows)
{
    freshet_error err = {0};
    const char **lines = arena_zero(arena, (size_t)rows->n_rows + 1, sizeof *lines);
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < rows->n_rows; i++) {
        text.length = 0;
        must(batch_row_to_json(rows, i, &text, &err), &err);
        lines[i] = arena_copy(arena, text.bytes, text.length);
    }
    qsort(lines, rows->n_rows, sizeof *lines, compare_lines);
    text.length = 0;
    for (uint32_t i = 0; i < rows->n_rows; i++)
        text_format(&text, "%s\n", lines[i]);
    const char *copy = arena_copy(arena, text.bytes == NULL ? "" : text.bytes, text.length);
    text_release(&text);
    return copy;
}

static bool chooses(const char *sql)
{
    return strstr(sql, "sample") != NULL && strstr(sql, "repeatable") == NULL;
}

static void assert_again(bench *here, sql_input *input, const batch *all, const char *sql)
{
    static const struct {
        uint32_t first, n;
    } runs[] = {{0, 0}, {0, 1}, {5, 10}, {0, ROWS}, {7, 1}, {0, 0}, {9, 2060}};
    freshet_error err = {0};
    sql_statement *statement = NULL;
    if (sql_prepare(here->session, sql, &statement, NULL, &err) != FRESHET_OK)
        fail_msg("%s: %s", sql, err.text);
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        sql_statement *fresh = NULL;
        batch got, expected;
        arena *scratch = arena_open();
        sql_input_set(input, all, runs[i].first, runs[i].n);
        if (sql_run(statement, scratch, &got, &err) != FRESHET_OK)
            fail_msg("%s: run %zu: %s", sql, i, err.text);
        const char *here_now = sorted(scratch, &got);
        must(sql_prepare(here->session, sql, &fresh, NULL, &err), &err);
        must(sql_run(fresh, scratch, &expected, &err), &err);
        if (!chooses(sql) && strcmp(here_now, sorted(scratch, &expected)) != 0)
            fail_msg("%s: run %zu gives\n%.300s", sql, i, here_now);
        sql_statement_close(fresh);
        arena_close(scratch);
    }
    sql_statement_close(statement);
}

static void test_again(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    sql_statement *all = NULL;
    sql_input *input = NULL;
    batch rows;
    execute(here->session, tables);
    must(sql_prepare(here->session, "FROM rows_of_e", &all, NULL, &err), &err);
    must(sql_run(all, here->arena, &rows, &err), &err);
    assert_int_equal(rows.n_rows, ROWS);
    must(sql_input_add(here->session, "e", sql_statement_schema(all), NULL, 0, &input, &err), &err);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        assert_again(here, input, &rows, queries[i]);
    sql_statement_close(all);
    sql_input_close(input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_again, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("sql/sql_again", tests, NULL, NULL);
}
