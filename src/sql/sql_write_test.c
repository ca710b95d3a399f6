/* A tree written as SQL text gives what the text of the tree gave: the same types and the same
 * rows, whatever stands in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sql/sql_testing.h"

static const char table[] =
    "CREATE TABLE t AS SELECT 'a' k, TIMESTAMP '2024-01-31 10:20:30' ts, 10.0::DOUBLE x, 3 i, "
    "2.50::DECIMAL(10,2) d, {'a': 1, 'b': {'c': 'z'}} s, [1, 2, 3] l, MAP {'q': 1} m, "
    "DATE '2024-01-31' dt, '{\"a\":[1,2]}'::JSON j, true b, 'A' \"order\", 'x' \"we ird\", "
    "'\\xAA'::BLOB bl, INTERVAL 1 MONTH iv";

/* clang-format off */

/* Each stands in SELECT ... FROM t. */
static const char *const expressions[] = {
    "2.5e0", "1e0", "1e400", "-2.5e0", "1e-5", "1e22", "123456789012345678901234567890",
    "123456789012345678901234567890.5", "'nan'::double", "'inf'::float", "1.50", "1.0", ".5", "5.",
    "100000000000", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "170141183460469231731687303715884105728", "0x1F", "1_000_000", "1e5::float", "2.5e0::float",
    "cast(2.5e0 as int)", "2.5::decimal(4,2)", "cast(x as decimal(10,3))", "interval 1 month",
    "interval '1 month 2 days'", "interval '90' minute", "interval (i) day",
    "interval '1' year + interval '1' second", "ts + interval 2 hour", "ts - interval '1 day'",
    "date '2024-01-01'", "timestamp '2024-01-01 10:00:00'", "time '10:00:00'",
    "'2024-01-01'::timestamp_s", "'2024-01-01'::timestamp_ns", "'it''s'", "E'a\\nb\\x41\\'q'",
    "$$it's$$", "$tag$x$$y$tag$", "'a\\nb'", "'\\x00'::blob", "blob '\\xAA\\x00'", "x'AABB'",
    "'é'", "true and not false", "null", "null::int", "i::varchar", "i::bigint",
    "try_cast(k as int)", "k collate nocase = 'A'", "k collate \"de\" < 'b'", "k like 'a%'",
    "k like 'a$%' escape '$'", "k not like 'a%'", "k ilike 'A%'", "k not ilike 'A%'",
    "k ilike 'a$%' escape '$'", "k similar to 'a.*'", "k not similar to 'a.*'", "k glob 'a*'",
    "k ~ 'a'", "k !~ 'a'", "k ~~ 'a%'", "k !~~ 'a%'", "k ~~* 'A%'", "k ~~~ 'a*'",
    "k between 'a' and 'b'", "k not between 'a' and 'b'", "k in ('a','b')", "k not in ('a','b')",
    "i in (select 3)", "i not in (select 3)", "exists (select 1)", "not exists (select 1)",
    "i = any(select 3)", "i > all(select 2)", "3 = any(l)", "3 in l", "k is null", "k is not null",
    "k isnull", "k notnull", "k is distinct from 'a'", "k is not distinct from 'a'", "b is true",
    "b is not true", "b is false", "b is unknown", "b is not unknown",
    "case when i=1 then 'a' when i=2 then 'b' else 'c' end", "case i when 1 then 'a' else 'c' end",
    "case i when 1 then 'a' end", "i % 2", "i ** 2", "i ^ 2", "i // 2", "i / 2", "-i", "- -i",
    "+i", "~i", "i!", "@i", "i & 1 | 2", "i << 2", "i >> 1", "xor(i,2)", "1 + 2 * 3 - 4",
    "(1 + 2) * 3", "-(-2)", "2 - -2", "not (true and false) or true", "not i = 3",
    "not (i in (1,2))", "(not b) = false", "-i ** 2", "-2 ** 2", "(-2) ** 2", "2 ** 3 ** 2",
    "k || 'b' || 1", "'a' || null", "l || [4]", "l[1]", "l[-1]", "l[1:2]", "l[:2]", "l[2:]",
    "l[:]", "l[1:3:2]", "l[:-:2]", "k[1]", "k[1:2]", "s.a", "s.b.c", "s['a']", "(s).a", "t.s.a",
    "t.s.b.c", "struct_extract(s,'a')", "s.b", "t.k", "m['q']", "m.q", "map {'a':1, 'b':2}",
    "map(['a'],[1])", "{'a':1, 'b c':2}", "{a:1, \"b\":2}", "(1,'a') = (1,'a')",
    "struct_pack(a := 1, b := 2)", "[1,2,3]", "array[1,2]", "[1,2]::int[2]",
    "[[1],[2]]", "[]", "[x for x in l]", "[y*2 for y in l if y > 1]",
    "list_transform(l, lambda y: y + 1)", "list_transform(l, lambda y, i: y + i)",
    "list_filter(l, lambda y: y > 1)", "list_reduce(l, lambda a, b: a + b)",
    "list_transform(l, y -> y + 1)",
    "list_transform(l, lambda y: list_transform(l, lambda z: z + y))",
    "l.list_transform(lambda y: y * 2.5e0)", "j->'a'", "j->>'a'", "j->'$.a[0]'", "j->'a'->>0",
    "(j->>'a') = '[1,2]'", "j->>'a' = '[1,2]'", "extract(year from ts)", "extract('hour' from ts)",
    "date_part('year', ts)", "date_trunc('month', ts)",
    "ts::timestamptz at time zone 'America/Sao_Paulo'", "current_date is null",
    "position('a' in k)", "substring(k from 1 for 2)", "substring(k from 1)",
    "trim(both 'a' from k)", "trim(leading 'a' from k)", "trim(trailing from k)", "trim(k)",
    "coalesce(k, 'b')", "nullif(k, 'a')", "ifnull(k,'b')", "if(b, 1, 2)", "greatest(1,2)", "\"k\"",
    "\"order\"", "\"we ird\"", "t.\"order\"", "t.\"we ird\"", "\"K\"", "K", "#1", "typeof(2.5e0)",
    "typeof(1.5)", "typeof(1)", "typeof(10000000000)", "typeof([1.5e0])", "typeof({'a':1e0})",
    "typeof(null)", "typeof('a')", "typeof(1.50)", "typeof(interval 1 day)", "0.1e0+0.2e0",
    "0.1e0+0.2e0 = 0.3e0", "1.1e0*1.1e0", "1e0/3e0", "1/3", "1.0/3", "round(2.5e0)", "round(2.5)",
    "round(2.45e0,1)", "2.5e0::varchar", "1e15::varchar", "1e16::varchar", "1e-7::varchar",
    "1.7976931348623157e308", "5e-324", "2.2250738585072014e-308", "0.1e0::decimal(20,18)",
    "sum(2.5e0)", "sum(x) filter (where x > 2.5e0)", "count(distinct k)", "count(*)",
    "string_agg(k, ',' order by k desc nulls last)", "list(k order by i desc)", "first(k)",
    "arg_max(k, i)", "quantile_cont(x, 0.5e0)", "quantile_cont(x, [0.25e0, 0.5])", "mode(k)",
    "sum(x) over (partition by k order by ts)",
    "sum(x) over (order by ts rows between 2 preceding and current row)",
    "sum(x) over (order by ts range between interval 1 day preceding and current row)",
    "sum(x) over (order by ts groups between 1 preceding and 1 following exclude ties)",
    "row_number() over ()", "lag(x, 1, 0.5e0) over (order by ts)",
    "lag(x ignore nulls) over (order by ts)", "ntile(4) over (order by x)", "cast(ts as date)",
    "ts::date::varchar", "try_cast(k as uuid)", "try_cast(k as struct(a int, \"b c\" varchar))",
    "cast(null as struct(a int, b varchar[]))", "cast(null as map(varchar, int))",
    "cast(null as int[3])", "cast(null as union(a int, b varchar))", "union_value(a := 1)",
    "cast(null as enum('a','b'))", "'a'::enum('a','b')", "cast(null as bit)", "'101'::bit",
    "cast('1' as utinyint)", "1::hugeint", "1::uhugeint", "cast('1' as real)",
    "cast('1' as numeric)", "cast('1' as decimal)", "cast(1.5 as dec(3,1))", "cast('a' as text)",
    "cast('a' as char(3))", "cast('a' as varchar(3))", "cast(ts as timestamp(3))",
    "cast('10:00' as time with time zone)", "1 as \"a b\"", "unnest([1,2])", "unnest(s)", "s.*",
    "hash(k)", "format('{}', 2.5e0)", "printf('%.3f', 2.5e0)", "printf('%d', 1::bigint)",
    "concat(2.5e0, 1.5)", "concat_ws(',', k, 1)", "list_value(1, 2.5e0)", "greatest(1, 2.5e0)",
    "case when b then 1 else 2.5e0 end", "coalesce(null, 2.5e0, 1)", "strftime(ts, '%Y-%m')",
    "strptime('2024', '%Y')", "regexp_replace(k, 'a', 'b', 'g')",
    "regexp_extract(k, '(a)(b)?', ['x','y'])", "current_setting('timezone')", "getvariable('a')",
    "k.upper()", "k.upper().lower()", "(k || 'b').upper()", "main.upper(k)",
    "system.main.upper(k)", "pg_catalog.pg_typeof(k)", "i::double precision",
    "cast(i as double precision)", "cast(i as int4)", "cast(i as int8)", "cast(i as \"int\")",
    "i in (1, 2.5e0)", "i = 2.5e0", "x = 0.1e0", "(select 2.5e0)", "(select max(x) from t)",
    "array(select k from t)", "array(select k from t order by k)", "list_aggregate(l, 'sum')",
    "list_sort(l, 'desc', 'nulls last')", "not null", "b and null", "k = 'a' and i = 3 or x = 1",
    "k = 'a' and (i = 3 or x = 1)", "1 < 2 and 2 < 3 and 3 < 4", "i <> 3", "i != 3", "i == 3",
    "l && [1]", "l @> [1]", "l <@ [1]", "[1.0] <-> [2.0]", "k ^@ 'a'", "k <= 'a' collate nocase",
    "concat(k collate nocase, 'b')", "1::int::varchar::int", "(1+1)::varchar", "1--1", "-1e400",
    "123456789012345678901234567890.", "-123456789012345678901234567890.",
    "99999999999999999999999999999999999999.", "5. / 2", "5. // 2", "typeof(5.)",
    "1e5::decimal(10,2)", "'__freshet_literal_0_' || 1e0", "'$__freshet_literal_0_' || 5.",
    "list_transform([j], lambda y: y->'$.a')", "list_transform(l, lambda k: k + i)",
    "1_0e1", "+1e5", "x between 0.5e0 and 1e1",
    "case x when 1e1 then 2.5e0 else 1 end", "[1e0, 2.5e0][1]", "{'a': 1e0}.a",
};

