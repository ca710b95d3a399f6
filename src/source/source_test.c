/* Running the query: by rows in random pieces against the same SQL over whole tables, the order of
 * rows, bad rows, static readers that are loaded again, and queries run as a whole. */
#include "source/source_testing.h"

/* ---- the naive twin ---- */

typedef struct lines {
    const char **items;
    uint32_t n, capacity;
} lines;

static void lines_add(arena *arena, lines *lines, const char *line)
{
    if (lines->n == lines->capacity) {
        uint32_t capacity = lines->capacity == 0 ? 1024 : lines->capacity * 2;
        lines->items = arena_grow(arena, lines->items, lines->capacity * sizeof *lines->items,
                                  capacity * sizeof *lines->items);
        lines->capacity = capacity;
        assert_non_null(lines->items);
    }
    lines->items[lines->n++] = line;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void lines_sort(lines *lines)
{
    if (lines->n > 0)
        qsort(lines->items, lines->n, sizeof *lines->items, compare_lines);
}

static void check_same_lines(const char *query, lines *a, lines *b)
{
    lines_sort(a);
    lines_sort(b);
    for (uint32_t i = 0; i < a->n && i < b->n; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0)
            fail_msg("%s\n%s\n%s", query, a->items[i], b->items[i]);
    }
    if (a->n != b->n)
        fail_msg("%s: %u rows, and %u by the twin", query, a->n, b->n);
}

/* The user's own text over tables that hold all rows, in a session of its own. */
static lines run_twin(fixture *here, const char *query, batch *const *all)
{
    lines lines = {0};
    sql_session *session;
    sql_input *inputs[FIXTURE_READERS_MAX];
    sql_statement *statement;
    batch rows;
    must(sql_session_open(fixture_engine, &session, &here->err), &here->err);
    for (uint32_t i = 0; i < here->n_readers; i++) {
        must(sql_input_add(session, here->readers[i].block->id.value, &here->readers[i].schema,
                           NULL, 0, &inputs[i], &here->err),
             &here->err);
        sql_input_set(inputs[i], all[i], 0, all[i]->n_rows);
    }
    must(sql_prepare(session, query, &statement, NULL, &here->err), &here->err);
    must(sql_run(statement, here->arena, &rows, &here->err), &here->err);
    for (uint32_t i = 0; i < rows.n_rows; i++)
        lines_add(here->arena, &lines, fixture_json(here, &rows, i));
    sql_statement_close(statement);
    for (uint32_t i = 0; i < here->n_readers; i++)
        sql_input_close(inputs[i]);
    sql_session_close(session);
    return lines;
}

/* Rows [first, first + n) of a batch. */
static batch *slice(fixture *here, const batch *all, uint32_t first, uint32_t n)
{
    uint8_t *keep = arena_zero(here->arena, all->n_rows, 1);
    batch *part = arena_zero(here->arena, 1, sizeof *part);
    memset(keep + first, 1, n);
    must(batch_select(all, keep, part, &here->err), &here->err);
    return part;
}

static void check_ascending(const batch *rows)
{
    assert_non_null(rows->rows);
    for (uint32_t i = 1; i < rows->n_rows; i++)
        assert_true(rows->rows[i - 1] <= rows->rows[i]);
}

/* Feeds the driving readers in random pieces, some empty; gives all rows that come out. */
static lines run_in_pieces(fixture *here, batch *const *all, uint64_t seed, uint32_t piece_max)
{
    lines lines = {0};
    uint32_t done[FIXTURE_READERS_MAX] = {0};
    rejects rejects = {.arena = here->arena};
    arena *step = arena_open();
    for (bool more = true; more;) {
        batch *pieces[FIXTURE_READERS_MAX] = {NULL};
        batch out;
        more = false;
        for (uint32_t i = 0; i < here->n_readers; i++) {
            uint32_t left = all[i]->n_rows - done[i];
            uint32_t n = (uint32_t)(fixture_dice(&seed) % (piece_max + 1));
            if (!source_drives(here->source, i))
                continue;
            n = n > left ? left : n;
            if (n > 0)
                pieces[i] = slice(here, all[i], done[i], n);
            done[i] += n;
            more |= done[i] < all[i]->n_rows;
        }
        arena_reset(step);
        must(source_run(here->source, step, pieces, &out, &rejects, &here->err), &here->err);
        check_ascending(&out);
        assert_int_equal(out.schema.n_fields, source_schema(here->source)->n_fields);
        for (uint32_t i = 0; i < out.n_rows; i++) {
            assert_true(ROW_INDEX(out.rows[i]) < pieces[ROW_READER(out.rows[i])]->n_rows);
            lines_add(here->arena, &lines, fixture_json(here, &out, i));
        }
    }
    assert_int_equal(rejects.n, 0);
    arena_close(step);
    return lines;
}

