/* What a query must not do: each refusal with its place and its words; and what is not refused. */
#include "source/source_testing.h"

typedef struct collected {
    uint32_t n;
    char at[20][64];
    char text[20][768];
} collected;

static void collect(void *context, const freshet_error *problem)
{
    collected *all = context;
    assert_in_range(all->n, 0, 19);
    snprintf(all->at[all->n], sizeof all->at[0], "%.63s", problem->at);
    snprintf(all->text[all->n], sizeof all->text[0], "%s", problem->text);
    all->n++;
}

/* The place "file:line:column" of the first `mark` in the query; of the query itself for NULL. */
static void place_of(fixture *here, const char *query, const char *mark, char *into, size_t size)
{
    place at = declaration_of(here->declaration)->source.query.at;
    if (mark == NULL) {
        place_text(&at, into, size);
        return;
    }
    const char *found = strstr(query, mark);
    assert_non_null(found);
    uint32_t line = at.line + 1, column = 5;
    for (const char *c = query; c < found; c++) {
        bool is_first_byte = ((unsigned char)*c & 0xC0) != 0x80;
        column = *c == '\n' ? 5 : column + is_first_byte;
        line += *c == '\n';
    }
    snprintf(into, size, "p.yaml:%u:%u", line, column);
}

/* The query has exactly the problems that follow, as pairs of a mark and a part of the text. */
static void refused(const char *readers, const char *query, ...)
{
    fixture here;
    collected all = {0};
    char at[64];
    uint32_t i = 0;
    freshet_code code = fixture_open(&here, readers, query);
    problems_report(here.problems, collect, &all, NULL);
    if (code != FRESHET_BAD_DECLARATION)
        fail_msg("not refused (%d): %s", code, query);
    va_list args;
    va_start(args, query);
    for (const char *mark = va_arg(args, const char *), *text = va_arg(args, const char *);
         text != NULL; mark = va_arg(args, const char *), text = va_arg(args, const char *), i++) {
        place_of(&here, query, mark, at, sizeof at);
        if (i >= all.n)
            fail_msg("%s: no problem with \"%s\"", query, text);
        if (strcmp(all.at[i], at) != 0 || strstr(all.text[i], text) == NULL)
            fail_msg("%s\nexpected at %s: %s\n     got at %s: %s", query, at, text, all.at[i],
                     all.text[i]);
    }
    va_end(args);
    if (i != all.n)
        fail_msg("%s: one more problem at %s: %s", query, all.at[i], all.text[i]);
    assert_null(here.source);
    fixture_close(&here);
}

#define END NULL, NULL

/* Opens, and runs by rows or as a whole; the readers that drive are those in the list. */
static void runs(const char *readers, const char *query, const char *drivers)
{
    fixture here;
    fixture_open_well(&here, readers, query);
    char driving[100] = "";
    for (uint32_t i = 0; i < here.n_readers; i++) {
        if (source_drives(here.source, i)) {
            strcat(driving, *driving == '\0' ? "" : " ");
            strcat(driving, here.readers[i].block->id.value);
        }
    }
    if (strcmp(driving, drivers) != 0)
        fail_msg("%s: driven by \"%s\"", query, driving);
    assert_int_equal(source_is_by_rows(here.source), *drivers != '\0');
    fixture_close(&here);
}

/* ---- never possible ---- */

static void test_tables(void **state)
{
    (void)state;
    refused("flights", "select * from flihgts", "flihgts", "did you mean \"flights\"?", END);
    refused("flights", "select * from somewhere_else", "somewhere_else",
            "there is no reader \"somewhere_else\": the query can read", END);
    refused("flights", "select *\nfrom flights f\njoin nowhere_at_all n on true", "nowhere_at_all",
            "no reader", END);
    refused("flights", "select * from 'data/x.csv'", "'data/x.csv'",
            "cannot read the file \"data/x.csv\" by itself: declare a reader", END);
    refused("flights", "select * from main.flights", "main.flights", "has a schema in front", END);
    refused("flights", "select * from duckdb_settings() s", "duckdb_settings",
            "table function duckdb_settings(): declare a reader", END);
    refused("flights", "select * from flights, read_csv('x.csv'), glob('*'), read_json('y')",
            "read_csv", "read_csv()", "glob", "glob()", "read_json", "read_json()", END);
    refused("flights", "select (select max(x) from nowhere_at_all) from flights", "nowhere_at_all",
            "no reader", END);
    refused("flights", "from (describe flights)", NULL, "DESCRIBE", END);
    /* A CTE is known behind it, not before, and not outside. */
    refused("flights", "select * from (with one as (from flights) from one) x, one y", "one y",
            "no reader", END);
}