static const char *const queries[] = {
    "select k from t", "select distinct k from t", "select distinct on (k) k, x from t",
    "select distinct on (k) k, x from t order by k, x desc", "select all k from t", "from t",
    "from t select k", "table t", "values (1, 2.5e0), (2, 3)",
    "select * from (values (1, 2.5e0)) v(a, b)", "select * exclude (j) from t",
    "select * exclude j from t", "select * replace (2.5e0 as x) from t",
    "select * rename (k as kk) from t",
    "select * exclude (j) replace (i+1 as i) rename (k as kk) from t",
    "select t.* exclude (j) from t", "select columns('^[kx]$') from t",
    "select columns(c -> c = 'k') from t", "select columns(lambda c: c = 'k') from t",
    "select columns(* exclude (j)) from t", "select * like 'k%' from t",
    "select * not like 'k%' from t", "select * similar to 'k.*' from t",
    "select min(columns(*)) from t", "select k as a, a || 'b' as c from t",
    "select a: k, b: 2.5e0 from t", "select k k2 from t t2", "select kk from t as t2(kk, tt, xx)",
    "select t.k, u.k from t join t u on t.k = u.k", "select t.k from t join t u using (k)",
    "select t.k from t left join t u using (k, ts)",
    "select k from t natural join (select k, 2.5e0 z from t) u",
    "select t.k from t cross join t u", "select t.k from t, t u",
    "select t.k from t, lateral (select t.x * 2.5e0 as z) u",
    "select t.k, z from t, (select t.x * 2.5e0 as z) u",
    "select t.k from t full join t u on t.k=u.k",
    "select t.k from t right outer join t u on t.k=u.k",
    "select t.k from t semi join t u on t.k=u.k", "select t.k from t anti join t u using (k)",
    "select t.k from t positional join t u",
    "select t.k from t asof join t u on t.k=u.k and t.ts >= u.ts",
    "select t.k from t asof left join t u using (k, ts)",
    "select k from t where x > 2.5e0 and not (i = 3)",
    "select k, count(*) from t group by k having count(*) > 0.5e0",
    "select k, count(*) from t group by all",
    "select k, i, count(*) from t group by rollup (k, i) order by all",
    "select k, i, count(*) from t group by cube (k, i) order by all",
    "select k, i, count(*) from t group by grouping sets ((k), (i), ()) order by all",
    "select k, count(*) from t group by 1 order by 1 desc nulls first limit 10 offset 0",
    "select k from t order by x * 2.5e0 desc nulls last, k collate nocase",
    "select k from t order by all desc", "select k from t limit 50%",
    "select k from t limit 50 percent", "select k from t limit 2.5e1 percent",
    "select k from t limit (select 1)", "select k from t fetch first 1 rows only",
    "select k from t offset 1", "select k from t using sample 1 rows",
    "select k from t using sample 50% (bernoulli, 42)",
    "select k from t tablesample reservoir(10)", "select k from t union all select 'b'",
    "select k from t union select 'b'", "select k from t union by name select 'b' as k",
    "select k, i from t union all by name select 2.5e0 as i, k from t",
    "select k from t except select 'b'", "select k from t except all select 'b'",
    "select k from t intersect select 'a'",
    "(select k from t limit 1) union all (select 'b' order by 1)",
    "select k from t union all select 'b' order by 1 limit 1",
    "select 1 union all select 2 union select 2", "select 1 union all (select 2 union select 2)",
    "select 1 except (select 2 except select 1)", "with c as (select 2.5e0 z) select * from c",
    "with c(zz) as (select 2.5e0 z) select * from c",
    "with c as materialized (select 2.5e0 z) select * from c, c d",
    "with c as not materialized (select 2.5e0 z) select * from c",
    "with recursive c(n) as (select 1 union all select n+1 from c where n < 5) select * from c",
    "with recursive c(n) using key (n) as (select 1 union all select n+1 from c where n < 5) "
    "select * from c",
    "with c as (with d as (select 1e0 a) select * from d) select a from c",
    "select * from t pivot (sum(x) for k in ('a','b'))",
    "select * from t pivot (sum(x) as s, count(*) as c for k in ('a','b') group by i)",
    "select * from (select k, i, x from t) unpivot (v for n in (i, x))",
    "select * from (select k, i, x from t) unpivot include nulls (v for n in (i as 'one', x))",
    "from (select k, i, x from t) unpivot (v for n in (i, x))", "select * from unnest([1,2]) u(a)",
    "select * from unnest([1,2]) with ordinality u(a, o)",
    "select t.k, u.a from t, unnest(t.l) u(a)", "select t.k, u.a from t, unnest(t.l) as u(a)",
    "select * from range(3) r(a)", "select * from generate_series(1, 3) g",
    "select * from json_each('{\"a\":1}')", "select k, unnest(l) as e from t",
    "select unnest({'a':{'b':1}}, recursive := true)", "select unnest(s) from t",
    "select k, sum(x) over w from t window w as (partition by k order by ts)",
    "select k, sum(x) over (w rows between unbounded preceding and current row) from t "
    "window w as (order by ts)",
    "select k from t qualify row_number() over (partition by k order by ts desc) = 1",
    "select count(*) filter (where x > 2.5e0) from t",
    "select (select count(*) from t u where u.k = t.k) from t",
    "select exists(select 1 from t u where u.x > t.x * 0.5e0) from t",
    "select k as \"a \"\"b\"\"\" from t", "select t.\"k\" from t as \"t\"",
    "select \"T\".k from t as \"T\"", "select \"t t\".k from t as \"t t\"", "select k from main.t",
    "select k from memory.main.t",
    "select ts at time zone 'UTC' at time zone 'America/Sao_Paulo' from t",
    "select case when x > 1 then 1 end as q from t where k in (select k from t)",
    "select try(cast(k as int)) from t", "select cast(x as int) c, c + 1 d from t",
    "select -x, -(-x), - - x, not not b from t", "select struct_pack(a := 2.5e0) from t",
    "select {'a': k, 'b': [1, 2.5e0]} from t",
    "select k from t where (k, i) in (select k, i from t)",
    "select k from t where (k, i) = ('a', 3)", "select k from t where k = any(['a'])",
    "select k from t where i = some(select 3)", "select t from t",
    "select list_transform(l, lambda e: e * 2.5e0) from t",
    "select [e * 2.5e0 for e in l if e > 0.5e0] from t",
    "select date_diff('day', ts, ts + interval 2 day) from t",
    "select interval 2 day, interval '2' day, interval (i) days, to_days(i) from t",
    "select ts + interval (i || ' days') from t", "select extract(epoch from ts) from t",
    "select 'a' \"b\" from t", "from t", "select /* c */ k from t", "select k from t;",
    "select \"2.5\" from (select 2.5e0 from t)",
    "select \"(x * 2.5)\" from (select x * 2.5e0 from t)",
    "select \"CAST(x AS INTEGER)\" from (select cast(x as int) from t)",
    "select \"count_star()\" from (select count(*) from t)",
    "select max(x) from (select x from t group by x)",
    "select \"max(x)\" from (select max(x) from t)",
    "select \"sum(x) OVER ()\" from (select sum(x) over () from t)",
};