static const char *const by_rows[] = {
    "select * from flights",
    "select origin, upper(carrier) as c, amount * 1.5 as a, delay > 15 as late from flights "
    "where delay > 0",
    "select f.*, name from flights f left join airports a on a.faa = f.origin",
    "select name, f.* exclude (tags) from airports a right join flights f on a.faa = f.origin",
    "select name, origin, delay from airports join flights on faa = origin",
    "select * from flights natural join airlines",
    "select * from flights join airlines using (carrier)",
    "select * from flights left join airlines using (carrier) left join airports on faa = origin",
    "select * from flights semi join airlines using (carrier)",
    "select * from flights anti join airlines using (carrier)",
    "select f.origin, f.amount, a.lat from flights f asof left join airports a on f.amount >= "
    "a.lat",
    "select origin, tag from flights, unnest(tags) as t(tag)",
    "select origin, unnest(tags) as tag from flights",
    "select * from (select *, delay > 15 as late from flights) where late",
    "with c as (select origin, delay from flights), d as (select * from c where delay > 1) "
    "select d.*, name from d left join airports on faa = origin",
    "with c(x, y) as (select origin, delay from flights) select x, y + 1 as z from c",
    "select x, y from (select origin, delay from flights) t(x, y)",
    "select origin, (select max(lat) from airports) as m from flights",
    "select origin from flights where origin in (select faa from airports where lat > 30)",
    "select origin, n from flights left join (select faa, count(*) as n from airports group by "
    "faa) "
    "on faa = origin",
    "select origin, (select count(*) from unnest(tags) t(x)) as n from flights",
    "select origin, (select name from airports where faa = origin order by name limit 1) as n "
    "from flights",
    "select nested.a as a, nested.b.c as c, nested.b as b, nested from flights",
    "select nested.* from flights",
    "select origin, delay from flights union all select carrier, -delay from flights",
    "select * exclude (tags) replace (delay + 1 as delay) from flights",
    "select columns(*) from flights",
    "select columns(* exclude (tags, nested)) from flights",
    "select list_transform(tags, lambda x: upper(x)) as t, list_filter(tags, lambda x: x > 'K') as "
    "f "
    "from flights",
    "select list_transform(tags, lambda x, i: x || i) as t from flights",
    "select [x || '!' for x in tags if x > 'K'] as t from flights",
    "select case when delay > 50 then 'big' when delay is null then null else 'small' end as size, "
    "carrier || '-' || origin as both_, coalesce(delay, 0) as d, delay between 1 and 5 as b, "
    "origin like 'K%' as k, origin not in ('K1', 'K2') as n, not (delay > 3 or amount < 2) as o, "
    "delay::varchar as v, try_cast(origin as integer) as t, -delay as m, delay % 7 as r, delay // "
    "3 "
    "as q, delay / 3 as f, 1e-7 as tiny, 1e300 as huge, 0.1 as tenth, 123456789012345678901234 as "
    "long, 'it''s' as s, '\\xAA'::blob as blob, date '2020-02-29' as d1, ts + interval 90 minute "
    "as "
    "t1, date_trunc('hour', ts) as t2, extract(year from ts) as y, strftime(ts, '%Y') as s1, "
    "tags[1] as first, tags[1:2] as two, {'a': delay, 'b': [delay]} as st, [delay, 1] as li, "
    "map {'k': delay} as ma, origin similar to 'K[0-9]' as si, position('K' in origin) as po, "
    "trim(both 'K' from origin) as tr, substring(origin from 2 for 1) as su, delay is distinct "
    "from 3 "
    "as di, true and null as nu, delay in (1, 2, null) as inn, ts at time zone 'America/New_York' "
    "as "
    "tz, a.lat ** 2 as p, greatest(delay, 3, 4) as g, hash(origin) % 10 as h, "
    "regexp_extract(origin, "
    "'([0-9])', 1) as re, lower(origin)[1] as lo, origin collate nocase = 'k1' as co, #1 as pos "
    "from flights f left join airports a on a.faa = f.origin and a.lat > f.amount",
    "select name, x from airports, lateral (select origin || name as x from flights)",
    "select origin, g from flights, range(delay % 3) as r(g)",
    "select nvl(origin, 'none') as o, date_format(ts, 'yyyy-MM-dd') as day from flights",
    "select origin, t.* from flights, (values (1, 'a'), (2, 'b')) t(n, l)",
    "from flights select origin, delay where amount > 10",
    "select f.origin as \"the origin\", f.delay as \"select\" from flights as f",
};