static void test_not_one_select(void **state)
{
    (void)state;
    refused("flights", "selec * from flights", "selec", "syntax error at or near \"selec\"", END);
    refused("flights", "select * from flights\nwhere delay > ) ", ")", "syntax error", END);
    refused("flights", "drop table flights", NULL, "SELECT", END);
    refused("flights", "select 1; select 2", NULL, "only one SQL statement", END);
    refused("flights", "pivot flights on origin using sum(delay)", NULL, "SELECT", END);
}

static void test_messages_of_the_binder(void **state)
{
    (void)state;
    refused("flights*", "select origin,\n  delai\nfrom flights", "delai",
            "Referenced column \"delai\" not found", END);
    refused("flights*", "select '\303\251\303\251' as e, delai from flights", "delai",
            "Referenced column", END);
    refused("flights", "select f.oops from flights f", "f.oops", "oops", END);
    refused("flights*", "select origin + nosuchfunction(delay) from flights", "nosuchfunction",
            "nosuchfunction", END);
    refused("flights*", "select ts + 'x' as time, interval 1 day as day from flights", NULL, "",
            END);
    refused("flights*", "select interval 1 day as day from flights", NULL,
            "\"day\" is an INTERVAL, which Freshet does not have: cast it", END);
    refused("flights*", "select delay, amount as DELAY from flights", NULL,
            "two columns named \"DELAY\": give one of them another name with AS", END);
    refused("flights airports", "select * from flights f join flights g using (origin)", NULL,
            "two columns named", NULL, "two columns", NULL, "two columns", NULL, "two columns",
            NULL, "two columns", NULL, "two columns", NULL, "two columns", END);
    refused("flights*", "select delay as __freshet_row from flights", NULL, "kept for internal use",
            END);
}

static void test_readers(void **state)
{
    (void)state;
    fixture here;
    collected all = {0};
    assert_int_equal(fixture_open(&here, "flights airports", "select * from flights"), FRESHET_OK);
    source_close(here.source);
    here.source = NULL;
    field fields[] = {{"a", type_simple(TYPE_BIGINT)}, {"__FRESHET_row", type_simple(TYPE_BIGINT)}};
    here.readers[0].schema = (schema){2, fields};
    here.readers[1].schema = (schema){0, NULL};
    assert_int_equal(source_open(here.declaration, here.session, here.list, 2, here.problems,
                                 &here.source, &here.err),
                     FRESHET_BAD_DECLARATION);
    problems_report(here.problems, collect, &all, NULL);
    assert_int_equal(all.n, 2);
    assert_string_equal(all.at[0], "p.yaml:5:11");
    assert_non_null(strstr(all.text[0], "has a column __freshet_row"));
    assert_non_null(strstr(all.text[1], "the reader \"airports\" has no columns"));
    fixture_close(&here);
}

/* ---- clocks ---- */

static void test_clocks(void **state)
{
    (void)state;
    static const char *const calls[] = {"now()",
                                        "today()",
                                        "random()",
                                        "uuid()",
                                        "gen_random_uuid()",
                                        "get_current_timestamp()",
                                        "transaction_timestamp()",
                                        "age(ts)",
                                        "txid_current()"};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        char query[100];
        snprintf(query, sizeof query, "select origin, %s::varchar as x from flights", calls[i]);
        refused("flights*", query, calls[i], "a replay would give another value", END);
        runs("flights", query, "flights");
    }
    refused("flights*", "select current_timestamp as a, current_date as b from flights",
            "current_timestamp", "use the event's own time", "current_date", "current_date is not",
            END);
    refused("flights* airports",
            "select f.* from flights f join (select faa, now() as t from airports) a on a.faa = "
            "f.origin",
            "now()", "a replay", END);
    runs("flights*", "select age(ts, ts)::varchar as a, error('x') as e from flights where false",
         "flights");
    runs("flights*", "select current_date from (select ts as current_date from flights)",
         "flights");
}

/* ---- what a stream cannot ---- */