/* clang-format on */

/* The text after a walk through its tree; NULL where DuckDB has no such text. */
static const char *again(bench *here, const char *sql)
{
    freshet_error err = {0};
    const char *json, *written = NULL;
    size_t length;
    freshet_code code = sql_tree(here->session, here->arena, sql, &json, &length, NULL, &err);
    if (code != FRESHET_OK)
        fail_msg("%s: %s", sql, err.text);
    code = sql_from_tree(here->session, here->arena, json, length, &written, &err);
    if (code != FRESHET_OK)
        fail_msg("%s: %s", sql, err.text);
    return written;
}

static void keep_as(bench *here, const char *name, const char *sql)
{
    freshet_error err = {0};
    const char *create = arena_format(here->arena, "CREATE OR REPLACE TABLE %s AS %s", name, sql);
    if (sql_execute(here->session, create, NULL, &err) != FRESHET_OK)
        fail_msg("%s: %s", create, err.text);
}

static const char *types_of(bench *here, const char *name)
{
    return answer(here, arena_format(here->arena,
                                     "SELECT list(data_type ORDER BY column_index) AS types "
                                     "FROM duckdb_columns() WHERE table_name = '%s'",
                                     name));
}

static void assert_same(bench *here, const char *sql)
{
    const char *written = again(here, sql);
    keep_as(here, "meant", sql);
    keep_as(here, "written", written);
    const char *meant_types = types_of(here, "meant"), *types = types_of(here, "written");
    if (strcmp(meant_types, types) != 0)
        fail_msg("%s\n  is written as %s\n  and gives %s instead of %s", sql, written, types,
                 meant_types);
    const char *differences =
        answer(here, "SELECT count(*) AS n FROM ((FROM meant EXCEPT ALL FROM written) UNION ALL "
                     "(FROM written EXCEPT ALL FROM meant))");
    if (strcmp(differences, "{\"n\":0}\n") != 0)
        fail_msg("%s\n  is written as %s\n  and gives other rows", sql, written);
}