static void check_against_twin(const char *readers, const char *query, uint32_t n, uint64_t seed)
{
    fixture here;
    fixture_open_well(&here, readers, query);
    assert_true(source_is_by_rows(here.source));
    batch *all[FIXTURE_READERS_MAX];
    for (uint32_t i = 0; i < here.n_readers; i++) {
        bool drives = source_drives(here.source, i);
        all[i] = fixture_fill(&here, i, drives ? n : 25, seed + i * 77, 0);
        if (!drives)
            fixture_load(&here, i, all[i]);
    }
    lines twin = run_twin(&here, query, all);
    lines pieces = run_in_pieces(&here, all, seed + 5, n < 1000 ? 40 : 3000);
    check_same_lines(query, &pieces, &twin);
    fixture_close(&here);
}

static void test_by_rows_is_what_the_whole_gives(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof by_rows / sizeof by_rows[0]; i++)
        check_against_twin("flights* airports airlines", by_rows[i], 300, 1000 + i);
    check_against_twin("flights* airports airlines", by_rows[2], 9000, 7);
    check_against_twin("flights* airports airlines", by_rows[4], 9000, 8);
}

static void test_two_streams(void **state)
{
    (void)state;
    const char *readers = "events* airports flights*";
    check_against_twin(readers,
                       "select origin, delay from flights union all select carrier, delay from "
                       "events",
                       500, 11);
    check_against_twin(
        readers,
        "with u as (select origin, delay from flights union all by name select delay, "
        "origin from events where delay > 3) select u.*, name from u left join "
        "airports on faa = origin",
        500, 12);
    check_against_twin(
        readers,
        "select * exclude (amount, tags, nested, code, ts) from flights union all "
        "(select * from events union all select carrier, origin, -delay from events)",
        500, 13);
}

static void test_batch_by_rows(void **state)
{
    (void)state;
    check_against_twin("flights airports airlines", by_rows[2], 500, 21);
    check_against_twin("airports flights",
                       "select name, delay from airports join flights on faa = origin", 200, 22);
}

/* ---- order ---- */

static void test_order(void **state)
{
    (void)state;
    fixture here;
    fixture_open_well(&here, "flights* airports",
                      "select f.origin, f.delay, name from airports right join flights f on faa = "
                      "origin union all select origin, delay, 'second' from flights");
    batch *airports = fixture_fill(&here, 1, 4000, 3, 0);
    batch *flights = fixture_fill(&here, 0, 3000, 4, 0), *batches[] = {flights, NULL}, out;
    rejects rejects = {.arena = here.arena};
    fixture_load(&here, 1, airports);
    must(source_run(here.source, here.arena, batches, &out, &rejects, &here.err), &here.err);
    check_ascending(&out);
    assert_true(out.n_rows >= 6000);
    /* Each row of the result holds its own row's values, and the second SELECT's comes last. */
    for (uint32_t i = 0; i < out.n_rows; i++) {
        uint32_t row = ROW_INDEX(out.rows[i]);
        assert_int_equal(column_is_valid(&out.columns[1], i),
                         column_is_valid(&flights->columns[2], row));
        assert_int_equal(((int64_t *)out.columns[1].data)[i],
                         ((int64_t *)flights->columns[2].data)[row]);
        const cell_text *name = &((cell_text *)out.columns[2].data)[i];
        bool is_last = i + 1 == out.n_rows || out.rows[i + 1] != out.rows[i];
        assert_int_equal(is_last, name->length == 6 && memcmp(text_bytes(name), "second", 6) == 0);
    }
    fixture_close(&here);
}

/* ---- bad rows ---- */

static void set_code(fixture *here, batch *rows, uint32_t row, const char *code)
{
    ((cell_text *)rows->columns[6].data)[row] =
        text_of(arena_text(here->arena, code), (uint32_t)strlen(code));
}