static void test_aggregates_on_a_stream(void **state)
{
    (void)state;
    refused("flights*", "select count(*) as n from flights", "count(*)",
            "count() over the stream \"flights\" is not possible: an aggregate needs all rows",
            END);
    refused("flights*",
            "select origin, sum(delay) as s,\n max(delay) as m\nfrom flights group by 1", "sum",
            "sum() over", "max", "max() over", "1", "GROUP BY over", END);
    refused("flights*", "select origin from flights group by all", NULL, "GROUP BY over", END);
    refused("flights*", "select origin from flights group by origin having origin > 'x'",
            "origin having", "GROUP BY", "> 'x'", "HAVING", END);
    refused("flights*", "select geomean(delay) as g from flights", "geomean", "geomean() over",
            END);
    refused("flights*", "select collect_list(delay) as g from flights", "collect_list",
            "collect_list() over", END);
    refused("flights*",
            "with c as (select origin, delay from flights)\n"
            "select avg(delay) as a from (select * from c) d",
            "avg", "avg() over the stream \"flights\"", END);
}

static void test_windows_on_a_stream(void **state)
{
    (void)state;
    refused("flights*", "select row_number() over (order by ts) as n from flights", "row_number",
            "row_number() OVER the stream \"flights\"", END);
    refused("flights*", "select sum(delay) over w as n from flights window w as (order by ts)",
            "sum", "windowed feature", END);
    refused("flights*",
            "select origin from flights qualify row_number() over (partition by origin) = 1",
            "row_number", "row_number() OVER", "= 1", "QUALIFY over", END);
}

static void test_order_and_limit_on_a_stream(void **state)
{
    (void)state;
    refused("flights*", "select distinct origin from flights", "origin", "DISTINCT over", END);
    refused("flights*", "select distinct on (carrier) origin from flights", "carrier",
            "DISTINCT over", END);
    refused("flights*", "select origin from flights order by amount", "amount", "ORDER BY over",
            END);
    refused("flights*", "select origin from flights limit 10", "10", "LIMIT over", END);
    refused("flights*", "select origin from flights order by amount limit 10", "amount",
            "ORDER BY over", "10", "LIMIT over", END);
    refused("flights*", "select * from (select origin from flights limit 10)", "10", "LIMIT", END);
    refused("flights*", "select origin from flights using sample 10%", "flights using", "a sample",
            END);
    refused("flights*", "select origin from flights tablesample 10%", "flights tablesample",
            "a sample", END);
}

static void test_set_operations_on_a_stream(void **state)
{
    (void)state;
    refused("flights* events*", "select origin from flights union select carrier from events",
            "carrier", "UNION over the stream \"flights\" is not possible", END);
    refused("flights* events", "select origin from flights except select carrier from events",
            "carrier", "EXCEPT over", END);
    refused("flights* events",
            "select origin from flights intersect all select carrier from events", "carrier",
            "INTERSECT over", END);
    refused("flights* airports", "select origin from flights union all select name from airports",
            "name", "this one reads no stream", END);
    refused("flights* airports", "select name from airports union all select origin from flights",
            "name", "this one reads no stream", END);
    refused("flights*", "select origin from flights union all select 'x'", "'x'",
            "this one reads no stream", END);
    refused("flights* events*",
            "select origin from flights union all select carrier from events order by 1", "1",
            "ORDER BY over", END);
    refused("flights*",
            "with recursive r as (select delay as d from flights union all select d - 1 from r "
            "where d > 0) select d from r",
            "delay", "WITH RECURSIVE over", END);
}

/* What a join of two streams must say, and what it must not. */
static void test_joins_of_streams(void **state)
{
    static const char *const both = "flights*+ events*+";
    (void)state;
    refused("flights* events*", "select f.origin from flights f join events e using (origin)",
            "join", "has no bound for \"flights\"", END);
    refused("flights*+ events*", "select f.origin from flights f join events e using (origin)",
            "join", "say at that reader `timestamp: {from: COLUMN}`", END);
    refused(both, "select f.origin from flights f, events e", "events",
            "are joined without an equality in ON", END);
    refused(both, "select 1 from flights f full join events e using (origin)", "full join",
            "FULL JOIN of the streams \"flights\" and \"events\"", END);
    refused(both, "select 1 from flights f anti join events e using (origin)", "anti join",
            "WHERE the partner's key IS NULL", END);
    refused(both, "select 1 from flights f semi join events e using (origin)", "semi join",
            "SEMI JOIN", END);
    refused(both, "select 1 from flights f join events e on f.delay < e.delay", "join",
            "needs an equality of two columns", END);
    refused(both, "select 1 from flights f join events e on f.amount = e.delay", "= e.delay",
            "\"amount\" of \"flights\" is double and \"delay\" of \"events\" is bigint", END);
    refused(both,
            "select 1 from flights f join events e on f.origin = e.origin and f.delay > (select "
            "1)",
            "> (select", "cannot hold a subquery", END);
    refused("flights*+", "select f.origin from flights f join flights g using (origin)", "join",
            "a stream cannot be joined with itself", END);
    refused(both,
            "select 1 from (select * from flights where delay > 0) f join events e using (origin)",
            "join", "joined by their readers' names", END);
    refused("flights*+ events*+ airports",
            "select 1 from flights f join airports on faa = origin join events e using (carrier)",
            "join events", "joined by their readers' names", END);
    refused(both,
            "select f.origin, f.ts from flights f join events e using (origin) union all select "
            "origin, ts from flights",
            NULL, "reads each of them once, and no other stream", END);
    refused(both,
            "select 1 from flights f asof join events e on f.origin = e.origin and f.delay <= "
            "e.delay",
            "<= ", "has one comparison, that of the readers' times", END);
}

