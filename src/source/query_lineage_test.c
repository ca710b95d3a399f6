/* query_lineage_test.c - which readers' columns each column of a query is made of. */
#include "source/query_lineage.h"

#include "source/source_testing.h"

/* "x: flights.a flights.b, y: airports.name", columns of readers in their order. */
static const char *told(fixture *here, const char *readers, const char *query)
{
    lineage lineage;
    text_buffer text;
    fixture_open_well(here, readers, query);
    must(source_lineage(here->source, here->arena, &lineage, &here->err), &here->err);
    text_init(&text, TEXT_LIMIT_DEFAULT);
    if (!lineage.is_known)
        text_append_c(&text, "unknown");
    for (uint32_t i = 0; lineage.is_known && i < lineage.n_made; i++) {
        text_format(&text, "%s%s:", i > 0 ? ", " : "", source_schema(here->source)->fields[i].name);
        for (uint32_t r = 0; r < lineage.n_readers; r++)
            for (uint32_t c = 0; c < lineage.columns[r]->n_fields; c++)
                if (lineage.made[i * (size_t)lineage.n + lineage.first[r] + c])
                    text_format(&text, " %s.%s", here->readers[r].block->id.value,
                                lineage.columns[r]->fields[c].name);
    }
    const char *kept = arena_text(here->arena, text.bytes);
    text_release(&text);
    return kept;
}

static const struct {
    const char *query, *made;
} cases[] = {
    {"select origin, delay + amount as x, 1 as one from flights",
     "origin: flights.origin, x: flights.delay flights.amount, one:"},
    {"select f.origin o, a.name from flights f join airports a on a.faa = f.origin",
     "o: flights.origin, name: airports.name"},
    {"select a.* exclude (lat), f.delay from flights f left join airports a on a.faa = f.origin",
     "faa: airports.faa, name: airports.name, delay: flights.delay"},
    {"select carrier, title from flights join airlines using (carrier)",
     "carrier: flights.carrier airlines.carrier, title: airlines.title"},
    {"select * from airlines join (select carrier, delay from flights) using (carrier)",
     "carrier: airlines.carrier, title: airlines.title, delay: flights.delay"},
    {"with late as (select origin, delay d from flights where amount > 1) select d, origin from "
     "late",
     "d: flights.delay, origin: flights.origin"},
    {"with late(a, b) as (select origin, delay from flights) select b, a from late",
     "b: flights.delay, a: flights.origin"},
    {"select origin, delay from flights union all select faa, lat::bigint from airports",
     "origin: flights.origin airports.faa, delay: flights.delay airports.lat"},
    {"select delay, origin from flights union all by name select faa as origin, 1 as delay "
     "from airports",
     "delay: flights.delay, origin: flights.origin airports.faa"},
    {"select nested.b.c as deep, f.nested.a, flat from flights f, unnest(f.tags) as t(flat)",
     "deep: flights.nested, a: flights.nested, flat: flights.tags"},
    {"select case when delay > 15 then carrier else 'none' end as who, "
     "sum(amount) over (partition by origin order by ts) as s from flights",
     "who: flights.carrier flights.delay, "
     "s: flights.origin flights.amount flights.ts"},
    {"select (select max(lat) from airports) as top, count(*) as n from flights group by all",
     "top: airports.lat, n:"},
    {"select struct_pack(a := f) as whole from airlines f",
     "whole: airlines.carrier airlines.title"},
    {"select columns('d.*') from flights", "unknown"},
};

static void each_column_is_made_of_what_it_mentions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture here;
        const char *made = told(&here, "flights airports airlines", cases[i].query);
        if (strcmp(made, cases[i].made) != 0)
            fail_msg("%s\n%s\n%s", cases[i].query, made, cases[i].made);
        fixture_close(&here);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_column_is_made_of_what_it_mentions),
    };
    return cmocka_run_group_tests_name("source/query_lineage", tests, NULL, NULL);
}