static void test_expressions(void **state)
{
    bench *here = *state;
    execute(here->session, table);
    for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++)
        assert_same(here, arena_format(here->arena, "SELECT %s FROM t", expressions[i]));
}

static void test_queries(void **state)
{
    bench *here = *state;
    execute(here->session, table);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        assert_same(here, queries[i]);
}

/* DuckDB takes 1,000 levels. */
static void test_deep(void **state)
{
    bench *here = *state;
    execute(here->session, table);
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, "SELECT x");
    for (int i = 0; i < 400; i++)
        text_append_c(&text, " + 1e0");
    text_append_c(&text, " FROM t");
    assert_same(here, text.bytes);
    text_release(&text);
}

/* A tree whose text would be parsed as another one is refused. */
static void test_refused(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    const char *json, *written = NULL;
    size_t length;
    must(sql_tree(here->session, here->arena, "SELECT 'never' AS a", &json, &length, NULL, &err),
         &err);
    char *other = arena_copy(here->arena, json, length);
    memcpy(strstr(other, "VARCHAR"), "TINYINT", 7); /* a text that is no number */
    memcpy(strstr(other, "\"never\""), "1234567", 7);
    freshet_code code = sql_from_tree(here->session, here->arena, other, length, &written, &err);
    assert_int_equal(code, FRESHET_USAGE);
    other = arena_copy(here->arena, json, length);
    memcpy(strstr(other, "VARCHAR"), "TINYINT", 7);
    memcpy(strstr(other, "\"never\""), "     12", 7);
    code = sql_from_tree(here->session, here->arena, other, length, &written, &err);
    assert_int_equal(code, FRESHET_USAGE);
    assert_non_null(strstr(err.text, "would run it as another query: SELECT 12"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_expressions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_queries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("sql/sql_write", tests, NULL, NULL);
}