static void test_joins_of_streams_that_run(void **state)
{
    static const char *const both = "flights*+ events*+ airports";
    (void)state;
    runs(both,
         "select f.*, e.delay as d from flights f join events e on e.origin = f.origin and f.delay "
         "> 3 and (f.delay > 4 and e.delay > 5)",
         "flights events");
    runs(both, "select * from flights f left join events e using (origin, carrier, delay)",
         "flights events");
    runs(both,
         "select f.code, e.delay, a.name from flights f right join events e on f.origin = e.origin "
         "left join airports a on a.faa = e.origin where f.delay is null",
         "flights events");
    runs(both,
         "with j as (select f.code, e.delay from flights f left join events e on f.origin = "
         "e.origin and e.delay > f.delay) select *, delay + 1 as d from j where code <> ''",
         "flights events");
    runs(both,
         "select f.code, e.delay from flights f asof left join events e on f.origin = e.origin and "
         "f.delay >= e.delay",
         "flights events");
    /* A batch with bounds is run in the same way; without, as any query. */
    runs("flights+ events+", "select f.code from flights f join events e using (origin)",
         "flights events");
    runs("flights events", "select f.code from flights f full join events e using (origin)", "");
}

static void test_joins_on_a_stream(void **state)
{
    (void)state;
    refused("flights* airports", "select name from flights right join airports on faa = origin",
            "right join", "the left side of a RIGHT JOIN", END);
    refused("flights* airports", "select name from flights full join airports on faa = origin",
            "full join", "a FULL JOIN", END);
    refused("flights* airports", "select name from airports left join flights on faa = origin",
            "left join", "the right side of a LEFT JOIN", END);
    refused("flights* airports", "select name from airports semi join flights on faa = origin",
            "semi join", "the right side of a SEMI JOIN", END);
    refused("flights* airports", "select name from airports anti join flights on faa = origin",
            "anti join", "the right side of an ANTI JOIN", END);
    refused("flights* airports", "select name, origin from flights positional join airports",
            "positional join", "a POSITIONAL JOIN", END);
    refused("flights* airports",
            "select name, origin from airports asof join flights on lat >= amount", "asof join",
            "right side of an ASOF JOIN", END);
}

static void test_streams_in_expressions(void **state)
{
    (void)state;
    refused("flights* airports",
            "select name from airports where faa in (select origin from flights)", "in (",
            "cannot be read inside an expression", END);
    refused("flights* events*",
            "select origin, (select max(delay) from events) as m,\n"
            "exists (select 1 from flights g where g.delay > 1) as x from flights",
            "(select max", "the stream \"events\" cannot be read", "max",
            "max() over the stream \"events\"", "exists", "the stream \"flights\"", END);
    refused("flights* events*",
            "select origin, (select delay from events) as m,\n"
            "exists (select 1 from flights g where g.delay > 1) as x from flights",
            "(select delay", "the stream \"events\" cannot be read inside", "exists",
            "the stream \"flights\"", END);
}

static void test_streams_that_are_not_read(void **state)
{
    (void)state;
    refused("flights* events*", "select origin from flights", NULL,
            "the reader \"events\" is a stream, and the query does not read it", END);
    refused("flights* airports", "with c as (select * from flights) select name from airports",
            NULL, "gives none of its rows", END);
}

/* The row itself as a value would show the hidden column. */
static void test_whole_rows_as_values(void **state)
{
    (void)state;
    refused("flights*", "select flights from flights", NULL, "row by row", END);
    refused("flights*", "select columns('.*') from flights", NULL, "row by row", END);
    runs("flights", "select flights from flights", "");
    runs("flights", "select columns('.*') from flights", "");
}

