/* sql_rows_test.c - rows in pieces, read by all sessions of an engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sql/sql_testing.h"

#define PIECES_MAX 8u
#define NUMBERED \
    "select x, text, (place - x::hugeint * 1152921504606846976)::bigint as number from my_rows()"

typedef struct pieces {
    sql_piece all[PIECES_MAX];
    uint32_t n;
} pieces;

static bool give_piece(void *context, uint32_t which, sql_piece *out)
{
    const pieces *pieces = context;
    if (which < pieces->n)
        *out = pieces->all[which];
    return which < pieces->n;
}

static field fields[2] = {{.name = "x"}, {.name = "text"}};

static const schema *two_columns(void)
{
    fields[0].type = type_simple(TYPE_BIGINT);
    fields[1].type = type_simple(TYPE_STRING);
    static const schema schema = {2, fields};
    return &schema;
}

/* Rows x = 0, 1, ...; each third text is null. */
static const batch *rows_of(arena *arena, uint32_t n)
{
    batch *batch = arena_zero(arena, 1, sizeof *batch);
    assert_int_equal(batch_init(batch, arena, two_columns(), n, NULL), FRESHET_OK);
    batch->n_rows = n;
    for (uint32_t i = 0; i < n; i++) {
        const char *text = arena_format(arena, "a text of some length %u", i);
        ((int64_t *)batch->columns[0].data)[i] = i;
        ((cell_text *)batch->columns[1].data)[i] = text_of(text, (uint32_t)strlen(text));
        if (i % 3 == 2)
            assert_true(column_set_null(arena, &batch->columns[1], i));
    }
    return batch;
}

static void add_rows(bench *here, pieces *pieces)
{
    freshet_error err = {0};
    must(
        sql_rows_add(here->session, "my_rows", two_columns(), "place", 0, give_piece, pieces, &err),
        &err);
}

static void test_pieces(void **state)
{
    bench *here = *state;
    pieces pieces = {.n = 0};
    add_rows(here, &pieces);
    assert_string_equal(answer(here, "select * from my_rows()"), "");
    assert_string_equal(answer(here, "select count(*) as n from my_rows()"), "{\"n\":0}\n");
    pieces.all[0] = (sql_piece){rows_of(here->arena, 4), 1, 2, 10};
    pieces.all[1] = (sql_piece){rows_of(here->arena, 4), 0, 0, 12};
    pieces.all[2] = (sql_piece){rows_of(here->arena, 4), 3, 1, 20};
    pieces.n = 3;
    assert_string_equal(answer(here, NUMBERED),
                        "{\"x\":1,\"text\":\"a text of some length 1\",\"number\":10}\n"
                        "{\"x\":2,\"text\":null,\"number\":11}\n"
                        "{\"x\":3,\"text\":\"a text of some length 3\",\"number\":20}\n");
    assert_string_equal(answer(here, "select number from (" NUMBERED ") where text is null"),
                        "{\"number\":11}\n");
    assert_string_equal(answer(here, "select count(*) as n from my_rows()"), "{\"n\":3}\n");
}

/* More than is read at once, twice in one statement. */
static void test_many_rows(void **state)
{
    bench *here = *state;
    pieces pieces = {.n = 2};
    const batch *rows = rows_of(here->arena, 10000);
    pieces.all[0] = (sql_piece){rows, 0, 10000, 0};
    pieces.all[1] = (sql_piece){rows, 63, 7000, 10000};
    add_rows(here, &pieces);
    assert_string_equal(
        answer(here, "select count(*) as n, sum(place - x::hugeint * 1152921504606846976)::bigint "
                     "as p, count(text) as t, "
                     "sum((text = 'a text of some length ' || x)::integer)::bigint as same "
                     "from my_rows()"),
        "{\"n\":17000,\"p\":144491500,\"t\":11334,\"same\":11334}\n");
    assert_string_equal(answer(here, "select count(*) as n from my_rows() a join my_rows() b on "
                                     "a.place = b.place where a.x = b.x"),
                        "{\"n\":17000}\n");
}

/* Negative, infinite and null values have their places, too. */
static void test_places(void **state)
{
    static const int64_t values[] = {-5, INT64_MAX, 7, -INT64_MAX, 7};
    bench *here = *state;
    pieces pieces = {.n = 1};
    batch *rows = (batch *)rows_of(here->arena, 5);
    for (uint32_t i = 0; i < 5; i++)
        ((int64_t *)rows->columns[0].data)[i] = values[i];
    assert_true(column_set_null(here->arena, &rows->columns[0], 2));
    pieces.all[0] = (sql_piece){rows, 0, 5, 1000};
    add_rows(here, &pieces);
    assert_string_equal(answer(here, "select x from my_rows() order by place"),
                        "{\"x\":-9223372036854775807}\n{\"x\":-5}\n{\"x\":7}\n"
                        "{\"x\":9223372036854775807}\n{\"x\":null}\n");
    assert_string_equal(answer(here, "select place::text as p from my_rows() where x = -5"),
                        "{\"p\":\"-5764607523034233880\"}\n");
    pieces.all[0] = (sql_piece){rows, 3, 2, 1003};
    assert_string_equal(answer(here, "select (place - 8070450532247928832)::bigint as n from "
                                     "my_rows() where x = 7 and place is not null"),
                        "{\"n\":1004}\n");
}

/* As a view, after the engine was locked, from a session that is not the one that made it. */
static void test_other_sessions(void **state)
{
    bench *here = *state;
    freshet_error err = {0};
    pieces pieces = {.n = 1};
    bench other = *here;
    pieces.all[0] = (sql_piece){rows_of(here->arena, 5), 0, 5, 0};
    add_rows(here, &pieces);
    execute(here->session, "CREATE VIEW seen(a) AS SELECT x FROM my_rows()");
    must(sql_lock(here->engine, &err), &err);
    must(sql_session_open(here->engine, &other.session, &err), &err);
    assert_string_equal(answer(&other, "select max(a) as m from seen"), "{\"m\":4}\n");
    pieces.all[0].n = 3;
    assert_string_equal(answer(&other, "select max(a) as m from seen"), "{\"m\":2}\n");
    sql_session_close(other.session);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pieces),
        TEST(test_many_rows),
        TEST(test_places),
        TEST(test_other_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