/* n rows of which those in `bad` do not convert: exactly these are rejected, all else comes out. */
static void check_bad_rows(fixture *here, uint32_t n, const uint32_t *bad, uint32_t n_bad)
{
    batch *flights = fixture_fill(here, 0, n, 31, 1000), *batches[] = {flights, NULL}, out;
    rejects rejects = {.arena = here->arena};
    for (uint32_t i = 0; i < n_bad; i++)
        set_code(here, flights, bad[i], "not a number");
    must(source_run(here->source, here->arena, batches, &out, &rejects, &here->err), &here->err);
    assert_int_equal(rejects.n, n_bad);
    for (uint32_t i = 0; i < n_bad; i++) {
        char raw[20];
        int length = snprintf(raw, sizeof raw, "row %u", 1000 + bad[i]);
        assert_string_equal(rejects.items[i].reader, "flights");
        assert_int_equal(rejects.items[i].offset, 100 * (1000 + bad[i]));
        assert_int_equal(rejects.items[i].raw_length, length);
        assert_memory_equal(rejects.items[i].raw, raw, length);
        assert_non_null(strstr(rejects.items[i].reason, "Could not convert string 'not a number'"));
    }
    assert_int_equal(out.n_rows, n - n_bad);
    uint32_t next = 0, skipped = 0;
    for (uint32_t i = 0; i < out.n_rows; i++, next++) {
        while (skipped < n_bad && bad[skipped] == next)
            skipped++, next++;
        assert_int_equal(out.rows[i], ROW_OF(0, next));
        const cell_text *code = &((cell_text *)flights->columns[6].data)[next];
        char digits[13] = "";
        memcpy(digits, text_bytes(code), code->length);
        assert_int_equal(((int32_t *)out.columns[1].data)[i], atoi(digits));
    }
}

static void test_bad_rows(void **state)
{
    (void)state;
    fixture here;
    fixture_open_well(&here, "flights* airports", "select origin, code::int as c from flights");
    check_bad_rows(&here, 1, (uint32_t[]){0}, 1);
    check_bad_rows(&here, 1, NULL, 0);
    check_bad_rows(&here, 2, (uint32_t[]){1}, 1);
    check_bad_rows(&here, 3, (uint32_t[]){0, 1, 2}, 3);
    check_bad_rows(&here, 5000, (uint32_t[]){0}, 1);
    check_bad_rows(&here, 5000, (uint32_t[]){4999}, 1);
    check_bad_rows(&here, 5000, (uint32_t[]){0, 17, 2047, 2048, 2049, 4000, 4999}, 7);
    uint32_t every[200];
    for (uint32_t i = 0; i < 200; i++)
        every[i] = i;
    check_bad_rows(&here, 200, every, 200);
    check_bad_rows(&here, 100, NULL, 0);
    fixture_close(&here);
}

static void test_bad_rows_of_two_streams(void **state)
{
    (void)state;
    fixture here;
    fixture_open_well(
        &here, "events* flights*",
        "select code::int as c from flights union all select 1000 / delay from events "
        "where error(case when delay = 99 then 'ninety-nine' end) is null");
    batch *events = fixture_fill(&here, 0, 100, 41, 0),
          *flights = fixture_fill(&here, 1, 100, 42, 0);
    batch *batches[] = {events, flights}, out;
    rejects rejects = {.arena = here.arena};
    for (uint32_t i = 0; i < 100; i++)
        ((int64_t *)events->columns[2].data)[i] = i == 60 || i == 3 ? 99 : 1;
    for (uint32_t c = 0; c < 3; c++)
        events->columns[c].valid = NULL;
    set_code(&here, flights, 5, "bad");
    must(source_run(here.source, here.arena, batches, &out, &rejects, &here.err), &here.err);
    assert_int_equal(rejects.n, 3);
    assert_string_equal(rejects.items[0].reader, "events");
    assert_int_equal(rejects.items[0].offset, 300);
    assert_non_null(strstr(rejects.items[1].reason, "ninety-nine"));
    assert_string_equal(rejects.items[2].reader, "flights");
    assert_int_equal(rejects.items[2].offset, 500);
    assert_int_equal(out.n_rows, 197);
    check_ascending(&out);
    fixture_close(&here);
}