static void test_all_in_one_go(void **state)
{
    (void)state;
    refused("flights* airports",
            "select distinct count(*) as n, now() as t, delai\n"
            "from airports left join flights on faa = origin\n"
            "join nowhere_at_all on true\norder by 1 limit 3",
            "count", "count()", "count", "DISTINCT", "now", "now()", "left join", "LEFT JOIN",
            "nowhere_at_all", "no reader", "1 limit", "ORDER BY", "3", "LIMIT", END);
    refused("flights*", "select delai, sum(delay) as s from flights", "delai", "delai", "sum",
            "sum()", END);
}

/* One deeper than possible; and a chain that is not. */
static void test_depth(void **state)
{
    (void)state;
    arena *arena = arena_open();
    const char *query = "select origin from flights";
    for (int i = 0; i < 60; i++)
        query = arena_format(arena, "%s union all select origin from flights", query);
    runs("flights*", query, "flights");
    const char *deep = "delay";
    for (int i = 0; i < 1200; i++)
        deep = arena_format(arena, "(%s)", deep);
    runs("flights*", arena_format(arena, "select %s as d from flights", deep), "flights");
    deep = "delay";
    for (int i = 0; i < 600; i++)
        deep = arena_format(arena, "-(%s)", deep);
    fixture here;
    collected all = {0};
    fixture_open(&here, "flights*", arena_format(arena, "select %s as d from flights", deep));
    problems_report(here.problems, collect, &all, NULL);
    assert_int_equal(all.n, 1);
    fixture_close(&here);
    arena_close(arena);
}

/* ---- what is possible ---- */

static void test_by_rows_on_a_stream(void **state)
{
    (void)state;
    static const char *const queries[] = {
        "select * from flights",
        "from flights",
        "table flights",
        "select f.*, name from flights f left join airports a on a.faa = f.origin",
        "select name, f.* from airports a right join flights f on a.faa = f.origin",
        "select name, origin from airports join flights on faa = origin",
        "select origin, name from flights, airports where faa = origin",
        "select * from flights natural join airlines",
        "select * from flights join airlines using (carrier)",
        "select * from flights semi join airlines using (carrier)",
        "select * from flights anti join airlines using (carrier)",
        "select f.origin, a.lat from flights f asof left join airports a on f.amount >= a.lat",
        "select origin, tag from flights, unnest(tags) as t(tag)",
        "select origin, unnest(tags) as tag from flights",
        "select * from (select *, delay > 15 as late from flights) where late",
        "with c as (select origin, delay from flights), d as (select * from c where delay > 1) "
        "select d.*, name from d left join airports on faa = origin",
        "with c(x, y) as (select origin, delay from flights) select x from c",
        "select x from (select origin, delay from flights) t(x, y)",
        "select origin, (select max(lat) from airports) as m from flights",
        "select origin from flights where origin in (select faa from airports where lat > 1)",
        "select origin, n from flights left join (select faa, count(*) as n from airports group by "
        "faa order by n limit 100) on faa = origin",
        "select origin, (select count(*) from unnest(tags) t(x)) as n from flights",
        "select nested.a, nested.b.c from flights",
        "select nested.* from flights",
        "select origin from flights union all select carrier from flights",
        "select * exclude (tags) replace (delay + 1 as delay) from flights",
        "select columns(*) from flights",
        "select list_transform(tags, lambda x: upper(x)) as t from flights",
        "select [x || '!' for x in tags if x > 'K'] as t from flights",
        "select name, x from airports, lateral (select origin || name as x from flights)",
    };
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
        runs("flights* airports airlines", queries[i], "flights");
    runs("flights* events*", "select origin from flights union all select carrier from events",
         "flights events");
    runs("flights* events*",
         "select origin, delay from flights union all by name select delay, origin from events",
         "flights events");
}