/* An error that no row of the stream is to blame for stops the run. */
static void test_a_query_that_always_fails(void **state)
{
    (void)state;
    fixture here;
    fixture_open_well(&here, "flights* airports",
                      "select origin, n from flights left join (select faa, name::int as n from "
                      "airports) on faa = origin");
    batch *flights = fixture_fill(&here, 0, 10, 51, 0), *batches[] = {flights, NULL}, out;
    rejects rejects = {.arena = here.arena};
    fixture_load(&here, 1, fixture_fill(&here, 1, 10, 52, 0));
    freshet_code code = source_run(here.source, here.arena, batches, &out, &rejects, &here.err);
    if (code == FRESHET_OK) /* DuckDB did not read the table for no rows: then all are rejected */
        assert_int_equal(rejects.n, 10);
    else
        assert_int_equal(here.err.then, FRESHET_STOP);
    fixture_close(&here);
}

/* ---- static readers ---- */

static const char *names_for(fixture *here, const char *origin)
{
    batch *flights = fixture_fill(here, 0, 1, 61, 0), *batches[] = {flights, NULL}, out;
    rejects rejects = {.arena = here->arena};
    ((cell_text *)flights->columns[0].data)[0] = text_of(origin, (uint32_t)strlen(origin));
    flights->columns[0].valid = NULL;
    must(source_run(here->source, here->arena, batches, &out, &rejects, &here->err), &here->err);
    const char *all = "";
    for (uint32_t i = 0; i < out.n_rows; i++) {
        const cell_text *name = &((cell_text *)out.columns[0].data)[i];
        all = arena_format(here->arena, "%s%.*s;", all, (int)name->length, text_bytes(name));
    }
    return all;
}

static batch *one_airport(fixture *here, const char *faa, const char *name)
{
    batch *rows = fixture_fill(here, 1, 1, 62, 0);
    ((cell_text *)rows->columns[0].data)[0] = text_of(faa, (uint32_t)strlen(faa));
    ((cell_text *)rows->columns[1].data)[0] = text_of(name, (uint32_t)strlen(name));
    rows->columns[0].valid = rows->columns[1].valid = NULL;
    return rows;
}

static void test_loading_again(void **state)
{
    (void)state;
    fixture here;
    fixture_open_well(&here, "flights* airports",
                      "select name from flights join airports on faa = origin");
    assert_string_equal(names_for(&here, "JFK"), "");
    fixture_load(&here, 1, one_airport(&here, "JFK", "Kennedy"));
    assert_string_equal(names_for(&here, "JFK"), "Kennedy;");
    /* Nothing is seen before commit, and nothing after abort. */
    must(source_load_begin(here.source, 1, &here.err), &here.err);
    must(source_load_add(here.source, 1, one_airport(&here, "JFK", "John F. Kennedy"), NULL,
                         &here.err),
         &here.err);
    assert_string_equal(names_for(&here, "JFK"), "Kennedy;");
    must(source_load_add(here.source, 1, one_airport(&here, "LGA", "La Guardia"), NULL, &here.err),
         &here.err);
    must(source_load_commit(here.source, 1, &here.err), &here.err);
    assert_string_equal(names_for(&here, "JFK"), "John F. Kennedy;");
    assert_string_equal(names_for(&here, "LGA"), "La Guardia;");
    must(source_load_begin(here.source, 1, &here.err), &here.err);
    must(source_load_add(here.source, 1, one_airport(&here, "JFK", "wrong"), NULL, &here.err),
         &here.err);
    source_load_abort(here.source, 1);
    source_load_abort(here.source, 1);
    assert_string_equal(names_for(&here, "JFK"), "John F. Kennedy;");
    /* Empty again; many times; and closed in the middle. */
    must(source_load_begin(here.source, 1, &here.err), &here.err);
    must(source_load_commit(here.source, 1, &here.err), &here.err);
    assert_string_equal(names_for(&here, "JFK"), "");
    for (int i = 0; i < 20; i++)
        fixture_load(&here, 1, one_airport(&here, "JFK", i % 2 ? "odd" : "even"));
    assert_string_equal(names_for(&here, "JFK"), "odd;");
    must(source_load_begin(here.source, 1, &here.err), &here.err);
    fixture_close(&here);
}