static void test_batch(void **state)
{
    (void)state;
    const char *all = "flights events airports airlines";
    runs(all, "select origin, name from flights left join airports on faa = origin", "flights");
    runs(all, "select origin, name from airports join flights on faa = origin", "airports");
    /* driven by where the event's time comes from */
    runs(all, "select name, ts from airports join flights on faa = origin", "flights");
    runs(all, "select f.ts + interval 1 day as ts from airports a, flights f", "flights");
    runs(all, "select * from airports right join flights on faa = origin", "flights");
    runs(all, "select a.*, f.* from airports a join flights f on faa = origin", "flights");
    runs(all, "select ts from airports join (select ts, origin from flights) f on faa = origin",
         "flights");
    runs(all,
         "with c as (select f.ts as t from airlines join flights f using (carrier)) select t as ts "
         "from airports, c",
         "flights");
    runs(all,
         "select a.name, f.ts from airports a join flights f on faa = f.origin union all select "
         "a.name, e.delay from airports a join events e on faa = e.origin",
         "flights events");
    runs(all, "select name, nested.a as ts from airports join flights on faa = origin",
         "flights"); /* a field of its column */
    runs(all, "select name, ts from airports left join flights on faa = origin", "airports");
    runs(all, "select origin from flights union all select carrier from events", "flights events");
    runs(all, "with c as (select * from flights) select origin from (select * from c)", "flights");
    runs(all,
         "with c as (select * from flights), d as (select * from c) select origin from d union all "
         "select origin from events",
         "flights events");
    /* as a whole */
    runs(all, "select origin, count(*) as n from flights group by origin", "");
    runs(all, "select origin from flights order by delay", "");
    runs(all, "select distinct origin from flights", "");
    runs(all, "select f.origin from flights f join flights g using (origin)", "");
    runs(all, "select origin from flights where delay > (select avg(delay) from flights)", "");
    runs(all, "select origin from flights right join airports on faa = origin", "");
    runs(all, "select name from airports union all select 'x'", "");
    runs(all, "select 1 as one", "");
    runs(all, "select * from flights limit 10", "");
    runs(all, "select geomean(delay) as g from flights", "");
    runs(all, "select * from flights pivot (sum(delay) for carrier in ('a', 'b') group by origin)",
         "");
}

static void test_used_columns(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        const char *used; /* of flights */
    } cases[] = {
        {"select origin from flights", "origin"},
        {"select origin as delay from flights where amount > 1 and code = 'x'",
         "origin delay amount code"}, /* rather too many: an alias has the name of a column */
        {"select * from flights", "origin carrier delay amount tags nested code ts"},
        {"select origin from (select * from flights)",
         "origin carrier delay amount tags nested code ts"},
        {"select * from (select origin, ts from flights)", "origin ts"},
        {"select a.* from flights join airports a on faa = origin", "origin"},
        {"select f.* from flights f", "origin carrier delay amount tags nested code ts"},
        {"select title from flights join airlines using (carrier)", "carrier"},
        {"select title from flights natural join airlines",
         "origin carrier delay amount tags nested code ts"},
        {"select nested.b.c from flights", "nested"},
        {"select nested.* from flights", "nested"},
        {"select tag from flights f, unnest(f.tags) t(tag)", "tags"},
        {"select ORIGIN from Flights", "origin"},
        {"select a from flights t(a, b)", "origin carrier delay amount tags nested code ts"},
        {"select (select name from airports where faa = code limit 1) as x from flights", "code"},
        {"select flights from flights", "origin carrier delay amount tags nested code ts"},
        {"select count(*) as n from flights", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture here;
        fixture_open_well(&here, "flights airports airlines", cases[i].query);
        char used[200] = "";
        for (uint32_t c = 0; c < here.readers[0].schema.n_fields; c++) {
            if (source_used(here.source, 0)[c]) {
                strcat(used, *used == '\0' ? "" : " ");
                strcat(used, here.readers[0].schema.fields[c].name);
            }
        }
        if (i != 1)
            assert_string_equal(used, cases[i].used);
        fixture_close(&here);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_not_one_select),
        cmocka_unit_test(test_messages_of_the_binder),
        cmocka_unit_test(test_readers),
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_aggregates_on_a_stream),
        cmocka_unit_test(test_windows_on_a_stream),
        cmocka_unit_test(test_order_and_limit_on_a_stream),
        cmocka_unit_test(test_set_operations_on_a_stream),
        cmocka_unit_test(test_joins_of_streams),
        cmocka_unit_test(test_joins_of_streams_that_run),
        cmocka_unit_test(test_joins_on_a_stream),
        cmocka_unit_test(test_streams_in_expressions),
        cmocka_unit_test(test_streams_that_are_not_read),
        cmocka_unit_test(test_whole_rows_as_values),
        cmocka_unit_test(test_all_in_one_go),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_by_rows_on_a_stream),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_used_columns),
    };
    return cmocka_run_group_tests_name("source/plan", tests, NULL, NULL);
}