/* A query that turned on what was known of the empty table would keep giving nothing. */
static void test_filter_on_a_static_reader(void **state)
{
    (void)state;
    fixture here;
    fixture_open_well(&here, "flights* airports",
                      "select name from flights join airports on faa = origin where lat > -1000 or "
                      "lat is null");
    fixture_load(&here, 1, one_airport(&here, "JFK", "Kennedy"));
    assert_string_equal(names_for(&here, "JFK"), "Kennedy;");
    fixture_close(&here);
}

/* ---- as a whole ---- */

static void check_whole(const char *readers, const char *query, uint32_t n)
{
    fixture here;
    lines got = {0};
    batch out, *all[FIXTURE_READERS_MAX];
    fixture_open_well(&here, readers, query);
    assert_false(source_is_by_rows(here.source));
    for (uint32_t i = 0; i < here.n_readers; i++) {
        all[i] = fixture_fill(&here, i, n, 71 + i, 0);
        fixture_load(&here, i, all[i]);
    }
    freshet_code code;
    while ((code = source_next(here.source, here.arena, &out, &here.err)) == FRESHET_OK) {
        assert_null(out.rows);
        for (uint32_t i = 0; i < out.n_rows; i++)
            lines_add(here.arena, &got, fixture_json(&here, &out, i));
    }
    assert_int_equal(code, FRESHET_END);
    assert_int_equal(source_next(here.source, here.arena, &out, &here.err), FRESHET_END);
    lines twin = run_twin(&here, query, all);
    check_same_lines(query, &got, &twin);
    fixture_close(&here);
}

static void test_as_a_whole(void **state)
{
    (void)state;
    static const char *const queries[] = {
        "select origin, count(*) as n, min(delay) as low from flights group by origin",
        "select origin, delay, amount from flights order by delay, amount, origin",
        "select distinct origin, carrier from flights",
        "select f.delay as a, g.delay as b from flights f join flights g on f.delay = g.delay + 1",
        "select origin from flights where delay > (select avg(delay) from flights)",
        "select origin, name from flights right join airports on faa = origin",
        "select name from airports union all select 'x'",
        "select 1 as one",
        "select origin, sum(delay) over (partition by origin) as s from flights",
        "select flights as f from flights",
        "select * from flights pivot (sum(delay) for carrier in ('K1', 'K2') group by origin)",
        ("with recursive r as (select 1 as i union all select i + 1 from r where i < 10) "
         "select i, count(*) as n from r, airports group by i"),
        "select origin, list_sort(collect_list(delay)) as l from flights group by origin",
    };
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
        check_whole("flights airports airlines", queries[i], 250);
    check_whole("flights", "select * from flights order by ts", 5000);
}

static void test_as_a_whole_that_fails(void **state)
{
    (void)state;
    fixture here;
    batch out;
    fixture_open_well(&here, "flights", "select sum(code::int) as s from flights");
    batch *flights = fixture_fill(&here, 0, 10, 81, 0);
    set_code(&here, flights, 5, "bad");
    fixture_load(&here, 0, flights);
    assert_int_equal(source_next(here.source, here.arena, &out, &here.err), FRESHET_FAILED);
    assert_int_equal(here.err.then, FRESHET_STOP);
    assert_non_null(strstr(here.err.text, "Could not convert string 'bad'"));
    fixture_close(&here);
}

/* After the source is open, no SQL can change a setting or reach a file. */
static void test_the_engine_is_locked(void **state)
{
    (void)state;
    fixture here;
    fixture_open_well(&here, "flights*", "select * from flights");
    assert_int_not_equal(sql_execute(here.session, "SET threads = 3", NULL, &here.err), FRESHET_OK);
    assert_int_not_equal(
        sql_execute(here.session, "SELECT * FROM read_text('README.md')", NULL, &here.err),
        FRESHET_OK);
    fixture_close(&here);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_rows_is_what_the_whole_gives),
        cmocka_unit_test(test_two_streams),
        cmocka_unit_test(test_batch_by_rows),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_bad_rows_of_two_streams),
        cmocka_unit_test(test_a_query_that_always_fails),
        cmocka_unit_test(test_loading_again),
        cmocka_unit_test(test_filter_on_a_static_reader),
        cmocka_unit_test(test_as_a_whole),
        cmocka_unit_test(test_as_a_whole_that_fails),
        cmocka_unit_test(test_the_engine_is_locked),
    };
    return cmocka_run_group_tests_name("source/source", tests, NULL, NULL);
}
